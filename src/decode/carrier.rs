//! Tunnels over UDP: VXLAN, Geneve, GTP-U, Teredo, AYIYA and MPLS, by their ports and their headers.
//! Comes in: a UDP header and what stands behind. Goes out: what it carries, if the header is right in every field
//! that is fixed. Refuses to know whether that is an IP packet.

use super::TunnelKind;
use super::ether::{Next, nsh};
use super::tunnel::{Fit, Load};

/// The ports (<https://www.iana.org/assignments/service-names-port-numbers>), on either side: answers come from them.
const VXLAN: u16 = 4789;
/// What Linux used before VXLAN had a port, and still does unless told.
const VXLAN_LINUX: u16 = 8472;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;
const GTP_USER: u16 = 2152;
const TEREDO: u16 = 3544;
const MPLS: u16 = 6635;

const UDP_LEN: usize = 8;

/// Whether a datagram has a tunnel's port, or the shape of those that translators move to other ports. Every datagram
/// is asked, so this looks at a few bytes alone.
#[inline]
pub(super) fn may_carry(udp: &[u8]) -> bool {
    let &[source_high, source_low, high, low, _, _, _, _, ref payload @ ..] = udp else { return false };
    let is_known = |port| matches!(port, VXLAN | VXLAN_GPE | VXLAN_LINUX | GENEVE | GTP_USER | TEREDO | MPLS);
    is_known(u16::from_be_bytes([high, low]))
        || is_known(u16::from_be_bytes([source_high, source_low]))
        || match payload {
            [_, 0x52, 0x11, ..] | [0, 0 | 1, ..] => true,
            [0x60..=0x6f, ..] => has_teredo_address(payload),
            _ => false,
        }
}

/// Reads a UDP header and what may be a tunnel behind it.
pub(super) fn load(udp: &[u8]) -> Option<Load<'_>> {
    let [source_high, source_low, high, low, ..] = *udp.first_chunk::<UDP_LEN>()?;
    let payload = udp.get(UDP_LEN..)?;
    let ports = [u16::from_be_bytes([high, low]), u16::from_be_bytes([source_high, source_low])];
    ports.into_iter().find_map(|port| by_port(port, payload)).or_else(|| by_shape(payload))
}

fn by_port(port: u16, payload: &[u8]) -> Option<Load<'_>> {
    match port {
        VXLAN | VXLAN_LINUX => vxlan(payload),
        VXLAN_GPE => vxlan_gpe(payload),
        GENEVE => geneve(payload),
        GTP_USER => gtp(payload),
        TEREDO => teredo(payload),
        MPLS => Some(Load { next: Next::Mpls, fit: Fit::Within, ..Load::ip(TunnelKind::Mpls, payload) }),
        _ => None,
    }
}

/// Tunnels whose bytes are like no other protocol's; away from Teredo's port one of the addresses must be of Teredo's
/// prefix.
fn by_shape(payload: &[u8]) -> Option<Load<'_>> {
    match payload {
        [_, 0x52, 0x11, ..] => ayiya(payload),
        [0x60..=0x6f, ..] | [0, 0 | 1, ..] => teredo(payload).filter(|load| has_teredo_address(load.bytes)),
        _ => None,
    }
}

/// VXLAN (RFC 7348): the network's number must be there; the flags and bytes that are reserved are to be ignored.
fn vxlan(payload: &[u8]) -> Option<Load<'_>> {
    let (header, frame) = payload.split_first_chunk::<8>()?;
    let [flags, _, _, _, network @ .., _] = *header;
    has_network(flags).then(|| numbered(TunnelKind::Vxlan, number(network), Next::Ethernet, frame))
}

/// VXLAN with the protocol that it carries (draft-ietf-nvo3-vxlan-gpe), version 0. Some senders name the protocol and
/// leave out the flag that says so.
fn vxlan_gpe(payload: &[u8]) -> Option<Load<'_>> {
    /// The version's two bits; operation and maintenance.
    const VERSION: u8 = 0x30;
    const MAINTENANCE: u8 = 0x01;
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [flags, _, _, protocol, network @ .., _] = *header;
    if flags & (VERSION | MAINTENANCE) != 0 || !has_network(flags) {
        return None;
    }
    let (next, bytes) = match protocol {
        1 | 2 => (Next::Ip, rest),
        0 | 3 => (Next::Ethernet, rest),
        4 => nsh(rest).ok()?,
        _ => return None,
    };
    Some(numbered(TunnelKind::Vxlan, number(network), next, bytes))
}

