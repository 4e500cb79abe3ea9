//! What one signal of one cohort is usually like: its season, its level while no season is known, and how much it
//! scatters. Comes in: learned minutes and residuals. Goes out: what is expected.

use serde::{Deserialize, Serialize};

use super::Signal;
use super::quantile::Quantiles;
use super::season::Season;

/// What is learned of it. It merges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Series {
    /// Its hours.
    pub season: Season,
    /// The level of the last hour, followed at a bounded pace.
    level: Option<f64>,
    scatter: Scatter,
}

/// How far it lay from what was expected.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Scatter {
    /// Distances: relative ones of rates, differences of log-odds of ratios, of logarithms of times.
    away: Quantiles,
    /// The sum of 1/mean over them: what chance alone would add to their squares.
    by_chance: f64,
}

/// The level may move by this factor in an hour: ordinary mornings double in an hour, and an attack that ramps up to five
/// times the level in that time still stands three times above it.
const PACE_PER_HOUR: f64 = 1.5;

/// The overdispersion that is believed (DETECTION.md, D1), and what stands for it while too little is known.
const PHI: (f64, f64) = (0.002, 0.25);
const YOUNG_PHI: f64 = 0.05;

/// The least spread of log-odds that is believed (D2), and of logarithms of times.
const LEAST_SPREAD: f64 = 0.35;

/// Half an hour of residuals; and a week of them, after which the older ones weigh half.
const ENOUGH: u64 = 180;
const MEMORY: u64 = 60_480;

/// The median of absolute deviations times this is the standard deviation of a normal distribution.
const DEVIATION_PER_MEDIAN: f64 = 1.4826;

impl Series {
    /// The level of the last hour; `None` before anything was learned.
    pub fn level(&self) -> Option<f64> {
        self.level
    }

    /// Sets the level as nothing was known before.
    pub fn set_level(&mut self, level: f64) {
        self.level = Some(level);
    }

    /// Follows `target` for so many minutes, no faster than is allowed.
    pub fn follow(&mut self, target: f64, minutes: i64, least: f64) {
        let pace = PACE_PER_HOUR.powf(minutes.clamp(1, 60) as f64 / 60.0);
        let followed = self.level.map(|level| {
            let from = level.max(least);
            target.clamp((level / pace).min(level - (from - from / pace)).max(0.0), from * pace)
        });
        self.level = Some(followed.unwrap_or(target).min(super::MOST_VALUE));
    }

    /// Learns how far a value lay from what was expected.
    pub fn scatter(&mut self, signal: Signal, value: f64, expected: f64) {
        if !signal.is_rate() {
            self.scatter.away.note((signal.scaled(value) - signal.scaled(expected)).abs(), MEMORY);
        } else if expected >= 1.0 {
            self.scatter.by_chance += 1.0 / expected;
            if self.scatter.away.note((value / expected - 1.0).abs(), MEMORY) {
                self.scatter.by_chance /= 2.0;
            }
        }
    }

    /// Of a rate: the overdispersion, the part of the squared relative deviation that chance does not explain. Of a
    /// ratio or time: the spread on its own scale.
    pub fn phi(&self, signal: Signal) -> f64 {
        let total = self.scatter.away.total();
        let median = self.scatter.away.at(0.5).filter(|_| total >= ENOUGH || !signal.is_rate());
        let deviation = median.map(|median| DEVIATION_PER_MEDIAN * median);
        if !signal.is_rate() {
            return deviation.unwrap_or(LEAST_SPREAD).max(LEAST_SPREAD);
        }
        let chance = self.scatter.by_chance / total.max(1) as f64;
        deviation.map_or(YOUNG_PHI, |deviation| (deviation * deviation - chance).clamp(PHI.0, PHI.1))
    }

    /// Adds what was learned elsewhere; where both have a level, `newer` says whose stays.
    pub fn merge(&mut self, other: &Self, signal: Signal, newer: Newer) {
        self.season.merge(&other.season, signal.least());
        self.level = match newer {
            Newer::Ours => self.level.or(other.level),
            Newer::Theirs => other.level.or(self.level),
        };
        self.scatter.away.merge(&other.scatter.away);
        self.scatter.by_chance += other.scatter.by_chance;
    }

    /// Whether its numbers are ones that can be learned.
    pub fn is_sound(&self, is_value: impl Fn(f64) -> bool) -> bool {
        self.level.is_none_or(&is_value)
            && is_value(self.scatter.by_chance)
            && self.scatter.away.is_sound()
            && self.season.is_sound(&is_value)
    }
}

/// Which of two was learned later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newer {
    /// The one that is added to.
    Ours,
    /// The one that is added.
    Theirs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_no_faster_than_is_allowed() {
        let mut series = Series::default();
        series.set_level(100.0);
        for _ in 0..60 {
            series.follow(10_000.0, 1, 1.0);
        }
        assert!((series.level().unwrap() / 150.0 - 1.0).abs() < 1e-9);
        for _ in 0..60 {
            series.follow(0.0, 1, 1.0);
        }
        assert!((series.level().unwrap() / 100.0 - 1.0).abs() < 0.02, "{:?}", series.level());
    }

    #[test]
    fn chance_alone_is_no_overdispersion() {
        let mut series = Series::default();
        // Deviations of a tenth around a mean of 100: what a Poisson count has.
        for nth in 0..1_000 {
            let away = if nth % 2 == 0 { 0.067 } else { 0.068 };
            series.scatter(Signal::Requests, 100.0 * (1.0 + away), 100.0);
        }
        assert_eq!(series.phi(Signal::Requests), PHI.0);
        let mut wide = Series::default();
        (0..1_000).for_each(|_| wide.scatter(Signal::Requests, 1_200.0, 1_000.0));
        assert!((wide.phi(Signal::Requests) - 0.087).abs() < 0.003, "{}", wide.phi(Signal::Requests));
    }
}
