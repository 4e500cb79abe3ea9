//! One incident for a reader at three in the morning: when, which service, how bad, who, how much against before,
//! what for, how the service fares, and what is not known. Comes in: an [`Alert`]. Goes out: lines of text.

use super::eve::{cohort, condition, label, organization};
use super::evidence::facts;
use super::message::{origins as origins_told, place_told, share_before};
use super::number::{duration, percent, quantity};
use super::summary::{Paint, WIDTH, clock};
use super::table::{Lean, Table, cut, wrapped};
use super::text::told;
use super::{Alert, unit};
use crate::attribute::Country;
use crate::detect::rule::Level;
use crate::detect::switched_off;
use crate::incident::{Label, Origin, State};

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
        ("service", Some(service(alert))),
        ("rules", rules(alert)),
        ("foreign", Some(foreign(alert))),
        ("verdict", Some(verdict(alert))),
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
    let incident = alert.incident;
    let severity = incident.severity;
    let title = format!("INCIDENT {number}  {}", severity.word().to_uppercase());
    let what = format!("{} - {}", alert.target().name, told(&incident.opening.title));
    let what = cut(&what, WIDTH.saturating_sub(title.len() + 2));
    let title = if severity >= Level::High { paint.alarming(&title) } else { title };
    format!("{title}  {what}\n{}{}", line("when", &when(alert)), line("what", &what_now(alert)))
}

/// `2023-11-23 09:19:20 - 10:20:40 +09:00 (1 h 1 min 20 s), noticed 09:19:40`
fn when(alert: &Alert<'_>) -> String {
    let (incident, zone) = (alert.incident, alert.around.zone);
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
    origins_told(alert.incident)
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
    for row in rows.iter().take(MOST_ROWS) {
        table.row(origin(alert, row));
    }
    let mut out = format!("\n{}", table.lines("  "));
    if rows.len() > MOST_ROWS {
        out.push_str(&format!("  and {} more\n", rows.len() - MOST_ROWS));
    }
    out.push('\n');
    out
}

fn origin(alert: &Alert<'_>, row: &Origin) -> [String; 8] {
    let organization = organization(alert, row);
    let network = row.asn.map(|asn| match organization {
        Some(name) => format!("{asn} {name}"),
        None => asn.to_string(),
    });
    let label = row.label.and_then(|id| alert.around.labels.get(usize::from(id.0)));
    let place = place_told(&row.place);
    [
        label.map_or(place.clone(), |label| format!("{place} {}", told(label))),
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

/// `3,050 requests/s; 400 before (7.6 times); 750 without these origins`
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
    if !alert.incident.origins.is_empty() {
        told.push_str(&format!("; {} without these origins", unit::figure(load.unit, load.without_origins)));
    }
    told
}

fn sought(alert: &Alert<'_>) -> Option<String> {
    let sought = alert.incident.sought.iter();
    let told: Vec<String> = sought
        .map(|one| {
            let path = cut(&told(&one.path), LONGEST_PATH);
            format!("{} {path} ({})", told(&one.method), percent(one.share))
        })
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Two paths stand on a line.
const LONGEST_PATH: usize = 36;

fn service(alert: &Alert<'_>) -> String {
    let health = &alert.incident.health;
    match health.failure_ratio {
        Some(ratio) => format!(
            "{}: {} of the responses to {} are server errors",
            condition(health.state),
            percent(ratio),
            cohort(alert.incident)
        ),
        None if alert.incident.origins.is_empty() => {
            format!("{}: no response was seen", condition(health.state))
        }
        None => format!("{}: no response to {} was seen", condition(health.state), cohort(alert.incident)),
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
        share_before(alert.incident, foreign.baseline_share),
        since.time
    )
}

fn verdict(alert: &Alert<'_>) -> String {
    let verdict = alert.incident.verdict;
    let (_, kind) = label(verdict.label);
    match verdict.label {
        Label::InsufficientData => {
            format!("not judged yet ({kind}): whether this is an attack, a crowd or a fault is not known")
        }
    }
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
