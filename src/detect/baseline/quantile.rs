//! Quantiles of what comes one by one, in little room: a histogram with logarithmic buckets, each 2 % wide (DDSketch:
//! Masson, Rim and Lee, "DDSketch: A fast and fully-mergeable quantile sketch", PVLDB 12, 2019). Two of them add up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The histogram.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Quantiles {
    buckets: BTreeMap<i16, u32>,
    /// The sum of the buckets.
    total: u64,
}

/// Each bucket ends this factor above the last: a quantile is right within 1 %.
const GAMMA: f64 = 1.02;

/// What is smaller shares the lowest bucket, what is larger the highest: some 2,000 buckets at most.
const LEAST: f64 = 1e-4;
const MOST: f64 = 1e13;

impl Quantiles {
    /// Notes a value; halves what is there when more than `memory` values weigh, and answers whether it did.
    pub fn note(&mut self, value: f64, memory: u64) -> bool {
        if !value.is_finite() {
            return false;
        }
        let index = (value.clamp(LEAST, MOST).ln() / GAMMA.ln()).ceil() as i16;
        let count = self.buckets.entry(index).or_default();
        *count = count.saturating_add(1);
        self.total += 1;
        let is_full = self.total > memory;
        if is_full {
            self.halve();
        }
        is_full
    }

    /// How many values weigh.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value below which the part `part` (0 to 1) lies; `None` where nothing was noted.
    pub fn at(&self, part: f64) -> Option<f64> {
        let rank = (self.total() as f64 * part).ceil().max(1.0) as u64;
        let mut below = 0;
        for (index, count) in &self.buckets {
            below += u64::from(*count);
            if below >= rank {
                return Some(GAMMA.powi(i32::from(*index)) * 2.0 / (1.0 + GAMMA));
            }
        }
        None
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        for (index, more) in &other.buckets {
            let count = self.buckets.entry(*index).or_default();
            *count = count.saturating_add(*more);
        }
        self.count();
    }

    /// Whether every bucket is one that [`Quantiles::note`] could have made.
    pub fn is_sound(&self) -> bool {
        let within = |bound: f64| (bound.ln() / GAMMA.ln()).ceil() as i16;
        let (least, most) = (within(LEAST), within(MOST));
        let sum: u64 = self.buckets.values().map(|count| u64::from(*count)).sum();
        self.total == sum
            && self.buckets.iter().all(|(index, count)| (least..=most).contains(index) && *count > 0)
    }

    fn halve(&mut self) {
        self.buckets.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
        self.count();
    }

    fn count(&mut self) {
        self.total = self.buckets.values().map(|count| u64::from(*count)).sum();
    }
}

/// The median of a few values; `None` of none.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(*upper);
    }
    values.get(middle - 1).map(|lower| (lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_hundredth() {
        let mut quantiles = Quantiles::default();
        for value in 1..=10_000 {
            quantiles.note(f64::from(value), 100_000);
        }
        for part in [0.01, 0.5, 0.99] {
            let error = quantiles.at(part).unwrap() / (10_000.0 * part) - 1.0;
            assert!(error.abs() < 0.011, "{part}: {error}");
        }
        assert!(quantiles.is_sound());
        assert_eq!(Quantiles::default().at(0.5), None);
    }

    #[test]
    fn two_halves_are_the_whole() {
        let [mut one, mut other, mut whole] = [(); 3].map(|()| Quantiles::default());
        for value in 0..1_000 {
            if value % 3 == 0 { &mut one } else { &mut other }.note(f64::from(value), 10_000);
            whole.note(f64::from(value), 10_000);
        }
        one.merge(&other);
        assert_eq!(one, whole);
    }

    #[test]
    fn the_past_weighs_less_and_less() {
        let mut quantiles = Quantiles::default();
        let values = std::iter::repeat_n(10.0, 1_000).chain(std::iter::repeat_n(100.0, 2_000));
        let halved = values.filter(|value| quantiles.note(*value, 1_000)).count();
        assert!(halved >= 3, "{halved} times");
        assert!(quantiles.at(0.3).unwrap() > 90.0 && quantiles.total() <= 1_000);
    }
}
