//! What a mirror does to packets must not change what is said of them: copies, disorder, short snap lengths and captures
//! in pieces give the same flows and alerts; one direction and lost packets give no false ones, and are told.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use bongsu::capture::{Files, Frame, LinkType, Source, Step, Writer};
use bongsu::service::Service;
use bongsu::synth::rng::Rng;
use bongsu::synth::{Scenario, Traffic, View, per_sec, secs};
use bongsu::time::{Span, Timestamp};
use serde_json::Value;
use support::{ABROAD, AT_HOME, Answer, WEB, crowd_at_home, foreign_flood, gist, replay, shared, web};

const GAME: &str = "game=211.34.105.12:25565";
const NAMED: [&str; 6] = ["-s", WEB, "-s", GAME, "--home", "KR"];
const FLOWS: [&str; 2] = ["--events", "alert,stats,flow"];

/// Captures of others with something of everything, and the service that is named where there is one.
const OTHERS: [(&str, &[&str]); 6] = [
    ("doup123/test.pcap", &["-s", "web=172.16.1.2:5000", "--home", "KR"]),
    ("goldeneye/goldeneye.pcap", &[]),
    ("zeek/http__1000-requests-one-dropped-response.pcap.gz", &[]),
    ("ndpi/alexa-app.pcapng", &[]),
    ("ndpi/instagram.pcap", &[]),
    ("ndpi/netflix.pcap", &[]),
];

/// A packet that owns its bytes.
#[derive(Clone)]
struct Packet {
    time: Timestamp,
    link: LinkType,
    wire_len: u32,
    data: Vec<u8>,
}

impl Packet {
    fn of(frame: &Frame<'_>) -> Self {
        let Frame { time, link, wire_len, data } = *frame;
        Self { time, link, wire_len, data: data.to_vec() }
    }

    fn frame(&self) -> Frame<'_> {
        Frame { time: self.time, link: self.link, wire_len: self.wire_len, data: &self.data }
    }

    /// The same packet a moment later, mirrored from another VLAN where one is given.
    fn copied(&self, later: Span, vlan: Option<u16>) -> Self {
        let mut copy = self.clone();
        copy.time = copy.time + later;
        if let (Some(vlan), LinkType::ETHERNET) = (vlan, self.link) {
            let [high, low] = vlan.to_be_bytes();
            copy.data.splice(12..12, [0x81, 0x00, high, low]);
            copy.wire_len += 4;
        }
        copy
    }
}

fn made(scenario: &Scenario) -> Vec<Packet> {
    scenario.frames().unwrap().map(|frame| Packet::of(&frame.as_frame())).collect()
}

fn read(path: &Path) -> Vec<Packet> {
    let mut files = Files::open(&[path.to_owned()]);
    let mut packets = Vec::new();
    loop {
        match files.step().unwrap() {
            Step::Frame => packets.push(Packet::of(&files.frame())),
            Step::End => return packets,
            Step::Beat(_) | Step::Idle => {}
        }
    }
}

fn write(packets: &[Packet], path: &Path) {
    let mut writer = Writer::new(BufWriter::new(File::create(path).unwrap()));
    packets.iter().for_each(|packet| writer.frame(&packet.frame()).unwrap());
    writer.finish().unwrap().flush().unwrap();
}

/// What the program says of these packets.
fn told(packets: &[Packet], more: &[&str]) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packets.pcapng");
    write(packets, &path);
    replay(&path, &[more, &FLOWS, &["--workers", "1"]].concat()).exits(0)
}

/// A crowd and a flood from abroad at one service, forged SYNs at another, datagrams and pings beside them.
fn story() -> Scenario {
    let game = Service::parse(GAME).unwrap();
    let players = Traffic::to(&game).sources(60).from(AT_HOME[0]).connections(per_sec(10)).over(secs(30));
    let forged = Traffic::to(&game).forged().syns(per_sec(700)).start(secs(15)).over(secs(8));
    let beside = Traffic::to(&game).from_anywhere().port(1900).start(secs(5)).over(secs(6));
    Scenario::new(17)
        .with(crowd_at_home(per_sec(20)).over(secs(30)))
        .with(foreign_flood(per_sec(60)).start(secs(10)).over(secs(15)))
        .with(players)
        .with(forged)
        .with(beside.datagrams(per_sec(1_500)))
        .with(Traffic::to(&web()).from(ABROAD[1]).sources(9).tls(per_sec(4)).over(secs(30)))
        .with(Traffic::to(&web()).from(ABROAD[1]).pings(per_sec(20)))
}

/// The alerts without what is said of the capture itself.
fn alerts(answer: &Answer) -> Vec<Value> {
    let strip = |mut alert: Value| {
        alert.as_object_mut().unwrap().remove("capture");
        alert
    };
    answer.alerts().into_iter().map(strip).collect()
}

