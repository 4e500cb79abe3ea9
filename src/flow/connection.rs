//! One admitted conversation: what moved since the last tick, what its bytes say, how it ended.
//! Comes in: its segments and datagrams in order of arrival. Goes out: events. Keeps no bytes but the beginning of a
//! head that is not whole yet.

use super::http::{self, Begin};
use super::key::Side;
use super::tls;
use super::{Client, FlowEvent, Observer, ServerEnd, Volume, What};
use crate::decode::TcpSegment;
use crate::service::{Direction, Scope};
use crate::time::{Span, TickId, Timestamp};

/// A conversation whose client has earned state.
#[derive(Debug)]
pub(super) struct Connection {
    pub party: Party,
    pub last_seen: Timestamp,
    pub ended: bool,
    tick: TickId,
    to_server: Volume,
    to_client: Volume,
    /// The next number expected from the client and from the service; `None` until first seen.
    next: [Option<u32>; 2],
    finished: [bool; 2],
    speech: Speech,
    /// The beginning of a head that is not whole yet.
    head: Option<Vec<u8>>,
}

/// Who talks with whom, and on whose account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party {
    pub scope: Scope,
    pub server: ServerEnd,
    pub client: Client,
    pub client_side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    Unheard,
    Http,
    Known,
}

/// A connection that ended is remembered this long, so that stragglers are not taken for a new one: the last
/// acknowledgment and a first retransmission of the FIN (200 ms to 1 s, RFC 6298) come within it.
pub(super) const LINGER: Span = Span::from_secs(2);

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
    pub fn new(party: Party, now: Timestamp, tick: TickId) -> Self {
        Self {
            party,
            last_seen: now,
            ended: false,
            tick,
            to_server: Volume::default(),
            to_client: Volume::default(),
            next: [None; 2],
            finished: [false; 2],
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
        let quiet = self.to_server.is_empty() && self.to_client.is_empty();
        match direction {
            Direction::ToServer => self.to_server.add(bytes),
            Direction::ToClient => self.to_client.add(bytes),
        }
        self.last_seen = self.last_seen.max(moment.now);
        quiet
    }

    /// Tells what moved since it was last told.
    pub fn flush<O: Observer>(&mut self, observer: &mut O) {
        if self.to_server.is_empty() && self.to_client.is_empty() {
            return;
        }
        let (to_server, to_client) =
            (std::mem::take(&mut self.to_server), std::mem::take(&mut self.to_client));
        let what = What::Progress { client: self.party.client, to_server, to_client };
        let (scope, server) = (self.party.scope, self.party.server);
        observer.observe(FlowEvent { scope, tick: self.tick, server, what });
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
                Direction::ToClient => self.server_spoke(segment.payload, moment),
            }
        }
        self.note_end(direction, segment, moment);
    }

    /// Whether the segment brings new bytes; earlier ones are retransmissions, and a hole is stepped over.
    fn is_next(&mut self, direction: Direction, segment: &TcpSegment<'_>) -> bool {
        let next = &mut self.next[direction as usize];
        // Half of the number space lies behind, half ahead (RFC 9293 section 3.4).
        let ahead = next.is_none_or(|next| segment.sequence.wrapping_sub(next) < 1 << 31);
        if ahead {
            *next = Some(segment.sequence.wrapping_add(segment.payload_len));
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
                    self.tell(What::Request(self.party.client, head), moment);
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
                self.tell(What::Hello(self.party.client, hello), moment);
            }
            tls::Begin::Partial => self.keep(bytes, tls::MAX_HELLO, moment),
            tls::Begin::Other => {
                self.speech = Speech::Known;
                self.tell(What::Spoken(self.party.client), moment);
            }
        }
    }

    /// Keeps the beginning of a head for the next segment, where there is room; otherwise gives up reading.
    fn keep<O: Observer>(&mut self, bytes: &[u8], most: usize, moment: &mut Moment<'_, O>) {
        let has_room = moment.heads.used + bytes.len() <= moment.heads.most;
        moment.heads.refused += u64::from(!has_room);
        if bytes.len() < most && has_room {
            moment.heads.used += bytes.len();
            self.head = Some(bytes.to_vec());
        } else if self.speech == Speech::Unheard {
            self.speech = Speech::Known;
            self.tell(What::Spoken(self.party.client), moment);
        }
    }

    fn server_spoke<O: Observer>(&mut self, payload: &[u8], moment: &mut Moment<'_, O>) {
        if self.speech == Speech::Http
            && let Some(status) = http::status(payload)
        {
            self.tell(What::Response(self.party.client, status), moment);
        }
    }

    fn note_end<O: Observer>(
        &mut self,
        direction: Direction,
        segment: &TcpSegment<'_>,
        moment: &mut Moment<'_, O>,
    ) {
        let before = self.ended;
        self.finished[direction as usize] |= segment.flags.fin;
        self.ended |= segment.flags.rst || self.finished == [true, true];
        if self.ended && !before {
            let reset = segment.flags.rst.then_some(direction);
            self.tell(What::Closed { client: self.party.client, reset }, moment);
            self.release(moment.heads);
        }
    }

    /// Gives back the room of an unfinished head.
    pub fn release(&mut self, heads: &mut HeadRoom) {
        if let Some(head) = self.head.take() {
            heads.used = heads.used.saturating_sub(head.len());
        }
    }

    fn tell<O: Observer>(&self, what: What<'_>, moment: &mut Moment<'_, O>) {
        let (scope, server) = (self.party.scope, self.party.server);
        moment.observer.observe(FlowEvent { scope, tick: moment.tick, server, what });
    }
}
