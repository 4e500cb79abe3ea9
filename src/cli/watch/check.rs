//! `bongsu watch --check`: what is missing to run, without running. Changes nothing.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{Access, access};

use super::service::Address;
use super::{confine, interfaces};
use crate::cli::args::WatchArgs;
use crate::cli::setup::Run;
use crate::cli::{Failure, output};
use crate::host::clock;

/// Databases older than a year name the wrong holders for many prefixes.
const OLD: u64 = 366 * 86_400;

/// Looks at everything that a watch needs; tells all that is missing at once.
pub fn check(args: &WatchArgs, run: &Run, http: Address) -> Result<ExitCode, Failure> {
    let mut missing = Vec::new();
    let mut note = |result: Result<(), Failure>| {
        missing.extend(result.err().map(|failure| failure.to_string()));
    };
    note(interfaces(args).map(drop));
    note(confine::plan(args, run).map(drop));
    note(http.bind().map(drop));
    for path in confine::outputs(args, run) {
        note(writable(&path));
    }
    if let Some(state) = run.state_folder(args.state.as_deref()) {
        note(writable(&state.join("any")));
    }
    let now = u64::try_from(clock::now_secs()).unwrap_or(0);
    let geo = &run.scene.geo;
    for (name, built) in [(&geo.country_db, geo.build_epoch), (&geo.asn_db, geo.asn_build_epoch)] {
        if now.saturating_sub(built) > OLD {
            tracing::warn!("the database {name} is more than a year old");
        }
    }
    if missing.is_empty() {
        return output::print("nothing is missing\n");
    }
    Err(Failure::Running(missing.join("\n")))
}

/// Whether a file can be written, or made where there is none.
fn writable(path: &Path) -> Result<(), Failure> {
    let missing = |error: &dyn std::fmt::Display| Failure::running(format!("{}: {error}", path.display()));
    if path.exists() {
        return OpenOptions::new().append(true).open(path).map(drop).map_err(|error| missing(&error));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A state folder is made where the one above it can be written.
    let folder = if folder.exists() { folder } else { folder.parent().unwrap_or(folder) };
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| missing(&error))
}
