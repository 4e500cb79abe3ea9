//! When it began: walks back from the tick that decided, as long as the finding's key already weighed; where a service
//! fails, to the rise of the load that pushed it over.

use std::slice;
use std::sync::Arc;

use super::timeline::{BURSTS, CHANCE, RISEN, Timeline, Usual};
use crate::aggregate::{Cell, Counts, Lineage, ProbedKey, ScopeTick};
use crate::detect::rule::{Measure, Traffic};
use crate::detect::{Before, Finding, Key, Seconds, Watched, counts_as, is_tried, of_cell, of_counts};
use crate::time::TickId;

/// A tick that weighs this part of the finding's rate belongs to it.
const WEIGHS: f64 = 0.25;

/// Ticks without weight that may lie inside: pulses and retries come every few seconds.
const GAP: i64 = 5;

/// What a finding's key did in one tick, or the keys that make it up.
pub(super) fn weight(finding: &Finding, tick: &ScopeTick) -> u64 {
    let measure = finding.rule.measure;
    if let (Key::Source(address), true) = (finding.key, is_tried(measure)) {
        // What is only tried earns no row.
        let is_own = |key: &ProbedKey| key.source == address && counts_as(measure, key.tried);
        let own = tick.probed.iter().filter(|(key, _)| is_own(key));
        return own.map(|(_, probe)| u64::from(probe.unanswered())).sum();
    }
    let keys = if finding.parts.is_empty() { slice::from_ref(&finding.key) } else { &finding.parts };
    let among = |key: Key| keys.binary_search(&key).is_ok();
    let sum = |cells: &mut dyn Iterator<Item = &Cell>| cells.map(|cell| of_cell(measure, cell)).sum();
    match keys.first().unwrap_or(&finding.key) {
        Key::Service => of_counts(measure, &tick.counts),
        Key::Country(_) => {
            let rows = tick.networks.iter().filter(|row| among(Key::Country(row.0.country)));
            sum(&mut rows.map(|row| &row.1))
        }
        Key::Network(_) => {
            let is = |row: &Lineage| row.asn.is_some_and(|asn| among(Key::Network(asn)));
            sum(&mut tick.networks.iter().filter(|row| is(&row.0)).map(|row| &row.1))
        }
        Key::Prefix(_) => {
            let rows = tick.prefixes.iter().filter(|row| among(Key::Prefix(row.0.prefix)));
            sum(&mut rows.map(|row| &row.1))
        }
        Key::Source(_) => {
            let rows = tick.sources.iter().filter(|row| among(Key::Source(row.0.address)));
            sum(&mut rows.map(|row| &row.1))
        }
    }
}

/// The tick in which the finding's traffic began.
pub(super) fn onset(finding: &Finding, watched: &Watched) -> TickId {
    let traffic = finding.rule.filter.traffic;
    let learned = match finding.parts.as_slice() {
        [] => watched.before(traffic).row_rate(&finding.key, finding.rule.measure),
        _ => None,
    };
    // Where nothing is learned yet, the seconds before the rule's window told what it was held against.
    let before = learned.unwrap_or(finding.observed.before);
    let least = (finding.observed.rate * WEIGHS).max(before * 2.0);
    let mut began = None;
    let ticks: Vec<_> = watched.since(TickId { epoch: finding.tick.epoch, second: i64::MIN }).collect();
    for (tick, seconds) in ticks.into_iter().rev() {
        let weighs = weight(finding, seconds.of(traffic)) as f64 >= least.max(1.0);
        match began {
            Some(TickId { second, .. }) if second - tick.second > GAP + 1 => break,
            _ if weighs => began = Some(tick),
            _ => {}
        }
    }
    began.unwrap_or(finding.tick)
}

/// Whoever pushes a service over has done so within so many seconds; what came earlier is the level.
const PUSHES: i64 = 30;

/// A level of fewer seconds says nothing of a rise: captures begin with the few who come first.
const LEAST_LEVEL: f64 = 15.0;

/// When it began that a service fails: when the load rose that pushes it over, where that rose ahead of the failures and was
/// still up when they began; else `failing`. The seconds in between would make strangers known and a flood the level.
pub(super) fn pushed(finding: &Finding, failing: TickId, watched: &Watched) -> TickId {
    if !is_of_health(finding.rule.measure) {
        return failing;
    }
    let earliest = TickId { epoch: failing.epoch, second: i64::MIN };
    let ticks = || watched.since(earliest).take_while(|(tick, _)| *tick <= failing);
    let before = watched.before(Traffic::Own);
    let early = ticks().take_while(|(tick, _)| failing.second - tick.second >= PUSHES);
    let early = early.map(|(tick, seconds)| (tick.second, &seconds.own));
    let provisional = (!before.is_known()).then(|| before.provisional(early));
    if provisional.as_ref().is_some_and(|before| before.seconds() < LEAST_LEVEL) {
        return failing;
    }
    let before = provisional.as_ref().unwrap_or(before);
    let usual = Usual { before, wait: None, sides: watched.sides(), onset: failing };
    let mut timeline = Timeline::default();
    for (tick, seconds) in ticks() {
        timeline.take(tick, &seconds.own, &usual);
    }
    let rose = timeline.rose.filter(|rose| *rose < failing);
    rose.filter(|rose| is_up(ticks().skip_while(|(tick, _)| tick < rose), before, (*rose, failing)))
        .unwrap_or(failing)
}

/// Whether more came all the way from one tick to another, ticks of which are given: a rise that has gone again by then is a
/// chance, and pushed nothing over.
fn is_up<'a>(
    ticks: impl Iterator<Item = (TickId, &'a Arc<Seconds>)>,
    before: &Before,
    (from, until): (TickId, TickId),
) -> bool {
    let mut moved = Counts::default();
    ticks.take_while(|(tick, _)| *tick < until).for_each(|(_, seconds)| moved.merge(&seconds.own.counts));
    let seconds = (until.second - from.second).max(1) as f64;
    // Both counts scatter: what came, and what is known of before.
    let stretch = 1.0 + seconds / before.seconds().max(1.0);
    BURSTS.into_iter().any(|(measure, scatter)| {
        let usual = before.rate(measure).unwrap_or(0.0) * seconds;
        let more = of_counts(measure, &moved) as f64 - usual;
        usual > 0.0 && more >= (RISEN - 1.0) * usual && more >= CHANCE * (scatter * usual * stretch).sqrt()
    })
}

/// Whether a measure tells how a service fares, and not what comes.
pub(super) const fn is_of_health(measure: Measure) -> bool {
    matches!(
        measure,
        Measure::ServerErrors
            | Measure::Ignored
            | Measure::Refused
            | Measure::Unanswered
            | Measure::Waiting
            | Measure::BriefAnswers
            | Measure::Lagging
            | Measure::Late
            | Measure::LargeResent
    )
}
