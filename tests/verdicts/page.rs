//! The sections of `docs/verdicts.md` on scenarios. Comes in: what came of the runs. Goes out: text that depends on the
//! program and the seeds only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::references::{Pages, area, by_label};
use crate::scenarios::{FITTED, HELD_OUT, Run, Scored};
use crate::score::Outcome;

/// The figures over some runs.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub episodes: usize,
    pub labels: f64,
    pub kinds: f64,
    pub swaps: usize,
    pub crowds_blamed: usize,
    pub unknown: f64,
    pub calibration_error: f64,
    pub precision: f64,
    pub recall: f64,
    pub share_error: f64,
    pub flaps: usize,
    pub stray: usize,
    /// Episodes where somebody is blamed though nobody can be.
    pub blamed: usize,
    /// Episodes of which several incidents tell.
    pub split: usize,
    pub detected: f64,
    pub decided: f64,
}

impl Figures {
    /// The figures of these runs.
    pub fn of(scored: &[Scored]) -> Self {
        let outcomes: Vec<&Outcome> = scored.iter().flat_map(|run| &run.outcomes).collect();
        let part =
            |is: &dyn Fn(&Outcome) -> bool| mean(outcomes.iter().map(|one| f64::from(u8::from(is(one)))));
        let count = |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|one| is(one)).count();
        let origins = || outcomes.iter().filter_map(|one| one.origins);
        let decided: Vec<&&Outcome> = outcomes.iter().filter(|one| !one.unknown_is_right).collect();
        Self {
            episodes: outcomes.len(),
            labels: part(&|one| one.label_right),
            kinds: part(&|one| one.kind_right),
            swaps: count(&is_swap),
            crowds_blamed: count(&|one| {
                one.true_label == "flash_crowd" && one.said_label == "attack" && one.confidence >= 0.8
            }),
            unknown: mean(decided.iter().map(|one| f64::from(u8::from(one.said_label == "unknown")))),
            calibration_error: calibration_error(&outcomes),
            precision: mean(origins().map(|(precision, _)| precision)),
            recall: mean(origins().map(|(_, recall)| recall)),
            share_error: mean(outcomes.iter().filter_map(|one| one.share_error)),
            flaps: outcomes.iter().map(|one| one.flaps).sum(),
            stray: scored.iter().map(|run| run.stray.len()).sum(),
            blamed: count(&|one| one.blames),
            split: count(&|one| one.more > 0),
            detected: part(&|one| {
                one.detect_within.is_none_or(|within| one.detected.is_some_and(|took| took <= within))
            }),
            decided: part(&|one| {
                one.decide_within.is_none_or(|within| one.decided.is_some_and(|took| took <= within))
            }),
        }
    }

    /// What is missed of what is demanded of seeds that were not used for fitting.
    pub fn missed(&self) -> Vec<String> {
        let demands = [
            (self.labels >= 0.95, format!("label right in {}", percent(self.labels))),
            (self.kinds >= 0.90, format!("kind right in {}", percent(self.kinds))),
            (self.swaps == 0, format!("{} swaps of attack and glitch", self.swaps)),
            (self.crowds_blamed == 0, format!("{} crowds called attack", self.crowds_blamed)),
            (self.unknown <= 0.10, format!("unknown in {}", percent(self.unknown))),
            (self.calibration_error <= 0.08, format!("calibration error {:.3}", self.calibration_error)),
            (self.precision >= 0.95, format!("precision of origins {:.3}", self.precision)),
            (self.recall >= 0.95, format!("recall of origins {:.3}", self.recall)),
            (self.share_error <= 0.10, format!("shares differ by {}", percent(self.share_error))),
            (self.flaps == 0, format!("{} flaps", self.flaps)),
            (self.blamed == 0, format!("{} attacks of forged or abused sources blame somebody", self.blamed)),
            (self.stray == 0, format!("{} incidents above low without an episode", self.stray)),
        ];
        demands.into_iter().filter(|(met, _)| !met).map(|(_, what)| what).collect()
    }

    fn cells(&self) -> String {
        format!(
            "{} | {} | {} | {} | {} | {} | {:.3} | {:.2} / {:.2} | {} | {} | {}",
            self.episodes,
            percent(self.labels),
            percent(self.kinds),
            self.swaps,
            self.crowds_blamed,
            percent(self.unknown),
            self.calibration_error,
            self.precision,
            self.recall,
            percent(self.share_error),
            self.flaps,
            self.stray,
        )
    }
}

