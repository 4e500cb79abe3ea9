//! What a packet was wrapped in: the VLAN tags and the tunnels around its innermost IP packet, outermost first.
//! Filled while a frame is peeled; refuses to know what the innermost packet is.

use std::fmt;
use std::net::IpAddr;

use super::Skip;

/// Wrappings that are peeled off one packet besides its VLAN tags: tunnels, MPLS, PPPoE and the like. Real mirrors
/// stack three or four (ERSPAN around VXLAN around a tagged frame); a bomb of headers ends here.
pub const MAX_LAYERS: usize = 8;

/// VLAN tags that are remembered of one packet: two before and two behind each of two tunnels.
const MAX_VLANS: usize = 8;

/// The wrappings of a packet; empty for nearly every packet.
#[derive(Clone, Copy)]
pub struct Layers {
    vlans: [u16; MAX_VLANS],
    tunnels: [Tunnel; MAX_LAYERS],
    vlan_count: u8,
    tunnel_count: u8,
    /// Wrappings so far, those without addresses of their own too.
    depth: u8,
}

/// A tunnel: an IP packet that carries another packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// What carries.
    pub kind: TunnelKind,
    /// The sender of the carrier.
    pub source: IpAddr,
    /// The receiver of the carrier.
    pub destination: IpAddr,
    /// What tells tunnels between two addresses apart: the GRE key, the PPTP call, the ERSPAN session, the VXLAN or
    /// Geneve network, the GTP tunnel endpoint, the MPLS label.
    pub id: Option<u32>,
}

/// The kinds of tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TunnelKind {
    /// IP in IP, any version in any other (RFC 2003, 2473, 4213).
    Ip,
    /// Generic routing encapsulation (RFC 2784, 2890, 7637), PPTP's version of it too (RFC 2637).
    Gre,
    /// A mirrored frame inside GRE; stands behind the [`TunnelKind::Gre`] that carries it.
    Erspan,
    /// VXLAN (RFC 7348) and its generic protocol extension.
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// IPv6 in UDP through address translators (RFC 4380).
    Teredo,
    /// Anything in anything.
    Ayiya,
    /// The user plane of mobile networks (3GPP TS 29.281).
    Gtpv1,
    /// MPLS in UDP (RFC 7510).
    Mpls,
}

impl Layers {
    /// No wrappings.
    pub const NONE: Self = Self {
        vlans: [0; MAX_VLANS],
        tunnels: [Tunnel::UNUSED; MAX_LAYERS],
        vlan_count: 0,
        tunnel_count: 0,
        depth: 0,
    };

    /// The VLAN numbers, outermost first.
    pub fn vlans(&self) -> &[u16] {
        self.vlans.get(..usize::from(self.vlan_count)).unwrap_or_default()
    }

    /// The tunnels, outermost first.
    pub fn tunnels(&self) -> &[Tunnel] {
        self.tunnels.get(..usize::from(self.tunnel_count)).unwrap_or_default()
    }

    /// The same with other addresses of its tunnels.
    pub fn with_addresses(mut self, told: impl Fn(IpAddr) -> IpAddr) -> Self {
        for tunnel in self.tunnels.iter_mut().take(usize::from(self.tunnel_count)) {
            (tunnel.source, tunnel.destination) = (told(tunnel.source), told(tunnel.destination));
        }
        self
    }