/// The flow records, in an order of their own, after `change`.
fn flows(answer: &Answer, change: impl Fn(&mut Value)) -> Vec<String> {
    let records = answer.records().into_iter().filter(|record| record["event_type"] == "flow");
    let mut flows: Vec<String> = records
        .map(|mut flow| {
            change(&mut flow);
            flow.to_string()
        })
        .collect();
    flows.sort();
    flows
}

fn assert_same(name: &str, once: &[String], other: &[String]) {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (once.iter().collect(), other.iter().collect());
    let lost: Vec<_> = before.difference(&after).take(3).collect();
    let new: Vec<_> = after.difference(&before).take(3).collect();
    assert!(lost.is_empty() && new.is_empty(), "{name}: not any more {lost:#?}, instead {new:#?}");
    assert_eq!(once.len(), other.len(), "{name}");
}

/// Each packet and its copy less than a millisecond later, in order of time.
fn doubled(packets: &[Packet], vlan: Option<u16>) -> Vec<Packet> {
    let mut rng = Rng::new(1);
    let copies = packets.iter().map(|packet| {
        let later = Span::from_nanos(1_000 + rng.next() % 998_000);
        (packet, later)
    });
    let mut twice: Vec<Packet> =
        copies.flat_map(|(packet, later)| [packet.clone(), packet.copied(later, vlan)]).collect();
    twice.sort_by_key(|packet| packet.time);
    twice
}

fn assert_doubled_is_the_same(name: &str, packets: &[Packet], more: &[&str]) {
    let without = |flow: &mut Value| {
        flow["flow"].as_object_mut().unwrap().remove("duplicates");
        flow.as_object_mut().unwrap().remove("vlan");
        // A copy may be what came last.
        flow["flow"].as_object_mut().unwrap().remove("end");
        flow.as_object_mut().unwrap().remove("timestamp");
    };
    let once = told(packets, more);
    for vlan in [None, Some(200)] {
        let twice = told(&doubled(packets, vlan), more);
        assert_eq!(alerts(&once), alerts(&twice), "{name}");
        assert_same(name, &flows(&once, without), &flows(&twice, without));
        let (stats, before) = (twice.stats(), once.stats());
        let copies = stats["packets"]["skipped"]["duplicate"].as_u64();
        assert_eq!(copies, before["packets"]["decoded"].as_u64(), "{name}");
        assert_eq!(stats["capture"]["duplicates"], 0.5, "{name}");
        assert_eq!(before["capture"]["duplicates"], 0.0, "{name}");
    }
}

#[test]
fn every_packet_twice_is_as_once() {
    let packets = made(&story());
    assert_doubled_is_the_same("story", &packets, &NAMED);
    let copied = told(&doubled(&packets, None), &NAMED);
    assert_eq!(gist(&copied.alerts()).len(), 2);
    let in_flows: u64 =
        copied.records().iter().filter_map(|record| record["flow"]["duplicates"].as_u64()).sum();
    assert_eq!(
        copied.stats()["packets"]["skipped"]["duplicate"],
        in_flows,
        "each copy is counted in its flow"
    );
}

#[test]
fn others_captures_twice_are_as_once() {
    for (capture, more) in OTHERS {
        let Some(path) = shared(capture) else { continue };
        assert_doubled_is_the_same(capture, &read(&path), more);
    }
}

/// Distinct times, a microsecond apart where they are not.
fn with_distinct_times(mut packets: Vec<Packet>) -> Vec<Packet> {
    packets.sort_by_key(|packet| packet.time);
    for at in 1..packets.len() {
        if packets[at].time <= packets[at - 1].time {
            packets[at].time = packets[at - 1].time + Span::from_micros(1);
        }
    }
    packets
}

/// Records moved by 64 places and a second at most.
fn moved(packets: &[Packet]) -> Vec<Packet> {
    let mut rng = Rng::new(2);
    let mut out: Vec<Packet> = Vec::new();
    let mut rest = packets;
    while let Some(first) = rest.first() {
        let near = rest.iter().take(64).take_while(|packet| packet.time.since(first.time) <= secs(1)).count();
        let (block, after) = rest.split_at(near);
        let mut block = block.to_vec();
        for at in (1..block.len()).rev() {
            block.swap(at, (rng.next() % (at as u64 + 1)) as usize);
        }
        out.extend(block);
        rest = after;
    }
    out
}

#[test]
fn records_that_moved_change_nothing() {
    let mut cases = vec![("story".to_owned(), made(&story()), &NAMED[..])];
    for (capture, more) in OTHERS {
        cases.extend(shared(capture).map(|path| (capture.to_owned(), read(&path), more)));
    }
    for (name, packets, more) in cases {
        let packets = with_distinct_times(packets);
        let (once, other) = (told(&packets, more), told(&moved(&packets), more));
        assert_eq!(once.alert_lines(), other.alert_lines(), "{name}");
        assert_same(&name, &flows(&once, |_| {}), &flows(&other, |_| {}));
        assert!(other.stats()["capture"]["reordered"].as_u64() > Some(100), "{name}: nothing moved");
    }
}

