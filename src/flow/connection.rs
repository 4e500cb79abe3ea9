//! One admitted conversation: what moved since the last tick, what its bytes say, how it ended.
//! Comes in: its segments and datagrams in order of arrival. Goes out: events. Keeps no bytes but the beginning of a
//! head that is not whole yet.

use super::http::{self, Begin};
use super::key::{FlowKey, Side};
use super::tls;
use super::{Client, End, FlowEvent, News, Observer, Progress, Proof, ServerEnd, Volume, What};
use crate::decode::TcpSegment;
use crate::service::{Direction, Scope, ServiceId};
use crate::time::{Span, TickId, Timestamp};

/// A conversation whose client has earned state. Kept small: what a packet costs is the cache lines it touches, so what
/// follows from the key is worked out for each event.
#[derive(Debug)]
pub(super) struct Connection {
    pub key: FlowKey,
    pub account: Account,
    pub last_seen: Timestamp,
    tick: TickId,
    to_server: Moved,
    to_client: Moved,
    news: News,
    /// The next number expected from the client and from the service.
    next: [u32; 2],
    /// Whether any was seen from them.
    heard: [bool; 2],
    finished: [bool; 2],
    pub ended: bool,
    speech: Speech,
    /// The beginning of a head that is not whole yet; boxed, since few have one.
    #[allow(clippy::box_collection, reason = "a quarter of the room in every connection")]
    head: Option<Box<Vec<u8>>>,
}

/// On whose account a conversation is, and which of its ends is whose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// The named service; `None` where the service's end is a candidate.
    pub named: Option<Named>,
    pub client: Side,
    pub proof: Proof,
}

/// The scopes of named services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Own(ServiceId),
    Beside(ServiceId),
}

/// What moved one way since it was last told, at most a tick ago: 4 GiB of one connection in a second are 34 Gbit/s.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    bytes: u32,
    packets: u32,
}

impl Moved {
    fn add(&mut self, bytes: u32) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn take(&mut self) -> Volume {
        let Self { bytes, packets } = std::mem::take(self);
        Volume { packets: u64::from(packets), bytes: u64::from(bytes) }
    }
}

impl Named {
    /// The named scope, where it is one.
    pub fn of(scope: Scope) -> Option<Self> {
        match scope {
            Scope::Service(id) => Some(Self::Own(id)),
            Scope::Beside(id) => Some(Self::Beside(id)),
            Scope::Candidate(_) | Scope::CandidateHost(_) => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    Unheard,
    Http,
    Known,
}

/// A connection that ended is remembered this long, so that stragglers are not taken for a new one: the last
/// acknowledgment comes within a round trip, and what comes later proves nothing by itself.
pub(super) const LINGER: Span = Span::from_secs(1);

/// An open connection is forgotten after this much silence (Zeek's `tcp_inactivity_timeout`).
const TCP_IDLE: Span = Span::from_secs(300);

/// The bytes of unfinished heads that the connections of one shard may hold together.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadRoom {
    pub used: usize,
    pub most: usize,
    /// Beginnings that had no room.
    pub refused: u64,
}

/// What an event belongs to besides its connection.
pub(super) struct Moment<'a, O: Observer> {
    pub now: Timestamp,
    pub tick: TickId,
    pub heads: &'a mut HeadRoom,
    pub observer: &'a mut O,
}

impl Connection {
    pub fn new(key: FlowKey, account: Account, now: Timestamp, tick: TickId) -> Self {
        Self {
            key,
            account,
            last_seen: now,
            tick,
            to_server: Moved::default(),
            to_client: Moved::default(),
            news: News::default(),
            next: [0; 2],
            heard: [false; 2],
            finished: [false; 2],
            ended: false,
            speech: Speech::Unheard,
            head: None,
        }
    }

