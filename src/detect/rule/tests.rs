//! Rules files that are right, and those that are wrong: what the author of a rule is told.

use proptest::prelude::*;

use super::set::BUILTIN;
use super::*;
use crate::document::{Reader, Source, Value};

const RIGHT: &str = "\
- id: busy
  title: Busy
  level: low
  group_by: source
  measure: requests
  timespan: 10s
  when:
    rate: {gte: 20/s}
    share: {gte: 30%}
";

fn read(text: &str) -> Result<RuleSet, String> {
    let (set, problems) = RuleSet::read(&[Source::new("r.yaml", text)]);
    problems.or(set).map_err(|problems| problems.to_string())
}

/// The set after the changes of a configuration's `rules`.
fn changed(set: &RuleSet, text: &str) -> Result<RuleSet, String> {
    let source = Source::new("c.yaml", text);
    let (tree, mut reader) = Reader::parse(&source);
    let tree = tree.unwrap();
    let entries = reader.entries(&tree, "changes").unwrap();
    let patches: Vec<RulePatch> =
        entries.iter().filter_map(|(id, node)| RulePatch::read(id, node, &mut reader)).collect();
    let problems = reader.into_problems();
    assert!(problems.is_empty(), "{problems}");
    let mut set = set.clone();
    set.apply(&patches).map(|()| set).map_err(|problems| problems.to_string())
}

#[test]
fn the_shipped_set_reads_without_a_problem_and_proves_itself() {
    let sources: Vec<Source> = BUILTIN.iter().map(|(name, text)| Source::new(name, text)).collect();
    let (set, problems) = RuleSet::read(&sources);
    assert!(problems.is_empty(), "{}", problems.rendered());
    assert_eq!(set, RuleSet::builtin());
    for rule in &set.rules {
        for outcome in [Expect::Fire, Expect::Silent] {
            let found = rule.tests.iter().any(|test| test.expect == outcome);
            assert!(found, "{} has no test that expects {outcome}", rule.id);
        }
        assert!(!rule.description.is_empty() && !rule.falsepositives.is_empty(), "{}", rule.id);
        let longest = rule
            .tests
            .iter()
            .flat_map(|test| &test.traffic)
            .map(|part| part.start.secs() + part.duration.secs())
            .max();
        // Longer only where the rule wants to know of before, or must hold for long.
        let known = rule.when.any(&|leaf| matches!(leaf, Condition::Past(_) | Condition::Before(_)));
        let most = if known { 300 } else { 120 } + rule.hold.secs();
        assert!(longest <= Some(most), "{}: a test of {longest:?} s", rule.id);
    }
}

#[test]
fn the_shipped_set_holds_what_the_contract_promises() {
    let set = RuleSet::builtin();
    let numbers: Vec<(u32, &str)> = set.rules.iter().map(|rule| (rule.sid, rule.id.as_str())).collect();
    for expected in [
        (1001, "foreign-concentration"),
        (1002, "foreign-network"),
        (1003, "foreign-prefix"),
        (1004, "foreign-source"),
        (1005, "source-flood"),
        (1010, "forged-syn-flood"),
        (1011, "beside-flood"),
        (1020, "server-errors"),
    ] {
        assert!(numbers.contains(&expected), "{expected:?} in {numbers:?}");
    }
    let rule = set.get("foreign-concentration").unwrap();
    assert_eq!(rule.title, "BONGSU concentrated foreign access");
    assert_eq!(
        rule.when.to_string(),
        "rate ≥ 10/s and share ≥ 30 % and lift ≥ 5× and (past ≥ 60 s or (past ≥ 3 s and rate ≥ 20/s) or rate ≥ 50/s)"
    );
    assert_eq!((rule.group_by, rule.filter.foreign, rule.level), (GroupBy::Country, Some(true), Level::High));
}

#[test]
fn every_shipped_number_has_its_reason_beside_it() {
    for (name, text) in BUILTIN {
        for (index, line) in text.lines().enumerate() {
            let key = line.trim_start();
            let bound = ["gte:", "gt:", "lte:", "lt:"].iter().any(|word| key.contains(word));
            let numbered = key.starts_with("timespan:") || (bound && !key.starts_with('#'));
            assert!(!numbered || key.contains(" # "), "{name}:{}: no reason beside {line}", index + 1);
        }
    }
}

