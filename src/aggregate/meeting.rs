//! The tick in which workers meet. Comes in: each worker's [`Sums`]. Goes out: those of all together.
//!
//! Whoever is alone there has nobody to be added to, and stays as it is. Where several meet, rows find each other in
//! shared maps, by scope and key: a place is one worker's own.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use dashmap::DashMap;
use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;

use super::sums::{KeptOut, Place, ScopeSum, Sums};
use super::{BottomRows, Cell, FailingKey, MakeKey, NameKey, PathKey, Probe, ProbedKey, SourceKey, caps};
use crate::flow::ServerEnd;
use crate::service::Scope;

/// One open tick.
#[derive(Default)]
pub(super) struct Meeting {
    first: Mutex<First>,
    joint: OnceLock<Joint>,
}

/// What the first worker brought.
#[derive(Default)]
enum First {
    #[default]
    Nobody,
    Alone(Box<Sums>),
    Joined,
}

/// Shared maps, filled by every worker once.
#[derive(Default)]
struct Joint {
    scopes: DashMap<Scope, ScopeSum, RandomState>,
    /// The lowest hash of a scope that some worker refused; `u64::MAX` where none did.
    refused_scopes: Refused,
    sources: Shared<SourceKey, Cell>,
    /// What caps kept out, with the scopes by their places.
    kept_out: Mutex<Vec<(Scopes, KeptOut)>>,
    paths: Shared<PathKey, u64>,
    makes: Shared<MakeKey, u64>,
    names: Shared<NameKey, u64>,
    ends: Shared<ServerEnd, u64>,
    failing: Shared<FailingKey, u64>,
    probed: Shared<ProbedKey, Probe>,
}

/// A capped map that several workers fill: the keys that any of them kept, with their hashes.
struct Shared<K: Eq + Hash, V> {
    map: DashMap<(Scope, K), (u64, V), RandomState>,
    refused: Refused,
}

/// The lowest hash that some worker refused.
struct Refused(AtomicU64);

impl Meeting {
    /// Adds one worker's sums.
    pub fn add(&self, sums: Sums) {
        let before = {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *first, First::Joined) {
                First::Nobody => {
                    *first = First::Alone(Box::new(sums));
                    return;
                }
                First::Alone(before) => Some(before),
                First::Joined => None,
            }
        };
        let joint = self.joint.get_or_init(Joint::default);
        joint.add(sums);
        if let Some(before) = before {
            joint.add(*before);
        }
    }

    /// What all of them come to; `None` where nobody came.
    pub fn together(self) -> Option<Sums> {
        match self.first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            First::Alone(sums) => Some(*sums),
            First::Nobody | First::Joined => self.joint.into_inner().map(Joint::together),
        }
    }
}

impl Joint {
    fn add(&self, sums: Sums) {
        let named = |sum: &Option<ScopeSum>| sum.as_ref().map(|sum| (sum.place, sum.scope));
        let scopes: Scopes = sums.scopes.iter().map(named).collect();
        let scope_of = |place| scope_at(&scopes, place);
        self.refused_scopes.note(sums.refused_scopes);
        self.sources.add(sums.sources, scope_of, |sum, more| sum.merge(&more));
        self.paths.add(sums.paths, scope_of, |sum, more| *sum += more);
        self.makes.add(sums.makes, scope_of, |sum, more| *sum += more);
        self.names.add(sums.names, scope_of, |sum, more| *sum += more);
        self.ends.add(sums.ends, scope_of, |sum, more| *sum += more);
        self.failing.add(sums.failing, scope_of, |sum, more| *sum += more);
        self.probed.add(sums.probed, scope_of, Probe::merge);
        for sum in sums.scopes.into_iter().flatten() {
            match self.scopes.entry(sum.scope) {
                dashmap::Entry::Occupied(mut have) => have.get_mut().merge(sum),
                dashmap::Entry::Vacant(place) => drop(place.insert(sum)),
            }
        }
        let mut kept_out = self.kept_out.lock().unwrap_or_else(PoisonError::into_inner);
        kept_out.push((scopes, sums.kept_out));
    }

