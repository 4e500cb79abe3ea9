//! The keys of QUIC's Initial packets (RFC 9001 section 5.2, RFC 9369 section 3.3.1), which anybody can derive from
//! what stands in the packet. Comes in: a version and a connection ID. Goes out: packets without their protection, if
//! they are what they claim to be.

use std::ops::Range;

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

/// A version of QUIC whose Initial packets can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// RFC 9000, and the drafts from 21 on, which differ in their salts.
    One(&'static Salt),
    /// RFC 9369.
    Two,
}

type Salt = [u8; 20];

/// RFC 9001 section 5.2.
const SALT_1: Salt = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
/// RFC 9369 section 3.3.1.
const SALT_2: Salt = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
    0xbd, 0x2e, 0xd9,
];
/// draft-ietf-quic-tls-29 to -32.
const SALT_DRAFT_29: Salt = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43,
    0x90, 0xa8, 0x99,
];
/// draft-ietf-quic-tls-23 to -28.
const SALT_DRAFT_23: Salt = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe,
    0xf9, 0xf5, 0x02,
];
/// draft-ietf-quic-tls-21 and -22.
const SALT_DRAFT_21: Salt = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a,
    0x02, 0x64, 0x4a,
];

impl Version {
    /// The version that a packet's number names.
    pub fn of(number: u32) -> Option<Self> {
        match number {
            0x0000_0001 => Some(Version::One(&SALT_1)),
            0x6b33_43cf => Some(Version::Two),
            0xff00_001d..=0xff00_0020 => Some(Version::One(&SALT_DRAFT_29)),
            // mvfst had numbers of its own for drafts 27 and 22.
            0xff00_0017..=0xff00_001c | 0xface_b002 => Some(Version::One(&SALT_DRAFT_23)),
            0xff00_0015..=0xff00_0016 | 0xface_b001 => Some(Version::One(&SALT_DRAFT_21)),
            _ => None,
        }
    }

    /// The bits of a long header that say Initial.
    pub fn initial_type(self) -> u8 {
        match self {
            Version::One(_) => 0,
            Version::Two => 1,
        }
    }

    /// The bits that say Retry, which has no length.
    pub fn retry_type(self) -> u8 {
        match self {
            Version::One(_) => 3,
            Version::Two => 0,
        }
    }

    fn salt(self) -> &'static Salt {
        match self {
            Version::One(salt) => salt,
            Version::Two => &SALT_2,
        }
    }

    fn labels(self) -> [&'static str; 3] {
        match self {
            Version::One(_) => ["quic key", "quic iv", "quic hp"],
            Version::Two => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
        }
    }
}

/// What protects the client's Initial packets.
pub(super) struct Keys {
    header: HeaderProtectionKey,
    payload: LessSafeKey,
    iv: [u8; NONCE_LEN],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Keys")
    }
}

/// Where in a datagram an Initial packet lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Protected<'a> {
    /// The packet from its first byte to its last.
    pub bytes: &'a [u8],
    /// Where its packet number begins.
    pub number_at: usize,
}

/// The longest packet number.
const MAX_NUMBER: usize = 4;

/// What header protection is taken from.
const SAMPLE: usize = 16;

impl Keys {
    /// Derives the keys of the client whose first Initial went to `id`.
    pub fn of(version: Version, id: &[u8]) -> Option<Self> {
        let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, version.salt()), id);
        let client: [u8; 32] = expand(secret.as_ref(), "client in");
        let [key, iv, header] = version.labels();
        let header: [u8; 16] = expand(&client, header);
        let key: [u8; 16] = expand(&client, key);
        Some(Self {
            header: HeaderProtectionKey::new(&AES_128, &header).ok()?,
            payload: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv: expand(&client, iv),
        })
    }

    /// Writes a packet without its protection into `out`, and says where in it the frames lie; `None` where it was not
    /// protected with these keys.
    pub fn open(&self, packet: Protected<'_>, out: &mut Vec<u8>) -> Option<Range<usize>> {
        let Protected { bytes, number_at } = packet;
        let sample = bytes.get(number_at + MAX_NUMBER..)?.first_chunk::<SAMPLE>()?;
        let mask = self.header.new_mask(sample).ok()?;
        out.clear();
        out.extend_from_slice(bytes);
        // RFC 9001 section 5.4.1: four bits of a long header, and the packet number.
        *out.first_mut()? ^= mask[0] & 0x0f;
        let len = usize::from(*out.first()? & 3) + 1;
        let mut number = 0;
        for (byte, mask) in out.get_mut(number_at..number_at + len)?.iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        let start = number_at + len;
        let (header, payload) = out.split_at_mut(start);
        let nonce = Nonce::assume_unique_for_key(self.nonce(number));
        let frames = self.payload.open_in_place(nonce, Aad::from(&*header), payload).ok()?;
        Some(start..start + frames.len())
    }

    fn nonce(&self, number: u64) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, of_number) in nonce.iter_mut().rev().zip(number.to_be_bytes().iter().rev()) {
            *byte ^= of_number;
        }
        nonce
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1), at most the 32 bytes of one round.
fn expand<const LEN: usize>(secret: &[u8], label: &str) -> [u8; LEN] {
    let mut round = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    round.update(&(LEN as u16).to_be_bytes());
    round.update(&[("tls13 ".len() + label.len()) as u8]);
    round.update(b"tls13 ");
    round.update(label.as_bytes());
    round.update(&[0, 1]);
    let mut out = [0; LEN];
    for (to, from) in out.iter_mut().zip(round.sign().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An Initial packet of the client that first wrote to `first`, sent to `id`, with these frames.
    pub fn sealed(version: u32, first: &[u8], id: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
        let known = Version::of(version).unwrap();
        let keys = Keys::of(known, first).unwrap();
        let mut packet = vec![0xc0 | known.initial_type() << 4];
        packet.extend(version.to_be_bytes());
        packet.push(id.len() as u8);
        packet.extend_from_slice(id);
        packet.extend([0, 0]);
        packet.extend((0x4000 | (1 + frames.len() + 16) as u16).to_be_bytes());
        let number_at = packet.len();
        packet.push(number);
        let mut payload = frames.to_vec();
        let nonce = Nonce::assume_unique_for_key(keys.nonce(u64::from(number)));
        keys.payload.seal_in_place_append_tag(nonce, Aad::from(&packet), &mut payload).unwrap();
        packet.extend(payload);
        let mask = keys.header.new_mask(&packet[number_at + MAX_NUMBER..][..SAMPLE]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at] ^= mask[1];
        packet
    }

    #[test]
    fn the_keys_of_the_specifications_come_out() {
        // The connection ID and what follows from it stand in RFC 9001 appendix A.1 and RFC 9369 appendix A.1.
        let id = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let one = Keys::of(Version::of(1).unwrap(), &id).unwrap();
        assert_eq!(one.iv, [0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c]);
        let two = Keys::of(Version::of(0x6b33_43cf).unwrap(), &id).unwrap();
        assert_eq!(two.iv, [0x91, 0xf7, 0x3e, 0x23, 0x51, 0xd8, 0xfa, 0x91, 0x66, 0x0e, 0x90, 0x9f]);
        // RFC 9001 appendix A.2: the sample of the client's Initial and its mask.
        let sample =
            [0xd1, 0xb1, 0xc9, 0x8d, 0xd7, 0x68, 0x9f, 0xb8, 0xec, 0x11, 0xd2, 0x42, 0xb1, 0x23, 0xdc, 0x9b];
        assert_eq!(one.header.new_mask(&sample).unwrap(), [0x43, 0x7b, 0x9a, 0xec, 0x36]);
    }
}
