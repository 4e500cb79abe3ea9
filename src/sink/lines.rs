//! Whole lines into something that may take only a part of them. Comes in: lines. Goes out: bytes, and the number of
//! lines that went out whole. A line that was cut short is finished first when writing works again: no torn lines.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use super::Delivery;

/// A writer of lines that remembers the rest of a torn one.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
    /// What is left of a line that was cut short.
    rest: Vec<u8>,
}

/// A pipe that somebody set to non-blocking is asked again after this time: fast for a reader, idle for a processor.
const ASK_AGAIN: Duration = Duration::from_millis(5);

impl<W: Write> Lines<W> {
    pub fn new(out: W) -> Self {
        Self { out, rest: Vec::new() }
    }

    /// Writes lines, each with its line end. The line at which writing fails counts as neither delivered nor failed while
    /// its rest is kept; if nothing of it was written, it failed like those behind it.
    pub fn write(&mut self, text: &[u8]) -> Delivery {
        let rest = std::mem::take(&mut self.rest);
        let (written, error) = self.write_bytes(&rest);
        if let Some(left) = rest.get(written..).filter(|left| !left.is_empty()) {
            self.rest = left.to_vec();
            return outcome(0, lines(text), error);
        }
        let owed = lines(&rest);
        let (written, error) = self.write_bytes(text);
        let (done, left) = text.split_at_checked(written).unwrap_or((text, &[]));
        let torn = done.last().is_some_and(|last| *last != b'\n');
        if torn {
            let end = memchr::memchr(b'\n', left).map_or(left.len(), |end| end + 1);
            self.rest = left.get(..end).unwrap_or_default().to_vec();
        }
        outcome(owed + lines(done), lines(left) - u64::from(torn), error)
    }

    /// The end: a line that is still torn is lost.
    pub fn finish(&mut self) -> Delivery {
        let mut last = self.write(&[]);
        if !self.rest.is_empty() {
            self.rest.clear();
            last.failed += 1;
        }
        if let Err(error) = self.out.flush() {
            last.error.get_or_insert(error.into());
        }
        last
    }

    /// How many bytes went out, and why not all.
    fn write_bytes(&mut self, bytes: &[u8]) -> (usize, Option<std::io::Error>) {
        let mut written = 0;
        while let Some(left) = bytes.get(written..).filter(|left| !left.is_empty()) {
            match self.out.write(left) {
                Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(ASK_AGAIN),
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }
}

/// How many lines end in `text`.
fn lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// A reader that has gone is no failure.
fn outcome(delivered: u64, failed: u64, error: Option<std::io::Error>) -> Delivery {
    let closed = error.as_ref().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe);
    Delivery {
        delivered,
        failed: if closed { 0 } else { failed },
        error: error.filter(|_| !closed).map(Into::into),
        closed,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A disk with so much room; more can be made.
    #[derive(Default)]
    struct Disk {
        held: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.held.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn text(lines: &[&str]) -> Vec<u8> {
        lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
    }

    fn counts(delivery: &Delivery) -> (u64, u64, bool) {
        (delivery.delivered, delivery.failed, delivery.error.is_some())
    }

    #[test]
    fn a_line_that_the_disk_had_no_room_for_is_finished_when_it_has() {
        let mut disk = Lines::new(Disk { room: 7, ..Disk::default() });
        assert_eq!(counts(&disk.write(&text(&["one", "two", "six"]))), (1, 1, true));
        assert_eq!(counts(&disk.write(&text(&["more"]))), (0, 1, true), "still full");
        disk.out.room = 100;
        assert_eq!(counts(&disk.write(&text(&["ten"]))), (2, 0, false));
        assert_eq!(disk.out.held, b"one\ntwo\nten\n");
    }

    #[test]
    fn a_line_of_which_nothing_was_written_is_lost_and_leaves_no_rest() {
        let mut disk = Lines::new(Disk { room: 4, ..Disk::default() });
        assert_eq!(counts(&disk.write(&text(&["one", "two"]))), (1, 1, true));
        disk.out.room = 100;
        assert_eq!(counts(&disk.write(&text(&["ten"]))), (1, 0, false));
        assert_eq!(disk.out.held, b"one\nten\n");
    }

    #[test]
    fn a_line_that_stays_torn_is_lost_at_the_end() {
        let mut disk = Lines::new(Disk { room: 2, ..Disk::default() });
        assert_eq!(counts(&disk.write(&text(&["one"]))), (0, 0, true));
        assert_eq!(counts(&disk.finish()), (0, 1, true));
    }

    #[test]
    fn every_line_is_counted_once_wherever_the_disk_is_full() {
        for room in 0..16 {
            let mut disk = Lines::new(Disk { room, ..Disk::default() });
            let (mut delivered, mut failed) = (0, 0);
            for step in [disk.write(&text(&["one", "two"])), disk.write(&text(&["", "six"])), disk.finish()] {
                delivered += step.delivered;
                failed += step.failed;
            }
            assert_eq!(delivered + failed, 4, "room for {room}");
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let delivery = Lines::new(Gone).write(&text(&["one"]));
        assert!(delivery.closed);
        assert_eq!(counts(&delivery), (0, 0, false));
    }
}
