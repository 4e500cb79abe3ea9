//! Link headers: from a frame's first byte to the first byte of its IP packet.
//! Comes in: captured bytes and their link type. Goes out: the IP version that the link announces and the bytes
//! behind. Refuses to know what stands in the IP header, its version nibble aside.
//!
//! The numbers and shapes of link types: <https://www.tcpdump.org/linktypes.html>.

use etherparse::{Ethernet2HeaderSlice, ether_type};

use super::ether::{self, Next};
use super::{Layers, Skip, wireless};
use crate::capture::{Frame, LinkType};

/// The version of IP that a link header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IpVersion {
    V4,
    V6,
}

/// An IP packet still wrapped in its own header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner<'a> {
    pub version: IpVersion,
    pub bytes: &'a [u8],
    /// Bytes that were sent behind `bytes` and not captured.
    pub cut: u32,
}

/// The largest packet that a segmentation offload hands to a capture: `GSO_MAX_SIZE` of Linux, 8 × 65,535 bytes.
pub(super) const MAX_OFFLOAD_LEN: u32 = 524_280;

impl Inner<'_> {
    /// The length on the wire, for IP headers that say 0.
    pub fn wire_len(&self) -> u32 {
        let captured = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        captured.saturating_add(self.cut)
    }
}

/// Peels the link headers off a frame.
#[inline]
pub(super) fn peel<'a>(frame: &Frame<'a>, layers: &mut Layers) -> Result<Inner<'a>, Skip> {
    let (version, bytes) = match frame.link {
        LinkType::ETHERNET => ethernet(frame.data, layers)?,
        _ => other_link(frame.link, frame.data, layers)?,
    };
    let cut = frame.wire_len.min(MAX_OFFLOAD_LEN).saturating_sub(frame.data.len() as u32);
    Ok(Inner { version, bytes, cut })
}

/// The IP version and the bytes from the IP header on.
pub(super) type Peeled<'a> = (IpVersion, &'a [u8]);

#[inline]
fn ethernet<'a>(data: &'a [u8], layers: &mut Layers) -> Result<Peeled<'a>, Skip> {
    let header = Ethernet2HeaderSlice::from_slice(data).map_err(|_| Skip::CutShort)?;
    let behind = skip(data, header.slice().len())?;
    match header.ether_type() {
        ether_type::IPV4 => Ok((IpVersion::V4, behind)),
        ether_type::IPV6 => Ok((IpVersion::V6, behind)),
        other => ether::follow(Next::Type(other.0), behind, layers),
    }
}

/// Peels every link but Ethernet.
fn other_link<'a>(link: LinkType, data: &'a [u8], layers: &mut Layers) -> Result<Peeled<'a>, Skip> {
    let next = match link {
        LinkType::ETHERNET => Next::Ethernet,
        LinkType::LINUX_SLL => Next::Type(type_at(data, 14)?),
        LinkType::LINUX_SLL2 => Next::Type(type_at(data, 0)?),
        LinkType::NULL | LinkType::LOOP => return loopback(data),
        LinkType::RAW | RAW_BSD | RAW_OPENBSD => return by_version(data),
        LinkType::IPV4 => return Ok((IpVersion::V4, data)),
        LinkType::IPV6 => return Ok((IpVersion::V6, data)),
        PPP | PPP_HDLC | PPP_DIRECTION => Next::Ppp,
        PPP_ETHER => Next::Pppoe,
        CISCO_HDLC => Next::CiscoHdlc,
        FRAME_RELAY => Next::FrameRelay,
        FDDI => Next::Llc,
        SLIP => return by_version(skip(data, SLIP_LEN)?),
        IP_OVER_INFINIBAND => Next::Type(type_at(data, INFINIBAND_LEN - 4)?),
        BROADCOM_TAG | DSA_TAG => Next::Type(type_at(data, 16)?),
        EDSA_TAG => Next::Type(type_at(data, 20)?),
        IEEE802_11 => Next::Ieee80211,
        RADIOTAP => return wireless::behind_radiotap(data, layers),
        PPI => return behind_header(data, PPI_SHAPE, layers),
        PKTAP | PKTAP_USER2 => return behind_header(data, PKTAP_SHAPE, layers),
        NFLOG => return nflog(data),
        _ => return Err(Skip::LinkType),
    };
    ether::follow(next, skip(data, header_len(link))?, layers)
}

