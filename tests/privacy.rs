//! What leaves the program of people: with `--pseudonymize` no true address of a client, in whatever output and format; and
//! never a query, a cookie, an authorization or a byte of a body.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

#[path = "support/outputs.rs"]
mod outputs;
#[path = "support/raw.rs"]
mod raw;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use outputs::Outputs;
use raw::{Call, Raw, answer};
use serde_json::Value;
use support::{Answer, replay, run};

const KEY: &str = "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301";
const WEB: [&str; 2] = ["211.34.105.10:80", "[2001:220::10]:80"];
const CONFIGURATION: &str = "home: [KR]\ntrusted_proxies: [168.126.63.0/26]\nservices:\n  \
     - {name: web, addresses: [211.34.105.10, \"2001:220::10\"], ports: [80]}\n";

/// A key file in a folder of its own.
fn key_file(folder: &Path, text: &str, mode: u32) -> PathBuf {
    let path = folder.join("pseudonyms.key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn call(millis: u64, client: &str, server: &str) -> Call {
    Call { millis, client: end(client), server: end(server) }
}

/// Clients at home, some behind a proxy that names them, and a flood from abroad, over both versions of IP.
fn capture(path: &Path) {
    let mut raw = Raw::default();
    let get =
        |forwarded: &str| format!("GET /bid/list HTTP/1.1\r\nHost: web\r\n{forwarded}\r\n").into_bytes();
    for nth in 0..200_u64 {
        let forwarded = format!("X-Forwarded-For: 203.250.{}.{}\r\n", nth % 7, nth % 200 + 1);
        let proxy = format!("168.126.63.{}:{}", nth % 60 + 1, 2_000 + nth);
        raw.request(call(nth * 100, &proxy, WEB[0]), &get(&forwarded), &answer());
        let six = format!("[2001:e60:{:x}::{:x}]:{}", nth % 3, nth % 90 + 1, 3_000 + nth);
        raw.request(call(nth * 100 + 50, &six, WEB[1]), &get(""), &answer());
    }
    for nth in 0..1_200_u64 {
        let net = ["184.164.240", "99.0.1"][nth as usize % 2];
        let client = format!("{net}.{}:{}", nth / 2 % 150 + 1, 4_000 + nth);
        raw.request(call(20_000 + nth * 10, &client, WEB[0]), &get(""), &answer());
    }
    raw.write(path);
}

/// Words that may be addresses.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_ascii_hexdigit() || matches!(letter, '.' | ':')))
        .map(|word| word.trim_matches(['.', ':']))
        .filter(|word| !word.is_empty())
}

/// The addresses that records of flows name as ends, or that a proxy names.
fn clients(outputs: &Outputs) -> BTreeSet<IpAddr> {
    let own: Vec<IpAddr> = WEB.map(|text| end(text).ip()).to_vec();
    let mut all = BTreeSet::new();
    for line in outputs.lines("eve") {
        let record: Value = serde_json::from_str(line).unwrap();
        for path in ["/src_ip", "/dest_ip", "/http/xff"] {
            all.extend(
                record.pointer(path).and_then(Value::as_str).map(|text| text.parse::<IpAddr>().unwrap()),
            );
        }
    }
    all.retain(|address| !own.contains(address));
    all
}

