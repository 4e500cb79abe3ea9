//! How far the threads of a pipeline are, for whoever looks from outside while it runs. Comes in: counts of what was
//! handed over and done. Goes out: who owes work and what moved through the flow tables. Reads no clock: whether nothing
//! moves for too long, the one who looks decides.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::aggregate::Sides;
use crate::detect::Subject;
use crate::flow::{FlowCounts, LedgerCounts};

/// How far all threads are.
#[derive(Debug, Default)]
pub struct Progress {
    workers: Vec<Arc<Hand>>,
    reducer: Arc<Hand>,
    one_way: Arc<OneWay>,
}

/// The services of which the mirror shows one direction only, and which.
pub(super) type OneWay = Mutex<Vec<(Subject, Sides)>>;

/// What one thread was given and has done.
#[derive(Debug, Default)]
pub(super) struct Hand {
    given: AtomicU64,
    done: AtomicU64,
    moved: Mutex<(FlowCounts, LedgerCounts)>,
    /// Whether a test wants its thread to die.
    #[cfg(test)]
    pub doomed: std::sync::atomic::AtomicBool,
}

/// Work of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Batches handed over so far.
    pub given: u64,
    /// Batches done so far.
    pub done: u64,
}

impl Progress {
    /// Of so many workers and a reducer.
    pub(super) fn of(workers: usize) -> Self {
        let workers = (0..workers).map(|_| Arc::default()).collect();
        Self { workers, ..Self::default() }
    }

    pub(super) fn worker(&self, index: usize) -> Arc<Hand> {
        self.workers.get(index).map(Arc::clone).unwrap_or_default()
    }

    pub(super) fn reducer(&self) -> Arc<Hand> {
        Arc::clone(&self.reducer)
    }

    pub(super) fn board_of_one_way(&self) -> Arc<OneWay> {
        Arc::clone(&self.one_way)
    }

    /// The services of which the mirror shows one direction only, and which, up to the last second that was judged.
    pub fn one_way(&self) -> Vec<(Subject, Sides)> {
        self.one_way.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The work of each thread by its name; nothing where everything is done in place.
    pub fn work(&self) -> Vec<(String, Work)> {
        let workers = self.workers.iter().enumerate();
        let named = workers.map(|(index, hand)| (format!("worker {index}"), hand.work()));
        named.chain([("reducer".to_owned(), self.reducer.work())]).collect()
    }

    /// What moved through the flow tables and the ledgers, up to the last second that is over.
    pub fn moved(&self) -> (FlowCounts, LedgerCounts) {
        let (mut flows, mut ledgers) = (FlowCounts::default(), LedgerCounts::default());
        for hand in &self.workers {
            let moved = hand.moved.lock().unwrap_or_else(PoisonError::into_inner);
            flows.merge(&moved.0);
            ledgers.merge(&moved.1);
        }
        (flows, ledgers)
    }
}

impl Hand {
    /// Something was handed over.
    pub fn give(&self) {
        self.given.fetch_add(1, Relaxed);
    }

    /// Something that was handed over is done.
    pub fn done(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    /// What moved so far.
    pub fn moved(&self, flows: FlowCounts, ledgers: LedgerCounts) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = (flows, ledgers);
    }

    fn work(&self) -> Work {
        // In this order: what is given in between makes no work that was never given.
        let done = self.done.load(Relaxed);
        Work { given: self.given.load(Relaxed).max(done), done }
    }
}
