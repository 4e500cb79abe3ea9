//! Where records go: files, standard output, syslog. Comes in: [`Record`]s. Goes out: lines and datagrams, delivered on a
//! thread of their own ([`Sinks`]), so that what is slow or broken outside never holds the judgement of packets.
//! Does not know what a record says.

mod datagram;
mod file;
mod lines;
mod queue;
mod report;
mod runner;
mod stream;
mod syslog;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use crate::detect::rule::Level;

pub use crate::alert::{EventType, Format, Page, Record};
pub use datagram::DatagramSink;
pub use queue::{QUEUE_LENGTH, Sinks, Wants, WhenFull};
pub use report::{SinkCounts, SinkReport, SinkState};
pub use stream::StreamSink;
pub use syslog::MAX_DATAGRAM;

/// A place that records go to. Dispatched at run time, since others add cases.
pub trait Sink: Send {
    /// What it is called in logs and reports (`file alerts.jsonl`).
    fn name(&self) -> String;

    /// Delivers records in their order and says what became of them; never panics, and waits only inside the future.
    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a>;

    /// Delivers the lines of pages likewise.
    fn deliver_pages<'a>(&'a mut self, pages: &'a [Arc<Page>]) -> Work<'a> {
        Box::pin(async move {
            let mut all = Delivery::default();
            for page in pages {
                let records: Vec<Record> = page.records().collect();
                all.add(self.deliver(&records).await);
            }
            all
        })
    }

    /// Opens its output anew, since somebody may have moved the old one away.
    fn reopen(&mut self) -> Work<'_> {
        Box::pin(async { Delivery::default() })
    }

    /// Delivers what is left before the end.
    fn finish(&mut self) -> Work<'_> {
        Box::pin(async { Delivery::default() })
    }
}

/// The work of a sink under way.
pub type Work<'a> = Pin<Box<dyn Future<Output = Delivery> + Send + 'a>>;

/// What became of records.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Records that were written or handed to the kernel.
    pub delivered: u64,
    /// Records that are lost.
    pub failed: u64,
    /// Why; also where something went wrong and nothing was lost.
    pub error: Option<SinkError>,
    /// Whether the reader has gone for good, which is no failure.
    pub closed: bool,
}

impl Delivery {
    /// Adds what became of further records.
    fn add(&mut self, other: Delivery) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.closed |= other.closed;
        self.error = other.error.or(self.error.take());
    }
}

/// A sink to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpec {
    /// Where to.
    pub target: Target,
    /// The shape that records are written in; what has no such shape is left out.
    pub format: Format,
    /// Incidents below it are left out; what is no incident has no severity and goes through.
    pub min_severity: Level,
}

/// Where records go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, one record a line.
    File {
        /// The file.
        path: PathBuf,
        /// What becomes of what it holds.
        begin: Begin,
    },
    /// Standard output, one record a line.
    Stdout,
    /// Syslog over UDP, one record a datagram (RFC 5426).
    Udp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// Syslog to a datagram socket of this machine.
    Unix(PathBuf),
}

/// What becomes of what a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It goes, as with `tcpdump -w`: the file is this run's.
    Truncate,
    /// It stays, and records are added.
    Append,
}

impl SinkSpec {
    /// A sink for records of every severity, in EVE.
    pub fn all(target: Target) -> Self {
        Self { target, format: Format::Eve, min_severity: Level::Low }
    }
}

/// What is wrong with a sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file could not be opened.
    #[error("{path}: cannot be opened: {error}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// A file is a symbolic link, which somebody may have laid to have another file overwritten.
    #[error("{path}: is a symbolic link: name the file it leads to", path = path.display())]
    Link {
        /// The file.
        path: PathBuf,
    },
    /// Writing or sending failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A record is longer than a datagram can be.
    #[error("a record of {bytes} bytes is longer than a datagram can be ({most} bytes)")]
    TooLong {
        /// The length of the datagram.
        bytes: usize,
        /// The greatest length.
        most: usize,
    },
    /// A collector took nothing for too long.
    #[error("the collector took nothing for {secs} s")]
    TimedOut {
        /// How long was waited.
        secs: u64,
    },
    /// A collector's name has no address.
    #[error("'{host}' has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// The thread that delivers could not be started.
    #[error("the thread that delivers records could not be started: {0}")]
    Start(io::Error),
}

#[cfg(test)]
mod tests;
