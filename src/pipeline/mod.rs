//! Joins the stages: frames in, incidents out. Owns one of each stage; knows no file, no screen and no clock.
//!
//! The caller pushes frames and beats in the order of the capture and ends with [`Pipeline::finish`]. What a frame
//! counts in is decided here, before work is shared out, so that nothing depends on how many workers there are.

mod bench;
mod crew;
#[cfg(test)]
mod deaths;
mod mirror;
mod order;
mod placement;
mod progress;
mod reducer;
mod renewal;
mod script;
mod teller;
mod twins;
mod watermark;
mod worker;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::aggregate::{Count, LiveView, OpenTicks, Sides};
use crate::alert::FlowWriter;
use crate::attribute::{Attributor, Home};
use crate::capture::{Beat, Filter, Frame, LinkType};
use crate::decode::{Decoder, FragmentCounts, PacketCounts, Skip};
use crate::detect::Subject;
use crate::detect::baseline::{Baselines, Learning};
use crate::detect::rule::RuleSet;
use crate::flow::{FlowCounts, FlowLimits, LedgerCounts, RecordKinds, Shed, TrustedProxies};
use crate::incident::Incidents;
use crate::service::Services;
use crate::time::{TickId, Timestamp};
use bench::Bench;
use crew::Crew;
use mirror::{Ahead, Mirror};
use order::{Order, Parked};
use placement::{Placement, When};
use reducer::Reducer;
use renewal::{ForReducer, ForWorkers};
use script::Unrecorded;
use watermark::{BELIEVE_AHEAD, Over, Sight, Watermark};
use worker::Kit;

pub use placement::SHARDS;
pub use progress::{Progress, Work};
pub use reducer::{LEARNED_EVERY, Listener, Quality};
pub use renewal::RenewError;
pub use teller::{Scene, SevereAlert, Teller, Telling, Told};
pub use watermark::TimeCounts;

/// What a pipeline is made of.
pub struct Setup {
    /// The named services; where there are none, services are found.
    pub services: Services,
    /// Whose addresses are.
    pub attributor: Arc<Attributor>,
    /// The rules.
    pub rules: RuleSet,
    /// The home countries; where there are none, the country of each service's own address is home.
    pub home: Home,
    /// Packet workers, at least one; more than [`SHARDS`] bring nothing.
    pub workers: usize,
    /// Decides what stays where a cap is reached.
    pub seed: u64,
    /// Which frames are looked at.
    pub filter: Option<Filter>,
    /// Frames before this time are left out.
    pub from: Option<Timestamp>,
    /// Frames at and after this time are left out.
    pub to: Option<Timestamp>,
    /// Which records of flows are told.
    pub wanted: RecordKinds,
    /// The proxies whose clients count in their stead.
    pub proxies: TrustedProxies,
    /// What was learned before, and when nothing is learned; its services and homes are those of the run.
    pub learning: Learning,
}

impl Setup {
    /// One worker that leaves nothing out, tells no records of flows, knows no home and has learned nothing.
    pub fn of(services: Services, attributor: Arc<Attributor>, rules: RuleSet) -> Self {
        Self {
            services,
            attributor,
            rules,
            home: Home::default(),
            workers: 1,
            seed: 0,
            filter: None,
            from: None,
            to: None,
            wanted: RecordKinds::default(),
            proxies: TrustedProxies::default(),
            learning: Learning::default(),
        }
    }
}

/// The stages, joined.
pub struct Pipeline<L: Listener + 'static> {
    services: Services,
    filter: Option<Filter>,
    range: (Option<Timestamp>, Option<Timestamp>),
    /// The first packets, until it is known whether the mirror is doubled.
    ahead: Option<Ahead>,
    mirror: Mirror,
    mark: Watermark,
    decoder: Decoder,
    held: Vec<Held>,
    order: Order,
    crew: Crew<L>,
    board: Arc<OpenTicks>,
    progress: Arc<Progress>,
    counts: PacketCounts,
    unserved: u64,
    drops: Beat,
    /// Packets read up to the last beat, and the part that was dropped before it, until a closing has told of it.
    read_at_beat: u64,
    lately: f64,
    ledger: bool,
    unrecorded: Unrecorded,
}

