//! `bongsu watch` in what may happen in a year: interfaces that go and come back, rules and configuration that change
//! while it runs, a service manager and a monitor that ask how it is.
//!
//! Without root or the tools to make a line of its own, it is not run.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use bongsu::capture::Beat;
use bongsu::synth::{Scenario, per_sec, secs};
use serde_json::Value;
use support::line::{Line, Watch};
use support::{
    WEB, bongsu, crowd_at_home, foreign_flood, last_stats, not_run, one_incident, origins, records, replay,
    write_with_beats, written,
};

/// A few seconds of ordinary traffic.
fn calm(seed: u64) -> Scenario {
    Scenario::new(seed).with(crowd_at_home(per_sec(20)).over(secs(2)))
}

fn is_notice(record: &Value, condition: &str, state: &str) -> bool {
    record["event_type"] == "notice" && record["condition"] == condition && record["state"] == state
}

#[test]
fn an_interface_that_is_deleted_and_made_anew_is_read_again() {
    let Some(line) = Line::new("back") else { return };
    let (_folder, capture) = written(&calm(61));
    let packets = calm(61).truth().unwrap().packets;
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::begin(&line, folder.path(), &["-s", WEB]);
    line.send(&capture);
    assert!(line.ip(&["link", "set", "v1", "down"]));
    watch.tells("the link is down", |record| is_notice(record, "link_down", "on"));
    assert!(line.ip(&["link", "set", "v1", "up"]));
    watch.tells("the link is up", |record| is_notice(record, "link_down", "off"));
    assert!(line.ip(&["link", "del", "v0"]));
    let lost = watch.tells("the interface is lost", |record| is_notice(record, "interface_lost", "on"));
    assert_eq!(lost["subject"], "v1");
    assert!(line.join());
    watch.tells("the interface is back", |record| is_notice(record, "interface_lost", "off"));
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let lost = records(&told).iter().filter(|record| is_notice(record, "interface_lost", "on")).count();
    assert_eq!((last_stats(&told)["packets"]["read"].as_u64(), lost), (Some(2 * packets), 1), "{told}");
}

#[test]
fn a_watch_waits_for_an_interface_that_is_not_there_yet() {
    let Some(line) = Line::new("wait") else { return };
    let folder = tempfile::tempdir().unwrap();
    assert!(line.ip(&["link", "del", "v0"]));
    let mut watch = Watch::begin(&line, folder.path(), &["-s", WEB, "--wait-for-interface"]);
    watch.tells("it is not there", |record| is_notice(record, "interface_lost", "on"));
    assert!(line.join());
    watch.tells("it is there", |record| is_notice(record, "interface_lost", "off"));
    watch.interrupt().exits(0);
}

#[test]
fn rules_and_configuration_are_read_anew_and_a_wrong_file_changes_nothing() {
    let Some(line) = Line::new("anew") else { return };
    let (_folder, capture) = written(&calm(62));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bongsu.yaml");
    let write = |text: &str| fs::write(&config, text).unwrap();
    let services = "services: [{name: web, addresses: [211.34.105.10], ports: [80]}]\n";
    write(&format!("home: [KR]\n{services}"));
    let more = ["-c", config.to_str().unwrap(), "--events", "alert,notice,stats,config"];
    let mut watch = Watch::begin(&line, folder.path(), &more);
    line.send(&capture);
    write("home: [KR]\nrulez: {}\n");
    let refused = watch.tells("it is wrong", |record| is_notice(record, "reload_failed", "on"));
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("bongsu.yaml:2:1") && message.contains("rules"), "{message}");
    write(&format!(
        "home: [KR, JP]\n{services}rules: {{foreign-concentration: {{when: {{share: {{gte: 41%}}}}}}}}\n"
    ));
    watch.signal("HUP");
    watch.tells("it is right again", |record| is_notice(record, "reload_failed", "off"));
    let told = watch.tells("what changed", |record| record["event_type"] == "config");
    let changes = told["changes"].as_array().unwrap();
    let change = |what: &str| changes.iter().find(|change| change["what"] == what).cloned().unwrap();
    assert_eq!((&change("home")["old"], &change("home")["new"]), (&"KR".into(), &"KR, JP".into()));
    let rule = change("rules.foreign-concentration");
    assert!(rule["old"].as_str().unwrap().contains("share ≥ 30 %"), "{rule}");
    assert!(rule["new"].as_str().unwrap().contains("share ≥ 41 %"), "{rule}");
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let packets = 2 * calm(62).truth().unwrap().packets;
    assert_eq!(last_stats(&told)["packets"]["read"], packets, "{told}");
}

