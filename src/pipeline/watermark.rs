//! Which second a packet counts in, and when a second is over. Comes in: capture times, in the order of arrival.
//! Goes out: ticks to count in and ticks to close. Reads no clock.

use crate::time::{Span, TickId, Timestamp};

/// How far behind the newest packet a tick closes: mirror ports and merged captures reorder by milliseconds, dual
/// feeds by a second.
const LAG: Span = Span::from_secs(2);

/// A jump further than this is not believed at once.
const JUMP: Span = Span::from_secs(60);

/// So many packets in a row make a jump ahead believable. With fewer, a wrong date would blind us.
pub(super) const BELIEVE_AHEAD: usize = 8;

/// So many packets in a row make a step back believable: it closes everything that is open.
const BELIEVE_BACK: u32 = 100;

/// The state of capture time.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    epoch: u32,
    highest: Option<Timestamp>,
    /// The first second that is still open.
    open: i64,
    /// When that second is over.
    due: Timestamp,
    /// The second that the newest packet lies in.
    newest: Second,
    /// Packets in a row that lie far back.
    back: u32,
    /// Where the packets that are held back lie.
    ahead: Option<Timestamp>,
    /// The highest of the epochs before.
    last: Option<Timestamp>,
    counts: TimeCounts,
}

/// A second that packets are placed in.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    tick: TickId,
    end: Timestamp,
}

/// What was noticed of capture times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeCounts {
    /// Packets whose second had closed; they count in the oldest open one.
    pub late: u64,
    /// Packets older than one before them.
    pub reordered: u64,
    /// Packets with a lone wrong date.
    pub stray: u64,
    /// Steps back that were believed.
    pub clock_steps: u64,
    /// The first packet's time.
    pub first: Option<Timestamp>,
    /// The latest believed time.
    pub last: Option<Timestamp>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It counts in that tick, at that time.
    In(TickId, Timestamp),
    /// It is far ahead, where those held before it are: hold it until more is known.
    Hold,
    /// It is ahead, but far before those held, which are strays.
    HoldAnew,
    /// It and those before it are far back: close all that is open, then look at it again.
    StepBack,
}

/// A run of ticks that are over, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// The first.
    pub from: TickId,
    /// The last.
    pub to: TickId,
}

impl Watermark {
    /// Looks at the time of a packet.
    #[inline]
    pub fn sight(&mut self, time: Timestamp) -> Sight {
        // Nearly every packet is the newest, in the second of the one before it.
        if self.highest.is_some_and(|highest| time >= highest) && time < self.newest.end && self.back == 0 {
            self.highest = Some(time);
            return Sight::In(self.newest.tick, time);
        }
        self.sight_anew(time)
    }

    #[inline(never)]
    fn sight_anew(&mut self, time: Timestamp) -> Sight {
        let Some(highest) = self.highest else {
            self.begin(time);
            return self.place(time);
        };
        if time.since(highest) > JUMP {
            return self.sight_ahead(time);
        }
        if highest.since(time) > JUMP {
            self.back += 1;
            if self.back >= BELIEVE_BACK {
                return Sight::StepBack;
            }
            return self.place(time);
        }
        self.back = 0;
        self.counts.reordered += u64::from(time < highest);
        self.raise(time);
        self.place(time)
    }

    /// Far ahead: those that are held must stay there, or go on from there, to be believed together.
    fn sight_ahead(&mut self, time: Timestamp) -> Sight {
        match self.ahead {
            // Time that goes on from there is as good as time that stays: sparse traffic is no chain of wrong dates.
            Some(there) if time >= there || there.since(time) <= JUMP => {
                self.ahead = Some(there.max(time));
                Sight::Hold
            }
            Some(_) => {
                self.ahead = Some(time);
                Sight::HoldAnew
            }
            None => {
                self.ahead = Some(time);
                Sight::Hold
            }
        }
    }

    /// The held packets stayed where they were: it was silence. Time moves on to `time`.
    pub fn believe_ahead(&mut self, time: Timestamp) {
        self.ahead = None;
        self.raise(time);
    }

    /// Forgets where held packets lay, since other packets came in between.
    pub fn disbelieve(&mut self) {
        self.ahead = None;
    }

    /// Where a packet with a wrong date counts: in the oldest open tick, at the newest believed time.
    pub fn stray(&mut self) -> (TickId, Timestamp) {
        self.counts.stray += 1;
        let tick = TickId { epoch: self.epoch, second: self.open };
        (tick, self.highest.unwrap_or_default())
    }

    /// What was noticed.
    pub fn counts(&self) -> TimeCounts {
        TimeCounts { last: self.last.max(self.highest), ..self.counts }
    }

    /// The newest believed time.
    pub fn now(&self) -> Option<Timestamp> {
        self.highest
    }

