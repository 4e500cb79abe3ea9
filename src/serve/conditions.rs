//! The conditions that a sensor is in: what is wrong with it, since when. Comes in: conditions as they begin and end.
//! Goes out: a notice and a line in the log for each change, and the list of those that hold.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use crate::alert::{Condition, Holding, Notice};
use crate::sink::Sinks;
use crate::time::{Timestamp, Zone};

/// The conditions of a sensor; any thread may begin and end them.
pub struct Conditions {
    held: Mutex<BTreeMap<(Condition, String), Option<Timestamp>>>,
    /// Where notices go; `None` where they are not wanted.
    sinks: Option<Weak<Sinks>>,
    sensor: String,
    zone: Zone,
}

impl Conditions {
    /// None holds yet; notices go to `sinks`, where they are wanted.
    pub fn new(sinks: Option<Weak<Sinks>>, sensor: &str, zone: Zone) -> Self {
        Self { held: Mutex::default(), sinks, sensor: sensor.to_owned(), zone }
    }

    /// A condition begins at the capture time `time`, for `subject`, with a sentence for people. One that holds already
    /// goes on, unsaid.
    pub fn begin(&self, condition: Condition, subject: &str, message: &str, time: Option<Timestamp>) {
        let key = (condition, subject.to_owned());
        let mut held = self.lock();
        if held.contains_key(&key) {
            return;
        }
        held.insert(key, time);
        drop(held);
        tracing::warn!(condition = condition.word(), subject, "{message}");
        self.tell(&Notice { condition, subject, holds: true, message, time, since: time });
    }

    /// Tells again of a condition that holds, or begins it.
    pub fn remind(&self, condition: Condition, subject: &str, message: &str, time: Option<Timestamp>) {
        let since = *self.lock().entry((condition, subject.to_owned())).or_insert(time);
        tracing::warn!(condition = condition.word(), subject, "{message}");
        self.tell(&Notice { condition, subject, holds: true, message, time, since });
    }

    /// A condition ends; one that does not hold is left as it is.
    pub fn end(&self, condition: Condition, subject: &str, message: &str, time: Option<Timestamp>) {
        let Some(since) = self.lock().remove(&(condition, subject.to_owned())) else { return };
        tracing::warn!(condition = condition.word(), subject, "{message}");
        self.tell(&Notice { condition, subject, holds: false, message, time, since });
    }

    /// Begins or ends a condition, whichever is the case.
    pub fn set(
        &self,
        condition: Condition,
        subject: &str,
        (holds, message): (bool, &str),
        time: Option<Timestamp>,
    ) {
        if holds {
            self.begin(condition, subject, message, time);
        } else {
            self.end(condition, subject, message, time);
        }
    }

    /// Whether it holds.
    pub fn holds(&self, condition: Condition, subject: &str) -> bool {
        self.lock().contains_key(&(condition, subject.to_owned()))
    }

    /// Those that hold, sorted.
    pub fn holding(&self) -> Vec<Holding> {
        let told = |((condition, subject), since): (&(Condition, String), &Option<Timestamp>)| Holding {
            condition: condition.word(),
            subject: crate::alert::told(subject),
            since: since.map(|since| since.rfc3339(&self.zone)),
        };
        self.lock().iter().map(told).collect()
    }

    fn tell(&self, notice: &Notice<'_>) {
        if let Some(sinks) = self.sinks.as_ref().and_then(Weak::upgrade) {
            sinks.send(&notice.record(&self.sensor, &self.zone));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Condition, String), Option<Timestamp>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
