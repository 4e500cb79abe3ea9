//! Connections as they are seen on a wire, told as dialogues.

use super::*;
use crate::decode::TcpFlags;

/// A connection and the numbers its two ends are at. The client is whoever asks, the server whoever answers, whatever
/// roles they are given.
struct Dialogue {
    tcp: Tcp,
    /// The client's and the server's next number.
    next: [u32; 2],
    client: Role,
    start: Timestamp,
    now: Timestamp,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Dialogue {
    /// Begins with a packet of the client.
    fn asked() -> Self {
        let start = Timestamp::from_secs(1_000);
        Self { tcp: Tcp::default(), next: [100, 900], client: Role::Originator, start, now: start }
    }

    /// Begins with a packet of the server.
    fn answered() -> Self {
        Self { client: Role::Responder, ..Self::asked() }
    }

    fn after(mut self, span: Span) -> Self {
        self.now = self.now + span;
        self
    }

    fn client(self, flags: &str) -> Self {
        self.says(CLIENT, flags, 0)
    }

    fn server(self, flags: &str) -> Self {
        self.says(SERVER, flags, 0)
    }

    fn client_sends(self, bytes: u32) -> Self {
        self.says(CLIENT, "A", bytes)
    }

    fn server_sends(self, bytes: u32) -> Self {
        self.says(SERVER, "A", bytes)
    }

    /// What was sent last is `bytes` shorter: the next segment brings them again.
    fn client_goes_back(mut self, bytes: u32) -> Self {
        self.next[CLIENT] -= bytes;
        self
    }

    /// The next segment leaves `bytes` out.
    fn client_skips(mut self, bytes: u32) -> Self {
        self.next[CLIENT] += bytes;
        self
    }

    fn says(mut self, who: usize, flags: &str, payload_len: u32) -> Self {
        let segment = self.segment(who, flags, payload_len);
        self.next[who] = segment.sequence.wrapping_add(endpoint::length(&segment));
        self.takes(who, &segment)
    }

    fn takes(mut self, who: usize, segment: &TcpSegment<'_>) -> Self {
        let from = if who == CLIENT { self.client } else { self.client.other() };
        if self.tcp.segment(from, segment, self.now) == Turn::Flipped {
            self.client = self.client.other();
        }
        self
    }

    fn segment(&self, who: usize, flags: &str, payload_len: u32) -> TcpSegment<'static> {
        let has = |flag| flags.contains(flag);
        TcpSegment {
            source_port: 0,
            destination_port: 0,
            sequence: self.next[who],
            acknowledgment: if has('A') { self.next[1 - who] } else { 0 },
            flags: TcpFlags { syn: has('S'), ack: has('A'), fin: has('F'), rst: has('R') },
            window: if has('0') { 0 } else { 8_192 },
            payload_len,
            payload: &[],
        }
    }

    fn handshake(self) -> Self {
        self.client("S").server("SA").client("A")
    }

    fn tells(&self) -> (&'static str, &str) {
        (self.tcp.state().code(), self.tcp.history.as_str())
    }

    fn deadline(&self) -> Span {
        self.tcp.deadline(self.start, self.now).since(self.start)
    }
}

#[test]
fn an_orderly_connection() {
    let talk = Dialogue::asked()
        .handshake()
        .client_sends(80)
        .server_sends(400)
        .client("FA")
        .server("FA")
        .client("A");
    assert_eq!(talk.tells(), ("SF", "ShADdFf"));
    let talk = Dialogue::asked().handshake().client_sends(80).server("A").server("FA");
    assert_eq!(talk.tells(), ("S3", "ShADaf"));
    assert_eq!(Dialogue::asked().handshake().client("FA").server("A").tells(), ("S2", "ShAFa"));
    assert_eq!(Dialogue::asked().handshake().tells(), ("S1", "ShA"));
}

