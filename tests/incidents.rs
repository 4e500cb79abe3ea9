//! What follows upon something else is told by its own name.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use bongsu::synth::{HalfOpen, Scenario, Traffic, per_sec, secs};
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
fn a_flood_beside_a_scan_that_goes_on_does_not_go_by_its_name() {
    let flood = foreign_flood(per_sec(40)).start(secs(140)).over(secs(150));
    let told = labels(&Scenario::new(7).with(people()).with(scan().over(secs(240))).with(flood));
    assert_eq!(told, [("scan".to_owned(), false), ("attack".to_owned(), true)]);
    // Ports are tried without a word.
    let port = |at: u16| {
        let one = Traffic::to(&web()).named(&format!("port {at}")).from("99.0.1.7/32").port(1_000 + at);
        one.syns(per_sec(1)).half_open(HalfOpen::Refused).start(secs(60 + 2 * u64::from(at))).over(secs(1))
    };
    let flood = foreign_flood(per_sec(40)).start(secs(140)).over(secs(150));
    let scanned = (0..115).map(port).fold(Scenario::new(7).with(people()), Scenario::with);
    let told = labels(&scanned.with(flood));
    assert_eq!(told, [("scan".to_owned(), false), ("attack".to_owned(), true)]);
}

#[test]
fn a_scan_that_is_much_of_the_load_is_one() {
    let scan = scan().requests(per_sec(30)).over(secs(200));
    let told = labels(&Scenario::new(7).with(people()).with(scan));
    assert_eq!(told, [("scan".to_owned(), true)]);
}

#[test]
fn a_scan_that_comes_again_is_one_and_what_it_brings_with_it_is_part_of_it() {
    let again = scan().named("again").start(secs(180));
    let told = labels(&Scenario::new(7).with(people()).with(scan()).with(again));
    assert_eq!(told, [("scan".to_owned(), true)]);
}

#[test]
fn what_ends_a_scan_ends_what_was_asked_of_its_lull() {
    // Some access from abroad beside the scan, the same again after a lull, and five seconds later a flood.
    let beside = |from| foreign_flood(per_sec(14)).start(secs(from)).over(secs(30));
    let flood = foreign_flood(per_sec(150)).named("last").start(secs(175)).over(secs(100));
    let two = Scenario::new(7).with(people()).with(scan()).with(beside(65)).with(beside(170).named("again"));
    let told = labels(&two.with(flood));
    assert!(told.iter().any(|(label, _)| label == "attack"), "{told:?}");
}

#[test]
fn an_outage_behind_a_flood_does_not_go_by_its_name() {
    // A minute behind it, and half a minute: whoever flooded is named.
    for begins in [200, 175] {
        let flood = foreign_flood(per_sec(150)).start(secs(80)).over(secs(60));
        let before = people().over(secs(begins));
        // Nobody gets an answer any more, and everybody tries again.
        let outage = crowd_at_home(per_sec(15)).named("shut out").syns(per_sec(15));
        let outage = outage.start(secs(begins)).over(secs(80)).half_open(HalfOpen::Unanswered);
        let told = labels(&Scenario::new(7).with(before).with(flood).with(outage));
        assert_eq!(told, [("attack".to_owned(), false), ("glitch".to_owned(), true)], "at {begins} s");
    }
}

#[test]
fn a_flood_behind_a_crowd_does_not_go_by_its_name() {
    let crowd = crowd_at_home(per_sec(120)).named("crowd").sources(500).start(secs(80)).over(secs(90));
    let flood = foreign_flood(per_sec(200)).start(secs(240)).over(secs(60));
    let told = labels(&Scenario::new(7).with(people()).with(crowd).with(flood));
    assert_eq!(told, [("flash_crowd".to_owned(), false), ("attack".to_owned(), true)]);
}

#[test]
fn a_flood_that_comes_again_is_one() {
    let flood = |from| foreign_flood(per_sec(150)).start(secs(from)).over(secs(40));
    let again = flood(190).named("again");
    let told = labels(&Scenario::new(7).with(people()).with(flood(80)).with(again));
    assert_eq!(told, [("attack".to_owned(), true)]);
}
