//! Every frame of the shared captures through the decoder: whatever a capture holds, each packet is decoded or
//! skipped for a reason that has a name.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bongsu::capture::{Frame, LinkType};
use bongsu::decode::{Decoder, PacketCounts, Skip};
use bongsu::time::Timestamp;

#[path = "../benches/blocks/mod.rs"]
mod blocks;
mod support;

#[test]
fn every_frame_of_the_shared_captures_is_accounted_for() -> io::Result<()> {
    let Some(folder) = support::shared("") else { return Ok(()) };
    let mut counts = PacketCounts::default();
    for capture in captures_below(&folder)? {
        count(File::open(capture)?, &mut counts);
    }
    println!("{} read, {} decoded", counts.read, counts.decoded);
    assert!(counts.is_balanced());
    assert!(counts.decoded > 0);
    assert_eq!(counts.skipped.get(Skip::Filter), 0, "the decoder knows of no filter");
    Ok(())
}

fn captures_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.extension().and_then(OsStr::to_str) {
            _ if path.is_dir() => found.extend(captures_below(&path)?),
            Some("pcap" | "cap" | "dmp") => found.push(path),
            _ => {}
        }
    }
    Ok(found)
}

/// Counts the packets of a classic pcap file up to its end or its first damage; other formats have none.
fn count(capture: File, counts: &mut PacketCounts) {
    let mut decoder = Decoder::default();
    let _ = blocks::walk(capture, |record| {
        counts.count_read(record.wire_len);
        let frame = Frame {
            time: Timestamp::default(),
            link: LinkType(record.link),
            wire_len: record.wire_len,
            data: record.data,
        };
        match decoder.decode(&frame) {
            Ok(_) => counts.count_decoded(),
            Err(skip) => counts.count_skipped(skip),
        }
    });
}
