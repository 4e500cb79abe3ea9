//! What is inside a frame: link headers, VLAN tags, IP and transport headers are peeled down to a [`Packet`] that
//! borrows its payload. What is not for us is a [`Skip`] with a name. Nothing on the wire is an error.
//!
//! Each header is read by etherparse's slice of that header; the lengths that decide where one layer ends are
//! compared here, once, so that complete packets and packets cut by a snap length take the same path. What nearly all
//! packets are, a whole TCP segment over IP and Ethernet, `plain` reads at fixed places; a test holds it to the rest.

use std::net::{IpAddr, SocketAddr};

mod carrier;
mod decoder;
mod ether;
mod fragments;
mod gre;
mod layers;
mod link;
mod network;
mod plain;
mod skip;
mod transport;
mod tunnel;
mod wireless;

pub use decoder::{Decoder, Sealed};
pub use ether::MAX_VLAN_TAGS;
pub use fragments::FragmentCounts;
pub use layers::{Layers, MAX_LAYERS, Tunnel, TunnelKind};
pub use network::MAX_IPV6_EXTENSIONS;
pub use skip::{PacketCounts, Skip};

/// The innermost IP packet of a frame, borrowed from the frame and its decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The sender; IPv4-mapped IPv6 addresses are given as IPv4.
    pub source: IpAddr,
    /// The receiver; IPv4-mapped IPv6 addresses are given as IPv4.
    pub destination: IpAddr,
    /// The length of the IP packet in bytes by its own header, or by the frame's length on the wire where the header
    /// leaves it at 0; of a datagram that was put together, the length it had before it was cut into fragments.
    pub ip_len: u32,
    /// The bytes that this packet adds to those already told of: `ip_len`, save in a datagram that was put together,
    /// whose earlier fragments were told of when they came; there it is the length of the last fragment.
    pub fresh_len: u32,
    /// The IP packets that this one was put together from: 1 for nearly every packet.
    pub fragments: u16,
    /// IPv4's time to live, IPv6's hop limit.
    pub hop_limit: u8,
    /// IPv4's identification.
    pub identification: Option<u16>,
    /// What the IP packet carries.
    pub transport: Transport<'a>,
    /// The IP packet as far as it was captured, without padding behind it.
    pub ip: &'a [u8],
    /// The fragment that completed it, where it or the outermost of its carriers was put together from fragments.
    pub completed_by: Option<&'a [u8]>,
    /// The VLAN tags and tunnels around it.
    pub layers: &'a Layers,
}

impl<'a> Packet<'a> {
    /// A packet over IP without more than addresses and a transport header.
    pub fn plain(source: IpAddr, destination: IpAddr, ip_len: u32, transport: Transport<'a>) -> Self {
        Self {
            source,
            destination,
            ip_len,
            fresh_len: ip_len,
            fragments: 1,
            hop_limit: 64,
            identification: None,
            transport,
            ip: &[],
            completed_by: None,
            layers: &Layers::NONE,
        }
    }

    /// The carrier that the tunnel at `place` is, as a packet without ports; its length is that of what it carries.
    pub fn carrier(&self, place: usize) -> Option<Self> {
        let tunnel = self.layers.tunnels().get(place)?;
        Some(Self {
            source: tunnel.source,
            destination: tunnel.destination,
            fragments: 1,
            identification: None,
            transport: Transport::Other(tunnel.kind.protocol()),
            ..*self
        })
    }

    /// The ports of sender and receiver of TCP and UDP, where the packet has them: those that services have.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            Transport::Icmp { .. } | Transport::Sctp { .. } | Transport::Fragment | Transport::Other(_) => {
                None
            }
        }
    }

    /// Sender and receiver with their ports; port 0 where the packet has none.
    pub fn endpoints(&self) -> (SocketAddr, SocketAddr) {
        let (from, to) = self.ports().unwrap_or((0, 0));
        (SocketAddr::new(self.source, from), SocketAddr::new(self.destination, to))
    }
}

/// The transport part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport<'a> {
    /// TCP.
    Tcp(TcpSegment<'a>),
    /// UDP.
    Udp(UdpDatagram<'a>),
    /// ICMP or ICMPv6.
    Icmp {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// SCTP.
    Sctp {
        /// The sender's port.
        source_port: u16,
        /// The receiver's port.
        destination_port: u16,
    },
    /// A fragment other than the first, or a first one too small for its transport header: no ports to be seen.
    Fragment,
    /// Another IP protocol, by its number.
    Other(u8),
}

/// A TCP header and the payload that was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The number of the first payload byte (of the SYN, where it is set).
    pub sequence: u32,
    /// The next byte expected from the other side, meaningful with `flags.ack`.
    pub acknowledgment: u32,
    /// SYN, ACK, FIN, RST.
    pub flags: TcpFlags,
    /// The receive window as sent, unscaled.
    pub window: u16,
    /// The payload's length on the wire, by the headers.
    pub payload_len: u32,
    /// The payload as far as it was captured.
    pub payload: &'a [u8],
}

/// The flags of a TCP header that open, carry and end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags {
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// The acknowledgment number counts.
    pub ack: bool,
    /// No more data from the sender.
    pub fin: bool,
    /// Reset.
    pub rst: bool,
}

/// A UDP header and the payload that was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The payload as far as it was captured.
    pub payload: &'a [u8],
}

#[cfg(test)]
mod fragment_tests;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tunnel_tests;
