//! When a verdict is said. Comes in: what each look at an incident makes of it. Goes out: what is told: leaning until a
//! verdict has stood as long as its kind needs, and then that verdict until another has stood longer and is surer.
//!
//! Without it the first seconds of a crowd are a heavy client and the first of a fault a crowd, and whoever is woken by one
//! word reads another a minute later.

use std::collections::VecDeque;

use super::account::Grown;
use super::verdict::label;
use super::{Attack, Cause, Glitch, Origin, Part, Unknown, Verdict};
use crate::detect::rule::{Called, Demands};
use crate::time::TickId;

/// What was said of an incident, and what may be said next.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The verdict that was said, with its rows, as it was when a look agreed with it last.
    said: Option<(Verdict, Vec<Origin>)>,
    /// What the last looks say instead, and since when.
    next: Option<(Cause, TickId)>,
    /// What the largest part of the excess leans to, and since when: whether few mean harm may show later than that it is
    /// they.
    leads: Option<(Option<Unknown>, TickId)>,
    course: Course,
}

/// One look at an incident.
pub(super) struct Look<'a> {
    pub tick: TickId,
    pub verdict: &'a Verdict,
    pub origins: &'a [Origin],
    pub grown: Grown,
}

/// How the excess grew, look by look.
#[derive(Debug, Default)]
struct Course(VecDeque<(TickId, Grown)>);

/// Seconds over which it is asked whether everybody else is on the rise.
const LATELY: i64 = 30;

/// Seconds that a verdict which needs any has stood as a whole, whatever its largest part has: a second look.
const SECOND_LOOK: i64 = 10;

/// How much more of the latest excess than of all must be the few's for them to be all of it.
const SETTLED: f64 = 0.03;

impl Standing {
    /// Whether a verdict was said.
    pub fn is_decided(&self) -> bool {
        self.said.is_some()
    }

    /// Takes a look; answers what is to be told instead of what it says, with its rows.
    pub fn look(&mut self, look: &Look<'_>, demands: &Demands) -> Option<(Verdict, Vec<Origin>)> {
        let (tick, cause) = (look.tick, look.verdict.cause);
        self.course.add(tick, look.grown);
        if self.agrees(cause) {
            (self.next, self.leads) = (None, None);
            self.say(look);
            return None;
        }
        let lead = look.verdict.parts.first().map_or(cause, |part| part.cause);
        let next = since(self.next.map(|(cause, since)| (label(cause), since)), label(cause), tick);
        let leads = since(self.leads, leaning(lead), tick);
        (self.next, self.leads) = (Some((cause, next)), Some((leaning(lead), leads)));
        let stood = Stood {
            whole: tick.second - next.second,
            lead: if leaning(lead) == leaning(cause) { tick.second - leads.second } else { 0 },
        };
        if self.is_due(stood, look.verdict, demands) {
            self.say(look);
            return None;
        }
        let leaning = || (leaning_of(look.verdict, demands.probability), look.origins.to_vec());
        Some(self.said.clone().unwrap_or_else(leaning))
    }

    /// What is to be told at the end instead of what the last look says: what was not decided is decided by it, with all
    /// there will ever be to go by.
    pub fn last(&self, cause: Cause) -> Option<(Verdict, Vec<Origin>)> {
        self.said.clone().filter(|_| !self.agrees(cause))
    }

    fn agrees(&self, cause: Cause) -> bool {
        self.said.as_ref().is_some_and(|(said, _)| label(said.cause) == label(cause))
    }

    fn say(&mut self, look: &Look<'_>) {
        self.said = Some((look.verdict.clone(), look.origins.to_vec()));
    }

