//! What is heard in captures that others made, against what others heard in them.
//! Comes in: `shared/captures`, or the folder that `BONGSU_CAPTURES` names. Goes out: verdicts, or "not run".

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::tests::told;
use super::*;
use crate::capture::{Files, Source, Step};
use crate::decode::{Decoder, Transport};
use crate::flow::key::{FlowKey, Protocol, Side};

/// Where the captures of others are, if they are.
fn shared_captures() -> Option<PathBuf> {
    let told = std::env::var_os("BONGSU_CAPTURES").map(PathBuf::from);
    let folder = told.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"));
    folder.join("INDEX.tsv").is_file().then_some(folder)
}

/// What was said in a capture: who began the conversation, and the words.
fn overhear(path: &Path) -> Vec<String> {
    let mut conversations: HashMap<FlowKey, (Side, Speech)> = HashMap::new();
    let mut room = Room::new(64 << 20, TrustedProxies::default());
    let mut said = Vec::new();
    let mut decoder = Decoder::default();
    let mut files = Files::open(&[path.to_owned()]);
    loop {
        match files.step() {
            Ok(Step::Frame) => {}
            Ok(Step::End) => break,
            Ok(_) | Err(_) => continue,
        }
        let frame = files.frame();
        let Ok(packet) = decoder.decode(&frame) else { continue };
        let protocol = match packet.transport {
            Transport::Tcp(_) => Protocol::Tcp,
            Transport::Udp(_) => Protocol::Udp,
            _ => continue,
        };
        let (source, destination) = packet.endpoints();
        let ends = [source, destination].map(|end| (end.ip(), end.port()));
        let (key, side) = FlowKey::of(ends, protocol);
        let opens = matches!(&packet.transport, Transport::Tcp(tcp) if tcp.flags.syn && !tcp.flags.ack);
        let (client, speech) = conversations.entry(key).or_insert_with(|| (side, Speech::default()));
        let mut hearing = Hearing { now: frame.time, room: &mut room };
        let mut say = |what: Said<'_>| said.push(format!("{} {}", key.end(*client), told(&what)));
        if opens && speech.at != [Place::Start; 2] {
            speech.end(&mut hearing, &mut say);
            *speech = Speech::default();
        }
        let from = if side == *client { Direction::ToServer } else { Direction::ToClient };
        match &packet.transport {
            Transport::Tcp(segment) => speech.segment(from, segment, &mut hearing, &mut say),
            Transport::Udp(datagram) => speech.datagram(from, datagram.payload, &mut hearing, &mut say),
            _ => {}
        }
    }
    for (key, (client, mut speech)) in conversations {
        let mut hearing = Hearing { now: Timestamp::default(), room: &mut room };
        speech.end(&mut hearing, &mut |what| said.push(format!("{} {}", key.end(client), told(&what))));
    }
    assert_eq!(room.used(), 0, "{}", path.display());
    said
}

/// `BONGSU_OVERHEAR=FILE:FILE cargo test --lib overheard -- --nocapture` prints what is said in captures.
#[test]
fn what_is_overheard() {
    let Some(paths) = std::env::var_os("BONGSU_OVERHEAR") else {
        println!("not run: no BONGSU_OVERHEAR");
        return;
    };
    for path in std::env::split_paths(&paths) {
        println!("in {}", path.display());
        for line in overhear(&path) {
            println!("{line}");
        }
    }
}

/// The fingerprints of clients that the authors' own program writes.
#[test]
fn every_ja4_of_its_authors_comes_out() {
    let Some(folder) = shared_captures().map(|folder| folder.join("ja4")) else {
        println!("not run: no shared/captures/INDEX.tsv");
        return;
    };
    let (mut matched, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder.join("expected")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(capture) = name.strip_prefix("ja4__insta@").and_then(|name| name.strip_suffix(".snap"))
        else {
            continue;
        };
        let mut left = BTreeMap::new();
        for ja4 in fs::read_to_string(&path).unwrap().lines().filter_map(|l| l.trim().strip_prefix("ja4: ")) {
            *left.entry(ja4.to_owned()).or_insert(0) += 1;
        }
        for line in overhear(&folder.join(capture)).iter().filter(|line| line.contains(" hello ")) {
            let ja4 = line.split(' ').nth(4).unwrap();
            match left.get_mut(ja4) {
                Some(count) => {
                    *count -= 1;
                    matched += 1;
                }
                None => wrong.push(format!("{capture}: {line} is not expected")),
            }
        }
        let missing = left.into_iter().filter(|(_, count)| *count != 0);
        wrong.extend(missing.map(|(ja4, count)| format!("{capture}: {ja4} {count} times too few")));
    }
    println!("{matched} fingerprints");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(matched > 0);
}
