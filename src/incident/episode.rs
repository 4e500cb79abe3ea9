//! All that moved to a service since an incident's onset. Comes in: ticks. Goes out: what is told of the incident.

mod reckoning;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::account::{Account, is_concentrated};
use super::clients::Clients;
use super::cohort::Cohort;
use super::contrast::Ordinary;
use super::excess::{Excess, LEAST_MORE, by_country};
use super::facts::Facts;
use super::health::{Examination, Found, holds_prefix};
use super::holders::{drawn_out_by_few, held_by_holders, is_about_holding};
use super::onset::is_of_health;
use super::origins::Scale;
use super::timeline::{Timeline, Usual};
use super::{Attack, Cause, Foreign, Neighbour, Origin, Scan, Unit, Unseen, Verdict};
use crate::aggregate::{Cell, Count, Counts, ScopeTick, Sides};
use crate::attribute::{Attribution, Country, Home, LabelId};
use crate::detect::baseline::{Stage, signal_of};
use crate::detect::rule::{Evidence, Measure, Traffic, Weights};
use crate::detect::{Before, Key, Needs, Watched, Window, of_counts};
use crate::flow::ServerEnd;
use crate::time::TickId;
use reckoning::Reckoning;

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
    /// The first tick of all that is known then.
    first: Option<TickId>,
    /// The traffic of the minute before the onset.
    ordinary: Ordinary,
    /// The clients of that minute.
    clients: Clients,
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

/// Where an account is given: who is home, from which share on foreign origins count as concentrated, what evidence
/// weighs, what the rules say it is, and what was told of it last.
pub(super) struct Ground<'a> {
    pub home: &'a Home,
    pub concentrated_from: f64,
    pub attribute: &'a dyn Fn(IpAddr) -> Attribution,
    pub weights: &'a Weights,
    pub said: Option<Cause>,
    /// Whether rules say so of whatever is asked for.
    pub is_said_of_all: bool,
    pub told: Option<Cause>,
    pub is_declared: bool,
}

/// Origins are told only where rows hold at least this part of the excess: the rest is traffic whose addresses prove
/// nothing, and the few who prove theirs are not to blame for it.
const LEAST_ATTRIBUTED: f64 = 0.5;

/// Connections opened for each that is held at a time: a server gives up slow ones after a minute or more, and their
/// owner opens them once again.
const RENEWED: f64 = 3.0;

/// So many connections more for each access more are not opened to ask for something.
const MOSTLY: f64 = 3.0;

/// A load of so many times that before is a crowd's, as in the timeline.
const CROWDED: f64 = 1.5;

/// Connections a second beyond the usual that are a flood: a backlog of 1024 is full within a minute.
const LEAST_CONNECTING: f64 = 20.0;

/// Seconds without an answer to attempts after which it is the server that is gone.
const SHUT: u64 = 5;

