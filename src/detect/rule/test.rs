//! A rule's own tests: a little traffic that fires it, and some that comes close and does not. Comes in: the list under
//! `tests`. Goes out: typed traffic within bounds. Who plays it stands elsewhere.

use ipnet::IpNet;

use crate::document::{Count, Fields, Node, Port, Rate, Read, Reader, Scalar, Share, Value, words};
use crate::time::Span;

/// One test of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// What is tried, in words.
    pub name: String,
    /// What the rule should do.
    pub expect: Expect,
    /// The traffic, 1 to 16 entries that overlap in time as they say.
    pub traffic: Vec<TestTraffic>,
}

/// What a rule should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// It fires at least once.
    Fire,
    /// It never fires.
    Silent,
}
words! { Expect, "an outcome": Fire = "fire", Silent = "silent" }

/// Traffic of one kind from some clients to the service under test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestTraffic {
    /// Where it comes from.
    pub from: Origin,
    /// How many addresses it is spread over.
    pub sources: u32,
    /// What is sent.
    pub kind: TrafficKind,
    /// How many a second, from all sources together.
    pub rate: f64,
    /// The status of the service's responses.
    pub status: u16,
    /// The paths asked for, each as often as the others (`path`).
    pub paths: Vec<String>,
    /// The port it goes to; `None` for the service's own.
    pub port: Option<u16>,
    /// How many ports in turn, from that one on.
    pub ports: u16,
    /// How many addresses of the service in turn; more than one make it a service of many addresses.
    pub hosts: u16,
    /// The port that datagrams, SYNs and SYN-ACKs come from; `None` for another each time.
    pub source_port: Option<u16>,
    /// The time to the first byte of an answer.
    pub wait: Option<Span>,
    /// Bytes of the bodies of its answers; `None` for another length each time, 400 to 4,000.
    pub body: Option<u32>,
    /// The part of the service's full segments that it sends twice, 0 to 1.
    pub resent: f64,
    /// What becomes of SYNs.
    pub answer: SynAnswer,
    /// Which direction the mirror shows.
    pub seen: Seen,
    /// When it begins, from the start of the test.
    pub start: Span,
    /// How long it lasts (`for`).
    pub duration: Span,
}

/// Where test traffic comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Addresses taken from these prefixes in turn.
    Prefixes(Vec<IpNet>),
    /// Random addresses that never answer.
    Forged,
}

/// What test traffic consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrafficKind {
    /// HTTP requests over connections that are opened and closed properly.
    Requests,
    /// Connections opened and closed, nothing asked.
    Connections,
    /// Connections that are opened and left open, nothing asked.
    Held,
    /// SYNs alone.
    Syns,
    /// ACKs alone, of no conversation.
    OutOfState,
    /// SYN-ACKs alone, which answer nothing.
    SynAcks,
    /// UDP datagrams.
    Datagrams,
    /// First datagrams of conversations over QUIC, answered unless `answer` is none.
    Initials,
    /// ICMP echo requests.
    Pings,
    /// Fragments of UDP datagrams.
    Fragments,
    /// HTTP/2 streams in cleartext that are answered, a hundred on a connection.
    Streams,
    /// The same, broken off at once.
    Resets,
    /// HTTP requests whose heads come a line every few seconds and do not end.
    Drips,
    /// HTTP requests alone: no handshake before, no answer after.
    Strays,
    /// TLS connections on which something is asked and answered.
    Sealed,
    /// TLS connections that end behind the handshake, nothing asked.
    Handshakes,
    /// TLS handshakes begun anew, fifty on a connection.
    Renegotiations,
    /// Small TLS records that are never answered, a thousand on a connection.
    HastyRecords,
}
words! {
    TrafficKind, "a kind of traffic":
    Requests = "requests", Connections = "connections", Held = "held", Syns = "syns", OutOfState = "out_of_state", SynAcks = "syn_acks", Datagrams = "datagrams", Initials = "initials",
    Pings = "pings", Fragments = "fragments", Streams = "streams", Resets = "resets",
    Drips = "drips", Strays = "strays", Sealed = "sealed", Handshakes = "handshakes",
    Renegotiations = "renegotiations", HastyRecords = "hasty_records",
}

