//! What is inside a frame: link headers, VLAN tags, IP and transport headers are peeled down to a [`Packet`] that
//! borrows its payload. What is not for us is a [`Skip`] with a name. Nothing on the wire is an error.
//!
//! Each header is read by etherparse's slice of that header; the lengths that decide where one layer ends are
//! compared here, once, so that complete packets and packets cut by a snap length take the same path.

use std::net::{IpAddr, SocketAddr};

use crate::capture::Frame;

mod link;
mod network;
mod skip;
mod transport;

pub use link::MAX_VLAN_TAGS;
pub use network::MAX_IPV6_EXTENSIONS;
pub use skip::{PacketCounts, Skip};

use link::IpVersion;
use network::Datagram;

/// An IP packet, borrowed from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The sender; IPv4-mapped IPv6 addresses are given as IPv4.
    pub source: IpAddr,
    /// The receiver; IPv4-mapped IPv6 addresses are given as IPv4.
    pub destination: IpAddr,
    /// The length of the IP packet in bytes by its own header, or by the frame's length on the wire where the header
    /// leaves it at 0.
    pub ip_len: u32,
    /// What the IP packet carries.
    pub transport: Transport<'a>,
    /// The IP packet as far as it was captured, without padding behind it.
    pub ip: &'a [u8],
}

impl Packet<'_> {
    /// The ports of sender and receiver, where the packet has them.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            Transport::Icmp { .. } | Transport::Fragment | Transport::Other(_) => None,
        }
    }

    /// Sender and receiver with their ports; port 0 where the packet has none.
    pub fn endpoints(&self) -> (SocketAddr, SocketAddr) {
        let (from, to) = self.ports().unwrap_or((0, 0));
        (SocketAddr::new(self.source, from), SocketAddr::new(self.destination, to))
    }
}

/// Peels a frame down to its packet, or says why there is none; allocates nothing and panics on no bytes.
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, Skip> {
    let (version, bytes) = link::peel(frame)?;
    let datagram = match version {
        IpVersion::V4 => Datagram::from_ipv4(bytes, wire_len_of(bytes, frame))?,
        IpVersion::V6 => Datagram::from_ipv6(bytes, wire_len_of(bytes, frame))?,
    };
    Ok(Packet {
        source: datagram.source,
        destination: datagram.destination,
        ip_len: datagram.ip_len,
        transport: transport::read(&datagram)?,
        ip: bytes.get(..datagram.ip_len as usize).unwrap_or(bytes),
    })
}

/// The largest packet that a segmentation offload hands to a capture: `GSO_MAX_SIZE` of Linux, 8 × 65,535 bytes.
const MAX_OFFLOAD_LEN: u32 = 524_280;

/// The length on the wire of the inner `bytes` of a frame, for IP headers that say 0.
#[inline]
fn wire_len_of(bytes: &[u8], frame: &Frame<'_>) -> u32 {
    let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let cut = frame.wire_len.min(MAX_OFFLOAD_LEN).saturating_sub(frame.data.len() as u32);
    captured.saturating_add(cut)
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
mod tests;