    /// Whether there are neither tags nor tunnels.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.vlan_count == 0 && self.tunnel_count == 0
    }

    /// Forgets what was peeled; costs two comparisons where nothing was.
    #[inline]
    pub(super) fn clear(&mut self) {
        if !self.is_empty() || self.depth > 0 {
            (self.vlan_count, self.tunnel_count, self.depth) = (0, 0, 0);
        }
    }

    /// Notes a VLAN tag by its control information (IEEE 802.1Q): the number is in the lower 12 bits.
    pub(super) fn tag(&mut self, control: u16) -> Result<(), Skip> {
        let slot = self.vlans.get_mut(usize::from(self.vlan_count)).ok_or(Skip::TooManyVlans)?;
        *slot = control & 0x0fff;
        self.vlan_count += 1;
        Ok(())
    }

    /// Counts a wrapping.
    pub(super) fn wrap(&mut self) -> Result<(), Skip> {
        if usize::from(self.depth) >= MAX_LAYERS {
            return Err(Skip::TooManyLayers);
        }
        self.depth += 1;
        Ok(())
    }

    /// Notes a tunnel and counts it as a wrapping.
    pub(crate) fn enter(&mut self, tunnel: Tunnel) -> Result<(), Skip> {
        self.wrap()?;
        self.mirror(tunnel)
    }

    /// Notes a tunnel that is part of the wrapping counted last.
    pub(super) fn mirror(&mut self, tunnel: Tunnel) -> Result<(), Skip> {
        let slot = self.tunnels.get_mut(usize::from(self.tunnel_count)).ok_or(Skip::TooManyLayers)?;
        *slot = tunnel;
        self.tunnel_count += 1;
        Ok(())
    }

    /// How much is peeled by now.
    pub(super) fn mark(&self) -> Mark {
        Mark { vlan_count: self.vlan_count, tunnel_count: self.tunnel_count, depth: self.depth }
    }

    /// Forgets what was peeled since `mark`: the carrier carries nothing after all.
    pub(super) fn back_to(&mut self, mark: Mark) {
        (self.vlan_count, self.tunnel_count, self.depth) = (mark.vlan_count, mark.tunnel_count, mark.depth);
    }
}

/// A depth that [`Layers::back_to`] goes back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    vlan_count: u8,
    tunnel_count: u8,
    depth: u8,
}

impl Tunnel {
    const UNUSED: Self = Self {
        kind: TunnelKind::Ip,
        source: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        destination: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        id: None,
    };
}

impl TunnelKind {
    /// The kind's name in records: Zeek's `Tunnel::Type` in lower case where Zeek has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Teredo => "teredo",
            Self::Ayiya => "ayiya",
            Self::Gtpv1 => "gtpv1",
            Self::Mpls => "mpls",
        }
    }

    /// The IP protocol number of carriers; of IP in IP, whose number names the version inside, that of IPv4.
    pub const fn protocol(self) -> u8 {
        match self {
            Self::Ip => 4,
            Self::Gre | Self::Erspan => 47,
            Self::Vxlan | Self::Geneve | Self::Teredo | Self::Ayiya | Self::Gtpv1 | Self::Mpls => 17,
        }
    }
}

impl Default for Layers {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Layers {
    fn eq(&self, other: &Self) -> bool {
        self.vlans() == other.vlans() && self.tunnels() == other.tunnels()
    }
}

impl Eq for Layers {}

impl fmt::Debug for Layers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Layers").field("vlans", &self.vlans()).field("tunnels", &self.tunnels()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_peeled_in_vain_is_forgotten() {
        let mut layers = Layers::NONE;
        layers.tag(0xe005).unwrap();
        let mark = layers.mark();
        layers.enter(Tunnel::UNUSED).unwrap();
        layers.tag(7).unwrap();
        assert_eq!((layers.vlans(), layers.tunnels().len()), (&[5, 7][..], 1));
        layers.back_to(mark);
        assert_eq!((layers.vlans(), layers.tunnels().len()), (&[5][..], 0));
        layers.clear();
        assert_eq!(layers, Layers::NONE);
    }

    #[test]
    fn the_ninth_wrapping_is_one_too_many() {
        let mut layers = Layers::NONE;
        layers.wrap().unwrap();
        for _ in 1..MAX_LAYERS {
            layers.enter(Tunnel::UNUSED).unwrap();
        }
        assert_eq!(layers.enter(Tunnel::UNUSED), Err(Skip::TooManyLayers));
    }
}