#[test]
fn attempts_that_come_to_nothing() {
    assert_eq!(Dialogue::asked().client("S").client_goes_back(1).client("S").tells(), ("S0", "S"));
    assert_eq!(Dialogue::asked().client("S").server("RA").tells(), ("REJ", "Sr"));
    assert_eq!(Dialogue::asked().client("S").client("R").tells(), ("RSTOS0", "SR"));
    assert_eq!(Dialogue::asked().client("S").client("FA").tells(), ("SH", "SF"));
    assert_eq!(Dialogue::asked().client("S").server("SA").client("R").tells(), ("RSTO", "ShR"));
}

#[test]
fn resets_are_told_by_side() {
    assert_eq!(Dialogue::asked().handshake().client_sends(9).client("RA").tells(), ("RSTO", "ShADR"));
    assert_eq!(Dialogue::asked().handshake().client_sends(9).server("RA").tells(), ("RSTR", "ShADr"));
    // A reset behind the FINs of both sides changes nothing.
    let talk = Dialogue::asked().handshake().client("FA").server("FA").client("R");
    assert_eq!(talk.tells(), ("SF", "ShAFfR"));
}

#[test]
fn only_the_servers_side_is_seen() {
    // A SYN-ACK alone may be a scan; what follows it shows that it was an answer.
    assert_eq!(Dialogue::answered().server("SA").tells(), ("OTH", "H"));
    let talk = Dialogue::answered().server("SA").server_sends(100);
    assert_eq!((talk.tells(), talk.client), (("OTH", "^hd"), Role::Originator));
    assert_eq!(Dialogue::answered().server("SA").server("A").server("FA").tells(), ("SHR", "^haf"));
    assert_eq!(Dialogue::answered().server("SA").server("R").tells(), ("OTH", "HR"));
}

#[test]
fn the_syn_was_missed() {
    let talk = Dialogue::answered().server("SA").client("A").client_sends(10).server_sends(10);
    assert_eq!((talk.tells(), talk.client), (("S1", "^hADd"), Role::Originator));
}

#[test]
fn the_syn_comes_behind_its_answer() {
    let talk = Dialogue::answered();
    let syn = talk.segment(CLIENT, "S", 0);
    let mut talk = talk.client_skips(1).server("SA");
    assert!(!talk.tcp.is_reused_by(&syn));
    talk = talk.takes(CLIENT, &syn).client("A");
    assert_eq!((talk.tells(), talk.client), (("S1", "^hSA"), Role::Originator));
}

#[test]
fn a_pick_up_in_the_middle() {
    assert_eq!(Dialogue::asked().client_sends(10).server("A").tells(), ("OTH", "Da"));
    assert_eq!(Dialogue::asked().client_sends(10).server_sends(9).server("RA").tells(), ("RSTRH", "Ddr"));
}

#[test]
fn retransmissions_are_told_by_size() {
    let talk =
        Dialogue::asked().handshake().client_sends(1_448).client_sends(100).after(Span::from_millis(200));
    let talk = talk.client_goes_back(1_548).client_sends(1_448).client_sends(100);
    let noticed = talk.tcp.noticed().0;
    assert_eq!((noticed.retransmitted, noticed.retransmitted_large, noticed.out_of_order), (2, 1, 0));
    assert_eq!(talk.tells().1, "ShADT");
}

#[test]
fn what_fills_a_hole_at_once_was_out_of_order() {
    let talk = Dialogue::asked().handshake().client_skips(500).client_sends(500);
    let talk = talk.after(Span::from_millis(1)).client_goes_back(1_000).client_sends(500);
    assert_eq!((talk.tcp.noticed().0.out_of_order, talk.tcp.noticed().0.retransmitted), (1, 0));
    let late = Dialogue::asked().handshake().client_skips(500).client_sends(500);
    let late = late.after(Span::from_millis(90)).client_goes_back(1_000).client_sends(500);
    assert_eq!((late.tcp.noticed().0.out_of_order, late.tcp.noticed().0.retransmitted), (0, 1));
}

#[test]
fn a_probe_of_a_quiet_peer_is_no_retransmission() {
    let talk = Dialogue::asked().handshake().client_sends(10).server("A").after(Span::from_secs(45));
    let talk = talk.client_goes_back(1).client("A");
    let noticed = talk.tcp.noticed().0;
    assert_eq!((noticed.keep_alives, noticed.retransmitted), (1, 0));
    let talk = talk.client_sends(1).client_goes_back(1).client_sends(1);
    assert_eq!(
        (talk.tcp.noticed().0.keep_alives, talk.tcp.noticed().0.retransmitted),
        (3, 0),
        "with a byte, too"
    );
}

