//! The TLS ClientHello (RFC 8446 section 4.1.2): versions, cipher suites, extensions, server name, protocols.
//! Comes in: records with the first bytes of a client, or the message itself. Goes out: borrowed parts.

use std::str;

/// What a client says in its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// What it came over.
    pub carrier: Carrier,
    /// The server name (RFC 6066), cut at 255 bytes.
    pub sni: Option<&'a str>,
    /// The first protocol offered by ALPN (RFC 7301).
    pub alpn: Option<&'a [u8]>,
    /// All of them, each behind its length; empty where there is no ALPN.
    pub protocols: &'a [u8],
    /// The version of the message itself.
    pub legacy_version: u16,
    /// The list of `supported_versions`, two bytes each; empty where there is none.
    pub versions: &'a [u8],
    /// The cipher suites, two bytes each.
    pub ciphers: &'a [u8],
    /// The extensions as they lie on the wire: type, length, data.
    pub extensions: &'a [u8],
    /// The list of `signature_algorithms`, two bytes each; empty where there is none.
    pub signatures: &'a [u8],
}

/// What a ClientHello comes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// UDP, by DTLS.
    Dtls,
}

impl ClientHello<'_> {
    /// The highest version offered (RFC 8446 section 4.2.1), values reserved by RFC 8701 apart.
    pub fn version(&self) -> u16 {
        let offered = numbers(self.versions).filter(|version| !is_grease(*version));
        // The numbers of DTLS go down from 0xfeff.
        let highest = if self.carrier == Carrier::Dtls { offered.min() } else { offered.max() };
        highest.unwrap_or(self.legacy_version)
    }
}

/// What the beginning of a client's bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin<'a> {
    /// A whole ClientHello.
    Hello(ClientHello<'a>),
    /// The beginning of one.
    Partial,
    /// Something else.
    Other,
}

/// A handshake record's type and the ClientHello's type within it.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// Longer hellos are not waited for; post-quantum key shares bring them to about 1.8 KiB, 16 KiB is one record.
pub(super) const MAX_HELLO: usize = 16_384;

/// A hello in more records than this is none: no client has a reason to cut one up so.
const MAX_RECORDS: usize = 64;

/// The longest that records with a hello can be.
pub(super) const MAX_RECORDED: usize = MAX_HELLO + RECORD_HEADER * MAX_RECORDS;

/// Type, version and length.
const RECORD_HEADER: usize = 5;

/// Reads the beginning of a TLS connection; `scratch` is where a hello in several records is put together.
pub(super) fn client_hello<'a>(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Begin<'a> {
    match record(bytes) {
        Record::Whole(content, _) => match message(content, Carrier::Tcp) {
            Begin::Partial => several(bytes, scratch),
            begin => begin,
        },
        Record::Partial(content) if content.first().is_none_or(|kind| *kind == CLIENT_HELLO) => {
            Begin::Partial
        }
        Record::Partial(_) | Record::Other => Begin::Other,
    }
}

/// Reads a handshake message that may be a hello.
pub(super) fn message(bytes: &[u8], carrier: Carrier) -> Begin<'_> {
    let mut cursor = Cursor(bytes);
    let Some(&[kind, high, middle, low]) = cursor.0.first_chunk::<4>() else {
        let may_be = bytes.first().is_none_or(|kind| *kind == CLIENT_HELLO);
        return if may_be { Begin::Partial } else { Begin::Other };
    };
    let len = u32::from_be_bytes([0, high, middle, low]) as usize;
    if kind != CLIENT_HELLO || len > MAX_HELLO {
        return Begin::Other;
    }
    cursor.0 = &bytes[4..];
    match cursor.take(len) {
        Some(body) => Cursor(body).hello(carrier).map_or(Begin::Other, Begin::Hello),
        None => Begin::Partial,
    }
}

/// Reads a datagram that may be a DTLS client's first (RFC 6347 section 4.2.2); the hello must lie in it whole.
pub(super) fn datagram(bytes: &[u8]) -> Option<ClientHello<'_>> {
    let mut cursor = Cursor(bytes);
    let &[HANDSHAKE, 0xfe, _, 0, 0, ..] = cursor.take(DTLS_HEADER - 2)? else { return None };
    let mut message = Cursor(cursor.block16()?);
    let &[CLIENT_HELLO, _, high, low, _, _, 0, 0, 0, _, here_high, here_low] = message.take(12)? else {
        return None;
    };
    let len = u16::from_be_bytes([high, low]);
    let whole = len == u16::from_be_bytes([here_high, here_low]);
    Cursor(message.take(usize::from(len)).filter(|_| whole)?).hello(Carrier::Dtls)
}

