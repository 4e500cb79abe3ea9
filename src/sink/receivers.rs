//! Receivers that answer well, badly, late or not at all, on this machine; and what sinks make of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use super::tests::{SOON, alert, counts, record, setting, spooled, wait_until};
use super::*;

/// A request as it was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    head: Vec<String>,
    pub body: String,
}

impl Heard {
    fn field(&self, name: &str) -> Option<&str> {
        let field = |line: &'_ String| {
            let (key, _) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(key.len() + 2)
        };
        self.head.iter().find_map(|line| field(line).map(|at| &line[at..]))
    }
}

/// What a receiver does with a request.
pub enum Answer {
    /// These bytes, and the next request.
    Says(String),
    /// Nothing, for as long as the sender waits.
    Nothing,
    /// A byte now and then, and never all of the head.
    Drips,
    /// A head that is whole, and a body that never ends.
    Babbles,
    /// The connection is closed.
    HangsUp,
}

pub fn says(status: &str) -> Answer {
    Answer::Says(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok"))
}

/// A receiver on this machine; what it hears is kept in its order.
pub struct Receiver {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<Mutex<u32>>,
}

impl Receiver {
    /// `answer` is asked with the number of the request, from 0.
    pub fn start(answer: impl Fn(usize, &Heard) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, heard: Arc::default(), connections: Arc::default() };
        let (heard, connections) = (Arc::clone(&receiver.heard), Arc::clone(&receiver.connections));
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                *connections.lock().unwrap() += 1;
                thread::spawn(move || converse(stream.unwrap(), &heard, &*answer));
            }
        });
        receiver
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub fn bodies(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.body).collect()
    }

    fn hook(&self) -> Hook {
        let url = HookUrl::parse(&format!("http://127.0.0.1:{}/hook?token=a", self.port)).unwrap();
        Hook { url, secret: None, ca_file: None, timeout: Duration::from_millis(300) }
    }

    pub fn spec(&self) -> SinkSpec {
        SinkSpec::all(Target::Webhook(self.hook()))
    }
}

