//! Judges ticks: what is more than before, and whose. Comes in: frozen [`Tick`](crate::aggregate::Tick)s. Goes out:
//! [`Finding`]s per service, and the [`Watched`] picture they were found in. Knows no incident and writes to nobody.
//!
//! Everything here runs once a tick, in one place, over sorted keys.

pub mod baseline;
mod before;
mod blindness;
pub mod calendar;
mod decay;
mod demand;
mod group;
mod growth;
mod habits;
mod level;
mod levels;
mod look;
mod measure;
mod past;
mod reach;
pub mod rule;
mod rules;
#[cfg(test)]
mod rules_tests;
mod shown;
mod sieve;
mod watch;
mod watched;
mod window;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::attribute::{Asn, Country};
use crate::flow::hash_address;
use crate::service::{ServiceId, Services};
use crate::time::TickId;
use rule::{Observed, Rule, RuleSet};

pub use before::Before;
pub use habits::{Habits, is_asset};
pub use levels::Levels;
pub use measure::{is_measurable, labelled, of_cell, of_counts, switched_off, whole_of};
pub use past::Past;
pub use reach::{counts_as, is_tried};
pub use rules::{Grounds, Homes, RuleDetector};
pub use watch::Watch;
pub use watched::{LOOK_BACK, Seconds, SpanNeeds, Watched};
pub use window::{Asked, Least, Needs, Window};

/// A protected service: named, or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One that the configuration or the command line names.
    Named(ServiceId),
    /// One that was found in the traffic.
    Found(SocketAddr),
}

impl Subject {
    /// What it is called: its name, or its address and port.
    pub fn name(&self, services: &Services) -> String {
        match self {
            Subject::Named(id) => services.get(*id).name.clone(),
            Subject::Found(address) => address.to_string(),
        }
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The service as a whole.
    Service,
    /// One country.
    Country(Country),
    /// One network.
    Network(Asn),
    /// One prefix.
    Prefix(IpNet),
    /// One address.
    Source(IpAddr),
}

impl Hash for Key {
    /// In few words, since rows are looked up by it in every tick; equality looks at all.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Service => state.write_u64(0),
            Key::Country(country) => country.hash(state),
            Key::Network(asn) => state.write_u64(1 << 32 | u64::from(asn.0)),
            Key::Prefix(prefix) => {
                hash_address(prefix.addr(), state);
                state.write_u64(u64::from(prefix.prefix_len()));
            }
            Key::Source(address) => hash_address(*address, state),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Service => out.write_str("service"),
            Key::Country(country) => write!(out, "{country}"),
            Key::Network(asn) => write!(out, "{asn}"),
            Key::Prefix(prefix) => write!(out, "{prefix}"),
            Key::Source(address) => write!(out, "{address}"),
        }
    }
}

/// A rule that holds for a key in a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: Arc<Rule>,
    /// For whom it holds.
    pub key: Key,
    /// The keys that make it up, sorted and all of one kind, where it holds for some of the clients of the service as a
    /// whole.
    pub parts: Vec<Key>,
    /// When.
    pub tick: TickId,
    /// What was observed.
    pub observed: Observed,
    /// Whether it may open an incident; within the rule's `suppress_for` it only keeps one open.
    pub opens: bool,
}

/// Judges one service's picture once a tick. Dispatched at run time, since others add cases.
pub trait Detector: Send {
    /// Judges by these rules from now on; what has held so far goes on holding where a rule stays.
    fn renew(&mut self, rules: &RuleSet, grounds: &Grounds);

    /// The windows that it looks at, and what it looks at in them for that service.
    fn needs(&self, subject: Subject) -> Vec<SpanNeeds>;

    /// The findings of this tick, sorted by rule and key.
    fn judge(&mut self, subject: Subject, watched: &Watched, tick: TickId) -> Vec<Finding>;
}
