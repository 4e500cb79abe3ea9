//! Packets between one client and the service, in order, as a mirror port next to the service sees them: a finished
//! [`Dialogue`](super::dialogue::Dialogue) comes in, frames go out. Only headers and short texts are held; filler is
//! made when a frame is.

use std::net::SocketAddr;
use std::ops::Range;

use super::SynthFrame;
use super::frame::{Envelope, RST, SYN, SYN_OPTIONS, TcpFields, Vlans};
use super::rng::{Rng, mix};
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// The two ends and the line between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// The client.
    pub client: SocketAddr,
    /// The service; of the same address family.
    pub server: SocketAddr,
    /// From the mirror port to the client and back.
    pub rtt: Span,
    /// Time to live left of the client's packets.
    pub client_ttl: u8,
    /// VLAN tags on both directions.
    pub vlans: Vlans,
    /// Which direction the mirror shows.
    pub view: View,
}

/// Which packets the mirror shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Both directions.
    #[default]
    BothSides,
    /// Only what clients send.
    ClientSide,
    /// Only what the service sends.
    ServerSide,
}

/// What bodies are filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filling {
    /// Lines of text.
    #[default]
    Prose,
    /// Noise, as encrypted data looks.
    Noise,
}

/// A finished [`Dialogue`](super::dialogue::Dialogue): an iterator over its frames in order of time.
#[derive(Debug, Clone)]
pub struct Conversation {
    wire: Wire,
    filling: Filling,
    steps: std::vec::IntoIter<Step>,
    text: Vec<u8>,
    sent: u16,
}

/// One packet to come.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub time: Timestamp,
    pub direction: Direction,
    pub header: Header,
    pub text: Range<u32>,
    pub filler: u16,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Header {
    Tcp { seq: u32, ack: u32, flags: u8 },
    Udp,
    Fragment,
    Echo { id: u16, sequence: u16 },
}

/// Windows that both sides announce, unscaled.
const WINDOW: u16 = 64_240;
/// Time to live of the service's packets next to the service.
const SERVER_TTL: u8 = 64;

impl Conversation {
    /// Makes a conversation of steps in order of time, whose texts are parts of `text`.
    pub(super) fn new(wire: Wire, filling: Filling, steps: Vec<Step>, text: Vec<u8>) -> Self {
        // IPv4 identifications begin somewhere, as they do with real hosts.
        Self { wire, filling, sent: wire.client.port(), steps: steps.into_iter(), text }
    }

    /// When the next frame comes; `None` at the end.
    pub fn next_time(&self) -> Option<Timestamp> {
        self.steps.as_slice().first().map(|step| step.time)
    }

    /// Frames to come.
    pub fn left(&self) -> u64 {
        self.steps.as_slice().len() as u64
    }

    fn frame(&mut self, step: &Step) -> SynthFrame {
        let payload = self.payload(step);
        let envelope = self.envelope(step.direction);
        self.sent = self.sent.wrapping_add(1);
        let bytes = match step.header {
            Header::Tcp { seq, ack, flags } => {
                let options: &[u8] = if flags & SYN == 0 { &[] } else { &SYN_OPTIONS };
                let window = if flags & RST == 0 { WINDOW } else { 0 };
                envelope.tcp(&TcpFields { seq, ack, flags, window, options }, &payload)
            }
            Header::Udp => envelope.udp(&payload),
            Header::Fragment => envelope.fragment(&payload),
            Header::Echo { id, sequence } => envelope.echo(id, sequence, &payload),
        };
        SynthFrame { time: step.time, bytes }
    }

    fn payload(&self, step: &Step) -> Vec<u8> {
        let text = self.text.get(step.text.start as usize..step.text.end as usize).unwrap_or_default();
        let mut payload = Vec::with_capacity(text.len() + usize::from(step.filler));
        payload.extend_from_slice(text);
        let full = text.len() + usize::from(step.filler);
        match self.filling {
            Filling::Prose => payload.extend(PROSE.iter().cycle().take(usize::from(step.filler))),
            Filling::Noise => {
                let mut rng = Rng::new(mix(u64::from(self.sent), step.time.nanos() as u64));
                while payload.len() < full {
                    payload.extend_from_slice(&rng.next().to_le_bytes());
                }
                payload.truncate(full);
            }
        }
        payload
    }

    fn envelope(&self, direction: Direction) -> Envelope {
        let Wire { client, server, client_ttl, vlans, .. } = self.wire;
        let (source, dest, ttl) = match direction {
            Direction::ToServer => (client, server, client_ttl),
            Direction::ToClient => (server, client, SERVER_TTL),
        };
        Envelope { source, dest, direction, ttl, id: self.sent, vlans }
    }
}

/// What bodies of text are made of.
const PROSE: &[u8] = b"<p>Notice of invitation to bid. Offers are opened at ten o'clock.</p>\n";

impl Iterator for Conversation {
    type Item = SynthFrame;

    fn next(&mut self) -> Option<SynthFrame> {
        let step = self.steps.next()?;
        Some(self.frame(&step))
    }
}

impl View {
    /// Whether packets of that direction are seen.
    pub const fn shows(self, direction: Direction) -> bool {
        match self {
            View::BothSides => true,
            View::ClientSide => matches!(direction, Direction::ToServer),
            View::ServerSide => matches!(direction, Direction::ToClient),
        }
    }
}
