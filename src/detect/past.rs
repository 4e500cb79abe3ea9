//! What is known of the time before a window: what was learned and, while that is too little, the seconds that can still
//! be looked back at. Comes in: a service's picture. Goes out: how long that time is, and levels and shares in it.
//! Seconds of an incident are no part of it.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::measure::{labelled, of_cell, of_counts};
use super::rule::{Measure, Traffic};
use super::watched::Watched;
use super::{Before, Key};
use crate::aggregate::{Cell, Lineage, ScopeTick};
use crate::attribute::Country;

/// The time before a window.
pub struct Past<'a> {
    before: &'a Before,
    /// Ticks before the window that are not learned yet; none once enough is learned.
    earlier: Vec<&'a ScopeTick>,
    seconds: f64,
    /// Whether it is what was learned before this run.
    is_learned: bool,
}

impl<'a> Past<'a> {
    /// The time before the last `ticks` ticks, as far as a measure is known in it.
    pub fn of(watched: &'a Watched, ticks: u64, traffic: Traffic, measure: Measure) -> Self {
        let before = watched.before(traffic);
        if before.is_seen() {
            return Self { before, earlier: Vec::new(), seconds: before.seconds(), is_learned: false };
        }
        if let Some(seconds) = before.learned_seconds(measure) {
            return Self { before, earlier: Vec::new(), seconds, is_learned: true };
        }
        let (earlier, seconds) = watched.earlier(ticks, traffic);
        Self { before, earlier, seconds: before.seconds() + seconds as f64, is_learned: false }
    }

    /// How long it is in seconds; seconds that were learned long ago count less (half after ten minutes).
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The service's level in it per second; 0 where nothing is known.
    pub fn rate(&self, measure: Measure) -> f64 {
        if self.is_learned {
            return self.before.rate(measure).unwrap_or(0.0);
        }
        if self.seconds > 0.0 { self.sum(measure) / self.seconds } else { 0.0 }
    }

    /// Each key's part of the whole in it, the keys being all of one kind; `None` where all of it is learned, so that a look
    /// into the rows suffices, or where there was nothing.
    pub fn shares(&self, keys: &[Key], counted: Amount) -> Option<Vec<f64>> {
        let (measure, labelled) = counted;
        let whole = self.sum(measure);
        if self.earlier.is_empty() || whole <= 0.0 {
            return None;
        }
        let mut sums = RowSums::of(keys);
        for tick in &self.earlier {
            sums.add(tick, counted);
        }
        let share = |(key, seen): (&Key, u64)| {
            let lately = (seen as f64 + self.learned(key, measure, labelled)) / whole;
            lately.max(self.before.usual_share(key)).min(1.0)
        };
        Some(keys.iter().zip(sums.sums).map(share).collect())
    }

    /// The part of the whole in it that those countries have together of which `is_one` says so; otherwise as [`Past::shares`].
    pub fn share_of_countries(&self, is_one: impl Fn(Country) -> bool, counted: Amount) -> Option<f64> {
        let (measure, labelled) = counted;
        let whole = self.sum(measure);
        if self.earlier.is_empty() || whole <= 0.0 {
            return None;
        }
        let rows = self.earlier.iter().flat_map(|tick| &tick.networks);
        let theirs = rows.filter(|(row, _)| is_counted(row, labelled) && is_one(row.country));
        let seen: u64 = theirs.map(|(_, cell)| of_cell(measure, cell)).sum();
        let countries = self.before.countries().filter(|country| is_one(*country));
        let learned: f64 =
            countries.map(|country| self.learned(&Key::Country(country), measure, labelled)).sum();
        Some(((seen as f64 + learned) / whole).min(1.0))
    }

    /// The level per second of labelled clients in it; 0 where nothing is known.
    pub fn labelled_rate(&self, measure: Measure) -> f64 {
        if self.is_learned {
            return self.before.labelled_rate(measure);
        }
        let seen: u64 = self.earlier.iter().map(|tick| of_cell(measure, &labelled(tick))).sum();
        let sum = seen as f64 + self.before.labelled_sum(&Key::Service, measure);
        if self.seconds > 0.0 { sum / self.seconds } else { 0.0 }
    }

    /// A row's sum in what is learned of this run.
    fn learned(&self, key: &Key, measure: Measure, labelled: Option<bool>) -> f64 {
        let (all, own) = (self.before.row_sum(key, measure), self.before.labelled_sum(key, measure));
        match labelled {
            None => all,
            Some(true) => own,
            Some(false) => (all - own).max(0.0),
        }
    }

    fn sum(&self, measure: Measure) -> f64 {
        let seen: u64 = self.earlier.iter().map(|tick| of_counts(measure, &tick.counts)).sum();
        seen as f64 + self.before.sum(measure)
    }
}

/// A measure, and whether of labelled clients or of others only.
pub type Amount = (Measure, Option<bool>);

fn is_counted(row: &Lineage, labelled: Option<bool>) -> bool {
    labelled.is_none_or(|want| want == row.label.is_some())
}

/// What the rows of ticks come to for the keys that are asked for, which are all of one kind.
struct RowSums {
    kind: Option<Key>,
    places: HashMap<Key, usize, RandomState>,
    sums: Vec<u64>,
}

impl RowSums {
    fn of(keys: &[Key]) -> Self {
        let places = keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
        Self { kind: keys.first().copied(), places, sums: vec![0; keys.len()] }
    }

    fn add(&mut self, tick: &ScopeTick, (measure, labelled): Amount) {
        let (places, sums) = (&self.places, &mut self.sums);
        // Rows of one key often follow each other.
        let (mut last, mut place) = (None, None);
        let mut add = |key: Key, lineage: &Lineage, cell: &Cell| {
            if !is_counted(lineage, labelled) {
                return;
            }
            if last != Some(key) {
                (last, place) = (Some(key), places.get(&key));
            }
            if let Some(sum) = place.and_then(|place| sums.get_mut(*place)) {
                *sum += of_cell(measure, cell);
            }
        };
        match self.kind {
            None | Some(Key::Service) => {}
            Some(Key::Country(_)) => {
                tick.networks.iter().for_each(|(row, cell)| add(Key::Country(row.country), row, cell));
            }
            Some(Key::Network(_)) => tick
                .networks
                .iter()
                .for_each(|(row, cell)| row.asn.iter().for_each(|asn| add(Key::Network(*asn), row, cell))),
            Some(Key::Prefix(_)) => {
                tick.prefixes.iter().for_each(|(row, cell)| add(Key::Prefix(row.prefix), &row.lineage, cell));
            }
            Some(Key::Source(_)) => tick
                .sources
                .iter()
                .for_each(|(row, cell)| add(Key::Source(row.address), &row.prefix.lineage, cell)),
        }
    }
}
