//! One part of a scenario, told as a sentence: to whom, from where, what, how often, when. Comes in: the words of
//! the story. Goes out: a plan, checked by [`Traffic::problems`]. Makes no packet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::Serialize;

use super::SynthError;
use super::conversation::View;
use super::frame::Vlans;
use super::http::Ask;
use super::origin::{Origin, room};
use super::tls::Hello;
use crate::service::Service;
use crate::time::Span;

/// A part of a scenario's traffic: one kind, one origin, one course of its rate.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) kind: Kind,
    pub(super) rate: Rate,
    pub(super) origin: Option<Origin>,
    pub(super) sources: u32,
    pub(super) start: Span,
    pub(super) length: Span,
    pub(super) seed: u64,
    pub(super) line: Line,
    pub(super) talk: Talk,
    pub(super) opening: Opening,
    pub(super) datagram: Datagram,
    unreadable: Vec<String>,
}

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
    /// ICMP echo requests.
    Pings,
}

/// Events per second, rising or falling evenly from the begin of a part to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// At the begin.
    pub from: f64,
    /// At the end.
    pub to: f64,
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

/// A time in which the service answers part of the HTTP requests with a failing status and the others late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trouble {
    pub(super) status: u16,
    pub(super) share: (f64, f64),
    pub(super) wait: Span,
    pub(super) start: Span,
    pub(super) length: Span,
}

/// The highest rate of a part per second: more than one mirror port of 10 Gb/s carries is 15 million packets, and
/// half-open conversations live for seconds in memory.
pub const MAX_RATE: f64 = 1_000_000.0;
/// The most requests of one connection.
pub const MAX_PER_CONNECTION: u32 = 1_000;
/// The longest datagram that crosses Ethernet in one piece over IPv6.
pub const MAX_DATAGRAM: u16 = 1_440;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";

/// Whole seconds.
pub const fn secs(secs: u64) -> Span {
    Span::from_secs(secs)
}

/// Milliseconds.
pub const fn millis(millis: u64) -> Span {
    Span::from_millis(millis)
}

/// The same rate all the time.
pub fn per_sec(rate: impl Into<f64>) -> Rate {
    let rate = rate.into();
    Rate { from: rate, to: rate }
}

/// A rate per second that goes evenly from one value to another.
pub fn ramp(from: impl Into<f64>, to: impl Into<f64>) -> Rate {
    Rate { from: from.into(), to: to.into() }
}

impl Traffic {
    /// Traffic to a service (its first address and port) or to an address and port; for ten seconds one request a
    /// second from one client, until more is said.
    pub fn to(target: impl Into<Target>) -> Self {
        Self {
            name: String::from("traffic"),
            target: target.into(),
            kind: Kind::Requests,
            rate: Rate { from: 1.0, to: 1.0 },
            origin: None,
            sources: 1,
            start: Span::default(),
            length: Span::from_secs(10),
            seed: 0,
            line: Line {
                rtt: (Span::from_millis(10), Span::from_millis(40)),
                view: View::BothSides,
                vlans: Vlans::None,
            },
            talk: Talk::default(),
            opening: Opening { half_open: HalfOpen::Unacknowledged, retries: 0 },
            datagram: Datagram { length: 64, answer: None, source_port: None },
            unreadable: Vec::new(),
        }
    }
}

/// Where from, and when.
impl Traffic {
    /// The name in the truth.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Clients sit in this prefix too, given as text; what cannot be read shows in [`Self::problems`].
    #[must_use]
    pub fn from(mut self, prefix: &str) -> Self {
        match crate::service::parse_address(prefix) {
            Ok(net) => self.within(net),
            Err(_) => {
                self.unreadable.push(prefix.to_owned());
                self
            }
        }
    }

    /// Clients sit in this prefix too.
    #[must_use]
    pub fn within(mut self, net: IpNet) -> Self {
        match &mut self.origin {
            Some(Origin::Prefixes(nets)) => nets.push(net),
            other => *other = Some(Origin::Prefixes(vec![net])),
        }
        self
    }

    /// Every conversation comes from another public address.
    #[must_use]
    pub fn from_anywhere(mut self) -> Self {
        self.origin = Some(Origin::Anywhere);
        self
    }

    /// Every packet bears another public address as its sender; for SYNs, datagrams and pings.
    #[must_use]
    pub fn forged(mut self) -> Self {
        self.origin = Some(Origin::Forged);
        self
    }

    /// How many clients take turns, spread evenly over the prefixes; 1 unless told.
    #[must_use]
    pub const fn sources(mut self, sources: u32) -> Self {
        self.sources = if sources == 0 { 1 } else { sources };
        self
    }

