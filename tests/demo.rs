//! What `bongsu demo` shows: every episode of its story told as what it was, and files to go on with.

mod support;

use std::fs;

use support::run;

#[test]
#[ignore = "plays a million packets; run it in a release build"]
fn every_episode_is_told_as_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let within = |name: &str| folder.path().join(name);
    let answer = run(["demo", "--folder", folder.path().to_str().unwrap()]).exits(0);
    assert!(answer.stdout.contains("5 of 5 were told as what they were, and nothing else was told."));
    assert!(answer.stdout.contains("country"), "origins are named with their countries");
    for file in ["capture.pcap.zst", "truth.json", "bongsu.yaml", "alerts.jsonl"] {
        assert!(fs::metadata(within(file)).unwrap().len() > 0, "{file}");
    }
    // The configuration that was left behind says the same once more.
    let again = run([
        "replay",
        within("capture.pcap.zst").to_str().unwrap(),
        "-c",
        within("bongsu.yaml").to_str().unwrap(),
        "-o",
        "-",
    ]);
    assert_eq!(again.exits(0).stdout, fs::read_to_string(within("alerts.jsonl")).unwrap());
}
