//! A mirror port of the tests' own: a network namespace with a veth pair in it, and a watch on one end of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Answer, not_run, records};

/// A namespace with a veth pair in it, `v0` and `v1`, that nothing but the test speaks on; gone when it is dropped.
pub struct Line {
    pub namespace: String,
}

impl Line {
    /// Makes one; where that is not possible it is told why.
    pub fn new(name: &str) -> Option<Self> {
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
        if !line.join() {
            not_run("no rights to make a veth pair");
            return None;
        }
        Some(line)
    }

    /// Makes the pair; answers whether that was possible.
    pub fn join(&self) -> bool {
        // Room for frames that a network card had put together.
        let pair =
            ["link", "add", "v0", "mtu", "65535", "type", "veth", "peer", "name", "v1", "mtu", "65535"];
        self.ip(&pair) && ["v0", "v1"].iter().all(|end| self.ip(&["link", "set", end, "up"]))
    }

    /// `ip` on the namespace; answers whether it did what it was told.
    pub fn ip(&self, words: &[&str]) -> bool {
        ip(&[&["-n", &self.namespace], words].concat()).status.success()
    }

    /// A program inside the namespace.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]).stdin(Stdio::null());
        command
    }

    /// Sends a capture at its recorded speed.
    pub fn send(&self, capture: &Path) {
        let sent = self.inside("tcpreplay").args(["-q", "-i", "v0"]).arg(capture).output().unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.namespace]);
    }
}

pub fn ip(words: &[&str]) -> Output {
    Command::new("ip").args(words).output().unwrap()
}

/// `bongsu watch` under way; ended when it is dropped.
pub struct Watch {
    child: Option<Child>,
    pub kept: PathBuf,
    pub told: PathBuf,
}

impl Watch {
    pub fn begin(line: &Line, folder: &Path, more: &[&str]) -> Self {
        let kept = folder.join("kept.pcapng");
        let keep = ["-w", kept.to_str().unwrap()];
        let watch = Self::start(line, folder, &[&keep[..], more].concat());
        // The file is made once the interface is open.
        watch.waits_for(&watch.kept);
        watch
    }

    /// The same without keeping the packets.
    pub fn begin_unkept(line: &Line, folder: &Path, more: &[&str]) -> Self {
        let watch = Self::start(line, folder, more);
        watch.waits_for(&watch.told);
        watch
    }

    fn start(line: &Line, folder: &Path, more: &[&str]) -> Self {
        let [kept, told, log] = ["kept.pcapng", "alerts.jsonl", "log"].map(|name| folder.join(name));
        let child = line
            .inside(env!("CARGO_BIN_EXE_bongsu"))
            .args(["watch", "-i", "v1", "-o"])
            .arg(&told)
            .args(more)
            .stdout(Stdio::piped())
            // A pipe that nobody reads would hold it up in the end.
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        Self { child: Some(child), kept, told }
    }

    fn waits_for(&self, path: &Path) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !path.exists() {
            assert!(Instant::now() < deadline, "the watch does not begin");
            sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as an operator does.
    pub fn interrupt(&mut self) -> Answer {
        self.signal("INT");
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let stderr = std::fs::read_to_string(self.told.with_file_name("log")).unwrap_or_default();
        Answer { stderr, ..Answer::of(output) }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let words = [format!("-{name}"), self.id().to_string()];
        let killed = Command::new("kill").args(words).status().unwrap();
        assert!(killed.success());
    }

    /// Waits until it has told a record that `is` what is waited for, and gives that record.
    pub fn tells(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let told = std::fs::read_to_string(&self.told).unwrap_or_default();
            let whole = told.rfind('\n').map_or("", |end| &told[..=end]);
            if let Some(record) = records(whole).into_iter().find(|record| is(record)) {
                return record;
            }
            assert!(Instant::now() < deadline, "not told: {what}\n{told}");
            sleep(Duration::from_millis(20));
        }
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
