//! How many different clients come, against as many seconds before an onset. Comes in: the sources of ticks. Goes out: how
//! many there are and were. Of a crowd it tells what load does not: a server that fails has each of its clients ask for
//! less, and ordinary people ask for a little more or less at any time without being more.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::aggregate::{Cell, ScopeTick, SourceKey};
use crate::detect::rule::Traffic;
use crate::detect::{LOOK_BACK, Watched};
use crate::time::TickId;

/// The clients of the seconds before an onset.
#[derive(Debug)]
pub(super) struct Clients {
    onset: TickId,
    /// How many seconds are known.
    seconds: i64,
    /// Each with where it is and the last second in which it came.
    last: HashMap<IpAddr, (SourceKey, i64), RandomState>,
}

/// Different clients before and now, in as many seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gathering {
    pub before: f64,
    pub now: f64,
}

/// Fewer clients before say nothing: their number is chance.
const LEAST_CLIENTS: usize = 20;

/// In fewer seconds most clients that are there do not come at all.
const LEAST_SECONDS: i64 = 10;

/// Clients of a minute that are counted; what a service with more has for a crowd, its load tells.
const MAX_CLIENTS: usize = 65_536;

/// So many times as many clients are a crowd, beyond so many standard deviations: two counts scatter by the root of their
/// sum. Beside floods and faults it is 0.5 to 1.25 times, in the crowds of our scenarios 1.6 to 5.
const CROWD: f64 = 1.5;
const CHANCE: f64 = 3.0;

/// With less than so many times as many there is no crowd, nor is one on its way.
const ORDINARY: f64 = 1.3;

impl Gathering {
    /// How many times as many there are.
    pub fn times(self) -> f64 {
        self.now / self.before.max(1.0)
    }

    /// Without those of a program that has so large a part of the excess: as many of the new clients are taken for its own.
    pub fn without(self, part: f64) -> Self {
        let more = (self.now - self.before).max(0.0);
        Self { now: self.now - part.clamp(0.0, 1.0) * more, ..self }
    }

    /// Whether they are so many more that they are a crowd, however little each is served.
    pub fn is_crowd(self) -> bool {
        self.times() >= CROWD && self.now - self.before >= CHANCE * (self.now + self.before).sqrt()
    }

    /// Whether there are hardly more than before.
    pub fn is_ordinary(self) -> bool {
        self.times() < ORDINARY
    }
}

impl Clients {
    /// Those who came before `onset`, as far as it can be looked back at.
    pub fn before(watched: &Watched, onset: TickId, traffic: Traffic) -> Self {
        let (mut last, mut seconds) = (HashMap::<_, _, RandomState>::default(), 0);
        for (tick, moved) in watched.since(onset.plus(-LOOK_BACK)).take_while(|(tick, _)| *tick < onset) {
            seconds = seconds.max(onset.second - tick.second);
            for source in came(moved.of(traffic)) {
                if last.len() < MAX_CLIENTS || last.contains_key(&source.address) {
                    last.insert(source.address, (*source, tick.second));
                }
            }
        }
        Self { onset, seconds, last }
    }

    /// How many of those that `counts` takes came in the last seconds, since the onset and a minute at most; `None` where
    /// too little is known.
    pub fn gathering(
        &self,
        watched: &Watched,
        traffic: Traffic,
        counts: impl Fn(&SourceKey) -> bool,
    ) -> Option<Gathering> {
        let now = watched.now();
        let seconds = (now.second - self.onset.second + 1).min(self.seconds);
        let began = self.onset.second - seconds;
        let before = self.last.values().filter(|(source, last)| *last >= began && counts(source)).count();
        if seconds < LEAST_SECONDS || before < LEAST_CLIENTS || self.last.len() >= MAX_CLIENTS {
            return None;
        }
        let mut since: HashMap<IpAddr, &SourceKey, RandomState> = HashMap::default();
        for source in watched.since(now.plus(1 - seconds)).flat_map(|(_, moved)| came(moved.of(traffic))) {
            since.insert(source.address, source);
            if since.len() >= MAX_CLIENTS {
                return None;
            }
        }
        let now = since.values().filter(|source| counts(source)).count();
        Some(Gathering { before: before as f64, now: now as f64 })
    }
}

