//! Puts packets right that came a little out of order: mirror ports and capture queues swap neighbours. Comes in:
//! packets in the order of arrival. Goes out: the same packets in the order of their times, as far as 64 places and a
//! second allow. While everything comes in order nothing is held and nothing is copied.

use std::collections::VecDeque;

use crate::capture::{Frame, LinkType};
use crate::time::{Span, TickId, Timestamp};

/// Packets that wait for an earlier one.
#[derive(Debug)]
pub(super) struct Order {
    waiting: VecDeque<Parked>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    newest: Timestamp,
    /// Packets in a row that came in order, with neighbours near enough to have been swapped.
    calm: u32,
    /// Calm packets after which nothing is held any more.
    enough: u32,
    holds: bool,
}

/// A packet that waits, with its own bytes.
#[derive(Debug)]
pub(super) struct Parked {
    link: LinkType,
    wire_len: u32,
    time: Timestamp,
    data: Vec<u8>,
    /// The second it counts in.
    pub tick: TickId,
    /// The time it counts at.
    pub now: Timestamp,
}

/// Places that a packet may be late: queues of network cards hand over up to 64 packets at once.
const PLACES: usize = 64;

/// The time that a packet may be late: half of what the watermark allows, so that nothing waits for a closed second.
const LATE: Span = Span::from_secs(1);

/// Packets that must come in order before none is held any more, and the most it takes where disorder comes again and
/// again.
const CALM: u32 = 4_096;
const MOST_CALM: u32 = 1 << 20;

impl Default for Order {
    /// Holds packets at first: disorder shows early where it is the capture's nature.
    fn default() -> Self {
        let (waiting, spare) = (VecDeque::new(), Vec::new());
        Self { waiting, spare, newest: Timestamp::default(), calm: 0, enough: CALM, holds: true }
    }
}

impl Order {
    /// Whether a packet that counts at `now` may go on at once: nothing waits, and it is in order.
    #[inline]
    pub fn passes(&mut self, now: Timestamp) -> bool {
        let in_order = !self.holds && now >= self.newest;
        if in_order {
            self.newest = now;
        }
        in_order
    }

    /// Keeps a packet until it is [`Order::due`].
    pub fn keep(&mut self, frame: &Frame<'_>, tick: TickId, now: Timestamp) {
        self.notice(now);
        let mut data = self.spare.pop().unwrap_or_default();
        data.clear();
        data.extend_from_slice(frame.data);
        let Frame { link, wire_len, time, .. } = *frame;
        // Packets of one time stay in the order of arrival.
        let place = self.waiting.partition_point(|parked| parked.now <= now);
        self.waiting.insert(place, Parked { link, wire_len, time, data, tick, now });
    }

    /// A packet that waits for nothing any more, the earliest first.
    pub fn due(&mut self) -> Option<Parked> {
        let earliest = self.waiting.front()?;
        let waited = self.newest.since(earliest.now) > LATE;
        (waited || self.waiting.len() > PLACES || !self.holds).then(|| self.waiting.pop_front()).flatten()
    }

    /// The earliest packet, as long as one waits that counts in `last` or before.
    pub fn due_by(&mut self, last: TickId) -> Option<Parked> {
        let waits = self.waiting.iter().any(|parked| parked.tick <= last);
        waits.then(|| self.waiting.pop_front()).flatten()
    }

    /// Takes back the buffer of a packet that went on.
    pub fn reuse(&mut self, parked: Parked) {
        if self.spare.len() <= PLACES {
            self.spare.push(parked.data);
        }
    }

    /// Time was set back: what comes from now on is compared with `now`.
    pub fn step_back(&mut self, now: Timestamp) {
        self.newest = now;
    }

    fn notice(&mut self, now: Timestamp) {
        if now < self.newest {
            if !self.holds {
                self.holds = true;
                self.enough = (2 * self.enough).min(MOST_CALM);
            }
            self.calm = 0;
            return;
        }
        // Packets further apart could not have been swapped: they show nothing.
        self.calm += u32::from(now.since(self.newest) < LATE);
        self.holds = self.calm < self.enough;
        self.newest = now;
    }
}

impl Parked {
    /// The packet.
    pub fn frame(&self) -> Frame<'_> {
        Frame { time: self.time, link: self.link, wire_len: self.wire_len, data: &self.data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(time: Timestamp) -> Frame<'static> {
        Frame { time, link: LinkType::ETHERNET, wire_len: 4, data: b"data" }
    }

    /// What comes out for these times in milliseconds.
    fn ordered(order: &mut Order, times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut out = Vec::new();
        for millis in times {
            let time = Timestamp::from_nanos(millis * 1_000_000);
            let tick = TickId { epoch: 0, second: time.secs() };
            if order.passes(time) {
                out.push(millis);
                continue;
            }
            order.keep(&frame(time), tick, time);
            while let Some(parked) = order.due() {
                out.push(parked.now.nanos() / 1_000_000);
                order.reuse(parked);
            }
        }
        while let Some(parked) = order.due_by(TickId { epoch: 9, second: 0 }) {
            out.push(parked.now.nanos() / 1_000_000);
        }
        out
    }

    /// Times whose records moved by up to 64 places.
    fn moved(count: i64) -> Vec<i64> {
        let mut places: Vec<(i64, i64)> = (0..count).map(|n| (n + n * 7_919 % 64, n)).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, n)| n).collect()
    }

    #[test]
    fn what_moved_by_64_places_is_put_right() {
        let times = moved(10_000);
        assert!(!times.is_sorted());
        let out = ordered(&mut Order::default(), times);
        assert!(out.is_sorted());
        assert_eq!(out.len(), 10_000);
    }

    #[test]
    fn nothing_waits_longer_than_a_second() {
        let mut order = Order::default();
        let out = ordered(&mut order, [0, 500, 300, 1_400, 1_600]);
        assert_eq!(out, [0, 300, 500, 1_400, 1_600]);
        let late = ordered(&mut order, [10_000, 12_000, 10_100]);
        assert_eq!(late, [10_000, 10_100, 12_000], "it waits alone, so it is still put right");
    }

    #[test]
    fn order_is_believed_until_it_is_broken() {
        let mut order = Order::default();
        ordered(&mut order, 0..i64::from(CALM) + 10);
        assert!(order.passes(Timestamp::from_secs(10)), "nothing is held any more");
        let out = ordered(&mut order, [10_500, 10_400, 10_600, 10_550, 10_700]);
        assert_eq!(out, [10_500, 10_400, 10_550, 10_600, 10_700], "only the first was not foreseen");
    }

    #[test]
    fn one_time_keeps_the_order_of_arrival() {
        let mut order = Order::default();
        let time = Timestamp::from_secs(1);
        let tick = TickId { epoch: 0, second: 1 };
        for data in [b"one.", b"two."] {
            order.keep(&Frame { data, ..frame(time) }, tick, time);
        }
        assert_eq!(order.due_by(tick).unwrap().data, b"one.");
        assert_eq!(order.due_by(TickId { epoch: 0, second: 0 }).map(|parked| parked.data), None);
    }
}
