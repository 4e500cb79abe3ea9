//! `bongsu replay`: captures in, records or a summary out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::args::ReplayArgs;
use super::figures::{self, Figures, is_one_way};
use super::progress::Bar;
use super::reading::{Pace, Reading};
use super::setup::Run;
use super::{FAIL_ON, Failure, RUNNING, log, output, setup};
use crate::alert::{self, Paint, Stats, Summary};
use crate::capture::Files;
use crate::detect::rule::Level;
use crate::host::Signals;
use crate::host::clock::Stopwatch;
use crate::pipeline::{Outcome, Pipeline, Teller, Told};
use crate::sink::{Begin, Sinks, WhenFull};
use crate::time::Timestamp;

/// Reads the captures to their end.
pub fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    read(args, |_| ())
}

/// The same, with a summary for people beside the records.
pub fn run_readably(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    read(args, |run| run.readable = true)
}

fn read(args: &ReplayArgs, change: impl FnOnce(&mut Run)) -> Result<ExitCode, Failure> {
    log::start(&args.common.log);
    let brought = setup::baselines(args.common.baseline.as_deref())?;
    let mut run = Run::gather(&args.common, Begin::Truncate, brought)?;
    change(&mut run);
    let (from, to) = (time("--from", args.from.as_deref())?, time("--to", args.to.as_deref())?);
    let pace = Pace::of(args.pace)?;
    refuse_input_as_output(args)?;
    let signals = Signals::listen().map_err(Failure::running)?;
    let sinks = run.open_sinks(WhenFull::Wait, None)?;
    let teller = Teller::new(Arc::clone(&run.scene), Arc::clone(&sinks), run.events.clone(), None);
    let telling = teller.telling();
    let mut pipeline = Pipeline::new(run.setup(from, to), teller);
    let mut files = Files::open_until(&args.captures, &|| signals.stop());
    for skipped in files.skipped_files() {
        tracing::info!(file = %skipped.display(), "no capture, left out");
    }
    let bar = Bar::new(args.common.log.quiet);
    let tell_stats = |pipeline: &Pipeline<Teller>, complete| {
        run.tell_stats(&figures::so_far(&run, pipeline, &telling, complete), &sinks);
    };
    let mut reading =
        Reading { pace, bar: &bar, signals: &signals, sinks: Some(&*sinks), tell_stats: &tell_stats };
    let complete = reading.read(&mut files, &mut pipeline)?;
    bar.clear();
    let ending = Ending {
        run: &run,
        complete,
        fail_on: args.common.fail_on.map(Level::from),
        patience: Duration::MAX,
    };
    ending.end(pipeline.finish(), sinks)
}

/// Reads a flag that names a point in time.
pub fn time(flag: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let read = |text: &str| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| {
            Failure::usage(format!("{flag} '{text}': expected RFC 3339 as 2023-11-23T09:19:00+09:00"))
        })
    };
    text.map(read).transpose()
}

/// A file cannot be read and emptied at once.
fn refuse_input_as_output(args: &ReplayArgs) -> Result<(), Failure> {
    let Some(output) = args.common.output.as_ref().and_then(|path| path.canonicalize().ok()) else {
        return Ok(());
    };
    let holds = |input: PathBuf| input == output || (input.is_dir() && output.starts_with(&input));
    let same = args.captures.iter().any(|input| input.canonicalize().is_ok_and(holds));
    if same && output.is_file() {
        return Err(Failure::usage(format!("-o {}: is one of the captures to be read", output.display())));
    }
    Ok(())
}

/// How a run ends, replayed or watched.
pub struct Ending<'a> {
    /// The run.
    pub run: &'a Run,
    /// Whether every input was read whole.
    pub complete: bool,
    /// The severity from which on the exit code tells.
    pub fail_on: Option<Level>,
    /// How long sinks may take for what they have left.
    pub patience: Duration,
}

