//! What `bongsu replay` says of an attack from known ranges, of one with forged senders, of a crowd, and of traffic that
//! is only half seen: captures of others where they are, and our own of the same kinds.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use bongsu::synth::{HalfOpen, Scenario, Traffic, View, per_sec, secs};
use serde_json::{Value, json};
use support::{
    ABROAD, AT_HOME, Answer, WEB, bongsu, crowd_at_home, foreign_flood, is_balanced, one_incident, origins,
    replay, shared, web, written,
};

const HOME: [&str; 2] = ["--home", "KR"];

fn with_service<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["-s", WEB][..], more].concat()
}

/// The origins that two whole prefixes are named as.
fn two_prefixes() -> Vec<String> {
    let mut origins = ABROAD.map(|prefix| format!("prefix {prefix}")).to_vec();
    origins.sort();
    origins
}

/// A minute of people at home, and for 25 s of it three times as many requests from two prefixes abroad.
fn flood_over_crowd() -> Scenario {
    Scenario::new(1).with(crowd_at_home(per_sec(30))).with(foreign_flood(per_sec(90)))
}

fn text<'a>(alert: &'a Value, path: &str) -> &'a str {
    alert.pointer(path).and_then(Value::as_str).unwrap()
}

#[test]
fn five_prefixes_seen_from_one_side_are_named_exactly() {
    let Some(capture) = shared("doup123/test.pcap") else { return };
    let answer = replay(&capture, &["-s", "web=172.16.1.2:5000", "--home", "KR"]).exits(0);
    assert_eq!(answer.stats()["packets"]["read"], 17_000);
    let alerts = answer.alerts();
    for alert in one_incident(&alerts) {
        assert_eq!(alert["foreign"]["concentrated"], true);
        // Every packet of the capture comes from these five, and nothing else does.
        let five: Vec<String> = (1..=5).map(|third| format!("prefix 99.0.{third}.0/24")).collect();
        assert_eq!(origins(alert), five);
        for origin in alert["origins"].as_array().unwrap() {
            assert_eq!((&origin["asn"], &origin["country"]), (&json!(7018), &json!("US")));
            assert_eq!(origin["proven"], false, "the capture shows no answer");
        }
        let explained: f64 = alert["origins"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["traffic_share"].as_f64().unwrap())
            .sum();
        assert!(explained >= 0.95, "{explained}");
        assert!(text(alert, "/message").contains("AS7018"));
    }
}

#[test]
fn a_forged_flood_of_others_blames_nobody() {
    let Some(capture) = shared("stopddos/pkt.TCP.synflood.spoofed.pcap") else { return };
    let answer = replay(&capture, &["-s", "game=10.10.10.10:25565", "--home", "KR"]).exits(0);
    assert_eq!(answer.stats()["packets"]["read"], 37_841);
    let alerts = answer.alerts();
    one_incident(&alerts).iter().for_each(blames_nobody);
}

/// No origin, nothing concentrated, no country and no network in what a person reads.
fn blames_nobody(alert: &Value) {
    assert_eq!(alert["origins"], json!([]));
    assert_eq!(alert["foreign"]["concentrated"], false);
    for said in [text(alert, "/alert/signature"), text(alert, "/message")] {
        let names_one = |word: &str| {
            let capitals = word.chars().filter(char::is_ascii_uppercase).count();
            let is_country = word.len() == 2 && capitals == 2;
            let is_network = word.strip_prefix("AS").is_some_and(|number| number.parse::<u32>().is_ok());
            is_country || is_network
        };
        assert!(!said.split(|c: char| !c.is_alphanumeric()).any(names_one), "{said}");
    }
}

#[test]
fn a_forged_flood_of_others_stays_within_memory() {
    const LIMIT_KIB: u64 = 512 * 1024;
    let Some(capture) = shared("stopddos/pkt.TCP.synflood.spoofed.pcap") else { return };
    let most = peak_memory_kib(&capture, &["-s", "game=10.10.10.10:25565", "--home", "KR"]);
    println!("{} MiB at most", most / 1024);
    assert!(most > 0 && most < LIMIT_KIB, "{most} KiB");
}

