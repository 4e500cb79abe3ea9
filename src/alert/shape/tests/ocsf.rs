//! OCSF 1.7, class Detection Finding, as <https://schema.ocsf.io/1.7.0/classes/detection_finding> and the pages of its
//! objects list their attributes: only those that we write, with their types and the values of their enumerations.

use super::list::Is::*;
use super::list::Must::{No, Yes};
use super::list::{Field, wrong};
use super::*;

const FINDING: [Field; 78] = [
    ("activity_id", NumberOf(&[1, 2, 3]), Yes),
    ("activity_name", OneOf(&["Create", "Update", "Close"]), Yes),
    ("category_uid", NumberOf(&[2]), Yes),
    ("category_name", OneOf(&["Findings"]), Yes),
    ("class_uid", NumberOf(&[2004]), Yes),
    ("class_name", OneOf(&["Detection Finding"]), Yes),
    ("type_uid", NumberOf(&[200_401, 200_402, 200_403]), Yes),
    ("type_name", Text, Yes),
    ("severity_id", NumberOf(&[2, 3, 4, 5]), Yes),
    ("severity", OneOf(&["Low", "Medium", "High", "Critical"]), Yes),
    ("time", Whole, Yes),
    ("timezone_offset", NumberOf(&[540]), Yes),
    ("start_time", Whole, Yes),
    ("end_time", Whole, No),
    ("duration", Whole, No),
    ("message", Text, Yes),
    ("status_id", NumberOf(&[1, 99]), Yes),
    ("status", OneOf(&["New", "Ended"]), Yes),
    ("is_alert", Truth, Yes),
    ("confidence_id", NumberOf(&[1, 2, 3]), Yes),
    ("confidence", OneOf(&["Low", "Medium", "High"]), Yes),
    ("confidence_score", Within(0, 100), Yes),
    ("unmapped", Own, Yes),
    ("metadata.version", OneOf(&["1.7.0"]), Yes),
    ("metadata.product.uid", Text, Yes),
    ("metadata.product.name", Text, Yes),
    ("metadata.product.vendor_name", Text, Yes),
    ("metadata.product.version", Text, Yes),
    ("metadata.log_name", Text, Yes),
    ("metadata.log_provider", Text, Yes),
    ("metadata.reporter.name", OneOf(&["mirror-1"]), Yes),
    ("metadata.uid", Text, Yes),
    ("metadata.correlation_uid", Text, Yes),
    ("metadata.event_code", Text, Yes),
    ("metadata.sequence", Whole, Yes),
    ("finding_info.uid", Text, Yes),
    ("finding_info.title", Text, Yes),
    ("finding_info.desc", Text, Yes),
    ("finding_info.types", Texts, Yes),
    ("finding_info.created_time", Whole, Yes),
    ("finding_info.modified_time", Whole, Yes),
    ("finding_info.first_seen_time", Whole, Yes),
    ("finding_info.last_seen_time", Whole, Yes),
    ("finding_info.analytic.type_id", NumberOf(&[1]), Yes),
    ("finding_info.analytic.type", OneOf(&["Rule"]), Yes),
    ("finding_info.analytic.uid", Text, Yes),
    ("finding_info.analytic.name", Text, Yes),
    ("finding_info.analytic.version", Text, Yes),
    ("finding_info.analytic.category", Text, Yes),
    ("finding_info.related_analytics[].type_id", NumberOf(&[1]), No),
    ("finding_info.related_analytics[].type", OneOf(&["Rule"]), No),
    ("finding_info.related_analytics[].uid", Text, No),
    ("finding_info.related_analytics[].name", Text, No),
    ("finding_info.related_analytics[].version", Text, No),
    ("resources[].name", Text, Yes),
    ("resources[].type", Text, Yes),
    ("resources[].ip", Ip, No),
    ("resources[].role_id", NumberOf(&[3]), Yes),
    ("resources[].role", OneOf(&["Affected"]), Yes),
    ("evidences[].src_endpoint.ip", Ip, No),
    ("evidences[].src_endpoint.name", Text, No),
    ("evidences[].src_endpoint.location.country", Text, No),
    ("evidences[].src_endpoint.autonomous_system.number", Whole, No),
    ("evidences[].src_endpoint.autonomous_system.name", Text, No),
    ("evidences[].dst_endpoint.ip", Ip, No),
    ("evidences[].dst_endpoint.port", Within(0, 65_535), No),
    ("evidences[].dst_endpoint.svc_name", Text, Yes),
    ("evidences[].dst_endpoint.type_id", NumberOf(&[1]), Yes),
    ("evidences[].dst_endpoint.type", OneOf(&["Server"]), Yes),
    ("evidences[].connection_info.direction_id", NumberOf(&[1]), Yes),
    ("evidences[].connection_info.direction", OneOf(&["Inbound"]), Yes),
    ("evidences[].connection_info.protocol_num", Within(0, 255), No),
    ("evidences[].connection_info.protocol_name", OneOf(&["tcp", "udp", "icmp", "ipv6-icmp", "sctp"]), No),
    ("evidences[].connection_info.protocol_ver_id", NumberOf(&[0, 4, 6]), Yes),
    // Type 2 is an address; a name points at the attribute that has it.
    ("observables[].name", OneOf(&["evidences.src_endpoint.ip", "evidences.dst_endpoint.ip"]), No),
    ("observables[].type_id", NumberOf(&[2]), No),
    ("observables[].type", OneOf(&["IP Address"]), No),
    ("observables[].value", Ip, No),
];

