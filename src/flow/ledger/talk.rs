//! What is said on the flows of a shard, written down: requests until they are answered, ClientHellos, and a summary for
//! the flow's own record. Comes in: segments and datagrams. Goes out: [`Record`]s. What bytes mean is heard in `speech`.

use std::net::SocketAddr;

use super::RecordKinds;
use super::notes::{Asked, HelloNote, Notes, Spare};
use crate::decode::Transport;
use crate::flow::key::{FlowKey, Side};
use crate::flow::record::{Ends, HelloRecord, Protocols, Record, RequestRecord, Scribe, Tls};
use crate::flow::speech::{Answered, Hearing, Hello, Request, Response, Room, Said, Speech};
use crate::flow::tcp::Role;
use crate::flow::{Carrier, Ja4Memo, RequestHead, Shed, TrustedProxies};
use crate::service::Direction;
use crate::time::Timestamp;

/// What is said on one flow. Small, since every flow has one.
#[derive(Debug, Default)]
pub(super) struct Talk {
    speech: Speech,
    notes: Option<Box<Notes>>,
}

/// What the flows of a shard share.
#[derive(Debug)]
pub(super) struct Office {
    room: Room,
    clerk: Clerk,
}

/// What is needed to write down what is said.
#[derive(Debug)]
struct Clerk {
    kinds: RecordKinds,
    fingerprints: Ja4Memo,
    /// Requests that wait for their answers, on all flows.
    waiting: usize,
    spare: Spare,
}

/// Where a flow's records are written.
pub(super) struct Desk<'d, S> {
    office: &'d mut Office,
    scribe: &'d mut S,
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
/// bytes, with the longest path, query and headers 2 KiB: 128 MiB with 64 shards.
const MAX_WAITING: usize = 1_024;

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

impl Office {
    /// An office that makes the records that are `kinds`.
    pub fn new(kinds: RecordKinds, proxies: TrustedProxies) -> Self {
        let (fingerprints, spare) = (Ja4Memo::default(), Spare::default());
        Self { room: Room::new(ROOM, proxies), clerk: Clerk { kinds, fingerprints, waiting: 0, spare } }
    }

    /// So much is left out from now on.
    pub fn shed(&mut self, shed: Shed) {
        self.room.shed(shed);
    }

    /// Believes these proxies from now on.
    pub fn trust(&mut self, proxies: TrustedProxies) {
        self.room.trust(proxies);
    }

    /// A desk at which `scribe` writes.
    pub fn desk<'d, S: Scribe>(&'d mut self, scribe: &'d mut S) -> Desk<'d, S> {
        Desk { office: self, scribe }
    }
}

impl<S: Scribe> Desk<'_, S> {
    /// Writes a record of a flow, where such are wanted.
    pub fn write_flow(&mut self, record: &Record<'_>) {
        if self.office.clerk.kinds.flows {
            self.scribe.write(record);
        }
    }

    /// Takes notes back that were told of.
    pub fn take_back(&mut self, notes: Option<Box<Notes>>) {
        if let Some(notes) = notes {
            self.office.clerk.spare.notes(notes);
        }
    }
}

impl Talk {
    /// Hears a packet of `from`.
    #[inline]
    pub fn hear<S: Scribe>(
        &mut self,
        from: Role,
        transport: &Transport<'_>,
        party: Party,
        desk: &mut Desk<'_, S>,
    ) {
        let from = match from {
            Role::Originator => Direction::ToServer,
            Role::Responder => Direction::ToClient,
        };
        let Self { speech, notes } = self;
        if desk.office.room.sheds() >= Shed::Payload {
            return;
        }
        // Most segments say nothing.
        match transport {
            Transport::Tcp(segment) if !speech.notes(from, segment) => return,
            _ => {}
        }
        let Office { room, clerk } = &mut *desk.office;
        let mut hearing = Hearing { now: party.now, room };
        let mut writing = Writing { clerk, scribe: &mut *desk.scribe, party };
        let mut write = |said: Said<'_>| writing.note(&said, notes);
        match transport {
            Transport::Tcp(segment) => speech.segment(from, segment, &mut hearing, &mut write),
            Transport::Udp(datagram) => speech.datagram(from, datagram.payload, &mut hearing, &mut write),
            _ => {}
        }
    }

    /// The two ends have changed their roles: what was noted of their numbers was noted of the other one.
    pub fn turn<S: Scribe>(&mut self, desk: &mut Desk<'_, S>) {
        self.speech.release(&mut desk.office.room);
        self.speech = Speech::default();
    }

    /// The flow is over: tells what was left waiting, and gives what was noted in all.
    pub fn end<S: Scribe>(mut self, party: Party, desk: &mut Desk<'_, S>) -> Option<Box<Notes>> {
        let Office { room, clerk } = &mut *desk.office;
        let mut hearing = Hearing { now: party.now, room };
        let mut writing = Writing { clerk, scribe: &mut *desk.scribe, party };
        self.speech.end(&mut hearing, &mut |said| writing.note(&said, &mut self.notes));
        let mut notes = self.notes?;
        while let Some(asked) = notes.waiting.pop_front() {
            writing.tell(asked, None);
        }
        Some(notes)
    }
}

