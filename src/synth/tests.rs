//! Whole scenarios: order, truth, reproducible bytes, and what other people's parsers make of them.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::frame::Vlans;
use super::origin::is_public;
use super::tls::Hello;
use super::*;
use crate::service::Service;

fn web() -> Service {
    Service::parse("web=192.0.2.1:80").unwrap()
}

fn burst() -> Traffic {
    let traffic = Traffic::to(&web()).named("burst").from("198.51.100.0/24").sources(40);
    traffic.requests(per_sec(30)).path("/bid/list").agent("Reader/1").start(secs(2)).over(secs(10))
}

/// Every kind at once.
fn everything() -> Scenario {
    let to_web = |name: &str| Traffic::to(&web()).named(name).from("203.0.113.0/24").sources(20);
    Scenario::new(7)
        .with(burst().per_connection(3).close(Close::ByServer))
        .with(to_web("post").ask("POST", "/login", 1).status(401).requests(ramp(0, 10)))
        .with(
            to_web("tls")
                .port(443)
                .tls(per_sec(5))
                .per_connection(2)
                .host("bid.example")
                .vlans(Vlans::One(7)),
        )
        .with(to_web("connections").connections(per_sec(5)).close(Close::ResetByClient))
        .with(to_web("half open").syns(per_sec(5)).retries(2))
        .with(Traffic::to(&web()).named("flood").forged().syns(per_sec(200)))
        .with(to_web("datagrams").datagrams(per_sec(20)).port(9_999).payload(512).answered(100))
        .with(to_web("pings").pings(per_sec(2)).answered(64))
        .with(Traffic::to(&web()).named("scattered").from_anywhere().requests(per_sec(5)))
        .trouble(Trouble::status(503).share(0.5, 0.5).start(secs(5)).over(secs(3)))
}

fn frames(scenario: &Scenario) -> Vec<SynthFrame> {
    scenario.frames().unwrap().collect()
}

/// Source address and the bytes of a TCP payload, where there are any.
fn tcp_payload(frame: &SynthFrame) -> Option<(IpAddr, Vec<u8>)> {
    let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
    Some((source(&sliced), tcp.payload().to_vec())).filter(|(_, payload)| !payload.is_empty())
}

fn source(sliced: &SlicedPacket<'_>) -> IpAddr {
    match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => ip.header().source_addr().into(),
        NetSlice::Ipv6(ip) => ip.header().source_addr().into(),
        other => panic!("not IP: {other:?}"),
    }
}

#[test]
fn all_frames_parse_and_come_in_order() {
    let frames = frames(&everything());
    assert!(frames.is_sorted_by_key(|frame| frame.time));
    for frame in &frames {
        let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
        assert!(sliced.transport.is_some());
        assert_eq!(frame.as_frame().wire_len as usize, frame.bytes.len());
    }
}

#[test]
fn the_seed_decides_every_byte() {
    let one = frames(&everything());
    assert_eq!(one, frames(&everything()));
    let mut other = everything();
    other.seed = 8;
    assert_ne!(one, frames(&other));
    let varied = Scenario::new(7).with(burst().seed(1));
    assert_ne!(frames(&Scenario::new(7).with(burst())), frames(&varied));
}

/// A checksum of all bytes, so that a machine that computes otherwise shows itself.
#[test]
fn the_bytes_are_those_of_every_other_machine() {
    let mut state = 0_u64;
    for frame in frames(&everything()) {
        state = rng::mix(state, frame.time.nanos() as u64);
        for byte in frame.bytes {
            state = rng::mix(state, u64::from(byte));
        }
    }
    assert_eq!(format!("{state:016x}"), "bc4480a1071d6b87");
}

