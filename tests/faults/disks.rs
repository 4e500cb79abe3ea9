//! A watch whose disk fails now and then, takes a part of what it is given, or loses a file: every alert line is there in
//! the end, and whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::busy;
use crate::deaths::drawn;
use crate::spooled::{Word, word};
use crate::support::last_stats;
use crate::support::line::{Line, Watch};
use crate::told::{Outcome, tell};

/// A line, a folder, and a watch that is busy on it.
struct Bench {
    line: Line,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str) -> Option<Self> {
        let (line, folder) = (Line::new(name)?, tempfile::tempdir().unwrap());
        busy::configured(folder.path(), &[]);
        busy::traffic(&folder.path().join("busy.pcap"));
        Some(Self { line, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A watch under a tracer, or by itself.
    fn watch(&self, tracer: &[String]) -> Watch {
        let mut words = tracer.to_vec();
        words.push(env!("CARGO_BIN_EXE_bongsu").to_owned());
        let mut command = self.line.inside(&words[0]);
        command.args(&words[1..]);
        let (config, state) = (self.path("bongsu.yaml"), self.path("state"));
        let files = ["-c", config.to_str().unwrap(), "--state", state.to_str().unwrap()];
        let more = ["--http", "off", "--workers", "2", "--events", "alert,notice,stats"];
        let watch = Watch::under(command, self.folder.path(), &[&files[..], &more[..]].concat());
        watch.until("it watches", || self.is_tracked(&watch));
        watch
    }

    /// Whether its threads are there: the tracer has let it begin.
    fn is_tracked(&self, watch: &Watch) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", watch.innermost()));
        threads.is_ok_and(|threads| threads.count() > 6)
    }

    /// The spool of the file, which is the only one.
    fn spool(&self) -> PathBuf {
        let spools = fs::read_dir(self.path("state/spool")).into_iter().flatten().flatten();
        spools.map(|spool| spool.path()).next().unwrap()
    }

    /// Ends the watch as an operator does; answers its exit code.
    fn ends(&self, watch: &mut Watch) -> Option<i32> {
        let id = watch.innermost().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        watch.ended()
    }

    /// Judges what is in the file after a second run, which delivers what the first one kept: all words on all incidents, as
    /// many as the first one says it told.
    fn judge(&self, fault: &str, code: Option<i32>, done: &str) {
        let told = fs::read_to_string(self.path("alerts.jsonl")).unwrap();
        let mut last = self.watch(&[]);
        sleep(Duration::from_secs(1));
        self.ends(&mut last);
        let text = fs::read_to_string(self.path("alerts.jsonl")).unwrap();
        let words: Vec<Word> = text.lines().filter_map(word).collect();
        let different: BTreeSet<&Word> = words.iter().collect();
        let whole = told.rfind('\n').map_or("", |end| &told[..=end]);
        let said = last_stats(whole)["alerts"].as_u64().unwrap();
        let (again, found) = (words.len() - different.len(), different.len() as u64);
        let troubled = told.contains("sink_failing") || told.contains("spool_failing");
        let figures =
            format!("{done}, {found} of {said} alerts, {again} twice, told: {troubled}, exit {code:?}");
        let held = found == said && said > 150 && text.ends_with('\n') && troubled && code == Some(0);
        tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
    }
}

/// What a tracer has written down.
fn traced(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
#[ignore = "needs root and strace: make faults"]
fn a_watch_whose_disk_fails_now_and_then() {
    let fault = "watch: EIO from write and fdatasync of the alert file and of its spool";
    let Some(bench) = Bench::new("eio") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    // Once, so that the spool has its name.
    let mut first = bench.watch(&[]);
    bench.ends(&mut first);
    fs::remove_file(bench.path("alerts.jsonl")).unwrap();
    let trace = bench.path("trace");
    let mut tracer: Vec<String> =
        ["strace", "-f", "-qq", "-o", trace.to_str().unwrap()].map(str::to_owned).to_vec();
    tracer.extend(["-e", "trace=write,fdatasync"].map(str::to_owned));
    tracer.extend(["-e", "inject=write:error=EIO:when=3+7"].map(str::to_owned));
    tracer.extend(["-e", "inject=fdatasync:error=EIO:when=4+9"].map(str::to_owned));
    let segments = (1..400).map(|segment| bench.spool().join(format!("segment-{segment:010}")));
    for path in segments.chain([bench.path("alerts.jsonl")]) {
        tracer.extend(["-P".to_owned(), path.to_str().unwrap().to_owned()]);
    }
    let mut watch = bench.watch(&tracer);
    let sending = bench.line.send_on(&bench.path("busy.pcap"), 400);
    sleep(Duration::from_secs(18));
    drop(sending);
    let code = bench.ends(&mut watch);
    let injected = traced(&trace).lines().filter(|line| line.contains("INJECTED")).count();
    if injected == 0 {
        return tell(fault, Outcome::NotRun("strace injected nothing".to_owned()));
    }
    bench.judge(fault, code, &format!("{injected} errors"));
}

/// The largest file that a process may write; `None` for any.
fn limit(id: u32, bytes: Option<u64>) {
    let told = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let words = ["--pid".to_owned(), id.to_string(), format!("--fsize={told}:unlimited")];
    assert!(Command::new("prlimit").args(words).status().unwrap().success());
}

/// Writes of which a part was done: `write(9, …, 8192) = 4096`.
fn cut_short(trace: &str) -> usize {
    let is_short = |line: &&str| {
        let Some((call, done)) = line.rsplit_once(") = ") else { return false };
        let asked = call.rsplit(", ").next().and_then(|asked| asked.parse::<u64>().ok());
        done.trim().parse::<u64>().is_ok_and(|done| asked.is_some_and(|asked| done < asked))
    };
    trace.lines().filter(is_short).count()
}

/// The largest size of files ends a write in the middle, as a disk does that has no more room: a tracer can only pretend it.
#[test]
#[ignore = "needs root and strace: make faults"]
fn a_watch_whose_disk_takes_a_part() {
    let fault = "watch: short writes into the alert file and its spool";
    let Some(bench) = Bench::new("short") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let trace = bench.path("trace");
    let mut tracer: Vec<String> =
        ["strace", "-f", "-qq", "-e", "trace=write", "-o"].map(str::to_owned).to_vec();
    tracer.push(trace.to_str().unwrap().to_owned());
    // The signal for a file that is too large is the service manager's to ignore, as that for a closed pipe.
    tracer.extend(["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(str::to_owned));
    let mut watch = bench.watch(&tracer);
    let sending = bench.line.send_on(&bench.path("busy.pcap"), 400);
    let (id, begun, mut round) = (watch.innermost(), Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(18) {
        let length = fs::metadata(bench.path("alerts.jsonl")).map_or(0, |held| held.len());
        limit(id, Some(length + 700 + drawn(round, 9_000)));
        sleep(Duration::from_millis(150));
        limit(id, None);
        sleep(Duration::from_millis(30));
        round += 1;
    }
    drop(sending);
    let code = bench.ends(&mut watch);
    let short = cut_short(&traced(&trace));
    if short == 0 {
        return tell(fault, Outcome::NotRun("no write was cut short".to_owned()));
    }
    bench.judge(fault, code, &format!("{short} short writes in {round} limits"));
}
