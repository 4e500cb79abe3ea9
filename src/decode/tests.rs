//! Scenarios of the whole decoder: frames as they come off a wire, cut, fragmented, padded and damaged.

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, TcpHeader, ip_number};
use proptest::prelude::*;

use super::*;
use crate::capture::{Frame, LinkType};
use crate::time::Timestamp;

pub(super) const CLIENT: [u8; 4] = [198, 51, 100, 7];
pub(super) const SERVER: [u8; 4] = [203, 0, 113, 10];
const CLIENT_6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const SERVER_6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n";

/// Decodes one frame alone.
pub(super) fn decode<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, Skip> {
    Box::leak(Box::<Decoder>::default()).decode(frame)
}

/// Decodes a frame that was captured whole.
pub(super) fn ethernet(data: &[u8]) -> Result<Packet<'_>, Skip> {
    decode(&frame(LinkType::ETHERNET, data, data.len()))
}

pub(super) fn raw(data: &[u8]) -> Result<Packet<'_>, Skip> {
    decode(&frame(LinkType::RAW, data, data.len()))
}

pub(super) fn frame(link: LinkType, data: &[u8], wire_len: usize) -> Frame<'_> {
    Frame { time: Timestamp::from_secs(0), link, wire_len: wire_len as u32, data }
}

pub(super) fn tcp<'a>(packet: &Packet<'a>) -> TcpSegment<'a> {
    match packet.transport {
        Transport::Tcp(segment) => segment,
        other => panic!("not TCP but {other:?}"),
    }
}

pub(super) fn udp<'a>(packet: &Packet<'a>) -> UdpDatagram<'a> {
    match packet.transport {
        Transport::Udp(datagram) => datagram,
        other => panic!("not UDP but {other:?}"),
    }
}

/// A request over Ethernet and IPv4, with MSS and timestamps among its options.
pub(super) fn request() -> Vec<u8> {
    let mut header = TcpHeader::new(40_000, 443, 1_000, 512);
    header.ack = true;
    header.psh = true;
    header.acknowledgment_number = 77;
    header.set_options_raw(&[2, 4, 5, 180, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(CLIENT, SERVER, 64)
        .tcp_header(header)
        .write(&mut frame, REQUEST)
        .unwrap();
    frame
}

/// A UDP datagram over two VLAN tags and IPv6.
fn query() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .double_vlan(5.try_into().unwrap(), 6.try_into().unwrap())
        .ipv6(CLIENT_6, SERVER_6, 64)
        .udp(5_353, 53)
        .write(&mut frame, b"a query")
        .unwrap();
    frame
}

/// A raw IPv4 packet with a payload of any protocol.
pub(super) fn ipv4(protocol: IpNumber, payload: &[u8], adapt: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let mut header = Ipv4Header::new(payload.len() as u16, 64, protocol, CLIENT, SERVER).unwrap();
    adapt(&mut header);
    [&header.to_bytes(), payload].concat()
}

/// A raw IPv6 packet whose payload (extension headers included) begins with `next`.
pub(super) fn ipv6(next: IpNumber, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: payload.len() as u16,
        next_header: next,
        source: CLIENT_6,
        destination: SERVER_6,
        ..Default::default()
    };
    [&header.to_bytes(), payload].concat()
}

/// An IPv6 fragment of a UDP datagram, `units` of eight bytes from its beginning.
pub(super) fn ipv6_fragment(units: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let offset = units << 3 | u16::from(more);
    let header = [&[ip_number::UDP.0, 0][..], &offset.to_be_bytes(), &[0, 0, 0, 9]].concat();
    ipv6(ip_number::IPV6_FRAG, &[&header, data].concat())
}

pub(super) fn udp_bytes(len: u16, payload: &[u8]) -> Vec<u8> {
    [&[0x14, 0xe9, 0, 53][..], &len.to_be_bytes(), &[0, 0], payload].concat()
}

pub(super) fn at_offset(units: u16, more: bool) -> impl FnOnce(&mut Ipv4Header) {
    move |header| {
        header.fragment_offset = IpFragOffset::try_new(units).unwrap();
        header.more_fragments = more;
    }
}

