//! A thread of a watch that stands still: a tracer holds it in one of its system calls while the others go on.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bongsu::synth::{Scenario, per_sec, secs};
use serde_json::Value;

use crate::support::line::{Line, Watch};
use crate::support::{WEB, crowd_at_home, last_stats, records, written};
use crate::told::{Outcome, tell};

/// Longer than it may take to notice.
const HELD: Duration = Duration::from_secs(9);

/// The thread of that name.
fn thread_of(id: u32, name: &str) -> u32 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten();
    let is =
        |path: &std::path::Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let found = threads.map(|thread| thread.path()).find(|path| is(path)).unwrap();
    found.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// Holds a thread in the next call of that name.
fn hold(thread: u32, call: &str) -> Child {
    let micros = HELD.as_micros();
    Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-p", &thread.to_string(), "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:delay_enter={micros}:when=1")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The status line of an answer.
fn ask(line: &Line, at: SocketAddr, path: &str) -> String {
    line.within(|| {
        let mut stream = TcpStream::connect(at).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    })
}

/// Packets that it has handed out, by its latest stats; some more are under way.
fn decoded(watch: &Watch) -> Option<u64> {
    let told = fs::read_to_string(&watch.told).unwrap();
    let whole = records(told.rfind('\n').map_or("", |end| &told[..=end]));
    whole.iter().rev().find_map(|record| record["packets"]["decoded"].as_u64())
}

/// Holds one thread after the other; each must be told of, and go on.
fn held(fault: &str, name: &str, subject: &str, call: &str) {
    let Some(line) = Line::new("stuck") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let (_folder, capture) = written(&Scenario::new(77).with(crowd_at_home(per_sec(200)).over(secs(20))));
    // Takes a port that is free, and gives it back.
    let at = line.listen().local_addr().unwrap();
    let more = ["-s", WEB, "--workers", "2", "--http", &at.to_string()];
    let mut watch = Watch::begin_unkept(&line, folder.path(), &more);
    let sending = line.send_on(&capture, 2_000);
    // From then on packets are handed out as they come.
    watch.until("it counts", || {
        watch.signal("USR1");
        decoded(&watch) > Some(1_000)
    });
    let mut tracer = hold(thread_of(watch.id(), name), call);
    let begun = Instant::now();
    let is = |state: &'static str| {
        move |record: &Value| {
            record["condition"] == "stuck" && record["subject"] == subject && record["state"] == state
        }
    };
    watch.tells("it is stuck", is("on"));
    let noticed = begun.elapsed().as_secs_f64();
    let (health, readiness) = (ask(&line, at, "/healthz"), ask(&line, at, "/readyz"));
    watch.tells("it goes on", is("off"));
    let _ = tracer.kill();
    let _ = tracer.wait();
    drop(sending);
    sleep(Duration::from_secs(2));
    let sent = line.sent();
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let packets = &last_stats(&told)["packets"];
    let (read, dropped) = (packets["read"].as_u64().unwrap(), packets["dropped_kernel"].as_u64().unwrap());
    let figures = format!(
        "noticed after {noticed:.1} s, {health}, {readiness}, goes on after {} s; {read} read and {dropped} dropped of {sent}",
        HELD.as_secs()
    );
    let unwell = [&health, &readiness].iter().all(|answer| answer.contains(" 503 "));
    // A tracer that takes a moment to get hold of it is the watch's to wait for as well.
    let held = noticed <= 5.5 && unwell && read + dropped == sent;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

#[test]
#[ignore = "needs root and strace: make faults"]
fn a_worker_that_is_stuck() {
    held("a worker is stuck", "worker 0", "worker 0", "futex");
}

#[test]
#[ignore = "needs root and strace: make faults"]
fn a_reducer_that_is_stuck() {
    held("the reducer is stuck", "reducer", "reducer", "futex");
}

#[test]
#[ignore = "needs root and strace: make faults"]
fn a_reader_that_is_stuck() {
    held("the reader is stuck", "bongsu", "reader", "ppoll");
}
