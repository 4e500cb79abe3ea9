//! Conversations whose client has proven nothing yet: a table of fixed size, since anyone can forge their packets.
//! Comes in: a segment or datagram. Goes out: whether it is a new attempt and whether its client has now earned state.
//! An entry is displaced by newer ones in its set, so a flood costs no memory and no time.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::key::{FlowKey, Side};
use super::speech::asked_path;
use super::{Proof, Volume};
use crate::decode::{TcpFlags, TcpSegment};
use crate::time::Timestamp;

/// Entries that share one place; the oldest gives way.
const WAYS: usize = 4;

/// How long an unanswered beginning is remembered. Clients give up on a SYN after 63 s or more (RFC 6298 back-off),
/// but all that matters here is the answer's round trip; 30 s is ten times the slowest.
const MEMORY_MILLIS: u32 = 30_000;

/// The table.
#[derive(Debug)]
pub(super) struct Pending {
    sets: Vec<Set>,
    hasher: FixedState,
    displaced: u64,
}

/// What a packet of a pending conversation meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The first SYN of a connection.
    Attempt,
    /// Nothing is proven.
    Waiting,
    /// The first SYN-ACK to an attempt, so many microseconds after its first SYN.
    Answered(u32),
    /// The first RST to an attempt that had no answer.
    Refused,
    /// One side of the handshake is seen alone: the client's third packet without an answer, or an answer without a SYN.
    OneSided,
    /// A request before which nothing was seen of its conversation; the hash of its path.
    Strayed(u32),
    /// The first datagram of a client, before which nothing was seen of its conversation.
    Probed,
    /// The first datagram that answers such a one.
    Replied,
    /// The client has earned state.
    Admit(Admission),
}

/// What is known of a conversation at the moment its client earns state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admission {
    /// How well it is proven.
    pub proof: Proof,
    /// Whether the beginning was seen.
    pub opened: bool,
    /// The client's packets that were counted as unearned.
    pub earlier: Volume,
    /// The client's side of the key.
    pub client: Side,
    /// The first numbers of client and service, where they are known.
    pub first: [Option<u32>; 2],
    /// The request that was told as [`Outcome::Strayed`].
    pub strayed: Option<u32>,
}

/// A segment as the pending table needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knock<'a> {
    /// The conversation.
    pub key: FlowKey,
    /// The side that sent the packet.
    pub from: Side,
    /// The side of the client.
    pub client: Client,
    /// When.
    pub now: Timestamp,
    /// Bytes of the IP packet.
    pub bytes: u32,
    /// The segment; `None` for a datagram.
    pub tcp: Option<&'a TcpSegment<'a>>,
}

/// Which side is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The service is named, so it is known.
    Known(Side),
    /// A guess, unless the conversation itself tells: by its SYN, or by what is remembered of it.
    Guessed(Side),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client's SYN was seen; `at` is when, in units of 2^10 ns.
    Syn { client_isn: u32, at: u32 },
    /// The service answered the SYN with RST.
    Refused { client_isn: u32 },
    /// The SYN-ACK was seen; `client_next` is what it acknowledged.
    SynAck { client_next: u32, server_isn: u32, syn_seen: bool },
    /// The client's SYN and a bare ACK that fits it, with no answer on the mirror.
    Acked { client_next: u32 },
    /// Anything else: the next number of the side that spoke last, and what path the client asked for as the first thing
    /// that was seen, 0 for none.
    Midstream { spoke: Side, next: u32, strayed: u32 },
    /// A datagram; answered or not.
    Datagram { answered: bool },
}

/// The entries of one place. What a flood costs is the cache lines it waits for: whatever tells which entry it is lies in
/// the first, and to the second most packets only write.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Set {
    /// Whose entries they are; [`NOBODY`]'s are free.
    tags: [u64; WAYS],
    /// When each was last seen, in milliseconds of capture time; only differences are looked at, so it may wrap around.
    seen: [u32; WAYS],
    entries: [Entry; WAYS],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    stage: Option<Stage>,
    client: Side,
    packets: u8,
    bytes: u32,
}

const NOBODY: u64 = 0;

const FREE: Entry = Entry { stage: None, client: Side::Low, packets: 0, bytes: 0 };

const EMPTY: Set = Set { tags: [NOBODY; WAYS], seen: [0; WAYS], entries: [FREE; WAYS] };

const _: () = assert!(size_of::<Set>() == 128);

fn millis(time: Timestamp) -> u32 {
    time.nanos().div_euclid(1_000_000) as u32
}

