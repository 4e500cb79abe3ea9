//! The classic pcap format: one header, then records of one link type.
//! Comes in: the input's bytes. Goes out: packets that still lie in the input's buffer.
//! Refuses to know what compressed the bytes. See <https://www.tcpdump.org/manpages/pcap-savefile.5.html>; versions and
//! swapped lengths as in libpcap's `sf-pcap.c`.

use super::LinkType;
use super::input::{Input, MAX_PACKET};
use super::reader::{Damage, Found, Lent, Order};
use crate::time::Timestamp;

/// Length of the file's header.
const FILE_HEADER: usize = 24;
/// Length of a record's header: seconds, fraction, captured length, length on the wire.
const RECORD_HEADER: usize = 16;
/// Length of a record's header in the "modified" format of the `ss990417` patch: interface, protocol and packet type
/// follow the usual fields.
const MODIFIED_RECORD_HEADER: usize = 24;
/// The largest captured length believed where the header's snapshot length is no larger: the limit that libpcap and
/// tcpdump set themselves.
const USUAL_SNAPLEN: u32 = 262_144;

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

/// A classic pcap file, after its header.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    kind: Kind,
    lengths: Lengths,
    link: LinkType,
    longest: u32,
}

/// What the magic number tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    nanos_per_unit: u32,
    record_header: usize,
}

/// In which order a record has its two lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// Captured, then wire: since version 2.4.
    CapturedFirst,
    /// Wire, then captured: before version 2.3, and version 543.0 of DG/UX.
    WireFirst,
    /// Version 2.3 was written both ways: the smaller is the captured length.
    Either,
}

/// What a record's header says.
struct Record {
    time: Timestamp,
    captured: u32,
    wire: u32,
}

impl Pcap {
    /// Whether a file of these first bytes is a classic pcap.
    pub(super) fn knows(magic: [u8; 4]) -> bool {
        told_by(magic).is_some()
    }

    /// Reads the file's header.
    pub(super) fn open(input: &mut Input) -> Result<Self, Damage> {
        let ahead = input.ahead(FILE_HEADER).map_err(|error| Damage::unreadable(0, &error))?;
        let left = ahead.len();
        let (words, _) = ahead.as_chunks::<4>();
        let [magic, version, _zone, _accuracy, snaplen, network, ..] = *words else {
            return Err(Damage::cut_short(0, "the file header", FILE_HEADER, left));
        };
        let (order, kind) = told_by(magic).ok_or_else(|| Damage::new(0, "no pcap header"))?;
        let [major, minor] = halves(version).map(|half| order.u16(half));
        let lengths = lengths_of(major, minor)?;
        let link = link_of(order.u32(network))?;
        let snaplen = order.u32(snaplen);
        let longest = snaplen.clamp(USUAL_SNAPLEN, MAX_PACKET as u32);
        input.consume(FILE_HEADER);
        Ok(Self { order, kind, lengths, link, longest })
    }

    /// Moves to the next record and lends its packet.
    #[inline(never)]
    pub(super) fn next(&self, input: &mut Input, lent: &mut Lent) -> Result<Found, Damage> {
        let header = self.kind.record_header;
        let begin = input.offset();
        let ahead = input.ahead(header).map_err(|error| Damage::unreadable(begin, &error))?;
        let Some(record) = self.record(ahead) else {
            return cut_in_header(begin, header, ahead.len());
        };
        let captured = record.captured;
        if captured > self.longest {
            return Err(too_long(begin, captured, self.longest));
        }
        let whole = header + captured as usize;
        let held = input.ahead(whole).map_err(|error| Damage::unreadable(begin, &error))?.len();
        if !self.lend(input, lent) {
            return Err(Damage::cut_short(begin, "the record", whole, held));
        }
        Ok(Found::Packet)
    }

    /// Lends the next record's packet where the record is held whole, as nearly all are; answers whether it is.
    #[inline(always)]
    pub(super) fn lend(&self, input: &mut Input, lent: &mut Lent) -> bool {
        let header = self.kind.record_header;
        let held = input.held();
        let Some(Record { time, captured, wire }) = self.record(held) else { return false };
        let len = captured as usize;
        if captured > self.longest || held.len() < header + len {
            return false;
        }
        let (position, wire_len) = (input.position() + header, wire.max(captured) as usize);
        input.consume(header + len);
        *lent = Lent { time, link: self.link, wire_len, position, len };
        true
    }

    /// What the header says that these bytes begin with.
    #[inline(always)]
    fn record(&self, bytes: &[u8]) -> Option<Record> {
        let (words, _) = bytes.as_chunks::<4>();
        let [secs, fraction, first, second] = self.order.words(*words.first_chunk::<4>()?);
        let nanos = i64::from(fraction) * i64::from(self.kind.nanos_per_unit);
        let time = Timestamp::from_parts(i64::from(secs), nanos);
        let (captured, wire) = self.lengths(first, second);
        Some(Record { time, captured, wire })
    }

    #[inline]
    fn lengths(&self, first: u32, second: u32) -> (u32, u32) {
        match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::WireFirst => (second, first),
            Lengths::Either => (first.min(second), first.max(second)),
        }
    }
}

/// Byte order and kind by the first four bytes.
fn told_by(magic: [u8; 4]) -> Option<(Order, Kind)> {
    [Order::Little, Order::Big].into_iter().find_map(|order| {
        let (nanos_per_unit, record_header) = match order.u32(magic) {
            MICROS => (1_000, RECORD_HEADER),
            NANOS => (1, RECORD_HEADER),
            MODIFIED => (1_000, MODIFIED_RECORD_HEADER),
            _ => return None,
        };
        Some((order, Kind { nanos_per_unit, record_header }))
    })
}

/// What the version says of the order of lengths. Minor versions after 2.4 change nothing that is known.
fn lengths_of(major: u16, minor: u16) -> Result<Lengths, Damage> {
    match (major, minor) {
        (2, 0..=2) | (543, 0) => Ok(Lengths::WireFirst),
        (2, 3) => Ok(Lengths::Either),
        (2, _) => Ok(Lengths::CapturedFirst),
        _ => Err(Damage::new(4, format!("pcap version {major}.{minor} instead of 2.4"))),
    }
}

/// The link type of the header's last field: its low 16 bits. The six highest tell of the frame check sequence, which
/// nothing here reads; the ten between are reserved, and like libpcap we do not guess what a file means by them.
fn link_of(network: u32) -> Result<LinkType, Damage> {
    if network & 0x03ff_0000 != 0 {
        return Err(Damage::new(20, format!("reserved bits are set in the link type {network:#010x}")));
    }
    Ok(LinkType::from_file(network & 0xffff))
}

fn halves([a, b, c, d]: [u8; 4]) -> [[u8; 2]; 2] {
    [[a, b], [c, d]]
}

#[cold]
fn cut_in_header(begin: u64, header: usize, held: usize) -> Result<Found, Damage> {
    if held == 0 { Ok(Found::End) } else { Err(Damage::cut_short(begin, "the record header", header, held)) }
}

#[cold]
fn too_long(begin: u64, captured: u32, longest: u32) -> Damage {
    Damage::new(begin, format!("a record of {captured} captured bytes, more than the {longest} believed,"))
}