/// Type, version, epoch, number and length of a DTLS record.
const DTLS_HEADER: usize = 13;

enum Record<'a> {
    /// Its content, and what follows it.
    Whole(&'a [u8], &'a [u8]),
    /// The beginning of its content.
    Partial(&'a [u8]),
    /// No handshake record.
    Other,
}

fn record(bytes: &[u8]) -> Record<'_> {
    let Some((&[kind, major, _, high, low], rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
        let fits = [HANDSHAKE, 3].iter().zip(bytes).all(|(want, have)| want == have);
        return if fits { Record::Partial(&[]) } else { Record::Other };
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if (kind, major) != (HANDSHAKE, 3) || !(1..=MAX_HELLO).contains(&len) {
        return Record::Other;
    }
    match rest.split_at_checked(len) {
        Some((content, rest)) => Record::Whole(content, rest),
        None => Record::Partial(rest),
    }
}

/// Puts a message together from its records.
fn several<'a>(bytes: &[u8], scratch: &'a mut Vec<u8>) -> Begin<'a> {
    scratch.clear();
    let mut rest = bytes;
    for _ in 0..MAX_RECORDS {
        match record(rest) {
            Record::Whole(content, behind) => {
                scratch.extend_from_slice(content);
                rest = behind;
                if !matches!(message(scratch, Carrier::Tcp), Begin::Partial) {
                    return message(scratch, Carrier::Tcp);
                }
            }
            Record::Partial(_) => return Begin::Partial,
            Record::Other => return Begin::Other,
        }
    }
    Begin::Other
}

/// Takes from the front of a slice; `None` where it is too short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The next two bytes as a number.
    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes behind a one-byte length.
    fn block8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// Bytes behind a two-byte length.
    fn block16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// The next extension: its type and data.
    pub fn extension(&mut self) -> Option<(u16, &'a [u8])> {
        Some((self.u16()?, self.block16()?))
    }

    fn hello(mut self, carrier: Carrier) -> Option<ClientHello<'a>> {
        let legacy_version = self.u16()?;
        self.take(32)?;
        self.block8()?;
        if carrier == Carrier::Dtls {
            // The cookie by which the client shows that it hears the server (RFC 6347 section 4.2.1).
            self.block8()?;
        }
        let ciphers = self.block16()?;
        self.block8()?;
        // A hello without extensions ends here.
        let extensions = self.block16().unwrap_or(&[]);
        let mut hello = ClientHello {
            carrier,
            sni: None,
            alpn: None,
            protocols: &[],
            legacy_version,
            versions: &[],
            ciphers,
            extensions,
            signatures: &[],
        };
        let mut rest = Cursor(extensions);
        while let Some((kind, data)) = rest.extension() {
            let mut data = Cursor(data);
            match kind {
                SERVER_NAME => hello.sni = data.server_name(),
                ALPN => {
                    hello.protocols = data.block16().unwrap_or(&[]);
                    hello.alpn = Cursor(hello.protocols).block8();
                }
                SUPPORTED_VERSIONS => hello.versions = data.block8().unwrap_or(&[]),
                SIGNATURE_ALGORITHMS => hello.signatures = data.block16().unwrap_or(&[]),
                _ => {}
            }
        }
        Some(hello)
    }

    fn server_name(mut self) -> Option<&'a str> {
        let mut list = Cursor(self.block16()?);
        let kind = list.u8()?;
        let name = list.block16()?;
        let cut = &name[..name.len().min(255)];
        str::from_utf8(cut).ok().filter(|name| kind == 0 && !name.is_empty())
    }
}