/// Seconds without an answer to anything that was asked after which it is, too: what stands behind a server answers late,
/// and until then nothing else may be asked for.
const MUTE: u64 = 15;

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
            first: None,
            ordinary: ordinary(watched, from, traffic),
            clients: Clients::before(watched, from, traffic),
        };
        if !watched.before(traffic).is_known() {
            episode.first = watched.since(earliest).map(|(tick, _)| tick).next();
            episode.provisional = Some(provisional(watched, (from, traffic), measure));
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

    /// Follows what moves up to `tick`, without a finding.
    pub fn wait(&mut self, watched: &Watched, tick: TickId) {
        self.remember(watched, tick);
        self.held = self.held.max(watched.levels(Traffic::Own).service());
        let before = self.provisional.as_ref().unwrap_or_else(|| watched.before(Traffic::Own));
        let wait = watched.habits().first_byte_wait();
        let usual = Usual { before, wait, sides: watched.sides(), onset: self.from };
        let new =
            watched.since(self.timed).filter(|(have, _)| *have > self.timed || self.timed.second == i64::MIN);
        for (have, seconds) in new.take_while(|(have, _)| *have <= tick) {
            self.timeline.take(have, &seconds.own, &usual);
        }
        self.timed = tick;
    }

    /// Remembers what moved up to `tick` in case that it belongs to it: the windows forget it before a pulse may come again.
    pub fn remember(&mut self, watched: &Watched, tick: TickId) {
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
    }

    fn before<'a>(&'a self, watched: &'a Watched) -> &'a Before {
        self.provisional.as_ref().unwrap_or_else(|| watched.before(self.traffic))
    }

    /// What can be said of it; `keys` are those that rules found.
    pub fn account(&self, watched: &Watched, keys: &BTreeSet<Key>, ground: &Ground<'_>) -> Account {
        Reckoning::of(self, watched, keys, ground).account()
    }

    /// Adds to an account what is only told: it takes long to find, and most looks at an episode are told to nobody.
    pub fn describe(
        &self,
        account: &mut Account,
        (watched, keys, ground): (&Watched, &BTreeSet<Key>, &Ground<'_>),
    ) {
        let reckoning = Reckoning::of(self, watched, keys, ground);
        let beside = reckoning.beside();
        (account.contrast, account.sought) = (beside.contrast(), beside.sought(&account.origins));
    }

    fn facts<'a>(
        &'a self,
        watched: &'a Watched,
        before: &'a Before,
        (seconds, home): (f64, &Home),
    ) -> Facts<'a> {
        let (own, beside) = (&self.sums.own, &self.sums.beside);
        Facts {
            watched,
            before,
            timeline: &self.timeline,
            own,
            beside,
            seconds,
            held: self.held_by_holders(before, seconds),
            drawn_out: drawn_out_by_few(&self.sums.window),
            clients: self.sums.window.sources.values().filter(|cell| cell.accesses > 0).count(),
            replaced: self
                .excess(before, seconds)
                .of_newcomers(self.told_measure(before, seconds), |lineage| home.is_foreign(lineage.country)),
            first: self.first,
            failing: None,
            is_well: false,
        }
    }

    /// The most that was carried in health; nothing of it is learned of what goes beside.
    fn knee(&self, watched: &Watched, measure: Measure) -> Option<f64> {
        let baseline = watched.baseline().filter(|_| self.traffic == Traffic::Own)?;
        baseline.knee(signal_of(measure)?)
    }

    /// How much is known of before: less than ten minutes, less than a day, more.
    fn stage(&self, watched: &Watched, before: &Before) -> usize {
        let days =
            watched.baseline().is_some_and(|baseline| baseline.stage(self.until.second) >= Stage::Days);
        if days { 2 } else { usize::from(before.seconds() >= TEN_MINUTES || before.is_brought()) }
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
            sides: self.sides(watched),
            is_forged,
            was_well: facts.was_well(),
            lacking: facts.lacking(),
            seconds: facts.seconds,
        }
        .found()
    }

    /// Whether hardly anything was answered since exchanges began to fail.
    fn is_silent(&self) -> bool {
        let own = &self.sums.own;
        let asked = own[Count::Requests].max(own[Count::Hellos]);
        own[Count::Unanswered] > 0 && 10 * own.served() < asked
    }

    /// Whether it is about connections that are held, more than about anything that is asked for.
    fn is_about_holding(&self, before: &Before, seconds: f64) -> bool {
        is_access(self.measure) && is_about_holding(self.held_by_holders(before, seconds))
    }

    /// Connections held by those who do little else, unless what is asked for beside them is what there is more of.
    fn held_by_holders(&self, before: &Before, seconds: f64) -> u64 {
        // A service that is asked much is asked a little more or less at any time.
        let usual = before.rate(Measure::Accesses).map(|level| (1.0 + LEAST_MORE) * level);
        let more = usual.map_or(0.0, |usual| self.sums.own[Count::Accesses] as f64 - usual * seconds);
        held_by_holders(&self.sums.window, more)
    }

    /// Whether the many ask notably more as well, beside few who send very many packets.
    fn is_crowded(&self, before: &Before, seconds: f64, few: &[Origin]) -> bool {
        let level = before.rate(Measure::Accesses).filter(|level| *level > 0.0);
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
        let usual = before.rate(Measure::Connections).unwrap_or(0.0) * seconds;
        let more = self.sums.own[Count::Opened] as f64 - usual;
        more >= RENEWED * self.held as f64 && more >= LEAST_CONNECTING * seconds
    }

    /// Whether it is about connections that come and go, and hardly about what is asked on them: a flood of requests may have
    /// any number of connections beside it.
    fn is_about_connecting(&self, before: &Before, seconds: f64) -> bool {
        let usual = |measure| before.rate(measure).unwrap_or(0.0) * seconds;
        let more = |measure| of_counts(measure, &self.sums.own) as f64 - usual(measure);
        let is_told = before.rate(Measure::Connections).is_some() && self.is_connecting(before, seconds);
        let asked = more(Measure::Accesses);
        let is_asked_as_ever = asked < usual(Measure::Accesses).max(seconds);
        is_told && is_asked_as_ever && more(Measure::Connections) >= MOSTLY * asked
    }

    /// Which directions the mirror shows of it. Where one went missing, what happened then stays half seen when it is back.
    pub fn sides(&self, watched: &Watched) -> Sides {
        match self.measure {
            Measure::OneSided => watched.sides_since(self.from),
            _ => watched.sides(),
        }
    }

    /// What this mirror does not show of it.
    fn unseen(&self, watched: &Watched, level: Option<f64>) -> Vec<Unseen> {
        let own = &self.sums.own;
        let all = [
            (Unseen::Encrypted, own.are_sealed()),
            (Unseen::OneWay, self.sides(watched).is_one_way()),
            (Unseen::Before, level.is_none() || self.provisional.is_some()),
        ];
        all.into_iter().filter(|(_, is)| *is).map(|(what, _)| what).collect()
    }

    /// The labelled clients' part of the traffic.
    fn neighbours(&self, scale: &Scale<'_>) -> Vec<Neighbour> {
        let mut sums: BTreeMap<LabelId, Cell> = BTreeMap::new();
        for (lineage, cell) in &self.sums.window.networks {
            lineage.label.iter().for_each(|label| sums.entry(*label).or_default().merge(cell));
        }
        let told = |(label, cell): (LabelId, Cell)| Neighbour {
            label,
            traffic_share: scale.part_of_all(&cell),
            rate: scale.rate_of(&cell),
        };
        sums.into_iter().map(told).collect()
    }

    /// What the load is measured by: errors and requests by the accesses that they are part of; by connections where
    /// there are more of these and hardly more accesses, as when somebody connects and says little.
    fn told_measure(&self, before: &Before, seconds: f64) -> Measure {
        match self.measure {
            measure
                if is_access(measure)
                    && self.traffic == Traffic::Own
                    && self.is_about_connecting(before, seconds) =>
            {
                Measure::Connections
            }
            // What can be read is told by what it asks for, whatever was noticed first.
            Measure::Packets
                if self.traffic == Traffic::Own
                    && 2 * self.sums.own[Count::Requests] >= self.sums.own[Count::Accesses]
                    && self.excess(before, seconds).is_notable(Measure::Accesses) =>
            {
                Measure::Accesses
            }
            Measure::Packets | Measure::Bytes | Measure::Connections => self.measure,
            measure if is_access(measure) => {
                // Conversations that stay open, and encrypted ones, hide requests; few that send very much do not hide.
                let open = [Measure::Accesses, Measure::Connections, Measure::Packets];
                let excess = self.excess(before, seconds);
                let more = open.into_iter().find(|measure| excess.is_notable(*measure));
                more.unwrap_or(Measure::Accesses)
            }
            _ => Measure::Packets,
        }
    }

    /// What there is more than before.
    fn excess<'a>(&'a self, before: &'a Before, seconds: f64) -> Excess<'a> {
        Excess { window: &self.sums.window, before, seconds }
    }

    /// Accesses are requests where most of them could be read, or are known by whose turn it was.
    fn unit(&self, measure: Measure) -> Unit {
        let readable =
            2 * self.sums.window.counts[Count::Requests] >= self.sums.window.counts[Count::Accesses];
        match measure {
            Measure::Packets => Unit::Packets,
            Measure::Bytes => Unit::Bytes,
            Measure::Accesses if readable || self.sums.window.counts.are_sealed() => Unit::Requests,
            _ => Unit::Connections,
        }
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
        let abroad: Vec<(Country, f64)> = by_country(&self.sums.window, measure, |_| true)
            .into_iter()
            .filter(|(country, _)| ground.home.is_foreign(*country))
            .collect();
        let count: f64 = abroad.iter().map(|(_, count)| count).sum::<f64>() + 0.0;
        let level = |country| before.row_share(&Key::Country(country), measure).unwrap_or(0.0);
        Some(Foreign {
            concentrated: is_concentrated(origins, ground.concentrated_from),
            share: if total > 0.0 { count / total } else { 0.0 },
            baseline_share: abroad.iter().map(|(country, _)| level(*country)).sum::<f64>().clamp(0.0, 1.0),
        })
    }

    fn end(&self) -> Option<ServerEnd> {
        let most =
            self.sums.window.ends.iter().max_by_key(|(end, count)| (**count, std::cmp::Reverse(**end)));
        most.map(|(end, _)| *end)
    }
}

