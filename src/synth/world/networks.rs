//! Networks that made-up clients sit in: country and autonomous system as the shipped databases name them throughout
//! the prefix. Comes in: nothing; goes out: the table, and draws from it. Knows nothing of clients.

use ipnet::{IpNet, Ipv4Net};

use super::super::rng::Rng;

/// A prefix that lies in one country and one autonomous system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The prefix.
    pub net: IpNet,
    /// Country, ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// Number of the autonomous system.
    pub asn: u32,
}

/// `CC,prefix,ASn` a line; a few hundred of the world's networks, drawn by chance.
const TABLE: &str = include_str!("networks.csv");

/// Networks of Korean providers over IPv6.
const DOMESTIC_V6: [(&str, u32); 3] =
    [("2001:e60::/32", 3559), ("2001:2d8::/32", 9644), ("2406:5900::/32", 3786)];

/// The country that scenarios call home.
pub const HOME: &str = "KR";

/// All networks of the table, home first.
pub fn all() -> Vec<Network> {
    TABLE.lines().filter_map(read).collect()
}

/// The networks at home, over IPv4.
pub fn domestic() -> Vec<Network> {
    all().into_iter().filter(|network| network.country == HOME).collect()
}

/// The networks at home, over IPv6.
pub fn domestic_v6() -> Vec<Network> {
    DOMESTIC_V6
        .iter()
        .filter_map(|(net, asn)| Some(Network { net: net.parse().ok()?, country: HOME, asn: *asn }))
        .collect()
}

/// The networks abroad.
pub fn foreign() -> Vec<Network> {
    all().into_iter().filter(|network| network.country != HOME).collect()
}

/// Up to `count` of `networks`, each at most once.
pub fn draw(mut networks: Vec<Network>, count: usize, rng: &mut Rng) -> Vec<Network> {
    let mut drawn = Vec::with_capacity(count.min(networks.len()));
    while drawn.len() < count && !networks.is_empty() {
        let place = rng.below(networks.len() as u64) as usize;
        drawn.push(networks.swap_remove(place));
    }
    drawn
}

/// One network at chance, the countries equally likely: a flood is not always from where most addresses are.
pub fn draw_by_country(networks: &[Network], rng: &mut Rng) -> Option<Network> {
    let mut countries: Vec<&str> = networks.iter().map(|network| network.country).collect();
    countries.dedup();
    let country = countries.get(rng.below(countries.len() as u64) as usize)?;
    let there: Vec<&Network> = networks.iter().filter(|network| network.country == *country).collect();
    there.get(rng.below(there.len() as u64) as usize).copied().copied()
}

/// `count` different subnets of `network` with `len` bits, or the network itself where it is no larger.
pub fn subnets(network: &Network, len: u8, count: usize, rng: &mut Rng) -> Vec<Network> {
    let IpNet::V4(net) = network.net else { return vec![*network] };
    if len <= net.prefix_len() {
        return vec![*network];
    }
    let all: Vec<Ipv4Net> = net.subnets(len).map(Iterator::collect).unwrap_or_default();
    let of = |net: Ipv4Net| Network { net: net.into(), ..*network };
    draw(all.into_iter().map(of).collect(), count, rng)
}

fn read(line: &'static str) -> Option<Network> {
    let mut fields = line.split(',');
    let country = fields.next()?;
    let net = fields.next()?.parse().ok()?;
    let asn = fields.next()?.trim_start_matches("AS").parse().ok()?;
    Some(Network { net, country, asn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert_eq!(all().len(), TABLE.lines().count());
        assert!(domestic().len() >= 40 && foreign().len() >= 500);
        assert_eq!(domestic_v6().len(), 3);
    }

    #[test]
    fn subnets_are_different_and_inside() {
        let mut rng = Rng::new(3);
        for _ in 0..50 {
            let network = draw_by_country(&foreign(), &mut rng).unwrap();
            let inside = subnets(&network, 23, 2, &mut rng);
            assert_eq!(inside.len(), if network.net.prefix_len() < 23 { 2 } else { 1 });
            assert!(inside.iter().all(|subnet| network.net.contains(&subnet.net)));
        }
    }
}
