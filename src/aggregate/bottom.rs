//! A map with a cap that keeps the keys with the lowest hashes: what stays, and what is counted for it, does not depend
//! on the order in which keys arrive or on how they were split between workers (bottom-k sampling, Cohen and Kaplan,
//! "Summarizing data using bottom-k sketches", PODC 2007).

use std::collections::BinaryHeap;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The map. A key that is dropped once never returns, so whatever is kept was counted from its first time on.
#[derive(Debug)]
pub struct BottomMap<K, V> {
    table: HashTable<Kept<K, V>>,
    /// The hashes of all keys, once the cap is reached.
    highest: BinaryHeap<u64>,
    cap: usize,
    /// Hashes from here on are refused.
    limit: Option<u64>,
}

/// What a map kept, when nothing is added any more.
#[derive(Debug)]
pub struct BottomRows<K, V> {
    /// Hash, key and value, in no order.
    pub rows: Vec<(u64, K, V)>,
    /// The hash from which on keys were refused, if any were.
    pub limit: Option<u64>,
}

#[derive(Debug)]
struct Kept<K, V> {
    hash: u64,
    key: K,
    value: V,
}

impl<K, V> BottomMap<K, V> {
    /// An empty map for at most `cap` keys.
    pub fn new(cap: usize) -> Self {
        Self { table: HashTable::new(), highest: BinaryHeap::new(), cap, limit: None }
    }

    /// The same, with room for `expected` keys at once.
    pub fn expecting(cap: usize, expected: usize) -> Self {
        Self { table: HashTable::with_capacity(expected.min(cap)), ..Self::new(cap) }
    }

    /// The value of the key that has this hash and that `is` recognises, made by `make` where it is new; `None` where
    /// the key is not among those kept. What gives way to it goes to `evicted`.
    pub fn entry(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        make: impl FnOnce() -> (K, V),
        evicted: impl FnMut(K, V),
    ) -> Option<&mut V> {
        if self.limit.is_some_and(|limit| hash >= limit) {
            return None;
        }
        if self.table.len() >= self.cap
            && self.table.find(hash, |kept| kept.hash == hash && is(&kept.key)).is_none()
            && !self.make_room(hash, evicted)
        {
            return None;
        }
        let entry = self.table.entry(hash, |kept| kept.hash == hash && is(&kept.key), |kept| kept.hash);
        let kept = match entry {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => {
                if !self.highest.is_empty() {
                    self.highest.push(hash);
                }
                let (key, value) = make();
                place.insert(Kept { hash, key, value }).into_mut()
            }
        };
        Some(&mut kept.value)
    }

    /// Drops the keys with the highest hash, unless `hash` is no lower.
    fn make_room(&mut self, hash: u64, mut evicted: impl FnMut(K, V)) -> bool {
        if self.highest.is_empty() {
            self.highest = self.table.iter().map(|kept| kept.hash).collect();
        }
        let Some(top) = self.highest.peek().copied() else { return false };
        self.limit = Some(top.max(hash));
        if hash >= top {
            return false;
        }
        while self.highest.peek() == Some(&top) {
            self.highest.pop();
        }
        while let Ok(kept) = self.table.find_entry(top, |kept| kept.hash == top) {
            let (kept, _) = kept.remove();
            evicted(kept.key, kept.value);
        }
        true
    }

    /// Refuses hashes from `limit` on, as another map did that this one is to be added to.
    pub fn refuse_from(&mut self, limit: Option<u64>) {
        let Some(limit) = limit else { return };
        self.limit = Some(self.limit.map_or(limit, |have| have.min(limit)));
        self.table.retain(|kept| kept.hash < limit);
        // Gathered anew when the cap is reached.
        self.highest.clear();
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The hash from which on keys were refused, if any were.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Takes everything out, in no order, with other keys and values under the same hashes.
    pub fn into_rows<L, W>(self, mut change: impl FnMut(K, V) -> (L, W)) -> BottomRows<L, W> {
        let row = |kept: Kept<K, V>| {
            let (key, value) = change(kept.key, kept.value);
            (kept.hash, key, value)
        };
        BottomRows { rows: self.table.into_iter().map(row).collect(), limit: self.limit }
    }
}

/// The part of all keys that lies below a limit: 1 where nothing was refused.
pub fn coverage(limit: Option<u64>) -> f64 {
    limit.map_or(1.0, |limit| (limit as f64 / u64::MAX as f64).clamp(f64::MIN_POSITIVE, 1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hash::BuildHasher;

    use foldhash::fast::FixedState;
    use proptest::prelude::*;

    use super::*;

    fn fill(cap: usize, keys: &[u32]) -> (BTreeMap<u32, u64>, Option<u64>) {
        let mut map = BottomMap::<u32, u64>::new(cap);
        for key in keys {
            let hash = FixedState::with_seed(1).hash_one(key);
            if let Some(value) = map.entry(hash, |have| have == key, || (*key, 0), |_, _| {}) {
                *value += 1;
            }
        }
        let limit = map.limit();
        (
            map.into_rows(|key, value| (key, value))
                .rows
                .into_iter()
                .map(|(_, key, value)| (key, value))
                .collect(),
            limit,
        )
    }

    #[test]
    fn below_the_cap_everything_is_exact() {
        let (map, limit) = fill(10, &[1, 2, 2, 3, 3, 3]);
        assert_eq!(map, BTreeMap::from([(1, 1), (2, 2), (3, 3)]));
        assert_eq!(coverage(limit), 1.0);
    }

    #[test]
    fn coverage_estimates_the_number_of_keys() {
        let keys: Vec<u32> = (0..50_000).collect();
        let (map, limit) = fill(2_000, &keys);
        let estimate = map.len() as f64 / coverage(limit);
        assert!((estimate / 50_000.0 - 1.0).abs() < 0.1, "{estimate}");
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut keys in proptest::collection::vec(0_u32..200, 0..600), cap in 1_usize..64) {
            let (one, _) = fill(cap, &keys);
            keys.reverse();
            let (other, _) = fill(cap, &keys);
            prop_assert_eq!(&one, &other);
            for (key, count) in one {
                prop_assert_eq!(count, keys.iter().filter(|have| **have == key).count() as u64);
            }
        }
    }
}
