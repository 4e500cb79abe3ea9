//! What was counted in one tick, when nothing is added any more. Comes in: the rows that one worker, or all together,
//! kept. Goes out: the frozen [`Tick`], each scope with its own rows, sorted. Rows name their scope by its place, which is
//! shorter than the scope and leads to it without a look-up.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use super::{
    BottomMap, BottomRows, Callers, Cell, Counts, FailingKey, Lineage, MakeKey, NameKey, PathKey, PrefixKey,
    Probe, ProbedKey, Ranked, ScopeTick, SourceKey, Strangers, Tick, Waits, caps, coverage,
};
use crate::flow::ServerEnd;
use crate::service::Scope;
use crate::time::TickId;

/// A scope's place in a tick. A place that another scope takes over begins another life: what was counted for the scope
/// that gave way is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    index: u32,
    life: u32,
}

impl Place {
    /// The first life of a place.
    pub fn at(index: usize) -> Self {
        Self { index: u32::try_from(index).unwrap_or(u32::MAX), life: 0 }
    }

    /// Its next life.
    pub fn again(self) -> Self {
        Self { life: self.life.wrapping_add(1), ..self }
    }

    /// Where it is.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// What was counted in one tick.
pub(super) struct Sums {
    /// By place; `None` where a scope gave way and none came after it.
    pub scopes: Vec<Option<ScopeSum>>,
    /// The hash from which on scopes were refused, if any were.
    pub refused_scopes: Option<u64>,
    pub sources: BottomRows<(Place, SourceKey), Cell>,
    pub kept_out: KeptOut,
    pub paths: BottomRows<(Place, PathKey), u64>,
    pub makes: BottomRows<(Place, MakeKey), u64>,
    pub names: BottomRows<(Place, NameKey), u64>,
    pub ends: BottomRows<(Place, ServerEnd), u64>,
    pub failing: BottomRows<(Place, FailingKey), u64>,
    pub probed: BottomRows<(Place, ProbedKey), Probe>,
}

/// What one scope comes to.
pub(super) struct ScopeSum {
    pub scope: Scope,
    pub place: Place,
    /// Where its rows' hashes begin.
    pub hash: u64,
    pub counts: Counts,
    pub strangers: Option<Strangers>,
    pub callers: Callers,
    pub waits: Option<Box<Waits>>,
}

/// What the cap on sources keeps out, by prefix and network.
#[derive(Debug)]
pub(super) struct KeptOut {
    pub prefixes: BottomMap<(Place, PrefixKey), Cell>,
    pub networks: BottomMap<(Place, Lineage), Cell>,
    pub hasher: FixedState,
}

impl KeptOut {
    /// Nothing yet.
    pub fn new(hasher: FixedState) -> Self {
        let (prefixes, networks) = (BottomMap::new(caps::PREFIXES), BottomMap::new(caps::NETWORKS));
        Self { prefixes, networks, hasher }
    }

    /// Adds what another worker's cap kept out; `place_of` tells where the scope at one of its places is here.
    pub fn absorb(&mut self, other: Self, place_of: impl Fn(Place) -> Option<Place>) {
        absorb(&mut self.prefixes, other.prefixes, &place_of);
        absorb(&mut self.networks, other.networks, &place_of);
    }

    /// Adds what a source did to its prefix and network; `scope` is where the hashes of its scope's rows begin.
    #[cold]
    pub fn add(&mut self, scope: u64, place: Place, prefix: &PrefixKey, cell: &Cell) {
        let (key, hash) = ((place, *prefix), self.hasher.hash_one((scope, prefix)));
        if let Some(sum) =
            self.prefixes.entry(hash, |have| *have == key, || (key, Cell::default()), |_, _| {})
        {
            sum.merge(cell);
        }
        let (key, hash) = ((place, prefix.lineage), self.hasher.hash_one((scope, prefix.lineage)));
        if let Some(sum) =
            self.networks.entry(hash, |have| *have == key, || (key, Cell::default()), |_, _| {})
        {
            sum.merge(cell);
        }
    }
}

/// Adds rows with their hashes, beyond the cap those of the lowest.
fn absorb<K: PartialEq + Copy>(
    sums: &mut BottomMap<(Place, K), Cell>,
    more: BottomMap<(Place, K), Cell>,
    place_of: impl Fn(Place) -> Option<Place>,
) {
    let BottomRows { rows, limit } = more.into_rows(|key, cell| (key, cell));
    sums.refuse_from(limit);
    for (hash, (place, key), cell) in rows {
        let Some(key) = place_of(place).map(|place| (place, key)) else { continue };
        if let Some(sum) = sums.entry(hash, |have| *have == key, || (key, Cell::default()), |_, _| {}) {
            sum.merge(&cell);
        }
    }
}

impl ScopeSum {
    /// Whether nobody named the scope, so that a cap applies.
    pub fn is_candidate(&self) -> bool {
        matches!(self.scope, Scope::Candidate(_) | Scope::CandidateHost(_))
    }

