//! Several captures as one stream in the order of packet time.
//! Comes in: paths from the command line. Goes out: frames and beats; packets of one time in the order of the inputs.
//! Refuses to hold more files open than overlap in time, and to reorder packets inside one input.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::folder;
use super::open::{self, BLOCK, BytesRead, SMALL_BLOCK, Until};
use super::reader::Reader;
use super::{CaptureError, Frame, LinkType, Progress, Source, Step};
use crate::time::Timestamp;

/// Captures named on the command line: files, folders, `-`.
///
/// What is wrong with one input comes out of [`Source::step`] as an error; the others go on.
pub struct Files {
    /// The input that the last event came from.
    current: Option<Active>,
    /// Inputs whose next event is known, the earliest on top.
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Errors found so far that were not told yet.
    errors: VecDeque<CaptureError>,
    skipped: Vec<PathBuf>,
    block: usize,
    read: BytesRead,
    total: Option<u64>,
}

struct Active {
    order: usize,
    reader: Box<Reader>,
}

/// An input that waits for its turn.
struct Waiting {
    time: Timestamp,
    order: usize,
    place: Place,
}

/// Where a waiting input is.
enum Place {
    /// On disk: opened again when its turn comes.
    Closed(PathBuf),
    /// Open, with its next event at hand.
    Open(Box<Reader>, Step),
}

/// One input of the command line or a folder.
struct Named {
    path: PathBuf,
    origin: Origin,
}

/// Where an input's name comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Named by the user: not being a capture is an error.
    CommandLine,
    /// Found in the folder of this number.
    Folder(usize),
}

impl Files {
    /// Looks at every input: a single one is opened, of several the first packet's time is read and those on disk
    /// are closed again.
    pub fn open(paths: &[PathBuf]) -> Self {
        Self::open_until(paths, &|| false)
    }

    /// The same, not waiting any longer for a pipe's first packet once `until` says so; it then ends there.
    pub fn open_until(paths: &[PathBuf], until: &dyn Fn() -> bool) -> Self {
        let mut files = Self::empty();
        let (named, folders) = files.named(paths);
        // Many inputs may be open at once where their times overlap.
        files.block = if named.len() > 8 { SMALL_BLOCK } else { BLOCK };
        files.total = named.iter().map(|input| told_size(&input.path)).sum();
        let mut held = vec![0_usize; folders.len()];
        let alone = named.len() == 1;
        for (order, input) in named.into_iter().enumerate() {
            let origin = input.origin;
            let known =
                if alone { files.open_only(input, until) } else { files.look_at(order, input, until) };
            if let (true, Origin::Folder(folder)) = (known, origin)
                && let Some(count) = held.get_mut(folder)
            {
                *count += 1;
            }
        }
        let empty = folders.into_iter().zip(held).filter(|(_, count)| *count == 0);
        files.errors.extend(empty.map(|(path, _)| CaptureError::EmptyFolder { path }));
        files
    }

    /// The files below folders that no reader knows, in the order of their paths.
    pub fn skipped_files(&self) -> &[PathBuf] {
        &self.skipped
    }

    fn empty() -> Self {
        Self {
            current: None,
            waiting: BinaryHeap::new(),
            errors: VecDeque::new(),
            skipped: Vec::new(),
            block: BLOCK,
            read: BytesRead::default(),
            total: None,
        }
    }

    /// The inputs behind the arguments, and the folders among these.
    fn named(&mut self, paths: &[PathBuf]) -> (Vec<Named>, Vec<PathBuf>) {
        let (mut named, mut folders) = (Vec::new(), Vec::new());
        for path in paths {
            if !folder::is_folder(path) {
                named.push(Named { path: path.clone(), origin: Origin::CommandLine });
                continue;
            }
            let below = folder::below(path);
            let origin = Origin::Folder(folders.len());
            named.extend(below.files.into_iter().map(|path| Named { path, origin }));
            self.skipped.extend(below.others);
            self.errors.extend(below.errors);
            folders.push(path.clone());
        }
        (named, folders)
    }

    /// Opens the only input, to be read at once. True where a reader knows it.
    fn open_only(&mut self, input: Named, until: Until<'_>) -> bool {
        match open::path(&input.path, self.block, &self.read, until) {
            Ok(reader) => self.current = Some(Active { order: 0, reader: Box::new(reader) }),
            Err(error) => return self.not_opened(input, error),
        }
        true
    }

    /// Reads the first event of one of several inputs. True where a reader knows it.
    fn look_at(&mut self, order: usize, input: Named, until: Until<'_>) -> bool {
        let on_disk = size(&input.path).is_some();
        // What is read twice counts once for progress.
        let read = if on_disk { BytesRead::default() } else { Arc::clone(&self.read) };
        let opened = open::path(&input.path, SMALL_BLOCK, &read, until);
        let mut reader = match opened {
            Ok(reader) => Box::new(reader),
            Err(error) => return self.not_opened(input, error),
        };
        let Some((time, step)) = self.first(&mut reader, until) else { return true };
        let place = if on_disk { Place::Closed(input.path) } else { Place::Open(reader, step) };
        self.waiting.push(Reverse(Waiting { time, order, place }));
        true
    }

