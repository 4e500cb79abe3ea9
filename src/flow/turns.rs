//! Whose turn it is on a TCP connection, and how long the other side has waited: for the first byte of an answer, for the
//! rest of a request, for a client that takes what it asked for. Comes in: segments with their times, word of requests,
//! and a look at the connection every now and then. Goes out: [`Served`]. Refuses to know what is said.
//!
//! A turn of the client begins with its first new byte after the service's last, and ends with the service's next. So it
//! is the same in plain HTTP and inside of TLS, and pipelined requests are one.

mod sealed;

use super::point::Point;
use super::{Answers, Failure, Proof, Served};
use crate::decode::TcpSegment;
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// The turns of one connection, in one cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Turns {
    /// The number behind the last byte seen, by direction, where any was.
    top: [u32; 2],
    /// When the client's turn began; before its first, when the connection was opened; behind it, when a short answer began
    /// or the last morsel came.
    since: Point,
    /// When the client's last new byte came.
    last: Point,
    /// When it last had to be told that the client takes nothing, where it is starved; where it nibbles, when that began.
    starved: Point,
    /// The client's number when it was last looked at, or when its turn began; behind its turn, the service's when its answer
    /// or the client's starving began.
    mark: u32,
    state: u16,
    /// What of it holds behind a hello, and of how it takes what it asked for.
    manner: u8,
    /// Small sealed records that nothing has answered yet, up to [`OPEN_AT_ONCE`].
    open: u8,
    served: Served,
}

// What of a connection's state holds.
const SPOKE: [u16; 2] = [1, 2];
/// The client has said something since the service last did.
const TURN: u16 = 1 << 2;
/// It waits for the service's answer.
const WAITING: u16 = 1 << 3;
/// That there is none was told.
const UNANSWERED: u16 = 1 << 4;
/// What it says is sealed (TLS): each of its turns asks for something.
const SEALED: u16 = 1 << 5;
/// It said that it takes nothing.
const STARVED: u16 = 1 << 6;
/// That it is held was told.
const HELD: u16 = 1 << 7;
/// Its beginning was seen.
const OPENED: u16 = 1 << 8;
/// The service's answers are mirrored.
const ANSWERED: u16 = 1 << 9;
/// The slot is to be looked at; its next owner inherits that.
const ARMED: u16 = 1 << 10;
/// That its head drips was told.
const DRIPS: u16 = 1 << 11;
/// Behind its hello, the client began a turn with a handshake record, as it does to end the handshake (TLS 1.2), or with
/// another hello where the first one's keys did not suit (TLS 1.3).
const SHOOK: u16 = 1 << 12;
/// It did so again, as where it is asked for a certificate on a connection that goes on.
const SHOOK_AGAIN: u16 = 1 << 13;
/// Behind the handshake it asked for something.
const USED: u16 = 1 << 14;
/// The service answered its hello.
const GREETED: u16 = 1 << 15;

// And of its manner.
/// The record that ends a TLS 1.3 handshake was seen, or that of an earlier version.
const FINISHED: u8 = 1;
/// Something short was said, sealed, that nothing has answered yet.
const SHORT: u8 = 1 << 1;
/// The client takes what it asked for in morsels, and nothing in between.
const NIBBLES: u8 = 1 << 2;
/// What the service has answered so far is short.
const BRIEF: u8 = 1 << 3;
/// The service's last segment brought nothing new: whoever it sends to does not say that he has it.
const RESENT: u8 = 1 << 4;
/// That nothing is asked behind its handshake was told.
const BARE: u8 = 1 << 5;
/// When it was last looked at, the client had added little to what it said, sealed and unanswered.
const TRICKLED: u8 = 1 << 6;

/// Nobody waits longer for an answer or for the next byte: a head that takes 10 s is no browser's.
pub(super) const PATIENCE: Span = Span::from_secs(10);

/// A client that leaves after so long did not leave for having its answer: half of all visitors are gone by then.
const GIVES_UP: Span = Span::from_secs(3);

/// What a request that is not held brings within [`PATIENCE`]: 500 B/s, the least that Apache's `mod_reqtimeout` asks of
/// a body.
const LEAST_PROGRESS: u32 = 5_000;

/// A head that goes on after so long and is still not whole drips, and what is sealed trickles: a segment that got lost is
/// sent again sooner, and brings nothing new.
const DRIP: Span = Span::from_secs(5);

/// What a client that draws out a sealed request sends within [`PATIENCE`]: a header line of 20 bytes is a record of 50.
const TRICKLE: u32 = 200;

