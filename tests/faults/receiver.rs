//! A receiver of webhooks on this machine that behaves as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a receiver does with a request.
pub enum Answer {
    /// A status.
    Status(u16),
    /// A status and a wish to wait so many seconds.
    Wait(u16, u32),
    /// Nothing, for as long as the sender waits.
    Nothing,
    /// A byte a second.
    Drips,
}

/// Who listens, and what was taken so far.
#[derive(Default)]
pub struct Receiver {
    requests: AtomicU64,
    /// The bodies that were answered with 200, and the keys they came under.
    taken: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Receiver {
    /// Listens; `answer` is asked with the number of the request and its body.
    pub fn listen(
        listener: TcpListener,
        answer: impl Fn(u64, &str) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (receiver, answer) = (Arc::new(Self::default()), Arc::new(answer));
        let shared = Arc::clone(&receiver);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (receiver, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                thread::spawn(move || receiver.converse(stream, &*answer));
            }
        });
        receiver
    }

    /// The bodies that were taken, and the keys they came under.
    pub fn taken(&self) -> BTreeMap<String, Vec<String>> {
        self.taken.lock().unwrap().clone()
    }

    fn converse(&self, mut stream: TcpStream, answer: &dyn Fn(u64, &str) -> Answer) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((key, body)) = read_request(&mut reader) {
            let said = match answer(self.requests.fetch_add(1, SeqCst), &body) {
                Answer::Status(status) => {
                    if status == 200 {
                        self.taken.lock().unwrap().entry(body).or_default().push(key);
                    }
                    format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n")
                }
                Answer::Wait(status, secs) => {
                    format!("HTTP/1.1 {status} Told\r\nretry-after: {secs}\r\ncontent-length: 0\r\n\r\n")
                }
                Answer::Nothing => {
                    let _ = reader.read(&mut [0]);
                    return;
                }
                Answer::Drips => {
                    while stream.write_all(b"H").is_ok() {
                        thread::sleep(Duration::from_secs(1));
                    }
                    return;
                }
            };
            if stream.write_all(said.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("idempotency-key", value)) => key = value.to_owned(),
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None if line == "\r\n" => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((key, String::from_utf8(body).ok()?))
}
