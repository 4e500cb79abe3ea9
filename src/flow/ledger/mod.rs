//! The ledger of one shard: every flow of every host, whether a service was named or not, from its first packet to its
//! record. Comes in: packets in order, and seconds that are over. Goes out: records, to a [`Scribe`]. Feeds no detector:
//! what it holds and forgets changes no alert.

mod entry;
mod notes;
mod ports;
mod table;
mod talk;
#[cfg(test)]
mod tests;
mod wheel;

use std::net::{IpAddr, Ipv4Addr};

use super::Shed;
use super::icmp::{self, Pairing};
use super::key::{FlowKey, Protocol, Side};
use super::record::Scribe;
use super::speech::TrustedProxies;
use crate::decode::{Layers, Packet, Transport};
use crate::time::{TickId, Timestamp};

use entry::{Arrival, Entry};
use table::Table;
use talk::Office;

/// Which records are wanted; where none is, there is no ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordKinds {
    /// One for every flow.
    pub flows: bool,
    /// One for every HTTP request.
    pub requests: bool,
    /// One for every ClientHello.
    pub hellos: bool,
    /// Requests with the query of their target.
    pub query: bool,
}

impl RecordKinds {
    /// Whether any is.
    pub const fn any(self) -> bool {
        self.flows || self.requests || self.hellos
    }
}

/// The flows of one shard.
#[derive(Debug)]
pub struct Ledger {
    table: Table,
    office: Office,
    epoch: u32,
    shed: Shed,
    counts: LedgerCounts,
}

/// What moved through the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerCounts {
    /// Flows that began.
    pub followed: u64,
    /// Flows that gave way to newer ones before they were over.
    pub cut: u64,
    /// Packets that were left out (see [`Shed`]).
    pub shed: u64,
}

impl LedgerCounts {
    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.followed += other.followed;
        self.cut += other.cut;
        self.shed += other.shed;
    }
}

/// Flows of one shard at most: with 64 shards 262,144, some 75 MiB.
const MAX_FLOWS: usize = 4_096;

impl Ledger {
    /// An empty ledger that makes the records that are `wanted`.
    pub fn new(wanted: RecordKinds, proxies: TrustedProxies) -> Self {
        Self {
            table: Table::default(),
            office: Office::new(wanted, proxies),
            epoch: 0,
            shed: Shed::default(),
            counts: LedgerCounts::default(),
        }
    }

    /// Leaves out so much from now on: what is said, and then all packets, which are counted.
    pub fn shed(&mut self, shed: Shed) {
        self.shed = shed;
        self.office.shed(shed);
    }

    /// Believes these proxies from now on.
    pub fn trust(&mut self, proxies: &TrustedProxies) {
        self.office.trust(proxies.clone());
    }

    /// What moved through it so far.
    pub fn counts(&self) -> LedgerCounts {
        self.counts
    }

    /// Takes a packet. Fragments and protocols without flows of their own are left out.
    pub fn packet<S: Scribe>(&mut self, packet: &Packet<'_>, now: Timestamp, scribe: &mut S) {
        if self.shed == Shed::Detail {
            self.counts.shed += 1;
            return;
        }
        let Some(arrival) = arrival(packet, now) else { return };
        if let Some(id) = self.table.find(&arrival.key) {
            if self.go_on(id, &arrival, scribe) {
                return;
            }
            self.end(id, scribe);
        }
        self.begin(&arrival, scribe);
    }

    /// A packet of a flow; answers whether the flow was still there to take it.
    #[inline(always)]
    fn go_on<S: Scribe>(&mut self, id: u32, arrival: &Arrival<'_, '_>, scribe: &mut S) -> bool {
        let Some(entry) = self.table.get(id) else { return false };
        let deadline = entry.deadline();
        if arrival.now > deadline || entry.is_reused_by(arrival) {
            return false;
        }
        entry.take(arrival, &mut self.office.desk(scribe));
        if entry.deadline() < deadline {
            self.table.bring_forward(id);
        }
        true
    }

