//! HTTP/1 heads (RFC 9112): request line or status, and the few headers that say who is asked, who asks and where the
//! message ends. Comes in: bytes at the beginning of a message. Goes out: borrowed parts. Cookies and credentials are
//! stepped over with every other line.

use std::str;

use super::body::{Body, Chunk};
use super::proxy::Forwarded;

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method as sent.
    pub method: &'a str,
    /// The target without its query, at most `MAX_PATH` bytes; bytes that are no UTF-8 end it.
    pub path: &'a str,
    /// The target's query; to be kept by those only who were asked to.
    pub query: Option<Unread<'a>>,
    /// The protocol and its version, `HTTP/1.1`; empty where the line was cut.
    pub protocol: &'a str,
    /// The `Host` header, or the host of an absolute target.
    pub host: Option<Unread<'a>>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// Whom a proxy says it speaks for.
    pub forwarded: Option<Forwarded<'a>>,
    /// Whether the head was seen to its end; else its headers are those that were.
    pub whole: bool,
}

/// A part of a head that becomes text when somebody asks for it, since few do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread<'a>(&'a [u8]);

impl<'a> Unread<'a> {
    /// The text, at most `MAX_VALUE` bytes; bytes that are no UTF-8 end it.
    pub fn text(self) -> &'a str {
        text(self.0, MAX_VALUE)
    }
}

/// What a request's method means for the messages' ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The response has no body, whatever its head says.
    Head,
    /// A tunnel begins where it is granted.
    Connect,
    /// Any other.
    Plain,
}

/// A request's head, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestRead<'a> {
    pub head: RequestHead<'a>,
    pub method: Method,
    pub body: Body,
    /// The length of the head.
    pub len: usize,
}

/// A response's head, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseRead {
    pub status: u16,
    pub body: Body,
    /// Whether it goes on in HTTP/2.
    pub to_h2: bool,
    /// The length of the head.
    pub len: usize,
}

/// What bytes at the beginning of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read<T> {
    /// A head.
    Head(T),
    /// It may become one when more comes.
    Partial,
    /// No head.
    Other,
}

/// Paths are cut here: long enough to tell pages apart, short enough to keep in tallies.
pub const MAX_PATH: usize = 256;

/// Header values are cut here; browsers' agents stay under 300 bytes.
const MAX_VALUE: usize = 512;

/// A request line longer than this is none (RFC 9112 recommends support for 8,000 octets).
const MAX_LINE: usize = 8_192;

/// Heads are told as they stand when they reach this; servers refuse longer ones (Apache and nginx at 8 KiB a line).
pub(super) const MAX_HEAD: usize = 16_384;

/// Methods are this long at most; the longest registered one is `UPDATEREDIRECTREF` with 17.
const MAX_METHOD: usize = 20;

/// Reads a request's head.
pub(super) fn request(bytes: &[u8]) -> Read<RequestRead<'_>> {
    if !may_be_request(bytes) {
        return Read::Other;
    }
    let Some(end) = newline(bytes) else {
        return if bytes.len() < MAX_LINE { Read::Partial } else { Read::Other };
    };
    let Some(line) = RequestLine::of(&bytes[..end]) else { return Read::Other };
    let mut fields = Fields::default();
    match fields.read(bytes, end + 1) {
        Some(len) => Read::Head(line.with(&fields, len)),
        None => Read::Partial,
    }
}

/// Reads what there is of a request's head that will not be seen whole; `None` where not even a target begins.
pub(super) fn request_as_it_stands(bytes: &[u8]) -> Option<RequestRead<'_>> {
    let mut fields = Fields::default();
    let line = match memchr::memchr(b'\n', bytes) {
        Some(end) => {
            fields.read(bytes, end + 1);
            RequestLine::of(&bytes[..end])?
        }
        None => RequestLine::cut(bytes)?,
    };
    let mut read = line.with(&fields, bytes.len());
    read.head.whole = false;
    Some(read)
}

/// Reads a response's head.
pub(super) fn response(bytes: &[u8]) -> Read<ResponseRead> {
    let Some(status) = status(bytes) else {
        let may_be = super::proxy::begins(bytes, b"HTTP/1.") && bytes.len() < STATUS_END;
        return if may_be { Read::Partial } else { Read::Other };
    };
    let Some(end) = newline(bytes) else {
        return if bytes.len() < MAX_LINE { Read::Partial } else { Read::Other };
    };
    let mut fields = Fields::default();
    let Some(len) = fields.read(bytes, end + 1) else { return Read::Partial };
    let to_h2 = status == 101 && fields.upgrade.is_some_and(|to| to.eq_ignore_ascii_case(b"h2c"));
    Read::Head(ResponseRead { status, body: fields.response_body(status), to_h2, len })
}

