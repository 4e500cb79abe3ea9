//! How connections open and close, and how data travels on them: segments, acknowledgements, loss and its repair, as a
//! mirror port next to the server sees them. What is said and who is served stands in `exchange.rs`.
//! [RFC 9293](https://www.rfc-editor.org/rfc/rfc9293), [RFC 6298](https://www.rfc-editor.org/rfc/rfc6298) for timers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::super::frame::{ACK, FIN, PSH, RST, SYN};
use super::actor::Signal;
use super::conn::{Conn, Filling, State};
use super::curve::plus;
use super::engine::{ActorId, ConnId, Event, World};
use super::packet::{Content, Packet, Window};
use super::people::Client;
use super::server::{Server, Welcome};
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// A host next to the mirror answers within that time.
pub(super) const TURN: Span = Span::from_micros(150);
/// The first wait of a SYN; it doubles (RFC 6298, 2.1).
const SYN_WAIT: Span = Span::from_secs(1);
/// SYNs that are sent again: after 1, 3, 7 and 15 seconds.
const SYN_TRIES: u8 = 4;
/// The least time before an unacknowledged segment is sent again, as Linux has it.
const LEAST_WAIT: Span = Span::from_millis(200);
/// Tries after which a sender gives up a segment.
const SEGMENT_TRIES: u32 = 9;
/// Between two segments of a burst: 1,500 bytes at a gigabit.
const GAP: Span = Span::from_micros(12);
/// Segments sent before the first acknowledgement ([RFC 6928](https://www.rfc-editor.org/rfc/rfc6928)).
const FIRST_BURST: usize = 10;
/// The longest burst.
const LONGEST_BURST: usize = 64;

/// Bytes on their way to the client.
pub(super) struct Stream {
    /// When the first leaves.
    pub start: Timestamp,
    /// The text in front.
    pub head: Arc<[u8]>,
    /// Bytes that follow it.
    pub filler: usize,
}

/// A segment of a stream: its number since the stream's begin, and its content.
struct Segment {
    offset: u32,
    content: Content,
    last: bool,
}

impl World {
    /// A client begins to open a connection.
    pub(super) fn connect(&mut self, actor: ActorId, group: u16, client: Client) -> Option<ConnId> {
        let service = self.plan.groups.get(usize::from(group))?.service;
        if self.connections() >= MOST_CONNECTIONS {
            return None;
        }
        self.opened += 1;
        let mut conn = Conn::new(actor, (group, service), (client, self.opened), &mut self.rng);
        let plan = self.plan.services.get(service)?;
        conn.dest = plan.end_for(client.ip)?;
        if plan.sealed {
            conn.filling = Filling::Sealed;
        }
        let id = self.add(conn);
        self.at(self.now + TURN, Event::Syn(id, 0));
        Some(id)
    }

