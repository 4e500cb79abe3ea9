//! Packets of no connection: forged SYNs, UDP floods, reflected answers, port scans. A moment comes in, frames go out.
//! What the service's host answers is made here too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::SynthFrame;
use super::super::frame::{ACK, Envelope, RST, SYN, TcpFields, Vlans};
use super::super::origin::is_public;
use super::super::rng::Rng;
use super::curve::Curve;
use super::people::Pool;
use super::tcp::TURN;
use crate::service::Direction;
use crate::time::{Span, Timestamp};

/// A generator of such packets.
#[derive(Debug, Clone)]
pub struct Raw {
    /// The service and the group that they count for.
    pub of: (usize, usize),
    /// The service's end.
    pub target: SocketAddr,
    /// Who sends, where the senders are real.
    pub senders: Senders,
    /// What is sent.
    pub what: What,
    /// Packets per second.
    pub curve: Curve,
    /// When it begins.
    pub start: Span,
    /// Chance.
    pub rng: Rng,
    /// Packets sent.
    pub sent: u64,
}

/// Who sends.
#[derive(Debug, Clone)]
pub enum Senders {
    /// Every packet bears another address, and nobody there knows of it.
    Forged,
    /// The clients of a pool.
    Real(Pool),
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// SYNs to the service's port.
    Syns {
        /// Their window and time to live, the same for all.
        window: u16,
        /// See `window`.
        ttl: u8,
    },
    /// Datagrams to any port.
    Datagrams {
        /// Bytes of payload.
        size: u16,
    },
    /// Answers that nobody asked for, from this port.
    Reflections {
        /// The port of the service that is abused.
        port: u16,
        /// Bytes of payload at most.
        size: u16,
    },
    /// One SYN to each of many ports.
    PortScan,
}

/// What a moment brings.
#[derive(Debug)]
pub struct Step {
    /// Frames, now and soon.
    pub frames: Vec<SynthFrame>,
    /// The network of the one who tried something.
    pub attempt: Option<u16>,
    /// When it goes on.
    pub next: Timestamp,
}

/// One packet's two ends and the line between them.
struct Ends {
    source: SocketAddr,
    net: u16,
    rtt: Span,
    ttl: u8,
}

/// The part of forged addresses whose owners answer an unexpected SYN-ACK with RST.
const OWNER_ANSWERS: f64 = 0.06;
/// The part of closed ports that are told of.
const UNREACHABLE: f64 = 0.02;
/// A generator at rest looks again after that time.
const REST: Span = Span::from_millis(250);

impl Raw {
    /// When it begins.
    pub const fn begin(&self) -> Span {
        self.start
    }

    /// The service it counts for.
    pub const fn service(&self) -> usize {
        self.of.0
    }

    /// The group it counts for.
    pub const fn group(&self) -> usize {
        self.of.1
    }

    /// Goes on; `None` when it is over.
    pub fn step(&mut self, now: Timestamp, start: Timestamp) -> Option<Step> {
        let elapsed = now.since(start);
        if elapsed >= self.curve.end() {
            return None;
        }
        let rate = self.curve.at(elapsed);
        if rate < 1e-3 {
            return Some(Step { frames: Vec::new(), attempt: None, next: now + REST });
        }
        let next = now + self.rng.exponential(Span::from_nanos((1e9 / rate) as u64)).min(Span::from_secs(5));
        let ends = self.ends();
        let frames = match self.what {
            What::Syns { window, ttl } => self.syn(now, &ends, (window, ttl)),
            What::Datagrams { size } => self.datagram(now, &ends, size),
            What::Reflections { port, size } => self.reflection(now, &ends, (port, size)),
            What::PortScan => self.probe(now, &ends),
        };
        self.sent += 1;
        Some(Step { frames, attempt: Some(ends.net), next })
    }

    fn ends(&mut self) -> Ends {
        let port = self.rng.between(1_025, 65_500) as u16;
        match &self.senders {
            Senders::Forged => {
                let ip = forged(&mut self.rng);
                let ttl = 40 + (ip.octets()[1] % 24);
                Ends { source: SocketAddr::new(ip.into(), port), net: 0, rtt: Span::from_millis(120), ttl }
            }
            Senders::Real(pool) => {
                let client = pool.client(self.rng.below(pool.size));
                let ttl = 48 + (client.net % 12) as u8;
                Ends { source: SocketAddr::new(client.ip, port), net: client.net, rtt: client.rtt, ttl }
            }
        }
    }

    fn syn(&mut self, now: Timestamp, ends: &Ends, (window, ttl): (u16, u8)) -> Vec<SynthFrame> {
        let seq = self.rng.next() as u32;
        let ours = self.rng.next() as u32;
        let to_us = self.envelope(ends.source, self.target, ttl);
        let fields = TcpFields { seq, flags: SYN, window, options: &[2, 4, 5, 0xb4], ..TcpFields::default() };
        let mut frames = vec![frame(now, to_us.tcp(&fields, &[]))];
        let back = self.envelope(self.target, ends.source, 64);
        let ack = seq.wrapping_add(1);
        let answer =
            TcpFields { seq: ours, ack, flags: SYN | ACK, window: 64_240, options: &[2, 4, 5, 0xb4] };
        frames.push(frame(now + TURN, back.tcp(&answer, &[])));
        if self.rng.unit() < OWNER_ANSWERS {
            let fields = TcpFields { seq: ack, flags: RST, ..TcpFields::default() };
            frames.push(frame(now + TURN + ends.rtt, to_us.tcp(&fields, &[])));
        }
        frames
    }

