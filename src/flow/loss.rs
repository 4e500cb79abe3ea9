//! What was lost before the sensor, estimated from sequence numbers: bytes that the receiver acknowledged and that were
//! never seen, as segments. Comes in: segments of admitted connections. Goes out: segments seen and segments missed.
//! Looks at the connections in the first slots of a shard only, and at so many of their segments a tick: they are a fair
//! sample, and slots are taken over by successors.

use super::What;
use super::table::SlotId;
use crate::decode::TcpSegment;
use crate::service::Direction;

/// The sampled connections of a shard.
#[derive(Debug)]
pub(super) struct Losses {
    by_slot: Vec<Flow>,
    /// The slots of which there may be something to tell, a bit each.
    untold: u16,
    /// Segments that are still looked at in this tick.
    left: u32,
    /// Counts the ticks in which none was left: what a connection was expected to send is not known any more.
    broken: u32,
}

/// Slots that are looked at, 64 KiB over all shards and 88 bytes more for a direction with holes. One client alone has one
/// shard: its crowd of connections must show a loss of 5 % within 2 points.
const SAMPLED: usize = u16::BITS as usize;

/// Segments that are looked at in a tick, so that a busy line pays for a part of them: 32,768 over all shards.
const A_TICK: u32 = 512;

impl Default for Losses {
    fn default() -> Self {
        Self { by_slot: Vec::new(), untold: 0, left: A_TICK, broken: 0 }
    }
}

impl Losses {
    /// Takes a segment of the connection in a slot.
    #[inline]
    pub fn segment(&mut self, id: SlotId, direction: Direction, segment: &TcpSegment<'_>) {
        if self.left == 0 || id as usize >= SAMPLED {
            return;
        }
        let Some(flow) = self.by_slot.get_mut(id as usize) else { return };
        self.left -= 1;
        self.untold |= 1 << id;
        flow.go_on(self.broken);
        flow.segment(direction, segment);
    }

    /// What is certain of the connection in a slot and was not told yet.
    pub fn take(&mut self, id: SlotId) -> Option<What<'static>> {
        if id as usize >= SAMPLED || self.untold & 1 << id == 0 {
            return None;
        }
        let flow = self.by_slot.get_mut(id as usize)?;
        let told = flow.take();
        if !flow.waits() {
            self.untold &= !(1 << id);
        }
        told
    }

    /// A tick is over.
    pub fn close_tick(&mut self) {
        self.broken = self.broken.wrapping_add(u32::from(self.left == 0));
        self.left = A_TICK;
    }

    /// A connection begins in a slot; `first` are the numbers of the first bytes of client and service, where known.
    pub fn begin(&mut self, id: SlotId, first: [Option<u32>; 2]) {
        let id = id as usize;
        if self.left == 0 || id >= SAMPLED {
            return;
        }
        if self.by_slot.len() <= id {
            self.by_slot.resize_with(id + 1, Flow::default);
        }
        if let Some(flow) = self.by_slot.get_mut(id) {
            *flow = Flow { sides: first.map(Side::begin), broken: self.broken, ..Flow::default() };
        }
    }

    /// The slots of which there may be something to tell.
    pub fn slots(&self) -> impl Iterator<Item = SlotId> + use<> {
        let mut left = self.untold;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros());
            left &= left.wrapping_sub(1);
            next
        })
    }
}

/// Both directions of one connection.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Flow {
    sides: [Side; 2],
    untold: Account,
    /// [`Losses::broken`] when it was last looked at.
    broken: u32,
}

const _: () = assert!(size_of::<Flow>() == 64);

/// Segments with payload on the account of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    pub seen: u32,
    pub missed: u32,
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
    /// The longest payload seen.
    longest: u32,
    /// Most connections never have one.
    holes: Holes,
}

/// Holes in the order they opened, in a word where there are none.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a connection that is looked at fits a cache line")]
struct Holes(Option<Box<Vec<Hole>>>);

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
const HOLES: usize = 4;

/// Where acknowledgments are not mirrored, a hole is a miss once this many ticks have passed: a sender that waits for
/// one repeats within 1 s, twice that the next time (RFC 6298).
const PATIENCE: u8 = 4;

/// A step further than this is a wrong number, not a hole. Windows may be 1 GiB (RFC 7323) and are some MiB; of numbers
/// that have nothing to do with the last ones, one in sixty-four lies within this.
const WIDEST: u32 = 1 << 26;

