//! From an incident in its surroundings to the record's fields: what is rounded, what is made safe to show, what stands only
//! where it says something.

use std::net::IpAddr;

use super::{
    ButForField, ContrastField, Eve, ForeignField, HealthField, IncidentField, LoadField, NeighbourField,
    OriginField, QualityField, RuleField, ServiceField, Signature, SoughtField, VerdictField, Word,
};
use crate::alert::evidence;
use crate::alert::message::place_told;
use crate::alert::number::{rate, share};
use crate::alert::target::{Target, address_told};
use crate::alert::text::told;
use crate::alert::{Alert, EventType, stats, unit, verdict};
use crate::attribute::LabelId;
use crate::detect::rule::Level;
use crate::detect::switched_off;
use crate::flow::ServerEnd;
use crate::incident::{
    Aim, Attribute, ButFor, Condition, Contrast, Incident, Neighbour, Origin, Place, RuleHit, Sought, State,
    Witnesses,
};
use crate::time::Zone;

/// The record of an alert.
pub(super) fn eve(alert: &Alert<'_>) -> Eve {
    let (incident, around) = (&*alert.incident, alert.around);
    let target = alert.target();
    Eve {
        timestamp: incident.decided.rfc3339(around.zone),
        event_type: EventType::Alert,
        sensor: told(around.sensor),
        service: service(&target, incident.end),
        src_ip: only_source(&incident.origins),
        dest_ip: incident.end.map(|end| end.address.ip()).or_else(|| target.first_address()),
        dest_port: dest_port(&target, incident.end),
        proto: protocol(incident.end),
        alert: signature(incident),
        message: alert.message(),
        incident: incident_field(alert),
        verdict: verdict(alert),
        foreign: incident.foreign.map(|foreign| ForeignField {
            concentrated: foreign.concentrated,
            share: share(foreign.share),
            baseline_share: share(foreign.baseline_share),
        }),
        origins: alert.origins().map(|(row, holder)| origin(alert, row, holder)).collect(),
        neighbours: incident.neighbours.iter().map(|one| neighbour(alert, one)).collect(),
        sought: sought(incident),
        load: load(incident),
        but_for: but_for(incident),
        contrast: incident.contrast.iter().map(contrast).collect(),
        health: health(incident, around.zone),
        rules: incident.rules.iter().map(rule).collect(),
        capture: quality(alert),
        geo: around.geo.clone(),
    }
}

/// Lists stand only where there are several.
fn service(target: &Target, end: Option<ServerEnd>) -> ServiceField {
    let address = end.map(|end| end.address.ip().to_string());
    // Beside traffic goes to ports that are not the service's: its own first one stays its port.
    let port = end.map(|end| end.address.port()).filter(|port| target.ports.contains(port));
    let addresses = target.addresses_told();
    ServiceField {
        name: target.name.clone(),
        address: address.or_else(|| target.addresses.first().map(address_told)),
        port: port.or_else(|| target.ports.first().copied()),
        addresses: if addresses.len() > 1 { addresses } else { Vec::new() },
        ports: if target.ports.len() > 1 { target.ports.clone() } else { Vec::new() },
    }
}

/// The protocols of the [registry](https://www.iana.org/assignments/protocol-numbers) that have ports here.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

/// The port that most went to; none for protocols without.
fn dest_port(target: &Target, end: Option<ServerEnd>) -> Option<u16> {
    match end {
        Some(end) => WITH_PORTS.contains(&end.protocol).then_some(end.address.port()),
        None => target.ports.first().copied(),
    }
}

/// Suricata's names; `IP` for fragments, whose first part alone says more, and where no packet said it.
fn protocol(end: Option<ServerEnd>) -> String {
    end.map_or_else(|| "IP".to_owned(), |end| protocol_told(end.protocol))
}

/// A protocol number by name.
fn protocol_told(number: u8) -> String {
    match number {
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        1 => "ICMP".to_owned(),
        58 => "IPv6-ICMP".to_owned(),
        132 => "SCTP".to_owned(),
        255 => "IP".to_owned(),
        number => number.to_string(),
    }
}

