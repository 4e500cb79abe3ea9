//! What the keys of a rule had before. Comes in: the level before, a rule's filter. Goes out: rates and shares of the clients
//! that the filter admits. A key that is the whole service stands for those clients together: what they had is summed up
//! from the keys that they are made up of.

use super::demand::{admits, is_of_countries, is_whole_service};
use super::rule::{GroupBy, Rule};
use super::window::Window;
use super::{Before, Key};
use crate::attribute::{Country, Home};

/// What is held against the level before.
pub(super) struct Level<'a> {
    pub before: &'a Before,
    pub rule: &'a Rule,
}

impl Level<'_> {
    /// The rate of a key per second and its part of the whole, from 0 to 1; 0 where nothing is known. Labelled clients are no
    /// part of what a rule about others looks at.
    pub fn of(&self, key: &Key) -> (f64, f64) {
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
}

/// The keys, sorted and all of one kind, that make up what a rule about some of a service's clients looks at as a whole;
/// none where its keys stand for themselves.
pub(super) fn parts(rule: &Rule, home: &Home, window: &Window, before: &Before) -> Vec<Key> {
    let filter = &rule.filter;
    if rule.group_by != GroupBy::Service || is_whole_service(rule) {
        return Vec::new();
    }
    let mut keys: Vec<Key> = if !filter.prefixes.is_empty() {
        let rows = window.prefixes.keys();
        let within = rows.filter(|key| admits(filter, home, &key.lineage, Some(key.prefix)));
        within.map(|key| Key::Prefix(key.prefix)).collect()
    } else if !filter.asns.is_empty() {
        filter.asns.iter().copied().map(Key::Network).collect()
    } else {
        let countries = countries_of(window).chain(before.countries());
        let admitted = countries.filter(|country| is_of_countries(filter, home, *country));
        admitted.map(Key::Country).collect()
    };
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The countries of whatever rows a window keeps.
fn countries_of(window: &Window) -> impl Iterator<Item = Country> {
    let networks = window.countries.keys().chain(window.networks.keys()).map(|lineage| lineage.country);
    let prefixes = window.prefixes.keys().map(|key| key.lineage.country);
    let sources = window.sources.keys().map(|key| key.prefix.lineage.country);
    networks.chain(prefixes).chain(sources)
}
