//! Packets become connections, and connections become events: who tried, who got through, what was asked, what was
//! answered, how much moved. Comes in: a [`Packet`](crate::decode::Packet) with the tick it counts in. Goes out:
//! [`FlowEvent`]s. Knows no country, no rule and no clock.
//!
//! State is earned: a packet that anyone can forge touches only the fixed-size table of `pending`; a connection gets an
//! entry of its own in `tracker` when its client has shown that it hears the service's answers.

mod alarms;
mod arrival;
mod askers;
mod community;
mod connection;
mod icmp;
mod index;
mod key;
mod ledger;
mod loss;
mod marks;
mod pending;
mod point;
pub mod record;
mod records;
mod speech;
mod table;
mod tcp;
mod template;
mod tracker;
mod turns;

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use crate::service::{Direction, Scope};
use crate::time::TickId;

pub use community::{Answer, CommunityId, community_id};
pub use ledger::{Ledger, LedgerCounts, RecordKinds};
use speech::Answers;

pub use speech::{Carrier, ClientHello, Forwarded, Ja4, Ja4Memo, RequestHead, TrustedProxies, Unread};
pub use tcp::{ConnState, Handshake, History, LARGE, Noticed, Role};
pub use template::{template_hash, template_of};
pub use tracker::{FlowCounts, FlowLimits, Sighting, Tracker};

/// How well a client has proven that its address is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// It acknowledged a number that only the service's answer told it, and the mirror shows both.
    Proven,
    /// Only one direction is mirrored; the numbers of that direction fit together.
    Unproven,
}

/// A client that has earned state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// How well the address is proven.
    pub proof: Proof,
}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_address(self.address, state);
        state.write_u64(self.proof as u64);
    }
}

/// Hashes an address in one word or two, since clients are hashed with every event.
pub fn hash_address<H: Hasher>(address: IpAddr, state: &mut H) {
    match address {
        IpAddr::V4(v4) => state.write_u64(u64::from(v4.to_bits())),
        IpAddr::V6(v6) => {
            state.write_u64((v6.to_bits() >> 64) as u64);
            state.write_u64(v6.to_bits() as u64);
        }
    }
}

/// Packets and IP bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
}

impl Volume {
    /// Adds one packet of `bytes`.
    pub fn add(&mut self, bytes: u32) {
        self.packets += 1;
        self.bytes += u64::from(bytes);
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }
}

/// The service's end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerEnd {
    /// Address and port; port 0 where the protocol has none.
    pub address: SocketAddr,
    /// The IP protocol number (6 TCP, 17 UDP, 1 and 58 ICMP); 255 for a fragment, whose first part has it.
    pub protocol: u8,
}

/// Something that happened in a flow, on the account of `scope` in the second `tick`.
#[derive(Debug, Clone, Copy)]
pub struct FlowEvent<'a> {
    /// What it counts for.
    pub scope: Scope,
    /// The second it counts in.
    pub tick: TickId,
    /// Where on the service's side.
    pub server: ServerEnd,
    /// What happened.
    pub what: What<'a>,
}

