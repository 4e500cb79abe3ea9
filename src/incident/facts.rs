//! What is known of an incident as a whole at one moment: load, handshakes, answers, what is held, what was sent beside.
//! Comes in: the sums since the onset, the level before, the timeline. Goes out: numbers, each a piece of evidence or
//! none. What they weigh, `verdict` knows.

use crate::aggregate::{Count, Counts, Sides};
use crate::detect::rule::{Evidence, Measure, Traffic};
use crate::detect::{Before, Watched, of_counts};

use super::health::{brief, brief_unloaded, turned_away};
use super::timeline::{CHANCE, Timeline, answers_quic, scatter};
use crate::time::TickId;

/// An incident as a whole.
pub(super) struct Facts<'a> {
    pub watched: &'a Watched,
    pub before: &'a Before,
    pub timeline: &'a Timeline,
    /// Since the onset, of the service's own traffic.
    pub own: &'a Counts,
    /// Since the onset, of the traffic beside it.
    pub beside: &'a Counts,
    /// Seconds since the onset.
    pub seconds: f64,
    /// Connections held by those who hold most of theirs.
    pub held: u64,
    /// Requests that few draw out.
    pub drawn_out: u64,
    /// Clients that asked for anything.
    pub clients: usize,
    /// The part of the traffic that networks abroad have which had hardly any before.
    pub replaced: f64,
    /// The first tick of all that is known, where that is little.
    pub first: Option<TickId>,
    /// The part of exchanges that fail for clients that are no suspects.
    pub failing: Option<f64>,
    /// Whether these are served as ever, on the whole.
    pub is_well: bool,
}

/// A number, and what would be ordinary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fact {
    pub evidence: Evidence,
    pub value: f64,
    pub expected: Option<f64>,
}

/// Attempts a second below which half-open connections are lost packets and no flood.
const LEAST_HALF_OPEN: f64 = 50.0;

/// A load of less than so many times that before is ordinary.
pub(super) const ORDINARY_LOAD: f64 = 1.4;

/// A service that failed within so many seconds from when it was first seen was never seen to be well.
const WELL: i64 = 10;

/// Server errors, or late answers, of which fewer are chance, and how many times as large a part of the responses they must be as before.
const LEAST_ERRORS: f64 = 10.0;
const MORE_ERRORS: f64 = 5.0;

/// HTTP/2 streams reset a second, seen or sealed, that no browser comes to.
const LEAST_RESETS: f64 = 50.0;

/// Datagrams a second that fill no line.
const LEAST_DATAGRAMS: f64 = 100.0;

/// How many times as many SYN-ACKs that nobody asked for as before are a reflection.
const MORE_UNASKED: f64 = 5.0;

/// Attempts to connect below which their answers say nothing.
const LEAST_ATTEMPTS: u64 = 12;

/// Fewer clients than these may themselves keep a service from answering.
const LEAST_CLIENTS: usize = 5;

/// Data segments of sampled conversations below which a loss of the mirror is chance.
const LEAST_DATA: u64 = 100;

/// The part of them that a mirror must miss before silence is more likely its own: one exchange in five then lacks
/// something.
const LOSSY: f64 = 0.05;

/// Packets that tell of an exchange: a request, an answer, and what opens the connection.
const PACKETS_OF_AN_EXCHANGE: i32 = 4;

/// Large segments below which their loss says nothing.
const LEAST_SEGMENTS: u64 = 50;

/// How many times more often large segments must be lost than small ones.
const LARGE_OVER_SMALL: f64 = 5.0;

/// The part of segments that a line does not lose for being full: senders slow down long before (RFC 5681). Who loses that
/// many asks again: for so many times as much, at most, as usual.
const NO_CROWDS: f64 = 0.1;
const ASKED_AGAIN: f64 = 2.0;

/// A service with less than so many accesses a second may fall silent without a fault.
const LEAST_BEFORE: f64 = 2.0;

