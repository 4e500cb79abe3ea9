//! Packets become connections, and connections become events: who tried, who got through, what was asked, what was
//! answered, how much moved. Comes in: a [`Packet`](crate::decode::Packet) with the tick it counts in. Goes out:
//! [`FlowEvent`]s. Knows no country, no rule and no clock.
//!
//! State is earned: a packet that anyone can forge touches only the fixed-size table of `pending`; a connection gets an
//! entry of its own in `tracker` when its client has shown that it hears the service's answers.

mod connection;
mod key;
mod pending;
mod speech;
mod table;
mod tracker;

use std::net::{IpAddr, SocketAddr};

use crate::service::{Direction, Scope};
use crate::time::TickId;

pub use speech::{Carrier, ClientHello, Forwarded, Ja4, Ja4Memo, RequestHead};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// How well the address is proven.
    pub proof: Proof,
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

/// The kinds of events.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A packet to or from an address that has earned nothing (yet).
    Unearned {
        /// The address on the client's side.
        source: IpAddr,
        /// Which way the packet went.
        direction: Direction,
        /// Bytes of the IP packet.
        bytes: u32,
    },
    /// The first SYN of a connection; retransmitted ones are not told again.
    Attempted {
        /// The address it claims to come from.
        source: IpAddr,
    },
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
    Request(Client, RequestHead<'a>),
    /// The status of an HTTP/1 response to the client.
    Response(Client, u16),
    /// A TLS ClientHello.
    Hello(Client, ClientHello<'a>),
    /// The first bytes from the client on a connection that speaks neither HTTP/1 nor TLS.
    Spoken(Client),
    /// What moved since it was last told, at most a tick ago.
    Progress {
        /// The client.
        client: Client,
        /// From the client to the service.
        to_server: Volume,
        /// From the service to the client.
        to_client: Volume,
    },
    /// The connection ended.
    Closed {
        /// The client.
        client: Client,
        /// The side that sent a reset; `None` for an orderly end.
        reset: Option<Direction>,
    },
}

/// Takes events as they happen.
pub trait Observer {
    /// One event. Called on the hot path: adds, and no more.
    fn observe(&mut self, event: FlowEvent<'_>);
}