/// Units of 2^10 ns, about microseconds. They may wrap around: what is remembered is 30 s old at most.
fn units(time: Timestamp) -> u32 {
    (time.nanos() >> 10) as u32
}

fn micros_between(before: u32, now: u32) -> u32 {
    // Below 2^32 for any number: 2^32 units are 4,398 s.
    ((u64::from(now.wrapping_sub(before)) << 10) / 1_000).min(u64::from(u32::MAX)) as u32
}

impl Pending {
    /// A table with room for about `entries`, rounded up to a power of two. `seed` decides places, the same in every
    /// process, because places decide what is displaced.
    pub fn new(entries: usize, seed: u64) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![EMPTY; sets], hasher: FixedState::with_seed(seed), displaced: 0 }
    }

    /// Takes a packet of a conversation that has earned no state; answers what it means and which side is the client.
    pub fn knock(&mut self, knock: &Knock<'_>) -> (Outcome, Side) {
        let (set, way) = self.place(knock);
        let entry = &mut set.entries[way];
        let first = matches!(entry.stage, None | Some(Stage::Refused { .. }));
        let step = match knock.tcp {
            Some(segment) => entry.segment(segment, knock),
            None => entry.datagram(knock),
        };
        set.seen[way] = millis(knock.now);
        let client = entry.client;
        let outcome = match step {
            Step::Earned { proof, opened } => {
                let earlier = Volume { packets: u64::from(entry.packets), bytes: u64::from(entry.bytes) };
                let (first, strayed) = (entry.first_numbers(), entry.strayed());
                set.free(way);
                let admission = Admission { proof, opened, earlier, client, first, strayed };
                return (Outcome::Admit(admission), client);
            }
            Step::Attempt if first => Outcome::Attempt,
            Step::OneSided => Outcome::OneSided,
            Step::Strayed(path) => Outcome::Strayed(path),
            Step::Probed => Outcome::Probed,
            Step::Replied => Outcome::Replied,
            Step::Answered(micros) => Outcome::Answered(micros),
            Step::Refused => Outcome::Refused,
            Step::Attempt | Step::Waiting => Outcome::Waiting,
        };
        if knock.from == client {
            // Beyond 255 packets without an answer nobody asks how many there were.
            entry.packets = entry.packets.saturating_add(1);
            entry.bytes = entry.bytes.saturating_add(knock.bytes);
        }
        if entry.stage.is_none() {
            set.free(way);
        }
        (outcome, client)
    }

    /// Conversations that gave way to newer ones while they were still remembered.
    pub fn displaced(&self) -> u64 {
        self.displaced
    }

    /// The set and the way of a conversation's entry; a new one where it has none.
    fn place(&mut self, knock: &Knock<'_>) -> (&mut Set, usize) {
        let hash = self.hasher.hash_one(knock.key);
        // The upper half picks the set, so that the tag still tells apart what shares one.
        let set = (hash >> 32) as usize & (self.sets.len() - 1);
        let (set, tag, now) = (&mut self.sets[set], hash.max(NOBODY + 1), millis(knock.now));
        let way = set.find(tag, now).unwrap_or_else(|| {
            let oldest = set.oldest(now);
            self.displaced += u64::from(set.holds(oldest, now));
            let (Client::Known(client) | Client::Guessed(client)) = knock.client;
            set.tags[oldest] = tag;
            set.entries[oldest] = Entry { client, ..FREE };
            oldest
        });
        (set, way)
    }
}

impl Set {
    fn find(&self, tag: u64, now: u32) -> Option<usize> {
        (0..WAYS).find(|way| self.tags[*way] == tag && self.holds(*way, now))
    }

    /// Whether somebody's entry is still remembered.
    fn holds(&self, way: usize, now: u32) -> bool {
        // A little older than the newest is no wrapped-around age.
        let age = (now.wrapping_sub(self.seen[way]) as i32).max(0) as u32;
        self.tags[way] != NOBODY && age <= MEMORY_MILLIS
    }

    /// Which gives way.
    fn oldest(&self, now: u32) -> usize {
        let age = |way: &usize| match self.tags[*way] {
            NOBODY => u32::MAX,
            _ => now.wrapping_sub(self.seen[*way]),
        };
        (0..WAYS).max_by_key(age).unwrap_or_default()
    }

    fn free(&mut self, way: usize) {
        self.tags[way] = NOBODY;
    }
}

enum Step {
    Attempt,
    Answered(u32),
    Refused,
    OneSided,
    Strayed(u32),
    Probed,
    Replied,
    Waiting,
    Earned { proof: Proof, opened: bool },
}