/// What came of a run, in a line for each episode.
pub fn line(scored: &Scored, run: Run) -> String {
    let mut lines: Vec<String> = Vec::new();
    for one in &scored.outcomes {
        let trail: Vec<String> = one.trail.iter().map(|(at, word)| format!("{at:.0} {word}")).collect();
        let is_late = |took: Option<f64>, within: Option<f64>| {
            within.is_some_and(|within| took.is_none_or(|took| took > within))
        };
        let notes = [
            ("WRONG", !one.kind_right),
            ("FLAP", one.flaps > 0),
            ("LATE", is_late(one.detected, one.detect_within)),
            ("SLOW", is_late(one.decided, one.decide_within)),
        ];
        let notes: Vec<&str> = notes.iter().filter(|(_, is)| *is).map(|(note, _)| *note).collect();
        lines.push(format!(
            "{}:{} {} | {} | {:?} {:?} | {:.2} | {}",
            run.scenario,
            run.seed,
            one.truth,
            trail.join(", "),
            one.detected,
            one.decided,
            one.confidence,
            notes.join(" ")
        ));
    }
    lines.extend(scored.stray.iter().map(|stray| format!("{}:{} STRAY {stray:?}", run.scenario, run.seed)));
    lines.join("\n")
}

const TITLES: &str = "| | episodes | label right | kind right | attack and glitch swapped | crowds called attack | \
unknown | calibration error | origins, precision / recall | shares differ by | flaps | incidents without an episode |\n\
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";

/// The section on the held-out seeds.
pub fn held_out(scored: &[Scored]) -> String {
    let (figures, mut page) = (Figures::of(scored), String::new());
    let _ = write!(
        page,
        "## Scenarios\n\nEach scenario of `bongsu synth --list` is played with the held-out seeds {} to {}; weights and limits were \
         fitted on\nthe seeds {} to {}. An episode is judged by the last word on the worst incident of its time and service.\n\n",
        HELD_OUT.start(),
        HELD_OUT.end(),
        FITTED.start(),
        FITTED.end()
    );
    let _ = writeln!(page, "{TITLES}| held-out seeds | {} |", figures.cells());
    let missed = figures.missed();
    let missed = if missed.is_empty() { "nothing".to_owned() } else { missed.join("; ") };
    let _ = write!(page, "\nMissed of what is demanded: {missed}.\n");
    let _ = write!(
        page,
        "\n{} of the episodes are detected in the time that their truth allows, {} decided; of {} several incidents tell.\n",
        percent(figures.detected),
        percent(figures.decided),
        figures.split
    );
    page + &confusion(scored) + &by_scenario(scored) + &reliability(scored) + &references(scored)
}

/// A table of variations.
pub fn varied(title: &str, introduction: &str, sets: &[(&str, Vec<Scored>)]) -> String {
    let mut page = format!("\n### {title}\n\n{introduction}\n\n{TITLES}");
    for (name, scored) in sets {
        let _ = writeln!(page, "| {name} | {} |", Figures::of(scored).cells());
    }
    page
}

fn confusion(scored: &[Scored]) -> String {
    let outcomes: Vec<&Outcome> = scored.iter().flat_map(|run| &run.outcomes).collect();
    let said: BTreeSet<&str> = outcomes.iter().map(|one| one.said_label.as_str()).collect();
    let mut rows: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for one in &outcomes {
        *rows.entry(&one.true_label).or_default().entry(&one.said_label).or_default() += 1;
    }
    let heads: Vec<&str> = said.iter().copied().collect();
    let mut page = format!("\n### What is true, and what is said\n\n| true | {} |\n", heads.join(" | "));
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(heads.len()));
    for (truth, row) in rows {
        let cells: Vec<String> =
            said.iter().map(|label| row.get(label).map_or(String::new(), usize::to_string)).collect();
        let _ = writeln!(page, "| {truth} | {} |", cells.join(" | "));
    }
    page
}

fn by_scenario(scored: &[Scored]) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    let mut benign: BTreeMap<&str, Vec<&Scored>> = BTreeMap::new();
    for run in scored {
        for one in &run.outcomes {
            groups.entry((&one.scenario, &one.truth)).or_default().push(one);
        }
        if run.outcomes.is_empty() {
            benign.entry(run.run.scenario).or_default().push(run);
        }
    }
    let mut page = String::from(
        "\n### By scenario\n\nTimes in seconds, median and worst: from the begin to the first alert, and from there to the verdict that \
         is right and\nstays.\n\n| scenario | true | label right | kind right | said | detected | decided | origins |\n\
         | --- | --- | ---: | ---: | --- | ---: | ---: | ---: |\n",
    );
    for ((scenario, truth), list) in groups {
        let count = |is: &dyn Fn(&Outcome) -> bool| list.iter().filter(|one| is(one)).count();
        let origins: Vec<(f64, f64)> = list.iter().filter_map(|one| one.origins).collect();
        let origins = match origins.is_empty() {
            true => String::new(),
            false => format!(
                "{:.2} / {:.2}",
                mean(origins.iter().map(|one| one.0)),
                mean(origins.iter().map(|one| one.1))
            ),
        };
        let _ = writeln!(
            page,
            "| {scenario} | {truth} | {} of {} | {} | {} | {} | {} | {origins} |",
            count(&|one| one.label_right),
            list.len(),
            count(&|one| one.kind_right),
            words(&list),
            times(list.iter().map(|one| one.detected)),
            times(list.iter().map(|one| one.decided)),
        );
    }
    for (scenario, runs) in benign {
        let stray: usize = runs.iter().map(|run| run.stray.len()).sum();
        let _ = writeln!(
            page,
            "| {scenario} | nothing | {} of {} | | {stray} above low | | | |",
            quiet(&runs),
            runs.len()
        );
    }
    page
}

