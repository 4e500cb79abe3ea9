//! Whose is an address: its prefix, network (AS), country and the operator's label.
//! Comes in: an IP address. Goes out: an [`Attribution`]. Nothing is asked of the network.

mod attributor;
mod cache;
mod database;
mod describe;
mod embedded;
#[cfg(test)]
mod fixture;
mod labels;
mod record;
mod special;
mod survey;

use std::fmt;
use std::hash::{Hash, Hasher};

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

pub use attributor::{Attributor, DatabaseFacts};
pub use database::{Database, DatabaseError, DatabaseFact, Wanted};
pub use describe::{Description, describe};
pub use labels::{Label, LabelError, Labels, MAX_LABEL_PREFIXES, Role};

/// The country an address is registered in, or the class of an address that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Country {
    /// ISO 3166-1 alpha-2, upper case.
    Code([u8; 2]),
    /// Private, shared (carrier-grade NAT), link-local or unique-local space.
    Private,
    /// Documentation, loopback, multicast, benchmarking and other space that nobody holds.
    Reserved,
    /// Public space that the database does not know.
    Unknown,
}

impl Hash for Country {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.number());
    }
}

impl Country {
    /// Its number, of 18 bits, in the order of countries.
    #[inline]
    pub fn number(self) -> u32 {
        match self {
            Country::Code([one, two]) => u32::from(one) << 8 | u32::from(two),
            Country::Private => 1 << 16,
            Country::Reserved => 2 << 16,
            Country::Unknown => 3 << 16,
        }
    }

    /// Reads a two-letter code in either case.
    pub fn parse(text: &str) -> Option<Self> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self::Code([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Country::Code([a, b]) => write!(out, "{}{}", char::from(*a), char::from(*b)),
            Country::Private => out.write_str("private"),
            Country::Reserved => out.write_str("reserved"),
            Country::Unknown => out.write_str("unknown"),
        }
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// The number of an autonomous system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl fmt::Display for Asn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AS{}", self.0)
    }
}

/// The place of an operator's label in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelId(pub u16);

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribution {
    /// The country, or the class of an address that has none.
    pub country: Country,
    /// The network, where one is known.
    pub asn: Option<Asn>,
    /// The /24 (IPv4) or /48 (IPv6) that holds the address.
    pub prefix: IpNet,
    /// How wide `prefix` could grow (its shortest length) while one AS and one country still hold all of it.
    pub reach: u8,
    /// The operator's label for the address.
    pub label: Option<LabelId>,
}

impl Attribution {
    /// What is known of an address without any database: itself.
    pub fn unknown(address: IpAddr) -> Self {
        let prefix = IpNet::from(address);
        Self { country: Country::Unknown, asn: None, prefix, reach: prefix.prefix_len(), label: None }
    }
}

/// The home countries; the rest of the world is foreign.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Home(Vec<Country>);

impl Home {
    /// Gathers home countries.
    pub fn new(countries: Vec<Country>) -> Self {
        Self(countries)
    }

    /// Whether no home is known, so that nothing can be called foreign.
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `country` is abroad. Addresses without a country are neither home nor foreign.
    pub fn is_foreign(&self, country: Country) -> bool {
        !self.0.is_empty() && matches!(country, Country::Code(_)) && !self.0.contains(&country)
    }
}
