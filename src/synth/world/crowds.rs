//! Stories with crowds: people, many more of them than usual, alone or with company.

use super::build::{Builder, Window, cause, episode};
use super::curve::Curve;
use super::people::{Pool, Turnout};
use super::plan::{Origins, Press, Script, Temper, Visit};
use crate::time::Span;

const CROWD: (&str, &str) = ("flash_crowd", "");
const FLOOD: (&str, &str) = ("attack", "http_flood");
const HEAVY: (&str, &str) = ("heavy_client", "");
const MIXED: (&str, &str) = ("mixed", "");

/// Adds people from home networks who want one page most, `times` the ordinary rate on top of it.
fn crowd(builder: &mut Builder, service: usize, window: Window, (times, rise): (f64, f64)) -> usize {
    let rate = builder.setting.rate;
    let mut networks = builder.networks_of(0);
    networks.extend(builder.home_networks().into_iter().take(6));
    networks.dedup();
    // A third of the crowd are regulars, the rest come for once, mostly from networks that are known.
    let mut pool = Pool::people(networks, (rate * 600.0) as u64 + 400, builder.seed_of(0));
    if builder.rng.below(2) == 0 {
        pool.turnout = Turnout::Even;
    }
    let visit = hurried(builder);
    let rise = builder.secs(rise);
    let curve = Curve::plateau(window, rise, 1.0).wandering(&mut builder.rng);
    builder.visits(service, pool, (visit, rate * times, &curve))
}

/// People who came for something that ends soon.
fn hurried(builder: &mut Builder) -> Visit {
    let focus = (builder.rng.below(4) as usize, builder.near(0.5));
    let visit = builder.usual_visit();
    Visit { focus: Some(focus), think: builder.secs(7.0), reloads: builder.rng.between(2, 5) as u8, ..visit }
}

/// Six to eight times the ordinary load, and nobody is hurt.
pub fn healthy_crowd(builder: &mut Builder) {
    let window = builder.event_of(240.0);
    let service = builder.service(16.0);
    let times = 5.6 + builder.rng.unit() * 1.8;
    let crowd = crowd(builder, service, window, (times, 50.0));
    let mut it = episode(service, CROWD, window, "a domestic crowd, borne well");
    it.causes = vec![cause(CROWD, vec![crowd], Origins::Nameless)];
    it.silence_is_right = true;
    it.within = (60, 60);
    builder.episode(it);
}

/// Six times the ordinary load, more than the server bears.
pub fn flash_crowd(builder: &mut Builder) {
    let window = builder.event_of(260.0);
    let service = builder.service(2.6);
    let times = builder.near(5.0);
    let crowd = crowd(builder, service, window, (times, 60.0));
    let mut it = episode(service, CROWD, window, "a domestic crowd that the server does not bear");
    it.causes = vec![cause(CROWD, vec![crowd], Origins::Nameless)];
    // The server breaks where the rising crowd passes what it bears.
    it.within = (90, 60);
    builder.episode(it);
}

/// Domestic people and the foreign press, all with browsers.
pub fn national_event(builder: &mut Builder) {
    let window = builder.event_of(260.0);
    let service = builder.service(3.0);
    let times = builder.near(3.0);
    let at_home = crowd(builder, service, window, (times, 60.0));
    let abroad = builder.abroad(400);
    let rate = builder.setting.rate;
    let pool = Pool::people(abroad, (rate * 300.0) as u64 + 200, builder.rng.next());
    let visit = hurried(builder);
    let share = builder.near(0.5);
    let curve = Curve::plateau(window, builder.secs(70.0), 1.0).wandering(&mut builder.rng);
    let press = builder.visits(service, pool, (visit, rate * share, &curve));
    let mut it = episode(service, CROWD, window, "a crowd at home and from everywhere abroad");
    it.causes = vec![cause(CROWD, vec![at_home, press], Origins::Nameless)];
    it.unknown_is_right = builder.setting.sealed;
    it.within = (90, 60);
    builder.episode(it);
}

/// A crowd hides a flood on one page.
pub fn crowd_with_flood(builder: &mut Builder) {
    let window = builder.event_of(240.0);
    let service = builder.service(4.5);
    let times = builder.near(3.0);
    let crowd = crowd(builder, service, window, (times, 50.0));
    let networks = builder.prefixes_somewhere(22, 2);
    let pool = builder.bots(networks, 0, 1);
    let press = builder.flood_press(0.8);
    let rate = builder.setting.rate * builder.near(1.8);
    let curve = Curve::plateau(window, builder.secs(6.0), 1.0);
    let flood = builder.presses(service, pool, (press, rate, curve));
    let mut it =
        episode(service, MIXED, window, "a domestic crowd, and a flood from one foreign network in it");
    it.causes = vec![cause(CROWD, vec![crowd], Origins::Nameless), cause(FLOOD, vec![flood], Origins::Named)];
    it.within = (30, 90);
    builder.episode(it);
}

/// 23 November 2023 as it was told later: a deadline, and one heavy foreign address.
pub fn founding_case(builder: &mut Builder) {
    let window = builder.event_of(280.0);
    let service = builder.service(3.6);
    founding_episode(builder, service, window, builder.setting.rate);
}

/// The same within a longer story.
pub fn founding_episode(builder: &mut Builder, service: usize, window: Window, rate: f64) {
    let usual = builder.setting.rate;
    let times = builder.near(1.3) * rate / usual;
    let crowd = crowd(builder, service, window, (times, 45.0));
    let address = builder.hosts_somewhere(1);
    let pool = builder.scripts(address, 1);
    let press = Press {
        period: Span::from_millis(40),
        per_connection: builder.count(60.0),
        // It does not care whether it is answered.
        lanes: u8::MAX,
        timeout: builder.secs(2.5),
        script: Script::Pages,
        temper: Temper::Stubborn,
    };
    let heavy_rate = rate * builder.near(1.25);
    let curve = Curve::plateau(window, builder.secs(10.0), 1.0);
    let press = Press { period: Span::from_nanos((1e9 / heavy_rate) as u64), ..press };
    let heavy = builder.presses(service, pool, (press, heavy_rate, curve));
    let note = "a deadline crowd and one heavy foreign address of unproven intent";
    let mut it = episode(service, MIXED, window, note);
    it.causes = vec![cause(CROWD, vec![crowd], Origins::Nameless), cause(HEAVY, vec![heavy], Origins::Named)];
    it.within = (30, 90);
    builder.episode(it);
}
