//! One worker's sums for the ticks that are open. Comes in: events. Goes out, once a tick: a [`Tally`] to be merged.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;

use super::open::OpenTicks;
use super::{
    BottomMap, Cell, Count, Counts, Fingerprint, Lineage, MakeKey, PathKey, PrefixKey, SourceKey, Strangers,
    caps,
};
use crate::attribute::{Attribution, Attributor};
use crate::flow::{Client, ClientHello, FlowEvent, Ja4, Observer, RequestHead, ServerEnd, Volume, What};
use crate::service::{Direction, Scope};
use crate::time::TickId;

/// The sums of one worker.
pub struct Tallies {
    attributor: Arc<Attributor>,
    known: HashMap<IpAddr, Attribution, RandomState>,
    open: BTreeMap<TickId, Tally>,
    hasher: FixedState,
}

/// Attributions kept at hand by a worker; beyond this the memory starts anew. It is only a memory: what it forgets is
/// looked up again.
const KNOWN: usize = 32_768;

/// One worker's sums for one tick.
pub(super) struct Tally {
    pub scopes: HashMap<Scope, ScopeTally, RandomState>,
    pub candidates: BottomMap<Scope, ScopeTally>,
    pub networks: BottomMap<(Scope, Lineage), Cell>,
    pub prefixes: BottomMap<(Scope, PrefixKey), Cell>,
    pub sources: BottomMap<(Scope, SourceKey), Cell>,
    pub paths: BottomMap<(Scope, PathKey), u64>,
    pub makes: BottomMap<(Scope, MakeKey), u64>,
    pub ends: BottomMap<(Scope, ServerEnd), u64>,
}

/// One worker's sums for one scope.
#[derive(Default)]
pub(super) struct ScopeTally {
    pub counts: Counts,
    /// What of the counts the open tick's readers have been shown.
    pub shown: Counts,
    pub strangers: Option<Strangers>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            scopes: HashMap::default(),
            candidates: BottomMap::new(caps::CANDIDATES),
            networks: BottomMap::new(caps::NETWORKS),
            prefixes: BottomMap::new(caps::PREFIXES),
            sources: BottomMap::new(caps::SOURCES),
            paths: BottomMap::new(caps::PATHS),
            makes: BottomMap::new(caps::MAKES),
            ends: BottomMap::new(caps::ENDS),
        }
    }
}

impl Tallies {
    /// Empty sums; `seed` decides which keys stay where a cap is reached, the same in all that are merged.
    pub fn new(attributor: Arc<Attributor>, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { attributor, known: HashMap::default(), open: BTreeMap::new(), hasher }
    }

    /// Shows the open ticks' readers what was counted since the last time.
    pub fn show(&mut self, board: &OpenTicks) {
        for tally in self.open.values_mut() {
            for (scope, sums) in &mut tally.scopes {
                if sums.counts != sums.shown {
                    let mut news = sums.counts;
                    news.remove(&sums.shown);
                    board.show(*scope, &news);
                    sums.shown = sums.counts;
                }
            }
        }
    }

    /// The ticks up to and including `last` that anything was counted in, in order.
    pub fn open_until(&self, last: TickId) -> Vec<TickId> {
        self.open.range(..=last).map(|(tick, _)| *tick).collect()
    }

    /// Hands over the sums of `tick`.
    pub(super) fn take(&mut self, tick: TickId) -> Option<Tally> {
        self.open.remove(&tick)
    }

