//! [Community ID](https://github.com/corelight/community-id-spec) version 1: one name for a flow, whichever tool saw it.
//! Comes in: both ends and the protocol. Goes out: a short text. The seed is 0.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Whether the messages of a flow are answered. What is not answered keeps its direction in its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Both directions are one flow.
    Both,
    /// Each direction is a flow of its own.
    OneWay,
}

/// The identity of the flow from `source` to `destination`; with ICMP and ICMPv6 the ports are the type and its
/// counterpart (or the code, where the type has none).
pub fn community_id(source: SocketAddr, destination: SocketAddr, protocol: u8, answer: Answer) -> String {
    let swapped =
        answer == Answer::Both && (source.ip(), source.port()) > (destination.ip(), destination.port());
    let (one, other) = if swapped { (destination, source) } else { (source, destination) };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    for end in [one, other] {
        match end.ip() {
            IpAddr::V4(v4) => hash.update(v4.octets()),
            IpAddr::V6(v6) => hash.update(v6.octets()),
        }
    }
    hash.update([protocol, 0]);
    hash.update(one.port().to_be_bytes());
    hash.update(other.port().to_be_bytes());
    let mut id = String::from("1:");
    STANDARD.encode_string(hash.finalize(), &mut id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, destination: &str, protocol: u8) -> String {
        community_id(source.parse().unwrap(), destination.parse().unwrap(), protocol, Answer::Both)
    }

    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(id("1.2.3.4:1122", "5.6.7.8:3344", 6), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
        assert_eq!(id("5.6.7.8:3344", "1.2.3.4:1122", 6), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
    }

    #[test]
    fn what_is_not_answered_keeps_its_direction() {
        let (one, other) = ("192.0.2.1:3".parse().unwrap(), "192.0.2.2:1".parse().unwrap());
        let there = community_id(one, other, 1, Answer::OneWay);
        assert_ne!(there, community_id(other, one, 1, Answer::OneWay));
        assert_eq!(there, community_id(one, other, 1, Answer::Both));
    }
}
