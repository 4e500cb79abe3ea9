//! The records of TLS (RFC 8446 section 5.1) as far as their headers tell: a byte of type, two of version, two of length.
//! Comes in: a client's segment behind its hello. Goes out: whether it goes on with the handshake, whether it asks for
//! anything. What is in records is sealed.

const HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The shortest record that asks for something. Below are alerts (19 bytes) and the end of a TLS 1.3 handshake (53, or 69
/// with SHA-384).
const LEAST_REQUEST: usize = 80;

/// Records of one segment that are looked at: a handshake ends with a certificate, a key, a signature and two more.
const MOST_RECORDS: usize = 8;

/// Whether a segment begins with a record of a handshake.
pub(super) fn begins_with_handshake(payload: &[u8]) -> bool {
    matches!(payload, [HANDSHAKE, 3, 0..=4, ..])
}

/// Whether one of a segment's records is long enough to ask for something.
pub(super) fn hold_a_request(payload: &[u8]) -> bool {
    let mut rest = payload;
    for _ in 0..MOST_RECORDS {
        let [kind, _, _, high, low, ..] = *rest else { return false };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if kind == APPLICATION_DATA && len >= LEAST_REQUEST {
            return true;
        }
        rest = rest.get(HEADER + len..).unwrap_or_default();
    }
    false
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
    fn whatever_comes_is_stepped_over_within_bounds() {
        for bytes in [&[][..], &[22], &[22, 3, 3, 0xff, 0xff, 1], &[23; 4], &[0; 4_096]] {
            assert!(!hold_a_request(bytes), "{bytes:?}");
        }
        assert!(!begins_with_handshake(&[22, 3]) && !begins_with_handshake(b"GET / HTTP/1.1"));
    }
}
