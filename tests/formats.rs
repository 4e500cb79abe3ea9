//! `--format`: the life of an incident in each shape, as a user gets it.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

#[path = "support/cef.rs"]
mod cef;
mod support;

use std::path::Path;

use bongsu::synth::{Scenario, per_sec, secs};
use cef::Cef;
use serde_json::Value;
use support::{WEB, crowd_at_home, foreign_flood, records, replay, run, written};

/// A flood that lasts long enough for a verdict to stand.
fn flooded() -> Scenario {
    let crowd = crowd_at_home(per_sec(20)).over(secs(110));
    Scenario::new(1).with(crowd).with(foreign_flood(per_sec(60)).over(secs(80)))
}

fn told(capture: &Path, format: &str) -> String {
    replay(capture, &["-s", WEB, "--home", "KR", "--format", format]).exits(0).stdout
}

/// What a value at a path is, in every record that has one.
fn all<'r>(records: &'r [Value], path: &str) -> Vec<&'r Value> {
    records.iter().filter_map(|record| record.pointer(path)).collect()
}

/// An incident opens first, closes last, and changes in between.
fn is_a_life(steps: &[&str], [open, update, close]: [&str; 3]) {
    assert_eq!((steps.first(), steps.last()), (Some(&open), Some(&close)), "{steps:?}");
    let between = steps.get(1..steps.len() - 1).unwrap();
    assert!(!between.is_empty() && between.iter().all(|step| *step == update), "{steps:?}");
}

#[test]
fn an_incident_is_the_same_in_every_shape() {
    let (_folder, capture) = written(&flooded());
    let eve = support::alerts(&told(&capture, "eve"));
    let ids = all(&eve, "/incident/id");

    let ecs = records(&told(&capture, "ecs"));
    let steps: Vec<&str> = all(&ecs, "/event/action").into_iter().filter_map(Value::as_str).collect();
    let (stats, steps) = steps.split_last().unwrap();
    is_a_life(steps, ["incident-open", "incident-update", "incident-close"]);
    assert_eq!((*stats, all(&ecs, "/bongsu/incident/id")), ("stats", ids.clone()));
    assert_eq!(all(&ecs, "/bongsu/verdict"), all(&eve, "/verdict"));

    let ocsf = records(&told(&capture, "ocsf"));
    let steps: Vec<&str> = all(&ocsf, "/activity_name").into_iter().filter_map(Value::as_str).collect();
    let (stats, steps) = steps.split_last().unwrap();
    is_a_life(steps, ["Create", "Update", "Close"]);
    assert_eq!((*stats, all(&ocsf, "/finding_info/uid")), ("stats", ids.clone()));

    let cef: Vec<Cef> = told(&capture, "cef").lines().map(|line| Cef::read(line).unwrap()).collect();
    let of = |key| cef.iter().filter_map(|line| line.get(key)).collect::<Vec<_>>();
    is_a_life(&of("cs2"), ["open", "update", "close"]);
    assert_eq!(of("externalId"), ids.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>());
    assert_eq!((cef.last().unwrap().header[3].as_str(), cef.last().unwrap().keys.len()), ("stats", 4));
}

#[test]
fn records_of_flows_are_refused_where_no_output_can_have_them() {
    let (folder, capture) = written(&flooded());
    let words = |more: &[&str]| {
        let capture = capture.to_str().unwrap();
        run([&["replay", capture, "--events", "alert,flow", "-o", "-", "--format", "cef"], more].concat())
    };
    let refused = words(&[]).exits(2);
    assert!(
        refused.stderr.contains("--events flow: such records are written in eve alone"),
        "{}",
        refused.stderr
    );
    let (config, kept) = (folder.path().join("c.yaml"), folder.path().join("flows.jsonl"));
    std::fs::write(&config, format!("sinks: [{{file: {{path: {}}}}}]\n", kept.display())).unwrap();
    let told = words(&["-c", config.to_str().unwrap()]).exits(0);
    assert!(told.stdout.lines().all(|line| line.starts_with("CEF:0|")));
    assert!(std::fs::read_to_string(kept).unwrap().contains("\"event_type\":\"flow\""));
}
