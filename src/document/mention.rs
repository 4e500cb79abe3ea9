//! Names that stand in one file and are given elsewhere: read as they are, held against what there is once that is known.
//! Comes in: a node. Goes out: a [`Mention`], and the problem with it where nothing has that name.

use std::fmt;

use super::{Node, Place, Problem, Read, Reader, Source, nearest, shown};

/// A name and where it was mentioned. Two are the same where their names are, wherever they stand.
#[derive(Debug, Clone)]
pub struct Mention {
    name: String,
    source: Source,
    at: Place,
}

impl Mention {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with it where it is none of `known`, which are names of `what`.
    pub fn unless_among<'k>(
        &self,
        known: impl IntoIterator<Item = &'k str> + Clone,
        what: &str,
    ) -> Option<Problem> {
        let is_known = known.clone().into_iter().any(|name| name == self.name);
        (!is_known).then(|| self.unknown(what, nearest(&self.name, known)))
    }

    /// The problem that nothing has that name.
    pub fn unknown(&self, what: &str, meant: Option<&str>) -> Problem {
        let message = format!("expected {what}, found '{}'", shown(&self.name));
        Problem::at(&self.source, self.at, message).meaning(meant)
    }
}

impl Read for Mention {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let source = reader.source().clone();
        let name = String::read(node, reader)?;
        Some(Self { name, source, at: node.at })
    }
}

impl fmt::Display for Mention {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

impl From<&str> for Mention {
    /// A name that no file mentions.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), source: Source::new("", name), at: Place { line: 1, column: 1 } }
    }
}

impl PartialEq for Mention {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Mention {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentioned(text: &str) -> Vec<Mention> {
        let source = Source::new("m.yaml", text);
        let (tree, mut reader) = Reader::parse(&source);
        Read::read(&tree.unwrap(), &mut reader).unwrap()
    }

    #[test]
    fn a_name_that_nothing_has_is_told_where_it_stands() {
        let names = mentioned("[pps,\n wbe]");
        let told = |mention: &Mention| mention.unless_among(["pps", "web"], "the name of a service");
        assert_eq!(told(&names[0]), None);
        assert_eq!(
            told(&names[1]).unwrap().to_string(),
            "m.yaml:2:2: expected the name of a service, found 'wbe'; did you mean 'web'?"
        );
    }

    #[test]
    fn a_name_is_the_same_wherever_it_stands() {
        assert_eq!(mentioned("[pps]"), mentioned("\n\n[pps]"));
        assert_ne!(mentioned("[pps]"), mentioned("[web]"));
    }
}
