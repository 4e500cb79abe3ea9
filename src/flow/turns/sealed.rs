//! What a client does behind its TLS hello, as far as its records show. Comes in: its segments. Goes out: what it asks for, how
//! often it begins anew, what it sends without waiting for answers.

use super::{
    ANSWERED, FINISHED, LEAST_REQUEST, OPEN_AT_ONCE, SHOOK, SHOOK_AGAIN, SHORT, TURN, Turns, USED, WAITING,
};
use crate::decode::TcpSegment;
use crate::flow::records;

impl Turns {
    /// Notes what a client does behind its hello: whether it begins the handshake anew, whether it asks for anything, and
    /// how often.
    pub(super) fn note_sealed(&mut self, segment: &TcpSegment<'_>) {
        if !records::begins_with_handshake(segment.payload) {
            let asks = segment.payload_len >= LEAST_REQUEST;
            // The first time the hello speaks for; where answers are not mirrored, turns cannot be told apart.
            if asks && self.state & (ANSWERED | WAITING) == ANSWERED {
                self.asks_sealed();
            }
            self.set(USED, self.is(USED) || asks);
            if asks || records::end_a_handshake(segment.payload) {
                self.manner |= FINISHED;
            }
            self.note_short_records(records::short(segment.payload));
            self.note_small_records(records::small(segment.payload));
            return;
        }
        self.manner |= FINISHED;
        self.set(USED, self.is(USED) || records::hold_a_request(segment.payload));
        if self.is(TURN) {
            return;
        }
        let shaken = self.state & (SHOOK | SHOOK_AGAIN);
        match shaken {
            0 => self.state |= SHOOK,
            SHOOK => self.state |= SHOOK_AGAIN,
            _ => self.served.renegotiations = self.served.renegotiations.saturating_add(1),
        }
    }

    /// Counts another request that is sealed; the first one the hello speaks for.
    pub(super) fn asks_sealed(&mut self) {
        self.served.asked = self.served.asked.saturating_add(u16::from(self.is(USED)));
        self.state |= USED;
    }

    /// Notes records that may ask for something, short as they are: behind the one that ends the handshake, whatever is
    /// answered by more than a frame that keeps a connection going did.
    fn note_short_records(&mut self, records: u16) {
        let ends_handshake = u16::from(records > 0 && self.manner & FINISHED == 0);
        if records > 0 {
            self.manner |= FINISHED;
        }
        if records > ends_handshake {
            self.manner |= SHORT;
        }
    }

    /// What is more than may be open at once was called back, or never meant to be answered.
    fn note_small_records(&mut self, records: u16) {
        if records == 0 || !self.is(ANSWERED) {
            return;
        }
        let open = u16::from(self.open).saturating_add(records);
        self.open = open.min(u16::from(OPEN_AT_ONCE)) as u8;
        self.served.hasty = self.served.hasty.saturating_add(open - u16::from(self.open));
    }
}
