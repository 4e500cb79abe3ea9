//! What is planned is told from what goes wrong: maintenance within its window wakes nobody, work that overruns does.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use bongsu::synth::{Scenario, per_sec, secs};
use serde_json::Value;
use support::{WEB, crowd_at_home, replay, written};

/// Visitors for five minutes, from 00:12:00 on, whom the service fails in a few words from the 100th second to the
/// 160th.
fn patched() -> Scenario {
    let visitors = |start, length| crowd_at_home(per_sec(20)).start(secs(start)).over(secs(length));
    let fails = visitors(100, 60).status(503).body(150, 250);
    Scenario::new(71).with(visitors(0, 100)).with(fails).with(visitors(160, 140))
}

/// What is told of it where the calendar of `service` has an entry of that kind from the 95th second to `until`.
fn told(service: &str, kind: &str, until: &str) -> Vec<Value> {
    let (folder, capture) = written(&patched());
    let config = folder.path().join("bongsu.yaml");
    let calendar = format!(
        "calendar:\n  - name: patch night\n    kind: {kind}\n    services: [{service}]\n    \
         from: 2023-11-23T00:13:35+00:00\n    to: 2023-11-23T{until}+00:00\n"
    );
    std::fs::write(&config, calendar).unwrap();
    let services = ["-s", WEB, "-s", "mail=211.34.105.11:25"];
    let more = ["--home", "KR", "-c", config.to_str().unwrap()];
    replay(&capture, &[&services[..], &more].concat()).exits(0).alerts()
}

/// When the first incident was detected.
fn detected(alerts: &[Value]) -> &str {
    alerts.first().and_then(|alert| alert["incident"]["detected"].as_str()).unwrap_or("never")
}

#[test]
fn what_fails_within_planned_work_wakes_nobody() {
    assert_eq!(told("web", "maintenance", "00:14:45"), Vec::<Value>::new());
}

#[test]
fn what_a_window_still_remembers_of_planned_work_wakes_nobody() {
    // The failures end with the work; every window that looks back holds them for a while longer.
    assert_eq!(told("web", "maintenance", "00:14:40"), Vec::<Value>::new());
}

#[test]
fn work_that_overruns_is_a_fault_from_its_planned_end_on() {
    let alerts = told("web", "maintenance", "00:14:00");
    let detected = detected(&alerts);
    assert!(("2023-11-23T00:14:00".."2023-11-23T00:14:40").contains(&detected), "{detected}");
    let last = alerts.last().unwrap();
    assert_eq!(last["verdict"]["label"], "glitch", "{last}");
}

#[test]
fn work_on_another_service_and_an_expected_crowd_excuse_no_fault() {
    for (service, kind) in [("mail", "maintenance"), ("web", "event")] {
        let alerts = told(service, kind, "00:14:45");
        let detected = detected(&alerts);
        assert!(("2023-11-23T00:13:40".."2023-11-23T00:13:59").contains(&detected), "{service}: {detected}");
    }
}