/// The most memory resident while a capture is replayed, as the kernel counts it for the process.
///
/// The capture comes through standard input, of which the last byte waits until the count is read: then the process
/// has seen all and still lives.
fn peak_memory_kib(capture: &std::path::Path, more: &[&str]) -> u64 {
    use std::io::Write;
    let mut child = bongsu()
        .args(["replay", "-", "-o", "-"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = std::fs::read(capture).unwrap();
    let (last, first) = bytes.split_last().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(first).unwrap();
    let mut most = 0;
    // Reading ends when it has waited for more input ten looks in a row.
    let mut same = 0;
    while same < 10 {
        std::thread::sleep(Duration::from_millis(20));
        let now = high_water(child.id());
        same = if now == most { same + 1 } else { 0 };
        most = now;
    }
    input.write_all(&[*last]).unwrap();
    drop(input);
    let answer = Answer::of(child.wait_with_output().unwrap()).exits(0);
    assert!(is_balanced(&answer.stats()));
    most
}

fn high_water(process: u32) -> u64 {
    let mut status = String::new();
    std::fs::File::open(format!("/proc/{process}/status")).unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn captures_of_other_attacks_are_read_without_a_service() {
    let Some(folder) = shared("stopddos") else { return };
    for name in [
        "amp.TCP.syn.optionallyACK.optionallysamePort.pcapng",
        "amp.UDP.snmp.src161.pcapng",
        "amp.dns.RRSIG.fragmented.pcap",
    ] {
        replay(&folder.join(name), &[]).exits(0).stats();
    }
}

#[test]
fn a_foreign_flood_over_a_crowd_is_one_incident_with_its_prefixes() {
    let (_folder, capture) = written(&flood_over_crowd());
    let answer = replay(&capture, &with_service(&HOME)).exits(0);
    let alerts = answer.alerts();
    let lines = one_incident(&alerts);
    for alert in lines {
        assert_eq!(
            (&alert["foreign"]["concentrated"], &alert["service"]["name"]),
            (&json!(true), &json!("web"))
        );
    }
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!(origins(last), two_prefixes());
    for origin in last["origins"].as_array().unwrap() {
        assert_eq!(
            (&origin["country"], &origin["foreign"], &origin["proven"]),
            (&json!("US"), &json!(true), &json!(true))
        );
    }
    // The flood begins at 00:12:20 and is told within ten seconds.
    assert!(text(first, "/incident/started").starts_with("2023-11-23T00:12:2"), "{first}");
    assert!(text(first, "/incident/detected") <= "2023-11-23T00:12:30.000000+00:00", "{first}");
    assert!(last["sought"].as_array().unwrap().iter().any(|row| row["path"] == "/bid/notice"), "{last}");
}

#[test]
fn a_forged_flood_has_no_origin() {
    let flood = Traffic::to(&web()).forged().syns(per_sec(2_000)).start(secs(20)).over(secs(10));
    let (_folder, capture) = written(&Scenario::new(2).with(crowd_at_home(per_sec(20))).with(flood));
    let answer = replay(&capture, &with_service(&HOME)).exits(0);
    let alerts = answer.alerts();
    one_incident(&alerts).iter().for_each(blames_nobody);
    assert_eq!(alerts[0]["alert"]["signature_id"], 1010);
}

#[test]
fn a_crowd_at_home_is_no_incident() {
    let (_folder, capture) = written(&Scenario::new(3).with(crowd_at_home(per_sec(120))));
    let answer = replay(&capture, &with_service(&HOME)).exits(0);
    assert_eq!(answer.alert_lines(), Vec::<&str>::new());
    assert!(answer.stats()["flows"]["proven"].as_u64().unwrap() > 1_000);
}

#[test]
fn a_service_is_found_by_itself() {
    let (_folder, capture) = written(&flood_over_crowd());
    let answer = replay(&capture, &["--home", "KR", "--events", "alert,stats,config"]).exits(0);
    let alerts = answer.alerts();
    let last = one_incident(&alerts).last().unwrap();
    assert_eq!(
        (&last["service"]["address"], &last["service"]["port"]),
        (&json!("211.34.105.10"), &json!(80))
    );
    assert_eq!(origins(last), two_prefixes());
    assert_eq!(answer.stats()["services"], 1);
    let config = answer.records().into_iter().find(|record| record["event_type"] == "config").unwrap();
    assert!(config.to_string().contains("211.34.105.10"), "{config}");
}

/// A crowd, and one address that tries twenty other ports: every other one is refused, the others stay silent.
fn scan_beside_crowd() -> Scenario {
    let tries = |port: u16| {
        let answer = if port.is_multiple_of(2) { HalfOpen::Refused } else { HalfOpen::Unanswered };
        let part = Traffic::to(&web()).from("99.0.1.7").port(port).syns(per_sec(2)).half_open(answer);
        part.start(secs(20 + u64::from(port) % 10)).over(secs(3))
    };
    (1_000..1_020)
        .fold(Scenario::new(7).with(crowd_at_home(per_sec(20))), |scan, port| scan.with(tries(port)))
}

#[test]
fn a_port_scan_is_told_whether_its_service_is_named_or_found() {
    let (_folder, capture) = written(&scan_beside_crowd());
    let named = with_service(&["--workers", "1"]);
    for more in [&named[..], &["--workers", "1"], &["--workers", "3"]] {
        let alerts = replay(&capture, more).exits(0).alerts();
        let last = one_incident(&alerts).last().unwrap();
        let verdict = (&last["verdict"]["label"], &last["verdict"]["kind"]);
        assert_eq!(verdict, (&json!("scan"), &json!("port")), "{more:?}");
        assert_eq!(origins(last), ["source 99.0.1.7"], "{more:?}");
    }
}

#[test]
fn a_mirror_that_loses_one_direction_is_told_until_it_shows_both_again() {
    for (view, missing) in
        [(View::ClientSide, "what the service sends"), (View::ServerSide, "what clients send")]
    {
        let part = |start, length| crowd_at_home(per_sec(20)).start(secs(start)).over(secs(length));
        let scenario = Scenario::new(9).with(part(0, 60)).with(part(60, 40).seen(view)).with(part(100, 60));
        let (_folder, capture) = written(&scenario);
        let alerts = replay(&capture, &with_service(&HOME)).exits(0).alerts();
        let lines = one_incident(&alerts);
        for alert in lines {
            let verdict = (&alert["verdict"]["label"], &alert["verdict"]["kind"]);
            assert_eq!(verdict, (&json!("unknown"), &json!("sensor")));
            assert_eq!((text(alert, "/incident/severity"), &alert["origins"]), ("low", &json!([])));
        }
        // It begins at 00:13:00 and is over at 00:13:40.
        let (first, last) = (&lines[0], &lines[lines.len() - 1]);
        assert!(text(first, "/incident/detected") <= "2023-11-23T00:13:20.000000+00:00", "{first}");
        assert!(text(first, "/message").contains(missing), "{first}");
        assert!(text(last, "/incident/ended") <= "2023-11-23T00:13:55.000000+00:00", "{last}");
        assert!(text(last, "/message").contains("shows both again"), "{last}");
    }
}

/// Conversations over QUIC of clients at home beside those over TCP; none of them is answered any more from the third minute
/// on, and as many as `more` a second are tried then.
fn quic_falls_silent(more: u32) -> Scenario {
    let quic = |name: &str| {
        let part = Traffic::to(&web()).named(name).sources(200).initials(per_sec(4)).over(secs(120));
        AT_HOME.iter().fold(part, |part, prefix| part.from(prefix))
    };
    let silent = quic("silent").initials(per_sec(more)).half_open(HalfOpen::Unanswered);
    let people = crowd_at_home(per_sec(4)).over(secs(200));
    Scenario::new(7).with(people).with(quic("spoken")).with(silent.start(secs(120)).over(secs(80)))
}

#[test]
fn a_service_that_does_not_answer_over_quic_any_more_fails_by_itself() {
    for more in [4, 6] {
        let (_folder, capture) = written(&quic_falls_silent(more));
        let last = replay(&capture, &with_service(&[])).exits(0).alerts().pop().unwrap();
        let verdict = (&last["verdict"]["label"], &last["verdict"]["kind"]);
        assert_eq!(verdict, (&json!("glitch"), &json!("server")), "{more}: {last}");
        assert!(last["health"]["failure_ratio"].as_f64().unwrap() >= 0.4, "{more}: {}", last["health"]);
    }
}

#[test]
fn initials_that_are_many_more_than_ever_are_no_failure_of_the_service() {
    let (_folder, capture) = written(&quic_falls_silent(1_000));
    let last = replay(&capture, &with_service(&[])).exits(0).alerts().pop().unwrap();
    let verdict = (&last["verdict"]["label"], &last["verdict"]["kind"]);
    assert_eq!(verdict, (&json!("attack"), &json!("udp_flood")), "{last}");
}

#[test]
fn connections_on_which_nothing_is_asked_are_a_flood_of_them_from_few_and_from_many() {
    for prefixes in
        [&ABROAD[..1], &["99.0.1.0/24", "5.44.16.0/24", "2.16.20.0/24", "1.0.16.0/24", "41.0.0.0/24"]]
    {
        let flood = Traffic::to(&web()).named("flood").sources(100).connections(per_sec(100));
        let flood = prefixes.iter().fold(flood, |flood, prefix| flood.from(prefix));
        let people = crowd_at_home(per_sec(8)).over(secs(220));
        let (_folder, capture) =
            written(&Scenario::new(7).with(people).with(flood.start(secs(120)).over(secs(100))));
        let last = replay(&capture, &with_service(&HOME)).exits(0).alerts().pop().unwrap();
        let verdict = (&last["verdict"]["label"], &last["verdict"]["kind"]);
        assert_eq!(verdict, (&json!("attack"), &json!("connection_flood")), "{prefixes:?}: {last}");
        assert!(!last["origins"].as_array().unwrap().is_empty(), "{prefixes:?}");
    }
}

#[test]
fn nothing_to_find_is_said_and_no_failure() {
    let pings = Traffic::to(&web()).from(AT_HOME[0]).sources(5).pings(per_sec(5)).over(secs(5));
    let (_folder, capture) = written(&Scenario::new(4).with(pings));
    let answer = support::run(["replay", capture.to_str().unwrap()]).exits(0);
    assert!(
        answer.stdout.contains("no service") || answer.stdout.contains("No service"),
        "{}",
        answer.stdout
    );
}

#[test]
fn the_clients_side_alone_is_enough_and_proves_nothing() {
    let scenario = Scenario::new(5)
        .with(crowd_at_home(per_sec(30)).seen(View::ClientSide))
        .with(foreign_flood(per_sec(90)).seen(View::ClientSide));
    let (_folder, capture) = written(&scenario);
    let alerts = replay(&capture, &with_service(&HOME)).exits(0).alerts();
    let last = one_incident(&alerts).last().unwrap();
    assert_eq!(origins(last), two_prefixes());
    assert!(last["origins"].as_array().unwrap().iter().all(|origin| origin["proven"] == false), "{last}");
    assert_eq!(last["capture"]["one_way"], true);
}

#[test]
fn the_country_of_the_services_own_address_is_home() {
    let (_folder, capture) = written(&flood_over_crowd());
    let named = replay(&capture, &with_service(&HOME)).exits(0);
    let own = replay(&capture, &with_service(&[])).exits(0);
    assert_eq!(own.alert_lines(), named.alert_lines());
}

#[test]
fn without_a_home_nothing_is_called_foreign() {
    let private = bongsu::service::Service::parse("intra=10.0.0.5:80").unwrap();
    let crowd = Traffic::to(&private).from(AT_HOME[0]).sources(100).requests(per_sec(30)).over(secs(60));
    let flood = Traffic::to(&private).from(ABROAD[0]).requests(per_sec(90)).start(secs(20)).over(secs(25));
    let (_folder, capture) = written(&Scenario::new(6).with(crowd).with(flood));
    let answer = replay(&capture, &["-s", "intra=10.0.0.5:80"]).exits(0);
    let alerts = answer.alerts();
    for alert in one_incident(&alerts) {
        assert_eq!(alert["foreign"], Value::Null);
        assert!(!text(alert, "/message").contains("foreign"), "{alert}");
        let origins = alert["origins"].as_array().unwrap();
        assert!(!origins.is_empty() && origins.iter().all(|row| row["foreign"] != true), "{alert}");
    }
}
