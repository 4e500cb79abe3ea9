//! A record as a spool holds it, and back. JSON, since a spool may be read by a later version, or by somebody at night.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{EventType, Record};
use crate::detect::rule::Level;
use crate::document::Scalar;
use crate::time::Timestamp;

#[derive(Debug, Serialize, Deserialize)]
struct Stored<'a> {
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    severity: Option<Cow<'a, str>>,
    /// Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incident: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
    line: Cow<'a, str>,
}

/// The record's bytes.
pub fn encode(record: &Record) -> Vec<u8> {
    let stored = Stored {
        kind: record.kind.word().into(),
        severity: record.severity.map(|level| level.word().into()),
        time: record.time.map(Timestamp::nanos),
        incident: record.incident.as_deref().map(Into::into),
        seq: record.seq,
        line: (&*record.line).into(),
    };
    // Text and numbers under names: of these none can fail.
    serde_json::to_vec(&stored).unwrap_or_default()
}

/// The record that bytes are of; `None` for what no version so far has written.
pub fn decode(bytes: &[u8]) -> Option<Record> {
    let stored: Stored<'_> = serde_json::from_slice(bytes).ok()?;
    let severity = match &stored.severity {
        Some(word) => Some(Level::parse(word)?),
        None => None,
    };
    Some(Record {
        kind: EventType::parse(&stored.kind)?,
        severity,
        time: stored.time.map(Timestamp::from_nanos),
        incident: stored.incident.as_deref().map(Into::into),
        seq: stored.seq,
        line: (&*stored.line).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let alert = Record {
            kind: EventType::Alert,
            severity: Some(Level::High),
            time: Some(Timestamp::from_nanos(1_700_698_780_000_001_000)),
            incident: Some("00ff00ff00ff00ff".into()),
            seq: Some(3),
            line: "{\"a\":\"조\\n\"}".into(),
        };
        assert_eq!(decode(&encode(&alert)), Some(alert.clone()));
        let bare = Record { severity: None, time: None, incident: None, seq: None, ..alert };
        assert_eq!(decode(&encode(&bare)), Some(bare));
        assert_eq!(decode(b"{}"), None);
        assert_eq!(decode(br#"{"kind":"alert","severity":"worst","line":""}"#), None);
    }
}
