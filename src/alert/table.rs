//! Aligned columns for a terminal. Comes in: cells of text. Goes out: lines no wider than asked for.

/// The side a column leans to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lean {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// Space between columns.
const GAP: &str = "  ";

/// Columns with a head, filled row by row.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    leans: [Lean; N],
    /// No wider than this: longer cells are cut.
    most: [usize; N],
    lines: Vec<Line<N>>,
}

#[derive(Debug)]
enum Line<const N: usize> {
    Cells([String; N]),
    Whole(String),
}

impl<const N: usize> Table<N> {
    /// A table of columns, each with its head, lean and greatest width.
    pub fn new(columns: [(&str, Lean, usize); N]) -> Self {
        Self {
            leans: columns.map(|(_, lean, _)| lean),
            most: columns.map(|(_, _, most)| most),
            lines: vec![Line::Cells(columns.map(|(head, _, _)| head.to_owned()))],
        }
    }

    /// Adds a row. A first cell too wide for its column stands on a line of its own above the others.
    pub fn row(&mut self, mut cells: [String; N]) {
        if let (Some(first), Some(most)) = (cells.first_mut(), self.most.first())
            && width(first) > *most
        {
            self.lines.push(Line::Whole(std::mem::take(first)));
        }
        self.lines.push(Line::Cells(cells));
    }

    /// The lines, head first, each behind `indent`.
    pub fn lines(&self, indent: &str) -> String {
        let widths = self.widths();
        let mut out = String::new();
        for line in &self.lines {
            let text = match line {
                Line::Whole(text) => text.clone(),
                Line::Cells(cells) => self.joined(cells, &widths),
            };
            out.push_str(format!("{indent}{text}").trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for line in &self.lines {
            let Line::Cells(cells) = line else { continue };
            for ((cell, wide), most) in cells.iter().zip(&mut widths).zip(&self.most) {
                *wide = (*wide).max(width(cell)).min(*most);
            }
        }
        widths
    }

    fn joined(&self, cells: &[String; N], widths: &[usize; N]) -> String {
        let columns = cells.iter().zip(widths.iter().zip(&self.leans));
        let padded: Vec<String> =
            columns.map(|(cell, (wide, lean))| padded(&cut(cell, *wide), *wide, *lean)).collect();
        padded.join(GAP)
    }
}

fn padded(cell: &str, wide: usize, lean: Lean) -> String {
    let space = " ".repeat(wide.saturating_sub(width(cell)));
    match lean {
        Lean::Left => format!("{cell}{space}"),
        Lean::Right => format!("{space}{cell}"),
    }
}

/// The text, ending in an ellipsis where it is wider than `most`.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let (mut out, mut wide) = (String::new(), 0);
    for letter in text.chars() {
        wide += letter_width(letter);
        if wide + 1 > most {
            break;
        }
        out.push(letter);
    }
    out.push('…');
    out
}

/// Breaks text at spaces into lines of at most `most` cells; a longer word is cut.
pub(super) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, most)),
        }
    }
    lines
}

/// Cells of a terminal that the text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// Two for the wide and full-width letters of Unicode's East Asian Width (Hangul, Han, Kana, emoji), else one.
fn letter_width(letter: char) -> usize {
    match letter {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads() {
        let mut table = Table::new([("who", Lean::Left, 8), ("rate", Lean::Right, 6)]);
        table.row(["조달청".to_owned(), "1,650".to_owned()]);
        table.row(["a very long name".to_owned(), "4".to_owned()]);
        assert_eq!(
            table.lines("  "),
            "  who      rate\n  조달청  1,650\n  a very long name\n              4\n"
        );
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abc…"]);
    }
}