fn converse(stream: TcpStream, heard: &Mutex<Vec<Heard>>, answer: &dyn Fn(usize, &Heard) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    while let Some(request) = read_request(&mut reader) {
        let number = {
            let mut heard = heard.lock().unwrap();
            heard.push(request.clone());
            heard.len() - 1
        };
        match answer(number, &request) {
            Answer::Says(text) => out.write_all(text.as_bytes()).unwrap_or_default(),
            Answer::Nothing => drop(reader.read(&mut [0])),
            Answer::HangsUp => return drop(out.shutdown(Shutdown::Both)),
            Answer::Drips => {
                let letters = std::iter::repeat_n(b'x', 1_000);
                for letter in b"HTTP/1.1 200 OK\r\nx: ".iter().copied().chain(letters) {
                    if out.write_all(&[letter]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            }
            Answer::Babbles => {
                let _ = out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n");
                while out.write_all(&[b'x'; 65_536]).is_ok() {}
                return;
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Heard> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut heard = Heard { head, body: String::new() };
    let length = heard.field("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    heard.body = String::from_utf8(body).ok()?;
    Some(heard)
}

pub fn numbered(range: std::ops::Range<u32>) -> Vec<Record> {
    range.map(|seq| Record { seq: Some(seq), ..alert(&format!("{{\"seq\":{seq}}}")) }).collect()
}

pub fn lines(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.line.to_string()).collect()
}

#[test]
fn an_alert_is_posted_signed_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("hook.key");
    fs::write(&secret_file, "hunter2\n").unwrap();
    let receiver = Receiver::start(|_, _| says("202 Accepted"));
    let hook = Hook { secret: Some(SecretSource::File(secret_file)), ..receiver.hook() };
    let spec = SinkSpec { min_severity: Level::Medium, ..SinkSpec::all(Target::Webhook(hook)) };
    let sinks = Sinks::start(vec![spec], &setting(WhenFull::Discard)).unwrap();
    sinks.send(&record(Some(Level::Low), "left out"));
    sinks.send(&record(None, "{\"stats\":1}"));
    let sent = numbered(0..50);
    sent.iter().for_each(|record| sinks.send(record));
    wait_until(|| sinks.counts()[0].1.delivered == 50);
    assert_eq!(sinks.states()[0].name, format!("webhook http://127.0.0.1:{}", receiver.port));
    assert_eq!(counts(&sinks.finish(SOON)), (50, 0, 0));
    assert_eq!(receiver.bodies(), lines(&sent), "alerts alone, in their order");
    assert_eq!(*receiver.connections.lock().unwrap(), 1, "over one connection");
    let heard = &receiver.heard()[7];
    assert_eq!(heard.head[0], "POST /hook?token=a HTTP/1.1");
    assert_eq!(heard.field("host"), Some(&*format!("127.0.0.1:{}", receiver.port)));
    assert_eq!(heard.field("content-type"), Some("application/json"));
    assert_eq!(heard.field("idempotency-key"), Some("00ff00ff00ff00ff-7"));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hunter2");
    let tag = ring::hmac::sign(&key, format!("1700698780.{}", heard.body).as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(heard.field("x-bongsu-signature"), Some(&*format!("t=1700698780,v1={digits}")));
}

#[test]
fn whatever_a_receiver_does_for_a_while_everything_arrives_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|number, _| match number {
        0 => says("500 Internal Server Error"),
        1 => Answer::Says("HTTP/1.1 429 Slow\r\nretry-after: 86400\r\ncontent-length: 0\r\n\r\n".to_owned()),
        2 => Answer::Nothing,
        3 => Answer::Drips,
        4 => Answer::HangsUp,
        5 => Answer::Says("this is no HTTP at all\r\n\r\n".to_owned()),
        6 => Answer::Says(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(10_000))),
        7 => Answer::Says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n".to_owned()),
        9 => Answer::Babbles,
        _ => says("200 OK"),
    });
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    let sent = numbered(0..20);
    sent.iter().for_each(|record| sinks.send(record));
    wait_until(|| sinks.states()[0].counts.delivered == 20);
    let status = sinks.states().remove(0);
    assert!(status.is_ok() && status.last_error.is_some(), "{status:?}");
    let report = sinks.finish(SOON);
    assert_eq!((counts(&report), report.sinks[0].spooled), ((20, 0, 0), 0));
    let heard = receiver.heard();
    let keys: BTreeSet<_> = heard.iter().map(|heard| heard.field("idempotency-key")).collect();
    assert_eq!((heard.len(), keys.len()), (28, 20), "eight came again, each under its own key");
    let mut bodies = receiver.bodies();
    bodies.dedup();
    assert_eq!(bodies, lines(&sent), "in their order");
}

#[test]
fn what_is_refused_goes_aside_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, heard| match heard.body.contains('7') {
        true => Answer::Says("HTTP/1.1 400 Bad\r\ncontent-length: 9\r\n\r\nno sevens".to_owned()),
        false => says("200 OK"),
    });
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    let sent = numbered(0..30);
    sent.iter().for_each(|record| sinks.send(record));
    wait_until(|| sinks.states()[0].counts.delivered == 27);
    let status = sinks.states().remove(0);
    assert_eq!((status.rejected, status.counts.failed, status.is_ok()), (3, 3, true));
    let report = sinks.finish(SOON);
    assert!(!report.is_complete() && report.losses()[0].contains("answered 400: no sevens"));
    assert_eq!(receiver.bodies(), lines(&sent), "nothing was sent twice");
    let spool = fs::read_dir(folder.path().join("spool")).unwrap().next().unwrap().unwrap().path();
    let rejected = fs::read_to_string(spool.join("rejected.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 3);
    assert!(rejected.lines().next().unwrap().starts_with(r#"{"reason":"answered 400: no sevens","#));
}

#[test]
fn an_alert_on_which_the_receiver_fails_does_not_hold_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    // An outage for all, longer than it is waited for one, and one on which the receiver always fails.
    let receiver = Receiver::start(|number, heard| match number {
        0..40 => says("500 Out"),
        _ if heard.body.contains(":7}") => says("500 Oops"),
        _ => says("200 OK"),
    });
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    numbered(0..20).iter().for_each(|record| sinks.send(record));
    wait_until(|| sinks.states()[0].counts.delivered == 19 && sinks.states()[0].rejected == 1);
    let report = sinks.finish(SOON);
    assert_eq!(counts(&report), (19, 0, 1));
    let bodies: BTreeSet<String> = receiver.bodies().into_iter().collect();
    assert_eq!(bodies, lines(&numbered(0..20)).into_iter().collect());
    let spool = fs::read_dir(folder.path().join("spool")).unwrap().next().unwrap().unwrap().path();
    let rejected = fs::read_to_string(spool.join("rejected.jsonl")).unwrap();
    assert!(rejected.lines().count() == 1 && rejected.contains(r#""seq":7"#), "{rejected}");
}

#[test]
fn an_alert_has_the_same_key_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|number, _| if number < 3 { says("503 Busy") } else { says("200 OK") });
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    let sent = numbered(4..5);
    sinks.send(&sent[0]);
    wait_until(|| !receiver.heard().is_empty());
    assert_eq!(sinks.finish(SOON).sinks[0].counts.failed, 0);
    let sinks = Sinks::start(vec![receiver.spec()], &spooled(folder.path())).unwrap();
    wait_until(|| receiver.heard().len() > 3 || sinks.states()[0].spooled == 0);
    sinks.finish(SOON);
    let keys: BTreeSet<_> =
        receiver.heard().iter().map(|heard| heard.field("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), [Some("00ff00ff00ff00ff-4".to_owned())]);
}

#[test]
fn a_replay_tries_a_receiver_a_few_times_and_ends() {
    let receiver = Receiver::start(|_, _| says("500 No"));
    let sinks = Sinks::start(vec![receiver.spec()], &setting(WhenFull::Wait)).unwrap();
    numbered(0..100).iter().for_each(|record| sinks.send(record));
    assert_eq!(counts(&sinks.finish(Duration::MAX)), (0, 0, 100));
}

/// Reads messages with their length before them until the sender leaves.
pub fn read_counted(stream: impl Read, heard: &Mutex<Vec<String>>, most: usize) {
    let mut reader = BufReader::new(stream);
    for _ in 0..most {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).unwrap_or(0) == 0 {
            return;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().trim_end().parse().unwrap();
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return;
        }
        heard.lock().unwrap().push(String::from_utf8(message).unwrap());
    }
}

#[test]
fn a_collector_by_tcp_that_goes_away_again_and_again_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let collected = Arc::clone(&heard);
    thread::spawn(move || {
        for (life, stream) in listener.incoming().enumerate() {
            // The first lives end in the middle of what they were sent.
            let most = if life < 4 { 30 } else { usize::MAX };
            read_counted(stream.unwrap(), &collected, most);
        }
    });
    let spec = SinkSpec::all(Target::Tcp { host: "127.0.0.1".to_owned(), port });
    let sinks = Sinks::start(vec![spec], &spooled(folder.path())).unwrap();
    let sent = numbered(0..500);
    sent.iter().for_each(|record| sinks.send(record));
    let arrived = || -> BTreeSet<String> {
        let heard = heard.lock().unwrap();
        heard.iter().map(|message| message.rsplit_once("] ").unwrap().1.to_owned()).collect()
    };
    wait_until(|| arrived().len() == 500);
    let report = sinks.finish(SOON);
    assert_eq!((counts(&report), report.sinks[0].spooled), ((500, 0, 0), 0));
    assert!(
        heard.lock().unwrap()[0]
            .starts_with("<131>1 2023-11-23T00:19:40.000000+00:00 mirror-1 bongsu - alert ")
    );
}

mod tls {
    use std::net::TcpListener;
    use std::path::PathBuf;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

    use super::*;

    /// An authority, with its certificate in a file.
    struct Authority {
        issuer: CertifiedIssuer<'static, KeyPair>,
        file: PathBuf,
    }

    fn authority(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = folder.join(name);
        fs::write(&file, pem(issuer.der())).unwrap();
        Authority { issuer, file }
    }

    fn pem(certificate: &CertificateDer<'_>) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(certificate);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// A collector by TLS whose certificate is for `host`; answers its port.
    fn collector(authority: &Authority, host: &str, heard: &Arc<Mutex<Vec<String>>>) -> u16 {
        let heard = Arc::clone(heard);
        serve(authority, host, move |stream| read_counted(stream, &heard, usize::MAX))
    }

    type Stream = StreamOwned<ServerConnection, TcpStream>;

    /// Converses with all who come, by TLS; answers the port.
    fn serve(authority: &Authority, host: &str, mut converse: impl FnMut(Stream) + Send + 'static) -> u16 {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                converse(StreamOwned::new(connection, stream.unwrap()));
            }
        });
        port
    }

    fn send_to(host: &str, port: u16, ca_file: &Path, folder: &Path) -> Sinks {
        let target = Target::Tls { host: host.to_owned(), port, ca_file: Some(ca_file.to_owned()) };
        let sinks = Sinks::start(vec![SinkSpec::all(target)], &spooled(folder)).unwrap();
        numbered(0..20).iter().for_each(|record| sinks.send(record));
        sinks
    }

    #[test]
    fn a_collector_by_tls_must_be_who_it_says_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (authority(folder.path(), "ours.pem"), authority(folder.path(), "other.pem"));
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let port = collector(&ours, "localhost", &heard);

        for (host, ca_file) in [("localhost", &other.file), ("127.0.0.1", &ours.file)] {
            let sinks = send_to(host, port, ca_file, &folder.path().join(host));
            wait_until(|| sinks.states()[0].last_error.is_some());
            let status = sinks.states().remove(0);
            assert!(status.last_error.as_ref().unwrap().contains("certificate"), "{status:?}");
            assert_eq!(sinks.finish(SOON).sinks[0].spooled, 20, "kept for whoever is right");
            assert!(heard.lock().unwrap().is_empty());
        }

        let sinks = send_to("localhost", port, &ours.file, &folder.path().join("right"));
        wait_until(|| heard.lock().unwrap().len() == 20 && sinks.states()[0].spooled == 0);
        assert_eq!(counts(&sinks.finish(SOON)), (20, 0, 0));
        assert!(heard.lock().unwrap()[19].ends_with("{\"seq\":19}"));
    }

    #[test]
    fn a_webhook_by_tls() {
        let folder = tempfile::tempdir().unwrap();
        let ours = authority(folder.path(), "ours.pem");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let bodies = Arc::clone(&heard);
        let port = serve(&ours, "localhost", move |stream| {
            let mut reader = BufReader::new(stream);
            while let Some(request) = read_request(&mut reader) {
                bodies.lock().unwrap().push(request.body);
                let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let url = HookUrl::parse(&format!("https://localhost:{port}/")).unwrap();
        let hook = Hook { url, secret: None, ca_file: Some(ours.file.clone()), timeout: TIMEOUT };
        let spec = SinkSpec::all(Target::Webhook(hook));
        let sinks = Sinks::start(vec![spec], &setting(WhenFull::Wait)).unwrap();
        numbered(0..20).iter().for_each(|record| sinks.send(record));
        assert_eq!(counts(&sinks.finish(SOON)), (20, 0, 0));
        assert_eq!(*heard.lock().unwrap(), lines(&numbered(0..20)));
    }

    #[test]
    fn what_is_no_authority_refuses_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let start = |file: &Path| {
            let ca_file = Some(file.to_owned());
            let target = Target::Tls { host: "localhost".to_owned(), port: 1, ca_file };
            Sinks::start(vec![SinkSpec::all(target)], &setting(WhenFull::Discard)).err().unwrap().to_string()
        };
        fs::write(&file, "nothing").unwrap();
        assert!(start(&file).ends_with("ca.pem: holds no certificate (PEM)"));
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n").unwrap();
        assert!(start(&file).contains("ca.pem: "));
        assert!(start(Path::new("/nonexistent")).contains("/nonexistent: "));
        assert!(start(Path::new("/dev/zero")).contains("is no file"));
    }
}
