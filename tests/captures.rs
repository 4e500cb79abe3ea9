//! Every shared capture through the program: none makes it panic or hang, the counts balance, and as many packets are
//! read as the index of the captures says.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use support::{Answer, is_balanced, replay, shared};

/// One row of the index.
struct Row<'a> {
    path: &'a str,
    packets: u64,
    /// What another reader had to say of the file; empty where it read it whole.
    warning: &'a str,
}

impl<'a> Row<'a> {
    const PATH: usize = 0;
    const PACKETS: usize = 10;
    const WARNING: usize = 19;

    fn read(line: &'a str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        Self {
            path: columns[Self::PATH],
            packets: columns[Self::PACKETS].parse().unwrap(),
            warning: columns.get(Self::WARNING).copied().unwrap_or_default().trim(),
        }
    }

    /// What is wrong with the program's answer to this capture.
    fn faults(&self, answer: &Answer) -> Vec<String> {
        let mut faults = Vec::new();
        if !matches!(answer.code, Some(0 | 1)) || answer.stderr.contains("panicked") {
            faults.push(format!("exit {:?}: {}", answer.code, answer.stderr));
            return faults;
        }
        let stats = answer.records().into_iter().rfind(|record| record["event_type"] == "stats");
        let Some(stats) = stats else { return vec![format!("no stats record: {}", answer.stderr)] };
        if !is_balanced(&stats) {
            faults.push(format!("not balanced: {}", stats["packets"]));
        }
        if self.warning.is_empty() && stats["packets"]["read"] != self.packets {
            faults.push(format!("{} packets read, {} in the index", stats["packets"]["read"], self.packets));
        }
        if (answer.code == Some(1)) == answer.stderr.trim().is_empty() {
            faults.push(format!("exit {:?} and on standard error: '{}'", answer.code, answer.stderr));
        }
        let complete = stats["capture"]["complete"].as_bool();
        if complete != Some(answer.code == Some(0)) {
            faults.push(format!("exit {:?} and complete {complete:?}", answer.code));
        }
        faults
    }
}

#[test]
fn every_shared_capture_is_read_as_far_as_it_goes() {
    let Some(index) = shared("INDEX.tsv") else { return };
    let text = std::fs::read_to_string(&index).unwrap();
    let rows: Vec<Row<'_>> = text.lines().skip(1).map(Row::read).collect();
    let folder = index.parent().unwrap();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // As many at a time as the program leaves cores idle while it starts.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = replay(&folder.join(row.path), &["--workers", "1"]);
                    let found =
                        row.faults(&answer).into_iter().map(|fault| format!("{}: {fault}\n", row.path));
                    faults.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
            });
        }
    });
    assert!(rows.len() > 400, "{} rows", rows.len());
    assert_eq!(faults.into_inner().unwrap().concat(), "");
}

#[test]
fn a_folder_of_captures_is_one_replay() {
    let (Some(index), Some(folder)) = (shared("INDEX.tsv"), shared("gopacket")) else { return };
    let text = std::fs::read_to_string(index).unwrap();
    let rows = text.lines().skip(1).map(Row::read).filter(|row| row.path.starts_with("gopacket/"));
    let packets: u64 = rows.map(|row| row.packets).sum();
    let answer = replay(&folder, &[]).exits(0);
    assert!(packets > 0);
    assert_eq!(answer.stats()["packets"]["read"], packets);
}

#[test]
fn timed_twenty_nine_years_between_two_packets_are_one_step() {
    let Some(capture) = shared("arkime/y2038-bgp.pcap") else { return };
    let started = Instant::now();
    replay(&capture, &[]).exits(0).stats();
    let with_service = replay(Path::new(&capture), &["-s", "bgp=0.0.0.0/0:179"]).exits(0);
    assert!(with_service.stats()["packets"]["decoded"].as_u64() > Some(0));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
