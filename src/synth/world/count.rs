//! What passed the mirror, counted for the truth: attempts come in by episode, group and network, sums go out.

use super::plan::Plan;
use crate::time::Span;

/// Attempts by episode, group and network of the group's pool; and all packets.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Packets that the mirror showed.
    pub packets: u64,
    /// The time before anything happens, and attempts of each group in it.
    before: (Span, Span, Vec<u64>),
    windows: Vec<(usize, Span, Span)>,
    sums: Vec<Vec<Vec<u64>>>,
}

impl Counts {
    /// Nothing counted yet.
    pub fn of(plan: &Plan) -> Self {
        let networks: Vec<usize> = plan.groups.iter().map(|group| group.pool.networks.len().max(1)).collect();
        let sums = |_| networks.iter().map(|count| vec![0; *count]).collect();
        Self {
            packets: 0,
            before: (plan.lead, plan.warmup, vec![0; plan.groups.len()]),
            windows: plan.episodes.iter().map(|it| (it.service, it.begin, it.end)).collect(),
            sums: plan.episodes.iter().map(sums).collect(),
        }
    }

    /// An attempt (a request, or a packet of a flood) of somebody in network `net` of `group`.
    pub fn add(&mut self, service: usize, group: usize, net: u16, elapsed: Span) {
        let (from, until, sums) = &mut self.before;
        if let (true, Some(sum)) = (elapsed >= *from && elapsed < *until, sums.get_mut(group)) {
            *sum += 1;
        }
        for ((at, begin, end), sums) in self.windows.iter().zip(&mut self.sums) {
            if *at != service || elapsed < *begin || elapsed >= *end {
                continue;
            }
            if let Some(sum) = sums.get_mut(group).and_then(|nets| nets.get_mut(usize::from(net))) {
                *sum += 1;
            }
        }
    }

    /// Attempts of a group in an episode, by network.
    pub fn by_network(&self, episode: usize, group: usize) -> &[u64] {
        self.sums.get(episode).and_then(|groups| groups.get(group)).map_or(&[], Vec::as_slice)
    }

    /// How many more attempts than before a group made in an episode; negative where it made fewer.
    pub fn more(&self, episode: usize, group: usize) -> f64 {
        let (from, until, sums) = &self.before;
        let before = sums.get(group).copied().unwrap_or(0) as f64;
        let length = until.as_secs_f64() - from.as_secs_f64();
        let own = self
            .windows
            .get(episode)
            .map_or(0.0, |(_, from, until)| until.as_secs_f64() - from.as_secs_f64());
        self.total(episode, group) as f64 - before / length.max(1.0) * own
    }

    /// All attempts of a group in an episode.
    pub fn total(&self, episode: usize, group: usize) -> u64 {
        self.by_network(episode, group).iter().sum()
    }
}