    fn together(self) -> Sums {
        let scopes = kept_scopes(self.scopes, self.refused_scopes.limit());
        let places: Places = scopes.iter().flatten().map(|sum| (sum.scope, sum.place)).collect();
        let mut kept_out: Option<KeptOut> = None;
        for (scopes, more) in self.kept_out.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let place_of = |place| places.get(&scope_at(&scopes, place)?).copied();
            kept_out.get_or_insert_with(|| KeptOut::new(more.hasher.clone())).absorb(more, place_of);
        }
        let mut kept_out = kept_out.unwrap_or_else(|| KeptOut::new(FixedState::default()));
        let (sources, dropped) = self.sources.together(caps::SOURCES, &places);
        for (_, (place, source), cell) in dropped {
            let scope = scopes.get(place.index()).and_then(Option::as_ref).map_or(0, |sum| sum.hash);
            kept_out.add(scope, place, &source.prefix, &cell);
        }
        Sums {
            scopes,
            refused_scopes: None,
            sources,
            kept_out,
            paths: self.paths.together(caps::PATHS, &places).0,
            makes: self.makes.together(caps::MAKES, &places).0,
            names: self.names.together(caps::NAMES, &places).0,
            ends: self.ends.together(caps::ENDS, &places).0,
            failing: self.failing.together(caps::FAILING, &places).0,
            probed: self.probed.together(caps::PROBED, &places).0,
        }
    }
}

/// Each scope's place when all are together.
type Places = HashMap<Scope, Place, RandomState>;

/// One worker's scopes, each in its place.
type Scopes = Vec<Option<(Place, Scope)>>;

/// The scope that lives at a place; rows of one that gave way have nowhere to go.
fn scope_at(scopes: &Scopes, place: Place) -> Option<Scope> {
    let (lives, scope) = scopes.get(place.index()).copied().flatten()?;
    (lives == place).then_some(scope)
}

/// The scopes, each in its place: all that somebody named, of the others those of the lowest hashes below every limit.
fn kept_scopes(scopes: DashMap<Scope, ScopeSum, RandomState>, limit: Option<u64>) -> Vec<Option<ScopeSum>> {
    let (mut candidates, mut kept): (Vec<_>, Vec<_>) =
        scopes.into_iter().map(|(_, sum)| sum).partition(ScopeSum::is_candidate);
    candidates.retain(|sum| limit.is_none_or(|limit| sum.hash < limit));
    keep_lowest(&mut candidates, caps::CANDIDATES, |sum| sum.hash);
    kept.append(&mut candidates);
    let in_place = |(at, sum): (usize, ScopeSum)| Some(ScopeSum { place: Place::at(at), ..sum });
    kept.into_iter().enumerate().map(in_place).collect()
}

/// Cuts a list to the `cap` rows of the lowest hashes, or a few less where hashes are equal; answers what was cut, and
/// the hash from which on.
fn keep_lowest<T>(rows: &mut Vec<T>, cap: usize, hash: impl Fn(&T) -> u64) -> (Vec<T>, Option<u64>) {
    if rows.len() <= cap {
        return (Vec::new(), None);
    }
    rows.sort_unstable_by_key(&hash);
    let limit = rows.get(cap).map_or(u64::MAX, &hash);
    let kept = rows.partition_point(|row| hash(row) < limit);
    (rows.split_off(kept), Some(limit))
}

/// Rows with their hashes, their scopes named by place.
type Rows<K, V> = Vec<(u64, (Place, K), V)>;

impl<K: Eq + Hash, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self { map: DashMap::default(), refused: Refused::default() }
    }
}

impl<K: Eq + Hash, V: Default> Shared<K, V> {
    fn add(
        &self,
        part: BottomRows<(Place, K), V>,
        scope_of: impl Fn(Place) -> Option<Scope>,
        merge: impl Fn(&mut V, V),
    ) {
        self.refused.note(part.limit);
        for (hash, (place, key), value) in part.rows {
            let Some(scope) = scope_of(place) else { continue };
            merge(&mut self.map.entry((scope, key)).or_insert_with(|| (hash, V::default())).1, value);
        }
    }

    /// The `cap` rows with the lowest hashes below every limit, and those that are left.
    fn together(self, cap: usize, places: &Places) -> (BottomRows<(Place, K), V>, Rows<K, V>) {
        let row = |((scope, key), (hash, value))| Some((hash, (*places.get(&scope)?, key), value));
        let mut rows: Rows<K, V> = self.map.into_iter().filter_map(row).collect();
        let refused = self.refused.limit();
        let above = |(hash, _, _): &mut (u64, (Place, K), V)| refused.is_some_and(|limit| *hash >= limit);
        let mut dropped: Rows<K, V> = rows.extract_if(.., above).collect();
        let (mut more, cut) = keep_lowest(&mut rows, cap, |(hash, _, _)| *hash);
        dropped.append(&mut more);
        (BottomRows { rows, limit: cut.or(refused) }, dropped)
    }
}

impl Default for Refused {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Refused {
    fn note(&self, limit: Option<u64>) {
        if let Some(limit) = limit {
            self.0.fetch_min(limit, Ordering::Relaxed);
        }
    }

    fn limit(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|limit| *limit != u64::MAX)
    }
}
