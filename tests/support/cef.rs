//! A strict reader of ArcSight's Common Event Format, version 0: written from the format's description, and knowing nothing
//! of what writes it. Comes in: a line. Goes out: its header and its keys, unescaped; or why it is none.

/// A line that was read.
#[derive(Debug)]
pub struct Cef {
    /// Vendor, product, version, identity of the event's class, name, severity.
    pub header: [String; 6],
    /// The keys of the extension, in their order.
    pub keys: Vec<(String, String)>,
}

impl Cef {
    /// Reads a line without its end.
    pub fn read(line: &str) -> Result<Self, String> {
        if let Some(letter) = line.chars().find(|letter| letter.is_control()) {
            return Err(format!("{letter:?} stands in the line"));
        }
        let rest = line.strip_prefix("CEF:0|").ok_or("it does not begin with CEF:0|")?;
        let (header, extension) = header(rest)?;
        Ok(Self { header, keys: keys(extension)? })
    }

    /// What stands for a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Six fields, each with a pipe behind it; in them, a backslash stands before a pipe or a backslash.
fn header(text: &str) -> Result<([String; 6], &str), String> {
    let mut fields: [String; 6] = Default::default();
    let mut nth = 0;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '|' if nth == 5 => return Ok((fields, &text[at + 1..])),
            '|' => nth += 1,
            '\\' => match letters.next() {
                Some((_, special @ ('|' | '\\'))) => fields[nth].push(special),
                other => return Err(format!("{other:?} behind a backslash in the header")),
            },
            plain => fields[nth].push(plain),
        }
    }
    Err("the header is not whole".to_owned())
}

/// `key=value` with spaces between; in values a backslash stands before a backslash, an equals sign, `n` or `r`.
fn keys(text: &str) -> Result<Vec<(String, String)>, String> {
    let signs: Vec<usize> = unescaped_signs(text);
    let mut keys: Vec<(String, String)> = Vec::new();
    for (nth, at) in signs.iter().enumerate() {
        let from = text[..*at].rfind(' ').map_or(0, |space| space + 1);
        let key = &text[from..*at];
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!("{key:?} is no key"));
        }
        if keys.iter().any(|(known, _)| known == key) {
            return Err(format!("{key} stands twice"));
        }
        if nth == 0 && from != 0 {
            return Err(format!("{:?} stands before the first key", &text[..from]));
        }
        let end = match signs.get(nth + 1) {
            Some(next) => text[..*next].rfind(' ').ok_or("no space before a key")?,
            None => text.len(),
        };
        keys.push((key.to_owned(), unescaped(text.get(at + 1..end).ok_or("a key in a key")?)?));
    }
    Ok(keys)
}

/// Where equals signs stand that no backslash is before.
fn unescaped_signs(text: &str) -> Vec<usize> {
    let (mut signs, mut escaped) = (Vec::new(), false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'=' => signs.push(at),
            _ => {}
        }
    }
    signs
}

fn unescaped(value: &str) -> Result<String, String> {
    let (mut out, mut letters) = (String::new(), value.chars());
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\\' => match letters.next() {
                Some(special @ ('\\' | '=')) => special,
                Some('n') => '\n',
                Some('r') => '\r',
                other => return Err(format!("{other:?} behind a backslash in a value")),
            },
            plain => plain,
        });
    }
    Ok(out)
}