/// Whether a value is one of those reserved to keep peers tolerant (RFC 8701).
pub(super) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// The two-byte numbers of a list.
pub(super) fn numbers(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    /// A hello with the ciphers, and extensions of the given types and data.
    pub fn hello_bytes(ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(block16(&ciphers.iter().flat_map(|c| c.to_be_bytes()).collect::<Vec<_>>()));
        body.extend([1, 0]);
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &block16(data)].concat())
            .collect();
        body.extend(block16(&extensions));
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend(block16(&body));
        [&[HANDSHAKE, 3, 1][..], &block16(&message)].concat()
    }

    pub fn server_name(name: &str) -> (u16, Vec<u8>) {
        (SERVER_NAME, block16(&[&[0][..], &block16(name.as_bytes())].concat()))
    }

    fn hello(bytes: &[u8], then: impl FnOnce(ClientHello<'_>)) {
        match client_hello(bytes, &mut Vec::new()) {
            Begin::Hello(hello) => then(hello),
            other => panic!("no hello: {other:?}"),
        }
    }

    #[test]
    fn reads_the_name_and_the_protocol() {
        let alpn = (ALPN, block16(b"\x02h2\x08http/1.1"));
        let bytes = hello_bytes(&[0x1301, 0x1302], &[server_name("pps.example"), alpn]);
        hello(&bytes, |hello| {
            assert_eq!(hello.sni, Some("pps.example"));
            assert_eq!(hello.alpn, Some(&b"h2"[..]));
            assert_eq!(hello.protocols, b"\x02h2\x08http/1.1");
            assert_eq!(hello.version(), 0x0303);
            assert_eq!(numbers(hello.ciphers).collect::<Vec<_>>(), [0x1301, 0x1302]);
        });
    }

    #[test]
    fn every_beginning_is_partial() {
        let bytes = hello_bytes(&[0x1301], &[server_name("a.example")]);
        for cut in 1..bytes.len() {
            assert_eq!(client_hello(&bytes[..cut], &mut Vec::new()), Begin::Partial, "cut at {cut}");
        }
        assert_eq!(client_hello(b"GET / HTTP/1.1", &mut Vec::new()), Begin::Other);
        assert_eq!(client_hello(&[23, 3, 3, 0, 5], &mut Vec::new()), Begin::Other);
    }

    #[test]
    fn a_hello_may_come_in_several_records() {
        let whole = hello_bytes(&[0x1301], &[server_name("a.example")]);
        for size in [1, 3, 20, 60] {
            let records: Vec<u8> = whole[RECORD_HEADER..]
                .chunks(size)
                .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &block16(part)].concat())
                .collect();
            if size == 1 {
                assert_eq!(client_hello(&records, &mut Vec::new()), Begin::Other);
                continue;
            }
            hello(&records, |hello| assert_eq!(hello.sni, Some("a.example")));
            let cut = &records[..records.len() - 1];
            assert_eq!(client_hello(cut, &mut Vec::new()), Begin::Partial);
        }
    }

    #[test]
    fn a_hello_over_dtls_has_a_cookie() {
        let name = server_name("a.example");
        let record = hello_bytes(&[0xc02b], &[name, (43, vec![4, 0xfe, 0xfd, 0xfe, 0xff])]);
        let body = &record[RECORD_HEADER + 4..];
        let body = [&[0xfe, 0xfd], &body[2..35], &[3, 1, 2, 3], &body[35..]].concat();
        let len = (body.len() as u16).to_be_bytes();
        let message = [&[CLIENT_HELLO, 0], &len[..], &[0, 1, 0, 0, 0, 0], &len[..], &body[..]].concat();
        let datagram = [&[HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1][..], &block16(&message)].concat();
        let hello = super::datagram(&datagram).unwrap();
        assert_eq!((hello.sni, hello.version()), (Some("a.example"), 0xfefd));
        assert_eq!(super::datagram(&datagram[..datagram.len() - 1]), None);
    }

    #[test]
    fn grease_is_known() {
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x0a1a) && !is_grease(0x1301));
    }

    proptest! {
        #[test]
        fn any_bytes_do(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = client_hello(&bytes, &mut Vec::new());
            let len = bytes.len();
            if len > 9 {
                bytes[..3].copy_from_slice(&[HANDSHAKE, 3, 1]);
                bytes[3..5].copy_from_slice(&((len - 5) as u16).to_be_bytes());
                bytes[5..9].copy_from_slice(&[CLIENT_HELLO, 0, 0, (len - 9) as u8]);
                let _ = client_hello(&bytes, &mut Vec::new());
            }
        }
    }
}
