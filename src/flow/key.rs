//! The key of a conversation: both ends and the protocol, the same for either direction.
//! Comes in: two ends. Goes out: a key, and which of its ends is which.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The protocol of a conversation, by its [number](https://www.iana.org/assignments/protocol-numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    Icmp = 1,
    Tcp = 6,
    Udp = 17,
    Icmp6 = 58,
    Sctp = 132,
}

/// A conversation, whichever way a packet of it goes: both addresses as 128 bits (IPv4 mapped into IPv6, halves), both
/// ports and the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowKey {
    low: [u64; 2],
    high: [u64; 2],
    /// The low end's port, the high end's port, the protocol, and for what has no way back which end sends.
    rest: u64,
}

impl Hash for FlowKey {
    // Inlined whatever it takes: a hasher that knows how much it holds hashes this in a third of the steps.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The upper halves of two IPv4 addresses tell nothing.
        if (self.low[0] | self.high[0]) != 0 {
            state.write_u64(self.low[0]);
            state.write_u64(self.high[0]);
        }
        state.write_u64(self.low[1]);
        state.write_u64(self.high[1]);
        state.write_u64(self.rest);
    }
}

/// Which of a key's two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Low,
    High,
}

impl FlowKey {
    /// The key of a packet from the first of `ends` to the second, and the side of the first.
    #[inline]
    pub fn of(ends: [(IpAddr, u16); 2], protocol: Protocol) -> (Self, Side) {
        let [(source, source_port), (destination, destination_port)] = ends;
        let one = (halves(source), u64::from(source_port));
        let two = (halves(destination), u64::from(destination_port));
        // Which way a packet goes is a toss-up: picked by a mask, since a branch would be guessed wrong half of the time.
        let swapped = (whole(one.0), one.1) > (whole(two.0), two.1);
        let mask = u64::from(swapped).wrapping_neg();
        let (low_upper, high_upper) = picked(mask, one.0[0], two.0[0]);
        let (low_lower, high_lower) = picked(mask, one.0[1], two.0[1]);
        let (low_port, high_port) = picked(mask, one.1, two.1);
        let rest = low_port | high_port << 16 | (protocol as u64) << 32;
        let key = Self { low: [low_upper, low_lower], high: [high_upper, high_lower], rest };
        (key, if swapped { Side::High } else { Side::Low })
    }

    /// The key of a message that nothing answers, from the first of `ends` to the second: the way back has another key.
    pub fn one_way(ends: [(IpAddr, u16); 2], protocol: Protocol) -> (Self, Side) {
        let (mut key, side) = Self::of(ends, protocol);
        key.rest |= if side == Side::Low { ONE_WAY_UP } else { ONE_WAY_DOWN };
        (key, side)
    }

    /// Address and port of one end; an IPv4-mapped address is given as IPv4.
    #[inline]
    pub fn end(&self, side: Side) -> SocketAddr {
        let (halves, port) = match side {
            Side::Low => (self.low, self.rest as u16),
            Side::High => (self.high, (self.rest >> 16) as u16),
        };
        let address = if halves[0] == 0 && halves[1] >> 32 == MAPPED >> 32 {
            IpAddr::V4(Ipv4Addr::from_bits(halves[1] as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(whole(halves)))
        };
        SocketAddr::new(address, port)
    }

    /// The IP protocol number.
    pub fn protocol_number(&self) -> u8 {
        (self.rest >> 32) as u8
    }
}

/// What stands before an IPv4 address in its IPv6 form (RFC 4291 section 2.5.5.2).
const MAPPED: u64 = 0xffff << 32;

/// Marks of what has no way back: the low end sends, the high end sends.
const ONE_WAY_UP: u64 = 1 << 40;
const ONE_WAY_DOWN: u64 = 1 << 41;

/// The two words, swapped where the mask is all ones.
#[inline]
fn picked(mask: u64, one: u64, two: u64) -> (u64, u64) {
    let change = (one ^ two) & mask;
    (one ^ change, two ^ change)
}

#[inline]
fn whole(halves: [u64; 2]) -> u128 {
    u128::from(halves[0]) << 64 | u128::from(halves[1])
}

#[inline]
fn halves(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(v4) => [0, MAPPED | u64::from(v4.to_bits())],
        IpAddr::V6(v6) => [(v6.to_bits() >> 64) as u64, v6.to_bits() as u64],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key() {
        let end = |text: &str| text.parse::<SocketAddr>().map(|end| (end.ip(), end.port())).unwrap();
        let (a, b) = (end("192.0.2.1:80"), end("[2001:db8::1]:5000"));
        let (there, side) = FlowKey::of([a, b], Protocol::Tcp);
        let (back, other) = FlowKey::of([b, a], Protocol::Tcp);
        assert_eq!(there, back);
        assert_ne!(side, other);
        assert_ne!(there, FlowKey::of([a, b], Protocol::Udp).0);
        assert_eq!((there.end(side), there.end(other)), (a.into(), b.into()));
        assert_eq!(
            (there.protocol_number(), FlowKey::of([a, b], Protocol::Udp).0.protocol_number()),
            (6, 17)
        );
    }
}
