//! What proxies say of the clients they speak for: the PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>), `X-Forwarded-For` and `Forwarded` (RFC 7239).
//! Comes in: the first bytes of a connection, or a header's value. Goes out: an address, to be believed as far as its
//! teller is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;
use std::sync::Arc;

use ipnet::IpNet;

/// The proxies whose word on their clients is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Those with addresses in these prefixes.
    pub fn new(prefixes: &[IpNet]) -> Self {
        Self(prefixes.into())
    }

    /// Whether the one with this address is believed.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(&address))
    }
}

/// A header in which proxies list whom they speak for, the nearest proxy's word last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded<'a> {
    /// The value of `X-Forwarded-For`.
    For(&'a str),
    /// The value of `Forwarded` (RFC 7239).
    Elements(&'a str),
}

/// The beginning of a connection that a PROXY header may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// So many bytes, and the client they name.
    Whole(usize, Option<IpAddr>),
    /// It may become one.
    Partial,
    /// Something else.
    Other,
}

/// Version 1 is one line of at most 107 bytes.
const MAX_LINE: usize = 107;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Addresses and further fields of version 2; longer ones are none (certificates' names come to some hundreds).
const MAX_FIELDS: usize = 2_048;

impl Forwarded<'_> {
    /// The client: going back from the end, the first address that is no trusted proxy's; the first of all where all
    /// are. `None` where something stands before it that is no address.
    pub fn client(&self, trusted: &TrustedProxies) -> Option<IpAddr> {
        let mut client = None;
        let list = match self {
            Forwarded::For(list) | Forwarded::Elements(list) => list,
        };
        for element in list.rsplit(',') {
            let node = match self {
                Forwarded::For(_) => Some(element),
                Forwarded::Elements(_) => node(element),
            };
            let Some(address) = node.and_then(address) else { break };
            client = Some(address);
            if !trusted.contain(address) {
                break;
            }
        }
        client
    }
}

/// The node that an element of `Forwarded` says it is for.
fn node(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// An address with or without quotes, brackets and port.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim().trim_matches('"');
    let bare = node.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(node);
    let address = bare.parse::<IpAddr>().ok().or_else(|| bare.parse::<SocketAddr>().ok().map(|end| end.ip()));
    address.map(|address| address.to_canonical())
}

/// Reads a PROXY header.
pub(super) fn header(bytes: &[u8]) -> Header {
    if begins(bytes, b"PROXY ") {
        version1(bytes)
    } else if begins(bytes, SIGNATURE) {
        version2(bytes).unwrap_or(Header::Partial)
    } else {
        Header::Other
    }
}

/// Whether one of the two is the beginning of the other.
pub(super) fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes.iter().zip(word).all(|(have, want)| have == want)
}

fn version1(bytes: &[u8]) -> Header {
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if bytes.len() < MAX_LINE { Header::Partial } else { Header::Other };
    };
    let Ok(line) = str::from_utf8(&window[..end]) else { return Header::Other };
    let mut words = line.trim_end().split(' ').skip(1);
    match words.next() {
        Some("TCP4" | "TCP6") => match words.next().and_then(address) {
            Some(client) => Header::Whole(end + 1, Some(client)),
            None => Header::Other,
        },
        Some("UNKNOWN") => Header::Whole(end + 1, None),
        _ => Header::Other,
    }
}

fn version2(bytes: &[u8]) -> Option<Header> {
    let [command, family, high, low, fields @ ..] = bytes.get(SIGNATURE.len()..)? else { return None };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if command >> 4 != 2 || len > MAX_FIELDS {
        return Some(Header::Other);
    }
    let fields = fields.get(..len)?;
    // Command 0 is the proxy's own; the upper half of the family says how long addresses are.
    let client = match (command & 0x0f, family >> 4) {
        (1, 1) => fields.first_chunk::<4>().map(|bits| Ipv4Addr::from(*bits).into()),
        (1, 2) => fields.first_chunk::<16>().map(|bits| Ipv6Addr::from(*bits).to_canonical()),
        _ => None,
    };
    Some(Header::Whole(SIGNATURE.len() + 4 + len, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_address_that_is_not_trusted() {
        let trusted = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let nobody = TrustedProxies::default();
        let list = Forwarded::For("1.2.3.4, 198.51.100.7:4711, 10.0.0.9");
        assert_eq!(list.client(&trusted), Some(ip("198.51.100.7")));
        assert_eq!(list.client(&nobody), Some(ip("10.0.0.9")));
        assert_eq!(Forwarded::For("10.1.1.1, 10.0.0.9").client(&trusted), Some(ip("10.1.1.1")));
        assert_eq!(Forwarded::For("198.51.100.7, unknown").client(&trusted), None);
    }

    #[test]
    fn elements_of_rfc_7239() {
        let list = Forwarded::Elements("for=192.0.2.43;proto=http, For=\"[2001:db8:cafe::17]:4711\"");
        let nobody = TrustedProxies::default();
        assert_eq!(list.client(&nobody), Some(ip("2001:db8:cafe::17")));
        assert_eq!(Forwarded::Elements("by=203.0.113.60").client(&nobody), None);
    }

    #[test]
    fn both_versions_of_the_proxy_protocol() {
        let line = b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\nGET";
        assert_eq!(header(line), Header::Whole(line.len() - 3, Some(ip("198.51.100.7"))));
        assert_eq!(header(b"PROXY UNKNOWN\r\n"), Header::Whole(15, None));
        assert_eq!(header(b"PROXY nonsense\r\n"), Header::Other);
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x21, 0x11, 0, 12, 198, 51, 100, 7, 192, 0, 2, 1, 0, 80, 1, 187]);
        assert_eq!(header(&bytes), Header::Whole(28, Some(ip("198.51.100.7"))));
        for cut in 1..bytes.len() {
            assert_eq!(header(&bytes[..cut]), Header::Partial, "cut at {cut}");
        }
        assert_eq!(header(b"\r\n\r\nGET"), Header::Other);
    }
}
