//! What grows: scenarios and flags in which one thing grows and all else stays. Makes no packet and runs nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use bongsu::service::Service;
use bongsu::synth::{Scenario, Traffic, per_sec, secs};

/// One thing that grows.
pub struct Series {
    pub heading: &'static str,
    /// What its sizes count.
    pub name: &'static str,
    /// What stays.
    pub what: &'static str,
    pub steps: Vec<Step>,
}

/// One size of it.
pub struct Step {
    pub size: u64,
    pub scenario: Scenario,
    services: Vec<String>,
    /// How many rules, where it is not the shipped ones.
    rules: Option<u64>,
}

/// Everything that grows, in the order of the page.
pub fn all() -> Vec<Series> {
    vec![packets(), incident(), flows(), clients(), services(), rules(), ticks()]
}

impl Step {
    fn of(size: u64, parts: impl IntoIterator<Item = Traffic>) -> Self {
        let scenario = parts.into_iter().fold(Scenario::new(1), Scenario::with);
        Self { size, scenario, services: vec![service(0)], rules: None }
    }

    /// The flags that it is replayed with; a file of rules is written into `folder`.
    pub fn flags(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut flags: Vec<OsString> = ["--home", "KR"].map(OsString::from).to_vec();
        for service in &self.services {
            flags.extend(["-s".into(), service.into()]);
        }
        if let Some(rules) = self.rules {
            let path = folder.join("rules.yaml");
            fs::write(&path, (0..rules).map(rule).collect::<String>())?;
            flags.extend(["-S".into(), path.into()]);
        }
        Ok(flags)
    }
}

fn service(number: u64) -> String {
    format!("web{number}=203.0.{}.{}:80", 113 + number / 250, 1 + number % 250)
}

/// Where people at home are, and where those abroad are.
const HOME: [&str; 2] = ["121.128.0.0/10", "211.32.0.0/11"];
const ABROAD: [&str; 1] = ["24.0.0.0/10"];

/// Requests to service `number` from that many clients at home.
fn requests(number: u64, per_second: f64, clients: u32) -> Traffic {
    from(&HOME, number, per_second, clients)
}

fn from(prefixes: &[&str], number: u64, per_second: f64, clients: u32) -> Traffic {
    let text = service(number);
    let service = Service::parse(&text).unwrap_or_else(|error| unreachable!("{text}: {error}"));
    let part = Traffic::to(&service).named(&format!("web{number}"));
    let part = prefixes.iter().fold(part, |part, prefix| part.from(prefix));
    part.sources(clients)
        .requests(per_sec(per_second))
        .per_connection(3)
        .path_weighted("/static/css/item{n}.html", 1)
        .path_weighted("/api/item{n}", 1)
}

fn packets() -> Series {
    let step = |long: u64| Step::of(long, [requests(0, 400.0, 2_000).over(secs(long))]);
    Series {
        heading: "Packets",
        name: "seconds of traffic",
        what: "400 requests a second from 2,000 clients, for longer and longer.",
        steps: [20, 40, 80, 160].map(step).into(),
    }
}

fn incident() -> Series {
    let step = |long: u64| {
        let foreign = from(&ABROAD, 0, 200.0, 1_000).named("abroad");
        Step::of(long, [requests(0, 200.0, 1_000).over(secs(long)), foreign.over(secs(long))])
    };
    Series {
        heading: "Packets while an incident is open",
        name: "seconds of traffic",
        what: "The same, half of it from abroad: an incident is open from the first seconds to the end.",
        steps: [20, 40, 80, 160].map(step).into(),
    }
}

fn flows() -> Series {
    let step = |per_connection: u32| {
        let part = requests(0, 600.0, 2_000).per_connection(per_connection).over(secs(60));
        Step::of(36_000 / u64::from(per_connection), [part])
    };
    Series {
        heading: "Flows",
        name: "connections",
        what: "600 requests a second from 2,000 clients for a minute, on more and more connections.",
        steps: [24, 6, 2, 1].map(step).into(),
    }
}

fn clients() -> Series {
    let step = |clients: u32| {
        let part = requests(0, 600.0, clients).per_connection(1).over(secs(60));
        Step::of(u64::from(clients), [part])
    };
    Series {
        heading: "Clients",
        name: "clients",
        what: "600 connections a second with a request each for a minute, from more and more clients.",
        steps: [30, 300, 3_000, 30_000].map(step).into(),
    }
}

fn services() -> Series {
    let step = |services: u64| {
        let each = |number| requests(number, 512.0 / services as f64, 2_048 / services as u32).over(secs(60));
        let step = Step::of(services, (0..services).map(each));
        Step { services: (0..services).map(service).collect(), ..step }
    };
    Series {
        heading: "Services",
        name: "services",
        what: "512 requests a second from 2,048 clients for a minute, spread over more and more named services.",
        steps: [1, 4, 16, 64, 256].map(step).into(),
    }
}

fn rules() -> Series {
    let step = |rules: u64| {
        let step = Step::of(rules, [requests(0, 512.0, 2_048).over(secs(60))]);
        Step { rules: Some(rules), ..step }
    };
    Series {
        heading: "Rules",
        name: "rules",
        what: "512 requests a second from 2,048 clients for a minute, judged by more and more rules of which none holds: of \
               sources, prefixes, networks, countries and the service, over 10 and 60 s.",
        steps: [10, 100, 1_000].map(step).into(),
    }
}

fn ticks() -> Series {
    let step = |long: u64| {
        let part = requests(0, 18_000.0 / long as f64, 2_000).over(secs(long));
        Step::of(long, [part])
    };
    Series {
        heading: "Ticks",
        name: "seconds",
        what: "18,000 requests from 2,000 clients over a longer and longer time.",
        steps: [60, 600, 3_600].map(step).into(),
    }
}

/// A rule of its own number: another grouping, measure, window and limit each time.
fn rule(number: u64) -> String {
    let pick = |choices: &[&'static str], every: u64| choices[(number / every) as usize % choices.len()];
    let group_by = pick(&["source", "prefix", "asn", "country", "service"], 1);
    let measure = pick(&["accesses", "packets"], 5);
    let timespan = pick(&["10s", "60s"], 10);
    let limit = 1_000 + number;
    format!(
        "- id: grown-{number}\n  sid: {sid}\n  rev: 1\n  title: rule {number}\n  category: Misc activity\n  level: low\n  \
         description: one of many\n  group_by: {group_by}\n  where: {{traffic: own}}\n  measure: {measure}\n  \
         timespan: {timespan}\n  when:\n    rate: {{gte: {limit}/s}}\n",
        sid = 100_000 + number,
    )
}
