//! Faults, one after the other, each with one line: held, fell short, or not run and why. `make faults` runs them; they
//! take minutes, and some want root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod busy;
mod capture;
mod clock;
mod deaths;
mod disks;
mod files;
mod memory;
mod outage;
mod receiver;
mod sinks;
mod spooled;
mod stuck;
#[path = "../support/mod.rs"]
mod support;
mod told;
