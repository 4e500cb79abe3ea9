//! Records in the [Elastic Common Schema](https://www.elastic.co/docs/reference/ecs), version 8.17. Comes in: EVE. Goes
//! out: one line of JSON. What the schema has no field for stands below `bongsu`, under its EVE name.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::eve::Eve;
use super::shape::{PRODUCT, Said, VERSION, millis};
use super::{EventType, json};

/// The version of the schema.
const ECS_VERSION: &str = "8.17.0";

/// What a time is where none is known: the schema demands one.
const NO_TIME: &str = "1970-01-01T00:00:00.000000+00:00";

/// Facts that make up the reason.
const MOST_REASONS: usize = 3;

#[derive(Serialize)]
struct Document<'e, B: Serialize> {
    #[serde(rename = "@timestamp")]
    timestamp: &'e str,
    ecs: Ecs,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'e str>,
    event: Event<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule<'e>>,
    observer: Observer<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Service<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Endpoint<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Endpoint<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related>,
    bongsu: B,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

#[derive(Serialize, Default)]
struct Event<'e> {
    kind: &'static str,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    category: &'static [&'static str],
    r#type: &'static [&'static str],
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    dataset: String,
    module: &'static str,
    provider: &'static str,
}

#[derive(Serialize)]
struct Rule<'e> {
    id: String,
    name: &'e str,
    version: String,
    category: &'e str,
    ruleset: &'static str,
}

#[derive(Serialize)]
struct Observer<'e> {
    vendor: &'static str,
    product: &'static str,
    r#type: &'static str,
    name: &'e str,
    version: &'static str,
}

#[derive(Serialize)]
struct Service<'e> {
    name: &'e str,
}

#[derive(Serialize)]
struct Endpoint<'e> {
    address: String,
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo: Option<Location<'e>>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    system: Option<System<'e>>,
}

#[derive(Serialize)]
struct Location<'e> {
    country_iso_code: &'e str,
}

#[derive(Serialize)]
struct System<'e> {
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<Organization<'e>>,
}

#[derive(Serialize)]
struct Organization<'e> {
    name: &'e str,
}

#[derive(Serialize)]
struct Network {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iana_number: Option<String>,
}

#[derive(Serialize)]
struct Related {
    ip: Vec<IpAddr>,
}

/// An alert.
pub(super) fn alert(eve: &Eve) -> String {
    json(&Document {
        message: Some(&eve.message),
        rule: Some(Rule {
            id: eve.alert.signature_id.to_string(),
            name: &eve.alert.signature,
            version: eve.alert.rev.to_string(),
            category: &eve.alert.category,
            ruleset: PRODUCT,
        }),
        service: Some(Service { name: &eve.service.name }),
        source: source(eve),
        destination: eve.dest_ip.map(|ip| endpoint(ip, eve.dest_port)),
        network: Some(network(eve)),
        related: related(eve),
        ..Document::new(&eve.timestamp, &eve.sensor, event(eve), eve.own())
    })
}

/// What the sensor says of itself: a metric, or how it is configured.
pub(super) fn said(said: &Said) -> String {
    let kind = said.event_type;
    let own = Map::from_iter([(kind.word().to_owned(), Value::Object(said.rest.clone()))]);
    let configures = kind == EventType::Config;
    let event = Event {
        kind: if configures { "state" } else { "metric" },
        category: if configures { &["configuration"] } else { &[] },
        action: kind.word().to_owned(),
        ..Event::new(kind)
    };
    json(&Document::new(said.timestamp.as_deref().unwrap_or(NO_TIME), &said.sensor, event, own))
}

impl<'e, B: Serialize> Document<'e, B> {
    /// What every document says.
    fn new(timestamp: &'e str, sensor: &'e str, event: Event<'e>, bongsu: B) -> Self {
        Self {
            timestamp,
            ecs: Ecs { version: ECS_VERSION },
            message: None,
            event,
            rule: None,
            observer: Observer {
                vendor: PRODUCT,
                product: PRODUCT,
                r#type: "sensor",
                name: sensor,
                version: VERSION,
            },
            service: None,
            source: None,
            destination: None,
            network: None,
            related: None,
            bongsu,
        }
    }
}

impl Event<'_> {
    /// What every event says. `info` is the one type that all its categories expect and that speaks of no single
    /// connection.
    fn new(kind: EventType) -> Self {
        Self {
            r#type: &["info"],
            dataset: format!("{PRODUCT}.{kind}"),
            module: PRODUCT,
            provider: PRODUCT,
            ..Self::default()
        }
    }
}

fn event(eve: &Eve) -> Event<'_> {
    let incident = &eve.incident;
    let length = |end: &String| (millis(end) - millis(&incident.started)).max(0).saturating_mul(1_000_000);
    let reasons: Vec<&str> =
        eve.verdict.r#for.iter().take(MOST_REASONS).map(|fact| fact.text.as_str()).collect();
    Event {
        kind: "alert",
        category: &["intrusion_detection", "network"],
        action: format!("incident-{}", incident.state),
        id: Some(eve.telling()),
        code: Some(eve.alert.signature_id.to_string()),
        sequence: Some(incident.seq),
        severity: Some(severity(&incident.severity)),
        start: Some(&incident.started),
        end: incident.ended.as_deref(),
        duration: incident.ended.as_ref().map(length),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        ..Event::new(EventType::Alert)
    }
}

/// On the scale that Elastic's own rules have, the worst last.
fn severity(word: &str) -> u8 {
    match word {
        "critical" => 99,
        "high" => 73,
        "medium" => 47,
        _ => 21,
    }
}

/// The address that alone makes up the origin, with what is known of it.
fn source(eve: &Eve) -> Option<Endpoint<'_>> {
    let origin = eve.origins.first();
    let country = origin.map(|row| row.country.as_ref()).filter(|country| country.len() == 2);
    let organization = origin.and_then(|row| row.as_org.as_deref()).map(|name| Organization { name });
    let system = origin.and_then(|row| row.asn).map(|number| System { number, organization });
    Some(Endpoint {
        geo: country.map(|country_iso_code| Location { country_iso_code }),
        system,
        ..endpoint(eve.src_ip?, None)
    })
}

fn endpoint<'e>(ip: IpAddr, port: Option<u16>) -> Endpoint<'e> {
    Endpoint { address: ip.to_string(), ip, port, geo: None, system: None }
}

fn network(eve: &Eve) -> Network {
    Network {
        r#type: eve.dest_ip.map(|ip| if ip.is_ipv4() { "ipv4" } else { "ipv6" }),
        transport: eve.protocol_keyword(),
        iana_number: eve.protocol_number().map(|number| number.to_string()),
    }
}

/// Every single address that is named.
fn related(eve: &Eve) -> Option<Related> {
    let sources = eve.origins.iter().filter(|row| row.kind == "source");
    let mut ip: Vec<IpAddr> = sources.filter_map(|row| row.value.parse().ok()).chain(eve.dest_ip).collect();
    ip.sort_unstable();
    ip.dedup();
    (!ip.is_empty()).then_some(Related { ip })
}
