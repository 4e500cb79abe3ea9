//! Where in the state folder each sink has its spool. Comes in: what the sinks are. Goes out: a spool for each of those that
//! are to have one, the same in every run, whatever stands beside it in the configuration.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::spool::{Folder, Limits, Spool};
use super::{Setting, SinkError, Target, WhenFull};

/// A spool on the machine's disk.
pub(super) type Lodged = Spool<Folder>;

/// Hands out spools.
pub(super) struct Lodging {
    /// The folder of all spools; `None` where there is to be none.
    folder: Option<PathBuf>,
    limits: Limits,
    taken: HashSet<String>,
}

/// Digits that tell spools of one kind apart.
const DIGITS: usize = 12;

impl Lodging {
    /// Spools in the state folder, where there is one and nobody waits for delivery anyway.
    pub fn new(setting: &Setting) -> Self {
        let state = setting.state.as_ref().filter(|_| setting.when_full == WhenFull::Discard);
        Self {
            folder: state.map(|state| state.join("spool")),
            limits: Limits::of(setting.spool_bytes),
            taken: HashSet::new(),
        }
    }

    /// The spool of a sink, with what an earlier run left in it. Whoever reads standard output is there or is not.
    pub fn spool(&mut self, target: &Target) -> Result<Option<Lodged>, SinkError> {
        let (Some(folder), Some(name)) = (&self.folder, name(target)) else {
            return Ok(None);
        };
        // Sinks that are the same in all have a spool each.
        let names = (1..).map(|nth| if nth == 1 { name.clone() } else { format!("{name}-{nth}") });
        let Some(name) = names.into_iter().find(|name| !self.taken.contains(name)) else {
            return Ok(None);
        };
        let path = folder.join(&name);
        self.taken.insert(name);
        let opened = Folder::open(&path).and_then(|disk| Spool::open(disk, self.limits));
        opened.map(Some).map_err(|error| SinkError::Spool { path, error })
    }

    /// Says which spools hold alerts of sinks that are not there any more.
    pub fn tell_of_the_homeless(&self) {
        let Some(folder) = &self.folder else { return };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !self.taken.contains(&name) && holds_segments(&entry.path()) {
                tracing::warn!(
                    folder = %entry.path().display(),
                    "a spool of a sink that is not configured any more; its alerts are not delivered"
                );
            }
        }
    }
}

fn holds_segments(folder: &Path) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with("segment-"))
}

/// A name that tells people what it is for, and the rest by a digest, since addresses of webhooks may be secret.
fn name(target: &Target) -> Option<String> {
    let (kind, which) = match target {
        Target::Stdout => return None,
        Target::File { path, .. } => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            ("file", path.display().to_string())
        }
        Target::Udp { host, port } => ("syslog-udp", format!("{host} {port}")),
        Target::Unix(path) => ("syslog-unix", path.display().to_string()),
        Target::Tcp { host, port } => ("syslog-tcp", format!("{host} {port}")),
        Target::Tls { host, port, .. } => ("syslog-tls", format!("{host} {port}")),
        Target::Webhook(hook) => ("webhook", hook.url.identity()),
    };
    let digest = Sha256::digest(which.as_bytes());
    let mut digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(DIGITS);
    Some(format!("{kind}-{digits}"))
}
