//! Every shared capture cut at many places, in process: none makes the program panic or hang, the counts balance, and
//! memory stays bounded. `make test` cuts at a few places, `make damage` at 64.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bongsu::attribute::{Attributor, Labels};
use bongsu::capture::{Reader, Source, Step};
use bongsu::detect::rule::RuleSet;
use bongsu::flow::RecordKinds;
use bongsu::incident::Incident;
use bongsu::pipeline::{Listener, Pipeline, Quality, Setup};
use bongsu::service::Services;
use bongsu::synth::rng::{Rng, mix};
use support::shared;

/// Counts what it is told.
#[derive(Default)]
struct Told(u64);

impl Listener for Told {
    fn told(&mut self, _: Incident, _: &Quality) {
        self.0 += 1;
    }
}

/// What all runs share.
struct Bench {
    attributor: Arc<Attributor>,
    rules: RuleSet,
}

impl Bench {
    fn new() -> Self {
        let attributor = Attributor::embedded(Labels::default()).unwrap();
        Self { attributor: Arc::new(attributor), rules: RuleSet::builtin() }
    }

    /// Reads what is left of a capture; answers what is wrong with the counts.
    fn read(&self, name: &Path, bytes: &[u8]) -> Option<String> {
        let mut pipeline = Pipeline::new(self.setup(), Told::default());
        let (mut frames, mut errors) = (0_u64, 0_u64);
        if let Ok(mut reader) = Reader::new(name, Box::new(Cursor::new(bytes.to_vec()))) {
            loop {
                match reader.step() {
                    Ok(Step::Frame) => {
                        frames += 1;
                        pipeline.push(&reader.frame());
                    }
                    Ok(Step::Beat(beat)) => pipeline.beat(beat),
                    Ok(Step::Idle) => {}
                    Ok(Step::End) => break,
                    Err(_) => errors += 1,
                }
            }
        }
        let packets = pipeline.finish().packets;
        let right = packets.is_balanced() && packets.read == frames && errors <= 1;
        (!right).then(|| format!("{frames} frames, {errors} errors, {packets:?}"))
    }

    fn setup(&self) -> Setup {
        Setup {
            wanted: RecordKinds { flows: true, requests: true, hellos: true, query: true },
            ..Setup::of(Services::default(), Arc::clone(&self.attributor), self.rules.clone())
        }
    }
}

/// Where a capture is cut: spread over all of it, at other bytes in each.
fn places(name: &str, len: usize, cuts: usize) -> Vec<usize> {
    let seed = name.bytes().fold(cuts as u64, |seed, byte| mix(seed, u64::from(byte)));
    let mut rng = Rng::new(seed);
    let part = (len / cuts).max(1);
    (0..cuts).map(|nth| (nth * part + (rng.next() % part as u64) as usize).min(len)).collect()
}

/// Cuts every capture at so many places.
fn cut_all(cuts: usize) {
    let Some(index) = shared("INDEX.tsv") else { return };
    let text = std::fs::read_to_string(&index).unwrap();
    let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    let (bench, folder) = (Bench::new(), index.parent().unwrap());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = std::fs::read(folder.join(name)).unwrap();
                    for place in places(name, bytes.len(), cuts) {
                        let fault = bench.read(Path::new(name), &bytes[..place]);
                        let fault = fault.map(|fault| format!("{name} cut at {place}: {fault}\n"));
                        faults.lock().unwrap_or_else(PoisonError::into_inner).extend(fault);
                    }
                }
            });
        }
    });
    assert!(names.len() > 400, "{} captures", names.len());
    assert_eq!(faults.into_inner().unwrap().concat(), "");
    assert!(peak_kib().is_none_or(|peak| peak < MOST_KIB), "{:?} KiB", peak_kib());
}

/// The default budget of the program, for each of the two runs at a time.
const MOST_KIB: u64 = 2 * 512 * 1024;

/// The most memory this process held, where the system tells it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn captures_cut_at_a_few_places_do_no_harm() {
    cut_all(3);
}

#[test]
#[ignore = "takes minutes: make damage"]
fn captures_cut_at_64_places_do_no_harm() {
    cut_all(64);
}
