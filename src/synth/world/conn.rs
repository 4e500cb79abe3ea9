//! One TCP connection: its two ends' numbers, and the bytes of its packets. What is said on it is decided in
//! `tcp.rs` and `exchange.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::SynthFrame;
use super::super::frame::{ACK, Envelope, RST, SYN, TcpFields, Vlans};
use super::super::rng::{Rng, mix};
use super::engine::ActorId;
use super::packet::{Packet, Window};
use super::people::Client;
use super::server::Busy;
use super::site::Ask;
use crate::service::Direction;
use crate::time::Timestamp;

/// A connection under way.
#[derive(Debug)]
pub struct Conn {
    /// Who opened it.
    pub actor: ActorId,
    /// The group of the one who did.
    pub group: u16,
    /// To which service.
    pub service: usize,
    /// From whom.
    pub client: Client,
    /// The client's end.
    pub source: SocketAddr,
    /// The server's end.
    pub dest: SocketAddr,
    /// The client's next sequence number.
    pub client_seq: u32,
    /// The server's next sequence number.
    pub server_seq: u32,
    /// Which life of the server accepted it.
    pub life: u32,
    /// How far it is.
    pub state: State,
    /// Requests sent on it.
    pub asks: u32,
    /// The request that is not answered yet.
    pub ask: Option<Ask>,
    /// The text of that request and the number of its first byte.
    pub sent: (Option<Arc<[u8]>>, u32),
    /// What a worker does for it.
    pub worker: Option<Busy>,
    /// Planned packets.
    pub coming: u32,
    /// Packets planned up to this number are not sent any more.
    pub cut: u64,
    /// Whether it speaks TLS.
    pub filling: Filling,
    ids: (u16, u16),
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// SYNs are sent.
    Opening,
    /// The handshake is done, or TLS's is under way.
    Greeting,
    /// Nothing is asked.
    Ready,
    /// Something is asked.
    Asked,
    /// Nothing will be said any more.
    Closed,
}

/// What its payloads look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Text.
    Clear,
    /// TLS records.
    Sealed,
}

/// Windows that both sides announce after the handshake, to be scaled: a quarter to half a megabyte.
const WINDOW: u16 = 2_053;
/// Time to live of the server's packets at the mirror.
const SERVER_TTL: u8 = 64;
/// The server's SYN options.
const SERVER_OPTIONS: [u8; 12] = [2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7];

impl Conn {
    /// A connection that is about to be opened.
    pub fn new(
        actor: ActorId,
        (group, service): (u16, usize),
        (client, serial): (Client, u64),
        rng: &mut Rng,
    ) -> Self {
        let port = super::people::port(client.ip, serial);
        let numbers = rng.next();
        Self {
            actor,
            group,
            service,
            client,
            source: SocketAddr::new(client.ip, port),
            dest: SocketAddr::new(client.ip, 0),
            client_seq: numbers as u32,
            server_seq: (numbers >> 32) as u32,
            life: 0,
            state: State::Opening,
            asks: 0,
            ask: None,
            sent: (None, 0),
            worker: None,
            coming: 0,
            cut: 0,
            filling: Filling::Clear,
            ids: (port ^ 0x5a5a, rng.next() as u16),
        }
    }

    /// Whether nothing of it is to come.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Closed) && self.coming == 0 && self.worker.is_none()
    }

    /// Bytes of payload that fit into a segment.
    pub const fn segment(&self) -> usize {
        if self.dest.is_ipv4() { 1_460 } else { 1_440 }
    }

    /// The packet's bytes.
    pub fn frame(&mut self, packet: &Packet, time: Timestamp) -> SynthFrame {
        let (options, window, ttl) = self.client.look.system();
        let from_client = packet.direction == Direction::ToServer;
        // Between the client and the mirror lie 7 to 22 routers.
        let ttl = ttl - 7 - (mix(3, u64::from(self.client.net)) % 16) as u8;
        let id = if from_client { &mut self.ids.0 } else { &mut self.ids.1 };
        *id = id.wrapping_add(1);
        let envelope = Envelope {
            source: if from_client { self.source } else { self.dest },
            dest: if from_client { self.dest } else { self.source },
            direction: packet.direction,
            ttl: if from_client { ttl } else { SERVER_TTL },
            id: *id,
            vlans: Vlans::None,
        };
        let is_syn = packet.flags & SYN != 0;
        let options: &[u8] = match (is_syn, from_client) {
            (false, _) => &[],
            (true, true) => options,
            (true, false) => &SERVER_OPTIONS,
        };
        let window = match packet.window {
            Window::Zero => 0,
            Window::Open if packet.flags & RST != 0 => 0,
            Window::Open if is_syn && from_client => window,
            Window::Open => WINDOW,
        };
        let ack = if packet.flags & ACK == 0 { 0 } else { packet.ack };
        let fields = TcpFields { seq: packet.seq, ack, flags: packet.flags, window, options };
        SynthFrame { time, bytes: envelope.tcp(&fields, &self.payload(packet)) }
    }

    fn payload(&self, packet: &Packet) -> Vec<u8> {
        let content = &packet.content;
        let length = content.len() as usize;
        let mut payload = Vec::with_capacity(length);
        let (from, to) = (content.part.0 as usize, content.part.1 as usize);
        if let Some(text) = content.text.as_ref().and_then(|text| text.get(from..to)) {
            payload.extend_from_slice(text);
        }
        match self.filling {
            Filling::Clear => payload.extend(PROSE.iter().cycle().take(length.saturating_sub(payload.len()))),
            Filling::Sealed => {
                let mut rng = Rng::new(mix(u64::from(packet.seq), u64::from(packet.ack)));
                while payload.len() < length {
                    payload.extend_from_slice(&rng.next().to_le_bytes());
                }
                payload.truncate(length);
            }
        }
        payload
    }
}

/// What bodies are made of.
const PROSE: &[u8] = b"<li class=\"row\"><a href=\"#\">Notice</a> opened at ten o'clock, closes today</li>\n";
