//! The connections of a shard, each in a slot that its successor takes over: what is in use lies together, and lists of
//! connections name slots instead of looking keys up. Comes in: keys and connections. Goes out: slots.

use std::hash::BuildHasher;
use std::mem;

use foldhash::fast::RandomState;

use super::connection::Connection;
use super::index::Index;
pub(super) use super::index::MOST;
use super::key::FlowKey;
use super::turns::Turns;

/// The connections.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Slot>>,
    /// By slot: what only packets with data touch lies apart.
    turns: Vec<Turns>,
    free: Vec<u32>,
    index: Index,
    hasher: RandomState,
}

/// The place of a connection until it is removed; then its successor's.
pub(super) type SlotId = u32;

/// On the borders of cache lines, or it would lie in three of them.
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    hash: u64,
    connection: Connection,
}

// Two cache lines are what a packet costs here.
const _: () = assert!(size_of::<Option<Slot>>() <= 128);

impl Table {
    /// The slot of a conversation.
    #[inline]
    pub fn find(&self, key: &FlowKey) -> Option<SlotId> {
        let slots = &self.slots;
        self.index.find(self.hasher.hash_one(*key), |id| is(slots, id, key))
    }

    /// The connection in a slot.
    #[inline]
    pub fn connection(&mut self, id: SlotId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id as usize)?.as_mut()?;
        Some(&mut slot.connection)
    }

    /// The connection in a slot with its turns.
    #[inline]
    pub fn get(&mut self, id: SlotId) -> Option<(&mut Connection, &mut Turns)> {
        let slot = self.slots.get_mut(id as usize)?.as_mut()?;
        Some((&mut slot.connection, self.turns.get_mut(id as usize)?))
    }

    /// The turns of a slot, whether it is in use or not.
    pub fn turns(&mut self, id: SlotId) -> Option<&mut Turns> {
        self.turns.get_mut(id as usize)
    }

    /// Gives a connection a slot.
    pub fn insert(&mut self, connection: Connection) -> SlotId {
        let hash = self.hasher.hash_one(connection.key);
        let slot = Some(Slot { hash, connection });
        let id = match self.free.pop() {
            Some(id) => {
                // Nothing is there to be dropped, and to look whether that is so takes longer than all the rest.
                mem::forget(mem::replace(&mut self.slots[id as usize], slot));
                id
            }
            None => {
                self.slots.push(slot);
                self.turns.push(Turns::default());
                (self.slots.len() - 1) as SlotId
            }
        };
        self.index.insert(hash, id);
        id
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: SlotId) {
        let Some(place) = self.slots.get_mut(id as usize) else { return };
        let Some(hash) = place.as_ref().map(|slot| slot.hash) else { return };
        *place = None;
        self.index.remove(hash, id);
        self.free.push(id);
    }

    /// The slots in use.
    pub fn ids(&self) -> Vec<SlotId> {
        let used = |(id, slot): (usize, &Option<Slot>)| slot.is_some().then_some(id as SlotId);
        self.slots.iter().enumerate().filter_map(used).collect()
    }
}

#[inline]
fn is(slots: &[Option<Slot>], id: SlotId, key: &FlowKey) -> bool {
    slots.get(id as usize).is_some_and(|slot| slot.as_ref().is_some_and(|slot| slot.connection.key == *key))
}
