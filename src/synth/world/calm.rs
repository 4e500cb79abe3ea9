//! Stories in which nothing is wrong: whoever alerts above low on them is mistaken.

use super::build::Builder;
use super::curve::{Curve, plus};
use super::looks::Look;
use super::networks::{self, Network};
use super::people::{Looks, Pool, host};
use super::plan::{Press, Script, Temper};
use super::server::Fault;
use crate::time::Span;

/// A slope of the day, a busy gateway, a labelled CDN, or a declared event, by seed.
pub fn benign_day(builder: &mut Builder) {
    let (begin, end) = builder.event_of(420.0);
    let from = builder.near(0.7);
    let to = builder.near(1.2);
    let slope = if builder.rng.below(2) == 0 { (from, to) } else { (to, from) };
    let slope = Curve::through(vec![(Span::default(), slope.0), (builder.end(), slope.1)]);
    let rate = builder.setting.rate;
    let site = super::site::Site::number(builder.rng.next());
    let service = builder.service_for(("web", site), 6.0, (rate, &slope));
    let visit = builder.usual_visit();
    match builder.rng.below(4) {
        0 => {}
        1 => {
            // Behind one address of a carrier sit as many as a sixth of all.
            let (networks, gateway) = one_gateway(builder);
            let pool = Pool::people(networks, 4_000, builder.rng.next()).behind(vec![gateway], 1.0);
            let share = builder.near(0.16);
            builder.visits(service, pool, (visit, rate * share, &slope));
        }
        2 => cdn(builder, service, (0.4, &slope)),
        _ => {
            let home = builder.home_networks();
            let pool = Pool::people(home, (rate * 400.0) as u64, builder.rng.next());
            let height = builder.near(0.8);
            let curve = Curve::plateau((begin, end), builder.secs(60.0), height);
            builder.visits(service, pool, (visit, rate, &curve));
            builder.planned("opening of applications", "event", (begin, end));
        }
    }
    builder.warm_until(begin);
}

/// A carrier's gateway holds 15 % and a CDN's egress 40 % of the load; both double.
pub fn nat_and_cdn(builder: &mut Builder) {
    let (begin, end) = builder.event_of(240.0);
    let service = builder.service(9.0);
    let rate = builder.setting.rate;
    let (from, rise) = (Span::default(), builder.secs(40.0));
    let doubling = |end_of_all| {
        let points = [
            (from, 1.0),
            (begin, 1.0),
            (plus(begin, rise), 2.0),
            (end, 2.0),
            (plus(end, rise), 1.0),
            (end_of_all, 1.0),
        ];
        Curve::through(points.into_iter().filter(|(at, _)| *at <= end_of_all).collect())
    };
    let curve = doubling(builder.end());
    let visit = builder.usual_visit();
    let (networks, gateway) = one_gateway(builder);
    let known = Network {
        net: host_net(gateway),
        ..networks.first().copied().unwrap_or_else(|| builder.somewhere())
    };
    builder.label("carrier gateway", "nat", &[known]);
    let pool = Pool::people(networks, 6_000, builder.rng.next()).behind(vec![gateway], 1.0);
    let share = builder.near(0.33);
    builder.visits(service, pool, (visit, rate * share, &curve));
    cdn(builder, service, (1.6, &curve));
}

fn host_net(address: std::net::IpAddr) -> ipnet::IpNet {
    ipnet::IpNet::from(address)
}

fn one_gateway(builder: &mut Builder) -> (Vec<Network>, std::net::IpAddr) {
    let networks = networks::draw(networks::domestic(), 1, &mut builder.rng);
    let random = builder.rng.next();
    let gateway =
        networks.first().map_or(std::net::IpAddr::V4(std::net::Ipv4Addr::new(168, 126, 63, 1)), |network| {
            host(&network.net, random)
        });
    (networks, gateway)
}

/// A CDN fetches for its users from few addresses on long connections, `share` times the ordinary rate.
fn cdn(builder: &mut Builder, service: usize, (share, curve): (f64, &Curve)) {
    let egress = Network { net: net("172.64.8.0/22"), country: "CA", asn: 13_335 };
    builder.label("edge network", "cdn", &[egress]);
    let mut pool = Pool::bots(vec![egress], 24, builder.rng.next(), Looks::People);
    pool.size = 24;
    let press = Press {
        period: Span::from_millis(800),
        per_connection: 400,
        lanes: 6,
        timeout: Span::from_secs(15),
        script: Script::Pages,
        temper: Temper::Polite,
    };
    let rate = builder.setting.rate * builder.near(share) * 0.5;
    builder.presses(service, pool, (press, rate, curve.clone()));
}

/// A search engine, known by its range, begins to read the site.
pub fn crawler(builder: &mut Builder) {
    let window = builder.event_of(260.0);
    let service = builder.service(5.0);
    let range = Network { net: net("66.249.64.0/22"), country: "US", asn: 15_169 };
    builder.label("searchbot", "crawler", &[range]);
    let seed = builder.rng.next();
    let pool = Pool::bots(vec![range], 40, seed, Looks::Same(Look::crawler()));
    let press = crawling(builder);
    let rate = builder.setting.rate * builder.near(0.5);
    let curve = Curve::plateau(window, Span::from_secs(15), 1.0);
    builder.presses(service, pool, (press, rate, curve));
}

/// How crawlers read.
pub fn crawling(builder: &mut Builder) -> Press {
    Press {
        period: builder.secs(2.0),
        per_connection: builder.count(40.0),
        lanes: 2,
        timeout: Span::from_secs(20),
        script: Script::Pages,
        temper: Temper::Polite,
    }
}

/// Everybody gets 503, as announced, and only then.
pub fn maintenance(builder: &mut Builder) {
    let (begin, end) = builder.event_of(200.0);
    let service = builder.service(3.0);
    let margin = Span::from_secs(20);
    builder.planned("patch night", "maintenance", (minus(begin, margin), plus(end, margin)));
    builder.fault(service, Fault::Errors { status: 503, share: 1.0 }, (begin, end));
}

fn minus(one: Span, other: Span) -> Span {
    Span::from_nanos(one.nanos().saturating_sub(other.nanos()))
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse().unwrap_or_else(|_| ipnet::IpNet::from(std::net::IpAddr::from([192, 0, 2, 1])))
}
