//! Watches one rate: how far it has drifted lately, and whether it surges or drops.
//! Comes in: what was observed in ten seconds and what the baseline expects. Goes out: a standard score, a [`Surge`], a
//! [`Lull`]. Learns nothing for later but the drift.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Stage;

/// More than is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Surge {
    /// The second in which it began.
    pub since: i64,
    /// The standard score of the last ten seconds.
    pub z: f64,
    /// How many times the seasonal level the last ten seconds were.
    pub ratio: f64,
    /// How it was noticed.
    pub pace: Pace,
}

/// How a surge was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Three seconds in a row at four times the level.
    Sudden,
    /// By its sum over tens of seconds.
    Steady,
    /// By the mean of five minutes, against a level that does not follow.
    Ramp,
}

/// Less than is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lull {
    /// The second in which it began.
    pub since: i64,
    /// The standard score of the last ten seconds.
    pub z: f64,
    /// The part of the seasonal level that the last ten seconds were.
    pub ratio: f64,
}

/// What ten seconds were, beside what was expected of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ten {
    /// The second in which they begin.
    pub second: i64,
    /// What was observed.
    pub observed: f64,
    /// What the season says, without the drift.
    pub level: f64,
    /// The overdispersion.
    pub phi: f64,
    /// How much is known.
    pub stage: Stage,
    /// The excess below which nothing is a surge.
    pub floor: f64,
    /// Whether an incident is open: the drift stands still.
    pub held: bool,
}

/// The state of one rate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Alarm {
    /// ln of how far above its season the rate has been lately.
    drift: f64,
    up: Excursion,
    down: Excursion,
    /// Observed and expected in each of the last five minutes.
    minutes: VecDeque<[f64; 2]>,
    /// The minute under way: tens, observed, expected.
    minute: (u32, f64, f64),
    /// The last six looks at the five minutes, newest in the lowest bit: was it twice the level?
    doubled: u8,
    /// Seconds in a row at four times the level, and the last of them.
    sudden: u8,
    sudden_at: i64,
    /// Tens in a row that were calm, and that were silent.
    calm: u8,
    silent: u8,
    surge: Option<Surge>,
    lull: Option<Lull>,
    /// The level of a second, as it was last looked up.
    per_second: f64,
}

/// A cumulative sum (Page, "Continuous inspection schemes", Biometrika 41, 1954) and the second in which it left zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Excursion {
    sum: f64,
    since: i64,
}

/// The drift forgets by e in fifteen minutes, a tenth as fast by scores beyond three, and stays within a factor of two
/// either way (DETECTION.md, D1).
const DRIFT: f64 = 10.0 / 900.0;
const DOUBTFUL: f64 = 3.0;
const DOUBTFUL_WEIGHT: f64 = 0.1;
pub(super) const MOST_DRIFT: f64 = 0.7;

/// What a surge is besides significant: at least twice the level (D1).
const TWICE: f64 = 2.0;

/// The fast path: so many seconds in a row at so many times the level (D1).
const SUDDEN_SECONDS: u8 = 3;
const SUDDEN_RATIO: f64 = 4.0;

/// The slow path: minutes in a mean, looks that are remembered, and how many of them must be at twice the level (D1).
const RAMP_MINUTES: usize = 5;
const RAMP_LOOKS: u8 = 0b11_1111;
const RAMP_DOUBLED: u32 = 5;

/// A surge is over when three tens in a row are below one and a half times the level.
const CALM_RATIO: f64 = 1.5;
const CALM_TENS: u8 = 3;

/// A lull: 30 s at a fifth of a level of at least 20 in 10 s (D1); over at half of it.
const SILENT_RATIO: f64 = 0.2;
const SILENT_TENS: u8 = 3;
const SILENT_LEVEL: f64 = 20.0;
const SILENT_OVER: f64 = 0.5;

/// The standard score of a negative binomial count with variance m + phi m², made even by the inverse hyperbolic sine
/// (Anscombe, "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35, 1948).
pub(super) fn score(observed: f64, mean: f64, phi: f64) -> f64 {
    let even = |value: f64| (phi * value.max(0.0)).sqrt().asinh();
    2.0 / phi.sqrt() * (even(observed) - even(mean))
}

impl Alarm {
    /// The drift as a factor on the seasonal level.
    pub fn drift(&self) -> f64 {
        self.drift.exp()
    }

    /// The surge under way.
    pub fn surge(&self) -> Option<Surge> {
        self.surge
    }

    /// The lull under way.
    pub fn lull(&self) -> Option<Lull> {
        self.lull
    }

    /// Looks at ten seconds that are over.
    pub fn look(&mut self, ten: &Ten) {
        let z = score(ten.observed, ten.level * self.drift(), ten.phi);
        let (slack, limit) = ten.stage.slack_and_limit();
        self.up.add(z - slack, limit, ten.second);
        self.down.add(-z - slack, limit, ten.second);
        self.per_second = ten.level / 10.0;
        self.look_at_minutes(ten);
        self.look_up(ten, z, limit);
        self.look_down(ten, z);
        if !ten.held && self.up.sum <= limit / 2.0 && self.down.sum <= limit / 2.0 {
            self.follow(ten, z);
        }
    }

