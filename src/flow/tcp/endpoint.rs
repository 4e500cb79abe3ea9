//! One end of a TCP connection: how far it is, and the numbers it has sent and had acknowledged.
//! Comes in: segments of it and acknowledgments for it. Goes out: its state and what was noticed of its numbers.

use super::history::Pen;
use crate::decode::TcpSegment;
use crate::time::{Span, Timestamp};

/// How far an end is, in Zeek's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// It has sent nothing.
    #[default]
    Inactive,
    /// It has sent a SYN.
    SynSent,
    /// It has sent a SYN-ACK, and no SYN was seen before.
    SynAckSent,
    /// It has sent segments, and no SYN was seen.
    Partial,
    /// Its handshake is done.
    Established,
    /// It has sent a FIN.
    Closed,
    /// It has sent a reset.
    Reset,
}

/// One end.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    pub state: State,
    /// The state before.
    pub before: State,
    /// Whether its end was taken note of.
    pub done: bool,
    finished: bool,
    /// Which letters stand in the history.
    seen: u8,
    /// The number of its SYN, or the one before its first segment.
    pub start: u32,
    /// The number behind its last byte.
    last: u32,
    /// What the other end acknowledged.
    acknowledged: u32,
    /// The numbers of its last SYN, FIN and RST, from `start` on.
    last_flags: [u32; 3],
    /// What is not as it should be: nothing, on most connections, and every connection has two ends.
    trouble: Option<Box<Trouble>>,
}

/// What is not as it should be.
#[derive(Debug, Default)]
struct Trouble {
    /// The last hole in its numbers, empty where there is none, and when it was noticed.
    hole: (u32, u32),
    hole_at: Timestamp,
    noticed: Noticed,
}

/// What was noticed of the segments of one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noticed {
    /// Segments whose bytes were sent before.
    pub retransmitted: u32,
    /// Of them, those of at least [`LARGE`] bytes: where a path loses large packets, only they come again.
    pub retransmitted_large: u32,
    /// Segments that filled a hole before a retransmission could have.
    pub out_of_order: u32,
    /// Probes that the other end is still there.
    pub keep_alives: u32,
    /// Segments that told the other end to wait.
    pub zero_windows: u32,
    /// Resets.
    pub resets: u32,
    /// Acknowledgments of the other end for bytes that were never seen.
    pub gaps: u32,
    /// Segments whose bytes came as repeats in Zeek's reckoning.
    repeated: u32,
}

impl Noticed {
    /// Whether anything was.
    pub fn is_anything(&self) -> bool {
        *self != Self::default()
    }
}

/// Payloads from here on fill a packet of a usual path (1,500 bytes less headers and options).
pub const LARGE: u32 = 1_400;

/// A hole that is filled within this time was reordering (Wireshark's bound); a retransmission takes a round trip.
const REORDERING: Span = Span::from_millis(3);

/// A SYN or RST whose number is further off than this is not believed (Zeek's `TOO_LARGE_SEQ_DELTA`).
const FAR: i32 = 1 << 20;

/// Kinds of letters that are told once, and of flags whose last number is remembered.
#[derive(Clone, Copy)]
enum Mark {
    Syn = 0,
    Fin = 1,
    Rst = 2,
    Data = 3,
    Ack = 4,
    FinRst = 5,
    MultiFlag = 6,
}

/// How far `number` lies behind `from`, negative where it lies before (RFC 9293 section 3.4).
pub(super) fn delta(number: u32, from: u32) -> i32 {
    number.wrapping_sub(from) as i32
}

/// The numbers a segment takes: SYN and FIN count one, the bytes of a reset none.
pub(super) fn length(segment: &TcpSegment<'_>) -> u32 {
    let flags = u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
    if segment.flags.rst { flags } else { segment.payload_len.wrapping_add(flags) }
}

impl Endpoint {
    /// Goes on to another state.
    pub fn go(&mut self, state: State) {
        if state != self.state {
            self.before = self.state;
            self.state = state;
        }
    }

    /// Whether its handshake is still to be done.
    pub fn is_opening(&self) -> bool {
        matches!(self.state, State::Inactive | State::SynSent | State::SynAckSent)
    }

    /// Whether its handshake is done and it has not broken off.
    pub fn is_clean(&self) -> bool {
        self.state == State::Established || (self.before, self.state) == (State::Established, State::Closed)
    }