    pub(super) fn on_syn(&mut self, id: ConnId, tries: u8) {
        let (now, loss) = (self.now, self.loss(id));
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Opening) else { return };
        let (service, rtt) = (conn.service, conn.client.rtt);
        let again = now + Span::from_nanos(SYN_WAIT.nanos() << tries);
        let retry = if tries < SYN_TRIES { Event::Syn(id, tries + 1) } else { Event::Failed(id) };
        if self.rng.unit() < loss {
            return self.at(again, retry);
        }
        self.send(id, now, Direction::ToServer, SYN);
        let server = self.servers.get(service);
        let welcome = server.map_or(Welcome::Dropped, |server| server.welcome(&mut self.rng));
        match welcome {
            Welcome::Dropped => self.at(again, retry),
            Welcome::Refused => {
                self.send(id, now + TURN, Direction::ToClient, RST | ACK);
                self.at(now + TURN + rtt, Event::Failed(id));
            }
            Welcome::Accepted => {
                let turn = self.rng.span_between(Span::from_micros(40), Span::from_micros(260));
                self.send(id, now + turn, Direction::ToClient, SYN | ACK);
                // A lost answer shows as a SYN that comes again, and is answered again.
                let lost = self.rng.unit() < loss;
                self.at(
                    if lost { again } else { now + turn + rtt },
                    if lost { retry } else { Event::Established(id) },
                );
            }
        }
    }

    pub(super) fn on_established(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Opening) else { return };
        conn.state = State::Greeting;
        conn.client_seq = conn.client_seq.wrapping_add(1);
        conn.server_seq = conn.server_seq.wrapping_add(1);
        let (service, sealed) = (conn.service, conn.filling == Filling::Sealed);
        let life = self.servers.get(service).map_or(0, |server| server.life);
        if let Some(conn) = self.conn(id) {
            conn.life = life;
        }
        self.send(id, now, Direction::ToServer, ACK);
        if sealed { self.greet(id) } else { self.at(now + TURN, Event::Open(id)) }
    }

    pub(super) fn on_open(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Greeting) else { return };
        conn.state = State::Ready;
        let actor = conn.actor;
        self.signal(actor, Signal::Opened(id));
        self.await_idle(id);
    }

    pub(super) fn on_failed(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        conn.state = State::Closed;
        let actor = conn.actor;
        self.signal(actor, Signal::Failed(id));
        self.forget_if_over(id);
    }

    /// The client gives a connection up, whatever is on its way.
    pub(super) fn abandon(&mut self, id: ConnId) {
        let (now, cut) = (self.now, self.planned());
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        let (was, coming) = (conn.state, conn.coming);
        (conn.state, conn.cut) = (State::Closed, cut);
        if was != State::Opening {
            // Numbers of data that is cut off are unknown to the client, so it acknowledges nothing then.
            let flags = if coming == 0 { RST | ACK } else { RST };
            self.send(id, now, Direction::ToServer, flags);
        }
        self.forget_if_over(id);
    }

    /// The client is done with a connection.
    pub(super) fn hang_up(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Ready) else {
            return self.abandon(id);
        };
        conn.state = State::Closed;
        let (service, rtt) = (conn.service, conn.client.rtt);
        self.send(id, now, Direction::ToServer, FIN | ACK);
        self.bump(id, Direction::ToServer, 1);
        if !self.servers.get(service).is_some_and(Server::is_silent) {
            self.send(id, now + TURN, Direction::ToClient, FIN | ACK);
            self.bump(id, Direction::ToClient, 1);
            self.send(id, now + TURN + rtt, Direction::ToServer, ACK);
        }
    }

    /// The server is done with a connection.
    pub(super) fn dismiss(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        conn.state = State::Closed;
        let (actor, rtt) = (conn.actor, conn.client.rtt);
        self.send(id, now, Direction::ToClient, FIN | ACK);
        self.bump(id, Direction::ToClient, 1);
        self.send(id, now + rtt, Direction::ToServer, FIN | ACK);
        self.bump(id, Direction::ToServer, 1);
        self.send(id, now + rtt + TURN, Direction::ToClient, ACK);
        self.signal(actor, Signal::Failed(id));
    }

    /// The server knows nothing of a connection, or does not want it.
    pub(super) fn reset(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        let rtt = conn.client.rtt;
        self.send(id, now + TURN, Direction::ToClient, RST | ACK);
        self.at(now + TURN + rtt, Event::Failed(id));
    }

    /// The part of a connection's packets that is lost.
    fn loss(&mut self, id: ConnId) -> f64 {
        let Some(conn) = self.conn(id) else { return 0.0 };
        let (service, own) = (conn.service, f64::from(conn.client.loss) / 1e4);
        own + self.servers.get(service).map_or(0.0, Server::loss)
    }

    /// Plans a packet without content.
    pub(super) fn send(&mut self, id: ConnId, time: Timestamp, direction: Direction, flags: u8) {
        self.say(id, time, (direction, flags), Content::default());
    }

    /// Plans a packet at the ends' present numbers.
    pub(super) fn say(
        &mut self,
        id: ConnId,
        time: Timestamp,
        (direction, flags): (Direction, u8),
        content: Content,
    ) {
        let Some(conn) = self.conn(id) else { return };
        let (seq, ack) = match direction {
            Direction::ToServer => (conn.client_seq, conn.server_seq),
            Direction::ToClient => (conn.server_seq, conn.client_seq),
        };
        // A SYN-ACK and a refusal acknowledge the SYN, which the client's number does not hold yet.
        let ack = match conn.state {
            State::Opening if direction == Direction::ToClient => ack.wrapping_add(1),
            _ => ack,
        };
        self.plan_packet(
            time,
            Packet { conn: id, direction, flags, seq, ack, content, window: Window::Open },
        );
    }

    /// One side said so many bytes.
    pub(super) fn bump(&mut self, id: ConnId, direction: Direction, bytes: u32) {
        let Some(conn) = self.conn(id) else { return };
        let seq = match direction {
            Direction::ToServer => &mut conn.client_seq,
            Direction::ToClient => &mut conn.server_seq,
        };
        *seq = seq.wrapping_add(bytes);
    }

    /// Plans what the client says, in full segments; when the last of them arrives.
    pub(super) fn upload(&mut self, id: ConnId, text: &Arc<[u8]>, filler: usize) -> Timestamp {
        let loss = self.loss(id);
        let mut time = self.now;
        if self.rng.unit() < loss {
            // What was lost before the mirror only comes later.
            let rtt = self.conn(id).map_or(Span::default(), |conn| conn.client.rtt);
            time = time + plus(LEAST_WAIT, rtt);
        }
        self.upload_from(id, (time, text), filler)
    }

    /// The same, with nothing lost, from a moment on.
    pub(super) fn upload_from(
        &mut self,
        id: ConnId,
        (start, text): (Timestamp, &Arc<[u8]>),
        filler: usize,
    ) -> Timestamp {
        let mut time = start;
        for segment in self.segments(id, text, filler) {
            let flags = if segment.last { PSH | ACK } else { ACK };
            let length = segment.content.len();
            self.say(id, time, (Direction::ToServer, flags), segment.content);
            self.bump(id, Direction::ToServer, length);
            time = time + GAP;
        }
        time
    }

    /// Plans what the server says, with the acknowledgements; when the last of them arrives, or `None` where the
    /// segments never get through.
    pub(super) fn download(&mut self, id: ConnId, stream: &Stream) -> Option<Timestamp> {
        let segments = self.segments(id, &stream.head, stream.filler);
        let rtt = self.conn(id)?.client.rtt;
        let (mut time, mut burst, mut from) = (stream.start, FIRST_BURST, 0);
        while from < segments.len() {
            let part = segments.get(from..(from + burst).min(segments.len())).unwrap_or_default();
            from += part.len();
            let lost = self.send_burst(id, time, part);
            let sent = time + Span::from_nanos(GAP.nanos() * part.len() as u64);
            if lost.is_empty() {
                burst = (burst * 2).min(LONGEST_BURST);
                time = sent + rtt;
            } else {
                burst = (burst / 2).max(2);
                time = self.repair(id, sent, (part, &lost))?;
            }
        }
        let total: u32 = segments.iter().map(|segment| segment.content.len()).sum();
        self.bump(id, Direction::ToClient, total);
        Some(time)
    }

    /// Sends segments one after the other, with the client's answer to each second of them; which ones were lost.
    fn send_burst(&mut self, id: ConnId, start: Timestamp, part: &[Segment]) -> Vec<usize> {
        let (loss, large) = (self.loss(id), self.large_loss(id));
        let Some(conn) = self.conn(id) else { return Vec::new() };
        let (base, rtt) = (conn.server_seq, conn.client.rtt);
        let mut lost: Vec<usize> = Vec::new();
        let mut heard = part.first().map_or(0, |segment| segment.offset);
        let mut time = start;
        for (place, segment) in part.iter().enumerate() {
            let flags = if segment.last { PSH | ACK } else { ACK };
            self.segment(id, time, (flags, segment), base);
            let risk = if segment.content.len() >= LARGE { loss + large } else { loss };
            if self.rng.unit() < risk {
                lost.push(place);
            } else if lost.is_empty() {
                heard = segment.offset + segment.content.len();
                if place % 2 == 1 || place + 1 == part.len() {
                    self.heard(id, time + rtt, base.wrapping_add(heard));
                }
            } else if place - lost.len() < 6 {
                // What came after a hole is answered with the number of the hole.
                self.heard(id, time + rtt, base.wrapping_add(heard));
            }
            time = time + GAP;
        }
        lost
    }

    /// Sends lost segments again until they get through; when the last of them is acknowledged.
    fn repair(
        &mut self,
        id: ConnId,
        sent: Timestamp,
        (part, lost): (&[Segment], &[usize]),
    ) -> Option<Timestamp> {
        let (loss, large) = (self.loss(id), self.large_loss(id));
        let conn = self.conn(id)?;
        let (base, rtt) = (conn.server_seq, conn.client.rtt);
        let later = part.len() - 1 - lost.first()?;
        // Three duplicate acknowledgements speed the repair up (RFC 5681); else the timer runs.
        let quick = later - (lost.len() - 1) >= 3;
        let mut wait = plus(LEAST_WAIT, rtt);
        let mut time = if quick { sent + rtt } else { sent + wait };
        for (place, next) in lost.iter().zip(lost.iter().skip(1).map(Some).chain([None])) {
            let segment = part.get(*place)?;
            let risk = if segment.content.len() >= LARGE { loss + large } else { loss };
            let mut tries = 0;
            loop {
                self.segment(id, time, (PSH | ACK, segment), base);
                if self.rng.unit() >= risk {
                    break;
                }
                tries += 1;
                if tries > SEGMENT_TRIES {
                    return None;
                }
                time = time + wait;
                wait = Span::from_nanos(wait.nanos() * 2);
            }
            let hole = next.and_then(|next| part.get(*next)).map(|segment| segment.offset);
            let end = part.last().map_or(0, |last| last.offset + last.content.len());
            self.heard(id, time + rtt, base.wrapping_add(hole.unwrap_or(end)));
            time = time + rtt;
            wait = plus(LEAST_WAIT, rtt);
        }
        Some(time)
    }

    fn segment(&mut self, id: ConnId, time: Timestamp, (flags, segment): (u8, &Segment), base: u32) {
        let Some(ack) = self.conn(id).map(|conn| conn.client_seq) else { return };
        let content = segment.content.clone();
        let seq = base.wrapping_add(segment.offset);
        let direction = Direction::ToClient;
        self.plan_packet(
            time,
            Packet { conn: id, direction, flags, seq, ack, content, window: Window::Open },
        );
    }

    /// The client acknowledges everything before `ack`.
    fn heard(&mut self, id: ConnId, time: Timestamp, ack: u32) {
        let Some(seq) = self.conn(id).map(|conn| conn.client_seq) else { return };
        let (direction, flags, content) = (Direction::ToServer, ACK, Content::default());
        self.plan_packet(
            time,
            Packet { conn: id, direction, flags, seq, ack, content, window: Window::Open },
        );
    }

    fn large_loss(&mut self, id: ConnId) -> f64 {
        let service = self.conn(id).map_or(0, |conn| conn.service);
        self.servers.get(service).map_or(0.0, Server::large_loss)
    }

    /// Cuts a text and filler into segments; where it is sealed, each segment is a record.
    fn segments(&mut self, id: ConnId, text: &Arc<[u8]>, filler: usize) -> Vec<Segment> {
        let Some(conn) = self.conn(id) else { return Vec::new() };
        let room = conn.segment();
        let total = text.len() + filler;
        let mut at = 0;
        let mut segments = Vec::with_capacity(total / room + 1);
        while at < total {
            let size = (total - at).min(room);
            let told = text.len().saturating_sub(at).min(size);
            let from = at.min(text.len()) as u32;
            let content = Content {
                text: (told > 0).then(|| Arc::clone(text)),
                part: (from, from + told as u32),
                filler: (size - told) as u16,
            };
            segments.push(Segment { offset: at as u32, content, last: at + size == total });
            at += size;
        }
        segments
    }
}

/// Connections under way: further ones are not opened, their clients wait in vain.
const MOST_CONNECTIONS: usize = 200_000;

/// Segments of so many bytes are of full size, whatever their options.
const LARGE: u32 = 1_400;

impl super::plan::ServicePlan {
    /// The server's end for a client, of the client's family.
    fn end_for(&self, client: IpAddr) -> Option<SocketAddr> {
        let same = |address: &&IpAddr| address.is_ipv4() == client.is_ipv4();
        let address = self.addresses.iter().find(same)?;
        Some(SocketAddr::new(*address, self.port))
    }
}
