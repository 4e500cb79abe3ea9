//! The way from the judgement to the sinks: one bounded queue for each, and where nothing may be lost a spool. Comes in:
//! records, from any thread. Goes out: the same records on the thread that delivers. In a replay a full queue holds the
//! sender, so that nothing is lost; in a watch it never does, and what has no room is counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::backoff::{Backoff, Patience};
use super::counters::Counters;
use super::doubt::Doubt;
use super::lodging::{self, Lodging};
use super::outlet::Outlet;
use super::runner::{self, Lane, Parcel};
use super::{
    Begin, DatagramSink, FileSink, Format, Page, Record, Sink, SinkCounts, SinkError, SinkReport, SinkSpec,
    SinkStatus, StreamSink, Target, TcpSink, WebhookSink,
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

/// What all sinks of a run have in common.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The host name that syslog is told.
    pub sensor: String,
    /// What happens to a record whose sink has no room.
    pub when_full: WhenFull,
    /// The folder in which alerts wait until they are delivered; without one they wait in memory. A run that waits for
    /// room has no use for it.
    pub state: Option<PathBuf>,
    /// How large the spool of one sink may become, in bytes.
    pub spool_bytes: u64,
    /// How patient sinks are.
    pub patience: Patience,
    /// Seconds since 1970 by the machine's date.
    pub clock: fn() -> i64,
    /// Different in every run, so that sensors do not try again in step.
    pub seed: u64,
}

/// A day's worth and more of the worst that incidents bring.
pub const SPOOL_BYTES: u64 = 256 << 20;

impl Setting {
    /// A setting without a state folder.
    pub fn new(sensor: &str, when_full: WhenFull, clock: fn() -> i64) -> Self {
        Self {
            sensor: sensor.to_owned(),
            when_full,
            state: None,
            spool_bytes: SPOOL_BYTES,
            patience: Patience::default(),
            clock,
            seed: 0,
        }
    }
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
    /// Where records go that must arrive.
    spool: Option<mpsc::Sender<Record>>,
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
    /// Nothing but records of incidents, and of the sensor's own troubles.
    pub alerts_only: bool,
}

/// Builds the lanes of all sinks.
struct Builder<'a> {
    setting: &'a Setting,
    ending: watch::Receiver<bool>,
    lanes: Vec<Lane>,
    entrances: Vec<Entrance>,
}

impl Sinks {
    /// Opens the sinks and their spools and starts their thread. A file that cannot be opened is an error; a collector that
    /// is not there yet is not.
    pub fn start(specs: Vec<SinkSpec>, setting: &Setting) -> Result<Self, SinkError> {
        let (end, ending) = watch::channel(false);
        let mut builder = Builder { setting, ending, lanes: Vec::new(), entrances: Vec::new() };
        let mut lodging = Lodging::new(setting);
        for spec in specs {
            let lodged = lodging.spool(&spec.target)?;
            let sink = open(&spec.target, lodged.is_some(), setting)?;
            builder.add(sink, spec.wants(), lodged)?;
        }
        lodging.tell_of_the_homeless();
        builder.start(end)
    }

    /// Starts the thread for sinks of any make, each with what it takes, without spools.
    pub fn with<W: Into<Wants>>(
        sinks: Vec<(Box<dyn Sink>, W)>,
        setting: &Setting,
    ) -> Result<Self, SinkError> {
        let (end, ending) = watch::channel(false);
        let mut builder = Builder { setting, ending, lanes: Vec::new(), entrances: Vec::new() };
        for (sink, wants) in sinks {
            builder.add(sink, wants.into(), None)?;
        }
        builder.start(end)
    }

    /// Sends a record to every sink that takes it, in the sink's shape. Not to be called from an asynchronous task when
    /// [`WhenFull::Wait`] is chosen.
    pub fn send(&self, record: &Record) {
        for lane in self.lanes.iter().filter(|lane| lane.wants.wants(record)) {
            let record = record.shaped(lane.wants.format);
            match &lane.spool {
                Some(spool) if record.kind.must_arrive() => lane.keep(spool, record),
                _ => lane.send(Parcel::Record(record), self.when_full),
            }
        }
    }

