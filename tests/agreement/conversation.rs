//! One conversation between two ends, as we tell it in a flow record or as somebody else counted it. Judges nothing.

use std::fmt;
use std::net::IpAddr;

/// An address and a port; the port is 0 where the protocol has none.
pub type End = (IpAddr, u16);

/// The protocols whose flows the contract names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proto {
    Tcp,
    Udp,
    Icmp,
    Icmp6,
    Sctp,
}

impl Proto {
    /// By its name in whatever case; Zeek calls both kinds of ICMP alike, so the address decides.
    pub fn named(name: &str, address: IpAddr) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "sctp" => Self::Sctp,
            "icmp" if address.is_ipv4() => Self::Icmp,
            "icmp" | "icmpv6" | "icmp6" | "ipv6-icmp" => Self::Icmp6,
            _ => return None,
        })
    }

    /// By its number in the IP header.
    pub const fn numbered(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Icmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            58 => Self::Icmp6,
            132 => Self::Sctp,
            _ => return None,
        })
    }

    pub const fn is_icmp(self) -> bool {
        matches!(self, Self::Icmp | Self::Icmp6)
    }
}

/// What was said between two ends.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub proto: Proto,
    /// The originator first.
    pub ends: [End; 2],
    /// Packets from each end.
    pub packets: [u64; 2],
    /// Bytes of the IP packets from each end, where a row tells them.
    pub bytes: Option<[u64; 2]>,
    /// Copies that a mirror made, which `packets` leaves out.
    pub duplicates: u64,
    /// Whether its packets came in a tunnel, as far as that is known.
    pub tunnelled: bool,
    /// The type of an ICMP conversation's first packet.
    pub icmp_type: Option<u16>,
    /// Zeek's `conn_state`.
    pub state: Option<String>,
    pub community_id: Option<String>,
}

impl Conversation {
    /// A conversation of which the ends and packets are known. ICMP has no ports, whatever a tool keeps in their place.
    pub fn new(proto: Proto, ends: [End; 2], packets: [u64; 2]) -> Self {
        let ends = if proto.is_icmp() { ends.map(|(address, _)| (address, 0)) } else { ends };
        Self {
            tunnelled: false,
            proto,
            ends,
            packets,
            bytes: None,
            duplicates: 0,
            icmp_type: None,
            state: None,
            community_id: None,
        }
    }

    /// The same, its bytes left open.
    pub fn without_bytes(&self) -> Self {
        Self { bytes: None, ..self.clone() }
    }

    /// Whether its protocol has ports and none was read.
    pub fn lacks_ports(&self) -> bool {
        !self.proto.is_icmp() && self.ends.iter().all(|(_, port)| *port == 0)
    }

    /// Who talks with whom, whoever began.
    pub fn key(&self) -> Key {
        let [one, other] = self.ends;
        Key { proto: self.proto, ends: if one <= other { [one, other] } else { [other, one] } }
    }

    /// Takes the counts of another conversation between the same ends.
    pub fn add(&mut self, other: &Self) {
        let is_turned = self.ends != other.ends;
        let add = |sum: [u64; 2], more: [u64; 2]| {
            let [first, second] = if is_turned { [more[1], more[0]] } else { more };
            [sum[0] + first, sum[1] + second]
        };
        self.packets = add(self.packets, other.packets);
        self.bytes = self.bytes.zip(other.bytes).map(|(sum, more)| add(sum, more));
    }

    /// Counts of each end in the order of the key.
    pub fn keyed(&self, [first, second]: [u64; 2]) -> [u64; 2] {
        if self.ends == self.key().ends { [first, second] } else { [second, first] }
    }

    pub fn keyed_packets(&self) -> [u64; 2] {
        self.keyed(self.packets)
    }

    pub fn all_packets(&self) -> u64 {
        self.packets.iter().sum()
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = self.ends.map(|(address, port)| match (address, self.proto.is_icmp()) {
            (_, true) => address.to_string(),
            (IpAddr::V4(_), false) => format!("{address}:{port}"),
            (IpAddr::V6(_), false) => format!("[{address}]:{port}"),
        });
        write!(f, "{:?} {from} → {to}", self.proto)
    }
}

/// Two ends and a protocol, in an order that does not depend on who began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub proto: Proto,
    pub ends: [End; 2],
}
