//! All services under watch. Comes in: one frozen tick a second. Goes out: the findings of each service.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::baseline::{Baselines, Learning};
use super::calendar::Calendar;
use super::rule::RuleSet;
use super::watched::{Seconds, SpanNeeds};
use super::{Asked, Detector, Finding, Grounds, Subject, Watched};
use crate::aggregate::{Callers, Count, Counts, Finder, Probe, ProbedKey, ScopeTick, Sides, Tick, Tried};
use crate::service::{Scope, Services};
use crate::time::TickId;

/// The services under watch and the detectors that judge them.
pub struct Watch {
    subjects: BTreeMap<Subject, Watched>,
    detectors: Vec<Box<dyn Detector>>,
    finder: Finder,
    learning: Learning,
}

/// Candidates that are watched before they are found, so that what came before the finding counts; the quiet ones
/// give way first.
const MAX_WATCHED: usize = 1_024;

impl Watch {
    /// A watch with these detectors over the windows that they look at, and with what was learned before.
    pub fn new(detectors: Vec<Box<dyn Detector>>, learning: Learning) -> Self {
        Self { subjects: BTreeMap::new(), detectors, finder: Finder::default(), learning }
    }

    /// Goes on with other rules, services, homes and events; what was seen and learned stays.
    pub fn renew(&mut self, rules: &RuleSet, grounds: &Grounds, services: &Services, calendar: Calendar) {
        self.detectors.iter_mut().for_each(|detector| detector.renew(rules, grounds));
        let homes = Some(Arc::clone(&grounds.homes));
        let brought = std::mem::take(&mut self.learning.brought);
        self.learning = Learning { brought, calendar, services: services.clone(), homes };
        for (subject, watched) in &mut self.subjects {
            watched.look_over(&spans(&self.detectors, *subject).into());
            watched.brief(|baseline| self.learning.brief(*subject, baseline));
        }
    }

    /// Takes a tick: every service moves on, and those that are named or found are judged.
    pub fn take(&mut self, tick: Tick) -> Vec<(Subject, Vec<Finding>)> {
        self.finder.note(&tick);
        let id = tick.id;
        let mut moved = by_subject(tick, &self.finder);
        for subject in moved.keys() {
            if !self.subjects.contains_key(subject) {
                self.make_room();
                self.subjects.insert(*subject, Watched::new(&spans(&self.detectors, *subject).into()));
            }
        }
        let mut findings = Vec::new();
        for (subject, watched) in &mut self.subjects {
            let quiet = watched.is_quiet();
            watched.advance(id, moved.remove(subject).map(|seconds| *seconds));
            if is_protected(subject, &self.finder) {
                if watched.baseline().is_none() {
                    watched.begin_baseline(self.learning.begin(*subject));
                }
                watched.feed_baseline();
                if quiet && watched.is_quiet() {
                    // Nothing is in any window, nor was a tick before: there is nothing to judge.
                    findings.push((*subject, Vec::new()));
                    continue;
                }
                let found: Vec<Finding> = self
                    .detectors
                    .iter_mut()
                    .flat_map(|detector| detector.judge(*subject, watched, id))
                    .collect();
                findings.push((*subject, found));
            }
        }
        findings
    }

    /// The part `loss` (0 to 1) of the packets of the ticks that come next was never read: those are not learned, and
    /// where it is half of them, that there is less tells nothing.
    pub fn note_loss(&mut self, loss: f64) {
        self.subjects.values_mut().for_each(|watched| watched.note_loss(loss));
    }

    /// Moves on over `ticks` silent ticks up to `tick`, every window being empty.
    pub fn skip(&mut self, tick: TickId, ticks: i64) {
        for watched in self.subjects.values_mut() {
            watched.skip(tick, ticks);
        }
    }

    /// Whether every window of every service is empty.
    pub fn is_quiet(&self) -> bool {
        self.subjects.values().all(Watched::is_quiet)
    }

    /// The picture of a service.
    pub fn watched(&mut self, subject: Subject) -> Option<&mut Watched> {
        self.subjects.get_mut(&subject)
    }

