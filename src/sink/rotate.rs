//! Files of records that are full or old, kept under numbers. Comes in: when to begin another file. Goes out:
//! `alerts.jsonl.000001` and so on, the highest the newest; compressed and thinned out on a thread of its own, so that
//! delivery never waits for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::document::words;
use crate::time::Timestamp;

/// When another file is begun and what becomes of those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes that a file may have; a record that is longer has one for itself.
    pub size: Option<u64>,
    /// How much time a file is about, by the capture time of its records: the same records give the same files.
    pub every: Option<Every>,
    /// How many are kept beside the one that is written.
    pub keep: usize,
    /// How those are kept.
    pub compress: Compression,
}

/// How much time a file is about; the day is that of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// An hour.
    Hour,
    /// A day.
    Day,
}
words! { Every, "how often": Hour = "hour", Day = "day" }

/// How files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they were written.
    None,
    /// gzip.
    Gz,
    /// Zstandard.
    Zst,
}
words! { Compression, "a compression": None = "none", Gz = "gz", Zst = "zst" }

impl Every {
    /// Which hour or day it is.
    pub fn of(self, time: Timestamp) -> i64 {
        let secs = match self {
            Every::Hour => 3_600,
            Every::Day => 86_400,
        };
        time.nanos().div_euclid(1_000_000_000).div_euclid(secs)
    }
}

impl Compression {
    fn extension(self) -> Option<&'static str> {
        Some(self.word()).filter(|_| self != Compression::None)
    }
}

/// Alerts name addresses: for the owner and the group.
const MODE: u32 = 0o640;

/// Numbers that are tried where others rotate the same file.
const TRIES: u32 = 100;

/// Beside a file while it is compressed.
const UNDER_WAY: &str = "part";

/// The files before the one that is written, and the thread that looks after them.
#[derive(Debug)]
pub(super) struct Attic {
    path: PathBuf,
    /// The number of the next file. Counted and not looked for: while one is compressed, a look may see neither name.
    next: u64,
    /// Has the thread look; one call that waits stands for all.
    tidy: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Attic {
    /// Looks after the files that `path` leaves behind; those of earlier runs at once.
    pub fn start(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let next = kept(path)?.last().map_or(1, |kept| kept.number + 1);
        let (tidy, called) = sync_channel(1);
        let files = path.to_owned();
        let work = move || look_after(&files, rotation, &called);
        let thread = std::thread::Builder::new().name("rotation".to_owned()).spawn(work)?;
        let attic = Self { path: path.to_owned(), next, tidy: Some(tidy), thread: Some(thread) };
        attic.call();
        Ok(attic)
    }

    /// Gives the file that is written the next number; what was opened under its name goes on. No file is ever replaced.
    pub fn take(&mut self) -> io::Result<()> {
        for _ in 0..TRIES {
            let to = with_suffix(&self.path, &format!("{:06}", self.next));
            self.next += 1;
            match renameat_with(CWD, &self.path, CWD, &to, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.call();
                    return Ok(());
                }
            }
        }
        Err(io::Error::other("others use the same numbers"))
    }

    fn call(&self) {
        // Full: a call waits already, and stands for this one too.
        let _ = self.tidy.as_ref().map(|tidy| tidy.try_send(()));
    }

    /// Waits until everything is compressed and thinned out.
    pub fn finish(&mut self) {
        self.tidy = None;
        // Where it died, files stay as they were written.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn look_after(path: &Path, rotation: Rotation, called: &Receiver<()>) {
    while called.recv().is_ok() {
        if let Err(error) = tidy(path, rotation) {
            tracing::warn!(file = %path.display(), %error, "rotated files stay as they are");
        }
    }
}

/// Removes what is too old and compresses the rest.
fn tidy(path: &Path, rotation: Rotation) -> io::Result<()> {
    let files = kept(path)?;
    let surplus = files.len().saturating_sub(rotation.keep);
    let (old, rest) = files.split_at_checked(surplus).unwrap_or((&files, &[]));
    for file in old {
        remove(&file.path)?;
    }
    for file in rest.iter().filter(|file| file.plain) {
        if let Some(extension) = rotation.compress.extension() {
            compress(&file.path, extension, rotation.compress)?;
        }
    }
    Ok(())
}

/// A file before the one that is written.
#[derive(Debug)]
struct Kept {
    number: u64,
    path: PathBuf,
    /// Whether it is as it was written.
    plain: bool,
}

/// Those there are, oldest first. Of a file that is there both ways, compressing was not finished: the plain one counts.
fn kept(path: &Path) -> io::Result<Vec<Kept>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|file| number(file, name));
        if let Some((number, plain)) = number {
            files.push(Kept { number, path: entry.path(), plain });
        }
    }
    files.sort_by_key(|file| (file.number, !file.plain));
    files.dedup_by_key(|file| file.number);
    Ok(files)
}

