//! One worker's sums for the ticks that are open. Comes in: events. Goes out, once a tick: [`Sums`] to be merged.
//!
//! This is called for every request and for every flow that moved, so it touches one row of one table: the source's.
//! Prefixes and networks are summed from the sources when the tick is handed over; a source that a cap keeps out is
//! added to them at once, so they stay exact.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;

use super::open::OpenTicks;
use super::{
    BottomMap, BottomRows, Cell, Count, Counts, FailingKey, Fingerprint, Lineage, MakeKey, PathKey,
    PrefixKey, Probe, ProbedKey, SourceKey, Strangers, Waits, caps,
};
use crate::attribute::{Attribution, Attributor, Country};
use crate::flow::{
    Client, ClientHello, End, Failure, FlowEvent, Ja4, Ja4Memo, Observer, Progress, Proof, RequestHead,
    Served, ServerEnd, Volume, What,
};
use crate::service::{Direction, Scope};
use crate::time::TickId;

/// The sums of one worker.
pub struct Tallies {
    attributions: Attributions,
    prints: Ja4Memo,
    /// Rows of the tick that was handed over last: as many are expected in the next.
    expected: Expected,
    /// The open ticks, at most a handful.
    open: Vec<(TickId, Tally)>,
    hasher: FixedState,
}

/// One worker's sums for one tick.
pub(super) struct Tally {
    places: HashMap<Scope, usize, RandomState>,
    /// The place that was used last: events come in runs.
    last: usize,
    scopes: Vec<ScopeTally>,
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
struct Expected {
    sources: usize,
    prefixes: usize,
    networks: usize,
    paths: usize,
    makes: usize,
}

/// One worker's sums for one scope.
pub(super) struct ScopeTally {
    pub scope: Scope,
    pub counts: Counts,
    pub strangers: Option<Strangers>,
    pub waits: Option<Box<Waits>>,
    /// What of the counts the open tick's readers have been shown.
    shown: Counts,
    /// Where its rows' hashes begin.
    hash: u64,
    /// The end that packets reached last, and how many, before they are added to the table.
    end: Option<(ServerEnd, u64)>,
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
enum Print<'a> {
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

/// Looks addresses up once and remembers the answer.
struct Attributions {
    attributor: Arc<Attributor>,
    known: HashMap<IpAddr, Attribution, RandomState>,
}

/// Attributions kept at hand by a worker; beyond this the memory starts anew. It is only a memory: what it forgets is
/// looked up again.
const KNOWN: usize = 32_768;

impl Attributions {
    fn of(&mut self, address: IpAddr) -> Attribution {
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let attribution = self.attributor.attribute(address);
        self.known.insert(address, attribution);
        attribution
    }
}

impl Tallies {
    /// Empty sums; `seed` decides which keys stay where a cap is reached, the same in all that are merged.
    pub fn new(attributor: Arc<Attributor>, seed: u64) -> Self {
        let attributions = Attributions { attributor, known: HashMap::default() };
        let prints = Ja4Memo::default();
        Self {
            attributions,
            prints,
            expected: Expected::default(),
            open: Vec::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Shows the open ticks' readers what was counted since the last time.
    pub fn show(&mut self, board: &OpenTicks) {
        for (_, tally) in &mut self.open {
            for sums in &mut tally.scopes {
                if sums.counts != sums.shown {
                    let mut news = sums.counts;
                    news.remove(&sums.shown);
                    board.show(sums.scope, &news);
                    sums.shown = sums.counts;
                }
            }
        }
    }

    /// The ticks up to and including `last` that anything was counted in, in order.
    pub fn open_until(&self, last: TickId) -> Vec<TickId> {
        let mut ticks: Vec<TickId> =
            self.open.iter().map(|(tick, _)| *tick).filter(|tick| *tick <= last).collect();
        ticks.sort_unstable();
        ticks
    }

    /// Hands over the sums of `tick`.
    pub(super) fn take(&mut self, tick: TickId) -> Option<Sums> {
        let at = self.open.iter().position(|(have, _)| *have == tick)?;
        let sums = self.open.swap_remove(at).1.into_sums();
        self.expected = Expected {
            sources: sums.sources.rows.len(),
            prefixes: sums.prefixes.rows.len(),
            networks: sums.networks.rows.len(),
            paths: sums.paths.rows.len(),
            makes: sums.makes.rows.len(),
        };
        Some(sums)
    }

    /// The sums of a tick, and who knows whose addresses are.
    #[inline]
    fn tally(&mut self, tick: TickId) -> (&mut Tally, &mut Attributions) {
        let Self { attributions, prints: _, expected, open, hasher } = self;
        // The newest is the one that nearly all events belong to.
        let at = match open.iter().rposition(|(have, _)| *have == tick) {
            Some(at) => at,
            None => {
                open.push((tick, Tally::new(hasher.clone(), *expected)));
                open.len() - 1
            }
        };
        (&mut open[at].1, attributions)
    }

    fn attempted(&mut self, event: &FlowEvent<'_>, source: IpAddr, bytes: u32) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::Attempts] += 1;
        sums.stranger(source, bytes);
        tally.reached(event.server, 1);
        tally.probed(event, source, Probe { attempts: 1, answered: 0 });
    }

    fn answered(&mut self, event: &FlowEvent<'_>, source: IpAddr, (bytes, micros): (u32, u32)) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.answers(bytes);
        sums.counts[Count::Answered] += 1;
        sums.counts[Count::AnswerWait] += u64::from(micros);
        tally.probed(event, source, Probe { attempts: 0, answered: 1 });
    }

    fn refused(&mut self, event: &FlowEvent<'_>, source: IpAddr, bytes: u32) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.answers(bytes);
        sums.counts[Count::Refused] += 1;
        // Where services are still to be found, the closed port of a host that has one is beside it.
        if let Scope::Candidate(end) = event.scope
            && tally.scope(Scope::CandidateHost(end.ip())).is_some()
        {
            let beside = FlowEvent { scope: Scope::CandidateHost(end.ip()), ..*event };
            tally.probed(&beside, source, Probe { attempts: 1, answered: 0 });
        }
    }

    fn failed(&mut self, event: &FlowEvent<'_>, source: IpAddr, (path, failure): (u32, Failure)) {
        let (tally, _) = self.tally(event.tick);
        if tally.scope(event.scope).is_some() {
            tally.failed(event.scope, FailingKey { source, path, failure });
        }
    }

    fn count(&mut self, event: &FlowEvent<'_>, counts: &[(Count, u64)]) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        for (count, more) in counts {
            sums.counts[*count] += more;
        }
    }

    fn unearned(&mut self, event: &FlowEvent<'_>, source: IpAddr, direction: Direction, bytes: u32) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        match direction {
            Direction::ToClient => sums.answers(bytes),
            Direction::ToServer => {
                sums.stranger(source, bytes);
                sums.by_protocol(event.server.protocol, Volume { packets: 1, bytes: u64::from(bytes) });
                tally.reached(event.server, 1);
            }
        }
    }

