//! Records in the [Open Cybersecurity Schema Framework](https://schema.ocsf.io/1.7.0), version 1.7: an alert is a Detection
//! Finding (2004), what the sensor says of itself a Base Event (0), since no class is made for it. Comes in: EVE. Goes
//! out: one line of JSON. What the classes have no attribute for stands in `unmapped`, under its EVE name.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::eve::{Eve, OriginField, Own, Word};
use super::json;
use super::shape::{PRODUCT, Said, VERSION, millis};

/// The version of the schema.
const OCSF_VERSION: &str = "1.7.0";

/// The class of alerts, and of all else.
const DETECTION_FINDING: u32 = 2004;
const BASE_EVENT: u32 = 0;

/// A number of the schema and its caption.
type Coded = (u32, &'static str);

/// What every class has.
#[derive(Serialize)]
struct Base<'e, U: Serialize> {
    activity_id: u32,
    activity_name: Word,
    category_uid: u32,
    category_name: &'static str,
    class_uid: u32,
    class_name: &'static str,
    type_uid: u32,
    type_name: String,
    severity_id: u32,
    severity: &'static str,
    time: i64,
    timezone_offset: i64,
    message: &'e str,
    metadata: Metadata<'e>,
    unmapped: U,
}

#[derive(Serialize)]
struct DetectionFinding<'e> {
    #[serde(flatten)]
    base: Base<'e, Own<'e>>,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
    status_id: u32,
    status: &'static str,
    is_alert: bool,
    confidence_id: u32,
    confidence: &'static str,
    confidence_score: u32,
    finding_info: FindingInfo<'e>,
    resources: [Resource<'e>; 1],
    evidences: Vec<Evidence<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observables: Vec<Observable>,
}

#[derive(Serialize)]
struct Metadata<'e> {
    version: &'static str,
    product: Product,
    log_name: Word,
    log_provider: &'static str,
    reporter: Reporter<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_uid: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
}

#[derive(Serialize)]
struct Product {
    uid: &'static str,
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Reporter<'e> {
    name: &'e str,
}

#[derive(Serialize)]
struct FindingInfo<'e> {
    uid: &'e str,
    title: &'e str,
    desc: &'e str,
    types: Vec<&'e str>,
    created_time: i64,
    modified_time: i64,
    first_seen_time: i64,
    last_seen_time: i64,
    analytic: Analytic<'e>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_analytics: Vec<Analytic<'e>>,
}

#[derive(Serialize)]
struct Analytic<'e> {
    type_id: u32,
    r#type: &'static str,
    uid: String,
    name: &'e str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'e str>,
}

#[derive(Serialize)]
struct Resource<'e> {
    name: &'e str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    role_id: u32,
    role: &'static str,
}

#[derive(Serialize)]
struct Evidence<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Endpoint<'e>>,
    dst_endpoint: Endpoint<'e>,
    connection_info: Connection,
}

#[derive(Serialize, Default)]
struct Endpoint<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    svc_name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autonomous_system: Option<System<'e>>,
}

#[derive(Serialize)]
struct Location<'e> {
    country: &'e str,
}

#[derive(Serialize)]
struct System<'e> {
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
}

#[derive(Serialize, Clone)]
struct Connection {
    direction_id: u32,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_num: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_name: Option<String>,
    protocol_ver_id: u32,
}

#[derive(Serialize)]
struct Observable {
    name: &'static str,
    type_id: u32,
    r#type: &'static str,
    value: String,
}

