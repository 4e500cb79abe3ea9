//! What is said on the flows of a shard, written down: requests until they are answered, ClientHellos, and a summary for
//! the flow's own record. Comes in: segments and datagrams. Goes out: [`Record`]s. What bytes mean is heard in `speech`.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::RecordKinds;
use crate::decode::Transport;
use crate::flow::key::{FlowKey, Side};
use crate::flow::record::{Ends, HelloRecord, MAX_HOSTS, Record, RequestRecord, Summary, Tls};
use crate::flow::speech::{Answered, Hearing, Hello, Request, Response, Room, Said, Speech};
use crate::flow::tcp::Role;
use crate::flow::{Carrier, ClientHello, Ja4Memo, TrustedProxies};
use crate::service::Direction;
use crate::time::Timestamp;

/// What is said on one flow. Small, since every flow has one.
#[derive(Debug, Default)]
pub(super) struct Talk {
    speech: Speech,
    notes: Option<Box<Notes>>,
}

/// What was said so far, on flows that say something.
#[derive(Debug, Default)]
struct Notes {
    summary: Summary,
    /// Requests that are not answered yet, with their numbers.
    waiting: VecDeque<(u32, RequestRecord)>,
}

/// What the flows of a shard share.
#[derive(Debug)]
pub(super) struct Desk {
    room: Room,
    clerk: Clerk,
}

/// Writes down what is said.
#[derive(Debug)]
struct Clerk {
    kinds: RecordKinds,
    fingerprints: Ja4Memo,
    /// Requests that wait for their answers, on all flows.
    waiting: usize,
    records: Vec<Record>,
}

/// Between whom something is said, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party {
    pub key: FlowKey,
    pub originator: Side,
    pub now: Timestamp,
}

/// Bytes of unfinished heads in one shard: 16 MiB with 64 shards.
const ROOM: usize = 256 * 1024;

/// Requests of one shard that wait for their answers; further ones are told at once, without. A request is some hundred
/// bytes, with the longest path and headers 1.3 KiB: 85 MiB with 64 shards.
const MAX_WAITING: usize = 1_024;

/// Protocols that are told of one ClientHello.
const MAX_PROTOCOLS: usize = 16;

impl Party {
    /// The ends of the flow.
    pub fn ends(&self) -> Ends {
        let end = |side| -> SocketAddr { self.key.end(side) };
        Ends {
            originator: end(self.originator),
            responder: end(self.originator.other()),
            protocol: self.key.protocol_number(),
        }
    }
}

impl Desk {
    /// A desk at which the records that are `kinds` are written.
    pub fn new(kinds: RecordKinds, proxies: TrustedProxies) -> Self {
        let clerk = Clerk { kinds, fingerprints: Ja4Memo::default(), waiting: 0, records: Vec::new() };
        Self { room: Room::new(ROOM, proxies), clerk }
    }

    /// Writes a record.
    pub fn write(&mut self, record: Record) {
        self.clerk.records.push(record);
    }

    /// What was written since the last time.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.clerk.records)
    }
}

impl Talk {
    /// Hears a packet of `from`.
    #[inline]
    pub fn hear(&mut self, from: Role, transport: &Transport<'_>, party: Party, desk: &mut Desk) {
        let from = match from {
            Role::Originator => Direction::ToServer,
            Role::Responder => Direction::ToClient,
        };
        let Self { speech, notes } = self;
        let Desk { room, clerk } = desk;
        let mut hearing = Hearing { now: party.now, room };
        let mut write = |said: Said<'_>| clerk.note(&said, notes, party);
        match transport {
            Transport::Tcp(segment) => speech.segment(from, segment, &mut hearing, &mut write),
            Transport::Udp(datagram) => speech.datagram(from, datagram.payload, &mut hearing, &mut write),
            _ => {}
        }
    }

    /// The two ends have changed their roles: what was noted of their numbers was noted of the other one.
    pub fn turn(&mut self, desk: &mut Desk) {
        self.speech.release(&mut desk.room);
        self.speech = Speech::default();
    }

    /// The flow is over: tells what was left waiting, and what was said in all.
    pub fn end(mut self, party: Party, desk: &mut Desk) -> Option<Box<Summary>> {
        let Desk { room, clerk } = desk;
        let mut hearing = Hearing { now: party.now, room };
        self.speech.end(&mut hearing, &mut |said| clerk.note(&said, &mut self.notes, party));
        let notes = self.notes?;
        for (_, request) in notes.waiting {
            clerk.waiting = clerk.waiting.saturating_sub(1);
            clerk.tell(request, party);
        }
        Some(Box::new(notes.summary))
    }
}

