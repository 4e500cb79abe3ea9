//! Records in ArcSight's Common Event Format, version 0, with the keys of its dictionary in revision 25. Comes in: EVE. Goes
//! out: one line, `CEF:0|vendor|product|version|id|name|severity|key=value …`. A record that is larger than the format's
//! fields loses its rest: EVE has all of it.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use super::eve::{Eve, SoughtField};
use super::number::quantity;
use super::shape::{PRODUCT, Said, VERSION, millis};

/// The most characters that the dictionary gives a key, by what it is for.
const SHORT: usize = 40;
const IDENTITY: usize = 255;
const NAME: usize = 512;
const WORDS: usize = 1_023;
const CUSTOM: usize = 4_000;

/// Rows of origins, and of what was asked for, that a line names.
const MOST_ROWS: usize = 8;

/// An alert.
pub(super) fn alert(eve: &Eve) -> String {
    let incident = &eve.incident;
    let mut line =
        Line::new(&eve.alert.signature_id.to_string(), &eve.alert.signature, severity(&incident.severity));
    line.number("rt", millis(&eve.timestamp));
    line.number("start", millis(&incident.started));
    if let Some(end) = &incident.ended {
        line.number("end", millis(end));
    }
    line.text("externalId", &incident.id, SHORT);
    line.text("cat", &eve.alert.category, WORDS);
    line.text("deviceExternalId", &eve.sensor, IDENTITY);
    line.text("destinationServiceName", &eve.service.name, WORDS);
    line.ends(eve);
    line.text("msg", &eve.message, WORDS);
    if let Some(fact) = eve.verdict.r#for.first() {
        line.text("reason", &fact.text, WORDS);
    }
    line.verdict(eve);
    line.out
}

/// What the sensor says of itself: its JSON, as far as it fits.
pub(super) fn said(said: &Said) -> String {
    let word = said.event_type.word();
    let mut line = Line::new(word, &format!("{PRODUCT} {word}"), 0);
    if let Some(time) = &said.timestamp {
        line.number("rt", millis(time));
    }
    line.text("deviceExternalId", &said.sensor, IDENTITY);
    line.custom("cs1", "Record", &super::json(&said.rest), CUSTOM);
    line.out
}

/// From 0 to 10: 0 to 3 are low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high.
fn severity(word: &str) -> u8 {
    match word {
        "critical" => 10,
        "high" => 8,
        "medium" => 5,
        _ => 3,
    }
}

/// A line that is being written.
struct Line {
    out: String,
    /// Where the header ends.
    head: usize,
}

impl Line {
    fn new(id: &str, name: &str, severity: u8) -> Self {
        let (id, name) = (escaped(id, HEADER), escaped(&cut(name, NAME), HEADER));
        let out = format!("CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{id}|{name}|{severity}|");
        Self { head: out.len(), out }
    }

    fn number(&mut self, key: &str, number: impl Display) {
        if self.out.len() > self.head {
            self.out.push(' ');
        }
        // Writing into memory cannot fail.
        let _ = write!(self.out, "{key}={number}");
    }

    fn text(&mut self, key: &str, text: &str, most: usize) {
        self.number(key, escaped(&cut(text, most), EXTENSION));
    }

    /// One of the keys whose meaning its label tells.
    fn custom(&mut self, key: &str, label: &str, text: &str, most: usize) {
        self.text(key, text, most);
        self.text(&format!("{key}Label"), label, WORDS);
    }

    /// Both ends: version 0 has keys of their own for IPv6 addresses.
    fn ends(&mut self, eve: &Eve) {
        self.address(("src", "c6a2", "Source IPv6 Address"), eve.src_ip);
        self.address(("dst", "c6a3", "Destination IPv6 Address"), eve.dest_ip);
        if let Some(port) = eve.dest_port {
            self.number("dpt", port);
        }
        self.text("proto", &eve.proto, SHORT);
    }

    fn address(&mut self, (v4, v6, label): (&str, &str, &str), address: Option<IpAddr>) {
        match address {
            Some(IpAddr::V4(address)) => self.number(v4, address),
            Some(IpAddr::V6(address)) => self.custom(v6, label, &address.to_string(), SHORT),
            None => {}
        }
    }

    fn verdict(&mut self, eve: &Eve) {
        let origins: Vec<&str> = eve.origins.iter().take(MOST_ROWS).map(|row| row.value.as_str()).collect();
        let mut places: Vec<String> = eve.origins.iter().map(place).collect();
        places.dedup();
        places.truncate(MOST_ROWS);
        let asked = eve.sought.iter().take(MOST_ROWS).map(SoughtField::words);
        let load = format!("{} {}", quantity(eve.load.rate), eve.load.unit);
        let fields = [
            ("cs1", "Verdict", eve.verdict_told()),
            ("cs2", "Incident State", eve.incident.state.to_string()),
            ("cs3", "Origins", origins.join(", ")),
            ("cs4", "Networks", places.join(", ")),
            ("cs5", "Service Health", eve.health.state.to_string()),
            ("cs6", "Load", load),
            ("flexString1", "Asked For", asked.collect::<Vec<_>>().join(", ")),
        ];
        for (key, label, text) in fields.iter().filter(|(_, _, text)| !text.is_empty()) {
            self.custom(key, label, text, if *key == "flexString1" { WORDS } else { CUSTOM });
        }
        self.number("cn1", eve.incident.seq);
        self.text("cn1Label", "Sequence", WORDS);
        self.number("cfp1", eve.verdict.confidence);
        self.text("cfp1Label", "Confidence", WORDS);
        if let Some(total) = eve.load.total {
            self.number("cnt", total.min(i32::MAX as u64));
        }
    }
}

/// `AS64500 Example Net XX`
fn place(row: &super::eve::OriginField) -> String {
    let network = row.asn.map(|asn| format!("AS{asn}"));
    let parts = [network.as_deref(), row.as_org.as_deref(), Some(row.country.as_ref())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What stands behind a backslash in the header, and in values.
const HEADER: &[char] = &['\\', '|'];
const EXTENSION: &[char] = &['\\', '='];

/// Line ends become `\n` and `\r`, though text that was made safe to show has none.
fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            letter if special.contains(&letter) => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out
}

/// The first `most` characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
