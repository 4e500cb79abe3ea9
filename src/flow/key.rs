//! The key of a conversation: both ends and the protocol, the same for either direction.
//! Comes in: two ends. Goes out: a key, and which of its ends is which.

use std::net::{IpAddr, SocketAddr};

/// One end: the address as 128 bits (IPv4 mapped into IPv6) and the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct End {
    address: u128,
    port: u16,
}

impl From<SocketAddr> for End {
    fn from(end: SocketAddr) -> Self {
        let address = match end.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        Self { address, port: end.port() }
    }
}

/// The protocol of a conversation that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// A conversation, whichever way a packet of it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    low: End,
    high: End,
    protocol: Protocol,
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
        let (from, to) = (End::from(source), End::from(destination));
        if from <= to {
            (Self { low: from, high: to, protocol }, Side::Low)
        } else {
            (Self { low: to, high: from, protocol }, Side::High)
        }
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
