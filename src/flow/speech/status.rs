//! The statuses of HTTP/2 responses (RFC 9113 section 8.3.2) out of blocks of headers in HPACK (RFC 7541). Comes in: the
//! blocks of one sender, in order. Goes out: statuses. Fields are stepped over: of the dynamic table only the places of
//! statuses are kept, and how many fields came after them.

/// Statuses whose places are kept: those of a service that answers with more give way in the order they came.
const KEPT: usize = 8;

/// The flags of a HEADERS frame (RFC 9113 section 6.2).
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The static table's statuses, from its eighth entry on (RFC 7541 appendix A).
const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
const FIRST_STATUS: u32 = 8;
const FIRST_DYNAMIC: u32 = 62;

/// A status that was said and cannot be told.
const UNTOLD: u16 = 0;

/// What is known of a sender's dynamic table.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    /// Fields that were added.
    added: u32,
    /// Statuses, with how many fields had been added with them.
    kept: [(u32, u16); KEPT],
    next: usize,
    /// Whether a block was not read whole: places in the table are not known from then on.
    lost: bool,
}

/// How a field is written (RFC 7541 section 6).
enum Field {
    /// By its place in the tables.
    Indexed(u32),
    /// With a name that stands in the tables, or 0, and a value, which is added to the table or not.
    Literal { name: u32, is_added: bool },
    /// No field: the table gets another size.
    Size,
}

impl Statuses {
    /// The status of a response in a HEADERS frame, [`UNTOLD`] where it cannot be told; `None` of trailers. `block` is what
    /// the frame holds, if all of it was seen.
    pub fn read(&mut self, block: Option<&[u8]>, flags: u8) -> Option<u16> {
        let fields = block.and_then(|block| without_padding(block, flags));
        let read = fields.and_then(|fields| self.fields(fields));
        // What goes on in CONTINUATION frames is not followed.
        self.lost |= read.is_none() || flags & END_HEADERS == 0;
        match read {
            Some(Some(status)) => Some(status),
            Some(None) if !self.lost => None,
            // Trailers end their stream.
            _ => (flags & END_STREAM == 0).then_some(UNTOLD),
        }
    }

    /// The status among fields, nothing where there is none; `None` where they are damaged.
    fn fields(&mut self, mut fields: &[u8]) -> Option<Option<u16>> {
        let mut status = None;
        while !fields.is_empty() {
            match field(&mut fields)? {
                Field::Size => {}
                Field::Indexed(index) => status = status.or_else(|| self.indexed(index)),
                Field::Literal { name, is_added } => {
                    if name == 0 {
                        string(&mut fields)?;
                    }
                    let value = string(&mut fields)?;
                    let is_status = (FIRST_STATUS..FIRST_STATUS + STATIC.len() as u32).contains(&name);
                    let said = is_status.then(|| value.status()).flatten();
                    status = status.or(said);
                    self.added = self.added.wrapping_add(u32::from(is_added));
                    if let (true, Some(said)) = (is_added, said) {
                        self.keep(said);
                    }
                }
            }
        }
        Some(status)
    }

    fn indexed(&self, index: u32) -> Option<u16> {
        if index < FIRST_DYNAMIC {
            return STATIC.get(index.checked_sub(FIRST_STATUS)? as usize).copied();
        }
        let at = self.added.wrapping_sub(index - FIRST_DYNAMIC);
        let kept = self.kept.iter().find(|(added, status)| *added == at && *status != UNTOLD);
        kept.filter(|_| !self.lost).map(|(_, status)| *status)
    }

    fn keep(&mut self, status: u16) {
        self.kept[self.next % KEPT] = (self.added, status);
        self.next = (self.next + 1) % KEPT;
    }
}

/// The fields of a HEADERS frame.
fn without_padding(block: &[u8], flags: u8) -> Option<&[u8]> {
    let (padding, block) = match flags & PADDED {
        0 => (0, block),
        _ => block.split_first().map(|(padding, rest)| (usize::from(*padding), rest))?,
    };
    let block = if flags & PRIORITY == 0 { block } else { block.get(5..)? };
    block.get(..block.len().checked_sub(padding)?)
}

/// Takes the beginning of a field.
fn field(fields: &mut &[u8]) -> Option<Field> {
    let first = *fields.first()?;
    let mut number = |bits| integer(fields, bits);
    Some(match first {
        0x80.. => Field::Indexed(number(7)?),
        0x40.. => Field::Literal { name: number(6)?, is_added: true },
        0x20.. => {
            number(5)?;
            Field::Size
        }
        _ => Field::Literal { name: number(4)?, is_added: false },
    })
}

