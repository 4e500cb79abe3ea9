//! YAML: a configuration, rules, and the changes that the one makes to the other.

use std::path::Path;

use bongsu::attribute::Labels;
use bongsu::config::Config;
use bongsu::detect::rule::RuleSet;
use bongsu::document::Source;
use bongsu::service::Services;

/// The most that problems may say of a document, for each of its bytes and beyond a screenful for each that is told.
const MOST_TOLD: usize = 400_000;

/// Reads the bytes as a configuration and as rules.
pub fn run(bytes: &[u8]) {
    let source = match Source::from_bytes("hostile.yaml", bytes.to_vec()) {
        Ok(source) => source,
        Err(problem) => return assert!(!problem.to_string().is_empty()),
    };
    let (config, problems) = Config::read(&source, Path::new("folder"));
    assert!(problems.to_string().len() < MOST_TOLD, "{} bytes of problems", problems.to_string().len());
    let _ = (Services::new(config.services), Labels::new(config.labels));
    let mut shipped = RuleSet::builtin();
    if let Err(problems) = shipped.apply(&config.rules) {
        assert!(!problems.to_string().is_empty());
    }
    let (rules, problems) = RuleSet::read(std::slice::from_ref(&source));
    assert!(problems.to_string().len() < MOST_TOLD, "{} bytes of problems", problems.to_string().len());
    for rule in &rules.rules {
        assert_eq!(rules.get(&rule.id).map(|found| found.sid), Some(rule.sid), "one rule of an id");
    }
}

/// The shipped rules, and a configuration that says a little of everything.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        include_str!("../../../rules/foreign.yaml"),
        include_str!("../../../rules/flood.yaml"),
        include_str!("../../../rules/errors.yaml"),
        CONFIG,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "{? [a]: b, 'c': |-\n  text\n}\n---\n- second\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const CONFIG: &str = r#"
sensor: gate-2
home: [KR, "JP"]
services:
  - {name: front, addresses: [211.34.105.10, "2001:220::10"], ports: [80, 443]}
trusted_proxies: [10.0.0.0/28]
labels:
  - name: partner
    role: crawler
    prefixes: [198.51.100.0/24]
calendar:
  - {name: upgrade, kind: maintenance, services: [front], from: 2023-11-22T02:00:00+09:00, to: 2023-11-22T03:00:00Z}
rules:
  foreign-concentration: {when: {all: [{share: {gte: 40%, lt: 99.5%}}, {rate: {gt: 5/s}}]}}
  source-flood: {mode: off}
sinks:
  - file: {path: alerts.jsonl, format: eve}
  - stdout:
  - syslog: {to: "udp://127.0.0.1:514", min_severity: medium}
rule_files: &files [rules, /etc/rules]
country_db: country.mmdb
timezone: Asia/Seoul
extra: *files
"#;