    /// Looks at one second on the fast path.
    pub fn look_at_second(&mut self, second: i64, observed: f64, floor: f64) {
        // A surge of 50 in ten seconds may be chance in one; 100 a second are not (D1).
        let is_sudden =
            self.per_second > 0.0 && observed >= self.per_second * SUDDEN_RATIO && observed >= floor * TWICE;
        let in_a_row = if second == self.sudden_at.saturating_add(1) { self.sudden } else { 0 };
        self.sudden = if is_sudden { in_a_row.saturating_add(1) } else { 0 };
        self.sudden_at = second;
        if self.sudden >= SUDDEN_SECONDS && self.surge.is_none() {
            let since = second - i64::from(SUDDEN_SECONDS) + 1;
            let ratio = observed / self.per_second;
            self.surge = Some(Surge { since, z: self.up.sum, ratio, pace: Pace::Sudden });
            self.calm = 0;
        }
    }

    /// Looks at ten seconds while nothing is learned: only what no ordinary service sees is a surge.
    pub fn look_unlearned(&mut self, second: i64, observed: f64, limit: f64) {
        if self.per_second > 0.0 {
            return;
        }
        let since = self.surge.map_or(second, |surge| surge.since);
        let surge = Surge { since, z: 0.0, ratio: observed / limit, pace: Pace::Sudden };
        self.surge = (observed >= limit).then_some(surge);
    }

    /// A stretch of time was not seen: what was lately is not any more.
    pub fn break_off(&mut self) {
        *self = Self::default();
    }

    /// Whether its numbers are ones that can come about.
    pub fn is_sound(&self, is_value: impl Fn(f64) -> bool) -> bool {
        let scores = [self.surge.map(|surge| surge.z), self.lull.map(|lull| lull.z)];
        let ratios = [self.surge.map(|surge| surge.ratio), self.lull.map(|lull| lull.ratio)];
        let since = [self.surge.map(|surge| surge.since), self.lull.map(|lull| lull.since)];
        let times =
            [Some(self.up.since), Some(self.down.since), Some(self.sudden_at)].into_iter().chain(since);
        let (tens, observed, expected) = self.minute;
        self.drift.abs() <= MOST_DRIFT
            && [self.up.sum, self.down.sum, self.per_second, observed * 6.0, expected * 6.0].into_iter().all(&is_value)
            && scores.into_iter().flatten().all(|z| is_value(z.abs()))
            && ratios.into_iter().flatten().all(&is_value)
            && times.flatten().all(super::is_time)
            && self.minutes.len() <= RAMP_MINUTES
            // A minute is a sum of six.
            && self.minutes.iter().flatten().all(|value| is_value(*value * 6.0))
            && tens <= 6
    }

    fn look_at_minutes(&mut self, ten: &Ten) {
        let (tens, observed, level) = &mut self.minute;
        *tens += 1;
        *observed += ten.observed;
        *level += ten.level;
        if *tens < 6 {
            return;
        }
        self.minutes.push_back([*observed, *level]);
        self.minute = (0, 0.0, 0.0);
        if self.minutes.len() > RAMP_MINUTES {
            self.minutes.pop_front();
        }
        let [observed, level] =
            self.minutes.iter().fold([0.0; 2], |sum, minute| [sum[0] + minute[0], sum[1] + minute[1]]);
        let tens = self.minutes.len() as f64 * 6.0;
        let is_doubled = self.minutes.len() == RAMP_MINUTES
            && observed >= level * TWICE
            && observed - level >= ten.floor * tens;
        self.doubled = (self.doubled << 1 | u8::from(is_doubled)) & RAMP_LOOKS;
    }

    fn look_up(&mut self, ten: &Ten, z: f64, limit: f64) {
        let ratio = ten.observed / ten.level.max(1.0);
        if let Some(surge) = &mut self.surge {
            (surge.z, surge.ratio) = (z, ratio);
            self.calm = if ratio < CALM_RATIO { self.calm.saturating_add(1) } else { 0 };
            if self.calm >= CALM_TENS {
                (self.surge, self.calm, self.doubled, self.sudden) = (None, 0, 0, 0);
                self.up = Excursion::default();
            }
            return;
        }
        let is_much = ratio >= TWICE && ten.observed - ten.level >= ten.floor;
        if is_much && self.up.sum > limit {
            self.surge = Some(Surge { since: self.up.since, z, ratio, pace: Pace::Steady });
        } else if is_much && self.doubled.count_ones() >= RAMP_DOUBLED {
            let minutes = RAMP_MINUTES as i64 + i64::from(self.doubled.count_ones());
            self.surge = Some(Surge { since: ten.second - minutes * 60, z, ratio, pace: Pace::Ramp });
        }
    }

