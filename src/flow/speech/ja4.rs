//! JA4, the fingerprint of a TLS client (<https://github.com/FoxIO-LLC/ja4>, the BSD-licensed client part only).
//! Comes in: a [`ClientHello`]. Goes out: 36 characters that clients of one make share.

use std::fmt;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::tls::{Carrier, ClientHello, Cursor, is_grease, numbers};

/// A JA4 fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ja4([u8; 36]);

/// Lists beyond this are cut; the longest seen in the wild have some 80 entries.
const MAX_LIST: usize = 256;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

impl Ja4 {
    /// Computes the fingerprint of a hello.
    pub fn of(hello: &ClientHello<'_>) -> Self {
        let mut ciphers: Vec<u16> =
            numbers(hello.ciphers).filter(|cipher| !is_grease(*cipher)).take(MAX_LIST).collect();
        let mut kinds = Vec::new();
        let mut rest = Cursor(hello.extensions);
        while let Some((kind, _)) = rest.extension() {
            if !is_grease(kind) && kinds.len() < MAX_LIST {
                kinds.push(kind);
            }
        }
        let named = if kinds.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let head = format!(
            "{}{}{named}{:02}{:02}{}",
            carrier(hello),
            version(hello),
            ciphers.len().min(99),
            kinds.len().min(99),
            protocol(hello.alpn)
        );
        ciphers.sort_unstable();
        kinds.retain(|kind| *kind != SERVER_NAME && *kind != ALPN);
        kinds.sort_unstable();
        let signatures: Vec<u16> =
            numbers(hello.signatures).filter(|s| !is_grease(*s)).take(MAX_LIST).collect();
        let mut extensions = hexadecimal(&kinds);
        if !signatures.is_empty() {
            extensions = format!("{extensions}_{}", hexadecimal(&signatures));
        }
        let extensions = if kinds.is_empty() { String::new() } else { extensions };
        let text = format!("{head}_{}_{}", digest(&hexadecimal(&ciphers)), digest(&extensions));
        let mut bytes = [b'0'; 36];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self(bytes)
    }

    /// The 36 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

/// Fingerprints that were computed before: clients of one make send the same lists, and two digests a hello is most of
/// what a TLS connection costs.
#[derive(Debug, Default)]
pub struct Ja4Memo {
    known: HashMap<Vec<u8>, Ja4, RandomState>,
    lists: Vec<u8>,
}

/// Makes that are remembered; beyond this the memory starts anew.
const MAX_KNOWN: usize = 1_024;

/// Longer lists are computed each time: nobody may fill the memory with them.
const MAX_KEY: usize = 1_024;

impl Ja4Memo {
    /// The fingerprint of a hello.
    pub fn of(&mut self, hello: &ClientHello<'_>) -> Ja4 {
        self.gather(hello);
        if let Some(known) = self.known.get(&self.lists) {
            return *known;
        }
        let ja4 = Ja4::of(hello);
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        if self.lists.len() <= MAX_KEY {
            self.known.insert(self.lists.clone(), ja4);
        }
        ja4
    }