#[test]
fn the_truth_counts_what_is_told() {
    let scenario = everything();
    let mut told = scenario.frames().unwrap();
    let frames: Vec<SynthFrame> = told.by_ref().collect();
    let truth = told.truth();
    assert_eq!(truth, scenario.truth().unwrap());
    assert_eq!(truth.packets, frames.len() as u64);
    let payloads: Vec<_> = frames.iter().filter_map(tcp_payload).collect();
    let asked = |word: &[u8]| payloads.iter().filter(|(_, payload)| payload.starts_with(word)).count() as u64;
    assert_eq!(asked(b"GET ") + asked(b"POST "), truth.parts.iter().map(|part| part.requests).sum::<u64>());
    assert_eq!(asked(b"POST "), 50);
    assert_eq!(asked(&[22, 3, 1]), truth.parts[2].conversations);
    let readers: HashSet<IpAddr> = payloads
        .iter()
        .filter(|(_, payload)| payload.windows(8).any(|window| window == b"Reader/1"))
        .map(|(source, _)| *source)
        .collect();
    assert_eq!(readers.len() as u64, truth.parts[0].sources);
}

#[test]
fn the_truth_is_written_as_json() {
    let truth = serde_json::to_value(Scenario::new(7).with(burst()).truth().unwrap()).unwrap();
    let part = &truth["parts"][0];
    assert_eq!(part["kind"], "requests");
    assert_eq!(part["prefixes"][0], "198.51.100.0/24");
    assert_eq!((&part["requests"], &part["sources"]), (&300.into(), &40.into()));
    assert_eq!(part["start"], "2023-11-23T00:12:02.000000+00:00");
}

#[test]
fn a_hundred_and_twenty_requests_a_second_are_that_in_every_second() {
    let scenario =
        Scenario::new(1).with(burst().requests(per_sec(120)).start(secs(0)).rtt(millis(0), millis(0)));
    let mut by_second = BTreeMap::new();
    for frame in frames(&scenario) {
        if tcp_payload(&frame).is_some_and(|(_, payload)| payload.starts_with(b"GET ")) {
            *by_second.entry(frame.time.secs()).or_insert(0_u32) += 1;
        }
    }
    assert_eq!(by_second.len(), 10);
    assert!(by_second.values().all(|count| count.abs_diff(120) <= 1), "{by_second:?}");
}

/// A classic pcap of nanosecond resolution, Ethernet.
fn write_pcap(path: &Path, frames: impl Iterator<Item = SynthFrame>) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    let header: [u32; 6] = [0xa1b2_3c4d, 2 | 4 << 16, 0, 0, 262_144, 1];
    header.iter().for_each(|word| out.write_all(&word.to_le_bytes()).unwrap());
    for frame in frames {
        let nanos = frame.time.since(Timestamp::from_secs(frame.time.secs())).nanos() as u32;
        let length = frame.bytes.len() as u32;
        let record = [frame.time.secs() as u32, nanos, length, length];
        record.iter().for_each(|word| out.write_all(&word.to_le_bytes()).unwrap());
        out.write_all(&frame.bytes).unwrap();
    }
    out.flush().unwrap();
}

#[test]
fn wireshark_finds_nothing_wrong() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("not run: no tshark");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("everything.pcap");
    write_pcap(&capture, everything().frames().unwrap());
    let wrong = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 || udp.checksum.status == 0 \
        || icmp.checksum.status == 0 || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment \
        || (tcp.analysis.retransmission && tcp.flags.syn == 0) || tcp.analysis.out_of_order";
    let count = |filter: &str| {
        let all = ["tcp.check_checksum:TRUE", "ip.check_checksum:TRUE", "udp.check_checksum:TRUE"];
        let mut tshark = Command::new("tshark");
        for option in all {
            tshark.args(["-o", option]);
        }
        let told = tshark.arg("-r").arg(&capture).args(["-Y", filter]).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        told.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!(count(wrong), 0);
    let tls = everything().truth().unwrap().parts[2].conversations as usize;
    assert_eq!(
        count("tls.handshake.type == 1 && tls.handshake.extensions_server_name == \"bid.example\""),
        tls
    );
    assert_eq!(count("tls.handshake.type == 2"), tls);
}

