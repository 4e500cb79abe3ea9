//! The machine beneath: its clock and its signals. Knows nothing of packets.

pub mod clock;
mod signals;

pub use signals::Signals;
