//! Which directions of a service's conversations the mirror shows. Comes in: what moved second by second. Goes out: the
//! directions now and of late, and how long both were shown.

use crate::aggregate::{Count, Counts, Sides};
use crate::time::TickId;

/// The directions that the mirror shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// As conversations told last; both until one tells.
    now: Sides,
    /// The last second in which one direction was missing, and what was shown then.
    one_way: Option<(i64, Sides)>,
    /// The first and the last second in which conversations were seen from both sides.
    two_sided: Option<(i64, i64)>,
}

/// Seconds that tell that a direction has gone: a service whose answers are not mirrored any more must not be taken for
/// one that does not answer, which the rules notice within three.
pub(super) const LATELY: i64 = 2;

/// Conversations of one side within them below which chance decides.
const LEAST_ONE_SIDED: u64 = 3;

impl Default for Shown {
    fn default() -> Self {
        Self { now: Sides::Both, one_way: None, two_sided: None }
    }
}

impl Shown {
    /// Looks at what moved in a second, in the last [`LATELY`] seconds up to it, and in the longest window. The last seconds
    /// tell that a direction has gone, and that it has come back; else the longest window does.
    pub fn look(&mut self, tick: TickId, moved: Option<&Counts>, (lately, long): (&Counts, Option<&Counts>)) {
        if moved.is_some_and(|counts| counts[Count::Opened] > counts[Count::OpenedUnproven]) {
            let first = self.two_sided.map_or(tick.second, |(first, _)| first);
            self.two_sided = Some((first, tick.second));
        }
        self.now = self.told(lately, long);
        if self.now.is_one_way() {
            self.one_way = Some((tick.second, self.now));
        }
    }

    fn told(&self, lately: &Counts, long: Option<&Counts>) -> Sides {
        let one_sided = lately[Count::OneSided] + lately[Count::OpenedUnproven];
        // Who forges numbers at a service that is down is told from a mirror by those who go on trying in vain.
        let tells = one_sided >= LEAST_ONE_SIDED && 2 * one_sided >= lately[Count::Attempts];
        let missing = match self.now {
            Sides::Both => None,
            Sides::ToServer => Some(Count::PacketsOut),
            Sides::ToClient => Some(Count::PacketsIn),
        };
        match lately.sides() {
            Some(sides) if sides.is_one_way() && tells => sides,
            _ if missing.is_some_and(|missing| lately[missing] == 0) => self.now,
            _ => long.and_then(Counts::sides).unwrap_or(self.now),
        }
    }

    /// The directions as conversations told last.
    pub fn now(&self) -> Sides {
        self.now
    }

    /// Those of all seconds from `tick` on: where one was missing in any of them, so is a part of what moved.
    pub fn since(&self, tick: TickId) -> Sides {
        self.one_way.filter(|(second, _)| *second >= tick.second).map_or(self.now, |(_, sides)| sides)
    }

    /// Seconds over which conversations were seen from both sides, from the first of them to the last.
    pub fn two_sided_for(&self) -> u64 {
        self.two_sided.map_or(0, |(first, last)| last.abs_diff(first) + 1)
    }

    /// What is left of it when seconds are counted anew.
    pub fn in_new_epoch(self) -> Self {
        Self { now: self.now, ..Self::default() }
    }
}
