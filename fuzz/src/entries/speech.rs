//! What two ends say to each other, over TCP and over UDP: HTTP/1 and 2, PROXY, SOCKS, TLS, QUIC, cut into segments that
//! come in any order, twice, or never. Both who follow flows hear it: the tracker and the ledger.

use std::net::{IpAddr, Ipv4Addr};

use bongsu::decode::{Packet, TcpFlags, TcpSegment, Transport, UdpDatagram};
use bongsu::flow::{FlowEvent, FlowLimits, Ledger, Observer, RecordKinds, Sighting, Tracker};
use bongsu::synth::http::{self, RequestHead};
use bongsu::synth::rng::Rng;
use bongsu::synth::tls::{self, ClientHello, Hello};
use bongsu::time::{Span, TickId, Timestamp};

use super::pipeline::{Written, trusted};
use super::quic;

/// Follows a conversation that the bytes tell.
pub fn run(bytes: &[u8]) {
    told(bytes);
}

/// The records of a conversation: an [`Act`], a length in two bytes, and so many bytes said, each time.
pub fn told(bytes: &[u8]) -> Vec<String> {
    let mut ears = Ears::new();
    ears.handshake();
    let (mut talk, mut rest) = (Talk::default(), bytes);
    while let Some(([act, high, low], behind)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (said, after) = behind.split_at(len.min(behind.len()));
        talk.act(Act(*act), said, &mut ears);
        rest = after;
    }
    ears.finish()
}

/// What happens to something that is said. Bit 0: the server says it. Bits 1 to 3: how. Bits 4 to 7: flags, see below.
#[derive(Clone, Copy)]
struct Act(u8);

impl Act {
    const MISSED: u8 = 1;
    const AGAIN: u8 = 2;
    const LATER: u8 = 3;
    const CUT: u8 = 4;
    const DATAGRAM: u8 = 5;
    const QUIC: u8 = 6;

    fn side(self) -> usize {
        usize::from(self.0 & 1)
    }

    fn how(self) -> u8 {
        self.0 >> 1 & 7
    }

    /// In segments of seven bytes.
    fn in_pieces(self) -> bool {
        self.0 & 0x10 != 0
    }

    fn ends(self) -> bool {
        self.0 & 0x20 != 0
    }

    fn resets(self) -> bool {
        self.0 & 0x60 == 0x60
    }

    /// Ten seconds pass before.
    fn waits(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// How far each side has come.
struct Talk {
    sent: [u32; 2],
    late: Option<(usize, u32, Vec<u8>)>,
    packets: u8,
}

impl Default for Talk {
    fn default() -> Self {
        Self { sent: SEQUENCE.map(|first| first.wrapping_add(1)), late: None, packets: 0 }
    }
}

/// Where numbers begin: one side soon comes round to zero.
const SEQUENCE: [u32; 2] = [u32::MAX - 40, 7_000];

impl Talk {
    fn act(&mut self, act: Act, said: &[u8], ears: &mut Ears) {
        if act.waits() {
            ears.wait(Span::from_millis(10_000));
        }
        let side = act.side();
        match act.how() {
            Act::DATAGRAM => return ears.datagram(side, said),
            Act::QUIC => {
                self.packets = self.packets.wrapping_add(1);
                return ears.datagram(side, &quic::initial(self.packets, said));
            }
            _ => {}
        }
        let piece = if act.in_pieces() { 7 } else { 1_460 };
        for part in said.chunks(piece) {
            self.part(act, part, ears);
        }
        let flags = TcpFlags { ack: true, fin: act.ends(), rst: act.resets(), syn: false };
        if flags.fin || flags.rst {
            ears.segment(side, self.sent, flags, Part::NONE);
        }
    }

    fn part(&mut self, act: Act, part: &[u8], ears: &mut Ears) {
        let (side, at, len) = (act.side(), self.sent, part.len() as u32);
        self.sent[side] = at[side].wrapping_add(len);
        match act.how() {
            Act::MISSED => {}
            Act::LATER => self.late = Some((side, at[side], part.to_vec())),
            Act::CUT => ears.segment(side, at, DATA, Part { payload: &part[..part.len() / 2], len }),
            how => {
                ears.segment(side, at, DATA, Part::whole(part));
                if how == Act::AGAIN {
                    ears.segment(side, at, DATA, Part::whole(part));
                }
                if let Some((side, sequence, part)) = self.late.take() {
                    let mut at = self.sent;
                    at[side] = sequence;
                    ears.segment(side, at, DATA, Part::whole(&part));
                }
            }
        }
    }
}

const DATA: TcpFlags = TcpFlags { syn: false, ack: true, fin: false, rst: false };

/// What a segment carries: the bytes that were captured, and how many there were.
#[derive(Clone, Copy)]
struct Part<'a> {
    payload: &'a [u8],
    len: u32,
}

impl<'a> Part<'a> {
    const NONE: Self = Self { payload: &[], len: 0 };

