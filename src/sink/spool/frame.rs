//! Records in a segment: each behind a mark, its length, its number and a CRC-32C of all three. Comes in: bytes of a
//! segment, whatever became of them. Goes out: the records that are whole. What is damaged is stepped over to the next
//! mark behind which a record is whole.
//!
//! ```text
//! mark 4 | length 4 | number 8 | checksum 4 | payload …     numbers are little-endian
//! ```

use std::ops::Range;

/// No byte of it occurs in UTF-8, so none occurs in a payload.
const MARK: [u8; 4] = [0xff, 0xfe, 0xf5, 0xc0];

/// What stands before a payload.
pub const HEAD: usize = 20;

/// The longest payload: far beyond any alert, and little enough to be read at once.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// No spool gets there by counting.
pub const MAX_NUMBER: u64 = 1 << 62;

/// Marks without a record behind them that are tried in one reading before the rest is given up. A hostile file may have
/// one in every fourth byte.
const MAX_TRIES: usize = 1_000;

/// Adds a record to `out`.
pub fn write(out: &mut Vec<u8>, number: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let number = number.to_le_bytes();
    out.extend(MARK);
    out.extend(length);
    out.extend(number);
    out.extend(checksum(length, number, payload).to_le_bytes());
    out.extend(payload);
}

fn checksum(length: [u8; 4], number: [u8; 8], payload: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&length), &number);
    crc32c::crc32c_append(head, payload)
}

/// A record within the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number in the spool.
    pub number: u64,
    /// Where its payload stands.
    pub payload: Range<usize>,
}

/// Reads records one behind the other.
#[derive(Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    /// Whether the segment ends where the bytes do.
    last: bool,
    at: usize,
    /// Stretches that held no record.
    damaged: u64,
    tries: usize,
}

/// What stands at a place.
enum Found {
    Frame(Frame),
    /// More bytes are needed to tell.
    Short,
    Nothing,
}

impl<'a> Frames<'a> {
    /// Reads bytes of a segment; `last` says whether no more follow.
    pub fn new(bytes: &'a [u8], last: bool) -> Self {
        Self { bytes, last, at: 0, damaged: 0, tries: 0 }
    }

    /// How many bytes are read for good: the next reading goes on behind them.
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// How many stretches were stepped over.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next place behind `at` where a record is whole, or may be with more bytes.
    fn resume(&mut self) -> usize {
        self.damaged += 1;
        let mut at = self.at + 1;
        while let Some(rest) = self.bytes.get(at..)
            && let Some(offset) = memchr::memmem::find(rest, &MARK)
            && self.tries < MAX_TRIES
        {
            at += offset;
            match found(self.bytes, at) {
                Found::Frame(_) => return at,
                Found::Short if !self.last => return at,
                _ => {}
            }
            self.tries += 1;
            at += 1;
        }
        // A mark may be cut by the end of what was read.
        let keep = if self.last || self.tries >= MAX_TRIES { 0 } else { MARK.len() - 1 };
        self.bytes.len().saturating_sub(keep).max(self.at + 1).min(self.bytes.len())
    }
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        while self.at < self.bytes.len() {
            match found(self.bytes, self.at) {
                Found::Frame(frame) => {
                    self.at = frame.payload.end;
                    return Some(frame);
                }
                Found::Short if !self.last => return None,
                _ => self.at = self.resume(),
            }
        }
        None
    }
}

fn found(bytes: &[u8], at: usize) -> Found {
    let rest = bytes.get(at..).unwrap_or_default();
    let begun = rest.len().min(MARK.len());
    if rest.get(..begun) != MARK.get(..begun) {
        return Found::Nothing;
    }
    let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else {
        return Found::Short;
    };
    let [_, _, _, _, a, b, c, d, number @ .., e, f, g, h] = *head;
    let (length, number): ([u8; 4], [u8; 8]) = ([a, b, c, d], number);
    let payload_len = u32::from_le_bytes(length) as usize;
    if payload_len > MAX_PAYLOAD {
        return Found::Nothing;
    }
    let Some(payload) = rest.get(..payload_len) else {
        return Found::Short;
    };
    if checksum(length, number, payload) != u32::from_le_bytes([e, f, g, h]) {
        return Found::Nothing;
    }
    let (begin, number) = (at + HEAD, u64::from_le_bytes(number));
    match number {
        1..=MAX_NUMBER => Found::Frame(Frame { number, payload: begin..begin + payload_len }),
        _ => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(payloads: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        payloads.iter().zip(1..).for_each(|(payload, number)| write(&mut out, number, payload.as_bytes()));
        out
    }

    fn read(bytes: &[u8]) -> (Vec<u64>, u64) {
        let mut frames = Frames::new(bytes, true);
        let numbers = frames.by_ref().map(|frame| frame.number).collect();
        (numbers, frames.damaged())
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = segment(&["one", "", "three"]);
        let read: Vec<_> = Frames::new(&bytes, true).map(|frame| bytes[frame.payload].to_vec()).collect();
        assert_eq!(read, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn cut_anywhere_the_records_before_the_cut_are_read() {
        let bytes = segment(&["one", "two", "three"]);
        let ends = [23, 46, 71];
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let (numbers, damaged) = read(&bytes[..cut]);
            assert_eq!(numbers.len(), whole, "cut at {cut}");
            assert_eq!(damaged > 0, cut > 0 && !ends.contains(&cut), "cut at {cut}");
            let mut frames = Frames::new(&bytes[..cut], false);
            assert_eq!(frames.by_ref().count(), whole, "more may come behind {cut}");
            assert_eq!((frames.consumed(), frames.damaged()), ([0, 23, 46, 71][whole], 0));
        }
    }

    #[test]
    fn a_changed_byte_costs_one_record() {
        let bytes = segment(&["one", "two", "three"]);
        for at in 0..bytes.len() {
            let mut wounded = bytes.clone();
            wounded[at] ^= 0x55;
            let (numbers, damaged) = read(&wounded);
            let hit = if at < 23 {
                1
            } else if at < 46 {
                2
            } else {
                3
            };
            let left: Vec<u64> = (1..=3).filter(|number| *number != hit).collect();
            assert_eq!((numbers, damaged), (left, 1), "byte {at}");
        }
    }

    #[test]
    fn what_is_no_segment_ends() {
        let hostile: Vec<u8> = MARK.iter().copied().cycle().take(1 << 16).collect();
        assert!(read(&hostile).0.is_empty());
        assert_eq!(read(&[0; 4_096]), (vec![], 1));
        let mut frames = Frames::new(&hostile, false);
        assert_eq!(frames.by_ref().count(), 0);
    }
}
