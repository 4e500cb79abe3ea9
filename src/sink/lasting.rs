//! What was sent arrives, at least once: whatever stands before it, whoever removes its file, and however a collector that
//! answers nothing dies.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use super::receivers::{Receiver, lines, numbered, read_counted, says};
use super::tests::{SOON, alert, counts, file, setting, spooled, wait_until};
use super::*;
use crate::time::Timestamp;

fn notice(line: &str) -> Record {
    Record::plain(EventType::Notice, Some(Timestamp::from_secs(1_700_698_780)), line.to_owned())
}

#[test]
fn an_alert_on_which_the_receiver_fails_does_not_hold_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, heard| match heard.body.contains(":7}") {
        true => says("500 Oops"),
        false => says("200 OK"),
    });
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    // Alone in the spool when it is tried first.
    sinks.send(&numbered(7..8)[0]);
    wait_until(|| receiver.heard().len() > 20);
    sinks.send(&numbered(8..9)[0]);
    wait_until(|| sinks.states()[0].counts.delivered == 1 && sinks.states()[0].rejected == 1);
    assert_eq!(sinks.finish(SOON).sinks[0].spooled, 0);
}

#[test]
fn what_is_wrong_with_the_sensor_waits_for_a_receiver_as_alerts_do() {
    let folder = tempfile::tempdir().unwrap();
    let away = Arc::new(AtomicBool::new(true));
    let is_away = Arc::clone(&away);
    let receiver = Receiver::start(move |_, _| match is_away.load(SeqCst) {
        true => says("503 Away"),
        false => says("200 OK"),
    });
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    sinks.send(&notice("{\"notice\":1}"));
    sinks.send(&numbered(1..2)[0]);
    wait_until(|| receiver.heard().len() > 3);
    let report = sinks.finish(SOON);
    assert_eq!((counts(&report), report.sinks[0].spooled), ((0, 0, 0), 2));
    away.store(false, SeqCst);
    let before = receiver.heard().len();
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    wait_until(|| sinks.states()[0].spooled == 0);
    assert_eq!(receiver.bodies()[before..], ["{\"notice\":1}", "{\"seq\":1}"]);
    sinks.finish(SOON);
}

#[test]
fn what_went_into_a_file_that_is_deleted_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut sink = FileSink::open(&path, Begin::Append, None, || 1_700_698_780).unwrap();
    runtime.block_on(async {
        let first = sink.deliver(&[alert("one")]).await;
        fs::remove_file(&path).unwrap();
        assert_eq!(first.delivered, 1);
        assert!(matches!(sink.settle().await, Settled::Lost(_)), "nobody can read it");
        sink.deliver(&[alert("one")]).await;
        assert!(matches!(sink.settle().await, Settled::Yes));
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
}

#[test]
fn a_file_that_is_moved_keeps_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("alerts.jsonl"), folder.path().join("alerts.jsonl.1"));
    let sinks =
        Sinks::start(vec![file(&path, Begin::Append)], &spooled(&folder.path().join("state"))).unwrap();
    sinks.send(&alert("one"));
    wait_until(|| sinks.states()[0].counts.delivered == 1);
    fs::rename(&path, &moved).unwrap();
    sinks.send(&alert("two"));
    assert_eq!(counts(&sinks.finish(SOON)), (2, 0, 0));
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
}

/// Collectors on one port, one life after the other; a life that does not listen ends when it is told to.
struct Collector {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    deaf: Arc<Mutex<Vec<TcpStream>>>,
}

impl Collector {
    /// The first so many lives hear nothing.
    fn start(deaf: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let collector = Self { port, heard: Arc::default(), deaf: Arc::default() };
        let (heard, held) = (Arc::clone(&collector.heard), Arc::clone(&collector.deaf));
        thread::spawn(move || {
            for (life, stream) in listener.incoming().enumerate() {
                let (stream, heard) = (stream.unwrap(), Arc::clone(&heard));
                if life < deaf {
                    held.lock().unwrap().push(stream);
                } else {
                    thread::spawn(move || read_counted(stream, &heard, usize::MAX));
                }
            }
        });
        collector
    }

