//! The captures that nobody here made: what the program says of each, against what is demanded. Comes in: the shared
//! captures. Goes out: a row for each, and the section of the page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::corpus::{Capture, Corpus};
use crate::demands::{Demand, Origins, What, demanded};
use crate::said::{Incident, Severity, joined};
use crate::support::{Answer, replay};

/// What came of one capture.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub category: String,
    pub demand: Demand,
    pub incidents: Vec<Incident>,
    /// Incidents of a benign capture whose busiest server is named as the service.
    pub named: Vec<Incident>,
    /// What is not as demanded; empty where all is.
    pub wrong: String,
}

/// Replays every capture, two at a time, and compares.
pub fn judge(corpus: &Corpus) -> Vec<Row> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(capture) = corpus.0.get(place) else { return };
                    let row = Row::of(capture);
                    rows.lock().unwrap().insert(place, row);
                }
            });
        }
    });
    rows.into_inner().unwrap().into_values().collect()
}

impl Row {
    /// Replays one capture before the service that its demand names.
    pub fn of(capture: &Capture) -> Self {
        let demand = demanded(&capture.name, &capture.category);
        let incidents = Incident::of(&said(capture, demand.service).records());
        let named = match (demand.what, demand.service) {
            (What::Quiet, "") => busiest(capture).map(|service| said(capture, &service).records()),
            _ => None,
        };
        let named = Incident::of(&named.unwrap_or_default());
        let wrong = wrong(&demand, &incidents, &named);
        Self {
            name: capture.name.clone(),
            category: capture.category.clone(),
            demand,
            incidents,
            named,
            wrong,
        }
    }

    fn is_demanded(&self) -> bool {
        !matches!(self.demand.what, What::Nothing)
    }
}

/// What the program says of a capture before this service, or before those it finds.
fn said(capture: &Capture, service: &str) -> Answer {
    let options: &[&str] = if service.is_empty() { &[] } else { &["-s", service] };
    let answer = replay(&capture.file, &[&["--workers", "1"], options].concat());
    assert!(matches!(answer.code, Some(0 | 1)), "{}: {}", capture.name, answer.stderr);
    answer
}

/// The server end that most packets of the capture's flows belong to, as a service.
fn busiest(capture: &Capture) -> Option<String> {
    let answer = replay(&capture.file, &["--workers", "1", "--events", "flow"]);
    let mut packets: BTreeMap<String, u64> = BTreeMap::new();
    for flow in answer.records() {
        let Some(port) = flow["dest_port"].as_u64() else { continue };
        let address = flow["dest_ip"].as_str()?;
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let count = |field: &str| flow["flow"][field].as_u64().unwrap_or(0);
        *packets.entry(format!("named={address}:{port}")).or_default() +=
            count("pkts_toserver") + count("pkts_toclient");
    }
    packets.into_iter().max_by_key(|(_, packets)| *packets).map(|(service, _)| service)
}

/// What is not as demanded, in words.
fn wrong(demand: &Demand, incidents: &[Incident], named: &[Incident]) -> String {
    match demand.what {
        What::Nothing => String::new(),
        What::Quiet => {
            let loud = |list: &[Incident]| list.iter().any(|incident| incident.worst() > Severity::Low);
            match (loud(incidents), loud(named)) {
                (true, _) => "above low".to_owned(),
                (_, true) => "above low where its busiest server is named".to_owned(),
                _ => String::new(),
            }
        }
        What::Says(verdicts, origins) => {
            let right = |incident: &&Incident| verdicts.iter().any(|verdict| is_said(incident, verdict));
            let Some(incident) = incidents.iter().find(right) else {
                return "not said".to_owned();
            };
            let other = |incident: &Incident| incident.worst() > Severity::Low && !right(&incident);
            if incidents.iter().any(other) {
                return "something else is said too, above low".to_owned();
            }
            wrong_origins(origins, incident)
        }
    }
}

/// Whether the last word on an incident is this verdict: a label with any kind, or both.
fn is_said(incident: &Incident, verdict: &str) -> bool {
    let last = incident.last();
    verdict == last.label || verdict == joined(&last.label, &last.kind)
}

