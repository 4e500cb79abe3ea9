//! HTTP/2 in cleartext (RFC 9113): the preface and the headers of frames. Comes in: the bytes of one direction. Goes
//! out: how many frames of the kinds that floods are made of, and how a service answered. Of header blocks only the
//! statuses are read ([`Statuses`]), data not at all.

use super::status::Statuses;
use crate::flow::Failure;

/// What a client begins with (section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header (section 4.1).
pub(super) const FRAME_HEADER: usize = 9;

/// HEADERS and RST_STREAM (section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// A longer block of headers is not waited for, and its status not known: half of what a direction keeps of what is not whole.
const MAX_BLOCK: usize = 4_096;

/// Frames of the counted kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Frames {
    /// HEADERS.
    pub headers: u32,
    /// RST_STREAM.
    pub resets: u32,
    /// What those of a service say.
    pub answers: Answers,
}

/// Responses, by their statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    /// All of them.
    pub responses: u16,
    /// From 400 to 499.
    pub client_errors: u16,
    /// From 500 to 599.
    pub server_errors: u16,
    /// 401 and 403.
    pub denied: u16,
    /// From 400 to 499 that say that there is nothing of that name.
    pub missing: u16,
}

/// How a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes that follow.
    pub len: u32,
    kind: u8,
    flags: u8,
}

impl FrameHeader {
    /// The header that `bytes` begin with; `None` where it is not whole.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, ..] = *bytes.first_chunk::<FRAME_HEADER>()?;
        Some(Self { len: u32::from_be_bytes([0, high, middle, low]), kind, flags })
    }

    /// Whether it is a block of headers of which `behind` holds a part, and the rest is worth waiting for.
    pub fn waits_for_block(&self, behind: &[u8]) -> bool {
        let len = self.len as usize;
        self.kind == HEADERS && len <= MAX_BLOCK && behind.len() < len
    }
}

impl Frames {
    /// Notes a frame; with `statuses`, those of a service's responses.
    pub fn note(&mut self, header: FrameHeader, behind: &[u8], statuses: Option<&mut Statuses>) {
        match header.kind {
            HEADERS => {
                self.headers = self.headers.saturating_add(1);
                let block = behind.get(..header.len as usize);
                let status = statuses.and_then(|known| known.read(block, header.flags));
                // An interim response is followed by the one that counts (RFC 9110 section 15.2).
                if let Some(status) = status.filter(|status| !(100..200).contains(status)) {
                    self.answers.note(status);
                }
            }
            RST_STREAM => self.resets = self.resets.saturating_add(1),
            _ => {}
        }
    }
}

impl Answers {
    /// Notes a response.
    pub fn note(&mut self, status: u16) {
        let add = |sum: &mut u16, of: bool| *sum = sum.saturating_add(u16::from(of));
        add(&mut self.responses, true);
        add(&mut self.client_errors, (400..500).contains(&status));
        add(&mut self.server_errors, (500..600).contains(&status));
        add(&mut self.denied, Failure::of(status) == Some(Failure::Denied));
        add(&mut self.missing, Failure::of(status) == Some(Failure::Missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(bytes: &[u8]) -> (Option<u32>, Frames) {
        let mut frames = Frames::default();
        let header = FrameHeader::of(bytes);
        if let Some(header) = header {
            frames.note(header, &bytes[FRAME_HEADER..], Some(&mut Statuses::default()));
        }
        (header.map(|header| header.len), frames)
    }

    #[test]
    fn counts_by_kind() {
        let (len, frames) = noted(&[0, 1, 2, HEADERS, 4, 0, 0, 0, 1, 0x82]);
        assert_eq!((len, frames.headers), (Some(258), 1));
        assert_eq!(noted(&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1]).1.resets, 1);
        assert_eq!(noted(&[0, 0, 0, 4, 0, 0, 0, 0, 0]), (Some(0), Frames::default()));
        assert_eq!(noted(&[0, 0, 0, 4, 0, 0, 0, 0]), (None, Frames::default()));
    }

    #[test]
    fn responses_are_counted_by_their_statuses() {
        let answers = |status| noted(&[0, 0, 1, HEADERS, 4, 0, 0, 0, 1, status]).1.answers;
        assert_eq!(answers(0x88), Answers { responses: 1, ..Answers::default() });
        assert_eq!(
            answers(0x8d),
            Answers { responses: 1, client_errors: 1, missing: 1, ..Answers::default() }
        );
        assert_eq!(answers(0x8e), Answers { responses: 1, server_errors: 1, ..Answers::default() });
    }
}