/// What a sensor says of itself: class Base Event, category Uncategorized.
const BASE: [Field; 22] = [
    ("activity_id", NumberOf(&[99]), Yes),
    ("activity_name", OneOf(&["stats", "heartbeat", "config"]), Yes),
    ("category_uid", NumberOf(&[0]), Yes),
    ("category_name", OneOf(&["Uncategorized"]), Yes),
    ("class_uid", NumberOf(&[0]), Yes),
    ("class_name", OneOf(&["Base Event"]), Yes),
    ("type_uid", NumberOf(&[99]), Yes),
    ("type_name", OneOf(&["Base Event: Other"]), Yes),
    ("severity_id", NumberOf(&[1]), Yes),
    ("severity", OneOf(&["Informational"]), Yes),
    ("time", Whole, Yes),
    ("timezone_offset", NumberOf(&[0]), Yes),
    ("message", Text, Yes),
    ("unmapped", Own, Yes),
    ("metadata.version", OneOf(&["1.7.0"]), Yes),
    ("metadata.product.uid", Text, Yes),
    ("metadata.product.name", Text, Yes),
    ("metadata.product.vendor_name", Text, Yes),
    ("metadata.product.version", Text, Yes),
    ("metadata.log_name", OneOf(&["stats", "heartbeat", "config"]), Yes),
    ("metadata.log_provider", Text, Yes),
    ("metadata.reporter.name", OneOf(&["mirror-1"]), Yes),
];

#[test]
fn alerts_follow_the_schema() {
    for incident in incidents() {
        let document = json_in(&record(&incident), Format::Ocsf);
        assert_eq!(wrong(&document, &FINDING), [""; 0], "{document}");
        let number = |name: &str| document[name].as_i64().unwrap();
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(document["is_alert"], incident.state != State::Close);
        assert_eq!(number("time"), incident.decided.secs() * 1_000);
        assert_eq!(document["finding_info"]["first_seen_time"], incident.started.secs() * 1_000);
        for piece in document["evidences"].as_array().unwrap() {
            let source = piece["src_endpoint"].as_object();
            assert!(source.is_none_or(|source| source.contains_key("ip") != source.contains_key("name")));
        }
        let eve: Value = serde_json::from_str(&record(&incident).line).unwrap();
        for own in ["verdict", "origins", "sought", "load", "health", "rules", "capture", "geo"] {
            assert_eq!(document["unmapped"][own], eve[own], "{own}");
        }
    }
}

#[test]
fn the_activities_are_those_of_a_findings_life() {
    let told = |state, ended: Option<i64>| {
        let ended = ended.map(Timestamp::from_secs);
        let document = json_in(&record(&Incident { state, ended, ..example::incident() }), Format::Ocsf);
        let of = |name: &str| document[name].clone();
        (
            of("type_uid").as_i64().unwrap(),
            of("activity_name"),
            of("status"),
            of("finding_info")["uid"].clone(),
        )
    };
    let (open, update, close) =
        (told(State::Open, None), told(State::Update, None), told(State::Close, Some(example::ONSET + 60)));
    assert_eq!((open.0, open.1, open.2), (200_401, "Create".into(), "New".into()));
    assert_eq!((update.0, update.1, update.2), (200_402, "Update".into(), "New".into()));
    assert_eq!((close.0, close.1, close.2), (200_403, "Close".into(), "Ended".into()));
    assert!(open.3 == update.3 && update.3 == close.3);
}

#[test]
fn what_a_sensor_says_follows_the_schema() {
    for record in of_the_sensor() {
        let document = json_in(&record, Format::Ocsf);
        assert_eq!(wrong(&document, &BASE), [""; 0], "{document}");
    }
}

#[test]
fn a_times_offset_is_in_minutes() {
    let offsets = [("2023-11-23T09:19:40.000000+09:00", 540), ("2023-11-23T00:19:40Z", 0)];
    let west = ("2023-11-22T20:49:40.000000-03:30", -210);
    for (time, minutes) in offsets.into_iter().chain([west, ("", 0)]) {
        assert_eq!(crate::alert::ocsf::offset(time), minutes, "{time}");
    }
}
