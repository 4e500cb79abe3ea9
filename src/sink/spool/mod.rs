//! What a sink still has to deliver, on the disk. Comes in: records of incidents. Goes out: the same records, in their
//! order, until somebody says that they were delivered. What [`Spool::append`] took survives the process and the power:
//! it is delivered at least once. Knows nothing of where records go.
//!
//! A spool is a folder of segments ([`frame`]) and a cursor. A segment that was delivered whole is removed; after a crash,
//! or an error in writing, a new one is begun, so that nothing is ever written behind damage.

mod cursor;
mod disk;
mod frame;
mod recover;
mod rejects;
mod stored;

use std::collections::VecDeque;
use std::io;

use super::{EventType, Record};
use crate::detect::rule::Level;

pub use disk::{Disk, Folder};
use frame::{Frames, HEAD, MAX_NUMBER, MAX_PAYLOAD};

/// How large a spool may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All segments together, in bytes.
    pub total: u64,
    /// Bytes after which another segment is begun.
    pub segment: u64,
}

impl Limits {
    /// Limits for a spool of so many bytes. Segments are small enough that removing one loses little.
    pub fn of(total: u64) -> Self {
        Self { total, segment: (total / 64).clamp(64 << 10, 4 << 20) }
    }
}

/// What became of records that were to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// They are on the disk.
    pub kept: u64,
    /// There was no room for their severity, or they are longer than any record may be.
    pub refused: u64,
    /// Older ones that had to go to make room.
    pub displaced: u64,
}

/// What was found and mended when a spool was opened, and since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Stretches of segments that held no whole record, and segments that could not be read.
    pub stretches: u64,
    /// Whether the cursor was unreadable: what the segments hold is delivered again.
    pub cursor: bool,
}

/// A record with its number in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// The record.
    pub record: Record,
}

/// A spool on a disk.
#[derive(Debug)]
pub struct Spool<D> {
    disk: D,
    limits: Limits,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// Whether the last segment takes further records.
    writing: bool,
    next_segment: u64,
    /// The first segment of this run: those before were looked through when the spool was opened.
    first_own: u64,
    next_number: u64,
    /// The last record that is known to be on the disk.
    newest: u64,
    /// The last record that was delivered.
    cursor: u64,
    /// Where reading goes on: a segment and an offset in it.
    reading: (u64, u64),
    /// Readings that failed one after the other.
    unread: u32,
    damage: Damage,
    rejects: rejects::Rejects,
}

/// A file of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// Which one it is; they count up.
    id: u64,
    /// The number of its last record.
    last: u64,
    /// Its length, as far as it was acknowledged.
    bytes: u64,
}

impl Segment {
    fn name(&self) -> String {
        name(self.id)
    }
}

fn name(id: u64) -> String {
    format!("segment-{id:010}")
}

/// The last eighth is for records of high severity: whoever brings about many of low severity must not displace them.
const RESERVED: u64 = 8;

/// Times that a segment is read before it is put aside.
const READINGS: u32 = 5;

/// Read at once: the longest record and more, so that reading always gets on.
const WINDOW: usize = 2 * MAX_PAYLOAD;

impl<D: Disk> Spool<D> {
    /// Brings records to the disk, in their order. When it answers, those that are `kept` survive.
    ///
    /// # Errors
    /// Where the disk fails. None of them is acknowledged then, though some may be found after a crash.
    pub fn append(&mut self, records: &[Record]) -> io::Result<Appended> {
        let (mut outcome, mut frames) = (Appended::default(), Vec::new());
        let first = self.next_number;
        for record in records {
            let payload = stored::encode(record);
            let size = (HEAD + payload.len()) as u64;
            let fits = payload.len() <= MAX_PAYLOAD
                && self.make_room(frames.len() as u64 + size, record.severity, &mut outcome);
            if fits {
                frame::write(&mut frames, self.next_number, &payload);
                self.next_number += 1;
            } else {
                outcome.refused += 1;
            }
        }
        outcome.kept = self.next_number - first;
        if outcome.kept > 0 {
            self.write(&frames)?;
        }
        Ok(outcome)
    }

    /// Makes room for so many bytes more; answers whether there is room for this severity.
    fn make_room(&mut self, bytes: u64, severity: Option<Level>, outcome: &mut Appended) -> bool {
        let Limits { total, .. } = self.limits;
        if severity < Some(Level::High) {
            return self.bytes() + bytes <= total - total / RESERVED;
        }
        while self.bytes() + bytes > total {
            let Some(oldest) = self.segments.front().copied() else { return false };
            outcome.displaced += oldest.last.saturating_sub(self.cursor);
            self.cursor = self.cursor.max(oldest.last);
            self.remove_oldest();
        }
        true
    }

