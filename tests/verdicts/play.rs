//! Plays a scenario through the library: its frames into a pipeline, its alert records out, and what anybody can count
//! of it. No file is written. Comes in: frames and their truth. Goes out: incidents.

use std::sync::{Arc, Mutex};

use bongsu::alert::{self, Alert, Geo, Pseudonyms};
use bongsu::attribute::{Attributor, Country, Home, Labels, Role};
use bongsu::detect::baseline::Learning;
use bongsu::detect::calendar::{Calendar, Event, EventKind};
use bongsu::detect::rule::{RuleSet, Weights};
use bongsu::incident::Incident as Judged;
use bongsu::pipeline::{Listener, Pipeline, Quality, Scene, Setup};
use bongsu::service::{Service, Services};
use bongsu::synth::world::{Frames, Story};
use bongsu::time::{Timestamp, Zone};
use serde_json::Value;

use crate::said::Incident;
use crate::traffic::Counted;
use crate::truth::Truth;

/// A scenario that was played.
pub struct Played {
    pub truth: Truth,
    pub incidents: Vec<Incident>,
    pub counted: Counted,
    pub attributor: Arc<Attributor>,
}

/// Plays a story, judged with these weights. What it counts of its own truth is known at its end.
pub fn play(story: &Story, weights: &Weights) -> Played {
    let mut frames = story.frames();
    let truth = truth_of(&frames);
    let attributor = Arc::new(Attributor::embedded(labels(&truth)).unwrap());
    let mut scene = scene(&truth, &attributor);
    scene.rules.weights = weights.clone();
    let records = Arc::new(Mutex::new(Vec::new()));
    let listener = Heard { scene: scene.clone(), records: Arc::clone(&records) };
    let mut pipeline = Pipeline::new(setup(&truth, &scene), listener);
    let mut counted = Counted::of(&truth);
    for frame in frames.by_ref() {
        counted.see(&truth, frame.time, &frame.bytes);
        pipeline.push(&frame.as_frame());
    }
    pipeline.finish();
    let incidents = Incident::of(&records.lock().unwrap());
    Played { truth: truth_of(&frames), incidents, counted, attributor }
}

/// The truth as `bongsu synth --truth` writes it.
fn truth_of(frames: &Frames) -> Truth {
    Truth::read(&serde_json::to_string(&frames.truth()).unwrap())
}

/// Keeps the alert records.
struct Heard {
    scene: Scene,
    records: Arc<Mutex<Vec<Value>>>,
}

impl Listener for Heard {
    fn told(&mut self, incident: Judged, quality: &Quality) {
        let capture = alert::Quality {
            loss: quality.loss,
            one_way: incident.sides.is_one_way(),
            duplicates: quality.duplicates,
            shed: quality.shed,
        };
        let line = self.scene.around(capture, |around| Alert::new(&incident, around).eve());
        self.records.lock().unwrap().push(serde_json::from_str(&line).unwrap());
    }
}

fn setup(truth: &Truth, scene: &Scene) -> Setup {
    let countries = truth.home.iter().filter_map(|code| Country::parse(code)).collect();
    Setup {
        home: Home::new(countries),
        learning: Learning { calendar: calendar(truth), ..Learning::default() },
        ..Setup::of(scene.services.clone(), Arc::clone(&scene.attributor), scene.rules.clone())
    }
}

fn calendar(truth: &Truth) -> Calendar {
    let event = |entry: &serde_json::Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let time = |key: &str| Timestamp::parse_rfc3339(&text(key)).unwrap();
        let kind = if text("kind") == "maintenance" { EventKind::Maintenance } else { EventKind::Event };
        let services = entry["services"].as_array().cloned().unwrap_or_default();
        let services = services.iter().filter_map(|name| name.as_str().map(Into::into)).collect();
        Event { name: text("name"), kind, services, from: time("from"), to: time("to") }
    };
    Calendar(truth.calendar.iter().map(event).collect())
}

fn scene(truth: &Truth, attributor: &Arc<Attributor>) -> Scene {
    let services = truth.services.iter().map(|service| {
        let addresses: Vec<String> = service
            .addresses
            .iter()
            .map(|address| if address.is_ipv6() { format!("[{address}]") } else { address.to_string() })
            .collect();
        let ports: Vec<String> = service.ports.iter().map(u16::to_string).collect();
        Service::parse(&format!("{}={}:{}", service.name, addresses.join(","), ports.join(","))).unwrap()
    });
    Scene {
        sensor: "verdicts".to_owned(),
        zone: Zone::utc(),
        services: Services::new(services.collect()).unwrap(),
        rules: RuleSet::builtin(),
        mutes: Default::default(),
        attributor: Arc::clone(attributor),
        labels: truth.labels.iter().map(|label| label.name.clone()).collect(),
        geo: Geo::default(),
        pseudonyms: Pseudonyms::default(),
    }
}

fn labels(truth: &Truth) -> Labels {
    let list = truth.labels.iter().map(|label| bongsu::attribute::Label {
        name: label.name.clone(),
        role: role(&label.role),
        prefixes: label.prefixes.clone(),
    });
    Labels::new(list.collect()).unwrap()
}

fn role(word: &str) -> Role {
    match word {
        "crawler" => Role::Crawler,
        "cdn" => Role::Cdn,
        "nat" => Role::Nat,
        "partner" => Role::Partner,
        "monitor" => Role::Monitor,
        other => panic!("role '{other}'"),
    }
}
