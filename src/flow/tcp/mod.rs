//! A TCP connection as [Zeek](https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html) sees it:
//! the state of both ends, the history in letters, what its numbers say, and when it is over.
//! Comes in: segments in order of arrival. Goes out: [`ConnState`], [`History`], [`Noticed`]. Keeps no bytes.

mod endpoint;
mod history;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use crate::decode::TcpSegment;
use crate::time::{Span, Timestamp};

pub use endpoint::{LARGE, Noticed};
pub use history::History;

use endpoint::{Endpoint, State, delta};
use history::Pen;

/// Which end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The one that began it.
    Originator,
    /// The one that answers.
    Responder,
}

impl Role {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Role::Originator => Role::Responder,
            Role::Responder => Role::Originator,
        }
    }
}

/// How a conversation went, in Zeek's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnState {
    /// An attempt without an answer.
    S0,
    /// Established and not ended.
    S1,
    /// Established and ended.
    SF,
    /// The attempt was rejected.
    Rej,
    /// Established, and only the originator has closed.
    S2,
    /// Established, and only the responder has closed.
    S3,
    /// The originator aborted.
    Rsto,
    /// The responder aborted.
    Rstr,
    /// A SYN and a reset from the originator, nothing from the responder.
    Rstos0,
    /// A SYN-ACK and a reset from the responder, no SYN.
    Rstrh,
    /// A SYN and a FIN from the originator, no SYN-ACK.
    Sh,
    /// A SYN-ACK and a FIN from the responder, no SYN.
    Shr,
    /// No SYN: only what came in the middle.
    Oth,
}

impl ConnState {
    /// Zeek's code.
    pub const fn code(self) -> &'static str {
        match self {
            ConnState::S0 => "S0",
            ConnState::S1 => "S1",
            ConnState::SF => "SF",
            ConnState::Rej => "REJ",
            ConnState::S2 => "S2",
            ConnState::S3 => "S3",
            ConnState::Rsto => "RSTO",
            ConnState::Rstr => "RSTR",
            ConnState::Rstos0 => "RSTOS0",
            ConnState::Rstrh => "RSTRH",
            ConnState::Sh => "SH",
            ConnState::Shr => "SHR",
            ConnState::Oth => "OTH",
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Tcp {
    originator: Endpoint,
    responder: Endpoint,
    pub history: History,
    steps: Steps,
    /// When nothing more was to be expected, or [`NEVER`].
    over: Timestamp,
}

/// No time that a packet has: an option of a time takes twice the room.
const NEVER: Timestamp = Timestamp::from_nanos(i64::MIN);

/// How long the steps of the handshake took, in microseconds: the path to the service, and the path to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handshake {
    /// From the last SYN to the SYN-ACK.
    pub server_us: Option<u32>,
    /// From the SYN-ACK to the client's acknowledgment.
    pub client_us: Option<u32>,
}

/// A handshake while it lasts.
#[derive(Debug)]
struct Steps {
    /// When its last step was seen, or [`NEVER`].
    at: Timestamp,
    /// The lengths, each one more than it is.
    server_us: Option<NonZeroU32>,
    client_us: Option<NonZeroU32>,
}

impl Default for Steps {
    fn default() -> Self {
        Self { at: NEVER, server_us: None, client_us: None }
    }
}

impl Steps {
    fn note(&mut self, from: Role, segment: &TcpSegment<'_>, now: Timestamp) {
        if self.client_us.is_some() {
            return;
        }
        match (from, segment.flags.syn, segment.flags.ack) {
            (Role::Originator, true, false) if self.server_us.is_none() => self.at = now,
            (Role::Responder, true, true) => {
                self.server_us = self.server_us.or_else(|| self.until(now));
                self.at = now;
            }
            (Role::Originator, false, true) if self.server_us.is_some() => self.client_us = self.until(now),
            _ => {}
        }
    }