#[test]
fn an_acknowledgment_of_what_was_never_seen_is_a_gap() {
    let talk = Dialogue::asked().handshake().client_sends(10).client_skips(1_000).server("A");
    assert_eq!(talk.tells(), ("S1", "ShADaG"));
    assert_eq!(talk.tcp.noticed().0.gaps, 1);
}

#[test]
fn a_window_of_zero_tells_the_other_end_to_wait() {
    let talk = Dialogue::asked().handshake().server_sends(10).client("A0").client("A0");
    assert_eq!((talk.tcp.noticed().0.zero_windows, talk.tells().1), (2, "ShAdW"));
    assert_eq!(Dialogue::asked().handshake().client("RA0").tcp.noticed().0.zero_windows, 0);
}

#[test]
fn the_steps_of_the_handshake_are_timed() {
    let talk = Dialogue::asked().client("S").after(Span::from_millis(30)).server("SA");
    let talk = talk.after(Span::from_millis(70)).client("A");
    let steps = talk.tcp.handshake();
    assert_eq!((steps.server_us, steps.client_us), (Some(30_000), Some(70_000)));
}

#[test]
fn when_nothing_more_is_to_be_expected() {
    let second = Span::from_secs(1);
    let attempt = Dialogue::asked().client("S").after(second).client_goes_back(1).client("S");
    assert_eq!(attempt.deadline(), ENDED, "from the first SYN on");
    assert_eq!(Dialogue::asked().client("S").after(second).server("RA").deadline(), Span::from_secs(6));
    assert_eq!(Dialogue::asked().handshake().after(second).client_sends(1).deadline(), Span::from_secs(301));
    let closed =
        Dialogue::asked().handshake().client("FA").after(second).server("FA").after(second).client("A");
    assert_eq!(closed.deadline(), Span::from_secs(6), "from the second FIN on");
    let half = Dialogue::asked().handshake().after(second).client("FA").server("A");
    assert_eq!(half.deadline(), Span::from_secs(301), "the other side may still send");
}

#[test]
fn another_syn_begins_another_connection() {
    let open = Dialogue::asked().handshake();
    let again = TcpSegment { sequence: 100, ..open.segment(CLIENT, "S", 0) };
    assert!(!open.tcp.is_reused_by(&again), "a retransmitted SYN");
    assert!(open.tcp.is_reused_by(&TcpSegment { sequence: 5_000, ..again }));
    assert!(!open.tcp.is_reused_by(&open.segment(CLIENT, "A", 3)));
    let closed = open.client("FA").server("FA");
    assert!(closed.tcp.is_reused_by(&again));
}

#[test]
fn both_ends_open_at_once() {
    // The second SYN, of the other end, has another number: Zeek begins another connection, and so do we.
    let one = Dialogue::asked().client("S");
    assert!(one.tcp.is_reused_by(&one.segment(SERVER, "S", 0)));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_segments_do(
            segments in proptest::collection::vec((any::<bool>(), any::<u32>(), any::<u32>(), 0..16_u8, 0..2_000_u32, any::<u16>()), 1..60)
        ) {
            let mut tcp = Tcp::default();
            for (client, sequence, acknowledgment, flags, payload_len, window) in segments {
                let flag = |bit: u8| flags & 1 << bit != 0;
                let segment = TcpSegment {
                    source_port: 1, destination_port: 2, sequence, acknowledgment, window, payload_len, payload: &[],
                    flags: TcpFlags { syn: flag(0), ack: flag(1), fin: flag(2), rst: flag(3) },
                };
                let role = if client { Role::Originator } else { Role::Responder };
                let _ = tcp.is_reused_by(&segment);
                tcp.segment(role, &segment, Timestamp::from_secs(1));
            }
            prop_assert!(tcp.history.as_str().len() <= 23);
            let _ = tcp.state();
        }
    }
}
