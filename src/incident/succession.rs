//! Whether what rules find now is the incident that is open, or something else that came behind it: a flood behind a scan,
//! an outage behind a flood. Comes in: what was told, when it was last active, what is found now. Goes out: what is over,
//! and what follows it. Whoever reads the name of the one must not take the other for it.

use std::collections::BTreeSet;

use super::Cause;
use super::ongoing::{Ongoing, remembered};
use crate::detect::{Finding, Watched};
use crate::time::TickId;

/// What was over when something else began.
#[derive(Debug, Clone)]
pub(super) struct Behind {
    /// The last tick in which it was seen.
    last: TickId,
    /// The rules that found it, by their numbers.
    rules: BTreeSet<u32>,
}

/// What was found after a lull. It is looked at by itself until it is known whether it is the same again or something else;
/// until then the incident before it waits.
pub(super) struct Successor {
    pub ongoing: Ongoing,
    /// The nature of what the last look made of it, where that is not the one before's.
    other: Option<Nature>,
    /// Whether any rule that found it may open an incident now.
    opens: bool,
    looked: TickId,
}

/// What a successor turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is not known yet.
    Open,
    /// The same goes on, for all that is known.
    Same,
    /// It is something else.
    Other,
}

/// What it is that somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Crowd,
    Fault,
    Search,
    /// Somebody who asks too much, and may mean no harm.
    Heavy,
    /// Somebody who means harm, alone or among others.
    Attack,
}

/// Seconds without a scan, or without passwords being guessed, after which these are no part of what else begins.
const APART: i64 = 20;

/// Seconds without anything after which what comes is looked at by itself: more than a fault's retries leave between them.
pub(super) const LULL: i64 = 45;

/// Seconds between two looks that must say the same.
const SECOND_LOOK: i64 = 10;

/// Seconds after which it is the same for all that is known: nothing is told of the service until then.
const PATIENCE: i64 = 30;

/// Seconds that a lull ends with in which rules find no more than their windows remember: what they find all the time has
/// not paused.
const PAUSE: i64 = 5;

impl Behind {
    /// What an incident is that is over.
    pub fn of(ongoing: &Ongoing) -> Self {
        Self { last: ongoing.activity.last, rules: ongoing.rules.keys().copied().collect() }
    }

    /// Whether it is all that a rule finds still: windows remember it for a while.
    pub fn lingers_in(&self, finding: &Finding) -> bool {
        self.rules.contains(&finding.rule.sid)
            && finding.tick.second - self.last.second <= remembered(finding)
    }
}

/// What is over by now, where something else begins than the scan, or the guessing of passwords, that was told: nothing but
/// a rule of its own makes these, so that any other tells something else.
pub(super) fn outdone(ongoing: &Ongoing, tick: TickId, findings: &[Finding]) -> Option<Behind> {
    let is_alone = nature(ongoing.cause()?) == Some(Nature::Search);
    let is_over = tick.second - ongoing.activity.last.second > APART;
    let is_else = |finding: &Finding| finding.opens && !ongoing.rules.contains_key(&finding.rule.sid);
    (is_alone && is_over && findings.iter().any(is_else)).then(|| Behind::of(ongoing))
}

impl Successor {
    /// What begins after a lull behind an incident whose nature was told.
    pub fn of(
        ongoing: &Ongoing,
        tick: TickId,
        findings: &[Finding],
        (watched, is_declared): (&Watched, bool),
    ) -> Option<Self> {
        nature(ongoing.cause()?)?;
        let is_lull = tick.second - ongoing.activity.last.second > LULL
            && tick.second - ongoing.last_seen.second > PAUSE;
        if !is_lull {
            return None;
        }
        let behind = Behind::of(ongoing);
        let fresh = findings.iter().filter(|finding| !behind.lingers_in(finding));
        let fresh: Vec<Finding> = fresh.cloned().collect();
        (!fresh.is_empty()).then(|| {
            let ongoing = Ongoing::new(&fresh, watched, (Some(behind), is_declared));
            Self { ongoing, other: None, opens: false, looked: tick.plus(-SECOND_LOOK) }
        })
    }

    /// Takes what was found in a tick; what windows still remember of the one before is none of it.
    pub fn note(&mut self, tick: TickId, findings: &[Finding], watched: &Watched) {
        let is_fresh = |finding: &&Finding| {
            self.ongoing.behind.as_ref().is_none_or(|behind| !behind.lingers_in(finding))
        };
        let fresh: Vec<Finding> = findings.iter().filter(is_fresh).cloned().collect();
        self.opens |= fresh.iter().any(|finding| finding.opens);
        if fresh.is_empty() {
            self.ongoing.wait(tick, watched);
        } else {
            self.ongoing.note(tick, fresh, watched);
        }
    }

    /// Whether it is to be looked at.
    pub fn is_due(&self, tick: TickId) -> bool {
        tick.second - self.looked.second >= SECOND_LOOK
    }

    /// Takes what a look made of it, behind what was told.
    pub fn look(&mut self, tick: TickId, judged: Cause, told: Cause) -> Turn {
        self.looked = tick;
        let now = nature(judged);
        let is_other = now.is_some_and(|now| follows(told, now));
        match now {
            Some(_) if !is_other => return Turn::Same,
            Some(_) if self.other == now && self.opens => return Turn::Other,
            _ => self.other = now,
        }
        let is_late = tick.second - self.ongoing.opened.second >= PATIENCE;
        if is_late { Turn::Same } else { Turn::Open }
    }
}

/// The nature of a cause; `None` where it is not known.
fn nature(cause: Cause) -> Option<Nature> {
    match cause {
        Cause::Attack(_) | Cause::Mixed => Some(Nature::Attack),
        Cause::HeavyClient => Some(Nature::Heavy),
        Cause::FlashCrowd => Some(Nature::Crowd),
        Cause::Glitch(_) => Some(Nature::Fault),
        Cause::Scan(_) | Cause::BruteForce(_) => Some(Nature::Search),
        Cause::Unknown(_) | Cause::Unjudged => None,
    }
}

/// Whether something of a nature is another matter than what was told: of a mixture, what else comes may be a part, but not
/// a fault of its own; who attacks may do so less, or scan.
fn follows(told: Cause, now: Nature) -> bool {
    match told {
        Cause::Mixed => now == Nature::Fault,
        Cause::Attack(_) if matches!(now, Nature::Heavy | Nature::Search) => false,
        Cause::HeavyClient if now == Nature::Search => false,
        told => nature(told) != Some(now),
    }
}
