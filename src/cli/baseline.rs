//! `bongsu baseline`: shows, compares and forgets what was learned. Comes in: files of baselines. Goes out: tables, or JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::args::{BaselineArgs, BaselineCommand};
use super::replay::time;
use super::{Failure, output};
use crate::detect::baseline::{Baseline, Baselines, Cohort, Signal, Span, Stage};
use crate::store;
use crate::time::{Timestamp, Zone};

/// Does what is asked.
pub fn run(args: &BaselineArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        BaselineCommand::Show { file, service, json } => {
            let shown = only(read(file)?, service.as_deref(), file)?;
            output::print(&if *json { as_json(&portraits(&shown)) } else { portraits_text(&shown) })
        }
        BaselineCommand::Diff { before, after, json } => {
            let moved = Moved::between(&portraits(&read(before)?), &portraits(&read(after)?));
            output::print(&if *json { as_json(&moved) } else { moved_text(&moved) })
        }
        BaselineCommand::Forget { file, service, from, to } => {
            let mut baselines = read(file)?;
            let (from, to) = (time("--from", from.as_deref())?, time("--to", to.as_deref())?);
            let is_there = match (from, to) {
                (None, None) => baselines.forget(service),
                (from, to) => {
                    let begin = from.map_or(-MOST, Timestamp::secs);
                    baselines.forget_between(service, begin, to.map_or(MOST, Timestamp::secs))
                }
            };
            if !is_there {
                return Err(unknown(service, &baselines, file));
            }
            store::write(file, &baselines).map_err(Failure::running)?;
            output::print(&format!("what was learned of {service} is forgotten\n"))
        }
    }
}

/// Seconds from the epoch that no capture time reaches.
const MOST: i64 = 1 << 38;

/// A line for each service: what `learn` tells at its end.
pub fn table(baselines: &Baselines, zone: &Zone) -> String {
    let head =
        ["service", "stage", "learned", "from", "until", "requests/s", "phi", "knee", "foreign", "known"];
    let rows = baselines.iter().map(|(name, baseline)| {
        let portrait = Portrait::of(baseline);
        let time = |second: Option<i64>| {
            second.map_or_else(dash, |second| {
                Timestamp::from_secs(second).rfc3339(zone).chars().take(16).collect()
            })
        };
        let main = portrait.main();
        [
            name.to_owned(),
            portrait.stage.name().to_owned(),
            portrait.span.map_or_else(dash, |span| long(span.seconds)),
            time(portrait.span.map(|span| span.from)),
            time(portrait.span.map(|span| span.until)),
            main.map_or_else(dash, |level| number(level.now)),
            main.map_or_else(dash, |level| format!("{:.3}", level.phi)),
            main.and_then(|level| level.knee).map_or_else(dash, number),
            portrait.foreign_share.map_or_else(dash, |share| format!("{:.1} %", share * 100.0)),
            portrait.known_prefixes.to_string(),
        ]
    });
    columns(std::iter::once(head.map(str::to_owned)).chain(rows).collect::<Vec<_>>().as_slice())
}

/// What was learned of a service, in numbers for people.
#[derive(Debug, Serialize)]
struct Portrait {
    stage: Stage,
    span: Option<Span>,
    /// By the name of the rate.
    levels: BTreeMap<&'static str, Level>,
    foreign_share: Option<f64>,
    error_ratio: Option<f64>,
    unanswered_ratio: Option<f64>,
    first_byte_us: Option<f64>,
    known_prefixes: usize,
    known_networks: usize,
    /// Known prefixes by country; `-` where they have none.
    known_by_country: BTreeMap<String, usize>,
    /// Prefixes that came on two days or more.
    known_on_days: usize,
}

/// The level of a rate, per second.
#[derive(Debug, Serialize)]
struct Level {
    now: f64,
    foreign: Option<f64>,
    phi: f64,
    knee: Option<f64>,
    /// By hour of the day in UTC, the median of the days.
    hours: BTreeMap<u8, f64>,
}

