//! A small shared memory of what a database record said, by the record's offset in the file.
//! Comes in: an offset and a way to decode it. Goes out: one `u32`. It holds no addresses and never waits: a slot is
//! one atomic word that carries offset and value together, so a reader sees both or neither.

use std::sync::atomic::{AtomicU64, Ordering};

/// A direct-mapped cache; a collision only costs a decode.
#[derive(Debug)]
pub(super) struct RecordCache {
    slots: Box<[AtomicU64]>,
}

/// 4096 words are 32 KiB: all countries and the networks that one server sees in an hour, within a core's L1/L2.
const SLOT_BITS: u32 = 12;

/// No record has this offset: it would lie beyond the format's largest pointer target.
const EMPTY: u64 = u64::MAX;

impl RecordCache {
    pub(super) fn new() -> Self {
        Self { slots: (0..1_usize << SLOT_BITS).map(|_| AtomicU64::new(EMPTY)).collect() }
    }

    /// The value of the record at `offset`, decoded where it is not at hand.
    pub(super) fn get_or(&self, offset: usize, decode: impl FnOnce() -> u32) -> u32 {
        let Some((key, slot)) = self.slot(offset) else { return decode() };
        let word = slot.load(Ordering::Relaxed);
        if word >> 32 == u64::from(key) {
            return word as u32;
        }
        let value = decode();
        slot.store(u64::from(key) << 32 | u64::from(value), Ordering::Relaxed);
        value
    }

    fn slot(&self, offset: usize) -> Option<(u32, &AtomicU64)> {
        let key = u32::try_from(offset).ok().filter(|key| *key != u32::MAX)?;
        // Fibonacci hashing: the high bits of the product spread neighbouring offsets.
        let index = key.wrapping_mul(0x9E37_79B9) >> (32 - SLOT_BITS);
        Some((key, self.slots.get(index as usize)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_decoded_once() {
        let cache = RecordCache::new();
        assert_eq!(cache.get_or(7, || 42), 42);
        assert_eq!(cache.get_or(7, || panic!("decoded twice")), 42);
    }

    #[test]
    fn offsets_that_share_a_slot_never_share_a_value() {
        let cache = RecordCache::new();
        for round in 0..2 {
            for offset in 0..20_000_usize {
                assert_eq!(cache.get_or(offset, || offset as u32 * 3), offset as u32 * 3, "round {round}");
            }
        }
    }

    #[test]
    fn an_offset_too_large_for_the_cache_is_decoded_each_time() {
        let cache = RecordCache::new();
        for value in [1, 2] {
            assert_eq!(cache.get_or(u32::MAX as usize, || value), value);
            assert_eq!(cache.get_or(usize::MAX, || value), value);
        }
    }
}
