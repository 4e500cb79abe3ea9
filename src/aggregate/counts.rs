//! What is counted: a fixed row of sums per scope ([`Counts`]) and a shorter one per origin ([`Cell`]).
//! All of it adds, so that order and number of workers do not matter.

use std::ops::{Index, IndexMut};

/// What a scope's sums are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// Packets to the service.
    PacketsIn,
    /// IP bytes to the service.
    BytesIn,
    /// Packets from the service.
    PacketsOut,
    /// IP bytes from the service.
    BytesOut,
    /// First SYNs.
    Attempts,
    /// Connections whose client completed the handshake.
    Opened,
    /// Of those, connections of clients seen in one direction only.
    OpenedUnproven,
    /// HTTP requests, TLS hellos and the turns behind them, and first bytes of other conversations.
    Accesses,
    /// HTTP requests.
    Requests,
    /// TLS ClientHellos.
    Hellos,
    /// Turns of clients that asked for something sealed, the first of each connection apart: its hello speaks for it.
    SealedTurns,
    /// HTTP responses.
    Responses,
    /// HTTP responses with a status from 400 to 499.
    ClientErrors,
    /// HTTP responses with a status from 500 to 599.
    ServerErrors,
    /// Packets to the service from addresses that had earned nothing.
    Unearned,
    /// Of those, packets of clients that earned state later.
    Redeemed,
    /// Segments to the service, no SYNs, of conversations that are not known.
    OutOfState,
    /// Connections that the service reset.
    Resets,
    /// Connections that ended.
    Closed,
    /// Handshakes of which one side alone was seen: a third packet without an answer, an answer without a SYN.
    OneSided,
    /// Segments with payload seen on sampled connections.
    DataSeen,
    /// Segments acknowledged and never seen on sampled connections.
    DataMissed,
    /// Attempts that the service answered with SYN-ACK, where both directions are mirrored.
    Answered,
    /// Attempts that the service refused with RST.
    Refused,
    /// Microseconds from an attempt to its answer, summed.
    AnswerWait,
    /// What was asked and had no first byte of an answer within 10 s, was cut off by the service before, or given up after
    /// 3 s.
    Unanswered,
    /// First bytes of answers.
    FirstBytes,
    /// Microseconds that they took, each 60 s at most, summed.
    FirstByteWait,
    /// Answers of less than 1,000 bytes to what was asked.
    BriefAnswers,
    /// First bytes of answers that took half a second or more, and no ten.
    Lagging,
    /// First bytes of answers that took two seconds or more, and no ten: those were told as unanswered.
    Late,
    /// The service's segments with more than 1,208 bytes of payload.
    LargeSent,
    /// Of them, retransmissions.
    LargeResent,
    /// The service's segments with less payload.
    SmallSent,
    /// Of them, retransmissions.
    SmallResent,
    /// Of what was not answered, answers that had begun.
    Broken,
    /// Connections that came to be held for 10 s: without a word, with an unfinished request, with a client that takes
    /// nothing.
    Held,
    /// Connections on which the head of a request came to drip.
    Drips,
    /// Connections on which nothing was asked for 10 s, or until they ended, behind a TLS hello that the service answered.
    BareHandshakes,
    /// Turns of clients that began the TLS handshake of a connection anew.
    Renegotiations,
    /// Small TLS records of clients beyond those that a connection may have unanswered.
    HastyRecords,
    /// Connections that are held no more; what was held and not released is held now.
    Released,
    /// Requests without a conversation: none was seen to begin.
    Strays,
    /// Of these, those whose conversation went on.
    Found,
    /// HTTP responses 401 and 403.
    Denied,
    /// HTTP responses 400 to 499 but 401, 403 and 429.
    Missing,
    /// Requests over HTTP/2 in cleartext.
    Http2Requests,
    /// Of streams, those that either side broke off (RST_STREAM).
    Http2Resets,
    /// UDP packets to the service.
    UdpIn,
    /// Their IP bytes.
    UdpBytesIn,
    /// First datagrams to ports beside the service.
    UdpProbes,
    /// Of them, those that a datagram answered.
    UdpReplies,
    /// Conversations with the service that clients began with an Initial of QUIC.
    Initials,
    /// Of them, those that the service answered.
    InitialsAnswered,
    /// ICMP packets to the service.
    IcmpIn,
    /// Fragments to the service.
    FragmentsIn,
    /// SYN-ACKs to ports beside the service, unasked, from ports of servers.
    UnaskedSynAcks,
    /// Datagrams to the service, unasked, from the ports of services that amplify.
    Reflected,
    /// Their IP bytes.
    ReflectedBytes,
}