    /// The recorder's own clock: believed.
    pub fn beat(&mut self, time: Timestamp) {
        if self.highest.is_some() {
            self.raise(time);
        }
    }

    /// Ticks that are over by now.
    #[inline]
    pub fn over(&mut self) -> Option<Over> {
        // One comparison for nearly every packet: the oldest open tick ends some time after.
        if self.highest? < self.due { None } else { self.over_by_now() }
    }

    #[inline(never)]
    fn over_by_now(&mut self) -> Option<Over> {
        let last = (self.highest? - LAG).secs() - 1;
        self.close_to(last)
    }

    /// All ticks that are open.
    pub fn rest(&mut self) -> Option<Over> {
        let last = self.highest?.secs();
        self.close_to(last)
    }

    /// Begins a new epoch at `time`; what was open must have been closed.
    pub fn step_back(&mut self, time: Timestamp) {
        self.epoch += 1;
        self.counts.clock_steps += 1;
        self.back = 0;
        self.last = self.last.max(self.highest);
        self.highest = Some(time);
        self.newest = Second::default();
        self.open_from((time - LAG).secs());
    }

    fn open_from(&mut self, second: i64) {
        self.open = second;
        self.due = Timestamp::from_secs(second.saturating_add(1)) + LAG;
    }

    fn begin(&mut self, time: Timestamp) {
        self.counts.first = Some(time);
        self.highest = Some(time);
        // Packets a little older than the first one still find their second open.
        self.open_from((time - LAG).secs());
    }

    fn raise(&mut self, time: Timestamp) {
        self.highest = self.highest.max(Some(time));
    }

    fn place(&mut self, time: Timestamp) -> Sight {
        let second = time.secs();
        if second < self.open {
            self.counts.late += 1;
            return Sight::In(TickId { epoch: self.epoch, second: self.open }, self.highest.unwrap_or(time));
        }
        let tick = TickId { epoch: self.epoch, second };
        if Some(time) == self.highest {
            self.newest = Second { tick, end: Timestamp::from_secs(second.saturating_add(1)) };
        }
        Sight::In(tick, time)
    }

    fn close_to(&mut self, last: i64) -> Option<Over> {
        if last < self.open {
            return None;
        }
        let tick = |second| TickId { epoch: self.epoch, second };
        let over = Over { from: tick(self.open), to: tick(last) };
        self.open_from(last + 1);
        Some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn second(sight: Sight) -> i64 {
        match sight {
            Sight::In(tick, _) => tick.second,
            other => panic!("not placed: {other:?}"),
        }
    }

    #[test]
    fn a_tick_closes_two_seconds_behind() {
        let mut mark = Watermark::default();
        mark.sight(at(100));
        assert_eq!(mark.over(), None);
        mark.sight(at(102));
        let over = mark.over().unwrap();
        assert_eq!((over.from.second, over.to.second), (98, 99));
        assert_eq!(mark.over(), None);
        mark.sight(at(103));
        assert_eq!(mark.over().map(|over| over.to.second), Some(100));
    }

    #[test]
    fn what_comes_late_counts_in_the_oldest_open_tick() {
        let mut mark = Watermark::default();
        mark.sight(at(100));
        mark.sight(at(110));
        mark.over();
        assert_eq!(second(mark.sight(at(103))), 108);
        assert_eq!((mark.counts().late, mark.counts().reordered), (1, 1));
    }

    #[test]
    fn a_jump_ahead_is_held_and_a_stray_moves_nothing() {
        let mut mark = Watermark::default();
        mark.sight(at(100));
        assert_eq!(mark.sight(at(9_000_000)), Sight::Hold);
        assert_eq!(mark.sight(at(1_000_000)), Sight::HoldAnew);
        assert_eq!(second(mark.sight(at(101))), 101);
        assert_eq!(mark.stray().1, at(101));
        assert_eq!(mark.rest().map(|over| over.to.second), Some(101));
    }

    #[test]
    fn sparse_traffic_goes_on() {
        let mut mark = Watermark::default();
        mark.sight(at(0));
        for packet in 1..8 {
            assert_eq!(mark.sight(at(90 * packet)), Sight::Hold);
        }
    }

    #[test]
    fn a_step_back_needs_many_witnesses() {
        let mut mark = Watermark::default();
        mark.sight(at(10_000));
        for _ in 0..99 {
            assert!(matches!(mark.sight(at(5_000)), Sight::In(..)));
        }
        assert_eq!(mark.sight(at(5_000)), Sight::StepBack);
        mark.rest();
        mark.step_back(at(5_000));
        assert_eq!(mark.sight(at(5_001)), Sight::In(TickId { epoch: 1, second: 5_001 }, at(5_001)));
    }
}
