//! What a sensor says of itself while it runs: the conditions it is in, metrics and health. Comes in: figures from the
//! watch, once a second. Goes out: notices, and answers to HTTP. Judges no traffic and holds nothing up.

mod conditions;
mod http;
pub mod manager;
mod metrics;
mod reminders;
mod status;
#[cfg(test)]
mod tests;
mod watchdog;

pub use conditions::Conditions;
pub use http::{Access, Server};
pub use reminders::{Patience, Reminder, Reminders, Severe};
pub use status::{Snapshot, Status};
pub use watchdog::Watchdog;
