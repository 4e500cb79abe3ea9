//! `bongsu ack`: somebody has seen an incident.

use std::process::ExitCode;

use super::args::AckArgs;
use super::{Failure, output, setup};
use crate::config::Beside;
use crate::store;

/// Acknowledges incidents in the state folder of a watch.
pub fn run(args: &AckArgs) -> Result<ExitCode, Failure> {
    let (config, _) = setup::configuration(args.config.as_deref(), &[], Beside::Files(&[]))?;
    let state = args.state.clone().or(config.state);
    let state = state.ok_or_else(|| {
        Failure::usage("no state folder: name that of the watch with --state, or its configuration with -c")
    })?;
    if let Some(wrong) = args.incidents.iter().find(|incident| !store::is_incident(incident)) {
        return Err(Failure::usage(format!(
            "'{wrong}' is no incident: expected the 16 digits of incident.id in an alert"
        )));
    }
    for incident in &args.incidents {
        store::acknowledge(&state, incident)
            .map_err(|error| Failure::running(format!("{}: {error}", state.display())))?;
    }
    output::print(&format!("{} acknowledged\n", args.incidents.join(", ")))
}
