//! The whole program against the bare loop: CPU time of `bongsu replay --workers 1` over that of a process that reads
//! the same file in blocks and slices every packet with etherparse. Pairs are run in turn, so that what else the
//! machine does falls on both; the ratio's median is the figure.
//!
//! `cargo bench --bench replay` makes its two workloads itself; `BONGSU_BENCH_CAPTURES=FILE:FILE cargo bench --bench
//! replay` measures on captures of yours (classic pcap, Ethernet).

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bongsu::service::Service;
use bongsu::synth::{Scenario, Traffic, per_sec, secs};
use etherparse::SlicedPacket;

mod blocks;

/// Pairs for each workload; the median of five is steady to a few parts in a hundred.
const PAIRS: usize = 5;

/// Tells this program to be the bare loop.
const BARE: &str = "--bare";

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().collect();
    if let Some(at) = words.iter().position(|word| word == BARE) {
        return bare(Path::new(words.get(at + 1).map_or("", String::as_str)));
    }
    let folder = tempfile::tempdir()?;
    for capture in captures(folder.path())? {
        let name = capture.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name}: {}", Comparison::of(&capture, &[])?);
        let records = Comparison::of(&capture, &["--events", "alert,flow,http,tls"])?;
        println!("{name}, with records of flows: {records}");
    }
    Ok(())
}

fn bare(path: &Path) -> io::Result<()> {
    let packets = blocks::walk(File::open(path)?, |record| {
        // A packet that cannot be sliced costs what it costs.
        let _ = black_box(SlicedPacket::from_ethernet(record.data));
    })?;
    println!("{packets}");
    Ok(())
}

/// The captures to measure on: those of the environment, or two that are made here.
fn captures(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if let Some(named) = env::var_os("BONGSU_BENCH_CAPTURES") {
        return Ok(env::split_paths(&named).collect());
    }
    let site = Service::parse("site=211.34.105.10:80").map_err(io::Error::other)?;
    let secure = Service::parse("secure=211.34.105.10:443").map_err(io::Error::other)?;
    let home = ["168.126.0.0/16", "121.128.0.0/10"];
    let crowd = |part: Traffic| home.iter().fold(part, |part, range| part.from(range)).over(secs(120));
    let mix = Scenario::new(1)
        .with(crowd(
            Traffic::to(&site).named("pages").sources(8_000).requests(per_sec(350)).per_connection(3),
        ))
        .with(crowd(Traffic::to(&secure).named("tls").sources(8_000).tls(per_sec(250))));
    let flood = Traffic::to(&site).named("flood").from("184.164.240.0/24").from("147.28.10.0/24");
    let flood = flood.sources(200).requests(per_sec(2_500)).path("/search").status(503).start(secs(5));
    let flood = Scenario::new(2)
        .with(crowd(Traffic::to(&site).named("pages").sources(2_000).requests(per_sec(60))))
        .with(flood.over(secs(60)));
    let made = [("web-mix.pcap", mix), ("http-flood.pcap", flood)];
    made.into_iter().map(|(name, scenario)| write(&folder.join(name), &scenario)).collect()
}

/// Writes a scenario as a classic pcap file with nanoseconds, which the bare loop can read.
fn write(path: &Path, scenario: &Scenario) -> io::Result<PathBuf> {
    let mut out = BufWriter::new(File::create(path)?);
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    for frame in scenario.frames().map_err(io::Error::other)? {
        let (secs, nanos) = (frame.time.secs() as u32, (frame.time.nanos() % 1_000_000_000) as u32);
        let len = frame.bytes.len() as u32;
        for word in [secs, nanos, len, len] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame.bytes)?;
    }
    out.flush()?;
    Ok(path.to_owned())
}

/// What pairs of runs came to.
struct Comparison {
    packets: u64,
    ratios: Vec<f64>,
    bongsu: Vec<f64>,
    bare: Vec<f64>,
}

impl Comparison {
    /// Runs the bare loop and `bongsu replay` with these flags in turn.
    fn of(capture: &Path, flags: &[&str]) -> io::Result<Self> {
        let itself = env::current_exe()?.into_os_string();
        let path = capture.as_os_str();
        let bare = [itself.as_os_str(), BARE.as_ref(), path];
        let always = ["--workers", "1", "-q", "-o", "/dev/null"];
        let flags: Vec<&OsStr> = always.iter().chain(flags).map(OsStr::new).collect();
        let bongsu =
            [[env!("CARGO_BIN_EXE_bongsu"), "replay"].map(OsStr::new).as_slice(), &[path], &flags].concat();
        let counted = Command::new(bare[0]).args(&bare[1..]).output()?;
        let mut found = Self {
            packets: String::from_utf8_lossy(&counted.stdout).trim().parse().unwrap_or(0),
            ratios: Vec::new(),
            bongsu: Vec::new(),
            bare: Vec::new(),
        };
        for _ in 0..PAIRS {
            let (one, other) = (cpu_secs(&bare)?, cpu_secs(&bongsu)?);
            found.bare.push(one);
            found.bongsu.push(other);
            found.ratios.push(other / one);
        }
        Ok(found)
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let packets = self.packets;
        let per_packet = |secs: &[f64]| median(secs) * 1e9 / packets.max(1) as f64;
        let (least, most) = self
            .ratios
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), ratio| (least.min(*ratio), most.max(*ratio)));
        write!(
            out,
            "{:.2} times the bare loop ({least:.2} to {most:.2}); {packets} packets, {:.0} and {:.0} ns a packet",
            median(&self.ratios),
            per_packet(&self.bongsu),
            per_packet(&self.bare),
        )
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// User and system seconds of a process, as the shell accounts for them.
fn cpu_secs(command: &[&std::ffi::OsStr]) -> io::Result<f64> {
    let timed = Command::new("bash")
        .args(["-c", r#"TIMEFORMAT="%3U %3S"; { time "$0" "$@" >/dev/null 2>&3; } 3>/dev/null"#])
        .args(command)
        .stdout(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&timed.stderr).into_owned();
    let secs: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match secs.as_slice() {
        [user, system] => Ok(user + system),
        _ => Err(io::Error::other(format!("no times to be had: {text}"))),
    }
}
