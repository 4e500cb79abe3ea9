//! The whole way: a capture in, alerts and records out, each a line of JSON, and counts that balance.

use std::sync::{Arc, LazyLock};

use bongsu::alert::{self, Alert, FlowWriter, Geo, Page, Paint, Pseudonyms};
use bongsu::attribute::{Attributor, Labels};
use bongsu::detect::rule::RuleSet;
use bongsu::document::Source;
use bongsu::flow::record::{Record, Scribe};
use bongsu::flow::{RecordKinds, TrustedProxies};
use bongsu::incident::Incident;
use bongsu::pipeline::{Listener, Pipeline, Quality, Scene, Setup};
use bongsu::service::Services;
use bongsu::time::Zone;

use super::capture::{Walked, pcap, pcapng, traffic, walk, web};

/// Follows a capture with one worker; one in sixteen with three as well, which must tell the same lines.
pub fn run(bytes: &[u8]) {
    let lines = told(bytes, 1);
    if bytes.len().is_multiple_of(16) {
        assert!(told(bytes, 3) == lines, "three workers tell something else");
    }
}

/// The lines that so many workers tell of a capture. Where its length is odd, services are found.
pub fn told(bytes: &[u8], workers: usize) -> Vec<String> {
    let named = if bytes.len().is_multiple_of(2) { vec![web()] } else { Vec::new() };
    let services = Services::new(named).unwrap_or_else(|error| panic!("{error}"));
    let setup = Setup {
        workers,
        wanted: RecordKinds { flows: true, requests: true, hellos: true, query: true },
        proxies: trusted(),
        ..Setup::of(services.clone(), Arc::clone(&BENCH.attributor), BENCH.rules.clone())
    };
    let mut pipeline = Pipeline::new(setup, Teller { services, lines: Vec::new() });
    let mut frames = 0;
    walk(bytes, |found| match found {
        Walked::Frame(frame) => {
            frames += 1;
            pipeline.push(&frame);
        }
        Walked::Beat(beat) => pipeline.beat(beat),
        Walked::Damage(_) => {}
    });
    let outcome = pipeline.finish();
    assert!(
        outcome.packets.is_balanced() && outcome.packets.read == frames,
        "{:?} of {frames}",
        outcome.packets
    );
    outcome.listener.lines
}

/// What all runs share.
struct Bench {
    attributor: Arc<Attributor>,
    rules: RuleSet,
    zone: Zone,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let attributor = Attributor::embedded(Labels::default()).unwrap_or_else(|error| panic!("{error}"));
    let (rules, problems) = RuleSet::read(&[Source::new("touchy.yaml", TOUCHY)]);
    assert!(problems.is_empty(), "{problems}");
    Bench { attributor: Arc::new(attributor), rules, zone: Zone::utc() }
});

/// Rules that hold for next to nothing, so that a few packets open incidents.
const TOUCHY: &str = include_str!("touchy.yaml");

/// Everybody is believed who says for whom it speaks.
pub fn trusted() -> TrustedProxies {
    TrustedProxies::new(&["0.0.0.0/0", "::/0"].map(|all| all.parse().unwrap_or_default()))
}

/// Writes what it is told as lines.
struct Teller {
    services: Services,
    lines: Vec<String>,
}

impl Listener for Teller {
    fn told(&mut self, incident: Incident, quality: &Quality) {
        let capture = alert::Quality {
            loss: quality.loss,
            one_way: incident.sides.is_one_way(),
            duplicates: quality.duplicates,
            shed: quality.shed,
        };
        let scene = Scene {
            sensor: "fuzz".to_owned(),
            zone: BENCH.zone.clone(),
            services: self.services.clone(),
            rules: BENCH.rules.clone(),
            mutes: Default::default(),
            attributor: Arc::clone(&BENCH.attributor),
            labels: Vec::new(),
            geo: Geo::default(),
            pseudonyms: Pseudonyms::default(),
        };
        let (line, story) = scene.around(capture, |around| {
            let alert = Alert::new(&incident, around);
            (alert.record().line, alert.story(1, Paint::Plain))
        });
        assert!(!story.is_empty());
        self.lines.push(checked(&line));
    }

    fn recorded(&mut self, pages: Vec<Page>) {
        self.lines.extend(pages.iter().flat_map(Page::records).map(|record| checked(&record.line)));
    }

    fn writer(&self) -> FlowWriter {
        FlowWriter::new("fuzz", &BENCH.zone, &Pseudonyms::default())
    }
}

/// Records of flows as lines.
pub struct Written {
    writer: FlowWriter,
    /// The lines, each checked.
    pub lines: Vec<String>,
}

impl Default for Written {
    fn default() -> Self {
        Self { writer: FlowWriter::new("fuzz", &BENCH.zone, &Pseudonyms::default()), lines: Vec::new() }
    }
}

impl Scribe for Written {
    fn write(&mut self, record: &Record<'_>) {
        let mut line = Vec::new();
        self.writer.write(record, &mut line);
        self.lines.push(checked(&String::from_utf8(line).unwrap_or_else(|error| panic!("{error}"))));
    }
}

/// A line, which must be JSON and a line.
fn checked(line: &str) -> String {
    let read = serde_json::from_str::<serde::de::IgnoredAny>(line);
    assert!(read.is_ok() && !line.contains('\n'), "{read:?}: {line}");
    line.to_owned()
}

/// Captures that open incidents, in which each kind of traffic occurs.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut frames = traffic(11);
    let mut seeds = vec![pcap(&frames), pcapng(&frames), pcapng(&frames[..40])];
    // Twice each, as a mirror does that shows both directions.
    let doubled: Vec<_> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
    seeds.push(pcap(&doubled));
    let even = frames.len() / 2 * 2;
    for place in (0..even).step_by(2) {
        frames.swap(place, place + 1);
    }
    seeds.push(pcap(&frames));
    seeds
}
