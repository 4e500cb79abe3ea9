//! HTTP/2 in cleartext (RFC 9113): the preface and the headers of frames. Comes in: the bytes of one direction. Goes
//! out: how many frames of the kinds that floods are made of. Refuses to read header blocks and data.

/// What a client begins with (section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header (section 4.1).
pub(super) const FRAME_HEADER: usize = 9;

/// Frames of the counted kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Frames {
    /// HEADERS.
    pub headers: u32,
    /// RST_STREAM.
    pub resets: u32,
}

impl Frames {
    /// Notes the frame whose header `bytes` begin with; answers the length of what follows the header, `None` where
    /// the header is not whole.
    pub fn note(&mut self, bytes: &[u8]) -> Option<u32> {
        let [high, middle, low, kind, ..] = bytes.first_chunk::<FRAME_HEADER>()?;
        match kind {
            1 => self.headers = self.headers.saturating_add(1),
            3 => self.resets = self.resets.saturating_add(1),
            _ => {}
        }
        Some(u32::from_be_bytes([0, *high, *middle, *low]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind() {
        let mut frames = Frames::default();
        assert_eq!(frames.note(&[0, 1, 2, 1, 4, 0, 0, 0, 1, 0x82]), Some(258));
        assert_eq!(frames.note(&[0, 0, 4, 3, 0, 0, 0, 0, 1]), Some(4));
        assert_eq!(frames.note(&[0, 0, 0, 4, 0, 0, 0, 0, 0]), Some(0));
        assert_eq!(frames.note(&[0, 0, 0, 4, 0, 0, 0, 0]), None);
        assert_eq!(frames, Frames { headers: 1, resets: 1 });
    }
}
