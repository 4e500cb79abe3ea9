//! Watching under way: packets, idleness, signals, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::kept::Kept;
use super::outputs::Outputs;
use super::reload::{Read, Reloader};
use super::seen::Seen;
use super::shedding::Shedding;
use crate::alert::{Condition, EventType, Heartbeat, Stats};
use crate::capture::{Beat, Change, Frame, LineState, LiveSet, Source, Step};
use crate::cli::setup::Run;
use crate::cli::{changes, figures};
use crate::host::Signals;
use crate::host::clock::Stopwatch;
use crate::pipeline::{Outcome, Pipeline, Teller, Telling};
use crate::serve::{Conditions, Snapshot, Status, manager};
use crate::sink::Sinks;
use crate::time::{Span, Timestamp};

/// Between two stats records.
const STATS_EVERY: Duration = Duration::from_secs(10);

/// Between two looks at outputs, interfaces and figures.
const LOOK_CLOSELY_EVERY: Duration = Duration::from_secs(1);

/// A line without packets for this long is idle: its open ticks are closed by the time that passes.
const IDLE: Duration = Duration::from_secs(2);

/// Between two beats of an idle line: a tick.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Packets between two looks at clock, signals and outputs.
const LOOK_EVERY: u64 = 256;

/// The part of the packets that the kernel may drop between two stats records without a word.
const LOSS: f64 = 0.01;

/// Watching under way.
pub struct Watch {
    run: Run,
    pipeline: Pipeline<Teller>,
    telling: Arc<Telling>,
    sinks: Arc<Sinks>,
    signals: Signals,
    status: Arc<Status>,
    seen: Seen,
    keep: Option<Kept>,
    turns: Arc<AtomicU64>,
    outputs: Outputs,
    shedding: Shedding,
    watching: Stopwatch,
    last: Last,
    stats_due: Duration,
    look_due: Duration,
    /// Packets read and dropped when stats were told last.
    told: (u64, u64),
    /// Times that rules and configuration were read anew, and could not be used.
    reloads: (u64, u64),
}

/// What a watch is made of.
pub struct Parts {
    /// What it runs with.
    pub run: Run,
    /// The stages, joined.
    pub pipeline: Pipeline<Teller>,
    /// What it has told so far.
    pub telling: Arc<Telling>,
    /// Where records go.
    pub sinks: Arc<Sinks>,
    /// The signals received.
    pub signals: Signals,
    /// What is known of it outside.
    pub status: Arc<Status>,
    /// What people have seen.
    pub seen: Seen,
}

/// The last packet: its capture time, and when it came and was last spoken for by a beat on the stopwatch.
struct Last {
    time: Option<Timestamp>,
    at: Duration,
    beat: Duration,
}

impl Watch {
    /// A watch that begins now.
    pub fn new(parts: Parts) -> Self {
        let Parts { run, pipeline, telling, sinks, signals, status, seen } = parts;
        let outputs = Outputs::new(run.output_levels());
        Self {
            run,
            pipeline,
            telling,
            sinks,
            signals,
            status,
            seen,
            keep: None,
            turns: Arc::default(),
            outputs,
            shedding: Shedding::default(),
            watching: Stopwatch::start(),
            last: Last { time: None, at: Duration::ZERO, beat: Duration::ZERO },
            stats_due: STATS_EVERY,
            look_due: Duration::ZERO,
            told: (0, 0),
            reloads: (0, 0),
        }
    }

    /// The same, keeping the packets.
    pub fn keeping(self, keep: Option<Kept>) -> Self {
        Self { keep, ..self }
    }

    /// The same, counting its turns there.
    pub fn counting(self, turns: Arc<AtomicU64>) -> Self {
        Self { turns, ..self }
    }

    /// Reads until it is asked to stop, nobody listens any more, or a thread has died.
    pub fn read(&mut self, lines: &mut LiveSet, reloader: &Reloader) {
        self.note_lines(lines);
        // Packets whose arrival was not noted on the stopwatch: it is not read for every one.
        let mut unnoted: u64 = 0;
        loop {
            match lines.step() {
                Ok(Step::Frame) => {
                    self.packet(&lines.frame());
                    unnoted += 1;
                    let after_idleness = self.last.beat > self.last.at;
                    if unnoted < LOOK_EVERY && !after_idleness {
                        continue;
                    }
                    self.last.at = self.watching.elapsed();
                    unnoted = 0;
                }
                Ok(Step::Idle) => {
                    if unnoted > 0 {
                        self.last.at = self.watching.elapsed();
                        unnoted = 0;
                    }
                }
                Ok(Step::Beat(beat)) => self.beat(beat),
                Ok(Step::End) => return,
                Err(error) => {
                    tracing::error!("{error}");
                    self.note_lines(lines);
                    self.tell_drops(lines);
                }
            }
            self.beat_if_idle(lines);
            if self.look(lines, reloader) {
                return;
            }
        }
    }

