//! What came first, the load or the failure.

use super::{at, before, served, silent};
use crate::aggregate::{Cell, Count, Lineage, ScopeTick, Sides};
use crate::attribute::{Country, LabelId};
use crate::detect::Before;
use crate::flow::Proof;
use crate::incident::timeline::{Timeline, Usual};

/// Seconds from 0 on, against ten a second before.
fn timeline(sides: Sides, seconds: impl IntoIterator<Item = ScopeTick>) -> Timeline {
    let before = before(10);
    let usual = Usual { before: &before, wait: Some(20_000.0), sides, onset: at(0) };
    let mut timeline = Timeline::default();
    for (second, tick) in (0..).zip(seconds) {
        timeline.take(at(second), &tick, &usual);
    }
    timeline
}

fn seconds(count: usize, of: impl Fn() -> ScopeTick) -> impl Iterator<Item = ScopeTick> {
    std::iter::repeat_with(of).take(count)
}

#[test]
fn an_ordinary_load_neither_rises_nor_breaks() {
    let quiet = timeline(Sides::Both, seconds(60, || served(10)));
    assert_eq!((quiet.rose, quiet.broke), (None, None));
    let peak = quiet.peak.unwrap();
    assert!((peak - 1.0).abs() < 0.1, "{peak}");
    assert_eq!(quiet.broke_ahead(), None);
}

#[test]
fn what_had_healed_before_the_onset_is_not_what_broke() {
    let before = before(10);
    let usual = Usual { before: &before, wait: Some(20_000.0), sides: Sides::Both, onset: at(40) };
    let mut timeline = Timeline::default();
    let story = seconds(5, || served(10)).chain(seconds(6, || silent(10))).chain(seconds(30, || served(10)));
    for (second, tick) in (0..).zip(story) {
        timeline.take(at(second), &tick, &usual);
    }
    assert_eq!((timeline.broke, timeline.load_when_broke), (None, None));
}

#[test]
fn a_restart_is_brief_and_an_outage_is_not() {
    let broken = |for_seconds| {
        let story = seconds(20, || served(10)).chain(seconds(for_seconds, || silent(10)));
        timeline(Sides::Both, story.chain(seconds(20, || served(10))))
    };
    assert!(!broken(0).is_brief(), "what never failed is not over soon");
    assert!([2, 4].map(broken).iter().all(|blip| blip.broke.is_some() && blip.is_brief()));
    assert!(!broken(10).is_brief());
}

#[test]
fn a_service_that_falls_silent_before_people_try_again_broke_first() {
    let story =
        seconds(20, || served(10)).chain(seconds(30, || silent(10))).chain(seconds(20, || silent(40)));
    let timeline = timeline(Sides::Both, story);
    let (broke, rose) = (timeline.broke.unwrap(), timeline.rose.unwrap());
    assert!((17..=23).contains(&broke.second), "{broke:?}");
    assert!((47..=53).contains(&rose.second), "{rose:?}");
    let ahead = timeline.broke_ahead().unwrap();
    assert!((24.0..=36.0).contains(&ahead), "{ahead}");
    assert!(timeline.load_when_broke.is_some_and(|load| load < 1.5), "{:?}", timeline.load_when_broke);
    assert!(timeline.shut_out().is_some_and(|part| part > 0.9), "{:?}", timeline.shut_out());
    assert!(timeline.down_for >= 40, "{}", timeline.down_for);
}

#[test]
fn a_service_that_is_pushed_over_broke_after_the_load_rose() {
    let story =
        seconds(20, || served(10)).chain(seconds(30, || served(40))).chain(seconds(20, || silent(40)));
    let timeline = timeline(Sides::Both, story);
    let ahead = timeline.broke_ahead().unwrap();
    assert!((-36.0..=-24.0).contains(&ahead), "{ahead}");
    assert!(timeline.load_when_broke.is_some_and(|load| load > 3.0), "{:?}", timeline.load_when_broke);
}

#[test]
fn what_breaks_under_a_load_that_it_has_borne_for_long_breaks_by_itself() {
    let breaks = |borne, load| {
        let story = seconds(20, || served(10)).chain(seconds(borne, || served(load)));
        timeline(Sides::Both, story.chain(seconds(20, || silent(load)))).broke_at_ease
    };
    assert!(breaks(60, 17));
    assert!(!breaks(15, 17), "it may have taken so long to tell");
    assert!(!breaks(60, 40), "four times as much wears a service out");
    let ramp = (100..220).map(|load| served(load / 10));
    let story = ramp.chain(seconds(20, || silent(22)));
    assert!(!timeline(Sides::Both, story).broke_at_ease, "it had borne less");
}

