//! Configurations that are right, and those that are wrong: what the operator is told.

use std::path::Path;

use super::*;
use crate::attribute::Role;
use crate::detect::rule::Level;
use crate::sink::{Compression, Every, Rotation, SecretSource};
use proptest::prelude::*;

const RIGHT: &str = r#"
sensor: mirror-1
home: [KR]
services:
  - name: pps
    addresses: [211.34.105.10, "2001:220::10"]
    ports: [80, 443]
trusted_proxies: [10.0.0.0/28, "2001:db8::5/128"]
labels:
  - name: searchbot
    role: crawler
    prefixes: [66.249.64.0/19]
calendar:
  - name: patch night
    kind: maintenance
    services: [pps]
    from: 2023-11-22T02:00:00+09:00
    to:   2023-11-22T03:00:00+09:00
rules:
  foreign-concentration: {when: {share: {gte: 40%}}}
sinks:
  - file:    {path: alerts.jsonl, format: eve}
  - stdout:
  - syslog:  {to: "udp://127.0.0.1:514", min_severity: medium}
rule_files: [rules, /etc/bongsu/rules]
country_db: geo/country.mmdb
pseudonymize: keys/pseudonyms
timezone: Asia/Seoul
"#;

fn read(text: &str) -> Result<Config, String> {
    let source = Source::new("c.yaml", text);
    let (config, problems) = Config::read(&source, Path::new("/etc/site"));
    problems.or(config).map_err(|problems| problems.to_string())
}

/// The one problem of a text.
fn problem(text: &str) -> String {
    let problems = read(text).unwrap_err();
    assert_eq!(problems.lines().count(), 1, "{problems}");
    problems
}

#[test]
fn a_right_configuration_is_read_whole() {
    let config = read(RIGHT).unwrap();
    assert_eq!(config.sensor, "mirror-1");
    assert_eq!(config.home, [Country::Code(*b"KR")]);
    assert_eq!(
        (config.services[0].addresses.len(), config.services[0].ports.as_slice()),
        (2, &[80, 443][..])
    );
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.labels[0].role, Role::Crawler);
    assert_eq!(config.calendar[0].to.since(config.calendar[0].from).secs(), 3_600);
    assert_eq!(config.rules[0].id.text, "foreign-concentration");
    assert_eq!(config.sinks[1].to, SinkTo::Stdout);
    assert!(matches!(config.sinks[2], SinkConfig { min_severity: Level::Medium, .. }));
    assert_eq!(config.rule_files, [Path::new("/etc/site/rules"), Path::new("/etc/bongsu/rules")]);
    assert_eq!(config.country_db.as_deref(), Some(Path::new("/etc/site/geo/country.mmdb")));
    assert_eq!(config.pseudonymize.as_deref(), Some(Path::new("/etc/site/keys/pseudonyms")));
    assert!(config.timezone.is_some());
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "# nothing yet\n", "home:\nservices:\n"] {
        let config = read(text).unwrap();
        assert_eq!((config.sensor.as_str(), config.services.len()), ("bongsu", 0));
    }
}

