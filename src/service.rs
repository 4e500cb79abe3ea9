//! The protected services: which addresses and ports are whose, and on whose account a packet is counted.
//! Comes in: names, addresses and ports. Goes out: a [`Scope`] for a packet's two ends.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;
use ipnet::IpNet;

/// One protected service: a name, the addresses it owns and the ports that are its own traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name used in alerts.
    pub name: String,
    /// Addresses and prefixes the service owns.
    pub addresses: Vec<IpNet>,
    /// Ports (TCP and UDP) whose packets are its own traffic; all else to its addresses is beside traffic.
    pub ports: Vec<u16>,
}

/// The place of a named service in [`Services`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u16);

/// What a tally is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Traffic to the ports of a named service.
    Service(ServiceId),
    /// Traffic to a named service's addresses at other ports and protocols.
    Beside(ServiceId),
    /// Traffic to an address and port that may turn out to be a service (none was named).
    Candidate(SocketAddr),
    /// Other traffic to the address of a candidate.
    CandidateHost(IpAddr),
}

/// The scope of a named service: small, since every packet is placed in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Traffic to its ports.
    Own(ServiceId),
    /// Traffic to its addresses at other ports and protocols.
    Beside(ServiceId),
}

impl From<Named> for Scope {
    fn from(named: Named) -> Self {
        match named {
            Named::Own(id) => Scope::Service(id),
            Named::Beside(id) => Scope::Beside(id),
        }
    }
}

impl Hash for Scope {
    /// In few words, since every row's key begins with a scope.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (kind, address, rest) = match self {
            Scope::Service(id) => (0, None, id.0),
            Scope::Beside(id) => (1, None, id.0),
            Scope::Candidate(end) => (2, Some(end.ip()), end.port()),
            Scope::CandidateHost(address) => (3, Some(*address), 0),
        };
        state.write_u64(kind << 16 | u64::from(rest));
        match address {
            None => {}
            Some(IpAddr::V4(v4)) => state.write_u32(v4.to_bits()),
            Some(IpAddr::V6(v6)) => state.write_u128(v6.to_bits()),
        }
    }
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the service.
    ToServer,
    /// From the service to the client.
    ToClient,
}

impl Direction {
    /// The other way.
    pub const fn reverse(self) -> Self {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }
}

/// All named services and the look-up from an address to them.
#[derive(Debug, Clone, Default)]
pub struct Services {
    list: Vec<Service>,
    hosts: HashMap<IpAddr, Vec<ServiceId>, foldhash::fast::RandomState>,
    /// Wider than one address, narrowest first.
    prefixes: Vec<(IpNet, ServiceId)>,
}

/// The most services a run can protect.
pub const MAX_SERVICES: usize = 256;

/// One IPv4 and one IPv6 address, twice: whoever tries them all has tried one host or two.
const FEW_ADDRESSES: usize = 4;

/// Why a service could not be read or added.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ServiceError {
    /// The text is not `NAME=ADDR[,ADDR]:PORT[,PORT]`.
    #[error("'{0}' is no service: expected NAME=ADDR[,ADDR]:PORT[,PORT], IPv6 addresses in brackets")]
    Shape(String),
    /// An address could not be read.
    #[error("'{0}' is neither an IP address nor a prefix such as 192.0.2.0/24")]
    Address(String),
    /// A port could not be read.
    #[error("'{0}' is no port: expected a number from 1 to 65535")]
    Port(String),
    /// Two services have one name.
    #[error("two services are named '{0}'")]
    Twice(String),
    /// More than [`MAX_SERVICES`].
    #[error("more than {MAX_SERVICES} services")]
    TooMany,
}

impl Service {
    /// Reads the command line's `NAME=ADDR[,ADDR]:PORT[,PORT]`, IPv6 addresses in brackets.
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        let shape = || ServiceError::Shape(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(shape)?;
        let colon = rest.rfind(':').filter(|at| !rest[*at..].contains(']')).ok_or_else(shape)?;
        let (addresses, ports) = (&rest[..colon], &rest[colon + 1..]);
        if name.is_empty() || addresses.is_empty() {
            return Err(shape());
        }
        Ok(Self {
            name: name.to_owned(),
            addresses: addresses.split(',').map(parse_address).collect::<Result<_, _>>()?,
            ports: ports.split(',').map(parse_port).collect::<Result<_, _>>()?,
        })
    }
}

/// Reads an address or prefix, IPv6 with or without brackets.
pub fn parse_address(text: &str) -> Result<IpNet, ServiceError> {
    let bare = text.trim().replace(['[', ']'], "");
    let wrong = || ServiceError::Address(text.to_owned());
    if bare.contains('/') {
        return bare.parse::<IpNet>().map(|net| net.trunc()).map_err(|_| wrong());
    }
    bare.parse::<IpAddr>().map(IpNet::from).map_err(|_| wrong())
}

fn parse_port(text: &str) -> Result<u16, ServiceError> {
    text.trim()
        .parse::<u16>()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| ServiceError::Port(text.to_owned()))
}

impl Services {
    /// Gathers named services; names must differ and there may be at most [`MAX_SERVICES`].
    pub fn new(list: Vec<Service>) -> Result<Self, ServiceError> {
        if list.len() > MAX_SERVICES {
            return Err(ServiceError::TooMany);
        }
        let mut services = Self::default();
        for (index, service) in list.iter().enumerate() {
            if list[..index].iter().any(|other| other.name == service.name) {
                return Err(ServiceError::Twice(service.name.clone()));
            }
            let id = ServiceId(index as u16);
            for net in &service.addresses {
                if net.prefix_len() == net.max_prefix_len() {
                    services.hosts.entry(net.addr()).or_default().push(id);
                } else {
                    services.prefixes.push((*net, id));
                }
            }
        }
        services.prefixes.sort_by_key(|(net, id)| (std::cmp::Reverse(net.prefix_len()), *id));
        services.list = list;
        Ok(services)
    }

