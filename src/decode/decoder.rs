//! The decoder: from a frame to its innermost IP packet, through tunnels and fragments.
//! Comes in: frames in the order of the capture. Goes out: a [`Packet`] each, or a [`Skip`]. Owns what outlives a
//! frame: the fragments that wait for their rest. Refuses to know services and connections.
//!
//! Every fragment is a packet: one that is kept counts as [`Transport::Fragment`](super::Transport::Fragment) when it
//! comes, and the one that completes its datagram is the whole datagram, of which only its own bytes are fresh.

use etherparse::ip_number;

use super::fragments::{FragmentCounts, Fragments};
use super::link::{self, Inner};
use super::network::{Datagram, Part};
use super::{Layers, Packet, Skip, carrier, plain, transport, tunnel};
use crate::capture::Frame;
use crate::time::Timestamp;

/// Datagrams that are put together for one frame: a carrier's and, inside it, the carried one's.
const MAX_REASSEMBLIES: usize = 2;

/// Peels frames down to packets; one of them reads all frames of a capture, in order.
#[derive(Debug, Default)]
pub struct Decoder {
    layers: Layers,
    fragments: Fragments,
    /// The datagrams that the last frame completed.
    wholes: [Vec<u8>; MAX_REASSEMBLIES],
}

impl Decoder {
    /// Peels a frame down to its packet, or says why there is none; panics on no bytes, and allocates for fragments
    /// alone. `frame.time` ages the fragments that wait.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Packet<'a>, Skip> {
        match Self::decode_plain(frame) {
            Some(packet) => Ok(packet),
            None => self.decode_anything(frame, frame.time),
        }
    }

    /// The packet of a frame of the most usual kind, which needs no decoder; [`Decoder::decode_anything`] reads all.
    /// Apart from each other for whoever reads so many that a packet is too large to be moved once more.
    #[inline(always)]
    pub fn decode_plain<'a>(frame: &Frame<'a>) -> Option<Packet<'a>> {
        plain::read(frame, &Layers::NONE)
    }

    /// The general way; it is `now` that ages the fragments.
    #[inline(never)]
    pub fn decode_anything<'a>(&'a mut self, frame: &Frame<'a>, now: Timestamp) -> Result<Packet<'a>, Skip> {
        self.layers.clear();
        let datagram = Datagram::read(&link::peel(frame, &mut self.layers)?)?;
        // Nothing can be inside: a segment in one piece, or a datagram that no tunnel begins like.
        match datagram.protocol {
            _ if datagram.part != Part::Whole => {}
            ip_number::TCP => return datagram.packet(&self.layers),
            ip_number::UDP if !carrier::may_carry(datagram.payload) => return datagram.packet(&self.layers),
            _ => {}
        }
        let Self { layers, fragments, wholes } = self;
        Descent { layers, fragments, wholes, now }.packet(datagram)
    }

    /// What became of fragments so far.
    pub fn fragment_counts(&self) -> FragmentCounts {
        self.fragments.counts()
    }
}

/// The way from a frame's outermost IP packet to its innermost.
struct Descent<'a> {
    layers: &'a mut Layers,
    fragments: &'a mut Fragments,
    wholes: &'a mut [Vec<u8>; MAX_REASSEMBLIES],
    now: Timestamp,
}

impl<'a> Descent<'a> {
    /// Follows tunnels and fragments inwards until there are no more.
    #[inline(never)]
    fn packet(self, mut datagram: Datagram<'a>) -> Result<Packet<'a>, Skip> {
        let Self { layers, fragments, wholes, now } = self;
        let mut wholes = wholes.iter_mut();
        let (mut pieces, mut completed_by) = (None, None);
        loop {
            if datagram.part != Part::Whole {
                let Some(whole) = fragments.take(&datagram, now) else { return datagram.packet(layers) };
                let slot = wholes.next().ok_or(Skip::TooManyLayers)?;
                *slot = whole.bytes;
                pieces = Some(Pieces { fragments: whole.fragments, fresh_len: datagram.ip_len });
                completed_by.get_or_insert(datagram.ip);
                datagram = Datagram::read(&Inner { version: datagram.version(), bytes: slot, cut: 0 })?;
                continue;
            }
            let Some(inner) = tunnel::enter(&datagram, layers)? else {
                let packet = Packet { completed_by, ..datagram.packet(layers)? };
                return Ok(match pieces {
                    Some(Pieces { fragments, fresh_len }) => {
                        // Options in the last fragment alone may make it longer than the whole.
                        let fresh_len = fresh_len.min(packet.ip_len);
                        Packet { fragments, fresh_len, ..packet }
                    }
                    None => packet,
                });
            };
            pieces = None;
            datagram = Datagram::read(&inner)?;
        }
    }
}

/// What an innermost packet was put together from.
struct Pieces {
    fragments: u16,
    /// The length of the fragment that completed it.
    fresh_len: u32,
}

impl<'a> Datagram<'a> {
    /// The packet that this datagram is, where it carries no other.
    fn packet(&self, layers: &'a Layers) -> Result<Packet<'a>, Skip> {
        Ok(Packet {
            source: self.source,
            destination: self.destination,
            ip_len: self.ip_len,
            fresh_len: self.ip_len,
            fragments: 1,
            hop_limit: self.hop_limit,
            identification: self.identification,
            transport: transport::read(self)?,
            ip: self.ip,
            completed_by: None,
            layers,
        })
    }
}

/// What must be said of a packet beside its bytes for [`Sealed::open`] to find the same packet in them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    ip_len: u32,
    fresh_len: u32,
    fragments: u16,
}

impl Sealed {
    /// What must be said of `packet`.
    pub fn of(packet: &Packet<'_>) -> Self {
        Self { ip_len: packet.ip_len, fresh_len: packet.fresh_len, fragments: packet.fragments }
    }

    /// The packet again, from a copy of its `ip` bytes and its layers: what was innermost once is not searched for
    /// tunnels or fragments again, and which fragment completed it is forgotten.
    pub fn open<'a>(&self, ip: &'a [u8], layers: &'a Layers) -> Result<Packet<'a>, Skip> {
        match self.open_plain(ip, layers) {
            Some(packet) => Ok(packet),
            None => self.open_anything(ip, layers),
        }
    }

    /// The packet of the most usual kind; [`Sealed::open_anything`] finds all. Apart for the reason that
    /// [`Decoder::decode_plain`] is.
    #[inline(always)]
    pub fn open_plain<'a>(&self, ip: &'a [u8], layers: &'a Layers) -> Option<Packet<'a>> {
        let whole = self.fragments == 1 && self.fresh_len == self.ip_len;
        if whole { plain::read_ip(ip, layers) } else { None }
    }

    /// The general way.
    #[inline(never)]
    pub fn open_anything<'a>(&self, ip: &'a [u8], layers: &'a Layers) -> Result<Packet<'a>, Skip> {
        let cut = self.ip_len.saturating_sub(u32::try_from(ip.len()).unwrap_or(u32::MAX));
        let datagram =
            Datagram::read(&link::by_version(ip).map(|(version, bytes)| Inner { version, bytes, cut })?)?;
        Ok(Packet { fresh_len: self.fresh_len, fragments: self.fragments, ..datagram.packet(layers)? })
    }
}
