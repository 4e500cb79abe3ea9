//! `bongsu learn`: captures in, a file of baselines out. Runs the stages as a replay does, so that incidents are not
//! learned, and tells nobody of them.

use std::path::Path;
use std::process::ExitCode;

use super::args::LearnArgs;
use super::progress::Bar;
use super::reading::Reading;
use super::setup::Run;
use super::{Failure, RUNNING, baseline, log, output};
use crate::capture::Files;
use crate::detect::baseline::Baselines;
use crate::host::Signals;
use crate::incident::Incident;
use crate::pipeline::{Listener, Pipeline, Quality};
use crate::sink::Begin;
use crate::store;

/// Reads the captures to their end and writes what was learned.
pub fn run(args: &LearnArgs) -> Result<ExitCode, Failure> {
    log::start(&args.common.log);
    let Some(file) = args.common.baseline.as_deref() else {
        return Err(Failure::usage("--baseline FILE: where what is learned goes is missing"));
    };
    if args.common.output.is_some() {
        return Err(Failure::usage("-o: learn writes no records, only --baseline FILE"));
    }
    let before = if args.anew { Baselines::default() } else { before(file)? };
    // The captures are learned by themselves and added: they may be older than what the file has.
    let run = Run::gather(&args.common, Begin::Truncate, Baselines::default())?;
    let signals = Signals::listen().map_err(Failure::running)?;
    let mut pipeline = Pipeline::new(run.setup(None, None), Nobody);
    let bar = Bar::new(args.common.log.quiet);
    let mut files = Files::open_until(&args.captures, &|| signals.stop());
    let mut reading =
        Reading { pace: None, bar: &bar, signals: &signals, sinks: None, tell_stats: &|_, _| () };
    let complete = reading.read(&mut files, &mut pipeline)?;
    bar.clear();
    let learned = pipeline.finish().baselines;
    warn_of_overlaps(&before, &learned);
    if learned.iter().all(|(_, baseline)| baseline.span().is_none()) {
        output::print("nothing was learned: no service was named or found, or none was seen for a minute\n")?;
    }
    let mut all = before;
    all.merge(learned);
    store::write(file, &all).map_err(Failure::running)?;
    output::print(&baseline::table(&all, &run.scene.zone))?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(RUNNING) })
}

/// What the file has learned already; nothing where there is none.
fn before(file: &Path) -> Result<Baselines, Failure> {
    match store::read(file) {
        Ok(baselines) => Ok(baselines),
        Err(error) if error.is_absent() => Ok(Baselines::default()),
        Err(error) => Err(Failure::usage(format!("{error}; --anew begins anew"))),
    }
}

fn warn_of_overlaps(before: &Baselines, learned: &Baselines) {
    for (name, new) in learned.iter() {
        let spans = before.get(name).and_then(|have| Some((have.span()?, new.span()?)));
        if spans.is_some_and(|(have, new)| new.from <= have.until && have.from <= new.until) {
            tracing::warn!(service = name, "what was learned before is of the same time: it may count twice");
        }
    }
}

/// Nobody is told of incidents.
struct Nobody;

impl Listener for Nobody {
    fn told(&mut self, _: Incident, _: &Quality) {}
}