    /// These services under those of `new`: what has a name now keeps its place, what is new comes behind, and what is gone
    /// owns nothing any more.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] where those that are gone leave too few places.
    pub fn renewed(&self, new: &Services) -> Result<Self, ServiceError> {
        let now = |service: &Service| new.list.iter().find(|other| other.name == service.name).cloned();
        let gone = |name: &str| Service { name: name.to_owned(), addresses: Vec::new(), ports: Vec::new() };
        let kept = self.list.iter().map(|service| now(service).unwrap_or_else(|| gone(&service.name)));
        let is_new = |service: &&Service| !self.list.iter().any(|other| other.name == service.name);
        Self::new(kept.chain(new.list.iter().filter(is_new).cloned()).collect())
    }

    /// Whether no service was named, so that services are to be found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The services of which one source may try many addresses: with a prefix, or with more than [`FEW_ADDRESSES`]; sorted.
    pub fn spread(&self) -> Vec<ServiceId> {
        let is_one = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
        let is_spread = |service: &Service| {
            service.addresses.len() > FEW_ADDRESSES || !service.addresses.iter().all(is_one)
        };
        self.iter().filter(|(_, service)| is_spread(service)).map(|(id, _)| id).collect()
    }

    /// The service of that place.
    pub fn get(&self, id: ServiceId) -> &Service {
        &self.list[usize::from(id.0)]
    }

    /// All services with their places.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        self.list.iter().enumerate().map(|(index, service)| (ServiceId(index as u16), service))
    }

    /// On whose account traffic to `address` and `port` goes; `None` where no service owns the address. A packet
    /// without ports is beside traffic of the address's first service.
    pub fn scope_of(&self, address: IpAddr, port: Option<u16>) -> Option<Named> {
        let by_host = self.hosts.get(&address).into_iter().flatten().copied();
        let by_prefix = self.prefixes.iter().filter(|(net, _)| net.contains(&address)).map(|(_, id)| *id);
        let mut first = None;
        for id in by_host.chain(by_prefix) {
            if port.is_some_and(|port| self.get(id).ports.contains(&port)) {
                return Some(Named::Own(id));
            }
            first.get_or_insert(id);
        }
        first.map(Named::Beside)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Service(id) => write!(out, "service {}", id.0),
            Scope::Beside(id) => write!(out, "beside service {}", id.0),
            Scope::Candidate(address) => write!(out, "{address}"),
            Scope::CandidateHost(address) => write!(out, "beside {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_command_line_shape() {
        let service = Service::parse("web=192.0.2.1,[2001:db8::1]:80,443").unwrap();
        assert_eq!(service.name, "web");
        assert_eq!(service.addresses.len(), 2);
        assert_eq!(service.ports, [80, 443]);
        assert!(Service::parse("web=[2001:db8::1]").is_err());
        assert!(Service::parse("web=192.0.2.1:0").is_err());
        assert!(Service::parse("192.0.2.1:80").is_err());
        assert!(Service::parse("web=192.0.2.0/33:80").is_err());
    }

    #[test]
    fn a_name_keeps_its_place_when_services_change() {
        let services = |texts: &[&str]| {
            Services::new(texts.iter().map(|text| Service::parse(text).unwrap()).collect()).unwrap()
        };
        let old = services(&["a=192.0.2.1:80", "b=192.0.2.2:80"]);
        let new = old.renewed(&services(&["c=192.0.2.3:80", "b=192.0.2.9:443"])).unwrap();
        let scope = |address: &str, port| new.scope_of(address.parse().unwrap(), Some(port));
        assert_eq!(scope("192.0.2.9", 443), Some(Named::Own(ServiceId(1))));
        assert_eq!(scope("192.0.2.3", 80), Some(Named::Own(ServiceId(2))));
        assert_eq!((scope("192.0.2.1", 80), scope("192.0.2.2", 80)), (None, None));
        assert_eq!(new.get(ServiceId(0)).name, "a");
    }

    #[test]
    fn services_of_many_addresses_are_known() {
        let parse = |text: &str| Service::parse(text).unwrap();
        let two = parse("two=192.0.2.1,[2001:db8::1]:80");
        let five = parse("five=192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5:80");
        let services = Services::new(vec![two, five, parse("net=198.51.100.0/24:80")]).unwrap();
        assert_eq!(services.spread(), [ServiceId(1), ServiceId(2)]);
    }

    #[test]
    fn own_ports_and_beside_traffic_are_told_apart() {
        let web = Service::parse("web=192.0.2.1:80").unwrap();
        let net = Service::parse("net=192.0.2.0/24:443").unwrap();
        let services = Services::new(vec![web, net]).unwrap();
        let host: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(services.scope_of(host, Some(80)), Some(Named::Own(ServiceId(0))));
        assert_eq!(services.scope_of(host, Some(443)), Some(Named::Own(ServiceId(1))));
        assert_eq!(services.scope_of(host, Some(53)), Some(Named::Beside(ServiceId(0))));
        assert_eq!(services.scope_of(host, None), Some(Named::Beside(ServiceId(0))));
        assert_eq!(services.scope_of("198.51.100.1".parse().unwrap(), Some(80)), None);
    }
}
