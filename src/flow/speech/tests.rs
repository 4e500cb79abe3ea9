//! Conversations as a mirror shows them: whole, cut into any segments, out of order, with holes.

use proptest::prelude::*;

use super::tls::tests::{hello_bytes, server_name};
use super::*;
use crate::decode::TcpFlags;
use Direction::{ToClient, ToServer};

const ASK: &[u8] =
    b"GET /bid/list?page=2 HTTP/1.1\r\nHost: pps.example\r\nCookie: secret\r\nUser-Agent: b/1\r\n\r\n";

/// Two ends, and what was heard of them.
pub(super) struct Wire {
    speech: Speech,
    room: Room,
    now: Timestamp,
    /// What each side has sent so far.
    sent: [u32; 2],
    said: Vec<String>,
}

/// A turn of one side, as segments: where each begins, and its bytes.
type Segments<'a> = Vec<(usize, &'a [u8])>;

impl Wire {
    pub fn new() -> Self {
        Self::with(Room::new(1 << 20, TrustedProxies::default()))
    }

    fn with(room: Room) -> Self {
        let sent = [u32::MAX - 20, 7_000];
        Self { speech: Speech::default(), room, now: Timestamp::from_secs(100), sent, said: Vec::new() }
    }

    /// One side's turn in one segment, 10 ms after the other's.
    fn turn(self, from: Direction, bytes: &[u8]) -> Self {
        self.turn_in(from, vec![(0, bytes)])
    }

    pub fn client(self, bytes: &[u8]) -> Self {
        self.turn(ToServer, bytes)
    }

    pub fn server(self, bytes: &[u8]) -> Self {
        self.turn(ToClient, bytes)
    }

    fn turn_in(mut self, from: Direction, segments: Segments<'_>) -> Self {
        self.now = self.now + Span::from_millis(10);
        let end = segments.iter().map(|(at, bytes)| at + bytes.len()).max().unwrap_or(0);
        for (at, bytes) in segments {
            self.segment((from, at as u32), bytes, 0, TcpFlags { ack: true, ..FLAGS });
        }
        self.sent[from as usize] = self.sent[from as usize].wrapping_add(end as u32);
        self
    }

    /// A turn of which the capture kept the first bytes.
    fn cut(mut self, from: Direction, bytes: &[u8], captured: usize) -> Self {
        self.now = self.now + Span::from_millis(10);
        self.segment((from, 0), &bytes[..captured], bytes.len() - captured, TcpFlags { ack: true, ..FLAGS });
        self.sent[from as usize] = self.sent[from as usize].wrapping_add(bytes.len() as u32);
        self
    }

    /// A turn that went by unseen.
    fn missed(mut self, from: Direction, len: u32) -> Self {
        self.sent[from as usize] = self.sent[from as usize].wrapping_add(len);
        self
    }

    fn later(mut self, span: Span) -> Self {
        self.now = self.now + span;
        self
    }

    fn fin(mut self, from: Direction) -> Self {
        self.segment((from, 0), &[], 0, TcpFlags { ack: true, fin: true, ..FLAGS });
        self
    }

    /// A segment of which `missing` bytes behind `bytes` were not captured.
    fn segment(&mut self, (from, at): (Direction, u32), bytes: &[u8], missing: usize, flags: TcpFlags) {
        let segment = TcpSegment {
            source_port: 0,
            destination_port: 0,
            sequence: self.sent[from as usize].wrapping_add(at),
            acknowledgment: self.sent[from.reverse() as usize],
            flags,
            window: 0,
            payload_len: (bytes.len() + missing) as u32,
            payload: bytes,
        };
        let Self { speech, room, now, said, .. } = self;
        let mut hearing = Hearing { now: *now, room };
        speech.segment(from, &segment, &mut hearing, &mut |what| said.push(told(&what)));
    }

    fn datagram(mut self, from: Direction, bytes: &[u8]) -> Self {
        let Self { speech, room, now, said, .. } = &mut self;
        let mut hearing = Hearing { now: *now, room };
        speech.datagram(from, bytes, &mut hearing, &mut |what| said.push(told(&what)));
        self
    }

