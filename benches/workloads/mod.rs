//! The three workloads that speed is measured on, in any size: the same bytes in every run.
//! Comes in: a number of packets. Goes out: frames in order of time, or a classic pcap file with nanoseconds.
//!
//! They are shaped like what a sensor in front of a web service meets. In each, people from all over the world use four
//! web servers, 65 % of their sessions over TLS, one in ten over IPv6: `web-mix` is that alone, 4,200 packets a second.
//! `syn-flood` adds 90,000 SYNs a second from forged addresses until nine packets in ten are theirs; `http-flood` 200
//! clients in three /24s that open a connection for each request, again nine packets in ten.

#![allow(dead_code, reason = "not everyone who measures asks for all of a workload")]

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bongsu::service::Service;
use bongsu::synth::{Close, HalfOpen, Scenario, SynthFrame, Traffic, millis, per_sec, secs};
use bongsu::time::Span;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    WebMix,
    SynFlood,
    HttpFlood,
}

/// Packets a second of ordinary use, and those of each flood.
const ORDINARY: f64 = 4_200.0;
const SYNS: f64 = 90_000.0;
const FLOOD: f64 = 24_000.0;

/// Packets of one session as `people` plans it, and of one connection of the HTTP flood; measured, and only used to
/// choose rates.
const HTTP_SESSION: f64 = 26.0;
const TLS_SESSION: f64 = 30.0;
const FLOOD_CONNECTION: f64 = 10.0;

impl Workload {
    pub const ALL: [Self; 3] = [Self::WebMix, Self::SynFlood, Self::HttpFlood];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebMix => "web-mix",
            Self::SynFlood => "syn-flood",
            Self::HttpFlood => "http-flood",
        }
    }

    /// Its first `packets` frames in order of time.
    pub fn frames(self, packets: u64) -> io::Result<impl Iterator<Item = SynthFrame>> {
        let frames = self.scenario(packets).frames().map_err(io::Error::other)?;
        Ok(frames.take(packets as usize))
    }

    /// Writes it into `folder`, unless it is there, and returns its path.
    pub fn written(self, packets: u64, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}-{packets}.pcap", self.name()));
        if !path.exists() {
            std::fs::create_dir_all(folder)?;
            let partial = path.with_extension("partial");
            write(self.frames(packets)?, BufWriter::with_capacity(1 << 20, File::create(&partial)?))?;
            std::fs::rename(partial, &path)?;
        }
        Ok(path)
    }

    /// Long enough for so many packets: a flood begins when ordinary use has been there for a tenth of the time.
    fn scenario(self, packets: u64) -> Scenario {
        let flood = match self {
            Self::WebMix => 0.0,
            Self::SynFlood => SYNS,
            Self::HttpFlood => FLOOD,
        };
        // One part in ten stays ordinary: its rate follows that of the flood.
        let ordinary = if flood > 0.0 { flood / 9.0 } else { ORDINARY };
        let long = Span::from_millis((packets as f64 / (ordinary + flood) * 1_150.0) as u64 + 20_000);
        let people = Scenario::new(self as u64).with_people(ordinary, long);
        match self {
            Self::WebMix => people,
            Self::SynFlood => people.with(forged(SYNS).over(long)),
            Self::HttpFlood => people.with(requests(FLOOD / FLOOD_CONNECTION).over(long)),
        }
    }
}

/// A minute of ordinary use, and in it SYNs from so many forged sources.
pub fn forged_in_a_minute(sources: u64) -> io::Result<impl Iterator<Item = SynthFrame>> {
    let minute = Span::from_secs(60);
    let flood = forged(sources as f64 / minute.as_secs_f64()).over(minute);
    Scenario::new(1).with_people(ORDINARY, minute).with(flood).frames().map_err(io::Error::other)
}

/// Ordinary use.
trait WithPeople {
    fn with_people(self, packets_per_sec: f64, long: Span) -> Self;
}

