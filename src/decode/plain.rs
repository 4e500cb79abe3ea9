//! The packet that nearly all packets are: a TCP segment in one piece, over IPv4 or IPv6 without options or extensions,
//! over Ethernet without tags. Comes in: a frame. Goes out: its packet, read at fixed places; nothing where the frame is
//! anything else. Whatever it answers, the general way answers too: a test holds them together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Layers, Packet, TcpFlags, TcpSegment, Transport};
use crate::capture::{Frame, LinkType};

/// Lengths of the headers, TCP's and IPv4's without options.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const TCP: usize = 20;

/// Where an Ethernet header names what stands behind it.
const ETHER_TYPE: usize = 12;

/// Where the fields of IPv4 stand (RFC 791).
mod v4 {
    pub const VERSION: usize = 0;
    pub const TOTAL_LEN: usize = 2;
    pub const IDENTIFICATION: usize = 4;
    pub const FRAGMENT: usize = 6;
    pub const HOP_LIMIT: usize = 8;
    pub const PROTOCOL: usize = 9;
    pub const SOURCE: usize = 12;
    pub const DESTINATION: usize = 16;
}

/// Where the fields of IPv6 stand (RFC 8200).
mod v6 {
    pub const VERSION: usize = 0;
    pub const PAYLOAD_LEN: usize = 4;
    pub const NEXT_HEADER: usize = 6;
    pub const HOP_LIMIT: usize = 7;
    pub const SOURCE: usize = 8;
    pub const DESTINATION: usize = 24;
}

/// Where the fields of TCP stand (RFC 9293).
mod tcp {
    pub const SOURCE_PORT: usize = 0;
    pub const DESTINATION_PORT: usize = 2;
    pub const SEQUENCE: usize = 4;
    pub const ACKNOWLEDGMENT: usize = 8;
    pub const DATA_OFFSET: usize = 12;
    pub const FLAGS: usize = 13;
    pub const WINDOW: usize = 14;
}

/// More fragments, and the fragment's offset: both 0 in a packet in one piece.
const FRAGMENTED: u16 = 0x3fff;

/// The number of TCP (<https://www.iana.org/assignments/protocol-numbers>).
const TCP_NUMBER: u8 = 6;

/// The packet of a plain frame.
#[inline(always)]
pub(super) fn read<'a>(frame: &Frame<'a>, layers: &'a Layers) -> Option<Packet<'a>> {
    if frame.link != LinkType::ETHERNET {
        return None;
    }
    let (ethernet, behind) = frame.data.split_first_chunk::<ETHERNET>()?;
    match word(ethernet, ETHER_TYPE) {
        0x0800 => over_ipv4(behind, layers),
        0x86dd => over_ipv6(behind, layers),
        _ => None,
    }
}

/// The packet that these bytes of a plain IP packet are.
#[inline(always)]
pub(super) fn read_ip<'a>(bytes: &'a [u8], layers: &'a Layers) -> Option<Packet<'a>> {
    match bytes.first()? >> 4 {
        4 => over_ipv4(bytes, layers),
        6 => over_ipv6(bytes, layers),
        _ => None,
    }
}

#[inline(always)]
fn over_ipv4<'a>(behind: &'a [u8], layers: &'a Layers) -> Option<Packet<'a>> {
    let header: &[u8; IPV4] = behind.first_chunk()?;
    let is_plain = header[v4::VERSION] == 0x45
        && word(header, v4::FRAGMENT) & FRAGMENTED == 0
        && header[v4::PROTOCOL] == TCP_NUMBER;
    if !is_plain {
        return None;
    }
    let ip_len = usize::from(word(header, v4::TOTAL_LEN));
    let address = |at| IpAddr::V4(Ipv4Addr::from_bits(double(header, at)));
    let ip = Ip {
        ends: [address(v4::SOURCE), address(v4::DESTINATION)],
        hop_limit: header[v4::HOP_LIMIT],
        identification: Some(word(header, v4::IDENTIFICATION)),
        header_len: IPV4,
        len: ip_len,
        bytes: behind.get(..ip_len).unwrap_or(behind),
    };
    ip.packet(layers)
}

#[inline(always)]
fn over_ipv6<'a>(behind: &'a [u8], layers: &'a Layers) -> Option<Packet<'a>> {
    let header: &[u8; IPV6] = behind.first_chunk()?;
    let payload_len = usize::from(word(header, v6::PAYLOAD_LEN));
    // A length of 0 is left to offload or to a jumbo payload.
    let is_plain = header[v6::VERSION] >> 4 == 6 && header[v6::NEXT_HEADER] == TCP_NUMBER && payload_len > 0;
    if !is_plain {
        return None;
    }
    let ip_len = IPV6 + payload_len;
    let address = |at| IpAddr::V6(Ipv6Addr::from_bits(quadruple(header, at))).to_canonical();
    let ip = Ip {
        ends: [address(v6::SOURCE), address(v6::DESTINATION)],
        hop_limit: header[v6::HOP_LIMIT],
        identification: None,
        header_len: IPV6,
        len: ip_len,
        bytes: behind.get(..ip_len).unwrap_or(behind),
    };
    ip.packet(layers)
}

