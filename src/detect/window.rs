//! The sums of a service's last seconds, kept up as ticks come and go.
//! Comes in: ticks that enter and leave. Goes out: sums per row, where there is enough traffic that somebody looks at them.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::measure::of_counts;
use super::rule::Measure;
use super::sieve::{Part, Sieve};
use crate::aggregate::{
    Cell, Counts, FailingKey, Lineage, MakeKey, NameKey, PathKey, PrefixKey, Probe, ProbedKey, ScopeTick,
    SourceKey,
};
use crate::flow::ServerEnd;

/// Which rows a window keeps up: each costs time in every tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Countries.
    pub countries: bool,
    /// Networks.
    pub networks: bool,
    /// Prefixes.
    pub prefixes: bool,
    /// Sources.
    pub sources: bool,
    /// Of the sources, those in trouble.
    pub troubled: bool,
    /// Paths.
    pub paths: bool,
    /// Makes of clients.
    pub makes: bool,
    /// Server names.
    pub names: bool,
    /// Ends of the service.
    pub ends: bool,
    /// Failing paths of sources.
    pub failing: bool,
    /// Ports that sources tried.
    pub probed: bool,
}

impl Needs {
    /// All rows; those in trouble are among the sources, countries among the networks.
    pub const ALL: Self = Self {
        countries: false,
        networks: true,
        prefixes: true,
        sources: true,
        troubled: false,
        paths: true,
        makes: true,
        names: true,
        ends: true,
        failing: true,
        probed: true,
    };

    /// What either needs.
    pub fn or(self, other: Self) -> Self {
        self.with(other, |one, other| one || other)
    }

    /// What both need.
    fn and(self, other: Self) -> Self {
        self.with(other, |one, other| one && other)
    }

    /// What this one needs and the other does not.
    fn without(self, other: Self) -> Self {
        self.with(other, |one, other| one && !other)
    }

    fn with(self, other: Self, join: impl Fn(bool, bool) -> bool) -> Self {
        Self {
            countries: join(self.countries, other.countries),
            networks: join(self.networks, other.networks),
            prefixes: join(self.prefixes, other.prefixes),
            sources: join(self.sources, other.sources),
            troubled: join(self.troubled, other.troubled),
            paths: join(self.paths, other.paths),
            makes: join(self.makes, other.makes),
            names: join(self.names, other.names),
            ends: join(self.ends, other.ends),
            failing: join(self.failing, other.failing),
            probed: join(self.probed, other.probed),
        }
    }
}

/// What is looked at in a window: which rows, and what the service must show before anybody looks at them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked(pub Vec<(Least, Needs)>);

/// What a rule needs to see of a whole service before a part of it can be enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// What is counted.
    pub measure: Measure,
    /// How much of it the window must hold.
    pub count: u64,
    /// Which share of the whole, from 0 to 1, a part must have.
    pub share: f64,
    /// The kind of part that must have both, where it can be seen without rows that none has.
    pub sought: Option<Part>,
}

impl Asked {
    /// What either asks.
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl Least {
    /// The count below which no part of the window's traffic is enough.
    pub fn enough(&self, counts: &Counts) -> u64 {
        self.count.max((self.share * of_counts(self.measure, counts) as f64) as u64)
    }

    /// Whether a part of the window's traffic may be enough.
    pub fn is_in(&self, window: &Window) -> bool {
        self.has(window, 1)
    }

    /// Whether it may have half of that.
    fn is_near(&self, window: &Window) -> bool {
        self.has(window, NEAR)
    }

    /// Most services are quiet most of the time: where all of it is too little, no part can be enough.
    fn may_have(&self, counts: &Counts, divisor: u64) -> bool {
        of_counts(self.measure, counts) >= self.count / divisor
    }

    fn has(&self, window: &Window, divisor: u64) -> bool {
        self.may_have(&window.counts, divisor)
            && self.sought.is_none_or(|part| {
                let enough = self.enough(&window.counts) / divisor;
                window.sieve(part, self.measure).is_none_or(|sieve| sieve.most() >= enough)
            })
    }
}

/// Rows are kept until there is less than such a part of what is enough, so that a service at the border does not begin
/// anew every second.
const NEAR: u64 = 2;

/// A window that moves on with time. Most services are quiet most of the time and most traffic is spread, so rows are
/// summed up only while some rule could look at them, and from the ticks themselves when it begins to.
#[derive(Debug)]
pub struct Sliding {
    /// Its needs are those of now.
    window: Window,
    asked: Asked,
    /// Whether anything entered or left since it was settled.
    moved: bool,
}

impl Sliding {
    /// An empty window.
    pub fn new(asked: &Asked) -> Self {
        let mut window = Window::default();
        for (least, _) in &asked.0 {
            if let Some(part) = least.sought.filter(|part| window.sieve(*part, least.measure).is_none()) {
                window.sieves.push(Sieve::new(part, least.measure));
            }
        }
        Self { window, asked: asked.clone(), moved: true }
    }

