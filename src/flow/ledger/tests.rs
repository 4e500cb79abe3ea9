//! Flows from their first packet to their record.

use super::*;
use crate::decode::{TcpFlags, TcpSegment, UdpDatagram};
use crate::flow::Volume;
use crate::flow::record::{Ends, Record};
use crate::flow::tcp::{ConnState, History};

const ALL: RecordKinds = RecordKinds { flows: true, requests: true, hellos: true, query: false };

struct Book {
    ledger: Ledger,
    now: Timestamp,
    told: Told,
}

/// The flows that were told.
#[derive(Default)]
struct Told(Vec<Flow>);

struct Flow {
    ends: Ends,
    icmp_code: Option<u8>,
    state: ConnState,
    history: History,
    start: Timestamp,
    to_responder: Volume,
    to_originator: Volume,
    duplicates: u64,
}

impl Scribe for Told {
    fn write(&mut self, record: &Record<'_>) {
        let Record::Flow(flow) = record else { panic!("no flow: {record:?}") };
        self.0.push(Flow {
            ends: flow.ends,
            icmp_code: flow.icmp_code,
            state: flow.state,
            history: flow.history,
            start: flow.start,
            to_responder: flow.to_responder,
            to_originator: flow.to_originator,
            duplicates: flow.duplicates,
        });
    }
}

impl Book {
    fn open() -> Self {
        let ledger = Ledger::new(ALL, TrustedProxies::default());
        Self { ledger, now: Timestamp::from_secs(1_000), told: Told::default() }
    }

    fn at(&mut self, secs: i64) -> &mut Self {
        self.now = Timestamp::from_secs(1_000 + secs);
        self
    }

    fn packet(&mut self, from: &str, to: &str, transport: Transport<'_>) -> &mut Self {
        let (source, destination) = (from.parse().unwrap(), to.parse().unwrap());
        let packet = Packet::plain(source, destination, 100, transport);
        self.ledger.packet(&packet, self.now, &mut self.told);
        self
    }

    fn datagram(&mut self, from: (&str, u16), to: (&str, u16)) -> &mut Self {
        let udp = UdpDatagram { source_port: from.1, destination_port: to.1, payload: &[] };
        self.packet(from.0, to.0, Transport::Udp(udp))
    }

    fn message(&mut self, from: &str, to: &str, kind: u8, code: u8) -> &mut Self {
        self.packet(from, to, Transport::Icmp { kind, code })
    }

    fn syn(&mut self, port: u16, sequence: u32) -> &mut Self {
        let tcp = TcpSegment {
            source_port: port,
            destination_port: 80,
            sequence,
            acknowledgment: 0,
            flags: TcpFlags { syn: true, ..TcpFlags::default() },
            window: 1_024,
            payload_len: 0,
            payload: &[],
        };
        self.packet("198.51.100.7", "192.0.2.1", Transport::Tcp(tcp))
    }

    /// What was told up to a second.
    fn told_by(&mut self, secs: i64) -> Vec<Flow> {
        self.close(TickId { epoch: 0, second: 1_000 + secs - 1 })
    }

    fn close(&mut self, tick: TickId) -> Vec<Flow> {
        self.ledger.close_tick(tick, &mut self.told);
        self.told()
    }

    fn rest(&mut self) -> Vec<Flow> {
        self.ledger.finish(&mut self.told);
        self.told()
    }

    fn told(&mut self) -> Vec<Flow> {
        std::mem::take(&mut self.told.0)
    }
}

const A: (&str, u16) = ("198.51.100.7", 40_000);
const RESOLVER: (&str, u16) = ("192.0.2.53", 53);
const PEER: (&str, u16) = ("192.0.2.99", 41_000);

#[test]
fn a_question_and_its_answer_are_one_flow() {
    let mut book = Book::open();
    let told = book.datagram(A, RESOLVER).datagram(RESOLVER, A).rest();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].state, told[0].history.as_str()), (ConnState::SF, "Dd"));
    assert_eq!((told[0].to_responder.packets, told[0].to_originator.bytes), (1, 100));
    assert_eq!(told[0].ends.responder, "192.0.2.53:53".parse().unwrap());
}

#[test]
fn an_answer_alone_has_the_server_as_responder() {
    let told = Book::open().datagram(RESOLVER, A).rest();
    assert_eq!((told[0].state, told[0].history.as_str()), (ConnState::Shr, "^d"));
    assert_eq!(told[0].ends.responder, "192.0.2.53:53".parse().unwrap());
    assert_eq!((told[0].to_responder.packets, told[0].to_originator.packets), (0, 1));
}

