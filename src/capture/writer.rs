//! Keeps packets as pcapng: what a watch saw, so that a replay sees the same.
//! Comes in: frames and beats in their order. Goes out: one section in nanoseconds, one interface for each link type,
//! beats as interface statistics. Refuses to swallow a write error, and to hand over half a block.

use std::io::{self, Write};

use super::pcapng::{
    BLIND, BYTE_ORDER_MAGIC, COMMENT, DROPPED_INTERFACE, DROPPED_KERNEL, ENHANCED_PACKET, INTERFACE, SECTION,
    SHED, STATISTICS, USER_APPLICATION,
};
use super::resolution::TIME_RESOLUTION;
use super::{Beat, Frame, LinkType};
use crate::time::Timestamp;

/// Bytes gathered before they are written: few calls, and no more than this is lost when the machine dies.
const GATHERED: usize = 256 << 10;

/// Who wrote the section; begins with the name by which the reader knows our beats.
const AUTHOR: &[u8] = concat!("bongsu ", env!("CARGO_PKG_VERSION")).as_bytes();

/// `isb_starttime`: when the recording began.
const START_TIME: u16 = 2;
/// Times are counted in nanoseconds.
const NANOSECONDS: [u8; 1] = [9];

/// A pcapng file being written. Whole blocks are handed over at a time, so a reader of the growing file finds no
/// broken record. Times before 1970 are kept as 1970.
pub struct Writer<W: Write> {
    out: W,
    gathered: Vec<u8>,
    links: Vec<LinkType>,
    start: Option<Timestamp>,
    state: State,
}

/// Whether what was written so far can be gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    /// A write failed: the file may end inside a block.
    Broken,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(out: W) -> Self {
        let gathered = Vec::with_capacity(GATHERED + (64 << 10));
        let mut writer = Self { out, gathered, links: Vec::new(), start: None, state: State::Sound };
        writer.block(SECTION, |body| {
            body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
            body.extend([1, 0, 0, 0]);
            // The section's length is not known while it grows.
            body.extend([0xff; 8]);
            option(body, USER_APPLICATION, AUTHOR);
            body.extend([0; 4]);
        });
        writer
    }

    /// Keeps a packet.
    ///
    /// # Errors
    /// The system's, when gathered blocks could not be written; every later call fails too.
    pub fn frame(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let interface = self.interface(frame.link)?;
        self.start.get_or_insert(frame.time);
        self.block(ENHANCED_PACKET, |body| {
            body.extend(interface.to_le_bytes());
            body.extend(time(frame.time));
            body.extend((frame.data.len() as u32).to_le_bytes());
            body.extend(frame.wire_len.to_le_bytes());
            body.extend_from_slice(frame.data);
            pad(body, frame.data.len());
        });
        self.hand_over(GATHERED)
    }

    /// Keeps the recorder's clock and its drop counts. Before the first packet this describes an Ethernet interface.
    ///
    /// # Errors
    /// As [`Writer::frame`].
    pub fn beat(&mut self, beat: &Beat) -> io::Result<()> {
        if self.links.is_empty() {
            self.interface(LinkType::ETHERNET)?;
        }
        let start = *self.start.get_or_insert(beat.time);
        self.block(STATISTICS, |body| {
            body.extend(0_u32.to_le_bytes());
            body.extend(time(beat.time));
            option(body, START_TIME, &time(start));
            option(body, DROPPED_INTERFACE, &beat.dropped_interface.to_le_bytes());
            option(body, DROPPED_KERNEL, &beat.dropped_kernel.to_le_bytes());
            if beat.blind {
                option(body, COMMENT, BLIND);
            }
            if beat.shed > 0 {
                option(body, COMMENT, &[SHED, beat.shed.to_string().as_bytes()].concat());
            }
            body.extend([0; 4]);
        });
        self.hand_over(GATHERED)
    }

    /// Writes all that was gathered.
    ///
    /// # Errors
    /// As [`Writer::frame`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.hand_over(1)?;
        self.out.flush()
    }

    /// Writes all that was gathered and gives the output back.
    ///
    /// # Errors
    /// As [`Writer::frame`].
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.out)
    }

    /// The number of the interface for `link`, described when it is new.
    fn interface(&mut self, link: LinkType) -> io::Result<u32> {
        if let Some(known) = self.links.iter().position(|described| *described == link) {
            return Ok(known as u32);
        }
        let number = u16::try_from(link.0)
            .map_err(|_| io::Error::other(format!("link type {} cannot be kept in pcapng", link.0)))?;
        self.links.push(link);
        self.block(INTERFACE, |body| {
            body.extend(number.to_le_bytes());
            // Reserved, then a snapshot length of 0: no limit.
            body.extend([0; 6]);
            option(body, TIME_RESOLUTION, &NANOSECONDS);
            body.extend([0; 4]);
        });
        Ok((self.links.len() - 1) as u32)
    }

    /// Gathers one block: type, length, what `body` adds, length.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.gathered.len();
        self.gathered.extend(kind.to_le_bytes());
        self.gathered.extend([0; 4]);
        body(&mut self.gathered);
        let total = ((self.gathered.len() - begin + 4) as u32).to_le_bytes();
        self.gathered.extend(total);
        if let Some(length) = self.gathered.get_mut(begin + 4..begin + 8) {
            length.copy_from_slice(&total);
        }
    }

    /// Writes what was gathered once it is `enough`.
    fn hand_over(&mut self, enough: usize) -> io::Result<()> {
        if self.state == State::Broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        if self.gathered.len() < enough {
            return Ok(());
        }
        let written = self.out.write_all(&self.gathered);
        self.gathered.clear();
        if written.is_err() {
            self.state = State::Broken;
        }
        written
    }
}