/// An alert.
pub(super) fn alert(eve: &Eve) -> String {
    let incident = &eve.incident;
    let (start, end) = (millis(&incident.started), incident.ended.as_deref().map(millis));
    let (status, confidence) = (status(&incident.state), confidence(eve.verdict.confidence));
    json(&DetectionFinding {
        base: finding(eve),
        start_time: start,
        end_time: end,
        duration: end.map(|end| (end - start).max(0)),
        status_id: status.0,
        status: status.1,
        // What is over asks nobody to act.
        is_alert: incident.state != "close",
        confidence_id: confidence.0,
        confidence: confidence.1,
        confidence_score: (eve.verdict.confidence * 100.0).round() as u32,
        finding_info: finding_info(eve),
        resources: [affected(eve)],
        evidences: evidences(eve),
        observables: observables(eve),
    })
}

/// What the sensor says of itself.
pub(super) fn said(said: &Said) -> String {
    let word = said.event_type.word();
    json(&Base {
        activity_id: 99,
        activity_name: word.into(),
        category_uid: 0,
        category_name: "Uncategorized",
        class_uid: BASE_EVENT,
        class_name: "Base Event",
        type_uid: BASE_EVENT * 100 + 99,
        type_name: "Base Event: Other".to_owned(),
        severity_id: 1,
        severity: "Informational",
        time: said.timestamp.as_deref().map_or(0, millis),
        timezone_offset: said.timestamp.as_deref().map_or(0, offset),
        message: word,
        metadata: metadata(&said.sensor, word.into()),
        unmapped: Map::from_iter([(word.to_owned(), Value::Object(said.rest.clone()))]),
    })
}

fn finding(eve: &Eve) -> Base<'_, Own<'_>> {
    let incident = &eve.incident;
    let (activity, severity) = (activity(&incident.state), severity(&incident.severity));
    Base {
        activity_id: activity.0,
        activity_name: activity.1.into(),
        category_uid: 2,
        category_name: "Findings",
        class_uid: DETECTION_FINDING,
        class_name: "Detection Finding",
        type_uid: DETECTION_FINDING * 100 + activity.0,
        type_name: format!("Detection Finding: {}", activity.1),
        severity_id: severity.0,
        severity: severity.1,
        time: millis(&eve.timestamp),
        timezone_offset: offset(&eve.timestamp),
        message: &eve.message,
        metadata: Metadata {
            uid: Some(eve.telling()),
            correlation_uid: Some(&incident.id),
            event_code: Some(eve.alert.signature_id.to_string()),
            sequence: Some(incident.seq),
            ..metadata(&eve.sensor, "alert".into())
        },
        unmapped: eve.own(),
    }
}

fn activity(state: &str) -> Coded {
    match state {
        "open" => (1, "Create"),
        "update" => (2, "Update"),
        _ => (3, "Close"),
    }
}

fn severity(word: &str) -> Coded {
    match word {
        "critical" => (5, "Critical"),
        "high" => (4, "High"),
        "medium" => (3, "Medium"),
        _ => (2, "Low"),
    }
}

/// The status is that of a review. Nobody has reviewed what a sensor tells: it is new, and in the end it is not resolved
/// but over.
fn status(state: &str) -> Coded {
    match state {
        "close" => (99, "Ended"),
        _ => (1, "New"),
    }
}

/// Verdicts from 0.8 on are right four times in five; under 0.5 they are wrong more often than right.
fn confidence(confidence: f64) -> Coded {
    match confidence {
        c if c >= 0.8 => (3, "High"),
        c if c >= 0.5 => (2, "Medium"),
        _ => (1, "Low"),
    }
}

fn metadata(sensor: &str, log_name: Word) -> Metadata<'_> {
    Metadata {
        version: OCSF_VERSION,
        product: Product { uid: PRODUCT, name: PRODUCT, vendor_name: PRODUCT, version: VERSION },
        log_name,
        log_provider: PRODUCT,
        reporter: Reporter { name: sensor },
        uid: None,
        correlation_uid: None,
        event_code: None,
        sequence: None,
    }
}

