//! All that moved to a service since an incident's onset. Comes in: ticks. Goes out: what is told of the incident.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::cohort::{Cohort, Split};
use super::facts::Facts;
use super::health::{Examination, Found, holds_prefix};
use super::holders::{held_by_holders, is_about_holding};
use super::origins::Scale;
use super::suspects::Suspects;
use super::timeline::{Timeline, Usual};
use super::verdict::Case;
use super::{
    Attack, BruteForce, Cause, Condition, Foreign, Load, Neighbour, Origin, Part, Place, Scan, Sought, Unit,
    Unseen, Verdict,
};
use crate::aggregate::{Cell, Count, Counts, ScopeTick, Sides};
use crate::attribute::{Attribution, Country, Home};
use crate::detect::rule::{Evidence, Measure, Traffic, Weights};
use crate::detect::{Before, Key, Needs, Watched, Window, of_cell, of_counts};
use crate::flow::{Proof, ServerEnd, template_of};
use crate::time::TickId;

/// The sums since the onset.
#[derive(Debug)]
pub(super) struct Episode {
    pub from: TickId,
    /// Ticks up to and including this one are in the sums.
    pub until: TickId,
    traffic: Traffic,
    measure: Measure,
    sums: Sums,
    coverage: f64,
    /// What moved after `until`, up to and including `waited`: it belongs to the episode if that goes on.
    tail: Sums,
    waited: TickId,
    pub timeline: Timeline,
    /// The most connections that were held at a time.
    held: u64,
    /// Ticks up to and including this one are in the timeline.
    timed: TickId,
    /// The level of the seconds before the onset, where nothing is known of longer ago.
    provisional: Option<Before>,
}

/// What moved.
#[derive(Debug)]
struct Sums {
    /// The rows of the traffic that the opening rule looks at.
    window: Window,
    /// The service's own traffic.
    own: Counts,
    /// The traffic beside it.
    beside: Counts,
}

/// What is told of an episode.
pub(super) struct Account {
    pub origins: Vec<Origin>,
    pub neighbours: Vec<Neighbour>,
    pub foreign: Option<Foreign>,
    pub load: Load,
    pub found: Found,
    pub verdict: Verdict,
    pub end: Option<ServerEnd>,
    pub sides: Sides,
}

/// Where an account is given: who is home, from which share on foreign origins count as concentrated, what evidence
/// weighs, and what the rules say it is.
pub(super) struct Ground<'a> {
    pub home: &'a Home,
    pub concentrated_from: f64,
    pub attribute: &'a dyn Fn(IpAddr) -> Attribution,
    pub weights: &'a Weights,
    pub said: Option<Cause>,
    pub is_declared: bool,
}

/// Paths that are told.
const MOST_SOUGHT: usize = 5;

/// A path with less than this part of the requests is not told.
const LEAST_SOUGHT: f64 = 0.05;

/// Origins are told only where rows hold at least this part of the excess: the rest is traffic whose addresses prove
/// nothing, and the few who prove theirs are not to blame for it.
const LEAST_ATTRIBUTED: f64 = 0.5;

/// Connections opened for each that is held at a time: a server gives up slow ones after a minute or more, and their
/// owner opens them once again.
const RENEWED: f64 = 3.0;

/// A load of so many times that before is a crowd's, as in the timeline.
const CROWDED: f64 = 1.5;

/// Connections a second beyond the usual that are a flood: a backlog of 1024 is full within a minute.
const LEAST_CONNECTING: f64 = 20.0;

/// Seconds without an answer to attempts after which it is the server that is gone.
const SHUT: u64 = 5;

/// Seconds without an answer to anything that was asked after which it is, too: what stands behind a server answers late,
/// and until then nothing else may be asked for.
const MUTE: u64 = 15;

/// The part of the level before that an excess must come to.
const LEAST_MORE: f64 = 0.2;

/// Seconds of a past that is no longer young: verdicts are surer from here on.
const TEN_MINUTES: f64 = 600.0;

impl Sums {
    fn new() -> Self {
        Self { window: Window::new(Needs::ALL), own: Counts::default(), beside: Counts::default() }
    }