    /// Begins that long after the scenario; at once unless told.
    #[must_use]
    pub const fn start(mut self, start: Span) -> Self {
        self.start = start;
        self
    }

    /// Lasts so long; ten seconds unless told.
    #[must_use]
    pub const fn over(mut self, length: Span) -> Self {
        self.length = length;
        self
    }

    /// Varies this part alone; the scenario's seed varies all.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Round trip times between mirror and clients; each client has its own.
    #[must_use]
    pub const fn rtt(mut self, low: Span, high: Span) -> Self {
        self.line.rtt = (low, high);
        self
    }

    /// Which direction the mirror shows.
    #[must_use]
    pub const fn seen(mut self, view: View) -> Self {
        self.line.view = view;
        self
    }

    /// VLAN tags on every frame.
    #[must_use]
    pub const fn vlans(mut self, vlans: Vlans) -> Self {
        self.line.vlans = vlans;
        self
    }
}

/// What, and how often.
impl Traffic {
    const fn of(mut self, kind: Kind, rate: Rate) -> Self {
        self.kind = kind;
        self.rate = rate;
        self
    }

    /// HTTP/1.1 requests.
    #[must_use]
    pub const fn requests(self, rate: Rate) -> Self {
        self.of(Kind::Requests, rate)
    }

    /// TLS connections.
    #[must_use]
    pub const fn tls(self, rate: Rate) -> Self {
        self.of(Kind::Tls, rate)
    }

    /// TCP connections that carry nothing.
    #[must_use]
    pub const fn connections(self, rate: Rate) -> Self {
        self.of(Kind::Connections, rate)
    }

    /// Half-open TCP connections; see [`Self::half_open`], [`Self::retries`] and [`Self::forged`].
    #[must_use]
    pub const fn syns(self, rate: Rate) -> Self {
        self.of(Kind::Syns, rate)
    }

    /// UDP datagrams.
    #[must_use]
    pub const fn datagrams(self, rate: Rate) -> Self {
        self.of(Kind::Datagrams, rate)
    }

    /// ICMP echo requests.
    #[must_use]
    pub const fn pings(self, rate: Rate) -> Self {
        self.of(Kind::Pings, rate)
    }

    /// Goes to another port of the same address.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.target.address.set_port(port);
        self
    }

    /// What becomes of SYNs; unacknowledged unless told.
    #[must_use]
    pub const fn half_open(mut self, half_open: HalfOpen) -> Self {
        self.opening.half_open = half_open;
        self
    }

    /// How often a SYN is repeated, after 1, 2, 4, ... s; six times at most, never unless told.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.opening.retries = retries;
        self
    }

    /// Bytes of payload of a datagram or echo, [`MAX_DATAGRAM`] at most; 64 unless told.
    #[must_use]
    pub const fn payload(mut self, length: u16) -> Self {
        self.datagram.length = if length > MAX_DATAGRAM { MAX_DATAGRAM } else { length };
        self
    }

    /// The service answers each datagram or echo with so many bytes, [`MAX_DATAGRAM`] at most; not unless told.
    #[must_use]
    pub const fn answered(mut self, length: u16) -> Self {
        self.datagram.answer = Some(if length > MAX_DATAGRAM { MAX_DATAGRAM } else { length });
        self
    }

    /// All datagrams and SYNs bear this source port, as reflected ones do.
    #[must_use]
    pub const fn source_port(mut self, port: u16) -> Self {
        self.datagram.source_port = Some(port);
        self
    }
}

