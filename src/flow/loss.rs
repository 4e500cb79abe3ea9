//! What was lost before the sensor, estimated from sequence numbers: bytes that the receiver acknowledged and that were
//! never seen. Comes in: segments of admitted connections. Goes out: bytes seen and bytes missed. Looks at the
//! connections in the first slots of a shard only: they are a fair sample, and slots are taken over by successors.

use super::What;
use super::table::SlotId;
use crate::decode::TcpSegment;
use crate::service::Direction;

/// The sampled connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Losses {
    by_slot: Vec<Flow>,
}

/// Slots that are looked at: 1,024 connections over all shards, 80 KiB, and 192 bytes more for one with holes both ways.
const SAMPLED: usize = 16;

impl Losses {
    /// The connection in a slot, where it is one of the sample.
    #[inline]
    pub fn get(&mut self, id: SlotId) -> Option<&mut Flow> {
        self.by_slot.get_mut(id as usize)
    }

    /// A connection begins in a slot; `first` are the numbers of the first bytes of client and service, where known.
    pub fn begin(&mut self, id: SlotId, first: [Option<u32>; 2]) {
        let id = id as usize;
        if id >= SAMPLED {
            return;
        }
        if self.by_slot.len() <= id {
            self.by_slot.resize_with(id + 1, Flow::default);
        }
        if let Some(flow) = self.by_slot.get_mut(id) {
            *flow = Flow { sides: first.map(Side::begin), ..Flow::default() };
        }
    }

    /// The slots that were ever looked at.
    pub fn slots(&self) -> std::ops::Range<SlotId> {
        0..self.by_slot.len() as SlotId
    }
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(super) struct Flow {
    sides: [Side; 2],
    untold: Account,
}

/// Payload bytes on the account of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    pub seen: u64,
    pub missed: u64,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// Whether the mirror shows its packets.
    shown: bool,
    /// Whether `next` is known.
    heard: bool,
    /// The number that follows the last one seen or acknowledged.
    next: u32,
    /// In the order they opened. Most connections never have one.
    holes: Vec<Hole>,
}

/// Bytes that were stepped over.
#[derive(Debug, Clone, Copy, Default)]
struct Hole {
    begin: u32,
    len: u32,
    acknowledged: bool,
    /// Closings of a tick that it has outlived.
    age: u8,
}

/// Holes that are remembered in a direction; the oldest is accounted for when another opens. A window with more
/// segments lost on their way to the receiver hardly moves on.
const HOLES: usize = 8;

/// Where acknowledgments are not mirrored, a hole is a miss once this many ticks have passed: a sender that waits for
/// one repeats within 1 s, twice that the next time (RFC 6298).
const PATIENCE: u8 = 4;

/// A step further than a window can be (RFC 7323) is a wrong number, not a hole.
const WIDEST: u32 = 1 << 30;

impl Flow {
    /// Takes a segment.
    #[inline]
    pub fn segment(&mut self, direction: Direction, segment: &TcpSegment<'_>) {
        let (own, other) = match direction {
            Direction::ToServer => (0, 1),
            Direction::ToClient => (1, 0),
        };
        self.sides[own].sent(segment, &mut self.untold);
        if segment.flags.ack && !segment.flags.rst {
            self.sides[other].acknowledged(segment.acknowledgment, &mut self.untold);
        }
    }

    /// What is certain by the end of a tick and was not told yet.
    pub fn take(&mut self) -> Option<What<'static>> {
        let both = self.sides.iter().all(|side| side.shown);
        for side in &mut self.sides {
            side.settle(both, &mut self.untold);
        }
        let Account { seen, missed } = std::mem::take(&mut self.untold);
        (seen + missed > 0).then_some(What::Measured { seen, missed })
    }
}

impl Side {
    fn begin(first: Option<u32>) -> Self {
        Self { heard: first.is_some(), next: first.unwrap_or(0), ..Self::default() }
    }

