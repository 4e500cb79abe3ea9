//! Where records go, as the configuration says it. Comes in: the entries of `sinks`. Goes out: [`SinkConfig`]s. Nothing is
//! opened here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::alert::Format;
use crate::detect::rule::Level;
use crate::document::{Bytes, Count, Fields, Node, Port, Read, Reader, Scalar, nearest, shown};
use crate::sink::{Compression, Hook, HookUrl, Rotation, SecretSource, TIMEOUT, TIMEOUTS};
use crate::time::Span;

/// A place that records go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Which.
    pub to: SinkTo,
    /// The shape of the records.
    pub format: Format,
    /// Incidents below it are not sent.
    pub min_severity: Level,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTo {
    /// A file of lines.
    File {
        /// The file.
        path: PathBuf,
        /// When another file is begun.
        rotation: Option<Rotation>,
    },
    /// Standard output.
    Stdout,
    /// A syslog collector.
    Syslog {
        /// Which.
        to: SyslogTarget,
        /// Authorities that are believed instead of those of the machine (TLS only).
        ca_file: Option<PathBuf>,
    },
    /// A receiver by HTTP.
    Webhook(Hook),
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
    /// RFC 6587: messages with their length before them.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// RFC 5425: likewise by TLS.
    Tls {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// The sinks there are.
const SINKS: [&str; 4] = ["file", "stdout", "syslog", "webhook"];

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
            "webhook" => read_webhook(value, reader),
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
    let rotation = fields.optional("rotate");
    let sink = |path| SinkTo::File { path, rotation };
    finish(fields, path.map(sink))
}

/// Standard output needs no more than its name.
fn read_stdout(node: &Node, reader: &mut Reader<'_>) -> Option<SinkConfig> {
    if node.is_null() {
        return Some(SinkConfig { to: SinkTo::Stdout, format: Format::Eve, min_severity: Level::Low });
    }
    let fields = Fields::of(node, reader, "a stdout sink")?;
    finish(fields, Some(SinkTo::Stdout))
}

fn read_syslog(node: &Node, reader: &mut Reader<'_>) -> Option<SinkConfig> {
    let mut fields = Fields::of(node, reader, "a syslog sink")?;
    let to = fields.required("to");
    let ca_file = fields.optional("ca_file");
    if ca_file.is_some() && !matches!(to, None | Some(SyslogTarget::Tls { .. })) {
        let at = fields.at();
        fields.reader().problem(at, "'ca_file' is for a collector by TLS, as tls://192.0.2.1:6514");
    }
    finish(fields, to.map(|to| SinkTo::Syslog { to, ca_file }))
}

fn read_webhook(node: &Node, reader: &mut Reader<'_>) -> Option<SinkConfig> {
    let mut fields = Fields::of(node, reader, "a webhook sink")?;
    fields.need("url");
    let url = fields.node("url").and_then(|node| read_url(node, fields.reader()));
    let (file, env) = (fields.optional("secret_file"), fields.optional::<String>("secret_env"));
    if file.is_some() && env.is_some() {
        let at = fields.at();
        fields.reader().problem(at, "'secret_file' and 'secret_env' name two secrets: leave one out");
    }
    let secret = file.map(SecretSource::File).or(env.map(SecretSource::Env));
    let ca_file = fields.optional("ca_file");
    let timeout = fields.checked("timeout", "a time from 100ms to 2m", |time: &Span| {
        TIMEOUTS.contains(&Duration::from_nanos(time.nanos()))
    });
    let timeout = timeout.map_or(TIMEOUT, |time| Duration::from_nanos(time.nanos()));
    finish(fields, url.map(|url| SinkTo::Webhook(Hook { url, secret, ca_file, timeout })))
}

/// Reads an address. What stands there is not told again: it may hold a secret.
fn read_url(node: &Node, reader: &mut Reader<'_>) -> Option<HookUrl> {
    let url = node.text().and_then(HookUrl::parse);
    if url.is_none() {
        let expected = "expected an address such as https://siem.example/hook, without a user or a password";
        reader.problem(node.at, expected);
    }
    url
}

/// Reads what every sink has.
fn finish(mut fields: Fields<'_, '_, '_>, to: Option<SinkTo>) -> Option<SinkConfig> {
    let format = fields.or("format", Format::Eve);
    let min_severity = fields.or("min_severity", Level::Low);
    fields.finish();
    Some(SinkConfig { to: to?, format, min_severity })
}

impl Read for Rotation {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "a rotation")?;
        let size = fields.checked("size", "a size of at least 1KiB", |size| *size >= Bytes(MIN_FILE));
        let size = size.map(|Bytes(size)| size);
        let every = fields.optional("every");
        if fields.node("size").is_none() && fields.node("every").is_none() {
            let at = fields.at();
            fields.reader().problem(at, "expected 'size' or 'every': when another file is begun");
        }
        let keep = fields.checked("keep", "at most 10000 files", |keep| *keep <= Count(MAX_KEPT));
        let compress = fields.or("compress", Compression::Gz);
        fields.finish();
        let keep = keep.map_or(KEPT, |Count(keep)| usize::try_from(keep).unwrap_or(usize::MAX));
        Some(Self { size, every, keep, compress })
    }
}