    /// The sums.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Adds a tick.
    pub fn enter(&mut self, tick: &ScopeTick) {
        if !tick.is_silent() {
            self.moved = true;
            self.window.enter(tick);
        }
    }

    /// Takes away a tick that was added before.
    pub fn leave(&mut self, tick: &ScopeTick) {
        if tick.is_silent() {
            return;
        }
        self.moved = true;
        self.window.counts.remove(&tick.counts);
        self.window.sieves.iter_mut().for_each(|sieve| sieve.leave(tick));
        self.window.leave_rows(tick);
    }

    /// Begins or ceases to keep rows; `ticks` are those in the window.
    pub fn settle<'a>(&mut self, ticks: impl Iterator<Item = &'a ScopeTick>) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        self.window.settle_sieves(&self.asked);
        let (window, have) = (&self.window, self.window.needs);
        let mut needs = Needs::default();
        for (least, rows) in self.asked.0.iter().filter(|(least, _)| least.is_near(window)) {
            needs = needs.or(if least.is_in(window) { *rows } else { rows.and(have) });
        }
        if needs == have {
            return;
        }
        self.window.forget(have.without(needs));
        self.window.needs = needs.without(have);
        if self.window.needs != Needs::default() {
            ticks.for_each(|tick| self.window.enter_rows(tick));
        }
        self.window.needs = needs;
    }
}

/// The sums over some trailing ticks.
#[derive(Debug, Default)]
pub struct Window {
    needs: Needs,
    sieves: Vec<Sieve>,
    /// The service's sums.
    pub counts: Counts,
    /// Per country, label and proof.
    pub countries: HashMap<Lineage, Cell, RandomState>,
    /// Per network.
    pub networks: HashMap<Lineage, Cell, RandomState>,
    /// Per prefix.
    pub prefixes: HashMap<PrefixKey, Cell, RandomState>,
    /// Per source.
    pub sources: HashMap<SourceKey, Cell, RandomState>,
    /// Per source that has anything denied, missing, unanswered, held, dripping, broken off, or in vain handshakes: few of
    /// many.
    pub troubled: HashMap<SourceKey, Cell, RandomState>,
    /// Requests per path.
    pub paths: HashMap<PathKey, u64, RandomState>,
    /// Accesses per make of client.
    pub makes: HashMap<MakeKey, u64, RandomState>,
    /// Hellos per server name.
    pub names: HashMap<NameKey, u64, RandomState>,
    /// Packets per end of the service.
    pub ends: HashMap<ServerEnd, u64, RandomState>,
    /// Failing responses per source and path.
    pub failing: HashMap<FailingKey, u64, RandomState>,
    /// Attempts beside the service per source and port.
    pub probed: HashMap<ProbedKey, Probe, RandomState>,
}

/// Rows that one map of a window may hold; beyond this new ones are left out. A window of a minute holds sixty times a
/// tick's cap only when every second brings other rows.
const MAX_ROWS: usize = 131_072;

impl Window {
    /// An empty window that keeps up these rows.
    pub fn new(needs: Needs) -> Self {
        Self { needs, ..Self::default() }
    }

    /// Adds a tick.
    pub fn enter(&mut self, tick: &ScopeTick) {
        self.counts.merge(&tick.counts);
        self.sieves.iter_mut().for_each(|sieve| sieve.enter(tick));
        self.enter_rows(tick);
    }