fn has_network(flags: u8) -> bool {
    flags & 0x08 != 0
}

/// Geneve (RFC 8926): version 0, no control packet, options as long as they say.
fn geneve(payload: &[u8]) -> Option<Load<'_>> {
    /// A control packet.
    const CONTROL: u8 = 0x80;
    let [first, flags, high, low, network @ .., _] = *payload.first_chunk::<8>()?;
    if first >> 6 != 0 || flags & CONTROL != 0 {
        return None;
    }
    let inner = payload.get(8 + usize::from(first & 0x3f) * 4..)?;
    let ether_type = u16::from_be_bytes([high, low]);
    Some(Load::of_type(TunnelKind::Geneve, number(network), ether_type, inner))
}

/// GTP version 1, user plane (3GPP TS 29.281): a user's packet (G-PDU), with optional fields and extension headers.
fn gtp(payload: &[u8]) -> Option<Load<'_>> {
    /// Version 1, GTP (not GTP'); the bits below say which optional fields are there.
    const VERSION_1: u8 = 0x30;
    const FIXED: u8 = 0xf0;
    const OPTIONAL: u8 = 0x07;
    const EXTENSION: u8 = 0x04;
    const USER_PACKET: u8 = 255;
    let (header, mut rest) = payload.split_first_chunk::<8>()?;
    let [flags, message, high, low, endpoint @ ..] = *header;
    let announced = usize::from(u16::from_be_bytes([high, low]));
    if flags & FIXED != VERSION_1 || message != USER_PACKET || announced < rest.len() {
        return None;
    }
    if flags & OPTIONAL != 0 {
        let ([_, _, _, mut kind], behind) =
            rest.split_first_chunk::<4>().map(|(fields, rest)| (*fields, rest))?;
        rest = behind;
        while flags & EXTENSION != 0 && kind != 0 {
            // A length in words, contents, and the next extension's kind.
            let len = usize::from(*rest.first()?) * 4;
            kind = *rest.get(len.checked_sub(1)?)?;
            rest = rest.get(len..)?;
        }
    }
    Some(Load { id: Some(u32::from_be_bytes(endpoint)), ..Load::ip(TunnelKind::Gtpv1, rest) })
}

/// Teredo (RFC 4380): an authentication header, an origin indication, both or none, then IPv6.
fn teredo(payload: &[u8]) -> Option<Load<'_>> {
    let payload = match *payload {
        // The lengths of client and authentication, both, then a nonce of eight bytes and a confirmation.
        [0, 1, client, authentication, ..] => {
            payload.get(4 + usize::from(client) + usize::from(authentication) + 9..)?
        }
        _ => payload,
    };
    let payload = match *payload {
        [0, 0, ..] => payload.get(8..)?,
        _ => payload,
    };
    (payload.first()? >> 4 == 6).then(|| Load::ip(TunnelKind::Teredo, payload))
}

/// Whether an IPv6 header has an address of Teredo's prefix.
#[inline]
fn has_teredo_address(ip: &[u8]) -> bool {
    const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];
    let begins = |at: usize| ip.get(at..at + 4) == Some(&PREFIX[..]);
    begins(8) || begins(24)
}

/// AYIYA (draft-massar-v6ops-ayiya): a packet to forward, signed by a hash of five words, sender named by an integer.
/// The lengths of name and signature are said; the caller checked the bytes that say how.
fn ayiya(payload: &[u8]) -> Option<Load<'_>> {
    let [name, signature, _, next, ..] = *payload.first_chunk::<8>()?;
    let name_len = 1_usize.checked_shl(u32::from(name >> 4))?;
    let inner = payload.get(8 + name_len + usize::from(signature >> 4) * 4..)?;
    matches!(next, 4 | 41).then(|| Load::ip(TunnelKind::Ayiya, inner))
}

fn numbered(kind: TunnelKind, id: u32, next: Next, bytes: &[u8]) -> Load<'_> {
    Load { id: Some(id), next, fit: Fit::Within, ..Load::ip(kind, bytes) }
}

/// A number of three bytes.
fn number([high, middle, low]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, high, middle, low])
}
