//! Scenarios: seconds of a service as the reducer hands them over, and what the baseline makes of them.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::aggregate::{Cell, Count, Lineage, PrefixKey};
use crate::attribute::{Asn, Country, LabelId};
use crate::detect::Before;
use crate::detect::rule::Measure;
use crate::flow::Proof;

/// A second in which so many requests came, each with its connection, the part `foreign` of them from abroad.
fn second_of(requests: f64, foreign: f64) -> ScopeTick {
    let cell = |requests: f64| {
        let requests = requests.round() as u64;
        Cell {
            packets: requests * 10,
            bytes: requests * 1_000,
            connections: requests,
            accesses: requests,
            requests,
            responses: requests,
            first_bytes: requests as u32,
            wait_us: requests * 20_000,
            ..Cell::default()
        }
    };
    let lineage = |code: &[u8; 2], asn| Lineage {
        country: Country::Code(*code),
        asn: Some(Asn(asn)),
        label: None,
        proof: Proof::Proven,
    };
    let mut tick = ScopeTick::default();
    let sums = cell(requests);
    for (count, sum) in [
        (Count::PacketsIn, sums.packets),
        (Count::BytesIn, sums.bytes),
        (Count::Opened, sums.connections),
        (Count::Requests, sums.requests),
        (Count::Accesses, sums.accesses),
        (Count::Responses, sums.responses),
        (Count::FirstBytes, sums.responses),
        (Count::FirstByteWait, sums.wait_us),
    ] {
        tick.counts[count] = sum;
    }
    tick.networks = vec![
        (lineage(b"KR", 1), cell(requests * (1.0 - foreign))),
        (lineage(b"US", 2), cell(requests * foreign)),
    ];
    tick
}

/// The same, with an answered client of a prefix.
fn second_with(requests: f64, prefix: Ipv4Addr) -> ScopeTick {
    let mut tick = second_of(requests, 0.0);
    if let Some((lineage, cell)) = tick.networks.first().copied() {
        let key = PrefixKey { lineage, prefix: known::prefix_of(IpAddr::from(prefix).into()), reach: 24 };
        tick.prefixes = vec![(key, cell)];
    }
    tick
}

fn baseline() -> Baseline {
    Baseline::default().brief(Home::new(vec![Country::Code(*b"KR")]), Vec::new())
}

fn at(second: i64) -> TickId {
    TickId { epoch: 0, second }
}

/// Scatter that is the same in every run: about a tenth either way.
fn rough(second: i64) -> f64 {
    let hash = second.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    1.0 + (hash as f64 / f64::from(1 << 24) - 0.5) * 0.3
}

fn run(baseline: &mut Baseline, seconds: std::ops::Range<i64>, requests: impl Fn(i64) -> f64) {
    for second in seconds {
        baseline.feed(at(second), Some(&second_of(requests(second) * rough(second), 0.02)));
    }
}

fn saved(baseline: &Baseline) -> String {
    serde_json::to_string(baseline).unwrap()
}

fn restored(text: &str) -> Baseline {
    let baseline: Baseline = serde_json::from_str(text).unwrap();
    baseline.brief(Home::new(vec![Country::Code(*b"KR")]), Vec::new())
}

const HOUR: i64 = 3_600;
/// A Thursday, 00:00 UTC, as all weeks of the epoch begin.
const BEGIN: i64 = 2_800 * WEEK;

#[test]
fn a_level_is_known_after_a_minute_and_a_bit() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + 60, |_| 40.0);
    assert_eq!(baseline.expected(Signal::Requests, Cohort::Whole, BEGIN + 60), None);
    run(&mut baseline, BEGIN + 60..BEGIN + 90, |_| 40.0);
    let expected = baseline.expected(Signal::Requests, Cohort::Whole, BEGIN + 90).unwrap();
    assert!((expected.mean / 400.0 - 1.0).abs() < 0.1, "{expected:?}");
    assert_eq!(baseline.stage(BEGIN + 90), Stage::Minutes);
    run(&mut baseline, BEGIN + 90..BEGIN + 700, |_| 40.0);
    assert_eq!(baseline.stage(BEGIN + 700), Stage::Hours);
    let share = baseline.expected(Signal::ForeignShare, Cohort::Whole, BEGIN + 700).unwrap();
    assert!((share.mean - 0.02).abs() < 0.02, "{share:?}");
    let time = baseline.expected(Signal::FirstByteTime, Cohort::Home, BEGIN + 700).unwrap();
    assert_eq!(time.mean, 20_000.0);
    assert!(baseline.z(Signal::FirstByteTime, Cohort::Home, 80_000.0, BEGIN + 700).unwrap() > 3.0);
    let abroad = baseline.level(Signal::Requests, Cohort::Foreign, BEGIN + 700).unwrap();
    assert!(abroad < 20.0, "{abroad}");
}

