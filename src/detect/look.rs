//! One rule's look at one service. Comes in: the service's picture. Goes out: the keys for which the rule's condition
//! holds, with what was observed. What takes longer to observe is observed later, where the condition may still hold.

use std::cell::OnceCell;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use super::demand::{
    admits, asks_path_share, counted, counts_late, is_of_countries, is_whole_service, least,
    looks_at_prefixes, row_needs,
};
use super::group::{Counted, Group, Groups, Members, Row};
use super::level::{Level, is_made_of_countries, parts};
use super::measure::{is_load, is_measurable, labelled, of_cell, of_counts, whole_measure, whole_of};
use super::reach::{Reach, fails_as, is_tried, path_share, probes, tried};
use super::rule::{Condition, GroupBy, Kind, Measure, Metric, Observed, Rule, Traffic};
use super::watched::LOOK_BACK;
use super::window::{Asked, Least, Needs, Window};
use super::{Key, Past, Watched};
use crate::aggregate::{Cell, Lineage};
use crate::attribute::Home;
use crate::time::TickId;

/// Traffic that was never seen before counts as having had this share: a rare visitor, not an impossible one.
const LEAST_SHARE: f64 = 0.002;

/// A level below this many per second counts as this: what came once in ten seconds is no measure of growth.
const LEAST_RATE: f64 = 0.1;

/// Lift is cut here: a thousand times as much is as new as anything gets.
const MOST_LIFT: f64 = 1_000.0;

/// Keys that one rule may find for one service in one tick; the largest stay.
const MAX_KEYS: usize = 64;

/// Keys that there is room for at once: as many as there are countries.
const MANY_KEYS: usize = 256;

/// A rule, and what is plain to see of it once for all.
pub(super) struct Judged {
    pub rule: Arc<Rule>,
    /// The rows that it looks at.
    needs: Needs,
    /// Whether it looks at the service's sums rather than at rows.
    whole: bool,
    /// What of the whole service is needed for its condition to hold of a part.
    least: Least,
    /// Whether its condition looks at the excess.
    excess: bool,
    /// Whether its condition looks at how many different ones there are.
    members: bool,
    /// Whether these are counted once all else holds.
    late: bool,
    /// Whether its condition holds where there is less of something.
    less: bool,
    /// What its condition asks the number of different ones of,
    counted: Vec<Kind>,
    /// and of clients.
    clients: Counted,
}

impl Judged {
    pub fn new(rule: &Rule) -> Self {
        Self {
            needs: row_needs(rule),
            whole: is_whole_service(rule),
            least: least(rule),
            excess: rule.when.any(&|leaf| matches!(leaf, Condition::ExcessShare(_))),
            members: counted(&rule.when).iter().any(|kind| kind.is_of_clients()) && !counts_late(rule),
            late: counts_late(rule),
            less: rule.when.looks_for_less(),
            clients: Counted::of(&counted(&rule.when)),
            counted: counted(&rule.when),
            rule: Arc::new(rule.clone()),
        }
    }

    /// The rows that it looks at, and from when on.
    pub fn asked(&self) -> Asked {
        match self.needs == Needs::default() {
            true => Asked::default(),
            false => Asked(vec![(self.least, self.needs)]),
        }
    }
}

/// One rule looking at one service.
pub(super) struct Look<'a> {
    judged: &'a Judged,
    rule: &'a Rule,
    home: &'a Home,
    watched: &'a Watched,
    parts: OnceCell<Vec<Key>>,
}

/// How much is observed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What the window shows.
    Window,
    /// How that compares with before, too: all but clients that are counted late.
    Compared,
}

impl<'a> Look<'a> {
    pub fn new(judged: &'a Judged, home: &'a Home, watched: &'a Watched) -> Self {
        Self { judged, rule: &judged.rule, home, watched, parts: OnceCell::new() }
    }

