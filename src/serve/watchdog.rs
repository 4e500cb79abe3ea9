//! Whether the threads move. Comes in: counts of what each was given and has done. Goes out: a condition for each that
//! stands still with work to do, and signs of life to the service manager while none does.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::manager;
use super::status::Status;
use crate::alert::Condition;
use crate::pipeline::{Progress, Work};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks after which standing still is told: within five seconds.
const PATIENCE: u32 = 4;

/// The name of the thread that reads packets.
const READER: &str = "reader";

/// The watchdog, in a thread of its own: whoever is stuck cannot say so.
pub struct Watchdog {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Watches the threads of a pipeline, and the reader, which counts its `turns`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(status: Arc<Status>, progress: Arc<Progress>, turns: Arc<AtomicU64>) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let mut eye = Eye { status, progress, turns, still: BTreeMap::new() };
        let watch = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
                eye.look();
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
        Ok(Self { stop, thread })
    }

    /// Ends it.
    pub fn finish(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

struct Eye {
    status: Arc<Status>,
    progress: Arc<Progress>,
    turns: Arc<AtomicU64>,
    /// What each thread had done at the last look, and for how many looks it has stood still.
    still: BTreeMap<String, (Option<u64>, u32)>,
}

impl Eye {
    fn look(&mut self) {
        let turns = self.turns.load(Relaxed);
        // The reader always has something to do: it waits for packets a twentieth of a second at most.
        let reader = (READER.to_owned(), Work { given: u64::MAX, done: turns });
        let mut all_move = true;
        for (name, work) in self.progress.work().into_iter().chain([reader]) {
            let moves = self.moves(&name, work);
            all_move &= moves;
            let message =
                if moves { "goes on" } else { "has not done anything for 4 s though there is work" };
            let time = self.status.snapshot().stats.capture.last;
            self.status.conditions.set(Condition::Stuck, &name, (!moves, message), time);
        }
        self.status.set_alive(all_move);
        if all_move {
            manager::alive();
        }
    }

    fn moves(&mut self, name: &str, work: Work) -> bool {
        let (done, looks) = self.still.entry(name.to_owned()).or_default();
        *looks = if work.done == work.given || Some(work.done) != *done { 0 } else { *looks + 1 };
        *done = Some(work.done);
        *looks < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Conditions;
    use crate::time::Zone;

    #[test]
    fn who_stands_still_with_work_to_do_is_told_and_who_has_none_is_not() {
        let conditions = Arc::new(Conditions::new(None, "s", Zone::utc()));
        let status = Arc::new(Status::new(Arc::clone(&conditions)));
        let turns = Arc::new(AtomicU64::new(0));
        let mut eye = Eye {
            status: Arc::clone(&status),
            progress: Arc::default(),
            turns: Arc::clone(&turns),
            still: BTreeMap::new(),
        };
        for _ in 0..PATIENCE + 1 {
            assert!(status.is_alive());
            eye.look();
        }
        assert!(!status.is_alive());
        assert!(conditions.holds(Condition::Stuck, READER));
        assert!(!conditions.holds(Condition::Stuck, "reducer"), "it has nothing to do");
        turns.store(1, Relaxed);
        eye.look();
        assert!(status.is_alive());
        assert!(!conditions.holds(Condition::Stuck, READER));
    }
}
