//! When a rule fires: bounds on what was observed, joined by and, or, not. Comes in: for every key in every
//! window, the numbers observed. Goes out: true or false, and the limits for an explanation. How one is written, `when`
//! knows.

use std::fmt;

use super::bound::{Bound, Op};
use crate::document::words;

/// A condition over what was observed for one key in one window.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The measure per second over the timespan.
    Rate(Bound),
    /// The measure over the timespan.
    Count(Bound),
    /// The key's part of the service's whole, 0 to 1 (see [`whole_of`](crate::detect::whole_of)).
    Share(Bound),
    /// The same before; of answers, of as many as there were accesses. 0 where nothing is known of before.
    ShareBefore(Bound),
    /// The key's part of the excess over the level before, 0 to 1.
    ExcessShare(Bound),
    /// How many times its share before; grouped by service, how many times its rate before.
    Lift(Bound),
    /// The measure per second before, of the same key; 0 where nothing is known of before.
    Before(Bound),
    /// The seconds that are known of before.
    Past(Bound),
    /// Of the requests for paths on which anything fails as the measure counts it, the part that fails so, 0 to 1.
    PathShare(Bound),
    /// How many different ones there were.
    Distinct(Kind, Bound),
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// What different ones are counted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Client addresses.
    Sources,
    /// /24 and /48 prefixes of clients.
    Prefixes,
    /// Networks (AS) of clients.
    Networks,
    /// Countries of clients.
    Countries,
    /// Paths asked for.
    Paths,
    /// Paths that fail (4xx but 429), without their identifiers; of strays, those that they ask for; by source, its own.
    FailingPaths,
    /// Ports beside the service that were tried and not answered; by source, its own.
    Ports,
    /// Addresses of the service that were tried and did not answer; by source, its own.
    Hosts,
}
words! {
    Kind, "a kind of thing to count":
    Sources = "sources", Prefixes = "prefixes", Networks = "networks", Countries = "countries", Paths = "paths",
    FailingPaths = "failing_paths", Ports = "ports", Hosts = "hosts",
}

impl Kind {
    /// Whether it counts clients, or where they are, rather than what they want.
    pub const fn is_of_clients(self) -> bool {
        matches!(self, Kind::Sources | Kind::Prefixes | Kind::Networks | Kind::Countries)
    }
}

/// What was observed for one key in one window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observed {
    /// The measure per second.
    pub rate: f64,
    /// The measure over the timespan.
    pub count: f64,
    /// The part of the service's whole, 0 to 1.
    pub share: f64,
    /// The same before.
    pub share_before: f64,
    /// The part of the excess over the level before, 0 to 1.
    pub excess_share: f64,
    /// How many times the share (by service: the rate) before.
    pub lift: f64,
    /// The measure per second before.
    pub before: f64,
    /// Seconds that are known of before.
    pub past: f64,
    /// The part of the requests for failing paths that fail, 0 to 1.
    pub path_share: f64,
    /// Different client addresses.
    pub sources: f64,
    /// Different prefixes.
    pub prefixes: f64,
    /// Different networks.
    pub networks: f64,
    /// Different countries.
    pub countries: f64,
    /// Different paths.
    pub paths: f64,
    /// Different paths that fail.
    pub failing_paths: f64,
    /// Different ports that were tried.
    pub ports: f64,
    /// Different addresses that were tried.
    pub hosts: f64,
}

/// A number that a condition can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// See [`Condition::Rate`].
    Rate,
    /// See [`Condition::Count`].
    Count,
    /// See [`Condition::Share`].
    Share,
    /// See [`Condition::ShareBefore`].
    ShareBefore,
    /// See [`Condition::ExcessShare`].
    ExcessShare,
    /// See [`Condition::Lift`].
    Lift,
    /// See [`Condition::Before`].
    Before,
    /// See [`Condition::Past`].
    Past,
    /// See [`Condition::PathShare`].
    PathShare,
    /// See [`Condition::Distinct`].
    Distinct(Kind),
}

/// One limit of a condition, for an explanation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// What is limited.
    pub metric: Metric,
    /// How.
    pub op: Op,
    /// To what, in the metric's unit.
    pub limit: f64,
}