/// The bytes before what [`other_link`] announces.
const fn header_len(link: LinkType) -> usize {
    match link {
        LinkType::LINUX_SLL => 16,
        LinkType::LINUX_SLL2 => 20,
        PPP_DIRECTION => 1,
        FDDI => 13,
        IP_OVER_INFINIBAND => INFINIBAND_LEN,
        BROADCOM_TAG | DSA_TAG => 18,
        EDSA_TAG => 22,
        _ => 0,
    }
}

/// `DLT_RAW` of most systems, which some programs write into files in place of 101.
const RAW_BSD: LinkType = LinkType(12);
/// `DLT_RAW` of OpenBSD, likewise.
const RAW_OPENBSD: LinkType = LinkType(14);
const SLIP: LinkType = LinkType(8);
/// The direction and a compressed header that nobody needs.
const SLIP_LEN: usize = 16;
const PPP: LinkType = LinkType(9);
const FDDI: LinkType = LinkType(10);
const PPP_HDLC: LinkType = LinkType(50);
const PPP_ETHER: LinkType = LinkType(51);
const CISCO_HDLC: LinkType = LinkType(104);
const IEEE802_11: LinkType = LinkType(105);
const FRAME_RELAY: LinkType = LinkType(107);
const RADIOTAP: LinkType = LinkType(127);
/// What Apple's systems wrote before PKTAP had a number.
const PKTAP_USER2: LinkType = LinkType(149);
const PPI: LinkType = LinkType(192);
const PPP_DIRECTION: LinkType = LinkType(204);
const NFLOG: LinkType = LinkType(239);
const IP_OVER_INFINIBAND: LinkType = LinkType(242);
/// A global routing header of 40 bytes, then RFC 4391's type and two reserved bytes.
const INFINIBAND_LEN: usize = 44;
const PKTAP: LinkType = LinkType(258);
const BROADCOM_TAG: LinkType = LinkType(281);
const DSA_TAG: LinkType = LinkType(284);
const EDSA_TAG: LinkType = LinkType(285);

/// Where a header tells its own length and the link type behind it, both little-endian.
struct Shape {
    len_at: usize,
    len_bytes: usize,
    link_at: usize,
    shortest: usize,
}

const PPI_SHAPE: Shape = Shape { len_at: 2, len_bytes: 2, link_at: 4, shortest: 8 };
const PKTAP_SHAPE: Shape = Shape { len_at: 0, len_bytes: 4, link_at: 8, shortest: 108 };

/// Peels a header that names the link type behind it. That link is not peeled of such a header again: nobody nests
/// them, and a hostile file would.
fn behind_header<'a>(data: &'a [u8], shape: Shape, layers: &mut Layers) -> Result<Peeled<'a>, Skip> {
    let len = little_endian(data, shape.len_at, shape.len_bytes)?;
    let link = LinkType(little_endian(data, shape.link_at, 4)?);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len < shape.shortest {
        return Err(Skip::LinkType);
    }
    match link {
        PPI | PKTAP | PKTAP_USER2 => Err(Skip::LinkType),
        link => other_link(link, skip(data, len)?, layers),
    }
}

