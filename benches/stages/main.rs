//! What each stage costs on each workload: `cargo bench --bench stages` prints nanoseconds, `make bench-ci` counts
//! instructions under callgrind and holds them against the committed figures of `figures.txt`.
//!
//! Stages from `read` to `aggregate` are told per packet, `attribute` per client, `tick close` and `detect` per second
//! of capture time, `format` per alert. Counts differ from run to run by less than 0.3 % for most
//! stages, since the time is part of the seeds of hash maps, and by one in a hundred for `read` and `decode` at most.

#[path = "../page/mod.rs"]
mod page;
mod passes;
#[path = "../workloads/mod.rs"]
mod workloads;

mod callgrind;
mod figures;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bongsu::attribute::{Attributor, Labels};
use bongsu::detect::rule::RuleSet;
use passes::{Flows, Judge, Nobody, Sums};
use workloads::Workload;

/// Runs every stage once over a capture, for callgrind to watch.
const ONCE: &str = "--once";
/// Counts instructions.
const COUNT: &str = "--count";

/// Packets of each workload: some seconds of ordinary use and of a flood.
const PACKETS: u64 = 120_000;

/// Timed passes; the median is told.
const ROUNDS: usize = 7;

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().collect();
    let after = |flag: &str| words.iter().position(|word| word == flag).map(|at| words.get(at + 1));
    if let Some(capture) = after(ONCE) {
        let units = Costs::of(Path::new(capture.map_or("", String::as_str)))?.units;
        println!("{} {} {} {}", units.packets, units.clients, units.ticks, units.alerts);
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let captures = Workload::ALL.map(|workload| workload.written(PACKETS, &folder));
    if after(COUNT).is_some() {
        return count(captures, &folder);
    }
    for (workload, capture) in Workload::ALL.into_iter().zip(captures) {
        time(workload, &capture?)?;
    }
    Ok(())
}

/// How many of each there were.
#[derive(Debug, Clone, Copy, Default)]
struct Units {
    packets: u64,
    clients: u64,
    ticks: u64,
    alerts: u64,
}

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Read,
    Decode,
    Flow,
    Aggregate,
    TickClose,
    Attribute,
    Detect,
    Format,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Read,
        Self::Decode,
        Self::Flow,
        Self::Aggregate,
        Self::TickClose,
        Self::Attribute,
        Self::Detect,
        Self::Format,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Flow => "flow",
            Self::Aggregate => "aggregate",
            Self::TickClose => "tick-close",
            Self::Attribute => "attribute",
            Self::Detect => "detect",
            Self::Format => "format",
        }
    }

    /// What its cost is told by.
    const fn unit(self) -> &'static str {
        match self {
            Self::Read | Self::Decode | Self::Flow | Self::Aggregate => "packet",
            Self::Attribute => "client",
            Self::TickClose | Self::Detect => "second",
            Self::Format => "alert",
        }
    }

    /// How many of its units there were.
    const fn count(self, units: &Units) -> u64 {
        match self {
            Self::Read | Self::Decode | Self::Flow | Self::Aggregate => units.packets,
            Self::Attribute => units.clients,
            Self::TickClose | Self::Detect => units.ticks,
            Self::Format => units.alerts,
        }
    }
}

/// What one run of all stages took, in nanoseconds, in the order of [`Stage::ALL`].
struct Costs {
    units: Units,
    nanos: [f64; 8],
}

impl Costs {
    fn of(capture: &Path) -> io::Result<Self> {
        let attributor = Arc::new(Attributor::embedded(Labels::default()).map_err(io::Error::other)?);
        let rules = RuleSet::builtin();
        let clients = passes::senders(capture);
        let (mut flows, mut sums) = (Flows::new(Nobody), Flows::new(Sums::new(&attributor)));
        let (_, read) = timed(|| passes::pass_read(capture));
        let (_, decoded) = timed(|| passes::pass_decode(capture));
        let (_, followed) = timed(|| passes::pass_flow(capture, &mut flows));
        let followed = followed - nanos(flows.closing);
        let (packets, summed) = timed(|| passes::pass_aggregate(capture, &mut sums));
        let summed = summed - nanos(sums.closing);
        let ((), attributed) = timed(|| passes::attribute(&attributor, &clients));
        let (mut judge, ticks) = (Judge::new(&rules, &attributor), std::mem::take(&mut sums.told.ticks));
        let seconds = ticks.len() as u64;
        let (incidents, judged) = timed(|| passes::detect(&mut judge, ticks));
        let (_, written) =
            timed(|| passes::around(&rules, &attributor, |around| passes::format(&incidents, around)));
        let closed = nanos(sums.closing);
        let stages = [
            read,
            decoded - read,
            followed - decoded,
            summed - followed,
            closed,
            attributed,
            judged,
            written,
        ];
        let alerts = incidents.len() as u64;
        let units = Units { packets, clients: clients.len() as u64, ticks: seconds, alerts };
        Ok(Self { units, nanos: stages })
    }
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let begun = Instant::now();
    let done = work();
    (done, nanos(begun.elapsed()))
}

fn nanos(span: std::time::Duration) -> f64 {
    span.as_nanos() as f64
}

/// Prints the median of several rounds.
fn time(workload: Workload, capture: &Path) -> io::Result<()> {
    let rounds: Vec<Costs> = (0..ROUNDS).map(|_| Costs::of(capture)).collect::<io::Result<_>>()?;
    println!("{}, {} packets:", workload.name(), page::thousands(PACKETS));
    for (place, stage) in Stage::ALL.into_iter().enumerate() {
        let mut each: Vec<f64> =
            rounds.iter().map(|round| round.nanos[place] / stage.count(&round.units).max(1) as f64).collect();
        each.sort_by(f64::total_cmp);
        println!("  {:<10} {:>12.1} ns a {}", stage.name(), each[ROUNDS / 2], stage.unit());
    }
    Ok(())
}

/// Counts instructions, and compares them with the committed ones or makes them the committed ones.
fn count(captures: [io::Result<PathBuf>; 3], folder: &Path) -> io::Result<()> {
    let mut counted = Vec::new();
    for (workload, capture) in Workload::ALL.into_iter().zip(captures) {
        counted.extend(callgrind::count(workload, &capture?, folder)?);
    }
    figures::judge(&counted)
}