/// What becomes of SYNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SynAnswer {
    /// The service answers, the client never acknowledges.
    SynAck,
    /// Nobody answers.
    None,
    /// The service answers RST.
    Reset,
}
words! { SynAnswer, "an answer to SYNs": SynAck = "syn-ack", None = "none", Reset = "reset" }

/// Which direction of test traffic the mirror shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Both.
    Both,
    /// What clients send.
    ToServer,
    /// What the service sends.
    ToClient,
}
words! { Seen, "a direction": Both = "both", ToServer = "to_server", ToClient = "to_client" }

/// More a second would make `bongsu rules test` slow: a minute of it is already 300,000 requests.
const MAX_RATE: f64 = 5_000.0;
/// The longest body of an answer.
const MAX_BODY: u32 = 65_536;
/// As long as the longest timespan.
const MAX_DURATION: Span = Span::from_secs(600);
/// As many as a /16 has.
const MAX_SOURCES: u64 = 65_536;
/// Each is a part of its own in the traffic.
const MAX_PORTS: u16 = 64;
/// The same.
const MAX_HOSTS: u16 = 64;
/// A test is read by people.
const MAX_ENTRIES: usize = 16;
/// Tests of one rule.
const MAX_TESTS: usize = 32;

/// Reads the list under `tests`.
pub(super) fn read_tests(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<RuleTest>> {
    let items = reader.items(node, "a list of tests")?;
    if items.len() > MAX_TESTS {
        reader.problem(node.at, format!("expected at most {MAX_TESTS} tests, found {}", items.len()));
        return None;
    }
    Some(items.iter().filter_map(|item| RuleTest::read(item, reader)).collect())
}

impl Read for RuleTest {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "a test")?;
        let name = fields.required("name");
        let expect = fields.required("expect");
        fields.need("traffic");
        let entries = format!("1 to {MAX_ENTRIES} entries of traffic");
        let traffic =
            fields.checked("traffic", &entries, |list: &Vec<TestTraffic>| list.len() <= MAX_ENTRIES);
        if let Some(node) = fields.node("traffic").filter(|node| node.value == Value::Seq(Vec::new())) {
            fields.reader().problem(node.at, format!("expected {entries}, found none"));
        }
        fields.finish();
        Some(Self { name: name?, expect: expect?, traffic: traffic? })
    }
}

impl Read for TestTraffic {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "test traffic")?;
        let from = fields.required("from");
        let sources = fields
            .checked("sources", "1 to 65536 sources", |count: &Count| (1..=MAX_SOURCES).contains(&count.0));
        let kind = fields.or("kind", TrafficKind::Requests);
        fields.need("rate");
        let rate = fields.checked("rate", "a rate above 0/s and up to 5k/s", |rate: &Rate| {
            rate.0 > 0.0 && rate.0 <= MAX_RATE
        });
        let status =
            fields.checked("status", "a status from 100 to 599", |status: &u16| (100..600).contains(status));
        let paths =
            fields.checked("path", "paths that begin with '/' and have no spaces", |paths: &Paths| {
                paths.0.iter().all(|path| is_path(path))
            });
        let port = fields.optional("port").map(|Port(port)| port);
        let ports = fields.checked("ports", "1 to 64 ports", |ports: &u16| (1..=MAX_PORTS).contains(ports));
        let hosts = fields.checked("hosts", "1 to 64 hosts", |hosts: &u16| (1..=MAX_HOSTS).contains(hosts));
        let source_port = fields.optional("source_port").map(|Port(port)| port);
        let wait = fields.checked("wait", "a wait up to 10m", |wait: &Span| *wait <= MAX_DURATION);
        let body = fields.checked("body", "a body of up to 65536 bytes", |body: &u32| *body <= MAX_BODY);
        let resent = fields.optional("resent").map_or(0.0, |Share(share)| share);
        let answer = fields.or("answer", SynAnswer::SynAck);
        let seen = fields.or("seen", Seen::Both);
        let start = fields.checked("start", "a start from 0s to 10m", |start: &Span| *start <= MAX_DURATION);
        fields.need("for");
        let duration = fields.checked("for", "a duration above 0s and up to 10m", |duration: &Span| {
            *duration > Span::default() && *duration <= MAX_DURATION
        });
        fields.finish();
        Some(Self {
            from: from?,
            sources: sources.and_then(|count| u32::try_from(count.0).ok()).unwrap_or(1),
            kind,
            rate: rate?.0,
            status: status.unwrap_or(200),
            paths: paths.map_or_else(|| vec!["/".to_owned()], |paths| paths.0),
            port,
            ports: ports.unwrap_or(1),
            hosts: hosts.unwrap_or(1),
            source_port,
            wait,
            body,
            resent,
            answer,
            seen,
            start: start.unwrap_or_default(),
            duration: duration?,
        })
    }
}

