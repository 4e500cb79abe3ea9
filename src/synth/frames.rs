//! The frames of a scenario in order of time: parts come in, frames go out one by one. Holds only the conversations
//! under way, each as its next packet's time in a heap.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::conversation::Conversation;
use super::part::Part;
use super::{Scenario, SynthFrame, Truth};
use crate::time::{Timestamp, Zone};

/// An iterator over all frames of a scenario, oldest first; equal scenarios give equal bytes.
#[derive(Debug)]
pub struct Frames {
    seed: u64,
    start: Timestamp,
    parts: Vec<Part>,
    due: BinaryHeap<Reverse<Due>>,
    serial: u64,
}

/// What happens next somewhere.
#[derive(Debug)]
struct Due {
    time: Timestamp,
    /// Decides between equal times.
    serial: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The part at that place begins a conversation.
    Arrival(usize),
    /// A conversation's next packet.
    Packet(Box<Conversation>),
}

impl Frames {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let parts: Vec<Part> = scenario
            .parts
            .iter()
            .enumerate()
            .map(|(place, plan)| Part::begin(scenario, place, plan))
            .collect();
        let mut frames =
            Self { seed: scenario.seed, start: scenario.start, parts, due: BinaryHeap::new(), serial: 0 };
        for place in 0..frames.parts.len() {
            frames.await_arrival(place);
        }
        frames
    }

    /// What is true of the conversations begun so far: of the whole scenario when the frames are used up.
    pub fn truth(&self) -> Truth {
        let parts: Vec<_> = self.parts.iter().map(Part::truth).collect();
        Truth {
            seed: self.seed,
            start: self.start.rfc3339(&Zone::utc()),
            packets: parts.iter().map(|part| part.packets).sum(),
            parts,
        }
    }

    /// How many conversations are under way: what memory depends on.
    pub fn under_way(&self) -> usize {
        self.due.len()
    }

    /// Begins all conversations to come and drops them.
    pub(super) fn skip_to_end(&mut self) {
        self.due.clear();
        for part in &mut self.parts {
            while part.converse().is_some() {}
        }
    }

    fn await_arrival(&mut self, place: usize) {
        if let Some(time) = self.parts.get(place).and_then(Part::next_start) {
            self.enter(time, What::Arrival(place));
        }
    }

    fn await_packet(&mut self, conversation: Box<Conversation>) {
        if let Some(time) = conversation.next_time() {
            self.enter(time, What::Packet(conversation));
        }
    }

    fn enter(&mut self, time: Timestamp, what: What) {
        self.serial += 1;
        self.due.push(Reverse(Due { time, serial: self.serial, what }));
    }
}

impl Iterator for Frames {
    type Item = SynthFrame;

    fn next(&mut self) -> Option<SynthFrame> {
        loop {
            let Reverse(due) = self.due.pop()?;
            match due.what {
                What::Arrival(place) => {
                    let conversation = self.parts.get_mut(place).and_then(Part::converse);
                    self.await_arrival(place);
                    if let Some(conversation) = conversation {
                        self.await_packet(Box::new(conversation));
                    }
                }
                What::Packet(mut conversation) => {
                    let frame = conversation.next();
                    self.await_packet(conversation);
                    if frame.is_some() {
                        return frame;
                    }
                }
            }
        }
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.serial).cmp(&(other.time, other.serial))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}
