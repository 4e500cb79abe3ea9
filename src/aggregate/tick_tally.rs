//! One worker's sums for one tick. Comes in: what clients did, scope by scope. Goes out: [`Sums`], rows that the caps
//! have kept bounded. Reads no event: `tally` tells it what to add. Sums up no prefix and no network: `sums` does, once
//! the tick is over and its sources are sorted.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;

use super::scope_tally::ScopeTally;
use super::sums::{KeptOut, Place, Sums};
use super::tally::Attributions;
use super::{
    BottomMap, BottomRows, Cell, FailingKey, Fingerprint, Lineage, MakeKey, NameKey, PathKey, PrefixKey,
    Probe, ProbedKey, SourceKey, Tried, caps,
};
use crate::attribute::{Attribution, Country};
use crate::flow::{Client, FlowEvent, Ja4, RequestHead, ServerEnd};
use crate::service::{Scope, ServiceId};

/// One worker's sums for one tick.
pub(super) struct Tally {
    spread: Arc<[ServiceId]>,
    places: HashMap<Scope, usize, RandomState>,
    /// The place that was used last: events come in runs.
    last: usize,
    pub scopes: Vec<ScopeTally>,
    /// Scopes that nobody named are capped; what of them is refused is counted nowhere.
    candidates: BottomMap<Scope, usize>,
    sources: BottomMap<Source, SourceRow>,
    kept_out: KeptOut,
    paths: BottomMap<(Place, PathKey), u64>,
    makes: BottomMap<(Place, MakeKey), u64>,
    names: BottomMap<(Place, NameKey), u64>,
    ends: BottomMap<(Place, ServerEnd), u64>,
    failing: BottomMap<(Place, FailingKey), u64>,
    probed: BottomMap<(Place, ProbedKey), Probe>,
    hasher: FixedState,
}

/// Scopes that are looked at one by one.
const FEW: usize = 8;

const _: () = assert!(FEW < caps::CANDIDATES);

/// How many rows there were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    sources: usize,
    paths: usize,
    makes: usize,
    names: usize,
    ends: usize,
}

