//! QUIC's Initial packets (RFC 9000 section 17.2.2): where they lie in a datagram, and the ClientHello that their
//! CRYPTO frames carry, in whatever order. Comes in: datagrams of a conversation. Goes out: a ClientHello. What follows
//! the handshake's first flight is encrypted with keys that only its ends know.

use std::ops::Range;

use super::initial::{Keys, Protected, Version};
use super::room::Room;
use super::stream::{Early, Run};
use super::tls::{self, Carrier, MAX_HELLO};
use crate::time::Timestamp;

/// What was collected of a client's first flight.
#[derive(Debug, Default)]
pub(super) struct Initials {
    keys: Option<Keys>,
    /// The connection ID that the keys are derived from.
    id: Vec<u8>,
    /// The handshake's bytes from the first on, without holes.
    message: Vec<u8>,
    early: Early,
    /// Packets that were looked at.
    tried: u8,
}

/// What a datagram brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The hello is whole.
    Hello,
    /// A part of the hello.
    Part,
    /// QUIC, but no Initial of a client whose keys are known.
    Sealed,
    /// No QUIC, or no hello, or too much of it.
    Other,
}

/// Packets that are looked at: a flight of three, sent again and again for a while.
const MAX_TRIED: u8 = 16;

/// Whether a datagram begins with a long header of a known version.
pub(super) fn may_be(datagram: &[u8]) -> bool {
    LongHeader::of(datagram).is_some()
}

/// The least that a client's datagram with an Initial may have (RFC 9000 section 14.1).
const LEAST_INITIAL: usize = 1_200;

/// Whether a datagram begins a conversation as a client's Initial does.
pub fn is_initial(datagram: &[u8]) -> bool {
    datagram.len() >= LEAST_INITIAL && LongHeader::of(datagram).is_some_and(|header| header.is_initial())
}

/// Whether a datagram may answer one: all that a service says before the keys of both are known has a long header,
/// whatever its version (RFC 8999 section 5.1).
pub fn may_answer(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0x80 != 0)
}

impl Initials {
    /// Hears a datagram of the side that sent the first one.
    pub fn hear(&mut self, datagram: &[u8], room: &mut Room) -> Heard {
        let mut heard = Heard::Other;
        let mut rest = datagram;
        while let Some(header) = LongHeader::of(rest) {
            let Some((packet, behind)) = header.packet(rest) else { break };
            rest = behind;
            if !header.is_initial() {
                heard = if heard == Heard::Other { Heard::Sealed } else { heard };
                continue;
            }
            self.tried = self.tried.saturating_add(1);
            if self.tried > MAX_TRIED {
                return Heard::Other;
            }
            heard = self.open(&header, packet, room);
            if matches!(heard, Heard::Hello | Heard::Other) {
                return heard;
            }
        }
        heard
    }

    /// The handshake's bytes.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.message.len() + self.early.bytes()
    }

    fn open(&mut self, header: &LongHeader<'_>, packet: Protected<'_>, room: &mut Room) -> Heard {
        let mut scratch = std::mem::take(&mut room.scratch);
        let opened = match self.keys.as_ref().and_then(|keys| keys.open(packet, &mut scratch)) {
            // After a Retry the client begins anew under another ID (RFC 9001 section 5.2).
            None if self.keys.is_none() || header.id != self.id => {
                self.open_anew(header, packet, &mut scratch, room)
            }
            opened => opened,
        };
        let heard = match opened.and_then(|frames| scratch.get(frames)) {
            None => Heard::Sealed,
            Some(frames) => self.frames(frames, room),
        };
        room.scratch = scratch;
        heard
    }

    fn open_anew(
        &mut self,
        header: &LongHeader<'_>,
        packet: Protected<'_>,
        scratch: &mut Vec<u8>,
        room: &mut Room,
    ) -> Option<Range<usize>> {
        let keys = Keys::of(header.version, header.id)?;
        let frames = keys.open(packet, scratch)?;
        room.give(self.held());
        *self = Self { keys: Some(keys), id: header.id.to_vec(), tried: self.tried, ..Self::default() };
        Some(frames)
    }

    /// Collects what CRYPTO frames carry (RFC 9000 section 19.6); other frames are stepped over.
    fn frames(&mut self, frames: &[u8], room: &mut Room) -> Heard {
        let mut cursor = Cursor(frames);
        while let Some(frame) = cursor.frame() {
            if let Some((offset, data)) = frame
                && !self.collect(offset, data, room)
            {
                return Heard::Other;
            }
        }
        match tls::message(&self.message, Carrier::Quic) {
            tls::Begin::Hello(_) => Heard::Hello,
            tls::Begin::Partial => Heard::Part,
            tls::Begin::Other => Heard::Other,
        }
    }

    /// Puts bytes where they belong; answers whether there was room.
    fn collect(&mut self, offset: u64, data: &[u8], room: &mut Room) -> bool {
        let (Ok(at), Ok(len)) = (u32::try_from(offset), u32::try_from(data.len())) else { return false };
        if at as usize + data.len() > MAX_HELLO + 4 {
            return false;
        }
        let Some(run) = Run { at, len, bytes: data }.after(self.message.len() as u32) else { return true };
        if self.early.is_full(run.bytes.len()) || !room.take(run.bytes.len()) {
            return false;
        }
        let before = self.held();
        let differing = self.early.keep(run, Timestamp::default());
        room.note_differing(differing);
        room.give((before + run.bytes.len()).saturating_sub(self.held()));
        while let Some(part) = self.early.take(self.message.len() as u32) {
            self.message.extend_from_slice(&part.bytes);
        }
        true
    }
}

