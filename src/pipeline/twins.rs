//! Packets that were seen a moment ago. Comes in: packets and their times. Goes out: whether the same IP packet was
//! there already, and how long ago. Sees through what a mirror changes: link layers, hop limit, checksums.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::decode::Packet;
use crate::time::{Span, Timestamp};

/// The packets of the last moment, each until its last twin came: a table that is made when it is needed.
#[derive(Debug)]
pub(super) struct Recent {
    sets: Vec<[Seen; WAYS]>,
    /// How many sets there are to be.
    room: usize,
}

/// What tells one IP packet from another, whichever way it was mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    hash: u64,
    hop_limit: u8,
}

/// A packet that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    print: Print,
    time: Timestamp,
    /// Whether it counts in the sample.
    pub sampled: bool,
    /// The twins that came so far.
    pub twins: u8,
    free: bool,
}

/// A mirror hands over both copies within a few milliseconds; retransmissions of one packet take longer.
pub(super) const TOGETHER: Span = Span::from_millis(10);

/// Entries that share one place; the oldest gives way.
const WAYS: usize = 4;

/// 32,768 packets, 1 MiB: three million a second for the ten milliseconds that matter.
const SETS: usize = 8_192;

/// A sixteenth of them where a sixteenth of the conversations is looked at: what is touched seldom is slow to touch.
const SETS_OF_SAMPLE: usize = SETS / 16;

const FREE: Seen = Seen {
    print: Print { hash: 0, hop_limit: 0 },
    time: Timestamp::from_nanos(0),
    sampled: false,
    twins: 0,
    free: true,
};

impl Recent {
    /// Room for a sample of the packets.
    pub fn of_sample() -> Self {
        Self { sets: Vec::new(), room: SETS_OF_SAMPLE }
    }

    /// Room for all packets.
    pub fn of_all() -> Self {
        Self { sets: Vec::new(), room: SETS }
    }

    /// Makes room for all packets; those of the sample stay.
    pub fn widen(&mut self) {
        if self.room == SETS {
            return;
        }
        for seen in std::mem::replace(self, Self::of_all()).sets.iter().flatten().filter(|seen| !seen.free) {
            self.keep(*seen);
        }
    }

    /// The packet whose twin this is, with the time between them; it is forgotten with the last of `most` twins.
    pub fn twin(&mut self, print: Print, time: Timestamp, most: u8) -> Option<(Seen, Span)> {
        let seen = self.set(print)?.iter_mut().find(|seen| seen.is_twin(print, time))?;
        seen.twins = seen.twins.saturating_add(1);
        let found = *seen;
        if found.twins >= most {
            *seen = FREE;
        }
        Some((found, apart(found.time, time)))
    }

    /// Remembers a packet.
    pub fn put(&mut self, print: Print, time: Timestamp, sampled: bool) {
        self.keep(Seen { print, time, sampled, twins: 0, free: false });
    }

    fn keep(&mut self, seen: Seen) {
        if self.sets.is_empty() {
            self.sets = vec![[FREE; WAYS]; self.room];
        }
        let Some(set) = self.set(seen.print) else { return };
        let age = |seen: &Seen| if seen.free { Timestamp::from_nanos(i64::MIN) } else { seen.time };
        if let Some(oldest) = set.iter_mut().min_by_key(|seen| age(seen)) {
            *oldest = seen;
        }
    }

    /// How many packets of the sample were seen since `time` and had no twin yet.
    pub fn sampled_since(&self, time: Timestamp) -> u32 {
        let waits = |seen: &&Seen| seen.sampled && !seen.free && seen.time >= time;
        self.sets.iter().flatten().filter(waits).count() as u32
    }

    fn set(&mut self, print: Print) -> Option<&mut [Seen; WAYS]> {
        self.sets.get_mut((print.hash >> 32) as usize & (self.room - 1))
    }
}

impl Seen {
    fn is_twin(&self, print: Print, time: Timestamp) -> bool {
        // Mirrored before and behind a router, one of the two has a hop less.
        let hops = self.print.hop_limit.abs_diff(print.hop_limit);
        !self.free && self.print.hash == print.hash && hops <= 1 && apart(self.time, time) <= TOGETHER
    }
}

fn apart(one: Timestamp, other: Timestamp) -> Span {
    one.since(other).max(other.since(one))
}

/// What is looked at behind the checksum: numbers and lengths tell segments apart, a name or number at its beginning a
/// datagram. Hashing all of a full segment would cost four times as much.
const PRINTED: usize = 128;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where the checksums of TCP (RFC 9293) and UDP (RFC 768) stand in their headers: hosts that offload leave them wrong,
/// and whoever tags a packet may put them right.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

impl Print {
    /// The print of a packet.
    pub fn of(packet: &Packet<'_>) -> Self {
        // What was put together from fragments is told by the last of them: its copy completes nothing and stays one.
        let ip = packet.completed_by.unwrap_or(packet.ip);
        let whole = packet.completed_by.is_some() || ip.len() as u64 >= u64::from(packet.ip_len);
        match ip.first().map(|byte| byte >> 4) {
            Some(6) => Self::of_ipv6(ip, whole),
            _ => Self::of_ipv4(ip, whole),
        }
    }

    /// Of an IPv4 packet all but the type of service, hop limit and header checksum (RFC 791).
    fn of_ipv4(ip: &[u8], whole: bool) -> Self {
        let part = |from: usize, to: usize| ip.get(from..to).unwrap_or_default();
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(part(2, 8));
        hasher.write(part(12, 20));
        let protocol = ip.get(9).copied().unwrap_or(0);
        let later_fragment = part(6, 8).iter().enumerate().any(|(at, byte)| byte & [0x1f, 0xff][at] != 0);
        let header = usize::from(ip.first().copied().unwrap_or(0) & 0x0f) * 4;
        let kind = if later_fragment { 0 } else { protocol };
        write_transport(&mut hasher, kind, upper(ip, header, whole));
        Self { hash: hasher.finish(), hop_limit: ip.get(8).copied().unwrap_or(0) }
    }

    /// Of an IPv6 packet all but the first word and hop limit (RFC 8200).
    fn of_ipv6(ip: &[u8], whole: bool) -> Self {
        let part = |from: usize, to: usize| ip.get(from..to).unwrap_or_default();
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(part(4, 7));
        hasher.write(part(8, 40));
        write_transport(&mut hasher, ip.get(6).copied().unwrap_or(0), upper(ip, 40, whole));
        Self { hash: hasher.finish(), hop_limit: ip.get(7).copied().unwrap_or(0) }
    }
}

/// What stands behind the IP header. Of a packet that the snap length cut only the transport header is looked at: of the
/// copy with more tags in front less was captured.
fn upper(ip: &[u8], header: usize, whole: bool) -> &[u8] {
    const TRANSPORT: usize = 20;
    let upper = ip.get(header..).unwrap_or_default();
    if whole { upper } else { upper.get(..TRANSPORT).unwrap_or(upper) }
}

fn write_transport(hasher: &mut impl Hasher, protocol: u8, bytes: &[u8]) {
    let checksum = match protocol {
        TCP => TCP_CHECKSUM,
        UDP => UDP_CHECKSUM,
        _ => return hasher.write(bytes),
    };
    hasher.write(bytes.get(..checksum).unwrap_or(bytes));
    let rest = bytes.get(checksum + 2..).unwrap_or_default();
    hasher.write(rest.get(..PRINTED).unwrap_or(rest));
}
