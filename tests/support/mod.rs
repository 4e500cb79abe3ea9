//! What the tests of the program share: the built binary and what it answers, generated captures, and the shared
//! captures where they are. Each test file uses its own part of it. Judges nothing.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

pub mod line;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bongsu::capture::{Beat, Writer};
use bongsu::service::Service;
use bongsu::synth::{Rate, Scenario, Traffic, secs};
use bongsu::time::Timestamp;
use serde_json::Value;

/// The service of generated captures, in a Korean range.
pub const WEB: &str = "web=211.34.105.10:80";

/// One prefix each of two Korean networks.
pub const AT_HOME: [&str; 2] = ["168.126.63.0/24", "211.34.106.0/24"];

/// Two prefixes that the shipped databases know as US, in different networks.
pub const ABROAD: [&str; 2] = ["184.164.240.0/24", "99.0.1.0/24"];

/// The program under test, with nothing on its standard input.
pub fn bongsu() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bongsu"));
    command.stdin(Stdio::null());
    command
}

/// `bongsu` with these words, to its end.
pub fn run<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Answer {
    Answer::of(bongsu().args(words).output().unwrap())
}

/// `bongsu replay CAPTURE -o -` with more words.
pub fn replay(capture: &Path, more: &[&str]) -> Answer {
    Answer::of(bongsu().arg("replay").arg(capture).args(["-o", "-"]).args(more).output().unwrap())
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Answer {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Takes the output of a finished process.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, once the exit code is known to be right.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard error: {}", self.stderr);
        self
    }

    /// The records on standard output.
    pub fn records(&self) -> Vec<Value> {
        records(&self.stdout)
    }

    /// The alert records.
    pub fn alerts(&self) -> Vec<Value> {
        alerts(&self.stdout)
    }

    /// The lines of the alert records, as they are.
    pub fn alert_lines(&self) -> Vec<&str> {
        alert_lines(&self.stdout)
    }

    /// The one stats record, its counts balanced.
    pub fn stats(&self) -> Value {
        last_stats(&self.stdout)
    }
}

