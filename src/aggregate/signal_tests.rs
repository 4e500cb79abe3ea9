//! What each of the sums of service and abuse is made of: a few packets by hand, and the second that they end up in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Cell, Count, Counts, OpenTicks, ScopeTick, Tallies, Tick, Tried};
use crate::attribute::{Attributor, Labels};
use crate::decode::{Packet, TcpFlags, TcpSegment, Transport, UdpDatagram};
use crate::flow::{Failure, FlowLimits, Sighting, Tracker, TrustedProxies, template_hash};
use crate::service::Direction::{self, ToClient, ToServer};
use crate::service::{Named, Scope, ServiceId};
use crate::time::{Span, TickId, Timestamp};

mod abuse;
mod answers;
mod proxies;

const WEB: ServiceId = ServiceId(0);
const ACK: TcpFlags = TcpFlags { syn: false, ack: true, fin: false, rst: false };
const SYN: TcpFlags = TcpFlags { syn: true, ack: false, fin: false, rst: false };
const SYN_ACK: TcpFlags = TcpFlags { syn: true, ..ACK };
const FIN: TcpFlags = TcpFlags { fin: true, ..ACK };
const RST: TcpFlags = TcpFlags { rst: true, ..ACK };
const LARGE: usize = 1_460;

/// A mirror port and what is counted behind it.
struct Mirror {
    tracker: Tracker,
    tallies: Tallies,
    board: OpenTicks,
    now: Timestamp,
    ticks: Vec<Tick>,
}

/// A client with its ports, numbers and window.
struct Talk {
    client: SocketAddr,
    server: SocketAddr,
    named: Named,
    next: [u32; 2],
    window: [u16; 2],
}

impl Mirror {
    fn new() -> Self {
        let attributor = Attributor::embedded(Labels::default()).unwrap();
        Self {
            tracker: Tracker::new(FlowLimits::default(), TrustedProxies::default()),
            tallies: Tallies::new(Arc::new(attributor), 0),
            board: OpenTicks::default(),
            now: Timestamp::from_secs(1_000),
            ticks: Vec::new(),
        }
    }

    /// A conversation with the service, or beside it at another port than 80.
    fn talk(&self, client: &str, port: u16) -> Talk {
        let named = if port == 80 { Named::Own(WEB) } else { Named::Beside(WEB) };
        let server = SocketAddr::new("192.0.2.1".parse().unwrap(), port);
        Talk { client: client.parse().unwrap(), server, named, next: [100, 900], window: [8_192; 2] }
    }

    /// Time passes; every second closes when it is over.
    fn wait(&mut self, span: Span) {
        let until = self.now + span;
        while self.now.secs() < until.secs() {
            let tick = TickId { epoch: 0, second: self.now.secs() };
            self.tracker.close_tick(tick, &mut self.tallies);
            self.board.meet(tick, &mut self.tallies);
            self.ticks.push(self.board.freeze(tick));
            self.now = Timestamp::from_secs(self.now.secs() + 1);
        }
        self.now = until;
    }

    fn sends(&mut self, talk: &mut Talk, from: Direction, flags: TcpFlags, payload: &[u8]) {
        self.repeats(talk, from, flags, payload);
        let len = payload.len() as u32 + u32::from(flags.syn) + u32::from(flags.fin);
        talk.next[from as usize] = talk.next[from as usize].wrapping_add(len);
    }

    /// Sends without moving on, so that the same can be sent again.
    fn repeats(&mut self, talk: &Talk, from: Direction, flags: TcpFlags, payload: &[u8]) {
        let (source, destination) = ends(talk, from);
        let segment = TcpSegment {
            source_port: source.port(),
            destination_port: destination.port(),
            sequence: talk.next[from as usize],
            acknowledgment: if flags.ack { talk.next[from.reverse() as usize] } else { 0 },
            flags,
            window: talk.window[from as usize],
            payload_len: payload.len() as u32,
            payload,
        };
        let len = 40 + payload.len() as u32;
        self.packet(
            Packet::plain(source.ip(), destination.ip(), len, Transport::Tcp(segment)),
            talk.named,
            from,
        );
    }