impl Portrait {
    fn of(baseline: &Baseline) -> Self {
        let span = baseline.span();
        let now = span.map_or(0, |span| span.until);
        let level = |signal: Signal| {
            let expected = baseline.expected(signal, Cohort::Whole, now)?;
            let level = Level {
                now: baseline.level(signal, Cohort::Whole, now)? / 10.0,
                foreign: baseline.level(signal, Cohort::Foreign, now).map(|level| level / 10.0),
                phi: expected.phi,
                knee: baseline.knee(signal),
                hours: hours_of_day(&baseline.hours(signal, Cohort::Whole)),
            };
            Some((signal.name(), level))
        };
        let mut known_by_country = BTreeMap::new();
        let (mut known_prefixes, mut known_on_days) = (0, 0);
        for (_, row) in baseline.acquaintances() {
            *known_by_country.entry(country(row.country)).or_default() += 1;
            known_prefixes += 1;
            known_on_days += usize::from(row.distinct_days() >= 2);
        }
        Self {
            stage: baseline.stage(now),
            span,
            levels: Signal::RATES.into_iter().filter_map(level).collect(),
            foreign_share: baseline.level(Signal::ForeignShare, Cohort::Whole, now),
            error_ratio: baseline.level(Signal::ErrorRatio, Cohort::Whole, now),
            unanswered_ratio: baseline.level(Signal::UnansweredRatio, Cohort::Whole, now),
            first_byte_us: baseline.level(Signal::FirstByteTime, Cohort::Whole, now),
            known_prefixes,
            known_networks: baseline.networks(),
            known_by_country,
            known_on_days,
        }
    }

    /// The rate that says most of it: requests, or accesses where they are not seen.
    fn main(&self) -> Option<&Level> {
        let is_seen = |level: &&Level| level.now > 0.0;
        self.levels.get("requests").filter(is_seen).or_else(|| self.levels.get("accesses"))
    }
}

/// What moved between two files.
#[derive(Debug, Serialize)]
struct Moved {
    /// Services of the earlier file alone.
    gone: Vec<String>,
    /// Services of the later file alone.
    new: Vec<String>,
    /// What is another number now.
    moved: Vec<Move>,
}

#[derive(Debug, Serialize)]
struct Move {
    service: String,
    what: String,
    before: Option<f64>,
    after: Option<f64>,
}

/// Moves of less than this part are no news.
const NEWS: f64 = 0.05;

impl Moved {
    fn between(before: &BTreeMap<String, Portrait>, after: &BTreeMap<String, Portrait>) -> Self {
        let missing = |from: &BTreeMap<String, Portrait>, other: &BTreeMap<String, Portrait>| {
            from.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        let both = before.iter().filter_map(|(name, one)| Some((name, one, after.get(name)?)));
        let moved = both.flat_map(|(name, one, other)| moves(name, one, other)).collect();
        Self { gone: missing(before, after), new: missing(after, before), moved }
    }
}

fn moves(service: &str, before: &Portrait, after: &Portrait) -> Vec<Move> {
    let (before, after) = (numbers(before), numbers(after));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let compared = names.into_iter().map(|what| (what, before.get(what).copied(), after.get(what).copied()));
    let is_news = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() > NEWS * one.abs().max(other.abs()),
        _ => true,
    };
    compared
        .filter(|(_, one, other)| is_news(*one, *other))
        .map(|(what, before, after)| Move { service: service.to_owned(), what: what.clone(), before, after })
        .collect()
}

fn numbers(portrait: &Portrait) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::from([
        ("known prefixes".to_owned(), portrait.known_prefixes as f64),
        ("learned seconds".to_owned(), portrait.span.map_or(0.0, |span| span.seconds as f64)),
    ]);
    let ratios = [
        ("foreign share", portrait.foreign_share),
        ("error ratio", portrait.error_ratio),
        ("unanswered ratio", portrait.unanswered_ratio),
        ("first byte us", portrait.first_byte_us),
    ];
    numbers.extend(ratios.into_iter().filter_map(|(name, ratio)| Some((name.to_owned(), ratio?))));
    for (name, level) in &portrait.levels {
        numbers.insert(format!("{name}/s"), level.now);
        numbers.insert(format!("{name} phi"), level.phi);
        numbers.extend(level.knee.map(|knee| (format!("{name} knee"), knee)));
        numbers.extend(level.hours.iter().map(|(hour, value)| (format!("{name}/s at {hour:02}:00"), *value)));
    }
    numbers
}

fn read(file: &Path) -> Result<Baselines, Failure> {
    store::read(file).map_err(Failure::usage)
}

fn only(mut baselines: Baselines, service: Option<&str>, file: &Path) -> Result<Baselines, Failure> {
    let Some(service) = service else { return Ok(baselines) };
    if baselines.get(service).is_none() {
        return Err(unknown(service, &baselines, file));
    }
    let others: Vec<String> =
        baselines.iter().map(|(name, _)| name.to_owned()).filter(|name| name != service).collect();
    others.iter().for_each(|name| {
        baselines.forget(name);
    });
    Ok(baselines)
}