    /// Numbers are never used twice: records of a write that failed may be found after a crash, under theirs.
    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let written = self.segment_to_write().and_then(|segment| {
            self.disk.append(&segment.name(), frames)?;
            self.disk.sync(&segment.name())
        });
        if let Err(error) = written {
            self.give_up_writing();
            return Err(error);
        }
        self.newest = self.next_number - 1;
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes += frames.len() as u64;
            segment.last = self.newest;
        }
        Ok(())
    }

    /// What the last segment holds now is unknown, and a second synchronisation would not tell: nothing more goes into it.
    fn give_up_writing(&mut self) {
        let empty = self.segments.back().is_some_and(|last| last.bytes == 0);
        if self.writing
            && empty
            && let Some(last) = self.segments.pop_back()
        {
            // A disk that stays full must not gather empty files.
            let _ = self.disk.remove(&last.name());
        }
        self.writing = false;
    }

    /// The last segment, or a new one where that is full or was given up.
    fn segment_to_write(&mut self) -> io::Result<Segment> {
        if let Some(last) = self.segments.back()
            && self.writing
            && last.bytes < self.limits.segment
        {
            return Ok(*last);
        }
        let segment = Segment { id: self.next_segment, last: 0, bytes: 0 };
        self.next_segment += 1;
        self.segments.push_back(segment);
        self.writing = true;
        self.disk.create(&segment.name())?;
        self.disk.sync_folder()?;
        Ok(segment)
    }

    /// The next records that were not handed out yet, up to `most` of them and one reading's worth; none where all were.
    ///
    /// # Errors
    /// Where a segment cannot be read. The next call tries again, a few times; then the segment is put aside.
    pub fn next(&mut self, most: usize) -> io::Result<Vec<Entry>> {
        while let Some(segment) = self.segment_to_read() {
            let (id, offset) = self.reading;
            let left = usize::try_from(segment.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
            let bytes = match self.disk.read(&segment.name(), offset, left.min(WINDOW)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.cannot_read(segment);
                    return Err(error);
                }
            };
            self.unread = 0;
            // Fewer than were asked for: somebody has shortened the file.
            let at_end = bytes.len() == left || bytes.len() < WINDOW;
            let mut frames = Frames::new(&bytes, at_end);
            let entries = self.entries(&mut frames, &bytes, most);
            if id >= self.first_own {
                self.damage.stretches += frames.damaged();
            }
            let all = at_end && frames.consumed() == bytes.len();
            self.reading = (id, if all { segment.bytes } else { offset + frames.consumed() as u64 });
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }

    /// What lacked for a moment (descriptors, say) is there later; a bad place on the disk must not hold what follows.
    fn cannot_read(&mut self, segment: Segment) {
        self.unread += 1;
        if self.unread < READINGS {
            return;
        }
        self.unread = 0;
        self.damage.stretches += 1;
        self.writing &= !self.is_written_to(segment.id);
        self.segments.retain(|held| held.id != segment.id);
        self.reading = (segment.id + 1, 0);
        let _ = self.disk.rename(&segment.name(), &format!("{}.unreadable", segment.name()));
    }

    /// The segment in which there is something to read; moves on where one was read or has gone.
    fn segment_to_read(&mut self) -> Option<Segment> {
        let (id, offset) = self.reading;
        let segment = self.segments.iter().find(|segment| segment.id >= id).copied()?;
        if segment.id > id {
            self.reading = (segment.id, 0);
            return self.segment_to_read();
        }
        if offset < segment.bytes {
            return Some(segment);
        }
        if self.is_written_to(id) {
            return None;
        }
        self.reading = (id + 1, 0);
        self.segment_to_read()
    }

    fn is_written_to(&self, id: u64) -> bool {
        self.writing && self.segments.back().is_some_and(|last| last.id == id)
    }

    fn entries(&mut self, frames: &mut Frames<'_>, bytes: &[u8], most: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        while entries.len() < most
            && let Some(found) = frames.next()
        {
            if found.number <= self.cursor {
                continue;
            }
            match bytes.get(found.payload).and_then(stored::decode) {
                Some(record) => entries.push(Entry { number: found.number, record }),
                None => self.damage.stretches += 1,
            }
        }
        entries
    }

    /// Notes that everything up to this number was delivered, and removes what nobody needs any more.
    ///
    /// # Errors
    /// Where the cursor cannot be written: what was delivered may be delivered again after a restart.
    pub fn commit(&mut self, number: u64) -> io::Result<()> {
        if number <= self.cursor {
            return Ok(());
        }
        self.cursor = number;
        let written = cursor::write(&mut self.disk, number);
        while let Some(oldest) = self.segments.front()
            && oldest.last <= self.cursor
            && !self.is_written_to(oldest.id)
        {
            self.remove_oldest();
        }
        written
    }

    /// Hands out again what was handed out and not committed.
    pub fn rewind(&mut self) {
        self.reading = (0, 0);
    }

    /// Puts a record aside that its receiver will never take, with the reason, on the disk.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub fn reject(&mut self, record: &Record, reason: &str) -> io::Result<()> {
        self.rejects.add(&mut self.disk, record, reason)
    }

    /// Removing frees room; where the file stays, it is at least not counted again in this run.
    fn remove_oldest(&mut self) {
        let Some(oldest) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.writing = false;
        }
        if let Err(error) = self.disk.remove(&oldest.name()) {
            tracing::warn!(segment = oldest.name(), %error, "a spool's segment stays behind");
        }
    }

    /// Records that wait to be delivered.
    pub fn waiting(&self) -> u64 {
        self.newest.saturating_sub(self.cursor)
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// What was found damaged so far.
    pub fn damage(&self) -> Damage {
        self.damage
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
