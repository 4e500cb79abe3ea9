//! Several ticks as one. Comes in: frozen ticks, whose rows are sorted. Goes out: their sums, with rows that are sorted as
//! well. Sorted lists are merged, two by two: sorting them anew would take several times as long.

use super::sums::{folded, summed_up};
use super::{Cell, Ranked, ScopeTick};

impl ScopeTick {
    /// Sums, networks, prefixes and sources of several ticks.
    pub fn together<'a>(ticks: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let sources = merged(ticks.clone().map(|tick| tick.sources.as_slice()));
        let (prefixes, networks) = if ticks.clone().all(Self::has_nothing_but_sources) {
            summed_up(&sources)
        } else {
            let prefixes = merged(ticks.clone().map(|tick| tick.prefixes.as_slice()));
            (prefixes, merged(ticks.clone().map(|tick| tick.networks.as_slice())))
        };
        let mut sum = Self { networks, prefixes, sources, ..Self::default() };
        ticks.for_each(|tick| sum.counts.merge(&tick.counts));
        sum
    }

    /// Whether all that its prefixes and networks have is that of its sources.
    fn has_nothing_but_sources(&self) -> bool {
        let Self { sources, prefixes, networks, .. } = self;
        self.is_summed_up || sources.is_empty() && prefixes.is_empty() && networks.is_empty()
    }
}

/// Sorted rows as one list, those of one key added up.
fn merged<'a, K: Ranked + Copy + 'a>(lists: impl Iterator<Item = &'a [(K, Cell)]>) -> Vec<(K, Cell)> {
    let ranked = |row: &'a (K, Cell)| (row.0.rank(), row);
    let mut lists: Vec<Vec<_>> = lists.map(|rows| rows.iter().map(ranked).collect()).collect();
    while lists.len() > 1 {
        let pairs = lists.chunks(2);
        lists = pairs.map(|pair| merged_two(&pair[0], pair.get(1).map_or(&[], Vec::as_slice))).collect();
    }
    let rows = lists.pop().unwrap_or_default();
    folded(&rows, |(_, (key, cell))| (key, cell))
}

/// A row with its rank.
type RankedRow<'a, K> = (u128, &'a (K, Cell));

/// Two sorted lists as one.
fn merged_two<'a, K: Ord>(one: &[RankedRow<'a, K>], other: &[RankedRow<'a, K>]) -> Vec<RankedRow<'a, K>> {
    let is_before = |left: &RankedRow<'a, K>, right: &RankedRow<'a, K>| {
        left.0.cmp(&right.0).then_with(|| left.1.0.cmp(&right.1.0)).is_lt()
    };
    let mut rows = Vec::with_capacity(one.len() + other.len());
    let mut left = other;
    for row in one {
        while let Some((first, rest)) = left.split_first()
            && is_before(first, row)
        {
            rows.push(*first);
            left = rest;
        }
        rows.push(*row);
    }
    rows.extend_from_slice(left);
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::{Count, Lineage, PrefixKey, SourceKey};
    use crate::attribute::{Asn, Country};
    use crate::flow::Proof;

    /// A tick in which these hosts of a few networks sent as many packets.
    fn tick(hosts: &BTreeMap<u8, u8>) -> ScopeTick {
        let row = |(host, packets): (&u8, &u8)| {
            let country = if host % 3 == 0 { Country::Unknown } else { Country::Code([b'K', host % 4]) };
            let lineage =
                Lineage { country, asn: Some(Asn(u32::from(host % 5))), label: None, proof: Proof::Proven };
            let address = IpAddr::from(Ipv4Addr::from([192, 0, host % 7, *host]));
            let prefix = IpNet::from(address).supernet().unwrap();
            let prefix = PrefixKey { lineage, prefix, reach: 24 };
            (SourceKey { prefix, address }, Cell { packets: u64::from(*packets), ..Cell::default() })
        };
        let mut sources: Vec<_> = hosts.iter().map(row).collect();
        sources.sort_by_key(|(key, _)| *key);
        let mut tick = ScopeTick { sources, ..ScopeTick::default() };
        tick.counts[Count::PacketsIn] = hosts.values().map(|packets| u64::from(*packets)).sum();
        tick
    }

    proptest! {
        #[test]
        fn rows_of_all_ticks_are_added_up_in_their_order(
            ticks in prop::collection::vec(prop::collection::btree_map(any::<u8>(), any::<u8>(), 0..40), 0..12),
        ) {
            let ticks: Vec<ScopeTick> = ticks.iter().map(tick).collect();
            let mut sums: BTreeMap<SourceKey, Cell> = BTreeMap::new();
            for (key, cell) in ticks.iter().flat_map(|tick| &tick.sources) {
                sums.entry(*key).or_default().merge(cell);
            }
            let together = ScopeTick::together(ticks.iter());
            prop_assert_eq!(&together.sources, &sums.into_iter().collect::<Vec<_>>());
            let (prefixes, networks) = summed_up(&together.sources);
            let summed_up = |mut tick: ScopeTick| {
                (tick.prefixes, tick.networks) = summed_up(&tick.sources);
                tick
            };
            let ticks: Vec<ScopeTick> = ticks.into_iter().map(summed_up).collect();
            let told = ticks.iter().cloned().map(|tick| ScopeTick { is_summed_up: true, ..tick });
            for ticks in [told.collect(), ticks.clone()] {
                let ticks: Vec<ScopeTick> = ticks;
                let together = ScopeTick::together(ticks.iter());
                prop_assert_eq!((&together.prefixes, &together.networks), (&prefixes, &networks));
            }
            let packets: u64 = together.sources.iter().map(|(_, cell)| cell.packets).sum();
            prop_assert_eq!(together.counts[Count::PacketsIn], packets);
        }
    }
}
