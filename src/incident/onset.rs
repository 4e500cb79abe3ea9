//! When it began: walks back from the tick that decided, as long as the finding's key already weighed.

use crate::aggregate::{Cell, ScopeTick};
use crate::detect::{Finding, Key, Watched, of_cell, of_counts};
use crate::time::TickId;

/// A tick that weighs this part of the finding's rate belongs to it.
const WEIGHS: f64 = 0.25;

/// Ticks without weight that may lie inside: pulses and retries come every few seconds.
const GAP: i64 = 5;

/// What a finding's key did in one tick.
pub(super) fn weight(finding: &Finding, tick: &ScopeTick) -> u64 {
    let measure = finding.rule.measure;
    let sum = |cells: &mut dyn Iterator<Item = &Cell>| cells.map(|cell| of_cell(measure, cell)).sum();
    match finding.key {
        Key::Service => of_counts(measure, &tick.counts),
        Key::Country(country) => {
            sum(&mut tick.networks.iter().filter(|row| row.0.country == country).map(|row| &row.1))
        }
        Key::Network(asn) => {
            sum(&mut tick.networks.iter().filter(|row| row.0.asn == Some(asn)).map(|row| &row.1))
        }
        Key::Prefix(prefix) => {
            sum(&mut tick.prefixes.iter().filter(|row| row.0.prefix == prefix).map(|row| &row.1))
        }
        Key::Source(address) => {
            sum(&mut tick.sources.iter().filter(|row| row.0.address == address).map(|row| &row.1))
        }
    }
}

/// The tick in which the finding's traffic began.
pub(super) fn onset(finding: &Finding, watched: &Watched) -> TickId {
    let traffic = finding.rule.filter.traffic;
    let before = watched.before(traffic).row_rate(&finding.key, finding.rule.measure, finding.tick.second);
    let least = (finding.observed.rate * WEIGHS).max(before.unwrap_or(0.0) * 2.0);
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
