//! ipfixprobe's flows: a CSV for each plugin that was on, its columns named in the last line. Some plugins end a flow
//! at each request and tell it again for each thing they find, so all flows between the same ends are one row.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::compare::compare;
use crate::conversation::{Conversation, Key, Proto};
use crate::corpus::{Capture, Corpus, holder_of, name_of, text_of};
use crate::report::Tally;

const SOURCE: &str = "ipfixprobe";

/// How many of its flows are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let mut by_packets = Tally::new(SOURCE, "flows by ends and packets", Some(95.0));
    let mut by_bytes = Tally::new(SOURCE, "the same with IP bytes", None);
    let captures = corpus.of(SOURCE);
    for file in corpus.expected(SOURCE) {
        let rows = rows(&text_of(&file));
        let Some(capture) = capture_of(&file, &rows, &captures) else { continue };
        let name = format!("{} ({})", capture.name, name_of(&file));
        let without_bytes = rows.iter().map(Conversation::without_bytes).collect();
        by_packets.add(compare(&name, without_bytes, capture.records()));
        by_bytes.add(compare(&name, rows, capture.records()));
    }
    vec![by_packets, by_bytes]
}

/// The capture of the same name, or the one that holds most of the rows.
fn capture_of<'a>(file: &Path, rows: &[Conversation], captures: &[&'a Capture]) -> Option<&'a Capture> {
    let name = name_of(file);
    let stem = name.strip_suffix(".out")?;
    let namesake = captures.iter().copied().find(|capture| capture.stem() == stem);
    namesake.or_else(|| holder_of(rows, captures))
}

fn rows(text: &str) -> Vec<Conversation> {
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(header) = lines.pop() else { return Vec::new() };
    // Each column is named with its type: `uint32 PACKETS`.
    let names: Vec<&str> = header.split(',').filter_map(|column| column.split(' ').nth(1)).collect();
    let mut told = BTreeSet::new();
    let mut between: BTreeMap<Key, Conversation> = BTreeMap::new();
    for (times, row) in lines.iter().filter_map(|line| row(&names, line)) {
        // A plugin that has several things to say of a flow repeats its times and packets.
        if !told.insert((row.key(), times, row.packets)) {
            continue;
        }
        match between.entry(row.key()) {
            Entry::Vacant(place) => drop(place.insert(row)),
            Entry::Occupied(mut all) => all.get_mut().add(&row),
        }
    }
    between.into_values().collect()
}

/// A flow, and its times as they are written.
fn row<'a>(names: &[&str], line: &'a str) -> Option<([&'a str; 2], Conversation)> {
    // What may hold commas of its own stands behind the columns that are read here.
    let cells: Vec<&str> = line.split(',').collect();
    let cell = |name: &str| cells.get(names.iter().position(|title| *title == name)?).copied();
    let proto = Proto::numbered(cell("PROTOCOL")?.parse().ok()?)?;
    let end = |address: &str, port: &str| Some((cell(address)?.parse().ok()?, cell(port)?.parse().ok()?));
    let ends = [end("SRC_IP", "SRC_PORT")?, end("DST_IP", "DST_PORT")?];
    let counts = |from, to| Some([cell(from)?.parse().ok()?, cell(to)?.parse().ok()?]);
    let bytes = counts("BYTES", "BYTES_REV");
    let flow = Conversation { bytes, ..Conversation::new(proto, ends, counts("PACKETS", "PACKETS_REV")?) };
    Some(([cell("TIME_FIRST")?, cell("TIME_LAST")?], flow))
}
