//! A part of a scenario being told: its plan comes in, conversations go out, each with the moment at which it
//! begins, and are counted. Knows nothing of the other parts.

use std::net::{IpAddr, SocketAddr};

use super::conversation::{Conversation, Filling, Wire};
use super::dialogue::Dialogue;
use super::http::{RequestHead, is_bodiless, response_head};
use super::origin::{AddressBook, Origin, Shuffle};
use super::plan::{Close, HalfOpen, Kind, Sealed, Streams};
use super::rate::{Arrival, Arrivals};
use super::rng::{Rng, mix};
use super::tls::{CHANGE_CIPHER_SPEC, ClientHello, MAX_RECORD, data_header, handshake_header, server_hello};
use super::traffic::Traffic;
use super::trouble::Trouble;
use super::{OriginKind, PartTruth, Scenario};
use crate::service::Direction;
use crate::time::{Span, Timestamp, Zone};

/// A part under way.
#[derive(Debug, Clone)]
pub(super) struct Part {
    plan: Traffic,
    troubles: Vec<Trouble>,
    scenario_start: Timestamp,
    seed: u64,
    rng: Rng,
    book: AddressBook,
    arrivals: Arrivals,
    next: Option<Arrival>,
    round: (u64, Shuffle),
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    packets: u64,
    conversations: u64,
    requests: u64,
}

/// One client in one conversation.
#[derive(Debug, Clone, Copy)]
struct Client {
    ip: IpAddr,
    /// The client's traits follow from it: line, agent, ports.
    character: u64,
    /// How often it came before.
    visits: u64,
}

/// Initial times to live of desktop systems, and how many routers lie between.
const FIRST_TTL: [u8; 2] = [64, 128];
const HOPS: std::ops::RangeInclusive<u64> = 6..=18;
/// Where Linux's ephemeral ports begin, and how many there are.
const FIRST_PORT: u64 = 32_768;
const PORTS: u64 = 28_232;
/// Bytes of the body that tells of a failure.
const FAILURE_BODY: usize = 190;
/// Bytes of a form that is posted.
const FORM_BODY: u64 = 60;

impl Part {
    /// Begins the part at `place` of a scenario.
    pub fn begin(scenario: &Scenario, place: usize, plan: &Traffic) -> Self {
        let seed = mix(mix(scenario.seed, place as u64), plan.seed);
        let origin = plan.origin.clone().unwrap_or(Origin::Anywhere);
        let batch = if plan.kind == Kind::Requests { u64::from(plan.talk.per_connection) } else { 1 };
        let mut part = Self {
            plan: plan.clone(),
            troubles: scenario.troubles.clone(),
            scenario_start: scenario.start,
            seed,
            rng: Rng::new(mix(seed, 10)),
            book: AddressBook::new(&origin, plan.target.address.ip(), mix(seed, 11)),
            arrivals: Arrivals::new(plan.rate, plan.length, batch, mix(seed, 12)),
            next: None,
            round: (0, Shuffle::new(u64::from(plan.sources), mix(seed, 13))),
            counts: Counts::default(),
        };
        part.next = part.arrivals.next();
        part
    }

    /// When the next conversation begins; `None` when the part is over.
    pub fn next_start(&self) -> Option<Timestamp> {
        self.next.map(|arrival| self.start() + arrival.since)
    }

    fn start(&self) -> Timestamp {
        self.scenario_start + self.plan.start
    }

    /// Begins the next conversation.
    pub fn converse(&mut self) -> Option<Conversation> {
        let (start, arrival) = (self.next_start()?, self.next?);
        self.next = self.arrivals.next();
        let client = self.next_client();
        let mut talk = Dialogue::new(self.wire(&client), start, self.rng.next());
        match self.plan.kind {
            Kind::Requests => self.ask_and_answer(&mut talk, &client, arrival.count),
            Kind::Tls => self.encrypted(&mut talk),
            Kind::Connections => {
                talk.handshake();
                self.close(&mut talk);
            }
            Kind::Syns => self.half_open(&mut talk),
            Kind::Datagrams => self.datagram(&mut talk),
            Kind::Initials => self.initial(&mut talk),
            Kind::Pings => self.ping(&mut talk, &client),
            Kind::Fragments => {
                talk.fragment(self.plan.datagram.length);
            }
            Kind::Streams => self.streams(&mut talk),
            Kind::Drips => drip(&mut talk),
            Kind::Strays => self.ask(&mut talk, &client),
            Kind::OutOfState => {
                talk.stray_ack();
            }
            Kind::SynAcks => {
                talk.stray_syn_ack();
            }
        }
        let conversation = talk.finish();
        self.counts.packets += conversation.left();
        self.counts.conversations += 1;
        Some(conversation)
    }

