//! The baselines of a run: what was brought, for whom, and when nothing is learned. Comes in: a file's contents, names,
//! homes, the calendar. Goes out: a [`Baseline`] for each service, and all of them together again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Baseline;
use crate::attribute::Home;
use crate::detect::Subject;
use crate::detect::calendar::Calendar;
use crate::service::Services;
use crate::time::Timestamp;

/// Baselines by the names of their services; a service that was found is named by its address and port.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baselines {
    services: BTreeMap<String, Baseline>,
}

/// Services that a file can hold: twice as many as a run can protect, so that those of yesterday stay.
const MAX_SERVICES: usize = 512;

/// The length of a service's name.
const MAX_NAME: usize = 64;

/// A time of which nothing is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
}

/// What a run brings to its baselines.
#[derive(Clone, Default)]
pub struct Learning {
    /// What was learned before.
    pub brought: Baselines,
    /// Planned work and expected crowds: of them nothing is learned.
    pub calendar: Calendar,
    /// The named services.
    pub services: Services,
    /// Who is home for a service; nobody where nothing says it.
    pub homes: Option<Homes>,
}

/// Who is home for a service.
type Homes = Arc<dyn Fn(Subject) -> Home + Send + Sync>;

impl Learning {
    /// The baseline of a service, with all that was brought.
    pub fn begin(&mut self, subject: Subject) -> Baseline {
        let name = subject.name(&self.services);
        let baseline = self.brought.services.remove(&name).unwrap_or_default();
        self.brief(subject, baseline)
    }

    /// Tells a baseline who is home at its service, and when nothing is learned.
    pub fn brief(&self, subject: Subject, baseline: Baseline) -> Baseline {
        let name = subject.name(&self.services);
        let quiet = self.calendar.of(&name).map(|event| Quiet { from: event.from, to: event.to });
        let home = self.homes.as_ref().map_or_else(Home::default, |homes| homes(subject));
        baseline.brief(home, quiet.collect())
    }

    /// Puts what is learned so far beside what was brought and not used.
    pub fn gather(&self, baselines: impl Iterator<Item = (Subject, Baseline)>) -> Baselines {
        let mut all = self.brought.clone();
        for (subject, baseline) in baselines.filter(|(_, baseline)| !baseline.is_empty()) {
            if all.services.len() < MAX_SERVICES {
                all.services.insert(subject.name(&self.services), baseline);
            }
        }
        all
    }
}

impl Baselines {
    /// A service's baseline.
    pub fn get(&self, name: &str) -> Option<&Baseline> {
        self.services.get(name)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Baseline)> {
        self.services.iter().map(|(name, baseline)| (name.as_str(), baseline))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Forgets a service; answers whether it was there.
    pub fn forget(&mut self, name: &str) -> bool {
        self.services.remove(name).is_some()
    }

    /// Forgets what was learned of a service from `from` to before `to`; answers whether the service was there.
    pub fn forget_between(&mut self, name: &str, from: i64, to: i64) -> bool {
        self.services.get_mut(name).map(|baseline| baseline.forget_between(from, to)).is_some()
    }

    /// Adds what was learned elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (name, theirs) in other.services {
            if let Some(ours) = self.services.get_mut(&name) {
                ours.merge(theirs);
            } else if self.services.len() < MAX_SERVICES {
                self.services.insert(name, theirs);
            }
        }
    }

    /// The first service whose contents cannot have been learned; `Ok` where all can.
    ///
    /// # Errors
    /// The name of that service, or what is wrong with all of them.
    pub fn check(&self) -> Result<(), Unsound> {
        if self.services.len() > MAX_SERVICES {
            return Err(Unsound::Services(self.services.len()));
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control)
        };
        match self.services.iter().find(|(name, baseline)| !is_name(name) || !baseline.is_sound()) {
            Some((name, _)) => Err(Unsound::Service(name.chars().take(MAX_NAME).collect())),
            None => Ok(()),
        }
    }
}

/// Why baselines cannot have been learned.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unsound {
    /// There are too many.
    #[error("{0} services, expected at most {MAX_SERVICES}")]
    Services(usize),
    /// One holds what nothing can teach.
    #[error("service {0:?} holds numbers that cannot have been learned")]
    Service(String),
}

impl Quiet {
    /// Whether it meets the seconds from `from` to before `to`.
    pub(super) fn meets(&self, from: i64, to: i64) -> bool {
        self.from < Timestamp::from_secs(to) && self.to > Timestamp::from_secs(from)
    }
}
