//! Tunnels: IP packets that carry other packets.
//! Comes in: an IP packet. Goes out: the packet inside, with the tunnel noted among the layers, or nothing where the
//! packet carries none. Refuses to believe a port: what is inside must be an IP packet that fits, or else the
//! carrier is an ordinary packet.

use etherparse::ip_number;

use super::ether::{self, Next};
use super::link::{Inner, IpVersion};
use super::network::Datagram;
use super::{Layers, Skip, Tunnel, TunnelKind, carrier, gre};

/// What a carrier says of its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load<'a> {
    pub kind: TunnelKind,
    pub id: Option<u32>,
    /// What ERSPAN says of the frame that it brings in GRE.
    pub mirror: Option<Mirror>,
    pub next: Next,
    pub bytes: &'a [u8],
    pub fit: Fit,
}

/// What a mirroring switch says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mirror {
    /// The session; the first version says none.
    pub session: Option<u32>,
    /// The VLAN that the frame was seen in; 0 where that is not said.
    pub vlan: u16,
}

/// How the inner packet's length must fit what the carrier has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fills it: nothing pads what stands straight in a datagram.
    Exact,
    /// It has room in it: Ethernet pads short frames.
    Within,
}

impl<'a> Load<'a> {
    /// An IP packet that stands straight in its carrier.
    pub fn ip(kind: TunnelKind, bytes: &'a [u8]) -> Self {
        Self { kind, id: None, mirror: None, next: Next::Ip, bytes, fit: Fit::Exact }
    }

    /// What an Ethernet type names.
    pub fn of_type(kind: TunnelKind, id: u32, ether_type: u16, bytes: &'a [u8]) -> Self {
        Self { kind, id: Some(id), mirror: None, next: Next::Type(ether_type), bytes, fit: Fit::Within }
    }
}

/// Steps into the tunnel that `carrier` is, if it is one.
#[inline]
pub(super) fn enter<'a>(carrier: &Datagram<'a>, layers: &mut Layers) -> Result<Option<Inner<'a>>, Skip> {
    let load = match carrier.protocol {
        ip_number::TCP => None,
        ip_number::UDP => carrier::load(carrier.payload),
        ip_number::IPV4 => Some(Load {
            next: Next::Type(0x0800),
            fit: Fit::Within,
            ..Load::ip(TunnelKind::Ip, carrier.payload)
        }),
        ip_number::IPV6 => Some(Load {
            next: Next::Type(0x86dd),
            fit: Fit::Within,
            ..Load::ip(TunnelKind::Ip, carrier.payload)
        }),
        ip_number::GRE => gre::load(carrier.payload),
        ip_number::MPLS_IN_IP => {
            Some(Load { next: Next::Mpls, fit: Fit::Within, ..Load::ip(TunnelKind::Mpls, carrier.payload) })
        }
        _ => None,
    };
    match load {
        Some(load) => unpack(carrier, &load, layers),
        None => Ok(None),
    }
}

/// Peels the load of a carrier; what turns out to hold no IP packet leaves no trace.
fn unpack<'a>(
    carrier: &Datagram<'a>,
    load: &Load<'a>,
    layers: &mut Layers,
) -> Result<Option<Inner<'a>>, Skip> {
    let before = layers.mark();
    let inner = note(carrier, load, layers).and_then(|()| {
        let (version, bytes) = ether::follow(load.next, load.bytes, layers)?;
        let inner = Inner { version, bytes, cut: carrier.cut() };
        check(&inner, load.fit).map(|()| inner)
    });
    match inner {
        Ok(inner) => Ok(Some(inner)),
        Err(skip @ (Skip::TooManyLayers | Skip::TooManyVlans)) => Err(skip),
        // Where the capture ends within the inner headers the packet inside is cut short; else the carrier's sender
        // wrote no more, and it is no tunnel.
        Err(Skip::CutShort) if carrier.cut() > 0 => Err(Skip::CutShort),
        Err(_) => {
            layers.back_to(before);
            Ok(None)
        }
    }
}

fn note(carrier: &Datagram<'_>, load: &Load<'_>, layers: &mut Layers) -> Result<(), Skip> {
    let outer = |kind, id| Tunnel { kind, source: carrier.source, destination: carrier.destination, id };
    layers.enter(outer(load.kind, load.id))?;
    let Some(mirror) = load.mirror else { return Ok(()) };
    layers.mirror(outer(TunnelKind::Erspan, mirror.session))?;
    match mirror.vlan {
        0 => Ok(()),
        vlan => layers.tag(vlan),
    }
}

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
/// IPv6's "no next header", with which Teredo keeps its way through translators open; what stands behind is ignored.
const NO_NEXT_HEADER: u8 = 59;

/// Whether the bytes begin with an IP header whose lengths can be true.
fn check(inner: &Inner<'_>, fit: Fit) -> Result<(), Skip> {
    let len = match inner.version {
        IpVersion::V4 => {
            let header = inner.bytes.first_chunk::<IPV4_LEN>().ok_or(Skip::CutShort)?;
            let [first, _, high, low, ..] = *header;
            let len = u32::from(u16::from_be_bytes([high, low]));
            if first >> 4 != 4 || first & 0x0f < 5 || len < u32::from(first & 0x0f) * 4 {
                return Err(Skip::IpHeader);
            }
            len
        }
        IpVersion::V6 => {
            let header = inner.bytes.first_chunk::<IPV6_LEN>().ok_or(Skip::CutShort)?;
            let [first, _, _, _, high, low, next, ..] = *header;
            if first >> 4 != 6 {
                return Err(Skip::IpHeader);
            }
            let len = u16::from_be_bytes([high, low]);
            if next == NO_NEXT_HEADER && len == 0 {
                return Ok(());
            }
            u32::from(len) + IPV6_LEN as u32
        }
    };
    let fits = match fit {
        Fit::Exact => len == inner.wire_len(),
        Fit::Within => len <= inner.wire_len(),
    };
    if fits { Ok(()) } else { Err(Skip::IpHeader) }
}
