//! The operator's known neighbours: names and roles for prefixes.
//! Comes in: the `labels` section of the configuration. Goes out: the label of an address, by the longest prefix.
//! It does not judge: that a labelled client is never counted as an attacker is decided elsewhere.

use std::collections::BTreeSet;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use super::LabelId;
use crate::document::words;

/// All labels; look-ups take one probe for each prefix length in use.
#[derive(Debug, Default)]
pub struct Labels {
    list: Vec<Label>,
    by_prefix: HashMap<IpNet, LabelId, RandomState>,
    /// The prefix lengths in use, longest first.
    v4_lengths: Vec<u8>,
    v6_lengths: Vec<u8>,
}

/// A known neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What the operator calls it.
    pub name: String,
    /// What it does here.
    pub role: Role,
    /// The addresses it comes from.
    pub prefixes: Vec<IpNet>,
}

/// What a known neighbour does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads the site by machine, welcome.
    Crawler,
    /// Fetches on behalf of many visitors.
    Cdn,
    /// One address for many people.
    Nat,
    /// A machine of a partner.
    Partner,
    /// Watches that the service is up.
    Monitor,
}
words! {
    Role, "a role":
    Crawler = "crawler", Cdn = "cdn", Nat = "nat", Partner = "partner", Monitor = "monitor",
}

/// Crawlers and delivery networks publish a few thousand prefixes each; [`LabelId`] counts to here.
pub const MAX_LABEL_PREFIXES: usize = 65_535;

impl Labels {
    /// Takes the operator's labels; prefixes are cut to their network address, IPv4-mapped ones become IPv4.
    ///
    /// Fails on more than [`MAX_LABEL_PREFIXES`] labels or prefixes, and on a prefix that two labels claim.
    pub fn new(list: Vec<Label>) -> Result<Self, LabelError> {
        let prefixes: usize = list.iter().map(|label| label.prefixes.len()).sum();
        let found = prefixes.max(list.len());
        if found > MAX_LABEL_PREFIXES {
            return Err(LabelError::TooMany { found });
        }
        let mut labels = Self::default();
        for (id, label) in (0..=u16::MAX).map(LabelId).zip(&list) {
            for prefix in &label.prefixes {
                labels.claim(canonical(*prefix), id, &list)?;
            }
        }
        labels.v4_lengths = labels.lengths(|prefix| matches!(prefix, IpNet::V4(_)));
        labels.v6_lengths = labels.lengths(|prefix| matches!(prefix, IpNet::V6(_)));
        labels.list = list;
        Ok(labels)
    }

    /// `new` labels in the order of `old` names, so that a name keeps its number: one that is gone has no prefixes, what is
    /// new comes behind.
    pub fn in_order(old: &[Label], new: &[Label]) -> Vec<Label> {
        let now = |label: &Label| new.iter().find(|other| other.name == label.name).cloned();
        let gone = |label: &Label| Label { prefixes: Vec::new(), ..label.clone() };
        let kept = old.iter().map(|label| now(label).unwrap_or_else(|| gone(label)));
        let is_new = |label: &&Label| !old.iter().any(|other| other.name == label.name);
        kept.chain(new.iter().filter(is_new).cloned()).collect()
    }

    /// The label of an address.
    pub fn of(&self, address: IpAddr) -> Option<LabelId> {
        let address = address.to_canonical();
        let lengths = if address.is_ipv4() { &self.v4_lengths } else { &self.v6_lengths };
        lengths.iter().find_map(|length| {
            let prefix = IpNet::new(address, *length).ok()?.trunc();
            self.by_prefix.get(&prefix).copied()
        })
    }

    /// The label with this number.
    pub fn get(&self, id: LabelId) -> Option<&Label> {
        self.list.get(usize::from(id.0))
    }

    fn claim(&mut self, prefix: IpNet, id: LabelId, list: &[Label]) -> Result<(), LabelError> {
        let Some(before) = self.by_prefix.insert(prefix, id).filter(|before| *before != id) else {
            return Ok(());
        };
        let name =
            |id: LabelId| list.get(usize::from(id.0)).map(|label| label.name.clone()).unwrap_or_default();
        Err(LabelError::ClaimedTwice { prefix, first: name(before), second: name(id) })
    }

