//! Files that are rotated, moved, deleted, emptied and replaced while lines are written into them: none is torn, and none is
//! lost but by whoever removes it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::tests::{SOON, alert, counts, file, setting, spooled, wait_until};
use super::*;
use crate::time::{Span, Timestamp};

/// A clock by which every look is in another second.
fn hasty() -> i64 {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000);
    NOW.fetch_add(1, Relaxed)
}

/// A line that shows whether it is whole.
fn line(number: usize) -> String {
    format!("{{\"number\":{number},\"text\":\"{}\",\"again\":{number}}}", "x".repeat(number % 200))
}

fn numbers(text: &str) -> Vec<usize> {
    let whole = |found: &str| {
        let number = found.strip_prefix("{\"number\":").and_then(|rest| rest.split(',').next()?.parse().ok());
        let number = number.unwrap_or_else(|| panic!("torn: {found:?}"));
        assert_eq!(found, line(number));
        number
    };
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(whole).collect()
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    let mut held = File::open(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::GzDecoder::new(held).read_to_string(&mut text).unwrap(),
        Some("zst") => zstd::Decoder::new(held).unwrap().read_to_string(&mut text).unwrap(),
        _ => held.read_to_string(&mut text).unwrap(),
    };
    text
}

/// All files of a folder in the order of their names, the one without a number last.
fn all(folder: &Path) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.is_symlink())
        .collect();
    paths.sort_by_key(|path| (path.extension().is_some_and(|last| last == "jsonl"), path.clone()));
    paths.iter().map(|path| text(path)).collect()
}

fn rotated(path: &Path, rotation: Rotation) -> SinkSpec {
    let rotation = Some(rotation);
    SinkSpec::all(Target::File { path: path.to_owned(), begin: Begin::Append, rotation })
}

#[test]
fn a_file_rotates_itself_by_size_and_loses_nothing() {
    for compress in [Compression::None, Compression::Gz, Compression::Zst] {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("alerts.jsonl");
        let rotation = Rotation { size: Some(16_384), every: None, keep: 100, compress };
        let sinks = Sinks::start(vec![rotated(&path, rotation)], &spooled(state.path())).unwrap();
        let sent = 3_000;
        for number in 0..sent {
            sinks.send(&alert(&line(number)));
            while sinks.states()[0].counts.delivered + 500 < number as u64 {
                std::thread::yield_now();
            }
        }
        wait_until(|| sinks.states()[0].counts.delivered == sent as u64);
        assert_eq!(counts(&sinks.finish(SOON)), (sent as u64, 0, 0));
        let texts = all(folder.path());
        assert!(texts.len() > 20, "{} files", texts.len());
        assert!(texts.iter().all(|text| text.len() <= 16_384));
        assert_eq!(numbers(&texts.concat()), (0..sent).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_is_about_one_day_of_its_records_whatever_the_date_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let rotation = Rotation { size: None, every: Some(Every::Day), keep: 2, compress: Compression::None };
    let sinks = Sinks::start(vec![rotated(&path, rotation)], &setting(WhenFull::Wait)).unwrap();
    for hour in 0..96 {
        let time = Some(Timestamp::from_secs(1_700_697_600) + Span::from_secs(hour * 3_600));
        sinks.send(&Record { time, ..alert(&hour.to_string()) });
    }
    assert_eq!(counts(&sinks.finish(SOON)), (96, 0, 0));
    let texts = all(folder.path());
    let first: Vec<Option<&str>> = texts.iter().map(|text| text.lines().next()).collect();
    assert_eq!(first, [Some("24"), Some("48"), Some("72")], "two are kept");
}

#[test]
fn a_file_that_others_rotate_under_load_loses_nothing() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("alerts.jsonl");
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &spooled(state.path())).unwrap();
    for round in 0..20 {
        (0..100).for_each(|at| sinks.send(&alert(&line(round * 100 + at))));
        // Some are still on their way into the file that is moved.
        wait_until(|| sinks.states()[0].counts.delivered >= round as u64 * 100 + 10);
        fs::rename(&path, folder.path().join(format!("moved.{round:02}"))).unwrap();
        sinks.reopen();
        wait_until(|| path.exists());
    }
    wait_until(|| sinks.states()[0].counts.delivered == 2_000);
    assert_eq!(counts(&sinks.finish(SOON)), (2_000, 0, 0));
    let texts = all(folder.path());
    let found: BTreeSet<usize> = texts.iter().flat_map(|text| numbers(text)).collect();
    assert_eq!(found.len(), 2_000, "every line, once and whole");
}

#[test]
fn a_file_that_is_emptied_in_place_has_no_hole_and_no_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &setting(WhenFull::Discard)).unwrap();
    for round in 0..20 {
        (0..50).for_each(|at| sinks.send(&alert(&line(round * 50 + at))));
        wait_until(|| sinks.counts()[0].1.delivered >= round as u64 * 50 + 50);
        numbers(&fs::read_to_string(&path).unwrap());
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    }
    sinks.send(&alert(&line(7)));
    sinks.finish(SOON);
    assert_eq!(fs::read_to_string(&path).unwrap(), line(7) + "\n");
}

#[test]
fn a_file_that_is_deleted_or_moved_is_made_anew_without_being_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let setting = Setting { clock: hasty, ..setting(WhenFull::Discard) };
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &setting).unwrap();
    let deliver = |number: usize| {
        sinks.send(&alert(&line(number)));
        wait_until(|| sinks.counts()[0].1.delivered == number as u64 + 1);
    };
    deliver(0);
    fs::remove_file(&path).unwrap();
    deliver(1);
    assert_eq!(numbers(&text(&path)), [1]);
    fs::rename(&path, folder.path().join("moved")).unwrap();
    deliver(2);
    assert_eq!(numbers(&text(&path)), [2]);
    assert_eq!(counts(&sinks.finish(SOON)), (3, 0, 0));
}

#[test]
fn a_link_that_is_laid_in_a_files_place_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, precious) = (folder.path().join("alerts.jsonl"), folder.path().join("shadow"));
    fs::write(&precious, "precious").unwrap();
    let setting = Setting { clock: hasty, ..setting(WhenFull::Discard) };
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &setting).unwrap();
    let deliver = |number: usize| {
        sinks.send(&alert(&line(number)));
        wait_until(|| sinks.counts()[0].1.delivered == number as u64 + 1);
    };
    deliver(0);
    fs::rename(&path, folder.path().join("moved")).unwrap();
    symlink(&precious, &path).unwrap();
    deliver(1);
    assert!(sinks.states()[0].last_error.as_ref().unwrap().contains("symbolic link"));
    fs::remove_file(&path).unwrap();
    deliver(2);
    assert_eq!(counts(&sinks.finish(SOON)), (3, 0, 0));
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert_eq!(numbers(&text(&folder.path().join("moved"))), [0, 1], "the old file went on");
    assert_eq!(numbers(&text(&path)), [2]);
}

#[test]
fn a_folder_in_a_files_place_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let setting = Setting { clock: hasty, ..setting(WhenFull::Discard) };
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &setting).unwrap();
    let moved = folder.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    sinks.send(&alert(&line(0)));
    assert_eq!(counts(&sinks.finish(SOON)), (1, 0, 0));
    assert_eq!(numbers(&text(&moved)), [0]);
}
