//! Text that strangers chose, made safe to show. Comes in: paths, names of networks, labels. Goes out: text without
//! anything that moves a cursor, breaks a line or turns the reading direction.

/// Text is cut at this many bytes: no path that says something is longer, and a line stays a line.
pub const MAX_TOLD: usize = 1_024;

const CUT: char = '…';

/// Shows control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls and other invisible
/// marks as escapes (`\x1b`, `\u{202e}`), doubles the backslash, and cuts at [`MAX_TOLD`] bytes with an ellipsis.
pub fn told(text: &str) -> String {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
    if text.len() <= MAX_TOLD && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(MAX_TOLD));
    // Where the text ends if the next piece is one too many.
    let mut end = 0;
    for letter in text.chars() {
        if out.len() <= MAX_TOLD - CUT.len_utf8() {
            end = out.len();
        }
        push(&mut out, letter);
        if out.len() > MAX_TOLD {
            out.truncate(end);
            out.push(CUT);
            return out;
        }
    }
    out
}

fn push(out: &mut String, letter: char) {
    match letter {
        '\\' => out.push_str("\\\\"),
        '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
        hidden if is_hidden(hidden) => out.push_str(&format!("\\u{{{:x}}}", u32::from(hidden))),
        plain => out.push(plain),
    }
}

/// C1 controls, separators of lines, and what Unicode lists as bidirectional or invisible formatting.
fn is_hidden(letter: char) -> bool {
    matches!(
        letter,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_or_the_reading_direction_is_shown() {
        assert_eq!(told("/a\x1b[2J\r\nb\0"), r"/a\x1b[2J\x0d\x0ab\x00");
        assert_eq!(told("evil\u{202e}gpj.exe\u{2028}\u{85}"), r"evil\u{202e}gpj.exe\u{2028}\u{85}");
        assert_eq!(told(r"a\x1b"), r"a\\x1b", "an escape and its picture differ");
        assert_eq!(told("조달청 Ünïcode"), "조달청 Ünïcode");
    }

    #[test]
    fn long_text_is_cut_between_letters() {
        let exact = "a".repeat(MAX_TOLD);
        assert_eq!(told(&exact), exact);
        for piece in ["a", "조", "\x1b", "😀"] {
            let cut = told(&piece.repeat(65_536));
            assert!(cut.len() <= MAX_TOLD && cut.len() > MAX_TOLD - 8, "{piece}: {}", cut.len());
            assert!(cut.ends_with('…'));
        }
    }
}
