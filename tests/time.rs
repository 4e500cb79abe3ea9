//! What time does to incidents: sparse traffic, pulses with minutes between them, a clock that is set back.

#![allow(clippy::expect_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use bongsu::capture::Writer;
use bongsu::synth::{Scenario, SynthFrame, Traffic, per_sec, secs};
use bongsu::time::{Span, Timestamp};
use support::{Answer, one_incident, replay, web, written};

const SERVICE: [&str; 4] = ["-s", "web=211.34.105.10:80", "--home", "KR"];

/// A crowd at home, from the first second on.
fn crowd(length: Span) -> Traffic {
    Traffic::to(&web()).from("168.126.63.0/24").sources(50).requests(per_sec(10)).over(length)
}

/// Ten seconds of requests from one foreign prefix.
fn burst(start: Span) -> Traffic {
    Traffic::to(&web()).from("99.0.1.0/24").sources(20).requests(per_sec(60)).start(start).over(secs(10))
}

fn frames(scenario: &Scenario) -> Vec<SynthFrame> {
    scenario.frames().expect("a scenario without problems").collect()
}

/// Writes frames in the order they stand in, whatever their times.
fn write(frames: &[SynthFrame], path: &Path) {
    let mut writer = Writer::new(BufWriter::new(File::create(path).expect("a new file")));
    for frame in frames {
        writer.frame(&frame.as_frame()).expect("room on the disk");
    }
    writer.finish().expect("room on the disk");
}

fn answer(frames: &[SynthFrame]) -> Answer {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("capture.pcapng");
    write(frames, &capture);
    replay(&capture, &SERVICE).exits(0)
}

#[test]
fn a_packet_every_ninety_seconds_is_no_flood() {
    let syns = frames(&Scenario::new(1).with(Traffic::to(&web()).forged().syns(per_sec(50)).over(secs(30))));
    let sparse: Vec<SynthFrame> = syns
        .into_iter()
        .enumerate()
        .map(|(index, frame)| SynthFrame {
            time: Timestamp::from_secs(1_700_000_000 + 90 * index as i64),
            ..frame
        })
        .collect();
    let answer = answer(&sparse);
    assert_eq!(answer.alert_lines(), Vec::<&str>::new());
    let capture = &answer.stats()["capture"];
    assert_eq!(capture["late"], 0, "{capture}");
}

#[test]
fn what_lies_between_two_pulses_belongs_to_the_incident() {
    let pulses = Scenario::new(2).with(crowd(secs(560))).with(burst(secs(120))).with(burst(secs(320)));
    let (_folder, capture) = written(&pulses);
    let alerts = replay(&capture, &SERVICE).exits(0).alerts();
    let close = one_incident(&alerts).last().expect("a last line");
    // 210 s of the crowd and twice 600 requests; the first second may still be empty, and rules that look at 30 s see the
    // last burst for 30 s more.
    let total = close["load"]["total"].as_u64().expect("a total");
    assert!((3_200..=3_600).contains(&total), "{close}");
}

#[test]
fn a_clock_set_back_closes_the_incident_against_its_own_past() {
    let mut frames = frames(&Scenario::new(3).with(crowd(secs(130))).with(burst(secs(120))));
    let later = self::frames(&Scenario::new(4).with(crowd(secs(20))));
    let hour = Span::from_secs(3_600);
    frames.extend(later.into_iter().map(|frame| SynthFrame { time: frame.time - hour, ..frame }));
    let answer = answer(&frames);
    let alerts = answer.alerts();
    let close = one_incident(&alerts).last().expect("a last line");
    assert_eq!(close["incident"]["state"], "close");
    let before = close["load"]["baseline"].as_f64().expect("the level before");
    assert!((before - 10.0).abs() < 1.0, "{close}");
    assert_eq!(answer.stats()["capture"]["clock_steps"], 1);
}

#[test]
fn a_flood_beside_a_found_service_is_seen_whoever_else_knocks() {
    let flood = Traffic::to(&web()).forged().datagrams(per_sec(2_000)).port(9_999).source_port(53);
    let knock = Traffic::to(&web()).from("99.0.1.0/24").sources(1).syns(per_sec(1)).port(1).over(secs(120));
    let scenario =
        Scenario::new(5).with(crowd(secs(120))).with(knock).with(flood.start(secs(80)).over(secs(20)));
    let (_folder, capture) = written(&scenario);
    let alerts = replay(&capture, &["--home", "KR"]).exits(0).alerts();
    // A flood beside the service, and one of UDP.
    let signature = one_incident(&alerts)[0]["alert"]["signature_id"].as_u64();
    assert!(matches!(signature, Some(1011 | 1012)), "{signature:?}");
}