#[test]
fn a_request_is_read_to_its_payload() {
    let frame = request();
    let packet = ethernet(&frame).unwrap();
    assert_eq!(packet.endpoints().0.to_string(), "198.51.100.7:40000");
    assert_eq!(packet.endpoints().1.to_string(), "203.0.113.10:443");
    assert_eq!(packet.ip_len, 20 + 36 + 16);
    let expected = TcpSegment {
        source_port: 40_000,
        destination_port: 443,
        sequence: 1_000,
        acknowledgment: 77,
        flags: TcpFlags { ack: true, ..Default::default() },
        window: 512,
        payload_len: 16,
        payload: REQUEST,
    };
    assert_eq!(tcp(&packet), expected);
}

#[test]
fn a_tagged_query_over_ipv6_is_read_to_its_payload() {
    let frame = query();
    let packet = ethernet(&frame).unwrap();
    assert_eq!(packet.endpoints().1.to_string(), "[2001:db8::a]:53");
    assert_eq!(packet.ip_len, 40 + 8 + 7);
    assert_eq!(udp(&packet).payload, b"a query");
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut padded = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(CLIENT, SERVER, 64)
        .tcp(40_000, 443, 1, 512)
        .ack(2)
        .write(&mut padded, &[])
        .unwrap();
    padded.resize(60, 0xff);
    let packet = ethernet(&padded).unwrap();
    assert_eq!(packet.ip_len, 40);
    assert_eq!((tcp(&packet).payload_len, tcp(&packet).payload), (0, &[][..]));
}

#[test]
fn a_snap_length_cuts_the_payload_but_not_its_length() {
    let whole = request();
    for kept in whole.len() - REQUEST.len()..whole.len() {
        let packet = decode(&frame(LinkType::ETHERNET, &whole[..kept], whole.len())).unwrap();
        assert_eq!(packet.ip_len, 72);
        assert_eq!(tcp(&packet).payload_len, 16);
        assert_eq!(tcp(&packet).payload.len(), 16 + kept - whole.len());
    }
}

#[test]
fn a_snap_length_that_cuts_tcp_options_leaves_ports_flags_and_length() {
    let whole = request();
    let packet = decode(&frame(LinkType::ETHERNET, &whole[..14 + 20 + 20], whole.len())).unwrap();
    let expected = TcpSegment { payload: &[], ..tcp(&ethernet(&whole).unwrap()) };
    assert_eq!(tcp(&packet), expected);
    let shorter = decode(&frame(LinkType::ETHERNET, &whole[..14 + 20 + 19], whole.len()));
    assert_eq!(shorter, Err(Skip::CutShort));
}

