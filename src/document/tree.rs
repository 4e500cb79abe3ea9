//! YAML events → a tree of [`Node`]s. Comes in: a text. Goes out: the tree of its one document, and a problem for all
//! that has no place in our files: aliases, anchors, tags, merge keys, keys given twice, a second document.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::source::to_u32;
use super::{Key, Node, Place, Problem, Problems, Source, Value, shown};

/// How deep lists and mappings may nest; our own files use seven levels.
pub const MAX_DEPTH: usize = 64;

/// How many values a file may hold, so that 4 MiB of commas cannot become hundreds of MiB of tree.
pub const MAX_NODES: usize = 200_000;

/// Reads the one document of `source`. The tree is `None` where the text cannot be read on: bad syntax, too deep or
/// too large. Other problems leave a tree whose wrong parts are [`Value::Broken`].
pub(super) fn parse(source: &Source) -> (Option<Node>, Problems) {
    let mut builder =
        Builder { source, open: Vec::new(), root: None, nodes: 0, problems: Problems::default() };
    let complete = builder.run();
    let start = Place { line: 1, column: 1 };
    let root = builder.root.unwrap_or(Node { at: start, value: Value::Null });
    (complete.then_some(root), builder.problems)
}

struct Builder<'s> {
    source: &'s Source,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    problems: Problems,
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: Place,
    /// Whether it carried a tag or an anchor, which has been reported.
    broken: bool,
    items: Items,
}

enum Items {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, seen: HashMap<String, Place>, key: KeySlot },
}

/// What the next node of a mapping is.
enum KeySlot {
    /// A key.
    Awaited,
    /// The value of this key.
    Read(Key),
    /// The value of a key that was wrong; it is read and left.
    Wrong,
}

/// What stops the reading of a file; it has been reported.
struct Stop;

impl Builder<'_> {
    /// Reads all events; false where it had to stop.
    fn run(&mut self) -> bool {
        let mut documents = 0;
        for next in Parser::new_from_str(self.source.text()) {
            let step = match next {
                Ok((Event::DocumentStart(..), span)) => {
                    documents += 1;
                    self.document(documents, place(&span.start))
                }
                Ok((event, span)) => self.event(event, place(&span.start)),
                Err(error) => {
                    let message = format!("expected valid YAML: {}", shown(&error.info()));
                    self.problem(place(error.marker()), message);
                    Err(Stop)
                }
            };
            if step.is_err() {
                return false;
            }
        }
        true
    }

    fn document(&mut self, number: usize, at: Place) -> Result<(), Stop> {
        if number > 1 {
            self.problem(at, "expected one document, found the start of a second");
            return Err(Stop);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, at: Place) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let broken = self.refuse_extras(at, anchor, tag.is_some());
                let value = if broken { Value::Broken } else { scalar(&text, style) };
                self.place_node(Node { at, value })
            }
            Event::SequenceStart(_, anchor, tag) => {
                let broken = self.refuse_extras(at, anchor, tag.is_some());
                self.begin(Open { at, broken, items: Items::Seq(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                let broken = self.refuse_extras(at, anchor, tag.is_some());
                let items = Items::Map { entries: Vec::new(), seen: HashMap::new(), key: KeySlot::Awaited };
                self.begin(Open { at, broken, items })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(_) => {
                self.problem(at, "aliases (*name) are not supported: write the value out");
                self.place_node(Node { at, value: Value::Broken })
            }
            _ => Ok(()),
        }
    }

    /// Reports an anchor or a tag; true where there was one.
    fn refuse_extras(&mut self, at: Place, anchor: usize, tagged: bool) -> bool {
        if anchor != 0 {
            self.problem(at, "anchors (&name) are not supported: write the value out where it is needed");
        }
        if tagged {
            self.problem(at, "tags (!name) are not supported: write the plain value");
        }
        anchor != 0 || tagged
    }

    fn begin(&mut self, open: Open) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            self.problem(open.at, format!("expected at most {MAX_DEPTH} levels of lists and mappings"));
            return Err(Stop);
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.items {
            _ if open.broken => Value::Broken,
            Items::Seq(items) => Value::Seq(items),
            Items::Map { entries, .. } => Value::Map(entries),
        };
        self.place_node(Node { at: open.at, value })
    }

    /// Puts a finished node where it belongs: into the open list or mapping, or at the root.
    fn place_node(&mut self, node: Node) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.problem(node.at, format!("expected at most {MAX_NODES} values in a file"));
            return Err(Stop);
        }
        let complaint = match self.open.last_mut().map(|open| &mut open.items) {
            None => {
                self.root = Some(node);
                None
            }
            Some(Items::Seq(items)) => {
                items.push(node);
                None
            }
            Some(Items::Map { entries, seen, key }) => match std::mem::replace(key, KeySlot::Awaited) {
                KeySlot::Read(read) => {
                    entries.push((read, node));
                    None
                }
                KeySlot::Wrong => None,
                KeySlot::Awaited => {
                    let (slot, complaint) = read_key(node, seen);
                    *key = slot;
                    complaint
                }
            },
        };
        if let Some((at, message)) = complaint {
            self.problem(at, message);
        }
        Ok(())
    }

    fn problem(&mut self, at: Place, message: impl Into<String>) {
        self.problems.push(Problem::at(self.source, at, message));
    }
}

