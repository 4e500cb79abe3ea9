//! What the operator knows of days to come: planned work and expected crowds. Comes in: the configuration's `calendar`.
//! Goes out: what is declared of a service at a time.

use crate::document::{Mention, words};
use crate::time::Timestamp;

/// Planned work or an expected crowd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EventKind,
    /// The services it concerns; all where none is named.
    pub services: Vec<Mention>,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
}

/// What an entry of the calendar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Planned work: the service may fail.
    Maintenance,
    /// A deadline, a sale: a crowd is expected.
    Event,
}
words! { EventKind, "a kind of event": Maintenance = "maintenance", Event = "event" }

/// All events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar(pub Vec<Event>);

impl Event {
    /// Whether it concerns a service.
    fn concerns(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|named| named.name() == service)
    }
}

impl Calendar {
    /// The events of a service.
    pub fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Event> {
        self.0.iter().filter(move |event| event.concerns(service))
    }

    /// The event of that kind that is on at a service.
    pub fn on(&self, service: &str, kind: EventKind, time: Timestamp) -> Option<&Event> {
        let on = |event: &&Event| event.kind == kind && event.from <= time && time < event.to;
        self.0.iter().filter(|event| event.concerns(service)).find(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_on_from_its_beginning_until_before_its_end() {
        let event = Event {
            name: "patch night".to_owned(),
            kind: EventKind::Maintenance,
            services: vec!["pps".into()],
            from: Timestamp::from_secs(100),
            to: Timestamp::from_secs(200),
        };
        let calendar = Calendar(vec![event]);
        let on = |service, kind, second| calendar.on(service, kind, Timestamp::from_secs(second)).is_some();
        assert!(on("pps", EventKind::Maintenance, 100));
        assert!(!on("pps", EventKind::Maintenance, 200));
        assert!(!on("pps", EventKind::Event, 150));
        assert!(!on("tax", EventKind::Maintenance, 150));
    }
}
