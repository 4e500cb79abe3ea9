//! `bongsu watch`: a mirror port in, records out, until stopped.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::args::WatchArgs;
use super::replay::Ending;
use super::setup::Run;
use super::{Failure, log, output, setup};
use crate::alert::{CaptureStats, EventType, Heartbeat, Named, PacketStats, Quality, Stats};
use crate::capture::{Beat, CaptureError, Frame, LiveOptions, LiveSet, Source, Step, Writer};
use crate::detect::rule::Level;
use crate::host::Signals;
use crate::host::clock::Stopwatch;
use crate::pipeline::{Pipeline, Teller};
use crate::sink::{Begin, Sinks, WhenFull};
use crate::store::Keeper;
use crate::time::{Span, Timestamp};

/// Between two stats records.
const STATS_EVERY: Duration = Duration::from_secs(10);

/// A line without packets for this long is idle: its open ticks are closed by the time that passes.
const IDLE: Duration = Duration::from_secs(2);

/// Between two beats of an idle line: a tick.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Packets between two looks at clock, signals and outputs.
const LOOK_EVERY: u64 = 256;

/// Watches until SIGINT or SIGTERM, or until no interface is left.
pub fn run(args: &WatchArgs) -> Result<ExitCode, Failure> {
    log::start(&args.common.log);
    if args.http != "off" {
        return Err(Failure::usage(format!(
            "--http {}: this version serves no metrics, expected off",
            args.http
        )));
    }
    let file = args.common.baseline.as_deref();
    // A check changes nothing, so it sets nothing aside.
    let brought = if args.check && file.is_some_and(Path::exists) {
        setup::baselines(file)?
    } else {
        setup::baselines_or_anew(file)?
    };
    let run = Run::gather(&args.common, Begin::Append, brought)?;
    let mut lines =
        LiveSet::open(&args.interfaces, &LiveOptions::default()).map_err(|errors| unopened(&errors))?;
    if args.check {
        return output::print("nothing is missing\n");
    }
    let keep = args.write.as_ref().map(|path| Kept::create(path)).transpose()?;
    let signals = Signals::listen().map_err(Failure::running)?;
    let sinks = run.open_sinks(WhenFull::Discard)?;
    let aloud: Option<fn(&str)> = if run.readable { Some(print_story) } else { None };
    let teller = Teller::new(Arc::clone(&run.scene), Arc::clone(&sinks), run.events.clone(), aloud);
    let keeper = file.map(Keeper::start);
    let teller = teller.saving(keeper.as_ref().map(Keeper::line));
    let pipeline = Pipeline::new(run.setup(None, None), teller);
    let watching = Stopwatch::start();
    let mut watch = Watch {
        run: &run,
        pipeline,
        keep,
        sinks: &sinks,
        signals,
        watching,
        last: Last { time: None, at: Duration::ZERO, beat: Duration::ZERO },
        stats_due: STATS_EVERY,
        healthy: true,
    };
    watch.read(&mut lines);
    let complete = watch.close_kept() && watch.healthy;
    let mut outcome = watch.pipeline.finish();
    let baselines = std::mem::take(&mut outcome.baselines);
    let ending = Ending { run: &run, complete, fail_on: args.common.fail_on.map(Level::from) };
    // Ends the teller's line to the keeper, too.
    let code = ending.end(outcome, sinks);
    if let Some(keeper) = keeper {
        keeper.finish(&baselines).map_err(Failure::running)?;
    }
    code
}

fn unopened(errors: &[CaptureError]) -> Failure {
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    // The system's words for what only root and CAP_NET_RAW may do.
    if lines.iter().any(|line| line.contains("not permitted") || line.contains("permission")) {
        lines.push(format!(
            "reading an interface needs root or CAP_NET_RAW; to grant it once: setcap cap_net_raw+ep {}",
            std::env::current_exe().map_or_else(|_| "bongsu".to_owned(), |path| path.display().to_string())
        ));
    }
    Failure::running(lines.join("\nbongsu: "))
}

fn print_story(story: &str) {
    // Nobody listening is no failure; the sinks have the record.
    let _ = output::print(story);
}

/// Watching under way.
struct Watch<'a> {
    run: &'a Run,
    pipeline: Pipeline<Teller>,
    keep: Option<Kept>,
    sinks: &'a Sinks,
    signals: Signals,
    watching: Stopwatch,
    last: Last,
    stats_due: Duration,
    healthy: bool,
}

/// The last packet: its capture time, and when it came and was last spoken for by a beat on the stopwatch.
struct Last {
    time: Option<Timestamp>,
    at: Duration,
    beat: Duration,
}

