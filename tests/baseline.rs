//! What a user sees of baselines: `learn`, `--baseline`, and `baseline show|diff|forget`.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use bongsu::synth::{Scenario, Traffic, per_sec, secs};
use serde_json::Value;
use support::{ABROAD, AT_HOME, Answer, WEB, foreign_flood, run, web, write};

/// So many seconds of ordinary visitors, from `start` on.
fn ordinary(start: u64, length: u64) -> Scenario {
    Scenario::new(3)
        .with(visitors(AT_HOME[0], 15).start(secs(start)).over(secs(length)))
        .with(visitors(AT_HOME[1], 10).start(secs(start)).over(secs(length)))
        .with(visitors(ABROAD[0], 1).start(secs(start)).over(secs(length)))
}

fn visitors(from: &str, rate: u32) -> Traffic {
    Traffic::to(&web()).from(from).sources(40).requests(per_sec(rate))
}

fn written(scenario: &Scenario, folder: &Path) -> PathBuf {
    let capture = folder.join("made.pcapng");
    write(scenario, &capture);
    capture
}

fn learn(captures: &[&Path], file: &Path, more: &[&str]) -> Answer {
    let words = ["learn", "-q", "-s", WEB, "--home", "KR", "--baseline"].map(PathBuf::from);
    let captures = captures.iter().map(|capture| capture.to_path_buf());
    run(words.into_iter().chain([file.to_owned()]).chain(captures).chain(more.iter().map(PathBuf::from)))
}

fn shown(file: &Path) -> Value {
    let answer = run(["baseline".as_ref(), "show".as_ref(), file.as_os_str(), "--json".as_ref()]).exits(0);
    serde_json::from_str(&answer.stdout).unwrap()
}

#[test]
fn captures_are_learned_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let capture = written(&ordinary(0, 900), folder.path());
    let file = folder.path().join("web.baseline");
    let told = learn(&[&capture], &file, &[]).exits(0);
    assert!(told.stdout.contains("web      C1 (hours)"), "{}", told.stdout);
    let web = &shown(&file)["web"];
    let requests = web["levels"]["requests"]["now"].as_f64().unwrap();
    assert!((requests / 26.0 - 1.0).abs() < 0.1, "{requests}");
    assert_eq!(web["known_by_country"]["KR"], 2);
    assert!((web["foreign_share"].as_f64().unwrap() - 1.0 / 26.0).abs() < 0.02, "{web}");
    for workers in ["2", "4"] {
        let other = folder.path().join(workers);
        learn(&[&capture], &other, &["--workers", workers]).exits(0);
        assert_eq!(fs::read(&other).unwrap(), fs::read(&file).unwrap(), "{workers} workers");
    }
}

#[test]
fn an_attack_in_the_capture_is_not_learned() {
    let folder = tempfile::tempdir().unwrap();
    let flood = foreign_flood(per_sec(300)).start(secs(700)).over(secs(100));
    let capture = written(&ordinary(0, 900).with(flood), folder.path());
    let file = folder.path().join("web.baseline");
    learn(&[&capture], &file, &[]).exits(0);
    let web = &shown(&file)["web"];
    assert!(web["levels"]["requests"]["now"].as_f64().unwrap() < 40.0, "{web}");
    assert!(web["levels"]["requests"]["knee"].as_f64().unwrap() < 60.0, "{web}");
    assert!(web["span"]["seconds"].as_u64().unwrap() < 720, "{web}");
}

/// A replay of a capture, with or without what was learned, that closes one incident.
fn last_alert(capture: &Path, file: Option<&Path>) -> Value {
    let mut alerts = alerts_of(capture, file);
    assert!(!alerts.is_empty(), "an incident");
    alerts.remove(alerts.len() - 1)
}

fn alerts_of(capture: &Path, file: Option<&Path>) -> Vec<Value> {
    let mut more = vec!["-s", WEB, "--home", "KR"];
    if let Some(file) = file {
        more.extend(["--baseline", file.to_str().unwrap()]);
    }
    support::replay(capture, &more).exits(0).alerts()
}

#[test]
fn a_cold_capture_is_held_against_what_was_learned() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.baseline");
    let learned = written(&ordinary(0, 900), folder.path());
    learn(&[&learned], &file, &[]).exits(0);
    let flood = foreign_flood(per_sec(300)).start(secs(1_002)).over(secs(40));
    let cold = written(&ordinary(1_000, 90).with(flood), folder.path());
    let without = last_alert(&cold, None);
    assert_eq!(
        (&without["load"]["knee"], &without["but_for"][0]["within_knee"]),
        (&Value::Null, &Value::Null)
    );
    let with = last_alert(&cold, Some(&file));
    let load = |field: &str| with["load"][field].as_f64().unwrap_or(f64::NAN);
    assert!((load("baseline") / 26.0 - 1.0).abs() < 0.2, "{with}");
    assert!((20.0..60.0).contains(&load("knee")), "{with}");
    assert_eq!(with["but_for"][0]["within_knee"], true, "{with}");
    assert_eq!(with["health"]["cohort"], "clients from prefixes seen before, origins apart", "{with}");
    assert_eq!(with["verdict"]["label"], "attack", "{with}");
    let unseen = with["verdict"]["not_visible"].to_string();
    assert!(!unseen.contains("before"), "{unseen}");
}

