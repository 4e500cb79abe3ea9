//! The thread that delivers: a runtime with one task a sink. Comes in: records out of the queues and spools. Goes out:
//! deliveries, counted. What a receiver does not take is kept and given again, later and later. Ends when queues and
//! spools are empty and closed, or when the time for that is up.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::counters::Counters;
use super::doubt::{Delivered, Doubt};
use super::outlet::{Outlet, Reading};
use super::spool::Entry;
use super::{Delivery, Page, Record, Settled, Sink, SinkError, WhenFull};

/// A sink with the receiving ends of its queue and its spool.
pub(super) struct Lane {
    pub sink: Box<dyn Sink>,
    /// What it has delivered and may still be lost.
    pub doubt: Doubt,
    pub parcels: mpsc::Receiver<Parcel>,
    pub outlet: Option<Outlet>,
    pub reopen: Arc<Notify>,
    pub counters: Arc<Counters>,
    pub backoff: Backoff,
    /// Whoever waits for room is not to wait for ever: what is refused too often is lost.
    pub when_full: WhenFull,
    /// Turns true when the run ends.
    pub ending: watch::Receiver<bool>,
}

/// What is sent as one.
pub(super) enum Parcel {
    /// A record.
    Record(Record),
    /// Records of flows; every sink has the same page.
    Page(Arc<Page>),
}

impl Parcel {
    /// How many records it holds.
    pub fn records(&self) -> u64 {
        match self {
            Parcel::Record(_) => 1,
            Parcel::Page(page) => page.len() as u64,
        }
    }
}

/// Parcels that are delivered at once: a write for each would cost a replay with many records dear.
const BATCH: usize = 64;

/// Between two attempts with records that must arrive and that no spool holds, once the run ends; until the time for that
/// is up.
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// Starts the thread; it ends by itself when `stopped` says how long it may still take, or its sender is gone.
pub(super) fn start(
    lanes: Vec<Lane>,
    stopped: oneshot::Receiver<Duration>,
    ending: watch::Sender<bool>,
) -> Result<JoinHandle<()>, SinkError> {
    let runtime =
        Builder::new_current_thread().enable_io().enable_time().build().map_err(SinkError::Start)?;
    let work = move || {
        deliver(&runtime, lanes, stopped, &ending);
        // A write that hangs must not hold the end of the process.
        runtime.shutdown_background();
    };
    thread::Builder::new().name("sinks".to_owned()).spawn(work).map_err(SinkError::Start)
}

fn deliver(
    runtime: &Runtime,
    lanes: Vec<Lane>,
    stopped: oneshot::Receiver<Duration>,
    ending: &watch::Sender<bool>,
) {
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for lane in lanes {
            tasks.spawn(lane.run());
        }
        let mut ended = std::pin::pin!(async { while tasks.join_next().await.is_some() {} });
        tokio::select! {
            () = &mut ended => {}
            deadline = stopped => {
                ending.send_replace(true);
                match deadline {
                    // Time is up for those that have not ended; their counters say what was left.
                    Ok(deadline) => drop(timeout(deadline, ended).await),
                    Err(_) => ended.await,
                }
            }
        }
    });
}

/// How a wait before another attempt ended.
#[derive(PartialEq, Eq)]
enum Pause {
    /// It is time to try again.
    Over,
    /// It was tried often enough.
    GivenUp,
    /// The run ends.
    Ending,
}

impl Lane {
    /// Delivers a sink's records until its queue and its spool are closed and empty.
    async fn run(mut self) {
        let mut parcels = Vec::with_capacity(BATCH);
        let (mut queue_open, mut spool_open) = (true, self.outlet.is_some());
        while queue_open || spool_open {
            let Self { parcels: queue, outlet, reopen, doubt, .. } = &mut self;
            tokio::select! {
                () = reopen.notified() => self.reopen().await,
                count = queue.recv_many(&mut parcels, BATCH), if queue_open => {
                    queue_open = count > 0;
                    self.take(parcels.drain(..)).await;
                }
                () = ready(outlet), if spool_open => spool_open = self.empty_spool().await,
                () = doubt.lifted() => self.lift_doubt().await,
            }
        }
        if let Some(outlet) = &self.outlet {
            // What the sink does not take any more is still to reach the spool.
            outlet.filled_up().await;
        }
        if !self.counters.is_closed() {
            let last = self.sink.finish().await;
            self.counters.note(&last);
        }
        self.end_doubt().await;
    }

    async fn reopen(&mut self) {
        let reopened = self.sink.reopen().await;
        self.counters.note(&reopened);
    }

