//! A packet without a connection, and for whom it counts. Comes in: a packet and where it was seen. Goes out: events
//! of its service, and the beginning of a connection. Remembers nothing: `pending` and `tracker` do.

use std::net::{IpAddr, SocketAddr};

use super::connection::{Connection, Moment};
use super::key::{FlowKey, Side};
use super::pending::{Admission, Outcome};
use super::speech::quic;
use super::tracker::Sighting;
use super::turns::{Beginning, Turns};
use super::{FlowEvent, Observer, Proof, ServerEnd, What};
use crate::decode::{Packet, TcpSegment, Transport};
use crate::service::{Direction, Scope};

/// A packet of a conversation without an entry.
pub(super) struct Arrival<'p, 'a> {
    pub packet: &'p Packet<'a>,
    pub key: FlowKey,
    pub from: Side,
    pub segment: Option<&'p TcpSegment<'a>>,
    /// The sender's and the receiver's.
    pub ports: (u16, u16),
}

/// Ports whose services answer a small question with a large answer, in order: quotd, chargen, DNS, TFTP, portmap, NTP,
/// NetBIOS, SNMP, CLDAP, RIPv1, MSSQL, SSDP, ARMS, WS-Discovery, mDNS, CoAP, memcached and others
/// (<https://www.cisa.gov/news-events/alerts/2014/01/17/udp-based-amplification-attacks>).
const AMPLIFIERS: [u16; 24] = [
    17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1_434, 1_900, 3_283, 3_478, 3_702, 5_093, 5_353,
    5_683, 10_001, 11_211, 17_185, 27_960, 37_810,
];

/// Clients have ports from here on; below are those of servers (RFC 6335 section 6).
const FIRST_OF_CLIENTS: u16 = 1_024;

impl Arrival<'_, '_> {
    /// Which side is the client's, as far as the packet alone tells: the sender of a SYN or a datagram, the receiver of
    /// a SYN-ACK, else the one with the higher port.
    pub fn guess(&self) -> Side {
        let sender_is_client = match self.segment {
            None => true,
            Some(segment) if segment.flags.syn => !segment.flags.ack,
            Some(_) => self.ports.0 >= self.ports.1,
        };
        if sender_is_client { self.from } else { self.from.other() }
    }

    /// Whether it may be the answer to a forged question: to the service, with payload, from the port of a service that
    /// amplifies. Between two such ports it is their own talk (NTP).
    fn is_reflected(&self, account: &Account<'_>) -> bool {
        let (from, to) = self.ports;
        self.segment.is_none()
            && account.direction == Direction::ToServer
            && from != to
            && AMPLIFIERS.binary_search(&from).is_ok()
            && datagram(self.packet).is_some_and(|payload| !payload.is_empty())
    }

    /// Whether it may be a server's answer to a forged SYN: to a port beside the service that clients have, from one of
    /// servers.
    fn is_unasked_syn_ack(&self, account: &Account<'_>) -> bool {
        let (from, to) = self.ports;
        matches!(account.scope, Scope::Beside(_))
            && account.direction == Direction::ToServer
            && from < FIRST_OF_CLIENTS
            && to >= FIRST_OF_CLIENTS
            && self.segment.is_some_and(|segment| segment.flags.syn && segment.flags.ack)
    }

    /// Whether it may be a question to a port beside a service, or the answer to one: from a port that clients have. What
    /// comes from ports of servers is their answer to something that was not seen.
    fn is_question(&self, account: &Account<'_>) -> bool {
        let clients = match account.direction {
            Direction::ToServer => self.ports.0,
            Direction::ToClient => self.ports.1,
        };
        matches!(account.scope, Scope::Beside(_) | Scope::CandidateHost(_))
            && clients >= FIRST_OF_CLIENTS
            && AMPLIFIERS.binary_search(&clients).is_err()
    }

