//! Before the first packet: the process becomes the user it is told to, and keeps what a watch needs and nothing else.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::args::{Sandbox, WatchArgs};
use crate::cli::setup::Run;
use crate::host::sandbox::{self, Plan, User};

/// New files of records: alerts name addresses.
const PRIVATE: u32 = 0o640;

/// The state folder: alerts that wait in it name addresses as well.
const PRIVATE_FOLDER: u32 = 0o750;

/// What the process is to keep.
pub fn plan(args: &WatchArgs, run: &Run) -> Result<Plan, Failure> {
    let user = args.user.as_deref().map(User::named).transpose();
    let user = user.map_err(|error| Failure::usage(format!("--user: {error}")))?;
    let written = outputs(args, run);
    let mut write: Vec<PathBuf> = written.iter().map(|path| folder_of(path).to_owned()).collect();
    write.extend(run.state_folder(args.state.as_deref()));
    write.sort();
    write.dedup();
    let confine_files = args.sandbox == Sandbox::On;
    let read = run.sources.iter().cloned().chain(run.secrets()).collect();
    Ok(Plan { user, read, write, confine_files })
}

/// Makes the files that are written, as long as the process may make them anywhere, and gives them to the user it
/// becomes.
pub fn prepare(args: &WatchArgs, run: &Run, plan: &Plan) -> Result<(), Failure> {
    let state = run.state_folder(args.state.as_deref());
    if let Some(state) = &state {
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(state);
        made.map_err(|error| Failure::usage(format!("--state {}: {error}", state.display())))?;
    }
    let Some(user) = &plan.user else { return Ok(()) };
    if let Some(state) = state {
        give_all(user, &state)
            .map_err(|error| Failure::usage(format!("--state {}: {error}", state.display())))?;
    }
    for path in run.output_files() {
        let made = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(&path);
        let given = made.and_then(|file| if file.metadata()?.is_file() { user.give(&path) } else { Ok(()) });
        given.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    if let Some(baseline) = args.common.baseline.as_deref().filter(|path| path.exists()) {
        user.give(baseline).map_err(|error| Failure::usage(format!("{}: {error}", baseline.display())))?;
    }
    Ok(())
}

/// Gives a folder and all below it; links are given themselves.
fn give_all(user: &User, path: &Path) -> io::Result<()> {
    user.give(path)?;
    if !path.is_symlink() && path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_all(user, &entry?.path())?;
        }
    }
    Ok(())
}

/// Confines this thread and those that it starts from now on.
pub fn confine(plan: &Plan) -> Result<(), Failure> {
    let confined = sandbox::confine(plan).map_err(Failure::running)?;
    if plan.confine_files && !confined.files {
        tracing::warn!("this kernel has no Landlock: the files that are reached are not confined");
    }
    Ok(())
}

/// Forbids, to all threads, the system calls that a watch does not make.
pub fn forbid_calls(args: &WatchArgs) -> Result<(), Failure> {
    if args.sandbox == Sandbox::Off {
        return Ok(());
    }
    if let Err(error) = sandbox::forbid_calls() {
        tracing::warn!("{error}");
    }
    Ok(())
}

/// Every file that is written.
pub fn outputs(args: &WatchArgs, run: &Run) -> Vec<PathBuf> {
    let mut files = run.output_files();
    files.extend(args.write.clone());
    files.extend(args.common.baseline.clone());
    files
}

/// The folder of a file, links in its path followed.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}