#[test]
fn whoever_was_always_there_is_no_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.baseline");
    let partner = |rate, start, length| visitors(ABROAD[1], rate).start(secs(start)).over(secs(length));
    let learned = written(&ordinary(0, 700).with(partner(40, 0, 700)), folder.path());
    learn(&[&learned], &file, &[]).exits(0);
    let cold = written(&ordinary(1_000, 30).with(partner(60, 1_000, 30)), folder.path());
    assert!(!alerts_of(&cold, None).is_empty(), "two thirds come from one network abroad");
    assert_eq!(alerts_of(&cold, Some(&file)), Vec::<Value>::new());
}

#[test]
fn what_every_day_brings_at_this_hour_is_no_surge() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.baseline");
    let nine = |day: u64| DAY * day + NINE;
    let day = |day| visitors(AT_HOME[0], 32).start(secs(nine(day))).over(secs(780));
    for past in [0, 1] {
        let capture = written(&Scenario::new(past).with(day(past)), folder.path());
        learn(&[&capture], &file, &[]).exits(0);
    }
    let early = visitors(AT_HOME[0], 7).start(secs(nine(2) - 150)).over(secs(150));
    let morning = written(&Scenario::new(7).with(early).with(day(2).over(secs(60))), folder.path());
    // load-surge and its sister for many clients.
    let is_surge = |alert: &Value| [1060, 1064].iter().any(|sid| alert["alert"]["signature_id"] == *sid);
    let surges = |alerts: &[Value]| alerts.iter().any(is_surge);
    assert!(surges(&alerts_of(&morning, None)), "four times as many as the minute before");
    assert!(!surges(&alerts_of(&morning, Some(&file))), "as on every day");
}

const DAY: u64 = 86_400;

/// Seconds from the begin of a made story, 09:12 in Korea, to ten in the morning.
const NINE: u64 = 48 * 60;

#[test]
fn what_is_learned_later_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let begin = |name: &str, start| {
        fs::create_dir(at(name)).unwrap();
        written(&ordinary(start, 900), &at(name))
    };
    // A longer pause is an incident of its own, since the load has gone, and what comes with one is not learned.
    let (early, late) = (begin("early", 0), begin("late", 905));
    learn(&[&early], &at("apart"), &[]).exits(0);
    learn(&[&late], &at("apart"), &[]).exits(0);
    learn(&[&early, &late], &at("together"), &[]).exits(0);
    let (apart, together) = (&shown(&at("apart"))["web"], &shown(&at("together"))["web"]);
    assert_eq!(apart["known_prefixes"], together["known_prefixes"]);
    let seconds = |of: &Value| of["span"]["seconds"].as_f64().unwrap();
    assert!((seconds(apart) - seconds(together)).abs() <= 20.0, "{apart} {together}");
    let (one, other) = (at("apart"), at("together"));
    let diff =
        run(["baseline".as_ref(), "diff".as_ref(), one.as_os_str(), other.as_os_str()]).exits(0).stdout;
    assert!(!diff.contains("requests/s"), "{diff}");
}

#[test]
fn a_service_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let capture = written(&ordinary(0, 200), folder.path());
    let file = folder.path().join("web.baseline");
    learn(&[&capture], &file, &[]).exits(0);
    let forget = |name: &str| {
        run(["baseline".as_ref(), "forget".as_ref(), file.as_os_str(), "--service".as_ref(), name.as_ref()])
    };
    assert!(forget("wep").exits(2).stderr.contains("has learned web"));
    forget("web").exits(0);
    assert_eq!(shown(&file), serde_json::json!({}));
}

#[test]
fn a_replay_refuses_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let capture = written(&ordinary(0, 100), folder.path());
    let file = folder.path().join("web.baseline");
    learn(&[&capture], &file, &[]).exits(0);
    let replay = || {
        let words =
            ["replay".as_ref(), capture.as_os_str(), "-s".as_ref(), WEB.as_ref(), "--baseline".as_ref()];
        run(words.into_iter().chain([file.as_os_str()]))
    };
    replay().exits(0);
    let before = fs::read(&file).unwrap();
    let mut bytes = before.clone();
    bytes[before.len() / 2] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert!(replay().exits(2).stderr.contains("checksum"));
    assert!(learn(&[&capture], &file, &[]).exits(2).stderr.contains("--anew"));
    assert_eq!(fs::read(&file).unwrap(), bytes, "a damaged file stays as it is");
    learn(&[&capture], &file, &["--anew"]).exits(0);
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::remove_file(&file).unwrap();
    replay().exits(2);
}
