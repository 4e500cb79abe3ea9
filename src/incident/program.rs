//! Whether one program is at work among the many. Comes in: with which makes they ask and did before, how often the busiest
//! of them do, how much of it belongs to pages. Goes out: the make that hardly anybody had and a large part of the excess
//! comes with. A crowd brings its makes in the proportions that they always had, and people ask for whole pages and leave.

use std::collections::BTreeMap;

use crate::aggregate::Make;

/// What the many ask for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Requests that could be read by make of client.
    pub named: BTreeMap<Make<'a>, u64>,
    /// Hellos by make, of which none knows what is asked behind them.
    pub hellos: BTreeMap<Make<'a>, u64>,
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
    /// The part of them for what belongs to pages, against that before; `None` where that is not known.
    pub assets: Option<f64>,
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

/// Fewer hellos say nothing about makes, and a make with a smaller part of them may be chance: who keeps connections open says
/// few for all that he asks.
const LEAST_HELLOS: u64 = 100;
const LEAST_OF_HELLOS: f64 = 0.1;

/// Sources that never rest bring a tenth of a crowd's excess at most, and half and more of that of a flood inside one; fewer of
/// them are told by their addresses.
const LEAST_KEPT_UP: f64 = 0.3;
const SEVERAL: usize = 8;

impl<'a> Asked<'a> {
    /// The program among them, if all that can be seen speaks for one.
    pub fn program(&self) -> Option<Program<'a>> {
        self.named().or_else(|| self.sealed())
    }

    /// One that says its name with each request.
    fn named(&self) -> Option<Program<'a>> {
        let assets = self.assets?;
        let program = self.named.iter().filter_map(|(make, count)| self.rare(*make, *count));
        let program = program.max_by(|one, other| one.accesses.cmp(&other.accesses))?;
        let is_large = program.excess >= LEAST_PART * self.excess;
        let reads_none = self.assets_of(&program, assets) <= MOST_ASSETS;
        let is_apart = self.others_same(program.make, program.before) >= LEAST_SAME && reads_none;
        (is_large && is_apart && self.is_kept_up(&program)).then_some(program)
    }

    /// One that only hellos tell, of which none knows what is asked behind it: what the sources that never rest ask for is
    /// taken for its own, or its part of the hellos, if that is more.
    fn sealed(&self) -> Option<Program<'a>> {
        let made: u64 = self.hellos.values().sum();
        let was = |make| self.before.get(make).copied().unwrap_or(0.0);
        let (make, count) =
            self.hellos.iter().filter(|(make, _)| was(make) <= RARE).max_by_key(|(_, count)| **count)?;
        let kept_up = self.counts.iter().take_while(|count| **count >= self.often());
        let (sources, sum) = kept_up.fold((0, 0.0), |(sources, sum), count| (sources + 1, sum + count));
        let (kept_up, part) = (sum / self.coverage.max(1e-9), *count as f64 / made.max(1) as f64);
        let accesses = kept_up.max(part * (self.excess + self.usual));
        let is_new = made >= LEAST_HELLOS && part >= LEAST_OF_HELLOS;
        let is_large = sources >= SEVERAL && kept_up >= LEAST_KEPT_UP * self.excess;
        let is_of_many = self.of_others as f64 <= LEAST_PART * self.excess;
        let is_apart = self.others_same(*make, was(make)) >= LEAST_SAME;
        (is_new && is_large && is_of_many && is_apart).then(|| Program {
            make: *make,
            accesses: accesses as u64,
            before: was(make),
            excess: accesses.min(self.excess),
            usual: 0.0,
        })
    }

    /// What one source asks for, at least, that goes on as a busy client does.
    fn often(&self) -> f64 {
        LEAST_OFTEN * self.busy_client * self.minutes
    }

    fn rare(&self, make: Make<'a>, count: u64) -> Option<Program<'a>> {
        let before = self.before.get(&make).copied().unwrap_or(0.0);
        let accesses = count.saturating_sub(self.of_others);
        let usual = before * self.usual;
        let excess = (accesses as f64 - usual).min(self.excess);
        (before <= RARE && excess > 0.0).then_some(Program { make, accesses, before, excess, usual })
    }

    /// How much of the other makes is as it was, 0 to 1.
    fn others_same(&self, program: Make<'_>, before: f64) -> f64 {
        let others = || self.named.iter().chain(&self.hellos).filter(|(make, _)| **make != program);
        let (made, before) = (others().map(|(_, count)| *count).sum::<u64>(), 1.0 - before);
        let part = |count: u64| count as f64 / made.max(1) as f64;
        let was = |make| self.before.get(make).copied().unwrap_or(0.0) / before;
        others().map(|(make, count)| part(*count).min(was(make))).sum()
    }

    /// How much of what belongs to pages it asks for, against what was usual, if all others ask as they did.
    fn assets_of(&self, program: &Program<'_>, assets: f64) -> f64 {
        let part = (program.accesses as f64 / self.read.max(1) as f64).min(1.0);
        (assets - (1.0 - part)) / part.max(1e-9)
    }

    /// Whether its accesses, if the busiest sources make them, are made as often as busy clients do all the time.
    fn is_kept_up(&self, program: &Program<'_>) -> bool {
        let (accesses, mut sum) = (program.accesses as f64 * self.coverage, 0.0);
        let within = self.counts.iter().take_while(|count| {
            sum += **count;
            sum <= accesses
        });
        let sources = within.count().max(1) as f64;
        accesses / sources >= self.often()
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
            named: makes.map(|(name, count)| (make(name), count)).into(),
            hellos: BTreeMap::new(),
            before: [("one", 0.6), ("other", 0.35), ("app", 0.05)]
                .map(|(name, part)| (make(name), part))
                .into(),
            of_others: 0,
            counts: counts.collect(),
            coverage: 1.0,
            minutes: 2.0,
            busy_client: 16.0,
            read: 3_600,
            assets: Some(2_000.0 / 3_600.0),
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
        assert_eq!(
            Asked { assets: Some(1.0), ..crowd() }.program(),
            None,
            "they fetch what belongs to pages"
        );
    }

    #[test]
    fn behind_tls_a_new_make_and_sources_that_never_rest_must_come_together() {
        let sealed = |new| Asked {
            named: BTreeMap::new(),
            hellos: [(make("one"), 400), (make("bot"), new)].into(),
            before: [(make("one"), 1.0)].into(),
            read: 0,
            assets: None,
            ..crowd()
        };
        let program = sealed(60).program().unwrap();
        assert_eq!((program.make, program.accesses), (make("bot"), 1_600));
        let program = sealed(3_600).program().unwrap();
        assert_eq!((program.accesses, program.excess), (3_240, 2_600.0), "nine in ten hellos");
        assert_eq!(sealed(30).program(), None, "hardly a new make");
        let spread = std::iter::repeat_n(15.0, 240).collect();
        assert_eq!(Asked { counts: spread, ..sealed(60) }.program(), None, "all of them rest");
        let few = std::iter::repeat_n(300.0, 5).collect();
        assert_eq!(Asked { counts: few, ..sealed(60) }.program(), None, "few are told by their addresses");
    }

    #[test]
    fn a_crowd_of_many_new_makes_hides_no_program() {
        let makes = [("one", 400), ("odd", 500), ("new", 500), ("app", 600), ("bot", 1_600)];
        let named = makes.map(|(name, count)| (make(name), count)).into();
        assert_eq!(Asked { named, ..crowd() }.program(), None);
    }

    #[test]
    fn a_make_that_was_there_or_is_of_others_or_has_little_is_none() {
        let mut asked = crowd();
        asked.before.insert(make("bot"), 0.06);
        assert_eq!(asked.program(), None, "a make that people use");
        assert_eq!(Asked { of_others: 1_200, ..crowd() }.program(), None, "labelled clients may use it");
        let mut asked = crowd();
        asked.named.insert(make("bot"), 500);
        assert_eq!(asked.program(), None, "less than a fifth of the excess");
    }
}
