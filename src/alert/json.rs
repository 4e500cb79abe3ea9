//! One line of JSON, written field by field into text that is there already: what is told of every flow is told without
//! a map of values in between. Comes in: names and values. Goes out: an object. Knows no record.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use super::text::{MAX_TOLD, told};

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut String,
}

impl<'o> Object<'o> {
    /// Writes an object behind what `out` holds.
    pub fn write(out: &'o mut String, fields: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        fields(&mut Object { out });
        out.push('}');
    }

    /// A field of our own words: ASCII without quotes, backslashes and controls.
    #[inline]
    pub fn word(&mut self, name: &'static str, word: &str) {
        self.name(name);
        self.quoted(|out| out.push_str(word));
    }

    /// A field whose text writes itself and needs no escapes.
    #[inline]
    pub fn written(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        self.name(name);
        self.quoted(write);
    }

    /// A field whose value is JSON already.
    #[inline]
    pub fn as_it_stands(&mut self, name: &'static str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    /// A field of text that strangers chose, made safe to show.
    pub fn told(&mut self, name: &'static str, text: &str) {
        self.name(name);
        push_told(self.out, &[text]);
    }

    /// The same of text in parts.
    pub fn told_parts(&mut self, name: &'static str, parts: &[&str]) {
        self.name(name);
        push_told(self.out, parts);
    }

    /// The same, `null` where there is none.
    pub fn told_or_null(&mut self, name: &'static str, text: Option<&str>) {
        self.name(name);
        match text {
            Some(text) => push_told(self.out, &[text]),
            None => self.out.push_str("null"),
        }
    }

    /// A list of such texts.
    pub fn told_list<'t>(&mut self, name: &'static str, texts: impl Iterator<Item = impl AsRef<str> + 't>) {
        self.list(name, texts, |text, out| push_told(out, &[text.as_ref()]));
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, name: &'static str, number: impl Into<u64>) {
        self.name(name);
        push_number(self.out, number.into());
    }

    /// A number, or nothing where there is none.
    #[inline]
    pub fn number_if(&mut self, name: &'static str, number: Option<impl Into<u64>>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    /// A number, `null` where there is none.
    #[inline]
    pub fn number_or_null(&mut self, name: &'static str, number: Option<impl Into<u64>>) {
        self.name(name);
        match number {
            Some(number) => push_number(self.out, number.into()),
            None => self.out.push_str("null"),
        }
    }

    /// An address.
    #[inline]
    pub fn address(&mut self, name: &'static str, address: IpAddr) {
        self.written(name, |out| push_address(out, address));
    }

    /// An object in the object.
    #[inline]
    pub fn object(&mut self, name: &'static str, fields: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        Object::write(self.out, fields);
    }

    /// A list of whatever `write` writes.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(T, &mut String),
    ) {
        self.name(name);
        self.out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write(item, self.out);
        }
        self.out.push(']');
    }

    #[inline]
    fn name(&mut self, name: &'static str) {
        self.out.push_str(if self.out.ends_with('{') { "\"" } else { ",\"" });
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    #[inline]
    fn quoted(&mut self, write: impl FnOnce(&mut String)) {
        self.out.push('"');
        write(self.out);
        self.out.push('"');
    }
}

/// Text in quotes, as JSON: what is told of `parts` behind each other.
pub(super) fn push_told(out: &mut String, parts: &[&str]) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\' && byte != b'"';
    let len: usize = parts.iter().map(|part| part.len()).sum();
    // No early end: sixteen bytes are looked at together.
    let plain = |part: &&str| part.bytes().fold(true, |plain, byte| plain & is_plain(byte));
    if len <= MAX_TOLD && parts.iter().all(plain) {
        out.push('"');
        parts.iter().for_each(|part| out.push_str(part));
        out.push('"');
        return;
    }
    // A text is a text in JSON: it cannot fail.
    out.push_str(&serde_json::to_string(&told(&parts.concat())).unwrap_or_default());
}

/// A number in decimal.
#[inline]
pub(super) fn push_number(out: &mut String, number: u64) {
    push_digits::<20>(out, number, 1);
}

/// The last digits of a number: at most `MOST`, and at least `least` with zeros before them.
#[inline]
pub(super) fn push_digits<const MOST: usize>(out: &mut String, number: u64, least: usize) {
    let mut digits = [b'0'; MOST];
    let (mut rest, mut from) = (number, MOST);
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        if rest == 0 {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        (rest, from) = (rest / 10, at);
    }
    let digits = digits.get(from.min(MOST.saturating_sub(least))..).unwrap_or_default();
    out.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

fn push_address(out: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => push_v4(out, v4),
        // Writing into text cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// The dotted form, without the machinery of padding.
fn push_v4(out: &mut String, address: Ipv4Addr) {
    let mut text = [0; 16];
    let mut end = 0;
    for octet in address.octets() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let skipped = usize::from(octet < 100) + usize::from(octet < 10);
        for digit in digits.iter().skip(skipped) {
            text[end] = b'0' + digit;
            end += 1;
        }
        text[end] = b'.';
        end += 1;
    }
    let dotted = text.get(..end - 1).unwrap_or_default();
    out.push_str(std::str::from_utf8(dotted).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_as_json_whatever_strangers_chose() {
        let evil = "a\"b\\c\u{1b}[2J\u{202e}조\n";
        let mut line = String::from("before ");
        Object::write(&mut line, |object| {
            object.object("empty", |_| {});
            object.told("evil", evil);
            object.told_parts("url", &["/a", "?", "b=\""]);
            object.told_or_null("none", None);
            object.told_list("list", ["x", "y\""].iter());
            object.number("number", u64::MAX);
            object.number_or_null("zero", Some(0_u32));
        });
        let read: serde_json::Value = serde_json::from_str(line.strip_prefix("before ").unwrap()).unwrap();
        let expected = serde_json::json!({
            "empty": {}, "evil": told(evil), "url": "/a?b=\"", "none": null, "list": ["x", "y\""],
            "number": u64::MAX, "zero": 0,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn digits_and_addresses() {
        let text = |write: &dyn Fn(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            out
        };
        assert_eq!(text(&|out| push_digits::<6>(out, 1_234, 6)), "001234");
        assert_eq!(text(&|out| push_digits::<6>(out, 987_654_321, 6)), "654321");
        assert_eq!(text(&|out| push_number(out, 0)), "0");
        for address in ["0.0.0.0", "255.255.255.255", "9.10.99.100", "::", "2001:db8::1", "::ffff:1.2.3.4"] {
            assert_eq!(text(&|out| push_address(out, address.parse().unwrap())), address);
        }
    }
}