/// Sealed records below this ask for nothing: an alert has 31 bytes, a TLS 1.3 Finished 80 with the record before it.
const LEAST_REQUEST: u32 = 100;

/// What answers a request, sealed, and no frame that keeps a connection going: the head of a response.
const LEAST_REPLY: u32 = 100;

/// An answer of less is short: a page that says what went wrong has some hundred bytes, with its head.
const BRIEF_ANSWER: u32 = 1_000;

/// Requests that a connection may have open at once: what servers allow (RFC 9113 section 6.5.2 asks for 100 at least,
/// nginx allows 128).
const OPEN_AT_ONCE: u8 = 128;

/// No answer is shorter, sealed: a record's header, its seal, and a frame's header.
const LEAST_ANSWER: u32 = 30;

/// Every path carries segments of so much payload: packets of 1,280 bytes (RFC 8200 section 5) less the headers of IPv6 and
/// TCP with time stamps. Where a path loses large packets, what is longer comes again.
const EVERYWHERE: u32 = 1_208;

/// A window below this takes no segment, however it is scaled: a scale of 8, the usual one, makes it 1.8 KB.
const STARVING: u16 = 8;

/// Whether a connection's beginning was seen, and what its client says would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    Seen,
    Missed,
}

/// What else is known of a connection when it is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// A request has begun and is not whole.
    pub unfinished: bool,
    /// It is its head that is not whole, and nothing of what came is missing.
    pub in_head: bool,
    /// An answer has begun and is not whole; when its connection was last seen.
    pub answering: Option<Timestamp>,
}

const _: () = assert!(size_of::<Turns>() <= 64);

impl Turns {
    /// Begins with a connection that was opened, or whose beginning was missed; the slot's alarm stays.
    pub fn begin(&mut self, beginning: Beginning, proof: Proof, now: Timestamp) {
        let state = self.state & ARMED;
        *self = Self { since: Point::of(now), state, ..Self::default() };
        self.set(OPENED, beginning == Beginning::Seen);
        self.set(ANSWERED, proof == Proof::Proven);
    }

    /// Whether a segment is to be noted. Most bring nothing and say that there is room.
    #[inline]
    pub fn concern(segment: &TcpSegment<'_>) -> bool {
        segment.payload_len > 0 || segment.window < STARVING
    }

    /// Notes a segment.
    #[inline(never)]
    pub fn segment(&mut self, from: Direction, segment: &TcpSegment<'_>, now: Timestamp) {
        match from {
            Direction::ToServer => {
                self.appetite(segment, now);
                if segment.payload_len > 0 {
                    self.client_sends(segment, now);
                }
            }
            Direction::ToClient => {
                if segment.payload_len > 0 {
                    self.service_sends(segment, now);
                }
            }
        }
    }

    /// Whether it is to be looked at and is not yet going to be; from now on it is.
    #[inline]
    pub fn arms(&mut self) -> bool {
        let arms = self.state & (TURN | WAITING | STARVED | ARMED);
        if arms == 0 || arms & ARMED != 0 {
            return false;
        }
        self.arm();
        true
    }

    /// It is going to be looked at; answers whether it was not before.
    pub fn arm(&mut self) -> bool {
        let arms = !self.is(ARMED);
        self.state |= ARMED;
        arms
    }

    /// It was looked at.
    pub fn disarm(&mut self) {
        self.state &= !ARMED;
    }

    /// The client asked for something.
    pub fn ask(&mut self) {
        self.begin_to_ask();
        if !self.is(ANSWERED) {
            // The answer that would end the turn will not be seen.
            self.state &= !TURN;
        }
    }

    /// What the client asks for is known, though its request is not whole: its turn goes on.
    pub fn begin_to_ask(&mut self) {
        self.note_brief();
        if self.is(ANSWERED) {
            self.state |= WAITING;
        }
    }

    /// An answer said that the client may not, or that there is no such thing.
    pub fn fail(&mut self, failure: Failure) {
        let sum = match failure {
            Failure::Denied => &mut self.served.denied,
            Failure::Missing => &mut self.served.missing,
        };
        *sum = sum.saturating_add(1);
    }

    /// Answers over HTTP/2 said so.
    pub fn fail_over_http2(&mut self, answers: &Answers) {
        self.served.denied = self.served.denied.saturating_add(answers.denied);
        self.served.missing = self.served.missing.saturating_add(answers.missing);
    }