#[test]
fn a_service_manager_and_a_monitor_are_told_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = bongsu()
        .args(["watch", "-i", "lo", "-f", "udp port 1", "-q", "-o"])
        .arg(folder.path().join("alerts.jsonl"))
        .args(["--http", &port.to_string()])
        .env("NOTIFY_SOCKET", &socket)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = || {
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    let hears = |what: &str| {
        while let Some(state) = said() {
            if state.lines().any(|line| line == what) {
                return true;
            }
        }
        false
    };
    if child.try_wait().unwrap().is_some() || !hears("READY=1") {
        let _ = child.kill();
        child.wait().unwrap();
        not_run("no rights to read lo");
        return;
    }
    assert!(hears("WATCHDOG=1"));
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(port).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {port}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/healthz").starts_with("HTTP/1.1 200"));
    assert!(ask("/readyz").contains(r#""ready":true"#));
    assert!(ask("/metrics").contains(r#"bongsu_interface_up{interface="lo"} 1.0"#));
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    };
    signal("-HUP");
    assert!(hears("RELOADING=1"));
    assert!(hears("READY=1"));
    signal("-TERM");
    assert!(hears("STOPPING=1"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_watch_keeps_one_capability_and_goes_on_as_the_user_it_is_told() {
    let Some(line) = Line::new("user") else { return };
    let folder = tempfile::tempdir().unwrap();
    // The user must reach the folder; that it cannot write there is the point.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open).unwrap();
    let (_folder, capture) = written(&calm(63));
    let mut watch = Watch::begin(&line, folder.path(), &["-s", WEB, "--user", "nobody"]);
    line.send(&capture);
    watch.signal("USR1");
    watch.tells("stats", |record| record["event_type"] == "stats");
    let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        (field("Uid:"), field("NoNewPrivs:"), field("Seccomp:")),
        ("65534".into(), "1".into(), "2".into())
    );
    // CAP_NET_RAW is number 13.
    assert_eq!(field("CapEff:"), "0000000000002000");
    for thread in fs::read_dir(format!("/proc/{}/task", watch.id())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("Uid:\t65534") && status.contains("Seccomp:\t2"), "{status}");
    }
    // It reads the interface again though it is nobody. What is in the ring of one that is deleted goes with it.
    std::thread::sleep(Duration::from_millis(500));
    assert!(line.ip(&["link", "del", "v0"]));
    watch.tells("it is lost", |record| is_notice(record, "interface_lost", "on"));
    assert!(line.join());
    watch.tells("it is back", |record| is_notice(record, "interface_lost", "off"));
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let packets = 2 * calm(63).truth().unwrap().packets;
    assert_eq!(last_stats(&told)["packets"]["read"], packets, "{told}");
}

#[test]
fn others_than_this_machine_are_served_with_a_token_only() {
    let refused = support::run(["watch", "-i", "lo", "--http", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--http-token"), "{}", refused.stderr);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "short\n").unwrap();
    let refused =
        support::run(["watch", "-i", "lo", "--http", "0.0.0.0:0", "--http-token", token.to_str().unwrap()]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("16 to 256") && !refused.stderr.contains("short"), "{}", refused.stderr);
}

#[test]
fn silence_while_an_interface_is_gone_is_no_silence_of_the_service() {
    let before = crowd_at_home(per_sec(20)).over(secs(200));
    let after = crowd_at_home(per_sec(20)).start(secs(260)).over(secs(60));
    let scenario = Scenario::new(64).with(before).with(after);
    let folder = tempfile::tempdir().unwrap();
    let told = |blind: bool| {
        let capture = folder.path().join(format!("{blind}.pcapng"));
        let gone = |second| (200..=260).contains(&second);
        let beat = |second| gone(second).then_some(Beat { blind: blind && second < 260, ..Beat::default() });
        write_with_beats(&scenario, &capture, beat);
        replay(&capture, &["-s", WEB, "--home", "KR"]).exits(0).alerts()
    };
    let silent = told(false);
    assert!(silent.iter().any(|alert| alert["alert"]["signature_id"] == 1061), "{silent:?}");
    assert_eq!(told(true), Vec::<Value>::new());
}

#[test]
fn what_is_left_out_under_load_leaves_the_flood_its_origins_for_any_number_of_workers() {
    let flood = foreign_flood(per_sec(80)).start(secs(40)).over(secs(20));
    let scenario = Scenario::new(65).with(crowd_at_home(per_sec(20)).over(secs(70))).with(flood);
    let folder = tempfile::tempdir().unwrap();
    let told = |shed: u8| {
        let capture = folder.path().join(format!("{shed}.pcapng"));
        let beat = |second| (second == 30).then_some(Beat { shed, ..Beat::default() });
        write_with_beats(&scenario, &capture, beat);
        let replay = |workers| replay(&capture, &["-s", WEB, "--home", "KR", "--workers", workers]).exits(0);
        let (one, three) = (replay("1"), replay("3"));
        assert_eq!(one.stdout, three.stdout);
        one.alerts()
    };
    let whole = told(0);
    assert!(whole.iter().all(|alert| alert["capture"]["shed"].is_null()));
    for step in [1, 2] {
        let shed = told(step);
        one_incident(&shed);
        let last = shed.last().unwrap();
        assert_eq!(last["capture"]["shed"], step);
        assert_eq!(origins(last), origins(whole.last().unwrap()));
        assert_eq!(last["sought"], Value::Array(Vec::new()), "paths are not read");
        let unseen = last["verdict"]["not_visible"].as_array().unwrap().iter();
        let shed = unseen.filter(|what| what.as_str().unwrap().contains("while packets are dropped"));
        assert_eq!(shed.count(), usize::from(step), "{last}");
    }
}

#[test]
fn what_is_muted_is_counted_and_told_in_the_end() {
    let flood = foreign_flood(per_sec(80)).start(secs(20)).over(secs(20));
    let scenario = Scenario::new(66).with(crowd_at_home(per_sec(20)).over(secs(60))).with(flood);
    let (folder, capture) = written(&scenario);
    let config = folder.path().join("bongsu.yaml");
    let told = |rule: &str, until: &str| {
        let mute =
            format!("mute: [{{name: drill, rule: {rule}, service: web, up_to: critical, until: {until}}}]\n");
        fs::write(&config, mute).unwrap();
        replay(&capture, &["-s", WEB, "--home", "KR", "-c", config.to_str().unwrap()]).exits(0)
    };
    let plain = told("load-drop", "2030-01-01T00:00:00Z");
    let alerts = plain.alerts();
    assert!(!alerts.is_empty());
    assert!(plain.stats()["withheld"].is_null());
    let rule = "foreign-concentration";
    let muted = told(rule, "2030-01-01T00:00:00Z");
    assert_eq!(muted.alerts(), Vec::<Value>::new());
    assert_eq!(muted.stats()["withheld"], alerts.len());
    let receipt = muted.records().into_iter().find(|record| is_notice(record, "muted", "off")).unwrap();
    let message = format!("{} alerts of {rule} at web were withheld by 'drill'", alerts.len());
    assert_eq!(receipt["message"], message);
    assert_eq!(told(rule, "2020-01-01T00:00:00Z").alert_lines(), plain.alert_lines(), "it has run out");
}

#[test]
fn an_incident_is_acknowledged_in_the_state_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    support::run(["ack", "0123456789abcdef", "--state", state]).exits(0);
    assert_eq!(fs::read_to_string(folder.path().join("acknowledged")).unwrap(), "0123456789abcdef\n");
    support::run(["ack", "../../etc/passwd", "--state", state]).exits(2);
    support::run(["ack", "0123456789abcdef"]).exits(2);
}

#[test]
fn a_check_names_all_that_is_missing_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (told, kept, state) = (path("none/alerts.jsonl"), path("deep/none/kept"), path("state"));
    let more = ["--check", "-o", &told, "-w", &kept, "--state", &state, "--user", "nobody-at-all"];
    let answer = support::run(["watch", "-i", "bongsu-none", "--http", "off"].iter().chain(&more));
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    for missing in ["bongsu-none", "nobody-at-all", "deep/none/kept"] {
        assert!(answer.stderr.contains(missing), "{missing}: {}", answer.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_told_after_services_have_changed_is_told_of_the_right_one() {
    let Some(line) = Line::new("names") else { return };
    let flood = foreign_flood(per_sec(80)).start(secs(5)).over(secs(6));
    let (_folder, capture) =
        written(&Scenario::new(67).with(crowd_at_home(per_sec(20)).over(secs(12))).with(flood));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bongsu.yaml");
    let service =
        |name: &str, address: &str| format!("{{name: {name}, addresses: [{address}], ports: [80]}}");
    let write = |services: &[String]| {
        fs::write(&config, format!("home: [KR]\nservices: [{}]\n", services.join(", "))).unwrap();
    };
    write(&[service("gone", "192.0.2.1"), service("old", "192.0.2.2")]);
    let more = ["-c", config.to_str().unwrap(), "--events", "alert,notice,stats,config"];
    let mut watch = Watch::begin(&line, folder.path(), &more);
    write(&[service("web", "211.34.105.10"), service("old", "192.0.2.2")]);
    watch.signal("HUP");
    let told = watch.tells("what changed", |record| record["event_type"] == "config");
    let changed: Vec<&Value> = told["changes"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    assert_eq!(changed, ["services.gone", "services.web"]);
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let alerts = support::alerts(&fs::read_to_string(&watch.told).unwrap());
    assert!(!alerts.is_empty());
    assert!(alerts.iter().all(|alert| alert["service"]["name"] == "web"), "{alerts:?}");
}

#[test]
fn a_mirror_of_one_direction_is_told_while_it_is_watched() {
    let Some(line) = Line::new("half") else { return };
    let (_folder, capture) = written(&Scenario::new(68).with(crowd_at_home(per_sec(60)).over(secs(6))));
    let folder = tempfile::tempdir().unwrap();
    let more = ["-s", WEB, "-f", "dst host 211.34.105.10", "--workers", "2"];
    let mut watch = Watch::begin(&line, folder.path(), &more);
    line.send(&capture);
    watch.signal("USR1");
    let is_half = |record: &Value| record["event_type"] == "stats" && record["capture"]["one_way"] == true;
    let told = watch.tells("one direction is missing", is_half);
    assert_eq!(told["capture"]["one_way_services"][0]["service"], "web", "{told}");
    watch.interrupt().exits(0);
}

#[test]
fn a_service_that_a_reload_names_keeps_its_address_in_records_of_flows() {
    let Some(line) = Line::new("veil") else { return };
    let (_folder, capture) = written(&calm(69));
    let folder = tempfile::tempdir().unwrap();
    let (config, key) = (folder.path().join("bongsu.yaml"), folder.path().join("key"));
    fs::write(&key, "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301").unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let write = |name: &str, address: &str| {
        let service = format!("{{name: {name}, addresses: [{address}], ports: [80]}}");
        fs::write(&config, format!("home: [KR]\npseudonymize: key\nservices: [{service}]\n")).unwrap();
    };
    write("old", "192.0.2.2");
    let more = ["-c", config.to_str().unwrap(), "--events", "flow,notice,stats,config", "--workers", "2"];
    let mut watch = Watch::begin(&line, folder.path(), &more);
    write("web", "211.34.105.10");
    watch.signal("HUP");
    watch.tells("what changed", |record| record["event_type"] == "config");
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = records(&fs::read_to_string(&watch.told).unwrap());
    let flows: Vec<&Value> = told.iter().filter(|record| record["event_type"] == "flow").collect();
    assert!(flows.len() > 20, "{}", flows.len());
    assert!(flows.iter().all(|flow| flow["dest_ip"] == "211.34.105.10"), "{:?}", flows[0]);
}
