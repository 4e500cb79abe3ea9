//! One plain sentence about an incident. Comes in: an [`Alert`]. Goes out: who, how much, and how much before.
//! Says "access from", never who attacked; names no place where no origin can be named.

use std::collections::BTreeSet;

use super::number::{percent, quantity};
use super::target::address_told;
use super::{Alert, unit};
use crate::aggregate::Sides;
use crate::attribute::{Asn, Country};
use crate::detect::rule::Measure;
use crate::incident::{Cause, Incident, Origin, Place, Unit, Unknown};

/// Networks and countries that are named one by one; more are counted.
const MOST_NAMED: usize = 3;

/// The sentence.
pub(super) fn message(alert: &Alert<'_>) -> String {
    let said = match unmirrored(alert) {
        Some(said) => said.to_owned(),
        None if alert.incident.origins.is_empty() => no_origin(alert),
        None => origins(&alert.incident),
    };
    format!("{}: {said}", alert.target().name)
}

/// Which direction the mirror misses, where that is what the incident is about.
fn unmirrored(alert: &Alert<'_>) -> Option<&'static str> {
    let incident = &*alert.incident;
    let rule = alert.around.rules.get(&incident.opening.id)?;
    let is_sensor = incident.verdict.cause == Cause::Unknown(Unknown::Sensor);
    (rule.measure == Measure::OneSided && is_sensor).then_some(match incident.sides {
        Sides::ToServer => {
            "the mirror shows no more what the service sends, while its clients go on talking to it"
        }
        Sides::ToClient => {
            "the mirror shows no more what clients send, while the service goes on answering them"
        }
        Sides::Both => "the mirror showed one direction of the conversations alone, and shows both again",
    })
}

/// `access from 2 foreign prefixes (AS64500, XX), 75 % of requests, 0.1 % before`
pub(super) fn origins(incident: &Incident) -> String {
    let sum = |part: fn(&Origin) -> f64| incident.origins.iter().map(part).sum::<f64>().min(1.0);
    format!(
        "{} from {}, {} of {}{}",
        if matches!(incident.load.unit, Unit::Requests | Unit::Connections) { "access" } else { "traffic" },
        who(&incident.origins),
        percent(sum(|row| row.traffic_share)),
        unit::noun(incident.load.unit),
        share_before(incident, sum(|row| row.baseline_share)),
    )
}

/// `, 0.1 % before`; nothing where nothing is known of before.
pub(super) fn share_before(incident: &Incident, share: f64) -> String {
    incident.load.baseline.map(|_| format!(", {} before", percent(share))).unwrap_or_default()
}

fn who(rows: &[Origin]) -> String {
    let places = match rows {
        // Not a country but a class of addresses: private, reserved.
        [Origin { place: Place::Country(class), .. }] if !matches!(class, Country::Code(_)) => {
            format!("{class} addresses")
        }
        [row] => format!("{}{} {}", abroad(rows), kind(rows).0, place_told(&row.place)),
        rows => format!("{} {}{}", rows.len(), abroad(rows), kind(rows).1),
    };
    match whose(rows) {
        names if names.is_empty() => places,
        names => format!("{places} ({})", names.join(", ")),
    }
}

fn abroad(rows: &[Origin]) -> &'static str {
    if rows.iter().all(|row| row.foreign == Some(true)) {
        "foreign "
    } else if rows.iter().all(|row| row.foreign == Some(false)) {
        "domestic "
    } else {
        ""
    }
}

/// What the rows are, for one and for many.
fn kind(rows: &[Origin]) -> (&'static str, &'static str) {
    let all = |is: fn(&Place) -> bool| rows.iter().all(|row| is(&row.place));
    if all(|place| matches!(place, Place::Source(_))) {
        ("address", "addresses")
    } else if all(|place| matches!(place, Place::Prefix(_))) {
        ("prefix", "prefixes")
    } else if all(|place| matches!(place, Place::Network(_))) {
        ("network", "networks")
    } else if all(|place| matches!(place, Place::Country(_))) {
        ("country", "countries")
    } else {
        ("origin", "origins")
    }
}

/// Networks and countries of the rows, as far as a single row does not say them itself.
fn whose(rows: &[Origin]) -> Vec<String> {
    let itself = |place: &Place| matches!(rows, [row] if row.place == *place);
    let networks: BTreeSet<Asn> =
        rows.iter().filter_map(|row| row.asn).filter(|asn| !itself(&Place::Network(*asn))).collect();
    let countries: BTreeSet<_> =
        rows.iter().map(|row| row.country).filter(|country| !itself(&Place::Country(*country))).collect();
    let mut names = named(networks.iter(), "networks");
    names.extend(named(countries.iter(), "countries"));
    names
}

fn named<T: ToString>(all: impl ExactSizeIterator<Item = T>, many: &str) -> Vec<String> {
    if all.len() > MOST_NAMED {
        return vec![format!("{} {many}", all.len())];
    }
    all.map(|name| name.to_string()).collect()
}

/// A place as text.
pub(super) fn place_told(place: &Place) -> String {
    match place {
        Place::Country(country) => country.to_string(),
        Place::Network(asn) => asn.to_string(),
        Place::Prefix(prefix) => address_told(prefix),
        Place::Source(address) => address.to_string(),
    }
}

const NO_ORIGIN: &str = "no origin can be named";

/// What is said where no origin can be shown, after what the opening rule counts.
fn no_origin(alert: &Alert<'_>) -> String {
    let incident = &*alert.incident;
    let hit = incident.rules.iter().find(|hit| hit.id == incident.opening.id);
    let rule = alert.around.rules.get(&incident.opening.id);
    let (Some(hit), Some(rule)) = (hit, rule) else {
        return load(incident);
    };
    let count = quantity(hit.observed.rate);
    match rule.measure {
        Measure::HalfOpen => format!(
            "{count} connection attempts a second never completed, addresses are forged or unknown: {NO_ORIGIN}"
        ),
        Measure::Unearned => {
            format!("{count} packets a second from addresses that never proved theirs: {NO_ORIGIN}")
        }
        Measure::ServerErrors | Measure::ClientErrors => {
            let share = percent(hit.observed.share);
            format!("{count} {} a second, {share} of all responses", unit::counted(rule.measure))
        }
        _ => load(incident),
    }
}

/// `2,000 packets/s, 12 before: no origin can be named`
fn load(incident: &Incident) -> String {
    let load = &incident.load;
    let before = load.baseline.map(|before| format!(", {} before", unit::figure(load.unit, before)));
    format!("{}{}: {NO_ORIGIN}", unit::rate(load.unit, load.rate), before.unwrap_or_default())
}
