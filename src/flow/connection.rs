//! One admitted conversation: what moved since the last tick, what its bytes say, how it ended.
//! Comes in: its segments and datagrams in order of arrival. Goes out: events. What its bytes say is heard in `speech`.

use std::net::IpAddr;

use super::askers::Askers;
use super::key::{FlowKey, Side};
use super::speech::{Hearing, Hello, Request, Response, Room, Said, Speech, TrustedProxies};
use super::table::SlotId;
use super::turns::{Heard, Turns};
use super::{
    Client, End, Failure, FlowEvent, News, Observer, Progress, Proof, Served, ServerEnd, Shed, Sighting,
    Volume, What,
};
use crate::decode::TcpSegment;
use crate::service::{Direction, Named, Scope};
use crate::time::{Span, TickId, Timestamp};

/// A conversation whose client has earned state. Kept small: what a packet costs is the cache lines it touches, so what
/// follows from the key is worked out for each event.
#[derive(Debug)]
pub(super) struct Connection {
    pub key: FlowKey,
    pub account: Account,
    pub last_seen: Timestamp,
    tick: TickId,
    to_server: Moved,
    to_client: Moved,
    news: News,
    /// The direction that ended first.
    finished: Option<Direction>,
    pub ended: bool,
    speech: Speech,
}

/// On whose account a conversation is, and which of its ends is whose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// The named service; `None` where the service's end is a candidate.
    pub named: Option<Named>,
    pub client: Side,
    pub proof: Proof,
}

/// What moved one way since it was last told, at most a tick ago: 4 GiB of one connection in a second are 34 Gbit/s.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    bytes: u32,
    packets: u32,
}

impl Moved {
    fn add(&mut self, bytes: u32) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn take(&mut self) -> Volume {
        let Self { bytes, packets } = std::mem::take(self);
        Volume { packets: u64::from(packets), bytes: u64::from(bytes) }
    }
}

/// A connection that ended is remembered this long, so that stragglers are not taken for a new one: the last
/// acknowledgment comes within a round trip, and what comes later proves nothing by itself.
pub(super) const LINGER: Span = Span::from_secs(1);

/// An open connection is forgotten after this much silence (Zeek's `tcp_inactivity_timeout`).
const TCP_IDLE: Span = Span::from_secs(300);

/// What an event belongs to besides its connection.
pub(super) struct Moment<'a, O: Observer> {
    pub now: Timestamp,
    pub tick: TickId,
    pub turns: &'a mut Turns,
    pub heads: &'a mut Room,
    pub askers: &'a mut Askers,
    pub slot: SlotId,
    pub observer: &'a mut O,
}

/// Bytes from which on a segment is as long as the path allows, so that more of the same message may follow it.
const FULL: usize = 1_200;

impl Connection {
    pub fn new(key: FlowKey, account: Account, now: Timestamp, tick: TickId) -> Self {
        Self {
            key,
            account,
            last_seen: now,
            tick,
            to_server: Moved::default(),
            to_client: Moved::default(),
            news: News::default(),
            finished: None,
            ended: false,
            speech: Speech::default(),
        }
    }