fn wrong_origins(wanted: Origins, incident: &Incident) -> String {
    let mut have: Vec<&str> = incident.last().origins.iter().map(|origin| origin.value.as_str()).collect();
    have.sort_unstable();
    match wanted {
        Origins::Exactly(wanted) if have != wanted => "other origins".to_owned(),
        Origins::None if !have.is_empty() => "blames somebody".to_owned(),
        _ => String::new(),
    }
}

/// The captures whose demand is missed, and how.
pub fn missed(rows: &[Row]) -> Vec<String> {
    let missed = rows.iter().filter(|row| !row.wrong.is_empty());
    missed.map(|row| format!("{}: {}", row.name, row.wrong)).collect()
}

/// One line for the terminal, and one for each demand that is missed.
pub fn summary(rows: &[Row]) -> String {
    let demanded = rows.iter().filter(|row| row.is_demanded()).count();
    let missed = missed(rows);
    let mut text = format!(
        "{} captures, {demanded} with a demand, {} met\n",
        rows.len(),
        demanded.saturating_sub(missed.len())
    );
    for row in rows.iter().filter(|row| !row.wrong.is_empty()) {
        let _ = writeln!(text, "  {}: {}; {}", row.name, row.wrong, told(&row.incidents));
    }
    text
}

/// The section of the page.
pub fn section(rows: &[Row]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| capture | service | demanded | said | as demanded |\n| --- | --- | --- | --- | --- |\n");
    for row in rows.iter().filter(|row| row.is_demanded() || !row.demand.service.is_empty()) {
        let service = if row.demand.service.is_empty() { "found" } else { row.demand.service };
        let (demanded, said, met) = (in_words(&row.demand), both_told(row), as_demanded(row));
        let _ = writeln!(page, "| {} | {service} | {demanded} | {said} | {met} |", row.name);
    }
    page.push_str(REST);
    for row in rows.iter().filter(|row| !row.is_demanded() && row.demand.service.is_empty()) {
        let _ = writeln!(page, "| {} | {} | {} |", row.name, row.category, told(&row.incidents));
    }
    page
}

fn as_demanded(row: &Row) -> &str {
    match (row.is_demanded(), row.wrong.as_str()) {
        (false, _) => "",
        (true, "") => "yes",
        (true, wrong) => wrong,
    }
}

fn in_words(demand: &Demand) -> String {
    match demand.what {
        What::Nothing => String::new(),
        What::Quiet => "nothing above low".to_owned(),
        What::Says(verdicts, origins) => {
            let origins = match origins {
                Origins::Exactly(wanted) => format!(", from {}", wanted.join(", ")),
                Origins::None => ", nobody blamed".to_owned(),
                Origins::Any => String::new(),
            };
            format!("{}{origins}", verdicts.join(" or "))
        }
    }
}

fn both_told(row: &Row) -> String {
    match row.named.as_slice() {
        [] => told(&row.incidents),
        named => format!("{}; where its busiest server is named: {}", told(&row.incidents), told(named)),
    }
}

/// The last word on each incident.
fn told(incidents: &[Incident]) -> String {
    let words: Vec<String> = incidents.iter().map(one_told).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join("; ") }
}

/// Origins that are written out; the rest is counted.
const SHOWN: usize = 8;

fn one_told(incident: &Incident) -> String {
    let last = incident.last();
    let mut origins: Vec<&str> = last.origins.iter().map(|origin| origin.value.as_str()).collect();
    let more = origins.len().saturating_sub(SHOWN);
    origins.truncate(SHOWN);
    let from = if origins.is_empty() { String::new() } else { format!(" from {}", origins.join(", ")) };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let verdict = last.verdict();
    format!("{verdict} {:.2}, {}{from}{more}", last.confidence, incident.worst().word())
}

const INTRODUCTION: &str = "## Captures of others

Each capture is replayed with the shipped rules, before the service that stands in the row, or before those that are
found. *Said* is the last word on each incident: its verdict, the confidence, the worst severity, the origins. Where a
benign capture has no service of its own it is replayed once more with its busiest server named.

";

const REST: &str = "
### The other captures

Nothing is demanded of them; services are found.

| capture | gathered for | said |
| --- | --- | --- |
";
