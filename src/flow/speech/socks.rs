//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): what is said before the tunnel begins. Comes in: bytes of either side.
//! Goes out: how many of them to step over. Keeps neither names nor passwords.

/// What the beginning of a side's bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A message of so many bytes, with more of the kind to come.
    More(usize),
    /// The last message, of so many bytes, before the tunnel.
    Last(usize),
    /// It may become one.
    Partial,
    /// Something else.
    Other,
}

/// Longer names of users and hosts are none.
const MAX_NAME: usize = 256;

/// The methods a client of version 5 may offer; the registry of methods has ten.
const MAX_METHODS: u8 = 10;

/// What a client says first.
pub(super) fn greeting(bytes: &[u8]) -> Step {
    match bytes {
        [4] | [5] => Step::Partial,
        [4, 1 | 2, rest @ ..] => version4(rest).unwrap_or(Step::Partial),
        [5, count @ 1..=MAX_METHODS, methods @ ..] => {
            let offered = &methods[..methods.len().min(usize::from(*count))];
            // 0 to 9 are registered, 0x80 and above are private (RFC 1928 section 3).
            if offered.iter().any(|method| (10..0x80).contains(method)) {
                return Step::Other;
            }
            let len = 2 + usize::from(*count);
            if bytes.len() < len { Step::Partial } else { Step::More(len) }
        }
        _ => Step::Other,
    }
}

/// What a client of version 5 says after its greeting.
pub(super) fn request(bytes: &[u8]) -> Step {
    match bytes {
        [1, ..] => password(bytes).map_or(Step::Partial, Step::More),
        [5] | [5, 1..=3] | [5, 1..=3, 0] => Step::Partial,
        [5, 1..=3, 0, rest @ ..] => ended(rest),
        _ => Step::Other,
    }
}

/// What a server says; `first` of all it picks a method, or answers version 4.
pub(super) fn reply(bytes: &[u8], first: bool) -> Step {
    match bytes {
        [0] if first => Step::Partial,
        [0, 0x5a..=0x5d, ..] if first => {
            if bytes.len() < 8 {
                Step::Partial
            } else {
                Step::Last(8)
            }
        }
        [5] => Step::Partial,
        [5, _, ..] if first => Step::More(2),
        [1] => Step::Partial,
        [1, _, ..] if !first => Step::More(2),
        [5, _] | [5, _, 0] => Step::Partial,
        [5, _, 0, rest @ ..] => ended(rest),
        _ => Step::Other,
    }
}

/// Port, address, user and, in 4a, a host's name, each ended by a zero.
fn version4(rest: &[u8]) -> Option<Step> {
    let [_, _, a, b, c, d, names @ ..] = rest else { return None };
    let named = [*a, *b, *c] == [0; 3] && *d != 0;
    let mut ends = names.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
    let end = if named { ends.nth(1) } else { ends.next() };
    match end {
        Some(end) if end < 2 * MAX_NAME => Some(Step::Last(2 + 6 + end + 1)),
        None if names.len() < 2 * MAX_NAME => None,
        _ => Some(Step::Other),
    }
}

/// User and password, each behind its length.
fn password(bytes: &[u8]) -> Option<usize> {
    let user = usize::from(*bytes.get(1)?);
    let secret = usize::from(*bytes.get(2 + user)?);
    let len = 3 + user + secret;
    (bytes.len() >= len).then_some(len)
}

/// The address and port that a request or reply of version 5 ends with, behind three bytes.
fn ended(rest: &[u8]) -> Step {
    let address = match rest {
        [1, ..] => 4,
        [4, ..] => 16,
        [3, len, ..] => 1 + usize::from(*len),
        [] | [3] => return Step::Partial,
        _ => return Step::Other,
    };
    let len = 1 + address + 2;
    if rest.len() < len { Step::Partial } else { Step::Last(3 + len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_5_with_a_password() {
        assert_eq!(greeting(&[5, 2, 0, 2, 9]), Step::More(4));
        assert_eq!(request(b"\x01\x02me\x03pwd\x05"), Step::More(8));
        assert_eq!(request(b"\x05\x01\x00\x03\x04a.kr\x01\xbb\x16"), Step::Last(11));
        assert_eq!(request(&[5, 1, 0, 1, 192, 0, 2, 1, 0]), Step::Partial);
        assert_eq!(reply(&[5, 2], true), Step::More(2));
        assert_eq!(reply(&[1, 0], false), Step::More(2));
        assert_eq!(reply(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 22], false), Step::Last(10));
        assert_eq!(greeting(&[5, 0]), Step::Other);
        assert_eq!(greeting(&[5, 1, 77]), Step::Other);
    }

    #[test]
    fn version_4_with_and_without_a_name() {
        assert_eq!(greeting(b"\x04\x01\x00\x50\xc0\x00\x02\x01me\0GET"), Step::Last(11));
        assert_eq!(greeting(b"\x04\x01\x00\x50\x00\x00\x00\x01me\0a.example\0"), Step::Last(21));
        assert_eq!(greeting(b"\x04\x01\x00\x50\x00\x00\x00\x01me\0a.exa"), Step::Partial);
        assert_eq!(reply(b"\x00\x5a\0\0\0\0\0\0", true), Step::Last(8));
    }
}
