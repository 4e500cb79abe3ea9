//! The key of a conversation: both ends and the protocol, the same for either direction.
//! Comes in: two ends. Goes out: a key, and which of its ends is which.

use std::net::{IpAddr, SocketAddr};

/// The protocol of a conversation that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// A conversation, whichever way a packet of it goes: both addresses as 128 bits (IPv4 mapped into IPv6), both ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    low: u128,
    high: u128,
    /// The low end's port, the high end's port, the protocol.
    rest: u64,
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
        let (from, to) = ((bits(source.ip()), source.port()), (bits(destination.ip()), destination.port()));
        let (low, high, side) = if from <= to { (from, to, Side::Low) } else { (to, from, Side::High) };
        let rest = u64::from(low.1) | u64::from(high.1) << 16 | (protocol as u64) << 32;
        (Self { low: low.0, high: high.0, rest }, side)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
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
    }
}
