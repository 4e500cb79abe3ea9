//! How the outputs of a watch are. Comes in: what each sink says of itself. Goes out: the same for records and metrics,
//! and a condition for each that fails.

use std::collections::BTreeMap;

use crate::alert::{Condition, Output};
use crate::serve::Conditions;
use crate::sink::{SinkCounts, Sinks};
use crate::time::Timestamp;

/// What was known of the outputs when they were looked at last.
#[derive(Debug, Default)]
pub struct Outputs {
    before: BTreeMap<String, SinkCounts>,
}

impl Outputs {
    /// Looks at them; one that has lost records since the last look is failing, one that has delivered again is not.
    pub fn look(&mut self, sinks: &Sinks, conditions: &Conditions, time: Option<Timestamp>) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (name, counts) in sinks.counts() {
            let before = self.before.insert(name.clone(), counts).unwrap_or_default();
            let lost = counts.failed + counts.discarded;
            if lost > before.failed + before.discarded {
                conditions.begin(Condition::SinkFailing, &name, "records do not reach it", time);
            } else if counts.delivered > before.delivered {
                conditions.end(Condition::SinkFailing, &name, "records reach it again", time);
            }
            let ok = !conditions.holds(Condition::SinkFailing, &name);
            outputs.push(Output {
                ok,
                min_severity: String::new(),
                delivered: counts.delivered,
                waiting: 0,
                lost,
                error: None,
                name,
            });
        }
        outputs
    }
}
