//! Which response answers which request (RFC 9112 section 9.3.2: in the order they were asked). Comes in: requests and
//! responses as they are read. Goes out: pairs, and requests that nobody will answer. Keeps no text.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::http::Method;
use super::stream::ahead;
use super::{Answered, Said};
use crate::flow::template::PathStart;
use crate::time::Timestamp;

/// A request that waits for its response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub number: u32,
    /// When its last byte came, as far as it came.
    pub at: Timestamp,
    pub method: Method,
    /// The number up to which its sender had heard the other side.
    pub heard: u32,
    pub forwarded: Option<IpAddr>,
}

/// The same with what tells its path from others, should it fail.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    asked: Asked,
    path: PathStart,
}

/// The exchanges of one connection.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    waiting: VecDeque<Waiting>,
    /// Requests beyond the cap whose responses are still to come.
    beyond: u32,
    /// The response being read.
    current: Option<Answered>,
}

/// Requests that may wait for their responses; browsers that pipelined sent at most a dozen.
pub(super) const MAX_WAITING: usize = 64;

impl Exchanges {
    /// Notes a request for `path`.
    pub fn ask(&mut self, asked: Asked, path: &str, say: &mut dyn FnMut(Said<'_>)) {
        if self.waiting.len() < MAX_WAITING && self.beyond == 0 {
            self.waiting.push_back(Waiting { asked, path: PathStart::of(path) });
        } else {
            self.beyond = self.beyond.saturating_add(1);
            say(Said::Unanswered { request: asked.number });
        }
    }

    /// The last byte of the latest request's body came.
    pub fn asked_fully(&mut self, at: Timestamp) {
        if let Some(last) = self.waiting.back_mut() {
            last.asked.at = at;
        }
    }

    /// Behind a hole, a response that begins at number `at` answers no request older than one that was asked by somebody
    /// who had heard more, up to `at`: what answered the older ones lies in the hole.
    pub fn skip_to(&mut self, at: u32, say: &mut dyn FnMut(Said<'_>)) {
        while let (Some(first), Some(second)) = (self.waiting.front(), self.waiting.get(1)) {
            let (first, second) = (first.asked, second.asked);
            let heard_more = ahead(second.heard, first.heard).is_some_and(|more| more > 0);
            if !heard_more || ahead(at, second.heard).is_none() {
                return;
            }
            say(Said::Unanswered { request: first.number });
            self.waiting.pop_front();
        }
    }

    /// The request that a final response answers; the response before it is over.
    pub fn answer(&mut self, say: &mut dyn FnMut(Said<'_>)) -> Option<Asked> {
        self.close(false, say);
        let asked = self.waiting.pop_front().map(|waiting| waiting.asked);
        if asked.is_none() {
            self.beyond = self.beyond.saturating_sub(1);
        }
        self.current = Some(Answered { request: asked.map(|asked| asked.number), length: 0, whole: false });
        asked
    }

    /// The hash of the path of the request that the next response answers.
    pub fn next_path(&self) -> Option<u32> {
        self.waiting.front().map(|waiting| waiting.path.hash())
    }

    /// Bytes of the current response's body went by.
    pub fn passed(&mut self, bytes: u64) {
        if let Some(current) = &mut self.current {
            current.length = current.length.saturating_add(bytes);
        }
    }

    /// The current response, if any, ends here.
    pub fn close(&mut self, whole: bool, say: &mut dyn FnMut(Said<'_>)) {
        if let Some(current) = self.current.take() {
            say(Said::Answered(Answered { whole, ..current }));
        }
    }

    /// The connection is over: whatever waits will not be answered.
    pub fn leave(&mut self, say: &mut dyn FnMut(Said<'_>)) {
        self.close(false, say);
        for Waiting { asked, .. } in self.waiting.drain(..) {
            say(Said::Unanswered { request: asked.number });
        }
    }

    /// Whether nothing waits and nothing is being answered.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.current.is_none() && self.beyond == 0
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.waiting.clear();
        (self.beyond, self.current) = (0, None);
    }
}
