//! A progress bar on standard error, where that is a terminal: bytes, packets a second, time left.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::capture::Progress;

/// The bar, or nothing.
pub struct Bar(Option<ProgressBar>);

/// Packets between two updates: some milliseconds.
const EVERY: u64 = 16_384;

const KNOWN: &str = "{bar:30} {binary_bytes}/{binary_total_bytes} {msg}, {eta} left";
const UNKNOWN: &str = "{spinner} {binary_bytes} {msg}, {elapsed}";

impl Bar {
    /// A bar that appears with the first update.
    pub fn new(quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        Self(visible.then(ProgressBar::no_length))
    }

    /// Shows how far the reading is after `packets` packets.
    pub fn update(&self, packets: u64, progress: impl FnOnce() -> Progress) {
        let Some(bar) = self.0.as_ref().filter(|_| packets.is_multiple_of(EVERY)) else { return };
        let progress = progress();
        let style = if progress.bytes_total.is_some() { KNOWN } else { UNKNOWN };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        if let Some(total) = progress.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(progress.bytes_read);
        let per_second = packets as f64 / bar.elapsed().as_secs_f64().max(0.001);
        bar.set_message(format!("{packets} packets, {:.0} packets/s", per_second));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