    /// What the first datagram of a conversation with the service, or the first back, means where QUIC is spoken.
    fn greets(&self, account: &Account<'_>) -> Option<What<'static>> {
        let datagram = datagram(self.packet).filter(|_| matches!(account.scope, Scope::Service(_)))?;
        match account.direction {
            Direction::ToServer => quic::is_initial(datagram).then_some(What::Initial),
            Direction::ToClient => quic::may_answer(datagram).then_some(What::InitialAnswered),
        }
    }

    /// Whether it is a segment that no connection has, to a port beside a service: with neither SYN nor ACK nor RST (FIN, NULL
    /// and Xmas scans, <https://nmap.org/book/scan-methods-null-fin-xmas-scan.html>).
    fn is_stealthy(&self, account: &Account<'_>) -> bool {
        let bare = |segment: &TcpSegment<'_>| !(segment.flags.syn || segment.flags.ack || segment.flags.rst);
        matches!(account.scope, Scope::Beside(_))
            && account.direction == Direction::ToServer
            && self.segment.is_some_and(bare)
    }

    /// Whether it is a segment to the service's port of which no conversation is known, and begins none: nobody answers a SYN
    /// that a service's port never sent, unless it was forged (reflection).
    fn is_out_of_state(&self, account: &Account<'_>) -> bool {
        let begins = |segment: &TcpSegment<'_>| segment.flags.syn && !segment.flags.ack;
        account.direction == Direction::ToServer && self.segment.is_some_and(|segment| !begins(segment))
    }

    /// For whom the packet counts.
    #[inline(always)]
    pub fn account<'s>(&'s self, from_client: bool, sighting: &'s Sighting) -> Account<'s> {
        let direction = toward(from_client);
        let (source, destination) = (&self.packet.source, &self.packet.destination);
        let (outside, inside, port) = match direction {
            Direction::ToServer => (source, destination, self.ports.1),
            Direction::ToClient => (destination, source, self.ports.0),
        };
        let inside = SocketAddr::new(*inside, port);
        let scope = match (sighting.named, self.segment) {
            (Some((named, _)), _) => named.into(),
            (None, Some(_)) => Scope::Candidate(inside),
            (None, None) => Scope::CandidateHost(inside.ip()),
        };
        Account {
            scope,
            sighting,
            direction,
            outside,
            server: ServerEnd { address: inside, protocol: protocol_number(self.packet) },
            bytes: self.packet.fresh_len,
        }
    }
}

/// For whom and when a packet without a connection counts.
pub(super) struct Account<'s> {
    pub scope: Scope,
    pub sighting: &'s Sighting,
    pub direction: Direction,
    pub outside: &'s IpAddr,
    pub server: ServerEnd,
    pub bytes: u32,
}

