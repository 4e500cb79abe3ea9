//! Alerts that the operator does not want to hear of for a while: one rule at one service, up to a severity, until a time.
//! Comes in: the configuration's `mute`. Goes out: whether an alert is withheld, and on whose account it is counted.

use crate::detect::rule::Level;
use crate::document::Mention;
use crate::time::Timestamp;

/// One kind of alert that is withheld for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Its name, by which it is told what it withheld.
    pub name: String,
    /// The id of the rule that opened the incident.
    pub rule: Mention,
    /// The service.
    pub service: Mention,
    /// Incidents above it are told.
    pub up_to: Level,
    /// The capture time from which on everything is told.
    pub until: Timestamp,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mutes(pub Vec<Mute>);

impl Mutes {
    /// The one that withholds an alert of `rule` at `service`.
    pub fn of(&self, rule: &str, service: &str, severity: Level, time: Timestamp) -> Option<&Mute> {
        self.0.iter().find(|mute| {
            let is_its = mute.rule.name() == rule && mute.service.name() == service;
            is_its && severity <= mute.up_to && time < mute.until
        })
    }
}

impl Mute {
    /// What it withheld, for people.
    pub fn receipt(&self, hidden: u64) -> String {
        let Self { name, rule, service, .. } = self;
        format!("{hidden} alerts of {rule} at {service} were withheld by '{name}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_key_is_withheld_and_never_what_is_worse_or_later() {
        let until = Timestamp::from_secs(100);
        let mute = Mute {
            name: "load test".to_owned(),
            rule: "load-surge".into(),
            service: "pps".into(),
            up_to: Level::Medium,
            until,
        };
        let mutes = Mutes(vec![mute]);
        let withheld = |rule, service, severity, second| {
            mutes.of(rule, service, severity, Timestamp::from_secs(second)).is_some()
        };
        assert!(withheld("load-surge", "pps", Level::Medium, 99));
        assert!(!withheld("load-surge", "pps", Level::High, 99));
        assert!(!withheld("load-surge", "pps", Level::Low, 100));
        assert!(!withheld("load-surge", "tax", Level::Low, 99));
        assert!(!withheld("load-drop", "pps", Level::Low, 99));
    }
}