    /// The keys for which the condition holds, sorted, with what was observed.
    pub fn holding(&self) -> Vec<(Key, Observed)> {
        let Some(window) = self.watched.window(self.rule.timespan.secs(), self.traffic()) else {
            return Vec::new();
        };
        let is_level = self.rule.measure == Measure::Holding;
        if !is_level && !self.judged.least.is_in(window) || !self.is_seen() {
            return Vec::new();
        }
        if is_level {
            return self.of_levels();
        }
        if self.judged.whole {
            return self.of_service(window).map(|observed| (Key::Service, observed)).into_iter().collect();
        }
        let groups =
            if self.counts_probes() { probe_groups(window, self.rule.measure) } else { self.groups(window) };
        let mut holding = self.in_window(window, &groups);
        if holding.is_empty() {
            return holding;
        }
        self.compare(&mut holding, &groups);
        sort_largest(&mut holding);
        self.look_back(&mut holding);
        if self.judged.late {
            holding.iter_mut().for_each(|(_, observed)| *observed = self.with_clients(*observed));
        }
        holding.retain(|(_, observed)| self.rule.when.eval(observed));
        holding
    }

    /// Whether what the rule looks for would have been seen.
    fn is_seen(&self) -> bool {
        let in_vain = self.judged.less && self.watched.is_blind_within(self.rule.timespan.secs());
        !in_vain && is_measurable(self.rule.measure, self.watched.sides_since(self.first()))
    }

    /// The first tick of its window.
    fn first(&self) -> TickId {
        self.watched.now().plus(1 - i64::try_from(self.rule.timespan.secs()).unwrap_or(LOOK_BACK))
    }

    /// What was observed of the service as a whole, where the condition holds.
    fn of_service(&self, window: &Window) -> Option<Observed> {
        let holds = |excess| {
            let observed = self.observe_service(window, excess);
            if !self.may_hold(&observed, Stage::Compared) {
                return None;
            }
            let observed = if self.judged.late { self.with_clients(observed) } else { observed };
            self.rule.when.eval(&observed).then_some(observed)
        };
        let observed = holds(0.0)?;
        // Done last, as it looks into the rows of many ticks.
        let labelled = self.labelled_excess();
        if labelled > 0.0 { holds(labelled).map(|_| observed) } else { Some(observed) }
    }

    /// Whether the condition may hold by what is observed at this stage.
    fn may_hold(&self, observed: &Observed, stage: Stage) -> bool {
        let known = |metric| match metric {
            Metric::ShareBefore | Metric::ExcessShare | Metric::Lift | Metric::Before => {
                stage == Stage::Compared
            }
            Metric::Distinct(kind) => !(self.judged.late && kind.is_of_clients()),
            Metric::Rate | Metric::Count | Metric::Share | Metric::Past | Metric::PathShare => true,
        };
        self.rule.when.eval_known(observed, &known) != Some(false)
    }

    /// The keys for which the condition may hold by what the window shows.
    fn in_window(&self, window: &Window, groups: &Groups) -> Vec<(Key, Observed)> {
        let enough = self.judged.least.enough(&window.counts);
        let mut large = groups.iter().filter(|(_, group)| group.count >= enough).peekable();
        if large.peek().is_none() {
            return Vec::new();
        }
        let past =
            Past::of(self.watched, self.rule.timespan.secs(), self.traffic(), self.rule.measure).seconds();
        let reach = self.reach(window);
        let observe = |(key, group): (&Key, &Group)| {
            (*key, reach.observed(*key, Observed { past, ..self.observe(group, window) }))
        };
        large.map(observe).filter(|(_, observed)| self.may_hold(observed, Stage::Window)).collect()
    }

    /// Compares keys with before, and keeps those for which the condition may hold still.
    fn compare(&self, holding: &mut Vec<(Key, Observed)>, groups: &Groups) {
        let excess = if self.judged.excess { self.excess(groups) } else { 0.0 };
        holding.retain_mut(|(key, observed)| {
            let (rate, share) = self.before(*key);
            (observed.before, observed.share_before) = (rate, share);
            observed.lift = lift_of_share(observed.share, share);
            observed.excess_share = ratio((observed.rate - rate).max(0.0), excess);
            self.may_hold(observed, Stage::Compared)
        });
    }

