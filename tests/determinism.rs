//! The same packets give the same bytes: whatever the number of workers, the way in, and the process.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bongsu::service::Service;
use bongsu::synth::{Close, Scenario, Traffic, Trouble, per_sec, secs};
use support::{
    ABROAD, AT_HOME, Answer, WEB, bongsu, crowd_at_home, foreign_flood, gist, replay, shared, web, written,
};

const SIX: &str = "six=[2001:220::10]:443";
const GAME: &str = "game=211.34.105.12:25565";
const API: &str = "api=211.34.105.13:8080";
const NAMED: [&str; 10] = ["-s", WEB, "-s", SIX, "-s", GAME, "-s", API, "--home", "KR"];

/// Five incidents at four services: at the web server a foreign flood with errors, and once more seven minutes later;
/// TLS from abroad at one with an IPv6 address, forged SYNs at the next, datagrams beside the last; pings and resets
/// between them.
fn busy() -> Scenario {
    let [six, game, api] = [SIX, GAME, API].map(|text| Service::parse(text).unwrap());
    let visitors = |service: &Service| Traffic::to(service).sources(60).over(secs(30));
    let from_abroad = Traffic::to(&six).from("2001:4860::/32").sources(300).start(secs(10)).over(secs(12));
    let beside = Traffic::to(&api).from_anywhere().port(1900).start(secs(5)).over(secs(7));
    let again = foreign_flood(per_sec(60)).start(secs(450)).over(secs(10));
    Scenario::new(7)
        .with(crowd_at_home(per_sec(20)).over(secs(30)))
        .with(foreign_flood(per_sec(60)).start(secs(10)).over(secs(15)))
        .with(again)
        .with(visitors(&six).from("2001:e60::/32").tls(per_sec(20)))
        .with(from_abroad.tls(per_sec(60)))
        .with(visitors(&game).from(AT_HOME[0]).connections(per_sec(10)).close(Close::ResetByServer))
        .with(Traffic::to(&game).forged().syns(per_sec(700)).start(secs(15)).over(secs(8)))
        .with(visitors(&api).from(AT_HOME[1]).requests(per_sec(10)))
        .with(beside.datagrams(per_sec(2_000)))
        .with(visitors(&web()).from(ABROAD[1]).pings(per_sec(20)))
        .trouble(Trouble::status(503).share(0.4, 0.7).start(secs(18)).over(secs(12)))
}

/// Every way that must lead to the same bytes, by name.
fn every_way(capture: &Path, more: &[&str]) -> Vec<(String, Answer)> {
    let folder = tempfile::tempdir().unwrap();
    let mut ways: Vec<(String, Answer)> = ["1", "2", "4"]
        .into_iter()
        .map(|workers| {
            let words = [more, &["--workers", workers]].concat();
            (format!("{workers} workers"), replay(capture, &words))
        })
        .collect();
    ways.push(("standard input".to_owned(), through_standard_input(capture, more)));
    let plain = plain_bytes(capture);
    for (name, packed) in
        [(".gz", gzipped(&plain, folder.path())), (".zst", zstandard(&plain, folder.path()))]
    {
        ways.push((name.to_owned(), replay(&packed, more)));
    }
    // Tables are seeded at random in each process.
    ways.push(("another process".to_owned(), replay(capture, more)));
    ways
}

fn through_standard_input(capture: &Path, more: &[&str]) -> Answer {
    let mut command = bongsu();
    command.args(["replay", "-", "-o", "-"]).args(more).stdin(File::open(capture).unwrap());
    Answer::of(command.output().unwrap())
}

fn plain_bytes(capture: &Path) -> Vec<u8> {
    let bytes = std::fs::read(capture).unwrap();
    if capture.extension().is_some_and(|extension| extension == "gz") {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        return plain;
    }
    bytes
}

fn gzipped(plain: &[u8], folder: &Path) -> PathBuf {
    let path = folder.join("packed.gz");
    let mut out = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap();
    path
}

fn zstandard(plain: &[u8], folder: &Path) -> PathBuf {
    let path = folder.join("packed.zst");
    std::fs::write(&path, zstd::bulk::compress(plain, 1).unwrap()).unwrap();
    path
}

