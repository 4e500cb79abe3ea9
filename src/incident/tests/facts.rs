//! Sums since the onset in, numbers out: what is forged, who is shut out, what is lost.

use std::sync::Arc;

use super::{at, before, served, silent};
use crate::aggregate::{Count, Counts, Sides};
use crate::detect::rule::Evidence;
use crate::detect::{Before, SpanNeeds, Watched};
use crate::incident::facts::Facts;
use crate::incident::timeline::{Timeline, Usual};

/// Ten seconds of a service that had ten clients a second before; what moved on it, and what moved beside it.
fn told(own: &[(Count, u64)], beside: &[(Count, u64)], timeline: &Timeline) -> Vec<(Evidence, f64)> {
    told_since(None, own, beside, timeline)
}

/// The same of a service that was first seen in that second.
fn told_since(
    first: Option<i64>,
    own: &[(Count, u64)],
    beside: &[(Count, u64)],
    timeline: &Timeline,
) -> Vec<(Evidence, f64)> {
    told_against((&before(10), false), first, own, beside, timeline)
}

/// The same of a service that had this before, and whose clients are well or not.
fn told_against(
    (before, is_well): (&Before, bool),
    first: Option<i64>,
    own: &[(Count, u64)],
    beside: &[(Count, u64)],
    timeline: &Timeline,
) -> Vec<(Evidence, f64)> {
    let none: Arc<[SpanNeeds]> = Arc::from([]);
    let watched = Watched::new(&none);
    let sums = |list: &[(Count, u64)]| {
        let mut counts = Counts::default();
        list.iter().for_each(|(count, sum)| counts[*count] = *sum);
        counts
    };
    let (own, beside) = (sums(own), sums(beside));
    let facts = Facts {
        watched: &watched,
        before,
        timeline,
        own: &own,
        beside: &beside,
        seconds: 10.0,
        held: 0,
        drawn_out: 0,
        clients: clients_of(&own),
        replaced: 0.0,
        first: first.map(at),
        failing: Some(0.8),
        is_well,
    };
    facts.all(false).into_iter().map(|fact| (fact.evidence, fact.value)).collect()
}

fn value(facts: &[(Evidence, f64)], of: Evidence) -> Option<f64> {
    facts.iter().find(|(evidence, _)| *evidence == of).map(|(_, value)| *value)
}

/// A service that fell silent at its ordinary load.
fn fallen() -> Timeline {
    let (before, mut timeline) = (before(10), Timeline::default());
    let usual =
        Usual { before: &before, wait: None, sides: Sides::Both, onset: crate::time::TickId::default() };
    for second in 0..30 {
        timeline.take(at(second), &if second < 15 { served(10) } else { silent(10) }, &usual);
    }
    timeline
}

const FORGED: [(Count, u64); 4] = [
    (Count::Attempts, 20_000),
    (Count::Answered, 20_000),
    (Count::Unearned, 20_000),
    (Count::PacketsOut, 20_000),
];

#[test]
fn answered_and_never_completed_is_forged() {
    let facts = told(&FORGED, &[], &Timeline::default());
    assert_eq!(value(&facts, Evidence::HalfOpen), Some(1.0));
}

#[test]
fn forged_addresses_do_not_try_again_when_the_queue_is_full() {
    let full = [
        (Count::Attempts, 20_000),
        (Count::Answered, 500),
        (Count::Unearned, 20_100),
        (Count::PacketsOut, 500),
    ];
    assert_eq!(value(&told(&full, &[], &Timeline::default()), Evidence::HalfOpen), Some(1.0));
}

#[test]
fn clients_that_are_shut_out_try_again_and_are_no_flood() {
    let shut_out = [(Count::Attempts, 2_000), (Count::Answered, 0), (Count::Unearned, 6_000)];
    let facts = told(&shut_out, &[], &fallen());
    assert_eq!(value(&facts, Evidence::HalfOpen), None);
    assert_eq!(value(&facts, Evidence::Unanswered), Some(1.0));
    assert_eq!(value(&facts, Evidence::FailsUnloaded), Some(0.8));
}

#[test]
fn a_server_that_refuses_has_failed_however_often_people_try() {
    let refused =
        [(Count::Attempts, 2_000), (Count::Answered, 40), (Count::Refused, 1_900), (Count::Unearned, 6_000)];
    let facts = told(&refused, &[], &Timeline::default());
    assert_eq!(value(&facts, Evidence::Unanswered), Some(0.98));
}

#[test]
fn a_server_that_breaks_off_whatever_is_asked_has_failed() {
    let all = [(Count::Attempts, 300), (Count::Answered, 300), (Count::Opened, 300), (Count::Accesses, 310)];
    let broken = [&all[..], &[(Count::Resets, 300), (Count::FirstBytes, 5)]].concat();
    assert_eq!(value(&told(&broken, &[], &Timeline::default()), Evidence::Unanswered), Some(1.0));
    let busy = [&all[..], &[(Count::Resets, 200), (Count::FirstBytes, 110)]].concat();
    assert_eq!(value(&told(&busy, &[], &Timeline::default()), Evidence::Unanswered), None);
}

