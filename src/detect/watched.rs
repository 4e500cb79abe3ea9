//! One service as it is watched: its last minute tick by tick, its windows, its level before.
//! Comes in: ticks. Goes out: the picture that detectors and incidents look at.

use std::collections::VecDeque;
use std::sync::Arc;

use super::baseline::{Baseline, Stage};
use super::blindness::Blindness;
use super::rule::Traffic;
use super::shown::{LATELY, Shown};
use super::window::{Asked, Sliding, Window};
use super::{Before, Habits, Levels};
use crate::aggregate::{Counts, ScopeTick, Sides, Strangers};
use crate::time::TickId;

/// A service's picture.
#[derive(Debug)]
pub struct Watched {
    ring: VecDeque<(TickId, Arc<Seconds>)>,
    /// How many ticks have left the ring.
    left: u64,
    windows: Vec<Spanned>,
    spans: Arc<[SpanNeeds]>,
    /// The level before of its own traffic.
    before: Before,
    /// The level before of the traffic beside it.
    before_beside: Before,
    /// How its clients use to behave.
    habits: Habits,
    /// What is usual, where it is a service that is protected.
    baseline: Option<Box<Baseline>>,
    /// The connections that are held now, of its own traffic and beside it.
    levels: [Levels; 2],
    /// Ticks of an incident, which are not learned; all from its onset on while it is open.
    held: Option<Held>,
    /// The directions that the mirror shows of it.
    shown: Shown,
    /// What was not seen of late.
    blindness: Blindness,
    now: TickId,
}

/// The ticks of an incident.
#[derive(Debug, Clone, Copy)]
struct Held {
    from: TickId,
    /// The last one; `None` while the incident is open.
    until: Option<TickId>,
}

impl Held {
    fn holds(&self, tick: TickId) -> bool {
        tick >= self.from && self.until.is_none_or(|until| tick <= until)
    }
}

/// What moved in one tick.
#[derive(Debug, Default)]
pub struct Seconds {
    /// To the service's ports.
    pub own: ScopeTick,
    /// To its addresses otherwise.
    pub beside: ScopeTick,
}

/// A window's length, and what rules look at in it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanNeeds {
    /// How many ticks.
    pub ticks: u64,
    /// Of the service's own traffic.
    pub own: Asked,
    /// Of the traffic beside it.
    pub beside: Asked,
}

#[derive(Debug)]
struct Spanned {
    ticks: i64,
    /// How many ticks have left this window, counted like `Watched::left`.
    left: u64,
    own: Sliding,
    beside: Sliding,
}

impl Spanned {
    fn new(span: &SpanNeeds) -> Self {
        Self {
            ticks: i64::try_from(span.ticks).unwrap_or(LOOK_BACK),
            left: 0,
            own: Sliding::new(&span.own),
            beside: Sliding::new(&span.beside),
        }
    }
}

/// How long a tick is looked back at before it is learned: attacks are noticed well within a minute, and what is
/// learned cannot be unlearned.
pub const LOOK_BACK: i64 = 60;

/// How often it is asked what this time of the day usually has, and who is known.
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// Ticks that are learned together: ten seconds.
fn batch(tick: TickId) -> i64 {
    tick.second.div_euclid(10)
}

impl Watched {
    /// A service watched over these windows.
    pub fn new(spans: &Arc<[SpanNeeds]>) -> Self {
        Self {
            ring: VecDeque::new(),
            left: 0,
            windows: spans.iter().map(Spanned::new).collect(),
            spans: Arc::clone(spans),
            before: Before::default(),
            before_beside: Before::default(),
            habits: Habits::default(),
            baseline: None,
            levels: Default::default(),
            held: None,
            shown: Shown::default(),
            blindness: Blindness::default(),
            now: TickId::default(),
        }
    }

    /// Looks at other windows from now on, filled from what is remembered.
    pub fn look_over(&mut self, spans: &Arc<[SpanNeeds]>) {
        self.spans = Arc::clone(spans);
        self.windows = spans.iter().map(Spanned::new).collect();
        for window in &mut self.windows {
            let first = self.now.second - window.ticks + 1;
            let older = self.ring.partition_point(|(tick, _)| tick.second < first);
            window.left = self.left + older as u64;
            for (_, seconds) in self.ring.range(older..) {
                window.own.enter(&seconds.own);
                window.beside.enter(&seconds.beside);
            }
        }
        self.leave(self.now);
    }