    /// How long the step took that ends at `now`.
    fn until(&self, now: Timestamp) -> Option<NonZeroU32> {
        let micros = u32::try_from(now.since(self.at).nanos() / 1_000).unwrap_or(u32::MAX);
        (self.at != NEVER).then(|| NonZeroU32::MIN.saturating_add(micros))
    }

    fn told(&self) -> Handshake {
        let less_one = |micros: NonZeroU32| micros.get() - 1;
        Handshake { server_us: self.server_us.map(less_one), client_us: self.client_us.map(less_one) }
    }
}

/// Whether the two ends keep their roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Kept,
    /// The originator is the responder from this segment on, itself included.
    Flipped,
}

/// An attempt without an answer is over after this time, a connection that was closed or reset after this time
/// (Zeek's `tcp_attempt_delay`, `tcp_close_delay`, `tcp_reset_delay`, `tcp_connection_linger`).
const ENDED: Span = Span::from_secs(5);

/// Silence after which an open connection is over, and one whose handshake is not done (Zeek's
/// `tcp_inactivity_timeout`, and `udp_inactivity_timeout`, which it uses until then).
const IDLE: Span = Span::from_secs(300);
const IDLE_OPENING: Span = Span::from_secs(60);

impl Default for Tcp {
    fn default() -> Self {
        let (originator, responder) = Default::default();
        Self { originator, responder, history: History::default(), steps: Steps::default(), over: NEVER }
    }
}

impl Tcp {
    /// Takes a segment of `from`.
    pub fn segment(&mut self, from: Role, segment: &TcpSegment<'_>, now: Timestamp) -> Turn {
        let mut turn = Turn::Kept;
        let mut from = from;
        if self.is_answer_without_question(segment) {
            self.flip();
            self.responder.go(State::Established);
            (turn, from) = (Turn::Flipped, from.other());
        }
        self.steps.note(from, segment, now);
        let Self { originator, responder, history, .. } = self;
        let (end, peer) = match from {
            Role::Originator => (originator, responder),
            Role::Responder => (responder, originator),
        };
        end.begin(segment);
        let mut pen = Pen { role: from, history };
        end.mark(segment, &mut pen);
        end.mark_window(segment, peer.state, &mut pen);
        let mut gap = false;
        if segment.flags.ack {
            if peer.state == State::Inactive {
                peer.begin_at_acknowledgment(segment.acknowledgment);
            } else if !segment.flags.rst {
                gap = peer.take_acknowledgment(segment.acknowledgment);
            }
        }
        end.advance(segment, now, &mut pen);
        if self.step(from, segment, now) == Turn::Flipped {
            turn = Turn::Flipped;
        } else if gap {
            self.note_gap(from.other());
        }
        turn
    }

    /// Bytes of `role` were acknowledged and never seen. Where a connection breaks off, such numbers say nothing.
    fn note_gap(&mut self, role: Role) {
        if self.originator.is_clean() && self.responder.is_clean() {
            let gaps = self.end_mut(role).count_gap();
            Pen { role, history: &mut self.history }.write_scaled(b'G', gaps);
        }
    }

    /// Whether the segment shows that the SYN-ACK before it, the first that was seen, was an answer and no scan: nobody
    /// goes on after a SYN-ACK that was not asked for.
    fn is_answer_without_question(&self, segment: &TcpSegment<'_>) -> bool {
        let flags = &segment.flags;
        (self.originator.state, self.responder.state) == (State::SynAckSent, State::Inactive)
            && !flags.syn
            && !flags.fin
            && !flags.rst
            && (flags.ack || segment.payload_len > 0)
    }

