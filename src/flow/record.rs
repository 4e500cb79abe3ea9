//! What is told of a flow when it is over, of a request and of a ClientHello: borrowed from where it was followed, so that
//! telling costs no copy. Nothing here follows packets or writes text.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::community::{Answer, CommunityId, community_id};
use super::icmp::{self, Pairing};
use super::tcp::{ConnState, Handshake, History, Noticed};
use super::{Ja4, Volume};
use crate::decode::Layers;
use crate::time::Timestamp;

/// Takes what is to be told, as it happens.
pub trait Scribe {
    /// One record. Called on the hot path.
    fn write(&mut self, record: &Record<'_>);
}

/// Something to be told.
#[derive(Debug, Clone, Copy)]
pub enum Record<'r> {
    /// A flow is over.
    Flow(&'r FlowRecord<'r>),
    /// A request, with its response where there was one.
    Request(&'r RequestRecord<'r>),
    /// A ClientHello.
    Hello(&'r HelloRecord<'r>),
}

/// The two ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ends {
    /// Who began it. With ICMP and ICMPv6 the port is the type.
    pub originator: SocketAddr,
    /// Who was to answer. With ICMP and ICMPv6 the port is the type of the answer, or the code where there is none.
    pub responder: SocketAddr,
    /// The IP protocol number.
    pub protocol: u8,
}

/// A flow that is over.
#[derive(Debug, Clone, Copy)]
pub struct FlowRecord<'r> {
    /// Its ends.
    pub ends: Ends,
    /// The code of its first message, with ICMP and ICMPv6.
    pub icmp_code: Option<u8>,
    /// The tags and tunnels around its first packet.
    pub carried: Option<&'r Layers>,
    /// How it went.
    pub state: ConnState,
    /// What happened, in letters.
    pub history: History,
    /// The time of its first packet.
    pub start: Timestamp,
    /// The time of its last packet.
    pub end: Timestamp,
    /// From the originator.
    pub to_responder: Volume,
    /// From the responder.
    pub to_originator: Volume,
    /// Copies that the mirror made, counted nowhere else.
    pub duplicates: u64,
    /// What was noticed of TCP.
    pub tcp: Option<TcpRecord>,
    /// What was said on it.
    pub said: Option<Summary<'r>>,
}

/// What was noticed of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpRecord {
    /// Of the originator's segments.
    pub originator: Noticed,
    /// Of the responder's segments.
    pub responder: Noticed,
    /// How long the handshake took.
    pub handshake: Handshake,
}

/// What was said on a flow.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'r> {
    /// The application's protocol, in Suricata's words.
    pub protocol: Option<&'static str>,
    /// The first ClientHello.
    pub tls: Option<Tls<'r>>,
    /// HTTP requests.
    pub requests: u64,
    /// HTTP/2 streams that were reset.
    pub resets: u64,
    /// The hosts that were asked for, each once.
    pub hosts: &'r Hosts,
}

/// What a ClientHello says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls<'r> {
    /// The server name.
    pub sni: Option<&'r str>,
    /// The JA4 fingerprint.
    pub ja4: Ja4,
    /// The highest version offered, as on the wire (0x0304 is TLS 1.3).
    pub version: u16,
    /// The protocols offered.
    pub alpn: Protocols<'r>,
}

/// The protocols that a ClientHello offers, each name behind its length in one byte (RFC 7301 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols<'r>(&'r [u8]);

/// Hosts that are told of one flow: a browser asks for one, a forward proxy for many.
pub const MAX_HOSTS: usize = 8;

/// Protocols that are told of one ClientHello.
const MAX_PROTOCOLS: usize = 16;

/// Hosts, each once, the first [`MAX_HOSTS`] of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    /// One behind the other.
    text: String,
    /// Where each ends.
    ends: [u16; MAX_HOSTS],
    len: u8,
}

/// A request with its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRecord<'r> {
    /// The ends of its flow.
    pub ends: Ends,
    /// When the request was read.
    pub time: Timestamp,
    /// When no more of its answer was to be expected: the record's place among others.
    pub told: Timestamp,
    /// The `Host` header.
    pub host: Option<&'r str>,
    /// The path.
    pub path: &'r str,
    /// The query, where it is kept.
    pub query: Option<&'r str>,
    /// The method.
    pub method: &'r str,
    /// The `User-Agent` header.
    pub user_agent: Option<&'r str>,
    /// The protocol version (`HTTP/1.1`).
    pub protocol: &'r str,
    /// The client that a trusted proxy says it speaks for.
    pub forwarded: Option<IpAddr>,
    /// The status of the response; `None` where none was seen.
    pub status: Option<u16>,
    /// The length of the response's body in bytes, where it is known.
    pub length: Option<u64>,
    /// The time to the first byte of the response, in microseconds.
    pub ttfb_us: Option<u64>,
}

