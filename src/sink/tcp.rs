//! Syslog over TCP and TLS. Comes in: records. Goes out: messages with their length before them
//! ([RFC 6587](https://www.rfc-editor.org/rfc/rfc6587), 3.4.1; [RFC 5425](https://www.rfc-editor.org/rfc/rfc5425)). A
//! collector answers nothing. What was sent counts as lost where its connection breaks before the other end can have
//! acknowledged all of it, and as arrived where the connection outlives that time or the collector closes it in order.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Sleep, sleep, timeout};

use super::backoff::Patience;
use super::doubt::is_over;
use super::syslog::{hostname, message};
use super::tls::{Reach, Wire};
use super::{Delivery, Record, Settled, Sink, SinkError, Work};

/// A collector that takes nothing for so long is connected to anew.
const PATIENCE: Duration = Duration::from_secs(10);

/// A collector that has gone says so within so long, over all but the longest of lines.
const GRACE: Duration = Duration::from_millis(20);

/// For a collector to close what was ended here, once it has read all of it.
const FAREWELL: Duration = Duration::from_secs(1);

/// For the word that what a collector closed upon was not read.
const AFTERTHOUGHT: Duration = Duration::from_millis(100);

/// The kernel gives a connection up that much later than it was told, at most.
const MARGIN: Duration = Duration::from_secs(1);

/// Attempts in a run that waits.
const ATTEMPTS: u32 = 5;

/// A syslog collector, reached by a connection.
pub struct TcpSink {
    name: String,
    reach: Reach,
    hostname: String,
    connection: Option<Box<dyn Wire>>,
    unacknowledged: Duration,
    /// Until when what was sent last is in doubt.
    doubt: Option<Pin<Box<Sleep>>>,
    /// Why what was in doubt is lost, until somebody has asked.
    lost: Option<SinkError>,
}

/// How a connection ended.
enum End {
    /// The collector closed it, and all that it was sent before had been read: else the system would have reset it.
    InOrder,
    /// It broke.
    Broken(io::Error),
}

impl TcpSink {
    /// A collector at HOST:PORT, in the clear.
    pub fn tcp(host: &str, port: u16, sensor: &str) -> Self {
        Self::new("tcp", host, port, (Reach::tcp(host, port), sensor))
    }

    /// A collector at HOST:PORT, by TLS.
    pub fn tls(host: &str, port: u16, ca_file: Option<&Path>, sensor: &str) -> Result<Self, SinkError> {
        Ok(Self::new("tls", host, port, (Reach::tls(host, port, ca_file)?, sensor)))
    }

    /// The same with so much patience.
    pub fn patient(self, patience: Patience) -> Self {
        let unacknowledged = patience.unacknowledged;
        Self { reach: self.reach.unacknowledged(unacknowledged), unacknowledged, ..self }
    }

    fn new(scheme: &str, host: &str, port: u16, (reach, sensor): (Reach, &str)) -> Self {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let sink = Self {
            name: format!("syslog {scheme}://{host}:{port}"),
            reach,
            hostname: hostname(sensor),
            connection: None,
            unacknowledged: Duration::ZERO,
            doubt: None,
            lost: None,
        };
        sink.patient(Patience::default())
    }

    async fn send(&mut self, text: &[u8]) -> Result<(), SinkError> {
        // What is written to a collector that was restarted meanwhile would be lost without an error.
        self.listen(Duration::ZERO).await;
        if self.connection.is_none() {
            self.connection = Some(self.reach.connect(PATIENCE).await?);
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let sent = timeout(PATIENCE, async {
            connection.write_all(text).await?;
            connection.flush().await
        });
        let sent = sent.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).and_then(|sent| sent);
        if let Err(error) = sent {
            let told = SinkError::Io(io::Error::new(error.kind(), error.to_string()));
            self.break_off(error).await;
            return Err(told);
        }
        // Longer than the spool waits: what broke until then is heard when it asks.
        self.doubt = Some(Box::pin(sleep(2 * self.in_doubt())));
        Ok(())
    }

    /// How long it takes until what was sent is certain.
    fn in_doubt(&self) -> Duration {
        self.unacknowledged + MARGIN.min(self.unacknowledged)
    }

    /// Hears whether the collector has gone.
    async fn listen(&mut self, patience: Duration) {
        let Some(connection) = &mut self.connection else { return };
        match ended(connection, patience).await {
            None => {}
            Some(End::InOrder) => (self.connection, self.doubt) = (None, None),
            Some(End::Broken(error)) => self.break_off(error).await,
        }
    }

    /// The connection is gone, and what was sent on it lately may be as well.
    async fn break_off(&mut self, error: io::Error) {
        self.connection = None;
        if let Some(mut doubt) = self.doubt.take()
            && !is_over(&mut doubt).await
        {
            self.lost = Some(SinkError::Io(error));
        }
    }

    async fn settled(&mut self) -> Settled {
        self.listen(GRACE).await;
        self.lost.take().map_or(Settled::Yes, Settled::Lost)
    }

    /// Ends the connection. Where something is in doubt, the collector has a moment to read it and to close its side.
    async fn close(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        // The end of TLS, then of TCP; a collector that has gone needs neither.
        let _ = timeout(FAREWELL, connection.shutdown()).await;
        if self.doubt.is_some() {
            self.listen(FAREWELL).await;
        }
        if self.connection.is_some() {
            self.break_off(io::Error::other("the collector did not close the connection")).await;
        }
    }
}

/// Listens for a collector's going away, and answers how it went. What it says is of no interest.
async fn ended(connection: &mut Box<dyn Wire>, patience: Duration) -> Option<End> {
    let heard = timeout(patience, async {
        let mut said = [0; 256];
        while connection.read(&mut said).await? > 0 {}
        Ok(())
    });
    match heard.await {
        Err(_) => None,
        Ok(Err(error)) if !is_end(&error) => Some(End::Broken(error)),
        Ok(_) => {
            // What it had not read it says a moment later.
            sleep(AFTERTHOUGHT).await;
            Some(connection.broken().map_or(End::InOrder, End::Broken))
        }
    }
}

/// Many collectors end TLS without the word for it.
fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

impl Sink for TcpSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a> {
        Box::pin(async move {
            let framed = |record: &Record| {
                let message = message(record, &self.hostname);
                format!("{} {message}", message.len())
            };
            let text: String = records.iter().map(framed).collect();
            let count = records.len() as u64;
            match self.send(text.as_bytes()).await {
                Ok(()) => Delivery { delivered: count, ..Delivery::default() },
                // Some may have arrived: which is not told, so all of them are given again.
                Err(error) => Delivery::refusal(count, error),
            }
        })
    }

    fn settle(&mut self) -> Pin<Box<dyn Future<Output = Settled> + Send + '_>> {
        Box::pin(self.settled())
    }

    fn attempts(&self) -> u32 {
        ATTEMPTS
    }

    fn doubt(&self) -> Duration {
        self.in_doubt()
    }

    fn reopen(&mut self) -> Work<'_> {
        self.finish()
    }

    fn finish(&mut self) -> Work<'_> {
        Box::pin(async move {
            self.close().await;
            Delivery::default()
        })
    }
}