    /// Begins its numbers where the segment is the first, or begins them anew where a SYN says so.
    pub fn begin(&mut self, segment: &TcpSegment<'_>) {
        let anew = match self.state {
            State::Inactive if !segment.flags.syn => {
                // As though there had been a SYN, so that the bytes keep their places.
                let first = segment.sequence;
                return self.number_from(first.wrapping_sub(1), first);
            }
            State::Inactive => true,
            State::SynSent | State::SynAckSent | State::Established | State::Partial => {
                segment.flags.syn && segment.sequence != self.start
            }
            State::Reset => segment.flags.syn && self.before == State::Inactive,
            State::Closed => false,
        };
        if anew {
            self.number_from(segment.sequence, segment.sequence.wrapping_add(length(segment)));
        }
    }

    /// Begins its numbers as the other end's first acknowledgment has them.
    pub fn begin_at_acknowledgment(&mut self, acknowledgment: u32) {
        let start = acknowledgment.wrapping_sub(1);
        self.number_from(start, start);
    }

    fn number_from(&mut self, start: u32, last: u32) {
        self.start = start;
        self.acknowledged = start;
        self.last = last;
        if let Some(trouble) = &mut self.trouble {
            trouble.hole = (last, last);
        }
    }

    /// What was noticed of its segments.
    pub fn noticed(&self) -> Noticed {
        self.trouble.as_ref().map(|trouble| trouble.noticed).unwrap_or_default()
    }

    /// Counts a hole that the other end acknowledged; answers how many there were.
    pub fn count_gap(&mut self) -> u32 {
        let noticed = self.notice();
        noticed.gaps = noticed.gaps.saturating_add(1);
        noticed.gaps
    }

    fn notice(&mut self) -> &mut Noticed {
        &mut self.trouble.get_or_insert_default().noticed
    }

    /// Writes the segment's flags into the history.
    pub fn mark(&mut self, segment: &TcpSegment<'_>, pen: &mut Pen<'_>) {
        let flags = &segment.flags;
        let offset = segment.sequence.wrapping_sub(self.start);
        match (flags.syn, flags.fin, flags.rst) {
            (_, true, true) => self.once(Mark::FinRst, b'I', pen),
            (true, true, false) | (true, false, true) => self.once(Mark::MultiFlag, b'Q', pen),
            (true, false, false) => {
                let letter = if flags.ack { b'H' } else { b'S' };
                self.at(Mark::Syn, letter, offset, pen);
            }
            (false, true, false) => {
                let end = offset.wrapping_add(segment.payload_len);
                self.at(Mark::Fin, b'F', end, pen);
            }
            (false, false, true) => self.at(Mark::Rst, b'R', offset, pen),
            (false, false, false) if segment.payload_len > 0 => self.once(Mark::Data, b'D', pen),
            (false, false, false) if flags.ack => self.once(Mark::Ack, b'A', pen),
            (false, false, false) => {}
        }
    }

    fn once(&mut self, mark: Mark, letter: u8, pen: &mut Pen<'_>) {
        if self.seen & 1 << mark as u8 == 0 {
            self.seen |= 1 << mark as u8;
            pen.write(letter);
        }
    }

    /// Flags are told again where they come with another number.
    fn at(&mut self, mark: Mark, letter: u8, offset: u32, pen: &mut Pen<'_>) {
        let again = self.seen & 1 << mark as u8 != 0;
        if let Some(last) = self.last_flags.get_mut(mark as usize) {
            if again && *last != offset {
                pen.write(letter);
            }
            *last = offset;
        }
        self.once(mark, letter, pen);
    }

    /// Counts a window of zero where it says something: not with a reset, and not when the other end is done.
    pub fn mark_window(&mut self, segment: &TcpSegment<'_>, peer: State, pen: &mut Pen<'_>) {
        let says = segment.window == 0 && !segment.flags.rst;
        if says && peer != State::Closed && self.state != State::Reset {
            let noticed = self.notice();
            noticed.zero_windows = noticed.zero_windows.saturating_add(1);
            pen.write_scaled(b'W', noticed.zero_windows);
        }
    }

