//! What one client and the service do to each other, one thing after the other: requests, answers, pauses come in,
//! a [`Conversation`] with right times, sequence and acknowledgement numbers goes out. Knows nothing of scenarios.
//!
//! Time is that of a mirror port next to the service. Lines lose nothing unless told: there are no retransmissions but those
//! of unanswered SYNs and of segments that are to be sent twice.

use std::ops::Range;

use super::conversation::{Conversation, Filling, Header, Step, Wire};
use super::frame::{ACK, FIN, PSH, RST, SYN};
use super::rng::mix;
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// Writes what client and service do one after the other, keeping time and sequence numbers.
#[derive(Debug, Clone)]
pub struct Dialogue {
    wire: Wire,
    filling: Filling,
    now: Timestamp,
    client_seq: u32,
    server_seq: u32,
    /// Where the client's bytes begin that the service has not acknowledged yet.
    unacknowledged: Option<Timestamp>,
    /// Every so many full segments of the service are sent twice; 0: none.
    resend_every: u32,
    /// Full segments of the service so far, from some number on, so that it is not always the same one of a connection.
    full: u32,
    steps: Vec<Step>,
    text: Vec<u8>,
}

/// What the service's kernel takes to answer by itself: what servers in one rack show.
const TURN: Span = Span::from_micros(80);
/// How long Linux holds an acknowledgement back, hoping that an answer carries it.
const DELAYED_ACK: Span = Span::from_millis(40);
/// The least time before a segment is sent again on Linux.
const RETRANSMISSION: Span = Span::from_millis(200);
/// Between two full segments of one burst: 1500 bytes at 1 Gb/s.
const SERIALIZATION: Span = Span::from_micros(12);
/// Segments sent before the first acknowledgement ([RFC 6928](https://www.rfc-editor.org/rfc/rfc6928)).
const INITIAL_WINDOW: usize = 10;
/// The wait before the first SYN is repeated ([RFC 6298](https://www.rfc-editor.org/rfc/rfc6298)); it doubles.
const SYN_TIMEOUT: Span = Span::from_secs(1);
/// The most repetitions of a SYN: what Linux does.
const MAX_SYN_RETRIES: u32 = 6;
/// The long header of a QUIC Initial of version 1, up to the connection ID of eight bytes.
const INITIAL: [u8; 6] = [0xc3, 0, 0, 0, 1, 8];
/// The lengths behind that ID.
const NO_ID_NO_TOKEN: [u8; 2] = [0, 0];
/// What a client pads it to ([RFC 9000](https://www.rfc-editor.org/rfc/rfc9000#section-14.1)).
const INITIAL_LENGTH: u16 = 1_200;
/// The longest body of one message, so that a conversation's steps stay below 64 KiB.
pub const MAX_BODY: usize = 1 << 20;
impl Dialogue {
    /// Begins at `start`; `seed` gives the initial sequence numbers.
    pub fn new(wire: Wire, start: Timestamp, seed: u64) -> Self {
        let numbers = mix(seed, 0x5e90);
        Self {
            wire,
            filling: Filling::Prose,
            now: start,
            client_seq: numbers as u32,
            server_seq: (numbers >> 32) as u32,
            unacknowledged: None,
            resend_every: 0,
            full: (numbers >> 48) as u32,
            steps: Vec::new(),
            text: Vec::new(),
        }
    }

    /// When the next thing happens unless there is a pause.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Fills all bodies of the conversation that way.
    pub fn fill_with(&mut self, filling: Filling) -> &mut Self {
        self.filling = filling;
        self
    }

