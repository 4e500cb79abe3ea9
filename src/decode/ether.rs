//! What stands between a link header and an IP packet: VLAN tags, MPLS labels, PPPoE and PPP, LLC and SNAP, and the
//! backbone headers that wrap a whole frame again. Comes in: bytes and what their first header is. Goes out: the IP
//! packet behind. Refuses to follow more wrappings than [`Layers`] takes.

use super::link::{IpVersion, Peeled, by_version, skip, type_at};
use super::{Layers, Skip, wireless};

/// VLAN tags that are peeled off one Ethernet header: provider bridging stacks two, some access networks double that.
pub const MAX_VLAN_TAGS: usize = 4;

/// Labels that are read in one MPLS stack: segment routing stacks about ten.
const MAX_LABELS: usize = 16;

/// What header comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// An IP packet; its first nibble tells its version.
    Ip,
    /// What an Ethernet type names (<https://www.iana.org/assignments/ieee-802-numbers>).
    Type(u16),
    /// An Ethernet header.
    Ethernet,
    /// A header of IEEE 802.2.
    Llc,
    /// An MPLS label stack.
    Mpls,
    /// A PPPoE header.
    Pppoe,
    /// A PPP protocol number, with or without the HDLC address before it.
    Ppp,
    /// A Cisco HDLC header.
    CiscoHdlc,
    /// A Frame Relay header.
    FrameRelay,
    /// A header of IEEE 802.11.
    Ieee80211,
}

