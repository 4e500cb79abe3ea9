//! Programs that ask on and on: crawlers, flood tools, scanners, guessers of passwords. They differ in pace, in
//! connections, in what they ask for and in what errors do to them.

use super::actor::{Fate, Signal};
use super::conn::State;
use super::curve::plus;
use super::engine::{ActorId, ConnId, Event, World};
use super::people::Client;
use super::plan::{Press, Script, Temper};
use super::site::Ask;
use crate::time::{Span, Timestamp};

/// One such program.
#[derive(Debug)]
pub struct Presser {
    group: u16,
    client: Client,
    style: Press,
    lanes: Vec<Lane>,
    asked: u64,
    quiet_until: Timestamp,
}

/// One of its connections.
#[derive(Debug, Clone, Copy)]
struct Lane {
    conn: ConnId,
    left: u32,
    since: Timestamp,
}

/// A group that is at rest for the moment looks again after that time.
const REST: Span = Span::from_millis(200);
/// How long a polite program pauses after an error.
const PAUSE: Span = Span::from_secs(20);

impl Presser {
    /// A program about to begin.
    pub fn new(group: u16, client: Client, style: Press) -> Self {
        Self { group, client, style, lanes: Vec::new(), asked: 0, quiet_until: Timestamp::default() }
    }

    /// Hears of something and acts.
    pub fn hear(&mut self, world: &mut World, me: ActorId, signal: Signal) -> Fate {
        match signal {
            // Not all begin at once.
            Signal::Wake(0) => {
                let spread =
                    world.rng.span_between(Span::default(), self.style.period.min(Span::from_secs(60)));
                world.at(world.now + spread, Event::Wake(me, 1));
                Fate::Stays
            }
            Signal::Wake(_) => self.beat(world, me),
            Signal::Opened(conn) => {
                self.ask(world, conn);
                Fate::Stays
            }
            Signal::Answered(conn, status) => {
                if status >= 500 && self.style.temper == Temper::Polite {
                    self.quiet_until = world.now + PAUSE;
                }
                if let Some(place) = self.lanes.iter().position(|lane| lane.conn == conn && lane.left == 0) {
                    self.lanes.swap_remove(place);
                    world.hang_up(conn);
                }
                Fate::Stays
            }
            Signal::Failed(conn) => {
                self.lanes.retain(|lane| lane.conn != conn);
                Fate::Stays
            }
        }
    }

    fn beat(&mut self, world: &mut World, me: ActorId) -> Fate {
        let Some(group) = world.plan.groups.get(usize::from(self.group)) else { return Fate::Leaves };
        let (intensity, elapsed) = (group.curve.at(world.elapsed()), world.elapsed());
        if elapsed >= group.curve.end() {
            for lane in &self.lanes {
                world.hang_up(lane.conn);
            }
            return Fate::Leaves;
        }
        if intensity <= 1e-3 || world.now < self.quiet_until {
            let jitter = world.rng.span_between(REST, plus(REST, REST_JITTER));
            world.at(world.now + jitter, Event::Wake(me, 1));
            return Fate::Stays;
        }
        let period = Span::from_nanos((self.style.period.nanos() as f64 / intensity) as u64);
        let wait = world.rng.span_between(
            Span::from_nanos(period.nanos() / 2),
            Span::from_nanos(period.nanos() / 2 + period.nanos()),
        );
        // A slow start must not hold the whole of a long wait: the flood would lag behind its own curve.
        let most = LONGEST_WAIT.min(plus(self.style.period, self.style.period));
        world.at(world.now + wait.min(most), Event::Wake(me, 1));
        if wait <= most || world.rng.unit() < most.as_secs_f64() / wait.as_secs_f64() {
            self.press(world, me);
        }
        Fate::Stays
    }

    /// Asks once, on a connection that is free or a new one.
    fn press(&mut self, world: &mut World, me: ActorId) {
        self.drop_hopeless(world);
        let free = self
            .lanes
            .iter()
            .map(|lane| lane.conn)
            .find(|conn| world.conn(*conn).is_some_and(|conn| conn.state == State::Ready));
        if let Some(conn) = free {
            return self.ask(world, conn);
        }
        if self.lanes.len() < usize::from(self.style.lanes)
            && let Some(conn) = world.connect(me, self.group, self.client)
        {
            let left = self.style.per_connection.max(1);
            self.lanes.push(Lane { conn, left, since: world.now });
        }
    }

    fn drop_hopeless(&mut self, world: &mut World) {
        let (now, timeout) = (world.now, self.style.timeout);
        let is_hopeless = |world: &mut World, lane: &Lane| {
            now.since(lane.since) > timeout
                && world.conn(lane.conn).is_none_or(|conn| conn.state != State::Ready)
        };
        let mut kept = Vec::with_capacity(self.lanes.len());
        for lane in std::mem::take(&mut self.lanes) {
            if is_hopeless(world, &lane) {
                world.abandon(lane.conn);
            } else {
                kept.push(lane);
            }
        }
        self.lanes = kept;
    }

    fn ask(&mut self, world: &mut World, conn: ConnId) {
        let Some(ask) = self.choose(world) else { return };
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.conn == conn && lane.left > 0) {
            (lane.left, lane.since) = (lane.left - 1, world.now);
            self.asked += 1;
            world.ask(conn, ask);
        }
    }

    fn choose(&self, world: &mut World) -> Option<Ask> {
        let group = world.plan.groups.get(usize::from(self.group))?;
        let seed = group.pool.seed;
        let site = world.plan.services.get(group.service)?.site;
        let rng = &mut world.rng;
        Some(match self.style.script {
            Script::Page(page) => site.page_at(page, rng),
            Script::Pages => site.page(rng),
            // Each of several scanners begins elsewhere in the list.
            Script::Probes => {
                let offset =
                    if self.style.period > Span::from_secs(5) { seed ^ self.client_number() } else { 0 };
                site.probe((self.asked + offset % 1_700) % 1_752, rng)
            }
            Script::Logins(success) => site.login(success, rng),
        })
    }

    /// Tells one program of a group from another.
    fn client_number(&self) -> u64 {
        match self.client.ip {
            std::net::IpAddr::V4(ip) => u64::from(ip.to_bits()),
            std::net::IpAddr::V6(ip) => ip.to_bits() as u64,
        }
    }
}

/// Programs at rest do not look again in step.
const REST_JITTER: Span = Span::from_millis(100);
/// A wait is cut into parts of that length, in which chance decides.
const LONGEST_WAIT: Span = Span::from_secs(10);
