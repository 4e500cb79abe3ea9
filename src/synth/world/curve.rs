//! How much there is of something over time: points come in, the value at a moment goes out. Only exactly rounded
//! arithmetic.

use super::super::rng::Rng;
use crate::time::Span;

/// Values at moments, straight lines between them, nothing before the first and after the last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve(Vec<(Span, f64)>);

impl Curve {
    /// A curve through points in order of time.
    pub const fn through(points: Vec<(Span, f64)>) -> Self {
        Self(points)
    }

    /// The same value from begin to end.
    pub fn flat(begin: Span, end: Span, value: f64) -> Self {
        Self(vec![(begin, value), (end, value)])
    }

    /// Up to `value` within `rise`, down at the end as quickly.
    pub fn plateau((begin, end): (Span, Span), rise: Span, value: f64) -> Self {
        let fall =
            Span::from_nanos(end.nanos().saturating_sub(rise.nanos()).max(begin.nanos() + rise.nanos()));
        let top = Span::from_nanos(begin.nanos() + rise.nanos());
        Self(vec![(begin, 0.0), (top, value), (fall, value), (end, 0.0)])
    }

    /// Bursts of `on` every `period`.
    pub fn pulses((begin, end): (Span, Span), (on, period): (Span, Span), value: f64) -> Self {
        let mut points = Vec::new();
        let mut at = begin.nanos();
        // A nanosecond makes an edge.
        while at < end.nanos() && points.len() < MAX_POINTS {
            let off = (at + on.nanos()).min(end.nanos());
            let edge = [(at, 0.0), (at + 1, value), (off, value), (off + 1, 0.0)];
            points.extend(edge.map(|(at, value)| (Span::from_nanos(at), value)));
            at += period.nanos().max(1_000_000);
        }
        Self(points)
    }

    /// The same curve with a level that wanders: around every 20 s another factor, 0.85 to 1.15.
    #[must_use]
    pub fn wandering(&self, rng: &mut Rng) -> Self {
        let (Some((begin, _)), Some((end, _))) = (self.0.first(), self.0.last()) else { return self.clone() };
        let mut points = vec![(*begin, self.at(*begin))];
        let mut at = begin.nanos();
        let mut drift = 0.0;
        while at < end.nanos() && points.len() < MAX_POINTS {
            at = (at + rng.between(12_000_000_000, 28_000_000_000)).min(end.nanos());
            // Half of the last deviation stays: ordinary load has a memory of a minute or so.
            drift = drift * 0.5 + (rng.unit() - 0.5) * 0.2;
            let at = Span::from_nanos(at);
            points.push((at, self.at(at) * (1.0 + drift)));
        }
        Self(points)
    }

    /// The value at a moment.
    pub fn at(&self, at: Span) -> f64 {
        let after = self.0.partition_point(|(point, _)| *point < at);
        let Some((right, high)) = self.0.get(after) else { return 0.0 };
        if *right == at {
            return *high;
        }
        let Some((left, low)) = after.checked_sub(1).and_then(|before| self.0.get(before)) else {
            return 0.0;
        };
        let part = (at.nanos() - left.nanos()) as f64 / (right.nanos() - left.nanos()).max(1) as f64;
        low + (high - low) * part
    }

    /// The same curve, so many times as high.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|(at, value)| (*at, value * factor)).collect())
    }

    /// The first moment.
    pub fn begin(&self) -> Span {
        self.0.first().map_or(Span::default(), |(begin, _)| *begin)
    }

    /// The last moment.
    pub fn end(&self) -> Span {
        self.0.last().map_or(Span::default(), |(end, _)| *end)
    }
}

/// One length of time after another.
pub const fn plus(one: Span, other: Span) -> Span {
    Span::from_nanos(one.nanos().saturating_add(other.nanos()))
}

/// The most points of a curve.
const MAX_POINTS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Span {
        Span::from_secs(secs)
    }

    #[test]
    fn lines_between_points() {
        let curve = Curve::plateau((secs(10), secs(30)), secs(4), 8.0);
        let values = [0, 10, 12, 14, 20, 28, 30, 31].map(|at| curve.at(secs(at)));
        assert_eq!(values, [0.0, 0.0, 4.0, 8.0, 8.0, 4.0, 0.0, 0.0]);
    }

    #[test]
    fn pulses_are_on_and_off() {
        let curve = Curve::pulses((secs(5), secs(65)), (secs(10), secs(30)), 2.0);
        let values = [4, 6, 14, 16, 34, 36, 44, 46].map(|at| curve.at(secs(at)));
        assert_eq!(values, [0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 2.0, 0.0]);
    }
}
