//! One Ethernet frame: addresses and a transport header come in, bytes with right lengths and checksums go out.
//! Knows nothing of conversations.
//!
//! [RFC 791](https://www.rfc-editor.org/rfc/rfc791) and [RFC 8200](https://www.rfc-editor.org/rfc/rfc8200) for IP,
//! [RFC 9293](https://www.rfc-editor.org/rfc/rfc9293) for TCP, IEEE 802.1Q for VLAN tags.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::service::Direction;

/// What stands before the transport header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// Sender; its port stays unused for ICMP.
    pub source: SocketAddr,
    /// Receiver; its port stays unused for ICMP.
    pub dest: SocketAddr,
    /// Tells the two routers' hardware addresses apart.
    pub direction: Direction,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub id: u16,
    /// VLAN tags.
    pub vlans: Vlans,
}

/// Up to two VLAN tags, outermost first; the outer of two is a service tag (802.1ad).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vlans {
    /// Untagged.
    #[default]
    None,
    /// One 802.1Q tag with this VLAN number (12 bits).
    One(u16),
    /// An 802.1ad tag and an 802.1Q tag inside it.
    Two(u16, u16),
}

/// The fields of a TCP header that change from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFields<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, 0 where [`ACK`] is not set.
    pub ack: u32,
    /// Flag bits: [`FIN`], [`SYN`], [`RST`], [`PSH`], [`ACK`].
    pub flags: u8,
    /// Window as written, unscaled.
    pub window: u16,
    /// Options; padded with zeroes to a multiple of four and cut at 40 bytes.
    pub options: &'a [u8],
}

/// TCP flag: no more data from the sender.
pub const FIN: u8 = 0x01;
/// TCP flag: opens the connection.
pub const SYN: u8 = 0x02;
/// TCP flag: resets the connection.
pub const RST: u8 = 0x04;
/// TCP flag: push.
pub const PSH: u8 = 0x08;
/// TCP flag: the acknowledgement number counts.
pub const ACK: u8 = 0x10;

/// SYN options as desktop systems send them: segment size 1460, window scale 8, selective acknowledgement.
pub const SYN_OPTIONS: [u8; 12] = [2, 4, 0x05, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];

/// The longest payload of a frame: with 40 bytes of IPv6, 60 of TCP it still fits IPv4's 16-bit length.
pub const MAX_PAYLOAD: usize = 65_000;

/// Hardware address of the router on the clients' side; locally administered, so nobody's.
const CLIENT_SIDE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// Hardware address on the service's side.
const SERVICE_SIDE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// 1,480 bytes, in units of eight: what a first fragment carries over Ethernet.
const FRAGMENT_OFFSET: u16 = 185;

const PROTO_ICMP: u8 = 1;
const PROTO_TCP: u8 = 6;
const PROTO_UDP: u8 = 17;
const PROTO_ICMPV6: u8 = 58;

impl Envelope {
    /// A TCP segment; a payload over [`MAX_PAYLOAD`] is cut.
    pub fn tcp(&self, fields: &TcpFields<'_>, payload: &[u8]) -> Vec<u8> {
        let options = &fields.options[..fields.options.len().min(40)];
        let header_len = 20 + options.len().next_multiple_of(4);
        let mut segment = Vec::with_capacity(header_len + payload.len());
        segment.extend_from_slice(&self.source.port().to_be_bytes());
        segment.extend_from_slice(&self.dest.port().to_be_bytes());
        segment.extend_from_slice(&fields.seq.to_be_bytes());
        segment.extend_from_slice(&fields.ack.to_be_bytes());
        segment.extend_from_slice(&[(header_len / 4 * 16) as u8, fields.flags]);
        segment.extend_from_slice(&fields.window.to_be_bytes());
        segment.extend_from_slice(&[0; 4]);
        segment.extend_from_slice(options);
        segment.resize(header_len, 0);
        segment.extend_from_slice(cut(payload));
        self.wrap(PROTO_TCP, segment, 16)
    }

    /// A UDP datagram; a payload over [`MAX_PAYLOAD`] is cut.
    pub fn udp(&self, payload: &[u8]) -> Vec<u8> {
        let payload = cut(payload);
        let mut datagram = Vec::with_capacity(8 + payload.len());
        datagram.extend_from_slice(&self.source.port().to_be_bytes());
        datagram.extend_from_slice(&self.dest.port().to_be_bytes());
        datagram.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
        datagram.extend_from_slice(&[0; 2]);
        datagram.extend_from_slice(payload);
        self.wrap(PROTO_UDP, datagram, 6)
    }