    fn datagram(&mut self, talk: &Talk, from: Direction, payload: &[u8]) {
        let (source, destination) = ends(talk, from);
        let ports = UdpDatagram { source_port: source.port(), destination_port: destination.port(), payload };
        let len = 28 + payload.len() as u32;
        self.packet(
            Packet::plain(source.ip(), destination.ip(), len, Transport::Udp(ports)),
            talk.named,
            from,
        );
    }

    fn packet(&mut self, packet: Packet<'_>, named: Named, from: Direction) {
        let tick = TickId { epoch: 0, second: self.now.secs() };
        let sighting = Sighting { now: self.now, tick, named: Some((named, from)) };
        self.tracker.packet(&packet, &sighting, &mut self.tallies);
    }

    /// A connection that is open.
    fn open(&mut self, client: &str) -> Talk {
        let mut talk = self.talk(client, 80);
        self.sends(&mut talk, ToServer, SYN, b"");
        self.wait(Span::from_millis(3));
        self.sends(&mut talk, ToClient, SYN_ACK, b"");
        self.sends(&mut talk, ToServer, ACK, b"");
        talk
    }

    /// A request and, after `wait`, the head of its answer.
    fn exchange(&mut self, talk: &mut Talk, path: &str, (wait, status): (Span, u16)) {
        self.sends(talk, ToServer, ACK, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        self.wait(wait);
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        self.sends(talk, ToClient, ACK, answer.as_bytes());
    }

    /// What was counted, once `span` has passed.
    fn after(&mut self, span: Span) -> Counts {
        self.wait(span);
        self.wait(Span::from_secs(1));
        let mut counts = Counts::default();
        self.seconds(Scope::Service(WEB)).for_each(|tick| counts.merge(&tick.counts));
        counts
    }

    fn seconds(&self, scope: Scope) -> impl Iterator<Item = &ScopeTick> {
        self.ticks.iter().filter_map(move |tick| tick.scopes.get(&scope))
    }

    /// What was counted for one client.
    fn of(&self, client: &str) -> Cell {
        let address: IpAddr = client.parse().unwrap();
        let mut sum = Cell::default();
        let rows = self.seconds(Scope::Service(WEB)).flat_map(|tick| &tick.sources);
        rows.filter(|(key, _)| key.address == address).for_each(|(_, cell)| sum.merge(cell));
        sum
    }
}

fn ends(talk: &Talk, from: Direction) -> (SocketAddr, SocketAddr) {
    match from {
        ToServer => (talk.client, talk.server),
        ToClient => (talk.server, talk.client),
    }
}

const CLIENT: &str = "198.51.100.7:4000";
const ADDRESS: &str = "198.51.100.7";
const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

#[test]
fn an_answer_to_an_attempt_is_counted_once_with_its_wait() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.talk(CLIENT, 80);
    mirror.repeats(&talk, ToServer, SYN, b"");
    mirror.wait(Span::from_secs(1));
    mirror.sends(&mut talk, ToServer, SYN, b"");
    mirror.wait(Span::from_millis(250));
    mirror.repeats(&talk, ToClient, SYN_ACK, b"");
    mirror.sends(&mut talk, ToClient, SYN_ACK, b"");
    let counts = mirror.after(Span::from_secs(2));
    let wanted = [Count::Attempts, Count::Answered, Count::Refused, Count::PacketsOut];
    assert_eq!(wanted.map(|count| counts[count]), [1, 1, 0, 2]);
    assert!(counts[Count::AnswerWait].abs_diff(1_250_000) <= 2, "{}", counts[Count::AnswerWait]);
    assert_eq!(counts.probes(), 0);
}

