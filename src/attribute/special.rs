//! Addresses that nobody in particular holds: decided from the address alone, before any database is asked.
//! Comes in: an address (IPv4-mapped IPv6 already turned into IPv4). Goes out: `Private`, `Reserved` or nothing.
//!
//! Sources: <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> and
//! <https://www.iana.org/assignments/ipv6-address-space>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Country;

/// The class of an address that no country holds; `None` for public space.
pub(super) fn class_of(address: IpAddr) -> Option<Country> {
    let bits = left_aligned(address);
    let holding =
        blocks(address).iter().filter(|block| block.holds(bits)).max_by_key(|block| block.length)?;
    match holding.class {
        Class::Private => Some(Country::Private),
        Class::Reserved => Some(Country::Reserved),
        Class::Public => None,
    }
}

/// The shortest prefix length around a public `address` that touches no special block.
pub(super) fn clear_length(address: IpAddr) -> u8 {
    let bits = left_aligned(address);
    let aside = blocks(address).iter().filter(|block| block.class != Class::Public && !block.holds(bits));
    let shared = aside.map(|block| (bits ^ block.network).leading_zeros());
    shared.max().and_then(|common| u8::try_from(common + 1).ok()).unwrap_or(0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Private,
    Reserved,
    /// A hole in a wider reserved block.
    Public,
}

/// A prefix and its class; the longest block that holds an address decides.
struct Block {
    /// The network address in the high bits, whatever the IP version.
    network: u128,
    length: u32,
    class: Class,
}

impl Block {
    const fn v4(octets: [u8; 4], length: u32, class: Class) -> Self {
        Self { network: (Ipv4Addr::from_octets(octets).to_bits() as u128) << 96, length, class }
    }

    const fn v6(high: [u16; 4], length: u32, class: Class) -> Self {
        let [a, b, c, d] = high;
        Self { network: Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_bits(), length, class }
    }

    const fn holds(&self, bits: u128) -> bool {
        (bits ^ self.network).leading_zeros() >= self.length
    }
}

fn left_aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const fn blocks(address: IpAddr) -> &'static [Block] {
    match address {
        IpAddr::V4(_) => &V4_BLOCKS,
        IpAddr::V6(_) => &V6_BLOCKS,
    }
}

/// The AS112 and AMT blocks (192.31.196.0/24, 192.52.193.0/24, 192.175.48.0/24) are announced and held: not here.
const V4_BLOCKS: [Block; 15] = [
    Block::v4([0, 0, 0, 0], 8, Class::Reserved), // RFC 791: this network
    Block::v4([10, 0, 0, 0], 8, Class::Private), // RFC 1918
    Block::v4([100, 64, 0, 0], 10, Class::Private), // RFC 6598: carrier-grade NAT
    Block::v4([127, 0, 0, 0], 8, Class::Reserved), // RFC 1122: loopback
    Block::v4([169, 254, 0, 0], 16, Class::Private), // RFC 3927: link-local
    Block::v4([172, 16, 0, 0], 12, Class::Private), // RFC 1918
    Block::v4([192, 0, 0, 0], 24, Class::Reserved), // RFC 6890: protocol assignments
    Block::v4([192, 0, 2, 0], 24, Class::Reserved), // RFC 5737: documentation
    Block::v4([192, 88, 99, 0], 24, Class::Reserved), // RFC 7526: the former 6to4 relays
    Block::v4([192, 168, 0, 0], 16, Class::Private), // RFC 1918
    Block::v4([198, 18, 0, 0], 15, Class::Reserved), // RFC 2544: benchmarking
    Block::v4([198, 51, 100, 0], 24, Class::Reserved), // RFC 5737: documentation
    Block::v4([203, 0, 113, 0], 24, Class::Reserved), // RFC 5737: documentation
    Block::v4([224, 0, 0, 0], 4, Class::Reserved), // RFC 5771: multicast
    Block::v4([240, 0, 0, 0], 4, Class::Reserved), // RFC 1112: future use, broadcast
];

