//! What is true of a played story, as JSON: a [`Plan`] and what was counted come in, the truth goes out.

use serde::Serialize;

use super::count::Counts;
use super::networks::HOME;
use super::plan::{Cause, EpisodePlan, GroupPlan, Name, Origins, Plan};
use crate::time::{Span, Zone};

/// What is true of a story.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Begin, RFC 3339.
    pub start: String,
    /// End, RFC 3339.
    pub end: String,
    /// Countries that are home.
    pub home: Vec<String>,
    /// The services.
    pub services: Vec<TrueService>,
    /// Known neighbours, as in the configuration.
    pub labels: Vec<TrueLabel>,
    /// Planned work and expected crowds, as in the configuration.
    pub calendar: Vec<TrueEvent>,
    /// Until when nothing special happens, RFC 3339.
    pub warmup_until: String,
    /// What happens; nothing in a benign story.
    pub episodes: Vec<Episode>,
    /// Packets in the capture.
    pub packets: u64,
}

/// A service, as `--service` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueService {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<u16>,
}

/// A known neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueLabel {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its prefixes.
    pub prefixes: Vec<String>,
}

/// An entry of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueEvent {
    /// Its name.
    pub name: String,
    /// `maintenance` or `event`.
    pub kind: String,
    /// The services it concerns.
    pub services: Vec<String>,
    /// Begin, RFC 3339.
    pub from: String,
    /// End, RFC 3339.
    pub to: String,
}

/// Something that happens to a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Episode {
    /// The service's name.
    pub service: String,
    /// The verdict's label.
    pub label: String,
    /// The verdict's kind; empty where the label has none.
    pub kind: String,
    /// Begin, RFC 3339.
    pub begin: String,
    /// End, RFC 3339.
    pub end: String,
    /// What is right, the above first.
    pub acceptable: Vec<Verdict>,
    /// Networks to be named, with their part of the excess.
    pub origins: Vec<Origin>,
    /// What it consists of; the parts add up to 1.
    pub causes: Vec<TrueCause>,
    /// Whether `unknown` is right too.
    pub unknown_is_right: bool,
    /// Whether no alert at all is right too: nobody is harmed.
    pub silence_is_right: bool,
    /// Seconds from begin to the first alert.
    pub detect_within_s: u64,
    /// Seconds from there to the right verdict.
    pub decide_within_s: u64,
    /// What happens, for people.
    pub note: String,
}

/// A label and a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Label.
    pub label: String,
    /// Kind; empty where the label has none.
    pub kind: String,
}

/// A network to be named.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Origin {
    /// Prefix.
    pub prefix: String,
    /// Part of the excess.
    pub share: f64,
}

/// A cause with its part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrueCause {
    /// Label.
    pub label: String,
    /// Kind; empty where the label has none.
    pub kind: String,
    /// Part of the excess.
    pub share: f64,
}

/// The truth of a plan after it was played.
pub fn of(plan: &Plan, counts: &Counts) -> Truth {
    let time = |since: Span| (plan.start + since).rfc3339(&Zone::utc());
    let services: Vec<TrueService> = plan
        .services
        .iter()
        .map(|service| TrueService {
            name: service.name.clone(),
            addresses: service.addresses.iter().map(ToString::to_string).collect(),
            ports: vec![service.port],
        })
        .collect();
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    Truth {
        scenario: plan.name.to_owned(),
        seed: plan.seed,
        start: time(plan.lead),
        end: time(plan.length),
        home: vec![HOME.to_owned()],
        services,
        labels: plan.labels.iter().map(label).collect(),
        calendar: plan
            .calendar
            .iter()
            .map(|(name, kind, from, to)| TrueEvent {
                name: (*name).to_owned(),
                kind: (*kind).to_owned(),
                services: names.clone(),
                from: time(*from),
                to: time(*to),
            })
            .collect(),
        warmup_until: time(plan.warmup),
        episodes: plan.episodes.iter().enumerate().map(|it| episode(plan, counts, it)).collect(),
        packets: counts.packets,
    }
}

fn label((name, role, prefixes): &(&'static str, &'static str, Vec<String>)) -> TrueLabel {
    TrueLabel { name: (*name).to_owned(), role: (*role).to_owned(), prefixes: prefixes.clone() }
}

fn episode(plan: &Plan, counts: &Counts, (place, it): (usize, &EpisodePlan)) -> Episode {
    let sizes: Vec<f64> = it.causes.iter().map(|cause| size(plan, counts, (place, it, cause))).collect();
    let total: f64 = sizes.iter().sum();
    let part = |size: f64| rounded(size / total.max(1.0));
    let alone = it.causes.len() == 1;
    let causes = it.causes.iter().zip(&sizes).map(|(cause, size)| TrueCause {
        label: cause.name.0.to_owned(),
        kind: cause.name.1.to_owned(),
        share: if alone { 1.0 } else { part(*size) },
    });
    let mut origins = Vec::new();
    for cause in it.causes.iter().filter(|cause| cause.origins == Origins::Named) {
        for group in &cause.groups {
            let networks = plan.groups.get(*group).map_or(&[][..], |group| &group.pool.networks);
            let counted = counts.by_network(place, *group);
            let named = networks.iter().zip(counted).filter(|(_, count)| **count > 0);
            origins.extend(named.map(|(network, count)| Origin {
                prefix: network.net.to_string(),
                share: part(*count as f64),
            }));
        }
    }
    let acceptable = std::iter::once(&it.name).chain(&it.also).map(verdict).collect();
    let time = |since: Span| (plan.start + since).rfc3339(&Zone::utc());
    Episode {
        service: plan.services.get(it.service).map_or_else(String::new, |service| service.name.clone()),
        label: it.name.0.to_owned(),
        kind: it.name.1.to_owned(),
        begin: time(it.begin),
        end: time(it.end),
        acceptable,
        origins,
        causes: causes.collect(),
        unknown_is_right: it.unknown_is_right,
        silence_is_right: it.silence_is_right,
        detect_within_s: it.within.0,
        decide_within_s: it.within.1,
        note: it.note.clone(),
    }
}

fn verdict(name: &Name) -> Verdict {
    Verdict { label: name.0.to_owned(), kind: name.1.to_owned() }
}

/// The excess that a cause brings: its groups' attempts, and with people those by which ordinary visitors made more or
/// fewer than before, since nobody can tell the two apart.
fn size(plan: &Plan, counts: &Counts, (place, it, cause): (usize, &EpisodePlan, &Cause)) -> f64 {
    let own: u64 = cause.groups.iter().map(|group| counts.total(place, *group)).sum();
    let is_ordinary = |group: &GroupPlan| group.service == it.service && group.ordinary;
    let ordinary = plan.groups.iter().enumerate().filter(|(_, group)| is_ordinary(group));
    let more: f64 = match cause.name.0 {
        "flash_crowd" => ordinary.map(|(group, _)| counts.more(place, group)).sum(),
        _ => 0.0,
    };
    (own as f64 + more).max(0.0)
}

/// Four decimals say enough.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
