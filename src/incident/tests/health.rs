//! How a service fares by the word of those who are no suspects, and how bad that is.

use super::{at, before, silent};
use crate::aggregate::{Cell, Counts, Lineage, PrefixKey, ScopeTick, Sides};
use crate::attribute::{Asn, Country, Home};
use crate::detect::rule::Level;
use crate::detect::{Before, Habits, Window};
use crate::flow::Proof;
use crate::incident::health::{Examination, Found};
use crate::incident::timeline::{Timeline, Usual};
use crate::incident::{Condition, Health, Origin, Place, Witnesses};

const US: Country = Country::Code(*b"US");
const KR: Country = Country::Code(*b"KR");

fn prefix(country: Country, text: &str) -> PrefixKey {
    let lineage = Lineage { country, asn: Some(Asn(64_500)), label: None, proof: Proof::Proven };
    PrefixKey { lineage, prefix: text.parse().unwrap(), reach: 24 }
}

/// What the clients of a prefix were given: answers, errors among them, and silence.
struct Given {
    answers: u64,
    errors: u64,
    unanswered: u32,
}

impl Given {
    const FINE: Self = Self { answers: 100, errors: 0, unanswered: 0 };
    const BAD: Self = Self { answers: 10, errors: 5, unanswered: 90 };

    fn cell(&self) -> Cell {
        let Self { answers, errors, unanswered } = *self;
        Cell {
            packets: 1_000,
            accesses: answers + u64::from(unanswered),
            responses: answers,
            server_errors: errors,
            unanswered,
            ..Cell::default()
        }
    }
}

/// The row that stands out: a prefix abroad that holds most of the traffic.
fn suspect(text: &str) -> Origin {
    Origin {
        place: Place::Prefix(text.parse().unwrap()),
        country: US,
        asn: Some(Asn(64_500)),
        example: "198.51.100.1".parse().unwrap(),
        foreign: Some(true),
        share: 0.9,
        traffic_share: 0.8,
        baseline_share: 0.0,
        rate: 100.0,
        sources: 50,
        proven: true,
        label: None,
    }
}

/// What is found where these prefixes were given that, of which `known` were there before.
fn found(rows: &[(PrefixKey, Given)], known: &[PrefixKey], timeline: &Timeline) -> Found {
    let mut window = Window::default();
    for (key, given) in rows {
        window.prefixes.insert(*key, given.cell());
    }
    let mut before = Before::default();
    for second in -900..0 {
        let prefixes = known.iter().map(|key| (*key, Cell { packets: 1, ..Cell::default() })).collect();
        before.learn(second, 1, &ScopeTick { prefixes, ..ScopeTick::default() });
    }
    Examination {
        window: &window,
        before: &before,
        habits: &Habits::default(),
        home: &Home::new(vec![KR]),
        origins: &[suspect("198.51.100.0/24")],
        timeline,
        own: &Counts::default(),
        sides: Sides::Both,
        is_forged: false,
        was_well: true,
        lacking: 0.0,
        seconds: 10.0,
    }
    .found()
}

fn health(rows: &[(PrefixKey, Given)], known: &[PrefixKey]) -> (Condition, Witnesses) {
    let health = found(rows, known, &Timeline::default()).health;
    (health.state, health.witnesses)
}

#[test]
fn a_floods_own_failures_are_no_testimony() {
    let (flood, people) = (prefix(US, "198.51.100.0/24"), prefix(KR, "211.34.0.0/24"));
    let rows = [(flood, Given::BAD), (people, Given::FINE)];
    assert_eq!(health(&rows, &[people]), (Condition::Ok, Witnesses::Known));
    let rows = [(flood, Given::FINE), (people, Given::BAD)];
    assert_eq!(health(&rows, &[people]), (Condition::Down, Witnesses::Known));
}

