//! One flow while it lasts: who began it, what moved, how it stands. Comes in: its packets in order. Goes out: when it is
//! over, and its record.

use super::notes::Notes;
use super::ports::{is_dns, is_likely_server};
use super::talk::{Desk, Party, Talk};
use crate::decode::{Layers, TcpSegment, Transport};
use crate::flow::Volume;
use crate::flow::key::{FlowKey, Protocol, Side};
use crate::flow::record::{FlowRecord, Record, Scribe, TcpRecord};
use crate::flow::tcp::{ConnState, History, Role, Tcp, Turn};
use crate::time::{Span, Timestamp};

/// A flow.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: FlowKey,
    originator: Side,
    /// The code of the first message, with ICMP.
    code: u8,
    duplicates: u32,
    start: Timestamp,
    last: Timestamp,
    moved: Moved,
    kind: Kind,
    pub carried: Option<Box<Layers>>,
    pub talk: Talk,
}

/// What moved, by who sent it: two [`Volume`]s in less room.
#[derive(Debug, Default)]
struct Moved {
    bytes: [u64; 2],
    packets: [u32; 2],
}

impl Moved {
    fn add(&mut self, from: Role, bytes: u32) {
        self.bytes[from as usize] += u64::from(bytes);
        self.packets[from as usize] = self.packets[from as usize].saturating_add(1);
    }

    fn turn(&mut self) {
        self.bytes.reverse();
        self.packets.reverse();
    }

    fn of(&self, from: Role) -> Volume {
        Volume { packets: self.packets[from as usize].into(), bytes: self.bytes[from as usize] }
    }
}

/// What is followed of a flow besides its volume.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most flows are TCP; a box would cost their packets a cache line more"
)]
enum Kind {
    /// TCP.
    Tcp(Tcp),
    /// UDP and SCTP: who was heard.
    Datagrams(Heard),
    /// ICMP.
    Messages,
}

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    originator: bool,
    responder: bool,
    flipped: bool,
    /// The time-out of DNS.
    dns: bool,
}

/// What a packet is to a flow.
pub(super) struct Arrival<'p, 'a> {
    pub key: FlowKey,
    pub protocol: Protocol,
    pub from: Side,
    pub transport: &'p Transport<'a>,
    pub layers: &'p Layers,
    /// Whether the packet is sent to all.
    pub broadcast: bool,
    pub bytes: u32,
    pub now: Timestamp,
}

impl<'a> Arrival<'_, 'a> {
    /// The segment, with TCP.
    pub fn segment(&self) -> Option<&TcpSegment<'a>> {
        match self.transport {
            Transport::Tcp(segment) => Some(segment),
            _ => None,
        }
    }
}

/// Silence after which a flow without connections is over (Zeek's `udp_inactivity_timeout` and
/// `icmp_inactivity_timeout`), and one of DNS (`dns_session_timeout`).
const IDLE: Span = Span::from_secs(60);
const IDLE_DNS: Span = Span::from_secs(10);

impl Entry {
    /// The flow that a packet begins; the packet itself is still to be taken.
    pub fn begin(arrival: &Arrival<'_, '_>) -> Self {
        let flipped = comes_from_server(arrival) && !arrival.broadcast;
        let originator = if flipped { arrival.from.other() } else { arrival.from };
        let port = arrival.key.end(originator.other()).port();
        let kind = match arrival.protocol {
            Protocol::Tcp => {
                let mut tcp = Tcp::default();
                if flipped {
                    tcp.flip();
                }
                Kind::Tcp(tcp)
            }
            Protocol::Udp => Kind::Datagrams(Heard { flipped, dns: is_dns(port), ..Heard::default() }),
            Protocol::Sctp => Kind::Datagrams(Heard::default()),
            Protocol::Icmp | Protocol::Icmp6 => Kind::Messages,
        };
        let code = match arrival.transport {
            Transport::Icmp { code, .. } => *code,
            _ => 0,
        };
        Self {
            key: arrival.key,
            originator,
            code,
            duplicates: 0,
            start: arrival.now,
            last: arrival.now,
            moved: Moved::default(),
            kind,
            carried: None,
            talk: Talk::default(),
        }
    }

    /// Whether the packet begins another flow between the same ends.
    pub fn is_reused_by(&self, arrival: &Arrival<'_, '_>) -> bool {
        match (&self.kind, arrival.segment()) {
            (Kind::Tcp(tcp), Some(segment)) => tcp.is_reused_by(segment),
            _ => false,
        }
    }