/// The kinds of events. What any packet may bring lends its address: an address that was just written is slow to copy.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A packet to or from an address that has earned nothing (yet).
    Unearned {
        /// The address on the client's side.
        source: &'a IpAddr,
        /// Which way the packet went.
        direction: Direction,
        /// Bytes of the IP packet.
        bytes: u32,
    },
    /// The first SYN of a connection, unearned like any; retransmitted ones are not attempts.
    Attempted {
        /// The address it claims to come from.
        source: &'a IpAddr,
        /// Bytes of the IP packet.
        bytes: u32,
    },
    /// The service answered an attempt with its first SYN-ACK, a packet that nobody has earned yet.
    Answered {
        /// Where the attempt claims to come from.
        source: &'a IpAddr,
        /// Bytes of the IP packet.
        bytes: u32,
        /// Microseconds since the attempt, its first SYN.
        micros: u32,
    },
    /// The service refused an attempt with its first RST, a packet that nobody has earned.
    Refused {
        /// Bytes of the IP packet.
        bytes: u32,
    },
    /// A datagram with payload from the port of a service that amplifies, which the service did not ask for; it is told as
    /// [`What::Unearned`] as well.
    Reflected {
        /// Bytes of the IP packet.
        bytes: u32,
    },
    /// A SYN-ACK to a port beside the service, from that of a server, which the service was not seen to ask for; it is told
    /// as [`What::Unearned`] as well.
    UnaskedSynAck,
    /// The first datagram of a conversation goes to a port beside the service, from a port that nothing answers from; it is
    /// told as [`What::Unearned`] as well.
    Probed {
        /// The address it claims to come from.
        source: IpAddr,
    },
    /// The first datagram back from such a port; it is told as [`What::Unearned`] as well.
    Replied {
        /// Where the first one claimed to come from.
        source: IpAddr,
    },
    /// The first datagram of a conversation with the service is an Initial of QUIC; it is told as [`What::Unearned`] as well.
    Initial,
    /// The first datagram back from the service's port, as it answers one; it is told as [`What::Unearned`] as well.
    InitialAnswered,
    /// One side of a handshake alone is on the mirror: a client's third packet without the answer that it acknowledges,
    /// or an answer without its SYN, as far as their numbers tell. Told once for a conversation.
    OneSided,
    /// A request of which nothing shows that it belongs to a conversation: none was seen to begin, and none goes on so far.
    /// It is told as [`What::Unearned`] as well.
    Strayed {
        /// The address it claims to come from.
        source: IpAddr,
        /// The [`template_hash`] of the path.
        path: u32,
    },
    /// The conversation of a request that was told as [`What::Strayed`] goes on.
    Found {
        /// Who asked.
        source: IpAddr,
        /// The [`template_hash`] of the path.
        path: u32,
    },
    /// A segment to the service that no conversation has and no SYN is; it is told as [`What::Unearned`] as well.
    OutOfState,
    /// A client earned state; `earlier` is what was told as [`What::Unearned`] to the service before.
    Admitted {
        /// The client.
        client: Client,
        /// Its packets to the service that were counted as unearned until now.
        earlier: Volume,
        /// Whether the connection's beginning was seen, so that it counts as opened.
        opened: bool,
    },
    /// The head of an HTTP/1 request.
    Request(Client, &'a RequestHead<'a>),
    /// A TLS ClientHello.
    Hello(Client, ClientHello<'a>),
    /// Requests over HTTP/2 in cleartext, which are counted and not read.
    Http2 {
        /// The client.
        client: Client,
        /// Its HEADERS frames.
        requests: u32,
        /// RST_STREAM frames of either side.
        resets: u32,
    },
    /// A response that says that the client may not, or that there is nothing of that name.
    Failed {
        /// The client.
        client: Client,
        /// The [`template_hash`] of the path.
        path: u32,
        /// How.
        failure: Failure,
    },
    /// Segments with payload of a sampled connection: those seen, and those that were acknowledged and never seen.
    Measured {
        /// Segments seen.
        seen: u64,
        /// Segments missed.
        missed: u64,
    },
    /// What moved since it was last told, at most a tick ago.
    Progress(Client, Progress),
}

/// What moved on a connection within a tick. Told at once at the tick's end, since each telling costs a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// From the client to the service.
    pub to_server: Volume,
    /// From the service to the client.
    pub to_client: Volume,
    /// What else happened.
    pub news: News,
    /// How the service served its client.
    pub served: Served,
}

/// How the service served its client within a tick: what [`turns`](self) of a TCP connection tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// The service's segments with more than 1,208 bytes of payload.
    pub large_sent: u32,
    /// The service's segments with less payload, but some.
    pub small_sent: u32,
    /// Of the large ones, those that brought nothing new.
    pub large_resent: u16,
    /// Of the small ones, those that brought nothing new.
    pub small_resent: u16,
    /// First bytes of answers.
    pub first_bytes: u16,
    /// How long they took since the client's last byte, each 60 s at most, summed.
    pub wait_micros: u32,
    /// What was asked and had no answer, or no more of one that had begun, for 10 s, was cut off by the service before it had
    /// all of one, or given up by a client that had waited for 3 s without any.
    pub unanswered: u16,
    /// Of these, answers that had begun.
    pub broken: u8,
    /// Responses 401 and 403.
    pub denied: u16,
    /// Responses from 400 to 499 that say that there is nothing of that name: neither 401 and 403 nor 429.
    pub missing: u16,
    /// Whether the connection came to be held: open without a word, with an unfinished request, or with a client that
    /// takes nothing, for 10 s.
    pub held: bool,
    /// Whether it came to be held by a request that its client draws out, or was so until the service gave it up.
    pub drawn_out: bool,
    /// Whether its client came to let the head of a request drip: it added to it after five seconds or more, and it is
    /// still not whole after ten.
    pub drips: bool,
    /// Whether it is held no more.
    pub released: bool,
    /// Whether nothing was asked for 10 s, or until it ended, behind a TLS hello that the service answered.
    pub bare: bool,
    /// How often its client began the TLS handshake anew, the first time apart: turns that begin with a handshake record.
    pub renegotiations: u8,
    /// Turns in which its client asked for something sealed, the first apart.
    pub asked: u16,
    /// Answers of less than 1,000 bytes to what was asked.
    pub brief: u8,
    /// Small sealed records that its client sent while as many before were not answered as may be open at once.
    pub hasty: u16,
}

