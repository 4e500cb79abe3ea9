//! Scenarios of tunnels: what is inside is the packet, what is around it stays known, and a port alone proves nothing.

use etherparse::{IpNumber, ip_number};
use proptest::prelude::*;

use super::tests::{SERVER, check, decode, ethernet, frame, ipv4, ipv6, raw, request, udp};
use super::*;
use crate::capture::LinkType;

/// The request of the other tests, from its IP header on.
fn inner() -> Vec<u8> {
    request().split_off(14)
}

/// The same under an Ethernet header.
fn inner_frame() -> Vec<u8> {
    request()
}

fn inner_6() -> Vec<u8> {
    ipv6(ip_number::UDP, &datagram(5_353, 53, b"ab"))
}

fn datagram(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 8;
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

/// A carrier over IPv4.
fn over_ip(protocol: IpNumber, parts: &[&[u8]]) -> Vec<u8> {
    ipv4(protocol, &parts.concat(), |_| ())
}

/// A carrier over UDP.
fn over_udp(port: u16, parts: &[&[u8]]) -> Vec<u8> {
    over_ip(ip_number::UDP, &[&datagram(40_000, port, &parts.concat())])
}

/// Expects the request inside, and answers with what is around it.
fn around(carrier: &[u8]) -> Vec<(TunnelKind, Option<u32>)> {
    let packet = raw(carrier).unwrap();
    let inside = inner();
    let expected = raw(&inside).unwrap();
    assert_eq!((packet.transport, packet.ip, packet.ip_len), (expected.transport, &inside[..], 72));
    assert_eq!((packet.fragments, packet.fresh_len), (1, 72));
    packet.layers.tunnels().iter().map(|tunnel| (tunnel.kind, tunnel.id)).collect()
}

/// Expects no tunnel in a datagram over UDP.
fn is_ordinary(carrier: &[u8]) {
    let packet = raw(carrier).unwrap();
    assert_eq!((packet.layers, packet.destination), (&Layers::NONE, IpAddr::from(SERVER)));
    assert_eq!(packet.ip, carrier);
    assert!(matches!(packet.transport, Transport::Udp(_)), "{:?}", packet.transport);
}

const VXLAN: [u8; 8] = [0x08, 0, 0, 0, 0x01, 0x02, 0x03, 0];
const GENEVE: [u8; 12] = [0x01, 0, 0x65, 0x58, 0x01, 0x02, 0x03, 0, 9, 9, 9, 0];

#[test]
fn ip_in_ip_of_either_version_in_either() {
    use TunnelKind::Ip;
    assert_eq!(around(&over_ip(ip_number::IPV4, &[&inner()])), [(Ip, None)]);
    assert_eq!(around(&ipv6(ip_number::IPV4, &inner())), [(Ip, None)]);
    let (four, six) = (over_ip(ip_number::IPV6, &[&inner_6()]), ipv6(ip_number::IPV6, &inner_6()));
    for carrier in [four, six] {
        let packet = raw(&carrier).unwrap();
        assert_eq!((packet.ports(), packet.layers.tunnels().len()), (Some((5_353, 53)), 1));
    }
}

#[test]
fn the_outer_addresses_stay_known() {
    let packet_bytes = over_ip(ip_number::IPV6, &[&inner_6()]);
    let packet = raw(&packet_bytes).unwrap();
    assert_eq!(packet.source.to_string(), "2001:db8::7");
    let [tunnel] = packet.layers.tunnels() else { panic!("one tunnel expected") };
    assert_eq!(
        (tunnel.source.to_string(), tunnel.destination.to_string()),
        ("198.51.100.7".into(), "203.0.113.10".into())
    );
}

#[test]
fn gre_is_read_with_all_its_options() {
    use TunnelKind::Gre;
    let gre = |parts: &[&[u8]]| around(&over_ip(ip_number::GRE, &[&parts.concat(), &inner()]));
    assert_eq!(gre(&[&[0, 0, 8, 0]]), [(Gre, None)]);
    assert_eq!(gre(&[&[0x20, 0, 8, 0], &[0, 0, 0, 7]]), [(Gre, Some(7))]);
    let all = [&[0xb0, 0, 8, 0][..], &[1, 2, 0, 0], &[0, 0, 0, 7], &[0, 0, 0, 1]];
    assert_eq!(gre(&all), [(Gre, Some(7))]);
    let route = [&[0x40, 0, 8, 0][..], &[0; 4], &[8, 0, 0, 4, 10, 0, 0, 1], &[0; 4]];
    assert_eq!(gre(&route), [(Gre, None)]);
    assert_eq!(gre(&[&[0, 0, 0x88, 0x47], &[0, 1, 1, 64]]), [(Gre, None)]);
    let bridged = over_ip(ip_number::GRE, &[&[0x20, 0, 0x65, 0x58, 0, 0x10, 0, 1], &inner_frame()]);
    assert_eq!(around(&bridged), [(Gre, Some(0x0010_0001))], "NVGRE's network and flow");
}

#[test]
fn access_points_and_caches_use_gre_in_their_own_ways() {
    let air = [&[0x08, 1][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    for radio in [[0x82, 0], [0x83, 0x70], [0x90, 0]] {
        let carrier = over_ip(ip_number::GRE, &[&[0, 0], &radio, &air, &inner()]);
        assert_eq!(around(&carrier), [(TunnelKind::Gre, None)]);
    }
    for redirect in [&[][..], &[0, 0, 0, 1]] {
        let carrier = over_ip(ip_number::GRE, &[&[0, 0, 0x88, 0x3e], redirect, &inner()]);
        assert_eq!(around(&carrier), [(TunnelKind::Gre, None)]);
    }
}

#[test]
fn pptp_brings_ppp_in_gre() {
    let call = |flags: [u8; 2], rest: &[u8]| {
        over_ip(ip_number::GRE, &[&flags, &[0x88, 0x0b], &[0, 76, 0, 9], rest, &[0xff, 3, 0, 0x21], &inner()])
    };
    assert_eq!(around(&call([0x30, 0x01], &[0, 0, 0, 1])), [(TunnelKind::Gre, Some(9))]);
    assert_eq!(around(&call([0x30, 0x81], &[0; 8])), [(TunnelKind::Gre, Some(9))]);
    let acknowledgment = over_ip(ip_number::GRE, &[&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9, 0, 0, 0, 1]]);
    assert_eq!(raw(&acknowledgment).unwrap().transport, Transport::Other(47));
}

#[test]
fn erspan_brings_frames_with_session_and_vlan() {
    use TunnelKind::{Erspan, Gre};
    let mirrored = |parts: &[&[u8]]| over_ip(ip_number::GRE, &[&parts.concat(), &inner_frame()]);
    let first = mirrored(&[&[0, 0, 0x88, 0xbe]]);
    assert_eq!(around(&first), [(Gre, None), (Erspan, None)]);
    let second = mirrored(&[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &[0x10, 23, 0x00, 101, 0, 0, 0, 5]]);
    assert_eq!(around(&second), [(Gre, None), (Erspan, Some(101))]);
    assert_eq!(raw(&second).unwrap().layers.vlans(), [23]);
    let third = [0x20, 0, 0x00, 102, 0, 0, 0, 5, 0, 0, 0, 0];
    let third = mirrored(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &third]);
    assert_eq!(around(&third), [(Gre, None), (Erspan, Some(102))]);
    assert_eq!(raw(&third).unwrap().layers.vlans(), [0; 0]);
    let longer = [&[0x20, 0, 0x00, 102, 0, 0, 0, 5, 0, 0, 0, 1][..], &[0; 8]].concat();
    let longer = mirrored(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &longer]);
    assert_eq!(around(&longer), [(Gre, None), (Erspan, Some(102))]);
}

