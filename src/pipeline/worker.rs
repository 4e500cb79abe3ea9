//! One worker: the shards it owns and the sums it keeps. Comes in: packets in order and ticks that are over.
//! Goes out: its sums of each tick, into the open ticks.

use std::sync::Arc;

use super::placement::{Placement, SHARDS};
use super::watermark::Over;
use crate::aggregate::{OpenTicks, Tallies};
use crate::attribute::Attributor;
use crate::decode::Packet;
use crate::flow::{FlowCounts, FlowLimits, Sighting, Tracker};
use crate::time::{TickId, Timestamp};

/// A worker.
pub(super) struct Worker {
    /// By shard; `None` where another worker owns it.
    shards: Vec<Option<Tracker>>,
    tallies: Tallies,
    board: Arc<OpenTicks>,
}

/// What all workers need.
#[derive(Clone)]
pub(super) struct Kit {
    pub attributor: Arc<Attributor>,
    pub board: Arc<OpenTicks>,
    pub limits: FlowLimits,
}

impl Worker {
    /// The worker `index` of `workers`.
    pub fn new(kit: &Kit, index: usize, workers: usize) -> Self {
        let owned = |shard: usize| shard % workers == index;
        let shards = (0..SHARDS).map(|shard| owned(shard).then(|| Tracker::new(kit.limits))).collect();
        let tallies = Tallies::new(Arc::clone(&kit.attributor), kit.limits.seed);
        Self { shards, tallies, board: Arc::clone(&kit.board) }
    }

    /// Follows a packet.
    pub fn packet(&mut self, packet: &Packet<'_>, placement: Placement, tick: TickId, now: Timestamp) {
        if let Some(Some(tracker)) = self.shards.get_mut(usize::from(placement.shard)) {
            let sighting = Sighting { now, tick, named: placement.named };
            tracker.packet(packet, &sighting, &mut self.tallies);
        }
    }

    /// Shows readers of the open ticks what was counted so far.
    pub fn show(&mut self) {
        self.tallies.show(&self.board);
    }

    /// Adds its sums of the ticks that are over to the open ticks.
    pub fn close(&mut self, over: Over) {
        for tracker in self.shards.iter_mut().flatten() {
            tracker.close_tick(over.to, &mut self.tallies);
        }
        for tick in self.tallies.open_until(over.to) {
            self.board.meet(tick, &mut self.tallies);
        }
    }

    /// What moved through its flow tables.
    pub fn flow_counts(&self) -> FlowCounts {
        let mut counts = FlowCounts::default();
        for tracker in self.shards.iter().flatten() {
            counts.merge(&tracker.counts());
        }
        counts
    }
}