fn finding_info(eve: &Eve) -> FindingInfo<'_> {
    let (incident, told) = (&eve.incident, millis(&eve.timestamp));
    let rule = |uid: String, name, rev: u32, category| Analytic {
        type_id: 1,
        r#type: "Rule",
        uid,
        name,
        version: rev.to_string(),
        category,
    };
    let signature = &eve.alert;
    let types = [Some(signature.category.as_str()), Some(&eve.verdict.label), eve.verdict.kind.as_deref()];
    FindingInfo {
        uid: &incident.id,
        title: &signature.signature,
        desc: &eve.message,
        types: types.into_iter().flatten().collect(),
        created_time: millis(&incident.detected),
        modified_time: told,
        first_seen_time: millis(&incident.started),
        last_seen_time: incident.ended.as_deref().map_or(told, millis),
        analytic: rule(
            signature.signature_id.to_string(),
            &signature.signature,
            signature.rev,
            Some(&signature.category),
        ),
        related_analytics: eve.rules.iter().map(|hit| rule(hit.id.clone(), &hit.id, hit.rev, None)).collect(),
    }
}

fn affected(eve: &Eve) -> Resource<'_> {
    Resource { name: &eve.service.name, r#type: "service", ip: eve.dest_ip, role_id: 3, role: "Affected" }
}

/// The offset that a time is written with, in minutes: the end of RFC 3339 (`+09:00`).
pub(super) fn offset(time: &str) -> i64 {
    let end = time.get(time.len().saturating_sub(6)..).filter(|end| end.starts_with(['+', '-']));
    let Some((hours, minutes)) = end.and_then(|end| end.split_once(':')) else { return 0 };
    let number = |digits: &str| digits.parse::<i64>().unwrap_or_default();
    let minutes = number(&hours[1..]) * 60 + number(minutes);
    if hours.starts_with('-') { -minutes } else { minutes }
}

/// One piece a row of origins; one without a source where no origin can be named.
fn evidences(eve: &Eve) -> Vec<Evidence<'_>> {
    let piece = |src_endpoint| Evidence {
        src_endpoint,
        dst_endpoint: destination(eve),
        connection_info: connection(eve),
    };
    if eve.origins.is_empty() {
        return vec![piece(None)];
    }
    eve.origins.iter().map(|row| piece(Some(source(row)))).collect()
}

/// An address, or the name of what is larger.
fn source(row: &OriginField) -> Endpoint<'_> {
    let ip = (row.kind == "source").then(|| row.value.parse().ok()).flatten();
    Endpoint {
        ip,
        name: ip.is_none().then_some(row.value.as_str()),
        location: (row.country.len() == 2).then_some(Location { country: &row.country }),
        autonomous_system: row.asn.map(|number| System { number, name: row.as_org.as_deref() }),
        ..Endpoint::default()
    }
}

fn destination(eve: &Eve) -> Endpoint<'_> {
    Endpoint {
        ip: eve.dest_ip,
        port: eve.dest_port,
        svc_name: Some(&eve.service.name),
        type_id: Some(1),
        r#type: Some("Server"),
        ..Endpoint::default()
    }
}

fn connection(eve: &Eve) -> Connection {
    Connection {
        // To a service that is protected.
        direction_id: 1,
        direction: "Inbound",
        protocol_num: eve.protocol_number(),
        protocol_name: eve.protocol_keyword(),
        protocol_ver_id: match eve.dest_ip {
            Some(IpAddr::V4(_)) => 4,
            Some(IpAddr::V6(_)) => 6,
            None => 0,
        },
    }
}

/// The single addresses that are named, each once.
fn observables(eve: &Eve) -> Vec<Observable> {
    let address = |name, value: String| Observable { name, type_id: 2, r#type: "IP Address", value };
    let sources = eve.origins.iter().filter(|row| row.kind == "source");
    let sources = sources.map(|row| address("evidences.src_endpoint.ip", row.value.clone()));
    let destination = eve.dest_ip.map(|ip| address("evidences.dst_endpoint.ip", ip.to_string()));
    sources.chain(destination).collect()
}
