//! Opens, updates and closes incidents: one per service at a time. Comes in: the findings of each tick. Goes out:
//! incidents as they are to be told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::episode::Ground;
use super::ongoing::{Ongoing, Told};
use super::onset::is_of_health;
use super::succession::{Behind, Successor, Turn, outdone};
use super::{Incident, State};
use crate::attribute::{Attribution, Home};
use crate::detect::calendar::{Calendar, EventKind};
use crate::detect::rule::{Measure, Weights};
use crate::detect::{Finding, Key, Subject, Watch, Watched};
use crate::time::TickId;

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
    open: BTreeMap<Subject, Ongoing>,
    /// What was found after a lull of one that is open, or beside it, while it is not known whether it is that again.
    successors: BTreeMap<Subject, Successor>,
    policy: Policy,
    homes: Arc<dyn Fn(Subject) -> Home + Send + Sync>,
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

impl Incidents {
    /// No incidents yet; `homes` says who is home for a service.
    pub fn new(policy: Policy, homes: Arc<dyn Fn(Subject) -> Home + Send + Sync>) -> Self {
        Self { open: BTreeMap::new(), successors: BTreeMap::new(), policy, homes }
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
            let findings = self.unplanned(subject, tick, findings, watched);
            let over = self.open.get(&subject).and_then(|open| outdone(open, tick, &findings));
            if over.is_some() {
                self.successors.remove(&subject);
                told.extend(self.close(subject, watched, Ending::Outdone));
            }
            told.extend(self.follow(subject, tick, &findings, watched));
            if !self.successors.contains_key(&subject) {
                self.note(subject, tick, (findings, over), watched);
                told.extend(self.tell(subject, tick, watched));
            }
        }
        told
    }

    /// Notes what was found in what is open, or opens it behind what is over.
    fn note(
        &mut self,
        subject: Subject,
        tick: TickId,
        (mut findings, over): (Vec<Finding>, Option<Behind>),
        watched: &mut Watched,
    ) {
        if let Some(behind) = over.as_ref().or_else(|| self.open.get(&subject)?.behind.as_ref()) {
            findings.retain(|finding| !behind.lingers_in(finding));
        }
        let opens = self.open.contains_key(&subject) || findings.iter().any(|finding| finding.opens);
        if !findings.is_empty() && opens {
            let is_declared = !self.open.contains_key(&subject) && self.is_declared(subject, tick);
            let open = self.open.entry(subject);
            let new = || Ongoing::new(&findings, watched, (over, is_declared));
            let open = open.or_insert_with(new);
            if open.is_held(tick) {
                watched.hold_from(open.episode.from);
            } else {
                watched.learn_again(tick.plus(-1));
            }
            open.note(tick, findings, watched);
        } else if let Some(open) = self.open.get_mut(&subject) {
            open.wait(tick, watched);
        }
    }

    /// Looks by itself at what is found after a lull, or beside a search, until it is known whether it is the same again.
    /// Where it is something else, closes what was open and leaves it in its place; what else was open waits meanwhile.
    fn follow(
        &mut self,
        subject: Subject,
        tick: TickId,
        findings: &[Finding],
        watched: &mut Watched,
    ) -> Option<Incident> {
        let open = self.open.get(&subject)?;
        if !self.successors.contains_key(&subject) {
            let is_declared = self.is_declared(subject, tick);
            let successor = Successor::of(open, tick, findings, (watched, is_declared))?;
            self.successors.insert(subject, successor);
        }
        let told = open.cause()?;
        let mut successor = self.successors.remove(&subject)?;
        successor.note(tick, findings, watched);
        let turn = if successor.is_due(tick) {
            let home = (self.homes)(subject);
            let judged = successor.ongoing.account(watched, &self.ground(&successor.ongoing, &home)).judged;
            successor.look(tick, judged, told)
        } else {
            Turn::Open
        };
        match turn {
            Turn::Open => {
                self.open.get_mut(&subject)?.episode.remember(watched, tick);
                self.successors.insert(subject, successor);
                None
            }
            Turn::Same => {
                self.open.get_mut(&subject)?.take_over(successor.ongoing, watched);
                None
            }
            Turn::Other => {
                let closed = self.close(subject, watched, Ending::Outdone);
                self.open.insert(subject, successor.stands_alone());
                closed
            }
        }
    }

    /// Whether the calendar has an event now.
    fn is_declared(&self, subject: Subject, tick: TickId) -> bool {
        if self.policy.calendar.0.is_empty() {
            return false;
        }
        let name = (self.policy.names)(subject);
        self.policy.calendar.on(&name, EventKind::Event, tick.start()).is_some()
    }

    /// Where an account of it is given.
    fn ground<'a>(&'a self, ongoing: &Ongoing, home: &'a Home) -> Ground<'a> {
        Ground {
            home,
            concentrated_from: self.policy.concentrated_from,
            attribute: &*self.policy.attribute,
            weights: &self.policy.weights,
            said: ongoing.said(),
            is_said_of_all: ongoing.is_said_of_all(),
            told: ongoing.cause(),
            is_declared: ongoing.is_declared,
        }
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
                let watched = watch.watched(subject)?;
                // What it is nobody will know: it may be the same.
                if let Some(successor) = self.successors.remove(&subject) {
                    self.open.get_mut(&subject)?.take_over(successor.ongoing, watched);
                }
                self.close(subject, watched, Ending::Input)
            })
            .collect()
    }

    fn tell(&mut self, subject: Subject, tick: TickId, watched: &mut Watched) -> Option<Incident> {
        let home = (self.homes)(subject);
        let Policy { quiet, between_updates, concentrated_from, .. } = self.policy;
        let open = self.open.get(&subject)?;
        if tick.second - open.last_finding.second >= quiet {
            return self.close(subject, watched, Ending::Quiet);
        }
        if !open.is_due(tick, between_updates) {
            return None;
        }
        let mut account = open.account(watched, &self.ground(open, &home));
        let weights = Arc::clone(&self.policy.weights);
        let open = self.open.get_mut(&subject)?;
        let other = open.standing.look(&account.look(tick), &weights.demands);
        account.retell(other, concentrated_from);
        let what = open.what(&account);
        let state = match &mut open.told {
            None => State::Open,
            Some(told) if told.what == what => {
                told.looked = tick;
                return None;
            }
            Some(_) => State::Update,
        };
        let open = self.open.get(&subject)?;
        open.describe(&mut account, watched, &self.ground(open, &home));
        let incident = open.incident(subject, state, tick.end(), account);
        let open = self.open.get_mut(&subject)?;
        open.told = Some(Told { looked: tick, what });
        open.seq += 1;
        Some(incident)
    }

    fn close(&mut self, subject: Subject, watched: &mut Watched, ending: Ending) -> Option<Incident> {
        let home = (self.homes)(subject);
        let open = self.open.remove(&subject)?;
        let ground = self.ground(&open, &home);
        let mut account = open.account(watched, &ground);
        account.retell(open.standing.last(account.verdict.cause), self.policy.concentrated_from);
        open.describe(&mut account, watched, &ground);
        let decided = match ending {
            Ending::Quiet => open.last_finding.plus(self.policy.quiet).end(),
            Ending::Input | Ending::Outdone => watched.now().end().max(open.last_finding.end()),
        };
        let mut incident = open.incident(subject, State::Close, decided, account);
        incident.ended = Some(open.activity.last.end());
        incident.interrupted = ending == Ending::Input;
        // What follows at once holds what is learned from here on.
        if ending != Ending::Outdone {
            watched.learn_again(open.last_finding);
        }
        Some(incident)
    }
}

/// Whether work on a service makes a rule hold: the service as a whole fails, is slow or is left alone.
fn is_explained_by_work(finding: &Finding) -> bool {
    let measure = finding.rule.measure;
    (is_of_health(measure) || measure == Measure::Accesses) && finding.key == Key::Service
}
