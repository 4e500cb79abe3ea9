//! What may happen to a line: links and interfaces that go, a ring that overflows. Each makes its own network namespace; without root it is not run.

use std::fs;
use std::time::{Duration, Instant};

use bongsu::synth::{Scenario, per_sec, secs};
use serde_json::Value;

use crate::support::line::{Line, Watch};
use crate::support::{WEB, alert_lines, crowd_at_home, foreign_flood, last_stats, records, replay, written};
use crate::told::{Outcome, tell};

/// A few seconds of ordinary traffic.
fn calm() -> Scenario {
    Scenario::new(71).with(crowd_at_home(per_sec(50)).over(secs(2)))
}

/// The part of a processor that a watch takes for `span`.
fn load(watch: &Watch, span: Duration) -> f64 {
    let ticks = || -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", watch.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    let (before, begun) = (ticks(), Instant::now());
    std::thread::sleep(span);
    // A hundred ticks a second on every Linux that is built for servers.
    (ticks() - before) / 100.0 / begun.elapsed().as_secs_f64()
}

fn notices(told: &str, condition: &str) -> usize {
    let is = |record: &Value| record["event_type"] == "notice" && record["condition"] == condition;
    records(told).iter().filter(|record| is(record) && record["state"] == "on").count()
}

/// Takes the line away and gives it back; all packets sent a second later must be read.
fn goes_and_comes(fault: &str, condition: &str, take: impl Fn(&Line), give: impl Fn(&Line)) {
    let Some(line) = Line::new("fault") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let (_folder, capture) = written(&calm());
    let mut watch = Watch::begin(&line, folder.path(), &["-s", WEB]);
    line.send(&capture);
    take(&line);
    let is = |state: &'static str| {
        move |record: &Value| record["condition"] == condition && record["state"] == state
    };
    watch.tells("it is gone", is("on"));
    let load = load(&watch, Duration::from_secs(5));
    give(&line);
    let begun = Instant::now();
    watch.tells("it is back", is("off"));
    let back = begun.elapsed().as_secs_f64();
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let read = last_stats(&told)["packets"]["read"].as_u64().unwrap();
    let (sent, said) = (2 * calm().truth().unwrap().packets, notices(&told, condition));
    let figures = format!(
        "{read} of {sent} packets, {said} notice, {:.1} % of a core, back in {back:.2} s",
        load * 100.0
    );
    // The kernel itself tells of links up to a second late.
    let held = read == sent && said == 1 && load < 0.05 && back < 2.0;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

#[test]
#[ignore = "needs root and seconds: make faults"]
fn a_link_that_goes_down() {
    let set = |line: &Line, state| assert!(line.ip(&["link", "set", "v1", state]));
    goes_and_comes("link down and up", "link_down", |line| set(line, "down"), |line| set(line, "up"));
}

#[test]
#[ignore = "needs root and seconds: make faults"]
fn an_interface_that_is_deleted() {
    let take = |line: &Line| assert!(line.ip(&["link", "del", "v0"]));
    goes_and_comes("interface deleted and made anew", "interface_lost", take, |line| assert!(line.join()));
}

#[test]
#[ignore = "needs root and seconds: make faults"]
fn a_ring_that_overflows() {
    let fault = "ring overflow";
    let Some(line) = Line::new("ring") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let flood = Scenario::new(72).with(crowd_at_home(per_sec(1_000)).over(secs(20)));
    let (_folder, capture) = written(&flood);
    let sent = flood.truth().unwrap().packets;
    let mut watch = Watch::begin(&line, folder.path(), &["-s", WEB, "--buffer-size", "1"]);
    watch.signal("STOP");
    let sending = line.inside("tcpreplay").args(["-q", "-t", "-i", "v0"]).arg(&capture).output().unwrap();
    assert!(sending.status.success());
    watch.signal("CONT");
    watch.tells("work is left out", |record| record["condition"] == "shedding");
    std::thread::sleep(Duration::from_secs(2));
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let packets = &last_stats(&told)["packets"];
    let (read, dropped) = (packets["read"].as_u64().unwrap(), packets["dropped_kernel"].as_u64().unwrap());
    let figures = format!("{sent} sent, {read} read, {dropped} dropped");
    let held = dropped > 0 && read + dropped == sent;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

#[test]
#[ignore = "needs root and seconds: make faults"]
fn what_was_kept_under_load() {
    let fault = "kept under load, replayed";
    let Some(line) = Line::new("kept") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let flood = foreign_flood(per_sec(400)).start(secs(4)).over(secs(8));
    let scenario = Scenario::new(73).with(crowd_at_home(per_sec(50)).over(secs(14))).with(flood);
    let (_folder, capture) = written(&scenario);
    let more = ["-s", WEB, "--home", "KR"];
    let mut watch = Watch::begin(&line, folder.path(), &more);
    line.send(&capture);
    std::thread::sleep(Duration::from_secs(1));
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let kept = replay(&watch.kept, &more).exits(0);
    let (lines, again) = (alert_lines(&told), kept.alert_lines());
    let figures = format!("{} alert lines, {} again", lines.len(), again.len());
    let held = !lines.is_empty() && lines == again;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

/// Seconds of a soak: ten minutes unless `SOAK=30m` or `SOAK=90s` says otherwise.
fn soak() -> u64 {
    let text = std::env::var("SOAK").unwrap_or_default();
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    match (number.parse::<u64>(), unit) {
        (Ok(minutes), "m") => minutes * 60,
        (Ok(seconds), "s") => seconds,
        _ => 600,
    }
}

#[test]
#[ignore = "needs root and ten minutes: make faults"]
fn a_long_watch() {
    let fault = format!("soak of {} s", soak());
    let Some(line) = Line::new("soak") else {
        return tell(&fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let flood = foreign_flood(per_sec(200)).start(secs(10)).over(secs(10));
    let (_folder, capture) =
        written(&Scenario::new(76).with(crowd_at_home(per_sec(200)).over(secs(30))).with(flood));
    let mut watch = Watch::begin_unkept(&line, folder.path(), &["-s", WEB, "--home", "KR"]);
    let mut sending = line
        .inside("tcpreplay")
        .args(["-q", "--loop", "0", "--mbps", "200", "-i", "v0"])
        .arg(&capture)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let look = || {
        let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        (kib / 1_024.0, fs::read_dir(format!("/proc/{}/fd", watch.id())).unwrap().count())
    };
    let begun = Instant::now();
    let third = Duration::from_secs(soak() / 3);
    std::thread::sleep(third);
    let (warm, open) = look();
    let mut most: (f64, usize) = (warm, open);
    while begun.elapsed() < Duration::from_secs(soak()) {
        std::thread::sleep(Duration::from_secs(2));
        let (memory, files) = look();
        most = (most.0.max(memory), most.1.max(files));
    }
    let _ = sending.kill();
    let _ = sending.wait();
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let packets = &last_stats(&told)["packets"];
    let figures = format!(
        "{warm:.0} MiB after a third, {:.0} at most later; {open} files, {} at most; {} packets, {} dropped",
        most.0, most.1, packets["read"], packets["dropped_kernel"]
    );
    let held = most.0 < 512.0 && most.0 <= warm * 1.1 + 8.0 && most.1 <= open + 2;
    tell(&fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}
