//! Syslog over UDP and local datagram sockets. Comes in: records. Goes out: one datagram each. A socket that has gone is
//! opened anew, and what it did not take is left for later; whether anybody reads what the kernel took is not known.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{UdpSocket, UnixDatagram, lookup_host};
use tokio::time::timeout;

use super::syslog::{MAX_DATAGRAM, hostname, message};
use super::{Delivery, Record, Sink, SinkError, Work};

/// A collector that takes nothing for so long is opened anew.
const PATIENCE: Duration = Duration::from_secs(5);

/// A syslog collector, reached by datagrams.
pub struct DatagramSink {
    collector: Collector,
    hostname: String,
    socket: Option<Socket>,
}

enum Collector {
    Udp { host: String, port: u16 },
    Unix(PathBuf),
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl DatagramSink {
    /// A collector at HOST:PORT; a name is looked up when the first record goes out, and after errors.
    pub fn udp(host: &str, port: u16, sensor: &str) -> Self {
        Self::new(Collector::Udp { host: host.to_owned(), port }, sensor)
    }

    /// A collector behind a datagram socket of this machine (`/dev/log`).
    pub fn unix(path: PathBuf, sensor: &str) -> Self {
        Self::new(Collector::Unix(path), sensor)
    }

    fn new(collector: Collector, sensor: &str) -> Self {
        Self { collector, hostname: hostname(sensor), socket: None }
    }

    /// Sends one record.
    async fn send(&mut self, record: &Record) -> Result<(), SinkError> {
        let datagram = message(record, &self.hostname);
        if datagram.len() > MAX_DATAGRAM {
            return Err(SinkError::TooLong { bytes: datagram.len(), most: MAX_DATAGRAM });
        }
        let sent = timeout(PATIENCE, self.send_or_reopen(datagram.as_bytes())).await;
        let sent = sent.unwrap_or(Err(SinkError::TimedOut { secs: PATIENCE.as_secs() }));
        if sent.is_err() {
            self.socket = None;
        }
        sent
    }

    /// A first failure may be the answer to the record before, or a collector that was restarted: once more, anew.
    async fn send_or_reopen(&mut self, datagram: &[u8]) -> Result<(), SinkError> {
        if let Some(socket) = &self.socket {
            match socket.send(datagram).await {
                Ok(()) => return Ok(()),
                Err(_) => self.socket = None,
            }
        }
        let socket = self.collector.open().await?;
        socket.send(datagram).await?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Sink for DatagramSink {
    fn name(&self) -> String {
        match &self.collector {
            Collector::Udp { host, port } if host.contains(':') => format!("syslog udp://[{host}]:{port}"),
            Collector::Udp { host, port } => format!("syslog udp://{host}:{port}"),
            Collector::Unix(path) => format!("syslog unix://{}", path.display()),
        }
    }

    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a> {
        Box::pin(async move {
            let mut all = Delivery::default();
            for (index, record) in records.iter().enumerate() {
                match self.send(record).await {
                    Ok(()) => all.delivered += 1,
                    Err(error @ SinkError::TooLong { .. }) => all.reject(index, error),
                    Err(error) => {
                        all.left = (records.len() - index) as u64;
                        all.error = Some(error);
                        break;
                    }
                }
            }
            all
        })
    }

    fn reopen(&mut self) -> Work<'_> {
        self.socket = None;
        Box::pin(async { Delivery::default() })
    }
}

impl Collector {
    async fn open(&self) -> Result<Socket, SinkError> {
        match self {
            Collector::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            Collector::Udp { host, port } => {
                let to = lookup_host((host.as_str(), *port)).await?.next();
                let to = to.ok_or_else(|| SinkError::NoAddress { host: host.clone() })?;
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(to).await?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

impl Socket {
    async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Socket::Udp(socket) => socket.send(datagram).await,
            Socket::Unix(socket) => socket.send(datagram).await,
        }
        .map(|_| ())
    }
}
