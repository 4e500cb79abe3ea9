//! Rust source text → its words and punctuation, each with its line.
//!
//! Comments, strings and character literals give no token: what stands in them imports nothing and reads no clock.
//! Knows nothing of Rust's grammar beyond that.

/// A piece of source text that the compiler would act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Line it stands on, from 1.
    pub line: usize,
    /// Its text: a word, `::`, or one character of punctuation.
    pub text: &'a str,
}

/// Splits source text into tokens, leaving out comments and literals in quotes.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = match blank_length(rest) {
            Some(length) => length,
            None => {
                let length = solid_length(rest, first);
                found.push(Token { line, text: &rest[..length] });
                length
            }
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// Length of the white space, comment or quoted literal at the start of `rest`; none if code stands there.
fn blank_length(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    if first.is_whitespace() {
        return Some(first.len_utf8());
    }
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_length(rest));
    }
    let prefix =
        ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| opens_literal(rest, prefix)).unwrap_or("");
    let body = &rest[prefix.len()..];
    let length = match body.as_bytes().first()? {
        b'"' | b'#' if prefix.ends_with('r') => raw_string_length(body)?,
        b'"' => quoted_length(body, '"')?,
        b'\'' => char_length(body)?,
        _ => return None,
    };
    Some(prefix.len() + length)
}

/// Whether `rest` is this literal prefix with a quote (or, for raw strings, hashes and a quote) behind it.
fn opens_literal(rest: &str, prefix: &str) -> bool {
    let Some(body) = rest.strip_prefix(prefix) else { return false };
    let body = if prefix.ends_with('r') { body.trim_start_matches('#') } else { body };
    body.starts_with('"') || (prefix == "b" && body.starts_with('\''))
}

/// Block comments nest in Rust; one that is never closed reaches to the end.
fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += rest[at..].chars().next().map_or(1, char::len_utf8),
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// `#"…"#` with any number of hashes; none if no quote follows the hashes (`r#type` is a word).
fn raw_string_length(body: &str) -> Option<usize> {
    let hashes = body.len() - body.trim_start_matches('#').len();
    let text = body[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = text.find(&closing).map_or(text.len(), |at| at + closing.len());
    Some(hashes + 1 + end)
}

/// From the opening quote to the closing one, both included; none if it never closes.
fn quoted_length(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        if !escaped && c == quote {
            return Some(at + 1);
        }
        escaped = !escaped && c == '\\';
    }
    None
}

/// `'x'` and `'\n'` are characters; `'a` without a closing quote is a lifetime.
fn char_length(body: &str) -> Option<usize> {
    let mut inside = body.chars().skip(1);
    match (inside.next()?, inside.next()?) {
        ('\\', _) => quoted_length(body, '\''),
        (c, '\'') => Some(2 + c.len_utf8()),
        _ => None,
    }
}

/// Length of the word, `::` or single character at the start of `rest`.
fn solid_length(rest: &str, first: char) -> usize {
    if first.is_alphanumeric() || first == '_' {
        return rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    }
    if rest.starts_with("::") { 2 } else { first.len_utf8() }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_left_out() {
        assert_eq!(texts("a // crate::b\n/* x /* nested */ y */ c /// d"), ["a", "c"]);
    }

    #[test]
    fn strings_are_left_out_and_code_behind_them_is_not() {
        assert_eq!(texts(r##"x("a\"b", r#"c"d"#, b"e", br"f\", c"g"); y"##), texts("x(, , , , ); y"));
    }

    #[test]
    fn characters_are_left_out_and_lifetimes_are_not_their_start() {
        assert_eq!(texts(r"f::<'a>('x', '\'', b'\n', '봉') && g"), texts("f::<'a>( , , , ) && g"));
    }

    #[test]
    fn raw_words_are_words() {
        assert_eq!(texts("r#type b r"), ["r", "#", "type", "b", "r"]);
    }

    #[test]
    fn lines_are_counted_through_what_is_left_out() {
        let lines: Vec<_> = tokens("a\n/*\n*/ \"\n\" b").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 4]);
    }
}
