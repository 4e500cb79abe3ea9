//! Two detectors to compare with, set as an operator would: three times the 99th percentile of the scenario's own warm-up.
//! One limits new flows per source and ten seconds, the other packets per service and second. And how well packets and
//! flows per second alone tell attack from crowd. Comes in: what was counted of each scenario. Goes out: who paged when.

use std::collections::BTreeMap;

use crate::play::Played;
use crate::score::seconds;
use bongsu::time::Timestamp;

/// What the two detectors did with one episode.
#[derive(Debug, Clone)]
pub struct Pages {
    pub label: String,
    /// Seconds from the begin to the page; `None` where there was none.
    pub per_source: Option<f64>,
    pub per_service: Option<f64>,
    /// How many times the warm-up's mean packets and flows per second it had on average.
    pub packets: f64,
    pub flows: f64,
}

/// Times the warm-up's 99th percentile.
const FACTOR: f64 = 3.0;

/// A page that comes this long after an episode is no longer about it.
const AFTERMATH: f64 = 10.0;

/// What the detectors did with each episode, and how often they paged outside of all of them.
pub fn pages(played: &Played) -> (Vec<Pages>, [usize; 2]) {
    let alarms: Vec<[Vec<f64>; 2]> = (0..played.truth.services.len())
        .map(|place| [per_source(played, place), per_service(played, place)])
        .collect();
    let of = |name: &str| played.truth.services.iter().position(|service| service.name == name).unwrap();
    let pages = played.truth.episodes.iter().map(|episode| {
        let place = of(&episode.service);
        let (begin, length) = (instant(episode.begin), seconds(episode.begin, episode.end));
        let first = |alarms: &[f64]| {
            let after = alarms.iter().map(|at| at - begin);
            after.filter(|after| (0.0..length + AFTERMATH).contains(after)).min_by(f64::total_cmp)
        };
        let [packets, flows] = growth(played, place, (begin, begin + length));
        Pages {
            label: episode.verdict.label.clone(),
            per_source: first(&alarms[place][0]),
            per_service: first(&alarms[place][1]),
            packets,
            flows,
        }
    });
    let during = |place: usize, at: f64| {
        played.truth.episodes.iter().any(|episode| {
            of(&episode.service) == place
                && instant(episode.begin) <= at
                && at < instant(episode.end) + AFTERMATH
        })
    };
    let stray = |which: usize| {
        let runs = alarms.iter().enumerate().map(|(place, alarms)| {
            let stray: Vec<f64> = alarms[which].iter().copied().filter(|at| !during(place, *at)).collect();
            // Alarms within five minutes are one page.
            stray.iter().enumerate().filter(|(nth, at)| *nth == 0 || *at - stray[nth - 1] > 300.0).count()
        });
        runs.sum()
    };
    (pages.collect(), [stray(0), stray(1)])
}

/// When a source began more flows in ten seconds than three times what nearly all did.
fn per_source(played: &Played, place: usize) -> Vec<f64> {
    let warm = instant(played.truth.warmup_until);
    let tens = &played.counted.tens[place];
    let end = |ten: i64| (ten * 10 + 10) as f64;
    let before = tens.iter().filter(|(ten, _)| end(**ten) <= warm);
    let limit = limit(before.flat_map(|(_, sources)| sources.values().map(|flows| f64::from(*flows))));
    let over =
        |sources: &std::collections::HashMap<_, u32>| sources.values().any(|flows| f64::from(*flows) > limit);
    let after = tens.iter().filter(|(ten, _)| end(**ten) > warm);
    after.filter(|(_, sources)| over(sources)).map(|(ten, _)| end(*ten)).collect()
}

/// When the service got more packets in a second than three times what it nearly always got.
fn per_service(played: &Played, place: usize) -> Vec<f64> {
    let warm = instant(played.truth.warmup_until);
    let seconds = &played.counted.seconds[place];
    let end = |second: i64| (second + 1) as f64;
    let before = seconds.iter().filter(|(second, _)| end(**second) <= warm);
    let limit = limit(before.map(|(_, counts)| counts.packets as f64));
    let after = seconds.iter().filter(|(second, _)| end(**second) > warm);
    after.filter(|(_, counts)| counts.packets as f64 > limit).map(|(second, _)| end(*second)).collect()
}

fn limit(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let nth = (values.len() as f64 * 0.99) as usize;
    FACTOR * values.get(nth.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// How many times the warm-up's packets and flows per second there were in an interval.
fn growth(played: &Played, place: usize, during: (f64, f64)) -> [f64; 2] {
    let warm = instant(played.truth.warmup_until);
    let mean = |from: f64, to: f64| -> [f64; 2] {
        let counts = played.counted.seconds[place].iter();
        let within = counts.filter(|(second, _)| (from..to).contains(&(**second as f64)));
        let sum = within.fold([0.0, 0.0], |sum, (_, counts)| {
            [sum[0] + counts.packets as f64, sum[1] + counts.flows as f64]
        });
        sum.map(|sum| sum / (to - from).max(1.0))
    };
    let first = played.counted.seconds[place].keys().next().map_or(warm, |second| *second as f64);
    let (before, now) = (mean(first, warm), mean(during.0, during.1));
    [now[0] / before[0].max(0.1), now[1] / before[1].max(0.1)]
}

fn instant(time: Timestamp) -> f64 {
    time.nanos() as f64 / 1e9
}

/// The probability that a score is higher for one of `ones` than for one of `others` (area under the ROC curve).
pub fn area(ones: &[f64], others: &[f64]) -> f64 {
    let pairs = ones.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
    let won: f64 = pairs
        .map(|(one, other)| match one.total_cmp(other) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    won / (ones.len() * others.len()).max(1) as f64
}

/// Pages per true label: episodes, and those each detector paged.
pub fn by_label(pages: &[Pages]) -> BTreeMap<&str, [usize; 3]> {
    let mut table: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for page in pages {
        let row = table.entry(&page.label).or_default();
        row[0] += 1;
        row[1] += usize::from(page.per_source.is_some());
        row[2] += usize::from(page.per_service.is_some());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_apart_has_all_of_the_area_and_what_is_not_half_of_it() {
        assert_eq!(area(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        assert_eq!(area(&[1.0, 4.0], &[2.0, 3.0]), 0.5);
        assert_eq!(area(&[2.0], &[2.0]), 0.5);
    }

    #[test]
    fn the_limit_is_three_times_what_is_nearly_always_kept() {
        assert_eq!(limit((1..=100).map(f64::from)), 300.0);
        assert_eq!(limit([].into_iter()), 0.0);
    }
}
