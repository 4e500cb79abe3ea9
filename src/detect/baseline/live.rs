//! What watches: the ten seconds under way, those that wait to be learned, the last hour's minutes, the alarms, and
//! newcomers. Comes in: seconds in their order. Goes out: what is learned, a minute late. It is saved with the rest, so
//! that a restart changes nothing.

use std::collections::VecDeque;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::alarm::{Alarm, Ten};
use super::known::{Acquaintance, Known};
use super::learned::{Learned, MAX_NETWORKS};
use super::quantile::median;
use super::season::Hour;
use super::signal::{Cohort, Grid, Signal, Sums, all, rates};
use super::{MOST_VALUE, Quiet, Stage, is_time, is_value};
use crate::aggregate::{Cell, ScopeTick};
use crate::attribute::Country;
use crate::flow::Proof;
use crate::time::TickId;

/// The state of watching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Live {
    epoch: u32,
    /// The ten seconds under way.
    ten: Option<Tenth>,
    /// Ten seconds each, not learned yet; oldest first.
    waiting: VecDeque<Tenth>,
    /// How many silent tens came last.
    silent: u32,
    /// The minute that is being learned.
    minute: Option<Minute>,
    /// The last hour's minutes; oldest first.
    minutes: VecDeque<Values>,
    /// The hour that is being learned.
    hour: Option<i64>,
    alarms: Grid<Alarm>,
    /// Newcomers that are not learned yet.
    prefixes: Known<IpNet>,
    networks: Known<u32>,
    held: Option<Held>,
}

/// Ten seconds, aligned to multiples of ten in Unix time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tenth {
    /// Unix time by ten.
    index: i64,
    /// Up to which second it is counted.
    until: i64,
    sums: Sums,
    /// What was expected of each rate of each cohort then; nothing before there was a level.
    expected: Vec<Option<f64>>,
}

/// A minute of learned seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Minute {
    /// Unix time by sixty.
    index: i64,
    sums: Sums,
}

/// A learned minute's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Values {
    index: i64,
    seconds: u32,
    values: Grid<Option<f64>>,
}

/// The seconds of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Held {
    from: i64,
    until: Option<i64>,
}

/// Attacks are noticed well within a minute, and what is learned cannot be unlearned.
const LOOK_BACK: i64 = 60;

/// Silence that goes on longer than so many tens is not learned: nothing shows any more that the mirror works.
const SILENT_TENS: u32 = 60;

/// The tens that may wait: a minute and the longest silence.
const MAX_WAITING: usize = 70;

/// The minutes of the last hour.
const MINUTES: usize = 60;

/// A minute or ten seconds of which less was seen tell nothing.
const LEAST_OF_TEN: u32 = 5;
const LEAST_OF_MINUTE: u32 = 20;

/// An hour of which fewer minutes were learned is no hour.
const LEAST_OF_HOUR: usize = 10;

/// With more of the sampled segments missed, a second is not learned: counts would be short by as much.
const MOST_LOSS: f64 = 0.05;

/// Drops are told of this many tens late, at most.
const TOLD_AFTER: usize = 2;

/// A minute is healthy with at most this part of server errors, and of what was asked without an answer.
const HEALTHY_FAILURES: f64 = 0.05;

/// Newcomers in a minute.
const MAX_NEWCOMERS: usize = 16_384;

impl Default for Live {
    fn default() -> Self {
        Self {
            epoch: 0,
            ten: None,
            waiting: VecDeque::new(),
            silent: 0,
            minute: None,
            minutes: VecDeque::new(),
            hour: None,
            alarms: Grid::default(),
            prefixes: Known::new(MAX_NEWCOMERS),
            networks: Known::new(MAX_NETWORKS),
            held: None,
        }
    }
}

