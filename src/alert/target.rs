//! The service that an incident is about, as it is told: its name, addresses and ports.

use std::net::IpAddr;

use ipnet::IpNet;

use super::pseudonym::Pseudonyms;
use super::text::told;
use crate::detect::Subject;
use crate::service::Services;

/// A service's name, addresses and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name of the configuration; `ADDR:PORT` for one that was found in the traffic.
    pub name: String,
    /// Its addresses and prefixes.
    pub addresses: Vec<IpNet>,
    /// Its ports.
    pub ports: Vec<u16>,
}

impl Target {
    /// Says what a subject is. One that was found is none of the named services, so it may have a pseudonym.
    pub fn of(subject: Subject, services: &Services, pseudonyms: &Pseudonyms) -> Self {
        match subject {
            Subject::Found(end) => {
                let end = pseudonyms.end(end);
                Self {
                    name: end.to_string(),
                    addresses: vec![IpNet::from(end.ip())],
                    ports: vec![end.port()],
                }
            }
            Subject::Named(id) => match services.iter().find(|(have, _)| *have == id) {
                Some((_, service)) => Self {
                    name: told(&service.name),
                    addresses: service.addresses.clone(),
                    ports: service.ports.clone(),
                },
                // A service that left the configuration while its incident went on.
                None => Self { name: format!("service {}", id.0), addresses: Vec::new(), ports: Vec::new() },
            },
        }
    }

    /// The first address it owns.
    pub(super) fn first_address(&self) -> Option<IpAddr> {
        self.addresses.first().map(IpNet::addr)
    }

    /// All addresses as text.
    pub(super) fn addresses_told(&self) -> Vec<String> {
        self.addresses.iter().map(address_told).collect()
    }
}

/// A prefix as text; a single address without its length.
pub(super) fn address_told(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
