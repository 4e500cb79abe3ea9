//! Where made-up clients sit: prefixes come in, the addresses of the first, second, ... client go out, computed and
//! never stored. Forged and scattered senders are drawn from public unicast space only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::rng::mix;

/// What is known of the senders of a part of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Clients within these prefixes, spread evenly over them.
    Prefixes(Vec<IpNet>),
    /// Every conversation comes from another public address, with its handshake.
    Anywhere,
    /// Every packet bears another public address, and nobody there knows of it.
    Forged,
}

/// Numbered client addresses; the same seed gives the same ones.
#[derive(Debug, Clone)]
pub(super) struct AddressBook {
    ranges: Vec<Range>,
    v6: bool,
    seed: u64,
    avoid: IpAddr,
}

/// The hosts of one prefix in a shuffled order.
#[derive(Debug, Clone)]
struct Range {
    net: IpNet,
    order: Shuffle,
}

/// A fixed order in which all numbers below `size` come up once: number, times `stride`, plus `offset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shuffle {
    size: u64,
    stride: u64,
    offset: u64,
}

impl AddressBook {
    /// Numbers the addresses of `origin`, leaving out the one of the service, `target`.
    pub fn new(origin: &Origin, target: IpAddr, seed: u64) -> Self {
        let nets: &[IpNet] = match origin {
            Origin::Prefixes(nets) => nets,
            Origin::Anywhere | Origin::Forged => &[],
        };
        let ranges = nets
            .iter()
            .zip(0_u64..)
            .map(|(net, place)| Range { net: *net, order: Shuffle::new(hosts_in(net), mix(seed, place)) })
            .collect();
        Self { ranges, v6: target.is_ipv6(), seed, avoid: target }
    }

    /// The address of client `number`. Numbers below [`room`] of prefixes have different addresses; so have the
    /// first 2^32 scattered ones.
    pub fn address(&self, number: u64) -> IpAddr {
        let ranges = self.ranges.len() as u64;
        if ranges == 0 {
            return scattered(self.seed, number, self.v6, self.avoid);
        }
        let Some(range) = self.ranges.get((number % ranges) as usize) else { return self.avoid };
        let place = number / ranges;
        let address = range.host(place, self.seed);
        if address == self.avoid { range.host(range.order.size, self.seed) } else { address }
    }
}

/// How many different clients fit into prefixes when spread evenly, the service's own address among none of them.
pub(super) fn room(nets: &[IpNet]) -> u64 {
    nets.iter().map(hosts_in).min().unwrap_or(0).saturating_mul(nets.len() as u64)
}

/// Hosts of a prefix that are used, one less than there are: the last stands in for the service's own address.
fn hosts_in(net: &IpNet) -> u64 {
    let bits = u32::from(net.max_prefix_len() - net.prefix_len()).min(MAX_HOST_BITS);
    let all = 1_u64 << bits;
    match net {
        IpNet::V4(_) if bits >= 2 => all - 3,
        _ => all.max(2) - 1,
    }
}

/// At most 2^32 clients of a prefix are numbered; more than any scenario has.
const MAX_HOST_BITS: u32 = 32;

impl Range {
    /// The address at `place` of the order; the place after the last is a spare.
    fn host(&self, place: u64, seed: u64) -> IpAddr {
        let host = if place >= self.order.size { self.order.size } else { self.order.at(place) };
        match self.net {
            IpNet::V4(net) => {
                // The first address of a prefix names the network, the last is its broadcast address.
                let first = u64::from(net.prefix_len() <= 30);
                Ipv4Addr::from_bits(net.network().to_bits().wrapping_add((host + first) as u32)).into()
            }
            IpNet::V6(net) => {
                let free = net.max_prefix_len() - net.prefix_len();
                let suffix = match free {
                    // Wider than a /64: another /64 for each client, with an interface identifier of its own.
                    65.. => u128::from(host) << 64 | u128::from(mix(seed, host)),
                    _ => u128::from(host),
                };
                let mask = u128::MAX.checked_shr(u32::from(net.prefix_len())).unwrap_or(0);
                Ipv6Addr::from_bits(net.network().to_bits() | (suffix & mask)).into()
            }
        }
    }
}

impl Shuffle {
    /// An order of the numbers below `size`, 2^32 at most.
    pub fn new(size: u64, seed: u64) -> Self {
        let size = size.clamp(1, 1 << MAX_HOST_BITS);
        let mut stride = (mix(seed, 1) % size) | 1;
        while greatest_common_divisor(stride, size) != 1 {
            stride += 2;
        }
        Self { size, stride, offset: mix(seed, 2) % size }
    }

