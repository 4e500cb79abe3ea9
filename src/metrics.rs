//! Counters of all that moves: plain `u64`s, each owned by one thread, merged by addition.
//! Comes in: one call per thing that moved. Goes out: sums that must balance.
//! Refuses to know what the reasons mean: a stage brings its own, as a [`Reason`].

use std::marker::PhantomData;

/// A closed set of reasons for which a stage turns something away.
pub trait Reason: Copy + 'static {
    /// Every reason, in the order in which records name them.
    const ALL: &'static [Self];

    /// The reason's place in [`Reason::ALL`].
    fn index(self) -> usize;

    /// The reason's name in records, in snake case.
    fn name(self) -> &'static str;
}

/// One counter for each reason `R`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<R> {
    counts: Box<[u64]>,
    reasons: PhantomData<R>,
}

impl<R: Reason> Tally<R> {
    /// Adds one to `reason`.
    pub fn count(&mut self, reason: R) {
        if let Some(count) = self.counts.get_mut(reason.index()) {
            *count += 1;
        }
    }

    /// Returns how often `reason` was counted.
    pub fn get(&self, reason: R) -> u64 {
        self.counts.get(reason.index()).copied().unwrap_or(0)
    }

    /// Returns the sum over all reasons.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Lists the reasons that were counted, in the order of [`Reason::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (R, u64)> + '_ {
        R::ALL.iter().map(|reason| (*reason, self.get(*reason))).filter(|(_, count)| *count > 0)
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}

impl<R: Reason> Default for Tally<R> {
    fn default() -> Self {
        Self { counts: vec![0; R::ALL.len()].into_boxed_slice(), reasons: PhantomData }
    }
}

/// What became of the packets that were read; `R` says why some were skipped.
///
/// Who reads counts [`PacketCounts::count_read`], who decodes counts one of the other two: that the sums agree
/// ([`PacketCounts::is_balanced`]) shows that no packet was lost between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketCounts<R> {
    /// Packets taken from the sources.
    pub read: u64,
    /// The bytes of those packets on the wire, link headers included.
    pub bytes: u64,
    /// Packets that went on to the flows.
    pub decoded: u64,
    /// Packets that did not, by reason.
    pub skipped: Tally<R>,
}

impl<R: Reason> PacketCounts<R> {
    /// Counts a packet as read, with its length on the wire in bytes.
    pub fn count_read(&mut self, wire_len: u32) {
        self.read += 1;
        self.bytes += u64::from(wire_len);
    }

    /// Counts a packet as decoded.
    pub fn count_decoded(&mut self) {
        self.decoded += 1;
    }

    /// Counts a packet as skipped for `reason`.
    pub fn count_skipped(&mut self, reason: R) {
        self.skipped.count(reason);
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.read += other.read;
        self.bytes += other.bytes;
        self.decoded += other.decoded;
        self.skipped.merge(&other.skipped);
    }

    /// Says whether every packet that was read was either decoded or skipped.
    pub fn is_balanced(&self) -> bool {
        self.read == self.decoded + self.skipped.total()
    }
}

impl<R: Reason> Default for PacketCounts<R> {
    fn default() -> Self {
        Self { read: 0, bytes: 0, decoded: 0, skipped: Tally::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fruit {
        Unripe,
        Rotten,
    }

    impl Reason for Fruit {
        const ALL: &'static [Self] = &[Self::Unripe, Self::Rotten];

        fn index(self) -> usize {
            self as usize
        }

        fn name(self) -> &'static str {
            match self {
                Self::Unripe => "unripe",
                Self::Rotten => "rotten",
            }
        }
    }

    fn counts(decoded: u64, rotten: u64) -> PacketCounts<Fruit> {
        let mut counts = PacketCounts::default();
        for _ in 0..decoded {
            counts.count_read(60);
            counts.count_decoded();
        }
        for _ in 0..rotten {
            counts.count_read(1514);
            counts.count_skipped(Fruit::Rotten);
        }
        counts
    }

    #[test]
    fn merging_in_either_order_gives_the_same_sums() {
        let (mut one, mut other) = (counts(3, 1), counts(5, 2));
        one.merge(&counts(5, 2));
        other.merge(&counts(3, 1));
        assert_eq!(one, other);
        assert_eq!((one.read, one.decoded, one.skipped.get(Fruit::Rotten)), (11, 8, 3));
        assert_eq!(one.bytes, 8 * 60 + 3 * 1514);
        assert!(one.is_balanced());
    }

    #[test]
    fn a_packet_that_was_read_and_forgotten_breaks_the_balance() {
        let mut counts = counts(2, 2);
        counts.count_read(60);
        assert!(!counts.is_balanced());
    }

    #[test]
    fn only_reasons_that_occurred_are_listed() {
        let listed: Vec<_> = counts(1, 4).skipped.iter().map(|(reason, n)| (reason.name(), n)).collect();
        assert_eq!(listed, [("rotten", 4)]);
    }
}