#[test]
fn defaults_fill_what_a_rule_leaves_out() {
    let set = read(RIGHT).unwrap();
    let rule = &set.rules[0];
    assert_eq!(
        (rule.rev, rule.mode, rule.hold, rule.suppress_for),
        (1, Mode::Alert, Span::default(), Span::default())
    );
    assert!((1_000_000..2_000_000).contains(&rule.sid));
    assert_eq!(rule.sid, read(&RIGHT.replace("Busy", "Other")).unwrap().rules[0].sid);
    assert_eq!((&*rule.file, rule.at.line, rule.at.column), ("r.yaml", 1, 3));
}

#[test]
fn every_wrong_rule_is_placed_and_explained() {
    let cases = [
        ("id: busy", "id: Busy Web", "r.yaml:1:7: expected an id of lower-case words with dashes"),
        ("id: busy", "id: Busy Web", "did you mean 'busy-web'?"),
        ("id: busy", "di: busy", "r.yaml:1:3: unknown key 'di' of a rule: expected one of id, sid, rev"),
        ("id: busy", "di: busy", "did you mean 'id'?"),
        ("id: busy", "id: busy\n  sid: 0", "r.yaml:2:8: expected a number from 1 to 2147483647, found '0'"),
        ("id: busy", "id: busy\n  rev: x", "r.yaml:2:8: expected a whole number, found 'x'"),
        ("title: Busy", "titel: Busy", "did you mean 'title'?"),
        (
            "level: low",
            "level: hihg",
            "r.yaml:3:10: expected a level (one of low, medium, high, critical), found 'hihg'",
        ),
        ("level: low", "level: hihg", "did you mean 'high'?"),
        ("level: low", "level: 3", "r.yaml:3:10: expected a level"),
        (
            "group_by: source",
            "group_by: [source]",
            "r.yaml:4:13: expected a grouping (one of service, source",
        ),
        ("group_by: source", "groupby: source", "did you mean 'group_by'?"),
        ("group_by: source", "group_by: sorce", "did you mean 'source'?"),
        ("measure: requests", "measure: request", "did you mean 'requests'?"),
        ("measure: requests", "measure: halfopen", "did you mean 'half_open'?"),
        (
            "timespan: 10s",
            "timespan: 10",
            "r.yaml:6:13: expected a duration such as 500ms, 10s or 5m, found '10'; did you mean '10s'?",
        ),
        (
            "timespan: 10s",
            "timespan: 1500ms",
            "r.yaml:6:13: expected whole seconds from 1s to 10m, found '1500ms'",
        ),
        ("timespan: 10s", "timespan: 11m", "r.yaml:6:13: expected whole seconds from 1s to 10m, found '11m'"),
        ("timespan: 10s", "timespn: 10s", "did you mean 'timespan'?"),
        (
            "rate: {gte: 20/s}",
            "rate: {gte: 20}",
            "r.yaml:8:17: expected a rate such as 20/s, found '20'; did you mean '20/s'?",
        ),
        (
            "rate: {gte: 20/s}",
            "rate: {gte: -20/s}",
            "r.yaml:8:17: expected a rate such as 20/s, found '-20/s'",
        ),
        ("rate: {gte: 20/s}", "rate: {gte: .inf}", "r.yaml:8:17: expected a rate"),
        (
            "rate: {gte: 20/s}",
            "rate: {get: 20/s}",
            "r.yaml:8:12: unknown key 'get' of bounds: expected one of gte, gt",
        ),
        ("rate: {gte: 20/s}", "rat: {gte: 20/s}", "r.yaml:8:5: unknown condition 'rat'"),
        ("rate: {gte: 20/s}", "rat: {gte: 20/s}", "did you mean 'rate'?"),
        (
            "share: {gte: 30%}",
            "share: {gte: 30}",
            "r.yaml:9:18: expected a share such as 30% or 0.3, found '30'; did you mean '30%'?",
        ),
        ("share: {gte: 30%}", "share: {gte: 130%}", "r.yaml:9:18: expected a share"),
        ("share: {gte: 30%}", "lift: {gte: 5x}", "did you mean '5'?"),
        (
            "share: {gte: 30%}",
            "distinct: {ips: {gte: 5}}",
            "r.yaml:9:16: expected a kind of thing to count (one of sources",
        ),
        ("when:", "wehn:", "did you mean 'when'?"),
        ("title: Busy\n", "title:\n", "r.yaml:2:3: missing value of key 'title' of a rule"),
        ("level: low", "level: low\n  where: {foriegn: true}", "did you mean 'foreign'?"),
        ("level: low", "level: low\n  where: {traffic: own, traffic: beside}", "is given twice"),
        ("level: low", "level: low\n  mode: off", "expected a mode (one of alert, observe), found 'off'"),
        ("level: low", "level: low\n  for: 2h", "expected whole seconds from 0s to 1h, found '2h'"),
        ("level: low", "level: low\n  tests: none", "expected a list of tests, found 'none'"),
        ("level: low", "level: *low", "r.yaml:3:"),
    ];
    for (right, wrong, expected) in cases {
        assert!(RIGHT.contains(right), "{right}");
        let problems = read(&RIGHT.replace(right, wrong)).unwrap_err();
        assert!(problems.contains(expected), "{wrong}: {problems}\nexpected {expected}");
        assert_eq!(problems.lines().count(), 1, "{wrong}: {problems}");
    }
}

