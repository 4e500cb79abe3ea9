//! Everything a story consists of before it happens: services, groups of clients, faults, floods, and what will be true
//! of it. Scenarios write it, the engine plays it. Does nothing by itself.

use std::net::IpAddr;

use super::super::SynthFrame;
use super::super::rng::mix;
use super::curve::Curve;
use super::people::Pool;
use super::raw::Raw;
use super::server::{Fault, Size};
use super::site::Site;
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// A story to be played.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its scenario.
    pub name: &'static str,
    /// Its seed.
    pub seed: u64,
    /// When the world begins to move.
    pub start: Timestamp,
    /// How long it moves before the mirror shows anything: visits are under way by then.
    pub lead: Span,
    /// How long it is, the lead included, as all moments of a plan.
    pub length: Span,
    /// How long nothing special happens.
    pub warmup: Span,
    /// Who is visited.
    pub services: Vec<ServicePlan>,
    /// Who comes.
    pub groups: Vec<GroupPlan>,
    /// What breaks.
    pub faults: Vec<FaultPlan>,
    /// Packets of no connection.
    pub raws: Vec<Raw>,
    /// Known neighbours: name, role, prefixes.
    pub labels: Vec<(&'static str, &'static str, Vec<String>)>,
    /// Planned work and expected crowds: name, kind, begin, end.
    pub calendar: Vec<(&'static str, &'static str, Span, Span)>,
    /// What is true.
    pub episodes: Vec<EpisodePlan>,
    /// What the mirror shows.
    pub mirror: Mirror,
}

/// A protected service.
#[derive(Debug, Clone)]
pub struct ServicePlan {
    /// Its name.
    pub name: String,
    /// Its addresses, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub sealed: bool,
    /// What it offers.
    pub site: Site,
    /// What it can bear.
    pub size: Size,
}

/// Clients that behave alike.
#[derive(Debug, Clone)]
pub struct GroupPlan {
    /// Whom they visit.
    pub service: usize,
    /// Who they are.
    pub pool: Pool,
    /// What they do.
    pub conduct: Conduct,
    /// When the first comes.
    pub begin: Span,
    /// How many there are of those who stay; visitors come and go.
    pub crew: u32,
    /// Visits per second, or how busy each of those who stay is (1: as its conduct says).
    pub curve: Curve,
    /// How many came.
    pub arrived: u64,
    /// Whether they come every day.
    pub ordinary: bool,
}

/// What the clients of a group do.
#[derive(Debug, Clone, Copy)]
pub enum Conduct {
    /// People who look at pages.
    Visit(Visit),
    /// Programs that ask on and on.
    Press(Press),
    /// Programs that never finish a request.
    Slow(Slow),
    /// Programs that open HTTP/2 streams and cancel them.
    Rapid(Rapid),
    /// None: a generator makes its packets.
    Raw,
}

/// How people visit.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// Pages of a visit, on average.
    pub pages: f64,
    /// Files fetched with a page at most; later pages need fewer.
    pub assets: u8,
    /// Time between pages, on average.
    pub think: Span,
    /// How long they wait for a page, on average.
    pub patience: Span,
    /// How often they try a page again.
    pub reloads: u8,
    /// The page they come for, and how many of them.
    pub focus: Option<(usize, f64)>,
}

/// How programs ask.
#[derive(Debug, Clone, Copy)]
pub struct Press {
    /// Time between requests.
    pub period: Span,
    /// Requests on a connection.
    pub per_connection: u32,
    /// Connections at once.
    pub lanes: u8,
    /// How long they wait for an answer.
    pub timeout: Span,
    /// What they ask for.
    pub script: Script,
    /// What errors do to them.
    pub temper: Temper,
}

/// What programs ask for.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    /// One page.
    Page(usize),
    /// Whatever people read, without the files.
    Pages,
    /// What may be there by mistake.
    Probes,
    /// A login, with the part of attempts that succeed.
    Logins(f64),
}

/// What errors do to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Nothing.
    Stubborn,
    /// It pauses.
    Polite,
}

/// How programs never finish.
#[derive(Debug, Clone, Copy)]
pub struct Slow {
    /// Time between two bits of a request.
    pub interval: Span,
    /// What never ends.
    pub part: SlowPart,
}

/// The part of a request that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowPart {
    /// Its head.
    Head,
    /// Its body.
    Body,
}

/// How programs cancel streams.
#[derive(Debug, Clone, Copy)]
pub struct Rapid {
    /// Time between two bursts.
    pub period: Span,
    /// Streams in a burst.
    pub burst: u32,
}

/// A fault and its time.
#[derive(Debug, Clone, Copy)]
pub struct FaultPlan {
    /// Whose it is.
    pub service: usize,
    /// What breaks.
    pub fault: Fault,
    /// When.
    pub begin: Span,
    /// Until when.
    pub end: Span,
}

/// A label and a kind of the contract; the kind is empty where there is none.
pub type Name = (&'static str, &'static str);

/// What is true of a time at a service.
#[derive(Debug, Clone)]
pub struct EpisodePlan {
    /// The service.
    pub service: usize,
    /// What it is.
    pub name: Name,
    /// When it begins.
    pub begin: Span,
    /// When it ends.
    pub end: Span,
    /// What else is right.
    pub also: Vec<Name>,
    /// What it consists of.
    pub causes: Vec<Cause>,
    /// Whether `unknown` is the right answer, or a right one.
    pub unknown_is_right: bool,
    /// Whether no alert at all is right too: nobody is harmed.
    pub silence_is_right: bool,
    /// Time to detect and to decide, in seconds.
    pub within: (u64, u64),
    /// What happens, for people.
    pub note: String,
}

/// One cause of an episode.
#[derive(Debug, Clone)]
pub struct Cause {
    /// What it is.
    pub name: Name,
    /// The groups that make it up; none where it is no traffic.
    pub groups: Vec<usize>,
    /// Whether its networks are origins to be named.
    pub origins: Origins,
}

/// Whether the networks of a cause are to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// They are.
    Named,
    /// They are too scattered, forged, or nobody's fault.
    Nameless,
}

/// What the mirror shows from a moment on; all before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mirror {
    /// The moment and what is shown then.
    pub fault: Option<(Span, Sight)>,
}

/// What a broken mirror shows.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// The one direction, or both.
    pub side: Option<Direction>,
    /// The part of packets that is not shown.
    pub lost: f64,
}

impl Mirror {
    /// Whether a frame is shown.
    pub fn shows(&self, frame: &SynthFrame, start: Timestamp) -> bool {
        let Some((from, sight)) = self.fault.filter(|(from, _)| frame.time >= start + *from) else {
            return true;
        };
        let direction = match frame.bytes.get(5) {
            // The receiver's hardware address ends in 2 on the service's side.
            Some(2) => Direction::ToServer,
            _ => Direction::ToClient,
        };
        let chance = mix(from.nanos(), frame.time.nanos() as u64 ^ frame.bytes.len() as u64) >> 11;
        let lost = (chance as f64 / (1_u64 << 53) as f64) < sight.lost;
        sight.side.is_none_or(|side| side == direction) && !lost
    }
}