/// A segment is at most so long on Ethernet, or as long as the longest that was seen (hosts that offload hand over
/// more).
const SEGMENT: u32 = 1_460;

impl Flow {
    /// Begins anew where segments went by unseen.
    fn go_on(&mut self, broken: u32) {
        if self.broken != broken {
            for side in &mut self.sides {
                side.settle(true, &mut self.untold);
            }
            *self = Self { untold: self.untold, broken, ..Self::default() };
        }
    }

    /// Takes a segment.
    fn segment(&mut self, direction: Direction, segment: &TcpSegment<'_>) {
        let (own, other) = match direction {
            Direction::ToServer => (0, 1),
            Direction::ToClient => (1, 0),
        };
        self.sides[own].sent(segment, &mut self.untold);
        if segment.flags.ack && !segment.flags.rst {
            self.sides[other].acknowledged(segment.acknowledgment, &mut self.untold);
        }
    }

    /// Whether there are holes that nothing was told of yet.
    fn waits(&self) -> bool {
        self.sides.iter().any(|side| side.holes.len() > 0)
    }

    /// What is certain by now and was not told yet.
    fn take(&mut self) -> Option<What<'static>> {
        let both = self.sides.iter().all(|side| side.shown);
        for side in &mut self.sides {
            side.settle(both, &mut self.untold);
        }
        let Account { seen, missed } = std::mem::take(&mut self.untold);
        let told = What::Measured { seen: u64::from(seen), missed: u64::from(missed) };
        (seen + missed > 0).then_some(told)
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
        self.longest = self.longest.max(len);
        if !self.heard {
            (self.heard, self.next) = (true, end);
            account.seen += u32::from(len > 0);
            return;
        }
        let ahead = end.wrapping_sub(self.next);
        if segment.flags.syn && ahead > 0 {
            // A client that comes again from the port of an earlier connection begins with a number of its own.
            *self = Self { shown: true, ..Self::begin(Some(end)) };
            return;
        }
        if ahead == 0 || ahead > WIDEST {
            account.seen += u32::from(self.fill(segment.sequence, len));
            return;
        }
        if whole < ahead {
            self.open(Hole { begin: self.next, len: ahead - whole, ..Hole::default() }, account);
        } else if whole > ahead {
            self.fill(segment.sequence, (whole - ahead).min(len));
        }
        account.seen += u32::from(len > 0);
        self.next = end;
    }

    /// The other side has everything before `number`.
    fn acknowledged(&mut self, number: u32, account: &mut Account) {
        if !self.shown || !self.heard {
            return;
        }
        let ahead = number.wrapping_sub(self.next);
        if ahead > 0 && ahead <= WIDEST {
            // One number alone is a FIN.
            if ahead > 1 {
                self.open(Hole { begin: self.next, len: ahead, ..Hole::default() }, account);
            }
            self.next = number;
        }
        for hole in self.holes.all() {
            hole.acknowledged |= number.wrapping_sub(hole.begin.wrapping_add(hole.len)) < 1 << 31;
        }
    }

    #[cold]
    fn open(&mut self, hole: Hole, account: &mut Account) {
        if self.holes.len() >= HOLES {
            account.miss(&self.holes.remove(0), self.longest);
        }
        self.holes.push(hole);
    }

    /// Bytes that come late: what of them was stepped over is missed no more. Answers whether any was.
    fn fill(&mut self, begin: u32, len: u32) -> bool {
        let (mut at, mut any) = (0, false);
        while let Some(hole) = self.holes.all().get_mut(at) {
            let (filled, behind) = hole.fill(begin, len);
            any |= filled > 0;
            if hole.len == 0 {
                self.holes.remove(at);
                continue;
            }
            at += 1;
            if let Some(behind) = behind.filter(|_| self.holes.len() < HOLES) {
                self.holes.push(behind);
            }
        }
        any
    }

    /// Accounts for the holes that nothing will fill any more.
    fn settle(&mut self, acknowledgments_seen: bool, account: &mut Account) {
        let (mut at, longest) = (0, self.longest);
        while let Some(hole) = self.holes.all().get_mut(at) {
            hole.age = hole.age.saturating_add(1);
            let waited = !acknowledgments_seen && hole.age >= PATIENCE;
            if waited {
                hole.acknowledged = true;
            }
            if hole.acknowledged {
                account.miss(hole, longest);
                self.holes.remove(at);
            } else {
                at += 1;
            }
        }
    }
}