impl Clerk {
    fn note(&mut self, said: &Said<'_>, notes: &mut Option<Box<Notes>>, party: Party) {
        match said {
            Said::Request(request) => self.request(request, notes.get_or_insert_default(), party),
            Said::Response(response) => answered_with(response, notes),
            Said::Answered(answered) => self.answered(answered, notes, party),
            Said::Unanswered { request } => {
                if let Some(request) = self.waiting_of(*request, notes) {
                    self.tell(request, party);
                }
            }
            Said::Hello(hello) => self.hello(hello, notes.get_or_insert_default(), party),
            Said::Http2 { from, headers, resets } => {
                let summary = &mut notes.get_or_insert_default().summary;
                summary.protocol = Some("http2");
                summary.requests += if *from == Direction::ToServer { u64::from(*headers) } else { 0 };
                summary.resets += u64::from(*resets);
            }
            Said::Spoken(_) => {}
        }
    }

    fn request(&mut self, request: &Request<'_>, notes: &mut Notes, party: Party) {
        notes.summary.protocol.get_or_insert("http");
        notes.summary.requests += 1;
        let host = request.head.host.map(|host| host.text().to_owned());
        if let Some(host) = &host
            && notes.summary.hosts.len() < MAX_HOSTS
            && !notes.summary.hosts.contains(host)
        {
            notes.summary.hosts.push(host.clone());
        }
        if !self.kinds.requests {
            return;
        }
        let query = request.head.query.filter(|_| self.kinds.query);
        let record = RequestRecord {
            ends: party.ends(),
            time: party.now,
            told: party.now,
            host,
            path: request.head.path.to_owned(),
            query: query.map(|query| query.text().to_owned()),
            method: request.head.method.to_owned(),
            user_agent: request.head.user_agent.map(str::to_owned),
            protocol: request.head.protocol.to_owned(),
            forwarded: request.forwarded,
            status: None,
            length: None,
            ttfb_us: None,
        };
        if self.waiting < MAX_WAITING {
            self.waiting += 1;
            notes.waiting.push_back((request.number, record));
        } else {
            self.tell(record, party);
        }
    }

    fn answered(&mut self, answered: &Answered, notes: &mut Option<Box<Notes>>, party: Party) {
        let request = answered.request.and_then(|number| self.waiting_of(number, notes));
        if let Some(request) = request {
            self.tell(RequestRecord { length: Some(answered.length), ..request }, party);
        }
    }

    /// Takes out the request of that number.
    fn waiting_of(&mut self, number: u32, notes: &mut Option<Box<Notes>>) -> Option<RequestRecord> {
        let waiting = &mut notes.as_mut()?.waiting;
        let at = waiting.iter().position(|(have, _)| *have == number)?;
        self.waiting = self.waiting.saturating_sub(1);
        waiting.remove(at).map(|(_, request)| request)
    }

    fn tell(&mut self, request: RequestRecord, party: Party) {
        let request = RequestRecord { told: party.now, ends: party.ends(), ..request };
        self.records.push(Record::Request(Box::new(request)));
    }

    fn hello(&mut self, hello: &Hello<'_>, notes: &mut Notes, party: Party) {
        let tls = self.tls(&hello.hello);
        if self.kinds.hellos {
            let (ends, time, forwarded) = (party.ends(), party.now, hello.forwarded);
            let record = HelloRecord { ends, time, forwarded, tls: tls.clone() };
            self.records.push(Record::Hello(Box::new(record)));
        }
        notes.summary.protocol.get_or_insert(match hello.hello.carrier {
            Carrier::Tcp => "tls",
            Carrier::Quic => "quic",
            Carrier::Dtls => "dtls",
        });
        notes.summary.tls.get_or_insert(tls);
    }

    fn tls(&mut self, hello: &ClientHello<'_>) -> Tls {
        Tls {
            sni: hello.sni.map(str::to_owned),
            ja4: self.fingerprints.of(hello),
            version: hello.version(),
            alpn: protocols(hello.protocols),
        }
    }
}

fn answered_with(response: &Response, notes: &mut Option<Box<Notes>>) {
    let (Some(notes), Some(number)) = (notes.as_mut(), response.request) else { return };
    if let Some((_, request)) = notes.waiting.iter_mut().find(|(have, _)| *have == number) {
        request.status = Some(response.status);
        request.ttfb_us = response.ttfb.map(|ttfb| ttfb.nanos() / 1_000);
    }
}

/// The names of a list of protocols, each behind its length in one byte (RFC 7301 section 3.1).
fn protocols(mut list: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((len, rest)) = list.split_first() {
        let Some((name, rest)) = rest.split_at_checked(usize::from(*len)) else { break };
        if names.len() >= MAX_PROTOCOLS {
            break;
        }
        names.push(String::from_utf8_lossy(name).into_owned());
        list = rest;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_protocols_ends_where_it_is_broken() {
        assert_eq!(protocols(b"\x02h2\x08http/1.1"), ["h2", "http/1.1"]);
        assert_eq!(protocols(b"\x02h2\x09http/1.1"), ["h2"]);
        assert_eq!(protocols(&[1, b'x'].repeat(40)).len(), MAX_PROTOCOLS);
    }
}
