//! Generic routing encapsulation: RFC 2784 and 2890 with RFC 1701's routing, PPTP's version 1 (RFC 2637), and the
//! mirrored frames of ERSPAN. Comes in: a GRE header and what stands behind. Goes out: what it carries.
//! Refuses to know whether that is an IP packet.

use super::TunnelKind;
use super::ether::Next;
use super::link::{skip, type_at};
use super::tunnel::{Fit, Load, Mirror};

/// Flags of the first two bytes.
const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Of version 1 alone.
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

/// PPP, which version 1 always carries.
const PPP: u16 = 0x880b;
/// ERSPAN, first and second version; the third.
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
/// A router's redirect to a cache.
const WCCP: u16 = 0x883e;

/// What stands behind a GRE header.
struct Header<'a> {
    flags: u16,
    key: Option<u32>,
    payload: &'a [u8],
}

/// Reads a GRE header and says what it carries; `None` where it is none that is known.
pub(super) fn load(bytes: &[u8]) -> Option<Load<'_>> {
    let flags = type_at(bytes, 0).ok()?;
    let protocol = type_at(bytes, 2).ok()?;
    match flags & VERSION {
        0 if flags & ACKNOWLEDGMENT == 0 => carried(&version_0(flags, bytes)?, protocol),
        1 if protocol == PPP && flags & KEY != 0 => Some(version_1(flags, bytes)?),
        _ => None,
    }
}

fn version_0(flags: u16, bytes: &[u8]) -> Option<Header<'_>> {
    let mut rest = bytes.get(4..)?;
    if flags & (CHECKSUM | ROUTING) != 0 {
        rest = rest.get(4..)?;
    }
    let key = if flags & KEY != 0 { Some(number(&mut rest)?) } else { None };
    if flags & SEQUENCE != 0 {
        number(&mut rest)?;
    }
    if flags & ROUTING != 0 {
        rest = behind_routes(rest)?;
    }
    Some(Header { flags, key, payload: rest })
}

/// PPTP: the key is the payload's length and the call's number.
fn version_1(flags: u16, bytes: &[u8]) -> Option<Load<'_>> {
    let mut rest = bytes.get(4..)?;
    let key = number(&mut rest)?;
    if flags & SEQUENCE == 0 {
        // An acknowledgment alone.
        return None;
    }
    number(&mut rest)?;
    if flags & ACKNOWLEDGMENT != 0 {
        number(&mut rest)?;
    }
    Some(Load {
        next: Next::Ppp,
        id: Some(key & 0xffff),
        fit: Fit::Within,
        ..Load::ip(TunnelKind::Gre, rest)
    })
}

fn carried<'a>(header: &Header<'a>, protocol: u16) -> Option<Load<'a>> {
    let load =
        |next, bytes| Load { id: header.key, next, fit: Fit::Within, ..Load::ip(TunnelKind::Gre, bytes) };
    let payload = header.payload;
    Some(match protocol {
        ERSPAN | ERSPAN_3 => return erspan(header, protocol),
        WCCP if payload.first()? >> 4 != 4 => load(Next::Ip, payload.get(4..)?),
        WCCP => load(Next::Ip, payload),
        // Aruba's access points bring their radio's frames; the number says which radio.
        0x8200..=0x8370 if protocol & 0x0f == 0 => load(Next::Ieee80211, payload),
        0x9000 => load(Next::Ieee80211, payload),
        ether_type => load(Next::Type(ether_type), payload),
    })
}

/// Reads an ERSPAN header (draft-foschiano-erspan): the first version has none, which the missing sequence number
/// tells; the third says what kind of frame it brings, and has eight bytes more where its last bit says so.
fn erspan<'a>(header: &Header<'a>, protocol: u16) -> Option<Load<'a>> {
    let payload = header.payload;
    let (mirror, next, frame) = if protocol == ERSPAN && header.flags & SEQUENCE == 0 {
        (Mirror { session: None, vlan: 0 }, Next::Ethernet, payload)
    } else {
        let first = type_at(payload, 0).ok()?;
        let session = u32::from(type_at(payload, 2).ok()? & 0x03ff);
        let mirror = Mirror { session: Some(session), vlan: first & 0x0fff };
        let (next, len) = match (protocol, first >> 12) {
            (ERSPAN, 1) => (Next::Ethernet, 8),
            (ERSPAN_3, 2) => erspan_3(type_at(payload, 10).ok()?)?,
            _ => return None,
        };
        (mirror, next, payload.get(len..)?)
    };
    let carrier = Load { id: header.key, next, ..Load::ip(TunnelKind::Gre, frame) };
    Some(Load { mirror: Some(mirror), fit: Fit::Within, ..carrier })
}

/// What the last two bytes of the third version's header say: the kind of frame, and whether more header follows.
fn erspan_3(last: u16) -> Option<(Next, usize)> {
    let next = match last >> 10 & 0x1f {
        0 => Next::Ethernet,
        2 => Next::Ip,
        _ => return None,
    };
    Some((next, if last & 1 == 1 { 20 } else { 12 }))
}

/// Steps behind RFC 1701's source routes: a family, an offset and a length each, until both are zero.
fn behind_routes(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let [high, low, _, len] = *rest.first_chunk::<4>()?;
        rest = skip(rest, 4 + usize::from(len)).ok()?;
        if [high, low, len] == [0; 3] {
            return Some(rest);
        }
    }
}

/// Takes a number of four bytes off the front.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(u32::from_be_bytes(*bytes))
}
