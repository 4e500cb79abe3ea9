//! Finds the web services where none was named: an address and port that answers a handshake and is spoken HTTP or TLS
//! to. Comes in: ticks. Goes out: which candidates have turned out to be services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{Count, ScopeTick, Tick};
use crate::service::{MAX_SERVICES, Scope};

/// What is known of the candidates so far.
#[derive(Debug, Default)]
pub struct Finder {
    candidates: BTreeMap<SocketAddr, Candidate>,
    found: BTreeSet<SocketAddr>,
    forgotten: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    answered: bool,
    spoken: bool,
    accesses: u64,
    packets: u64,
}

/// Candidates that are remembered; the quietest give way.
pub const MAX_CANDIDATES: usize = 4_096;

impl Finder {
    /// Takes note of a tick.
    pub fn note(&mut self, tick: &Tick) {
        for (scope, sums) in &tick.scopes {
            if let Scope::Candidate(address) = scope {
                self.candidates.entry(*address).or_default().note(sums);
            }
        }
        let mut ready: Vec<(SocketAddr, u64)> = self
            .candidates
            .iter()
            .filter(|(address, candidate)| candidate.is_service() && !self.found.contains(*address))
            .map(|(address, candidate)| (*address, candidate.accesses))
            .collect();
        // The busiest first, for there is room for so many only.
        ready.sort_unstable_by_key(|(address, accesses)| (std::cmp::Reverse(*accesses), *address));
        for (address, _) in ready {
            if self.found.len() < MAX_SERVICES {
                self.found.insert(address);
            }
        }
        self.forget_quietest();
    }

    /// Whether that address and port is a service.
    pub fn is_found(&self, address: &SocketAddr) -> bool {
        self.found.contains(address)
    }

    /// The first service that was found at an address.
    pub fn found_at(&self, host: IpAddr) -> Option<SocketAddr> {
        self.found.range(SocketAddr::new(host, 0)..).next().copied().filter(|found| found.ip() == host)
    }

    /// The services found so far.
    pub fn found(&self) -> &BTreeSet<SocketAddr> {
        &self.found
    }

    /// How many candidates gave way to busier ones.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget_quietest(&mut self) {
        if self.candidates.len() <= MAX_CANDIDATES {
            return;
        }
        let surplus = self.candidates.len() - MAX_CANDIDATES / 4 * 3;
        let mut by_weight: Vec<(u64, SocketAddr)> = self
            .candidates
            .iter()
            .filter(|(address, _)| !self.found.contains(*address))
            .map(|(address, candidate)| (candidate.packets, *address))
            .collect();
        by_weight.sort_unstable();
        for (_, address) in by_weight.iter().take(surplus) {
            self.candidates.remove(address);
            self.forgotten += 1;
        }
    }
}

impl Candidate {
    fn note(&mut self, sums: &ScopeTick) {
        let counts = &sums.counts;
        self.answered |= counts[Count::Opened] > counts[Count::OpenedUnproven];
        self.spoken |= counts[Count::Requests] + counts[Count::Hellos] > 0;
        self.accesses += counts[Count::Accesses];
        self.packets += counts[Count::PacketsIn];
    }

    fn is_service(&self) -> bool {
        self.answered && self.spoken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Counts;
    use crate::time::TickId;

    fn tick(address: &str, amounts: &[(Count, u64)]) -> Tick {
        let mut counts = Counts::default();
        for (count, amount) in amounts {
            counts[*count] += amount;
        }
        let scope = Scope::Candidate(address.parse().unwrap());
        Tick {
            id: TickId::default(),
            scopes: BTreeMap::from([(scope, ScopeTick { counts, ..ScopeTick::default() })]),
        }
    }

    #[test]
    fn a_service_answers_and_is_spoken_to() {
        let mut finder = Finder::default();
        let web = "192.0.2.1:80".parse().unwrap();
        finder.note(&tick("192.0.2.1:80", &[(Count::Opened, 1)]));
        assert!(!finder.is_found(&web), "it answers, but nobody spoke HTTP or TLS to it");
        finder.note(&tick("192.0.2.1:80", &[(Count::Requests, 1)]));
        assert!(finder.is_found(&web));
    }

    #[test]
    fn candidates_stay_bounded_beside_quiet_services() {
        let mut finder = Finder::default();
        for port in 1..=200 {
            finder.note(&tick(&format!("192.0.2.1:{port}"), &[(Count::Opened, 1), (Count::Requests, 1)]));
        }
        for host in 0..20_u32 {
            let mut crowd = Tick::default();
            for port in 1..=1_024 {
                let address = format!("198.51.100.{host}:{port}");
                crowd.scopes.extend(tick(&address, &[(Count::PacketsIn, 100)]).scopes);
            }
            finder.note(&crowd);
            assert!(finder.candidates.len() <= MAX_CANDIDATES, "{}", finder.candidates.len());
        }
        assert_eq!(finder.found().len(), 200);
    }

    #[test]
    fn one_direction_alone_finds_nothing() {
        let mut finder = Finder::default();
        finder.note(&tick(
            "192.0.2.1:80",
            &[(Count::Opened, 5), (Count::OpenedUnproven, 5), (Count::Requests, 5)],
        ));
        assert!(finder.found().is_empty());
    }
}
