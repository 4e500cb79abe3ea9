//! All that moved to a service since an incident's onset. Comes in: ticks. Goes out: what is told of the incident.

use std::collections::BTreeSet;

use super::origins::{Scale, Tree};
use super::{Condition, Foreign, Health, Load, Origin, Sought, Unit};
use crate::aggregate::{Cell, Count, Sides};
use crate::attribute::{Country, Home};
use crate::detect::rule::{Measure, Traffic};
use crate::detect::{Key, Needs, Watched, Window, of_cell, of_counts};
use crate::flow::ServerEnd;
use crate::time::TickId;

/// The sums since the onset.
#[derive(Debug)]
pub(super) struct Episode {
    pub from: TickId,
    /// Ticks up to and including this one are in the sums.
    pub until: TickId,
    traffic: Traffic,
    measure: Measure,
    window: Window,
    coverage: f64,
    /// What moved after `until`, up to and including `waited`: it belongs to the episode if that goes on.
    tail: Window,
    waited: TickId,
}

/// What is told of an episode.
pub(super) struct Account {
    pub origins: Vec<Origin>,
    pub foreign: Option<Foreign>,
    pub load: Load,
    pub health: Health,
    pub end: Option<ServerEnd>,
    pub sides: Sides,
}

/// Where an account is given: who is home, and from which share on foreign origins count as concentrated.
pub(super) struct Ground<'a> {
    pub home: &'a Home,
    pub concentrated_from: f64,
}

/// Paths that are told.
const MOST_SOUGHT: usize = 5;

/// A path with less than this part of the requests is not told.
const LEAST_SOUGHT: f64 = 0.05;

/// Origins are told only where rows hold at least this part of the excess: the rest is traffic whose addresses prove
/// nothing, and the few who prove theirs are not to blame for it.
const LEAST_ATTRIBUTED: f64 = 0.5;

impl Episode {
    pub fn new(from: TickId, traffic: Traffic, measure: Measure) -> Self {
        let (window, tail) = (Window::new(Needs::ALL), Window::new(Needs::ALL));
        let before = from.plus(-1);
        Self { from, until: before, traffic, measure, window, coverage: 1.0, tail, waited: before }
    }

    /// Adds what moved up to `tick`.
    pub fn extend(&mut self, watched: &Watched, tick: TickId) {
        self.wait(watched, tick);
        let tail = std::mem::replace(&mut self.tail, Window::new(Needs::ALL));
        self.window.absorb(tail);
        self.until = tick;
    }

    /// Remembers what moved up to `tick`, without a finding: the windows forget it before a pulse may come again.
    pub fn wait(&mut self, watched: &Watched, tick: TickId) {
        for (_, seconds) in watched.since(self.waited.plus(1)).take_while(|(have, _)| *have <= tick) {
            let sums = seconds.of(self.traffic);
            self.tail.enter(sums);
            if sums.coverage > 0.0 {
                self.coverage = self.coverage.min(sums.coverage);
            }
        }
        self.waited = tick;
    }

    /// What can be said of it; `keys` are those that rules found.
    pub fn account(&self, watched: &Watched, keys: &BTreeSet<Key>, ground: &Ground<'_>) -> Account {
        let before = watched.before(self.traffic);
        let seconds = (self.until.second - self.from.second + 1).max(1) as f64;
        let second = self.until.second;
        let measure = self.told_measure();
        let total = of_counts(measure, &self.window.counts) as f64;
        let level = before.rate(measure, second);
        let row_excess = self.row_excess(watched, measure, seconds);
        let excess = row_excess.max(total - level.unwrap_or(0.0) * seconds);
        let scale = Scale {
            measure,
            seconds,
            second,
            before,
            excess,
            total,
            home: ground.home,
            coverage: self.coverage,
        };
        let attributed = row_excess >= LEAST_ATTRIBUTED * excess;
        let origins = if attributed { Tree::of(&self.window, keys).origins(&scale) } else { Vec::new() };
        let from_origins: f64 = origins.iter().map(|row| row.rate).sum();
        let rate = total / seconds;
        Account {
            foreign: self.foreign(watched, measure, &origins, ground),
            load: Load {
                unit: self.unit(),
                rate,
                baseline: level,
                without_origins: (rate - from_origins).max(0.0),
                total: total as u64,
            },
            health: self.health(&origins),
            end: self.end(),
            sides: watched.sides(),
            origins,
        }
    }

    /// What the load is measured by: errors and requests by the accesses that they are part of.
    fn told_measure(&self) -> Measure {
        match self.measure {
            Measure::Packets | Measure::Bytes | Measure::Connections => self.measure,
            Measure::HalfOpen
            | Measure::Unearned
            | Measure::Attempts
            | Measure::Ignored
            | Measure::Refused
            | Measure::Probes
            | Measure::Udp
            | Measure::Icmp
            | Measure::Fragments
            | Measure::Reflected => Measure::Packets,
            Measure::Held | Measure::Holding => Measure::Connections,
            Measure::Requests
            | Measure::Accesses
            | Measure::ClientErrors
            | Measure::ServerErrors
            | Measure::Unanswered
            | Measure::Waiting
            | Measure::Late
            | Measure::Denied
            | Measure::Missing
            | Measure::Resets
            | Measure::LargeResent => Measure::Accesses,
        }
    }