fn quiet(runs: &[&Scored]) -> usize {
    runs.iter().filter(|run| run.stray.is_empty()).count()
}

/// What was said, most often first.
fn words(list: &[&Outcome]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in list {
        *counts.entry(if one.said.is_empty() { "nothing" } else { &one.said }).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<String> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
    words.join(", ")
}

/// Median and worst; how many have none.
fn times(times: impl Iterator<Item = Option<f64>>) -> String {
    let all: Vec<Option<f64>> = times.collect();
    let mut known: Vec<f64> = all.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let never = all.len() - known.len();
    let never = if never > 0 { format!(", never {never}") } else { String::new() };
    match known.last() {
        None => "never".to_owned(),
        Some(worst) => format!("{:.0}, {worst:.0}{never}", known[known.len() / 2]),
    }
}

/// Ten bins of confidence: how sure, and how often right.
fn reliability(scored: &[Scored]) -> String {
    let outcomes: Vec<&Outcome> = scored.iter().flat_map(|run| &run.outcomes).collect();
    let mut page = String::from(
        "\n### How sure, and how often right\n\n| confidence | verdicts | mean | right |\n| --- | ---: | ---: | ---: |\n",
    );
    for (bin, list) in bins(&outcomes) {
        let _ = writeln!(
            page,
            "| {:.1} to {:.1} | {} | {:.2} | {:.2} |",
            f64::from(bin) / 10.0,
            f64::from(bin + 1) / 10.0,
            list.len(),
            mean(list.iter().map(|one| one.confidence)),
            mean(list.iter().map(|one| f64::from(u8::from(one.label_right)))),
        );
    }
    page
}

fn bins<'a>(outcomes: &[&'a Outcome]) -> BTreeMap<u8, Vec<&'a Outcome>> {
    let mut bins: BTreeMap<u8, Vec<&Outcome>> = BTreeMap::new();
    for one in outcomes.iter().filter(|one| !one.said.is_empty() && one.said_label != "unknown") {
        bins.entry(((one.confidence * 10.0) as u8).min(9)).or_default().push(one);
    }
    bins
}

/// The expected calibration error: how far confidence is from being right, by bin, weighted by verdicts
/// (Naeini and others 2015). Verdicts that decide nothing are left out.
fn calibration_error(outcomes: &[&Outcome]) -> f64 {
    let bins = bins(outcomes);
    let all: usize = bins.values().map(Vec::len).sum();
    let part = |list: &Vec<&Outcome>| {
        let sure = mean(list.iter().map(|one| one.confidence));
        let right = mean(list.iter().map(|one| f64::from(u8::from(one.label_right))));
        (sure - right).abs() * list.len() as f64 / all.max(1) as f64
    };
    bins.values().map(part).fold(0.0, |sum, part| sum + part)
}

fn references(scored: &[Scored]) -> String {
    let pages: Vec<Pages> = scored.iter().flat_map(|run| run.pages.clone()).collect();
    let stray =
        scored.iter().fold([0, 0], |sum, run| [sum[0] + run.stray_pages[0], sum[1] + run.stray_pages[1]]);
    let mut page = String::from(REFERENCES);
    for (label, [episodes, source, service]) in by_label(&pages) {
        let _ = writeln!(page, "| {label} | {episodes} | {source} | {service} |");
    }
    let _ = writeln!(page, "| outside of all | | {} | {} |", stray[0], stray[1]);
    let growth = |label: &str, of: &dyn Fn(&Pages) -> f64| -> Vec<f64> {
        pages.iter().filter(|page| page.label == label).map(of).collect()
    };
    let areas = [
        ("packets", &(|page: &Pages| page.packets) as &dyn Fn(&Pages) -> f64),
        ("flows", &|page: &Pages| page.flows),
    ]
    .map(|(what, of)| format!("{:.2} by {what}", area(&growth("attack", of), &growth("flash_crowd", of))));
    let _ = writeln!(
        page,
        "\nOne that sees only how many times the warm-up's packets and flows per second there are ranks an attack above \
         a crowd\nwith a probability of {} (area under the ROC curve; 0.5 is chance).",
        areas.join(" and ")
    );
    page
}

/// Whether an attack was called a glitch, or a glitch an attack.
fn is_swap(one: &Outcome) -> bool {
    matches!((one.true_label.as_str(), one.said_label.as_str()), ("attack", "glitch") | ("glitch", "attack"))
        && !one.label_right
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

const REFERENCES: &str = "
### Beside two other detectors

Both are set on each scenario's own warm-up, at three times its 99th percentile: one limits new flows per source and ten
seconds, the other packets per service and second. They say when, not what: a page in a crowd or an outage is a false
one.

| true | episodes | paged by source | paged by service |
| --- | ---: | ---: | ---: |
";
