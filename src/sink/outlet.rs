//! A sink's spool, filled on one side and emptied on the other. Comes in: records of incidents, from the judgement. Goes
//! out: the same records to the task that delivers, from the disk. Filling has a thread of its own, so that a slow disk
//! holds neither packets nor other sinks; reading happens on the runtime's threads for blocking work.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;

use super::counters::Counters;
use super::runner::Parcel;
use super::spool::{Entry, Folder, Spool};
use super::{Record, SinkError};

/// Records that are brought to the disk at once: one synchronisation for all that wait.
const GROUP: usize = 64;

/// Records that are read at once.
const BATCH: usize = 512;

/// The end of a spool that is read from.
pub(super) struct Outlet {
    shared: Arc<Shared>,
    /// Whether there may be something to read.
    unread: bool,
}

struct Shared {
    spool: Mutex<Spool<Folder>>,
    /// Told when there is something to read, and at the end.
    filled: Notify,
    /// Whether nothing more will come.
    ended: AtomicBool,
    counters: Arc<Counters>,
}

/// What was read.
pub(super) enum Reading {
    /// The next records.
    Entries(Vec<Entry>),
    /// Nothing for now.
    Empty,
    /// Nothing, and nothing will come.
    End,
}

impl Outlet {
    /// Takes a spool into use: records from `intake` go into it, those that the disk refuses to `past`.
    pub fn start(
        spool: Spool<Folder>,
        intake: mpsc::Receiver<Record>,
        past: mpsc::Sender<Parcel>,
        counters: Arc<Counters>,
    ) -> Result<Self, SinkError> {
        counters.send(spool.waiting());
        let shared = Arc::new(Shared {
            spool: Mutex::new(spool),
            filled: Notify::new(),
            ended: AtomicBool::new(false),
            counters,
        });
        shared.measure(&shared.spool());
        let filling = Arc::clone(&shared);
        let work = move || filling.fill(intake, &past);
        thread::Builder::new().name("spool".to_owned()).spawn(work).map_err(SinkError::Start)?;
        Ok(Self { shared, unread: true })
    }

    /// Waits until there may be something to read.
    pub async fn ready(&mut self) {
        if !self.unread {
            self.shared.filled.notified().await;
            self.unread = true;
        }
    }

    /// Reads the next records.
    pub async fn read(&mut self) -> io::Result<Reading> {
        // Looked at first: what came before the end is read before it is believed.
        let ended = self.shared.ended.load(Ordering::Acquire);
        let entries = self.with(|spool| spool.next(BATCH)).await?;
        self.unread = !entries.is_empty();
        Ok(match (entries.is_empty(), ended) {
            (false, _) => Reading::Entries(entries),
            (true, false) => Reading::Empty,
            (true, true) => Reading::End,
        })
    }

    /// Waits until everything that was sent is on the disk, and nothing more will come.
    pub async fn filled_up(&self) {
        while !self.shared.ended.load(Ordering::Acquire) {
            self.shared.filled.notified().await;
        }
    }

    /// Notes that everything up to this number was delivered.
    pub async fn commit(&self, number: u64) -> io::Result<()> {
        self.with(move |spool| spool.commit(number)).await
    }

    /// Has everything that was not committed read again.
    pub async fn rewind(&mut self) {
        self.unread = true;
        // Nothing is written or read by it.
        let rewound = self.with(|spool| {
            spool.rewind();
            Ok(())
        });
        let _ = rewound.await;
    }

    /// Puts records aside that the receiver will never take.
    pub async fn reject(&self, rejected: Vec<(Record, String)>) -> io::Result<()> {
        self.with(move |spool| rejected.iter().try_for_each(|(record, reason)| spool.reject(record, reason)))
            .await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool<Folder>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let shared = Arc::clone(&self.shared);
        let done = spawn_blocking(move || {
            let mut spool = shared.spool();
            let done = work(&mut spool);
            shared.measure(&spool);
            done
        });
        done.await.map_err(io::Error::other)?
    }
}

impl Shared {
    fn spool(&self) -> MutexGuard<'_, Spool<Folder>> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self, spool: &Spool<Folder>) {
        let damage = spool.damage();
        self.counters.spool(spool.waiting(), spool.bytes(), damage.stretches + u64::from(damage.cursor));
    }

    /// Brings records to the disk until no more come.
    fn fill(&self, mut intake: mpsc::Receiver<Record>, past: &mpsc::Sender<Parcel>) {
        let mut group = Vec::with_capacity(GROUP);
        while intake.blocking_recv_many(&mut group, GROUP) > 0 {
            self.keep(&group, past);
            group.clear();
            self.filled.notify_one();
        }
        self.ended.store(true, Ordering::Release);
        self.filled.notify_one();
    }

    /// What the disk refuses goes on in memory: a record that may be lost is better than none.
    fn keep(&self, group: &[Record], past: &mpsc::Sender<Parcel>) {
        let mut spool = self.spool();
        match spool.append(group) {
            Ok(outcome) => {
                self.counters.can_spool();
                self.counters.refuse(outcome.refused + outcome.displaced);
            }
            Err(error) => {
                self.counters.cannot_spool(group.len() as u64, &error);
                for record in group {
                    if past.try_send(Parcel::Record(record.clone())).is_err() {
                        self.counters.refuse(1);
                    }
                }
            }
        }
        self.measure(&spool);
    }
}