    /// Moves the state of `from` on.
    fn step(&mut self, from: Role, segment: &TcpSegment<'_>, now: Timestamp) -> Turn {
        let state = match from {
            Role::Originator => self.originator.state,
            Role::Responder => self.responder.state,
        };
        match (state, from) {
            (State::Inactive, Role::Originator) => self.originator_begins(segment, now),
            (State::Inactive, Role::Responder) => return self.responder_begins(segment, now),
            (State::SynSent | State::SynAckSent, _) => self.opening(from, segment, now),
            (State::Established | State::Partial, _) => self.open(from, segment, now),
            (State::Closed, _) => self.closed(from, segment, now),
            (State::Reset, _) => {}
        }
        Turn::Kept
    }

    fn originator_begins(&mut self, segment: &TcpSegment<'_>, now: Timestamp) {
        let flags = &segment.flags;
        if flags.syn {
            self.originator.go(if flags.ack { State::SynAckSent } else { State::SynSent });
        }
        if flags.fin {
            self.originator.go(State::Closed);
        }
        if flags.rst {
            self.originator.go(State::Reset);
        }
        if flags.fin || flags.rst {
            self.close(Role::Originator, now);
        }
        if self.originator.state == State::Inactive {
            // An acknowledgment of a SYN-ACK: only the SYN was missed.
            let shaken = flags.ack && self.responder.state == State::Established;
            self.originator.go(if shaken { State::Established } else { State::Partial });
        }
    }

    fn responder_begins(&mut self, segment: &TcpSegment<'_>, now: Timestamp) -> Turn {
        let flags = &segment.flags;
        let mut turn = Turn::Kept;
        let mut role = Role::Responder;
        if flags.syn {
            if !flags.ack && self.originator.state == State::SynAckSent {
                // The SYN came behind its SYN-ACK.
                self.flip();
                (turn, role) = (Turn::Flipped, Role::Originator);
                self.originator.go(State::Established);
                self.responder.go(State::Established);
            } else {
                if self.originator.state == State::SynSent {
                    self.originator.go(State::Established);
                }
                self.responder.go(State::Established);
            }
        }
        if flags.fin {
            self.end_mut(role).go(State::Closed);
        }
        if flags.rst {
            self.end_mut(role).go(State::Reset);
        }
        if flags.fin || flags.rst {
            self.close(role, now);
        }
        if self.responder.state == State::Inactive {
            // Some answer a SYN with an acknowledgment before their SYN-ACK.
            let early = segment.payload_len == 0 && self.originator.state == State::SynSent;
            let shaken = flags.ack && self.originator.state == State::Established;
            if shaken {
                self.responder.go(State::Established);
            } else if !early {
                self.responder.go(State::Partial);
            }
        }
        turn
    }

    fn opening(&mut self, from: Role, segment: &TcpSegment<'_>, now: Timestamp) {
        if segment.flags.fin {
            self.end_mut(from).go(State::Closed);
        }
        if segment.flags.rst {
            self.end_mut(from).go(State::Reset);
        }
        if segment.flags.fin || segment.flags.rst {
            self.close(from, now);
        }
    }

    fn open(&mut self, from: Role, segment: &TcpSegment<'_>, now: Timestamp) {
        let flags = &segment.flags;
        let Endpoint { state, before, .. } = *self.end_mut(from.other());
        let end = self.end_mut(from);
        let anew = end.state == State::Partial && state == State::Inactive;
        if flags.syn && !flags.ack && anew {
            end.go(State::SynSent);
        }
        if flags.fin && !flags.rst {
            end.go(State::Closed);
            if (before, state) == (State::Closed, State::Reset) {
                // A FIN followed by a reset was an orderly end after all.
                self.end_mut(from.other()).go(State::Closed);
            }
            self.close(from, now);
        }
        if flags.rst {
            self.end_mut(from).go(State::Reset);
            self.close(from, now);
        }
    }

    /// A reset after a FIN counts unless the other end has closed too.
    fn closed(&mut self, from: Role, segment: &TcpSegment<'_>, now: Timestamp) {
        if segment.flags.rst && self.end_mut(from.other()).state != State::Closed {
            self.end_mut(from).go(State::Reset);
            self.end_at(now);
        }
    }

