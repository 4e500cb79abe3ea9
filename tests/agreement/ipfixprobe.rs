//! ipfixprobe's flows: a CSV for each plugin that was on, its columns named in the last line. Some plugins end a flow
//! at each request and tell it again for each thing they find, so all flows between the same ends are one row.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::compare::compare;
use crate::conversation::{Conversation, Key, Proto};
use crate::corpus::{Capture, Corpus, holder_of, name_of, text_of};
use crate::report::Tally;

const SOURCE: &str = "ipfixprobe";

/// How many of its flows are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let mut tally = Tally::new(SOURCE, "flows by ends and packets", Some(95.0));
    let captures = corpus.of(SOURCE);
    for file in corpus.expected(SOURCE) {
        let rows = rows(&text_of(&file));
        let Some(capture) = capture_of(&file, &rows, &captures) else { continue };
        tally.add(compare(&format!("{} ({})", capture.name, name_of(&file)), rows, capture.records()));
    }
    vec![tally]
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
        let all = between.entry(row.key()).or_insert_with(|| Conversation { packets: [0, 0], ..row.clone() });
        let [first, second] = if row.ends == all.ends { [0, 1] } else { [1, 0] };
        all.packets[0] += row.packets[first];
        all.packets[1] += row.packets[second];
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
    let packets = [cell("PACKETS")?.parse().ok()?, cell("PACKETS_REV")?.parse().ok()?];
    Some(([cell("TIME_FIRST")?, cell("TIME_LAST")?], Conversation::new(proto, ends, packets)))
}
