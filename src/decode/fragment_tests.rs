//! Scenarios of fragments: what is put together, what is given up, and what a flood of them costs.

use etherparse::ip_number;
use proptest::prelude::*;

use super::tests::{at_offset, frame, ipv4, ipv6, request, udp_bytes};
use super::*;
use crate::capture::{Frame, LinkType};
use crate::time::{Span, Timestamp};

/// A decoder and the time that it is told.
#[derive(Default)]
struct Line {
    decoder: Decoder,
    now: Timestamp,
}

impl Line {
    fn hears(&mut self, ip: &[u8]) -> Packet<'_> {
        // Tests may keep what they hear as long as they like.
        let ip: &'static [u8] = Vec::leak(ip.to_vec());
        let frame = Frame { time: self.now, ..frame(LinkType::RAW, ip, ip.len()) };
        self.decoder.decode(&frame).unwrap()
    }

    /// Hears fragments of which none may complete a datagram.
    fn hears_in_vain(&mut self, fragments: &[Vec<u8>]) {
        for fragment in fragments {
            let packet = self.hears(fragment);
            assert_eq!((packet.transport, packet.fragments), (Transport::Fragment, 1));
            assert_eq!(packet.fresh_len as usize, fragment.len());
        }
    }

    fn waits(&mut self, span: Span) {
        self.now = self.now + span;
    }

    fn counts(&self) -> FragmentCounts {
        self.decoder.fragment_counts()
    }
}

/// A datagram of 3,008 bytes behind its IP header.
fn whole() -> Vec<u8> {
    let payload: Vec<u8> = (0..3_000_u32).map(|n| (n % 251) as u8).collect();
    udp_bytes(3_008, &payload)
}

/// The bytes of a datagram from the unit of eight bytes `from` on to that of `to`, as IPv4 fragment.
fn piece(from: u16, to: u16) -> Vec<u8> {
    let whole = whole();
    let end = (usize::from(to) * 8).min(whole.len());
    let more = end < whole.len();
    ipv4(ip_number::UDP, &whole[usize::from(from) * 8..end], at_offset(from, more))
}

/// The same as IPv6 fragment, behind options that every fragment has.
fn piece_6(from: u16, to: u16) -> Vec<u8> {
    let whole = whole();
    let end = (usize::from(to) * 8).min(whole.len());
    let offset = from << 3 | u16::from(end < whole.len());
    let options = [ip_number::IPV6_FRAG.0, 0, 1, 4, 0, 0, 0, 0];
    let header = [&[ip_number::UDP.0, 0][..], &offset.to_be_bytes(), &[0, 0, 0, 9]].concat();
    let data = &whole[usize::from(from) * 8..end];
    ipv6(ip_number::IPV6_HOP_BY_HOP, &[&options, &header[..], data].concat())
}

fn is_whole(packet: &Packet<'_>) {
    assert_eq!(packet.ports(), Some((5_353, 53)));
    let Transport::Udp(datagram) = packet.transport else { panic!("not UDP") };
    assert_eq!(datagram.payload, &whole()[8..]);
}

#[test]
fn the_last_fragment_to_come_is_the_whole_datagram() {
    let orders: [[usize; 3]; 4] = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]];
    for order in orders {
        let mut line = Line::default();
        let pieces = [piece(0, 185), piece(185, 370), piece(370, 400)];
        let [first, second, last] = order.map(|n| pieces[n].clone());
        line.hears_in_vain(&[first, second]);
        let packet = line.hears(&last);
        is_whole(&packet);
        assert_eq!((packet.ip_len, packet.fresh_len, packet.fragments), (3_028, last.len() as u32, 3));
        assert_eq!((packet.ip.len(), packet.hop_limit), (3_028, 64));
        assert_eq!(line.counts(), FragmentCounts { seen: 3, completed: 1, ..FragmentCounts::default() });
    }
}

