//! The end of a run for a reader: every incident's story, then what was read and watched. Comes in: incidents as they
//! closed and a [`Reading`]. Goes out: text of at most 100 cells a line, without colours unless told.

use std::fmt;

use super::number::{duration, percent, plural, quantity};
use super::sensor::Watching;
use super::story::story;
use super::table::{cut, wrapped};
use super::target::Target;
use super::{Alert, Surroundings};
use crate::attribute::Country;
use crate::incident::Incident;
use crate::time::{Timestamp, Zone};

/// A terminal of common width, and a line that fits a mail.
pub(super) const WIDTH: usize = 100;

/// Services that are listed.
const MOST_LISTED: usize = 16;

/// What a run found, readable: print it with `{}`.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// What is known around the incidents.
    pub around: &'a Surroundings<'a>,
    /// The incidents, each as it was told last.
    pub incidents: &'a [Incident],
    /// What was read.
    pub reading: &'a Reading,
    /// Whether colours are wanted.
    pub paint: Paint,
}

/// What a run read and watched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Packets read.
    pub packets: u64,
    /// Packets that were skipped.
    pub skipped: u64,
    /// The packets' bytes on the wire.
    pub bytes: u64,
    /// The earliest capture time.
    pub first: Option<Timestamp>,
    /// The latest capture time.
    pub last: Option<Timestamp>,
    /// The services.
    pub services: Vec<Watching>,
    /// The home countries; empty where none is known.
    pub home: Vec<Country>,
}

/// Whether text for a terminal has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// None.
    #[default]
    Plain,
    /// ANSI colours.
    Coloured,
}

/// A time in the parts that people read.
pub(super) struct Clock {
    pub day: String,
    pub time: String,
    pub offset: String,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, incident) in self.incidents.iter().enumerate() {
            let alert = Alert::new(incident, self.around);
            writeln!(out, "{}", story(&alert, index + 1, self.paint))?;
        }
        for fact in [self.found(), self.read(), self.watched(), self.home()] {
            for line in wrapped(&fact, WIDTH) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }
}

impl Alert<'_> {
    /// The incident as a few readable lines, `number` being its place in the run, from 1.
    pub fn story(&self, number: usize, paint: Paint) -> String {
        story(self, number, paint)
    }
}

impl Summary<'_> {
    fn found(&self) -> String {
        match self.incidents.len() {
            0 if self.reading.services.is_empty() => "Nothing was judged: no service to watch.".to_owned(),
            0 => "No incident: no rule held for any service.".to_owned(),
            count => {
                let foreign = |incident: &&Incident| incident.foreign.is_some_and(|it| it.concentrated);
                let concentrated = self.incidents.iter().filter(foreign).count();
                format!(
                    "{count} {}, {concentrated} with concentrated foreign access.",
                    plural(count, "incident", "incidents")
                )
            }
        }
    }

    /// `120,000 packets (3 % skipped), 84 MB, 2023-11-23 09:08:00 - 09:20:00 +09:00 (12 min).`
    fn read(&self) -> String {
        let reading = self.reading;
        let (Some(first), Some(last)) = (reading.first, reading.last) else {
            return "No packet was read.".to_owned();
        };
        let skipped = match reading.skipped {
            0 => String::new(),
            some => format!(" ({} skipped)", percent(some as f64 / reading.packets.max(1) as f64)),
        };
        let zone = self.around.zone;
        let (start, end) = (clock(first, zone), clock(last, zone));
        let end_day = if start.day == end.day { String::new() } else { format!("{} ", end.day) };
        format!(
            "Read {} {}{skipped}, {}, {} {} - {end_day}{} {} ({}).",
            quantity(reading.packets as f64),
            if reading.packets == 1 { "packet" } else { "packets" },
            size(reading.bytes),
            start.day,
            start.time,
            end.time,
            end.offset,
            duration(last.since(first))
        )
    }

    fn watched(&self) -> String {
        let services = &self.reading.services;
        let found = services.iter().any(|service| matches!(service, Watching::Found(_)));
        let list: Vec<String> =
            services.iter().take(MOST_LISTED).map(|service| listed(service.target())).collect();
        let more = match services.len().saturating_sub(MOST_LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match (services.len(), found) {
            (0, _) => "No service was named, and no web server was found in the traffic \
                       (name one with -s NAME=ADDR:PORT)."
                .to_owned(),
            (_, true) => format!("Services found in the traffic: {}{more}.", list.join("; ")),
            (_, false) => format!("Services watched: {}{more}.", list.join("; ")),
        }
    }

    fn home(&self) -> String {
        if self.reading.home.is_empty() {
            return "No home was named (--home CC): the country of a service's own address is home; where it has none, \
                    nothing is called foreign."
                .to_owned();
        }
        let names: Vec<String> = self.reading.home.iter().map(Country::to_string).collect();
        format!("Home: {}; the rest of the world is foreign.", names.join(", "))
    }
}

impl Paint {
    /// Text that should be seen first: bold and red.
    pub(super) fn alarming(self, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Coloured => format!("\x1b[1;31m{text}\x1b[0m"),
        }
    }
}

/// `pps 211.34.105.10 80,443`; a name that is the address and port says it all.
fn listed(target: &Target) -> String {
    let ports: Vec<String> = target.ports.iter().map(u16::to_string).collect();
    let told = target.addresses_told();
    if target.addresses.len() == 1
        && target.ports.len() == 1
        && target.name.ends_with(&format!(":{}", ports.join("")))
    {
        return target.name.clone();
    }
    cut(&format!("{} ({} port {})", target.name, told.join(", "), ports.join(",")), WIDTH - 30)
}

/// Bytes in powers of ten.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b >= 1e9 => format!("{} GB", quantity(b / 1e9)),
        b if b >= 1e6 => format!("{} MB", quantity(b / 1e6)),
        b if b >= 1e3 => format!("{} kB", quantity(b / 1e3)),
        b => format!("{} bytes", quantity(b)),
    }
}

/// A time in the parts that people read: day, time to the second, offset.
pub(super) fn clock(time: Timestamp, zone: &Zone) -> Clock {
    let text = time.rfc3339(zone);
    let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
    Clock {
        day: day.to_owned(),
        time: rest.get(..8).unwrap_or_default().to_owned(),
        offset: rest.get(15..).unwrap_or_default().to_owned(),
    }
}
