//! What is wrong with a file, said so that it can be put right: file, line, column, what was expected, the nearest
//! right word. Comes in: one problem after the other. Goes out: all of them, sorted, as lines or with the source.

use std::fmt;
use std::sync::Arc;

use super::{Place, Source, shown};

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// Where in the file; `None` where the file as a whole is meant (it cannot be read, it is too large).
    pub at: Option<Place>,
    /// What was expected and what was found.
    pub message: String,
    /// The nearest right word or another way out.
    pub help: Option<String>,
    /// What was read, for the excerpt of [`Problem::rendered`]: looking the line up is left until then.
    source: Option<Source>,
}

/// All that is wrong, sorted by file, line and column; at most [`MAX_PROBLEMS`] are kept and the rest counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    list: Vec<Problem>,
    more: usize,
}

/// Nobody reads more at once, and a hostile file must not fill memory with complaints.
pub const MAX_PROBLEMS: usize = 100;

/// A source line is cut here when it is shown: a terminal's width and some.
const SHOWN_LINE: usize = 160;

impl Problem {
    /// Makes a problem of a place in `source`.
    pub fn at(source: &Source, at: Place, message: impl Into<String>) -> Self {
        let (file, source) = (source.name(), Some(source.clone()));
        Self { file, at: Some(at), message: message.into(), help: None, source }
    }

    /// Makes a problem of a file as a whole.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.into(), at: None, message: message.into(), help: None, source: None }
    }

    /// Adds a way out.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean 'WORD'?` where a word is given.
    pub fn meaning(self, word: Option<&str>) -> Self {
        match word {
            Some(word) => self.with_help(format!("did you mean '{}'?", shown(word))),
            None => self,
        }
    }

    /// The problem over several lines: the message, the line of the source, a caret beneath, the help.
    pub fn rendered(&self) -> String {
        let mut out = format!("{}: {}\n", self.heading(), self.message);
        let line =
            self.at.zip(self.source.as_ref()).and_then(|(at, source)| Some((at, source.line(at.line)?)));
        if let Some((at, line)) = line {
            out.push_str(&excerpt(at, line));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("  help: {help}\n"));
        }
        out
    }

    fn heading(&self) -> String {
        match self.at {
            Some(at) => format!("{}:{at}", self.file),
            None => self.file.to_string(),
        }
    }

    fn order(&self) -> (&str, Option<Place>) {
        (&self.file, self.at)
    }
}

/// The source line with a caret beneath the column. A long line is shown around the caret.
fn excerpt(at: Place, line: &str) -> String {
    let column = at.column.saturating_sub(1) as usize;
    let skipped = if column >= SHOWN_LINE { column - SHOWN_LINE / 2 } else { 0 };
    let visible = |letter: char| if letter.is_control() { ' ' } else { letter };
    let text: String = line.chars().skip(skipped).take(SHOWN_LINE).map(visible).collect();
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(column - skipped);
    format!("  {number} | {}\n  {margin} | {indent}^\n", text.trim_end())
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.heading(), self.message)?;
        match &self.help {
            Some(help) => write!(out, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl Problems {
    /// Adds one; beyond [`MAX_PROBLEMS`] the last in order is dropped and counted.
    pub fn push(&mut self, problem: Problem) {
        let place = self.list.partition_point(|other| other.order() <= problem.order());
        self.list.insert(place, problem);
        if self.list.len() > MAX_PROBLEMS {
            self.list.pop();
            self.more = self.more.saturating_add(1);
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Problems) {
        others.list.into_iter().for_each(|problem| self.push(problem));
        self.more = self.more.saturating_add(others.more);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, the dropped ones included.
    pub fn len(&self) -> usize {
        self.list.len().saturating_add(self.more)
    }

    /// Those kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// `value` where nothing is wrong, the problems otherwise.
    pub fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// All of them with their source lines and carets.
    pub fn rendered(&self) -> String {
        let mut out: String = self.list.iter().map(Problem::rendered).collect();
        if self.more > 0 {
            out.push_str(&format!("and {} more\n", self.more));
        }
        out
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { list: vec![problem], more: 0 }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{problem}")?;
        }
        if self.more > 0 {
            write!(out, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Place = Place { line: 2, column: 3 };

    #[test]
    fn one_line_and_many_lines_tell_the_same() {
        let source = Source::new("rules.yaml", "- id: a\n  treshold: 5\n");
        let problem = Problem::at(&source, AT, "unknown key 'treshold'").meaning(Some("threshold"));
        assert_eq!(problem.to_string(), "rules.yaml:2:3: unknown key 'treshold'; did you mean 'threshold'?");
        assert_eq!(
            problem.rendered(),
            "rules.yaml:2:3: unknown key 'treshold'\n  2 |   treshold: 5\n    |   ^\n  help: did you mean \
             'threshold'?\n"
        );
    }

    #[test]
    fn a_long_line_is_shown_around_its_caret() {
        let source = Source::new("x", &"ab ".repeat(1_000));
        let place = Place { line: 1, column: 2_000 };
        let rendered = Problem::at(&source, place, "wrong").rendered();
        assert!(rendered.lines().all(|line| line.chars().count() <= SHOWN_LINE + 10), "{rendered}");
        assert!(rendered.contains('^'));
    }

    #[test]
    fn problems_come_sorted_and_capped() {
        let source = Source::new("x", "text");
        let mut problems = Problems::default();
        for line in (1..=150).rev() {
            problems.push(Problem::at(&source, Place { line, column: 1 }, "wrong"));
        }
        assert_eq!(problems.len(), 150);
        let lines: Vec<u32> = problems.iter().filter_map(|problem| problem.at).map(|at| at.line).collect();
        assert_eq!(lines, (1..=100).collect::<Vec<u32>>());
        assert!(problems.to_string().ends_with("and 50 more"));
    }
}