    /// Adds what another worker counted of the scope.
    pub fn merge(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        self.callers.merge(other.callers);
        match (&mut self.waits, other.waits) {
            (Some(sum), Some(more)) => sum.merge(&more),
            (sum @ None, more) => *sum = more,
            (Some(_), None) => {}
        }
        match (&mut self.strangers, other.strangers) {
            (Some(sum), Some(more)) => sum.merge(&more),
            (sum @ None, more) => *sum = more,
            (Some(_), None) => {}
        }
    }
}

impl Sums {
    /// Gives each scope its rows, sorted, and sums up prefixes and networks.
    pub fn freeze(self, id: TickId) -> Tick {
        let covered = coverage(self.sources.limit);
        let mut frozen =
            Frozen { scopes: self.scopes.into_iter().map(|sum| Frozen::of(sum?, covered)).collect() };
        frozen.share_out_sources(&self.sources.rows);
        frozen.share_out(self.paths.rows, |tick| &mut tick.paths);
        frozen.share_out(self.makes.rows, |tick| &mut tick.makes);
        frozen.share_out(self.names.rows, |tick| &mut tick.names);
        frozen.share_out(self.ends.rows, |tick| &mut tick.ends);
        frozen.share_out(self.failing.rows, |tick| &mut tick.failing);
        frozen.share_out(self.probed.rows, |tick| &mut tick.probed);
        frozen.ticks().for_each(|scope| scope.tick.sort());
        frozen.sum_up(self.kept_out);
        let scopes = frozen.scopes.into_iter().flatten().map(|scope| (scope.scope, scope.tick));
        Tick { id, scopes: scopes.collect() }
    }
}

/// The scopes of a tick while their rows come together, by place.
struct Frozen {
    scopes: Vec<Option<FrozenScope>>,
}

struct FrozenScope {
    scope: Scope,
    place: Place,
    hash: u64,
    tick: ScopeTick,
}

impl Frozen {
    fn of(sum: ScopeSum, coverage: f64) -> Option<FrozenScope> {
        let ScopeSum { scope, place, hash, counts, strangers, callers, waits } = sum;
        let tick = ScopeTick { counts, strangers, callers, waits, coverage, ..ScopeTick::default() };
        Some(FrozenScope { scope, place, hash, tick })
    }

    fn ticks(&mut self) -> impl Iterator<Item = &mut FrozenScope> {
        self.scopes.iter_mut().flatten()
    }

    /// The scope at a place, where it still lives.
    fn at(&mut self, place: Place) -> Option<&mut FrozenScope> {
        self.scopes.get_mut(place.index())?.as_mut().filter(|scope| scope.place == place)
    }

    /// Gives each source's row to its scope, in their order. Sorted by where they would stand: rows are too large to be moved
    /// more than once.
    fn share_out_sources(&mut self, rows: &[SourceRow]) {
        let mut order: Vec<(usize, u128, &SourceRow)> = Vec::with_capacity(rows.len());
        let kept = rows.iter().filter(|(_, (place, _), _)| self.at(*place).is_some());
        order.extend(kept.map(|row| (row.1.0.index(), row.1.1.rank(), row)));
        order.sort_unstable_by(|one, other| {
            (one.0, one.1).cmp(&(other.0, other.1)).then_with(|| one.2.1.1.cmp(&other.2.1.1))
        });
        for share in order.chunk_by(|one, next| one.0 == next.0) {
            let place = share.first().and_then(|(index, _, _)| self.scopes.get_mut(*index)?.as_mut());
            if let Some(scope) = place {
                scope.tick.sources = share.iter().map(|(_, _, (_, (_, key), cell))| (*key, *cell)).collect();
            }
        }
    }

    /// Gives each row to its scope; rows of a scope that was itself not kept have nowhere to go.
    fn share_out<K, V>(
        &mut self,
        rows: Vec<(u64, (Place, K), V)>,
        list: impl Fn(&mut ScopeTick) -> &mut Vec<(K, V)>,
    ) {
        // Counted first: ticks are kept for minutes, and lists that grow as they go are larger than what is in them.
        let mut shares = vec![0; self.scopes.len()];
        for (_, (place, _), _) in &rows {
            if let Some(share) = shares.get_mut(place.index()) {
                *share += 1;
            }
        }
        for (scope, share) in self.scopes.iter_mut().zip(shares) {
            if let Some(scope) = scope {
                list(&mut scope.tick).reserve_exact(share);
            }
        }
        for (_, (place, key), value) in rows {
            if let Some(scope) = self.at(place) {
                list(&mut scope.tick).push((key, value));
            }
        }
    }