impl WithPeople for Scenario {
    /// Four servers, each over IPv4 and IPv6, each with HTTP and TLS.
    fn with_people(self, packets_per_sec: f64, long: Span) -> Self {
        let session = 0.35 * HTTP_SESSION + 0.65 * TLS_SESSION;
        let sessions = packets_per_sec / session / 4.0;
        (1..=4_u8).fold(self, |scenario, server| {
            let v4 = format!("198.51.100.{}", 9 + server);
            let v6 = format!("[2001:db8::{}]", 9 + server);
            [(v4, 0.9, 4_500), (v6, 0.1, 500)].into_iter().fold(
                scenario,
                |scenario, (address, part, clients)| {
                    scenario
                        .with(
                            people(&address, 80, clients)
                                .requests(per_sec(sessions * part * 0.35 * 3.0))
                                .over(long),
                        )
                        .with(people(&address, 443, clients).tls(per_sec(sessions * part * 0.65)).over(long))
                },
            )
        })
    }
}

/// People that use a port of a server: three exchanges on a connection.
fn people(address: &str, port: u16, clients: u32) -> Traffic {
    let part = Traffic::to(&service(address, port)).named(&format!("{address} {port}"));
    let v6 = address.starts_with('[');
    let homes: &[&str] = if v6 { &["2a00::/16", "2400::/16"] } else { &EVERYWHERE };
    let part = homes.iter().fold(part, |part, home| part.from(home));
    part.sources(clients)
        .rtt(millis(8), millis(180))
        .per_connection(3)
        .body(200, 9_000)
        .path_weighted("/static/css/item{n}.html", 1)
        .path_weighted("/static/img/item{n}.html", 1)
        .path_weighted("/static/js/item{n}.html", 1)
        .path_weighted("/api/item{n}", 1)
        .statuses(&[(200, 49), (404, 1)])
}

/// Large ranges of public addresses on every continent.
const EVERYWHERE: [&str; 12] = [
    "2.0.0.0/12",
    "24.0.0.0/12",
    "41.0.0.0/12",
    "58.0.0.0/12",
    "77.0.0.0/12",
    "91.0.0.0/12",
    "110.0.0.0/12",
    "121.128.0.0/12",
    "151.16.0.0/12",
    "177.0.0.0/12",
    "189.0.0.0/12",
    "211.32.0.0/12",
];

/// SYNs from forged addresses, each another one, that nobody answers.
fn forged(per_second: f64) -> Traffic {
    Traffic::to(&service("198.51.100.10", 443))
        .named("flood")
        .forged()
        .syns(per_sec(per_second))
        .half_open(HalfOpen::Unanswered)
        .start(secs(5))
}

/// Requests from 200 clients in three /24s, a connection for each, four in ten refused.
fn requests(per_second: f64) -> Traffic {
    let flood = Traffic::to(&service("198.51.100.10", 80)).named("flood");
    ["45.79.18.0/24", "185.220.101.0/24", "91.240.192.0/24"]
        .iter()
        .fold(flood, |flood, range| flood.from(range))
        .sources(200)
        .rtt(millis(40), millis(250))
        .requests(per_sec(per_second))
        .per_connection(1)
        .body(200, 1_200)
        .path("/search?q={n}")
        .statuses(&[(200, 6), (503, 4)])
        .close(Close::ByClient)
        .start(secs(5))
}

fn service(address: &str, port: u16) -> Service {
    let text = format!("web={address}:{port}");
    Service::parse(&text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// Writes frames as a classic pcap file with nanoseconds, which every tool reads, and returns their number.
pub fn write(frames: impl Iterator<Item = SynthFrame>, mut out: impl Write) -> io::Result<u64> {
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut packets = 0;
    for frame in frames {
        let (secs, nanos) = (frame.time.secs() as u32, (frame.time.nanos() % 1_000_000_000) as u32);
        let len = frame.bytes.len() as u32;
        for word in [secs, nanos, len, len] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame.bytes)?;
        packets += 1;
    }
    out.flush()?;
    Ok(packets)
}
