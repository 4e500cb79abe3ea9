//! Stories with floods: very many requests or packets from those who do not want an answer.

use super::build::{Builder, Window, cause, episode};
use super::curve::{Curve, plus};
use super::networks::Network;
use super::people::Pool;
use super::plan::{Conduct, Origins, Press, Rapid, Script};
use super::raw::What;
use super::server::Fault;
use crate::time::Span;

const FLOOD: (&str, &str) = ("attack", "http_flood");
const CONNECTIONS: (&str, &str) = ("attack", "connection_flood");
const HEAVY: (&str, &str) = ("heavy_client", "");

/// What a flood consists of.
struct Flood {
    networks: Vec<Network>,
    /// Kinds of tools; 0: as many as people have.
    kinds: u64,
    /// Times the ordinary rate, on top of it.
    times: f64,
    curve: Curve,
    press: Press,
    origins: Origins,
}

fn flood(builder: &mut Builder, service: usize, window: Window, (flood, note): (Flood, &str)) {
    let pool = builder.bots(flood.networks, 0, flood.kinds);
    let rate = builder.setting.rate * flood.times;
    let group = builder.presses(service, pool, (flood.press, rate, flood.curve));
    let mut it = episode(service, FLOOD, window, note);
    it.causes = vec![cause(FLOOD, vec![group], flood.origins)];
    it.also = vec![CONNECTIONS];
    it.within = (10, 60);
    builder.episode(it);
}

/// A service that most floods bring down, and some do not.
fn attacked(builder: &mut Builder) -> usize {
    let capacity = if builder.rng.below(4) == 0 { 20.0 } else { 3.0 };
    builder.service(capacity)
}

/// Two prefixes of one network, one page, one tool.
pub fn http_flood(builder: &mut Builder) {
    let window = builder.event();
    let service = attacked(builder);
    let times = builder.near(6.0);
    concentrated(builder, service, window, times);
}

/// A flood from two prefixes within a story.
pub fn concentrated(builder: &mut Builder, service: usize, window: Window, times: f64) {
    let len = builder.rng.between(22, 24) as u8;
    let networks = builder.prefixes_somewhere(len, 2);
    let press = builder.flood_press(0.7);
    let curve = Curve::plateau(window, builder.secs(5.0), 1.0);
    // Most use one tool for one page; some mix tools, some look like people, some read all over the site.
    let kinds = [1, 1, 1, 1, 3, 0].get(builder.rng.below(6) as usize).copied().unwrap_or(1);
    let script = if builder.rng.below(3) == 0 { Script::Pages } else { press.script };
    let press = Press { script, ..press };
    let it = Flood { networks, kinds, times, curve, press, origins: Origins::Named };
    flood(builder, service, window, (it, "programs in few prefixes of one foreign network ask for one page"));
}

/// The same, hardly larger than the ordinary load.
pub fn quiet_flood(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    let times = 1.0 + builder.rng.unit();
    concentrated(builder, service, window, times);
}

/// Few sources, few connections, many requests on each.
pub fn keepalive_flood(builder: &mut Builder) {
    let window = builder.event();
    let service = attacked(builder);
    let sources = builder.rng.between(6, 14) as usize;
    let networks = builder.hosts_somewhere(sources);
    let pool = builder.bots(networks, 0, 1);
    let rate = builder.setting.rate * builder.near(3.0);
    let press = builder.flood_press(0.7);
    // One program for each of the sources' connections.
    let press = Press {
        period: Span::from_nanos((sources as f64 * 2.0 / rate * 1e9) as u64),
        per_connection: 5_000,
        lanes: builder.rng.between(2, 4) as u8,
        ..press
    };
    let curve = Curve::plateau(window, builder.secs(4.0), 1.0);
    let group = builder.presses(service, pool, (press, rate, curve));
    let mut it = episode(service, FLOOD, window, "few sources ask very often on few connections");
    it.causes = vec![cause(FLOOD, vec![group], Origins::Named)];
    it.also = vec![HEAVY];
    it.within = (10, 60);
    builder.episode(it);
}

