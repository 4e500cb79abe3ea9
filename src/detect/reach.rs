//! How far sources reach: how many different paths fail for each, how many different ports each tries beside the
//! service, how many paths without a conversation. Comes in: a window's rows. Goes out: numbers per address; addresses
//! that only tried are proven by nothing.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Key;
use super::rule::{Measure, Rule};
use super::window::Window;
use crate::aggregate::{ProbedKey, Tried};
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
            let numbers = match key.tried {
                Tried::Port(_) => &mut reach.ports,
                Tried::Path(_) if rule.measure == Measure::Strays => &mut reach.failing_paths,
                Tried::Path(_) => continue,
            };
            *numbers.entry(key.source).or_default() += 1;
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
        Measure::Strays => false,
        _ => true,
    }
}

/// Whether a measure is of what is only tried, for which no source earns a row.
pub(super) const fn is_tried(measure: Measure) -> bool {
    matches!(measure, Measure::Probes | Measure::Strays)
}

/// What was tried and did not answer.
pub(super) fn tried(window: &Window) -> impl Iterator<Item = &ProbedKey> {
    window.probed.iter().filter(|(_, probe)| probe.unanswered() > 0).map(|(key, _)| key)
}

/// What was tried and not answered, by the address that it came from. Who asks without a conversation and is answered at
/// times is a client whose conversations began before they were seen: each answer speaks for another that is on its way.
pub(super) fn probes(window: &Window) -> HashMap<IpAddr, u64, RandomState> {
    let mut probes: HashMap<IpAddr, (u64, u64), RandomState> = HashMap::default();
    for (key, probe) in &window.probed {
        let (unanswered, answered) = probes.entry(key.source).or_default();
        *unanswered += u64::from(probe.unanswered());
        *answered += if matches!(key.tried, Tried::Path(_)) { u64::from(probe.answered) } else { 0 };
    }
    let heard = |(source, (unanswered, answered)): (IpAddr, (u64, u64))| {
        (source, unanswered.saturating_sub(answered))
    };
    probes.into_iter().map(heard).collect()
}
