//! The detector that the rules files drive. Comes in: a service's picture. Goes out: which rules hold for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::measure::{of_cell, of_counts, whole_of};
use super::rule::{Condition, Filter, GroupBy, Kind, Measure, Mode, Observed, Rule, RuleSet, Traffic};
use super::window::Window;
use super::{Before, Detector, Finding, Key, Subject, Watched};
use crate::aggregate::{Cell, Lineage};
use crate::attribute::{Asn, Country, Home};
use crate::flow::Proof;
use crate::service::ServiceId;
use crate::time::TickId;
use ipnet::IpNet;

/// Which countries are home for each service.
pub type Homes = Arc<dyn Fn(Subject) -> Home + Send + Sync>;

/// What the rules need to know of the services.
#[derive(Clone)]
pub struct Grounds {
    /// Each service's home.
    pub homes: Homes,
    /// The names of the named services, by their place.
    pub names: Arc<[String]>,
}

/// Judges by rules.
pub struct RuleDetector {
    rules: Vec<Arc<Rule>>,
    grounds: Grounds,
    /// Since when a rule has held without a break.
    streaks: BTreeMap<(usize, Subject, Key), TickId>,
    /// When a rule fired last.
    fired: BTreeMap<(usize, Subject, Key), TickId>,
}

/// Traffic that was never seen before counts as having had this share: a rare visitor, not an impossible one.
const LEAST_SHARE: f64 = 0.002;

/// A level below this many per second counts as this: what came once in ten seconds is no measure of growth.
const LEAST_RATE: f64 = 0.1;

/// Lift is cut here: a thousand times as much is as new as anything gets.
const MOST_LIFT: f64 = 1_000.0;

/// Keys that one rule may find for one service in one tick; the largest stay.
const MAX_KEYS: usize = 64;

impl RuleDetector {
    /// A detector with the rules of `set`.
    pub fn new(set: &RuleSet, grounds: Grounds) -> Self {
        let rules = set.rules.iter().cloned().map(Arc::new).collect();
        Self { rules, grounds, streaks: BTreeMap::new(), fired: BTreeMap::new() }
    }

    fn applies(&self, rule: &Rule, subject: Subject) -> bool {
        let names = &rule.filter.services;
        names.is_empty()
            || match subject {
                Subject::Named(ServiceId(id)) => {
                    self.grounds.names.get(usize::from(id)).is_some_and(|name| names.contains(name))
                }
                Subject::Found(address) => names.contains(&address.to_string()),
            }
    }

    /// Whether the rule has held long enough, and has not just fired.
    fn is_due(&mut self, index: usize, subject: Subject, key: Key, tick: TickId) -> bool {
        let Some(rule) = self.rules.get(index) else { return false };
        let since = *self.streaks.entry((index, subject, key)).or_insert(tick);
        let held = tick.second - since.second;
        if held < i64::try_from(rule.hold.secs()).unwrap_or(i64::MAX) {
            return false;
        }
        let silence = i64::try_from(rule.suppress_for.secs()).unwrap_or(i64::MAX);
        let last = self.fired.get(&(index, subject, key));
        if last.is_some_and(|last| last.epoch == tick.epoch && tick.second - last.second < silence) {
            return false;
        }
        if silence > 0 {
            self.fired.insert((index, subject, key), tick);
        }
        true
    }
}

impl Detector for RuleDetector {
    fn judge(&mut self, subject: Subject, watched: &Watched, tick: TickId) -> Vec<Finding> {
        let home = (self.grounds.homes)(subject);
        let mut findings = Vec::new();
        for index in 0..self.rules.len() {
            let Some(rule) = self.rules.get(index).map(Arc::clone) else { continue };
            if rule.mode != Mode::Alert || !self.applies(&rule, subject) {
                continue;
            }
            let look = Look { rule: &rule, home: &home, watched, second: tick.second };
            let holding = look.holding();
            self.streaks.retain(|(of, who, key), _| {
                *of != index || *who != subject || holding.iter().any(|(have, _)| have == key)
            });
            for (key, observed) in holding {
                if self.is_due(index, subject, key, tick) {
                    findings.push(Finding { rule: Arc::clone(&rule), key, tick, observed });
                }
            }
        }
        self.fired.retain(|(_, _, _), last| last.epoch == tick.epoch && tick.second - last.second < 86_400);
        findings
    }
}