#[test]
fn a_slow_ramp_does_not_teach_the_attack() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + 2 * HOUR, |_| 40.0);
    let mut noticed = None;
    // Two in a hundred each minute: five times the level after 81 minutes.
    for minute in 0..=81_i64 {
        let from = BEGIN + 2 * HOUR + minute * 60;
        let requests = 40.0 * 1.02_f64.powi(i32::try_from(minute).unwrap());
        run(&mut baseline, from..from + 60, |_| requests);
        noticed = noticed.or(baseline.surge(Signal::Requests).map(|_| requests / 40.0));
    }
    let end = BEGIN + 2 * HOUR + 82 * 60;
    let level = baseline.level(Signal::Requests, Cohort::Whole, end).unwrap();
    assert!(2_000.0 / level >= 2.0, "the level went to {level}");
    let z = baseline.z(Signal::Requests, Cohort::Whole, 2_000.0, end).unwrap();
    assert!(z > 4.0, "{z}");
    assert!(noticed.is_some_and(|ratio| ratio < 3.5), "{noticed:?}");
}

#[test]
fn a_ramp_on_a_known_day_meets_the_season() {
    let mut baseline = baseline();
    for second in (BEGIN..BEGIN + 2 * DAY).step_by(10) {
        baseline.feed(at(second), Some(&second_of(400.0 * rough(second), 0.02)));
    }
    let ramp = |second: i64| 40.0 * (1.0 + 4.0 * (second - BEGIN - 2 * DAY) as f64 / HOUR as f64);
    run(&mut baseline, BEGIN + 2 * DAY..BEGIN + 2 * DAY + HOUR, ramp);
    let end = BEGIN + 2 * DAY + HOUR - 1;
    assert_eq!(baseline.stage(end), Stage::Days);
    let level = baseline.level(Signal::Requests, Cohort::Whole, end).unwrap();
    assert!((level / 400.0 - 1.0).abs() < 0.05, "{level}");
    assert!(baseline.z(Signal::Requests, Cohort::Whole, 2_000.0, end).unwrap() > 6.0);
    assert!(baseline.surge(Signal::Requests).is_some());
}

