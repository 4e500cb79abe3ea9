//! One direction of a conversation: where its reader stands, the beginning of what is not whole yet, and what came too
//! early. Comes in and goes out through `talk`.

use super::Place;
use super::body::Body;
use super::http::MAX_HEAD;
use super::room::Room;
use super::stream::{Early, Part, ahead};
use super::tls::MAX_RECORDED;
use crate::time::Timestamp;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub reading: Reading,
    /// The beginning of what is being read.
    pub kept: Vec<u8>,
    /// When the first byte of what is being read came.
    pub since: Timestamp,
    /// How much of `kept` has been looked through for an end.
    pub scanned: usize,
    /// The head being read was told as it stood.
    pub told: bool,
    /// That it speaks something unknown was said, or that it speaks something known.
    pub introduced: bool,
    pub early: Early,
    /// The number of the first byte of the segment being read.
    pub at: u32,
    /// Something was missed since the last response.
    pub torn: bool,
}

/// What a direction's next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reading {
    /// The beginning of something.
    #[default]
    Start,
    /// A request's head, or what else a client may say to a web server.
    Request,
    /// A response's head.
    Response,
    /// The body of a message.
    Body(Message, Body),
    /// TLS records that hold a ClientHello.
    Hello,
    /// What a SOCKS client says after its greeting.
    SocksRequest,
    /// The answers of a SOCKS server; whether the first is still to come.
    SocksReplies(FirstReply),
    /// Lines of text that a ClientHello may follow; how many bytes of them are still worth reading.
    Lines(u16),
    /// HTTP/2 frames; how much of the last one is to be stepped over.
    Frames(u32),
    /// Somewhere between heads: the next segment that begins like one is one.
    Lost(Message),
    /// Nothing that anybody wants to hear.
    Done,
}

/// The two kinds of HTTP/1 messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    Response,
}

/// Whether the first answer of a SOCKS server is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstReply {
    Awaited,
    Heard,
}

impl Reading {
    /// The most that is kept of what is not whole.
    pub fn most_kept(self) -> usize {
        match self {
            Reading::Request | Reading::Response => MAX_HEAD,
            Reading::Hello => MAX_RECORDED,
            // A PROXY header of version 2 or a trailer's line.
            _ => 8_192,
        }
    }

    /// How many bytes ahead need not be seen.
    pub fn unneeded(self) -> u64 {
        match self {
            Reading::Body(_, body) => body.unneeded(),
            Reading::Frames(left) => u64::from(left),
            Reading::Done => u64::MAX,
            _ => 0,
        }
    }
}

impl Lane {
    /// Begins at a place.
    pub fn begin(&mut self, at: Place) {
        self.reading = match at {
            Place::Start => Reading::Start,
            Place::Requests => Reading::Request,
            Place::Responses => Reading::Response,
            Place::Done => Reading::Done,
        };
        self.introduced = at != Place::Start;
        (self.scanned, self.told, self.torn) = (0, false, false);
    }

    /// Where it stands, if it is in the middle of nothing.
    pub fn place(&self) -> Option<Place> {
        if !(self.kept.is_empty() && self.early.is_empty()) {
            return None;
        }
        match self.reading {
            Reading::Start if !self.introduced => Some(Place::Start),
            Reading::Request => Some(Place::Requests),
            Reading::Response => Some(Place::Responses),
            Reading::Done => Some(Place::Done),
            _ => None,
        }
    }

    /// Whether it is in the middle of a body, at a place where more of it is known to follow.
    pub fn is_within_body(&self) -> bool {
        matches!(self.reading, Reading::Body(_, body) if body.goes_on())
    }

    /// Takes out what waited for `next`, with the length of a hole before it that need not be seen.
    pub fn waiting(&mut self, next: u32) -> Option<(Part, u32)> {
        let hole = ahead(self.early.first()?, next).unwrap_or(0);
        let part =
            (u64::from(hole) <= self.reading.unneeded()).then(|| self.early.take(next.wrapping_add(hole)));
        part.flatten().map(|part| (part, hole))
    }

    /// Keeps `bytes` as the beginning of what is being read, where there is room.
    pub fn keep(&mut self, bytes: &[u8], room: &mut Room) -> bool {
        if !room.take(bytes.len()) {
            return false;
        }
        self.kept.extend_from_slice(bytes);
        true
    }

    /// Forgets what it holds; answers how many bytes that were.
    pub fn clear(&mut self) -> usize {
        let held = self.kept.len() + self.early.bytes();
        self.kept.clear();
        if self.kept.capacity() > SPARE_CAPACITY {
            self.kept = Vec::new();
        }
        self.early.clear();
        held
    }
}

/// A buffer larger than an ordinary head is not passed on to the next conversation.
const SPARE_CAPACITY: usize = 2_048;
