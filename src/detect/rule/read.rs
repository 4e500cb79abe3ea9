//! A rules file → rules: a list of mappings, each with the keys of the contract; or the weights of evidence. Comes in: a
//! source. Goes out: the rules that could be read, the problems of the others, and of all. Whether rules agree with each other, the set knows.

use super::filter::Filter;
use super::patch::RuleKeys;
use super::{Condition, Mode, Rule, Weights};
use crate::document::{Fields, Node, Problems, Read, Reader, Scalar, Source};

/// Reads the rules of one file; one that lists evidence is laid over the weights instead.
pub(super) fn read_rules(source: &Source, weights: &mut Weights) -> (Vec<Rule>, Problems) {
    let (tree, mut reader) = Reader::parse(source);
    let rules = tree.and_then(|tree| {
        if Weights::is_in(&tree) {
            weights.lay(&tree, &mut reader);
            return None;
        }
        let items = reader.items(&tree, "a list of rules")?;
        Some(items.iter().filter_map(|item| Rule::read(item, &mut reader)).collect())
    });
    (rules.unwrap_or_default(), reader.into_problems())
}

/// The keys without which there is no rule.
const NEEDED: [&str; 7] = ["id", "title", "level", "group_by", "measure", "timespan", "when"];

/// The class of a rule that names none, as Suricata's `classification.config` has it.
const DEFAULT_CATEGORY: &str = "Misc activity";

impl Read for Rule {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let file = reader.source().name();
        let mut fields = Fields::of(node, reader, "a rule")?;
        NEEDED.into_iter().for_each(|key| fields.need(key));
        let id = fields.optional("id").map(|Id(id)| id);
        let keys = RuleKeys::read(&mut fields);
        let mode = fields.or("mode", Mode::Alert);
        fields.finish();
        let mut filter = Filter::default();
        keys.filter.iter().for_each(|change| filter.merge(change));
        let id = id?;
        Some(Self {
            sid: keys.sid.unwrap_or_else(|| derived_sid(&id)),
            id,
            rev: keys.rev.unwrap_or(1),
            title: keys.title?,
            category: keys.category.unwrap_or_else(|| DEFAULT_CATEGORY.to_owned()),
            level: keys.level?,
            description: keys.description.unwrap_or_default(),
            falsepositives: keys.falsepositives.unwrap_or_default(),
            group_by: keys.group_by?,
            filter,
            measure: keys.measure?,
            timespan: keys.timespan?,
            when: Condition::All(keys.when?),
            hold: keys.hold.unwrap_or_default(),
            suppress_for: keys.suppress_for.unwrap_or_default(),
            mode,
            says: keys.says,
            tests: keys.tests.unwrap_or_default(),
            file,
            at: node.at,
        })
    }
}

/// A rule's id: lower-case words with dashes.
struct Id(String);

/// An id is shown in every alert.
const MAX_ID: usize = 64;

impl Scalar for Id {
    fn expected() -> String {
        "an id of lower-case words with dashes such as foreign-concentration".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        (text.len() <= MAX_ID && text.split('-').all(is_word)).then(|| Self(text.to_owned()))
    }

    fn meant(text: &str) -> Option<String> {
        let words: Vec<String> = text
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let id = words.join("-");
        (!id.is_empty() && id.len() <= MAX_ID).then_some(id)
    }
}

/// The signature number of a rule that names none: FNV-1a of its id, from 1,000,000 to 1,999,999, the range that
/// Suricata leaves to local rules.
fn derived_sid(id: &str) -> u32 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    1_000_000 + (hash % 1_000_000) as u32
}