    /// Sends pages of records of flows to every sink that writes them: they have no severity.
    pub fn send_pages(&self, pages: Vec<Page>) {
        let pages: Vec<Arc<Page>> = pages.into_iter().map(Arc::new).collect();
        let takes = |lane: &&Entrance| lane.wants.format == Format::Eve && !lane.wants.alerts_only;
        for lane in self.lanes.iter().filter(takes) {
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

    /// How every sink does, in the order they were given.
    pub fn states(&self) -> Vec<SinkStatus> {
        self.lanes.iter().map(|lane| lane.counters.status()).collect()
    }

    /// Delivers what is in the queues and ends; what is not delivered within `deadline` stays in the spools, or is
    /// discarded where there is none.
    pub fn finish(self, deadline: Duration) -> SinkReport {
        let counters: Vec<Arc<Counters>> = self.lanes.iter().map(|lane| lane.counters.clone()).collect();
        drop(self.lanes);
        // Where the thread has gone there is nobody to stop, and the counts tell.
        let _ = self.stop.send(deadline);
        let _ = self.thread.join();
        SinkReport { sinks: counters.iter().map(|counters| counters.state()).collect() }
    }
}

impl Builder<'_> {
    fn add(
        &mut self,
        sink: Box<dyn Sink>,
        wants: Wants,
        lodged: Option<lodging::Lodged>,
    ) -> Result<(), SinkError> {
        let (queue, parcels) = mpsc::channel(QUEUE_LENGTH);
        let reopen = Arc::new(Notify::new());
        let counters = Arc::new(Counters::new(sink.name(), self.setting.clock));
        let (outlet, spool) = match lodged {
            None => (None, None),
            Some(spool) => {
                let (keep, intake) = mpsc::channel(QUEUE_LENGTH);
                let outlet = Outlet::start(spool, intake, queue.clone(), Arc::clone(&counters))?;
                (Some(outlet), Some(keep))
            }
        };
        let seed = self.setting.seed.wrapping_add(self.lanes.len() as u64);
        self.lanes.push(Lane {
            doubt: Doubt::lasting(sink.doubt()),
            sink,
            parcels,
            outlet,
            reopen: Arc::clone(&reopen),
            counters: Arc::clone(&counters),
            backoff: Backoff::new(self.setting.patience, seed),
            when_full: self.setting.when_full,
            ending: self.ending.clone(),
        });
        self.entrances.push(Entrance { queue, spool, reopen, counters, wants });
        Ok(())
    }

    fn start(self, end: watch::Sender<bool>) -> Result<Sinks, SinkError> {
        let (stop, stopped) = oneshot::channel();
        let thread = runner::start(self.lanes, stopped, end)?;
        Ok(Sinks { lanes: self.entrances, when_full: self.setting.when_full, stop, thread })
    }
}

impl Wants {
    fn wants(self, record: &Record) -> bool {
        let kind = !self.alerts_only || record.kind.must_arrive();
        kind && self.format.tells(record.kind)
            && record.severity.is_none_or(|severity| severity >= self.min_severity)
    }
}

impl Entrance {
    /// Sends a record to the spool; the sender never waits for a disk.
    fn keep(&self, spool: &mpsc::Sender<Record>, record: Record) {
        self.counters.send(1);
        if spool.try_send(record).is_err() {
            self.counters.refuse(1);
        }
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
        Self { format: Format::Eve, min_severity, alerts_only: false }
    }
}

impl SinkSpec {
    fn wants(&self) -> Wants {
        let alerts_only = matches!(self.target, Target::Webhook(_));
        Wants { format: self.format, min_severity: self.min_severity, alerts_only }
    }
}

/// Opens a sink; `spooled` says whether what it is given comes again after a crash.
fn open(target: &Target, spooled: bool, setting: &Setting) -> Result<Box<dyn Sink>, SinkError> {
    let Setting { sensor, clock, .. } = setting;
    Ok(match target {
        Target::File { path, begin, rotation } => {
            let begin = if spooled && *begin == Begin::Append { Begin::Mend } else { *begin };
            Box::new(FileSink::open(path, begin, *rotation, *clock)?)
        }
        Target::Stdout => Box::new(StreamSink::stdout()?),
        Target::Udp { host, port } => Box::new(DatagramSink::udp(host, *port, sensor)),
        Target::Unix(path) => Box::new(DatagramSink::unix(path.clone(), sensor)),
        Target::Tcp { host, port } => Box::new(TcpSink::tcp(host, *port, sensor).patient(setting.patience)),
        Target::Tls { host, port, ca_file } => {
            Box::new(TcpSink::tls(host, *port, ca_file.as_deref(), sensor)?.patient(setting.patience))
        }
        Target::Webhook(hook) => Box::new(WebhookSink::open(hook, *clock)?),
    })
}
