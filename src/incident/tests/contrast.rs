//! What sets traffic apart from the minute before, and the load but for each cause.

use crate::aggregate::{Count, Fingerprint, MakeKey, NameKey, PathKey, ScopeTick};
use crate::attribute::{Country, Home};
use crate::detect::rule::{Measure, Traffic};
use crate::detect::{Before, Needs, Window};
use crate::flow::ServerEnd;
use crate::incident::contrast::{Beside, Ordinary};
use crate::incident::origins::Scale;
use crate::incident::{Aim, Attribute, Contrast, Sought};

const KR: Country = Country::Code(*b"KR");
const US: Country = Country::Code(*b"US");

/// A second in which so many ask for this with that.
fn second(rows: &[(Country, &str, &str, u64)]) -> ScopeTick {
    let mut tick = ScopeTick::default();
    for (country, path, agent, count) in rows {
        let path = PathKey { country: *country, method: "GET".into(), path: (*path).into() };
        tick.paths.push((path, *count));
        let fingerprint = Fingerprint::UserAgent((*agent).into());
        tick.makes.push((MakeKey { country: *country, fingerprint }, *count));
        tick.counts[Count::Accesses] += *count;
    }
    tick
}

/// Ten seconds of `now` after a minute of `before`.
fn told(now: &ScopeTick, before: &ScopeTick) -> (Vec<Contrast>, Vec<Sought>) {
    told_of(Traffic::Own, now, before)
}

fn told_of(traffic: Traffic, now: &ScopeTick, before: &ScopeTick) -> (Vec<Contrast>, Vec<Sought>) {
    let ordinary = Ordinary::of(std::iter::repeat_n(before, 60), 60.0);
    let mut window = Window::new(Needs::ALL);
    (0..10).for_each(|_| window.enter(now));
    let (level, home) = (Before::default(), Home::new(vec![KR]));
    let scale = Scale {
        measure: Measure::Accesses,
        told: Measure::Accesses,
        seconds: 10.0,
        before: &level,
        excess: 1.0,
        total: window.counts[Count::Accesses] as f64,
        home: &home,
        coverage: 1.0,
    };
    let beside = Beside { window: &window, ordinary: &ordinary, scale: &scale, traffic };
    (beside.contrast(), beside.sought(&[]))
}

fn get(path: &str) -> Aim {
    Aim::Path { path: path.to_owned(), method: "GET".to_owned() }
}

fn aims(sought: &[Sought]) -> Vec<Aim> {
    sought.iter().map(|one| one.what.clone()).collect()
}

/// A second with so many hellos for these names.
fn hellos(rows: &[(Country, &str, u64)]) -> ScopeTick {
    let mut tick = ScopeTick::default();
    for (country, name, count) in rows {
        tick.names.push((NameKey { country: *country, name: (*name).into() }, *count));
        tick.counts[Count::Accesses] += *count;
    }
    tick
}

const USUALLY: [(Country, &str, &str, u64); 3] =
    [(KR, "/", "browser", 6), (KR, "/list", "browser", 3), (KR, "/item/17", "browser", 1)];

#[test]
fn what_bots_ask_for_and_with_what_stands_first() {
    let flood = [(US, "/list", "bot", 90)];
    let now = second(&[USUALLY.as_slice(), &flood].concat());
    let (contrast, sought) = told(&now, &second(&USUALLY));
    let rows: Vec<_> = contrast.iter().map(|row| (row.attribute, row.value.as_str())).collect();
    assert_eq!(rows, [(Attribute::UserAgent, "bot"), (Attribute::Path, "/list")]);
    let [bot, list] = contrast.as_slice() else { panic!("{contrast:?}") };
    assert!((bot.share - 0.9).abs() < 1e-9 && bot.baseline_share == 0.0 && bot.likelihood == 1.0, "{bot:?}");
    assert!((list.baseline_share - 0.3).abs() < 1e-9 && (list.lift - 3.1).abs() < 1e-9, "{list:?}");
    assert!((list.likelihood - 0.967_741).abs() < 1e-4, "{list:?}");
    assert_eq!(sought.first().map(|one| &one.what), Some(&get("/list")));
}

#[test]
fn a_page_that_was_always_asked_for_most_comes_after_one_that_was_not() {
    let now = second(&[(KR, "/", "browser", 60), (KR, "/deadline", "browser", 40)]);
    let (_, sought) = told(&now, &second(&USUALLY));
    assert_eq!(aims(&sought), [get("/deadline"), get("/")]);
    assert_eq!(sought[0].baseline_share, Some(0.0));
    assert!(sought[1].lift().is_some_and(|lift| (lift - 1.0).abs() < 1e-9), "{sought:?}");
}

#[test]
fn more_of_the_same_sets_nothing_apart() {
    let crowd = second(&USUALLY.map(|(country, path, agent, count)| (country, path, agent, 7 * count)));
    assert_eq!(told(&crowd, &second(&USUALLY)).0, []);
}

#[test]
fn without_a_minute_before_nothing_is_contrasted() {
    let (contrast, sought) = told(&second(&USUALLY), &ScopeTick::default());
    assert_eq!(contrast, []);
    assert!(sought.iter().all(|one| one.baseline_share.is_none() && one.lift().is_none()), "{sought:?}");
}

#[test]
fn where_tls_hides_paths_the_server_name_tells_what_is_sought() {
    let people = [(KR, "www.example", 8), (KR, "img.example", 2)];
    let flood = [(US, "API.example", 60), (US, "api.example", 30)];
    let (contrast, sought) = told(&hellos(&[people, flood].concat()), &hellos(&people));
    assert_eq!(
        aims(&sought),
        [Aim::ServerName("api.example".to_owned()), Aim::ServerName("www.example".to_owned())]
    );
    assert!((sought[0].share - 0.9).abs() < 1e-9 && sought[0].baseline_share == Some(0.0), "{sought:?}");
    let rows: Vec<_> = contrast.iter().map(|row| (row.attribute, row.value.as_str())).collect();
    assert_eq!(rows, [(Attribute::ServerName, "api.example")]);
}

#[test]
fn who_names_no_server_and_who_names_ever_new_ones_are_told() {
    let nameless = hellos(&[(KR, "www.example", 8), (US, "", 72)]);
    let (_, sought) = told(&nameless, &hellos(&[(KR, "www.example", 8)]));
    assert_eq!(sought[0].what, Aim::ServerName(String::new()));
    let random: Vec<String> = (0..90).map(|n| format!("4f{:08x}.example", n * 7_919)).collect();
    let rows: Vec<_> = random.iter().map(|name| (US, name.as_str(), 1)).collect();
    let (_, sought) = told(&hellos(&rows), &hellos(&[(KR, "www.example", 8)]));
    assert_eq!(aims(&sought), [Aim::ServerName("*.example".to_owned())]);
}

#[test]
fn beside_a_service_ports_are_sought() {
    let mut tick = ScopeTick::default();
    for (port, protocol, count) in [(53, 17, 95), (80, 6, 3)] {
        let address = std::net::SocketAddr::from(([192, 0, 2, 1], port));
        tick.ends.push((ServerEnd { address, protocol }, count));
    }
    let (_, sought) = told_of(Traffic::Beside, &tick, &ScopeTick::default());
    assert_eq!(aims(&sought), [Aim::Port { port: 53, protocol: 17 }]);
    assert_eq!(told(&tick, &ScopeTick::default()).1, []);
}