    /// Tells the baseline anew who is home and when nothing is learned.
    pub fn brief(&mut self, brief: impl FnOnce(Baseline) -> Baseline) {
        self.baseline = self.baseline.take().map(|baseline| Box::new(brief(*baseline)));
    }

    /// Moves on to `tick` with what moved in it. A new epoch forgets everything: its seconds cannot be compared.
    pub fn advance(&mut self, tick: TickId, seconds: Option<Seconds>) {
        self.move_to(tick);
        if let Some(seconds) = seconds {
            for window in &mut self.windows {
                window.own.enter(&seconds.own);
                window.beside.enter(&seconds.beside);
            }
            let [own, beside] = &mut self.levels;
            own.advance(tick.second, &seconds.own);
            beside.advance(tick.second, &seconds.beside);
            self.ring.push_back((tick, Arc::new(seconds)));
        } else if self.ring.is_empty() {
            self.learn_silence(tick, 1);
        }
        self.leave(tick);
        self.look_for_sides();
    }

    fn look_for_sides(&mut self) {
        let mut lately = Counts::default();
        let first = self.now.plus(1 - LATELY);
        let last = self.ring.iter().rev().take_while(|(tick, _)| *tick >= first);
        last.for_each(|(_, seconds)| lately.merge(&seconds.own.counts));
        let moved = self.ring.back().filter(|(tick, _)| *tick == self.now);
        let moved = moved.map(|(_, seconds)| &seconds.own.counts);
        let long = self.windows.last().map(|longest| &longest.own.window().counts);
        self.shown.look(self.now, moved, (&lately, long));
    }

    /// Moves on over `ticks` silent ticks up to `tick`, all windows being empty.
    pub fn skip(&mut self, tick: TickId, ticks: i64) {
        self.move_to(tick);
        self.learn_silence(tick, ticks);
    }

    fn move_to(&mut self, tick: TickId) {
        let is_new = tick.epoch != self.now.epoch;
        if is_new {
            let baseline = self.baseline.take();
            let (shown, blindness) = (self.shown.in_new_epoch(), self.blindness.in_new_epoch());
            *self = Self { shown, blindness, baseline, ..Self::new(&self.spans) };
        }
        self.now = tick;
        if is_new {
            self.take_up_learned();
        }
        self.blindness.advance(tick.second);
    }

    fn learn_silence(&mut self, tick: TickId, ticks: i64) {
        if !self.blindness.holds(tick.second) && !self.held.is_some_and(|held| held.holds(tick)) {
            self.before.learn_silence(tick.second, ticks);
            self.before_beside.learn_silence(tick.second, ticks);
        }
    }

    fn leave(&mut self, now: TickId) {
        for window in &mut self.windows {
            let at = usize::try_from(window.left - self.left).unwrap_or(0);
            for (tick, seconds) in self.ring.range(at.min(self.ring.len())..) {
                if tick.second > now.second - window.ticks {
                    break;
                }
                window.own.leave(&seconds.own);
                window.beside.leave(&seconds.beside);
                window.left += 1;
            }
            let at = usize::try_from(window.left - self.left).unwrap_or(0);
            let held = || self.ring.range(at.min(self.ring.len())..).map(|(_, seconds)| seconds);
            window.own.settle(held().map(|seconds| &seconds.own));
            window.beside.settle(held().map(|seconds| &seconds.beside));
        }
        let longest = self.windows.iter().map(|window| window.ticks).max().unwrap_or(0).max(LOOK_BACK);
        let ripe = |tick: TickId| batch(tick) < batch(now.plus(1 - longest));
        while self.ring.front().is_some_and(|(tick, _)| ripe(*tick)) {
            self.learn_batch(now);
        }
    }

