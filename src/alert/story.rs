//! One incident for a reader at three in the morning: when, which service, how bad, who, how much against before,
//! what for, how the service fares, and what is not known. Comes in: an [`Alert`]. Goes out: lines of text.

use super::eve::{SoughtField, attribute, cohort, condition, label_told, sought as asked_for};
use super::evidence::facts;
use super::message::{origins as origins_told, place_told, share_before};
use super::number::{duration, percent, quantity};
use super::summary::{Paint, WIDTH, clock};
use super::table::{Lean, Table, cut, wrapped};
use super::text::told;
use super::verdict::named;
use super::{Alert, unit, verdict};
use crate::attribute::Country;
use crate::detect::rule::Level;
use crate::detect::switched_off;
use crate::incident::{ButFor, Cause, Contrast, Origin, State, Unknown};

/// Names stand in a column of this width, facts beside them.
const NAMES: usize = 12;

/// Rows of origins that are shown; a screen holds no more.
const MOST_ROWS: usize = 24;

/// The incident, its number in the list first.
pub(super) fn story(alert: &Alert<'_>, number: usize, paint: Paint) -> String {
    let mut out = head(alert, number, paint);
    out.push_str(&origins(alert));
    let facts = [
        ("load", Some(load(alert))),
        ("asked for", sought(alert)),
        ("stands out", stands_out(alert)),
        ("service", Some(service(alert))),
        ("rules", rules(alert)),
        ("foreign", Some(foreign(alert))),
        ("neighbours", neighbours(alert)),
        ("verdict", Some(judged(alert))),
        ("because", because(alert)),
        ("against it", against(alert)),
        ("otherwise", would_change(alert)),
        ("not visible", not_visible(alert)),
        ("capture", capture(alert)),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            out.push_str(&line(name, &fact));
        }
    }
    out
}

fn head(alert: &Alert<'_>, number: usize, paint: Paint) -> String {
    let incident = &*alert.incident;
    let severity = incident.severity;
    let title = format!("INCIDENT {number}  {}", severity.word().to_uppercase());
    let what = format!("{} - {}", alert.target().name, told(&incident.opening.title));
    let what = cut(&what, WIDTH.saturating_sub(title.len() + 2));
    let title = if severity >= Level::High { paint.alarming(&title) } else { title };
    format!("{title}  {what}\n{}{}", line("when", &when(alert)), line("what", &what_now(alert)))
}

/// `2023-11-23 09:19:20 - 10:20:40 +09:00 (1 h 1 min 20 s), noticed 09:19:40`
fn when(alert: &Alert<'_>) -> String {
    let (incident, zone) = (&*alert.incident, alert.around.zone);
    let start = clock(incident.started, zone);
    let noticed = clock(incident.detected, zone);
    let Some(ended) = incident.ended else {
        return format!(
            "since {} {} {}, still going on, noticed {}",
            start.day, start.time, start.offset, noticed.time
        );
    };
    let end = clock(ended, zone);
    let end_told = if end.day == start.day { end.time.clone() } else { format!("{} {}", end.day, end.time) };
    let length = duration(ended.since(incident.started));
    let cut_off = match (incident.state, incident.interrupted) {
        (State::Close, true) => ", cut off by the end of the input",
        _ => "",
    };
    format!(
        "{} {} - {end_told} {} ({length}), noticed {}{cut_off}",
        start.day, start.time, start.offset, noticed.time
    )
}

/// The alert's sentence without the service's name.
fn what_now(alert: &Alert<'_>) -> String {
    if alert.incident.origins.is_empty() {
        let message = alert.message();
        let name = format!("{}: ", alert.target().name);
        return message.strip_prefix(&name).map_or(message.clone(), str::to_owned);
    }
    origins_told(&alert.incident)
}

/// Who, in a table.
fn origins(alert: &Alert<'_>) -> String {
    let rows = &alert.incident.origins;
    if rows.is_empty() {
        return String::new();
    }
    // With seven gaps of two behind an indent of two the widest table takes WIDTH.
    let mut table = Table::new([
        ("from", Lean::Left, 20),
        ("network", Lean::Left, 20),
        ("country", Lean::Left, 8),
        ("share", Lean::Right, 6),
        ("before", Lean::Right, 6),
        ("rate/s", Lean::Right, 9),
        ("sources", Lean::Right, 9),
        ("proven", Lean::Left, 6),
    ]);
    for (row, holder) in alert.origins().take(MOST_ROWS) {
        table.row(origin(alert, row, holder));
    }
    let mut out = format!("\n{}", table.lines("  "));
    if rows.len() > MOST_ROWS {
        out.push_str(&format!("  and {} more\n", rows.len() - MOST_ROWS));
    }
    out.push('\n');
    out
}