    fn whole(payload: &'a [u8]) -> Self {
        Self { payload, len: payload.len() as u32 }
    }
}

/// The two that listen.
struct Ears {
    tracker: Tracker,
    ledger: Ledger,
    written: Written,
    events: Events,
    now: Timestamp,
    tick: TickId,
    packets: u64,
}

/// Counts events.
#[derive(Default)]
struct Events(u64);

impl Observer for Events {
    fn observe(&mut self, event: FlowEvent<'_>) {
        // Whoever reads an event reads all of it.
        self.0 += u64::from(!format!("{event:?}").is_empty());
    }
}

const ENDS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), IpAddr::V4(Ipv4Addr::new(211, 34, 105, 10))];
const PORTS: [u16; 2] = [40_000, 443];

impl Ears {
    fn new() -> Self {
        let kinds = RecordKinds { flows: true, requests: true, hellos: true, query: true };
        let now = Timestamp::from_secs(1_700_000_000);
        Self {
            tracker: Tracker::new(FlowLimits::default(), trusted()),
            ledger: Ledger::new(kinds, trusted()),
            written: Written::default(),
            events: Events::default(),
            now,
            tick: TickId::holding(0, now),
            packets: 0,
        }
    }

    fn handshake(&mut self) {
        let [client, server] = SEQUENCE;
        let syn = TcpFlags { syn: true, ..TcpFlags::default() };
        self.segment(0, [client, 0], syn, Part::NONE);
        self.segment(1, [client.wrapping_add(1), server], TcpFlags { ack: true, ..syn }, Part::NONE);
        self.segment(0, [client.wrapping_add(1), server.wrapping_add(1)], DATA, Part::NONE);
    }

    fn segment(&mut self, side: usize, at: [u32; 2], flags: TcpFlags, part: Part<'_>) {
        let Part { payload, len: payload_len } = part;
        let tcp = TcpSegment {
            source_port: PORTS[side],
            destination_port: PORTS[1 - side],
            sequence: at[side],
            acknowledgment: at[1 - side],
            flags,
            window: 1_000,
            payload_len,
            payload,
        };
        self.packet(side, 40 + payload_len, Transport::Tcp(tcp));
    }

    fn datagram(&mut self, side: usize, payload: &[u8]) {
        let udp = UdpDatagram { source_port: PORTS[side], destination_port: PORTS[1 - side], payload };
        self.packet(side, 28 + payload.len() as u32, Transport::Udp(udp));
    }

    fn packet(&mut self, side: usize, len: u32, transport: Transport<'_>) {
        self.wait(Span::from_millis(5));
        self.packets += 1;
        let packet = Packet::plain(ENDS[side], ENDS[1 - side], len, transport);
        let sighting = Sighting { now: self.now, tick: self.tick, named: None };
        self.tracker.packet(&packet, &sighting, &mut self.events);
        self.ledger.packet(&packet, self.now, &mut self.written);
    }

    /// Lets time pass, and closes what is over by then.
    fn wait(&mut self, span: Span) {
        self.now = self.now + span;
        let tick = TickId::holding(0, self.now);
        if tick != self.tick {
            let over = tick.plus(-1);
            self.tracker.close_tick(over, &mut self.events);
            self.ledger.close_tick(over, &mut self.written);
            self.tick = tick;
        }
    }

    /// Each packet was in one flow, and whatever was said can be written.
    fn finish(mut self) -> Vec<String> {
        self.wait(Span::from_millis(3_600_000));
        self.ledger.finish(&mut self.written);
        let lines = self.written.lines;
        assert!(self.packets == 0 || (self.events.0 > 0 && !lines.is_empty()));
        let counts = self.ledger.counts();
        let flows = lines.iter().filter(|line| line.contains("\"event_type\":\"flow\"")).count();
        assert_eq!(flows as u64, counts.followed);
        lines
    }
}

