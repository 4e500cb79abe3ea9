//! Heads of HTTP/1.1 messages: what is asked and answered comes in, bytes go out. Knows nothing of connections.
//! [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112).

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Request method.
    pub method: String,
    /// Path; each `{n}` in it becomes a number of another resource in every request.
    pub path: String,
    /// How often it is asked for, against the other paths.
    pub weight: u32,
}

/// The parts of a request's head.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Request method.
    pub method: &'a str,
    /// Path with query.
    pub path: &'a str,
    /// Host.
    pub host: &'a str,
    /// User-Agent; left out where it is empty.
    pub agent: &'a str,
    /// Bytes of body that follow.
    pub body_len: usize,
}

impl RequestHead<'_> {
    /// The head's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { method, path, host, agent, body_len } = *self;
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", line(method), line(path), line(host));
        if !agent.is_empty() {
            head.push_str(&format!("User-Agent: {}\r\n", line(agent)));
        }
        head.push_str("Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip\r\n");
        if body_len > 0 {
            head.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
            head.push_str(&format!("Content-Length: {body_len}\r\n"));
        }
        head.push_str("Connection: keep-alive\r\n\r\n");
        head.into_bytes()
    }
}

/// The head of a response with `body_len` bytes of body.
pub fn response_head(status: u16, body_len: usize) -> Vec<u8> {
    let phrase = phrase(status);
    format!(
        "HTTP/1.1 {status} {phrase}\r\nServer: nginx\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {body_len}\r\nConnection: keep-alive\r\n\r\n"
    )
    .into_bytes()
}

/// Whether a response of that status has no body whatever its head says (RFC 9112, 6.3).
pub fn is_bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// One line: a scenario's own text cannot break the head.
fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_whole_for_a_parser() {
        let head = RequestHead {
            method: "POST",
            path: "/login",
            host: "bid.example",
            agent: "Tool/1",
            body_len: 12,
        };
        let bytes = head.bytes();
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        assert_eq!(request.parse(&bytes).unwrap(), httparse::Status::Complete(bytes.len()));
        assert_eq!((request.method, request.path), (Some("POST"), Some("/login")));
        let length = request.headers.iter().find(|header| header.name == "Content-Length").unwrap();
        assert_eq!(length.value, b"12");
        let bytes = response_head(503, 9);
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        assert!(response.parse(&bytes).unwrap().is_complete());
        assert_eq!((response.code, response.reason), (Some(503), Some("Service Unavailable")));
    }

    #[test]
    fn a_line_break_in_a_scenario_stays_in_its_line() {
        let head = RequestHead { method: "GET", path: "/\r\nX: 1", host: "h", agent: "", body_len: 0 };
        assert!(head.bytes().starts_with(b"GET /X: 1 HTTP/1.1\r\n"));
    }
}
