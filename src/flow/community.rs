//! [Community ID](https://github.com/corelight/community-id-spec) version 1: one name for a flow, whichever tool saw it.
//! Comes in: both ends and the protocol. Goes out: a short text. The seed is 0.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::block_api::compress;

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
    // The seed.
    let mut block = Block { bytes: [0; 64], len: 2 };
    for end in [one, other] {
        match end.ip() {
            IpAddr::V4(v4) => block.add(v4.octets()),
            IpAddr::V6(v6) => block.add(v6.octets()),
        }
    }
    block.add([protocol, 0]);
    block.add(one.port().to_be_bytes());
    block.add(other.port().to_be_bytes());
    let mut id = *b"1:0000000000000000000000000000";
    // The room is that of the digest's text, so that it cannot fall short.
    let _ = STANDARD.encode_slice(block.digest(), &mut id[2..]);
    CommunityId(id)
}

/// The one block of SHA-1 that all fields fit into: seed, addresses, protocol and ports are 40 bytes at most.
struct Block {
    bytes: [u8; 64],
    len: usize,
}

/// SHA-1 begins with these ([FIPS 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final), 5.3.1).
const BEGIN: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

impl Block {
    fn add<const LEN: usize>(&mut self, field: [u8; LEN]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + LEN) {
            place.copy_from_slice(&field);
        }
        self.len += LEN;
    }

    /// Ends the block with a bit and the length in bits (FIPS 180-4, 5.1.1), and gives its digest.
    fn digest(mut self) -> [u8; 20] {
        let bits = self.len as u64 * 8;
        self.add([0x80]);
        self.len = 56;
        self.add(bits.to_be_bytes());
        let mut state = BEGIN;
        compress(&mut state, &[self.bytes]);
        let mut digest = [0; 20];
        for (to, word) in digest.chunks_exact_mut(4).zip(state) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

impl CommunityId {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text, which is ASCII.
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
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
    fn the_digest_is_that_of_sha_1() {
        let mut block = Block { bytes: [0; 64], len: 0 };
        block.add(*b"abc");
        // FIPS 180-4 in its examples.
        let expected = [0xa999_3e36_u32, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d];
        assert_eq!(block.digest().to_vec(), expected.map(u32::to_be_bytes).concat());
    }

    #[test]
    fn what_is_not_answered_keeps_its_direction() {
        let (one, other) = ("192.0.2.1:3".parse().unwrap(), "192.0.2.2:1".parse().unwrap());
        let there = community_id(one, other, 1, Answer::OneWay);
        assert_ne!(there, community_id(other, one, 1, Answer::OneWay));
        assert_eq!(there, community_id(one, other, 1, Answer::Both));
    }
}
