//! The key of a conversation: both ends and the protocol, the same for either direction.
//! Comes in: two ends. Goes out: a key, and which of its ends is which.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in [self.low[0], self.low[1], self.high[0], self.high[1], self.rest] {
            state.write_u64(word);
        }
    }
}

/// Which of a key's two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Low,
    High,
}

impl FlowKey {
    /// The key of a packet from `source` to `destination`, and the side of `source`.
    pub fn of(source: SocketAddr, destination: SocketAddr, protocol: Protocol) -> (Self, Side) {
        let (from, to) =
            ((halves(source.ip()), source.port()), (halves(destination.ip()), destination.port()));
        let (low, high, side) = if from <= to { (from, to, Side::Low) } else { (to, from, Side::High) };
        let rest = u64::from(low.1) | u64::from(high.1) << 16 | (protocol as u64) << 32;
        (Self { low: low.0, high: high.0, rest }, side)
    }

    /// The key of a message that nothing answers, from `source` to `destination`: the way back has another key.
    pub fn one_way(source: SocketAddr, destination: SocketAddr, protocol: Protocol) -> (Self, Side) {
        let (mut key, side) = Self::of(source, destination, protocol);
        key.rest |= if side == Side::Low { ONE_WAY_UP } else { ONE_WAY_DOWN };
        (key, side)
    }

    /// Address and port of one end.
    pub fn end(&self, side: Side) -> SocketAddr {
        let (halves, port) = match side {
            Side::Low => (self.low, self.rest as u16),
            Side::High => (self.high, (self.rest >> 16) as u16),
        };
        let bits = u128::from(halves[0]) << 64 | u128::from(halves[1]);
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical(), port)
    }

    /// The IP protocol number.
    pub fn protocol_number(&self) -> u8 {
        (self.rest >> 32) as u8
    }
}

/// Marks of what has no way back: the low end sends, the high end sends.
const ONE_WAY_UP: u64 = 1 << 40;
const ONE_WAY_DOWN: u64 = 1 << 41;

fn halves(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key() {
        let (a, b) = ("192.0.2.1:80".parse().unwrap(), "[2001:db8::1]:5000".parse().unwrap());
        let (there, side) = FlowKey::of(a, b, Protocol::Tcp);
        let (back, other) = FlowKey::of(b, a, Protocol::Tcp);
        assert_eq!(there, back);
        assert_ne!(side, other);
        assert_ne!(there, FlowKey::of(a, b, Protocol::Udp).0);
        assert_eq!((there.end(side), there.end(other)), (a, b));
        assert_eq!((there.protocol_number(), FlowKey::of(a, b, Protocol::Udp).0.protocol_number()), (6, 17));
    }
}
