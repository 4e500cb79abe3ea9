//! The stages, each at the end of a pass over the same capture: a pass does what the one before does, and one stage more.
//! So a stage's cost is the difference between two passes, with what the stages share counted once. What happens when a
//! second is over is a function of its own, and so is all that comes after it: those are measured by themselves.
//!
//! None of these functions is inlined: callgrind finds their cost by their names.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bongsu::aggregate::{OpenTicks, Tallies, Tick};
use bongsu::alert::{self, Alert, Geo, Pseudonyms, Surroundings};
use bongsu::attribute::{Attributor, Home};
use bongsu::capture::{Files, Frame, Source, Step};
use bongsu::decode::{Decoder, Packet};
use bongsu::detect::baseline::Learning;
use bongsu::detect::rule::RuleSet;
use bongsu::detect::{Grounds, RuleDetector, Watch};
use bongsu::flow::{FlowEvent, FlowLimits, Observer, Sighting, Tracker, TrustedProxies};
use bongsu::incident::{Incident, Incidents, Policy};
use bongsu::pipeline::SHARDS;
use bongsu::service::Services;
use bongsu::time::{TickId, Zone};

/// Reads the packets, and returns how many there are.
#[inline(never)]
pub fn pass_read(capture: &Path) -> u64 {
    each_frame(capture, |frame| {
        black_box(frame.data);
    })
}

/// Reads and decodes.
#[inline(never)]
pub fn pass_decode(capture: &Path) -> u64 {
    let mut decoder = Decoder::default();
    each_frame(capture, |frame| {
        let _ = black_box(decoder.decode(&frame));
    })
}

/// Reads, decodes and follows the flows, of which nobody is told; what happens at the end of a second is apart.
#[inline(never)]
pub fn pass_flow(capture: &Path, flows: &mut Flows<Nobody>) -> u64 {
    followed(capture, flows)
}

/// Reads, decodes, follows the flows and adds up what happens in them.
#[inline(never)]
pub fn pass_aggregate(capture: &Path, flows: &mut Flows<Sums>) -> u64 {
    followed(capture, flows)
}

/// Both at once would be one function, which is counted as one.
#[inline(always)]
fn followed<T: Told>(capture: &Path, flows: &mut Flows<T>) -> u64 {
    let mut decoder = Decoder::default();
    let packets = each_frame(capture, |frame| {
        if let Ok(packet) = decoder.decode(&frame) {
            flows.follow(&packet, &frame);
        }
    });
    flows.end();
    packets
}

/// Looks up whose addresses are.
#[inline(never)]
pub fn attribute(attributor: &Attributor, clients: &[IpAddr]) {
    for client in clients {
        black_box(attributor.attribute(*client));
    }
}

/// Judges the seconds, and keeps the incidents.
#[inline(never)]
pub fn detect(judge: &mut Judge, ticks: Vec<Tick>) -> Vec<Incident> {
    let mut told = Vec::new();
    for tick in ticks {
        let id = tick.id;
        let findings = judge.watch.take(tick);
        told.extend(judge.incidents.take(id, findings, &mut judge.watch));
    }
    told.extend(judge.incidents.finish(&mut judge.watch));
    told
}

/// Writes the incidents as lines of JSON, and returns their bytes.
#[inline(never)]
pub fn format(incidents: &[Incident], around: &Surroundings<'_>) -> usize {
    incidents.iter().map(|incident| black_box(Alert::new(incident, around).record()).line.len()).sum()
}

