//! Who the made-up clients are: networks, a size and a seed come in; client number n, always the same, goes out.
//! Nothing is stored per client. Knows nothing of what they do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::super::rng::{Rng, mix};
use super::looks::Look;
use super::networks::{HOME, Network};
use crate::time::Span;

/// One client.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Its address.
    pub ip: IpAddr,
    /// The place of its network in its pool.
    pub net: u16,
    /// From the mirror port to it and back.
    pub rtt: Span,
    /// Packets lost on its line, of 10,000, each way.
    pub loss: u16,
    /// What it looks like.
    pub look: Look,
}

/// A population of clients.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The networks they are in.
    pub networks: Vec<Network>,
    /// Of how many clients.
    pub size: u64,
    /// Decides who is number n.
    pub seed: u64,
    /// Which of them come.
    pub turnout: Turnout,
    /// What they look like.
    pub looks: Looks,
    /// Addresses that many clients share.
    pub gateways: Vec<IpAddr>,
    /// The part of all clients that is behind a gateway.
    pub behind: f64,
}

/// How often each client of a pool is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turnout {
    /// Some come much more often than others.
    Regulars,
    /// All the same.
    Even,
}

/// What clients of a pool look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// As many kinds as people have.
    People,
    /// All alike.
    Same(Look),
    /// One of so many tools.
    Tools(u64),
}

impl Pool {
    /// Ordinary people in `networks`.
    pub fn people(networks: Vec<Network>, size: u64, seed: u64) -> Self {
        Self {
            networks,
            size: size.max(1),
            seed,
            turnout: Turnout::Regulars,
            looks: Looks::People,
            gateways: Vec::new(),
            behind: 0.0,
        }
    }

    /// Programs in `networks`, each as busy as the others.
    pub fn bots(networks: Vec<Network>, size: u64, seed: u64, looks: Looks) -> Self {
        Self { turnout: Turnout::Even, looks, ..Self::people(networks, size, seed) }
    }

    /// Puts a part of the clients behind shared addresses.
    #[must_use]
    pub fn behind(mut self, gateways: Vec<IpAddr>, part: f64) -> Self {
        (self.gateways, self.behind) = (gateways, part);
        self
    }

    /// Whoever comes next.
    pub fn draw(&self, rng: &mut Rng) -> Client {
        if !self.gateways.is_empty() && rng.unit() < self.behind {
            return self.behind_gateway(rng);
        }
        let number = match self.turnout {
            Turnout::Even => rng.below(self.size),
            // The product of two uniform numbers favours low ones: a tenth of the clients makes a third of the visits.
            Turnout::Regulars => (rng.unit() * rng.unit() * self.size as f64) as u64,
        };
        self.client(number)
    }

    /// Client `number`.
    pub fn client(&self, number: u64) -> Client {
        let identity = mix(self.seed, number);
        let mut rng = Rng::new(identity);
        let place = rng.below(self.networks.len() as u64) as usize;
        let ip = self.networks.get(place).map_or(UNKNOWN, |network| host(&network.net, rng.next()));
        self.described(ip, place, &mut rng)
    }

    fn behind_gateway(&self, rng: &mut Rng) -> Client {
        let gateway = rng.below(self.gateways.len() as u64) as usize;
        let ip = self.gateways.get(gateway).copied().unwrap_or(UNKNOWN);
        let place = self.networks.iter().position(|network| network.net.contains(&ip)).unwrap_or(0);
        // A few hundred users share an address; each has a look of its own.
        let mut user = Rng::new(mix(self.seed ^ gateway as u64, rng.below(400)));
        self.described(ip, place, &mut user)
    }

    fn described(&self, ip: IpAddr, place: usize, rng: &mut Rng) -> Client {
        let country = self.networks.get(place).map_or(HOME, |network| network.country);
        let (near, far) = distance(country);
        let rtt = Span::from_micros(rng.between(near, far));
        // Most lines lose nothing worth speaking of, one in ten does.
        let loss = if rng.below(10) == 0 { rng.between(20, 200) } else { rng.between(0, 15) } as u16;
        let look = match self.looks {
            Looks::People => Look::of_person(rng.next()),
            Looks::Same(look) => look,
            Looks::Tools(kinds) => Look::tool(self.seed ^ rng.below(kinds)),
        };
        Client { ip, net: place as u16, rtt, loss, look }
    }
}

/// Stands in where a pool has no network.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Round trips in microseconds between Seoul and a country, shortest and longest.
fn distance(country: &str) -> (u64, u64) {
    match country {
        HOME => (2_000, 38_000),
        "JP" | "CN" | "TW" | "HK" => (32_000, 75_000),
        "SG" | "VN" | "TH" | "PH" | "MY" | "ID" | "KH" => (65_000, 120_000),
        "US" | "CA" | "AU" | "IN" | "NZ" => (115_000, 210_000),
        _ => (190_000, 330_000),
    }
}

/// The client's port of connection `serial`: no address uses one twice within 64,000 connections of all.
pub fn port(ip: IpAddr, serial: u64) -> u16 {
    let own = match ip {
        IpAddr::V4(ip) => mix(9, u64::from(ip.to_bits())),
        IpAddr::V6(ip) => mix(9, ip.to_bits() as u64),
    };
    // 23,041 shares no factor with the number of ports.
    (1_025 + (own % PORTS + serial % PORTS * 23_041) % PORTS) as u16
}

/// Ports from 1,025 to 65,423.
const PORTS: u64 = 64_399;

/// A host of `net` by a random number; never the first or last address of an IPv4 /24.
pub fn host(net: &IpNet, random: u64) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let free = 32 - u32::from(net.prefix_len());
            let room = 1_u64 << free;
            let mut low = ((u128::from(random) * u128::from(room)) >> 64) as u32;
            if room > 4 && matches!(low & 0xff, 0 | 0xff) {
                low ^= 0x2a;
            }
            Ipv4Addr::from_bits(net.network().to_bits() | (low & (room - 1) as u32)).into()
        }
        IpNet::V6(net) => {
            let free = 128 - u32::from(net.prefix_len());
            let all = u128::from(random) << 64 | u128::from(mix(random, 1));
            let low = if free >= 128 { all } else { all & ((1 << free) - 1) };
            Ipv6Addr::from_bits(net.network().to_bits() | low).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::networks;
    use super::*;

    #[test]
    fn a_number_is_always_the_same_client_in_its_network() {
        let pool = Pool::people(networks::domestic(), 2_000, 7);
        for number in 0..500 {
            let (one, again) = (pool.client(number), pool.client(number));
            assert_eq!((one.ip, one.rtt, one.look), (again.ip, again.rtt, again.look));
            assert!(pool.networks[usize::from(one.net)].net.contains(&one.ip));
        }
    }

    #[test]
    fn regulars_come_more_often() {
        let pool = Pool::people(networks::domestic(), 1_000, 7);
        let mut rng = Rng::new(1);
        let regulars: Vec<IpAddr> = (0..100).map(|number| pool.client(number).ip).collect();
        let visits = (0..5_000).filter(|_| regulars.contains(&pool.draw(&mut rng).ip)).count();
        assert!((1_300..2_000).contains(&visits), "{visits}");
    }
}
