//! Faults, one after the other, each with one line: held, fell short, or not run and why. `make faults` runs them; they
//! take minutes, and some want root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod capture;
mod memory;
mod receiver;
mod sinks;
#[path = "../support/mod.rs"]
mod support;
mod told;
