//! What is wrong with the sensor itself, and when it is well again. Comes in: conditions as they begin and end. Goes out:
//! `notice` records, which concern no service and are no alerts: a capture knows nothing of them.

use serde::Serialize;

use super::text::told;
use super::{EventType, Record, json};
use crate::time::{Timestamp, Zone};

/// Something that is wrong with the sensor, or limits what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// An interface is not there.
    InterfaceLost,
    /// An interface's link is down.
    LinkDown,
    /// An interface goes by another name than the operator's.
    InterfaceRenamed,
    /// The kernel or the interface drops packets.
    CaptureLoss,
    /// Work is left out so that fewer packets are dropped.
    Shedding,
    /// A thread has not done anything for too long though there is work.
    Stuck,
    /// A thread has ended before its time.
    Dead,
    /// Records do not reach an output.
    SinkFailing,
    /// The disk does not take what must survive until an output takes it.
    SpoolFailing,
    /// New rules, configuration or databases are not used, since they cannot be read.
    ReloadFailed,
    /// The packets that were to be kept are not kept any more.
    NotKept,
    /// What was learned before was damaged and is set aside.
    StateDamaged,
    /// A severe alert that nobody has acknowledged.
    Unacknowledged,
    /// Alerts are withheld, as the operator asked.
    Muted,
}
crate::document::words! {
    Condition, "a condition of the sensor":
    InterfaceLost = "interface_lost", LinkDown = "link_down", InterfaceRenamed = "interface_renamed",
    CaptureLoss = "capture_loss", Shedding = "shedding", Stuck = "stuck", Dead = "dead",
    SinkFailing = "sink_failing", SpoolFailing = "spool_failing", ReloadFailed = "reload_failed", NotKept = "not_kept",
    StateDamaged = "state_damaged", Unacknowledged = "unacknowledged", Muted = "muted",
}

/// A condition that begins, changes or ends.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// What it is.
    pub condition: Condition,
    /// What it is about: an interface, an output, a file, a thread.
    pub subject: &'a str,
    /// Whether it holds from now on; else it has ended.
    pub holds: bool,
    /// What is the matter, for people.
    pub message: &'a str,
    /// The capture time; `None` before the first packet.
    pub time: Option<Timestamp>,
    /// The capture time since which it holds or held.
    pub since: Option<Timestamp>,
}

#[derive(Serialize)]
struct NoticeLine {
    timestamp: Option<String>,
    event_type: EventType,
    sensor: String,
    condition: &'static str,
    subject: String,
    state: &'static str,
    since: Option<String>,
    message: String,
}

impl Notice<'_> {
    /// The `notice` record.
    pub fn record(&self, sensor: &str, zone: &Zone) -> Record {
        let at = |time: Option<Timestamp>| time.map(|time| time.rfc3339(zone));
        let line = json(&NoticeLine {
            timestamp: at(self.time),
            event_type: EventType::Notice,
            sensor: told(sensor),
            condition: self.condition.word(),
            subject: told(self.subject),
            state: if self.holds { "on" } else { "off" },
            since: at(self.since),
            message: told(self.message),
        });
        Record::plain(EventType::Notice, self.time, line)
    }
}

/// A condition that holds, as other records name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Its word.
    pub condition: &'static str,
    /// What it is about.
    pub subject: String,
    /// Since when, in capture time.
    pub since: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_when_it_begins_and_when_it_ends() {
        let begun = Timestamp::from_secs(1_700_698_780);
        let notice = Notice {
            condition: Condition::InterfaceLost,
            subject: "eth1",
            holds: false,
            message: "eth1 is back",
            time: Some(Timestamp::from_secs(1_700_698_781)),
            since: Some(begun),
        };
        assert_eq!(
            &*notice.record("mirror-1", &Zone::utc()).line,
            concat!(
                r#"{"timestamp":"2023-11-23T00:19:41.000000+00:00","event_type":"notice","sensor":"mirror-1","#,
                r#""condition":"interface_lost","subject":"eth1","state":"off","#,
                r#""since":"2023-11-23T00:19:40.000000+00:00","message":"eth1 is back"}"#
            )
        );
    }
}
