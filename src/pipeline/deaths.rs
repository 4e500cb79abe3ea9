//! A thread that panics is noticed while the pipeline runs, and its panic goes on at the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::attribute::Labels;
use crate::incident::Incident;
use crate::service::Service;
use crate::synth::{Scenario, Traffic, per_sec, secs};

/// Dies of the first incident, where it is to.
struct Mortal(bool);

impl Listener for Mortal {
    fn told(&mut self, _: Incident, _: &Quality) {
        assert!(!self.0, "a test wants it");
    }
}

fn pipeline(listener: Mortal) -> Pipeline<Mortal> {
    let web = Service::parse("web=211.34.105.10:80").unwrap();
    let attributor = Arc::new(Attributor::embedded(Labels::default()).unwrap());
    let alone = Setup::of(Services::new(vec![web]).unwrap(), attributor, RuleSet::builtin());
    Pipeline::new(Setup { workers: 2, ..alone }, listener)
}

/// A crowd, and a flood of forged handshakes that becomes an incident.
fn flooded() -> Scenario {
    let web = Service::parse("web=211.34.105.10:80").unwrap();
    let crowd = Traffic::to(&web).sources(40).requests(per_sec(20)).over(secs(60)).from("168.126.63.0/24");
    let flood = Traffic::to(&web).named("flood").forged().syns(per_sec(400));
    Scenario::new(5).with(crowd).with(flood.start(secs(30)).over(secs(20)))
}

/// Pushes until it is not sound any more; answers whether that came.
fn dies(pipeline: &mut Pipeline<Mortal>) -> bool {
    for frame in flooded().frames().unwrap() {
        pipeline.push(&frame.as_frame());
        if !pipeline.is_sound() {
            return true;
        }
    }
    // What was handed over last takes a moment.
    (0..1_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        !pipeline.is_sound()
    })
}

#[test]
fn a_worker_that_panics_is_noticed() {
    let mut pipeline = pipeline(Mortal(false));
    pipeline.progress.worker(1).doomed.store(true, Relaxed);
    assert!(dies(&mut pipeline));
    assert!(catch_unwind(AssertUnwindSafe(|| pipeline.finish())).is_err());
}

#[test]
fn a_reducer_that_panics_is_noticed() {
    let mut pipeline = pipeline(Mortal(true));
    assert!(dies(&mut pipeline));
    assert!(catch_unwind(AssertUnwindSafe(|| pipeline.finish())).is_err());
}

#[test]
fn nobody_is_missed_where_nobody_dies() {
    let mut pipeline = pipeline(Mortal(false));
    for frame in flooded().frames().unwrap() {
        pipeline.push(&frame.as_frame());
        assert!(pipeline.is_sound());
    }
    pipeline.finish();
}