/// Very many sources all over the world.
pub fn distributed_flood(builder: &mut Builder) {
    let window = builder.event_of(260.0);
    let service = attacked(builder);
    let networks = builder.abroad(700);
    let press = builder.flood_press(12.0);
    let press = Press { lanes: 2, per_connection: builder.rng.between(1, 3) as u32, ..press };
    let times = builder.near(4.0);
    // Half of them use one tool, the others a few, and some look like people.
    let kinds = [1, 1, 3, 0].get(builder.rng.below(4) as usize).copied().unwrap_or(1);
    let curve = Curve::plateau(window, builder.secs(15.0), 1.0);
    let pool = builder.bots(networks, 0, kinds);
    let rate = builder.setting.rate * times;
    let group = builder.presses(service, pool, (press, rate, curve));
    let mut it = episode(service, FLOOD, window, "very many sources in many countries, each asking rarely");
    it.causes = vec![cause(FLOOD, vec![group], Origins::Nameless)];
    it.also = vec![CONNECTIONS];
    it.unknown_is_right = builder.setting.sealed && kinds == 0;
    it.within = (60, 120);
    builder.episode(it);
}

/// Grows until it is four times the ordinary load.
pub fn ramp(builder: &mut Builder) {
    let window = builder.event_of(420.0);
    let service = builder.service(3.5);
    let networks = (0..builder.rng.between(2, 3)).flat_map(|_| builder.prefixes_somewhere(22, 2)).collect();
    let times = builder.near(4.0);
    let press = builder.flood_press(4.0);
    let curve = Curve::through(vec![(window.0, 0.0), (window.1, 1.0)]);
    let it = Flood { networks, kinds: 1, times, curve, press, origins: Origins::Named };
    let pool = builder.bots(it.networks, 0, it.kinds);
    let rate = builder.setting.rate * it.times;
    let group = builder.presses(service, pool, (it.press, rate, it.curve));
    let mut it = episode(service, FLOOD, window, "a flood from new networks that grows minute by minute");
    it.causes = vec![cause(FLOOD, vec![group], Origins::Named)];
    it.also = vec![CONNECTIONS];
    // Two minutes after the load has doubled.
    let length = window.1.secs().saturating_sub(window.0.secs());
    it.within = ((length as f64 / times) as u64 + 120, 60);
    builder.episode(it);
}

/// Ten seconds in every minute.
pub fn pulse(builder: &mut Builder) {
    let window = builder.event_of(330.0);
    let service = attacked(builder);
    let networks = builder.prefixes_somewhere(23, 2);
    let times = builder.near(9.0);
    let press = builder.flood_press(0.7);
    let curve = Curve::pulses(window, (builder.secs(10.0), builder.secs(60.0)), 1.0);
    let it = Flood { networks, kinds: 1, times, curve, press, origins: Origins::Named };
    flood(builder, service, window, (it, "one attack in pulses, ten seconds of each minute"));
}

/// Forged SYNs.
pub fn syn_flood(builder: &mut Builder) {
    let window = builder.event_of(150.0);
    let service = builder.service(3.0);
    let window_size = [512, 1_024, 8_192, 64_240].get(builder.rng.below(4) as usize).copied();
    let what = What::Syns { window: window_size.unwrap_or(512), ttl: builder.rng.between(40, 245) as u8 };
    let rate = (builder.setting.rate * builder.near(45.0)).clamp(300.0, 6_000.0);
    let curve = Curve::plateau(window, builder.secs(2.0), rate);
    let group = builder.raw(service, None, (what, curve));
    if builder.rng.below(2) == 0 {
        // Half of the servers have no cookies: their table is full.
        let lost = builder.near(0.45);
        builder.fault(service, Fault::SynLoss(lost), window);
    }
    let name = ("attack", "syn_flood");
    let mut it = episode(service, name, window, "SYNs from forged addresses; nobody can be named");
    it.causes = vec![cause(name, vec![group], Origins::Nameless)];
    it.within = (5, 60);
    builder.episode(it);
}

