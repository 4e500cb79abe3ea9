//! Stories are what they say: the same bytes for the same seed, right packets, a server that breaks under its load, and
//! truths that agree with what is seen.

use std::collections::HashMap;
use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;
use crate::synth::SynthFrame;

fn story(name: &str) -> Story {
    Story::named(name).unwrap().seed(3).rate(12.0).cold()
}

/// What is seen of the requests in clear.
#[derive(Default)]
struct Seen {
    packets: u64,
    syns: u64,
    asked: u64,
    answered: u64,
    failed: u64,
    waited: f64,
    by_source: HashMap<IpAddr, u64>,
    pending: HashMap<(IpAddr, u16), f64>,
}

/// Plays a story and looks at its frames between two moments, in seconds from the begin.
fn seen(story: &Story, from: f64, until: f64) -> (Seen, Truth) {
    let (mut seen, mut start) = (Seen::default(), None);
    let mut frames = story.frames();
    for frame in frames.by_ref() {
        seen.packets += 1;
        let at = frame.time.nanos() as f64 / 1e9;
        let since = at - *start.get_or_insert(at);
        if since >= from && since < until {
            look(&mut seen, &frame, since);
        }
    }
    (seen, frames.truth())
}

fn look(seen: &mut Seen, frame: &SynthFrame, at: f64) {
    let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
    let (source, dest): (IpAddr, IpAddr) = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => unreachable!("no ARP is made"),
    };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { return };
    seen.syns += u64::from(tcp.syn() && !tcp.ack());
    let payload = tcp.payload();
    if payload.starts_with(b"GET ") || payload.starts_with(b"POST ") {
        seen.asked += 1;
        *seen.by_source.entry(source).or_default() += 1;
        seen.pending.insert((source, tcp.source_port()), at);
    } else if payload.starts_with(b"HTTP/1.1 ") {
        seen.answered += 1;
        seen.failed += u64::from(payload[9] == b'5');
        seen.waited += seen.pending.remove(&(dest, tcp.destination_port())).map_or(0.0, |asked| at - asked);
    }
}

/// Seconds from the story's begin.
fn second(truth: &Truth, time: &str) -> f64 {
    let secs = |text: &str| crate::time::Timestamp::parse_rfc3339(text).unwrap().nanos() as f64 / 1e9;
    secs(time) - secs(&truth.start)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_other_ones() {
    let told = |seed| story("pulse").seed(seed).frames().take(8_000).collect::<Vec<_>>();
    assert_eq!(told(1), told(1));
    assert_ne!(told(1)[..50], told(2)[..50]);
}

#[test]
fn every_scenario_is_told_in_order_with_packets_that_can_be_read() {
    for scenario in SCENARIOS {
        for sealed in [false, true] {
            let story = story(scenario.name).rate(4.0);
            let story = if sealed { story.sealed() } else { story };
            let mut last = crate::time::Timestamp::from_secs(0);
            for frame in story.frames().take(3_000) {
                assert!(frame.time >= last, "{}", scenario.name);
                last = frame.time;
                SlicedPacket::from_ethernet(&frame.bytes).unwrap();
            }
        }
    }
}

#[test]
fn names_are_found_and_the_nearest_is_told() {
    let error = Story::named("sin-flood").unwrap_err();
    assert_eq!(error.nearest, "syn-flood");
    assert!(SCENARIOS.iter().all(|scenario| Story::named(scenario.name).is_ok()));
}

#[test]
fn a_crowd_makes_the_server_slow_and_people_reload() {
    let story = story("flash-crowd");
    let truth = story.truth();
    let (begin, end) = (second(&truth, &truth.episodes[0].begin), second(&truth, &truth.episodes[0].end));
    let (before, _) = seen(&story, 0.0, begin);
    let (during, _) = seen(&story, begin + 60.0, end - 60.0);
    let wait = |seen: &Seen| seen.waited / seen.answered as f64;
    assert!(wait(&before) < 0.25, "{}", wait(&before));
    let harm = 1.0 - (during.answered - during.failed) as f64 / during.asked as f64;
    assert!(wait(&during) > 4.0 * wait(&before) && harm > 0.3, "{} {harm}", wait(&during));
}

#[test]
fn the_founding_case_exceeds_what_the_server_bears_and_its_shares_are_those_seen() {
    let story = story("founding-case").rate(30.0);
    let truth = story.truth();
    let [episode] = &truth.episodes[..] else { panic!("one episode") };
    let (begin, end) = (second(&truth, &episode.begin), second(&truth, &episode.end));
    let (before, _) = seen(&story, 0.0, begin);
    let (during, told) = seen(&story, begin, end);
    assert_eq!((during.packets, &told), (truth.packets, &truth));
    assert!(1.0 - (during.answered - during.failed) as f64 / during.asked as f64 > 0.2);
    let [origin] = &episode.origins[..] else { panic!("one origin") };
    let address = origin.prefix.parse::<ipnet::IpNet>().unwrap().addr();
    let heavy = during.by_source[&address] as f64;
    let ordinary = before.asked as f64 / begin * (end - begin);
    let share = heavy / (during.asked as f64 - ordinary);
    assert!((share - origin.share).abs() < 0.05, "{share} {}", origin.share);
    assert_eq!(episode.causes.len(), 2);
    assert!((episode.causes.iter().map(|cause| cause.share).sum::<f64>() - 1.0).abs() < 1e-3);
}

#[test]
fn origins_of_a_flood_are_all_that_it_came_from() {
    let story = story("http-flood");
    let truth = story.truth();
    let episode = &truth.episodes[0];
    let (seen, _) = seen(&story, 0.0, f64::MAX);
    let mut inside = 0;
    for origin in &episode.origins {
        let net: ipnet::IpNet = origin.prefix.parse().unwrap();
        inside +=
            seen.by_source.iter().filter(|(ip, _)| net.contains(*ip)).map(|(_, asked)| asked).sum::<u64>();
    }
    assert!((episode.origins.iter().map(|origin| origin.share).sum::<f64>() - 1.0).abs() < 1e-3);
    assert!(inside * 2 > seen.asked, "{inside} of {}", seen.asked);
}

#[test]
fn a_dead_server_is_asked_again_and_says_nothing() {
    let story = story("server-down-silent");
    let truth = story.truth();
    let begin = second(&truth, &truth.episodes[0].begin);
    let (seen, _) = seen(&story, begin + 20.0, begin + 60.0);
    assert_eq!(seen.answered, 0);
    assert!(seen.syns > 10);
}

#[test]
fn benign_stories_have_no_episodes() {
    for name in ["benign-day", "nat-and-cdn", "crawler", "maintenance"] {
        assert!(story(name).rate(3.0).truth().episodes.is_empty(), "{name}");
    }
}
