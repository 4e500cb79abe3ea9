//! Where records go, as the configuration says it. Comes in: the entries of `sinks`. Goes out: [`SinkConfig`]s. Nothing is
//! opened here.

use std::path::PathBuf;

use crate::alert::Format;
use crate::detect::rule::Level;
use crate::document::{Fields, Node, Port, Read, Reader, Scalar, nearest, shown};

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkConfig {
    /// A file of JSON lines.
    File {
        /// The file.
        path: PathBuf,
        /// The shape of the records.
        format: Format,
    },
    /// Standard output.
    Stdout {
        /// The shape of the records.
        format: Format,
    },
    /// A syslog collector.
    Syslog {
        /// The collector.
        to: SyslogTarget,
        /// The shape of the records.
        format: Format,
        /// Incidents below it are not sent.
        min_severity: Level,
    },
}

/// A syslog collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogTarget {
    /// RFC 5426: one record a datagram to HOST:PORT.
    Udp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A datagram socket of this machine.
    Unix(PathBuf),
}

/// The sinks there are.
const SINKS: [&str; 3] = ["file", "stdout", "syslog"];

impl Read for SinkConfig {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(text) = node.text() {
            return reader.expected(node, EXPECTED_SINK, Some(&format!("{text}: {{…}}")));
        }
        let [(kind, value)] = reader.entries(node, EXPECTED_SINK)? else {
            reader.problem(node.at, format!("expected one sink an entry: {EXPECTED_SINK}"));
            return None;
        };
        match kind.text.as_str() {
            "file" => read_file(value, reader),
            "stdout" => read_stdout(value, reader),
            "syslog" => read_syslog(value, reader),
            "webhook" => {
                let words = SINKS.join(", ");
                reader.problem(
                    kind.at,
                    format!("the sink 'webhook' is not available in this version: expected one of {words}"),
                );
                None
            }
            other => {
                let message =
                    format!("unknown sink '{}': expected one of {}", shown(other), SINKS.join(", "));
                reader.problem_meaning(kind.at, message, nearest(other, SINKS));
                None
            }
        }
    }
}

const EXPECTED_SINK: &str = "a sink such as file: {path: alerts.jsonl, format: eve}";

fn read_file(node: &Node, reader: &mut Reader<'_>) -> Option<SinkConfig> {
    let mut fields = Fields::of(node, reader, "a file sink")?;
    let path = fields.required("path");
    let format = fields.or("format", Format::Eve);
    fields.finish();
    Some(SinkConfig::File { path: path?, format })
}

/// Standard output needs no more than its name.
fn read_stdout(node: &Node, reader: &mut Reader<'_>) -> Option<SinkConfig> {
    if node.is_null() {
        return Some(SinkConfig::Stdout { format: Format::Eve });
    }
    let mut fields = Fields::of(node, reader, "a stdout sink")?;
    let format = fields.or("format", Format::Eve);
    fields.finish();
    Some(SinkConfig::Stdout { format })
}

fn read_syslog(node: &Node, reader: &mut Reader<'_>) -> Option<SinkConfig> {
    let mut fields = Fields::of(node, reader, "a syslog sink")?;
    let to = fields.required("to");
    let format = fields.or("format", Format::Eve);
    let min_severity = fields.or("min_severity", Level::Low);
    fields.finish();
    Some(SinkConfig::Syslog { to: to?, format, min_severity })
}

impl Scalar for SyslogTarget {
    fn expected() -> String {
        "a collector such as udp://192.0.2.1:514 or unix:///dev/log".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            return path.starts_with('/').then(|| Self::Unix(path.into()));
        }
        let (host, port) = text.strip_prefix("udp://")?.rsplit_once(':')?;
        let Port(port) = Port::parse(port)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().ok().map(|_| address)?,
            None => Some(host).filter(|host| is_host(host))?,
        };
        Some(Self::Udp { host: host.to_owned(), port })
    }

    fn meant(text: &str) -> Option<String> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let guesses = [format!("udp://{rest}"), format!("udp://{rest}:514"), format!("unix://{rest}")];
        guesses.into_iter().find(|guess| Self::parse(guess).is_some())
    }
}

/// Whether the text can be a host's name or an IPv4 address.
fn is_host(host: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors() {
        let udp = |host: &str, port| Some(SyslogTarget::Udp { host: host.to_owned(), port });
        assert_eq!(SyslogTarget::parse("udp://127.0.0.1:514"), udp("127.0.0.1", 514));
        assert_eq!(SyslogTarget::parse("udp://[2001:db8::1]:514"), udp("2001:db8::1", 514));
        assert_eq!(SyslogTarget::parse("unix:///dev/log"), Some(SyslogTarget::Unix("/dev/log".into())));
        assert_eq!(SyslogTarget::parse("tcp://127.0.0.1:514"), None);
        assert_eq!(SyslogTarget::meant("127.0.0.1:514").as_deref(), Some("udp://127.0.0.1:514"));
        assert_eq!(SyslogTarget::meant("upd://siem").as_deref(), Some("udp://siem:514"));
        assert_eq!(SyslogTarget::meant("/dev/log").as_deref(), Some("unix:///dev/log"));
    }
}