    /// Moves its numbers on, and notices what comes again.
    pub fn advance(&mut self, segment: &TcpSegment<'_>, now: Timestamp, pen: &mut Pen<'_>) {
        let flags = &segment.flags;
        self.finished |= flags.fin;
        if flags.rst {
            let noticed = self.notice();
            noticed.resets = noticed.resets.saturating_add(1);
        }
        let end = segment.sequence.wrapping_add(length(segment));
        let ahead = delta(end, self.last);
        if (flags.syn || flags.rst) && !(-FAR..=FAR).contains(&ahead) {
            return;
        }
        let nothing_sent = self.last == self.start.wrapping_add(1);
        if flags.fin && nothing_sent {
            self.last = end;
        } else if self.state == State::Reset {
            // No number after a reset is believed.
        } else if ahead > 0 {
            self.note_hole(segment.sequence, now);
            self.last = end;
        } else if segment.payload_len > 0 {
            let noticed = self.notice();
            noticed.repeated = noticed.repeated.saturating_add(1);
            pen.write_scaled(b'T', noticed.repeated);
            self.note_repeat(segment, now);
        } else if !flags.syn && !flags.fin && !flags.rst && self.is_probe(segment) {
            let noticed = self.notice();
            noticed.keep_alives = noticed.keep_alives.saturating_add(1);
        }
    }

    /// Whether the segment asks for a sign of life: it stands one number before the next (RFC 9293 section 3.8.4).
    fn is_probe(&self, segment: &TcpSegment<'_>) -> bool {
        segment.payload_len <= 1 && delta(segment.sequence, self.last) == -1
    }

    fn note_hole(&mut self, sequence: u32, now: Timestamp) {
        if delta(sequence, self.last) > 0 {
            let hole = (self.last, sequence);
            let trouble = self.trouble.get_or_insert_default();
            (trouble.hole, trouble.hole_at) = (hole, now);
        }
    }

    fn note_repeat(&mut self, segment: &TcpSegment<'_>, now: Timestamp) {
        let Trouble { hole, hole_at, noticed } = &mut **self.trouble.get_or_insert_default();
        let fills = delta(segment.sequence, hole.0) >= 0 && delta(segment.sequence, hole.1) < 0;
        if segment.payload_len <= 1 && delta(segment.sequence, self.last) == -1 {
            noticed.keep_alives = noticed.keep_alives.saturating_add(1);
        } else if fills && now.since(*hole_at) <= REORDERING {
            noticed.out_of_order = noticed.out_of_order.saturating_add(1);
        } else {
            noticed.retransmitted = noticed.retransmitted.saturating_add(1);
            let large = u32::from(segment.payload_len >= LARGE);
            noticed.retransmitted_large = noticed.retransmitted_large.saturating_add(large);
        }
        if fills {
            // What comes before the hole's end is there now; a hole filled from behind stays half open.
            hole.0 = segment.sequence.wrapping_add(segment.payload_len);
        }
    }

    /// Takes the other end's acknowledgment; answers whether it covers bytes that were never seen.
    pub fn take_acknowledgment(&mut self, acknowledgment: u32) -> bool {
        let ahead = delta(acknowledgment, self.acknowledged);
        // More likely broken than a large connection that lands on 0.
        if acknowledgment == 0 && ahead > FAR || delta(acknowledgment, self.start) < 0 {
            return false;
        }
        if ahead <= 0 {
            return false;
        }
        self.acknowledged = acknowledgment;
        let of_hole = |trouble: &&mut Box<Trouble>| {
            let (begin, end) = trouble.hole;
            begin != end && delta(acknowledgment, begin) > 0
        };
        let in_hole = self.trouble.as_mut().filter(of_hole).map(|trouble| trouble.hole = (0, 0)).is_some();
        in_hole || delta(acknowledgment, self.last) > 0
    }

    /// Whether it sent no byte, as far as the numbers tell.
    pub fn is_empty(&self, peer: State) -> bool {
        let nothing_acknowledged =
            self.acknowledged == self.start || self.acknowledged == self.start.wrapping_add(1);
        if (self.before, self.state, peer) == (State::SynSent, State::Reset, State::Inactive)
            && !nothing_acknowledged
        {
            // A half-open connection that was noticed and aborted: its numbers are of another time.
            return true;
        }
        let end = if delta(self.last, self.acknowledged) > 0 { self.last } else { self.acknowledged };
        let numbers = end.wrapping_sub(self.start);
        numbers <= 1 + u32::from(self.finished)
    }
}