/// The header of a packet of the handshake, as far as all kinds share it.
#[derive(Debug, Clone, Copy)]
struct LongHeader<'a> {
    first: u8,
    version: Version,
    /// The ID of whom it goes to.
    id: &'a [u8],
    /// Where the kind's own fields begin.
    len: usize,
}

/// The longest connection ID (RFC 9000 section 17.2).
const MAX_ID: usize = 20;

impl<'a> LongHeader<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let first = cursor.u8()?;
        // The long form, and the fixed bit; greased ones (RFC 9287) come after the first flight.
        if first & 0xc0 != 0xc0 {
            return None;
        }
        let version = Version::of(u32::from_be_bytes(cursor.take(4)?.try_into().ok()?))?;
        let id_len = usize::from(cursor.u8()?);
        let id = cursor.take(id_len)?;
        let own_len = usize::from(cursor.u8()?);
        cursor.take(own_len)?;
        let fits = id_len <= MAX_ID && own_len <= MAX_ID;
        fits.then_some(Self { first, version, id, len: bytes.len() - cursor.0.len() })
    }

    fn kind(&self) -> u8 {
        self.first >> 4 & 3
    }

    fn is_initial(&self) -> bool {
        self.kind() == self.version.initial_type()
    }

    /// The packet, and what is coalesced behind it.
    fn packet<'b>(&self, bytes: &'b [u8]) -> Option<(Protected<'b>, &'b [u8])> {
        if self.kind() == self.version.retry_type() {
            return Some((Protected { bytes, number_at: bytes.len() }, &[]));
        }
        let mut cursor = Cursor(bytes.get(self.len..)?);
        if self.is_initial() {
            let token = cursor.varint()?;
            cursor.take(usize::try_from(token).ok()?)?;
        }
        let len = usize::try_from(cursor.varint()?).ok()?;
        let number_at = bytes.len() - cursor.0.len();
        let (packet, behind) = bytes.split_at_checked(number_at.checked_add(len)?)?;
        Some((Protected { bytes: packet, number_at }, behind))
    }
}

/// Takes from the front of a slice; `None` where it is too short.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).and_then(|bytes| bytes.first().copied())
    }

    /// A number of variable length (RFC 9000 section 16).
    fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let value =
            bytes.iter().skip(1).fold(u64::from(first & 0x3f), |sum, byte| sum << 8 | u64::from(*byte));
        Some(value)
    }

    /// The next frame: offset and data of a CRYPTO frame, nothing of others; `None` at the end, or where a frame is
    /// none that an Initial may carry (RFC 9000 section 12.4).
    fn frame(&mut self) -> Option<Option<(u64, &'a [u8])>> {
        match self.varint()? {
            0 | 1 => Some(None),
            kind @ (2 | 3) => {
                self.acknowledgment(kind == 3)?;
                Some(None)
            }
            6 => {
                let offset = self.varint()?;
                let len = self.varint()?;
                Some(Some((offset, self.take(usize::try_from(len).ok()?)?)))
            }
            _ => None,
        }
    }

    fn acknowledgment(&mut self, with_ecn: bool) -> Option<()> {
        self.varint()?;
        self.varint()?;
        let ranges = self.varint()?;
        self.varint()?;
        for _ in 0..ranges {
            self.varint()?;
            self.varint()?;
        }
        for _ in 0..if with_ecn { 3 } else { 0 } {
            self.varint()?;
        }
        Some(())
    }
}
