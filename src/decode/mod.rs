//! What is inside a frame: link headers, VLAN tags, IP and transport headers are peeled down to a [`Packet`] that
//! borrows its payload. What is not for us is a [`Skip`] with a name. Nothing on the wire is an error.

use std::net::{IpAddr, SocketAddr};

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
    /// A fragment other than the first: no ports to be seen.
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

/// An IP packet, borrowed from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The sender; IPv4-mapped IPv6 addresses are given as IPv4.
    pub source: IpAddr,
    /// The receiver; IPv4-mapped IPv6 addresses are given as IPv4.
    pub destination: IpAddr,
    /// The length of the IP packet in bytes by its own header (of the captured slice where the header says 0).
    pub ip_len: u32,
    /// What the IP packet carries.
    pub transport: Transport<'a>,
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