    /// Notes why an input was not opened. True where a reader knows the input all the same.
    fn not_opened(&mut self, input: Named, error: CaptureError) -> bool {
        let nothing_known = matches!(error, CaptureError::Unknown { .. }) || size(&input.path) == Some(0);
        if nothing_known && input.origin != Origin::CommandLine {
            self.skipped.push(input.path);
            return false;
        }
        self.errors.push_back(error);
        true
    }

    /// The next event of an input with its time; an error is noted, and like an end gives nothing.
    fn first(&mut self, reader: &mut Reader, until: Until<'_>) -> Option<(Timestamp, Step)> {
        loop {
            return match reader.step() {
                Ok(Step::Frame) => Some((reader.frame().time, Step::Frame)),
                Ok(Step::Beat(beat)) => Some((beat.time, Step::Beat(beat))),
                Ok(Step::Idle) if !until() => continue,
                Ok(Step::Idle | Step::End) => None,
                Err(error) => {
                    self.errors.push_back(error);
                    None
                }
            };
        }
    }

    /// Takes the input with the earliest event out of the queue; nothing where a file could not be read again.
    fn next_input(&mut self) -> Option<Step> {
        let Reverse(Waiting { order, place, .. }) = self.waiting.pop()?;
        let (reader, step) = match place {
            Place::Open(reader, step) => (reader, step),
            Place::Closed(path) => {
                let opened = open::path(&path, self.block, &self.read, &|| false);
                let mut reader = Box::new(opened.map_err(|error| self.errors.push_back(error)).ok()?);
                let (_, step) = self.first(&mut reader, &|| false)?;
                (reader, step)
            }
        };
        self.current = Some(Active { order, reader });
        Some(step)
    }

    /// Hands the turn to another input where that one's next event is earlier than `step` at `time`.
    #[inline]
    fn in_turn(&mut self, time: Timestamp, step: Step) -> Option<Step> {
        let (Some(Reverse(next)), Some(current)) = (self.waiting.peek(), &self.current) else {
            return Some(step);
        };
        if (time, current.order) < (next.time, next.order) {
            return Some(step);
        }
        if let Some(Active { order, reader }) = self.current.take() {
            self.waiting.push(Reverse(Waiting { time, order, place: Place::Open(reader, step) }));
        }
        self.next_input()
    }
}

impl Source for Files {
    // A part of what reads packet after packet.
    #[inline(always)]
    fn step(&mut self) -> Result<Step, CaptureError> {
        if self.waiting.is_empty()
            && self.errors.is_empty()
            && let Some(current) = &mut self.current
            && current.reader.lend()
        {
            return Ok(Step::Frame);
        }
        self.step_on()
    }

    #[inline]
    fn frame(&self) -> Frame<'_> {
        match &self.current {
            Some(active) => active.reader.frame(),
            None => Frame { time: Timestamp::default(), link: LinkType::NULL, wire_len: 0, data: &[] },
        }
    }

    fn progress(&self) -> Progress {
        Progress { bytes_read: self.read.load(Ordering::Relaxed), bytes_total: self.total }
    }
}

impl Files {
    /// Steps to whatever comes next.
    #[inline(never)]
    fn step_on(&mut self) -> Result<Step, CaptureError> {
        loop {
            if !self.errors.is_empty()
                && let Some(error) = self.errors.pop_front()
            {
                return Err(error);
            }
            let Some(current) = &mut self.current else {
                if self.waiting.is_empty() {
                    return Ok(Step::End);
                }
                match self.next_input() {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            };
            let event = current.reader.step();
            let (time, step) = match event {
                Ok(Step::Frame) if self.waiting.is_empty() => return Ok(Step::Frame),
                Ok(Step::Frame) => (current.reader.frame().time, Step::Frame),
                Ok(Step::Beat(beat)) => (beat.time, Step::Beat(beat)),
                Ok(Step::Idle) => return Ok(Step::Idle),
                Ok(Step::End) => {
                    self.current = None;
                    continue;
                }
                Err(error) => {
                    self.current = None;
                    return Err(error);
                }
            };
            if let Some(step) = self.in_turn(time, step) {
                return Ok(step);
            }
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.order).cmp(&(other.time, other.order))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

/// The length for progress: what cannot be looked at will not be read and is 0.
fn told_size(path: &Path) -> Option<u64> {
    let gone = !open::is_stdin(path) && fs::metadata(path).is_err();
    if gone { Some(0) } else { size(path) }
}

/// The length of a file that can be opened twice; nothing for pipes, devices and standard input.
fn size(path: &Path) -> Option<u64> {
    if open::is_stdin(path) {
        return None;
    }
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}
