//! How far sources reach: how many different paths fail for each, how many different ports and addresses each tries
//! beside the service, how many paths without a conversation. Comes in: a window's rows. Goes out: numbers per address;
//! addresses that only tried are proven by nothing.

use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::Key;
use super::demand::{asks_path_share, counts};
use super::rule::{Kind, Measure, Observed, Rule};
use super::window::Window;
use crate::aggregate::{ProbedKey, Tried};
use crate::flow::{Failure, template_hash};

/// How many different things each source went for, in the window of a rule that asks for it.
#[derive(Default)]
pub(super) struct Reach {
    failing_paths: Numbers,
    ports: Numbers,
    hosts: Numbers,
    path_share: f64,
}

/// How many, by source.
type Numbers = HashMap<IpAddr, u32, RandomState>;

impl Reach {
    /// Counts what the rule's condition looks at.
    pub(super) fn of(rule: &Rule, window: &Window) -> Self {
        let (measure, asks) = (rule.measure, |kind| counts(&rule.when, kind));
        let mut reach = Self::default();
        if asks(Kind::FailingPaths) {
            let failing = window.failing.keys().filter(|key| fails_as(measure, key.failure));
            let strays = tried(window, measure).filter(|key| matches!(key.tried, Tried::Path(_)));
            // Rows differ in their path, so their number is that of different ones.
            for source in failing.map(|key| key.source).chain(strays.map(|key| key.source)) {
                *reach.failing_paths.entry(source).or_default() += 1;
            }
        }
        if asks(Kind::Ports) {
            reach.ports = distinct(tried(window, measure), Tried::port);
        }
        if asks(Kind::Hosts) {
            reach.hosts = distinct(tried(window, measure), Tried::host);
        }
        if asks_path_share(&rule.when) {
            reach.path_share = path_share(window, measure);
        }
        reach
    }

    /// What was observed of a key, with how far it reaches; only sources have such rows.
    pub(super) fn observed(&self, key: Key, observed: Observed) -> Observed {
        let observed = Observed { path_share: self.path_share, ..observed };
        let Key::Source(source) = key else { return observed };
        let of = |numbers: &Numbers| numbers.get(&source).copied().map_or(0.0, f64::from);
        let (failing_paths, ports, hosts) = (of(&self.failing_paths), of(&self.ports), of(&self.hosts));
        Observed { failing_paths, ports, hosts, ..observed }
    }
}

/// Of the requests for paths on which anything fails as the measure counts it, the part that fails so: people mistype a
/// password now and then, programs that guess hardly ever succeed. All of them where the paths are not known.
pub(super) fn path_share(window: &Window, measure: Measure) -> f64 {
    let failing = || window.failing.iter().filter(|(key, _)| fails_as(measure, key.failure));
    let paths: HashSet<u32, RandomState> = failing().map(|(key, _)| key.path).collect();
    let failed: u64 = failing().map(|(_, count)| count).sum();
    let asked = window.paths.iter().filter(|(key, _)| paths.contains(&template_hash(&key.path)));
    let asked: u64 = asked.map(|(_, count)| count).sum();
    if asked > 0 { (failed as f64 / asked as f64).min(1.0) } else { 1.0 }
}

/// How many different ones each source tried.
fn distinct<'w, T: Eq + Hash>(
    tried: impl Iterator<Item = &'w ProbedKey>,
    what: impl Fn(Tried) -> Option<T>,
) -> Numbers {
    let mut seen: HashSet<(IpAddr, T), RandomState> = HashSet::default();
    let mut numbers = Numbers::default();
    for key in tried {
        if let Some(one) = what(key.tried)
            && seen.insert((key.source, one))
        {
            *numbers.entry(key.source).or_default() += 1;
        }
    }
    numbers
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
pub const fn is_tried(measure: Measure) -> bool {
    matches!(measure, Measure::Probes | Measure::UdpProbes | Measure::Strays)
}

/// Whether a measure that is of what is only tried counts this; any other looks at all ports.
pub const fn counts_as(measure: Measure, tried: Tried) -> bool {
    match (measure, tried) {
        (Measure::Strays, tried) => matches!(tried, Tried::Path(_)),
        (Measure::Probes, tried) => matches!(tried, Tried::Port(..)),
        (Measure::UdpProbes, tried) => matches!(tried, Tried::Datagram(..)),
        (_, tried) => !matches!(tried, Tried::Path(_)),
    }
}

/// What was tried, as the measure counts it, and did not answer.
pub(super) fn tried(window: &Window, measure: Measure) -> impl Iterator<Item = &ProbedKey> {
    let unanswered = window.probed.iter().filter(|(_, probe)| probe.unanswered() > 0).map(|(key, _)| key);
    unanswered.filter(move |key| counts_as(measure, key.tried))
}

/// What was tried and not answered, by the address that it came from. Who asks without a conversation and is answered at
/// times is a client whose conversations began before they were seen: each answer speaks for another that is on its way.
pub(super) fn probes(window: &Window, measure: Measure) -> HashMap<IpAddr, u64, RandomState> {
    let mut probes: HashMap<IpAddr, (u64, u64), RandomState> = HashMap::default();
    for (key, probe) in window.probed.iter().filter(|(key, _)| counts_as(measure, key.tried)) {
        let (unanswered, answered) = probes.entry(key.source).or_default();
        *unanswered += u64::from(probe.unanswered());
        *answered += if matches!(key.tried, Tried::Path(_)) { u64::from(probe.answered) } else { 0 };
    }
    let heard = |(source, (unanswered, answered)): (IpAddr, (u64, u64))| {
        (source, unanswered.saturating_sub(answered))
    };
    probes.into_iter().map(heard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{FailingKey, PathKey};
    use crate::attribute::Country;

    #[test]
    fn of_what_is_asked_where_it_fails_a_part_fails() {
        let mut window = Window::default();
        let asked =
            |path: &str| PathKey { country: Country::Unknown, method: "POST".into(), path: path.into() };
        window.paths.extend([(asked("/login"), 40), (asked("/"), 1_000)]);
        let denied = |last| FailingKey {
            source: IpAddr::from([192, 0, 2, last]),
            path: template_hash("/login"),
            failure: Failure::Denied,
        };
        window.failing.extend([(denied(1), 6), (denied(2), 4)]);
        assert_eq!(path_share(&window, Measure::Denied), 0.25);
        assert_eq!(path_share(&window, Measure::Missing), 1.0, "nothing fails so, of nothing");
    }
}
