//! What was said, held against what is true: a story's truth and the alert records of its replay come in, a table for
//! people goes out. Reads records as anybody else would, and knows nothing of how they came about.

use std::fmt;

use serde_json::Value;

use crate::synth::world::{Episode, Truth};
use crate::time::{Timestamp, Zone};

/// The zone of the story.
pub const ZONE: &str = "Asia/Seoul";

/// Lines are no longer than the summary's.
const WIDTH: usize = 100;

/// Where notes below a row begin.
const INDENT: usize = 12;

/// Each episode with the incidents that were told of it.
pub struct Compared<'a> {
    rows: Vec<Row<'a>>,
    /// Incidents at a time when nothing was wrong with the service.
    others: usize,
    zone: Zone,
}

struct Row<'a> {
    episode: &'a Episode,
    /// The last records of its incidents, in the order they opened.
    told: Vec<Value>,
}

impl<'a> Compared<'a> {
    /// Compares a truth with records, one a line.
    pub fn new(truth: &'a Truth, lines: &str) -> Self {
        let mut told = last_told(lines);
        let rows = truth
            .episodes
            .iter()
            .map(|episode| {
                let (own, others) = told.drain(..).partition(|record| is_of(record, episode));
                told = others;
                Row { episode, told: own }
            })
            .collect();
        Self { rows, others: told.len(), zone: Zone::named(ZONE).unwrap_or_default() }
    }

    /// How many episodes were told as what they were.
    fn right(&self) -> usize {
        self.rows.iter().filter(|row| row.is_right()).count()
    }
}

impl fmt::Display for Compared<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "What was true, and what bongsu said:\n")?;
        let head = ["begin", "service", "it was", "bongsu said", "sure", "after", "access from"];
        writeln!(out, "{}", cells(&head.map(str::to_owned)))?;
        for row in &self.rows {
            row.write(out, &self.zone)?;
        }
        write!(out, "\n{} of {} were told as what they were", self.right(), self.rows.len())?;
        match self.others {
            0 => writeln!(out, ", and nothing else was told."),
            others => writeln!(out, "; {others} more incidents were none."),
        }
    }
}

impl Row<'_> {
    fn write(&self, out: &mut fmt::Formatter<'_>, zone: &Zone) -> fmt::Result {
        let begin = time(&self.episode.begin);
        let was = named(&self.episode.label, &self.episode.kind);
        let clock = begin.map(|begin| begin.rfc3339(zone)).unwrap_or_default();
        let clock = clock.get(11..19).unwrap_or_default();
        let mut first = [clock, &self.episode.service, &was].map(str::to_owned).to_vec();
        for record in &self.told {
            let said = [said(record), sure(record), after(record, begin), who(record)];
            let row: Vec<String> = std::mem::take(&mut first).into_iter().chain(said).collect();
            writeln!(out, "{}", cells(&padded(row)))?;
            note(out, "because", &because(record))?;
        }
        if self.told.is_empty() {
            first.push("nothing".to_owned());
            writeln!(out, "{}", cells(&first))?;
        }
        note(out, "in truth", &self.truth())
    }

    /// The episode's note, its parts where it has several, and where it came from.
    fn truth(&self) -> String {
        let Episode { note, causes, origins, .. } = self.episode;
        let parts = causes.iter().filter(|_| causes.len() > 1);
        let parts = parts.map(|cause| part(cause.share, &cause.label, &cause.kind));
        let parts: Vec<String> = parts.chain(origins.iter().map(|origin| origin.prefix.clone())).collect();
        if parts.is_empty() { note.clone() } else { format!("{note} ({})", parts.join(", ")) }
    }

    fn is_right(&self) -> bool {
        let [record] = &self.told[..] else { return false };
        let (label, kind) = verdict(record);
        let fits = |name: &crate::synth::world::Verdict| {
            name.label == label && (name.kind.is_empty() || name.kind == kind)
        };
        self.episode.acceptable.iter().any(fits)
    }
}

/// The last record of each incident, in the order they opened.
fn last_told(lines: &str) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    let records = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for record in records.filter(|record| record["event_type"] == "alert") {
        let id = &record["incident"]["id"];
        match told.iter_mut().find(|have| have["incident"]["id"] == *id) {
            Some(have) => *have = record,
            None => told.push(record),
        }
    }
    told
}

