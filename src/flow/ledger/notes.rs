//! What is kept of a flow until it is told: sums of what was said, and the requests that wait for their answers.
//! Comes in: heads of requests and ClientHellos. Goes out: what records are made of. What is told of is used again, so
//! that a flow's notes seldom ask for memory.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::RecordKinds;
use crate::flow::Ja4;
use crate::flow::record::{Ends, Hosts, Protocols, RequestRecord, Summary, Tls};
use crate::flow::speech::Request;
use crate::time::Timestamp;

/// What was said on a flow so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub protocol: Option<&'static str>,
    /// The first ClientHello.
    pub hello: Option<HelloNote>,
    pub requests: u64,
    /// HTTP/2 streams that were reset.
    pub resets: u64,
    pub hosts: Hosts,
    /// Requests that are not answered yet.
    pub waiting: VecDeque<Box<Asked>>,
}

impl Notes {
    /// What is told with the flow.
    pub fn summary(&self) -> Summary<'_> {
        let Self { protocol, hello, requests, resets, hosts, .. } = self;
        let tls = hello.as_ref().map(HelloNote::tls);
        Summary { protocol: *protocol, tls, requests: *requests, resets: *resets, hosts }
    }

    /// Forgets all, and keeps its room.
    fn clear(&mut self) {
        (self.protocol, self.hello) = (None, None);
        (self.requests, self.resets) = (0, 0);
        self.hosts.clear();
        self.waiting.clear();
    }
}

/// A ClientHello that is told with its flow.
#[derive(Debug)]
pub(super) struct HelloNote {
    sni: Option<Box<str>>,
    ja4: Ja4,
    version: u16,
    alpn: Box<[u8]>,
}

impl HelloNote {
    /// Keeps what a hello says.
    pub fn of(tls: &Tls<'_>) -> Self {
        let Tls { sni, ja4, version, alpn } = *tls;
        Self { sni: sni.map(Into::into), ja4, version, alpn: alpn.list().into() }
    }

    fn tls(&self) -> Tls<'_> {
        let Self { sni, ja4, version, alpn } = self;
        Tls { sni: sni.as_deref(), ja4: *ja4, version: *version, alpn: Protocols::of(alpn) }
    }
}

/// A request that waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The request's number on its connection.
    pub number: u32,
    pub status: Option<u16>,
    pub ttfb_us: Option<u64>,
    time: Timestamp,
    forwarded: Option<IpAddr>,
    /// Its texts, one behind the other.
    text: String,
    host: Option<Part>,
    path: Part,
    query: Option<Part>,
    method: Part,
    user_agent: Option<Part>,
    protocol: Part,
}

/// Where a text begins and ends: all of a request are a few KiB at most.
type Part = (u16, u16);

impl Asked {
    /// Keeps a request.
    pub fn keep(&mut self, request: &Request<'_>, now: Timestamp, kinds: RecordKinds) {
        self.text.clear();
        let head = request.head;
        let query = head.query.filter(|_| kinds.query);
        self.host = head.host.map(|host| self.add(host.text()));
        self.path = self.add(head.path);
        self.query = query.map(|query| self.add(query.text()));
        self.method = self.add(head.method);
        self.user_agent = head.user_agent.map(|agent| self.add(agent));
        self.protocol = self.add(head.protocol);
        (self.number, self.time, self.forwarded) = (request.number, now, request.forwarded);
        (self.status, self.ttfb_us) = (None, None);
    }

    fn add(&mut self, text: &str) -> Part {
        let begin = self.text.len() as u16;
        self.text.push_str(text);
        (begin, self.text.len() as u16)
    }

    /// What is told of it at `told`; without the length of an answer.
    pub fn record(&self, ends: Ends, told: Timestamp) -> RequestRecord<'_> {
        let part = |(begin, end): Part| self.text.get(begin.into()..end.into()).unwrap_or_default();
        RequestRecord {
            ends,
            time: self.time,
            told,
            host: self.host.map(part),
            path: part(self.path),
            query: self.query.map(part),
            method: part(self.method),
            user_agent: self.user_agent.map(part),
            protocol: part(self.protocol),
            forwarded: self.forwarded,
            status: self.status,
            length: None,
            ttfb_us: self.ttfb_us,
        }
    }
}

/// What was told of and may be used again.
#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "a flow takes the box over as it is")]
pub(super) struct Spare {
    notes: Vec<Box<Notes>>,
    asked: Vec<Box<Asked>>,
}

/// Each of these that wait to be used again in one shard: as many flows as end in a second of some ten thousand. With
/// texts of usual length 3 MiB with 64 shards, with the longest 26 MiB.
const MAX_SPARE: usize = 64;

impl Spare {
    /// Notes in which nothing stands.
    pub fn fresh_notes(&mut self) -> Box<Notes> {
        self.notes.pop().unwrap_or_default()
    }

    /// A request to be kept.
    pub fn fresh_asked(&mut self) -> Box<Asked> {
        self.asked.pop().unwrap_or_default()
    }

    /// Takes over notes that were told.
    pub fn notes(&mut self, mut notes: Box<Notes>) {
        if self.notes.len() < MAX_SPARE {
            notes.clear();
            self.notes.push(notes);
        }
    }

    /// Takes over a request that was told.
    pub fn asked(&mut self, asked: Box<Asked>) {
        if self.asked.len() < MAX_SPARE {
            self.asked.push(asked);
        }
    }
}
