//! What became of records, counted. Comes in: each sink's deliveries. Goes out: counts while running and a report at the
//! end; errors are told to the log at a rate that falls as they go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use super::{Delivery, SinkError};

/// What became of a sink's records: their sum is what was sent to it, less what is still in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SinkCounts {
    /// Written, or handed to the kernel.
    pub delivered: u64,
    /// There was no room for them, the time was up, or their reader had gone.
    pub discarded: u64,
    /// Writing or sending failed.
    pub failed: u64,
}

/// How a sink ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// What became of its records.
    pub counts: SinkCounts,
    /// The first error it met.
    pub first_error: Option<String>,
    /// Whether its reader had gone, which is no failure.
    pub closed: bool,
}

/// How all sinks ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkReport {
    /// Every sink, in the order they were given.
    pub sinks: Vec<SinkState>,
}

impl SinkReport {
    /// Whether every record reached every sink that still had a reader.
    pub fn is_complete(&self) -> bool {
        self.sinks.iter().all(|sink| sink.counts.failed == 0 && (sink.closed || sink.counts.discarded == 0))
    }

    /// One sentence for each sink that lost records.
    pub fn losses(&self) -> Vec<String> {
        let lossy = self
            .sinks
            .iter()
            .filter(|sink| sink.counts.failed > 0 || (!sink.closed && sink.counts.discarded > 0));
        lossy
            .map(|sink| {
                let SinkCounts { delivered, discarded, failed } = sink.counts;
                let why = sink.first_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
                format!(
                    "{}: {failed} records failed, {discarded} were discarded, {delivered} delivered{why}",
                    sink.name
                )
            })
            .collect()
    }
}

/// A sink's counts, shared between who sends, who delivers and who looks.
#[derive(Debug)]
pub(super) struct Counters {
    name: String,
    /// Sent, whether or not there was room.
    sent: AtomicU64,
    delivered: AtomicU64,
    /// Found no room in the queue.
    refused: AtomicU64,
    /// Came out of the queue after the reader had gone.
    unread: AtomicU64,
    failed: AtomicU64,
    errors: AtomicU64,
    closed: AtomicBool,
    first_error: Mutex<Option<String>>,
}

impl Counters {
    pub fn new(name: String) -> Self {
        Self {
            name,
            sent: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            first_error: Mutex::new(None),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Records were sent.
    pub fn send(&self, records: u64) {
        self.sent.fetch_add(records, Relaxed);
    }

    /// Records found no room.
    pub fn refuse(&self, records: u64) {
        let before = self.refused.fetch_add(records, Relaxed);
        let discarded = before + records;
        // One more digit of two: often enough to see that it goes on.
        if before.checked_ilog2() != discarded.checked_ilog2() {
            warn!(sink = self.name, discarded, "no room for records");
        }
    }

    /// Records left the queue and had no reader.
    pub fn discard(&self, records: u64) {
        self.unread.fetch_add(records, Relaxed);
    }

    /// Records left the queue and were given to the sink.
    pub fn note(&self, delivery: Delivery) {
        self.delivered.fetch_add(delivery.delivered, Relaxed);
        self.failed.fetch_add(delivery.failed, Relaxed);
        if delivery.closed {
            self.closed.store(true, Relaxed);
        }
        if let Some(error) = delivery.error {
            self.tell(&error);
        }
    }

    fn tell(&self, error: &SinkError) {
        let errors = self.errors.fetch_add(1, Relaxed) + 1;
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_string());
        if tells(errors) {
            let failed = self.failed.load(Relaxed);
            warn!(sink = self.name, %error, errors, failed, "records could not be delivered");
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    pub fn counts(&self) -> SinkCounts {
        SinkCounts {
            delivered: self.delivered.load(Relaxed),
            discarded: self.refused.load(Relaxed) + self.unread.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }

    /// The end: what was sent and came to no end is discarded.
    pub fn state(&self) -> SinkState {
        let mut counts = self.counts();
        let ended = counts.delivered + counts.failed + counts.discarded;
        counts.discarded += self.sent.load(Relaxed).saturating_sub(ended);
        SinkState {
            name: self.name.clone(),
            counts,
            first_error: self.first_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            closed: self.is_closed(),
        }
    }
}

/// The first, second, fourth, eighth … time: often enough to see that it goes on, never a flood.
fn tells(times: u64) -> bool {
    times.is_power_of_two()
}