#[test]
fn a_refusal_is_counted_once_however_often_it_is_tried() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.talk(CLIENT, 80);
    talk.next[0] += 1;
    for _ in 0..3 {
        talk.next[0] -= 1;
        mirror.sends(&mut talk, ToServer, SYN, b"");
        mirror.repeats(&talk, ToClient, RST, b"");
        mirror.wait(Span::from_millis(500));
    }
    let counts = mirror.after(Span::from_secs(1));
    assert_eq!([Count::Attempts, Count::Refused, Count::Answered].map(|count| counts[count]), [1, 1, 0]);
    assert_eq!(counts.probes(), 1);
}

#[test]
fn first_bytes_are_waited_for_since_the_last_byte_of_the_question() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.exchange(&mut talk, "/", (Span::from_millis(400), 200));
    mirror.wait(Span::from_secs(5));
    mirror.exchange(&mut talk, "/2", (Span::from_millis(600), 200));
    let counts = mirror.after(Span::from_secs(20));
    assert_eq!([Count::FirstBytes, Count::Unanswered, Count::Held].map(|count| counts[count]), [2, 0, 0]);
    let wait = counts[Count::FirstByteWait];
    assert!((999_900..=1_000_100).contains(&wait), "{wait}");
    assert_eq!((mirror.of(ADDRESS).first_bytes, mirror.of(ADDRESS).wait_us), (2, wait));
    let waits: u64 = mirror
        .seconds(Scope::Service(WEB))
        .filter_map(|tick| tick.waits.as_ref())
        .map(|waits| waits.count())
        .sum();
    assert_eq!(waits, 2);
}

#[test]
fn a_head_that_takes_its_time_is_held_until_the_connection_ends() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..4 {
        mirror.wait(Span::from_secs(5));
        mirror.sends(&mut talk, ToServer, ACK, b"X-a: b\r\n");
    }
    let counts = mirror.after(Span::from_secs(0));
    let wanted = [Count::Held, Count::Released, Count::Unanswered];
    assert_eq!(wanted.map(|count| counts[count]), [1, 0, 0]);
    mirror.sends(&mut talk, ToClient, FIN, b"");
    mirror.sends(&mut talk, ToServer, FIN, b"");
    let counts = mirror.after(Span::from_secs(3));
    assert_eq!(wanted.map(|count| counts[count]), [1, 1, 0], "a service that gives up on it answered enough");
    assert_eq!((mirror.of(ADDRESS).held, mirror.of(ADDRESS).released), (1, 1));
}

