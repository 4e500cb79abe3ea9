//! Transport headers: TCP, UDP, ICMP and ICMPv6; every other protocol is its number.
//! Comes in: a datagram behind its IP headers. Goes out: ports, flags and the payload as far as it was captured.
//! Refuses to know connections, options and checksums (senders that offload leave them wrong).

use std::net::IpAddr;

use etherparse::err::tcp::HeaderSliceError;
use etherparse::{TcpHeader, TcpHeaderSlice, UdpHeader, UdpHeaderSlice, ip_number};

use super::network::{Datagram, Part};
use super::{Skip, TcpFlags, TcpSegment, Transport, UdpDatagram};

/// Reads the transport header of a datagram.
#[inline]
pub(super) fn read<'a>(datagram: &Datagram<'a>) -> Result<Transport<'a>, Skip> {
    if datagram.part != Part::Whole && (datagram.part == Part::LaterFragment || datagram.is_kept_fragment()) {
        return Ok(Transport::Fragment);
    }
    match (datagram.protocol, datagram.source) {
        (ip_number::TCP, _) => tcp(datagram),
        (ip_number::UDP, _) => udp(datagram),
        (ip_number::ICMP, IpAddr::V4(_)) | (ip_number::IPV6_ICMP, IpAddr::V6(_)) => icmp(datagram),
        (ip_number::SCTP, _) => Ok(sctp(datagram)),
        (other, _) => Ok(Transport::Other(other.0)),
    }
}

#[inline]
fn tcp<'a>(datagram: &Datagram<'a>) -> Result<Transport<'a>, Skip> {
    match TcpHeaderSlice::from_slice(datagram.payload) {
        Ok(header) => Ok(segment(&header, header.slice().len(), datagram)),
        Err(HeaderSliceError::Content(_)) => Err(Skip::TcpHeader),
        Err(HeaderSliceError::Len(_)) => tcp_without_options(datagram),
    }
}

/// Reads a TCP header whose options were not captured: a short snap length cuts them off most SYNs, and all that
/// is asked for stands before them.
#[cold]
fn tcp_without_options<'a>(datagram: &Datagram<'a>) -> Result<Transport<'a>, Skip> {
    let Some(mut fixed) = datagram.payload.first_chunk::<{ TcpHeader::MIN_LEN }>().copied() else {
        return too_short(datagram, TcpHeader::MIN_LEN, Skip::TcpHeader);
    };
    let header_len = usize::from(fixed[DATA_OFFSET] >> 4) * 4;
    if datagram.part == Part::Whole && header_len as u64 > u64::from(datagram.payload_len) {
        return Err(Skip::TcpHeader);
    }
    fixed[DATA_OFFSET] = NO_OPTIONS | (fixed[DATA_OFFSET] & 0x0f);
    let header = TcpHeaderSlice::from_slice(&fixed).map_err(|_| Skip::TcpHeader)?;
    Ok(segment(&header, header_len, datagram))
}

/// The byte of a TCP header whose upper half is the header's length in words of four bytes.
const DATA_OFFSET: usize = 12;
/// The upper half of that byte in a header of 20 bytes.
const NO_OPTIONS: u8 = 5 << 4;

#[inline]
fn segment<'a>(header: &TcpHeaderSlice<'_>, header_len: usize, datagram: &Datagram<'a>) -> Transport<'a> {
    Transport::Tcp(TcpSegment {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        sequence: header.sequence_number(),
        acknowledgment: header.acknowledgment_number(),
        flags: TcpFlags { syn: header.syn(), ack: header.ack(), fin: header.fin(), rst: header.rst() },
        window: header.window_size(),
        payload_len: datagram.payload_len.saturating_sub(header_len as u32),
        payload: datagram.payload.get(header_len..).unwrap_or_default(),
    })
}

/// Reads a UDP header. A length that contradicts the IP header yields to it: a forged length does not hide the port
/// a flood is aimed at, and first fragments announce the length of the whole.
#[inline]
fn udp<'a>(datagram: &Datagram<'a>) -> Result<Transport<'a>, Skip> {
    let Ok(header) = UdpHeaderSlice::from_slice(datagram.payload) else {
        return too_short(datagram, UdpHeader::LEN, Skip::UdpHeader);
    };
    let behind = datagram.payload.get(UdpHeader::LEN..).unwrap_or_default();
    let announced = usize::from(header.length()).checked_sub(UdpHeader::LEN);
    Ok(Transport::Udp(UdpDatagram {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        payload: announced.and_then(|len| behind.get(..len)).unwrap_or(behind),
    }))
}

/// Reads the ports that SCTP's common header begins with (RFC 9260 section 3.1); without them it is a number like any
/// other.
fn sctp<'a>(datagram: &Datagram<'a>) -> Transport<'a> {
    let Some(&[a, b, c, d]) = datagram.payload.first_chunk::<4>() else {
        return Transport::Other(ip_number::SCTP.0);
    };
    let (source_port, destination_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Transport::Sctp { source_port, destination_port }
}

/// Type, code and checksum: what all messages of ICMP and ICMPv6 begin with.
const ICMP_LEN: usize = 4;

fn icmp<'a>(datagram: &Datagram<'a>) -> Result<Transport<'a>, Skip> {
    match datagram.payload.first_chunk::<ICMP_LEN>() {
        Some(&[kind, code, ..]) => Ok(Transport::Icmp { kind, code }),
        None => too_short(datagram, ICMP_LEN, Skip::IcmpHeader),
    }
}

/// Says what a datagram is whose captured bytes end within the `needed` bytes of its transport header: cut by the
/// capture, a first fragment so small that its ports come later (RFC 1858), or else damaged.
#[cold]
fn too_short<'a>(datagram: &Datagram<'a>, needed: usize, damaged: Skip) -> Result<Transport<'a>, Skip> {
    if u64::from(datagram.payload_len) >= needed as u64 {
        Err(Skip::CutShort)
    } else if datagram.part == Part::FirstFragment {
        Ok(Transport::Fragment)
    } else {
        Err(damaged)
    }
}