    /// Counts the clients of the window's ticks that the rule looks at.
    fn with_clients(&self, observed: Observed) -> Observed {
        let traffic = self.traffic();
        let mut members = Members::default();
        let mut add = |lineage: &Lineage, prefix, source| {
            if self.judged.whole || self.admits(lineage, prefix) {
                members.add(self.judged.clients, lineage, (prefix, source));
            }
        };
        let Counted { sources, prefixes, networks, countries } = self.judged.clients;
        let of_prefixes = prefixes || looks_at_prefixes(&self.rule.filter);
        for (_, seconds) in self.watched.since(self.first()) {
            // A cap may leave out sources, and then prefixes.
            let tick = seconds.of(traffic);
            if networks || countries {
                tick.networks.iter().for_each(|(lineage, _)| add(lineage, None, None));
            }
            if of_prefixes {
                tick.prefixes.iter().for_each(|(key, _)| add(&key.lineage, Some(key.prefix), None));
            }
            if sources {
                let keys = tick.sources.iter().map(|(key, _)| key);
                keys.for_each(|key| add(&key.prefix.lineage, Some(key.prefix.prefix), Some(key.address)));
            }
        }
        let earned = self.with_members(observed, Some(&members));
        let strangers = if self.judged.whole { self.strangers() } else { 0.0 };
        Observed { sources: earned.sources.max(strangers), ..earned }
    }

    /// The same for connections that are held now: no window sums them up, and they are not compared with before.
    fn of_levels(&self) -> Vec<(Key, Observed)> {
        let levels = self.watched.levels(self.traffic());
        let mut groups = Groups::default();
        for (source, held) in levels.sources() {
            let (lineage, prefix) = (&source.prefix.lineage, Some(source.prefix.prefix));
            let cell = &Cell { held, ..Cell::default() };
            if self.admits(lineage, prefix) {
                self.add(&mut groups, &Row { lineage, prefix, source: Some(source.address), cell });
            }
        }
        if self.judged.whole {
            groups.entry(Key::Service).or_default().count = levels.service();
        }
        let observe = |(key, group): (&Key, &Group)| {
            let count = group.count as f64;
            let share = ratio(count, levels.service() as f64).min(1.0);
            (
                *key,
                self.with_members(Observed { count, share, ..Observed::default() }, group.members.as_deref()),
            )
        };
        let mut holding: Vec<(Key, Observed)> = groups.iter().map(observe).collect();
        holding.retain(|(_, observed)| self.rule.when.eval(observed));
        sort_largest(&mut holding);
        holding
    }

    /// Keys that are new only because nothing is learned yet are compared with what can still be looked back at. Done
    /// for the few keys that may hold: it looks into the rows of many ticks.
    fn look_back(&self, holding: &mut Vec<(Key, Observed)>) {
        if holding.is_empty() || self.rule.filter.new == Some(true) {
            return;
        }
        let past = Past::of(self.watched, self.rule.timespan.secs(), self.traffic(), self.rule.measure);
        let counted = (self.rule.measure, self.rule.filter.labelled);
        let shares = if is_made_of_countries(self.rule) && !self.watched.before(self.traffic()).is_brought() {
            let is_one = |country| is_of_countries(&self.rule.filter, self.home, country);
            past.share_of_countries(is_one, counted).map(|share| vec![share])
        } else if self.parts().is_empty() {
            let keys: Vec<Key> = holding.iter().map(|(key, _)| *key).collect();
            past.shares(&keys, counted)
        } else {
            let shares = past.shares(self.parts(), counted);
            shares.map(|shares| vec![shares.iter().sum::<f64>().min(1.0)])
        };
        let Some(shares) = shares else { return };
        let before = past.rate(self.rule.measure);
        for ((_, observed), share) in holding.iter_mut().zip(shares) {
            observed.lift = lift_of_share(observed.share, share);
            observed.before = share * before;
        }
        holding.retain(|(_, observed)| self.may_hold(observed, Stage::Compared));
    }

