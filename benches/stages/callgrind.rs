//! Instructions of each stage, counted by callgrind: this program runs itself under it, once for each workload.
//! Comes in: a capture. Goes out: a [`Figure`] for each stage.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::figures::Figure;
use crate::workloads::Workload;
use crate::{ONCE, Stage, Units};

/// Runs of which each function's least count is taken: now and then the system makes one of them a little dearer.
const RUNS: usize = 3;

/// Counts the instructions of all stages over a capture.
pub fn count(workload: Workload, capture: &Path, folder: &Path) -> io::Result<Vec<Figure>> {
    let profile = folder.join(format!("callgrind.{}", workload.name()));
    let (units, mut costs) = run(capture, &profile)?;
    for _ in 1..RUNS {
        costs.keep_least(run(capture, &profile)?.1);
    }
    let figure = |stage: Stage| Figure {
        stage: stage.name().to_owned(),
        workload: workload.name().to_owned(),
        unit: stage.unit().to_owned(),
        count: stage.count(&units),
        instructions: costs.of_stage(stage),
    };
    let figures: Vec<Figure> = Stage::ALL.into_iter().map(figure).collect();
    // A workload without an alert tells nothing of what writing one costs.
    Ok(figures.into_iter().filter(|figure| figure.count > 0).collect())
}

/// Runs this program under callgrind.
fn run(capture: &Path, profile: &Path) -> io::Result<(Units, Calls)> {
    let counted = valgrind()
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(env::current_exe()?)
        .arg(ONCE)
        .arg(capture)
        .output()
        .map_err(|error| io::Error::other(format!("valgrind: {error} (sh .ci/setup count)")))?;
    if !counted.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&counted.stderr).into_owned()));
    }
    let units = units(&String::from_utf8_lossy(&counted.stdout))?;
    Ok((units, Calls::of(&fs::read_to_string(profile)?)))
}

/// Addresses are part of the seeds of hash maps, so they are the same in each run where the system allows that.
fn valgrind() -> Command {
    let fixed = Command::new("setarch").args(["-R", "true"]).status();
    if !fixed.is_ok_and(|status| status.success()) {
        return Command::new("valgrind");
    }
    let mut command = Command::new("setarch");
    command.args(["-R", "valgrind"]);
    command
}

/// What the run has said of itself.
fn units(said: &str) -> io::Result<Units> {
    let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [packets, clients, ticks, alerts] => {
            Ok(Units { packets: *packets, clients: *clients, ticks: *ticks, alerts: *alerts })
        }
        _ => Err(io::Error::other(format!("four numbers were expected: {said}"))),
    }
}

/// Instructions of calls to the functions of `passes`, what they call included.
struct Calls(BTreeMap<String, u64>);

/// The part of a function's name that callgrind writes for everything in that module.
const MODULE: &str = "passes::";

impl Calls {
    /// Reads a profile without compressed names: `cfn=NAME` says who is called, `calls=` how often, and the line after
    /// that its position and its cost.
    fn of(profile: &str) -> Self {
        let mut calls = BTreeMap::new();
        let (mut called, mut is_cost) = (None, false);
        for line in profile.lines() {
            if let Some(name) = line.strip_prefix("cfn=") {
                called = name.contains(MODULE).then(|| name.to_owned());
            } else if line.starts_with("calls=") {
                is_cost = true;
            } else if std::mem::take(&mut is_cost)
                && let (Some(name), Some(cost)) = (called.take(), last_number(line))
            {
                *calls.entry(name).or_default() += cost;
            }
        }
        Self(calls)
    }

    /// Keeps the lesser count of each function.
    fn keep_least(&mut self, other: Self) {
        for (name, cost) in other.0 {
            self.0.entry(name).and_modify(|least| *least = cost.min(*least)).or_insert(cost);
        }
    }

    /// All calls to functions whose name contains each of `parts`.
    fn to(&self, parts: &[&str]) -> u64 {
        let named = |name: &str| parts.iter().all(|part| name.contains(part));
        self.0.iter().filter(|(name, _)| named(name)).map(|(_, cost)| cost).sum()
    }

    fn of_stage(&self, stage: Stage) -> u64 {
        let (read, decoded) = (self.to(&["pass_read"]), self.to(&["pass_decode"]));
        let (followed, summed) = (self.to(&["pass_flow"]), self.to(&["pass_aggregate"]));
        let closed = |who: &str| self.to(&[who, "Told>::close"]);
        let (quietly, closed) = (closed("passes::Nobody as"), closed("passes::Sums as"));
        match stage {
            Stage::Read => read,
            Stage::Decode => decoded.saturating_sub(read),
            Stage::Flow => followed.saturating_sub(decoded + quietly),
            Stage::Aggregate => {
                (summed.saturating_sub(closed)).saturating_sub(followed.saturating_sub(quietly))
            }
            Stage::TickClose => closed,
            Stage::Attribute => self.to(&["passes::attribute"]),
            Stage::Detect => self.to(&["passes::detect"]),
            Stage::Format => self.to(&["passes::format"]),
        }
    }
}

fn last_number(line: &str) -> Option<u64> {
    line.split_whitespace().last()?.parse().ok()
}
