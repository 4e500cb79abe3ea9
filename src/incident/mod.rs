//! Findings become incidents: one per service and episode, with its origins, its load and what was sought.
//! Comes in: each tick's findings and the picture they were found in. Goes out: [`Incident`]s that opened, changed or
//! closed. Does not know how they are written down.

mod account;
mod activity;
mod but_for;
mod clients;
mod cohort;
mod contrast;
mod episode;
mod excess;
mod facts;
mod health;
mod holders;
mod lifecycle;
mod named;
mod ongoing;
mod onset;
mod origins;
mod people;
mod program;
mod signs;
mod sought;
mod standing;
mod succession;
mod suspects;
#[cfg(test)]
mod tests;
mod timeline;
mod verdict;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::aggregate::Sides;
use crate::attribute::{Asn, Country, LabelId};
use crate::detect::Subject;
use crate::detect::rule::{Evidence, Level, Observed, Says};
use crate::flow::ServerEnd;
use crate::time::{TickId, Timestamp};

pub use but_for::ButFor;
pub use lifecycle::{Incidents, Policy};
pub use sought::{Aim, Sought};

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
    /// Labelled clients, which are never blamed.
    pub neighbours: Vec<Neighbour>,
    /// What the origins asked for, what sets it apart first.
    pub sought: Vec<Sought>,
    /// What is much more of the traffic than it was, what tells most first.
    pub contrast: Vec<Contrast>,
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// What it is.
    pub cause: Cause,
    /// How sure that is, from 0 to 1.
    pub confidence: f64,
    /// What it consists of, the largest part first; one that stands for all is listed too.
    pub parts: Vec<Part>,
    /// What speaks for it, the weightiest first.
    pub reasons: Vec<Reason>,
    /// What speaks against it, the weightiest first.
    pub doubts: Vec<Reason>,
    /// What would lead to another verdict if it were otherwise.
    pub flips: Vec<Flip>,
    /// What cannot be seen here.
    pub unseen: Vec<Unseen>,
}

/// What an incident turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Cause {
    /// Somebody means harm, as far as traffic shows intent.
    Attack(Attack),
    /// More people than usual want the same thing.
    FlashCrowd,
    /// Something is broken.
    Glitch(Glitch),
    /// Somebody looks for what there is.
    Scan(Scan),
    /// Somebody tries passwords.
    BruteForce(BruteForce),
    /// Few sources ask for very much; why is not known.
    HeavyClient,
    /// Several of these at once.
    Mixed,
    /// Not known.
    Unknown(Unknown),
    /// Not judged yet.
    #[default]
    Unjudged,
}

/// Kinds of attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Requests.
    HttpFlood,
    /// Connections, or conversations whose requests cannot be read.
    ConnectionFlood,
    /// Half-open connections.
    SynFlood,
    /// Datagrams and packets beside the service.
    UdpFlood,
    /// Answers that others were asked for in the service's name.
    Reflection,
    /// Requests that never end.
    Slow,
    /// HTTP/2 streams opened and reset.
    H2Reset,
    /// Segments that belong to no conversation; it has no word of its own.
    OutOfState,
}

/// Kinds of glitches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Glitch {
    /// The server does not answer.
    Server,
    /// The server answers, and what stands behind it does not.
    Backend,
    /// The network in between loses packets.
    Network,
}

/// Kinds of scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scan {
    /// Paths.
    Path,
    /// Ports.
    Port,
    /// Addresses.
    Host,
    /// By many at once.
    Distributed,
}

/// Kinds of guessing passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BruteForce {
    /// From one source.
    Single,
    /// From many, each a little.
    Coordinated,
}

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// The mirror does not show enough.
    Sensor,
    /// There is not enough to go by.
    InsufficientData,
    /// Probably an attack.
    LeaningAttack,
    /// Probably a crowd.
    LeaningFlashCrowd,
    /// Probably a fault.
    LeaningGlitch,
}

impl From<Says> for Cause {
    fn from(says: Says) -> Self {
        match says {
            Says::PathScan => Cause::Scan(Scan::Path),
            Says::PortScan => Cause::Scan(Scan::Port),
            Says::HostScan => Cause::Scan(Scan::Host),
            Says::DistributedScan => Cause::Scan(Scan::Distributed),
            Says::BruteForce => Cause::BruteForce(BruteForce::Single),
            Says::CoordinatedBruteForce => Cause::BruteForce(BruteForce::Coordinated),
            Says::SlowAttack => Cause::Attack(Attack::Slow),
        }
    }
}

/// One of several causes.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub cause: Cause,
    /// Its part of the excess, 0 to 1.
    pub share: f64,
    /// The rows of the incident's origins that it comes from.
    pub origins: Vec<usize>,
}

/// A piece of evidence as it was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// Which.
    pub evidence: Evidence,
    /// Its value.
    pub value: f64,
    /// What would be ordinary; `None` where nothing is known of that.
    pub expected: Option<f64>,
    /// What it weighs for the verdict against the next cause, in nats; negative against it.
    pub weight: f64,
}

/// A piece of evidence that decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flip {
    /// Which.
    pub evidence: Evidence,
    /// The verdict without it.
    pub without: Cause,
}

/// What a mirror may not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// Paths and statuses, since conversations are encrypted.
    Encrypted,
    /// One direction.
    OneWay,
    /// What came before.
    Before,
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

/// What labelled clients did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The label.
    pub label: LabelId,
    /// Its part of all traffic.
    pub traffic_share: f64,
    /// Its rate per second, in the load's unit.
    pub rate: f64,
}

/// Something that is much more of the traffic than it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// What it is.
    pub attribute: Attribute,
    /// Its value, as the wire or the databases have it.
    pub value: String,
    /// Its part of the traffic: of the load's unit for places, else of requests, hellos or packets.
    pub share: f64,
    /// The same before.
    pub baseline_share: f64,
    /// How many times that.
    pub lift: f64,
    /// The part of it that would not be there on an ordinary day, 0 to 1.
    pub likelihood: f64,
}

/// What traffic is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// The clients' country.
    Country,
    /// Their network.
    Network,
    /// The make of client that they say they are.
    UserAgent,
    /// The fingerprint of their hellos.
    Ja4,
    /// The server name of their hellos, identifiers folded; empty where they name none.
    ServerName,
    /// The method of requests.
    Method,
    /// The path of requests, identifiers folded.
    Path,
    /// The port of the service.
    Port,
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
    /// The most that the service has carried in health, per second.
    pub knee: Option<f64>,
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
    /// The part of those clients' exchanges that failed; `None` where none was seen.
    pub failure_ratio: Option<f64>,
    /// Whose exchanges say so.
    pub witnesses: Witnesses,
    /// Since when it is not well.
    pub since: Option<Timestamp>,
}

/// Whose exchanges tell how a service fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Witnesses {
    /// Clients from prefixes that were there before, outside the suspects.
    Known,
    /// Clients at home, outside the suspects.
    Home,
    /// Everybody but the suspects.
    Unsuspected,
    /// Everybody.
    #[default]
    Everybody,
}

/// The service's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// No exchange with the service was seen.
    Unknown,
    /// Fewer than one exchange in ten fails, and answers come about as fast as before.
    Ok,
    /// At least one in ten fails, or answers take several times as long as before.
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