    fn sent(&mut self, segment: &TcpSegment<'_>, account: &mut Account) {
        self.shown = true;
        let len = segment.payload_len;
        let whole = len + u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
        let end = segment.sequence.wrapping_add(whole);
        if !self.heard {
            (self.heard, self.next) = (true, end);
            account.seen += u64::from(len);
            return;
        }
        let ahead = end.wrapping_sub(self.next);
        if ahead == 0 || ahead > WIDEST {
            return self.fill(segment.sequence, len, account);
        }
        let new = ahead.min(whole);
        if whole < ahead {
            self.open(Hole { begin: self.next, len: ahead - whole, ..Hole::default() }, account);
        } else if whole > ahead {
            self.fill(segment.sequence, (whole - ahead).min(len), account);
        }
        account.seen += u64::from(new.min(len));
        self.next = end;
    }

    /// The other side has everything before `number`.
    fn acknowledged(&mut self, number: u32, account: &mut Account) {
        if !self.shown || !self.heard {
            return;
        }
        let ahead = number.wrapping_sub(self.next);
        if ahead > 0 && ahead <= WIDEST {
            self.open(Hole { begin: self.next, len: ahead, ..Hole::default() }, account);
            self.next = number;
        }
        for hole in &mut self.holes {
            hole.acknowledged |= number.wrapping_sub(hole.begin.wrapping_add(hole.len)) < 1 << 31;
        }
    }

    #[cold]
    fn open(&mut self, hole: Hole, account: &mut Account) {
        if self.holes.len() >= HOLES {
            account.miss(&self.holes.remove(0));
        }
        self.holes.push(hole);
    }

    /// Bytes that come late: what of them was stepped over is missed no more.
    #[inline]
    fn fill(&mut self, begin: u32, len: u32, account: &mut Account) {
        if !self.holes.is_empty() {
            self.fill_holes(begin, len, account);
        }
    }

    #[inline(never)]
    fn fill_holes(&mut self, begin: u32, len: u32, account: &mut Account) {
        let mut at = 0;
        while let Some(hole) = self.holes.get_mut(at) {
            let (filled, behind) = hole.fill(begin, len);
            account.seen += u64::from(filled);
            if hole.len == 0 {
                self.holes.remove(at);
                continue;
            }
            at += 1;
            if self.holes.len() < HOLES {
                self.holes.extend(behind);
            }
        }
    }

    /// Accounts for the holes that nothing will fill any more.
    fn settle(&mut self, acknowledgments_seen: bool, account: &mut Account) {
        let mut at = 0;
        while let Some(hole) = self.holes.get_mut(at) {
            hole.age = hole.age.saturating_add(1);
            let waited = !acknowledgments_seen && hole.age >= PATIENCE;
            if waited {
                hole.acknowledged = true;
            }
            if hole.acknowledged {
                account.miss(hole);
                self.holes.remove(at);
            } else {
                at += 1;
            }
        }
    }
}

impl Hole {
    /// Takes out what `len` bytes from `begin` on bring of it; answers how many bytes that is, and the hole that is left
    /// behind bytes from its middle.
    fn fill(&mut self, begin: u32, len: u32) -> (u32, Option<Self>) {
        // Numbers relative to the hole's begin; what lies before it is negative.
        let from = begin.wrapping_sub(self.begin) as i32;
        let to = i64::from(from) + i64::from(len);
        let (from, to) = (i64::from(from).max(0), to.min(i64::from(self.len)));
        if from >= to {
            return (0, None);
        }
        let filled = (to - from) as u32;
        if from == 0 {
            self.begin = self.begin.wrapping_add(filled);
            self.len -= filled;
            return (filled, None);
        }
        let behind = Self { begin: self.begin.wrapping_add(to as u32), len: self.len - to as u32, ..*self };
        self.len = from as u32;
        (filled, (behind.len > 0).then_some(behind))
    }
}

