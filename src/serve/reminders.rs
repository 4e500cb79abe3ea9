//! Severe alerts that nobody has acknowledged: they are told again, later and later, until somebody does. Comes in: alerts,
//! acknowledgements, the time on the machine. Goes out: what is to be told again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// When a severe alert is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Seconds after which it is told for the first time; the next times come after twice as long each.
    pub first: i64,
    /// Seconds between two times at most.
    pub most: i64,
}

impl Default for Patience {
    /// A quarter of an hour, up to four hours: the alert of 2023 had gone unseen for seven.
    fn default() -> Self {
        Self { first: 900, most: 14_400 }
    }
}

/// A severe alert that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Severe {
    /// The incident's identity.
    pub incident: String,
    /// Its severity, in a word.
    pub severity: String,
    /// What the alert said.
    pub message: String,
}

/// Those that wait.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reminders {
    waiting: BTreeMap<String, Waiting>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    severe: Severe,
    /// When it was told first, and when it is told next, in seconds since 1970.
    since: i64,
    due: i64,
    times: u32,
}

/// An alert that is told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// What it is about.
    pub severe: Severe,
    /// How often it was told again, this time included.
    pub times: u32,
    /// Minutes since it was told first.
    pub minutes: i64,
}

/// Those that wait at most: beyond it, an incident more is not what somebody overlooks.
const MAX_WAITING: usize = 1_000;

impl Reminders {
    /// A severe alert was told at `now`; one that is told again as it changes waits on.
    pub fn note(&mut self, severe: Severe, now: i64, patience: Patience) {
        if let Some(waiting) = self.waiting.get_mut(&severe.incident) {
            waiting.severe = severe;
        } else if self.waiting.len() < MAX_WAITING {
            let waiting = Waiting { since: now, due: now + patience.first, times: 0, severe };
            self.waiting.insert(waiting.severe.incident.clone(), waiting);
        }
    }

    /// Another run goes on with them at `now`: what a clock that was set back had put off is due as late as can be, no later.
    pub fn begin_anew(&mut self, now: i64, patience: Patience) {
        for waiting in self.waiting.values_mut() {
            waiting.since = waiting.since.min(now);
            waiting.due = waiting.due.min(now.saturating_add(patience.most));
        }
    }

    /// Somebody has seen it; answers whether it waited.
    pub fn acknowledge(&mut self, incident: &str) -> bool {
        self.waiting.remove(incident).is_some()
    }

    /// What is to be told again at `now`.
    pub fn due(&mut self, now: i64, patience: Patience) -> Vec<Reminder> {
        let due = self.waiting.values_mut().filter(|waiting| now >= waiting.due);
        due.map(|waiting| {
            waiting.times = waiting.times.saturating_add(1);
            let pause = patience.first.saturating_mul(1 << waiting.times.min(20)).min(patience.most);
            waiting.due = now.saturating_add(pause);
            let minutes = now.saturating_sub(waiting.since) / 60;
            Reminder { severe: waiting.severe.clone(), times: waiting.times, minutes }
        })
        .collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Reminder {
    /// What is said, for people.
    pub fn in_words(&self) -> String {
        let Severe { incident, severity, message } = &self.severe;
        format!(
            "{severity}, not acknowledged for {} min: {message} (bongsu ack {incident} ends this)",
            self.minutes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_acknowledges_is_told_later_and_later_and_what_somebody_does_no_more() {
        let severe = |incident: &str| Severe {
            incident: incident.to_owned(),
            severity: "high".to_owned(),
            message: "pps: access".to_owned(),
        };
        let patience = Patience { first: 60, most: 200 };
        let mut reminders = Reminders::default();
        reminders.note(severe("a"), 0, patience);
        reminders.note(severe("b"), 10, patience);
        reminders.note(severe("a"), 50, patience);
        let mut told = Vec::new();
        for now in 0..700 {
            told.extend(
                reminders.due(now, patience).into_iter().map(|one| (now, one.severe.incident, one.times)),
            );
            if now == 100 {
                assert!(reminders.acknowledge("b"));
                assert!(!reminders.acknowledge("b"));
            }
        }
        let expected = [(60, "a", 1), (70, "b", 1), (180, "a", 2), (380, "a", 3), (580, "a", 4)];
        let told: Vec<_> =
            told.iter().map(|(now, incident, times)| (*now, incident.as_str(), *times)).collect();
        assert_eq!(told, expected);
        let mut again: Reminders = serde_json::from_str(&serde_json::to_string(&reminders).unwrap()).unwrap();
        assert_eq!(again, reminders);
        again.begin_anew(-1_000_000, patience);
        assert_eq!(again.due(-1_000_000 + 200, patience).len(), 1, "by a date that is long past");
    }
}
