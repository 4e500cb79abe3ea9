//! What was read and what became of it. Comes in: the counts of all stages. Goes out: the `stats` record, which in a
//! replay depends on the packets alone.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::number::{self, share};
use super::text::told;
use super::{EventType, Holding, Quality, Record, json};
use crate::aggregate::Sides;
use crate::decode::FragmentCounts;
use crate::metrics::{Reason, Tally};
use crate::time::{Timestamp, Zone};

/// The counts of a run so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// What became of the packets.
    pub packets: PacketStats,
    /// The packets' bytes on the wire.
    pub bytes: u64,
    /// What became of the flows, by name.
    pub flows: Named,
    /// Alert lines.
    pub alerts: u64,
    /// Alerts that were withheld as the operator asked.
    pub withheld: u64,
    /// Services that are watched.
    pub services: u64,
    /// What the capture is like.
    pub capture: CaptureStats,
    /// The services of which one direction only is seen.
    pub one_way: Vec<OneWay>,
    /// What is wrong with the sensor, while it watches.
    pub conditions: Vec<Holding>,
    /// SHA-256 over the alert lines (see [`Digest`](super::Digest)).
    pub digest: String,
}

/// What became of the packets: `read` = `decoded` + the sum of `skipped`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PacketStats {
    /// Packets read.
    pub read: u64,
    /// Packets that went on to the flows.
    pub decoded: u64,
    /// Packets that did not, by reason.
    pub skipped: Named,
    /// Packets that the kernel dropped for want of room.
    pub dropped_kernel: u64,
    /// Packets that the interface dropped.
    pub dropped_interface: u64,
    /// What became of fragments, where there were any.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub fragments: Named,
}

/// What the capture is like.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CaptureStats {
    /// The earliest capture time.
    pub first: Option<Timestamp>,
    /// The latest capture time.
    pub last: Option<Timestamp>,
    /// Whether every input was read to its end.
    pub complete: bool,
    /// Loss, copies and the sides that are seen.
    pub quality: Quality,
    /// Packets that came out of order and were put right.
    pub reordered: u64,
    /// Packets that came after their second was closed.
    pub late: u64,
    /// Times that the clock was believed to step back.
    pub clock_steps: u64,
}

/// A service of which one direction only is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneWay {
    /// Its name.
    pub service: String,
    /// `to_server` or `to_client`.
    pub seen: &'static str,
    /// The ids of the rules that need the other direction, and are off.
    pub rules_off: Vec<String>,
}

/// The name of the one direction that is seen.
pub fn seen(sides: Sides) -> Option<&'static str> {
    match sides {
        Sides::Both => None,
        Sides::ToServer => Some("to_server"),
        Sides::ToClient => Some("to_client"),
    }
}

/// Counts by name, in the order they are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named(pub Vec<(&'static str, u64)>);

impl Named {
    /// The reasons that were counted.
    pub fn of<R: Reason>(tally: &Tally<R>) -> Self {
        Self(tally.iter().map(|(reason, count)| (reason.name(), count)).collect())
    }

    /// What became of fragments; nothing where there were none.
    pub fn of_fragments(counts: &FragmentCounts) -> Self {
        Self(counts.by_name().into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// Whether nothing is counted.
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of all counts.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.0.len()))?;
        for (name, count) in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct StatsLine<'a> {
    timestamp: Option<String>,
    event_type: EventType,
    sensor: String,
    packets: &'a PacketStats,
    bytes: u64,
    flows: &'a Named,
    alerts: u64,
    #[serde(skip_serializing_if = "number::is_nought")]
    withheld: u64,
    services: u64,
    capture: CaptureField<'a>,
    #[serde(skip_serializing_if = "<[Holding]>::is_empty")]
    conditions: &'a [Holding],
    digest: &'a str,
}

#[derive(Serialize)]
struct CaptureField<'a> {
    first: Option<String>,
    last: Option<String>,
    complete: bool,
    loss: f64,
    one_way: bool,
    duplicates: f64,
    reordered: u64,
    late: u64,
    clock_steps: u64,
    #[serde(skip_serializing_if = "number::is_none")]
    shed: u8,
    #[serde(skip_serializing_if = "<[OneWay]>::is_empty")]
    one_way_services: &'a [OneWay],
}

impl Stats {
    /// The record; its time is the latest capture time.
    pub fn record(&self, sensor: &str, zone: &Zone) -> Record {
        let told_time = |time: Option<Timestamp>| time.map(|time| time.rfc3339(zone));
        let capture = &self.capture;
        let line = json(&StatsLine {
            timestamp: told_time(capture.last),
            event_type: EventType::Stats,
            sensor: told(sensor),
            packets: &self.packets,
            bytes: self.bytes,
            flows: &self.flows,
            alerts: self.alerts,
            withheld: self.withheld,
            services: self.services,
            capture: CaptureField {
                first: told_time(capture.first),
                last: told_time(capture.last),
                complete: capture.complete,
                loss: share(capture.quality.loss),
                one_way: capture.quality.one_way,
                duplicates: share(capture.quality.duplicates),
                reordered: capture.reordered,
                late: capture.late,
                clock_steps: capture.clock_steps,
                shed: capture.quality.shed,
                one_way_services: &self.one_way,
            },
            conditions: &self.conditions,
            digest: &self.digest,
        });
        Record::plain(EventType::Stats, capture.last, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_the_contracts_fields_in_order() {
        let stats = Stats {
            packets: PacketStats {
                read: 10,
                decoded: 7,
                skipped: Named(vec![("not_ip", 2), ("filtered", 1)]),
                ..PacketStats::default()
            },
            bytes: 1_000,
            flows: Named(vec![("opened", 3)]),
            alerts: 2,
            services: 1,
            capture: CaptureStats {
                first: Some(Timestamp::from_secs(1_700_698_760)),
                last: Some(Timestamp::from_secs(1_700_698_780)),
                complete: true,
                ..CaptureStats::default()
            },
            digest: "00".to_owned(),
            ..Stats::default()
        };
        let record = stats.record("mirror-1", &Zone::utc());
        assert_eq!(
            &*record.line,
            concat!(
                r#"{"timestamp":"2023-11-23T00:19:40.000000+00:00","event_type":"stats","sensor":"mirror-1","#,
                r#""packets":{"read":10,"decoded":7,"skipped":{"not_ip":2,"filtered":1},"dropped_kernel":0,"#,
                r#""dropped_interface":0},"bytes":1000,"flows":{"opened":3},"alerts":2,"services":1,"#,
                r#""capture":{"first":"2023-11-23T00:19:20.000000+00:00","#,
                r#""last":"2023-11-23T00:19:40.000000+00:00","complete":true,"loss":0.0,"one_way":false,"#,
                r#""duplicates":0.0,"reordered":0,"late":0,"clock_steps":0},"digest":"00"}"#
            )
        );
        assert_eq!(stats.packets.read, stats.packets.decoded + stats.packets.skipped.total());
    }

    #[test]
    fn nothing_read_has_no_time() {
        let record = Stats::default().record("s", &Zone::utc());
        assert!(record.line.starts_with(r#"{"timestamp":null,"event_type":"stats""#), "{}", record.line);
        assert_eq!(record.time, None);
    }
}
