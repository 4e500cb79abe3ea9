//! One opened capture of either format as a [`Source`].
//! Comes in: bytes, plain or compressed. Goes out: frames and beats, then one end or one error with packet and offset.
//! Refuses to know of other captures beside it.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::input::{Input, Pace, Reading};
use super::open::{self, BLOCK};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::{Beat, CaptureError, Frame, LinkType, Source, Step};
use crate::time::Timestamp;

/// A capture that is being read. After its end or its one error it only says [`Step::End`].
pub struct Reader {
    path: PathBuf,
    input: Input,
    format: Format,
    lent: Lent,
    packets: u64,
    state: State,
}

/// The format that the first bytes told.
pub(super) enum Format {
    /// Classic pcap.
    Pcap(Pcap),
    /// pcapng.
    Pcapng(Pcapng),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

/// A packet of which the bytes still lie in the input's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lent {
    /// When it was captured.
    pub time: Timestamp,
    /// What its first header is.
    pub link: LinkType,
    /// Its length on the wire, as wide as the lengths below: what is written apart and read at once waits.
    pub wire_len: usize,
    /// Where in the buffer its bytes begin.
    pub position: usize,
    /// How many bytes were captured.
    pub len: usize,
}

/// What a format found next.
#[derive(Debug)]
pub(super) enum Found {
    /// A packet, which is lent.
    Packet,
    /// The recorder's clock and drops.
    Beat(Beat),
    /// The end, at a record border.
    End,
}

/// What is wrong with an input, before its name and packet count are added.
#[derive(Debug)]
pub(super) struct Damage {
    /// Where the damaged record begins.
    pub offset: u64,
    /// What was found.
    pub what: String,
    /// Whether it is none: nothing came for a while, and more may come.
    pub comes_later: bool,
}

impl Reader {
    /// Opens a capture that comes from any stream; `name` is what errors call it.
    ///
    /// # Errors
    /// [`CaptureError::Unknown`] and [`CaptureError::Damaged`] of the file's header.
    pub fn new(name: &Path, stream: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        open::stream(name, stream, Reading { block: BLOCK, pace: Pace::AsItComes }, &|| false)
    }

    /// One of which nothing had come when waiting was to end.
    pub(super) fn silent(path: &Path) -> Self {
        let reading = Reading { block: 1, pace: Pace::AsItComes };
        let input = Input::new(&[], Box::new(io::empty()), reading);
        Self { state: State::Ended, ..Self::of(path, input, Format::Pcapng(Pcapng::new())) }
    }

    pub(super) fn of(path: &Path, input: Input, format: Format) -> Self {
        let lent = Lent::NOTHING;
        Self { path: path.to_path_buf(), input, format, lent, packets: 0, state: State::Reading }
    }

    /// Moves on to a packet that is held already, as nearly all are; answers whether there is one.
    #[inline(always)]
    pub(super) fn lend(&mut self) -> bool {
        let lends = match &self.format {
            Format::Pcap(pcap) => self.state == State::Reading && pcap.lend(&mut self.input, &mut self.lent),
            Format::Pcapng(_) => false,
        };
        self.packets += u64::from(lends);
        lends
    }

    /// Moves on; a packet is lent in place, since it is too large to be handed from one to the next.
    fn found(&mut self) -> Result<Found, Damage> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input, &mut self.lent),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input, &mut self.lent),
        }
    }

    #[cold]
    fn damaged(&mut self, damage: Damage) -> Result<Step, CaptureError> {
        self.lent = Lent::NOTHING;
        if damage.comes_later {
            return Ok(Step::Idle);
        }
        self.state = State::Ended;
        Err(damage.told(&self.path, self.packets))
    }
}

impl Lent {
    /// What is lent where there is no packet.
    const NOTHING: Self =
        Self { time: Timestamp::from_nanos(0), link: LinkType::NULL, wire_len: 0, position: 0, len: 0 };
}

impl Source for Reader {
    fn step(&mut self) -> Result<Step, CaptureError> {
        if self.lend() {
            return Ok(Step::Frame);
        }
        if self.state == State::Ended {
            return Ok(Step::End);
        }
        match self.found() {
            Ok(Found::Packet) => {
                self.packets += 1;
                Ok(Step::Frame)
            }
            Ok(Found::Beat(beat)) => {
                self.lent = Lent::NOTHING;
                Ok(Step::Beat(beat))
            }
            Ok(Found::End) => {
                self.state = State::Ended;
                self.lent = Lent::NOTHING;
                Ok(Step::End)
            }
            Err(damage) => self.damaged(damage),
        }
    }

    #[inline]
    fn frame(&self) -> Frame<'_> {
        let Lent { time, link, wire_len, position, len } = self.lent;
        Frame { time, link, wire_len: wire_len as u32, data: self.input.at(position, len) }
    }
}

impl Damage {
    /// Damage of the record that begins at `offset`.
    pub(super) fn new(offset: u64, what: impl Into<String>) -> Self {
        Self { offset, what: what.into(), comes_later: false }
    }

    /// The input ends inside something that needs `need` bytes and has `left`.
    #[cold]
    pub(super) fn cut_short(offset: u64, part: &str, need: usize, left: usize) -> Self {
        Self::new(offset, format!("cut short: {part} needs {need} bytes, {left} are left,"))
    }

    /// Reading or decompressing failed, or nothing came for a while.
    #[cold]
    pub(super) fn unreadable(offset: u64, error: &io::Error) -> Self {
        let comes_later = error.kind() == ErrorKind::WouldBlock;
        Self { comes_later, ..Self::new(offset, format!("cannot be read further ({error})")) }
    }

    /// The error as the user sees it.
    pub(super) fn told(self, path: &Path, packet: u64) -> CaptureError {
        CaptureError::Damaged { path: path.to_path_buf(), packet, offset: self.offset, what: self.what }
    }
}

/// The byte order in which a capture was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Order {
    #[inline]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// Several numbers, so that the order is looked at once.
    #[inline]
    pub(super) fn words<const N: usize>(self, words: [[u8; 4]; N]) -> [u32; N] {
        let mut numbers = [0; N];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = u32::from_le_bytes(word);
        }
        match self {
            Self::Little => numbers,
            Self::Big => numbers.map(u32::swap_bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}
