//! The server is asked as a stranger would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::*;
use crate::alert::{Condition, Output};
use crate::detect::rule::Level;
use crate::time::{Timestamp, Zone};

fn status() -> Arc<Status> {
    let conditions = Conditions::new(None, "mirror-1", Zone::utc());
    Arc::new(Status::new(Arc::new(conditions)))
}

fn server(access: Access, status: &Arc<Status>) -> Server {
    Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), access, Arc::clone(status)).unwrap()
}

/// Everything that comes back for these bytes.
fn ask(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str, fields: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n"))
}

const HERE: &str = "Host: localhost:9478\r\n";

#[test]
fn health_and_readiness_follow_the_sensor() {
    let status = status();
    let server = server(Access::default(), &status);
    let at = server.address();
    assert!(get(at, "/healthz", HERE).starts_with("HTTP/1.1 200 "));
    assert!(get(at, "/readyz", HERE).contains(r#""ready":true"#));
    let time = Some(Timestamp::from_secs(0));
    status.conditions.begin(Condition::InterfaceLost, "eth1", "eth1 is gone", time);
    status.conditions.begin(Condition::SinkFailing, "webhook", "no answer", time);
    let unready = get(at, "/readyz", HERE);
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    let reasons = r#""reasons":[{"condition":"interface_lost","since":"1970-01-01T00:00:00.000000+00:00","subject":"eth1"}]"#;
    assert!(unready.contains(reasons), "{unready}");
    status.conditions.end(Condition::InterfaceLost, "eth1", "eth1 is back", time);
    assert!(get(at, "/readyz", HERE).starts_with("HTTP/1.1 200 "));
    status.conditions.begin(Condition::SpoolFailing, "webhook", "the disk is full", time);
    let unready = get(at, "/readyz", HERE);
    assert!(unready.starts_with("HTTP/1.1 503 ") && unready.contains("spool_failing"), "{unready}");
    status.conditions.end(Condition::SpoolFailing, "webhook", "there is room", time);
    let output = |ok| Output { ok, name: "webhook".to_owned(), ..Output::default() };
    status.show(Snapshot { outputs: vec![output(true), output(false)], ..Snapshot::default() });
    assert!(get(at, "/readyz", HERE).starts_with("HTTP/1.1 200 "), "one output takes alerts");
    let outputs = vec![output(false)];
    status.show(Snapshot { outputs, unacknowledged: 3, ..Snapshot::default() });
    let unready = get(at, "/readyz", HERE);
    assert!(unready.starts_with("HTTP/1.1 503 ") && unready.contains(r#""unacknowledged":3"#), "{unready}");
    assert!(unready.contains(r#""reasons":[{"condition":"sink_failing""#), "{unready}");
    status.show(Snapshot::default());
    status.set_alive(false);
    assert!(get(at, "/healthz", HERE).starts_with("HTTP/1.1 503 "));
    server.finish();
}

#[test]
fn metrics_have_units_and_labels_that_strangers_do_not_choose() {
    let status = status();
    let mut snapshot = Snapshot { interfaces: vec![("eth1".to_owned(), false)], ..Snapshot::default() };
    snapshot.stats.packets.read = 12;
    snapshot.alerts.insert(("load-surge".to_owned(), Level::High), 3);
    status.show(snapshot);
    let server = server(Access::default(), &status);
    let page = get(server.address(), "/metrics", HERE);
    for line in [
        "# TYPE bongsu_capture_packets counter",
        "bongsu_capture_packets_total 12",
        r#"bongsu_alerts_total{rule="load-surge",severity="high"} 3"#,
        r#"bongsu_interface_up{interface="eth1"} 0.0"#,
        "bongsu_alive 1.0",
        "# EOF",
    ] {
        assert!(page.lines().any(|have| have == line), "{line}\n{page}");
    }
    server.finish();
}

#[test]
fn other_hosts_and_methods_are_refused() {
    let status = status();
    let server = server(Access::default(), &status);
    let at = server.address();
    for host in
        ["Host: evil.example\r\n", "", "Host: localhost.evil.example\r\n", "Host: a\r\nHost: localhost\r\n"]
    {
        assert!(get(at, "/metrics", host).starts_with("HTTP/1.1 421 "), "{host:?}");
    }
    for host in ["Host: LOCALHOST\r\n", "Host: 127.0.0.1:9478\r\n", "Host: [::1]:9478\r\n"] {
        assert!(get(at, "/healthz", host).starts_with("HTTP/1.1 200 "), "{host:?}");
    }
    let post = ask(
        at,
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    assert!(get(at, "/../etc/shadow", HERE).starts_with("HTTP/1.1 404 "));
    server.finish();
}

#[test]
fn a_token_is_asked_for_where_one_is_set() {
    let status = status();
    let server = server(Access { token: Some("s3cret".into()) }, &status);
    let at = server.address();
    assert!(get(at, "/metrics", "Host: sensor.example\r\n").starts_with("HTTP/1.1 401 "));
    let wrong = "Host: sensor.example\r\nAuthorization: Bearer s3cre\r\n";
    assert!(get(at, "/metrics", wrong).starts_with("HTTP/1.1 401 "));
    let right = "Host: sensor.example\r\nAuthorization: Bearer s3cret\r\n";
    assert!(get(at, "/metrics", right).starts_with("HTTP/1.1 200 "));
    server.finish();
}

#[test]
fn those_who_keep_others_waiting_are_sent_away() {
    let status = status();
    let server = server(Access::default(), &status);
    let at = server.address();
    // More connections than are served at once, each of which never ends its head.
    let slow: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: local").unwrap();
            stream
        })
        .collect();
    assert!(
        get(at, "/healthz", HERE).starts_with("HTTP/1.1 200 "),
        "answered once the slow ones' time is up"
    );
    let huge = format!("X: {}\r\n", "a".repeat(64 * 1024));
    assert!(!get_or_nothing(at, &huge).starts_with("HTTP/1.1 200 "));
    drop(slow);
    server.finish();
}

/// As [`ask`], but being cut off is an answer too.
fn get_or_nothing(address: SocketAddr, field: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(format!("GET /healthz HTTP/1.1\r\n{HERE}{field}\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
