//! One entry for each reader of bytes that may be hostile: [`run`](capture::run) takes any bytes and panics where the
//! reader does, or where it breaks a promise; `seeds` makes inputs to begin with.
//! The fuzzer (`make fuzz`) and the property tests (`tests/hostile.rs`) share them.

pub mod capture;
pub mod database;
pub mod decode;
pub mod document;
pub mod pipeline;
mod quic;
pub mod speech;
pub mod store;

#[path = "../../../src/attribute/fixture.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "a test of the program, which uses the rest")]
mod fixture;
