//! In the steady state packets allocate nothing. The state is steady when every client has been there, every table has
//! the size that it needs and the windows of the rules are full. Then each second still allocates: its rows are begun,
//! grow as its clients come, and go to the detectors whole. So the same clients are played twice, the second time with
//! four times the packets in as many seconds: what more is allocated is the packets' own.
//!
//! One test alone stands here: the allocator counts for the whole process.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::sync::Arc;

use bongsu::attribute::{Attributor, Labels};
use bongsu::detect::rule::RuleSet;
use bongsu::incident::Incident;
use bongsu::pipeline::{Listener, Pipeline, Quality, Setup};
use bongsu::service::Services;
use bongsu::synth::{Scenario, Traffic, per_sec, secs};
use support::web;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Listens, and keeps nothing.
struct Nobody;

impl Listener for Nobody {
    fn told(&mut self, _incident: Incident, _quality: &Quality) {}
}

fn pipeline() -> Pipeline<Nobody> {
    let attributor = Arc::new(Attributor::embedded(Labels::default()).unwrap());
    let services = Services::new(vec![web()]).unwrap();
    Pipeline::new(Setup::of(services, attributor, RuleSet::builtin()), Nobody)
}

/// Allocations so far.
fn allocations() -> u64 {
    dhat::HeapStats::get().total_blocks
}

/// What was allocated in the steady state, and how many packets there were.
#[derive(Debug, Default)]
struct Found {
    packets: u64,
    allocations: u64,
}

/// Plays `story`, and looks at what is allocated from second [`STEADY`] on.
fn played(story: &Scenario) -> Found {
    let mut pipeline = pipeline();
    let mut found = Found::default();
    for frame in story.frames().unwrap() {
        let before = allocations();
        pipeline.push(&frame.as_frame());
        if frame.time.secs() - story.starts().secs() >= STEADY {
            found.packets += 1;
            found.allocations += allocations() - before;
        }
    }
    pipeline.finish();
    found
}

/// Seconds after which the state is steady: by then windows are full, and the lists of connections that are waited for
/// have been as long as they become.
const STEADY: i64 = 70;

/// Allocations for each packet more. One for each request or connection would be 0.04 and more; a second with more rows
/// still has its tables doubled once more often, and now and then a list is longer than ever before.
const NEXT_TO_NONE: f64 = 0.005;

/// Traffic of so many a second.
type Story = fn(f64) -> Scenario;

fn people(per_second: f64) -> Scenario {
    let people = Traffic::to(&web()).from("121.128.0.0/16").sources(20).per_connection(3);
    Scenario::new(1).with(people.requests(per_sec(per_second)).over(secs(100)))
}

fn forged(per_second: f64) -> Scenario {
    Scenario::new(2).with(Traffic::to(&web()).forged().syns(per_sec(per_second)).over(secs(100)))
}

#[test]
fn packets_allocate_nothing_in_the_steady_state() {
    let profiler = dhat::Profiler::builder().testing().build();
    let stories: [(&str, Story, f64); 2] = [("people", people, 100.0), ("forged SYNs", forged, 200.0)];
    for (name, story, rate) in stories {
        let (few, many) = (played(&story(rate)), played(&story(4.0 * rate)));
        let more = many.packets - few.packets;
        let each = (many.allocations as f64 - few.allocations as f64) / more as f64;
        println!("{name}: {few:?}, {many:?}: {each:.5} allocations for each packet more");
        assert!(more > 10_000, "{name}: {few:?}, {many:?}");
        assert!(each < NEXT_TO_NONE, "{name}: {few:?}, {many:?}");
    }
    drop(profiler);
}
