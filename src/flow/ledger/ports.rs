//! Ports that servers listen on, for conversations whose beginning was not seen.
//! Comes in: a port. Goes out: whether it is likely the server's. The list is that of Zeek's shipped protocols
//! (`likely_server_ports`).

use super::super::key::Protocol;

/// Sorted, so that a search finds them.
const TCP: [u16; 48] = [
    21, 22, 25, 53, 80, 81, 88, 110, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636, 853,
    989, 990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5222, 5223, 5269, 5432, 6379,
    6666, 6667, 6668, 6669, 8000, 8080, 8888, 20_000,
];

/// Sorted, so that a search finds them.
const UDP: [u16; 23] = [
    53, 67, 88, 123, 137, 161, 162, 389, 443, 514, 784, 1812, 2123, 2152, 3268, 3544, 4789, 5060, 5072, 5353,
    5355, 6081, 20_000,
];

/// Ports of DNS and of what speaks its format: name service of NetBIOS, multicast DNS, link-local resolution.
const DNS: [u16; 4] = [53, 137, 5353, 5355];

/// Whether servers of `protocol` are known to listen on `port`.
pub(super) fn is_likely_server(protocol: Protocol, port: u16) -> bool {
    match protocol {
        Protocol::Tcp => TCP.binary_search(&port).is_ok(),
        Protocol::Udp => UDP.binary_search(&port).is_ok(),
        Protocol::Icmp | Protocol::Icmp6 | Protocol::Sctp => false,
    }
}

/// Whether what is sent there is a question that is soon answered.
pub(super) fn is_dns(port: u16) -> bool {
    DNS.contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(TCP.is_sorted() && UDP.is_sorted());
        assert!(is_likely_server(Protocol::Tcp, 443) && !is_likely_server(Protocol::Tcp, 40_000));
    }
}
