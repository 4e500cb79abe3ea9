//! The specification's community IDs, and Wireshark's for a capture of all kinds of packets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::conversation::Proto;
use crate::corpus::{Corpus, text_of};
use crate::report::{Difference, Reason, Tally};

/// How many IDs are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let rows = rows(corpus);
    vec![specification(corpus, &rows), wireshark(corpus, &rows)]
}

/// What the specification says of a five-tuple that is in one of its captures.
struct Row {
    proto: u64,
    addresses: [IpAddr; 2],
    id: String,
}

/// The baseline of seed 0.
fn rows(corpus: &Corpus) -> Vec<Row> {
    let files = corpus.expected("community-id");
    let Some(baseline) = files.iter().find(|file| file.ends_with("baseline_deflt.json")) else {
        return Vec::new();
    };
    let document: Value = serde_json::from_str(&text_of(baseline)).unwrap();
    document.as_array().into_iter().flatten().filter_map(row).collect()
}

fn row(row: &Value) -> Option<Row> {
    let address = |name: &str| row[name].as_str()?.parse().ok();
    let addresses = [address("saddr")?, address("daddr")?];
    Some(Row { proto: row["proto"].as_u64()?, addresses, id: row["communityid"].as_str()?.to_owned() })
}

fn specification(corpus: &Corpus, rows: &[Row]) -> Tally {
    let mut tally = Tally::new("community-id", "IDs of the specification", Some(100.0));
    let captures = corpus.of("community-id");
    tally.captures = captures.len();
    let flows: Vec<_> =
        captures.iter().flat_map(|capture| capture.records().flows.values().flatten()).collect();
    for row in rows {
        let [one, other] = row.addresses;
        let is_met = flows.iter().any(|flow| {
            let ends = flow.ends.map(|(address, _)| address);
            (ends == [one, other] || ends == [other, one]) && flow.community_id.as_ref() == Some(&row.id)
        });
        let theirs = format!("protocol {}, {one} → {other}: {}", row.proto, row.id);
        add(&mut tally, ("community-id", theirs), is_met, Proto::numbered(row.proto).is_some());
    }
    tally
}

/// A line for each packet, empty where Wireshark gives no ID.
fn wireshark(corpus: &Corpus, rows: &[Row]) -> Tally {
    let mut tally = Tally::new("wireshark", "community IDs", Some(100.0));
    for capture in corpus.of("wireshark") {
        let texts = capture.expected_texts(".txt");
        let lines = texts.iter().flat_map(|(_, text)| text.lines()).map(str::trim);
        let ids: BTreeSet<&str> = lines.filter(|line| line.starts_with("1:")).collect();
        tally.captures += usize::from(!ids.is_empty());
        let flows = capture.records().flows.values().flatten();
        let ours: BTreeSet<&str> = flows.filter_map(|flow| flow.community_id.as_deref()).collect();
        for id in ids {
            let has_flow = !rows.iter().any(|row| row.id == id && Proto::numbered(row.proto).is_none());
            add(&mut tally, (&capture.name, id.to_owned()), ours.contains(id), has_flow);
        }
    }
    tally
}

/// Counts an ID, or names it where its protocol has no flows.
fn add(tally: &mut Tally, (capture, theirs): (&str, String), is_met: bool, has_flow: bool) {
    tally.rows += usize::from(has_flow);
    tally.matched += usize::from(has_flow && is_met);
    let difference =
        |reason| Difference { capture: capture.to_owned(), theirs, ours: "none".to_owned(), reason };
    if !has_flow {
        tally.left_out.push(difference(Reason::Definition("a protocol whose packets are no flow")));
    } else if !is_met {
        tally.differences.push(difference(Reason::Ours("no flow with this ID")));
    }
}