impl Expected {
    /// As many as there were in the tick before.
    pub fn after(sums: &Sums) -> Self {
        Self {
            sources: sums.sources.rows.len(),
            paths: sums.paths.rows.len(),
            makes: sums.makes.rows.len(),
            names: sums.names.rows.len(),
            ends: sums.ends.rows.len(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    place: Place,
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
    /// An empty tick, with room for as many rows as are expected; `spread` are the services of many addresses, sorted.
    pub fn new(hasher: FixedState, expected: Expected, spread: Arc<[ServiceId]>) -> Self {
        Self {
            spread,
            places: HashMap::default(),
            last: 0,
            scopes: Vec::new(),
            candidates: BottomMap::new(caps::CANDIDATES),
            sources: BottomMap::expecting(caps::SOURCES, expected.sources),
            kept_out: KeptOut::new(hasher.clone()),
            paths: BottomMap::expecting(caps::PATHS, expected.paths),
            makes: BottomMap::expecting(caps::MAKES, expected.makes),
            names: BottomMap::expecting(caps::NAMES, expected.names),
            ends: BottomMap::expecting(caps::ENDS, expected.ends),
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
        // Of few scopes none has given way, and one is found sooner by a look at each.
        if self.scopes.len() <= FEW
            && let Some(place) = self.scopes.iter().position(|sums| sums.scope == scope)
        {
            return Some(place);
        }
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
        let index = place.get();
        self.places.insert(scope, index);
        let place = self.scopes.get(index).map_or_else(|| Place::at(index), |old| old.place.again());
        let mut sums = ScopeTally::new(scope, place, hash);
        sums.is_probed |= matches!(scope, Scope::Service(id) if self.spread.binary_search(&id).is_ok());
        match self.scopes.get_mut(index) {
            Some(old) => *old = sums,
            None => self.scopes.push(sums),
        }
        Some(index)
    }

    /// Adds to a client's row in the scope used last, or at once to its prefix and network where the row is kept out;
    /// answers the client's country.
    pub fn client(&mut self, client: Client, amount: &Cell, known: &mut Attributions) -> Country {
        let Some(sums) = self.scopes.get(self.last) else { return Country::Unknown };
        let source = Source { place: sums.place, client };
        let hash = self.hasher.hash_one((sums.hash, client));
        let (kept_out, scopes) = (&mut self.kept_out, &self.scopes);
        let given_way = |source: Source, row: SourceRow| {
            let scope = scopes.get(source.place.index()).map_or(0, |sums| sums.hash);
            kept_out.add(scope, source.place, &prefix_of(&source, &row.attribution), &row.cell);
        };
        let make =
            || (source, SourceRow { attribution: known.of(source.client.address), cell: Cell::default() });
        match self.sources.entry(hash, |have| *have == source, make, given_way) {
            Some(row) => {
                row.cell.merge(amount);
                row.attribution.country
            }
            None => {
                let attribution = known.of(source.client.address);
                self.kept_out.add(sums.hash, source.place, &prefix_of(&source, &attribution), amount);
                attribution.country
            }
        }
    }

    /// Counts a request for a path, by its client's country.
    pub fn asked(&mut self, country: Country, head: &RequestHead<'_>) {
        let Some((place, scope)) = self.whereabouts() else { return };
        let hash = self.hasher.hash_one((scope, country, head.method, head.path));
        let is = |(of, key): &(Place, PathKey)| {
            *of == place && key.country == country && *key.method == *head.method && *key.path == *head.path
        };
        let make = || ((place, PathKey { country, method: method(head.method), path: head.path.into() }), 0);
        if let Some(sum) = self.paths.entry(hash, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts an access by its make, by its client's country.
    pub fn made(&mut self, country: Country, print: Print<'_>) {
        let Some((place, scope)) = self.whereabouts() else { return };
        let hash = self.hasher.hash_one((scope, country, print));
        let is = |(of, key): &(Place, MakeKey)| {
            *of == place && key.country == country && print.is(&key.fingerprint)
        };
        let make = || ((place, MakeKey { country, fingerprint: print.kept() }), 0);
        if let Some(sum) = self.makes.entry(hash, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts a hello by the server name that it asks for, by its client's country.
    pub fn named(&mut self, country: Country, name: &str) {
        let Some((place, scope)) = self.whereabouts() else { return };
        let hash = self.hasher.hash_one((scope, country, name));
        let is = |(of, key): &(Place, NameKey)| *of == place && key.country == country && *key.name == *name;
        let make = || ((place, NameKey { country, name: name.into() }), 0);
        if let Some(sum) = self.names.entry(hash, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts a request that was refused or found nothing.
    pub fn failed(&mut self, key: FailingKey) {
        let Some((place, scope)) = self.whereabouts() else { return };
        let hash = self.hasher.hash_one((scope, key));
        let is = |have: &(Place, FailingKey)| *have == (place, key);
        if let Some(sum) = self.failing.entry(hash, is, || ((place, key), 0), |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts what came of attempts at a port, where that is kept of the scope used last.
    #[inline]
    pub fn probed(&mut self, event: &FlowEvent<'_>, source: &IpAddr, probe: Probe) {
        if self.scopes.get(self.last).is_some_and(|sums| sums.is_probed) {
            let end = event.server.address;
            self.tried(*source, Tried::Port(end.ip(), end.port()), probe);
        }
    }

    /// Counts what came of something that a source tried without a conversation.
    #[inline(never)]
    pub fn tried(&mut self, source: IpAddr, tried: Tried, probe: Probe) {
        let Some((place, scope)) = self.whereabouts() else { return };
        let key = (place, ProbedKey { source, tried });
        let hash = self.hasher.hash_one((scope, key.1));
        if let Some(sum) = self.probed.entry(hash, |have| *have == key, || (key, Probe::default()), |_, _| {})
        {
            sum.merge(probe);
        }
    }

    /// The place of the scope used last, and where its rows' hashes begin.
    #[inline]
    fn whereabouts(&self) -> Option<(Place, u64)> {
        self.scopes.get(self.last).map(|sums| (sums.place, sums.hash))
    }

    /// Counts packets that reached an end of the scope used last.
    pub fn reached(&mut self, end: ServerEnd, packets: u64) {
        let Some(sums) = self.scopes.get_mut(self.last) else { return };
        match &mut sums.end {
            Some((have, sum)) if *have == end => *sum += packets,
            _ => {
                let before = sums.end.replace((end, packets));
                let (place, scope) = (sums.place, sums.hash);
                self.keep_end(place, scope, before);
            }
        }
    }

    fn keep_end(&mut self, place: Place, scope: u64, end: Option<(ServerEnd, u64)>) {
        let Some((end, packets)) = end else { return };
        let key = (place, end);
        let hash = self.hasher.hash_one((scope, end));
        if let Some(sum) = self.ends.entry(hash, |have| *have == key, || (key, 0), |_, _| {}) {
            *sum += packets;
        }
    }

    /// Nothing is added any more.
    pub fn into_sums(mut self) -> Sums {
        for index in 0..self.scopes.len() {
            let sums = &mut self.scopes[index];
            let (place, scope, end) = (sums.place, sums.hash, sums.end.take());
            self.keep_end(place, scope, end);
        }
        let Self { places, scopes, .. } = self;
        let is_kept = |(index, sums): (usize, ScopeTally)| {
            let kept = places.get(&sums.scope) == Some(&index);
            kept.then(|| sums.into_sum())
        };
        let sources = self.sources.into_rows(|source, row| {
            let prefix = prefix_of(&source, &row.attribution);
            ((source.place, SourceKey { prefix, address: source.client.address }), row.cell)
        });
        Sums {
            scopes: scopes.into_iter().enumerate().map(is_kept).collect(),
            refused_scopes: self.candidates.limit(),
            sources,
            kept_out: self.kept_out,
            paths: as_they_are(self.paths),
            makes: as_they_are(self.makes),
            names: as_they_are(self.names),
            ends: as_they_are(self.ends),
            failing: as_they_are(self.failing),
            probed: as_they_are(self.probed),
        }
    }
}

fn as_they_are<K, V>(map: BottomMap<K, V>) -> BottomRows<K, V> {
    map.into_rows(|key, value| (key, value))
}

/// A method as it is kept.
fn method(name: &str) -> Cow<'static, str> {
    match name {
        "GET" => Cow::Borrowed("GET"),
        "POST" => Cow::Borrowed("POST"),
        "HEAD" => Cow::Borrowed("HEAD"),
        other => Cow::Owned(other.to_owned()),
    }
}

fn prefix_of(source: &Source, attribution: &Attribution) -> PrefixKey {
    let lineage = Lineage::of(attribution, source.client.proof);
    PrefixKey { lineage, prefix: attribution.prefix, reach: attribution.reach }
}