/// What is asked and answered.
impl Traffic {
    /// Asks for this path too, as often as for the others; `{n}` in it becomes another number each time.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        self.path_weighted(path, 1)
    }

    /// Asks for this path too, `weight` times as often as for a path of weight 1.
    #[must_use]
    pub fn path_weighted(self, path: &str, weight: u32) -> Self {
        self.ask("GET", path, weight)
    }

    /// Asks in this way too.
    #[must_use]
    pub fn ask(mut self, method: &str, path: &str, weight: u32) -> Self {
        self.talk.asks.push(Ask { method: method.to_owned(), path: path.to_owned(), weight });
        self
    }

    /// All answers have this status; 200 unless told.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.statuses(&[(status, 1)])
    }

    /// Answers have these statuses, each as often as its weight.
    #[must_use]
    pub fn statuses(mut self, statuses: &[(u16, u32)]) -> Self {
        statuses.clone_into(&mut self.talk.statuses);
        self
    }

    /// One more User-Agent; every client has one of them.
    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        self.talk.agents.push(agent.to_owned());
        self
    }

    /// The name asked for in Host or server name; the service's name unless told.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.talk.host = Some(host.to_owned());
        self
    }

    /// What the ClientHello looks like.
    #[must_use]
    pub const fn hello(mut self, hello: Hello) -> Self {
        self.talk.hello = hello;
        self
    }

    /// Requests on each connection, or exchanges of encrypted data; 1 unless told, 1000 at most.
    #[must_use]
    pub const fn per_connection(mut self, requests: u32) -> Self {
        self.talk.per_connection = match requests {
            0 => 1,
            MAX_PER_CONNECTION.. => MAX_PER_CONNECTION,
            requests => requests,
        };
        self
    }

    /// Bytes of a response's body, from `low` to `high`; 400 to 4000 unless told.
    #[must_use]
    pub const fn body(mut self, low: u32, high: u32) -> Self {
        self.talk.body = (low, high);
        self
    }

    /// The mean time to the first byte of an answer; 8 ms unless told.
    #[must_use]
    pub const fn wait(mut self, wait: Span) -> Self {
        self.talk.wait = wait;
        self
    }

    /// The mean pause between an answer and the next request on a connection; 300 ms unless told.
    #[must_use]
    pub const fn think(mut self, think: Span) -> Self {
        self.talk.think = think;
        self
    }

    /// How connections end; by the client unless told.
    #[must_use]
    pub const fn close(mut self, close: Close) -> Self {
        self.talk.close = close;
        self
    }

    /// Everything that keeps this part from being told.
    pub fn problems(&self) -> Vec<SynthError> {
        let part = || self.name.clone();
        let mut problems: Vec<SynthError> = self
            .unreadable
            .iter()
            .map(|text| SynthError::Prefix { part: part(), text: text.clone() })
            .collect();
        problems.extend(
            [self.rate.from, self.rate.to]
                .into_iter()
                .find(|rate| !(0.0..=MAX_RATE).contains(rate))
                .map(|rate| SynthError::Rate { part: part(), rate }),
        );
        match &self.origin {
            Some(Origin::Prefixes(nets)) => problems.extend(self.misplaced(nets)),
            Some(Origin::Forged) if self.kind.needs_answers() => {
                problems.push(SynthError::Forged { part: part(), kind: self.kind });
            }
            Some(Origin::Forged | Origin::Anywhere) => {}
            None if self.unreadable.is_empty() => problems.push(SynthError::NoOrigin { part: part() }),
            None => {}
        }
        problems
    }

    fn misplaced(&self, nets: &[IpNet]) -> Vec<SynthError> {
        let (part, target) = (|| self.name.clone(), self.target.address);
        let alien = |net: &&IpNet| net.addr().is_ipv4() != target.is_ipv4();
        let mut problems: Vec<SynthError> = nets
            .iter()
            .filter(alien)
            .map(|prefix| SynthError::Family { part: part(), prefix: *prefix, target })
            .collect();
        let (sources, room) = (u64::from(self.sources), room(nets));
        if sources > room {
            problems.push(SynthError::Crowded { part: part(), sources, room });
        }
        problems
    }
}

impl Kind {
    /// Whether it takes a sender who sees the service's packets.
    pub const fn needs_answers(self) -> bool {
        matches!(self, Kind::Requests | Kind::Tls | Kind::Connections)
    }
}

impl Trouble {
    /// The failing requests are answered with `status`.
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            share: (0.0, 0.0),
            wait: Span::from_nanos(0),
            start: Span::from_nanos(0),
            length: Span::from_nanos(0),
        }
    }

    /// The part of all requests that fail, going evenly from one value to another (0 to 1).
    #[must_use]
    pub const fn share(mut self, from: f64, to: f64) -> Self {
        self.share = (from, to);
        self
    }

    /// What an answer takes longer where every request fails; less in proportion to the share.
    #[must_use]
    pub const fn wait(mut self, wait: Span) -> Self {
        self.wait = wait;
        self
    }

    /// Begins that long after the scenario.
    #[must_use]
    pub const fn start(mut self, start: Span) -> Self {
        self.start = start;
        self
    }

    /// Lasts so long.
    #[must_use]
    pub const fn over(mut self, length: Span) -> Self {
        self.length = length;
        self
    }

    /// The share of requests that fail `since` the scenario's begin.
    pub(super) fn share_at(&self, since: Span) -> f64 {
        let Some(into) = since.nanos().checked_sub(self.start.nanos()) else { return 0.0 };
        if into >= self.length.nanos() {
            return 0.0;
        }
        let progress = into as f64 / self.length.nanos() as f64;
        (self.share.0 + (self.share.1 - self.share.0) * progress).clamp(0.0, 1.0)
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