    /// Learns the oldest ticks up to the end of their batch: most clients are there for several seconds, and looked for
    /// once.
    fn learn_batch(&mut self, now: TickId) {
        let Some(first) = self.ring.front().map(|(tick, _)| batch(*tick)) else { return };
        let (mut ticks, mut silent) = (Vec::new(), 0);
        let mut last = now;
        while let Some((tick, seconds)) = self.ring.pop_front_if(|(tick, _)| batch(*tick) == first) {
            self.left += 1;
            let following = self.ring.front().map_or(now.second, |(next, _)| next.second);
            if !self.held.is_some_and(|held| held.holds(tick)) {
                let unseen = self.blindness.between(tick.second, following);
                silent += following - tick.second - 1 - unseen;
                last = tick;
                ticks.push(seconds);
            }
        }
        if ticks.is_empty() {
            return;
        }
        let together = |traffic| ScopeTick::together(ticks.iter().map(|seconds| seconds.of(traffic)));
        let (own, beside) = (together(Traffic::Own), together(Traffic::Beside));
        self.before.learn(last.second, ticks.len() as u64, &own);
        self.before_beside.learn(last.second, ticks.len() as u64, &beside);
        self.habits.learn(last.second, &own.sources, ticks.iter().map(|seconds| &seconds.own));
        if silent > 0 {
            self.before.learn_silence(last.second + silent, silent);
            self.before_beside.learn_silence(last.second + silent, silent);
        }
    }

    /// Stops learning from `tick` on, until [`Watched::learn_again`].
    pub fn hold_from(&mut self, tick: TickId) {
        let open = self.held.filter(|held| held.until.is_none());
        let from = open.map_or(tick, |held| held.from.min(tick));
        self.held = Some(Held { from, until: None });
        if let Some(baseline) = &mut self.baseline {
            baseline.hold(from.second);
        }
    }

    /// Learns again; the ticks of the incident up to `until` stay out, for as long as windows still remember them.
    pub fn learn_again(&mut self, until: TickId) {
        if let Some(held) = &mut self.held {
            held.until = Some(until);
        }
        if let Some(baseline) = &mut self.baseline {
            baseline.release(until.second);
        }
    }

    /// Keeps a baseline from now on.
    pub fn begin_baseline(&mut self, baseline: Baseline) {
        self.baseline = Some(Box::new(baseline));
        self.take_up_learned();
    }

    /// Lets what was learned stand in for what was not seen yet.
    fn take_up_learned(&mut self) {
        let usual = self.baseline.as_ref().and_then(|baseline| baseline.usual(self.now.second));
        if let Some(wait) = usual.as_ref().and_then(|usual| usual.first_byte_wait) {
            self.habits.bring_wait(wait);
        }
        self.before.bring(usual);
        self.take_up_season();
    }

    fn take_up_season(&mut self) {
        let season = self.baseline.as_ref().and_then(|baseline| baseline.season(self.now.second));
        self.before.expect(season);
    }

    /// Shows the tick it has come to to its baseline.
    pub fn feed_baseline(&mut self) {
        let own = self.ring.back().filter(|(tick, _)| *tick == self.now).map(|(_, seconds)| &seconds.own);
        if let Some(baseline) = &mut self.baseline {
            baseline.feed(self.now, own);
        }
        match self.now.second {
            second if second.rem_euclid(HOUR) == 0 => self.take_up_lately(),
            second if second.rem_euclid(MINUTE) == 0 => self.take_up_season(),
            _ => {}
        }
    }

    /// Once a day is known, what is learned in this run counts like what was learned before.
    fn take_up_lately(&mut self) {
        let baseline =
            self.baseline.as_ref().filter(|baseline| baseline.stage(self.now.second) >= Stage::Days);
        if let Some(usual) = baseline.and_then(|baseline| baseline.usual(self.now.second)) {
            self.before.bring(Some(usual));
        }
        self.take_up_season();
    }

    /// The part `loss` of the packets of the seconds that come next was never read.
    pub fn note_loss(&mut self, loss: f64) {
        self.blindness.note_loss(loss);
        if let Some(baseline) = self.baseline.as_mut().filter(|_| loss > 0.0) {
            baseline.note_loss(loss);
        }
    }

    /// Whether so much of the last `ticks` was not seen that less of anything tells nothing.
    pub fn is_blind_within(&self, ticks: u64) -> bool {
        self.blindness.since(self.now.second).is_some_and(|seconds| seconds < ticks)
    }

