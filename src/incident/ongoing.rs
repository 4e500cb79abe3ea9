//! An incident under way: what was found of it, what moved since its onset, what was told of it. Comes in: findings, tick by
//! tick. Goes out: what it is at any moment, as an [`Incident`].

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::activity::Activity;
use super::episode::{Episode, Ground};
use super::onset::{onset, pushed};
use super::standing::Standing;
use super::succession::Behind;
use super::{Cause, Condition, Exceeded, Incident, Opening, Place, RuleHit, State, Unknown};
use crate::detect::rule::{Level, Measure, Rule, Says};
use crate::detect::{Finding, Key, Subject, Watched};
use crate::time::{TickId, Timestamp};

/// An incident under way.
pub(super) struct Ongoing {
    pub opened: TickId,
    opening: Opening,
    pub episode: Episode,
    keys: BTreeSet<Key>,
    pub rules: BTreeMap<u32, RuleHit>,
    severity: Level,
    /// What a rule said it is by itself; what one source does before what many do.
    pub said: Option<Said>,
    /// When what is found beside it was last looked at by itself.
    pub compared: Option<TickId>,
    /// What was there when it began.
    pub behind: Option<Behind>,
    /// Whether the calendar has an event when it began.
    pub is_declared: bool,
    /// What was said of it.
    pub standing: Standing,
    /// The last tick with a finding,
    pub last_finding: TickId,
    /// and with one of more than windows remember.
    pub last_seen: TickId,
    /// Until when it goes on.
    pub activity: Activity,
    pub told: Option<Told>,
    pub seq: u32,
}

/// What rules say an incident is by themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    what: Says,
    /// Whether one of them counts what is asked for or opened, whatever becomes of it.
    of_all: bool,
}

impl Said {
    fn of(rule: &Rule) -> Option<Self> {
        let in_vain =
            [Measure::Denied, Measure::Missing, Measure::Probes, Measure::UdpProbes, Measure::Strays];
        rule.says.map(|what| Self { what, of_all: !in_vain.contains(&rule.measure) })
    }

    fn either(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(first), Some(second)) = (one, other) else { return one.or(other) };
        Some(Self { what: first.what.min(second.what), of_all: first.of_all || second.of_all })
    }
}

/// What was told last, and when it was last compared with what is.
pub(super) struct Told {
    pub looked: TickId,
    pub what: What,
}

/// What is told anew where it changes.
#[derive(PartialEq, Eq)]
pub(super) struct What {
    cause: Cause,
    severity: Level,
    health: Condition,
    origins: BTreeSet<Place>,
}

/// Seconds after which what hurts nobody is learned.
const HARMLESS: i64 = 600;

/// Keys that an incident remembers.
const MAX_KEYS: usize = 1_024;

impl Ongoing {
    /// What begins with these findings, behind what is over, and whether the calendar has an event now.
    pub fn new(
        findings: &[Finding],
        watched: &Watched,
        (behind, is_declared): (Option<Behind>, bool),
    ) -> Self {
        let first = strongest(findings);
        let from = pushed(&first, onset(&first, watched), watched);
        let rule = &first.rule;
        Self {
            opened: first.tick,
            opening: Opening {
                id: rule.id.clone(),
                sid: rule.sid,
                rev: rule.rev,
                title: rule.title.clone(),
                category: rule.category.clone(),
            },
            episode: Episode::new(from, rule.filter.traffic, rule.measure, watched),
            keys: BTreeSet::new(),
            rules: BTreeMap::new(),
            severity: rule.level,
            said: Said::of(rule),
            compared: None,
            behind,
            is_declared,
            standing: Standing::default(),
            last_finding: first.tick,
            last_seen: first.tick,
            activity: Activity::new(first.tick),
            told: None,
            seq: 0,
        }
    }

    /// Takes what was found in a tick.
    pub fn note(&mut self, tick: TickId, findings: Vec<Finding>, watched: &Watched) {
        self.last_finding = tick;
        self.episode.extend(watched, tick);
        self.activity.note(&findings);
        self.activity.follow(watched, tick, &findings);
        let since = tick.second - self.activity.last.second;
        let is_remembered = |finding: &Finding| (1..=remembered(finding)).contains(&since);
        if !findings.iter().all(is_remembered) {
            self.last_seen = tick;
        }
        for finding in findings {
            if self.keys.len() < MAX_KEYS && self.keys.insert(finding.key) && finding.key != Key::Service {
                self.episode.timeline.few_came(onset(&finding, watched));
            }
            self.severity = self.severity.max(finding.rule.level);
            self.said = Said::either(self.said, Said::of(&finding.rule));
            let hit = RuleHit {
                id: finding.rule.id.clone(),
                rev: finding.rule.rev,
                limit: exceeded(&finding),
                observed: finding.observed,
            };
            self.hit(finding.rule.sid, hit);
        }
    }

    /// Takes a tick without findings.
    pub fn wait(&mut self, tick: TickId, watched: &Watched) {
        self.episode.wait(watched, tick);
        self.activity.follow(watched, tick, &[]);
    }

    /// Goes on with what was looked at by itself meanwhile.
    pub fn take_over(&mut self, other: Self, watched: &Watched) {
        self.episode.extend(watched, other.episode.until);
        self.activity.go_on(other.activity);
        self.episode.timeline.take_over(&other.episode.timeline);
        for key in other.keys {
            if self.keys.len() < MAX_KEYS {
                self.keys.insert(key);
            }
        }
        for (sid, hit) in other.rules {
            self.hit(sid, hit);
        }
        self.severity = self.severity.max(other.severity);
        self.said = Said::either(self.said, other.said);
        (self.last_finding, self.last_seen) = (other.last_finding, other.last_seen);
        self.compared = Some(other.episode.until);
    }

