//! Judges what is over: freezes ticks, asks the detectors, keeps the incidents. The one place of judgement.
//! Comes in: runs of ticks that every worker has left. Goes out: incidents, to whoever listens.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use super::progress::OneWay;
use super::renewal::ForReducer;
use super::script::{self, Lines};
use super::watermark::Over;
use crate::aggregate::{Count, OpenTicks, Sides, Tick};
use crate::alert::{FlowWriter, Page, Pseudonyms};
use crate::detect::baseline::Baselines;
use crate::detect::{Subject, Watch};
use crate::incident::{Incident, Incidents};
use crate::time::{TickId, Zone};

/// Takes what is to be told.
pub trait Listener: Send {
    /// An incident opened, changed or closed; `quality` is that of the capture when its tick closed.
    fn told(&mut self, incident: Incident, quality: &Quality);

    /// Flows, requests and ClientHellos are to be told, where such records are wanted.
    fn recorded(&mut self, _pages: Vec<Page>) {}

    /// Who writes such records; the workers do it.
    fn writer(&self) -> FlowWriter {
        FlowWriter::new("", &Zone::utc(), &Pseudonyms::default())
    }

    /// What was learned is to be saved, every [`LEARNED_EVERY`] seconds of capture time; answers whether that is wanted.
    fn wants_learned(&self) -> bool {
        false
    }

    /// What was learned so far.
    fn learned(&mut self, _baselines: Baselines) {}
}

/// Seconds between two times at which what was learned is saved: what a crash takes away is no more than that.
pub const LEARNED_EVERY: i64 = 600;

/// How good the capture was up to a tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// The part of the packets that was dropped before they could be read, from 0 to 1.
    pub loss: f64,
    /// The same of the seconds since the recorder told of drops last, from 0 to 1.
    pub lately: f64,
    /// How much of the work is left out, in steps; 0 is none.
    pub shed: u8,
    /// The part of the packets that are copies made by the mirror, from 0 to 1.
    pub duplicates: f64,
}

/// The reducer.
pub(super) struct Reducer<L> {
    board: Arc<OpenTicks>,
    watch: Watch,
    incidents: Incidents,
    listener: L,
    quality: Quality,
    /// Segments seen and missed so far.
    data: Data,
    epoch: u32,
    /// The second from which on what was learned is due.
    learned_due: Option<i64>,
    /// Where others see of which services one direction only is seen.
    one_way: Arc<OneWay>,
}

/// Segments of sampled connections.
#[derive(Debug, Clone, Copy, Default)]
struct Data {
    seen: u64,
    missed: u64,
}

/// What the reducer leaves behind.
pub(super) struct Judged<L> {
    pub listener: L,
    pub found: BTreeSet<SocketAddr>,
    /// How good the capture was up to the end.
    pub quality: Quality,
    /// The services of which one direction only is seen.
    pub one_way: Vec<(Subject, Sides)>,
    /// What is usual at the services.
    pub baselines: Baselines,
}

impl<L: Listener> Reducer<L> {
    pub fn new(board: Arc<OpenTicks>, watch: Watch, incidents: Incidents, listener: L) -> Self {
        Self {
            board,
            watch,
            incidents,
            listener,
            quality: Quality::default(),
            data: Data::default(),
            epoch: 0,
            learned_due: None,
            one_way: Arc::default(),
        }
    }

    /// The same, saying there of which services one direction only is seen.
    pub fn showing(self, one_way: Arc<OneWay>) -> Self {
        Self { one_way, ..self }
    }

    /// Judges by something else from the next tick on; what is open stays open.
    pub fn renew(&mut self, renewal: ForReducer<L>) {
        let ForReducer { bench, rules, services, calendar, change } = renewal;
        self.watch.renew(&rules, &bench.grounds, &services, calendar);
        self.incidents.renew(bench.policy, bench.homes);
        change(&mut self.listener);
    }

    /// Judges ticks that are over.
    pub fn close(&mut self, over: Over, quality: Quality) {
        self.quality = quality;
        self.watch.note_loss(quality.lately);
        let mut next = over.from;
        while next <= over.to {
            if self.board.holds(next) {
                let tick = self.board.freeze(next);
                self.judge(tick);
                next = next.plus(1);
            } else if !(self.watch.is_quiet() && self.incidents.is_quiet()) {
                self.judge(Tick { id: next, ..Tick::default() });
                next = next.plus(1);
            } else {
                // Every window is empty and no incident is open: the rest of the silence is one step.
                let end = self.board.first_within(next, over.to).unwrap_or(over.to.plus(1));
                self.watch.skip(end.plus(-1), end.second - next.second);
                next = end;
            }
        }
        *self.one_way.lock().unwrap_or_else(PoisonError::into_inner) = self.watch.one_way();
    }

    fn judge(&mut self, tick: Tick) {
        let id: TickId = tick.id;
        if id.epoch != self.epoch {
            // Closed while the past that they are told against is still there.
            self.epoch = id.epoch;
            self.close_incidents();
        }
        self.data.add(&tick);
        let findings = self.watch.take(tick);
        let quality = self.quality();
        for incident in self.incidents.take(id, findings, &mut self.watch) {
            self.listener.told(incident, &quality);
        }
        self.tell_learned(id.second);
    }

    fn tell_learned(&mut self, second: i64) {
        let due = *self.learned_due.get_or_insert(second + LEARNED_EVERY);
        // A clock that was set back moves the time that is due back, too.
        if second >= due || second < due - LEARNED_EVERY {
            self.learned_due = Some(second + LEARNED_EVERY);
            if self.listener.wants_learned() {
                self.listener.learned(self.watch.baselines());
            }
        }
    }

    fn quality(&self) -> Quality {
        // What the kernel dropped was acknowledged and not seen either, so the two are not added up.
        Quality { loss: self.quality.loss.max(self.data.loss()), ..self.quality }
    }

    /// Passes on what all workers recorded between two of their meetings, in an order that is theirs together.
    pub fn record(&mut self, workers: &[&Lines]) {
        script::in_order(workers, |pages| self.listener.recorded(pages));
    }

    fn close_incidents(&mut self) {
        let quality = self.quality();
        for incident in self.incidents.finish(&mut self.watch) {
            self.listener.told(incident, &quality);
        }
    }

    /// Closes what is open.
    pub fn finish(mut self) -> Judged<L> {
        self.close_incidents();
        let (quality, one_way) = (self.quality(), self.watch.one_way());
        let (found, baselines) = (self.watch.finder().found().clone(), self.watch.baselines());
        Judged { listener: self.listener, found, quality, one_way, baselines }
    }
}

impl Data {
    fn add(&mut self, tick: &Tick) {
        for sums in tick.scopes.values() {
            self.seen += sums.counts[Count::DataSeen];
            self.missed += sums.counts[Count::DataMissed];
        }
    }

    /// The part that was missed.
    fn loss(&self) -> f64 {
        let all = self.seen + self.missed;
        if all > 0 { self.missed as f64 / all as f64 } else { 0.0 }
    }
}