    /// Delivers parcels in their order, those at once that are of one kind and follow each other.
    async fn take(&mut self, parcels: impl Iterator<Item = Parcel>) {
        let mut batch = Batch::Records(Vec::new());
        for parcel in parcels {
            if let Some(done) = batch.add(parcel) {
                self.deliver(done).await;
            }
        }
        self.deliver(batch).await;
    }

    /// Delivers a batch, in as many attempts as it takes. Once the reader has gone, records are taken out of the queue and
    /// dropped, so that nobody waits for room.
    async fn deliver(&mut self, mut batch: Batch) {
        while batch.len() > 0 {
            if self.counters.is_closed() {
                self.counters.discard(batch.len());
                return;
            }
            let delivery = match &batch {
                Batch::Records(records) => self.sink.deliver(records).await,
                Batch::Pages(pages) => self.sink.deliver_pages(pages).await,
            };
            self.counters.note(&delivery);
            batch = batch.last(delivery.left);
            if delivery.closed {
                continue;
            }
            match self.pause_after(&delivery).await {
                Pause::Over => {}
                Pause::GivenUp => return self.counters.fail(batch.len()),
                // They come here past a spool whose disk refused them: nothing else holds them.
                Pause::Ending if batch.must_arrive() => sleep(LAST_PAUSE).await,
                Pause::Ending => return self.counters.discard(batch.len()),
            }
        }
    }

    /// Reads on in the spool and delivers what was read; answers whether there may be more.
    async fn empty_spool(&mut self) -> bool {
        let Some(outlet) = &mut self.outlet else { return false };
        match outlet.read().await {
            Ok(Reading::Entries(entries)) => self.deliver_entries(entries).await,
            Ok(Reading::Empty) => true,
            Ok(Reading::End) => false,
            Err(error) => self.refused(error.into()).await,
        }
    }

    /// Delivers what the spool holds until all of it is settled; answers whether to go on.
    async fn deliver_entries(&mut self, entries: Vec<Entry>) -> bool {
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
        let records: Vec<Record> = entries.into_iter().map(|entry| entry.record).collect();
        let mut rest = records.as_slice();
        loop {
            let mut delivery = self.sink.deliver(rest).await;
            let taken = rest.len().saturating_sub(usize::try_from(delivery.left).unwrap_or(usize::MAX));
            self.put_aside(rest, &delivery).await;
            rest = rest.get(taken..).unwrap_or_default();
            match self.sink.settle().await {
                Settled::Yes => self.note_settled(&mut delivery, &numbers, rest.len()).await,
                Settled::NotYet => {
                    delivery.left = delivery.left.max(1);
                    delivery
                        .error
                        .get_or_insert_with(|| SinkError::Io(io::Error::from(ErrorKind::Interrupted)));
                }
                Settled::Lost(error) => {
                    self.give_again().await;
                    return self.refused(error).await;
                }
            }
            self.counters.note(&delivery);
            if delivery.left == 0 {
                self.backoff.succeed();
                return true;
            }
            let refused = delivery.error.is_some();
            if self.pause_after(&delivery).await == Pause::Ending {
                return false;
            }
            if refused {
                // Read again with what came meanwhile: by the next record a receiver shows on which one it fails.
                self.give_again().await;
                return true;
            }
        }
    }

    /// Has everything given again that is not known to have arrived; it is counted then.
    async fn give_again(&mut self) {
        self.doubt.take_all();
        if let Some(outlet) = &mut self.outlet {
            outlet.rewind().await;
        }
    }

    /// Lets the spool go of what has been in doubt for long enough, unless it proves lost.
    async fn lift_doubt(&mut self) {
        let Some(lifted) = self.doubt.take_lifted().await else { return };
        match self.sink.settle().await {
            Settled::Yes => self.note_arrived(lifted).await,
            Settled::NotYet => self.doubt.cast(lifted),
            Settled::Lost(error) => {
                self.give_again().await;
                self.counters.note(&Delivery::refusal(1, error));
            }
        }
    }

    /// The end: what the sink has seen through is done with, the rest stays in the spool.
    async fn end_doubt(&mut self) {
        if !self.doubt.is_empty()
            && let Settled::Yes = self.sink.settle().await
            && let Some(all) = self.doubt.take_all()
        {
            self.note_arrived(all).await;
        }
    }

    async fn note_arrived(&mut self, arrived: Delivered) {
        self.commit(arrived.last).await;
        self.counters.note(&Delivery { delivered: arrived.records, ..Delivery::default() });
    }

    /// Tells that nothing goes on for now, and waits; answers whether to go on.
    async fn refused(&mut self, error: SinkError) -> bool {
        let refused = Delivery::refusal(1, error);
        self.counters.note(&refused);
        self.pause_after(&refused).await != Pause::Ending
    }

