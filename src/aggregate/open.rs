//! The ticks that are still open: the maps in which workers meet, and what a reader sees of them.
//! Comes in: each worker's [`Sums`] of a tick. Goes out: the frozen [`Tick`], and a [`LiveView`] at any time.
//!
//! A reader never holds a lock while it looks: a view is a handful of shared counters, taken out of the map one by
//! one. So no worker waits for a reader, however long it looks.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::scope_tally::ScopeTally;
use super::tick_tally::Sums;
use super::{
    BottomRows, Cell, Counts, FailingKey, Lineage, MakeKey, PathKey, PrefixKey, Probe, ProbedKey, ScopeTick,
    SourceKey, Strangers, Tallies, Tick, Waits, caps, coverage,
};
use crate::flow::ServerEnd;
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

/// One open tick: shared maps, filled by every worker once.
#[derive(Default)]
struct Meeting {
    scopes: DashMap<Scope, ScopeSum, RandomState>,
    candidates: Shared<Scope, ScopeSum>,
    networks: Shared<(Scope, Lineage), Cell>,
    prefixes: Shared<(Scope, PrefixKey), Cell>,
    sources: Shared<(Scope, SourceKey), Cell>,
    paths: Shared<(Scope, PathKey), u64>,
    makes: Shared<(Scope, MakeKey), u64>,
    ends: Shared<(Scope, ServerEnd), u64>,
    failing: Shared<(Scope, FailingKey), u64>,
    probed: Shared<(Scope, ProbedKey), Probe>,
}

/// What one scope comes to over all workers.
#[derive(Default)]
struct ScopeSum {
    counts: Counts,
    strangers: Option<Strangers>,
    waits: Option<Box<Waits>>,
}

/// A capped map that several workers fill: the keys that any of them kept, with their hashes.
struct Shared<K: Eq + Hash, V> {
    first: Mutex<First<K, V>>,
    map: DashMap<K, (u64, V), RandomState>,
    /// The lowest hash that some worker refused; `u64::MAX` where none did.
    limit: AtomicU64,
}

/// What the first worker brought. While nobody else comes there is nothing to be met with, and it stays as it is.
enum First<K, V> {
    Nobody,
    Alone(BottomRows<K, V>),
    Joined,
}

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
        match self.meetings.remove(&tick) {
            Some((_, meeting)) => match Arc::try_unwrap(meeting) {
                Ok(meeting) => meeting.freeze(tick),
                // A worker still holds it, against the caller's promise: nothing to be had.
                Err(_) => Tick { id: tick, ..Tick::default() },
            },
            None => Tick { id: tick, ..Tick::default() },
        }
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
        for (sum, more) in live.0.iter().zip(news.values()) {
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

impl<K: Eq + Hash, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self { first: Mutex::new(First::Nobody), map: DashMap::default(), limit: AtomicU64::new(u64::MAX) }
    }
}

impl<K: Eq + Hash, V: Default> Shared<K, V> {
    fn add(&self, part: BottomRows<K, V>, merge: impl Fn(&mut V, V)) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &*first {
            First::Nobody => std::mem::replace(&mut *first, First::Alone(part)),
            First::Alone(_) | First::Joined => {
                let before = std::mem::replace(&mut *first, First::Joined);
                drop(first);
                self.join(part, &merge);
                before
            }
        };
        if let First::Alone(before) = before {
            self.join(before, &merge);
        }
    }

    fn join(&self, part: BottomRows<K, V>, merge: &impl Fn(&mut V, V)) {
        if let Some(limit) = part.limit {
            self.limit.fetch_min(limit, Ordering::Relaxed);
        }
        for (hash, key, value) in part.rows {
            merge(&mut self.map.entry(key).or_insert_with(|| (hash, V::default())).1, value);
        }
    }

    /// The `cap` rows with the lowest hashes below every limit, and the part of all keys that they are.
    fn freeze(self, cap: usize) -> (Vec<(u64, K, V)>, f64) {
        if let First::Alone(part) = self.first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return (part.rows, coverage(part.limit));
        }
        let limit = self.limit.into_inner();
        let mut rows: Vec<(u64, K, V)> = self
            .map
            .into_iter()
            .filter(|(_, (hash, _))| *hash < limit || limit == u64::MAX)
            .map(|(key, (hash, value))| (hash, key, value))
            .collect();
        let mut refused = (limit != u64::MAX).then_some(limit);
        if rows.len() > cap {
            rows.sort_unstable_by_key(|(hash, _, _)| *hash);
            refused = Some(rows[cap].0);
            rows.retain(|(hash, _, _)| Some(*hash) < refused);
        }
        (rows, coverage(refused))
    }
}