    /// The number at `place`; places beyond the last begin anew.
    pub fn at(&self, place: u64) -> u64 {
        let spread = u128::from(place % self.size) * u128::from(self.stride) + u128::from(self.offset);
        (spread % u128::from(self.size)) as u64
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A public address, different for every number below 2^32 (IPv4 takes the next number's where one is not public,
/// so that a few come twice).
fn scattered(seed: u64, number: u64, v6: bool, avoid: IpAddr) -> IpAddr {
    let mut attempt = number;
    loop {
        let address = if v6 { scattered_v6(seed, attempt).into() } else { scattered_v4(seed, attempt) };
        if is_public(address) && address != avoid {
            return address;
        }
        attempt = attempt.wrapping_add(0x9e37_79b9);
    }
}

/// A bijection of the lower 32 bits of `number`: an affine step and MurmurHash3's finalizer.
fn scattered_v4(seed: u64, number: u64) -> IpAddr {
    let mut x = (number as u32).wrapping_mul(mix(seed, 3) as u32 | 1).wrapping_add(mix(seed, 4) as u32);
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    Ipv4Addr::from_bits(x ^ (x >> 16)).into()
}

/// The /12 blocks that the five registries give out from, <https://www.iana.org/assignments/ipv6-unicast-address-assignments>.
const REGISTRY_BLOCKS: [u16; 5] = [0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00];

fn scattered_v6(seed: u64, number: u64) -> Ipv6Addr {
    let (high, low) = (mix(mix(seed, 5), number), mix(mix(seed, 6), number));
    let block = REGISTRY_BLOCKS.get((high % 5) as usize).copied().unwrap_or(0x2400);
    let network = u64::from(block) << 48 | (high >> 12);
    Ipv6Addr::from_bits(u128::from(network) << 64 | u128::from(low))
}

/// Whether an address is unicast and may be met on the open Internet: none of the special-purpose blocks of
/// [RFC 6890](https://www.rfc-editor.org/rfc/rfc6890), no documentation, no multicast.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!((a, b), (0 | 10 | 127 | 224..=255, _) | (100, 64..=127) | (172, 16..=31))
        || matches!((a, b), (169, 254) | (192, 168) | (198, 18..=19))
        || matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113));
    !special
}

/// 2000::/3 without special purposes (2001::/23), documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16).
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SERVICE: &str = "198.51.100.10";

    fn book(origin: &Origin, target: &str) -> AddressBook {
        AddressBook::new(origin, target.parse().unwrap(), 7)
    }

    fn prefixes(list: &[&str]) -> Origin {
        Origin::Prefixes(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn clients_are_distinct_and_stay_in_their_prefixes() {
        for (nets, target) in [
            (&["198.51.100.0/24", "203.0.113.0/25"][..], SERVICE),
            (&["2001:db8:7::/48", "2001:db8:8::/120"][..], "2001:db8::1"),
        ] {
            let origin = prefixes(nets);
            let Origin::Prefixes(list) = &origin else { unreachable!() };
            let book = book(&origin, target);
            let addresses: HashSet<IpAddr> = (0..room(list)).map(|number| book.address(number)).collect();
            assert_eq!(addresses.len() as u64, room(list));
            assert!(addresses.iter().all(|address| list.iter().any(|net| net.contains(address))));
        }
    }

    #[test]
    fn the_service_itself_is_nobodys_client() {
        let origin = prefixes(&["198.51.100.0/24"]);
        let book = book(&origin, SERVICE);
        let addresses: HashSet<IpAddr> = (0..253).map(|number| book.address(number)).collect();
        assert_eq!(addresses.len(), 253);
        for odd in [SERVICE, "198.51.100.0", "198.51.100.255"] {
            assert!(!addresses.contains(&odd.parse().unwrap()), "{odd}");
        }
    }

    #[test]
    fn single_addresses_are_prefixes_too() {
        let single = prefixes(&["203.0.113.9/32"]);
        assert_eq!(book(&single, SERVICE).address(0), "203.0.113.9".parse::<IpAddr>().unwrap());
        let single = prefixes(&["2001:db8::9/128"]);
        assert_eq!(book(&single, "2001:db8::1").address(0), "2001:db8::9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn forged_senders_are_public_and_hardly_ever_repeat() {
        for target in [SERVICE, "2001:db8::1"] {
            let book = book(&Origin::Forged, target);
            let addresses: Vec<IpAddr> = (0..50_000).map(|number| book.address(number)).collect();
            assert!(addresses.iter().all(|address| is_public(*address)));
            assert!(addresses.iter().collect::<HashSet<_>>().len() > 49_990);
        }
    }

    #[test]
    fn special_blocks_are_not_public() {
        for special in ["10.1.2.3", "100.64.0.1", "172.31.9.9", "192.0.2.5", "198.19.0.1", "224.0.0.5", "::1"]
        {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in ["9.9.9.9", "100.128.0.1", "172.32.0.1", "211.34.105.10", "2a00:1450::1", "2001:e60::1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
