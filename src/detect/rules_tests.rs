//! Rules before services with labelled clients and with clients abroad: what holds after two minutes of the one and some
//! seconds of the other.

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

/// Clients of a country, whether they are labelled, and their accesses a second.
type Clients = (&'static [u8; 2], bool, u64);

/// A second with so much of clients, five packets for each access.
fn second(clients: &[Clients]) -> Seconds {
    let mut own = ScopeTick::default();
    for (place, (country, labelled, accesses)) in clients.iter().enumerate() {
        let lineage = Lineage {
            country: Country::Code(**country),
            asn: Some(Asn(100 + place as u32)),
            label: labelled.then_some(LabelId(0)),
            proof: Proof::Proven,
        };
        let cell = Cell { accesses: *accesses, packets: 5 * accesses, ..Cell::default() };
        own.networks.push((lineage, cell));
        own.counts[Count::Accesses] += accesses;
        own.counts[Count::PacketsIn] += 5 * accesses;
    }
    own.networks.sort_by_key(|row| row.0);
    Seconds { own, ..Seconds::default() }
}

/// The rules that hold after two minutes of the one and forty seconds of the other, at home in Korea.
fn found(before: &[Clients], then: &[Clients]) -> Vec<String> {
    let homes: Homes = Arc::new(|_| Home::new(vec![Country::Code(*b"KR")]));
    let services = Arc::new([("web".to_owned(), vec![80])]);
    let mut detector = RuleDetector::new(&RuleSet::builtin(), Grounds { homes, services });
    let mut watched = Watched::new(&detector.needs(SERVICE).into());
    let mut ids = BTreeSet::new();
    for now in 0..160 {
        let tick = TickId { epoch: 0, second: now };
        watched.advance(tick, Some(second(if now < 120 { before } else { then })));
        let found = detector.judge(SERVICE, &watched, tick);
        ids.extend(found.into_iter().map(|finding| finding.rule.id.clone()));
    }
    ids.into_iter().collect()
}

const fn people(accesses: u64) -> Clients {
    (b"KR", false, accesses)
}

const fn labelled(accesses: u64) -> Clients {
    (b"KR", true, accesses)
}

#[test]
fn what_labelled_clients_bring_more_is_no_surge() {
    assert_eq!(found(&[people(30)], &[people(30), labelled(200)]), [""; 0]);
    assert_eq!(found(&[people(30), labelled(20)], &[people(40), labelled(200)]), [""; 0]);
}

#[test]
fn people_beside_labelled_clients_make_a_surge() {
    let surge = ["load-surge", "packet-surge"];
    assert_eq!(found(&[people(30)], &[people(230)]), surge);
    assert_eq!(found(&[people(30), labelled(20)], &[people(230), labelled(20)]), surge);
    assert_eq!(found(&[people(30), labelled(20)], &[people(230), labelled(200)]), surge);
}

#[test]
fn several_countries_together_are_held_against_what_they_had_together() {
    let with = |each| [people(30), (b"GB", false, each), (b"RU", false, each), (b"US", false, each)];
    assert_eq!(found(&with(1), &with(10)), ["foreign-access"]);
    assert_eq!(found(&with(10), &with(10)), [""; 0], "who has always been there");
}

#[test]
fn a_labelled_client_hides_nobody_of_its_country() {
    let crawler: Clients = (b"US", true, 20);
    let found = |then: &[Clients]| found(&[people(30), crawler], then);
    let flood = found(&[people(30), crawler, (b"US", false, 40)]);
    assert!(flood.iter().any(|id| id == "foreign-concentration"), "{flood:?}");
    assert_eq!(found(&[people(30), (b"US", true, 80)]), [""; 0], "nor is it a flood itself");
}
