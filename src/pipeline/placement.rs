//! Which service a packet belongs to, which way it goes, and which shard follows it.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;

use crate::decode::Packet;
use crate::service::{Direction, Scope, Services};

/// The shards that work is cut into. A shard owns its flows and its caps, so that nothing depends on how many workers
/// share the shards out.
pub const SHARDS: usize = 64;

/// Where a packet is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// The shard.
    pub shard: u8,
    /// The named service and the direction; `None` where services are still to be found.
    pub named: Option<(Scope, Direction)>,
}

impl Placement {
    /// Places a packet; `None` where it concerns no named service.
    pub fn of(packet: &Packet<'_>, services: &Services) -> Option<Self> {
        if services.is_empty() {
            let (one, other) = (packet.source, packet.destination);
            return Some(Self { shard: shard(&(one.min(other), one.max(other))), named: None });
        }
        let ports = packet.ports();
        let to = services.scope_of(packet.destination, ports.map(|(_, port)| port));
        let from = || services.scope_of(packet.source, ports.map(|(port, _)| port));
        let (scope, direction) = match to {
            Some(scope @ Scope::Service(_)) => (scope, Direction::ToServer),
            Some(scope) => match from() {
                Some(own @ Scope::Service(_)) => (own, Direction::ToClient),
                _ => (scope, Direction::ToServer),
            },
            None => (from()?, Direction::ToClient),
        };
        let client: IpAddr = match direction {
            Direction::ToServer => packet.source,
            Direction::ToClient => packet.destination,
        };
        Some(Self { shard: shard(&client), named: Some((scope, direction)) })
    }
}

fn shard(of: &impl std::hash::Hash) -> u8 {
    (FixedState::with_seed(0).hash_one(of) >> 58) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Transport, UdpDatagram};
    use crate::service::{Service, ServiceId};

    fn packet(from: (&str, u16), to: (&str, u16)) -> Packet<'static> {
        Packet {
            source: from.0.parse().unwrap(),
            destination: to.0.parse().unwrap(),
            ip_len: 28,
            transport: Transport::Udp(UdpDatagram {
                source_port: from.1,
                destination_port: to.1,
                payload: &[],
            }),
        }
    }

    #[test]
    fn both_directions_meet_in_the_clients_shard() {
        let services = Services::new(vec![Service::parse("web=192.0.2.1:80").unwrap()]).unwrap();
        let (client, server) = (("198.51.100.9", 5000), ("192.0.2.1", 80));
        let there = Placement::of(&packet(client, server), &services).unwrap();
        let back = Placement::of(&packet(server, client), &services).unwrap();
        let scope = Scope::Service(ServiceId(0));
        assert_eq!(there.named, Some((scope, Direction::ToServer)));
        assert_eq!(back.named, Some((scope, Direction::ToClient)));
        assert_eq!(there.shard, back.shard);
        assert_eq!(Placement::of(&packet(client, ("192.0.2.2", 80)), &services), None);
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
            (0..5_000_u32).map(|n| shard(&IpAddr::from(std::net::Ipv4Addr::from(n)))).collect();
        assert_eq!(used.len(), SHARDS);
    }
}