/// Only 2000::/3 is handed out; all else is reserved unless a longer block says otherwise.
const V6_BLOCKS: [Block; 17] = [
    Block::v6([0, 0, 0, 0], 3, Class::Reserved), // RFC 4291: ::, ::1, 100::/64 (RFC 6666), the rest of ::/3
    Block::v6([0x64, 0xff9b, 0, 0], 96, Class::Public), // RFC 6052: NAT64
    Block::v6([0x64, 0xff9b, 1, 0], 48, Class::Private), // RFC 8215: local NAT64
    Block::v6([0x2001, 0, 0, 0], 23, Class::Reserved), // RFC 2928: protocol assignments, benchmarking, ORCHID
    Block::v6([0x2001, 0, 0, 0], 32, Class::Public), // RFC 4380: Teredo
    Block::v6([0x2001, 3, 0, 0], 32, Class::Public), // RFC 7450: AMT
    Block::v6([0x2001, 4, 0x112, 0], 48, Class::Public), // RFC 7535: AS112
    Block::v6([0x2001, 0xdb8, 0, 0], 32, Class::Reserved), // RFC 3849: documentation
    Block::v6([0x3fff, 0, 0, 0], 20, Class::Reserved), // RFC 9637: documentation
    Block::v6([0x4000, 0, 0, 0], 2, Class::Reserved), // RFC 4291: unassigned; 5f00::/16 (RFC 9602)
    Block::v6([0x8000, 0, 0, 0], 2, Class::Reserved), // RFC 4291: unassigned
    Block::v6([0xc000, 0, 0, 0], 3, Class::Reserved), // RFC 4291: unassigned
    Block::v6([0xe000, 0, 0, 0], 3, Class::Reserved), // RFC 4291: unassigned
    Block::v6([0xfc00, 0, 0, 0], 7, Class::Private), // RFC 4193: unique local
    Block::v6([0xfe80, 0, 0, 0], 10, Class::Private), // RFC 4291: link-local
    Block::v6([0xfec0, 0, 0, 0], 10, Class::Private), // RFC 3879: the former site-local
    Block::v6([0xff00, 0, 0, 0], 8, Class::Reserved), // RFC 4291: multicast
];

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Option<Country> {
        class_of(text.parse().unwrap())
    }

    #[test]
    fn home_and_carrier_space_is_private() {
        let private = [
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "64:ff9b:1::1",
        ];
        for text in private {
            assert_eq!(class(text), Some(Country::Private), "{text}");
        }
    }

    #[test]
    fn space_that_nobody_holds_is_reserved() {
        let reserved = [
            "0.0.0.0",
            "0.255.255.255",
            "127.0.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::1.2.3.4",
            "100::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "9000::",
            "fe00::1",
            "ff02::1",
        ];
        for text in reserved {
            assert_eq!(class(text), Some(Country::Reserved), "{text}");
        }
    }

    #[test]
    fn the_addresses_just_outside_the_blocks_are_public() {
        let public = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.31.196.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001::1",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2002:808:808::1",
            "3ffe::1",
            "3fff:1000::1",
            "64:ff9b::808:808",
        ];
        for text in public {
            assert_eq!(class(text), None, "{text}");
        }
    }

    #[test]
    fn a_prefix_grows_only_up_to_the_next_special_block() {
        let clear = |text: &str| clear_length(text.parse().unwrap());
        assert_eq!(clear("11.0.0.0"), 8, "11.0.0.0/7 would take in 10.0.0.0/8");
        assert_eq!(clear("192.169.0.1"), 16);
        assert_eq!(clear("100.63.0.1"), 10, "100.0.0.0/9 would take in 100.64.0.0/10");
        assert_eq!(clear("192.0.3.1"), 24);
        assert_eq!(clear("2001:db9::1"), 32);
        assert!(clear("168.126.63.1") <= 8);
    }
}
