//! The whole program against others: CPU time and memory of `bongsu replay --workers 1` with its default configuration
//! and JSON records on, beside those of the bare loop and of other tools that read packets, on one core.
//!
//! Each run of a tool comes right after one of bongsu, so that what else the machine does falls on both; a ratio is that
//! of the two, the figure the median of all. `make bench` runs it and writes `docs/performance.md` and its picture;
//! `make bench QUICK=1` takes a tenth of the packets and three rounds, and only prints.

mod plot;
mod report;
mod tools;

#[path = "../blocks/mod.rs"]
mod blocks;
#[path = "../measure/mod.rs"]
mod measure;
#[path = "../page/mod.rs"]
mod page;
#[path = "../workloads/mod.rs"]
mod workloads;

use std::env;
use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use etherparse::SlicedPacket;

use measure::{Cost, median};
use report::{Measured, Runs};
use tools::{BARE, BONGSU, Tool};
use workloads::Workload;

/// Without this word nothing is run: `cargo bench` alone would take half an hour.
const MEASURE: &str = "--measure";

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().collect();
    if let Some(at) = words.iter().position(|word| word == BARE) {
        return bare(Path::new(words.get(at + 1).map_or("", String::as_str)));
    }
    if !words.iter().any(|word| word == MEASURE) {
        println!("not run: `make bench` compares the whole program with others");
        return Ok(());
    }
    let plan = Plan::of_environment();
    let measured = plan.compare()?;
    let told: Vec<String> = measured.iter().map(Measured::told).collect();
    let peers = format!(
        "Measured on: {}. {} pairs of runs for each figure; in brackets the least and the most.\n\n{}\n{}",
        page::machine(),
        plan.rounds,
        report::bars(&measured),
        told.join("\n")
    );
    let rest = format!("{}\n{}", plan.memory(&measured)?, plan.beginning()?);
    println!("\n{peers}\n{rest}");
    if !plan.quick {
        page::replace(&page::page(), "peers", &peers)?;
        page::replace(&page::page(), "memory", &rest)?;
        fs::write(page::page().with_extension("svg"), plot::svg(&measured))?;
    }
    Ok(())
}

/// Slices every packet and makes nothing of it.
fn bare(path: &Path) -> io::Result<()> {
    blocks::walk(File::open(path)?, |record| {
        // A packet that cannot be sliced costs what it costs.
        let _ = black_box(SlicedPacket::from_ethernet(record.data));
    })?;
    Ok(())
}

/// How much is measured.
struct Plan {
    quick: bool,
    rounds: usize,
    folder: PathBuf,
}

/// Packets of each workload.
const fn packets(workload: Workload) -> u64 {
    match workload {
        Workload::WebMix => 2_500_000,
        Workload::SynFlood | Workload::HttpFlood => 3_000_000,
    }
}

/// Forged sources of a SYN flood of a minute. Ordinary use beside it stays the same: more of it would hold more.
const FORGED: [u64; 2] = [1_000_000, 10_000_000];