/// One conversation of each kind, and some that break off.
pub fn seeds() -> Vec<Vec<u8>> {
    let ask =
        RequestHead { method: "POST", path: "/bid?n=1", host: "pps.example", agent: "b/1", body_len: 3 }
            .bytes();
    let answer = [http::response_head(200, 5), b"hello".to_vec()].concat();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec();
    let forwarded = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4, 10.0.0.1\r\nForwarded: for=\"[2001:db8::1]:80\"\r\n\r\n".to_vec();
    let hello = ClientHello { hello: Hello::Browser, server_name: "pps.example" }.record(&mut Rng::new(5));
    let server = tls::server_hello(&mut Rng::new(6), 300);
    let proxy1 = b"PROXY TCP4 1.2.3.4 10.0.0.1 4000 443\r\n".to_vec();
    let mut proxy2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    proxy2.extend([1, 2, 3, 4, 10, 0, 0, 1, 15, 160, 1, 187]);
    let http2 =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame2(4, 0, 0, &[0; 6]), frame2(1, 5, 1, &[0x82])]
            .concat();
    let crypto = crypto_at(0, &hello[5..]);
    let bodied = [&ask[..], b"abc"].concat();
    let say = |server: u8, bytes: &[u8]| act(server, bytes);
    let how = |how: u8, server: u8, bytes: &[u8]| act(how << 1 | server, bytes);
    let small = |server: u8, bytes: &[u8]| act(0x10 | server, bytes);
    let connect = b"CONNECT pps.example:443 HTTP/1.1\r\nHost: pps.example\r\n\r\n";
    [
        vec![
            say(0, &bodied),
            say(1, &answer),
            say(0, &forwarded),
            say(1, &chunked),
            act(0x20, b""),
            act(0x21, b""),
        ],
        vec![small(0, &bodied), small(1, &answer), how(Act::AGAIN, 0, &bodied), how(Act::MISSED, 1, &answer)],
        vec![
            how(Act::LATER, 0, &bodied[..9]),
            say(0, &bodied[9..]),
            how(Act::CUT, 1, &answer),
            act(0x60, b""),
        ],
        vec![say(0, &[&proxy1[..], &bodied].concat()), say(1, &answer)],
        vec![say(0, &[&proxy2[..], &hello].concat()), say(1, &server)],
        vec![small(0, &hello), say(1, &server), act(0x80, b"x")],
        vec![
            say(0, &http2),
            say(
                1,
                &[frame2(4, 0, 0, &[]), frame2(1, 4, 1, b"\x48\x03503"), frame2(1, 4, 3, &[0xbe])].concat(),
            ),
            say(0, &frame2(3, 0, 1, &[0, 0, 0, 8])),
        ],
        vec![
            say(0, &[5, 1, 0]),
            say(1, &[5, 0]),
            say(0, b"\x05\x01\0\x01\x01\x02\x03\x04\x01\xbb"),
            say(1, b"\x05\0\0\x01\0\0\0\0\0\0"),
            say(0, &hello),
        ],
        vec![say(0, b"\x04\x01\x01\xbb\x01\x02\x03\x04me\0"), say(1, b"\0\x5a\0\0\0\0\0\0"), say(0, &hello)],
        vec![say(0, connect), say(1, b"HTTP/1.1 200 OK\r\n\r\n"), say(0, &hello), say(1, &server)],
        vec![how(Act::QUIC, 0, &crypto), how(Act::DATAGRAM, 1, b"\xc0\0\0\0\x01answer")],
        vec![
            how(Act::QUIC, 0, &crypto_at(100, &hello[105..])),
            how(Act::QUIC, 0, &crypto_at(0, &hello[5..105])),
        ],
        vec![say(1, b"220 mail ESMTP\r\n"), say(0, b"STARTTLS\r\n"), say(1, b"220 go\r\n"), say(0, &hello)],
    ]
    .map(|acts| acts.concat())
    .into()
}

/// An act as [`run`] reads it.
fn act(act: u8, bytes: &[u8]) -> Vec<u8> {
    [&[act], &(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// An HTTP/2 frame.
fn frame2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A CRYPTO frame.
fn crypto_at(offset: u16, bytes: &[u8]) -> Vec<u8> {
    let two = |number: u16| (0x4000 | number).to_be_bytes();
    [&[6][..], &two(offset), &two(bytes.len() as u16), bytes].concat()
}
