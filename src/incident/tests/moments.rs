//! When an incident began, and until when it went on.

use std::net::IpAddr;
use std::sync::Arc;

use super::{at, served, silent};
use crate::aggregate::{Cell, Count, Lineage, Probe, ProbedKey, ScopeTick, Tried};
use crate::attribute::Country;
use crate::detect::rule::{Observed, RuleSet};
use crate::detect::{Finding, Key, Seconds, SpanNeeds, Watched};
use crate::flow::Proof;
use crate::incident::activity::Activity;
use crate::incident::onset::{onset, pushed};

/// A service watched over such seconds.
fn watched(seconds: impl IntoIterator<Item = ScopeTick>) -> Watched {
    let none: Arc<[SpanNeeds]> = Arc::from([]);
    let mut watched = Watched::new(&none);
    for (second, own) in (0..).zip(seconds) {
        watched.advance(at(second), Some(Seconds { beside: own.clone(), own }));
    }
    watched
}

/// So many seconds in which so many are served.
fn busy(seconds: usize, each: u64) -> impl Iterator<Item = ScopeTick> {
    std::iter::repeat_with(move || served(each)).take(seconds)
}

/// What a rule finds in that second: so much a second, held against so much before.
fn found(rule: &str, key: Key, second: i64, (rate, before): (f64, f64)) -> Finding {
    let rules = RuleSet::builtin();
    let rule = rules.rules.iter().find(|have| have.id == rule).unwrap();
    let observed = Observed { rate, before, ..Observed::default() };
    Finding { rule: Arc::new(rule.clone()), key, parts: Vec::new(), tick: at(second), observed, opens: true }
}

#[test]
fn a_rise_begins_after_the_seconds_that_it_was_held_against_though_none_is_learned() {
    let watched = watched(busy(40, 15).chain(busy(10, 60)));
    let surge = found("load-surge", Key::Service, 49, (50.0, 15.0));
    assert_eq!(onset(&surge, &watched), at(40));
}

#[test]
fn what_pushed_a_service_over_is_no_chance() {
    let broken = |rate, story: Vec<ScopeTick>| {
        let last = story.len() as i64 - 1;
        let failing = found("connections-ignored", Key::Service, last, (rate, 0.0));
        pushed(&failing, at(last - 5), &watched(story))
    };
    let none = || std::iter::repeat_with(|| silent(4)).take(5);
    let crowd = busy(200, 10).chain(busy(20, 40)).chain(none()).collect();
    let from = broken(10.0, crowd).second;
    assert!((195..=205).contains(&from), "{from}");
    // Three in two seconds where there was one in each: twice in a quarter of a minute by chance.
    let few = busy(30, 1).chain(busy(10, 3)).chain(busy(20, 1)).chain(none()).collect();
    assert_eq!(broken(4.0, few), at(59));
}

/// Until when it went on, of what was found in second 20 and in no other.
fn until(finding: &Finding, watched: &Watched) -> i64 {
    let mut activity = Activity::new(finding.tick);
    activity.note(std::slice::from_ref(finding));
    activity.follow(watched, watched.now(), &[]);
    activity.last.second
}

#[test]
fn a_service_that_refuses_goes_on_refusing_without_a_finding() {
    let refusing = |each| {
        let mut tick = silent(each);
        tick.counts[Count::Refused] = each;
        tick
    };
    let story = busy(11, 10).chain((0..10).map(|_| refusing(10))).chain((0..10).map(|_| refusing(1)));
    let watched = watched(story.chain(busy(20, 10)));
    assert_eq!(until(&found("connections-refused", Key::Service, 20, (9.0, 0.0)), &watched), 30);
}

#[test]
fn an_ordinary_load_is_no_crowd_that_goes_on() {
    let watched = watched(busy(11, 10).chain(busy(10, 50)).chain(busy(20, 10)));
    assert_eq!(until(&found("load-surge", Key::Service, 20, (50.0, 10.0)), &watched), 20);
}

#[test]
fn a_few_who_wait_are_no_overload_that_goes_on() {
    let waiting = |milliseconds: u64| {
        let mut tick = served(20);
        tick.counts[Count::FirstByteWait] = milliseconds * 1_000;
        tick
    };
    let story = (0..11).map(|_| waiting(1_000)).chain((0..10).map(|_| waiting(20_000)));
    let until = |after| {
        let after = (0..20).map(|second| waiting(if second == 15 { after } else { 1_000 }));
        until(
            &found("clients-wait", Key::Service, 20, (20_000.0, 1_000.0)),
            &watched(story.clone().chain(after)),
        )
    };
    assert_eq!(until(3_000), 20, "three times as long is chance");
    assert_eq!(until(12_000), 40);
}

#[test]
fn a_page_with_its_files_is_no_flood_that_goes_on() {
    let from = |accesses| {
        let country = Country::Code(*b"US");
        let lineage = Lineage { country, asn: None, label: None, proof: Proof::Proven };
        let cell = Cell { accesses, ..Cell::default() };
        ScopeTick { networks: vec![(lineage, cell)], ..served(10) }
    };
    let until = |after: [u64; 10]| {
        let story = busy(11, 10).chain((0..10).map(|_| from(50))).chain(after.map(from)).chain(busy(20, 10));
        let flood = found("foreign-concentration", Key::Country(Country::Code(*b"US")), 20, (50.0, 0.1));
        until(&flood, &watched(story))
    };
    assert_eq!(until([0; 10]), 20);
    assert_eq!(until([0, 0, 0, 0, 0, 0, 0, 12, 0, 0]), 20);
    assert_eq!(until([6; 10]), 30, "a tenth of it is");
}

#[test]
fn ports_are_tried_from_the_first_to_the_last() {
    let [source, host] = ["99.0.1.7", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
    let trying = |tried| {
        let probe = Probe { attempts: 1, ..Probe::default() };
        ScopeTick { probed: vec![(ProbedKey { source, tried }, probe)], ..served(10) }
    };
    let lasted = |rule, tried: fn(IpAddr, u16) -> Tried| {
        let story = busy(11, 10).chain((0..25).map(|port| trying(tried(host, port)))).chain(busy(10, 10));
        let (watched, scan) = (watched(story), found(rule, Key::Source(source), 20, (1.0, 0.0)));
        (onset(&scan, &watched).second, until(&scan, &watched))
    };
    assert_eq!(lasted("port-scan", Tried::Port), (11, 35));
    assert_eq!(lasted("udp-scan", Tried::Datagram), (11, 35));
    assert_eq!(lasted("udp-scan", Tried::Port), (20, 20), "those are other tries");
}
