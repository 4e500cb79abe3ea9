//! How long to wait before a receiver is tried again. Comes in: how often it failed, and what it asked for. Goes out: a
//! time that doubles up to a limit, drawn anew each time, so that many sensors do not come back as one ("full jitter").

use std::time::Duration;

/// How patient a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// The longest wait that a receiver may ask for.
    pub asked: Duration,
    /// How long a connection may leave unacknowledged what was sent on it, before it counts as broken.
    pub unacknowledged: Duration,
}

impl Default for Patience {
    /// Half a second at first, a minute at most; five minutes where that is asked for. A path that takes no packet for ten
    /// seconds will not take the next ones either.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(60),
            asked: Duration::from_secs(300),
            unacknowledged: Duration::from_secs(10),
        }
    }
}

/// The waits of one sink.
#[derive(Debug)]
pub(super) struct Backoff {
    patience: Patience,
    /// Failures one after the other.
    failures: u32,
    dice: u64,
}

impl Backoff {
    pub fn new(patience: Patience, seed: u64) -> Self {
        Self { patience, failures: 0, dice: seed }
    }

    /// How long to wait after another failure.
    pub fn after_failure(&mut self, asked: Option<Duration>) -> Duration {
        let Patience { first, most, asked: most_asked, .. } = self.patience;
        let ceiling = first.saturating_mul(1_u32 << self.failures.min(20)).min(most);
        self.failures = self.failures.saturating_add(1);
        let drawn = ceiling.mul_f64(self.draw());
        drawn + asked.unwrap_or_default().min(most_asked)
    }

    /// How often it failed one after the other.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// A number from 0 to 1 (splitmix64).
    fn draw(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew_after_success() {
        let mut longest = [Duration::ZERO; 12];
        for seed in 0..200 {
            let mut backoff = Backoff::new(Patience::default(), seed);
            longest.iter_mut().for_each(|longest| *longest = backoff.after_failure(None).max(*longest));
        }
        let ceilings = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0, 60.0];
        for (longest, ceiling) in longest.iter().zip(ceilings) {
            let part = longest.as_secs_f64() / ceiling;
            assert!((0.9..=1.0).contains(&part), "{longest:?} of {ceiling} s");
        }
        let mut backoff = Backoff::new(Patience::default(), 1);
        (0..50).for_each(|_| {
            backoff.after_failure(None);
        });
        backoff.succeed();
        assert!(backoff.after_failure(None) <= Duration::from_millis(500));
    }

    #[test]
    fn a_receiver_may_ask_for_time_but_not_for_ever() {
        let mut backoff = Backoff::new(Patience::default(), 1);
        let wait = backoff.after_failure(Some(Duration::from_secs(30)));
        assert!(wait >= Duration::from_secs(30) && wait <= Duration::from_millis(30_500), "{wait:?}");
        assert!(backoff.after_failure(Some(Duration::MAX)) <= Duration::from_secs(301));
    }
}
