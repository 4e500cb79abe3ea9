//! Several interfaces as one source.
//! Comes in: the interfaces' names. Goes out: their packets, each interface in turn.
//! Refuses to order packets across interfaces, and to end while one of them lives.

use super::live::{Drops, Live, LiveOptions, Readable, rest, wait};
use super::{CaptureError, Frame, LinkType, Source, Step};
use crate::time::{Span, Timestamp};

/// Packets taken from one interface before the next one's turn: enough that asking the idle ones costs little, few
/// enough that none waits.
const TURN: u32 = 64;

/// Several interfaces in turn. One that goes away is an error, once; the others go on.
pub struct LiveSet {
    lines: Vec<Live>,
    /// Whose turn it is.
    turn: usize,
    /// Packets left in this turn.
    left: u32,
    wait: Span,
    /// Drops of interfaces that are gone.
    past: Drops,
}

impl LiveSet {
    /// Opens every interface in the same way.
    ///
    /// # Errors
    /// One for each interface that could not be opened.
    pub fn open(interfaces: &[String], options: &LiveOptions) -> Result<Self, Vec<CaptureError>> {
        let (mut lines, mut errors) = (Vec::new(), Vec::new());
        for interface in interfaces {
            match Live::open(interface, options) {
                Ok(live) => lines.push(live),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { lines, turn: 0, left: TURN, wait: options.wait, past: Drops::default() })
    }

    /// What all interfaces dropped together; the counts never fall.
    pub fn drops(&mut self) -> Drops {
        self.lines.iter_mut().map(Live::drops).fold(self.past, Drops::and)
    }

    /// Takes a packet that is there on any interface, without waiting.
    fn take(&mut self) -> Result<Step, CaptureError> {
        // One more than there are interfaces: the first asked may have used up its turn.
        for _ in 0..=self.lines.len() {
            let Some(live) = self.lines.get_mut(self.turn) else { return Ok(Step::End) };
            let step = if self.left == 0 { Ok(Step::Idle) } else { live.take() };
            match step {
                Ok(Step::Frame) => {
                    self.left -= 1;
                    return Ok(Step::Frame);
                }
                Err(error) => {
                    let mut dead = self.lines.remove(self.turn);
                    self.past = self.past.and(dead.drops());
                    self.next_turn(0);
                    return Err(error);
                }
                Ok(_) => self.next_turn(1),
            }
        }
        Ok(Step::Idle)
    }

    fn next_turn(&mut self, by: usize) {
        self.turn = (self.turn + by).checked_rem(self.lines.len()).unwrap_or(0);
        self.left = TURN;
    }
}

impl Source for LiveSet {
    fn step(&mut self) -> Result<Step, CaptureError> {
        match self.take()? {
            Step::Idle => {
                let readable = wait(&self.lines, self.wait);
                let step = self.take()?;
                if step == Step::Idle && readable == Readable::InVain {
                    rest(self.wait);
                }
                Ok(step)
            }
            step => Ok(step),
        }
    }

    fn frame(&self) -> Frame<'_> {
        match self.lines.get(self.turn) {
            Some(live) => live.frame(),
            None => Frame { time: Timestamp::default(), link: LinkType::NULL, wire_len: 0, data: &[] },
        }
    }
}
