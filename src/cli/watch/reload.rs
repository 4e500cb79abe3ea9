//! Reads rules, configuration and databases anew, on SIGHUP and when a file has changed, in a thread of its own: reading
//! holds no packet up. Comes in: requests. Goes out: a [`Run`] that is whole, or all that is wrong with the files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cli::args::Common;
use crate::cli::setup::Run;

/// Between two looks at the files. One that is being written is taken when it has not changed from one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What reading anew came to.
pub type Read = Result<Box<Run>, String>;

/// The thread and the ways to it and from it.
pub struct Reloader {
    requests: SyncSender<()>,
    read: Receiver<Read>,
    thread: JoinHandle<()>,
}

impl Reloader {
    /// Begins to look at the files that `run` was read from.
    pub fn start(common: &Common, run: &Run) -> std::io::Result<Self> {
        let (requests, requested) = sync_channel(1);
        let (send, read) = sync_channel(1);
        let files = Files::of(run.sources.clone());
        let reading = Reading { common: common.clone(), last: run.clone(), files };
        let work = move || reading.work(&requested, &send);
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(work)?;
        Ok(Self { requests, read, thread })
    }

    /// Has everything read anew, whether or not a file has changed.
    pub fn request(&self) {
        // One that waits already will do.
        let _ = self.requests.try_send(());
    }

    /// What was read since the last time, where anything was.
    pub fn take(&self) -> Option<Read> {
        self.read.try_recv().ok()
    }

    /// Ends it.
    pub fn finish(self) {
        drop((self.requests, self.read));
        let _ = self.thread.join();
    }
}

struct Reading {
    common: Common,
    /// What was read last and is whole.
    last: Run,
    files: Files,
}

impl Reading {
    fn work(mut self, requested: &Receiver<()>, send: &SyncSender<Read>) {
        loop {
            let due = match requested.recv_timeout(LOOK_EVERY) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => self.files.have_changed(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !due {
                continue;
            }
            let read = Run::gather_again(&self.common, &self.last);
            let read = read.map_err(|failure| failure.to_string());
            if let Ok(run) = &read {
                self.last = run.clone();
                self.files = Files::of(run.sources.clone());
            }
            if send.send(read.map(Box::new)).is_err() {
                return;
            }
        }
    }
}

/// The files, and how they were when they were read last.
struct Files {
    paths: Vec<PathBuf>,
    read: Vec<Mark>,
    /// How they were at the last look.
    seen: Vec<Mark>,
}

/// What tells one state of a file from another; nothing where it is not there.
type Mark = Option<(PathBuf, u64, u64, i64, i64)>;

impl Files {
    fn of(paths: Vec<PathBuf>) -> Self {
        let read = marks(&paths);
        Self { seen: read.clone(), paths, read }
    }

    /// Whether they are not what was read, and have been so for a look.
    fn have_changed(&mut self) -> bool {
        let now = marks(&self.paths);
        let is_settled = now == self.seen;
        self.seen = now;
        if !is_settled || self.seen == self.read {
            return false;
        }
        self.read = self.seen.clone();
        true
    }
}

/// The marks of files, and of what folders hold.
fn marks(paths: &[PathBuf]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for path in paths {
        marks.push(mark(path));
        if let Ok(entries) = fs::read_dir(path) {
            let mut held: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            held.sort();
            marks.extend(held.iter().map(|path| mark(path)));
        }
    }
    marks
}

fn mark(path: &Path) -> Mark {
    let held = fs::metadata(path).ok()?;
    Some((path.to_owned(), held.ino(), held.len(), held.mtime(), held.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::attribute::Country;
    use crate::cli::args::{Cli, Command};
    use crate::detect::baseline::Baselines;
    use crate::sink::Begin;

    #[test]
    fn a_file_is_taken_once_it_has_settled_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.yaml");
        let mut files = Files::of(vec![folder.path().to_owned(), rules.clone()]);
        assert!(!files.have_changed());
        fs::write(&rules, "half").unwrap();
        assert!(!files.have_changed(), "it may still be written");
        assert!(files.have_changed());
        assert!(!files.have_changed());
        fs::remove_file(&rules).unwrap();
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }

    #[test]
    fn open_incidents_are_called_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        let write = |sensor: &str, home: &str| {
            fs::write(&path, format!("sensor: {sensor}\nhome: [{home}]\n")).unwrap();
        };
        let words = [
            "bongsu".as_ref(),
            "watch".as_ref(),
            "-i".as_ref(),
            "lo".as_ref(),
            "-c".as_ref(),
            path.as_os_str(),
        ];
        let Command::Watch(args) = Cli::try_parse_from(words).unwrap().command else { panic!("no watch") };
        write("mirror-1", "KR");
        let run = Run::gather(&args.common, Begin::Append, Baselines::default()).unwrap();
        write("mirror-2", "JP");
        let again = Run::gather_again(&args.common, &run).unwrap();
        assert_eq!(again.scene.sensor, "mirror-1");
        assert_eq!(again.home, [Country::parse("JP").unwrap()]);
    }
}
