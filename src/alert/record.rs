//! A record on its way to the sinks: one line, and what a sink must know to choose and to wrap it.

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detect::rule::Level;
use crate::document::{Scalar as _, words};
use crate::time::Timestamp;

/// One record, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub kind: EventType,
    /// The incident's severity; `None` for what is no incident.
    pub severity: Option<Level>,
    /// The capture time it speaks of; `None` while no packet was read.
    pub time: Option<Timestamp>,
    /// The incident's identity.
    pub incident: Option<Arc<str>>,
    /// Which word on that incident it is; they count up.
    pub seq: Option<u32>,
    /// The line, without its line end.
    pub line: Arc<str>,
}

impl Record {
    /// A record that concerns no incident.
    pub fn plain(kind: EventType, time: Option<Timestamp>, line: String) -> Self {
        Self { kind, severity: None, time, incident: None, seq: None, line: Arc::from(line) }
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// An incident that opened, changed or closed.
    Alert,
    /// A flow that ended.
    Flow,
    /// A request and its response.
    Http,
    /// A ClientHello.
    Tls,
    /// Something is wrong with the sensor, or well again.
    Notice,
    /// What was read and what became of it.
    Stats,
    /// A sign of life.
    Heartbeat,
    /// What the sensor runs with.
    Config,
}
words! {
    EventType, "an event type":
    Alert = "alert", Flow = "flow", Http = "http", Tls = "tls", Notice = "notice", Stats = "stats", Heartbeat = "heartbeat",
    Config = "config",
}

impl EventType {
    /// Whether it must arrive wherever it is sent: alerts, and what is wrong with the sensor itself.
    pub const fn must_arrive(self) -> bool {
        matches!(self, Self::Alert | Self::Notice)
    }

    /// Whether it is told of single conversations, not of a service or of the sensor.
    pub const fn is_of_flows(self) -> bool {
        matches!(self, Self::Flow | Self::Http | Self::Tls)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let word = String::deserialize(input)?;
        Self::parse(&word).ok_or_else(|| D::Error::custom("no event type"))
    }
}
