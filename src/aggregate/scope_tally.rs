//! One worker's sums for one scope in one tick. Comes in: what moved to and from the scope. Goes out: its [`Counts`],
//! its strangers and its waits. Knows no client: those have rows of their own.

use std::net::IpAddr;

use super::sums::{Place, ScopeSum};
use super::{Callers, Cell, Count, Counts, Strangers, Waits};
use crate::flow::{End, Served, ServerEnd, Volume};
use crate::service::{Direction, Scope};

/// One worker's sums for one scope.
pub(super) struct ScopeTally {
    pub scope: Scope,
    /// Where its rows name it.
    pub place: Place,
    pub counts: Counts,
    pub strangers: Option<Strangers>,
    pub callers: Callers,
    pub waits: Option<Box<Waits>>,
    /// What of the counts the open tick's readers have been shown.
    pub shown: Counts,
    /// Where its rows' hashes begin.
    pub hash: u64,
    /// Whether it is kept who tries its ports: at the only address of a service everybody does.
    pub is_probed: bool,
    /// The end that packets reached last, and how many, before they are added to the table.
    pub end: Option<(ServerEnd, u64)>,
}

impl ScopeTally {
    /// Nothing was counted yet; its rows' hashes begin with `hash`.
    pub fn new(scope: Scope, place: Place, hash: u64) -> Self {
        Self {
            scope,
            place,
            counts: Counts::default(),
            shown: Counts::default(),
            strangers: None,
            callers: Callers::Nobody,
            waits: None,
            hash,
            is_probed: matches!(scope, Scope::Beside(_)),
            end: None,
        }
    }

    /// Counts a packet to the service from an address that has earned nothing.
    pub fn stranger(&mut self, source: IpAddr, bytes: u32) {
        self.counts[Count::PacketsIn] += 1;
        self.counts[Count::BytesIn] += u64::from(bytes);
        self.counts[Count::Unearned] += 1;
        if self.strangers.is_none() {
            self.strangers = Strangers::new();
        }
        if let Some(strangers) = &mut self.strangers {
            strangers.see(source);
        }
    }

    /// Counts a packet of the service to an address that has earned nothing.
    pub fn answers(&mut self, bytes: u32) {
        self.counts[Count::PacketsOut] += 1;
        self.counts[Count::BytesOut] += u64::from(bytes);
    }

    /// Counts what goes to the service by protocols other than TCP.
    #[inline]
    pub fn by_protocol(&mut self, protocol: u8, volume: Volume) {
        let packets = match protocol {
            TCP => return,
            UDP => {
                self.counts[Count::UdpBytesIn] += volume.bytes;
                Count::UdpIn
            }
            ICMP | ICMP6 => Count::IcmpIn,
            FRAGMENT => Count::FragmentsIn,
            _ => return,
        };
        self.counts[packets] += volume.packets;
    }

    /// Counts how the service served a client; of waits within a second on one connection their mean.
    pub fn served(&mut self, served: &Served) {
        for (count, more) in [
            (Count::LargeSent, u64::from(served.large_sent)),
            (Count::SmallSent, u64::from(served.small_sent)),
            (Count::FirstBytes, u64::from(served.first_bytes)),
            (Count::FirstByteWait, u64::from(served.wait_micros)),
            (Count::SealedTurns, u64::from(served.asked)),
            (Count::BriefAnswers, u64::from(served.brief)),
        ] {
            self.counts[count] += more;
        }
        if served.has_trouble() {
            self.troubled(served);
        }
        if let Some(mean) = served.wait_micros.checked_div(u32::from(served.first_bytes)) {
            self.waits.get_or_insert_default().add(u64::from(mean), u32::from(served.first_bytes));
            for (count, least) in [(Count::Lagging, LAGGING_MICROS), (Count::Late, LATE_MICROS)] {
                let is_late = (least..GIVEN_UP_MICROS).contains(&mean);
                self.counts[count] += if is_late { u64::from(served.first_bytes) } else { 0 };
            }
        }
    }

    #[inline(never)]
    fn troubled(&mut self, served: &Served) {
        for (count, more) in [
            (Count::LargeResent, u64::from(served.large_resent)),
            (Count::SmallResent, u64::from(served.small_resent)),
            (Count::Broken, u64::from(served.broken)),
            (Count::Unanswered, u64::from(served.unanswered)),
            (Count::Denied, u64::from(served.denied)),
            (Count::Missing, u64::from(served.missing)),
            (Count::Held, u64::from(served.held)),
            (Count::Drips, u64::from(served.drips)),
            (Count::BareHandshakes, u64::from(served.bare)),
            (Count::Renegotiations, u64::from(served.renegotiations)),
            (Count::HastyRecords, u64::from(served.hasty)),
            (Count::Released, u64::from(served.released)),
        ] {
            self.counts[count] += more;
        }
    }

    /// Counts what moved on a connection.
    pub fn moved(&mut self, to_server: &Cell, to_client: Volume) {
        for (count, more) in [
            (Count::PacketsIn, to_server.packets),
            (Count::BytesIn, to_server.bytes),
            (Count::PacketsOut, to_client.packets),
            (Count::BytesOut, to_client.bytes),
            (Count::Accesses, to_server.accesses),
            (Count::Responses, to_server.responses),
            (Count::ClientErrors, to_server.client_errors),
            (Count::ServerErrors, to_server.server_errors),
        ] {
            self.counts[count] += more;
        }
    }

    /// Counts the end of a connection.
    pub fn ended(&mut self, end: Option<End>) {
        self.counts[Count::Closed] += u64::from(end.is_some());
        self.counts[Count::Resets] += u64::from(end == Some(End::Reset(Direction::ToClient)));
    }

    /// Nothing is added any more.
    pub fn into_sum(self) -> ScopeSum {
        let Self { scope, place, hash, counts, strangers, callers, waits, .. } = self;
        ScopeSum { scope, place, hash, counts, strangers, callers, waits }
    }
}

/// The protocol numbers that are counted apart, as in [`ServerEnd::protocol`].
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const FRAGMENT: u8 = 255;

/// Who waits for half a second is not satisfied (Apdex Technical Specification 1.1, with T = 0.5 s).
const LAGGING_MICROS: u32 = 500_000;

/// An answer is late after two seconds: half of all visitors leave within three.
const LATE_MICROS: u32 = 2_000_000;

/// What is answered after so long was told as unanswered before (`PATIENCE` of `flow/turns.rs`).
const GIVEN_UP_MICROS: u32 = 10_000_000;
