//! Spools in use: order, limits, damage.

use super::model::Model;
use super::*;
use crate::time::Timestamp;

const ROOMY: Limits = Limits { total: 1 << 20, segment: 1_000 };

pub fn alert(line: &str) -> Record {
    at(Level::High, line)
}

fn at(level: Level, line: &str) -> Record {
    Record {
        kind: EventType::Alert,
        severity: Some(level),
        time: Some(Timestamp::from_secs(1_700_698_780)),
        incident: Some("00ff00ff00ff00ff".into()),
        seq: Some(1),
        line: line.into(),
    }
}

fn open(disk: &Model, limits: Limits) -> Spool<Model> {
    Spool::open(disk.clone(), limits).unwrap()
}

/// Hands out and commits everything.
fn drained<D: Disk>(spool: &mut Spool<D>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let entries = spool.next(7).unwrap();
        let Some(last) = entries.last() else { return lines };
        spool.commit(last.number).unwrap();
        lines.extend(entries.iter().map(|entry| entry.record.line.to_string()));
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn fill(spool: &mut Spool<Model>, range: std::ops::Range<usize>) {
    for line in numbered(range) {
        assert_eq!(spool.append(&[alert(&line)]).unwrap().kept, 1);
    }
}

#[test]
fn what_goes_in_comes_out_in_order_and_leaves_nothing_behind() {
    let disk = Model::default();
    let mut spool = open(&disk, ROOMY);
    fill(&mut spool, 0..50);
    assert_eq!(spool.waiting(), 50);
    assert_eq!(drained(&mut spool), numbered(0..50));
    assert_eq!(spool.waiting(), 0);
    assert!(disk.files().keys().filter(|name| name.starts_with("segment")).count() <= 1);
    fill(&mut spool, 50..60);
    drop(spool);
    assert_eq!(drained(&mut open(&disk, ROOMY)), numbered(50..60));
    assert_eq!(open(&disk, ROOMY).waiting(), 0);
}

#[test]
fn what_was_handed_out_and_not_committed_is_handed_out_again() {
    let disk = Model::default();
    let mut spool = open(&disk, ROOMY);
    fill(&mut spool, 0..20);
    let first = spool.next(4).unwrap();
    spool.commit(first[1].number).unwrap();
    assert_eq!(spool.next(1).unwrap()[0].record.line.as_ref(), "4");
    spool.rewind();
    assert_eq!(drained(&mut spool), numbered(2..20));
    assert_eq!(spool.next(1).unwrap(), []);
}

#[test]
fn a_full_spool_keeps_what_is_severe_and_what_is_new() {
    let disk = Model::default();
    let mut spool = open(&disk, Limits { total: 8_000, segment: 1_000 });
    let line = "x".repeat(100);
    let mut low = Appended::default();
    for _ in 0..100 {
        let outcome = spool.append(&[at(Level::Medium, &line)]).unwrap();
        low = Appended { kept: low.kept + outcome.kept, refused: low.refused + outcome.refused, ..low };
    }
    assert_eq!(low.kept + low.refused, 100);
    assert!(spool.bytes() <= 7_000, "an eighth is left: {}", spool.bytes());
    let mut displaced = 0;
    for number in 0..100 {
        let outcome = spool.append(&[at(Level::Critical, &format!("{line}{number}"))]).unwrap();
        assert_eq!(outcome.kept, 1);
        displaced += outcome.displaced;
        assert!(spool.bytes() <= 8_000);
    }
    assert_eq!(spool.waiting(), low.kept + 100 - displaced, "each is counted once");
    let left = drained(&mut spool);
    assert_eq!(left.len() as u64, low.kept + 100 - displaced);
    assert!(left.last().unwrap().ends_with("99"));
    assert!(left.iter().all(|line| line.len() > 100), "the medium ones went first");
}

#[test]
fn a_record_that_is_too_long_is_refused_and_the_next_is_not() {
    let disk = Model::default();
    let mut spool = open(&disk, Limits::of(256 << 20));
    let long = "x".repeat(MAX_PAYLOAD);
    let outcome = spool.append(&[alert(&long), alert("short")]).unwrap();
    assert_eq!(outcome, Appended { kept: 1, refused: 1, displaced: 0 });
    assert_eq!(drained(&mut spool), ["short"]);
}

#[test]
fn long_records_are_read_across_windows() {
    let disk = Model::default();
    let mut spool = open(&disk, Limits::of(256 << 20));
    let long: Vec<String> = (0..9).map(|number| format!("{number}{}", "y".repeat(700_000))).collect();
    for line in &long {
        spool.append(&[alert(line)]).unwrap();
    }
    assert_eq!(drained(&mut spool), long);
}

#[test]
fn every_byte_may_be_changed_and_the_rest_comes_out() {
    let disk = Model::default();
    let mut spool = open(&disk, ROOMY);
    fill(&mut spool, 0..12);
    let (whole, all) = (disk.files(), numbered(0..12));
    for name in whole.keys() {
        for at in 0..whole[name].len() {
            let mut files = whole.clone();
            files.get_mut(name).unwrap()[at] ^= 0xa5;
            let mut spool = open(&Model::holding(files), ROOMY);
            assert!(spool.damage().stretches + u64::from(spool.damage().cursor) <= 1);
            let left = drained(&mut spool);
            let lost = all.iter().filter(|line| !left.contains(line)).count();
            assert!(lost <= 1, "{name} {at}: {left:?}");
            assert_eq!(spool.waiting(), 0, "{name} {at}");
        }
    }
}

#[test]
fn a_damaged_cursor_costs_duplicates_only() {
    let disk = Model::default();
    let mut spool = open(&disk, ROOMY);
    fill(&mut spool, 0..5);
    let entries = spool.next(2).unwrap();
    spool.commit(entries[1].number).unwrap();
    disk.change(|files| drop(files.insert("cursor".to_owned(), b"delivered 4 00000000\n".to_vec())));
    let mut spool = open(&disk, ROOMY);
    assert!(spool.damage().cursor);
    assert_eq!(drained(&mut spool), numbered(0..5));
}

#[test]
fn a_segment_that_is_shortened_under_us_ends_nothing() {
    let disk = Model::default();
    let mut spool = open(&disk, ROOMY);
    fill(&mut spool, 0..3);
    disk.change(|files| files.values_mut().for_each(|held| held.truncate(held.len() / 2)));
    assert!(drained(&mut spool).len() < 3);
    fill(&mut spool, 3..40);
    assert!(drained(&mut spool).ends_with(&numbered(20..40)));
}

#[test]
fn what_is_rejected_stands_in_a_file_with_its_reason() {
    let disk = Model::default();
    let mut spool = open(&disk, ROOMY);
    spool.reject(&alert(r#"{"a":"b"}"#), "answered 400 Bad Request").unwrap();
    let mut spool = open(&disk, ROOMY);
    spool.reject(&alert("two"), "answered 413").unwrap();
    let text = String::from_utf8(disk.files()["rejected.jsonl"].clone()).unwrap();
    assert_eq!(
        text.lines().next().unwrap(),
        r#"{"reason":"answered 400 Bad Request","incident":"00ff00ff00ff00ff","seq":1,"record":"{\"a\":\"b\"}"}"#
    );
    assert_eq!(text.lines().count(), 2);
    disk.change(|files| assert!(files.get_mut("rejected.jsonl").unwrap().pop().is_some()));
    open(&disk, ROOMY).reject(&alert("two and a half"), "answered 400").unwrap();
    let text = String::from_utf8(disk.files()["rejected.jsonl"].clone()).unwrap();
    assert_eq!(text.lines().count(), 3, "a torn line is ended first");
    disk.change(|files| files.get_mut("rejected.jsonl").unwrap().resize(17 << 20, b'\n'));
    open(&disk, ROOMY).reject(&alert("three"), "answered 400").unwrap();
    assert_eq!(disk.files()["rejected.1.jsonl"].len(), 17 << 20, "the file before is kept");
}

#[test]
fn a_folder_serves_one_process_at_a_time() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state").join("sink");
    let mut spool = Spool::open(Folder::open(&path).unwrap(), ROOMY).unwrap();
    spool.append(&[alert("one"), alert("two")]).unwrap();
    assert!(Folder::open(&path).unwrap_err().to_string().contains("another process"));
    drop(spool);
    let mut spool = Spool::open(Folder::open(&path).unwrap(), ROOMY).unwrap();
    spool.append(&[alert("three")]).unwrap();
    assert_eq!(drained(&mut spool), ["one", "two", "three"]);
}

#[test]
fn a_folder_of_anything_opens() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path();
    std::fs::create_dir(path.join("segment-0000000001")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("segment-0000000002")).unwrap();
    std::fs::write(path.join("segment-0000000003"), [0xff; 3_000]).unwrap();
    std::fs::write(path.join("segment-99999999999999999999"), "").unwrap();
    std::fs::create_dir(path.join("cursor")).unwrap();
    let mut spool = Spool::open(Folder::open(path).unwrap(), ROOMY).unwrap();
    assert!(spool.damage().cursor && spool.damage().stretches >= 2);
    spool.append(&[alert("one")]).unwrap();
    assert_eq!(spool.next(5).unwrap().len(), 1);
}
