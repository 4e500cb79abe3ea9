//! The sums of a service's last seconds, kept up as ticks come and go.
//! Comes in: ticks that enter and leave. Goes out: sums per row.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::aggregate::{Cell, Counts, Lineage, PathKey, PrefixKey, ScopeTick, SourceKey};
use crate::flow::ServerEnd;

/// The sums over some trailing ticks.
#[derive(Debug, Default)]
pub struct Window {
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
}

/// Rows that one map of a window may hold; beyond this new ones are left out. A window of a minute holds sixty times a
/// tick's cap only when every second brings other rows.
const MAX_ROWS: usize = 131_072;

impl Window {
    /// Adds a tick.
    pub fn enter(&mut self, tick: &ScopeTick) {
        self.counts.merge(&tick.counts);
        enter(&mut self.networks, &tick.networks);
        enter(&mut self.prefixes, &tick.prefixes);
        enter(&mut self.sources, &tick.sources);
        for (path, count) in &tick.paths {
            if let Some(sum) = self.paths.get_mut(path) {
                *sum += count;
            } else if self.paths.len() < MAX_ROWS {
                self.paths.insert(path.clone(), *count);
            }
        }
        for (end, count) in &tick.ends {
            *self.ends.entry(*end).or_default() += count;
        }
    }

    /// Takes away a tick that was added before.
    pub fn leave(&mut self, tick: &ScopeTick) {
        self.counts.remove(&tick.counts);
        leave(&mut self.networks, &tick.networks);
        leave(&mut self.prefixes, &tick.prefixes);
        leave(&mut self.sources, &tick.sources);
        for (path, count) in &tick.paths {
            if let Some(sum) = self.paths.get_mut(path) {
                *sum = sum.saturating_sub(*count);
                if *sum == 0 {
                    self.paths.remove(path);
                }
            }
        }
        for (end, count) in &tick.ends {
            if let Some(sum) = self.ends.get_mut(end) {
                *sum = sum.saturating_sub(*count);
                if *sum == 0 {
                    self.ends.remove(end);
                }
            }
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

    #[test]
    fn what_enters_and_leaves_leaves_nothing() {
        let lineage = Lineage { country: Country::Unknown, asn: None, label: None, proof: Proof::Proven };
        let mut tick = ScopeTick::default();
        tick.counts[Count::Requests] = 3;
        tick.networks.push((lineage, Cell { requests: 3, ..Cell::default() }));
        tick.paths.push((PathKey { country: Country::Unknown, method: "GET".into(), path: "/".into() }, 3));
        let mut window = Window::default();
        window.enter(&tick);
        window.enter(&tick);
        assert_eq!(window.networks[&lineage].requests, 6);
        window.leave(&tick);
        window.leave(&tick);
        assert_eq!(window.counts, Counts::default());
        assert!(window.networks.is_empty() && window.paths.is_empty());
    }
}