#[test]
fn a_head_that_is_given_up_before_anybody_looks_was_held_where_it_went_on() {
    for (second, counted) in [(3, 0), (7, 1)] {
        let mut mirror = Mirror::new();
        let mut talk = mirror.open(CLIENT);
        mirror.sends(&mut talk, ToServer, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n");
        mirror.wait(Span::from_secs(second));
        mirror.sends(&mut talk, ToServer, ACK, b"X-a: b\r\n");
        mirror.wait(Span::from_secs(1));
        mirror.sends(&mut talk, ToClient, FIN, b"");
        mirror.sends(&mut talk, ToServer, FIN, b"");
        let counts = mirror.after(Span::from_secs(1));
        let told = [Count::Held, Count::Released, Count::Drips].map(|count| counts[count]);
        assert_eq!(told, [counted; 3], "after {second} s");
    }
}

#[test]
fn a_head_that_trickles_is_held_where_only_its_client_is_mirrored() {
    let mut mirror = Mirror::new();
    mirror.wait(Span::from_millis(611));
    let mut talk = mirror.talk(CLIENT, 80);
    mirror.sends(&mut talk, ToServer, SYN, b"");
    mirror.wait(Span::from_millis(3));
    mirror.sends(&mut talk, ToServer, ACK, b"");
    mirror.sends(&mut talk, ToServer, ACK, b"GET /projects HTTP/1.1\r\nHost: a\r\n");
    mirror.wait(Span::from_millis(9_999));
    mirror.sends(&mut talk, ToServer, ACK, b"X-one: more\r\n");
    let counts = mirror.after(Span::from_secs(3));
    assert_eq!((counts[Count::OpenedUnproven], counts[Count::Held]), (1, 1));
    assert_eq!(mirror.of(ADDRESS).drawn_out, 1);
    assert_eq!((mirror.of(ADDRESS).drips, counts[Count::Drips]), (1, 1));
}

#[test]
fn only_a_head_that_goes_on_and_does_not_end_drips() {
    let begun: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n";
    let posted: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 90000\r\n\r\n";
    let line: &[u8] = b"X-one: more\r\n";
    for (head, pieces, seconds, drips) in [
        (begun, [line, line], [15, 15], 1),
        (begun, [line, b"\r\n"], [2, 9], 0),
        (begun, [b"", b""], [15, 15], 0),
        (begun, [line, b""], [1, 20], 0),
        (posted, [line, line], [6, 6], 0),
    ] {
        let mut mirror = Mirror::new();
        let mut talk = mirror.open(CLIENT);
        mirror.sends(&mut talk, ToServer, ACK, head);
        for (piece, pause) in pieces.into_iter().zip(seconds) {
            mirror.wait(Span::from_secs(pause));
            mirror.sends(&mut talk, ToServer, ACK, piece);
        }
        let counts = mirror.after(Span::from_secs(8));
        assert_eq!(counts[Count::Drips], drips, "{pieces:?}, {seconds:?}");
    }
}

#[test]
fn a_head_of_which_a_piece_is_missing_does_not_drip() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n");
    talk.next[ToServer as usize] += 700;
    mirror.wait(Span::from_secs(7));
    mirror.sends(&mut talk, ToServer, ACK, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(mirror.after(Span::from_secs(8))[Count::Drips], 0);
}

#[test]
fn requests_without_a_conversation_are_strays_until_it_goes_on() {
    let mut mirror = Mirror::new();
    let paths = ["/a", "/b", "/c"];
    for (port, path) in paths.into_iter().enumerate() {
        let mut talk = mirror.talk(&format!("{ADDRESS}:{}", 40_000 + port), 80);
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        mirror.repeats(&talk, ToServer, ACK, head.as_bytes());
        mirror.sends(&mut talk, ToServer, ACK, head.as_bytes());
        if path == "/b" {
            mirror.sends(&mut talk, ToClient, ACK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }
    // Neither what goes on with something nor what asks for nothing is a request of its own.
    let mut talk = mirror.talk(&format!("{ADDRESS}:41000"), 80);
    mirror.sends(&mut talk, ToServer, ACK, b"and the rest of it");
    mirror.sends(&mut talk, ToServer, ACK, b"GET /d HTTP/1.1\r\nHost: a\r\n\r\n");
    let counts = mirror.after(Span::from_secs(1));
    assert_eq!((counts[Count::Strays], counts.strays()), (3, 2));
    let rows = mirror.seconds(Scope::Service(WEB)).flat_map(|tick| &tick.probed);
    let open: Vec<_> = rows.filter(|(_, probe)| probe.unanswered() > 0).map(|(key, _)| key.tried).collect();
    let mut expected = ["/a", "/c"].map(|path| Tried::Path(template_hash(path)));
    expected.sort_unstable();
    assert_eq!(open, expected);
}

#[test]
fn a_body_that_trickles_is_held_and_one_that_moves_is_not() {
    for (piece, held) in [(10, 1), (4_000, 0)] {
        let mut mirror = Mirror::new();
        let mut talk = mirror.open(CLIENT);
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        mirror.sends(&mut talk, ToServer, ACK, head);
        for _ in 0..30 {
            mirror.wait(Span::from_secs(1));
            mirror.sends(&mut talk, ToServer, ACK, &vec![b'a'; piece]);
        }
        let counts = mirror.after(Span::from_secs(0));
        assert_eq!((counts[Count::Held], counts[Count::Unanswered]), (held, 0), "{piece}");
    }
}

#[test]
fn a_connection_without_a_word_is_held_and_let_go_when_it_is_forgotten() {
    let mut mirror = Mirror::new();
    mirror.open(CLIENT);
    assert_eq!(mirror.after(Span::from_secs(8))[Count::Held], 0);
    assert_eq!(mirror.after(Span::from_secs(2))[Count::Held], 1);
    let counts = mirror.after(Span::from_secs(400));
    assert_eq!((counts[Count::Held], counts[Count::Released]), (1, 1));
}

#[test]
fn a_connection_that_rests_between_requests_is_not_held() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.exchange(&mut talk, "/", (Span::from_millis(1), 200));
    assert_eq!(mirror.after(Span::from_secs(60))[Count::Held], 0);
}

#[test]
fn a_client_that_takes_nothing_is_held_until_it_takes_something() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.exchange(&mut talk, "/", (Span::from_millis(1), 200));
    talk.window[0] = 0;
    mirror.sends(&mut talk, ToServer, ACK, b"");
    let counts = mirror.after(Span::from_secs(30));
    assert_eq!((counts[Count::Held], counts[Count::Released]), (1, 0));
    talk.window[0] = 500;
    mirror.sends(&mut talk, ToServer, ACK, b"");
    mirror.sends(&mut talk, ToClient, ACK, b"what waited");
    let counts = mirror.after(Span::from_secs(12));
    assert_eq!((counts[Count::Held], counts[Count::Released]), (1, 1));
}

#[test]
fn retransmissions_are_counted_by_size() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    mirror.sends(&mut talk, ToClient, ACK, b"HTTP/1.1 200 x\r\nContent-Length: 2920\r\n\r\n");
    mirror.repeats(&talk, ToClient, ACK, &[b'a'; LARGE]);
    mirror.repeats(&talk, ToClient, ACK, &[b'a'; LARGE]);
    mirror.sends(&mut talk, ToClient, ACK, &[b'a'; LARGE]);
    mirror.sends(&mut talk, ToClient, ACK, &[b'a'; LARGE]);
    let counts = mirror.after(Span::from_secs(1));
    let wanted = [Count::LargeSent, Count::LargeResent, Count::SmallSent, Count::SmallResent];
    assert_eq!(wanted.map(|count| counts[count]), [4, 2, 1, 0]);
}

