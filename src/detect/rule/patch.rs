//! Changes to a rule: one number of a shipped rule without copying the set. Comes in: the entries of a configuration's
//! `rules`, keyed by id. Goes out: [`RulePatch`]es that [`RuleSet::apply`](super::RuleSet::apply) lays over the rules.

use super::condition::{Condition, MAX_CONDITIONS};
use super::filter::FilterChange;
use super::test::read_tests;
use super::when::read_when;
use super::{GroupBy, Level, Measure, Mode, Rule, RuleTest, Says};
use crate::document::{Fields, Key, Node, Problem, Reader, Source, words};
use crate::time::Span;

/// Changes to the rule of one id.
#[derive(Debug, Clone, PartialEq)]
pub struct RulePatch {
    /// The rule's id and where it stands.
    pub id: Key,
    /// What becomes of it; `None` leaves its mode.
    pub mode: Option<Change>,
    pub(super) keys: RuleKeys,
    pub(super) source: Source,
}

/// The modes a change can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The rule alerts.
    Alert,
    /// The rule is counted and opens nothing.
    Observe,
    /// The rule is removed.
    Off,
}
words! { Change, "a mode": Alert = "alert", Observe = "observe", Off = "off" }

/// The keys that a rule and a change to one have in common, as far as they are given.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RuleKeys {
    pub sid: Option<u32>,
    pub rev: Option<u32>,
    pub title: Option<String>,
    pub category: Option<String>,
    pub level: Option<Level>,
    pub description: Option<String>,
    pub falsepositives: Option<Vec<String>>,
    pub group_by: Option<GroupBy>,
    pub filter: Option<FilterChange>,
    pub measure: Option<Measure>,
    pub timespan: Option<Span>,
    pub when: Option<Vec<Condition>>,
    pub hold: Option<Span>,
    pub suppress_for: Option<Span>,
    pub says: Option<Says>,
    pub tests: Option<Vec<RuleTest>>,
}

/// The longest window: windows are kept for every key.
const MAX_TIMESPAN: Span = Span::from_secs(600);
/// A condition that must hold for longer is for a report, not for an alarm.
const MAX_HOLD: Span = Span::from_secs(3_600);
/// A rule that should be silent for longer should be off.
const MAX_SUPPRESS: Span = Span::from_secs(7 * 86_400);
/// A title is one line of an alert.
const MAX_TITLE: usize = 200;
/// `alert.signature_id` is a number of 31 bits in what reads EVE.
const MAX_SID: u32 = i32::MAX as u32;

impl RulePatch {
    /// Reads the changes under one id.
    pub fn read(id: &Key, node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let source = reader.source().clone();
        let mut fields = Fields::of(node, reader, "changes to a rule")?;
        let keys = RuleKeys::read(&mut fields);
        let mode = fields.optional("mode");
        fields.finish();
        Some(Self { id: id.clone(), mode, keys, source })
    }

    /// Lays the changes over `rule`; says what the result would be wrong with.
    pub(super) fn apply(&self, rule: &mut Rule) -> Result<(), Problem> {
        match self.mode {
            Some(Change::Alert) => rule.mode = Mode::Alert,
            Some(Change::Observe) => rule.mode = Mode::Observe,
            Some(Change::Off) | None => {}
        }
        self.keys.lay_over(rule);
        if let Some(metric) = rule.when.impossible() {
            let name = metric.name();
            return Err(self.problem(format!("with this change the bounds of '{name}' exclude each other")));
        }
        let nodes = rule.when.nodes();
        if nodes > MAX_CONDITIONS {
            let limit = MAX_CONDITIONS;
            return Err(self.problem(format!(
                "with this change the rule has {nodes} conditions, at most {limit} may be"
            )));
        }
        Ok(())
    }

    /// A problem at the id.
    pub(super) fn problem(&self, message: String) -> Problem {
        Problem::at(&self.source, self.id.at, message)
    }
}

impl RuleKeys {
    /// Asks for every key that a rule and a change have in common.
    pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Self {
        let seconds = |span: &Span| *span == Span::from_secs(span.secs());
        Self {
            sid: fields.checked("sid", "a number from 1 to 2147483647", |sid| (1..=MAX_SID).contains(sid)),
            rev: fields.checked("rev", "a revision from 1", |rev: &u32| *rev >= 1),
            title: fields
                .checked("title", "one line of at most 200 characters", |text: &String| is_title(text)),
            category: fields
                .checked("category", "one line of at most 200 characters", |text: &String| is_title(text)),
            level: fields.optional("level"),
            description: fields.optional("description"),
            falsepositives: fields.optional("falsepositives"),
            group_by: fields.optional("group_by"),
            filter: fields.optional("where"),
            measure: fields.optional("measure"),
            timespan: fields.checked("timespan", "whole seconds from 1s to 10m", |span| {
                seconds(span) && *span >= Span::from_secs(1) && *span <= MAX_TIMESPAN
            }),
            when: fields.node("when").and_then(|node| read_when(node, fields.reader())),
            hold: fields
                .checked("for", "whole seconds from 0s to 1h", |span| seconds(span) && *span <= MAX_HOLD),
            suppress_for: fields.checked("suppress_for", "whole seconds from 0s to 7d", |span| {
                seconds(span) && *span <= MAX_SUPPRESS
            }),
            says: fields.optional("verdict"),
            tests: fields.node("tests").and_then(|node| read_tests(node, fields.reader())),
        }
    }

    fn lay_over(&self, rule: &mut Rule) {
        let keys = self.clone();
        replace(&mut rule.sid, keys.sid);
        replace(&mut rule.rev, keys.rev);
        replace(&mut rule.title, keys.title);
        replace(&mut rule.category, keys.category);
        replace(&mut rule.level, keys.level);
        replace(&mut rule.description, keys.description);
        replace(&mut rule.falsepositives, keys.falsepositives);
        replace(&mut rule.group_by, keys.group_by);
        replace(&mut rule.measure, keys.measure);
        replace(&mut rule.timespan, keys.timespan);
        replace(&mut rule.hold, keys.hold);
        replace(&mut rule.suppress_for, keys.suppress_for);
        rule.says = keys.says.or(rule.says);
        replace(&mut rule.tests, keys.tests);
        if let Some(filter) = &keys.filter {
            rule.filter.merge(filter);
        }
        if let Some(when) = &keys.when {
            rule.when.merge(when);
        }
    }
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

fn is_title(text: &str) -> bool {
    text.chars().count() <= MAX_TITLE && !text.chars().any(char::is_control)
}
