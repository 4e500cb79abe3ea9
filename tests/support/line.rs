//! A mirror port of the tests' own: a network namespace with a veth pair in it, and a watch on one end of it.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
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

    /// Does something in a thread inside the namespace: what it opens belongs there, and so do threads that it starts.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.namespace)).unwrap();
        let enter = || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(file.as_fd(), network).unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// Listens on the namespace's own loopback interface.
    pub fn listen(&self) -> TcpListener {
        assert!(self.ip(&["link", "set", "lo", "up"]));
        self.within(|| TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Sends a capture again and again, so many packets a second, until what it gives is dropped. They go in handfuls: a busy
    /// machine wakes nobody for each.
    pub fn send_on(&self, capture: &Path, per_second: u32) -> Sending {
        let mut sending = self.inside("tcpreplay");
        sending
            .args(["-q", "--loop=0", &format!("--pps={per_second}"), "--pps-multi=20", "-i", "v0"])
            .arg(capture);
        Sending(sending.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Packets that went into the line so far.
    pub fn sent(&self) -> u64 {
        let shown = ip(&["-n", &self.namespace, "-s", "-j", "link", "show", "v0"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        shown[0]["stats64"]["tx"]["packets"].as_u64().unwrap()
    }

    /// Sends a capture at its recorded speed.
    pub fn send(&self, capture: &Path) {
        let sent = self.inside("tcpreplay").args(["-q", "-i", "v0"]).arg(capture).output().unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
}

/// A capture that is being sent.
pub struct Sending(Child);

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
        // One file is made once the interface is open, the other once signals are listened to.
        watch.waits_for(&watch.kept);
        watch.waits_for(&watch.told);
        watch
    }

    /// The same without keeping the packets.
    pub fn begin_unkept(line: &Line, folder: &Path, more: &[&str]) -> Self {
        let watch = Self::start(line, folder, more);
        watch.waits_for(&watch.told);
        watch
    }

    fn start(line: &Line, folder: &Path, more: &[&str]) -> Self {
        Self::under(line.inside(env!("CARGO_BIN_EXE_bongsu")), folder, more)
    }

    /// Under a command that ends with the program's name: a tracer, say.
    pub fn under(mut command: Command, folder: &Path, more: &[&str]) -> Self {
        let [kept, told, log] = ["kept.pcapng", "alerts.jsonl", "log"].map(|name| folder.join(name));
        let child = command
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

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.child = None;
    }

    /// The number of the process that a command has started in its turn; its own where it has become the program.
    pub fn innermost(&self) -> u32 {
        let mut id = self.id();
        while let Some(child) = child_of(id) {
            id = child;
        }
        id
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
        Answer { stderr: self.log(), ..Answer::of(output) }
    }

    /// Waits until somebody else has ended it; answers the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.take().unwrap().wait().unwrap().code()
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

    /// What it has said to its operator.
    fn log(&self) -> String {
        std::fs::read_to_string(self.told.with_file_name("log")).unwrap_or_default()
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < deadline, "not so: {what}\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
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

/// A process that another has started.
fn child_of(id: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
