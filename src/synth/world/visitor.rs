//! People: they open a page with what belongs to it, read, go on; they reload what does not come and give up in the end.

use super::super::rng::Rng;
use super::actor::{Fate, Signal};
use super::conn::State;
use super::engine::{ActorId, ConnId, Event, World};
use super::people::Client;
use super::plan::Visit;
use super::site::Ask;
use crate::time::Span;

/// One person on a visit.
#[derive(Debug)]
pub struct Visitor {
    group: u16,
    client: Client,
    style: Visit,
    pages_left: u32,
    reloads: u8,
    /// Counts pages, so that the deadline of one is not taken for another's.
    page: u32,
    stage: Stage,
    want: Option<Ask>,
    /// The connections, the one for pages first.
    lanes: [Option<ConnId>; 2],
    files_left: u8,
    first_page: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Reading.
    Idle,
    /// Waiting for the page.
    Page,
    /// Waiting for the files that belong to it.
    Files,
}

/// One in so many pages is a login.
const LOGIN_EVERY: u64 = 14;
/// The part of people's logins that succeed.
const LOGIN_SUCCESS: f64 = 0.88;
/// The part of people who try again what failed.
const TRIES_AGAIN: f64 = 0.75;
/// A page that failed is tried again after one to four seconds.
const RELOAD_PAUSE: (Span, Span) = (Span::from_secs(1), Span::from_secs(4));

impl Visitor {
    /// A person who begins a visit.
    pub fn new(group: u16, client: Client, style: Visit, rng: &mut Rng) -> Self {
        let mut pages_left = 1;
        // Geometric with the given mean.
        while rng.unit() < 1.0 - 1.0 / style.pages.max(1.0) && pages_left < 40 {
            pages_left += 1;
        }
        Self {
            group,
            client,
            style,
            pages_left,
            reloads: 0,
            page: 0,
            stage: Stage::Idle,
            want: None,
            lanes: [None; 2],
            files_left: 0,
            first_page: true,
        }
    }

    /// Hears of something and acts. Even tags begin a page, odd ones end the patience with one.
    pub fn hear(&mut self, world: &mut World, me: ActorId, signal: Signal) -> Fate {
        match signal {
            Signal::Wake(tag) if tag % 2 == 0 => self.open_page(world, me),
            Signal::Wake(tag) => self.lose_patience(world, me, tag / 2),
            Signal::Opened(conn) => self.use_lane(world, me, conn),
            Signal::Answered(conn, status) => self.answered(world, me, (conn, status)),
            Signal::Failed(conn) => self.lost_lane(world, me, conn),
        }
    }

    fn open_page(&mut self, world: &mut World, me: ActorId) -> Fate {
        if self.stage != Stage::Idle {
            return Fate::Stays;
        }
        self.page += 1;
        self.stage = Stage::Page;
        if self.want.is_none() {
            self.want = self.choose(world);
        }
        let patience = world.rng.span_between(
            Span::from_nanos(self.style.patience.nanos() / 2),
            Span::from_nanos(self.style.patience.nanos() * 3 / 2),
        );
        world.at(world.now + patience, Event::Wake(me, self.page * 2 + 1));
        let ready =
            self.lanes[0].filter(|lane| world.conn(*lane).is_some_and(|conn| conn.state == State::Ready));
        match (ready, self.want.clone()) {
            (Some(lane), Some(ask)) => world.ask(lane, ask),
            _ => self.lanes[0] = world.connect(me, self.group, self.client),
        }
        Fate::Stays
    }

    fn choose(&self, world: &mut World) -> Option<Ask> {
        let service = world.plan.groups.get(usize::from(self.group))?.service;
        let site = world.plan.services.get(service)?.site;
        if let Some((page, part)) = self.style.focus
            && world.rng.unit() < part
        {
            return Some(site.page_at(page, &mut world.rng));
        }
        if world.rng.below(LOGIN_EVERY) == 0 {
            return Some(site.login(LOGIN_SUCCESS, &mut world.rng));
        }
        Some(site.page(&mut world.rng))
    }

    fn use_lane(&mut self, world: &mut World, me: ActorId, conn: ConnId) -> Fate {
        match self.stage {
            Stage::Page if self.lanes[0] == Some(conn) => {
                if let Some(ask) = self.want.clone() {
                    world.ask(conn, ask);
                }
                Fate::Stays
            }
            Stage::Files => self.next_file(world, me, conn),
            _ => Fate::Stays,
        }
    }

