//! What stays: series, capacity, acquaintances. Comes in: minutes and hours that are learned. Goes out: levels and stages.
//! Two of them, learned from different times, add up.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::known::Known;
use super::neighbours::Neighbours;
use super::quantile::Quantiles;
use super::series::{Newer, Series};
use super::signal::{Cohort, Grid, Signal, all};
use super::{DAY, MOST_VALUE, Stage, TEN_MINUTES, WEEK, is_time, is_value};

/// What was learned of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Learned {
    /// The first second.
    pub from: i64,
    /// The last second.
    pub until: i64,
    /// How many seconds were learned.
    pub seconds: u64,
    /// Each signal of each cohort.
    pub series: Grid<Series>,
    /// Each rate of the whole service in healthy minutes, per 10 s.
    pub healthy: [Quantiles; RATES],
    /// Prefixes that were answered.
    pub prefixes: Known<IpNet>,
    /// Networks that were answered.
    pub networks: Known<u32>,
    /// How often answered clients asked, of all the time.
    #[serde(default)]
    pub accesses: u64,
    /// What labelled clients have of each rate.
    #[serde(default)]
    pub neighbours: Neighbours,
}

const RATES: usize = Signal::RATES.len();

/// Prefixes and networks that are remembered of a service: a national service sees some 20,000 of its 60,000 daily
/// clients' /24s, and some thousand networks.
pub(super) const MAX_PREFIXES: usize = 32_768;
pub(super) const MAX_NETWORKS: usize = 4_096;

/// Two weeks of minutes, after which the older ones weigh half; and how many there must be.
const HEALTHY_MEMORY: u64 = 20_160;
const HEALTHY_ENOUGH: u64 = 3;

impl Default for Learned {
    fn default() -> Self {
        Self {
            from: 0,
            until: 0,
            seconds: 0,
            series: Grid::default(),
            healthy: Default::default(),
            prefixes: Known::new(MAX_PREFIXES),
            networks: Known::new(MAX_NETWORKS),
            accesses: 0,
            neighbours: Neighbours::default(),
        }
    }
}

impl Learned {
    /// Notes that so many seconds up to `until` were learned.
    pub fn pass(&mut self, until: i64, seconds: u64) {
        if self.seconds == 0 {
            self.from = until;
            self.until = until;
        }
        if until.div_euclid(DAY) > self.until.div_euclid(DAY) {
            self.prefixes.forget_old(until);
            self.networks.forget_old(until);
        }
        self.from = self.from.min(until.saturating_sub_unsigned(seconds.saturating_sub(1)));
        self.until = self.until.max(until);
        self.seconds += seconds;
    }

    /// Whether the level may still be set freely: in the first ten minutes.
    pub fn is_young(&self) -> bool {
        self.seconds < TEN_MINUTES.unsigned_abs()
    }

    /// How much is known at a second.
    pub fn stage(&self, second: i64) -> Stage {
        let requests = &self.series.get(Signal::Packets, Cohort::Whole).season;
        let span = self.until.max(second) - self.from;
        match () {
            () if self.is_young() => Stage::Minutes,
            () if span >= WEEK && requests.of_week(second, 1.0).is_some() => Stage::Weeks,
            () if span >= DAY && requests.of_day(second, 1.0).is_some() => Stage::Days,
            () => Stage::Hours,
        }
    }

    /// The level of a signal at a second.
    pub fn level(&self, signal: Signal, cohort: Cohort, second: i64) -> Option<f64> {
        let series = self.series.get(signal, cohort);
        let season = match self.stage(second) {
            Stage::Weeks => series.season.of_week(second, signal.least()),
            Stage::Days => series.season.of_day(second, signal.least()),
            Stage::Hours | Stage::Minutes => None,
        };
        season.or_else(|| series.level())
    }

    /// How a signal scatters.
    pub fn phi(&self, signal: Signal, cohort: Cohort) -> f64 {
        self.series.get(signal, cohort).phi(signal)
    }

    /// The 99th percentile of a rate in healthy minutes, per second.
    pub fn knee(&self, signal: Signal) -> Option<f64> {
        let healthy = self.healthy.get(Signal::RATES.iter().position(|rate| *rate == signal)?)?;
        if healthy.total() < HEALTHY_ENOUGH {
            return None;
        }
        healthy.at(0.99).map(|in_ten| in_ten / 10.0)
    }

    /// Notes a healthy minute.
    pub fn note_healthy(&mut self, value: impl Fn(Signal) -> Option<f64>) {
        for (signal, healthy) in Signal::RATES.into_iter().zip(&mut self.healthy) {
            if let Some(value) = value(signal).filter(|value| *value > 0.0) {
                healthy.note(value, HEALTHY_MEMORY);
            }
        }
    }

    /// Forgets acquaintances of an incident that began at `second`.
    pub fn forget_since(&mut self, second: i64) {
        self.prefixes.forget_since(second);
        self.networks.forget_since(second);
    }

    /// Forgets hours, and who came first in them.
    pub fn forget_between(&mut self, from: i64, to: i64) {
        for (signal, cohort) in all() {
            self.series.get_mut(signal, cohort).season.forget(from, to);
        }
        self.prefixes.forget_between(from, to);
        self.networks.forget_between(from, to);
    }

    /// Adds what was learned before or after this.
    pub fn merge(&mut self, other: &Self) {
        if other.seconds == 0 {
            return;
        }
        let newer = if self.seconds == 0 || other.until > self.until { Newer::Theirs } else { Newer::Ours };
        let (from, until) = if self.seconds == 0 {
            (other.from, other.until)
        } else {
            (self.from.min(other.from), self.until.max(other.until))
        };
        (self.from, self.until, self.seconds) = (from, until, self.seconds + other.seconds);
        for (signal, cohort) in all() {
            self.series.get_mut(signal, cohort).merge(other.series.get(signal, cohort), signal, newer);
        }
        for (ours, theirs) in self.healthy.iter_mut().zip(&other.healthy) {
            ours.merge(theirs);
        }
        self.prefixes.merge(&other.prefixes);
        self.networks.merge(&other.networks);
        self.accesses = self.accesses.saturating_add(other.accesses);
        self.neighbours.merge(&other.neighbours);
    }

    /// Gives the tables the room they have in a run.
    pub fn make_room(&mut self) {
        let nobody = (Known::new(0), Known::new(0));
        self.prefixes = std::mem::replace(&mut self.prefixes, nobody.0).with_cap(MAX_PREFIXES);
        self.networks = std::mem::replace(&mut self.networks, nobody.1).with_cap(MAX_NETWORKS);
    }

    /// Whether it is one that can have been learned.
    pub fn is_sound(&self) -> bool {
        let times = is_time(self.from) && is_time(self.until) && self.from <= self.until;
        times
            && self.seconds < 1 << 38
            && self
                .series
                .iter()
                .all(|series| series.is_sound(|value| is_value(value) && value <= MOST_VALUE))
            && self.healthy.iter().all(Quantiles::is_sound)
            && self.prefixes.len() <= MAX_PREFIXES
            && self.networks.len() <= MAX_NETWORKS
            && self.prefixes.is_sound()
            && self.networks.is_sound()
            && self.neighbours.is_sound()
    }
}
