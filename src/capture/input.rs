//! One input's bytes, read in large blocks and lent as contiguous slices.
//! Comes in: anything that reads. Goes out: the next bytes, whole across block borders, and their offset.
//! Refuses to know what the bytes mean, and to hold more of them than the largest record needs.

use std::io::{self, ErrorKind, Read};

/// The largest packet believed, in bytes: a super-frame of a network card has at most 512 KiB, so 16 MiB is damage
/// or a format of no use here, and a hostile length costs no more than that.
pub(super) const MAX_PACKET: usize = 16 << 20;

/// The largest contiguous piece: the largest packet with its headers and options.
pub(super) const MAX_PIECE: usize = MAX_PACKET + (64 << 10);

/// How the blocks are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// A whole block before the first byte is lent, for files: few reads, and the end of a small file is known early.
    WholeBlocks,
    /// As much as is asked for, for pipes and devices: a packet that has arrived never waits for the next.
    AsItComes,
}

/// How an input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Bytes of a block.
    pub block: usize,
    /// How blocks are filled.
    pub pace: Pace,
}

/// A block reader. Slices that [`Input::at`] lends stay in place until the next [`Input::ahead`] or [`Input::skip`].
pub(super) struct Input {
    /// `None` when the end was reached: the descriptor is given back at once.
    source: Option<Box<dyn Read + Send>>,
    /// Why reading stopped, told once what was read before it is used up.
    failure: Option<io::Error>,
    reading: Reading,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The input's offset at which the buffer begins.
    base: u64,
}

impl Input {
    /// An input of which `head` was read already.
    pub(super) fn new(head: &[u8], source: Box<dyn Read + Send>, reading: Reading) -> Self {
        let mut buffer = vec![0; reading.block.clamp(head.len(), MAX_PIECE)];
        let end = head.len();
        if let Some(front) = buffer.get_mut(..end) {
            front.copy_from_slice(head);
        }
        Self { source: Some(source), failure: None, reading, buffer, start: 0, end, base: 0 }
    }

    /// The offset of the next byte in the input, decompressed.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Where in the buffer the next byte lies, for a later [`Input::at`].
    pub(super) fn position(&self) -> usize {
        self.start
    }

    /// The unread bytes that are held.
    #[inline]
    pub(super) fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The unread bytes: at least `need` of them unless the input ends before.
    #[inline]
    pub(super) fn ahead(&mut self, need: usize) -> io::Result<&[u8]> {
        if self.end - self.start < need {
            self.refill(need)?;
        }
        Ok(self.held())
    }

    /// Moves past `count` unread bytes, or all if there are fewer.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// The `len` bytes at `position` of the buffer.
    #[inline]
    pub(super) fn at(&self, position: usize, len: usize) -> &[u8] {
        self.buffer.get(position..position.saturating_add(len)).unwrap_or_default()
    }

    /// Moves past `count` bytes without holding them; false if the input ends before. What is left of them where an
    /// error comes before is still counted.
    pub(super) fn skip(&mut self, count: &mut u64) -> io::Result<bool> {
        while *count > 0 {
            let held = self.ahead(1)?.len();
            if held == 0 {
                return Ok(false);
            }
            let step = usize::try_from(*count).unwrap_or(usize::MAX).min(held);
            self.consume(step);
            *count -= step as u64;
        }
        Ok(true)
    }

    /// Reads until `need` bytes are held or the input ends. Where nothing came for a while
    /// ([`ErrorKind::WouldBlock`]), what is held stays, and may be asked for again.
    #[cold]
    fn refill(&mut self, need: usize) -> io::Result<()> {
        let need = need.min(MAX_PIECE);
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < need || (self.reading.pace == Pace::WholeBlocks && self.end < self.buffer.len()) {
            if self.end == self.buffer.len() {
                // Doubling only when full: memory follows what was read, never what a length field claims.
                self.buffer.resize((self.buffer.len() * 2).clamp(1, MAX_PIECE), 0);
            }
            if self.read_once() == 0 {
                break;
            }
        }
        match self.failure.take_if(|_| self.end < need) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// One read behind what is held; 0 when nothing more will come, or nothing for now.
    fn read_once(&mut self) -> usize {
        let (Some(source), Some(room)) = (self.source.as_mut(), self.buffer.get_mut(self.end..)) else {
            return 0;
        };
        let read = loop {
            match source.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let (count, may_go_on) = match read {
            Ok(count) => (count.min(room.len()), count > 0),
            Err(error) => {
                let comes_later = error.kind() == ErrorKind::WouldBlock;
                self.failure = Some(error);
                (0, comes_later)
            }
        };
        if !may_go_on {
            self.source = None;
        }
        self.end += count;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives three bytes a read, then fails or ends.
    struct Drip {
        left: Vec<u8>,
        failure: Option<ErrorKind>,
    }

    impl Read for Drip {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let count = self.left.len().min(3).min(room.len());
            if count == 0 {
                return self.failure.map_or(Ok(0), |kind| Err(kind.into()));
            }
            let rest = self.left.split_off(count);
            room[..count].copy_from_slice(&self.left);
            self.left = rest;
            Ok(count)
        }
    }

    fn drip(len: u8, failure: Option<ErrorKind>, pace: Pace) -> Input {
        let source = Drip { left: (4..len).collect(), failure };
        Input::new(&[0, 1, 2, 3], Box::new(source), Reading { block: 8, pace })
    }

    #[test]
    fn pieces_are_whole_across_blocks_and_offsets_go_on() {
        for pace in [Pace::WholeBlocks, Pace::AsItComes] {
            let mut input = drip(50, None, pace);
            let mut seen = Vec::new();
            for step in 0..10_usize {
                assert_eq!(input.offset(), step as u64 * 5);
                let ahead = input.ahead(5).unwrap();
                seen.extend_from_slice(&ahead[..5]);
                input.consume(5);
            }
            assert_eq!(seen, (0..50).collect::<Vec<u8>>());
            assert!(input.ahead(1).unwrap().is_empty());
        }
    }

    #[test]
    fn memory_follows_what_was_read_not_what_was_asked() {
        let mut input = drip(50, None, Pace::AsItComes);
        assert_eq!(input.ahead(MAX_PIECE).unwrap().len(), 50);
        assert!(input.buffer.len() <= 128, "{} bytes held for 50", input.buffer.len());
    }

    #[test]
    fn a_failing_read_comes_after_what_was_good() {
        for pace in [Pace::WholeBlocks, Pace::AsItComes] {
            let mut input = drip(10, Some(ErrorKind::InvalidData), pace);
            assert!(input.ahead(10).unwrap().len() >= 10);
            input.consume(10);
            assert_eq!(input.ahead(1).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_pipe_is_not_asked_for_more_than_is_needed() {
        let mut input = drip(50, Some(ErrorKind::WouldBlock), Pace::AsItComes);
        assert_eq!(input.ahead(5).unwrap().len(), 7, "one read of three bytes was enough");
    }

    #[test]
    fn skipping_holds_no_more_than_a_block() {
        let mut input = Input::new(
            &[],
            Box::new(io::repeat(7).take(5 << 20)),
            Reading { block: 1 << 10, pace: Pace::WholeBlocks },
        );
        assert!(input.skip(&mut ((5 << 20) - 1)).unwrap());
        assert_eq!(input.ahead(1).unwrap(), [7]);
        assert!(!input.skip(&mut 2).unwrap());
        assert_eq!(input.buffer.len(), 1 << 10);
    }
}