#[test]
fn every_wrong_value_is_placed_and_explained() {
    let cases = [
        ("sensr: a\n", "c.yaml:1:1: unknown key 'sensr' of a configuration: expected one of sensor, home,"),
        ("sensr: a\n", "; did you mean 'sensor'?"),
        ("home: KR\n", "c.yaml:1:7: expected a list, found 'KR'; did you mean '[KR]'?"),
        ("home: [KOR]\n", "c.yaml:1:8: expected a country code of two letters such as KR, found 'KOR'"),
        ("services: [{name: a, addresses: [10.0.0.300], ports: [80]}]\n", "c.yaml:1:34: expected an address"),
        ("services: [{name: a, addresses: [10.0.0.1], ports: [0]}]\n", "c.yaml:1:53: expected a port from 1"),
        (
            "services: [{name: a, addresses: [10.0.0.1], ports: []}]\n",
            "c.yaml:1:52: expected at least one port",
        ),
        ("services: [{name: a, adresses: [10.0.0.1], ports: [1]}]\n", "c.yaml:1:22: unknown key 'adresses'"),
        ("services: [{name: a, adresses: [10.0.0.1], ports: [1]}]\n", "did you mean 'addresses'?"),
        ("services: [{name: a, ports: [1]}]\n", "c.yaml:1:12: missing key 'addresses' of a service"),
        (
            "labels: [{name: a, role: crawlr, prefixes: [10.0.0.0/8]}]\n",
            "c.yaml:1:26: expected a role (one of",
        ),
        ("labels: [{name: a, role: crawlr, prefixes: [10.0.0.0/8]}]\n", "did you mean 'crawler'?"),
        ("rules: [a]\n", "c.yaml:1:8: expected changes to rules by id (a mapping), found a list"),
        ("rules: {a: {levl: low}}\n", "c.yaml:1:13: unknown key 'levl' of changes to a rule"),
        ("rules: {a: {mode: of}}\n", "c.yaml:1:19: expected a mode (one of alert, observe, off), found 'of'"),
        ("sinks: [{flie: {path: a}}]\n", "c.yaml:1:10: unknown sink 'flie': expected one of file, stdout"),
        ("sinks: [{flie: {path: a}}]\n", "did you mean 'file'?"),
        (
            "sinks: [{webhook: {url: a}}]\n",
            "c.yaml:1:25: expected an address such as https://siem.example/hook, without a user",
        ),
        ("sinks: [{webhok: {url: a}}]\n", "did you mean 'webhook'?"),
        ("sinks: [{webhook: {url: 'http://a/', secret_file: a, secret_env: B}}]\n", "name two secrets"),
        ("sinks: [{webhook: {url: 'http://a/', timeout: 1h}}]\n", "a time from 100ms to 2m"),
        ("sinks: [{webhook: {secret_file: a}}]\n", "'url'"),
        ("sinks: [{syslog: {to: 'tcp://a:1', ca_file: a}}]\n", "'ca_file' is for a collector by TLS"),
        ("sinks: [{file: {path: a, rotate: {keep: 3}}}]\n", "expected 'size' or 'every'"),
        ("sinks: [{file: {path: a, rotate: {size: 3B}}}]\n", "a size of at least 1KiB"),
        ("sinks: [{file: {path: a, rotate: {every: dya}}}]\n", "did you mean 'day'?"),
        (
            "sinks: [{file: {path: a, format: xml}}]\n",
            "c.yaml:1:34: expected a format (one of eve, ecs, ocsf, cef)",
        ),
        ("sinks: [{file: {path: a, format: evee}}]\n", "did you mean 'eve'?"),
        ("sinks: [{syslog: {to: \"127.0.0.1:514\"}}]\n", "did you mean 'udp://127.0.0.1:514'?"),
        (
            "timezone: Asia/Seol\n",
            "c.yaml:1:11: expected a time zone such as Asia/Seoul or UTC, found 'Asia/Seol'",
        ),
        ("timezone: Asia/Seol\n", "did you mean 'Asia/Seoul'?"),
        ("- 1\n", "c.yaml:1:1: expected a configuration (a mapping), found a list"),
        ("home: [KR]\nhome: [US]\n", "c.yaml:2:1: key 'home' is given twice, first in line 1"),
        ("home: [KR\n", "c.yaml:"),
    ];
    for (text, expected) in cases {
        let problem = problem(text);
        assert!(problem.contains(expected), "{text}: {problem}\nexpected {expected}");
    }
}

#[test]
fn a_calendar_runs_forwards() {
    let event = |to: &str| {
        format!("calendar:\n- {{name: n, kind: event, from: 2023-11-22T02:00:00+09:00, to: {to}}}\n")
    };
    assert!(read(&event("2023-11-22T02:00:01+09:00")).is_ok());
    assert!(
        problem(&event("2023-11-22T02:00:00+09:00")).contains("c.yaml:2:63: expected a time after 'from'")
    );
    assert!(problem(&event("2023-11-22")).contains("c.yaml:2:63: expected a time such as"));
}

#[test]
fn names_differ() {
    let text = "services:\n  - {name: a, addresses: [10.0.0.1], ports: [1]}\n  - {name: a, addresses: [10.0.0.2], ports: [1]}\n";
    assert_eq!(problem(text), "c.yaml:3:12: service 'a' is named twice, first in line 2");
}