    /// Sums the sources up to prefixes and networks, with what was kept out of them.
    fn sum_up(&mut self, kept_out: KeptOut) {
        for FrozenScope { tick, .. } in self.ticks() {
            (tick.prefixes, tick.networks) = summed_up(&tick.sources);
        }
        let KeptOut { prefixes, networks, hasher } = kept_out;
        let whole_prefixes = self.add_kept_out(prefixes, &hasher, caps::PREFIXES, |tick| &mut tick.prefixes);
        let whole_networks = self.add_kept_out(networks, &hasher, caps::NETWORKS, |tick| &mut tick.networks);
        self.ticks().for_each(|scope| scope.tick.is_summed_up = whole_prefixes && whole_networks);
    }

    /// Adds rows, and cuts what there is then to the `cap` rows of the lowest hashes; answers whether there was nothing to
    /// add and nothing to cut.
    fn add_kept_out<K: Hash + Ord + Copy>(
        &mut self,
        more: BottomMap<(Place, K), Cell>,
        hasher: &FixedState,
        cap: usize,
        list: impl Fn(&mut ScopeTick) -> &mut Vec<(K, Cell)>,
    ) -> bool {
        let (limit, adds) = (more.limit(), !more.is_empty());
        if adds {
            self.share_out(more.into_rows(|key, cell| (key, cell)).rows, &list);
            self.ticks().for_each(|scope| merge_equal(list(&mut scope.tick)));
        }
        let rows: usize = self.ticks().map(|scope| list(&mut scope.tick).len()).sum();
        if rows <= cap && limit.is_none() {
            return !adds;
        }
        let hash_of = |scope: u64, key: &K| hasher.hash_one((scope, key));
        let mut hashes = Vec::with_capacity(rows);
        for FrozenScope { hash, tick, .. } in self.ticks() {
            hashes.extend(list(tick).iter().map(|(key, _)| hash_of(*hash, key)));
        }
        let mut limit = limit.unwrap_or(u64::MAX);
        if hashes.len() > cap {
            limit = limit.min(*hashes.select_nth_unstable(cap).1);
        }
        for FrozenScope { hash, tick, .. } in self.ticks() {
            list(tick).retain(|(key, _)| hash_of(*hash, key) < limit);
        }
        false
    }
}

/// What a source did in the scope at a place, with its hash.
type SourceRow = (u64, (Place, SourceKey), Cell);

/// What each key did.
type Rows<K> = Vec<(K, Cell)>;

/// The prefixes and networks that sorted sources come to: rows of one prefix lie together, and so do prefixes of one
/// network.
pub(super) fn summed_up(sources: &[(SourceKey, Cell)]) -> (Rows<PrefixKey>, Rows<Lineage>) {
    let prefixes = folded(sources, |(source, cell)| (&source.prefix, cell));
    let networks = folded(&prefixes, |(prefix, cell)| (&prefix.lineage, cell));
    (prefixes, networks)
}

/// Adds up the cells of neighbours that have the same key.
pub(super) fn folded<T, K: PartialEq + Copy>(
    rows: &[T],
    parts: impl Fn(&T) -> (&K, &Cell) + Copy,
) -> Vec<(K, Cell)> {
    let same_key = rows.chunk_by(|one, next| parts(one).0 == parts(next).0);
    // Counted first, as above.
    let mut sums = Vec::with_capacity(same_key.clone().count());
    for rows in same_key {
        let Some((first, others)) = rows.split_first() else { continue };
        let (key, mut sum) = (*parts(first).0, *parts(first).1);
        others.iter().for_each(|row| sum.merge(parts(row).1));
        sums.push((key, sum));
    }
    sums
}

/// Sorts rows and adds up those of one key.
fn merge_equal<K: Ord + Copy>(rows: &mut Vec<(K, Cell)>) {
    rows.sort_unstable_by_key(|row| row.0);
    rows.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1.merge(&next.1);
        }
        same
    });
}

