//! The sums of a service's last seconds, kept up as ticks come and go.
//! Comes in: ticks that enter and leave. Goes out: sums per row, where there is enough traffic that somebody looks at them.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::measure::of_counts;
use super::rule::Measure;
use crate::aggregate::{
    Cell, Counts, FailingKey, Lineage, PathKey, PrefixKey, Probe, ProbedKey, ScopeTick, SourceKey,
};
use crate::flow::ServerEnd;

/// Which rows a window keeps up: each costs time in every tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Networks (and with them countries).
    pub networks: bool,
    /// Prefixes.
    pub prefixes: bool,
    /// Sources.
    pub sources: bool,
    /// Paths.
    pub paths: bool,
    /// Ends of the service.
    pub ends: bool,
    /// Failing paths of sources.
    pub failing: bool,
    /// Ports that sources tried.
    pub probed: bool,
}

impl Needs {
    /// All rows.
    pub const ALL: Self = Self {
        networks: true,
        prefixes: true,
        sources: true,
        paths: true,
        ends: true,
        failing: true,
        probed: true,
    };

    /// What either needs.
    pub fn or(self, other: Self) -> Self {
        Self {
            networks: self.networks || other.networks,
            prefixes: self.prefixes || other.prefixes,
            sources: self.sources || other.sources,
            paths: self.paths || other.paths,
            ends: self.ends || other.ends,
            failing: self.failing || other.failing,
            probed: self.probed || other.probed,
        }
    }
}

/// What is looked at in a window, and from how much traffic on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The rows.
    pub needs: Needs,
    /// While the service stays below all of these, nobody looks at rows.
    pub from: Vec<Least>,
}

/// What a rule needs to see of a whole service before a part of it can be enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// What is counted.
    pub measure: Measure,
    /// How much of it in the window.
    pub count: u64,
}

impl Asked {
    /// What either asks.
    pub fn or(mut self, other: Self) -> Self {
        self.needs = self.needs.or(other.needs);
        self.from.extend(other.from);
        self
    }
}

impl Least {
    /// Whether the service has that much.
    pub fn is_in(&self, counts: &Counts) -> bool {
        of_counts(self.measure, counts) >= self.count
    }

    /// Whether it has half of that.
    fn is_near(&self, counts: &Counts) -> bool {
        of_counts(self.measure, counts) >= self.count / 2
    }
}

/// A window that moves on with time. Most services are quiet most of the time, so its rows are summed up only while some
/// rule could look at them, and from the ticks themselves when traffic rises.
#[derive(Debug)]
pub struct Sliding {
    window: Window,
    from: Vec<Least>,
    has_rows: bool,
}

impl Sliding {
    /// An empty window.
    pub fn new(asked: &Asked) -> Self {
        Self { window: Window::new(asked.needs), from: asked.from.clone(), has_rows: false }
    }

    /// The sums.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Adds a tick.
    pub fn enter(&mut self, tick: &ScopeTick) {
        self.window.counts.merge(&tick.counts);
        if self.has_rows {
            self.window.enter_rows(tick);
        }
    }

    /// Takes away a tick that was added before.
    pub fn leave(&mut self, tick: &ScopeTick) {
        self.window.counts.remove(&tick.counts);
        if self.has_rows {
            self.window.leave_rows(tick);
        }
    }

    /// Begins or ceases to keep rows; `ticks` are those in the window.
    pub fn settle<'a>(&mut self, ticks: impl Iterator<Item = &'a ScopeTick>) {
        let counts = &self.window.counts;
        if !self.has_rows && self.from.iter().any(|least| least.is_in(counts)) {
            self.has_rows = true;
            ticks.for_each(|tick| self.window.enter_rows(tick));
        } else if self.has_rows && !self.from.iter().any(|least| least.is_near(counts)) {
            // At half of it, so that a service at the border does not begin anew every second.
            self.has_rows = false;
            self.window = Window { counts: *counts, ..Window::new(self.window.needs) };
        }
    }
}

