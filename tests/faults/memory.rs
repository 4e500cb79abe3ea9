//! Traffic that is made to fill memory: what is resident stays within bounds, and the attack under way is told.

use std::io::{BufWriter, Write};
use std::process::Stdio;

use crate::support::{WEB, alerts, bongsu, last_stats};
use crate::told::{Outcome, tell};

/// A capture that is written while it is read.
struct Stream<W: Write>(W);

impl<W: Write> Stream<W> {
    fn begin(mut out: W) -> Self {
        // pcap, microseconds, Ethernet.
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes()).unwrap();
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]).unwrap();
        Self(out)
    }

    /// An IPv4 packet at a microsecond from the beginning.
    fn packet(&mut self, micros: u64, ip: &[u8]) {
        let (seconds, rest) = (1_700_698_780 + micros / 1_000_000, micros % 1_000_000);
        let length = (14 + ip.len()) as u32;
        for word in [seconds as u32, rest as u32, length, length] {
            self.0.write_all(&word.to_le_bytes()).unwrap();
        }
        self.0.write_all(&[0; 12]).unwrap();
        self.0.write_all(&[8, 0]).unwrap();
        self.0.write_all(ip).unwrap();
    }
}

/// An IPv4 header with what follows it.
fn ipv4(source: u32, protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(((20 + body.len()) as u16).to_be_bytes());
    packet.extend((source as u16).to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(source.to_be_bytes());
    // The service of the tests.
    packet.extend([211, 34, 105, 10]);
    packet.extend(body);
    packet
}

fn syn(source: u32) -> Vec<u8> {
    let mut segment = vec![(source >> 8) as u8 | 0x80, source as u8, 0, 80];
    segment.extend(source.wrapping_mul(2_654_435_761).to_be_bytes());
    segment.extend([0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    ipv4(source, 6, 0x4000, &segment)
}

/// A hundred headers of IP in IP.
fn deep(source: u32) -> Vec<u8> {
    (0..100).fold(syn(source), |inner, _| ipv4(source, 4, 0, &inner))
}

/// A first fragment of a datagram that never goes on.
fn fragment(source: u32) -> Vec<u8> {
    ipv4(source, 17, 0x2000, &[0x13, 0x88, 0, 80, 5, 0xc0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
}

/// Spreads a number over the public addresses.
fn address(number: u32) -> u32 {
    0x1000_0000 + number.wrapping_mul(2_654_435_761) % 0x6000_0000
}

/// Replays `count` packets, a hundred thousand a second; answers the most that was resident in MiB and the alerts.
fn replayed(count: u32, make: impl Fn(u32) -> Vec<u8>) -> (f64, u64, Vec<serde_json::Value>) {
    let mut child = bongsu()
        .args(["replay", "-", "-q", "-s", WEB, "--home", "KR", "-o", "-", "--workers", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stream = Stream::begin(BufWriter::with_capacity(1 << 20, child.stdin.take().unwrap()));
    let status = format!("/proc/{}/status", child.id());
    let mut most: f64 = 0.0;
    for number in 0..count {
        stream.packet(u64::from(number) * 10, &make(address(number)));
        if number % 50_000 == 0 {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib: f64 =
                line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
            most = most.max(kib / 1_024.0);
        }
    }
    stream.0.flush().unwrap();
    drop(stream);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    (most, last_stats(&told)["packets"]["read"].as_u64().unwrap(), alerts(&told))
}

fn bounded(fault: &str, count: u32, make: impl Fn(u32) -> Vec<u8>, kind: Option<&str>) {
    let (most, read, alerts) = replayed(count, make);
    let verdict = alerts
        .last()
        .map_or(String::new(), |last| format!("{}/{}", last["verdict"]["label"], last["verdict"]["kind"]));
    let told = kind.is_none_or(|kind| verdict.contains(kind));
    let figures = format!("{most:.0} MiB at most, {read} packets, {verdict}");
    let held = most < 512.0 && read == u64::from(count) && told;
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

#[test]
#[ignore = "takes a minute: make faults"]
fn ten_million_forged_sources() {
    bounded("ten million forged sources", 10_000_000, syn, Some("syn_flood"));
}

#[test]
#[ignore = "takes seconds: make faults"]
fn tunnels_a_hundred_deep() {
    bounded("tunnels a hundred deep", 200_000, deep, None);
}

#[test]
#[ignore = "takes seconds: make faults"]
fn a_million_first_fragments() {
    bounded("a million first fragments", 1_000_000, fragment, None);
}