#[test]
fn two_wrong_rules_in_one_file_are_both_told() {
    let text =
        format!("{}{}", RIGHT.replace("low", "lwo"), RIGHT.replace("busy", "quiet").replace("10s", "10"));
    let problems = read(&text).unwrap_err();
    assert!(problems.contains("r.yaml:3:10:") && problems.contains("r.yaml:15:13:"), "{problems}");
}

#[test]
fn ids_and_numbers_differ_over_all_files() {
    let one = Source::new("a.yaml", RIGHT);
    let two = Source::new("b.yaml", &format!("# copy\n{RIGHT}"));
    let (_, problems) = RuleSet::read(&[one, two]);
    assert_eq!(problems.to_string(), "b.yaml:2:3: rule 'busy' is given twice, first in a.yaml:1:3");
    let numbered = RIGHT.replace("id: busy", "id: busy\n  sid: 7");
    let problems = read(&format!("{numbered}{}", numbered.replace("busy", "quiet"))).unwrap_err();
    assert!(
        problems.contains("sid 7 of rule 'quiet' is the rule 'busy's already (r.yaml:1:3)"),
        "{problems}"
    );
}

#[test]
fn what_is_no_list_of_rules_is_said() {
    assert!(read("").unwrap_err().contains("r.yaml:1:1: expected a list of rules, found nothing"));
    assert!(read("id: busy\n").unwrap_err().contains("expected a list of rules, found a mapping"));
    assert!(read("- busy\n").unwrap_err().contains("r.yaml:1:3: expected a rule (a mapping), found 'busy'"));
    assert!(read("- {}\n").unwrap_err().contains("missing key 'when' of a rule"));
}

#[test]
fn timespans_and_rules_are_bounded() {
    let rule = |number: usize, span: usize| {
        RIGHT
            .replace("busy", &format!("r{number}"))
            .replace("10s", &format!("{span}s"))
            .replace("title", &format!("sid: {}\n  title", number + 1))
    };
    let eight: String = (0..8).map(|number| rule(number, number + 1)).collect();
    assert_eq!(read(&eight).unwrap().timespans().len(), 8);
    let nine: String = (0..9).map(|number| rule(number, number + 1)).collect();
    assert!(read(&nine).unwrap_err().contains("at most 8 different timespans, found 1s, 2s"));
    let many: String = (0..=MAX_RULES).map(|number| rule(number, 10)).collect();
    assert!(read(&many).unwrap_err().contains("expected at most 1000 rules"));
}

