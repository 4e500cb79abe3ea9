//! One part of a scenario, told as a sentence: to whom, from where, what, how often, when. Comes in: the words of
//! the story. Goes out: a plan, checked by [`Traffic::problems`]. Makes no packet.

use ipnet::IpNet;

use super::SynthError;
use super::conversation::View;
use super::dialogue::MAX_BODY;
use super::frame::Vlans;
use super::http::Ask;
use super::origin::{Origin, room};
use super::plan::{Close, Datagram, HalfOpen, Kind, Line, Opening, Sealed, Streams, Talk, Target};
use super::rate::Rate;
use super::tls::Hello;
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

/// The highest rate of a part per second: more than one mirror port of 10 Gb/s carries is 15 million packets, and
/// half-open conversations live for seconds in memory.
pub const MAX_RATE: f64 = 1_000_000.0;
/// The most requests of one connection.
pub const MAX_PER_CONNECTION: u32 = 1_000;
/// The longest datagram that crosses Ethernet in one piece over IPv6.
pub const MAX_DATAGRAM: u16 = 1_440;

/// Whole seconds.
pub const fn secs(secs: u64) -> Span {
    Span::from_secs(secs)
}

/// Milliseconds.
pub const fn millis(millis: u64) -> Span {
    Span::from_millis(millis)
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

    /// TLS connections behind whose handshake the client does this.
    #[must_use]
    pub const fn sealed(mut self, rate: Rate, sealed: Sealed) -> Self {
        self.talk.sealed = sealed;
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

    /// First datagrams of conversations over QUIC, which the service answers unless [`Traffic::half_open`] says that nobody
    /// does.
    #[must_use]
    pub const fn initials(self, rate: Rate) -> Self {
        self.of(Kind::Initials, rate)
    }

    /// ICMP echo requests.
    #[must_use]
    pub const fn pings(self, rate: Rate) -> Self {
        self.of(Kind::Pings, rate)
    }

    /// Fragments of UDP datagrams, without ports.
    #[must_use]
    pub const fn fragments(self, rate: Rate) -> Self {
        self.of(Kind::Fragments, rate)
    }

    /// HTTP/2 connections in cleartext with a hundred streams on each, which end in this way.
    #[must_use]
    pub const fn http2(mut self, rate: Rate, streams: Streams) -> Self {
        self.talk.streams = streams;
        self.of(Kind::Streams, rate)
    }

    /// HTTP/1.1 requests whose heads come a line every few seconds and do not end.
    #[must_use]
    pub const fn drips(self, rate: Rate) -> Self {
        self.of(Kind::Drips, rate)
    }

    /// HTTP/1.1 requests alone: no handshake before, no answer after.
    #[must_use]
    pub const fn strays(self, rate: Rate) -> Self {
        self.of(Kind::Strays, rate)
    }

    /// ACKs alone, of no conversation, so many a second.
    #[must_use]
    pub const fn out_of_state(self, rate: Rate) -> Self {
        self.of(Kind::OutOfState, rate)
    }

    /// SYN-ACKs alone, which answer nothing, so many a second.
    #[must_use]
    pub const fn syn_acks(self, rate: Rate) -> Self {
        self.of(Kind::SynAcks, rate)
    }

    /// The service sends every so many full segments twice; none unless told.
    #[must_use]
    pub const fn resend_every(mut self, every: u32) -> Self {
        self.talk.resend_every = every;
        self
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

    /// All datagrams, SYNs and SYN-ACKs bear this source port, as reflected ones do.
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

    /// Bytes of a response's body, from `low` to `high`, [`MAX_BODY`] at most; 400 to 4000 unless told.
    #[must_use]
    pub fn body(mut self, low: u32, high: u32) -> Self {
        let most = MAX_BODY as u32;
        self.talk.body = (low.min(most), high.min(most));
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