    /// Ends; nothing where a thread has died.
    pub fn finish(self) -> Option<(Run, Outcome<Teller>)> {
        self.pipeline.is_sound().then(|| (self.run, self.pipeline.finish()))
    }

    /// Ends the kept file; answers whether all of it was written.
    pub fn close_kept(&mut self) -> bool {
        match self.keep.take().map(Kept::close) {
            None | Some(Ok(())) => true,
            Some(Err(why)) => {
                tracing::error!("{why}");
                false
            }
        }
    }

    fn packet(&mut self, frame: &Frame<'_>) {
        if let Some(kept) = &mut self.keep {
            kept.write(|writer| writer.frame(frame));
        }
        self.pipeline.push(frame);
        // Not the packet's own time: one wrong date must not carry the beats away.
        self.last.time = self.pipeline.now();
    }

    /// Looks at signals, outputs, interfaces and the clock; answers whether to end.
    fn look(&mut self, lines: &mut LiveSet, reloader: &Reloader) -> bool {
        self.turns.fetch_add(1, Relaxed);
        if self.signals.take_reopen() {
            self.sinks.reopen();
            manager::reloading();
            reloader.request();
        }
        if let Some(read) = reloader.take() {
            self.renew(read);
        }
        let now = self.watching.elapsed();
        for change in lines.tend(now) {
            self.note_line(&change);
            // What was not seen until now is over at once: not a second later.
            self.tell_drops(lines);
        }
        if now >= self.look_due {
            self.look_due = now + LOOK_CLOSELY_EVERY;
            self.shed(now, lines);
            self.look_closely(lines);
        }
        let due = now >= self.stats_due;
        if due {
            self.stats_due = now + STATS_EVERY;
            // The drops so far, at the time the packets have reached.
            self.tell_drops(lines);
            self.look_at_losses();
        }
        if due || self.signals.take_stats() {
            self.tell_stats(lines);
        }
        self.signals.stop() || self.sinks.is_closed() || self.is_dead()
    }

    fn is_dead(&self) -> bool {
        let sound = self.pipeline.is_sound();
        if !sound {
            let what = "a thread has ended before its time; the watch ends";
            self.conditions().begin(Condition::Dead, "pipeline", what, self.last.time);
        }
        !sound
    }

    fn conditions(&self) -> &Conditions {
        &self.status.conditions
    }

