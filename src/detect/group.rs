//! What rows come to under the key that a rule groups them by. Comes in: rows. Goes out: how much there is of each key,
//! and of how many different clients.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use super::Key;
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

impl Members {
    /// Adds a client, or as much as is known of some.
    pub fn add(&mut self, lineage: &Lineage, prefix: Option<IpNet>, source: Option<IpAddr>) {
        self.sources.extend(source.filter(|_| self.sources.len() < MOST_SOURCES));
        self.prefixes.extend(prefix);
        self.networks.extend(lineage.asn);
        self.countries.insert(lineage.country);
    }
}