#[test]
fn ipv6_is_put_together_without_its_fragment_headers() {
    let mut line = Line::default();
    line.hears_in_vain(&[piece_6(185, 370), piece_6(370, 400)]);
    let packet = line.hears(&piece_6(0, 185));
    is_whole(&packet);
    assert_eq!((packet.ip_len, packet.fragments, packet.identification), (40 + 8 + 3_008, 3, None));
}

#[test]
fn a_datagram_that_was_put_together_is_the_same_when_it_is_opened_again() {
    let mut line = Line::default();
    line.hears_in_vain(&[piece(0, 185)]);
    let packet = line.hears(&piece(185, 400));
    // Which fragment came last is looked at before packets are handed on.
    let again = Sealed::of(&packet).open(packet.ip, packet.layers);
    assert!(again == Ok(Packet { completed_by: None, ..packet }));
    let lone = line.hears(&piece(0, 185));
    assert!(Sealed::of(&lone).open(lone.ip, lone.layers) == Ok(lone));
}

#[test]
fn a_tunnel_in_fragments_is_followed_inwards() {
    let inner = request().split_off(14);
    let gtp = [&[0x30, 255, 0, inner.len() as u8, 0, 0, 0, 42][..], &inner].concat();
    let datagram = [&[0x08, 0x68, 0x08, 0x68, 0, gtp.len() as u8 + 8, 0, 0][..], &gtp].concat();
    let mut line = Line::default();
    line.hears_in_vain(&[ipv4(ip_number::UDP, &datagram[..40], at_offset(0, true))]);
    let packet = line.hears(&ipv4(ip_number::UDP, &datagram[40..], at_offset(5, false)));
    assert_eq!(
        (packet.endpoints().1.port(), packet.ip_len, packet.fresh_len, packet.fragments),
        (443, 72, 72, 1)
    );
    assert_eq!(packet.layers.tunnels()[0].kind, TunnelKind::Gtpv1);
}

#[test]
fn copies_change_nothing() {
    let mut line = Line::default();
    line.hears_in_vain(&[piece(0, 185), piece(0, 185), piece(370, 400), piece(370, 400)]);
    is_whole(&line.hears(&piece(185, 370)));
    assert_eq!((line.counts().copies, line.counts().completed), (2, 1));
}

#[test]
fn a_datagram_whose_fragments_overlap_is_given_up() {
    let altered = |mut fragment: Vec<u8>| {
        fragment[40] ^= 0xff;
        fragment
    };
    let stories = [
        vec![piece(0, 185), piece(184, 370), piece(185, 370), piece(370, 400)],
        vec![piece(185, 370), piece(0, 186), piece(0, 185), piece(370, 400)],
        vec![piece(0, 185), piece(10, 20), piece(185, 400)],
        vec![piece(0, 185), altered(piece(0, 185)), piece(185, 400)],
        // Two ends, and data behind an end.
        vec![piece(370, 400), ipv4(ip_number::UDP, &[0; 8], at_offset(380, false)), piece(0, 370)],
        vec![ipv4(ip_number::UDP, &[0; 8], at_offset(20, false)), piece(185, 370), piece(0, 185)],
        vec![piece(185, 370), ipv4(ip_number::UDP, &[0; 8], at_offset(20, false)), piece(0, 185)],
    ];
    for story in stories {
        let mut line = Line::default();
        line.hears_in_vain(&story);
        let counts = line.counts();
        assert_eq!((counts.overlapping, counts.completed, counts.late), (1, 0, story.len() as u64 - 2));
    }
}

#[test]
fn what_waits_too_long_is_forgotten() {
    let mut line = Line::default();
    line.hears_in_vain(&[piece(0, 185)]);
    line.waits(Span::from_secs(30));
    is_whole(&line.hears(&piece(185, 400)));
    line.hears_in_vain(&[piece(0, 185)]);
    line.waits(Span::from_secs(31));
    line.hears_in_vain(&[piece(185, 400)]);
    assert_eq!((line.counts().timed_out, line.counts().completed), (1, 1));
    is_whole(&line.hears(&piece(0, 185)));
}

