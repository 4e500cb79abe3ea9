//! Fragments of IPv4 and IPv6, kept until their datagram is whole.
//! Comes in: fragments in order of capture time. Goes out: whole datagrams. Refuses to choose: where fragments
//! overlap, other than by being copies, different hosts read different datagrams, and this one is given up (RFC 5722
//! for IPv6, what Linux does for IPv4).
//!
//! What costs memory is bounded by what was received, never by what a fragment's offset promises.

use std::collections::VecDeque;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::link::IpVersion;
use super::network::Datagram;
use crate::time::{Span, Timestamp};

/// How long fragments wait for their rest: Linux' `ipfrag_time`; RFC 8200 allows 60 s, but what is whole is whole
/// within milliseconds.
const PATIENCE: Span = Span::from_secs(30);
/// Datagrams that wait at once; a flood of fragments at 100,000 a second leaves an honest datagram 40 ms.
const MAX_DATAGRAMS: usize = 4_096;
/// Bytes that wait at once, as counted by [`PIECE_COST`]: twice what Linux allows.
const MAX_BYTES: usize = 8 << 20;
/// Fragments of one datagram: 64 KiB in pieces of 256 bytes; real links carry five times as much in one.
const MAX_PIECES: usize = 256;
/// What a fragment costs beside its bytes.
const PIECE_COST: usize = 64;
/// The longest packet that an IP header can announce.
const MAX_LEN: usize = 65_535;
/// An IPv6 header, which its payload's length does not count.
const IPV6_LEN: usize = 40;

/// The fragments that wait.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: HashMap<Key, Waiting, RandomState>,
    /// Those that wait, oldest first, and some that no longer do.
    order: VecDeque<(u64, Key)>,
    bytes: usize,
    serial: u64,
    counts: FragmentCounts,
}

/// What became of fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FragmentCounts {
    /// Fragments read.
    pub seen: u64,
    /// Datagrams put together.
    pub completed: u64,
    /// Fragments that came again, the same to the byte.
    pub copies: u64,
    /// Datagrams given up because their fragments overlap, or differ about the datagram's end.
    pub overlapping: u64,
    /// Datagrams given up because they would be longer than an IP packet, or are in more than 256 pieces.
    pub oversized: u64,
    /// Fragments without payload, or with one that no later fragment can continue (not a multiple of eight bytes).
    pub malformed: u64,
    /// Fragments that the capture cut; a first one is read as far as it goes.
    pub cut: u64,
    /// Fragments of datagrams that were given up before.
    pub late: u64,
    /// Datagrams whose rest did not come within 30 seconds.
    pub timed_out: u64,
    /// Datagrams that gave way to newer ones.
    pub displaced: u64,
}

impl FragmentCounts {
    /// The counts with their names in records.
    pub fn by_name(&self) -> [(&'static str, u64); 10] {
        [
            ("seen", self.seen),
            ("completed", self.completed),
            ("copies", self.copies),
            ("overlapping", self.overlapping),
            ("oversized", self.oversized),
            ("malformed", self.malformed),
            ("cut", self.cut),
            ("late", self.late),
            ("timed_out", self.timed_out),
            ("displaced", self.displaced),
        ]
    }
}

/// A datagram that was put together.
pub(super) struct Whole {
    /// The IP packet as it was before it was cut into fragments.
    pub bytes: Vec<u8>,
    pub fragments: u16,
}

/// What fragments of one datagram have in common (RFC 791, RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    /// 0 with IPv6, where the first fragment alone tells it.
    protocol: u8,
}

/// A fragment, read.
struct Fragment<'a> {
    key: Key,
    start: usize,
    more: bool,
    /// The headers before the fragment's data, as they stand in the whole datagram, lengths apart.
    header: &'a [u8],
    /// The place in `header` that named the fragment header, and what is to be named there instead (IPv6).
    renamed: Option<(usize, u8)>,
    data: &'a [u8],
}

/// What is there of a datagram.
#[derive(Debug)]
struct Waiting {
    serial: u64,
    since: Timestamp,
    /// The headers of the first fragment.
    header: Vec<u8>,
    /// Payloads in the order in which they came.
    data: Vec<u8>,
    /// Where they belong, in order of that.
    pieces: Vec<Piece>,
    /// The payload's length, once the last fragment told it.
    end: Option<usize>,
    /// Given up: what still comes is refused.
    ruined: bool,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    len: usize,
    /// Where its bytes stand among the data.
    at: usize,
}

/// What a fragment did to its datagram.
enum Added {
    Kept,
    Completed,
    Copy,
    Overlap,
    Oversized,
}

