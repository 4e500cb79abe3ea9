//! One line of JSON, written field by field behind what is there already: what is told of every flow is told without a
//! map of values in between. Comes in: names and values. Goes out: an object. Knows no record.
//!
//! The text is bytes that are always UTF-8: text that is checked for it at every step costs a third more.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use super::text::{MAX_TOLD, told};

/// An object that is being written. Its small steps become parts of what calls them: a name is stored as a whole then,
/// quotes and colon included. Each field ends with a comma, the last of which gives way to the object's end.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
}

impl Object<'_> {
    /// Writes an object behind what `out` holds.
    #[inline(always)]
    pub fn write(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        fields(&mut Object { out });
        end(out, b'}');
    }

    /// A field of our own words: ASCII without quotes, backslashes and controls.
    #[inline(always)]
    pub fn word(&mut self, name: &'static str, word: &str) {
        self.written(name, |out| out.extend_from_slice(word.as_bytes()));
    }

    /// A field whose text writes itself and needs no escapes.
    #[inline(always)]
    pub fn written(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name, b"\":\"");
        write(self.out);
        self.out.extend_from_slice(b"\",");
    }

    /// A field whose value is JSON already.
    #[inline(always)]
    pub fn as_it_stands(&mut self, name: &'static str, json: &[u8]) {
        self.value(name, |out| out.extend_from_slice(json));
    }

    /// A field of text that strangers chose, made safe to show.
    #[inline(always)]
    pub fn told(&mut self, name: &'static str, text: &str) {
        self.value(name, |out| push_told(out, text));
    }

    /// The same, `null` where there is none.
    #[inline(always)]
    pub fn told_or_null(&mut self, name: &'static str, text: Option<&str>) {
        self.value(name, |out| match text {
            Some(text) => push_told(out, text),
            None => out.extend_from_slice(b"null"),
        });
    }

    /// A list of such texts.
    #[inline(always)]
    pub fn told_list(&mut self, name: &'static str, texts: impl Iterator<Item = impl AsRef<str>>) {
        self.list(name, texts, |text, out| push_told(out, text.as_ref()));
    }

    /// A number.
    #[inline(always)]
    pub fn number(&mut self, name: &'static str, number: impl Into<u64>) {
        self.value(name, |out| push_number(out, number.into()));
    }

    /// A number, or nothing where there is none.
    #[inline(always)]
    pub fn number_if(&mut self, name: &'static str, number: Option<impl Into<u64>>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    /// A number, `null` where there is none.
    #[inline(always)]
    pub fn number_or_null(&mut self, name: &'static str, number: Option<impl Into<u64>>) {
        self.value(name, |out| match number {
            Some(number) => push_number(out, number.into()),
            None => out.extend_from_slice(b"null"),
        });
    }

    /// An address.
    #[inline(always)]
    pub fn address(&mut self, name: &'static str, address: IpAddr) {
        self.written(name, |out| push_address(out, address));
    }

    /// An object in the object.
    #[inline(always)]
    pub fn object(&mut self, name: &'static str, fields: impl FnOnce(&mut Object<'_>)) {
        self.value(name, |out| Object::write(out, fields));
    }

    /// A list of whatever `write` writes.
    #[inline(always)]
    pub fn list<T>(
        &mut self,
        name: &'static str,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) {
        self.value(name, |out| {
            out.push(b'[');
            for item in items {
                write(item, out);
                out.push(b',');
            }
            end(out, b']');
        });
    }

    /// A field whose value is what `write` writes.
    #[inline(always)]
    fn value(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name, b"\":");
        write(self.out);
        self.out.push(b',');
    }

    /// A name in quotes with `behind` it, put together before it is stored.
    #[inline(always)]
    fn name<const N: usize>(&mut self, name: &'static str, behind: &[u8; N]) {
        let mut text = [b'"'; LONGEST_NAME];
        let len = 1 + name.len() + N;
        if len > LONGEST_NAME {
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            return self.out.extend_from_slice(behind);
        }
        if let Some(place) = text.get_mut(1..1 + name.len()) {
            place.copy_from_slice(name.as_bytes());
        }
        if let Some(place) = text.get_mut(1 + name.len()..len) {
            place.copy_from_slice(behind);
        }
        self.out.extend_from_slice(text.get(..len).unwrap_or_default());
    }
}

/// The longest name with its quotes, colon and the quote of a text behind it.
const LONGEST_NAME: usize = 32;

/// Ends an object or a list, where the comma behind its last part stands.
#[inline(always)]
fn end(out: &mut Vec<u8>, mark: u8) {
    match out.last_mut() {
        Some(last @ b',') => *last = mark,
        _ => out.push(mark),
    }
}

/// What is told of a text, in quotes.
pub(super) fn push_told(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\' && byte != b'"';
    // No early end: sixteen bytes are looked at together.
    if text.len() <= MAX_TOLD && text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Text is text in JSON: it cannot fail.
        let _ = serde_json::to_writer(out, &told(text));
    }
}

/// A number in decimal.
#[inline]
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[inline]
fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => push_v4(out, v4),
        // Writing into memory cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// The dotted form, without the machinery of padding. All places are stored and those behind the text taken back: to copy
/// so many bytes as are not known before costs a call.
#[inline]
fn push_v4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let mut text = [0; 16];
    let mut end = 0;
    for octet in address.octets() {
        let (dotted, len) = DOTTED[usize::from(octet)];
        if let Some(place) = text.get_mut(end..end + 4) {
            place.copy_from_slice(&dotted);
        }
        end += usize::from(len);
    }
    let begin = out.len();
    out.extend_from_slice(&text);
    out.truncate(begin + end - 1);
}

/// Each octet with a dot behind it, and how long that is.
const DOTTED: [([u8; 4], u8); 256] = {
    let mut table = [([0; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [b'0' + (octet / 100) as u8, b'0' + (octet / 10 % 10) as u8, b'0' + (octet % 10) as u8];
        table[octet] = match octet {
            0..10 => ([digits[2], b'.', 0, 0], 2),
            10..100 => ([digits[1], digits[2], b'.', 0], 3),
            _ => ([digits[0], digits[1], digits[2], b'.'], 4),
        };
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_as_json_whatever_strangers_chose() {
        let evil = "a\"b\\c\u{1b}[2J\u{202e}조\n";
        let mut line = b"before ".to_vec();
        Object::write(&mut line, |object| {
            object.object("empty", |_| {});
            object.told("evil", evil);
            object.told("url", "/a?b=\"");
            object.told_or_null("none", None);
            object.told_list("list", ["x", "y\""].iter());
            object.number("number", u64::MAX);
            object.number_or_null("zero", Some(0_u32));
        });
        let read: serde_json::Value = serde_json::from_slice(line.strip_prefix(b"before ").unwrap()).unwrap();
        let expected = serde_json::json!({
            "empty": {}, "evil": told(evil), "url": "/a?b=\"", "none": null, "list": ["x", "y\""],
            "number": u64::MAX, "zero": 0,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn digits_and_addresses() {
        let text = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        for number in [0, 9, 10, 100, 1_234, u64::MAX] {
            assert_eq!(text(&|out| push_number(out, number)), number.to_string());
        }
        for address in ["0.0.0.0", "255.255.255.255", "9.10.99.100", "::", "2001:db8::1", "::ffff:1.2.3.4"] {
            assert_eq!(text(&|out| push_address(out, address.parse().unwrap())), address);
        }
    }
}