#[test]
fn a_clock_that_steps_back_forgets_too() {
    let mut line = Line { now: Timestamp::from_secs(1_000_000), ..Line::default() };
    line.hears_in_vain(&[piece(0, 185)]);
    line.now = Timestamp::from_secs(0);
    line.hears_in_vain(&[piece(185, 400)]);
    assert_eq!(line.counts().timed_out, 1);
}

#[test]
fn a_datagram_longer_than_ip_allows_is_given_up() {
    let mut line = Line::default();
    line.hears_in_vain(&[ipv4(ip_number::ICMP, &[0; 400], at_offset(8_189, false)), piece(0, 185)]);
    assert_eq!(line.counts().oversized, 1);
}

#[test]
fn a_datagram_in_too_many_pieces_is_given_up() {
    let mut line = Line::default();
    for n in 0..257 {
        line.hears_in_vain(&[piece(n, n + 1)]);
    }
    assert_eq!(line.counts().oversized, 1);
}

#[test]
fn fragments_that_cannot_be_continued_are_counted() {
    let mut line = Line::default();
    let fragment = |data: &[u8], offset, more| ipv4(ip_number::UDP, data, at_offset(offset, more));
    line.hears_in_vain(&[fragment(&[0; 7], 0, true), fragment(&[], 5, false), fragment(&[], 0, true)]);
    assert_eq!(line.counts().malformed, 3);
}

#[test]
fn a_flood_of_beginnings_costs_a_bounded_memory_and_honest_datagrams_still_pass() {
    let mut line = Line::default();
    let beginning = |n: u32| {
        ipv4(ip_number::UDP, &[0; 1_480], |header| {
            header.source = n.to_be_bytes();
            at_offset(185, true)(header);
        })
    };
    line.hears_in_vain(&(0..9_000).map(beginning).collect::<Vec<_>>());
    line.hears_in_vain(&[piece(0, 185)]);
    line.hears_in_vain(&(9_000..9_500).map(beginning).collect::<Vec<_>>());
    is_whole(&line.hears(&piece(185, 400)));
    let counts = line.counts();
    // Eight MiB hold 5,300 of them; the cap on datagrams comes first.
    assert_eq!((counts.displaced, counts.completed), (9_501 - 4_096, 1));
}

#[test]
fn many_datagrams_that_complete_behind_one_that_waits_leave_nothing() {
    let mut line = Line::default();
    line.hears_in_vain(&[piece_6(0, 185)]);
    for _ in 0..20_000 {
        line.hears(&piece(0, 185));
        line.hears(&piece(185, 400));
    }
    assert_eq!(line.counts().completed, 20_000);
    assert_eq!(line.counts().displaced, 0);
}

proptest! {
    #[test]
    fn however_a_datagram_is_cut_it_comes_out_whole_once(
        cuts in proptest::collection::btree_set(1..376_u16, 1..20),
        order in proptest::collection::vec(any::<u32>(), 42),
        over_ipv6 in any::<bool>(),
    ) {
        let ends: Vec<u16> = [0].into_iter().chain(cuts).chain([400]).collect();
        let of = if over_ipv6 { piece_6 } else { piece };
        let pieces = ends.windows(2).map(|ends| of(ends[0], ends[1]));
        // Each piece twice, in any order.
        let mut shuffled: Vec<_> = pieces.flat_map(|piece| [piece.clone(), piece]).zip(order).collect();
        shuffled.sort_by_key(|(_, key)| *key);
        let mut line = Line::default();
        let mut completed = 0;
        for (fragment, _) in shuffled {
            let packet = line.hears(&fragment);
            if packet.fragments > 1 {
                is_whole(&packet);
                prop_assert_eq!(usize::from(packet.fragments), ends.len() - 1);
                completed += 1;
            }
        }
        // Copies that come behind the last piece may make a second whole of their own.
        prop_assert!((1..=2).contains(&completed));
        prop_assert_eq!(line.counts().overlapping, 0);
    }
}