    /// Nothing happens for `span`.
    pub fn pause(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    /// SYN, SYN-ACK, ACK.
    pub fn handshake(&mut self) -> &mut Self {
        self.syn();
        self.syn_ack(self.now + TURN);
        self.client_seq = self.client_seq.wrapping_add(1);
        self.server_seq = self.server_seq.wrapping_add(1);
        self.now = self.now + TURN + self.wire.rtt;
        self.client_tcp(self.now, ACK);
        self
    }

    /// A SYN that nobody answers, repeated `retries` times after 1, 2, 4, ... s, at most six times.
    pub fn unanswered_syn(&mut self, retries: u32) -> &mut Self {
        self.each_syn(retries, |_, _| {})
    }

    /// A SYN whose SYN-ACK the client never acknowledges; repeated as in [`Self::unanswered_syn`].
    pub fn unacknowledged_syn(&mut self, retries: u32) -> &mut Self {
        self.each_syn(retries, |this, time| this.syn_ack(time + TURN))
    }

    /// A SYN that the service answers with RST; repeated as in [`Self::unanswered_syn`].
    pub fn refused_syn(&mut self, retries: u32) -> &mut Self {
        self.each_syn(retries, |this, time| {
            let refusal = Header::Tcp { seq: 0, ack: this.client_seq.wrapping_add(1), flags: RST | ACK };
            this.push(time + TURN, Direction::ToClient, refusal);
        })
    }

    /// An ACK of no conversation.
    pub fn stray_ack(&mut self) -> &mut Self {
        self.client_tcp(self.now, ACK);
        self
    }

    /// A SYN-ACK that answers nothing.
    pub fn stray_syn_ack(&mut self) -> &mut Self {
        self.client_tcp(self.now, SYN | ACK);
        self
    }

    fn each_syn(&mut self, retries: u32, answer: impl Fn(&mut Self, Timestamp)) -> &mut Self {
        for retry in 0..=retries.min(MAX_SYN_RETRIES) {
            if retry > 0 {
                self.pause(Span::from_nanos(SYN_TIMEOUT.nanos() << (retry - 1)));
            }
            self.syn();
            answer(self, self.now);
        }
        self
    }

    fn syn(&mut self) {
        self.push(self.now, Direction::ToServer, Header::Tcp { seq: self.client_seq, ack: 0, flags: SYN });
    }

    fn syn_ack(&mut self, time: Timestamp) {
        let (seq, ack) = (self.server_seq, self.client_seq.wrapping_add(1));
        self.push(time, Direction::ToClient, Header::Tcp { seq, ack, flags: SYN | ACK });
    }

    /// The client sends `text` and `filler` bytes more, at most [`MAX_BODY`] of them.
    pub fn client_sends(&mut self, text: &[u8], filler: usize) -> &mut Self {
        let segments = self.segments(text, filler);
        let count = segments.len();
        for (place, (text, filler)) in segments.into_iter().enumerate() {
            let flags = if place + 1 == count { PSH | ACK } else { ACK };
            self.client_tcp(self.now, flags);
            self.client_seq = self.client_seq.wrapping_add(self.fill_last(text, filler));
            self.now = self.now + SERIALIZATION;
        }
        self.unacknowledged = Some(self.now);
        self
    }

    /// The service sends `text` and `filler` bytes more (at most [`MAX_BODY`]) after `wait`, in bursts that double
    /// with every round trip; the client acknowledges every second segment and the last.
    pub fn server_sends(&mut self, wait: Span, text: &[u8], filler: usize) -> &mut Self {
        self.acknowledge_late(wait);
        self.now = self.now + wait;
        let segments = self.segments(text, filler);
        let (count, mut window, mut in_burst) = (segments.len(), INITIAL_WINDOW, 0);
        let (mut burst, mut time, mut whole) = (self.now, self.now, self.now);
        for (place, (text, filler)) in segments.into_iter().enumerate() {
            if in_burst == window {
                burst = burst + self.wire.rtt;
                (time, window, in_burst) = (burst.max(time), window * 2, 0);
            }
            let last = place + 1 == count;
            self.server_tcp(time, if last { PSH | ACK } else { ACK });
            let again = self.sends_again(&text, filler);
            if again {
                self.fill_last(text.clone(), filler);
                self.server_tcp(time + RETRANSMISSION, ACK);
                whole = time + RETRANSMISSION;
            }
            self.server_seq = self.server_seq.wrapping_add(self.fill_last(text, filler));
            if place % 2 == 1 || last {
                self.client_tcp(time + self.wire.rtt, ACK);
            }
            time = time + SERIALIZATION;
            in_burst += 1;
        }
        self.now = time.max(whole) + self.wire.rtt;
        self
    }

    /// FIN from the client, FIN from the service, ACK.
    pub fn closed_by_client(&mut self) -> &mut Self {
        self.client_tcp(self.now, FIN | ACK);
        self.client_seq = self.client_seq.wrapping_add(1);
        self.server_tcp(self.now + TURN, FIN | ACK);
        self.server_seq = self.server_seq.wrapping_add(1);
        self.now = self.now + TURN + self.wire.rtt;
        self.client_tcp(self.now, ACK);
        self
    }

    /// FIN from the service, FIN from the client, ACK.
    pub fn closed_by_server(&mut self) -> &mut Self {
        self.server_tcp(self.now, FIN | ACK);
        self.server_seq = self.server_seq.wrapping_add(1);
        self.now = self.now + self.wire.rtt;
        self.client_tcp(self.now, FIN | ACK);
        self.client_seq = self.client_seq.wrapping_add(1);
        self.now = self.now + TURN;
        self.server_tcp(self.now, ACK);
        self
    }

    /// The client gives up with RST.
    pub fn reset_by_client(&mut self) -> &mut Self {
        self.client_tcp(self.now, RST | ACK);
        self
    }

    /// The service gives up with RST.
    pub fn reset_by_server(&mut self) -> &mut Self {
        self.server_tcp(self.now, RST | ACK);
        self
    }

    /// One UDP datagram of `filler` bytes in `direction`.
    pub fn datagram(&mut self, direction: Direction, filler: u16) -> &mut Self {
        self.push(self.now, direction, Header::Udp);
        self.fill_last(0..0, filler);
        self
    }

    /// The first datagram of a conversation over QUIC, or the first that answers it: the header of an Initial (RFC 9000 section
    /// 17.2.2), and filler where the sealed frames would be.
    pub fn initial(&mut self, direction: Direction) -> &mut Self {
        let at = self.text.len() as u32;
        self.text.extend_from_slice(&INITIAL);
        self.text.extend_from_slice(&self.client_seq.to_be_bytes());
        self.text.extend_from_slice(&self.server_seq.to_be_bytes());
        self.text.extend_from_slice(&NO_ID_NO_TOKEN);
        let end = self.text.len() as u32;
        self.push(self.now, direction, Header::Udp);
        self.fill_last(at..end, INITIAL_LENGTH - (end - at) as u16);
        self
    }

    /// The last fragment of a UDP datagram towards the service.
    pub fn fragment(&mut self, filler: u16) -> &mut Self {
        self.push(self.now, Direction::ToServer, Header::Fragment);
        self.fill_last(0..0, filler);
        self
    }

    /// From now on the service sends every so many full segments twice; 0: none.
    pub const fn resend_every(&mut self, every: u32) -> &mut Self {
        self.resend_every = every;
        self
    }

    /// One ICMP echo of `filler` bytes with an identifier and a sequence number: a request or the reply to it.
    pub fn echo(&mut self, direction: Direction, (id, sequence): (u16, u16), filler: u16) -> &mut Self {
        self.push(self.now, direction, Header::Echo { id, sequence });
        self.fill_last(0..0, filler);
        self
    }

    /// Ends writing.
    pub fn finish(mut self) -> Conversation {
        let view = self.wire.view;
        self.steps.retain(|step| view.shows(step.direction));
        self.steps.sort_by_key(|step| step.time);
        let Self { wire, filling, steps, text, .. } = self;
        Conversation::new(wire, filling, steps, text)
    }

    fn acknowledge_late(&mut self, wait: Span) {
        let Some(since) = self.unacknowledged.take() else { return };
        if wait > DELAYED_ACK {
            self.server_tcp(since + DELAYED_ACK, ACK);
        }
    }

    /// Cuts a message into segments: the part of the stored text and the bytes of filler of each.
    fn segments(&mut self, text: &[u8], filler: usize) -> Vec<(Range<u32>, u16)> {
        // IPv6's header is 20 bytes longer.
        let room = if self.wire.server.is_ipv4() { 1460 } else { 1440 };
        let (mut at, mut filler) = (self.text.len(), filler.min(MAX_BODY));
        self.text.extend_from_slice(&text[..text.len().min(MAX_BODY)]);
        let mut segments = Vec::new();
        while at < self.text.len() || filler > 0 {
            let told = (self.text.len() - at).min(room);
            let filled = filler.min(room - told);
            segments.push((at as u32..(at + told) as u32, filled as u16));
            (at, filler) = (at + told, filler - filled);
        }
        segments
    }

    /// Whether a segment is one of those that are sent twice.
    fn sends_again(&mut self, text: &Range<u32>, filler: u16) -> bool {
        // Over IPv6 a full one has 1,440 bytes.
        let is_full = text.end - text.start + u32::from(filler) >= 1_440;
        self.full += u32::from(is_full);
        is_full && self.full.checked_rem(self.resend_every) == Some(0)
    }

    /// Gives the last step its content and returns how many bytes that is.
    fn fill_last(&mut self, text: Range<u32>, filler: u16) -> u32 {
        let length = text.end - text.start + u32::from(filler);
        // Acknowledgements are pushed after their segment is filled, so the last step is the segment.
        if let Some(step) = self.steps.last_mut() {
            (step.text, step.filler) = (text, filler);
        }
        length
    }

    fn client_tcp(&mut self, time: Timestamp, flags: u8) {
        self.push(
            time,
            Direction::ToServer,
            Header::Tcp { seq: self.client_seq, ack: self.server_seq, flags },
        );
    }

    fn server_tcp(&mut self, time: Timestamp, flags: u8) {
        self.push(
            time,
            Direction::ToClient,
            Header::Tcp { seq: self.server_seq, ack: self.client_seq, flags },
        );
    }

    fn push(&mut self, time: Timestamp, direction: Direction, header: Header) {
        self.steps.push(Step { time, direction, header, text: 0..0, filler: 0 });
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};

    use super::super::SynthFrame;
    use super::super::conversation::View;
    use super::super::frame::Vlans;
    use super::*;

    fn wire(view: View) -> Wire {
        Wire {
            client: "198.51.100.7:40000".parse().unwrap(),
            server: "192.0.2.1:80".parse().unwrap(),
            rtt: Span::from_millis(30),
            client_ttl: 52,
            vlans: Vlans::None,
            view,
        }
    }

    fn dialogue(view: View) -> Dialogue {
        Dialogue::new(wire(view), Timestamp::from_secs(1_700_000_000), 3)
    }

    /// What each frame is: arrow, flags, bytes of payload.
    fn told(conversation: Conversation) -> Vec<String> {
        conversation.map(|frame| tell(&frame)).collect()
    }

    fn tell(frame: &SynthFrame) -> String {
        let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
        let arrow = if tcp.destination_port() == 80 { '>' } else { '<' };
        let flags =
            [(tcp.syn(), 'S'), (tcp.fin(), 'F'), (tcp.rst(), 'R'), (tcp.psh(), 'P'), (tcp.ack(), 'A')];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, letter)| *letter).collect();
        format!("{arrow}{flags}{}", tcp.payload().len())
    }

    /// Both sequence numbers go on without gap or overlap, and nobody acknowledges what was not sent.
    fn assert_numbers_hold(conversation: Conversation) {
        let mut next: [Option<u32>; 2] = [None, None];
        for frame in conversation {
            let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
            let side = usize::from(tcp.destination_port() == 80);
            let expected = next[side].get_or_insert(tcp.sequence_number());
            assert_eq!(tcp.sequence_number(), *expected);
            let length = tcp.payload().len() as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin());
            *expected = expected.wrapping_add(length);
            if let (true, Some(sent)) = (tcp.ack(), next[1 - side]) {
                assert!(sent.wrapping_sub(tcp.acknowledgment_number()) < 1 << 20, "acknowledges the unsent");
            }
        }
    }

    #[test]
    fn a_page_is_asked_for_and_fetched() {
        let mut talk = dialogue(View::BothSides);
        talk.handshake().client_sends(b"GET / HTTP/1.1\r\n\r\n", 0);
        talk.server_sends(Span::from_millis(8), b"HTTP/1.1 200 OK\r\n\r\n", 3_000).closed_by_client();
        assert_numbers_hold(talk.clone().finish());
        let expected =
            [">S0", "<SA0", ">A0", ">PA18", "<A1460", "<A1460", "<PA99", ">A0", ">A0", ">FA0", "<FA0", ">A0"];
        assert_eq!(told(talk.finish()), expected);
    }

    #[test]
    fn a_large_body_comes_in_doubling_bursts() {
        let mut talk = dialogue(View::ServerSide);
        talk.server_sends(Span::default(), b"", 40 * 1460);
        let times: Vec<u64> = talk
            .finish()
            .map(|frame| frame.time.since(Timestamp::from_secs(1_700_000_000)).nanos())
            .collect();
        let after = |millis: u64| times.iter().filter(|time| **time >= millis * 1_000_000).count();
        assert_eq!([after(0), after(30), after(60)], [40, 30, 10]);
    }

    #[test]
    fn a_slow_answer_is_preceded_by_an_acknowledgement() {
        let mut talk = dialogue(View::ServerSide);
        talk.handshake().client_sends(b"GET", 0).server_sends(Span::from_millis(500), b"late", 0);
        assert_eq!(told(talk.finish()), ["<SA0", "<A0", "<PA4"]);
    }

    #[test]
    fn half_open_connections_repeat_their_syn() {
        let mut talk = dialogue(View::BothSides);
        talk.unacknowledged_syn(2);
        let frames: Vec<SynthFrame> = talk.finish().collect();
        assert_eq!(
            frames.iter().map(tell).collect::<Vec<_>>(),
            [">S0", "<SA0", ">S0", "<SA0", ">S0", "<SA0"]
        );
        assert_eq!(frames[4].time.since(frames[0].time), Span::from_secs(3));
        let mut talk = dialogue(View::BothSides);
        talk.refused_syn(0);
        assert_eq!(told(talk.finish()), [">S0", "<RA0"]);
        let mut talk = dialogue(View::BothSides);
        talk.unanswered_syn(u32::MAX);
        assert_eq!(talk.finish().count(), 7);
    }

    #[test]
    fn a_one_sided_mirror_shows_one_side_with_the_same_numbers() {
        let write = |view| {
            let mut talk = dialogue(view);
            talk.handshake()
                .client_sends(b"GET", 0)
                .server_sends(Span::default(), b"OK", 0)
                .closed_by_server();
            talk.finish().collect::<Vec<_>>()
        };
        let (both, client, server) =
            (write(View::BothSides), write(View::ClientSide), write(View::ServerSide));
        assert_eq!(both.len(), client.len() + server.len());
        let from_client: Vec<String> =
            both.iter().map(tell).filter(|packet| packet.starts_with('>')).collect();
        assert_eq!(client.iter().map(tell).collect::<Vec<_>>(), from_client);
    }
}
