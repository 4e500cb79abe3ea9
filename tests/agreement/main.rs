//! Agreement with others: captures that nobody here made, what other tools say of them, and what our records say.
//!
//! `make agreement` runs the comparison over all sources, prints how much agrees, writes `docs/agreement.md` and fails
//! where a floor is missed. Each source has a module that reads what it expects. Captures are found in
//! `../shared/captures` or in `BONGSU_CAPTURES`; without them nothing is run, and it says so.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod arkime;
mod community_id;
mod compare;
mod conversation;
mod corpus;
mod ipfixprobe;
mod ja4;
mod ndpi;
mod reasons;
mod records;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod suricata;
mod zeek;

use std::path::Path;

use corpus::Corpus;
use report::Tally;

const SOURCES: [&str; 8] =
    ["arkime", "community-id", "ipfixprobe", "ja4", "ndpi", "suricata-verify", "wireshark", "zeek"];

#[test]
#[ignore = "replays some 300 captures; `make agreement` does"]
fn agreement() {
    let Some(corpus) = Corpus::open() else { return };
    corpus.replay(&SOURCES);
    let readers = [
        community_id::tallies,
        arkime::tallies,
        zeek::tallies,
        ndpi::tallies,
        ja4::tallies,
        ipfixprobe::tallies,
        suricata::tallies,
    ];
    let tallies: Vec<Tally> = readers.iter().flat_map(|tallies| tallies(&corpus)).collect();
    println!("\n{}", report::summary(&tallies));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agreement.md");
    std::fs::create_dir_all(page.parent().unwrap()).unwrap();
    std::fs::write(page, report::page(&tallies)).unwrap();
    assert_eq!(report::missed(&tallies), [""; 0], "below their floor");
}

#[test]
fn identifiers_and_fingerprints_are_those_of_their_authors() {
    let Some(corpus) = Corpus::open() else { return };
    corpus.replay(&["community-id", "ja4", "wireshark"]);
    let tallies = [community_id::tallies(&corpus), ja4::tallies(&corpus)].concat();
    assert_eq!(report::missed(&tallies), [""; 0], "{}", report::summary(&tallies));
}
