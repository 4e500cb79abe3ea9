//! The committed figures, and whether the counted ones are as good. Comes in: figures. Goes out: a table, and an error
//! where a stage takes noticeably more instructions than committed. `UPDATE=1` commits what was counted.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::workloads::Workload;
use crate::{Stage, page};

/// Instructions of one stage on one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    pub stage: String,
    pub workload: String,
    /// What there were `count` of.
    pub unit: String,
    pub count: u64,
    pub instructions: u64,
}

/// How much more is too much: what differs between two runs of the same program is three times less, and mostly ten.
const TOLERANCE: f64 = 0.03;

impl Figure {
    /// Instructions for each of its units.
    pub fn each(&self) -> f64 {
        self.instructions as f64 / self.count.max(1) as f64
    }

    fn is_same_as(&self, other: &Self) -> bool {
        (&self.stage, &self.workload) == (&other.stage, &other.workload)
    }

    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [stage, workload, unit, count, instructions] = words.as_slice() else { return None };
        let own = |word: &&str| (*word).to_owned();
        let (count, instructions) = (count.parse().ok()?, instructions.parse().ok()?);
        Some(Self { stage: own(stage), workload: own(workload), unit: own(unit), count, instructions })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, workload, unit, count, instructions } = self;
        write!(out, "{stage:<12} {workload:<12} {unit:<8} {count:>10} {instructions:>14}")
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/stages/figures.txt")
}

/// Compares, or writes where that is wanted.
pub fn judge(counted: &[Figure]) -> io::Result<()> {
    if env::var_os("UPDATE").is_some_and(|update| !update.is_empty()) {
        fs::write(file(), written(counted))?;
        println!("{}", compared(counted, counted).0);
        return page::replace(&page::page(), "stages", &told(counted));
    }
    let committed: Vec<Figure> = fs::read_to_string(file())?.lines().filter_map(Figure::read).collect();
    let (table, worse) = compared(counted, &committed);
    println!("{table}");
    if worse.is_empty() {
        return Ok(());
    }
    let why = "more than 3 % above the committed figures; where that is accepted: make bench-ci UPDATE=1";
    Err(io::Error::other(format!("{}: {why}", worse.join(", "))))
}

/// A table with a row for each stage and a column for each workload.
fn told(counted: &[Figure]) -> String {
    let cell = |stage: Stage, workload: Workload| {
        let is_it = |figure: &&Figure| figure.stage == stage.name() && figure.workload == workload.name();
        let each = counted.iter().find(is_it).map(Figure::each);
        each.map_or(String::new(), |each| page::thousands(each.round() as u64))
    };
    let row = |stage: Stage| {
        let cells = Workload::ALL.into_iter().map(|workload| cell(stage, workload));
        [stage.name().to_owned(), stage.unit().to_owned()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = Stage::ALL.into_iter().map(row).collect();
    page::table(&["stage", "instructions for each", "web-mix", "syn-flood", "http-flood"], &rows)
}

fn written(counted: &[Figure]) -> String {
    let head = "# Instructions of each stage on each workload, counted by callgrind: make bench-ci UPDATE=1 writes them.\n\
                # stage      workload     of            count   instructions\n";
    let lines: Vec<String> = counted.iter().map(|figure| format!("{figure}\n")).collect();
    format!("{head}{}", lines.concat())
}

/// A table, and the stages that take too many instructions, or that nobody has committed figures of.
fn compared(counted: &[Figure], committed: &[Figure]) -> (String, Vec<String>) {
    let (mut table, mut worse) = (String::new(), Vec::new());
    for figure in counted {
        let name = format!("{} on {}", figure.stage, figure.workload);
        let each = figure.each();
        let before = committed.iter().find(|committed| committed.is_same_as(figure)).map(Figure::each);
        let change = before.map(|before| each / before - 1.0);
        let said = change.map_or("not committed".to_owned(), |change| format!("{:+.2} %", change * 100.0));
        table.push_str(&format!("{name:<24} {each:>14.1} instructions a {:<7} {said}\n", figure.unit));
        if change.is_none_or(|change| change > TOLERANCE) {
            worse.push(name);
        }
    }
    (table, worse)
}
