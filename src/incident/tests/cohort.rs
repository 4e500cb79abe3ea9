//! Rows in, cohorts out: who belongs together, and how they behave.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::aggregate::{
    Cell, Count, Fingerprint, Lineage, MakeKey, PathKey, PrefixKey, ScopeTick, SourceKey,
};
use crate::attribute::{Asn, Country, Home, LabelId};
use crate::detect::rule::Measure;
use crate::detect::{Before, Habits, Window};
use crate::flow::Proof;
use crate::incident::clients::Gathering;
use crate::incident::cohort::{Cohort, Split, Who, stands_out};
use crate::incident::origins::Scale;
use crate::incident::{Origin, Place};

const US: Country = Country::Code(*b"US");
const KR: Country = Country::Code(*b"KR");
const SECONDS: u64 = 10;

/// A service with its rows since the onset, and before.
#[derive(Default)]
struct Scene {
    window: Window,
    usually: ScopeTick,
    origins: Vec<Origin>,
    gathering: Option<Gathering>,
    /// Whether nothing is known of how clients used to behave.
    is_cold: bool,
}

fn lineage(country: Country, asn: u32) -> Lineage {
    Lineage { country, asn: Some(Asn(asn)), label: None, proof: Proof::Proven }
}

impl Scene {
    /// So many accesses a second of a network before.
    fn usually(mut self, lineage: Lineage, accesses: u64) -> Self {
        self.usually.networks.push((lineage, Cell { accesses, ..Cell::default() }));
        self.usually.counts[Count::Accesses] += accesses;
        self
    }

    /// Hosts of a /24 that ask so often each since the onset.
    fn since(mut self, lineage: Lineage, network: [u8; 3], hosts: u8, each: u64) -> Self {
        for host in 1..=hosts {
            let address = IpAddr::from([network[0], network[1], network[2], host]);
            let prefix = PrefixKey { lineage, prefix: IpNet::new(address, 24).unwrap().trunc(), reach: 24 };
            let cell = Cell { accesses: each, ..Cell::default() };
            self.window.networks.entry(lineage).or_default().merge(&cell);
            self.window.prefixes.entry(prefix).or_default().merge(&cell);
            self.window.sources.entry(SourceKey { prefix, address }).or_default().merge(&cell);
        }
        self.window.counts[Count::Accesses] += u64::from(hosts) * each;
        self
    }

    fn asking(mut self, country: Country, path: &str, agent: &str, count: u64) -> Self {
        let path = PathKey { country, method: "GET".into(), path: path.into() };
        *self.window.paths.entry(path).or_default() += count;
        let make = MakeKey { country, fingerprint: Fingerprint::UserAgent(agent.into()) };
        *self.window.makes.entry(make).or_default() += count;
        self
    }

    /// A row that was told: a prefix with so much of the excess, and of the traffic now and before.
    fn told(mut self, country: Country, place: Place, (share, now, before): (f64, f64, f64)) -> Self {
        self.origins.push(Origin {
            place,
            country,
            asn: Some(Asn(7018)),
            example: "99.0.1.1".parse().unwrap(),
            foreign: Some(country != KR),
            share,
            traffic_share: now,
            baseline_share: before,
            rate: 1.0,
            sources: 1,
            proven: true,
            label: None,
        });
        self
    }

    fn cohorts(&self) -> Vec<Cohort> {
        self.cohorts_if(true)
    }

    fn cohorts_if(&self, is_split: bool) -> Vec<Cohort> {
        let (mut before, mut habits) = (Before::default(), Habits::default());
        for second in -900..0 {
            before.learn(second, 1, &self.usually);
            habits.learn(second + 900, &[reader(second)], [&browsers()]);
        }
        if self.is_cold {
            habits = Habits::default();
        }
        let level = self.usually.counts[Count::Accesses] * SECONDS;
        let total = self.window.counts[Count::Accesses];
        let home = Home::new(vec![KR]);
        let scale = Scale {
            measure: Measure::Accesses,
            told: Measure::Accesses,
            seconds: SECONDS as f64,
            before: &before,
            excess: total.saturating_sub(level) as f64,
            total: total as f64,
            home: &home,
            coverage: 1.0,
        };
        let (window, origins) = (&self.window, self.origins.as_slice());
        Split { window, scale: &scale, habits: &habits, origins, gathering: self.gathering, is_split }
            .cohorts()
    }
}