fn little_endian(data: &[u8], at: usize, len: usize) -> Result<u32, Skip> {
    let bytes = data.get(at..at + len).ok_or(Skip::CutShort)?;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

/// Reads a loopback header: the protocol family in four bytes, in the byte order of a machine that is not known.
fn loopback(data: &[u8]) -> Result<Peeled<'_>, Skip> {
    let family = *data.first_chunk::<4>().ok_or(Skip::CutShort)?;
    let bytes = skip(data, family.len())?;
    let version =
        family_version(u32::from_be_bytes(family)).or_else(|| family_version(u32::from_le_bytes(family)));
    version.map(|version| (version, bytes)).ok_or(Skip::NotIp)
}

/// The IP version of a protocol family.
fn family_version(family: u32) -> Option<IpVersion> {
    match family {
        2 => Some(IpVersion::V4),
        // AF_INET6 of Linux; of NetBSD and OpenBSD; of FreeBSD; of macOS.
        10 | 24 | 28 | 30 => Some(IpVersion::V6),
        _ => None,
    }
}

/// The attribute of an NFLOG message that holds the packet (`NFULA_PAYLOAD`).
const NFLOG_PAYLOAD: u16 = 9;

/// Finds the packet among the attributes of a netfilter log message, which are written in the machine's byte order;
/// all that write such captures are little-endian by now.
fn nflog(data: &[u8]) -> Result<Peeled<'_>, Skip> {
    let version = family_version(u32::from(*data.first().ok_or(Skip::CutShort)?)).ok_or(Skip::NotIp)?;
    let mut rest = skip(data, 4)?;
    loop {
        let [len_low, len_high, kind_low, kind_high] = *rest.first_chunk::<4>().ok_or(Skip::CutShort)?;
        let len = usize::from(u16::from_le_bytes([len_low, len_high]));
        if len < 4 {
            return Err(Skip::LinkType);
        }
        if u16::from_le_bytes([kind_low, kind_high]) == NFLOG_PAYLOAD {
            let behind = skip(rest, 4)?;
            return Ok((version, behind.get(..len - 4).unwrap_or(behind)));
        }
        rest = skip(rest, len.next_multiple_of(4))?;
    }
}

/// Tells the version by the first nibble.
pub(super) fn by_version(data: &[u8]) -> Result<Peeled<'_>, Skip> {
    match data.first().ok_or(Skip::CutShort)? >> 4 {
        4 => Ok((IpVersion::V4, data)),
        6 => Ok((IpVersion::V6, data)),
        _ => Err(Skip::IpVersion),
    }
}

/// The number of two bytes at `offset`.
pub(super) fn type_at(data: &[u8], offset: usize) -> Result<u16, Skip> {
    let bytes = data.get(offset..).and_then(|rest| rest.first_chunk::<2>()).ok_or(Skip::CutShort)?;
    Ok(u16::from_be_bytes(*bytes))
}

