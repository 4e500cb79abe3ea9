//! The bounds of one metric: `{gte: 20/s, lt: 1k/s}`. Comes in: a mapping. Goes out: a [`Bound`] that a number keeps to
//! or not. What the number measures is the condition's business.

use std::fmt;

use crate::document::{Count, Factor, Fields, Node, Rate, Reader, Scalar, Share, Value};
use crate::time::Span;

/// The bounds that a number must keep to, all of them; at least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bound {
    /// At least.
    pub gte: Option<f64>,
    /// More than.
    pub gt: Option<f64>,
    /// At most.
    pub lte: Option<f64>,
    /// Less than.
    pub lt: Option<f64>,
}

/// How a number is held against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// At least.
    Gte,
    /// More than.
    Gt,
    /// At most.
    Lte,
    /// Less than.
    Lt,
}

impl Bound {
    /// Makes the bound `at least`.
    pub const fn at_least(limit: f64) -> Self {
        Self { gte: Some(limit), gt: None, lte: None, lt: None }
    }

    /// Whether `value` keeps to every bound; no number never does.
    pub fn holds(&self, value: f64) -> bool {
        !value.is_nan()
            && self.gte.is_none_or(|limit| value >= limit)
            && self.gt.is_none_or(|limit| value > limit)
            && self.lte.is_none_or(|limit| value <= limit)
            && self.lt.is_none_or(|limit| value < limit)
    }

    /// Whether a number can be too large for it.
    pub fn is_from_above(&self) -> bool {
        self.lte.is_some() || self.lt.is_some()
    }

    /// The bounds that are set.
    pub fn limits(&self) -> impl Iterator<Item = (Op, f64)> {
        let all = [(Op::Gte, self.gte), (Op::Gt, self.gt), (Op::Lte, self.lte), (Op::Lt, self.lt)];
        all.into_iter().filter_map(|(op, limit)| limit.map(|limit| (op, limit)))
    }

    /// Takes over the bounds that `change` sets and keeps the others.
    pub fn merge(&mut self, change: &Bound) {
        self.gte = change.gte.or(self.gte);
        self.gt = change.gt.or(self.gt);
        self.lte = change.lte.or(self.lte);
        self.lt = change.lt.or(self.lt);
    }

    /// Whether no number at all keeps to it.
    pub fn is_impossible(&self) -> bool {
        let floor = self.gte.into_iter().chain(self.gt).fold(0.0, f64::max);
        let ceiling = self.lte.into_iter().chain(self.lt).fold(f64::INFINITY, f64::min);
        let open = [self.gt, self.lt].into_iter().flatten().any(|limit| limit == floor);
        floor > ceiling || (floor == ceiling && open)
    }

    /// Reads a mapping of bounds whose values are quantities `Q`.
    pub(super) fn read<Q: Quantity>(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if node.text().is_some() {
            let what = format!("bounds such as {{gte: {}}}", Q::EXAMPLE);
            let meant = node.text().map(|text| format!("{{gte: {text}}}"));
            return reader.expected(node, &what, meant.as_deref());
        }
        let mut fields = Fields::of(node, reader, "bounds")?;
        let mut number = |key| fields.optional::<Q>(key).map(Q::number);
        let bound = Self { gte: number("gte"), gt: number("gt"), lte: number("lte"), lt: number("lt") };
        fields.finish();
        if all_empty(node) {
            reader.problem(node.at, format!("expected at least one bound such as {{gte: {}}}", Q::EXAMPLE));
        }
        if bound.is_impossible() {
            reader.problem(node.at, "expected bounds that a number can keep to: these exclude each other");
        }
        (bound != Self::default()).then_some(bound)
    }
}

impl Op {
    /// The sign of mathematics.
    pub const fn sign(self) -> &'static str {
        match self {
            Op::Gte => "≥",
            Op::Gt => ">",
            Op::Lte => "≤",
            Op::Lt => "<",
        }
    }

    /// The word of rules files.
    pub const fn word(self) -> &'static str {
        match self {
            Op::Gte => "gte",
            Op::Gt => "gt",
            Op::Lte => "lte",
            Op::Lt => "lt",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.sign())
    }
}

/// Whether no entry of a mapping has a value.
fn all_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Map(entries) if entries.iter().all(|(_, value)| value.is_null()))
}

/// A quantity that can stand in a bound.
pub(super) trait Quantity: Scalar {
    /// How one is written.
    const EXAMPLE: &'static str;
    /// Its number in the unit of the metric.
    fn number(self) -> f64;
}

impl Quantity for Rate {
    const EXAMPLE: &'static str = "20/s";
    fn number(self) -> f64 {
        self.0
    }
}

impl Quantity for Share {
    const EXAMPLE: &'static str = "30%";
    fn number(self) -> f64 {
        self.0
    }
}

impl Quantity for Count {
    const EXAMPLE: &'static str = "100";
    fn number(self) -> f64 {
        self.0 as f64
    }
}

impl Quantity for Span {
    const EXAMPLE: &'static str = "30s";
    fn number(self) -> f64 {
        self.as_secs_f64()
    }
}

impl Quantity for Factor {
    const EXAMPLE: &'static str = "5";
    fn number(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_open_or_closed() {
        let bound = Bound { gte: Some(1.0), lt: Some(2.0), ..Bound::default() };
        assert!(bound.holds(1.0) && bound.holds(1.9));
        assert!(!bound.holds(0.9) && !bound.holds(2.0));
        assert!(!bound.holds(f64::NAN));
        assert!(bound.holds(1.0) && Bound::at_least(1.0).holds(f64::INFINITY));
    }

    #[test]
    fn a_change_replaces_what_it_names() {
        let mut bound = Bound { gte: Some(1.0), lt: Some(2.0), ..Bound::default() };
        bound.merge(&Bound::at_least(1.5));
        assert_eq!(bound, Bound { gte: Some(1.5), lt: Some(2.0), ..Bound::default() });
    }

    #[test]
    fn bounds_that_exclude_each_other_are_known() {
        let bound = |gte, lt| Bound { gte: Some(gte), lt: Some(lt), ..Bound::default() };
        assert!(bound(2.0, 1.0).is_impossible());
        assert!(bound(2.0, 2.0).is_impossible());
        assert!(!bound(1.0, 2.0).is_impossible());
        assert!(Bound { lt: Some(0.0), ..Bound::default() }.is_impossible());
        assert!(!Bound { gte: Some(1.0), lte: Some(1.0), ..Bound::default() }.is_impossible());
    }
}
