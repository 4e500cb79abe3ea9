//! What goes wrong while the program runs, and how it ends: damaged and missing captures, outputs that are full or
//! closed, wrong flags; and what is left out on purpose is counted.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bongsu::capture::Writer;
use bongsu::synth::{Scenario, per_sec, secs};
use support::{Answer, WEB, bongsu, crowd_at_home, foreign_flood, replay, run, written};

fn short_story() -> Scenario {
    Scenario::new(31).with(crowd_at_home(per_sec(20)).over(secs(10)))
}

/// A flood that fires a rule of level high and harms nobody that could be seen.
fn flood() -> Scenario {
    Scenario::new(32)
        .with(crowd_at_home(per_sec(20)).over(secs(15)))
        .with(foreign_flood(per_sec(80)).start(secs(5)).over(secs(8)))
}

/// The first `whole` packets of the story and five bytes of the record that follows.
fn cut_after(whole: u64, folder: &Path) -> (PathBuf, u64) {
    let mut writer = Writer::new(Vec::new());
    for frame in short_story().frames().unwrap().take(usize::try_from(whole).unwrap()) {
        writer.frame(&frame.as_frame()).unwrap();
    }
    let good = writer.finish().unwrap();
    let mut writer = Writer::new(Vec::new());
    for frame in short_story().frames().unwrap().take(usize::try_from(whole + 1).unwrap()) {
        writer.frame(&frame.as_frame()).unwrap();
    }
    let more = writer.finish().unwrap();
    let path = folder.join("cut.pcapng");
    std::fs::write(&path, &more[..good.len() + 21]).unwrap();
    (path, good.len() as u64)
}

/// A classic capture of `whole` packets of 60 bytes, and the head and five bytes of another.
fn classic_cut_after(whole: u32, folder: &Path) -> (PathBuf, usize) {
    let mut bytes = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for second in 0..whole {
        bytes.extend([1_700_000_000 + second, 0, 60, 60].map(u32::to_le_bytes).concat());
        bytes.extend([0; 60]);
    }
    let good = bytes.len();
    bytes.extend([1_700_000_000 + whole, 0, 60, 60].map(u32::to_le_bytes).concat());
    bytes.extend([0; 5]);
    let path = folder.join("cut.pcap");
    std::fs::write(&path, bytes).unwrap();
    (path, good)
}

#[test]
fn a_capture_that_is_cut_is_read_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, offset) = cut_after(100, folder.path());
    let answer = replay(&capture, &["-s", WEB]).exits(1);
    let stats = answer.stats();
    assert_eq!((&stats["packets"]["read"], &stats["capture"]["complete"]), (&100.into(), &false.into()));
    assert_names(&answer, &capture, 100, offset);
}

#[test]
fn a_classic_capture_that_is_cut_is_read_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, offset) = classic_cut_after(7, folder.path());
    let answer = replay(&capture, &[]).exits(1);
    assert_eq!(answer.stats()["packets"]["read"], 7);
    assert_names(&answer, &capture, 7, offset as u64);
}

/// The message names the file, the last good packet and the offset at which the damaged one begins.
fn assert_names(answer: &Answer, capture: &Path, packet: u64, offset: u64) {
    let said = &answer.stderr;
    assert!(said.contains(capture.to_str().unwrap()), "{said}");
    let numbers: Vec<&str> = said.split(|c: char| !c.is_ascii_digit()).collect();
    for wanted in [packet, offset] {
        assert!(numbers.contains(&wanted.to_string().as_str()), "{wanted} is not in: {said}");
    }
}

#[test]
fn a_cut_capture_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _) = cut_after(50, folder.path());
    support::write(&short_story(), &folder.path().join("whole.pcapng"));
    let answer = replay(folder.path(), &[]).exits(1);
    let whole = short_story().truth().unwrap().packets;
    assert_eq!(answer.stats()["packets"]["read"], whole + 50);
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pcap");
    assert!(replay(&missing, &[]).exits(1).stderr.contains("missing.pcap"));
    assert!(!replay(folder.path(), &[]).exits(1).stderr.trim().is_empty());
    let prose = folder.path().join("prose.txt");
    std::fs::write(&prose, "Dear reader, this is no capture.\n").unwrap();
    assert!(replay(&prose, &[]).exits(1).stderr.contains("prose.txt"));
    assert!(!replay(folder.path(), &[]).exits(1).stderr.trim().is_empty());
}

#[test]
fn files_of_a_folder_that_are_no_captures_are_named_on_request() {
    let (folder, _) = written(&short_story());
    std::fs::write(folder.path().join("notes.txt"), "nothing\n").unwrap();
    assert!(!replay(folder.path(), &[]).exits(0).stderr.contains("notes.txt"));
    assert!(replay(folder.path(), &["-v"]).exits(0).stderr.contains("notes.txt"));
}

