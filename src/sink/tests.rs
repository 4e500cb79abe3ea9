//! Records in, files and datagrams out.

use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::time::Timestamp;

pub const SOON: Duration = Duration::from_secs(20);

pub fn record(severity: Option<Level>, line: &str) -> Record {
    Record {
        kind: if severity.is_some() { EventType::Alert } else { EventType::Stats },
        severity,
        time: Some(Timestamp::from_secs(1_700_698_780)),
        incident: severity.map(|_| "00ff00ff00ff00ff".into()),
        seq: severity.map(|_| 0),
        line: line.into(),
    }
}

pub fn alert(line: &str) -> Record {
    record(Some(Level::High), line)
}

pub fn file(path: &Path, begin: Begin) -> SinkSpec {
    SinkSpec::all(Target::File { path: path.to_owned(), begin, rotation: None })
}

/// A clock that stands: nothing here depends on the date.
fn clock() -> i64 {
    1_700_698_780
}

/// Sinks that try again at once.
pub fn setting(when_full: WhenFull) -> Setting {
    let patience = Patience {
        first: Duration::from_millis(2),
        most: Duration::from_millis(20),
        asked: Duration::from_millis(20),
        unacknowledged: Duration::from_millis(500),
    };
    Setting { patience, ..Setting::new("mirror 1", when_full, clock) }
}

pub fn counts(report: &SinkReport) -> (u64, u64, u64) {
    let SinkCounts { delivered, discarded, failed } = report.sinks[0].counts;
    (delivered, discarded, failed)
}

#[test]
fn a_replay_loses_nothing_however_many_records_come_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    fs::write(&path, "an earlier run\n").unwrap();
    let sinks = Sinks::start(vec![file(&path, Begin::Truncate)], &setting(WhenFull::Wait)).unwrap();
    let many = 5 * QUEUE_LENGTH;
    (0..many).for_each(|number| sinks.send(&alert(&number.to_string())));
    let report = sinks.finish(SOON);
    assert_eq!(counts(&report), (many as u64, 0, 0));
    assert!(report.is_complete() && report.losses().is_empty());
    let expected: String = (0..many).map(|number| format!("{number}\n")).collect();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

fn page(lines: &[&str]) -> Page {
    let mut page = Page::new();
    lines.iter().for_each(|line| page.add(line.as_bytes(), EventType::Flow, Timestamp::from_secs(1)));
    page
}

#[test]
fn records_and_pages_come_out_in_the_order_they_were_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("alerts.jsonl"), folder.path().join("log"));
    let collector = UnixDatagram::bind(&log).unwrap();
    collector.set_read_timeout(Some(SOON)).unwrap();
    let specs = vec![file(&path, Begin::Truncate), SinkSpec::all(Target::Unix(log))];
    let sinks = Sinks::start(specs, &setting(WhenFull::Wait)).unwrap();
    sinks.send(&alert("one"));
    sinks.send_pages(vec![page(&["two", "three"]), page(&["four"])]);
    sinks.send(&alert("five"));
    for line in ["one", "two", "three", "four", "five"] {
        let mut buffer = [0; 1_024];
        let length = collector.recv(&mut buffer).unwrap();
        assert!(std::str::from_utf8(&buffer[..length]).unwrap().ends_with(&format!(" {line}")));
    }
    let report = sinks.finish(SOON);
    assert_eq!(report.sinks.iter().map(|sink| sink.counts.delivered).collect::<Vec<_>>(), [5, 5]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn a_full_disk_is_counted_and_said() {
    let full = file(Path::new("/dev/full"), Begin::Truncate);
    let sinks = Sinks::start(vec![full], &setting(WhenFull::Wait)).unwrap();
    (0..10).for_each(|_| sinks.send(&alert("{}")));
    let report = sinks.finish(SOON);
    assert_eq!(counts(&report), (0, 0, 10));
    assert!(!report.is_complete());
    assert_eq!(
        report.losses(),
        [
            "file /dev/full: 10 records failed, 0 were discarded, 0 delivered: No space left on device (os error 28)"
        ]
    );
}

#[test]
fn a_file_that_cannot_be_opened_refuses_the_start() {
    let missing = file(Path::new("/nonexistent/alerts.jsonl"), Begin::Append);
    assert!(matches!(Sinks::start(vec![missing], &setting(WhenFull::Wait)), Err(SinkError::Open { .. })));
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("alerts.jsonl"), folder.path().join("alerts.1"));
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &setting(WhenFull::Wait)).unwrap();
    sinks.send(&alert("one"));
    wait_until(|| fs::read_to_string(&path).unwrap() == "one\n");
    fs::rename(&path, &moved).unwrap();
    sinks.reopen();
    wait_until(|| path.exists());
    sinks.send(&alert("two"));
    assert_eq!(counts(&sinks.finish(SOON)), (2, 0, 0));
    assert_eq!(
        (fs::read_to_string(&moved).unwrap(), fs::read_to_string(&path).unwrap()),
        ("one\n".to_owned(), "two\n".to_owned())
    );
}

