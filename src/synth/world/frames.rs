//! The frames of a story in order of time, and its truth when they are told.

use super::super::SynthFrame;
use super::engine::World;
use super::plan::Plan;
use super::truth::{self, Truth};

/// An iterator over all frames of a story, oldest first. Equal stories give equal bytes.
#[derive(Debug)]
pub struct Frames {
    world: World,
}

impl Frames {
    pub(super) fn of(plan: Plan) -> Self {
        Self { world: World::new(plan) }
    }

    /// What is true of the frames told so far: of the whole story when they are used up.
    pub fn truth(&self) -> Truth {
        truth::of(&self.world.plan, &self.world.counts)
    }
}

impl Iterator for Frames {
    type Item = SynthFrame;

    fn next(&mut self) -> Option<SynthFrame> {
        self.world.next_frame()
    }
}
