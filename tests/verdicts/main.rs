//! Whether the verdicts are right: captures that nobody here made, and scenarios whose truth is known.
//!
//! `make verdicts` scores both, writes `docs/verdicts.md` and fails where a demand is missed. The captures are found in
//! `../shared/captures` or in `BONGSU_CAPTURES`; without them their part is not run, and it says so. What is demanded
//! stands as data in `demands.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod captures;
mod corpus;
mod demands;
mod said;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use corpus::Corpus;

#[test]
#[ignore = "replays all shared captures and plays hundreds of scenarios; `make verdicts` does"]
fn verdicts() {
    let captures = Corpus::open().map(|corpus| captures::judge(&corpus)).unwrap_or_default();
    println!("\n{}", captures::summary(&captures));
    write("docs/verdicts.md", &captures::section(&captures));
    assert_eq!(captures::missed(&captures), [""; 0], "demands that are not met");
}

/// Writes a file of the project.
fn write(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
