//! YAML text → a tree with places → typed values, with all problems of a file at once.
//! Comes in: the text of a rules or configuration file. Goes out: what [`Read`] makes of it, or [`Problems`] that name
//! file, line, column, what was expected and the nearest right word. What a key means is the business of others.
//!
//! This is the one folder that knows the YAML crate. It reads the events of `granit-parser` itself and not through the
//! deserialiser built upon it: a derived reader stops at the first error, and a scalar that went through a typed
//! reader has lost its text (`10s`, `off`, `NO`) or its place.

mod fields;
mod mention;
mod nearest;
mod problem;
mod quantity;
mod scalar;
mod source;
mod tree;

pub use fields::{Fields, Read, Reader, Scalar};
pub(crate) use fields::{Word, expected_word, meant_word, parse_word, words};
pub use mention::Mention;
pub use nearest::nearest;
pub use problem::{MAX_PROBLEMS, Problem, Problems};
pub use quantity::{Bytes, Count, Factor, Rate, Share};
pub use scalar::{MAX_TEXT, Number, Port};
pub use source::{MAX_SOURCE_BYTES, Source};
pub use tree::{MAX_DEPTH, MAX_NODES};

use std::fmt;

/// A place in a text: line and column, both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub value: Value,
}

/// What stands at a place, before anybody asks what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A single value with its own text: no number or truth is read into it here.
    Scalar {
        /// The text after YAML's escapes.
        text: String,
        /// Whether it stood in quotes or in a block.
        quoted: bool,
    },
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in the order of the text; its keys differ.
    Map(Vec<(Key, Node)>),
    /// Something that has already been reported as a problem; reading it is silent.
    Broken,
}

/// The key of a mapping's entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it begins.
    pub at: Place,
    /// Its text.
    pub text: String,
}

impl Node {
    /// The text, where the node is a single value.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing stands there.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What was found, in the words of a message.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null | Value::Broken => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("'{}'", shown(text)),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Text longer than this is cut in messages, so that a hostile file cannot fill a screen.
const SHOWN_CHARS: usize = 60;

/// Text as a message may show it: control characters escaped, cut after 60 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (index, letter) in text.chars().enumerate() {
        match letter {
            _ if index == SHOWN_CHARS => {
                out.push('…');
                break;
            }
            letter if letter.is_control() => out.extend(letter.escape_default()),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped_and_cut_in_messages() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), SHOWN_CHARS + 1);
    }
}
