//! What is usual at a service: how much, how it scatters, who is known. Comes in: one tick a second. Goes out: what is
//! expected of a second, standard scores, surges and lulls, the proven capacity, whether a client has been here before.
//!
//! It is causal, and what it learns is bounded in pace: ten seconds are looked at when they are over, and learned a minute
//! later unless an incident, a declared event or a lossy capture holds them. What is learned ([`Learned`]) adds up with
//! what was learned elsewhere; what watches ([`Live`]) goes on where it was saved.

mod alarm;
mod known;
mod learned;
mod learning;
mod live;
mod neighbours;
mod quantile;
mod season;
mod series;
mod signal;
#[cfg(test)]
mod tests;
mod usual;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::aggregate::ScopeTick;
use crate::attribute::Home;
use crate::time::TickId;
use learned::Learned;
use live::Live;
use signal::Sums;

pub use alarm::{Lull, Pace, Surge};
pub use known::Acquaintance;
pub use learning::{Baselines, Learning, Quiet, Unsound};
pub use signal::{Cohort, Signal};
pub use usual::{Rates, Usual, signal_of};

/// What is usual at one service, and what is not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    learned: Learned,
    live: Live,
    /// Who is home is said by each run anew.
    #[serde(skip)]
    home: Home,
    /// When nothing is learned.
    #[serde(skip)]
    quiet: Vec<Quiet>,
}

/// How much is known of a service (the ladder of DETECTION.md, D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Less than ten minutes were learned.
    Minutes,
    /// Less than a day, or nothing of this hour of the day: the level of the last hour.
    Hours,
    /// Less than a week, or nothing of this hour of the week: hours of the day.
    Days,
    /// A week and more: hours of the week.
    Weeks,
}

/// What is expected in ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The mean: of a rate in 10 s, with the drift of the last quarter of an hour; else the ratio or microseconds.
    pub mean: f64,
    /// Of a rate the overdispersion (variance = mean + phi mean²); of a ratio the spread of its log-odds, of a time that
    /// of its logarithm.
    pub phi: f64,
}

/// A client is known from this long after its first answered exchange on, so that nobody is known who came with what
/// is judged (DETECTION.md, "known client").
const KNOWN_AFTER: i64 = 300;

/// What must have been learned for each stage, in seconds.
const TEN_MINUTES: i64 = 600;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

impl Baseline {
    /// Moves on to a tick with what moved to the service's own ports in it. Ticks that are left out were silent.
    pub fn feed(&mut self, tick: TickId, own: Option<&ScopeTick>) {
        let sums = own.map_or(Sums::silence(1), |own| Sums::of(own, &self.home));
        self.live.enter(tick, &sums, &mut self.learned, &self.quiet);
        if let Some(own) = own {
            self.live.meet(tick.second, own, &mut self.learned);
        }
    }

    /// The part `loss` of the packets of the last seconds was dropped before it could be read.
    pub fn note_loss(&mut self, loss: f64) {
        self.live.note_loss(loss);
    }

    /// Learns nothing from `second` on, until [`Baseline::release`].
    pub fn hold(&mut self, second: i64) {
        if self.live.hold(second) {
            self.learned.forget_since(second);
        }
    }

    /// Learns again what comes after `second`.
    pub fn release(&mut self, second: i64) {
        self.live.release(second);
    }

    /// How much is known at a second.
    pub fn stage(&self, second: i64) -> Stage {
        self.learned.stage(second)
    }

    /// What is expected; `None` while nothing is learned of it. `second` is in Unix time, as everywhere here.
    pub fn expected(&self, signal: Signal, cohort: Cohort, second: i64) -> Option<Expected> {
        let level = self.level(signal, cohort, second)?;
        let drift = if signal.is_rate() { self.live.alarm(signal, cohort).drift() } else { 1.0 };
        Some(Expected { mean: level * drift, phi: self.learned.phi(signal, cohort) })
    }

    /// What the season says without the drift: per 10 s, a ratio, or microseconds.
    pub fn level(&self, signal: Signal, cohort: Cohort, second: i64) -> Option<f64> {
        self.learned.level(signal, cohort, second)
    }

    /// The standard score of what was observed: per 10 s of a rate; of a ratio, the part; of a
    /// time, microseconds.
    pub fn z(&self, signal: Signal, cohort: Cohort, observed: f64, second: i64) -> Option<f64> {
        let Expected { mean, phi } = self.expected(signal, cohort, second)?;
        Some(if signal.is_rate() {
            alarm::score(observed, mean, phi)
        } else {
            (signal.scaled(observed) - signal.scaled(mean)) / phi
        })
    }

    /// The surge of a rate of the whole service that is under way.
    pub fn surge(&self, signal: Signal) -> Option<Surge> {
        self.surge_of(signal, Cohort::Whole)
    }

    /// The surge of a cohort's rate that is under way.
    pub fn surge_of(&self, signal: Signal, cohort: Cohort) -> Option<Surge> {
        self.live.alarm(signal, cohort).surge()
    }