#[test]
fn attempts_that_a_full_server_leaves_out_were_not_left_open_by_their_senders() {
    let full = [
        (Count::Attempts, 2_000),
        (Count::Answered, 1_200),
        (Count::Opened, 1_190),
        (Count::Unearned, 2_600),
    ];
    assert_eq!(value(&told(&full, &[], &Timeline::default()), Evidence::HalfOpen), None);
}

#[test]
fn a_mirror_that_misses_packets_proves_no_fault() {
    let silence =
        [(Count::Attempts, 200), (Count::Answered, 20), (Count::Accesses, 20), (Count::Unearned, 600)];
    let lossy = [&silence[..], &[(Count::DataSeen, 900), (Count::DataMissed, 100)]].concat();
    let seen = told(&silence, &[], &fallen());
    for evidence in [Evidence::Unanswered, Evidence::FailsUnloaded, Evidence::Dropped, Evidence::BrokeFirst] {
        assert!(value(&seen, evidence).is_some(), "{evidence:?}");
        assert_eq!(value(&told(&lossy, &[], &fallen()), evidence), None, "{evidence:?}");
    }
}

/// One client for each two that asked.
fn clients_of(own: &Counts) -> usize {
    own[Count::Accesses] as usize / 2
}

#[test]
fn who_never_answered_anything_is_gone_and_who_takes_his_time_may_be_meant_to() {
    let unanswered_of = |clients: u64, first, served| {
        let own = [(Count::Accesses, 2 * clients), (Count::Unanswered, 55), (Count::FirstBytes, served)];
        value(&told_since(Some(first), &own, &[], &fallen()), Evidence::Unanswered)
    };
    let unanswered = |first, served| unanswered_of(30, first, served);
    assert_eq!(unanswered(8, 0), Some(1.0));
    assert_eq!(unanswered_of(4, 8, 0), None, "four may keep it from answering");
    assert_eq!(unanswered(8, 5), None);
    assert_eq!(unanswered(0, 0), None, "it was well, and other evidence tells");
}

#[test]
fn a_path_loses_segments_where_the_load_is_ordinary_or_chance() {
    let lost = |usual, accesses| {
        let own = [(Count::Accesses, accesses), (Count::SmallSent, 200), (Count::SmallResent, 60)];
        let facts = told_against((&before(usual), false), None, &own, &[], &Timeline::default());
        value(&facts, Evidence::PathLost)
    };
    assert_eq!(lost(10, 120), Some(0.3));
    assert_eq!(lost(10, 210), None);
    assert_eq!(lost(10, 180), Some(0.3), "who loses so much asks again");
    // Of one a second, thirty in ten seconds are a page with its files.
    assert_eq!(lost(1, 30), Some(0.3));
}

#[test]
fn some_bad_seconds_of_a_service_whose_clients_are_well_are_no_failure() {
    let broke_first = |is_well| {
        let facts = told_against((&before(10), is_well), None, &[(Count::Accesses, 100)], &[], &fallen());
        value(&facts, Evidence::BrokeFirst)
    };
    assert!(broke_first(false).is_some());
    assert_eq!(broke_first(true), None);
}

#[test]
fn what_fails_from_the_first_seconds_on_is_compared_with_nothing() {
    let late = [(Count::Accesses, 100), (Count::FirstBytes, 90), (Count::Late, 60)];
    let compared = [Evidence::FailsUnloaded, Evidence::LateUnloaded, Evidence::BrokeFirst];
    let (known, new) =
        (told_since(Some(0), &late, &[], &fallen()), told_since(Some(8), &late, &[], &fallen()));
    for evidence in compared {
        assert!(value(&known, evidence).is_some(), "{evidence:?}");
        assert_eq!(value(&new, evidence), None, "{evidence:?}");
    }
}

#[test]
fn errors_at_an_ordinary_load_are_the_services_own() {
    let some = [(Count::Accesses, 100), (Count::Responses, 100), (Count::ServerErrors, 12)];
    assert_eq!(value(&told(&some, &[], &Timeline::default()), Evidence::ErrorsUnloaded), Some(0.12));
    let pushed = [(Count::Accesses, 500), (Count::Responses, 500), (Count::ServerErrors, 60)];
    assert_eq!(value(&told(&pushed, &[], &Timeline::default()), Evidence::ErrorsUnloaded), None);
}