/// How deep conditions may nest.
pub const MAX_CONDITION_DEPTH: usize = 8;

/// How many conditions a rule may have: each costs time for every key in every tick.
pub const MAX_CONDITIONS: usize = 64;

impl Condition {
    /// Whether the condition holds of what was observed.
    pub fn eval(&self, observed: &Observed) -> bool {
        self.eval_known(observed, &|_| true) == Some(true)
    }

    /// The same as far as what is known says so; `None` where it depends on what is not (Kleene's logic of three values).
    pub fn eval_known(&self, observed: &Observed, is_known: &impl Fn(Metric) -> bool) -> Option<bool> {
        let joined = |list: &[Self], decides: bool| {
            let mut all = Some(!decides);
            for one in list {
                match one.eval_known(observed, is_known) {
                    Some(holds) if holds == decides => return Some(decides),
                    Some(_) => {}
                    None => all = None,
                }
            }
            all
        };
        match self {
            Condition::All(list) => joined(list, false),
            Condition::Any(list) => joined(list, true),
            Condition::Not(condition) => condition.eval_known(observed, is_known).map(|holds| !holds),
            leaf => {
                let (metric, bound) = leaf.leaf().filter(|(metric, _)| is_known(*metric))?;
                Some(bound.holds(observed.get(metric)))
            }
        }
    }

    /// Every limit that must or may be reached, in the order of the rule; what stands under `not` is left out.
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits = Vec::new();
        self.gather_limits(&mut limits);
        limits
    }

    /// Whether `is` holds of any condition that is not itself a combination of others.
    pub fn any(&self, is: &impl Fn(&Condition) -> bool) -> bool {
        match self {
            Condition::All(list) | Condition::Any(list) => list.iter().any(|condition| condition.any(is)),
            Condition::Not(condition) => condition.any(is),
            leaf => is(leaf),
        }
    }

    /// Whether it holds of less of the measure than there could be: what a sensor that sees nothing shows, too.
    pub fn looks_for_less(&self) -> bool {
        self.any(&|leaf| match leaf {
            Condition::Rate(bound) | Condition::Count(bound) | Condition::Lift(bound) => {
                bound.is_from_above()
            }
            _ => false,
        })
    }

    fn gather_limits(&self, limits: &mut Vec<Limit>) {
        match self {
            Condition::All(list) | Condition::Any(list) => {
                list.iter().for_each(|condition| condition.gather_limits(limits));
            }
            Condition::Not(_) => {}
            leaf => {
                if let Some((metric, bound)) = leaf.leaf() {
                    limits.extend(bound.limits().map(|(op, limit)| Limit { metric, op, limit }));
                }
            }
        }
    }

    /// The metric and bounds, where it is a leaf.
    pub fn leaf(&self) -> Option<(Metric, &Bound)> {
        match self {
            Condition::Rate(bound) => Some((Metric::Rate, bound)),
            Condition::Count(bound) => Some((Metric::Count, bound)),
            Condition::Share(bound) => Some((Metric::Share, bound)),
            Condition::ShareBefore(bound) => Some((Metric::ShareBefore, bound)),
            Condition::ExcessShare(bound) => Some((Metric::ExcessShare, bound)),
            Condition::Lift(bound) => Some((Metric::Lift, bound)),
            Condition::Before(bound) => Some((Metric::Before, bound)),
            Condition::Past(bound) => Some((Metric::Past, bound)),
            Condition::PathShare(bound) => Some((Metric::PathShare, bound)),
            Condition::Distinct(kind, bound) => Some((Metric::Distinct(*kind), bound)),
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) => None,
        }
    }

    /// How many conditions there are in it, itself included.
    pub fn nodes(&self) -> usize {
        match self {
            Condition::All(list) | Condition::Any(list) => 1 + list.iter().map(Self::nodes).sum::<usize>(),
            Condition::Not(condition) => 1 + condition.nodes(),
            _ => 1,
        }
    }

    /// Takes over a change: a bound is replaced where the change names it and kept elsewhere, a metric that is new is
    /// added, `all`, `any` and `not` are replaced whole. Both are the lists of one mapping.
    pub(super) fn merge(&mut self, change: &[Condition]) {
        let Condition::All(list) = self else {
            return;
        };
        for new in change {
            match list.iter_mut().find(|old| old.same_key(new)) {
                Some(old) => old.take_over(new),
                None => list.push(new.clone()),
            }
        }
    }

    /// Whether both stand under the same key of a mapping.
    fn same_key(&self, other: &Condition) -> bool {
        match (self.leaf(), other.leaf()) {
            (Some((metric, _)), Some((other, _))) => metric == other,
            (None, None) => std::mem::discriminant(self) == std::mem::discriminant(other),
            _ => false,
        }
    }

    fn take_over(&mut self, change: &Condition) {
        match (self, change) {
            (Condition::Rate(old), Condition::Rate(new))
            | (Condition::Count(old), Condition::Count(new))
            | (Condition::Share(old), Condition::Share(new))
            | (Condition::ShareBefore(old), Condition::ShareBefore(new))
            | (Condition::ExcessShare(old), Condition::ExcessShare(new))
            | (Condition::Lift(old), Condition::Lift(new))
            | (Condition::Before(old), Condition::Before(new))
            | (Condition::Past(old), Condition::Past(new))
            | (Condition::PathShare(old), Condition::PathShare(new))
            | (Condition::Distinct(_, old), Condition::Distinct(_, new)) => old.merge(new),
            (old, new) => *old = new.clone(),
        }
    }

    /// The first metric whose bounds exclude each other.
    pub(super) fn impossible(&self) -> Option<Metric> {
        match self {
            Condition::All(list) | Condition::Any(list) => list.iter().find_map(Self::impossible),
            Condition::Not(condition) => condition.impossible(),
            leaf => leaf.leaf().filter(|(_, bound)| bound.is_impossible()).map(|(metric, _)| metric),
        }
    }
}

