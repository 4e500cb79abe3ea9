//! Until when goes on what an incident is about. Comes in: what rules found, ticks as they come. Goes out: the last tick that
//! any of it was seen in. Findings end before their matter does: who is refused for long comes less often.

use std::collections::BTreeMap;

use super::onset::{is_of_health, weight};
use super::succession::LULL;
use super::timeline::{CHANCE, scatter};
use crate::aggregate::SourceKey;
use crate::detect::rule::Measure;
use crate::detect::{Finding, Key, Watched};
use crate::time::TickId;

/// What was found, and the last tick in which any of it was seen.
#[derive(Debug)]
pub(super) struct Activity {
    pub last: TickId,
    /// Ticks up to and including this one were looked at.
    followed: TickId,
    /// The first finding of each rule, by its number.
    found: BTreeMap<u32, Finding>,
}

/// The part of the finding's rate that a second must come to.
const WEIGHS: f64 = 0.1;

/// Of what the whole service has more than before, a second must have this part: windows remember a surge that is over.
const RISES: f64 = 0.25;

/// Without a finding it must come to so many times the level before as well, and beyond what chance brings.
const ABOVE: f64 = 2.0;

/// Without a finding these seconds together must come to it: a page is fetched with all that belongs to it in one or two.
const SPAN: i64 = 5;

/// The part of the connections that were found to be held which may be left.
const HELD: f64 = 0.5;

impl Activity {
    /// Begins in the tick that the incident opens in.
    pub fn new(opened: TickId) -> Self {
        Self { last: opened, followed: opened.plus(-1), found: BTreeMap::new() }
    }

    /// Goes on with what was followed by itself meanwhile.
    pub fn go_on(&mut self, other: Self) {
        (self.last, self.followed) = (other.last, other.followed);
        for (sid, finding) in other.found {
            self.found.entry(sid).or_insert(finding);
        }
    }

    /// Notes what was found, the first of each rule.
    pub fn note(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.found.entry(finding.rule.sid).or_insert_with(|| finding.clone());
        }
    }

    /// Follows it up to `tick`, in which rules found this.
    pub fn follow(&mut self, watched: &Watched, tick: TickId, findings: &[Finding]) {
        // After a lull it takes a finding to say that it goes on.
        if findings.is_empty() && tick.second - self.last.second > LULL {
            self.followed = tick;
            return;
        }
        for (sid, finding) in &self.found {
            let is_found = findings.iter().any(|found| found.rule.sid == *sid);
            // Of what there is less of than before, nothing is seen.
            if finding.rule.when.looks_for_less() {
                self.last = if is_found { tick } else { self.last };
                continue;
            }
            if is_held(finding, watched) {
                self.last = tick;
            }
            let span = if is_found { 1 } else { SPAN };
            let Some(least) = least(finding, is_found) else { continue };
            if let Some(seen) = last_seen(finding, watched, (self.last, self.followed), (span, least)) {
                self.last = self.last.max(seen);
            }
        }
        self.followed = tick;
    }
}

/// The last tick behind `followed` in which any of what was found moved, and in `span` seconds together, since it was last
/// seen, at least so much.
fn last_seen(
    finding: &Finding,
    watched: &Watched,
    (last, followed): (TickId, TickId),
    (span, least): (i64, f64),
) -> Option<TickId> {
    let traffic = finding.rule.filter.traffic;
    let ticks = watched.since(followed.plus(2 - span).max(last.plus(1)));
    let recent: Vec<(TickId, u64)> =
        ticks.map(|(tick, seconds)| (tick, weight(finding, seconds.of(traffic)))).collect();
    let within = |until: TickId, tick: TickId| (0..span).contains(&(until.second - tick.second));
    let sum =
        |until| recent.iter().filter(|(tick, _)| within(until, *tick)).map(|(_, moved)| moved).sum::<u64>();
    let moves = |(tick, moved): &&(TickId, u64)| *tick > followed && *moved > 0 && sum(*tick) as f64 >= least;
    recent.iter().rfind(moves).map(|(tick, _)| *tick)
}

/// What a second must come to where a rule finds it, or else [`SPAN`]; `None` where it takes a finding to tell the matter
/// from a service's ordinary load.
fn least(finding: &Finding, is_found: bool) -> Option<f64> {
    let stands_out = finding.key != Key::Service || is_of_health(finding.rule.measure);
    let (rate, before) = (finding.observed.rate, finding.observed.before);
    if is_found {
        let least = (WEIGHS * rate).max(1.0);
        let risen = before + RISES * (rate - before);
        return Some(if stands_out { least } else { least.max(risen) });
    }
    let [rate, before] = [rate, before].map(|each| each * SPAN as f64);
    let chance = before + CHANCE * (scatter(finding.rule.measure) * before).sqrt();
    stands_out.then(|| (WEIGHS * rate).max(1.0).max(ABOVE * before).max(chance))
}

/// Whether the connections that were found to be held are held still: they came to be so once.
fn is_held(finding: &Finding, watched: &Watched) -> bool {
    if !matches!(finding.rule.measure, Measure::Held | Measure::Holding) {
        return false;
    }
    let levels = watched.levels(finding.rule.filter.traffic);
    let within = |key: &SourceKey| match finding.key {
        Key::Service => true,
        Key::Source(address) => key.address == address,
        Key::Prefix(prefix) => prefix.contains(&key.address),
        Key::Network(asn) => key.prefix.lineage.asn == Some(asn),
        Key::Country(country) => key.prefix.lineage.country == country,
    };
    let held: u64 = levels.sources().filter(|(key, _)| within(key)).map(|(_, held)| u64::from(held)).sum();
    held as f64 >= (HELD * finding.observed.count).max(1.0)
}
