//! What a path is without what names one thing among many of its kind: `/item/4711/photo` is `/item/*/photo`.
//! Comes in: a path without its query. Goes out: its template, or the hash of that. Numbers, hexadecimal words of eight
//! letters and more with a digit among them, and UUIDs give way to `*`; what stands beside them stays.

use std::borrow::Cow;

/// The path with its identifiers folded to `*`.
pub fn template_of(path: &str) -> Cow<'_, str> {
    if words(path.as_bytes()).all(|word| word.kind == Kind::Plain) {
        return Cow::Borrowed(path);
    }
    let mut template = String::with_capacity(path.len());
    for word in words(path.as_bytes()) {
        match word.kind {
            Kind::Plain => template.push_str(path.get(word.from..word.to).unwrap_or_default()),
            Kind::Identifier => template.push('*'),
        }
    }
    Cow::Owned(template)
}

/// The hash (FNV-1a, 32 bits) of the template of a path's first [`PATH_START`] bytes, the same in every process.
pub fn template_hash(path: &str) -> u32 {
    PathStart::of(path).hash()
}

/// So much of a path tells it from others: nine of ten paths that scanners ask for are shorter.
pub const PATH_START: usize = 63;

/// The beginning of a path, kept until it is known whether anybody asks for its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathStart {
    bytes: [u8; PATH_START],
    len: u8,
}

impl PathStart {
    /// The beginning of `path`.
    pub fn of(path: &str) -> Self {
        let len = path.len().min(PATH_START);
        let mut bytes = [0; PATH_START];
        if let (Some(kept), Some(start)) = (bytes.get_mut(..len), path.as_bytes().get(..len)) {
            kept.copy_from_slice(start);
        }
        Self { bytes, len: len as u8 }
    }

    /// The hash of its template.
    pub fn hash(&self) -> u32 {
        hash(self.bytes.get(..usize::from(self.len)).unwrap_or_default())
    }
}

fn hash(bytes: &[u8]) -> u32 {
    let mut hash = FNV_OFFSET;
    for word in words(bytes) {
        match word.kind {
            Kind::Plain => hash = fnv(hash, bytes.get(word.from..word.to).unwrap_or_default()),
            Kind::Identifier => hash = fnv(hash, b"*"),
        }
    }
    hash
}

/// The constants of FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

fn fnv(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// A part of a path that is folded as one, or stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    from: usize,
    to: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Identifier,
}

/// Hexadecimal words from this length on are no words of a language with a digit in them.
const LEAST_HEX: usize = 8;

/// The lengths of a UUID's groups (RFC 9562).
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

fn words(path: &[u8]) -> impl Iterator<Item = Word> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = path.get(from..).filter(|rest| !rest.is_empty())?;
        let (len, kind) = first_word(rest);
        let word = Word { from, to: from + len, kind };
        from = word.to;
        Some(word)
    })
}

/// What a letter of a word is; what is more is less, too.
const LETTER: u8 = 1;
const HEX: u8 = 2;
const DIGIT: u8 = 3;

/// By byte, 0 for what stands between words.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX,
            b'g'..=b'z' | b'G'..=b'Z' => LETTER,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// The length and kind of what `rest`, which is not empty, begins with.
fn first_word(rest: &[u8]) -> (usize, Kind) {
    if !rest.first().is_some_and(u8::is_ascii_alphanumeric) {
        let len = rest.iter().position(u8::is_ascii_alphanumeric).unwrap_or(rest.len());
        return (len, Kind::Plain);
    }
    let (mut len, mut digits, mut hex) = (0, 0, 0);
    for class in rest.iter().map(|byte| CLASSES[usize::from(*byte)]).take_while(|class| *class != 0) {
        len += 1;
        digits += usize::from(class >= DIGIT);
        hex += usize::from(class >= HEX);
    }
    if len == UUID[0] && hex == len && is_uuid(rest) {
        return (UUID.iter().sum::<usize>() + UUID.len() - 1, Kind::Identifier);
    }
    let identifies = digits == len || (hex == len && len >= LEAST_HEX && digits > 0);
    (len, if identifies { Kind::Identifier } else { Kind::Plain })
}

fn is_uuid(rest: &[u8]) -> bool {
    let mut groups = rest.split(|byte| *byte == b'-');
    UUID.iter().enumerate().all(|(place, len)| {
        let Some(group) = groups.next() else { return false };
        let ends = match group.get(*len) {
            // The last may be followed by what is no letter of it.
            Some(byte) => place == UUID.len() - 1 && !byte.is_ascii_alphanumeric(),
            None => group.len() == *len,
        };
        ends && group.iter().take(*len).all(u8::is_ascii_hexdigit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identifiers_are_folded_and_names_are_not() {
        for (path, template) in [
            ("/", "/"),
            ("", ""),
            ("/wp-login.php", "/wp-login.php"),
            ("/.env", "/.env"),
            ("/item/4711/photo", "/item/*/photo"),
            ("/2023/11/23/news-17.html", "/*/*/*/news-*.html"),
            ("/api/v2/users", "/api/v2/users"),
            ("/static/app.9f86d081884c7d65.js", "/static/app.*.js"),
            ("/decade/deadbeef", "/decade/deadbeef"),
            ("/u/123e4567-e89b-12d3-a456-426614174000/edit", "/u/*/edit"),
            ("/u/cafebabe-cafe-cafe-cafe-cafebabecafe", "/u/*"),
            ("/u/123e4567-e89b-12d3-a456-4266141740001", "/u/*-e89b-12d3-a456-*"),
            ("/\u{ac00}/7", "/\u{ac00}/*"),
        ] {
            assert_eq!(template_of(path), template);
        }
    }

    proptest! {
        #[test]
        fn the_hash_is_that_of_the_template(path in "[/a-f0-9.-]{0,63}") {
            let template = template_of(&path);
            prop_assert_eq!(template_hash(&path), fnv(FNV_OFFSET, template.as_bytes()));
            prop_assert_eq!(template_of(&template), template.clone());
        }
    }
}