#[test]
fn a_rise_that_has_gone_again_does_not_make_a_service_fail_that_goes_on_failing() {
    let level = || {
        let mut tick = served(10);
        tick.counts[Count::PacketsIn] = 60;
        tick
    };
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &level()));
    let usual = Usual { before: &before, wait: None, sides: Sides::Both, onset: at(0) };
    let mut timeline = Timeline::default();
    for second in 0..30 {
        timeline.take(at(second), &if second < 15 { served(30) } else { silent(10) }, &usual);
    }
    let first = |accesses| {
        let counts = [Count::Attempts, Count::Answered, Count::Accesses];
        let own = [&counts.map(|count| (count, accesses))[..], &[(Count::PacketsIn, 6 * accesses)]].concat();
        value(&told_against((&before, false), None, &own, &[], &timeline), Evidence::LoadFirst)
    };
    assert!(first(200).is_some());
    assert_eq!(first(120), None);
}

#[test]
fn who_speaks_quic_floods_nobody() {
    let quic = [(Count::UdpIn, 50_000), (Count::Unearned, 900)];
    assert_eq!(value(&told(&quic, &[], &Timeline::default()), Evidence::Datagrams), None);
    let flood = [(Count::UdpIn, 50_000), (Count::Unearned, 49_000)];
    assert_eq!(value(&told(&flood, &[], &Timeline::default()), Evidence::Datagrams), Some(4_900.0));
}

#[test]
fn attempts_without_an_answer_say_nothing_of_the_service_in_a_forged_flood() {
    let facts = told(&FORGED, &[], &fallen());
    assert_eq!(value(&facts, Evidence::Unanswered), None);
}

#[test]
fn a_few_lost_handshakes_are_no_flood() {
    let lost = [(Count::Attempts, 200), (Count::Answered, 200), (Count::Opened, 150), (Count::Unearned, 50)];
    assert_eq!(value(&told(&lost, &[], &Timeline::default()), Evidence::HalfOpen), None);
}

#[test]
fn large_segments_lost_and_small_ones_not_is_a_fault_of_size() {
    let cut = [
        (Count::LargeSent, 1_000),
        (Count::LargeResent, 900),
        (Count::SmallSent, 1_000),
        (Count::SmallResent, 10),
    ];
    assert_eq!(value(&told(&cut, &[], &Timeline::default()), Evidence::LargeLost), Some(0.9));
    let congested = [
        (Count::LargeSent, 1_000),
        (Count::LargeResent, 300),
        (Count::SmallSent, 1_000),
        (Count::SmallResent, 250),
    ];
    assert_eq!(value(&told(&congested, &[], &Timeline::default()), Evidence::LargeLost), None);
}

#[test]
fn what_was_sent_beside_the_service_counts() {
    let beside = [(Count::UdpIn, 50_000), (Count::Reflected, 45_000)];
    let facts = told(&[], &beside, &Timeline::default());
    assert_eq!(value(&facts, Evidence::Datagrams), Some(5_000.0));
    assert_eq!(value(&facts, Evidence::Reflected), Some(0.9));
    let quiet = told(&[], &[(Count::UdpIn, 500)], &Timeline::default());
    assert_eq!(value(&quiet, Evidence::Datagrams), None);
}

#[test]
fn a_service_that_is_left_alone_has_dropped() {
    let facts = told(&[(Count::Accesses, 20)], &[], &Timeline::default());
    let dropped = value(&facts, Evidence::Dropped).unwrap();
    assert!((dropped - 0.8).abs() < 0.01, "{dropped}");
    let served = told(&[(Count::Accesses, 120)], &[], &Timeline::default());
    assert_eq!(value(&served, Evidence::Dropped), None);
}

#[test]
fn streams_that_are_opened_and_reset_are_told_from_a_person_who_leaves() {
    let rapid = [(Count::Http2Requests, 10_000), (Count::Http2Resets, 9_900)];
    assert_eq!(value(&told(&rapid, &[], &Timeline::default()), Evidence::Resets), Some(0.99));
    let leaves = [(Count::Http2Requests, 100), (Count::Http2Resets, 90)];
    assert_eq!(value(&told(&leaves, &[], &Timeline::default()), Evidence::Resets), None);
}

#[test]
fn segments_of_no_conversation_are_told_where_there_are_many_more_than_before() {
    let told_of =
        |count| value(&told(&[(Count::OutOfState, count)], &[], &Timeline::default()), Evidence::OutOfState);
    assert!(told_of(30_000).is_some_and(|rate| rate >= 1_000.0));
    assert_eq!(told_of(300), None);
}

#[test]
fn who_asked_before_and_leaves_behind_the_handshake_is_turned_away() {
    let told_of = |vain, hellos, accesses| {
        let counts = [(Count::BareHandshakes, vain), (Count::Hellos, hellos), (Count::Accesses, accesses)];
        value(&told(&counts, &[], &Timeline::default()), Evidence::TurnedAway)
    };
    assert!(told_of(90, 100, 100).is_some_and(|part| part > 0.8));
    // One in ten leaves as always; a flood of handshakes beside those who are served turns nobody away.
    assert_eq!(told_of(10, 100, 100), None);
    assert_eq!(told_of(900, 1_000, 1_100), None);
}
