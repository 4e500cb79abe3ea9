//! What scenarios are written with: settings come in, a [`Plan`] goes out. Every number that a scenario names is a usual
//! value; the seed draws the actual one around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::rng::{Rng, mix};
use super::curve::{Curve, plus};
use super::looks::Look;
use super::networks::{self, Network};
use super::people::{Looks, Pool, host};
use super::plan::{
    Cause, Conduct, EpisodePlan, FaultPlan, GroupPlan, Mirror, Name, Origins, Plan, Press, Script,
    ServicePlan, Temper, Visit,
};
use super::raw::{Raw, Senders, What};
use super::server::{Fault, Size};
use super::site::Site;
use super::{USUAL_JITTER, USUAL_RATE};
use crate::time::{Span, Timestamp};

/// What can be chosen of a story.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The seed.
    pub seed: u64,
    /// Ordinary requests per second.
    pub rate: f64,
    /// How far parameters are drawn from their usual values.
    pub jitter: f64,
    /// TLS or clear.
    pub sealed: bool,
    /// Hardly any ordinary traffic before the event.
    pub cold: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { seed: 1, rate: USUAL_RATE, jitter: USUAL_JITTER, sealed: false, cold: false }
    }
}

/// A plan in the making.
pub struct Builder {
    /// What was chosen.
    pub setting: Setting,
    /// Chance.
    pub rng: Rng,
    plan: Plan,
}

/// Begin and end of the event.
pub type Window = (Span, Span);

/// Where visits are told in requests: how people visit unless told.
pub const USUAL_VISIT: Visit = Visit {
    pages: 3.0,
    assets: 4,
    think: Span::from_secs(11),
    patience: Span::from_secs(8),
    reloads: 3,
    focus: None,
};

/// A visit is over within that time, mostly.
const LEAD: Span = Span::from_secs(60);

/// 1 January 2023; stories begin in the three years after it.
const EARLIEST: i64 = 1_672_531_200;

impl Builder {
    /// An empty plan.
    pub fn new(name: &'static str, setting: Setting) -> Self {
        // Each scenario draws its own chances from the same seed.
        let own = name.bytes().fold(0, |sum, byte| mix(sum, u64::from(byte)));
        let mut rng = Rng::new(mix(setting.seed, own));
        let day = rng.below(3 * 365) as i64;
        let second = rng.below(86_400) as i64;
        let plan = Plan {
            name,
            seed: setting.seed,
            start: Timestamp::from_parts(EARLIEST + day * 86_400 + second, rng.below(1_000_000_000) as i64),
            lead: LEAD,
            length: Span::default(),
            warmup: Span::default(),
            services: Vec::new(),
            groups: Vec::new(),
            faults: Vec::new(),
            raws: Vec::new(),
            labels: Vec::new(),
            calendar: Vec::new(),
            episodes: Vec::new(),
            mirror: Mirror::default(),
        };
        Self { setting, rng, plan }
    }

    /// The finished plan.
    pub fn finish(self) -> Plan {
        self.plan
    }

    /// A value near the usual one.
    pub fn near(&mut self, usual: f64) -> f64 {
        usual * (1.0 + (self.rng.unit() * 2.0 - 1.0) * self.setting.jitter)
    }

    /// A number of things near the usual one, at least one.
    pub fn count(&mut self, usual: f64) -> u32 {
        self.near(usual).max(1.0) as u32
    }

    /// A time near the usual one, told in seconds.
    pub fn secs(&mut self, usual: f64) -> Span {
        Span::from_millis((self.near(usual) * 1e3) as u64)
    }

    /// Lays the time out: ordinary traffic, an event of about `usual` seconds, recovery.
    pub fn event_of(&mut self, usual: f64) -> Window {
        let warm =
            if self.setting.cold { 25.0 + self.rng.unit() * 25.0 } else { 360.0 + self.rng.unit() * 120.0 };
        let begin = plus(LEAD, Span::from_millis((warm * 1e3) as u64));
        let length = self.secs(usual);
        let after = Span::from_millis(60_000 + self.rng.below(60_000));
        self.plan.warmup = begin;
        self.plan.length = plus(plus(begin, length), after);
        (begin, plus(begin, length))
    }

