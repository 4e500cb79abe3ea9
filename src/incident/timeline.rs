//! When the load rose and when the service broke, second by second: which came first tells a service that fell over by
//! itself from one that was pushed. Comes in: ticks in order. Goes out: the two moments, and how high the load was.

use std::collections::VecDeque;

use crate::aggregate::{Count, Counts, ScopeTick, Sides};
use crate::detect::rule::Measure;
use crate::detect::{Before, of_counts};
use crate::time::TickId;

/// What a service's seconds are held against.
pub(super) struct Usual<'a> {
    /// The level before.
    pub before: &'a Before,
    /// Microseconds to the first byte of an answer.
    pub wait: Option<f64>,
    /// The directions that the mirror shows.
    pub sides: Sides,
}

/// Answers that take so many times as long as before hurt,
pub(super) const SLOW_TIMES: f64 = 3.0;

/// unless they still come within this many microseconds more: nobody notices a fifth of a second.
pub(super) const SLOW_MORE: f64 = 200_000.0;

/// What happened when.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    recent: VecDeque<Second>,
    /// The loads of the last seconds.
    loads: VecDeque<(TickId, f64)>,
    /// When the load had risen.
    pub rose: Option<TickId>,
    /// Seconds that the load has been ordinary again.
    calm: u64,
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

/// A load of less than so many times is ordinary.
const CALM: f64 = 1.3;

/// Seconds of which loads are remembered: failures are seen up to ten seconds late.
const REMEMBERED: i64 = 20;

/// Pages are fetched with all that belongs to them and connections come in pairs: counts scatter more than chance would
/// have them (variance over mean).
const BURSTS: [(Measure, f64); 2] = [(Measure::Attempts, 2.0), (Measure::Accesses, 8.0)];

/// Exchanges fail where so many of them do not succeed.
const FAILING: f64 = 0.3;

/// Fewer exchanges within the span say nothing.
const LEAST: u64 = 5;

impl Timeline {
    /// Takes a tick's sums. Where one direction is seen only, nothing fails.
    pub fn take(&mut self, tick: TickId, sums_of: &ScopeTick, usual: &Usual<'_>) {
        let counts = &sums_of.counts;
        while self.recent.front().is_some_and(|first| tick.second - first.tick.second >= SPAN as i64) {
            self.recent.pop_front();
        }
        self.recent.push_back(Second { tick, counts: *counts });
        let mut sums = Counts::default();
        self.recent.iter().for_each(|second| sums.merge(&second.counts));
        let load = load(&sums, usual.before, tick.second);
        if let Some(load) = load {
            self.loaded(tick, load, is_no_chance(&sums, usual.before, tick.second));
        }
        if self.broke.is_some() {
            self.attempts += counts[Count::Attempts];
            self.answered += counts[Count::Answered];
        }
        let failing = if usual.sides == Sides::Both { failing(&sums, usual.wait) } else { None };
        self.down_for += u64::from(failing.is_some_and(|failing| failing >= 0.5));
        if failing.is_some_and(|failing| failing >= FAILING) && self.broke.is_none() {
            let broke = self.first().plus(-lag(&sums, sums_of));
            self.broke = Some(broke);
            self.load_when_broke = self.loads.iter().find(|(at, _)| *at >= broke).map(|(_, load)| *load);
        }
    }

    /// Notes a load. A burst that is over before anything breaks has pushed nothing over.
    fn loaded(&mut self, tick: TickId, load: f64, is_no_chance: bool) {
        self.peak = Some(self.peak.map_or(load, |peak| peak.max(load)));
        self.loads.push_back((tick, load));
        while self.loads.front().is_some_and(|(first, _)| tick.second - first.second > REMEMBERED) {
            self.loads.pop_front();
        }
        self.calm = if load < CALM { self.calm + 1 } else { 0 };
        if self.broke.is_none() && self.calm >= SPAN as u64 {
            self.rose = None;
        }
        if load >= RISEN && self.rose.is_none() && is_no_chance {
            self.rose = Some(self.first());
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

/// Whether chance would hardly bring as much: three standard deviations above the level.
fn is_no_chance(sums: &Counts, before: &Before, second: i64) -> bool {
    BURSTS.into_iter().any(|(measure, scatter)| {
        let level = before.rate(measure, second).unwrap_or(0.0) * SPAN as f64;
        let count = of_counts(measure, sums) as f64;
        count >= RISEN * level && count >= level + 3.0 * (scatter * level.max(1.0)).sqrt()
    })
}

/// The part of exchanges that fail: attempts that are not answered, requests without a response, errors; answers that
/// take several times as long as usual fail in part.
fn failing(sums: &Counts, usual_wait: Option<f64>) -> Option<f64> {
    let attempts = sums[Count::Attempts];
    let refused = (attempts >= LEAST).then(|| part(attempts.saturating_sub(sums[Count::Answered]), attempts));
    let requests = sums[Count::Requests];
    let errors = sums[Count::ServerErrors];
    let silent = requests.saturating_sub(sums[Count::Responses]) + errors;
    let unserved = (requests >= LEAST).then(|| part(silent.min(requests), requests));
    let answers = sums[Count::FirstBytes];
    let slow = usual_wait.filter(|_| answers >= LEAST).map(|usual| {
        let wait = sums[Count::FirstByteWait] as f64 / answers as f64;
        if wait >= SLOW_TIMES * usual && wait - usual >= SLOW_MORE { FAILING } else { 0.0 }
    });
    let large = sums[Count::LargeSent];
    let lost = (large >= LEAST).then(|| {
        // A quarter of all large segments lost is a page that stops in the middle.
        if 4 * sums[Count::LargeResent] >= large { FAILING } else { 0.0 }
    });
    [refused, unserved, slow, lost].into_iter().flatten().reduce(f64::max)
}

/// Seconds ago that what is seen failing now was asked for: what comes late was late from then on.
fn lag(sums: &Counts, tick: &ScopeTick) -> i64 {
    if 10 * sums[Count::Unanswered] >= sums[Count::Accesses].max(1) {
        return UNANSWERED;
    }
    let late = tick.waits.as_ref().and_then(|waits| waits.quantile(0.95));
    late.map_or(0, |late| i64::try_from(late.secs()).unwrap_or(UNANSWERED)).clamp(0, UNANSWERED)
}

/// Seconds after which a request counts as unanswered.
const UNANSWERED: i64 = 10;

fn part(of: u64, all: u64) -> f64 {
    if all > 0 { of as f64 / all as f64 } else { 0.0 }
}
