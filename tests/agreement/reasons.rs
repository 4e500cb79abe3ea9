//! Why a row of somebody else's is none of our flows. Each rule describes a class of differences by what can be seen of
//! it: the row, what else there is between its ends and in its capture, what we leave out. None knows a capture's name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::conversation::Conversation;
use crate::records::Records;
use crate::report::Reason;

/// What a difference is judged by.
pub struct Grounds<'a> {
    pub row: &'a Conversation,
    /// All rows between the same ends.
    pub rows: &'a [Conversation],
    /// All flows of ours between these ends.
    pub flows: &'a [Conversation],
    pub capture: &'a Rows,
    pub records: &'a Records,
}

/// What all rows of a capture say together.
#[derive(Default)]
pub struct Rows {
    /// Some are of packets in a tunnel.
    tunnelled: bool,
    /// Pairs of addresses between which there are rows without ports.
    portless: BTreeSet<[IpAddr; 2]>,
}

impl Rows {
    pub fn of(rows: &[Conversation]) -> Self {
        let portless = rows.iter().filter(|row| row.lacks_ports()).map(addresses).collect();
        Self { tunnelled: rows.iter().any(|row| row.tunnelled), portless }
    }
}

impl Grounds<'_> {
    /// The first reason that holds.
    pub fn reason(&self) -> Reason {
        let rules: &[Rule] = if self.flows.is_empty() { &MISSING } else { &OTHERWISE };
        let unknown = Reason::Ours(if self.flows.is_empty() { "no such flow" } else { "other packets" });
        rules.iter().find_map(|rule| rule(self)).unwrap_or(unknown)
    }

    fn theirs(&self) -> u64 {
        self.rows.iter().map(Conversation::all_packets).sum()
    }

    fn ours(&self) -> u64 {
        self.flows.iter().map(Conversation::all_packets).sum()
    }

    fn has_same_packets(&self) -> bool {
        sum(self.rows) == sum(self.flows)
    }

    /// Whether a header was left out for what it says.
    fn skipped_header(&self) -> bool {
        let transport = format!("{:?}_header", self.row.proto).to_lowercase();
        self.records.skipped.keys().any(|name| *name == transport || name == "ip_header")
    }
}

type Rule = fn(&Grounds<'_>) -> Option<Reason>;

/// For rows between whose ends we have no flow.
const MISSING: [Rule; 6] = [carrier, closed_tunnel, broken_header, broken_ports, unread_ports, not_decoded];

/// For rows between whose ends we have flows.
const OTHERWISE: [Rule; 10] = [
    divided,
    turned,
    other_bytes,
    other_state,
    half_open_tunnel,
    opened_carrier,
    broken_datagram,
    beyond_the_frame,
    lone_fragment,
    broken_header,
];

fn carrier(grounds: &Grounds<'_>) -> Option<Reason> {
    let outer = addresses(grounds.row);
    let is_outer = grounds.records.tunnels.iter().any(|tunnel| tunnel.ends == outer);
    is_outer.then_some(Reason::Definition("the carrier of a tunnel, which stands in `tunnel[]`"))
}

fn closed_tunnel(grounds: &Grounds<'_>) -> Option<Reason> {
    grounds.row.tunnelled.then_some(Reason::Definition("inside a tunnel that we leave closed"))
}

/// The packet may be one of several of its row.
fn broken_header(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_left_out = grounds.theirs() > grounds.ours() && grounds.skipped_header();
    is_left_out
        .then_some(Reason::Definition("a broken header: they count it, we skip it and count the reason"))
}

fn broken_ports(grounds: &Grounds<'_>) -> Option<Reason> {
    let beside = grounds.records.flows.keys().any(|key| {
        key.proto == grounds.row.proto && key.ends.map(|(address, _)| address) == addresses(grounds.row)
    });
    let is_broken = grounds.row.lacks_ports() && beside;
    is_broken.then_some(Reason::Definition("a broken datagram, of which they read no ports"))
}

fn unread_ports(grounds: &Grounds<'_>) -> Option<Reason> {
    grounds.row.lacks_ports().then_some(Reason::Definition("a conversation whose ports they do not read"))
}

fn not_decoded(grounds: &Grounds<'_>) -> Option<Reason> {
    (!grounds.records.skipped.is_empty()).then_some(Reason::Ours("packets that we do not decode"))
}

fn divided(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_divided = grounds.has_same_packets() && (grounds.rows.len(), grounds.flows.len()) != (1, 1);
    is_divided.then_some(Reason::TimeOut("the same packets, divided into flows at other times"))
}

/// Who began is told by the ports of servers where the beginning was not seen; some runs know none.
fn turned(grounds: &Grounds<'_>) -> Option<Reason> {
    const WELL_KNOWN: u16 = 1_024;
    if !grounds.has_same_packets() || grounds.flows.iter().any(|flow| flow.ends == grounds.row.ends) {
        return None;
    }
    let [(_, from), (_, to)] = grounds.row.ends;
    Some(if from < WELL_KNOWN && to >= WELL_KNOWN {
        Reason::Definition("a run that knows no ports of servers: whoever is seen first is the originator")
    } else {
        Reason::Ours("the originator is the other end")
    })
}

fn other_bytes(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_other = grounds.has_same_packets() && grounds.row.bytes.is_some();
    is_other.then_some(Reason::Ours("other bytes of the same packets"))
}

fn other_state(grounds: &Grounds<'_>) -> Option<Reason> {
    grounds.has_same_packets().then_some(Reason::Ours("another conn_state of the same packets"))
}

fn half_open_tunnel(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_half_open = grounds.theirs() < grounds.ours() && grounds.flows.iter().all(|flow| flow.tunnelled);
    is_half_open
        .then_some(Reason::Definition("a tunnel that they open where its port is the destination only"))
}

fn opened_carrier(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_opened = grounds.theirs() < grounds.ours() && grounds.capture.tunnelled;
    is_opened.then_some(Reason::Definition("the carrier of a tunnel that they open and we leave closed"))
}

fn broken_datagram(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_apart =
        grounds.theirs() < grounds.ours() && grounds.capture.portless.contains(&addresses(grounds.row));
    is_apart.then_some(Reason::Definition("a broken datagram, of which they read no ports"))
}

/// Tried out: without the packets that say they are longer than their frame, the counts are the same.
fn beyond_the_frame(grounds: &Grounds<'_>) -> Option<Reason> {
    if grounds.theirs() >= grounds.ours() {
        return None;
    }
    let within = grounds.records.within_frames().between(&grounds.row.key());
    let is_beyond = sum(within) == sum(grounds.rows);
    is_beyond.then_some(Reason::Definition(
        "packets that say they are longer than their frame: they leave them out, we take them for cut",
    ))
}

fn lone_fragment(grounds: &Grounds<'_>) -> Option<Reason> {
    let is_alone = grounds.theirs() > grounds.ours() && grounds.records.fragments > 0;
    is_alone
        .then_some(Reason::Definition("a fragment whose rest never came: they count it where its ports say"))
}

/// Packets from each end, in the order of the key.
pub fn sum(conversations: &[Conversation]) -> [u64; 2] {
    conversations.iter().fold([0, 0], |[a, b], conversation| {
        let [first, second] = conversation.keyed_packets();
        [a + first, b + second]
    })
}

fn addresses(row: &Conversation) -> [IpAddr; 2] {
    row.key().ends.map(|(address, _)| address)
}
