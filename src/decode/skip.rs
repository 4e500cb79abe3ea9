//! Why a frame is not decoded: every case has a name, so that the counts of a run add up.

use crate::metrics::{self, Reason};

/// The reason for which a packet is left out, counted under its name in the stats record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Skip {
    /// The capture's link type is none that is known here.
    LinkType,
    /// The captured bytes end before the headers do.
    CutShort,
    /// More VLAN tags than [`super::MAX_VLAN_TAGS`].
    TooManyVlans,
    /// More wrappings than [`super::MAX_LAYERS`].
    TooManyLayers,
    /// Encrypted below IP: a protected 802.11 frame, MACsec that hides its payload.
    Encrypted,
    /// ARP or RARP.
    Arp,
    /// An IEEE 802.3 frame: a length where Ethernet II has its type, and LLC (spanning tree, say) behind it.
    Llc,
    /// Another network protocol than IP.
    NotIp,
    /// The version in the IP header contradicts the link header, or is neither 4 nor 6.
    IpVersion,
    /// An IPv4 header whose length fields cannot be true.
    IpHeader,
    /// IPv6 extension headers that do not fit their packet, or more than [`super::MAX_IPV6_EXTENSIONS`].
    Ipv6Extensions,
    /// A TCP header shorter than 20 bytes or longer than its packet.
    TcpHeader,
    /// A UDP header longer than its packet.
    UdpHeader,
    /// An ICMP header longer than its packet.
    IcmpHeader,
    /// The user's packet filter refused it.
    Filter,
    /// Captured outside the span of time that the user asked for.
    OutsideTime,
    /// A copy of another packet, made by a mirror that hands over each packet twice.
    Duplicate,
}

/// What became of the packets of a run.
pub type PacketCounts = metrics::PacketCounts<Skip>;

impl Skip {
    /// Every reason, in the order in which records name them.
    pub const ALL: [Self; 17] = [
        Self::LinkType,
        Self::CutShort,
        Self::TooManyVlans,
        Self::TooManyLayers,
        Self::Encrypted,
        Self::Arp,
        Self::Llc,
        Self::NotIp,
        Self::IpVersion,
        Self::IpHeader,
        Self::Ipv6Extensions,
        Self::TcpHeader,
        Self::UdpHeader,
        Self::IcmpHeader,
        Self::Filter,
        Self::OutsideTime,
        Self::Duplicate,
    ];

    /// The reason's name in records, in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkType => "link_type",
            Self::CutShort => "cut_short",
            Self::TooManyVlans => "too_many_vlans",
            Self::TooManyLayers => "too_many_layers",
            Self::Encrypted => "encrypted",
            Self::Arp => "arp",
            Self::Llc => "llc",
            Self::NotIp => "not_ip",
            Self::IpVersion => "ip_version",
            Self::IpHeader => "ip_header",
            Self::Ipv6Extensions => "ipv6_extensions",
            Self::TcpHeader => "tcp_header",
            Self::UdpHeader => "udp_header",
            Self::IcmpHeader => "icmp_header",
            Self::Filter => "filter",
            Self::OutsideTime => "outside_time",
            Self::Duplicate => "duplicate",
        }
    }
}

impl Reason for Skip {
    const ALL: &'static [Self] = &Skip::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        Skip::name(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_index() {
        for (index, skip) in Skip::ALL.into_iter().enumerate() {
            assert_eq!(skip.index(), index, "{}", skip.name());
        }
        assert_eq!(Skip::Duplicate.index() + 1, Skip::ALL.len(), "the last reason is missing from ALL");
    }

    #[test]
    fn names_are_distinct_and_in_snake_case() {
        let names: HashSet<_> = Skip::ALL.into_iter().map(Skip::name).collect();
        assert_eq!(names.len(), Skip::ALL.len());
        let snake = |name: &str| name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        assert!(names.into_iter().all(snake));
    }
}
