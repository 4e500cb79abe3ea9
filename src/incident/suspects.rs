//! Whom the excess may come from: countries abroad that hold much more than before, and at home what a rule names.
//! Comes in: the rows of an episode and the rules' keys. Goes out: the rows to tell. Blames no home country as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::cohort::LEAST_BEFORE;
use super::origins::{ENOUGH, LEAST, Row, Scale, Tree};
use super::{Origin, Place};
use crate::aggregate::{Cell, Lineage};
use crate::attribute::Country;
use crate::detect::rule::Measure;
use crate::detect::{Key, Window, of_cell};
use crate::flow::Proof;

/// Where origins are looked for.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    countries: BTreeSet<Country>,
    /// Prefixes and addresses at home or of no country, where nobody else is one.
    at_home: BTreeSet<Key>,
}

/// A country abroad is looked into where its part of the traffic is so many times its part before.
const LIFTED: f64 = 3.0;

/// How many times as often as a busy client a machine asks at least,
const MACHINE: f64 = 3.0;

/// and how often a minute: once a second, on and on, is no reader of pages.
const LEAST_A_MINUTE: f64 = 60.0;

/// Where it is not known how often clients ask, a machine asks so often a minute,
const UNKNOWN_MACHINE: f64 = 120.0;

/// and must ask for this part of all there is: a gateway of many people may ask as often.
const NEARLY_ALL: f64 = 0.9;

/// The part of the excess that a machine at home must have to be told.
const LEAST_OF_MACHINE: f64 = 0.01;

/// Prefixes at home that have so much of what the least of those has that rules name are named with them.
const AS_LARGE: f64 = 0.5;

/// Shorter episodes are scaled up from this many seconds at least: a page is fetched with all that belongs to it.
const LEAST_SECONDS: f64 = 20.0;

impl Suspects {
    /// The countries that are looked into.
    pub fn countries(&self) -> &BTreeSet<Country> {
        &self.countries
    }

    /// The countries that the rules' keys lie in, those abroad that hold much more than before, and single keys at home.
    pub fn of(window: &Window, keys: &BTreeSet<Key>, scale: &Scale<'_>) -> Self {
        let mut countries = countries_of(window, keys);
        let mut sums: BTreeMap<Country, Cell> = BTreeMap::new();
        for (lineage, cell) in window.networks.iter().filter(|(lineage, _)| lineage.label.is_none()) {
            sums.entry(lineage.country).or_default().merge(cell);
        }
        for (country, cell) in sums.iter().filter(|(country, _)| scale.home.is_foreign(**country)) {
            let key = Key::Country(*country);
            let share = of_cell(scale.measure, cell) as f64 / scale.total.max(1.0);
            let before = scale.share_before(&key);
            if scale.excess_of(&key, cell) >= LEAST * scale.excess && share >= LIFTED * before {
                countries.insert(*country);
            }
        }
        let is_home = |country: &Country| {
            matches!(country, Country::Code(_))
                && !scale.home.is_unknown()
                && !scale.home.is_foreign(*country)
        };
        let narrow = |key: &&Key| matches!(key, Key::Source(_) | Key::Prefix(_) | Key::Network(_));
        let at_home = keys.iter().filter(narrow).copied().collect();
        countries.retain(|country| !is_home(country));
        let mut suspects = Self { countries, at_home };
        suspects.add_likes(window, scale);
        suspects
    }

    /// Adds the prefixes at home that were hardly there before, as one that is named, and have about as much: whether a rule
    /// names one of them or all is chance.
    fn add_likes(&mut self, window: &Window, scale: &Scale<'_>) {
        let at_home = window
            .prefixes
            .iter()
            .filter(|(key, _)| key.lineage.label.is_none() && !scale.home.is_foreign(key.lineage.country));
        let risen: Vec<(Key, f64)> = at_home
            .map(|(key, cell)| (Key::Prefix(key.prefix), cell))
            .filter(|(key, cell)| {
                scale.part_of_all(cell) >= LIFTED * scale.share_before(key).max(LEAST_BEFORE)
            })
            .map(|(key, cell)| (key, scale.excess_of(&key, cell)))
            .collect();
        let named = risen.iter().filter(|(key, _)| self.at_home.contains(key)).map(|(_, excess)| *excess);
        let Some(named) = named.reduce(f64::min) else { return };
        let least = (AS_LARGE * named).max(LEAST * scale.excess);
        self.at_home.extend(risen.iter().filter(|(_, excess)| *excess >= least).map(|(key, _)| *key));
    }