/// The number of a file of that name, and whether it is as it was written.
fn number(file: &str, name: &str) -> Option<(u64, bool)> {
    let rest = file.strip_prefix(name)?.strip_prefix('.')?;
    let (digits, plain) = match rest.split_once('.') {
        None => (rest, true),
        Some((digits, "gz" | "zst")) => (digits, false),
        Some(_) => return None,
    };
    let number = digits.parse().ok().filter(|number| *number < u64::from(u32::MAX))?;
    (digits == format!("{number:06}")).then_some((number, plain))
}

/// The folder a file stands in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Compresses a file: whole under its new name, or as it was.
fn compress(path: &Path, extension: &str, how: Compression) -> io::Result<()> {
    let beside = with_suffix(path, UNDER_WAY);
    remove(&beside)?;
    let done = write_compressed(path, &beside, how).and_then(|()| {
        fs::rename(&beside, with_suffix(path, extension))?;
        File::open(folder_of(path))?.sync_all()
    });
    match done {
        Ok(()) => remove(path),
        Err(error) => {
            remove(&beside)?;
            Err(error)
        }
    }
}

fn write_compressed(path: &Path, beside: &Path, how: Compression) -> io::Result<()> {
    let no_follow = OFlags::NOFOLLOW.bits() as i32;
    let mut from = OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
    let to = OpenOptions::new().write(true).create_new(true).mode(MODE).open(beside)?;
    let mut to = match how {
        Compression::None => to,
        Compression::Gz => {
            let mut gz = flate2::write::GzEncoder::new(to, flate2::Compression::default());
            io::copy(&mut from, &mut gz)?;
            gz.finish()?
        }
        Compression::Zst => {
            let mut zst = zstd::Encoder::new(to, 0)?;
            io::copy(&mut from, &mut zst)?;
            zst.finish()?
        }
    };
    to.flush()?;
    to.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn only_our_own_files_have_a_number() {
        let of = |file| number(file, "alerts.jsonl");
        assert_eq!(of("alerts.jsonl.000007"), Some((7, true)));
        assert_eq!(of("alerts.jsonl.1000000.gz"), Some((1_000_000, false)));
        for other in
            ["alerts.jsonl", "alerts.jsonl.7", "alerts.jsonl.000007.bak", "other.000007", "alerts.jsonl.1.gz"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn files_are_compressed_and_thinned_out() {
        for (compress, extension) in [(Compression::Gz, "gz"), (Compression::Zst, "zst")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("alerts.jsonl");
            let rotation = Rotation { size: Some(1), every: None, keep: 3, compress };
            fs::write(folder.path().join("alerts.jsonl.notes"), "mine").unwrap();
            fs::write(folder.path().join("alerts.jsonl.000001.part"), "left by a crash").unwrap();
            let mut attic = Attic::start(&path, rotation).unwrap();
            for number in 1..=6 {
                fs::write(&path, format!("file {number}\n")).unwrap();
                attic.take().unwrap();
            }
            attic.finish();
            tidy(&path, rotation).unwrap();
            let left: Vec<u64> = kept(&path).unwrap().iter().map(|file| file.number).collect();
            assert_eq!(left, [4, 5, 6]);
            let newest = with_suffix(&path, &format!("000006.{extension}"));
            let mut text = String::new();
            match compress {
                Compression::Gz => flate2::read::GzDecoder::new(File::open(newest).unwrap())
                    .read_to_string(&mut text)
                    .map(drop),
                _ => zstd::Decoder::new(File::open(newest).unwrap())
                    .and_then(|mut zst| zst.read_to_string(&mut text))
                    .map(drop),
            }
            .unwrap();
            assert_eq!(text, "file 6\n");
            assert!(folder.path().join("alerts.jsonl.notes").exists());
        }
    }

    #[test]
    fn a_day_begins_at_midnight_utc_before_1970_too() {
        let day = |secs| Every::Day.of(Timestamp::from_secs(secs));
        assert_eq!((day(0), day(86_399), day(86_400), day(-1)), (0, 0, 1, -1));
        assert_eq!(Every::Hour.of(Timestamp::from_secs(7_200)), 2);
    }
}