    fn absorb(&mut self, other: Self) {
        self.window.absorb(other.window);
        self.own.merge(&other.own);
        self.beside.merge(&other.beside);
    }
}

impl Episode {
    /// An episode that began at `from`, held against what came before it.
    pub fn new(from: TickId, traffic: Traffic, measure: Measure, watched: &Watched) -> Self {
        let before = from.plus(-1);
        let earliest = TickId { epoch: from.epoch, second: i64::MIN };
        let mut episode = Self {
            from,
            until: before,
            traffic,
            measure,
            sums: Sums::new(),
            coverage: 1.0,
            tail: Sums::new(),
            waited: before,
            timeline: Timeline::default(),
            held: 0,
            timed: earliest,
            provisional: None,
        };
        if !watched.before(traffic).is_known() {
            let earlier = watched.since(earliest).take_while(|(tick, _)| *tick < from);
            let ticks = earlier.map(|(tick, seconds)| (tick.second, seconds.of(traffic)));
            episode.provisional = Some(Before::provisional(ticks));
        }
        episode
    }

    /// Adds what moved up to `tick`.
    pub fn extend(&mut self, watched: &Watched, tick: TickId) {
        self.wait(watched, tick);
        let tail = std::mem::replace(&mut self.tail, Sums::new());
        self.sums.absorb(tail);
        self.until = tick;
    }

    /// Remembers what moved up to `tick`, without a finding: the windows forget it before a pulse may come again.
    pub fn wait(&mut self, watched: &Watched, tick: TickId) {
        for (_, seconds) in watched.since(self.waited.plus(1)).take_while(|(have, _)| *have <= tick) {
            let rows: &ScopeTick = seconds.of(self.traffic);
            self.tail.window.enter(rows);
            self.tail.own.merge(&seconds.own.counts);
            self.tail.beside.merge(&seconds.beside.counts);
            if rows.coverage > 0.0 {
                self.coverage = self.coverage.min(rows.coverage);
            }
        }
        self.waited = tick;
        self.held = self.held.max(watched.levels(Traffic::Own).service());
        let before = self.provisional.as_ref().unwrap_or_else(|| watched.before(Traffic::Own));
        let usual = Usual { before, wait: watched.habits().first_byte_wait(), sides: watched.sides() };
        let new =
            watched.since(self.timed).filter(|(have, _)| *have > self.timed || self.timed.second == i64::MIN);
        for (have, seconds) in new.take_while(|(have, _)| *have <= tick) {
            self.timeline.take(have, &seconds.own, &usual);
        }
        self.timed = tick;
    }

    fn before<'a>(&'a self, watched: &'a Watched) -> &'a Before {
        self.provisional.as_ref().unwrap_or_else(|| watched.before(self.traffic))
    }

