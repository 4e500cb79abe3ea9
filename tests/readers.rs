//! Somebody looks at the seconds that are still open: rates are seen to rise, and no packet waits for the reader.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bongsu::aggregate::Count;
use bongsu::attribute::{Attributor, Labels};
use bongsu::detect::rule::RuleSet;
use bongsu::incident::Incident;
use bongsu::pipeline::{Listener, Pipeline, Quality, Setup};
use bongsu::service::Services;
use bongsu::synth::{Scenario, SynthFrame, Traffic, per_sec, secs};
use support::{crowd_at_home, web};

/// Counts what it is told.
#[derive(Default)]
struct Told(usize);

impl Listener for Told {
    fn told(&mut self, _: Incident, _: &Quality) {
        self.0 += 1;
    }
}

fn pipeline(workers: usize) -> Pipeline<Told> {
    let attributor = Arc::new(Attributor::embedded(Labels::default()).unwrap());
    let alone = Setup::of(Services::new(vec![web()]).unwrap(), attributor, RuleSet::builtin());
    Pipeline::new(Setup { workers, ..alone }, Told::default())
}

/// 20,000 packets a second and more for three seconds: five connections a millisecond, some requests among them.
fn rush() -> Scenario {
    let rush = crowd_at_home(per_sec(300)).over(secs(3));
    let flood = Traffic::to(&web()).from_anywhere().datagrams(per_sec(20_000)).over(secs(3));
    Scenario::new(21).with(rush).with(flood)
}

/// Enough within one second for the mirror to be known long before the second is over.
fn surge() -> Scenario {
    let crowd = crowd_at_home(per_sec(300)).over(secs(1));
    let flood = Traffic::to(&web()).from_anywhere().datagrams(per_sec(60_000)).over(secs(1));
    Scenario::new(21).with(crowd).with(flood)
}

#[test]
fn rates_rise_before_the_second_is_over() {
    for workers in [1, 2] {
        let mut pipeline = pipeline(workers);
        let begin = surge().starts();
        let mut seen = Vec::new();
        // All of it lies within one second of capture time, so that nothing is over yet.
        for frame in surge().frames().unwrap().take_while(|frame| frame.time.since(begin).as_secs_f64() < 0.9)
        {
            pipeline.push(&frame.as_frame());
            let read = pipeline.counts().read;
            // Until the mirror is known the first packets are kept back, and none is read.
            if read > 0 && read.is_multiple_of(6_000) {
                seen.push(settled_packets(&pipeline, seen.last().copied().unwrap_or(0)));
            }
        }
        assert!(seen.len() >= 3 && seen[0] > 0, "{workers} workers: {seen:?}");
        assert!(seen.is_sorted_by(|before, after| before < after), "{workers} workers: {seen:?}");
        pipeline.finish();
    }
}

/// Packets to all scopes in the present view; workers in other threads have five seconds to get past `before`.
fn settled_packets(pipeline: &Pipeline<Told>, before: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let view = pipeline.view();
        let packets = view.scopes().map(|scope| view.read(scope, Count::PacketsIn)).sum();
        if packets > before || Instant::now() > deadline {
            return packets;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_view_held_in_the_pushing_thread_holds_up_nothing() {
    for workers in [1, 2] {
        let mut pipeline = pipeline(workers);
        let mut frames = rush().frames().unwrap();
        for frame in frames.by_ref().take(20_000) {
            pipeline.push(&frame.as_frame());
        }
        settled_packets(&pipeline, 0);
        let view = pipeline.view();
        // The reader stands in the middle of its list until the end: a lock of its own would never be given back.
        let mut scopes = view.scopes();
        let scope = scopes.next().unwrap();
        let before = view.read(scope, Count::PacketsIn);
        for frame in frames {
            pipeline.push(&frame.as_frame());
        }
        let outcome = pipeline.finish();
        assert!(outcome.packets.is_balanced() && outcome.packets.read > 60_000);
        assert!(view.read(scope, Count::PacketsIn) > before, "the view does not stay current");
        assert_eq!(scopes.count() + 1, view.scopes().count());
    }
}

#[test]
fn timed_no_push_waits_for_a_reader_that_dwells() {
    const DWELL: Duration = Duration::from_millis(2);
    let mut pipeline = pipeline(1);
    let mut frames = rush().frames().unwrap();
    for frame in frames.by_ref().take(20_000) {
        pipeline.push(&frame.as_frame());
    }
    let view = pipeline.view();
    let (over, dwells) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for scope in view.scopes() {
                    view.read(scope, Count::Accesses);
                    std::thread::sleep(DWELL);
                    dwells.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let before = waits_of_this_thread();
        let longest = frames.map(|frame| time_of_push(&mut pipeline, &frame)).max().unwrap();
        let waits = waits_of_this_thread() - before;
        over.store(true, Ordering::Relaxed);
        let dwells = dwells.load(Ordering::Relaxed);
        println!("{dwells} dwells, {waits} waits of the pushing thread, longest push {longest:?}");
        // With a lock under the view the pushing thread would wait about once in every dwell.
        assert!(dwells >= 10 && waits * 10 <= dwells, "{waits} waits in {dwells} dwells");
    });
}

fn time_of_push(pipeline: &mut Pipeline<Told>, frame: &SynthFrame) -> Duration {
    let started = Instant::now();
    pipeline.push(&frame.as_frame());
    started.elapsed()
}

/// How often this thread has stopped to wait for something; being put aside for another thread does not count.
fn waits_of_this_thread() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_wait_would_be_counted() {
    let before = waits_of_this_thread();
    std::thread::sleep(Duration::from_millis(1));
    assert!(waits_of_this_thread() > before);
}