#[test]
fn networks_over_udp_are_numbered() {
    use TunnelKind::{Geneve, Vxlan};
    for port in [4_789, 8_472] {
        assert_eq!(around(&over_udp(port, &[&VXLAN, &inner_frame()])), [(Vxlan, Some(0x01_0203))]);
    }
    let generic = [0x0c, 0, 0, 1, 0, 0, 5, 0];
    assert_eq!(around(&over_udp(4_790, &[&generic, &inner()])), [(Vxlan, Some(5))]);
    assert_eq!(around(&over_udp(6_081, &[&GENEVE, &inner_frame()])), [(Geneve, Some(0x01_0203))]);
    let of_ip = [0, 0, 0x08, 0, 0, 0, 5, 0];
    assert_eq!(around(&over_udp(6_081, &[&of_ip, &inner()])), [(Geneve, Some(5))]);
    assert_eq!(around(&over_udp(6_635, &[&[0, 1, 1, 64], &inner()])), [(TunnelKind::Mpls, None)]);
}

#[test]
fn gtp_brings_what_users_send() {
    let user = |header: &[u8], optional: &[u8]| {
        let len = (optional.len() + inner().len()) as u16;
        over_udp(2_152, &[header, &len.to_be_bytes(), &[0, 0, 0, 42], optional, &inner()])
    };
    let tunnel = [(TunnelKind::Gtpv1, Some(42))];
    assert_eq!(around(&user(&[0x30, 255], &[])), tunnel);
    assert_eq!(around(&user(&[0x32, 255], &[0, 1, 0, 0])), tunnel);
    assert_eq!(around(&user(&[0x34, 255], &[0, 1, 0, 0x85, 1, 0, 9, 0x85, 2, 0, 0, 0, 0, 0, 0, 0])), tunnel);
    is_ordinary(&user(&[0x30, 26], &[]));
    is_ordinary(&user(&[0x50, 255], &[]));
    is_ordinary(&user(&[0x20, 255], &[]));
    is_ordinary(&user(&[0x34, 255], &[0, 1, 0, 0x85, 0, 0, 9, 0]));
}

