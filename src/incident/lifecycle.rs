//! Opens, updates and closes incidents: one per service at a time. Comes in: the findings of each tick. Goes out:
//! incidents as they are to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::account::Account;
use super::activity::Activity;
use super::episode::{Episode, Ground};
use super::onset::{onset, pushed};
use super::standing::Standing;
use super::{Cause, Condition, Exceeded, Incident, Opening, Place, RuleHit, State};
use crate::attribute::{Attribution, Home};
use crate::detect::calendar::{Calendar, EventKind};
use crate::detect::rule::{Level, Measure, Rule, Says, Weights};
use crate::detect::{Finding, Key, Subject, Watch, Watched};
use crate::time::{TickId, Timestamp};

/// When incidents are told.
#[derive(Clone)]
pub struct Policy {
    /// What is planned and expected.
    pub calendar: Calendar,
    /// The names that the calendar knows services by.
    pub names: Arc<dyn Fn(Subject) -> String + Send + Sync>,
    /// Whose an address is that has earned no row.
    pub attribute: Arc<dyn Fn(IpAddr) -> Attribution + Send + Sync>,
    /// What evidence weighs.
    pub weights: Arc<Weights>,
    /// Ticks without a finding after which an incident is over; pulses within it are one incident.
    pub quiet: i64,
    /// Ticks between two updates.
    pub between_updates: i64,
    /// The share of the excess from which on foreign origins count as concentrated.
    pub concentrated_from: f64,
}

impl Policy {
    /// These weights; five minutes of quiet, as pulsing floods come once a minute; ten seconds between updates; three tenths.
    pub fn new(weights: Arc<Weights>) -> Self {
        let names = Arc::new(|_| String::new());
        let attribute = Arc::new(Attribution::unknown);
        Self {
            attribute,
            calendar: Calendar::default(),
            names,
            weights,
            quiet: 300,
            between_updates: 10,
            concentrated_from: 0.3,
        }
    }
}

/// The incidents that are open.
pub struct Incidents {
    open: BTreeMap<Subject, Open>,
    policy: Policy,
    homes: Arc<dyn Fn(Subject) -> Home + Send + Sync>,
}

/// An incident under way.
struct Open {
    opened: TickId,
    opening: Opening,
    episode: Episode,
    keys: BTreeSet<Key>,
    rules: BTreeMap<u32, RuleHit>,
    severity: Level,
    /// What a rule said it is by itself; what one source does before what many do.
    said: Option<Says>,
    /// What was over when it began.
    behind: Option<Behind>,
    /// Whether the calendar has an event when it began.
    is_declared: bool,
    /// What was said of it.
    standing: Standing,
    /// The last tick with a finding.
    last_finding: TickId,
    /// Until when it goes on.
    activity: Activity,
    told: Option<Told>,
    seq: u32,
}

/// What was told last, and when it was last compared with what is.
struct Told {
    looked: TickId,
    what: What,
}

#[derive(PartialEq, Eq)]
struct What {
    cause: Cause,
    severity: Level,
    health: Condition,
    origins: BTreeSet<Place>,
}

/// Why an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nothing was found for as long as pulses may be apart.
    Quiet,
    /// The input ended, and it goes on for all that is known.
    Input,
    /// Something else began.
    Outdone,
}

/// A scan, or the guessing of passwords, that was over when an incident began.
struct Behind {
    /// The last tick in which it was seen.
    last: TickId,
    /// The rules that found it, by their numbers.
    rules: BTreeSet<u32>,
}

impl Behind {
    /// Whether it is all that a rule finds still: windows remember it for a while.
    fn lingers_in(&self, finding: &Finding) -> bool {
        let remembered = i64::try_from(finding.rule.timespan.secs()).unwrap_or(i64::MAX);
        self.rules.contains(&finding.rule.sid) && finding.tick.second - self.last.second <= remembered
    }
}

/// Seconds without a scan, or without passwords being guessed, after which these are no part of what else begins.
const APART: i64 = 20;

/// Seconds after which what hurts nobody is learned.
const HARMLESS: i64 = 600;

/// Keys that an incident remembers.
const MAX_KEYS: usize = 1_024;

impl Incidents {
    /// No incidents yet; `homes` says who is home for a service.
    pub fn new(policy: Policy, homes: Arc<dyn Fn(Subject) -> Home + Send + Sync>) -> Self {
        Self { open: BTreeMap::new(), policy, homes }
    }

    /// Goes on under another policy; what is open stays open.
    pub fn renew(&mut self, policy: Policy, homes: Arc<dyn Fn(Subject) -> Home + Send + Sync>) {
        (self.policy, self.homes) = (policy, homes);
    }