/// Whether the incident is of the episode's service and went on while the episode did.
fn is_of(record: &Value, episode: &Episode) -> bool {
    let incident = &record["incident"];
    let ended = if incident["ended"].is_null() { &record["timestamp"] } else { &incident["ended"] };
    let times = (time(text(&incident["started"])), time(text(ended)));
    let (Some(started), Some(ended)) = times else { return false };
    let (Some(begin), Some(end)) = (time(&episode.begin), time(&episode.end)) else { return false };
    record["service"]["name"] == episode.service.as_str() && started <= end && ended >= begin
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn verdict(record: &Value) -> (&str, &str) {
    (text(&record["verdict"]["label"]), text(&record["verdict"]["kind"]))
}

fn said(record: &Value) -> String {
    let (label, kind) = verdict(record);
    named(label, kind)
}

/// `glitch (network)`
fn named(label: &str, kind: &str) -> String {
    if kind.is_empty() { label.to_owned() } else { format!("{label} ({kind})") }
}

/// `62 % heavy_client`
fn part(share: f64, label: &str, kind: &str) -> String {
    format!("{:.0} % {}", share * 100.0, named(label, kind))
}

fn sure(record: &Value) -> String {
    // Never told as certain.
    let percent = (record["verdict"]["confidence"].as_f64().unwrap_or(0.0) * 100.0).round().min(99.0);
    format!("{percent} %")
}

/// How long after the begin it was noticed.
fn after(record: &Value, begin: Option<Timestamp>) -> String {
    let detected = time(text(&record["incident"]["detected"]));
    let passed = begin.zip(detected).map(|(begin, detected)| detected.since(begin).secs());
    passed.map(|secs| format!("{secs} s")).unwrap_or_default()
}

fn who(record: &Value) -> String {
    let origins = record["origins"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(first) = origins.first() else { return "no origin".to_owned() };
    let network = first["asn"].as_u64().map(|asn| format!("AS{asn}, ")).unwrap_or_default();
    let from = format!("({network}{})", text(&first["country"]));
    match origins {
        [only] => format!("{} {from}", text(&only["value"])),
        several => format!("{} origins {from}", several.len()),
    }
}

/// The parts, where there are several, and the weightiest reason.
fn because(record: &Value) -> String {
    let verdict = &record["verdict"];
    let causes = verdict["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parts: Vec<String> = causes
        .iter()
        .map(|cause| {
            part(cause["share"].as_f64().unwrap_or(0.0), text(&cause["label"]), text(&cause["kind"]))
        })
        .collect();
    let reason = text(&verdict["for"][0]["text"]);
    if parts.len() > 1 { format!("{}: {reason}", parts.join(", ")) } else { reason.to_owned() }
}

/// A row that goes on without its first columns.
fn padded(row: Vec<String>) -> Vec<String> {
    let missing = WIDTHS.len().saturating_sub(row.len());
    std::iter::repeat_n(String::new(), missing).chain(row).collect()
}

/// Of the columns; the last takes what is left.
const WIDTHS: [usize; 7] = [8, 7, 19, 22, 4, 5, 0];

fn cells(row: &[String]) -> String {
    let cells = row.iter().zip(WIDTHS).map(|(cell, wide)| format!("{cell:<wide$}"));
    format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
}

/// A named text below a row, broken into lines.
fn note(out: &mut fmt::Formatter<'_>, name: &str, told: &str) -> fmt::Result {
    let mut line = format!("{:INDENT$}{name:<9}", "");
    let begin = line.chars().count();
    for word in told.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(begin);
        }
        line.push_str(word);
        line.push(' ');
    }
    writeln!(out, "{}", line.trim_end())
}

/// A truth in which nothing happens.
#[cfg(test)]
pub fn nothing() -> Truth {
    Truth {
        scenario: String::new(),
        seed: 0,
        start: String::new(),
        end: String::new(),
        home: Vec::new(),
        services: Vec::new(),
        labels: Vec::new(),
        calendar: Vec::new(),
        warmup_until: String::new(),
        episodes: Vec::new(),
        packets: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::world::Verdict;

    fn dead_server() -> Episode {
        Episode {
            service: "id".to_owned(),
            label: "glitch".to_owned(),
            kind: "server".to_owned(),
            begin: "2023-11-23T00:10:00Z".to_owned(),
            end: "2023-11-23T00:12:00Z".to_owned(),
            acceptable: vec![Verdict { label: "glitch".to_owned(), kind: "server".to_owned() }],
            origins: Vec::new(),
            causes: Vec::new(),
            unknown_is_right: false,
            silence_is_right: false,
            detect_within_s: 15,
            decide_within_s: 60,
            note: "the identity service stopped answering".to_owned(),
        }
    }

    fn alert(service: &str, id: &str, label: &str) -> String {
        format!(
            r#"{{"event_type":"alert","timestamp":"2023-11-23T09:12:30+09:00","service":{{"name":"{service}"}},
            "incident":{{"id":"{id}","started":"2023-11-23T09:10:01+09:00","detected":"2023-11-23T09:10:09+09:00","ended":null}},
            "verdict":{{"label":"{label}","kind":"server","confidence":0.961,"for":[{{"text":"nobody is answered"}}]}},
            "origins":[]}}"#
        )
        .replace('\n', "")
    }

    fn compared(lines: &str) -> (usize, usize, String) {
        let truth = Truth { episodes: vec![dead_server()], ..nothing() };
        let compared = Compared::new(&truth, lines);
        (compared.right(), compared.others, compared.to_string())
    }

    #[test]
    fn the_last_word_counts() {
        let lines = [alert("id", "a", "unknown"), alert("id", "a", "glitch")].join("\n");
        let (right, others, text) = compared(&lines);
        assert_eq!((right, others), (1, 0), "{text}");
        assert!(
            text.contains(
                "09:10:00  id       glitch (server)      glitch (server)         96 %  9 s    no origin"
            ),
            "{text}"
        );
        assert!(text.contains("because  nobody is answered"), "{text}");
    }

    #[test]
    fn wrong_silent_and_double_are_not_right() {
        assert_eq!(compared(&alert("id", "a", "attack")).0, 0);
        assert_eq!(compared("").0, 0);
        let twice = [alert("id", "a", "glitch"), alert("id", "b", "glitch")].join("\n");
        assert_eq!(compared(&twice).0, 0);
    }

    #[test]
    fn incidents_of_others_are_counted() {
        let lines = [alert("id", "a", "glitch"), alert("pps", "b", "attack")].join("\n");
        let (right, others, text) = compared(&lines);
        assert_eq!((right, others), (1, 1), "{text}");
    }
}
