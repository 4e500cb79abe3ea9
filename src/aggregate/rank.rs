//! Where rows stand in their order, as one number: keys have many parts, and comparing them part by part is what sorting
//! would take its time for. Comes in: keys. Goes out: numbers in the order of the keys, as far as they go.

use ipnet::IpNet;

use super::{Lineage, PrefixKey, SourceKey};
use crate::attribute::LabelId;
use crate::flow::Proof;

/// A key that knows about where it stands.
pub(super) trait Ranked: Ord {
    /// A number that is in the order of the keys: of two different numbers the smaller one's key is the smaller one. Keys
    /// of the same number are still to be compared.
    fn rank(&self) -> u128;
}

impl Ranked for Lineage {
    fn rank(&self) -> u128 {
        u128::from(lineage(self)) << u64::BITS
    }
}

impl Ranked for PrefixKey {
    fn rank(&self) -> u128 {
        let Self { lineage: whose, prefix, reach: _ } = self;
        let base = if told_apart(whose) { base(prefix) } else { 0 };
        u128::from(lineage(whose)) << u64::BITS | u128::from(base)
    }
}

impl Ranked for SourceKey {
    fn rank(&self) -> u128 {
        self.prefix.rank()
    }
}

/// Labels from this one on have one number together; hardly anybody has so many.
const MANY: u64 = (1 << 12) - 1;

/// The number of a label, 0 for none.
fn number(label: Option<LabelId>) -> u64 {
    label.map_or(0, |LabelId(label)| (u64::from(label) + 1).min(MANY))
}

/// Whether no other lineage has this one's number: only then may what follows it in the key say who comes first.
fn told_apart(lineage: &Lineage) -> bool {
    number(lineage.label) < MANY
}

/// From the highest bits on: the country or class (18 bits), the network (33), the label (12), the proof (1).
fn lineage(whose: &Lineage) -> u64 {
    let Lineage { country, asn, label, proof } = whose;
    let country = u64::from(country.number());
    let network = asn.map_or(0, |asn| 1 << 32 | u64::from(asn.0));
    let proof = u64::from(told_apart(whose) && *proof == Proof::Unproven);
    country << 46 | network << 13 | number(*label) << 1 | proof
}

/// The address where a prefix begins, of IPv6 its first 63 bits behind all of IPv4.
fn base(prefix: &IpNet) -> u64 {
    match prefix {
        IpNet::V4(v4) => u64::from(v4.addr().to_bits()),
        IpNet::V6(v6) => 1 << 63 | (v6.addr().to_bits() >> 65) as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::attribute::{Asn, Country};

    fn country() -> impl Strategy<Value = Country> {
        let code = any::<[u8; 2]>().prop_map(Country::Code);
        prop_oneof![code, Just(Country::Private), Just(Country::Reserved), Just(Country::Unknown)]
    }

    fn whose() -> impl Strategy<Value = Lineage> {
        let asn = prop_oneof![Just(None), (0_u32..3).prop_map(Some), any::<u32>().prop_map(Some)];
        let many = MANY as u16;
        let label = prop_oneof![Just(None), (0_u16..3).prop_map(Some), (many - 2..many + 3).prop_map(Some)];
        let proof = prop_oneof![Just(Proof::Proven), Just(Proof::Unproven)];
        (country(), asn, label, proof).prop_map(|(country, asn, label, proof)| Lineage {
            country,
            asn: asn.map(Asn),
            label: label.map(LabelId),
            proof,
        })
    }

    fn source() -> impl Strategy<Value = SourceKey> {
        let v4 =
            (any::<u32>(), 0_u8..33).prop_map(|(bits, len)| (IpAddr::from(Ipv4Addr::from_bits(bits)), len));
        let v6 =
            (any::<u128>(), 0_u8..129).prop_map(|(bits, len)| (IpAddr::from(Ipv6Addr::from_bits(bits)), len));
        (whose(), prop_oneof![v4, v6], 0_u8..3).prop_map(|(lineage, (address, len), reach)| {
            let prefix = IpNet::new(address, len).unwrap();
            SourceKey { prefix: PrefixKey { lineage, prefix, reach }, address }
        })
    }

    proptest! {
        #[test]
        fn ranks_are_in_the_order_of_keys(one in source(), other in source(), same in 0_u8..3) {
            let (mut other, label) = (other, other.prefix.lineage.label);
            if same > 0 {
                other.prefix.lineage = one.prefix.lineage;
            }
            if same > 1 {
                other.prefix.lineage.label = label;
            }
            let agrees = |ranks: std::cmp::Ordering, keys: std::cmp::Ordering| ranks.is_eq() || ranks == keys;
            prop_assert!(agrees(one.rank().cmp(&other.rank()), one.cmp(&other)));
            let (one, other) = (one.prefix, other.prefix);
            prop_assert!(agrees(one.rank().cmp(&other.rank()), one.cmp(&other)));
            let (one, other) = (one.lineage, other.lineage);
            prop_assert!(agrees(one.rank().cmp(&other.rank()), one.cmp(&other)));
        }
    }
}
