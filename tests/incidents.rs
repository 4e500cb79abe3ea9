//! What follows upon something else is told by its own name.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use bongsu::synth::{Scenario, Traffic, per_sec, secs};
use support::{WEB, crowd_at_home, foreign_flood, replay, web, written};

/// What a scanner asks for that is not there.
const MISSING: [&str; 10] = [
    "/.env",
    "/.git/config",
    "/wp-login.php",
    "/admin",
    "/backup.zip",
    "/phpmyadmin",
    "/config.json",
    "/shell.php",
    "/old",
    "/test",
];

/// One who scans for forty seconds, from the first minute on.
fn scan() -> Traffic {
    let scan = Traffic::to(&web()).named("scan").from("99.0.1.7/32").requests(per_sec(2));
    let scan = scan.start(secs(60)).over(secs(40)).status(404);
    MISSING.iter().fold(scan, |scan, path| scan.path(path))
}

/// The label of each incident's last alert, in the order in which they opened, with how it ended.
fn labels(scenario: &Scenario) -> Vec<(String, bool)> {
    let (_folder, capture) = written(scenario);
    let alerts = replay(&capture, &["-s", WEB, "--home", "KR"]).exits(0).alerts();
    let closed = alerts.iter().filter(|alert| alert["incident"]["state"] == "close");
    let told = closed.map(|alert| {
        let interrupted = alert["incident"]["interrupted"].as_bool().unwrap_or(false);
        (alert["verdict"]["label"].as_str().unwrap().to_owned(), interrupted)
    });
    told.collect()
}

fn people() -> Traffic {
    crowd_at_home(per_sec(20)).over(secs(300))
}

#[test]
fn a_flood_behind_a_scan_does_not_go_by_its_name() {
    // Forty seconds after the scan, when windows still remember it.
    let flood = foreign_flood(per_sec(150)).start(secs(140)).over(secs(100));
    let told = labels(&Scenario::new(7).with(people()).with(scan()).with(flood));
    assert_eq!(told, [("scan".to_owned(), false), ("attack".to_owned(), true)]);
}

#[test]
fn a_scan_that_comes_again_is_one_and_what_it_brings_with_it_is_part_of_it() {
    let again = scan().named("again").start(secs(180));
    let told = labels(&Scenario::new(7).with(people()).with(scan()).with(again));
    assert_eq!(told, [("scan".to_owned(), true)]);
}
