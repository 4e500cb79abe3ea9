//! What came of the comparisons: a line for each on standard output, and the page `docs/agreement.md`, which depends on
//! the captures and the program only.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::compare::Comparison;

/// How much of what one source expects is met.
#[derive(Debug, Clone)]
pub struct Tally {
    pub source: &'static str,
    /// What one row is.
    pub rows_are: &'static str,
    pub captures: usize,
    pub rows: usize,
    /// Rows that agree with a flow or a value of ours.
    pub matched: usize,
    /// Rows whose packets are all there, in flows that are divided at other times. Where a source keeps no states they
    /// count as matched.
    pub divided: usize,
    /// Per cent of the rows that must be matched.
    pub floor: Option<f64>,
    pub differences: Vec<Difference>,
    /// Rows that are named and do not count.
    pub left_out: Vec<Difference>,
}

impl Tally {
    /// A tally of no rows yet.
    pub fn new(source: &'static str, rows_are: &'static str, floor: Option<f64>) -> Self {
        let (differences, left_out) = (Vec::new(), Vec::new());
        Self { source, rows_are, captures: 0, rows: 0, matched: 0, divided: 0, floor, differences, left_out }
    }

    /// Adds what came of one capture.
    pub fn add(&mut self, comparison: Comparison) {
        self.captures += 1;
        self.rows += comparison.rows;
        self.matched += comparison.matched;
        self.divided += comparison.divided;
        self.differences.extend(comparison.differences);
    }

    /// Per cent of the rows that are matched.
    fn share(&self) -> f64 {
        if self.rows == 0 { 100.0 } else { 100.0 * (self.matched + self.divided) as f64 / self.rows as f64 }
    }

    fn is_missed(&self) -> bool {
        self.floor.is_some_and(|floor| self.share() < floor)
    }

    /// The cells of its row in the table.
    fn cells(&self) -> [String; 7] {
        let floor = self.floor.map_or_else(|| "none".to_owned(), |floor| format!("{floor} %"));
        let share = if self.rows == 0 {
            "not run".to_owned()
        } else {
            format!("{:.1} %", rounded_down(self.share()))
        };
        [
            format!("{}: {}", self.source, self.rows_are),
            self.captures.to_string(),
            self.rows.to_string(),
            self.matched.to_string(),
            self.divided.to_string(),
            share,
            floor,
        ]
    }
}

/// A row that is not as its source expects.
#[derive(Debug, Clone)]
pub struct Difference {
    pub capture: String,
    pub theirs: String,
    pub ours: String,
    pub reason: Reason,
}

/// Why a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Packets are joined into flows by other time-outs.
    TimeOut(&'static str),
    /// The words mean something else to them.
    Definition(&'static str),
    /// What they say contradicts the packets.
    TheirBug(&'static str),
    /// What we say does.
    Ours(&'static str),
}

impl Reason {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::TimeOut(why) => ("other time-out", why),
            Self::Definition(why) => ("other definition", why),
            Self::TheirBug(why) => ("their bug", why),
            Self::Ours(why) => ("ours", why),
        }
    }
}

const TITLES: [&str; 7] = ["source: rows", "captures", "rows", "matched", "divided", "share", "floor"];

/// A line for each source.
pub fn summary(tallies: &[Tally]) -> String {
    let mut text = line(&TITLES);
    for tally in tallies {
        let cells = tally.cells();
        text += &line(&cells.each_ref().map(String::as_str));
        if tally.is_missed() {
            text += "  ^ below its floor\n";
        }
    }
    text
}

fn line([name, captures, rows, matched, divided, share, floor]: &[&str; 7]) -> String {
    format!("{name:<56} {captures:>8} {rows:>6} {matched:>7} {divided:>7} {share:>7} {floor:>6}\n")
}

/// The names of the sources that miss their floor.
pub fn missed(tallies: &[Tally]) -> Vec<String> {
    let missed = tallies.iter().filter(|tally| tally.is_missed());
    missed.map(|tally| format!("{}: {}", tally.source, tally.rows_are)).collect()
}

/// The page with the table and every difference.
pub fn page(tallies: &[Tally]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let _ = writeln!(page, "| {} |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |", TITLES.join(" | "));
    for tally in tallies {
        let _ = writeln!(page, "| {} |", tally.cells().join(" | "));
    }
    for tally in tallies {
        let _ = write!(page, "\n## {}: {}\n", tally.source, tally.rows_are);
        list(&mut page, "differ", &tally.differences);
        list(&mut page, "are named here and do not count", &tally.left_out);
    }
    page
}

/// Lists differences by reason.
fn list(page: &mut String, what_they_do: &str, differences: &[Difference]) {
    let mut by_reason: BTreeMap<Reason, Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        by_reason.entry(difference.reason).or_default().push(difference);
    }
    if by_reason.is_empty() && what_they_do == "differ" {
        page.push_str("\nNo row differs.\n");
    }
    for (reason, differences) in by_reason {
        let (kind, why) = reason.words();
        let _ = write!(page, "\n### {} {what_they_do}: {kind}, {why}\n\n", differences.len());
        page.push_str("| capture | theirs | ours |\n| --- | --- | --- |\n");
        for difference in differences {
            let _ =
                writeln!(page, "| {} | {} | {} |", difference.capture, difference.theirs, difference.ours);
        }
    }
}

/// Rounded so that no share looks better than it is.
fn rounded_down(share: f64) -> f64 {
    (share * 10.0).floor() / 10.0
}

const INTRODUCTION: &str = "# Agreement with others

`make agreement` writes this page. It replays captures that other projects published, reads the records of
`--events flow,http,tls,stats` and compares them with what those projects say of the same packets.

A conversation is matched when a flow between the same ends has as many packets from each of them; Zeek's also when
originator and `conn_state` are the same. It is divided when all of its packets are in flows between the same ends, which
begin and end at other times: where a source keeps no states, such rows count for the floor too. In the lists below a
conversation has its originator first, then the packets from each end.

";
