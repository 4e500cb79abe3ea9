//! Where records go: files, standard output, syslog, webhooks. Comes in: [`Record`]s. Goes out: lines, messages and
//! requests, delivered on a thread of their own ([`Sinks`]), so that what is slow or broken outside never holds the
//! judgement of packets. Does not know what a record says.

mod answer;
mod backoff;
mod counters;
mod datagram;
mod doubt;
mod file;
mod lines;
mod lodging;
mod open;
mod outlet;
mod queue;
mod report;
mod rotate;
mod runner;
mod secret;
mod spool;
mod stream;
mod syslog;
mod tcp;
mod tls;
mod webhook;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::detect::rule::Level;

pub use crate::alert::{EventType, Format, Page, Record};
pub use backoff::Patience;
pub use datagram::DatagramSink;
pub use file::FileSink;
pub use queue::{QUEUE_LENGTH, SPOOL_BYTES, Setting, Sinks, Wants, WhenFull};
pub use report::{SinkCounts, SinkReport, SinkState, SinkStatus};
pub use rotate::{Compression, Every, Rotation};
pub use secret::SecretSource;
pub use stream::StreamSink;
pub use syslog::MAX_DATAGRAM;
pub use tcp::TcpSink;
pub use webhook::{Hook, HookUrl, TIMEOUT, TIMEOUTS, WebhookSink};

/// A place that records go to. Dispatched at run time, since others add cases.
pub trait Sink: Send {
    /// What it is called in logs and reports (`file alerts.jsonl`).
    fn name(&self) -> String;

    /// Delivers records in their order and says what became of them; never panics, and waits only inside the future. What
    /// is left it is given again.
    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a>;

    /// Delivers the lines of pages likewise.
    fn deliver_pages<'a>(&'a mut self, pages: &'a [Arc<Page>]) -> Work<'a> {
        Box::pin(async move {
            let mut all = Delivery::default();
            for page in pages {
                if all.left > 0 {
                    all.left += page.len() as u64;
                    continue;
                }
                let records: Vec<Record> = page.records().collect();
                all.add(self.deliver(&records).await);
            }
            all
        })
    }

    /// Brings what was delivered to where it survives: asked for before a spool lets go of records.
    fn settle(&mut self) -> Pin<Box<dyn Future<Output = Settled> + Send + '_>> {
        Box::pin(async { Settled::Yes })
    }

    /// How long what was delivered and settled may still prove lost, where a receiver answers nothing: the spool keeps it
    /// until then, and `settle` is asked once more.
    fn doubt(&self) -> Duration {
        Duration::ZERO
    }

    /// How often a record is given in a run that waits for it, before it is lost.
    fn attempts(&self) -> u32 {
        1
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

/// Whether what was delivered would survive now.
#[derive(Debug)]
pub enum Settled {
    /// It would.
    Yes,
    /// A part of it is still on its way; nothing is lost.
    NotYet,
    /// It may be lost and is to be delivered again, with all that was still in doubt.
    Lost(SinkError),
}

/// What became of records.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Records that were written or handed to the kernel.
    pub delivered: u64,
    /// Records that are lost.
    pub failed: u64,
    /// Records that the receiver will never take.
    pub rejected: Vec<Rejected>,
    /// The last so many of those that were given were not taken; they are given again.
    pub left: u64,
    /// How long the receiver asks to wait before.
    pub wait: Option<Duration>,
    /// Why; also where something went wrong and nothing was lost. Where records are left without an error, there is no
    /// need to wait.
    pub error: Option<SinkError>,
    /// Whether the reader has gone for good, which is no failure.
    pub closed: bool,
}

/// A record that a receiver will never take.
#[derive(Debug)]
pub struct Rejected {
    /// Which of the records that were given.
    pub index: usize,
    /// Why.
    pub reason: SinkError,
}

impl Delivery {
    /// Nothing was taken of so many records.
    fn refusal(left: u64, error: SinkError) -> Self {
        Self { left, error: Some(error), ..Self::default() }
    }

    /// Notes a record that will never be taken.
    fn reject(&mut self, index: usize, reason: SinkError) {
        self.rejected.push(Rejected { index, reason });
    }

    /// Adds what became of further records.
    fn add(&mut self, other: Delivery) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.left += other.left;
        self.closed |= other.closed;
        self.wait = other.wait.or(self.wait);
        self.error = other.error.or(self.error.take());
        self.rejected.extend(other.rejected);
    }

    /// Delivers so many further records, unless some before them are left.
    fn add_or_leave(&mut self, records: u64, deliver: impl FnOnce() -> Delivery) {
        if self.left > 0 || self.error.is_some() {
            self.left += records;
        } else {
            self.add(deliver());
        }
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
        /// When another file is begun; never, where somebody else sees to that.
        rotation: Option<Rotation>,
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
    /// Syslog over TCP, each record with its length before it (RFC 6587).
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// Syslog over TLS (RFC 5425).
    Tls {
        /// A name or an address, which the collector's certificate must be for.
        host: String,
        /// The port.
        port: u16,
        /// Authorities that are believed instead of those of the machine (PEM).
        ca_file: Option<PathBuf>,
    },
    /// HTTP, one record of an incident, or of the sensor's own troubles, a request; nothing else is sent.
    Webhook(Hook),
}

/// What becomes of what a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It goes, as with `tcpdump -w`: the file is this run's.
    Truncate,
    /// It stays, and records are added.
    Append,
    /// Likewise, but half a line at its end goes: its record is in a spool and comes again.
    Mend,
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
    /// A secret could not be read.
    #[error("{of}: the secret cannot be read: {error}")]
    Secret {
        /// Where it was to stand.
        of: SecretSource,
        /// The reason.
        error: io::Error,
    },
    /// A file of authorities cannot be used.
    #[error("{path}: {why}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be spoken.
    #[error("TLS: {0}")]
    Tls(String),
    /// A receiver did not speak HTTP, or went away while it did.
    #[error("{0}")]
    Http(String),
    /// A receiver answered that it did not take a record.
    #[error("answered {status}{}", colon(said))]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// A spool could not be opened.
    #[error("{path}: the spool cannot be opened: {error}", path = path.display())]
    Spool {
        /// Its folder.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The thread that delivers could not be started.
    #[error("the thread that delivers records could not be started: {0}")]
    Start(io::Error),
}

/// What was said, if anything was.
fn colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

#[cfg(test)]
mod lasting;
#[cfg(test)]
mod moved;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod tests;
