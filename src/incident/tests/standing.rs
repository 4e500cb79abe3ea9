//! When a verdict is said, with the seconds that are shipped.

use super::at;
use crate::detect::rule::{Measure, Weights};
use crate::incident::account::Grown;
use crate::incident::standing::{Look, Standing};
use crate::incident::{Attack, Cause, Glitch, Part, Unknown, Verdict};

const FLOOD: Cause = Cause::Attack(Attack::HttpFlood);
const LEANING: Cause = Cause::Unknown(Unknown::LeaningAttack);

/// A look every ten seconds, and what is told after each.
#[derive(Default)]
struct Story {
    standing: Standing,
    looks: i64,
    few: f64,
    rest: f64,
    gathers: bool,
    told: Vec<Cause>,
}

impl Story {
    /// So many looks that say this, in each of which few and everybody else bring so much more.
    fn says(mut self, looks: usize, parts: &[Cause], (few, rest): (f64, f64)) -> Self {
        let cause = if let [one] = parts { *one } else { Cause::Mixed };
        let share = 1.0 / parts.len() as f64;
        let part = |cause: &Cause| Part { cause: *cause, share, origins: Vec::new() };
        let verdict = Verdict {
            cause,
            confidence: 0.97,
            parts: parts.iter().map(part).collect(),
            ..Verdict::default()
        };
        for _ in 0..looks {
            (self.few, self.rest) = (self.few + few, self.rest + rest);
            let grown =
                Grown { measure: Measure::Accesses, few: self.few, rest: self.rest, gathers: self.gathers };
            let look = Look { tick: at(self.looks * 10), verdict: &verdict, origins: &[], grown };
            let demands = Weights::builtin().demands;
            let other = self.standing.look(&look, &demands);
            self.told.push(other.map_or(cause, |(verdict, _)| verdict.cause));
            self.looks += 1;
        }
        self
    }

    /// What was told, each word once, with the second of its look.
    fn words(&self) -> Vec<(i64, Cause)> {
        let mut words: Vec<(i64, Cause)> = Vec::new();
        for (second, cause) in (0..).step_by(10).zip(&self.told) {
            if words.last().is_none_or(|(_, last)| last != cause) {
                words.push((second, *cause));
            }
        }
        words
    }
}

const ALONE: (f64, f64) = (300.0, 0.0);

#[test]
fn what_packets_prove_is_said_at_once() {
    let proven = Cause::Attack(Attack::SynFlood);
    assert_eq!(Story::default().says(3, &[proven], ALONE).words(), [(0, proven)]);
}

#[test]
fn an_attack_by_behaviour_is_leaning_until_it_has_stood() {
    let story = Story::default().says(12, &[FLOOD], ALONE);
    assert_eq!(story.words(), [(0, LEANING), (40, FLOOD)]);
}

#[test]
fn that_it_is_few_counts_before_it_shows_what_they_mean() {
    let story = Story::default().says(2, &[Cause::HeavyClient], ALONE).says(6, &[FLOOD], ALONE);
    assert_eq!(story.words(), [(0, LEANING), (40, FLOOD)]);
}

#[test]
fn few_alone_wait_while_everybody_else_is_on_the_rise() {
    let crowd = [Cause::HeavyClient, Cause::FlashCrowd];
    let heavy = [Cause::HeavyClient];
    let story = Story::default().says(5, &heavy, ALONE).says(3, &heavy, (300.0, 90.0));
    assert_eq!(story.says(6, &crowd, (300.0, 150.0)).words(), [(0, LEANING), (100, Cause::Mixed)]);
    let alone = Story::default().says(9, &heavy, ALONE);
    assert_eq!(alone.words(), [(0, LEANING), (60, Cause::HeavyClient)]);
}

#[test]
fn few_alone_wait_while_people_gather_though_they_are_hardly_served() {
    let gathering = Story { gathers: true, ..Story::default() };
    let story = gathering.says(5, &[FLOOD], ALONE).says(4, &[FLOOD, Cause::FlashCrowd], ALONE);
    assert_eq!(story.words(), [(0, LEANING), (70, Cause::Mixed)]);
    let gathering = Story { gathers: true, ..Story::default() };
    assert_eq!(gathering.says(9, &[FLOOD], ALONE).words(), [(0, LEANING), (60, FLOOD)], "not for ever");
}

#[test]
fn a_first_guess_is_never_said() {
    let glitch = Cause::Glitch(Glitch::Backend);
    let story = Story::default().says(1, &[Cause::FlashCrowd], ALONE).says(4, &[glitch], ALONE);
    let guesses = [Unknown::LeaningFlashCrowd, Unknown::LeaningGlitch].map(Cause::Unknown);
    assert_eq!(story.words(), [(0, guesses[0]), (10, guesses[1]), (20, glitch)]);
}

#[test]
fn a_verdict_gives_way_only_to_one_that_stays() {
    let glitch = Cause::Glitch(Glitch::Backend);
    let story = Story::default().says(2, &[glitch], ALONE).says(5, &[FLOOD], ALONE);
    let story = story.says(1, &[glitch], ALONE).says(3, &[LEANING], ALONE);
    assert_eq!(story.words(), [(0, Cause::Unknown(Unknown::LeaningGlitch)), (10, glitch)]);
    assert!(story.standing.last(FLOOD).is_some_and(|(verdict, _)| verdict.cause == glitch));
    let words = story.says(9, &[FLOOD], ALONE).words();
    assert_eq!(words.last(), Some(&(170, FLOOD)));
}

#[test]
fn what_comes_beside_what_was_said_is_said_sooner_than_what_comes_instead() {
    let beside = [Cause::FlashCrowd, FLOOD];
    let story = Story::default().says(3, &[Cause::FlashCrowd], ALONE).says(5, &beside, ALONE);
    assert_eq!(story.words().last(), Some(&(60, Cause::Mixed)));
}

#[test]
fn what_was_never_decided_is_decided_by_the_last_look() {
    let story = Story::default().says(2, &[FLOOD], ALONE);
    assert!(!story.standing.is_decided());
    assert!(story.standing.last(FLOOD).is_none());
}
