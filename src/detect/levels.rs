//! How many connections are held now, of a service and of each source: what came to be held in any second and was not
//! released since. Comes in: ticks. Goes out: levels. Refuses to know for how long.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::aggregate::{Count, ScopeTick, SourceKey};

/// The connections that are held.
#[derive(Debug, Default)]
pub struct Levels {
    service: u64,
    sources: HashMap<SourceKey, Level, RandomState>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Level {
    held: u32,
    /// When it changed last.
    second: i64,
}

/// Sources that are remembered, the first that come: who holds a server's connections needs hundreds of them.
const MAX_SOURCES: usize = 32_768;

/// A source without a change for so long is forgotten: where ticks keep a part of the sources only, its release may have
/// been left out.
const FORGOTTEN_AFTER: i64 = 3_600;

impl Levels {
    /// Takes a tick that begins at `second`.
    pub fn advance(&mut self, second: i64, tick: &ScopeTick) {
        let (held, released) = (tick.counts[Count::Held], tick.counts[Count::Released]);
        if held == 0 && released == 0 {
            return;
        }
        // A connection may come to be held and end in one second.
        self.service = (self.service + held).saturating_sub(released);
        for (source, cell) in tick.sources.iter().filter(|(_, cell)| cell.held != cell.released) {
            self.change(second, source, i64::from(cell.held) - i64::from(cell.released));
        }
        self.sources.retain(|_, level| level.held > 0 && second - level.second < FORGOTTEN_AFTER);
    }

    /// How many the whole service holds.
    pub fn service(&self) -> u64 {
        self.service
    }

    /// How many each source holds, in no order.
    pub fn sources(&self) -> impl Iterator<Item = (&SourceKey, u32)> {
        self.sources.iter().map(|(source, level)| (source, level.held))
    }

    fn change(&mut self, second: i64, source: &SourceKey, by: i64) {
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(source) {
            return;
        }
        let level = self.sources.entry(*source).or_default();
        let held = i64::from(level.held).saturating_add(by).max(0);
        *level = Level { held: u32::try_from(held).unwrap_or(u32::MAX), second };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Cell, Lineage, PrefixKey};
    use crate::attribute::Country;
    use crate::flow::Proof;

    fn tick(changes: &[(&str, u32, u32)]) -> ScopeTick {
        let lineage = Lineage { country: Country::Unknown, asn: None, label: None, proof: Proof::Proven };
        let mut tick = ScopeTick::default();
        for (address, held, released) in changes {
            let address: std::net::IpAddr = address.parse().unwrap();
            let prefix = PrefixKey { lineage, prefix: address.into(), reach: 24 };
            tick.counts[Count::Held] += u64::from(*held);
            tick.counts[Count::Released] += u64::from(*released);
            let cell = Cell { held: *held, released: *released, ..Cell::default() };
            tick.sources.push((SourceKey { prefix, address }, cell));
        }
        tick
    }

    fn of(levels: &Levels, address: &str) -> u32 {
        levels.sources().find(|(source, _)| source.address.to_string() == address).map_or(0, |(_, held)| held)
    }

    #[test]
    fn what_is_held_stays_until_it_is_released() {
        let mut levels = Levels::default();
        levels.advance(10, &tick(&[("198.51.100.1", 40, 0), ("198.51.100.2", 1, 1)]));
        levels.advance(11, &tick(&[("198.51.100.1", 5, 2)]));
        levels.advance(500, &tick(&[]));
        assert_eq!((levels.service(), of(&levels, "198.51.100.1"), of(&levels, "198.51.100.2")), (43, 43, 0));
        levels.advance(501, &tick(&[("198.51.100.1", 0, 43)]));
        assert_eq!((levels.service(), levels.sources().count()), (0, 0));
    }

    #[test]
    fn a_source_whose_release_was_not_told_is_forgotten() {
        let mut levels = Levels::default();
        levels.advance(10, &tick(&[("198.51.100.1", 1, 0)]));
        levels.advance(10 + FORGOTTEN_AFTER, &tick(&[("198.51.100.2", 1, 0)]));
        assert_eq!((of(&levels, "198.51.100.1"), of(&levels, "198.51.100.2")), (0, 1));
    }
}
