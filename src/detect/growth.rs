//! How much of what comes may be learned: a part of the traffic that grows minute by minute must not teach that it was
//! always there. Comes in: what each part brings of what all bring. Goes out: how much of that counts as known from now
//! on. Each part has a credit, so that chance, which brings more now and less then, is learned as it is.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Seconds until which everything is learned as it comes: nothing is known yet that it could be held against.
pub(super) const TAUGHT: f64 = 60.0;

/// A part is learned up to what it is known to have of all and this on top. Held against ten minutes, as the level before
/// is, it gains a fifth of a point a minute: an hour makes a neighbour of a network, a ramp of half an hour does not.
const MOST: f64 = 0.03;

/// The accesses that a part may be ahead. Pages come in bursts of eight, by which a part of a fifth of the traffic, or of half,
/// comes to be ahead by 21 or 33 (variance over twice the drift of a reflected random walk).
const CREDIT: f64 = 40.0;

/// Parts that have used some of their credit; fewer than a hundred have so much of the traffic at a time.
const MAX_PARTS: usize = 4_096;

/// What parts of the traffic may still teach.
#[derive(Debug, Clone)]
pub(super) struct Growth<K> {
    /// What all have brought so far.
    all: f64,
    used: HashMap<K, Credit, RandomState>,
}

/// What a part may still teach, as of what all had brought then.
#[derive(Debug, Clone, Copy)]
struct Credit {
    left: f64,
    all: f64,
}

impl<K> Default for Growth<K> {
    fn default() -> Self {
        Self { all: 0.0, used: HashMap::default() }
    }
}

impl<K: Clone + Eq + Hash> Growth<K> {
    /// Goes on to what `more` bring all together.
    pub fn go_on(&mut self, more: f64) {
        self.all += more;
        if self.used.len() > MAX_PARTS {
            let all = self.all;
            self.used.retain(|_, credit| credit.left + MOST * (all - credit.all) < CREDIT);
            if self.used.len() > MAX_PARTS {
                self.used.clear();
            }
        }
    }

    /// The part of `own`, of the `more` that all bring now, that is learned, from 0 to 1; `known` is the part of all that
    /// it has so far.
    pub fn taught(&mut self, key: &K, (own, more): (f64, f64), known: impl FnOnce() -> f64) -> f64 {
        if own <= MOST * more {
            return 1.0;
        }
        let allowed = known() + MOST;
        let before = self.used.get(key).copied().unwrap_or(Credit { left: CREDIT, all: self.all - more });
        let may = (before.left + allowed * (self.all - before.all)).min(CREDIT + allowed * more);
        let left = (may - own).max(0.0);
        if left < CREDIT {
            self.used.insert(key.clone(), Credit { left, all: self.all });
        } else {
            self.used.remove(key);
        }
        (may / own).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after `minutes` of a part that brings `own` of 500 accesses each ten seconds, known as the level before
    /// is: most of the last ten minutes.
    fn known(mut known: f64, minutes: u32, own: impl Fn(u32) -> f64) -> f64 {
        let mut growth = Growth::default();
        for nth in 0..6 * minutes {
            let own = own(nth);
            growth.go_on(500.0);
            let taught = growth.taught(&"part", (own, 500.0), || known);
            known += (taught * own / 500.0 - known) / 86.0;
        }
        known
    }

    #[test]
    fn chance_is_learned_as_it_comes() {
        let wavering = |nth: u32| 500.0 * (0.2 + 0.1 * f64::from(nth).sin());
        let after = known(0.2, 60, wavering);
        assert!((after - 0.2).abs() < 0.02, "{after}");
    }

    #[test]
    fn a_slow_ramp_does_not_teach_itself() {
        let ramp = |nth: u32| 500.0 * (1.0 - 1.02_f64.powf(-f64::from(nth) / 6.0));
        let after = known(0.0, 35, ramp);
        assert!(ramp(6 * 35) > 245.0 && after < 0.1, "{after}");
    }

    #[test]
    fn who_stays_is_known_in_the_end() {
        let after = known(0.0, 240, |_| 100.0);
        assert!(after > 0.15, "{after}");
    }

    #[test]
    fn parts_are_bounded() {
        let mut growth = Growth::default();
        for part in 0..100_000 {
            growth.go_on(1.0);
            growth.taught(&part, (1.0, 1.0), || 0.0);
        }
        assert!(growth.used.len() <= MAX_PARTS + 1);
    }
}