    fn admitted(&mut self, event: &FlowEvent<'_>, client: Client, earlier: Volume, opened: bool) {
        let (tally, known) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        let connections = u64::from(opened);
        sums.counts[Count::Redeemed] += earlier.packets;
        sums.counts[Count::Opened] += connections;
        sums.counts[Count::OpenedUnproven] += u64::from(opened && client.proof == Proof::Unproven);
        let amount = Cell { packets: earlier.packets, bytes: earlier.bytes, connections, ..Cell::default() };
        tally.client(client, &amount, known);
    }

    fn progress(&mut self, event: &FlowEvent<'_>, client: Client, progress: &Progress) {
        let Progress { to_server, to_client, news, served } = progress;
        let (tally, known) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        let amount = Cell {
            packets: to_server.packets,
            bytes: to_server.bytes,
            accesses: u64::from(news.spoken),
            responses: u64::from(news.responses),
            client_errors: u64::from(news.client_errors),
            server_errors: u64::from(news.server_errors),
            denied: u32::from(served.denied),
            missing: u32::from(served.missing),
            wait_us: u64::from(served.wait_micros),
            first_bytes: u32::from(served.first_bytes),
            unanswered: u32::from(served.unanswered),
            held: u32::from(served.held),
            released: u32::from(served.released),
            ..Cell::default()
        };
        sums.moved(&amount, *to_client);
        sums.ended(news.end);
        sums.served(served);
        sums.by_protocol(event.server.protocol, *to_server);
        tally.client(client, &amount, known);
        tally.reached(event.server, to_server.packets);
    }

    fn request(&mut self, event: &FlowEvent<'_>, client: Client, head: &RequestHead<'_>) {
        let (tally, known) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::Accesses] += 1;
        sums.counts[Count::Requests] += 1;
        let amount = Cell { accesses: 1, requests: 1, ..Cell::default() };
        let country = tally.client(client, &amount, known);
        tally.asked(event.scope, country, head);
        if let Some(agent) = head.user_agent {
            tally.made(event.scope, country, Print::UserAgent(agent));
        }
    }