/// One path, or a list of them.
struct Paths(Vec<String>);

impl Read for Paths {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Seq(items) if !items.is_empty() => Vec::read(node, reader).map(Self),
            _ => String::read(node, reader).map(|path| Self(vec![path])),
        }
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Read for Origin {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Seq(items) = &node.value {
            if items.is_empty() {
                return reader.expected(node, "at least one address or prefix", None);
            }
            return Vec::read(node, reader).map(Self::Prefixes);
        }
        match node.text() {
            Some("forged") => Some(Self::Forged),
            Some(text) => match IpNet::parse(text) {
                Some(net) => Some(Self::Prefixes(vec![net])),
                None => reader.expected(node, ORIGIN, crate::document::nearest(text, ["forged"])),
            },
            None => reader.expected(node, ORIGIN, None),
        }
    }
}

const ORIGIN: &str = "an address, a prefix such as 198.51.100.0/24, a list of them, or forged";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Source;

    fn read(text: &str) -> Result<Vec<RuleTest>, String> {
        let source = Source::new("t.yaml", text);
        let (tree, mut reader) = Reader::parse(&source);
        let tests = tree.and_then(|tree| read_tests(&tree, &mut reader));
        let problems = reader.into_problems();
        tests.filter(|_| problems.is_empty()).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn defaults_fill_what_is_not_said() {
        let tests =
            read("- {name: flood, expect: fire, traffic: [{from: 99.0.1.0/24, rate: 40/s, for: 30s}]}")
                .unwrap();
        let traffic = &tests[0].traffic[0];
        assert_eq!((traffic.sources, traffic.status, traffic.paths[0].as_str()), (1, 200, "/"));
        assert_eq!(
            (traffic.kind, traffic.port, traffic.start),
            (TrafficKind::Requests, None, Span::default())
        );
        let forged =
            read("- {name: f, expect: fire, traffic: [{from: forged, kind: syns, rate: 1k/s, for: 5s}]}");
        assert_eq!(forged.unwrap()[0].traffic[0].from, Origin::Forged);
    }

    #[test]
    fn tests_have_bounds() {
        let entry =
            |text: &str| read(&format!("- {{name: n, expect: fire, traffic: [{{{text}}}]}}")).unwrap_err();
        assert!(entry("from: forget, rate: 1/s, for: 1s").contains("did you mean 'forged'?"));
        assert!(entry("from: 1.1.1.1, rate: 6k/s, for: 1s").contains("up to 5k/s, found '6k/s'"));
        assert!(entry("from: 1.1.1.1, rate: 1/s, for: 11m").contains("up to 10m, found '11m'"));
        assert!(entry("from: 1.1.1.1, rate: 1/s, for: 1s, sources: 100k").contains("1 to 65536 sources"));
        assert!(entry("from: 1.1.1.1, rate: 1/s, for: 1s, status: 700").contains("a status from 100 to 599"));
        assert!(entry("from: 1.1.1.1, rate: 1/s, for: 1s, path: x").contains("begin with '/'"));
        assert!(entry("from: [], rate: 1/s, for: 1s").contains("at least one address"));
        assert!(
            read("- {name: n, expect: fires, traffic: []}").unwrap_err().contains("did you mean 'fire'?")
        );
        assert!(read("- {name: n, expect: fire, traffic: []}").unwrap_err().contains("1 to 16 entries"));
    }
}