/// A ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloRecord<'r> {
    /// The ends of its flow.
    pub ends: Ends,
    /// When it was read.
    pub time: Timestamp,
    /// The client that the PROXY protocol told of before.
    pub forwarded: Option<IpAddr>,
    /// What it says.
    pub tls: Tls<'r>,
}

/// What records of one closing are sorted by: their time, then their kind and their flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// When it was told.
    pub told: Timestamp,
    kind: u8,
    ends: Ends,
    begun: Timestamp,
}

impl Ends {
    /// The [Community ID](community_id) of the flow between them.
    pub fn community_id(&self) -> CommunityId {
        let is_alone = || icmp::pairing(self.protocol, self.originator.port() as u8) == Pairing::None;
        let answer = if self.is_icmp() && is_alone() { Answer::OneWay } else { Answer::Both };
        community_id(self.originator, self.responder, self.protocol, answer)
    }

    /// Whether the ports are types of messages.
    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, icmp::ICMP | icmp::ICMP6)
    }
}

impl Hosts {
    /// Adds a host, unless it is there or there is no room.
    pub(super) fn add(&mut self, host: &str) {
        if usize::from(self.len) >= MAX_HOSTS || self.iter().any(|have| have == host) {
            return;
        }
        let Ok(end) = u16::try_from(self.text.len() + host.len()) else { return };
        if let Some(place) = self.ends.get_mut(usize::from(self.len)) {
            self.text.push_str(host);
            *place = end;
            self.len += 1;
        }
    }

    /// The hosts in the order they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.ends.iter().take(usize::from(self.len));
        ends.scan(0, |begin, end| {
            let host = self.text.get(usize::from(*begin)..usize::from(*end));
            *begin = *end;
            host
        })
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.len = 0;
    }
}

impl<'r> Protocols<'r> {
    /// What is told of a list: it ends where it is broken, or behind 16 names.
    pub(super) fn of(list: &'r [u8]) -> Self {
        let mut rest = list;
        for _ in 0..MAX_PROTOCOLS {
            let Some((_, behind)) = first_name(rest) else { break };
            rest = behind;
        }
        Self(list.get(..list.len() - rest.len()).unwrap_or_default())
    }

    /// The names in order; bytes that are no UTF-8 are replaced.
    pub fn iter(self) -> impl Iterator<Item = Cow<'r, str>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, behind) = first_name(rest)?;
            rest = behind;
            Some(String::from_utf8_lossy(name))
        })
    }

    /// The names as they were sent.
    pub(super) fn list(self) -> &'r [u8] {
        self.0
    }
}

/// The first name of a list, and what stands behind it.
fn first_name(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = list.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

impl Record<'_> {
    /// The capture time it is told for.
    pub fn time(&self) -> Timestamp {
        match self {
            Record::Flow(flow) => flow.end,
            Record::Request(request) => request.time,
            Record::Hello(hello) => hello.time,
        }
    }

    /// Its place among others.
    pub fn order(&self) -> Order {
        let (told, kind, ends, begun) = match self {
            Record::Hello(hello) => (hello.time, 0, hello.ends, hello.time),
            Record::Request(request) => (request.told, 1, request.ends, request.time),
            Record::Flow(flow) => (flow.end, 2, flow.ends, flow.start),
        };
        Order { told, kind, ends, begun }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_protocols_ends_where_it_is_broken() {
        let names =
            |list: &[u8]| -> Vec<String> { Protocols::of(list).iter().map(Cow::into_owned).collect() };
        assert_eq!(names(b"\x02h2\x08http/1.1"), ["h2", "http/1.1"]);
        assert_eq!(names(b"\x02h2\x09http/1.1"), ["h2"]);
        assert_eq!(names(&[1, b'x'].repeat(40)).len(), MAX_PROTOCOLS);
    }

    #[test]
    fn hosts_are_told_once_and_the_first_ones_stay() {
        let mut hosts = Hosts::default();
        for host in ["a", "", "bc", "a", "", "1", "2", "3", "4", "5", "6"] {
            hosts.add(host);
        }
        assert_eq!(hosts.iter().collect::<Vec<_>>(), ["a", "", "bc", "1", "2", "3", "4", "5"]);
        hosts.clear();
        assert_eq!(hosts.iter().count(), 0);
    }
}
