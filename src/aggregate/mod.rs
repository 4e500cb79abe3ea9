//! Events and attributions added up to [`Tick`]s: per scope, network, prefix, source, path, client make and
//! server name. Comes in: [`FlowEvent`](crate::flow::FlowEvent)s. Goes out: one frozen, sorted [`Tick`] a second. Judges
//! nothing.
//!
//! Everything kept here adds without order. Workers tally alone ([`Tallies`]) and meet once a tick in the shared maps
//! of the open ticks ([`OpenTicks`]), where a reader also sees rates rise before a tick closes.

mod bottom;
mod callers;
mod counts;
mod finder;
mod meeting;
mod open;
mod rank;
mod scope_tally;
mod sums;
mod tally;
mod tick_tally;
mod together;
mod waits;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use datasketches::hll::{HllSketch, HllUnion};
use ipnet::IpNet;

use crate::attribute::{Asn, Attribution, Country, LabelId};
use crate::flow::{Failure, Ja4, Proof, ServerEnd, hash_address};
use crate::service::Scope;
use crate::time::TickId;

pub use bottom::{BottomMap, BottomRows, coverage};
pub use callers::Callers;
pub use counts::{Cell, Count, Counts, Sides};
pub use finder::Finder;
pub use open::{LiveView, OpenTicks};
use rank::Ranked;
pub use tally::Tallies;
pub use waits::Waits;

/// A closed second: all that was added up in it, frozen and sorted.
#[derive(Debug, Clone, Default)]
pub struct Tick {
    /// Which second.
    pub id: TickId,
    /// Per scope.
    pub scopes: BTreeMap<Scope, ScopeTick>,
}

/// What was added up for one scope in one second. Rows are sorted by their keys.
#[derive(Debug, Clone, Default)]
pub struct ScopeTick {
    /// The sums.
    pub counts: Counts,
    /// Addresses that had earned nothing, for their number only.
    pub strangers: Option<Strangers>,
    /// Who tried to connect.
    pub callers: Callers,
    /// Per network: exact.
    pub networks: Vec<(Lineage, Cell)>,
    /// Per prefix: exact below the cap.
    pub prefixes: Vec<(PrefixKey, Cell)>,
    /// Per source: exact below the cap.
    pub sources: Vec<(SourceKey, Cell)>,
    /// Requests per path.
    pub paths: Vec<(PathKey, u64)>,
    /// Accesses per make of client.
    pub makes: Vec<(MakeKey, u64)>,
    /// Hellos per server name.
    pub names: Vec<(NameKey, u64)>,
    /// Packets per address, port and protocol of the service.
    pub ends: Vec<(ServerEnd, u64)>,
    /// How long first bytes of answers took, where there were any.
    pub waits: Option<Box<Waits>>,
    /// Failing responses per source and path.
    pub failing: Vec<(FailingKey, u64)>,
    /// Attempts beside the service, per source, address and port.
    pub probed: Vec<(ProbedKey, Probe)>,
    /// The part of the sources that the cap left, from 0 to 1.
    pub coverage: f64,
    /// Whether prefixes and networks are what the sources come to: no cap left out any of them.
    pub is_summed_up: bool,
}

impl ScopeTick {
    /// Whether nothing moved; most seconds bring nothing beside a service.
    pub fn is_silent(&self) -> bool {
        self.networks.is_empty() && self.ends.is_empty() && self.counts == Counts::default()
    }
}

/// Whose traffic a row counts: its country, network, label, and how well its addresses are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lineage {
    /// The country or class.
    pub country: Country,
    /// The network.
    pub asn: Option<Asn>,
    /// The operator's label.
    pub label: Option<LabelId>,
    /// How well the addresses are proven.
    pub proof: Proof,
}

impl Lineage {
    /// The lineage of an attributed client.
    pub fn of(attribution: &Attribution, proof: Proof) -> Self {
        Self { country: attribution.country, asn: attribution.asn, label: attribution.label, proof }
    }
}

