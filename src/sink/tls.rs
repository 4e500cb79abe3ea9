//! Connections to receivers: TCP, and TLS upon it. Comes in: a host and a port. Goes out: a stream of bytes whose other end
//! is, with TLS, who the certificate says it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::SinkError;

/// Bytes there and back.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How to reach a receiver.
#[derive(Clone)]
pub(super) struct Reach {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Reach {
    /// A receiver in the clear.
    pub fn tcp(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, tls: None }
    }

    /// A receiver whose certificate must be one of that host, and be signed by an authority of `ca_file`, or else by one that
    /// the machine trusts.
    pub fn tls(host: &str, port: u16, ca_file: Option<&Path>) -> Result<Self, SinkError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| SinkError::NoAddress { host: host.to_owned() })?;
        let tls = Some((TlsConnector::from(Arc::new(client(ca_file)?)), name));
        Ok(Self { host: host.to_owned(), port, tls })
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
        rustix::net::sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MILLIS)
            .map_err(std::io::Error::from)?;
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

/// Half a minute.
const UNACKNOWLEDGED_MILLIS: u32 = 30_000;

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
