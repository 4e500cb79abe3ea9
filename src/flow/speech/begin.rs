//! What a sender's first bytes begin. Comes in: bytes at the start of a connection, of a tunnel, or behind a proxy's
//! word. Goes out: which reader goes on. Decides as soon as no other answer is possible, so that the answer does not
//! depend on how the bytes were cut into segments.

use std::net::IpAddr;

use super::h2::PREFACE;
use super::proxy::{self, begins};
use super::socks;

/// What bytes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// A request, if its line turns out to be one.
    Request,
    /// A response's head.
    Response,
    /// HTTP/2's preface, whole.
    Preface,
    /// A TLS handshake record.
    Tls,
    /// A PROXY header of so many bytes; what follows begins anew.
    Proxied(usize, Option<IpAddr>),
    /// A SOCKS greeting of so many bytes; a request follows.
    SocksGreeting(usize),
    /// A SOCKS request of so many bytes; the tunnel follows.
    SocksRequest(usize),
    /// A message of so many bytes that asks for TLS in a protocol of its own.
    AsksForTls(usize),
    /// Text of an unknown protocol.
    Text,
    /// One of several of these.
    Partial,
    /// Nothing known.
    Other,
}

/// PostgreSQL's SSLRequest, the whole message.
const POSTGRES: &[u8; 8] = &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

/// MySQL's SSL request: 32 bytes, the second packet of the connection.
const MYSQL: &[u8; 4] = &[32, 0, 0, 1];
const MYSQL_LEN: usize = 36;

/// The longest connection request of RDP in its TPKT (RFC 1006): with a cookie and a correlation it stays under this.
const MAX_TPKT: usize = 512;

/// Says what `bytes`, which are not empty, begin.
pub(super) fn begin(bytes: &[u8]) -> Begin {
    match bytes.first() {
        Some(b'P') => pri_or_proxy(bytes),
        Some(b'H') if begins(bytes, b"HTTP/") => {
            if bytes.len() < 5 {
                Begin::Partial
            } else {
                Begin::Response
            }
        }
        Some(b'A'..=b'Z') => Begin::Request,
        Some(22) => Begin::Tls,
        Some(4 | 5) => match socks::greeting(bytes) {
            socks::Step::More(len) => Begin::SocksGreeting(len),
            socks::Step::Last(len) => Begin::SocksRequest(len),
            socks::Step::Partial => Begin::Partial,
            socks::Step::Other => Begin::Other,
        },
        Some(b'\r') => proxied(bytes, Begin::Text),
        Some(0) => fixed(bytes, POSTGRES, POSTGRES.len()),
        Some(32) if begins(bytes, MYSQL) => fixed(bytes, MYSQL, MYSQL_LEN),
        Some(3) => tpkt(bytes),
        Some(b'\n' | b'\t' | b' '..=b'~') => Begin::Text,
        _ => Begin::Other,
    }
}

fn pri_or_proxy(bytes: &[u8]) -> Begin {
    if begins(bytes, PREFACE) {
        return if bytes.len() < PREFACE.len() { Begin::Partial } else { Begin::Preface };
    }
    proxied(bytes, Begin::Request)
}

fn proxied(bytes: &[u8], or: Begin) -> Begin {
    match proxy::header(bytes) {
        proxy::Header::Whole(len, client) => Begin::Proxied(len, client),
        proxy::Header::Partial => Begin::Partial,
        proxy::Header::Other => or,
    }
}

fn fixed(bytes: &[u8], word: &[u8], len: usize) -> Begin {
    match begins(bytes, word) {
        false => Begin::Other,
        true if bytes.len() < len => Begin::Partial,
        true => Begin::AsksForTls(len),
    }
}

fn tpkt(bytes: &[u8]) -> Begin {
    match bytes {
        [3] | [3, 0] | [3, 0, _] => Begin::Partial,
        [3, 0, high, low, ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            match len {
                7..=MAX_TPKT if bytes.len() < len => Begin::Partial,
                7..=MAX_TPKT => Begin::AsksForTls(len),
                _ => Begin::Other,
            }
        }
        _ => Begin::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_is_known() {
        assert_eq!(begin(b"POST / HTTP/1.1\r\n"), Begin::Request);
        assert_eq!(begin(b"HEAD / HTTP/1.1\r\n"), Begin::Request);
        assert_eq!(begin(b"HTTP/1.1 200 OK"), Begin::Response);
        assert_eq!(begin(PREFACE), Begin::Preface);
        assert_eq!(begin(&[22, 3, 1]), Begin::Tls);
        assert_eq!(begin(POSTGRES), Begin::AsksForTls(8));
        assert_eq!(begin(&[3, 0, 0, 8, 1, 2, 3, 4, 5]), Begin::AsksForTls(8));
        assert_eq!(begin(b"220 mail.example ESMTP\r\n"), Begin::Text);
        assert_eq!(begin(&[0x80, 1]), Begin::Other);
    }

    proptest! {
        /// More bytes may settle what was partial, and change nothing that was settled.
        #[test]
        fn what_is_settled_stays(bytes in proptest::collection::vec(any::<u8>(), 1..60), known in 0..6_usize) {
            let known: &[u8] =
                [&b""[..], PREFACE, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", &[5, 1, 0], POSTGRES, &[3, 0, 0, 9]][known];
            let bytes = [known, &bytes].concat();
            let mut settled = Begin::Partial;
            for len in 1..=bytes.len() {
                let now = begin(&bytes[..len]);
                prop_assert!(settled == Begin::Partial || settled == now, "{settled:?} became {now:?} at {len}");
                settled = now;
            }
        }
    }
}