/// A prefix within its lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixKey {
    /// Whose it is.
    pub lineage: Lineage,
    /// The /24 or /48.
    pub prefix: IpNet,
    /// The shortest length to which it may be widened.
    pub reach: u8,
}

/// A source within its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey {
    /// Where it is.
    pub prefix: PrefixKey,
    /// Its address.
    pub address: IpAddr,
}

// Rows are hashed several times in their life, so what tells them apart is hashed in few words; equality looks at all.

impl Hash for Lineage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let asn = self.asn.map_or(0, |asn| u64::from(asn.0));
        state.write_u64(asn << 32 | u64::from(self.country.number()) << 8 | self.proof as u64);
    }
}

impl Hash for PrefixKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lineage.hash(state);
        hash_address(self.prefix.addr(), state);
    }
}

impl Hash for SourceKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_address(self.address, state);
        state.write_u64(self.prefix.lineage.proof as u64);
    }
}

/// A path asked for by clients of one country.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathKey {
    /// Whose clients asked.
    pub country: Country,
    /// The method; what nearly everybody says takes no room of its own.
    pub method: Cow<'static, str>,
    /// The path without its query.
    pub path: Box<str>,
}

/// A server name asked for by clients of one country.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameKey {
    /// Whose clients asked.
    pub country: Country,
    /// The name as their hellos have it; empty where they name none.
    pub name: Box<str>,
}

/// A path that fails for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailingKey {
    /// Who asked.
    pub source: IpAddr,
    /// The [`template_hash`](crate::flow::template_hash) of the path.
    pub path: u32,
    /// How it fails.
    pub failure: Failure,
}

/// What a source tried of which nothing shows that it heard an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbedKey {
    /// Who tried, by an address that nothing proves.
    pub source: IpAddr,
    /// What it tried.
    pub tried: Tried,
}

/// What can be tried without a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tried {
    /// A TCP port of an address: beside the service, or its own where it has many addresses.
    Port(IpAddr, u16),
    /// A UDP port of an address beside the service.
    Datagram(IpAddr, u16),
    /// A path of the service, by its [`template_hash`](crate::flow::template_hash).
    Path(u32),
}

impl Tried {
    /// The address, where it was a port of one.
    pub const fn host(self) -> Option<IpAddr> {
        match self {
            Self::Port(host, _) | Self::Datagram(host, _) => Some(host),
            Self::Path(_) => None,
        }
    }

    /// The port, where it was one.
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::Port(_, port) | Self::Datagram(_, port) => Some(port),
            Self::Path(_) => None,
        }
    }
}

/// What came of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probe {
    /// Attempts.
    pub attempts: u32,
    /// Of them, those that were answered: with SYN-ACK, with a datagram, or in a conversation that went on.
    pub answered: u32,
}

impl Probe {
    /// Adds another.
    pub fn merge(&mut self, other: Self) {
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.answered = self.answered.saturating_add(other.answered);
    }

    /// Takes away what was added before.
    pub fn remove(&mut self, other: Self) {
        self.attempts = self.attempts.saturating_sub(other.attempts);
        self.answered = self.answered.saturating_sub(other.answered);
    }

    /// Attempts that were not answered. The answer may count in the second after its attempt.
    pub fn unanswered(self) -> u32 {
        self.attempts.saturating_sub(self.answered)
    }
}

/// A make of client used in one country.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MakeKey {
    /// Whose clients use it.
    pub country: Country,
    /// What tells it.
    pub fingerprint: Fingerprint,
}

/// What tells one make of client from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fingerprint {
    /// The `User-Agent` header.
    UserAgent(Box<str>),
    /// The fingerprint of the TLS hello.
    Ja4(Ja4),
}

/// A make of client in all its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Make<'a> {
    /// What a program calls itself (RFC 9110 section 10.1.5).
    Product(&'a str),
    /// One that is told by all of its fingerprint.
    Print(&'a Fingerprint),
}

impl Fingerprint {
    /// The make that it is a version of. Browsers all call themselves Mozilla, so each stands for itself.
    pub fn make(&self) -> Make<'_> {
        let Self::UserAgent(agent) = self else { return Make::Print(self) };
        let product = agent.split(['/', ' ', '(']).next().unwrap_or_default();
        if product.is_empty() || product == "Mozilla" { Make::Print(self) } else { Make::Product(product) }
    }
}