/// Nanoseconds since 1970 as pcapng has them: the high word first.
fn time(time: Timestamp) -> [u8; 8] {
    let nanos = u64::try_from(time.nanos()).unwrap_or(0);
    nanos.rotate_left(32).to_le_bytes()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend_from_slice(value);
    pad(body, value.len());
}

/// Fills up to a multiple of four bytes after `len`.
fn pad(body: &mut Vec<u8>, len: usize) {
    body.resize(body.len() + (len.next_multiple_of(4) - len), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::sample::{Event, events};

    fn frame(nanos: i64, link: LinkType, data: &[u8]) -> Event {
        Event::Frame { time: Timestamp::from_nanos(nanos), link, wire_len: 1500, data: data.to_vec() }
    }

    fn beat(nanos: i64, dropped_kernel: u64) -> Event {
        let blind = dropped_kernel == 0;
        Event::Beat(Beat {
            time: Timestamp::from_nanos(nanos),
            dropped_kernel,
            dropped_interface: 7,
            blind,
            shed: 2,
        })
    }

    #[test]
    fn frames_and_beats_come_back_in_their_order() {
        let story = [
            beat(5, 0),
            frame(1_700_698_780_123_456_789, LinkType::ETHERNET, b"five!"),
            frame(6, LinkType::RAW, b""),
            beat(1_700_698_790_000_000_001, u64::MAX),
            frame(i64::MAX, LinkType::LINUX_SLL2, &[9; 70_000]),
            frame(7, LinkType::ETHERNET, b"four"),
            beat(1_700_698_790_000_000_001, 3),
        ];
        let mut writer = Writer::new(Vec::new());
        for event in &story {
            match event {
                Event::Frame { time, link, wire_len, data } => {
                    let wire_len = (*wire_len).max(data.len() as u32);
                    writer.frame(&Frame { time: *time, link: *link, wire_len, data }).unwrap();
                }
                Event::Beat(beat) => writer.beat(beat).unwrap(),
            }
        }
        let (seen, error) = events(&writer.finish().unwrap());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(seen.len(), story.len());
        for (seen, told) in seen.iter().zip(&story) {
            assert_eq!(seen.with_wire_len(0), told.with_wire_len(0));
        }
    }

    #[test]
    fn a_file_without_packets_is_whole() {
        let (seen, error) = events(&Writer::new(Vec::new()).finish().unwrap());
        assert_eq!((seen.len(), error.is_none()), (0, true));
    }

    #[test]
    fn a_full_disk_is_told_and_stays_told() {
        let mut room = [0_u8; 100];
        let mut writer = Writer::new(&mut room[..]);
        let frame = Frame { time: Timestamp::default(), link: LinkType::RAW, wire_len: 90, data: &[1; 90] };
        writer.frame(&frame).unwrap();
        assert!(writer.flush().is_err());
        assert!(writer.frame(&frame).is_err());
        assert!(writer.flush().is_err());
    }
}