    /// Adds addresses at home, or of no country, that ask many times as often as busy clients do and were hardly there
    /// before: machines, however many share the work. `busy` is what nineteen in twenty clients used to ask for in a minute;
    /// where that is not known, only one that asks for nearly all there is.
    pub fn add_machines(&mut self, window: &Window, scale: &Scale<'_>, busy: Option<f64>) {
        if scale.measure != Measure::Accesses {
            return;
        }
        let minutes = scale.seconds.max(LEAST_SECONDS) / 60.0;
        let least = match busy {
            Some(busy) => (MACHINE * busy).max(LEAST_A_MINUTE) * minutes,
            None => (UNKNOWN_MACHINE * minutes).max(NEARLY_ALL * scale.total),
        };
        for (source, cell) in &window.sources {
            let lineage = &source.prefix.lineage;
            let count = of_cell(scale.measure, cell) as f64;
            if count < least || lineage.label.is_some() || scale.home.is_foreign(lineage.country) {
                continue;
            }
            let key = Key::Source(source.address);
            if scale.excess_of(&key, cell) >= LEAST_OF_MACHINE * scale.excess.max(count)
                && count >= LIFTED * scale.share_before(&key) * scale.total
            {
                self.at_home.insert(key);
            }
        }
    }

    /// The rows that hold the suspects' excess, the largest first.
    pub fn rows(&self, window: &Window, scale: &Scale<'_>) -> Vec<Origin> {
        let mut rows = Tree::of(window, self).origins(scale);
        rows.extend(self.at_home(window, scale));
        rows.sort_by(|one, other| other.share.total_cmp(&one.share).then(one.place.cmp(&other.place)));
        rows
    }

    /// The rows at home, or of no country, that the rules' keys or their rates name: what surrounds them is no suspect.
    fn at_home(&self, window: &Window, scale: &Scale<'_>) -> Vec<Origin> {
        let mut found: BTreeMap<Key, AtHome> = BTreeMap::new();
        let at_home = |lineage: &Lineage| {
            lineage.label.is_none()
                && !self.countries.contains(&lineage.country)
                && !scale.home.is_foreign(lineage.country)
        };
        for (source, cell) in window.sources.iter().filter(|(source, _)| at_home(&source.prefix.lineage)) {
            let lineage = source.prefix.lineage;
            let network = lineage.asn.map(Key::Network);
            let keys = [Some(Key::Source(source.address)), Some(Key::Prefix(source.prefix.prefix)), network];
            for key in keys.into_iter().flatten().filter(|key| self.at_home.contains(key)) {
                let row = found.entry(key).or_insert_with(|| AtHome::new(lineage));
                row.take(source.address, cell, lineage.proof);
            }
        }
        let rows = told_once(&found, scale).into_iter().filter_map(|(key, row)| row.told(key, scale));
        rows.collect()
    }
}

/// A key at home with what it did.
struct AtHome {
    lineage: Lineage,
    cell: Cell,
    sources: BTreeSet<IpAddr>,
    unproven: bool,
}

impl AtHome {
    fn new(lineage: Lineage) -> Self {
        Self { lineage, cell: Cell::default(), sources: BTreeSet::new(), unproven: false }
    }

    fn take(&mut self, address: IpAddr, cell: &Cell, proof: Proof) {
        self.cell.merge(cell);
        self.sources.insert(address);
        self.unproven |= proof == Proof::Unproven;
    }

    /// Whether the other's sources are all among these.
    fn holds(&self, inner: &Self) -> bool {
        inner.sources.is_subset(&self.sources)
    }

    fn told(&self, key: Key, scale: &Scale<'_>) -> Option<Origin> {
        let place = match key {
            Key::Source(address) => Place::Source(address),
            Key::Prefix(prefix) => Place::Prefix(prefix),
            Key::Network(asn) => Place::Network(asn),
            Key::Country(_) | Key::Service => return None,
        };
        let least = if matches!(key, Key::Source(_)) { LEAST_OF_MACHINE } else { LEAST };
        let enough = scale.excess_of(&key, &self.cell) >= least * scale.excess;
        enough.then(|| {
            scale.row(&Row {
                place,
                key,
                country: self.lineage.country,
                asn: self.lineage.asn,
                cell: &self.cell,
                sources: self.sources.len() as u64,
                example: self.sources.first().copied(),
                proven: !self.unproven,
            })
        })
    }
}

