//! Scenarios of what stands between a link header and an IP packet.

use super::tests::{decode, frame, request};
use super::*;
use crate::capture::LinkType;

/// The request of the other tests, from its IP header on.
fn inner() -> Vec<u8> {
    request().split_off(14)
}

/// Expects the request behind `header`.
fn stands_behind(link: u32, header: &[u8]) {
    let bytes = [header, &inner()].concat();
    let packet = decode(&frame(LinkType(link), &bytes, bytes.len()));
    assert_eq!(packet.map(|packet| packet.ip.to_vec()), Ok(inner()), "{header:02x?}");
}

fn skipped(link: u32, header: &[u8]) -> Skip {
    let bytes = [header, &inner()].concat();
    decode(&frame(LinkType(link), &bytes, bytes.len())).expect_err("a packet")
}

/// An Ethernet header with what stands behind it.
fn ethernet(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    [&[0xaa; 12][..], &ether_type.to_be_bytes(), rest].concat()
}

const ETHERNET: u32 = 1;

#[test]
fn labels_are_peeled_with_and_without_a_pseudowire() {
    let labels = [0, 1, 0x30, 64, 0, 2, 0x31, 64];
    stands_behind(ETHERNET, &ethernet(0x8847, &labels));
    stands_behind(ETHERNET, &ethernet(0x8848, &labels[4..]));
    let wire = [&labels[..], &[0; 4], &ethernet(0x0800, &[])].concat();
    stands_behind(ETHERNET, &ethernet(0x8847, &wire));
    let bare = [&labels[..], &[0x02; 12], &[0x08, 0]].concat();
    stands_behind(ETHERNET, &ethernet(0x8847, &bare));
    for first in [0x00, 0x40, 0x60] {
        let confusing = [&labels[..], &[first], &[0xff; 11], &[0x08, 0]].concat();
        stands_behind(ETHERNET, &ethernet(0x8847, &confusing));
    }
    assert_eq!(skipped(ETHERNET, &ethernet(0x8847, &[0; 68])), Skip::NotIp, "no bottom");
}

#[test]
fn subscriber_lines_are_peeled() {
    stands_behind(ETHERNET, &ethernet(0x8864, &[0x11, 0, 0, 9, 0, 74, 0, 0x21]));
    stands_behind(
        ETHERNET,
        &ethernet(0x88a8, &[0, 5, 0x81, 0, 0, 6, 0x88, 0x64, 0x11, 0, 0, 9, 0, 74, 0, 0x21]),
    );
    assert_eq!(skipped(ETHERNET, &ethernet(0x8864, &[0x11, 0, 0, 9, 0, 74, 0xc0, 0x21])), Skip::NotIp);
    assert_eq!(skipped(ETHERNET, &ethernet(0x8863, &[0x11, 9, 0, 0, 0, 74])), Skip::NotIp);
}

#[test]
fn frames_in_frames_are_peeled_to_the_eighth() {
    let backbone = [&[0, 0, 0, 5][..], &ethernet(0x0800, &[])].concat();
    stands_behind(ETHERNET, &ethernet(0x88e7, &backbone));
    let fabric = [&[0, 0x40][..], &ethernet(0x0800, &[])].concat();
    stands_behind(ETHERNET, &ethernet(0x8903, &fabric));
    stands_behind(ETHERNET, &ethernet(0x8926, &[0, 0, 0, 0, 0x08, 0]));
    let nested = |times: usize| {
        let wrap = |inside: Vec<u8>| [&ethernet(0x88e7, &[0, 0, 0, 5])[..], &inside].concat();
        (0..times).fold(ethernet(0x0800, &[]), |inside, _| wrap(inside))
    };
    stands_behind(ETHERNET, &nested(MAX_LAYERS));
    assert_eq!(skipped(ETHERNET, &nested(MAX_LAYERS + 1)), Skip::TooManyLayers);
}

#[test]
fn macsec_is_read_where_it_hides_nothing() {
    stands_behind(ETHERNET, &ethernet(0x88e5, &[0x00, 0, 0, 0, 0, 1, 0x08, 0]));
    let with_channel = [&[0x20, 0, 0, 0, 0, 1][..], &[7; 8], &[0x08, 0]].concat();
    stands_behind(ETHERNET, &ethernet(0x88e5, &with_channel));
    assert_eq!(skipped(ETHERNET, &ethernet(0x88e5, &[0x0c, 0, 0, 0, 0, 1])), Skip::Encrypted);
}