/// The sums over some trailing ticks.
#[derive(Debug, Default)]
pub struct Window {
    needs: Needs,
    /// The service's sums.
    pub counts: Counts,
    /// Per network.
    pub networks: HashMap<Lineage, Cell, RandomState>,
    /// Per prefix.
    pub prefixes: HashMap<PrefixKey, Cell, RandomState>,
    /// Per source.
    pub sources: HashMap<SourceKey, Cell, RandomState>,
    /// Requests per path.
    pub paths: HashMap<PathKey, u64, RandomState>,
    /// Packets per end of the service.
    pub ends: HashMap<ServerEnd, u64, RandomState>,
    /// Failing responses per source and path.
    pub failing: HashMap<FailingKey, u64, RandomState>,
    /// Attempts beside the service per source and port.
    pub probed: HashMap<ProbedKey, Probe, RandomState>,
}

/// Rows that one map of a window may hold; beyond this new ones are left out. A window of a minute holds sixty times a
/// tick's cap only when every second brings other rows.
const MAX_ROWS: usize = 131_072;

impl Window {
    /// An empty window that keeps up these rows.
    pub fn new(needs: Needs) -> Self {
        Self { needs, ..Self::default() }
    }

    /// Adds a tick.
    pub fn enter(&mut self, tick: &ScopeTick) {
        self.counts.merge(&tick.counts);
        self.enter_rows(tick);
    }

    fn enter_rows(&mut self, tick: &ScopeTick) {
        let needs = self.needs;
        enter(&mut self.networks, rows(needs.networks, &tick.networks));
        enter(&mut self.prefixes, rows(needs.prefixes, &tick.prefixes));
        enter(&mut self.sources, rows(needs.sources, &tick.sources));
        for (path, count) in rows(needs.paths, &tick.paths) {
            if let Some(sum) = self.paths.get_mut(path) {
                *sum += count;
            } else if self.paths.len() < MAX_ROWS {
                self.paths.insert(path.clone(), *count);
            }
        }
        for (end, count) in rows(needs.ends, &tick.ends) {
            if let Some(sum) = self.ends.get_mut(end) {
                *sum += count;
            } else if self.ends.len() < MAX_ROWS {
                self.ends.insert(*end, *count);
            }
        }
        for (key, count) in rows(needs.failing, &tick.failing) {
            if let Some(sum) = self.failing.get_mut(key) {
                *sum += count;
            } else if self.failing.len() < MAX_ROWS {
                self.failing.insert(*key, *count);
            }
        }
        for (key, probe) in rows(needs.probed, &tick.probed) {
            if let Some(sum) = self.probed.get_mut(key) {
                sum.merge(*probe);
            } else if self.probed.len() < MAX_ROWS {
                self.probed.insert(*key, *probe);
            }
        }
    }

    /// Adds all of another window.
    pub fn absorb(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        absorb(&mut self.networks, other.networks, Cell::merge);
        absorb(&mut self.prefixes, other.prefixes, Cell::merge);
        absorb(&mut self.sources, other.sources, Cell::merge);
        absorb(&mut self.paths, other.paths, |sum, more| *sum += more);
        absorb(&mut self.ends, other.ends, |sum, more| *sum += more);
        absorb(&mut self.failing, other.failing, |sum, more| *sum += more);
        absorb(&mut self.probed, other.probed, |sum, more| sum.merge(*more));
    }

    fn leave_rows(&mut self, tick: &ScopeTick) {
        let needs = self.needs;
        leave(&mut self.networks, rows(needs.networks, &tick.networks));
        leave(&mut self.prefixes, rows(needs.prefixes, &tick.prefixes));
        leave(&mut self.sources, rows(needs.sources, &tick.sources));
        for (path, count) in rows(needs.paths, &tick.paths) {
            leave_count(&mut self.paths, path, *count);
        }
        for (end, count) in rows(needs.ends, &tick.ends) {
            leave_count(&mut self.ends, end, *count);
        }
        for (key, count) in rows(needs.failing, &tick.failing) {
            leave_count(&mut self.failing, key, *count);
        }
        for (key, probe) in rows(needs.probed, &tick.probed) {
            if let Some(sum) = self.probed.get_mut(key) {
                sum.remove(*probe);
                if *sum == Probe::default() {
                    self.probed.remove(key);
                }
            }
        }
    }
}

