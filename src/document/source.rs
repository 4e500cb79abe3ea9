//! A text and its name, shared cheaply by all that may have to complain about it.
//! Comes in: a path, or a name and a text. Goes out: a [`Source`]. It knows lines, not YAML.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::{Place, Problem};

/// The name and text of a file; cloning shares both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

/// The largest file that is read: a thousand rules with their tests take less than half of it.
pub const MAX_SOURCE_BYTES: u64 = 4 << 20;

impl Source {
    /// Wraps a text; `name` stands in the problems found in it.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Reads a file of at most [`MAX_SOURCE_BYTES`] of UTF-8; the problem says what is wrong with it otherwise.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let unreadable = |error: std::io::Error| Problem::of_file(&name, format!("cannot be read: {error}"));
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_SOURCE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(&name, bytes)
    }

    /// Wraps bytes that should be UTF-8 and at most [`MAX_SOURCE_BYTES`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, Problem> {
        if bytes.len() as u64 > MAX_SOURCE_BYTES {
            let limit = MAX_SOURCE_BYTES >> 20;
            return Err(Problem::of_file(name, format!("expected a file of at most {limit} MiB")));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name: name.into(), text: text.into() }),
            Err(error) => Err(not_utf8(name, &error)),
        }
    }

    /// The name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of that number, counted from 1; `None` beyond the end.
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.text.lines().nth(index)
    }
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Problem {
    let bytes = error.as_bytes();
    let valid_len = error.utf8_error().valid_up_to();
    let valid = bytes.get(..valid_len).unwrap_or_default();
    let valid = String::from_utf8_lossy(valid);
    let start_of_line = valid.rfind('\n').map_or(0, |newline| newline + 1);
    let line = valid.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = valid.get(start_of_line..).map_or(0, |text| text.chars().count()) + 1;
    let found = bytes.get(valid_len).copied().unwrap_or_default();
    let at = Place { line: to_u32(line), column: to_u32(column) };
    Problem::at(&Source::new(name, &valid), at, format!("expected UTF-8 text, found the byte 0x{found:02x}"))
}

pub(super) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_utf8_is_placed() {
        let problem =
            Source::from_bytes("c.yaml", b"home: [KR]\nsensor: \xed\x95\x9c\xff".to_vec()).unwrap_err();
        assert_eq!(problem.to_string(), "c.yaml:2:10: expected UTF-8 text, found the byte 0xff");
    }

    #[test]
    fn a_large_file_is_refused() {
        let problem = Source::from_bytes("big", vec![b'#'; (4 << 20) + 1]).unwrap_err();
        assert_eq!(problem.to_string(), "big: expected a file of at most 4 MiB");
    }

    #[test]
    fn a_missing_file_is_named() {
        let problem = Source::load(Path::new("/nonexistent/c.yaml")).unwrap_err();
        assert!(problem.to_string().starts_with("/nonexistent/c.yaml: cannot be read: "), "{problem}");
    }
}