    /// Remembers that a rule held, as it did most.
    fn hit(&mut self, sid: u32, hit: RuleHit) {
        let better = self.rules.get(&sid).is_none_or(|have| {
            have.observed.share <= hit.observed.share || have.observed.rate <= hit.observed.rate
        });
        if better {
            self.rules.insert(sid, hit);
        }
    }

    /// What was told of it last.
    pub fn cause(&self) -> Option<Cause> {
        self.told.as_ref().map(|told| told.what.cause)
    }

    /// Whether those were named who attack, or ask too much.
    pub fn blames(&self) -> bool {
        let is_theirs = |what: &What| matches!(what.cause, Cause::Attack(_) | Cause::HeavyClient);
        self.told.as_ref().is_some_and(|told| is_theirs(&told.what) && !told.what.origins.is_empty())
    }

    /// Whether it is to be looked at: what is not decided yet also where nothing more came, since that tells, too.
    pub fn is_due(&self, tick: TickId, between_looks: i64) -> bool {
        let Some(told) = &self.told else { return true };
        (self.last_finding == tick || !self.standing.is_decided())
            && tick.second - told.looked.second >= between_looks
    }

    /// What can be said of it.
    pub fn account(&self, watched: &Watched, ground: &Ground<'_>) -> Account {
        self.episode.account(watched, &self.keys, ground)
    }

    /// Adds to an account what is only told.
    pub fn describe(&self, account: &mut Account, watched: &Watched, ground: &Ground<'_>) {
        self.episode.describe(account, (watched, &self.keys, ground));
    }

    /// Whether what moves in it stays out of the level before. What has hurt nobody for ten minutes is on its way to be
    /// the level: a service that comes back from a long silence would else be an incident for ever.
    pub fn is_held(&self, tick: TickId) -> bool {
        let told = self.told.as_ref().map_or(self.severity, |told| told.what.severity);
        told > Level::Low || tick.second - self.opened.second < HARMLESS
    }

    /// What the rules that held say it is by themselves.
    pub fn said(&self) -> Option<Cause> {
        self.said.map(|said| Cause::from(said.what))
    }

    /// Whether they say so of all that somebody asks for, and not only of what he is denied or tries in vain.
    pub fn is_said_of_all(&self) -> bool {
        self.said.is_some_and(|said| said.of_all)
    }

    /// How bad it is: a verdict that nobody need be woken for is no worse than its rules say.
    fn severity_of(&self, account: &Account) -> Level {
        // Harm does not wait until it is sure who does it.
        let attacked =
            [account.judged, account.verdict.cause].iter().any(|cause| matches!(cause, Cause::Attack(_)));
        // What was never seen otherwise may be meant to be so, and what the mirror misses may never have happened.
        let may_tell = match account.verdict.cause {
            Cause::Unknown(Unknown::Sensor) => false,
            Cause::Unknown(_) => account.found.was_well,
            _ => true,
        };
        if may_tell || attacked {
            account.found.severity(self.severity, &self.episode.timeline, attacked)
        } else {
            Level::Low
        }
    }

    /// What is told anew where it changes.
    pub fn what(&self, account: &Account) -> What {
        What {
            cause: account.verdict.cause,
            severity: self.severity_of(account),
            health: account.found.health.state,
            origins: account.origins.iter().map(|row| row.place).collect(),
        }
    }

    /// The incident as it is told.
    pub fn incident(&self, subject: Subject, state: State, decided: Timestamp, account: Account) -> Incident {
        Incident {
            subject,
            opened: self.opened,
            state,
            seq: self.seq,
            severity: self.severity_of(&account),
            started: self.episode.from.start(),
            detected: self.opened.end(),
            decided,
            ended: None,
            interrupted: false,
            opening: self.opening.clone(),
            verdict: account.verdict,
            neighbours: account.neighbours,
            foreign: account.foreign,
            sought: account.sought,
            contrast: account.contrast,
            origins: account.origins,
            load: account.load,
            health: account.found.health,
            rules: self.rules.values().cloned().collect(),
            end: account.end,
            sides: account.sides,
        }
    }
}

/// Seconds that a finding's window remembers what is over.
pub(super) fn remembered(finding: &Finding) -> i64 {
    i64::try_from(finding.rule.timespan.secs()).unwrap_or(i64::MAX)
}

/// The finding that gives an incident its name: the highest level, then the first rule by number, then the most.
fn strongest(findings: &[Finding]) -> Finding {
    let rank = |finding: &Finding| (finding.rule.level, std::cmp::Reverse(finding.rule.sid));
    let mut best = findings[0].clone();
    for finding in findings {
        let (one, other) = (rank(finding), rank(&best));
        if one > other || (one == other && finding.observed.count > best.observed.count) {
            best = finding.clone();
        }
    }
    best
}

/// The limit that says most of a finding: of a share where the rule has one, else the first.
fn exceeded(finding: &Finding) -> Option<Exceeded> {
    let rule: &Rule = &finding.rule;
    let limits = rule.when.limits();
    let limit = limits
        .iter()
        .find(|limit| limit.metric == crate::detect::rule::Metric::Share)
        .or_else(|| limits.first())?;
    Some(Exceeded {
        metric: limit.metric.name().to_owned(),
        observed: finding.observed.get(limit.metric),
        limit: limit.limit,
    })
}