/// What is left at the end.
pub struct Outcome<L> {
    /// Who was told.
    pub listener: L,
    /// The packets: read = decoded + skipped.
    pub packets: PacketCounts,
    /// What became of fragments.
    pub fragments: FragmentCounts,
    /// Packets that concern no service.
    pub unserved: u64,
    /// What was noticed of capture times.
    pub times: TimeCounts,
    /// What moved through the flow tables.
    pub flows: FlowCounts,
    /// What moved through the ledgers.
    pub ledgers: LedgerCounts,
    /// The services that were found.
    pub found: BTreeSet<SocketAddr>,
    /// What the capture dropped.
    pub drops: Beat,
    /// How good the capture was.
    pub quality: Quality,
    /// The services of which the mirror shows one direction only, and which.
    pub one_way: Vec<(Subject, Sides)>,
    /// What is usual at the services.
    pub baselines: Baselines,
}

/// A frame that is kept until more is known.
#[derive(Debug)]
struct Held {
    time: Timestamp,
    link: LinkType,
    wire_len: u32,
    data: Vec<u8>,
}

impl<L: Listener + 'static> Pipeline<L> {
    /// Joins the stages; `listener` is told of incidents, in the reducer's thread where there are several workers.
    pub fn new(setup: Setup, listener: L) -> Self {
        let Setup {
            services,
            attributor,
            rules,
            home,
            workers,
            seed,
            filter,
            from,
            to,
            wanted,
            proxies,
            learning,
        } = setup;
        let board = Arc::new(OpenTicks::default());
        let bench = Bench::of(&services, &attributor, &rules, home, &learning.calendar);
        let watch = bench.watch(&rules, learning);
        let writer = listener.writer();
        let incidents = Incidents::new(bench.policy, bench.homes);
        let workers = workers.min(SHARDS);
        let progress = Arc::new(Progress::of(workers));
        let reducer = Reducer::new(Arc::clone(&board), watch, incidents, listener);
        let reducer = reducer.showing(progress.board_of_one_way());
        let limits = FlowLimits { seed, ..FlowLimits::default() };
        let spread = services.spread().into();
        let kit = Kit { attributor, spread, board: Arc::clone(&board), limits, wanted, proxies, writer };
        Self {
            services,
            filter,
            range: (from, to),
            ahead: Some(Ahead::default()),
            mirror: Mirror::default(),
            mark: Watermark::default(),
            decoder: Decoder::default(),
            held: Vec::new(),
            order: Order::default(),
            crew: Crew::muster(&kit, workers, reducer, &progress),
            board,
            progress,
            counts: PacketCounts::default(),
            unserved: 0,
            drops: Beat::default(),
            read_at_beat: 0,
            lately: 0.0,
            ledger: wanted.any(),
            unrecorded: Unrecorded::default(),
        }
    }

    /// Goes on under other rules, services, labels, databases and homes, from the next packet on; what was learned and
    /// what is open stays. `writer` writes records of flows, and `change` is called where the listener is told. Workers,
    /// seed, filter, times and kinds of records stay as they are.
    ///
    /// # Errors
    /// Where services are named and were not before, or the other way round, or where there are too many with those
    /// that were named before.
    pub fn renew(
        &mut self,
        setup: Setup,
        writer: FlowWriter,
        change: impl FnOnce(&mut L) + Send + 'static,
    ) -> Result<(), RenewError> {
        let Setup { services, attributor, rules, home, proxies, learning, .. } = setup;
        if services.is_empty() != self.services.is_empty() {
            return Err(RenewError::Found);
        }
        let services = self.services.renewed(&services)?;
        let bench = Bench::of(&services, &attributor, &rules, home, &learning.calendar);
        let change = Box::new(change);
        let anew =
            ForReducer { bench, rules, services: services.clone(), calendar: learning.calendar, change };
        let spread = services.spread().into();
        self.crew.renew(ForWorkers { attributor, spread, proxies, writer }, anew);
        self.services = services;
        Ok(())
    }

    /// Takes a frame.
    pub fn push(&mut self, frame: &Frame<'_>) {
        if let Some(skip) = self.refusal(frame) {
            self.counts.count_read(frame.wire_len);
            return self.counts.count_skipped(skip);
        }
        if self.ahead.is_some() {
            return self.look_ahead(frame);
        }
        self.arrive(frame);
    }

    #[inline(never)]
    fn look_ahead(&mut self, frame: &Frame<'_>) {
        let Some(ahead) = &mut self.ahead else { return };
        ahead.keep(frame);
        if ahead.is_over() {
            self.go_ahead();
        }
    }

    /// Takes what the recorder says of itself.
    pub fn beat(&mut self, beat: Beat) {
        self.go_ahead();
        self.note_drops(&beat);
        if beat.shed != self.drops.shed {
            self.crew.shed(Shed::step(beat.shed));
        }
        self.drops = beat;
        self.mark.beat(beat.time);
        self.close_over();
    }

    /// What readers see of the seconds that are still open.
    pub fn view(&self) -> LiveView {
        self.board.view()
    }

    /// How far its threads are, also for other threads to see.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Whether all its threads are still at work; where one is not, what was counted is incomplete, and
    /// [`Pipeline::finish`] passes its panic on.
    pub fn is_sound(&self) -> bool {
        self.crew.is_sound()
    }

    /// Packets so far.
    pub fn counts(&self) -> &PacketCounts {
        &self.counts
    }

    /// The newest capture time that is believed; of packets that are only looked ahead at, the first one's.
    pub fn now(&self) -> Option<Timestamp> {
        self.mark.now().or_else(|| self.ahead.as_ref().and_then(Ahead::begins))
    }

    /// Packets that concern no service, so far.
    pub fn unserved(&self) -> u64 {
        self.unserved
    }

    /// What was noticed of capture times so far.
    pub fn times(&self) -> TimeCounts {
        self.mark.counts()
    }

    /// What became of fragments so far.
    pub fn fragments(&self) -> FragmentCounts {
        self.decoder.fragment_counts()
    }

    /// What the capture dropped so far.
    pub fn drops(&self) -> &Beat {
        &self.drops
    }

    /// How good the capture is so far.
    pub fn quality_so_far(&self) -> Quality {
        let (view, quality) = (self.board.view(), self.quality());
        let sum = |count| view.scopes().map(|scope| view.read(scope, count)).sum::<u64>();
        let (seen, missed) = (sum(Count::DataSeen), sum(Count::DataMissed));
        Quality { loss: quality.loss.max(share(missed, seen + missed)), ..quality }
    }

    /// Ends: everything open is closed.
    pub fn finish(mut self) -> Outcome<L> {
        self.go_ahead();
        self.believe_held();
        self.close_rest();
        let quality = self.quality();
        let ended = self.crew.finish();
        Outcome {
            listener: ended.judged.listener,
            packets: self.counts,
            fragments: self.decoder.fragment_counts(),
            unserved: self.unserved,
            times: self.mark.counts(),
            flows: ended.flows,
            ledgers: ended.ledgers,
            found: ended.judged.found,
            drops: self.drops,
            quality: Quality { loss: ended.judged.quality.loss.max(quality.loss), ..quality },
            one_way: ended.judged.one_way,
            baselines: ended.judged.baselines,
        }
    }

    #[inline]
    fn refusal(&mut self, frame: &Frame<'_>) -> Option<Skip> {
        let (from, to) = self.range;
        if from.is_some_and(|from| frame.time < from) || to.is_some_and(|to| frame.time >= to) {
            return Some(Skip::OutsideTime);
        }
        let refused = self.filter.as_mut().is_some_and(|filter| !filter.accepts(frame));
        refused.then_some(Skip::Filter)
    }

    /// Lets the first packets go, now that they show whether the mirror is doubled.
    fn go_ahead(&mut self) {
        let Some(ahead) = self.ahead.take() else { return };
        self.mirror = ahead.shows();
        ahead.frames().for_each(|frame| self.arrive(&frame));
    }

    #[inline(always)]
    fn arrive(&mut self, frame: &Frame<'_>) {
        self.counts.count_read(frame.wire_len);
        self.sight(frame);
    }

    #[inline(always)]
    fn sight(&mut self, frame: &Frame<'_>) {
        match self.mark.sight(frame.time) {
            Sight::In(tick, now) => {
                if !self.held.is_empty() {
                    self.release_strays();
                }
                self.close_over();
                self.put_in_order(frame, tick, now);
            }
            Sight::Hold => self.hold(frame),
            Sight::HoldAnew => {
                self.release_held_as_strays();
                self.hold(frame);
            }
            Sight::StepBack => self.step_back(frame),
        }
    }

    #[inline(never)]
    fn step_back(&mut self, frame: &Frame<'_>) {
        self.close_rest();
        self.mark.step_back(frame.time);
        self.order.step_back(frame.time);
        self.sight(frame);
    }

    #[cold]
    fn hold(&mut self, frame: &Frame<'_>) {
        self.held.push(Held::of(frame));
        if self.held.len() >= BELIEVE_AHEAD {
            self.believe_held();
        }
    }

    /// The held frames are where time is now.
    #[inline(never)]
    fn believe_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        for held in held {
            self.mark.believe_ahead(held.time);
            self.close_over();
            self.sight(&held.frame());
        }
    }

    #[cold]
    fn release_strays(&mut self) {
        self.mark.disbelieve();
        self.release_held_as_strays();
    }

    #[inline(never)]
    fn release_held_as_strays(&mut self) {
        for held in std::mem::take(&mut self.held) {
            let (tick, now) = self.mark.stray();
            self.put_in_order(&held.frame(), tick, now);
        }
    }

    #[inline(always)]
    fn put_in_order(&mut self, frame: &Frame<'_>, tick: TickId, now: Timestamp) {
        if self.order.passes(now) {
            return self.follow(frame, tick, now);
        }
        self.park(frame, tick, now);
    }

    #[inline(never)]
    fn park(&mut self, frame: &Frame<'_>, tick: TickId, now: Timestamp) {
        self.order.keep(frame, tick, now);
        while let Some(parked) = self.order.due() {
            self.follow_parked(parked);
        }
    }

    #[inline(never)]
    fn follow_parked(&mut self, parked: Parked) {
        self.follow(&parked.frame(), parked.tick, parked.now);
        self.order.reuse(parked);
    }

    // A part of what calls it, since each call on the way of every packet saves and restores registers.
    #[inline(always)]
    fn follow(&mut self, frame: &Frame<'_>, tick: TickId, now: Timestamp) {
        // Looked at where it lies: a packet is too large to be moved for nothing.
        let plain = Decoder::decode_plain(frame);
        let other;
        let packet = match &plain {
            Some(packet) => packet,
            None => {
                // Fragments age by the time that is believed: a lone wrong date does not outdate them.
                other = self.decoder.decode_anything(frame, now);
                match &other {
                    Ok(packet) => packet,
                    Err(skip) => return self.counts.count_skipped(*skip),
                }
            }
        };
        let when = When { tick, now };
        if self.mirror.is_copy(packet, frame.time) {
            self.counts.count_skipped(Skip::Duplicate);
            if self.ledger {
                self.crew.packet(packet, &Placement::of_copy(packet, &self.services, when));
            }
            return;
        }
        self.counts.count_decoded();
        match &Placement::of(packet, &self.services, when) {
            Some(placement) => self.crew.packet(packet, placement),
            None => {
                self.unserved += 1;
                if self.ledger {
                    self.crew.packet(packet, &Placement::of_stranger(packet, when));
                }
            }
        }
        self.tell_records(frame.data.len());
    }

    /// Counted before work is shared out, so that what is told together does not depend on how many workers there are.
    #[inline]
    fn tell_records(&mut self, bytes: usize) {
        if self.ledger && self.unrecorded.is_enough_with(bytes) {
            self.crew.tell_records();
        }
    }

    fn close_over(&mut self) {
        if let Some(over) = self.mark.over() {
            self.close(over);
        }
    }

    #[cold]
    fn close_rest(&mut self) {
        if let Some(over) = self.mark.rest() {
            self.close(over);
        }
    }

    #[inline(never)]
    fn close(&mut self, over: Over) {
        while let Some(parked) = self.order.due_by(over.to) {
            self.follow_parked(parked);
        }
        let lately = if self.drops.blind { 1.0 } else { std::mem::take(&mut self.lately) };
        self.crew.close(over, Quality { lately, ..self.quality() });
    }

    fn note_drops(&mut self, beat: &Beat) {
        let dropped = |beat: &Beat| beat.dropped_kernel + beat.dropped_interface;
        let since = dropped(beat).saturating_sub(dropped(&self.drops));
        let unseen = share(since, self.counts.read - self.read_at_beat + since);
        self.lately = if self.drops.blind { 1.0 } else { self.lately.max(unseen) };
        self.read_at_beat = self.counts.read;
    }

    fn quality(&self) -> Quality {
        let dropped = self.drops.dropped_kernel + self.drops.dropped_interface;
        let copies = self.counts.skipped.get(Skip::Duplicate);
        Quality {
            loss: share(dropped, self.counts.read + dropped),
            lately: 0.0,
            shed: self.drops.shed,
            duplicates: share(copies, self.counts.decoded + copies),
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

impl Held {
    fn of(frame: &Frame<'_>) -> Self {
        let Frame { time, link, wire_len, data } = *frame;
        Self { time, link, wire_len, data: data.to_vec() }
    }

    fn frame(&self) -> Frame<'_> {
        Frame { time: self.time, link: self.link, wire_len: self.wire_len, data: &self.data }
    }
}
