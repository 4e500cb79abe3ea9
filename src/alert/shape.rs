//! The shapes that a record can be written in. Comes in: a [`Record`], whose line is EVE. Goes out: the same record with its
//! line in another shape. The EVE line is the one source: a shape is made of nothing else, so that whatever is left out
//! of it, cut or made safe there is so in every shape.

use super::cef;
use super::ecs;
use super::eve::Eve;
use super::ocsf;
use super::record::{EventType, Record};
use crate::document::words;
use crate::time::Timestamp;

/// The shape of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Format {
    /// Suricata's EVE, with fields of our own: every kind of record.
    #[default]
    Eve,
    /// The Elastic Common Schema.
    Ecs,
    /// The Open Cybersecurity Schema Framework: a Detection Finding for an alert.
    Ocsf,
    /// ArcSight's Common Event Format.
    Cef,
}
words! { Format, "a format": Eve = "eve", Ecs = "ecs", Ocsf = "ocsf", Cef = "cef" }

/// Who says it, in every shape.
pub(super) const PRODUCT: &str = "bongsu";

/// Of which version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a sensor says of itself: a record that is no alert, as far as shapes look into it.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(super) struct Said {
    /// The capture time; none before the first packet.
    pub timestamp: Option<String>,
    /// What it is.
    pub event_type: EventType,
    /// Who says it.
    pub sensor: String,
    /// All the rest, by the names of EVE.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

impl Format {
    /// Whether records of this kind are written in this shape. Flows, requests and ClientHellos come by the hundred
    /// thousand and have schemas of their own: they are told in EVE alone.
    pub fn tells(self, kind: EventType) -> bool {
        self == Self::Eve || !kind.is_of_flows()
    }
}

impl Record {
    /// The record with its line in that shape; itself in EVE, and where its line is not the EVE of its kind.
    pub fn shaped(&self, format: Format) -> Self {
        match self.line_in(format) {
            Some(line) => Self { line: line.into(), ..self.clone() },
            None => self.clone(),
        }
    }

    fn line_in(&self, format: Format) -> Option<String> {
        if format == Format::Eve {
            return None;
        }
        if self.kind == EventType::Alert {
            let eve = Eve::read(&self.line)?;
            return Some(match format {
                Format::Ecs => ecs::alert(&eve),
                Format::Ocsf => ocsf::alert(&eve),
                Format::Cef => cef::alert(&eve),
                Format::Eve => eve.line(),
            });
        }
        let said: Said = serde_json::from_str(&self.line).ok()?;
        Some(match format {
            Format::Ecs => ecs::said(&said),
            Format::Ocsf => ocsf::said(&said),
            Format::Cef => cef::said(&said),
            Format::Eve => self.line.to_string(),
        })
    }
}

/// A time of EVE in milliseconds since the epoch.
pub(super) fn millis(time: &str) -> i64 {
    Timestamp::parse_rfc3339(time).unwrap_or_default().nanos().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests;
