//! Every shape of every kind of alert, field by field against lists that were written from the published schemas.

#[path = "../../../../tests/support/cef.rs"]
mod cef_reader;

mod cef;
mod ecs;
mod hostile;
mod list;
mod ocsf;

use serde_json::Value;

use super::*;
use crate::alert::example::{self, Scene};
use crate::alert::{Alert, Configuration, Heartbeat, Stats};
use crate::attribute::{Asn, Country, LabelId};
use crate::detect::rule::Level;
use crate::flow::ServerEnd;
use crate::incident::{Attack, BruteForce, Cause, Glitch, Incident, Origin, Place, Scan, State, Unknown};
use crate::time::{Timestamp, Zone};

/// Every label with every kind.
const CAUSES: [Cause; 25] = [
    Cause::Attack(Attack::HttpFlood),
    Cause::Attack(Attack::ConnectionFlood),
    Cause::Attack(Attack::SynFlood),
    Cause::Attack(Attack::UdpFlood),
    Cause::Attack(Attack::Reflection),
    Cause::Attack(Attack::Slow),
    Cause::Attack(Attack::H2Reset),
    Cause::FlashCrowd,
    Cause::Glitch(Glitch::Server),
    Cause::Glitch(Glitch::Backend),
    Cause::Glitch(Glitch::Network),
    Cause::Scan(Scan::Path),
    Cause::Scan(Scan::Port),
    Cause::Scan(Scan::Host),
    Cause::Scan(Scan::Distributed),
    Cause::BruteForce(BruteForce::Single),
    Cause::BruteForce(BruteForce::Coordinated),
    Cause::HeavyClient,
    Cause::Mixed,
    Cause::Unknown(Unknown::Sensor),
    Cause::Unknown(Unknown::InsufficientData),
    Cause::Unknown(Unknown::LeaningAttack),
    Cause::Unknown(Unknown::LeaningFlashCrowd),
    Cause::Unknown(Unknown::LeaningGlitch),
    Cause::Unjudged,
];

const ENDS: [(&str, u8); 6] = [
    ("211.34.105.10:443", 6),
    ("[2001:220::10]:443", 6),
    ("211.34.105.10:1900", 17),
    ("[2001:220::10]:0", 58),
    ("211.34.105.10:0", 47),
    ("211.34.105.10:0", 255),
];

/// A row of origins for each kind of place, both versions of IP.
fn rows() -> Vec<Vec<Origin>> {
    let one = |place| vec![Origin { place, ..example::prefix("198.51.100.0/24", 0.9, 100.0, 3) }];
    let mut labelled = one(Place::Source("2001:db8::7".parse().unwrap()));
    labelled[0].label = Some(LabelId(0));
    let mut unknown = one(Place::Source("10.0.0.7".parse().unwrap()));
    (unknown[0].country, unknown[0].asn) = (Country::Private, None);
    vec![
        Vec::new(),
        example::incident().origins,
        one(Place::Source("198.51.100.7".parse().unwrap())),
        one(Place::Network(Asn(64_500))),
        one(Place::Country(example::XX)),
        one(Place::Prefix("2001:db8::/48".parse().unwrap())),
        labelled,
        unknown,
    ]
}

/// Alerts in which every state, label, kind, severity, end and kind of origin occurs.
fn incidents() -> Vec<Incident> {
    let states = [(State::Open, None), (State::Update, None), (State::Close, Some(example::ONSET + 400))];
    let levels = [Level::Low, Level::Medium, Level::High, Level::Critical];
    let mut all = vec![example::incident(), example::forged()];
    for (nth, cause) in CAUSES.into_iter().enumerate() {
        for (step, (state, ended)) in states.into_iter().enumerate() {
            for (place, origins) in rows().into_iter().enumerate() {
                let mut incident = example::incident();
                let (address, protocol) = ENDS[(nth + place) % ENDS.len()];
                incident.end = Some(ServerEnd { address: address.parse().unwrap(), protocol });
                incident.verdict.cause = cause;
                incident.verdict.confidence = nth as f64 / CAUSES.len() as f64;
                (incident.state, incident.seq) = (state, step as u32);
                incident.ended = ended.map(Timestamp::from_secs);
                incident.severity = levels[(nth + step) % levels.len()];
                incident.origins = origins;
                all.push(incident);
            }
        }
    }
    all
}

thread_local! {
    /// Reading the rules takes longer than telling an alert.
    static SCENE: Scene = Scene::new();
}

fn record(incident: &Incident) -> Record {
    SCENE.with(|scene| scene.tell(incident, |alert: Alert<'_>| alert.record()))
}

/// The records of a sensor that are no alerts, before and after the first packet.
fn of_the_sensor() -> Vec<Record> {
    let scene = Scene::new();
    let times = [None, Some(Timestamp::from_secs(example::ONSET))];
    let told = |time| {
        let mut stats = Stats::default();
        stats.capture.last = time;
        let configuration = Configuration {
            time,
            home: &[],
            services: &[],
            rules: 7,
            geo: &scene.geo,
            sketch_seed: 9,
            changes: &[],
        };
        let beat = Heartbeat { time, read: 5, ..Heartbeat::default() };
        let zone = Zone::utc();
        [
            stats.record("mirror-1", &zone),
            configuration.record("mirror-1", &zone),
            beat.record("mirror-1", &zone),
        ]
    };
    times.into_iter().flat_map(told).collect()
}

fn json_in(record: &Record, format: Format) -> Value {
    let line = record.shaped(format).line;
    assert!(!line.contains('\n'));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn an_alert_is_read_as_it_was_written() {
    for incident in incidents() {
        let line = record(&incident).line;
        assert_eq!(Eve::read(&line).unwrap().line(), *line);
    }
}

#[test]
fn a_shape_changes_the_line_alone() {
    let record = record(&example::incident());
    assert_eq!(record.shaped(Format::Eve), record);
    for format in [Format::Ecs, Format::Ocsf, Format::Cef] {
        let shaped = record.shaped(format);
        assert_ne!(shaped.line, record.line);
        assert_eq!(Record { line: record.line.clone(), ..shaped }, record);
        assert_eq!(record.shaped(format).line, record.shaped(format).line);
    }
}

#[test]
fn flows_are_told_in_eve_alone() {
    let formats = [Format::Eve, Format::Ecs, Format::Ocsf, Format::Cef];
    for kind in [EventType::Flow, EventType::Http, EventType::Tls] {
        assert_eq!(formats.map(|format| format.tells(kind)), [true, false, false, false]);
    }
    for kind in [EventType::Alert, EventType::Stats, EventType::Heartbeat, EventType::Config] {
        assert!(formats.into_iter().all(|format| format.tells(kind)));
    }
}
