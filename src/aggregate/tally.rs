//! One worker's sums for the ticks that are open. Comes in: events. Goes out, once a tick: [`Sums`] to be merged.
//!
//! This is called for every request and for every flow that moved, so it touches one row of one table: the source's.
//! Prefixes and networks are summed from the sources when the tick is over; what a cap keeps out of these is added to
//! its prefix and network at once, so they stay exact.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;

use super::open::OpenTicks;
use super::sums::Sums;
use super::tick_tally::{Expected, Print, Tally};
use super::{Cell, Count, FailingKey, Probe, Tried};
use crate::attribute::{Attribution, Attributor};
use crate::flow::{
    Client, ClientHello, Failure, FlowEvent, Ja4Memo, Observer, Progress, Proof, RequestHead, Volume, What,
};
use crate::service::{Direction, Scope, ServiceId};
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
    /// The services of many addresses, sorted.
    spread: Arc<[ServiceId]>,
}

/// Looks addresses up once and remembers the answer.
pub(super) struct Attributions {
    attributor: Arc<Attributor>,
    known: HashMap<IpAddr, Attribution, RandomState>,
}

/// Attributions kept at hand by a worker; beyond this the memory starts anew. It is only a memory: what it forgets is
/// looked up again.
const KNOWN: usize = 32_768;