impl Fragments {
    /// Takes a fragment; answers with the datagram that it completes.
    pub fn take(&mut self, datagram: &Datagram<'_>, now: Timestamp) -> Option<Whole> {
        self.counts.seen += 1;
        if datagram.cut() > 0 {
            self.counts.cut += 1;
            return None;
        }
        let Some(fragment) = Fragment::of(datagram) else {
            self.counts.malformed += 1;
            return None;
        };
        self.expire(&fragment.key, now);
        let cost = fragment.data.len() + fragment.header.len() + PIECE_COST;
        if !self.waiting.contains_key(&fragment.key) {
            self.begin(fragment.key, cost, now);
        }
        let waiting = self.waiting.get_mut(&fragment.key)?;
        if waiting.ruined {
            self.counts.late += 1;
            return None;
        }
        let before = waiting.cost();
        let added = waiting.add(&fragment);
        self.bytes = (self.bytes + waiting.cost()).saturating_sub(before);
        match added {
            Added::Completed => return self.complete(&fragment.key),
            Added::Kept => {}
            Added::Copy => self.counts.copies += 1,
            Added::Overlap => self.counts.overlapping += 1,
            Added::Oversized => self.counts.oversized += 1,
        }
        None
    }

    /// What became of fragments so far.
    pub fn counts(&self) -> FragmentCounts {
        self.counts
    }

    /// Forgets the datagrams that waited too long, that of `key` first of all: they leave when others come, so that
    /// nothing looks at them in between.
    fn expire(&mut self, key: &Key, now: Timestamp) {
        if self.waiting.get(key).is_some_and(|waiting| waiting.is_over(now)) {
            self.counts.timed_out += self.forget(key);
        }
        while let Some((serial, key)) = self.order.front().copied() {
            match self.waiting.get(&key).filter(|waiting| waiting.serial == serial) {
                Some(waiting) if !waiting.is_over(now) => break,
                Some(_) => self.counts.timed_out += self.forget(&key),
                None => {}
            }
            self.order.pop_front();
        }
    }

    /// Makes room for a datagram and begins it.
    fn begin(&mut self, key: Key, cost: usize, now: Timestamp) {
        while self.waiting.len() >= MAX_DATAGRAMS || self.bytes + cost > MAX_BYTES {
            let Some((serial, oldest)) = self.order.pop_front() else { break };
            if self.waiting.get(&oldest).is_some_and(|waiting| waiting.serial == serial) {
                self.counts.displaced += self.forget(&oldest);
            }
        }
        // Datagrams that were completed behind one that waits leave their places in the order when those are many.
        if self.order.len() > 2 * MAX_DATAGRAMS {
            let waiting = &self.waiting;
            self.order.retain(|(serial, key)| waiting.get(key).is_some_and(|entry| entry.serial == *serial));
        }
        self.serial += 1;
        let serial = self.serial;
        self.order.push_back((serial, key));
        self.waiting.insert(key, Waiting::new(serial, now));
    }

    fn complete(&mut self, key: &Key) -> Option<Whole> {
        let waiting = self.waiting.remove(key)?;
        self.bytes = self.bytes.saturating_sub(waiting.cost());
        self.counts.completed += 1;
        Some(waiting.whole())
    }

    /// Forgets a datagram; answers how many were lost by that: none where it was given up before.
    fn forget(&mut self, key: &Key) -> u64 {
        match self.waiting.remove(key) {
            Some(waiting) => {
                self.bytes = self.bytes.saturating_sub(waiting.cost());
                u64::from(!waiting.ruined)
            }
            None => 0,
        }
    }
}

impl Waiting {
    fn new(serial: u64, since: Timestamp) -> Self {
        let (header, data, pieces) = (Vec::new(), Vec::new(), Vec::new());
        Self { serial, since, header, data, pieces, end: None, ruined: false }
    }