    /// Whether it counts by source what no source has earned a row with.
    fn counts_probes(&self) -> bool {
        is_tried(self.rule.measure) && self.rule.group_by == GroupBy::Source
    }

    /// How far sources reach, where the rule asks.
    fn reach(&self, window: &Window) -> Reach {
        let asked = self.judged.needs.failing || self.judged.needs.probed;
        if asked { Reach::of(self.rule, window) } else { Reach::default() }
    }

    fn traffic(&self) -> Traffic {
        self.rule.filter.traffic
    }

    /// What labelled clients bring more than before, in the window, where it is a load that the rule looks at. What
    /// fails for them fails for whoever comes after them.
    fn labelled_excess(&self) -> f64 {
        let (measure, ticks) = (self.rule.measure, self.rule.timespan.secs());
        if !is_load(measure) {
            return 0.0;
        }
        let rows = self.watched.since(self.first()).map(|(_, seconds)| labelled(seconds.of(self.traffic())));
        let count: u64 = rows.map(|cell| of_cell(measure, &cell)).sum();
        if count == 0 {
            return 0.0;
        }
        let past = Past::of(self.watched, ticks, self.traffic(), measure);
        (count as f64 - past.labelled_rate(measure) * ticks as f64).max(0.0)
    }

    /// The service as a whole, without `excess` of what was counted.
    fn observe_service(&self, window: &Window, excess: f64) -> Observed {
        let measure = self.rule.measure;
        let seconds = self.rule.timespan.secs().max(1) as f64;
        let count = (of_counts(measure, &window.counts) as f64 - excess).max(0.0);
        let rate = count / seconds;
        let past = Past::of(self.watched, self.rule.timespan.secs(), self.traffic(), measure);
        let before = past.rate(measure);
        let rises_from = self.watched.before(self.traffic()).rate_to_rise_from(measure);
        // What was learned is no level to fall from before a whole window was seen.
        let is_begun = rate < before && !self.watched.has_seen(self.rule.timespan.secs());
        let level = if rate > before { rises_from.unwrap_or(before).max(before) } else { before };
        Observed {
            before,
            past: match measure {
                // A mirror that never showed both directions misses none.
                Measure::OneSided => self.watched.two_sided_for() as f64,
                _ if is_begun => 0.0,
                _ => past.seconds(),
            },
            rate,
            count,
            share: ratio(count, whole_of(measure, &window.counts) as f64),
            share_before: whole_measure(measure).map_or(0.0, |whole| ratio(before, past.rate(whole))),
            excess_share: ratio((rate - before).max(0.0), rate),
            lift: (rate / level.max(LEAST_RATE)).min(MOST_LIFT),
            path_share: if asks_path_share(&self.rule.when) { path_share(window, measure) } else { 0.0 },
            sources: self.asked(Kind::Sources, || self.distinct_sources(window)),
            prefixes: self.asked(Kind::Prefixes, || distinct(window.prefixes.keys().map(|key| key.prefix))),
            networks: self
                .asked(Kind::Networks, || distinct(window.networks.keys().filter_map(|key| key.asn))),
            countries: self
                .asked(Kind::Countries, || distinct(window.countries.keys().map(|key| key.country))),
            paths: self.asked(Kind::Paths, || window.paths.len() as f64),
            failing_paths: self.asked(Kind::FailingPaths, || failing_paths(window, measure)),
            ports: self
                .asked(Kind::Ports, || distinct(tried(window, measure).filter_map(|key| key.tried.port()))),
            hosts: self
                .asked(Kind::Hosts, || distinct(tried(window, measure).filter_map(|key| key.tried.host()))),
        }
    }

    /// How many different ones there are, where the condition asks: counting them takes longer than all the rest.
    fn asked(&self, kind: Kind, number: impl FnOnce() -> f64) -> f64 {
        if self.judged.counted.contains(&kind) { number() } else { 0.0 }
    }

