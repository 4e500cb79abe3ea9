//! Hostile bytes for every reader: seeds of our own making, mutilated, and bytes out of nothing. The entries are those
//! of the fuzzer (`fuzz/`), which goes deeper; here they run a few hundred times each, always with the same inputs.

#![allow(clippy::panic, reason = "the lint does not see that helpers of tests are tests")]

#[path = "../fuzz/src/entries/mod.rs"]
mod entries;

use entries::{capture, database, decode, document, pipeline, speech, store};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

/// A change to an input.
#[derive(Debug, Clone)]
enum Wound {
    /// A byte becomes another.
    Byte(Index, u8),
    /// A bit tips over.
    Bit(Index, u8),
    /// Two bytes become a number in whose neighbourhood lengths go wrong.
    Number(Index, u16),
    /// Bytes are cut out.
    Cut(Index, u8),
    /// Bytes come twice.
    Twice(Index, u8),
    /// The rest is gone.
    End(Index),
}

impl Wound {
    fn any() -> impl Strategy<Value = Self> {
        let number = prop_oneof![Just(0), Just(1), Just(0x7fff), Just(0x8000), Just(0xffff), any::<u16>()];
        prop_oneof![
            4 => any::<(Index, u8)>().prop_map(|(at, byte)| Self::Byte(at, byte)),
            4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Self::Bit(at, bit)),
            2 => (any::<Index>(), number).prop_map(|(at, number)| Self::Number(at, number)),
            1 => any::<(Index, u8)>().prop_map(|(at, len)| Self::Cut(at, len)),
            1 => any::<(Index, u8)>().prop_map(|(at, len)| Self::Twice(at, len)),
            1 => any::<Index>().prop_map(Self::End),
        ]
    }

    fn inflict(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Self::Byte(at, byte) => bytes[at.index(len)] = *byte,
            Self::Bit(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Self::Number(at, number) => {
                let at = at.index(len);
                let both = number.to_be_bytes();
                bytes.iter_mut().skip(at).zip(both).for_each(|(byte, new)| *byte = new);
            }
            Self::Cut(at, many) => {
                let at = at.index(len);
                bytes.drain(at..(at + usize::from(*many)).min(len));
            }
            Self::Twice(at, many) => {
                let at = at.index(len);
                let part = bytes[at..(at + usize::from(*many)).min(len)].to_vec();
                bytes.splice(at..at, part);
            }
            Self::End(at) => bytes.truncate(at.index(len)),
        }
    }
}

/// Hands `run` every seed, and so many inputs more: most of them wounded seeds.
fn survives(run: fn(&[u8]), seeds: Vec<Vec<u8>>, cases: u32) {
    seeds.iter().for_each(|seed| run(seed));
    let wounded = (0..seeds.len(), vec(Wound::any(), 1..12)).prop_map(move |(nth, wounds)| {
        let mut bytes = seeds[nth].clone();
        wounds.iter().for_each(|wound| wound.inflict(&mut bytes));
        bytes
    });
    let inputs = prop_oneof![7 => wounded, 1 => vec(any::<u8>(), 0..600)];
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&inputs, |bytes| {
        run(&bytes);
        Ok(())
    });
    if let Err(TestError::Fail(reason, bytes)) = outcome {
        panic!("{reason}: {} bytes: {}", bytes.len(), bytes.escape_ascii());
    }
}

/// How many of the lines hold `text`.
fn holding(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn seeds_get_where_they_should() {
    for (nth, seed) in pipeline::seeds().iter().enumerate() {
        let lines = pipeline::told(seed, 1);
        for kind in ["alert", "flow", "http", "tls"] {
            assert!(holding(&lines, &format!("\"event_type\":\"{kind}\"")) > 0, "{kind} of seed {nth}");
        }
    }
    let said: Vec<String> = speech::seeds().iter().flat_map(|seed| speech::told(seed)).collect();
    assert!(holding(&said, "\"sni\":\"pps.example\"") >= 8, "{said:#?}");
    assert!(holding(&said, "\"ja4\":\"q") >= 2 && holding(&said, "\"xff\":\"1.2.3.4\"") >= 2, "{said:#?}");
}

#[test]
fn captures() {
    survives(capture::run, capture::seeds(), 400);
}

#[test]
fn frames() {
    survives(decode::run, decode::seeds(), 400);
}

#[test]
fn whole_pipelines() {
    survives(pipeline::run, pipeline::seeds(), 200);
}

#[test]
fn conversations() {
    survives(speech::run, speech::seeds(), 600);
}

#[test]
fn databases() {
    survives(database::run, database::seeds(), 300);
}

#[test]
fn documents() {
    survives(document::run, document::seeds(), 300);
}

#[test]
fn baselines() {
    survives(store::run, store::seeds(), 300);
}
