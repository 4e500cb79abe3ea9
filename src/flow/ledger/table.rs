//! The flows of a shard, each in a slot; found by key, looked at again by time. Comes in: keys and flows. Goes out: slots,
//! and flows whose time has come. What gives way where there is no room is the flow that would be over first.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::entry::Entry;
use super::wheel::Wheel;
use crate::flow::key::FlowKey;
use crate::time::Timestamp;

/// The flows.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
    wheel: Wheel,
}

/// A place of whole cache lines: a packet of a flow that was quiet for a while waits for each of them.
#[derive(Debug)]
#[repr(align(64))]
struct Slot(Entry);

// Four cache lines.
const _: () = assert!(size_of::<Option<Slot>>() == 256);

impl Table {
    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The slot of a flow.
    #[inline(always)]
    pub fn find(&self, key: &FlowKey) -> Option<u32> {
        let is = |id: &u32| self.slot(*id).is_some_and(|entry| entry.key == *key);
        self.index.find(self.hasher.hash_one(key), is).copied()
    }

    /// The flow in a slot.
    pub fn get(&mut self, id: u32) -> Option<&mut Entry> {
        Some(&mut self.slots.get_mut(id as usize)?.as_mut()?.0)
    }

    /// Gives a flow a slot.
    pub fn insert(&mut self, entry: Entry) {
        let hash = self.hasher.hash_one(entry.key);
        let due = due(entry.deadline());
        self.wheel.begin(entry.begun().secs());
        let slot = Some(Slot(entry));
        let id = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(id as usize) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        let slot_of = |id: &u32| slots.get(*id as usize).and_then(Option::as_ref);
        let hash_of = |id: &u32| slot_of(id).map_or(0, |slot| hasher.hash_one(slot.0.key));
        self.index.insert_unique(hash, id, hash_of);
        self.wheel.file(id, due);
    }

    /// A flow is over sooner than it was filed for.
    pub fn bring_forward(&mut self, id: u32) {
        if let Some(deadline) = self.deadline_of(id) {
            self.wheel.remove(id);
            self.wheel.file(id, due(deadline));
        }
    }

    /// Takes a flow out.
    pub fn remove(&mut self, id: u32) -> Option<Entry> {
        let Slot(entry) = self.slots.get_mut(id as usize)?.take()?;
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(entry.key), |have| *have == id) {
            found.remove();
        }
        self.wheel.remove(id);
        self.free.push(id);
        Some(entry)
    }

    /// The next flow that is over at `now`, taken out.
    pub fn expire(&mut self, now: Timestamp) -> Option<Entry> {
        while let Some((id, second)) = self.wheel.first() {
            if second > now.secs() {
                break;
            }
            let deadline = self.deadline_of(id)?;
            if deadline < now {
                return self.remove(id);
            }
            self.file_anew(id, second, deadline);
        }
        self.wheel.turn_to(now.secs());
        None
    }

    /// The flow that would be over first, taken out.
    pub fn give_way(&mut self) -> Option<Entry> {
        loop {
            let (id, second) = self.wheel.first()?;
            let deadline = self.deadline_of(id)?;
            if due(deadline) <= second {
                return self.remove(id);
            }
            self.file_anew(id, second, deadline);
        }
    }

    /// The clock was set back: what was last seen in the future is as if seen at `now`.
    pub fn come_back_to(&mut self, now: Timestamp) {
        let ids: Vec<u32> = std::iter::from_fn(|| {
            let (id, _) = self.wheel.first()?;
            self.wheel.remove(id);
            Some(id)
        })
        .collect();
        self.wheel.restart(now.secs());
        for id in ids {
            if let Some(entry) = self.get(id) {
                entry.come_back_to(now);
                let due = due(entry.deadline());
                self.wheel.file(id, due);
            }
        }
    }

    /// Takes all flows out, those first that would be over first.
    pub fn drain(&mut self) -> impl Iterator<Item = Entry> + '_ {
        std::iter::from_fn(|| {
            let (id, _) = self.wheel.first()?;
            self.remove(id)
        })
    }

    fn file_anew(&mut self, id: u32, second: i64, deadline: Timestamp) {
        self.wheel.remove(id);
        self.wheel.turn_to(second.saturating_sub(1));
        self.wheel.file(id, due(deadline));
    }

    fn deadline_of(&self, id: u32) -> Option<Timestamp> {
        Some(self.slot(id)?.deadline())
    }

    fn slot(&self, id: u32) -> Option<&Entry> {
        Some(&self.slots.get(id as usize)?.as_ref()?.0)
    }
}

/// The second in which a deadline has surely passed.
fn due(deadline: Timestamp) -> i64 {
    deadline.secs().saturating_add(1)
}
