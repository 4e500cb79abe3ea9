//! What the author of a wrong configuration or a wrong rule is told: file, line, column, what was expected and the
//! nearest right word; the same by `rules check` and by `replay`, all of it at once, exit 2.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};

use bongsu::synth::{Scenario, per_sec, secs};
use support::{Answer, run, written};

/// A wrong text, where it is wrong, and words that the message must hold.
struct Case {
    name: &'static str,
    text: &'static str,
    at: (usize, usize),
    says: &'static [&'static str],
}

const CONFIGURATIONS: [Case; 17] = [
    Case {
        name: "a key of the configuration",
        text: "sensr: mirror-1\n",
        at: (1, 1),
        says: &["unknown key 'sensr'", "expected one of", "did you mean 'sensor'?"],
    },
    Case {
        name: "one value where a list is wanted",
        text: "sensor: mirror-1\nhome: KR\n",
        at: (2, 7),
        says: &["expected a list", "did you mean '[KR]'?"],
    },
    Case {
        name: "a country of three letters",
        text: "home: [KR, KOR]\n",
        at: (1, 12),
        says: &["expected a country code of two letters", "'KOR'"],
    },
    Case {
        name: "an address that is none",
        text: "services:\n  - name: web\n    addresses: [10.0.0.300]\n    ports: [80]\n",
        at: (3, 17),
        says: &["expected an address", "10.0.0.300"],
    },
    Case {
        name: "a port too high",
        text: "services:\n  - name: web\n    addresses: [10.0.0.1]\n    ports: [80, 80443]\n",
        at: (4, 17),
        says: &["expected a port", "80443"],
    },
    Case {
        name: "a key of a service",
        text: "services:\n  - name: web\n    adresses: [10.0.0.1]\n    ports: [80]\n",
        at: (3, 5),
        says: &["unknown key 'adresses'", "did you mean 'addresses'?"],
    },
    Case {
        name: "a role of a label",
        text: "labels:\n  - name: bot\n    role: crawlr\n    prefixes: [66.249.64.0/19]\n",
        at: (3, 11),
        says: &["expected a role", "crawler", "did you mean 'crawler'?"],
    },
    Case {
        name: "a kind of the calendar",
        text: "calendar:\n  - name: night\n    kind: maintenence\n    from: 2023-11-22T02:00:00+09:00\n    to: 2023-11-22T03:00:00+09:00\n",
        at: (3, 11),
        says: &["maintenance", "did you mean 'maintenance'?"],
    },
    Case {
        name: "a time zone",
        text: "timezone: Asia/Seol\n",
        at: (1, 11),
        says: &["expected a time zone", "did you mean 'Asia/Seoul'?"],
    },
    Case {
        name: "a kind of sink",
        text: "sinks:\n  - flie: {path: alerts.jsonl}\n",
        at: (2, 5),
        says: &["unknown sink 'flie'", "expected one of", "did you mean 'file'?"],
    },
    Case {
        name: "a rule that is not there",
        text: "rules:\n  foreign-concentratoin: {when: {share: {gte: 40%}}}\n",
        at: (2, 3),
        says: &["foreign-concentratoin", "did you mean 'foreign-concentration'?"],
    },
    Case {
        name: "a unit in a change of a rule",
        text: "rules:\n  foreign-concentration: {when: {rate: {gte: 40/week}}}\n",
        at: (2, 46),
        says: &["expected a rate", "40/week"],
    },
    Case {
        name: "a service of the calendar",
        text: "services: [{name: web, addresses: [10.0.0.1], ports: [80]}]\ncalendar:\n  - name: night\n    kind: maintenance\n    services: [web, wbe]\n    from: 2023-11-22T02:00:00+09:00\n    to: 2023-11-22T03:00:00+09:00\n",
        at: (5, 21),
        says: &["expected the name of a service", "'wbe'", "did you mean 'web'?"],
    },
    Case {
        name: "a rule that is muted",
        text: "services: [{name: web, addresses: [10.0.0.1], ports: [80]}]\nmute:\n  - {name: m, rule: load-surgee, service: web, up_to: medium, until: 2026-12-01T06:00:00+09:00}\n",
        at: (3, 21),
        says: &["expected the id of a rule", "'load-surgee'", "did you mean 'load-surge'?"],
    },
    Case {
        name: "a service that is muted",
        text: "services: [{name: web, addresses: [10.0.0.1], ports: [80]}]\nmute:\n  - {name: m, rule: load-surge, service: wbe, up_to: medium, until: 2026-12-01T06:00:00+09:00}\n",
        at: (3, 42),
        says: &["expected the name of a service", "'wbe'", "did you mean 'web'?"],
    },
    Case {
        name: "a service of a rule",
        text: "services: [{name: web, addresses: [10.0.0.1], ports: [80]}]\nrules:\n  load-surge: {where: {services: [wbe]}}\n",
        at: (3, 35),
        says: &["expected the name of a service", "'wbe'", "did you mean 'web'?"],
    },
    Case {
        name: "a key given twice",
        text: "home: [KR]\nsensor: a\nhome: [US]\n",
        at: (3, 1),
        says: &["'home'", "line 1"],
    },
];

