//! How an interface of a pcapng section counts time.
//! Comes in: the interface's options, then counts of its unit. Goes out: capture times.
//! Refuses to overflow, whatever unit and offset a file claims.

use super::options::Options;
use super::reader::Order;
use crate::time::Timestamp;

/// `if_tsresol`: the unit of an interface's times.
pub(super) const TIME_RESOLUTION: u16 = 9;
/// `if_tsoffset`: seconds to add to an interface's times.
const TIME_OFFSET: u16 = 14;

/// How an interface's times count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    unit: Unit,
    offset_nanos: i128,
}

/// The length of a unit of time: a nanosecond, times or over a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Times(u64),
    Over(u64),
    /// A second over two to this power.
    BinaryFraction(u32),
}

impl Clock {
    /// Reads an interface's options; without them times are microseconds since 1970.
    pub(super) fn told_by(options: Options<'_>, order: Order) -> Self {
        let mut clock = Self { unit: Unit::Times(1_000), offset_nanos: 0 };
        for option in options {
            match (option.code, option.value) {
                (TIME_RESOLUTION, [resolution, ..]) => clock.unit = Unit::of(*resolution),
                (TIME_OFFSET, value) => {
                    let secs = value.first_chunk().map_or(0, |bytes| order.u64(*bytes).cast_signed());
                    clock.offset_nanos = i128::from(secs) * 1_000_000_000;
                }
                _ => {}
            }
        }
        clock
    }

    /// The time that `ticks` units are, saturating at the ends of [`Timestamp`].
    #[inline]
    pub(super) fn time(self, ticks: u64) -> Timestamp {
        // 2^64 units of a second each are under 2^94 nanoseconds: i128 cannot overflow here.
        let nanos = self.unit.nanos(ticks) + self.offset_nanos;
        Timestamp::from_nanos(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }
}

impl Unit {
    /// The unit of an `if_tsresol` value: its highest bit says two or ten, the others the negative power.
    fn of(resolution: u8) -> Self {
        let power = u32::from(resolution & 0x7f);
        match (resolution & 0x80, power) {
            (0, 0..=9) => Self::Times(10_u64.pow(9 - power)),
            // Over 10^19 nothing of 64 bits is left, as with a binary fraction so small.
            (0, _) => 10_u64.checked_pow(power - 9).map_or(Self::BinaryFraction(127), Self::Over),
            _ => Self::BinaryFraction(power),
        }
    }

    #[inline]
    fn nanos(self, ticks: u64) -> i128 {
        match self {
            Self::Times(factor) => i128::from(ticks) * i128::from(factor),
            Self::Over(divisor) => i128::from(ticks / divisor),
            Self::BinaryFraction(power) => (i128::from(ticks) * 1_000_000_000) >> power,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resolution_is_a_unit_and_none_overflows() {
        for resolution in 0..=u8::MAX {
            for ticks in [0, 1, u64::MAX] {
                for offset_nanos in
                    [i128::from(i64::MIN) * 1_000_000_000, 0, i128::from(i64::MAX) * 1_000_000_000]
                {
                    Clock { unit: Unit::of(resolution), offset_nanos }.time(ticks);
                }
            }
        }
    }

    #[test]
    fn powers_of_ten_and_two() {
        let secs = |resolution: u8, ticks: u64| Unit::of(resolution).nanos(ticks);
        assert_eq!(secs(0, 3), 3_000_000_000);
        assert_eq!(secs(2, 150), 1_500_000_000);
        assert_eq!(secs(6, 1), 1_000);
        assert_eq!(secs(9, 1), 1);
        assert_eq!(secs(12, 2_500), 2);
        assert_eq!(secs(127, u64::MAX), 0);
        assert_eq!(secs(0x80 | 32, 3 << 31), 1_500_000_000);
        assert_eq!(secs(0x80 | 127, u64::MAX), 0);
    }
}
