//! Bytes of TLS records: names and protocols come in, a ClientHello, a ServerHello flight and record headers go
//! out. Nothing is encrypted; what would be is filler of the right length.
//! [RFC 8446](https://www.rfc-editor.org/rfc/rfc8446) and [RFC 6066](https://www.rfc-editor.org/rfc/rfc6066).

use super::rng::Rng;

/// What a ClientHello looks like: which suites and extensions, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hello {
    /// A desktop browser's: GREASE values, sixteen suites, HTTP/2 and HTTP/1.1 offered.
    #[default]
    Browser,
    /// A small client library's: few suites and extensions, HTTP/1.1 alone.
    Tool,
}

/// The names and numbers that go into a ClientHello.
#[derive(Debug, Clone, Copy)]
pub struct ClientHello<'a> {
    /// Its look.
    pub hello: Hello,
    /// Server name; left out where it is empty.
    pub server_name: &'a str,
}

/// Record type of handshake messages.
const HANDSHAKE: u8 = 22;
/// Record type of encrypted data.
const APPLICATION_DATA: u8 = 23;
/// The longest content of one record.
pub(super) const MAX_RECORD: usize = 16_384;
/// The ChangeCipherSpec that TLS 1.3 sends for the sake of old middleboxes.
pub(super) const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
/// A value that RFC 8701 reserves so that servers learn to ignore unknown ones.
const GREASE: u16 = 0x2a2a;

const BROWSER_SUITES: [u16; 16] = [
    GREASE, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f, 0x0035,
];
const TOOL_SUITES: [u16; 6] = [0x1301, 0x1302, 0x1303, 0xc02f, 0xc030, 0x009c];
const SIGNATURE_SCHEMES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

impl ClientHello<'_> {
    /// The record with the whole message, 250 to 400 bytes and the server name (cut at 255 bytes).
    pub fn record(&self, rng: &mut Rng) -> Vec<u8> {
        let mut body = vec![3, 3];
        push_random(&mut body, rng);
        body.push(32);
        push_random(&mut body, rng);
        let suites: &[u16] = match self.hello {
            Hello::Browser => &BROWSER_SUITES,
            Hello::Tool => &TOOL_SUITES,
        };
        body.extend_from_slice(&counted16(&words(suites)));
        body.extend_from_slice(&[1, 0]);
        body.extend_from_slice(&counted16(&self.extensions(rng)));
        record(HANDSHAKE, &message(1, &body))
    }

    fn extensions(&self, rng: &mut Rng) -> Vec<u8> {
        let mut list = Extensions::default();
        let browser = self.hello == Hello::Browser;
        if browser {
            list.add(GREASE, &[]);
        }
        if !self.server_name.is_empty() {
            list.add(0, &server_name(self.server_name));
        }
        list.add(23, &[]);
        list.add(0xff01, &[0]);
        list.add(10, &counted16(&words(if browser { &[GREASE, 29, 23, 24] } else { &[29, 23] })));
        list.add(11, &[1, 0]);
        if browser {
            list.add(35, &[]);
        }
        list.add(16, &protocols(if browser { &["h2", "http/1.1"] } else { &["http/1.1"] }));
        if browser {
            list.add(5, &[1, 0, 0, 0, 0]);
        }
        list.add(13, &counted16(&words(&SIGNATURE_SCHEMES)));
        if browser {
            list.add(18, &[]);
        }
        list.add(51, &key_share(rng));
        list.add(45, &[1, 1]);
        list.add(43, &counted8(&words(if browser { &[GREASE, 0x0304, 0x0303] } else { &[0x0304, 0x0303] })));
        if browser {
            list.add(27, &counted8(&words(&[2])));
        }
        list.bytes
    }
}

/// The server's ServerHello record, ChangeCipherSpec and the header of the encrypted rest of its flight, which is
/// `rest_len` bytes long (a certificate chain has 2 to 5 KiB; at most `MAX_RECORD`).
pub fn server_hello(rng: &mut Rng, rest_len: usize) -> Vec<u8> {
    let mut body = vec![3, 3];
    push_random(&mut body, rng);
    body.push(32);
    push_random(&mut body, rng);
    body.extend_from_slice(&[0x13, 0x01, 0]);
    let mut extensions = Extensions::default();
    extensions.add(43, &[3, 4]);
    let mut share = vec![0, 29, 0, 32];
    push_random(&mut share, rng);
    extensions.add(51, &share);
    body.extend_from_slice(&counted16(&extensions.bytes));
    let mut flight = record(HANDSHAKE, &message(2, &body));
    flight.extend_from_slice(&CHANGE_CIPHER_SPEC);
    flight.extend_from_slice(&data_header(rest_len));
    flight
}