/// The level of the seconds before a tick, as far as they can be looked back at. Who makes a service fail comes before it
/// is seen to: where somebody new came in the last of these seconds, they are no part of it.
fn provisional(watched: &Watched, (from, traffic): (TickId, Traffic), measure: Measure) -> Before {
    let earliest = TickId { epoch: from.epoch, second: i64::MIN };
    let level = |until: TickId| {
        let ticks = watched.since(earliest).take_while(|(tick, _)| *tick < until);
        watched.before(traffic).provisional(ticks.map(|(tick, seconds)| (tick.second, seconds.of(traffic))))
    };
    let led = from.plus(-LEAD);
    let before = level(led);
    if !is_of_health(measure) || before.rate(Measure::Packets).is_none() {
        return level(from);
    }
    let mut window = Window::new(Needs::ALL);
    let lead = watched.since(led).take_while(|(tick, _)| *tick < from);
    lead.for_each(|(_, seconds)| window.enter(seconds.of(traffic)));
    let newcomers = Excess { window: &window, before: &before, seconds: LEAD as f64 };
    let is_led = newcomers.of_newcomers(Measure::Packets, |_| true) > 0.0;
    if is_led { before } else { level(from) }
}

/// What moved in the minute before a tick, as far as it can be looked back at.
fn ordinary(watched: &Watched, from: TickId, traffic: Traffic) -> Ordinary {
    let earlier = || watched.since(from.plus(-ORDINARY)).take_while(|(tick, _)| *tick < from);
    let seconds = earlier().next().map_or(0, |(first, _)| from.second - first.second);
    Ordinary::of(earlier().map(|(_, seconds)| seconds.of(traffic)), seconds as f64)
}

/// Seconds before an onset that tell what is ordinary.
const ORDINARY: i64 = 60;

/// Seconds before a service is seen to fail that may hold the beginning of what makes it.
const LEAD: i64 = 10;

/// Where there are more connections and no more accesses, or connections are held, the many are people who connect again
/// and wait: no crowd.
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
            | Measure::OutOfState
            | Measure::Udp
            | Measure::Initials
            | Measure::Icmp
            | Measure::Fragments
            | Measure::Reflected
            | Measure::UnaskedSynAcks
            | Measure::Probes
            | Measure::UdpProbes
            | Measure::Strays
    )
}

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