/// One rule looking at one service.
struct Look<'a> {
    rule: &'a Rule,
    home: &'a Home,
    watched: &'a Watched,
    second: i64,
}

/// What came together under one key.
#[derive(Default)]
struct Group {
    count: u64,
    sources: BTreeSet<IpAddr>,
    prefixes: BTreeSet<IpNet>,
    networks: BTreeSet<Asn>,
    countries: BTreeSet<Country>,
}

impl Look<'_> {
    /// The keys for which the condition holds, sorted, with what was observed.
    fn holding(&self) -> Vec<(Key, Observed)> {
        let traffic = self.rule.filter.traffic;
        let ticks = self.rule.timespan.secs();
        let Some(window) = self.watched.window(ticks, traffic) else { return Vec::new() };
        if self.is_whole_service() {
            let observed = self.observe_service(window, traffic);
            return if self.rule.when.eval(&observed) { vec![(Key::Service, observed)] } else { Vec::new() };
        }
        let groups = self.groups(window);
        let excess = self.excess(&groups, traffic);
        let mut holding: Vec<(Key, Observed)> = groups
            .iter()
            .map(|(key, group)| (*key, self.observe(*key, group, excess, window, traffic)))
            .filter(|(_, observed)| self.rule.when.eval(observed))
            .collect();
        if holding.len() > MAX_KEYS {
            holding.sort_by(|one, other| other.1.count.total_cmp(&one.1.count).then(one.0.cmp(&other.0)));
            holding.truncate(MAX_KEYS);
        }
        holding.sort_by_key(|one| one.0);
        holding
    }

    /// Whether the rule looks at the service's sums rather than at its rows.
    fn is_whole_service(&self) -> bool {
        self.rule.group_by == GroupBy::Service && !is_about_clients(&self.rule.filter)
    }

    fn observe_service(&self, window: &Window, traffic: Traffic) -> Observed {
        let measure = self.rule.measure;
        let seconds = self.rule.timespan.secs().max(1) as f64;
        let count = of_counts(measure, &window.counts) as f64;
        let rate = count / seconds;
        let before = self.watched.before(traffic).rate(measure, self.second).unwrap_or(0.0);
        Observed {
            rate,
            count,
            share: ratio(count, whole_of(measure, &window.counts) as f64),
            excess_share: ratio((rate - before).max(0.0), rate),
            lift: (rate / before.max(LEAST_RATE)).min(MOST_LIFT),
            sources: self.distinct_sources(window, traffic),
            prefixes: distinct(window.prefixes.keys().map(|key| key.prefix)),
            networks: distinct(window.networks.keys().filter_map(|key| key.asn)),
            countries: distinct(window.networks.keys().map(|key| key.country)),
            paths: window.paths.len() as f64,
        }
    }

    /// Different addresses: exact where they earned state, estimated where the measure is of those that did not.
    fn distinct_sources(&self, window: &Window, traffic: Traffic) -> f64 {
        let ticks = self.rule.timespan.secs();
        let strangers = match self.rule.measure {
            Measure::HalfOpen | Measure::Unearned | Measure::Attempts | Measure::Packets | Measure::Bytes => {
                self.watched.strangers(ticks, traffic)
            }
            _ => 0.0,
        };
        let earned = window.sources.len() as f64 / self.watched.coverage(ticks, traffic);
        strangers.max(earned)
    }

    fn groups(&self, window: &Window) -> BTreeMap<Key, Group> {
        let mut groups = BTreeMap::new();
        let by_source = self.rule.group_by == GroupBy::Source || counts(&self.rule.when, Kind::Sources);
        if by_source {
            for (source, cell) in &window.sources {
                let prefix = source.prefix.prefix;
                self.add(&mut groups, &source.prefix.lineage, Some(prefix), Some(source.address), cell);
            }
        } else if self.rule.group_by == GroupBy::Prefix
            || counts(&self.rule.when, Kind::Prefixes)
            || !self.rule.filter.prefixes.is_empty()
        {
            for (prefix, cell) in &window.prefixes {
                self.add(&mut groups, &prefix.lineage, Some(prefix.prefix), None, cell);
            }
        } else {
            for (lineage, cell) in &window.networks {
                self.add(&mut groups, lineage, None, None, cell);
            }
        }
        groups
    }

    fn add(
        &self,
        groups: &mut BTreeMap<Key, Group>,
        lineage: &Lineage,
        prefix: Option<IpNet>,
        source: Option<IpAddr>,
        cell: &Cell,
    ) {
        if !admits(&self.rule.filter, self.home, lineage, prefix) {
            return;
        }
        let key = match self.rule.group_by {
            GroupBy::Service => Some(Key::Service),
            GroupBy::Country => Some(Key::Country(lineage.country)),
            GroupBy::Asn => lineage.asn.map(Key::Network),
            GroupBy::Prefix => prefix.map(Key::Prefix),
            GroupBy::Source => source.map(Key::Source),
        };
        let Some(key) = key else { return };
        let group = groups.entry(key).or_default();
        group.count += of_cell(self.rule.measure, cell);
        group.sources.extend(source);
        group.prefixes.extend(prefix);
        group.networks.extend(lineage.asn);
        group.countries.insert(lineage.country);
    }

    /// What all keys together have more than before, per second.
    fn excess(&self, groups: &BTreeMap<Key, Group>, traffic: Traffic) -> f64 {
        let before = self.watched.before(traffic);
        groups.iter().map(|(key, group)| self.excess_of(*key, group, before)).sum()
    }

    fn excess_of(&self, key: Key, group: &Group, before: &Before) -> f64 {
        let seconds = self.rule.timespan.secs().max(1) as f64;
        let level = before.row_rate(&key, self.rule.measure, self.second).unwrap_or(0.0);
        (group.count as f64 / seconds - level).max(0.0)
    }

    fn observe(&self, key: Key, group: &Group, excess: f64, window: &Window, traffic: Traffic) -> Observed {
        let measure = self.rule.measure;
        let count = group.count as f64;
        let before = self.watched.before(traffic);
        let share = ratio(count, of_counts(measure, &window.counts) as f64).min(1.0);
        let share_before = before.row_share(&key, measure, self.second).unwrap_or(0.0);
        let coverage = self.watched.coverage(self.rule.timespan.secs(), traffic);
        Observed {
            rate: count / self.rule.timespan.secs().max(1) as f64,
            count,
            share,
            excess_share: ratio(self.excess_of(key, group, before), excess),
            lift: (share / share_before.max(LEAST_SHARE)).min(MOST_LIFT),
            sources: group.sources.len() as f64 / coverage,
            prefixes: group.prefixes.len() as f64,
            networks: group.networks.len() as f64,
            countries: group.countries.len() as f64,
            paths: window.paths.len() as f64,
        }
    }
}