/// Takes a number that begins in the last `bits` of a byte (section 5.1).
fn integer(bytes: &mut &[u8], bits: u32) -> Option<u32> {
    let mut take = || {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(u32::from(*first))
    };
    let most = (1 << bits) - 1;
    let first = take()? & most;
    if first < most {
        return Some(first);
    }
    let mut number = most;
    // Four more bytes hold what no block is as long as.
    for at in 0..4 {
        let byte = take()?;
        number += (byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A string as it is written (section 5.2).
struct Text<'a> {
    bytes: &'a [u8],
    is_coded: bool,
}

/// Takes a string.
fn string<'a>(fields: &mut &'a [u8]) -> Option<Text<'a>> {
    let is_coded = fields.first()? & 0x80 != 0;
    let len = integer(fields, 7)? as usize;
    let (bytes, rest) = fields.split_at_checked(len)?;
    *fields = rest;
    Some(Text { bytes, is_coded })
}

impl Text<'_> {
    /// The status that it is: three digits.
    fn status(&self) -> Option<u16> {
        let digits: [u8; 3] =
            if self.is_coded { coded_digits(self.bytes)? } else { self.bytes.try_into().ok()? };
        let number = |sum: u16, digit: u8| digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0'));
        digits.into_iter().try_fold(0, number)
    }
}

/// Three digits in the Huffman code: 0, 1 and 2 have five bits, the others six (appendix B).
fn coded_digits(bytes: &[u8]) -> Option<[u8; 3]> {
    let mut left = bytes.iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    left = left.checked_shl(8 * 4_u32.saturating_sub(bytes.len() as u32))?;
    let mut digits = [0; 3];
    for digit in &mut digits {
        let (code, bits) = match left >> 27 {
            code @ 0..=2 => (code, 5),
            _ => ((left >> 26).checked_sub(0x19 - 3).filter(|code| (3..=9).contains(code))?, 6),
        };
        *digit = b'0' + code as u8;
        left <<= bits;
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: u8 = END_HEADERS;

    #[test]
    fn statuses_of_the_static_table_and_literal_ones_are_read() {
        let status = |block: &[u8]| Statuses::default().read(Some(block), WHOLE);
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x3f, 0xe1, 0x1f, 0x8e]), Some(500), "behind a change of the table's size");
        assert_eq!(status(b"\x48\x03503"), Some(503));
        assert_eq!(status(b"\x08\x03429\x61\x01a"), Some(429), "not to be added");
        // RFC 7541 appendices C.6.1 and C.6.2.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), Some(307));
    }

    #[test]
    fn what_was_added_is_found_again_behind_what_came_later() {
        let mut statuses = Statuses::default();
        // 503 and two fields of the static names 28 and 54, which push it back.
        assert_eq!(statuses.read(Some(b"\x48\x03503\x5c\x012\x76\x01n"), WHOLE), Some(503));
        assert_eq!(statuses.read(Some(&[0xc0, 0xbf, 0xbe]), WHOLE), Some(503));
        // Trailers add another.
        assert_eq!(statuses.read(Some(b"\x40\x01g\x010"), WHOLE | END_STREAM), None);
        assert_eq!(statuses.read(Some(&[0xc1]), WHOLE), Some(503));
        assert_eq!(statuses.read(Some(b"\x48\x03401"), WHOLE), Some(401));
        assert_eq!(statuses.read(Some(&[0xbe]), WHOLE), Some(401));
    }

    #[test]
    fn what_was_not_read_whole_leaves_responses_without_a_status() {
        let mut statuses = Statuses::default();
        assert_eq!(statuses.read(Some(b"\x48\x03503"), WHOLE), Some(503));
        assert_eq!(statuses.read(None, WHOLE), Some(UNTOLD));
        assert_eq!(statuses.read(Some(&[0xbe]), WHOLE), Some(UNTOLD));
        assert_eq!(statuses.read(Some(&[0xbe]), WHOLE | END_STREAM), None, "may be trailers");
        assert_eq!(statuses.read(Some(&[0x88]), WHOLE), Some(200));
    }

    #[test]
    fn padding_and_priorities_are_stepped_over() {
        let block = [2, 0, 0, 0, 0, 9, 0x8d, 0, 0];
        assert_eq!(Statuses::default().read(Some(&block), WHOLE | PADDED | PRIORITY), Some(404));
        assert_eq!(Statuses::default().read(Some(&[9, 0x8d]), WHOLE | PADDED), Some(UNTOLD));
    }

    #[test]
    fn any_bytes_are_read_to_an_end() {
        let mut rng = crate::synth::rng::Rng::new(11);
        let mut statuses = Statuses::default();
        for _ in 0..20_000 {
            let block: Vec<u8> = (0..rng.next() % 24).map(|_| rng.next() as u8).collect();
            statuses.read(Some(&block), rng.next() as u8);
        }
    }
}
