//! A watch that dies again and again with alerts under way: what it had acknowledged arrives, and it begins anew each time.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::busy;
use crate::receiver::{Answer, Receiver};
use crate::spooled::{Found, Looker, Word, gaps, set_aside, word};
use crate::support::line::{Line, Watch};
use crate::told::{Outcome, tell};

/// Rounds, fifty unless `FAULT_ROUNDS` says otherwise.
pub fn rounds() -> u64 {
    std::env::var("FAULT_ROUNDS").ok().and_then(|told| told.parse().ok()).unwrap_or(50)
}

/// A number that looks drawn, from 0 to less than `below`.
pub fn drawn(round: u64, below: u64) -> u64 {
    bongsu::synth::rng::mix(7, round) % below
}

/// A watch that is to die.
struct Mortal<'a> {
    line: &'a Line,
    folder: PathBuf,
    manager: UnixDatagram,
}

impl Mortal<'_> {
    fn begin(&self) -> Watch {
        let mut command = self.line.inside(env!("CARGO_BIN_EXE_bongsu"));
        command.env("NOTIFY_SOCKET", self.folder.join("notify"));
        let path = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        let (config, state, baseline) = (path("bongsu.yaml"), path("state"), path("baseline"));
        let files = ["-c", &config, "--state", &state, "--baseline", &baseline];
        let more = ["--http", "off", "--workers", "2", "-q"];
        Watch::under(command, &self.folder, &[&files[..], &more[..]].concat())
    }

    /// Waits until it says that it is ready; answers whether it came to that.
    fn is_ready(&self) -> bool {
        let mut said = [0; 512];
        while let Ok(length) = self.manager.recv(&mut said) {
            if String::from_utf8_lossy(&said[..length]).contains("READY=1") {
                return true;
            }
        }
        false
    }

    /// Forgets what earlier lives have said.
    fn forget(&self) {
        self.manager.set_nonblocking(true).unwrap();
        while self.manager.recv(&mut [0; 512]).is_ok() {}
        self.manager.set_nonblocking(false).unwrap();
    }

    /// Lets it live for a while and kills it; answers whether it had become ready, where that was waited for.
    fn live_and_die(&self, round: u64) -> Option<bool> {
        self.forget();
        let watch = self.begin();
        if round % 5 == 4 {
            // Some die before they have begun.
            thread::sleep(Duration::from_millis(drawn(round, 400)));
            watch.kill();
            return None;
        }
        let ready = self.is_ready();
        // The first seconds are over after three.
        thread::sleep(Duration::from_millis(3_200 + drawn(round, 2_500)));
        watch.kill();
        Some(ready)
    }
}

fn words_of_file(path: &Path) -> BTreeSet<Word> {
    fs::read_to_string(path).unwrap().lines().filter_map(word).collect()
}

fn words_of_receiver(receiver: &Receiver) -> BTreeSet<Word> {
    receiver.taken().keys().filter_map(|body| word(body)).collect()
}

#[test]
#[ignore = "needs root and minutes: make faults"]
fn a_watch_that_is_killed_again_and_again() {
    let fault = "watch: kill -9 at random moments, alerts under way";
    let Some(line) = Line::new("deaths") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let listener = line.listen();
    let hook = format!("webhook: {{url: \"http://{}/hook\"}}", listener.local_addr().unwrap());
    let receiver = Receiver::listen(listener, |request, _| match request % 100 {
        0..2 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    busy::configured(folder.path(), &[hook]);
    let capture = folder.path().join("busy.pcap");
    busy::traffic(&capture);
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mortal = Mortal { line: &line, folder: folder.path().to_owned(), manager };
    let state = folder.path().join("state");
    let (sending, looker) = (line.send_on(&capture, 400), Looker::start(&state));
    let ready: Vec<bool> = (0..rounds()).filter_map(|round| mortal.live_and_die(round)).collect();
    drop(sending);
    let acknowledged = looker.finish();
    let told = folder.path().join("alerts.jsonl");
    let arrived = ends_in_peace(&mortal, || missing(&acknowledged, &told, &receiver) == 0);
    judge(fault, &Ends { acknowledged, ready, arrived, told, state, receiver: &receiver });
}

/// A last life, in which all that waits is delivered; answers whether it was, and whether it ended well.
fn ends_in_peace(mortal: &Mortal<'_>, all_arrived: impl Fn() -> bool) -> bool {
    mortal.forget();
    let mut watch = mortal.begin();
    // Before that, nobody listens to what asks it to end.
    let ready = mortal.is_ready();
    let begun = Instant::now();
    while !all_arrived() && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(200));
    }
    ready && watch.interrupt().code == Some(0) && all_arrived()
}

/// Acknowledged words that have not arrived.
fn missing(acknowledged: &Found, told: &Path, receiver: &Receiver) -> usize {
    let of = |kind: &str| acknowledged.get(kind).cloned().unwrap_or_default();
    of("webhook").difference(&words_of_receiver(receiver)).count()
        + of("file").difference(&words_of_file(told)).count()
}

/// What is left after all lives.
struct Ends<'a> {
    acknowledged: Found,
    /// Of each life that was waited for, whether it became ready.
    ready: Vec<bool>,
    arrived: bool,
    told: PathBuf,
    state: PathBuf,
    receiver: &'a Receiver,
}

fn judge(fault: &str, ends: &Ends<'_>) {
    let Ends { acknowledged, ready, arrived, told, state, receiver } = ends;
    let (heard, written) = (words_of_receiver(receiver), words_of_file(told));
    let taken = receiver.taken();
    // One key for one body, however often it came.
    let misnamed = taken.values().filter(|keys| keys.iter().any(|key| *key != keys[0])).count();
    let twice = taken.values().filter(|keys| keys.len() > 1).count();
    let unready = ready.iter().filter(|ready| !**ready).count();
    let (lost, gaps) = (missing(acknowledged, told, receiver), gaps(&heard) + gaps(&written));
    let aside = set_aside(state);
    let all: usize = acknowledged.values().map(BTreeSet::len).sum();
    let figures = format!(
        "{} rounds, {all} acknowledged by two sinks, {lost} lost, {gaps} gaps, {twice} twice under one key, {misnamed} \
         under two, {unready} of {} not ready, set aside: {aside:?}",
        rounds(),
        ready.len()
    );
    let held = *arrived && lost + gaps + misnamed + unready == 0 && aside.is_empty() && all as u64 > rounds();
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}
