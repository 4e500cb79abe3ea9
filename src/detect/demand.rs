//! What a rule asks of rows: which it needs, which it admits, and how large they must be at least. Comes in: a rule.
//! Goes out: what is plain to see of it before any traffic is. Judges nothing.

use ipnet::IpNet;

use super::reach::is_tried;
use super::rule::{Condition, Filter, GroupBy, Kind, Measure, Rule};
use super::sieve::Part;
use super::window::{Least, Needs};
use crate::aggregate::Lineage;
use crate::attribute::{Country, Home};
use crate::document::Word;
use crate::flow::Proof;

/// Whether the rule looks at the service's sums rather than at its rows.
pub(super) fn is_whole_service(rule: &Rule) -> bool {
    rule.group_by == GroupBy::Service && !is_about_clients(&rule.filter)
}

/// The rows that a rule's window must keep.
pub(super) fn row_needs(rule: &Rule) -> Needs {
    if rule.measure == Measure::Holding {
        return Needs::default();
    }
    let late = counts_late(rule);
    let distinct = |kind: Kind| counts(&rule.when, kind) && !(late && kind.is_of_clients());
    let by_clients = !is_whole_service(rule);
    let troubled = is_of_troubled(rule);
    let by_source = rule.group_by == GroupBy::Source && !is_tried(rule.measure);
    let sources = !troubled && (by_source || distinct(Kind::Sources));
    let prefixes =
        rule.group_by == GroupBy::Prefix || distinct(Kind::Prefixes) || looks_at_prefixes(&rule.filter);
    // The finest rows hold all that the coarser ones do.
    let finer = troubled || sources || prefixes;
    let networks =
        (rule.group_by == GroupBy::Asn || !rule.filter.asns.is_empty()) && !finer || distinct(Kind::Networks);
    Needs {
        countries: (by_clients && !finer && !networks) || distinct(Kind::Countries),
        networks,
        prefixes,
        sources,
        troubled,
        paths: distinct(Kind::Paths) || asks_path_share(&rule.when),
        makes: false,
        names: false,
        ends: false,
        failing: asks_path_share(&rule.when)
            || distinct(Kind::FailingPaths) && rule.measure != Measure::Strays,
        probed: distinct(Kind::Ports) || distinct(Kind::Hosts) || is_tried(rule.measure),
    }
}

/// Whether a look at the few sources in trouble suffices: others have nothing of what the rule counts.
fn is_of_troubled(rule: &Rule) -> bool {
    let measured = matches!(
        rule.measure,
        Measure::Denied
            | Measure::Missing
            | Measure::Unanswered
            | Measure::Held
            | Measure::Drips
            | Measure::BareHandshakes
            | Measure::Renegotiations
            | Measure::HastyRecords
            | Measure::Resets
    );
    let least = least_count(&rule.when, rule.timespan.secs() as f64);
    measured && least >= 1.0 && rule.group_by == GroupBy::Source && !counts(&rule.when, Kind::Sources)
}

/// The count below which the condition cannot hold, as far as that is plain to see: a bound that stands alone or among
/// those that must all hold.
fn least_count(condition: &Condition, seconds: f64) -> f64 {
    match condition {
        Condition::Rate(bound) => bound.gte.or(bound.gt).unwrap_or(0.0) * seconds,
        Condition::Count(bound) => bound.gte.or(bound.gt).unwrap_or(0.0),
        Condition::All(list) => list.iter().map(|one| least_count(one, seconds)).fold(0.0, f64::max),
        _ => 0.0,
    }
}

/// The share below which the condition cannot hold, as far as that is plain to see.
fn least_share(condition: &Condition) -> f64 {
    match condition {
        Condition::Share(bound) => bound.gte.or(bound.gt).unwrap_or(0.0),
        Condition::All(list) => list.iter().map(least_share).fold(0.0, f64::max),
        _ => 0.0,
    }
}

/// What the service must show before a part of it can be enough for the rule.
pub(super) fn least(rule: &Rule) -> Least {
    let count = least_count(&rule.when, rule.timespan.secs() as f64) as u64;
    let share = least_share(&rule.when);
    let sought = match rule.group_by {
        // What is only tried and what is held now have no such rows, and those in trouble are few.
        GroupBy::Source if row_needs(rule).sources && !is_tried(rule.measure) => Some(Part::Source),
        GroupBy::Prefix => Some(Part::Prefix),
        GroupBy::Asn => Some(Part::Network),
        GroupBy::Source | GroupBy::Country | GroupBy::Service => None,
    };
    Least { measure: rule.measure, count, share, sought }
}

/// Whether a row is among the traffic that the rule counts. Where no home is known nothing is foreign, and what is
/// asked of foreign clients is asked of every country.
pub(super) fn admits(filter: &Filter, home: &Home, lineage: &Lineage, prefix: Option<IpNet>) -> bool {
    let proven = lineage.proof == Proof::Proven;
    is_of_countries(filter, home, lineage.country)
        && filter.labelled.is_none_or(|want| want == lineage.label.is_some())
        && filter.proven.is_none_or(|want| want == proven)
        && among(&filter.asns, |asn| Some(*asn) == lineage.asn)
        && among(&filter.prefixes, |net| prefix.is_some_and(|prefix| net.contains(&prefix)))
}

/// Whether a country is among those whose traffic the rule counts.
pub(super) fn is_of_countries(filter: &Filter, home: &Home, country: Country) -> bool {
    let foreign =
        if home.is_unknown() { matches!(country, Country::Code(_)) } else { home.is_foreign(country) };
    filter.foreign.is_none_or(|want| want == foreign) && among(&filter.countries, |have| *have == country)
}

/// Whether one of the list fits, or there is no list.
pub(super) fn among<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

/// Whether the filter tells prefixes apart.
pub(super) fn looks_at_prefixes(filter: &Filter) -> bool {
    !filter.prefixes.is_empty() || filter.new.is_some()
}

/// Whether the filter asks for a part of the clients.
fn is_about_clients(filter: &Filter) -> bool {
    filter.foreign.is_some()
        || filter.labelled.is_some()
        || filter.proven.is_some()
        || filter.new.is_some()
        || !(filter.countries.is_empty() && filter.asns.is_empty() && filter.prefixes.is_empty())
}

/// Whether clients are counted only where all else may hold: rows of clients in every window would cost more than all
/// other rules together.
pub(super) fn counts_late(rule: &Rule) -> bool {
    rule.group_by == GroupBy::Service
        && rule.measure != Measure::Holding
        && !is_tried(rule.measure)
        && counted(&rule.when).iter().any(|kind| kind.is_of_clients())
}

/// What the condition looks at how many different ones there are of.
pub(super) fn counted(condition: &Condition) -> Vec<Kind> {
    Kind::WORDS.iter().map(|(_, kind)| *kind).filter(|kind| counts(condition, *kind)).collect()
}

/// Whether the condition looks at which part of the requests for failing paths fails.
pub(super) fn asks_path_share(condition: &Condition) -> bool {
    condition.any(&|leaf| matches!(leaf, Condition::PathShare(_)))
}

/// Whether the condition looks at how many different ones of `kind` there are.
pub(super) fn counts(condition: &Condition, kind: Kind) -> bool {
    condition.any(&|leaf| matches!(leaf, Condition::Distinct(have, _) if *have == kind))
}
