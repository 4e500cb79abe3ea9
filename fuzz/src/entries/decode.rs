//! Frames of any link type, one after the other through one decoder: tunnels, extension headers, fragments.

use std::cell::RefCell;

use bongsu::capture::{Filter, Frame, LinkType};
use bongsu::decode::{Decoder, Packet, Sealed};
use bongsu::time::{Span, Timestamp};

use super::capture::traffic;

/// Before the bytes of a frame: its link type, the 16 ms that pass before it, and the length, two bytes each.
const HEADER: usize = 6;

/// Decodes a list of frames.
pub fn run(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let mut now = Timestamp::from_secs(1_700_000_000);
    let (mut read, mut rest) = (0_u64, bytes);
    while let Some((header, body)) = rest.split_first_chunk::<HEADER>() {
        let [link, pause, len] = [[header[0], header[1]], [header[2], header[3]], [header[4], header[5]]];
        let len = usize::from(u16::from_be_bytes(len));
        now = now + Span::from_millis(16 * u64::from(u16::from_be_bytes(pause)));
        let (data, behind) = body.split_at(len.min(body.len()));
        rest = behind;
        let link = LinkType(u32::from(u16::from_be_bytes(link)));
        let frame = Frame { time: now, link, wire_len: len as u32, data };
        read += 1;
        filter(&frame);
        if let Ok(packet) = decoder.decode(&frame) {
            opens_again(&packet);
        }
    }
    let counts = decoder.fragment_counts();
    assert!(counts.completed <= read, "{counts:?} of {read} frames");
}

/// What a worker reads again of a packet is the packet.
fn opens_again(packet: &Packet<'_>) {
    assert!(packet.fresh_len <= packet.ip_len, "{packet:?}");
    let again = Sealed::of(packet).open(packet.ip, packet.layers);
    assert_eq!(again, Ok(Packet { completed_by: None, ..*packet }));
}

thread_local! {
    static FILTER: RefCell<Option<Filter>> = RefCell::new(
        Filter::new("(vlan and ip6) or (tcp[tcpflags] & tcp-syn != 0) or portrange 53-443 or greater 200").ok()
    );
}

/// Filters look at the same bytes; libpcap compiles them for whatever link type a file names.
fn filter(frame: &Frame<'_>) {
    FILTER.with_borrow_mut(|filter| {
        if let Some(filter) = filter {
            let once = filter.accepts(frame);
            assert_eq!(filter.accepts(frame), once);
        }
    });
}

/// Frames of many kinds: plain, of each link type, inside tunnels, and in pieces.
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = traffic(3);
    let plain: Vec<Vec<u8>> = frames.iter().take(40).map(|frame| frame.as_frame().data.to_vec()).collect();
    let list = |link: u16, frames: &[Vec<u8>]| -> Vec<u8> {
        frames.iter().flat_map(|bytes| listed(link, bytes)).collect()
    };
    let inner: Vec<Vec<u8>> = plain.iter().take(6).map(|frame| frame[ETHERNET..].to_vec()).collect();
    let mut seeds = vec![list(1, &plain), list(101, &inner)];
    // The registry's numbers that tcpdump knows end before 300.
    seeds.push((0..300).flat_map(|link| listed(link, &plain[0])).collect());
    seeds.push((0..300).flat_map(|link| listed(link, &inner[0])).collect());
    for tunnel in tunnels(&plain[0], &inner[0]) {
        let twice = ipv4(4, 0, &tunnel);
        seeds.push(list(101, &[tunnel, twice]));
    }
    seeds.push(list(101, &pieces(&inner[inner.len() - 1])));
    let carried = ipv4(4, 0, &inner[0]);
    seeds.push(list(101, &pieces(&carried)));
    seeds
}

const ETHERNET: usize = 14;

/// A frame with its header, as [`run`] reads it.
fn listed(link: u16, bytes: &[u8]) -> Vec<u8> {
    let mut listed = Vec::new();
    for field in [link, 1, bytes.len() as u16] {
        listed.extend(field.to_be_bytes());
    }
    listed.extend_from_slice(bytes);
    listed
}

/// A frame or an IP packet inside the tunnels that a header makes.
fn tunnels(frame: &[u8], packet: &[u8]) -> Vec<Vec<u8>> {
    let gre = |kind: u16, inner: &[u8]| ipv4(47, 0, &joined(&[&[0, 0], &kind.to_be_bytes(), inner]));
    let udp = |port: u16, header: &[u8], inner: &[u8]| {
        let len = (8 + header.len() + inner.len()) as u16;
        let ports = [port.to_be_bytes(), port.to_be_bytes(), len.to_be_bytes(), [0, 0]].concat();
        ipv4(17, 0, &joined(&[&ports, header, inner]))
    };
    let gtp_len = (packet.len() as u16).to_be_bytes();
    vec![
        ipv4(4, 0, packet),
        gre(0x0800, packet),
        gre(0x6558, frame),
        gre(0x8847, &joined(&[&[0, 1, 1, 64], packet])),
        gre(0x88be, &joined(&[&[0x10, 1, 0, 0, 0, 0, 0, 0], frame])),
        udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], frame),
        udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], frame),
        udp(2152, &[0x30, 0xff, gtp_len[0], gtp_len[1], 0, 0, 0, 9], packet),
        udp(3544, &[], packet),
    ]
}

/// An IPv4 packet; `place` is the field of flags and fragment offset.
fn ipv4(protocol: u8, place: u16, payload: &[u8]) -> Vec<u8> {
    let len = ((20 + payload.len()) as u16).to_be_bytes();
    let place = place.to_be_bytes();
    let header = [
        0x45, 0, len[0], len[1], 0, 77, place[0], place[1], 64, protocol, 0, 0, 10, 1, 2, 3, 211, 34, 105, 10,
    ];
    joined(&[&header, payload])
}

/// An IPv4 packet without options in pieces of 16 bytes of payload, the last one first.
fn pieces(packet: &[u8]) -> Vec<Vec<u8>> {
    let (protocol, payload) = (packet[9], &packet[20..]);
    let count = payload.len().div_ceil(16);
    let more = |place: usize| if place + 1 < count { 0x2000 } else { 0 };
    let piece = |(place, bytes): (usize, &[u8])| ipv4(protocol, (2 * place as u16) | more(place), bytes);
    payload.chunks(16).enumerate().map(piece).rev().collect()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