    /// The drop of a rate of the whole service that is under way.
    pub fn drop(&self, signal: Signal) -> Option<Lull> {
        self.drop_of(signal, Cohort::Whole)
    }

    /// The drop of a cohort's rate that is under way.
    pub fn drop_of(&self, signal: Signal, cohort: Cohort) -> Option<Lull> {
        self.live.alarm(signal, cohort).lull()
    }

    /// The proven capacity: the 99th percentile of a rate in healthy minutes, per second; `None` before there were some.
    pub fn knee(&self, signal: Signal) -> Option<f64> {
        self.learned.knee(signal)
    }

    /// Whether the /24 or /48 of a client was answered at least five minutes before `onset`.
    pub fn is_known(&self, client: impl Into<IpNet>, onset: i64) -> bool {
        self.acquaintance(client).is_some_and(|row| row.first <= onset - KNOWN_AFTER)
    }

    /// Whether clients of a network (AS number) were answered at least five minutes before `onset`.
    pub fn is_known_network(&self, asn: u32, onset: i64) -> bool {
        let first =
            self.learned.networks.get(&asn).into_iter().chain(self.live.network(asn)).map(|row| row.first);
        first.min().is_some_and(|first| first <= onset - KNOWN_AFTER)
    }

    /// Since when and how often the /24 or /48 of a client was answered.
    pub fn acquaintance(&self, client: impl Into<IpNet>) -> Option<Acquaintance> {
        let prefix = known::prefix_of(client.into());
        self.learned.prefixes.get(&prefix).or_else(|| self.live.prefix(&prefix)).copied()
    }

    /// The prefixes that are known, sorted.
    pub fn acquaintances(&self) -> impl Iterator<Item = (IpNet, Acquaintance)> {
        self.learned.prefixes.sorted().into_iter()
    }

    /// How many networks are known.
    pub fn networks(&self) -> usize {
        self.learned.networks.len()
    }

    /// How many seconds were learned, from the first to the last; `None` before any was.
    pub fn span(&self) -> Option<Span> {
        let Learned { from, until, seconds, .. } = &self.learned;
        (*seconds > 0).then_some(Span { from: *from, until: *until, seconds: *seconds })
    }

    /// Whether nothing was learned and nothing waits to be.
    pub fn is_empty(&self) -> bool {
        self.span().is_none() && self.live.is_empty()
    }

    /// The levels by the hour of the week, in UTC from Thursday 00:00, as far as they are known.
    pub fn hours(&self, signal: Signal, cohort: Cohort) -> Vec<(u8, f64)> {
        self.learned.series.get(signal, cohort).season.levels(signal.least()).collect()
    }

    /// Adds what was learned elsewhere. What watches stays that of the later one.
    pub fn merge(&mut self, other: Self) {
        let (earlier, later) = if self.learned.until <= other.learned.until {
            (std::mem::replace(self, other), self)
        } else {
            (other, self)
        };
        later.live.take_over(earlier.live, &mut later.learned, earlier.learned);
    }

    /// Forgets the hours that lie wholly or partly from `from` to before `to`, and who came first then. How it scatters
    /// and what was carried in health stay: they do not tell when.
    pub fn forget_between(&mut self, from: i64, to: i64) {
        self.learned.forget_between(from, to);
        self.live.forget_between(from, to);
    }

    /// Whether every number in it is one that can be learned: what was read from a file is not trusted.
    pub fn is_sound(&self) -> bool {
        self.learned.is_sound() && self.live.is_sound()
    }

    /// Says what this run knows: who is home, and when nothing is learned.
    pub(super) fn brief(mut self, home: Home, quiet: Vec<Quiet>) -> Self {
        (self.home, self.quiet) = (home, quiet);
        self.learned.make_room();
        self.live.make_room();
        self
    }
}

/// What was learned in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first second.
    pub from: i64,
    /// The last second.
    pub until: i64,
    /// How many in between were learned.
    pub seconds: u64,
}

impl Stage {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Minutes => "C0 (minutes)",
            Stage::Hours => "C1 (hours)",
            Stage::Days => "C2 (days)",
            Stage::Weeks => "C3 (weeks)",
        }
    }

    /// The slack and the limit of a cumulative sum, in standard deviations (DETECTION.md, D1): 3 and 12 while only a level
    /// is known, 2 and 8 with a season, at which simulated days gave 0 to 0.48 false alarms.
    const fn slack_and_limit(self) -> (f64, f64) {
        match self {
            Stage::Minutes | Stage::Hours => (3.0, 12.0),
            Stage::Days | Stage::Weeks => (2.0, 8.0),
        }
    }
}

/// No service has more of anything in ten seconds.
const MOST_VALUE: f64 = 1e15;

/// Whether a number can be a count, a level or a sum of some such: finite and not negative.
fn is_value(value: f64) -> bool {
    (0.0..=MOST_VALUE * 1_000.0).contains(&value)
}

/// Whether a second lies within some ten thousand years of the epoch, so that arithmetic with it holds.
fn is_time(second: i64) -> bool {
    second.unsigned_abs() < 1 << 38
}