    /// From here on what is said is sealed.
    pub fn seal(&mut self) {
        self.state |= SEALED;
    }

    /// The service says with a segment that it is done, or breaks off, before the client did.
    pub fn cut_off(&mut self, segment: &TcpSegment<'_>, heard: Heard) {
        // A segment behind others that were not seen does not say that what is missing was never sent.
        let is_next = segment.sequence.wrapping_add(segment.payload_len) == self.top[1];
        if heard.answering.is_some() && is_next && !self.is(TURN | UNANSWERED) {
            self.served.unanswered = self.served.unanswered.saturating_add(1);
            self.served.broken = self.served.broken.saturating_add(1);
            self.state |= UNANSWERED;
        }
        // Servers give up a request that does not end after some seconds, often before anybody looks.
        let is_early = !self.last.has_waited(self.since) && self.moved() < LEAST_PROGRESS;
        let draws_out = heard.unfinished && self.is(TURN) && self.goes_on() && is_early;
        self.break_off(heard, draws_out || self.trickles());
    }

    /// The client says that it is done, or breaks off: where it waited that long, it gave up.
    pub fn give_up(&mut self, now: Timestamp, heard: Heard) {
        if Point::of(now).span_since(self.last) >= GIVES_UP {
            self.break_off(heard, self.goes_on_trickling());
        }
    }

    /// Ends the client's turn before it was answered.
    fn break_off(&mut self, heard: Heard, drawn_out: bool) {
        if self.is(WAITING) && !self.is(UNANSWERED | HELD) && !heard.unfinished {
            self.served.unanswered = self.served.unanswered.saturating_add(1);
        }
        if drawn_out && !self.is(HELD) {
            (self.served.held, self.served.drawn_out, self.served.released) = (true, true, true);
        }
        self.served.drips |= drawn_out && self.drips(heard) && !self.is(DRIPS);
        self.state &= !(TURN | WAITING);
    }

