//! The conversations of one shard: finds a packet's conversation, admits it when its client has earned that, and
//! forgets it in time. Comes in: packets in order. Goes out: events to an [`Observer`].

use std::collections::VecDeque;

use super::alarms::Alarms;
use super::arrival::{Account, Arrival, datagram, portless, toward};
use super::askers::Askers;
use super::connection::{self, Connection, LINGER, Moment};
use super::key::{FlowKey, Protocol, Side};
use super::loss::Losses;
use super::marks::Marks;
use super::pending::{self, Admission, Knock, Outcome, Pending};
use super::speech::{Room, TrustedProxies};
use super::table::{self, SlotId, Table};
use super::turns::{PATIENCE, Turns};
use super::{Client, Observer, Proof, Shed, What};
use crate::decode::{Packet, TcpSegment, Transport, UdpDatagram};
use crate::service::{Direction, Named};
use crate::time::{TickId, Timestamp};

/// How much one shard may hold; it has no room for more than 32,768 admitted conversations, whatever is asked.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// Pending conversations.
    pub pending: usize,
    /// Admitted conversations of proven clients.
    pub proven: usize,
    /// Admitted conversations of unproven clients.
    pub unproven: usize,
    /// Bytes of unfinished heads.
    pub head_bytes: usize,
    /// Decides places in the pending table.
    pub seed: u64,
}

impl Default for FlowLimits {
    /// For 64 shards: 32,768 pending (1 MiB, a second-level cache; a forged flood of 100,000 a second leaves an honest
    /// handshake 0.3 s), 262,144 proven and 65,536 unproven conversations (about 80 MiB when
    /// full) and 16 MiB of unfinished heads.
    fn default() -> Self {
        Self { pending: 512, proven: 4_096, unproven: 1_024, head_bytes: 256 * 1024, seed: 0 }
    }
}

impl FlowLimits {
    /// Entries of a list of connections: twice as many as there can be, since one that is opened anew within a tick
    /// stands in it again.
    fn listed(&self) -> usize {
        2 * (self.proven + self.unproven)
    }
}

/// What moved through the tables of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct FlowCounts {
    /// First SYNs.
    pub attempted: u64,
    /// Conversations that earned state by numbers seen on both sides.
    pub proven: u64,
    /// Conversations that earned state on a one-way mirror.
    pub unproven: u64,
    /// Conversations that ended or fell silent.
    pub closed: u64,
    /// Conversations that found their table full: counted packet by packet, their bytes not read.
    pub refused: u64,
    /// Pending conversations that gave way to newer ones before their time.
    pub displaced: u64,
    /// Heads that were not read for want of room for their beginning.
    pub unread_heads: u64,
}

impl FlowCounts {
    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.proven += other.proven;
        self.unproven += other.unproven;
        self.closed += other.closed;
        self.refused += other.refused;
        self.displaced += other.displaced;
        self.unread_heads += other.unread_heads;
    }
}

/// When and for whom a packet counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Capture time.
    pub now: Timestamp,
    /// The second it counts in.
    pub tick: TickId,
    /// The named service it belongs to and its direction; `None` where services are still to be found.
    pub named: Option<(Named, Direction)>,
}

/// The conversations of one shard.
#[derive(Debug)]
pub struct Tracker {
    pending: Pending,
    connections: Table,
    losses: Losses,
    alarms: Alarms,
    /// Slots that are looked at, a list that keeps its room.
    due: Vec<SlotId>,
    /// Connections that have something to tell at the end of the tick.
    moved: Marks,
    /// Connections that ended, in the order they did.
    ended: VecDeque<(Timestamp, SlotId)>,
    limits: FlowLimits,
    held: Held,
    heads: Room,
    askers: Askers,
    /// What is to be left out once the tick closes.
    asked: Shed,
    counts: FlowCounts,
    swept: TickId,
}

/// How many conversations are in the two tables.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    proven: usize,
    unproven: usize,
}

/// Ticks between two sweeps for conversations that fell silent; those that ended leave with every tick.
const SWEEP: i64 = 64;

