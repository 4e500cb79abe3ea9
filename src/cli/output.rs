//! Text for standard output. A closed one ends the program quietly, as with `| head`.

use std::io::{self, Write};
use std::process::ExitCode;

use super::Failure;

/// Prints text; nobody listening is no failure.
pub fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::running(format!("standard output: {error}"))),
    }
}
