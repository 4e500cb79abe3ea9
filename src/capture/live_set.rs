//! Several interfaces as one source that outlives them.
//! Comes in: the interfaces' names, and from time to time the caller's stopwatch. Goes out: their packets, each interface
//! in turn, and what changed about them. Refuses to order packets across interfaces, and to end: an interface that goes
//! away is opened again once there is one of its name.

use std::time::Duration;

use super::live::{Drops, Live, LiveOptions, Presence, Readable, rest, wait};
use super::{CaptureError, Frame, LinkType, Source, Step};
use crate::time::Timestamp;

/// Packets taken from one interface before the next one's turn: enough that asking the idle ones costs little, few
/// enough that none waits.
const TURN: u32 = 64;

/// Between two looks at whether the interfaces are what they were, and between two attempts to open one: back within a
/// second, at some microseconds a look.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Several interfaces in turn. One that goes away is an error, once; the others go on, and [`LiveSet::tend`] opens it
/// again.
pub struct LiveSet {
    lines: Vec<Line>,
    options: LiveOptions,
    /// Whose turn it is.
    turn: usize,
    /// Packets left in this turn.
    left: u32,
    /// The stopwatch's time from which on the interfaces are looked at again.
    due: Duration,
}

/// One interface, there or not.
struct Line {
    /// What the operator calls it.
    name: String,
    live: Option<Live>,
    is_up: bool,
    /// Drops of earlier openings.
    past: Drops,
}

/// Something about an interface changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the operator calls it.
    pub interface: String,
    /// What changed.
    pub what: LineState,
}

/// How an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineState {
    /// It is there and its link is up.
    Up,
    /// It is there and its link is down.
    Down,
    /// It is not there.
    Lost,
    /// It is there and called so now.
    Renamed(String),
}

impl LiveSet {
    /// Opens every interface in the same way.
    ///
    /// # Errors
    /// One for each interface that could not be opened.
    pub fn open(interfaces: &[String], options: &LiveOptions) -> Result<Self, Vec<CaptureError>> {
        let (set, errors) = Self::open_or_wait(interfaces, options);
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// Opens those interfaces that are there, and the others once they are; tells why they could not be opened.
    pub fn open_or_wait(interfaces: &[String], options: &LiveOptions) -> (Self, Vec<CaptureError>) {
        let mut errors = Vec::new();
        let mut line = |name: &String| {
            let live = Live::open(name, options).map_err(|error| errors.push(error)).ok();
            let is_up = live.as_ref().is_none_or(Live::is_up);
            Line { name: name.clone(), live, is_up, past: Drops::default() }
        };
        let lines = interfaces.iter().map(&mut line).collect();
        (Self { lines, options: options.clone(), turn: 0, left: TURN, due: Duration::ZERO }, errors)
    }

    /// What all interfaces dropped together; the counts never fall.
    pub fn drops(&mut self) -> Drops {
        self.lines.iter_mut().map(Line::drops).fold(Drops::default(), Drops::and)
    }

    /// Whether packets of all interfaces can come.
    pub fn is_whole(&self) -> bool {
        self.lines.iter().all(|line| line.live.is_some() && line.is_up)
    }

    /// How each interface is, by the operator's name.
    pub fn states(&self) -> impl Iterator<Item = (&str, LineState)> {
        self.lines.iter().map(|line| (line.name.as_str(), line.state()))
    }

    /// Looks, at most every quarter of a second, whether interfaces are what they were, and opens those that are there
    /// again; `now` is the time on the caller's stopwatch.
    pub fn tend(&mut self, now: Duration) -> Vec<Change> {
        if now < self.due {
            return Vec::new();
        }
        self.due = now + LOOK_EVERY;
        let options = &self.options;
        self.lines.iter_mut().filter_map(|line| line.tend(options)).collect()
    }

    /// Takes a packet that is there on any interface, without waiting.
    fn take(&mut self) -> Result<Step, CaptureError> {
        // One more than there are interfaces: the first asked may have used up its turn.
        for _ in 0..=self.lines.len() {
            let Some(line) = self.lines.get_mut(self.turn) else { return Ok(Step::End) };
            let step = match &mut line.live {
                Some(live) if self.left > 0 => live.take(),
                _ => Ok(Step::Idle),
            };
            match step {
                Ok(Step::Frame) => {
                    self.left -= 1;
                    return Ok(Step::Frame);
                }
                Err(error) => {
                    line.lose();
                    self.next_turn();
                    return Err(error);
                }
                Ok(_) => self.next_turn(),
            }
        }
        Ok(Step::Idle)
    }

    fn next_turn(&mut self) {
        self.turn = (self.turn + 1).checked_rem(self.lines.len()).unwrap_or(0);
        self.left = TURN;
    }
}

impl Line {
    fn drops(&mut self) -> Drops {
        self.live.as_mut().map_or(self.past, |live| self.past.and(live.drops()))
    }

    fn state(&self) -> LineState {
        match &self.live {
            None => LineState::Lost,
            Some(_) if !self.is_up => LineState::Down,
            Some(live) if live.interface() != self.name => LineState::Renamed(live.interface().to_owned()),
            Some(_) => LineState::Up,
        }
    }

    /// It is gone; what it dropped stays known.
    fn lose(&mut self) {
        self.past = self.drops();
        self.live = None;
    }

    fn tend(&mut self, options: &LiveOptions) -> Option<Change> {
        let before = self.state();
        match &mut self.live {
            None => self.live = Live::open(&self.name, options).ok(),
            Some(live) => match live.presence() {
                Presence::Here => {}
                Presence::Renamed(name) => live.call(name),
                // The next packet that is not there is the error.
                Presence::Gone => live.leave(),
            },
        }
        self.is_up = self.live.as_ref().is_none_or(Live::is_up);
        let what = self.state();
        (what != before).then(|| Change { interface: self.name.clone(), what })
    }
}

impl Source for LiveSet {
    fn step(&mut self) -> Result<Step, CaptureError> {
        match self.take()? {
            Step::Idle => {
                let wait_for = self.options.wait;
                let readable = wait(self.lines.iter().filter_map(|line| line.live.as_ref()), wait_for);
                let step = self.take()?;
                if step == Step::Idle && readable == Readable::InVain {
                    rest(wait_for);
                }
                Ok(step)
            }
            step => Ok(step),
        }
    }

    fn frame(&self) -> Frame<'_> {
        let live = self.lines.get(self.turn).and_then(|line| line.live.as_ref());
        live.map_or(
            Frame { time: Timestamp::default(), link: LinkType::NULL, wire_len: 0, data: &[] },
            Live::frame,
        )
    }
}
