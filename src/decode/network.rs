//! IP headers: IPv4 with its options, IPv6 with its extension headers, fragments of both.
//! Comes in: the bytes behind the link headers. Goes out: addresses, lengths by the headers, and the payload as far
//! as it was captured. Refuses to know the transport protocols.
//!
//! Lengths come from the headers alone: a packet cut by a snap length, or sliced by the broker in front of the
//! mirror port so that the frame tells nothing of its true length, counts in full, and padding never does.

use std::net::IpAddr;

use etherparse::err::{ipv4, ipv6};
use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, ip_number,
};

use super::Skip;
use super::link::{Inner, IpVersion};

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
    pub hop_limit: u8,
    pub identification: Option<u16>,
    /// The length of the payload on the wire in bytes.
    pub payload_len: u32,
    /// The payload as far as it was captured; never longer than `payload_len`.
    pub payload: &'a [u8],
    /// The whole IP packet as far as it was captured.
    pub ip: &'a [u8],
    /// Where in `ip` the fragment header stands (IPv6).
    pub fragment_at: u16,
    /// Where in `ip` the number of the fragment header stands (IPv6).
    pub named_at: u16,
}

/// Which part of a datagram an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    FirstFragment,
    LaterFragment,
}

impl<'a> Datagram<'a> {
    /// Reads an IP packet down to what it carries.
    #[inline]
    pub fn read(inner: &Inner<'a>) -> Result<Self, Skip> {
        match inner.version {
            IpVersion::V4 => Self::from_ipv4(inner),
            IpVersion::V6 => Self::from_ipv6(inner),
        }
    }

    /// The version of the header.
    pub fn version(&self) -> IpVersion {
        // Only IPv4 has an identification in every header.
        if self.identification.is_some() { IpVersion::V4 } else { IpVersion::V6 }
    }

    /// Bytes of the payload that were sent and not captured.
    pub fn cut(&self) -> u32 {
        self.payload_len.saturating_sub(self.payload.len() as u32)
    }

    /// Reads an IPv4 header and the authentication header behind it; the length on the wire stands in where the
    /// header leaves the length to segmentation offload.
    #[inline]
    fn from_ipv4(inner: &Inner<'a>) -> Result<Self, Skip> {
        let bytes = inner.bytes;
        let header = Ipv4HeaderSlice::from_slice(bytes).map_err(skip_ipv4)?;
        let header_len = header.slice().len();
        let ip_len = match header.total_len() {
            0 => inner.wire_len(),
            total => u32::from(total),
        };
        let payload_len = ip_len.checked_sub(header_len as u32).ok_or(Skip::IpHeader)?;
        let ip = captured(bytes, ip_len);
        Ok(Self {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ip_len,
            part: Part::of(header.fragments_offset().value(), header.more_fragments()),
            protocol: header.protocol(),
            hop_limit: header.ttl(),
            identification: Some(header.identification()),
            payload_len,
            payload: ip.get(header_len..).unwrap_or_default(),
            ip,
            fragment_at: 0,
            named_at: 0,
        })
    }

    /// Reads an IPv6 header and the extensions behind it; the length on the wire stands in where the header leaves
    /// the length to segmentation offload or to a jumbo payload option.
    #[inline]
    fn from_ipv6(inner: &Inner<'a>) -> Result<Self, Skip> {
        let bytes = inner.bytes;
        let header = Ipv6HeaderSlice::from_slice(bytes).map_err(skip_ipv6)?;
        let payload_len = match (header.payload_length(), header.next_header()) {
            // A jumbo payload option (RFC 2675) stands in the first extension; offload sends TCP and UDP.
            (0, ip_number::IPV6_HOP_BY_HOP | ip_number::TCP | ip_number::UDP) => {
                inner.wire_len().saturating_sub(IPV6_HEADER_LEN as u32)
            }
            (len, _) => u32::from(len),
        };
        let ip_len = payload_len.saturating_add(IPV6_HEADER_LEN as u32);
        let ip = captured(bytes, ip_len);
        let datagram = Self {
            source: IpAddr::V6(header.source_addr()).to_canonical(),
            destination: IpAddr::V6(header.destination_addr()).to_canonical(),
            ip_len,
            part: Part::Whole,
            protocol: header.next_header(),
            hop_limit: header.hop_limit(),
            identification: None,
            payload_len,
            payload: ip.get(IPV6_HEADER_LEN..).unwrap_or_default(),
            ip,
            fragment_at: 0,
            named_at: NEXT_HEADER_AT,
        };
        match datagram.protocol {
            ip_number::TCP | ip_number::UDP => Ok(datagram),
            _ => datagram.behind_extensions(),
        }
    }

    /// Whether this is a fragment that was captured whole, so that its datagram can be put together.
    pub fn is_kept_fragment(&self) -> bool {
        self.part != Part::Whole && self.cut() == 0
    }

    /// Says why a header cannot be read: the capture cut it, or else `reason`.
    pub fn cut_or(&self, reason: Skip) -> Skip {
        if self.cut() > 0 { Skip::CutShort } else { reason }
    }

    /// Follows IPv6 extension headers. Behind the header of a later fragment stands the middle of something.
    fn behind_extensions(mut self) -> Result<Self, Skip> {
        let mut header_at = IPV6_HEADER_LEN as u16;
        for _ in 0..=MAX_IPV6_EXTENSIONS {
            let (next, len) = match self.protocol {
                ip_number::IPV6_HOP_BY_HOP
                | ip_number::IPV6_ROUTE
                | ip_number::IPV6_DEST_OPTIONS
                | ip_number::HIP
                | ip_number::SHIM6 => {
                    let header = Ipv6RawExtHeaderSlice::from_slice(self.payload)
                        .map_err(|_| self.cut_or(Skip::Ipv6Extensions))?;
                    (header.next_header(), header.slice().len())
                }
                ip_number::AUTH => {
                    let header = IpAuthHeaderSlice::from_slice(self.payload)
                        .map_err(|_| self.cut_or(Skip::Ipv6Extensions))?;
                    (header.next_header(), header.slice().len())
                }
                // A fragment of a fragment: RFC 8200 knows one such header.
                ip_number::IPV6_FRAG if self.part == Part::Whole => {
                    let header = Ipv6FragmentHeaderSlice::from_slice(self.payload)
                        .map_err(|_| self.cut_or(Skip::Ipv6Extensions))?;
                    self.part = Part::of(header.fragment_offset().value(), header.more_fragments());
                    self.fragment_at = header_at;
                    let (next, len) = (header.next_header(), header.slice().len());
                    if self.part == Part::LaterFragment || self.is_kept_fragment() {
                        self.step_over(next, len);
                        return Ok(self);
                    }
                    (next, len)
                }
                _ => return Ok(self),
            };
            if self.fragment_at == 0 {
                self.named_at = header_at;
            }
            // Eight extensions of at most 2,048 bytes.
            header_at = header_at.saturating_add(len as u16);
            self.step_over(next, len);
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
/// Where an IPv6 header names what stands behind it.
const NEXT_HEADER_AT: u16 = 6;

/// The packet of `len` bytes, as far as it was captured.
#[inline]
fn captured(bytes: &[u8], len: u32) -> &[u8] {
    bytes.get(..len as usize).unwrap_or(bytes)
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
