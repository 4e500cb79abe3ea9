//! What the keys of a rule had before. Comes in: the level before, a rule's filter. Goes out: rates and shares of the clients
//! that the filter admits. A key that is the whole service stands for those clients together: what they had is summed up
//! from the keys that they are made up of.

use std::collections::BTreeSet;

use super::demand::{admits, is_of_countries, is_whole_service};
use super::rule::{GroupBy, Rule};
use super::window::Window;
use super::{Before, Key};
use crate::attribute::{Country, Home};

/// What is held against the level before.
pub(super) struct Level<'a> {
    pub before: &'a Before,
    pub rule: &'a Rule,
    pub second: i64,
}

impl Level<'_> {
    /// The rate of a key per second; 0 where nothing is known. Labelled clients are no part of what a rule about others
    /// looks at.
    pub fn rate(&self, key: &Key) -> f64 {
        let (measure, second) = (self.rule.measure, self.second);
        let whole = || self.before.row_rate(key, measure, second).unwrap_or(0.0);
        let others = || self.before.unlabelled_rate(key, measure, second).unwrap_or(0.0);
        match self.rule.filter.labelled {
            None => whole(),
            Some(false) => others(),
            Some(true) => (whole() - others()).max(0.0),
        }
    }

    /// The part of a key of the whole, from 0 to 1; 0 where nothing is known.
    pub fn share(&self, key: &Key) -> f64 {
        let (measure, second) = (self.rule.measure, self.second);
        let whole = || self.before.row_share(key, measure, second).unwrap_or(0.0);
        let others = || self.before.unlabelled_share(key, measure, second).unwrap_or(0.0);
        match self.rule.filter.labelled {
            None => whole(),
            Some(false) => others(),
            Some(true) => (whole() - others()).max(0.0),
        }
    }
}

/// The keys, sorted and all of one kind, that make up what a rule about some of a service's clients looks at as a whole; none where its
/// keys stand for themselves.
pub(super) fn parts(rule: &Rule, home: &Home, window: &Window, before: &Before) -> Vec<Key> {
    let filter = &rule.filter;
    if rule.group_by != GroupBy::Service || is_whole_service(rule) {
        return Vec::new();
    }
    if !filter.prefixes.is_empty() {
        let rows = window.prefixes.keys();
        let within = rows.filter(|key| admits(filter, home, &key.lineage, Some(key.prefix)));
        let prefixes: BTreeSet<Key> = within.map(|key| Key::Prefix(key.prefix)).collect();
        return prefixes.into_iter().collect();
    }
    if !filter.asns.is_empty() {
        let networks: BTreeSet<Key> = filter.asns.iter().copied().map(Key::Network).collect();
        return networks.into_iter().collect();
    }
    let now = countries_of(window);
    let countries: BTreeSet<Country> = now.into_iter().chain(before.countries()).collect();
    let admitted = countries.into_iter().filter(|country| is_of_countries(filter, home, *country));
    admitted.map(Key::Country).collect()
}

/// The countries of whatever rows a window keeps.
fn countries_of(window: &Window) -> BTreeSet<Country> {
    let networks = window.countries.keys().chain(window.networks.keys()).map(|lineage| lineage.country);
    let prefixes = window.prefixes.keys().map(|key| key.lineage.country);
    let sources = window.sources.keys().map(|key| key.prefix.lineage.country);
    networks.chain(prefixes).chain(sources).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use crate::aggregate::{Cell, Count, Lineage, ScopeTick};
    use crate::attribute::{Asn, Country, Home, LabelId};
    use crate::detect::rule::RuleSet;
    use crate::detect::watched::Seconds;
    use crate::detect::{Detector, Grounds, Homes, RuleDetector, Subject, Watched};
    use crate::flow::Proof;
    use crate::service::ServiceId;
    use crate::time::TickId;

    const SERVICE: Subject = Subject::Named(ServiceId(0));

    /// A second of a service at home in Korea: each row a country, whether it is labelled, and its accesses.
    fn second(rows: &[(&[u8; 2], bool, u64)]) -> Seconds {
        let mut own = ScopeTick::default();
        for (place, (country, labelled, accesses)) in rows.iter().enumerate() {
            let lineage = Lineage {
                country: Country::Code(**country),
                asn: Some(Asn(100 + place as u32)),
                label: labelled.then_some(LabelId(0)),
                proof: Proof::Proven,
            };
            own.networks.push((lineage, Cell { accesses: *accesses, ..Cell::default() }));
            own.counts[Count::Accesses] += accesses;
        }
        own.networks.sort_by_key(|row| row.0);
        Seconds { own, ..Seconds::default() }
    }

    /// The rules on access from abroad that hold after two minutes of the one and twenty seconds of the other.
    fn found(before: &[(&[u8; 2], bool, u64)], then: &[(&[u8; 2], bool, u64)]) -> Vec<String> {
        let homes: Homes = Arc::new(|_| Home::new(vec![Country::Code(*b"KR")]));
        let services = Arc::new([("web".to_owned(), vec![80])]);
        let mut detector = RuleDetector::new(&RuleSet::builtin(), Grounds { homes, services });
        let mut watched = Watched::new(&detector.needs(SERVICE).into());
        let mut ids = BTreeSet::new();
        for now in 0..140 {
            let tick = TickId { epoch: 0, second: now };
            watched.advance(tick, Some(second(if now < 120 { before } else { then })));
            ids.extend(
                detector.judge(SERVICE, &watched, tick).into_iter().map(|found| found.rule.id.clone()),
            );
        }
        ids.into_iter().filter(|id| id.starts_with("foreign")).collect()
    }

    #[test]
    fn several_countries_together_are_held_against_what_they_had_together() {
        let home = (b"KR", false, 30);
        let [few, many] = [1, 10].map(|each| [b"GB", b"RU", b"US"].map(|country| (country, false, each)));
        let with = |rows: [_; 3]| [&[home], rows.as_slice()].concat();
        assert_eq!(found(&with(few), &with(many)), ["foreign-access"]);
        assert_eq!(found(&with(many), &with(many)), [""; 0], "who has always been there");
    }

    #[test]
    fn a_labelled_client_hides_nobody_of_its_country() {
        let (home, crawler) = ((b"KR", false, 30), (b"US", true, 20));
        let all = ["foreign-access", "foreign-concentration", "foreign-network"];
        assert_eq!(found(&[home, crawler], &[home, crawler, (b"US", false, 40)]), all);
        assert_eq!(found(&[home, crawler], &[home, (b"US", true, 80)]), [""; 0], "nor is it one itself");
    }
}