impl Live {
    /// Takes a second.
    pub fn enter(&mut self, tick: TickId, sums: &Sums, learned: &mut Learned, quiet: &[Quiet]) {
        let index = tick.second.div_euclid(10);
        let under_way = self.ten.as_ref().map(|ten| ten.index);
        if tick.epoch != self.epoch || under_way.is_some_and(|have| index < have) {
            // A clock that was set back: its seconds cannot be compared with those before.
            self.break_off(learned, quiet);
            self.epoch = tick.epoch;
        } else if under_way.is_some_and(|have| index > have) {
            self.move_to(index, learned, quiet);
        }
        let ten = self.ten.get_or_insert_with(|| Tenth::beginning(index, tick.second - 1));
        ten.pass_to(tick.second - 1);
        // A watch that begins in the second in which the one before ended: it is one second still.
        let mut counted = *sums;
        counted.seconds = u32::from(tick.second > ten.until);
        ten.sums.merge(&counted);
        ten.until = ten.until.max(tick.second);
        if !sums.is_silent() {
            for (signal, cohort) in rates() {
                let observed = sums.value(signal, cohort).unwrap_or(0.0) / 10.0;
                self.alarms.get_mut(signal, cohort).look_at_second(tick.second, observed, signal.floor());
            }
        }
    }

    /// Takes the clients of a second.
    pub fn meet(&mut self, second: i64, own: &ScopeTick, learned: &mut Learned) {
        if self.held.is_some_and(|held| held.holds(second)) {
            return;
        }
        learned.neighbours.note(own);
        for (key, cell) in own.prefixes.iter().filter(|(key, cell)| is_answered(key.lineage.proof, cell)) {
            learned.accesses = learned.accesses.saturating_add(cell.accesses);
            if !learned.prefixes.meet_again(&key.prefix, second, cell.accesses)
                && !self.prefixes.meet_again(&key.prefix, second, cell.accesses)
            {
                let country = letters(key.lineage.country);
                self.prefixes.meet(key.prefix, Acquaintance::first_met(second, country, cell.accesses));
            }
        }
        for (lineage, cell) in own.networks.iter().filter(|(lineage, cell)| is_answered(lineage.proof, cell))
        {
            let (Some(asn), accesses) = (lineage.asn.map(|asn| asn.0), cell.accesses) else { continue };
            if !learned.networks.meet_again(&asn, second, accesses)
                && !self.networks.meet_again(&asn, second, accesses)
            {
                let met = Acquaintance::first_met(second, letters(lineage.country), accesses);
                self.networks.meet(asn, met);
            }
        }
    }

    /// Marks the last seconds as lossy: recorders tell of drops every ten seconds.
    pub fn note_loss(&mut self, loss: f64) {
        let lately = self.waiting.iter_mut().rev().take(TOLD_AFTER).chain(&mut self.ten);
        if loss > MOST_LOSS {
            lately.for_each(|ten| ten.sums.is_lossy = true);
        }
    }

    /// Forgets minutes, and who came first in them.
    pub fn forget_between(&mut self, from: i64, to: i64) {
        let is_between = |second: i64, length: i64| second < to && second + length > from;
        self.waiting.retain(|ten| !is_between(ten.index * 10, 10));
        self.minutes.retain(|minute| !is_between(minute.index * 60, 60));
        self.minute = self.minute.filter(|minute| !is_between(minute.index * 60, 60));
        self.prefixes.forget_between(from, to);
        self.networks.forget_between(from, to);
    }

    /// Learns nothing from `second` on; answers whether that is news.
    pub fn hold(&mut self, second: i64) -> bool {
        let open = self.held.filter(|held| held.until.is_none());
        let from = open.map_or(second, |held| held.from.min(second));
        self.held = Some(Held { from, until: None });
        let is_news = open.is_none_or(|held| from < held.from);
        if is_news {
            self.prefixes.forget_since(from);
            self.networks.forget_since(from);
        }
        is_news
    }

    /// Learns again after `second`.
    pub fn release(&mut self, second: i64) {
        if let Some(held) = &mut self.held {
            held.until = Some(second);
        }
    }

    /// The alarm of a rate.
    pub fn alarm(&self, signal: Signal, cohort: Cohort) -> &Alarm {
        self.alarms.get(signal, cohort)
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.ten.is_none() && self.waiting.is_empty()
    }

    /// A newcomer.
    pub fn prefix(&self, prefix: &IpNet) -> Option<&Acquaintance> {
        self.prefixes.get(prefix)
    }

    /// A newcomer among the networks.
    pub fn network(&self, asn: u32) -> Option<&Acquaintance> {
        self.networks.get(&asn)
    }

