//! What the load would have been without the origins, and without each cause. Comes in: an [`Incident`]. Goes out: rates,
//! held against the most that was carried in health.

use super::{Cause, Incident, Part};

/// A load without a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ButFor {
    /// The cause that is left out; `None` where it is all origins.
    pub cause: Option<Cause>,
    /// The rows that are left out.
    pub origins: Vec<usize>,
    /// What remains per second, in the load's unit.
    pub rate: f64,
    /// Whether that was carried in health before; `None` where nothing is known of that.
    pub within_knee: Option<bool>,
}

impl Incident {
    /// The load without all origins, where there are any, and without each of several causes.
    pub fn but_for(&self) -> Vec<ButFor> {
        let all = (!self.origins.is_empty()).then(|| ButFor {
            cause: None,
            origins: (0..self.origins.len()).collect(),
            rate: self.load.without_origins,
            within_knee: self.is_within_knee(self.load.without_origins),
        });
        let parts = self.verdict.parts.as_slice();
        let each = if parts.len() > 1 { parts } else { &[] };
        all.into_iter().chain(each.iter().map(|part| self.without(part))).collect()
    }

    /// Rows are left out with all they have; who has none, with the excess.
    fn without(&self, part: &Part) -> ButFor {
        let rows = part.origins.iter().filter_map(|at| self.origins.get(*at));
        let left_out = if part.origins.is_empty() {
            part.share * (self.load.rate - self.load.baseline.unwrap_or(0.0)).max(0.0)
        } else {
            rows.map(|row| row.rate).sum()
        };
        let rate = (self.load.rate - left_out).max(0.0);
        let (cause, origins) = (Some(part.cause), part.origins.clone());
        ButFor { cause, origins, rate, within_knee: self.is_within_knee(rate) }
    }

    fn is_within_knee(&self, rate: f64) -> Option<bool> {
        self.load.knee.map(|knee| rate <= knee)
    }
}