/// The bytes behind the first `len`.
pub(super) fn skip(data: &[u8], len: usize) -> Result<&[u8], Skip> {
    data.get(len..).ok_or(Skip::CutShort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const IP: [u8; 2] = [0x45, 0x00];

    fn peeled(link: LinkType, header: &[u8]) -> Result<IpVersion, Skip> {
        let data = [header, &IP].concat();
        let frame = Frame { time: Timestamp::from_secs(0), link, wire_len: data.len() as u32, data: &data };
        peel(&frame, &mut Layers::NONE.clone()).map(|inner| {
            assert_eq!(inner.bytes, IP, "the IP packet begins elsewhere");
            inner.version
        })
    }

    fn ethernet_header(types: &[u16]) -> Vec<u8> {
        let mut header = vec![0xaa; 12];
        for (n, ether_type) in types.iter().enumerate() {
            if n > 0 {
                header.extend([0x00, 0x05]);
            }
            header.extend(ether_type.to_be_bytes());
        }
        header
    }

    #[test]
    fn up_to_four_vlan_tags_are_peeled() {
        for tags in 0..=4 {
            let mut types = [0x88a8, 0x9100, 0x8100, 0x8100][..tags].to_vec();
            types.push(0x86dd);
            assert_eq!(peeled(LinkType::ETHERNET, &ethernet_header(&types)), Ok(IpVersion::V6), "{tags}");
        }
        let five = ethernet_header(&[0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x0800]);
        assert_eq!(peeled(LinkType::ETHERNET, &five), Err(Skip::TooManyVlans));
    }

    #[test]
    fn what_is_not_ip_has_a_name() {
        let skip = |ether_type| peeled(LinkType::ETHERNET, &ethernet_header(&[ether_type]));
        assert_eq!(skip(0x0806), Err(Skip::Arp));
        assert_eq!(skip(0x8035), Err(Skip::Arp));
        for len in [0x05dc_u16, 0x0026] {
            let bridges = [ethernet_header(&[len]), vec![0x42, 0x42, 3]].concat();
            assert_eq!(peeled(LinkType::ETHERNET, &bridges), Err(Skip::Llc));
        }
        assert_eq!(skip(0x0001), Err(Skip::Llc));
        assert_eq!(skip(0x88cc), Err(Skip::NotIp));
        assert_eq!(peeled(LinkType(147), &ethernet_header(&[0x0800])), Err(Skip::LinkType));
    }

    #[test]
    fn loopback_families_are_read_in_either_byte_order() {
        for link in [LinkType::NULL, LinkType::LOOP] {
            assert_eq!(peeled(link, &[2, 0, 0, 0]), Ok(IpVersion::V4));
            assert_eq!(peeled(link, &[0, 0, 0, 2]), Ok(IpVersion::V4));
            for family in [10, 24, 28, 30] {
                assert_eq!(peeled(link, &[family, 0, 0, 0]), Ok(IpVersion::V6));
                assert_eq!(peeled(link, &[0, 0, 0, family]), Ok(IpVersion::V6));
            }
            assert_eq!(peeled(link, &[7, 0, 0, 0]), Err(Skip::NotIp));
        }
    }

    #[test]
    fn cooked_headers_are_peeled_with_the_tags_behind_them() {
        let sll = |tail: &[u8]| [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0][..], tail].concat();
        assert_eq!(peeled(LinkType::LINUX_SLL, &sll(&[0x08, 0x00])), Ok(IpVersion::V4));
        assert_eq!(peeled(LinkType::LINUX_SLL, &sll(&[0x81, 0x00, 0, 5, 0x86, 0xdd])), Ok(IpVersion::V6));
        assert_eq!(peeled(LinkType::LINUX_SLL, &sll(&[0x08, 0x06])), Err(Skip::Arp));
        let sll2 = |kind: [u8; 2]| [&kind[..], &[0, 0, 0, 0, 0, 2, 0, 1, 0, 6], &[0xaa; 8]].concat();
        assert_eq!(peeled(LinkType::LINUX_SLL2, &sll2([0x86, 0xdd])), Ok(IpVersion::V6));
        assert_eq!(peeled(LinkType::LINUX_SLL2, &sll2([0x00, 0x01])), Err(Skip::Llc));
    }

    #[test]
    fn raw_packets_tell_their_version_themselves() {
        for link in [LinkType::RAW, LinkType(12), LinkType(14), LinkType::IPV4] {
            assert_eq!(peeled(link, &[]), Ok(IpVersion::V4));
        }
        assert_eq!(peeled(LinkType::IPV6, &[]), Ok(IpVersion::V6));
        assert_eq!(peel_raw(&[0x60]), Ok(IpVersion::V6));
        assert_eq!(peel_raw(&[0x50]), Err(Skip::IpVersion));
        assert_eq!(peel_raw(&[]), Err(Skip::CutShort));
    }

    fn peel_raw(data: &[u8]) -> Result<IpVersion, Skip> {
        let frame = Frame { time: Timestamp::from_secs(0), link: LinkType::RAW, wire_len: 1, data };
        peel(&frame, &mut Layers::NONE.clone()).map(|inner| inner.version)
    }
}