/// A message taken apart after the grammar of RFC 5424, 6.
fn parsed(message: &str) -> (u8, Vec<String>, String, String) {
    let (priority, rest) = message.strip_prefix('<').unwrap().split_once('>').unwrap();
    let mut fields = rest.splitn(7, ' ');
    let head: Vec<String> = fields.by_ref().take(6).map(str::to_owned).collect();
    let rest = fields.next().unwrap();
    let mut escaped = false;
    let mut end = 1;
    if rest.starts_with('[') {
        let close = rest.find(|letter| {
            let closes = letter == ']' && !escaped;
            escaped = letter == '\\' && !escaped;
            closes
        });
        end = close.unwrap() + 1;
    }
    (priority.parse().unwrap(), head, rest[..end].to_owned(), rest[end + 1..].to_owned())
}

#[test]
fn a_collector_hears_what_is_bad_enough() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(SOON)).unwrap();
    let port = collector.local_addr().unwrap().port();
    let target = Target::Udp { host: "127.0.0.1".to_owned(), port };
    let spec = SinkSpec { min_severity: Level::High, ..SinkSpec::all(target) };
    let sinks = Sinks::start(vec![spec], &setting(WhenFull::Discard)).unwrap();
    sinks.send(&record(Some(Level::Medium), "left out"));
    sinks.send(&record(Some(Level::Critical), r#"{"a":"조"}"#));
    sinks.send(&record(None, "{}"));
    sinks.send(&alert(&"x".repeat(MAX_DATAGRAM)));
    let heard = || {
        let mut buffer = [0; 65_536];
        let length = collector.recv(&mut buffer).unwrap();
        parsed(std::str::from_utf8(&buffer[..length]).unwrap())
    };
    let (priority, head, data, text) = heard();
    assert_eq!(priority, 16 * 8 + 2);
    assert_eq!(head, ["1", "2023-11-23T00:19:40.000000+00:00", "mirror-1", "bongsu", "-", "alert"]);
    assert_eq!(data, r#"[bongsu@32473 id="00ff00ff00ff00ff" severity="critical"]"#);
    assert_eq!(text, r#"{"a":"조"}"#);
    assert_eq!(heard().0, 16 * 8 + 6, "what has no severity goes through");
    let report = sinks.finish(SOON);
    assert_eq!(counts(&report), (2, 0, 1), "too long for a datagram");
    assert!(report.losses()[0].contains("longer than a datagram"), "{:?}", report.losses());
}

#[test]
fn a_collector_that_was_away_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let spec = SinkSpec::all(Target::Unix(path.clone()));
    let sinks = Sinks::start(vec![spec], &setting(WhenFull::Discard)).unwrap();
    sinks.send(&alert("nobody there"));
    wait_until(|| sinks.states()[0].failing_since == Some(clock()));
    for life in 0..2 {
        let _ = fs::remove_file(&path);
        let collector = UnixDatagram::bind(&path).unwrap();
        collector.set_read_timeout(Some(SOON)).unwrap();
        let long = format!("life {life} {}", "x".repeat(60_000));
        sinks.send(&alert(&long));
        let mut buffer = [0; 65_536];
        if life == 0 {
            let length = collector.recv(&mut buffer).unwrap();
            assert!(buffer[..length].ends_with(b"nobody there"), "it was kept until somebody was");
        }
        let length = collector.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<131>1 ") && text.ends_with(&long), "{}", &text[..80]);
    }
    assert!(sinks.states()[0].is_ok());
    assert_eq!(counts(&sinks.finish(SOON)), (3, 0, 0));
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sink = StreamSink::writer("standard output".to_owned(), writer);
    let sinks = Sinks::with(vec![(Box::new(sink), Level::Low)], &setting(WhenFull::Wait)).unwrap();
    sinks.send(&alert("one"));
    let mut buffer = [0; 4];
    reader.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"one\n");
    assert!(!sinks.is_closed());
    drop(reader);
    sinks.send(&alert("two"));
    wait_until(|| sinks.is_closed());
    (0..3 * QUEUE_LENGTH).for_each(|_| sinks.send(&alert("nobody reads this")));
    let report = sinks.finish(SOON);
    assert_eq!(counts(&report), (1, 1 + 3 * QUEUE_LENGTH as u64, 0));
    assert!(report.is_complete(), "a closed output is no failure");
}

#[test]
fn a_reader_that_is_stuck_holds_nobody() {
    let (reader, writer) = std::io::pipe().unwrap();
    let sink = StreamSink::writer("stuck".to_owned(), writer);
    let sinks = Sinks::with(vec![(Box::new(sink), Level::Low)], &setting(WhenFull::Discard)).unwrap();
    let line = "x".repeat(1_000);
    let sent = 4 * QUEUE_LENGTH;
    (0..sent).for_each(|_| sinks.send(&alert(&line)));
    assert!(sinks.counts()[0].1.discarded > 0);
    let report = sinks.finish(Duration::from_millis(100));
    let (delivered, discarded, failed) = counts(&report);
    assert_eq!(delivered + discarded + failed, sent as u64);
    assert!(!report.is_complete());
    drop(reader);
}

/// A disk that is broken now and then must not silence the sinks beside it.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Other.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn one_broken_sink_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let broken: Box<dyn Sink> = Box::new(StreamSink::writer("broken".to_owned(), Broken));
    let whole: Box<dyn Sink> = Box::new(FileSink::open(&path, Begin::Append, None, clock).unwrap());
    let sinks =
        Sinks::with(vec![(broken, Level::Low), (whole, Level::Low)], &setting(WhenFull::Wait)).unwrap();
    sinks.send(&alert("one"));
    let report = sinks.finish(SOON);
    assert_eq!((report.sinks[0].counts.failed, report.sinks[1].counts.delivered), (1, 1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
}

#[test]
fn sinks_can_be_shared_with_whoever_reopens_them() {
    fn shared<T: Send + Sync>() {}
    shared::<Sinks>();
}

/// Asks again every few milliseconds, for as long as [`SOON`].
pub fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..SOON.as_millis() / 5 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("did not come to hold");
}

pub fn spooled(state: &Path) -> Setting {
    Setting { state: Some(state.to_owned()), ..setting(WhenFull::Discard) }
}

fn unix(path: &Path) -> SinkSpec {
    SinkSpec::all(Target::Unix(path.to_owned()))
}

/// The texts of so many messages.
fn heard(collector: &UnixDatagram, count: usize) -> Vec<String> {
    collector.set_read_timeout(Some(SOON)).unwrap();
    let mut buffer = [0; 65_536];
    let mut hear = || {
        let length = collector.recv(&mut buffer).unwrap();
        parsed(std::str::from_utf8(&buffer[..length]).unwrap()).3
    };
    (0..count).map(|_| hear()).collect()
}

#[test]
fn alerts_outlive_the_run_that_could_not_deliver_them() {
    let folder = tempfile::tempdir().unwrap();
    let (state, log) = (folder.path().join("state"), folder.path().join("log"));
    let sinks = Sinks::start(vec![unix(&log)], &spooled(&state)).unwrap();
    let sent: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    sent.iter().for_each(|line| sinks.send(&alert(line)));
    sinks.send(&record(None, "stats"));
    wait_until(|| sinks.states()[0].failing_since == Some(clock()));
    // Some are still on their way to the disk.
    let report = sinks.finish(SOON);
    assert_eq!((report.sinks[0].spooled, counts(&report)), (300, (0, 1, 0)), "only alerts are kept");
    assert_eq!(report.waiting().len(), 1);

    let collector = UnixDatagram::bind(&log).unwrap();
    let sinks = Sinks::start(vec![unix(&log)], &spooled(&state)).unwrap();
    sinks.send(&alert("new"));
    let heard = heard(&collector, 301);
    assert_eq!((&heard[..300], heard[300].as_str()), (&sent[..], "new"));
    let report = sinks.finish(SOON);
    assert_eq!((report.sinks[0].spooled, counts(&report)), (0, (301, 0, 0)));
}

#[test]
fn each_sink_has_its_own_spool_and_an_outage_of_one_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (state, log, path) =
        (folder.path().join("state"), folder.path().join("log"), folder.path().join("alerts.jsonl"));
    let specs = vec![unix(&log), file(&path, Begin::Append), file(&path, Begin::Append)];
    let sinks = Sinks::start(specs, &spooled(&state)).unwrap();
    (0..100).for_each(|number| sinks.send(&alert(&number.to_string())));
    wait_until(|| sinks.states()[2].counts.delivered == 100 && sinks.states()[0].spooled == 100);
    wait_until(|| sinks.states()[1].counts.delivered == 100);
    let report = sinks.finish(SOON);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 200);
    assert_eq!(report.sinks.iter().map(|sink| sink.spooled).collect::<Vec<_>>(), [100, 0, 0]);
    assert_eq!(fs::read_dir(state.join("spool")).unwrap().count(), 3);
}

#[test]
fn a_state_folder_serves_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let spec = unix(&folder.path().join("log"));
    let sinks = Sinks::start(vec![spec.clone()], &spooled(folder.path())).unwrap();
    let second = Sinks::start(vec![spec], &spooled(folder.path()));
    assert!(matches!(second, Err(SinkError::Spool { .. })));
    sinks.finish(SOON);
}

#[test]
fn half_a_line_is_taken_away_and_its_record_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    fs::write(&path, "{\"a\":1}\n{\"a\":").unwrap();
    let sinks = Sinks::start(vec![file(&path, Begin::Append)], &spooled(folder.path())).unwrap();
    sinks.send(&alert("{\"a\":2}"));
    assert_eq!(counts(&sinks.finish(SOON)), (1, 0, 0));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"a\":2}\n");
}