    /// What is usual at the service; `None` where it is none that is protected.
    pub fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_deref()
    }

    /// The directions that the mirror shows of its TCP conversations; both until one tells.
    pub fn sides(&self) -> Sides {
        self.shown.now()
    }

    /// Those of all seconds from `tick` on: where one was missing in any of them, so is a part of what moved.
    pub fn sides_since(&self, tick: TickId) -> Sides {
        self.shown.since(tick)
    }

    /// Seconds over which conversations were seen from both sides.
    pub fn two_sided_for(&self) -> u64 {
        self.shown.two_sided_for()
    }

    /// The tick it has come to.
    pub fn now(&self) -> TickId {
        self.now
    }

    /// Whether nothing moved within the longest window.
    pub fn is_quiet(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether it has been watched for that many ticks.
    pub fn has_seen(&self, ticks: u64) -> bool {
        let first = self.now.second - i64::try_from(ticks).unwrap_or(LOOK_BACK) + 1;
        self.left > 0 || self.ring.front().is_some_and(|(tick, _)| tick.second <= first)
    }

    /// The window of that many ticks.
    pub fn window(&self, ticks: u64, traffic: Traffic) -> Option<&Window> {
        let window = self.windows.iter().find(|window| window.ticks.unsigned_abs() == ticks)?;
        Some(match traffic {
            Traffic::Own => window.own.window(),
            Traffic::Beside => window.beside.window(),
        })
    }

    /// The connections that are held now.
    pub fn levels(&self, traffic: Traffic) -> &Levels {
        let [own, beside] = &self.levels;
        match traffic {
            Traffic::Own => own,
            Traffic::Beside => beside,
        }
    }

    /// The level before.
    pub fn before(&self, traffic: Traffic) -> &Before {
        match traffic {
            Traffic::Own => &self.before,
            Traffic::Beside => &self.before_beside,
        }
    }

    /// How its clients use to behave.
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// The ticks that something moved in, from `tick` on.
    pub fn since(&self, tick: TickId) -> impl DoubleEndedIterator<Item = (TickId, &Arc<Seconds>)> {
        let at = self.ring.partition_point(|(have, _)| *have < tick);
        self.ring.range(at..).map(|(have, seconds)| (*have, seconds))
    }

    /// The ticks before the last `ticks` ticks that are looked back at and belong to no incident, and the seconds they
    /// span.
    pub fn earlier(&self, ticks: u64, traffic: Traffic) -> (Vec<&ScopeTick>, u64) {
        let until = self.now.second - i64::try_from(ticks).unwrap_or(LOOK_BACK);
        let is_held = |tick: TickId| self.held.is_some_and(|held| held.holds(tick));
        let before = |tick: TickId| tick.second <= until && !is_held(tick);
        let found = self.ring.iter().filter(|(tick, _)| before(*tick));
        let ticks = found.map(|(_, seconds)| seconds.of(traffic)).collect();
        let first = self.ring.front().map_or(until + 1, |(tick, _)| tick.second);
        let seconds = (first..=until).filter(|second| !is_held(TickId { second: *second, ..self.now }));
        (ticks, seconds.count() as u64)
    }

    /// About how many different addresses without earned state were seen in the last `ticks` ticks.
    pub fn strangers(&self, ticks: u64, traffic: Traffic) -> f64 {
        let from = self.now.plus(1 - i64::try_from(ticks).unwrap_or(LOOK_BACK));
        Strangers::estimate(
            self.since(from).filter_map(|(_, seconds)| seconds.of(traffic).strangers.as_ref()),
        )
    }

    /// The lowest part of the sources that a cap left in the last `ticks` ticks.
    pub fn coverage(&self, ticks: u64, traffic: Traffic) -> f64 {
        let from = self.now.plus(1 - i64::try_from(ticks).unwrap_or(LOOK_BACK));
        self.since(from)
            .map(|(_, seconds)| seconds.of(traffic).coverage)
            .filter(|covered| *covered > 0.0)
            .fold(1.0, f64::min)
    }
}