/// What clients usually use and ask for: two browsers, and pages with three things that belong to them.
fn browsers() -> ScopeTick {
    let make = |agent: &str| MakeKey { country: KR, fingerprint: Fingerprint::UserAgent(agent.into()) };
    let path = |path: &str| PathKey { country: KR, method: "GET".into(), path: path.into() };
    ScopeTick {
        makes: vec![(make("one"), 6), (make("other"), 4)],
        paths: vec![(path("/"), 2), (path("/a.css"), 3), (path("/b.js"), 3)],
        ..ScopeTick::default()
    }
}

/// One of twenty clients at home, each of which asks three times a minute.
fn reader(second: i64) -> (SourceKey, Cell) {
    let address = IpAddr::from([168, 126, 63, second.rem_euclid(20) as u8]);
    let prefix = PrefixKey { lineage: lineage(KR, 4766), prefix: IpNet::from(address), reach: 24 };
    (SourceKey { prefix, address }, Cell { accesses: 1, ..Cell::default() })
}

fn flood() -> Place {
    Place::Prefix("99.0.1.0/24".parse().unwrap())
}

#[test]
fn a_flood_inside_a_crowd_is_a_cohort_of_its_own() {
    let (kt, att) = (lineage(KR, 4766), lineage(US, 7018));
    let cohorts = Scene::default()
        .usually(kt, 10)
        .since(kt, [168, 126, 63], 100, 4)
        .since(att, [99, 0, 1], 20, 30)
        .told(US, flood(), (0.67, 0.6, 0.0))
        .cohorts();
    let [few, many] = cohorts.as_slice() else { panic!("{cohorts:?}") };
    assert_eq!((few.who, many.who), (Who::FewAbroad, Who::Many));
    assert_eq!(few.origins, [0]);
    assert!((few.share - 0.67).abs() < 0.03 && (many.share - 0.33).abs() < 0.03, "{cohorts:?}");
    assert!(few.known.is_some_and(|known| known < 0.05), "{few:?}");
    assert!(many.known.is_some_and(|known| known > 0.9), "{many:?}");
    assert!((few.effective_sources - 20.0).abs() < 1e-9, "{few:?}");
    assert!(few.client_rate > 5.0 * many.client_rate, "{cohorts:?}");
}

#[test]
fn without_a_split_all_is_one_cohort() {
    let (kt, att) = (lineage(KR, 4766), lineage(US, 7018));
    let scene = Scene::default().usually(kt, 10).since(att, [99, 0, 1], 20, 30);
    let scene = scene.since(kt, [168, 126, 63], 100, 4).told(US, flood(), (0.67, 0.6, 0.0));
    let cohorts = scene.cohorts_if(false);
    let [all] = cohorts.as_slice() else { panic!("{cohorts:?}") };
    assert_eq!((all.who, all.share, all.sources), (Who::Many, 1.0, 120.0));
    assert_eq!(all.origins, [0]);
}

#[test]
fn people_who_come_and_go_beside_few_are_no_cohort() {
    let (kt, att) = (lineage(KR, 4766), lineage(US, 7018));
    let with_rest = |each| {
        let scene = Scene::default().usually(kt, 10).since(att, [99, 0, 1], 20, 10);
        scene.since(kt, [168, 126, 63], 50, each).told(US, flood(), (1.0, 0.6, 0.0)).cohorts()
    };
    // A third more than the hundred accesses of ordinary ten seconds, and twice as many more.
    assert_eq!(with_rest(3).len(), 1);
    assert_eq!(with_rest(4).len(), 2);
    // Where much is asked, two fifths more are no chance, and still none of their own.
    let of_many = |each| {
        let scene = Scene::default().usually(kt, 100).since(att, [99, 0, 1], 20, 50);
        scene.since(kt, [168, 126, 63], 200, each).told(US, flood(), (1.0, 0.6, 0.0)).cohorts()
    };
    assert_eq!(of_many(7).len(), 1);
    assert_eq!(of_many(8).len(), 2);
}

#[test]
fn how_many_come_beside_few_tells_a_crowd_from_people_who_ask_for_more() {
    let (kt, att) = (lineage(KR, 4766), lineage(US, 7018));
    let with = |each, now| {
        let scene = Scene::default().usually(kt, 10).since(att, [99, 0, 1], 20, 30);
        let scene = scene.since(kt, [168, 126, 63], 50, each).told(US, flood(), (0.95, 0.8, 0.0));
        let gathering = Some(Gathering { before: 100.0, now });
        let cohorts = Scene { gathering, ..scene }.cohorts();
        cohorts.into_iter().map(|one| (one.who, one.is_gathered())).collect::<Vec<_>>()
    };
    let (few, many) = ((Who::FewAbroad, false), Who::Many);
    assert_eq!(with(1, 200.0), [few, (many, true)], "people who come and are not served");
    assert_eq!(with(1, 190.0), [few], "people who wait for longer");
    assert_eq!(with(1, 140.0), [few], "hardly more");
    assert_eq!(with(4, 140.0), [few, (many, false)]);
    assert_eq!(with(3, 100.0), [few], "as many as ever, who ask for half as much more at most");
}

