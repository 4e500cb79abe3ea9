//! What is known of an incident as a whole at one moment: load, handshakes, answers, what is held, what was sent beside.
//! Comes in: the sums since the onset, the level before, the timeline. Goes out: numbers, each a piece of evidence or
//! none. What they weigh, `verdict` knows.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::aggregate::{Count, Counts, Sides};
use crate::detect::rule::{Evidence, Measure, Traffic};
use crate::detect::{Before, Watched};

use super::timeline::Timeline;

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
    /// The second at which it is looked at.
    pub second: i64,
    /// The most connections that few held at a time.
    pub held: u64,
    /// The part of exchanges that fail for clients that are no suspects.
    pub failing: Option<f64>,
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
const ORDINARY_LOAD: f64 = 1.4;

/// HTTP/2 streams reset a second that no browser comes to.
const LEAST_RESETS: f64 = 50.0;

/// Datagrams a second that fill no line.
const LEAST_DATAGRAMS: f64 = 100.0;

/// Large segments below which their loss says nothing.
const LEAST_SEGMENTS: u64 = 50;

/// How many times more often large segments must be lost than small ones.
const LARGE_OVER_SMALL: f64 = 5.0;

/// Prefixes that are few, and connections of one that are several.
const FEW_HOLDERS: usize = 8;
const SEVERAL: u64 = 4;

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
        let known =
            [surge, order, self.fails_unloaded(), self.unanswered(), self.large_lost(), self.dropped()];
        let floods = [self.half_open(), self.held(), self.resets(), self.datagrams(), self.reflected()];
        let declared = is_declared.then(|| fact(Evidence::Declared, 1.0, None));
        known.into_iter().chain(floods).chain([declared]).flatten().collect()
    }

    /// Whether the load was ordinary when the service broke.
    fn broke_unloaded(&self) -> bool {
        self.timeline.broke.is_some()
            && self.timeline.load_when_broke.is_some_and(|load| load <= ORDINARY_LOAD)
    }

    fn fails_unloaded(&self) -> Option<Fact> {
        let failing = self.failing.filter(|_| self.broke_unloaded())?;
        Some(fact(Evidence::FailsUnloaded, failing, Some(0.0)))
    }

    /// Attempts without an answer while there were no more than before.
    fn unanswered(&self) -> Option<Fact> {
        let attempts = self.own[Count::Attempts];
        if attempts < 12 || self.watched.sides() != Sides::Both || self.is_forged() || !self.broke_unloaded()
        {
            return None;
        }
        let answered = (self.own[Count::Answered] as f64 / attempts as f64).min(1.0);
        Some(fact(Evidence::Unanswered, 1.0 - answered, Some(0.0)))
    }

    fn large_lost(&self) -> Option<Fact> {
        let [large, again, small, small_again] =
            [Count::LargeSent, Count::LargeResent, Count::SmallSent, Count::SmallResent]
                .map(|count| self.own[count]);
        if large < LEAST_SEGMENTS {
            return None;
        }
        let lost = again as f64 / large as f64;
        let small_lost = small_again as f64 / small.max(1) as f64;
        (lost >= LARGE_OVER_SMALL * small_lost).then(|| fact(Evidence::LargeLost, lost, Some(small_lost)))
    }

    fn dropped(&self) -> Option<Fact> {
        let before = self.before.rate(Measure::Accesses, self.second)?;
        let rate = self.own[Count::Accesses] as f64 / self.seconds.max(1.0);
        (before >= LEAST_BEFORE && rate < before)
            .then(|| fact(Evidence::Dropped, 1.0 - rate / before, Some(0.0)))
    }

    /// Whether most attempts come from addresses that are not their senders'.
    fn is_forged(&self) -> bool {
        self.half_open().is_some_and(|fact| fact.value >= 0.5)
    }

    fn half_open(&self) -> Option<Fact> {
        let (attempts, open) = (self.own[Count::Attempts], self.own.half_open());
        let rate = open as f64 / self.seconds.max(1.0);
        let before = self.before.rate(Measure::Attempts, self.second).unwrap_or(0.0);
        (rate >= LEAST_HALF_OPEN.max(2.0 * before) && self.are_abandoned())
            .then(|| fact(Evidence::HalfOpen, open as f64 / attempts.max(1) as f64, Some(0.0)))
    }

    /// Whether attempts were answered and left open, or were not even tried again: whoever is real and shut out sends
    /// his SYN again and again (RFC 6298, after 1, 3, 7 s).
    fn are_abandoned(&self) -> bool {
        let (attempts, answered) = (self.own[Count::Attempts], self.own[Count::Answered]);
        2 * answered >= attempts || 2 * self.own.unearned() < 3 * attempts
    }

    /// How many connections were held by few.
    fn held(&self) -> Option<Fact> {
        (self.held > 0).then(|| fact(Evidence::Held, self.held as f64, Some(0.0)))
    }

    fn resets(&self) -> Option<Fact> {
        let (resets, requests) = (self.own[Count::Http2Resets], self.own[Count::Http2Requests]);
        let enough = resets as f64 / self.seconds.max(1.0) >= LEAST_RESETS;
        enough.then(|| fact(Evidence::Resets, (resets as f64 / requests.max(1) as f64).min(1.0), Some(0.0)))
    }

    fn datagrams(&self) -> Option<Fact> {
        let count =
            |counts: &Counts| counts[Count::UdpIn] + counts[Count::IcmpIn] + counts[Count::FragmentsIn];
        let rate = (count(self.own) + count(self.beside)) as f64 / self.seconds.max(1.0);
        (rate >= LEAST_DATAGRAMS).then(|| fact(Evidence::Datagrams, rate, None))
    }

    fn reflected(&self) -> Option<Fact> {
        let reflected = self.own[Count::Reflected] + self.beside[Count::Reflected];
        let all = self.own[Count::UdpIn] + self.beside[Count::UdpIn];
        (reflected as f64 / self.seconds.max(1.0) >= LEAST_DATAGRAMS / 10.0)
            .then(|| fact(Evidence::Reflected, (reflected as f64 / all.max(1) as f64).min(1.0), Some(0.0)))
    }
}

/// How many connections are held, where few hold most of them or each holds several: a browser leaves one or two open
/// that it never uses.
pub(super) fn held_by_few(watched: &Watched) -> u64 {
    let mut holders: BTreeMap<IpNet, u64> = BTreeMap::new();
    for (source, held) in watched.levels(Traffic::Own).sources() {
        *holders.entry(source.prefix.prefix).or_default() += u64::from(held);
    }
    let held: u64 = holders.values().sum();
    let mut most: Vec<u64> = holders.into_values().collect();
    most.sort_unstable_by(|one, other| other.cmp(one));
    let by_few: u64 = most.iter().take(FEW_HOLDERS).sum();
    let several: u64 = most.iter().filter(|held| **held >= SEVERAL).sum();
    if 2 * by_few.max(several) >= held { held } else { 0 }
}

fn fact(evidence: Evidence, value: f64, expected: Option<f64>) -> Fact {
    Fact { evidence, value, expected }
}
