//! What is learned of a service, and whose: the signals, the cohorts, and the sums they are taken from.
//! Comes in: a second's sums. Goes out: values per ten seconds, ratios and times. Knows nothing of what is usual.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Cell, Count, ScopeTick};
use crate::attribute::Home;

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Completed connections in 10 s.
    Connections,
    /// HTTP requests in 10 s.
    Requests,
    /// HTTP requests, TLS hellos and first bytes of other conversations in 10 s.
    Accesses,
    /// Packets to the service in 10 s.
    Packets,
    /// IP bytes to the service in 10 s.
    Bytes,
    /// The part of the accesses that comes from abroad, from 0 to 1; of the whole service only.
    ForeignShare,
    /// The part of the HTTP responses with a status from 500 to 599, from 0 to 1.
    ErrorRatio,
    /// The part of what was asked that had no answer within 10 s or was cut off before, from 0 to 1.
    UnansweredRatio,
    /// Microseconds from what was asked to the first byte of its answer, the mean.
    FirstByteTime,
}

/// The number of signals.
pub(super) const SIGNALS: usize = Signal::FirstByteTime as usize + 1;

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; SIGNALS] = [
        Signal::Connections,
        Signal::Requests,
        Signal::Accesses,
        Signal::Packets,
        Signal::Bytes,
        Signal::ForeignShare,
        Signal::ErrorRatio,
        Signal::UnansweredRatio,
        Signal::FirstByteTime,
    ];

    /// Those that count what happens in 10 s.
    pub const RATES: [Signal; 5] =
        [Signal::Connections, Signal::Requests, Signal::Accesses, Signal::Packets, Signal::Bytes];

    /// Whether it counts what happens in 10 s; the others are ratios, and one time.
    pub const fn is_rate(self) -> bool {
        matches!(
            self,
            Signal::Connections | Signal::Requests | Signal::Accesses | Signal::Packets | Signal::Bytes
        )
    }

    /// On which scale it scatters evenly: a ratio by its log-odds, a time by its logarithm.
    pub(super) fn scaled(self, value: f64) -> f64 {
        if self == Signal::FirstByteTime {
            return value.max(1.0).ln();
        }
        let part = value.clamp(1e-6, 1.0 - 1e-6);
        (part / (1.0 - part)).ln()
    }

    /// Its name in tables and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Connections => "connections",
            Signal::Requests => "requests",
            Signal::Accesses => "accesses",
            Signal::Packets => "packets",
            Signal::Bytes => "bytes",
            Signal::ForeignShare => "foreign_share",
            Signal::ErrorRatio => "error_ratio",
            Signal::UnansweredRatio => "unanswered_ratio",
            Signal::FirstByteTime => "first_byte_time",
        }
    }

    /// The excess in 10 s below which nothing is called a surge: 50 connections or requests (DETECTION.md, D1); ten
    /// packets of 1,000 bytes for each of them.
    pub(super) const fn floor(self) -> f64 {
        match self {
            Signal::Packets => 500.0,
            Signal::Bytes => 500_000.0,
            _ => 50.0,
        }
    }

    /// What is a surge in 10 s while nothing is learned yet: 200 connections a second, 1,000 requests a second.
    pub(super) const fn unlearned_limit(self) -> f64 {
        match self {
            Signal::Connections => 2_000.0,
            Signal::Requests | Signal::Accesses => 10_000.0,
            _ => f64::INFINITY,
        }
    }

    /// The least value that growth is measured from: a level of nothing could never grow by a factor.
    pub(super) const fn least(self) -> f64 {
        match self {
            // A millisecond: below it growth is noise.
            Signal::FirstByteTime => 1_000.0,
            _ if self.is_rate() => 1.0,
            _ => 0.01,
        }
    }
}

/// Whose traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cohort {
    /// All of the service's own traffic.
    Whole,
    /// Of clients that are not foreign; clients without a country count here.
    Home,
    /// Of clients from foreign countries.
    Foreign,
}

const COHORTS: usize = Cohort::Foreign as usize + 1;

impl Cohort {
    /// Every cohort.
    pub const ALL: [Cohort; COHORTS] = [Cohort::Whole, Cohort::Home, Cohort::Foreign];

    /// Its name in tables and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Cohort::Whole => "whole",
            Cohort::Home => "home",
            Cohort::Foreign => "foreign",
        }
    }
}

/// One of something for every signal and cohort.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Grid<T>([[T; COHORTS]; SIGNALS]);

impl<T> Grid<T> {
    /// What is kept for that signal and cohort.
    pub fn get(&self, signal: Signal, cohort: Cohort) -> &T {
        &self.0[signal as usize][cohort as usize]
    }

    /// What is kept for that signal and cohort, to be changed.
    pub fn get_mut(&mut self, signal: Signal, cohort: Cohort) -> &mut T {
        &mut self.0[signal as usize][cohort as usize]
    }