    /// An event of two to five minutes.
    pub fn event(&mut self) -> Window {
        self.event_of(200.0)
    }

    /// Begins in that second instead of one that the seed draws.
    pub const fn starts(&mut self, secs: i64) {
        let fraction = self.plan.start.nanos().rem_euclid(1_000_000_000);
        self.plan.start = Timestamp::from_parts(secs, fraction);
    }

    /// Another length of the whole.
    pub const fn lasts(&mut self, length: Span) {
        self.plan.length = length;
    }

    /// When the story ends.
    pub const fn end(&self) -> Span {
        self.plan.length
    }

    /// How long nothing special happens.
    pub const fn warm_until(&mut self, warmup: Span) {
        self.plan.warmup = warmup;
    }

    /// Adds a service with its ordinary visitors, `capacity` times whose load it can bear.
    pub fn service(&mut self, capacity: f64) -> usize {
        let site = Site::number(self.rng.next());
        let curve = Curve::flat(Span::default(), self.plan.length, 1.0);
        self.service_for(("web", site), capacity, (self.setting.rate, &curve))
    }

    /// Adds a service with a name, a site, and ordinary visitors over time.
    pub fn service_for(
        &mut self,
        (name, site): (&str, Site),
        capacity: f64,
        (rate, curve): (f64, &Curve),
    ) -> usize {
        let knee = rate * self.near(capacity);
        let size = self.size(&site, knee);
        let service = self.plan.services.len();
        let addresses = self.addresses(service);
        self.plan.services.push(ServicePlan {
            name: name.to_owned(),
            addresses,
            port: if self.setting.sealed { 443 } else { 80 },
            sealed: self.setting.sealed,
            site,
            size,
        });
        let at_home = self.home_networks();
        let gateways = self.gateways(&at_home, 3);
        let behind = self.near(0.1);
        let pool = Pool::people(at_home, (rate * self.near(60.0)) as u64 + 40, self.rng.next());
        let wandering = curve.wandering(&mut self.rng);
        let visit = self.usual_visit();
        self.visits(service, pool.behind(gateways, behind), (visit, rate * 0.97, &wandering));
        let abroad = self.abroad(60);
        let pool = Pool::people(abroad, (rate * 4.0) as u64 + 20, self.rng.next());
        let share = self.near(0.03);
        self.visits(service, pool, (visit, rate * share, &wandering));
        for group in self.plan.groups.iter_mut().filter(|group| group.service == service) {
            group.ordinary = true;
        }
        service
    }

    /// People's way of visiting in this story.
    pub fn usual_visit(&mut self) -> Visit {
        Visit {
            pages: self.near(USUAL_VISIT.pages),
            assets: self.rng.between(3, 5) as u8,
            think: self.secs(11.0),
            patience: self.secs(8.0),
            ..USUAL_VISIT
        }
    }

    fn size(&mut self, site: &Site, knee: f64) -> Size {
        let work = knee * site.mean_cost(2.0) * 1.05;
        // Half of the servers answer 503 when they are full, half let SYNs wait.
        let queue = (knee * self.near(2.0)) as usize + 12;
        let drops = self.rng.below(2) == 0;
        Size {
            workers: self.count(40.0) + (self.setting.rate * 0.8) as u32,
            processors: work.max(0.05),
            queue: if drops { queue * 2 } else { queue },
            backlog: if drops { queue } else { usize::MAX },
            patience: self.secs(5.0),
            keep_alive: self.secs(14.0),
            read_timeout: self.secs(45.0),
        }
    }

    fn addresses(&mut self, service: usize) -> Vec<IpAddr> {
        let place = [[211, 34, 105], [210, 99, 3], [152, 99, 21], [27, 101, 200]];
        let [a, b, c] = place.get(service % place.len()).copied().unwrap_or([211, 34, 105]);
        let v4 = Ipv4Addr::new(a, b, c, self.rng.between(5, 250) as u8);
        let v6 = Ipv6Addr::new(0x2001, 0xe60, 0x10, service as u16, 0, 0, 0, self.rng.between(2, 99) as u16);
        match self.rng.below(2) {
            0 => vec![v4.into()],
            _ => vec![v4.into(), v6.into()],
        }
    }