    /// Adds what an earlier one had learned, and finishes what it had begun.
    pub fn take_over(&mut self, mut earlier: Live, learned: &mut Learned, mut theirs: Learned) {
        earlier.break_off(&mut theirs, &[]);
        if self.hour.is_none() || earlier.hour == self.hour {
            self.hour = earlier.hour;
        } else {
            earlier.close_hour(&mut theirs);
        }
        for minute in earlier.minutes {
            match self.minutes.iter_mut().find(|have| have.index == minute.index) {
                Some(have) => have.merge(&minute),
                None => self.minutes.push_back(minute),
            }
        }
        self.minutes.make_contiguous().sort_unstable_by_key(|minute| minute.index);
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
        learned.merge(&theirs);
    }

    /// Gives the tables the room they have in a run.
    pub fn make_room(&mut self) {
        let nobody = (Known::new(0), Known::new(0));
        self.prefixes = std::mem::replace(&mut self.prefixes, nobody.0).with_cap(MAX_NEWCOMERS);
        self.networks = std::mem::replace(&mut self.networks, nobody.1).with_cap(MAX_NETWORKS);
    }

    /// Whether it is one that can have come about.
    pub fn is_sound(&self) -> bool {
        let tens = self.ten.iter().chain(&self.waiting);
        let held = self.held.iter().flat_map(|held| [Some(held.from), held.until]).flatten();
        let times = tens.clone().map(|ten| ten.index * 10);
        self.ten.iter().chain(&self.waiting).all(|ten| is_time(ten.index) && ten.is_sound())
            && times.chain(held).all(is_time)
            && self.minute.is_none_or(|minute| is_time(minute.index) && minute.sums.seconds <= 120)
            && self.waiting.len() <= MAX_WAITING
            && self.minutes.len() <= MINUTES
            && self.minutes.iter().all(|minute| is_time(minute.index) && minute.is_sound())
            && self.hour.is_none_or(is_time)
            && self.alarms.iter().all(|alarm| alarm.is_sound(is_value))
            && self.prefixes.len() <= MAX_NEWCOMERS
            && self.networks.len() <= MAX_NETWORKS
            && self.prefixes.is_sound()
            && self.networks.is_sound()
    }

    fn move_to(&mut self, index: i64, learned: &mut Learned, quiet: &[Quiet]) {
        let Some(mut ten) = self.ten.take() else { return };
        let (from, gap) = (ten.index + 1, index - ten.index - 1);
        if gap > i64::from(SILENT_TENS) {
            self.close_ten(ten, learned, quiet);
            return self.break_off(learned, quiet);
        }
        ten.pass_to(ten.index * 10 + 9);
        self.close_ten(ten, learned, quiet);
        for index in from..index {
            let mut silent = Tenth::beginning(index, index * 10 - 1);
            silent.pass_to(index * 10 + 9);
            self.close_ten(silent, learned, quiet);
        }
        self.ten = Some(Tenth::beginning(index, index * 10 - 1));
    }

    fn close_ten(&mut self, mut ten: Tenth, learned: &mut Learned, quiet: &[Quiet]) {
        let second = ten.index * 10;
        self.silent = if ten.sums.is_silent() { self.silent.saturating_add(1) } else { 0 };
        if self.silent <= SILENT_TENS && ten.sums.seconds >= LEAST_OF_TEN {
            self.look(&mut ten, learned);
            self.waiting.push_back(ten);
        } else if self.silent > SILENT_TENS {
            self.drop_silence();
        }
        self.settle(second, learned);
        self.learn_until(second + 10 - LOOK_BACK, learned, quiet);
    }

    /// Has the alarms look at ten seconds, and writes down what was expected of them.
    fn look(&mut self, ten: &mut Tenth, learned: &Learned) {
        let second = ten.index * 10;
        let stage = learned.stage(second);
        let held = self.held.is_some_and(|held| held.until.is_none());
        for (signal, cohort) in rates() {
            let observed = ten.sums.value(signal, cohort).unwrap_or(0.0);
            let level = learned.level(signal, cohort, second);
            let alarm = self.alarms.get_mut(signal, cohort);
            ten.expected.push(level.map(|level| level * alarm.drift()));
            let phi = learned.phi(signal, cohort);
            let floor = signal.floor();
            if let Some(level) = level {
                alarm.look(&Ten { second, observed, level, phi, stage, floor, held });
            }
            if stage == Stage::Minutes && cohort == Cohort::Whole {
                alarm.look_unlearned(second, observed, signal.unlearned_limit());
            }
        }
    }

