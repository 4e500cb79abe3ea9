//! Outages of receivers and disks, and the death of the process, with alerts under way.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bongsu::alert::{EventType, Record};
use bongsu::detect::rule::Level;
use bongsu::sink::{Begin, Hook, HookUrl, Patience, Setting, SinkSpec, Sinks, Target, WhenFull};
use bongsu::time::Timestamp;

use super::receiver::{Answer, Receiver};
use super::told::{Outcome, tell};

/// An alert as long as they usually are, with an identity of its own.
pub fn alert(number: u64) -> Record {
    let line = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(2_000));
    Record {
        kind: EventType::Alert,
        severity: Some(Level::High),
        time: Some(Timestamp::from_secs(1_700_698_780)),
        incident: Some(format!("{number:016x}").into()),
        seq: Some(0),
        line: line.into(),
    }
}

/// The number in an alert's line.
pub fn number(line: &str) -> u64 {
    let digits = line.strip_prefix("{\"number\":").and_then(|rest| rest.split(',').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("torn: {line}"))
}

/// Sinks that are as patient with an hour's outage as these tests have seconds.
pub fn setting(state: &Path) -> Setting {
    let patience = Patience {
        first: Duration::from_millis(5),
        most: Duration::from_millis(200),
        asked: Duration::from_millis(200),
        unacknowledged: Duration::from_secs(2),
    };
    let clock = bongsu::host::clock::now_secs;
    let state = Some(state.to_owned());
    Setting { state, patience, ..Setting::new("faults", WhenFull::Discard, clock) }
}

pub fn hook(port: u16) -> SinkSpec {
    let url = HookUrl::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let hook = Hook { url, secret: None, ca_file: None, timeout: Duration::from_millis(500) };
    SinkSpec::all(Target::Webhook(hook))
}