impl Attributions {
    /// What is known of an address.
    pub fn of(&mut self, address: IpAddr) -> Attribution {
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
            spread: Arc::default(),
        }
    }

    /// Keeps, from the next tick on, who tries the addresses of these services, which have many.
    pub fn keep_probes_of(&mut self, spread: Arc<[ServiceId]>) {
        self.spread = spread;
    }

    /// Attributes addresses otherwise from now on.
    pub fn renew(&mut self, attributor: Arc<Attributor>) {
        self.attributions = Attributions { attributor, known: HashMap::default() };
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
        self.expected = Expected::after(&sums);
        Some(sums)
    }

    /// The sums of a tick, and who knows whose addresses are.
    #[inline]
    fn tally(&mut self, tick: TickId) -> (&mut Tally, &mut Attributions) {
        let Self { attributions, prints: _, expected, open, hasher, spread } = self;
        // The newest is the one that nearly all events belong to.
        let last = open.len().wrapping_sub(1);
        let is_last = open.get(last).is_some_and(|(have, _)| *have == tick);
        let at = if is_last { Some(last) } else { open.iter().position(|(have, _)| *have == tick) };
        let at = at.unwrap_or_else(|| {
            open.push((tick, Tally::new(hasher.clone(), *expected, Arc::clone(spread))));
            open.len() - 1
        });
        (&mut open[at].1, attributions)
    }

    fn attempted(&mut self, event: &FlowEvent<'_>, source: &IpAddr, bytes: u32) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::Attempts] += 1;
        sums.stranger(*source, bytes);
        sums.callers.see(source);
        tally.reached(event.server, 1);
        tally.probed(event, source, Probe { attempts: 1, answered: 0 });
    }

    fn answered(&mut self, event: &FlowEvent<'_>, source: &IpAddr, (bytes, micros): (u32, u32)) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.answers(bytes);
        sums.counts[Count::Answered] += 1;
        sums.counts[Count::AnswerWait] += u64::from(micros);
        sums.callers.see(source);
        tally.probed(event, source, Probe { attempts: 0, answered: 1 });
    }

    fn refused(&mut self, event: &FlowEvent<'_>, bytes: u32) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.answers(bytes);
        sums.counts[Count::Refused] += 1;
    }

    /// A request without a conversation, or word that its conversation went on.
    fn strayed(&mut self, event: &FlowEvent<'_>, source: IpAddr, (path, probe): (u32, Probe)) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::Strays] += u64::from(probe.attempts);
        sums.counts[Count::Found] += u64::from(probe.answered);
        // Beside a service it is the ports that tell a scan.
        if !matches!(event.scope, Scope::Beside(_) | Scope::CandidateHost(_)) {
            tally.tried(source, Tried::Path(path), probe);
        }
    }

    /// A datagram to a port beside the service, or word that it was answered.
    fn probed(&mut self, event: &FlowEvent<'_>, source: IpAddr, probe: Probe) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        sums.counts[Count::UdpProbes] += u64::from(probe.attempts);
        sums.counts[Count::UdpReplies] += u64::from(probe.answered);
        let end = event.server.address;
        tally.tried(source, Tried::Datagram(end.ip(), end.port()), probe);
    }

    fn failed(&mut self, event: &FlowEvent<'_>, source: IpAddr, (path, failure): (u32, Failure)) {
        let (tally, _) = self.tally(event.tick);
        if tally.scope(event.scope).is_some() {
            tally.failed(FailingKey { source, path, failure });
        }
    }

    fn count(&mut self, event: &FlowEvent<'_>, counts: &[(Count, u64)]) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        for (count, more) in counts {
            sums.counts[*count] += more;
        }
    }

    fn unearned(&mut self, event: &FlowEvent<'_>, source: &IpAddr, direction: Direction, bytes: u32) {
        let (tally, _) = self.tally(event.tick);
        let Some(sums) = tally.scope(event.scope) else { return };
        match direction {
            Direction::ToClient => sums.answers(bytes),
            Direction::ToServer => {
                sums.stranger(*source, bytes);
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
            accesses: u64::from(news.spoken) + u64::from(served.asked),
            responses: u64::from(news.responses),
            client_errors: u64::from(news.client_errors),
            server_errors: u64::from(news.server_errors),
            denied: u32::from(served.denied),
            missing: u32::from(served.missing),
            wait_us: u64::from(served.wait_micros),
            first_bytes: u32::from(served.first_bytes),
            unanswered: u32::from(served.unanswered),
            held: u32::from(served.held),
            drawn_out: u32::from(served.drawn_out),
            drips: u32::from(served.drips),
            released: u32::from(served.released),
            bare: u32::from(served.bare),
            renegotiations: u32::from(served.renegotiations),
            hasty: u32::from(served.hasty),
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
        tally.asked(country, head);
        if let Some(agent) = head.user_agent {
            tally.made(country, Print::UserAgent(agent));
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
        tally.made(country, Print::Ja4(ja4));
        tally.named(country, hello.sni.unwrap_or_default());
    }
}

impl Observer for Tallies {
    fn observe(&mut self, event: FlowEvent<'_>) {
        match event.what {
            What::Unearned { source, direction, bytes } => self.unearned(&event, source, direction, bytes),
            What::OneSided => self.count(&event, &[(Count::OneSided, 1)]),
            What::Initial => self.count(&event, &[(Count::Initials, 1)]),
            What::InitialAnswered => self.count(&event, &[(Count::InitialsAnswered, 1)]),
            What::OutOfState => self.count(&event, &[(Count::OutOfState, 1)]),
            What::UnaskedSynAck => self.count(&event, &[(Count::UnaskedSynAcks, 1)]),
            What::Measured { seen, missed } => {
                self.count(&event, &[(Count::DataSeen, seen), (Count::DataMissed, missed)]);
            }
            What::Strayed { source, path } => {
                self.strayed(&event, source, (path, Probe { attempts: 1, answered: 0 }));
            }
            What::Probed { source } => self.probed(&event, source, Probe { attempts: 1, answered: 0 }),
            What::Replied { source } => self.probed(&event, source, Probe { attempts: 0, answered: 1 }),
            What::Found { source, path } => {
                self.strayed(&event, source, (path, Probe { attempts: 0, answered: 1 }));
            }
            What::Attempted { source, bytes } => self.attempted(&event, source, bytes),
            What::Admitted { client, earlier, opened } => self.admitted(&event, client, earlier, opened),
            What::Request(client, head) => self.request(&event, client, head),
            What::Hello(client, hello) => self.hello(&event, client, &hello),
            What::Http2 { client, requests, resets } => {
                self.http2(&event, client, (u64::from(requests), resets));
            }
            What::Answered { source, bytes, micros } => self.answered(&event, source, (bytes, micros)),
            What::Refused { bytes } => self.refused(&event, bytes),
            What::Reflected { bytes } => {
                self.count(&event, &[(Count::Reflected, 1), (Count::ReflectedBytes, u64::from(bytes))]);
            }
            What::Failed { client, path, failure } => self.failed(&event, client.address, (path, failure)),
            What::Progress(client, progress) => self.progress(&event, client, &progress),
        }
    }
}
