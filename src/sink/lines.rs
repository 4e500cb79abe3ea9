//! Whole lines into something that may take only a part of them. Comes in: lines. Goes out: bytes, and the number of
//! lines that went out whole. A line that was cut short is finished first when writing works again: no torn lines.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use super::Delivery;

/// A writer of lines that remembers a torn one.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
    /// A line that was cut short; empty where none was.
    torn: Vec<u8>,
    /// How much of it is out.
    begun: usize,
}

/// A pipe that somebody set to non-blocking is asked again after this time: fast for a reader, idle for a processor.
const ASK_AGAIN: Duration = Duration::from_millis(5);

impl<W: Write> Lines<W> {
    pub fn new(out: W) -> Self {
        Self { out, torn: Vec::new(), begun: 0 }
    }

    /// Goes on with another output; a torn line begins anew there.
    pub fn turn_to(&mut self, out: W) -> W {
        self.begun = 0;
        std::mem::replace(&mut self.out, out)
    }

    /// Where the lines go.
    pub fn out(&self) -> &W {
        &self.out
    }

    /// Whether the end of a line is still to be written.
    pub fn is_torn(&self) -> bool {
        !self.torn.is_empty()
    }

    /// Writes lines, each with its line end. The line at which writing fails is neither delivered nor left while its end is
    /// still to come; if nothing of it was written, it is left like those behind it.
    pub fn write(&mut self, text: &[u8]) -> Delivery {
        let mut delivered = 0;
        if self.is_torn() {
            let line = std::mem::take(&mut self.torn);
            let (written, error) = self.write_bytes(line.get(self.begun..).unwrap_or_default());
            self.begun += written;
            if let Some(error) = error {
                self.torn = line;
                return Delivery { left: lines(text), error: Some(error.into()), ..Delivery::default() };
            }
            delivered = 1;
        }
        let (written, error) = self.write_bytes(text);
        let (done, left) = text.split_at_checked(written).unwrap_or((text, &[]));
        let begin = memchr::memrchr(b'\n', done).map_or(0, |end| end + 1);
        let mut owed = lines(left);
        if begin < done.len() {
            let line = text.get(begin..).unwrap_or_default();
            let end = memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1);
            self.torn = line.get(..end).unwrap_or_default().to_vec();
            self.begun = done.len() - begin;
            owed -= 1;
        }
        Delivery {
            delivered: delivered + lines(done),
            left: owed,
            error: error.map(Into::into),
            ..Delivery::default()
        }
    }

    /// The end: a line that is still torn is lost.
    pub fn finish(&mut self) -> Delivery {
        let mut last = self.write(&[]);
        if self.is_torn() {
            self.torn.clear();
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
        (delivery.delivered, delivery.left + delivery.failed, delivery.error.is_some())
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
    fn a_line_of_which_nothing_was_written_is_left_as_a_whole() {
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
            let mut ended = 0;
            for step in [disk.write(&text(&["one", "two"])), disk.write(&text(&["", "six"])), disk.finish()] {
                ended += step.delivered + step.left + step.failed;
            }
            assert_eq!(ended, 4, "room for {room}");
        }
    }

    #[test]
    fn a_torn_line_begins_anew_in_another_file() {
        let mut disk = Lines::new(Disk { room: 6, ..Disk::default() });
        assert_eq!(counts(&disk.write(&text(&["one", "two"]))), (1, 0, true));
        let old = disk.turn_to(Disk { room: 100, ..Disk::default() });
        assert_eq!(counts(&disk.write(&text(&["six"]))), (2, 0, false));
        assert_eq!((old.held, &disk.out.held[..]), (b"one\ntw".to_vec(), &b"two\nsix\n"[..]));
    }
}