const SYN: TcpFlags = TcpFlags { syn: true, ack: false, fin: false, rst: false };

impl Entry {
    /// The numbers of the first bytes of client and service.
    fn first_numbers(&self) -> [Option<u32>; 2] {
        match self.stage {
            Some(Stage::SynAck { client_next, server_isn, .. }) => {
                [Some(client_next), Some(server_isn.wrapping_add(1))]
            }
            Some(Stage::Acked { client_next }) => [Some(client_next), None],
            Some(Stage::Syn { client_isn, .. }) => [Some(client_isn.wrapping_add(1)), None],
            Some(Stage::Refused { .. } | Stage::Midstream { .. } | Stage::Datagram { .. }) | None => {
                [None; 2]
            }
        }
    }

    /// The path that was asked for before anything else was seen.
    fn strayed(&self) -> Option<u32> {
        match self.stage {
            Some(Stage::Midstream { strayed, .. }) if strayed != 0 => Some(strayed),
            _ => None,
        }
    }

    fn datagram(&mut self, knock: &Knock<'_>) -> Step {
        match self.stage {
            Some(Stage::Datagram { answered: true }) if knock.from == self.client => {
                Step::Earned { proof: Proof::Proven, opened: false }
            }
            Some(Stage::Datagram { answered: false }) if knock.from != self.client => {
                self.stage = Some(Stage::Datagram { answered: true });
                Step::Replied
            }
            Some(Stage::Datagram { .. }) => Step::Waiting,
            _ => {
                let asks = knock.from == self.client;
                self.stage = Some(Stage::Datagram { answered: !asks });
                if asks { Step::Probed } else { Step::Waiting }
            }
        }
    }

    fn segment(&mut self, segment: &TcpSegment<'_>, knock: &Knock<'_>) -> Step {
        if segment.flags.rst {
            return self.reset(segment, knock.from);
        }
        if segment.flags == SYN && knock.client.may_be(knock.from) {
            return self.syn(segment, knock);
        }
        if segment.flags.syn && segment.flags.ack && knock.client.may_be(knock.from.other()) {
            return self.syn_ack(segment, knock);
        }
        if knock.from == self.client { self.client_sends(segment) } else { self.server_sends(segment) }
    }

    /// A service that is closed acknowledges the SYN that it refuses (RFC 9293 section 3.5.2).
    fn reset(&mut self, segment: &TcpSegment<'_>, from: Side) -> Step {
        match self.stage {
            Some(Stage::Syn { client_isn, .. })
                if from != self.client && segment.acknowledgment == client_isn.wrapping_add(1) =>
            {
                self.stage = Some(Stage::Refused { client_isn });
                Step::Refused
            }
            _ => Step::Waiting,
        }
    }

    fn syn(&mut self, segment: &TcpSegment<'_>, knock: &Knock<'_>) -> Step {
        let again = matches!(self.stage, Some(Stage::Syn { client_isn, .. } | Stage::Refused { client_isn })
                if client_isn == segment.sequence)
            || matches!(self.stage, Some(Stage::SynAck { client_next, syn_seen: true, .. })
                if client_next == segment.sequence.wrapping_add(1));
        if again {
            return Step::Waiting;
        }
        let first = matches!(self.stage, None | Some(Stage::Refused { .. }));
        let stage = Some(Stage::Syn { client_isn: segment.sequence, at: units(knock.now) });
        *self = Entry { stage, client: knock.from, ..FREE };
        // Another number on the same ports is another attempt, but the caller told the first one already only when
        // the entry was new; a reused pair of ports within the memory counts as a retry of the same attempt.
        if first { Step::Attempt } else { Step::Waiting }
    }

    fn syn_ack(&mut self, segment: &TcpSegment<'_>, knock: &Knock<'_>) -> Step {
        let mut step = if self.stage.is_none() { Step::OneSided } else { Step::Waiting };
        let syn_seen = match self.stage {
            Some(Stage::Syn { client_isn, at }) if client_isn.wrapping_add(1) == segment.acknowledgment => {
                step = Step::Answered(micros_between(at, units(knock.now)));
                true
            }
            Some(Stage::SynAck { syn_seen, .. }) => syn_seen,
            _ => false,
        };
        self.client = knock.from.other();
        self.stage = Some(Stage::SynAck {
            client_next: segment.acknowledgment,
            server_isn: segment.sequence,
            syn_seen,
        });
        step
    }

