//! The one file that reads a clock. Capture time drives everything; this is for what is not in the capture: how long a
//! line has been idle, how fast to replay, how old a database is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Measures time that passes, whatever is done to the machine's date.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since it was started.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds since 1970 by the machine's date.
pub fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
