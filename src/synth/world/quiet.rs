//! Stories of those who need little traffic: slow requests, scans, guessed passwords, a false crawler.

use super::build::{Builder, cause, episode};
use super::calm::crawling;
use super::curve::Curve;
use super::looks::Look;
use super::networks::Network;
use super::people::{Looks, Pool};
use super::plan::{Conduct, EpisodePlan, Name, Origins, Press, Script, Slow, SlowPart, Temper};
use super::raw::What;
use crate::time::Span;

/// Heads that never end.
pub fn slowloris(builder: &mut Builder) {
    slow(builder, SlowPart::Head);
}

/// Bodies that never end.
pub fn slow_post(builder: &mut Builder) {
    slow(builder, SlowPart::Body);
}

fn slow(builder: &mut Builder, part: SlowPart) {
    let window = builder.event();
    let service = builder.service(3.0);
    let sources = builder.rng.between(2, 6) as usize;
    let networks = builder.hosts_somewhere(sources);
    let pool = builder.scripts(networks, sources as u64 * 8);
    // Nearly all workers, or a few more than there are.
    let share = 0.85 + builder.rng.unit() * 0.3;
    let crew = (f64::from(builder.workers(service)) * share) as u32 + 2;
    let conduct = Conduct::Slow(Slow { interval: builder.secs(10.0), part });
    let group = builder.stayers(service, pool, (conduct, crew, window));
    let name = ("attack", "slow");
    let mut it = told(service, name, window, "requests that never end hold the workers");
    it.causes = vec![cause(name, vec![group], Origins::Named)];
    it.also = vec![("attack", "connection_flood")];
    it.within = (60, 60);
    builder.episode(it);
}

fn told(service: usize, name: Name, window: super::build::Window, note: &str) -> EpisodePlan {
    episode(service, name, window, note)
}

/// A program's way of asking one thing after the other.
fn one_by_one(builder: &mut Builder, (period, script): (f64, Script)) -> Press {
    Press {
        period: Span::from_millis((period * 1e3) as u64),
        per_connection: builder.count(12.0),
        lanes: 2,
        timeout: Span::from_secs(10),
        script,
        temper: Temper::Stubborn,
    }
}

/// One source, a few paths a second.
pub fn path_scan(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    let address = builder.hosts_somewhere(1);
    let pool = builder.scripts(address, 1);
    let rate = builder.near(5.0);
    let press = one_by_one(builder, (1.0 / rate, Script::Probes));
    let group = builder.presses(service, pool, (press, rate, Curve::flat(window.0, window.1, 1.0)));
    let name = ("scan", "path");
    let mut it = told(service, name, window, "one source tries paths that are not there");
    it.causes = vec![cause(name, vec![group], Origins::Named)];
    // Paths and statuses are not seen in TLS.
    (it.unknown_is_right, it.silence_is_right) = (builder.setting.sealed, builder.setting.sealed);
    it.within = (15, 60);
    builder.episode(it);
}

/// Thirty sources, each once a minute.
pub fn distributed_scan(builder: &mut Builder) {
    let window = builder.event_of(600.0);
    let service = builder.service(3.0);
    let networks: Vec<Network> = builder.abroad(40);
    let sources = builder.count(30.0);
    let pool = builder.bots(networks, u64::from(sources), 1);
    let rate = f64::from(sources) / 60.0;
    let press = one_by_one(builder, (60.0, Script::Probes));
    let group = builder.presses(service, pool, (press, rate, Curve::flat(window.0, window.1, 1.0)));
    let name = ("scan", "distributed");
    let mut it = told(service, name, window, "thirty sources share the paths of a scan");
    it.causes = vec![cause(name, vec![group], Origins::Nameless)];
    it.also = vec![("scan", "path")];
    (it.unknown_is_right, it.silence_is_right) = (builder.setting.sealed, builder.setting.sealed);
    it.within = (900, 60);
    builder.episode(it);
}

/// One source, the ports of the address.
pub fn port_scan(builder: &mut Builder) {
    let window = builder.event_of(120.0);
    let service = builder.service(3.0);
    let address = builder.hosts_somewhere(1);
    let pool = builder.scripts(address, 1);
    let rate = builder.near(20.0);
    let curve = Curve::flat(window.0, window.1, rate);
    let group = builder.raw(service, Some(pool), (What::PortScan, curve));
    let name = ("scan", "port");
    let mut it = told(service, name, window, "one source tries the ports of the address");
    it.causes = vec![cause(name, vec![group], Origins::Named)];
    it.within = (20, 60);
    builder.episode(it);
}

/// One source guesses passwords.
pub fn login_brute_force(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    let address = builder.hosts_somewhere(1);
    let pool = builder.scripts(address, 1);
    let rate = builder.near(3.0);
    let press = one_by_one(builder, (1.0 / rate, Script::Logins(0.005)));
    let group = builder.presses(service, pool, (press, rate, Curve::flat(window.0, window.1, 1.0)));
    let name = ("brute_force", "single");
    let mut it = told(service, name, window, "one source guesses passwords");
    it.causes = vec![cause(name, vec![group], Origins::Named)];
    (it.unknown_is_right, it.silence_is_right) = (builder.setting.sealed, builder.setting.sealed);
    it.within = (10, 60);
    builder.episode(it);
}

/// Very many sources, each rarely.
pub fn credential_stuffing(builder: &mut Builder) {
    let window = builder.event_of(420.0);
    let service = builder.service(3.0);
    let networks = builder.abroad(200);
    let rate = builder.near(4.0);
    let pool = builder.bots(networks, 0, 2);
    let press = one_by_one(builder, (180.0, Script::Logins(0.015)));
    let press = Press { per_connection: 1, ..press };
    let group = builder.presses(service, pool, (press, rate, Curve::flat(window.0, window.1, 1.0)));
    let name = ("brute_force", "coordinated");
    let mut it = told(service, name, window, "very many sources try stolen passwords");
    it.causes = vec![cause(name, vec![group], Origins::Nameless)];
    (it.unknown_is_right, it.silence_is_right) = (builder.setting.sealed, builder.setting.sealed);
    it.within = (300, 60);
    builder.episode(it);
}

/// A search engine's name, somebody else's addresses.
pub fn fake_crawler(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    let networks = builder.prefixes_somewhere(26, 1);
    let seed = builder.rng.next();
    let pool = Pool::bots(networks, 4, seed, Looks::Same(Look::crawler()));
    let press = crawling(builder);
    let rate = builder.setting.rate * builder.near(0.6);
    let press = Press { period: Span::from_millis((4e3 / rate) as u64), ..press };
    let curve = Curve::plateau(window, Span::from_secs(5), 1.0);
    let group = builder.presses(service, pool, (press, rate, curve));
    let name = ("heavy_client", "");
    let mut it = told(service, name, window, "somebody reads the whole site under a search engine's name");
    it.causes = vec![cause(name, vec![group], Origins::Named)];
    it.also = vec![("scan", "path")];
    it.within = (60, 60);
    builder.episode(it);
}