impl Tracker {
    /// An empty shard; a request that one of the `proxies` passes on counts for the client it names.
    pub fn new(limits: FlowLimits, proxies: TrustedProxies) -> Self {
        Self {
            pending: Pending::new(limits.pending, limits.seed),
            connections: Table::default(),
            losses: Losses::default(),
            alarms: Alarms::default(),
            due: Vec::new(),
            moved: Marks::default(),
            ended: VecDeque::new(),
            limits,
            held: Held::default(),
            heads: Room::new(limits.head_bytes, proxies.clone()),
            askers: Askers::new(proxies),
            asked: Shed::default(),
            counts: FlowCounts::default(),
            swept: TickId::default(),
        }
    }

    /// Leaves out so much from now on; who waits for whom until the tick closes.
    pub fn shed(&mut self, shed: Shed) {
        self.asked = shed;
        self.heads.shed(shed.min(self.heads.sheds().max(Shed::Payload)));
    }

    /// Nobody waits for anybody any more: what is not looked at must not seem unanswered or held for ever.
    fn let_all_go<O: Observer>(&mut self, tick: TickId, observer: &mut O) {
        for id in self.connections.ids() {
            if let Some((connection, turns)) = self.connections.get(id) {
                connection.let_go(turns, tick, observer);
                *turns = Turns::default();
            }
        }
        self.heads.shed(self.asked);
    }

    /// Believes these proxies from now on.
    pub fn trust(&mut self, proxies: &TrustedProxies) {
        self.askers.proxies = proxies.clone();
        self.heads.trust(proxies.clone());
    }

    /// What moved through the tables so far.
    pub fn counts(&self) -> FlowCounts {
        FlowCounts {
            displaced: self.pending.displaced(),
            unread_heads: self.heads.counts().refused,
            ..self.counts
        }
    }

    /// Takes a packet.
    #[inline]
    pub fn packet<O: Observer>(&mut self, packet: &Packet<'_>, sighting: &Sighting, observer: &mut O) {
        match &packet.transport {
            Transport::Tcp(tcp) => self.segment(packet, tcp, sighting, observer),
            Transport::Udp(udp) => self.datagram(packet, udp, sighting, observer),
            Transport::Icmp { .. } | Transport::Sctp { .. } | Transport::Fragment | Transport::Other(_) => {
                portless(packet, sighting, observer);
            }
        }
    }

    // Nearly all packets are segments: a function for these alone need not ask what a packet is again and again.
    fn segment<O: Observer>(
        &mut self,
        packet: &Packet<'_>,
        tcp: &TcpSegment<'_>,
        sighting: &Sighting,
        observer: &mut O,
    ) {
        let ports = (tcp.source_port, tcp.destination_port);
        let carried = Carried { packet, protocol: Protocol::Tcp, ports, segment: Some(tcp) };
        self.follow(&carried, sighting, observer);
    }

    fn datagram<O: Observer>(
        &mut self,
        packet: &Packet<'_>,
        udp: &UdpDatagram<'_>,
        sighting: &Sighting,
        observer: &mut O,
    ) {
        let ports = (udp.source_port, udp.destination_port);
        let carried = Carried { packet, protocol: Protocol::Udp, ports, segment: None };
        self.follow(&carried, sighting, observer);
    }

    #[inline(always)]
    fn follow<O: Observer>(&mut self, carried: &Carried<'_, '_>, sighting: &Sighting, observer: &mut O) {
        let Carried { packet, protocol, ports, segment } = *carried;
        let ends = [(packet.source, ports.0), (packet.destination, ports.1)];
        let (key, from) = FlowKey::of(ends, protocol);
        if let Some(id) = self.connections.find(&key) {
            if self.go_on(&Seen { id, from, carried }, sighting, observer) {
                return;
            }
            self.forget(id, sighting.tick, observer);
        }
        self.arrive(&Arrival { packet, key, from, segment, ports }, sighting, observer);
    }