    /// Whether nothing more is to be expected of it at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.last_seen) > if self.ended { LINGER } else { TCP_IDLE }
    }

    /// Counts a packet; answers whether the connection had nothing to tell before.
    pub fn count<O: Observer>(
        &mut self,
        direction: Direction,
        bytes: u32,
        moment: &mut Moment<'_, O>,
    ) -> bool {
        if self.tick != moment.tick {
            self.flush(moment.observer);
            self.tick = moment.tick;
        }
        let quiet = self.is_told();
        match direction {
            Direction::ToServer => self.to_server.add(bytes),
            Direction::ToClient => self.to_client.add(bytes),
        }
        self.last_seen = self.last_seen.max(moment.now);
        quiet
    }

    fn is_told(&self) -> bool {
        self.to_server.packets == 0 && self.to_client.packets == 0
    }

    /// Tells what moved since it was last told.
    pub fn flush<O: Observer>(&mut self, observer: &mut O) {
        if self.is_told() {
            return;
        }
        let (to_server, to_client) = (self.to_server.take(), self.to_client.take());
        let news = std::mem::take(&mut self.news);
        let what = What::Progress(self.client(), Progress { to_server, to_client, news });
        observer.observe(self.event(self.tick, what));
    }

    /// Only the service's side is mirrored: that it answers with data is all there is to see of an access.
    pub fn shows_answers_alone(&mut self) {
        self.news.spoken = true;
    }

    /// Tells what was measured of it up to `tick`.
    pub fn account_for<O: Observer>(&self, measured: What<'_>, tick: TickId, observer: &mut O) {
        observer.observe(self.event(tick, measured));
    }

    fn client(&self) -> Client {
        Client { address: self.key.end(self.account.client).ip(), proof: self.account.proof }
    }

    fn event<'a>(&self, tick: TickId, what: What<'a>) -> FlowEvent<'a> {
        let address = self.key.end(self.account.client.other());
        let protocol = self.key.protocol_number();
        let scope = match self.account.named {
            Some(Named::Own(id)) => Scope::Service(id),
            Some(Named::Beside(id)) => Scope::Beside(id),
            None if protocol == 6 => Scope::Candidate(address),
            None => Scope::CandidateHost(address.ip()),
        };
        FlowEvent { scope, tick, server: ServerEnd { address, protocol }, what }
    }

    /// The tick that the unflushed counts belong to.
    pub fn open_tick(&self) -> TickId {
        self.tick
    }

    /// Reads a segment: in-order bytes are parsed, ends are noted.
    pub fn segment<O: Observer>(
        &mut self,
        direction: Direction,
        segment: &TcpSegment<'_>,
        moment: &mut Moment<'_, O>,
    ) {
        if segment.payload_len > 0 && self.is_next(direction, segment) {
            match direction {
                Direction::ToServer => self.client_spoke(segment.payload, moment),
                Direction::ToClient => self.server_spoke(segment.payload),
            }
        }
        self.note_end(direction, segment, moment.heads);
    }

    /// Whether the segment brings new bytes; earlier ones are retransmissions, and a hole is stepped over.
    fn is_next(&mut self, direction: Direction, segment: &TcpSegment<'_>) -> bool {
        let (next, heard) = (&mut self.next[direction as usize], &mut self.heard[direction as usize]);
        // Half of the number space lies behind, half ahead (RFC 9293 section 3.4).
        let ahead = !*heard || segment.sequence.wrapping_sub(*next) < 1 << 31;
        if ahead {
            *heard = true;
            *next = segment.sequence.wrapping_add(segment.payload_len);
        }
        ahead
    }

    fn client_spoke<O: Observer>(&mut self, payload: &[u8], moment: &mut Moment<'_, O>) {
        if self.speech == Speech::Known {
            return;
        }
        match self.head.take() {
            None => self.parse(payload, moment),
            Some(mut head) => {
                moment.heads.used = moment.heads.used.saturating_sub(head.len());
                head.extend_from_slice(payload);
                self.parse(&head, moment);
            }
        }
    }

    fn parse<O: Observer>(&mut self, bytes: &[u8], moment: &mut Moment<'_, O>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match http::request(rest) {
                Begin::Request(head, len) => {
                    self.speech = Speech::Http;
                    self.tell(What::Request(self.client(), head), moment);
                    rest = &rest[len.min(rest.len())..];
                }
                Begin::Partial => return self.keep(rest, http::MAX_LINE, moment),
                // Behind a request comes its body, which is nobody's business.
                Begin::Other if self.speech == Speech::Http => return,
                Begin::Other => return self.parse_tls(rest, moment),
            }
        }
    }

    fn parse_tls<O: Observer>(&mut self, bytes: &[u8], moment: &mut Moment<'_, O>) {
        match tls::client_hello(bytes) {
            tls::Begin::Hello(hello) => {
                self.speech = Speech::Known;
                self.tell(What::Hello(self.client(), hello), moment);
            }
            tls::Begin::Partial => self.keep(bytes, tls::MAX_HELLO, moment),
            tls::Begin::Other => {
                self.speech = Speech::Known;
                self.news.spoken = true;
            }
        }
    }

    /// Keeps the beginning of a head for the next segment, where there is room; otherwise gives up reading.
    fn keep<O: Observer>(&mut self, bytes: &[u8], most: usize, moment: &mut Moment<'_, O>) {
        let has_room = moment.heads.used + bytes.len() <= moment.heads.most;
        moment.heads.refused += u64::from(!has_room);
        if bytes.len() < most && has_room {
            moment.heads.used += bytes.len();
            self.head = Some(Box::new(bytes.to_vec()));
        } else if self.speech == Speech::Unheard {
            self.speech = Speech::Known;
            self.news.spoken = true;
        }
    }

    fn server_spoke(&mut self, payload: &[u8]) {
        if self.speech == Speech::Http
            && let Some(status) = http::status(payload)
        {
            self.news.response(status);
        }
    }

    fn note_end(&mut self, direction: Direction, segment: &TcpSegment<'_>, heads: &mut HeadRoom) {
        let before = self.ended;
        self.finished[direction as usize] |= segment.flags.fin;
        self.ended |= segment.flags.rst || self.finished == [true, true];
        if self.ended && !before {
            self.news.end = Some(if segment.flags.rst { End::Reset(direction) } else { End::Orderly });
            self.release(heads);
        }
    }

    /// Gives back the room of an unfinished head.
    pub fn release(&mut self, heads: &mut HeadRoom) {
        if let Some(head) = self.head.take() {
            heads.used = heads.used.saturating_sub(head.len());
        }
    }

    fn tell<O: Observer>(&self, what: What<'_>, moment: &mut Moment<'_, O>) {
        moment.observer.observe(self.event(moment.tick, what));
    }
}
