//! Conversations of our own bytes, written as a capture: for what no well-behaved client would send.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;

use bongsu::capture::Writer;
use bongsu::synth::conversation::{View, Wire};
use bongsu::synth::dialogue::Dialogue;
use bongsu::synth::frame::Vlans;
use bongsu::synth::rng::Rng;
use bongsu::synth::tls::{ClientHello, Hello};
use bongsu::synth::{SynthFrame, http};
use bongsu::time::{Span, Timestamp};

/// 2023-11-23T00:00:00Z.
const BEGIN: i64 = 1_700_697_600;

/// Frames of conversations, in whatever order they were added.
#[derive(Default)]
pub struct Raw(Vec<SynthFrame>);

/// Who calls whom, so many milliseconds after the beginning.
#[derive(Clone, Copy)]
pub struct Call {
    pub millis: u64,
    pub client: SocketAddr,
    pub server: SocketAddr,
}

impl Raw {
    /// One request in these bytes, with its answer.
    pub fn request(&mut self, call: Call, head: &[u8], answer: &[u8]) {
        self.converse(call, |talk| {
            talk.client_sends(head, 0).server_sends(Span::from_millis(5), answer, 0);
        });
    }

    /// A ClientHello with this server name, whose second protocol is `protocol` (eight bytes).
    pub fn hello(&mut self, call: Call, name: &[u8], protocol: [u8; 8]) {
        let name = &name[..name.len().clamp(1, 255)];
        let stand_in = "n".repeat(name.len());
        let hello = ClientHello { hello: Hello::Browser, server_name: &stand_in };
        let mut hello = hello.record(&mut Rng::new(call.millis));
        replace(&mut hello, stand_in.as_bytes(), name);
        replace(&mut hello, b"http/1.1", &protocol);
        self.converse(call, |talk| {
            talk.client_sends(&hello, 0);
        });
    }

    fn converse(&mut self, Call { millis, client, server }: Call, talk: impl FnOnce(&mut Dialogue)) {
        let wire = Wire {
            client,
            server,
            rtt: Span::from_millis(2),
            client_ttl: 57,
            vlans: Vlans::default(),
            view: View::BothSides,
        };
        let start = Timestamp::from_secs(BEGIN) + Span::from_millis(millis);
        let mut dialogue = Dialogue::new(wire, start, millis ^ u64::from(client.port()));
        dialogue.handshake();
        talk(&mut dialogue);
        dialogue.closed_by_client();
        self.0.extend(dialogue.finish());
    }

    /// Writes them in order of time.
    pub fn write(mut self, path: &Path) {
        self.0.sort_by_key(|frame| frame.time);
        let mut writer = Writer::new(BufWriter::new(File::create(path).unwrap()));
        self.0.iter().for_each(|frame| writer.frame(&frame.as_frame()).unwrap());
        writer.finish().unwrap().flush().unwrap();
    }
}

/// An ordinary answer.
pub fn answer() -> Vec<u8> {
    [http::response_head(200, 2), b"ok".to_vec()].concat()
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
}
