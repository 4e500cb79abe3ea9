//! What the conversations of one shard share: room for what is not whole yet, counts of what went wrong, and state
//! that one conversation has no more use for and the next one takes over.

use super::Place;
use super::proxy::TrustedProxies;
use super::talk::Talk;
use crate::flow::Shed;

/// The room of one shard.
#[derive(Debug)]
pub(in crate::flow) struct Room {
    used: usize,
    most: usize,
    counts: RoomCounts,
    trusted: TrustedProxies,
    shed: Shed,
    #[allow(clippy::vec_box, reason = "a conversation takes the box over as it is")]
    spare: Vec<Box<Talk>>,
    /// For a message that has to be put together from several records.
    pub(super) scratch: Vec<u8>,
}

/// What could not be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::flow) struct RoomCounts {
    /// Beginnings that had no room.
    pub refused: u64,
    /// Holes in what somebody wanted to read that did not close.
    pub gaps: u64,
    /// Bytes that came twice and differed.
    pub differing: u64,
}

/// Talks that wait to be taken over; most conversations are between two exchanges, so few are in use at a time.
const MAX_SPARE: usize = 8;

impl Room {
    /// Room for `most` bytes; `trusted` are the proxies that are believed when they name their clients.
    pub fn new(most: usize, trusted: TrustedProxies) -> Self {
        Self {
            used: 0,
            most,
            counts: RoomCounts::default(),
            trusted,
            shed: Shed::default(),
            spare: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// So much is left out from now on.
    pub fn shed(&mut self, shed: Shed) {
        self.shed = shed;
    }

    /// What is left out for now.
    #[inline]
    pub fn sheds(&self) -> Shed {
        self.shed
    }

    /// Believes these proxies from now on.
    pub fn trust(&mut self, proxies: TrustedProxies) {
        self.trusted = proxies;
    }

    /// What could not be heard so far.
    pub fn counts(&self) -> RoomCounts {
        self.counts
    }

    /// The proxies that are believed.
    pub fn trusted(&self) -> &TrustedProxies {
        &self.trusted
    }

    /// Bytes in use.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Takes room for `bytes`; answers whether there was any.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.used + bytes <= self.most;
        if fits {
            self.used += bytes;
        } else {
            self.counts.refused += 1;
        }
        fits
    }

    /// Gives room back.
    pub(super) fn give(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub(super) fn note_gap(&mut self) {
        self.counts.gaps += 1;
    }

    pub(super) fn note_differing(&mut self, bytes: u64) {
        self.counts.differing += bytes;
    }

    /// A talk whose directions stand at these places.
    pub(super) fn talk(&mut self, at: [Place; 2]) -> Box<Talk> {
        let mut talk = self.spare.pop().unwrap_or_default();
        talk.begin(at);
        talk
    }

    /// Takes over a talk that is over, and the room it held.
    pub(super) fn take_back(&mut self, mut talk: Box<Talk>) {
        self.give(talk.clear());
        if self.spare.len() < MAX_SPARE {
            self.spare.push(talk);
        }
    }
}
