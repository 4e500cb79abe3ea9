//! How far a spool was delivered, in a file of one line that is replaced as a whole. A cursor that is lost or damaged
//! costs duplicates, never a record.

use std::io;

use super::disk::Disk;
use super::frame::MAX_NUMBER;

const NAME: &str = "cursor";
const BESIDE: &str = "cursor.new";

/// The longest line: a word, a number of 64 bits, a checksum.
const MAX_LINE: usize = 64;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Everything up to this number was delivered.
    At(u64),
    /// Nothing was, or nobody wrote it down.
    Absent,
    /// What stands there is no cursor, or cannot be read.
    Damaged,
}

/// Reads the cursor.
pub fn read(disk: &mut impl Disk) -> Cursor {
    match disk.read(NAME, 0, MAX_LINE) {
        Ok(bytes) => parse(&bytes).map_or(Cursor::Damaged, Cursor::At),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Cursor::Absent,
        Err(_) => Cursor::Damaged,
    }
}

/// Writes the cursor in place of the one before. It may come to the disk later than what follows.
pub fn write(disk: &mut impl Disk, number: u64) -> io::Result<()> {
    disk.create(BESIDE)?;
    disk.append(BESIDE, line(number).as_bytes())?;
    disk.sync(BESIDE)?;
    disk.rename(BESIDE, NAME)
}

fn line(number: u64) -> String {
    let said = format!("delivered {number}");
    format!("{said} {:08x}\n", crc32c::crc32c(said.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(bytes).ok()?.split(' ').nth(1)?.parse().ok()?;
    (line(number).as_bytes() == bytes && number <= MAX_NUMBER).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_is_believed() {
        let whole = line(18);
        assert_eq!(parse(whole.as_bytes()), Some(18));
        for at in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..at]), None, "cut at {at}");
            let mut wounded = whole.clone().into_bytes();
            wounded[at] ^= 1;
            assert_eq!(parse(&wounded), None, "byte {at}");
        }
        assert_eq!(parse(line(u64::MAX).as_bytes()), None, "no spool gets there");
    }
}
