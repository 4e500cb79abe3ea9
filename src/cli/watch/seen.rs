//! Whether a person has seen what was told. Comes in: severe alerts, acknowledgements, what was withheld. Goes out:
//! reminders, receipts for what was withheld, and what waits, kept over restarts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::alert::{Condition, Mutes};
use crate::host::clock::{self, Stopwatch};
use crate::pipeline::Telling;
use crate::serve::{Conditions, Patience, Reminders, Severe};
use crate::store::{self, Acknowledgements};
use crate::time::{Span, Timestamp};

/// What is known of the people behind the outputs.
pub struct Seen {
    reminders: Reminders,
    patience: Patience,
    /// Where what waits is kept, and acknowledgements come from; without a state folder there is neither.
    state: Option<State>,
    /// What was withheld when it was looked at last, by name.
    muted: BTreeMap<String, u64>,
    calendar: Calendar,
}

/// The date, read once: whoever sets the clock while it runs brings neither a flood of reminders nor an end of them.
struct Calendar {
    begun: i64,
    running: Stopwatch,
}

impl Calendar {
    fn begin() -> Self {
        Self { begun: clock::now_secs(), running: Stopwatch::start() }
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        self.begun.saturating_add(i64::try_from(self.running.elapsed().as_secs()).unwrap_or(i64::MAX))
    }
}

struct State {
    file: PathBuf,
    acknowledgements: Acknowledgements,
}

/// A thousand waiting alerts are shorter.
const LONGEST: u64 = 8 << 20;

impl Seen {
    /// What a state folder has kept; reminders come after the time of the configuration, or the usual one.
    pub fn of(state: Option<&Path>, after: Option<Span>) -> Self {
        let patience = after.map_or_else(Patience::default, |after| {
            let first = i64::try_from(after.secs()).unwrap_or(i64::MAX);
            Patience { first, most: Patience::default().most.max(first) }
        });
        let state = state.map(|folder| State {
            file: folder.join("waiting.json"),
            acknowledgements: Acknowledgements::of(folder),
        });
        let calendar = Calendar::begin();
        let mut reminders = state.as_ref().and_then(|state| kept(&state.file)).unwrap_or_default();
        reminders.begin_anew(calendar.now(), patience);
        Self { reminders, patience, state, muted: BTreeMap::new(), calendar }
    }

    /// Severe alerts that nobody has acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.reminders.len() as u64
    }

    /// Looks at what came since the last time.
    pub fn look(
        &mut self,
        telling: &Telling,
        mutes: &Mutes,
        conditions: &Conditions,
        time: Option<Timestamp>,
    ) {
        let now = self.calendar.now();
        let mut moved = false;
        for alert in telling.take_severe() {
            let severity = alert.severity.word().to_owned();
            let severe = Severe { incident: alert.incident, severity, message: alert.message };
            self.reminders.note(severe, now, self.patience);
            moved = true;
        }
        for incident in self.state.as_mut().map(|state| state.acknowledgements.news()).unwrap_or_default() {
            if self.reminders.acknowledge(&incident) {
                conditions.end(Condition::Unacknowledged, &incident, "it is acknowledged", time);
                moved = true;
            }
        }
        for reminder in self.reminders.due(now, self.patience) {
            let words = reminder.in_words();
            conditions.remind(Condition::Unacknowledged, &reminder.severe.incident, &words, time);
            moved = true;
        }
        if moved {
            self.keep();
        }
        self.look_at_mutes(telling.muted(), mutes, conditions, time);
    }

    /// Says when a mute begins to withhold, and how many when it is over.
    fn look_at_mutes(
        &mut self,
        muted: BTreeMap<String, u64>,
        mutes: &Mutes,
        conditions: &Conditions,
        time: Option<Timestamp>,
    ) {
        for (name, hidden) in &muted {
            let mute = mutes.0.iter().find(|mute| mute.name == *name);
            let is_on = mute.is_some_and(|mute| time.is_none_or(|time| time < mute.until));
            if is_on && self.muted.get(name) != Some(hidden) {
                conditions.begin(Condition::Muted, name, "alerts are withheld", time);
            } else if !is_on {
                let receipt = mute.map_or_else(
                    || format!("{hidden} alerts were withheld by '{name}', which is gone"),
                    |mute| mute.receipt(*hidden),
                );
                conditions.end(Condition::Muted, name, &receipt, time);
            }
        }
        self.muted = muted;
    }

    fn keep(&self) {
        let Some(state) = &self.state else { return };
        let kept = serde_json::to_vec(&self.reminders).map_err(|error| error.to_string());
        let kept =
            kept.and_then(|bytes| store::write_whole(&state.file, &bytes).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            tracing::error!("what waits to be acknowledged is not kept: {error}");
        }
    }
}

/// What an earlier run has kept. What cannot be read is set aside, and nothing waits.
fn kept(file: &Path) -> Option<Reminders> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(reminders) => Some(reminders),
        Err(error) => {
            let aside = store::set_aside(file).map(|aside| aside.display().to_string());
            let aside = aside.unwrap_or_else(|error| error.to_string());
            tracing::error!("{}: {error}; it is now {aside}", file.display());
            None
        }
    }
}
