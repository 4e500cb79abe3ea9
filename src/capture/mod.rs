//! Where packets come from: files, folders, standard input, interfaces, all as one stream of [`Frame`]s.
//! Comes in: bytes of captures. Goes out: frames with link type, capture time and wire length.
//! Refuses to know what is inside a frame.

mod bpf;
#[cfg(test)]
mod corpus_tests;
mod filter;
mod folder;
mod input;
mod link;
mod live;
mod live_set;
#[cfg(test)]
mod live_tests;
mod merge;
mod open;
mod options;
mod pcap;
mod pcapng;
mod reader;
mod resolution;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;

use crate::time::Timestamp;

pub use self::filter::Filter;
pub use self::live::{Drops, Live, LiveOptions};
pub use self::live_set::{Change, LineState, LiveSet};
pub use self::merge::Files;
pub use self::reader::Reader;
pub use self::writer::Writer;

/// The kind of the outermost header: a number of the registry at
/// <https://www.tcpdump.org/linktypes.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: the protocol family in the writer's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// Raw IP, version told by the first nibble.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the protocol family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured packet as it lies in the reader's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When it was captured.
    pub time: Timestamp,
    /// What its first header is.
    pub link: LinkType,
    /// Its length on the wire in bytes; more than `data` holds where the capture cut it.
    pub wire_len: u32,
    /// The captured bytes.
    pub data: &'a [u8],
}

/// What the capture says of itself between packets: the recorder's clock and its cumulative drop counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beat {
    /// The recorder's capture clock.
    pub time: Timestamp,
    /// Packets the kernel dropped so far for want of room.
    pub dropped_kernel: u64,
    /// Packets the interface dropped so far.
    pub dropped_interface: u64,
    /// Whether packets do not come that should: an interface is gone, or its link is down. Silence tells nothing then.
    pub blind: bool,
    /// How much of the work was left out from here on, in steps; 0 is none.
    pub shed: u8,
}

/// What one step of a [`Source`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A packet: [`Source::frame`] has it until the next step.
    Frame,
    /// The recorder's clock and drops.
    Beat(Beat),
    /// Nothing for now (live lines and pipes).
    Idle,
    /// Nothing any more.
    End,
}

/// How much of a source has been read, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of the inputs taken so far (as they lie on disk, compressed or not).
    pub bytes_read: u64,
    /// Bytes of all inputs; `None` for standard input, pipes and live lines.
    pub bytes_total: Option<u64>,
}

/// A stream of packets. Dispatched at run time, since others add cases.
pub trait Source {
    /// Moves to the next packet or event.
    ///
    /// Damage ends one input, not the whole: after an error the caller notes it and steps on; the source goes on
    /// with what else it has, or ends.
    fn step(&mut self) -> Result<Step, CaptureError>;

    /// The packet that the last [`Step::Frame`] announced.
    fn frame(&self) -> Frame<'_>;

    /// How far the reading is.
    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// What is wrong with an input, and where.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The input could not be opened.
    #[error("{path}: cannot be opened: {error}", path = path.display())]
    Open {
        /// The input.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The first bytes are those of no known format.
    #[error("{path}: no capture: its first bytes are {magic}, expected pcap, pcapng, gzip or zstd", path = path.display())]
    Unknown {
        /// The input.
        path: PathBuf,
        /// The first bytes in hexadecimal.
        magic: String,
    },
    /// A folder holds no file that a reader knows.
    #[error("{path}: no capture below this folder", path = path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The input is cut short or damaged: all packets before were used.
    #[error("{path}: {what} after packet {packet} at byte offset {offset}", path = path.display())]
    Damaged {
        /// The input.
        path: PathBuf,
        /// The number of whole packets read before the damage.
        packet: u64,
        /// Where in the (decompressed) input the damaged record begins.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// A filter that libpcap does not understand.
    #[error("filter '{expression}': {reason}")]
    Filter {
        /// The filter as it was given.
        expression: String,
        /// Libpcap's reason.
        reason: String,
    },
    /// An interface or its driver failed.
    #[error("{interface}: {what}")]
    Interface {
        /// The interface.
        interface: String,
        /// The system's reason.
        what: String,
    },
}
