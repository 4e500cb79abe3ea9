//! How a condition is written: the mapping under `when`. Comes in: a node. Goes out: [`Condition`]s, all of which must
//! hold. What they mean, `condition` knows.

use super::bound::{Bound, Quantity};
use super::condition::{Condition, Kind, MAX_CONDITION_DEPTH, MAX_CONDITIONS};
use crate::document::{Count, Factor, Key, Node, Rate, Read, Reader, Scalar, Share, Value, nearest, shown};
use crate::time::Span;

/// The keys of a condition.
const KEYS: [&str; 13] = [
    "rate",
    "count",
    "share",
    "share_before",
    "excess_share",
    "lift",
    "before",
    "past",
    "path_share",
    "distinct",
    "all",
    "any",
    "not",
];

/// Reads the mapping under `when`: its keys, all of which must hold.
pub(super) fn read_when(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Condition>> {
    let list = read_mapping(node, 1, reader)?;
    let nodes: usize = 1 + list.iter().map(Condition::nodes).sum::<usize>();
    if nodes > MAX_CONDITIONS {
        reader.problem(node.at, format!("expected at most {MAX_CONDITIONS} conditions, found {nodes}"));
        return None;
    }
    Some(list)
}

fn read_mapping(node: &Node, depth: usize, reader: &mut Reader<'_>) -> Option<Vec<Condition>> {
    if depth > MAX_CONDITION_DEPTH {
        reader.problem(node.at, format!("expected at most {MAX_CONDITION_DEPTH} levels of conditions"));
        return None;
    }
    let entries = reader.entries(node, "conditions such as {rate: {gte: 20/s}}")?;
    if entries.is_empty() {
        reader.problem(node.at, format!("expected at least one of {}", KEYS.join(", ")));
        return None;
    }
    let mut list = Vec::new();
    for (key, value) in entries {
        read_entry(key, value, depth, &mut Reading { list: &mut list, reader });
    }
    Some(list)
}

/// Where a mapping's conditions go while they are read.
struct Reading<'a, 's> {
    list: &'a mut Vec<Condition>,
    reader: &'a mut Reader<'s>,
}

impl Reading<'_, '_> {
    fn leaf<Q: Quantity>(&mut self, node: &Node, make: impl FnOnce(Bound) -> Condition) {
        self.list.extend(Bound::read::<Q>(node, self.reader).map(make));
    }
}

fn read_entry(key: &Key, node: &Node, depth: usize, reading: &mut Reading<'_, '_>) {
    match key.text.as_str() {
        "rate" => reading.leaf::<Rate>(node, Condition::Rate),
        "count" => reading.leaf::<Count>(node, Condition::Count),
        "share" => reading.leaf::<Share>(node, Condition::Share),
        "share_before" => reading.leaf::<Share>(node, Condition::ShareBefore),
        "excess_share" => reading.leaf::<Share>(node, Condition::ExcessShare),
        "lift" => reading.leaf::<Factor>(node, Condition::Lift),
        "before" => reading.leaf::<Rate>(node, Condition::Before),
        "past" => reading.leaf::<Span>(node, Condition::Past),
        "path_share" => reading.leaf::<Share>(node, Condition::PathShare),
        "distinct" => read_distinct(node, reading),
        "all" => reading.list.extend(read_list(node, depth, reading.reader).map(Condition::All)),
        "any" => reading.list.extend(read_list(node, depth, reading.reader).map(Condition::Any)),
        "not" => {
            let inner = read_mapping(node, depth + 1, reading.reader).map(join);
            reading.list.extend(inner.map(|condition| Condition::Not(Box::new(condition))));
        }
        other => {
            let message =
                format!("unknown condition '{}': expected one of {}", shown(other), KEYS.join(", "));
            match Kind::parse(other).is_some() {
                true => reading.reader.problem_meaning(
                    key.at,
                    message,
                    Some(&format!("distinct: {{{other}: …}}")),
                ),
                false => reading.reader.problem_meaning(key.at, message, nearest(other, KEYS)),
            }
        }
    }
}

fn read_distinct(node: &Node, reading: &mut Reading<'_, '_>) {
    let Some(entries) = reading.reader.entries(node, "what to count, such as {sources: {gte: 100}}") else {
        return;
    };
    if entries.is_empty() {
        reading.reader.problem(node.at, "expected what to count, such as {sources: {gte: 100}}");
    }
    for (key, value) in entries {
        let word = Node { at: key.at, value: Value::Scalar { text: key.text.clone(), quoted: false } };
        if let Some(kind) = Kind::read(&word, reading.reader) {
            reading.leaf::<Count>(value, |bound| Condition::Distinct(kind, bound));
        }
    }
}

fn read_list(node: &Node, depth: usize, reader: &mut Reader<'_>) -> Option<Vec<Condition>> {
    let items = reader.items(node, "a list of conditions")?;
    if items.is_empty() {
        reader.problem(node.at, "expected at least one condition in the list");
    }
    Some(items.iter().filter_map(|item| read_mapping(item, depth + 1, reader)).map(join).collect())
}

/// A mapping of one key is that condition; of several, all of them.
fn join(mut list: Vec<Condition>) -> Condition {
    match (list.len(), list.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            list.extend(last);
            Condition::All(list)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::document::Source;

    /// The condition of a text.
    pub(in super::super) fn read(text: &str) -> Result<Condition, String> {
        let source = Source::new("w.yaml", text);
        let (tree, mut reader) = Reader::parse(&source);
        let list = tree.and_then(|tree| read_when(&tree, &mut reader));
        let problems = reader.into_problems();
        list.filter(|_| problems.is_empty()).map(Condition::All).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn wrong_conditions_are_placed() {
        let problems = read("rte: {gte: 20/s}\nshare: {gte: 30%, gtee: 1}\nsources: {gte: 3}\n").unwrap_err();
        assert!(problems.contains("w.yaml:1:1: unknown condition 'rte'"), "{problems}");
        assert!(problems.contains("did you mean 'rate'?"), "{problems}");
        assert!(problems.contains("w.yaml:2:19: unknown key 'gtee' of bounds"), "{problems}");
        assert!(problems.contains("did you mean 'distinct: {sources: …}'?"), "{problems}");
        assert!(read("{}").unwrap_err().contains("expected at least one of rate, count"));
        assert!(read("rate: {}").unwrap_err().contains("expected at least one bound such as {gte: 20/s}"));
        assert!(read("rate: 20/s").unwrap_err().contains("did you mean '{gte: 20/s}'?"));
        assert!(read("rate: {gte: 2/s, lt: 1/s}").unwrap_err().contains("exclude each other"));
        assert!(read("distinct: {source: {gte: 1}}").unwrap_err().contains("did you mean 'sources'?"));
        assert!(read("all: []").unwrap_err().contains("expected at least one condition"));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = "{not: ".repeat(8) + "{rate: {gte: 1/s}}" + &"}".repeat(8);
        assert!(read(&deep).unwrap_err().contains("expected at most 8 levels"));
        let wide = format!("any: [{}]", "{rate: {gte: 1/s}}, ".repeat(70));
        assert!(read(&wide).unwrap_err().contains("expected at most 64 conditions, found 72"));
    }
}