impl Holes {
    fn all(&mut self) -> &mut [Hole] {
        self.0.as_deref_mut().map(Vec::as_mut_slice).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.0.as_deref().map_or(0, Vec::len)
    }

    fn push(&mut self, hole: Hole) {
        self.0.get_or_insert_default().push(hole);
    }

    /// Takes out the hole at a place where there is one.
    fn remove(&mut self, at: usize) -> Hole {
        self.0.as_deref_mut().map(|holes| holes.remove(at)).unwrap_or_default()
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
    fn miss(&mut self, hole: &Hole, longest: u32) {
        if hole.acknowledged {
            self.missed = self.missed.saturating_add(hole.len.div_ceil(longest.max(SEGMENT)));
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

    /// Segments seen and missed after these segments of the service and the client's last acknowledgment.
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
        assert_eq!(told(&[(1_000, 100), (1_100, 100)], 1_200), (2, 0));
        assert_eq!(told(&[(1_000, 100), (1_300, 100)], 1_400), (2, 1), "a hole in the middle");
        assert_eq!(told(&[(1_000, 100)], 1_500), (1, 1), "the last segment");
        assert_eq!(told(&[(1_000, 100), (1_300, 100)], 1_100), (2, 0), "the receiver misses it too");
    }

    #[test]
    fn what_comes_later_is_not_missed() {
        assert_eq!(told(&[(1_200, 100), (1_000, 100), (1_100, 100)], 1_300), (3, 0), "out of order");
        assert_eq!(told(&[(1_300, 100), (1_100, 100)], 1_400), (2, 2), "a part of it");
        assert_eq!(told(&[(1_000, 100), (1_000, 100)], 1_100), (1, 0), "seen twice");
        assert_eq!(told(&[(1_000, 100), (1_050, 100)], 1_150), (2, 0), "overlapping");
    }

    #[test]
    fn where_no_acknowledgment_is_mirrored_a_hole_waits_for_its_repetition() {
        let mut flow = Flow::default();
        flow.segment(ToClient, &segment(1_000, 100, 50));
        flow.segment(ToClient, &segment(1_200, 100, 60));
        assert_eq!(measured(&mut flow), (2, 0));
        for _ in 2..PATIENCE {
            assert_eq!(measured(&mut flow), (0, 0));
        }
        assert_eq!(measured(&mut flow), (0, 1));
    }

    #[test]
    fn a_port_that_is_used_again_leaves_no_hole() {
        let syn = TcpFlags { syn: true, ack: false, ..ACK };
        for isn in [7, 9_000, 1 << 29, 3 << 30] {
            let mut flow = Flow::default();
            flow.segment(ToServer, &segment(1_000, 100, 5_000));
            flow.segment(ToClient, &segment(5_000, 100, 1_100));
            flow.segment(ToServer, &TcpSegment { flags: syn, ..segment(isn, 0, 0) });
            let answer = TcpFlags { syn: true, ..ACK };
            flow.segment(ToClient, &TcpSegment { flags: answer, ..segment(isn ^ 77, 0, isn + 1) });
            flow.segment(ToServer, &segment(isn + 1, 100, (isn ^ 77) + 1));
            flow.segment(ToClient, &segment((isn ^ 77) + 1, 100, isn + 101));
            flow.segment(ToServer, &segment(isn + 101, 0, (isn ^ 77) + 101));
            assert_eq!(measured(&mut flow), (4, 0), "{isn}");
        }
    }

    #[test]
    fn numbers_wrap_around() {
        let mut flow = Flow::default();
        flow.segment(ToServer, &segment(0, 0, u32::MAX - 50));
        flow.segment(ToClient, &segment(u32::MAX - 50, 21, 0));
        flow.segment(ToClient, &segment(70, 100, 0));
        flow.segment(ToServer, &segment(0, 0, 170));
        assert_eq!(measured(&mut flow), (2, 1));
    }

    #[test]
    fn any_segments_leave_sums_that_make_sense() {
        let mut rng = crate::synth::rng::Rng::new(5);
        let mut flow = Flow::default();
        for _ in 0..20_000 {
            let direction = if rng.next().is_multiple_of(2) { ToServer } else { ToClient };
            let number = (rng.next() as u32) >> (rng.next() % 32);
            flow.segment(direction, &segment(number, rng.next() as u32 % 3_000, rng.next() as u32));
        }
        let (seen, _) = measured(&mut flow);
        assert!(seen <= 20_000);
    }
}