    /// All that was said, once the connection is over and no room is held any more.
    pub fn end(mut self) -> Vec<String> {
        let Self { speech, room, now, said, .. } = &mut self;
        let mut hearing = Hearing { now: *now, room };
        speech.end(&mut hearing, &mut |what| said.push(told(&what)));
        assert_eq!(self.room.used(), 0, "room is held by nobody");
        self.said
    }
}

const FLAGS: TcpFlags = TcpFlags { syn: false, ack: false, fin: false, rst: false };

pub fn told(said: &Said<'_>) -> String {
    let number = |request: &Option<u32>| request.map_or("-".to_owned(), |number| number.to_string());
    match said {
        Said::Request(Request { number, head, forwarded, .. }) => format!(
            "{number}> {} {} {} {} {}{}{}",
            head.method,
            head.path,
            head.protocol,
            head.host.map_or("-", Unread::text),
            head.user_agent.unwrap_or("-"),
            forwarded.map_or(String::new(), |client| format!(" for {client}")),
            if head.whole { "" } else { " cut" },
        ),
        Said::Response(Response { request, status, ttfb, .. }) => {
            format!("{}< {status} after {}", number(request), ttfb.map_or("?".to_owned(), |t| t.to_string()))
        }
        Said::Answered(Answered { request, length, whole }) => {
            format!("{}. {length}{}", number(request), if *whole { "" } else { " cut" })
        }
        Said::Unanswered { request } => format!("{request}? unanswered"),
        Said::Hello(Hello { from, hello, forwarded }) => format!(
            "hello {from:?} {} {}{}",
            hello.sni.unwrap_or("-"),
            Ja4::of(hello).as_str(),
            forwarded.map_or(String::new(), |client| format!(" for {client}")),
        ),
        Said::Http2 { from, headers, resets, answers } => match answers.responses {
            0 => format!("h2 {from:?} {headers} {resets}"),
            all => format!("h2 {from:?} {headers} {resets}, {} of {all} failed", answers.server_errors),
        },
        Said::Spoken(from) => format!("spoken {from:?}"),
    }
}

fn hello(name: &str) -> Vec<u8> {
    hello_bytes(&[0x1301, 0x1302], &[server_name(name), (43, vec![2, 3, 4]), (21, vec![0; 300])])
}

fn hello_said(name: &str) -> String {
    let whole = Wire::new().client(&hello(name)).end();
    assert_eq!(whole.len(), 1);
    whole[0].clone()
}

