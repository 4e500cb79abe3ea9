//! What a replay does when it is signalled: it ends what is open, tells how it stands, opens its outputs anew. Also while
//! its input is silent, or waits for the pace that was asked for.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use bongsu::synth::{Scenario, per_sec};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::{WEB, bongsu, crowd_at_home, foreign_flood, write};

/// A minute of people at home, and for 25 s of it three times as many requests from abroad.
fn flood_over_crowd() -> Scenario {
    Scenario::new(1).with(crowd_at_home(per_sec(30))).with(foreign_flood(per_sec(90)))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

fn signal(replay: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(replay), signal).unwrap();
}

fn parsed(line: std::io::Result<String>) -> Value {
    serde_json::from_str(&line.unwrap()).unwrap()
}

/// Waits until it holds, for a while.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A replay under way, whose standard output is read line by line.
struct UnderWay {
    replay: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl UnderWay {
    fn begin(words: &[&str]) -> Self {
        let mut command = bongsu();
        command.arg("replay").args(words).args(["-o", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut replay = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(replay.stdout.take().unwrap()).lines();
        Self { replay, lines }
    }

    /// The next stats record, which is asked for.
    fn stats(&mut self) -> Value {
        signal(&self.replay, Signal::USR1);
        self.lines.by_ref().map(parsed).find(|record| record["event_type"] == "stats").unwrap()
    }

    /// Interrupts it; answers the rest of its records.
    fn interrupt(mut self) -> Vec<Value> {
        signal(&self.replay, Signal::INT);
        let asked = Instant::now();
        let rest = self.lines.map(parsed).collect();
        let mut said = String::new();
        self.replay.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let ended = self.replay.wait().unwrap();
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        assert_eq!((ended.code(), said.as_str()), (Some(0), ""));
        rest
    }
}

/// Packets read, as a stats record has them.
fn read(stats: &Value) -> u64 {
    stats["packets"]["read"].as_u64().unwrap()
}

#[test]
fn a_pipe_that_falls_silent_is_told_of_and_interrupted_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcapng");
    let packets = write(&flood_over_crowd(), &capture);
    let whole = std::fs::read(&capture).unwrap();
    // In the middle of a packet, and of the flood.
    let begun = &whole[..whole.len() / 2 + 1];
    for packed in [begun.to_vec(), gzip(begun)] {
        let mut replay = UnderWay::begin(&["-", "-s", WEB, "--home", "KR"]);
        let mut pipe = replay.replay.stdin.take().unwrap();
        pipe.write_all(&packed).unwrap();
        let mut last = 0;
        until("nothing more is read", || {
            let (before, now) = (last, read(&replay.stats()));
            last = now;
            now > packets / 3 && now == before
        });
        let rest = replay.interrupt();
        let closed = rest.iter().find(|record| record["incident"]["state"] == "close").unwrap();
        assert_eq!(closed["incident"]["interrupted"], true, "{closed}");
        let stats = rest.last().unwrap();
        assert_eq!((read(stats), &stats["capture"]["complete"]), (last, &Value::Bool(true)));
        assert!(last < packets * 2 / 3, "{last} of {packets}");
        drop(pipe);
    }
}

#[test]
fn a_pipe_that_says_nothing_at_all_is_interrupted_at_once() {
    let mut replay = UnderWay::begin(&["-"]);
    let pipe = replay.replay.stdin.take();
    // Signals are listened to before the input is.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(read(replay.interrupt().last().unwrap()), 0);
    drop(pipe);
}

#[test]
fn a_slow_replay_tells_how_it_stands_and_opens_its_outputs_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (capture, output, aside) = (path("made.pcapng"), path("records.jsonl"), path("records.1"));
    write(&flood_over_crowd(), &capture);
    let mut command = bongsu();
    command.arg("replay").arg(&capture).args(["-s", WEB, "--pace", "0.001", "-o"]).arg(&output);
    let mut replay = command.spawn().unwrap();
    until("the output is there", || output.exists());
    let told = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("\"stats\""));
    signal(&replay, Signal::USR1);
    until("stats are told", || told(&output));
    std::fs::rename(&output, &aside).unwrap();
    signal(&replay, Signal::HUP);
    until("the output is opened anew", || output.exists());
    assert!(!told(&output) && told(&aside));
    signal(&replay, Signal::TERM);
    assert_eq!(replay.wait().unwrap().code(), Some(0));
    assert!(told(&output));
}
