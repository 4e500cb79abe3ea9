//! Receivers that are away for long while a thousand alerts a second come, and a line that is watched beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use bongsu::sink::{SinkSpec, Sinks, Target};

use crate::busy;
use crate::receiver::{Answer, Receiver};
use crate::sinks::{alert, comes, hook, number, setting};
use crate::support::last_stats;
use crate::support::line::{Line, Sending, Watch};
use crate::told::{Outcome, tell};

/// Alerts that are sent, a thousand a second; with waits that are that much shorter, twenty seconds are more than an hour.
const SENT: u64 = 20_000;

/// Resident memory in MiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
    kib / 1_024.0
}

/// A watch on a busy line whose own receiver is away as well.
struct Beside {
    line: Line,
    watch: Watch,
    sending: Sending,
    _folder: tempfile::TempDir,
}

impl Beside {
    fn begin() -> Option<Self> {
        let (line, folder) = (Line::new("outage")?, tempfile::tempdir().unwrap());
        // A port on which nobody listens.
        let at = line.listen().local_addr().unwrap();
        let config = busy::configured(folder.path(), &[format!("webhook: {{url: \"http://{at}/\"}}")]);
        let (capture, state) = (folder.path().join("busy.pcap"), folder.path().join("state"));
        busy::traffic(&capture);
        let files = ["-c", config.to_str().unwrap(), "--state", state.to_str().unwrap(), "--http", "off"];
        let watch = Watch::begin_unkept(&line, folder.path(), &files);
        let sending = line.send_on(&capture, 400);
        Some(Self { line, watch, sending, _folder: folder })
    }

    /// What it has read and dropped of what was sent, and whether it has told of its receiver.
    fn end(mut self) -> (bool, String) {
        drop(self.sending);
        thread::sleep(Duration::from_secs(1));
        let sent = self.line.sent();
        self.watch.interrupt().exits(0);
        let told = fs::read_to_string(&self.watch.told).unwrap();
        let stats = last_stats(&told);
        let (read, dropped) = (&stats["packets"]["read"], &stats["packets"]["dropped_kernel"]);
        let alerts = &stats["alerts"];
        let held = read == sent && dropped == 0 && told.contains("\"sink_failing\"");
        (held, format!("beside it {read} of {sent} packets, {dropped} dropped, {alerts} alerts of its own"))
    }
}

/// Sends a thousand alerts a second; answers the longest that a send took.
fn send(sinks: &Sinks) -> Duration {
    let (begun, mut longest) = (Instant::now(), Duration::ZERO);
    for number in 0..SENT {
        let due = Duration::from_millis(number);
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            thread::sleep(early);
        }
        let alert = alert(number);
        let sending = Instant::now();
        sinks.send(&alert);
        longest = longest.max(sending.elapsed());
    }
    longest
}

/// A receiver that comes back and is not well for a while.
fn recovering(listener: TcpListener) -> Arc<Receiver> {
    Receiver::listen(listener, |request, body| match (request, number(body)) {
        (0..20, _) => Answer::Status(500),
        (20..30, _) => Answer::Wait(429, 3_600),
        (30..33, _) => Answer::Nothing,
        (33..36, _) => Answer::Drips,
        (_, number) if number % 1_000 == 7 => Answer::Status(400),
        _ => Answer::Status(200),
    })
}