/// Follows headers to the IP packet behind them.
///
/// Every round consumes bytes or counts a wrapping, of which [`Layers`] takes few, so that this ends.
#[inline(never)]
pub(super) fn follow<'a>(
    mut next: Next,
    mut bytes: &'a [u8],
    layers: &mut Layers,
) -> Result<Peeled<'a>, Skip> {
    let mut tags = 0;
    loop {
        (next, bytes) = match next {
            Next::Ip => return by_version(bytes),
            Next::Type(IPV4) => return Ok((IpVersion::V4, bytes)),
            Next::Type(IPV6) => return Ok((IpVersion::V6, bytes)),
            Next::Type(VLAN | PROVIDER_VLAN | OLD_PROVIDER_VLAN) => {
                tags += 1;
                if tags > MAX_VLAN_TAGS {
                    return Err(Skip::TooManyVlans);
                }
                layers.tag(type_at(bytes, 0)?)?;
                (Next::Type(type_at(bytes, 2)?), skip(bytes, 4)?)
            }
            Next::Type(ether_type) => {
                layers.wrap()?;
                behind_type(ether_type, bytes)?
            }
            Next::Ethernet => {
                tags = 0;
                (Next::Type(type_at(bytes, ETHERNET_LEN - 2)?), skip(bytes, ETHERNET_LEN)?)
            }
            Next::Llc => llc(bytes)?,
            Next::Mpls => mpls(bytes)?,
            Next::Pppoe => pppoe(bytes)?,
            Next::Ppp => ppp(bytes)?,
            Next::CiscoHdlc => (Next::Type(type_at(bytes, 2)?), skip(bytes, 4)?),
            Next::FrameRelay => frame_relay(bytes)?,
            Next::Ieee80211 => wireless::behind_ieee80211(bytes)?,
        }
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
/// IEEE 802.1ad.
const PROVIDER_VLAN: u16 = 0x88a8;
/// What some switches wrote before 802.1ad had a number.
const OLD_PROVIDER_VLAN: u16 = 0x9100;
const ETHERNET_LEN: usize = 14;

/// Types below are lengths of IEEE 802.3 frames (or Linux' own numbers for such frames in a cooked capture).
const FIRST_ETHER_TYPE: u16 = 0x0600;

/// Steps behind the header that an Ethernet type names, VLAN tags and IP apart.
fn behind_type(ether_type: u16, bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    Ok(match ether_type {
        // MPLS, unicast and with an upstream label (RFC 5332).
        0x8847 | 0x8848 => (Next::Mpls, bytes),
        // A PPPoE session (RFC 2516); its discovery (0x8863) carries nothing.
        0x8864 => (Next::Pppoe, bytes),
        // PPP in GRE (RFC 2637), and directly over Ethernet.
        0x880b => (Next::Ppp, bytes),
        // Transparent Ethernet bridging.
        0x6558 => (Next::Ethernet, bytes),
        // Cisco FabricPath: the tree's tag and a time to live, then the frame.
        0x8903 => (Next::Ethernet, skip(bytes, 2)?),
        // Provider backbone bridging (IEEE 802.1ah): the service's tag, then the frame.
        0x88e7 => (Next::Ethernet, skip(bytes, 4)?),
        // VN-Tag (802.1BR's forerunner).
        0x8926 => (Next::Type(type_at(bytes, 4)?), skip(bytes, 6)?),
        // Cisco's metadata: a version, a length and one option with the sender's security group.
        0x8909 => (Next::Type(type_at(bytes, 6)?), skip(bytes, 8)?),
        // ERSPAN of the second version without a carrier.
        0x88be if bytes.first().is_some_and(|byte| byte >> 4 == 1) => (Next::Ethernet, skip(bytes, 8)?),
        0x88e5 => macsec(bytes)?,
        0x894f => nsh(bytes)?,
        0x0806 | 0x8035 => return Err(Skip::Arp),
        // Linux' number for 802.2 frames in a cooked capture; lengths of 802.3 frames.
        0x0003..=0x05dc => (Next::Llc, bytes),
        short if short < FIRST_ETHER_TYPE => return Err(Skip::Llc),
        _ => return Err(Skip::NotIp),
    })
}

/// Reads an 802.2 header: SNAP names an Ethernet type; everything else is for switches.
fn llc(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    /// Both service access points of SNAP, and its control field.
    const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
    /// RFC 948's IP straight behind the 802.2 header.
    const IP: [u8; 3] = [0x06, 0x06, 0x03];
    match *bytes.first_chunk::<3>().ok_or(Skip::CutShort)? {
        SNAP => snap(skip(bytes, SNAP.len())?),
        IP => Ok((Next::Ip, skip(bytes, IP.len())?)),
        _ => Err(Skip::Llc),
    }
}

/// Reads a SNAP header: whose number, then the number.
fn snap(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    let [one, two, three, high, low] = *bytes.first_chunk::<5>().ok_or(Skip::CutShort)?;
    let behind = skip(bytes, 5)?;
    match ([one, two, three], u16::from_be_bytes([high, low])) {
        // An Ethernet type, as it is or for bridges that translate (RFC 1042, IEEE 802.1H).
        ([0, 0, 0] | [0, 0, 0xf8], ether_type) if ether_type >= FIRST_ETHER_TYPE => {
            Ok((Next::Type(ether_type), behind))
        }
        // A bridged Ethernet frame (RFC 2427), with and without its check sequence.
        ([0, 0x80, 0xc2], 1 | 7) => Ok((Next::Ethernet, behind)),
        _ => Err(Skip::Llc),
    }
}

/// Reads a label stack (RFC 3032). What stands behind it is not said: the first nibble tells IP, a pseudowire has a
/// control word that begins with 0 (RFC 4385), or none.
fn mpls(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    let bottom = |label: &[u8]| label.get(2).is_some_and(|byte| byte & 1 == 1);
    let labels = bytes.chunks_exact(4).take(MAX_LABELS).position(bottom);
    let Some(last) = labels else {
        return Err(if bytes.len() >= 4 * MAX_LABELS { Skip::NotIp } else { Skip::CutShort });
    };
    let behind = skip(bytes, (last + 1) * 4)?;
    Ok(match behind.first().ok_or(Skip::CutShort)? >> 4 {
        4 | 6 if !is_bridged(behind) => (Next::Ip, behind),
        0 if !is_bridged(behind) => (Next::Ethernet, skip(behind, 4)?),
        _ => (Next::Ethernet, behind),
    })
}

/// Whether bytes look like an Ethernet header in front of IP rather than like IP or a control word: hardware
/// addresses may begin with any nibble.
fn is_bridged(bytes: &[u8]) -> bool {
    let nibble = bytes.get(ETHERNET_LEN).map(|byte| byte >> 4);
    match type_at(bytes, ETHERNET_LEN - 2) {
        Ok(IPV4) => nibble == Some(4) && !is_ip(bytes),
        Ok(IPV6) => nibble == Some(6) && !is_ip(bytes),
        Ok(VLAN | PROVIDER_VLAN | 0x0806) => !is_ip(bytes),
        _ => false,
    }
}

/// Whether the length in an IP header fits the bytes behind it.
fn is_ip(bytes: &[u8]) -> bool {
    let fits = |len: u16| usize::from(len) <= bytes.len();
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) => type_at(bytes, 2).is_ok_and(fits),
        Some(6) => type_at(bytes, 4).is_ok_and(|len| fits(len.saturating_add(40))),
        _ => false,
    }
}