#[test]
fn a_short_snap_length_leaves_flows_and_their_states() {
    let mut cases = vec![("story".to_owned(), made(&story()), &NAMED[..])];
    for (capture, more) in OTHERS {
        cases.extend(shared(capture).map(|path| (capture.to_owned(), read(&path), more)));
    }
    for (name, packets, more) in cases {
        let cut = packets.iter().cloned().map(|mut packet| {
            packet.data.truncate(96);
            packet
        });
        let payload = |flow: &mut Value| {
            for read_from_payload in ["app_proto", "tls", "http"] {
                flow.as_object_mut().unwrap().remove(read_from_payload);
            }
        };
        let (once, other) = (told(&packets, more), told(&cut.collect::<Vec<_>>(), more));
        assert_same(&name, &flows(&once, payload), &flows(&other, payload));
    }
}

#[test]
fn captures_that_follow_each_other_are_as_a_folder_of_them() {
    let packets = made(&story());
    let folder = tempfile::tempdir().unwrap();
    let parts: Vec<_> = packets
        .chunks(packets.len().div_ceil(3))
        .enumerate()
        .map(|(at, part)| {
            let path = folder.path().join(format!("{at}.pcapng"));
            write(part, &path);
            path
        })
        .collect();
    let more = [&NAMED[..], &FLOWS].concat();
    let of_folder = replay(folder.path(), &more).exits(0);
    let whole = told(&packets, &NAMED);
    let mut named = support::bongsu();
    named.arg("replay").args(&parts).args(["-o", "-"]).args(&more);
    let of_parts = Answer::of(named.output().unwrap()).exits(0);
    assert_eq!(of_folder.stdout, of_parts.stdout);
    assert_eq!(of_folder.stdout, whole.stdout);
}

/// What all packets of a flow have in common, in both directions: the sum of addresses and ports, and of the protocol.
fn flow_of(frame: &[u8]) -> u64 {
    let (protocol, addresses, ports) = match frame[12..14] {
        [0x08, 0x00] => (frame[23], 26..34, 14 + 4 * usize::from(frame[14] & 0x0f)),
        _ => (frame[20], 22..54, 54),
    };
    let with_ports = matches!(protocol, 6 | 17);
    let ports = if with_ports { &frame[ports..ports + 4] } else { &[] };
    let words = frame[addresses].chunks(2).chain(ports.chunks(2));
    u64::from(protocol) + words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>()
}

#[test]
fn two_captures_of_disjoint_flows_are_as_one_of_all() {
    // Two files may hold packets of one moment, in whatever order they are given.
    let packets = with_distinct_times(made(&story()));
    let whole = told(&packets, &NAMED);
    assert_eq!(gist(&whole.alerts()).len(), 2);
    let (even, odd): (Vec<_>, Vec<_>) =
        packets.into_iter().partition(|packet| flow_of(&packet.data).is_multiple_of(2));
    assert!(even.len() > 3_000 && odd.len() > 3_000, "{} and {}", even.len(), odd.len());
    let folder = tempfile::tempdir().unwrap();
    let halves = [(even, "even"), (odd, "odd")].map(|(half, name)| {
        let path = folder.path().join(format!("{name}.pcapng"));
        write(&half, &path);
        path
    });
    for workers in ["1", "2", "4"] {
        let mut both = support::bongsu();
        both.arg("replay").args(&halves).args(["-o", "-", "--workers", workers]).args(NAMED).args(FLOWS);
        let both = Answer::of(both.output().unwrap()).exits(0);
        let different = whole.stdout.lines().zip(both.stdout.lines()).find(|(one, other)| one != other);
        assert_eq!(different, None, "{workers} workers");
        assert_eq!(whole.stdout, both.stdout, "{workers} workers");
    }
}

/// Ordinary traffic: requests, TLS and connections that carry nothing.
fn ordinary(view: View) -> Scenario {
    let game = Service::parse(GAME).unwrap();
    let players = Traffic::to(&game).sources(200).from(AT_HOME[0]).connections(per_sec(300));
    let readers = Traffic::to(&web()).from(AT_HOME[1]).sources(50).tls(per_sec(20));
    Scenario::new(23)
        .with(crowd_at_home(per_sec(60)).over(secs(20)).seen(view))
        .with(readers.over(secs(20)).seen(view))
        .with(players.over(secs(20)).seen(view))
}

