//! Whether one program is at work among the many. Comes in: with which makes they ask and did before, how often the busiest
//! of them do, how much of it belongs to pages. Goes out: the make that hardly anybody had and a large part of the excess
//! comes with. A crowd brings its makes in the proportions that they always had, and people ask for whole pages and leave.

use std::collections::BTreeMap;

use crate::aggregate::{Fingerprint, Make};

/// What the many ask for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Accesses by make of client.
    pub makes: BTreeMap<Make<'a>, u64>,
    /// The part of accesses with each make before.
    pub before: BTreeMap<Make<'a>, f64>,
    /// Accesses of others that the makes may hold as well.
    pub of_others: u64,
    /// Accesses of single sources that are kept, most first, and the part of the sources that they are.
    pub counts: Vec<f64>,
    pub coverage: f64,
    pub minutes: f64,
    /// What nineteen in twenty clients used to ask for in a minute.
    pub busy_client: f64,
    /// Requests that could be read.
    pub read: u64,
    /// The part of them for what belongs to pages, against that before.
    pub assets: f64,
    /// What they have more than before, and what they would have had.
    pub excess: f64,
    pub usual: f64,
}

/// A make of client that came with a part of the excess.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Program<'a> {
    pub make: Make<'a>,
    pub accesses: u64,
    /// Its part of all accesses before.
    pub before: f64,
    /// What it has more than before, and what it would have had.
    pub excess: f64,
    pub usual: f64,
}

/// A make that fewer than one in twenty accesses were made with before is rare.
pub(super) const RARE: f64 = 0.05;

/// A make with less of the excess is what an app or a campaign may bring.
const LEAST_PART: f64 = 0.2;

/// How much of all other makes must be as it was before: where many are new, the crowd is new to the service.
const LEAST_SAME: f64 = 0.6;

/// Who asks for less than this of what belongs to pages, against what was usual, reads none.
const MOST_ASSETS: f64 = 0.3;

/// The busiest sources that ask for as much together must each ask for so many times what a busy client used to, minute after
/// minute: of people who come, read and leave, as many ask for a quarter of it.
const LEAST_OFTEN: f64 = 0.75;

impl<'a> Asked<'a> {
    /// The program among them, if all that can be seen speaks for one.
    pub fn program(&self) -> Option<Program<'a>> {
        // What hellos tell, none knows of what is asked.
        let named = self.makes.iter().filter(|(make, _)| !matches!(make, Make::Print(Fingerprint::Ja4(_))));
        let program = named.filter_map(|(make, count)| self.rare(*make, *count));
        let program = program.max_by(|one, other| one.accesses.cmp(&other.accesses))?;
        let is_large = program.excess >= LEAST_PART * self.excess;
        let is_apart = self.others_same(&program) >= LEAST_SAME && self.assets_of(&program) <= MOST_ASSETS;
        (is_large && is_apart && self.is_kept_up(&program)).then_some(program)
    }

    fn rare(&self, make: Make<'a>, count: u64) -> Option<Program<'a>> {
        let before = self.before.get(&make).copied().unwrap_or(0.0);
        let accesses = count.saturating_sub(self.of_others);
        let usual = before * self.usual;
        let excess = (accesses as f64 - usual).min(self.excess);
        (before <= RARE && excess > 0.0).then_some(Program { make, accesses, before, excess, usual })
    }

    /// How much of the other makes is as it was, 0 to 1.
    fn others_same(&self, program: &Program<'_>) -> f64 {
        let others = || self.makes.iter().filter(|(make, _)| **make != program.make);
        let (made, before) = (others().map(|(_, count)| *count).sum::<u64>(), 1.0 - program.before);
        let part = |count: u64| count as f64 / made.max(1) as f64;
        let was = |make| self.before.get(make).copied().unwrap_or(0.0) / before;
        others().map(|(make, count)| part(*count).min(was(make))).sum()
    }

    /// How much of what belongs to pages it asks for, against what was usual, if all others ask as they did.
    fn assets_of(&self, program: &Program<'_>) -> f64 {
        let part = (program.accesses as f64 / self.read.max(1) as f64).min(1.0);
        (self.assets - (1.0 - part)) / part.max(1e-9)
    }

    /// Whether its accesses, if the busiest sources make them, are made as often as busy clients do all the time.
    fn is_kept_up(&self, program: &Program<'_>) -> bool {
        let (accesses, mut sum) = (program.accesses as f64 * self.coverage, 0.0);
        let within = self.counts.iter().take_while(|count| {
            sum += **count;
            sum <= accesses
        });
        let sources = within.count().max(1) as f64;
        accesses / sources / self.minutes >= LEAST_OFTEN * self.busy_client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(name: &str) -> Make<'_> {
        Make::Product(name)
    }

    /// Two minutes in which a crowd of two browsers and an app asks for 2,000 things, half of which belong to pages, and
    /// a program from forty addresses for 1,600.
    fn crowd() -> Asked<'static> {
        let makes = [("one", 1_100), ("other", 700), ("app", 200), ("bot", 1_600)];
        let counts = std::iter::repeat_n(40.0, 40).chain(std::iter::repeat_n(10.0, 200));
        Asked {
            makes: makes.map(|(name, count)| (make(name), count)).into(),
            before: [("one", 0.6), ("other", 0.35), ("app", 0.05)]
                .map(|(name, part)| (make(name), part))
                .into(),
            of_others: 0,
            counts: counts.collect(),
            coverage: 1.0,
            minutes: 2.0,
            busy_client: 16.0,
            read: 3_600,
            assets: 2_000.0 / 3_600.0,
            excess: 2_600.0,
            usual: 1_000.0,
        }
    }

    #[test]
    fn a_make_that_was_not_there_asks_without_end_and_reads_no_pages() {
        let program = crowd().program().unwrap();
        assert_eq!((program.make, program.accesses, program.excess), (make("bot"), 1_600, 1_600.0));
    }

    #[test]
    fn a_part_of_the_sources_tells_as_much() {
        let counts = crowd().counts.into_iter().step_by(4).collect();
        assert!(Asked { counts, coverage: 0.25, ..crowd() }.program().is_some());
    }

    #[test]
    fn people_with_a_make_of_their_own_come_read_and_leave() {
        let spread = || std::iter::repeat_n(15.0, 240).collect();
        assert_eq!(Asked { counts: spread(), ..crowd() }.program(), None);
        assert_eq!(Asked { assets: 1.0, ..crowd() }.program(), None, "they fetch what belongs to pages");
    }

    #[test]
    fn a_crowd_of_many_new_makes_hides_no_program() {
        let makes = [("one", 400), ("odd", 500), ("new", 500), ("app", 600), ("bot", 1_600)];
        let makes = makes.map(|(name, count)| (make(name), count)).into();
        assert_eq!(Asked { makes, ..crowd() }.program(), None);
    }

    #[test]
    fn a_make_that_was_there_or_is_of_others_or_has_little_is_none() {
        let mut asked = crowd();
        asked.before.insert(make("bot"), 0.06);
        assert_eq!(asked.program(), None, "a make that people use");
        assert_eq!(Asked { of_others: 1_200, ..crowd() }.program(), None, "labelled clients may use it");
        let mut asked = crowd();
        asked.makes.insert(make("bot"), 500);
        assert_eq!(asked.program(), None, "less than a fifth of the excess");
    }
}