    /// The last fragment of a UDP datagram over IPv4: what it carries, without the ports that its first one had. Over
    /// IPv6, where fragments are rare, the datagram itself.
    pub fn fragment(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.udp(payload);
        let at = self.link_header(0).len();
        if let (true, Some(header)) = (self.is_v4(), frame.get_mut(at..at + 20)) {
            header[6..8].copy_from_slice(&FRAGMENT_OFFSET.to_be_bytes());
            header[10..12].fill(0);
            let mut sum = Checksum::default();
            sum.add(header);
            header[10..12].copy_from_slice(&sum.finish().to_be_bytes());
        }
        frame
    }

    /// An ICMP or ICMPv6 echo: a request towards the server, a reply towards the client.
    pub fn echo(&self, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let v4 = self.is_v4();
        let kind = match (v4, self.direction) {
            (true, Direction::ToServer) => 8,
            (true, Direction::ToClient) => 0,
            (false, Direction::ToServer) => 128,
            (false, Direction::ToClient) => 129,
        };
        let payload = cut(payload);
        let mut message = Vec::with_capacity(8 + payload.len());
        message.extend_from_slice(&[kind, 0, 0, 0]);
        message.extend_from_slice(&id.to_be_bytes());
        message.extend_from_slice(&sequence.to_be_bytes());
        message.extend_from_slice(payload);
        self.wrap(if v4 { PROTO_ICMP } else { PROTO_ICMPV6 }, message, 2)
    }

    /// Fills in the transport checksum at `checksum_at` and puts link and IP headers in front.
    fn wrap(&self, protocol: u8, mut segment: Vec<u8>, checksum_at: usize) -> Vec<u8> {
        let mut sum = Checksum::default();
        if protocol != PROTO_ICMP {
            self.add_pseudo_header(&mut sum, protocol, segment.len());
        }
        sum.add(&segment);
        let checksum = match sum.finish() {
            // RFC 768: a computed zero is sent as ones, since zero means "none".
            0 if protocol == PROTO_UDP => 0xffff,
            checksum => checksum,
        };
        if let Some(field) = segment.get_mut(checksum_at..checksum_at + 2) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        let mut frame = self.link_header(62 + segment.len());
        self.push_ip_header(&mut frame, protocol, segment.len());
        frame.extend_from_slice(&segment);
        frame
    }

    fn is_v4(&self) -> bool {
        self.source.is_ipv4() && self.dest.is_ipv4()
    }

    fn add_pseudo_header(&self, sum: &mut Checksum, protocol: u8, length: usize) {
        match (self.source.ip(), self.dest.ip()) {
            (IpAddr::V4(source), IpAddr::V4(dest)) => {
                sum.add(&source.octets());
                sum.add(&dest.octets());
            }
            (source, dest) => {
                sum.add(&as_v6(source).octets());
                sum.add(&as_v6(dest).octets());
            }
        }
        sum.add(&(length as u32).to_be_bytes());
        sum.add(&[0, protocol]);
    }

    fn link_header(&self, capacity: usize) -> Vec<u8> {
        let (to, from) = match self.direction {
            Direction::ToServer => (SERVICE_SIDE, CLIENT_SIDE),
            Direction::ToClient => (CLIENT_SIDE, SERVICE_SIDE),
        };
        let mut frame = Vec::with_capacity(capacity);
        frame.extend_from_slice(&to);
        frame.extend_from_slice(&from);
        let mut tag = |kind: u16, vlan: u16| {
            frame.extend_from_slice(&kind.to_be_bytes());
            frame.extend_from_slice(&(vlan & 0x0fff).to_be_bytes());
        };
        match self.vlans {
            Vlans::None => {}
            Vlans::One(vlan) => tag(0x8100, vlan),
            Vlans::Two(outer, inner) => {
                tag(0x88a8, outer);
                tag(0x8100, inner);
            }
        }
        let kind: u16 = if self.is_v4() { 0x0800 } else { 0x86dd };
        frame.extend_from_slice(&kind.to_be_bytes());
        frame
    }

    fn push_ip_header(&self, frame: &mut Vec<u8>, protocol: u8, length: usize) {
        match (self.source.ip(), self.dest.ip()) {
            (IpAddr::V4(source), IpAddr::V4(dest)) => {
                let mut header = [0_u8; 20];
                header[0] = 0x45;
                header[2..4].copy_from_slice(&((20 + length) as u16).to_be_bytes());
                header[4..6].copy_from_slice(&self.id.to_be_bytes());
                header[6] = 0x40;
                header[8] = self.ttl;
                header[9] = protocol;
                header[12..16].copy_from_slice(&source.octets());
                header[16..20].copy_from_slice(&dest.octets());
                let mut sum = Checksum::default();
                sum.add(&header);
                header[10..12].copy_from_slice(&sum.finish().to_be_bytes());
                frame.extend_from_slice(&header);
            }
            (source, dest) => {
                frame.extend_from_slice(&[0x60, 0, 0, 0]);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
                frame.extend_from_slice(&[protocol, self.ttl]);
                frame.extend_from_slice(&as_v6(source).octets());
                frame.extend_from_slice(&as_v6(dest).octets());
            }
        }
    }
}