/// Something is being written down.
struct Writing<'w, S> {
    clerk: &'w mut Clerk,
    scribe: &'w mut S,
    party: Party,
}

impl<S: Scribe> Writing<'_, S> {
    fn note(&mut self, said: &Said<'_>, notes: &mut Option<Box<Notes>>) {
        match said {
            Said::Request(request) => self.request(request, notes),
            Said::Response(response) => answered_with(response, notes),
            Said::Answered(answered) => {
                if let Some(asked) = answered.request.and_then(|number| taken_out(number, notes)) {
                    self.tell(asked, Some(answered));
                }
            }
            Said::Unanswered { request } => {
                if let Some(asked) = taken_out(*request, notes) {
                    self.tell(asked, None);
                }
            }
            Said::Hello(hello) => self.hello(hello, notes),
            Said::Http2 { from, headers, resets, .. } => {
                let notes = self.notes(notes);
                notes.protocol = Some("http2");
                notes.requests += if *from == Direction::ToServer { u64::from(*headers) } else { 0 };
                notes.resets += u64::from(*resets);
            }
            Said::Spoken(_) => {}
        }
    }

    /// The notes of the flow, which begin with the first thing to be noted.
    fn notes<'n>(&mut self, notes: &'n mut Option<Box<Notes>>) -> &'n mut Notes {
        notes.get_or_insert_with(|| self.clerk.spare.fresh_notes())
    }

    fn request(&mut self, request: &Request<'_>, notes: &mut Option<Box<Notes>>) {
        let notes = self.notes(notes);
        notes.protocol.get_or_insert("http");
        notes.requests += 1;
        if let Some(host) = request.head.host {
            notes.hosts.add(host.text());
        }
        if !self.clerk.kinds.requests {
            return;
        }
        if self.clerk.waiting < MAX_WAITING {
            self.clerk.waiting += 1;
            let mut asked = self.clerk.spare.fresh_asked();
            asked.keep(request, self.party.now, self.clerk.kinds);
            notes.waiting.push_back(asked);
        } else {
            let record = self.unanswered(request);
            self.scribe.write(&Record::Request(&record));
        }
    }

    /// The record of a request whose answer is not waited for.
    fn unanswered<'r>(&self, request: &Request<'r>) -> RequestRecord<'r> {
        let RequestHead { method, path, query, protocol, host, user_agent, .. } = *request.head;
        let query = query.filter(|_| self.clerk.kinds.query);
        RequestRecord {
            ends: self.party.ends(),
            time: self.party.now,
            told: self.party.now,
            host: host.map(|host| host.text()),
            path,
            query: query.map(|query| query.text()),
            method,
            user_agent,
            protocol,
            forwarded: request.forwarded,
            status: None,
            length: None,
            ttfb_us: None,
        }
    }

    /// Tells a request that waited, with what its answer turned out to be.
    fn tell(&mut self, asked: Box<Asked>, answered: Option<&Answered>) {
        self.clerk.waiting = self.clerk.waiting.saturating_sub(1);
        let length = answered.map(|answered| answered.length);
        let record = RequestRecord { length, ..asked.record(self.party.ends(), self.party.now) };
        self.scribe.write(&Record::Request(&record));
        self.clerk.spare.asked(asked);
    }

    fn hello(&mut self, hello: &Hello<'_>, notes: &mut Option<Box<Notes>>) {
        let tls = Tls {
            sni: hello.hello.sni,
            ja4: self.clerk.fingerprints.of(&hello.hello),
            version: hello.hello.version(),
            alpn: Protocols::of(hello.hello.protocols),
        };
        if self.clerk.kinds.hellos {
            let (ends, time, forwarded) = (self.party.ends(), self.party.now, hello.forwarded);
            self.scribe.write(&Record::Hello(&HelloRecord { ends, time, forwarded, tls }));
        }
        let notes = self.notes(notes);
        notes.protocol.get_or_insert(match hello.hello.carrier {
            Carrier::Tcp => "tls",
            Carrier::Quic => "quic",
            Carrier::Dtls => "dtls",
        });
        notes.hello.get_or_insert_with(|| HelloNote::of(&tls));
    }
}

/// Takes out the request of that number.
fn taken_out(number: u32, notes: &mut Option<Box<Notes>>) -> Option<Box<Asked>> {
    let waiting = &mut notes.as_mut()?.waiting;
    let at = waiting.iter().position(|asked| asked.number == number)?;
    waiting.remove(at)
}

fn answered_with(response: &Response, notes: &mut Option<Box<Notes>>) {
    let (Some(notes), Some(number)) = (notes.as_mut(), response.request) else { return };
    if let Some(asked) = notes.waiting.iter_mut().find(|asked| asked.number == number) {
        asked.status = Some(response.status);
        asked.ttfb_us = response.ttfb.map(|ttfb| ttfb.nanos() / 1_000);
    }
}
