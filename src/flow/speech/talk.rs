//! A conversation in the middle of being heard: puts segments in order, hands bytes to the readers (`read`), keeps what
//! is not whole. Comes in: segments and datagrams. Goes out: what the readers say. Refuses to keep what no reader wants.

use std::net::IpAddr;

use super::exchange::Exchanges;
use super::h2::Frames;
use super::lane::{Lane, Message, Reading};
use super::quic::{self, Heard, Initials};
use super::room::Room;
use super::status::Statuses;
use super::stream::{Run, ahead};
use super::tls::{self, Carrier};
use super::{Hello, Place, Said};
use crate::decode::TcpSegment;
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// What one conversation is in the middle of.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub lanes: [Lane; 2],
    pub exchanges: Exchanges,
    /// The client that the PROXY protocol told of.
    pub proxied: Option<IpAddr>,
    /// HTTP/2 frames of the segment being read.
    pub frames: Option<Frames>,
    /// What is known of the headers of an HTTP/2 service's responses.
    pub statuses: Option<Box<Statuses>>,
    initials: Option<(Direction, Box<Initials>)>,
}

/// Who is heard when, and who is told.
pub(super) struct Ear<'e> {
    pub from: Direction,
    pub now: Timestamp,
    /// The number up to which the sender has heard the other side.
    pub heard: u32,
    pub room: &'e mut Room,
    /// The number of the next request.
    pub requests: &'e mut u32,
    pub say: &'e mut dyn FnMut(Said<'_>),
}

impl Ear<'_> {
    /// The same for the other direction.
    fn turned(&mut self) -> Ear<'_> {
        Ear {
            from: self.from.reverse(),
            now: self.now,
            heard: self.heard,
            room: self.room,
            requests: self.requests,
            say: self.say,
        }
    }
}

/// A request's head that takes longer than this is told as it stands: whoever sends heads so slowly means to.
const SLOW_HEAD: Span = Span::from_secs(1);

impl Talk {
    /// Begins where the directions stand.
    pub fn begin(&mut self, at: [Place; 2]) {
        for (lane, at) in self.lanes.iter_mut().zip(at) {
            lane.begin(at);
        }
    }

    /// Forgets all; answers how many bytes of room it held.
    pub fn clear(&mut self) -> usize {
        self.exchanges.clear();
        (self.proxied, self.frames, self.statuses) = (None, None, None);
        let initials = self.initials.take().map_or(0, |(_, initials)| initials.held());
        initials + self.lanes.iter_mut().map(Lane::clear).sum::<usize>()
    }