/// The sources of a tick that connected or asked, labelled ones left out.
fn came(tick: &ScopeTick) -> impl Iterator<Item = &SourceKey> {
    let is_at_it = |cell: &Cell| cell.connections > 0 || cell.accesses > 0;
    let sources = tick.sources.iter().filter(move |(_, cell)| is_at_it(cell)).map(|(source, _)| source);
    sources.filter(|source| source.prefix.lineage.label.is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aggregate::{Lineage, PrefixKey};
    use crate::attribute::{Country, LabelId};
    use crate::detect::{Seconds, SpanNeeds};
    use crate::flow::Proof;

    /// A second in which the clients with these numbers ask.
    fn second(clients: impl Iterator<Item = u32>, label: Option<LabelId>) -> Seconds {
        let lineage = Lineage { country: Country::Unknown, asn: None, label, proof: Proof::Proven };
        let row = |number: u32| {
            let address = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
            let prefix = PrefixKey { lineage, prefix: address.into(), reach: 32 };
            (SourceKey { prefix, address }, Cell { accesses: 1, ..Cell::default() })
        };
        let mut moved = Seconds::default();
        moved.own.sources = clients.map(row).collect();
        moved
    }

    fn at(second: i64) -> TickId {
        TickId { epoch: 0, second }
    }

    /// What gathers in so many seconds with so many new clients each, after an hour with two new ones a second.
    fn gathering(seconds: i64, each: u32, label: Option<LabelId>) -> Option<Gathering> {
        let none: Arc<[SpanNeeds]> = Arc::from([]);
        let mut watched = Watched::new(&none);
        for now in 0..3_600 {
            let first = 2 * now as u32;
            watched.advance(at(now), Some(second(first..first + 2, None)));
        }
        let clients = Clients::before(&watched, at(3_600), Traffic::Own);
        for now in 3_600..3_600 + seconds {
            let first = 100_000 + each * now as u32;
            watched.advance(at(now), Some(second(first..first + each, label)));
        }
        clients.gathering(&watched, Traffic::Own, |_| true)
    }

    #[test]
    fn as_many_seconds_are_held_against_each_other() {
        assert_eq!(gathering(20, 2, None), Some(Gathering { before: 40.0, now: 40.0 }));
        assert_eq!(gathering(30, 6, None), Some(Gathering { before: 60.0, now: 180.0 }));
        let minute = gathering(200, 3, None).unwrap();
        assert!((minute.times() - 1.5).abs() < 0.05, "a minute at most: {minute:?}");
    }

    #[test]
    fn a_crowd_is_no_chance() {
        assert!(Gathering { before: 100.0, now: 160.0 }.is_crowd());
        assert!(!Gathering { before: 30.0, now: 48.0 }.is_crowd(), "as many times as many, of too few");
        assert!(!Gathering { before: 1_000.0, now: 1_400.0 }.is_crowd());
        assert!(Gathering { before: 1_000.0, now: 1_200.0 }.is_ordinary());
    }

    #[test]
    fn new_clients_are_shared_out_as_the_excess_is() {
        let all = Gathering { before: 100.0, now: 300.0 };
        assert_eq!(all.without(0.75), Gathering { before: 100.0, now: 150.0 });
        let fewer = Gathering { before: 100.0, now: 80.0 };
        assert_eq!(fewer.without(0.75), fewer);
    }

    #[test]
    fn few_seconds_and_labelled_clients_say_nothing() {
        assert_eq!(gathering(9, 50, None), None);
        assert_eq!(gathering(20, 50, Some(LabelId(0))), Some(Gathering { before: 40.0, now: 0.0 }));
    }
}
