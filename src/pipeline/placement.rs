//! Which service a packet belongs to, which way it goes, and which shard follows it.

use std::net::IpAddr;

use crate::decode::Packet;
use crate::service::{Direction, Named, Services};

/// The shards that work is cut into. A shard owns its flows and its caps, so that nothing depends on how many workers
/// share the shards out.
pub const SHARDS: usize = 64;

/// Where a packet is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// The shard.
    pub shard: u8,
    /// The named service and the direction; `None` where services are still to be found.
    pub named: Option<(Named, Direction)>,
    /// Who follows it there.
    pub follow: Follow,
}

/// Who follows a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// The tracker, which feeds the detectors, and the ledger where there is one.
    All,
    /// The ledger alone: the packet concerns no service.
    Ledger,
    /// The ledger; and the tracker in its carrier's name, that of the tunnel of this place: what is inside concerns no
    /// service, but a service's address is flooded with carriers.
    Carrier(u8),
    /// The ledger alone, which only counts it: a copy that the mirror made.
    Copy,
}

impl Placement {
    /// Places a packet; `None` where it concerns no named service.
    #[inline]
    pub fn of(packet: &Packet<'_>, services: &Services) -> Option<Self> {
        if services.is_empty() {
            return Some(Self { shard: pair(packet), named: None, follow: Follow::All });
        }
        Self::of_named(packet, services)
    }

    fn of_named(packet: &Packet<'_>, services: &Services) -> Option<Self> {
        let ports = packet.ports();
        let to = services.scope_of(packet.destination, ports.map(|(_, port)| port));
        let from = || services.scope_of(packet.source, ports.map(|(port, _)| port));
        let (scope, direction) = match to {
            Some(scope @ Named::Own(_)) => (scope, Direction::ToServer),
            Some(scope) => match from() {
                Some(own @ Named::Own(_)) => (own, Direction::ToClient),
                Some(_) => return Some(Self::between_services(packet, scope)),
                None => (scope, Direction::ToServer),
            },
            None => match from() {
                Some(scope) => (scope, Direction::ToClient),
                None => return Self::of_carrier(packet, services),
            },
        };
        let client: IpAddr = match direction {
            Direction::ToServer => packet.source,
            Direction::ToClient => packet.destination,
        };
        Some(Self { shard: shard(bits(client)), named: Some((scope, direction)), follow: Follow::All })
    }

    /// Places a packet by the tunnels around it, outermost first: carriers have no ports, and count beside.
    fn of_carrier(packet: &Packet<'_>, services: &Services) -> Option<Self> {
        packet.layers.tunnels().iter().zip(0..).find_map(|(tunnel, place)| {
            let to = services.scope_of(tunnel.destination, None).map(|scope| (scope, Direction::ToServer));
            let from = || services.scope_of(tunnel.source, None).map(|scope| (scope, Direction::ToClient));
            let named = Some(to.or_else(from)?);
            Some(Self { shard: pair(packet), named, follow: Follow::Carrier(place) })
        })
    }

    /// Places the mirror's copy of a packet where the packet is followed.
    pub fn of_copy(packet: &Packet<'_>, services: &Services) -> Self {
        let original = Self::of(packet, services).unwrap_or_else(|| Self::of_stranger(packet));
        Self { follow: Follow::Copy, ..original }
    }

    /// Places a packet that concerns no service, for the ledger.
    pub fn of_stranger(packet: &Packet<'_>) -> Self {
        Self { shard: pair(packet), named: None, follow: Follow::Ledger }
    }

    /// Between addresses of services, beside the ports of either, no end is the client's: the pair decides.
    fn between_services(packet: &Packet<'_>, scope: Named) -> Self {
        let named = Some((scope, Direction::ToServer));
        Self { shard: pair(packet), named, follow: Follow::All }
    }
}

/// The shard of a pair of addresses, either way round.
fn pair(packet: &Packet<'_>) -> u8 {
    shard(bits(packet.source).wrapping_add(bits(packet.destination)))
}

/// The shard of an address: its bits, well mixed (the constant is that of Fibonacci hashing, 2^64 over the golden
/// ratio). Whoever sends from chosen addresses can fill one shard, and finds its caps there.
fn shard(bits: u128) -> u8 {
    let folded = (bits as u64) ^ ((bits >> 64) as u64).rotate_left(32);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as u8
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Layers, Transport, Tunnel, TunnelKind, UdpDatagram};
    use crate::service::{Service, ServiceId};

    fn packet(from: (&str, u16), to: (&str, u16)) -> Packet<'static> {
        let ports = UdpDatagram { source_port: from.1, destination_port: to.1, payload: &[] };
        Packet::plain(from.0.parse().unwrap(), to.0.parse().unwrap(), 28, Transport::Udp(ports))
    }

    #[test]
    fn both_directions_meet_in_the_clients_shard() {
        let services = Services::new(vec![Service::parse("web=192.0.2.1:80").unwrap()]).unwrap();
        let (client, server) = (("198.51.100.9", 5000), ("192.0.2.1", 80));
        let there = Placement::of(&packet(client, server), &services).unwrap();
        let back = Placement::of(&packet(server, client), &services).unwrap();
        let scope = Named::Own(ServiceId(0));
        assert_eq!(there.named, Some((scope, Direction::ToServer)));
        assert_eq!(back.named, Some((scope, Direction::ToClient)));
        assert_eq!(there.shard, back.shard);
        assert_eq!(Placement::of(&packet(client, ("192.0.2.2", 80)), &services), None);
    }

    #[test]
    fn carriers_sent_to_a_service_count_beside_it_whatever_they_carry() {
        let services = Services::new(vec![Service::parse("web=192.0.2.1:80").unwrap()]).unwrap();
        let inside = packet(("10.0.0.1", 5000), ("10.0.0.2", 80));
        let mut layers = Layers::NONE;
        assert_eq!(Placement::of(&Packet { layers: &layers, ..inside }, &services), None);
        for (source, destination) in [("10.9.0.1", "10.9.0.2"), ("198.51.100.9", "192.0.2.1")] {
            let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
            layers.enter(Tunnel { kind: TunnelKind::Gre, source, destination, id: None }).unwrap();
        }
        let placement = Placement::of(&Packet { layers: &layers, ..inside }, &services).unwrap();
        assert_eq!(placement.named, Some((Named::Beside(ServiceId(0)), Direction::ToServer)));
        assert_eq!(placement.follow, Follow::Carrier(1));
        let carrier = Packet { layers: &layers, ..inside }.carrier(1).unwrap();
        assert_eq!(
            (carrier.destination.to_string(), carrier.transport),
            ("192.0.2.1".into(), Transport::Other(47))
        );
    }

    #[test]
    fn where_none_is_named_the_pair_decides() {
        let (one, other) = (("198.51.100.9", 5000), ("192.0.2.1", 80));
        let none = Services::default();
        assert_eq!(
            Placement::of(&packet(one, other), &none).unwrap(),
            Placement::of(&packet(other, one), &none).unwrap()
        );
    }

    #[test]
    fn shards_are_all_used() {
        let used: std::collections::BTreeSet<u8> =
            (0..5_000_u32).map(|n| shard(bits(std::net::Ipv4Addr::from(n << 8).into()))).collect();
        assert_eq!(used.len(), SHARDS);
    }
}