/// All ways give the bytes of the first; those are returned.
fn assert_the_same(capture: &Path, more: &[&str]) -> Answer {
    let mut ways = every_way(capture, more).into_iter();
    let (_, first) = ways.next().unwrap();
    assert!(matches!(first.code, Some(0 | 1)), "{}", first.stderr);
    for (name, answer) in ways {
        let different = first.stdout.lines().zip(answer.stdout.lines()).find(|(one, other)| one != other);
        assert_eq!(different, None, "{}, {name}", capture.display());
        assert_eq!(
            (&first.stdout, first.code),
            (&answer.stdout, answer.code),
            "{}, {name}",
            capture.display()
        );
    }
    first
}

#[test]
fn several_incidents_at_named_services_are_the_same_bytes() {
    let (_folder, capture) = written(&busy());
    let answer = assert_the_same(&capture, &[&NAMED[..], &["--events", "alert,stats,config"]].concat());
    let incidents = gist(&answer.alerts());
    assert_eq!(incidents.len(), 5, "{incidents:#?}");
    assert!(answer.stdout.contains("2001:"), "no IPv6 origin is told");
}

#[test]
fn the_summary_for_people_is_the_same_bytes() {
    let (_folder, capture) = written(&busy());
    let told = |workers: &str| {
        let mut command = bongsu();
        command.arg("replay").arg(&capture).args(NAMED).args(["-q", "--workers", workers]);
        Answer::of(command.output().unwrap()).exits(0).stdout
    };
    let once = told("1");
    assert_eq!((&once, &once), (&told("2"), &told("4")));
    assert!(once.lines().count() > 10, "{once}");
}

#[test]
fn services_that_are_found_are_the_same_bytes() {
    let (_folder, capture) = written(&busy());
    let answer = assert_the_same(&capture, &["--home", "KR", "--events", "alert,stats,config"]);
    assert!(answer.stats()["services"].as_u64() >= Some(3), "{}", answer.stats());
    assert!(!answer.alert_lines().is_empty());
}

#[test]
fn more_sources_and_prefixes_than_a_second_keeps_are_the_same_bytes() {
    let many = Traffic::to(&web()).from("20.0.0.0/9").sources(30_000).start(secs(6)).over(secs(1));
    let story = Scenario::new(11)
        .with(crowd_at_home(per_sec(20)).over(secs(12)))
        .with(foreign_flood(per_sec(80)).start(secs(4)).over(secs(8)))
        .with(many.connections(per_sec(30_000)).close(Close::LeftOpen));
    let (_folder, capture) = written(&story);
    let told = |workers| replay(&capture, &[&NAMED[..2], &["--home", "KR", "--workers", workers]].concat());
    let once = told("1").exits(0);
    assert!(once.stats()["flows"]["proven"].as_u64() > Some(30_000), "{}", once.stats());
    assert!(!once.alerts().is_empty());
    for workers in ["2", "4"] {
        assert_eq!(once.stdout, told(workers).stdout, "{workers} workers");
    }
}

#[test]
fn captures_of_others_are_the_same_bytes() {
    let cases: [(&str, &[&str]); 6] = [
        ("doup123/test.pcap", &["-s", "web=172.16.1.2:5000", "--home", "KR"]),
        ("stopddos/pkt.TCP.synflood.spoofed.pcap", &["-s", "game=10.10.10.10:25565", "--home", "KR"]),
        ("stopddos/amp.dns.RRSIG.fragmented.pcap", &[]),
        ("goldeneye/goldeneye.pcap", &[]),
        ("zeek/http__1000-requests-one-dropped-response.pcap.gz", &[]),
        ("ndpi/alexa-app.pcapng", &[]),
    ];
    for (capture, more) in cases {
        let Some(path) = shared(capture) else { continue };
        assert_the_same(&path, more);
    }
}

#[test]
fn the_speed_of_a_replay_changes_nothing() {
    let quick = Scenario::new(8).with(crowd_at_home(per_sec(50)).over(secs(4)));
    let (_folder, capture) = written(&quick);
    let paced = replay(&capture, &["-s", WEB, "--pace", "8"]).exits(0);
    assert_eq!(paced.stdout, replay(&capture, &["-s", WEB]).exits(0).stdout);
}