/// Waits for something for up to two minutes; answers whether it came.
pub fn comes(holds: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(120) {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// A file system with little room, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&path).output();
        match mount {
            Ok(done) if done.status.success() => Ok(Self(path)),
            Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let _ = fs::write(self.0.join("filler"), vec![0; 1 << 20]);
    }

    fn clear(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[ignore = "wants root: make faults"]
fn a_disk_that_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(folder.path().join("disk")) {
        Ok(disk) => disk,
        Err(why) => return tell("sinks: the file's disk is full", Outcome::NotRun(why)),
    };
    let path = disk.0.join("alerts.jsonl");
    let target = Target::File { path: path.clone(), begin: Begin::Append, rotation: None };
    let sinks = Sinks::start(vec![SinkSpec::all(target)], &setting(&folder.path().join("state"))).unwrap();
    (0..20).for_each(|number| sinks.send(&alert(number)));
    comes(|| sinks.states()[0].counts.delivered == 20);
    disk.fill();
    (20..60).for_each(|number| sinks.send(&alert(number)));
    let told = comes(|| !sinks.states()[0].is_ok());
    disk.clear();
    let arrived = comes(|| sinks.states()[0].spooled == 0);
    let report = sinks.finish(Duration::from_secs(10));
    let text = fs::read_to_string(&path).unwrap();
    let found: Vec<u64> = text.lines().map(number).collect();
    let all: BTreeSet<u64> = found.iter().copied().collect();
    let outcome = if !told {
        Outcome::FellShort("it was not told".to_owned())
    } else if !arrived || all.len() != 60 || !text.ends_with('\n') || !report.is_complete() {
        Outcome::FellShort(format!("{} of 60 arrived: {report:?}", all.len()))
    } else {
        Outcome::Held(format!("60 alerts in {} whole lines", found.len()))
    };
    tell("sinks: the file's disk is full for a while", outcome);
}

#[test]
#[ignore = "wants root: make faults"]
fn a_spool_whose_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(folder.path().join("disk")) {
        Ok(disk) => disk,
        Err(why) => return tell("sinks: the spool's disk is full", Outcome::NotRun(why)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = Receiver::listen(listener, |_, _| Answer::Status(200));
    let sinks = Sinks::start(vec![hook(port)], &setting(&disk.0)).unwrap();
    disk.fill();
    for number in 0..200 {
        sinks.send(&alert(number));
        comes(|| sinks.states()[0].counts.delivered >= number);
    }
    let full = sinks.states().remove(0);
    disk.clear();
    (200..220).for_each(|number| sinks.send(&alert(number)));
    let arrived = comes(|| receiver.taken().len() == 220);
    let last = sinks.states().remove(0);
    sinks.finish(Duration::from_secs(10));
    let files =
        fs::read_dir(disk.0.join("spool")).unwrap().flatten().flat_map(|sink| fs::read_dir(sink.path()));
    let files = files.flatten().count();
    let outcome = if !arrived || full.unspooled == 0 || last.unspooled == 220 || files > 20 {
        Outcome::FellShort(format!("{} of 220 arrived, {files} files: {last:?}", receiver.taken().len()))
    } else {
        Outcome::Held(format!("220 arrived, {} of them by memory alone, and told", last.unspooled))
    };
    tell("sinks: the spool's disk is full for a while", outcome);
}

/// Where the child finds its work.
const PORT: &str = "BONGSU_FAULT_PORT";
const STATE: &str = "BONGSU_FAULT_STATE";
const FIRST: &str = "BONGSU_FAULT_FIRST";

/// The sender that is killed: says which alerts are acknowledged, until it dies.
#[test]
#[ignore = "is started by the test that kills it"]
fn the_killed_sender() {
    let (Ok(port), Ok(state), Ok(first)) = (std::env::var(PORT), std::env::var(STATE), std::env::var(FIRST))
    else {
        return;
    };
    let sinks = Sinks::start(vec![hook(port.parse().unwrap())], &setting(Path::new(&state))).unwrap();
    let held = || {
        let status = sinks.states().remove(0);
        // Noted after the spool let go: the sum is never too high.
        status.counts.delivered + status.spooled
    };
    let (inherited, first) = (sinks.states()[0].spooled, first.parse::<u64>().unwrap());
    for sent in 1.. {
        sinks.send(&alert(first + sent));
        while held() < inherited + sent {
            thread::yield_now();
        }
        println!("acknowledged {}", first + sent);
    }
}

fn start_sender(port: u16, state: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sinks::the_killed_sender", "--nocapture"])
        .envs([(PORT, port.to_string()), (FIRST, first.to_string())])
        .env(STATE, state)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "takes a minute: make faults"]
fn a_process_that_is_killed_again_and_again() {
    let rounds: u64 = std::env::var("FAULT_ROUNDS").ok().and_then(|told| told.parse().ok()).unwrap_or(50);
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = Receiver::listen(listener, |request, _| match request % 100 {
        0..3 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let acknowledged: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let (mut dice, mut silent) = (1_u64, 0);
    for round in 0..rounds {
        let mut child = start_sender(port, folder.path(), round * 1_000_000);
        let (out, heard) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&acknowledged));
        let listening = thread::spawn(move || {
            let before = heard.lock().unwrap().len();
            for line in out.lines().map_while(Result::ok) {
                let number = line.split_once("acknowledged ").and_then(|(_, number)| number.parse().ok());
                number.map(|number: u64| heard.lock().unwrap().insert(number));
            }
            heard.lock().unwrap().len() - before
        });
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_millis(20 + (dice >> 33) % 280));
        child.kill().unwrap();
        child.wait().unwrap();
        silent += u64::from(listening.join().unwrap() == 0);
    }
    let sinks = Sinks::start(vec![hook(port)], &setting(folder.path())).unwrap();
    let drained = comes(|| sinks.states()[0].spooled == 0);
    let damaged = sinks.states()[0].damaged;
    sinks.finish(Duration::from_secs(10));
    let (taken, acknowledged) = (receiver.taken(), acknowledged.lock().unwrap().clone());
    let arrived: BTreeSet<u64> = taken.keys().map(|body| number(body)).collect();
    let lost = acknowledged.difference(&arrived).count();
    let misnamed =
        taken.iter().filter(|(body, keys)| keys.iter().any(|key| *key != format!("{:016x}-0", number(body))));
    let (misnamed, twice) = (misnamed.count(), taken.values().filter(|keys| keys.len() > 1).count());
    let outcome = if !drained || lost > 0 || misnamed > 0 || damaged > 0 {
        Outcome::FellShort(format!("{lost} of {} lost, {misnamed} misnamed", acknowledged.len()))
    } else if silent * 2 > rounds || acknowledged.is_empty() {
        Outcome::FellShort(format!("{silent} of {rounds} rounds acknowledged nothing"))
    } else {
        let all = acknowledged.len();
        Outcome::Held(format!(
            "{rounds} rounds, {all} acknowledged, all arrived, {twice} twice under one key"
        ))
    };
    tell("sinks: kill -9 at random moments", outcome);
}

/// Where the writer whose disk fails finds its work.
const FILE: &str = "BONGSU_FAULT_FILE";

/// The writer whose disk fails: sends 200 alerts into a file and ends.
#[test]
#[ignore = "is started by the test that makes its disk fail"]
fn the_troubled_writer() {
    let (Ok(path), Ok(state)) = (std::env::var(FILE), std::env::var(STATE)) else { return };
    let target = Target::File { path: path.into(), begin: Begin::Append, rotation: None };
    let sinks = Sinks::start(vec![SinkSpec::all(target)], &setting(Path::new(&state))).unwrap();
    for number in 0..200 {
        sinks.send(&alert(number));
        thread::sleep(Duration::from_millis(2));
    }
    sinks.finish(Duration::from_secs(10));
}

#[test]
#[ignore = "wants strace: make faults"]
fn a_disk_that_fails_now_and_then() {
    let fault = "sinks: EIO from write and fdatasync of the file and of its spool";
    if let Err(error) = Command::new("strace").arg("-V").output() {
        return tell(fault, Outcome::NotRun(format!("strace: {error}")));
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, state) = (folder.path().join("alerts.jsonl"), folder.path().join("state"));
    // Once, so that the spool's folder is there and has its name.
    let writer = |program: &mut Command| {
        program
            .args(["--ignored", "--exact", "sinks::the_troubled_writer"])
            .envs([(FILE, &path), (STATE, &state)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    };
    let own = std::env::current_exe().unwrap();
    assert!(writer(&mut Command::new(&own)).success());
    fs::remove_file(&path).unwrap();
    let spool = fs::read_dir(state.join("spool")).unwrap().next().unwrap().unwrap().path();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=write,fdatasync"]).arg("-o").arg(folder.path().join("trace"));
    strace.args(["-e", "inject=write:error=EIO:when=2+5", "-e", "inject=fdatasync:error=EIO:when=3+7"]);
    strace.arg("-P").arg(&path);
    for segment in 1..200 {
        strace.arg("-P").arg(spool.join(format!("segment-{segment:010}")));
    }
    let done = writer(strace.arg(&own));
    let trace = fs::read_to_string(folder.path().join("trace")).unwrap_or_default();
    let injected = trace.lines().filter(|line| line.contains("INJECTED")).count();
    if injected == 0 {
        return tell(fault, Outcome::NotRun(format!("strace injected nothing: {}", trace.trim())));
    }
    let target = Target::File { path: path.clone(), begin: Begin::Append, rotation: None };
    let sinks = Sinks::start(vec![SinkSpec::all(target)], &setting(&state)).unwrap();
    comes(|| sinks.states()[0].spooled == 0);
    sinks.finish(Duration::from_secs(10));
    let text = fs::read_to_string(&path).unwrap();
    let found: Vec<u64> = text.lines().map(number).collect();
    let all: BTreeSet<u64> = found.iter().copied().collect();
    let outcome = if !done.success() || all.len() != 200 || !text.ends_with('\n') {
        Outcome::FellShort(format!("{} of 200 arrived ({done})", all.len()))
    } else {
        Outcome::Held(format!("{injected} errors, 200 alerts in {} whole lines", found.len()))
    };
    tell(fault, outcome);
}
