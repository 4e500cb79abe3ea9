//! What the keys of a rule had before. Comes in: the level before, a rule's filter. Goes out: rates and shares of the clients
//! that the filter admits. A key that is the whole service stands for those clients together: what they had is summed up
//! from the keys that they are made up of.

use ipnet::IpNet;

use super::demand::{admits, is_of_countries, is_whole_service};
use super::rule::{GroupBy, Rule};
use super::window::{Needs, Window};
use super::{Before, Key};
use crate::attribute::{Country, Home};

/// What is held against the level before.
pub(super) struct Level<'a> {
    pub before: &'a Before,
    pub rule: &'a Rule,
}

impl Level<'_> {
    /// Whether the rule counts a prefix as one that was there before, or was not.
    pub fn admits(&self, prefix: Option<IpNet>) -> bool {
        let is_new = |prefix| !self.before.was_there(&Key::Prefix(prefix));
        self.rule.filter.new.is_none_or(|want| prefix.is_some_and(|prefix| is_new(prefix) == want))
    }

    /// The rate of a key per second and its part of the whole, from 0 to 1; 0 where nothing is known. Labelled clients are no
    /// part of what a rule about others looks at.
    pub fn of(&self, key: &Key) -> (f64, f64) {
        if self.rule.filter.new == Some(true) {
            return (0.0, 0.0);
        }
        let measure = self.rule.measure;
        let level = |rate: Option<f64>| {
            let share = rate.and_then(|rate| self.before.share_of(rate, key, measure));
            (rate.unwrap_or(0.0), share.unwrap_or(0.0))
        };
        let whole = || level(self.before.row_rate(key, measure));
        let others = || level(self.before.unlabelled_rate(key, measure));
        match self.rule.filter.labelled {
            None => whole(),
            Some(false) => others(),
            Some(true) => {
                let (whole, others) = (whole(), others());
                ((whole.0 - others.0).max(0.0), (whole.1 - others.1).max(0.0))
            }
        }
    }

    /// The same of all countries together that the filter admits; `None` where what was learned before this run counts
    /// as well.
    pub fn of_countries(&self, home: &Home) -> Option<(f64, f64)> {
        if self.before.is_brought() {
            return None;
        }
        let (measure, filter) = (self.rule.measure, &self.rule.filter);
        let Some(whole) = self.before.rate(measure) else { return Some((0.0, 0.0)) };
        let rate: f64 = self
            .before
            .country_rates(measure)
            .filter(|(country, _, _)| is_of_countries(filter, home, *country))
            .map(|(_, all, labelled)| match filter.labelled {
                None => all,
                Some(false) => (all - labelled).max(0.0),
                Some(true) => labelled.min(all),
            })
            .sum();
        Some((rate, if whole > 0.0 { (rate / whole).min(1.0) } else { 0.0 }))
    }
}

/// Whether what a rule looks at as a whole is made up of countries.
pub(super) fn is_made_of_countries(rule: &Rule) -> bool {
    let filter = &rule.filter;
    let of_clients = rule.group_by == GroupBy::Service && !is_whole_service(rule);
    of_clients && filter.prefixes.is_empty() && filter.asns.is_empty() && filter.new.is_none()
}

/// The keys, sorted and all of one kind, that make up what a rule about some of a service's clients looks at as a whole;
/// none where its keys stand for themselves.
pub(super) fn parts(
    (rule, needs): (&Rule, Needs),
    home: &Home,
    window: &Window,
    before: &Before,
) -> Vec<Key> {
    let filter = &rule.filter;
    if rule.group_by != GroupBy::Service || is_whole_service(rule) {
        return Vec::new();
    }
    let mut keys: Vec<Key> = if is_made_of_countries(rule) {
        let countries = before.countries().chain(countries_of(window, needs));
        countries.filter(|country| is_of_countries(filter, home, *country)).map(Key::Country).collect()
    } else if filter.prefixes.is_empty() {
        filter.asns.iter().copied().map(Key::Network).collect()
    } else {
        let rows = window.prefixes.keys();
        let within = rows.filter(|key| admits(filter, home, &key.lineage, Some(key.prefix)));
        within.map(|key| Key::Prefix(key.prefix)).collect()
    };
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The countries of the rows that a rule looks at.
fn countries_of(window: &Window, needs: Needs) -> impl Iterator<Item = Country> {
    let countries = needs.countries.then(|| window.countries.keys()).into_iter().flatten();
    let networks = needs.networks.then(|| window.networks.keys()).into_iter().flatten();
    let prefixes = needs.prefixes.then(|| window.prefixes.keys()).into_iter().flatten();
    let sources = needs.sources.then(|| window.sources.keys()).into_iter().flatten();
    let lineages = countries.chain(networks);
    let clients = prefixes.map(|key| &key.lineage).chain(sources.map(|key| &key.prefix.lineage));
    lineages.chain(clients).map(|lineage| lineage.country)
}
