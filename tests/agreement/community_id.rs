//! The specification's community IDs, and Wireshark's for a capture of all kinds of packets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::corpus::{Corpus, text_of};
use crate::report::{Difference, Reason, Tally};

/// How many IDs are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    vec![specification(corpus), wireshark(corpus)]
}

/// The baseline of seed 0 gives the ID of each five-tuple that is in any of the captures.
fn specification(corpus: &Corpus) -> Tally {
    let mut tally = Tally::new("community-id", "IDs of the specification", Some(100.0));
    let captures = corpus.of("community-id");
    tally.captures = captures.len();
    let baseline =
        corpus.expected("community-id").into_iter().find(|file| file.ends_with("baseline_deflt.json"));
    let Some(baseline) = baseline else { return tally };
    let document: Value = serde_json::from_str(&text_of(&baseline)).unwrap();
    let ids: BTreeSet<(IpAddr, IpAddr, &str)> = captures
        .iter()
        .flat_map(|capture| capture.records().flows.values().flatten())
        .filter_map(|flow| {
            let [(one, _), (other, _)] = flow.key().ends;
            Some((one, other, flow.community_id.as_deref()?))
        })
        .collect();
    for row in document.as_array().into_iter().flatten() {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let (Ok(source), Ok(destination)) =
            (text("saddr").parse::<IpAddr>(), text("daddr").parse::<IpAddr>())
        else {
            continue;
        };
        let id = text("communityid");
        tally.rows += 1;
        if ids.contains(&(source.min(destination), source.max(destination), id)) {
            tally.matched += 1;
        } else {
            tally.differences.push(Difference {
                capture: "community-id".to_owned(),
                theirs: format!(
                    "protocol {}, {source} {} → {destination} {}: {id}",
                    row["proto"], row["sport"], row["dport"]
                ),
                ours: "none".to_owned(),
                reason: Reason::Ours("no flow with this ID"),
            });
        }
    }
    tally
}

/// A line for each packet, empty where Wireshark gives no ID.
fn wireshark(corpus: &Corpus) -> Tally {
    let mut tally = Tally::new("wireshark", "community IDs", Some(100.0));
    for capture in corpus.of("wireshark") {
        let lists: Vec<String> = capture.expected_texts(".txt").into_iter().map(|(_, text)| text).collect();
        let ids: BTreeSet<&str> = lists
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .filter(|line| line.starts_with("1:"))
            .collect();
        if ids.is_empty() {
            continue;
        }
        tally.captures += 1;
        tally.rows += ids.len();
        let flows = capture.records().flows.values().flatten();
        let ours: BTreeSet<&str> = flows.filter_map(|flow| flow.community_id.as_deref()).collect();
        for id in ids {
            if ours.contains(id) {
                tally.matched += 1;
                continue;
            }
            tally.differences.push(Difference {
                capture: capture.name.clone(),
                theirs: id.to_owned(),
                ours: "none".to_owned(),
                reason: Reason::Ours("no flow with this ID"),
            });
        }
    }
    tally
}