fn unknown(service: &str, baselines: &Baselines, file: &Path) -> Failure {
    let names: Vec<&str> = baselines.iter().map(|(name, _)| name).collect();
    let known = if names.is_empty() { "no service".to_owned() } else { names.join(", ") };
    Failure::usage(format!("--service '{service}': {} has learned {known}", file.display()))
}

fn portraits(baselines: &Baselines) -> BTreeMap<String, Portrait> {
    baselines.iter().map(|(name, baseline)| (name.to_owned(), Portrait::of(baseline))).collect()
}

fn portraits_text(baselines: &Baselines) -> String {
    let mut text = table(baselines, &Zone::utc());
    for (name, portrait) in portraits(baselines) {
        // Writing to a text does not fail.
        let _ = writeln!(text, "\n{name}");
        let head = ["", "now/s", "foreign/s", "phi", "knee/s"].map(str::to_owned);
        let rows = portrait.levels.iter().map(|(name, level)| {
            [
                format!("  {name}"),
                number(level.now),
                level.foreign.map_or_else(dash, number),
                format!("{:.3}", level.phi),
                level.knee.map_or_else(dash, number),
            ]
        });
        text += &columns(std::iter::once(head).chain(rows).collect::<Vec<_>>().as_slice());
        let hours = portrait.main().map(|level| &level.hours).filter(|hours| !hours.is_empty());
        if let Some(hours) = hours {
            let each = hours.iter().map(|(hour, value)| format!("{hour:02}h {}", number(*value)));
            let _ = writeln!(text, "  by hour (UTC): {}", each.collect::<Vec<_>>().join(", "));
        }
        let ratio = |ratio: Option<f64>| ratio.map_or_else(dash, |part| format!("{:.2} %", part * 100.0));
        let _ = writeln!(
            text,
            "  foreign {}, server errors {}, unanswered {}, first byte {}",
            ratio(portrait.foreign_share),
            ratio(portrait.error_ratio),
            ratio(portrait.unanswered_ratio),
            portrait.first_byte_us.map_or_else(dash, |us| format!("{} ms", number(us / 1_000.0)))
        );
        let mut countries: Vec<(&String, &usize)> = portrait.known_by_country.iter().collect();
        countries.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        let each = countries.iter().take(SHOWN).map(|(name, count)| format!("{name} {count}"));
        let _ = writeln!(
            text,
            "  known: {} prefixes, {} on two days or more, of {} networks: {}",
            portrait.known_prefixes,
            portrait.known_on_days,
            portrait.known_networks,
            each.collect::<Vec<_>>().join(", ")
        );
    }
    text
}

/// Countries in a line.
const SHOWN: usize = 12;

fn moved_text(moved: &Moved) -> String {
    let mut text = String::new();
    for (names, what) in [(&moved.gone, "only in the first"), (&moved.new, "only in the second")] {
        text.extend(names.iter().map(|name| format!("{name}: {what}\n")));
    }
    let head = ["service", "what", "before", "after"].map(str::to_owned);
    let rows: Vec<[String; 4]> = moved
        .moved
        .iter()
        .map(|row| {
            let value = |value: Option<f64>| value.map_or_else(dash, number);
            [row.service.clone(), row.what.clone(), value(row.before), value(row.after)]
        })
        .collect();
    if rows.is_empty() && text.is_empty() {
        return format!("nothing moved by more than {:.0} %\n", NEWS * 100.0);
    }
    if !rows.is_empty() {
        text += &columns(std::iter::once(head).chain(rows).collect::<Vec<_>>().as_slice());
    }
    text
}

fn as_json(what: &impl Serialize) -> String {
    serde_json::to_string_pretty(what).map_or_else(|error| error.to_string(), |text| text + "\n")
}

fn hours_of_day(hours: &[(u8, f64)]) -> BTreeMap<u8, f64> {
    let mut by_hour: BTreeMap<u8, Vec<f64>> = BTreeMap::new();
    for (slot, value) in hours {
        by_hour.entry(slot % 24).or_default().push(value / 10.0);
    }
    let middle = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    by_hour.into_iter().map(|(hour, values)| (hour, middle(values))).collect()
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn dash() -> String {
    "-".to_owned()
}

fn country(letters: [u8; 2]) -> String {
    if letters == [0; 2] { dash() } else { letters.map(char::from).iter().collect() }
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn long(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{:.1} h", seconds as f64 / 3_600.0),
        _ => format!("{:.1} d", seconds as f64 / 86_400.0),
    }
}
