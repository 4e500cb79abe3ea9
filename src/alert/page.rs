//! Lines of records of flows, one behind the other: what is told a hundred thousand times a second goes to the sinks as
//! pages, not as records. Comes in: lines. Goes out: their text, and a [`Record`] of each for whoever wants them one by
//! one.

use super::{EventType, Record};
use crate::time::Timestamp;

/// Lines that are sent as one. None has a severity or an incident.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In UTF-8.
    text: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    /// Where it ends, its line end included.
    end: usize,
    kind: EventType,
    time: Timestamp,
}

/// Text of a page: enough that waking a sink for it costs little beside writing it.
const FULL: usize = 64 * 1024;

impl Page {
    /// An empty page with room for what makes it full.
    pub fn new() -> Self {
        Self { text: Vec::with_capacity(FULL + FULL / 8), lines: Vec::with_capacity(FULL / 256) }
    }

    /// Adds a line, given without its line end.
    pub fn add(&mut self, line: &[u8], kind: EventType, time: Timestamp) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.lines.push(Line { end: self.text.len(), kind, time });
    }

    /// Whether it is time for another page.
    pub fn is_full(&self) -> bool {
        self.text.len() >= FULL
    }

    /// Whether nothing stands on it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines, each with its line end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The lines as records.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.lines.iter().scan(0, |begin, line| {
            let text = String::from_utf8_lossy(self.text.get(*begin..line.end)?);
            *begin = line.end;
            let line = Record {
                kind: line.kind,
                severity: None,
                time: Some(line.time),
                incident: None,
                seq: None,
                line: text.trim_end_matches('\n').into(),
            };
            Some(line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_lines() {
        let mut page = Page::new();
        page.add(b"{}", EventType::Flow, Timestamp::from_secs(1));
        page.add("{\"a\":\"조\"}".as_bytes(), EventType::Http, Timestamp::from_secs(2));
        assert_eq!((page.text(), page.len()), ("{}\n{\"a\":\"조\"}\n".as_bytes(), 2));
        let told: Vec<_> = page.records().map(|record| (record.kind, record.line.to_string())).collect();
        assert_eq!(
            told,
            [(EventType::Flow, "{}".to_owned()), (EventType::Http, "{\"a\":\"조\"}".to_owned())]
        );
        while !page.is_full() {
            page.add(&[b'x'; 1_000], EventType::Tls, Timestamp::from_secs(3));
        }
        assert_eq!(page.records().count(), page.len());
    }
}