#[test]
fn one_direction_of_ordinary_traffic_is_no_flood_and_no_outage() {
    for view in [View::ClientSide, View::ServerSide] {
        let answer = told(&made(&ordinary(view)), &NAMED);
        assert_eq!(answer.alert_lines(), [""; 0], "{view:?}");
        let capture = &answer.stats()["capture"];
        assert_eq!(capture["one_way"], true, "{view:?}");
        let services = capture["one_way_services"].as_array().unwrap();
        assert_eq!(services.len(), 2, "{capture}");
        assert!(services.iter().all(|service| !service["rules_off"].as_array().unwrap().is_empty()));
    }
    let both = told(&made(&ordinary(View::BothSides)), &NAMED).stats();
    assert_eq!(
        (&both["capture"]["one_way"], &both["capture"]["one_way_services"]),
        (&false.into(), &Value::Null)
    );
}

#[test]
fn forged_syns_are_found_by_their_senders_side_alone() {
    let game = Service::parse(GAME).unwrap();
    let forged = Traffic::to(&game).forged().syns(per_sec(700)).start(secs(8)).over(secs(8));
    let (view, forged) = (View::ClientSide, forged.seen(View::ClientSide));
    let answer = told(&made(&ordinary(view).with(forged)), &NAMED);
    let alerts = answer.alerts();
    assert_eq!(gist(&alerts).len(), 1, "{:?}", gist(&alerts));
    let signature = &alerts[0]["alert"]["signature_id"];
    assert_eq!((signature, &alerts[0]["capture"]["one_way"]), (&1010.into(), &true.into()));
    let off = alerts[0]["capture"]["rules_off"].as_array().unwrap();
    assert!(off.iter().any(|rule| rule == "server-errors"), "{off:?}");
}

#[test]
fn completed_clients_from_abroad_are_found_on_either_side() {
    for view in [View::ClientSide, View::ServerSide] {
        let flood = foreign_flood(per_sec(200)).start(secs(5)).over(secs(12)).seen(view);
        let answer = told(&made(&ordinary(view).with(flood)), &NAMED);
        let alerts = answer.alerts();
        let opened =
            alerts.first().map(|alert| (alert["capture"]["one_way"].clone(), support::origins(alert).len()));
        assert!(matches!(&opened, Some((Value::Bool(true), 1..)),), "{view:?}: {alerts:#?}");
        assert!(alerts.iter().all(|alert| alert["foreign"]["concentrated"] == true), "{view:?}");
    }
}

/// The loss that is told, in percent.
fn loss(answer: &Answer) -> f64 {
    100.0 * answer.stats()["capture"]["loss"].as_f64().unwrap()
}

#[test]
fn the_loss_of_one_packet_in_twenty_is_estimated() {
    let busy = Scenario::new(29)
        .with(crowd_at_home(per_sec(60)).over(secs(30)).body(2_000, 40_000))
        .with(Traffic::to(&web()).from(AT_HOME[1]).sources(50).tls(per_sec(20)).over(secs(30)));
    let mut cases = vec![("made".to_owned(), made(&busy), &NAMED[..])];
    // Where senders repeat what nobody answers, the repetition of a lost packet hides the loss: no such capture here.
    let other = "zeek/http__1000-requests-one-dropped-response.pcap.gz";
    cases.extend(shared(other).map(|path| (other.to_owned(), read(&path), &[][..])));
    for (name, packets, more) in cases {
        let whole = loss(&told(&packets, more));
        for (seed, percent) in [(1, 5), (2, 5), (3, 10)] {
            let mut rng = Rng::new(seed);
            let left: Vec<Packet> = packets.iter().filter(|_| rng.next() % 100 >= percent).cloned().collect();
            let estimate = loss(&told(&left, more));
            println!("{name}: {whole} % before, {estimate} % of {percent} %");
            let of = percent as f64;
            assert!((estimate - of).abs() < of.min(2.0 * of / 5.0), "{name}: {estimate} % of {percent} %");
        }
        assert!(whole < 1.0, "{name}: {whole} %");
    }
}

#[test]
fn repeats_without_that_state_count_each() {
    let flood = Traffic::to(&web()).from(ABROAD[0]).syns(per_sec(1)).over(secs(1));
    let one = made(&Scenario::new(3).with(flood)).remove(0);
    let mut packets = made(&Scenario::new(4).with(crowd_at_home(per_sec(20)).over(secs(10))));
    let begin = packets[0].time;
    packets.extend((0..2_000).map(|nth| {
        let mut again = one.clone();
        again.time = begin + Span::from_micros(1_000 * nth);
        again
    }));
    packets.sort_by_key(|packet| packet.time);
    let stats = told(&packets, &NAMED).stats();
    assert_eq!(stats["packets"]["decoded"], packets.len());
    assert_eq!(stats["capture"]["duplicates"], 0.0);
}