#[test]
fn a_request_and_its_response() {
    let wire = Wire::new().client(ASK).server(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(wire.end(), ["0> GET /bid/list HTTP/1.1 pps.example b/1", "0< 200 after 10ms", "0. 5"]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let wire = Wire::new()
        .client(b"GET /a HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n")
        .server(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .server(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n");
    assert_eq!(
        wire.end()[3..],
        ["0< 200 after 10ms", "0. 3", "1< 200 after 20ms", "1. 0", "2< 304 after 20ms", "2. 0"]
    );
}

#[test]
fn bodies_are_not_taken_for_heads() {
    let wire = Wire::new()
        .client(b"POST /up HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        .server(b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 500 no\r\n\r\n")
        .fin(ToClient);
    assert_eq!(wire.end(), ["0> POST /up HTTP/1.1 - -", "0< 200 after 10ms", "0. 19"]);
}

#[test]
fn time_to_first_byte_begins_with_the_requests_last() {
    let wire = Wire::new()
        .client(b"POST /up HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
        .later(Span::from_millis(500))
        .client(b"cd")
        .server(b"HTTP/1.1 204 ")
        .later(Span::from_millis(300))
        .server(b"\r\n\r\n");
    assert_eq!(wire.end()[1..], ["0< 204 after 10ms", "0. 0"]);
}

#[test]
fn what_nobody_answers_is_told_at_the_end() {
    let wire =
        Wire::new().client(ASK).client(ASK).server(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    assert_eq!(wire.end()[2..], ["0< 200 after 20ms", "0. 4 cut", "1? unanswered"]);
}

#[test]
fn a_tunnel_may_hold_a_hello() {
    let name = hello("pps.example");
    let wire = Wire::new()
        .client(b"CONNECT pps.example:443 HTTP/1.1\r\n\r\n")
        .server(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .client(&name)
        .server(&[22, 3, 3, 0, 80, 2]);
    let said = wire.end();
    assert_eq!(said[0], "0> CONNECT pps.example:443 HTTP/1.1 - -");
    assert_eq!(said[3..], [hello_said("pps.example")]);
}

#[test]
fn a_hello_behind_socks_and_behind_starttls() {
    let (name, expected) = (hello("pps.example"), hello_said("pps.example"));
    let socks5 = Wire::new()
        .client(&[5, 1, 0])
        .server(&[5, 0])
        .client(&[5, 1, 0, 1, 192, 0, 2, 1, 1, 187])
        .server(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .client(&name);
    assert_eq!(socks5.end(), std::slice::from_ref(&expected));
    let socks4 = Wire::new().client(b"\x04\x01\x01\xbb\xc0\0\x02\x01me\0").server(&[0, 90, 0, 0, 0, 0, 0, 0]);
    assert_eq!(socks4.client(&name).end(), std::slice::from_ref(&expected));
    let mail = Wire::new()
        .server(b"220 mail.example ESMTP\r\n")
        .client(b"EHLO me\r\n")
        .server(b"250 STARTTLS\r\n")
        .client(b"STARTTLS\r\n")
        .server(b"220 go\r\n")
        .client(&name);
    assert_eq!(mail.end(), ["spoken ToClient".to_owned(), "spoken ToServer".to_owned(), expected.clone()]);
    let postgres = Wire::new().client(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]).server(b"S").client(&name);
    assert_eq!(postgres.end(), ["spoken ToServer".to_owned(), expected, "spoken ToClient".to_owned()]);
}

#[test]
fn http_through_socks_is_paired() {
    let wire = Wire::new()
        .client(&[5, 1, 0])
        .server(&[5, 0])
        .client(&[5, 1, 0, 1, 192, 0, 2, 1, 1, 187])
        .server(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .client(ASK)
        .server(b"HTTP/1.1 204 \r\n\r\n");
    assert_eq!(wire.end()[1..], ["0< 204 after 10ms", "0. 0"]);
}

#[test]
fn whoever_says_hello_is_the_client() {
    let said = Wire::new().server(&hello("pps.example")).end();
    assert_eq!(said, [hello_said("pps.example").replace("ToServer", "ToClient")]);
}

#[test]
fn proxies_name_their_clients() {
    let trusted = Room::new(1 << 20, TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]));
    let wire = Wire::with(trusted)
        .client(b"PROXY TCP4 10.0.0.8 192.0.2.1 5000 80\r\nGET /a HTTP/1.1\r\n\r\n")
        .client(b"GET /b HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1\r\n\r\n");
    assert_eq!(
        wire.end()[..2],
        ["0> GET /a HTTP/1.1 - - for 10.0.0.8", "1> GET /b HTTP/1.1 - - for 198.51.100.7"]
    );
    let liar = Wire::new()
        .client(b"PROXY TCP4 192.0.2.9 ::1 1 2\r\nGET / HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    assert_eq!(liar.end()[0], "0> GET / HTTP/1.1 - - for 192.0.2.9");
    let said = Wire::new().client(b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n").client(&hello("pps.example")).end();
    assert_eq!(said, [format!("{} for 2001:db8::7", hello_said("pps.example"))]);
}

#[test]
fn a_hole_in_a_body_is_nobodys_loss() {
    let wire = Wire::new()
        .client(ASK)
        .server(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")
        .missed(ToClient, 1_500)
        .turn(ToClient, &[b'x'; 1_500])
        .client(ASK)
        .server(b"HTTP/1.1 204 \r\n\r\n");
    assert_eq!(wire.room.counts().gaps, 0);
    assert_eq!(wire.end()[2..4], ["0. 3000", "1> GET /bid/list HTTP/1.1 pps.example b/1"]);
}

#[test]
fn a_request_that_was_missed_does_not_shift_the_answers() {
    let wire = Wire::new()
        .client(ASK)
        .server(b"HTTP/1.1 204 \r\n\r\n")
        .missed(ToServer, 300)
        .client(b"GET /c HTTP/1.1\r\n\r\n")
        .server(b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.room.counts().gaps, 1);
    assert_eq!(wire.end()[3..], ["1> GET /c HTTP/1.1 - -", "1< 404 after 10ms", "1. 0"]);
}

#[test]
fn a_response_that_was_missed_does_not_shift_the_others() {
    let wire = Wire::new()
        .client(b"GET /a HTTP/1.1\r\n\r\n")
        .missed(ToClient, 300)
        .client(b"GET /b HTTP/1.1\r\n\r\n")
        .server(b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n")
        .client(b"GET /c HTTP/1.1\r\n\r\n")
        .server(b"HTTP/1.1 204 \r\n\r\n");
    let said = wire.end();
    assert_eq!(said[2..5], ["0? unanswered", "1< 404 after 10ms", "1. 0"]);
    assert_eq!(said[6..], ["2< 204 after 10ms", "2. 0"]);
}

#[test]
fn cut_packets_give_no_nonsense() {
    let wire = Wire::new()
        .cut(ToServer, ASK, 12)
        .cut(ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 20)
        .cut(ToServer, ASK, 54)
        .cut(ToClient, b"HTTP/1.1 503 Busy\r\n\r\n", 15);
    assert_eq!(
        wire.end(),
        [
            "0> GET /bid/lis  - - cut",
            "0< 200 after 10ms",
            "1> GET /bid/list HTTP/1.1 pps.example - cut",
            "0. 0 cut",
            "1< 503 after 10ms",
            "1. 0 cut"
        ]
    );
    let record = hello("pps.example");
    assert_eq!(
        Wire::new().cut(ToServer, &record, 60).client(b"GET / HTTP/1.1\r\n\r\n").end(),
        ["spoken ToServer"]
    );
    assert_eq!(Wire::new().cut(ToServer, &record, 0).end(), Vec::<String>::new());
}

#[test]
fn a_slow_head_is_told_before_it_ends_and_once() {
    let wire = Wire::new()
        .client(b"POST /slow HTTP/1.1\r\nHost: a\r\n")
        .later(Span::from_secs(9))
        .client(b"X-a: b\r\n");
    assert_eq!(wire.said, ["0> POST /slow HTTP/1.1 a - cut"]);
    let wire = wire
        .later(Span::from_secs(9))
        .client(b"Content-Length: 2\r\n\r\nab")
        .server(b"HTTP/1.1 408 \r\n\r\n");
    assert_eq!(wire.end()[1..], ["0< 408 after 10ms", "0. 0 cut"]);
}

#[test]
fn the_first_copy_of_a_byte_is_read() {
    let mut wire = Wire::new();
    wire.segment((ToServer, 0), b"GET /a", 0, FLAGS);
    wire.segment((ToServer, 12), b"P/1.1\r\n\r\n", 0, FLAGS);
    wire.segment((ToServer, 5), b"xyz HTTQ/1.0\r\n\r\n", 0, FLAGS);
    assert_eq!(wire.room.counts().differing, 2);
    assert_eq!(wire.end()[0], "0> GET /ayz HTTP/1.1 - -");
}

#[test]
fn without_room_a_head_is_told_as_it_stands() {
    let wire = Wire::with(Room::new(10, TrustedProxies::default()))
        .client(b"GET /a HTTP/1.1\r\nHost: a\r\nUser-")
        .client(b"Agent: x\r\n\r\n");
    assert_eq!(wire.room.counts().refused, 1);
    assert_eq!(wire.end(), ["0> GET /a HTTP/1.1 a - cut", "0? unanswered"]);
}

#[test]
fn many_waiting_requests_stay_in_order() {
    let mut wire = Wire::new();
    for _ in 0..70 {
        wire = wire.client(b"GET / HTTP/1.1\r\n\r\n");
    }
    for _ in 0..70 {
        wire = wire.server(b"HTTP/1.1 204 \r\n\r\n");
    }
    let wire = wire.client(b"GET / HTTP/1.1\r\n\r\n").server(b"HTTP/1.1 204 \r\n\r\n");
    let said = wire.end();
    assert_eq!(said.iter().filter(|line| line.contains("unanswered")).count(), 6);
    assert_eq!(said[said.len() - 3..], ["70> GET / HTTP/1.1 - -", "70< 204 after 10ms", "70. 0"]);
}

/// CRYPTO frames (RFC 9000 section 19.6) of these parts of a handshake message, each with padding.
fn crypto(message: &[u8], parts: &[(usize, usize)]) -> Vec<u8> {
    let frame = |(from, to): &(usize, usize)| {
        let head = [0x4000 | *from as u16, 0x4000 | (to - from) as u16].map(u16::to_be_bytes).concat();
        [&[6][..], &head, &message[*from..*to], &[0; 30]].concat()
    };
    parts.iter().flat_map(frame).collect()
}

const ID: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// The version numbers of RFC 9000 and RFC 9369.
const QUIC: [u32; 2] = [1, 0x6b33_43cf];

#[test]
fn a_hello_over_quic_may_come_in_pieces() {
    let message = &hello("pps.example")[5..];
    let len = message.len();
    for version in QUIC {
        let packet = |id: &[u8], number, parts: &[(usize, usize)]| {
            initial::tests::sealed(version, &ID, id, number, &crypto(message, parts))
        };
        let expected = [hello_said("pps.example").replace(" t13", " q13")];
        assert_eq!(Wire::new().datagram(ToServer, &packet(&ID, 0, &[(0, len)])).end(), expected);
        let (first, second) =
            (packet(&ID, 0, &[(200, 300), (0, 90)]), packet(&[9; 4], 1, &[(300, len), (90, 200)]));
        let in_turn = Wire::new().datagram(ToServer, &first).datagram(ToServer, &second);
        assert_eq!(in_turn.datagram(ToServer, &first).end(), expected);
        let turned = Wire::new().datagram(ToServer, &packet(&ID, 1, &[(90, len)])).datagram(ToServer, &first);
        assert_eq!(turned.end(), expected);
        let coalesced = [packet(&ID, 0, &[(0, 90)]), packet(&ID, 1, &[(90, len)])].concat();
        assert_eq!(Wire::new().datagram(ToServer, &coalesced).end(), expected);
    }
}

#[test]
fn after_a_retry_a_hello_begins_anew() {
    let message = &hello("pps.example")[5..];
    let packet = |id, parts: &[(usize, usize)]| initial::tests::sealed(1, id, id, 0, &crypto(message, parts));
    let wire = Wire::new()
        .datagram(ToServer, &packet(&ID, &[(0, 90)]))
        .datagram(ToServer, &packet(&[9; 8], &[(0, message.len())]));
    assert_eq!(wire.end().len(), 1);
}

#[test]
fn what_is_not_sealed_right_is_no_hello() {
    let message = &hello("pps.example")[5..];
    let mut packet = initial::tests::sealed(1, &ID, &ID, 0, &crypto(message, &[(0, message.len())]));
    let whole = packet.clone();
    *packet.last_mut().unwrap() ^= 1;
    assert_eq!(
        Wire::new().datagram(ToServer, &packet).datagram(ToServer, b"\x40short").end(),
        ["spoken ToServer"]
    );
    assert_eq!(
        Wire::new().datagram(ToServer, b"\0\x1c\x01\0").datagram(ToServer, &whole).end(),
        Vec::<String>::new()
    );
}

/// Conversations that the metamorphic tests cut up.
fn conversations() -> Vec<Vec<(Direction, Vec<u8>)>> {
    let name = hello("pps.example");
    let turns =
        |turns: &[(Direction, &[u8])]| turns.iter().map(|(from, bytes)| (*from, bytes.to_vec())).collect();
    vec![
        turns(&[(ToServer, &name)]),
        turns(&[
            (ToServer, ASK),
            (ToClient, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n"),
            (ToServer, b"POST /up HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcdGET /b HTTP/1.0\nA: b\n\n"),
            (
                ToClient,
                b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 201 \r\nContent-Length: 2\r\n\r\nokHTTP/1.1 304 x\r\n\r\n",
            ),
        ]),
        turns(&[
            (ToServer, b"PROXY TCP4 192.0.2.9 192.0.2.1 5000 80\r\nCONNECT a:443 HTTP/1.1\r\n\r\n"),
            (ToClient, b"HTTP/1.1 200 ok\r\n\r\n"),
            (ToServer, &name),
            (ToClient, &[22, 3, 3, 0, 80, 2, 1, 1]),
        ]),
        turns(&[
            (ToServer, &[5, 2, 0, 2]),
            (ToClient, &[5, 2]),
            (ToServer, b"\x01\x02me\x03pwd"),
            (ToClient, &[1, 0]),
            (ToServer, b"\x05\x01\x00\x03\x04a.kr\x01\xbb"),
            (ToClient, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            (ToServer, ASK),
            (ToClient, b"HTTP/1.1 204 \r\n\r\n"),
        ]),
        turns(&[
            (ToClient, b"220 mail.example ESMTP\r\n"),
            (ToServer, b"EHLO me\r\nSTARTTLS\r\n"),
            (ToClient, b"220 go\r\n"),
            (ToServer, &name),
        ]),
        turns(&[
            (ToServer, &[3, 0, 0, 9, 1, 2, 3, 4, 5]),
            (ToClient, &[3, 0, 0, 8, 1, 2, 3, 4]),
            (ToServer, &name),
        ]),
        turns(&[(ToServer, b"\x80secret"), (ToClient, b"\x81other")]),
    ]
}

fn heard(turns: &[(Direction, Vec<u8>)], cut: impl Fn(usize, &[u8]) -> Vec<(usize, usize)>) -> Vec<String> {
    let mut wire = Wire::new().turn(ToServer, b"");
    for (at, (from, bytes)) in turns.iter().enumerate() {
        let segments = cut(at, bytes).into_iter().map(|(from, to)| (from, &bytes[from..to])).collect();
        wire = wire.turn_in(*from, segments);
    }
    wire.end()
}

proptest! {
    /// However a stream is cut into segments, in whatever order they come, however often: the same is said.
    #[test]
    fn segments_do_not_matter(
        which in 0..7_usize,
        cuts in proptest::collection::vec(proptest::collection::vec(any::<proptest::sample::Index>(), 0..12), 8),
        order in proptest::collection::vec(any::<u16>(), 40),
        again in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let turns = &conversations()[which];
        let whole = heard(turns, |_, bytes| vec![(0, bytes.len())]);
        let pieces = |turn: usize, bytes: &[u8]| {
            let mut ends: Vec<usize> = cuts[turn].iter().map(|cut| cut.index(bytes.len())).collect();
            ends.extend([0, bytes.len()]);
            ends.sort_unstable();
            ends.dedup();
            ends.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
        };
        prop_assert_eq!(&heard(turns, pieces), &whole);
        let mixed = |turn: usize, bytes: &[u8]| {
            let mut pieces = pieces(turn, bytes);
            let copies: Vec<_> = pieces.iter().zip(&again).filter(|(_, again)| **again).map(|(p, _)| *p).collect();
            pieces.extend(copies);
            let mut keyed: Vec<_> = order.iter().zip(pieces).collect();
            keyed.sort_by_key(|(key, _)| **key);
            keyed.into_iter().map(|(_, piece)| piece).collect::<Vec<_>>()
        };
        prop_assert_eq!(&heard(turns, mixed), &whole);
    }

    /// No datagram does harm, and all room is given back.
    #[test]
    fn any_datagrams_do(
        packets in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80), 0..4_u8), 1..20),
    ) {
        let mut wire = Wire::with(Room::new(500, TrustedProxies::default()));
        for (to_client, bytes, how) in packets {
            let from = if to_client { ToClient } else { ToServer };
            let bytes = match how {
                0 => bytes,
                1 => [&[0xc0, 0, 0, 0, 1, 8][..], &bytes].concat(),
                2 => [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, bytes.len() as u8, 1, 0][..], &bytes].concat(),
                _ => initial::tests::sealed(1, &ID, &ID, 0, &[&bytes[..], &[0; 20]].concat()),
            };
            wire = wire.datagram(from, &bytes);
        }
        wire.end();
    }

    /// No bytes, numbers or cuts do harm, and all room is given back.
    #[test]
    fn any_segments_do(
        segments in proptest::collection::vec(
            (any::<bool>(), 0..3_000_u32, proptest::collection::vec(any::<u8>(), 0..60), 0..40_u32, 0..16_u8),
            0..60,
        ),
        lead in 0..7_usize,
    ) {
        let mut wire = Wire::with(Room::new(2_000, TrustedProxies::default()));
        for (from, bytes) in conversations()[lead].iter().take(2) {
            wire = wire.turn(*from, bytes);
        }
        for (to_client, at, bytes, missing, flags) in segments {
            let from = if to_client { ToClient } else { ToServer };
            let flags = TcpFlags { syn: flags == 1, ack: flags & 2 == 0, fin: flags == 4, rst: flags == 9 };
            wire.segment((from, at), &bytes, missing as usize, flags);
        }
        wire.end();
    }
}
