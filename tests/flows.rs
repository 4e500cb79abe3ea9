//! Records of flows, requests and ClientHellos, as a user of `--events` sees them.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::collections::BTreeMap;

use bongsu::synth::{Scenario, Traffic, per_sec, secs};
use serde_json::Value;
use support::{Answer, WEB, crowd_at_home, replay, shared, web, written};

const ALL: [&str; 6] = ["-s", WEB, "--home", "KR", "--events", "flow,http,tls,stats"];

/// Requests and TLS from home, and forged SYNs, before a service; nobody else.
fn morning() -> Scenario {
    Scenario::new(3)
        .with(crowd_at_home(per_sec(20)).over(secs(10)))
        .with(crowd_at_home(per_sec(5)).over(secs(10)).tls(per_sec(5)))
        .with(Traffic::to(&web()).forged().syns(per_sec(50)).over(secs(10)))
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["event_type"] == kind).collect()
}

fn states(flows: &[&Value]) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for flow in flows {
        *states.entry(flow["conn_state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    states
}

fn told(more: &[&str]) -> Answer {
    let (_folder, capture) = written(&morning());
    replay(&capture, &[&ALL[..], more].concat()).exits(0)
}

#[test]
fn every_conversation_is_told_once() {
    let answer = told(&[]);
    let records = answer.records();
    let flows = of(&records, "flow");
    let states = states(&flows);
    assert_eq!(states.get("S1"), Some(&500), "a forged SYN and its answer each: {states:?}");
    assert!(states["SF"] > 50, "{states:?}");
    let packets: u64 = flows
        .iter()
        .flat_map(|flow| ["pkts_toserver", "pkts_toclient"].map(|side| flow["flow"][side].as_u64().unwrap()))
        .sum();
    assert_eq!(Some(packets), answer.stats()["packets"]["decoded"].as_u64(), "each packet is in one flow");
    for flow in &flows {
        assert!(flow["flow"]["start"].as_str() <= flow["flow"]["end"].as_str());
        assert!(flow["community_id"].as_str().unwrap().starts_with("1:"));
        assert_eq!(flow["proto"], "TCP");
    }
}

#[test]
fn requests_and_hellos_belong_to_their_flows() {
    let answer = told(&[]);
    let records = answer.records();
    let (flows, requests, hellos) = (of(&records, "flow"), of(&records, "http"), of(&records, "tls"));
    assert!(!requests.is_empty() && !hellos.is_empty());
    let asked: u64 = flows.iter().filter_map(|flow| flow["http"]["requests"].as_u64()).sum();
    assert_eq!(asked, requests.len() as u64);
    assert_eq!(flows.iter().filter(|flow| flow["tls"].is_object()).count(), hellos.len());
    let answered =
        requests.iter().filter(|request| request["http"]["status"] == 200 && request["ttfb_us"].is_u64());
    assert!(answered.count() > requests.len() / 2);
    assert!(requests.iter().all(|request| !request["http"]["url"].as_str().unwrap().contains('?')));
}

#[test]
fn kinds_that_are_not_asked_for_are_not_told() {
    let (_folder, capture) = written(&morning());
    let records = replay(&capture, &["-s", WEB, "--events", "tls"]).exits(0).records();
    assert!(!records.is_empty() && records.iter().all(|record| record["event_type"] == "tls"));
}

#[test]
fn alerts_do_not_depend_on_what_else_is_told() {
    let (_folder, capture) = written(&morning());
    let alerts = |events| {
        let answer = replay(&capture, &["-s", WEB, "--home", "KR", "--events", events]);
        answer.alert_lines().join("\n")
    };
    assert_eq!(alerts("alert"), alerts("alert,flow,http,tls"));
}

#[test]
fn any_number_of_workers_tells_the_same_bytes() {
    let (_folder, capture) = written(&morning());
    let told = |named: &[&str], workers| {
        let words = [named, &["--events", "alert,flow,http,tls", "--workers", workers]].concat();
        replay(&capture, &words).exits(0).stdout
    };
    for named in [&["-s", WEB][..], &[]] {
        let one = told(named, "1");
        assert!(one.lines().count() > 600);
        assert_eq!((&one, &one), (&told(named, "2"), &told(named, "4")));
    }
}

#[test]
fn hosts_without_a_service_are_told_too() {
    let (_folder, capture) = written(&morning());
    let records =
        replay(&capture, &["-s", "other=192.0.2.1:80", "--events", "flow,stats"]).exits(0).records();
    assert!(of(&records, "flow").len() > 500);
}

#[test]
fn the_specifications_community_ids_come_out() {
    let Some(folder) = shared("community-id") else { return };
    let baseline = std::fs::read_to_string(folder.join("expected/baseline_deflt.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&baseline).unwrap();
    let told = replay(&folder, &["--events", "flow"]).records();
    let has = |id: &Value| told.iter().any(|record| record["community_id"] == *id);
    // What is neither TCP, UDP, SCTP nor ICMP is no flow.
    let flows = rows.iter().filter(|row| [1, 6, 17, 58, 132].contains(&row["proto"].as_u64().unwrap()));
    for row in flows {
        assert!(has(&row["communityid"]), "{row}");
    }
}