    /// Different addresses: exact where they earned state, estimated where the measure is of those that did not.
    fn distinct_sources(&self, window: &Window) -> f64 {
        let (ticks, traffic) = (self.rule.timespan.secs(), self.traffic());
        let earned = window.sources.len() as f64 / self.watched.coverage(ticks, traffic);
        self.strangers().max(earned)
    }

    /// About how many addresses without earned state there were, where the measure is of those.
    fn strangers(&self) -> f64 {
        let (ticks, traffic) = (self.rule.timespan.secs(), self.traffic());
        match self.rule.measure {
            Measure::HalfOpen
            | Measure::Unearned
            | Measure::Attempts
            | Measure::Ignored
            | Measure::Refused
            | Measure::Probes
            | Measure::UdpProbes
            | Measure::Strays
            | Measure::Packets
            | Measure::Bytes
            | Measure::OutOfState
            | Measure::Udp
            | Measure::Initials
            | Measure::InitialsIgnored
            | Measure::Icmp
            | Measure::Fragments
            | Measure::Reflected
            | Measure::UnaskedSynAcks => self.watched.strangers(ticks, traffic),
            _ => 0.0,
        }
    }

    fn groups(&self, window: &Window) -> Groups {
        let needs = self.judged.needs;
        if needs.sources || needs.troubled {
            self.grouped(if needs.troubled { &window.troubled } else { &window.sources }, |source| {
                (&source.prefix.lineage, Some(source.prefix.prefix), Some(source.address))
            })
        } else if needs.prefixes {
            self.grouped(&window.prefixes, |prefix| (&prefix.lineage, Some(prefix.prefix), None))
        } else {
            self.grouped(if needs.networks { &window.networks } else { &window.countries }, |lineage| {
                (lineage, None, None)
            })
        }
    }

    /// What rows come to under the rule's keys; `parts` of a key are its lineage, prefix and address, where it has them.
    fn grouped<K>(
        &self,
        rows: &HashMap<K, Cell, RandomState>,
        parts: impl Fn(&K) -> (&Lineage, Option<IpNet>, Option<IpAddr>),
    ) -> Groups {
        let rows = rows.iter().map(|(key, cell)| {
            let (lineage, prefix, source) = parts(key);
            Row { lineage, prefix, source, cell }
        });
        let most = rows.len().min(MANY_KEYS);
        let mut admitted = rows.filter(|row| self.admits(row.lineage, row.prefix)).peekable();
        let mut groups = Groups::with_capacity_and_hasher(most, RandomState::default());
        if self.rule.group_by == GroupBy::Service && admitted.peek().is_some() {
            // All rows have one key.
            let whole = groups.entry(Key::Service).or_default();
            admitted.for_each(|row| self.put(whole, &row));
        } else {
            admitted.for_each(|row| self.add(&mut groups, &row));
        }
        groups
    }

    /// Whether the rule counts a row.
    fn admits(&self, lineage: &Lineage, prefix: Option<IpNet>) -> bool {
        let level = Level { before: self.watched.before(self.traffic()), rule: self.rule };
        admits(&self.rule.filter, self.home, lineage, prefix) && level.admits(prefix)
    }

    /// Adds a row that the rule counts.
    fn add(&self, groups: &mut Groups, row: &Row<'_>) {
        let key = match self.rule.group_by {
            GroupBy::Service => Some(Key::Service),
            GroupBy::Country => Some(Key::Country(row.lineage.country)),
            GroupBy::Asn => row.lineage.asn.map(Key::Network),
            GroupBy::Prefix => row.prefix.map(Key::Prefix),
            GroupBy::Source => row.source.map(Key::Source),
        };
        if let Some(key) = key {
            self.put(groups.entry(key).or_default(), row);
        }
    }