#[test]
fn segmentation_offload_leaves_the_length_to_the_frame() {
    let mut offloaded = request();
    offloaded[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(ethernet(&offloaded).unwrap().ip_len, 72);
    let cut = frame(LinkType::ETHERNET, &offloaded[..80], 14 + 20 + 36 + 64_000);
    let packet = decode(&cut).unwrap();
    assert_eq!((packet.ip_len, tcp(&packet).payload_len, tcp(&packet).payload.len()), (64_056, 64_000, 10));
    let lie = frame(LinkType::ETHERNET, &offloaded, usize::MAX);
    assert!(decode(&lie).unwrap().ip_len <= link::MAX_OFFLOAD_LEN);

    let mut over_ipv6 = ipv6(ip_number::UDP, &udp_bytes(0, b"jumbo"));
    over_ipv6[4..6].copy_from_slice(&[0, 0]);
    let packet = raw(&over_ipv6).unwrap();
    assert_eq!((packet.ip_len, udp(&packet).payload), (53, &b"jumbo"[..]));
}

#[test]
fn an_empty_ipv6_packet_is_not_filled_by_padding() {
    for protocol in [ip_number::IPV6_NO_NEXT_HEADER, ip_number::SCTP] {
        let mut padded = ipv6(protocol, &[]);
        padded.extend([0; 6]);
        let packet = raw(&padded).unwrap();
        assert_eq!((packet.ip_len, packet.transport), (40, Transport::Other(protocol.0)));
    }
}

#[test]
fn ipv6_extensions_are_followed_to_the_eighth() {
    let chain = |count: usize| {
        let mut payload = Vec::new();
        for n in 1..=count {
            let next = if n == count { ip_number::UDP } else { ip_number::IPV6_DEST_OPTIONS };
            payload.extend([next.0, 0, 1, 4, 0, 0, 0, 0]);
        }
        payload.extend(udp_bytes(10, b"ok"));
        ipv6(ip_number::IPV6_HOP_BY_HOP, &payload)
    };
    for count in 1..=MAX_IPV6_EXTENSIONS {
        let bytes = chain(count);
        let packet = raw(&bytes).unwrap();
        assert_eq!((packet.ports(), udp(&packet).payload), (Some((5_353, 53)), &b"ok"[..]), "{count}");
    }
    assert_eq!(raw(&chain(MAX_IPV6_EXTENSIONS + 1)), Err(Skip::Ipv6Extensions));
}

#[test]
fn an_ipv6_extension_longer_than_its_packet_is_skipped() {
    let overlong = ipv6(ip_number::IPV6_ROUTE, &[ip_number::UDP.0, 9, 0, 0, 0, 0, 0, 0]);
    assert_eq!(raw(&overlong), Err(Skip::Ipv6Extensions));
    let whole = ipv6(ip_number::IPV6_ROUTE, &[ip_number::UDP.0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(decode(&frame(LinkType::RAW, &whole[..44], 48)), Err(Skip::CutShort));
}

#[test]
fn a_lone_fragment_has_no_ports() {
    for (offset, more) in [(0, true), (1, true), (185, true), (185, false)] {
        let bytes = ipv4(ip_number::UDP, &udp_bytes(16, b"12345678"), at_offset(offset, more));
        let fragment = raw(&bytes).unwrap();
        assert_eq!((fragment.transport, fragment.ip_len), (Transport::Fragment, 36));
        let bytes = ipv6_fragment(offset, more, &udp_bytes(16, b"12345678"));
        assert_eq!(raw(&bytes).unwrap().transport, Transport::Fragment);
    }
}

#[test]
fn a_first_fragment_that_the_capture_cut_is_read_as_far_as_it_goes() {
    let bytes = ipv4(ip_number::UDP, &udp_bytes(1_400, b"12345678"), at_offset(0, true));
    let first = decode(&frame(LinkType::RAW, &bytes[..30], 36)).unwrap();
    assert_eq!((first.ports(), udp(&first).payload), (Some((5_353, 53)), &b"12"[..]));
    let bytes = ipv6_fragment(0, true, &udp_bytes(1_400, b"12345678"));
    let first = decode(&frame(LinkType::RAW, &bytes[..60], 64)).unwrap();
    assert_eq!(first.ports(), Some((5_353, 53)));
    let later = ipv4(ip_number::UDP, &[0; 16], at_offset(2, true));
    assert_eq!(decode(&frame(LinkType::RAW, &later[..30], 36)).unwrap().transport, Transport::Fragment);
}

#[test]
fn a_first_fragment_too_small_for_its_ports_counts_as_a_fragment() {
    let tiny = ipv4(ip_number::TCP, &[0; 8], at_offset(0, true));
    assert_eq!(raw(&tiny).unwrap().transport, Transport::Fragment);
    let cut = decode(&frame(LinkType::RAW, &tiny[..24], 60));
    assert_eq!(cut.unwrap().transport, Transport::Fragment, "the header says that no more was sent");
}

#[test]
fn an_ipv6_fragment_that_is_all_is_no_fragment() {
    let atomic = ipv6_fragment(0, false, &udp_bytes(10, b"ab"));
    assert_eq!(udp(&raw(&atomic).unwrap()).payload, b"ab");
}

#[test]
fn a_later_ipv6_fragment_is_not_read_beyond_its_header() {
    let header = [ip_number::IPV6_DEST_OPTIONS.0, 0, 0, 8, 0, 0, 0, 9];
    let middle_of_a_payload = [0xff; 8];
    let bytes = ipv6(ip_number::IPV6_FRAG, &[header, middle_of_a_payload].concat());
    assert_eq!(raw(&bytes).unwrap().transport, Transport::Fragment);
}

#[test]
fn damaged_tcp_headers_are_skipped_by_name() {
    let with_offset = |words: u8| {
        let mut header = [0; 20];
        header[12] = words << 4;
        ipv4(ip_number::TCP, &header, |_| ())
    };
    assert!(raw(&with_offset(5)).is_ok());
    for words in [0, 4, 6, 15] {
        assert_eq!(raw(&with_offset(words)), Err(Skip::TcpHeader), "{words}");
    }
    assert_eq!(raw(&ipv4(ip_number::TCP, &[0; 19], |_| ())), Err(Skip::TcpHeader));
    assert_eq!(raw(&ipv4(ip_number::UDP, &[0; 7], |_| ())), Err(Skip::UdpHeader));
    assert_eq!(raw(&ipv4(ip_number::ICMP, &[8, 0, 0], |_| ())), Err(Skip::IcmpHeader));
}

#[test]
fn a_forged_udp_length_does_not_hide_the_port() {
    for (len, payload) in [(0, &b"hello"[..]), (7, b"hello"), (9, b"h"), (13, b"hello"), (9_000, b"hello")] {
        let bytes = ipv4(ip_number::UDP, &udp_bytes(len, b"hello"), |_| ());
        let packet = raw(&bytes).unwrap();
        assert_eq!((packet.ports(), udp(&packet).payload), (Some((5_353, 53)), payload), "{len}");
    }
}

#[test]
fn damaged_ip_headers_are_skipped_by_name() {
    let damaged = |at: usize, value: u8| {
        let mut bytes = request();
        bytes[at] = value;
        ethernet(&bytes).map(|packet| packet.ip_len)
    };
    assert_eq!(damaged(14, 0x44), Err(Skip::IpHeader), "a header of 16 bytes");
    assert_eq!(damaged(14, 0x65), Err(Skip::IpVersion), "version 6 behind the type of version 4");
    assert_eq!(damaged(17, 19), Err(Skip::IpHeader), "a packet shorter than its header");
    assert_eq!(damaged(13, 0xdd), Err(Skip::NotIp));
    let mut bytes = ipv6(ip_number::UDP, &udp_bytes(8, &[]));
    bytes[0] = 0x45;
    assert_eq!(decode(&frame(LinkType::IPV6, &bytes, 48)), Err(Skip::IpVersion));
}

#[test]
fn mapped_addresses_are_ipv4() {
    let mut bytes = ipv6(ip_number::UDP, &udp_bytes(8, &[]));
    for (field, address) in [(8, CLIENT), (24, SERVER)] {
        bytes[field..field + 16].fill(0);
        bytes[field + 10..field + 12].fill(0xff);
        bytes[field + 12..field + 16].copy_from_slice(&address);
    }
    let packet = raw(&bytes).unwrap();
    assert_eq!((packet.source, packet.destination), (IpAddr::from(CLIENT), IpAddr::from(SERVER)));
}

#[test]
fn other_protocols_are_their_number() {
    let echo = [8, 0, 0, 0, 0, 1, 0, 1];
    assert_eq!(carries(&ipv4(ip_number::ICMP, &echo, |_| ())), (Some((8, 0)), None));
    assert_eq!(carries(&ipv6(ip_number::IPV6_ICMP, &[1, 4, 0, 0])), (Some((1, 4)), None));
    assert_eq!(carries(&ipv4(ip_number::IPV6_ICMP, &echo, |_| ())), (None, Some(58)));
    assert_eq!(carries(&ipv6(ip_number::ICMP, &echo)), (None, Some(1)));
    for protocol in [ip_number::SCTP, ip_number::GRE, ip_number::ENCAP_SEC] {
        assert_eq!(carries(&ipv4(protocol, &[], |_| ())), (None, Some(protocol.0)));
        assert_eq!(carries(&ipv6(protocol, &[])), (None, Some(protocol.0)));
    }
    assert_eq!(carries(&ipv4(ip_number::AUTH, &[], |_| ())), (None, Some(51)));
}

/// What a packet carries besides TCP and UDP: an ICMP type and code, or a protocol number.
fn carries(bytes: &[u8]) -> (Option<(u8, u8)>, Option<u8>) {
    match raw(bytes).unwrap().transport {
        Transport::Icmp { kind, code } => (Some((kind, code)), None),
        Transport::Other(number) => (None, Some(number)),
        other => panic!("unexpected {other:?}"),
    }
}

/// Frames of every kind, each captured whole.
fn samples() -> Vec<(LinkType, Vec<u8>)> {
    let fragment = [ip_number::UDP.0, 0, 0, 1, 0, 0, 0, 9];
    let options = [ip_number::IPV6_FRAG.0, 0, 1, 4, 0, 0, 0, 0];
    let chain = [&options[..], &fragment, &udp_bytes(10, b"ab")].concat();
    let over_ip = request()[14..].to_vec();
    let cooked = [&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0][..], &over_ip].concat();
    let cooked_2 = [&[8, 0][..], &[0; 18], &over_ip].concat();
    vec![
        (LinkType::ETHERNET, request()),
        (LinkType::ETHERNET, query()),
        (LinkType::RAW, ipv6(ip_number::IPV6_HOP_BY_HOP, &chain)),
        (LinkType::RAW, ipv4(ip_number::UDP, &udp_bytes(1_400, b"abcdef"), at_offset(0, true))),
        (LinkType::IPV4, ipv4(ip_number::ICMP, &[3, 1, 0, 0, 0, 0, 0, 0], |_| ())),
        (LinkType::IPV6, ipv6(ip_number::IPV6_ICMP, &[128, 0, 0, 0])),
        (LinkType::NULL, [&[2, 0, 0, 0], &over_ip[..]].concat()),
        (LinkType::LINUX_SLL, cooked),
        (LinkType::LINUX_SLL2, cooked_2),
    ]
}

#[test]
fn a_cut_frame_is_the_same_packet_or_cut_short() {
    for (link, whole) in samples() {
        let expected = decode(&frame(link, &whole, whole.len())).unwrap();
        for kept in 0..whole.len() {
            match decode(&frame(link, &whole[..kept], whole.len())) {
                Ok(packet) => {
                    assert_eq!(packet.source, expected.source, "{link:?} cut at {kept}");
                    // A fragment that cannot be kept is read for its ports.
                    if expected.transport != Transport::Fragment {
                        assert_eq!(packet.endpoints(), expected.endpoints(), "{link:?} cut at {kept}");
                    }
                    assert_eq!(packet.ip_len, expected.ip_len, "{link:?} cut at {kept}");
                    if let Transport::Tcp(_) = expected.transport {
                        assert_eq!(tcp(&packet).payload_len, tcp(&expected).payload_len);
                    }
                }
                Err(skip) => assert_eq!(skip, Skip::CutShort, "{link:?} cut at {kept}"),
            }
        }
    }
}

/// What holds of every packet, whatever the bytes it was read from.
pub(super) fn check(frame: &Frame<'_>) {
    let Ok(packet) = decode(frame) else { return };
    let payload = match packet.transport {
        Transport::Tcp(segment) => {
            assert!(segment.payload.len() as u64 <= u64::from(segment.payload_len));
            assert!(segment.payload_len < packet.ip_len);
            segment.payload
        }
        Transport::Udp(datagram) => datagram.payload,
        _ => &[],
    };
    assert!(payload.len() < frame.data.len());
    assert!(payload.len() < packet.ip_len as usize);
}

const LINKS: [u32; 28] = [
    0,
    1,
    8,
    9,
    10,
    12,
    14,
    50,
    51,
    101,
    104,
    105,
    107,
    108,
    113,
    127,
    149,
    192,
    204,
    228,
    229,
    239,
    242,
    258,
    276,
    281,
    285,
    u32::MAX,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..200), wire_len in any::<u32>()) {
        for link in LINKS {
            check(&Frame { time: Timestamp::from_secs(0), link: LinkType(link), wire_len, data: &data });
        }
    }

    #[test]
    fn no_damage_panics(
        sample in 0..9usize,
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        kept in any::<prop::sample::Index>(),
        wire_len in any::<u32>(),
    ) {
        let (link, mut data) = samples().swap_remove(sample);
        for (at, value) in hits {
            let at = at.index(data.len());
            data[at] = value;
        }
        check(&Frame { time: Timestamp::from_secs(0), link, wire_len, data: &data[..=kept.index(data.len())] });
        check(&Frame { time: Timestamp::from_secs(0), link, wire_len, data: &data });
    }
}
