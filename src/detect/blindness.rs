//! What was not seen: the seconds in which packets did not come that should, since an interface was gone or the kernel
//! dropped them. Comes in: the part that was lost. Goes out: whether silence tells anything.

/// The last stretch of seconds of which half of the packets or more were not seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Blindness {
    is_on: bool,
    /// Its first and its last second.
    stretch: Option<(i64, i64)>,
}

/// The part of the packets that is missed from which on less traffic is no sign of less traffic.
const BLIND: f64 = 0.5;

impl Blindness {
    /// The part `loss` of the packets of the seconds that come next was never read.
    pub fn note_loss(&mut self, loss: f64) {
        self.is_on = loss >= BLIND;
    }

    /// Moves on to a second.
    pub fn advance(&mut self, second: i64) {
        if self.is_on {
            let begun = self.stretch.filter(|(_, last)| *last == second - 1).map(|(first, _)| first);
            self.stretch = Some((begun.unwrap_or(second), second));
        }
    }

    /// What is left of it when seconds are counted anew.
    pub fn in_new_epoch(self) -> Self {
        Self { stretch: None, ..self }
    }

    /// Whether a second is in it.
    pub fn holds(&self, second: i64) -> bool {
        self.stretch.is_some_and(|(first, last)| (first..=last).contains(&second))
    }

    /// How many of the seconds between `after` and `before` are in it.
    pub fn between(&self, after: i64, before: i64) -> i64 {
        self.stretch.map_or(0, |(first, last)| (before.min(last + 1) - first.max(after + 1)).max(0))
    }

    /// How many seconds before `now` it ended; 0 while it goes on.
    pub fn since(&self, now: i64) -> Option<u64> {
        self.stretch.map(|(_, last)| now.saturating_sub(last).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_grows_while_half_is_missing_and_ages_after() {
        let mut blindness = Blindness::default();
        for (second, loss) in [(1, 0.0), (2, 0.6), (3, 1.0), (4, 0.4), (5, 0.0)] {
            blindness.note_loss(loss);
            blindness.advance(second);
        }
        assert_eq!([1, 2, 3, 4].map(|second| blindness.holds(second)), [false, true, true, false]);
        assert_eq!((blindness.between(0, 9), blindness.between(2, 9), blindness.between(3, 9)), (2, 1, 0));
        assert_eq!(blindness.since(5), Some(2));
        assert_eq!(blindness.in_new_epoch().since(5), None);
    }
}
