//! Captures: pcap, pcapng, and either inside gzip or zstd. What was read and written again reads the same.

use std::io::{Cursor, Write};
use std::path::Path;

use bongsu::capture::{Frame, LinkType, Reader, Source, Step, Writer};
use bongsu::service::Service;
use bongsu::synth::{Scenario, SynthFrame, Traffic, per_sec, secs};

/// Records read of one input: compression makes any number of a few bytes, each of which takes its time.
const MAX_STEPS: usize = 20_000;

/// Reads a capture to its end.
pub fn run(bytes: &[u8]) {
    let mut kept = Writer::new(Vec::new());
    let (mut frames, mut sound) = (Vec::new(), true);
    walk(bytes, |step| {
        if let Walked::Frame(frame) = step {
            sound = sound && kept.frame(&frame).is_ok();
            frames.push(gist(&frame));
        }
    });
    let Some(kept) = kept.finish().ok().filter(|_| sound) else { return };
    let mut again = Vec::new();
    walk(&kept, |step| match step {
        Walked::Frame(frame) => again.push(gist(&frame)),
        Walked::Beat(_) => {}
        Walked::Damage(damage) => panic!("what was written cannot be read: {damage}"),
    });
    assert!(frames == again, "{} frames were written, {} read", frames.len(), again.len());
}

/// What of a frame is written.
fn gist(frame: &Frame<'_>) -> (LinkType, u32, Vec<u8>) {
    (frame.link, frame.wire_len, frame.data.to_vec())
}

/// What is found in a capture.
pub enum Walked<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// The recorder's clock.
    Beat(bongsu::capture::Beat),
    /// The one error, as it is told.
    Damage(String),
}

/// Hands everything in a capture to `visit`; after damage there is only the end.
pub fn walk(bytes: &[u8], mut visit: impl FnMut(Walked<'_>)) {
    let opened = Reader::new(Path::new("hostile"), Box::new(Cursor::new(bytes.to_vec())));
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(error) => return visit(Walked::Damage(error.to_string())),
    };
    for _ in 0..MAX_STEPS {
        match reader.step() {
            Ok(Step::Frame) => visit(Walked::Frame(reader.frame())),
            Ok(Step::Beat(beat)) => visit(Walked::Beat(beat)),
            Ok(Step::Idle) => {}
            Ok(Step::End) => return,
            Err(error) => {
                visit(Walked::Damage(error.to_string()));
                assert!(matches!(reader.step(), Ok(Step::End)), "more after damage");
                return;
            }
        }
    }
}

/// Captures of both formats, plain and compressed.
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = traffic(7);
    let (classic, next) = (pcap(&frames), pcapng(&frames));
    let mut seeds = vec![pcap(&frames[..2]), pcapng(&frames[..2])];
    for plain in [&classic, &next] {
        seeds.extend([gzip(plain), zstd::encode_all(&plain[..], 1).unwrap_or_default()]);
    }
    seeds.extend([classic, next]);
    seeds
}

/// A little of everything: requests, TLS, forged SYNs, datagrams, pings.
pub fn traffic(seed: u64) -> Vec<SynthFrame> {
    let web = web();
    let abroad = || Traffic::to(&web).from("184.164.240.0/24").sources(3).over(secs(4));
    let scenario = Scenario::new(seed)
        .with(abroad().requests(per_sec(2)).path("/bid/list"))
        .with(abroad().tls(per_sec(1)))
        .with(abroad().datagrams(per_sec(2)))
        .with(Traffic::to(&web).forged().syns(per_sec(3)).over(secs(4)));
    scenario.frames().map(|frames| frames.take(400).collect()).unwrap_or_default()
}

/// The service that the traffic goes to.
pub fn web() -> Service {
    Service::parse("web=211.34.105.10:80").unwrap_or_else(|error| panic!("{error}"))
}

/// The frames as a pcapng capture.
pub fn pcapng(frames: &[SynthFrame]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for frame in frames {
        writer.frame(&frame.as_frame()).unwrap_or_else(|error| panic!("{error}"));
    }
    writer.finish().unwrap_or_else(|error| panic!("{error}"))
}

/// The frames as a classic capture in microseconds.
pub fn pcap(frames: &[SynthFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let frame = frame.as_frame();
        let nanos = frame.time.nanos();
        let (secs, micros) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000);
        for word in [secs as u32, micros as u32, frame.data.len() as u32, frame.wire_len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend_from_slice(frame.data);
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = packer.write_all(bytes);
    written.and_then(|()| packer.finish()).unwrap_or_default()
}
