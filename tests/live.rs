//! `bongsu watch` on one end of a veth pair while tcpreplay sends a capture into the other: no packet is lost, what was
//! kept replays to the same alert lines, and the incidents are those of the capture that was sent.
//!
//! Each test makes the pair in a network namespace of its own; without root, `ip` or tcpreplay it is not run.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use bongsu::synth::{Scenario, per_sec, secs};
use support::line::{Line, Watch};
use support::{
    WEB, alert_lines, alerts, crowd_at_home, foreign_flood, last_stats, one_incident, origins, replay,
    shared, written,
};

/// Watches while `capture` is sent, and compares with what replays say.
fn watch_and_compare(name: &str, capture: &Path, packets: u64, more: &[&str]) {
    let Some(line) = Line::new(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::begin(&line, folder.path(), more);
    line.send(capture);
    // The last packets cross the ring within its timeout of a fraction of a second.
    sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = std::fs::read_to_string(&watch.told).unwrap();
    let stats = last_stats(&told);
    let count = |field: &str| stats["packets"][field].as_u64();
    assert_eq!((count("read"), count("dropped_kernel")), (Some(packets), Some(0)), "{stats}");
    one_incident(&alerts(&told));
    let kept = replay(&watch.kept, more).exits(0);
    assert_eq!(kept.stats()["packets"]["read"], packets);
    assert_eq!(kept.alert_lines(), alert_lines(&told));
    // Sent anew the packets have times of their own, by which a verdict may be surer or less sure.
    let who = |alerts: &[serde_json::Value]| {
        alerts.last().map(|last| (last["service"]["name"].clone(), origins(last)))
    };
    assert_eq!(who(&replay(capture, more).exits(0).alerts()), who(&alerts(&told)));
}

#[test]
fn a_watch_tells_what_its_packets_and_the_capture_tell() {
    let scenario = Scenario::new(51)
        .with(crowd_at_home(per_sec(20)).over(secs(12)))
        .with(foreign_flood(per_sec(80)).start(secs(5)).over(secs(6)));
    let (_folder, capture) = written(&scenario);
    let packets = scenario.truth().unwrap().packets;
    watch_and_compare("made", &capture, packets, &["-s", WEB, "--home", "KR"]);
}

#[test]
fn a_watch_tells_of_others_captures_what_a_replay_tells() {
    let Some(capture) = shared("doup123/test.pcap") else { return };
    watch_and_compare("doup", &capture, 17_000, &["-s", "web=172.16.1.2:5000", "--home", "KR"]);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let answer = support::run(["watch", "-i", "bongsu-none"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stderr.contains("bongsu-none"), "{}", answer.stderr);
}
