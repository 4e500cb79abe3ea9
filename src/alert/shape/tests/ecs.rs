//! ECS 8.17, as <https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html> lists its fields: only those that we
//! write, with the values that the schema allows and, of `event.type`, those that it expects in these categories.

use super::list::Is::*;
use super::list::Must::{No, Yes};
use super::list::{Field, wrong};
use super::*;

/// Base, ECS and observer fields, of which every document has the same.
const EVERY: [Field; 14] = [
    ("@timestamp", Date, Yes),
    ("ecs.version", OneOf(&["8.17.0"]), Yes),
    ("event.module", OneOf(&["bongsu"]), Yes),
    ("event.provider", OneOf(&["bongsu"]), Yes),
    ("event.action", Text, Yes),
    ("observer.vendor", OneOf(&["bongsu"]), Yes),
    ("observer.product", OneOf(&["bongsu"]), Yes),
    ("observer.type", OneOf(&["sensor"]), Yes),
    ("observer.name", OneOf(&["mirror-1"]), Yes),
    ("observer.version", OneOf(&[env!("CARGO_PKG_VERSION")]), Yes),
    ("bongsu", Own, Yes),
    // Expected in `network`: access, allowed, connection, denied, end, info, protocol, start; in `intrusion_detection`:
    // allowed, denied, info; in `configuration`: access, change, creation, deletion, info.
    ("event.type", SomeOf(&["info"]), Yes),
    ("message", Text, No),
    (
        "event.dataset",
        OneOf(&["bongsu.alert", "bongsu.stats", "bongsu.heartbeat", "bongsu.config", "bongsu.notice"]),
        Yes,
    ),
];

/// Fields of alerts.
const ALERT: [Field; 34] = [
    ("event.kind", OneOf(&["alert"]), Yes),
    ("event.category", SomeOf(&["intrusion_detection", "network"]), Yes),
    ("event.id", Text, Yes),
    ("event.code", Text, Yes),
    ("event.sequence", Whole, Yes),
    ("event.severity", NumberOf(&[21, 47, 73, 99]), Yes),
    ("event.start", Date, Yes),
    ("event.end", Date, No),
    ("event.duration", Whole, No),
    ("event.reason", Text, No),
    ("rule.id", Text, Yes),
    ("rule.name", Text, Yes),
    ("rule.version", Text, Yes),
    ("rule.category", Text, Yes),
    ("rule.ruleset", Text, Yes),
    ("service.name", Text, Yes),
    ("source.address", Text, No),
    ("source.ip", Ip, No),
    ("source.port", Within(0, 65_535), No),
    ("source.geo.country_iso_code", Text, No),
    ("source.as.number", Whole, No),
    ("source.as.organization.name", Text, No),
    ("destination.address", Text, No),
    ("destination.ip", Ip, No),
    ("destination.port", Within(0, 65_535), No),
    ("destination.geo.country_iso_code", Text, No),
    ("destination.as.number", Whole, No),
    ("destination.as.organization.name", Text, No),
    ("network.type", OneOf(&["ipv4", "ipv6"]), No),
    ("network.transport", OneOf(&["tcp", "udp", "icmp", "ipv6-icmp", "sctp"]), No),
    ("network.iana_number", Text, No),
    ("related.ip", Ips, No),
    ("message", Text, Yes),
    ("event.action", OneOf(&["incident-open", "incident-update", "incident-close"]), Yes),
];

/// Fields of what a sensor says of itself.
const SAID: [Field; 3] = [
    ("event.kind", OneOf(&["metric", "state"]), Yes),
    ("event.category", SomeOf(&["configuration"]), No),
    ("event.action", OneOf(&["stats", "heartbeat", "config"]), Yes),
];

/// What is wrong by both lists; of a field in both, the latter counts.
fn all_wrong(document: &Value, own: &[Field]) -> Vec<String> {
    let is_own = |path: &str| own.iter().any(|(known, _, _)| *known == path);
    let mut found = wrong(document, &EVERY);
    found.retain(|fault| !is_own(fault.split(' ').next().unwrap()));
    let mine = wrong(document, own);
    let is_every = |path: &str| EVERY.iter().any(|(known, _, _)| *known == path);
    found.extend(mine.into_iter().filter(|fault| {
        let path = fault.split(' ').next().unwrap();
        is_own(path) || !is_every(path) && !path.starts_with("bongsu")
    }));
    found
}

#[test]
fn alerts_follow_the_schema() {
    for incident in incidents() {
        let document = json_in(&record(&incident), Format::Ecs);
        assert_eq!(all_wrong(&document, &ALERT), [""; 0], "{document}");
        let eve: Value = serde_json::from_str(&record(&incident).line).unwrap();
        assert_eq!(document["@timestamp"], eve["timestamp"]);
        assert_eq!(document["event"]["start"], eve["incident"]["started"]);
        assert_eq!(document["event"].get("end").cloned().unwrap_or_default(), eve["incident"]["ended"]);
        assert_eq!(document["source"]["ip"], eve["src_ip"], "of one address, and of no prefix");
        assert_eq!(document["destination"]["port"], eve["dest_port"]);
        for own in ["verdict", "origins", "sought", "load", "health", "rules", "capture", "foreign"] {
            assert_eq!(document["bongsu"][own], eve[own], "{own}");
        }
    }
}

#[test]
fn what_a_sensor_says_follows_the_schema() {
    for record in of_the_sensor() {
        let document = json_in(&record, Format::Ecs);
        assert_eq!(all_wrong(&document, &SAID), [""; 0], "{document}");
        let eve: Value = serde_json::from_str(&record.line).unwrap();
        let own = &document["bongsu"][record.kind.word()];
        let fields = eve.as_object().unwrap().iter();
        for (name, value) in
            fields.filter(|(name, _)| !["timestamp", "event_type", "sensor"].contains(&name.as_str()))
        {
            assert_eq!(own[name], *value, "{name}");
        }
    }
}

#[test]
fn a_close_has_its_length_and_a_source_its_network() {
    let document = json_in(&record(&example::forged()), Format::Ecs);
    assert_eq!(document["event"]["duration"], 100_000_000_000_i64);
    assert!(document.get("source").is_none());
    let origins = rows()[2].clone();
    let document = json_in(&record(&Incident { origins, ..example::incident() }), Format::Ecs);
    assert_eq!(document["source"]["as"]["number"], 64_500);
    assert_eq!(document["source"]["as"]["organization"]["name"], "Example Net");
    assert_eq!(document["source"]["geo"]["country_iso_code"], "XX");
    assert_eq!(document["related"]["ip"], serde_json::json!(["198.51.100.7", "211.34.105.10"]));
}