#[test]
#[ignore = "takes a minute: make faults"]
fn a_webhook_that_is_away() {
    let fault =
        "sinks: a webhook is down at 1,000 alerts/s, answers 500, 429, nothing, a byte a second, 400 to some";
    let (folder, listener) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let beside = Beside::begin();
    let sinks = Sinks::start(vec![hook(port)], &setting(folder.path())).unwrap();
    let before = resident();
    let longest = send(&sinks);
    let (memory, during) = (resident() - before, sinks.states().remove(0));
    let receiver = recovering(TcpListener::bind(("127.0.0.1", port)).unwrap());
    let arrived = comes(|| sinks.states()[0].spooled == 0);
    let last = sinks.states().remove(0);
    sinks.finish(Duration::from_secs(10));
    let (undropped, capture) = match beside.map(Beside::end) {
        Some(told) => told,
        None => (true, "the line beside it is not run: no network namespace".to_owned()),
    };
    let taken = receiver.taken().len() as u64;
    let was_told = during.spooled > 0 && !during.is_ok();
    let whole = arrived && taken == SENT - 20 && last.rejected == 20;
    let figures = format!(
        "{taken} of {SENT} arrived after the outage, {} put aside, {memory:.0} MiB more, no send longer than {} µs; \
         {capture}; told: {was_told}",
        last.rejected,
        longest.as_micros()
    );
    let held = was_told && whole && memory <= 64.0 && undropped;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

/// The address of a collector behind a line of its own.
const COLLECTOR: &str = "192.0.2.2";

/// Two namespaces with a line between them.
struct Way {
    near: Line,
    far: Line,
}

impl Way {
    fn new() -> Option<Self> {
        let (near, far) = (Line::new("near")?, Line::new("far")?);
        let made =
            near.ip(&["link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", &far.namespace])
                && near.ip(&["addr", "add", "192.0.2.1/24", "dev", "w0"])
                && far.ip(&["addr", "add", &format!("{COLLECTOR}/24"), "dev", "w1"])
                && near.ip(&["link", "set", "w0", "up"]);
        let path = Self { near, far };
        (made && path.opened(true)).then_some(path)
    }

    /// Opens or closes the far end: what is sent then is gone without a word.
    fn opened(&self, open: bool) -> bool {
        self.far.ip(&["link", "set", "w1", if open { "up" } else { "down" }])
    }
}

/// A collector of syslog by TCP: what it heard, as long as it lives.
fn collect(listener: TcpListener, lives: Arc<AtomicBool>) -> thread::JoinHandle<BTreeSet<u64>> {
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let (mut streams, mut heard) = (Vec::new(), BTreeSet::new());
        while lives.load(SeqCst) {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).unwrap();
                streams.push((stream, String::new()));
            }
            for (stream, text) in &mut streams {
                let mut buffer = [0; 65_536];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                }
                let numbers = text.split("{\"number\":").skip(1).filter(|rest| rest.contains("x\"}"));
                heard.extend(numbers.filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        heard
    })
}

#[test]
#[ignore = "needs root: make faults"]
fn a_collector_that_dies_without_a_word() {
    let fault = "sinks: a syslog collector by TCP dies without FIN or RST";
    let Some(path) = Way::new() else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let bind = |port| path.far.within(|| TcpListener::bind((COLLECTOR, port)).unwrap());
    let (listener, lives) = (bind(0), Arc::new(AtomicBool::new(true)));
    let port = listener.local_addr().unwrap().port();
    let first = collect(listener, Arc::clone(&lives));
    let target = Target::Tcp { host: COLLECTOR.to_owned(), port };
    let sinks =
        path.near.within(|| Sinks::start(vec![SinkSpec::all(target)], &setting(folder.path())).unwrap());
    (0..50).for_each(|number| sinks.send(&alert(number)));
    let settled = comes(|| sinks.states()[0].counts.delivered == 50);
    assert!(path.opened(false));
    (50..100).for_each(|number| sinks.send(&alert(number)));
    // The sender's system has taken all of them by now, and the collector's none.
    thread::sleep(Duration::from_millis(500));
    lives.store(false, SeqCst);
    let heard = first.join().unwrap();
    let told = comes(|| !sinks.states()[0].is_ok());
    assert!(path.opened(true));
    let lives = Arc::new(AtomicBool::new(true));
    let second = collect(bind(port), Arc::clone(&lives));
    let arrived = comes(|| sinks.states()[0].counts.delivered == 100);
    lives.store(false, SeqCst);
    let later = second.join().unwrap();
    let state = sinks.finish(Duration::from_secs(10)).sinks.remove(0);
    let all: BTreeSet<u64> = heard.union(&later).copied().collect();
    let figures = format!(
        "{} before, {} after, {} of 100 in all; told: {told}; {:?}",
        heard.len(),
        later.len(),
        all.len(),
        state.counts
    );
    let held = settled && told && arrived && all.len() == 100 && heard.len() == 50;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}
