//! Reading captures into a pipeline, to their end or until somebody wants it to end. Comes in: files, and what is looked at
//! on the way. Goes out: whether every input was read whole. Knows no records.

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
pub struct Reading<'a> {
    /// How fast; as fast as possible without.
    pub pace: Option<Pace>,
    /// Where people see how far it is.
    pub bar: &'a Bar,
    /// What the system wants.
    pub signals: &'a Signals,
    /// Who must still be listening, where somebody is.
    pub sinks: Option<&'a Sinks>,
}

impl Reading<'_> {
    /// Reads until the end, a signal, or until nobody listens any more; answers whether every input was read whole.
    pub fn read<L: Listener>(
        &mut self,
        files: &mut Files,
        pipeline: &mut Pipeline<L>,
    ) -> Result<bool, Failure> {
        let mut complete = true;
        loop {
            match files.step() {
                Ok(Step::Frame) => {
                    let frame = files.frame();
                    if let Some(pace) = &mut self.pace {
                        pace.wait_for(frame.time, self.signals);
                    }
                    pipeline.push(&frame);
                    let read = pipeline.counts().read;
                    let is_due = self.pace.is_some() || read.is_multiple_of(LOOK_EVERY);
                    if is_due && self.look_around(read, files) {
                        return Ok(complete);
                    }
                }
                Ok(Step::Beat(beat)) => pipeline.beat(beat),
                Ok(Step::Idle) => {}
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

    /// Moves the bar; answers whether reading is to end.
    #[inline(never)]
    fn look_around(&self, read: u64, files: &Files) -> bool {
        self.bar.update(read, || files.progress());
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

    fn wait_for(&mut self, time: Timestamp, signals: &Signals) {
        let first = *self.first.get_or_insert(time);
        let due = Duration::try_from_secs_f64(time.since(first).as_secs_f64() / self.factor)
            .unwrap_or(Duration::MAX);
        let most = self.watch.elapsed() + MOST_WAIT;
        while !signals.stop() {
            let wait = due.min(most).saturating_sub(self.watch.elapsed());
            if wait.is_zero() {
                return;
            }
            std::thread::sleep(wait.min(NAP));
        }
    }
}

/// Between two looks at signals.
const NAP: Duration = Duration::from_millis(100);

/// Nobody waits longer for one packet: a wrong date is no reason to sleep for years.
const MOST_WAIT: Duration = Duration::from_secs(60);
