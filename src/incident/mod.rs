//! Findings become incidents: one per service and episode, with its origins, its load and what was sought.
//! Comes in: each tick's findings and the picture they were found in. Goes out: [`Incident`]s that opened, changed or
//! closed. Does not know how they are written down.

mod episode;
mod lifecycle;
mod onset;
mod origins;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::aggregate::Sides;
use crate::attribute::{Asn, Country, LabelId};
use crate::detect::Subject;
use crate::detect::rule::{Level, Observed};
use crate::flow::ServerEnd;
use crate::time::{TickId, Timestamp};

pub use lifecycle::{Incidents, Policy};

/// Why an incident is told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It begins.
    Open,
    /// Something that matters changed.
    Update,
    /// It is over.
    Close,
}

/// What is known of an incident at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The service.
    pub subject: Subject,
    /// The tick that opened it: with the service, its identity.
    pub opened: TickId,
    /// Why it is told.
    pub state: State,
    /// How many times it was told before.
    pub seq: u32,
    /// The severity as measured so far.
    pub severity: Level,
    /// The onset.
    pub started: Timestamp,
    /// The end of the tick that opened it.
    pub detected: Timestamp,
    /// The end of the tick that decided what is told here.
    pub decided: Timestamp,
    /// The end of its last active tick; `None` while it goes on.
    pub ended: Option<Timestamp>,
    /// Whether the input ended before the incident did.
    pub interrupted: bool,
    /// The rule that opened it.
    pub opening: Opening,
    /// The cause, as far as it is judged.
    pub verdict: Verdict,
    /// Access from abroad; `None` where no home is known.
    pub foreign: Option<Foreign>,
    /// Where the excess comes from; empty where no origin can be shown.
    pub origins: Vec<Origin>,
    /// What the origins asked for, most asked first.
    pub sought: Vec<Sought>,
    /// How much there is, against before.
    pub load: Load,
    /// How the service fares, as its other clients see it.
    pub health: Health,
    /// Every rule that held, with its latest observation.
    pub rules: Vec<RuleHit>,
    /// The service's end that most packets went to.
    pub end: Option<ServerEnd>,
    /// Which directions of the service's conversations the mirror shows.
    pub sides: Sides,
}

/// The rule that opened an incident, which stays its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The rule's id.
    pub id: String,
    /// The rule's number.
    pub sid: u32,
    /// The rule's revision.
    pub rev: u32,
    /// The rule's title.
    pub title: String,
    /// The rule's category.
    pub category: String,
}

/// The cause of an incident.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// What it is.
    pub label: Label,
    /// How sure that is, from 0 to 1.
    pub confidence: f64,
}

/// What an incident may turn out to be. Until causes are judged there is one answer, and it is no guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Not judged: there is not enough to go by.
    InsufficientData,
}

/// Access from abroad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foreign {
    /// Whether foreign origins hold at least the share of the excess that the rules set.
    pub concentrated: bool,
    /// The foreign part of all traffic.
    pub share: f64,
    /// The foreign part of all traffic before.
    pub baseline_share: f64,
}

/// What kind of origin a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A country.
    Country(Country),
    /// A network.
    Network(Asn),
    /// A prefix.
    Prefix(IpNet),
    /// An address.
    Source(IpAddr),
}

/// A row of origins.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// What it is.
    pub place: Place,
    /// Its country.
    pub country: Country,
    /// Its network, where there is one.
    pub asn: Option<Asn>,
    /// One of its addresses: the lowest.
    pub example: IpAddr,
    /// Whether it is abroad; `None` where no home is known.
    pub foreign: Option<bool>,
    /// Its part of the excess.
    pub share: f64,
    /// Its part of all traffic.
    pub traffic_share: f64,
    /// Its part of all traffic before.
    pub baseline_share: f64,
    /// Its rate per second, in the load's unit.
    pub rate: f64,
    /// Different addresses.
    pub sources: u64,
    /// Whether its clients completed handshakes that the mirror shows.
    pub proven: bool,
    /// The label it carries.
    pub label: Option<LabelId>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Sought {
    /// The method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// Its part of the requests of the origins' countries.
    pub share: f64,
}

/// The load of the service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// What it is counted in.
    pub unit: Unit,
    /// Per second, since the onset.
    pub rate: f64,
    /// Per second before; `None` where nothing is known of before.
    pub baseline: Option<f64>,
    /// Per second without the origins.
    pub without_origins: f64,
    /// Counted since the onset.
    pub total: u64,
}

/// What a load is counted in, per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Requests that could be read.
    Requests,
    /// Connections, or conversations whose requests cannot be read.
    Connections,
    /// Packets.
    Packets,
    /// Bytes of IP packets (told as bits).
    Bytes,
}

/// How the service fares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// In a word.
    pub state: Condition,
    /// The part of responses to clients outside the origins that say that the service failed; `None` where no
    /// response was seen.
    pub failure_ratio: Option<f64>,
}

/// The service's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// No response of the service was seen.
    Unknown,
    /// Fewer than one response in ten fails.
    Ok,
    /// At least one in ten fails.
    Degraded,
    /// At least one in two fails.
    Down,
}

/// A rule that held during the incident.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleHit {
    /// The rule's id.
    pub id: String,
    /// The rule's revision.
    pub rev: u32,
    /// What the rule looks at first: its name, the observation and the limit.
    pub limit: Option<Exceeded>,
    /// All that was observed.
    pub observed: Observed,
}

/// A limit and what went past it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exceeded {
    /// What is limited.
    pub metric: String,
    /// What was observed.
    pub observed: f64,
    /// The limit.
    pub limit: f64,
}
