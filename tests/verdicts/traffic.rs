//! What anybody can count of a scenario's packets without judging: packets and new flows per service and second, new
//! flows per source and ten seconds, packets per source in each episode. The reference detectors and the scores stand on
//! it. Comes in: frames as they are. Reads no payload.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bongsu::time::Timestamp;

use crate::truth::Truth;

/// The counts of one scenario.
#[derive(Debug, Default)]
pub struct Counted {
    /// Per service and second: packets to it, and new flows.
    pub seconds: Vec<BTreeMap<i64, Second>>,
    /// Per service, ten seconds and source: new flows.
    pub tens: Vec<BTreeMap<i64, HashMap<IpAddr, u32>>>,
    /// Per episode and source: packets to its service.
    pub sources: Vec<HashMap<IpAddr, u64>>,
}

/// What one service got in one second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Second {
    pub packets: u64,
    pub flows: u64,
}

/// A packet's addresses and whether it begins something.
struct Header {
    source: IpAddr,
    destination: IpAddr,
    begins: bool,
}

impl Counted {
    /// Nothing yet.
    pub fn of(truth: &Truth) -> Self {
        let services = truth.services.len();
        Self {
            seconds: vec![BTreeMap::new(); services],
            tens: vec![BTreeMap::new(); services],
            sources: vec![HashMap::new(); truth.episodes.len()],
        }
    }

    /// Counts a frame.
    pub fn see(&mut self, truth: &Truth, time: Timestamp, bytes: &[u8]) {
        let Some(header) = Header::read(bytes) else { return };
        let is_target = |service: &crate::truth::Service| service.addresses.contains(&header.destination);
        let Some(place) = truth.services.iter().position(is_target) else { return };
        let second = time.nanos().div_euclid(1_000_000_000);
        let counts = self.seconds[place].entry(second).or_default();
        counts.packets += 1;
        counts.flows += u64::from(header.begins);
        if header.begins {
            let ten = self.tens[place].entry(second.div_euclid(10)).or_default();
            *ten.entry(header.source).or_default() += 1;
        }
        for (episode, sources) in truth.episodes.iter().zip(&mut self.sources) {
            let name = &truth.services[place].name;
            if episode.service == *name && episode.begin <= time && time < episode.end {
                *sources.entry(header.source).or_default() += 1;
            }
        }
    }
}

impl Header {
    /// The addresses of an Ethernet frame with IPv4 or IPv6, VLAN tags stepped over.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut at = 12;
        let mut ether_type = be16(bytes, at)?;
        while ether_type == 0x8100 || ether_type == 0x88a8 {
            at += 4;
            ether_type = be16(bytes, at)?;
        }
        let ip = bytes.get(at + 2..)?;
        match ether_type {
            0x0800 => {
                let address = |from: usize| Some(IpAddr::from(Ipv4Addr::from(array::<4>(ip, from)?)));
                let length = usize::from(ip.first()? & 0x0f) * 4;
                let (source, destination) = (address(12)?, address(16)?);
                Some(Self { source, destination, begins: begins(*ip.get(9)?, ip.get(length..)?) })
            }
            0x86dd => {
                let address = |from: usize| Some(IpAddr::from(Ipv6Addr::from(array::<16>(ip, from)?)));
                let (source, destination) = (address(8)?, address(24)?);
                Some(Self { source, destination, begins: begins(*ip.get(6)?, ip.get(40..)?) })
            }
            _ => None,
        }
    }
}

/// A SYN without an acknowledgement, or anything that is no TCP.
fn begins(protocol: u8, segment: &[u8]) -> bool {
    const SYN_AND_ACK: u8 = 0x12;
    const SYN: u8 = 0x02;
    protocol != 6 || segment.get(13).is_some_and(|flags| flags & SYN_AND_ACK == SYN)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(array(bytes, at)?))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
