//! When to look at which slot again: a ring of seconds, each with the slots that are due in it, linked through a table
//! beside the slots. Comes in: slots and the seconds they are due. Goes out: slots that are due, earliest first.

/// The ring.
#[derive(Debug)]
pub(super) struct Wheel {
    /// First and last slot of each second.
    ends: Vec<(u32, u32)>,
    /// Seconds that have any.
    busy: [u64; SECONDS / 64],
    links: Vec<Link>,
    /// The last second that was looked at.
    now: Option<i64>,
}

/// A slot's place: its neighbours, and the second of the ring.
#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    place: u16,
}

/// No slot, and no second.
const NONE: u32 = u32::MAX;
const NOWHERE: u16 = u16::MAX;

/// Longer than the longest time-out (300 s) and a jump that is believed at once (60 s) together.
const SECONDS: usize = 512;

impl Default for Wheel {
    fn default() -> Self {
        Self { ends: vec![(NONE, NONE); SECONDS], busy: [0; SECONDS / 64], links: Vec::new(), now: None }
    }
}

impl Wheel {
    /// Time begins at `second`, unless it has begun.
    pub fn begin(&mut self, second: i64) {
        self.now.get_or_insert(second);
    }

    /// Files a slot that is in no second under `second`; what is due already is filed under the next one, what is due
    /// far ahead under the last one there is.
    pub fn file(&mut self, slot: u32, second: i64) {
        let now = self.now.unwrap_or_default();
        let ahead = second.saturating_sub(now).clamp(1, SECONDS as i64 - 1);
        let place = now.saturating_add(ahead).rem_euclid(SECONDS as i64) as usize;
        let (_, last) = self.ends[place];
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, Link { before: NONE, after: NONE, place: NOWHERE });
        }
        self.links[slot as usize] = Link { before: last, after: NONE, place: place as u16 };
        match self.links.get_mut(last as usize) {
            Some(link) => link.after = slot,
            None => self.ends[place].0 = slot,
        }
        self.ends[place].1 = slot;
        self.busy[place / 64] |= 1 << (place % 64);
    }

    /// Takes a slot out of its second.
    pub fn remove(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { before, after, place } = *link;
        link.place = NOWHERE;
        let Some(ends) = self.ends.get_mut(usize::from(place)) else { return };
        match self.links.get_mut(before as usize) {
            Some(link) => link.after = after,
            None => ends.0 = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.before = before,
            None => ends.1 = before,
        }
        if ends.0 == NONE {
            self.busy[usize::from(place) / 64] &= !(1 << (place % 64));
        }
    }

    /// The slot that is due first, and the second it is filed under.
    pub fn first(&self) -> Option<(u32, i64)> {
        let now = self.now?;
        let from = now.saturating_add(1).rem_euclid(SECONDS as i64) as usize;
        let place = self.busy_from(from)?;
        let ahead = (place + SECONDS - from) % SECONDS;
        Some((self.ends[place].0, now.saturating_add(1 + ahead as i64)))
    }

    /// The first busy second at or behind `from`, round the ring.
    fn busy_from(&self, from: usize) -> Option<usize> {
        let words = SECONDS / 64;
        for step in 0..=words {
            let word = (from / 64 + step) % words;
            let mask = match step {
                0 => u64::MAX << (from % 64),
                last if last == words => !(u64::MAX << (from % 64)),
                _ => u64::MAX,
            };
            let busy = self.busy[word] & mask;
            if busy != 0 {
                return Some(word * 64 + busy.trailing_zeros() as usize);
            }
        }
        None
    }

    /// The second that was looked at last is `second` now; nothing may be filed under it or before any more.
    pub fn turn_to(&mut self, second: i64) {
        self.now = Some(self.now.map_or(second, |now| now.max(second)));
    }

    /// Time begins anew at `second`; the ring must be empty.
    pub fn restart(&mut self, second: i64) {
        self.now = Some(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(wheel: &mut Wheel) -> Option<(u32, i64)> {
        let first = wheel.first()?;
        wheel.remove(first.0);
        Some(first)
    }

    #[test]
    fn slots_come_in_the_order_they_are_due() {
        let mut wheel = Wheel::default();
        wheel.begin(1_000);
        wheel.file(7, 1_005);
        for (slot, second) in [(1, 1_300), (2, 1_005), (3, 1_006), (4, 1_300)] {
            wheel.file(slot, second);
        }
        wheel.remove(2);
        let order: Vec<_> = std::iter::from_fn(|| take(&mut wheel)).collect();
        assert_eq!(order, [(7, 1_005), (3, 1_006), (1, 1_300), (4, 1_300)]);
    }

    #[test]
    fn what_is_due_already_comes_next_and_what_is_far_comes_last() {
        let mut wheel = Wheel::default();
        wheel.begin(99);
        wheel.file(0, 100);
        wheel.turn_to(100);
        take(&mut wheel);
        wheel.file(1, 50);
        wheel.file(2, 100_000);
        assert_eq!(take(&mut wheel), Some((1, 101)));
        assert_eq!(take(&mut wheel), Some((2, 611)));
        assert_eq!(take(&mut wheel), None);
    }
}
