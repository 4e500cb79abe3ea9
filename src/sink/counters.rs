//! A sink's counts, shared between who sends, who delivers and who looks. Comes in: each step of its records. Goes out:
//! numbers that add up; errors are told to the log at a rate that falls as they go on.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use super::{Delivery, SinkCounts, SinkError, SinkState, SinkStatus};

/// One sink's counts.
#[derive(Debug)]
pub(super) struct Counters {
    name: String,
    clock: fn() -> i64,
    /// Sent, whether or not there was room.
    sent: AtomicU64,
    delivered: AtomicU64,
    /// Found no room in the queue or in the spool.
    refused: AtomicU64,
    /// Came out of the queue after the reader had gone.
    unread: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    errors: AtomicU64,
    /// Seconds since 1970; 0 while it works.
    failing_since: AtomicI64,
    closed: AtomicBool,
    spool: SpoolCounters,
    errors_told: Mutex<Errors>,
}

#[derive(Debug, Default)]
struct SpoolCounters {
    waiting: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
    unspooled: AtomicU64,
    error: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Errors {
    first: Option<String>,
    last: Option<String>,
}

impl Counters {
    /// Counts from nothing; `clock` tells seconds since 1970.
    pub fn new(name: String, clock: fn() -> i64) -> Self {
        Self {
            name,
            clock,
            sent: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failing_since: AtomicI64::new(0),
            closed: AtomicBool::new(false),
            spool: SpoolCounters::default(),
            errors_told: Mutex::default(),
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

    /// Records are lost for want of a receiver that takes them.
    pub fn fail(&self, records: u64) {
        self.failed.fetch_add(records, Relaxed);
    }

    /// Records left the queue and were given to the sink.
    pub fn note(&self, delivery: &Delivery) {
        self.delivered.fetch_add(delivery.delivered, Relaxed);
        let rejected = delivery.rejected.len() as u64;
        self.rejected.fetch_add(rejected, Relaxed);
        self.failed.fetch_add(delivery.failed + rejected, Relaxed);
        if delivery.closed {
            self.closed.store(true, Relaxed);
        }
        let reasons = delivery.rejected.iter().map(|rejected| &rejected.reason);
        reasons.chain(&delivery.error).for_each(|error| self.tell(error));
        match (&delivery.error, delivery.left) {
            (Some(_), 1..) => self.turn_bad(),
            _ if delivery.delivered + rejected > 0 => self.turn_good(),
            _ => {}
        }
    }

    fn turn_bad(&self) {
        // Of no interest which of two at once came first.
        let _ = self.failing_since.compare_exchange(0, (self.clock)().max(1), Relaxed, Relaxed);
    }

    fn turn_good(&self) {
        let since = self.failing_since.swap(0, Relaxed);
        if since != 0 {
            let secs = (self.clock)().saturating_sub(since);
            info!(sink = self.name, secs, "records are delivered again");
        }
    }

    /// Tells an error.
    pub fn tell(&self, error: &SinkError) {
        let errors = self.errors.fetch_add(1, Relaxed) + 1;
        self.remember(error.to_string());
        if tells(errors) {
            let failed = self.failed.load(Relaxed);
            warn!(sink = self.name, %error, errors, failed, "records could not be delivered");
        }
    }

    fn remember(&self, error: String) {
        let mut told = self.errors_told.lock().unwrap_or_else(PoisonError::into_inner);
        told.first.get_or_insert_with(|| error.clone());
        told.last = Some(error);
    }

    /// Records could not be brought to the spool's disk.
    pub fn cannot_spool(&self, records: u64, error: &std::io::Error) {
        let before = self.spool.unspooled.fetch_add(records, Relaxed);
        self.remember(format!("spool: {error}"));
        *self.spool.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        if before.checked_ilog2() != (before + records).checked_ilog2() {
            warn!(sink = self.name, %error, unspooled = before + records, "the spool takes no records");
        }
    }

    /// The spool's disk took what it was given.
    pub fn can_spool(&self) {
        *self.spool.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is in the spool.
    pub fn spool(&self, waiting: u64, bytes: u64, damaged: u64) {
        self.spool.waiting.store(waiting, Relaxed);
        self.spool.bytes.store(bytes, Relaxed);
        let before = self.spool.damaged.swap(damaged, Relaxed);
        if damaged > before {
            warn!(sink = self.name, damaged, "the spool was damaged; what was whole is delivered");
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

    /// How the sink does now.
    pub fn status(&self) -> SinkStatus {
        let since = self.failing_since.load(Relaxed);
        SinkStatus {
            name: self.name.clone(),
            failing_since: (since != 0).then_some(since),
            last_error: self.errors_told.lock().unwrap_or_else(PoisonError::into_inner).last.clone(),
            counts: self.counts(),
            rejected: self.rejected.load(Relaxed),
            spooled: self.spool.waiting.load(Relaxed),
            spooled_bytes: self.spool.bytes.load(Relaxed),
            unspooled: self.spool.unspooled.load(Relaxed),
            spool_error: self.spool.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            damaged: self.spool.damaged.load(Relaxed),
        }
    }

    /// The end: what was sent and neither came to an end nor waits in the spool is discarded.
    pub fn state(&self) -> SinkState {
        let mut counts = self.counts();
        let spooled = self.spool.waiting.load(Relaxed);
        let ended = counts.delivered + counts.failed + counts.discarded + spooled;
        counts.discarded += self.sent.load(Relaxed).saturating_sub(ended);
        SinkState {
            name: self.name.clone(),
            counts,
            first_error: self.errors_told.lock().unwrap_or_else(PoisonError::into_inner).first.clone(),
            closed: self.is_closed(),
            spooled,
        }
    }
}

/// The first, second, fourth, eighth … time: often enough to see that it goes on, never a flood.
fn tells(times: u64) -> bool {
    times.is_power_of_two()
}
