//! What is told of an episode after one look at it. Comes in: its parts, as `episode` has summed them up. Goes out: the same,
//! with another verdict in its place where one stands.

use super::health::Found;
use super::standing::Look;
use super::{Cause, Contrast, Foreign, Load, Neighbour, Origin, Sought, Verdict};
use crate::aggregate::Sides;
use crate::detect::rule::Measure;
use crate::flow::ServerEnd;
use crate::time::TickId;

/// What is told of an episode.
pub(super) struct Account {
    pub origins: Vec<Origin>,
    pub neighbours: Vec<Neighbour>,
    pub foreign: Option<Foreign>,
    pub load: Load,
    pub found: Found,
    pub verdict: Verdict,
    /// What this look alone makes of it.
    pub judged: Cause,
    pub end: Option<ServerEnd>,
    pub sides: Sides,
    /// What there is more than before.
    pub grown: Grown,
    /// Empty until it is described.
    pub contrast: Vec<Contrast>,
    /// Empty until it is described.
    pub sought: Vec<Sought>,
}

/// What there is more than before since the onset, negative where it is less.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grown {
    /// What is counted.
    pub measure: Measure,
    /// Of the rows that stand out.
    pub few: f64,
    /// Of everybody else.
    pub rest: f64,
    /// Whether more different clients are known to come than before.
    pub gathers: bool,
}

impl Account {
    /// As a look at it.
    pub fn look(&self, tick: TickId) -> Look<'_> {
        Look { tick, verdict: &self.verdict, origins: &self.origins, grown: self.grown }
    }

    /// Tells another verdict with its rows, if there is one.
    pub fn retell(&mut self, other: Option<(Verdict, Vec<Origin>)>, concentrated_from: f64) {
        let Some((verdict, origins)) = other else { return };
        let from_origins: f64 = origins.iter().map(|row| row.rate).sum();
        self.load.without_origins = (self.load.rate - from_origins).max(0.0);
        if let Some(foreign) = &mut self.foreign {
            foreign.concentrated = is_concentrated(&origins, concentrated_from);
        }
        (self.verdict, self.origins) = (verdict, origins);
    }
}

/// Whether foreign rows hold enough of the excess.
pub(super) fn is_concentrated(origins: &[Origin], from: f64) -> bool {
    let held: f64 = origins.iter().filter(|row| row.foreign == Some(true)).map(|row| row.share).sum();
    held > 0.0 && held >= from
}