    fn client_sends(&mut self, segment: &TcpSegment<'_>) -> Step {
        match self.stage {
            Some(Stage::SynAck { client_next, server_isn, syn_seen }) => {
                let heard = segment.flags.ack && segment.acknowledgment.wrapping_sub(server_isn) >= 1;
                let close = segment.acknowledgment.wrapping_sub(server_isn) < WINDOW;
                let fits = segment.sequence.wrapping_sub(client_next) < WINDOW;
                if heard && close && fits {
                    Step::Earned { proof: Proof::Proven, opened: syn_seen }
                } else {
                    Step::Waiting
                }
            }
            Some(Stage::Syn { client_isn, .. }) if segment.flags.ack => {
                let client_next = client_isn.wrapping_add(1);
                if segment.sequence != client_next {
                    return Step::Waiting;
                }
                if segment.payload_len > 0 {
                    return Step::Earned { proof: Proof::Unproven, opened: true };
                }
                self.stage = Some(Stage::Acked { client_next });
                Step::OneSided
            }
            Some(Stage::Acked { client_next }) => {
                if segment.payload_len > 0 && segment.sequence == client_next {
                    Step::Earned { proof: Proof::Unproven, opened: true }
                } else {
                    Step::Waiting
                }
            }
            _ => self.midstream(segment, self.client),
        }
    }

    fn server_sends(&mut self, segment: &TcpSegment<'_>) -> Step {
        match self.stage {
            Some(Stage::SynAck { client_next, server_isn, syn_seen }) => {
                let goes_on = segment.payload_len > 0 && segment.sequence == server_isn.wrapping_add(1);
                let heard = segment.flags.ack && segment.acknowledgment.wrapping_sub(client_next) < WINDOW;
                if goes_on && heard {
                    // Only the service's side is mirrored, or its client's third packet was missed.
                    let proof = if syn_seen { Proof::Proven } else { Proof::Unproven };
                    Step::Earned { proof, opened: true }
                } else {
                    Step::Waiting
                }
            }
            Some(Stage::Syn { .. } | Stage::Acked { .. }) => Step::Waiting,
            _ => self.midstream(segment, self.client.other()),
        }
    }

    /// A conversation whose beginning was missed: each side must continue what the other acknowledged.
    fn midstream(&mut self, segment: &TcpSegment<'_>, spoke: Side) -> Step {
        if let Some(Stage::Midstream { spoke: before, next, .. }) = self.stage
            && before != spoke
            && segment.flags.ack
            && segment.acknowledgment == next
        {
            return Step::Earned { proof: Proof::Proven, opened: false };
        }
        let len = segment.payload_len + u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
        let strays = self.stage.is_none() && spoke == self.client && segment.payload_len > 0;
        let path = strays.then(|| asked_path(segment.payload)).flatten();
        let strayed = path.or(self.strayed()).unwrap_or(0);
        if len > 0 || self.stage.is_none() {
            self.stage = Some(Stage::Midstream { spoke, next: segment.sequence.wrapping_add(len), strayed });
        }
        path.map_or(Step::Waiting, Step::Strayed)
    }
}

/// How far a number may run ahead of the one expected: the largest window that TCP can scale to is 1 GiB (RFC 7323),
/// but nothing that early in a connection is beyond 64 KiB.
const WINDOW: u32 = 65_536;

impl Client {
    fn may_be(self, side: Side) -> bool {
        match self {
            Client::Known(client) => client == side,
            Client::Guessed(_) => true,
        }
    }
}