#[test]
fn teredo_is_found_by_its_port_and_elsewhere_by_its_prefix() {
    let teredo = |port, before: &[u8]| over_udp(port, &[before, &inner_6()]);
    let origin = [0, 0, 1, 2, 3, 4, 5, 6];
    let signed = [&[0, 1, 2, 3][..], &[7; 5], &[0; 9]].concat();
    for before in [&[][..], &origin, &signed, &[&signed[..], &origin].concat()] {
        let carrier = teredo(3_544, before);
        let packet = raw(&carrier).unwrap();
        assert_eq!(packet.layers.tunnels()[0].kind, TunnelKind::Teredo);
        assert_eq!(udp(&packet).payload, b"ab");
        is_ordinary(&teredo(3_545, before));
    }
    let mut moved = teredo(3_545, &[]);
    moved[20 + 8 + 8..][..4].copy_from_slice(&[0x20, 0x01, 0, 0]);
    assert_eq!(raw(&moved).unwrap().layers.tunnels()[0].kind, TunnelKind::Teredo);
    moved[20 + 8 + 5] += 1;
    is_ordinary(&moved);
}

#[test]
fn ayiya_is_found_by_its_header() {
    let header = [&[0x44, 0x52, 0x11, 4, 0, 0, 0, 1][..], &[1; 16], &[2; 20]].concat();
    assert_eq!(around(&over_udp(5_072, &[&header, &inner()])), [(TunnelKind::Ayiya, None)]);
    let heartbeat = [&[0x44, 0x52, 0x10, 59, 0, 0, 0, 1][..], &[1; 16], &[2; 20]].concat();
    is_ordinary(&over_udp(5_072, &[&heartbeat]));
}

#[test]
fn a_port_alone_makes_no_tunnel() {
    for port in [4_789, 4_790, 8_472, 6_081, 2_152, 3_544, 5_072, 6_635] {
        is_ordinary(&over_udp(port, &[b"GET / HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n\r\n"]));
        is_ordinary(&over_udp(port, &[&[0x08; 90]]));
        is_ordinary(&over_udp(port, &[]));
    }
}

#[test]
fn a_carrier_of_anything_but_ip_is_an_ordinary_packet() {
    let mut announcement = inner_frame();
    announcement[12..14].copy_from_slice(&[0x08, 0x06]);
    is_ordinary(&over_udp(4_789, &[&VXLAN, &announcement]));
    let mut longer_than_its_carrier = inner_frame();
    longer_than_its_carrier[16] = 1;
    is_ordinary(&over_udp(4_789, &[&VXLAN, &longer_than_its_carrier]));
    let without_number = [0, 0, 0, 0, 0x01, 0x02, 0x03, 0];
    is_ordinary(&over_udp(4_789, &[&without_number, &inner_frame()]));
    let tagged_in_vain = [&inner_frame()[..12], &[0x81, 0, 0, 7, 0x08, 0x06], &[0; 28]].concat();
    is_ordinary(&over_udp(4_789, &[&VXLAN, &tagged_in_vain]));
    let keepalive = over_ip(ip_number::GRE, &[&[0, 0, 0, 0]]);
    assert_eq!(raw(&keepalive).unwrap().transport, Transport::Other(47));
    let lie = over_ip(ip_number::IPV6, &[&inner()]);
    assert_eq!(raw(&lie).unwrap().transport, Transport::Other(41));
}

#[test]
fn tunnels_and_tags_stand_in_the_order_in_which_they_were_met() {
    let tagged = [&inner_frame()[..12], &[0x81, 0, 0xe0, 7, 0x08, 0], &inner()].concat();
    let carrier = over_udp(4_789, &[&VXLAN, &tagged]);
    let bytes = [&[0xaa; 12][..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x08, 0], &carrier].concat();
    let packet = ethernet(&bytes).unwrap();
    assert_eq!((packet.layers.vlans(), packet.layers.tunnels().len()), (&[5, 6, 7][..], 1));
}

