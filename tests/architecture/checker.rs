//! Source files and a table of ranks → what breaks the map.
//!
//! A pure function: it is given paths and texts and opens nothing, so that a test can hand it a wrong tree.

use std::fmt;

use super::source::{Import, Source};

/// What every file of the crate has to keep.
pub struct Rules<'a> {
    /// Modules directly below the root, lowest rank first; those of one row do not know each other.
    pub ranks: &'a [&'a [&'a str]],
    /// The one module of the lowest row that its own row may import too.
    pub ground: &'a str,
    /// Up to this rank, every module's own tests may import: it is what scenarios are made of.
    pub test_material: usize,
    /// The one file that may read a clock.
    pub clock: &'a str,
    /// Longest file, in lines.
    pub longest: usize,
}

/// A place where a file breaks a rule, printed as `path:line: what`.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the file.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Rules<'_> {
    /// Judges a whole tree, given as pairs of path and text; violations come in the order of the files.
    pub fn check(&self, files: &[(&str, &str)]) -> Vec<Violation> {
        let sources: Vec<Source<'_>> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
        let test_modules: Vec<Vec<&str>> = sources.iter().flat_map(Source::test_modules).collect();
        sources
            .iter()
            .flat_map(|source| {
                let all_test = test_modules.iter().any(|module| source.module.starts_with(module));
                let mut found = self.check_shape(source);
                found.extend(self.check_clock(source));
                found.extend(self.check_imports(source, all_test));
                found
            })
            .collect()
    }

    fn check_shape(&self, source: &Source<'_>) -> Vec<Violation> {
        let mut found = Vec::new();
        if !source.text.starts_with("//!") {
            found.push(violation(source, 1, "the file does not open with //! and what it is for".to_owned()));
        }
        let lines = source.text.lines().count();
        if lines > self.longest {
            let what = format!("{lines} lines, more than {}: this is two files", self.longest);
            found.push(violation(source, self.longest + 1, what));
        }
        let unsafe_lines = source.unsafe_lines().into_iter();
        found.extend(unsafe_lines.map(|line| violation(source, line, "unsafe code".to_owned())));
        found
    }

    fn check_clock(&self, source: &Source<'_>) -> Vec<Violation> {
        if source.path == self.clock {
            return Vec::new();
        }
        let reads = source.clock_reads().into_iter();
        reads
            .map(|(line, call)| violation(source, line, format!("{call}: only {} reads a clock", self.clock)))
            .collect()
    }

    fn check_imports(&self, source: &Source<'_>, all_test: bool) -> Vec<Violation> {
        let Some(own) = source.module.first() else {
            return self.check_root(source);
        };
        let Some(own_rank) = self.rank(own) else {
            return vec![violation(source, 1, format!("module {own} has no place in the table of ranks"))];
        };
        let imports = source.imports().into_iter();
        imports
            .filter(|import| import.module != *own)
            .filter_map(|import| self.judge(&import, own_rank, all_test || import.in_test))
            .map(|(line, what)| violation(source, line, format!("{own} (rank {own_rank}) {what}")))
            .collect()
    }

    /// `lib.rs` and `main.rs` stand above all, but they too name only modules of the table.
    fn check_root(&self, source: &Source<'_>) -> Vec<Violation> {
        let imports = source.imports().into_iter();
        imports
            .filter(|import| self.rank(import.module).is_none())
            .map(|import| {
                violation(source, import.line, format!("{} is no module of the table", import.module))
            })
            .collect()
    }

    fn judge(&self, import: &Import<'_>, own_rank: usize, in_test: bool) -> Option<(usize, String)> {
        let Some(rank) = self.rank(import.module) else {
            return Some((
                import.line,
                format!("imports {}, no module of the table of ranks", import.module),
            ));
        };
        let allowed = rank < own_rank
            || import.module == self.ground
            || (in_test && rank <= self.test_material.max(own_rank));
        (!allowed)
            .then(|| (import.line, format!("imports {} (rank {rank}): only lower ranks", import.module)))
    }

    fn rank(&self, module: &str) -> Option<usize> {
        self.ranks.iter().position(|row| row.contains(&module))
    }
}

fn violation(source: &Source<'_>, line: usize, what: String) -> Violation {
    Violation { path: source.path.to_owned(), line, what }
}