    /// What was told so far.
    pub fn truth(&self) -> PartTruth {
        let (origin, prefixes) = match &self.plan.origin {
            Some(Origin::Prefixes(nets)) => {
                (OriginKind::Prefixes, nets.iter().map(ToString::to_string).collect())
            }
            Some(Origin::Forged) => (OriginKind::Forged, Vec::new()),
            Some(Origin::Anywhere) | None => (OriginKind::Anywhere, Vec::new()),
        };
        let conversations = self.counts.conversations;
        let sources = match origin {
            OriginKind::Prefixes => conversations.min(u64::from(self.plan.sources)),
            OriginKind::Anywhere | OriginKind::Forged => conversations,
        };
        let utc = Zone::utc();
        PartTruth {
            name: self.plan.name.clone(),
            kind: self.plan.kind,
            service: self.plan.target.service.clone(),
            target: self.plan.target.address,
            origin,
            prefixes,
            sources,
            packets: self.counts.packets,
            conversations,
            requests: self.counts.requests,
            start: self.start().rfc3339(&utc),
            end: (self.start() + self.plan.length).rfc3339(&utc),
        }
    }

    /// Clients take turns, in another order every round.
    fn next_client(&mut self) -> Client {
        let number = self.counts.conversations;
        let sources = u64::from(self.plan.sources);
        let (visits, number) = match &self.plan.origin {
            Some(Origin::Prefixes(_)) => {
                let round = number / sources;
                if self.round.0 != round {
                    self.round = (round, Shuffle::new(sources, mix(mix(self.seed, 13), round)));
                }
                (round, self.round.1.at(number % sources))
            }
            _ => (0, number),
        };
        Client { ip: self.book.address(number), character: mix(mix(self.seed, 14), number), visits }
    }

    fn wire(&self, client: &Client) -> Wire {
        let mut traits = Rng::new(client.character);
        let (low, high) = self.plan.line.rtt;
        let rtt = traits.span_between(low, high);
        let [small, large] = FIRST_TTL;
        let first = if traits.below(2) == 0 { small } else { large };
        let client_ttl = first - traits.between(*HOPS.start(), *HOPS.end()) as u8;
        let first_port = traits.below(PORTS);
        // Datagrams and pings of a client stay in one flow; connections take the next port.
        let step = if self.plan.kind == Kind::Datagrams { 0 } else { client.visits };
        let own = (FIRST_PORT + (first_port + step) % PORTS) as u16;
        let port = self.plan.datagram.source_port.unwrap_or(own);
        Wire {
            client: SocketAddr::new(client.ip, port),
            server: self.plan.target.address,
            rtt,
            client_ttl,
            vlans: self.plan.line.vlans,
            view: self.plan.line.view,
        }
    }
}

/// What is said.
impl Part {
    fn ask_and_answer(&mut self, talk: &mut Dialogue, client: &Client, requests: u64) {
        talk.handshake().resend_every(self.plan.talk.resend_every);
        for request in 0..requests {
            if request > 0 {
                talk.pause(self.rng.exponential(self.plan.talk.think));
            }
            self.ask(talk, client);
            self.answer(talk);
        }
        self.counts.requests += requests;
        self.close(talk);
    }

    fn ask(&mut self, talk: &mut Dialogue, client: &Client) {
        let plan = &self.plan.talk;
        let place = self.rng.weighted(plan.asks.iter().map(|ask| ask.weight));
        let (method, path) =
            plan.asks.get(place).map_or(("GET", "/"), |ask| (ask.method.as_str(), ask.path.as_str()));
        let body_len = if matches!(method, "POST" | "PUT") { FORM_BODY } else { 0 } as usize;
        let path = path.replace("{n}", &self.rng.between(1_000, 9_999).to_string());
        let host = plan.host.as_deref().unwrap_or(&self.plan.target.service);
        let agent = plan.agent_of(client.character);
        let head = RequestHead { method, path: &path, host, agent, body_len };
        talk.client_sends(&head.bytes(), body_len);
    }

