//! Which slot a conversation is in. Comes in: hashes of keys, and slots. Goes out: the slots that a key may be in.
//!
//! A table of words with linear probing: what a packet costs here is the cache line it waits for, so a part of the hash
//! and the slot lie in one small word, and what shares a place lies behind it in the same line.

/// The slots by hashes of keys.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, half of them vacant at least, or none: most look once.
    places: Vec<Place>,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    tag: u16,
    slot: u16,
}

/// Slots that it has room for: half as many as there are tags.
pub(super) const MOST: usize = 1 << 15;

/// No slot has this number.
const VACANT: Place = Place { tag: 0, slot: u16::MAX };

/// Places to begin with: a cache line.
const LEAST: usize = 16;

impl Index {
    /// The slot under a hash that `is` recognises.
    #[inline]
    pub fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mut at = self.home(tag);
        loop {
            let place = *self.places.get(at)?;
            if place == VACANT {
                return None;
            }
            if place.tag == tag && is(u32::from(place.slot)) {
                return Some(u32::from(place.slot));
            }
            at = self.behind(at);
        }
    }

    /// Adds a slot, one of the first [`MOST`].
    pub fn insert(&mut self, hash: u64, slot: u32) {
        if 2 * (self.len + 1) > self.places.len() {
            self.grow();
        }
        self.len += 1;
        self.put(Place { tag: tag(hash), slot: slot as u16 });
    }

    /// Takes a slot out.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let gone = Place { tag: tag(hash), slot: slot as u16 };
        let mut hole = self.home(gone.tag);
        while self.places.get(hole).is_some_and(|place| *place != gone && *place != VACANT) {
            hole = self.behind(hole);
        }
        if self.places.get(hole) != Some(&gone) {
            return;
        }
        self.len -= 1;
        // What was put behind it for want of room moves up, so that nobody stops at the hole before it.
        let mut at = self.behind(hole);
        while self.places[at] != VACANT {
            if self.distance(self.home(self.places[at].tag), at) >= self.distance(hole, at) {
                self.places[hole] = self.places[at];
                hole = at;
            }
            at = self.behind(at);
        }
        self.places[hole] = VACANT;
    }

    fn put(&mut self, place: Place) {
        let mut at = self.home(place.tag);
        while self.places[at] != VACANT {
            at = self.behind(at);
        }
        self.places[at] = place;
    }

    fn grow(&mut self) {
        let room = (2 * self.places.len()).max(LEAST);
        let before = std::mem::replace(&mut self.places, vec![VACANT; room]);
        before.into_iter().filter(|place| *place != VACANT).for_each(|place| self.put(place));
    }

    /// Where what has this tag is looked for first.
    #[inline]
    fn home(&self, tag: u16) -> usize {
        usize::from(tag) & self.places.len().wrapping_sub(1)
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    /// How far it is from one place on to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }
}

/// The part of a hash that is kept.
#[inline]
fn tag(hash: u64) -> u16 {
    (hash >> 48) as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_not_taken_out(
            steps in prop::collection::vec((0_u32..40, 0_u64..6, any::<bool>()), 0..400),
        ) {
            let (mut index, mut held) = (Index::default(), BTreeMap::new());
            for (slot, hash, adds) in steps {
                // Many share a hash, and many more a place.
                let hash = hash << 48 | hash << 50;
                match held.get(&slot).copied() {
                    None if adds => {
                        index.insert(hash, slot);
                        held.insert(slot, hash);
                    }
                    Some(hash) if !adds => {
                        index.remove(hash, slot);
                        held.remove(&slot);
                    }
                    _ => {}
                }
                for slot in 0..40 {
                    let found = held.get(&slot).and_then(|hash| index.find(*hash, |have| have == slot));
                    prop_assert_eq!(found.is_some(), held.contains_key(&slot));
                }
                prop_assert_eq!(index.len, held.len());
            }
        }
    }
}
