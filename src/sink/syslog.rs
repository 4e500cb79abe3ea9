//! A record as a syslog message of [RFC 5424](https://www.rfc-editor.org/rfc/rfc5424). Comes in: a record and the
//! sensor's name. Goes out: one message whose text is the record's line.

use super::{EventType, Record};
use crate::detect::rule::Level;
use crate::time::Zone;

/// The largest text of a UDP datagram over IPv4: 65,535 less the headers of IP and UDP. Local sockets take as much.
pub const MAX_DATAGRAM: usize = 65_507;

/// local0: what local programs without a facility of their own use.
const FACILITY: u8 = 16;

/// RFC 5424, 6.1: longer host names are none.
const MAX_HOSTNAME: usize = 255;

/// The number that RFC 5612 keeps for documentation, in want of one of our own.
const STRUCTURE: &str = "bongsu@32473";

/// The message.
pub(super) fn message(record: &Record, hostname: &str) -> String {
    let time = record.time.map_or_else(|| "-".to_owned(), |time| time.rfc3339(&Zone::utc()));
    format!(
        "<{priority}>1 {time} {hostname} bongsu - {kind} {data} {line}",
        priority = FACILITY * 8 + severity(record),
        kind = record.kind,
        data = data(record),
        line = record.line,
    )
}

/// RFC 5424, 6.2.1: critical, error, warning, notice; 6 is informational.
fn severity(record: &Record) -> u8 {
    match (record.kind, record.severity) {
        (EventType::Alert, Some(Level::Critical)) => 2,
        (EventType::Alert, Some(Level::High)) => 3,
        (EventType::Alert, Some(Level::Medium)) => 4,
        (EventType::Alert, _) => 5,
        _ => 6,
    }
}

/// `[bongsu@32473 id="…" severity="…"]`, or `-` where there is neither.
fn data(record: &Record) -> String {
    let id = record.incident.as_deref().map(|id| format!(" id=\"{}\"", escaped(id)));
    let severity = record.severity.map(|level| format!(" severity=\"{level}\""));
    match (id, severity) {
        (None, None) => "-".to_owned(),
        (id, severity) => {
            format!("[{STRUCTURE}{}{}]", id.unwrap_or_default(), severity.unwrap_or_default())
        }
    }
}

/// RFC 5424, 6.3.3: quotes, backslashes and closing brackets stand behind a backslash.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// The sensor's name as a host name: printable ASCII without spaces, other letters as dashes.
pub(super) fn hostname(sensor: &str) -> String {
    let printable = |letter: char| if letter.is_ascii_graphic() { letter } else { '-' };
    let name: String = sensor.chars().take(MAX_HOSTNAME).map(printable).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn record(kind: EventType, severity: Option<Level>) -> Record {
        let incident = severity.map(|_| "0a\"]\\1".into());
        let time = Some(Timestamp::from_secs(1_700_698_780));
        Record { kind, severity, time, incident, seq: None, line: r#"{"a":"조"}"#.into() }
    }

    #[test]
    fn an_alert_and_a_stats_record() {
        assert_eq!(
            message(&record(EventType::Alert, Some(Level::High)), "mirror-1"),
            concat!(
                r#"<131>1 2023-11-23T00:19:40.000000+00:00 mirror-1 bongsu - alert "#,
                r#"[bongsu@32473 id="0a\"\]\\1" severity="high"] {"a":"조"}"#
            )
        );
        assert_eq!(
            message(&Record { time: None, ..record(EventType::Stats, None) }, "mirror-1"),
            r#"<134>1 - mirror-1 bongsu - stats - {"a":"조"}"#
        );
    }

    #[test]
    fn severities() {
        let levels = [Level::Critical, Level::High, Level::Medium, Level::Low];
        let numbers = levels.map(|level| severity(&record(EventType::Alert, Some(level))));
        assert_eq!(numbers, [2, 3, 4, 5]);
        assert_eq!(severity(&record(EventType::Heartbeat, None)), 6);
    }

    #[test]
    fn host_names_are_printable() {
        assert_eq!(hostname("mirror 1\r\n조"), "mirror-1---");
        assert_eq!(hostname(""), "-");
        assert_eq!(hostname(&"a".repeat(1_000)).len(), 255);
    }
}