const RULES: [Case; 12] = [
    Case {
        name: "a key of a rule",
        text: "- id: busy\n  title: Busy\n  levle: low\n  group_by: source\n  measure: requests\n  timespan: 10s\n  when: {rate: {gte: 20/s}}\n",
        at: (3, 3),
        says: &["unknown key 'levle'", "expected one of", "did you mean 'level'?"],
    },
    Case {
        name: "a level",
        text: "- id: busy\n  title: Busy\n  level: hihg\n  group_by: source\n  measure: requests\n  timespan: 10s\n  when: {rate: {gte: 20/s}}\n",
        at: (3, 10),
        says: &["expected a level", "low, medium, high, critical", "did you mean 'high'?"],
    },
    Case {
        name: "a group",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: contry\n  measure: requests\n  timespan: 10s\n  when: {rate: {gte: 20/s}}\n",
        at: (4, 13),
        says: &["country", "did you mean 'country'?"],
    },
    Case {
        name: "a measure",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  measure: request\n  timespan: 10s\n  when: {rate: {gte: 20/s}}\n",
        at: (5, 12),
        says: &["expected a measure", "did you mean 'requests'?"],
    },
    Case {
        name: "a time without a unit",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  measure: requests\n  timespan: 10\n  when: {rate: {gte: 20/s}}\n",
        at: (6, 13),
        says: &["expected", "'10'", "10s"],
    },
    Case {
        name: "a rate without a unit",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  measure: requests\n  timespan: 10s\n  when: {rate: {gte: 20}}\n",
        at: (7, 22),
        says: &["expected a rate", "'20'", "20/s"],
    },
    Case {
        name: "a share above all",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  measure: requests\n  timespan: 10s\n  when: {share: {gte: 130%}}\n",
        at: (7, 23),
        says: &["expected", "130%"],
    },
    Case {
        name: "a comparison",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  measure: requests\n  timespan: 10s\n  when: {rate: {get: 20/s}}\n",
        at: (7, 17),
        says: &["'get'", "gte", "did you mean 'gte'?"],
    },
    Case {
        name: "a filter",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  where: {foriegn: true}\n  measure: requests\n  timespan: 10s\n  when: {rate: {gte: 20/s}}\n",
        at: (5, 11),
        says: &["unknown key 'foriegn'", "did you mean 'foreign'?"],
    },
    Case {
        name: "a missing key",
        text: "- id: busy\n  title: Busy\n  level: low\n  group_by: source\n  timespan: 10s\n  when: {rate: {gte: 20/s}}\n",
        at: (1, 3),
        says: &["missing key 'measure'"],
    },
    Case {
        name: "an id given twice",
        text: "- {id: busy, title: Busy, level: low, group_by: source, measure: requests, timespan: 10s, when: {rate: {gte: 20/s}}}\n- {id: busy, title: Busy, level: low, group_by: source, measure: requests, timespan: 10s, when: {rate: {gte: 20/s}}}\n",
        at: (2, 3),
        says: &["'busy'", "twice", "own.yaml:1:3"],
    },
    Case {
        name: "a list that is never closed",
        text: "- id: busy\n  title: [Busy\n",
        at: (2, 10),
        says: &["expected valid YAML", "unclosed bracket"],
    },
];