#[test]
fn no_true_address_of_a_client_is_in_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("made.pcapng"), key_file(folder.path(), KEY, 0o600));
    capture(&path);
    let plain = Outputs::of(&path, CONFIGURATION, &[]);
    let veiled = Outputs::of(&path, CONFIGURATION, &["--pseudonymize", key.to_str().unwrap()]);

    let truth = clients(&plain);
    assert!(truth.len() > 600 && truth.iter().any(IpAddr::is_ipv6), "{}", truth.len());
    let mut forbidden: BTreeSet<String> = truth.iter().map(IpAddr::to_string).collect();
    for address in &truth {
        let lengths: &[u8] = if address.is_ipv4() { &[12, 16, 20, 22, 24] } else { &[32, 44, 48, 56, 64] };
        forbidden.extend(lengths.iter().map(|len| IpNet::new(*address, *len).unwrap().network().to_string()));
    }
    for (name, text) in veiled.texts() {
        let found: Vec<&str> = words(text).filter(|word| forbidden.contains(*word)).collect();
        assert!(found.is_empty(), "{name}: {found:?}");
    }
    // The search finds them where they are, and what must stay is there.
    for (name, text) in plain.texts().filter(|(name, _)| !["stderr", "syslog"].contains(name)) {
        assert!(words(text).any(|word| forbidden.contains(word)), "{name}");
    }
    for (name, text) in &veiled.files {
        assert!(text.contains("211.34.105.10"), "{name}");
    }
    assert!(!veiled.texts().any(|(_, text)| text.contains(&KEY[..32])));
    same_but_for_addresses(&plain, &veiled);
}

/// The records are the same, one for one, with one pseudonym for each address, and common prefixes stay common.
fn same_but_for_addresses(plain: &Outputs, veiled: &Outputs) {
    let mut pseudonyms: BTreeMap<IpAddr, IpAddr> = BTreeMap::new();
    let (mut before, mut after) = (plain.lines("eve"), veiled.lines("eve"));
    let mut ids = 0;
    while let (Some(one), Some(other)) = (before.next(), after.next()) {
        let [one, other]: [Value; 2] = [one, other].map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(one["event_type"], other["event_type"]);
        for path in ["/src_ip", "/http/xff"] {
            let [one, other] = [&one, &other].map(|record| record.pointer(path).and_then(Value::as_str));
            if let Some((one, other)) = one.zip(other) {
                let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
                assert_eq!(*pseudonyms.entry(one).or_insert(other), other, "always the same");
            }
        }
        if let (Some(one), Some(other)) = (one["community_id"].as_str(), other["community_id"].as_str()) {
            assert_ne!(one, other, "whoever knows the service could guess the client from it");
            ids += 1;
        }
        for path in
            ["/verdict/label", "/origins/0/country", "/origins/0/asn", "/origins/0/as_org", "/incident/id"]
        {
            assert_eq!(one.pointer(path), other.pointer(path), "{path}");
        }
    }
    assert!(before.next().is_none() && after.next().is_none() && ids > 1_000);
    let told: BTreeSet<IpAddr> = pseudonyms.values().copied().collect();
    assert_eq!(told.len(), pseudonyms.len(), "no two have the same");
    let list: Vec<_> = pseudonyms.iter().step_by(5).collect();
    for (nth, (one, as_one)) in list.iter().enumerate() {
        for (other, as_other) in &list[..nth] {
            assert_eq!(common(**one, **other), common(**as_one, **as_other), "{one} {other}");
        }
    }
}

/// The leading bits that two addresses have in common; none where their versions differ.
fn common(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

#[test]
fn pseudonyms_are_the_same_in_every_run_and_for_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("made.pcapng"), key_file(folder.path(), KEY, 0o640));
    capture(&path);
    let told = |workers: &str| {
        let words = [
            "--home",
            "KR",
            "-s",
            "web=211.34.105.10:80",
            "--events",
            "alert,flow,http",
            "--workers",
            workers,
        ];
        replay(&path, &[&words[..], &["--pseudonymize", key.to_str().unwrap()]].concat()).exits(0).stdout
    };
    let first = told("1");
    assert!(first.contains("\"event_type\":\"alert\""));
    assert!(told("1") == first && told("3") == first);
}

#[test]
fn a_service_that_was_found_has_a_pseudonym_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("made.pcapng"), key_file(folder.path(), KEY, 0o600));
    capture(&path);
    let veiled = Outputs::of(&path, "home: [KR]", &["--pseudonymize", key.to_str().unwrap()]);
    let own = ["211.34.105.10", "2001:220::10"];
    for (name, text) in veiled.texts() {
        assert!(!words(text).any(|word| own.iter().any(|own| word.starts_with(own))), "{name}");
    }
    assert!(veiled.answer.stdout.contains("Services found in the traffic:"), "{}", veiled.answer.stdout);
}