/// Below it, beginning files would cost more than writing them.
const MIN_FILE: u64 = 1_024;

/// A week of days.
const KEPT: usize = 7;

/// More are no archive but a heap.
const MAX_KEPT: u64 = 10_000;

impl Scalar for SyslogTarget {
    fn expected() -> String {
        "a collector such as udp://192.0.2.1:514, tcp://…, tls://… or unix:///dev/log".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if scheme == "unix" {
            return rest.starts_with('/').then(|| Self::Unix(rest.into()));
        }
        let (host, port) = host_and_port(rest)?;
        match scheme {
            "udp" => Some(Self::Udp { host, port }),
            "tcp" => Some(Self::Tcp { host, port }),
            "tls" => Some(Self::Tls { host, port }),
            _ => None,
        }
    }

    fn meant(text: &str) -> Option<String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = nearest(scheme, ["udp", "tcp", "tls"]).unwrap_or("udp");
        let guesses =
            [format!("{scheme}://{rest}"), format!("{scheme}://{rest}:514"), format!("unix://{rest}")];
        guesses.into_iter().find(|guess| Self::parse(guess).is_some())
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let Port(port) = Port::parse(port)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok().map(|_| address)?,
        None => Some(host).filter(|host| is_host(host))?,
    };
    Some((host.to_owned(), port))
}

impl SinkTo {
    /// The same with relative paths of what is read taken from `folder`.
    pub(super) fn beside(self, folder: &Path) -> Self {
        match self {
            SinkTo::Webhook(hook) => SinkTo::Webhook(hook.beside(folder)),
            SinkTo::Syslog { to, ca_file } => {
                SinkTo::Syslog { to, ca_file: ca_file.map(|path| folder.join(path)) }
            }
            other => other,
        }
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
        let host = "siem.example".to_owned();
        assert_eq!(
            SyslogTarget::parse("tls://siem.example:6514"),
            Some(SyslogTarget::Tls { host, port: 6514 })
        );
        assert!(matches!(SyslogTarget::parse("tcp://[::1]:514"), Some(SyslogTarget::Tcp { port: 514, .. })));
        assert_eq!(SyslogTarget::parse("http://127.0.0.1:514"), None);
        assert_eq!(SyslogTarget::meant("tcpp://siem").as_deref(), Some("tcp://siem:514"));
        assert_eq!(SyslogTarget::meant("127.0.0.1:514").as_deref(), Some("udp://127.0.0.1:514"));
        assert_eq!(SyslogTarget::meant("upd://siem").as_deref(), Some("udp://siem:514"));
        assert_eq!(SyslogTarget::meant("/dev/log").as_deref(), Some("unix:///dev/log"));
    }
}