/// Every line as a record.
pub fn records(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The records of one kind.
fn of_type(lines: &str, event_type: &str) -> Vec<Value> {
    records(lines).into_iter().filter(|record| record["event_type"] == event_type).collect()
}

/// The alert records of JSON Lines.
pub fn alerts(lines: &str) -> Vec<Value> {
    of_type(lines, "alert")
}

/// The alert lines of JSON Lines, as they are.
pub fn alert_lines(lines: &str) -> Vec<&str> {
    lines.lines().filter(|line| line.contains("\"event_type\":\"alert\"")).collect()
}

/// The last stats record of JSON Lines, its counts balanced.
pub fn last_stats(lines: &str) -> Value {
    let stats = of_type(lines, "stats").pop().unwrap_or_else(|| panic!("no stats record in: {lines}"));
    assert!(is_balanced(&stats), "{stats}");
    stats
}

/// Whether read = decoded + the sum of skipped.
pub fn is_balanced(stats: &Value) -> bool {
    let packets = &stats["packets"];
    let skipped: u64 = packets["skipped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    packets["read"].as_u64() == Some(packets["decoded"].as_u64().unwrap() + skipped)
}

/// The one incident of these alerts: its lines, of which exactly the first opens it and exactly the last closes it.
pub fn one_incident(alerts: &[Value]) -> &[Value] {
    let states: Vec<&str> = alerts.iter().map(|alert| alert["incident"]["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "open").count(), 1, "{states:?}");
    assert_eq!(states.first(), Some(&"open"), "{states:?}");
    assert_eq!(states.iter().position(|state| *state == "close"), Some(states.len() - 1), "{states:?}");
    let id = &alerts[0]["incident"]["id"];
    assert!(alerts.iter().all(|alert| alert["incident"]["id"] == *id), "{alerts:?}");
    let numbers: Vec<u64> = alerts.iter().map(|alert| alert["incident"]["seq"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..alerts.len() as u64), "{numbers:?}");
    alerts
}

/// What each incident is about, in order: service, label, kind, and origins as kind and value.
pub fn gist(alerts: &[Value]) -> Vec<String> {
    let mut gist: Vec<String> = alerts
        .iter()
        .filter(|alert| alert["incident"]["state"] == "close")
        .map(|alert| {
            let verdict = &alert["verdict"];
            format!(
                "{} {} {} {:?}",
                alert["service"]["name"],
                verdict["label"],
                verdict["kind"],
                origins(alert)
            )
        })
        .collect();
    gist.sort();
    gist
}

/// The origins of an alert as `kind value`, sorted.
pub fn origins(alert: &Value) -> Vec<String> {
    let rows = alert["origins"].as_array().unwrap().iter();
    let mut origins: Vec<String> = rows
        .map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["value"].as_str().unwrap()))
        .collect();
    origins.sort();
    origins
}

/// The service of generated captures.
pub fn web() -> Service {
    Service::parse(WEB).unwrap()
}

/// Visitors at home: 200 clients of two networks, for a minute unless told.
pub fn crowd_at_home(rate: Rate) -> Traffic {
    let crowd =
        Traffic::to(&web()).named("crowd").sources(200).requests(rate).over(secs(60)).path("/bid/list");
    AT_HOME.iter().fold(crowd, |crowd, prefix| crowd.from(prefix))
}

/// Foreign clients: 100 in two prefixes, from the 20th second on for 25 s unless told.
pub fn foreign_flood(rate: Rate) -> Traffic {
    let flood = Traffic::to(&web()).named("flood").sources(100).requests(rate).start(secs(20)).over(secs(25));
    ABROAD
        .iter()
        .fold(flood, |flood, prefix| flood.from(prefix))
        .path("/bid/notice")
        .agent("python-requests/2.32.3")
}

/// Writes the frames of a scenario as a capture; answers how many there are.
pub fn write(scenario: &Scenario, path: &Path) -> u64 {
    write_with_beats(scenario, path, |_| None)
}

/// The same, as a watch keeps them: with what it says of itself in each second, counted from the first packet, in which it
/// says anything.
pub fn write_with_beats(scenario: &Scenario, path: &Path, says: impl Fn(i64) -> Option<Beat>) -> u64 {
    let mut writer = Writer::new(BufWriter::new(File::create(path).unwrap()));
    let (mut packets, mut first, mut second) = (0, None, 0);
    for frame in scenario.frames().unwrap() {
        let frame = frame.as_frame();
        let begun: Timestamp = *first.get_or_insert(frame.time);
        while second <= (frame.time.nanos() - begun.nanos()) / 1_000_000_000 {
            if let Some(beat) = says(second) {
                let time = Timestamp::from_nanos(begun.nanos() + second * 1_000_000_000);
                writer.beat(&Beat { time, ..beat }).unwrap();
            }
            second += 1;
        }
        writer.frame(&frame).unwrap();
        packets += 1;
    }
    writer.finish().unwrap().flush().unwrap();
    packets
}

/// The same with the time of each packet moved by so many seconds, by its second from the first packet on.
pub fn write_moved(scenario: &Scenario, path: &Path, by: impl Fn(i64) -> i64) {
    let mut writer = Writer::new(BufWriter::new(File::create(path).unwrap()));
    let mut first = None;
    for frame in scenario.frames().unwrap() {
        let mut frame = frame.as_frame();
        let begun: Timestamp = *first.get_or_insert(frame.time);
        let second = (frame.time.nanos() - begun.nanos()) / 1_000_000_000;
        frame.time = Timestamp::from_nanos(frame.time.nanos() + by(second) * 1_000_000_000);
        writer.frame(&frame).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}

/// A new folder with the capture of a scenario in it; the folder goes when it is dropped.
pub fn written(scenario: &Scenario) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcapng");
    write(scenario, &capture);
    (folder, capture)
}

/// A file or folder of the shared captures; where there is none it is told, and the test is over.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BONGSU_CAPTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"), PathBuf::from);
    let path = folder.join(path);
    if !path.exists() {
        println!("not run: no {}", path.display());
        return None;
    }
    Some(path)
}

/// Tells that a test did not run, and why.
pub fn not_run(reason: &str) {
    println!("not run: {reason}");
}