    /// All that is kept.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

/// Every signal with every cohort for which it is taken.
pub(super) fn all() -> impl Iterator<Item = (Signal, Cohort)> {
    let whole_alone =
        |signal: Signal, cohort: Cohort| signal != Signal::ForeignShare || cohort == Cohort::Whole;
    let pairs = Signal::ALL.into_iter().flat_map(|signal| Cohort::ALL.map(|cohort| (signal, cohort)));
    pairs.filter(move |(signal, cohort)| whole_alone(*signal, *cohort))
}

/// Every rate with every cohort.
pub(super) fn rates() -> impl Iterator<Item = (Signal, Cohort)> {
    Signal::RATES.into_iter().flat_map(|signal| Cohort::ALL.map(|cohort| (signal, cohort)))
}

/// What was added up over some seconds, per cohort.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    /// How many seconds.
    pub seconds: u32,
    rows: [Row; COHORTS],
    /// Segments seen and missed on sampled connections.
    data: [u64; 2],
    /// Whether the recorder told of many dropped packets.
    pub is_lossy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Row {
    connections: u64,
    requests: u64,
    accesses: u64,
    packets: u64,
    bytes: u64,
    responses: u64,
    errors: u64,
    unanswered: u64,
    first_bytes: u64,
    wait_us: u64,
}

/// Below this many observations no ratio is taken: it would tell of chance alone.
const LEAST_OBSERVED: u64 = 20;

/// Below this many sampled segments a loss is not told.
const LEAST_SAMPLED: u64 = 50;

impl Sums {
    /// A second's sums.
    pub fn of(tick: &ScopeTick, home: &Home) -> Self {
        let counts = &tick.counts;
        let whole = Row {
            connections: counts[Count::Opened],
            requests: counts[Count::Requests],
            accesses: counts[Count::Accesses],
            packets: counts[Count::PacketsIn],
            bytes: counts[Count::BytesIn],
            responses: counts[Count::Responses],
            errors: counts[Count::ServerErrors],
            unanswered: counts[Count::Unanswered],
            first_bytes: counts[Count::FirstBytes],
            wait_us: counts[Count::FirstByteWait],
        };
        let (mut at_home, mut foreign) = (Row::default(), Row::default());
        for (lineage, cell) in &tick.networks {
            if home.is_foreign(lineage.country) { &mut foreign } else { &mut at_home }.add_cell(cell);
        }
        let data = [counts[Count::DataSeen], counts[Count::DataMissed]];
        Self { seconds: 1, rows: [whole, at_home, foreign], data, is_lossy: false }
    }

    /// Seconds without anything.
    pub fn silence(seconds: u32) -> Self {
        Self { seconds, ..Self::default() }
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.seconds = self.seconds.saturating_add(other.seconds);
        for (row, more) in self.rows.iter_mut().zip(&other.rows) {
            row.merge(more);
        }
        for (sum, more) in self.data.iter_mut().zip(other.data) {
            *sum = sum.saturating_add(more);
        }
        self.is_lossy |= other.is_lossy;
    }

    /// Whether nothing moved.
    pub fn is_silent(&self) -> bool {
        self.row(Cohort::Whole).packets == 0
    }

    /// The part of the sampled segments that the capture missed; 0 where too few were sampled, 1 where it says itself that
    /// it missed many.
    pub fn loss(&self) -> f64 {
        if self.is_lossy {
            return 1.0;
        }
        let [seen, missed] = self.data;
        let all = seen.saturating_add(missed);
        if all < LEAST_SAMPLED { 0.0 } else { missed as f64 / all as f64 }
    }

    /// A signal's value: per 10 s, or a ratio; `None` where nothing, or too little for a ratio, was seen.
    pub fn value(&self, signal: Signal, cohort: Cohort) -> Option<f64> {
        if self.seconds == 0 {
            return None;
        }
        let row = self.row(cohort);
        match signal {
            Signal::ForeignShare => {
                let foreign = self.row(Cohort::Foreign).accesses;
                ratio(foreign, foreign.saturating_add(self.row(Cohort::Home).accesses))
            }
            Signal::ErrorRatio => ratio(row.errors, row.responses),
            Signal::UnansweredRatio => ratio(row.unanswered, row.unanswered.saturating_add(row.first_bytes)),
            Signal::FirstByteTime => {
                let is_enough = row.first_bytes >= LEAST_OBSERVED;
                is_enough.then(|| (row.wait_us as f64 / row.first_bytes as f64).min(super::MOST_VALUE))
            }
            Signal::Connections => Some(self.per_ten(row.connections)),
            Signal::Requests => Some(self.per_ten(row.requests)),
            Signal::Accesses => Some(self.per_ten(row.accesses)),
            Signal::Packets => Some(self.per_ten(row.packets)),
            Signal::Bytes => Some(self.per_ten(row.bytes)),
        }
    }

    fn per_ten(&self, count: u64) -> f64 {
        (count as f64 * 10.0 / f64::from(self.seconds)).min(super::MOST_VALUE)
    }

    fn row(&self, cohort: Cohort) -> &Row {
        &self.rows[cohort as usize]
    }
}

/// Half an observation is added to either side, so that neither 0 nor 1 comes out: both have no log-odds.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole >= LEAST_OBSERVED).then(|| ((part.min(whole)) as f64 + 0.5) / (whole as f64 + 1.0))
}

impl Row {
    fn add_cell(&mut self, cell: &Cell) {
        self.merge(&Row {
            connections: cell.connections,
            requests: cell.requests,
            accesses: cell.accesses,
            packets: cell.packets,
            bytes: cell.bytes,
            responses: cell.responses,
            errors: cell.server_errors,
            unanswered: cell.unanswered.into(),
            first_bytes: cell.first_bytes.into(),
            wait_us: cell.wait_us,
        });
    }

    fn merge(&mut self, other: &Self) {
        let sums = [
            (&mut self.connections, other.connections),
            (&mut self.requests, other.requests),
            (&mut self.accesses, other.accesses),
            (&mut self.packets, other.packets),
            (&mut self.bytes, other.bytes),
            (&mut self.responses, other.responses),
            (&mut self.errors, other.errors),
            (&mut self.unanswered, other.unanswered),
            (&mut self.first_bytes, other.first_bytes),
            (&mut self.wait_us, other.wait_us),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }
}
