//! How far sources reach: how many different paths fail for each, how many different ports each tries beside the
//! service. Comes in: a window's rows. Goes out: numbers per address; addresses that tried ports are proven by nothing.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Key;
use super::rule::{Measure, Rule};
use super::window::Window;
use crate::aggregate::ProbedKey;
use crate::flow::Failure;

/// How many different things each source went for, in the window of a rule that asks for it.
#[derive(Default)]
pub(super) struct Reach {
    failing_paths: HashMap<IpAddr, u32, RandomState>,
    ports: HashMap<IpAddr, u32, RandomState>,
}

impl Reach {
    /// Rows differ in their path or port, so their number is that of different ones.
    pub(super) fn of(rule: &Rule, window: &Window) -> Self {
        let mut reach = Self::default();
        for key in window.failing.keys().filter(|key| fails_as(rule.measure, key.failure)) {
            *reach.failing_paths.entry(key.source).or_default() += 1;
        }
        for key in tried(window) {
            *reach.ports.entry(key.source).or_default() += 1;
        }
        reach
    }

    pub(super) fn failing_paths(&self, key: Key) -> f64 {
        of_key(&self.failing_paths, key)
    }

    pub(super) fn ports(&self, key: Key) -> f64 {
        of_key(&self.ports, key)
    }
}

/// The number of a source; of any other key nothing, since only sources have such rows.
fn of_key(numbers: &HashMap<IpAddr, u32, RandomState>, key: Key) -> f64 {
    match key {
        Key::Source(source) => numbers.get(&source).copied().map_or(0.0, f64::from),
        _ => 0.0,
    }
}

/// Whether a failure is one that the measure counts; other measures count both.
pub(super) fn fails_as(measure: Measure, failure: Failure) -> bool {
    match measure {
        Measure::Denied => failure == Failure::Denied,
        Measure::Missing => failure == Failure::Missing,
        _ => true,
    }
}

/// The ports that were tried and did not answer.
pub(super) fn tried(window: &Window) -> impl Iterator<Item = &ProbedKey> {
    window.probed.iter().filter(|(_, probe)| probe.unanswered() > 0).map(|(key, _)| key)
}

/// Attempts beside the service that were not answered, by the address that they came from.
pub(super) fn probes(window: &Window) -> HashMap<IpAddr, u64, RandomState> {
    let mut probes: HashMap<IpAddr, u64, RandomState> = HashMap::default();
    for (key, probe) in &window.probed {
        *probes.entry(key.source).or_default() += u64::from(probe.unanswered());
    }
    probes
}