/// The text as a file, through `rules check` and through `replay` with `flag`.
fn both_ways(name: &str, text: &str, flag: &str) -> [Answer; 2] {
    let tiny = Scenario::new(41).with(support::crowd_at_home(per_sec(1)).over(secs(1)));
    let (folder, capture) = written(&tiny);
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    let (file, capture) = (file.to_str().unwrap(), capture.to_str().unwrap());
    [run(["rules", "check", file]), run(["replay", capture, flag, file])]
}

fn assert_told(case: &Case, name: &str, flag: &str) {
    let [checked, replayed] = both_ways(name, case.text, flag);
    for answer in [&checked, &replayed] {
        assert_eq!(answer.code, Some(2), "{}: {}{}", case.name, answer.stdout, answer.stderr);
        assert_eq!(answer.stdout, "", "{}", case.name);
        let place = format!("{name}:{}:{}: ", case.at.0, case.at.1);
        for said in case.says.iter().copied().chain([place.as_str()]) {
            assert!(
                answer.stderr.contains(said),
                "{}: expected \"{said}\" in:\n{}",
                case.name,
                answer.stderr
            );
        }
    }
    assert_eq!(
        without_folder(&checked.stderr, name),
        without_folder(&replayed.stderr, name),
        "{}",
        case.name
    );
}

