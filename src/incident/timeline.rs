//! When the load rose and when the service broke, second by second: which came first tells a service that fell over by
//! itself from one that was pushed. Comes in: ticks in order. Goes out: the two moments, and how high the load was.

use std::collections::VecDeque;

use super::health::unusual;
use crate::aggregate::{Cell, Count, Counts, ScopeTick, Sides};
use crate::detect::rule::Measure;
use crate::detect::{Before, labelled, of_cell, of_counts};
use crate::time::TickId;

/// What a service's seconds are held against.
pub(super) struct Usual<'a> {
    /// The level before.
    pub before: &'a Before,
    /// Microseconds to the first byte of an answer.
    pub wait: Option<f64>,
    /// The directions that the mirror shows.
    pub sides: Sides,
    /// When the incident began: what had passed by then is not what it is about.
    pub onset: TickId,
}

/// Conversations over QUIC a second, in the level before, from which on a service speaks it.
const SPEAKS_QUIC: f64 = 0.2;

impl Usual<'_> {
    /// Attempts to connect and conversations that were begun over QUIC, and those of both that were answered.
    fn begun(&self, counts: &Counts) -> (u64, u64) {
        let is_quic = answers_quic(self.before);
        let with = |count, quic| counts[count] + if is_quic { counts[quic] } else { 0 };
        (with(Count::Attempts, Count::Initials), with(Count::Answered, Count::InitialsAnswered))
    }
}

/// Whether a service used to answer most conversations over QUIC.
pub(super) fn answers_quic(before: &Before) -> bool {
    let rate = |measure| before.rate(measure).unwrap_or(0.0);
    let begun = rate(Measure::Initials);
    begun >= SPEAKS_QUIC && 2.0 * rate(Measure::InitialsIgnored) <= begun
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
    /// When those began whom rules name by where they come from.
    few_came: Option<TickId>,
    /// When labelled clients last asked for so much that the load would have risen by it.
    labelled_pushed: Option<TickId>,
    /// Seconds that the load has been ordinary again.
    calm: u64,
    /// When exchanges began to fail.
    pub broke: Option<TickId>,
    /// Seconds that they have not failed since.
    well: u64,
    /// How many times the load before, when they did.
    pub load_when_broke: Option<f64>,
    /// Loads of twenty seconds behind which the service has been well, but not for long yet,
    bears: VecDeque<(TickId, f64)>,
    /// and the highest that it has borne.
    borne: Option<f64>,
    /// Whether it broke under a load that it had borne.
    pub broke_at_ease: bool,
    /// The highest load of any twenty seconds, in times the load before; `None` where nothing is known of before.
    pub peak: Option<f64>,
    /// How many seconds most exchanges failed.
    pub down_for: u64,
    /// How many seconds exchanges have been seen to fail since they began to.
    pub failed_for: u64,
    /// How many seconds most attempts to connect found no answer.
    pub shut_for: u64,
    /// The longest time in seconds that nothing was answered though something was asked,
    pub mute_for: u64,
    /// and since when it has not been now.
    mute: u64,
    /// Attempts to connect since exchanges began to fail, and those that were answered.
    attempts: u64,
    answered: u64,
}

#[derive(Debug)]
struct Second {
    tick: TickId,
    counts: Counts,
    /// What labelled clients did.
    labelled: Cell,
}

/// What moved in a span of seconds, for the load: labelled clients that come more often push nothing.
struct Moved {
    counts: Counts,
    labelled: Cell,
    seconds: f64,
}

impl Moved {
    fn of(seconds: &VecDeque<Second>) -> Self {
        let mut moved = Self { counts: Counts::default(), labelled: Cell::default(), seconds: SPAN as f64 };
        for second in seconds {
            moved.counts.merge(&second.counts);
            moved.labelled.merge(&second.labelled);
        }
        moved
    }