    fn sinks(&self, folder: &Path) -> Sinks {
        let target = Target::Tcp { host: "127.0.0.1".to_owned(), port: self.port };
        Sinks::start(vec![SinkSpec::all(target)], &spooled(folder)).unwrap()
    }

    fn arrived(&self) -> BTreeSet<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|message| message.rsplit_once("] ").unwrap().1.to_owned()).collect()
    }
}

#[test]
fn a_collector_that_dies_with_what_it_has_not_read_is_sent_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(1);
    let sinks = collector.sinks(folder.path());
    numbered(0..20).iter().for_each(|record| sinks.send(record));
    // Its system has all of them, and it none.
    wait_until(|| {
        let mut room = [0; 1 << 16];
        let deaf = collector.deaf.lock().unwrap();
        deaf.first().is_some_and(|stream| {
            let length = stream.peek(&mut room).unwrap();
            String::from_utf8_lossy(&room[..length]).contains("{\"seq\":19}")
        })
    });
    assert_eq!(sinks.states()[0].spooled, 20, "nobody has read them");
    collector.deaf.lock().unwrap().clear();
    wait_until(|| collector.arrived().len() == 20);
    let report = sinks.finish(SOON);
    assert_eq!((counts(&report), report.sinks[0].spooled), ((20, 0, 0), 0));
    assert_eq!(collector.arrived(), lines(&numbered(0..20)).into_iter().collect());
}

#[test]
fn a_collector_that_ends_the_connection_in_order_is_sent_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(0);
    let sinks = collector.sinks(folder.path());
    numbered(0..20).iter().for_each(|record| sinks.send(record));
    wait_until(|| collector.arrived().len() == 20);
    // It reads to the end and closes its side: by then everything has arrived.
    let report = sinks.finish(SOON);
    assert_eq!((counts(&report), report.sinks[0].spooled), ((20, 0, 0), 0));
    assert_eq!(collector.heard.lock().unwrap().len(), 20);
}

#[test]
fn a_collector_that_never_closes_is_sent_what_is_in_doubt_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(usize::MAX);
    let setting = spooled(folder.path());
    // Longer than the collector is given to close its side.
    let patience = Patience { unacknowledged: Patience::default().unacknowledged, ..setting.patience };
    let target = Target::Tcp { host: "127.0.0.1".to_owned(), port: collector.port };
    let sinks = Sinks::start(vec![SinkSpec::all(target)], &Setting { patience, ..setting }).unwrap();
    numbered(0..3).iter().for_each(|record| sinks.send(record));
    wait_until(|| !collector.deaf.lock().unwrap().is_empty());
    let report = sinks.finish(SOON);
    assert_eq!((counts(&report), report.sinks[0].spooled), ((0, 0, 0), 3));
    assert!(report.is_complete());
}

#[test]
fn what_a_collector_keeps_for_long_enough_has_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(0);
    let sinks = collector.sinks(folder.path());
    numbered(0..20).iter().for_each(|record| sinks.send(record));
    wait_until(|| sinks.states()[0].spooled == 0 && sinks.states()[0].counts.delivered == 20);
    assert_eq!(collector.heard.lock().unwrap().len(), 20);
    assert!(sinks.states()[0].is_ok());
    sinks.finish(SOON);
}

#[test]
fn a_replay_waits_for_no_doubt() {
    let collector = Collector::start(0);
    let target = Target::Tcp { host: "127.0.0.1".to_owned(), port: collector.port };
    let sinks = Sinks::start(vec![SinkSpec::all(target)], &setting(WhenFull::Wait)).unwrap();
    numbered(0..20).iter().for_each(|record| sinks.send(record));
    assert_eq!(counts(&sinks.finish(SOON)), (20, 0, 0));
    wait_until(|| collector.arrived().len() == 20);
}
