//! The clockwork: a [`Plan`] comes in, its packets go out in order of time. Holds the events to come in a heap, the
//! connections and actors under way in slots that are used again; what is over is forgotten.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::super::SynthFrame;
use super::super::rng::{Rng, mix};
use super::actor::{Actor, Fate, Signal};
use super::conn::Conn;
use super::count::Counts;
use super::packet::Packet;
use super::plan::{Conduct, Plan};
use super::raw::Raw;
use super::server::{Busy, Server};
use crate::time::{Span, Timestamp};

/// A connection; an old one's number is never a new one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

/// An actor; an old one's number is never a new one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorId {
    slot: u32,
    generation: u32,
}

/// A world in motion.
#[derive(Debug)]
pub struct World {
    /// What is to happen.
    pub(super) plan: Plan,
    /// Chance.
    pub(super) rng: Rng,
    /// The moment that is dealt with.
    pub(super) now: Timestamp,
    /// The services' servers.
    pub(super) servers: Vec<Server>,
    /// What was seen.
    pub(super) counts: Counts,
    raws: Vec<Raw>,
    due: BinaryHeap<Reverse<Due>>,
    serial: u64,
    /// Connections opened.
    pub(super) opened: u64,
    conns: Slots<Conn>,
    actors: Slots<Actor>,
}

/// What happens next somewhere.
#[derive(Debug)]
struct Due {
    time: Timestamp,
    /// Decides between equal times.
    serial: u64,
    event: Event,
}

/// What can happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A packet of a connection passes the mirror.
    Packet(Packet),
    /// A packet of none does.
    Frame(Box<SynthFrame>),
    /// Somebody of a group comes.
    Arrival(u16),
    /// An actor wanted to be woken, and why.
    Wake(ActorId, u32),
    /// A SYN arrives; how many went before it.
    Syn(ConnId, u8),
    /// The handshake's third packet arrives.
    Established(ConnId),
    /// The client may speak.
    Open(ConnId),
    /// A request is complete.
    Request(ConnId),
    /// The client sends its request again; how often it did.
    Again(ConnId, u8),
    /// Time for an acknowledgement if no answer was sent.
    Acknowledge(ConnId, u32),
    /// A worker is done.
    Done(ConnId, Busy),
    /// The client has the whole answer with this status.
    Delivered(ConnId, u16),
    /// The client learns that it failed.
    Failed(ConnId),
    /// The server closes the connection if nothing was asked since then.
    Idle(ConnId, u32),
    /// The server gives up a request that does not end.
    ReadTimeout(ConnId),
    /// A fault of the plan begins.
    Break(usize),
    /// A fault of the plan ends.
    Repair(usize),
    /// A generator's next packet.
    Raw(u16),
}

impl World {
    /// The world at its begin.
    pub fn new(plan: Plan) -> Self {
        let servers = plan.services.iter().map(|service| Server::new(service.size)).collect();
        let counts = Counts::of(&plan);
        let raws = plan.raws.clone();
        let mut world = Self {
            rng: Rng::new(mix(plan.seed, 0x3017)),
            now: plan.start,
            servers,
            counts,
            raws,
            due: BinaryHeap::new(),
            serial: 0,
            opened: 0,
            conns: Slots::default(),
            actors: Slots::default(),
            plan,
        };
        world.schedule_plan();
        world
    }

    fn schedule_plan(&mut self) {
        let start = self.plan.start;
        let groups: Vec<(usize, Span, u32)> = self
            .plan
            .groups
            .iter()
            .enumerate()
            .map(|(place, group)| (place, group.begin, group.crew))
            .collect();
        for (place, begin, crew) in groups {
            for _ in 0..crew.max(1) {
                self.at(start + begin, Event::Arrival(place as u16));
            }
        }
        let faults: Vec<(Span, Span)> =
            self.plan.faults.iter().map(|fault| (fault.begin, fault.end)).collect();
        for (place, (begin, end)) in faults.into_iter().enumerate() {
            self.at(start + begin, Event::Break(place));
            self.at(start + end, Event::Repair(place));
        }
        for place in 0..self.raws.len() {
            let begin = self.raws.get(place).map_or(Span::default(), Raw::begin);
            self.at(start + begin, Event::Raw(place as u16));
        }
    }

