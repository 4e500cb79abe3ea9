//! `bongsu demo`: a week of outages in half an hour. Plays the story `november-2023`, writes its capture, its truth and
//! a configuration to a folder, replays it as anybody would, and holds what was said against what is true.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Cli, Command, DemoArgs, ReplayArgs};
use super::compared::Compared;
use super::{Failure, log, output, replay, synth};
use crate::synth::world::{Story, Truth};
use clap::Parser;

/// The scenario that is told.
const SCENARIO: &str = "november-2023";

/// A seed whose story shows all five plainly, and that no weight was fitted on.
const SEED: u64 = 21;

/// The fastest level: nobody wants to wait for a demo, and the story still shrinks.
const COMPRESSION: i32 = 1;

const INTRODUCTION: &str = "November 2023 in half an hour: four public services, four outages with four causes (a port \
    of a router\nthat loses large packets, a deadline with one heavy foreign source, a dead identity service, a slow\n\
    backend), and one flood from abroad. What bongsu says of it:\n\n";

/// What has to be said wherever the story is shown.
const DISCLAIMER: &str = "This traffic is invented. Its addresses are real only so that country and network can be \
    shown;\nnobody there sent a packet of it, and nothing of it happened.";

/// The files of a story.
struct Files {
    capture: PathBuf,
    truth: PathBuf,
    configuration: PathBuf,
    alerts: PathBuf,
}

/// Runs the story.
pub fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    log::start(&args.log);
    let files = Files::within(&folder(args.folder.as_deref())?);
    output::print(INTRODUCTION)?;
    let truth = files.write().map_err(Failure::running)?;
    replay::run_readably(&files.replay()?)?;
    let told = fs::read_to_string(&files.alerts).map_err(|error| failed(&files.alerts, &error))?;
    let compared = Compared::new(&truth, &told);
    output::print(&format!("\n{compared}\n{DISCLAIMER}\n\n{}", files.listed(truth.packets)))
}

impl Files {
    fn within(folder: &Path) -> Self {
        Self {
            capture: folder.join("capture.pcap.zst"),
            truth: folder.join("truth.json"),
            configuration: folder.join("bongsu.yaml"),
            alerts: folder.join("alerts.jsonl"),
        }
    }

    /// Writes all but the alerts.
    fn write(&self) -> Result<Truth, String> {
        let named = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
        let story = Story::named(SCENARIO).map_err(|error| error.to_string())?.seed(SEED);
        let truth = write_capture(&story, &self.capture).map_err(|error| named(&self.capture, error))?;
        synth::write_truth(&truth, &self.truth).map_err(|error| named(&self.truth, error))?;
        fs::write(&self.configuration, configuration(&truth))
            .map_err(|error| named(&self.configuration, error))?;
        Ok(truth)
    }

    /// `bongsu replay CAPTURE -c CONFIGURATION -o ALERTS`
    fn replay(&self) -> Result<ReplayArgs, Failure> {
        let told = |path: &Path| path.display().to_string();
        let (capture, configuration, alerts) =
            (told(&self.capture), told(&self.configuration), told(&self.alerts));
        let words = ["bongsu", "replay", &capture, "-c", &configuration, "-o", &alerts];
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Replay(args)) => Ok(args),
            Ok(_) => Err(Failure::running("the demo's own command line is another command")),
            Err(error) => Err(Failure::running(error)),
        }
    }

    fn listed(&self, packets: u64) -> String {
        // As it was called, since it is rarely found by its name alone yet.
        let program = std::env::args_os().next();
        let program = program.map_or("bongsu".into(), |name| name.to_string_lossy().into_owned());
        format!(
            "The files of this story ({packets} packets):\n  {}\n  {}\n  {}\n  {}\n\nThe same by hand:\n  \
             {program} synth {SCENARIO} --seed {SEED} -w capture.pcap --truth truth.json\n  \
             {program} replay {} -c {}\n",
            self.capture.display(),
            self.truth.display(),
            self.configuration.display(),
            self.alerts.display(),
            self.capture.display(),
            self.configuration.display(),
        )
    }
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
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&folder, &error)),
        }
    }
    Err(Failure::running(format!("{}: no name for a folder is free", base.display())))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::running(format!("{}: {error}", path.display()))
}

fn write_capture(story: &Story, path: &Path) -> io::Result<Truth> {
    let file = BufWriter::new(File::create(path)?);
    // Packets are small; the compressor is called with pieces that are not.
    let mut out = BufWriter::with_capacity(1 << 17, zstd::Encoder::new(file, COMPRESSION)?);
    let truth = synth::write_capture(story, &mut out)?;
    let encoder = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    encoder.finish()?.flush()?;
    Ok(truth)
}

/// The services of the story as an operator would name them.
fn configuration(truth: &Truth) -> String {
    let quoted =
        |words: &[String]| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let mut text =
        format!("home: [{}]\ntimezone: {}\nservices:\n", truth.home.join(", "), super::compared::ZONE);
    for service in &truth.services {
        let ports: Vec<String> = service.ports.iter().map(u16::to_string).collect();
        text.push_str(&format!(
            "  - {{name: {}, addresses: [{}], ports: [{}]}}\n",
            service.name,
            quoted(&service.addresses),
            ports.join(", ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Beside, Config};
    use crate::synth::world::TrueService;

    #[test]
    fn the_configuration_can_be_read() {
        let service = TrueService {
            name: "pps".to_owned(),
            addresses: vec!["210.99.3.87".to_owned(), "2001:e60:10:1::10".to_owned()],
            ports: vec![80],
        };
        let truth = Truth {
            home: vec!["KR".to_owned()],
            services: vec![service],
            ..super::super::compared::nothing()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bongsu.yaml");
        fs::write(&path, configuration(&truth)).unwrap();
        let (config, _) = Config::load_with_rules(Some(&path), &[], Beside::Files(&[])).unwrap();
        assert_eq!(config.services.len(), 1);
        assert_eq!(config.services[0].addresses.len(), 2);
    }
}