#[test]
fn a_closed_standard_output_ends_the_run_quietly() {
    let (_folder, capture) = written(&flood());
    let mut child = bongsu()
        .arg("replay")
        .arg(&capture)
        .args(["-s", WEB, "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'), "{first}");
    let answer = Answer::of(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(answer.stderr, "");
}

#[test]
fn nobody_at_the_standard_output_is_quiet_too() {
    let (_folder, capture) = written(&short_story());
    for words in [&["-o", "-"][..], &[]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            bongsu().arg("replay").arg(&capture).args(words).stdout(writer).stderr(Stdio::piped()).output();
        assert_eq!(Answer::of(output.unwrap()).exits(0).stderr, "");
    }
}

#[test]
fn a_full_output_is_a_failure_that_is_told() {
    if File::options().write(true).open("/dev/full").is_err() {
        return support::not_run("no /dev/full");
    }
    let (_folder, capture) = written(&short_story());
    let answer = run(["replay", capture.to_str().unwrap(), "-o", "/dev/full"]).exits(1);
    assert!(answer.stderr.contains("/dev/full"), "{}", answer.stderr);
}

#[test]
fn an_output_that_cannot_be_made_is_wrong_usage() {
    let (folder, capture) = written(&short_story());
    let nowhere = folder.path().join("no/such/folder/alerts.jsonl");
    let answer = run(["replay", capture.to_str().unwrap(), "-o", nowhere.to_str().unwrap()]).exits(2);
    assert!(answer.stderr.contains("alerts.jsonl"), "{}", answer.stderr);
}

#[test]
fn severity_can_decide_the_exit_code() {
    let (_folder, capture) = written(&flood());
    let with = |more: &[&str]| replay(&capture, &[&["-s", WEB, "--home", "KR"], more].concat());
    let reached = with(&["--fail-on", "low"]).exits(10);
    assert_eq!(reached.stdout, with(&[]).exits(0).stdout);
    with(&["--fail-on", "high"]).exits(0);
}

#[test]
fn severity_goes_before_damage() {
    let (_folder, capture) = written(&flood());
    let bytes = std::fs::read(&capture).unwrap();
    std::fs::write(&capture, &bytes[..bytes.len() - 60]).unwrap();
    replay(&capture, &["-s", WEB, "--home", "KR"]).exits(1);
    replay(&capture, &["-s", WEB, "--home", "KR", "--fail-on", "low"]).exits(10);
}

#[test]
fn wrong_flags_are_wrong_usage_and_say_what_is_right() {
    let (_folder, capture) = written(&short_story());
    let cases: [(&[&str], &str); 14] = [
        (&["--sevice", WEB], "--service"),
        (&["-s", "web=211.34.105.10"], "web=211.34.105.10"),
        (&["-s", "web=211.34.105.300:80"], "211.34.105.300"),
        (&["-s", "web=211.34.105.10:http"], "http"),
        (&["-s", WEB, "-s", "web=211.34.105.11:80"], "web"),
        (&["--home", "KOR"], "KOR"),
        (&["--workers", "0"], "--workers"),
        (&["--events", "alert,flows"], "flows"),
        (&["--from", "yesterday"], "yesterday"),
        (&["--pace", "0"], "--pace"),
        (&["--timezone", "Asia/Seol"], "Asia/Seol"),
        (&["--fail-on", "hihg"], "high"),
        (&["--country-db", "/no/such.mmdb"], "/no/such.mmdb"),
        (&["-c", "/no/such.yaml"], "/no/such.yaml"),
    ];
    for (words, said) in cases {
        let answer = replay(&capture, words);
        assert_eq!(answer.code, Some(2), "{words:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(said), "{words:?}: {}", answer.stderr);
        assert_eq!(answer.stdout, "", "{words:?}");
    }
    run(["replay"]).exits(2);
    run(["repaly", "x.pcap"]).exits(2);
    run(["watch"]).exits(2);
}

#[test]
fn a_wrong_filter_is_wrong_usage() {
    let (_folder, capture) = written(&short_story());
    let answer = replay(&capture, &["-f", "prt 80"]).exits(2);
    assert!(answer.stderr.contains("prt 80"), "{}", answer.stderr);
}

#[test]
fn the_capture_is_never_overwritten() {
    let (_folder, capture) = written(&short_story());
    let before = std::fs::read(&capture).unwrap();
    run(["replay", capture.to_str().unwrap(), "-o", capture.to_str().unwrap()]).exits(2);
    assert_eq!(std::fs::read(&capture).unwrap(), before);
}

#[test]
fn what_a_filter_leaves_out_is_counted() {
    let (_folder, capture) = written(&short_story());
    let stats = replay(&capture, &["-f", "src port 80"]).exits(0).stats();
    let [read, decoded, filtered] = ["/packets/read", "/packets/decoded", "/packets/skipped/filter"]
        .map(|at| stats.pointer(at).unwrap().as_u64());
    assert_eq!(read, Some(short_story().truth().unwrap().packets));
    assert!(decoded > Some(100) && filtered > Some(100), "{stats}");
}

#[test]
fn what_lies_outside_the_time_is_counted() {
    let (_folder, capture) = written(&short_story());
    let begin = short_story().starts();
    let (mut before, mut within, mut after) = (0_u64, 0_u64, 0_u64);
    for frame in short_story().frames().unwrap() {
        match frame.time.nanos() - begin.nanos() {
            ..3_000_000_000 => before += 1,
            3_000_000_000..6_000_000_000 => within += 1,
            _ => after += 1,
        }
    }
    // 00:12:03 to 00:12:06, once in UTC and once as a clock in Seoul shows it.
    for (from, to) in [
        ("2023-11-23T00:12:03Z", "2023-11-23T00:12:06Z"),
        ("2023-11-23T09:12:03+09:00", "2023-11-23T09:12:06+09:00"),
    ] {
        let stats = replay(&capture, &["--from", from, "--to", to]).exits(0).stats();
        assert_eq!(stats["packets"]["decoded"], within);
        let skipped: u64 =
            stats["packets"]["skipped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(skipped, before + after);
    }
}