fn origin(alert: &Alert<'_>, row: &Origin, holder: Option<&str>) -> [String; 8] {
    let network = row.asn.map(|asn| match holder {
        Some(name) => format!("{asn} {name}"),
        None => asn.to_string(),
    });
    let place = place_told(&row.place);
    [
        row.label.map_or(place.clone(), |label| format!("{place} {}", label_told(alert, label))),
        network.unwrap_or_default(),
        if matches!(row.country, Country::Unknown) { "?".to_owned() } else { row.country.to_string() },
        short_percent(row.traffic_share),
        if alert.incident.load.baseline.is_some() {
            short_percent(row.baseline_share)
        } else {
            "?".to_owned()
        },
        unit::figure(alert.incident.load.unit, row.rate),
        quantity(row.sources as f64),
        if row.proven { "yes" } else { "no" }.to_owned(),
    ]
}

fn short_percent(share: f64) -> String {
    percent(share).replace("under ", "<")
}

/// `3,050 requests/s; 400 before (7.6 times); 750 without these origins (within the 1,200 carried in health)`
fn load(alert: &Alert<'_>) -> String {
    let load = &alert.incident.load;
    let mut told = unit::rate(load.unit, load.rate);
    match load.baseline {
        Some(before) if before > 0.0 => told.push_str(&format!(
            "; {} before ({} times)",
            unit::figure(load.unit, before),
            quantity(load.rate / before)
        )),
        Some(_) => told.push_str("; none before"),
        None => told.push_str("; nothing is known of before"),
    }
    for but_for in alert.incident.but_for() {
        told.push_str(&without(alert, &but_for));
    }
    told
}

/// `; 750 without these origins (within the 1,200 carried in health)`; of causes only those that have no origins are told,
/// since the others' rows stand above.
fn without(alert: &Alert<'_>, but_for: &ButFor) -> String {
    let load = &alert.incident.load;
    let what = match but_for.cause {
        None => "these origins".to_owned(),
        Some(Cause::Unknown(_)) => return String::new(),
        Some(cause) if but_for.origins.is_empty() => verdict::named(cause),
        Some(_) => return String::new(),
    };
    let knee = load.knee.map(|knee| unit::figure(load.unit, knee)).unwrap_or_default();
    let held = match but_for.within_knee {
        Some(true) => format!(" (within the {knee} carried in health)"),
        Some(false) => format!(" (more than the {knee} carried in health)"),
        None => String::new(),
    };
    format!("; {} without {what}{held}", unit::figure(load.unit, but_for.rate))
}

