//! How cost grows with the work: instructions of the whole program under callgrind and its memory without, as packets,
//! flows, clients, services, rules or seconds grow and all else stays. `make growth` runs it and writes
//! `docs/performance.md`; counts do not depend on what else the machine does.
//!
//! `SERIES=rules` counts that one alone and only prints.
//!
//! A step that takes more than its work has grown by is told as `worse than linear`.

#[path = "../measure/mod.rs"]
mod measure;
#[path = "../page/mod.rs"]
mod page;
mod series;
#[path = "../workloads/mod.rs"]
mod workloads;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use series::{Series, Step};

/// Without this word nothing is run: it takes some minutes.
const MEASURE: &str = "--measure";

fn main() -> io::Result<()> {
    if !env::args().any(|word| word == MEASURE) {
        println!("not run: `make growth` counts how cost grows");
        return Ok(());
    }
    let quick = env::var_os("QUICK").is_some_and(|quick| !quick.is_empty());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/growth");
    fs::create_dir_all(&folder)?;
    let mut told = Vec::new();
    let only = env::var("SERIES").unwrap_or_default();
    for series in series::all().into_iter().filter(|series| series.name.contains(&only)) {
        let counted = count(&series, &folder, quick)?;
        println!("{counted}");
        told.push(counted);
    }
    if !quick && only.is_empty() {
        page::replace(&page::page(), "growth", &told.join("\n"))?;
    }
    Ok(())
}

/// Counts the steps of a series, and tells a heading and a table.
fn count(series: &Series, folder: &Path, quick: bool) -> io::Result<String> {
    let mut rows: Vec<Row> = Vec::new();
    for step in series.steps.iter().take(if quick { 2 } else { series.steps.len() }) {
        rows.push(Row::of(step, folder)?);
    }
    let above = |at: usize| at.checked_sub(1).and_then(|at| rows.get(at));
    let told: Vec<Vec<String>> = rows.iter().enumerate().map(|(at, row)| row.told(above(at))).collect();
    let head = [
        series.name,
        "packets",
        "million instructions",
        "a packet",
        "against the row above",
        "anonymous MiB",
    ];
    Ok(format!("### {}\n\n{}\n\n{}", series.heading, series.what, page::table(&head, &told)))
}

struct Row {
    size: u64,
    packets: u64,
    /// Those of the start left out.
    instructions: u64,
    anonymous: u64,
}

impl Row {
    fn of(step: &Step, folder: &Path) -> io::Result<Self> {
        let capture = folder.join("capture.pcap");
        let empty = folder.join("empty.pcap");
        let file = |path: &Path| Ok::<_, io::Error>(io::BufWriter::new(fs::File::create(path)?));
        let frames = step.scenario.frames().map_err(io::Error::other)?;
        let packets = workloads::write(frames, file(&capture)?)?;
        workloads::write(std::iter::empty(), file(&empty)?)?;
        let flags = step.flags(folder)?;
        let start = instructions(&empty, &flags, folder)?;
        let instructions = instructions(&capture, &flags, folder)?.saturating_sub(start);
        let cost = measure::run(&command(&capture, &flags, folder), &folder.join("out.log"))?;
        Ok(Self { size: step.size, packets, instructions, anonymous: cost.anonymous })
    }

    fn told(&self, above: Option<&Self>) -> Vec<String> {
        let growth = above.map_or(String::new(), |above| {
            let (work, cost) = (
                self.size as f64 / above.size as f64,
                self.instructions as f64 / above.instructions.max(1) as f64,
            );
            let judged = if cost <= work * LINEAR { "" } else { ", **worse than linear**" };
            format!("{work:.1} times the work, {cost:.2} times the cost{judged}")
        });
        vec![
            page::thousands(self.size),
            page::thousands(self.packets),
            page::thousands(self.instructions / 1_000_000),
            page::thousands(self.instructions / self.packets.max(1)),
            growth,
            page::mib(self.anonymous),
        ]
    }
}

/// What still counts as linear: the first packets of a run meet empty tables.
const LINEAR: f64 = 1.1;

fn command(capture: &Path, flags: &[OsString], folder: &Path) -> Vec<OsString> {
    let mut command: Vec<OsString> =
        [env!("CARGO_BIN_EXE_bongsu"), "replay", "--workers", "1", "-q", "-o"].map(OsString::from).to_vec();
    command.push(folder.join("records.jsonl").into());
    command.push(capture.into());
    command.extend_from_slice(flags);
    command
}

/// All instructions of a run, counted by callgrind.
fn instructions(capture: &Path, flags: &[OsString], folder: &Path) -> io::Result<u64> {
    let profile: PathBuf = folder.join("callgrind.out");
    let mut out = OsString::from("--callgrind-out-file=");
    out.push(&profile);
    let counted = Command::new("valgrind")
        .args(["--tool=callgrind".into(), out])
        .args(command(capture, flags, folder))
        .output()
        .map_err(|error| io::Error::other(format!("valgrind: {error} (sh .ci/setup count)")))?;
    if !counted.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&counted.stderr).into_owned()));
    }
    let profile = fs::read_to_string(profile)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| io::Error::other("callgrind told no total"))
}
