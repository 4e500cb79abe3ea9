//! Files of baselines: as they are, and as contents whose checksum is right.

use std::net::SocketAddr;

use bongsu::aggregate::{Count, ScopeTick};
use bongsu::detect::Subject;
use bongsu::detect::baseline::{Baseline, Baselines, Cohort, Learning, Signal};
use bongsu::store::{decode, encode, seal};
use bongsu::time::TickId;

/// Reads the bytes as a file, and as the contents of one; what can be read is used, written and read again.
pub fn run(bytes: &[u8]) {
    if let Ok(baselines) = decode(bytes) {
        use_up(&baselines);
    }
    let Ok(sealed) = seal(bytes) else { panic!("an input is larger than a file may be") };
    match decode(&sealed) {
        Ok(baselines) => use_up(&baselines),
        Err(damage) => assert!(!damage.to_string().is_empty()),
    }
}

fn use_up(baselines: &Baselines) {
    let Ok(bytes) = encode(baselines) else { panic!("what was read cannot be written") };
    assert_eq!(decode(&bytes).ok().as_ref(), Some(baselines));
    let mut learning = Learning { brought: baselines.clone(), ..Learning::default() };
    let mut baseline = learning.begin(Subject::Found(service()));
    let end = baseline.span().map_or(0, |span| span.until);
    for second in [-3, 0, 5, 6, 7, 8, 70, 150, 700, 4_000, 90_000].map(|after| end + after) {
        baseline.feed(TickId { epoch: 0, second }, Some(&tick()));
        ask(&baseline, second);
    }
    assert!(baseline.is_sound(), "what was sound is not any more after some seconds");
    let gathered = learning.gather([(Subject::Found(service()), baseline)].into_iter());
    assert!(encode(&gathered).is_ok_and(|bytes| decode(&bytes).is_ok()));
    let mut merged = gathered.clone();
    merged.merge(gathered);
    assert_eq!(merged.check(), Ok(()));
}

fn ask(baseline: &Baseline, second: i64) {
    let _ = (baseline.stage(second), baseline.networks(), baseline.is_known(service().ip(), second));
    for signal in Signal::ALL {
        let _ = (baseline.surge(signal), baseline.drop(signal), baseline.knee(signal));
        for cohort in Cohort::ALL {
            let _ = baseline.z(signal, cohort, 0.5, second);
        }
    }
}

fn service() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 80))
}

fn tick() -> ScopeTick {
    let mut tick = ScopeTick::default();
    for count in [Count::PacketsIn, Count::BytesIn, Count::Requests, Count::Opened, Count::Responses] {
        tick.counts[count] = 1_000;
    }
    tick
}

/// Contents, and whole files.
pub fn seeds() -> Vec<Vec<u8>> {
    let contents = |seconds: i64| {
        let mut learning = Learning::default();
        let mut baseline = learning.begin(Subject::Found(service()));
        for second in (0..seconds).step_by(10) {
            baseline.feed(TickId { epoch: 0, second: 1_700_000_000 + second }, Some(&tick()));
        }
        let gathered = learning.gather([(Subject::Found(service()), baseline)].into_iter());
        serde_json::to_vec(&gathered).unwrap_or_default()
    };
    let mut seeds: Vec<Vec<u8>> = [100, 700, 8_000].into_iter().map(contents).collect();
    let files: Vec<Vec<u8>> = seeds.iter().filter_map(|contents| seal(contents).ok()).collect();
    seeds.extend(files);
    seeds.push(b"{\"services\":{}}".to_vec());
    seeds
}