    /// Whether nothing more is to be expected of it at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.last_seen) > if self.ended { LINGER } else { TCP_IDLE }
    }

    /// Counts a packet; answers whether the connection had nothing to tell before. What was counted for another tick is to
    /// be told first.
    #[inline]
    pub fn count(&mut self, direction: Direction, bytes: u32, sighting: &Sighting) -> bool {
        self.tick = sighting.tick;
        let quiet = self.is_told();
        match direction {
            Direction::ToServer => self.to_server.add(bytes),
            Direction::ToClient => self.to_client.add(bytes),
        }
        self.last_seen = self.last_seen.max(sighting.now);
        quiet
    }

    fn is_told(&self) -> bool {
        self.to_server.packets == 0 && self.to_client.packets == 0
    }

    /// Tells what moved since it was last told; `asker` is whom it asks for, where that is not its sender.
    #[inline(never)]
    pub fn flush<O: Observer>(&mut self, turns: &mut Turns, asker: Option<IpAddr>, observer: &mut O) {
        if self.is_told() {
            return;
        }
        if let Some(asker) = asker {
            let (news, served) = (self.news.take_asked(), turns.take_asked());
            self.tell_asker(asker, (news, served), self.tick, observer);
        }
        let (to_server, to_client) = (self.to_server.take(), self.to_client.take());
        let (news, served) = (std::mem::take(&mut self.news), turns.take());
        let progress = Progress { to_server, to_client, news, served };
        let what = What::Progress(self.account.client(&self.key), progress);
        observer.observe(self.account.event(&self.key, self.tick, what));
    }

    /// Looks at who has waited too long as `tick` ends, on whose account `asker` is as with [`Self::flush`]; answers when
    /// to look again.
    pub fn look<O: Observer>(
        &self,
        turns: &mut Turns,
        asker: Option<IpAddr>,
        tick: TickId,
        observer: &mut O,
    ) -> Option<Timestamp> {
        if self.ended {
            return None;
        }
        let (mut served, again) = turns.look(tick.end(), self.heard());
        if let Some(asker) = asker {
            self.tell_asker(asker, (News::default(), served.take_asked()), tick, observer);
        }
        self.tell_served(served, tick, observer);
        again.map(|span| tick.end() + span)
    }

    /// Tells a client that a proxy speaks for how it was served.
    fn tell_asker<O: Observer>(
        &self,
        asker: IpAddr,
        (news, served): (News, Served),
        tick: TickId,
        observer: &mut O,
    ) {
        if news != News::default() || !served.is_empty() {
            let client = Client { address: asker, proof: self.account.proof };
            let progress = Progress { news, served, ..Progress::default() };
            self.account_for(What::Progress(client, progress), tick, observer);
        }
    }

    /// Tells that a connection that is forgotten is held no more.
    pub fn let_go<O: Observer>(&self, turns: &mut Turns, tick: TickId, observer: &mut O) {
        // One that ended has let go already.
        if !self.ended && turns.is_held() {
            turns.end();
            self.tell_served(turns.take(), tick, observer);
        }
    }

    fn tell_served<O: Observer>(&self, served: Served, tick: TickId, observer: &mut O) {
        if !served.is_empty() {
            let progress = Progress { served, ..Progress::default() };
            self.account_for(What::Progress(self.account.client(&self.key), progress), tick, observer);
        }
    }

    fn heard(&self) -> Heard {
        let is_answering = self.finished.is_none() && self.speech.is_answering();
        let answering = is_answering.then_some(self.last_seen);
        Heard { unfinished: self.speech.is_asking(), in_head: self.speech.is_in_head(), answering }
    }

    /// Only the service's side is mirrored: that it answers with data is all there is to see of an access.
    pub fn shows_answers_alone(&mut self) {
        self.news.spoken = 1;
    }

    /// Tells what was measured of it up to `tick`.
    pub fn account_for<O: Observer>(&self, measured: What<'_>, tick: TickId, observer: &mut O) {
        observer.observe(self.account.event(&self.key, tick, measured));
    }

    /// The tick that the unflushed counts belong to.
    pub fn open_tick(&self) -> TickId {
        self.tick
    }

    /// Notes a segment; answers whether it says something or ends the conversation, and so is to be heard.
    #[inline]
    pub fn notes(&mut self, direction: Direction, segment: &TcpSegment<'_>) -> bool {
        self.speech.notes(direction, segment) || segment.flags.fin || segment.flags.rst
    }

    /// Hears a segment, and notes ends.
    pub fn segment<O: Observer>(
        &mut self,
        direction: Direction,
        segment: &TcpSegment<'_>,
        moment: &mut Moment<'_, O>,
    ) {
        match moment.heads.sheds() {
            Shed::Nothing => {
                self.hear(moment, |speech, hearing, say| speech.segment(direction, segment, hearing, say));
            }
            shed => self.overhear(shed, direction, segment, moment.turns),
        }
        if segment.flags.fin || segment.flags.rst {
            self.note_end(direction, segment, moment);
        }
    }

    /// What a segment says is not read: where it may end a message to the server, it counts as an access, for which an
    /// answer is waited unless nobody waits.
    #[cold]
    fn overhear(&mut self, shed: Shed, direction: Direction, segment: &TcpSegment<'_>, turns: &mut Turns) {
        let asks = direction == Direction::ToServer && (1..FULL).contains(&segment.payload.len());
        self.news.spoken = self.news.spoken.saturating_add(u8::from(asks));
        if asks && shed < Shed::Detail {
            turns.ask();
        }
    }

    /// Hears a datagram.
    pub fn datagram<O: Observer>(
        &mut self,
        direction: Direction,
        payload: &[u8],
        moment: &mut Moment<'_, O>,
    ) {
        self.hear(moment, |speech, hearing, say| speech.datagram(direction, payload, hearing, say));
    }

    fn hear<O: Observer>(
        &mut self,
        moment: &mut Moment<'_, O>,
        listen: impl FnOnce(&mut Speech, &mut Hearing<'_>, &mut dyn FnMut(Said<'_>)),
    ) {
        let Self { speech, news, account, key, .. } = self;
        let Moment { now, tick, turns, heads, askers, slot, observer } = moment;
        let mut hearing = Hearing { now: *now, room: heads };
        listen(speech, &mut hearing, &mut |said| {
            let sender = account.client(key);
            let client = asker(&said, sender, &askers.proxies);
            if asks(&said)
                && let Some(before) = askers.ask(*slot, sender.address, client.address)
            {
                // What came until now belongs to whoever asked before.
                let (news, served) = (news.take_asked(), turns.take_asked());
                let what = What::Progress(
                    Client { address: before, ..client },
                    Progress { news, served, ..Progress::default() },
                );
                observer.observe(account.event(key, *tick, what));
            }
            if let Some(what) = evidence(&said, client, (news, turns)) {
                observer.observe(account.event(key, *tick, what));
            }
        });
    }

    #[inline(never)]
    fn note_end<O: Observer>(
        &mut self,
        direction: Direction,
        segment: &TcpSegment<'_>,
        moment: &mut Moment<'_, O>,
    ) {
        let before = self.ended;
        match direction {
            Direction::ToClient if self.finished != Some(Direction::ToServer) => {
                moment.turns.cut_off(segment, self.heard());
            }
            Direction::ToServer if self.finished.is_none() => moment.turns.give_up(moment.now, self.heard()),
            _ => {}
        }
        if segment.flags.fin {
            self.ended |= *self.finished.get_or_insert(direction) != direction;
        }
        self.ended |= segment.flags.rst;
        if self.ended && !before {
            self.hear(moment, Speech::end);
            moment.turns.end();
            self.news.end = Some(if segment.flags.rst { End::Reset(direction) } else { End::Orderly });
        }
    }

    /// Gives back the room of what is not whole.
    pub fn release(&mut self, heads: &mut Room) {
        self.speech.release(heads);
    }
}

