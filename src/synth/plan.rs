//! What a part of a scenario is made of: target, kind, line, and what is said and how it ends. Holds the plan that
//! [`Traffic`](super::Traffic) tells; makes no packet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::Serialize;

use super::conversation::View;
use super::frame::Vlans;
use super::http::Ask;
use super::tls::Hello;
use crate::service::Service;
use crate::time::Span;

/// Where traffic goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The service's name.
    pub service: String,
    /// Address and port.
    pub address: SocketAddr,
}

/// What a part consists of; its rate counts these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// HTTP/1.1 requests in cleartext.
    Requests,
    /// TLS connections with some encrypted data.
    Tls,
    /// TCP connections that carry nothing.
    Connections,
    /// TCP connections that stay half open.
    Syns,
    /// UDP datagrams.
    Datagrams,
    /// Conversations over QUIC, as far as their first datagrams.
    Initials,
    /// ICMP echo requests.
    Pings,
    /// Fragments of UDP datagrams.
    Fragments,
    /// HTTP/2 connections in cleartext, a hundred streams on each.
    Streams,
    /// HTTP/1.1 requests whose heads come a line every few seconds and do not end.
    Drips,
    /// ACKs alone: no handshake before, no answer after.
    OutOfState,
    /// SYN-ACKs alone, which answer nothing.
    SynAcks,
    /// HTTP/1.1 requests alone: no handshake before, no answer after.
    Strays,
}

/// The line between clients and service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub rtt: (Span, Span),
    pub view: View,
    pub vlans: Vlans,
}

/// What is said on an established connection.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    pub host: Option<String>,
    pub asks: Vec<Ask>,
    pub agents: Vec<String>,
    pub statuses: Vec<(u16, u32)>,
    pub per_connection: u32,
    pub body: (u32, u32),
    pub wait: Span,
    pub think: Span,
    pub close: Close,
    pub hello: Hello,
    /// Every so many full segments of the service are sent twice; 0: none.
    pub resend_every: u32,
    pub streams: Streams,
    pub sealed: Sealed,
}

/// What a client does behind a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sealed {
    /// It asks and is answered.
    #[default]
    Asks,
    /// Nothing.
    Leaves,
    /// It begins the handshake anew, so many times.
    BeginsAnew(u32),
    /// It sends so many small records, and is not answered.
    Hurries(u32),
}

/// What becomes of HTTP/2 streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// The service answers them.
    #[default]
    Served,
    /// The client breaks them off at once.
    BrokenOff,
}

/// How connections open that never do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub half_open: HalfOpen,
    pub retries: u32,
}

/// What datagrams and echoes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram {
    pub length: u16,
    pub answer: Option<u16>,
    pub source_port: Option<u16>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Close {
    /// By the client's FIN.
    #[default]
    ByClient,
    /// By the service's FIN.
    ByServer,
    /// By the client's RST.
    ResetByClient,
    /// By the service's RST.
    ResetByServer,
    /// It does not end.
    LeftOpen,
}

/// What becomes of a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HalfOpen {
    /// The service answers SYN-ACK, the client never acknowledges.
    #[default]
    Unacknowledged,
    /// Nobody answers.
    Unanswered,
    /// The service answers RST.
    Refused,
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";

impl Kind {
    /// Whether it takes a sender who sees the service's packets.
    pub const fn needs_answers(self) -> bool {
        matches!(self, Kind::Requests | Kind::Tls | Kind::Connections | Kind::Streams | Kind::Drips)
    }
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            host: None,
            asks: Vec::new(),
            agents: Vec::new(),
            statuses: vec![(200, 1)],
            per_connection: 1,
            body: (400, 4_000),
            wait: Span::from_millis(8),
            think: Span::from_millis(300),
            close: Close::ByClient,
            hello: Hello::Browser,
            resend_every: 0,
            streams: Streams::Served,
            sealed: Sealed::default(),
        }
    }
}

impl Talk {
    /// The agent of a client with that number of its own; Firefox where none was named.
    pub(super) fn agent_of(&self, client: u64) -> &str {
        let place = client.checked_rem(self.agents.len() as u64).unwrap_or(0);
        self.agents.get(place as usize).map_or(FIREFOX, String::as_str)
    }
}

impl From<&Service> for Target {
    /// The first address and port of the service; 192.0.2.1 and 80 (documentation) where it has none.
    fn from(service: &Service) -> Self {
        let ip = service.addresses.first().map_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpNet::addr);
        let port = service.ports.first().copied().unwrap_or(80);
        Self { service: service.name.clone(), address: SocketAddr::new(ip, port) }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { service: address.ip().to_string(), address }
    }
}
