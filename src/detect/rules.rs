//! The detector that the rules files drive. Comes in: a service's picture. Goes out: which rules hold for whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::demand::among;
use super::look::{Judged, Look};
use super::rule::{Mode, Rule, RuleSet, Traffic};
use super::window::Asked;
use super::{Detector, Finding, Key, SpanNeeds, Subject, Watched};
use crate::attribute::Home;
use crate::service::ServiceId;
use crate::time::TickId;

/// Which countries are home for each service.
pub type Homes = Arc<dyn Fn(Subject) -> Home + Send + Sync>;

/// What the rules need to know of the services.
#[derive(Clone)]
pub struct Grounds {
    /// Each service's home.
    pub homes: Homes,
    /// The names and ports of the named services, by their place.
    pub services: Arc<[(String, Vec<u16>)]>,
}

/// Judges by rules.
pub struct RuleDetector {
    rules: Vec<Judged>,
    grounds: Grounds,
    /// Since when a rule has held without a break.
    streaks: BTreeMap<(usize, Subject, Key), TickId>,
    /// When a rule fired last.
    fired: BTreeMap<(usize, Subject, Key), TickId>,
}

/// Firings that are remembered for `suppress_for`; beyond this a rule fires again sooner than it was told to, which
/// costs an update at most.
const MAX_FIRED: usize = 65_536;

impl RuleDetector {
    /// A detector with the rules of `set`.
    pub fn new(set: &RuleSet, grounds: Grounds) -> Self {
        let rules = set.rules.iter().map(Judged::new).collect();
        Self { rules, grounds, streaks: BTreeMap::new(), fired: BTreeMap::new() }
    }

    fn applies(&self, rule: &Rule, subject: Subject) -> bool {
        let (names, ports) = (&rule.filter.services, &rule.filter.ports);
        match subject {
            Subject::Named(ServiceId(id)) => {
                self.grounds.services.get(usize::from(id)).is_some_and(|(name, own)| {
                    among(names, |have| have.name() == name) && among(ports, |have| own.contains(have))
                })
            }
            Subject::Found(address) => {
                among(names, |have| have.name() == address.to_string())
                    && among(ports, |have| *have == address.port())
            }
        }
    }

    /// Whether the rule has held long enough.
    fn is_due(&mut self, index: usize, subject: Subject, key: Key, tick: TickId) -> bool {
        let Some(rule) = self.rules.get(index).map(|judged| &judged.rule) else { return false };
        let since = self.streaks.entry((index, subject, key)).or_insert(tick);
        if since.epoch != tick.epoch {
            *since = tick;
        }
        tick.second - since.second >= i64::try_from(rule.hold.secs()).unwrap_or(i64::MAX)
    }

    /// Whether the rule has not fired for its `suppress_for`; remembers that it does now.
    fn may_open(&mut self, index: usize, subject: Subject, key: Key, tick: TickId) -> bool {
        let Some(rule) = self.rules.get(index).map(|judged| &judged.rule) else { return false };
        let silence = i64::try_from(rule.suppress_for.secs()).unwrap_or(i64::MAX);
        let last = self.fired.get(&(index, subject, key));
        if last.is_some_and(|last| last.epoch == tick.epoch && tick.second - last.second < silence) {
            return false;
        }
        if silence > 0 && self.fired.len() < MAX_FIRED {
            self.fired.insert((index, subject, key), tick);
        }
        true
    }
}

impl Detector for RuleDetector {
    fn renew(&mut self, set: &RuleSet, grounds: &Grounds) {
        let old = std::mem::replace(self, Self::new(set, grounds.clone()));
        let places: BTreeMap<&str, usize> =
            self.rules.iter().enumerate().map(|(index, judged)| (judged.rule.id.as_str(), index)).collect();
        let place = |index: usize| places.get(old.rules.get(index)?.rule.id.as_str()).copied();
        let moved = |held: &BTreeMap<(usize, Subject, Key), TickId>| {
            let held = held.iter();
            held.filter_map(|((index, who, key), tick)| Some(((place(*index)?, *who, *key), *tick))).collect()
        };
        (self.streaks, self.fired) = (moved(&old.streaks), moved(&old.fired));
    }

    fn needs(&self, subject: Subject) -> Vec<SpanNeeds> {
        let span = |judged: &Judged| {
            let looks = judged.rule.mode == Mode::Alert && self.applies(&judged.rule, subject);
            let (asked, nothing) = (if looks { judged.asked() } else { Asked::default() }, Asked::default());
            let (own, beside) = match judged.rule.filter.traffic {
                Traffic::Own => (asked, nothing),
                Traffic::Beside => (nothing, asked),
            };
            SpanNeeds { ticks: judged.rule.timespan.secs(), own, beside }
        };
        self.rules.iter().map(span).collect()
    }

    fn judge(&mut self, subject: Subject, watched: &Watched, tick: TickId) -> Vec<Finding> {
        let home = (self.grounds.homes)(subject);
        let mut findings = Vec::new();
        for index in 0..self.rules.len() {
            let Some(judged) = self.rules.get(index) else { continue };
            let rule = &judged.rule;
            if rule.mode != Mode::Alert || !self.applies(rule, subject) {
                continue;
            }
            let look = Look::new(judged, &home, watched);
            let holding = look.holding();
            if !self.streaks.is_empty() {
                self.streaks.retain(|(of, who, key), _| {
                    *of != index || *who != subject || holding.iter().any(|(have, _)| have == key)
                });
            }
            if holding.is_empty() {
                continue;
            }
            let (rule, parts) = (Arc::clone(rule), look.parts().to_vec());
            for (key, observed) in holding {
                if self.is_due(index, subject, key, tick) {
                    let opens = self.may_open(index, subject, key, tick);
                    let parts = parts.clone();
                    findings.push(Finding { rule: Arc::clone(&rule), key, parts, tick, observed, opens });
                }
            }
        }
        self.fired.retain(|(_, _, _), last| last.epoch == tick.epoch && tick.second - last.second < 86_400);
        findings
    }
}
