//! What `bongsu synth` writes: captures that `bongsu replay` reads whole, truths that say what is in them, and clients
//! that the shipped databases place where the truths say.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use bongsu::attribute::{Attributor, Labels};
use bongsu::synth::world::networks;
use serde_json::Value;
use support::{Answer, replay, run};

/// A written story: its capture and its truth.
fn written(folder: &Path, words: &[&str]) -> (PathBuf, Value) {
    let (capture, truth) = (folder.join("out.pcap"), folder.join("out.json"));
    let files = ["-w", capture.to_str().unwrap(), "--truth", truth.to_str().unwrap()];
    run([&["synth"], words, &files].concat()).exits(0);
    let truth = serde_json::from_str(&fs::read_to_string(truth).unwrap()).unwrap();
    (capture, truth)
}

/// The first service of a truth, as `--service` takes it.
fn service(truth: &Value) -> String {
    let service = &truth["services"][0];
    let addresses: Vec<String> = service["addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|address| address.as_str().unwrap())
        .map(|address| if address.contains(':') { format!("[{address}]") } else { address.to_owned() })
        .collect();
    format!("{}={}:{}", service["name"].as_str().unwrap(), addresses.join(","), service["ports"][0])
}

#[test]
fn what_is_written_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    for scenario in ["http-flood", "slowloris", "server-down-silent", "udp-flood", "large-packet-loss"] {
        for more in [&[][..], &["--tls"][..]] {
            let words = [&[scenario, "--cold", "--rate", "6", "--seed", "2"], more].concat();
            let (capture, truth) = written(folder.path(), &words);
            let answer = replay(&capture, &["-s", &service(&truth), "--home", "KR"]).exits(0);
            let stats = answer.stats();
            assert_eq!(stats["packets"]["read"], truth["packets"], "{scenario}");
            assert_eq!(stats["packets"]["read"], stats["packets"]["decoded"], "{scenario}");
            assert_eq!(stats["capture"]["one_way"], false, "{scenario}");
        }
    }
}

#[test]
fn the_same_words_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["pulse", "--cold", "--rate", "5", "--seed", "9"];
    let (capture, truth) = written(folder.path(), &words);
    let bytes = fs::read(&capture).unwrap();
    let (again, same) = written(folder.path(), &words);
    assert_eq!(truth, same);
    assert!(bytes == fs::read(again).unwrap(), "other bytes");
    let (other, _) = written(folder.path(), &["pulse", "--cold", "--rate", "5", "--seed", "10"]);
    assert!(bytes != fs::read(other).unwrap(), "another seed, the same bytes");
}

#[test]
fn a_flood_is_found_where_the_truth_says_it_is_from() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, truth) = written(folder.path(), &["http-flood", "--cold", "--seed", "4"]);
    let answer = replay(&capture, &["-s", &service(&truth), "--home", "KR"]).exits(0);
    let alerts = answer.alerts();
    let named: Vec<ipnet::IpNet> = alerts
        .iter()
        .flat_map(|alert| alert["origins"].as_array().unwrap())
        .filter_map(|origin| origin["value"].as_str()?.parse().ok())
        .collect();
    assert!(!named.is_empty());
    let origins = truth["episodes"][0]["origins"].as_array().unwrap();
    for origin in origins {
        let net: ipnet::IpNet = origin["prefix"].as_str().unwrap().parse().unwrap();
        assert!(named.iter().any(|named| named.contains(&net) || net.contains(named)), "{net}");
    }
}

#[test]
fn every_network_is_where_the_table_says() {
    let world = Attributor::embedded(Labels::default()).unwrap();
    let wrong: Vec<String> = networks::all()
        .iter()
        .filter_map(|network| {
            let ipnet::IpNet::V4(net) = network.net else { return None };
            let size = 1_u32 << (32 - net.prefix_len());
            let off = (0..16).map(|part| net.network().to_bits() + size / 16 * part + 7).find(|bits| {
                let found = world.attribute(IpAddr::V4(Ipv4Addr::from_bits(*bits)));
                let asn = found.asn.map(|asn| asn.to_string());
                found.country.to_string() != network.country || asn != Some(format!("AS{}", network.asn))
            });
            off.map(|bits| format!("{} {}", network.net, Ipv4Addr::from_bits(bits)))
        })
        .collect();
    assert!(wrong.len() * 100 < networks::all().len(), "{wrong:?}");
}

#[test]
fn scenarios_are_listed_and_wrong_words_are_told() {
    let listed = run(["synth", "--list"]).exits(0).stdout;
    assert!(listed.lines().count() > 30 && listed.contains("founding-case  "), "{listed}");
    let wrong: [(&[&str], &str); 4] = [
        (&["synth", "sin-flood", "-w", "/dev/null"], "nearest is \"syn-flood\""),
        (&["synth", "syn-flood", "--rate", "0", "-w", "/dev/null"], "1 to 1000"),
        (&["synth", "syn-flood", "--jitter", "2", "-w", "/dev/null"], "0 to 0.9"),
        (&["synth", "syn-flood"], "--write"),
    ];
    for (words, told) in wrong {
        let answer: Answer = run(words).exits(2);
        assert!(answer.stderr.contains(told), "{}", answer.stderr);
    }
}
