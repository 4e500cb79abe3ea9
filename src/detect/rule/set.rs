//! All rules of a run. Comes in: the shipped rules or the user's files, and the configuration's changes. Goes out: a
//! [`RuleSet`] whose rules agree with each other, or the problems of all files at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::patch::{Change, RulePatch};
use super::read::read_rules;
use super::{Rule, Weights};
use crate::document::{Problem, Problems, Source, nearest, shown};
use crate::time::Span;

/// The rules that run, in the order they were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleSet {
    /// The rules; ids and signature numbers differ.
    pub rules: Vec<Rule>,
    /// What evidence weighs: the shipped weights, and what a rules file says otherwise.
    pub weights: Weights,
}

/// The most rules: each is judged for every key in every tick.
pub const MAX_RULES: usize = 1_000;

/// The most different timespans: each is a window kept for every key.
pub const MAX_TIMESPANS: usize = 8;

/// The most files of a folder that are read.
const MAX_FILES: usize = 1_000;

/// The shipped rules.
pub(super) const BUILTIN: [(&str, &str); 9] = [
    ("rules/foreign.yaml", include_str!("../../../rules/foreign.yaml")),
    ("rules/flood.yaml", include_str!("../../../rules/flood.yaml")),
    ("rules/errors.yaml", include_str!("../../../rules/errors.yaml")),
    ("rules/health.yaml", include_str!("../../../rules/health.yaml")),
    ("rules/slow.yaml", include_str!("../../../rules/slow.yaml")),
    ("rules/scan.yaml", include_str!("../../../rules/scan.yaml")),
    ("rules/load.yaml", include_str!("../../../rules/load.yaml")),
    ("rules/tls.yaml", include_str!("../../../rules/tls.yaml")),
    ("rules/new.yaml", include_str!("../../../rules/new.yaml")),
];

impl RuleSet {
    /// The shipped rules; a test holds that they read without a problem.
    pub fn builtin() -> Self {
        Self::read(&builtin_sources()).0
    }

    /// Reads rules files and folders of them (`*.yaml`, `*.yml`, by name, not below). Where all of them are weights, they
    /// weigh for the shipped rules.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut sources = Vec::new();
        for path in paths {
            let files = rules_files(path).unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            });
            for file in files {
                match Source::load(&file) {
                    Ok(source) => sources.push(source),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        if sources.iter().all(Weights::is_source) {
            sources.splice(..0, builtin_sources());
        }
        let (set, found) = Self::read(&sources);
        problems.extend(found);
        problems.or(set)
    }

    /// Reads rules from texts: the rules that could be read and all problems.
    pub fn read(sources: &[Source]) -> (Self, Problems) {
        let mut set = Self { weights: Weights::builtin(), ..Self::default() };
        let mut problems = Problems::default();
        for source in sources {
            let (rules, found) = read_rules(source, &mut set.weights);
            problems.extend(found);
            for rule in rules {
                set.add(rule, source, &mut problems);
            }
        }
        if let Err(problem) = set.check_timespans(sources.first()) {
            problems.push(problem);
        }
        (set, problems)
    }

    /// The rule of that id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The different timespans, shortest first.
    pub fn timespans(&self) -> Vec<Span> {
        let spans: BTreeSet<Span> = self.rules.iter().map(|rule| rule.timespan).collect();
        spans.into_iter().collect()
    }

    /// Lays changes over the rules: an id that no rule has is a problem with the nearest that one has, `mode: off`
    /// removes the rule.
    pub fn apply(&mut self, patches: &[RulePatch]) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let mut changed = self.clone();
        for patch in patches {
            if let Err(problem) = changed.apply_one(patch) {
                problems.push(problem);
            }
        }
        changed.rules.retain(|rule| !is_off(patches, &rule.id));
        if let Err(problem) = changed.check_timespans(patches.first().map(|patch| &patch.source)) {
            problems.push(problem);
        }
        problems.or(changed).map(|changed| *self = changed)
    }

    fn apply_one(&mut self, patch: &RulePatch) -> Result<(), Problem> {
        let wanted = patch.id.text.as_str();
        let Some(index) = self.rules.iter().position(|rule| rule.id == wanted) else {
            let meant = nearest(wanted, self.rules.iter().map(|rule| rule.id.as_str()));
            let message = format!("unknown rule '{}': expected the id of a rule", shown(wanted));
            return Err(patch.problem(message).meaning(meant));
        };
        if let Some(other) = patch.keys.sid.and_then(|sid| self.other_with_sid(sid, wanted)) {
            return Err(patch.problem(format!("sid {} is the rule '{}'s already", other.sid, other.id)));
        }
        self.rules.get_mut(index).map_or(Ok(()), |rule| patch.apply(rule))
    }

    fn other_with_sid(&self, sid: u32, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.sid == sid && rule.id != id)
    }

    /// Adds a rule whose id and signature number no other has.
    fn add(&mut self, rule: Rule, source: &Source, problems: &mut Problems) {
        let complaint = if let Some(first) = self.get(&rule.id) {
            format!("rule '{}' is given twice, first in {}:{}", rule.id, first.file, first.at)
        } else if let Some(first) = self.other_with_sid(rule.sid, &rule.id) {
            let (sid, other, file, at) = (rule.sid, &first.id, &first.file, first.at);
            format!("sid {sid} of rule '{}' is the rule '{other}'s already ({file}:{at})", rule.id)
        } else if self.rules.len() >= MAX_RULES {
            format!("expected at most {MAX_RULES} rules")
        } else {
            self.rules.push(rule);
            return;
        };
        problems.push(Problem::at(source, rule.at, complaint));
    }

    fn check_timespans(&self, blamed: Option<&Source>) -> Result<(), Problem> {
        let spans = self.timespans();
        if spans.len() <= MAX_TIMESPANS {
            return Ok(());
        }
        let names: Vec<String> = spans.iter().map(Span::to_string).collect();
        let file = blamed.map(Source::name).unwrap_or_default();
        let message =
            format!("expected at most {MAX_TIMESPANS} different timespans, found {}", names.join(", "));
        Err(Problem::of_file(&file, message))
    }
}

fn builtin_sources() -> Vec<Source> {
    BUILTIN.iter().map(|(name, text)| Source::new(name, text)).collect()
}

fn is_off(patches: &[RulePatch], id: &str) -> bool {
    patches.iter().any(|patch| patch.id.text == id && patch.mode == Some(Change::Off))
}

/// The file itself, or the rules files of a folder by name.
fn rules_files(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let name = path.display().to_string();
    let entries =
        fs::read_dir(path).map_err(|error| Problem::of_file(&name, format!("cannot be read: {error}")))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml"))
        .take(MAX_FILES + 1)
        .collect();
    files.sort();
    match files.len() {
        0 => Err(Problem::of_file(&name, "expected a folder with *.yaml or *.yml files, found none")),
        count if count > MAX_FILES => {
            Err(Problem::of_file(&name, format!("expected at most {MAX_FILES} rules files in a folder")))
        }
        _ => Ok(files),
    }
}
