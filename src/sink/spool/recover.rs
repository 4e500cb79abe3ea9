//! A spool as the last process left it. Comes in: a folder, whatever state it is in. Goes out: a [`Spool`] that goes on
//! behind the last record that is whole. Nothing that stands in a file can make it fail.

use std::collections::VecDeque;
use std::io;

use super::cursor::{self, Cursor};
use super::disk::Disk;
use super::frame::Frames;
use super::rejects::Rejects;
use super::{Damage, Limits, MAX_NUMBER, Segment, Spool, WINDOW, name};

impl<D: Disk> Spool<D> {
    /// Opens what a folder holds.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn open(mut disk: D, limits: Limits) -> io::Result<Self> {
        let names = disk.list()?;
        let mut ids: Vec<u64> = names.iter().filter_map(|name| id_of(name)).collect();
        ids.sort_unstable();
        let mut damage = Damage::default();
        let cursor = match cursor::read(&mut disk) {
            Cursor::At(number) => number,
            Cursor::Absent => 0,
            Cursor::Damaged => {
                damage.cursor = true;
                0
            }
        };
        let next_segment = ids.last().map_or(1, |last| last + 1);
        let (mut segments, mut last, mut first) = (VecDeque::new(), cursor, None);
        for id in &ids {
            let Some(found) = survey(&mut disk, *id, Some(id) == ids.last(), &mut damage) else { continue };
            if found.segment.last <= cursor {
                // Delivered, or nothing in it was whole.
                let _ = disk.remove(&found.segment.name());
                continue;
            }
            last = last.max(found.segment.last);
            first = first.or(Some(found.first.max(cursor + 1)));
            segments.push_back(found.segment);
        }
        let rejects = Rejects::open(&mut disk);
        Ok(Self {
            disk,
            limits,
            segments,
            writing: false,
            next_segment,
            first_own: next_segment,
            next_number: last + 1,
            newest: last,
            // What stands before the first record that can be read is gone: it waits no more.
            cursor: first.map_or(cursor, |first| first.saturating_sub(1)),
            reading: (0, 0),
            unread: 0,
            damage,
            rejects,
        })
    }
}

fn id_of(file: &str) -> Option<u64> {
    let id = file.strip_prefix("segment-")?.parse().ok()?;
    (file == name(id) && id <= MAX_NUMBER).then_some(id)
}

/// What a segment holds.
struct Survey {
    segment: Segment,
    first: u64,
}

/// Reads a segment from end to end. `None` where it cannot be read; then it is put aside, under a name that nobody reads.
fn survey(disk: &mut impl Disk, id: u64, newest: bool, damage: &mut Damage) -> Option<Survey> {
    match read(disk, id) {
        Ok((survey, stretches, torn)) => {
            // The end of the newest may have been cut by a crash, of which nobody was promised anything.
            damage.stretches += stretches - u64::from(newest && torn);
            Some(survey)
        }
        Err(error) => {
            let name = name(id);
            tracing::warn!(segment = name, %error, "a spool's segment cannot be read and is put aside");
            damage.stretches += 1;
            let _ = disk.rename(&name, &format!("{name}.unreadable"));
            None
        }
    }
}

/// What a segment holds, how many stretches of it are damaged, and whether its end is one of them.
fn read(disk: &mut impl Disk, id: u64) -> io::Result<(Survey, u64, bool)> {
    let bytes = disk.len(&name(id))?;
    let mut survey = Survey { segment: Segment { id, last: 0, bytes }, first: u64::MAX };
    let (mut offset, mut stretches, mut torn) = (0, 0, false);
    while offset < bytes {
        let window = disk.read(&name(id), offset, WINDOW)?;
        let mut frames = Frames::new(&window, offset + window.len() as u64 >= bytes || window.is_empty());
        let mut end = 0;
        while let Some(frame) = frames.next() {
            end = frames.consumed();
            survey.first = survey.first.min(frame.number);
            survey.segment.last = survey.segment.last.max(frame.number);
        }
        stretches += frames.damaged();
        torn = frames.damaged() > 0 && end < frames.consumed();
        if frames.consumed() == 0 {
            break;
        }
        offset += frames.consumed() as u64;
    }
    Ok((survey, stretches, torn))
}