fn absorb<K: Ord + Eq + std::hash::Hash, V>(
    sums: &mut HashMap<K, V, RandomState>,
    more: HashMap<K, V, RandomState>,
    merge: impl Fn(&mut V, &V),
) {
    // In order, since which rows find no room any more must not depend on the process.
    let mut rows: Vec<(K, V)> = more.into_iter().collect();
    rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for (key, value) in rows {
        if let Some(sum) = sums.get_mut(&key) {
            merge(sum, &value);
        } else if sums.len() < MAX_ROWS {
            sums.insert(key, value);
        }
    }
}

/// The rows, where they are needed.
fn rows<T>(needed: bool, rows: &[T]) -> &[T] {
    if needed { rows } else { &[] }
}

fn leave_count<K: Eq + std::hash::Hash>(sums: &mut HashMap<K, u64, RandomState>, key: &K, count: u64) {
    if let Some(sum) = sums.get_mut(key) {
        *sum = sum.saturating_sub(count);
        if *sum == 0 {
            sums.remove(key);
        }
    }
}

fn enter<K: Copy + Eq + std::hash::Hash>(sums: &mut HashMap<K, Cell, RandomState>, rows: &[(K, Cell)]) {
    for (key, cell) in rows {
        if let Some(sum) = sums.get_mut(key) {
            sum.merge(cell);
        } else if sums.len() < MAX_ROWS {
            sums.insert(*key, *cell);
        }
    }
}

fn leave<K: Copy + Eq + std::hash::Hash>(sums: &mut HashMap<K, Cell, RandomState>, rows: &[(K, Cell)]) {
    for (key, cell) in rows {
        if let Some(sum) = sums.get_mut(key) {
            sum.remove(cell);
            if sum.is_empty() {
                sums.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Count;
    use crate::attribute::Country;
    use crate::flow::Proof;

    const LINEAGE: Lineage =
        Lineage { country: Country::Unknown, asn: None, label: None, proof: Proof::Proven };

    fn requests(requests: u64) -> ScopeTick {
        let mut tick = ScopeTick::default();
        tick.counts[Count::Requests] = requests;
        tick.networks.push((LINEAGE, Cell { requests, ..Cell::default() }));
        tick.paths
            .push((PathKey { country: Country::Unknown, method: "GET".into(), path: "/".into() }, requests));
        tick
    }

    fn from(count: u64) -> Sliding {
        let from = vec![Least { measure: Measure::Requests, count }];
        Sliding::new(&Asked { needs: Needs::ALL, from })
    }

    #[test]
    fn what_enters_and_leaves_leaves_nothing() {
        let (tick, mut sliding) = (requests(3), from(0));
        sliding.settle([].into_iter());
        sliding.enter(&tick);
        sliding.enter(&tick);
        assert_eq!(sliding.window().networks[&LINEAGE].requests, 6);
        sliding.leave(&tick);
        sliding.leave(&tick);
        let window = sliding.window();
        assert_eq!(window.counts, Counts::default());
        assert!(window.networks.is_empty() && window.paths.is_empty());
    }

    #[test]
    fn rows_are_kept_while_there_is_enough_to_look_at() {
        let (tick, mut sliding) = (requests(3), from(9));
        let rows = |sliding: &Sliding| sliding.window().networks.get(&LINEAGE).map(|cell| cell.requests);
        let mut ticks = Vec::new();
        for seen in [None, None, Some(9), Some(12)] {
            sliding.enter(&tick);
            ticks.push(&tick);
            sliding.settle(ticks.iter().copied());
            assert_eq!(rows(&sliding), seen);
        }
        for seen in [Some(9), Some(6), None] {
            sliding.leave(&tick);
            sliding.settle([].into_iter());
            assert_eq!(rows(&sliding), seen);
        }
        assert_eq!(sliding.window().counts[Count::Requests], 3);
    }
}