    fn http2(&mut self, event: &FlowEvent<'_>, client: Client, (requests, resets): (u64, u32)) {
        let (tally, known) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::Accesses] += requests;
        sums.counts[Count::Requests] += requests;
        sums.counts[Count::Http2Requests] += requests;
        sums.counts[Count::Http2Resets] += u64::from(resets);
        tally.client(client, &Cell { accesses: requests, requests, resets, ..Cell::default() }, known);
    }

    fn hello(&mut self, event: &FlowEvent<'_>, client: Client, hello: &ClientHello<'_>) {
        let ja4 = self.prints.of(hello);
        let (tally, known) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::Accesses] += 1;
        sums.counts[Count::Hellos] += 1;
        let country = tally.client(client, &Cell { accesses: 1, ..Cell::default() }, known);
        tally.made(event.scope, country, Print::Ja4(ja4));
    }
}

impl Observer for Tallies {
    fn observe(&mut self, event: FlowEvent<'_>) {
        match event.what {
            What::Unearned { source, direction, bytes } => self.unearned(&event, source, direction, bytes),
            What::OneSided => self.count(&event, &[(Count::OneSided, 1)]),
            What::Measured { seen, missed } => {
                self.count(&event, &[(Count::DataSeen, seen), (Count::DataMissed, missed)]);
            }
            What::Attempted { source, bytes } => self.attempted(&event, source, bytes),
            What::Admitted { client, earlier, opened } => self.admitted(&event, client, earlier, opened),
            What::Request(client, head) => self.request(&event, client, head),
            What::Hello(client, hello) => self.hello(&event, client, &hello),
            What::Http2 { client, requests, resets } => {
                self.http2(&event, client, (u64::from(requests), resets));
            }
            What::Answered { source, bytes, micros } => self.answered(&event, source, (bytes, micros)),
            What::Refused { source, bytes } => self.refused(&event, source, bytes),
            What::Reflected { bytes } => {
                self.count(&event, &[(Count::Reflected, 1), (Count::ReflectedBytes, u64::from(bytes))]);
            }
            What::Failed { client, path, failure } => self.failed(&event, client.address, (path, failure)),
            What::Progress(client, progress) => self.progress(&event, client, &progress),
        }
    }
}

