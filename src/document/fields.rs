//! The typed layer: [`Node`]s → values, every problem noted and none of them final.
//! A reading that fails returns `None` after it has told the [`Reader`] why; the caller reads on, so that all problems
//! of a file come at once. What is right is the business of the types that implement [`Read`] or [`Scalar`].

use super::{Key, Node, Place, Problem, Problems, Source, Value, nearest, shown, tree};

/// A value that can be read from a node. `None` means that the problem has been reported.
pub trait Read: Sized {
    /// Reads the value and reports to `reader` what is wrong with it.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A value that is written as one word, number or quantity.
pub trait Scalar: Sized {
    /// What was expected, with an example: `a rate such as 20/s`.
    fn expected() -> String;

    /// Reads the value from its text.
    fn parse(text: &str) -> Option<Self>;

    /// What was probably meant by a text that does not parse.
    fn meant(_text: &str) -> Option<String> {
        None
    }
}

/// A set of words that is known whole; [`words!`] implements it.
pub(crate) trait Word: Copy + 'static {
    /// What the words are, with an article: `a level`.
    const WHAT: &'static str;
    /// The words and their meanings.
    const WORDS: &'static [(&'static str, Self)];
}

/// Gathers the problems of one source while its values are read.
#[derive(Debug)]
pub struct Reader<'s> {
    source: &'s Source,
    problems: Problems,
}

impl<'s> Reader<'s> {
    /// Parses `source` and begins its reading; the tree is `None` where it is no YAML that can be read on.
    pub fn parse(source: &'s Source) -> (Option<Node>, Self) {
        let (tree, problems) = tree::parse(source);
        (tree, Self { source, problems })
    }

    /// What is being read.
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Reports what is wrong at a place.
    pub fn problem(&mut self, at: Place, message: impl Into<String>) {
        self.problems.push(Problem::at(self.source, at, message));
    }

    /// Reports what is wrong at a place, with the word that was probably meant.
    pub fn problem_meaning(&mut self, at: Place, message: impl Into<String>, meant: Option<&str>) {
        self.problems.push(Problem::at(self.source, at, message).meaning(meant));
    }

    /// Reports that something else was expected at `node`; says nothing where a problem has been reported already.
    pub fn expected<T>(&mut self, node: &Node, what: &str, meant: Option<&str>) -> Option<T> {
        if node.value != Value::Broken {
            self.problem_meaning(node.at, format!("expected {what}, found {}", node.describe()), meant);
        }
        None
    }

    /// The entries of a mapping whose keys are names of the user's own; `what` says what was expected.
    pub fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Key, Node)]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ => self.expected(node, what, None),
        }
    }

    /// The items of a list; `what` says what was expected.
    pub fn items<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::Seq(items) => Some(items),
            Value::Scalar { text, .. } => self.expected(node, what, Some(&format!("[{text}]"))),
            _ => self.expected(node, what, None),
        }
    }

    /// Ends the reading: all that was wrong.
    pub fn into_problems(self) -> Problems {
        self.problems
    }
}

/// The entries of a mapping whose keys are ours: each is asked for by name, [`Fields::finish`] reports the others.
#[derive(Debug)]
pub struct Fields<'n, 'r, 's> {
    what: &'static str,
    at: Place,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
    missing: Vec<(&'static str, Place, String)>,
    reader: &'r mut Reader<'s>,
}

impl<'n, 'r, 's> Fields<'n, 'r, 's> {
    /// Begins to read a mapping; `what` names it with an article (`a rule`).
    pub fn of(node: &'n Node, reader: &'r mut Reader<'s>, what: &'static str) -> Option<Self> {
        let entries = reader.entries(node, &format!("{what} (a mapping)"))?;
        Some(Self { what, at: node.at, entries, known: Vec::new(), missing: Vec::new(), reader })
    }

    /// Declares that the key must be there and have a value: whoever then reads none may rely on a problem being told.
    pub fn need(&mut self, key: &'static str) {
        let what = self.what;
        let missing = match self.entries.iter().find(|(other, _)| other.text == key) {
            None => (key, self.at, format!("missing key '{key}' of {what}")),
            Some((key_there, node)) if node.is_null() => {
                (key, key_there.at, format!("missing value of key '{key}' of {what}"))
            }
            Some(_) => return,
        };
        self.missing.push(missing);
    }

    /// The value of a key that must be there.
    pub fn required<T: Read>(&mut self, key: &'static str) -> Option<T> {
        self.need(key);
        self.optional(key)
    }

    /// The value of a key that may be absent or left empty.
    pub fn optional<T: Read>(&mut self, key: &'static str) -> Option<T> {
        let node = self.node(key)?;
        T::read(node, self.reader)
    }

    /// The value of a key, or `default` where it is absent or wrong.
    pub fn or<T: Read>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of a key that may be absent and must fit; `expected` says what fits.
    pub fn checked<T: Read>(
        &mut self,
        key: &'static str,
        expected: &str,
        fits: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let node = self.node(key)?;
        let value = T::read(node, self.reader)?;
        if fits(&value) { Some(value) } else { self.reader.expected(node, expected, None) }
    }

