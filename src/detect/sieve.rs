//! How much any one source, prefix or network can have at most, told without a row for each: sums by a hash of theirs.
//! Comes in: ticks that enter and leave a window. Goes out: the largest sum; whoever had more would be in it. A sum is
//! what several have together, so it is never too small, and with traffic that is spread rarely much too large.

use std::net::IpAddr;

use ipnet::IpNet;

use super::measure::of_cell;
use super::rule::Measure;
use crate::aggregate::ScopeTick;

/// Sums of a measure by the hashes of the parts that it belongs to.
#[derive(Debug)]
pub(super) struct Sieve {
    part: Part,
    measure: Measure,
    sums: Box<[u64; MESHES]>,
    most: u64,
    moved: bool,
}

/// What traffic is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Sources.
    Source,
    /// Prefixes.
    Prefix,
    /// Networks.
    Network,
}

/// Rules look for a fifth of all or more: with 64 sums, thousands of equal parts come to a fiftieth, hundreds to a twentieth.
const MESHES: usize = 64;

impl Sieve {
    /// Nothing yet.
    pub fn new(part: Part, measure: Measure) -> Self {
        Self { part, measure, sums: Box::new([0; MESHES]), most: 0, moved: false }
    }

    /// Whether it is the one for these parts and this measure.
    pub fn is_of(&self, part: Part, measure: Measure) -> bool {
        self.part == part && self.measure == measure
    }

    /// Adds a tick.
    pub fn enter(&mut self, tick: &ScopeTick) {
        self.pass(tick, |sum, more| *sum += more);
    }

    /// Takes away a tick that was added before.
    pub fn leave(&mut self, tick: &ScopeTick) {
        self.pass(tick, |sum, less| *sum = sum.saturating_sub(less));
    }

    /// Finds the largest sum, when ticks have entered and left; until then [`Sieve::most`] is what it was before.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.moved) {
            self.most = self.sums.iter().copied().max().unwrap_or(0);
        }
    }

    /// What no part has more than.
    pub fn most(&self) -> u64 {
        self.most
    }

    fn pass(&mut self, tick: &ScopeTick, change: impl Fn(&mut u64, u64)) {
        let measure = self.measure;
        let mut pass = |word: u64, amount: u64| {
            if amount > 0
                && let Some(sum) = self.sums.get_mut(mesh(word))
            {
                change(sum, amount);
                self.moved = true;
            }
        };
        match self.part {
            Part::Source => {
                tick.sources.iter().for_each(|(key, cell)| pass(word(key.address), of_cell(measure, cell)));
            }
            Part::Prefix => {
                let base = |prefix: &IpNet| word(prefix.addr());
                tick.prefixes.iter().for_each(|(key, cell)| pass(base(&key.prefix), of_cell(measure, cell)));
            }
            Part::Network => {
                for (lineage, cell) in &tick.networks {
                    pass(lineage.asn.map_or(0, |asn| u64::from(asn.0)), of_cell(measure, cell));
                }
            }
        }
    }
}

fn word(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(32)
        }
    }
}

/// The highest bits of a product with 2^64 by the golden ratio (Knuth, The Art of Computer Programming, 6.4): whoever
/// chooses addresses that meet in one mesh only has them looked at.
fn mesh(word: u64) -> usize {
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - MESHES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Cell, Lineage, PrefixKey, SourceKey};
    use crate::attribute::Country;
    use crate::flow::Proof;

    fn tick(sources: impl Iterator<Item = (u32, u64)>) -> ScopeTick {
        let lineage = Lineage { country: Country::Unknown, asn: None, label: None, proof: Proof::Proven };
        let row = |(number, accesses)| {
            let address = IpAddr::from(std::net::Ipv4Addr::from(number));
            let prefix = PrefixKey { lineage, prefix: address.into(), reach: 24 };
            (SourceKey { prefix, address }, Cell { accesses, ..Cell::default() })
        };
        ScopeTick { sources: sources.map(row).collect(), ..ScopeTick::default() }
    }

    #[test]
    fn spread_traffic_falls_through_and_who_stands_out_does_not() {
        let mut sieve = Sieve::new(Part::Source, Measure::Accesses);
        let crowd = tick((0..2_000).map(|number| (0x0a00_0000 + number * 256, 1)));
        let one = tick([(0xc633_6407, 700)].into_iter());
        sieve.enter(&crowd);
        sieve.settle();
        assert!((8..100).contains(&sieve.most()), "{}", sieve.most());
        sieve.enter(&one);
        sieve.settle();
        assert!((700..800).contains(&sieve.most()), "{}", sieve.most());
        sieve.leave(&one);
        sieve.leave(&crowd);
        sieve.settle();
        assert_eq!(sieve.most(), 0);
    }
}