    /// Whether what has stood for so long is to be said.
    fn is_due(&self, stood: Stood, verdict: &Verdict, demands: &Demands) -> bool {
        let Some(called) = called(verdict.cause) else { return false };
        let patience = &demands.patience;
        let least = patience.stands(called);
        if let Some((said, _)) = &self.said {
            // What comes beside what was said contradicts it less than what comes instead.
            let is_part = |part: &Part| label(part.cause) == label(said.cause);
            let is_beside = verdict.cause == Cause::Mixed && verdict.parts.iter().any(is_part);
            let replaces = if is_beside { patience.replaces / 2 } else { patience.replaces };
            return stood.whole >= least.max(replaces) && verdict.confidence >= patience.replaces_from;
        }
        let is_seen_twice = stood.whole >= least.min(SECOND_LOOK);
        let stood = stood.whole.max(stood.lead);
        let waits = patience.settles(called);
        let is_settled = waits == 0
            || stood >= least.saturating_add(waits)
            || !self.course.is_rising(demands.alone + SETTLED);
        is_seen_twice && stood >= least && is_settled
    }
}

/// Seconds for which looks have said the same.
#[derive(Debug, Clone, Copy)]
struct Stood {
    /// Of the incident as a whole.
    whole: i64,
    /// Of the largest part of its excess; 0 where that leans elsewhere than the whole.
    lead: i64,
}

/// Since when it is that, `tick` if it was something else.
fn since<T: PartialEq>(before: Option<(T, TickId)>, now: T, tick: TickId) -> TickId {
    before.filter(|(before, _)| *before == now).map_or(tick, |(_, since)| since)
}

impl Course {
    fn add(&mut self, tick: TickId, grown: Grown) {
        if self.0.back().is_some_and(|(_, last)| last.measure != grown.measure) {
            self.0.clear();
        }
        self.0.push_back((tick, grown));
        while self.0.get(1).is_some_and(|(second, _)| tick.second - second.second >= LATELY) {
            self.0.pop_front();
        }
    }

    /// Whether everybody else comes to be more, or lately brought so much that the few hold less than `alone` of it.
    fn is_rising(&self, alone: f64) -> bool {
        let (Some((_, first)), Some((_, last))) = (self.0.front(), self.0.back()) else { return false };
        if last.gathers {
            return true;
        }
        let (few, rest) = (last.few - first.few, (last.rest - first.rest).max(0.0));
        rest > (1.0 - alone) * (few.max(0.0) + rest)
    }
}

/// How sure a verdict must be of its kind; `None` for what is not known.
fn called(cause: Cause) -> Option<Called> {
    Some(match cause {
        Cause::Attack(Attack::HttpFlood | Attack::ConnectionFlood) => Called::Attack,
        Cause::Attack(_) | Cause::Glitch(Glitch::Network) => Called::Protocol,
        Cause::FlashCrowd => Called::FlashCrowd,
        Cause::Glitch(_) => Called::Glitch,
        Cause::Scan(_) | Cause::BruteForce(_) | Cause::Unknown(Unknown::Sensor) => Called::Rule,
        Cause::HeavyClient => Called::HeavyClient,
        Cause::Mixed => Called::Mixed,
        Cause::Unknown(_) | Cause::Unjudged => return None,
    })
}

/// The verdict as one that is not sure yet: less than what is called from `called_from` on.
fn leaning_of(verdict: &Verdict, called_from: f64) -> Verdict {
    let largest = verdict.parts.iter().find_map(|part| leaning(part.cause));
    let leans = match verdict.cause {
        Cause::Unknown(_) | Cause::Unjudged => return verdict.clone(),
        Cause::Mixed => largest,
        cause => leaning(cause),
    };
    let parts = verdict.parts.iter().cloned();
    let open = |part: Part| Part { cause: leaning(part.cause).map_or(part.cause, Cause::Unknown), ..part };
    Verdict {
        cause: Cause::Unknown(leans.unwrap_or(Unknown::InsufficientData)),
        parts: parts.map(open).collect(),
        confidence: verdict.confidence.min(called_from),
        flips: Vec::new(),
        ..verdict.clone()
    }
}

fn leaning(cause: Cause) -> Option<Unknown> {
    match cause {
        Cause::Attack(_) | Cause::HeavyClient => Some(Unknown::LeaningAttack),
        Cause::FlashCrowd => Some(Unknown::LeaningFlashCrowd),
        Cause::Glitch(_) => Some(Unknown::LeaningGlitch),
        Cause::Unknown(why) => Some(why),
        _ => None,
    }
}
