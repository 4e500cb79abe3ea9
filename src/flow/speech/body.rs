//! The body of an HTTP/1 message (RFC 9112 section 6): where it ends. Comes in: bytes behind a head. Goes out: how many
//! of them belong to the body. Keeps none of them.

/// How the rest of a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// By the end of the connection.
    UntilClose,
}

/// Where in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// At the line that tells the next chunk's size.
    Size,
    /// In a chunk's data, so many bytes before its end.
    Data(u64),
    /// At the line end behind a chunk's data.
    DataEnd,
    /// In the lines behind the last chunk.
    Trailer,
}

/// What bytes of a body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// So many belong to the body, of which so many are data.
    Bytes(usize, usize),
    /// So many belong to it, no data, and it ends with them.
    End(usize),
    /// More is needed to tell.
    Partial,
    /// That is no body.
    Broken,
}

/// A line of a chunk's size longer than this is none: 16 digits and an extension.
const MAX_SIZE_LINE: usize = 1_024;

/// A line of the trailer longer than this is none.
const MAX_TRAILER_LINE: usize = 8_192;

impl Body {
    /// Whether the body ends here.
    pub fn is_over(self) -> bool {
        self == Body::Length(0)
    }

    /// Whether more is known to follow: between two chunks that is not, since servers that tell what happens end there.
    pub fn goes_on(self) -> bool {
        matches!(self, Body::Length(1..) | Body::Chunked(Chunk::Data(1..)))
    }

    /// Passes over the beginning of `bytes`, which are not empty.
    pub fn pass(&mut self, bytes: &[u8]) -> Passed {
        match self {
            Body::UntilClose => Passed::Bytes(bytes.len(), bytes.len()),
            Body::Length(left) => {
                let taken = at_most(*left, bytes.len());
                *left -= taken as u64;
                Passed::Bytes(taken, taken)
            }
            Body::Chunked(chunk) => chunk.pass(bytes),
        }
    }

    /// Passes over `len` bytes that were not captured, if that can be done without reading them.
    pub fn pass_unseen(&mut self, len: u64) -> bool {
        let left = match self {
            Body::UntilClose => return true,
            Body::Length(left) | Body::Chunked(Chunk::Data(left)) => left,
            Body::Chunked(_) => return false,
        };
        let fits = len <= *left;
        *left = left.saturating_sub(len);
        if let Body::Chunked(chunk @ Chunk::Data(0)) = self {
            *chunk = Chunk::DataEnd;
        }
        fits
    }

    /// How many bytes ahead need not be seen to know where the body ends.
    pub fn unneeded(self) -> u64 {
        match self {
            Body::UntilClose => u64::MAX,
            Body::Length(left) | Body::Chunked(Chunk::Data(left)) => left,
            Body::Chunked(_) => 0,
        }
    }
}

impl Chunk {
    fn pass(&mut self, bytes: &[u8]) -> Passed {
        match self {
            Chunk::Data(left) => {
                let taken = at_most(*left, bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    *self = Chunk::DataEnd;
                }
                Passed::Bytes(taken, taken)
            }
            Chunk::DataEnd => self.line(bytes, 2, |line| line.is_empty().then_some(Chunk::Size)),
            Chunk::Size => self.line(bytes, MAX_SIZE_LINE, |line| {
                Some(match size(line)? {
                    0 => Chunk::Trailer,
                    size => Chunk::Data(size),
                })
            }),
            Chunk::Trailer => match line(bytes, MAX_TRAILER_LINE) {
                Line::Whole(&[], len) => Passed::End(len),
                Line::Whole(_, len) => Passed::Bytes(len, 0),
                Line::Partial => Passed::Partial,
                Line::TooLong => Passed::Broken,
            },
        }
    }

    fn line(&mut self, bytes: &[u8], most: usize, next: impl Fn(&[u8]) -> Option<Chunk>) -> Passed {
        match line(bytes, most) {
            Line::Whole(line, len) => match next(line) {
                Some(chunk) => {
                    *self = chunk;
                    Passed::Bytes(len, 0)
                }
                None => Passed::Broken,
            },
            Line::Partial => Passed::Partial,
            Line::TooLong => Passed::Broken,
        }
    }
}

enum Line<'a> {
    /// Without its end, and its length with it.
    Whole(&'a [u8], usize),
    Partial,
    TooLong,
}

fn line(bytes: &[u8], most: usize) -> Line<'_> {
    let window = &bytes[..bytes.len().min(most)];
    match memchr::memchr(b'\n', window) {
        Some(end) => {
            let line = &window[..end];
            Line::Whole(line.strip_suffix(b"\r").unwrap_or(line), end + 1)
        }
        None if bytes.len() < most => Line::Partial,
        None => Line::TooLong,
    }
}

/// The size that a chunk's first line tells, before any extension.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next()?;
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(sum << 4 | u64::from(value))
    })
}

fn at_most(left: u64, len: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes over all of `bytes`; answers data bytes, and what is left behind the end.
    fn pass(mut body: Body, mut bytes: &[u8]) -> Option<(usize, &[u8])> {
        let mut data = 0;
        while !bytes.is_empty() {
            match body.pass(bytes) {
                Passed::Bytes(len, of_data) => {
                    data += of_data;
                    bytes = &bytes[len..];
                }
                Passed::End(len) => return Some((data, &bytes[len..])),
                Passed::Partial | Passed::Broken => return None,
            }
        }
        None
    }

    #[test]
    fn chunks_end_with_their_trailer() {
        let chunked = Body::Chunked(Chunk::Size);
        let bytes = b"5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX: y\r\n\r\nGET";
        assert_eq!(pass(chunked, bytes), Some((31, &b"GET"[..])));
        assert_eq!(pass(chunked, b"0\n\nrest"), Some((0, &b"rest"[..])));
        assert_eq!(pass(chunked, b"zz\r\n"), None);
        assert_eq!(pass(chunked, b"2\r\nabc\r\n0\r\n\r\n"), None);
    }

    #[test]
    fn unseen_bytes_may_lie_in_data_only() {
        let mut body = Body::Length(10);
        assert!(body.pass_unseen(10) && body.is_over());
        let mut body = Body::Length(10);
        assert!(!body.pass_unseen(11));
        let mut body = Body::Chunked(Chunk::Data(4));
        assert!(body.pass_unseen(4));
        assert_eq!(body, Body::Chunked(Chunk::DataEnd));
        assert!(!body.pass_unseen(1));
    }
}
