//! Who attends to a watch from outside: the server of metrics and health, and the watchdog.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::cli::Failure;
use crate::cli::args::{DEFAULT_HTTP, WatchArgs};
use crate::pipeline::Progress;
use crate::serve::{Access, Server, Status, Watchdog};

/// Where metrics and health are served.
pub struct Address {
    at: Option<SocketAddr>,
    access: Access,
    /// Whether the operator asked for it: then it must be had.
    asked: bool,
}

/// An address that was taken, where one is to be.
pub struct Desk {
    listener: Option<TcpListener>,
    access: Access,
}

/// The length of a token: as long as what cannot be guessed, and no file of something else.
const TOKEN: std::ops::RangeInclusive<usize> = 16..=256;

impl Address {
    /// What the arguments say.
    pub fn of(args: &WatchArgs) -> Result<Self, Failure> {
        let token = args.http_token.as_deref().map(read_token).transpose()?;
        let asked = args.http.is_some();
        let text = args.http.as_deref().unwrap_or(DEFAULT_HTTP);
        if text == "off" {
            return Ok(Self { at: None, access: Access::default(), asked });
        }
        let at: SocketAddr = text.parse().map_err(|_| {
            Failure::usage(format!("--http '{text}': expected ADDR:PORT as {DEFAULT_HTTP}, or off"))
        })?;
        if token.is_none() && !at.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--http {text}: others than this machine can reach it, so --http-token FILE is needed"
            )));
        }
        Ok(Self { at: Some(at), access: Access { token }, asked })
    }

    /// Takes the address while the process may still take any.
    pub fn bind(self) -> Result<Desk, Failure> {
        let access = self.access;
        let listener = match self.at.map(|at| (at, TcpListener::bind(at))) {
            None => None,
            Some((_, Ok(listener))) => Some(listener),
            Some((at, Err(error))) if self.asked => {
                return Err(Failure::running(format!("--http {at}: {error}")));
            }
            Some((at, Err(error))) => {
                // Nobody asked for it, so a second watch on the machine need not fail.
                tracing::warn!("metrics and health are not served: {at}: {error}");
                None
            }
        };
        Ok(Desk { listener, access })
    }
}

fn read_token(path: &Path) -> Result<Arc<str>, Failure> {
    let wrong = |what: &str| Failure::usage(format!("--http-token {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
    let token = text.trim_end_matches(['\n', '\r']);
    let fits = TOKEN.contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(wrong("expected one line of 16 to 256 visible characters"));
    }
    Ok(token.into())
}

/// The threads that attend.
pub struct Attendants {
    server: Option<Server>,
    watchdog: Watchdog,
    turns: Arc<AtomicU64>,
}

impl Attendants {
    /// Starts them.
    pub fn start(desk: Desk, status: &Arc<Status>, progress: &Arc<Progress>) -> Result<Self, Failure> {
        let Desk { listener, access } = desk;
        let serve = |listener| Server::start(listener, access, Arc::clone(status));
        let server = listener.map(serve).transpose().map_err(Failure::running)?;
        let turns = Arc::new(AtomicU64::new(0));
        let watchdog = Watchdog::start(Arc::clone(status), Arc::clone(progress), Arc::clone(&turns));
        Ok(Self { server, watchdog: watchdog.map_err(Failure::running)?, turns })
    }

    /// What the reader is to count its turns in.
    pub fn turns(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.turns)
    }

    /// Ends them.
    pub fn finish(self) {
        self.watchdog.finish();
        if let Some(server) = self.server {
            server.finish();
        }
    }
}