    fn lengths(&self, family: impl Fn(&IpNet) -> bool) -> Vec<u8> {
        let lengths: BTreeSet<u8> =
            self.by_prefix.keys().filter(|prefix| family(prefix)).map(IpNet::prefix_len).collect();
        lengths.into_iter().rev().collect()
    }
}

/// The bits of `::ffff:0:0/96`, under which IPv6 carries IPv4 addresses.
const MAPPED_BITS: u8 = 96;

fn canonical(prefix: IpNet) -> IpNet {
    let mapped = match prefix {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED_BITS)),
        IpNet::V4(_) => None,
    };
    let as_v4 = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    as_v4.map_or(prefix, IpNet::V4).trunc()
}

/// Why labels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    /// More labels or prefixes than fit.
    #[error("{found} label prefixes; at most {MAX_LABEL_PREFIXES} fit")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// Two labels have the same prefix.
    #[error("{prefix} belongs to label {first:?} and to label {second:?}")]
    ClaimedTwice {
        /// The prefix.
        prefix: IpNet,
        /// The label that has it.
        first: String,
        /// The label that wants it too.
        second: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, role: Role, prefixes: &[&str]) -> Label {
        Label {
            name: name.into(),
            role,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn name_of<'l>(labels: &'l Labels, address: &str) -> Option<&'l str> {
        labels.of(address.parse().unwrap()).and_then(|id| labels.get(id)).map(|label| label.name.as_str())
    }

    #[test]
    fn the_longest_prefix_names_an_address() {
        let labels = Labels::new(vec![
            label("campus", Role::Nat, &["203.0.0.0/8", "2001:db8::/32"]),
            label("probe", Role::Monitor, &["203.0.113.7/32", "2001:db8:1::/48"]),
        ])
        .unwrap();
        assert_eq!(name_of(&labels, "203.0.113.7"), Some("probe"));
        assert_eq!(name_of(&labels, "203.0.113.8"), Some("campus"));
        assert_eq!(name_of(&labels, "204.0.113.8"), None);
        assert_eq!(name_of(&labels, "2001:db8:1::9"), Some("probe"));
        assert_eq!(name_of(&labels, "2001:db8:2::9"), Some("campus"));
        assert_eq!(name_of(&labels, "::ffff:203.0.113.7"), Some("probe"));
    }

    #[test]
    fn a_prefix_is_cut_to_its_network_and_mapped_ones_are_ipv4() {
        let prefixes = ["66.249.70.9/19", "::ffff:192.0.2.0/120"];
        let labels = Labels::new(vec![label("searchbot", Role::Crawler, &prefixes)]).unwrap();
        assert_eq!(name_of(&labels, "66.249.64.1"), Some("searchbot"));
        assert_eq!(name_of(&labels, "66.249.95.255"), Some("searchbot"));
        assert_eq!(name_of(&labels, "66.249.96.0"), None);
        assert_eq!(name_of(&labels, "192.0.2.200"), Some("searchbot"));
    }

    #[test]
    fn a_prefix_in_two_labels_is_refused_and_twice_in_one_is_not() {
        let twice = label("a", Role::Cdn, &["192.0.2.0/24", "192.0.2.9/24"]);
        assert!(Labels::new(vec![twice.clone()]).is_ok());
        let error = Labels::new(vec![twice, label("b", Role::Nat, &["192.0.2.0/24"])]).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.0/24 belongs to label \"a\" and to label \"b\"");
    }

    #[test]
    fn the_largest_set_fits_and_one_more_does_not() {
        let prefixes =
            |count: u32| (0..count).map(|host| IpNet::from(IpAddr::from(host.to_be_bytes()))).collect();
        let huge = |count| Label { name: "cdn".into(), role: Role::Cdn, prefixes: prefixes(count) };
        assert!(Labels::new(vec![huge(65_535)]).is_ok());
        assert_eq!(Labels::new(vec![huge(65_536)]).unwrap_err(), LabelError::TooMany { found: 65_536 });
    }
}
