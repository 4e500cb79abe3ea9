//! The scenarios that are scored: which, with which seeds and settings. Comes in: nothing but constants. Goes out: the
//! outcome of each of their episodes, and what the reference detectors did.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bongsu::detect::rule::{Evidence, Weights};
use bongsu::synth::world::{SCENARIOS, Story, USUAL_JITTER, USUAL_RATE};

use crate::play::play;
use crate::references::{Pages, pages};
use crate::score::{Outcome, Stray, outcomes};

/// Seeds that weights are fitted on.
pub const FITTED: std::ops::RangeInclusive<u64> = 1..=10;

/// Seeds that nothing was fitted on.
pub const HELD_OUT: std::ops::RangeInclusive<u64> = 101..=110;

/// Scenarios that stand for all where the settings are varied: one of each cause.
const CORE: [&str; 10] = [
    "benign-day",
    "flash-crowd",
    "healthy-crowd",
    "http-flood",
    "quiet-flood",
    "syn-flood",
    "slowloris",
    "server-down",
    "slow-backend",
    "founding-case",
];

/// One scenario with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    pub scenario: &'static str,
    pub seed: u64,
    /// Ordinary requests a second.
    pub rate: f64,
    /// How far parameters are drawn from their usual values.
    pub jitter: f64,
    pub begin: Begin,
    pub wire: Wire,
    pub without: Without,
}

/// How long it is ordinary before something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    Warm,
    /// Less than a minute.
    Cold,
}

/// What the mirror can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Plain,
    Tls,
}

/// What is left out of the judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    Nothing,
    /// Whether clients and networks were there before.
    Novelty,
    /// Whether, when and at which load the service broke.
    Health,
    /// That few and many are judged apart.
    Cohorts,
}

impl Without {
    /// The shipped weights with this left out.
    fn weights(self) -> Weights {
        let mut weights = Weights::builtin();
        weights.demands.split = self != Self::Cohorts;
        for evidence in self.evidence() {
            weights.evidence.remove(evidence);
        }
        weights
    }

    const fn evidence(self) -> &'static [Evidence] {
        match self {
            Self::Nothing | Self::Cohorts => &[],
            Self::Novelty => &[Evidence::KnownNetworks, Evidence::NewNetworks],
            Self::Health => &[
                Evidence::FailsUnloaded,
                Evidence::BrokeFirst,
                Evidence::LoadFirst,
                Evidence::Unanswered,
                Evidence::LargeLost,
            ],
        }
    }
}

/// What came of one run.
#[derive(Debug, Clone)]
pub struct Scored {
    pub run: Run,
    pub outcomes: Vec<Outcome>,
    /// Incidents above low that belong to no episode.
    pub stray: Vec<Stray>,
    pub pages: Vec<Pages>,
    /// Pages of the two reference detectors outside of all episodes.
    pub stray_pages: [usize; 2],
}

/// A set of runs with a name.
pub struct Set {
    pub name: &'static str,
    pub runs: Vec<Run>,
}

impl Run {
    const fn of(scenario: &'static str, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            rate: USUAL_RATE,
            jitter: USUAL_JITTER,
            begin: Begin::Warm,
            wire: Wire::Plain,
            without: Without::Nothing,
        }
    }

    fn story(self) -> Story {
        let story = Story::named(self.scenario).unwrap().seed(self.seed);
        let story = story.rate(self.rate).jitter(self.jitter);
        let story = if self.wire == Wire::Tls { story.sealed() } else { story };
        if self.begin == Begin::Cold { story.cold() } else { story }
    }

    /// Plays and scores it.
    pub fn score(self) -> Scored {
        let played = play(&self.story(), &self.without.weights());
        let (outcomes, stray) = outcomes(&played);
        let (pages, stray_pages) = pages(&played);
        Scored { run: self, outcomes, stray, pages, stray_pages }
    }
}

/// Every scenario with these seeds.
pub fn all(seeds: impl Iterator<Item = u64> + Clone) -> Vec<Run> {
    let names = SCENARIOS.iter().map(|scenario| scenario.name);
    names.flat_map(|name| seeds.clone().map(move |seed| Run::of(name, seed))).collect()
}

/// The settings that are varied, each on the core scenarios and two held-out seeds.
pub fn varied() -> Vec<Set> {
    let core = |change: &dyn Fn(Run) -> Run| -> Vec<Run> {
        let runs = CORE.iter().flat_map(|name| HELD_OUT.take(2).map(move |seed| Run::of(name, seed)));
        runs.map(change).collect()
    };
    vec![
        Set { name: "as usual", runs: core(&|run| run) },
        Set { name: "parameters as written (no jitter)", runs: core(&|run| Run { jitter: 0.0, ..run }) },
        Set { name: "parameters within ±60 %", runs: core(&|run| Run { jitter: 0.6, ..run }) },
        Set { name: "5 requests/s", runs: core(&|run| Run { rate: 5.0, ..run }) },
        Set { name: "100 requests/s", runs: core(&|run| Run { rate: 100.0, ..run }) },
        Set { name: "TLS", runs: core(&|run| Run { wire: Wire::Tls, ..run }) },
        Set { name: "cold start", runs: core(&|run| Run { begin: Begin::Cold, ..run }) },
    ]
}

/// All scenarios with two held-out seeds, judged as usual and with something left out.
pub fn ablations() -> Vec<Set> {
    let set = |name, without| {
        let runs = all(HELD_OUT.take(2)).into_iter().map(|run| Run { without, ..run });
        Set { name, runs: runs.collect() }
    };
    vec![
        set("whole", Without::Nothing),
        set("without novelty", Without::Novelty),
        set("without health", Without::Health),
        set("without cohorts", Without::Cohorts),
    ]
}

/// The runs at 500 requests/s: few, since each has some millions of packets.
pub fn busy() -> Set {
    let runs =
        ["benign-day", "flash-crowd", "http-flood"].map(|name| Run { rate: 500.0, ..Run::of(name, 101) });
    Set { name: "500 requests/s", runs: runs.to_vec() }
}

/// Plays runs, as many at a time as the machine has cores; in their order.
pub fn score(runs: &[Run]) -> Vec<Scored> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, scored) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(run) = runs.get(place) else { return };
                    let one = run.score();
                    scored.lock().unwrap().insert(place, one);
                }
            });
        }
    });
    scored.into_inner().unwrap().into_values().collect()
}