    /// The services of which the mirror shows one direction only, and which.
    pub fn one_way(&self) -> Vec<(Subject, Sides)> {
        let protected = self.subjects.iter().filter(|(subject, _)| is_protected(subject, &self.finder));
        let sides = protected.map(|(subject, watched)| (*subject, watched.sides()));
        sides.filter(|(_, sides)| sides.is_one_way()).collect()
    }

    /// What is usual at all services, those of earlier runs included.
    pub fn baselines(&self) -> Baselines {
        let of = |(subject, watched): (&Subject, &'_ Watched)| Some((*subject, watched.baseline()?.clone()));
        self.learning.gather(self.subjects.iter().filter_map(of))
    }

    /// The services found in the traffic.
    pub fn finder(&self) -> &Finder {
        &self.finder
    }

    fn make_room(&mut self) {
        if self.subjects.len() < MAX_WATCHED {
            return;
        }
        let candidates = || {
            self.subjects.iter().filter(|(subject, _)| {
                !matches!(subject, Subject::Named(_)) && !is_protected(subject, &self.finder)
            })
        };
        let quiet = candidates().find(|(_, watched)| watched.is_quiet()).or_else(|| candidates().next());
        if let Some(subject) = quiet.map(|(subject, _)| *subject) {
            self.subjects.remove(&subject);
        }
    }
}

/// The windows that the detectors look at for a service, each length once.
fn spans(detectors: &[Box<dyn Detector>], subject: Subject) -> Vec<SpanNeeds> {
    let mut spans: BTreeMap<u64, SpanNeeds> = BTreeMap::new();
    for needs in detectors.iter().flat_map(|detector| detector.needs(subject)) {
        let new = || SpanNeeds { ticks: needs.ticks, own: Asked::default(), beside: Asked::default() };
        let span = spans.entry(needs.ticks).or_insert_with(new);
        span.own = std::mem::take(&mut span.own).or(needs.own);
        span.beside = std::mem::take(&mut span.beside).or(needs.beside);
    }
    spans.into_values().collect()
}

fn is_protected(subject: &Subject, finder: &Finder) -> bool {
    match subject {
        Subject::Named(_) => true,
        Subject::Found(address) => finder.is_found(address),
    }
}

/// Sorts a tick's scopes to the services they belong to. What goes beside an address belongs to the first service that
/// was found there, or else to the first candidate; so does what is tried at its other ports.
fn by_subject(tick: Tick, finder: &Finder) -> BTreeMap<Subject, Box<Seconds>> {
    let mut subjects: BTreeMap<Subject, Box<Seconds>> = BTreeMap::new();
    let mut beside: Vec<(IpAddr, ScopeTick)> = Vec::new();
    let tries = tries_beside(&tick, finder);
    for (scope, sums) in tick.scopes {
        match scope {
            Scope::Service(id) => subjects.entry(Subject::Named(id)).or_default().own = sums,
            Scope::Beside(id) => subjects.entry(Subject::Named(id)).or_default().beside = sums,
            Scope::Candidate(address) => subjects.entry(Subject::Found(address)).or_default().own = sums,
            Scope::CandidateHost(address) => beside.push((address, sums)),
        }
    }
    for (host, sums) in beside {
        let found = finder.found_at(host);
        let candidate = || {
            let there =
                |subject: &&Subject| matches!(subject, Subject::Found(address) if address.ip() == host);
            subjects.keys().find(there).copied()
        };
        if let Some(subject) = found.map(Subject::Found).or_else(candidate) {
            subjects.entry(subject).or_default().beside = sums;
        }
    }
    for (found, tries) in tries {
        tries.add_to(&mut subjects.entry(Subject::Found(found)).or_default().beside);
    }
    subjects
}

/// What was tried in a tick at the ports of one address that are no service.
#[derive(Default)]
struct Tries {
    counts: Counts,
    probed: Vec<(ProbedKey, Probe)>,
}

/// What tells how attempts to connect fared.
const FARED: [Count; 4] = [Count::Attempts, Count::Answered, Count::Refused, Count::Opened];

/// What was tried at the other ports of addresses that have a service, by the first one found there. A port that several
/// addresses try in the same second is left out: rows of all of them are what a flood with forged addresses would cost.
fn tries_beside(tick: &Tick, finder: &Finder) -> BTreeMap<SocketAddr, Tries> {
    let mut tries: BTreeMap<SocketAddr, Tries> = BTreeMap::new();
    for (scope, sums) in &tick.scopes {
        if let (Scope::Candidate(end), Callers::One(source)) = (scope, sums.callers)
            && !finder.is_found(end)
            && let Some(found) = finder.found_at(end.ip())
        {
            tries.entry(found).or_default().add(*end, source, &sums.counts);
        }
    }
    tries
}

impl Tries {
    /// Adds what one source tried at a port.
    fn add(&mut self, end: SocketAddr, source: IpAddr, counts: &Counts) {
        for count in FARED {
            self.counts[count] += counts[count];
        }
        let many = |count| u32::try_from(counts[count]).unwrap_or(u32::MAX);
        let probe = Probe { attempts: many(Count::Attempts), answered: many(Count::Answered) };
        self.probed.push((ProbedKey { source, tried: Tried::Port(end.ip(), end.port()) }, probe));
    }