    /// Newcomers of a minute ago are acquaintances.
    fn settle(&mut self, second: i64, learned: &mut Learned) {
        for (prefix, met) in self.prefixes.take_before(second - LOOK_BACK) {
            learned.prefixes.meet(prefix, met);
        }
        for (asn, met) in self.networks.take_before(second - LOOK_BACK) {
            learned.networks.meet(asn, met);
        }
    }

    /// Forgets silence that nobody broke.
    fn drop_silence(&mut self) {
        while self.waiting.back().is_some_and(|ten| ten.sums.is_silent()) {
            self.waiting.pop_back();
        }
    }

    /// Learns what ended before `second`; silence waits until something moved after it.
    fn learn_until(&mut self, second: i64, learned: &mut Learned, quiet: &[Quiet]) {
        let heard = self.waiting.iter().rposition(|ten| !ten.sums.is_silent()).map_or(0, |last| last + 1);
        for _ in 0..heard {
            let Some(ten) = self.waiting.pop_front_if(|ten| ten.index * 10 + 10 <= second) else { return };
            self.learn(&ten, learned, quiet);
        }
    }

    fn learn(&mut self, ten: &Tenth, learned: &mut Learned, quiet: &[Quiet]) {
        let second = ten.index * 10;
        let is_held = self.held.is_some_and(|held| held.holds(second) || held.holds(second + 9));
        if is_held
            || ten.sums.loss() > MOST_LOSS
            || quiet.iter().any(|quiet| quiet.meets(second, second + 10))
        {
            return;
        }
        for ((signal, cohort), expected) in rates().zip(&ten.expected) {
            if let (Some(value), Some(expected)) = (ten.sums.value(signal, cohort), expected) {
                learned.series.get_mut(signal, cohort).scatter(signal, value, *expected);
            }
        }
        let index = second.div_euclid(60);
        if self.minute.is_some_and(|minute| minute.index != index) {
            self.close_minute(learned);
        }
        self.minute.get_or_insert(Minute { index, sums: Sums::default() }).sums.merge(&ten.sums);
        learned.pass(second + 9, u64::from(ten.sums.seconds));
        if learned.is_young() {
            self.set_levels(learned);
        }
    }

    /// While young, the level is the median of all minutes and of the one under way.
    fn set_levels(&self, learned: &mut Learned) {
        for (signal, cohort) in all() {
            let under_way = self.minute.and_then(|minute| minute.sums.value(signal, cohort));
            let minutes = self.minutes.iter().filter_map(|minute| *minute.values.get(signal, cohort));
            let mut values: Vec<f64> = minutes.chain(under_way).collect();
            if let Some(level) = median(&mut values) {
                learned.series.get_mut(signal, cohort).set_level(level);
            }
        }
    }

    fn close_minute(&mut self, learned: &mut Learned) {
        let Some(Minute { index, sums }) = self.minute.take() else { return };
        if sums.seconds < LEAST_OF_MINUTE {
            return;
        }
        let hour = Hour::holding(index * 60).0;
        if self.hour.is_some_and(|have| have != hour) {
            self.close_hour(learned);
        }
        self.hour = Some(hour);
        let mut values = Grid::default();
        for (signal, cohort) in all() {
            *values.get_mut(signal, cohort) = sums.value(signal, cohort);
        }
        let minutes_passed = self.minutes.back().map_or(1, |last| index - last.index);
        // A file may have more of the minute under way than a minute has.
        self.minutes.push_back(Values { index, seconds: sums.seconds.min(60), values });
        if self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
        self.follow(index, minutes_passed, learned);
        let failures = [Signal::ErrorRatio, Signal::UnansweredRatio];
        let mut failures = failures.into_iter().filter_map(|signal| sums.value(signal, Cohort::Whole));
        if failures.all(|part| part <= HEALTHY_FAILURES) {
            learned.note_healthy(|signal| sums.value(signal, Cohort::Whole));
        }
    }

