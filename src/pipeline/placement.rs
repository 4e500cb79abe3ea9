//! Which service a packet belongs to, which way it goes, and which shard follows it.

use std::net::IpAddr;

use crate::decode::Packet;
use crate::flow::Sighting;
use crate::service::{Direction, Named, Services};
use crate::time::{TickId, Timestamp};

/// The shards that work is cut into. A shard owns its flows and its caps, so that nothing depends on how many workers
/// share the shards out.
pub const SHARDS: usize = 64;

/// Where a packet is followed. Lent from here to the tracker, since small parts that were just written are slow to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// The shard.
    pub shard: u8,
    /// Who follows it there.
    pub follow: Follow,
    /// When and for whom it counts.
    pub sighting: Sighting,
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

/// The second that a packet counts in, and the time that it counts at.
#[derive(Debug, Clone, Copy)]
pub(super) struct When {
    pub tick: TickId,
    pub now: Timestamp,
}

impl When {
    #[inline]
    fn of(self, named: Option<(Named, Direction)>) -> Sighting {
        Sighting { now: self.now, tick: self.tick, named }
    }
}

impl Placement {
    /// Places a packet that counts at `when`; `None` where it concerns no named service.
    #[inline]
    pub fn of(packet: &Packet<'_>, services: &Services, when: When) -> Option<Self> {
        if services.is_empty() {
            return Some(Self { shard: pair(packet), follow: Follow::All, sighting: when.of(None) });
        }
        Self::of_named(packet, services, when)
    }

    fn of_named(packet: &Packet<'_>, services: &Services, when: When) -> Option<Self> {
        let ports = packet.ports();
        let to = services.scope_of(packet.destination, ports.map(|(_, port)| port));
        let from = || services.scope_of(packet.source, ports.map(|(port, _)| port));
        let (scope, direction) = match to {
            Some(scope @ Named::Own(_)) => (scope, Direction::ToServer),
            Some(scope) => match from() {
                Some(own @ Named::Own(_)) => (own, Direction::ToClient),
                Some(_) => return Some(Self::between_services(packet, scope, when)),
                None => (scope, Direction::ToServer),
            },
            None => match from() {
                Some(scope) => (scope, Direction::ToClient),
                None => return Self::of_carrier(packet, services, when),
            },
        };
        let client: IpAddr = match direction {
            Direction::ToServer => packet.source,
            Direction::ToClient => packet.destination,
        };
        let sighting = when.of(Some((scope, direction)));
        Some(Self { shard: shard(bits(client)), follow: Follow::All, sighting })
    }

    /// Places a packet by the tunnels around it, outermost first: carriers have no ports, and count beside.
    fn of_carrier(packet: &Packet<'_>, services: &Services, when: When) -> Option<Self> {
        packet.layers.tunnels().iter().zip(0..).find_map(|(tunnel, place)| {
            let to = services.scope_of(tunnel.destination, None).map(|scope| (scope, Direction::ToServer));
            let from = || services.scope_of(tunnel.source, None).map(|scope| (scope, Direction::ToClient));
            let named = Some(to.or_else(from)?);
            Some(Self { shard: pair(packet), follow: Follow::Carrier(place), sighting: when.of(named) })
        })
    }

    /// Places the mirror's copy of a packet where the packet is followed.
    pub fn of_copy(packet: &Packet<'_>, services: &Services, when: When) -> Self {
        let original = Self::of(packet, services, when).unwrap_or_else(|| Self::of_stranger(packet, when));
        Self { follow: Follow::Copy, ..original }
    }

    /// Places a packet that concerns no service, for the ledger.
    pub fn of_stranger(packet: &Packet<'_>, when: When) -> Self {
        Self { shard: pair(packet), follow: Follow::Ledger, sighting: when.of(None) }
    }

    /// Between addresses of services, beside the ports of either, no end is the client's: the pair decides.
    fn between_services(packet: &Packet<'_>, scope: Named, when: When) -> Self {
        let named = Some((scope, Direction::ToServer));
        Self { shard: pair(packet), follow: Follow::All, sighting: when.of(named) }
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

    const WHEN: When = When { tick: TickId { epoch: 0, second: 1 }, now: Timestamp::from_secs(1) };

    fn packet(from: (&str, u16), to: (&str, u16)) -> Packet<'static> {
        let ports = UdpDatagram { source_port: from.1, destination_port: to.1, payload: &[] };
        Packet::plain(from.0.parse().unwrap(), to.0.parse().unwrap(), 28, Transport::Udp(ports))
    }

    #[test]
    fn both_directions_meet_in_the_clients_shard() {
        let services = Services::new(vec![Service::parse("web=192.0.2.1:80").unwrap()]).unwrap();
        let (client, server) = (("198.51.100.9", 5000), ("192.0.2.1", 80));
        let there = Placement::of(&packet(client, server), &services, WHEN).unwrap();
        let back = Placement::of(&packet(server, client), &services, WHEN).unwrap();
        let scope = Named::Own(ServiceId(0));
        assert_eq!(there.sighting.named, Some((scope, Direction::ToServer)));
        assert_eq!(back.sighting.named, Some((scope, Direction::ToClient)));
        assert_eq!(there.shard, back.shard);
        assert_eq!(Placement::of(&packet(client, ("192.0.2.2", 80)), &services, WHEN), None);
    }

    #[test]
    fn carriers_sent_to_a_service_count_beside_it_whatever_they_carry() {
        let services = Services::new(vec![Service::parse("web=192.0.2.1:80").unwrap()]).unwrap();
        let inside = packet(("10.0.0.1", 5000), ("10.0.0.2", 80));
        let mut layers = Layers::NONE;
        assert_eq!(Placement::of(&Packet { layers: &layers, ..inside }, &services, WHEN), None);
        for (source, destination) in [("10.9.0.1", "10.9.0.2"), ("198.51.100.9", "192.0.2.1")] {
            let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
            layers.enter(Tunnel { kind: TunnelKind::Gre, source, destination, id: None }).unwrap();
        }
        let placement = Placement::of(&Packet { layers: &layers, ..inside }, &services, WHEN).unwrap();
        assert_eq!(placement.sighting.named, Some((Named::Beside(ServiceId(0)), Direction::ToServer)));
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
            Placement::of(&packet(one, other), &none, WHEN).unwrap(),
            Placement::of(&packet(other, one), &none, WHEN).unwrap()
        );
    }

    #[test]
    fn shards_are_all_used() {
        let used: std::collections::BTreeSet<u8> =
            (0..5_000_u32).map(|n| shard(bits(std::net::Ipv4Addr::from(n << 8).into()))).collect();
        assert_eq!(used.len(), SHARDS);
    }
}
