//! When the service itself suffers: a status, a share and a time come in, the share of failing requests at a moment
//! goes out. Knows nothing of who asks.

use crate::time::Span;

/// A time in which the service answers part of the HTTP requests with a failing status and the others late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trouble {
    pub(super) status: u16,
    share: (f64, f64),
    pub(super) wait: Span,
    start: Span,
    length: Span,
}

impl Trouble {
    /// The failing requests are answered with `status`.
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            share: (0.0, 0.0),
            wait: Span::from_nanos(0),
            start: Span::from_nanos(0),
            length: Span::from_nanos(0),
        }
    }

    /// The part of all requests that fail, going evenly from one value to another (0 to 1).
    #[must_use]
    pub const fn share(mut self, from: f64, to: f64) -> Self {
        self.share = (from, to);
        self
    }

    /// What an answer takes longer where every request fails; less in proportion to the share.
    #[must_use]
    pub const fn wait(mut self, wait: Span) -> Self {
        self.wait = wait;
        self
    }

    /// Begins that long after the scenario.
    #[must_use]
    pub const fn start(mut self, start: Span) -> Self {
        self.start = start;
        self
    }

    /// Lasts so long.
    #[must_use]
    pub const fn over(mut self, length: Span) -> Self {
        self.length = length;
        self
    }

    /// The share of requests that fail `since` the scenario's begin.
    pub(super) fn share_at(&self, since: Span) -> f64 {
        let Some(into) = since.nanos().checked_sub(self.start.nanos()) else { return 0.0 };
        if into >= self.length.nanos() {
            return 0.0;
        }
        let progress = into as f64 / self.length.nanos() as f64;
        (self.share.0 + (self.share.1 - self.share.0) * progress).clamp(0.0, 1.0)
    }
}
