//! The command line: arguments to calls, errors to exit codes. Judges nothing.
//!
//! Exit: 0 done · 1 failed while running · 2 wrong usage, configuration or rules · 10 `--fail-on`.

mod ack;
mod args;
mod baseline;
mod changes;
mod compared;
mod demo;
mod figures;
mod geo;
mod key_file;
mod learn;
mod log;
mod output;
mod pages;
mod progress;
mod reading;
mod replay;
mod rules;
mod setup;
mod synth;
mod watch;

use std::fmt;
use std::process::ExitCode;

use clap::Parser;

use crate::config::Beside;
use crate::document::Problems;
use args::{Cli, Command};

/// Why the program ends otherwise than well.
#[derive(Debug)]
enum Failure {
    /// The usage, the configuration or the rules are wrong: exit 2.
    Usage(String),
    /// It failed while running: exit 1.
    Running(String),
}

const RUNNING: u8 = 1;
const USAGE: u8 = 2;
const FAIL_ON: u8 = 10;

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    // Help and version are no errors; what is one, clap prints with exit code 2.
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Replay(args) => replay::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Geo(args) => geo_command(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Baseline(args) => baseline::run(&args),
        Command::Ack(args) => ack::run(&args),
        Command::Man { folder } => pages::man(&folder),
        Command::Completions { folder } => pages::completions(&folder),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => USAGE,
                Failure::Running(_) => RUNNING,
            })
        }
    }
}

fn geo_command(args: &args::GeoArgs) -> Result<ExitCode, Failure> {
    let (config, _) = setup::configuration(args.config.as_deref(), &[], Beside::Files(&[]))?;
    let attributor = setup::attributor(&config, args.country_db.as_deref(), args.asn_db.as_deref())?;
    let mut out = Vec::new();
    geo::run(&args.addresses, &attributor, crate::host::clock::now_secs(), &mut out)
        .map_err(|error| Failure::usage(format!("{error:#}")))?;
    output::print(&String::from_utf8_lossy(&out))
}

impl Failure {
    fn usage(text: impl fmt::Display) -> Self {
        Self::Usage(format!("bongsu: {text}"))
    }

    fn running(text: impl fmt::Display) -> Self {
        Self::Running(format!("bongsu: {text}"))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.rendered())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Running(text) => out.write_str(text.trim_end()),
        }
    }
}