/// Whether a row is among the traffic that the rule counts. Where no home is known nothing is foreign, and what is
/// asked of foreign clients is asked of every country.
fn admits(filter: &Filter, home: &Home, lineage: &Lineage, prefix: Option<IpNet>) -> bool {
    let proven = lineage.proof == Proof::Proven;
    let foreign = if home.is_unknown() {
        matches!(lineage.country, Country::Code(_))
    } else {
        home.is_foreign(lineage.country)
    };
    filter.foreign.is_none_or(|want| want == foreign)
        && filter.labelled.is_none_or(|want| want == lineage.label.is_some())
        && filter.proven.is_none_or(|want| want == proven)
        && among(&filter.countries, |country| *country == lineage.country)
        && among(&filter.asns, |asn| Some(*asn) == lineage.asn)
        && among(&filter.prefixes, |net| prefix.is_some_and(|prefix| net.contains(&prefix)))
}

/// Whether one of the list fits, or there is no list.
fn among<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

fn is_about_clients(filter: &Filter) -> bool {
    filter.foreign.is_some()
        || filter.labelled.is_some()
        || filter.proven.is_some()
        || !(filter.countries.is_empty() && filter.asns.is_empty() && filter.prefixes.is_empty())
}

/// Whether the condition looks at how many different ones of `kind` there are.
fn counts(condition: &Condition, kind: Kind) -> bool {
    match condition {
        Condition::Distinct(have, _) => *have == kind,
        Condition::All(list) | Condition::Any(list) => list.iter().any(|inner| counts(inner, kind)),
        Condition::Not(inner) => counts(inner, kind),
        _ => false,
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> f64 {
    values.collect::<BTreeSet<T>>().len() as f64
}