    /// Takes a packet, and has written down what it says.
    pub fn take<S: Scribe>(&mut self, arrival: &Arrival<'_, '_>, desk: &mut Desk<'_, S>) {
        self.last = self.last.max(arrival.now);
        let mut role = self.role_of(arrival.from);
        match (&mut self.kind, arrival.segment()) {
            (Kind::Tcp(tcp), Some(segment)) => {
                let turn = tcp.segment(role, segment, arrival.now);
                if turn == Turn::Flipped {
                    self.originator = self.originator.other();
                    self.moved.turn();
                    self.talk.turn(desk);
                    role = role.other();
                }
            }
            (Kind::Datagrams(heard), _) => match role {
                Role::Originator => heard.originator = true,
                Role::Responder => heard.responder = true,
            },
            _ => {}
        }
        self.moved.add(role, arrival.bytes);
        let party = self.party(arrival.now);
        self.talk.hear(role, arrival.transport, party, desk);
    }

    fn party(&self, now: Timestamp) -> Party {
        Party { key: self.key, originator: self.originator, now }
    }

    /// Counts a copy that the mirror made.
    pub fn count_duplicate(&mut self) {
        self.duplicates = self.duplicates.saturating_add(1);
    }

    /// Who sends from `side`.
    fn role_of(&self, side: Side) -> Role {
        if side == self.originator { Role::Originator } else { Role::Responder }
    }

    /// When it is over if nothing more comes.
    pub fn deadline(&self) -> Timestamp {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.deadline(self.start, self.last),
            Kind::Datagrams(Heard { dns: true, .. }) => self.last + IDLE_DNS,
            Kind::Datagrams(_) | Kind::Messages => self.last + IDLE,
        }
    }

    /// When it began.
    pub fn begun(&self) -> Timestamp {
        self.start
    }

    /// The clock was set back to `now`.
    pub fn come_back_to(&mut self, now: Timestamp) {
        self.last = self.last.min(now);
    }

    /// It is over: writes its record, behind what it had left to say.
    pub fn end<S: Scribe>(mut self, desk: &mut Desk<'_, S>) {
        let party = self.party(self.last);
        let notes = std::mem::take(&mut self.talk).end(party, desk);
        let ends = party.ends();
        let (state, history, tcp) = match &self.kind {
            Kind::Tcp(tcp) => {
                let (originator, responder) = tcp.noticed();
                let record = TcpRecord { originator, responder, handshake: tcp.handshake() };
                (tcp.state(), tcp.history, Some(record))
            }
            Kind::Datagrams(heard) if ends.protocol == Protocol::Udp as u8 => {
                (heard.state(), heard.history(), None)
            }
            Kind::Datagrams(_) | Kind::Messages => (ConnState::Oth, History::default(), None),
        };
        let record = FlowRecord {
            ends,
            icmp_code: ends.is_icmp().then_some(self.code),
            carried: self.carried.as_deref(),
            state,
            history,
            start: self.start,
            end: self.last,
            to_responder: self.moved.of(Role::Originator),
            to_originator: self.moved.of(Role::Responder),
            duplicates: u64::from(self.duplicates),
            tcp,
            said: notes.as_deref().map(Notes::summary),
        };
        desk.write_flow(&Record::Flow(&record));
        desk.take_back(notes);
    }
}

impl Heard {
    fn state(self) -> ConnState {
        match (self.originator, self.responder) {
            (true, true) => ConnState::SF,
            (true, false) => ConnState::S0,
            (false, true) => ConnState::Shr,
            (false, false) => ConnState::Oth,
        }
    }

    fn history(self) -> History {
        let mut history = History::default();
        if self.flipped {
            history.flip();
        }
        // A flow begins with what its originator says, unless it was taken the other way round.
        let order = if self.flipped { [false, true] } else { [true, false] };
        for of_originator in order {
            if of_originator && self.originator {
                history.add(b'D', Role::Originator);
            }
            if !of_originator && self.responder {
                history.add(b'D', Role::Responder);
            }
        }
        history
    }
}

/// Whether a packet that begins a flow was sent by the end that answers, as far as its ports tell.
fn comes_from_server(arrival: &Arrival<'_, '_>) -> bool {
    let (source, destination) =
        (arrival.key.end(arrival.from).port(), arrival.key.end(arrival.from.other()).port());
    let likely = |port| is_likely_server(arrival.protocol, port);
    match arrival.transport {
        Transport::Tcp(segment) => {
            let flags = &segment.flags;
            if flags.syn && !flags.ack || !likely(source) {
                return false;
            }
            // Where both are plausible the lower one is more so; a SYN-ACK may be a scan and says nothing.
            !likely(destination) || !flags.syn && source < destination
        }
        Transport::Udp(_) => likely(source) && !likely(destination),
        _ => false,
    }
}