/// Where the status of a response ends.
const STATUS_END: usize = "HTTP/1.1 200".len();

/// Reads the status of a response that begins with `bytes`.
pub(super) fn status(bytes: &[u8]) -> Option<u16> {
    let [minor, b' ', a, b, c] = bytes.strip_prefix(b"HTTP/1.")?.first_chunk::<5>()? else { return None };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    digit(minor)?;
    let status = digit(a)? * 100 + digit(b)? * 10 + digit(c)?;
    (100..600).contains(&status).then_some(status)
}

/// Whether `bytes` hold the end of a head, of which the first `scanned` hold none.
pub(super) fn has_end(bytes: &[u8], scanned: usize) -> bool {
    // The end may begin in what was scanned: a line's end of two bytes and another's first.
    let from = scanned.saturating_sub(3);
    let rest = bytes.get(from..).unwrap_or_default();
    memchr::memchr_iter(b'\n', rest).any(|at| matches!(rest[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Whether a request line may begin so: a method of capital letters and a space.
pub(super) fn may_be_request(bytes: &[u8]) -> bool {
    let window = &bytes[..bytes.len().min(MAX_METHOD + 1)];
    let end = window.iter().position(|byte| !matches!(byte, b'A'..=b'Z' | b'-' | b'_'));
    match end {
        Some(end) => end > 0 && window[end] == b' ',
        None => window.len() <= MAX_METHOD,
    }
}

struct RequestLine<'a> {
    method: &'a str,
    target: &'a [u8],
    protocol: &'a str,
}

impl<'a> RequestLine<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A method is short: its end is found before a longer search has begun.
        let space = line.iter().position(|byte| *byte == b' ')?;
        let method = common(&line[..space]).or_else(|| str::from_utf8(&line[..space]).ok())?;
        let rest = &line[space + 1..];
        let (target, protocol) = match rest.strip_suffix(b" HTTP/1.1") {
            Some(target) => (target, "HTTP/1.1"),
            None => Self::before_protocol(method, rest)?,
        };
        let target = target.trim_ascii();
        (!target.is_empty()).then_some(Self { method, target, protocol })
    }

    /// Target and protocol of what stands behind the method.
    fn before_protocol(method: &str, rest: &'a [u8]) -> Option<(&'a [u8], &'a str)> {
        // The last space, since careless clients leave some in the target.
        match memchr::memrchr(b' ', rest) {
            Some(at) => protocol_of(&rest[at + 1..]).map(|protocol| (&rest[..at], protocol)),
            // HTTP/0.9 had neither versions nor other methods.
            None => (method == "GET" && rest.starts_with(b"/")).then_some((rest, "HTTP/0.9")),
        }
    }

    /// A line without its end: a common method and the beginning of a path are enough to call it a request.
    fn cut(line: &'a [u8]) -> Option<Self> {
        let space = memchr::memchr(b' ', line)?;
        let method = common(&line[..space])?;
        let target =
            line[space + 1..].split(|byte| *byte == b' ').next().filter(|to| to.starts_with(b"/"))?;
        Some(Self { method, target, protocol: "" })
    }

    fn with(self, fields: &Fields<'a>, len: usize) -> RequestRead<'a> {
        let target = Target::of(self.target);
        let head = RequestHead {
            method: self.method,
            path: text(target.path, MAX_PATH),
            query: target.query.map(Unread),
            protocol: self.protocol,
            host: fields.host.or(target.host).map(Unread),
            user_agent: fields.user_agent.map(|agent| text(agent, MAX_VALUE)),
            forwarded: fields.forwarded(),
            whole: true,
        };
        let method = match self.method {
            "HEAD" => Method::Head,
            "CONNECT" => Method::Connect,
            _ => Method::Plain,
        };
        RequestRead { head, method, body: fields.request_body(), len }
    }
}

/// The protocol and its version that `bytes` spell, where it is HTTP before version 2.
fn protocol_of(bytes: &[u8]) -> Option<&str> {
    let is_http = matches!(bytes, [b'H', b'T', b'T', b'P', b'/', b'0' | b'1', b'.', minor @ ..]
        if minor.len() <= 1 && minor.iter().all(u8::is_ascii_digit));
    str::from_utf8(bytes).ok().filter(|_| is_http)
}

/// The methods of RFC 9110 and RFC 5789.
const COMMON: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

fn common(method: &[u8]) -> Option<&'static str> {
    COMMON.into_iter().find(|common| common.as_bytes() == method)
}

/// A request's target (RFC 9112 section 3.2).
struct Target<'a> {
    host: Option<&'a [u8]>,
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    fn of(target: &'a [u8]) -> Self {
        let (host, rest) = match target {
            [b'/', ..] => (None, target),
            _ => absolute(target).map_or((None, target), |(host, path)| (Some(host), path)),
        };
        let end = memchr::memchr2(b'?', b'#', rest).unwrap_or(rest.len());
        let (path, behind) = rest.split_at(end);
        let query = behind.strip_prefix(b"?").map(|query| {
            let end = memchr::memchr(b'#', query).unwrap_or(query.len());
            &query[..end]
        });
        Self { host, path, query }
    }
}