impl Facts<'_> {
    /// What can be said, where there is something to say.
    pub fn all(&self, is_declared: bool) -> Vec<Fact> {
        let surge = self.timeline.peak.map(|peak| fact(Evidence::Surge, peak, Some(1.0)));
        let order = self.timeline.broke_ahead().and_then(|ahead| match ahead {
            ahead if ahead > 0.0 => Some(fact(Evidence::BrokeFirst, ahead.min(60.0), Some(0.0))),
            ahead if ahead < 0.0 => Some(fact(Evidence::LoadFirst, -ahead, Some(0.0))),
            _ => None,
        });
        // Who is shut out tries again at once: what rose before a server is seen to be gone are his attempts.
        let is_echo = |fact: &Fact| fact.evidence == Evidence::LoadFirst && self.is_gone();
        // A rise that has gone again does not make a service fail that goes on failing.
        let is_over = |fact: &Fact| fact.evidence == Evidence::LoadFirst && self.is_unloaded();
        // Some bad seconds are no failure where everybody was served for all that.
        let is_healed = |fact: &Fact| fact.evidence == Evidence::BrokeFirst && self.is_well;
        let is_of_others = |fact: &Fact| is_echo(fact) || is_over(fact) || is_healed(fact);
        let order = order.filter(|fact| !self.is_lossy() && !is_of_others(fact) && self.was_well());
        let known = [
            surge,
            order,
            self.fails_unloaded(),
            self.errors_unloaded(),
            self.late_unloaded(),
            self.brief_unloaded(),
            self.unanswered(),
            turned_away(self.own, self.before, self.seconds)
                .map(|part| fact(Evidence::TurnedAway, part, Some(0.0))),
            self.large_lost(),
            self.path_lost(),
            Some(fact(Evidence::Replaced, self.replaced, Some(0.0))),
            self.dropped(),
        ];
        let floods = [
            self.half_open(),
            self.held(),
            self.drips(),
            self.resets(),
            self.hasty(),
            self.out_of_state(),
            self.datagrams(),
            self.reflected(),
        ];
        let declared = is_declared.then(|| fact(Evidence::Declared, 1.0, None));
        known.into_iter().chain(floods).chain([declared]).flatten().collect()
    }

    /// Whether it was seen to be well: what is late or open from the first seconds on may be meant to be.
    pub fn was_well(&self) -> bool {
        let well = |(first, broke): (TickId, TickId)| broke.second - first.second >= WELL;
        self.first.zip(self.timeline.broke).is_none_or(well)
    }

    /// Whether most answers say what went wrong, by their length, whatever the load.
    pub fn is_brief(&self) -> bool {
        brief(self.own, self.before).is_some() && !self.is_lossy() && self.was_well()
    }

    /// Whether the load was ordinary when the service broke.
    fn broke_unloaded(&self) -> bool {
        self.timeline.broke.is_some()
            && self.was_well()
            && self.timeline.load_when_broke.is_some_and(|load| load <= ORDINARY_LOAD)
            && self.timeline.broke_ahead().is_none_or(|ahead| ahead > 0.0)
    }

    /// Whether the load since the onset is ordinary on the whole, whatever it is told in.
    fn is_unloaded(&self) -> bool {
        [Measure::Attempts, Measure::Accesses, Measure::Packets].into_iter().all(|measure| {
            let level = self.before.rate(measure).filter(|level| *level > 0.0);
            let load = of_counts(measure, self.own) as f64 / self.seconds.max(1.0);
            level.is_some_and(|level| load <= ORDINARY_LOAD * level)
        })
    }

    fn fails_unloaded(&self) -> Option<Fact> {
        let failing = self.failing.filter(|_| self.broke_unloaded() && !self.is_lossy())?;
        Some(fact(Evidence::FailsUnloaded, failing, Some(0.0)))
    }

    /// The failing of a service that broke under a load that it had borne: whoever brings the load has not done it.
    pub fn fails_at_ease(&self) -> Option<Fact> {
        let is_told = self.timeline.broke_at_ease && self.was_well() && !self.is_lossy();
        self.failing.filter(|_| is_told).map(|failing| fact(Evidence::FailsUnloaded, failing, Some(0.0)))
    }

    /// Server errors that were not there before, at an ordinary load: a part of the service fails, however small.
    fn errors_unloaded(&self) -> Option<Fact> {
        let level = self.before.rate(Measure::Accesses).filter(|level| *level > 0.0)?;
        let [responses, errors] = [Count::Responses, Count::ServerErrors].map(|count| self.own[count] as f64);
        let load = self.own[Count::Accesses] as f64 / self.seconds.max(1.0) / level;
        let usual = self.before.rate(Measure::ServerErrors).unwrap_or(0.0) / level;
        let part = errors / responses.max(1.0);
        (load <= ORDINARY_LOAD && errors >= LEAST_ERRORS && part >= MORE_ERRORS * usual)
            .then(|| fact(Evidence::ErrorsUnloaded, part, Some(usual)))
    }

    /// Answers that come late as they did not before, at an ordinary load: what stands behind a part of the service is slow.
    fn late_unloaded(&self) -> Option<Fact> {
        let level = self.before.rate(Measure::Accesses).filter(|level| *level > 0.0)?;
        let [late, heard] = [Count::Late, Count::FirstBytes].map(|count| self.own[count] as f64);
        let load = self.own[Count::Accesses] as f64 / self.seconds.max(1.0) / level;
        let usual = self.before.rate(Measure::Late).unwrap_or(0.0) / level;
        let part = late / heard.max(1.0);
        let is_more = late >= LEAST_ERRORS && part >= MORE_ERRORS * usual;
        (load <= ORDINARY_LOAD && is_more && !self.is_lossy() && self.was_well())
            .then(|| fact(Evidence::LateUnloaded, part, Some(usual)))
    }

    /// Answers that come to be short, at an ordinary load: the service says what went wrong, whether or not that can be read.
    fn brief_unloaded(&self) -> Option<Fact> {
        let part = brief_unloaded(self.own, self.before, self.seconds);
        let part = part.filter(|_| !self.is_lossy() && self.was_well());
        part.map(|(part, usual)| fact(Evidence::BriefUnloaded, part, Some(usual)))
    }

    /// Attempts without an answer while there were no more than before; or of which nearly all are refused or ignored,
    /// however many there are: who is shut out tries again, and an overloaded server still answers some. The same of requests
    /// where nothing was ever answered.
    fn unanswered(&self) -> Option<Fact> {
        let attempts = self.own[Count::Attempts];
        if self.watched.sides() != Sides::Both || self.is_forged() || self.is_lossy() {
            return None;
        }
        if let Some(part) = self.never_answered() {
            return Some(fact(Evidence::Unanswered, part, Some(0.0)));
        }
        if let Some(part) = self.unheard() {
            return Some(fact(Evidence::Unanswered, part, Some(0.0)));
        }
        if attempts < LEAST_ATTEMPTS {
            return None;
        }
        // What is broken off was answered by the machine and not by the service.
        let [answered, broken_off] = [Count::Answered, Count::Resets].map(|count| self.own[count]);
        let answered = if self.is_gone() { answered.saturating_sub(broken_off) } else { answered };
        let answered = (answered as f64 / attempts as f64).min(1.0);
        (self.is_gone() || self.broke_unloaded())
            .then(|| fact(Evidence::Unanswered, 1.0 - answered, Some(0.0)))
    }

    /// The part of conversations over QUIC that are not answered, at a service that used to answer them: a flood may be of
    /// forged Initials, so no more may be begun than those begin who try again, and where none is answered, who try again at
    /// once, not as many as fill a line.
    fn unheard(&self) -> Option<f64> {
        let [begun, ignored] = [self.own[Count::Initials], self.own.initials_ignored()];
        let seconds = self.seconds.max(1.0);
        let usual = self.before.rate(Measure::Initials).unwrap_or(0.0);
        let rate = begun as f64 / seconds;
        let is_gone = 50 * (begun - ignored) <= begun && rate < LEAST_DATAGRAMS;
        let is_told =
            begun >= LEAST_ATTEMPTS && 2 * ignored >= begun && (is_gone || rate <= ASKED_AGAIN * usual);
        (is_told && answers_quic(self.before)).then(|| ignored as f64 / begun as f64)
    }

    /// The part of what was asked that nothing answered, at a service that was never seen to answer: that it takes its time
    /// may be meant, that it says nothing at all is not.
    fn never_answered(&self) -> Option<f64> {
        let [asked, given_up] = [Count::Accesses, Count::Unanswered].map(|count| self.own[count]);
        // The first answer behind TLS is the handshake's.
        let first = self.own[Count::FirstBytes].saturating_sub(self.own[Count::Hellos]);
        let served = self.own[Count::Responses].max(first);
        let is_mute = given_up >= LEAST_ATTEMPTS && 2 * given_up >= asked && 50 * served <= asked;
        let is_mute = is_mute && self.clients >= LEAST_CLIENTS;
        (is_mute && !self.was_well()).then(|| 1.0 - served as f64 / asked.max(1) as f64)
    }

    /// Whether nearly all attempts are refused or ignored, or nearly all connections broken off once something is asked.
    fn is_gone(&self) -> bool {
        let [attempts, refused, answered] =
            [Count::Attempts, Count::Refused, Count::Answered].map(|count| self.own[count]);
        let shut =
            2 * refused >= attempts || 50 * answered <= attempts || self.timeline.is_shut(LEAST_ATTEMPTS);
        let [asked, broken_off] = [Count::Accesses, Count::Resets].map(|count| self.own[count]);
        let breaks_off =
            asked >= LEAST_ATTEMPTS && 10 * self.own.served() <= asked && 10 * broken_off >= 8 * asked;
        attempts >= LEAST_ATTEMPTS && (shut || breaks_off) && !self.is_forged()
    }

    /// Whether the mirror misses so much that words seem to be missing which were said.
    pub fn is_lossy(&self) -> bool {
        self.missed() > 0.0
    }

    /// The part of data segments that the mirror misses, where it is so large that words seem to be missing.
    fn missed(&self) -> f64 {
        let [seen, missed] = [Count::DataSeen, Count::DataMissed].map(|count| self.own[count]);
        let part = missed as f64 / (seen + missed).max(1) as f64;
        if seen + missed >= LEAST_DATA && part >= LOSSY { part } else { 0.0 }
    }

    /// The part of exchanges that lack a packet for the mirror's doing, and so may seem to fail.
    pub fn lacking(&self) -> f64 {
        1.0 - (1.0 - self.missed()).powi(PACKETS_OF_AN_EXCHANGE)
    }

    fn large_lost(&self) -> Option<Fact> {
        let [large, again, small, small_again] =
            [Count::LargeSent, Count::LargeResent, Count::SmallSent, Count::SmallResent]
                .map(|count| self.own[count]);
        if large < LEAST_SEGMENTS || self.is_lossy() {
            return None;
        }
        let lost = again as f64 / large as f64;
        let small_lost = small_again as f64 / small.max(1) as f64;
        (lost >= LARGE_OVER_SMALL * small_lost).then(|| fact(Evidence::LargeLost, lost, Some(small_lost)))
    }

    /// Segments that are lost whatever their size, at an ordinary load, or one that chance brings where little is asked; where
    /// so many are that no crowd has done it, also while those who are hurt ask again.
    fn path_lost(&self) -> Option<Fact> {
        let usual = self.before.rate(Measure::Accesses).filter(|level| *level > 0.0)? * self.seconds.max(1.0);
        let [large, again, small, small_again] =
            [Count::LargeSent, Count::LargeResent, Count::SmallSent, Count::SmallResent]
                .map(|count| self.own[count]);
        if small < LEAST_SEGMENTS || self.is_lossy() {
            return None;
        }
        // The rarer of the two: of large segments there may be none.
        let small_lost = small_again as f64 / small as f64;
        let large_lost = again as f64 / large.max(1) as f64;
        let lost = if large < LEAST_SEGMENTS { small_lost } else { small_lost.min(large_lost) };
        let chance = CHANCE * (scatter(Measure::Accesses) * usual).sqrt();
        let times = if lost >= NO_CROWDS { ASKED_AGAIN } else { ORDINARY_LOAD };
        let ordinary = (times * usual).max(usual + chance);
        (self.own[Count::Accesses] as f64 <= ordinary).then(|| fact(Evidence::PathLost, lost, Some(0.0)))
    }

    fn dropped(&self) -> Option<Fact> {
        let before = self.before.rate(Measure::Accesses)?;
        let rate = self.own[Count::Accesses] as f64 / self.seconds.max(1.0);
        (before >= LEAST_BEFORE && rate < before && !self.is_lossy())
            .then(|| fact(Evidence::Dropped, 1.0 - rate / before, Some(0.0)))
    }

    /// Whether most attempts come from addresses that are not their senders'.
    fn is_forged(&self) -> bool {
        self.half_open().is_some_and(|fact| fact.value >= 0.5)
    }

    fn half_open(&self) -> Option<Fact> {
        let (attempts, open) = (self.own[Count::Attempts], self.abandoned()?);
        let rate = open as f64 / self.seconds.max(1.0);
        let before = self.before.rate(Measure::Attempts).unwrap_or(0.0);
        (rate >= LEAST_HALF_OPEN.max(2.0 * before))
            .then(|| fact(Evidence::HalfOpen, open as f64 / attempts.max(1) as f64, Some(0.0)))
    }

    /// Attempts that were answered and left open; where most were not answered, those that were not even tried again:
    /// whoever is real and shut out sends his SYN again and again (RFC 6298, after 1, 3, 7 s).
    fn abandoned(&self) -> Option<u64> {
        let (attempts, answered) = (self.own[Count::Attempts], self.own[Count::Answered]);
        if 2 * answered >= attempts {
            return Some(self.own.half_open().min(answered.saturating_sub(self.own[Count::Opened])));
        }
        (2 * self.own.unearned() < 3 * attempts).then(|| self.own.half_open())
    }

    /// How many connections were held by who does little else.
    fn held(&self) -> Option<Fact> {
        (self.held > 0 && !self.is_lossy()).then(|| fact(Evidence::Held, self.held as f64, Some(0.0)))
    }

    /// How many requests are let drip: heads, of which no loss of the mirror's makes one, or bodies by few.
    fn drips(&self) -> Option<Fact> {
        let drawn_out = if self.is_lossy() { 0 } else { self.drawn_out };
        let drips = self.own[Count::Drips].max(drawn_out);
        (drips > 0).then(|| fact(Evidence::Drips, drips as f64, Some(0.0)))
    }

    fn resets(&self) -> Option<Fact> {
        let (resets, requests) = (self.own[Count::Http2Resets], self.own[Count::Http2Requests]);
        let enough = resets as f64 / self.seconds.max(1.0) >= LEAST_RESETS;
        enough.then(|| fact(Evidence::Resets, (resets as f64 / requests.max(1) as f64).min(1.0), Some(0.0)))
    }

    /// Requests behind TLS that were called back as fast as they were made: nothing else outruns its answers so far.
    fn hasty(&self) -> Option<Fact> {
        let rate = self.own[Count::HastyRecords] as f64 / self.seconds.max(1.0);
        (rate >= LEAST_RESETS && !self.is_lossy()).then(|| fact(Evidence::HastyRecords, rate, Some(0.0)))
    }

    /// Segments of no known conversation, where there are many more than when others carried on theirs.
    fn out_of_state(&self) -> Option<Fact> {
        let before = self.before.rate(Measure::OutOfState).unwrap_or(0.0);
        let rate = self.own[Count::OutOfState] as f64 / self.seconds.max(1.0);
        (rate >= LEAST_DATAGRAMS.max(5.0 * before) && !self.is_lossy())
            .then(|| fact(Evidence::OutOfState, rate, Some(before)))
    }

    /// Datagrams that nobody has earned, where there are more than others of the host's services get at any time.
    fn datagrams(&self) -> Option<Fact> {
        let count = |counts: &Counts| counts[Count::IcmpIn] + counts[Count::FragmentsIn];
        // Who speaks QUIC with the service sends datagrams, too, and has earned state by answering.
        let own = self.own[Count::UdpIn].min(self.own.unearned()) + count(self.own);
        let beside = self.beside[Count::UdpIn] + count(self.beside);
        let usual = self.watched.before(Traffic::Beside).rate(Measure::Udp).unwrap_or(0.0);
        let per_second = |count: u64| count as f64 / self.seconds.max(1.0);
        let rate = per_second(own) + (per_second(beside) - usual).max(0.0);
        (rate >= LEAST_DATAGRAMS).then(|| fact(Evidence::Datagrams, rate, None))
    }

    fn reflected(&self) -> Option<Fact> {
        // A service that connects to others itself has some at any time, where its own SYNs are not mirrored.
        let usual = self.watched.before(Traffic::Beside).rate(Measure::UnaskedSynAcks).unwrap_or(0.0);
        let syn_acks = self.beside[Count::UnaskedSynAcks];
        let are_more = syn_acks as f64 >= MORE_UNASKED * usual * self.seconds;
        let syn_acks = if self.watched.sides() == Sides::Both && are_more { syn_acks } else { 0 };
        let reflected = self.own[Count::Reflected] + self.beside[Count::Reflected] + syn_acks;
        let all = self.own[Count::UdpIn] + self.beside[Count::UdpIn] + syn_acks;
        (reflected as f64 / self.seconds.max(1.0) >= LEAST_DATAGRAMS / 10.0)
            .then(|| fact(Evidence::Reflected, (reflected as f64 / all.max(1) as f64).min(1.0), Some(0.0)))
    }
}

fn fact(evidence: Evidence, value: f64, expected: Option<f64>) -> Fact {
    Fact { evidence, value, expected }
}