/// Reads a PPPoE header (RFC 2516): version and type 1, code 0 in a session.
fn pppoe(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    match *bytes.first_chunk::<6>().ok_or(Skip::CutShort)? {
        [0x11, 0, ..] => Ok((Next::Ppp, skip(bytes, 6)?)),
        _ => Err(Skip::NotIp),
    }
}

/// Reads a PPP header (RFC 1661, 1662): the HDLC address may be left out, and the first byte of the protocol too.
fn ppp(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    let bytes = match bytes {
        [0xff, 0x03, rest @ ..] => rest,
        // Cisco HDLC on a link that is said to be PPP; both addresses are none of PPP's protocols.
        [0x0f | 0x8f, 0x00, ..] => return Ok((Next::CiscoHdlc, bytes)),
        _ => bytes,
    };
    let first = *bytes.first().ok_or(Skip::CutShort)?;
    // Every protocol's last byte is odd, its first even: an odd first byte is the whole number.
    let (protocol, behind) = if first & 1 == 1 {
        (u16::from(first), skip(bytes, 1)?)
    } else {
        (type_at(bytes, 0)?, skip(bytes, 2)?)
    };
    match protocol {
        0x0021 | 0x0057 => Ok((Next::Ip, behind)),
        0x0281 | 0x0283 => Ok((Next::Mpls, behind)),
        0x0031 => Ok((Next::Ethernet, skip(behind, 2)?)),
        _ => Err(Skip::NotIp),
    }
}

/// Reads a Frame Relay header: an address whose last byte is odd, then a protocol by RFC 2427, or an Ethernet type
/// as Cisco's routers write it.
fn frame_relay(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    /// The longest address (Q.922).
    const LONGEST: usize = 4;
    let last = bytes.iter().take(LONGEST).position(|byte| byte & 1 == 1).ok_or(Skip::NotIp)?;
    let behind = skip(bytes, last + 1)?;
    // Unnumbered information, and a byte that may pad it.
    let named = match behind {
        [0x03, 0x00, rest @ ..] | [0x03, rest @ ..] => rest,
        _ => return Ok((Next::Type(type_at(behind, 0)?), skip(behind, 2)?)),
    };
    match *named.first().ok_or(Skip::CutShort)? {
        0xcc | 0x8e => Ok((Next::Ip, skip(named, 1)?)),
        0x80 => snap(skip(named, 1)?),
        _ => Err(Skip::NotIp),
    }
}

/// Reads a MACsec tag (IEEE 802.1AE) in front of a payload that is protected and not hidden.
fn macsec(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    /// The channel's identifier stands in the tag.
    const CHANNEL: u8 = 0x20;
    /// Encrypted; changed in another way.
    const HIDDEN: u8 = 0x08 | 0x04;
    let control = *bytes.first().ok_or(Skip::CutShort)?;
    if control & HIDDEN != 0 {
        return Err(Skip::Encrypted);
    }
    let behind = skip(bytes, if control & CHANNEL != 0 { 14 } else { 6 })?;
    Ok((Next::Type(type_at(behind, 0)?), skip(behind, 2)?))
}

/// Reads a network service header (RFC 8300).
pub(super) fn nsh(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    let [_, words, _, protocol] = *bytes.first_chunk::<4>().ok_or(Skip::CutShort)?;
    let len = usize::from(words & 0x3f) * 4;
    if len < 8 {
        return Err(Skip::NotIp);
    }
    let next = match protocol {
        1 | 2 => Next::Ip,
        3 => Next::Ethernet,
        5 => Next::Mpls,
        _ => return Err(Skip::NotIp),
    };
    Ok((next, skip(bytes, len)?))
}