#[test]
fn silence_ends_a_flow_and_what_comes_after_is_another() {
    let mut book = Book::open();
    assert!(book.datagram(A, PEER).at(59).datagram(A, PEER).told_by(100).is_empty());
    let told = book.told_by(121);
    assert_eq!((told.len(), told[0].to_responder.packets), (1, 2));
    book.at(200).datagram(A, RESOLVER).at(215).datagram(A, RESOLVER);
    assert_eq!(book.rest().len(), 2, "DNS is soon over");
}

#[test]
fn a_flow_that_goes_on_is_not_ended_by_the_clock() {
    let mut book = Book::open();
    for secs in (0..1_000).step_by(20) {
        assert!(book.at(secs).datagram(A, PEER).told_by(secs).is_empty());
    }
    assert_eq!(book.rest()[0].to_responder.packets, 50);
}

#[test]
fn a_long_silence_is_one_step() {
    let mut book = Book::open();
    book.datagram(A, PEER).at(900_000_000).datagram(PEER, A);
    let told = book.told_by(900_000_000);
    assert_eq!((told.len(), told[0].state), (1, ConnState::S0));
    assert_eq!(book.rest().len(), 1);
}

#[test]
fn attempts_with_new_numbers_are_new_flows() {
    let told = Book::open().syn(5_000, 1).at(1).syn(5_000, 1).at(2).syn(5_000, 77).rest();
    let packets: Vec<u64> = told.iter().map(|flow| flow.to_responder.packets).collect();
    assert_eq!(packets, [2, 1]);
    assert!(told.iter().all(|flow| flow.state == ConnState::S0));
    let late = Book::open().syn(5_000, 1).at(6).syn(5_000, 1).rest();
    assert_eq!(late.len(), 2, "an attempt is over after five seconds");
}

#[test]
fn messages_pair_and_errors_do_not() {
    let mut book = Book::open();
    book.message("192.0.2.1", "192.0.2.2", 8, 0).message("192.0.2.2", "192.0.2.1", 0, 0);
    book.message("192.0.2.1", "192.0.2.2", 3, 1).message("192.0.2.2", "192.0.2.1", 3, 1);
    let mut told = book.rest();
    told.sort_by_key(|flow| (flow.ends, flow.start));
    assert_eq!(told.len(), 3);
    let both = told.iter().find(|flow| flow.to_originator.packets == 1).unwrap();
    assert_eq!((both.ends.originator.port(), both.icmp_code), (8, Some(0)));
    assert!(told.iter().all(|flow| flow.state == ConnState::Oth));
}

#[test]
fn where_there_is_no_room_what_would_be_over_first_gives_way() {
    let mut book = Book::open();
    book.datagram(A, PEER);
    for number in 0..MAX_FLOWS as u32 + 9 {
        book.syn(1_000 + number as u16, 1);
    }
    assert_eq!(book.ledger.counts().cut, 10);
    let told = book.told();
    assert!(told.iter().all(|flow| flow.ends.protocol == 6), "attempts are over sooner than talk");
    assert_eq!(told[0].ends.originator.port(), 1_000, "the oldest first");
    assert_eq!(book.rest().len(), MAX_FLOWS);
}

#[test]
fn a_clock_that_is_set_back_ends_no_flow_and_keeps_none() {
    let mut book = Book::open();
    assert!(book.at(5_000).datagram(A, PEER).close(TickId { epoch: 1, second: 1_100 }).is_empty());
    assert!(book.at(130).datagram(PEER, A).told().is_empty());
    let told = book.close(TickId { epoch: 1, second: 1_300 });
    assert_eq!((told.len(), told[0].state), (1, ConnState::SF));
}

#[test]
fn copies_are_counted_apart() {
    let mut book = Book::open();
    book.datagram(A, PEER);
    let udp = UdpDatagram { source_port: A.1, destination_port: PEER.1, payload: &[] };
    let (source, destination) = (A.0.parse().unwrap(), PEER.0.parse().unwrap());
    let copy = Packet::plain(source, destination, 100, Transport::Udp(udp));
    book.ledger.duplicate(&copy, book.now);
    let told = book.rest();
    assert_eq!((told[0].to_responder.packets, told[0].duplicates), (1, 1));
}