    /// Brings up to date the sieves that somebody will ask.
    fn settle_sieves(&mut self, asked: &Asked) {
        let Self { sieves, counts, .. } = self;
        for sieve in sieves {
            let asks = |least: &Least| least.sought.is_some_and(|part| sieve.is_of(part, least.measure));
            if asked.0.iter().any(|(least, _)| asks(least) && least.may_have(counts, NEAR)) {
                sieve.settle();
            }
        }
    }

    /// What no part of a kind has more of, where that is looked at.
    fn sieve(&self, part: Part, measure: Measure) -> Option<&Sieve> {
        self.sieves.iter().find(|sieve| sieve.is_of(part, measure))
    }

    fn enter_rows(&mut self, tick: &ScopeTick) {
        let needs = self.needs;
        for (country, cell) in countries(rows(needs.countries, &tick.networks)) {
            add(&mut self.countries, country, &cell);
        }
        enter(&mut self.networks, rows(needs.networks, &tick.networks));
        enter(&mut self.prefixes, rows(needs.prefixes, &tick.prefixes));
        enter(&mut self.sources, rows(needs.sources, &tick.sources));
        enter(&mut self.troubled, rows(needs.troubled, &tick.sources).filter(in_trouble));
        enter_counts(&mut self.paths, rows(needs.paths, &tick.paths));
        enter_counts(&mut self.makes, rows(needs.makes, &tick.makes));
        enter_counts(&mut self.names, rows(needs.names, &tick.names));
        enter_counts(&mut self.ends, rows(needs.ends, &tick.ends));
        enter_counts(&mut self.failing, rows(needs.failing, &tick.failing));
        for (key, probe) in rows(needs.probed, &tick.probed) {
            if let Some(sum) = self.probed.get_mut(key) {
                sum.merge(*probe);
            } else if self.probed.len() < MAX_ROWS {
                self.probed.insert(*key, *probe);
            }
        }
    }

    /// Adds all of another window.
    pub fn absorb(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        absorb(&mut self.countries, other.countries, Cell::merge);
        absorb(&mut self.networks, other.networks, Cell::merge);
        absorb(&mut self.prefixes, other.prefixes, Cell::merge);
        absorb(&mut self.sources, other.sources, Cell::merge);
        absorb(&mut self.troubled, other.troubled, Cell::merge);
        absorb(&mut self.paths, other.paths, |sum, more| *sum += more);
        absorb(&mut self.makes, other.makes, |sum, more| *sum += more);
        absorb(&mut self.names, other.names, |sum, more| *sum += more);
        absorb(&mut self.ends, other.ends, |sum, more| *sum += more);
        absorb(&mut self.failing, other.failing, |sum, more| *sum += more);
        absorb(&mut self.probed, other.probed, |sum, more| sum.merge(*more));
    }

    /// Forgets rows that nobody looks at any more.
    fn forget(&mut self, rows: Needs) {
        forget(rows.countries, &mut self.countries);
        forget(rows.networks, &mut self.networks);
        forget(rows.prefixes, &mut self.prefixes);
        forget(rows.sources, &mut self.sources);
        forget(rows.troubled, &mut self.troubled);
        forget(rows.paths, &mut self.paths);
        forget(rows.makes, &mut self.makes);
        forget(rows.names, &mut self.names);
        forget(rows.ends, &mut self.ends);
        forget(rows.failing, &mut self.failing);
        forget(rows.probed, &mut self.probed);
    }

    fn leave_rows(&mut self, tick: &ScopeTick) {
        let needs = self.needs;
        for (country, cell) in countries(rows(needs.countries, &tick.networks)) {
            take(&mut self.countries, &country, &cell);
        }
        leave(&mut self.networks, rows(needs.networks, &tick.networks));
        leave(&mut self.prefixes, rows(needs.prefixes, &tick.prefixes));
        leave(&mut self.sources, rows(needs.sources, &tick.sources));
        leave(&mut self.troubled, rows(needs.troubled, &tick.sources).filter(in_trouble));
        leave_counts(&mut self.paths, rows(needs.paths, &tick.paths));
        leave_counts(&mut self.makes, rows(needs.makes, &tick.makes));
        leave_counts(&mut self.names, rows(needs.names, &tick.names));
        leave_counts(&mut self.ends, rows(needs.ends, &tick.ends));
        leave_counts(&mut self.failing, rows(needs.failing, &tick.failing));
        for (key, probe) in rows(needs.probed, &tick.probed) {
            if let Some(sum) = self.probed.get_mut(key) {
                sum.remove(*probe);
                if *sum == Probe::default() {
                    self.probed.remove(key);
                }
            }
        }
    }
}