    /// All but the last `left` of these records are settled: the spool lets go of them, at once or when they are in doubt no
    /// more; they are counted then.
    async fn note_settled(&mut self, delivery: &mut Delivery, numbers: &[u64], left: usize) {
        let done = numbers.len().saturating_sub(left);
        let Some(last) = done.checked_sub(1).and_then(|at| numbers.get(at)).copied() else { return };
        if !self.doubt.is_cast() {
            return self.commit(last).await;
        }
        let records = std::mem::take(&mut delivery.delivered);
        if records > 0 {
            self.doubt.cast(Delivered { last, records });
        }
    }

    /// Notes in the spool that all up to this number were delivered.
    async fn commit(&mut self, number: u64) {
        let Some(outlet) = &self.outlet else { return };
        if let Err(error) = outlet.commit(number).await {
            self.counters.cannot_spool(0, &error);
        }
    }

    /// Records that the receiver will never take; where they cannot be put aside, the log has them.
    async fn put_aside(&mut self, records: &[Record], delivery: &Delivery) {
        let rejected: Vec<(Record, String)> = delivery
            .rejected
            .iter()
            .filter_map(|rejected| Some((records.get(rejected.index)?.clone(), rejected.reason.to_string())))
            .collect();
        let (Some(outlet), false) = (&self.outlet, rejected.is_empty()) else { return };
        let told = rejected.clone();
        if let Err(error) = outlet.reject(rejected).await {
            self.counters.cannot_spool(0, &error);
            for (record, reason) in told {
                tracing::error!(sink = self.counters.name(), reason, record = &*record.line, "rejected");
            }
        }
    }

    /// Waits before what was left is given again. Whoever took a part without an error is given the rest at once.
    async fn pause_after(&mut self, delivery: &Delivery) -> Pause {
        if delivery.left == 0 || delivery.error.is_none() {
            self.backoff.succeed();
            return Pause::Over;
        }
        let wait = self.backoff.after_failure(delivery.wait);
        if self.when_full == WhenFull::Wait && self.backoff.failures() >= self.sink.attempts() {
            return Pause::GivenUp;
        }
        if self.outlet.is_some() && *self.ending.borrow() {
            return Pause::Ending;
        }
        let Self { ending, outlet, reopen, .. } = self;
        tokio::select! {
            () = sleep(wait) => return Pause::Over,
            () = reopen.notified() => {}
            // The spool keeps what is left.
            _ = ending.wait_for(|ending| *ending), if outlet.is_some() => return Pause::Ending,
        }
        // Somebody has mended something: this is the moment to try.
        self.reopen().await;
        Pause::Over
    }
}

/// Waits for something to read in a spool, where there is one.
async fn ready(outlet: &mut Option<Outlet>) {
    match outlet {
        Some(outlet) => outlet.ready().await,
        None => std::future::pending().await,
    }
}

/// What a sink is given at once.
enum Batch {
    Records(Vec<Record>),
    Pages(Vec<Arc<Page>>),
}

impl Batch {
    /// Adds a parcel; gives what was there where the parcel is of another kind.
    fn add(&mut self, parcel: Parcel) -> Option<Batch> {
        match (self, parcel) {
            (Batch::Records(records), Parcel::Record(record)) => records.push(record),
            (Batch::Pages(pages), Parcel::Page(page)) => pages.push(page),
            (other, Parcel::Record(record)) => {
                return Some(std::mem::replace(other, Batch::Records(vec![record])));
            }
            (other, Parcel::Page(page)) => return Some(std::mem::replace(other, Batch::Pages(vec![page]))),
        }
        None
    }

    fn must_arrive(&self) -> bool {
        match self {
            Batch::Records(records) => records.iter().any(|record| record.kind.must_arrive()),
            Batch::Pages(_) => false,
        }
    }

    fn len(&self) -> u64 {
        match self {
            Batch::Records(records) => records.len() as u64,
            Batch::Pages(pages) => pages.iter().map(|page| page.len() as u64).sum(),
        }
    }

    /// The last so many records.
    fn last(self, count: u64) -> Batch {
        if count == 0 {
            return Batch::Records(Vec::new());
        }
        let skipped = usize::try_from(self.len().saturating_sub(count)).unwrap_or(usize::MAX);
        match self {
            Batch::Records(mut records) => {
                records.drain(..skipped.min(records.len()));
                Batch::Records(records)
            }
            Batch::Pages(pages) => {
                Batch::Records(pages.iter().flat_map(|page| page.records()).skip(skipped).collect())
            }
        }
    }
}