    /// How much of a measure, without what labelled clients have more of it than before. Of what was learned before this
    /// run their part is not known.
    fn count(&self, measure: Measure, before: &Before) -> f64 {
        if !before.is_seen() {
            return of_counts(measure, &self.counts) as f64;
        }
        // Attempts have no rows: those of labelled clients are told by the connections that came of them.
        let by_rows = if measure == Measure::Attempts { Measure::Connections } else { measure };
        let usual = before.labelled_rate(by_rows) * self.seconds;
        let more = (of_cell(by_rows, &self.labelled) as f64 - usual).max(0.0);
        (of_counts(measure, &self.counts) as f64 - more).max(0.0)
    }

    /// Whether what labelled clients ask for more than before is a load that has risen by itself: nobody is blamed for it, and
    /// answers that it slows are no fault.
    fn is_of_labelled(&self, before: &Before) -> bool {
        let level = before.rate(Measure::Accesses).unwrap_or(0.0) * self.seconds;
        let all = of_counts(Measure::Accesses, &self.counts) as f64;
        before.is_seen() && all - self.count(Measure::Accesses, before) >= (RISEN - 1.0) * level.max(1.0)
    }
}

/// Seconds over which load and failures are looked at: people and retries come in bursts of a second or two.
const SPAN: usize = 5;

/// A load of so many times the load before has risen.
pub(super) const RISEN: f64 = 1.5;

/// A load of less than so many times is ordinary.
const CALM: f64 = 1.3;

/// Seconds of which loads are remembered: failures are seen up to ten seconds late.
const REMEMBERED: i64 = 20;

/// Pages are fetched with all that belongs to them and connections come in pairs: counts scatter more than chance would
/// have them (variance over mean).
pub(super) const BURSTS: [(Measure, f64); 3] =
    [(Measure::Attempts, 2.0), (Measure::Accesses, 8.0), (Measure::Packets, 30.0)];

/// The milliseconds that one answer may take on any day: waits scatter by so much for each access.
const WAIT: f64 = 200.0;

/// How much counts of a measure scatter; of what is a part of accesses, as accesses do.
pub(super) fn scatter(measure: Measure) -> f64 {
    let accesses = BURSTS[1].1;
    let known = BURSTS.into_iter().find(|(of, _)| *of == measure);
    let each = if measure == Measure::Waiting { WAIT } else { 1.0 };
    known.map_or(accesses * each, |(_, scatter)| scatter)
}

/// A load that lies so many standard deviations above that before is no chance.
pub(super) const CHANCE: f64 = 3.0;

/// Exchanges fail where so many of them do not succeed.
const FAILING: f64 = 0.3;

/// A service that has been well for so many seconds before an incident began did not break with it.
const HEALED: u64 = 10;

/// A service has borne a load that it was still well so many seconds later; one that is larger by so much is another; and one
/// of so many times the load before may take longer to tell.
const BORNE: i64 = 30;
const AS_MUCH: f64 = 1.1;
const BEARABLE: f64 = 3.0;

/// Who deploys lets nobody in for some seconds.
const BLIP: u64 = 4;

/// Fewer exchanges within the span say nothing.
const LEAST: u64 = 5;

/// Who pushes a service over does it within so many seconds; and failures, dated back by what the slowest answers take, seem
/// to begin some seconds before what causes them.
const PUSHES: i64 = 60;
const DATED: i64 = 5;

