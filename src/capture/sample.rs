//! Small captures made by hand for this stage's tests, and a way to read them all.
//! Comes in: what a scenario needs. Goes out: bytes in the format, order and resolution asked for.
//! Refuses to know the reader's code: every field is written out here once more.

use std::io::{Cursor, Write};
use std::path::Path;

use super::{Beat, CaptureError, LinkType, Reader, Source, Step};
use crate::time::Timestamp;

/// What came out of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Frame { time: Timestamp, link: LinkType, wire_len: u32, data: Vec<u8> },
    Beat(Beat),
}

impl Event {
    pub(super) fn with_wire_len(&self, wire_len: u32) -> Self {
        match self.clone() {
            Self::Frame { time, link, data, .. } => Self::Frame { time, link, wire_len, data },
            beat @ Self::Beat(_) => beat,
        }
    }

    pub(super) fn data(&self) -> &[u8] {
        match self {
            Self::Frame { data, .. } => data,
            Self::Beat(_) => &[],
        }
    }

    pub(super) fn time(&self) -> Timestamp {
        match self {
            Self::Frame { time, .. } => *time,
            Self::Beat(beat) => beat.time,
        }
    }
}

/// All events of a capture, read as a stream, and the error if there is one.
pub(super) fn events(bytes: &[u8]) -> (Vec<Event>, Option<CaptureError>) {
    match Reader::new(Path::new("sample"), Box::new(Cursor::new(bytes.to_vec()))) {
        Ok(mut reader) => {
            let (events, mut errors) = drain(&mut reader);
            assert!(errors.len() <= 1, "one input has one error: {errors:?}");
            (events, errors.pop())
        }
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// Steps through a source to its end, noting errors.
pub(super) fn drain(source: &mut dyn Source) -> (Vec<Event>, Vec<CaptureError>) {
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    loop {
        match source.step() {
            Ok(Step::Frame) => {
                let frame = source.frame();
                let data = frame.data.to_vec();
                let (time, link, wire_len) = (frame.time, frame.link, frame.wire_len);
                events.push(Event::Frame { time, link, wire_len, data });
            }
            Ok(Step::Beat(beat)) => events.push(Event::Beat(beat)),
            Ok(Step::Idle) => {}
            Ok(Step::End) => return (events, errors),
            Err(error) => errors.push(error),
        }
    }
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub(super) fn u16(self, number: u16) -> [u8; 2] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    pub(super) fn u32(self, number: u32) -> [u8; 4] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

/// A classic pcap under construction.
pub(super) struct PcapFile {
    endian: Endian,
    modified: bool,
    pub bytes: Vec<u8>,
}

impl PcapFile {
    /// A file of Ethernet packets, version 2.4.
    pub(super) fn new(endian: Endian, magic: u32) -> Self {
        Self::with(endian, magic, (2, 4), 1)
    }

    pub(super) fn with(endian: Endian, magic: u32, version: (u16, u16), network: u32) -> Self {
        let mut bytes = endian.u32(magic).to_vec();
        bytes.extend(endian.u16(version.0));
        bytes.extend(endian.u16(version.1));
        bytes.extend([0; 8]);
        bytes.extend(endian.u32(65_535));
        bytes.extend(endian.u32(network));
        Self { endian, modified: magic == 0xa1b2_cd34, bytes }
    }

    /// Adds a record with its two lengths as given.
    pub(super) fn record(mut self, time: (u32, u32), lengths: (u32, u32), data: &[u8]) -> Self {
        for number in [time.0, time.1, lengths.0, lengths.1] {
            self.bytes.extend(self.endian.u32(number));
        }
        if self.modified {
            self.bytes.extend([0, 0, 0, 2, 8, 0, 4, 0]);
        }
        self.bytes.extend(data);
        self
    }

    /// Adds a whole packet.
    pub(super) fn packet(self, time: (u32, u32), data: &[u8]) -> Self {
        let len = data.len() as u32;
        self.record(time, (len, len), data)
    }
}

/// A little-endian pcap of Ethernet packets in seconds.
pub(super) fn pcap_at(seconds: &[u32], mark: u8) -> Vec<u8> {
    let file = PcapFile::new(Endian::Little, 0xa1b2_c3d4);
    seconds.iter().fold(file, |file, second| file.packet((*second, 0), &[mark, *second as u8])).bytes
}

/// A pcapng under construction.
pub(super) struct PcapngFile {
    pub endian: Endian,
    pub bytes: Vec<u8>,
}

impl PcapngFile {
    pub(super) fn new(endian: Endian) -> Self {
        Self { endian, bytes: Vec::new() }.section(endian, "")
    }

    /// Adds a block with this body.
    pub(super) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padded = body.len().next_multiple_of(4);
        let total = self.endian.u32(padded as u32 + 12);
        self.bytes.extend(self.endian.u32(kind));
        self.bytes.extend(total);
        self.bytes.extend(body);
        self.bytes.extend(vec![0; padded - body.len()]);
        self.bytes.extend(total);
        self
    }

    /// Begins another section.
    pub(super) fn section(mut self, endian: Endian, author: &str) -> Self {
        self.endian = endian;
        let mut body = endian.u32(0x1a2b_3c4d).to_vec();
        body.extend(endian.u16(1));
        body.extend(endian.u16(0));
        body.extend([0xff; 8]);
        if !author.is_empty() {
            body.extend(self.option(4, author.as_bytes()));
        }
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = self.endian.u16(code).to_vec();
        bytes.extend(self.endian.u16(value.len() as u16));
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Describes an interface; `options` come from [`PcapngFile::option`].
    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[u8]) -> Self {
        let mut body = self.endian.u16(link).to_vec();
        body.extend([0; 2]);
        body.extend(self.endian.u32(snaplen));
        body.extend(options);
        self.block(1, &body)
    }

    /// Adds an enhanced packet block.
    pub(super) fn packet(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let endian = self.endian;
        let len = data.len() as u32;
        let words = [interface, (ticks >> 32) as u32, ticks as u32, len, len];
        let mut body: Vec<u8> = words.iter().flat_map(|word| endian.u32(*word)).collect();
        body.extend(data);
        self.block(6, &body)
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}
