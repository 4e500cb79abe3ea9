//! Segments of one direction that came before what they follow. Comes in: numbered bytes ahead of what is expected.
//! Goes out: the same in order, once the hole before them closes or is given up. The first copy of a byte stays; later
//! copies that differ are counted, never chosen. Refuses to know what the bytes mean.

use crate::time::Timestamp;

/// Segments waiting behind a hole, in order, none of them touching another's numbers.
#[derive(Debug, Default)]
pub(super) struct Early {
    parts: Vec<Part>,
    bytes: usize,
}

/// The bytes of a segment, or of what of it was new.
#[derive(Debug)]
pub(super) struct Part {
    /// The number of the first byte.
    pub at: u32,
    /// The length on the wire.
    pub len: u32,
    /// What of it was captured.
    pub bytes: Vec<u8>,
    /// When it came.
    pub came: Timestamp,
}

/// A run of numbered bytes of which the first may have been captured and the rest not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// The number of the first byte.
    pub at: u32,
    /// The length on the wire.
    pub len: u32,
    /// What of it was captured.
    pub bytes: &'a [u8],
}

/// Segments that one direction may hold: a reordering network or mirror moves packets by a few places; what waits
/// behind 64 others was lost. A QUIC client may cut its hello into dozens of frames, too.
const MAX_PARTS: usize = 64;

/// Bytes that one direction may hold: what 28 full segments carry.
const MAX_BYTES: usize = 40 * 1024;

/// How far `number` lies ahead of `from`; `None` where it lies behind (RFC 9293 section 3.4: half of the number space
/// lies behind, half ahead).
pub(super) fn ahead(number: u32, from: u32) -> Option<u32> {
    let distance = number.wrapping_sub(from);
    (distance < 1 << 31).then_some(distance)
}

impl<'a> Run<'a> {
    /// Without what lies before `number`; `None` where nothing is left.
    pub fn after(self, number: u32) -> Option<Self> {
        let Some(cut) = ahead(number, self.at) else { return Some(self) };
        let len = self.len.checked_sub(cut).filter(|len| *len > 0)?;
        let bytes = self.bytes.get(cut as usize..).unwrap_or_default();
        Some(Self { at: number, len, bytes })
    }

    /// Without what lies at `number` and behind it; `None` where nothing is left.
    pub fn before(self, number: u32) -> Option<Self> {
        let len = ahead(number, self.at)?.min(self.len);
        let bytes = &self.bytes[..self.bytes.len().min(len as usize)];
        (len > 0).then_some(Self { len, bytes, ..self })
    }

    /// The number behind its last byte.
    pub fn end(self) -> u32 {
        self.at.wrapping_add(self.len)
    }
}

impl Part {
    /// The same, borrowed.
    pub fn run(&self) -> Run<'_> {
        Run { at: self.at, len: self.len, bytes: &self.bytes }
    }
}

impl Early {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a run of `more` bytes has no place any more.
    pub fn is_full(&self, more: usize) -> bool {
        self.parts.len() >= MAX_PARTS || self.bytes + more > MAX_BYTES
    }

    /// The number of the first byte that waits.
    pub fn first(&self) -> Option<u32> {
        self.parts.first().map(|part| part.at)
    }

    /// When what waits first came.
    pub fn came(&self) -> Option<Timestamp> {
        self.parts.first().map(|part| part.came)
    }

    /// Keeps what of a run is not held yet; answers how many of its bytes differ from those held.
    pub fn keep(&mut self, run: Run<'_>, came: Timestamp) -> u64 {
        let mut rest = Some(run);
        let mut differing = 0;
        let mut at = 0;
        while let Some(run) = rest {
            let Some(part) = self.parts.get(at) else {
                self.insert(at, run, came);
                break;
            };
            let held = part.run();
            if ahead(held.at, run.at).is_some_and(|distance| distance > 0) {
                rest = run.after(held.at);
                if let Some(new) = run.before(held.at) {
                    self.insert(at, new, came);
                    at += 1;
                }
            } else {
                differing += differences(held, run);
                rest = run.after(held.end());
                at += 1;
            }
        }
        differing
    }

    fn insert(&mut self, at: usize, run: Run<'_>, came: Timestamp) {
        self.bytes += run.bytes.len();
        self.parts.insert(at, Part { at: run.at, len: run.len, bytes: run.bytes.to_vec(), came });
    }

    /// How many bytes of a run differ from those held.
    pub fn differing(&self, run: Run<'_>) -> u64 {
        let overlapping = |part: &Part| {
            let held = part.run();
            let run = run.after(held.at)?;
            Some(differences(held, run))
        };
        self.parts.iter().filter_map(overlapping).sum()
    }

    /// Takes the first part out if it begins at `next` or before.
    pub fn take(&mut self, next: u32) -> Option<Part> {
        self.parts.first().filter(|part| ahead(part.at, next).is_none_or(|distance| distance == 0))?;
        let part = self.parts.remove(0);
        self.bytes -= part.bytes.len();
        Some(part)
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// How many bytes differ where two runs overlap; `held` does not begin behind `run`.
fn differences(held: Run<'_>, run: Run<'_>) -> u64 {
    let Some(common) = held.after(run.at) else { return 0 };
    common.bytes.iter().zip(run.bytes).filter(|(one, two)| one != two).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(at: u32, bytes: &[u8]) -> Run<'_> {
        Run { at, len: bytes.len() as u32, bytes }
    }

    fn drain(early: &mut Early, mut next: u32) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(part) = early.take(next) {
            all.extend_from_slice(&part.bytes);
            next = next.wrapping_add(part.len);
        }
        all
    }

    #[test]
    fn the_first_copy_stays_and_differences_are_counted() {
        let mut early = Early::default();
        assert_eq!(early.keep(run(10, b"abcd"), Timestamp::default()), 0);
        assert_eq!(early.keep(run(8, b"..XbYd--"), Timestamp::default()), 2);
        assert_eq!(early.first(), Some(8));
        assert_eq!(drain(&mut early, 8), b"..abcd--");
        assert!(early.is_empty() && early.bytes() == 0);
    }

    #[test]
    fn numbers_wrap() {
        let mut early = Early::default();
        early.keep(run(2, b"cd"), Timestamp::default());
        early.keep(run(u32::MAX, b"zab"), Timestamp::default());
        assert_eq!(drain(&mut early, u32::MAX), b"zabcd");
    }

    proptest! {
        #[test]
        fn any_cover_of_a_text_gives_the_text(
            cuts in proptest::collection::vec((0_usize..60, 1_usize..20), 1..40),
            start in any::<u32>(),
        ) {
            let text: Vec<u8> = (0..80).collect();
            let mut early = Early::default();
            for (from, len) in &cuts {
                let differing = early.keep(run(start.wrapping_add(*from as u32), &text[*from..from + len]), Timestamp::default());
                prop_assert_eq!(differing, 0);
            }
            let covered: Vec<u8> = (0..80_u8)
                .filter(|byte| cuts.iter().any(|(from, len)| (*from..from + len).contains(&usize::from(*byte))))
                .collect();
            let mut all = Vec::new();
            while let Some(first) = early.first() {
                all.extend(drain(&mut early, first));
            }
            prop_assert_eq!(all, covered);
        }
    }
}
