//! `docs/performance.md`: what is measured takes its place between two marks, and the rest of the page stays.

#![allow(dead_code, reason = "not everyone who measures writes to the page")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The page.
pub fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md")
}

/// Puts `text` between the marks of `section`; fails where the page has no such marks.
pub fn replace(page: &Path, section: &str, text: &str) -> io::Result<()> {
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let whole = fs::read_to_string(page)?;
    let missing = || io::Error::other(format!("{}: no marks of '{section}'", page.display()));
    let (before, rest) = whole.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    fs::write(page, format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

/// A Markdown table: its head, then its rows.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// A number with commas between its thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Mebibytes with one digit.
pub fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// The processor, as the system names it, and how many cores there are.
pub fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", model.map_or("a processor without a name", |(_, name)| name.trim()))
}