#[test]
fn the_ninth_layer_is_not_peeled() {
    let nested = |times: usize| (0..times).fold(inner(), |inside, _| over_ip(ip_number::IPV4, &[&inside]));
    assert_eq!(around(&nested(MAX_LAYERS)).len(), MAX_LAYERS);
    assert_eq!(raw(&nested(MAX_LAYERS + 1)), Err(Skip::TooManyLayers));
}

#[test]
fn a_capture_that_ends_inside_the_tunnel_cuts_the_packet_short() {
    let whole = over_udp(4_789, &[&VXLAN, &inner_frame()]);
    let behind_the_headers = 20 + 8 + 8 + 14 + 20 + 36;
    for kept in 20 + 8 + 8..whole.len() {
        let packet = decode(&frame(LinkType::RAW, &whole[..kept], whole.len()));
        match packet {
            Ok(packet) => {
                assert_eq!((packet.ip_len, packet.endpoints().1.port()), (72, 443), "cut at {kept}")
            }
            Err(skip) => assert!(skip == Skip::CutShort && kept < behind_the_headers, "cut at {kept}"),
        }
    }
}

#[test]
fn a_packet_is_the_same_when_it_is_opened_again() {
    for carrier in
        [inner(), over_udp(4_789, &[&VXLAN, &inner_frame()]), over_ip(ip_number::IPV6, &[&inner_6()])]
    {
        for kept in [carrier.len(), carrier.len() - 1] {
            let packet = decode(&frame(LinkType::RAW, &carrier[..kept], carrier.len())).unwrap();
            let again = Sealed::of(&packet).open(packet.ip, packet.layers);
            assert_eq!(again, Ok(packet));
        }
    }
}

/// Carriers of many kinds, whole.
fn carriers() -> Vec<Vec<u8>> {
    let gre = |parts: &[&[u8]]| over_ip(ip_number::GRE, parts);
    let gtp = [0x34, 255, 0, 88, 0, 0, 0, 42, 0, 1, 0, 0x85, 1, 0, 9, 0x85, 2, 0, 0, 0, 0, 0, 0, 0];
    let ayiya = [&[0x44, 0x52, 0x11, 4, 0, 0, 0, 1][..], &[1; 16], &[2; 20]].concat();
    vec![
        over_ip(ip_number::IPV4, &[&inner()]),
        ipv6(ip_number::IPV6, &inner_6()),
        gre(&[&[0xf0, 0, 8, 0], &[0; 12], &[8, 0, 0, 4, 10, 0, 0, 1], &[0; 4], &inner()]),
        gre(&[&[0x30, 0x81, 0x88, 0x0b, 0, 76, 0, 9], &[0; 8], &[0xff, 3, 0, 0x21], &inner()]),
        gre(&[&[0x10, 0, 0x22, 0xeb], &[0; 4], &[0x20, 5, 0, 102], &[0; 7], &[1], &[0; 8], &inner_frame()]),
        over_udp(4_789, &[&VXLAN, &inner_frame()]),
        over_udp(6_081, &[&GENEVE, &inner_frame()]),
        over_udp(2_152, &[&gtp, &inner()]),
        over_udp(3_544, &[&[0, 1, 2, 3], &[7; 14], &[0, 0, 1, 2, 3, 4, 5, 6], &inner_6()]),
        over_udp(5_072, &[&ayiya, &inner()]),
        over_udp(4_789, &[&VXLAN, &[0xaa; 12], &[0x88, 0x47, 0, 1, 1, 64], &inner()]),
    ]
}

#[test]
fn the_carriers_that_are_damaged_below_carry_something() {
    for carrier in carriers() {
        assert!(!raw(&carrier).unwrap().layers.tunnels().is_empty(), "{carrier:02x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_damage_to_a_carrier_panics(
        which in 0..11usize,
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        kept in any::<prop::sample::Index>(),
    ) {
        let mut carrier = carriers().swap_remove(which);
        let wire_len = carrier.len();
        for (at, value) in hits {
            // Most headers end within the first hundred bytes.
            let at = at.index(wire_len.min(100));
            carrier[at] = value;
        }
        check(&frame(LinkType::RAW, &carrier[..=kept.index(wire_len)], wire_len));
        check(&frame(LinkType::RAW, &carrier, wire_len));
    }
}