    fn put(&self, group: &mut Group, row: &Row<'_>) {
        group.count += of_cell(self.rule.measure, row.cell);
        if self.judged.members {
            let members = group.members.get_or_insert_default();
            members.add(self.judged.clients, row.lineage, (row.prefix, row.source));
        }
    }

    /// What all keys together have more than before, per second.
    fn excess(&self, groups: &Groups) -> f64 {
        let seconds = self.rule.timespan.secs().max(1) as f64;
        let excess_of =
            |(key, group): (&Key, &Group)| (group.count as f64 / seconds - self.before(*key).0).max(0.0);
        let mut excesses: Vec<f64> = groups.iter().map(excess_of).collect();
        // Floating-point sums depend on order, and the map's order on the process.
        excesses.sort_by(f64::total_cmp);
        excesses.into_iter().sum()
    }

    /// The rate of a key before, per second, and its part of the whole; of a key that stands for parts, theirs together.
    fn before(&self, key: Key) -> (f64, f64) {
        let level = Level { before: self.watched.before(self.traffic()), rule: self.rule };
        if is_made_of_countries(self.rule)
            && let Some(together) = level.of_countries(self.home)
        {
            return together;
        }
        let parts = self.parts();
        if parts.is_empty() {
            return level.of(&key);
        }
        let of_parts = parts.iter().map(|key| level.of(key));
        let (rate, share) = of_parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        (rate, share.min(1.0))
    }

    /// The keys that make up what it looks at, where that is a part of the clients as a whole.
    pub fn parts(&self) -> &[Key] {
        let (ticks, before) = (self.rule.timespan.secs(), self.watched.before(self.traffic()));
        let find = |window| parts((self.rule, self.judged.needs), self.home, window, before);
        self.parts.get_or_init(|| self.watched.window(ticks, self.traffic()).map_or_else(Vec::new, find))
    }

    /// What the window shows of a key.
    fn observe(&self, group: &Group, window: &Window) -> Observed {
        let count = group.count as f64;
        let observed = Observed {
            rate: count / self.rule.timespan.secs().max(1) as f64,
            count,
            share: ratio(count, of_counts(self.rule.measure, &window.counts) as f64).min(1.0),
            paths: window.paths.len() as f64,
            ..Observed::default()
        };
        self.with_members(observed, group.members.as_deref())
    }

    fn with_members(&self, mut observed: Observed, members: Option<&Members>) -> Observed {
        if let Some(members) = members {
            let coverage = self.watched.coverage(self.rule.timespan.secs(), self.traffic());
            observed.sources = members.sources.len() as f64 / coverage;
            observed.prefixes = members.prefixes.len() as f64;
            observed.networks = members.networks.len() as f64;
            observed.countries = members.countries.len() as f64;
        }
        observed
    }
}

/// Sorts by keys, of the largest where there are too many.
fn sort_largest(holding: &mut Vec<(Key, Observed)>) {
    if holding.len() > MAX_KEYS {
        holding.sort_by(|one, other| other.1.count.total_cmp(&one.1.count).then(one.0.cmp(&other.0)));
        holding.truncate(MAX_KEYS);
    }
    holding.sort_by_key(|one| one.0);
}

/// What was tried and not answered, by the address that it came from.
fn probe_groups(window: &Window, measure: Measure) -> Groups {
    let group = |count| Group { count, members: None };
    probes(window, measure).into_iter().map(|(source, count)| (Key::Source(source), group(count))).collect()
}

fn lift_of_share(share: f64, before: f64) -> f64 {
    (share / before.max(LEAST_SHARE)).min(MOST_LIFT)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// How many different paths fail as the measure counts it.
fn failing_paths(window: &Window, measure: Measure) -> f64 {
    if measure == Measure::Strays {
        return distinct(tried(window, measure).map(|key| key.tried));
    }
    distinct(window.failing.keys().filter(|key| fails_as(measure, key.failure)).map(|key| key.path))
}

fn distinct<T: Eq + Hash>(values: impl Iterator<Item = T>) -> f64 {
    values.collect::<HashSet<T, RandomState>>().len() as f64
}