const COUNTS: usize = Count::ReflectedBytes as usize + 1;

/// Which directions of a service's conversations the mirror shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sides {
    /// Both.
    Both,
    /// Only packets to the service.
    ToServer,
    /// Only packets from the service.
    ToClient,
}

impl Sides {
    /// Whether one direction is missing.
    pub const fn is_one_way(self) -> bool {
        !matches!(self, Sides::Both)
    }
}

/// A scope's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts([u64; COUNTS]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; COUNTS])
    }
}

impl Index<Count> for Counts {
    type Output = u64;
    #[inline]
    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Counts {
    #[inline]
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.0[count as usize]
    }
}

impl Counts {
    /// Adds another row.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.wrapping_add(*more);
        }
    }

    /// Takes away a row that was added before.
    pub fn remove(&mut self, other: &Self) {
        for (sum, less) in self.0.iter_mut().zip(&other.0) {
            // Whatever was added, wrapped or not, is taken away to the bit.
            *sum = sum.wrapping_sub(*less);
        }
    }

    /// Connection attempts whose client never completed the handshake, though it was not refused. Where the service's
    /// packets are not seen, a third packet of the client's is as much as can be had.
    pub fn half_open(&self) -> u64 {
        let answers_seen = self[Count::PacketsOut] > 0;
        let acknowledged = if answers_seen { 0 } else { self[Count::OneSided] };
        self[Count::Attempts].saturating_sub(self[Count::Opened].max(acknowledged) + self[Count::Refused])
    }

    /// What was answered, as far as it shows: all of it, where the end of an answer can be told.
    pub fn served(&self) -> u64 {
        // What is encrypted has no responses that could be read, and first bytes all the same.
        self[Count::Responses].max(self[Count::FirstBytes]).saturating_sub(self[Count::Broken])
    }

    /// Which directions these packets show; `None` where no conversation tells. One direction is missing where clients
    /// carry on conversations and not one packet goes the other way: a service that is only silent carries on none.
    pub fn sides(&self) -> Option<Sides> {
        let one_sided = self[Count::OpenedUnproven] + self[Count::OneSided];
        if self[Count::Opened] > self[Count::OpenedUnproven] {
            return Some(Sides::Both);
        }
        match (self[Count::PacketsIn], self[Count::PacketsOut]) {
            _ if one_sided == 0 => None,
            (_, 0) => Some(Sides::ToServer),
            (0, _) => Some(Sides::ToClient),
            _ => Some(Sides::Both),
        }
    }

    /// Conversations of which one side alone is seen while not one packet goes the other way: by their handshakes or by what is
    /// said on them, whichever are more.
    pub fn one_sided(&self) -> u64 {
        match self.sides() {
            Some(sides) if sides.is_one_way() => self[Count::OneSided].max(self[Count::OpenedUnproven]),
            _ => 0,
        }
    }

    /// Attempts that the service did not answer, refused ones among them.
    pub fn probes(&self) -> u64 {
        self[Count::Attempts].saturating_sub(self[Count::Answered])
    }

    /// First datagrams beside the service that no datagram answered.
    pub fn udp_probes(&self) -> u64 {
        self[Count::UdpProbes].saturating_sub(self[Count::UdpReplies])
    }

    /// Initials of QUIC that the service did not answer.
    pub fn initials_ignored(&self) -> u64 {
        self[Count::Initials].saturating_sub(self[Count::InitialsAnswered])
    }

    /// Requests that belong to no conversation.
    pub fn strays(&self) -> u64 {
        self[Count::Strays].saturating_sub(self[Count::Found])
    }

    /// Whether most of what is asked is sealed.
    pub fn are_sealed(&self) -> bool {
        let sealed = self[Count::Hellos] + self[Count::SealedTurns];
        self[Count::Hellos] > 0 && 2 * sealed >= self[Count::Accesses]
    }

    /// Packets from addresses that never earned state.
    pub fn unearned(&self) -> u64 {
        self[Count::Unearned].saturating_sub(self[Count::Redeemed])
    }

    /// The sums in the order of [`Count`].
    pub fn values(&self) -> &[u64] {
        &self.0
    }
}

