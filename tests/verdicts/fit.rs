//! The table that weights are fitted on: a row for each episode of the fitting seeds, with its true label and the
//! evidence that stood in its last word. Comes in: played scenarios. Goes out: `target/verdicts.tsv`.

use std::fmt::Write;
use std::path::Path;

use crate::scenarios::{FITTED, all, score};

#[test]
#[ignore = "plays all scenarios with the fitting seeds and writes a table to target/"]
fn fitting_table() {
    let mut table = String::from("scenario\tseed\ttruth\tsaid\tconfidence\tevidence\trules\n");
    for run in score(&all(FITTED)) {
        for one in &run.outcomes {
            let evidence: Vec<String> = one
                .evidence
                .iter()
                .map(|(id, speaks_for, value)| format!("{}{id}={value}", if *speaks_for { "+" } else { "-" }))
                .collect();
            let _ = writeln!(
                table,
                "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                run.run.scenario,
                run.run.seed,
                one.truth,
                one.said,
                one.confidence,
                evidence.join(" "),
                one.rules.join(" ")
            );
        }
        for stray in &run.stray {
            let _ = writeln!(
                table,
                "{}\t{}\tnothing\t{}\t\t\t{}",
                run.run.scenario,
                run.run.seed,
                stray.said,
                stray.rules.join(" ")
            );
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verdicts.tsv");
    std::fs::write(&target, table).unwrap();
    println!("{}", target.display());
}
