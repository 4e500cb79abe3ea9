//! Alerts by HTTP. Comes in: records of incidents. Goes out: one POST each, signed, under a key that is the same however
//! often it is sent. Follows no redirection, reads no more of an answer than it must, and waits for none of them longer
//! than it was told to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::answer::{Verdict, asked_wait, excerpt, verdict};
use super::secret::{Key, SecretSource};
use super::tls::Reach;
use super::{Delivery, Record, Sink, SinkError, Work};

/// A webhook to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where to.
    pub url: HookUrl,
    /// What messages are signed with.
    pub secret: Option<SecretSource>,
    /// Authorities that are believed instead of those of the machine (PEM).
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take, from the connection to its end.
    pub timeout: Duration,
}

/// The address of a webhook. Its path may be a secret: it is printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl HookUrl {
    /// Reads `http://HOST[:PORT]/PATH` or `https://…`, without a user or a password.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        // A user, or a port that is no number.
        if authority.port().is_none() && authority.as_str() != authority.host()
            || authority.as_str().contains('@')
        {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.port() {
            None if tls => 443,
            None => 80,
            Some(port) => Some(port.as_u16()).filter(|port| *port > 0)?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        (!host.is_empty()).then_some(Self { tls, host, port, path })
    }

    /// What tells it apart from others, secret parts included.
    pub(super) fn identity(&self) -> String {
        format!("{self}{}", self.path)
    }

    /// As the `Host` of a request.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }
}

impl std::fmt::Display for HookUrl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(out, "{scheme}://{}", self.authority())
    }
}

impl std::fmt::Debug for HookUrl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{self}/…")
    }
}

/// Records posted before the spool hears of it: so many may come twice after a crash.
const AT_ONCE: usize = 16;

/// Bytes of an answer's body that are read; a receiver that says more is not listened to any longer.
const MAX_ANSWER: usize = 64 << 10;

/// How long the rest of an answer is waited for, once its head has told what became of the record.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of an answer's head, and how many fields it may have.
const MAX_HEAD: usize = 64 << 10;
const MAX_FIELDS: usize = 100;

/// Attempts in a run that waits.
const ATTEMPTS: u32 = 5;

/// Answers that do not take a record, before it is tried whether another one is taken: some minutes.
const REFUSALS: u32 = 10;

const SIGNATURE: &str = "x-bongsu-signature";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A receiver of alerts by HTTP.
pub struct WebhookSink {
    hook: Hook,
    clock: fn() -> i64,
    reach: Reach,
    key: Option<Key>,
    connection: Option<Connection>,
    /// Answers, one after the other, that did not take the record that is next.
    refusals: u32,
}

/// A connection that is kept from one request to the next.
struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// What moves the bytes; ended with it.
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What came of one request.
enum Posted {
    Taken,
    Never(SinkError),
    Later(SinkError, Option<Duration>),
}

impl WebhookSink {
    /// Reads the secret and the authorities; connects when the first record goes out. `clock` tells seconds since 1970.
    pub fn open(hook: &Hook, clock: fn() -> i64) -> Result<Self, SinkError> {
        let HookUrl { host, port, tls, .. } = &hook.url;
        let reach = match tls {
            true => Reach::tls(host, *port, hook.ca_file.as_deref())?,
            false => Reach::tcp(host, *port),
        };
        let key = hook.secret.as_ref().map(SecretSource::key).transpose()?;
        Ok(Self { hook: hook.clone(), clock, reach, key, connection: None, refusals: 0 })
    }

    async fn post(&mut self, record: &Record) -> Posted {
        let patience = self.hook.timeout;
        let posted = timeout(patience, self.post_or_reconnect(record)).await;
        let posted = posted.unwrap_or(Err(SinkError::TimedOut { secs: patience.as_secs() }));
        posted.unwrap_or_else(|error| {
            self.connection = None;
            Posted::Later(error, None)
        })
    }

    /// A connection that was kept may have been closed meanwhile: once more, anew.
    async fn post_or_reconnect(&mut self, record: &Record) -> Result<Posted, SinkError> {
        if let Some(mut kept) = self.connection.take()
            && kept.requests.ready().await.is_ok()
            && let Ok(answer) = kept.requests.send_request(self.request(record)?).await
        {
            return self.hear(kept, answer).await;
        }
        let mut connection = self.connect().await?;
        let answer = connection.requests.send_request(self.request(record)?).await.map_err(told)?;
        self.hear(connection, answer).await
    }

    /// Notes what came of a record; answers how many records are done with, or `None` where it is to be sent again later.
    async fn judge(
        &mut self,
        posted: Posted,
        index: usize,
        records: &[Record],
        all: &mut Delivery,
    ) -> Option<usize> {
        match posted {
            Posted::Taken => all.delivered += 1,
            Posted::Never(error) => all.reject(index, error),
            Posted::Later(error, wait) => {
                self.refusals += u32::from(matches!(error, SinkError::Answer { .. }));
                (all.error, all.wait) = (Some(error), wait);
                let (record, next) = (records.get(index)?, records.get(index + 1));
                let next = next.filter(|_| self.refusals >= REFUSALS)?;
                return self.try_the_next(index, record, next, all).await;
            }
        }
        self.refusals = 0;
        Some(1)
    }

    /// Whether a receiver that refuses a record again and again takes the next one, and still not this: then it is this
    /// record on which it fails, and the rest is not to wait for it.
    async fn try_the_next(
        &mut self,
        index: usize,
        record: &Record,
        next: &Record,
        all: &mut Delivery,
    ) -> Option<usize> {
        self.refusals = 0;
        let Posted::Taken = self.post(next).await else { return None };
        match self.post(record).await {
            Posted::Taken => all.delivered += 1,
            Posted::Never(error) | Posted::Later(error @ SinkError::Answer { .. }, _) => {
                all.reject(index, error);
            }
            // The next one will be sent again, under its key.
            Posted::Later(..) => return None,
        }
        all.delivered += 1;
        (all.error, all.wait) = (None, None);
        Some(2)
    }