fn cut(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(MAX_PAYLOAD)]
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The Internet checksum, [RFC 1071](https://www.rfc-editor.org/rfc/rfc1071). Only the last piece may have an odd
/// length.
#[derive(Default)]
struct Checksum(u64);

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<2>();
        self.0 += pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>();
        self.0 += rest.first().map_or(0, |last| u64::from(*last) << 8);
    }

    fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    fn envelope(source: &str, dest: &str) -> Envelope {
        Envelope {
            source: source.parse().unwrap(),
            dest: dest.parse().unwrap(),
            direction: Direction::ToServer,
            ttl: 57,
            id: 7,
            vlans: Vlans::None,
        }
    }

    const V4: (&str, &str) = ("198.51.100.7:40000", "192.0.2.1:80");
    const V6: (&str, &str) = ("[2001:db8:1::7]:40000", "[2001:db8::1]:443");

    /// The sum over big-endian words with end-around carry, word by word: 0xffff where a checksum inside is right.
    fn folded(words: &[u8]) -> u16 {
        let mut sum = 0_u16;
        for pair in words.chunks(2) {
            let word = u16::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u16::from);
            let (next, carried) = sum.overflowing_add(word);
            sum = next + u16::from(carried);
        }
        sum
    }

    fn assert_checksums(frame: &[u8]) {
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        let mut pseudo = Vec::new();
        let (segment, protocol) = match sliced.net.as_ref().unwrap() {
            NetSlice::Ipv4(ip) => {
                assert_eq!(folded(ip.header().slice()), 0xffff, "IPv4 header");
                pseudo.extend_from_slice(&ip.header().source());
                pseudo.extend_from_slice(&ip.header().destination());
                (ip.payload().payload, ip.payload().ip_number.0)
            }
            NetSlice::Ipv6(ip) => {
                pseudo.extend_from_slice(&ip.header().source());
                pseudo.extend_from_slice(&ip.header().destination());
                (ip.payload().payload, ip.payload().ip_number.0)
            }
            other => panic!("not IP: {other:?}"),
        };
        if protocol == 1 {
            pseudo.clear();
        } else {
            pseudo.extend_from_slice(&[0, protocol]);
            pseudo.extend_from_slice(&(segment.len() as u16).to_be_bytes());
        }
        pseudo.extend_from_slice(segment);
        assert_eq!(folded(&pseudo), 0xffff, "protocol {protocol}");
    }

    #[test]
    fn checksums_hold_for_every_protocol_and_odd_lengths() {
        for (source, dest) in [V4, V6] {
            let envelope = envelope(source, dest);
            for payload in [&b""[..], b"a", b"ab", b"GET / HTTP/1.1\r\n\r\n!"] {
                let fields = TcpFields { seq: 1, ack: 2, flags: SYN, window: 64_240, options: &SYN_OPTIONS };
                assert_checksums(&envelope.tcp(&fields, payload));
                assert_checksums(&envelope.udp(payload));
                assert_checksums(&envelope.echo(3, 4, payload));
            }
        }
    }

    #[test]
    fn a_wrong_checksum_would_be_seen() {
        let mut frame = envelope(V4.0, V4.1).udp(b"query");
        *frame.last_mut().unwrap() ^= 1;
        assert!(std::panic::catch_unwind(|| assert_checksums(&frame)).is_err());
    }

    #[test]
    fn a_syn_carries_its_options() {
        let fields =
            TcpFields { seq: 9, flags: SYN, window: 64_240, options: &SYN_OPTIONS, ..Default::default() };
        let frame = envelope(V6.0, V6.1).tcp(&fields, &[]);
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("no TCP") };
        assert!(tcp.syn() && !tcp.ack());
        assert_eq!((tcp.sequence_number(), tcp.source_port(), tcp.destination_port()), (9, 40_000, 443));
        let options: Vec<_> = tcp.options_iterator().collect::<Result<_, _>>().unwrap();
        assert!(options.contains(&etherparse::TcpOptionElement::MaximumSegmentSize(1460)));
        assert!(options.contains(&etherparse::TcpOptionElement::WindowScale(8)));
    }

    #[test]
    fn vlan_tags_stand_outermost_first() {
        let tagged = Envelope { vlans: Vlans::Two(100, 7), ..envelope(V4.0, V4.1) };
        let frame = tagged.udp(b"x");
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let ids: Vec<u16> = sliced.vlan_ids().iter().map(|id| id.value()).collect();
        assert_eq!(ids, [100, 7]);
        assert!(matches!(sliced.transport, Some(TransportSlice::Udp(_))));
    }

    #[test]
    fn an_endless_payload_is_cut() {
        let frame = envelope(V4.0, V4.1).udp(&vec![0; 100_000]);
        assert_eq!(frame.len(), 14 + 20 + 8 + MAX_PAYLOAD);
        assert_checksums(&frame);
    }
}