/// The most rows that one tick keeps, over all scopes.
pub mod caps {
    /// Networks: 80,000 AS numbers are announced in 2026; beyond this the table is sampled.
    pub const NETWORKS: usize = 131_072;
    /// Prefixes: with the window of sixty ticks about 80 MiB when every tick is full.
    pub const PREFIXES: usize = 8_192;
    /// Sources: with the window of sixty ticks about 130 MiB when every tick is full.
    pub const SOURCES: usize = 16_384;
    /// Paths: a site has hundreds; random ones are sampled.
    pub const PATHS: usize = 2_048;
    /// Makes of clients.
    pub const MAKES: usize = 1_024;
    /// Server names: a host has dozens; random ones are sampled.
    pub const NAMES: usize = 1_024;
    /// Addresses and ports of services: a port scan touches 65,536.
    pub const ENDS: usize = 1_024;
    /// Failing paths of sources: a scan asks for hundreds a second.
    pub const FAILING: usize = 4_096;
    /// Ports, and paths without a conversation, tried by sources: a fast scan tries thousands a second.
    pub const PROBED: usize = 4_096;
    /// Scopes that no one named.
    pub const CANDIDATES: usize = 1_024;
}

/// How many different addresses were seen, without keeping them: a HyperLogLog sketch (Flajolet and others 2007),
/// always estimated through a union, whose estimator does not depend on order.
#[derive(Debug, Clone)]
pub struct Strangers(HllSketch);

/// 2^12 registers: a standard error of 1.6 %.
const LG_REGISTERS: u8 = 12;

impl Strangers {
    /// An empty sketch; `None` where the library refuses its size, which it does not for this one.
    pub fn new() -> Option<Self> {
        HllSketch::new(LG_REGISTERS, datasketches::hll::HllType::Hll8).ok().map(Self)
    }

    /// Sees an address.
    pub fn see(&mut self, address: IpAddr) {
        self.0.update(address);
    }

    /// Adds what another sketch saw.
    pub fn merge(&mut self, other: &Self) {
        if let Ok(mut union) = HllUnion::new(LG_REGISTERS) {
            union.update(&self.0);
            union.update(&other.0);
            self.0 = union.to_sketch(datasketches::hll::HllType::Hll8);
        }
    }

    /// Estimates how many different addresses all the sketches saw together.
    pub fn estimate<'a>(sketches: impl IntoIterator<Item = &'a Self>) -> f64 {
        let Ok(mut union) = HllUnion::new(LG_REGISTERS) else { return 0.0 };
        for sketch in sketches {
            union.update(&sketch.0);
        }
        union.composite_estimate()
    }
}

#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_their_name_and_browsers_by_all_they_say() {
        let agent = |text: &str| Fingerprint::UserAgent(text.into());
        for text in ["python-requests/2.28.1", "python-requests/2.8.0", "python-requests (by hand)"] {
            assert_eq!(agent(text).make(), Make::Product("python-requests"), "{text}");
        }
        for text in ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPhone)", "", "/1.0"] {
            assert_eq!(agent(text).make(), Make::Print(&agent(text)), "{text}");
        }
    }

    #[test]
    fn strangers_are_counted_whatever_the_order() {
        let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(n));
        let (mut one, mut two, mut all) =
            (Strangers::new().unwrap(), Strangers::new().unwrap(), Strangers::new().unwrap());
        for n in 0..20_000 {
            if n % 2 == 0 {
                one.see(address(n))
            } else {
                two.see(address(n))
            }
            all.see(address(19_999 - n));
        }
        let split = Strangers::estimate([&one, &two]);
        assert_eq!(split, Strangers::estimate([&two, &one]));
        assert_eq!(split, Strangers::estimate([&all]));
        one.merge(&two);
        assert_eq!(split, Strangers::estimate([&one]));
        assert!((split / 20_000.0 - 1.0).abs() < 0.05, "{split}");
    }
}
