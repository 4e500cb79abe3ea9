//! Who does things: visitors, programs that press, programs that hold on, programs that cancel. A signal comes in,
//! connections are opened and used. Knows of the world only what a client can know.

use super::engine::{ActorId, ConnId, World};
use super::holder::{Canceller, Holder};
use super::people::Client;
use super::plan::Conduct;
use super::presser::Presser;
use super::visitor::Visitor;

/// Something that happens to an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It wanted to be woken, and why; 0 at its beginning.
    Wake(u32),
    /// A connection is ready.
    Opened(ConnId),
    /// An answer arrived whole, with its status.
    Answered(ConnId, u16),
    /// A connection is gone.
    Failed(ConnId),
}

/// Whether an actor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does.
    Stays,
    /// It does not.
    Leaves,
}

/// One who does things.
#[derive(Debug)]
pub enum Actor {
    /// A person.
    Visitor(Box<Visitor>),
    /// A program that asks on and on.
    Presser(Box<Presser>),
    /// A program that never finishes.
    Holder(Holder),
    /// A program that cancels streams.
    Canceller(Canceller),
}

impl Actor {
    /// The next of a group.
    pub fn of(world: &mut World, place: u16) -> Option<Self> {
        let plan = world.plan.groups.get_mut(usize::from(place))?;
        plan.arrived += 1;
        let number = plan.arrived - 1;
        let (conduct, end) = (plan.conduct, plan.curve.end());
        let client: Client = match conduct {
            Conduct::Visit(_) => plan.pool.draw(&mut world.rng),
            _ => plan.pool.client(number % plan.pool.size),
        };
        let end = world.plan.start + end;
        Some(match conduct {
            Conduct::Visit(style) => {
                Self::Visitor(Box::new(Visitor::new(place, client, style, &mut world.rng)))
            }
            Conduct::Press(style) => Self::Presser(Box::new(Presser::new(place, client, style))),
            Conduct::Slow(style) => Self::Holder(Holder::new(place, client, style, end)),
            Conduct::Rapid(style) => Self::Canceller(Canceller::new(place, client, style, end)),
            Conduct::Raw => return None,
        })
    }

    /// It hears of something and acts.
    pub fn hear(&mut self, world: &mut World, me: ActorId, signal: Signal) -> Fate {
        match self {
            Self::Visitor(visitor) => visitor.hear(world, me, signal),
            Self::Presser(presser) => presser.hear(world, me, signal),
            Self::Holder(holder) => holder.hear(world, me, signal),
            Self::Canceller(canceller) => canceller.hear(world, me, signal),
        }
    }
}