    fn attribution(&mut self, address: IpAddr) -> Attribution {
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

    /// Adds to the rows of a client in the tick of `event`.
    fn add(&mut self, event: &FlowEvent<'_>, client: Client, amount: &Cell) {
        let attribution = self.attribution(client.address);
        let (scope, hasher) = (event.scope, &self.hasher);
        let lineage = Lineage::of(&attribution, client.proof);
        let prefix = PrefixKey { lineage, prefix: attribution.prefix, reach: attribution.reach };
        let source = SourceKey { prefix, address: client.address };
        let tally = self.open.entry(event.tick).or_default();
        // The address alone decides the rest of its row, so it alone is hashed.
        let place = hasher.hash_one((scope, client.address, client.proof));
        let row = tally.sources.entry(
            place,
            |have| {
                have.0 == scope
                    && have.1.address == client.address
                    && have.1.prefix.lineage.proof == client.proof
            },
            || (scope, source),
        );
        merge(row, amount);
        let key = (scope, prefix);
        merge(tally.prefixes.entry(hasher.hash_one(key), |have| *have == key, || key), amount);
        let key = (scope, lineage);
        merge(tally.networks.entry(hasher.hash_one(key), |have| *have == key, || key), amount);
    }

    fn scope(&mut self, event: &FlowEvent<'_>) -> Option<&mut ScopeTally> {
        let tally = self.open.entry(event.tick).or_default();
        let scope = event.scope;
        match scope {
            Scope::Service(_) | Scope::Beside(_) => Some(tally.scopes.entry(scope).or_default()),
            Scope::Candidate(_) | Scope::CandidateHost(_) => {
                let place = self.hasher.hash_one(scope);
                tally.candidates.entry(place, |have| *have == scope, || scope)
            }
        }
    }

    fn count(&mut self, event: &FlowEvent<'_>, amounts: &[(Count, u64)]) {
        if let Some(sums) = self.scope(event) {
            for (count, amount) in amounts {
                sums.counts[*count] += amount;
            }
        }
    }

    fn unearned(&mut self, event: &FlowEvent<'_>, source: IpAddr, direction: Direction, bytes: u32) {
        let bytes = u64::from(bytes);
        let Some(sums) = self.scope(event) else { return };
        match direction {
            Direction::ToClient => {
                sums.counts[Count::PacketsOut] += 1;
                sums.counts[Count::BytesOut] += bytes;
            }
            Direction::ToServer => {
                sums.counts[Count::PacketsIn] += 1;
                sums.counts[Count::BytesIn] += bytes;
                sums.counts[Count::Unearned] += 1;
                if sums.strangers.is_none() {
                    sums.strangers = Strangers::new();
                }
                if let Some(strangers) = &mut sums.strangers {
                    strangers.see(source);
                }
                self.reached(event, 1);
            }
        }
    }

    /// Counts packets that reached the service's end of `event`.
    fn reached(&mut self, event: &FlowEvent<'_>, packets: u64) {
        let key = (event.scope, event.server);
        let Some(tally) = self.open.get_mut(&event.tick) else { return };
        if let Some(sum) = tally.ends.entry(self.hasher.hash_one(key), |have| *have == key, || key) {
            *sum += packets;
        }
    }

    fn admitted(&mut self, event: &FlowEvent<'_>, client: Client, earlier: Volume, opened: bool) {
        let connections = u64::from(opened);
        let unproven = u64::from(opened && client.proof == crate::flow::Proof::Unproven);
        self.count(
            event,
            &[
                (Count::Redeemed, earlier.packets),
                (Count::Opened, connections),
                (Count::OpenedUnproven, unproven),
            ],
        );
        let amount = Cell { packets: earlier.packets, bytes: earlier.bytes, connections, ..Cell::default() };
        self.add(event, client, &amount);
    }

    fn progress(&mut self, event: &FlowEvent<'_>, client: Client, to_server: Volume, to_client: Volume) {
        self.count(
            event,
            &[
                (Count::PacketsIn, to_server.packets),
                (Count::BytesIn, to_server.bytes),
                (Count::PacketsOut, to_client.packets),
                (Count::BytesOut, to_client.bytes),
            ],
        );
        let amount = Cell { packets: to_server.packets, bytes: to_server.bytes, ..Cell::default() };
        self.add(event, client, &amount);
        self.reached(event, to_server.packets);
    }

    fn request(&mut self, event: &FlowEvent<'_>, client: Client, head: &RequestHead<'_>) {
        self.count(event, &[(Count::Accesses, 1), (Count::Requests, 1)]);
        self.add(event, client, &Cell { accesses: 1, requests: 1, ..Cell::default() });
        let country = self.attribution(client.address).country;
        let (scope, hasher) = (event.scope, &self.hasher);
        let Some(tally) = self.open.get_mut(&event.tick) else { return };
        let place = hasher.hash_one((scope, country, head.method, head.path));
        let sum = tally.paths.entry(
            place,
            |(of, key)| {
                *of == scope
                    && key.country == country
                    && *key.method == *head.method
                    && *key.path == *head.path
            },
            || (scope, PathKey { country, method: head.method.into(), path: head.path.into() }),
        );
        increment(sum);
        if let Some(agent) = head.user_agent {
            let sum = tally.makes.entry(
                hasher.hash_one((scope, country, agent)),
                |(of, key)| {
                    *of == scope
                        && key.country == country
                        && matches!(&key.fingerprint, Fingerprint::UserAgent(have) if **have == *agent)
                },
                || (scope, MakeKey { country, fingerprint: Fingerprint::UserAgent(agent.into()) }),
            );
            increment(sum);
        }
    }

    fn hello(&mut self, event: &FlowEvent<'_>, client: Client, hello: &ClientHello<'_>) {
        self.count(event, &[(Count::Accesses, 1), (Count::Hellos, 1)]);
        self.add(event, client, &Cell { accesses: 1, ..Cell::default() });
        let country = self.attribution(client.address).country;
        let (scope, hasher) = (event.scope, &self.hasher);
        let ja4 = Ja4::of(hello);
        let Some(tally) = self.open.get_mut(&event.tick) else { return };
        let sum = tally.makes.entry(
            hasher.hash_one((scope, country, ja4)),
            |(of, key)| *of == scope && key.country == country && key.fingerprint == Fingerprint::Ja4(ja4),
            || (scope, MakeKey { country, fingerprint: Fingerprint::Ja4(ja4) }),
        );
        increment(sum);
    }

    fn response(&mut self, event: &FlowEvent<'_>, client: Client, status: u16) {
        let client_errors = u64::from((400..500).contains(&status));
        let server_errors = u64::from((500..600).contains(&status));
        self.count(
            event,
            &[
                (Count::Responses, 1),
                (Count::ClientErrors, client_errors),
                (Count::ServerErrors, server_errors),
            ],
        );
        self.add(event, client, &Cell { responses: 1, client_errors, server_errors, ..Cell::default() });
    }
}

impl Observer for Tallies {
    fn observe(&mut self, event: FlowEvent<'_>) {
        match event.what {
            What::Unearned { source, direction, bytes } => self.unearned(&event, source, direction, bytes),
            What::Attempted { .. } => self.count(&event, &[(Count::Attempts, 1)]),
            What::Admitted { client, earlier, opened } => self.admitted(&event, client, earlier, opened),
            What::Request(client, head) => self.request(&event, client, &head),
            What::Response(client, status) => self.response(&event, client, status),
            What::Hello(client, hello) => self.hello(&event, client, &hello),
            What::Spoken(client) => {
                self.count(&event, &[(Count::Accesses, 1)]);
                self.add(&event, client, &Cell { accesses: 1, ..Cell::default() });
            }
            What::Progress { client, to_server, to_client } => {
                self.progress(&event, client, to_server, to_client);
            }
            What::Closed { reset, .. } => {
                let resets = u64::from(reset == Some(Direction::ToClient));
                self.count(&event, &[(Count::Closed, 1), (Count::Resets, resets)]);
            }
        }
    }
}

fn merge(row: Option<&mut Cell>, amount: &Cell) {
    if let Some(row) = row {
        row.merge(amount);
    }
}

fn increment(sum: Option<&mut u64>) {
    if let Some(sum) = sum {
        *sum += 1;
    }
}
