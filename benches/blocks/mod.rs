//! A walk over the records of a classic pcap file in blocks of 1 MiB: the least that any reader must do.
//! Comes in: anything that reads. Goes out: a call for each record. Refuses to know pcapng, compression and damage:
//! a file cut within a record is read to the cut.

use std::io::{self, ErrorKind, Read};

/// What is asked of the system in one read; larger blocks bring nothing, smaller ones cost calls.
const BLOCK: usize = 1 << 20;
/// The longest record that capture programs write: `MAXIMUM_SNAPLEN` of libpcap, 262,144 bytes, and its header.
const MAX_RECORD: usize = 262_144 + RECORD_HEADER;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// One record: the link type of its file, its length on the wire in bytes, its captured bytes.
#[allow(dead_code, reason = "not everyone who walks asks for all of a record")]
pub struct Record<'a> {
    pub link: u32,
    pub wire_len: u32,
    pub data: &'a [u8],
}

/// Calls `each` for every record and returns their number.
pub fn walk(mut input: impl Read, mut each: impl FnMut(Record<'_>)) -> io::Result<u64> {
    let mut header = [0; FILE_HEADER];
    input.read_exact(&mut header)?;
    let order = ByteOrder::of(&header)?;
    let link = order.u32_at(&header, 20) & 0xffff;
    let mut buffer = vec![0; MAX_RECORD + BLOCK];
    let (mut held, mut records) = (0, 0);
    loop {
        let read = read_block(&mut input, buffer.get_mut(held..held + BLOCK).unwrap_or_default())?;
        if read == 0 {
            return Ok(records);
        }
        held += read;
        let mut at = 0;
        while let Some((wire_len, data)) = order.record(buffer.get(at..held).unwrap_or_default())? {
            at += RECORD_HEADER + data.len();
            records += 1;
            each(Record { link, wire_len, data });
        }
        buffer.copy_within(at..held, 0);
        held -= at;
    }
}

fn read_block(input: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => return other,
        }
    }
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Tells the writer's byte order from the magic number (microseconds or nanoseconds).
    fn of(header: &[u8; FILE_HEADER]) -> io::Result<Self> {
        match header.first_chunk::<4>() {
            Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => Ok(Self::Little),
            Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => Ok(Self::Big),
            _ => Err(io::Error::new(ErrorKind::InvalidData, "no pcap file")),
        }
    }

    #[inline]
    fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        }
    }

    /// The record that `bytes` begin with: its length on the wire and its data; `None` where more must be read.
    #[inline]
    fn record(self, bytes: &[u8]) -> io::Result<Option<(u32, &[u8])>> {
        let Some(header) = bytes.get(..RECORD_HEADER) else { return Ok(None) };
        let captured = self.u32_at(header, 8) as usize;
        if captured > MAX_RECORD - RECORD_HEADER {
            return Err(io::Error::new(ErrorKind::InvalidData, "a record of impossible length"));
        }
        let data = bytes.get(RECORD_HEADER..RECORD_HEADER + captured);
        Ok(data.map(|data| (self.u32_at(header, 12), data)))
    }
}