    /// Whether it waited too long; a clock that stepped far back makes it so too.
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.since) > PATIENCE || self.since.since(now) > PATIENCE
    }

    fn cost(&self) -> usize {
        self.header.len() + self.data.len() + (self.pieces.len() + 1) * PIECE_COST
    }

    fn add(&mut self, fragment: &Fragment<'_>) -> Added {
        let end = fragment.start + fragment.data.len();
        let place = self.pieces.partition_point(|piece| piece.start < fragment.start);
        if self.is_copy(fragment, place) {
            return Added::Copy;
        }
        if self.pieces.len() >= MAX_PIECES || fragment.header.len() + end > MAX_LEN + IPV6_LEN {
            return self.ruin(Added::Oversized);
        }
        if self.overlaps(fragment, place) || self.contradicts(fragment, end) {
            return self.ruin(Added::Overlap);
        }
        if fragment.start == 0 {
            fragment.write_header(&mut self.header);
        }
        if !fragment.more {
            self.end = Some(end);
        }
        let at = self.data.len();
        self.data.extend_from_slice(fragment.data);
        self.pieces.insert(place, Piece { start: fragment.start, len: fragment.data.len(), at });
        // Nothing overlaps: what adds up to the length has no holes.
        if self.end != Some(self.data.len()) {
            return Added::Kept;
        }
        if self.fits() { Added::Completed } else { self.ruin(Added::Oversized) }
    }

    fn is_copy(&self, fragment: &Fragment<'_>, place: usize) -> bool {
        self.pieces.get(place).is_some_and(|piece| {
            piece.start == fragment.start
                && self.data.get(piece.at..piece.at + piece.len) == Some(fragment.data)
        })
    }

    fn overlaps(&self, fragment: &Fragment<'_>, place: usize) -> bool {
        let before = place.checked_sub(1).and_then(|before| self.pieces.get(before));
        before.is_some_and(|piece| piece.start + piece.len > fragment.start)
            || self.pieces.get(place).is_some_and(|piece| fragment.start + fragment.data.len() > piece.start)
    }

    /// Whether the fragments differ about where the datagram ends.
    fn contradicts(&self, fragment: &Fragment<'_>, end: usize) -> bool {
        let reached = self.pieces.last().map_or(0, |piece| piece.start + piece.len);
        match self.end {
            Some(told) => end > told || (!fragment.more && end != told),
            None => !fragment.more && reached > end,
        }
    }

    /// Gives the datagram up and its memory back; it stays to refuse what still comes of it.
    fn ruin(&mut self, reason: Added) -> Added {
        *self = Self { ruined: true, ..Self::new(self.serial, self.since) };
        reason
    }

    fn is_ipv6(&self) -> bool {
        self.header.first().is_some_and(|first| first >> 4 == 6)
    }

    /// Whether the whole fits the length in its header.
    fn fits(&self) -> bool {
        let uncounted = if self.is_ipv6() { IPV6_LEN } else { 0 };
        self.header.len() + self.data.len() <= MAX_LEN + uncounted
    }

    fn whole(self) -> Whole {
        let is_ipv6 = self.is_ipv6();
        let fragments = u16::try_from(self.pieces.len()).unwrap_or(u16::MAX);
        let mut bytes = self.header;
        for piece in &self.pieces {
            bytes.extend_from_slice(self.data.get(piece.at..piece.at + piece.len).unwrap_or_default());
        }
        let (uncounted, len_at) = if is_ipv6 { (IPV6_LEN, 4) } else { (0, 2) };
        let len = u16::try_from(bytes.len().saturating_sub(uncounted)).unwrap_or(u16::MAX);
        if let Some(field) = bytes.get_mut(len_at..len_at + 2) {
            field.copy_from_slice(&len.to_be_bytes());
        }
        Whole { bytes, fragments }
    }
}

impl<'a> Fragment<'a> {
    /// Reads what is said of a fragment that was captured whole; `None` where it cannot be one.
    fn of(datagram: &Datagram<'a>) -> Option<Self> {
        let fragment = match datagram.version() {
            IpVersion::V4 => Self::of_ipv4(datagram)?,
            IpVersion::V6 => Self::of_ipv6(datagram)?,
        };
        let sound = !fragment.data.is_empty() && (!fragment.more || fragment.data.len().is_multiple_of(8));
        sound.then_some(fragment)
    }

    fn of_ipv4(datagram: &Datagram<'a>) -> Option<Self> {
        let [first, _, _, _, id_high, id_low, offset @ ..] = *datagram.ip.first_chunk::<8>()?;
        let offset = u16::from_be_bytes(offset);
        let (header, data) = datagram.ip.split_at_checked(usize::from(first & 0x0f) * 4)?;
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            identification: u32::from(u16::from_be_bytes([id_high, id_low])),
            protocol: datagram.protocol.0,
        };
        // Three flags, the last of which says that more follow, then 13 bits in units of eight bytes.
        let (start, more) = (usize::from(offset & 0x1fff) * 8, offset & 0x2000 != 0);
        Some(Self { key, start, more, header, renamed: None, data })
    }

    fn of_ipv6(datagram: &Datagram<'a>) -> Option<Self> {
        let (header, rest) = datagram.ip.split_at_checked(usize::from(datagram.fragment_at))?;
        let (own, data) = rest.split_first_chunk::<8>()?;
        let [next, _, high, low, identification @ ..] = *own;
        let offset = u16::from_be_bytes([high, low]);
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            identification: u32::from_be_bytes(identification),
            protocol: 0,
        };
        // 13 bits in units of eight bytes, two that are reserved, and one that says that more follow.
        let (start, more) = (usize::from(offset & 0xfff8), offset & 1 == 1);
        Some(Self { key, start, more, header, renamed: Some((usize::from(datagram.named_at), next)), data })
    }

    /// Writes the headers of the whole datagram, its length apart.
    fn write_header(&self, header: &mut Vec<u8>) {
        header.extend_from_slice(self.header);
        match self.renamed {
            Some((at, next)) => {
                if let Some(named) = header.get_mut(at) {
                    *named = next;
                }
            }
            None => {
                if let Some(offset) = header.get_mut(6..8) {
                    offset.fill(0);
                }
            }
        }
    }
}
