//! What is told of a flow when it is over, of a request and of a ClientHello: plain values, ready to be written.
//! Nothing here follows packets or writes text.

use std::net::{IpAddr, SocketAddr};

use super::community::{Answer, community_id};
use super::icmp::{self, Pairing};
use super::tcp::{ConnState, Handshake, History, Noticed};
use super::{Ja4, Volume};
use crate::decode::Layers;
use crate::time::Timestamp;

/// Something to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A flow is over.
    Flow(Box<FlowRecord>),
    /// A request, with its response where there was one.
    Request(Box<RequestRecord>),
    /// A ClientHello.
    Hello(Box<HelloRecord>),
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
#[derive(Debug, Clone, PartialEq)]
pub struct FlowRecord {
    /// Its ends.
    pub ends: Ends,
    /// The code of its first message, with ICMP and ICMPv6.
    pub icmp_code: Option<u8>,
    /// The tags and tunnels around its first packet.
    pub carried: Option<Box<Layers>>,
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
    pub tcp: Option<Box<TcpRecord>>,
    /// What was said on it.
    pub said: Option<Box<Summary>>,
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The application's protocol, in Suricata's words.
    pub protocol: Option<&'static str>,
    /// The first ClientHello.
    pub tls: Option<Tls>,
    /// HTTP requests.
    pub requests: u64,
    /// HTTP/2 streams that were reset.
    pub resets: u64,
    /// The hosts that were asked for, each once, at most [`MAX_HOSTS`].
    pub hosts: Vec<String>,
}

/// Hosts that are told of one flow: a browser asks for one, a forward proxy for many.
pub const MAX_HOSTS: usize = 8;

/// What a ClientHello says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server name.
    pub sni: Option<String>,
    /// The JA4 fingerprint.
    pub ja4: Ja4,
    /// The highest version offered, as on the wire (0x0304 is TLS 1.3).
    pub version: u16,
    /// The protocols offered, in order.
    pub alpn: Vec<String>,
}

/// A request with its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// The ends of its flow.
    pub ends: Ends,
    /// When the request was read.
    pub time: Timestamp,
    /// When no more of its answer was to be expected: the record's place among others.
    pub told: Timestamp,
    /// The `Host` header.
    pub host: Option<String>,
    /// The path.
    pub path: String,
    /// The query, where it is kept.
    pub query: Option<String>,
    /// The method.
    pub method: String,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The protocol version (`HTTP/1.1`).
    pub protocol: String,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloRecord {
    /// The ends of its flow.
    pub ends: Ends,
    /// When it was read.
    pub time: Timestamp,
    /// The client that the PROXY protocol told of before.
    pub forwarded: Option<IpAddr>,
    /// What it says.
    pub tls: Tls,
}

impl Ends {
    /// The [Community ID](community_id) of the flow between them.
    pub fn community_id(&self) -> String {
        let paired = icmp::pairing(self.protocol, self.originator.port() as u8) != Pairing::None;
        let answer = if self.is_icmp() && !paired { Answer::OneWay } else { Answer::Both };
        community_id(self.originator, self.responder, self.protocol, answer)
    }

    /// Whether the ports are types of messages.
    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, icmp::ICMP | icmp::ICMP6)
    }
}

impl RequestRecord {
    /// The path, with the query where it is kept.
    pub fn url(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

impl Record {
    /// The capture time it is told for.
    pub fn time(&self) -> Timestamp {
        match self {
            Record::Flow(flow) => flow.end,
            Record::Request(request) => request.time,
            Record::Hello(hello) => hello.time,
        }
    }

    /// What records of one closing are sorted by: their time, then their kind and their flow.
    pub fn order(&self) -> (Timestamp, u8, Ends, Timestamp) {
        match self {
            Record::Hello(hello) => (hello.time, 0, hello.ends, hello.time),
            Record::Request(request) => (request.told, 1, request.ends, request.time),
            Record::Flow(flow) => (flow.end, 2, flow.ends, flow.start),
        }
    }
}