impl Side {
    /// The other side.
    pub fn other(self) -> Self {
        match self {
            Side::Low => Side::High,
            Side::High => Side::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key::Protocol;

    const CLIENT: &str = "198.51.100.7:4000";
    const SERVER: &str = "192.0.2.1:80";

    struct Talk {
        table: Pending,
        now: Timestamp,
    }

    impl Talk {
        fn new() -> Self {
            Self { table: Pending::new(64, 1), now: Timestamp::from_secs(100) }
        }

        fn sends(&mut self, from: &str, to: &str, segment: TcpSegment<'_>) -> Outcome {
            let end =
                |text: &str| text.parse::<std::net::SocketAddr>().map(|end| (end.ip(), end.port())).unwrap();
            let (key, side) = FlowKey::of([end(from), end(to)], Protocol::Tcp);
            let client = Client::Known(if from == CLIENT { side } else { side.other() });
            let now = self.now;
            self.table.knock(&Knock { key, from: side, client, now, bytes: 40, tcp: Some(&segment) }).0
        }

        fn client(&mut self, flags: TcpFlags, sequence: u32, acknowledgment: u32, len: u32) -> Outcome {
            self.sends(CLIENT, SERVER, segment(flags, sequence, acknowledgment, len))
        }

        fn server(&mut self, flags: TcpFlags, sequence: u32, acknowledgment: u32, len: u32) -> Outcome {
            self.sends(SERVER, CLIENT, segment(flags, sequence, acknowledgment, len))
        }
    }

    fn segment(flags: TcpFlags, sequence: u32, acknowledgment: u32, payload_len: u32) -> TcpSegment<'static> {
        TcpSegment {
            source_port: 0,
            destination_port: 0,
            sequence,
            acknowledgment,
            flags,
            window: 1000,
            payload_len,
            payload: &[],
        }
    }

    const ACK: TcpFlags = TcpFlags { syn: false, ack: true, fin: false, rst: false };
    const SYN_ACK: TcpFlags = TcpFlags { syn: true, ack: true, fin: false, rst: false };

    fn admitted(outcome: Outcome) -> (Proof, bool, u64) {
        match outcome {
            Outcome::Admit(admission) => (admission.proof, admission.opened, admission.earlier.packets),
            other => panic!("not admitted: {other:?}"),
        }
    }

    #[test]
    fn the_third_packet_proves_the_client() {
        let mut talk = Talk::new();
        assert_eq!(talk.client(SYN, 100, 0, 0), Outcome::Attempt);
        assert_eq!(talk.client(SYN, 100, 0, 0), Outcome::Waiting, "a retransmission is no new attempt");
        assert_eq!(talk.server(SYN_ACK, 900, 101, 0), Outcome::Answered(0));
        assert_eq!(admitted(talk.client(ACK, 101, 901, 0)), (Proof::Proven, true, 2));
    }

    #[test]
    fn a_guessed_number_proves_nothing() {
        let mut talk = Talk::new();
        talk.client(SYN, 100, 0, 0);
        talk.server(SYN_ACK, 900, 101, 0);
        assert_eq!(talk.client(ACK, 101, 900, 50), Outcome::Waiting);
        assert_eq!(talk.client(ACK, 101, 500_000, 50), Outcome::Waiting);
    }

    #[test]
    fn the_clients_side_alone_needs_data_that_fits() {
        let mut talk = Talk::new();
        talk.client(SYN, 100, 0, 0);
        assert_eq!(talk.client(ACK, 500, 7, 90), Outcome::Waiting);
        assert_eq!(talk.client(ACK, 101, 7, 0), Outcome::OneSided);
        assert_eq!(talk.client(ACK, 101, 7, 0), Outcome::Waiting, "told once");
        assert_eq!(admitted(talk.client(ACK, 101, 7, 90)).0, Proof::Unproven);
    }

    #[test]
    fn the_services_side_alone_needs_its_data() {
        let mut talk = Talk::new();
        assert_eq!(talk.server(SYN_ACK, 900, 101, 0), Outcome::OneSided);
        assert_eq!(talk.server(SYN_ACK, 900, 101, 0), Outcome::Waiting, "told once");
        assert_eq!(admitted(talk.server(ACK, 901, 200, 500)), (Proof::Unproven, true, 0));
    }

    #[test]
    fn midstream_needs_both_sides_to_agree() {
        let mut talk = Talk::new();
        assert_eq!(talk.client(ACK, 1000, 5000, 10), Outcome::Waiting);
        assert_eq!(talk.server(ACK, 5000, 999, 10), Outcome::Waiting);
        let mut talk = Talk::new();
        talk.client(ACK, 1000, 5000, 10);
        assert_eq!(admitted(talk.server(ACK, 5000, 1010, 10)), (Proof::Proven, false, 1));
    }

    #[test]
    fn a_flood_displaces_but_never_grows() {
        let mut table = Pending::new(64, 1);
        let before = table.sets.len();
        for port in 1..60_000_u16 {
            let from = std::net::SocketAddr::new("203.0.113.9".parse().unwrap(), port);
            let server: std::net::SocketAddr = SERVER.parse().unwrap();
            let ends = [from, server].map(|end| (end.ip(), end.port()));
            let (key, side) = FlowKey::of(ends, Protocol::Tcp);
            let syn = segment(SYN, u32::from(port), 0, 0);
            let now = Timestamp::from_secs(1);
            let client = Client::Known(side);
            let knock = Knock { key, from: side, client, now, bytes: 40, tcp: Some(&syn) };
            assert_eq!(table.knock(&knock).0, Outcome::Attempt);
        }
        assert_eq!(table.sets.len(), before);
    }
}
