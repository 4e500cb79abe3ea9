//! What an hour of the week is like: one slot for each of its 168 hours in UTC, each the fold of its last weeks.
//! Comes in: medians of hours that are over. Goes out: the level of a second, between the middles of its hours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::quantile::median;

/// The slots; those of hours that were never seen are absent. Slots count from Thursday 00:00 UTC, as the epoch does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Season {
    slots: BTreeMap<u8, Slot>,
}

/// One hour of the week.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Slot {
    /// What the weeks before the kept ones came to.
    before: Option<f64>,
    /// The last weeks, oldest first.
    weeks: Vec<Week>,
}

/// An hour in one week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Week {
    /// Which, counted from the epoch.
    week: i64,
    /// The median of its minutes.
    value: f64,
    /// How many minutes were learned.
    minutes: u32,
}

/// An hour: whose week, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hour(pub i64);

const SECONDS: i64 = 3_600;
const HOURS: i64 = 168;

/// Weeks that a slot keeps apart, so that they can come in any order: the eighth weighs a tenth of the newest.
const WEEKS: usize = 8;

/// A new week moves a slot by this part of the difference, and up by at most this factor (DETECTION.md, D1): who means
/// to teach an attack needs months.
const WEIGHT: f64 = 0.25;
const GROWTH: f64 = 1.25;

/// A slot may stand so far above what its hour is like on other days: a Monday morning stands three times above a
/// Sunday's, and a single unseen attack would else be the level of that hour.
const ABOVE_OTHER_DAYS: f64 = 4.0;

/// How many other days tell what is too far above.
const OTHER_DAYS: usize = 2;

impl Hour {
    /// The hour that holds a second.
    pub fn holding(second: i64) -> Self {
        Self(second.div_euclid(SECONDS))
    }

    fn slot(self) -> u8 {
        u8::try_from(self.0.rem_euclid(HOURS)).unwrap_or(0)
    }

    fn week(self) -> i64 {
        self.0.div_euclid(HOURS)
    }

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Season {
    /// Notes what an hour was like: the median of so many minutes of it. What was noted of the same hour before is
    /// weighed by its minutes. Growth is measured from `least`.
    pub fn note(&mut self, hour: Hour, value: f64, minutes: u32, least: f64) {
        self.slots.entry(hour.slot()).or_default().note(Week { week: hour.week(), value, minutes }, least);
    }

    /// The level by the hour of the week; `None` where that hour is not known.
    pub fn of_week(&self, second: i64, least: f64) -> Option<f64> {
        between(second, |hour| self.slot_value(hour, least))
    }

    /// The level by the hour of the day; `None` where that hour is not known.
    pub fn of_day(&self, second: i64, least: f64) -> Option<f64> {
        between(second, |hour| {
            median(&mut self.days(hour, least).map(|(_, value)| value).collect::<Vec<_>>())
        })
    }

    /// The levels by the hour of the week, as far as they are known: slot and value.
    pub fn levels(&self, least: f64) -> impl Iterator<Item = (u8, f64)> {
        self.slots.iter().filter_map(move |(slot, at)| at.value(least).map(|value| (*slot, value)))
    }

    /// Forgets the hours that lie wholly or partly from `from` to before `to`.
    pub fn forget(&mut self, from: i64, to: i64) {
        for (slot, at) in &mut self.slots {
            at.weeks.retain(|week| {
                let begin = (week.week * HOURS + i64::from(*slot)) * SECONDS;
                begin >= to || begin + SECONDS <= from
            });
        }
        self.slots.retain(|_, at| at.before.is_some() || !at.weeks.is_empty());
    }

    /// Adds what was learned elsewhere.
    pub fn merge(&mut self, other: &Self, least: f64) {
        for (slot, theirs) in &other.slots {
            self.slots.entry(*slot).or_default().merge(theirs, least);
        }
    }

    /// Whether it is one that could have been learned.
    pub fn is_sound(&self, is_value: impl Fn(f64) -> bool) -> bool {
        self.slots.iter().all(|(slot, at)| i64::from(*slot) < HOURS && at.is_sound(&is_value))
    }

    fn slot_value(&self, hour: Hour, least: f64) -> Option<f64> {
        let own = self.slots.get(&hour.slot())?.value(least)?;
        let mut others: Vec<f64> =
            self.days(hour, least).filter(|(slot, _)| *slot != hour.slot()).map(|(_, value)| value).collect();
        if others.len() < OTHER_DAYS {
            return Some(own);
        }
        median(&mut others).map(|usual| own.min(usual.max(least) * ABOVE_OTHER_DAYS))
    }

    /// The slots of the same hour of the day.
    fn days(&self, hour: Hour, least: f64) -> impl Iterator<Item = (u8, f64)> {
        let of_day = u8::try_from(hour.0.rem_euclid(24)).unwrap_or(0);
        let slots = (of_day..HOURS as u8).step_by(24);
        slots.filter_map(move |slot| Some((slot, self.slots.get(&slot)?.value(least)?)))
    }
}

/// Between the middles of two hours the level goes in a straight line. The hour that holds the second must be known; for
/// its neighbour it stands in.
fn between(second: i64, level: impl Fn(Hour) -> Option<f64>) -> Option<f64> {
    let from_middle = second - SECONDS / 2;
    let (first, own) = (Hour::holding(from_middle), Hour::holding(second));
    let here = level(own)?;
    let (one, other) = if first == own {
        (here, level(own.next()).unwrap_or(here))
    } else {
        (level(first).unwrap_or(here), here)
    };
    let part = from_middle.rem_euclid(SECONDS) as f64 / SECONDS as f64;
    Some(one + (other - one) * part)
}

impl Slot {
    fn value(&self, least: f64) -> Option<f64> {
        let known = self.weeks.iter().map(|week| week.value);
        known.fold(self.before, |level, value| Some(level.map_or(value, |level| moved(level, value, least))))
    }