impl Timeline {
    /// Takes a tick's sums. Where one direction is seen only, nothing fails.
    pub fn take(&mut self, tick: TickId, sums_of: &ScopeTick, usual: &Usual<'_>) {
        let counts = &sums_of.counts;
        while self.recent.front().is_some_and(|first| tick.second - first.tick.second >= SPAN as i64) {
            self.recent.pop_front();
        }
        self.recent.push_back(Second { tick, counts: *counts, labelled: labelled(sums_of) });
        let moved = Moved::of(&self.recent);
        let sums = moved.counts;
        let load = load(&moved, usual.before);
        if let Some(load) = load {
            let no_chance = is_no_chance(&moved, usual.before);
            self.loaded(tick, load, no_chance);
            if self.rose.is_none() {
                self.rose = self.stayed_up(usual.before.rate(Measure::Accesses));
            }
        }
        if self.broke.is_some() {
            let (begun, answered) = usual.begun(counts);
            (self.attempts, self.answered) = (self.attempts + begun, self.answered + answered);
        }
        if moved.is_of_labelled(usual.before) {
            self.labelled_pushed = Some(tick);
        }
        let wait = usual.wait.filter(|_| !self.is_slowed_by_labelled(tick));
        let unheard = unheard(&sums, usual.before);
        let failing =
            failing(&sums, sums_of, (wait, usual.before)).into_iter().chain(unheard).reduce(Failing::worse);
        let failing = failing.filter(|_| usual.sides == Sides::Both);
        let ignored = sums[Count::Attempts].saturating_sub(sums[Count::Answered]);
        let is_shut = usual.sides == Sides::Both
            && sums[Count::Attempts] >= LEAST
            && 2 * ignored >= sums[Count::Attempts];
        self.shut_for += u64::from(is_shut);
        let is_mute = usual.sides == Sides::Both && sums[Count::Accesses] >= LEAST && sums.served() == 0;
        self.mute = if is_mute { self.mute + 1 } else { 0 };
        self.mute_for = self.mute_for.max(self.mute);
        self.down_for += u64::from(failing.is_some_and(|failing| failing.part >= 0.5));
        let is_well = failing.is_none_or(|failing| failing.part < FAILING);
        self.well = if is_well { self.well + 1 } else { 0 };
        if self.broke.is_none() {
            self.bear(tick, is_well);
        }
        if tick < usual.onset && self.well >= HEALED {
            (self.broke, self.load_when_broke) = (None, None);
            (self.attempts, self.answered, self.failed_for) = (0, 0, 0);
        }
        if let Some(Failing { lag, .. }) =
            failing.filter(|failing| failing.part >= FAILING && self.broke.is_none())
        {
            let broke = self.first().plus(-lag);
            self.broke = Some(broke);
            self.broke_at_ease = self.is_at_ease(broke);
            // Load and failures are of the same span of seconds.
            let then = tick.plus(-lag);
            self.load_when_broke = self.loads.iter().find(|(at, _)| *at >= then).map(|(_, load)| *load);
            self.failed_for = lag.unsigned_abs();
        }
        self.failed_for += u64::from(self.broke.is_some() && !is_well);
    }

    /// Notes a load that the service bears, and which it has borne by now.
    fn bear(&mut self, tick: TickId, is_well: bool) {
        if !is_well {
            return self.bears.clear();
        }
        self.bears.push_back((tick, self.mean_load()));
        while let Some((_, load)) = self.bears.pop_front_if(|(then, _)| tick.second - then.second >= BORNE) {
            self.borne = Some(self.borne.map_or(load, |borne| borne.max(load)));
        }
    }

    /// Whether a service that breaks does so under no more than it has borne for long.
    fn is_at_ease(&self, broke: TickId) -> bool {
        let has_stood = self.rose.is_none_or(|rose| broke.second - rose.second >= BORNE);
        let mean = self.mean_load();
        let is_borne = self.borne.is_some_and(|borne| mean <= AS_MUCH * borne);
        has_stood && is_borne && mean <= BEARABLE
    }

    /// Whether nearly all attempts to connect find no answer since exchanges began to fail, of so many at least, and no load
    /// had risen by then.
    pub fn is_shut(&self, least: u64) -> bool {
        let is_pushed = self.load_when_broke.is_some_and(|load| load >= RISEN);
        self.attempts >= least && 50 * self.answered <= self.attempts && !is_pushed
    }

    /// Whether labelled clients push, or did within as many seconds as loads are remembered: what they asked for is worked off
    /// late.
    fn is_slowed_by_labelled(&self, tick: TickId) -> bool {
        self.labelled_pushed.is_some_and(|last| tick.second - last.second <= REMEMBERED)
    }