/// Host and path of an absolute target.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = &target[memchr::memmem::find(target, b"://")? + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    Some((host, if path.starts_with(b"/") { path } else { b"/" }))
}

/// The headers that matter.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    forwarded_for: Option<&'a [u8]>,
    forwarded: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Reads lines from `at` to the empty one; answers the length of the head, `None` where the empty line is missing.
    fn read(&mut self, bytes: &'a [u8], mut at: usize) -> Option<usize> {
        loop {
            let rest = bytes.get(at..)?;
            let end = newline(rest)?;
            match &rest[..end] {
                [] | [b'\r'] => return Some(at + end + 1),
                line => self.line(line),
            }
            at += end + 1;
        }
    }

    /// Takes a line whose name is one of those wanted. Of repeated ones the first counts, of those that proxies add
    /// to the last.
    #[inline]
    fn line(&mut self, line: &'a [u8]) {
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'h') => first(&mut self.host, line, b"Host"),
            Some(b'u') => {
                first(&mut self.user_agent, line, b"User-Agent");
                first(&mut self.upgrade, line, b"Upgrade");
            }
            Some(b'c') => first(&mut self.content_length, line, b"Content-Length"),
            Some(b't') => last(&mut self.transfer_encoding, line, b"Transfer-Encoding"),
            Some(b'x') => last(&mut self.forwarded_for, line, b"X-Forwarded-For"),
            Some(b'f') => last(&mut self.forwarded, line, b"Forwarded"),
            _ => {}
        }
    }

    fn forwarded(&self) -> Option<Forwarded<'a>> {
        let list = |value| text(value, MAX_VALUE);
        match (self.forwarded_for, self.forwarded) {
            (Some(value), _) => Some(Forwarded::For(list(value))),
            (None, Some(value)) => Some(Forwarded::Elements(list(value))),
            (None, None) => None,
        }
    }

    /// RFC 9112 section 6.3: chunks go before a length.
    fn body(&self) -> Option<Body> {
        if self.transfer_encoding.is_some_and(ends_chunked) {
            return Some(Body::Chunked(Chunk::Size));
        }
        length(self.content_length?).map(Body::Length)
    }

    fn request_body(&self) -> Body {
        self.body().unwrap_or(Body::Length(0))
    }

    fn response_body(&self, status: u16) -> Body {
        match status {
            100..200 | 204 | 304 => Body::Length(0),
            _ => self.body().unwrap_or(Body::UntilClose),
        }
    }
}

/// Where the first line ends. Lines of a head are so short that a search that has to be set up costs more than this
/// one, which looks at eight bytes at a time: a byte is zero where taking one away borrows into its highest bit.
fn newline(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64);
        let found = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte == b'\n')?;
    Some(words.len() * 8 + at)
}

/// Whether the last of the encodings is chunks.
fn ends_chunked(value: &[u8]) -> bool {
    value.len() >= 7 && value[value.len() - 7..].eq_ignore_ascii_case(b"chunked")
}

/// The number of bytes that a `Content-Length` says.
fn length(value: &[u8]) -> Option<u64> {
    // Fewer digits than these are no more than 64 bits hold.
    if value.len() < 20 && !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        return Some(value.iter().fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0')));
    }
    str::from_utf8(value).ok()?.parse().ok()
}

#[inline]
fn first<'a, const N: usize>(slot: &mut Option<&'a [u8]>, line: &'a [u8], name: &[u8; N]) {
    if slot.is_none() {
        last(slot, line, name);
    }
}