    fn answer(&mut self, talk: &mut Dialogue) {
        let since = talk.now().since(self.scenario_start);
        let plan = &self.plan.talk;
        let place = self.rng.weighted(plan.statuses.iter().map(|(_, weight)| *weight));
        let status = plan.statuses.get(place).map_or(200, |(status, _)| *status);
        let ordinary = Answer {
            status,
            wait: about(plan.wait, &mut self.rng),
            body_len: self.rng.between(u64::from(plan.body.0), u64::from(plan.body.1)) as usize,
        };
        let answer = self.troubled(ordinary, since);
        let body_len = if is_bodiless(answer.status) { 0 } else { answer.body_len };
        talk.server_sends(answer.wait, &response_head(answer.status, body_len), body_len);
    }

    fn troubled(&mut self, mut answer: Answer, since: Span) -> Answer {
        for trouble in &self.troubles {
            let share = trouble.share_at(since);
            if self.rng.unit() < share {
                (answer.status, answer.body_len) = (trouble.status, FAILURE_BODY);
            } else {
                let longer = (trouble.wait.nanos() as f64 * share) as u64;
                answer.wait = Span::from_nanos(answer.wait.nanos().saturating_add(longer));
            }
        }
        answer
    }

    /// A hundred streams (what servers allow at once), one after the other in few segments.
    fn streams(&mut self, talk: &mut Dialogue) {
        talk.handshake().client_sends(HTTP2_PREFACE, 0);
        let broken_off = self.plan.talk.streams == Streams::BrokenOff;
        let (mut frames, mut answers) = (Vec::new(), Vec::new());
        for stream in (1..200_u32).step_by(2) {
            let id = stream.to_be_bytes();
            // GET / by the static table of RFC 7541, in a HEADERS frame that ends the stream; CANCEL.
            frames.extend_from_slice(&[&[0, 0, 3, 1, 5][..], &id, &[0x82, 0x84, 0x86]].concat());
            // 200, by the static table.
            answers.extend_from_slice(&[&[0, 0, 1, 1, 4][..], &id, &[0x88]].concat());
            if broken_off {
                frames.extend_from_slice(&[&[0, 0, 4, 3, 0][..], &id, &[0, 0, 0, 8]].concat());
            }
        }
        talk.client_sends(&frames, 0);
        if !broken_off {
            // DATA of the first.
            answers.extend_from_slice(&[0, 0x20, 0, 0, 0, 0, 0, 0, 1]);
            talk.server_sends(self.plan.talk.wait, &answers, 8_192);
        }
        self.close(talk);
    }

    fn encrypted(&mut self, talk: &mut Dialogue) {
        let plan = &self.plan.talk;
        let server_name = plan.host.as_deref().unwrap_or(&self.plan.target.service);
        let hello = ClientHello { hello: plan.hello, server_name }.record(&mut self.rng);
        // A certificate chain of two: 2 to 4 KiB.
        let flight = self.rng.between(2_000, 4_000) as usize;
        talk.fill_with(Filling::Noise).handshake().client_sends(&hello, 0);
        let server_flight = server_hello(&mut self.rng, flight);
        talk.server_sends(Span::from_millis(1), &server_flight, flight);
        let finished = 53;
        talk.client_sends(&[&CHANGE_CIPHER_SPEC[..], &data_header(finished)].concat(), finished);
        match plan.sealed {
            Sealed::Asks => self.ask_in_secret(talk),
            Sealed::Leaves => {}
            Sealed::BeginsAnew(times) => self.renegotiate(talk, times),
            Sealed::Hurries(records) => hurry(talk, records),
        }
        self.close(talk);
    }