    /// The capture time now: that of the last packet, and on an idle line what has passed since.
    fn now(&self) -> Option<Timestamp> {
        let idle = self.watching.elapsed().saturating_sub(self.last.at);
        let passed = if idle >= IDLE { idle.as_nanos() } else { 0 };
        Some(self.last.time? + Span::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX)))
    }

    fn note_lines(&self, lines: &LiveSet) {
        for (interface, what) in lines.states() {
            self.note_line(&Change { interface: interface.to_owned(), what });
        }
    }

    fn note_line(&self, change: &Change) {
        let Change { interface, what } = change;
        let (time, conditions) = (self.now(), self.conditions());
        let lost = *what == LineState::Lost;
        let message = if lost { "it is not there; it is opened again once it is" } else { "it is back" };
        conditions.set(Condition::InterfaceLost, interface, (lost, message), time);
        let down = *what == LineState::Down;
        let message = if down { "its link is down" } else { "its link is up" };
        conditions.set(Condition::LinkDown, interface, (down && !lost, message), time);
        let renamed = matches!(what, LineState::Renamed(_));
        let message = match what {
            LineState::Renamed(name) => format!("it is called {name} now"),
            _ => "it has its name again".to_owned(),
        };
        conditions.set(Condition::InterfaceRenamed, interface, (renamed, &message), time);
    }

    /// Beats with the drops so far, and whether packets are missing altogether.
    fn tell_drops(&mut self, lines: &mut LiveSet) {
        if let Some(time) = self.now() {
            let beat = self.drops_at(time, lines);
            self.beat(beat);
        }
    }

    /// On an idle line time goes on by the stopwatch, from the last packet's time.
    fn beat_if_idle(&mut self, lines: &mut LiveSet) {
        let now = self.watching.elapsed();
        let Some(time) = self.last.time else { return };
        let idle = now.saturating_sub(self.last.at);
        if now.saturating_sub(self.last.beat) < BEAT_EVERY {
            return;
        }
        if idle >= IDLE {
            self.last.beat = now;
            let passed = Span::from_nanos(u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX));
            let beat = self.drops_at(time + passed, lines);
            self.beat(beat);
        }
    }

    fn drops_at(&self, time: Timestamp, lines: &mut LiveSet) -> Beat {
        let drops = lines.drops();
        Beat {
            time,
            dropped_kernel: drops.kernel,
            dropped_interface: drops.interface,
            blind: !lines.is_whole(),
            shed: self.shedding.step(),
        }
    }

    fn beat(&mut self, beat: Beat) {
        if let Some(kept) = &mut self.keep {
            kept.write(|writer| writer.beat(&beat));
        }
        self.pipeline.beat(beat);
    }

    /// Goes on under what was read anew, or says what is wrong with it.
    fn renew(&mut self, read: Read) {
        let time = self.last.time;
        let renewed = read.and_then(|run| {
            let scene = Arc::clone(&run.scene);
            let (setup, writer) = (run.setup(None, None), scene.writer());
            let renewed = self.pipeline.renew(setup, writer, move |teller| teller.renew(scene));
            renewed.map(|()| *run).map_err(|error| format!("bongsu: {error}"))
        });
        match renewed {
            Ok(run) => {
                self.reloads.0 += 1;
                let changes = changes::between(&self.run, &run);
                for change in &changes {
                    tracing::warn!("{change}");
                }
                self.run = run;
                let watched = self.run.named();
                let record = self.run.config_record(time, &watched, &changes);
                if self.run.events.contains(&EventType::Config) {
                    self.sinks.send(&record);
                }
                self.conditions().end(Condition::ReloadFailed, "configuration", "it is used", time);
            }
            Err(why) => {
                self.reloads.1 += 1;
                tracing::error!("{why}");
                // A further one is told as well: it may be another file that is wrong.
                self.conditions().end(Condition::ReloadFailed, "configuration", "it is read anew", time);
                self.conditions().begin(Condition::ReloadFailed, "configuration", &why, time);
            }
        }
        manager::ready("watching");
    }

    fn look_at_losses(&mut self) {
        let (read, drops) = (self.pipeline.counts().read, self.pipeline.drops());
        let dropped = drops.dropped_kernel + drops.dropped_interface;
        let lately = (read - self.told.0, dropped.saturating_sub(self.told.1));
        self.told = (read, dropped);
        let loss = lately.1 as f64 / (lately.0 + lately.1).max(1) as f64;
        let message = if loss >= LOSS {
            format!("{} of {} packets were dropped before they were read", lately.1, lately.0 + lately.1)
        } else {
            "hardly any packet is dropped".to_owned()
        };
        self.conditions().set(Condition::CaptureLoss, "capture", (loss >= LOSS, &message), self.last.time);
    }

    /// Leaves out more while packets are dropped, and less when they are not.
    fn shed(&mut self, now: Duration, lines: &mut LiveSet) {
        let drops = lines.drops();
        if self.shedding.look(now, drops.kernel + drops.interface).is_none() {
            return;
        }
        let (step, words) = (self.shedding.step(), self.shedding.in_words());
        // Each step is told.
        self.conditions().end(Condition::Shedding, "capture", words, self.last.time);
        if step > 0 {
            self.conditions().begin(Condition::Shedding, "capture", words, self.last.time);
        }
        self.tell_drops(lines);
    }

    /// What is looked at once a second.
    fn look_closely(&mut self, lines: &LiveSet) {
        if let Some(failure) = self.keep.as_ref().and_then(Kept::failure) {
            self.conditions().begin(Condition::NotKept, "kept packets", failure, self.last.time);
        }
        let outputs = self.outputs.look(&self.sinks, &self.status.conditions, self.last.time);
        let now = self.now();
        self.seen.look(&self.telling, &self.run.scene.mutes, &self.status.conditions, now);
        let geo = &self.run.scene.geo;
        let interfaces = lines
            .states()
            .map(|(name, state)| (name.to_owned(), matches!(state, LineState::Up | LineState::Renamed(_))));
        self.status.show(Snapshot {
            stats: self.stats(lines),
            open_incidents: self.telling.open(),
            alerts: self.telling.by_rule(),
            outputs,
            interfaces: interfaces.collect(),
            rules: self.run.scene.rules.rules.len() as u64,
            reloads: self.reloads,
            databases: vec![
                (geo.country_db.clone(), geo.build_epoch),
                (geo.asn_db.clone(), geo.asn_build_epoch),
            ],
            shedding: u64::from(self.shedding.step()),
            unacknowledged: self.seen.unacknowledged(),
        });
    }

    fn stats(&self, lines: &LiveSet) -> Stats {
        let complete = lines.is_whole() && self.keep.as_ref().is_none_or(|kept| kept.failure().is_none());
        let stats = figures::so_far(&self.run, &self.pipeline, &self.telling, complete);
        Stats { conditions: self.status.conditions.holding(), ..stats }
    }

    fn tell_stats(&self, lines: &LiveSet) {
        let (sensor, zone) = (&self.run.scene.sensor, &self.run.scene.zone);
        let stats = self.stats(lines);
        if self.run.events.contains(&EventType::Heartbeat) {
            let outputs = self.status.snapshot().outputs.clone();
            let beat = Heartbeat {
                time: stats.capture.last,
                read: stats.packets.read,
                dropped: stats.packets.dropped_kernel + stats.packets.dropped_interface,
                open_incidents: self.telling.open(),
                discarded: outputs.iter().map(|output| output.lost).sum(),
                conditions: stats.conditions.clone(),
                outputs,
            };
            self.sinks.send(&beat.record(sensor, zone));
        }
        self.run.tell_stats(&stats, &self.sinks);
    }
}
