//! Manual pages and completions for shells, made of the arguments as they are: what is packaged beside the program, so that
//! neither can tell of a flag that is not there.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Failure;
use super::args::Cli;

/// The shells that packages have a place for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

/// Writes `bongsu.1` and a page for each command.
pub fn man(folder: &Path) -> Result<ExitCode, Failure> {
    written(folder, |folder| clap_mangen::generate_to(Cli::command(), folder))
}

/// Writes a file for each shell.
pub fn completions(folder: &Path) -> Result<ExitCode, Failure> {
    written(folder, |folder| {
        SHELLS.iter().try_for_each(|shell| {
            clap_complete::generate_to(*shell, &mut Cli::command(), "bongsu", folder).map(|_| ())
        })
    })
}

fn written(folder: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<ExitCode, Failure> {
    let done = fs::create_dir_all(folder).and_then(|()| write(folder));
    done.map_err(|error| Failure::running(format!("{}: {error}", folder.display())))?;
    Ok(ExitCode::SUCCESS)
}
