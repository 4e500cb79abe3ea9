//! The reader and the filters over captures that others made, where they are at hand.
//! Comes in: the folder `shared/captures`, or the one that `BONGSU_CAPTURES` names. Goes out: verdicts, or "not run".
//! Refuses to guess: what should come out stands in the folder's index, or is what tcpdump says.

use std::fs;
use std::path::{Path, PathBuf};

use super::sample::{Event, drain};
use super::{Files, Filter, Frame, Source, Step, folder};

/// Where the captures of others are, if they are.
fn shared_captures() -> Option<PathBuf> {
    let told = std::env::var_os("BONGSU_CAPTURES").map(PathBuf::from);
    let folder = told.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"));
    folder.join("INDEX.tsv").is_file().then_some(folder)
}

#[test]
fn every_capture_of_the_index_has_the_packets_it_is_said_to_have() {
    let Some(folder) = shared_captures() else {
        println!("not run: no shared/captures/INDEX.tsv");
        return;
    };
    let index = fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let (mut sound, mut warned, mut packets, mut wrong) = (0, 0, 0, Vec::new());
    for row in index.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (path, expected, warning) = (columns[0], columns[10], columns.get(19).copied().unwrap_or(""));
        let (seen, errors) = drain(&mut Files::open(&[folder.join(path)]));
        packets += seen.len();
        if !warning.trim().is_empty() {
            println!("{path}: {} of {expected} packets, {errors:?} ({warning})", seen.len());
            warned += 1;
        } else if seen.len().to_string() != expected || !errors.is_empty() {
            wrong.push(format!("{path}: {} of {expected} packets, {errors:?}", seen.len()));
        }
        sound += 1;
    }
    println!("{sound} captures, {warned} of them with a reader's warning, {packets} packets");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_captures_of_others_merge_into_one_stream() {
    let Some(folder) = shared_captures() else {
        println!("not run: no shared/captures/INDEX.tsv");
        return;
    };
    let mut files = Files::open(&[folder]);
    let (mut packets, mut errors) = (0_u64, 0);
    loop {
        match files.step() {
            Ok(Step::Frame) => packets += 1,
            Ok(Step::End) => break,
            Ok(_) => {}
            Err(_) => errors += 1,
        }
    }
    println!(
        "{packets} packets, {errors} errors, {} files that are no captures",
        files.skipped_files().len()
    );
    assert!(packets > 100_000);
}

#[test]
fn filters_agree_with_tcpdump() {
    let Some(folder) = shared_captures() else {
        println!("not run: no shared/captures/INDEX.tsv");
        return;
    };
    let expressions = [
        "tcp port 80",
        "udp and not port 53",
        "ip6 or vlan",
        "greater 200",
        "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
        "src net 10.0.0.0/8 and ip[8] < 65",
        "ip proto 1 or (ether multicast and less 128)",
        "mpls or pppoes or tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    ];
    let captures = ["arkime", "tcpdump", "ndpi", "suricata-verify"].map(|name| folder.join(name));
    let paths: Vec<_> = captures.iter().flat_map(|folder| folder::below(folder).files).collect();
    let mut compared = 0;
    for (number, path) in paths.iter().enumerate().filter(|(number, _)| number % 5 == 0) {
        let expression = expressions[number / 5 % expressions.len()];
        let told = std::process::Command::new("tcpdump")
            .arg("-nnttr")
            .arg(path)
            .arg("--count")
            .arg(expression)
            .output();
        let Ok(told) = told else {
            println!("not run: no tcpdump");
            return;
        };
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let Some(expected) = text.split_whitespace().next().and_then(|word| word.parse::<usize>().ok())
        else {
            continue;
        };
        let mut filter = Filter::new(expression).unwrap();
        let (seen, _) = drain(&mut Files::open(std::slice::from_ref(path)));
        let accepted = seen.iter().filter(|event| match event {
            Event::Frame { time, link, wire_len, data } => {
                filter.accepts(&Frame { time: *time, link: *link, wire_len: *wire_len, data })
            }
            Event::Beat(_) => false,
        });
        assert_eq!(accepted.count(), expected, "{} {expression}", path.display());
        compared += 1;
    }
    println!("{compared} captures filtered as tcpdump does");
    assert!(compared > 20);
}