fn absorb<K: Ord + Eq + Hash, V>(
    sums: &mut HashMap<K, V, RandomState>,
    more: HashMap<K, V, RandomState>,
    merge: impl Fn(&mut V, &V),
) {
    // In order, since which rows find no room any more must not depend on the process.
    let mut rows: Vec<(K, V)> = more.into_iter().collect();
    rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for (key, value) in rows {
        if let Some(sum) = sums.get_mut(&key) {
            merge(sum, &value);
        } else if sums.len() < MAX_ROWS {
            sums.insert(key, value);
        }
    }
}

/// Empties a map and gives its memory back.
fn forget<K, V>(needless: bool, sums: &mut HashMap<K, V, RandomState>) {
    if needless {
        *sums = HashMap::default();
    }
}

/// The rows, where they are needed.
fn rows<T>(needed: bool, rows: &[T]) -> std::slice::Iter<'_, T> {
    if needed { rows.iter() } else { [].iter() }
}

/// Whether a source has anything denied, missing, unanswered, held, dripping, broken off, or in vain handshakes.
fn in_trouble((_, cell): &&(SourceKey, Cell)) -> bool {
    let failed = cell.denied | cell.missing | cell.unanswered;
    failed | cell.held | cell.drips | cell.resets | cell.bare | cell.renegotiations | cell.hasty > 0
}

fn enter_counts<'a, K: Clone + Eq + Hash + 'a>(
    sums: &mut HashMap<K, u64, RandomState>,
    rows: impl Iterator<Item = &'a (K, u64)>,
) {
    for (key, count) in rows {
        if let Some(sum) = sums.get_mut(key) {
            *sum += count;
        } else if sums.len() < MAX_ROWS {
            sums.insert(key.clone(), *count);
        }
    }
}

fn leave_counts<'a, K: Eq + Hash + 'a>(
    sums: &mut HashMap<K, u64, RandomState>,
    rows: impl Iterator<Item = &'a (K, u64)>,
) {
    for (key, count) in rows {
        if let Some(sum) = sums.get_mut(key) {
            *sum = sum.saturating_sub(*count);
            if *sum == 0 {
                sums.remove(key);
            }
        }
    }
}

fn enter<'a, K: Copy + Eq + Hash + 'a>(
    sums: &mut HashMap<K, Cell, RandomState>,
    rows: impl Iterator<Item = &'a (K, Cell)>,
) {
    for (key, cell) in rows {
        add(sums, *key, cell);
    }
}

fn add<K: Eq + Hash>(sums: &mut HashMap<K, Cell, RandomState>, key: K, cell: &Cell) {
    if let Some(sum) = sums.get_mut(&key) {
        sum.merge(cell);
    } else if sums.len() < MAX_ROWS {
        sums.insert(key, *cell);
    }
}

fn leave<'a, K: Copy + Eq + Hash + 'a>(
    sums: &mut HashMap<K, Cell, RandomState>,
    rows: impl Iterator<Item = &'a (K, Cell)>,
) {
    for (key, cell) in rows {
        take(sums, key, cell);
    }
}

fn take<K: Eq + Hash>(sums: &mut HashMap<K, Cell, RandomState>, key: &K, cell: &Cell) {
    if let Some(sum) = sums.get_mut(key) {
        sum.remove(cell);
        if sum.is_empty() {
            sums.remove(key);
        }
    }
}

