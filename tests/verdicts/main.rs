//! Whether the verdicts are right: captures that nobody here made, and scenarios whose truth is known.
//!
//! `make verdicts` scores both, writes `docs/verdicts.md` and fails where a demand is missed. The captures are found in
//! `../shared/captures` or in `BONGSU_CAPTURES`; without them their part is not run, and it says so. What is demanded of
//! captures stands as data in `demands.rs`, of scenarios in their truth.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod captures;
mod corpus;
mod demands;
mod fit;
mod page;
mod play;
mod references;
mod said;
mod scenarios;
mod score;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
mod truth;

use std::path::Path;

use corpus::Corpus;
use page::Figures;

#[test]
#[ignore = "replays all shared captures and plays hundreds of scenarios; `make verdicts` does"]
fn verdicts() {
    let captures = Corpus::open().map(|corpus| captures::judge(&corpus)).unwrap_or_default();
    println!("\n{}", captures::summary(&captures));
    let held_out = scenarios::score(&scenarios::all(scenarios::HELD_OUT));
    let mut page = INTRODUCTION.to_owned() + &page::held_out(&held_out);
    let sets = scenarios::varied().into_iter().chain([scenarios::busy()]);
    let scored = |set: scenarios::Set| (set.name, scenarios::score(&set.runs));
    page += &page::varied("Other settings", VARIED, &sets.map(scored).collect::<Vec<_>>());
    let ablations: Vec<_> = scenarios::ablations().into_iter().map(scored).collect();
    page += &page::varied("What each part is worth", ABLATIONS, &ablations);
    write("docs/verdicts.md", &(page.clone() + "\n" + &captures::section(&captures)));
    println!("{page}");
    let missed = [captures::missed(&captures), Figures::of(&held_out).missed()].concat();
    assert_eq!(missed, [""; 0], "demands that are not met");
}

#[test]
fn nothing_above_low_is_said_of_benign_captures() {
    let Some(mut corpus) = Corpus::open() else { return };
    corpus.0.retain(|capture| capture.category == "benign-web");
    assert_eq!(captures::missed(&captures::judge(&corpus)), [""; 0]);
}

/// One scenario by its name and seed, for a closer look: `BONGSU_SCENARIO=http-flood:101`; all of them, a line each,
/// with `all:1-10`.
#[test]
#[ignore = "for a closer look at one scenario"]
fn one_scenario() {
    let Ok(wanted) = std::env::var("BONGSU_SCENARIO") else { return support::not_run("no BONGSU_SCENARIO") };
    let (name, seeds) = wanted.split_once(':').unwrap_or((&wanted, "101"));
    let (first, last) = seeds.split_once('-').unwrap_or((seeds, seeds));
    let mut runs = scenarios::all(first.parse().unwrap()..=last.parse().unwrap());
    runs.retain(|run| run.scenario == name || name == "all");
    for scored in scenarios::score(&runs) {
        match scored.run {
            run if runs.len() > 1 => println!("{}", page::line(&scored, run)),
            run => println!("{run:?}\n{:#?}\n{:#?}", scored.outcomes, scored.stray),
        }
    }
}

/// Writes a file of the project.
fn write(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const INTRODUCTION: &str = "# Verdicts

`make verdicts` writes this page: it plays scenarios whose truth is known and replays captures that nobody here made, and
holds what is said of them against what is right. The scenarios are of our own making; how other servers, clients and
networks behave they only resemble.

";

const ABLATIONS: &str = "All scenarios with the first two held-out seeds, judged with a part left out: *novelty* is whether networks were there\n\
     before, *health* when and at which load the service broke, *cohorts* that the few who stand out are judged apart from\n\
     the many.";

const VARIED: &str = "One scenario of each cause, with the first two held-out seeds, under other settings than the usual ones (30 ordinary\n\
     requests/s, parameters within ±30 %, cleartext, a warm-up of some minutes).";