    /// Counts a copy that the mirror made of a packet.
    pub fn duplicate(&mut self, packet: &Packet<'_>, now: Timestamp) {
        let found = arrival(packet, now).and_then(|arrival| self.table.find(&arrival.key));
        if let Some(entry) = found.and_then(|id| self.table.get(id)) {
            entry.count_duplicate();
        }
    }

    /// Ends the flows that are over by the end of `tick`.
    pub fn close_tick<S: Scribe>(&mut self, tick: TickId, scribe: &mut S) {
        if tick.epoch != self.epoch {
            self.epoch = tick.epoch;
            self.table.come_back_to(tick.end());
        }
        while let Some(entry) = self.table.expire(tick.end()) {
            entry.end(&mut self.office.desk(scribe));
        }
    }

    /// Ends all flows.
    pub fn finish<S: Scribe>(&mut self, scribe: &mut S) {
        for entry in self.table.drain() {
            entry.end(&mut self.office.desk(scribe));
        }
    }

    fn begin<S: Scribe>(&mut self, arrival: &Arrival<'_, '_>, scribe: &mut S) {
        if self.table.len() >= MAX_FLOWS
            && let Some(entry) = self.table.give_way()
        {
            self.counts.cut += 1;
            entry.end(&mut self.office.desk(scribe));
        }
        self.counts.followed += 1;
        let mut entry = Entry::begin(arrival);
        entry.carried = carried(arrival.layers);
        entry.take(arrival, &mut self.office.desk(scribe));
        self.table.insert(entry);
    }

    fn end<S: Scribe>(&mut self, id: u32, scribe: &mut S) {
        if let Some(entry) = self.table.remove(id) {
            entry.end(&mut self.office.desk(scribe));
        }
    }
}

/// What a packet is to its flow; `None` where it belongs to none. A part of what calls it: the answer is too large to be
/// handed over for nothing.
#[inline(always)]
fn arrival<'p, 'a>(packet: &'p Packet<'a>, now: Timestamp) -> Option<Arrival<'p, 'a>> {
    let both_ways = |protocol, source_port, destination_port| {
        let ends = [(packet.source, source_port), (packet.destination, destination_port)];
        (protocol, FlowKey::of(ends, protocol))
    };
    let (protocol, (key, from)) = match &packet.transport {
        Transport::Tcp(tcp) => both_ways(Protocol::Tcp, tcp.source_port, tcp.destination_port),
        Transport::Udp(udp) => both_ways(Protocol::Udp, udp.source_port, udp.destination_port),
        Transport::Icmp { kind, code } => message(packet, *kind, *code),
        Transport::Sctp { source_port, destination_port } => {
            both_ways(Protocol::Sctp, *source_port, *destination_port)
        }
        Transport::Fragment | Transport::Other(_) => return None,
    };
    let broadcast = packet.destination == IpAddr::V4(Ipv4Addr::BROADCAST);
    Some(Arrival {
        key,
        protocol,
        from,
        transport: &packet.transport,
        layers: packet.layers,
        broadcast,
        bytes: packet.ip_len,
        now,
    })
}

/// What a packet came in, kept for its flow.
fn carried(layers: &Layers) -> Option<Box<Layers>> {
    (!layers.is_empty()).then(|| Box::new(*layers))
}

/// The flow of a message: its type and the type of its answer stand for ports (Zeek's way and the Community ID's).
fn message(packet: &Packet<'_>, kind: u8, code: u8) -> (Protocol, (FlowKey, Side)) {
    let (protocol, number) = match packet.source {
        IpAddr::V4(_) => (Protocol::Icmp, icmp::ICMP),
        IpAddr::V6(_) => (Protocol::Icmp6, icmp::ICMP6),
    };
    let ends = |other: u8| [(packet.source, u16::from(kind)), (packet.destination, u16::from(other))];
    match icmp::pairing(number, kind) {
        Pairing::With(answer) => (protocol, FlowKey::of(ends(answer), protocol)),
        Pairing::None => (protocol, FlowKey::one_way(ends(code), protocol)),
    }
}