impl Seconds {
    /// Its own traffic or that beside it.
    pub fn of(&self, traffic: Traffic) -> &ScopeTick {
        match traffic {
            Traffic::Own => &self.own,
            Traffic::Beside => &self.beside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Count;
    use crate::detect::rule::Measure;

    fn requests(count: u64) -> Option<Seconds> {
        let mut seconds = Seconds::default();
        seconds.own.counts[Count::Requests] = count;
        Some(seconds)
    }

    fn watched(spans: &[u64]) -> Watched {
        let asked = || Asked::default();
        let span = |ticks: &u64| SpanNeeds { ticks: *ticks, own: asked(), beside: asked() };
        Watched::new(&spans.iter().map(span).collect())
    }

    fn at(second: i64) -> TickId {
        TickId { epoch: 0, second }
    }

    #[test]
    fn a_window_holds_its_last_ticks() {
        let mut watched = watched(&[5, 10]);
        for second in 0..20 {
            watched.advance(at(second), requests(1));
        }
        let sum = |watched: &Watched, ticks| {
            watched.window(ticks, Traffic::Own).map(|window| window.counts[Count::Requests])
        };
        assert_eq!((sum(&watched, 5), sum(&watched, 10), sum(&watched, 7)), (Some(5), Some(10), None));
        watched.advance(at(27), None);
        assert_eq!((sum(&watched, 5), sum(&watched, 10)), (Some(0), Some(2)));
    }

    /// A second in which five connect and ask; what goes each way is seen or not.
    fn conversations(to_server: u64, to_client: u64) -> Option<Seconds> {
        let mut seconds = Seconds::default();
        let both = to_server > 0 && to_client > 0;
        for (count, is) in [
            (Count::PacketsIn, to_server),
            (Count::PacketsOut, to_client),
            (Count::Attempts, if to_server > 0 { 5 } else { 0 }),
            (Count::Opened, if to_server + to_client > 0 { 5 } else { 0 }),
            (Count::OpenedUnproven, if both || to_server + to_client == 0 { 0 } else { 5 }),
        ] {
            seconds.own.counts[count] = is;
        }
        Some(seconds)
    }

    #[test]
    fn a_direction_that_goes_is_missed_within_seconds_and_when_it_comes_back_seen_again() {
        for (one_way, seen) in [((50, 0), Sides::ToServer), ((0, 50), Sides::ToClient)] {
            let mut watched = watched(&[10, 60]);
            let mut run = |seconds: std::ops::Range<i64>, (to_server, to_client)| {
                seconds.for_each(|second| watched.advance(at(second), conversations(to_server, to_client)));
                watched.sides()
            };
            assert_eq!(run(0..100, (50, 50)), Sides::Both);
            assert_eq!(run(100..104, one_way), seen);
            assert_eq!(run(104..106, (0, 0)), seen, "nothing moved");
            assert_eq!(run(106..110, (50, 50)), Sides::Both);
            assert_eq!((watched.sides_since(at(105)), watched.sides_since(at(106))), (seen, Sides::Both));
            assert_eq!(watched.two_sided_for(), 110);
        }
    }

    #[test]
    fn a_service_that_falls_silent_is_no_missing_direction() {
        let mut watched = watched(&[10, 60]);
        (0..100).for_each(|second| watched.advance(at(second), conversations(50, 50)));
        for second in 100..130 {
            let mut shut_out = Seconds::default();
            // One in five forges what an answer would have told him.
            for (count, is) in [(Count::PacketsIn, 10), (Count::Attempts, 5), (Count::OneSided, 1)] {
                shut_out.own.counts[count] = is;
            }
            watched.advance(at(second), Some(shut_out));
            assert_eq!(watched.sides(), Sides::Both, "{second}");
        }
    }

    #[test]
    fn an_incident_is_not_learned() {
        let mut watched = watched(&[10]);
        for second in 0..200 {
            watched.advance(at(second), requests(10));
        }
        watched.hold_from(at(200));
        for second in 200..400 {
            watched.advance(at(second), requests(1_000));
        }
        let rate = watched.before(Traffic::Own).rate(Measure::Requests).unwrap();
        assert!((rate - 10.0).abs() < 0.5, "{rate}");
    }

    #[test]
    fn an_incident_that_long_windows_remember_is_not_learned_afterwards() {
        let mut watched = watched(&[600]);
        let mut run = |from: i64, to: i64, count| {
            for second in from..to {
                watched.advance(at(second), requests(count));
                match second {
                    1_000 => watched.hold_from(at(1_000)),
                    1_400 => watched.learn_again(at(1_099)),
                    _ => {}
                }
            }
            watched.before(Traffic::Own).rate(Measure::Requests).unwrap_or(0.0)
        };
        run(0, 1_000, 10);
        run(1_000, 1_100, 1_000);
        let rate = run(1_100, 2_000, 10);
        assert!((rate - 10.0).abs() < 0.5, "{rate}");
    }

    #[test]
    fn a_new_epoch_begins_anew() {
        let mut watched = watched(&[10]);
        watched.advance(at(1_000), requests(10));
        watched.advance(TickId { epoch: 1, second: 5 }, requests(1));
        assert_eq!(watched.window(10, Traffic::Own).unwrap().counts[Count::Requests], 1);
    }
}