/// What happened on a connection within a tick, besides packets and heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct News {
    /// HTTP/1 responses.
    pub responses: u16,
    /// Of these, with a status from 400 to 499.
    pub client_errors: u16,
    /// Of these, with a status from 500 to 599.
    pub server_errors: u16,
    /// Accesses of which no more is known than that the client spoke: what it begins with is neither HTTP/1 nor TLS, or
    /// nothing is read (see [`Shed`]).
    pub spoken: u8,
    /// Whether the connection ended, and how.
    pub end: Option<End>,
}

/// What is left out while there is more to do than can be done. What floods are told by stays: packets, bytes, attempts,
/// connections, and that clients ask for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Shed {
    /// Nothing.
    #[default]
    Nothing,
    /// What is said is not read: an access is a segment that may end a message.
    Payload,
    /// Nor who waits for whom, what of a connection was not seen, and records of flows.
    Detail,
}

impl Shed {
    /// The step of that number; the last one for what is beyond.
    pub fn step(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Payload,
            _ => Self::Detail,
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides said that they were done.
    Orderly,
    /// The sender of packets in this direction broke it off.
    Reset(Direction),
}

/// How a request failed through its client's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The client may not: 401, 403.
    Denied,
    /// There is no such thing: 404, 405, 410 and the rest from 400 to 499, but not 429, which speaks of rates.
    Missing,
}

impl Failure {
    /// The failure that a response's status means, if any.
    pub const fn of(status: u16) -> Option<Self> {
        match status {
            401 | 403 => Some(Self::Denied),
            429 => None,
            400..=499 => Some(Self::Missing),
            _ => None,
        }
    }
}

impl Served {
    /// Takes out what belongs to whoever asked, where that is another than the connection's sender: all but what is said of
    /// the connection itself, its segments and that it is held.
    fn take_asked(&mut self) -> Self {
        let Self { large_sent, small_sent, large_resent, small_resent, .. } = *self;
        let Self { held, drawn_out, drips, released, .. } = *self;
        let segments = Self { large_sent, small_sent, large_resent, small_resent, ..Self::default() };
        let of_connection = Self { held, drawn_out, drips, released, ..segments };
        let asked = std::mem::replace(self, of_connection);
        Self {
            large_sent: 0,
            small_sent: 0,
            large_resent: 0,
            small_resent: 0,
            held: false,
            drawn_out: false,
            drips: false,
            released: false,
            ..asked
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything went wrong, or is right again.
    pub fn has_trouble(&self) -> bool {
        let again = self.large_resent | self.small_resent;
        let failed = self.unanswered | self.denied | self.missing;
        let sealed = self.bare || self.renegotiations > 0 || self.hasty > 0;
        (again | failed) != 0 || self.held || self.drips || self.released || sealed
    }
}

impl News {
    /// Takes out what belongs to whoever asked: all but how the connection ended.
    fn take_asked(&mut self) -> Self {
        let asked = std::mem::take(self);
        self.end = asked.end;
        Self { end: None, ..asked }
    }

    /// Notes responses.
    fn responses(&mut self, answers: &Answers) {
        // More than 65,535 responses of one connection in a second are not believed.
        let add = |sum: &mut u16, more: u16| *sum = sum.saturating_add(more);
        add(&mut self.responses, answers.responses);
        add(&mut self.client_errors, answers.client_errors);
        add(&mut self.server_errors, answers.server_errors);
    }

    /// Notes a response's status.
    fn response(&mut self, status: u16) {
        let mut answers = Answers::default();
        answers.note(status);
        self.responses(&answers);
    }
}

/// Takes events as they happen.
pub trait Observer {
    /// One event. Called on the hot path: adds, and no more.
    fn observe(&mut self, event: FlowEvent<'_>);
}
