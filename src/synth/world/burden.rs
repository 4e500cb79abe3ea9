//! What is said on connections that is no request: heads that never end, streams that are cancelled, settings. Workers
//! are held or kept busy by it.

use std::sync::Arc;

use super::super::frame::{ACK, PSH};
use super::super::tls::data_header;
use super::conn::{Filling, State};
use super::engine::{ConnId, Event, World};
use super::exchange::{ACK_WAIT, SEAL};
use super::packet::Content;
use super::server::{Busy, Job, Server};
use super::tcp::{Stream, TURN};
use crate::service::Direction;
use crate::time::Span;

impl World {
    /// A request begins that will not end: it takes a worker, where there is one.
    pub(super) fn hold(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        let service = conn.service;
        let Some(server) = self.servers.get_mut(service) else { return };
        let (timeout, life) = (server.size.read_timeout, server.life);
        if server.hold()
            && let Some(conn) = self.conn(id)
        {
            (conn.worker, conn.life) = (Some(Busy::Held), life);
        }
        self.at(self.now + timeout, Event::ReadTimeout(id));
    }

    pub(super) fn on_read_timeout(&mut self, id: ConnId) {
        self.let_go(id);
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        let service = conn.service;
        if !self.servers.get(service).is_some_and(Server::is_silent) {
            self.dismiss(id);
        }
        self.forget_if_over(id);
    }

    /// The worker that a request held is free.
    pub(super) fn let_go(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id).filter(|conn| conn.worker == Some(Busy::Held)) else { return };
        conn.worker = None;
        let (service, life) = (conn.service, conn.life);
        if let Some(server) = self.servers.get_mut(service).filter(|server| server.life == life) {
            server.release(Busy::Held);
        }
        self.serve_waiting(service);
    }

    /// The client says something that is no whole request.
    pub(super) fn mumble(&mut self, id: ConnId, text: Vec<u8>, filler: u16) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        let content = match conn.filling {
            Filling::Clear => Content { filler, ..Content::text(text.into()) },
            Filling::Sealed => {
                let length = text.len() + usize::from(filler) + SEAL;
                Content { filler: length as u16, ..Content::text(data_header(length).to_vec().into()) }
            }
        };
        let length = content.len();
        self.say(id, now, (Direction::ToServer, PSH | ACK), content);
        self.bump(id, Direction::ToServer, length);
        self.send(id, now + ACK_WAIT, Direction::ToClient, ACK);
    }

    /// The name of the site that a group visits.
    pub(super) fn host_name(&self, group: u16) -> &'static str {
        let service = self.plan.groups.get(usize::from(group)).map_or(0, |group| group.service);
        self.plan.services.get(service).map_or("", |plan| plan.site.host)
    }

    /// Counts an attempt that is no whole request.
    pub(super) fn count_attempt(&mut self, id: ConnId) {
        let elapsed = self.elapsed();
        let Some(conn) = self.conn(id) else { return };
        let (service, group, net) = (conn.service, conn.group, conn.client.net);
        self.counts.add(service, usize::from(group), net, elapsed);
    }

    /// The server says something on its own.
    pub(super) fn hear_out(&mut self, id: ConnId, text: &[u8]) {
        let sealed = self.conn(id).is_some_and(|conn| conn.filling == Filling::Sealed);
        let (head, filler) = if sealed {
            (data_header(text.len() + SEAL).to_vec(), text.len() + SEAL)
        } else {
            (text.to_vec(), 0)
        };
        let start = self.now + TURN;
        self.download(id, &Stream { start, head: head.into(), filler });
    }

    /// The client says several things at once, each in a record of its own where it speaks TLS; a worker is busy with
    /// them for a while.
    pub(super) fn chatter(&mut self, id: ConnId, messages: &[Vec<u8>]) {
        let now = self.now;
        let Some(conn) = self.conn(id).filter(|conn| conn.state != State::Closed) else { return };
        conn.state = State::Asked;
        let (sealed, idle, service) = (conn.filling == Filling::Sealed, conn.worker.is_none(), conn.service);
        let mut text = Vec::with_capacity(messages.len() * 80);
        for message in messages {
            if sealed {
                text.extend(data_header(message.len() + SEAL));
                text.extend(message.iter().map(|byte| byte ^ 0xa5));
                text.resize(text.len() + SEAL, 0x3c);
            } else {
                text.extend(message);
            }
        }
        for _ in messages {
            self.count_attempt(id);
        }
        let text: Arc<[u8]> = text.into();
        let heard = self.upload_from(id, (now, &text), 0);
        self.send(id, heard + TURN, Direction::ToClient, ACK);
        let cost = Span::from_micros(STREAM_COST.nanos() / 1_000 * messages.len() as u64);
        let job = Job::costing(cost, id, now);
        if let (true, Some(server)) = (idle, self.servers.get_mut(service))
            && let Some((took, busy)) = server.begin_if_free(job, &mut self.rng)
        {
            self.begin(id, took, busy);
        }
    }
}

/// What a stream that is opened and cancelled costs on a processor.
const STREAM_COST: Span = Span::from_millis(3);