fn each_frame(capture: &Path, mut each: impl FnMut(Frame<'_>)) -> u64 {
    let mut files = Files::open(&[PathBuf::from(capture)]);
    let mut packets = 0;
    loop {
        match files.step() {
            Ok(Step::Frame) => {
                packets += 1;
                each(files.frame());
            }
            Ok(Step::End) => return packets,
            Ok(_) => {}
            Err(error) => unreachable!("the capture was made here: {error}"),
        }
    }
}

/// Who is told what happens in flows, and what is done when a second is over.
pub trait Told: Observer + Sized {
    /// The second `tick` is over in all shards.
    fn close(&mut self, trackers: &mut [Tracker], tick: TickId);
}

/// Listens to nothing.
pub struct Nobody;

impl Observer for Nobody {
    #[inline]
    fn observe(&mut self, event: FlowEvent<'_>) {
        black_box(&event);
    }
}

impl Told for Nobody {
    #[inline(never)]
    fn close(&mut self, trackers: &mut [Tracker], tick: TickId) {
        trackers.iter_mut().for_each(|tracker| tracker.close_tick(tick, self));
    }
}

/// One worker's sums, and the seconds that they were closed to.
pub struct Sums {
    tallies: Tallies,
    board: OpenTicks,
    pub ticks: Vec<Tick>,
}

impl Sums {
    pub fn new(attributor: &Arc<Attributor>) -> Self {
        Self {
            tallies: Tallies::new(Arc::clone(attributor), 0),
            board: OpenTicks::default(),
            ticks: Vec::new(),
        }
    }
}

impl Observer for Sums {
    #[inline]
    fn observe(&mut self, event: FlowEvent<'_>) {
        self.tallies.observe(event);
    }
}

impl Told for Sums {
    #[inline(never)]
    fn close(&mut self, trackers: &mut [Tracker], tick: TickId) {
        trackers.iter_mut().for_each(|tracker| tracker.close_tick(tick, self));
        for open in self.tallies.open_until(tick) {
            self.board.meet(open, &mut self.tallies);
            self.ticks.push(self.board.freeze(open));
        }
    }
}

/// The flows of all shards.
pub struct Flows<T> {
    trackers: Vec<Tracker>,
    pub told: T,
    open: Option<TickId>,
    /// What the ends of seconds took.
    pub closing: Duration,
}

impl<T: Told> Flows<T> {
    pub fn new(told: T) -> Self {
        let tracker = |_| Tracker::new(FlowLimits::default(), TrustedProxies::default());
        Self { trackers: (0..SHARDS).map(tracker).collect(), told, open: None, closing: Duration::ZERO }
    }

    #[inline]
    fn follow(&mut self, packet: &Packet<'_>, frame: &Frame<'_>) {
        let tick = TickId::holding(0, frame.time);
        if self.open != Some(tick) {
            self.begin(tick);
        }
        let sighting = Sighting { now: frame.time, tick, named: None };
        if let Some(tracker) = self.trackers.get_mut(shard(packet)) {
            tracker.packet(packet, &sighting, &mut self.told);
        }
    }

    /// Closes the second that was open.
    fn begin(&mut self, tick: TickId) {
        if let Some(over) = self.open.replace(tick) {
            let begun = Instant::now();
            self.told.close(&mut self.trackers, over);
            self.closing += begun.elapsed();
        }
    }

    /// Closes the last second.
    fn end(&mut self) {
        if let Some(last) = self.open {
            self.begin(last.plus(1));
        }
    }
}

/// Both directions of a conversation come to the same shard, as they do in the pipeline.
fn shard(packet: &Packet<'_>) -> usize {
    let bits = |address| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let both = bits(packet.source).wrapping_add(bits(packet.destination));
    let folded = (both as u64) ^ ((both >> 64) as u64).rotate_left(32);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize
}

/// Who judges, by the shipped rules.
pub struct Judge {
    watch: Watch,
    incidents: Incidents,
}

impl Judge {
    pub fn new(rules: &RuleSet, attributor: &Arc<Attributor>) -> Self {
        let whose = Arc::clone(attributor);
        let homes: bongsu::detect::Homes = Arc::new(|_| Home::default());
        let grounds = Grounds { homes: Arc::clone(&homes), services: Arc::default() };
        let detector = RuleDetector::new(rules, grounds);
        let policy = Policy {
            attribute: Arc::new(move |address| whose.attribute(address)),
            ..Policy::new(Arc::new(rules.weights.clone()))
        };
        let learning = Learning { homes: Some(Arc::clone(&homes)), ..Learning::default() };
        Self {
            watch: Watch::new(vec![Box::new(detector)], learning),
            incidents: Incidents::new(policy, homes),
        }
    }
}

/// Calls `tell` with what is known around an incident.
pub fn around<R>(rules: &RuleSet, attributor: &Attributor, tell: impl FnOnce(&Surroundings<'_>) -> R) -> R {
    let organization = |address| attributor.organization(address);
    tell(&Surroundings {
        sensor: "bench",
        zone: &Zone::utc(),
        services: &Services::default(),
        rules,
        organization: &organization,
        labels: &[],
        geo: &Geo::default(),
        capture: alert::Quality::default(),
        pseudonyms: &Pseudonyms::default(),
    })
}

/// The different senders of a capture, in order.
pub fn senders(capture: &Path) -> Vec<IpAddr> {
    let (mut decoder, mut senders) = (Decoder::default(), BTreeSet::new());
    each_frame(capture, |frame| {
        if let Ok(packet) = decoder.decode(&frame) {
            senders.insert(packet.source);
        }
    });
    senders.into_iter().collect()
}