    /// What can be said of it; `keys` are those that rules found.
    pub fn account(&self, watched: &Watched, keys: &BTreeSet<Key>, ground: &Ground<'_>) -> Account {
        let before = self.before(watched);
        let seconds = (self.until.second - self.from.second + 1).max(1) as f64;
        let second = self.until.second;
        let measure = self.told_measure(before, seconds);
        let total = of_counts(measure, &self.sums.window.counts) as f64;
        let level = before.rate(measure, second);
        let by_held = self.is_about_holding(before, seconds);
        // Who holds connections asks for little: by what is asked for, others would be told.
        let whose = if by_held { Measure::Held } else { measure };
        let row_excess = self.row_excess(before, whose, seconds);
        let counted = of_counts(whose, &self.sums.window.counts) as f64;
        let scale = Scale {
            measure: whose,
            seconds,
            second,
            before,
            excess: row_excess.max(counted - before.rate(whose, second).unwrap_or(0.0) * seconds),
            total: counted,
            home: ground.home,
            coverage: self.coverage,
        };
        let is_attributed =
            self.is_more(before, whose, seconds) && row_excess >= LEAST_ATTRIBUTED * scale.excess;
        let mut suspects = Suspects::of(&self.sums.window, keys, &scale);
        suspects.add_machines(&self.sums.window, &scale, watched.habits().busy_client());
        let rows = match self.measure {
            Measure::Probes => probing(&self.sums.window, keys, &scale, ground),
            _ if is_attributed => suspects.rows(&self.sums.window, &scale),
            _ => Vec::new(),
        };
        let cohorts = if is_attributed && self.measure != Measure::Probes {
            let habits = watched.habits();
            Split { window: &self.sums.window, scale: &scale, habits, origins: &rows }.cohorts()
        } else {
            Vec::new()
        };
        let by_connections = whose == Measure::Connections && is_access(self.measure);
        let by_packets = whose == Measure::Packets && is_access(self.measure);
        let is_crowded = by_packets && self.is_crowded(before, seconds, &rows);
        let cohorts =
            if (by_connections || by_packets) && !is_crowded { without_the_many(cohorts) } else { cohorts };
        let mut facts = self.facts(watched, before, seconds);
        let found = self.examine(watched, before, ground, (&rows, &facts));
        facts.failing = found.failing();
        let unit = self.unit(measure);
        let mut verdict = Case {
            weights: ground.weights,
            facts: facts.all(ground.is_declared),
            cohorts: &cohorts,
            busy_client: watched.habits().busy_client(),
            stage: usize::from(before.seconds() >= TEN_MINUTES),
            said: ground.said,
            unit,
            has_accesses: 2 * self.sums.own[Count::Accesses] >= self.sums.own[Count::Opened],
            unseen: self.unseen(watched, level),
            times: level.filter(|level| *level > 0.0).map(|level| total / seconds / level),
            by_connections,
            by_packets,
            is_connecting: self.is_connecting(before, seconds),
            is_hurt: found.health.state >= Condition::Degraded,
            is_silent: self.is_silent() || self.timeline.shut_for >= SHUT || self.timeline.mute_for >= MUTE,
            is_blind: watched.sides().is_one_way() || facts.is_lossy(),
            is_lossy: facts.is_lossy(),
        }
        .verdict();
        let is_of_one =
            matches!(verdict.cause, Cause::Scan(Scan::Path) | Cause::BruteForce(BruteForce::Single));
        let origins = if is_of_one && ground.said == Some(verdict.cause) {
            let rows = failing(&self.sums.window, keys, &scale, ground);
            verdict.parts =
                vec![Part { cause: verdict.cause, share: 1.0, origins: (0..rows.len()).collect() }];
            rows
        } else {
            told(rows, &mut verdict)
        };
        let rates = origins.iter().map(|row| row.rate);
        // What is held is no part of what is asked for.
        let from_origins: f64 = if by_held { 0.0 } else { rates.sum() };
        let rate = total / seconds;
        Account {
            foreign: self.foreign(before, measure, &origins, ground),
            load: Load {
                unit,
                rate,
                baseline: level,
                without_origins: (rate - from_origins).max(0.0),
                knee: None,
                total: total as u64,
            },
            neighbours: self.neighbours(&scale),
            found,
            verdict,
            end: self.end(),
            sides: watched.sides(),
            origins,
        }
    }

