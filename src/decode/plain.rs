//! The packet that nearly all packets are: a TCP segment in one piece, over IPv4 without options, over Ethernet without
//! tags. Comes in: a frame. Goes out: its packet, read at fixed places; nothing where the frame is anything else.
//! Whatever it answers, the general way answers too: a test holds them together.

use std::net::{IpAddr, Ipv4Addr};

use super::{Layers, Packet, TcpFlags, TcpSegment, Transport};
use crate::capture::{Frame, LinkType};

/// Ethernet, IPv4 and TCP without options: the bytes that are looked at.
const HEADERS: usize = ETHERNET + IPV4 + TCP;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;

/// Where the headers' fields stand in a frame (RFC 791, RFC 9293).
mod at {
    use super::{ETHERNET, IPV4};

    pub const ETHER_TYPE: usize = 12;
    pub const VERSION: usize = ETHERNET;
    pub const TOTAL_LEN: usize = ETHERNET + 2;
    pub const IDENTIFICATION: usize = ETHERNET + 4;
    pub const FRAGMENT: usize = ETHERNET + 6;
    pub const HOP_LIMIT: usize = ETHERNET + 8;
    pub const PROTOCOL: usize = ETHERNET + 9;
    pub const SOURCE: usize = ETHERNET + 12;
    pub const DESTINATION: usize = ETHERNET + 16;
    pub const SOURCE_PORT: usize = ETHERNET + IPV4;
    pub const DESTINATION_PORT: usize = SOURCE_PORT + 2;
    pub const SEQUENCE: usize = SOURCE_PORT + 4;
    pub const ACKNOWLEDGMENT: usize = SOURCE_PORT + 8;
    pub const DATA_OFFSET: usize = SOURCE_PORT + 12;
    pub const FLAGS: usize = SOURCE_PORT + 13;
    pub const WINDOW: usize = SOURCE_PORT + 14;
}

/// More fragments, and the fragment's offset: both 0 in a packet in one piece.
const FRAGMENTED: u16 = 0x3fff;

/// The packet of a plain frame.
#[inline(always)]
pub(super) fn read<'a>(frame: &Frame<'a>, layers: &'a Layers) -> Option<Packet<'a>> {
    let head: &[u8; HEADERS] = frame.data.first_chunk()?;
    let is_plain = frame.link == LinkType::ETHERNET
        && word(head, at::ETHER_TYPE) == 0x0800
        && head[at::VERSION] == 0x45
        && word(head, at::FRAGMENT) & FRAGMENTED == 0
        && head[at::PROTOCOL] == 6;
    if !is_plain {
        return None;
    }
    let total = usize::from(word(head, at::TOTAL_LEN));
    let tcp = usize::from(head[at::DATA_OFFSET] >> 4) * 4;
    let behind = &frame.data[ETHERNET..];
    let ip = behind.get(..total).unwrap_or(behind);
    // Headers that were cut, or contradict each other, are for the general way; so is a length left to offload.
    if tcp < TCP || ip.len() < IPV4 + tcp {
        return None;
    }
    let flags = head[at::FLAGS];
    let segment = TcpSegment {
        source_port: word(head, at::SOURCE_PORT),
        destination_port: word(head, at::DESTINATION_PORT),
        sequence: double(head, at::SEQUENCE),
        acknowledgment: double(head, at::ACKNOWLEDGMENT),
        flags: TcpFlags {
            fin: flags & 1 != 0,
            syn: flags & 2 != 0,
            rst: flags & 4 != 0,
            ack: flags & 16 != 0,
        },
        window: word(head, at::WINDOW),
        payload_len: (total - IPV4 - tcp) as u32,
        payload: &ip[IPV4 + tcp..],
    };
    let address = |at| IpAddr::V4(Ipv4Addr::from_bits(double(head, at)));
    Some(Packet {
        source: address(at::SOURCE),
        destination: address(at::DESTINATION),
        ip_len: total as u32,
        fresh_len: total as u32,
        fragments: 1,
        hop_limit: head[at::HOP_LIMIT],
        identification: Some(word(head, at::IDENTIFICATION)),
        transport: Transport::Tcp(segment),
        ip,
        completed_by: None,
        layers,
    })
}

#[inline(always)]
fn word(head: &[u8; HEADERS], at: usize) -> u16 {
    u16::from_be_bytes([head[at], head[at + 1]])
}

#[inline(always)]
fn double(head: &[u8; HEADERS], at: usize) -> u32 {
    u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::Decoder;
    use crate::time::Timestamp;

    /// A segment with `data` bytes of payload and `padding` behind it.
    fn frame(data: usize, padding: usize) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS + data + padding];
        bytes[at::ETHER_TYPE] = 8;
        bytes[at::VERSION] = 0x45;
        let total = (IPV4 + TCP + data) as u16;
        bytes[at::TOTAL_LEN..at::TOTAL_LEN + 2].copy_from_slice(&total.to_be_bytes());
        bytes[at::PROTOCOL] = 6;
        bytes[at::DATA_OFFSET] = 5 << 4;
        bytes[at::FLAGS] = 16;
        bytes[HEADERS..HEADERS + data].fill(7);
        bytes
    }

    fn assert_agrees(bytes: &[u8]) -> bool {
        let (time, wire_len) = (Timestamp::from_secs(1), bytes.len() as u32);
        let frame = Frame { time, link: LinkType::ETHERNET, wire_len, data: bytes };
        let plain = read(&frame, &Layers::NONE);
        if let Some(plain) = plain {
            assert_eq!(Decoder::default().decode_anything(&frame, time).as_ref(), Ok(&plain));
        }
        plain.is_some()
    }

    #[test]
    fn a_plain_segment_is_read_at_once() {
        assert!(assert_agrees(&frame(0, 6)));
        assert!(assert_agrees(&frame(100, 0)));
        let mut tagged = frame(10, 0);
        tagged[at::ETHER_TYPE] = 0x81;
        assert!(!assert_agrees(&tagged));
    }

    proptest! {
        #[test]
        fn what_it_answers_the_general_way_answers_too(
            data in 0_usize..40,
            padding in 0_usize..9,
            cut in 0_usize..60,
            changes in proptest::collection::vec((12_usize..HEADERS, any::<u8>()), 0..4),
        ) {
            let mut bytes = frame(data, padding);
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate((HEADERS + data + padding).saturating_sub(cut));
            assert_agrees(&bytes);
        }
    }
}