#[test]
fn the_best_witnesses_of_which_there_are_enough_are_asked() {
    let (flood, home) = (prefix(US, "198.51.100.0/24"), prefix(KR, "211.34.0.0/24"));
    let abroad = prefix(US, "192.0.2.0/24");
    let rows = || [(flood, Given::BAD), (home, Given::FINE), (abroad, Given::BAD)];
    assert_eq!(health(&rows(), &[abroad]), (Condition::Down, Witnesses::Known));
    assert_eq!(health(&rows(), &[]), (Condition::Ok, Witnesses::Home));
    let away = || [(flood, Given::BAD), (abroad, Given::FINE)];
    assert_eq!(health(&away(), &[]), (Condition::Ok, Witnesses::Unsuspected));
    assert_eq!(health(&[(flood, Given::BAD)], &[]), (Condition::Down, Witnesses::Everybody));
}

#[test]
fn one_exchange_in_ten_that_fails_hurts() {
    let people = prefix(KR, "211.34.0.0/24");
    let with = |errors| health(&[(people, Given { answers: 100, errors, unanswered: 0 })], &[people]).0;
    assert_eq!((with(9), with(10), with(50)), (Condition::Ok, Condition::Degraded, Condition::Down));
}

/// Seconds in which nobody gets an answer.
fn silent_for(seconds: i64) -> Timeline {
    let (usually, mut timeline) = (before(10), Timeline::default());
    let usual =
        Usual { before: &usually, wait: None, sides: Sides::Both, onset: crate::time::TickId::default() };
    (0..seconds).for_each(|second| timeline.take(at(second), &silent(10), &usual));
    timeline
}

#[test]
fn whoever_cannot_connect_is_counted_though_nobody_was_asked() {
    let people = prefix(KR, "211.34.0.0/24");
    let found = found(&[(people, Given::FINE)], &[people], &silent_for(30));
    assert_eq!(found.health.state, Condition::Down);
    assert!(found.health.since.is_some());
}

#[test]
fn without_an_exchange_nothing_is_known() {
    assert_eq!(health(&[], &[]), (Condition::Unknown, Witnesses::Everybody));
}

/// How bad it is where so many fail, for so many seconds, of a rule of level medium.
fn severity(failing: Option<f64>, down_for: u64, attacked: bool) -> Level {
    let state = match failing {
        None => Condition::Unknown,
        Some(ratio) if ratio >= 0.5 => Condition::Down,
        Some(ratio) if ratio >= 0.1 => Condition::Degraded,
        Some(_) => Condition::Ok,
    };
    let health = Health { state, failure_ratio: failing, witnesses: Witnesses::Known, since: None };
    let found = Found { health, is_slow: false, gives_up: false, was_well: true };
    let mut timeline = Timeline::default();
    timeline.down_for = down_for;
    found.severity(Level::Medium, &timeline, attacked)
}

#[test]
fn severity_follows_harm() {
    assert_eq!(severity(Some(0.6), 60, false), Level::Critical);
    assert_eq!(severity(Some(0.6), 59, false), Level::High, "a minute of it wakes somebody");
    assert_eq!(severity(Some(0.1), 0, false), Level::High);
    assert_eq!(severity(Some(0.05), 0, true), Level::Medium, "an attack that hurts nobody yet");
    assert_eq!(severity(Some(0.05), 0, false), Level::Low);
    assert_eq!(severity(None, 600, true), Level::Medium, "what cannot be measured is what the rule says");
}

#[test]
fn a_few_seconds_of_harm_are_a_restart_until_they_are_more() {
    let health =
        Health { state: Condition::Down, failure_ratio: Some(0.9), witnesses: Witnesses::Known, since: None };
    let found = Found { health, is_slow: false, gives_up: false, was_well: true };
    let level = |seconds, attacked| found.severity(Level::Medium, &silent_for(seconds), attacked);
    assert_eq!(level(3, false), Level::Low);
    assert_eq!(level(3, true), Level::Medium, "an attack is worth a look whatever it has done");
    assert_eq!(level(12, false), Level::High);
}

#[test]
fn answers_that_nobody_waits_for_are_harm() {
    let health = Health {
        state: Condition::Degraded,
        failure_ratio: Some(0.0),
        witnesses: Witnesses::Known,
        since: None,
    };
    let slow = |gives_up| Found { health, is_slow: true, gives_up, was_well: true };
    let level = |gives_up| slow(gives_up).severity(Level::Low, &Timeline::default(), false);
    assert_eq!((level(false), level(true)), (Level::Medium, Level::High));
    assert_eq!(slow(false).failing(), Some(0.3));
}