    fn facts<'a>(&'a self, watched: &'a Watched, before: &'a Before, seconds: f64) -> Facts<'a> {
        let (own, beside) = (&self.sums.own, &self.sums.beside);
        let second = self.until.second;
        Facts {
            watched,
            before,
            timeline: &self.timeline,
            own,
            beside,
            seconds,
            second,
            held: self.held_by_holders(before, seconds),
            failing: None,
        }
    }

    fn examine(
        &self,
        watched: &Watched,
        before: &Before,
        ground: &Ground<'_>,
        (origins, facts): (&[Origin], &Facts<'_>),
    ) -> Found {
        let is_forged =
            facts.all(false).iter().any(|fact| fact.evidence == Evidence::HalfOpen && fact.value >= 0.5);
        Examination {
            window: &self.sums.window,
            before,
            habits: watched.habits(),
            home: ground.home,
            origins,
            timeline: &self.timeline,
            own: &self.sums.own,
            sides: watched.sides(),
            second: self.until.second,
            is_forged,
            seconds: facts.seconds,
        }
        .found()
    }

    /// Whether hardly anything was answered since exchanges began to fail.
    fn is_silent(&self) -> bool {
        let own = &self.sums.own;
        let asked = own[Count::Requests].max(own[Count::Hellos]);
        own[Count::Unanswered] > 0 && 10 * own[Count::Responses].max(own[Count::FirstBytes]) < asked
    }

    /// Whether it is about connections that are held, more than about anything that is asked for.
    fn is_about_holding(&self, before: &Before, seconds: f64) -> bool {
        is_access(self.measure) && is_about_holding(self.held_by_holders(before, seconds))
    }

    /// Connections held by those who do little else, unless what is asked for beside them is what there is more of.
    fn held_by_holders(&self, before: &Before, seconds: f64) -> u64 {
        // A service that is asked much is asked a little more or less at any time.
        let usual = before.rate(Measure::Accesses, self.until.second).map(|level| (1.0 + LEAST_MORE) * level);
        let more = usual.map_or(0.0, |usual| self.sums.own[Count::Accesses] as f64 - usual * seconds);
        held_by_holders(&self.sums.window, more)
    }

    /// Whether the many ask notably more as well, beside few who send very many packets.
    fn is_crowded(&self, before: &Before, seconds: f64, few: &[Origin]) -> bool {
        let level = before.rate(Measure::Accesses, self.until.second).filter(|level| *level > 0.0);
        let of_few: u64 = self
            .sums
            .window
            .prefixes
            .iter()
            .filter(|(key, _)| few.iter().any(|row| holds_prefix(row, key)))
            .map(|(_, cell)| cell.accesses)
            .sum();
        let of_many = self.sums.own[Count::Accesses].saturating_sub(of_few) as f64 / seconds;
        level.is_some_and(|level| of_many >= CROWDED * level)
    }

    /// Whether connections come and go far beyond what is held at a time: a flood of them, while who is after the
    /// workers opens as many as he keeps.
    fn is_connecting(&self, before: &Before, seconds: f64) -> bool {
        let usual = before.rate(Measure::Connections, self.until.second).unwrap_or(0.0) * seconds;
        let more = self.sums.own[Count::Opened] as f64 - usual;
        more >= RENEWED * self.held as f64 && more >= LEAST_CONNECTING * seconds
    }

    /// What this mirror does not show of it.
    fn unseen(&self, watched: &Watched, level: Option<f64>) -> Vec<Unseen> {
        let own = &self.sums.own;
        let encrypted = own[Count::Hellos] > 0 && 2 * own[Count::Hellos] >= own[Count::Accesses];
        let all = [
            (Unseen::Encrypted, encrypted),
            (Unseen::OneWay, watched.sides().is_one_way()),
            (Unseen::Before, level.is_none() || self.provisional.is_some()),
        ];
        all.into_iter().filter(|(_, is)| *is).map(|(what, _)| what).collect()
    }

    /// The labelled clients' part of the traffic.
    fn neighbours(&self, scale: &Scale<'_>) -> Vec<Neighbour> {
        let mut sums = BTreeMap::new();
        for (lineage, cell) in &self.sums.window.networks {
            if let Some(label) = lineage.label {
                *sums.entry(label).or_insert(0.0) += of_cell(scale.measure, cell) as f64;
            }
        }
        let told = |(label, count): (_, f64)| Neighbour {
            label,
            traffic_share: if scale.total > 0.0 { (count / scale.total).min(1.0) } else { 0.0 },
            rate: count / scale.seconds.max(1.0),
        };
        sums.into_iter().map(told).collect()
    }

    /// What the load is measured by: errors and requests by the accesses that they are part of; by connections where
    /// there are more of these and hardly more accesses, as when somebody connects and says little.
    fn told_measure(&self, before: &Before, seconds: f64) -> Measure {
        match self.measure {
            // What can be read is told by what it asks for, whatever was noticed first.
            Measure::Packets
                if self.traffic == Traffic::Own
                    && 2 * self.sums.own[Count::Requests] >= self.sums.own[Count::Accesses]
                    && self.is_more(before, Measure::Accesses, seconds) =>
            {
                Measure::Accesses
            }
            Measure::Packets | Measure::Bytes | Measure::Connections => self.measure,
            measure if is_access(measure) => {
                // Conversations that stay open, and encrypted ones, hide requests; few that send very much do not hide.
                let open = [Measure::Accesses, Measure::Connections, Measure::Packets];
                let more = open.into_iter().find(|measure| self.is_more(before, *measure, seconds));
                more.unwrap_or(Measure::Accesses)
            }
            _ => Measure::Packets,
        }
    }

    /// Whether rows hold notably more than before; what rows scatter is not to be blamed on anybody.
    fn is_more(&self, before: &Before, measure: Measure, seconds: f64) -> bool {
        let level = before.rate(measure, self.until.second);
        let excess = self.row_excess(before, measure, seconds);
        level.is_none_or(|level| excess >= LEAST_MORE * level * seconds)
    }

    /// Accesses are requests where most of them could be read.
    fn unit(&self, measure: Measure) -> Unit {
        let readable =
            2 * self.sums.window.counts[Count::Requests] >= self.sums.window.counts[Count::Accesses];
        match measure {
            Measure::Packets => Unit::Packets,
            Measure::Bytes => Unit::Bytes,
            Measure::Accesses if readable => Unit::Requests,
            _ => Unit::Connections,
        }
    }

    /// What the countries' rows have more than before.
    fn row_excess(&self, before: &Before, measure: Measure, seconds: f64) -> f64 {
        let level =
            |country| before.row_rate(&Key::Country(country), measure, self.until.second).unwrap_or(0.0);
        self.countries(measure)
            .into_iter()
            .map(|(country, count)| (count - level(country) * seconds).max(0.0))
            .sum()
    }

    fn countries(&self, measure: Measure) -> Vec<(Country, f64)> {
        let mut countries = std::collections::BTreeMap::<Country, u64>::new();
        for (lineage, cell) in &self.sums.window.networks {
            *countries.entry(lineage.country).or_default() += of_cell(measure, cell);
        }
        countries.into_iter().map(|(country, count)| (country, count as f64)).collect()
    }

    fn foreign(
        &self,
        before: &Before,
        measure: Measure,
        origins: &[Origin],
        ground: &Ground<'_>,
    ) -> Option<Foreign> {
        if ground.home.is_unknown() {
            return None;
        }
        let total = of_counts(measure, &self.sums.window.counts) as f64;
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
        // Paths that differ in identifiers only are one; where there is but one, it is told as it is.
        let mut paths = BTreeMap::<(&str, Cow<'_, str>), (u64, BTreeSet<&str>)>::new();
        for (key, count) in &self.sums.window.paths {
            if countries.is_empty() || countries.contains(&key.country) {
                let (sum, all) = paths.entry((&key.method, template_of(&key.path))).or_default();
                *sum += count;
                if all.len() < 2 {
                    all.insert(&key.path);
                }
            }
        }
        let whole: u64 = paths.values().map(|(sum, _)| sum).sum();
        let mut sought: Vec<Sought> = paths
            .into_iter()
            .map(|((method, template), (count, all))| Sought {
                method: method.to_owned(),
                path: match all.first() {
                    Some(only) if all.len() == 1 => (*only).to_owned(),
                    _ => template.into_owned(),
                },
                share: count as f64 / whole.max(1) as f64,
            })
            .filter(|sought| sought.share >= LEAST_SOUGHT)
            .collect();
        sought
            .sort_by(|one, other| other.share.total_cmp(&one.share).then_with(|| one.path.cmp(&other.path)));
        sought.truncate(MOST_SOUGHT);
        sought
    }

    fn end(&self) -> Option<ServerEnd> {
        let most =
            self.sums.window.ends.iter().max_by_key(|(end, count)| (**count, std::cmp::Reverse(**end)));
        most.map(|(end, _)| *end)
    }
}

/// Where there are more connections and no more accesses, the many are people who connect again: no crowd.
fn without_the_many(cohorts: Vec<Cohort>) -> Vec<Cohort> {
    cohorts.into_iter().filter(|cohort| cohort.who.is_few()).collect()
}

/// Whether a measure is of those whose load is told in accesses.
fn is_access(measure: Measure) -> bool {
    !matches!(
        measure,
        Measure::HalfOpen
            | Measure::Unearned
            | Measure::Attempts
            | Measure::Udp
            | Measure::Icmp
            | Measure::Fragments
            | Measure::Reflected
            | Measure::Probes
    )
}

/// The sources that tried ports, as far as rules found them. Nothing proves their addresses.
fn probing(window: &Window, keys: &BTreeSet<Key>, scale: &Scale<'_>, ground: &Ground<'_>) -> Vec<Origin> {
    let mut attempts: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for (key, probe) in &window.probed {
        *attempts.entry(key.source).or_default() += u64::from(probe.attempts);
    }
    named(attempts, keys, scale, ground)
}

/// The sources that rules found failing: what they were denied, what they missed, or else their connections.
fn failing(window: &Window, keys: &BTreeSet<Key>, scale: &Scale<'_>, ground: &Ground<'_>) -> Vec<Origin> {
    let count = |of: fn(&Cell) -> u64| {
        let mut counts: BTreeMap<IpAddr, u64> = BTreeMap::new();
        for (key, cell) in window.sources.iter().filter(|(_, cell)| of(cell) > 0) {
            *counts.entry(key.address).or_default() += of(cell);
        }
        counts
    };
    let failed = count(|cell| u64::from(cell.denied) + u64::from(cell.missing));
    let counts = if failed.is_empty() { count(|cell| cell.connections) } else { failed };
    let mut rows = named(counts, keys, scale, ground);
    let proven = |address| {
        let own = window.sources.keys().filter(move |key| key.address == address);
        own.into_iter().all(|key| key.prefix.lineage.proof == Proof::Proven)
    };
    rows.iter_mut().for_each(|row| row.proven = proven(row.example));
    rows
}

/// Rows of those sources that rules name, by what was counted of them.
fn named(
    counts: BTreeMap<IpAddr, u64>,
    keys: &BTreeSet<Key>,
    scale: &Scale<'_>,
    ground: &Ground<'_>,
) -> Vec<Origin> {
    let whole: u64 = counts.values().sum();
    let row = |(address, count): (IpAddr, u64)| {
        let attribution = (ground.attribute)(address);
        Origin {
            place: Place::Source(address),
            country: attribution.country,
            asn: attribution.asn,
            example: address,
            foreign: (!scale.home.is_unknown()).then(|| scale.home.is_foreign(attribution.country)),
            share: count as f64 / whole.max(1) as f64,
            traffic_share: (count as f64 / scale.total.max(1.0)).min(1.0),
            baseline_share: 0.0,
            rate: count as f64 / scale.seconds.max(1.0),
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

/// The rows that are told: those of cohorts that somebody may be asked about. A crowd and a fault have no origin.
fn told(rows: Vec<Origin>, verdict: &mut Verdict) -> Vec<Origin> {
    let blameless = |cause| matches!(cause, Cause::FlashCrowd | Cause::Glitch(_));
    let forged = |cause| matches!(cause, Cause::Attack(Attack::SynFlood));
    if matches!(verdict.cause, Cause::Scan(Scan::Port | Scan::Host)) {
        return rows;
    }
    let mut kept: Vec<usize> = verdict
        .parts
        .iter()
        .filter(|part| !blameless(part.cause) && !forged(part.cause))
        .flat_map(|part| part.origins.iter().copied())
        .collect();
    kept.sort_unstable();
    kept.dedup();
    for part in &mut verdict.parts {
        part.origins = part.origins.iter().filter_map(|at| kept.binary_search(at).ok()).collect();
    }
    let is_kept = |at: &usize| kept.binary_search(at).is_ok();
    rows.into_iter().enumerate().filter(|(at, _)| is_kept(at)).map(|(_, row)| row).collect()
}