    /// The next packet that the mirror shows; `None` at the end.
    pub fn next_frame(&mut self) -> Option<SynthFrame> {
        let (begin, end) = (self.plan.start + self.plan.lead, self.plan.start + self.plan.length);
        while let Some(Reverse(due)) = self.due.pop() {
            if due.time >= end {
                return None;
            }
            self.now = due.time;
            let frame = match due.event {
                Event::Packet(packet) => self.pass(&packet, due.serial),
                Event::Frame(frame) => Some(*frame),
                event => {
                    self.happen(event);
                    None
                }
            };
            let mirror = &self.plan.mirror;
            let shown = |frame: &SynthFrame| frame.time >= begin && mirror.shows(frame, self.plan.start);
            if let Some(frame) = frame.filter(shown) {
                self.counts.packets += 1;
                return Some(frame);
            }
        }
        None
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet(_) | Event::Frame(_) => {}
            Event::Arrival(group) => self.arrive(group),
            Event::Wake(actor, tag) => self.signal(actor, Signal::Wake(tag)),
            Event::Syn(conn, tries) => self.on_syn(conn, tries),
            Event::Established(conn) => self.on_established(conn),
            Event::Open(conn) => self.on_open(conn),
            Event::Request(conn) => self.on_request(conn),
            Event::Again(conn, times) => self.on_again(conn, times),
            Event::Acknowledge(conn, asks) => self.on_acknowledge(conn, asks),
            Event::Done(conn, busy) => self.on_done(conn, busy),
            Event::Delivered(conn, status) => self.on_delivered(conn, status),
            Event::Failed(conn) => self.on_failed(conn),
            Event::Idle(conn, asks) => self.on_idle(conn, asks),
            Event::ReadTimeout(conn) => self.on_read_timeout(conn),
            Event::Break(place) => self.on_break(place),
            Event::Repair(place) => self.on_repair(place),
            Event::Raw(place) => self.on_raw(place),
        }
    }

    /// Has something happen.
    pub(super) fn at(&mut self, time: Timestamp, event: Event) {
        self.serial += 1;
        self.due.push(Reverse(Due { time, serial: self.serial, event }));
    }

    /// The number that the last event got: packets with lower ones were planned before.
    pub(super) const fn planned(&self) -> u64 {
        self.serial
    }

    /// How far the story is.
    pub(super) fn elapsed(&self) -> Span {
        self.now.since(self.plan.start)
    }

    /// One of a group comes, and the next is awaited.
    fn arrive(&mut self, place: u16) {
        let elapsed = self.elapsed();
        let Some(group) = self.plan.groups.get(usize::from(place)) else { return };
        if let Conduct::Visit(_) = group.conduct {
            let rate = group.curve.at(elapsed);
            let over = elapsed >= group.curve.end();
            // Without memory: where nobody came within a look ahead, chance begins anew.
            let wait = match rate {
                0.0.. if rate > 1e-6 => self.rng.exponential(Span::from_nanos((1e9 / rate) as u64)),
                _ => LOOK_AHEAD.max(Span::from_nanos(1)),
            };
            if !over {
                let next = wait.min(LOOK_AHEAD);
                self.at(self.now + next, Event::Arrival(place));
                if wait > LOOK_AHEAD || rate <= 1e-6 {
                    return;
                }
            } else {
                return;
            }
        }
        let Some(actor) = Actor::of(self, place) else { return };
        let id = self.actors.put(actor);
        let id = ActorId { slot: id.0, generation: id.1 };
        self.signal(id, Signal::Wake(0));
    }

    /// Tells an actor something; actors that left hear nothing.
    pub(super) fn signal(&mut self, id: ActorId, signal: Signal) {
        let Some(mut actor) = self.actors.take(id.slot, id.generation) else { return };
        match actor.hear(self, id, signal) {
            Fate::Stays => self.actors.put_back(id.slot, actor),
            Fate::Leaves => self.actors.free(id.slot),
        }
    }

    /// Adds a connection.
    pub(super) fn add(&mut self, conn: Conn) -> ConnId {
        let (slot, generation) = self.conns.put(conn);
        ConnId { slot, generation }
    }

    /// Connections under way.
    pub(super) const fn connections(&self) -> usize {
        self.conns.slots.len() - self.conns.free.len()
    }

    /// A connection, while anything of it is to come.
    pub(super) fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get(id.slot, id.generation)
    }

    /// Plans a packet of a connection.
    pub(super) fn plan_packet(&mut self, time: Timestamp, packet: Packet) {
        if let Some(conn) = self.conn(packet.conn) {
            conn.coming += 1;
        }
        self.at(time, Event::Packet(packet));
    }

    /// A planned packet passes, unless its connection was cut before.
    fn pass(&mut self, packet: &Packet, serial: u64) -> Option<SynthFrame> {
        let (now, id) = (self.now, packet.conn);
        let conn = self.conn(id)?;
        conn.coming -= 1;
        let frame = (serial > conn.cut).then(|| conn.frame(packet, now));
        self.forget_if_over(id);
        frame
    }

    /// Gives a connection's slot back when it is closed and nothing of it is to come.
    pub(super) fn forget_if_over(&mut self, id: ConnId) {
        if self.conn(id).is_some_and(|conn| conn.is_over()) {
            self.conns.free(id.slot);
        }
    }

    fn on_break(&mut self, place: usize) {
        let Some(plan) = self.plan.faults.get(place) else { return };
        if let Some(server) = self.servers.get_mut(plan.service) {
            server.break_with(plan.fault);
        }
    }

    fn on_repair(&mut self, place: usize) {
        let Some(plan) = self.plan.faults.get(place) else { return };
        let service = plan.service;
        if let Some(server) = self.servers.get_mut(service) {
            server.repair(plan.fault);
        }
        self.serve_waiting(service);
    }

    fn on_raw(&mut self, place: u16) {
        let (now, start) = (self.now, self.plan.start);
        let Some(raw) = self.raws.get_mut(usize::from(place)) else { return };
        let Some(step) = raw.step(now, start) else { return };
        let (service, group) = (raw.service(), raw.group());
        if let Some(source) = step.attempt {
            self.counts.add(service, group, source, now.since(start));
        }
        for frame in step.frames {
            self.at(frame.time, Event::Frame(Box::new(frame)));
        }
        self.at(step.next, Event::Raw(place));
    }
}