#[test]
fn failing_paths_are_told_apart_by_their_templates() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    let failing =
        [("/.env", 404), ("/item/17", 404), ("/item/18", 410), ("/login", 401), ("/ok", 200), ("/fast", 429)];
    for (path, status) in failing {
        mirror.exchange(&mut talk, path, (Span::from_millis(1), status));
    }
    let counts = mirror.after(Span::from_secs(1));
    let wanted = [Count::ClientErrors, Count::Missing, Count::Denied];
    assert_eq!(wanted.map(|count| counts[count]), [5, 3, 1]);
    assert_eq!((mirror.of(ADDRESS).missing, mirror.of(ADDRESS).denied), (3, 1));
    let rows: Vec<_> = mirror.seconds(Scope::Service(WEB)).flat_map(|tick| &tick.failing).collect();
    let row = |path, failure| {
        let is = |key: &super::FailingKey| key.path == template_hash(path) && key.failure == failure;
        rows.iter().find(|(key, _)| is(key)).map(|(key, count)| (key.source.to_string(), *count))
    };
    assert_eq!(row("/item/4711", Failure::Missing), Some((ADDRESS.to_owned(), 2)));
    assert_eq!(row("/login", Failure::Denied), Some((ADDRESS.to_owned(), 1)));
    assert_eq!(rows.len(), 3);
}