#[inline]
fn last<'a, const N: usize>(slot: &mut Option<&'a [u8]>, line: &'a [u8], name: &[u8; N]) {
    let Some((have, [b':', value @ ..])) = line.split_first_chunk::<N>() else { return };
    // Nearly everybody spells names as the RFC does, and words of one length are compared at once.
    if have == name || have.eq_ignore_ascii_case(name) {
        *slot = Some(value.trim_ascii());
    }
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

    fn read(bytes: &[u8]) -> RequestRead<'_> {
        match request(bytes) {
            Read::Head(read) => read,
            other => panic!("no request: {other:?}"),
        }
    }

    #[test]
    fn reads_a_whole_head() {
        let bytes =
            b"GET /bid/list?page=2#x HTTP/1.1\r\nhost: pps.example\r\nCookie: secret\r\nUser-Agent: x\r\n\r\nrest";
        let RequestRead { head, method, body, len } = read(bytes);
        assert_eq!(
            (head.method, head.path, head.query.map(Unread::text)),
            ("GET", "/bid/list", Some("page=2"))
        );
        assert_eq!((head.host.map(Unread::text), head.user_agent), (Some("pps.example"), Some("x")));
        assert_eq!((head.protocol, head.whole), ("HTTP/1.1", true));
        assert_eq!((method, body, len), (Method::Plain, Body::Length(0), bytes.len() - 4));
    }

    #[test]
    fn what_is_no_request_is_not_taken_for_one() {
        assert_eq!(request(b"GET /long"), Read::Partial);
        assert_eq!(request(b"GE"), Read::Partial);
        assert_eq!(request(b"EHLO mail.example\r\n"), Read::Other);
        assert_eq!(request(b"GET / RTSP/1.0\r\n"), Read::Other);
        assert_eq!(request(b"\x16\x03\x01"), Read::Other);
        assert_eq!(request(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), Read::Other);
    }

    #[test]
    fn a_head_that_is_cut_is_told_as_it_stands() {
        let cut = request_as_it_stands(b"GET /slow HTTP/1.1\r\nUser-Agent: s\r\nHost: half.exa").unwrap();
        assert_eq!((cut.head.user_agent, cut.head.host, cut.head.whole), (Some("s"), None, false));
        let line = request_as_it_stands(b"GET /bid/li").unwrap();
        assert_eq!((line.head.path, line.head.protocol), ("/bid/li", ""));
        assert_eq!(request_as_it_stands(b"GET"), None);
        assert_eq!(request_as_it_stands(b"LIST /var"), None);
    }

    #[test]
    fn absolute_targets_and_odd_bytes() {
        let absolute = read(b"GET http://a.example?q HTTP/1.1\r\n\r\n").head;
        assert_eq!((absolute.path, absolute.host.map(Unread::text)), ("/", Some("a.example")));
        assert_eq!(read(b"GET http://a.example/x#y HTTP/1.1\r\n\r\n").head.path, "/x");
        assert_eq!(read(b"OPTIONS * HTTP/1.1\r\n\r\n").head.path, "*");
        assert_eq!(read(b"GET   /a b HTTP/1.\n\n").head.path, "/a b");
        assert_eq!(text(b"ab\xffcd", 9), "ab");
        assert_eq!(text("가나".as_bytes(), 4), "가");
    }

    #[test]
    fn says_where_messages_end() {
        let post = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";
        assert_eq!(read(post).body, Body::Chunked(Chunk::Size));
        assert_eq!(read(b"PUT / HTTP/1.1\r\ncontent-length:7\r\n\r\n").body, Body::Length(7));
        let body = |bytes: &'static [u8]| match response(bytes) {
            Read::Head(read) => read.body,
            other => panic!("no response: {other:?}"),
        };
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), Body::Length(12));
        assert_eq!(body(b"HTTP/1.1 304 \r\nContent-Length: 12\r\n\r\n"), Body::Length(0));
        assert_eq!(body(b"HTTP/1.0 200 OK\r\n\r\n"), Body::UntilClose);
    }

    #[test]
    fn the_last_word_of_proxies_counts() {
        let bytes = b"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n\r\n";
        assert_eq!(read(bytes).head.forwarded, Some(Forwarded::For("192.0.2.2")));
    }

    #[test]
    fn reads_a_status() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status(b"HTTP/1.0 200"), Some(200));
        assert_eq!(status(b"HTTP/1.1 999 x"), None);
        assert_eq!(status(b"HTTP/2 200"), None);
        assert_eq!(response(b"HTTP/1.1 20"), Read::Partial);
        assert_eq!(response(b"ICY 200 OK\r\n\r\n"), Read::Other);
    }

    #[test]
    fn an_end_is_found_wherever_it_was_cut() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\nmore";
        for scanned in 0..=24 {
            assert!(has_end(&bytes[..24], scanned.min(23)), "scanned {scanned}");
        }
        assert!(!has_end(&bytes[..23], 0));
        assert!(has_end(b"a\n\nb", 2));
    }

    proptest! {
        #[test]
        fn a_line_ends_at_its_first_newline(bytes in proptest::collection::vec(8..13_u8, 0..40)) {
            prop_assert_eq!(newline(&bytes), bytes.iter().position(|byte| *byte == b'\n'));
        }

        #[test]
        fn any_bytes_do(bytes in proptest::collection::vec(any::<u8>(), 0..300), lead in 0..COMMON.len()) {
            let _ = (request(&bytes), response(&bytes), request_as_it_stands(&bytes));
            let led = [COMMON[lead].as_bytes(), b" /", &bytes].concat();
            let _ = (request(&led), request_as_it_stands(&led));
            let _ = response(&[b"HTTP/1.1 200 ", &bytes[..]].concat());
        }
    }
}
