//! One worker's sums for one tick. Comes in: what clients did, scope by scope. Goes out: [`Sums`], rows that the caps
//! have kept bounded. Reads no event: `tally` tells it what to add.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;

use super::scope_tally::ScopeTally;
use super::tally::Attributions;
use super::{
    BottomMap, BottomRows, Cell, FailingKey, Fingerprint, Lineage, MakeKey, PathKey, PrefixKey, Probe,
    ProbedKey, SourceKey, caps,
};
use crate::attribute::{Attribution, Country};
use crate::flow::{Client, FlowEvent, Ja4, RequestHead, ServerEnd};
use crate::service::Scope;

/// One worker's sums for one tick.
pub(super) struct Tally {
    places: HashMap<Scope, usize, RandomState>,
    /// The place that was used last: events come in runs.
    last: usize,
    pub scopes: Vec<ScopeTally>,
    /// Scopes that nobody named are capped; what of them is refused is counted nowhere.
    candidates: BottomMap<Scope, usize>,
    sources: BottomMap<Source, SourceRow>,
    prefixes: BottomMap<(Scope, PrefixKey), Cell>,
    networks: BottomMap<(Scope, Lineage), Cell>,
    paths: BottomMap<(Scope, PathKey), u64>,
    makes: BottomMap<(Scope, MakeKey), u64>,
    ends: BottomMap<(Scope, ServerEnd), u64>,
    failing: BottomMap<(Scope, FailingKey), u64>,
    probed: BottomMap<(Scope, ProbedKey), Probe>,
    hasher: FixedState,
}

/// What a worker counted in one tick, when nothing is added any more.
pub(super) struct Sums {
    pub scopes: Vec<ScopeTally>,
    /// The hash from which on scopes were refused, if any were.
    pub refused_scopes: Option<u64>,
    pub sources: BottomRows<(Scope, SourceKey), Cell>,
    pub prefixes: BottomRows<(Scope, PrefixKey), Cell>,
    pub networks: BottomRows<(Scope, Lineage), Cell>,
    pub paths: BottomRows<(Scope, PathKey), u64>,
    pub makes: BottomRows<(Scope, MakeKey), u64>,
    pub ends: BottomRows<(Scope, ServerEnd), u64>,
    pub failing: BottomRows<(Scope, FailingKey), u64>,
    pub probed: BottomRows<(Scope, ProbedKey), Probe>,
}

/// How many rows there were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    sources: usize,
    prefixes: usize,
    networks: usize,
    paths: usize,
    makes: usize,
}

