//! Link headers: from a frame's first byte to the first byte of its IP packet.
//! Comes in: captured bytes and their link type. Goes out: the IP version that the link announces and the bytes
//! behind. Refuses to know what stands in the IP header, its version nibble aside.

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice, ether_type};

use super::Skip;
use crate::capture::{Frame, LinkType};

/// VLAN tags that are peeled off one frame: provider bridging stacks two, some access networks double that.
pub const MAX_VLAN_TAGS: usize = 4;

/// The version of IP that a link header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IpVersion {
    V4,
    V6,
}

/// The IP packet of a frame, still wrapped in its own header.
type Inner<'a> = (IpVersion, &'a [u8]);

/// Peels the link headers off a frame.
#[inline]
pub(super) fn peel<'a>(frame: &Frame<'a>) -> Result<Inner<'a>, Skip> {
    match frame.link {
        LinkType::ETHERNET => ethernet(frame.data),
        LinkType::LINUX_SLL => behind_type(type_at(frame.data, SLL_TYPE_OFFSET)?, skip(frame.data, SLL_LEN)?),
        LinkType::LINUX_SLL2 => {
            behind_type(type_at(frame.data, SLL2_TYPE_OFFSET)?, skip(frame.data, SLL2_LEN)?)
        }
        LinkType::NULL | LinkType::LOOP => loopback(frame.data),
        LinkType::RAW | RAW_BSD | RAW_OPENBSD => by_version(frame.data),
        LinkType::IPV4 => Ok((IpVersion::V4, frame.data)),
        LinkType::IPV6 => Ok((IpVersion::V6, frame.data)),
        _ => Err(Skip::LinkType),
    }
}

/// `DLT_RAW` of most systems, which some programs write into files in place of 101.
const RAW_BSD: LinkType = LinkType(12);
/// `DLT_RAW` of OpenBSD, likewise.
const RAW_OPENBSD: LinkType = LinkType(14);

/// Where the protocol stands in a header of <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html>.
const SLL_TYPE_OFFSET: usize = 14;
const SLL_LEN: usize = 16;

/// Where the protocol stands in a header of <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>.
const SLL2_TYPE_OFFSET: usize = 0;
const SLL2_LEN: usize = 20;

/// Types below are lengths of IEEE 802.3 frames (or Linux' own numbers for such frames in a cooked capture).
const FIRST_ETHER_TYPE: EtherType = EtherType(0x0600);
/// Reverse ARP (RFC 903).
const RARP: EtherType = EtherType(0x8035);

#[inline]
fn ethernet(data: &[u8]) -> Result<Inner<'_>, Skip> {
    let header = Ethernet2HeaderSlice::from_slice(data).map_err(|_| Skip::CutShort)?;
    behind_type(header.ether_type(), skip(data, header.slice().len())?)
}

/// Follows an Ethernet type through VLAN tags to the IP packet.
#[inline]
fn behind_type(mut next: EtherType, mut bytes: &[u8]) -> Result<Inner<'_>, Skip> {
    for _ in 0..=MAX_VLAN_TAGS {
        match next {
            ether_type::IPV4 => return Ok((IpVersion::V4, bytes)),
            ether_type::IPV6 => return Ok((IpVersion::V6, bytes)),
            ether_type::VLAN_TAGGED_FRAME
            | ether_type::PROVIDER_BRIDGING
            | ether_type::VLAN_DOUBLE_TAGGED_FRAME => {
                let tag = SingleVlanHeaderSlice::from_slice(bytes).map_err(|_| Skip::CutShort)?;
                next = tag.ether_type();
                bytes = skip(bytes, tag.slice().len())?;
            }
            other => return Err(not_ip(other)),
        }
    }
    Err(Skip::TooManyVlans)
}

fn not_ip(other: EtherType) -> Skip {
    match other {
        ether_type::ARP | RARP => Skip::Arp,
        short if short < FIRST_ETHER_TYPE => Skip::Llc,
        _ => Skip::NotIp,
    }
}

/// Reads a loopback header: the protocol family in four bytes, in the byte order of a machine that is not known.
fn loopback(data: &[u8]) -> Result<Inner<'_>, Skip> {
    let family = *data.first_chunk::<4>().ok_or(Skip::CutShort)?;
    let bytes = skip(data, family.len())?;
    let known = |family: u32| match family {
        2 => Some(IpVersion::V4),
        // AF_INET6 of Linux; of NetBSD and OpenBSD; of FreeBSD; of macOS.
        10 | 24 | 28 | 30 => Some(IpVersion::V6),
        _ => None,
    };
    let version = known(u32::from_be_bytes(family)).or_else(|| known(u32::from_le_bytes(family)));
    version.map(|version| (version, bytes)).ok_or(Skip::NotIp)
}

fn by_version(data: &[u8]) -> Result<Inner<'_>, Skip> {
    match data.first().ok_or(Skip::CutShort)? >> 4 {
        4 => Ok((IpVersion::V4, data)),
        6 => Ok((IpVersion::V6, data)),
        _ => Err(Skip::IpVersion),
    }
}

fn type_at(data: &[u8], offset: usize) -> Result<EtherType, Skip> {
    let bytes = data.get(offset..).and_then(|rest| rest.first_chunk::<2>()).ok_or(Skip::CutShort)?;
    Ok(EtherType(u16::from_be_bytes(*bytes)))
}

fn skip(data: &[u8], len: usize) -> Result<&[u8], Skip> {
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
        peel(&frame).map(|(version, rest)| {
            assert_eq!(rest, IP, "the IP packet begins elsewhere");
            version
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
        assert_eq!(skip(0x05dc), Err(Skip::Llc));
        assert_eq!(skip(0x0026), Err(Skip::Llc));
        assert_eq!(skip(0x88cc), Err(Skip::NotIp));
        assert_eq!(peeled(LinkType(105), &ethernet_header(&[0x0800])), Err(Skip::LinkType));
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
        assert_eq!(peeled(LinkType::LINUX_SLL2, &sll2([0x00, 0x04])), Err(Skip::Llc));
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
        peel(&frame).map(|(version, _)| version)
    }
}
