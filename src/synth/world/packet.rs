//! A planned packet of a connection: numbers, flags and content in short. Its bytes are made when it passes the mirror.

use std::sync::Arc;

use super::engine::ConnId;
use crate::service::Direction;

/// One TCP segment to come.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Whose it is.
    pub conn: ConnId,
    /// Which way it goes.
    pub direction: Direction,
    /// Flag bits.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// What it carries.
    pub content: Content,
    /// The window it announces.
    pub window: Window,
}

/// What a segment carries: a text, and filler after it.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The text's bytes.
    pub text: Option<Arc<[u8]>>,
    /// Which of them, from and to.
    pub part: (u32, u32),
    /// Bytes of filler.
    pub filler: u16,
}

/// The window that a segment announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// As much as usual.
    #[default]
    Open,
    /// None.
    Zero,
}

impl Content {
    /// Bytes it has.
    pub const fn len(&self) -> u32 {
        self.part.1 - self.part.0 + self.filler as u32
    }

    /// A whole text.
    pub fn text(text: Arc<[u8]>) -> Self {
        let part = (0, text.len() as u32);
        Self { text: Some(text), part, filler: 0 }
    }
}
