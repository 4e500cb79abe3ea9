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

/// An identity as text: the version, a colon, and a digest in Base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommunityId([u8; LEN]);

/// `1:` and the 20 bytes of SHA-1 in Base64, which writes three bytes as four letters.
const LEN: usize = 2 + 28;

/// What is hashed: a seed of two bytes, two addresses of 16 bytes at most, protocol and padding, two ports.
const MOST_HASHED: usize = 2 + 32 + 2 + 4;

/// The identity of the flow from `source` to `destination`; with ICMP and ICMPv6 the ports are the type and its
/// counterpart (or the code, where the type has none).
pub fn community_id(
    source: SocketAddr,
    destination: SocketAddr,
    protocol: u8,
    answer: Answer,
) -> CommunityId {
    let swapped =
        answer == Answer::Both && (source.ip(), source.port()) > (destination.ip(), destination.port());
    let (one, other) = if swapped { (destination, source) } else { (source, destination) };
    let mut hashed = Hashed { bytes: [0; MOST_HASHED], len: 2 };
    for end in [one, other] {
        match end.ip() {
            IpAddr::V4(v4) => hashed.add(&v4.octets()),
            IpAddr::V6(v6) => hashed.add(&v6.octets()),
        }
    }
    hashed.add(&[protocol, 0]);
    hashed.add(&one.port().to_be_bytes());
    hashed.add(&other.port().to_be_bytes());
    let mut id = *b"1:0000000000000000000000000000";
    let digest = Sha1::digest(hashed.bytes.get(..hashed.len).unwrap_or_default());
    // The room is that of the digest's text, so that it cannot fall short.
    let _ = STANDARD.encode_slice(digest, &mut id[2..]);
    CommunityId(id)
}

/// What is hashed, put together: one step of the digest is cheaper than one for each field.
struct Hashed {
    bytes: [u8; MOST_HASHED],
    len: usize,
}

impl Hashed {
    fn add(&mut self, field: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(field) {
            *to = *from;
        }
        self.len += field.len();
    }
}

impl CommunityId {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, destination: &str, protocol: u8) -> String {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        community_id(source, destination, protocol, Answer::Both).as_str().to_owned()
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