impl Account<'_> {
    /// Tells something of it.
    pub fn tell<O: Observer>(&self, what: What<'_>, observer: &mut O) {
        observer.observe(FlowEvent {
            scope: self.scope,
            tick: self.sighting.tick,
            server: self.server,
            what,
        });
    }

    /// Begins a connection with the packet that admits it.
    pub fn begin<O: Observer>(
        &self,
        connection: &mut Connection,
        (arrival, admission): (&Arrival<'_, '_>, &Admission),
        moment: &mut Moment<'_, O>,
    ) {
        let proof = admission.proof;
        let answers_alone = proof == Proof::Unproven && self.direction == Direction::ToClient;
        // Whose words are not mirrored is not silent.
        let seen = admission.opened && !answers_alone;
        let beginning = if seen { Beginning::Seen } else { Beginning::Missed };
        moment.turns.begin(beginning, proof, moment.now);
        connection.count(self.direction, self.bytes, self.sighting);
        if answers_alone {
            connection.shows_answers_alone();
        }
        if let Some(segment) = arrival.segment {
            if Turns::concern(segment) {
                moment.turns.segment(self.direction, segment, moment.now);
            }
            connection.segment(self.direction, segment, moment);
        } else if let Some(payload) = datagram(arrival.packet) {
            connection.datagram(self.direction, payload, moment);
        }
    }

    /// Tells what a packet of a conversation without an entry means. Who is admitted is told by the tracker, which has to
    /// have room.
    #[inline(always)]
    pub fn came_of<O: Observer>(&self, outcome: &Outcome, arrival: &Arrival<'_, '_>, observer: &mut O) {
        let (source, bytes) = (self.outside, self.bytes);
        match *outcome {
            Outcome::Attempt => self.tell(What::Attempted { source, bytes }, observer),
            // Whoever tries a port without a SYN has tried it.
            Outcome::Waiting if arrival.is_stealthy(self) => {
                self.tell(What::Attempted { source, bytes }, observer);
            }
            Outcome::Waiting => {
                if arrival.is_unasked_syn_ack(self) {
                    self.tell(What::UnaskedSynAck, observer);
                }
                if arrival.is_out_of_state(self) {
                    self.tell(What::OutOfState, observer);
                }
                self.unexpected(arrival, observer);
            }
            Outcome::Probed => {
                if arrival.is_question(self) {
                    self.tell(What::Probed { source: *source }, observer);
                }
                self.greeted(arrival, observer);
                self.unexpected(arrival, observer);
            }
            Outcome::Replied => {
                if arrival.is_question(self) {
                    self.tell(What::Replied { source: *source }, observer);
                }
                self.greeted(arrival, observer);
                self.unexpected(arrival, observer);
            }
            Outcome::Answered(micros) => self.tell(What::Answered { source, bytes, micros }, observer),
            Outcome::Refused => self.tell(What::Refused { bytes }, observer),
            Outcome::OneSided => {
                self.tell(What::OneSided, observer);
                self.unearned(observer);
            }
            Outcome::Strayed(path) => {
                self.tell(What::Strayed { source: *source, path }, observer);
                self.unearned(observer);
            }
            Outcome::Admit(_) => {}
        }
    }

    /// Tells of the first datagrams of a conversation over QUIC.
    fn greeted<O: Observer>(&self, arrival: &Arrival<'_, '_>, observer: &mut O) {
        if let Some(greeting) = arrival.greets(self) {
            self.tell(greeting, observer);
        }
    }

    /// Tells of what belongs to no conversation, whether it is an answer that nobody asked for.
    fn unexpected<O: Observer>(&self, arrival: &Arrival<'_, '_>, observer: &mut O) {
        if arrival.is_reflected(self) {
            self.tell(What::Reflected { bytes: self.bytes }, observer);
        }
        self.unearned(observer);
    }

    /// Tells that it proves nothing.
    pub fn unearned<O: Observer>(&self, observer: &mut O) {
        let (source, direction, bytes) = (self.outside, self.direction, self.bytes);
        self.tell(What::Unearned { source, direction, bytes }, observer);
    }
}

/// A packet without ports proves nothing and has no conversation.
#[inline(never)]
pub(super) fn portless<O: Observer>(packet: &Packet<'_>, sighting: &Sighting, observer: &mut O) {
    let (named, direction) = sighting.named.unzip();
    let scope = named.map_or(Scope::CandidateHost(packet.destination), Scope::from);
    let direction = direction.unwrap_or(Direction::ToServer);
    let (outside, inside) = match direction {
        Direction::ToServer => (&packet.source, &packet.destination),
        Direction::ToClient => (&packet.destination, &packet.source),
    };
    let server = ServerEnd { address: SocketAddr::new(*inside, 0), protocol: protocol_number(packet) };
    let bytes = packet.fresh_len;
    Account { scope, sighting, direction, outside, server, bytes }.unearned(observer);
}

/// The IP protocol number (<https://www.iana.org/assignments/protocol-numbers>).
fn protocol_number(packet: &Packet<'_>) -> u8 {
    match packet.transport {
        Transport::Tcp(_) => 6,
        Transport::Udp(_) => 17,
        Transport::Icmp { .. } if packet.source.is_ipv4() => 1,
        Transport::Icmp { .. } => 58,
        Transport::Sctp { .. } => 132,
        Transport::Fragment => 255,
        Transport::Other(number) => number,
    }
}

pub(super) fn datagram<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    match packet.transport {
        Transport::Udp(datagram) => Some(datagram.payload),
        _ => None,
    }
}

pub(super) fn toward(from_client: bool) -> Direction {
    if from_client { Direction::ToServer } else { Direction::ToClient }
}