impl Observed {
    /// The number of that metric.
    pub const fn get(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Rate => self.rate,
            Metric::Count => self.count,
            Metric::Share => self.share,
            Metric::ShareBefore => self.share_before,
            Metric::ExcessShare => self.excess_share,
            Metric::Lift => self.lift,
            Metric::Before => self.before,
            Metric::Past => self.past,
            Metric::PathShare => self.path_share,
            Metric::Distinct(Kind::Sources) => self.sources,
            Metric::Distinct(Kind::Prefixes) => self.prefixes,
            Metric::Distinct(Kind::Networks) => self.networks,
            Metric::Distinct(Kind::Countries) => self.countries,
            Metric::Distinct(Kind::Paths) => self.paths,
            Metric::Distinct(Kind::FailingPaths) => self.failing_paths,
            Metric::Distinct(Kind::Ports) => self.ports,
            Metric::Distinct(Kind::Hosts) => self.hosts,
        }
    }
}

impl Metric {
    /// The word of rules files; of distinct counts, what is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Rate => "rate",
            Metric::Count => "count",
            Metric::Share => "share",
            Metric::ShareBefore => "share_before",
            Metric::ExcessShare => "excess_share",
            Metric::Lift => "lift",
            Metric::Before => "before",
            Metric::Past => "past",
            Metric::PathShare => "path_share",
            Metric::Distinct(kind) => kind.word(),
        }
    }

    /// A number of this metric as people write it: `20/s`, `30 %`, `5×`.
    pub fn written(self, number: f64) -> String {
        match self {
            Metric::Rate | Metric::Before => format!("{}/s", rounded(number)),
            Metric::Past => format!("{} s", rounded(number)),
            Metric::Share | Metric::ShareBefore | Metric::ExcessShare | Metric::PathShare => {
                format!("{} %", rounded(number * 100.0))
            }
            Metric::Lift => format!("{}×", rounded(number)),
            Metric::Count | Metric::Distinct(_) => rounded(number),
        }
    }
}

/// Two decimals at most.
fn rounded(number: f64) -> String {
    format!("{}", (number * 100.0).round() / 100.0)
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.metric.name(), self.op, self.metric.written(self.limit))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::All(list) => joined(out, list, " and "),
            Condition::Any(list) => joined(out, list, " or "),
            Condition::Not(condition) => write!(out, "not ({condition})"),
            leaf => {
                let limits: Vec<String> = leaf.limits().iter().map(Limit::to_string).collect();
                out.write_str(&limits.join(" and "))
            }
        }
    }
}

