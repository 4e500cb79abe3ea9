//! What stands in the spools of a watch, read from outside while it runs: an alert that stands there whole outlives the
//! process, so whoever finds it there may ask for it at the receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

/// An alert: its incident, and which word on it this is.
pub type Word = (String, u64);

/// What was found, by the kind of sink.
pub type Found = BTreeMap<String, BTreeSet<Word>>;

/// Who looks, in a thread of its own.
pub struct Looker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Found>,
}

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Looker {
    /// Begins to look at the spools of a state folder.
    pub fn start(state: &Path) -> Self {
        let (stop, folder) = (Arc::new(AtomicBool::new(false)), state.join("spool"));
        let stopped = Arc::clone(&stop);
        let look = move || {
            let (mut segments, mut found) = (BTreeMap::new(), Found::new());
            while !stopped.load(SeqCst) {
                look(&folder, &mut segments, &mut found);
                thread::sleep(LOOK_EVERY);
            }
            // What the last write had brought in whole survives as well.
            look(&folder, &mut segments, &mut found);
            found
        };
        Self { stop, thread: thread::spawn(look) }
    }

    /// Looks once more and ends.
    pub fn finish(self) -> Found {
        self.stop.store(true, SeqCst);
        self.thread.join().unwrap()
    }
}

/// Looks at what was added to each segment since the last look.
fn look(folder: &Path, segments: &mut BTreeMap<PathBuf, u64>, found: &mut Found) {
    for spool in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = spool.file_name().to_string_lossy().into_owned();
        let kind = name.split('-').next().unwrap_or_default().to_owned();
        for segment in fs::read_dir(spool.path()).into_iter().flatten().flatten() {
            if segment.file_name().to_string_lossy().starts_with("segment-") {
                let read = segments.entry(segment.path()).or_default();
                *read += new_words(&segment.path(), *read, found.entry(kind.clone()).or_default());
            }
        }
    }
}

/// Adds the words that stand whole behind `from`; answers how many bytes they take.
fn new_words(segment: &Path, from: u64, found: &mut BTreeSet<Word>) -> u64 {
    // It may be gone since it was listed.
    let Ok(file) = File::open(segment) else { return 0 };
    let length = file.metadata().unwrap().len().saturating_sub(from);
    let mut bytes = vec![0; length as usize];
    if file.read_exact_at(&mut bytes, from).is_err() {
        return 0;
    }
    let mut at = 0;
    // A mark, a length, a number and a checksum stand before each record.
    while let Some(head) = bytes.get(at..at + 20) {
        let length = u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
        let Some(payload) = bytes.get(at + 20..at + 20 + length) else { break };
        let record: Value = serde_json::from_slice(payload).unwrap();
        if let (Some(incident), Some(seq)) = (record["incident"].as_str(), record["seq"].as_u64()) {
            found.insert((incident.to_owned(), seq));
        }
        at += 20 + length;
    }
    at as u64
}

/// The word that an alert line is.
pub fn word(line: &str) -> Option<Word> {
    let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("torn: {error}: {line}"));
    let incident = &record["incident"];
    (record["event_type"] == "alert")
        .then(|| (incident["id"].as_str().unwrap().to_owned(), incident["seq"].as_u64().unwrap()))
}

/// Words on incidents of which an earlier word is missing.
pub fn gaps(words: &BTreeSet<Word>) -> usize {
    words.iter().filter(|(id, seq)| *seq > 0 && !words.contains(&(id.clone(), seq - 1))).count()
}

/// Files of a state folder that somebody had to set aside.
pub fn set_aside(state: &Path) -> Vec<String> {
    let mut aside = Vec::new();
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            aside.extend(set_aside(&entry.path()));
        } else {
            let name = entry.file_name().to_string_lossy().into_owned();
            aside.extend([name].into_iter().filter(|name| {
                name.contains("damaged") || name.contains("unreadable") || name.contains("rejected")
            }));
        }
    }
    aside
}