impl Plan {
    fn of_environment() -> Self {
        let quick = env::var_os("QUICK").is_some_and(|quick| !quick.is_empty());
        let rounds = env::var("ROUNDS").ok().and_then(|text| text.parse().ok());
        let rounds = rounds.unwrap_or(if quick { 3 } else { 5 });
        Self { quick, rounds, folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench") }
    }

    fn size(&self, packets: u64) -> u64 {
        if self.quick { packets / 10 } else { packets }
    }

    fn compare(&self) -> io::Result<Vec<Measured>> {
        let tools = tools::all(&self.folder);
        Workload::ALL.into_iter().map(|workload| self.measure(workload, &tools)).collect()
    }

    /// All rounds of all tools on a workload, one after another.
    fn measure(&self, workload: Workload, tools: &[Tool]) -> io::Result<Measured> {
        let packets = self.size(packets(workload));
        let capture = workload.written(packets, &self.folder)?;
        let bytes = fs::metadata(&capture)?.len() - 24 - 16 * packets;
        let mut measured = Measured { workload, packets, bytes, runs: tools.iter().map(Runs::of).collect() };
        let log = self.folder.join("out.log");
        let Some(bongsu) = tools.iter().find(|tool| tool.name == BONGSU) else { return Ok(measured) };
        for round in 0..self.rounds {
            for (tool, runs) in tools.iter().zip(&mut measured.runs) {
                if runs.absent.is_some() {
                    continue;
                }
                let first = measure::run(&bongsu.command(&capture, &self.folder)?, &log)?;
                match measure::run(&tool.command(&capture, &self.folder)?, &log) {
                    Ok(cost) => runs.pairs.push((first, cost)),
                    Err(error) => {
                        runs.pairs.clear();
                        runs.absent = Some(format!("it fails: {error}"));
                    }
                }
            }
            eprintln!("{}: round {} of {}", workload.name(), round + 1, self.rounds);
        }
        Ok(measured)
    }

    /// What the program holds in memory: on each workload, and as forged sources grow.
    fn memory(&self, measured: &[Measured]) -> io::Result<String> {
        let mut rows = Vec::new();
        for measured in measured {
            let Some(runs) = measured.runs_of(BONGSU) else { continue };
            let anonymous = runs.pairs.iter().map(|(_, own)| own.anonymous).max().unwrap_or(0);
            let peak = runs.pairs.iter().map(|(_, own)| own.peak).max().unwrap_or(0);
            rows.push(vec![measured.workload.name().to_owned(), page::mib(anonymous), page::mib(peak)]);
        }
        for sources in FORGED.map(|sources| self.size(sources)) {
            let cost = self.forged(sources)?;
            let what = format!(
                "a minute of ordinary use, and SYNs from {} forged sources",
                page::thousands(sources)
            );
            rows.push(vec![what, page::mib(cost.anonymous), page::mib(cost.peak)]);
        }
        Ok(page::table(&["workload", "anonymous memory MiB", "peak memory MiB, files included"], &rows))
    }

    /// Replays a SYN flood as it is made.
    fn forged(&self, sources: u64) -> io::Result<Cost> {
        let bongsu = tools::all(&self.folder).swap_remove(0);
        let mut command = measure::pinned(&bongsu.command(Path::new("-"), &self.folder)?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let input = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        let frames = workloads::forged_in_a_minute(sources)?;
        let writer = std::thread::spawn(move || {
            workloads::write(frames, io::BufWriter::with_capacity(1 << 20, input))
        });
        let cost = measure::wait(child)?;
        writer.join().map_err(|_| io::Error::other("the flood was not made"))??;
        Ok(cost)
    }

    /// How long the program takes to begin, and how large it is.
    fn beginning(&self) -> io::Result<String> {
        let capture = Workload::WebMix.written(1, &self.folder)?;
        let bongsu = tools::all(&self.folder).swap_remove(0).command(&capture, &self.folder)?;
        let log = self.folder.join("out.log");
        let mut taken = Vec::new();
        let mut cpu = Vec::new();
        for _ in 0..20 {
            // Waiting for its end by looking every few milliseconds would count as well.
            let begun = Instant::now();
            let status = measure::pinned(&bongsu).stdout(File::create(&log)?).status()?;
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
            if !status.success() {
                return Err(io::Error::other(status.to_string()));
            }
            cpu.push(measure::run(&bongsu, &log)?.cpu_secs * 1e3);
        }
        let size = fs::metadata(env!("CARGO_BIN_EXE_bongsu"))?.len();
        Ok(format!(
            "From start to end with the embedded databases and a capture of one packet: {:.0} ms, {:.0} ms of CPU time \
             (medians of 20). The program is {} MiB large, databases included.\n",
            median(taken),
            median(cpu),
            page::mib(size)
        ))
    }
}
