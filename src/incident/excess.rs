//! What there is more than before. Comes in: the rows of an episode and the level before. Goes out: how much of a measure
//! is beyond it, of labelled clients apart from everybody else: they stay visible and are never blamed.

use std::collections::BTreeMap;

use super::cohort::LEAST_BEFORE;
use crate::aggregate::{Lineage, SourceKey};
use crate::attribute::{Asn, Country};
use crate::detect::rule::Measure;
use crate::detect::{Before, Key, Window, of_cell, of_counts};

/// What is held against what.
pub(super) struct Excess<'a> {
    pub window: &'a Window,
    /// The level before.
    pub before: &'a Before,
    /// Seconds of the episode.
    pub seconds: f64,
}

/// The part of the level before that an excess must come to.
pub(super) const LEAST_MORE: f64 = 0.2;

/// A network with less than this part is one of many, one that has not so many times its part before is no newcomer, and
/// fewer clients may fetch a few large files.
const LEAST_PLACE: f64 = 0.1;
const NEW: f64 = 3.0;
const SEVERAL: usize = 5;

impl Excess<'_> {
    /// What the countries' rows have more than before, labelled clients left out.
    pub fn of_rows(&self, measure: Measure) -> f64 {
        let level = |country| {
            let key = Key::Country(country);
            self.before.unlabelled_rate(&key, measure).unwrap_or(0.0)
        };
        let countries = by_country(self.window, measure, |lineage| lineage.label.is_none()).into_iter();
        countries.map(|(country, count)| (count - level(country) * self.seconds).max(0.0)).sum()
    }

    /// What labelled clients together bring more than before.
    pub fn of_labelled(&self, measure: Measure) -> f64 {
        let count: f64 = by_country(self.window, measure, |lineage| lineage.label.is_some()).values().sum();
        (count - self.before.labelled_rate(measure) * self.seconds).max(0.0)
    }

    /// The part of a measure that networks with several clients have which had hardly any of it before, of those that
    /// `counts` takes.
    pub fn of_newcomers(&self, measure: Measure, counts: impl Fn(&Lineage) -> bool) -> f64 {
        let total = of_counts(measure, &self.window.counts) as f64;
        let mut networks: BTreeMap<Asn, u64> = BTreeMap::new();
        let counts = |lineage: &Lineage| lineage.label.is_none() && counts(lineage);
        for (lineage, cell) in self.window.networks.iter().filter(|(lineage, _)| counts(lineage)) {
            lineage.asn.iter().for_each(|asn| *networks.entry(*asn).or_default() += of_cell(measure, cell));
        }
        let newcomer = |(asn, count): (Asn, u64)| {
            let share = (count as f64 / total.max(1.0)).min(1.0);
            let before = self.before.unlabelled_share(&Key::Network(asn), measure)?;
            let is_new = share >= LEAST_PLACE && share >= NEW * before.max(LEAST_BEFORE);
            (is_new && self.clients_of(asn) >= SEVERAL).then_some(share - before)
        };
        networks.into_iter().filter_map(newcomer).sum()
    }

    fn clients_of(&self, asn: Asn) -> usize {
        let of_network = |key: &&SourceKey| key.prefix.lineage.asn == Some(asn);
        self.window.sources.keys().filter(of_network).take(SEVERAL).count()
    }

    /// Whether rows hold notably more than before; what rows scatter is not to be blamed on anybody.
    pub fn is_notable(&self, measure: Measure) -> bool {
        let level = self.before.rate(measure);
        level.is_none_or(|level| self.of_rows(measure) >= LEAST_MORE * level * self.seconds)
    }
}