/// Makes a key of a node, or says why it is none.
fn read_key(node: Node, seen: &mut HashMap<String, Place>) -> (KeySlot, Option<(Place, String)>) {
    let at = node.at;
    let text = match node.value {
        Value::Scalar { text, .. } => text,
        Value::Broken => return (KeySlot::Wrong, None),
        _ => {
            return (
                KeySlot::Wrong,
                Some((at, format!("expected a word as key, found {}", node.describe()))),
            );
        }
    };
    if text == "<<" {
        let message = "merge keys (<<) are not supported: write the values out".to_owned();
        return (KeySlot::Wrong, Some((at, message)));
    }
    if let Some(first) = seen.get(&text) {
        let message = format!("key '{}' is given twice, first in line {}", shown(&text), first.line);
        return (KeySlot::Wrong, Some((at, message)));
    }
    seen.insert(text.clone(), at);
    (KeySlot::Read(Key { at, text }), None)
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if !quoted => Value::Null,
        text => Value::Scalar { text: text.to_owned(), quoted },
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: to_u32(marker.line().max(1)), column: to_u32(marker.col().saturating_add(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let (tree, problems) = parse(&Source::new("t.yaml", text));
        assert!(problems.is_empty(), "{problems}");
        tree.unwrap()
    }

    fn problems_of(text: &str) -> String {
        parse(&Source::new("t.yaml", text)).1.to_string()
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let Value::Map(entries) = tree("mode: off\nhome: [NO, \"30%\"]\nfor:\n").value else { panic!() };
        let (key, mode) = &entries[0];
        assert_eq!((key.at, mode.at), (Place { line: 1, column: 1 }, Place { line: 1, column: 7 }));
        assert_eq!(mode.text(), Some("off"));
        let Value::Seq(home) = &entries[1].1.value else { panic!() };
        assert_eq!(home[0].text(), Some("NO"));
        assert_eq!(home[1].value, Value::Scalar { text: "30%".into(), quoted: true });
        assert_eq!(home[1].at, Place { line: 2, column: 12 });
        assert!(entries[2].1.is_null());
        assert_eq!(entries[2].1.at.line, 3);
    }

    #[test]
    fn columns_count_characters() {
        let Value::Map(entries) = tree("봉수: [한, 국]").value else { panic!() };
        let Value::Seq(items) = &entries[0].1.value else { panic!() };
        assert_eq!(items[1].at, Place { line: 1, column: 9 });
    }

    #[test]
    fn what_has_no_place_in_our_files_is_said() {
        assert_eq!(problems_of("a: 1\nb: 2\na: 3\n"), "t.yaml:3:1: key 'a' is given twice, first in line 1");
        assert!(problems_of("a: &x 1\nb: *x\n").contains("t.yaml:2:4: aliases"));
        assert!(problems_of("a: &x 1\n").contains("anchors"));
        assert!(problems_of("a: !!int 1\n").contains("tags"));
        assert!(problems_of("<<: {a: 1}\n").contains("t.yaml:1:1: merge keys"));
        assert!(problems_of("[a]: 1\n").contains("expected a word as key, found a list"));
        assert!(problems_of("a: 1\n---\nb: 2\n").contains("t.yaml:2:1: expected one document"));
    }

    #[test]
    fn bad_syntax_is_one_problem_with_its_place() {
        let (tree, problems) = parse(&Source::new("t.yaml", "a: [1, 2\nb: 3\n"));
        assert_eq!((tree, problems.len()), (None, 1));
        assert!(problems.to_string().starts_with("t.yaml:2:"), "{problems}");
        assert!(problems_of("a:\n\t- b\n").starts_with("t.yaml:2:"), "{}", problems_of("a:\n\t- b\n"));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        assert!(problems_of(&deep).contains("t.yaml:1:65: expected at most 64 levels"));
        let many = format!("[{}]", "1,".repeat(MAX_NODES + 1));
        assert!(problems_of(&many).contains("expected at most 200000 values"));
    }
}