    fn datagram(&mut self, now: Timestamp, ends: &Ends, size: u16) -> Vec<SynthFrame> {
        let port =
            if self.rng.below(3) == 0 { self.target.port() } else { self.rng.between(1, 65_535) as u16 };
        let target = SocketAddr::new(self.target.ip(), port);
        let length = self.rng.between(u64::from(size) * 3 / 4, u64::from(size)) as usize;
        let noise = self.noise(length);
        let mut frames = vec![frame(now, self.envelope(ends.source, target, ends.ttl).udp(&noise))];
        if self.rng.unit() < UNREACHABLE
            && let Some(bytes) = frames.first().and_then(|frame| unreachable(&frame.bytes))
        {
            frames.push(frame(now + TURN, bytes));
        }
        frames
    }

    fn reflection(&mut self, now: Timestamp, ends: &Ends, (port, size): (u16, u16)) -> Vec<SynthFrame> {
        let source = SocketAddr::new(ends.source.ip(), port);
        let length = self.rng.between(u64::from(size) / 2, u64::from(size)) as usize;
        let noise = self.noise(length);
        // The forged requests came from few ports, to which the answers go back.
        let target = SocketAddr::new(self.target.ip(), 1_024 + (self.rng.below(8) * 7_919) as u16);
        vec![frame(now, self.envelope(source, target, ends.ttl).udp(&noise))]
    }

    fn probe(&mut self, now: Timestamp, ends: &Ends) -> Vec<SynthFrame> {
        // Known ports first, then one after the other from a begin of its own.
        let known = KNOWN_PORTS.get(self.sent as usize).copied();
        let port = known.unwrap_or((1 + self.sent * 7 % 65_534) as u16);
        let target = SocketAddr::new(self.target.ip(), port);
        let seq = self.rng.next() as u32;
        let to_us = self.envelope(ends.source, target, ends.ttl);
        let fields =
            TcpFields { seq, flags: SYN, window: 1_024, options: &[2, 4, 5, 0xb4], ..TcpFields::default() };
        let mut frames = vec![frame(now, to_us.tcp(&fields, &[]))];
        // A firewall swallows what goes to low ports; the host refuses the rest.
        if port >= 1_024 || port == self.target.port() {
            let back = self.envelope(target, ends.source, 64);
            let open = port == self.target.port();
            let flags = if open { SYN | ACK } else { RST | ACK };
            let ack = seq.wrapping_add(1);
            let answer =
                TcpFields { ack, flags, window: if open { 64_240 } else { 0 }, ..TcpFields::default() };
            frames.push(frame(now + TURN, back.tcp(&answer, &[])));
            if open {
                let fields = TcpFields { seq: ack, flags: RST, ..TcpFields::default() };
                frames.push(frame(now + TURN + ends.rtt, to_us.tcp(&fields, &[])));
            }
        }
        frames
    }

    fn envelope(&mut self, source: SocketAddr, dest: SocketAddr, ttl: u8) -> Envelope {
        let direction =
            if source.ip() == self.target.ip() { Direction::ToClient } else { Direction::ToServer };
        Envelope { source, dest, direction, ttl, id: self.rng.next() as u16, vlans: Vlans::None }
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.rng.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// What scanners look for first.
const KNOWN_PORTS: [u16; 24] = [
    21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 443, 445, 993, 995, 1433, 1521, 3306, 3389, 5432, 5900,
    6379, 8080, 8443,
];

const fn frame(time: Timestamp, bytes: Vec<u8>) -> SynthFrame {
    SynthFrame { time, bytes }
}

/// A public address at chance.
fn forged(rng: &mut Rng) -> Ipv4Addr {
    loop {
        let ip = Ipv4Addr::from_bits(rng.next() as u32);
        if is_public(IpAddr::V4(ip)) {
            return ip;
        }
    }
}

/// The ICMP message "port unreachable" for an IPv4 frame ([RFC 792](https://www.rfc-editor.org/rfc/rfc792)).
fn unreachable(frame: &[u8]) -> Option<Vec<u8>> {
    const ETHERNET: usize = 14;
    let packet = frame.get(ETHERNET..)?;
    let quoted = packet.get(..28)?;
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(quoted);
    let sum = checksum(&message).to_be_bytes();
    message.splice(2..4, sum);
    let mut header = vec![0x45, 0, 0, (20 + message.len()) as u8, 0, 0, 0x40, 0, 64, 1, 0, 0];
    header.extend_from_slice(packet.get(16..20)?);
    header.extend_from_slice(packet.get(12..16)?);
    let sum = checksum(&header).to_be_bytes();
    header.splice(10..12, sum);
    let mut bytes = Vec::with_capacity(ETHERNET + header.len() + message.len());
    bytes.extend_from_slice(frame.get(6..12)?);
    bytes.extend_from_slice(frame.get(..6)?);
    bytes.extend_from_slice(&[0x08, 0]);
    bytes.extend(header);
    bytes.extend(message);
    Some(bytes)
}

/// The Internet checksum of an even number of bytes ([RFC 1071](https://www.rfc-editor.org/rfc/rfc1071)).
fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut sum: u32 = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