/// What an IP header says.
struct Ip<'a> {
    ends: [IpAddr; 2],
    hop_limit: u8,
    identification: Option<u16>,
    header_len: usize,
    /// The length of the IP packet on the wire.
    len: usize,
    /// The IP packet as far as it was captured.
    bytes: &'a [u8],
}

impl<'a> Ip<'a> {
    /// The packet with the segment behind the header. Headers that were cut, or contradict each other, are for the general
    /// way; so is a length left to offload.
    #[inline(always)]
    fn packet(self, layers: &'a Layers) -> Option<Packet<'a>> {
        let behind = self.bytes.get(self.header_len..)?;
        let header: &[u8; TCP] = behind.first_chunk()?;
        let header_len = usize::from(header[tcp::DATA_OFFSET] >> 4) * 4;
        if header_len < TCP {
            return None;
        }
        let payload = behind.get(header_len..)?;
        let flags = header[tcp::FLAGS];
        let [source, destination] = self.ends;
        let segment = TcpSegment {
            source_port: word(header, tcp::SOURCE_PORT),
            destination_port: word(header, tcp::DESTINATION_PORT),
            sequence: double(header, tcp::SEQUENCE),
            acknowledgment: double(header, tcp::ACKNOWLEDGMENT),
            flags: TcpFlags {
                fin: flags & 1 != 0,
                syn: flags & 2 != 0,
                rst: flags & 4 != 0,
                ack: flags & 16 != 0,
            },
            window: word(header, tcp::WINDOW),
            payload_len: (self.len - self.header_len - header_len) as u32,
            payload,
        };
        Some(Packet {
            source,
            destination,
            ip_len: self.len as u32,
            fresh_len: self.len as u32,
            fragments: 1,
            hop_limit: self.hop_limit,
            identification: self.identification,
            transport: Transport::Tcp(segment),
            ip: self.bytes,
            completed_by: None,
            layers,
        })
    }
}

#[inline(always)]
fn word<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

#[inline(always)]
fn double<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[inline(always)]
fn quadruple<const N: usize>(header: &[u8; N], at: usize) -> u128 {
    header.get(at..).and_then(|from| from.first_chunk()).map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{Decoder, Sealed};
    use crate::time::Timestamp;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Version {
        Four,
        Six,
    }

    /// A segment with `data` bytes of payload and `padding` behind it.
    fn frame(version: Version, data: usize, padding: usize) -> Vec<u8> {
        let mut tcp = vec![0; TCP + data];
        tcp[tcp::DATA_OFFSET] = 5 << 4;
        tcp[tcp::FLAGS] = 16;
        tcp[TCP..].fill(7);
        let (ether_type, mut ip) = match version {
            Version::Four => (0x0800_u16, vec![0; IPV4]),
            Version::Six => (0x86dd, vec![0; IPV6]),
        };
        match version {
            Version::Four => {
                ip[v4::VERSION] = 0x45;
                ip[v4::TOTAL_LEN..][..2].copy_from_slice(&((IPV4 + TCP + data) as u16).to_be_bytes());
                ip[v4::PROTOCOL] = TCP_NUMBER;
            }
            Version::Six => {
                ip[v6::VERSION] = 0x60;
                ip[v6::PAYLOAD_LEN..][..2].copy_from_slice(&((TCP + data) as u16).to_be_bytes());
                ip[v6::NEXT_HEADER] = TCP_NUMBER;
                ip[v6::SOURCE..].fill(9);
            }
        }
        let ethernet = [&[0; ETHER_TYPE][..], &ether_type.to_be_bytes()].concat();
        [ethernet, ip, tcp, vec![0; padding]].concat()
    }

    fn assert_agrees(bytes: &[u8]) -> bool {
        let (time, wire_len) = (Timestamp::from_secs(1), bytes.len() as u32);
        let frame = Frame { time, link: LinkType::ETHERNET, wire_len, data: bytes };
        let plain = read(&frame, &Layers::NONE);
        if let Some(plain) = plain {
            assert_eq!(Decoder::default().decode_anything(&frame, time).as_ref(), Ok(&plain));
            assert_eq!(Sealed::of(&plain).open(plain.ip, plain.layers), Ok(plain));
        }
        plain.is_some()
    }

    #[test]
    fn a_plain_segment_is_read_at_once() {
        for version in [Version::Four, Version::Six] {
            assert!(assert_agrees(&frame(version, 0, 6)));
            assert!(assert_agrees(&frame(version, 100, 0)));
            let mut tagged = frame(version, 10, 0);
            tagged[ETHER_TYPE] = 0x81;
            assert!(!assert_agrees(&tagged));
        }
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_given_as_ipv4() {
        let mut mapped = frame(Version::Six, 10, 0);
        let source = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets();
        mapped[ETHERNET + v6::SOURCE..][..16].copy_from_slice(&source);
        assert!(assert_agrees(&mapped));
    }

    proptest! {
        #[test]
        fn what_it_answers_the_general_way_answers_too(
            version in prop_oneof![Just(Version::Four), Just(Version::Six)],
            data in 0_usize..40,
            padding in 0_usize..9,
            cut in 0_usize..80,
            changes in proptest::collection::vec((12_usize..ETHERNET + IPV6 + TCP, any::<u8>()), 0..4),
        ) {
            let mut bytes = frame(version, data, padding);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            assert_agrees(&bytes);
        }
    }
}
