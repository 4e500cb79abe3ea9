//! One worker: the shards it owns and the sums it keeps. Comes in: packets in order and ticks that are over.
//! Goes out: its sums of each tick, into the open ticks.

use std::sync::Arc;

use super::placement::{Follow, Placement, SHARDS};
use super::script::{Lines, Script};
use super::watermark::Over;
use crate::aggregate::{OpenTicks, Tallies};
use crate::alert::FlowWriter;
use crate::attribute::Attributor;
use crate::decode::Packet;
use crate::flow::{
    FlowCounts, FlowLimits, Ledger, LedgerCounts, RecordKinds, Sighting, Tracker, TrustedProxies,
};
use crate::time::{TickId, Timestamp};

/// A worker.
pub(super) struct Worker {
    /// By shard; `None` where another worker owns it.
    shards: Vec<Option<Shard>>,
    tallies: Tallies,
    board: Arc<OpenTicks>,
    script: Script,
}

/// What is followed of one shard.
struct Shard {
    tracker: Tracker,
    /// Where records of flows are wanted.
    ledger: Option<Box<Ledger>>,
}

/// What all workers need.
#[derive(Clone)]
pub(super) struct Kit {
    pub attributor: Arc<Attributor>,
    pub board: Arc<OpenTicks>,
    pub limits: FlowLimits,
    pub wanted: RecordKinds,
    pub proxies: TrustedProxies,
    pub writer: FlowWriter,
}

impl Worker {
    /// The worker `index` of `workers`.
    pub fn new(kit: &Kit, index: usize, workers: usize) -> Self {
        let owned = |shard: usize| shard % workers == index;
        let shards = (0..SHARDS).map(|shard| owned(shard).then(|| Shard::new(kit))).collect();
        let tallies = Tallies::new(Arc::clone(&kit.attributor), kit.limits.seed);
        let script = Script::new(kit.writer.clone());
        Self { shards, tallies, board: Arc::clone(&kit.board), script }
    }

    /// Follows a packet.
    #[inline(always)]
    pub fn packet(&mut self, packet: &Packet<'_>, placement: Placement, tick: TickId, now: Timestamp) {
        let Some(Some(shard)) = self.shards.get_mut(usize::from(placement.shard)) else { return };
        match &mut shard.ledger {
            Some(ledger) if placement.follow == Follow::Copy => ledger.duplicate(packet, now),
            Some(ledger) => ledger.packet(packet, now, &mut self.script),
            None => {}
        }
        let sighting = Sighting { now, tick, named: placement.named };
        match placement.follow {
            Follow::All => shard.tracker.packet(packet, &sighting, &mut self.tallies),
            Follow::Ledger | Follow::Copy => {}
            Follow::Carrier(place) => shard.carrier(packet, place, &sighting, &mut self.tallies),
        }
    }

    /// Shows readers of the open ticks what was counted so far.
    pub fn show(&mut self) {
        self.tallies.show(&self.board);
    }

    /// Adds its sums of the ticks that are over to the open ticks.
    pub fn close(&mut self, over: Over) {
        for shard in self.shards.iter_mut().flatten() {
            shard.tracker.close_tick(over.to, &mut self.tallies);
            if let Some(ledger) = &mut shard.ledger {
                ledger.close_tick(over.to, &mut self.script);
            }
        }
        for tick in self.tallies.open_until(over.to) {
            self.board.meet(tick, &mut self.tallies);
        }
    }

    /// The records of its flows that nobody has taken yet.
    pub fn records(&mut self) -> &mut Lines {
        self.script.lines()
    }

    /// Ends the flows that are left, and gives their records.
    pub fn last_records(&mut self) -> &mut Lines {
        for shard in self.shards.iter_mut().flatten() {
            if let Some(ledger) = &mut shard.ledger {
                ledger.finish(&mut self.script);
            }
        }
        self.records()
    }

    /// What moved through its ledgers.
    pub fn ledger_counts(&self) -> LedgerCounts {
        let mut counts = LedgerCounts::default();
        for ledger in self.shards.iter().flatten().filter_map(|shard| shard.ledger.as_ref()) {
            counts.merge(&ledger.counts());
        }
        counts
    }

    /// What moved through its flow tables.
    pub fn flow_counts(&self) -> FlowCounts {
        let mut counts = FlowCounts::default();
        for shard in self.shards.iter().flatten() {
            counts.merge(&shard.tracker.counts());
        }
        counts
    }
}

impl Shard {
    fn new(kit: &Kit) -> Self {
        let ledger = kit.wanted.any().then(|| Box::new(Ledger::new(kit.wanted, kit.proxies.clone())));
        Self { tracker: Tracker::new(kit.limits, kit.proxies.clone()), ledger }
    }

    /// Follows a packet in the name of the carrier at `place` around it.
    #[inline(never)]
    fn carrier(&mut self, packet: &Packet<'_>, place: u8, sighting: &Sighting, tallies: &mut Tallies) {
        if let Some(carrier) = packet.carrier(usize::from(place)) {
            self.tracker.packet(&carrier, sighting, tallies);
        }
    }
}