    /// A packet of a connection; answers whether the connection was still there to take it.
    #[inline(always)]
    fn go_on<O: Observer>(&mut self, seen: &Seen<'_, '_, '_>, sighting: &Sighting, observer: &mut O) -> bool {
        let Carried { packet, segment, .. } = *seen.carried;
        let (now, tick) = (sighting.now, sighting.tick);
        let Some(mut connection) = self.connections.connection(seen.id) else { return false };
        let reopened = connection.ended && segment.is_some_and(|s| s.flags.syn && !s.flags.ack);
        if reopened || connection.is_over(now) {
            return false;
        }
        if connection.open_tick() != tick {
            self.tell(seen.id, observer);
            connection = match self.connections.connection(seen.id) {
                Some(connection) => connection,
                None => return false,
            };
        }
        let direction = toward(seen.from == connection.account.client);
        let is_straggler = connection.ended;
        if connection.count(direction, packet.fresh_len, sighting) {
            self.moved.set(seen.id);
        }
        if let Some(segment) = segment {
            // Most segments say nothing and end nothing.
            let says = match self.heads.sheds() {
                Shed::Nothing => connection.notes(direction, segment),
                _ => !segment.payload.is_empty() || segment.flags.fin || segment.flags.rst,
            };
            if self.heads.sheds() < Shed::Detail {
                self.losses.segment(seen.id, direction, segment);
            }
            if says || Turns::concern(segment) {
                self.hear(&Heard { id: seen.id, direction, segment, says }, sighting, observer);
            }
        } else if let (Shed::Nothing, Some(payload), Some((connection, turns))) =
            (self.heads.sheds(), datagram(packet), self.connections.get(seen.id))
        {
            let (heads, askers) = (&mut self.heads, &mut self.askers);
            let slot = seen.id;
            let mut moment = Moment { now, tick, turns, heads, askers, slot, observer };
            connection.datagram(direction, payload, &mut moment);
        }
        if is_straggler {
            // Hardly anything will come any more: told while it is at hand, not searched out when the tick ends.
            self.tell(seen.id, observer);
        }
        true
    }

    /// Hears a segment that says something or tells who waits.
    #[inline(always)]
    fn hear<O: Observer>(&mut self, heard: &Heard<'_, '_>, sighting: &Sighting, observer: &mut O) {
        let Heard { id, direction, segment, says } = *heard;
        let Sighting { now, tick, .. } = *sighting;
        let Some((connection, turns)) = self.connections.get(id) else { return };
        if self.heads.sheds() < Shed::Detail && Turns::concern(segment) {
            turns.segment(direction, segment, now);
        }
        if says {
            let before = connection.ended;
            let (heads, askers) = (&mut self.heads, &mut self.askers);
            let mut moment = Moment { now, tick, turns, heads, askers, slot: id, observer };
            connection.segment(direction, segment, &mut moment);
            // One that is not listed leaves with the next sweep.
            if connection.ended && !before && self.ended.len() < self.limits.listed() {
                self.ended.push_back((now, id));
            }
        }
        if turns.arms() {
            self.alarms.set(id, (now + PATIENCE).secs());
        }
    }

    /// Tells what a connection has to tell.
    #[inline(never)]
    fn tell<O: Observer>(&mut self, id: SlotId, observer: &mut O) {
        if let Some((connection, turns)) = self.connections.get(id) {
            connection.flush(turns, self.askers.of(id), observer);
        }
        self.moved.clear(id);
    }

    /// Takes a connection out, and tells what it had left to tell.
    fn forget<O: Observer>(&mut self, id: SlotId, tick: TickId, observer: &mut O) {
        if let Some((connection, turns)) = self.connections.get(id) {
            connection.flush(turns, self.askers.of(id), observer);
            connection.let_go(turns, tick, observer);
            self.askers.forget(id);
            if let Some(measured) = self.losses.take(id) {
                connection.account_for(measured, tick, observer);
            }
            connection.release(&mut self.heads);
            self.held.forget(connection.account.proof);
            self.connections.remove(id);
            self.moved.clear(id);
            self.counts.closed += 1;
        }
    }