#[test]
fn a_crowd_alone_is_one_cohort_from_known_networks() {
    let (kt, skb) = (lineage(KR, 4766), lineage(KR, 9318));
    let scene = Scene::default().usually(kt, 6).usually(skb, 4);
    let crowd = scene.since(kt, [168, 126, 63], 100, 3).since(skb, [1, 224, 0], 100, 2).cohorts();
    let [all] = crowd.as_slice() else { panic!("{crowd:?}") };
    assert_eq!((all.who, all.share), (Who::Many, 1.0));
    assert!(all.known.is_some_and(|known| known > 0.95), "{all:?}");
}

#[test]
fn strangers_at_home_are_not_known_networks() {
    let (kt, skb) = (lineage(KR, 4766), lineage(KR, 9318));
    let cohorts = Scene::default()
        .usually(kt, 10)
        .since(kt, [168, 126, 63], 50, 2)
        .since(skb, [1, 224, 0], 200, 3)
        .cohorts();
    let [all] = cohorts.as_slice() else { panic!("{cohorts:?}") };
    assert!(all.known.is_some_and(|known| known < 0.1), "{all:?}");
}

#[test]
fn labelled_neighbours_are_in_no_cohort() {
    let kt = lineage(KR, 4766);
    let labelled = Lineage { label: Some(LabelId(0)), ..lineage(US, 15_169) };
    let scene = Scene::default().usually(kt, 10).since(kt, [168, 126, 63], 100, 3);
    let alone = scene.cohorts();
    let scene = Scene::default().usually(kt, 10).since(kt, [168, 126, 63], 100, 3);
    let beside = scene.since(labelled, [66, 249, 64], 10, 500).cohorts();
    let told = |cohorts: &[Cohort]| -> Vec<_> {
        cohorts.iter().map(|one| (one.who, one.excess, one.sources)).collect()
    };
    assert_eq!(told(&alone), told(&beside));
}

#[test]
fn what_bots_use_and_ask_for_is_held_against_what_was_usual() {
    let (kt, att) = (lineage(KR, 4766), lineage(US, 7018));
    let cohorts = Scene::default()
        .usually(kt, 10)
        .since(kt, [168, 126, 63], 100, 4)
        .since(att, [99, 0, 1], 20, 30)
        .asking(US, "/bid/list", "bot", 600)
        .asking(KR, "/", "one", 100)
        .asking(KR, "/a.css", "one", 140)
        .asking(KR, "/b.js", "other", 160)
        .told(US, flood(), (0.67, 0.6, 0.0))
        .cohorts();
    let [few, many] = cohorts.as_slice() else { panic!("{cohorts:?}") };
    assert_eq!(few.make, Some((1.0, Some(0.0))));
    assert_eq!((few.same_makes, few.path, few.assets), (Some(0.0), Some(1.0), Some(0.0)));
    assert!(many.same_makes.is_some_and(|same| same > 0.99), "{many:?}");
    assert!(many.assets.is_some_and(|assets| (assets - 1.0).abs() < 0.01), "{many:?}");
    assert_eq!((few.own_part, many.own_part), (1.0, 1.0), "each has its country for itself");
}

#[test]
fn whoever_comes_more_is_told_by_what_comes_with_him() {
    let many = |excess| Cohort { excess, usual: 100.0, ..Cohort::default() };
    assert_eq!(many(100.0).of_excess(0.5, 0.0), 1.0, "half of all, and all there is more of");
    assert!((many(100.0).of_excess(0.5, 0.3) - 0.7).abs() < 1e-9);
    assert_eq!(many(100.0).of_excess(0.5, 1.0), 0.5, "less of the excess than of what is usual");
    assert_eq!(many(20.0).of_excess(0.1, 0.0), 0.1, "too small an excess to be told apart");
    let few = |own_part| Cohort { who: Who::FewAtHome, own_part, ..many(100.0) };
    assert_eq!(few(1.0).of_excess(0.5, 0.0), 0.5, "few have hardly anything usual");
    assert_eq!(few(0.5).of_excess(0.5, 0.0), 1.0, "as much as they ask of all");
}

