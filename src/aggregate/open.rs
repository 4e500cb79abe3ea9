//! The ticks that are still open: where workers meet, and what a reader sees of them.
//! Comes in: each worker's sums of a tick. Goes out: the frozen [`Tick`], and a [`LiveView`] at any time.
//!
//! A reader never holds a lock while it looks: a view is a handful of shared counters, taken out of the map one by
//! one. So no worker waits for a reader, however long it looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::meeting::Meeting;
use super::{Counts, Tallies, Tick};
use crate::service::Scope;
use crate::time::TickId;

/// The open ticks of all workers.
#[derive(Default)]
pub struct OpenTicks {
    meetings: DashMap<TickId, Arc<Meeting>, RandomState>,
    live: DashMap<Scope, Arc<LiveCounts>, RandomState>,
    unshown: AtomicU64,
}

/// Scopes that readers are shown, the first that came: as many as may turn out to be services.
const MAX_LIVE: usize = 4_096;

/// Running sums of one scope since the start, for readers.
struct LiveCounts(Vec<AtomicU64>);

/// What a reader sees: per scope the sums since the start, the open second included.
pub struct LiveView(Vec<(Scope, Arc<LiveCounts>)>);

impl OpenTicks {
    /// Adds one worker's sums of `tick`; every worker calls it once for every tick that closes.
    pub fn meet(&self, tick: TickId, tallies: &mut Tallies) {
        tallies.show(self);
        let Some(sums) = tallies.take(tick) else { return };
        let meeting = Arc::clone(self.meetings.entry(tick).or_default().value());
        meeting.add(sums);
    }

    /// Whether anything was counted in `tick`.
    pub fn holds(&self, tick: TickId) -> bool {
        self.meetings.contains_key(&tick)
    }

    /// The first tick from `from` to `to` that anything was counted in.
    pub fn first_within(&self, from: TickId, to: TickId) -> Option<TickId> {
        self.meetings.iter().map(|entry| *entry.key()).filter(|tick| (from..=to).contains(tick)).min()
    }

    /// Takes `tick` out of the open ones, sorted; call it when every worker has met there.
    pub fn freeze(&self, tick: TickId) -> Tick {
        let meeting = self.meetings.remove(&tick).map(|(_, meeting)| meeting);
        // Where a worker still holds it, against the caller's promise, there is nothing to be had.
        let sums = meeting.and_then(Arc::into_inner).and_then(Meeting::together);
        sums.map_or_else(|| Tick { id: tick, ..Tick::default() }, |sums| sums.freeze(tick))
    }

    /// Adds to what readers see.
    pub(super) fn show(&self, scope: Scope, news: &Counts) {
        let live = match self.live.get(&scope) {
            Some(live) => Arc::clone(live.value()),
            None if self.live.len() >= MAX_LIVE => {
                self.unshown.fetch_add(1, Ordering::Relaxed);
                return;
            }
            None => Arc::clone(self.live.entry(scope).or_insert_with(LiveCounts::new).value()),
        };
        // Most counts stay as they are, and adding to what others may read takes longer than to look.
        for (sum, more) in live.0.iter().zip(news.values()).filter(|(_, more)| **more > 0) {
            sum.fetch_add(*more, Ordering::Relaxed);
        }
    }

    /// How often a scope was not shown to readers for want of room.
    pub fn unshown(&self) -> u64 {
        self.unshown.load(Ordering::Relaxed)
    }

    /// A reader's view of all scopes, sorted; it stays current while it is held, and holds up nobody.
    pub fn view(&self) -> LiveView {
        let mut scopes: Vec<_> =
            self.live.iter().map(|entry| (*entry.key(), Arc::clone(entry.value()))).collect();
        scopes.sort_unstable_by_key(|(scope, _)| *scope);
        LiveView(scopes)
    }
}

impl LiveCounts {
    fn new() -> Arc<Self> {
        Arc::new(Self(Counts::default().values().iter().map(|_| AtomicU64::new(0)).collect()))
    }
}

impl LiveView {
    /// The scopes seen when the view was taken.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().map(|(scope, _)| *scope)
    }

    /// The present sum of `count` for `scope`.
    pub fn read(&self, scope: Scope, count: super::Count) -> u64 {
        self.0
            .binary_search_by_key(&scope, |(scope, _)| *scope)
            .ok()
            .and_then(|at| self.0[at].1.0.get(count as usize))
            .map_or(0, |sum| sum.load(Ordering::Relaxed))
    }
}