impl Tally {
    fn new(hasher: FixedState, expected: Expected) -> Self {
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
    fn scope(&mut self, scope: Scope) -> Option<&mut ScopeTally> {
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
        let (counts, shown) = (Counts::default(), Counts::default());
        let sums = ScopeTally { scope, counts, shown, strangers: None, waits: None, hash, end: None };
        match self.scopes.get_mut(place) {
            Some(old) => *old = sums,
            None => self.scopes.push(sums),
        }
        Some(place)
    }

    /// Adds to a client's row in the scope used last, or at once to its prefix and network where the row is kept out;
    /// answers the client's country.
    fn client(&mut self, client: Client, amount: &Cell, known: &mut Attributions) -> Country {
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

    fn asked(&mut self, scope: Scope, country: Country, head: &RequestHead<'_>) {
        let place = self.hasher.hash_one((self.scope_hash(), country, head.method, head.path));
        let is = |(of, key): &(Scope, PathKey)| {
            *of == scope && key.country == country && *key.method == *head.method && *key.path == *head.path
        };
        let make = || ((scope, PathKey { country, method: head.method.into(), path: head.path.into() }), 0);
        if let Some(sum) = self.paths.entry(place, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    fn made(&mut self, scope: Scope, country: Country, print: Print<'_>) {
        let place = self.hasher.hash_one((self.scope_hash(), country, print));
        let is = |(of, key): &(Scope, MakeKey)| {
            *of == scope && key.country == country && print.is(&key.fingerprint)
        };
        let make = || ((scope, MakeKey { country, fingerprint: print.kept() }), 0);
        if let Some(sum) = self.makes.entry(place, is, make, |_, _| {}) {
            *sum += 1;
        }
    }

    fn failed(&mut self, scope: Scope, key: FailingKey) {
        let place = self.hasher.hash_one((self.scope_hash(), key));
        let is = |have: &(Scope, FailingKey)| *have == (scope, key);
        if let Some(sum) = self.failing.entry(place, is, || ((scope, key), 0), |_, _| {}) {
            *sum += 1;
        }
    }

    /// Counts what came of attempts at a port beside the service; at its own ports everybody knocks.
    #[inline]
    fn probed(&mut self, event: &FlowEvent<'_>, source: IpAddr, probe: Probe) {
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
    fn reached(&mut self, end: ServerEnd, packets: u64) {
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

    fn into_sums(mut self) -> Sums {
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

impl ScopeTally {
    /// Counts a packet to the service from an address that has earned nothing.
    fn stranger(&mut self, source: IpAddr, bytes: u32) {
        self.counts[Count::PacketsIn] += 1;
        self.counts[Count::BytesIn] += u64::from(bytes);
        self.counts[Count::Unearned] += 1;
        if self.strangers.is_none() {
            self.strangers = Strangers::new();
        }
        if let Some(strangers) = &mut self.strangers {
            strangers.see(source);
        }
    }

    /// Counts a packet of the service to an address that has earned nothing.
    fn answers(&mut self, bytes: u32) {
        self.counts[Count::PacketsOut] += 1;
        self.counts[Count::BytesOut] += u64::from(bytes);
    }

    /// Counts what goes to the service by protocols other than TCP.
    #[inline]
    fn by_protocol(&mut self, protocol: u8, volume: Volume) {
        let packets = match protocol {
            TCP => return,
            UDP => {
                self.counts[Count::UdpBytesIn] += volume.bytes;
                Count::UdpIn
            }
            ICMP | ICMP6 => Count::IcmpIn,
            FRAGMENT => Count::FragmentsIn,
            _ => return,
        };
        self.counts[packets] += volume.packets;
    }

    /// Counts how the service served a client; of waits within a second on one connection their mean.
    fn served(&mut self, served: &Served) {
        for (count, more) in [
            (Count::LargeSent, u64::from(served.large_sent)),
            (Count::SmallSent, u64::from(served.small_sent)),
            (Count::FirstBytes, u64::from(served.first_bytes)),
            (Count::FirstByteWait, u64::from(served.wait_micros)),
        ] {
            self.counts[count] += more;
        }
        if served.has_trouble() {
            self.troubled(served);
        }
        if let Some(mean) = served.wait_micros.checked_div(u32::from(served.first_bytes)) {
            self.waits.get_or_insert_default().add(u64::from(mean), u32::from(served.first_bytes));
            if mean >= LATE_MICROS {
                self.counts[Count::Late] += u64::from(served.first_bytes);
            }
        }
    }

    #[inline(never)]
    fn troubled(&mut self, served: &Served) {
        for (count, more) in [
            (Count::LargeResent, u64::from(served.large_resent)),
            (Count::SmallResent, u64::from(served.small_resent)),
            (Count::ZeroWindows, u64::from(served.zero_windows)),
            (Count::Unanswered, u64::from(served.unanswered)),
            (Count::Denied, u64::from(served.denied)),
            (Count::Missing, u64::from(served.missing)),
            (Count::Held, u64::from(served.held)),
            (Count::Released, u64::from(served.released)),
        ] {
            self.counts[count] += more;
        }
    }

    /// Counts what moved on a connection.
    fn moved(&mut self, to_server: &Cell, to_client: Volume) {
        for (count, more) in [
            (Count::PacketsIn, to_server.packets),
            (Count::BytesIn, to_server.bytes),
            (Count::PacketsOut, to_client.packets),
            (Count::BytesOut, to_client.bytes),
            (Count::Accesses, to_server.accesses),
            (Count::Responses, to_server.responses),
            (Count::ClientErrors, to_server.client_errors),
            (Count::ServerErrors, to_server.server_errors),
        ] {
            self.counts[count] += more;
        }
    }

    fn ended(&mut self, end: Option<End>) {
        self.counts[Count::Closed] += u64::from(end.is_some());
        self.counts[Count::Resets] += u64::from(end == Some(End::Reset(Direction::ToClient)));
    }

    /// Whether a cap on scopes applies, and where its hash lies.
    pub fn candidate_hash(&self) -> Option<u64> {
        matches!(self.scope, Scope::Candidate(_) | Scope::CandidateHost(_)).then_some(self.hash)
    }
}

/// The protocol numbers that are counted apart, as in [`ServerEnd::protocol`].
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const FRAGMENT: u8 = 255;

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
/// An answer is late after two seconds: half of all visitors leave within three.
const LATE_MICROS: u32 = 2_000_000;
