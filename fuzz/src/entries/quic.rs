//! QUIC version 1 Initial packets of a client ([RFC 9001](https://www.rfc-editor.org/rfc/rfc9001) section 5): frames come
//! in, a protected packet goes out. Without it no hostile frame gets past the seal.

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

/// RFC 9001 section 5.2.
const SALT: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];

/// The connection ID that all packets go to.
const ID: [u8; 8] = *b"deadline";

/// The packet of that number with these frames, at most 1,200 bytes of them.
pub fn initial(number: u8, frames: &[u8]) -> Vec<u8> {
    let mut payload = frames[..frames.len().min(1_200)].to_vec();
    // Header protection takes its sample from behind four bytes of packet number.
    payload.resize(payload.len().max(4), 0);
    let mut packet = [&[0xc0, 0, 0, 0, 1, ID.len() as u8][..], &ID, &[0, 0]].concat();
    packet.extend((0x4000 | (1 + payload.len() + AES_128_GCM.tag_len()) as u16).to_be_bytes());
    let number_at = packet.len();
    packet.push(number);
    seal(packet, number_at, payload).unwrap_or_default()
}

fn seal(mut packet: Vec<u8>, number_at: usize, mut payload: Vec<u8>) -> Option<Vec<u8>> {
    let client = expand(hmac::sign(&key(&SALT), &ID).as_ref(), "client in");
    let mut iv: [u8; 12] = expand(&client, "quic iv")[..12].try_into().ok()?;
    iv[11] ^= packet[number_at];
    let sealing = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &expand(&client, "quic key")[..16]).ok()?);
    let nonce = Nonce::assume_unique_for_key(iv);
    sealing.seal_in_place_append_tag(nonce, Aad::from(&packet), &mut payload).ok()?;
    packet.extend(payload);
    let header = HeaderProtectionKey::new(&AES_128, &expand(&client, "quic hp")[..16]).ok()?;
    let mask = header.new_mask(&packet[number_at + 4..][..16]).ok()?;
    packet[0] ^= mask[0] & 0x0f;
    packet[number_at] ^= mask[1];
    Some(packet)
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1), of which the first bytes are used.
fn expand(secret: &[u8], label: &str) -> [u8; 32] {
    let len = match label {
        "client in" => 32,
        "quic iv" => 12,
        _ => 16,
    };
    let label = [&[0, len, 6 + label.len() as u8], &b"tls13 "[..], label.as_bytes(), &[0, 1]].concat();
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&key(secret), &label).as_ref());
    out
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}
