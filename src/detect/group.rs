//! What rows come to under the key that a rule groups them by. Comes in: rows. Goes out: how much there is of each key,
//! and of how many different clients.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use super::Key;
use super::rule::Kind;
use crate::aggregate::{Cell, Lineage};
use crate::attribute::{Asn, Country};

pub(super) type Groups = HashMap<Key, Group, RandomState>;

/// What came together under one key.
#[derive(Default)]
pub(super) struct Group {
    pub count: u64,
    /// Different members, where the condition asks for their number.
    pub members: Option<Box<Members>>,
}

/// Different clients.
#[derive(Default)]
pub(super) struct Members {
    pub sources: HashSet<IpAddr, RandomState>,
    pub prefixes: HashSet<IpNet, RandomState>,
    pub networks: HashSet<Asn, RandomState>,
    pub countries: HashSet<Country, RandomState>,
}

/// Sources that are told apart: as many as a window has rows.
const MOST_SOURCES: usize = 131_072;

/// A row as a rule looks at it.
pub(super) struct Row<'a> {
    pub lineage: &'a Lineage,
    pub prefix: Option<IpNet>,
    pub source: Option<IpAddr>,
    pub cell: &'a Cell,
}

/// Which of them a condition asks the number of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub sources: bool,
    pub prefixes: bool,
    pub networks: bool,
    pub countries: bool,
}

impl Counted {
    pub fn of(kinds: &[Kind]) -> Self {
        let asks = |kind| kinds.contains(&kind);
        Self {
            sources: asks(Kind::Sources),
            prefixes: asks(Kind::Prefixes),
            networks: asks(Kind::Networks),
            countries: asks(Kind::Countries),
        }
    }
}

impl Members {
    /// Adds a client, or as much as is known of some, where that is counted.
    pub fn add(
        &mut self,
        counted: Counted,
        lineage: &Lineage,
        (prefix, source): (Option<IpNet>, Option<IpAddr>),
    ) {
        if counted.sources && self.sources.len() < MOST_SOURCES {
            self.sources.extend(source);
        }
        if counted.prefixes {
            self.prefixes.extend(prefix);
        }
        if counted.networks {
            self.networks.extend(lineage.asn);
        }
        if counted.countries {
            self.countries.insert(lineage.country);
        }
    }
}
