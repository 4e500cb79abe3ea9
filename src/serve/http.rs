//! Metrics and health over HTTP/1. Comes in: requests, from whoever reaches the port. Goes out: `/metrics`, `/healthz`,
//! `/readyz`. Every request is bounded in time and size, connections in number; nothing is changed by one.
//!
//! Whom a browser is made to ask for (DNS rebinding) is told by the Host field: on the loopback interface only its own
//! names are served. Elsewhere, and where one is set, a token is asked for (RFC 6750).

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::metrics;
use super::status::Status;

/// Connections served at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 32;

/// From the first byte to the last of one connection.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// For the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(3);

/// Bytes of a request's head, and fields in it.
const HEAD_BYTES: usize = 8 * 1024;
const HEAD_FIELDS: usize = 64;

/// Who is answered.
#[derive(Clone, Default)]
pub struct Access {
    /// The token that requests must bring; none is asked for where there is none, which only loopback allows.
    pub token: Option<Arc<str>>,
}

/// The server, in a thread of its own.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Begins to answer there.
    ///
    /// # Errors
    /// Where its thread cannot be started.
    pub fn start(listener: TcpListener, access: Access, status: Arc<Status>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let desk = Arc::new(Desk { is_local: address.ip().is_loopback(), access, status });
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = answer(listener, desk) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(serve)?;
        Ok(Self { address, stop, thread })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub fn finish(self) {
        // Where the thread has gone there is nobody to stop.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// What all connections share.
struct Desk {
    is_local: bool,
    access: Access,
    status: Arc<Status>,
}

async fn answer(listener: TcpListener, desk: Arc<Desk>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    // What a client does wrong is its own business.
                    let _ = timeout(CONNECTION_TIME, serve(stream, desk)).await;
                    drop(place);
                });
            }
            // No descriptors are left, say: asked again when there may be.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, desk: Arc<Desk>) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = desk.respond(request.method(), request.uri().path(), request.headers());
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

impl Desk {
    fn respond(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        if !self.knows_host(headers) {
            return text(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n");
        }
        if !self.is_allowed(headers) {
            let mut refusal = text(StatusCode::UNAUTHORIZED, "a token is needed\n");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refusal;
        }
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        }
        match path {
            "/metrics" => self.metrics(),
            "/healthz" => self.health(),
            "/readyz" => self.readiness(),
            _ => text(StatusCode::NOT_FOUND, "there is /metrics, /healthz and /readyz\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let Status { conditions, .. } = &*self.status;
        let page = metrics::render(self.status.snapshot(), conditions.holding(), self.status.is_alive());
        told(StatusCode::OK, metrics::CONTENT_TYPE, page)
    }

    fn health(&self) -> Response<Full<Bytes>> {
        if self.status.is_alive() {
            return text(StatusCode::OK, "alive\n");
        }
        text(StatusCode::SERVICE_UNAVAILABLE, "a thread does not move\n")
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        let unready = self.status.unready();
        let ready = unready.is_empty() && self.status.is_alive();
        let reasons = self.status.conditions.holding();
        let body = serde_json::json!({
            "ready": ready,
            "reasons": unready,
            "conditions": reasons,
            "unacknowledged": self.status.snapshot().unacknowledged,
        });
        let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        told(code, "application/json", format!("{body}\n"))
    }

    fn knows_host(&self, headers: &HeaderMap) -> bool {
        if !self.is_local || self.access.token.is_some() {
            return true;
        }
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        host.to_str().is_ok_and(is_local)
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.access.token else { return true };
        let brought = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        // Of their hashes, a comparison that ends early tells nothing of the token.
        brought.is_some_and(|brought| Sha256::digest(brought) == Sha256::digest(token.as_bytes()))
    }
}

/// Whether a Host field names the loopback interface, with or without a port.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn text(code: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    told(code, "text/plain; charset=utf-8", body.to_owned())
}

fn told(code: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("default-src 'none'"));
    response
}