    /// Accesses are requests where most of them could be read.
    fn unit(&self) -> Unit {
        let readable = 2 * self.window.counts[Count::Requests] >= self.window.counts[Count::Accesses];
        match self.told_measure() {
            Measure::Packets => Unit::Packets,
            Measure::Bytes => Unit::Bytes,
            Measure::Accesses if readable => Unit::Requests,
            _ => Unit::Connections,
        }
    }

    /// What the countries' rows have more than before.
    fn row_excess(&self, watched: &Watched, measure: Measure, seconds: f64) -> f64 {
        let before = watched.before(self.traffic);
        let level =
            |country| before.row_rate(&Key::Country(country), measure, self.until.second).unwrap_or(0.0);
        self.countries(measure)
            .into_iter()
            .map(|(country, count)| (count - level(country) * seconds).max(0.0))
            .sum()
    }

    fn countries(&self, measure: Measure) -> Vec<(Country, f64)> {
        let mut countries = std::collections::BTreeMap::<Country, u64>::new();
        for (lineage, cell) in &self.window.networks {
            *countries.entry(lineage.country).or_default() += of_cell(measure, cell);
        }
        countries.into_iter().map(|(country, count)| (country, count as f64)).collect()
    }

    fn foreign(
        &self,
        watched: &Watched,
        measure: Measure,
        origins: &[Origin],
        ground: &Ground<'_>,
    ) -> Option<Foreign> {
        if ground.home.is_unknown() {
            return None;
        }
        let before = watched.before(self.traffic);
        let total = of_counts(measure, &self.window.counts) as f64;
        let abroad: Vec<(Country, f64)> = self
            .countries(measure)
            .into_iter()
            .filter(|(country, _)| ground.home.is_foreign(*country))
            .collect();
        let count: f64 = abroad.iter().map(|(_, count)| count).sum::<f64>() + 0.0;
        let level =
            |country| before.row_share(&Key::Country(country), measure, self.until.second).unwrap_or(0.0);
        let held: f64 = origins.iter().filter(|row| row.foreign == Some(true)).map(|row| row.share).sum();
        Some(Foreign {
            concentrated: held > 0.0 && held >= ground.concentrated_from,
            share: if total > 0.0 { count / total } else { 0.0 },
            baseline_share: abroad.iter().map(|(country, _)| level(*country)).sum::<f64>().clamp(0.0, 1.0),
        })
    }

    /// What the origins' countries asked for; everybody where there are no origins.
    pub fn sought(&self, origins: &[Origin]) -> Vec<Sought> {
        let countries: BTreeSet<Country> = origins.iter().map(|row| row.country).collect();
        let mut paths = std::collections::BTreeMap::<(&str, &str), u64>::new();
        for (key, count) in &self.window.paths {
            if countries.is_empty() || countries.contains(&key.country) {
                *paths.entry((&key.method, &key.path)).or_default() += count;
            }
        }
        let whole: u64 = paths.values().sum();
        let mut sought: Vec<Sought> = paths
            .into_iter()
            .map(|((method, path), count)| Sought {
                method: method.to_owned(),
                path: path.to_owned(),
                share: count as f64 / whole.max(1) as f64,
            })
            .filter(|sought| sought.share >= LEAST_SOUGHT)
            .collect();
        sought
            .sort_by(|one, other| other.share.total_cmp(&one.share).then_with(|| one.path.cmp(&other.path)));
        sought.truncate(MOST_SOUGHT);
        sought
    }

    /// How the service answers the clients outside the origins' countries; all clients where there are no origins.
    fn health(&self, origins: &[Origin]) -> Health {
        let blamed: BTreeSet<Country> = origins.iter().map(|row| row.country).collect();
        let mut others = Cell::default();
        for (lineage, cell) in &self.window.networks {
            if !blamed.contains(&lineage.country) {
                others.merge(cell);
            }
        }
        let ratio = (others.responses > 0).then(|| others.server_errors as f64 / others.responses as f64);
        let state = match ratio {
            None => Condition::Unknown,
            Some(ratio) if ratio >= 0.5 => Condition::Down,
            Some(ratio) if ratio >= 0.1 => Condition::Degraded,
            Some(_) => Condition::Ok,
        };
        Health { state, failure_ratio: ratio }
    }

    fn end(&self) -> Option<ServerEnd> {
        let most = self.window.ends.iter().max_by_key(|(end, count)| (**count, std::cmp::Reverse(**end)));
        most.map(|(end, _)| *end)
    }
}