    fn ask_in_secret(&mut self, talk: &mut Dialogue) {
        let plan = &self.plan.talk;
        for exchange in 0..plan.per_connection {
            if exchange > 0 {
                talk.pause(self.rng.exponential(plan.think));
            }
            let asked = self.rng.between(250, 500) as usize;
            talk.client_sends(&data_header(asked), asked);
            let wait = about(plan.wait, &mut self.rng);
            let (low, high) = (u64::from(plan.body.0), u64::from(plan.body.1));
            let answered = (self.rng.between(low, high) as usize).min(MAX_RECORD);
            talk.server_sends(wait, &data_header(answered), answered);
        }
    }

    /// As TLS 1.2 does it: each side speaks twice, the client's key and the end of the handshake last.
    fn renegotiate(&mut self, talk: &mut Dialogue, times: u32) {
        for _ in 0..times {
            for (asked, answered) in [(220, 2_600), (130, 240)] {
                talk.client_sends(&handshake_header(asked), asked);
                talk.server_sends(
                    about(Span::from_millis(2), &mut self.rng),
                    &handshake_header(answered),
                    answered,
                );
            }
        }
    }

    fn half_open(&self, talk: &mut Dialogue) {
        let retries = self.plan.opening.retries;
        match self.plan.opening.half_open {
            HalfOpen::Unacknowledged => talk.unacknowledged_syn(retries),
            HalfOpen::Unanswered => talk.unanswered_syn(retries),
            HalfOpen::Refused => talk.refused_syn(retries),
        };
    }

    fn datagram(&mut self, talk: &mut Dialogue) {
        talk.datagram(Direction::ToServer, self.plan.datagram.length);
        if let Some(length) = self.plan.datagram.answer {
            talk.pause(about(self.plan.talk.wait, &mut self.rng)).datagram(Direction::ToClient, length);
        }
    }

    fn initial(&mut self, talk: &mut Dialogue) {
        talk.initial(Direction::ToServer);
        if self.plan.opening.half_open == HalfOpen::Unacknowledged {
            talk.pause(about(self.plan.talk.wait, &mut self.rng)).initial(Direction::ToClient);
        }
    }

    fn ping(&self, talk: &mut Dialogue, client: &Client) {
        let (id, sequence) = (client.character as u16, client.visits as u16);
        talk.echo(Direction::ToServer, (id, sequence), self.plan.datagram.length);
        if let Some(length) = self.plan.datagram.answer {
            talk.pause(Span::from_micros(80)).echo(Direction::ToClient, (id, sequence), length);
        }
    }

    fn close(&self, talk: &mut Dialogue) {
        match self.plan.talk.close {
            Close::ByClient => talk.closed_by_client(),
            Close::ByServer => talk.closed_by_server(),
            Close::ResetByClient => talk.reset_by_client(),
            Close::ResetByServer => talk.reset_by_server(),
            Close::LeftOpen => talk,
        };
    }
}

/// The lines that a dripping head is made of after its first, and the time between them: slow tools send one in five to
/// fifteen seconds.
const DRIPS: usize = 5;
const BETWEEN_DRIPS: Span = Span::from_secs(6);

/// A head that is never whole.
fn drip(talk: &mut Dialogue) {
    talk.handshake().client_sends(b"GET / HTTP/1.1\r\nHost: a\r\n", 0);
    for _ in 0..DRIPS {
        talk.pause(BETWEEN_DRIPS).client_sends(b"X-a: b\r\n", 0);
    }
}

/// The client's preface (RFC 9113, section 3.4) and an empty SETTINGS frame.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What the service is about to say.
#[derive(Debug, Clone, Copy)]
struct Answer {
    status: u16,
    wait: Span,
    body_len: usize,
}

/// Requests that are begun and called back, in a record of their own each: nothing answers them.
fn hurry(talk: &mut Dialogue, records: u32) {
    for _ in 0..records {
        talk.client_sends(&data_header(HURRIED), HURRIED).pause(Span::from_millis(1));
    }
}

/// A head whose fields are known already, and its end.
const HURRIED: usize = 60;

/// Half of the mean always, the other half exponentially distributed: servers have a floor and a tail.
fn about(mean: Span, rng: &mut Rng) -> Span {
    let half = Span::from_nanos(mean.nanos() / 2);
    Span::from_nanos(half.nanos().saturating_add(rng.exponential(half).nanos()))
}
