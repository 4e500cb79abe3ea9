//! What passed the mirror, counted for the truth: attempts come in by episode, group and network, sums go out.

use super::plan::Plan;
use crate::time::Span;

/// Attempts by episode, group and network of the group's pool; and all packets.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Packets that the mirror showed.
    pub packets: u64,
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
            windows: plan.episodes.iter().map(|it| (it.service, it.begin, it.end)).collect(),
            sums: plan.episodes.iter().map(sums).collect(),
        }
    }

    /// An attempt (a request, or a packet of a flood) of somebody in network `net` of `group`.
    pub fn add(&mut self, service: usize, group: usize, net: u16, elapsed: Span) {
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

    /// All attempts of a group in an episode.
    pub fn total(&self, episode: usize, group: usize) -> u64 {
        self.by_network(episode, group).iter().sum()
    }
}