#[test]
fn a_change_is_the_same_as_a_copied_rule() {
    let set = read(RIGHT).unwrap();
    let copied = read(&RIGHT.replace("30%", "40%").replace("level: low", "level: high")).unwrap();
    let overridden = changed(&set, "busy: {when: {share: {gte: 40%}}, level: high}\n").unwrap();
    assert_eq!(overridden, copied);
}

#[test]
fn changes_reach_every_key_and_can_remove_a_rule() {
    let set = read(&format!("{RIGHT}{}", RIGHT.replace("busy", "quiet"))).unwrap();
    let text = "busy: {mode: off}\nquiet: {mode: observe, where: {foreign: true}, for: 3s, when: {lift: {gte: 2}}}\n";
    let after = changed(&set, text).unwrap();
    assert_eq!(after.rules.len(), 1);
    let rule = after.get("quiet").unwrap();
    assert_eq!((rule.mode, rule.filter.foreign, rule.hold), (Mode::Observe, Some(true), Span::from_secs(3)));
    assert_eq!(rule.when.to_string(), "rate ≥ 20/s and share ≥ 30 % and lift ≥ 2×");
}

#[test]
fn wrong_changes_are_placed_and_leave_the_set_alone() {
    let set = read(RIGHT).unwrap();
    let problems = changed(&set, "buzy: {level: low}\nbusy: {when: {share: {lt: 30%}}}\n").unwrap_err();
    assert_eq!(
        problems,
        "c.yaml:1:1: unknown rule 'buzy': expected the id of a rule; did you mean 'busy'?\nc.yaml:2:1: with this \
         change the bounds of 'share' exclude each other"
    );
}

#[test]
fn files_and_folders_are_read_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.yml"), RIGHT.replace("busy", "second")).unwrap();
    std::fs::write(folder.path().join("a.yaml"), RIGHT.replace("busy", "first")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no rules").unwrap();
    let set = RuleSet::load(&[folder.path().to_owned()]).unwrap();
    let ids: Vec<&str> = set.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["first", "second"]);
    let missing = [folder.path().join("c.yaml"), folder.path().join("d.yaml")];
    assert_eq!(RuleSet::load(&missing).unwrap_err().len(), 2);
    let empty = tempfile::tempdir().unwrap();
    let problems = RuleSet::load(&[empty.path().to_owned()]).unwrap_err();
    assert!(problems.to_string().contains("expected a folder with *.yaml or *.yml files, found none"));
}

#[test]
fn a_file_of_weights_alone_weighs_for_the_shipped_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.yaml");
    std::fs::write(&path, "evidence: [{id: foreign, attack: 0.5}]\n").unwrap();
    let set = RuleSet::load(&[path]).unwrap();
    assert_eq!(set.rules, RuleSet::builtin().rules);
    let (own, shipped) = (set.weights.of(Evidence::Foreign).unwrap(), Weights::builtin());
    assert_eq!(own.attack, 0.5);
    assert_eq!(own.full, shipped.of(Evidence::Foreign).unwrap().full);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn a_damaged_rules_file_never_panics(
        file in 0..BUILTIN.len(),
        at in 0..6_000_usize,
        cut in 0..40_usize,
        letter in "[ \\t\\n\\r:{}\\[\\]&*!|>'\"%#a0,?-]{0,2}",
    ) {
        let mut text = BUILTIN[file].1.to_owned();
        let end = (at + cut).min(text.len());
        if text.is_char_boundary(at.min(text.len())) && text.is_char_boundary(end) {
            text.replace_range(at.min(end)..end, &letter);
        }
        let source = Source::new("r.yaml", &text);
        let (set, problems) = RuleSet::read(std::slice::from_ref(&source));
        let _ = problems.rendered();
        prop_assert!(problems.iter().all(|problem| &*problem.file == "r.yaml"));
        if problems.is_empty() {
            let items = match Reader::parse(&source).0.map(|tree| tree.value) {
                Some(Value::Seq(items)) => items.len(),
                _ => 0,
            };
            prop_assert_eq!(set.rules.len(), items, "a rule was left out without a word");
        }
    }
}
