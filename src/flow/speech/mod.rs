//! What the two ends of a conversation say to each other: HTTP/1 requests and their responses, HTTP/2 in cleartext,
//! ClientHellos over TCP and QUIC, also behind proxies and STARTTLS. Comes in: segments and datagrams as they arrive.
//! Goes out: [`Said`]. Keeps the beginning of a head and what came too early, and nothing else: bodies are stepped
//! over, cookies and credentials are not looked at. Refuses to know who is asked and on whose account.

mod begin;
mod body;
mod exchange;
mod h2;
mod http;
mod initial;
mod ja4;
mod lane;
mod proxy;
pub(super) mod quic;
mod read;
mod room;
mod socks;
mod status;
mod stream;
mod talk;
mod tls;

use std::net::IpAddr;

use crate::decode::TcpSegment;
use crate::service::Direction;
use crate::time::{Span, Timestamp};

pub use h2::Answers;
pub use http::{RequestHead, Unread};
pub use ja4::{Ja4, Ja4Memo};
pub use proxy::{Forwarded, TrustedProxies};
pub use tls::{Carrier, ClientHello};

pub(super) use room::Room;

use talk::{Ear, Talk};

/// What has been understood of one conversation. Small, since every connection has one: what is in the middle of
/// being said is boxed, and only while it lasts.
#[derive(Debug, Default)]
pub(super) struct Speech {
    /// The next sequence number expected in each direction, where `heard`.
    next: [u32; 2],
    talk: Option<Box<Talk>>,
    /// Requests told so far; the next one's number.
    requests: u32,
    heard: [bool; 2],
    at: [Place; 2],
}

/// Where a direction stands while nothing is in the middle of being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Nothing was heard yet.
    #[default]
    Start,
    /// A request may follow.
    Requests,
    /// A response may follow.
    Responses,
    /// Nothing that anybody wants to hear will follow.
    Done,
}

// A connection has room for no more (`flow/table.rs`).
const _: () = assert!(size_of::<Speech>() <= 24);

/// The [`template_hash`](super::template_hash) of the path, never 0, where bytes begin with the head of a request that asks
/// for one.
pub(super) fn asked_path(bytes: &[u8]) -> Option<u32> {
    let http::Read::Head(read) = http::request(bytes) else { return None };
    read.head.path.starts_with('/').then(|| super::template_hash(read.head.path).max(1))
}

/// Something that was said.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said<'a> {
    /// The head of an HTTP/1 request.
    Request(Request<'a>),
    /// The head of the final HTTP/1 response to a request.
    Response(Response),
    /// A response's body came to its end, or will not be heard to its end.
    Answered(Answered),
    /// The request of that number will not be answered any more, or its answer cannot be told from others.
    Unanswered {
        /// [`Request::number`].
        request: u32,
    },
    /// A ClientHello.
    Hello(Hello<'a>),
    /// HTTP/2 frames that one packet brought; the connection's sums are these added up. The first of a connection may
    /// have neither.
    Http2 {
        /// Which way they went.
        from: Direction,
        /// HEADERS: requests where they come from the client.
        headers: u32,
        /// RST_STREAM.
        resets: u32,
        /// Responses, where they come from the service.
        answers: Answers,
    },
    /// The first bytes of a sender that speaks nothing of the above (so far).
    Spoken(Direction),
}

/// The head of a request. Its sender is the HTTP client whatever the connection's direction was taken for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// Counts the requests of a connection from 0.
    pub number: u32,
    /// Which way it went.
    pub from: Direction,
    /// What it asks for.
    pub head: &'a RequestHead<'a>,
    /// The client that a proxy says it speaks for: going back from the connection's sender, the first in the PROXY
    /// protocol, then in `X-Forwarded-For` or `Forwarded`, that is no trusted proxy. Worth as much as who says so.
    pub forwarded: Option<IpAddr>,
}

/// The head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Response {
    /// The number of the request it answers; `None` where that was not seen.
    pub request: Option<u32>,
    /// Which way the response went.
    pub from: Direction,
    /// The status.
    pub status: u16,
    /// From the last byte of the request to the first of the response (an interim 1xx is none).
    pub ttfb: Option<Span>,
    /// [`Request::forwarded`] of the request.
    pub forwarded: Option<IpAddr>,
    /// The [`template_hash`](super::template_hash) of the path that was asked for, where the status is a
    /// [`Failure`](super::Failure).
    pub failed: Option<u32>,
}

/// The end of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    /// The number of the request; `None` where that was not seen.
    pub request: Option<u32>,
    /// The body's bytes without the framing, as far as they went by.
    pub length: u64,
    /// Whether the body came to the end that its head announced.
    pub whole: bool,
}

/// A ClientHello. Its sender is the TLS client whatever the connection's direction was taken for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello<'a> {
    /// Which way it went.
    pub from: Direction,
    /// What it says.
    pub hello: ClientHello<'a>,
    /// The client that the PROXY protocol told of before.
    pub forwarded: Option<IpAddr>,
}