#[test]
fn a_program_at_home_inside_a_crowd_is_a_cohort_of_its_own() {
    let kt = lineage(KR, 4766);
    let cohorts = Scene::default()
        .usually(kt, 10)
        .since(kt, [168, 126, 63], 100, 3)
        .since(kt, [168, 126, 64], 20, 15)
        .asking(KR, "/seat", "bot/1.0", 300)
        .asking(KR, "/", "one", 80)
        .asking(KR, "/a.css", "one", 100)
        .asking(KR, "/b.js", "other", 120)
        .cohorts();
    let [program, many] = cohorts.as_slice() else { panic!("{cohorts:?}") };
    assert_eq!((program.who, many.who), (Who::OneMake, Who::Many));
    assert!((program.share - 0.6).abs() < 1e-9 && (many.share - 0.4).abs() < 1e-9, "{cohorts:?}");
    assert_eq!((program.make, program.cell.accesses), (Some((1.0, Some(0.0))), 300));
    assert!(many.same_makes.is_some_and(|same| same > 0.99), "{many:?}");
    assert!(many.assets.is_some_and(|assets| assets > 0.95), "{many:?}");
}

#[test]
fn one_address_is_as_good_as_one_source_however_many_ask_once() {
    let att = lineage(US, 7018);
    let place = Place::Network(Asn(7018));
    let cohorts = Scene::default()
        .usually(lineage(KR, 4766), 10)
        .since(att, [99, 0, 1], 1, 5_000)
        .since(att, [99, 0, 2], 100, 1)
        .told(US, place, (1.0, 0.98, 0.0))
        .cohorts();
    let few = cohorts.first().unwrap();
    assert_eq!(few.sources, 101.0);
    assert!(few.effective_sources < 1.1, "{few:?}");
}

#[test]
fn a_row_stands_out_where_it_is_much_more_than_before() {
    let row =
        |place, now, before| Scene::default().told(US, place, (0.5, now, before)).origins.pop().unwrap();
    assert!(stands_out(&row(flood(), 0.3, 0.05)));
    assert!(!stands_out(&row(flood(), 0.14, 0.05)), "not three times as much");
    assert!(!stands_out(&row(flood(), 0.9, 0.2)), "a neighbour that everybody knows");
    assert!(!stands_out(&row(Place::Country(US), 0.9, 0.0)), "a country is no few");
}

#[test]
fn where_requests_are_sealed_it_shows_how_much_few_send_on_each_connection() {
    let packets = |each: u64| {
        let mut scene = Scene::default()
            .usually(lineage(KR, 4766), 10)
            .since(lineage(KR, 4766), [211, 34, 105], 50, 2)
            .since(lineage(US, 7018), [99, 0, 1], 50, 4)
            .told(US, flood(), (1.0, 0.5, 0.0));
        for (lineage, cell) in &mut scene.window.networks {
            (cell.connections, cell.packets) = match lineage.country {
                KR => (50, 50 * 30),
                _ => (200, 200 * each),
            };
        }
        for (_, cell) in scene.window.prefixes.iter_mut().filter(|(key, _)| key.lineage.country == US) {
            (cell.connections, cell.packets) = (200, 200 * each);
        }
        let cohorts = scene.cohorts();
        cohorts.iter().find(|cohort| cohort.who == Who::FewAbroad).and_then(|few| few.packets)
    };
    assert_eq!((packets(6), packets(30)), (Some(0.2), Some(1.0)));
}

#[test]
fn where_nothing_is_known_of_before_makes_are_held_against_those_of_others() {
    let scene = |agent| {
        let told = (1.0, 0.5, 0.0);
        let scene = Scene { is_cold: true, ..Scene::default() };
        scene
            .usually(lineage(KR, 4766), 10)
            .since(lineage(KR, 4766), [211, 34, 105], 50, 2)
            .since(lineage(US, 7018), [99, 0, 1], 50, 4)
            .asking(KR, "/", "Mozilla/5.0 Chrome/120", 100)
            .asking(US, "/", agent, 200)
            .told(US, Place::Prefix("99.0.1.0/24".parse().unwrap()), told)
    };
    let make = |agent| {
        let cohorts = scene(agent).cohorts();
        cohorts.iter().find(|cohort| cohort.who == Who::FewAbroad).and_then(|few| few.make)
    };
    assert_eq!(make("Mozilla/5.0 Chrome/120"), Some((1.0, Some(1.0))));
    assert_eq!(make("python-requests/2.32.3"), Some((1.0, Some(0.0))));
}