/// `bongsu replay` with a key file, which must be refused without a word of it.
fn refused(path: &Path, secret: &str, says: &str) {
    let Answer { code, stdout, stderr } =
        run(["replay", "none.pcap", "--pseudonymize", path.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains(says) && stderr.contains("pseudonymize"), "{stderr}");
    assert!(secret.len() < 8 || !stderr.contains(&secret[..8]), "{stderr}");
}

#[test]
fn a_key_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str, mode| key_file(folder.path(), text, mode);
    for wrong in [&KEY[1..], &format!("{KEY}{KEY}"), "", &KEY.replace('a', "ä")] {
        refused(&file(wrong, 0o600), wrong, "expected 64 hexadecimal digits");
    }
    let halves = "00112233445566778899aabbccddeeff".repeat(2);
    refused(&file(&halves, 0o600), &halves, "the two halves of the key are the same");
    for mode in [0o604, 0o620, 0o644, 0o666] {
        refused(&file(KEY, mode), KEY, "others can read or change it");
    }
    refused(folder.path(), KEY, "is no file");
    refused(&folder.path().join("none"), KEY, "No such file");
}

#[test]
fn nothing_that_is_secret_leaves_the_parser() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.pcapng");
    let mut raw = Raw::default();
    let head = "POST /login?token=QUERYSECRET#FRAGMENTSECRET HTTP/1.1\r\nHost: web\r\nUser-Agent: a\r\n\
                Cookie: sid=COOKIESECRET\r\nAuthorization: Basic AUTHSECRET\r\nProxy-Authorization: PROXYSECRET\r\n\
                Referer: http://web/?t=REFERERSECRET\r\nX-Api-Key: HEADERSECRET\r\nContent-Length: 10\r\n\r\nBODYSECRET";
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=SETSECRET\r\nContent-Length: 12\r\n\r\nANSWERSECRET";
    for nth in 0..1_500_u64 {
        let (quiet, net) = (nth < 100, if nth < 100 { "168.126.63" } else { "184.164.240" });
        let client = format!("{net}.{}:{}", nth % 200 + 1, 4_000 + nth);
        let millis = if quiet { nth * 200 } else { 20_000 + nth * 10 };
        raw.request(call(millis, &client, WEB[0]), head.as_bytes(), answer.as_bytes());
    }
    raw.write(&path);
    let found = |outputs: &Outputs| {
        let secrets: BTreeSet<String> = outputs
            .texts()
            .flat_map(|(_, text)| text.split(|letter: char| !letter.is_ascii_alphanumeric()))
            .filter(|word| word.ends_with("SECRET"))
            .map(str::to_owned)
            .collect();
        secrets.into_iter().collect::<Vec<_>>()
    };
    let outputs = Outputs::of(&path, CONFIGURATION, &[]);
    let paths = outputs.lines("eve").filter(|line| line.contains("\"url\":\"/login\"")).count();
    assert_eq!((found(&outputs), paths), (Vec::new(), 1_500));
    assert!(outputs.lines("eve").any(|line| line.contains("\"path\":\"/login\"")), "an alert tells the path");
    let asked = Outputs::of(&path, CONFIGURATION, &["--keep-query"]);
    assert_eq!(found(&asked), ["QUERYSECRET"], "what was asked for");
    let others = asked.files.iter().filter(|(name, _)| *name != "eve");
    assert!(others.into_iter().all(|(_, text)| !text.contains("SECRET")), "in http records alone");
    let learned = folder.path().join("web.baseline");
    let words = [
        "learn",
        path.to_str().unwrap(),
        "-s",
        "web=211.34.105.10:80",
        "--baseline",
        learned.to_str().unwrap(),
    ];
    run(words).exits(0);
    assert!(!fs::read_to_string(&learned).unwrap().contains("SECRET"));
}
