//! What a process costs: CPU time and memory, as the system accounts for them. Comes in: a command. Goes out: a [`Cost`].

#![allow(dead_code, reason = "not everyone who measures asks for all of a cost")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wait4::Wait4;

/// What one run cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// User and system time.
    pub cpu_secs: f64,
    /// The most that lay in memory, files included, in bytes.
    pub peak: u64,
    /// The most anonymous memory that was seen, in bytes; looked at every few milliseconds.
    pub anonymous: u64,
}

/// Between two looks at a process's memory.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a command on one core with its output in `log`, and fails where it fails.
pub fn run(command: &[OsString], log: &Path) -> io::Result<Cost> {
    let mut pinned = pinned(command);
    let out = File::create(log)?;
    let child = pinned.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
    wait(child).map_err(|error| io::Error::other(format!("{error} (see {})", log.display())))
}

/// The same command, bound to the last core that this process may use.
pub fn pinned(command: &[OsString]) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.arg("-c").arg(last_core()).args(command);
    pinned
}

/// Waits for a process, looks at its memory meanwhile, and fails where it fails.
pub fn wait(mut child: Child) -> io::Result<Cost> {
    let status = format!("/proc/{}/status", child.id());
    let mut anonymous = 0;
    let used = loop {
        anonymous = anonymous.max(anonymous_bytes(&status));
        match child.try_wait4()? {
            Some(used) => break used,
            None => std::thread::sleep(LOOK),
        }
    };
    if !used.status.success() {
        return Err(io::Error::other(used.status.to_string()));
    }
    let cpu_secs = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    Ok(Cost { cpu_secs, peak: used.rusage.maxrss, anonymous })
}

/// Zero where the process is gone.
fn anonymous_bytes(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The last core of this process's list, such as 3 of `0-3`.
fn last_core() -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let last = list.and_then(|list| list.trim().rsplit([',', '-']).next());
    last.unwrap_or("0").to_owned()
}

/// The middle value; not a number where there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