    /// Whether none is open.
    pub fn is_quiet(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes the findings of a tick; what is to be told comes back in the order of the services.
    pub fn take(
        &mut self,
        tick: TickId,
        findings: Vec<(Subject, Vec<Finding>)>,
        watch: &mut Watch,
    ) -> Vec<Incident> {
        let mut told = Vec::new();
        for (subject, findings) in findings {
            let Some(watched) = watch.watched(subject) else { continue };
            let mut findings = self.unplanned(subject, tick, findings, watched);
            let open = self.open.get(&subject);
            let outdone = open.and_then(|open| open.outdone(tick, &findings));
            if outdone.is_some() {
                told.extend(self.close(subject, watched, Ending::Outdone));
            }
            if let Some(behind) = outdone.as_ref().or_else(|| self.open.get(&subject)?.behind.as_ref()) {
                findings.retain(|finding| !behind.lingers_in(finding));
            }
            if !findings.is_empty() && (self.open.contains_key(&subject) || findings.iter().any(|f| f.opens))
            {
                let policy = &self.policy;
                let open = self.open.entry(subject).or_insert_with(|| {
                    let name = (policy.names)(subject);
                    let is_declared = policy.calendar.on(&name, EventKind::Event, tick.start()).is_some();
                    Open { is_declared, behind: outdone, ..Open::new(&findings, watched) }
                });
                if open.is_held(tick) {
                    watched.hold_from(open.episode.from);
                } else {
                    watched.learn_again(tick.plus(-1));
                }
                open.note(tick, findings, watched);
            } else if let Some(open) = self.open.get_mut(&subject) {
                open.episode.wait(watched, tick);
                open.activity.follow(watched, tick, &[]);
            }
            told.extend(self.tell(subject, tick, watched));
        }
        told
    }

    /// Leaves out what planned work explains: that the service as a whole fails or is left alone. What is not learned
    /// then is not what comes before.
    fn unplanned(
        &mut self,
        subject: Subject,
        tick: TickId,
        mut findings: Vec<Finding>,
        watched: &mut Watched,
    ) -> Vec<Finding> {
        if self.policy.calendar.0.is_empty() || self.open.contains_key(&subject) {
            return findings;
        }
        let name = (self.policy.names)(subject);
        let is_on =
            |tick: TickId| self.policy.calendar.on(&name, EventKind::Maintenance, tick.start()).is_some();
        if is_on(tick) {
            watched.hold_from(tick);
        } else if is_on(tick.plus(-1)) {
            watched.learn_again(tick.plus(-1));
        }
        // What a window still remembers of it is explained by it, too.
        findings.retain(|finding| {
            let reach = i64::try_from(finding.rule.timespan.secs()).unwrap_or(0);
            !(is_explained_by_work(finding) && (is_on(tick) || is_on(tick.plus(-reach))))
        });
        findings
    }

    /// Closes what is open, since the input has ended.
    pub fn finish(&mut self, watch: &mut Watch) -> Vec<Incident> {
        let subjects: Vec<Subject> = self.open.keys().copied().collect();
        subjects
            .into_iter()
            .filter_map(|subject| {
                watch.watched(subject).and_then(|watched| self.close(subject, watched, Ending::Input))
            })
            .collect()
    }

    fn tell(&mut self, subject: Subject, tick: TickId, watched: &mut Watched) -> Option<Incident> {
        let home = (self.homes)(subject);
        let policy = self.policy.clone();
        let open = self.open.get_mut(&subject)?;
        if tick.second - open.last_finding.second >= policy.quiet {
            return self.close(subject, watched, Ending::Quiet);
        }
        let due = match &open.told {
            None => true,
            Some(told) => {
                // What is not decided yet is looked at again though nothing more came: that nothing did tells, too.
                (open.last_finding == tick || !open.standing.is_decided())
                    && tick.second - told.looked.second >= policy.between_updates
            }
        };
        if !due {
            return None;
        }
        let ground = Ground {
            home: &home,
            concentrated_from: policy.concentrated_from,
            attribute: &*policy.attribute,
            weights: &policy.weights,
            said: open.said(),
            told: open.told.as_ref().map(|told| told.what.cause),
            is_declared: open.is_declared,
        };
        let mut account = open.episode.account(watched, &open.keys, &ground);
        let other = open.standing.look(&account.look(tick), &policy.weights.demands);
        account.retell(other, policy.concentrated_from);
        let what = open.what(&account);
        let state = match &mut open.told {
            None => State::Open,
            Some(told) if told.what == what => {
                told.looked = tick;
                return None;
            }
            Some(_) => State::Update,
        };
        open.episode.describe(&mut account, (watched, &open.keys, &ground));
        let incident = open.incident(subject, state, tick.end(), account);
        open.told = Some(Told { looked: tick, what });
        open.seq += 1;
        Some(incident)
    }

    fn close(&mut self, subject: Subject, watched: &mut Watched, ending: Ending) -> Option<Incident> {
        let home = (self.homes)(subject);
        let open = self.open.remove(&subject)?;
        let ground = Ground {
            home: &home,
            concentrated_from: self.policy.concentrated_from,
            attribute: &*self.policy.attribute,
            weights: &self.policy.weights,
            said: open.said(),
            told: open.told.as_ref().map(|told| told.what.cause),
            is_declared: open.is_declared,
        };
        let mut account = open.episode.account(watched, &open.keys, &ground);
        account.retell(open.standing.last(account.verdict.cause), self.policy.concentrated_from);
        open.episode.describe(&mut account, (watched, &open.keys, &ground));
        let decided = match ending {
            Ending::Quiet => open.last_finding.plus(self.policy.quiet).end(),
            Ending::Input | Ending::Outdone => watched.now().end().max(open.last_finding.end()),
        };
        let mut incident = open.incident(subject, State::Close, decided, account);
        incident.ended = Some(open.activity.last.end());
        incident.interrupted = ending == Ending::Input;
        watched.learn_again(open.last_finding);
        Some(incident)
    }
}

impl Open {
    fn new(findings: &[Finding], watched: &Watched) -> Self {
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
            said: rule.says,
            behind: None,
            is_declared: false,
            standing: Standing::default(),
            last_finding: first.tick,
            activity: Activity::new(first.tick),
            told: None,
            seq: 0,
        }
    }