fn joined(out: &mut fmt::Formatter<'_>, list: &[Condition], word: &str) -> fmt::Result {
    for (index, condition) in list.iter().enumerate() {
        if index > 0 {
            out.write_str(word)?;
        }
        match condition {
            Condition::All(inner) | Condition::Any(inner) if inner.len() > 1 => write!(out, "({condition})")?,
            _ => write!(out, "{condition}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::when::tests::read;

    #[test]
    fn keys_of_a_mapping_must_all_hold() {
        let when = read("rate: {gte: 20/s}\nshare: {gte: 30%}\nlift: {gte: 5}\n").unwrap();
        let flood = Observed { rate: 20.0, share: 0.3, lift: 5.0, ..Observed::default() };
        assert!(when.eval(&flood));
        assert!(!when.eval(&Observed { share: 0.29, ..flood }));
        assert_eq!(when.to_string(), "rate ≥ 20/s and share ≥ 30 % and lift ≥ 5×");
        assert_eq!(when.limits()[1], Limit { metric: Metric::Share, op: Op::Gte, limit: 0.3 });
    }

    #[test]
    fn what_is_not_known_leaves_open_only_what_depends_on_it() {
        let when =
            read("any: [{rate: {gt: 1k/s}}, {lift: {gte: 5}}]\nnot: {distinct: {sources: {gte: 3}}}\n")
                .unwrap();
        let low = Observed { rate: 10.0, lift: 9.0, sources: 2.0, ..Observed::default() };
        let high = Observed { rate: 2_000.0, ..low };
        let but = |unknown: Metric| move |metric| metric != unknown;
        let sources = Metric::Distinct(Kind::Sources);
        assert_eq!(when.eval_known(&low, &but(Metric::Lift)), None);
        assert_eq!(when.eval_known(&high, &but(Metric::Lift)), Some(true));
        assert_eq!(when.eval_known(&low, &but(sources)), None);
        assert_eq!(when.eval_known(&Observed { lift: 4.0, ..low }, &but(sources)), Some(false));
        assert_eq!(when.eval_known(&Observed { sources: 3.0, ..low }, &but(Metric::Lift)), Some(false));
        assert!(when.eval(&low) && !when.eval(&Observed { lift: 4.0, ..low }));
    }

    #[test]
    fn any_not_and_distinct_are_read() {
        let when = read(
            "any: [{rate: {gt: 1k/s}}, {count: {gte: 10}, distinct: {sources: {gte: 3}, paths: {lt: 2}}}]\n\
             not: {share: {gte: 50%}}\n",
        )
        .unwrap();
        let few = Observed { count: 10.0, sources: 3.0, paths: 1.0, share: 0.1, ..Observed::default() };
        assert!(when.eval(&few));
        assert!(!when.eval(&Observed { paths: 2.0, ..few }));
        assert!(when.eval(&Observed { paths: 2.0, rate: 1_001.0, ..few }));
        assert!(!when.eval(&Observed { share: 0.5, ..few }));
        assert_eq!(
            when.to_string(),
            "(rate > 1000/s or (count ≥ 10 and sources ≥ 3 and paths < 2)) and not (share ≥ 50 %)"
        );
    }

    #[test]
    fn a_change_replaces_one_number_and_adds_what_is_new() {
        let mut when =
            read("rate: {gte: 20/s}\nshare: {gte: 30%, lt: 90%}\nany: [{lift: {gte: 2}}]\n").unwrap();
        let Ok(Condition::All(change)) =
            read("share: {gte: 40%}\ncount: {gte: 5}\nany: [{lift: {gte: 3}}, {count: {gte: 1}}]\n")
        else {
            panic!()
        };
        when.merge(&change);
        assert_eq!(
            when.to_string(),
            "rate ≥ 20/s and share ≥ 40 % and share < 90 % and (lift ≥ 3× or count ≥ 1) and count ≥ 5"
        );
    }
}
