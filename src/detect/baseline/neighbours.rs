//! Which part of each rate labelled clients have: what they bring more than that is their excess, also in the first minutes
//! of a run. Comes in: seconds that are learned. Goes out: parts. Knows no label apart.

use serde::{Deserialize, Serialize};

use super::signal::Signal;
use crate::aggregate::{Cell, Count, ScopeTick};
use crate::detect::measure::labelled;

const RATES: usize = Signal::RATES.len();

/// Sums over all the time that was learned, in the order of [`Signal::RATES`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Neighbours {
    /// Of labelled clients.
    theirs: [u64; RATES],
    /// Of all clients.
    whole: [u64; RATES],
}

impl Neighbours {
    /// Adds a second.
    pub fn note(&mut self, own: &ScopeTick) {
        let cell = labelled(own);
        for (at, signal) in Signal::RATES.into_iter().enumerate() {
            let (theirs, whole) = of_second(signal, &cell, own);
            self.theirs[at] = self.theirs[at].saturating_add(theirs.min(whole));
            self.whole[at] = self.whole[at].saturating_add(whole);
        }
    }

    /// Adds what was learned before or after this.
    pub fn merge(&mut self, other: &Self) {
        let add = |sums: &mut [u64; RATES], more: &[u64; RATES]| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        };
        add(&mut self.theirs, &other.theirs);
        add(&mut self.whole, &other.whole);
    }

    /// The part that labelled clients have of each rate, from 0 to 1.
    pub fn parts(&self) -> [f64; RATES] {
        std::array::from_fn(|at| self.theirs[at] as f64 / self.whole[at].max(1) as f64)
    }

    /// Whether it is one that can have been learned.
    pub fn is_sound(&self) -> bool {
        self.theirs.iter().zip(&self.whole).all(|(theirs, whole)| theirs <= whole)
    }
}

/// What labelled clients and all clients had of a rate in a second; nothing of what is no rate.
fn of_second(signal: Signal, cell: &Cell, own: &ScopeTick) -> (u64, u64) {
    let (theirs, whole) = match signal {
        Signal::Connections => (cell.connections, Count::Opened),
        Signal::Requests => (cell.requests, Count::Requests),
        Signal::Accesses => (cell.accesses, Count::Accesses),
        Signal::Packets => (cell.packets, Count::PacketsIn),
        Signal::Bytes => (cell.bytes, Count::BytesIn),
        Signal::ForeignShare | Signal::ErrorRatio | Signal::UnansweredRatio | Signal::FirstByteTime => {
            return (0, 0);
        }
    };
    (theirs, own.counts[whole])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Lineage;
    use crate::attribute::{Country, LabelId};
    use crate::flow::Proof;

    #[test]
    fn labelled_clients_have_the_part_that_they_had() {
        let mut own = ScopeTick::default();
        own.counts[Count::Accesses] = 40;
        own.counts[Count::PacketsIn] = 200;
        for (label, accesses) in [(None, 30), (Some(LabelId(0)), 10)] {
            let lineage = Lineage { country: Country::Unknown, asn: None, label, proof: Proof::Proven };
            own.networks.push((lineage, Cell { accesses, packets: 4 * accesses, ..Cell::default() }));
        }
        let mut half = Neighbours::default();
        half.note(&own);
        let mut both = half;
        both.merge(&half);
        for neighbours in [half, both] {
            let part = |signal| {
                let at = Signal::RATES.iter().position(|rate| *rate == signal).unwrap();
                neighbours.parts()[at]
            };
            let told = [Signal::Accesses, Signal::Packets, Signal::Connections].map(part);
            assert_eq!(told, [0.25, 0.2, 0.0]);
            assert!(neighbours.is_sound());
        }
    }
}