#[test]
fn all_problems_of_a_file_come_at_once() {
    let text = "sensr: a\nhome: [KOR]\ntimezone: Mars\nrules: {x: {level: hihg}}\n";
    let problems = read(text).unwrap_err();
    let lines: Vec<&str> = problems.lines().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!(lines, ["1", "2", "3", "4"]);
}

#[test]
fn problems_of_the_file_and_of_its_changes_to_rules_come_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, "home: [KOR]\nrules:\n  foreign-concentraton: {level: low}\n").unwrap();
    let problems = Config::load_with_rules(Some(&path), &[], Beside::Files(&[])).unwrap_err().to_string();
    assert!(problems.contains(":1:8: expected a country code"), "{problems}");
    assert!(problems.contains(":3:3: unknown rule 'foreign-concentraton'"), "{problems}");
    assert!(problems.ends_with("did you mean 'foreign-concentration'?"), "{problems}");
}

#[test]
fn one_number_of_a_shipped_rule_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, RIGHT.replace("rule_files: [rules, /etc/bongsu/rules]\n", "")).unwrap();
    let (_, set) = Config::load_with_rules(Some(&path), &[], Beside::Files(&[])).unwrap();
    let rule = set.get("foreign-concentration").unwrap();
    assert_eq!(
        rule.when.to_string(),
        "rate ≥ 10/s and share ≥ 40 % and lift ≥ 5× and (past ≥ 60 s or (past ≥ 3 s and rate ≥ 20/s) or rate ≥ 50/s)"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(source) = Source::from_bytes("c.yaml", bytes) {
            let (_, problems) = Config::read(&source, Path::new(""));
            let _ = problems.rendered();
        }
    }

    #[test]
    fn a_damaged_configuration_never_panics(at in 0..RIGHT.len(), letter in "[ \\t\\n:{}\\[\\]&*!|>'\"%#a0-]") {
        let mut text = RIGHT.to_owned();
        if text.is_char_boundary(at) {
            text.insert_str(at, &letter);
        }
        if let Err(problems) = read(&text) {
            prop_assert!(problems.starts_with("c.yaml:"), "{}", problems);
        }
    }
}

#[test]
fn a_large_file_full_of_mistakes_is_read_in_time() {
    let keys: String = (0..20_000).map(|number| format!("sensr{number}: [\n  KOR]\n")).collect();
    let (_, problems) = Config::read(&Source::new("c.yaml", &keys), Path::new(""));
    assert_eq!(problems.len(), 20_000);
    assert!(problems.rendered().ends_with("and 19900 more\n"));
}

#[test]
fn sinks_that_others_hear() {
    let text = "
state: /var/lib/bongsu
sinks:
  - file: {path: alerts.jsonl, rotate: {size: 100MiB, every: day, keep: 14, compress: zst}, min_severity: high}
  - syslog: {to: 'tls://siem.example:6514', ca_file: ca.pem}
  - webhook: {url: 'https://siem.example/hook?token=hunter2', secret_file: hook.key, timeout: 3s}
  - webhook: {url: 'http://127.0.0.1:8080/', secret_env: HOOK_KEY}
";
    let (config, problems) = Config::read(&Source::new("c.yaml", text), Path::new("/etc/bongsu"));
    assert_eq!(problems.to_string(), "");
    assert_eq!(config.state.as_deref(), Some(Path::new("/var/lib/bongsu")));
    let rotation =
        Rotation { size: Some(100 << 20), every: Some(Every::Day), keep: 14, compress: Compression::Zst };
    assert_eq!(config.sinks[0].to, SinkTo::File { path: "alerts.jsonl".into(), rotation: Some(rotation) });
    assert_eq!(config.sinks[0].min_severity, Level::High);
    let to = SyslogTarget::Tls { host: "siem.example".to_owned(), port: 6514 };
    assert_eq!(config.sinks[1].to, SinkTo::Syslog { to, ca_file: Some("/etc/bongsu/ca.pem".into()) });
    let SinkTo::Webhook(hook) = &config.sinks[2].to else { panic!("{:?}", config.sinks[2]) };
    assert_eq!(hook.secret, Some(SecretSource::File("/etc/bongsu/hook.key".into())));
    assert!(!format!("{config:?}").contains("hunter2"), "an address may hold a secret");
}
