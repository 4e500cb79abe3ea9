//! Every point at which a spool may crash, in every state that leaves the disk in: what was acknowledged is delivered,
//! recovery never fails, and the spool goes on.

use std::collections::BTreeSet;

use super::model::{Files, Model, crashes};
use super::tests::alert;
use super::*;

/// Segments of a few records, so that a short story begins and removes several.
const SMALL: Limits = Limits { total: 1 << 20, segment: 400 };

/// What a story of a spool told the outside, each with the number of operations that were done before.
#[derive(Default)]
struct Told {
    acknowledged: Vec<(usize, String)>,
    delivered: Vec<(usize, String)>,
}

impl Told {
    fn before(list: &[(usize, String)], operations: usize) -> BTreeSet<&str> {
        list.iter().filter(|(at, _)| *at <= operations).map(|(_, line)| line.as_str()).collect()
    }
}

fn append(spool: &mut Spool<Model>, told: &mut Told, lines: &[String]) {
    let records: Vec<Record> = lines.iter().map(|line| alert(line)).collect();
    let outcome = spool.append(&records).unwrap();
    assert_eq!(outcome.kept, lines.len() as u64);
    let at = spool.disk.log().len();
    told.acknowledged.extend(lines.iter().map(|line| (at, line.clone())));
}

fn deliver(spool: &mut Spool<Model>, told: &mut Told, most: usize) {
    let entries = spool.next(most).unwrap();
    let at = spool.disk.log().len();
    told.delivered.extend(entries.iter().map(|entry| (at, entry.record.line.to_string())));
    if let Some(last) = entries.last() {
        spool.commit(last.number).unwrap();
    }
}

/// Alerts come in groups of one to three and are delivered two at a time, now and then.
fn story(disk: &Model, name: &str) -> Told {
    let (mut told, mut spool) = (Told::default(), Spool::open(disk.clone(), SMALL).unwrap());
    for round in 0..8 {
        let lines: Vec<String> = (0..=round % 3).map(|at| format!("{name} {round}.{at}")).collect();
        append(&mut spool, &mut told, &lines);
        if round % 2 == 1 {
            deliver(&mut spool, &mut told, 2);
        }
        if round == 5 {
            spool.reject(&alert("poison"), "answered 400").unwrap();
            deliver(&mut spool, &mut told, 9);
        }
    }
    told
}

/// Everything a spool still has to deliver.
fn drain(disk: Model) -> Vec<String> {
    let mut spool = Spool::open(disk, SMALL).unwrap();
    let mut told = Told::default();
    append(&mut spool, &mut told, &["goes on".to_owned()]);
    while spool.waiting() > 0 {
        let before = told.delivered.len();
        deliver(&mut spool, &mut told, 3);
        assert!(told.delivered.len() > before, "{} wait and none comes", spool.waiting());
    }
    told.delivered.into_iter().map(|(_, line)| line).collect()
}

fn check(before: &Files, disk: &Model, told: &Told, already: &BTreeSet<String>) -> usize {
    let log = disk.log();
    let mut tried = 0;
    for end in 0..=log.len() {
        let mut owed = Told::before(&told.acknowledged, end);
        owed.extend(already.iter().map(String::as_str));
        let delivered = Told::before(&told.delivered, end);
        for files in crashes(before, &log[..end]) {
            let drained = drain(Model::holding(files.clone()));
            let drained: BTreeSet<&str> = drained.iter().map(String::as_str).collect();
            let lost: Vec<_> =
                owed.iter().filter(|line| !delivered.contains(*line) && !drained.contains(*line)).collect();
            assert!(lost.is_empty(), "{lost:?} after {:?}: {files:?}", &log[..end].last());
            assert!(drained.contains("goes on"));
            tried += 1;
        }
    }
    tried
}

#[test]
fn nothing_acknowledged_is_lost_wherever_it_crashes() {
    let disk = Model::default();
    let told = story(&disk, "first");
    let tried = check(&Files::new(), &disk, &told, &BTreeSet::new());
    assert!(tried > 1_000, "{tried} states");
}

#[test]
fn nothing_acknowledged_is_lost_where_it_crashes_again() {
    let first = Model::default();
    let told = story(&first, "first");
    let log = first.log();
    let mut tried = 0;
    // A crash in the middle of the first life, then every crash of the second, its recovery included.
    for end in (0..log.len()).step_by(25) {
        let (owed, delivered) = (Told::before(&told.acknowledged, end), Told::before(&told.delivered, end));
        let owed: BTreeSet<String> = owed.difference(&delivered).map(|line| (*line).to_owned()).collect();
        let states = crashes(&Files::new(), &log[..end]);
        for files in states.into_iter().step_by(97) {
            let disk = Model::holding(files.clone());
            let told = story(&disk, "second");
            tried += check(&files, &disk, &told, &owed);
        }
    }
    assert!(tried > 500, "{tried} states");
}

#[test]
fn a_disk_that_fails_anywhere_and_recovers_loses_nothing_acknowledged() {
    for failing in 0..60 {
        let disk = Model::default();
        let mut spool = Spool::open(disk.clone(), SMALL).unwrap();
        let (mut owed, mut delivered) = (Vec::new(), BTreeSet::new());
        disk.fail_after(Some(failing));
        for round in 0..20 {
            if round == 15 {
                disk.fail_after(None);
            }
            let line = format!("alert {round}");
            if spool.append(&[alert(&line)]).is_ok() {
                owed.push(line);
            }
            for entry in spool.next(1).unwrap() {
                delivered.insert(entry.record.line.to_string());
                let _ = spool.commit(entry.number);
            }
        }
        assert!(owed.len() >= 5, "a disk that works again is written to: {owed:?}");
        assert!(disk.files().len() < 20, "no files gather: {:?}", disk.files().keys());
        drop(spool);
        delivered.extend(drain(disk));
        let lost: Vec<_> = owed.iter().filter(|line| !delivered.contains(*line)).collect();
        assert!(lost.is_empty(), "failing after {failing}: {lost:?}");
    }
}
