//! The way from the judgement to the sinks: one bounded queue for each. Comes in: records, from any thread. Goes out:
//! the same records on the thread that delivers. In a replay a full queue holds the sender, so that nothing is lost; in
//! a watch it never does, and what has no room is counted.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};

use super::report::Counters;
use super::runner::{self, Lane, Parcel};
use super::{
    DatagramSink, Format, Page, Record, Sink, SinkCounts, SinkError, SinkReport, SinkSpec, StreamSink, Target,
};
use crate::detect::rule::Level;

/// Records that wait for a sink: a few seconds of the worst that incidents bring, under 16 MiB at 16 kB each; as many pages
/// of flows, which all sinks share, are some 72 MiB.
pub const QUEUE_LENGTH: usize = 1_024;

/// What happens to a record whose sink has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits (replay).
    Wait,
    /// It is counted and gone (watch).
    Discard,
}

/// All sinks of a run, each with its queue, on a thread of their own.
pub struct Sinks {
    lanes: Vec<Entrance>,
    when_full: WhenFull,
    stop: oneshot::Sender<Duration>,
    thread: JoinHandle<()>,
}

/// The sender's end of a sink's queue.
struct Entrance {
    queue: mpsc::Sender<Parcel>,
    reopen: Arc<Notify>,
    counters: Arc<Counters>,
    wants: Wants,
}

/// What a sink takes, and in which shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// The shape.
    pub format: Format,
    /// The least severity of incidents.
    pub min_severity: Level,
}

impl Sinks {
    /// Opens the sinks and starts their thread. A file that cannot be opened is an error; a collector that is not there
    /// yet is not. `sensor` is the host name that syslog is told.
    pub fn start(specs: Vec<SinkSpec>, sensor: &str, when_full: WhenFull) -> Result<Self, SinkError> {
        let sinks: Result<Vec<_>, SinkError> =
            specs.into_iter().map(|spec| Ok((open(&spec.target, sensor)?, spec.wants()))).collect();
        Self::with(sinks?, when_full)
    }

    /// Starts the thread for sinks of any make, each with what it takes.
    pub fn with<W: Into<Wants>>(
        sinks: Vec<(Box<dyn Sink>, W)>,
        when_full: WhenFull,
    ) -> Result<Self, SinkError> {
        let (mut lanes, mut entrances) = (Vec::new(), Vec::new());
        for (sink, wants) in sinks {
            let (queue, parcels) = mpsc::channel(QUEUE_LENGTH);
            let reopen = Arc::new(Notify::new());
            let counters = Arc::new(Counters::new(sink.name()));
            lanes.push(Lane { sink, parcels, reopen: reopen.clone(), counters: counters.clone() });
            entrances.push(Entrance { queue, reopen, counters, wants: wants.into() });
        }
        let (stop, stopped) = oneshot::channel();
        let thread = runner::start(lanes, stopped)?;
        Ok(Self { lanes: entrances, when_full, stop, thread })
    }

    /// Sends a record to every sink that takes it, in the sink's shape. Not to be called from an asynchronous task when
    /// [`WhenFull::Wait`] is chosen.
    pub fn send(&self, record: &Record) {
        for lane in &self.lanes {
            if lane.takes(record) {
                lane.send(Parcel::Record(record.shaped(lane.wants.format)), self.when_full);
            }
        }
    }

    /// Sends pages of records of flows to every sink that writes them: they have no severity.
    pub fn send_pages(&self, pages: Vec<Page>) {
        let pages: Vec<Arc<Page>> = pages.into_iter().map(Arc::new).collect();
        for lane in self.lanes.iter().filter(|lane| lane.wants.format == Format::Eve) {
            for page in &pages {
                lane.send(Parcel::Page(Arc::clone(page)), self.when_full);
            }
        }
    }

    /// Has every sink open its output anew (files that were rotated, collectors that moved).
    pub fn reopen(&self) {
        self.lanes.iter().for_each(|lane| lane.reopen.notify_one());
    }

    /// Whether the reader of an output has gone: the run may end, quietly.
    pub fn is_closed(&self) -> bool {
        self.lanes.iter().any(|lane| lane.counters.is_closed())
    }

    /// What became of the records so far, with the name of each sink.
    pub fn counts(&self) -> Vec<(String, SinkCounts)> {
        self.lanes.iter().map(|lane| (lane.counters.name().to_owned(), lane.counters.counts())).collect()
    }

    /// Delivers what is in the queues and ends; what is not delivered within `deadline` is discarded.
    pub fn finish(self, deadline: Duration) -> SinkReport {
        let counters: Vec<Arc<Counters>> = self.lanes.iter().map(|lane| lane.counters.clone()).collect();
        drop(self.lanes);
        // Where the thread has gone there is nobody to stop, and the counts tell.
        let _ = self.stop.send(deadline);
        let _ = self.thread.join();
        SinkReport { sinks: counters.iter().map(|counters| counters.state()).collect() }
    }
}

impl Entrance {
    fn takes(&self, record: &Record) -> bool {
        self.wants.format.tells(record.kind)
            && record.severity.is_none_or(|severity| severity >= self.wants.min_severity)
    }

    fn send(&self, parcel: Parcel, when_full: WhenFull) {
        let records = parcel.records();
        // Counted first: what is in the queue is never delivered before it was sent.
        self.counters.send(records);
        let refused = match self.queue.try_send(parcel) {
            Ok(()) => false,
            Err(TrySendError::Full(parcel)) => match when_full {
                WhenFull::Wait => self.queue.blocking_send(parcel).is_err(),
                WhenFull::Discard => true,
            },
            Err(TrySendError::Closed(_)) => true,
        };
        if refused {
            self.counters.refuse(records);
        }
    }
}

impl From<Level> for Wants {
    /// EVE, of that severity or more.
    fn from(min_severity: Level) -> Self {
        Self { format: Format::Eve, min_severity }
    }
}

impl SinkSpec {
    fn wants(&self) -> Wants {
        Wants { format: self.format, min_severity: self.min_severity }
    }
}

fn open(target: &Target, sensor: &str) -> Result<Box<dyn Sink>, SinkError> {
    Ok(match target {
        Target::File { path, begin } => Box::new(StreamSink::file(path, *begin)?),
        Target::Stdout => Box::new(StreamSink::stdout()?),
        Target::Udp { host, port } => Box::new(DatagramSink::udp(host, *port, sensor)),
        Target::Unix(path) => Box::new(DatagramSink::unix(path.clone(), sensor)),
    })
}