#[test]
fn a_week_of_days_and_nights_is_expected() {
    let mut baseline = baseline();
    let daily = |second: i64| 40.0 + 35.0 * (second as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    let mut surges = 0;
    // Twenty minutes of each hour, which are not quite its middle.
    for second in (BEGIN..BEGIN + 8 * DAY).step_by(10).filter(|second| second % HOUR < 1_200) {
        baseline.feed(at(second), Some(&second_of(daily(second) * rough(second) * 10.0, 0.02)));
        surges += usize::from(second > BEGIN + DAY && baseline.surge(Signal::Requests).is_some());
    }
    assert_eq!(surges, 0, "after the first day nothing surges");
    for hour in 0..24 {
        let second = BEGIN + 8 * DAY + hour * HOUR + HOUR / 2;
        assert_eq!(baseline.stage(second), Stage::Weeks);
        let level = baseline.level(Signal::Requests, Cohort::Whole, second).unwrap();
        let ratio = level / (daily(second) * 10.0);
        assert!((0.8..1.25).contains(&ratio), "hour {hour}: {ratio}");
    }
}

#[test]
fn an_incident_is_not_learned_nor_are_its_clients_known() {
    let (friend, foe) = (Ipv4Addr::new(203, 0, 113, 9), Ipv4Addr::new(198, 51, 100, 9));
    let mut baseline = baseline();
    for second in BEGIN..BEGIN + 1_000 {
        baseline.feed(at(second), Some(&second_with(40.0, friend)));
    }
    for second in BEGIN + 1_000..BEGIN + 2_000 {
        baseline.feed(at(second), Some(&second_with(4_000.0, foe)));
        if second == BEGIN + 1_040 {
            baseline.hold(BEGIN + 1_000);
        }
    }
    let end = BEGIN + 2_000;
    let level = baseline.level(Signal::Requests, Cohort::Whole, end).unwrap();
    assert!((level / 400.0 - 1.0).abs() < 0.05, "{level}");
    assert!(baseline.is_known(IpAddr::from(friend), BEGIN + 1_000));
    assert!(!baseline.is_known(IpAddr::from(foe), end + HOUR));
    baseline.release(end);
    for second in end..end + 400 {
        baseline.feed(at(second), Some(&second_with(40.0, friend)));
    }
    let after = baseline.level(Signal::Requests, Cohort::Whole, end + 400).unwrap();
    assert!((after / 400.0 - 1.0).abs() < 0.05, "{after}");
    assert!(baseline.knee(Signal::Requests).unwrap() < 50.0);
}

#[test]
fn a_client_is_known_five_minutes_after_its_first_answer() {
    let (early, late) = (Ipv4Addr::new(203, 0, 113, 9), Ipv4Addr::new(203, 0, 114, 9));
    let mut baseline = baseline();
    baseline.feed(at(BEGIN), Some(&second_with(1.0, early)));
    baseline.feed(at(BEGIN + 200), Some(&second_with(1.0, late)));
    assert!(!baseline.is_known(IpAddr::from(early), BEGIN + 299));
    assert!(baseline.is_known(IpAddr::from(early), BEGIN + 300));
    assert!(!baseline.is_known(IpAddr::from(late), BEGIN + 300));
    let neighbour: IpNet = "203.0.113.128/25".parse().unwrap();
    assert!(baseline.is_known(neighbour, BEGIN + 300));
    assert!(baseline.is_known_network(1, BEGIN + 300) && !baseline.is_known_network(3, BEGIN + 300));
}

#[test]
fn what_is_declared_or_lossy_is_not_learned() {
    let quiet = Quiet { from: at(BEGIN + 700).start(), to: at(BEGIN + 1_500).start() };
    let mut declared = baseline().brief(Home::default(), vec![quiet]);
    let mut lossy = baseline();
    for second in BEGIN..BEGIN + 1_500 {
        let is_off = second >= BEGIN + 700;
        let mut tick = second_of(if is_off { 400.0 } else { 40.0 }, 0.0);
        declared.feed(at(second), Some(&tick));
        tick.counts[Count::DataSeen] = 100;
        tick.counts[Count::DataMissed] = if is_off { 20 } else { 1 };
        lossy.feed(at(second), Some(&tick));
    }
    for baseline in [declared, lossy] {
        let span = baseline.span().unwrap();
        assert_eq!((span.from, span.until), (BEGIN, BEGIN + 699));
        assert!((baseline.level(Signal::Requests, Cohort::Whole, BEGIN).unwrap() - 400.0).abs() < 1.0);
    }
}

#[test]
fn seconds_before_the_recorder_tells_of_drops_are_not_learned() {
    let mut baseline = baseline();
    for second in BEGIN..BEGIN + 1_000 {
        baseline.feed(at(second), Some(&second_of(40.0, 0.0)));
        match second - BEGIN {
            700 => baseline.note_loss(0.01),
            800 => baseline.note_loss(0.2),
            _ => {}
        }
    }
    // All that ended a minute ago, without the ten seconds in which it was told and the twenty before.
    assert_eq!(baseline.span().map(|span| span.seconds), Some(930 - 30));
}

#[test]
fn a_restart_changes_nothing() {
    let daily = |second: i64| 40.0 + 20.0 * (second as f64 / 5_000.0).sin();
    let run = |restarts: &[i64]| {
        let mut baseline = baseline();
        for second in BEGIN..BEGIN + 3 * HOUR {
            if restarts.contains(&(second - BEGIN)) {
                let text = saved(&baseline);
                baseline = restored(&text);
                assert!(baseline.is_sound());
                assert_eq!(saved(&baseline), text);
            }
            match second - BEGIN {
                5_000 => baseline.hold(second - 30),
                5_600 => baseline.release(second),
                _ => {}
            }
            let prefix = Ipv4Addr::from_bits(u32::try_from(second.rem_euclid(7_000)).unwrap() << 8);
            baseline.feed(at(second), Some(&second_with(daily(second) * rough(second), prefix)));
        }
        saved(&baseline)
    };
    let whole = run(&[]);
    assert_eq!(run(&[1, 37, 605, 3_599, 5_003, 5_555, 7_201]), whole);
}

#[test]
fn a_second_split_by_a_restart_is_one_second() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + 100, |_| 40.0);
    baseline = restored(&saved(&baseline));
    run(&mut baseline, BEGIN + 99..BEGIN + 200, |_| 40.0);
    assert!(restored(&saved(&baseline)).is_sound());
    assert_eq!(baseline.span().map(|span| span.seconds), Some(130));
}

#[test]
fn two_halves_learned_apart_add_up() {
    let hours = |from: i64, to: i64, baseline: &mut Baseline| {
        for second in BEGIN + from * HOUR..BEGIN + to * HOUR {
            let requests = (40.0 + (second - BEGIN) as f64 / HOUR as f64) * rough(second);
            let prefix = Ipv4Addr::from_bits(u32::try_from(second.rem_euclid(5_000)).unwrap() << 8);
            baseline.feed(at(second), Some(&second_with(requests, prefix)));
        }
    };
    let [mut one, mut other, mut both] = [(); 3].map(|()| baseline());
    hours(0, 3, &mut one);
    hours(5, 9, &mut other);
    hours(0, 3, &mut both);
    hours(5, 9, &mut both);
    let mut turned = other.clone();
    turned.merge(one.clone());
    one.merge(other);
    assert_eq!(saved(&one), saved(&turned));
    assert_eq!(one.span(), both.span());
    assert!(one.acquaintances().eq(both.acquaintances()));
    assert_eq!(one.knee(Signal::Requests), both.knee(Signal::Requests));
    let (apart, together) =
        (one.hours(Signal::Requests, Cohort::Whole), both.hours(Signal::Requests, Cohort::Whole));
    assert_eq!(apart, together);
    assert!(apart.len() >= 6, "{apart:?}");
}

