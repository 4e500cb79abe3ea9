//! Which messages of ICMP and ICMPv6 belong together: a request's type and its answer's.
//! Comes in: a type. Goes out: its counterpart, where it has one. The pairs are those of Zeek and of the Community ID
//! specification.

/// The protocol number of ICMP.
pub(super) const ICMP: u8 = 1;
/// The protocol number of ICMPv6.
pub(super) const ICMP6: u8 = 58;

/// What a message is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    /// A message of that type answers it, or is answered by it.
    With(u8),
    /// Nothing answers it.
    None,
}

/// Requests and answers of ICMP: echo, router solicitation, time stamp, information, address mask.
const PAIRS: [(u8, u8); 5] = [(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];

/// Requests and answers of ICMPv6: echo, listener query, router and neighbour solicitation, node information, home agent
/// discovery.
const PAIRS6: [(u8, u8); 6] = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// What messages of type `kind` are answered with.
pub(super) fn pairing(protocol: u8, kind: u8) -> Pairing {
    let pairs: &[(u8, u8)] = if protocol == ICMP { &PAIRS } else { &PAIRS6 };
    let other = pairs.iter().find_map(|(request, answer)| match kind {
        kind if kind == *request => Some(*answer),
        kind if kind == *answer => Some(*request),
        _ => None,
    });
    other.map_or(Pairing::None, Pairing::With)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_pairs_and_unreachable_does_not() {
        assert_eq!(pairing(ICMP, 8), Pairing::With(0));
        assert_eq!(pairing(ICMP, 0), Pairing::With(8));
        assert_eq!(pairing(ICMP, 3), Pairing::None);
        assert_eq!(pairing(ICMP6, 136), Pairing::With(135));
        assert_eq!(pairing(ICMP6, 8), Pairing::None);
    }
}
