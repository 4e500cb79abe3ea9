//! So many sources in one second that no table holds them: memory stays within its budget, and who floods the service in
//! the middle of it is still named.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::io::{BufWriter, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use bongsu::capture::Writer;
use bongsu::synth::{Close, Scenario, Traffic, millis, per_sec, secs};
use support::{ABROAD, WEB, alerts, bongsu, crowd_at_home, foreign_flood, last_stats, not_run, origins, web};

/// The memory that the program may hold.
const BUDGET_KIB: u64 = 512 * 1024;

/// People at home and a flood from two prefixes abroad; within one second of it as many `sources` from everywhere complete
/// a handshake, and in another as many send a SYN.
fn story(sources: u32) -> Scenario {
    let rate = || per_sec(f64::from(sources));
    // So near that the table of handshakes under way is not what decides: at a million a second it holds each for 30 ms.
    let passing = Traffic::to(&web()).from_anywhere().rtt(millis(1), millis(3)).start(secs(30)).over(secs(1));
    let forged = Traffic::to(&web()).forged().start(secs(36)).over(secs(1));
    Scenario::new(29)
        .with(crowd_at_home(per_sec(30)).over(secs(60)))
        .with(foreign_flood(per_sec(150)).start(secs(20)).over(secs(35)))
        .with(passing.connections(rate()).close(Close::LeftOpen))
        .with(forged.syns(rate()))
}

/// What came of a replay.
struct Held {
    records: String,
    peak_kib: Option<u64>,
}

/// Replays a story as it is made, and looks at the program's memory meanwhile.
fn replayed(story: &Scenario) -> Held {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records.jsonl");
    let mut child = bongsu()
        .args(["replay", "-", "-q", "--workers", "2", "-s", WEB, "--home", "KR", "-o"])
        .arg(&records)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut writer = Writer::new(BufWriter::with_capacity(1 << 20, child.stdin.take().unwrap()));
    let mut peak = None;
    for (at, frame) in story.frames().unwrap().enumerate() {
        writer.frame(&frame.as_frame()).unwrap();
        if at.is_multiple_of(1 << 14) {
            peak = peak.max(high_water(&child));
        }
    }
    writer.finish().unwrap().flush().unwrap();
    let status = loop {
        peak = peak.max(high_water(&child));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    assert!(status.success(), "{status}");
    Held { records: std::fs::read_to_string(records).unwrap(), peak_kib: peak }
}

/// The most memory that a process has held so far, where the system tells it.
fn high_water(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn assert_the_flood_is_named_within_the_budget(sources: u32) {
    let held = replayed(&story(sources));
    let flows = &last_stats(&held.records)["flows"];
    let count = |name: &str| flows[name].as_u64().unwrap();
    // Arrivals scatter about their rate.
    let least = u64::from(sources) * 9 / 10;
    assert!(count("proven") >= least && count("attempted") >= 2 * least, "{flows}");
    let alerts = alerts(&held.records);
    let last = alerts.last().unwrap();
    println!("{} sources: {:?} KiB, {}", sources, held.peak_kib, last["message"]);
    assert_eq!(last["incident"]["state"], "close");
    let named = origins(last);
    for prefix in ABROAD {
        assert!(named.contains(&format!("prefix {prefix}")), "{named:?}");
    }
    match held.peak_kib {
        Some(peak) => assert!(peak < BUDGET_KIB, "{peak} KiB"),
        None => not_run("this system tells no process's memory"),
    }
}

#[test]
fn a_flood_amid_forty_thousand_sources_is_named() {
    assert_the_flood_is_named_within_the_budget(40_000);
}

#[test]
#[ignore = "takes a minute or more: make crowds"]
fn a_flood_amid_a_million_sources_is_named() {
    assert_the_flood_is_named_within_the_budget(1_000_000);
}