#[test]
fn a_service_that_breaks_and_is_left_alone_broke_without_any_load() {
    let story = seconds(20, || served(10)).chain(seconds(20, || silent(10)));
    assert_eq!(timeline(Sides::Both, story).broke_ahead(), Some(f64::INFINITY));
}

#[test]
fn answers_that_take_ten_times_as_long_break_it() {
    let slow = || {
        let mut tick = served(10);
        tick.counts[Count::FirstByteWait] = 10 * 400_000;
        tick
    };
    let story = seconds(20, || served(10)).chain(seconds(20, slow));
    assert!(timeline(Sides::Both, story).broke.is_some());
    let quick = || {
        let mut tick = served(10);
        tick.counts[Count::FirstByteWait] = 10 * 150_000;
        tick
    };
    let story = seconds(20, || served(10)).chain(seconds(20, quick));
    assert_eq!(timeline(Sides::Both, story).broke, None, "nobody notices a fifth of a second");
}

#[test]
fn where_one_direction_is_seen_nothing_fails() {
    let timeline = timeline(Sides::ToServer, seconds(60, || silent(10)));
    assert_eq!((timeline.broke, timeline.down_for), (None, 0));
}

#[test]
fn a_small_load_that_stays_doubled_has_risen_when_it_began_to() {
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &served(8)));
    let usual = Usual { before: &before, wait: None, sides: Sides::Both, onset: at(0) };
    let mut timeline = Timeline::default();
    let keep = |accesses| {
        let mut tick = served(accesses);
        (tick.counts[Count::Attempts], tick.counts[Count::Answered]) = (8, 8);
        tick
    };
    let story = seconds(40, || keep(8)).chain(seconds(40, || keep(15)));
    (0..).zip(story).for_each(|(second, tick)| timeline.take(at(second), &tick, &usual));
    let rose = timeline.rose.map(|tick| tick.second);
    assert!(rose.is_some_and(|second| (36..=44).contains(&second)), "{rose:?}");
}

#[test]
fn people_who_connect_again_for_each_request_are_no_load() {
    let kept = || {
        let mut tick = served(10);
        (tick.counts[Count::Attempts], tick.counts[Count::Answered]) = (2, 2);
        tick
    };
    let closing = || {
        let mut tick = silent(8);
        tick.counts[Count::Answered] = 8;
        tick
    };
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &kept()));
    let usual = Usual {
        before: &before,
        wait: Some(20_000.0),
        sides: Sides::Both,
        onset: crate::time::TickId::default(),
    };
    let mut timeline = Timeline::default();
    let story = seconds(20, kept).chain(seconds(20, closing));
    (0..).zip(story).for_each(|(second, tick)| timeline.take(at(second), &tick, &usual));
    assert_eq!(timeline.rose, None);
    assert!(timeline.peak.is_some_and(|peak| peak < 1.2), "{timeline:?}");
}

#[test]
fn programs_that_connect_at_once_among_people_who_keep_connections_push_before_they_break() {
    let tick = |(attempts, accesses, served_of_them): (u64, u64, u64), wait: u64| {
        let mut tick = served(served_of_them);
        (tick.counts[Count::Attempts], tick.counts[Count::Answered]) = (attempts, attempts);
        (tick.counts[Count::Accesses], tick.counts[Count::Requests]) = (accesses, accesses);
        tick.counts[Count::FirstByteWait] = served_of_them * wait;
        tick
    };
    let people = || tick((3, 15, 15), 20_000);
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &people()));
    let usual = Usual { before: &before, wait: Some(20_000.0), sides: Sides::Both, onset: at(0) };
    // Forty connect in one second and each asks once; answers are slow for seconds, and then all of them come back.
    let first = [tick((44, 36, 20), 20_000), tick((3, 19, 29), 500_000), tick((3, 15, 21), 500_000)];
    let story = seconds(20, people)
        .chain(first)
        .chain(seconds(6, people))
        .chain(seconds(20, || tick((35, 68, 32), 400_000)))
        .chain(seconds(20, || tick((68, 50, 2), 400_000)));
    let mut timeline = Timeline::default();
    (0..).zip(story).for_each(|(second, tick)| timeline.take(at(second), &tick, &usual));
    let rose = timeline.rose.map(|tick| tick.second);
    assert!(rose.is_some_and(|second| (17..=21).contains(&second)), "{rose:?}");
    assert!(timeline.broke_ahead().is_some_and(|ahead| ahead <= 0.0), "{timeline:?}");
    assert!(timeline.load_when_broke.is_some_and(|load| load > 1.5), "{timeline:?}");
}

