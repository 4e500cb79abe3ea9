//! Whether what rules find now is the incident that is open, or something else that came behind it or beside it: a flood
//! behind a scan, an outage behind a flood, a flood while the scan goes on. Comes in: what was told, when it was last active,
//! what is found now. Goes out: what is over, and what follows it. Whoever reads the name of the one must not take the other
//! for it.

use std::collections::BTreeSet;

use super::Cause;
use super::ongoing::{Ongoing, remembered};
use crate::detect::{Finding, Watched};
use crate::time::TickId;

/// What was there when something else began.
#[derive(Debug, Clone)]
pub(super) struct Behind {
    /// The last tick in which it was seen.
    last: TickId,
    /// The rules that found it, by their numbers.
    rules: BTreeSet<u32>,
    /// Whether it is a search that goes on: what rules of searches find is its, and none of what began.
    goes_on: bool,
}

/// What was found after a lull, or beside a search. It is looked at by itself until it is known whether it is the same again
/// or something else; until then the incident before it waits.
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

/// Seconds from one look at what is found beside a scan, or beside the guessing of passwords, to the next.
const BETWEEN: i64 = 20;

/// Seconds without anything after which what comes is looked at by itself: more than a fault's retries leave between them.
pub(super) const LULL: i64 = 40;

/// The same behind those who were named: what they do leaves no retries, and pulses are known again by who sends them.
const LULL_OF_NAMED: i64 = 25;

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
        let rules = ongoing.rules.keys().copied().collect();
        Self { last: ongoing.activity.last, rules, goes_on: false }
    }

    /// What a search is that goes on.
    fn beside(ongoing: &Ongoing) -> Self {
        Self { last: ongoing.activity.last, rules: BTreeSet::new(), goes_on: true }
    }

    /// Whether it is all that a rule finds still: it goes on, or windows remember it for a while.
    pub fn lingers_in(&self, finding: &Finding) -> bool {
        self.goes_on && finding.rule.says.is_some()
            || self.rules.contains(&finding.rule.sid)
                && finding.tick.second - self.last.second <= remembered(finding)
    }
}

/// What is over by now, where something else begins than the scan, or the guessing of passwords, that was told: nothing but
/// a rule of its own makes these, so that any other tells something else.
pub(super) fn outdone(ongoing: &Ongoing, tick: TickId, findings: &[Finding]) -> Option<Behind> {
    let is_alone = is_search(ongoing);
    let is_over = tick.second - ongoing.activity.last.second > APART;
    let is_else = |finding: &Finding| finding.opens && !ongoing.rules.contains_key(&finding.rule.sid);
    (is_alone && is_over && findings.iter().any(is_else)).then(|| Behind::of(ongoing))
}

/// Whether a scan was told, or that passwords are guessed.
fn is_search(ongoing: &Ongoing) -> bool {
    ongoing.cause().and_then(nature) == Some(Nature::Search)
}

/// Whether a search goes on and a rule finds what is none, so that it is time to look at that by itself.
fn is_beside(ongoing: &Ongoing, tick: TickId, findings: &[Finding]) -> bool {
    let is_else = |finding: &Finding| finding.opens && finding.rule.says.is_none();
    let since = ongoing.compared.map_or(i64::MAX, |compared| tick.second - compared.second);
    is_search(ongoing) && since >= BETWEEN && findings.iter().any(is_else)
}

impl Successor {
    /// What begins after a lull behind an incident whose nature was told, or beside a search that goes on.
    pub fn of(
        ongoing: &Ongoing,
        tick: TickId,
        findings: &[Finding],
        (watched, is_declared): (&Watched, bool),
    ) -> Option<Self> {
        nature(ongoing.cause()?)?;
        let lull = if ongoing.blames() { LULL_OF_NAMED } else { LULL };
        let is_lull = tick.second - ongoing.activity.last.second > lull
            && tick.second - ongoing.last_seen.second > PAUSE;
        let behind = match is_lull {
            true => Behind::of(ongoing),
            false if is_beside(ongoing, tick, findings) => Behind::beside(ongoing),
            false => return None,
        };
        // Until it is known to be something else, it may be the search.
        let said = ongoing.said.filter(|_| behind.goes_on);
        let fresh = findings.iter().filter(|finding| !behind.lingers_in(finding));
        let fresh: Vec<Finding> = fresh.cloned().collect();
        (!fresh.is_empty()).then(|| {
            let mut ongoing = Ongoing::new(&fresh, watched, (Some(behind), is_declared));
            ongoing.said = said.or(ongoing.said);
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

    /// Something else: what was there says nothing of it.
    pub fn stands_alone(mut self) -> Ongoing {
        let goes_on = self.ongoing.behind.as_ref().is_some_and(|behind| behind.goes_on);
        self.ongoing.said = self.ongoing.said.filter(|_| !goes_on);
        self.ongoing
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
