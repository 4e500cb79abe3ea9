//! HTTP/1 heads: request line, Host and User-Agent; status of a response.
//! Comes in: bytes at the beginning of a message. Goes out: borrowed parts. Cookies, credentials, query strings and
//! bodies are not looked at further than to step over them.

use std::str;

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method as sent.
    pub method: &'a str,
    /// The target without its query, at most `MAX_PATH` bytes; bytes that are no UTF-8 end it.
    pub path: &'a str,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
}

/// What the beginning of a client's bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin<'a> {
    /// A request; the length of its head as far as it lies in the buffer.
    Request(RequestHead<'a>, usize),
    /// It may become a request line when more comes.
    Partial,
    /// No HTTP/1 request.
    Other,
}

/// Paths are cut here: long enough to tell pages apart, short enough to keep in tallies.
pub const MAX_PATH: usize = 256;

/// Header values are cut here; browsers' agents stay under 300 bytes.
const MAX_VALUE: usize = 512;

/// A request line longer than this is none (RFC 9112 recommends support for 8,000 octets).
pub(super) const MAX_LINE: usize = 8_192;

/// How many headers are looked through for Host and User-Agent.
const MAX_HEADERS: usize = 64;

const METHODS: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// Reads the beginning of a request.
pub(super) fn request(bytes: &[u8]) -> Begin<'_> {
    if !may_be_method(bytes) {
        return Begin::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(bytes);
    let (Some(method), Some(target), Some(_)) = (parsed.method, parsed.path, parsed.version) else {
        return match status {
            Ok(httparse::Status::Partial) if bytes.len() < MAX_LINE => Begin::Partial,
            _ => Begin::Other,
        };
    };
    let len = match status {
        Ok(httparse::Status::Complete(len)) => len,
        // The rest of the head is in later segments, or is no HTTP: the request line counts as it stands.
        Ok(httparse::Status::Partial) | Err(_) => bytes.len(),
    };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(text(found.value, MAX_VALUE))
    };
    let head =
        RequestHead { method, path: path_of(target), host: header("host"), user_agent: header("user-agent") };
    Begin::Request(head, len)
}

/// Reads the status of a response that begins with `bytes`.
pub(super) fn status(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5).filter(|_| rest.get(1) == Some(&b' '))?;
    str::from_utf8(digits).ok()?.parse().ok().filter(|status| (100..600).contains(status))
}

fn may_be_method(bytes: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        let common = method.len().min(bytes.len());
        bytes[..common] == method.as_bytes()[..common]
            && bytes.get(method.len()).is_none_or(|after| *after == b' ')
    })
}

/// The target without scheme, authority, query and fragment.
fn path_of(target: &str) -> &str {
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let end = target.find(['?', '#']).unwrap_or(target.len());
    text(&target.as_bytes()[..end], MAX_PATH)
}

/// The longest beginning of `bytes` that is UTF-8 and at most `most` bytes long.
fn text(bytes: &[u8], most: usize) -> &str {
    let cut = &bytes[..bytes.len().min(most)];
    match str::from_utf8(cut) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&cut[..error.valid_up_to()]).unwrap_or(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(bytes: &[u8]) -> RequestHead<'_> {
        match request(bytes) {
            Begin::Request(head, _) => head,
            other => panic!("no request: {other:?}"),
        }
    }

    #[test]
    fn reads_a_whole_head() {
        let bytes = b"GET /bid/list?page=2 HTTP/1.1\r\nhost: pps.example\r\nCookie: secret\r\nUser-Agent: x\r\n\r\nrest";
        let head = head(bytes);
        assert_eq!((head.method, head.path), ("GET", "/bid/list"));
        assert_eq!((head.host, head.user_agent), (Some("pps.example"), Some("x")));
        assert!(matches!(request(bytes), Begin::Request(_, len) if len == bytes.len() - 4));
    }

    #[test]
    fn a_request_line_alone_is_a_request() {
        assert_eq!(head(b"GET /slow HTTP/1.1\r\nUser-Agent: s\r\nX-a").user_agent, Some("s"));
        assert_eq!(request(b"GET /long"), Begin::Partial);
        assert_eq!(request(b"GE"), Begin::Partial);
        assert_eq!(request(b"GETX / HTTP/1.1\r\n"), Begin::Other);
        assert_eq!(request(b"\x16\x03\x01"), Begin::Other);
    }

    #[test]
    fn absolute_targets_and_odd_bytes() {
        assert_eq!(head(b"GET http://a.example/x#y HTTP/1.1\r\n\r\n").path, "/x");
        assert_eq!(head(b"OPTIONS * HTTP/1.1\r\n\r\n").path, "*");
        assert_eq!(text(b"ab\xffcd", 9), "ab");
        assert_eq!(text("가나".as_bytes(), 4), "가");
    }

    #[test]
    fn reads_a_status() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status(b"HTTP/1.0 200"), Some(200));
        assert_eq!(status(b"HTTP/1.1 999 x"), None);
        assert_eq!(status(b"HTTP/2 200"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_do(bytes in proptest::collection::vec(any::<u8>(), 0..300), lead in 0..METHODS.len()) {
            let _ = (request(&bytes), status(&bytes));
            let mut led = METHODS[lead].as_bytes().to_vec();
            led.push(b' ');
            led.extend(&bytes);
            let _ = request(&led);
        }
    }
}
