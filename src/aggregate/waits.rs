//! How long answers took, in buckets that grow by half and by a third in turn: what is added can be taken away, and a
//! quantile is right within a third. Comes in: waits. Goes out: quantiles. Refuses to know what was waited for.

use crate::time::Span;

/// Waits by their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits([u32; BUCKETS]);

/// Two for every doubling from 2^7 us (128 us, faster than any server is far away) up to 2^26 us (67 s, longer than the
/// longest wait that is told).
const BUCKETS: usize = 2 * (HIGHEST - LOWEST);
const LOWEST: usize = 7;
const HIGHEST: usize = 26;

impl Default for Waits {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Waits {
    /// Adds `count` waits of `micros` each.
    pub fn add(&mut self, micros: u64, count: u32) {
        if let Some(sum) = self.0.get_mut(bucket(micros)) {
            *sum = sum.wrapping_add(count);
        }
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_add(more);
        }
    }

    /// Takes away what was added before.
    pub fn remove(&mut self, other: &Self) {
        for (sum, less) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_sub(less);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// The wait that `share` of all (0 to 1) do not exceed, as the middle of its bucket; `None` where there are none.
    pub fn quantile(&self, share: f64) -> Option<Span> {
        let count = self.count();
        let rank = ((count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let reaches = |count: &u32| {
            below += u64::from(*count);
            below >= rank
        };
        let at = self.0.iter().position(reaches).filter(|_| count > 0)?;
        Some(Span::from_micros((edge(at) + edge(at + 1)) / 2))
    }
}

fn bucket(micros: u64) -> usize {
    let octave = micros.max(1).ilog2() as usize;
    let upper_half = (micros >> octave.saturating_sub(1)) & 1;
    let at = 2 * octave + upper_half as usize;
    at.saturating_sub(2 * LOWEST).min(BUCKETS - 1)
}

/// Where a bucket begins, in microseconds.
fn edge(at: usize) -> u64 {
    let octave = 1_u64 << (LOWEST + at / 2);
    if at.is_multiple_of(2) { octave } else { octave + octave / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_third() {
        let mut waits = Waits::default();
        assert_eq!(waits.quantile(0.5), None);
        waits.add(50_000, 95);
        waits.add(8_000_000, 5);
        let millis = |share| waits.quantile(share).map(|span| span.nanos() / 1_000_000);
        assert_eq!((millis(0.5), millis(0.95), millis(0.96)), (Some(57), Some(57), Some(7_340)));
        assert_eq!(waits.count(), 100);
    }

    #[test]
    fn every_wait_lies_in_its_bucket() {
        for micros in (128..70_000_000).step_by(4_999).chain([0, 1, 127, 128, 191, 192, u64::MAX]) {
            let at = bucket(micros);
            assert!(at == 0 || edge(at) <= micros, "{micros}");
            assert!(at == BUCKETS - 1 || micros < edge(at + 1), "{micros}");
        }
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let (mut one, mut other) = (Waits::default(), Waits::default());
        one.add(1_000, 3);
        other.add(9_000, 1);
        let before = one;
        one.merge(&other);
        assert_eq!(one.count(), 4);
        one.remove(&other);
        assert_eq!(one, before);
    }
}
