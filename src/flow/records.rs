//! The records of TLS (RFC 8446 section 5.1) as far as their headers tell: a byte of type, two of version, two of length.
//! Comes in: a client's segment behind its hello. Goes out: whether it goes on with the handshake, whether it asks for
//! anything, and how often in short. What is in records is sealed.

const HEADER: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The shortest record that asks for something. Below are alerts (19 bytes) and the end of a TLS 1.3 handshake (53, or 69
/// with SHA-384).
const LEAST_REQUEST: usize = 80;

/// The shortest record that asks for something where its answer tells that it did.
const LEAST_SHORT: usize = 52;

/// The longest record of which many come where requests are begun and called back in their thousands: a head of HTTP/2 whose
/// fields the other side knows already, the frame that calls it back, and the seal have some 80.
const MOST_SMALL: usize = 120;

/// Records of one segment that are looked at: a handshake ends with a certificate, a key, a signature and two more; of the
/// smallest ones that ask for something, a segment has room for fifty.
const MOST_RECORDS: usize = 64;

/// Whether a segment begins with a record of a handshake.
pub(super) fn begins_with_handshake(payload: &[u8]) -> bool {
    matches!(payload, [HANDSHAKE, 3, 0..=4, ..])
}

/// Whether a segment ends a handshake that was cut short, of a session that is taken up again (TLS 1.2): it changes the
/// cipher, and what follows is a record of the handshake still.
pub(super) fn end_a_handshake(payload: &[u8]) -> bool {
    matches!(payload, [CHANGE_CIPHER_SPEC, 3, 0..=4, 0, 1, _, HANDSHAKE, ..])
}

/// Whether one of a segment's records is long enough to ask for something.
pub(super) fn hold_a_request(payload: &[u8]) -> bool {
    sealed(payload).any(|len| len >= LEAST_REQUEST)
}

/// How many records of a segment may ask for something and are short: longer than the frames that keep a connection of
/// HTTP/2 going, two windows of which make a record of 50 bytes, and too short for most requests. The end of a TLS 1.3
/// handshake is one of them.
pub(super) fn short(payload: &[u8]) -> u16 {
    let asks = |len: &usize| (LEAST_SHORT..=MOST_SMALL).contains(len);
    match payload {
        [CHANGE_CIPHER_SPEC | APPLICATION_DATA, 3, 0..=4, ..] => sealed(payload).filter(asks).count() as u16,
        _ => 0,
    }
}

/// How many small records with something sealed in them begin in a segment.
pub(super) fn small(payload: &[u8]) -> u16 {
    match payload {
        [APPLICATION_DATA, 3, 0..=4, ..] => sealed(payload).filter(|len| *len <= MOST_SMALL).count() as u16,
        _ => 0,
    }
}

/// The lengths of the records with something sealed in them that begin in a segment; at its start, one does.
fn sealed(payload: &[u8]) -> impl Iterator<Item = usize> {
    let mut rest = payload;
    let records = std::iter::from_fn(move || {
        let [kind, _, _, high, low, ..] = *rest else { return None };
        let len = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(HEADER + len..).unwrap_or_default();
        Some((kind, len))
    });
    records.take(MOST_RECORDS).filter(|(kind, _)| *kind == APPLICATION_DATA).map(|(_, len)| len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, len: usize) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        record.extend((len as u16).to_be_bytes());
        record.resize(HEADER + len, 0);
        record
    }

    #[test]
    fn a_request_is_found_behind_the_end_of_a_handshake() {
        let ends = [record(HANDSHAKE, 37), record(20, 1), record(HANDSHAKE, 40)].concat();
        assert!(begins_with_handshake(&ends) && !hold_a_request(&ends));
        assert!(hold_a_request(&[ends.clone(), record(APPLICATION_DATA, 200)].concat()));
        assert!(!hold_a_request(&[ends, record(APPLICATION_DATA, 69)].concat()));
    }

    #[test]
    fn small_records_are_counted_from_where_a_segment_begins_with_one() {
        let asks = record(APPLICATION_DATA, 80);
        assert_eq!(small(&asks.repeat(17)), 17);
        assert_eq!(small(&[asks.clone(), record(APPLICATION_DATA, 500), asks.clone()].concat()), 2);
        // The last one goes on in the next segment.
        assert_eq!(small(&asks.repeat(3)[..200]), 3);
        assert_eq!(small(&asks[1..]) + small(&record(21, 26)), 0);
        assert_eq!(small(&[APPLICATION_DATA, 3, 3, 0, 0].repeat(300)), MOST_RECORDS as u16);
    }

    #[test]
    fn whatever_comes_is_stepped_over_within_bounds() {
        for bytes in [&[][..], &[22], &[22, 3, 3, 0xff, 0xff, 1], &[23; 4], &[0; 4_096]] {
            assert!(!hold_a_request(bytes) && small(bytes) == 0, "{bytes:?}");
        }
        assert!(!begins_with_handshake(&[22, 3]) && !begins_with_handshake(b"GET / HTTP/1.1"));
    }
}