    /// Whether bytes wait for others before them, which an acknowledgment may show to be lost.
    pub fn waits(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.early.is_empty())
    }

    /// Whether nothing is in the middle.
    pub fn is_idle(&self) -> bool {
        let done = self.lanes.iter().all(|lane| lane.place() == Some(Place::Done));
        let between = self.exchanges.is_idle() && self.proxied.is_none() && self.initials.is_none();
        (done && self.exchanges.is_idle()) || between && self.lanes.iter().all(|lane| lane.place().is_some())
    }

    /// Where the directions stand.
    pub fn places(&self) -> [Place; 2] {
        [0, 1].map(|lane: usize| self.lanes[lane].place().unwrap_or_default())
    }

    pub fn lane(&mut self, from: Direction) -> &mut Lane {
        &mut self.lanes[from as usize]
    }

    /// Hears a segment; `next` are the numbers expected.
    pub fn segment(&mut self, segment: &TcpSegment<'_>, next: &mut [u32; 2], ear: &mut Ear<'_>) {
        if segment.flags.rst {
            return;
        }
        if segment.flags.ack && !self.lane(ear.from.reverse()).early.is_empty() {
            let mut other = ear.turned();
            self.acknowledged(segment.acknowledgment, &mut next[other.from as usize], &mut other);
        }
        let next = &mut next[ear.from as usize];
        let at = segment.sequence.wrapping_add(u32::from(segment.flags.syn));
        let run = Run { at, len: segment.payload_len, bytes: segment.payload };
        if run.len > 0 && self.lane(ear.from).reading != Reading::Done {
            self.run(run, next, ear);
        }
        if segment.flags.fin && self.lane(ear.from).early.is_empty() {
            self.close(ear);
        }
    }

    /// Takes a run in its place: now, behind what is still to come, or not at all.
    fn run(&mut self, run: Run<'_>, next: &mut u32, ear: &mut Ear<'_>) {
        while let Some(rest) = run.after(*next) {
            let lane = self.lane(ear.from);
            let hole = ahead(rest.at, *next).unwrap_or(0);
            let first = lane.early.first();
            // What waits came first, so it stays as it is.
            let new = first.map_or(Some(rest), |first| rest.before(first));
            if let Some(new) = new.filter(|_| u64::from(hole) <= lane.reading.unneeded()) {
                ear.room.note_differing(lane.early.differing(rest));
                self.take_in(new, hole, next, ear);
                self.drain(next, ear);
            } else if self.hold(rest, ear) {
                return;
            } else {
                // No room to wait: what comes first goes on behind the hole.
                self.give_up(new.map_or(first, |new| Some(new.at)).unwrap_or(rest.at), next, ear);
            }
        }
    }

    fn take_in(&mut self, run: Run<'_>, hole: u32, next: &mut u32, ear: &mut Ear<'_>) {
        *next = run.end();
        if hole > 0 {
            self.gap(hole, ear);
        }
        self.lane(ear.from).at = run.at;
        self.deliver(run.bytes, ear);
        let missing = run.len.saturating_sub(run.bytes.len() as u32);
        if missing > 0 {
            self.gap(missing, ear);
        }
    }

    fn hold(&mut self, run: Run<'_>, ear: &mut Ear<'_>) -> bool {
        let early = &mut self.lanes[ear.from as usize].early;
        if early.is_full(run.bytes.len()) || !ear.room.take(run.bytes.len()) {
            return false;
        }
        let before = early.bytes();
        ear.room.note_differing(early.keep(run, ear.now));
        ear.room.give((before + run.bytes.len()).saturating_sub(early.bytes()));
        true
    }

    /// Takes in what waited for its turn.
    fn drain(&mut self, next: &mut u32, ear: &mut Ear<'_>) {
        while let Some((part, hole)) = self.lane(ear.from).waiting(*next) {
            ear.room.give(part.bytes.len());
            if let Some(run) = part.run().after(*next) {
                self.take_in(run, hole, next, ear);
            }
        }
    }

    /// The other side has what lies in the hole: it went by unseen.
    fn acknowledged(&mut self, number: u32, next: &mut u32, ear: &mut Ear<'_>) {
        if let Some(first) = self.lane(ear.from).early.first()
            && ahead(number, first).is_some()
        {
            self.give_up(first, next, ear);
        }
    }

    /// Goes on at `first`, behind a hole that does not close: what waits there was heard when it came.
    fn give_up(&mut self, first: u32, next: &mut u32, ear: &mut Ear<'_>) {
        let hole = ahead(first, *next).unwrap_or(0);
        *next = first;
        let now = ear.now;
        ear.now = self.lane(ear.from).early.came().unwrap_or(now);
        self.gap(hole, ear);
        self.drain(next, ear);
        ear.now = now;
    }

    /// Bytes went by unseen.
    fn gap(&mut self, len: u32, ear: &mut Ear<'_>) {
        let reading = self.lane(ear.from).reading;
        match reading {
            Reading::Done | Reading::Lost(_) => return,
            Reading::Frames(left) if len <= left => {
                self.lane(ear.from).reading = Reading::Frames(left - len);
                return;
            }
            Reading::Body(..) if self.pass_unseen(len, ear) => return,
            // Behind a hole begins what began nowhere before.
            Reading::Start if self.lane(ear.from).kept.is_empty() => {}
            _ => self.break_off(ear),
        }
        self.lane(ear.from).torn = true;
        ear.room.note_gap();
    }

    /// Reads bytes, and keeps the beginning of what is not whole.
    fn deliver(&mut self, bytes: &[u8], ear: &mut Ear<'_>) {
        if bytes.is_empty() {
            return;
        }
        if self.lane(ear.from).kept.is_empty() {
            let lane = self.lane(ear.from);
            (lane.since, lane.scanned) = (ear.now, 0);
            let used = self.read(bytes, ear);
            let rest = bytes.get(used..).unwrap_or_default();
            if !rest.is_empty() && !self.lanes[ear.from as usize].keep(rest, ear.room) {
                self.tell_as_it_stands(rest, ear);
            }
        } else {
            self.deliver_behind_kept(bytes, ear);
        }
        self.after_reading(ear);
    }

    fn deliver_behind_kept(&mut self, bytes: &[u8], ear: &mut Ear<'_>) {
        let mut kept = std::mem::take(&mut self.lane(ear.from).kept);
        ear.room.give(kept.len());
        kept.extend_from_slice(bytes);
        let used = self.read(&kept, ear);
        kept.drain(..used.min(kept.len()));
        if kept.is_empty() || ear.room.take(kept.len()) {
            self.lane(ear.from).kept = kept;
        } else {
            self.tell_as_it_stands(&kept, ear);
        }
    }

    /// Gives up on what takes too much or too long, and tells what frames there were.
    fn after_reading(&mut self, ear: &mut Ear<'_>) {
        if let Some(Frames { headers, resets, answers }) = self.frames.take() {
            (ear.say)(Said::Http2 { from: ear.from, headers, resets, answers });
        }
        let lane = self.lane(ear.from);
        if lane.kept.is_empty() {
            return;
        }
        lane.scanned = if memchr::memchr(b'\n', &lane.kept).is_some() { lane.kept.len() } else { 0 };
        if lane.kept.len() >= lane.reading.most_kept() {
            self.break_off(ear);
        } else if lane.reading == Reading::Request && ear.now.since(lane.since) > SLOW_HEAD {
            let kept = std::mem::take(&mut self.lane(ear.from).kept);
            self.tell_slow(&kept, ear);
            self.lane(ear.from).kept = kept;
        }
    }

    /// What is being read will not be whole.
    pub fn break_off(&mut self, ear: &mut Ear<'_>) {
        let kept = std::mem::take(&mut self.lane(ear.from).kept);
        ear.room.give(kept.len());
        self.tell_as_it_stands(&kept, ear);
    }

    /// The sender says nothing more: whatever ends with the connection ends.
    fn close(&mut self, ear: &mut Ear<'_>) {
        if !self.lane(ear.from).kept.is_empty() {
            self.break_off(ear);
        }
        self.close_body(ear);
        // That a body ends before its end is remembered.
        if !self.lane(ear.from).is_within_body() {
            self.lane(ear.from).reading = Reading::Done;
        }
    }

    /// The conversation is over: what waits behind holes is read, and what is not whole is told as it stands.
    pub fn finish(&mut self, next: &mut [u32; 2], ear: &mut Ear<'_>) {
        let next = &mut next[ear.from as usize];
        while let Some(first) = self.lane(ear.from).early.first() {
            self.give_up(first, next, ear);
        }
        if !self.lane(ear.from).kept.is_empty() {
            self.break_off(ear);
        }
    }

    /// Tells what nobody will answer any more.
    pub fn leave(&mut self, say: &mut dyn FnMut(Said<'_>)) {
        self.exchanges.leave(say);
    }

    /// Whether what the client asks has begun and is not whole.
    pub fn is_asking(&self) -> bool {
        let lane = &self.lanes[Direction::ToServer as usize];
        match lane.reading {
            Reading::Start | Reading::Request | Reading::Hello => !lane.kept.is_empty(),
            Reading::Body(Message::Request, _) => true,
            _ => false,
        }
    }

    /// Whether the body of an HTTP/1 response has begun and more of it is known to follow, with nothing missing between its
    /// pieces.
    pub fn is_answering(&self) -> bool {
        let lane = &self.lanes[Direction::ToClient as usize];
        lane.is_within_body() && lane.early.is_empty()
    }

    /// Whether the head of an HTTP/1 request has begun and is not whole, with nothing missing between its pieces.
    pub fn is_in_head(&self) -> bool {
        let lane = &self.lanes[Direction::ToServer as usize];
        lane.reading == Reading::Request && !lane.kept.is_empty() && lane.early.is_empty()
    }

    /// Hears a datagram.
    pub fn datagram(&mut self, payload: &[u8], ear: &mut Ear<'_>) {
        if let Some(hello) = tls::datagram(payload) {
            (ear.say)(Said::Hello(Hello { from: ear.from, hello, forwarded: None }));
            return self.end_initials(ear);
        }
        if !quic::may_be(payload) {
            return self.no_hello(ear);
        }
        if self.lane(ear.from).reading == Reading::Done {
            return;
        }
        let (speaker, initials) = self.initials.get_or_insert_with(|| (ear.from, Box::default()));
        if *speaker != ear.from {
            return;
        }
        match initials.hear(payload, ear.room) {
            Heard::Hello => {
                if let tls::Begin::Hello(hello) = tls::message(initials.message(), Carrier::Quic) {
                    (ear.say)(Said::Hello(Hello { from: ear.from, hello, forwarded: None }));
                }
                self.end_initials(ear);
            }
            Heard::Part => {}
            Heard::Sealed => self.introduce(ear),
            Heard::Other => {
                self.introduce(ear);
                self.end_initials(ear);
            }
        }
    }

    /// A sender that goes on without long headers has said its hello, or has none.
    fn no_hello(&mut self, ear: &mut Ear<'_>) {
        if self.initials.as_ref().is_none_or(|(speaker, _)| *speaker == ear.from) {
            self.end_initials(ear);
        }
    }

    fn end_initials(&mut self, ear: &mut Ear<'_>) {
        if let Some((_, initials)) = self.initials.take() {
            ear.room.give(initials.held());
        }
        for lane in &mut self.lanes {
            lane.reading = Reading::Done;
        }
    }

    /// Says once that a sender spoke.
    pub fn introduce(&mut self, ear: &mut Ear<'_>) {
        let lane = self.lane(ear.from);
        if !lane.introduced {
            lane.introduced = true;
            (ear.say)(Said::Spoken(ear.from));
        }
    }
}
