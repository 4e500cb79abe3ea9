//! `bongsu synth`: writes a scenario's capture and what is true of it, or explains the scenarios.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::args::SynthArgs;
use super::{Failure, log, output};
use crate::synth::SynthFrame;
use crate::synth::world::{RATES, SCENARIOS, Story, Truth};

/// Writes a story, or lists them.
pub fn run(args: &SynthArgs) -> Result<ExitCode, Failure> {
    log::start(&args.log);
    if args.list {
        return output::print(&listed());
    }
    let (Some(name), Some(capture)) = (&args.scenario, &args.write) else {
        return Err(Failure::usage(
            "a SCENARIO and -w OUT.pcap are needed (`bongsu synth --list` explains all)",
        ));
    };
    let story = story(name, args)?;
    let told = |path: &Path, error: io::Error| Failure::running(format!("{}: {error}", path.display()));
    let truth = to_file(&story, capture).map_err(|error| told(capture, error))?;
    if let Some(path) = &args.truth {
        write_truth(&truth, path).map_err(|error| told(path, error))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn story(name: &str, args: &SynthArgs) -> Result<Story, Failure> {
    let (least, most) = RATES;
    if !(least..=most).contains(&args.rate) {
        return Err(Failure::usage(format!(
            "--rate {}: expected {least} to {most} requests per second",
            args.rate
        )));
    }
    if !(0.0..=0.9).contains(&args.jitter) {
        return Err(Failure::usage(format!("--jitter {}: expected 0 to 0.9", args.jitter)));
    }
    let story = Story::named(name).map_err(Failure::usage)?;
    let story = story.seed(args.seed).rate(args.rate).jitter(args.jitter);
    let story = if args.tls { story.sealed() } else { story };
    Ok(if args.cold { story.cold() } else { story })
}

fn to_file(story: &Story, path: &Path) -> io::Result<Truth> {
    let out: Box<dyn Write> =
        if path.as_os_str() == "-" { Box::new(io::stdout().lock()) } else { Box::new(File::create(path)?) };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    write_capture(story, &mut out)
}

/// Writes a story as a capture; answers what is true of it.
pub fn write_capture(story: &Story, out: &mut impl Write) -> io::Result<Truth> {
    out.write_all(&PCAP_HEADER)?;
    let mut frames = story.frames();
    for frame in frames.by_ref() {
        out.write_all(&record_header(&frame))?;
        out.write_all(&frame.bytes)?;
    }
    out.flush()?;
    Ok(frames.truth())
}

/// The file header of a capture of Ethernet frames with nanoseconds, little-endian, version 2.4
/// ([draft-ietf-opsawg-pcap](https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/)).
const PCAP_HEADER: [u8; 24] =
    [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

/// Seconds, nanoseconds, bytes kept, bytes sent.
fn record_header(frame: &SynthFrame) -> [u8; 16] {
    let nanos = frame.time.nanos().rem_euclid(1_000_000_000);
    let length = frame.bytes.len() as u32;
    let mut header = [0; 16];
    let fields = [frame.time.secs() as u32, nanos as u32, length, length];
    for (place, field) in header.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    header
}

/// Writes what is true of a story.
pub fn write_truth(truth: &Truth, path: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut out, truth)?;
    writeln!(out)?;
    out.flush()
}

fn listed() -> String {
    let width = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    SCENARIOS.iter().map(|scenario| format!("{:width$}  {}\n", scenario.name, scenario.about)).collect()
}
