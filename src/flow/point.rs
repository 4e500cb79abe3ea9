//! Points in time in 32 bits, for what is kept of each connection. Comes in: time stamps, and points to compare with. Goes out:
//! the span between two. Knows nothing beyond nineteen hours.

use super::turns::PATIENCE;
use crate::time::{Span, Timestamp};

/// A point in time, in units of 2^14 ns (16 µs): 32 bits of them wrap around after 19 hours, and what is compared lies
/// within half of that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Point(u32);

const UNIT_SHIFT: u32 = 14;

/// The longest wait that is summed up: one forgotten answer must not outweigh a thousand.
const LONGEST_WAIT: u32 = 60_000_000;

impl Point {
    /// The point in which a time lies.
    pub fn of(time: Timestamp) -> Self {
        Self((time.nanos() >> UNIT_SHIFT) as u32)
    }

    /// The span since an earlier one; none where it is a later one.
    pub fn span_since(self, earlier: Self) -> Span {
        let units = (self.0.wrapping_sub(earlier.0) as i32).max(0);
        Span::from_nanos((units as u64) << UNIT_SHIFT)
    }

    /// The same in microseconds, up to [`LONGEST_WAIT`].
    pub fn micros_since(self, earlier: Self) -> u32 {
        (self.span_since(earlier).nanos() / 1_000).min(u64::from(LONGEST_WAIT)) as u32
    }

    /// Whether patience has ended since.
    pub fn has_waited(self, since: Self) -> bool {
        self.span_since(since) >= PATIENCE
    }

    /// How long until patience ends; it begins anew where it has ended.
    pub fn patience_left(self, since: Self) -> Span {
        let left = PATIENCE.nanos().saturating_sub(self.span_since(since).nanos());
        Span::from_nanos(if left == 0 { PATIENCE.nanos() } else { left })
    }
}