impl Watch<'_> {
    fn read(&mut self, lines: &mut LiveSet) {
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
                    if self.look(lines) {
                        return;
                    }
                }
                Ok(Step::Idle) => {
                    if unnoted > 0 {
                        self.last.at = self.watching.elapsed();
                        unnoted = 0;
                    }
                    self.beat_if_idle(lines);
                    if self.look(lines) {
                        return;
                    }
                }
                Ok(Step::Beat(beat)) => self.beat(beat),
                Ok(Step::End) => {
                    self.healthy = false;
                    return;
                }
                Err(error) => {
                    self.healthy = false;
                    tracing::error!("{error}");
                }
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

    /// Looks at signals, outputs and the clock; answers whether to end.
    fn look(&mut self, lines: &mut LiveSet) -> bool {
        if self.signals.take_reopen() {
            self.sinks.reopen();
        }
        let now = self.watching.elapsed();
        let due = now >= self.stats_due;
        if due {
            self.stats_due = now + STATS_EVERY;
            // The drops so far, at the time the packets have reached.
            if let Some(time) = self.last.time {
                let beat = self.drops_at(time, lines);
                self.beat(beat);
            }
        }
        if due || self.signals.take_stats() {
            self.tell_stats();
        }
        self.signals.stop() || self.sinks.is_closed()
    }

    /// On an idle line time goes on by the stopwatch, from the last packet's time.
    fn beat_if_idle(&mut self, lines: &mut LiveSet) {
        let now = self.watching.elapsed();
        let Some(time) = self.last.time else { return };
        let idle = now.saturating_sub(self.last.at);
        if idle >= IDLE && now.saturating_sub(self.last.beat) >= BEAT_EVERY {
            self.last.beat = now;
            let passed = Span::from_nanos(u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX));
            let beat = self.drops_at(time + passed, lines);
            self.beat(beat);
        }
    }

    fn drops_at(&self, time: Timestamp, lines: &mut LiveSet) -> Beat {
        let drops = lines.drops();
        Beat { time, dropped_kernel: drops.kernel, dropped_interface: drops.interface }
    }

    fn beat(&mut self, beat: Beat) {
        if let Some(kept) = &mut self.keep {
            kept.write(|writer| writer.beat(&beat));
        }
        self.pipeline.beat(beat);
    }

    fn tell_stats(&self) {
        let (counts, times, drops) = (self.pipeline.counts(), self.pipeline.times(), self.pipeline.drops());
        let dropped = drops.dropped_kernel + drops.dropped_interface;
        let quality = self.pipeline.quality_so_far();
        let (sensor, zone) = (&self.run.scene.sensor, &self.run.scene.zone);
        let stats = Stats {
            packets: PacketStats {
                read: counts.read,
                decoded: counts.decoded,
                skipped: Named::of(&counts.skipped),
                dropped_kernel: drops.dropped_kernel,
                dropped_interface: drops.dropped_interface,
                fragments: Named::of_fragments(&self.pipeline.fragments()),
            },
            bytes: counts.bytes,
            // Flows, alerts and the digest are the workers' and the reducer's until the end.
            flows: Named(Vec::new()),
            alerts: 0,
            services: self.run.scene.services.iter().count() as u64,
            capture: CaptureStats {
                first: times.first,
                last: times.last,
                complete: self.healthy,
                quality: Quality { loss: quality.loss, duplicates: quality.duplicates, one_way: false },
                reordered: times.reordered,
                late: times.late + times.stray,
                clock_steps: times.clock_steps,
            },
            one_way: Vec::new(),
            digest: String::new(),
        };
        if self.run.events.contains(&EventType::Stats) {
            self.sinks.send(&stats.record(sensor, zone));
        }
        if self.run.events.contains(&EventType::Heartbeat) {
            let discarded = self.sinks.counts().iter().map(|(_, counts)| counts.discarded).sum();
            let beat =
                Heartbeat { time: times.last, read: counts.read, dropped, open_incidents: 0, discarded };
            self.sinks.send(&beat.record(sensor, zone));
        }
    }

    /// Ends the kept file; answers whether all of it was written.
    fn close_kept(&mut self) -> bool {
        self.keep.take().is_none_or(Kept::close)
    }
}

/// The packets that are kept.
struct Kept {
    writer: Writer<BufWriter<File>>,
    failed: bool,
}

/// Kept packets hold what people sent: readable by the owner and the group.
const PRIVATE: u32 = 0o640;

impl Kept {
    fn create(path: &std::path::Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(path);
        let file = file.map_err(|error| Failure::usage(format!("-w {}: {error}", path.display())))?;
        Ok(Self { writer: Writer::new(BufWriter::new(file)), failed: false })
    }

    /// Writes; the first failure is told, and the watch goes on without keeping.
    fn write(&mut self, write: impl FnOnce(&mut Writer<BufWriter<File>>) -> std::io::Result<()>) {
        if !self.failed
            && let Err(error) = write(&mut self.writer)
        {
            self.failed = true;
            tracing::error!("packets are not kept any more: {error}");
        }
    }

    fn close(self) -> bool {
        if self.failed {
            return false;
        }
        match self.writer.finish() {
            Ok(_) => true,
            Err(error) => {
                tracing::error!("the kept packets are incomplete: {error}");
                false
            }
        }
    }
}