#[test]
fn a_minute_that_a_file_has_too_much_of_stays_a_minute() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + 150, |_| 40.0);
    let mut file: serde_json::Value = serde_json::from_str(&saved(&baseline)).unwrap();
    let seconds = &mut file["live"]["minute"]["sums"]["seconds"];
    assert!(seconds.as_u64().is_some_and(|seconds| seconds < 60), "{seconds}");
    *seconds = 90.into();
    let mut baseline = restored(&file.to_string());
    assert!(baseline.is_sound());
    run(&mut baseline, BEGIN + 150..BEGIN + 400, |_| 40.0);
    assert!(baseline.is_sound());
}

#[test]
fn silence_is_a_drop_first_and_no_level() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + 1_200, |_| 40.0);
    for second in BEGIN + 1_200..BEGIN + 1_250 {
        baseline.feed(at(second), None);
    }
    let lull = baseline.drop(Signal::Requests).unwrap();
    assert_eq!(lull.since, BEGIN + 1_200);
    let before = baseline.span().unwrap();
    for second in BEGIN + 1_250..BEGIN + 9_000 {
        baseline.feed(at(second), None);
    }
    let after = baseline.span().unwrap();
    assert_eq!((after.until, before.from), (BEGIN + 1_199, after.from));
    assert!(baseline.level(Signal::Requests, Cohort::Whole, BEGIN + 9_000).unwrap() > 350.0);
}

#[test]
fn a_short_silence_between_packets_is_learned() {
    let mut baseline = baseline();
    baseline.feed(at(BEGIN), Some(&second_of(60.0, 0.0)));
    baseline.feed(at(BEGIN + 300), Some(&second_of(60.0, 0.0)));
    baseline.feed(at(BEGIN + 400), None);
    assert_eq!(baseline.span().map(|span| span.until), Some(BEGIN + 309));
}

#[test]
fn what_labelled_clients_use_to_bring_is_learned_and_brought() {
    let mut learning = baseline();
    for second in BEGIN..BEGIN + 900 {
        let mut tick = second_of(40.0, 0.25);
        tick.networks[1].0.label = Some(LabelId(0));
        learning.feed(at(second), Some(&tick));
    }
    let mut before = Before::default();
    assert_eq!(before.labelled_rate(Measure::Accesses), 0.0);
    before.bring(restored(&saved(&learning)).usual(BEGIN + 900));
    let rate = |measure| before.labelled_rate(measure);
    assert!((rate(Measure::Accesses) - 10.0).abs() < 0.5, "{}", rate(Measure::Accesses));
    assert!((rate(Measure::Packets) - 100.0).abs() < 5.0, "{}", rate(Measure::Packets));
    assert_eq!(rate(Measure::Missing), 0.0);
}

#[test]
fn the_knee_is_what_was_carried_in_health() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + HOUR, |second| if second < BEGIN + 600 { 120.0 } else { 40.0 });
    for second in BEGIN + HOUR..BEGIN + 2 * HOUR {
        let mut failing = second_of(160.0, 0.0);
        failing.counts[Count::ServerErrors] = 80;
        baseline.feed(at(second), Some(&failing));
    }
    let knee = baseline.knee(Signal::Requests).unwrap();
    assert!((knee / 120.0 - 1.0).abs() < 0.05, "{knee}");
}

#[test]
fn numbers_that_nothing_teaches_are_not_sound() {
    let mut baseline = baseline();
    run(&mut baseline, BEGIN..BEGIN + 2 * HOUR, |_| 40.0);
    let text = saved(&baseline);
    assert!(restored(&text).is_sound());
    for (have, wrong) in [
        ("\"seconds\":60", "\"seconds\":4000000000"),
        ("\"drift\":", "\"drift\":9.5,\"was\":"),
        ("\"from\":1", "\"from\":99991"),
    ] {
        let hurt = text.replacen(have, wrong, 1);
        assert_ne!(hurt, text, "{have}");
        assert!(serde_json::from_str::<Baseline>(&hurt).is_ok_and(|read| !read.is_sound()), "{have}");
    }
}