impl Expected {
    /// As many as there were in the tick before.
    pub fn after(sums: &Sums) -> Self {
        Self {
            sources: sums.sources.rows.len(),
            prefixes: sums.prefixes.rows.len(),
            networks: sums.networks.rows.len(),
            paths: sums.paths.rows.len(),
            makes: sums.makes.rows.len(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    scope: Scope,
    client: Client,
}

struct SourceRow {
    attribution: Attribution,
    cell: Cell,
}

/// A fingerprint as it is seen, before it is kept.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Print<'a> {
    UserAgent(&'a str),
    Ja4(Ja4),
}

impl Print<'_> {
    fn is(&self, kept: &Fingerprint) -> bool {
        match (self, kept) {
            (Print::UserAgent(seen), Fingerprint::UserAgent(kept)) => **seen == **kept,
            (Print::Ja4(seen), Fingerprint::Ja4(kept)) => seen == kept,
            _ => false,
        }
    }

    fn kept(&self) -> Fingerprint {
        match self {
            Print::UserAgent(agent) => Fingerprint::UserAgent((*agent).into()),
            Print::Ja4(ja4) => Fingerprint::Ja4(*ja4),
        }
    }
}

impl Tally {
    /// An empty tick, with room for as many rows as are expected.
    pub fn new(hasher: FixedState, expected: Expected) -> Self {
        Self {
            places: HashMap::default(),
            last: 0,
            scopes: Vec::new(),
            candidates: BottomMap::new(caps::CANDIDATES),
            sources: BottomMap::expecting(caps::SOURCES, expected.sources),
            prefixes: BottomMap::expecting(caps::PREFIXES, expected.prefixes),
            networks: BottomMap::expecting(caps::NETWORKS, expected.networks),
            paths: BottomMap::expecting(caps::PATHS, expected.paths),
            makes: BottomMap::expecting(caps::MAKES, expected.makes),
            ends: BottomMap::new(caps::ENDS),
            failing: BottomMap::new(caps::FAILING),
            probed: BottomMap::new(caps::PROBED),
            hasher,
        }
    }

    /// The sums of a scope; `None` where nobody named it and there are too many of those.
    #[inline(always)]
    pub fn scope(&mut self, scope: Scope) -> Option<&mut ScopeTally> {
        if self.scopes.get(self.last).is_none_or(|sums| sums.scope != scope) {
            self.last = self.place(scope)?;
        }
        self.scopes.get_mut(self.last)
    }

    #[inline(never)]
    fn place(&mut self, scope: Scope) -> Option<usize> {
        match self.places.get(&scope) {
            Some(place) => Some(*place),
            None => self.begin(scope),
        }
    }

    fn begin(&mut self, scope: Scope) -> Option<usize> {
        let hash = self.hasher.hash_one(scope);
        let place = std::cell::Cell::new(self.scopes.len());
        if matches!(scope, Scope::Candidate(_) | Scope::CandidateHost(_)) {
            let places = &mut self.places;
            // Whoever comes takes the place of what gave way, so that there are never more places than the cap.
            let given_way = |scope: Scope, freed| {
                places.remove(&scope);
                place.set(freed);
            };
            self.candidates.entry(hash, |have| *have == scope, || (scope, place.get()), given_way)?;
        }
        let place = place.get();
        self.places.insert(scope, place);
        let sums = ScopeTally::new(scope, hash);
        match self.scopes.get_mut(place) {
            Some(old) => *old = sums,
            None => self.scopes.push(sums),
        }
        Some(place)
    }

    /// Adds to a client's row in the scope used last, or at once to its prefix and network where the row is kept out;
    /// answers the client's country.
    pub fn client(&mut self, client: Client, amount: &Cell, known: &mut Attributions) -> Country {
        let Some(sums) = self.scopes.get(self.last) else { return Country::Unknown };
        let source = Source { scope: sums.scope, client };
        let place = self.hasher.hash_one((sums.hash, client));
        let (prefixes, networks, hasher) = (&mut self.prefixes, &mut self.networks, &self.hasher);
        let given_way = |source: Source, row: SourceRow| spill(prefixes, networks, hasher, &source, &row);
        let make =
            || (source, SourceRow { attribution: known.of(source.client.address), cell: Cell::default() });
        match self.sources.entry(place, |have| *have == source, make, given_way) {
            Some(row) => {
                row.cell.merge(amount);
                row.attribution.country
            }
            None => {
                let row = SourceRow { attribution: known.of(source.client.address), cell: *amount };
                spill(&mut self.prefixes, &mut self.networks, &self.hasher, &source, &row);
                row.attribution.country
            }
        }
    }

    /// Counts a request for a path, by its client's country.
    pub fn asked(&mut self, scope: Scope, country: Country, head: &RequestHead<'_>) {
        let place = self.hasher.hash_one((self.scope_hash(), country, head.method, head.path));
        let is = |(of, key): &(Scope, PathKey)| {
            *of == scope && key.country == country && *key.method == *head.method && *key.path == *head.path
        };
        let make = || ((scope, PathKey { country, method: head.method.into(), path: head.path.into() }), 0);
        if let Some(sum) = self.paths.entry(place, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts an access by its make, by its client's country.
    pub fn made(&mut self, scope: Scope, country: Country, print: Print<'_>) {
        let place = self.hasher.hash_one((self.scope_hash(), country, print));
        let is = |(of, key): &(Scope, MakeKey)| {
            *of == scope && key.country == country && print.is(&key.fingerprint)
        };
        let make = || ((scope, MakeKey { country, fingerprint: print.kept() }), 0);
        if let Some(sum) = self.makes.entry(place, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts a request that was refused or found nothing.
    pub fn failed(&mut self, scope: Scope, key: FailingKey) {
        let place = self.hasher.hash_one((self.scope_hash(), key));
        let is = |have: &(Scope, FailingKey)| *have == (scope, key);
        if let Some(sum) = self.failing.entry(place, is, || ((scope, key), 0), |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts what came of attempts at a port beside the service; at its own ports everybody knocks.
    #[inline]
    pub fn probed(&mut self, event: &FlowEvent<'_>, source: IpAddr, probe: Probe) {
        if matches!(event.scope, Scope::Beside(_) | Scope::CandidateHost(_)) {
            self.probed_beside(event, source, probe);
        }
    }

    #[inline(never)]
    fn probed_beside(&mut self, event: &FlowEvent<'_>, source: IpAddr, probe: Probe) {
        let key = (event.scope, ProbedKey { source, port: event.server.address.port() });
        let place = self.hasher.hash_one((self.scope_hash(), key.1));
        if let Some(sum) =
            self.probed.entry(place, |have| *have == key, || (key, Probe::default()), |_, _| {})
        {
            sum.merge(probe);
        }
    }

    fn scope_hash(&self) -> u64 {
        self.scopes.get(self.last).map_or(0, |sums| sums.hash)
    }

    /// Counts packets that reached an end of the scope used last.
    pub fn reached(&mut self, end: ServerEnd, packets: u64) {
        let Some(sums) = self.scopes.get_mut(self.last) else { return };
        match &mut sums.end {
            Some((have, sum)) if *have == end => *sum += packets,
            _ => {
                let before = sums.end.replace((end, packets));
                let scope = sums.scope;
                self.keep_end(scope, before);
            }
        }
    }

    fn keep_end(&mut self, scope: Scope, end: Option<(ServerEnd, u64)>) {
        let Some((end, packets)) = end else { return };
        let key = (scope, end);
        let place = self.hasher.hash_one(key);
        if let Some(sum) = self.ends.entry(place, |have| *have == key, || (key, 0), |_, _| {}) {
            *sum += packets;
        }
    }

    /// Nothing is added any more.
    pub fn into_sums(mut self) -> Sums {
        for place in 0..self.scopes.len() {
            let (scope, end) = (self.scopes[place].scope, self.scopes[place].end.take());
            self.keep_end(scope, end);
        }
        let Self { places, mut scopes, mut prefixes, mut networks, hasher, .. } = self;
        scopes.retain(|sums| places.contains_key(&sums.scope));
        // The sources are summed up into prefixes and networks on the way.
        let sources = self.sources.into_rows(|source, row| {
            spill(&mut prefixes, &mut networks, &hasher, &source, &row);
            let prefix = prefix_of(&source, &row.attribution);
            ((source.scope, SourceKey { prefix, address: source.client.address }), row.cell)
        });
        Sums {
            scopes,
            refused_scopes: self.candidates.limit(),
            sources,
            prefixes: as_they_are(prefixes),
            networks: as_they_are(networks),
            paths: as_they_are(self.paths),
            makes: as_they_are(self.makes),
            ends: as_they_are(self.ends),
            failing: as_they_are(self.failing),
            probed: as_they_are(self.probed),
        }
    }
}

fn as_they_are<K, V>(map: BottomMap<K, V>) -> BottomRows<K, V> {
    map.into_rows(|key, value| (key, value))
}

fn prefix_of(source: &Source, attribution: &Attribution) -> PrefixKey {
    let lineage = Lineage::of(attribution, source.client.proof);
    PrefixKey { lineage, prefix: attribution.prefix, reach: attribution.reach }
}

/// Adds a source's row to its prefix and its network.
fn spill(
    prefixes: &mut BottomMap<(Scope, PrefixKey), Cell>,
    networks: &mut BottomMap<(Scope, Lineage), Cell>,
    hasher: &FixedState,
    source: &Source,
    row: &SourceRow,
) {
    let prefix = prefix_of(source, &row.attribution);
    let key = (source.scope, prefix);
    let new = || (key, Cell::default());
    if let Some(sum) = prefixes.entry(hasher.hash_one(key), |have| *have == key, new, |_, _| {}) {
        sum.merge(&row.cell);
    }
    let key = (source.scope, prefix.lineage);
    let new = || (key, Cell::default());
    if let Some(sum) = networks.entry(hasher.hash_one(key), |have| *have == key, new, |_, _| {}) {
        sum.merge(&row.cell);
    }
}
