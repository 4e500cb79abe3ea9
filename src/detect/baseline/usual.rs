//! What was learned, as the level before takes it up: rates at a second, and who had which part. Comes in: a [`Baseline`].
//! Goes out: [`Usual`], which says what is ordinary before a run has seen enough of its own, and what is at this hour.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;

use super::known::{Acquaintance, prefix_of};
use super::{Baseline, Cohort, Signal, Stage};
use crate::attribute::Country;
use crate::detect::Key;
use crate::detect::rule::Measure;

/// What is usual at a service.
#[derive(Debug, Clone)]
pub struct Usual {
    rates: Rates,
    /// Of these, what labelled clients have.
    labelled: Rates,
    parts: Arc<Parts>,
    /// How many seconds were learned.
    pub seconds: f64,
    /// Whether the rates are of this time: of this hour of the day or week, or learned within the last hour.
    pub is_timely: bool,
    /// Microseconds to the first byte of an answer.
    pub first_byte_wait: Option<f64>,
}

/// Rates per second of what a baseline learns, in the order of [`Signal::RATES`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates([Option<f64>; Signal::RATES.len()]);

/// Who had which part of the accesses.
#[derive(Debug, Default)]
struct Parts {
    prefixes: HashMap<IpNet, f64, RandomState>,
    networks: HashMap<u32, f64, RandomState>,
    countries: HashMap<Country, f64, RandomState>,
}

/// A level that was learned longer ago is one of another time of the day.
const HOUR: i64 = 3_600;

impl Baseline {
    /// What is usual at a second; `None` while less than ten minutes were learned.
    pub fn usual(&self, second: i64) -> Option<Usual> {
        let stage = self.stage(second);
        let rates = self.rates(second);
        (stage > Stage::Minutes).then(|| Usual {
            rates,
            labelled: rates.parts(self.learned.neighbours.parts()),
            parts: Arc::new(self.parts()),
            seconds: self.span().map_or(0.0, |span| span.seconds as f64),
            is_timely: stage >= Stage::Days || second - self.learned.until <= HOUR,
            first_byte_wait: self.level(Signal::FirstByteTime, Cohort::Whole, second),
        })
    }

    /// The rates that this hour of the day or of the week has; `None` before a day was learned.
    pub fn season(&self, second: i64) -> Option<Rates> {
        (self.stage(second) >= Stage::Days).then(|| self.rates(second))
    }

    fn rates(&self, second: i64) -> Rates {
        Rates(Signal::RATES.map(|signal| Some(self.level(signal, Cohort::Whole, second)? / 10.0)))
    }

    fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        // Rows over a cap are a fair sample of all, so a country's part is that of the rows' accesses.
        let sampled: u64 = self.learned.prefixes.rows().map(|(_, row)| row.accesses).sum();
        let mut countries: HashMap<[u8; 2], u64, RandomState> = HashMap::default();
        for (prefix, row) in self.learned.prefixes.rows() {
            parts.prefixes.insert(*prefix, self.part(row));
            *countries.entry(row.country).or_default() += row.accesses;
        }
        for (country, accesses) in countries {
            let country = if country == [0; 2] { Country::Unknown } else { Country::Code(country) };
            parts.countries.insert(country, accesses as f64 / sampled.max(1) as f64);
        }
        let networks = self.learned.networks.rows().map(|(asn, row)| (*asn, self.part(row)));
        parts.networks.extend(networks);
        parts
    }

    fn part(&self, row: &Acquaintance) -> f64 {
        (row.accesses as f64 / self.learned.accesses.max(1) as f64).min(1.0)
    }
}

impl Usual {
    /// How much of a measure a second has; `None` of what is not learned.
    pub fn rate(&self, measure: Measure) -> Option<f64> {
        self.rates.of(measure)
    }

    /// How much of a measure labelled clients have a second; `None` of what is not learned.
    pub fn labelled_rate(&self, measure: Measure) -> Option<f64> {
        self.labelled.of(measure)
    }

    /// The part of the accesses that a key had; an address the part of its prefix. `None` of who was never there.
    pub fn part(&self, key: &Key) -> Option<f64> {
        match key {
            Key::Service => Some(1.0),
            Key::Country(country) => self.parts.countries.get(country).copied(),
            Key::Network(asn) => self.parts.networks.get(&asn.0).copied(),
            Key::Prefix(prefix) => self.parts.prefixes.get(&prefix_of(*prefix)).copied(),
            Key::Source(address) => self.parts.prefixes.get(&prefix_of((*address).into())).copied(),
        }
    }
}

impl Rates {
    /// These parts of the rates.
    fn parts(self, parts: [f64; Signal::RATES.len()]) -> Self {
        Self(std::array::from_fn(|at| self.0[at].map(|rate| rate * parts[at])))
    }

    /// How much of a measure a second has; `None` of what is not learned. Who completes a handshake attempted it.
    pub fn of(&self, measure: Measure) -> Option<f64> {
        let signal = signal_of(measure)?;
        let at = Signal::RATES.iter().position(|rate| *rate == signal)?;
        self.0.get(at).copied().flatten()
    }
}

/// The signal that is learned of a measure.
pub fn signal_of(measure: Measure) -> Option<Signal> {
    Some(match measure {
        Measure::Attempts | Measure::Connections => Signal::Connections,
        Measure::Requests => Signal::Requests,
        Measure::Accesses => Signal::Accesses,
        Measure::Packets => Signal::Packets,
        Measure::Bytes => Signal::Bytes,
        _ => return None,
    })
}