/// The address that alone makes up the origin.
fn only_source(origins: &[Origin]) -> Option<IpAddr> {
    match origins {
        [Origin { place: Place::Source(address), .. }] => Some(*address),
        _ => None,
    }
}

fn signature(incident: &Incident) -> Signature {
    Signature {
        action: "allowed".into(),
        gid: 1,
        signature_id: incident.opening.sid,
        rev: incident.opening.rev,
        severity: match incident.severity {
            Level::Critical => 1,
            Level::High => 2,
            Level::Medium => 3,
            Level::Low => 4,
        },
        signature: told(&incident.opening.title),
        category: told(&incident.opening.category),
    }
}

fn incident_field(alert: &Alert<'_>) -> IncidentField {
    let (incident, zone) = (&*alert.incident, alert.around.zone);
    IncidentField {
        id: alert.id(),
        state: match incident.state {
            State::Open => "open".into(),
            State::Update => "update".into(),
            State::Close => "close".into(),
        },
        seq: incident.seq,
        severity: incident.severity.word().into(),
        started: incident.started.rfc3339(zone),
        detected: incident.detected.rfc3339(zone),
        ended: incident.ended.map(|ended| ended.rfc3339(zone)),
        interrupted: incident.interrupted,
    }
}

fn verdict(alert: &Alert<'_>) -> VerdictField {
    let verdict = &alert.incident.verdict;
    // What the rules saw is evidence too: they come after what was weighed.
    let mut reasons = verdict::facts(&verdict.reasons);
    reasons.extend(evidence::facts(alert));
    VerdictField {
        label: verdict::label(verdict.cause).into(),
        kind: verdict::kind(verdict.cause).map(Word::from),
        confidence: share(verdict.confidence),
        causes: verdict::causes(verdict),
        r#for: reasons,
        against: verdict::facts(&verdict.doubts),
        would_change: verdict::flips(verdict),
        not_visible: verdict::not_visible(alert).into_iter().map(Word::from).collect(),
    }
}

fn origin(alert: &Alert<'_>, row: &Origin, holder: Option<&str>) -> OriginField {
    OriginField {
        kind: match row.place {
            Place::Source(_) => "source".into(),
            Place::Prefix(_) => "prefix".into(),
            Place::Network(_) => "asn".into(),
            Place::Country(_) => "country".into(),
        },
        value: place_told(&row.place),
        country: row.country.to_string().into(),
        asn: row.asn.map(|asn| asn.0),
        as_org: holder.map(str::to_owned),
        foreign: row.foreign,
        share: share(row.share),
        traffic_share: share(row.traffic_share),
        baseline_share: share(row.baseline_share),
        rate: rate(unit::scaled(alert.incident.load.unit, row.rate)),
        sources: row.sources,
        proven: row.proven,
        label: row.label.map(|id| label_told(alert, id)),
    }
}

fn neighbour(alert: &Alert<'_>, one: &Neighbour) -> NeighbourField {
    NeighbourField {
        label: label_told(alert, one.label),
        traffic_share: share(one.traffic_share),
        rate: rate(unit::scaled(alert.incident.load.unit, one.rate)),
    }
}

/// The name of a label, safe to show.
pub(in crate::alert) fn label_told(alert: &Alert<'_>, id: LabelId) -> String {
    alert.around.labels.get(usize::from(id.0)).map(|name| told(name)).unwrap_or_default()
}

/// What was asked for.
pub(in crate::alert) fn sought(incident: &Incident) -> Vec<SoughtField> {
    let field = |sought: &Sought| {
        let field = SoughtField {
            share: share(sought.share),
            baseline_share: sought.baseline_share.map(share),
            lift: sought.lift().map(rate),
            ..SoughtField::default()
        };
        match &sought.what {
            Aim::Path { path, method } => {
                SoughtField { method: Some(told(method)), path: Some(told(path)), ..field }
            }
            Aim::ServerName(name) => SoughtField { sni: Some(told(name)), ..field },
            Aim::Port { port, protocol } => SoughtField {
                proto: Some(protocol_told(*protocol).into()),
                port: WITH_PORTS.contains(protocol).then_some(*port),
                ..field
            },
        }
    };
    incident.sought.iter().map(field).collect()
}