    /// The node of a key, where it is there and not empty.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let entry = self.entries.iter().find(|(other, _)| other.text == key);
        entry.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Where the mapping begins.
    pub fn at(&self) -> Place {
        self.at
    }

    /// The reader, for what a field alone cannot say.
    pub fn reader(&mut self) -> &mut Reader<'s> {
        self.reader
    }

    /// Reports keys that nobody asked for, with the nearest that somebody did, and keys that are missing. A missing
    /// key that an unknown one was probably meant to be is reported once.
    pub fn finish(self) {
        let Self { what, entries, known, mut missing, reader, .. } = self;
        let is_free = |word: &&'static str| !entries.iter().any(|(key, _)| key.text == **word);
        let free: Vec<&'static str> = known.iter().copied().filter(is_free).collect();
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            let meant = nearest(&key.text, free.iter().copied());
            missing.retain(|(word, ..)| Some(*word) != meant);
            let message =
                format!("unknown key '{}' of {what}: expected one of {}", shown(&key.text), known.join(", "));
            reader.problem_meaning(key.at, message, meant);
        }
        for (_, at, message) in missing {
            reader.problem(at, message);
        }
    }
}

impl<T: Scalar> Read for T {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            return reader.expected(node, &T::expected(), None);
        };
        match T::parse(text) {
            Some(value) => Some(value),
            None => reader.expected(node, &T::expected(), T::meant(text).as_deref()),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    /// Reads a list; items that are wrong are reported and left out.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let items = reader.items(node, "a list")?;
        Some(items.iter().filter_map(|item| T::read(item, reader)).collect())
    }
}

/// `one of low, medium, high` for a set of words.
pub(crate) fn expected_word<W: Word>() -> String {
    let words: Vec<&str> = W::WORDS.iter().map(|(word, _)| *word).collect();
    format!("{} (one of {})", W::WHAT, words.join(", "))
}

/// The meaning of a word.
pub(crate) fn parse_word<W: Word>(text: &str) -> Option<W> {
    W::WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
}

/// The nearest word.
pub(crate) fn meant_word<W: Word>(text: &str) -> Option<String> {
    nearest(text, W::WORDS.iter().map(|(word, _)| *word)).map(str::to_owned)
}

/// Makes an enum readable as one of a set of words, and printable as that word:
/// `words! { Level, "a level": Low = "low", High = "high" }`.
macro_rules! words {
    ($type:ident, $what:literal: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $crate::document::Word for $type {
            const WHAT: &'static str = $what;
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$variant)),+];
        }

        impl $crate::document::Scalar for $type {
            fn expected() -> String {
                $crate::document::expected_word::<Self>()
            }
            fn parse(text: &str) -> Option<Self> {
                $crate::document::parse_word(text)
            }
            fn meant(text: &str) -> Option<String> {
                $crate::document::meant_word::<Self>(text)
            }
        }

        impl $type {
            /// The word that stands for it in rules, configuration and records.
            pub const fn word(self) -> &'static str {
                match self {
                    $($type::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Rate;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Level {
        Low,
        High,
    }
    words! { Level, "a level": Low = "low", High = "high" }

    #[derive(Debug, PartialEq)]
    struct Alarm {
        level: Level,
        rate: Rate,
        names: Vec<String>,
    }

    impl Read for Alarm {
        fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
            let mut fields = Fields::of(node, reader, "an alarm")?;
            let level = fields.required("level");
            let rate = fields.required("rate");
            let names = fields.or("names", Vec::new());
            fields.finish();
            Some(Self { level: level?, rate: rate?, names })
        }
    }

    fn read(text: &str) -> Result<Alarm, String> {
        let source = Source::new("a.yaml", text);
        let (tree, mut reader) = Reader::parse(&source);
        let alarm = tree.and_then(|tree| Alarm::read(&tree, &mut reader));
        let problems = reader.into_problems();
        alarm.filter(|_| problems.is_empty()).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn a_right_mapping_is_read() {
        let alarm = read("level: high\nrate: 1.5k/s\nnames:\n").unwrap();
        assert_eq!(alarm, Alarm { level: Level::High, rate: Rate(1_500.0), names: vec![] });
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let problems = read("levle: high\nrate: 20\nnames: web\n").unwrap_err();
        assert_eq!(
            problems,
            "a.yaml:1:1: unknown key 'levle' of an alarm: expected one of level, rate, names; did you mean \
             'level'?\na.yaml:2:7: expected a rate such as 20/s, found '20'; did you mean \
             '20/s'?\na.yaml:3:8: expected a list, found 'web'; did you mean '[web]'?"
        );
    }

    #[test]
    fn missing_keys_and_wrong_words_are_named() {
        let problems = read("level: hihg\n").unwrap_err();
        assert!(problems.contains("a.yaml:1:1: missing key 'rate' of an alarm"), "{problems}");
        assert!(
            problems.contains(
                "a.yaml:1:8: expected a level (one of low, high), found 'hihg'; did you mean 'high'?"
            ),
            "{problems}"
        );
        assert!(read("level: low\nrate:\n").unwrap_err().contains("a.yaml:2:1: missing value of key 'rate'"));
        assert!(read("- 1\n").unwrap_err().contains("expected an alarm (a mapping), found a list"));
    }
}
