//! How the outputs of a watch are. Comes in: what each sink says of itself. Goes out: the same for records and metrics,
//! and conditions for each that fails or whose spool does.

use std::collections::BTreeMap;

use crate::alert::{Condition, Output};
use crate::detect::rule::Level;
use crate::serve::Conditions;
use crate::sink::{SinkStatus, Sinks};
use crate::time::Timestamp;

/// What each output is told, and what it had lost when it was looked at last.
#[derive(Debug)]
pub struct Outputs {
    levels: Vec<Level>,
    lost: BTreeMap<String, u64>,
}

impl Outputs {
    /// Outputs that are told of incidents of these severities and above, in their order.
    pub fn new(levels: Vec<Level>) -> Self {
        Self { levels, lost: BTreeMap::new() }
    }

    /// Looks at them. One that takes nothing, or has lost records since the last look, is failing; one that takes what it
    /// is given is not.
    pub fn look(&mut self, sinks: &Sinks, conditions: &Conditions, time: Option<Timestamp>) -> Vec<Output> {
        let levels = self.levels.clone().into_iter();
        let told = sinks.states().into_iter().zip(levels);
        told.map(|(status, level)| self.look_at(status, level, conditions, time)).collect()
    }

    fn look_at(
        &mut self,
        status: SinkStatus,
        level: Level,
        conditions: &Conditions,
        time: Option<Timestamp>,
    ) -> Output {
        let lost = status.counts.failed + status.counts.discarded;
        let before = self.lost.insert(status.name.clone(), lost).unwrap_or(0);
        let ok = status.is_ok() && lost == before;
        let message = match (&status.last_error, ok) {
            (_, true) => "records reach it".to_owned(),
            (Some(error), false) => format!("records do not reach it: {error}"),
            (None, false) => "records do not reach it".to_owned(),
        };
        conditions.set(Condition::SinkFailing, &status.name, (!ok, &message), time);
        let message = match &status.spool_error {
            None => "its spool takes records".to_owned(),
            Some(error) => format!("its spool takes no records: {error}; they would not survive a crash"),
        };
        let holds = status.spool_error.is_some();
        conditions.set(Condition::SpoolFailing, &status.name, (holds, &message), time);
        Output {
            name: status.name,
            ok,
            min_severity: level.word(),
            delivered: status.counts.delivered,
            waiting: status.spooled,
            lost,
            error: status.last_error.filter(|_| !ok),
        }
    }
}
