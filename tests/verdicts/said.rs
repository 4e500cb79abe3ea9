//! What the program says: its alert records gathered into incidents, read as the contract describes them. Knows nothing
//! of the program's inside.

use std::collections::BTreeMap;

use bongsu::time::Timestamp;
use serde_json::Value;

/// One incident, from its first record to its last.
#[derive(Debug, Clone)]
pub struct Incident {
    /// The name of the service.
    pub service: String,
    /// When it is said to have begun.
    pub started: Timestamp,
    /// The records in their order; there is at least one.
    pub told: Vec<Told>,
}

/// What one record says.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The end of the tick that decided it.
    pub at: Timestamp,
    pub label: String,
    /// Empty where there is none.
    pub kind: String,
    pub confidence: f64,
    pub severity: Severity,
    pub origins: Vec<Origin>,
    pub causes: Vec<Cause>,
    /// The ids of rules that held.
    pub rules: Vec<String>,
    /// The evidence: its id, whether it speaks for the verdict, and its value.
    pub evidence: Vec<(String, bool, f64)>,
}

/// A row of origins.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// `source`, `prefix`, `asn` or `country`.
    pub kind: String,
    pub value: String,
    /// Its part of the excess.
    pub share: f64,
}

/// A cause of a verdict and its part of the excess.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    pub label: String,
    pub kind: String,
    pub share: f64,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Incident {
    /// The incidents of these records, in the order they opened.
    pub fn of(records: &[Value]) -> Vec<Self> {
        let mut order: Vec<&str> = Vec::new();
        let mut incidents: BTreeMap<&str, Self> = BTreeMap::new();
        for record in records.iter().filter(|record| record["event_type"] == "alert") {
            let id = record["incident"]["id"].as_str().unwrap();
            let incident = incidents.entry(id).or_insert_with(|| {
                order.push(id);
                Self {
                    service: text(&record["service"]["name"]),
                    started: time(&record["incident"]["started"]),
                    told: Vec::new(),
                }
            });
            incident.told.push(Told::of(record));
        }
        order.into_iter().filter_map(|id| incidents.remove(id)).collect()
    }

    /// What is said of it last.
    pub fn last(&self) -> &Told {
        &self.told[self.told.len() - 1]
    }

    /// The worst severity it ever had.
    pub fn worst(&self) -> Severity {
        self.told.iter().map(|told| told.severity).max().unwrap_or(Severity::Low)
    }
}

impl Told {
    fn of(record: &Value) -> Self {
        let verdict = &record["verdict"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let evidence = |field: &str, speaks_for: bool| {
            let facts = list(&verdict[field]).into_iter();
            facts.map(move |fact| (text(&fact["id"]), speaks_for, fact["value"].as_f64().unwrap_or(f64::NAN)))
        };
        Self {
            at: time(&record["timestamp"]),
            label: text(&verdict["label"]),
            kind: text(&verdict["kind"]),
            confidence: verdict["confidence"].as_f64().unwrap_or(0.0),
            severity: Severity::named(record["incident"]["severity"].as_str().unwrap_or_default()),
            origins: list(&record["origins"]).iter().map(Origin::of).collect(),
            causes: list(&verdict["causes"]).iter().map(Cause::of).collect(),
            rules: list(&record["rules"]).iter().map(|rule| text(&rule["id"])).collect(),
            evidence: evidence("for", true).chain(evidence("against", false)).collect(),
        }
    }

    /// Label and kind as one word.
    pub fn verdict(&self) -> String {
        joined(&self.label, &self.kind)
    }
}

impl Origin {
    fn of(row: &Value) -> Self {
        Self {
            kind: text(&row["kind"]),
            value: text(&row["value"]),
            share: row["share"].as_f64().unwrap_or(0.0),
        }
    }
}

impl Cause {
    fn of(row: &Value) -> Self {
        Self {
            label: text(&row["label"]),
            kind: text(&row["kind"]),
            share: row["share"].as_f64().unwrap_or(0.0),
        }
    }
}

impl Severity {
    fn named(word: &str) -> Self {
        match word {
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            other => panic!("severity '{other}'"),
        }
    }

    /// The contract's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// `label/kind`, or the label alone.
pub fn joined(label: &str, kind: &str) -> String {
    if kind.is_empty() { label.to_owned() } else { format!("{label}/{kind}") }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    Timestamp::parse_rfc3339(text).unwrap_or_else(|| panic!("a time: {value}"))
}