impl Account {
    fn client(&self, key: &FlowKey) -> Client {
        Client { address: key.end(self.client).ip(), proof: self.proof }
    }

    fn event<'a>(&self, key: &FlowKey, tick: TickId, what: What<'a>) -> FlowEvent<'a> {
        let address = key.end(self.client.other());
        let protocol = key.protocol_number();
        let scope = match self.named {
            Some(named) => named.into(),
            None if protocol == 6 => Scope::Candidate(address),
            None => Scope::CandidateHost(address.ip()),
        };
        FlowEvent { scope, tick, server: ServerEnd { address, protocol }, what }
    }
}

/// Whose words they are: of the client that a trusted proxy names, else of the sender.
fn asker(said: &Said<'_>, sender: Client, proxies: &TrustedProxies) -> Client {
    let (Said::Request(Request { forwarded, .. })
    | Said::Hello(Hello { forwarded, .. })
    | Said::Response(Response { forwarded, .. })) = said
    else {
        return sender;
    };
    match forwarded.filter(|_| proxies.contain(sender.address)) {
        Some(address) => Client { address, ..sender },
        None => sender,
    }
}

/// Whether the client asks for something that the service is to answer.
fn asks(said: &Said<'_>) -> bool {
    use Direction::ToServer;
    matches!(said, Said::Request(Request { from: ToServer, .. }) | Said::Hello(Hello { from: ToServer, .. }))
}

/// What is told at once of what was said, and what with the second: what a client asks of the service, and what that
/// answers.
fn evidence<'a>(said: &Said<'a>, client: Client, (news, turns): (&mut News, &mut Turns)) -> Option<What<'a>> {
    use Direction::{ToClient, ToServer};
    match said {
        Said::Request(request) if request.from == ToServer => {
            match request.head.whole {
                true => turns.ask(),
                false => turns.begin_to_ask(),
            }
            return Some(What::Request(client, request.head));
        }
        Said::Hello(hello) if hello.from == ToServer => {
            turns.ask();
            turns.seal();
            return Some(What::Hello(client, hello.hello));
        }
        Said::Http2 { from, headers, resets, answers } => {
            news.responses(answers);
            turns.fail_over_http2(answers);
            let requests = if *from == ToServer { *headers } else { 0 };
            if requests > 0 {
                turns.ask();
            }
            return Some(What::Http2 { client, requests, resets: *resets });
        }
        Said::Response(response) if response.from == ToClient => {
            news.response(response.status);
            let failure = Failure::of(response.status)?;
            turns.fail(failure);
            return response.failed.map(|path| What::Failed { client, path, failure });
        }
        Said::Spoken(ToServer) => {
            turns.ask();
            news.spoken = news.spoken.saturating_add(1);
        }
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Carrier, ClientHello};

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let proxies = TrustedProxies::new(&["10.0.0.0/28".parse().unwrap()]);
        let client = |text: &str| Client { address: text.parse().unwrap(), proof: Proof::Proven };
        let forwarded = Some(client("198.51.100.7").address);
        let hello = ClientHello {
            carrier: Carrier::Tcp,
            sni: None,
            alpn: None,
            protocols: &[],
            legacy_version: 0x0303,
            versions: &[],
            ciphers: &[],
            extensions: &[],
            signatures: &[],
        };
        let said = Said::Hello(Hello { from: Direction::ToServer, hello, forwarded });
        assert_eq!(asker(&said, client("10.0.0.3"), &proxies), client("198.51.100.7"));
        assert_eq!(asker(&said, client("192.0.2.3"), &proxies), client("192.0.2.3"));
        let spoken = Said::Spoken(Direction::ToServer);
        assert_eq!(asker(&spoken, client("10.0.0.3"), &proxies), client("10.0.0.3"));
    }
}
