//! Random numbers that are the same on every machine: a seed comes in, numbers, choices and waiting times go out.
//! Only integer arithmetic and exactly rounded operations are used, so that a scenario's bytes depend on its seed
//! alone. Nothing here is fit for secrets.

use crate::time::Span;

/// A stream of random numbers, [SplitMix64](https://prng.di.unimi.it/splitmix64.c).
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// 2^64 divided by the golden ratio: SplitMix64's step.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The longest exponential waiting time in means; a longer one has probability e^-32.
const LONGEST_WAIT: u64 = 32;

impl Rng {
    /// Begins the stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        finalize(self.0)
    }

    /// A number below `bound`; zero where `bound` is zero.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` where `high` is smaller.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A fraction in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A span from `low` to `high`, both included.
    pub const fn span_between(&mut self, low: Span, high: Span) -> Span {
        Span::from_nanos(self.between(low.nanos(), high.nanos()))
    }

    /// An exponentially distributed waiting time, at most 32 means long.
    ///
    /// J. von Neumann's method (1951): the length of a falling run of uniform numbers decides, so no logarithm is
    /// taken and every machine agrees.
    pub fn exponential(&mut self, mean: Span) -> Span {
        for whole in 0..LONGEST_WAIT {
            let first = self.next();
            if self.falling_run_is_odd(first) {
                let part = (u128::from(mean.nanos()) * u128::from(first)) >> 64;
                return Span::from_nanos(mean.nanos().saturating_mul(whole).saturating_add(part as u64));
            }
        }
        Span::from_nanos(mean.nanos().saturating_mul(LONGEST_WAIT))
    }

    fn falling_run_is_odd(&mut self, first: u64) -> bool {
        let (mut last, mut length) = (first, 1_u32);
        loop {
            let next = self.next();
            if next >= last {
                return length % 2 == 1;
            }
            (last, length) = (next, length + 1);
        }
    }

    /// The place of one of `weights`, each as likely as its weight; 0 where all are zero.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u64 = weights.clone().map(u64::from).sum();
        let mut rest = self.below(total);
        for (place, weight) in weights.enumerate() {
            let weight = u64::from(weight);
            if rest < weight {
                return place;
            }
            rest -= weight;
        }
        0
    }
}

/// Mixes two numbers into one that looks random; the same two give the same one. For a fixed `a` different `b`
/// give different numbers.
pub const fn mix(a: u64, b: u64) -> u64 {
    finalize(finalize(a.wrapping_add(STEP)) ^ b)
}

const fn finalize(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn exponential_waits_have_their_mean_and_their_tail() {
        let mut rng = Rng::new(9);
        let waits: Vec<f64> =
            (0..20_000).map(|_| rng.exponential(Span::from_millis(100)).as_secs_f64()).collect();
        let mean = waits.iter().sum::<f64>() / 20_000.0;
        let longer = waits.iter().filter(|wait| **wait > 0.1).count() as f64 / 20_000.0;
        assert!((mean - 0.1).abs() < 0.003, "mean {mean}");
        assert!((longer - 0.3679).abs() < 0.01, "one in e is longer than the mean: {longer}");
    }

    #[test]
    fn weights_decide_how_often() {
        let mut rng = Rng::new(3);
        let mut seen = [0_u32; 3];
        for _ in 0..9_000 {
            seen[rng.weighted([1, 0, 2].into_iter())] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!(seen[2].abs_diff(6_000) < 200, "{seen:?}");
        assert_eq!(Rng::new(3).weighted(std::iter::empty()), 0);
    }

    #[test]
    fn bounds_hold_at_their_ends() {
        let mut rng = Rng::new(0);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.between(7, 7), 7);
        assert!((0..1_000).all(|_| rng.between(3, 5) <= 5));
        rng.between(0, u64::MAX);
    }
}