    /// All that a fingerprint is made of, each list behind its length.
    fn gather(&mut self, hello: &ClientHello<'_>) {
        let lists = &mut self.lists;
        lists.clear();
        lists.extend(hello.legacy_version.to_be_bytes());
        let alpn = hello.alpn.unwrap_or_default();
        for list in [hello.versions, hello.ciphers, hello.signatures, alpn] {
            lists.extend((list.len() as u32).to_be_bytes());
            lists.extend_from_slice(list);
        }
        lists.extend([u8::from(hello.alpn.is_some()), hello.carrier as u8]);
        let mut rest = Cursor(hello.extensions);
        while let Some((kind, _)) = rest.extension() {
            lists.extend(kind.to_be_bytes());
        }
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

fn carrier(hello: &ClientHello<'_>) -> char {
    match hello.carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Dtls => 'd',
    }
}

fn version(hello: &ClientHello<'_>) -> &'static str {
    match hello.version() {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first protocol; of its hexadecimal form where they are not alphanumeric. What is no
/// ASCII at all is a 9, as the authors' own programs write it, and so is what stands beside it and is no letter or digit.
fn protocol(alpn: Option<&[u8]>) -> String {
    let Some(name @ [first, .., last] | name @ [first @ last]) = alpn else { return "00".to_owned() };
    if !(first.is_ascii() && last.is_ascii()) {
        let shown = |byte: &u8| if byte.is_ascii_alphanumeric() { char::from(*byte) } else { '9' };
        return [shown(first), shown(last)].into_iter().collect();
    }
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return format!("{}{}", char::from(*first), char::from(*last));
    }
    let hex: Vec<char> =
        name.iter().flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>()).collect();
    hex.first().into_iter().chain(hex.last()).collect()
}

fn hexadecimal(list: &[u16]) -> String {
    list.iter().map(|value| format!("{value:04x}")).collect::<Vec<_>>().join(",")
}

/// The first twelve characters of the SHA-256; zeros for an empty list.
fn digest(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tls::tests::{hello_bytes, server_name};
    use super::super::tls::{Begin, client_hello};
    use super::*;

    fn ja4(bytes: &[u8]) -> String {
        let mut scratch = Vec::new();
        let Begin::Hello(hello) = client_hello(bytes, &mut scratch) else { panic!("no hello") };
        Ja4::of(&hello).as_str().to_owned()
    }

    #[test]
    fn order_and_grease_do_not_matter() {
        let versions = (43, vec![4, 3, 4, 3, 3]);
        let one =
            hello_bytes(&[0x0a0a, 0x1301, 0x1302], &[server_name("a.b"), versions.clone(), (10, vec![])]);
        let two =
            hello_bytes(&[0x1302, 0x1301], &[(10, vec![]), (0x1a1a, vec![]), versions, server_name("c.d")]);
        assert_eq!(ja4(&one), ja4(&two));
        assert!(ja4(&one).starts_with("t13d020300_"), "{}", ja4(&one));
    }

    #[test]
    fn the_published_cipher_digest_comes_out() {
        // The list and its digest stand in the technical details of the specification.
        let ciphers = [
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let text = ja4(&hello_bytes(&ciphers, &[server_name("a.b")]));
        assert_eq!(text.split('_').nth(1), Some("8daaf6152771"));
        assert!(text.starts_with("t12d150100_"), "{text}");
    }

    #[test]
    fn what_is_remembered_is_what_is_computed() {
        let mut memo = Ja4Memo::default();
        for ciphers in [&[0x1301_u16, 0x1302][..], &[0x1302], &[0x1301, 0x1302]] {
            let bytes = hello_bytes(ciphers, &[server_name("a.b"), (43, vec![2, 3, 4])]);
            let mut scratch = Vec::new();
            let Begin::Hello(hello) = client_hello(&bytes, &mut scratch) else { panic!("no hello") };
            assert_eq!(memo.of(&hello), Ja4::of(&hello));
        }
        assert_eq!(memo.known.len(), 2);
    }

    #[test]
    fn a_protocol_is_two_letters_or_digits_whatever_its_bytes() {
        let known =
            [(&b"h2"[..], "h2"), (b"http/1.1", "h1"), (b"x", "xx"), (b"\"/", "2f"), (&[0xff, 0x0f], "99")];
        for (name, wanted) in known {
            assert_eq!(protocol(Some(name)), wanted, "{name:?}");
        }
        for first in 0..=u8::MAX {
            for last in [0, b'"', b'\\', b'a', 0x7f, 0x80, 0xff] {
                let text = protocol(Some(&[first, last]));
                assert!(text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text:?}");
            }
        }
    }

    #[test]
    fn nothing_offered_is_zeros() {
        assert_eq!(ja4(&hello_bytes(&[], &[])), "t12i000000_000000000000_000000000000");
    }
}
