//! All that is known of one address, for a person who asks.
//! Comes in: an address. Goes out: its attribution with the names and the databases' own networks behind it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::record::printable;
use super::{Attribution, Attributor, Label, special};

/// What the databases and the operator say of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description<'a> {
    /// The address; IPv4-mapped IPv6 has become IPv4.
    pub address: IpAddr,
    /// What traffic from it is counted under.
    pub attribution: Attribution,
    /// The organisation that the AS database names for the address, fit to print.
    pub organization: Option<String>,
    /// The operator's label.
    pub label: Option<&'a Label>,
    /// The country database's own network around the address (no announcement).
    pub country_network: Option<IpNet>,
    /// The AS database's own network around the address (no announcement).
    pub asn_network: Option<IpNet>,
}

/// Gathers what is known of `address`.
pub fn describe(attributor: &Attributor, address: IpAddr) -> Description<'_> {
    let address = address.to_canonical();
    let attribution = attributor.attribute(address);
    let known = special::class_of(address).is_none();
    let country = known.then(|| attributor.country.find(address));
    let network = known.then(|| attributor.asn.find(address));
    Description {
        address,
        attribution,
        organization: network.as_ref().and_then(|found| printable(found.record().organization?)),
        label: attribution.label.and_then(|id| attributor.label(id)),
        country_network: country.and_then(|found| found.network()),
        asn_network: network.and_then(|found| found.network()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Labels;
    use super::*;

    #[test]
    fn an_address_is_described_with_names_and_networks() {
        let world = Attributor::embedded(Labels::default()).unwrap();
        let found = describe(&world, "::ffff:8.8.8.8".parse().unwrap());
        assert_eq!(found.address.to_string(), "8.8.8.8");
        assert!(found.organization.unwrap().contains("Google"));
        assert!(found.asn_network.unwrap().contains(&found.address));
        assert!(found.country_network.unwrap().contains(&found.address));
    }

    #[test]
    fn an_address_that_nobody_holds_has_no_networks() {
        let world = Attributor::embedded(Labels::default()).unwrap();
        let found = describe(&world, "192.168.1.1".parse().unwrap());
        assert_eq!(found.attribution.country.to_string(), "private");
        assert_eq!((found.organization, found.country_network, found.asn_network), (None, None, None));
    }
}