/// A client's hello of an unknown make: what begins with a record is not read on.
fn hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 0]);
    hello
}

#[test]
fn who_adds_little_to_a_sealed_request_draws_it_out_until_he_is_given_up() {
    // A request's first lines, and more of them after so many seconds, or none.
    for (more, pause, drawn_out) in [(33, 11, 1), (33, 3, 0), (0, 11, 0), (400, 11, 0)] {
        let mut mirror = Mirror::new();
        let mut talk = mirror.open(CLIENT);
        mirror.sends(&mut talk, ToServer, ACK, &hello());
        mirror.sends(&mut talk, ToClient, ACK, &[22; 1_200]);
        mirror.sends(&mut talk, ToServer, ACK, &[23; 64]);
        mirror.sends(&mut talk, ToServer, ACK, &[23; 97]);
        mirror.wait(Span::from_secs(pause));
        mirror.sends(&mut talk, ToServer, ACK, &vec![23; more]);
        mirror.wait(Span::from_secs(15 - pause));
        mirror.sends(&mut talk, ToClient, FIN, b"");
        let counts = mirror.after(Span::from_secs(1));
        let (held, released) = (counts[Count::Held], counts[Count::Released]);
        let of_client = mirror.of(ADDRESS).drawn_out;
        assert_eq!((of_client, held, released), (drawn_out, held, held), "{more} bytes after {pause} s");
    }
}

#[test]
fn what_is_sealed_is_waited_for_like_what_is_not() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, &hello());
    mirror.wait(Span::from_millis(100));
    mirror.sends(&mut talk, ToClient, ACK, &[22; 900]);
    mirror.sends(&mut talk, ToServer, ACK, &[20; 80]);
    let counts = mirror.after(Span::from_secs(15));
    let wanted = [Count::Hellos, Count::FirstBytes, Count::Unanswered, Count::Held];
    assert_eq!(wanted.map(|count| counts[count]), [1, 1, 0, 0], "the end of a handshake asks for nothing");
    mirror.sends(&mut talk, ToServer, ACK, &[23; 300]);
    let counts = mirror.after(Span::from_secs(11));
    assert_eq!(wanted.map(|count| counts[count]), [1, 1, 1, 0]);
    for (times, held) in [(2, 0), (3, 1)] {
        for _ in 0..times {
            mirror.wait(Span::from_secs(5));
            mirror.sends(&mut talk, ToServer, ACK, &[23; 45]);
        }
        let counts = mirror.after(Span::from_secs(0));
        let why = "who asks again adds as little; what is held trickles on";
        assert_eq!(wanted.map(|count| counts[count]), [1, 1, 1, held], "{why}");
    }
}

#[test]
fn a_short_sealed_question_that_waits_for_what_happens_is_not_held_and_its_answer_is_not_late() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, &hello());
    mirror.sends(&mut talk, ToClient, ACK, &[22; 1_200]);
    mirror.sends(&mut talk, ToServer, ACK, &[20; 80]);
    for _ in 0..3 {
        mirror.sends(&mut talk, ToServer, ACK, &[23; 150]);
        mirror.wait(Span::from_secs(25));
        mirror.sends(&mut talk, ToClient, ACK, &[23; 400]);
    }
    let counts = mirror.after(Span::from_secs(1));
    let wanted = [Count::Unanswered, Count::FirstBytes, Count::Held, Count::Drips, Count::Late];
    assert_eq!(wanted.map(|count| counts[count]), [3, 4, 0, 0, 0]);
}

#[test]
fn streams_that_are_broken_off_are_counted_with_those_that_are_asked_for() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let headers = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82];
    let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    for _ in 0..5 {
        mirror.sends(&mut talk, ToServer, ACK, &[&headers[..], &reset].concat());
    }
    let counts = mirror.after(Span::from_secs(1));
    assert_eq!((counts[Count::Http2Requests], counts[Count::Http2Resets]), (5, 5));
    assert_eq!(mirror.of(ADDRESS).resets, 5);
}