/// A group's next arrival is thought about again after that time.
const LOOK_AHEAD: Span = Span::from_millis(500);

/// Slots that are used again, with the number of times they were.
#[derive(Debug)]
struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn put(&mut self, value: T) -> (u32, u32) {
        if let Some(slot) = self.free.pop()
            && let Some((generation, content)) = self.slots.get_mut(slot as usize)
        {
            *content = Some(value);
            return (slot, *generation);
        }
        self.slots.push((0, Some(value)));
        (self.slots.len() as u32 - 1, 0)
    }

    fn get(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let (current, content) = self.slots.get_mut(slot as usize)?;
        if *current == generation { content.as_mut() } else { None }
    }

    fn take(&mut self, slot: u32, generation: u32) -> Option<T> {
        let (current, content) = self.slots.get_mut(slot as usize)?;
        if *current == generation { content.take() } else { None }
    }

    fn put_back(&mut self, slot: u32, value: T) {
        if let Some((_, content)) = self.slots.get_mut(slot as usize) {
            *content = Some(value);
        }
    }

    fn free(&mut self, slot: u32) {
        if let Some((generation, content)) = self.slots.get_mut(slot as usize) {
            (*generation, *content) = (generation.wrapping_add(1), None);
            self.free.push(slot);
        }
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.serial).cmp(&(other.time, other.serial))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}