    /// A packet of a conversation that has no entry.
    #[inline(never)]
    fn arrive<O: Observer>(&mut self, arrival: &Arrival<'_, '_>, sighting: &Sighting, observer: &mut O) {
        let client = match sighting.named {
            Some((_, Direction::ToServer)) => pending::Client::Known(arrival.from),
            Some((_, Direction::ToClient)) => pending::Client::Known(arrival.from.other()),
            None => pending::Client::Guessed(arrival.guess()),
        };
        let knock = Knock {
            key: arrival.key,
            from: arrival.from,
            client,
            now: sighting.now,
            bytes: arrival.packet.fresh_len,
            tcp: arrival.segment,
        };
        let (outcome, client) = self.pending.knock(&knock);
        let account = arrival.account(client == arrival.from, sighting);
        match outcome {
            Outcome::Admit(admission) => self.admit(arrival, &account, &admission, observer),
            outcome => {
                self.counts.attempted += u64::from(outcome == Outcome::Attempt);
                account.came_of(&outcome, arrival, observer);
            }
        }
    }

    #[inline(never)]
    fn admit<O: Observer>(
        &mut self,
        arrival: &Arrival<'_, '_>,
        account: &Account<'_>,
        admission: &Admission,
        observer: &mut O,
    ) {
        let client = Client { address: *account.outside, proof: admission.proof };
        let room = self.held.has_room(client.proof, &self.limits);
        if !room && client.proof == Proof::Unproven {
            // One direction can be forged whole: without room it earns no row either.
            self.counts.refused += 1;
            return account.unearned(observer);
        }
        let (opened, earlier) = (admission.opened, admission.earlier);
        account.tell(What::Admitted { client, earlier, opened }, observer);
        if let Some(path) = admission.strayed {
            account.tell(What::Found { source: *account.outside, path }, observer);
        }
        match client.proof {
            Proof::Proven => self.counts.proven += 1,
            Proof::Unproven => self.counts.unproven += 1,
        }
        let Sighting { now, tick, named } = *account.sighting;
        let named = named.map(|(named, _)| named);
        let party = connection::Account { named, client: admission.client, proof: admission.proof };
        let mut connection = Connection::new(arrival.key, party, now, tick);
        let waits = self.heads.sheds() < Shed::Detail;
        let heads = &mut self.heads;
        if !room {
            self.counts.refused += 1;
            let (mut turns, slot) = (Turns::default(), 0);
            let askers = &mut Askers::new(self.askers.proxies.clone());
            let mut moment = Moment { now, tick, turns: &mut turns, heads, askers, slot, observer };
            account.begin(&mut connection, (arrival, admission), &mut moment);
            let asker = moment.askers.of(slot);
            connection.flush(&mut turns, asker, observer);
            return connection.release(&mut self.heads);
        }
        self.held.take(client.proof);
        let id = self.connections.insert(connection);
        self.moved.set(id);
        self.losses.begin(id, admission.first);
        let Some((connection, turns)) = self.connections.get(id) else { return };
        let askers = &mut self.askers;
        let mut moment = Moment { now, tick, turns, heads, askers, slot: id, observer };
        account.begin(connection, (arrival, admission), &mut moment);
        if let (Some(segment), true) = (arrival.segment, waits) {
            self.losses.segment(id, account.direction, segment);
            if moment.turns.arm() {
                self.alarms.set(id, (now + PATIENCE).secs());
            }
        }
    }

    /// Tells what moved up to and including `tick`, and forgets what is over.
    pub fn close_tick<O: Observer>(&mut self, tick: TickId, observer: &mut O) {
        self.tell_moved(tick, observer);
        self.tell_losses(tick, observer);
        if tick.epoch != self.swept.epoch {
            self.come_back_to(tick.end());
        }
        self.forget_ended(tick, observer);
        self.look_at_waiting(tick, observer);
        if self.asked > self.heads.sheds() {
            self.let_all_go(tick, observer);
        }
        if tick.epoch != self.swept.epoch || tick.second >= self.swept.second.saturating_add(SWEEP) {
            self.swept = tick;
            for id in self.connections.ids() {
                self.forget_if_over(id, tick, observer);
            }
        }
    }

