//! One worker: the shards it owns and the sums it keeps. Comes in: packets in order and ticks that are over.
//! Goes out: its sums of each tick, into the open ticks.

use std::sync::Arc;

use super::placement::{Follow, Placement, SHARDS};
use super::renewal::ForWorkers;
use super::script::{Lines, Script};
use super::watermark::Over;
use crate::aggregate::{OpenTicks, Tallies};
use crate::alert::FlowWriter;
use crate::attribute::Attributor;
use crate::decode::Packet;
use crate::flow::{
    FlowCounts, FlowLimits, Ledger, LedgerCounts, RecordKinds, Shed, Sighting, Tracker, TrustedProxies,
};
use crate::service::ServiceId;

/// A worker.
pub(super) struct Worker {
    /// By shard; `None` where another worker owns it.
    trackers: Vec<Option<Tracker>>,
    /// The same where records of flows are wanted, else empty: a packet need not ask its shard.
    ledgers: Vec<Option<Ledger>>,
    tallies: Tallies,
    board: Arc<OpenTicks>,
    script: Script,
}

/// What all workers need.
#[derive(Clone)]
pub(super) struct Kit {
    pub attributor: Arc<Attributor>,
    /// The services of many addresses.
    pub spread: Arc<[ServiceId]>,
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
        let tracker = || Tracker::new(kit.limits, kit.proxies.clone());
        let ledger = || Ledger::new(kit.wanted, kit.proxies.clone());
        let mut tallies = Tallies::new(Arc::clone(&kit.attributor), kit.limits.seed);
        tallies.keep_probes_of(Arc::clone(&kit.spread));
        let recorded = if kit.wanted.any() { SHARDS } else { 0 };
        Self {
            trackers: (0..SHARDS).map(|shard| owned(shard).then(tracker)).collect(),
            ledgers: (0..recorded).map(|shard| owned(shard).then(ledger)).collect(),
            tallies,
            board: Arc::clone(&kit.board),
            script: Script::new(kit.writer.clone()),
        }
    }

    /// Leaves out so much from now on.
    pub fn shed(&mut self, shed: Shed) {
        self.trackers.iter_mut().flatten().for_each(|tracker| tracker.shed(shed));
        self.ledgers.iter_mut().flatten().for_each(|ledger| ledger.shed(shed));
    }

    /// Goes on under other databases, labels, proxies and pseudonyms.
    pub fn renew(&mut self, renewal: &ForWorkers) {
        self.tallies.renew(Arc::clone(&renewal.attributor));
        self.tallies.keep_probes_of(Arc::clone(&renewal.spread));
        self.script.renew(renewal.writer.clone());
        for tracker in self.trackers.iter_mut().flatten() {
            tracker.trust(&renewal.proxies);
        }
        for ledger in self.ledgers.iter_mut().flatten() {
            ledger.trust(&renewal.proxies);
        }
    }

    /// Follows a packet.
    #[inline(always)]
    pub fn packet(&mut self, packet: &Packet<'_>, placement: &Placement) {
        let Placement { shard, follow, sighting } = placement;
        match self.ledgers.get_mut(usize::from(*shard)) {
            Some(Some(ledger)) if *follow == Follow::Copy => ledger.duplicate(packet, sighting.now),
            Some(Some(ledger)) => ledger.packet(packet, sighting.now, &mut self.script),
            Some(None) | None => {}
        }
        let Some(Some(tracker)) = self.trackers.get_mut(usize::from(*shard)) else { return };
        match follow {
            Follow::All => tracker.packet(packet, sighting, &mut self.tallies),
            Follow::Ledger | Follow::Copy => {}
            Follow::Carrier(place) => carrier(packet, *place, sighting, tracker, &mut self.tallies),
        }
    }

    /// Shows readers of the open ticks what was counted so far.
    pub fn show(&mut self) {
        self.tallies.show(&self.board);
    }

    /// Adds its sums of the ticks that are over to the open ticks.
    pub fn close(&mut self, over: Over) {
        for tracker in self.trackers.iter_mut().flatten() {
            tracker.close_tick(over.to, &mut self.tallies);
        }
        for ledger in self.ledgers.iter_mut().flatten() {
            ledger.close_tick(over.to, &mut self.script);
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
        for ledger in self.ledgers.iter_mut().flatten() {
            ledger.finish(&mut self.script);
        }
        self.records()
    }

    /// What moved through its ledgers.
    pub fn ledger_counts(&self) -> LedgerCounts {
        let mut counts = LedgerCounts::default();
        for ledger in self.ledgers.iter().flatten() {
            counts.merge(&ledger.counts());
        }
        counts
    }

    /// What moved through its flow tables.
    pub fn flow_counts(&self) -> FlowCounts {
        let mut counts = FlowCounts::default();
        for tracker in self.trackers.iter().flatten() {
            counts.merge(&tracker.counts());
        }
        counts
    }
}

/// Follows a packet in the name of the carrier at `place` around it.
#[inline(never)]
fn carrier(
    packet: &Packet<'_>,
    place: u8,
    sighting: &Sighting,
    tracker: &mut Tracker,
    tallies: &mut Tallies,
) {
    if let Some(carrier) = packet.carrier(usize::from(place)) {
        tracker.packet(&carrier, sighting, tallies);
    }
}