#[test]
fn encrypted_requests_on_connections_that_stay_open_are_a_load() {
    let sealed = |packets: u64| {
        let mut tick = served(10);
        tick.counts[Count::Hellos] = 10;
        tick.counts[Count::Requests] = 0;
        tick.counts[Count::PacketsIn] = packets;
        tick
    };
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &sealed(100)));
    let usual =
        Usual { before: &before, wait: None, sides: Sides::Both, onset: crate::time::TickId::default() };
    let mut timeline = Timeline::default();
    (0..20).for_each(|second| timeline.take(at(second), &sealed(400), &usual));
    assert!(timeline.peak.is_some_and(|peak| peak > 3.5) && timeline.rose.is_some(), "{timeline:?}");
}

#[test]
fn encrypted_pages_that_never_come_break_it_though_hellos_are_answered() {
    let waiting = || {
        let mut tick = served(2);
        (tick.counts[Count::Hellos], tick.counts[Count::Requests]) = (2, 0);
        tick.counts[Count::Unanswered] = 2;
        tick
    };
    let story = seconds(20, || served(2)).chain(seconds(20, waiting));
    assert!(timeline(Sides::Both, story).broke.is_some());
}

#[test]
fn a_server_is_mute_only_while_nothing_at_all_is_answered() {
    let story = seconds(20, || served(10)).chain(seconds(30, || silent(10)));
    assert!(timeline(Sides::Both, story).mute_for >= 20);
    let late = (0..60).map(|second| if second % 6 == 0 { served(10) } else { silent(10) });
    assert!(timeline(Sides::Both, late).mute_for < 6, "answers come late, and come");
}

/// A second in which people and labelled clients connect and ask so often, and are answered.
fn with_labelled(people: u64, labelled: u64) -> ScopeTick {
    let row = |label, each| {
        let lineage = Lineage { country: Country::Unknown, asn: None, label, proof: Proof::Proven };
        (lineage, Cell { connections: each, accesses: each, packets: 5 * each, ..Cell::default() })
    };
    let networks = vec![row(None, people), row(Some(LabelId(0)), labelled)];
    ScopeTick { networks, ..served(people + labelled) }
}

#[test]
fn labelled_clients_that_come_more_often_push_nothing() {
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &with_labelled(10, 10)));
    let usual = Usual { before: &before, wait: Some(20_000.0), sides: Sides::Both, onset: at(0) };
    let after = |people, labelled| {
        let mut timeline = Timeline::default();
        let story =
            seconds(20, || with_labelled(10, 10)).chain(seconds(30, || with_labelled(people, labelled)));
        (0..).zip(story).for_each(|(second, tick)| timeline.take(at(second), &tick, &usual));
        (timeline.rose.is_some(), timeline.peak.unwrap())
    };
    let (rose, peak) = after(10, 200);
    assert!(!rose && peak < 1.1, "{peak}");
    let (rose, peak) = after(50, 200);
    assert!(rose && (2.5..3.5).contains(&peak), "{peak}");
}

#[test]
fn what_labelled_clients_slow_is_not_broken() {
    let mut before = Before::default();
    (-900..0).for_each(|second| before.learn(second, 1, &with_labelled(10, 10)));
    let usual = Usual { before: &before, wait: Some(20_000.0), sides: Sides::Both, onset: at(0) };
    let broke = |people, labelled| {
        let slow = |people, labelled| {
            let mut tick = with_labelled(people, labelled);
            tick.counts[Count::FirstByteWait] = (people + labelled) * 400_000;
            tick
        };
        let mut timeline = Timeline::default();
        let (busy, after) = (|| slow(people, labelled), || slow(10, 10));
        let story = seconds(20, || with_labelled(10, 10)).chain(seconds(20, busy)).chain(seconds(10, after));
        (0..).zip(story).for_each(|(second, tick)| timeline.take(at(second), &tick, &usual));
        timeline.broke.is_some()
    };
    assert!(broke(10, 10) && broke(40, 10));
    assert!(!broke(10, 40), "a test of how much it carries");
}
