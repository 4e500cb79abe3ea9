//! Clocks that are set: that of the packets, and that of the machine under a watch.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bongsu::synth::{Scenario, per_sec, secs};
use serde_json::Value;

use crate::busy;
use crate::spooled::{gaps, word};
use crate::support::line::{Line, Watch};
use crate::support::{WEB, crowd_at_home, foreign_flood, last_stats, replay, write, write_moved};
use crate::told::{Outcome, tell};

/// The traffic of a flood, all packets from the `at`th second on moved by so many seconds.
fn stepped(at: i64, by: i64) -> Vec<Value> {
    let flood = foreign_flood(per_sec(80)).start(secs(60)).over(secs(20));
    let scenario = Scenario::new(74).with(crowd_at_home(per_sec(20)).over(secs(120))).with(flood);
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcapng");
    write(&scenario, &capture);
    let moved = folder.path().join("moved.pcapng");
    write_moved(&scenario, &moved, |second| if second >= at { by } else { 0 });
    replay(&moved, &["-s", WEB, "--home", "KR"]).exits(0).alerts()
}

#[test]
#[ignore = "takes seconds: make faults"]
fn a_clock_that_steps() {
    for (name, by) in [("+1 h", 3_600), ("-1 h", -3_600), ("+10 years", 315_576_000)] {
        let fault = format!("clock stepped by {name}");
        let plain = stepped(0, 0);
        // Thirty seconds before the flood begins.
        let alerts = stepped(30, by);
        let services: Vec<&Value> = alerts.iter().map(|alert| &alert["origins"]).collect();
        let found = alerts.last().is_some_and(|last| {
            last["foreign"]["concentrated"] == true && !last["origins"].as_array().unwrap().is_empty()
        });
        let incidents = |alerts: &[Value]| alerts.iter().filter(|a| a["incident"]["state"] == "open").count();
        let figures = format!("{} incidents, {} without the step", incidents(&alerts), incidents(&plain));
        let held = found && incidents(&alerts) <= incidents(&plain) + 1 && !services.is_empty();
        tell(&fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
    }
}

/// What stands between a program and the date. The machine's own clock is everybody's, and a time namespace moves only the
/// clocks that nobody sets.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// Sets the date that the program sees so many seconds off.
fn set(date: &Path, seconds: i64) {
    let beside = date.with_extension("new");
    fs::write(&beside, format!("{seconds:+}")).unwrap();
    fs::rename(beside, date).unwrap();
}

/// A program inside the namespace that sees that date.
fn dated(line: &Line, date: &Path, program: &str) -> Command {
    let mut command = line.inside("env");
    command.args([format!("LD_PRELOAD={FAKETIME}"), format!("FAKETIME_TIMESTAMP_FILE={}", date.display())]);
    command.args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"]);
    command.arg(program);
    command
}

/// The year that such a program sees.
fn year(line: &Line, date: &Path) -> i64 {
    let told = dated(line, date, "date").arg("+%Y").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
}

#[test]
#[ignore = "needs root and libfaketime: make faults"]
fn a_date_that_steps_under_a_watch() {
    let fault = "the machine's date steps by +1 h, -1 h, +10 years and back under a watch";
    if !Path::new(FAKETIME).exists() {
        return tell(fault, Outcome::NotRun("no libfaketime".to_owned()));
    }
    let Some(line) = Line::new("date") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (date, capture) = (path("date"), path("busy.pcap"));
    set(&date, 0);
    let config = busy::configured(folder.path(), &[]);
    busy::traffic(&capture);
    let command = dated(&line, &date, env!("CARGO_BIN_EXE_bongsu"));
    let state = path("state");
    let files = ["-c", config.to_str().unwrap(), "--state", state.to_str().unwrap()];
    let mut watch = Watch::under(command, folder.path(), &[&files[..], &["--http", "off"]].concat());
    watch.until("it watches", || watch.told.exists());
    let sending = line.send_on(&capture, 190);
    let alerts = || {
        let told = fs::read_to_string(&watch.told).unwrap();
        told.lines()
            .filter(|line| line.ends_with('}'))
            .filter_map(word)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (mut seen, mut years) = (vec![0], Vec::new());
    for seconds in [3_600, -3_600, 315_576_000, 0] {
        set(&date, seconds);
        years.push(year(&line, &date));
        std::thread::sleep(Duration::from_secs(4));
        seen.push(alerts().len());
    }
    drop(sending);
    std::thread::sleep(Duration::from_secs(1));
    let (sent, all) = (line.sent(), alerts());
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let stats = last_stats(&told);
    let (read, steps) = (&stats["packets"]["read"], &stats["capture"]["clock_steps"]);
    let reminded = told.matches("\"unacknowledged\"").count();
    let figures = format!(
        "{read} of {sent} packets, alerts after each step {seen:?}, {} gaps, {reminded} reminders, {steps} steps in the packets",
        gaps(&all)
    );
    let decade = years[2] >= years[0] + 10;
    let goes_on = seen.windows(2).skip(1).all(|two| two[0] < two[1]);
    let held = decade && goes_on && read == sent && gaps(&all) + reminded == 0 && steps == 0;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}
