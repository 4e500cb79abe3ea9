//! From inside the sandbox nothing can be reached that a watch does not need. The test confines its own process.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

use bongsu::host::sandbox::{Plan, confine, forbid_calls};
use rustix::net::{AddressFamily, SocketType, socket};

#[test]
fn what_a_watch_does_not_need_fails_in_every_thread() {
    let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (inside, outside) = (own.path().join("alerts.jsonl"), other.path().join("alerts.jsonl"));
    fs::write(&outside, "theirs").unwrap();
    let earlier = fs::File::open(&outside).unwrap();
    let plan = Plan { write: vec![own.path().to_owned()], confine_files: true, ..Plan::default() };
    let confined = confine(&plan).unwrap();
    // A thread that began before the filter of calls is bound by it as well.
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        asked.recv().unwrap();
        Command::new("/bin/true").status().map_err(|error| error.kind())
    });
    forbid_calls().unwrap();
    ask.send(()).unwrap();
    let denied = Some(ErrorKind::PermissionDenied);
    assert_eq!(thread.join().unwrap().err(), denied);
    assert_eq!(Command::new("/bin/true").status().err().map(|error| error.kind()), denied);
    for family in [AddressFamily::VSOCK, AddressFamily::BLUETOOTH, AddressFamily::from_raw(38)] {
        let error = socket(family, SocketType::STREAM, None).unwrap_err();
        assert_eq!(error, rustix::io::Errno::PERM, "{family:?}");
    }
    TcpListener::bind("127.0.0.1:0").unwrap();
    fs::write(&inside, "ours").unwrap();
    fs::rename(&inside, own.path().join("alerts.jsonl.1")).unwrap();
    drop(earlier);
    if !confined.files {
        println!("not run: the kernel confines no files");
        return;
    }
    let refused = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    refused(fs::read("/etc/shadow").unwrap_err());
    refused(fs::read(&outside).unwrap_err());
    refused(fs::write(&outside, "ours").unwrap_err());
    refused(fs::write(other.path().join("new"), "ours").unwrap_err());
    refused(fs::remove_file(&outside).unwrap_err());
}