    /// Networks that ordinary visitors are in.
    pub fn home_networks(&mut self) -> Vec<Network> {
        let count = self.count(28.0) as usize;
        let mut at_home = networks::draw(networks::domestic(), count, &mut self.rng);
        if self.plan.services.iter().all(|service| service.addresses.len() > 1) {
            at_home.extend(networks::domestic_v6());
        }
        at_home
    }

    /// Networks all over the world.
    pub fn abroad(&mut self, count: usize) -> Vec<Network> {
        networks::draw(networks::foreign(), count, &mut self.rng)
    }

    /// One network abroad, in any country.
    pub fn somewhere(&mut self) -> Network {
        let foreign = networks::foreign();
        networks::draw_by_country(&foreign, &mut self.rng).unwrap_or(Network {
            net: ipnet::IpNet::from(IpAddr::V4(Ipv4Addr::new(184, 164, 240, 1))),
            country: "US",
            asn: 47_065,
        })
    }

    /// `count` prefixes of `len` bits in one network abroad.
    pub fn prefixes_somewhere(&mut self, len: u8, count: usize) -> Vec<Network> {
        for _ in 0..64 {
            let network = self.somewhere();
            if network.net.prefix_len() + 1 < len {
                return networks::subnets(&network, len, count, &mut self.rng);
            }
        }
        vec![self.somewhere()]
    }

    /// `count` single addresses in one network abroad.
    pub fn hosts_somewhere(&mut self, count: usize) -> Vec<Network> {
        let network = self.somewhere();
        let mut hosts: Vec<Network> = Vec::with_capacity(count);
        while hosts.len() < count {
            let net = ipnet::IpNet::from(host(&network.net, self.rng.next()));
            if hosts.iter().all(|known| known.net != net) {
                hosts.push(Network { net, ..network });
            }
        }
        hosts
    }

    fn gateways(&mut self, networks: &[Network], count: usize) -> Vec<IpAddr> {
        let v4 = networks.iter().filter(|network| network.net.addr().is_ipv4()).take(count);
        v4.map(|network| host(&network.net, self.rng.next())).collect()
    }

    /// Adds visitors who ask `rate` times `curve` times a second.
    pub fn visits(
        &mut self,
        service: usize,
        pool: Pool,
        (visit, rate, curve): (Visit, f64, &Curve),
    ) -> usize {
        let curve = curve.times(rate / requests_of(&visit));
        self.group(GroupPlan {
            service,
            pool,
            conduct: Conduct::Visit(visit),
            begin: Span::default(),
            crew: 1,
            curve,
            arrived: 0,
            ordinary: false,
        })
    }

    /// Adds programs that together ask `rate` times `curve` times a second, each once in `period`.
    pub fn presses(
        &mut self,
        service: usize,
        mut pool: Pool,
        (press, rate, curve): (Press, f64, Curve),
    ) -> usize {
        let crew = ((rate * press.period.as_secs_f64()).round() as u32).max(1);
        // The period follows from the whole number of programs.
        let period = Span::from_nanos((f64::from(crew) / rate.max(1e-6) * 1e9) as u64);
        pool.size = pool.size.max(u64::from(crew));
        let begin = curve.begin();
        let conduct = Conduct::Press(Press { period, ..press });
        self.group(GroupPlan { service, pool, conduct, begin, crew, curve, arrived: 0, ordinary: false })
    }

    /// Adds programs that stay, `crew` of them.
    pub fn stayers(
        &mut self,
        service: usize,
        pool: Pool,
        (conduct, crew, window): (Conduct, u32, Window),
    ) -> usize {
        let curve = Curve::flat(window.0, window.1, 1.0);
        self.group(GroupPlan {
            service,
            pool,
            conduct,
            begin: window.0,
            crew,
            curve,
            arrived: 0,
            ordinary: false,
        })
    }