    fn note(&mut self, new: Week, least: f64) {
        match self.weeks.iter_mut().find(|have| have.week == new.week) {
            Some(have) => have.merge(new),
            None => {
                self.weeks.push(new);
                self.weeks.sort_unstable_by_key(|week| week.week);
                self.fold_oldest(least);
            }
        }
    }

    fn fold_oldest(&mut self, least: f64) {
        while self.weeks.len() > WEEKS {
            let value = self.weeks.remove(0).value;
            self.before = Some(self.before.map_or(value, |level| moved(level, value, least)));
        }
    }

    fn merge(&mut self, other: &Self, least: f64) {
        self.before = match (self.before, other.before) {
            (Some(ours), Some(theirs)) => Some((ours + theirs) / 2.0),
            (ours, theirs) => ours.or(theirs),
        };
        other.weeks.iter().for_each(|week| self.note(*week, least));
    }

    fn is_sound(&self, is_value: &impl Fn(f64) -> bool) -> bool {
        let sorted = self.weeks.is_sorted_by(|one, other| one.week < other.week);
        let known =
            |week: &Week| is_value(week.value) && week.minutes <= 60 && week.week.unsigned_abs() < 1 << 32;
        self.weeks.len() <= WEEKS
            && sorted
            && self.before.is_none_or(is_value)
            && self.weeks.iter().all(known)
    }
}

impl Week {
    fn merge(&mut self, other: Self) {
        let minutes = (self.minutes + other.minutes).max(1);
        let sum = self.value * f64::from(self.minutes) + other.value * f64::from(other.minutes);
        self.value = sum / f64::from(minutes);
        self.minutes = minutes.min(60);
    }
}

fn moved(level: f64, value: f64, least: f64) -> f64 {
    (level + WEIGHT * (value - level)).min(level.max(least) * GROWTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = HOURS * SECONDS;

    fn noted(hours: impl IntoIterator<Item = (i64, f64)>) -> Season {
        let mut season = Season::default();
        hours.into_iter().for_each(|(hour, value)| season.note(Hour(hour), value, 60, 1.0));
        season
    }

    #[test]
    fn the_level_goes_straight_from_one_middle_to_the_next() {
        let season = noted([(10, 100.0), (11, 200.0)]);
        let at = |minute: i64| season.of_week(WEEK + minute * 60, 1.0);
        assert_eq!(at(10 * 60 + 30), Some(100.0));
        assert_eq!(at(11 * 60), Some(150.0));
        assert_eq!(at(11 * 60 + 59), Some(200.0));
        assert_eq!(at(12 * 60), None);
    }

    #[test]
    fn a_week_may_raise_a_level_by_a_quarter_at_most() {
        let mut season = noted([(10, 100.0)]);
        for week in 1..=4 {
            season.note(Hour(10 + week * HOURS), 10_000.0, 60, 1.0);
            let level = season.of_week(10 * SECONDS + SECONDS / 2, 1.0).unwrap();
            assert!(level <= 100.0 * GROWTH.powi(week as i32) + 1e-9, "week {week}: {level}");
        }
    }

    #[test]
    fn one_unseen_attack_is_not_the_level_of_its_hour() {
        let season = noted([(10, 100.0), (34, 110.0), (58, 10_000.0)]);
        let level = season.of_week(58 * SECONDS + SECONDS / 2, 1.0).unwrap();
        assert_eq!(level, 105.0 * ABOVE_OTHER_DAYS);
        assert_eq!(season.of_day(10 * SECONDS + SECONDS / 2, 1.0), Some(110.0));
    }

    #[test]
    fn hours_are_forgotten_one_by_one() {
        let mut season = noted([(10, 100.0), (11, 200.0), (10 + HOURS, 100.0)]);
        season.forget(10 * SECONDS + 1, 11 * SECONDS);
        assert_eq!(season, noted([(11, 200.0), (10 + HOURS, 100.0)]));
    }

    #[test]
    fn weeks_may_come_in_any_order() {
        let weeks: Vec<(i64, f64)> = (0..8).map(|week| (week * HOURS, 100.0 + week as f64)).collect();
        let forwards = noted(weeks.clone());
        let backwards = noted(weeks.iter().rev().copied());
        assert_eq!(forwards, backwards);
        let mut even = noted(weeks.iter().step_by(2).copied());
        even.merge(&noted(weeks.iter().skip(1).step_by(2).copied()), 1.0);
        assert_eq!(even, forwards);
    }
}
