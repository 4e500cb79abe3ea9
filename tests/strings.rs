//! Hostile strings, from packets to every output: five hundred texts in each field that comes from the wire (method, path,
//! host, user agent, server name, protocol), names of labels and services beside them. Whatever is written of them is
//! valid for a reader of its own, stands on one line, and moves no cursor.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

#[path = "support/cef.rs"]
mod cef;
#[path = "support/outputs.rs"]
mod outputs;
#[path = "support/payloads.rs"]
mod payloads;
#[path = "support/raw.rs"]
mod raw;
mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bongsu::alert::told;
use cef::Cef;
use outputs::Outputs;
use payloads::{PAYLOADS, is_live, payload};
use raw::{Call, Raw, answer};
use serde_json::Value;

/// Services, each flooded with its part of the texts.
const SERVICES: usize = 20;

/// Texts in one service's flood, and requests with each.
const TEXTS: usize = PAYLOADS / SERVICES;
const TIMES: usize = 16;

fn server(service: usize, port: u16) -> SocketAddr {
    format!("211.34.105.{}:{port}", service + 1).parse().unwrap()
}

/// Clients abroad, in two prefixes that the shipped databases know.
fn client(nth: usize) -> SocketAddr {
    let net = ["184.164.240", "99.0.1"][nth % 2];
    format!("{net}.{}:{}", nth / 2 % 200 + 1, 1_024 + nth % 60_000).parse().unwrap()
}

/// A head with the text in one of its places.
fn head(place: usize, text: &[u8]) -> Vec<u8> {
    let (method, path, host, agent): (&[u8], Vec<u8>, &[u8], &[u8]) = match place % 4 {
        0 => (b"GET", [b"/", text].concat(), b"web", b"curl/8"),
        1 => (b"GET", b"/host".to_vec(), text, b"curl/8"),
        2 => (b"GET", b"/agent".to_vec(), b"web", text),
        _ => (text, b"/method".to_vec(), b"web", b"curl/8"),
    };
    [method, b" ", &path, b" HTTP/1.1\r\nHost: ", host, b"\r\nUser-Agent: ", agent, b"\r\n\r\n"].concat()
}

/// Twenty quiet seconds at each service, then its flood.
fn capture(path: &std::path::Path) {
    let (mut raw, mut nth) = (Raw::default(), 0);
    for service in 0..SERVICES {
        let web = server(service, 80);
        for quiet in 0..60_u64 {
            let home = format!("168.126.63.{}:{}", quiet + 1, 2_000 + quiet).parse().unwrap();
            let call = Call { millis: quiet * 333, client: home, server: web };
            raw.request(call, &head(0, b"index"), &answer());
        }
        for time in 0..TIMES {
            for text in 0..TEXTS {
                nth += 1;
                let number = service * TEXTS + text;
                // The longest are told like the long: a few of them are enough.
                let bytes = payload(number);
                let bytes = if time > 4 { &bytes[..bytes.len().min(300)] } else { &bytes };
                let millis = 20_000 + (time * TEXTS + text) as u64 * 20;
                let call = Call { millis, client: client(nth), server: web };
                raw.request(call, &head(time, bytes), &answer());
                if time == 0 {
                    let protocol = std::array::from_fn(|at| bytes[at % bytes.len()]);
                    let call = Call { millis: millis + 7, server: server(service, 443), ..call };
                    raw.hello(call, bytes, protocol);
                }
            }
        }
    }
    raw.write(path);
}

/// Names that the configuration allows and nobody should.
const EVIL: &str = "<b>\u{202e}|=]\\\\\\\"";

fn configuration() -> String {
    let mut text = format!(
        "sensor: \"{EVIL}\"\nhome: [KR]\nlabels:\n  - {{name: \"{EVIL}\", role: nat, prefixes: [168.126.63.0/26]}}\nservices:\n"
    );
    for service in 0..SERVICES {
        let address = server(service, 80).ip();
        text.push_str(&format!(
            "  - {{name: \"{service}{EVIL}\", addresses: [{address}], ports: [80, 443]}}\n"
        ));
    }
    text
}

fn is_inert(from: &str, text: &str) {
    if let Some(at) = text.find(is_live) {
        let around: String =
            text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{from}: {:?} behind {around:?}", text[at..].chars().next());
    }
}

/// Every text of a value, names too.
fn texts<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            out.push(name);
            texts(value, out);
        }),
        _ => {}
    }
}

/// A syslog message by RFC 5424, 6: the text behind its six fields and its structured data.
fn syslog(message: &str) -> &str {
    let fields: Vec<&str> = message.splitn(7, ' ').collect();
    let [priority, _, _, "bongsu", "-", _, rest] = fields[..] else { panic!("{message}") };
    assert!(priority.starts_with('<') && priority.ends_with(">1"), "{message}");
    if let Some(text) = rest.strip_prefix("- ") {
        return text;
    }
    let mut escaped = false;
    let end = rest.find(|letter| {
        let ends = letter == ']' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    assert!(rest.starts_with('['), "{message}");
    rest[end.unwrap() + 1..].strip_prefix(' ').unwrap()
}

#[test]
fn nothing_that_is_said_on_the_wire_breaks_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.pcapng");
    capture(&path);
    let outputs = Outputs::of(&path, &configuration(), &[]);
    for (name, text) in outputs.texts() {
        is_inert(name, &text.replace('\n', ""));
    }
    let mut said = BTreeSet::new();
    for format in ["eve", "ecs", "ocsf"] {
        for line in outputs.lines(format) {
            let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let mut all = Vec::new();
            texts(&record, &mut all);
            all.iter().for_each(|text| is_inert(format, text));
            said.extend(all.into_iter().map(str::to_owned));
        }
    }
    let read = |line: &str| {
        let cef = Cef::read(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(cef.header[0], "bongsu");
        assert!(cef.get("cs1").is_some() && !cef.keys.is_empty(), "{line}");
    };
    outputs.lines("cef").for_each(read);
    outputs.syslog.iter().for_each(|message| read(syslog(message)));
    let lines = |format| outputs.lines(format).count();
    let of = |kind: &str| {
        outputs.lines("eve").filter(|line| line.contains(&format!("\"event_type\":\"{kind}\""))).count()
    };
    assert!(of("alert") >= SERVICES, "{}", of("alert"));
    let others = of("alert") + of("stats") + of("config") + of("heartbeat");
    assert_eq!([lines("ecs"), lines("ocsf"), lines("cef"), outputs.syslog.len()], [others; 4]);
    reached(&said);
}

/// Most of the texts got as far as a record, as what is told of them.
fn reached(said: &BTreeSet<String>) {
    let reaches = |nth: &usize| {
        let bytes = payload(*nth);
        // A reader of heads hears the text up to the end of a line, or to what is no UTF-8.
        let line = bytes.split(|byte| b"\r\n".contains(byte)).next().unwrap_or_default();
        let valid = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).unwrap(),
        };
        let start: String = told(valid.trim()).chars().take(40).collect();
        !start.is_empty() && said.iter().any(|text| text.starts_with(&start))
    };
    let reached = (0..PAYLOADS).filter(reaches).count();
    println!("{reached} of {PAYLOADS} texts reached a record");
    assert!(reached >= PAYLOADS * 3 / 4, "only {reached} texts reached a record");
}
