//! `bongsu watch`: a mirror port in, records out, until stopped.

mod check;
mod confine;
mod kept;
mod outputs;
mod reload;
mod seen;
mod service;
mod shedding;
mod turns;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::args::WatchArgs;
use super::replay::Ending;
use super::setup::Run;
use super::{Failure, log, output, setup};
use crate::alert::EventType;
use crate::capture::{CaptureError, LiveOptions, LiveSet};
use crate::detect::rule::Level;
use crate::host::Signals;
use crate::pipeline::{Pipeline, Teller};
use crate::serve::{Conditions, Status, manager};
use crate::sink::{Begin, Sinks, WhenFull};
use crate::store::Keeper;
use kept::Kept;
use reload::Reloader;
use seen::Seen;
use service::Attendants;
use turns::{Parts, Watch};

/// What sinks may take at the end; what is left waits in their spools.
const DRAIN: Duration = Duration::from_secs(10);

/// Watches until SIGINT or SIGTERM.
pub fn run(args: &WatchArgs) -> Result<ExitCode, Failure> {
    log::start(&args.common.log);
    let file = args.common.baseline.as_deref();
    // A check changes nothing, so it sets nothing aside.
    let brought = if args.check && file.is_some_and(Path::exists) {
        setup::baselines(file)?
    } else {
        setup::baselines_or_anew(file)?
    };
    let run = Run::gather(&args.common, Begin::Append, brought)?;
    let http = service::Address::of(args)?;
    if args.check { check::check(args, &run, http) } else { watch(args, run, http) }
}

/// Opens what may be opened only now, confines the process, and watches.
fn watch(args: &WatchArgs, run: Run, http: service::Address) -> Result<ExitCode, Failure> {
    let mut lines = interfaces(args)?;
    let keep = args.write.as_deref().map(Kept::create).transpose()?;
    if keep.is_some() && !run.scene.pseudonyms.is_empty() {
        tracing::warn!("-w keeps packets as they are: pseudonyms are for what is told");
    }
    let http = http.bind()?;
    let plan = confine::plan(args, &run)?;
    confine::prepare(args, &run, &plan)?;
    confine::confine(&plan)?;
    let signals = Signals::listen().map_err(Failure::running)?;
    let sinks = run.open_sinks(WhenFull::Discard, args.state.as_deref())?;
    let keeper = args.common.baseline.as_deref().map(Keeper::start);
    let aloud: Option<fn(&str)> = if run.readable { Some(print_story) } else { None };
    let teller = Teller::new(Arc::clone(&run.scene), Arc::clone(&sinks), run.events.clone(), aloud)
        .saving(keeper.as_ref().map(Keeper::line));
    let notices = run.events.contains(&EventType::Notice).then(|| Arc::downgrade(&sinks));
    let conditions = Conditions::new(notices, &run.scene.sensor, run.scene.zone.clone());
    let status = Arc::new(Status::new(Arc::new(conditions)));
    let telling = teller.telling();
    let pipeline = Pipeline::new(run.setup(None, None), teller);
    let attendants = Attendants::start(http, &status, pipeline.progress())?;
    let reloader = Reloader::start(&args.common, &run).map_err(Failure::running)?;
    let seen = Seen::of(run.state_folder(args.state.as_deref()).as_deref(), run.remind_after);
    let parts = Parts { run, pipeline, telling, sinks: Arc::clone(&sinks), signals, status, seen };
    let mut watch = Watch::new(parts).keeping(keep).counting(attendants.turns());
    confine::forbid_calls(args)?;
    manager::ready("watching");
    watch.read(&mut lines, &reloader);
    manager::stopping();
    reloader.finish();
    attendants.finish();
    let complete = watch.close_kept() && lines.is_whole();
    end(args, watch, sinks, keeper, complete)
}

/// Tells what is left to tell and saves what was learned; `complete` says whether everything was read and kept.
fn end(
    args: &WatchArgs,
    watch: Watch,
    sinks: Arc<Sinks>,
    keeper: Option<Keeper>,
    complete: bool,
) -> Result<ExitCode, Failure> {
    let Some((run, mut outcome)) = watch.finish() else {
        return dead(sinks);
    };
    let baselines = std::mem::take(&mut outcome.baselines);
    let fail_on = args.common.fail_on.map(Level::from);
    let ending = Ending { run: &run, complete, fail_on, patience: DRAIN };
    // Ends the teller's line to the keeper, too.
    let code = ending.end(outcome, sinks);
    if let Some(keeper) = keeper {
        keeper.finish(&baselines).map_err(Failure::running)?;
    }
    code
}

/// Opens the interfaces; with `--wait-for-interface` those that are not there are waited for.
fn interfaces(args: &WatchArgs) -> Result<LiveSet, Failure> {
    let mut options = LiveOptions::default();
    options.snaplen = args.snaplen.unwrap_or(options.snaplen);
    options.buffer_size = args.buffer_size.map_or(options.buffer_size, |mib| mib.saturating_mul(1 << 20));
    if !args.wait_for_interface || args.check {
        return LiveSet::open(&args.interfaces, &options).map_err(|errors| unopened(&errors));
    }
    let (lines, errors) = LiveSet::open_or_wait(&args.interfaces, &options);
    for error in errors {
        tracing::warn!("{error}; it is waited for");
    }
    Ok(lines)
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

/// A thread has died: what was told goes out, and the service manager begins anew.
fn dead(sinks: Arc<Sinks>) -> Result<ExitCode, Failure> {
    for loss in super::replay::finish(sinks, DRAIN) {
        tracing::error!("{loss}");
    }
    Err(Failure::running("a thread has ended before its time: what it did is incomplete"))
}