    fn look_down(&mut self, ten: &Ten, z: f64) {
        let ratio = ten.observed / ten.level.max(1.0);
        if let Some(lull) = &mut self.lull {
            (lull.z, lull.ratio) = (z, ratio);
            if ratio > SILENT_OVER {
                (self.lull, self.silent) = (None, 0);
            }
            return;
        }
        let is_silent = ten.level >= SILENT_LEVEL && ratio <= SILENT_RATIO;
        self.silent = if is_silent { self.silent.saturating_add(1) } else { 0 };
        if self.silent >= SILENT_TENS {
            let since = ten.second - 10 * (i64::from(SILENT_TENS) - 1);
            self.lull = Some(Lull { since, z, ratio });
        }
    }

    fn follow(&mut self, ten: &Ten, z: f64) {
        // Half an observation on either side, so that nothing at all has a logarithm too.
        let away = ((ten.observed + 0.5) / (ten.level + 0.5)).ln();
        let doubt = if z.abs() > DOUBTFUL { DOUBTFUL_WEIGHT } else { 1.0 };
        let weight = (1.0 - (-DRIFT).exp()) * doubt;
        self.drift = (self.drift + weight * (away - self.drift)).clamp(-MOST_DRIFT, MOST_DRIFT);
    }
}

impl Excursion {
    /// Adds; the sum stays within twice the limit, so that what is over is over soon.
    fn add(&mut self, amount: f64, limit: f64, second: i64) {
        if self.sum <= 0.0 {
            self.since = second;
        }
        self.sum = (self.sum + amount).clamp(0.0, limit * 2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten(nth: i64, observed: f64) -> Ten {
        Ten {
            second: nth * 10,
            observed,
            level: 1_000.0,
            phi: 0.02,
            stage: Stage::Days,
            floor: 50.0,
            held: false,
        }
    }

    fn after(observed: impl IntoIterator<Item = f64>) -> Alarm {
        let mut alarm = Alarm::default();
        for (nth, observed) in (0..).zip(observed) {
            alarm.look(&ten(nth, observed));
        }
        alarm
    }

    #[test]
    fn the_score_is_that_of_an_even_variance() {
        // For few and Poisson, the familiar 2 (sqrt x - sqrt m); for much, ln(x/m) by the relative deviation.
        assert!((score(25.0, 16.0, 1e-9) - 2.0).abs() < 1e-3);
        assert!((score(2e9, 1e9, 0.04) - 2.0_f64.ln() / 0.2).abs() < 1e-3);
    }

    #[test]
    fn three_times_the_level_is_a_surge_within_half_a_minute() {
        let calm = after(std::iter::repeat_n(1_000.0, 100));
        assert_eq!((calm.surge(), calm.lull()), (None, None));
        let alarm = after(std::iter::repeat_n(1_000.0, 100).chain([3_000.0; 3]));
        let surge = alarm.surge().unwrap();
        assert_eq!((surge.since, surge.ratio, surge.pace), (1_000, 3.0, Pace::Steady));
        let over = after(std::iter::repeat_n(1_000.0, 100).chain([3_000.0; 3]).chain([1_000.0; 3]));
        assert_eq!(over.surge(), None);
    }

    #[test]
    fn a_third_more_is_no_surge_and_becomes_the_drift() {
        let alarm = after(std::iter::repeat_n(1_300.0, 500));
        assert_eq!(alarm.surge(), None);
        assert!((alarm.drift() - 1.3).abs() < 0.01, "{}", alarm.drift());
    }

    #[test]
    fn a_ramp_that_the_drift_follows_is_still_found() {
        let ramp = (0..360).map(|nth| 1_000.0 * 1.02_f64.powf(f64::from(nth) / 6.0));
        let mut alarm = Alarm::default();
        let mut found = None;
        for (nth, observed) in (0..).zip(ramp) {
            alarm.look(&Ten { phi: 0.2, ..ten(nth, observed) });
            found = found.or(alarm.surge().map(|_| observed));
        }
        assert!(found.is_some_and(|observed| observed < 2_800.0), "{found:?}");
    }

    #[test]
    fn thirty_silent_seconds_are_a_lull() {
        let alarm = after(std::iter::repeat_n(1_000.0, 10).chain([50.0; 3]));
        let lull = alarm.lull().unwrap();
        assert!(lull.since == 100 && lull.z < -10.0, "{lull:?}");
        assert_eq!(after(std::iter::repeat_n(1_000.0, 10).chain([50.0; 3]).chain([900.0])).lull(), None);
    }

    #[test]
    fn three_seconds_at_four_times_the_level_are_enough() {
        let mut alarm = after([1_000.0]);
        for second in 10..13 {
            assert_eq!(alarm.surge(), None);
            alarm.look_at_second(second, 400.0, 50.0);
        }
        assert_eq!(alarm.surge().map(|surge| (surge.since, surge.pace)), Some((10, Pace::Sudden)));
    }
}