    /// Adds a flood of packets that belong to no connection; returns its group.
    pub fn raw(&mut self, service: usize, pool: Option<Pool>, (what, curve): (What, Curve)) -> usize {
        let target =
            self.plan.services.get(service).and_then(|service| {
                Some(std::net::SocketAddr::new(*service.addresses.first()?, service.port))
            });
        let nobody = Pool::people(Vec::new(), 1, 0);
        let group = self.group(GroupPlan {
            service,
            pool: pool.clone().unwrap_or(nobody),
            conduct: Conduct::Raw,
            begin: Span::default(),
            crew: 1,
            curve: curve.clone(),
            arrived: 0,
            ordinary: false,
        });
        let start = curve.begin();
        let rng = Rng::new(self.rng.next());
        let senders = pool.map_or(Senders::Forged, Senders::Real);
        if let Some(target) = target {
            self.plan.raws.push(Raw {
                of: (service, group),
                target,
                senders,
                what,
                curve,
                start,
                rng,
                sent: 0,
            });
        }
        group
    }

    fn group(&mut self, group: GroupPlan) -> usize {
        self.plan.groups.push(group);
        self.plan.groups.len() - 1
    }

    /// Something breaks for a while.
    pub fn fault(&mut self, service: usize, fault: Fault, (begin, end): Window) {
        self.plan.faults.push(FaultPlan { service, fault, begin, end });
    }

    /// Something is true for a while.
    pub fn episode(&mut self, episode: EpisodePlan) {
        self.plan.episodes.push(episode);
    }

    /// A neighbour is known.
    pub fn label(&mut self, name: &'static str, role: &'static str, networks: &[Network]) {
        let prefixes = networks.iter().map(|network| network.net.to_string()).collect();
        self.plan.labels.push((name, role, prefixes));
    }

    /// Something is planned.
    pub fn planned(&mut self, name: &'static str, kind: &'static str, (begin, end): Window) {
        self.plan.calendar.push((name, kind, begin, end));
    }

    /// The mirror breaks.
    pub const fn mirror(&mut self, mirror: Mirror) {
        self.plan.mirror = mirror;
    }

    /// The networks of a group.
    pub fn networks_of(&self, group: usize) -> Vec<Network> {
        self.plan.groups.get(group).map(|group| group.pool.networks.clone()).unwrap_or_default()
    }

    /// The seed of a group's clients: another group with it and the same networks has the same clients.
    pub fn seed_of(&self, group: usize) -> u64 {
        self.plan.groups.get(group).map_or(0, |group| group.pool.seed)
    }

    /// How many workers a service has.
    pub fn workers(&self, service: usize) -> u32 {
        self.plan.services.get(service).map_or(1, |service| service.size.workers)
    }

    /// Bots in `networks`, all alike, or of so many kinds.
    pub fn bots(&mut self, networks: Vec<Network>, size: u64, kinds: u64) -> Pool {
        let looks = if kinds == 0 { Looks::People } else { Looks::Tools(kinds) };
        Pool::bots(networks, size, self.rng.next(), looks)
    }

    /// Programs that all look like a common library.
    pub fn scripts(&mut self, networks: Vec<Network>, size: u64) -> Pool {
        let look = Look::library(self.rng.next());
        Pool::bots(networks, size, self.rng.next(), Looks::Same(look))
    }

    /// A flood tool's way of asking: one page, stubborn, each program once in about `period` seconds.
    pub fn flood_press(&mut self, period: f64) -> Press {
        Press {
            period: self.secs(period),
            per_connection: self.rng.between(1, 12) as u32,
            lanes: self.rng.between(3, 8) as u8,
            timeout: self.secs(4.0),
            script: Script::Page(self.rng.below(7) as usize),
            temper: Temper::Stubborn,
        }
    }
}

/// Requests of a visit, on average.
pub fn requests_of(visit: &Visit) -> f64 {
    let assets = f64::from(visit.assets);
    let later = f64::from(visit.assets / 2);
    (1.0 + assets * 0.75) + (visit.pages - 1.0) * (1.0 + later * 0.75)
}

/// What all episodes have in common: one cause with no networks to be named, found in 30 s and decided in 60 s more.
pub fn episode(service: usize, name: Name, (begin, end): Window, note: &str) -> EpisodePlan {
    EpisodePlan {
        service,
        name,
        begin,
        end,
        also: Vec::new(),
        causes: vec![Cause { name, groups: Vec::new(), origins: Origins::Nameless }],
        unknown_is_right: false,
        silence_is_right: false,
        within: (30, 60),
        note: note.to_owned(),
    }
}

/// A cause made of groups.
pub const fn cause(name: Name, groups: Vec<usize>, origins: Origins) -> Cause {
    Cause { name, groups, origins }
}
