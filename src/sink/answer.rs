//! What an HTTP status says of a record. Comes in: the head of an answer. Goes out: taken, never, or later and when.

use std::time::Duration;

use hyper::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{StatusCode, header};
use jiff::fmt::rfc2822::DateTimeParser;

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Taken,
    /// It will never be.
    Never,
    /// It may be later.
    Later,
}

/// Statuses below 500 that say nothing of the record: who asks, where it is asked, and how fast.
const LATER: [StatusCode; 6] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::NOT_FOUND,
    StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::TOO_EARLY,
    StatusCode::TOO_MANY_REQUESTS,
];

/// What a status says. Redirections are not followed: whoever can answer in a receiver's place could lead alerts away.
pub(super) fn verdict(status: StatusCode) -> Verdict {
    match status {
        _ if status.is_success() => Verdict::Taken,
        _ if status.is_client_error() && !LATER.contains(&status) => Verdict::Never,
        _ => Verdict::Later,
    }
}

/// How long the receiver asks to wait ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3), 10.2.3): seconds,
/// or a date, which is held against the date of the answer, since the two clocks need not agree.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: header::HeaderName| headers.get(name).map(HeaderValue::to_str)?.ok();
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(secs) = asked.parse() {
        return Some(Duration::from_secs(secs));
    }
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text.trim()).ok();
    let wait = date(asked)?.duration_since(date(text(DATE)?)?);
    Duration::try_from(wait).ok()
}

/// The beginning of an answer's body, as far as it can stand in a log.
pub(super) fn excerpt(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    body.iter().take(LONGEST).filter(|byte| printable(byte)).map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let told = |status| verdict(StatusCode::from_u16(status).unwrap());
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(told(status), Verdict::Taken, "{status}");
        }
        for status in [400, 403, 405, 409, 410, 413, 415, 422, 451] {
            assert_eq!(told(status), Verdict::Never, "{status}");
        }
        for status in [301, 302, 307, 308, 401, 404, 407, 408, 425, 429, 500, 502, 503, 504, 507, 599] {
            assert_eq!(told(status), Verdict::Later, "{status}");
        }
    }

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        date.map(|date| headers.insert(DATE, date.parse().unwrap()));
        headers
    }

    #[test]
    fn what_is_asked_for() {
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked_wait(&headers("120", None)), Some(Duration::from_secs(120)));
        assert_eq!(asked_wait(&headers("Sun, 06 Nov 1994 08:50:07 GMT", now)), Some(Duration::from_secs(30)));
        assert_eq!(asked_wait(&headers("Sun, 06 Nov 1994 08:49:07 GMT", now)), None, "in the past");
        for none in ["-1", "soon", "1e9", "99999999999999999999", ""] {
            assert_eq!(asked_wait(&headers(none, now)), None, "{none}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b"no\r\nsuch \x1b[31mfield\0"), "nosuch [31mfield");
        assert_eq!(excerpt(&[b'x'; 10_000]).len(), 200);
    }
}
