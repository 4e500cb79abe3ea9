//! A number of a shipped rule, changed: once in a copy of the rules, once by its id in a configuration. Both move or
//! remove the alert in the same way. And what a verdict is reached by, changed in a copy of the rules.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::path::Path;

use bongsu::synth::{Scenario, per_sec};
use serde_json::Value;
use support::{Answer, WEB, crowd_at_home, foreign_flood, one_incident, replay, written};

/// One number of a shipped rule, as it stands in the rules file and as a configuration changes it.
struct Change<'a> {
    file: &'a str,
    rule: &'a str,
    line: &'a str,
    to: &'a str,
    patch: &'a str,
}

const SHARE: Change<'_> = Change {
    file: "foreign.yaml",
    rule: "foreign-concentration",
    line: "share: {gte: 30%}",
    to: "share: {gte: 60%}",
    patch: "{when: {share: {gte: 60%}}}",
};

const RATE: Change<'_> = Change {
    file: "foreign.yaml",
    rule: "foreign-concentration",
    line: "rate: {gte: 10/s}",
    to: "rate: {gte: 30/s}",
    patch: "{when: {rate: {gte: 30/s}}}",
};

/// The other rules that the flood would fire are off, so that the changed one decides alone.
const OTHERS_OFF: &str = "  foreign-network: {mode: off}\n  foreign-prefix: {mode: off}\n  foreign-source: {mode: off}\n  foreign-access: {mode: off}\n  foreign-packets: {mode: off}\n  source-flood: {mode: off}\n  server-errors: {mode: off}\n";

/// Half of all requests come from abroad for 25 s: 40 of 80 a second.
fn half_from_abroad() -> Scenario {
    Scenario::new(11).with(crowd_at_home(per_sec(40))).with(foreign_flood(per_sec(40)))
}

/// The shipped rules in `folder`, with the change.
fn copy_with(change: &Change<'_>, folder: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    for entry in std::fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        if entry.file_name() == change.file {
            let rule = if change.rule.is_empty() {
                0
            } else {
                text.find(&format!("- id: {}", change.rule)).unwrap()
            };
            let place = rule + text[rule..].find(change.line).unwrap();
            text.replace_range(place..place + change.line.len(), change.to);
        }
        std::fs::write(folder.join(entry.file_name()), text).unwrap();
    }
}

/// What the program says with the change made in a copy and made in a configuration: the same.
fn tuned(change: &Change<'_>, capture: &Path) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    copy_with(change, &rules);
    let others = folder.path().join("others.yaml");
    std::fs::write(&others, format!("rules:\n{OTHERS_OFF}")).unwrap();
    let changed = folder.path().join("changed.yaml");
    std::fs::write(&changed, format!("rules:\n{OTHERS_OFF}  {}: {}\n", change.rule, change.patch)).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let with = |more: &[&str]| replay(capture, &[&["-s", WEB, "--home", "KR"], more].concat()).exits(0);
    let copied = with(&["-S", &path(&rules), "-c", &path(&others)]);
    let overridden = with(&["-c", &path(&changed)]);
    assert_eq!(copied.stdout, overridden.stdout);
    overridden
}

fn untouched(capture: &Path) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, format!("rules:\n{OTHERS_OFF}")).unwrap();
    replay(capture, &["-s", WEB, "--home", "KR", "-c", config.to_str().unwrap()]).exits(0)
}

fn detected(answer: &Answer) -> Value {
    one_incident(&answer.alerts())[0]["incident"]["detected"].clone()
}

#[test]
fn a_higher_share_removes_the_alert() {
    let (_folder, capture) = written(&half_from_abroad());
    detected(&untouched(&capture));
    assert_eq!(tuned(&SHARE, &capture).alert_lines(), Vec::<&str>::new());
}

#[test]
fn a_higher_rate_moves_the_alert() {
    let (_folder, capture) = written(&half_from_abroad());
    let (before, after) = (detected(&untouched(&capture)), detected(&tuned(&RATE, &capture)));
    assert!(before.as_str() < after.as_str(), "{before} {after}");
}

/// The shipped rules with one line of a file changed; answers what the program says of half the requests from abroad.
fn with_line(file: &str, line: &str, to: &str) -> Answer {
    let (folder, capture) = written(&half_from_abroad());
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let change = Change { file, rule: "", line, to, patch: "" };
    copy_with(&change, &rules);
    replay(&capture, &["-s", WEB, "--home", "KR", "-S", rules.to_str().unwrap()])
}

#[test]
fn a_file_of_ones_own_says_how_sure_a_verdict_must_be() {
    let label = |line, to| {
        let answer = with_line("verdict.yaml", line, to).exits(0);
        one_incident(&answer.alerts()).last().unwrap()["verdict"]["label"].clone()
    };
    assert_eq!(label("", ""), "attack");
    assert_eq!(label("probability: 60%", "probability: 100%"), "unknown");
}

#[test]
fn a_rule_may_say_what_it_is_and_is_told_a_word_it_does_not_know() {
    let line = "measure: accesses";
    let said =
        with_line("foreign.yaml", line, "measure: accesses\n  verdict: brute_force/coordinated").exits(0);
    let alerts = said.alerts();
    let verdict = &one_incident(&alerts).last().unwrap()["verdict"];
    assert_eq!((&verdict["label"], &verdict["kind"]), (&"brute_force".into(), &"coordinated".into()));
    let wrong =
        with_line("foreign.yaml", line, "measure: accesses\n  verdict: brute_force/cordinated").exits(2);
    assert!(wrong.stderr.contains("brute_force/coordinated"), "{}", wrong.stderr);
}
