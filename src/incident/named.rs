//! Sources that rules name by themselves: whoever tries ports, paths or passwords. Comes in: the rows of an episode and the
//! keys that rules found. Goes out: a row for each such source. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::episode::Ground;
use super::origins::Scale;
use super::{Origin, Place};
use crate::aggregate::Cell;
use crate::detect::rule::Measure;
use crate::detect::{Key, Window, counts_as, of_cell};
use crate::flow::Proof;

/// The sources that tried ports, addresses, or paths without a conversation, as far as rules found them. Nothing proves their
/// addresses.
pub(super) fn probing(
    (window, measure): (&Window, Measure),
    keys: &BTreeSet<Key>,
    scale: &Scale<'_>,
    ground: &Ground<'_>,
) -> Vec<Origin> {
    let mut attempts: BTreeMap<IpAddr, Count> = BTreeMap::new();
    for (key, probe) in window.probed.iter().filter(|(key, _)| counts_as(measure, key.tried)) {
        let own = attempts.entry(key.source).or_default();
        own.named_for += u64::from(probe.attempts);
        own.all += u64::from(probe.attempts);
    }
    named(attempts, keys, scale, ground)
}

/// The sources that rules found failing: what they were denied, what they missed, what they let drip or
/// draw out, or else their connections.
pub(super) fn failing(
    window: &Window,
    keys: &BTreeSet<Key>,
    scale: &Scale<'_>,
    ground: &Ground<'_>,
) -> Vec<Origin> {
    let count = |of: fn(&Cell) -> u64| {
        let mut counts: BTreeMap<IpAddr, Count> = BTreeMap::new();
        for (key, cell) in window.sources.iter().filter(|(_, cell)| of(cell) > 0) {
            let own = counts.entry(key.address).or_default();
            own.named_for += of(cell);
            own.all += of_cell(scale.told, cell);
        }
        counts
    };
    let failed = count(|cell| {
        [cell.denied, cell.missing, cell.drips, cell.drawn_out].map(u64::from).into_iter().sum()
    });
    let counts = if failed.is_empty() { count(|cell| cell.connections) } else { failed };
    let mut rows = named(counts, keys, scale, ground);
    let proven = |address| {
        let own = window.sources.keys().filter(move |key| key.address == address);
        own.into_iter().all(|key| key.prefix.lineage.proof == Proof::Proven)
    };
    rows.iter_mut().for_each(|row| row.proven = proven(row.example));
    rows
}

/// What a source did.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// What rules name it for.
    named_for: u64,
    /// All of it, in what the load is told in.
    all: u64,
}

/// Rows of those sources that rules name, by what was counted of them.
fn named(
    counts: BTreeMap<IpAddr, Count>,
    keys: &BTreeSet<Key>,
    scale: &Scale<'_>,
    ground: &Ground<'_>,
) -> Vec<Origin> {
    let whole: u64 = counts.values().map(|count| count.named_for).sum();
    let row = |(address, count): (IpAddr, Count)| {
        let named_for = count.named_for as f64;
        let attribution = (ground.attribute)(address);
        Origin {
            place: Place::Source(address),
            country: attribution.country,
            asn: attribution.asn,
            example: address,
            foreign: (!scale.home.is_unknown()).then(|| scale.home.is_foreign(attribution.country)),
            share: named_for / whole.max(1) as f64,
            traffic_share: (named_for / scale.total.max(1.0)).min(1.0),
            baseline_share: 0.0,
            rate: count.all as f64 / scale.seconds.max(1.0),
            sources: 1,
            proven: false,
            label: attribution.label,
        }
    };
    let found = counts.into_iter().filter(|(address, _)| keys.contains(&Key::Source(*address)));
    found.take(MOST_NAMED).map(row).collect()
}

/// Sources that rules name, of which this many are told.
const MOST_NAMED: usize = 16;