    async fn connect(&self) -> Result<Connection, SinkError> {
        let wire = self.reach.connect(self.hook.timeout).await?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS);
        let (requests, driver) = builder.handshake(TokioIo::new(wire)).await.map_err(told)?;
        // Its errors come back to the request under way.
        let driver = tokio::spawn(async move { drop(driver.await) });
        Ok(Connection { requests, driver })
    }

    fn request(&self, record: &Record) -> Result<Request<Full<Bytes>>, SinkError> {
        let line: &str = &record.line;
        let kind = if line.starts_with('{') { "application/json" } else { "text/plain; charset=utf-8" };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.hook.url.path.as_str())
            .header(HOST, self.hook.url.authority())
            .header(USER_AGENT, concat!("bongsu/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, kind)
            .header(IDEMPOTENCY_KEY, idempotency_key(record));
        if let Some(key) = &self.key {
            request = request.header(SIGNATURE, key.signature((self.clock)(), line.as_bytes()));
        }
        request.body(Full::new(Bytes::copy_from_slice(line.as_bytes()))).map_err(told)
    }

    /// Judges an answer. The connection is kept where all of it was heard.
    async fn hear(
        &mut self,
        connection: Connection,
        answer: Response<Incoming>,
    ) -> Result<Posted, SinkError> {
        let (head, body) = answer.into_parts();
        let mut heard = Vec::new();
        // The head has said it all: what is wrong with the rest costs no more than the connection.
        if timeout(BODY_PATIENCE, hear_out(body, &mut heard)).await == Ok(true) {
            self.connection = Some(connection);
        }
        let error = SinkError::Answer { status: head.status.as_u16(), said: excerpt(&heard) };
        Ok(match verdict(head.status) {
            Verdict::Taken => Posted::Taken,
            Verdict::Never => Posted::Never(error),
            Verdict::Later => Posted::Later(error, asked_wait(&head.headers)),
        })
    }
}

/// Reads an answer's body; answers whether all of it was read.
async fn hear_out(mut body: Incoming, heard: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        heard.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if heard.len() > MAX_ANSWER {
            return false;
        }
    }
    true
}

/// The same for every attempt, in every run: the incident, and which word on it this is.
fn idempotency_key(record: &Record) -> HeaderValue {
    let named = record.incident.as_ref().zip(record.seq).map(|(incident, seq)| format!("{incident}-{seq}"));
    let named = named.and_then(|key| HeaderValue::from_str(&key).ok());
    named.unwrap_or_else(|| {
        let digest = Sha256::digest(record.line.as_bytes());
        let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::from_str(&digits).unwrap_or(HeaderValue::from_static("-"))
    })
}

/// An error of the library with its causes, which alone say what happened.
fn told(error: impl std::error::Error) -> SinkError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    SinkError::Http(text)
}

impl Sink for WebhookSink {
    fn name(&self) -> String {
        format!("webhook {}", self.hook.url)
    }

    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a> {
        Box::pin(async move {
            let mut all = Delivery { left: records.len() as u64, ..Delivery::default() };
            let mut index = 0;
            while index < AT_ONCE
                && all.error.is_none()
                && let Some(record) = records.get(index)
            {
                let posted = self.post(record).await;
                index += match self.judge(posted, index, records, &mut all).await {
                    Some(passed) => passed,
                    None => break,
                };
                all.left = records.len().saturating_sub(index) as u64;
            }
            all
        })
    }

    fn attempts(&self) -> u32 {
        ATTEMPTS
    }

    /// Reads secret and authorities anew; the old ones go on where that fails.
    fn reopen(&mut self) -> Work<'_> {
        let error = match Self::open(&self.hook, self.clock) {
            Ok(opened) => {
                *self = opened;
                None
            }
            Err(error) => Some(error),
        };
        Box::pin(async move { Delivery { error, ..Delivery::default() } })
    }
}

/// The shortest and the longest time that an answer may be given.
pub const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(120);

/// The time that an answer is given unless told.
pub const TIMEOUT: Duration = Duration::from_secs(10);

impl Hook {
    /// The same with relative paths taken from `folder`.
    pub fn beside(mut self, folder: &Path) -> Self {
        if let Some(SecretSource::File(path)) = &mut self.secret {
            *path = folder.join(&path);
        }
        self.ca_file = self.ca_file.map(|path| folder.join(path));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let url = |text| HookUrl::parse(text).map(|url| (url.to_string(), url.path));
        let is = |shown: &str, path: &str| Some((shown.to_owned(), path.to_owned()));
        assert_eq!(url("http://127.0.0.1:8080/hook"), is("http://127.0.0.1:8080", "/hook"));
        assert_eq!(url("https://siem.example/a?b=c"), is("https://siem.example:443", "/a?b=c"));
        assert_eq!(url("http://[2001:db8::1]"), is("http://[2001:db8::1]:80", "/"));
        for wrong in [
            "ftp://a/b",
            "siem.example/hook",
            "http://",
            "http://a:0/",
            "http://a:99999/",
            "/hook",
            "http://u:p@a/",
        ] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_path_is_printed_nowhere() {
        let url = HookUrl::parse("https://hooks.example/services/T000/secret").unwrap();
        let hook = Hook { url, secret: None, ca_file: None, timeout: TIMEOUT };
        assert!(!format!("{hook:?} {}", hook.url).contains("T000"));
    }
}