    /// The levels follow the median of the last hour.
    fn follow(&self, index: i64, minutes_passed: i64, learned: &mut Learned) {
        for (signal, cohort) in all() {
            let recent = self.minutes.iter().filter(|minute| index - minute.index < MINUTES as i64);
            let mut values: Vec<f64> =
                recent.filter_map(|minute| *minute.values.get(signal, cohort)).collect();
            let newest = self.minutes.back().and_then(|minute| *minute.values.get(signal, cohort));
            let series = learned.series.get_mut(signal, cohort);
            if let (false, Some(value), Some(level)) = (signal.is_rate(), newest, series.level()) {
                series.scatter(signal, value, level);
            }
            if let (false, Some(target)) = (learned.is_young(), median(&mut values)) {
                let series = learned.series.get_mut(signal, cohort);
                series.follow(target, minutes_passed, signal.least());
            }
        }
    }

    /// Notes what the hour was like.
    fn close_hour(&mut self, learned: &mut Learned) {
        let Some(hour) = self.hour.take() else { return };
        let of_hour = || self.minutes.iter().filter(|minute| Hour::holding(minute.index * 60).0 == hour);
        if of_hour().count() < LEAST_OF_HOUR {
            return;
        }
        for (signal, cohort) in all() {
            let mut values: Vec<f64> =
                of_hour().filter_map(|minute| *minute.values.get(signal, cohort)).collect();
            let minutes = u32::try_from(values.len()).unwrap_or(0);
            if let Some(value) = median(&mut values) {
                let season = &mut learned.series.get_mut(signal, cohort).season;
                season.note(Hour(hour), value, minutes, signal.least());
            }
        }
    }

    /// A stretch was not seen: what waits is learned, what was lately counts no more.
    fn break_off(&mut self, learned: &mut Learned, quiet: &[Quiet]) {
        if let Some(ten) = self.ten.take().filter(|ten| ten.sums.seconds >= LEAST_OF_TEN) {
            self.waiting.push_back(ten);
        }
        self.drop_silence();
        self.learn_until(i64::MAX, learned, quiet);
        self.waiting.clear();
        self.close_minute(learned);
        self.settle(i64::MAX, learned);
        for (signal, cohort) in rates() {
            self.alarms.get_mut(signal, cohort).break_off();
        }
        (self.silent, self.held) = (0, None);
    }
}

/// Whether clients that the mirror shows to hear answers got one.
fn is_answered(proof: Proof, cell: &Cell) -> bool {
    proof == Proof::Proven && (cell.responses > 0 || cell.first_bytes > 0)
}

fn letters(country: Country) -> [u8; 2] {
    match country {
        Country::Code(letters) => letters,
        Country::Private | Country::Reserved | Country::Unknown => [0; 2],
    }
}

impl Held {
    fn holds(&self, second: i64) -> bool {
        second >= self.from && self.until.is_none_or(|until| second <= until)
    }
}

impl Tenth {
    fn beginning(index: i64, until: i64) -> Self {
        Self { index, until, sums: Sums::default(), expected: Vec::new() }
    }

    /// Counts the seconds up to `until` that nobody told of as silent.
    fn pass_to(&mut self, until: i64) {
        let passed = u32::try_from(until - self.until).unwrap_or(0);
        self.sums.merge(&Sums::silence(passed));
        self.until = self.until.max(until);
    }

    fn is_sound(&self) -> bool {
        let rates = self.expected.is_empty() || self.expected.len() == rates().count();
        rates
            && is_time(self.until)
            && self.sums.seconds <= 10
            && self.expected.iter().flatten().all(|value| is_value(*value))
    }
}

impl Values {
    /// The same minute, of which another part was seen elsewhere.
    fn merge(&mut self, other: &Self) {
        let (ours, theirs) = (f64::from(self.seconds), f64::from(other.seconds));
        for (signal, cohort) in all() {
            let have = self.values.get_mut(signal, cohort);
            *have = match (*have, *other.values.get(signal, cohort)) {
                (Some(one), Some(two)) => Some((one * ours + two * theirs) / (ours + theirs).max(1.0)),
                (one, two) => one.or(two),
            };
        }
        self.seconds = (self.seconds + other.seconds).min(60);
    }

    fn is_sound(&self) -> bool {
        let is_learnable = |value: &f64| is_value(*value) && *value <= MOST_VALUE;
        self.seconds <= 60 && self.values.iter().flatten().all(is_learnable)
    }
}