impl Account {
    fn miss(&mut self, hole: &Hole) {
        if hole.acknowledged {
            self.missed += u64::from(hole.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::TcpFlags;
    use Direction::{ToClient, ToServer};

    const ACK: TcpFlags = TcpFlags { syn: false, ack: true, fin: false, rst: false };

    fn segment(sequence: u32, payload_len: u32, acknowledgment: u32) -> TcpSegment<'static> {
        TcpSegment {
            source_port: 1,
            destination_port: 2,
            sequence,
            acknowledgment,
            flags: ACK,
            window: 1_000,
            payload_len,
            payload: &[],
        }
    }

    /// Bytes seen and missed after these segments of the service and the client's last acknowledgment.
    fn told(segments: &[(u32, u32)], acknowledged: u32) -> (u64, u64) {
        let mut flow = Flow::default();
        flow.segment(ToServer, &segment(0, 0, 1_000));
        flow.segment(ToClient, &segment(1_000, 0, 0));
        for (sequence, len) in segments {
            flow.segment(ToClient, &segment(*sequence, *len, 0));
        }
        flow.segment(ToServer, &segment(0, 0, acknowledged));
        measured(&mut flow)
    }

    fn measured(flow: &mut Flow) -> (u64, u64) {
        match flow.take() {
            Some(What::Measured { seen, missed }) => (seen, missed),
            _ => (0, 0),
        }
    }

    #[test]
    fn what_was_acknowledged_and_never_seen_is_missed() {
        assert_eq!(told(&[(1_000, 100), (1_100, 100)], 1_200), (200, 0));
        assert_eq!(told(&[(1_000, 100), (1_300, 100)], 1_400), (200, 200), "a hole in the middle");
        assert_eq!(told(&[(1_000, 100)], 1_500), (100, 400), "the last segments");
        assert_eq!(told(&[(1_000, 100), (1_300, 100)], 1_100), (200, 0), "the receiver misses it too");
    }

    #[test]
    fn what_comes_later_is_not_missed() {
        assert_eq!(told(&[(1_200, 100), (1_000, 100), (1_100, 100)], 1_300), (300, 0), "out of order");
        assert_eq!(told(&[(1_300, 100), (1_100, 100)], 1_400), (200, 200), "a part of it");
        assert_eq!(told(&[(1_000, 100), (1_000, 100)], 1_100), (100, 0), "seen twice");
        assert_eq!(told(&[(1_000, 100), (1_050, 100)], 1_150), (150, 0), "overlapping");
    }

    #[test]
    fn where_no_acknowledgment_is_mirrored_a_hole_waits_for_its_repetition() {
        let mut flow = Flow::default();
        flow.segment(ToClient, &segment(1_000, 100, 50));
        flow.segment(ToClient, &segment(1_200, 100, 60));
        assert_eq!(measured(&mut flow), (200, 0));
        for _ in 2..PATIENCE {
            assert_eq!(measured(&mut flow), (0, 0));
        }
        assert_eq!(measured(&mut flow), (0, 100));
    }

    #[test]
    fn numbers_wrap_around() {
        let mut flow = Flow::default();
        flow.segment(ToServer, &segment(0, 0, u32::MAX - 50));
        flow.segment(ToClient, &segment(u32::MAX - 50, 21, 0));
        flow.segment(ToClient, &segment(70, 100, 0));
        flow.segment(ToServer, &segment(0, 0, 170));
        assert_eq!(measured(&mut flow), (121, 100));
    }

    #[test]
    fn any_segments_leave_sums_that_make_sense() {
        let mut rng = crate::synth::rng::Rng::new(5);
        let mut flow = Flow::default();
        for _ in 0..20_000 {
            let direction = if rng.next() % 2 == 0 { ToServer } else { ToClient };
            let number = (rng.next() as u32) >> (rng.next() % 32);
            flow.segment(direction, &segment(number, rng.next() as u32 % 3_000, rng.next() as u32));
        }
        let (seen, _) = measured(&mut flow);
        assert!(seen <= 20_000 * 3_000);
    }
}