    /// Whether it was told that the connection is held.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.is(HELD)
    }

    /// The connection is over.
    pub fn end(&mut self) {
        self.note_brief();
        self.served.released |= self.is(HELD);
        self.served.bare |= self.is_bare();
        self.state &= ARMED;
    }

    /// What has to be told to whoever asked since the last time.
    pub fn take_asked(&mut self) -> Served {
        self.served.take_asked()
    }

    /// What has to be told since the last time.
    pub fn take(&mut self) -> Served {
        std::mem::take(&mut self.served)
    }

    /// The clock was set back: whatever waits begins to wait now.
    pub fn come_back_to(&mut self, now: Timestamp) {
        let now = Point::of(now);
        (self.since, self.last, self.starved) = (now, now, now);
        // Levels begin anew with the clock.
        self.state &= !HELD;
    }

    /// Looks at who has waited too long; answers what to tell of it, and when to look again.
    pub fn look(&mut self, now: Timestamp, heard: Heard) -> (Served, Option<Span>) {
        let at = Point::of(now);
        let mut told = Served::default();
        let slow = self.is_slow(at, heard);
        if self.is(TURN) && at.has_waited(self.since) {
            self.manner = if self.trickles() { self.manner | TRICKLED } else { self.manner & !TRICKLED };
            self.mark = self.top[0];
        }
        let silent = self.is_silent() && at.has_waited(self.since);
        if self.is_bare() && at.has_waited(self.last) {
            told.bare = true;
            self.manner |= BARE;
        }
        if self.is_brief() && at.has_waited(self.since) {
            told.brief = 1;
            self.manner &= !BRIEF;
        }
        let holds = slow || silent || (self.is(STARVED) && at.has_waited(self.starved));
        told.held = holds && !self.is(HELD);
        told.drawn_out = told.held && slow;
        told.drips = slow && self.drips(heard) && !self.is(DRIPS);
        self.set(DRIPS, self.is(DRIPS) && slow || told.drips);
        told.released = !holds && self.is(HELD);
        self.set(HELD, holds);
        let is_awaited = self.awaits(heard).is_some_and(|since| at.has_waited(since));
        if is_awaited {
            told.unanswered = 1;
            told.broken = u8::from(!self.is(WAITING));
            self.state |= UNANSWERED;
        }
        (told, self.next_look(at, heard))
    }

    fn next_look(&self, at: Point, heard: Heard) -> Option<Span> {
        let drawn_out = self.is(TURN) && (heard.unfinished || self.is(SEALED));
        let waits = [
            (self.is(HELD), at),
            (self.is(STARVED), self.starved),
            (self.is_silent() || self.is_brief(), self.since),
            (self.awaits(heard).is_some(), self.awaits(heard).unwrap_or(at)),
            (drawn_out, self.since),
            (self.is_bare(), self.last),
        ];
        let left = |(is, since): (bool, Point)| is.then(|| at.patience_left(since));
        waits.into_iter().filter_map(left).min()
    }

    /// Whether nothing was asked behind a hello that the service answered, and that was not told.
    fn is_bare(&self) -> bool {
        self.is(GREETED) && !self.is(USED) && self.manner & BARE == 0
    }

    /// Since when an answer is waited for, or the rest of one that the client takes, where that was not told.
    fn awaits(&self, heard: Heard) -> Option<Point> {
        if self.is(UNANSWERED) {
            return None;
        }
        let stalls = !self.is(TURN | STARVED) && self.manner & RESENT == 0;
        let rest = heard.answering.filter(|_| stalls).map(Point::of);
        (self.is(WAITING) && !heard.unfinished).then_some(self.last).or(rest)
    }

    /// Whether it has said nothing since it was opened.
    fn is_silent(&self) -> bool {
        self.is(OPENED) && !self.is(SPOKE[0])
    }

    /// Whether a request is drawn out.
    fn is_slow(&self, at: Point, heard: Heard) -> bool {
        if !self.is(TURN) || !at.has_waited(self.since) {
            return false;
        }
        if heard.unfinished {
            return self.moved() < LEAST_PROGRESS;
        }
        self.goes_on_trickling()
    }

    /// Whether a client trickles for the second time: whoever asks again over HTTP/2 for what does not come adds as little,
    /// once or twice until he gives up.
    fn goes_on_trickling(&self) -> bool {
        self.manner & TRICKLED != 0 && self.trickles()
    }

    /// Whether a client adds little to what it said, sealed and unanswered, as none does that asked for something.
    fn trickles(&self) -> bool {
        self.is(SEALED) && self.is(TURN) && self.goes_on() && self.adds_little()
    }

    fn adds_little(&self) -> bool {
        (1..=TRICKLE).contains(&self.moved())
    }

    /// The client's bytes since it was last looked at, or since its turn began.
    fn moved(&self) -> u32 {
        self.top[0].wrapping_sub(self.mark)
    }

    /// Whether the client's turn goes on after so long that no lost segment explains it.
    fn goes_on(&self) -> bool {
        self.last.span_since(self.since) >= DRIP
    }

    /// Whether a client lets the head of its request drip, as no browser does: its connection is well, and it goes on
    /// adding to a head that stays unfinished.
    fn drips(&self, heard: Heard) -> bool {
        heard.in_head && self.goes_on()
    }

    fn client_sends(&mut self, segment: &TcpSegment<'_>, now: Timestamp) {
        if !self.advance(Direction::ToServer, segment) {
            return;
        }
        self.last = Point::of(now);
        if self.is(SEALED) {
            self.note_sealed(segment);
        }
        if !self.is(TURN) {
            self.since = self.last;
            self.mark = segment.sequence;
            self.manner &= !NIBBLES;
        }
        self.state |= TURN;
        if self.is(SEALED) && segment.payload_len >= LEAST_REQUEST {
            self.ask();
        }
    }

    fn service_sends(&mut self, segment: &TcpSegment<'_>, now: Timestamp) {
        let fresh = self.advance(Direction::ToClient, segment);
        self.set(GREETED, self.is(GREETED) || self.is(SEALED));
        let answers = segment.payload_len.div_ceil(LEAST_ANSWER);
        self.open = self.open.saturating_sub(u8::try_from(answers).unwrap_or(u8::MAX));
        let again = u16::from(!fresh);
        let Served { large_sent, large_resent, small_sent, small_resent, .. } = &mut self.served;
        let (sent, resent) = match segment.payload_len > EVERYWHERE {
            true => (large_sent, large_resent),
            false => (small_sent, small_resent),
        };
        *sent = sent.saturating_add(1);
        *resent = resent.saturating_add(again);
        self.manner = if fresh { self.manner & !RESENT } else { self.manner | RESENT };
        // A single byte probes the client's window (RFC 9293 section 3.8.6.1).
        let probes = self.is(STARVED) && segment.payload_len == 1;
        // A frame of the client's that asks nothing ends what is known of the answer's length.
        if self.is(TURN) || self.taken() >= BRIEF_ANSWER {
            self.manner &= !BRIEF;
        }
        if !fresh || probes || !self.is(TURN | HELD | STARVED) {
            return;
        }
        if self.is(STARVED) && !self.is(TURN) && self.takes_next_to_nothing(now) {
            self.feed(now);
            return;
        }
        let answers_short = self.manner & SHORT != 0 && segment.payload_len >= LEAST_REPLY;
        if answers_short && !self.is(WAITING) {
            self.asks_sealed();
            self.begin_to_ask();
        }
        // The answer to a hello is no answer to a request.
        let to_request = self.is(WAITING) && (self.is(USED) || !self.is(SEALED));
        if to_request && segment.payload_len < BRIEF_ANSWER {
            self.manner |= BRIEF;
            self.since = Point::of(now);
        }
        self.mark = segment.sequence;
        self.answer(now);
    }

    /// Whether the service's last answer has stayed short.
    fn is_brief(&self) -> bool {
        self.manner & BRIEF != 0 && !self.is(TURN)
    }

    /// Counts the last answer where it stayed short.
    fn note_brief(&mut self) {
        self.served.brief = self.served.brief.saturating_add(u8::from(self.manner & BRIEF != 0));
        self.manner &= !BRIEF;
    }

    /// A morsel for a client that takes next to nothing: whether it is more is known when it takes nothing again.
    fn feed(&mut self, now: Timestamp) {
        self.since = Point::of(now);
        self.state &= !STARVED;
        self.manner |= NIBBLES;
    }

    /// Whether the client took less than a request that moves brings, in as long as it has starved.
    fn takes_next_to_nothing(&self, now: Timestamp) -> bool {
        let starved = Point::of(now).span_since(self.starved).max(PATIENCE);
        u128::from(self.taken()) * u128::from(PATIENCE.nanos())
            < u128::from(LEAST_PROGRESS) * u128::from(starved.nanos())
    }

    /// The service's bytes since its answer began, or since the client began to starve, behind the client's turn.
    fn taken(&self) -> u32 {
        self.top[1].wrapping_sub(self.mark)
    }

    /// The first byte of an answer.
    fn answer(&mut self, now: Timestamp) {
        let Served { first_bytes, wait_micros, released, .. } = &mut self.served;
        if self.state & WAITING != 0 {
            *first_bytes = first_bytes.saturating_add(1);
            *wait_micros = wait_micros.saturating_add(Point::of(now).micros_since(self.last));
        }
        *released |= self.state & HELD != 0;
        self.state &= !(TURN | WAITING | UNANSWERED | HELD | STARVED);
        self.manner &= !(SHORT | NIBBLES | TRICKLED);
    }

    /// Moves the highest number of a direction on; answers whether the segment brings anything new.
    #[inline]
    fn advance(&mut self, from: Direction, segment: &TcpSegment<'_>) -> bool {
        let top = &mut self.top[from as usize];
        let end = segment.sequence.wrapping_add(segment.payload_len);
        let fresh = self.state & SPOKE[from as usize] == 0 || end.wrapping_sub(*top) as i32 > 0;
        if fresh {
            *top = end;
            self.state |= SPOKE[from as usize];
        }
        fresh
    }

    /// The client takes nothing, or something again. That it does is seen of most by what the service sends then.
    fn appetite(&mut self, segment: &TcpSegment<'_>, now: Timestamp) {
        // Those that end or break off a conversation, or begin it, say nothing of room.
        if segment.flags.rst || segment.flags.fin || segment.flags.syn {
            return;
        }
        // Whoever was sent nothing has nothing that it could leave.
        let starving = segment.window < STARVING && self.is(SPOKE[1]);
        if starving && !self.is(STARVED) {
            self.starve(Point::of(now));
        }
        self.set(STARVED, starving);
    }

    /// The client takes nothing, or nothing again after a morsel: then it has starved since before that.
    fn starve(&mut self, at: Point) {
        if self.is(TURN) {
            self.starved = at;
            return;
        }
        let nibbles = self.manner & NIBBLES != 0 && !at.has_waited(self.since);
        if !nibbles {
            (self.starved, self.mark) = (at, self.top[1]);
        }
        self.manner &= !(NIBBLES | BRIEF);
    }

    /// Whether any of these holds.
    #[inline]
    fn is(&self, of: u16) -> bool {
        self.state & of != 0
    }

    fn set(&mut self, of: u16, holds: bool) {
        self.state = if holds { self.state | of } else { self.state & !of };
    }
}
