//! What a person or a SIEM is told: an incident in its surroundings ([`Alert`]), and what the sensor says of itself.
//! Comes in: [`Incident`]s and what is known around them. Goes out: [`Record`]s (one JSON line each) and readable text.
//! Judges nothing, looks nothing up by itself, and does not know where records go.
//!
//! A record is written in EVE; its other shapes ([`Format`]) are made of that.
//!
//! Fields are those of Suricata's [EVE](https://docs.suricata.io/en/latest/output/eve/eve-json-format.html) where the
//! meaning is theirs.

mod cef;
mod digest;
mod ecs;
mod eve;
mod evidence;
mod flow;
mod json;
mod message;
mod mute;
mod notice;
mod number;
mod ocsf;
mod page;
mod pseudonym;
mod record;
mod sensor;
mod shape;
mod stamp;
mod stats;
mod story;
mod summary;
mod table;
mod target;
mod text;
mod unit;
mod verdict;

use std::borrow::Cow;
use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::detect::rule::RuleSet;
use crate::incident::{Incident, Origin};
use crate::service::Services;
use crate::time::Zone;

pub use digest::Digest;
pub use flow::FlowWriter;
pub use mute::{Mute, Mutes};
pub use notice::{Condition, Holding, Notice};
pub use page::Page;
pub use pseudonym::{KEY_DIGITS, KeyError, PseudonymKey, Pseudonyms};
pub use record::{EventType, Record};
pub use sensor::{Changed, Configuration, Heartbeat, Output, Watching};
pub use shape::Format;
pub use stats::{CaptureStats, Named, OneWay, PacketStats, Stats, seen};
pub use summary::{Paint, Reading, Summary};
pub use target::Target;
pub use text::{MAX_TOLD, told};

/// An incident and what is known around it: everything that its formats need. Whatever is told of an incident is told of
/// this, in which addresses have become pseudonyms where that is wanted.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    incident: Cow<'a, Incident>,
    around: &'a Surroundings<'a>,
    /// Who holds the network of each row of origins, looked up by its true address.
    organizations: Vec<Option<String>>,
}

/// What is known around an incident at the moment it is told.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The sensor's name.
    pub sensor: &'a str,
    /// The zone that times are written in.
    pub zone: &'a Zone,
    /// The named services.
    pub services: &'a Services,
    /// The rules that run.
    pub rules: &'a RuleSet,
    /// Who holds the network of an address, where the database says it.
    pub organization: &'a dyn Fn(IpAddr) -> Option<String>,
    /// The operator's labels, in the order of their [`LabelId`](crate::attribute::LabelId).
    pub labels: &'a [String],
    /// The databases that addresses were attributed with.
    pub geo: &'a Geo,
    /// How good the capture is so far.
    pub capture: Quality,
    /// What is told of addresses.
    pub pseudonyms: &'a Pseudonyms,
}

/// The databases that addresses are attributed with.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Geo {
    /// The name of the country database.
    pub country_db: String,
    /// When it was built, in seconds since the epoch.
    pub build_epoch: u64,
    /// The name of the network database.
    pub asn_db: String,
    /// When it was built, in seconds since the epoch.
    pub asn_build_epoch: u64,
}

/// How good a capture is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// The part of the packets that was lost before they were read, 0 to 1.
    pub loss: f64,
    /// Whether only one side of the conversations is seen.
    pub one_way: bool,
    /// The part of the packets that is a copy of another, 0 to 1.
    pub duplicates: f64,
    /// How much of the work is left out, in steps; 0 is none.
    pub shed: u8,
}

impl<'a> Alert<'a> {
    /// An incident, to be told.
    pub fn new(incident: &'a Incident, around: &'a Surroundings<'a>) -> Self {
        let organization = |row: &Origin| {
            row.asn?;
            (around.organization)(row.example).map(|name| told(&name))
        };
        let organizations = incident.origins.iter().map(organization).collect();
        Self { incident: around.pseudonyms.incident(incident), around, organizations }
    }

    /// The incident's identity: 16 hexadecimal digits from the sensor, the service and the tick that opened it, the same
    /// whenever it is told.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.around.sensor, self.target().name.as_str()] {
            // The length stands before each text, so that no two pairs of names run into the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.incident.opened.epoch.to_be_bytes());
        hash.update(self.incident.opened.second.to_be_bytes());
        let mut digits = digest::hex(&hash.finalize());
        digits.truncate(ID_DIGITS);
        digits
    }

    /// The service it is about.
    pub fn target(&self) -> Target {
        Target::of(self.incident.subject, self.around.services, self.around.pseudonyms)
    }

    /// The rows of its origins, and who holds the network of each, safe to show.
    fn origins(&self) -> impl Iterator<Item = (&Origin, Option<&str>)> {
        self.incident.origins.iter().zip(self.organizations.iter().map(Option::as_deref))
    }

    /// One plain sentence; names no country where no origin can be named.
    pub fn message(&self) -> String {
        message::message(self)
    }

    /// The alert as one line of EVE JSON, without its line end.
    pub fn eve(&self) -> String {
        eve::Eve::of(self).line()
    }

    /// The alert as a record for the sinks, in EVE.
    pub fn record(&self) -> Record {
        Record {
            kind: EventType::Alert,
            severity: Some(self.incident.severity),
            time: Some(self.incident.decided),
            incident: Some(self.id().into()),
            seq: Some(self.incident.seq),
            line: self.eve().into(),
        }
    }
}

/// 64 bits: two incidents of one service in a lifetime get the same one about never.
const ID_DIGITS: usize = 16;

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Surroundings").field("sensor", &self.sensor).finish_non_exhaustive()
    }
}

/// Writes one JSON line. Records are structs of text, numbers and lists with text as keys: of these none can fail.
fn json<T: serde::Serialize>(record: &T) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