    /// Notes when somebody began whom a rule names by where he comes from.
    pub fn few_came(&mut self, began: TickId) {
        self.few_came = Some(self.few_came.map_or(began, |have| have.min(began)));
    }

    /// Goes on with what was followed by itself meanwhile, of which only the seconds are known here.
    pub fn take_over(&mut self, other: &Self) {
        if let Some(began) = other.few_came {
            self.few_came(began);
        }
    }

    /// Whether the service broke soon after those began: where little is asked, their first seconds may be no more than
    /// chance would bring, and break it.
    pub fn few_pushed(&self) -> bool {
        let (Some(broke), Some(came)) = (self.broke, self.few_came) else { return false };
        (-DATED..=PUSHES).contains(&(broke.second - came.second))
    }

    /// Notes a load. A burst that is over before anything breaks has pushed nothing over.
    fn loaded(&mut self, tick: TickId, load: f64, is_no_chance: bool) {
        self.loads.push_back((tick, load));
        while self.loads.front().is_some_and(|(first, _)| tick.second - first.second > REMEMBERED) {
            self.loads.pop_front();
        }
        // Over as long as loads are remembered: where little is asked, a page with its files makes five busy seconds.
        let mean = self.mean_load();
        self.peak = Some(self.peak.map_or(mean, |peak| peak.max(mean)));
        self.calm = if load < CALM { self.calm + 1 } else { 0 };
        if self.broke.is_none() && self.calm >= SPAN as u64 {
            self.rose = None;
        }
        if load >= RISEN && self.rose.is_none() && is_no_chance {
            self.rose = Some(self.first());
        }
    }

    /// Whether exchanges fail, but have for no longer than a restart takes: each second is looked at with those before it.
    pub fn is_brief(&self) -> bool {
        self.broke.is_some() && self.failed_for < BLIP + SPAN as u64
    }

    /// Since when the load has been up, where it stayed up for as long as loads are remembered: where little is asked, five
    /// seconds of it may be chance, and twenty are none.
    fn stayed_up(&self, level: Option<f64>) -> Option<TickId> {
        let level = level.filter(|_| self.loads.len() as i64 > REMEMBERED)?.max(1.0) * REMEMBERED as f64;
        let mean = self.mean_load();
        let is_no_chance = (mean - 1.0) * level >= CHANCE * (scatter(Measure::Accesses) * level).sqrt();
        let up = self.loads.iter().rev().take_while(|(_, load)| *load >= CALM).last();
        up.filter(|_| mean >= RISEN && is_no_chance).map(|(tick, _)| tick.plus(-(SPAN as i64) / 2))
    }

    fn mean_load(&self) -> f64 {
        self.loads.iter().map(|(_, load)| load).sum::<f64>() / self.loads.len().max(1) as f64
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
        // Without a level before nobody knows whether the load rose.
        self.peak?;
        Some(self.rose.map_or(f64::INFINITY, |rose| (rose.second - broke.second) as f64))
    }
}

/// How many times the load before: of attempts to connect or of accesses, whichever rose more; where requests are sealed
/// of packets, too, since who keeps a connection open asks on it without either.
fn load(moved: &Moved, before: &Before) -> Option<f64> {
    let sums = &moved.counts;
    let times = |measure| {
        let level = before.rate_to_rise_from(measure)?;
        // Below one a second a service has no load that could be said to rise by so many times.
        Some(moved.count(measure, before) / moved.seconds / level.max(1.0))
    };
    let quic = if answers_quic(before) { times(Measure::Initials)? } else { 0.0 };
    let (attempts, accesses) = (times(Measure::Attempts)?.max(quic), times(Measure::Accesses)?);
    if sums.are_sealed() {
        return Some(attempts.max(accesses).max(times(Measure::Packets)?));
    }
    // Connections that ask and are not answered are no load of their own: a server that closes them makes people open as
    // many as they have requests. Connections that ask nothing are, and so are those beside which others are served.
    let are_closed =
        10 * sums[Count::Accesses] >= 7 * sums[Count::Attempts] && 2 * sums.served() <= sums[Count::Accesses];
    Some(if are_closed { accesses } else { attempts.max(accesses) })
}

