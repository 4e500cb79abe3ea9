//! Traffic that is made to fill memory: what is resident stays within bounds, and the attack under way is told.

use std::hash::{BuildHasher, Hash, Hasher};
use std::io::{BufWriter, Write};
use std::process::Stdio;

use bongsu::synth::{Scenario, per_sec, secs};
use bongsu::time::Timestamp;

use crate::support::{WEB, alerts, bongsu, crowd_at_home, foreign_flood, last_stats, origins, replay};
use crate::told::{Outcome, tell};

/// A capture that is written while it is read.
pub struct Stream<W: Write>(W);

impl<W: Write> Stream<W> {
    pub fn begin(mut out: W) -> Self {
        // pcap, microseconds, Ethernet.
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes()).unwrap();
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]).unwrap();
        Self(out)
    }

    /// An IPv4 packet at a microsecond from the beginning.
    pub fn packet(&mut self, micros: u64, ip: &[u8]) {
        let (seconds, rest) = (1_700_698_780 + micros / 1_000_000, micros % 1_000_000);
        let length = (14 + ip.len()) as u32;
        for word in [seconds as u32, rest as u32, length, length] {
            self.0.write_all(&word.to_le_bytes()).unwrap();
        }
        self.0.write_all(&[0; 12]).unwrap();
        self.0.write_all(&[8, 0]).unwrap();
        self.0.write_all(ip).unwrap();
    }

    /// Ends it.
    pub fn finish(mut self) {
        self.0.flush().unwrap();
    }
}

/// The service of the tests.
const SERVICE: u32 = u32::from_be_bytes([211, 34, 105, 10]);

/// An IPv4 header with what follows it, to the service of the tests.
fn ipv4(source: u32, protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    ipv4_to(source, SERVICE, protocol, fragment, body)
}

/// The same to any address.
pub fn ipv4_to(source: u32, destination: u32, protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(((20 + body.len()) as u16).to_be_bytes());
    packet.extend((source as u16).to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(source.to_be_bytes());
    packet.extend(destination.to_be_bytes());
    packet.extend(body);
    packet
}

fn source_port(source: u32) -> u16 {
    source as u16 | 0x8000
}

fn syn(source: u32) -> Vec<u8> {
    let [high, low] = source_port(source).to_be_bytes();
    let mut segment = vec![high, low, 0, 80];
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
    stream.finish();
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

/// A conversation as the table of pending ones hashes it.
struct Key(u32, u16);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mapped = |address: u32| 0xffff_0000_0000 | u64::from(address);
        state.write_u64(mapped(self.0));
        state.write_u64(mapped(SERVICE));
        // The low end's port, the high end's, the protocol.
        state.write_u64(u64::from(self.1) | 80 << 16 | 6 << 32);
    }
}

/// Sources whose handshakes all meet in one place of one table, as whoever knows the program can choose them: the place must
/// be the same in every process, or what is displaced would differ from run to run.
fn colliding(count: usize) -> Vec<u32> {
    let seed = foldhash::fast::FixedState::with_seed(0);
    // 64 shards, of which each has 128 sets for four.
    let shard = |source: u32| (u64::from(source).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as u8;
    let set = |source: u32| (seed.hash_one(Key(source, source_port(source))) >> 32) & 127;
    let all = (0..).map(address).filter(|source| shard(*source) == 0);
    all.filter(|source| set(*source) == 0).take(count).collect()
}

/// Seconds of processors that programs have taken which were begun here and have ended.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / 100.0
}

/// A crowd at home and a flood from abroad, with a forged SYN of the next source every fifty thousandth of a second between
/// their packets; answers the processor's seconds it took, and what was told.
fn flooded(sources: &[u32]) -> (f64, String) {
    let flood = foreign_flood(per_sec(400)).start(secs(10)).over(secs(15));
    let scenario = Scenario::new(78).with(crowd_at_home(per_sec(40)).over(secs(30))).with(flood);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flooded.pcap");
    let mut out = Stream::begin(BufWriter::new(std::fs::File::create(&path).unwrap()));
    let (mut begun, mut sent) = (None, 0_u64);
    for frame in scenario.frames().unwrap() {
        let frame = frame.as_frame();
        let begin: Timestamp = *begun.get_or_insert(frame.time);
        let micros = (frame.time.nanos() - begin.nanos()) as u64 / 1_000;
        while sent * 20 < micros {
            out.packet(sent * 20, &syn(sources[sent as usize % sources.len()]));
            sent += 1;
        }
        // Behind the Ethernet header.
        out.packet(micros, &frame.data[14..]);
    }
    out.finish();
    let before = spent();
    let told = replay(&path, &["-s", WEB, "--home", "KR", "--workers", "2"]).exits(0).stdout;
    (spent() - before, told)
}

#[test]
#[ignore = "takes a minute: make faults"]
fn handshakes_that_collide() {
    let fault = "a million and a half handshakes that collide in one set of one shard";
    let (spread, chosen): (Vec<u32>, Vec<u32>) = ((0..4_096).map(address).collect(), colliding(4_096));
    let ((usual, plain), (taken, told)) = (flooded(&spread), flooded(&chosen));
    let displaced = |told: &str| last_stats(told)["flows"]["displaced"].as_u64().unwrap();
    let attacks = |told: &str| -> Vec<String> {
        let all = alerts(told).into_iter().filter(|alert| alert["verdict"]["label"] == "attack");
        all.map(|alert| format!("{} {:?}", alert["verdict"]["kind"], origins(&alert))).collect()
    };
    let figures = format!(
        "{} displaced ({} where spread), {taken:.1} s ({usual:.1} s), told: {:?}",
        displaced(&told),
        displaced(&plain),
        attacks(&told).last()
    );
    // They do collide: in a table with room for all of them, hardly any gives way.
    let collide = displaced(&told) > 1_000_000 && displaced(&plain) < 100_000;
    let held = collide && taken < 2.0 * usual && !attacks(&told).is_empty();
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}