impl Ending<'_> {
    /// Writes the last records and the summary, and decides on the exit code.
    pub fn end(&self, outcome: Outcome<Teller>, sinks: Arc<Sinks>) -> Result<ExitCode, Failure> {
        let services = self.run.watched(&outcome);
        let stats = figures(&outcome, services.len(), self.complete).stats();
        let reading = self.reading(&outcome, services);
        let one_way = self.run.one_way(&outcome.one_way);
        outcome.listener.send(&self.run.config_record(reading.first, &reading.services, &[]));
        let withheld = self.tell_withheld(&outcome, reading.first);
        let told = outcome.listener.finish();
        let stats = Stats { alerts: told.alerts, withheld, digest: told.digest.clone(), one_way, ..stats };
        self.run.tell_stats(&stats, &sinks);
        let closed = sinks.is_closed();
        let losses = finish(sinks, self.patience);
        // Where nothing could be read, the errors say all there is to say.
        if self.run.readable && (self.complete || reading.packets > 0) {
            self.summarize(&told, &reading)?;
        }
        for loss in &losses {
            tracing::error!("{loss}");
        }
        let severe = self.fail_on.is_some_and(|level| told.worst >= Some(level));
        Ok(match () {
            () if severe => ExitCode::from(FAIL_ON),
            () if closed => ExitCode::SUCCESS,
            () if !losses.is_empty() || !self.complete => ExitCode::from(RUNNING),
            () => ExitCode::SUCCESS,
        })
    }

    /// Says what every mute has withheld; answers how many alerts that were in all.
    fn tell_withheld(&self, outcome: &Outcome<Teller>, time: Option<Timestamp>) -> u64 {
        let (muted, scene) = (outcome.listener.telling().muted(), &self.run.scene);
        for mute in &scene.mutes.0 {
            let Some(hidden) = muted.get(&mute.name) else { continue };
            let message = mute.receipt(*hidden);
            tracing::warn!("{message}");
            let subject = &mute.name;
            let condition = alert::Condition::Muted;
            let notice =
                alert::Notice { condition, subject, holds: false, message: &message, time, since: time };
            outcome.listener.send(&notice.record(&scene.sensor, &scene.zone));
        }
        muted.values().sum()
    }

    fn reading(&self, outcome: &Outcome<Teller>, services: Vec<alert::Watching>) -> alert::Reading {
        alert::Reading {
            packets: outcome.packets.read,
            skipped: outcome.packets.skipped.total(),
            bytes: outcome.packets.bytes,
            first: outcome.times.first,
            last: outcome.times.last,
            services,
            home: self.run.home.clone(),
        }
    }

    fn summarize(&self, told: &Told, reading: &alert::Reading) -> Result<(), Failure> {
        let text = self.run.scene.around(alert::Quality::default(), |around| {
            Summary { around, incidents: &told.incidents, reading, paint: Paint::Plain }.to_string()
        });
        output::print(&text)?;
        if told.left_out > 0 {
            output::print(&format!("{} more incidents are left out here; -o has them all\n", told.left_out))?;
        }
        Ok(())
    }
}

/// The figures of a run that has ended.
fn figures<'a>(outcome: &'a Outcome<Teller>, services: usize, complete: bool) -> Figures<'a> {
    Figures {
        packets: &outcome.packets,
        fragments: outcome.fragments,
        drops: &outcome.drops,
        unserved: outcome.unserved,
        flows: outcome.flows,
        ledgers: outcome.ledgers,
        times: outcome.times,
        quality: alert::Quality {
            loss: outcome.quality.loss,
            one_way: is_one_way(&outcome.one_way, services, &outcome.flows),
            duplicates: outcome.quality.duplicates,
            shed: outcome.drops.shed,
        },
        complete,
        services,
    }
}

/// Between two looks at whether a thread that ends by itself still holds the outputs.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Delivers what is left; answers what was lost.
pub fn finish(sinks: Arc<Sinks>, patience: Duration) -> Vec<String> {
    let waiting = Stopwatch::start();
    // Where a thread has died, the others may still be telling what they know.
    while Arc::strong_count(&sinks) > 1 && waiting.elapsed() < patience {
        std::thread::sleep(LOOK_AGAIN);
    }
    match Arc::try_unwrap(sinks) {
        Ok(sinks) => {
            let report = sinks.finish(patience);
            for waiting in report.waiting() {
                tracing::warn!("{waiting}");
            }
            report.losses()
        }
        Err(_) => vec!["the outputs are still in use: what they had left is unknown".to_owned()],
    }
}