#[test]
fn snap_names_an_ethernet_type() {
    stands_behind(ETHERNET, &ethernet(80, &[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0]));
    stands_behind(ETHERNET, &ethernet(80, &[0xaa, 0xaa, 3, 0, 0, 0xf8, 0x08, 0]));
    stands_behind(ETHERNET, &ethernet(80, &[6, 6, 3]));
    stands_behind(10, &[&[0x50; 13][..], &[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0]].concat());
    assert_eq!(skipped(ETHERNET, &ethernet(80, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0])), Skip::Llc);
}

#[test]
fn serial_lines_are_peeled() {
    for header in [&[0xff, 3, 0, 0x21][..], &[0, 0x21], &[0x21], &[0xff, 3, 0x21], &[0x0f, 0, 8, 0]] {
        stands_behind(9, header);
        stands_behind(50, header);
    }
    stands_behind(51, &[0x11, 0, 0, 9, 0, 74, 0, 0x21]);
    stands_behind(104, &[0x8f, 0, 0x08, 0]);
    stands_behind(204, &[1, 0xff, 3, 0, 0x21]);
    for header in [&[0x18, 0x61, 8, 0][..], &[0x18, 0x61, 3, 0xcc], &[0x18, 0x61, 3, 0, 0x80, 0, 0, 0, 8, 0]]
    {
        stands_behind(107, header);
    }
    stands_behind(8, &[0; 16]);
}

#[test]
fn tagged_and_fabric_links_are_peeled() {
    stands_behind(242, &[&[0; 40][..], &[8, 0, 0, 0]].concat());
    stands_behind(281, &[&[0xaa; 12][..], &[0; 4], &[8, 0]].concat());
    stands_behind(284, &[&[0xaa; 12][..], &[0; 4], &[8, 0]].concat());
    stands_behind(285, &[&[0xaa; 12][..], &[0; 8], &[8, 0]].concat());
}

#[test]
fn cisco_headers_between_ethernet_and_ip_are_peeled() {
    stands_behind(ETHERNET, &ethernet(0x8909, &[1, 1, 0, 1, 0, 9, 8, 0]));
    stands_behind(
        ETHERNET,
        &[ethernet(0x88be, &[0x10, 0, 0, 0, 0, 0, 0, 0]), ethernet(0x0800, &[])].concat(),
    );
    assert_eq!(skipped(ETHERNET, &ethernet(0x88be, &[0x20, 0, 0, 0])), Skip::NotIp);
}

#[test]
fn packets_of_the_netfilter_log_are_found_among_its_attributes() {
    let message = [&[2, 0, 0, 5][..], &[5, 0, 10, 0, b'x', 0, 0, 0], &[76, 0, 9, 0]].concat();
    stands_behind(239, &message);
    assert_eq!(skipped(239, &[2, 0, 0, 5, 0, 0, 0, 0]), Skip::LinkType);
}

#[test]
fn headers_that_name_a_link_type_are_peeled_once() {
    let apple = |link: u8| [&[108, 0, 0, 0, 1, 0, 0, 0, link, 0, 0, 0][..], &[0; 96]].concat();
    stands_behind(258, &apple(101));
    stands_behind(149, &apple(12));
    stands_behind(258, &[apple(1), ethernet(0x0800, &[])].concat());
    assert_eq!(skipped(258, &apple(192)), Skip::LinkType);
    stands_behind(192, &[0, 0, 8, 0, 101, 0, 0, 0]);
}

#[test]
fn data_frames_of_the_air_are_read_in_the_clear() {
    const LLC: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    const RADIOTAP: [u8; 9] = [0, 0, 9, 0, 2, 0, 0, 0, 0];
    let air = |kind: u8, flags: u8, rest: usize| [&[kind, flags][..], &vec![0; rest - 2], &LLC].concat();
    stands_behind(105, &air(0x08, 1, 24));
    stands_behind(105, &air(0x08, 3, 30));
    stands_behind(105, &air(0x88, 2, 26));
    stands_behind(127, &[&RADIOTAP[..], &air(0x88, 2, 26)].concat());
    let mut padded = RADIOTAP;
    padded[8] = 0x20;
    stands_behind(127, &[&padded[..], &air(0x88, 2, 28)].concat());
    assert_eq!(skipped(105, &air(0x08, 0x41, 24)), Skip::Encrypted);
    assert_eq!(skipped(105, &air(0x80, 0, 24)), Skip::NotIp);
    assert_eq!(skipped(105, &air(0x48, 1, 24)), Skip::NotIp);
}