    /// Tells what moved up to and including `tick`.
    fn tell_moved<O: Observer>(&mut self, tick: TickId, observer: &mut O) {
        let mut next = self.moved.next(0);
        while let Some(id) = next {
            next = self.moved.next(id + 1);
            let Some((connection, turns)) = self.connections.get(id) else { continue };
            if connection.open_tick() <= tick {
                connection.flush(turns, self.askers.of(id), observer);
                self.moved.clear(id);
            }
        }
    }

    /// Looks at the connections that somebody may wait on in vain.
    fn look_at_waiting<O: Observer>(&mut self, tick: TickId, observer: &mut O) {
        let mut due = std::mem::take(&mut self.due);
        self.alarms.due(tick, &mut due);
        for id in due.drain(..) {
            if let Some(turns) = self.connections.turns(id) {
                turns.disarm();
            }
            let Some((connection, turns)) = self.connections.get(id) else { continue };
            if let Some(again) = connection.look(turns, self.askers.of(id), tick, observer)
                && turns.arm()
            {
                self.alarms.set(id, again.secs());
            }
        }
        self.due = due;
    }

    /// Tells what the sampled connections missed, as of the tick that closes.
    fn tell_losses<O: Observer>(&mut self, tick: TickId, observer: &mut O) {
        for id in self.losses.slots() {
            let Some(measured) = self.losses.take(id) else { continue };
            if let Some((connection, _)) = self.connections.get(id) {
                connection.account_for(measured, tick, observer);
            }
        }
        self.losses.close_tick();
    }

    /// The clock was set back: what was last seen in the future is as if seen now, or it would stay till then.
    fn come_back_to(&mut self, now: Timestamp) {
        for id in self.connections.ids() {
            if let Some((connection, turns)) = self.connections.get(id) {
                connection.last_seen = connection.last_seen.min(now);
                turns.come_back_to(now);
            }
        }
        for (at, _) in &mut self.ended {
            *at = (*at).min(now);
        }
    }

    /// Connections that ended and had their time for stragglers. Whatever has taken over the slot of one since then is
    /// looked at like any other: it goes if it is over.
    fn forget_ended<O: Observer>(&mut self, tick: TickId, observer: &mut O) {
        while let Some((at, id)) = self.ended.front().copied() {
            if tick.end().since(at) <= LINGER {
                break;
            }
            self.ended.pop_front();
            self.forget_if_over(id, tick, observer);
        }
    }

    fn forget_if_over<O: Observer>(&mut self, id: SlotId, tick: TickId, observer: &mut O) {
        if self.connections.get(id).is_some_and(|(connection, _)| connection.is_over(tick.end())) {
            self.forget(id, tick, observer);
        }
    }
}

impl Held {
    fn of(&mut self, proof: Proof) -> &mut usize {
        match proof {
            Proof::Proven => &mut self.proven,
            Proof::Unproven => &mut self.unproven,
        }
    }

    fn has_room(&mut self, proof: Proof, limits: &FlowLimits) -> bool {
        let most = match proof {
            Proof::Proven => limits.proven,
            Proof::Unproven => limits.unproven,
        };
        *self.of(proof) < most && self.proven + self.unproven < table::MOST
    }

    fn take(&mut self, proof: Proof) {
        *self.of(proof) += 1;
    }

    fn forget(&mut self, proof: Proof) {
        let held = self.of(proof);
        *held = held.saturating_sub(1);
    }
}

/// A packet with ports.
struct Carried<'p, 'a> {
    packet: &'p Packet<'a>,
    protocol: Protocol,
    /// The sender's and the receiver's.
    ports: (u16, u16),
    /// The segment, where it is one.
    segment: Option<&'p TcpSegment<'a>>,
}

/// A packet of a connection.
struct Seen<'s, 'p, 'a> {
    id: SlotId,
    from: Side,
    carried: &'s Carried<'p, 'a>,
}

/// A segment of a connection that is heard.
struct Heard<'p, 'a> {
    id: SlotId,
    direction: Direction,
    segment: &'p TcpSegment<'a>,
    /// Whether it says something or ends the conversation; else it only tells who waits.
    says: bool,
}
