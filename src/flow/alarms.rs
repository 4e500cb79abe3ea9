//! Which connections are to be looked at when. Comes in: slots, each once until it is due, and seconds. Goes out: the
//! slots whose second has come. Whoever takes a slot over is looked at in its predecessor's second: to be looked at early
//! does no harm, and so the lists together are never longer than the table of connections. Refuses to know what a
//! connection waits for.

use super::table::SlotId;
use super::turns::PATIENCE;
use crate::time::TickId;

/// The wheel.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    /// Slots by second.
    wheel: [Vec<SlotId>; SECONDS as usize],
    /// The last second that was looked at.
    looked: TickId,
}

/// Seconds that the wheel reaches ahead: more than the longest wait and what capture time is ahead of closed seconds.
const SECONDS: i64 = 16;

const _: () = assert!(PATIENCE.secs() + 4 < SECONDS as u64);

impl Alarms {
    /// Has the slot looked at when `second` is over.
    pub fn set(&mut self, slot: SlotId, second: i64) {
        let second =
            second.clamp(self.looked.second.saturating_add(1), self.looked.second.saturating_add(SECONDS));
        if let Some(list) = self.wheel.get_mut(place(second)) {
            list.push(slot);
        }
    }

    /// Moves the slots whose second has come by `tick` into `due`.
    pub fn due(&mut self, tick: TickId, due: &mut Vec<SlotId>) {
        let passed = tick.second.saturating_sub(self.looked.second);
        // Where the clock was set anew all are due: none of their seconds means anything.
        let passed = if tick.epoch == self.looked.epoch { passed.clamp(0, SECONDS) } else { SECONDS };
        for second in (0..passed).map(|back| tick.second.saturating_sub(back)) {
            if let Some(list) = self.wheel.get_mut(place(second)) {
                due.append(list);
            }
        }
        if passed > 0 {
            self.looked = tick;
        }
    }
}

fn place(second: i64) -> usize {
    second.rem_euclid(SECONDS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> TickId {
        TickId { epoch: 0, second }
    }

    fn due(alarms: &mut Alarms, second: i64) -> Vec<SlotId> {
        let mut due = Vec::new();
        alarms.due(at(second), &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn a_slot_is_due_once_and_in_its_second() {
        let mut alarms = Alarms::default();
        assert_eq!(due(&mut alarms, 1_000), [0; 0]);
        alarms.set(3, 1_005);
        alarms.set(4, 1_006);
        alarms.set(5, 5_000);
        assert_eq!(due(&mut alarms, 1_004), [0; 0]);
        assert_eq!(due(&mut alarms, 1_005), [3]);
        alarms.set(3, 1_007);
        assert_eq!(due(&mut alarms, 1_007), [3, 4], "seconds may be skipped");
        assert_eq!(due(&mut alarms, 1_016), [5], "as far as the wheel reaches");
        assert_eq!(due(&mut alarms, 1_016), [0; 0]);
    }

    #[test]
    fn when_the_clock_is_set_back_all_are_due() {
        let mut alarms = Alarms::default();
        due(&mut alarms, 1_000);
        alarms.set(1, 1_009);
        let mut all = Vec::new();
        alarms.due(TickId { epoch: 1, second: 10 }, &mut all);
        assert_eq!(all, [1]);
        alarms.set(1, 12);
        all.clear();
        alarms.due(TickId { epoch: 1, second: 12 }, &mut all);
        assert_eq!(all, [1]);
    }
}