    /// Counts them as traffic beside a service.
    fn add_to(self, beside: &mut ScopeTick) {
        beside.counts.merge(&self.counts);
        beside.probed.extend(self.probed);
        beside.probed.sort_unstable_by_key(|row| row.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::Traffic;

    const WEB: &str = "192.0.2.1:443";

    fn end(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A candidate's second in which so many were counted, tried by `callers`.
    fn candidate(address: &str, callers: Callers, amounts: &[(Count, u64)]) -> (Scope, ScopeTick) {
        let mut sums = ScopeTick { callers, ..ScopeTick::default() };
        amounts.iter().for_each(|(count, amount)| sums.counts[*count] += amount);
        (Scope::Candidate(end(address)), sums)
    }

    /// What comes to stand beside the web service in a second with these candidates.
    fn beside(candidates: Vec<(Scope, ScopeTick)>) -> ScopeTick {
        let mut finder = Finder::default();
        let spoken = [(Count::Opened, 1), (Count::Requests, 1)];
        let web = candidate(WEB, Callers::Several, &spoken);
        finder.note(&Tick { scopes: BTreeMap::from([web]), ..Tick::default() });
        let scopes = candidates.into_iter().collect();
        let mut subjects = by_subject(Tick { scopes, ..Tick::default() }, &finder);
        let seconds = subjects.remove(&Subject::Found(end(WEB))).unwrap_or_default();
        seconds.of(Traffic::Beside).clone()
    }

    #[test]
    fn what_one_address_tries_at_other_ports_of_a_found_service_stands_beside_it() {
        let scanner = Callers::One("203.0.113.9".parse().unwrap());
        let beside = beside(vec![
            candidate("192.0.2.1:25", scanner, &[(Count::Attempts, 1), (Count::Refused, 1)]),
            candidate("192.0.2.1:22", scanner, &[(Count::Attempts, 1)]),
            candidate("192.0.2.1:23", scanner, &[(Count::Attempts, 1), (Count::Answered, 1)]),
            candidate("192.0.2.1:21", Callers::Several, &[(Count::Attempts, 900)]),
            candidate("192.0.2.2:22", scanner, &[(Count::Attempts, 1)]),
        ]);
        let unanswered = beside.probed.iter().filter(|(_, probe)| probe.unanswered() > 0);
        let ports: Vec<_> = unanswered.filter_map(|(key, _)| key.tried.port()).collect();
        assert_eq!(ports, [22, 25]);
        assert_eq!((beside.counts.probes(), beside.counts[Count::Refused]), (2, 1));
    }

    #[test]
    fn a_service_that_refuses_its_own_clients_has_nothing_beside_it() {
        let client = Callers::One("198.51.100.7".parse().unwrap());
        let beside = beside(vec![candidate(WEB, client, &[(Count::Attempts, 9), (Count::Refused, 9)])]);
        assert!(beside.probed.is_empty());
        assert_eq!(beside.counts, Counts::default());
    }
}