/// Datagrams that fill the line.
pub fn udp_flood(builder: &mut Builder) {
    let window = builder.event_of(150.0);
    let service = builder.service(3.0);
    let size = [64, 512, 1_024, 1_400].get(builder.rng.below(4) as usize).copied().unwrap_or(512);
    let rate = (builder.setting.rate * builder.near(40.0)).clamp(300.0, 5_000.0);
    let curve = Curve::plateau(window, builder.secs(2.0), rate);
    let real = builder.rng.below(2) == 0;
    let pool = real.then(|| {
        let networks = builder.prefixes_somewhere(24, 2);
        builder.bots(networks, 60, 1)
    });
    let group = builder.raw(service, pool, (What::Datagrams { size }, curve));
    congest(builder, service, window);
    let name = ("attack", "udp_flood");
    let mut it = episode(service, name, window, "UDP datagrams to the service's address");
    let origins = if real { Origins::Named } else { Origins::Nameless };
    it.causes = vec![cause(name, vec![group], origins)];
    it.within = (10, 60);
    builder.episode(it);
}

/// Answers that nobody asked for.
pub fn reflection(builder: &mut Builder) {
    let window = builder.event_of(150.0);
    let service = builder.service(3.0);
    let kinds =
        [(53, 1_400), (123, 440), (389, 1_400), (1_900, 320), (11_211, 1_400), (19, 1_000), (161, 1_200)];
    let (port, size) = kinds.get(builder.rng.below(7) as usize).copied().unwrap_or((53, 1_400));
    let rate = (builder.setting.rate * builder.near(30.0)).clamp(200.0, 4_000.0);
    let curve = Curve::plateau(window, builder.secs(2.0), rate);
    let networks = builder.abroad(300);
    let seed = builder.rng.next();
    let amplifiers = u64::from(builder.count(1_500.0));
    let pool = Pool::people(networks, amplifiers, seed);
    let group = builder.raw(service, Some(pool), (What::Reflections { port, size }, curve));
    congest(builder, service, window);
    let name = ("attack", "reflection");
    let mut it = episode(service, name, window, "answers of open amplifiers that the service never asked");
    it.causes = vec![cause(name, vec![group], Origins::Nameless)];
    it.within = (10, 60);
    builder.episode(it);
}

/// Half of such floods fill the line, too.
fn congest(builder: &mut Builder, service: usize, (begin, end): Window) {
    if builder.rng.below(2) == 0 {
        let lost = builder.near(0.15);
        builder.fault(service, Fault::Loss(lost), (plus(begin, Span::from_secs(2)), end));
    }
}

/// Streams opened and cancelled.
pub fn h2_rapid_reset(builder: &mut Builder) {
    let window = builder.event_of(150.0);
    let service = builder.service(3.0);
    let sources = builder.rng.between(4, 16) as usize;
    let networks = builder.hosts_somewhere(sources);
    let pool = builder.bots(networks, sources as u64, 1);
    let conduct = Conduct::Rapid(Rapid { period: builder.secs(0.25), burst: builder.count(16.0) });
    let crew = builder.count(24.0);
    let group = builder.stayers(service, pool, (conduct, crew, window));
    let name = ("attack", "h2_reset");
    let mut it = episode(service, name, window, "HTTP/2 streams opened and cancelled at once");
    it.causes = vec![cause(name, vec![group], Origins::Named)];
    if builder.setting.sealed {
        // What happens inside cannot be seen.
        it.also = vec![FLOOD, CONNECTIONS, HEAVY];
        it.unknown_is_right = true;
    }
    it.within = (10, 60);
    builder.episode(it);
}