impl ScopeTick {
    /// Sorts all rows but those of sources, which are already.
    fn sort(&mut self) {
        self.ends.sort_unstable_by_key(|row| row.0);
        self.failing.sort_unstable_by_key(|row| row.0);
        self.probed.sort_unstable_by_key(|row| row.0);
        self.paths.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.makes.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ipnet::IpNet;

    use super::*;
    use crate::attribute::{Asn, Country};
    use crate::flow::Proof;
    use crate::service::ServiceId;

    fn lineage(country: u8, asn: u8) -> Lineage {
        let country = match country {
            0 => Country::Unknown,
            1 => Country::Private,
            other => Country::Code([b'A', other]),
        };
        let asn = (asn > 0).then_some(Asn(u32::from(asn)));
        Lineage { country, asn, label: None, proof: Proof::Proven }
    }

    fn source(country: u8, asn: u8, net: u8, host: u8) -> SourceKey {
        let address = IpAddr::from([198, 51, net, host]);
        let prefix = IpNet::new(Ipv4Addr::new(198, 51, net, 0).into(), 24).unwrap();
        SourceKey { prefix: PrefixKey { lineage: lineage(country, asn), prefix, reach: 24 }, address }
    }

    fn sums(sources: Vec<(SourceKey, Cell)>, kept_out: KeptOut) -> Sums {
        let scope = ScopeSum {
            scope: Scope::Service(ServiceId(0)),
            place: Place::at(0),
            hash: 7,
            counts: Counts::default(),
            strangers: None,
            callers: Callers::Nobody,
            waits: None,
        };
        let rows = sources.into_iter().map(|(key, cell)| (0, (Place::at(0), key), cell)).collect();
        let none = || BottomRows { rows: Vec::new(), limit: None };
        Sums {
            scopes: vec![Some(scope)],
            refused_scopes: None,
            sources: BottomRows { rows, limit: None },
            kept_out,
            paths: none(),
            makes: BottomRows { rows: Vec::new(), limit: None },
            names: BottomRows { rows: Vec::new(), limit: None },
            ends: BottomRows { rows: Vec::new(), limit: None },
            failing: BottomRows { rows: Vec::new(), limit: None },
            probed: BottomRows { rows: Vec::new(), limit: None },
        }
    }

    fn frozen(sums: Sums) -> ScopeTick {
        sums.freeze(TickId::default()).scopes.into_values().next().unwrap()
    }

    fn packets(packets: u64) -> Cell {
        Cell { packets, ..Cell::default() }
    }

    #[test]
    fn what_a_cap_kept_out_is_in_its_prefix_and_network() {
        let mut kept_out = KeptOut::new(FixedState::with_seed(0));
        kept_out.add(7, Place::at(0), &source(b'B', 9, 1, 1).prefix, &packets(5));
        kept_out.add(7, Place::at(0), &source(b'B', 9, 2, 1).prefix, &packets(3));
        let rows = vec![(source(b'B', 9, 2, 8), packets(2)), (source(b'B', 9, 2, 7), packets(1))];
        let tick = frozen(sums(rows, kept_out));
        let prefixes: Vec<_> =
            tick.prefixes.iter().map(|(key, cell)| (key.prefix.to_string(), cell.packets)).collect();
        assert_eq!(prefixes, [("198.51.1.0/24".to_owned(), 5), ("198.51.2.0/24".to_owned(), 6)]);
        assert_eq!(tick.networks, [(lineage(b'B', 9), packets(11))]);
    }

    #[test]
    fn a_scope_that_gave_way_leaves_nothing_to_its_successor() {
        let mut sums =
            sums(vec![(source(b'B', 9, 2, 8), packets(2))], KeptOut::new(FixedState::with_seed(0)));
        sums.scopes[0].as_mut().unwrap().place = Place::at(0).again();
        assert!(frozen(sums).sources.is_empty());
    }

    #[test]
    fn prefixes_beyond_their_cap_are_those_of_the_lowest_hashes() {
        let mut kept_out = KeptOut::new(FixedState::with_seed(0));
        let wide = |number: usize| {
            let [.., high, low] = (number as u32).to_be_bytes();
            PrefixKey { lineage: lineage(high, low), ..source(0, 0, low, 0).prefix }
        };
        let most = caps::PREFIXES + 100;
        for number in 0..most {
            kept_out.add(7, Place::at(0), &wide(number), &packets(1));
        }
        let hasher = FixedState::with_seed(0);
        let tick = frozen(sums(Vec::new(), kept_out));
        assert!(tick.prefixes.len() <= caps::PREFIXES && tick.prefixes.len() > caps::PREFIXES - 10);
        let highest = tick.prefixes.iter().map(|(key, _)| hasher.hash_one((7_u64, key))).max().unwrap();
        let lower = (0..most).filter(|number| hasher.hash_one((7_u64, wide(*number))) <= highest).count();
        assert_eq!(lower, tick.prefixes.len());
    }
}
