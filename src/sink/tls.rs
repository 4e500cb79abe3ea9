//! Connections to receivers: TCP, and TLS upon it. Comes in: a host and a port. Goes out: a stream of bytes whose other end
//! is, with TLS, who the certificate says it is.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::SinkError;

/// Bytes there and back.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// What the system says is wrong with the connection; told once.
    fn broken(&self) -> Option<io::Error>;
}

impl Wire for TcpStream {
    fn broken(&self) -> Option<io::Error> {
        self.take_error().unwrap_or_else(Some)
    }
}

impl Wire for TlsStream<TcpStream> {
    fn broken(&self) -> Option<io::Error> {
        self.get_ref().0.broken()
    }
}

/// How to reach a receiver.
#[derive(Clone)]
pub(super) struct Reach {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// How long what was sent may stay unacknowledged.
    unacknowledged: Duration,
}

impl Reach {
    /// A receiver in the clear.
    pub fn tcp(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, tls: None, unacknowledged: UNACKNOWLEDGED }
    }

    /// A receiver whose certificate must be one of that host, and be signed by an authority of `ca_file`, or else by one that
    /// the machine trusts.
    pub fn tls(host: &str, port: u16, ca_file: Option<&Path>) -> Result<Self, SinkError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| SinkError::NoAddress { host: host.to_owned() })?;
        let tls = Some((TlsConnector::from(Arc::new(client(ca_file)?)), name));
        Ok(Self { host: host.to_owned(), port, tls, unacknowledged: UNACKNOWLEDGED })
    }

    /// The same, where what was sent may stay unacknowledged for so long.
    pub fn unacknowledged(self, unacknowledged: Duration) -> Self {
        Self { unacknowledged, ..self }
    }

    /// Connects, to the first address of the host that answers.
    pub async fn connect(&self, patience: Duration) -> Result<Box<dyn Wire>, SinkError> {
        let connected = timeout(patience, self.connect_and_greet()).await;
        connected.unwrap_or(Err(SinkError::TimedOut { secs: patience.as_secs() }))
    }

    async fn connect_and_greet(&self) -> Result<Box<dyn Wire>, SinkError> {
        let stream = self.connect_to_any().await?;
        stream.set_nodelay(true)?;
        // What nobody acknowledges is to become an error in time, not in a quarter of an hour.
        let millis = u32::try_from(self.unacknowledged.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&stream, millis).map_err(io::Error::from)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }

    async fn connect_to_any(&self) -> Result<TcpStream, SinkError> {
        let mut failed = None;
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.map_or_else(|| SinkError::NoAddress { host: self.host.clone() }, SinkError::Io))
    }
}

/// Where whoever sends waits for an answer anyway.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

fn client(ca_file: Option<&Path>) -> Result<ClientConfig, SinkError> {
    let roots = match ca_file {
        Some(path) => authorities(path)?,
        None => trusted()?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SinkError::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Certificates of authorities are at most some hundred kilobytes.
const MAX_CA_FILE: u64 = 16 << 20;

fn authorities(path: &Path) -> Result<RootCertStore, SinkError> {
    let refused = |why: String| SinkError::Authorities { path: path.to_owned(), why };
    let held = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if !held.is_file() || held.len() > MAX_CA_FILE {
        return Err(refused("is no file of certificates".to_owned()));
    }
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() { Err(refused("holds no certificate (PEM)".to_owned())) } else { Ok(roots) }
}

fn trusted() -> Result<RootCertStore, SinkError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let told = "the machine trusts no authority (install ca-certificates, or name a ca_file)";
        return Err(SinkError::Tls(told.to_owned()));
    }
    Ok(roots)
}