impl Meeting {
    fn add(&self, sums: Sums) {
        if let Some(limit) = sums.refused_scopes {
            self.candidates.limit.fetch_min(limit, Ordering::Relaxed);
        }
        for scope in sums.scopes {
            match scope.candidate_hash() {
                Some(hash) => {
                    let new = || (hash, ScopeSum::default());
                    self.candidates.map.entry(scope.scope).or_insert_with(new).1.merge(scope);
                }
                None => self.scopes.entry(scope.scope).or_default().merge(scope),
            }
        }
        self.sources.add(sums.sources, |sum, more| sum.merge(&more));
        self.networks.add(sums.networks, |sum, more| sum.merge(&more));
        self.prefixes.add(sums.prefixes, |sum, more| sum.merge(&more));
        self.paths.add(sums.paths, |sum, more| *sum += more);
        self.makes.add(sums.makes, |sum, more| *sum += more);
        self.ends.add(sums.ends, |sum, more| *sum += more);
        self.failing.add(sums.failing, |sum, more| *sum += more);
        self.probed.add(sums.probed, Probe::merge);
    }

    fn freeze(self, id: TickId) -> Tick {
        let (sources, covered) = self.sources.freeze(caps::SOURCES);
        let candidates = self.candidates.freeze(caps::CANDIDATES).0;
        let candidates = candidates.into_iter().map(|(_, scope, sum)| (scope, sum));
        let mut frozen = Frozen::default();
        for (scope, sum) in self.scopes.into_iter().chain(candidates) {
            let ScopeSum { counts, strangers, waits } = sum;
            let tick = ScopeTick { counts, strangers, waits, coverage: covered, ..ScopeTick::default() };
            frozen.scope(scope, tick);
        }
        frozen.share_out(sources, |tick| &mut tick.sources);
        frozen.share_out(self.networks.freeze(caps::NETWORKS).0, |tick| &mut tick.networks);
        frozen.share_out(self.prefixes.freeze(caps::PREFIXES).0, |tick| &mut tick.prefixes);
        frozen.share_out(self.paths.freeze(caps::PATHS).0, |tick| &mut tick.paths);
        frozen.share_out(self.makes.freeze(caps::MAKES).0, |tick| &mut tick.makes);
        frozen.share_out(self.ends.freeze(caps::ENDS).0, |tick| &mut tick.ends);
        frozen.share_out(self.failing.freeze(caps::FAILING).0, |tick| &mut tick.failing);
        frozen.share_out(self.probed.freeze(caps::PROBED).0, |tick| &mut tick.probed);
        frozen.scopes.iter_mut().for_each(|(_, tick)| tick.sort());
        Tick { id, scopes: frozen.scopes.into_iter().collect() }
    }
}

/// The scopes of a tick while their rows come together.
#[derive(Default)]
struct Frozen {
    scopes: Vec<(Scope, ScopeTick)>,
    places: HashMap<Scope, usize, RandomState>,
}

impl Frozen {
    fn scope(&mut self, scope: Scope, tick: ScopeTick) {
        self.places.insert(scope, self.scopes.len());
        self.scopes.push((scope, tick));
    }

    /// Gives each row to its scope; rows of a scope that was itself not kept have nowhere to go.
    fn share_out<K, V>(
        &mut self,
        rows: Vec<(u64, (Scope, K), V)>,
        list: impl Fn(&mut ScopeTick) -> &mut Vec<(K, V)>,
    ) {
        let share = rows.len() / self.scopes.len().max(1);
        for (_, (scope, key), value) in rows {
            let place = self.places.get(&scope);
            if let Some((_, tick)) = place.and_then(|place| self.scopes.get_mut(*place)) {
                let list = list(tick);
                if list.is_empty() {
                    list.reserve(share);
                }
                list.push((key, value));
            }
        }
    }
}

impl ScopeSum {
    fn merge(&mut self, sums: ScopeTally) {
        self.counts.merge(&sums.counts);
        match (&mut self.waits, sums.waits) {
            (Some(sum), Some(more)) => sum.merge(&more),
            (sum @ None, more) => *sum = more,
            (Some(_), None) => {}
        }
        match (&mut self.strangers, sums.strangers) {
            (Some(sum), Some(more)) => sum.merge(&more),
            (sum @ None, more) => *sum = more,
            (Some(_), None) => {}
        }
    }
}

impl ScopeTick {
    fn sort(&mut self) {
        self.networks.sort_unstable_by_key(|row| row.0);
        self.prefixes.sort_unstable_by_key(|row| row.0);
        self.sources.sort_unstable_by_key(|row| row.0);
        self.ends.sort_unstable_by_key(|row| row.0);
        self.failing.sort_unstable_by_key(|row| row.0);
        self.probed.sort_unstable_by_key(|row| row.0);
        self.paths.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.makes.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    }
}