    fn close(&mut self, from: Role, now: Timestamp) {
        let Endpoint { state, done, .. } = *self.end_mut(from.other());
        let end = self.end_mut(from);
        if end.done {
            return;
        }
        end.done = true;
        if end.state == State::Reset || done || state == State::Inactive {
            self.end_at(now);
        }
    }

    /// Nothing more is to be expected; the first time counts.
    fn end_at(&mut self, now: Timestamp) {
        if self.over == NEVER {
            self.over = now;
        }
    }

    /// How long the handshake took.
    pub fn handshake(&self) -> Handshake {
        self.steps.told()
    }

    /// Exchanges the roles.
    pub fn flip(&mut self) {
        std::mem::swap(&mut self.originator, &mut self.responder);
        self.history.flip();
    }

    fn end_mut(&mut self, role: Role) -> &mut Endpoint {
        match role {
            Role::Originator => &mut self.originator,
            Role::Responder => &mut self.responder,
        }
    }

    /// Whether the segment begins another connection between the same ends.
    pub fn is_reused_by(&self, segment: &TcpSegment<'_>) -> bool {
        if !segment.flags.syn {
            return false;
        }
        let half = self.originator.state == State::Inactive;
        if segment.flags.ack && !half {
            return false;
        }
        if self.originator.done && self.responder.done {
            return true;
        }
        let begun = if segment.flags.ack { &self.responder } else { &self.originator };
        if segment.sequence == begun.start {
            return false;
        }
        // The SYN behind its SYN-ACK.
        let reversed = (self.originator.state, self.responder.state) == (State::SynAckSent, State::Inactive);
        segment.flags.ack || !(reversed && delta(segment.sequence, self.responder.start) == 0)
    }

    /// When it is over, begun at `start`, if nothing more comes after `last`.
    pub fn deadline(&self, start: Timestamp, last: Timestamp) -> Timestamp {
        if self.over != NEVER {
            return self.over + ENDED;
        }
        let asks = matches!(self.originator.state, State::SynSent | State::SynAckSent);
        if asks && self.responder.state == State::Inactive {
            return start + ENDED;
        }
        let opening = self.originator.is_opening() && self.responder.is_opening();
        last + if opening { IDLE_OPENING } else { IDLE }
    }

    /// How it went so far.
    pub fn state(&self) -> ConnState {
        let (one, other) = (self.originator.state, self.responder.state);
        let one_idle = matches!(one, State::Inactive | State::Partial);
        let other_idle = matches!(other, State::Inactive | State::Partial);
        match (one, other) {
            (State::SynSent | State::SynAckSent, State::Reset) => ConnState::Rej,
            (State::Reset, State::Reset)
                if self.originator.is_empty(other) && self.responder.is_empty(one) =>
            {
                ConnState::Rej
            }
            (_, State::Reset) if one_idle => ConnState::Rstrh,
            (_, State::Reset) => ConnState::Rstr,
            (State::Reset, _) if other_idle && self.history.is_attempt_reset() => ConnState::Rstos0,
            (State::Reset, _) if other_idle => ConnState::Oth,
            (State::Reset, _) => ConnState::Rsto,
            (State::Closed, State::Closed) => ConnState::SF,
            (State::Closed, _) if other_idle => ConnState::Sh,
            (State::Closed, _) => ConnState::S2,
            (_, State::Closed) if one_idle => ConnState::Shr,
            (_, State::Closed) => ConnState::S3,
            (State::SynSent, State::Inactive) => ConnState::S0,
            (State::Established, State::Established) => ConnState::S1,
            _ => ConnState::Oth,
        }
    }

    /// What was noticed of the two ends: the originator's and the responder's.
    pub fn noticed(&self) -> (Noticed, Noticed) {
        (self.originator.noticed(), self.responder.noticed())
    }
}