    fn answered(&mut self, world: &mut World, me: ActorId, (conn, status): (ConnId, u16)) -> Fate {
        match self.stage {
            Stage::Page if self.lanes[0] == Some(conn) && status >= 500 => self.fail(world, me),
            Stage::Page if self.lanes[0] == Some(conn) => {
                (self.want, self.reloads, self.stage) = (None, 0, Stage::Files);
                let most = if self.first_page { self.style.assets } else { self.style.assets / 2 };
                self.first_page = false;
                self.files_left = world.rng.between(u64::from(most / 2), u64::from(most)) as u8;
                if self.files_left > 2 && self.lanes[1].is_none() && world.rng.below(2) == 0 {
                    self.lanes[1] = world.connect(me, self.group, self.client);
                }
                self.next_file(world, me, conn)
            }
            Stage::Files => self.next_file(world, me, conn),
            _ => Fate::Stays,
        }
    }

    fn next_file(&mut self, world: &mut World, me: ActorId, conn: ConnId) -> Fate {
        if self.files_left == 0 {
            let busy = self.lanes.iter().flatten().any(|lane| {
                *lane != conn && world.conn(*lane).is_some_and(|conn| conn.state == State::Asked)
            });
            return if busy { Fate::Stays } else { self.read(world, me) };
        }
        self.files_left -= 1;
        let service = world.plan.groups.get(usize::from(self.group)).map_or(0, |group| group.service);
        if let Some(site) = world.plan.services.get(service).map(|service| service.site) {
            let ask = site.asset(u64::from(self.files_left), &mut world.rng);
            world.ask(conn, ask);
        }
        Fate::Stays
    }

    /// The page is there: the next one after a while, or none.
    fn read(&mut self, world: &mut World, me: ActorId) -> Fate {
        self.stage = Stage::Idle;
        self.pages_left = self.pages_left.saturating_sub(1);
        if self.pages_left == 0 {
            return self.leave(world);
        }
        let think = world.rng.exponential(self.style.think);
        world.at(world.now + think, Event::Wake(me, (self.page + 1) * 2));
        Fate::Stays
    }

    fn lose_patience(&mut self, world: &mut World, me: ActorId, page: u32) -> Fate {
        match self.stage {
            Stage::Page if page == self.page => self.fail(world, me),
            Stage::Files if page == self.page => {
                self.drop_busy_lanes(world);
                self.read(world, me)
            }
            _ => Fate::Stays,
        }
    }

    /// The page did not come: reload, or give up.
    fn fail(&mut self, world: &mut World, me: ActorId) -> Fate {
        self.drop_busy_lanes(world);
        self.stage = Stage::Idle;
        if self.reloads >= self.style.reloads || world.rng.unit() > TRIES_AGAIN {
            return self.leave(world);
        }
        self.reloads += 1;
        let pause = world.rng.span_between(RELOAD_PAUSE.0, RELOAD_PAUSE.1);
        world.at(world.now + pause, Event::Wake(me, (self.page + 1) * 2));
        Fate::Stays
    }

    fn drop_busy_lanes(&mut self, world: &mut World) {
        for lane in &mut self.lanes {
            let Some(id) = *lane else { continue };
            let idle = world.conn(id).is_some_and(|conn| conn.state == State::Ready);
            if !idle {
                world.abandon(id);
                *lane = None;
            }
        }
    }

    fn lost_lane(&mut self, world: &mut World, me: ActorId, conn: ConnId) -> Fate {
        let Some(place) = self.lanes.iter().position(|lane| *lane == Some(conn)) else { return Fate::Stays };
        if let Some(lane) = self.lanes.get_mut(place) {
            *lane = None;
        }
        match (self.stage, place) {
            (Stage::Page, 0) => self.fail(world, me),
            (Stage::Files, _) if self.lanes.iter().all(Option::is_none) => self.read(world, me),
            _ => Fate::Stays,
        }
    }

    /// Half close their window; the others' connections are closed by the server when they are idle.
    fn leave(&mut self, world: &mut World) -> Fate {
        if world.rng.below(2) == 0 {
            for lane in self.lanes.iter().flatten() {
                world.hang_up(*lane);
            }
        }
        Fate::Leaves
    }
}