/// An origin's sums: what a source, prefix or network did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Packets to the service.
    pub packets: u64,
    /// IP bytes to the service.
    pub bytes: u64,
    /// Completed connections.
    pub connections: u64,
    /// HTTP requests, TLS hellos, first bytes of other conversations.
    pub accesses: u64,
    /// HTTP requests.
    pub requests: u64,
    /// HTTP responses to them.
    pub responses: u64,
    /// Responses with a status from 400 to 499.
    pub client_errors: u64,
    /// Responses with a status from 500 to 599.
    pub server_errors: u64,
    /// Microseconds to the first bytes of answers, each 60 s at most, summed.
    pub wait_us: u64,
    /// First bytes of answers.
    pub first_bytes: u32,
    /// What was asked and had no answer.
    pub unanswered: u32,
    /// Responses 401 and 403.
    pub denied: u32,
    /// Responses 400 to 499 but 401, 403 and 429.
    pub missing: u32,
    /// Connections that came to be held.
    pub held: u32,
    /// Of these, those of which a request is drawn out.
    pub drawn_out: u32,
    /// Connections on which the head of a request came to drip.
    pub drips: u32,
    /// Connections that are held no more.
    pub released: u32,
    /// Streams of HTTP/2 that were broken off.
    pub resets: u32,
    /// Connections that ended behind a TLS hello that the service answered, and nothing was asked.
    pub bare: u32,
    /// Turns that began the TLS handshake of a connection anew.
    pub renegotiations: u32,
    /// Small TLS records beyond those that a connection may have unanswered.
    pub hasty: u32,
}

impl Cell {
    /// Adds another row.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.connections += other.connections;
        self.accesses += other.accesses;
        self.requests += other.requests;
        self.responses += other.responses;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.wait_us += other.wait_us;
        // 2^32 of one source are not believed.
        self.first_bytes = self.first_bytes.wrapping_add(other.first_bytes);
        self.unanswered = self.unanswered.wrapping_add(other.unanswered);
        self.denied = self.denied.wrapping_add(other.denied);
        self.missing = self.missing.wrapping_add(other.missing);
        self.held = self.held.wrapping_add(other.held);
        self.drawn_out = self.drawn_out.wrapping_add(other.drawn_out);
        self.drips = self.drips.wrapping_add(other.drips);
        self.released = self.released.wrapping_add(other.released);
        self.resets = self.resets.wrapping_add(other.resets);
        self.bare = self.bare.wrapping_add(other.bare);
        self.renegotiations = self.renegotiations.wrapping_add(other.renegotiations);
        self.hasty = self.hasty.wrapping_add(other.hasty);
    }

    /// Takes away a row that was added before.
    pub fn remove(&mut self, other: &Self) {
        self.packets = self.packets.saturating_sub(other.packets);
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.connections = self.connections.saturating_sub(other.connections);
        self.accesses = self.accesses.saturating_sub(other.accesses);
        self.requests = self.requests.saturating_sub(other.requests);
        self.responses = self.responses.saturating_sub(other.responses);
        self.client_errors = self.client_errors.saturating_sub(other.client_errors);
        self.server_errors = self.server_errors.saturating_sub(other.server_errors);
        self.wait_us = self.wait_us.saturating_sub(other.wait_us);
        self.first_bytes = self.first_bytes.saturating_sub(other.first_bytes);
        self.unanswered = self.unanswered.saturating_sub(other.unanswered);
        self.denied = self.denied.saturating_sub(other.denied);
        self.missing = self.missing.saturating_sub(other.missing);
        self.held = self.held.saturating_sub(other.held);
        self.drawn_out = self.drawn_out.saturating_sub(other.drawn_out);
        self.drips = self.drips.saturating_sub(other.drips);
        self.released = self.released.saturating_sub(other.released);
        self.resets = self.resets.saturating_sub(other.resets);
        self.bare = self.bare.saturating_sub(other.bare);
        self.renegotiations = self.renegotiations.saturating_sub(other.renegotiations);
        self.hasty = self.hasty.saturating_sub(other.hasty);
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_taken_away() {
        let mut sum = Counts::default();
        let mut one = Counts::default();
        one[Count::Attempts] = 5;
        one[Count::Opened] = 2;
        sum.merge(&one);
        sum.merge(&one);
        assert_eq!(sum.half_open(), 6);
        sum.remove(&one);
        assert_eq!(sum, one);
    }

    #[test]
    fn conversations_are_one_sided_where_not_one_packet_goes_the_other_way() {
        let mut counts = Counts::default();
        for (count, is) in [(Count::PacketsIn, 30), (Count::Attempts, 6), (Count::OneSided, 5)] {
            counts[count] = is;
        }
        (counts[Count::Opened], counts[Count::OpenedUnproven]) = (4, 4);
        assert_eq!(counts.one_sided(), 5);
        counts[Count::PacketsOut] = 1;
        assert_eq!(counts.one_sided(), 0);
    }
}