/// What was counted of each country, in those rows that are asked for.
pub(super) fn by_country(
    window: &Window,
    measure: Measure,
    of: impl Fn(&Lineage) -> bool,
) -> BTreeMap<Country, f64> {
    let mut countries = BTreeMap::<Country, f64>::new();
    for (lineage, cell) in window.networks.iter().filter(|(lineage, _)| of(lineage)) {
        *countries.entry(lineage.country).or_default() += of_cell(measure, cell) as f64;
    }
    countries
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::aggregate::{Cell, Count, PrefixKey, ScopeTick};
    use crate::attribute::LabelId;
    use crate::flow::Proof;

    /// So many accesses of people and of a labelled crawler, in one country.
    fn rows(people: u64, crawler: u64) -> Vec<(Lineage, Cell)> {
        let row = |asn, label, accesses| {
            let country = Country::Code(*b"US");
            let lineage = Lineage { country, asn: Some(Asn(asn)), label, proof: Proof::Proven };
            (lineage, Cell { accesses, ..Cell::default() })
        };
        vec![row(7018, None, people), row(15_169, Some(LabelId(0)), crawler)]
    }

    /// What rows and labelled clients have more in ten seconds, where ten of each a second are usual.
    fn excess(people: u64, crawler: u64) -> (f64, f64, bool) {
        let mut usual = ScopeTick { networks: rows(10, 10), ..ScopeTick::default() };
        usual.counts[Count::Accesses] = 20;
        let mut before = Before::default();
        (-300..0).for_each(|second| before.learn(second, 1, &usual));
        let mut window = Window::default();
        window.networks.extend(rows(people, crawler));
        let excess = Excess { window: &window, before: &before, seconds: 10.0 };
        let measure = Measure::Accesses;
        (excess.of_rows(measure).round(), excess.of_labelled(measure).round(), excess.is_notable(measure))
    }

    #[test]
    fn what_labelled_clients_bring_more_is_theirs() {
        assert_eq!(excess(100, 900), (0.0, 800.0, false));
    }

    #[test]
    fn what_others_bring_more_is_no_less_for_labelled_clients_beside_them() {
        assert_eq!(excess(300, 100), (200.0, 0.0, true));
        assert_eq!(excess(300, 900), (200.0, 800.0, true));
        assert_eq!(excess(300, 0), (200.0, 0.0, true), "a crawler that stays away hides nobody");
    }

    /// The part of newcomers abroad where so many clients of a network that had a tenth of the accesses have half of them.
    fn newcomers(clients: u8, had: u64) -> f64 {
        let proof = Proof::Proven;
        let of = |country, asn| Lineage {
            country: Country::Code(country),
            asn: Some(Asn(asn)),
            label: None,
            proof,
        };
        let (home, abroad) = (of(*b"KR", 4766), of(*b"CA", 577));
        let row = |lineage, accesses| (lineage, Cell { accesses, ..Cell::default() });
        let mut usual = ScopeTick { networks: vec![row(home, 10), row(abroad, had)], ..ScopeTick::default() };
        usual.counts[Count::Accesses] = 10 + had;
        let mut before = Before::default();
        (-300..0).for_each(|second| before.learn(second, 1, &usual));
        let mut window = Window::default();
        window.networks.extend([row(home, 50), row(abroad, 50)]);
        window.counts[Count::Accesses] = 100;
        let prefix = PrefixKey { lineage: abroad, prefix: "99.0.1.0/24".parse().unwrap(), reach: 24 };
        let source = |host| SourceKey { prefix, address: IpAddr::from([99, 0, 1, host]) };
        window.sources.extend((0..clients).map(|host| (source(host), Cell::default())));
        let excess = Excess { window: &window, before: &before, seconds: 10.0 };
        excess.of_newcomers(Measure::Accesses, |lineage| lineage.country == abroad.country)
    }

    #[test]
    fn newcomers_are_several_clients_of_who_had_hardly_any() {
        assert_eq!(newcomers(5, 0), 0.5);
        assert_eq!(newcomers(4, 0), 0.0, "few may fetch large files");
        assert!((newcomers(5, 1) - (0.5 - 1.0 / 11.0)).abs() < 1e-9, "five times as much is new");
        assert_eq!(newcomers(5, 3), 0.0, "twice as much is not");
    }
}
