//! What is said on connections: requests and answers in clear or as TLS records, and how the server takes them. Joins
//! `tcp.rs` and `server.rs`; actors hear the outcome.

use std::sync::Arc;

use super::super::frame::{ACK, PSH};
use super::super::http::{is_bodiless, response_head};
use super::super::tls::{data_header, server_hello};
use super::actor::Signal;
use super::conn::{Conn, Filling, State};
use super::engine::{ConnId, Event, World};
use super::packet::{Content, Packet, Window};
use super::server::{Busy, Job, Reception, Server};
use super::site::Ask;
use super::tcp::{Stream, TURN};
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// A request that has no answer after this time is acknowledged on its own.
pub(super) const ACK_WAIT: Span = Span::from_millis(40);
/// What encryption adds to a record's content: one byte of type and sixteen of authentication.
pub(super) const SEAL: usize = 17;
/// The length of a record's header.
const HEADER: usize = 5;
/// How often a client sends a request again that nobody acknowledged.
const AGAIN_TRIES: u8 = 7;

impl World {
    /// The client asks. Nothing happens where the connection is not ready for it.
    pub(super) fn ask(&mut self, id: ConnId, ask: Ask) {
        let host = self.host_of(id);
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Ready) else { return };
        let first = conn.client_seq;
        let (text, filler) = match conn.filling {
            Filling::Clear => (request_head(conn, &ask, host), ask.upload as usize),
            Filling::Sealed => {
                let length = request_head(conn, &ask, host).len() + ask.upload as usize + SEAL;
                (data_header(length).to_vec(), length)
            }
        };
        let text: Arc<[u8]> = text.into();
        conn.state = State::Asked;
        conn.asks += 1;
        conn.ask = Some(ask);
        conn.sent = (Some(Arc::clone(&text)), first);
        let whole = self.upload(id, &text, filler);
        self.at(whole, Event::Request(id));
    }

    fn host_of(&mut self, id: ConnId) -> &'static str {
        let service = self.conn(id).map_or(0, |conn| conn.service);
        self.plan.services.get(service).map_or("", |plan| plan.site.host)
    }

    /// A connection that speaks TLS begins with two hellos.
    pub(super) fn greet(&mut self, id: ConnId) {
        let host = self.host_of(id);
        let mut rng = self.rng.clone();
        let Some(conn) = self.conn(id) else { return };
        let (service, rtt) = (conn.service, conn.client.rtt);
        let hello: Arc<[u8]> = conn.client.look.hello().record(host, &mut rng).into();
        self.rng = rng;
        let (now, length) = (self.now + TURN, hello.len() as u32);
        self.say(id, now, (Direction::ToServer, PSH | ACK), Content::text(hello));
        self.bump(id, Direction::ToServer, length);
        if self.servers.get(service).is_some_and(|server| server.is_silent() || server.is_stuck()) {
            return;
        }
        let rest = self.rng.between(2_400, 4_200) as usize;
        let flight = server_hello(&mut self.rng, rest).into();
        let start = now + self.rng.span_between(Span::from_micros(300), Span::from_micros(1_500));
        let Some(heard) = self.download(id, &Stream { start, head: flight, filler: rest }) else { return };
        // ChangeCipherSpec and Finished, in a record of 53 bytes.
        let mut finished = vec![20, 3, 3, 0, 1, 1];
        finished.extend(data_header(53));
        let content = Content { filler: 53, ..Content::text(finished.into()) };
        let (length, heard) = (content.len(), heard.max(start + rtt));
        self.say(id, heard + TURN, (Direction::ToServer, PSH | ACK), content);
        self.bump(id, Direction::ToServer, length);
        self.at(heard + TURN + TURN, Event::Open(id));
    }

    pub(super) fn on_request(&mut self, id: ConnId) {
        let (now, elapsed) = (self.now, self.elapsed());
        let Some(conn) = self.conn(id) else { return };
        let (service, group, net) = (conn.service, conn.group, conn.client.net);
        if conn.state != State::Asked {
            return;
        }
        self.counts.add(service, usize::from(group), net, elapsed);
        self.receive(id);
        if let Some(asks) = self.conn(id).map(|conn| conn.asks) {
            self.at(now + ACK_WAIT, Event::Acknowledge(id, asks));
        }
    }

    /// The server takes a request, or does not.
    fn receive(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id) else { return };
        let (service, life) = (conn.service, conn.life);
        let Some(job) = conn.ask.as_ref().map(|ask| Job::of(ask, id, now)) else { return };
        let Some(server) = self.servers.get_mut(service) else { return };
        if server.life != life && !server.is_silent() {
            return self.reset(id);
        }
        match server.receive(job, &mut self.rng) {
            Reception::Begun(took, busy) => self.begin(id, took, busy),
            Reception::Queued => {}
            Reception::Rejected(status) => {
                let wait = self.rng.span_between(Span::from_millis(1), Span::from_millis(5));
                self.answer(id, status, wait);
            }
            Reception::Ignored => self.stall(id),
            Reception::Lost => self.at(now + Span::from_millis(250), Event::Again(id, 0)),
            Reception::Reset => self.reset(id),
        }
    }

    pub(super) fn begin(&mut self, id: ConnId, took: Span, busy: Busy) {
        if let Some(conn) = self.conn(id) {
            conn.worker = Some(busy);
        }
        self.at(self.now + took, Event::Done(id, busy));
    }

    /// The server's system acknowledges what its program does not read.
    fn stall(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id) else { return };
        let (seq, ack) = (conn.server_seq, conn.client_seq);
        let packet = Packet {
            conn: id,
            direction: Direction::ToClient,
            flags: ACK,
            seq,
            ack,
            content: Content::default(),
            window: Window::Zero,
        };
        self.plan_packet(now + TURN, packet);
    }

    pub(super) fn on_acknowledge(&mut self, id: ConnId, asks: u32) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Asked) else { return };
        let (service, same) = (conn.service, conn.asks == asks && conn.ask.is_some());
        if same && !self.servers.get(service).is_some_and(|server| server.is_silent() || server.is_stuck()) {
            self.send(id, now, Direction::ToClient, ACK);
        }
    }

    /// A request that nobody acknowledged comes again, later each time.
    pub(super) fn on_again(&mut self, id: ConnId, times: u8) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Asked) else { return };
        let (service, ack) = (conn.service, conn.server_seq);
        let (Some(text), seq) = conn.sent.clone() else { return };
        let filler = conn.client_seq.wrapping_sub(seq).saturating_sub(text.len() as u32);
        let room = conn.segment().saturating_sub(text.len());
        let content = Content { filler: (filler as usize).min(room) as u16, ..Content::text(text) };
        let (direction, flags) = (Direction::ToServer, PSH | ACK);
        self.plan_packet(now, Packet { conn: id, direction, flags, seq, ack, content, window: Window::Open });
        if !self.servers.get(service).is_some_and(Server::is_silent) {
            return self.receive(id);
        }
        if times < AGAIN_TRIES {
            self.at(now + Span::from_millis(500 << times), Event::Again(id, times + 1));
        }
    }

    pub(super) fn on_done(&mut self, id: ConnId, busy: Busy) {
        let Some(conn) = self.conn(id) else { return };
        conn.worker = None;
        let (service, life, asked) = (conn.service, conn.life, conn.state == State::Asked);
        let ask = conn.ask.clone();
        let Some(server) = self.servers.get_mut(service) else { return };
        if server.life == life {
            server.release(busy);
            if let (true, Some(ask)) = (asked, ask) {
                let status = server.outcome(&ask, &mut self.rng);
                self.answer(id, status, Span::from_micros(50));
            }
            self.serve_waiting(service);
        }
        self.forget_if_over(id);
    }

    /// Workers that are free take what waits.
    pub(super) fn serve_waiting(&mut self, service: usize) {
        while let Some(job) = self.servers.get_mut(service).and_then(Server::next_waiting) {
            let Some(life) =
                self.conn(job.conn).filter(|conn| conn.state == State::Asked).map(|conn| conn.life)
            else {
                continue;
            };
            let now = self.now;
            let Some(server) = self.servers.get_mut(service) else { return };
            if server.life != life {
                continue;
            }
            if now.since(job.since) > server.size.patience {
                self.answer(job.conn, 504, Span::from_millis(1));
                continue;
            }
            let (took, busy) = server.begin(job, &mut self.rng);
            self.begin(job.conn, took, busy);
        }
    }

    /// The server answers what was asked on a connection after `wait`.
    fn answer(&mut self, id: ConnId, status: u16, wait: Span) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Asked) else { return };
        let Some(ask) = conn.ask.take() else { return };
        let own = status == ask.status;
        let body = if own { ask.body as usize } else { ERROR_BODY };
        let body = if is_bodiless(status) || ask.method == "HEAD" { 0 } else { body };
        let sealed = conn.filling == Filling::Sealed;
        let room = conn.segment() - HEADER - SEAL;
        let head = response_head(status, body);
        let start = now + wait;
        let end = if sealed {
            self.download_sealed(id, start, (head.len() + body, room))
        } else {
            self.download(id, &Stream { start, head: head.into(), filler: body })
        };
        if let Some(end) = end {
            self.at(end, Event::Delivered(id, status));
        }
    }

    /// Plans `length` bytes as records of at most `room` bytes, each a segment.
    fn download_sealed(
        &mut self,
        id: ConnId,
        start: Timestamp,
        (length, room): (usize, usize),
    ) -> Option<Timestamp> {
        let mut stream = Vec::with_capacity(length + length / room * 24 + 64);
        let mut noise = self.rng.next();
        let mut left = length;
        while left > 0 {
            let part = left.min(room);
            stream.extend(data_header(part + SEAL));
            for _ in 0..(part + SEAL) {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                stream.push((noise >> 56) as u8);
            }
            left -= part;
        }
        self.download(id, &Stream { start, head: stream.into(), filler: 0 })
    }

    pub(super) fn on_delivered(&mut self, id: ConnId, status: u16) {
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Asked) else { return };
        conn.state = State::Ready;
        conn.sent = (None, 0);
        let actor = conn.actor;
        self.await_idle(id);
        self.signal(actor, Signal::Answered(id, status));
    }

    /// The server closes a connection on which nothing is asked for a while.
    pub(super) fn await_idle(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        let (asks, service) = (conn.asks, conn.service);
        let keep = self.servers.get(service).map_or(Span::from_secs(15), |server| server.size.keep_alive);
        self.at(self.now + keep, Event::Idle(id, asks));
    }

    pub(super) fn on_idle(&mut self, id: ConnId, asks: u32) {
        let Some(conn) = self.conn(id).filter(|conn| conn.state == State::Ready && conn.asks == asks) else {
            return;
        };
        let service = conn.service;
        let able = self.servers.get(service).is_some_and(|server| !server.is_silent() && !server.is_stuck());
        if able {
            self.dismiss(id);
        } else {
            // Nobody will ever tell the client.
            self.on_failed(id);
        }
    }
}

/// Bytes of an error page.
const ERROR_BODY: usize = 520;

/// A request's head as the client's program writes it.
fn request_head(conn: &Conn, ask: &Ask, host: &str) -> Vec<u8> {
    let look = conn.client.look;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\nUser-Agent: {}\r\n{}",
        ask.method,
        ask.path,
        look.agent(),
        look.headers()
    );
    if ask.upload > 0 {
        head.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        head.push_str(&format!("Content-Length: {}\r\n", ask.upload));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
