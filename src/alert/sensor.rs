//! What the sensor says of itself. Comes in: what it runs with and how far it is. Goes out: the `config` and
//! `heartbeat` records.

use std::fmt;

use serde::Serialize;

use super::text::told;
use super::{EventType, Geo, Holding, Record, Target, json};
use crate::attribute::Country;
use crate::time::{Timestamp, Zone};

/// What the sensor runs with.
#[derive(Debug, Clone)]
pub struct Configuration<'a> {
    /// The capture time from which on it holds; `None` before the first packet.
    pub time: Option<Timestamp>,
    /// The home countries; empty where none is known.
    pub home: &'a [Country],
    /// The services.
    pub services: &'a [Watching],
    /// The number of rules.
    pub rules: usize,
    /// The databases.
    pub geo: &'a Geo,
    /// The seed that all sketches share.
    pub sketch_seed: u64,
    /// What a reload changed.
    pub changes: &'a [Changed],
}

/// Something that a reload changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// What it is.
    pub what: String,
    /// As it was; `None` where it was not there, or was otherwise in more than can be said here.
    pub old: Option<String>,
    /// As it is; `None` where it is gone.
    pub new: Option<String>,
}

impl fmt::Display for Changed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
        write!(out, "{}: {} → {}", self.what, side(&self.old), side(&self.new))
    }
}

/// A service that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watching {
    /// It was named.
    Named(Target),
    /// It was found in the traffic.
    Found(Target),
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// The capture time reached.
    pub time: Option<Timestamp>,
    /// Packets read so far.
    pub read: u64,
    /// Packets that the kernel or the interface dropped so far.
    pub dropped: u64,
    /// Incidents that are open.
    pub open_incidents: u64,
    /// Records that a sink had no room for so far.
    pub discarded: u64,
    /// What is wrong with the sensor.
    pub conditions: Vec<Holding>,
    /// Where records go, and whether they arrive.
    pub outputs: Vec<Output>,
}

/// An output: what reaches it, and what does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Whether records reach it.
    pub ok: bool,
    /// The least severity of the incidents that it is told.
    pub min_severity: &'static str,
    /// Records that reached it.
    pub delivered: u64,
    /// Records that wait for it.
    pub waiting: u64,
    /// Records that it will never have.
    pub lost: u64,
    /// What went wrong last, where it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Serialize)]
struct ConfigLine<'a> {
    timestamp: Option<String>,
    event_type: EventType,
    sensor: String,
    home: &'a [Country],
    services: Vec<ServiceLine>,
    rules: usize,
    geo: &'a Geo,
    /// As text: JSON readers round whole numbers past 2^53.
    sketch_seed: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Changed>,
}

#[derive(Serialize)]
struct ServiceLine {
    name: String,
    addresses: Vec<String>,
    ports: Vec<u16>,
    found: bool,
}

#[derive(Serialize)]
struct HeartbeatLine<'a> {
    timestamp: Option<String>,
    event_type: EventType,
    sensor: String,
    packets: u64,
    dropped: u64,
    open_incidents: u64,
    discarded: u64,
    conditions: &'a [Holding],
    outputs: &'a [Output],
}

impl Watching {
    /// Its name, addresses and ports.
    pub fn target(&self) -> &Target {
        match self {
            Watching::Named(target) | Watching::Found(target) => target,
        }
    }
}

impl From<&Watching> for ServiceLine {
    fn from(watching: &Watching) -> Self {
        let target = watching.target();
        Self {
            name: target.name.clone(),
            addresses: target.addresses_told(),
            ports: target.ports.clone(),
            found: matches!(watching, Watching::Found(_)),
        }
    }
}

impl Configuration<'_> {
    /// The `config` record.
    pub fn record(&self, sensor: &str, zone: &Zone) -> Record {
        let line = json(&ConfigLine {
            timestamp: self.time.map(|time| time.rfc3339(zone)),
            event_type: EventType::Config,
            sensor: told(sensor),
            home: self.home,
            services: self.services.iter().map(ServiceLine::from).collect(),
            rules: self.rules,
            geo: self.geo,
            sketch_seed: format!("{:016x}", self.sketch_seed),
            changes: self.changes.iter().map(Changed::told).collect(),
        });
        Record::plain(EventType::Config, self.time, line)
    }
}

impl Changed {
    fn told(&self) -> Self {
        let side = |side: &Option<String>| side.as_deref().map(told);
        Self { what: told(&self.what), old: side(&self.old), new: side(&self.new) }
    }
}

impl Heartbeat {
    /// The `heartbeat` record.
    pub fn record(&self, sensor: &str, zone: &Zone) -> Record {
        let line = json(&HeartbeatLine {
            timestamp: self.time.map(|time| time.rfc3339(zone)),
            event_type: EventType::Heartbeat,
            sensor: told(sensor),
            packets: self.read,
            dropped: self.dropped,
            open_incidents: self.open_incidents,
            discarded: self.discarded,
            conditions: &self.conditions,
            outputs: &self.outputs,
        });
        Record::plain(EventType::Heartbeat, self.time, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Pseudonyms;
    use crate::detect::Subject;
    use crate::service::Services;

    #[test]
    fn the_services_are_named_with_how_they_came_to_be_watched() {
        let found = Subject::Found("192.0.2.1:443".parse().unwrap());
        let services = [Watching::Found(Target::of(found, &Services::default(), &Pseudonyms::default()))];
        let geo = Geo { country_db: "countries".to_owned(), ..Geo::default() };
        let configuration = Configuration {
            time: None,
            home: &[Country::Code(*b"KR")],
            services: &services,
            rules: 7,
            geo: &geo,
            sketch_seed: 9,
            changes: &[],
        };
        assert_eq!(
            &*configuration.record("mirror-1", &Zone::utc()).line,
            concat!(
                r#"{"timestamp":null,"event_type":"config","sensor":"mirror-1","home":["KR"],"#,
                r#""services":[{"name":"192.0.2.1:443","addresses":["192.0.2.1"],"ports":[443],"found":true}],"#,
                r#""rules":7,"geo":{"country_db":"countries","build_epoch":0,"asn_db":"","asn_build_epoch":0},"#,
                r#""sketch_seed":"0000000000000009"}"#
            )
        );
    }

    #[test]
    fn a_heartbeat_says_how_far_the_capture_is() {
        let beat = Heartbeat { time: Some(Timestamp::from_secs(0)), read: 5, ..Heartbeat::default() };
        assert_eq!(
            &*beat.record("mirror-1", &Zone::utc()).line,
            concat!(
                r#"{"timestamp":"1970-01-01T00:00:00.000000+00:00","event_type":"heartbeat","#,
                r#""sensor":"mirror-1","packets":5,"dropped":0,"open_incidents":0,"discarded":0,"#,
                r#""conditions":[],"outputs":[]}"#
            )
        );
    }
}
