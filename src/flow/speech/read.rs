//! The readers of a conversation: bytes in order become what was said. Comes in: the bytes of one direction from where
//! its lane stands. Goes out: how many were read, and [`Said`].

use std::net::IpAddr;

use super::begin::{Begin, begin};
use super::body::{Body, Passed};
use super::exchange::Asked;
use super::h2::{FRAME_HEADER, FrameHeader, PREFACE};
use super::http::{self, Method, Read, RequestHead, RequestRead, ResponseRead};
use super::lane::{FirstReply, Message, Reading};
use super::proxy::{TrustedProxies, begins};
use super::socks;
use super::talk::{Ear, Talk};
use super::tls;
use super::{Hello, Request, Response, Said};
use crate::flow::Failure;
use crate::service::Direction;

/// What a reader did with the beginning of the bytes.
enum Step {
    /// Read so many; none only where it passed them to another reader.
    Used(usize),
    /// More must come first.
    Partial,
}

/// Lines of text that are looked through for a ClientHello behind STARTTLS: a greeting, a few commands.
const MAX_LINES: u16 = 4_096;

/// A TLS handshake record's first byte.
const HANDSHAKE: u8 = 22;

impl Talk {
    /// Reads what is whole; answers how many bytes that were.
    pub fn read(&mut self, bytes: &[u8], ear: &mut Ear<'_>) -> usize {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let Step::Used(len) = self.step(rest, ear) else { break };
            used += len;
            if len > 0 {
                let lane = self.lane(ear.from);
                (lane.since, lane.scanned) = (ear.now, 0);
            }
        }
        used
    }

    fn step(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        match self.lane(ear.from).reading {
            Reading::Start => self.start(rest, ear),
            Reading::Request => self.request(rest, ear),
            Reading::Response => self.response(rest, ear),
            Reading::Body(message, body) => self.body(message, body, rest, ear),
            Reading::Hello => self.hello(rest, ear),
            Reading::SocksRequest => {
                let step = socks::request(rest);
                self.socks(step, Reading::SocksRequest, rest, ear)
            }
            Reading::SocksReplies(first) => {
                let step = socks::reply(rest, first == FirstReply::Awaited);
                self.socks(step, Reading::SocksReplies(FirstReply::Heard), rest, ear)
            }
            Reading::Lines(left) => self.lines(left, rest, ear),
            Reading::Frames(left) => self.frames(left, rest, ear),
            Reading::Lost(message) => self.lost(message, rest, ear),
            Reading::Done => Step::Used(rest.len()),
        }
    }

    fn to(&mut self, reading: Reading, used: usize, ear: &Ear<'_>) -> Step {
        self.lane(ear.from).reading = reading;
        Step::Used(used)
    }

    /// The other direction, where it has said nothing yet, goes on as `reading`.
    fn other_to(&mut self, reading: Reading, ear: &Ear<'_>) {
        let other = self.lane(ear.from.reverse());
        if other.reading == Reading::Start && other.kept.is_empty() {
            other.reading = reading;
        }
    }

    fn start(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        match begin(rest) {
            Begin::Partial => Step::Partial,
            Begin::Request => self.to(Reading::Request, 0, ear),
            Begin::Response => self.to(Reading::Response, 0, ear),
            Begin::Preface => self.preface(ear),
            Begin::Tls => self.to(Reading::Hello, 0, ear),
            Begin::Proxied(len, client) => {
                self.proxied = client;
                Step::Used(len)
            }
            Begin::SocksGreeting(len) => {
                self.other_to(Reading::SocksReplies(FirstReply::Awaited), ear);
                self.to(Reading::SocksRequest, len, ear)
            }
            Begin::SocksRequest(len) => {
                self.other_to(Reading::SocksReplies(FirstReply::Awaited), ear);
                Step::Used(len)
            }
            Begin::AsksForTls(len) => {
                self.introduce(ear);
                Step::Used(len)
            }
            Begin::Text => self.unknown(rest, ear),
            Begin::Other => {
                self.introduce(ear);
                self.to(Reading::Done, rest.len(), ear)
            }
        }
    }

    /// Text that is no HTTP may lead to TLS; anything else leads nowhere.
    fn unknown(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        self.introduce(ear);
        let reading = if rest.first().is_some_and(|byte| is_text(*byte)) {
            Reading::Lines(MAX_LINES)
        } else {
            Reading::Done
        };
        self.to(reading, 0, ear)
    }

    fn request(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        match rest {
            // RFC 9112 section 2.2: an empty line or two before a request are stepped over.
            [b'\r', b'\n', ..] => return Step::Used(2),
            [b'\n', ..] => return Step::Used(1),
            [b'\r'] => return Step::Partial,
            [b'P', ..] if begins(rest, PREFACE) => {
                return if rest.len() < PREFACE.len() { Step::Partial } else { self.preface(ear) };
            }
            _ => {}
        }
        let (scanned, http) = (self.lane(ear.from).scanned, self.lane(ear.from).introduced);
        if scanned > 0 && !http::has_end(rest, scanned) {
            return Step::Partial;
        }
        match http::request(rest) {
            Read::Head(read) => {
                self.ask(&read, ear);
                self.after_request(&read, ear)
            }
            Read::Partial => Step::Partial,
            Read::Other if http => self.to(Reading::Lost(Message::Request), rest.len(), ear),
            Read::Other => self.unknown(rest, ear),
        }
    }

    /// Says a request, unless it was said before its head was whole.
    fn ask(&mut self, read: &RequestRead<'_>, ear: &mut Ear<'_>) {
        let (from, at) = (ear.from, ear.now);
        self.other_to(Reading::Response, ear);
        let lane = self.lane(from);
        lane.introduced = true;
        if std::mem::take(&mut lane.told) {
            return self.exchanges.asked_fully(at);
        }
        let number = *ear.requests;
        *ear.requests = number.wrapping_add(1);
        let forwarded = self.forwarded(&read.head, ear.room.trusted());
        (ear.say)(Said::Request(Request { number, from, head: &read.head, forwarded }));
        let asked = Asked { number, at, method: read.method, heard: ear.heard, forwarded };
        self.exchanges.ask(asked, read.head.path, ear.say);
    }

    /// Whom the request is for: what a header adds counts only where whoever sent it is a trusted proxy.
    fn forwarded(&self, head: &RequestHead<'_>, trusted: &TrustedProxies) -> Option<IpAddr> {
        let header = || head.forwarded.and_then(|header| header.client(trusted));
        match self.proxied {
            Some(client) if !trusted.contain(client) => Some(client),
            proxied => header().or(proxied),
        }
    }

    fn after_request(&mut self, read: &RequestRead<'_>, ear: &Ear<'_>) -> Step {
        let next = match (read.method, read.body) {
            // Whatever the client says next it says into the tunnel, or anew to the proxy.
            (Method::Connect, _) => Reading::Start,
            (_, body) if body.is_over() => Reading::Request,
            (_, body) => Reading::Body(Message::Request, body),
        };
        self.to(next, read.len, ear)
    }

    fn response(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        let (scanned, http) = (self.lane(ear.from).scanned, self.lane(ear.from).introduced);
        if scanned > 0 && !http::has_end(rest, scanned) {
            return Step::Partial;
        }
        match http::response(rest) {
            // An interim response (RFC 9110 section 15.2) is followed by the one that counts.
            Read::Head(read) if read.status < 200 && read.status != 101 => Step::Used(read.len),
            Read::Head(read) => {
                let method = self.answer(read.status, ear);
                self.after_response(&read, method, ear)
            }
            Read::Partial => Step::Partial,
            Read::Other if http => self.to(Reading::Lost(Message::Response), rest.len(), ear),
            Read::Other => self.unknown(rest, ear),
        }
    }

    /// Says a response; answers what was asked.
    fn answer(&mut self, status: u16, ear: &mut Ear<'_>) -> Method {
        let lane = self.lane(ear.from);
        lane.introduced = true;
        let (since, at, torn) = (lane.since, lane.at, std::mem::take(&mut lane.torn));
        self.other_to(Reading::Request, ear);
        if torn {
            self.exchanges.skip_to(at, ear.say);
        }
        let failed = Failure::of(status).and_then(|_| self.exchanges.next_path());
        let asked = self.exchanges.answer(ear.say);
        (ear.say)(Said::Response(Response {
            request: asked.map(|asked| asked.number),
            from: ear.from,
            status,
            ttfb: asked.map(|asked| since.since(asked.at)),
            forwarded: asked.and_then(|asked| asked.forwarded).or(self.proxied),
            failed,
        }));
        asked.map_or(Method::Plain, |asked| asked.method)
    }

    fn after_response(&mut self, read: &ResponseRead, method: Method, ear: &mut Ear<'_>) -> Step {
        let granted = method == Method::Connect && (200..300).contains(&read.status);
        if granted || read.status == 101 {
            return self.tunnel(read, ear);
        }
        let body = if method == Method::Head { Body::Length(0) } else { read.body };
        if body.is_over() {
            self.exchanges.close(true, ear.say);
            return self.to(Reading::Response, read.len, ear);
        }
        self.to(Reading::Body(Message::Response, body), read.len, ear)
    }

    /// Both sides go on in another protocol.
    fn tunnel(&mut self, read: &ResponseRead, ear: &mut Ear<'_>) -> Step {
        self.exchanges.close(true, ear.say);
        let client = self.lane(ear.from.reverse());
        if matches!(client.reading, Reading::Request | Reading::Lost(_)) {
            client.reading = Reading::Start;
        }
        let next = if read.to_h2 { Reading::Frames(0) } else { Reading::Start };
        self.to(next, read.len, ear)
    }

    fn body(&mut self, of: Message, mut body: Body, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        let (used, over) = match body.pass(rest) {
            Passed::Bytes(used, data) => {
                self.passed(of, data as u64);
                (used, body.is_over())
            }
            Passed::End(used) => (used, true),
            Passed::Partial => return Step::Partial,
            Passed::Broken => return self.to(Reading::Lost(of), rest.len(), ear),
        };
        self.lane(ear.from).reading = Reading::Body(of, body);
        if over {
            self.body_over(of, ear);
        }
        Step::Used(used)
    }

    /// Steps over bytes of a body that were not captured; answers whether it is known where it ends.
    pub fn pass_unseen(&mut self, len: u32, ear: &mut Ear<'_>) -> bool {
        let Reading::Body(of, mut body) = self.lane(ear.from).reading else { return false };
        let len = u64::from(len);
        if !body.pass_unseen(len) {
            return false;
        }
        self.passed(of, len);
        self.lane(ear.from).reading = Reading::Body(of, body);
        if body.is_over() {
            self.body_over(of, ear);
        }
        true
    }

    fn passed(&mut self, of: Message, bytes: u64) {
        if of == Message::Response {
            self.exchanges.passed(bytes);
        }
    }

    fn body_over(&mut self, of: Message, ear: &mut Ear<'_>) {
        let next = match of {
            Message::Request => {
                self.exchanges.asked_fully(ear.now);
                Reading::Request
            }
            Message::Response => {
                self.exchanges.close(true, ear.say);
                Reading::Response
            }
        };
        self.lane(ear.from).reading = next;
    }

    /// The sender has ended: so does a body that ends with the connection.
    pub fn close_body(&mut self, ear: &mut Ear<'_>) {
        if self.lane(ear.from).reading == Reading::Body(Message::Response, Body::UntilClose) {
            self.exchanges.close(true, ear.say);
        }
    }

    fn lost(&mut self, of: Message, rest: &[u8], ear: &Ear<'_>) -> Step {
        match of {
            Message::Request if http::may_be_request(rest) => self.to(Reading::Request, 0, ear),
            Message::Response if rest.starts_with(b"HTTP/1.") => self.to(Reading::Response, 0, ear),
            _ => Step::Used(rest.len()),
        }
    }

    fn hello(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        let mut scratch = std::mem::take(&mut ear.room.scratch);
        let heard = match tls::client_hello(rest, &mut scratch) {
            tls::Begin::Hello(hello) => {
                (ear.say)(Said::Hello(Hello { from: ear.from, hello, forwarded: self.proxied }));
                Some(true)
            }
            tls::Begin::Partial => None,
            tls::Begin::Other => Some(false),
        };
        ear.room.scratch = scratch;
        match heard {
            None => return Step::Partial,
            Some(true) => self.sealed(ear),
            Some(false) => self.introduce(ear),
        }
        self.to(Reading::Done, rest.len(), ear)
    }

    /// Behind a hello both sides speak in secret; the answer to what was asked in the open is still waited for.
    fn sealed(&mut self, ear: &Ear<'_>) {
        self.lane(ear.from).introduced = true;
        if self.exchanges.is_idle() {
            self.lane(ear.from.reverse()).reading = Reading::Done;
        }
    }

    fn socks(&mut self, step: socks::Step, more: Reading, rest: &[u8], ear: &mut Ear<'_>) -> Step {
        match step {
            socks::Step::More(len) => self.to(more, len, ear),
            socks::Step::Last(len) => self.to(Reading::Start, len, ear),
            socks::Step::Partial => Step::Partial,
            socks::Step::Other => {
                self.introduce(ear);
                self.to(Reading::Done, rest.len(), ear)
            }
        }
    }

    fn lines(&mut self, left: u16, rest: &[u8], ear: &Ear<'_>) -> Step {
        let window = rest.get(..usize::from(left)).unwrap_or(rest);
        match window.iter().position(|byte| !is_text(*byte)) {
            Some(at) if window[at] == HANDSHAKE => self.to(Reading::Hello, at, ear),
            None if rest.len() < usize::from(left) => {
                self.to(Reading::Lines(left - rest.len() as u16), rest.len(), ear)
            }
            _ => self.to(Reading::Done, rest.len(), ear),
        }
    }

    fn preface(&mut self, ear: &mut Ear<'_>) -> Step {
        self.lane(ear.from).introduced = true;
        self.other_to(Reading::Frames(0), ear);
        self.frames.get_or_insert_default();
        self.to(Reading::Frames(0), PREFACE.len(), ear)
    }

    fn frames(&mut self, left: u32, rest: &[u8], ear: &Ear<'_>) -> Step {
        if left > 0 {
            let used = rest.len().min(left as usize);
            return self.to(Reading::Frames(left - used as u32), used, ear);
        }
        let Some(header) = FrameHeader::of(rest) else { return Step::Partial };
        let behind = rest.get(FRAME_HEADER..).unwrap_or_default();
        let is_service = ear.from == Direction::ToClient;
        if is_service && header.waits_for_block(behind) {
            return Step::Partial;
        }
        let statuses = is_service.then(|| &mut **self.statuses.get_or_insert_default());
        self.frames.get_or_insert_default().note(header, behind, statuses);
        self.to(Reading::Frames(header.len), FRAME_HEADER, ear)
    }

    /// What is being read will not be whole: tells what there is of it.
    pub fn tell_as_it_stands(&mut self, rest: &[u8], ear: &mut Ear<'_>) {
        let (reading, http) = (self.lane(ear.from).reading, self.lane(ear.from).introduced);
        let next = match reading {
            Reading::Request => {
                let told = self.lane(ear.from).told || self.tell_request(rest, ear);
                self.lane(ear.from).told = false;
                if told || http { Reading::Lost(Message::Request) } else { Reading::Done }
            }
            Reading::Response => {
                if let Some(status) = http::status(rest) {
                    self.answer(status, ear);
                }
                Reading::Lost(Message::Response)
            }
            Reading::Body(of, _) | Reading::Lost(of) => Reading::Lost(of),
            _ => Reading::Done,
        };
        if matches!(next, Reading::Done) && !rest.is_empty() {
            self.introduce(ear);
        }
        self.lane(ear.from).reading = next;
    }

    fn tell_request(&mut self, rest: &[u8], ear: &mut Ear<'_>) -> bool {
        let read = http::request_as_it_stands(rest);
        if let Some(read) = &read {
            self.ask(read, ear);
        }
        read.is_some()
    }

    /// Tells a request whose head takes its time; the rest of it is still read.
    pub fn tell_slow(&mut self, kept: &[u8], ear: &mut Ear<'_>) {
        if !self.lane(ear.from).told && memchr::memchr(b'\n', kept).is_some() {
            self.lane(ear.from).told = self.tell_request(kept, ear);
        }
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')
}
