//! Syslog over TCP and TLS. Comes in: records. Goes out: messages with their length before them
//! ([RFC 6587](https://www.rfc-editor.org/rfc/rfc6587), 3.4.1; [RFC 5425](https://www.rfc-editor.org/rfc/rfc5425)). A
//! collector answers nothing; that a connection still stands a moment later is all that can be known.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::syslog::{hostname, message};
use super::tls::{Reach, Wire};
use super::{Delivery, Record, Settled, Sink, SinkError, Work};

/// A collector that takes nothing for so long is connected to anew.
const PATIENCE: Duration = Duration::from_secs(10);

/// A collector that has gone says so within so long, over all but the longest of lines.
const GRACE: Duration = Duration::from_millis(200);

/// Attempts in a run that waits.
const ATTEMPTS: u32 = 5;

/// A syslog collector, reached by a connection.
pub struct TcpSink {
    name: String,
    reach: Reach,
    hostname: String,
    connection: Option<Box<dyn Wire>>,
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

    fn new(scheme: &str, host: &str, port: u16, (reach, sensor): (Reach, &str)) -> Self {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let name = format!("syslog {scheme}://{host}:{port}");
        Self { name, reach, hostname: hostname(sensor), connection: None }
    }

    async fn send(&mut self, text: &[u8]) -> Result<(), SinkError> {
        // What is written to a collector that was restarted meanwhile would be lost without an error.
        if let Some(kept) = &mut self.connection
            && left(kept, Duration::ZERO).await.is_some()
        {
            self.connection = None;
        }
        let mut connection = match self.connection.take() {
            Some(kept) => kept,
            None => self.reach.connect(PATIENCE).await?,
        };
        let sent = timeout(PATIENCE, async {
            connection.write_all(text).await?;
            connection.flush().await
        });
        sent.await.map_err(|_| SinkError::TimedOut { secs: PATIENCE.as_secs() })??;
        self.connection = Some(connection);
        Ok(())
    }

    async fn settled(&mut self) -> Settled {
        let Some(connection) = &mut self.connection else { return Settled::Yes };
        match left(connection, GRACE).await {
            None => Settled::Yes,
            Some(error) => {
                self.connection = None;
                Settled::Lost(error)
            }
        }
    }
}

/// Listens for a collector's going away, and answers how it went.
async fn left(connection: &mut Box<dyn Wire>, patience: Duration) -> Option<SinkError> {
    match timeout(patience, connection.read(&mut [0; 256])).await {
        Err(_) | Ok(Ok(1..)) => None,
        Ok(Ok(0)) => Some(SinkError::Io(std::io::Error::other("the collector closed the connection"))),
        Ok(Err(error)) => Some(SinkError::Io(error)),
    }
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

    fn reopen(&mut self) -> Work<'_> {
        self.connection = None;
        Box::pin(async { Delivery::default() })
    }

    fn finish(&mut self) -> Work<'_> {
        Box::pin(async move {
            if let Some(mut connection) = self.connection.take() {
                // The end of TLS; a collector that has gone needs none.
                let _ = timeout(GRACE, connection.shutdown()).await;
            }
            Delivery::default()
        })
    }
}
