//! One source file → the modules of the crate it names, the clocks it reads, where it is test code.
//!
//! Reads text only: what macros make is not seen. Knows nothing of ranks.

use super::tokens::{Token, tokens};

/// A source file under `src/`, read but not judged.
pub struct Source<'a> {
    /// Path below the crate's folder, `src/flow/table.rs`.
    pub path: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// Its place in the crate, `["flow", "table"]`; empty for `lib.rs` and `main.rs`.
    pub module: Vec<&'a str>,
    tokens: Vec<Token<'a>>,
    /// For each token: whether it belongs to an item under `#[cfg(test)]`.
    in_test: Vec<bool>,
}

/// A path that starts at the crate's root: `crate::flow::…`, or `super::…` climbing that far.
#[derive(Debug, PartialEq, Eq)]
pub struct Import<'a> {
    /// First name behind the root; `*` for a glob.
    pub module: &'a str,
    /// Line it stands on, from 1.
    pub line: usize,
    /// Whether only tests are built with it.
    pub in_test: bool,
}

impl<'a> Source<'a> {
    /// Reads a file's text; `path` uses `/` and starts with `src/`.
    pub fn read(path: &'a str, text: &'a str) -> Source<'a> {
        let tokens = tokens(text);
        let in_test = test_marks(&tokens);
        Source { path, text, module: module_of(path), tokens, in_test }
    }

    /// Every import from the crate's root, in the order of the text.
    pub fn imports(&self) -> Vec<Import<'a>> {
        let mut found = Vec::new();
        let mut scopes = Scopes::default();
        for at in 0..self.tokens.len() {
            scopes.pass(&self.tokens, at);
            let depth = self.module.len() + scopes.modules();
            if let Some(root) = self.root_path(at, depth) {
                self.first_names(root, &mut found);
            }
        }
        found
    }

    /// Modules declared as `#[cfg(test)] mod name;`: files that are test code as a whole.
    pub fn test_modules(&self) -> Vec<Vec<&'a str>> {
        (0..self.tokens.len())
            .filter(|&at| self.in_test[at] && self.word(at) == "mod" && self.word(at + 2) == ";")
            .map(|at| [self.module.as_slice(), &[self.word(at + 1)]].concat())
            .collect()
    }

    /// Lines that read the wall clock or a monotonic one, with what they call.
    pub fn clock_reads(&self) -> Vec<(usize, String)> {
        const CLOCKS: [&str; 7] =
            ["SystemTime", "Instant", "Timestamp", "Zoned", "Utc", "Local", "OffsetDateTime"];
        const CALLS: [&str; 5] = ["now", "now_utc", "now_local", "clock_gettime", "gettimeofday"];
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            let (word, next, then) = (self.word(at), self.word(at + 1), self.word(at + 2));
            let named = CLOCKS.contains(&word) && next == "::" && CALLS.contains(&then);
            // Under another name the call would not be seen. Timestamps are ours too, and may be renamed.
            let renamed = CLOCKS.contains(&word) && next == "as" && word != "Timestamp";
            let system_call = CALLS[3..].contains(&word);
            let since_epoch = word == "UNIX_EPOCH" && next == "." && then == "elapsed";
            if named || renamed || system_call || since_epoch {
                found.push((self.tokens[at].line, format!("{word}{next}{then}")));
            }
        }
        found
    }

    /// Lines with the word `unsafe`.
    pub fn unsafe_lines(&self) -> Vec<usize> {
        self.tokens.iter().filter(|token| token.text == "unsafe").map(|token| token.line).collect()
    }

    fn word(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// Where the names behind the root begin, if a path from the root starts at this token.
    fn root_path(&self, at: usize, depth: usize) -> Option<usize> {
        let inside_a_path = at >= 2 && self.word(at - 1) == "::" && self.word(at - 2) == "super";
        match self.word(at) {
            "crate" | "bongsu" if self.word(at + 1) == "::" => Some(at + 2),
            "super" if !inside_a_path => {
                let climbed = (0..).take_while(|step| self.word(at + 2 * step) == "super").count();
                (climbed == depth && self.word(at + 2 * climbed - 1) == "::").then_some(at + 2 * climbed)
            }
            _ => None,
        }
    }

    /// The first name, or with `{a::X, b}` the first name of every branch.
    fn first_names(&self, start: usize, found: &mut Vec<Import<'a>>) {
        let mut depth = 0_usize;
        let mut branch_starts = true;
        for at in start..self.tokens.len() {
            match self.word(at) {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                "," if depth == 1 => branch_starts = true,
                name if branch_starts => {
                    branch_starts = false;
                    let import =
                        Import { module: name, line: self.tokens[at].line, in_test: self.in_test[at] };
                    if name != "self" {
                        found.push(import);
                    }
                }
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

/// `src/flow/table.rs` → `flow::table`; `mod.rs` stands for its folder, `lib.rs` and `main.rs` for the root.
fn module_of(path: &str) -> Vec<&str> {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let mut names: Vec<&str> = inner.strip_suffix(".rs").unwrap_or(inner).split('/').collect();
    let is_root = names.len() == 1 && matches!(names[0], "lib" | "main");
    if is_root || names.last() == Some(&"mod") {
        names.pop();
    }
    names
}

/// Counts the `mod name { … }` blocks around the token last passed.
#[derive(Default)]
struct Scopes {
    blocks: Vec<bool>,
}

impl Scopes {
    fn pass(&mut self, tokens: &[Token<'_>], at: usize) {
        match tokens[at].text {
            "{" => self.blocks.push(at >= 2 && tokens[at - 2].text == "mod"),
            "}" => drop(self.blocks.pop()),
            _ => {}
        }
    }

    fn modules(&self) -> usize {
        self.blocks.iter().filter(|is_module| **is_module).count()
    }
}

/// Marks the items under `#[cfg(test)]` and `#[cfg(all(test, …))]`; `#![cfg(test)]` marks the whole file.
fn test_marks(tokens: &[Token<'_>]) -> Vec<bool> {
    let mut marks = vec![false; tokens.len()];
    let mut at = 0;
    while at < tokens.len() {
        let Some((end, whole_file)) = test_attribute(&tokens[at..]) else {
            at += 1;
            continue;
        };
        let from = at + end;
        at = if whole_file { tokens.len() } else { from + item_length(&tokens[from..]) };
        marks[from..at].fill(true);
    }
    marks
}

/// Length of a test attribute at the start, and whether it is an inner one.
fn test_attribute(tokens: &[Token<'_>]) -> Option<(usize, bool)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let inner = text(1) == "!";
    let open = if inner { 2 } else { 1 };
    if text(0) != "#" || text(open) != "[" || text(open + 1) != "cfg" {
        return None;
    }
    let close = tokens.iter().position(|token| token.text == "]")?;
    let names: Vec<&str> = tokens[open + 2..close].iter().map(|token| token.text).collect();
    let for_tests = match names.as_slice() {
        ["(", "test", ")"] => true,
        ["(", "all", "(", conditions @ ..] => conditions.contains(&"test") && !conditions.contains(&"not"),
        _ => false,
    };
    for_tests.then_some((close + 1, inner))
}

/// An item ends at the first `;` outside brackets or at the end of its first block.
fn item_length(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}