/// Rows that do not overlap: those within a wider one stand for it where they hold nearly all of its excess, else it
/// stands for them.
fn told_once<'a>(found: &'a BTreeMap<Key, AtHome>, scale: &Scale<'_>) -> Vec<(Key, &'a AtHome)> {
    let mut widening: Vec<(Key, &AtHome)> = found.iter().map(|(key, row)| (*key, row)).collect();
    widening.sort_by_key(|(key, _)| width(key));
    let mut kept: Vec<(Key, &AtHome)> = Vec::new();
    for (key, row) in widening {
        let own = scale.excess_of(&key, &row.cell);
        let (within, beside): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(_, inner)| row.holds(inner));
        let held: f64 = within.iter().map(|(key, inner)| scale.excess_of(key, &inner.cell)).sum();
        kept = beside;
        if held > 0.0 && held >= ENOUGH * own {
            kept.extend(within);
        } else {
            kept.push((key, row));
        }
    }
    kept
}

const fn width(key: &Key) -> u8 {
    match key {
        Key::Source(_) => 0,
        Key::Prefix(_) => 1,
        Key::Network(_) => 2,
        Key::Country(_) => 3,
        Key::Service => 4,
    }
}

/// The countries that the keys lie in.
fn countries_of(window: &Window, keys: &BTreeSet<Key>) -> BTreeSet<Country> {
    let mut countries = BTreeSet::new();
    let (mut prefixes, mut sources) = (false, false);
    for key in keys {
        match key {
            Key::Country(country) => drop(countries.insert(*country)),
            Key::Prefix(_) => prefixes = true,
            Key::Source(_) => sources = true,
            Key::Network(_) | Key::Service => {}
        }
    }
    let found = |key: Key| keys.contains(&key);
    let networks =
        window.networks.keys().filter(|lineage| lineage.asn.is_some_and(|asn| found(Key::Network(asn))));
    countries.extend(networks.map(|lineage| lineage.country));
    if prefixes {
        let within = window.prefixes.keys().filter(|key| found(Key::Prefix(key.prefix)));
        countries.extend(within.map(|key| key.lineage.country));
    }
    if sources {
        let within = window.sources.keys().filter(|key| found(Key::Source(key.address)));
        countries.extend(within.map(|key| key.prefix.lineage.country));
    }
    countries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{PrefixKey, SourceKey};
    use crate::attribute::{Asn, Home};
    use crate::detect::Before;

    const KR: Country = Country::Code(*b"KR");

    /// A minute at home with these requests of sources.
    fn at_home(requests: impl IntoIterator<Item = ([u8; 4], u64)>) -> (Window, f64) {
        let lineage = Lineage { country: KR, asn: Some(Asn(4766)), label: None, proof: Proof::Proven };
        let (mut window, mut total) = (Window::default(), 0);
        for (address, accesses) in requests {
            let address = IpAddr::from(address);
            let prefix = ipnet::IpNet::new(address, 24).unwrap().trunc();
            let prefix = PrefixKey { lineage, prefix, reach: 24 };
            let cell = Cell { accesses, ..Cell::default() };
            window.networks.entry(lineage).or_default().merge(&cell);
            window.prefixes.entry(prefix).or_default().merge(&cell);
            window.sources.insert(SourceKey { prefix, address }, cell);
            total += accesses;
        }
        (window, total as f64)
    }

    /// What is measured there, where nothing was before.
    fn measured<T>(total: f64, by: impl FnOnce(&Scale<'_>) -> T) -> T {
        let (before, home) = (Before::default(), Home::new(vec![KR]));
        by(&Scale {
            measure: Measure::Accesses,
            told: Measure::Accesses,
            seconds: 60.0,
            before: &before,
            excess: total,
            total,
            home: &home,
            coverage: 1.0,
        })
    }

    /// The places told of these requests where rules name these keys.
    fn places(requests: impl IntoIterator<Item = ([u8; 4], u64)>, keys: &[Key]) -> Vec<Place> {
        let (window, total) = at_home(requests);
        let keys = keys.iter().copied().collect();
        let rows = measured(total, |scale| Suspects::of(&window, &keys, scale).rows(&window, scale));
        rows.into_iter().map(|row| row.place).collect()
    }

    /// The places told of a prefix at home whose hosts ask ten times each, and the first of them so often.
    fn told(first: u64, keys: &[Key]) -> Vec<Place> {
        places((1..=100).map(|host| ([168, 126, 63, host], if host == 1 { first } else { 10 })), keys)
    }

    fn source() -> Key {
        Key::Source("168.126.63.1".parse().unwrap())
    }

    fn prefix() -> Key {
        Key::Prefix("168.126.63.0/24".parse().unwrap())
    }

    #[test]
    fn at_home_only_what_a_rule_names_is_told() {
        assert_eq!(told(10_000, &[source()]), [Place::Source("168.126.63.1".parse().unwrap())]);
        assert_eq!(told(10_000, &[Key::Service, Key::Country(KR)]), []);
    }

    #[test]
    fn an_address_stands_for_its_prefix_where_it_holds_nearly_all_of_it() {
        let address = Place::Source("168.126.63.1".parse().unwrap());
        assert_eq!(told(20_000, &[source(), prefix(), Key::Network(Asn(4766))]), [address]);
    }

    #[test]
    fn prefixes_at_home_that_came_as_one_did_that_is_named_are_told_with_it() {
        let told = |keys: &[Key]| {
            let thirds = [(1, 50), (2, 40), (3, 30), (4, 5)].into_iter();
            let hosts = |(third, accesses)| (1..=20).map(move |host| ([168, 126, third, host], accesses));
            places(thirds.flat_map(hosts), keys).len()
        };
        assert_eq!(told(&[Key::Prefix("168.126.1.0/24".parse().unwrap())]), 3);
        assert_eq!(told(&[]), 0, "where nothing is named, nobody at home is blamed");
    }

    #[test]
    fn an_address_among_a_hundred_does_not_stand_for_its_prefix() {
        let place = Place::Prefix("168.126.63.0/24".parse().unwrap());
        assert_eq!(told(300, &[source(), prefix()]), [place]);
    }

    #[test]
    fn machines_at_home_that_share_the_work_are_told_each() {
        let hosts =
            |third| (1..=20).map(move |host| ([168, 126, third, host], if host == 1 { 300 } else { 10 }));
        let (window, total) = at_home((0..20).flat_map(hosts));
        let rows = |busy| {
            measured(total, |scale| {
                let mut suspects = Suspects::of(&window, &BTreeSet::new(), scale);
                suspects.add_machines(&window, scale, busy);
                suspects.rows(&window, scale).len()
            })
        };
        assert_eq!(rows(Some(30.0)), 20);
        assert_eq!(rows(Some(200.0)), 0, "clients used to ask as often");
        assert_eq!(rows(None), 0, "nothing is known of clients, and none asks for nearly all");
    }

    #[test]
    fn where_nothing_is_known_one_that_asks_for_nearly_all_is_a_machine() {
        let told = |address: &str, country, count| {
            let lineage = Lineage { country, asn: None, label: None, proof: Proof::Proven };
            let address: IpAddr = address.parse().unwrap();
            let prefix = PrefixKey { lineage, prefix: ipnet::IpNet::from(address), reach: 24 };
            let cell = Cell { accesses: count, ..Cell::default() };
            let mut window = Window::default();
            window.networks.insert(lineage, cell);
            window.sources.insert(SourceKey { prefix, address }, cell);
            let (before, home) = (Before::default(), Home::new(vec![KR]));
            let scale = Scale {
                measure: Measure::Accesses,
                told: Measure::Accesses,
                seconds: 60.0,
                before: &before,
                excess: 310.0,
                total: 310.0,
                home: &home,
                coverage: 1.0,
            };
            let mut suspects = Suspects::of(&window, &BTreeSet::new(), &scale);
            suspects.add_machines(&window, &scale, None);
            suspects.rows(&window, &scale).len()
        };
        assert_eq!(told("192.168.1.100", Country::Private, 300), 1);
        assert_eq!(told("168.126.63.1", KR, 300), 1);
        assert_eq!(told("168.126.63.1", KR, 250), 0, "others ask as well");
        assert_eq!(told("168.126.63.1", KR, 100), 0, "a person at work");
    }
}
