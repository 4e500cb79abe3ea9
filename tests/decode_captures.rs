//! Every frame of the shared captures through the decoder: whatever a capture holds, each packet is decoded or
//! skipped for a reason that has a name, and so is what is left of it when it is cut.

use std::path::PathBuf;

use bongsu::capture::{Files, Frame, Source, Step};
use bongsu::decode::{Decoder, PacketCounts, Skip};

mod support;

/// Places at which each frame is cut.
const CUTS: usize = 16;

#[test]
fn every_frame_of_the_shared_captures_is_accounted_for() {
    let Some(folder) = support::shared("") else { return };
    let (mut decoder, mut counts) = (Decoder::default(), PacketCounts::default());
    each_frame(folder, |frame| count(&mut decoder, frame, &mut counts));
    println!("{} read, {} decoded, {:?}", counts.read, counts.decoded, decoder.fragment_counts());
    assert!(counts.is_balanced());
    assert!(counts.decoded > 0);
    assert_eq!(counts.skipped.get(Skip::Filter), 0, "the decoder knows of no filter");
}

#[test]
fn frames_of_the_shared_captures_may_be_cut_anywhere() {
    let Some(folder) = support::shared("") else { return };
    let (mut decoder, mut counts) = (Decoder::default(), PacketCounts::default());
    each_frame(folder, |whole| {
        for cut in 0..CUTS {
            // Most headers end within the first 160 bytes.
            let kept = cut * whole.data.len().min(160) / CUTS;
            let data = whole.data.get(..kept).unwrap_or_default();
            count(&mut decoder, &Frame { data, ..*whole }, &mut counts);
        }
    });
    assert!(counts.is_balanced());
}

fn each_frame(folder: PathBuf, mut visit: impl FnMut(&Frame<'_>)) {
    let mut files = Files::open(&[folder]);
    loop {
        match files.step() {
            Ok(Step::Frame) => visit(&files.frame()),
            Ok(Step::End) => break,
            // Damage ends one capture; the others go on.
            Ok(_) | Err(_) => {}
        }
    }
}

fn count(decoder: &mut Decoder, frame: &Frame<'_>, counts: &mut PacketCounts) {
    counts.count_read(frame.wire_len);
    match decoder.decode(frame) {
        Ok(packet) => {
            counts.count_decoded();
            assert!(packet.ip.len() as u64 <= u64::from(packet.ip_len));
            assert!(packet.fresh_len <= packet.ip_len);
        }
        Err(skip) => counts.count_skipped(skip),
    }
}