/// `user_agent python-requests/2.31 98 % (0 % before); path /bid/list 91 % (8 % before)`
fn stands_out(alert: &Alert<'_>) -> Option<String> {
    let row = |row: &Contrast| {
        format!(
            "{} {} {} ({} before)",
            attribute(row.attribute),
            cut(&told(&row.value), LONGEST_VALUE),
            percent(row.share),
            percent(row.baseline_share)
        )
    };
    let told: Vec<String> = alert.incident.contrast.iter().take(MOST_CONTRASTS).map(row).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// What a reader takes in at once; the record has more.
const MOST_CONTRASTS: usize = 4;

/// A whole browser's name would fill the line.
const LONGEST_VALUE: usize = 32;

fn sought(alert: &Alert<'_>) -> Option<String> {
    let row = |one: SoughtField| format!("{} ({})", cut(&one.words(), LONGEST_ASKED), percent(one.share));
    let told: Vec<String> = asked_for(&alert.incident).into_iter().map(row).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Two paths with their methods stand on a line.
const LONGEST_ASKED: usize = 40;

fn service(alert: &Alert<'_>) -> String {
    let health = &alert.incident.health;
    match health.failure_ratio {
        Some(ratio) => format!(
            "{}: {} of exchanges fail for {}",
            condition(health.state),
            percent(ratio),
            cohort(&alert.incident)
        ),
        None if alert.incident.origins.is_empty() => {
            format!("{}: no response was seen", condition(health.state))
        }
        None => format!("{}: no exchange of {} was seen", condition(health.state), cohort(&alert.incident)),
    }
}

fn rules(alert: &Alert<'_>) -> Option<String> {
    let told: Vec<String> =
        facts(alert).into_iter().map(|fact| format!("{}: {}", fact.id, fact.text)).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn foreign(alert: &Alert<'_>) -> String {
    let Some(foreign) = alert.incident.foreign else {
        return "home is not known: nothing is called foreign".to_owned();
    };
    let since = clock(alert.incident.started, alert.around.zone);
    format!(
        "concentrated foreign access: {}, {} of all {}{}, since {}",
        if foreign.concentrated { "yes" } else { "no" },
        percent(foreign.share),
        unit::noun(alert.incident.load.unit),
        share_before(&alert.incident, foreign.baseline_share),
        since.time
    )
}

/// `an attack (http_flood), 93 % sure`, and its parts where it is a mixture.
fn judged(alert: &Alert<'_>) -> String {
    let verdict = &alert.incident.verdict;
    // Nothing is told as certain.
    let sure = percent(verdict.confidence.min(0.999));
    let told = match verdict.cause {
        Cause::Unknown(Unknown::InsufficientData) | Cause::Unjudged => {
            return "not known: there is too little to go by".to_owned();
        }
        Cause::Unknown(Unknown::Sensor) => {
            return "not known: the mirror does not show enough to tell".to_owned();
        }
        Cause::Unknown(Unknown::LeaningAttack) => return format!("not sure; leaning to an attack ({sure})"),
        Cause::Unknown(Unknown::LeaningFlashCrowd) => {
            return format!("not sure; leaning to a flash crowd ({sure})");
        }
        Cause::Unknown(Unknown::LeaningGlitch) => return format!("not sure; leaning to a glitch ({sure})"),
        cause => format!("{}, {sure} sure", named(cause)),
    };
    if verdict.cause != Cause::Mixed {
        return told;
    }
    let parts: Vec<String> =
        verdict.parts.iter().map(|part| format!("{} {}", percent(part.share), named(part.cause))).collect();
    format!("{told}: {}", parts.join(", "))
}

/// Reasons that are told; the record has all.
const MOST_REASONS: usize = 5;

fn because(alert: &Alert<'_>) -> Option<String> {
    sentences(verdict::facts(&alert.incident.verdict.reasons))
}

fn against(alert: &Alert<'_>) -> Option<String> {
    sentences(verdict::facts(&alert.incident.verdict.doubts))
}

fn sentences(facts: Vec<super::evidence::Fact>) -> Option<String> {
    let told: Vec<String> = facts.into_iter().take(MOST_REASONS).map(|fact| fact.text).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn would_change(alert: &Alert<'_>) -> Option<String> {
    let told: Vec<String> = alert
        .incident
        .verdict
        .flips
        .iter()
        .map(|flip| format!("{} without \"{}\"", named(flip.without), flip.evidence))
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn not_visible(alert: &Alert<'_>) -> Option<String> {
    let told = verdict::not_visible(alert);
    (!told.is_empty()).then(|| told.join("; "))
}

/// Labelled clients: visible, never blamed.
fn neighbours(alert: &Alert<'_>) -> Option<String> {
    let told: Vec<String> = alert
        .incident
        .neighbours
        .iter()
        .map(|one| {
            format!(
                "{} {} of all {}",
                label_told(alert, one.label),
                percent(one.traffic_share),
                unit::noun(alert.incident.load.unit)
            )
        })
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Only where something is wrong with what was seen.
fn capture(alert: &Alert<'_>) -> Option<String> {
    let quality = alert.around.capture;
    let mut wrong = Vec::new();
    if quality.loss > 0.0 {
        wrong.push(format!("{} of the packets were lost", percent(quality.loss)));
    }
    if quality.one_way || alert.incident.sides.is_one_way() {
        let off = switched_off(alert.around.rules, alert.incident.sides);
        let off = if off.is_empty() { String::new() } else { format!(" (off: {})", off.join(", ")) };
        wrong.push(format!("only one side of the conversations is seen{off}"));
    }
    if quality.duplicates > 0.0 {
        wrong.push(format!("{} of the packets are copies", percent(quality.duplicates)));
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// A name and its fact, broken into lines that fit.
fn line(name: &str, fact: &str) -> String {
    let lines = wrapped(fact, WIDTH - NAMES - 2);
    lines
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let name = if index == 0 { name } else { "" };
            format!("  {name:<NAMES$}{text}\n")
        })
        .collect()
}
