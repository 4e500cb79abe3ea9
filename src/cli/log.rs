//! The program's own log, on standard error.

use std::io;

use tracing::Level;

use super::args::{LogArgs, LogFormat};

/// Starts the log. Lines have no time stamps of their own: capture time stands in records, and a service manager adds
/// the wall clock's.
pub fn start(args: &LogArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, _) => Level::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false);
    // Started twice only in tests; the first one stays.
    let _ = match args.log_format {
        LogFormat::Text => tracing::subscriber::set_global_default(log.finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().finish()),
    };
}