#[test]
fn what_nobody_asked_for_is_reflected_and_an_answer_is_not() {
    let mut mirror = Mirror::new();
    let attack = mirror.talk("198.51.100.9:53", 80);
    for _ in 0..3 {
        mirror.datagram(&attack, ToServer, &[0; 1_000]);
    }
    mirror.datagram(&attack, ToServer, b"");
    let resolver = mirror.talk("198.51.100.53:53", 80);
    mirror.datagram(&resolver, ToClient, &[0; 40]);
    mirror.datagram(&resolver, ToServer, &[0; 400]);
    let counts = mirror.after(Span::from_secs(1));
    let wanted = [Count::Reflected, Count::ReflectedBytes, Count::UdpIn, Count::UdpBytesIn];
    assert_eq!(wanted.map(|count| counts[count]), [3, 3 * 1_028, 5, 3 * 1_028 + 28 + 428]);
}

#[test]
fn other_protocols_are_counted_apart() {
    let mut mirror = Mirror::new();
    let ends: [IpAddr; 2] = [ADDRESS, "192.0.2.1"].map(|address| address.parse().unwrap());
    for transport in [Transport::Icmp { kind: 8, code: 0 }, Transport::Fragment, Transport::Fragment] {
        mirror.packet(Packet::plain(ends[0], ends[1], 84, transport), Named::Beside(WEB), ToServer);
    }
    mirror.after(Span::from_secs(1));
    let beside = mirror.seconds(Scope::Beside(WEB)).next().unwrap().counts;
    assert_eq!((beside[Count::IcmpIn], beside[Count::FragmentsIn], beside[Count::UdpIn]), (1, 2, 0));
}

#[test]
fn ports_beside_the_service_are_probed_unless_they_answer() {
    let mut mirror = Mirror::new();
    for port in [22, 23, 8_080] {
        let mut talk = mirror.talk(CLIENT, port);
        mirror.sends(&mut talk, ToServer, SYN, b"");
        match port {
            22 => mirror.sends(&mut talk, ToClient, SYN_ACK, b""),
            23 => mirror.sends(&mut talk, ToClient, RST, b""),
            _ => {}
        }
    }
    mirror.after(Span::from_secs(1));
    let beside = mirror.seconds(Scope::Beside(WEB)).next().unwrap();
    let rows = beside.probed.iter().filter(|(_, probe)| probe.unanswered() > 0);
    let rows: Vec<_> = rows.map(|(key, _)| (key.source.to_string(), key.tried)).collect();
    let tried = |port| (ADDRESS.to_owned(), Tried::Port(SERVER, port));
    assert_eq!(rows, [tried(23), tried(8_080)]);
    assert_eq!((beside.counts.probes(), beside.counts[Count::Refused]), (2, 1));
}

#[test]
fn a_port_is_tried_without_a_syn_as_well() {
    const NULL: TcpFlags = TcpFlags { syn: false, ack: false, fin: false, rst: false };
    const FIN: TcpFlags = TcpFlags { fin: true, ..NULL };
    let mut mirror = Mirror::new();
    for (port, flags) in [(80, NULL), (8_080, NULL), (8_081, FIN), (8_082, ACK), (8_083, RST)] {
        let mut talk = mirror.talk(CLIENT, port);
        mirror.sends(&mut talk, ToServer, flags, b"");
    }
    mirror.after(Span::from_secs(1));
    let beside = mirror.seconds(Scope::Beside(WEB)).next().unwrap();
    let tried: Vec<_> = beside.probed.iter().map(|(key, _)| key.tried).collect();
    assert_eq!(tried, [8_080, 8_081].map(|port| Tried::Port(SERVER, port)));
    assert_eq!(beside.counts[Count::PacketsIn], 4);
}