/// Whether chance would hardly bring as much: three standard deviations above the level.
fn is_no_chance(moved: &Moved, before: &Before) -> bool {
    let is_sealed = moved.counts.are_sealed();
    let measures = BURSTS.into_iter().filter(|(measure, _)| *measure != Measure::Packets || is_sealed);
    measures.into_iter().any(|(measure, scatter)| {
        let level = before.rate_to_rise_from(measure).unwrap_or(0.0) * moved.seconds;
        let count = moved.count(measure, before);
        count >= RISEN * level && count >= level + CHANCE * (scatter * level.max(1.0)).sqrt()
    })
}

/// The part of exchanges that fail, and for how many seconds they have when it is seen.
#[derive(Debug, Clone, Copy)]
struct Failing {
    part: f64,
    lag: i64,
}

impl Failing {
    fn worse(self, other: Self) -> Self {
        if other.part > self.part { other } else { self }
    }
}

/// Attempts that are not answered, requests without a response, errors; answers that take several times as long as
/// usual, and pages whose large segments are lost, fail in part.
fn failing(sums: &Counts, tick: &ScopeTick, (usual_wait, before): (Option<f64>, &Before)) -> Option<Failing> {
    let at_once = |part| Failing { part, lag: 0 };
    let attempts = sums[Count::Attempts];
    let refused =
        (attempts >= LEAST).then(|| at_once(part(attempts.saturating_sub(sums[Count::Answered]), attempts)));
    let asked = sums[Count::Accesses];
    let silent = asked.saturating_sub(sums.served()) + sums[Count::ServerErrors];
    let unserved = (asked >= LEAST).then(|| at_once(part(silent.min(asked), asked)));
    let slow =
        usual_wait.filter(|usual| is_slow(sums, *usual)).map(|_| Failing { part: FAILING, lag: lag(tick) });
    let large = sums[Count::LargeSent];
    // A quarter of all large segments lost is a page that stops in the middle.
    let is_lost = large >= LEAST && 4 * sums[Count::LargeResent] >= large;
    let lost = is_lost.then(|| at_once(FAILING));
    // The first answer to what is encrypted is the handshake's: a page that never comes is known when it was waited for.
    let (given_up, heard) = (sums[Count::Unanswered], sums[Count::FirstBytes]);
    let usual = before.rate(Measure::Unanswered).unwrap_or(0.0) * SPAN as f64;
    let kept_waiting = (sums.are_sealed() && given_up >= LEAST)
        .then(|| at_once(unusual(given_up, usual) * part(given_up, given_up + heard)));
    [refused, unserved, slow, lost, kept_waiting].into_iter().flatten().reduce(Failing::worse)
}

/// Conversations over QUIC that a service does not answer which used to answer them.
fn unheard(sums: &Counts, before: &Before) -> Option<Failing> {
    let begun = sums[Count::Initials];
    let is_told = begun >= LEAST && answers_quic(before);
    is_told.then(|| Failing { part: part(sums.initials_ignored(), begun), lag: 0 })
}

fn is_slow(sums: &Counts, usual: f64) -> bool {
    let answers = sums[Count::FirstBytes];
    let wait = sums[Count::FirstByteWait] as f64 / answers.max(1) as f64;
    answers >= LEAST && wait >= SLOW_TIMES * usual && wait - usual >= SLOW_MORE
}

/// Seconds ago that what comes late now was asked for.
fn lag(tick: &ScopeTick) -> i64 {
    let late = tick.waits.as_ref().and_then(|waits| waits.quantile(0.95));
    late.map_or(0, |late| i64::try_from(late.secs()).unwrap_or(LATEST)).clamp(0, LATEST)
}

/// Seconds after which an answer is not waited for any more.
const LATEST: i64 = 10;

fn part(of: u64, all: u64) -> f64 {
    if all > 0 { of as f64 / all as f64 } else { 0.0 }
}
