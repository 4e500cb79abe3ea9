//! Which slots have something to tell, a bit each. Comes in: slots. Goes out: the marked ones in their order.

use super::table::SlotId;

/// Marked slots.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// Marks a slot.
    #[inline]
    pub fn set(&mut self, id: SlotId) {
        let (word, bit) = place(id);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    /// Takes a mark away.
    #[inline]
    pub fn clear(&mut self, id: SlotId) {
        let (word, bit) = place(id);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    /// The first marked slot from `id` on.
    pub fn next(&self, id: SlotId) -> Option<SlotId> {
        let (first, bit) = place(id);
        let mut words = self.0.iter().copied().enumerate().skip(first);
        let begun = words.next().map(|(at, word)| (at, word & bit.wrapping_neg()));
        let (at, word) = begun.into_iter().chain(words).find(|(_, word)| *word != 0)?;
        Some((at as SlotId) << WORD_BITS | word.trailing_zeros())
    }
}

const WORD_BITS: u32 = u64::BITS.ilog2();

fn place(id: SlotId) -> (usize, u64) {
    ((id >> WORD_BITS) as usize, 1 << (id % u64::BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(marks: &Marks) -> Vec<SlotId> {
        std::iter::successors(marks.next(0), |id| marks.next(id + 1)).collect()
    }

    #[test]
    fn marked_slots_come_in_their_order() {
        let mut marks = Marks::default();
        assert_eq!(marks.next(0), None);
        for id in [200, 0, 63, 64, 5_119, 63] {
            marks.set(id);
        }
        assert_eq!(all(&marks), [0, 63, 64, 200, 5_119]);
        for id in [64, 0, 9_000] {
            marks.clear(id);
        }
        assert_eq!(all(&marks), [63, 200, 5_119]);
        assert_eq!(marks.next(5_120), None);
    }
}
