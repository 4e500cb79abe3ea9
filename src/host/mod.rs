//! The machine beneath: its clock and its signals, and what the process may do on it. Knows nothing of packets.

pub mod clock;
pub mod sandbox;
mod signals;

pub use signals::Signals;