/// The sums of neighbours that differ in their network only: rows are sorted by country first.
fn countries<'a>(
    mut rows: impl Iterator<Item = &'a (Lineage, Cell)>,
) -> impl Iterator<Item = (Lineage, Cell)> {
    let country = |(lineage, cell): &(Lineage, Cell)| (Lineage { asn: None, ..*lineage }, *cell);
    let mut next = rows.next().map(country);
    std::iter::from_fn(move || {
        let (lineage, mut sum) = next?;
        loop {
            next = rows.next().map(country);
            match &next {
                Some((other, cell)) if *other == lineage => sum.merge(cell),
                _ => return Some((lineage, sum)),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Count;
    use crate::attribute::Country;
    use crate::flow::Proof;

    const LINEAGE: Lineage =
        Lineage { country: Country::Unknown, asn: None, label: None, proof: Proof::Proven };

    fn requests(requests: u64) -> ScopeTick {
        let mut tick = ScopeTick::default();
        tick.counts[Count::Requests] = requests;
        tick.networks.push((LINEAGE, Cell { requests, ..Cell::default() }));
        tick.paths
            .push((PathKey { country: Country::Unknown, method: "GET".into(), path: "/".into() }, requests));
        tick
    }

    fn from(count: u64) -> Sliding {
        Sliding::new(&Asked(vec![(
            Least { measure: Measure::Requests, count, share: 0.0, sought: None },
            Needs::ALL,
        )]))
    }

    #[test]
    fn what_enters_and_leaves_leaves_nothing() {
        let (tick, mut sliding) = (requests(3), from(0));
        sliding.settle([].into_iter());
        sliding.enter(&tick);
        sliding.enter(&tick);
        assert_eq!(sliding.window().networks[&LINEAGE].requests, 6);
        sliding.leave(&tick);
        sliding.leave(&tick);
        let window = sliding.window();
        assert_eq!(window.counts, Counts::default());
        assert!(window.networks.is_empty() && window.paths.is_empty());
    }

    #[test]
    fn rows_are_kept_while_there_is_enough_to_look_at() {
        let (tick, mut sliding) = (requests(3), from(9));
        let rows = |sliding: &Sliding| sliding.window().networks.get(&LINEAGE).map(|cell| cell.requests);
        let mut ticks = Vec::new();
        for seen in [None, None, Some(9), Some(12)] {
            sliding.enter(&tick);
            ticks.push(&tick);
            sliding.settle(ticks.iter().copied());
            assert_eq!(rows(&sliding), seen);
        }
        for seen in [Some(9), Some(6), None] {
            sliding.leave(&tick);
            sliding.settle([].into_iter());
            assert_eq!(rows(&sliding), seen);
        }
        assert_eq!(sliding.window().counts[Count::Requests], 3);
    }

    #[test]
    fn each_rule_has_its_rows_from_its_own_count_on() {
        let least = |count| Least { measure: Measure::Requests, count, share: 0.0, sought: None };
        let networks = Needs { networks: true, ..Needs::default() };
        let paths = Needs { paths: true, ..Needs::default() };
        let mut sliding = Sliding::new(&Asked(vec![(least(3), networks), (least(9), paths)]));
        let (tick, mut ticks) = (requests(3), Vec::new());
        for rows in [(1, 0), (1, 0), (1, 1)] {
            sliding.enter(&tick);
            ticks.push(&tick);
            sliding.settle(ticks.iter().copied());
            let window = sliding.window();
            assert_eq!((window.networks.len(), window.paths.len()), rows);
        }
        assert_eq!(sliding.window().paths.values().sum::<u64>(), 9);
        assert_eq!(sliding.window().networks[&LINEAGE].requests, 9);
    }

    #[test]
    fn who_is_in_no_trouble_has_no_row_among_those_who_are() {
        let source = |host: u8| {
            let address = std::net::IpAddr::from([192, 0, 2, host]);
            SourceKey { prefix: PrefixKey { lineage: LINEAGE, prefix: address.into(), reach: 24 }, address }
        };
        let mut tick = requests(3);
        tick.sources.push((source(1), Cell { requests: 2, ..Cell::default() }));
        tick.sources.push((source(2), Cell { requests: 1, missing: 1, ..Cell::default() }));
        let mut window = Window::new(Needs { troubled: true, ..Needs::default() });
        window.enter(&tick);
        assert_eq!(window.troubled.keys().collect::<Vec<_>>(), [&source(2)]);
    }
}
