//! ClientHellos as different programs send them: a shape and a server name come in, a record goes out. Shapes differ
//! in suites, extensions and protocols, and so in their JA4.
//! [RFC 8446](https://www.rfc-editor.org/rfc/rfc8446), [RFC 8701](https://www.rfc-editor.org/rfc/rfc8701) for GREASE.

use super::super::rng::{Rng, mix};

/// What a ClientHello consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    suites: Vec<u16>,
    extensions: Vec<u16>,
    signatures: Vec<u16>,
    protocols: &'static [&'static str],
}

/// Programs whose hellos are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Browsers on Chromium.
    Chromium,
    /// Firefox.
    Firefox,
    /// Safari.
    Safari,
    /// An app on a phone.
    App,
    /// A command-line client on OpenSSL.
    OpenSsl,
    /// A program in Go.
    Go,
}

/// The value that stands for all of GREASE.
const GREASE: u16 = 0x4a4a;

const CHROMIUM: [u16; 16] = [
    GREASE, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f, 0x0035,
];
const FIREFOX: [u16; 17] = [
    0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013, 0xc014,
    0x009c, 0x009d, 0x002f, 0x0035,
];
const SAFARI: [u16; 21] = [
    GREASE, 0x1301, 0x1302, 0x1303, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f, 0xcca8, 0xc00a, 0xc009, 0xc014,
    0xc013, 0x009d, 0x009c, 0x0035, 0x002f, 0xc008, 0xc012, 0x000a,
];
const APP: [u16; 9] = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0x009c, 0x009d];
const OPENSSL: [u16; 30] = [
    0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x009e, 0xc024,
    0xc028, 0x006b, 0xc023, 0xc027, 0x0067, 0xc00a, 0xc014, 0x0039, 0xc009, 0xc013, 0x0033, 0x009d, 0x009c,
    0x003d, 0x003c, 0x0035, 0x002f,
];
const GO: [u16; 13] =
    [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x1301, 0x1302, 0x1303];
const SIGNATURES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
const MORE_SIGNATURES: [u16; 11] =
    [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201];
const BOTH: &[&str] = &["h2", "http/1.1"];
const ONE: &[&str] = &["http/1.1"];

impl Shape {
    /// The hello of a known program.
    pub fn of(program: Program) -> Self {
        let (suites, extensions, signatures, protocols): (&[u16], &[u16], &[u16], _) = match program {
            Program::Chromium => (
                &CHROMIUM,
                &[GREASE, 0, 23, 0xff01, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27, 17513],
                &SIGNATURES,
                BOTH,
            ),
            Program::Firefox => (
                &FIREFOX,
                &[0, 23, 0xff01, 10, 11, 35, 16, 5, 34, 51, 43, 13, 45, 28],
                &MORE_SIGNATURES,
                BOTH,
            ),
            Program::Safari => {
                (&SAFARI, &[GREASE, 0, 23, 0xff01, 10, 11, 16, 5, 13, 18, 51, 45, 43, 27], &SIGNATURES, BOTH)
            }
            Program::App => (&APP, &[0, 23, 0xff01, 10, 11, 35, 16, 5, 13, 51, 45, 43], &SIGNATURES, BOTH),
            Program::OpenSsl => {
                (&OPENSSL, &[0, 11, 10, 35, 16, 22, 23, 13, 43, 45, 51], &MORE_SIGNATURES, ONE)
            }
            Program::Go => (&GO, &[0, 5, 10, 11, 13, 0xff01, 18, 43, 51, 16], &SIGNATURES, ONE),
        };
        Self {
            suites: suites.to_vec(),
            extensions: extensions.to_vec(),
            signatures: signatures.to_vec(),
            protocols,
        }
    }

    /// A hello that hardly anybody else sends: a program's with a few suites and extensions left out by `seed`.
    pub fn odd(program: Program, seed: u64) -> Self {
        let mut shape = Self::of(program);
        let keeps = |value: u16| !mix(seed, u64::from(value)).is_multiple_of(4);
        shape.suites.retain(|suite| *suite == 0x1301 || keeps(*suite));
        // Without server name, groups, signatures, key share and versions there is no hello.
        shape.extensions.retain(|kind| matches!(kind, 0 | 10 | 13 | 51 | 43) || keeps(*kind));
        shape
    }

    /// The record.
    pub fn record(&self, server_name: &str, rng: &mut Rng) -> Vec<u8> {
        let mut body = vec![3, 3];
        push_random(&mut body, rng);
        body.push(32);
        push_random(&mut body, rng);
        body.extend(counted16(words(&self.suites)));
        body.extend([1, 0]);
        let mut extensions = Vec::with_capacity(400);
        for kind in &self.extensions {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(counted16(self.content(*kind, server_name, rng)));
        }
        body.extend(counted16(extensions));
        let mut message = vec![1, 0];
        message.extend(counted16(body));
        let mut record = vec![22, 3, 1];
        record.extend(counted16(message));
        record
    }

    fn content(&self, kind: u16, server_name: &str, rng: &mut Rng) -> Vec<u8> {
        match kind {
            0 => {
                let mut entry = vec![0];
                entry.extend(counted16(server_name.as_bytes().iter().copied().take(255).collect()));
                counted16(entry)
            }
            5 => vec![1, 0, 0, 0, 0],
            10 => counted16(words(&[29, 23, 24])),
            11 => vec![1, 0],
            13 => counted16(words(&self.signatures)),
            16 => {
                let list: Vec<u8> =
                    self.protocols.iter().flat_map(|name| counted8(name.bytes().collect())).collect();
                counted16(list)
            }
            27 => counted8(words(&[2])),
            28 => words(&[0x4001]),
            34 => counted16(words(&[0x0403, 0x0503, 0x0603, 0x0203])),
            43 => counted8(words(&[0x0304, 0x0303])),
            45 => vec![1, 1],
            51 => {
                let mut entry = vec![0, 29, 0, 32];
                push_random(&mut entry, rng);
                counted16(entry)
            }
            17513 => counted16(counted8(b"h2".to_vec())),
            0xff01 => vec![0],
            _ => Vec::new(),
        }
    }
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn push_random(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..4 {
        bytes.extend(rng.next().to_be_bytes());
    }
}

fn counted8(content: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![content.len() as u8];
    bytes.extend(content);
    bytes
}

fn counted16(content: Vec<u8>) -> Vec<u8> {
    let mut bytes = (content.len() as u16).to_be_bytes().to_vec();
    bytes.extend(content);
    bytes
}
