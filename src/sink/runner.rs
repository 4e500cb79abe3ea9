//! The thread that delivers: a runtime with one task a sink. Comes in: records out of the queues. Goes out: deliveries,
//! counted. Ends when the queues are empty and closed, or when the time for that is up.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::report::Counters;
use super::{Page, Record, Sink, SinkError};

/// A sink with the receiving end of its queue.
pub(super) struct Lane {
    pub sink: Box<dyn Sink>,
    pub parcels: mpsc::Receiver<Parcel>,
    pub reopen: Arc<Notify>,
    pub counters: Arc<Counters>,
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

/// Starts the thread; it ends by itself when `stopped` says how long it may still take, or its sender is gone.
pub(super) fn start(
    lanes: Vec<Lane>,
    stopped: oneshot::Receiver<Duration>,
) -> Result<JoinHandle<()>, SinkError> {
    let runtime =
        Builder::new_current_thread().enable_io().enable_time().build().map_err(SinkError::Start)?;
    let work = move || deliver(runtime, lanes, stopped);
    thread::Builder::new().name("sinks".to_owned()).spawn(work).map_err(SinkError::Start)
}

fn deliver(runtime: Runtime, lanes: Vec<Lane>, stopped: oneshot::Receiver<Duration>) {
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for lane in lanes {
            tasks.spawn(run(lane));
        }
        let mut ended = std::pin::pin!(async { while tasks.join_next().await.is_some() {} });
        tokio::select! {
            () = &mut ended => {}
            deadline = stopped => match deadline {
                // Time is up for those that have not ended; their counters say what was left.
                Ok(deadline) => drop(timeout(deadline, ended).await),
                Err(_) => ended.await,
            },
        }
    });
    // A write that hangs must not hold the end of the process.
    runtime.shutdown_background();
}

/// Delivers a sink's records until its queue is closed and empty.
async fn run(mut lane: Lane) {
    let mut parcels = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            () = lane.reopen.notified() => lane.counters.note(lane.sink.reopen().await),
            count = lane.parcels.recv_many(&mut parcels, BATCH) => {
                if count == 0 {
                    break;
                }
                lane.take(parcels.drain(..)).await;
            }
        }
    }
    if !lane.counters.is_closed() {
        lane.counters.note(lane.sink.finish().await);
    }
}

impl Lane {
    /// Delivers parcels in their order, those at once that are of one kind and follow each other.
    async fn take(&mut self, parcels: impl Iterator<Item = Parcel>) {
        let mut batch = Batch::Records(Vec::new());
        for parcel in parcels {
            if let Some(done) = batch.add(parcel) {
                self.deliver(&done).await;
            }
        }
        self.deliver(&batch).await;
    }

    /// Once the reader has gone, records are taken out of the queue and dropped, so that nobody waits for room.
    async fn deliver(&mut self, batch: &Batch) {
        let records = batch.len();
        if records == 0 {
            return;
        }
        if self.counters.is_closed() {
            self.counters.discard(records);
            return;
        }
        let delivery = match batch {
            Batch::Records(records) => self.sink.deliver(records).await,
            Batch::Pages(pages) => self.sink.deliver_pages(pages).await,
        };
        if delivery.closed {
            self.counters.discard(records.saturating_sub(delivery.delivered + delivery.failed));
        }
        self.counters.note(delivery);
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

    fn len(&self) -> u64 {
        match self {
            Batch::Records(records) => records.len() as u64,
            Batch::Pages(pages) => pages.iter().map(|page| page.len() as u64).sum(),
        }
    }
}