fn load(incident: &Incident) -> LoadField {
    let load = &incident.load;
    let scaled = |number: f64| rate(unit::scaled(load.unit, number));
    LoadField {
        rate: scaled(load.rate),
        baseline: load.baseline.map(scaled),
        knee: load.knee.map(scaled),
        unit: unit::name(load.unit).into(),
        total: (incident.state == State::Close).then(|| unit::scaled(load.unit, load.total as f64) as u64),
    }
}

/// What would be left without the origins, and without each of several causes.
fn but_for(incident: &Incident) -> Vec<ButForField> {
    let told = |but_for: ButFor| ButForField {
        label: but_for.cause.map(verdict::label).map(Word::from),
        kind: but_for.cause.and_then(verdict::kind).map(Word::from),
        origins: but_for.origins,
        rate: rate(unit::scaled(incident.load.unit, but_for.rate)),
        within_knee: but_for.within_knee,
    };
    incident.but_for().into_iter().map(told).collect()
}

fn contrast(row: &Contrast) -> ContrastField {
    ContrastField {
        attribute: attribute(row.attribute).into(),
        value: told(&row.value),
        share: share(row.share),
        baseline_share: share(row.baseline_share),
        lift: rate(row.lift),
        likelihood: share(row.likelihood),
    }
}

/// What a row of the contrast is of.
pub(in crate::alert) const fn attribute(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Country => "country",
        Attribute::Network => "asn",
        Attribute::UserAgent => "user_agent",
        Attribute::Ja4 => "ja4",
        Attribute::ServerName => "sni",
        Attribute::Method => "method",
        Attribute::Path => "path",
        Attribute::Port => "port",
    }
}

fn health(incident: &Incident, zone: &Zone) -> HealthField {
    HealthField {
        state: condition(incident.health.state).into(),
        failure_ratio: incident.health.failure_ratio.map(share),
        cohort: cohort(incident).into(),
        since: incident.health.since.map(|since| since.rfc3339(zone)),
    }
}

/// A condition's name.
pub(in crate::alert) fn condition(state: Condition) -> &'static str {
    match state {
        Condition::Unknown => "unknown",
        Condition::Ok => "ok",
        Condition::Degraded => "degraded",
        Condition::Down => "down",
    }
}

/// Whose responses say how the service fares.
pub(in crate::alert) fn cohort(incident: &Incident) -> &'static str {
    match incident.health.witnesses {
        Witnesses::Known => "clients from prefixes seen before, origins apart",
        Witnesses::Home => "clients at home, origins apart",
        Witnesses::Unsuspected => "clients outside the origins",
        Witnesses::Everybody => "all clients",
    }
}

fn rule(hit: &RuleHit) -> RuleField {
    let (observed, limit) = match &hit.limit {
        Some(limit) => (
            evidence::rounded(&limit.metric, limit.observed),
            // The limit is what the rule says, to the last digit.
            Some(limit.limit).filter(|limit| limit.is_finite()),
        ),
        None => (rate(hit.observed.rate), None),
    };
    RuleField { id: told(&hit.id), rev: hit.rev, observed, limit }
}

fn quality(alert: &Alert<'_>) -> QualityField {
    let (capture, sides) = (alert.around.capture, alert.incident.sides);
    QualityField {
        loss: share(capture.loss),
        one_way: capture.one_way,
        duplicates: share(capture.duplicates),
        shed: capture.shed,
        seen: stats::seen(sides).map(Word::from),
        rules_off: switched_off(alert.around.rules, sides).into_iter().map(told).collect(),
    }
}
