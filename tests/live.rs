//! `bongsu watch` on one end of a veth pair while tcpreplay sends a capture into the other: no packet is lost, what was
//! kept replays to the same alert lines, and the incidents are those of the capture that was sent.
//!
//! Each test makes the pair in a network namespace of its own; without root, `ip` or tcpreplay it is not run.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bongsu::synth::{Scenario, per_sec, secs};
use support::{
    Answer, WEB, alert_lines, alerts, crowd_at_home, foreign_flood, last_stats, not_run, one_incident,
    origins, replay, shared, written,
};

/// A namespace with a veth pair in it, `v0` and `v1`, that nothing but the test speaks on; gone when it is dropped.
struct Line {
    namespace: String,
}

impl Line {
    /// Makes one; where that is not possible it is told why.
    fn new(name: &str) -> Option<Self> {
        for tool in ["ip", "tcpreplay", "kill"] {
            if Command::new(tool).arg("-V").output().is_err() {
                not_run(&format!("no {tool}"));
                return None;
            }
        }
        let namespace = format!("bongsu-{name}-{}", std::process::id());
        if !ip(&["netns", "add", &namespace]).status.success() {
            not_run("no rights to make a network namespace");
            return None;
        }
        let line = Self { namespace };
        // The kernel's own neighbour discovery would be counted with the packets that were sent.
        for key in ["all", "default"] {
            line.inside("sysctl")
                .args(["-qw", &format!("net.ipv6.conf.{key}.disable_ipv6=1")])
                .output()
                .ok()?;
        }
        let of_line = |words: &[&str]| ip(&[&["-n", &line.namespace], words].concat());
        // Room for frames that a network card had put together.
        let pair =
            ["link", "add", "v0", "mtu", "65535", "type", "veth", "peer", "name", "v1", "mtu", "65535"];
        if !of_line(&pair).status.success() {
            not_run("no rights to make a veth pair");
            return None;
        }
        assert!(["v0", "v1"].iter().all(|end| of_line(&["link", "set", end, "up"]).status.success()));
        Some(line)
    }

    /// A program inside the namespace.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]).stdin(Stdio::null());
        command
    }

    /// Sends a capture at its recorded speed.
    fn send(&self, capture: &Path) {
        let sent = self.inside("tcpreplay").args(["-q", "-i", "v0"]).arg(capture).output().unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.namespace]);
    }
}

fn ip(words: &[&str]) -> Output {
    Command::new("ip").args(words).output().unwrap()
}

/// `bongsu watch` under way; ended when it is dropped.
struct Watch {
    child: Option<Child>,
    kept: PathBuf,
    told: PathBuf,
}

impl Watch {
    fn begin(line: &Line, folder: &Path, more: &[&str]) -> Self {
        let (kept, told) = (folder.join("kept.pcapng"), folder.join("alerts.jsonl"));
        let child = line
            .inside(env!("CARGO_BIN_EXE_bongsu"))
            .args(["watch", "-i", "v1", "-w"])
            .arg(&kept)
            .arg("-o")
            .arg(&told)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let watch = Self { child: Some(child), kept, told };
        // The file is made once the interface is open.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !watch.kept.exists() {
            assert!(Instant::now() < deadline, "the watch does not begin");
            sleep(Duration::from_millis(10));
        }
        watch
    }

    /// Ends it as an operator does.
    fn interrupt(&mut self) -> Answer {
        let child = self.child.take().unwrap();
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        Answer::of(child.wait_with_output().unwrap())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Watches while `capture` is sent, and compares with what replays say.
fn watch_and_compare(name: &str, capture: &Path, packets: u64, more: &[&str]) {
    let Some(line) = Line::new(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::begin(&line, folder.path(), more);
    line.send(capture);
    // The last packets cross the ring within its timeout of a fraction of a second.
    sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = std::fs::read_to_string(&watch.told).unwrap();
    let stats = last_stats(&told);
    let count = |field: &str| stats["packets"][field].as_u64();
    assert_eq!((count("read"), count("dropped_kernel")), (Some(packets), Some(0)), "{stats}");
    one_incident(&alerts(&told));
    let kept = replay(&watch.kept, more).exits(0);
    assert_eq!(kept.stats()["packets"]["read"], packets);
    assert_eq!(kept.alert_lines(), alert_lines(&told));
    // Sent anew the packets have times of their own, by which a verdict may be surer or less sure.
    let who = |alerts: &[serde_json::Value]| {
        alerts.last().map(|last| (last["service"]["name"].clone(), origins(last)))
    };
    assert_eq!(who(&replay(capture, more).exits(0).alerts()), who(&alerts(&told)));
}

#[test]
fn a_watch_tells_what_its_packets_and_the_capture_tell() {
    let scenario = Scenario::new(51)
        .with(crowd_at_home(per_sec(20)).over(secs(12)))
        .with(foreign_flood(per_sec(80)).start(secs(5)).over(secs(6)));
    let (_folder, capture) = written(&scenario);
    let packets = scenario.truth().unwrap().packets;
    watch_and_compare("made", &capture, packets, &["-s", WEB, "--home", "KR"]);
}

#[test]
fn a_watch_tells_of_others_captures_what_a_replay_tells() {
    let Some(capture) = shared("doup123/test.pcap") else { return };
    watch_and_compare("doup", &capture, 17_000, &["-s", "web=172.16.1.2:5000", "--home", "KR"]);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let answer = support::run(["watch", "-i", "bongsu-none"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stderr.contains("bongsu-none"), "{}", answer.stderr);
}