/// When something is heard, and what room there is to remember it.
#[derive(Debug)]
pub(super) struct Hearing<'r> {
    /// Capture time.
    pub now: Timestamp,
    /// What the conversations of a shard share.
    pub room: &'r mut Room,
}

impl Speech {
    /// Notes the numbers of a segment; answers whether it says something, or may show that what waits for its turn waits
    /// in vain. [`Speech::segment`] need not hear what does neither.
    #[inline]
    pub fn notes(&mut self, from: Direction, segment: &TcpSegment<'_>) -> bool {
        self.note_numbers(from, segment);
        match &self.talk {
            Some(talk) => segment.payload_len > 0 || segment.flags.fin || talk.waits(),
            None => segment.payload_len > 0 && self.at[from as usize] != Place::Done,
        }
    }

    /// Whether a request or a hello of the client's has begun and is not whole.
    pub fn is_asking(&self) -> bool {
        self.talk.as_ref().is_some_and(|talk| talk.is_asking())
    }

    /// Whether the body of an HTTP/1 response has begun and more of it is known to follow.
    pub fn is_answering(&self) -> bool {
        self.talk.as_ref().is_some_and(|talk| talk.is_answering())
    }

    /// Whether the head of an HTTP/1 request has begun and is not whole, with nothing missing between its pieces.
    pub fn is_in_head(&self) -> bool {
        self.talk.as_ref().is_some_and(|talk| talk.is_in_head())
    }

    /// Hears a segment that `from` names the direction of.
    pub fn segment(
        &mut self,
        from: Direction,
        segment: &TcpSegment<'_>,
        hearing: &mut Hearing<'_>,
        say: &mut dyn FnMut(Said<'_>),
    ) {
        if !self.notes(from, segment) {
            return;
        }
        let mut talk = self.talk.take().unwrap_or_else(|| hearing.room.talk(self.at));
        let heard = segment.acknowledgment;
        let mut ear =
            Ear { from, now: hearing.now, heard, room: hearing.room, requests: &mut self.requests, say };
        talk.segment(segment, &mut self.next, &mut ear);
        self.talk = Some(talk);
        self.fold(hearing.room);
    }

    /// Hears a datagram's payload.
    pub fn datagram(
        &mut self,
        from: Direction,
        payload: &[u8],
        hearing: &mut Hearing<'_>,
        say: &mut dyn FnMut(Said<'_>),
    ) {
        if self.talk.is_none() {
            let may_be = self.at[from as usize] == Place::Start
                && (quic::may_be(payload) || tls::datagram(payload).is_some());
            if !may_be {
                // A hello is what a conversation begins with.
                self.at[from as usize] = Place::Done;
                return;
            }
        }
        let mut talk = self.talk.take().unwrap_or_else(|| hearing.room.talk(self.at));
        let mut ear =
            Ear { from, now: hearing.now, heard: 0, room: hearing.room, requests: &mut self.requests, say };
        talk.datagram(payload, &mut ear);
        self.talk = Some(talk);
        self.fold(hearing.room);
    }

    /// The conversation is over: what was left in the middle is told as it stands.
    pub fn end(&mut self, hearing: &mut Hearing<'_>, say: &mut dyn FnMut(Said<'_>)) {
        if let Some(mut talk) = self.talk.take() {
            for from in [Direction::ToServer, Direction::ToClient] {
                let mut ear = Ear {
                    from,
                    now: hearing.now,
                    heard: 0,
                    room: hearing.room,
                    requests: &mut self.requests,
                    say,
                };
                talk.finish(&mut self.next, &mut ear);
            }
            talk.leave(say);
            hearing.room.take_back(talk);
        }
        self.at = [Place::Done; 2];
    }

    /// Gives back what room it holds, and hears nothing more.
    pub fn release(&mut self, room: &mut Room) {
        if let Some(talk) = self.talk.take() {
            room.take_back(talk);
        }
        self.at = [Place::Done; 2];
    }

    /// Learns the first number of a direction: from its own SYN or segment, or from what the other side expects.
    #[inline]
    fn note_numbers(&mut self, from: Direction, segment: &TcpSegment<'_>) {
        let (own, other) = (from as usize, from.reverse() as usize);
        if segment.flags.rst {
            return;
        }
        if !self.heard[own] || segment.flags.syn {
            self.heard[own] = true;
            self.next[own] = segment.sequence.wrapping_add(u32::from(segment.flags.syn));
        }
        if segment.flags.ack && !self.heard[other] {
            self.heard[other] = true;
            self.next[other] = segment.acknowledgment;
        }
    }

    /// Puts the boxed state away when nothing is in the middle.
    #[inline]
    fn fold(&mut self, room: &mut Room) {
        if let Some(talk) = self.talk.take_if(|talk| talk.is_idle()) {
            self.at = talk.places();
            room.take_back(talk);
        }
    }
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod h2_tests;
#[cfg(test)]
mod tests;
