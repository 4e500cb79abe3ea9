//! An alert as EVE JSON: the contract's record, field by field. Comes in: an [`Alert`](super::Alert), or a line that was
//! written before. Goes out: the record ([`Eve`]), which is its own line and nothing more: whatever else is written of
//! an alert is made of it. The order of the fields is the order of the structs.

mod tell;

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::evidence::Fact;
use super::verdict::{CauseField, FlipField};
use super::{Alert, EventType, Geo, json, number};

pub(super) use tell::{attribute, cohort, condition, label_told, sought};

/// A word of ours; owned where it was read.
pub(super) type Word = Cow<'static, str>;

/// The record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Eve {
    pub timestamp: String,
    pub event_type: EventType,
    pub sensor: String,
    pub service: ServiceField,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    pub proto: String,
    pub alert: Signature,
    pub message: String,
    pub incident: IncidentField,
    pub verdict: VerdictField,
    pub foreign: Option<ForeignField>,
    pub origins: Vec<OriginField>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<NeighbourField>,
    pub sought: Vec<SoughtField>,
    pub load: LoadField,
    pub but_for: Vec<ButForField>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrast: Vec<ContrastField>,
    pub health: HealthField,
    pub rules: Vec<RuleField>,
    pub capture: QualityField,
    pub geo: Geo,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ServiceField {
    pub name: String,
    pub address: Option<String>,
    pub port: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Signature {
    pub action: Word,
    pub gid: u32,
    pub signature_id: u32,
    pub rev: u32,
    pub severity: u8,
    pub signature: String,
    pub category: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct IncidentField {
    pub id: String,
    pub state: Word,
    pub seq: u32,
    pub severity: Word,
    pub started: String,
    pub detected: String,
    pub ended: Option<String>,
    /// Present only where the input ended before the incident did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VerdictField {
    pub label: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word>,
    pub confidence: f64,
    pub causes: Vec<CauseField>,
    pub r#for: Vec<Fact>,
    pub against: Vec<Fact>,
    pub would_change: Vec<FlipField>,
    /// What the mirror does not show of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_visible: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ForeignField {
    pub concentrated: bool,
    pub share: f64,
    pub baseline_share: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OriginField {
    pub kind: Word,
    pub value: String,
    pub country: Word,
    pub asn: Option<u32>,
    pub as_org: Option<String>,
    pub foreign: Option<bool>,
    pub share: f64,
    pub traffic_share: f64,
    pub baseline_share: f64,
    pub rate: f64,
    pub sources: u64,
    pub proven: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A labelled client, never one of the origins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NeighbourField {
    pub label: String,
    pub traffic_share: f64,
    pub rate: f64,
}

/// What was asked for: a path, a server name or a port.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct SoughtField {
    /// Of a path, which stands beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A server name; empty where hellos name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Of a port, which stands beside it where the protocol has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<Word>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub share: f64,
    /// The same in the minute before, and how many times that; absent where too little was seen then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_share: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<f64>,
}

impl SoughtField {
    /// In a few words: `GET /bid/list`, `server name pps.example`, `UDP port 53`.
    pub fn words(&self) -> String {
        match (&self.path, self.sni.as_deref(), &self.proto) {
            (Some(path), ..) => format!("{} {path}", self.method.as_deref().unwrap_or_default()),
            (None, Some(""), _) => "no server name".to_owned(),
            (None, Some(name), _) => format!("server name {name}"),
            (None, None, proto) => {
                let port = self.port.map(|port| format!(" port {port}"));
                format!("{}{}", proto.as_deref().unwrap_or_default(), port.unwrap_or_default())
            }
        }
    }
}

/// What is much more of the traffic than it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ContrastField {
    pub attribute: Word,
    pub value: String,
    pub share: f64,
    pub baseline_share: f64,
    pub lift: f64,
    /// The part of it that an ordinary day would not have.
    pub likelihood: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LoadField {
    pub rate: f64,
    pub baseline: Option<f64>,
    /// The most that it carried in health.
    pub knee: Option<f64>,
    pub unit: Word,
    /// All that was counted since the onset, told when the incident closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ButForField {
    /// The cause that is left out; absent where it is all origins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Word>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word>,
    pub origins: Vec<usize>,
    pub rate: f64,
    pub within_knee: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct HealthField {
    pub state: Word,
    pub failure_ratio: Option<f64>,
    pub cohort: Word,
    pub since: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RuleField {
    pub id: String,
    pub rev: u32,
    pub observed: f64,
    pub limit: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct QualityField {
    pub loss: f64,
    pub one_way: bool,
    pub duplicates: f64,
    #[serde(default, skip_serializing_if = "number::is_none")]
    pub shed: u8,
    /// Which way the packets go that the mirror shows, where it shows one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Word>,
    /// The rules that need the other way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules_off: Vec<String>,
}

/// What other schemas have no fields for, under its names here.
#[derive(Serialize)]
pub(super) struct Own<'e> {
    service: &'e ServiceField,
    incident: &'e IncidentField,
    verdict: &'e VerdictField,
    foreign: &'e Option<ForeignField>,
    origins: &'e [OriginField],
    #[serde(skip_serializing_if = "<[NeighbourField]>::is_empty")]
    neighbours: &'e [NeighbourField],
    sought: &'e [SoughtField],
    load: &'e LoadField,
    but_for: &'e [ButForField],
    #[serde(skip_serializing_if = "<[ContrastField]>::is_empty")]
    contrast: &'e [ContrastField],
    health: &'e HealthField,
    rules: &'e [RuleField],
    capture: &'e QualityField,
    geo: &'e Geo,
}

impl Eve {
    /// The record of an alert.
    pub fn of(alert: &Alert<'_>) -> Self {
        tell::eve(alert)
    }

    /// The record as one line, without its line end.
    pub fn line(&self) -> String {
        json(self)
    }

    /// Reads a line; `None` where it is no alert of this form.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// What other schemas have no fields for.
    pub fn own(&self) -> Own<'_> {
        Own {
            service: &self.service,
            incident: &self.incident,
            verdict: &self.verdict,
            foreign: &self.foreign,
            origins: &self.origins,
            neighbours: &self.neighbours,
            sought: &self.sought,
            load: &self.load,
            but_for: &self.but_for,
            contrast: &self.contrast,
            health: &self.health,
            rules: &self.rules,
            capture: &self.capture,
            geo: &self.geo,
        }
    }

    /// The verdict in a word or two: `attack/http_flood`, `flash_crowd`.
    pub fn verdict_told(&self) -> String {
        match &self.verdict.kind {
            Some(kind) => format!("{}/{kind}", self.verdict.label),
            None => self.verdict.label.to_string(),
        }
    }

    /// Which of the times that the incident was told this is: its identity and number.
    pub fn telling(&self) -> String {
        format!("{}-{}", self.incident.id, self.incident.seq)
    }

    /// The protocol's [number](https://www.iana.org/assignments/protocol-numbers), where the record says which it is.
    pub fn protocol_number(&self) -> Option<u8> {
        match self.proto.as_str() {
            "TCP" => Some(6),
            "UDP" => Some(17),
            "ICMP" => Some(1),
            "IPv6-ICMP" => Some(58),
            "SCTP" => Some(132),
            number => number.parse().ok(),
        }
    }

    /// Its keyword in lower case, where the record does not name it by number.
    pub fn protocol_keyword(&self) -> Option<String> {
        let number = self.protocol_number()?;
        (self.proto != number.to_string()).then(|| self.proto.to_lowercase())
    }
}
