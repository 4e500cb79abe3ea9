//! Reading captures into a pipeline, to their end or until somebody wants it to end. Comes in: files, and what is looked at
//! on the way, also while a pipe is silent. Goes out: whether every input was read whole. Knows no records.

use std::time::Duration;

use super::Failure;
use super::progress::Bar;
use crate::capture::{CaptureError, Files, Source, Step};
use crate::host::Signals;
use crate::host::clock::Stopwatch;
use crate::pipeline::{Listener, Pipeline};
use crate::sink::Sinks;
use crate::time::Timestamp;

/// Reading under way.
pub struct Reading<'a, L: Listener + 'static> {
    /// How fast; as fast as possible without.
    pub pace: Option<Pace>,
    /// Where people see how far it is.
    pub bar: &'a Bar,
    /// What the system wants.
    pub signals: &'a Signals,
    /// Who must still be listening, where somebody is.
    pub sinks: Option<&'a Sinks>,
    /// Tells how it stands, and whether every input was whole so far.
    pub tell_stats: &'a dyn Fn(&Pipeline<L>, bool),
}

impl<L: Listener + 'static> Reading<'_, L> {
    /// Reads until the end, a signal, or until nobody listens any more; answers whether every input was read whole.
    pub fn read(&mut self, files: &mut Files, pipeline: &mut Pipeline<L>) -> Result<bool, Failure> {
        let mut complete = true;
        loop {
            match files.step() {
                Ok(Step::Frame) => {
                    let frame = files.frame();
                    let due = self.pace.as_mut().map(|pace| pace.due(frame.time));
                    if due.is_some_and(|due| self.wait(due, pipeline, complete)) {
                        return Ok(complete);
                    }
                    pipeline.push(&frame);
                    let read = pipeline.counts().read;
                    if !read.is_multiple_of(LOOK_EVERY) {
                        continue;
                    }
                    self.bar.update(read, || files.progress());
                    if self.look_around(pipeline, complete) {
                        return Ok(complete);
                    }
                }
                Ok(Step::Beat(beat)) => pipeline.beat(beat),
                Ok(Step::Idle) => {
                    if self.look_around(pipeline, complete) {
                        return Ok(complete);
                    }
                }
                Ok(Step::End) => return Ok(complete),
                Err(error @ CaptureError::Filter { .. }) => return Err(Failure::usage(error)),
                Err(error) => {
                    complete = false;
                    self.bar.clear();
                    tracing::error!("{error}");
                }
            }
        }
    }

    /// Looks around until `due` on the stopwatch, once at least; answers whether reading is to end.
    fn wait(&self, due: Duration, pipeline: &Pipeline<L>, complete: bool) -> bool {
        loop {
            if self.look_around(pipeline, complete) {
                return true;
            }
            if !self.pace.as_ref().is_some_and(|pace| pace.nap(due)) {
                return false;
            }
        }
    }

    /// Does what signals ask for; answers whether reading is to end.
    #[inline(never)]
    fn look_around(&self, pipeline: &Pipeline<L>, complete: bool) -> bool {
        if self.signals.take_reopen() {
            self.sinks.iter().for_each(|sinks| sinks.reopen());
        }
        if self.signals.take_stats() {
            (self.tell_stats)(pipeline, complete);
        }
        self.signals.stop() || self.sinks.is_some_and(Sinks::is_closed)
    }
}

/// Packets between two looks at signals, closed outputs and the bar, which moves after a multiple of so many.
const LOOK_EVERY: u64 = 1_024;

/// Replays at a multiple of the recorded speed.
pub struct Pace {
    factor: f64,
    watch: Stopwatch,
    first: Option<Timestamp>,
}

impl Pace {
    /// The pace that a flag asks for.
    pub fn of(flag: Option<f64>) -> Result<Option<Self>, Failure> {
        match flag {
            None => Ok(None),
            Some(factor) if factor.is_finite() && factor > 0.0 => {
                Ok(Some(Self { factor, watch: Stopwatch::start(), first: None }))
            }
            Some(factor) => Err(Failure::usage(format!("--pace {factor}: expected a number above 0"))),
        }
    }

    /// When a packet of that time is due, on the stopwatch.
    fn due(&mut self, time: Timestamp) -> Duration {
        let first = *self.first.get_or_insert(time);
        let due = Duration::try_from_secs_f64(time.since(first).as_secs_f64() / self.factor);
        due.unwrap_or(Duration::MAX).min(self.watch.elapsed() + MOST_WAIT)
    }

    /// Sleeps towards `due`; answers whether it was still to come.
    fn nap(&self, due: Duration) -> bool {
        let wait = due.saturating_sub(self.watch.elapsed());
        if !wait.is_zero() {
            std::thread::sleep(wait.min(NAP));
        }
        !wait.is_zero()
    }
}

/// Between two looks at signals.
const NAP: Duration = Duration::from_millis(100);

/// Nobody waits longer for one packet: a wrong date is no reason to sleep for years.
const MOST_WAIT: Duration = Duration::from_secs(60);
