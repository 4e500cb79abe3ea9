//! What a reload changed. Comes in: two runs. Goes out: each thing that differs, as it was and as it is.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::setup::Run;
use crate::alert::Changed;
use crate::detect::rule::{Limit, Rule};
use crate::service::Service;

/// What differs between two runs, sorted by name.
pub fn between(old: &Run, new: &Run) -> Vec<Changed> {
    let (before, now) = (facts(old), facts(new));
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut changes: Vec<Changed> = names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(|name| Changed {
            what: name.clone(),
            old: before.get(name).cloned(),
            new: now.get(name).cloned(),
        })
        .collect();
    changes.extend(otherwise(old, new));
    changes
}

/// What a run is made of, each thing by its name, in few words.
fn facts(run: &Run) -> BTreeMap<String, String> {
    let scene = &run.scene;
    let mut facts = BTreeMap::new();
    let mut note = |name: String, fact: String| facts.insert(name, fact);
    note("home".to_owned(), joined(&run.home));
    note("timezone".to_owned(), scene.zone.name());
    if scene.pseudonyms.is_empty() {
        note("trusted_proxies".to_owned(), joined(&run.trusted));
    }
    note(
        "databases.country".to_owned(),
        format!("{}, built {}", scene.geo.country_db, scene.geo.build_epoch),
    );
    note("databases.asn".to_owned(), format!("{}, built {}", scene.geo.asn_db, scene.geo.asn_build_epoch));
    let owning = |(_, service): &(_, &Service)| !service.addresses.is_empty();
    for (_, service) in scene.services.iter().filter(owning) {
        note(
            format!("services.{}", service.name),
            format!("{} ports {}", joined(&service.addresses), joined(&service.ports)),
        );
    }
    for label in &run.labels {
        // Clients have no addresses where they have pseudonyms.
        let prefixes = match scene.pseudonyms.is_empty() {
            true => joined(&label.prefixes),
            false => format!("{} prefixes", label.prefixes.len()),
        };
        note(format!("labels.{}", label.name), format!("{} {prefixes}", label.role));
    }
    for event in run.calendar() {
        let utc = crate::time::Zone::utc();
        let (from, to) = (event.from.rfc3339(&utc), event.to.rfc3339(&utc));
        note(format!("calendar.{}", event.name), format!("{} {from} to {to}", event.kind));
    }
    for mute in &scene.mutes.0 {
        let until = mute.until.rfc3339(&crate::time::Zone::utc());
        let fact = format!("{} at {} up to {} until {until}", mute.rule, mute.service, mute.up_to);
        note(format!("mute.{}", mute.name), fact);
    }
    for rule in &scene.rules.rules {
        note(format!("rules.{}", rule.id), rule_in_words(rule));
    }
    facts
}

/// Rules that differ in something that [`rule_in_words`] does not say, and weights.
fn otherwise(old: &Run, new: &Run) -> Vec<Changed> {
    let (before, now) = (&old.scene.rules, &new.scene.rules);
    let told = |what: String| Changed { what, old: None, new: Some("changed".to_owned()) };
    let differs = |rule: &&Rule| {
        before.rules.iter().find(|have| have.id == rule.id).is_some_and(|have| {
            let alike = Rule { at: rule.at, file: rule.file.clone(), ..have.clone() };
            alike != **rule && rule_in_words(have) == rule_in_words(rule)
        })
    };
    let mut changes: Vec<Changed> =
        now.rules.iter().filter(differs).map(|rule| told(format!("rules.{}", rule.id))).collect();
    if before.weights != now.weights {
        changes.push(told("weights".to_owned()));
    }
    changes
}

fn rule_in_words(rule: &Rule) -> String {
    let limit = |limit: Limit| {
        format!("{} {} {}", limit.metric.name(), limit.op.sign(), limit.metric.written(limit.limit))
    };
    let limits: Vec<String> = rule.when.limits().into_iter().map(limit).collect();
    format!(
        "rev {}, {} {} by {} over {}, for {}, {}: {}",
        rule.rev,
        rule.mode,
        rule.measure,
        rule.group_by,
        rule.timespan,
        rule.hold,
        rule.level,
        limits.join(", ")
    )
}

fn joined<T: Display>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
