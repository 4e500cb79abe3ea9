//! When the load rose and when the service broke, second by second: which came first tells a service that fell over by
//! itself from one that was pushed. Comes in: ticks in order. Goes out: the two moments, and how high the load was.

use std::collections::VecDeque;

use crate::aggregate::{Count, Counts, Sides};
use crate::detect::rule::Measure;
use crate::detect::{Before, of_counts};
use crate::time::TickId;

/// What happened when.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    recent: VecDeque<Second>,
    /// When the load had risen.
    pub rose: Option<TickId>,
    /// When exchanges began to fail.
    pub broke: Option<TickId>,
    /// How many times the load before, when they did.
    pub load_when_broke: Option<f64>,
    /// The highest load, in times the load before; `None` where nothing is known of before.
    pub peak: Option<f64>,
    /// How many seconds most exchanges failed.
    pub down_for: u64,
    /// Attempts to connect since exchanges began to fail, and those that were answered.
    attempts: u64,
    answered: u64,
}

#[derive(Debug)]
struct Second {
    tick: TickId,
    counts: Counts,
}

/// Seconds over which load and failures are looked at: people and retries come in bursts of a second or two.
const SPAN: usize = 5;

/// A load of so many times the load before has risen.
const RISEN: f64 = 1.5;

/// Exchanges fail where so many of them do not succeed.
const FAILING: f64 = 0.3;

/// Fewer exchanges within the span say nothing.
const LEAST: u64 = 5;

impl Timeline {
    /// Takes a tick's sums; `before` is the level they are held against. Where one direction is seen only, nothing fails.
    pub fn take(&mut self, tick: TickId, counts: &Counts, before: &Before, sides: Sides) {
        while self.recent.front().is_some_and(|first| tick.second - first.tick.second >= SPAN as i64) {
            self.recent.pop_front();
        }
        self.recent.push_back(Second { tick, counts: *counts });
        let mut sums = Counts::default();
        self.recent.iter().for_each(|second| sums.merge(&second.counts));
        let load = load(&sums, before, tick.second);
        if let Some(load) = load {
            self.peak = Some(self.peak.map_or(load, |peak| peak.max(load)));
            if load >= RISEN && self.rose.is_none() {
                self.rose = Some(self.first());
            }
        }
        if self.broke.is_some() {
            self.attempts += counts[Count::Attempts];
            self.answered += counts[Count::Answered];
        }
        let failing = if sides == Sides::Both { failing(&sums) } else { None };
        self.down_for += u64::from(failing.is_some_and(|failing| failing >= 0.5));
        if failing.is_some_and(|failing| failing >= FAILING) && self.broke.is_none() {
            self.broke = Some(self.first());
            self.load_when_broke = load;
        }
    }

    /// The tick in which what is seen now began.
    fn first(&self) -> TickId {
        // In the middle of the span half of it is what came before.
        self.recent.get(self.recent.len() / 2).map_or(TickId::default(), |second| second.tick)
    }

    /// The part of attempts to connect that found no answer, since exchanges began to fail.
    pub fn shut_out(&self) -> Option<f64> {
        (self.attempts >= LEAST).then(|| part(self.attempts.saturating_sub(self.answered), self.attempts))
    }

    /// Seconds by which the service broke before the load rose, negative where the load rose first; `None` where it
    /// did not break.
    pub fn broke_ahead(&self) -> Option<f64> {
        let broke = self.broke?;
        Some(self.rose.map_or(f64::INFINITY, |rose| (rose.second - broke.second) as f64))
    }
}

/// How many times the load before: of attempts to connect or of accesses, whichever rose more.
fn load(sums: &Counts, before: &Before, second: i64) -> Option<f64> {
    let times = |measure| {
        let level = before.rate(measure, second)?;
        // Below one a second a service has no load that could be said to rise by so many times.
        Some(of_counts(measure, sums) as f64 / SPAN as f64 / level.max(1.0))
    };
    let (attempts, accesses) = (times(Measure::Attempts)?, times(Measure::Accesses)?);
    Some(attempts.max(accesses))
}

/// The part of exchanges that fail: attempts that are not answered, requests without a response, errors.
fn failing(sums: &Counts) -> Option<f64> {
    let attempts = sums[Count::Attempts];
    let refused = (attempts >= LEAST).then(|| part(attempts.saturating_sub(sums[Count::Answered]), attempts));
    let requests = sums[Count::Requests];
    let errors = sums[Count::ServerErrors];
    let silent = requests.saturating_sub(sums[Count::Responses]) + errors;
    let unserved = (requests >= LEAST).then(|| part(silent.min(requests), requests));
    match (refused, unserved) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

fn part(of: u64, all: u64) -> f64 {
    if all > 0 { of as f64 / all as f64 } else { 0.0 }
}
