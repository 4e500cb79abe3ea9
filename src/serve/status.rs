//! The figures that metrics and health are told from. Comes in: a snapshot from the watch, once a second, and whether its
//! threads move. Goes out: the same to any thread that asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::Conditions;
use crate::alert::{Condition, Holding, Output, Stats};
use crate::detect::rule::Level;

/// Figures of one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What was read and what became of it.
    pub stats: Stats,
    /// Incidents that are open.
    pub open_incidents: u64,
    /// Alert lines by rule and severity.
    pub alerts: BTreeMap<(String, Level), u64>,
    /// Where records go.
    pub outputs: Vec<Output>,
    /// Interfaces, and whether packets of them can come.
    pub interfaces: Vec<(String, bool)>,
    /// Rules in use.
    pub rules: u64,
    /// Times that rules, configuration or databases were read anew, and times that they could not be used.
    pub reloads: (u64, u64),
    /// When each database was built, in seconds since 1970, by its name.
    pub databases: Vec<(String, u64)>,
    /// How much work is left out, in steps; 0 is none.
    pub shedding: u64,
    /// Severe alerts that nobody has acknowledged.
    pub unacknowledged: u64,
}

/// What is known of a sensor by those who ask from outside.
pub struct Status {
    /// The conditions it is in.
    pub conditions: Arc<Conditions>,
    snapshot: Mutex<Arc<Snapshot>>,
    alive: AtomicBool,
}

impl Status {
    /// Nothing is known yet.
    pub fn new(conditions: Arc<Conditions>) -> Self {
        Self { conditions, snapshot: Mutex::default(), alive: AtomicBool::new(true) }
    }

    /// Replaces the figures.
    pub fn show(&self, snapshot: Snapshot) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// The latest figures.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why nobody should rely on the sensor now: packets do not come, nothing is done with them, alerts would not survive, or
    /// no output takes any.
    pub fn unready(&self) -> Vec<Holding> {
        let snapshot = self.snapshot();
        let unheard = !snapshot.outputs.is_empty() && snapshot.outputs.iter().all(|output| !output.ok);
        let failing = |holding: &Holding| unheard && holding.condition == Condition::SinkFailing.word();
        let mut holding = self.conditions.holding();
        holding.retain(|holding| is_bad(holding) || failing(holding));
        holding
    }

    /// Says whether all threads move.
    pub fn set_alive(&self, alive: bool) {
        self.alive.store(alive, Relaxed);
    }

    /// Whether all threads move.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Relaxed)
    }
}

/// Whether it is reason enough by itself.
fn is_bad(holding: &Holding) -> bool {
    let bad = [
        Condition::InterfaceLost,
        Condition::LinkDown,
        Condition::Stuck,
        Condition::Dead,
        Condition::SpoolFailing,
    ];
    bad.iter().any(|bad| bad.word() == holding.condition)
}
