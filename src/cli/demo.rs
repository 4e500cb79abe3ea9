//! `bongsu demo`: a small generated story end to end. Makes the traffic, writes it to a folder, replays it, and tells
//! what happened and where the files are.

use std::fs::{self, DirBuilder, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Cli, Command, DemoArgs};
use super::{Failure, log, output, replay};
use crate::capture::Writer;
use crate::synth::demo::{DISCLAIMER, SERVICE, scenario};
use clap::Parser;

/// Runs the story.
pub fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    log::start(&args.log);
    let folder = folder(args.folder.as_deref())?;
    let capture = folder.join("capture.pcapng.zst");
    let alerts = folder.join("alerts.jsonl");
    output::print("Twelve minutes before a procurement site, on the morning of a bidding deadline:\n\n")?;
    let packets = generate(&capture, &folder.join("truth.json"))
        .map_err(|error| Failure::running(format!("{}: {error}", folder.display())))?;
    replayed(&capture, &alerts)?;
    output::print(&format!(
        "\n{DISCLAIMER}\n\nThe files of this story ({packets} packets):\n  {}\n  {}\n  {}\n\nThe same by hand:\n  \
         {} replay {} -s {SERVICE} --home KR --timezone Asia/Seoul\n",
        capture.display(),
        folder.join("truth.json").display(),
        alerts.display(),
        // As it was called, since it is rarely found by its name alone yet.
        std::env::args_os().next().map_or("bongsu".into(), |name| name.to_string_lossy().into_owned()),
        capture.display(),
    ))
}

/// A folder of its own that nobody else can have prepared.
fn folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        fs::create_dir_all(named).map_err(|error| Failure::usage(format!("{}: {error}", named.display())))?;
        return Ok(named.to_owned());
    }
    let base = std::env::temp_dir();
    for attempt in 0..1_000_u32 {
        let folder = base.join(format!("bongsu-demo-{}-{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::running(format!("{}: {error}", folder.display()))),
        }
    }
    Err(Failure::running(format!("{}: no name for a folder is free", base.display())))
}

/// The fastest level: nobody wants to wait for a demo, and the story still shrinks.
const COMPRESSION: i32 = 1;

fn generate(capture: &Path, truth: &Path) -> std::io::Result<u64> {
    let scenario = scenario();
    let told = |error: crate::synth::SynthError| std::io::Error::other(error.to_string());
    let file = BufWriter::new(File::create(capture)?);
    let mut writer = Writer::new(zstd::Encoder::new(file, COMPRESSION)?);
    let mut packets = 0;
    for frame in scenario.frames().map_err(told)? {
        writer.frame(&frame.as_frame())?;
        packets += 1;
    }
    writer.finish()?.finish()?.flush()?;
    let mut truth = BufWriter::new(File::create(truth)?);
    serde_json::to_writer_pretty(&mut truth, &scenario.truth().map_err(told)?)?;
    writeln!(truth)?;
    truth.flush()?;
    Ok(packets)
}

/// Replays the story for people, and once more for the records.
fn replayed(capture: &Path, alerts: &Path) -> Result<(), Failure> {
    let words = |more: &[&str]| {
        let capture = capture.display().to_string();
        let common =
            ["bongsu", "replay", &capture, "-s", SERVICE, "--home", "KR", "--timezone", "Asia/Seoul"];
        let words: Vec<String> = common.iter().chain(more).map(|word| (*word).to_owned()).collect();
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Replay(args)) => Ok(args),
            Ok(_) => Err(Failure::running("the demo's own command line is another command")),
            Err(error) => Err(Failure::running(error)),
        }
    };
    replay::run(&words(&[])?)?;
    replay::run(&words(&["-q", "-o", &alerts.display().to_string()])?)?;
    Ok(())
}