#[test]
fn every_head_is_http() {
    for frame in frames(&everything()) {
        let Some((_, payload)) = tcp_payload(&frame) else { continue };
        let mut headers = [httparse::EMPTY_HEADER; 16];
        if payload.starts_with(b"GET ") || payload.starts_with(b"POST ") {
            let mut request = httparse::Request::new(&mut headers);
            assert!(request.parse(&payload).unwrap().is_complete());
            assert!(request.headers.iter().any(|header| header.name == "Host"));
        } else if payload.starts_with(b"HTTP/") {
            assert!(httparse::Response::new(&mut headers).parse(&payload).unwrap().is_complete());
        }
    }
}

#[test]
fn trouble_shows_in_the_answers() {
    let count = |scenario: &Scenario, head: &[u8]| {
        frames(scenario)
            .iter()
            .filter_map(tcp_payload)
            .filter(|(_, payload)| payload.starts_with(head))
            .count()
    };
    let calm = Scenario::new(7).with(burst());
    assert_eq!(count(&calm, b"HTTP/1.1 200"), 300);
    let trouble = calm.trouble(Trouble::status(503).share(0.2, 0.8).start(secs(0)).over(secs(100)));
    let failed = count(&trouble, b"HTTP/1.1 503");
    assert!((50..100).contains(&failed), "{failed}");
    assert_eq!(count(&trouble, b"HTTP/1.1 200") + failed, 300);
}

#[test]
fn forged_syns_come_from_public_addresses_each_from_another() {
    let flood = Traffic::to(&web()).forged().syns(per_sec(5_000)).half_open(HalfOpen::Unanswered);
    let frames = frames(&Scenario::new(3).with(flood.over(secs(2))));
    assert_eq!(frames.len(), 10_000);
    let sources: HashSet<IpAddr> =
        frames.iter().map(|frame| source(&SlicedPacket::from_ethernet(&frame.bytes).unwrap())).collect();
    assert!(sources.iter().all(|source| is_public(*source)));
    assert!(sources.len() > 9_990, "{}", sources.len());
}

#[test]
fn ipv6_clients_talk_to_ipv6_services() {
    let target: SocketAddr = "[2001:220::10]:443".parse().unwrap();
    let clients = Traffic::to(target).from("2001:db8:7::/48").sources(30).tls(per_sec(10)).hello(Hello::Tool);
    let scenario = Scenario::new(1).with(clients).with(Traffic::to(target).forged().syns(per_sec(10)));
    assert_eq!(scenario.truth().unwrap().parts[0].sources, 30);
    for frame in frames(&scenario) {
        let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
        assert!(matches!(sliced.net, Some(NetSlice::Ipv6(_))));
    }
}

#[test]
fn memory_holds_what_is_under_way_not_what_is_to_come() {
    let mut frames =
        Scenario::new(1).with(burst().requests(per_sec(100)).over(secs(3_600))).frames().unwrap();
    let most = (0..50_000).filter_map(|_| frames.next().map(|_| frames.under_way())).max().unwrap();
    assert!(most < 100, "{most} conversations at once");
}

#[test]
fn what_cannot_be_told_is_refused_with_its_reason() {
    let refused = |traffic: Traffic| Scenario::new(1).with(traffic).frames().unwrap_err().to_string();
    let to_web = || Traffic::to(&web()).named("odd");
    assert!(refused(to_web().from("300.0.0.0/8")).contains("300.0.0.0/8"));
    assert!(refused(to_web().from("2001:db8::/32")).contains("do not mix"));
    assert!(refused(to_web()).contains("no origin"));
    assert!(refused(burst().sources(1_000)).contains("room for 253"));
    assert!(refused(burst().requests(per_sec(-1))).contains("expected a rate"));
    assert!(refused(burst().requests(ramp(1, f64::NAN))).contains("expected a rate"));
    assert!(refused(burst().requests(per_sec(2e6))).contains("expected a rate"));
    assert!(refused(to_web().forged().requests(per_sec(1))).contains("forged"));
    let crowd = (0..300).fold(Scenario::new(1), |scenario, _| scenario.with(burst()));
    assert!(crowd.frames().is_err());
}