/// The header of a record with `length` bytes of a handshake that is begun anew, sealed as data is.
pub fn handshake_header(length: usize) -> [u8; 5] {
    let [_, rest @ ..] = data_header(length);
    let [major, minor, high, low] = rest;
    [HANDSHAKE, major, minor, high, low]
}

/// The header of a record with `length` encrypted bytes, at most `MAX_RECORD`.
pub fn data_header(length: usize) -> [u8; 5] {
    let [high, low] = (length.min(MAX_RECORD) as u16).to_be_bytes();
    [APPLICATION_DATA, 3, 3, high, low]
}

#[derive(Default)]
struct Extensions {
    bytes: Vec<u8>,
}

impl Extensions {
    fn add(&mut self, kind: u16, content: &[u8]) {
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&counted16(content));
    }
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    // A first ClientHello says TLS 1.0 in its record for the sake of old servers (RFC 8446, 5.1).
    let version = if content.first() == Some(&1) { 1 } else { 3 };
    let mut bytes = vec![kind, 3, version];
    bytes.extend_from_slice(&counted16(content));
    bytes
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend_from_slice(&counted16(body));
    bytes
}

fn server_name(name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let mut entry = vec![0];
    entry.extend_from_slice(&counted16(&name[..name.len().min(255)]));
    counted16(&entry)
}

fn protocols(names: &[&str]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|name| counted8(name.as_bytes())).collect();
    counted16(&list)
}

fn key_share(rng: &mut Rng) -> Vec<u8> {
    let mut entry = vec![0, 29, 0, 32];
    push_random(&mut entry, rng);
    counted16(&entry)
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn push_random(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..4 {
        bytes.extend_from_slice(&rng.next().to_be_bytes());
    }
}

fn counted8(content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![content.len() as u8];
    bytes.extend_from_slice(content);
    bytes
}

fn counted16(content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `size` length bytes and the content they count off the front.
    fn take<'a>(bytes: &mut &'a [u8], size: usize) -> &'a [u8] {
        let length = bytes[..size].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let content = &bytes[size..size + length];
        *bytes = &bytes[size + length..];
        content
    }

    fn extensions_of(record: &[u8]) -> Vec<(u16, Vec<u8>)> {
        assert_eq!(record[..3], [22, 3, 1]);
        let mut rest = &record[3..];
        let mut message = take(&mut rest, 2);
        assert!(rest.is_empty(), "the record's length");
        assert_eq!(message[0], 1);
        message = &message[1..];
        let mut body = take(&mut message, 3);
        assert!(message.is_empty(), "the message's length");
        body = &body[34..];
        assert_eq!(take(&mut body, 1).len(), 32);
        assert_eq!(take(&mut body, 2).len() % 2, 0);
        assert_eq!(take(&mut body, 1), [0]);
        let mut list = take(&mut body, 2);
        assert!(body.is_empty(), "the extensions' length");
        let mut found = Vec::new();
        while !list.is_empty() {
            let kind = u16::from_be_bytes([list[0], list[1]]);
            list = &list[2..];
            found.push((kind, take(&mut list, 2).to_vec()));
        }
        found
    }

    #[test]
    fn all_lengths_of_a_client_hello_agree() {
        for hello in [Hello::Browser, Hello::Tool] {
            let record = ClientHello { hello, server_name: "bid.example" }.record(&mut Rng::new(1));
            let extensions = extensions_of(&record);
            let content = |kind| &extensions.iter().find(|(found, _)| *found == kind).unwrap().1;
            assert_eq!(content(0)[5..], *b"bid.example");
            assert!(content(16).ends_with(b"http/1.1"));
            assert!((200..400).contains(&record.len()), "{}", record.len());
        }
    }

    #[test]
    fn no_name_no_extension() {
        let record = ClientHello { hello: Hello::Tool, server_name: "" }.record(&mut Rng::new(1));
        assert!(extensions_of(&record).iter().all(|(kind, _)| *kind != 0));
    }

    #[test]
    fn the_two_looks_differ() {
        let kinds = |hello| -> Vec<u16> {
            let record = ClientHello { hello, server_name: "a" }.record(&mut Rng::new(1));
            extensions_of(&record).into_iter().map(|(kind, _)| kind).collect()
        };
        assert_ne!(kinds(Hello::Browser), kinds(Hello::Tool));
    }
}