/// The message with the name of the file alone, without the folder it is in.
fn without_folder(said: &str, name: &str) -> String {
    said.split_whitespace()
        .map(|word| word.rfind(&format!("/{name}:")).map_or(word, |folder| &word[folder + 1..]))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_wrong_configuration_is_told_where_and_what() {
    for case in &CONFIGURATIONS {
        assert_told(case, "bongsu.yaml", "-c");
    }
}

#[test]
fn every_wrong_rule_is_told_where_and_what() {
    for case in &RULES {
        assert_told(case, "own.yaml", "-S");
    }
}

#[test]
fn two_errors_in_one_file_are_both_told() {
    let config = "sensr: a\nhome: [KR]\ntimezone: Asia/Seol\n";
    for answer in both_ways("bongsu.yaml", config, "-c") {
        let said = answer.exits(2).stderr;
        assert!(said.contains("bongsu.yaml:1:1: ") && said.contains("bongsu.yaml:3:11: "), "{said}");
    }
    let rules = "- id: busy\n  title: Busy\n  level: hihg\n  group_by: source\n  measure: requests\n  timespan: 10\n  when: {rate: {gte: 20/s}}\n";
    for answer in both_ways("own.yaml", rules, "-S") {
        let said = answer.exits(2).stderr;
        assert!(said.contains("own.yaml:3:10: ") && said.contains("own.yaml:6:13: "), "{said}");
    }
}

/// What `words` of a command line come to, with a calendar for the service `name` and nothing else in the configuration.
fn with_calendar_of(name: &str, words: &[&str]) -> Answer {
    let tiny = Scenario::new(41).with(support::crowd_at_home(per_sec(1)).over(secs(1)));
    let (folder, capture) = written(&tiny);
    let file = folder.path().join("bongsu.yaml");
    let times = "from: 2023-11-22T02:00:00Z, to: 2023-11-22T03:00:00Z";
    let text = format!("calendar:\n  - {{name: n, kind: event, services: ['{name}'], {times}}}\n");
    std::fs::write(&file, text).unwrap();
    let (file, capture) = (file.to_str().unwrap(), capture.to_str().unwrap());
    let given = words.iter().map(|word| match *word {
        "FILE" => file,
        "CAPTURE" => capture,
        word => word,
    });
    run(given)
}

#[test]
fn services_of_the_command_line_may_be_mentioned() {
    with_calendar_of("web", &["replay", "CAPTURE", "-c", "FILE", "-s", "web=10.0.0.1:80"]).exits(0);
    with_calendar_of("web", &["rules", "check", "FILE", "-s", "web=10.0.0.1:80"]).exits(0);
    for words in [
        &["replay", "CAPTURE", "-c", "FILE", "-s", "web=10.0.0.1:80"][..],
        &["rules", "check", "FILE", "-s", "web=10.0.0.1:80"],
    ] {
        let said = with_calendar_of("wbe", words).exits(2).stderr;
        assert!(said.contains("bongsu.yaml:2:39: expected the name of a service, found 'wbe'"), "{said}");
        assert!(said.contains("did you mean 'web'?"), "{said}");
    }
    // A run may bring it.
    with_calendar_of("web", &["rules", "check", "FILE"]).exits(0);
}

#[test]
fn services_that_are_found_are_mentioned_by_address_and_port() {
    let replayed = |name: &str| with_calendar_of(name, &["replay", "CAPTURE", "-c", "FILE"]);
    replayed("192.0.2.10:443").exits(0);
    replayed("[2001:db8::10]:443").exits(0);
    for (name, meant) in [("web", ""), ("[2001:DB8::10]:443", "did you mean '[2001:db8::10]:443'?")] {
        let said = replayed(name).exits(2).stderr;
        assert!(said.contains("bongsu.yaml:2:39: expected the address and port of a service"), "{said}");
        assert!(said.contains(meant), "{said}");
    }
}

#[test]
fn a_service_that_is_wrong_otherwise_may_be_mentioned() {
    let text = "services: [{name: web, addresses: [10.0.0.300], ports: [80]}]\nmute:\n  - {name: m, rule: load-surge, service: web, up_to: low, until: 2026-12-01T06:00:00Z}\n";
    for answer in both_ways("bongsu.yaml", text, "-c") {
        let said = answer.exits(2).stderr;
        assert!(said.contains("10.0.0.300") && !said.contains("name of a service"), "{said}");
    }
}

#[test]
fn errors_of_configuration_and_rules_are_told_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("bongsu.yaml"), CONFIGURATIONS[0].text).unwrap();
    std::fs::write(path("own.yaml"), RULES[1].text).unwrap();
    let said =
        run(["replay", "none.pcap", "-c", &path("bongsu.yaml"), "-S", &path("own.yaml")]).exits(2).stderr;
    assert!(said.contains("bongsu.yaml:1:1: ") && said.contains("own.yaml:3:10: "), "{said}");
}

#[test]
fn what_is_right_is_no_problem() {
    run(["rules", "check"]).exits(0);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    run(["rules", "check", shipped.to_str().unwrap()]).exits(0);
    run(["rules", "check", shipped.join("verdict.yaml").to_str().unwrap()]).exits(0);
}

/// The shipped files of rules, a test for each: together they take a minute.
macro_rules! pass_their_own_tests {
    ($($file:ident),*) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];

        mod the_shipped_rules_pass_their_own_tests {
            $(#[test]
            fn $file() {
                super::pass(stringify!($file));
            })*
        }
    };
}

pass_their_own_tests!(errors, flood, foreign, health, load, new, scan, slow, tls);

fn pass(file: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(file).with_extension("yaml");
    let answer = run(["rules", "test", shipped.to_str().unwrap()]).exits(0);
    assert!(answer.stdout.contains(" 0 failed, 0 rules without tests"), "{}", answer.stdout);
}

#[test]
fn no_file_of_shipped_rules_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap().path()));
    let mut files: Vec<String> = files.filter(|name| name != "verdict").collect();
    files.sort();
    assert_eq!(files, FILES);
}
