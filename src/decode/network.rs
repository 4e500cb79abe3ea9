//! IP headers: IPv4 with its options, IPv6 with its extension headers, fragments of both.
//! Comes in: the bytes behind the link headers. Goes out: addresses, lengths by the headers, and the payload as far
//! as it was captured. Refuses to know the transport protocols.
//!
//! Lengths come from the headers alone: a packet cut by a snap length, or sliced by the broker in front of the
//! mirror port so that the frame tells nothing of its true length, counts in full, and padding never does.

use std::net::IpAddr;

use etherparse::err::{ipv4, ipv6};
use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, ip_number,
};

use super::Skip;

/// Extension headers that are followed in one IPv6 packet; RFC 8200 section 4.1 orders seven at the most.
pub const MAX_IPV6_EXTENSIONS: usize = 8;

/// An IP packet behind its headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The length of the whole IP packet in bytes.
    pub ip_len: u32,
    pub part: Part,
    pub protocol: IpNumber,
    /// The length of the payload on the wire in bytes.
    pub payload_len: u32,
    /// The payload as far as it was captured; never longer than `payload_len`.
    pub payload: &'a [u8],
}

/// Which part of a datagram an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    FirstFragment,
    LaterFragment,
}

impl<'a> Datagram<'a> {
    /// Reads an IPv4 header; `wire_len` stands in where the header leaves the length to segmentation offload.
    #[inline]
    pub fn from_ipv4(bytes: &'a [u8], wire_len: u32) -> Result<Self, Skip> {
        let header = Ipv4HeaderSlice::from_slice(bytes).map_err(skip_ipv4)?;
        let header_len = header.slice().len();
        let ip_len = match header.total_len() {
            0 => wire_len,
            total => u32::from(total),
        };
        let payload_len = ip_len.checked_sub(header_len as u32).ok_or(Skip::IpHeader)?;
        Ok(Self {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ip_len,
            part: Part::of(header.fragments_offset().value(), header.more_fragments()),
            protocol: header.protocol(),
            payload_len,
            payload: captured(bytes, header_len, payload_len),
        })
    }

    /// Reads an IPv6 header and the extensions behind it; `wire_len` stands in where the header leaves the length
    /// to segmentation offload or to a jumbo payload option.
    #[inline]
    pub fn from_ipv6(bytes: &'a [u8], wire_len: u32) -> Result<Self, Skip> {
        let header = Ipv6HeaderSlice::from_slice(bytes).map_err(skip_ipv6)?;
        let payload_len = match (header.payload_length(), header.next_header()) {
            // A jumbo payload option (RFC 2675) stands in the first extension; offload sends TCP and UDP.
            (0, ip_number::IPV6_HOP_BY_HOP | ip_number::TCP | ip_number::UDP) => {
                wire_len.saturating_sub(IPV6_HEADER_LEN as u32)
            }
            (len, _) => u32::from(len),
        };
        let datagram = Self {
            source: IpAddr::V6(header.source_addr()).to_canonical(),
            destination: IpAddr::V6(header.destination_addr()).to_canonical(),
            ip_len: payload_len.saturating_add(IPV6_HEADER_LEN as u32),
            part: Part::Whole,
            protocol: header.next_header(),
            payload_len,
            payload: captured(bytes, IPV6_HEADER_LEN, payload_len),
        };
        match datagram.protocol {
            ip_number::TCP | ip_number::UDP => Ok(datagram),
            _ => datagram.behind_extensions(),
        }
    }

    /// Says why a header cannot be read: the capture cut it, or else `reason`.
    pub fn cut_or(&self, reason: Skip) -> Skip {
        if (self.payload.len() as u64) < u64::from(self.payload_len) { Skip::CutShort } else { reason }
    }

    /// Follows IPv6 extension headers. Behind the header of a later fragment stands the middle of something.
    fn behind_extensions(mut self) -> Result<Self, Skip> {
        for _ in 0..=MAX_IPV6_EXTENSIONS {
            match self.protocol {
                ip_number::IPV6_HOP_BY_HOP | ip_number::IPV6_ROUTE | ip_number::IPV6_DEST_OPTIONS => {
                    let header = Ipv6RawExtHeaderSlice::from_slice(self.payload)
                        .map_err(|_| self.cut_or(Skip::Ipv6Extensions))?;
                    self.step_over(header.next_header(), header.slice().len());
                }
                ip_number::IPV6_FRAG => {
                    let header = Ipv6FragmentHeaderSlice::from_slice(self.payload)
                        .map_err(|_| self.cut_or(Skip::Ipv6Extensions))?;
                    self.part = Part::of(header.fragment_offset().value(), header.more_fragments());
                    self.step_over(header.next_header(), header.slice().len());
                    if self.part == Part::LaterFragment {
                        return Ok(self);
                    }
                }
                _ => return Ok(self),
            }
        }
        Err(Skip::Ipv6Extensions)
    }

    fn step_over(&mut self, next: IpNumber, len: usize) {
        self.protocol = next;
        self.payload = self.payload.get(len..).unwrap_or_default();
        self.payload_len = self.payload_len.saturating_sub(len as u32);
    }
}

impl Part {
    #[inline]
    fn of(offset: u16, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::Whole,
            (0, true) => Self::FirstFragment,
            _ => Self::LaterFragment,
        }
    }
}

const IPV6_HEADER_LEN: usize = etherparse::Ipv6Header::LEN;

/// The payload of `len` bytes behind a header, as far as it was captured.
#[inline]
fn captured(bytes: &[u8], header_len: usize, len: u32) -> &[u8] {
    let behind = bytes.get(header_len..).unwrap_or_default();
    behind.get(..len as usize).unwrap_or(behind)
}

#[cold]
fn skip_ipv4(error: ipv4::HeaderSliceError) -> Skip {
    match error {
        ipv4::HeaderSliceError::Len(_) => Skip::CutShort,
        ipv4::HeaderSliceError::Content(ipv4::HeaderError::UnexpectedVersion { .. }) => Skip::IpVersion,
        ipv4::HeaderSliceError::Content(_) => Skip::IpHeader,
    }
}

#[cold]
fn skip_ipv6(error: ipv6::HeaderSliceError) -> Skip {
    match error {
        ipv6::HeaderSliceError::Len(_) => Skip::CutShort,
        ipv6::HeaderSliceError::Content(_) => Skip::IpVersion,
    }
}
