//! How much work is left out. Comes in: the drops so far, every second. Goes out: a step, up by one with every second in
//! which packets are dropped, down by one with every half minute without.

use std::time::Duration;

/// The last step (see [`Shed`](crate::flow::Shed)).
const LAST: u8 = 2;

/// Without drops for so long, a step less is left out: what comes back at once would only be dropped again.
const CALM: Duration = Duration::from_secs(30);

/// The steps so far.
#[derive(Debug, Default)]
pub struct Shedding {
    step: u8,
    dropped: u64,
    /// When a packet was dropped or a step was taken back last.
    changed: Duration,
}

impl Shedding {
    /// Looks at the drops at the stopwatch's time `now`; answers the step where it changes.
    pub fn look(&mut self, now: Duration, dropped: u64) -> Option<u8> {
        let before = self.step;
        if dropped > self.dropped {
            self.step = (self.step + 1).min(LAST);
            self.changed = now;
        } else if self.step > 0 && now.saturating_sub(self.changed) >= CALM {
            self.step -= 1;
            self.changed = now;
        }
        self.dropped = dropped;
        (self.step != before).then_some(self.step)
    }

    /// The step.
    pub fn step(&self) -> u8 {
        self.step
    }

    /// What it means, for people.
    pub fn in_words(&self) -> &'static str {
        match self.step {
            0 => "everything is looked at again",
            1 => "packets are dropped: what is said is not read until half a minute is without",
            _ => {
                "packets are dropped: only what floods are told by is counted until half a minute is without"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_up_with_drops_and_come_back_one_by_one() {
        let mut shedding = Shedding::default();
        let mut look = |secs, dropped| shedding.look(Duration::from_secs(secs), dropped);
        assert_eq!(look(1, 0), None);
        assert_eq!(look(2, 5), Some(1));
        assert_eq!(look(3, 9), Some(2));
        assert_eq!(look(4, 10), None, "there is no further step");
        assert_eq!(look(33, 10), None);
        assert_eq!(look(34, 10), Some(1));
        assert_eq!(look(35, 10), None);
        assert_eq!(look(64, 10), Some(0));
        assert_eq!(look(999, 10), None);
    }
}