    fn note(&mut self, tick: TickId, findings: Vec<Finding>, watched: &Watched) {
        self.last_finding = tick;
        self.episode.extend(watched, tick);
        self.activity.note(&findings);
        self.activity.follow(watched, tick, &findings);
        for finding in findings {
            if self.keys.len() < MAX_KEYS && self.keys.insert(finding.key) && finding.key != Key::Service {
                self.episode.timeline.few_came(onset(&finding, watched));
            }
            self.severity = self.severity.max(finding.rule.level);
            self.said = [self.said, finding.rule.says].into_iter().flatten().min();
            let hit = RuleHit {
                id: finding.rule.id.clone(),
                rev: finding.rule.rev,
                limit: exceeded(&finding),
                observed: finding.observed,
            };
            let better = self.rules.get(&finding.rule.sid).is_none_or(|have| {
                have.observed.share <= finding.observed.share || have.observed.rate <= finding.observed.rate
            });
            if better {
                self.rules.insert(finding.rule.sid, hit);
            }
        }
    }

    /// What is over by now, where something else begins than the scan, or the guessing of passwords, that was told: whoever
    /// comes behind it must not go by its name.
    fn outdone(&self, tick: TickId, findings: &[Finding]) -> Option<Behind> {
        let told = self.told.as_ref().map(|told| told.what.cause);
        let is_alone = matches!(told, Some(Cause::Scan(_) | Cause::BruteForce(_)));
        let is_over = tick.second - self.activity.last.second > APART;
        let is_else = |finding: &Finding| finding.opens && !self.rules.contains_key(&finding.rule.sid);
        (is_alone && is_over && findings.iter().any(is_else))
            .then(|| Behind { last: self.activity.last, rules: self.rules.keys().copied().collect() })
    }

    /// Whether what moves in it stays out of the level before. What has hurt nobody for ten minutes is on its way to be
    /// the level: a service that comes back from a long silence would else be an incident for ever.
    fn is_held(&self, tick: TickId) -> bool {
        let told = self.told.as_ref().map_or(self.severity, |told| told.what.severity);
        told > Level::Low || tick.second - self.opened.second < HARMLESS
    }

    /// What the rules that held say it is by themselves.
    fn said(&self) -> Option<Cause> {
        self.said.map(Cause::from)
    }

    /// How bad it is: a verdict that nobody need be woken for is no worse than its rules say.
    fn severity_of(&self, account: &Account) -> Level {
        // Harm does not wait until it is sure who does it.
        let attacked =
            [account.judged, account.verdict.cause].iter().any(|cause| matches!(cause, Cause::Attack(_)));
        // What was never seen otherwise may be meant to be so.
        let may_tell = account.found.was_well || !matches!(account.verdict.cause, Cause::Unknown(_));
        if may_tell || attacked {
            account.found.severity(self.severity, &self.episode.timeline, attacked)
        } else {
            Level::Low
        }
    }

    fn what(&self, account: &Account) -> What {
        What {
            cause: account.verdict.cause,
            severity: self.severity_of(account),
            health: account.found.health.state,
            origins: account.origins.iter().map(|row| row.place).collect(),
        }
    }

    fn incident(&self, subject: Subject, state: State, decided: Timestamp, account: Account) -> Incident {
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

/// Whether work on a service makes a rule hold: the service as a whole fails, is slow or is left alone.
fn is_explained_by_work(finding: &Finding) -> bool {
    let of_work = matches!(
        finding.rule.measure,
        Measure::ServerErrors
            | Measure::Ignored
            | Measure::Refused
            | Measure::Unanswered
            | Measure::Waiting
            | Measure::LargeResent
            | Measure::Accesses
    );
    of_work && finding.key == Key::Service
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
