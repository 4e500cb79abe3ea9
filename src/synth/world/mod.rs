//! A world in small: people, crawlers, gateways, programs and a server that can only bear so much, played as discrete
//! events. A scenario's name and a seed come in; real packets in order of time go out, and what is true of them.
//! Everything else (addresses, rates, sizes, moments) is drawn by the seed, around usual values. Nothing is held but
//! what is under way; the same story gives the same bytes on every machine.
//!
//! ```
//! use bongsu::synth::world::Story;
//!
//! let story = Story::named("http-flood")?.seed(7).rate(8.0).cold();
//! let mut frames = story.frames();
//! assert!(frames.by_ref().take(1_000).count() == 1_000);
//! # Ok::<(), bongsu::synth::world::UnknownScenario>(())
//! ```

mod actor;
mod build;
mod burden;
mod calm;
mod conn;
mod count;
mod crowds;
mod curve;
mod engine;
mod exchange;
mod faults;
mod floods;
mod frames;
mod hello;
mod holder;
mod looks;
pub mod networks;
mod november;
mod packet;
mod people;
mod plan;
mod presser;
mod quiet;
mod raw;
mod server;
mod site;
mod tcp;
mod truth;
mod visitor;

#[cfg(test)]
mod tests;

use build::{Builder, Setting};

pub use frames::Frames;
pub use truth::{Episode, Origin, TrueCause, TrueEvent, TrueLabel, TrueService, Truth, Verdict};

/// A scenario with all that can be chosen of it.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    scenario: &'static Scenario,
    setting: Setting,
}

/// A scenario that can be told.
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    write: fn(&mut Builder),
}

/// There is no scenario of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario {name:?}; the nearest is {nearest:?}, `bongsu synth --list` explains all")]
pub struct UnknownScenario {
    /// The name that was asked for.
    pub name: String,
    /// The one that looks most like it.
    pub nearest: &'static str,
}

/// The requests per second of ordinary traffic, unless told.
pub const USUAL_RATE: f64 = 30.0;
/// The least and the most that can be told.
pub const RATES: (f64, f64) = (1.0, 1_000.0);
/// How far every parameter is drawn from its usual value, unless told.
pub const USUAL_JITTER: f64 = 0.3;

const fn scenario(name: &'static str, about: &'static str, write: fn(&mut Builder)) -> Scenario {
    Scenario { name, about, write }
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    scenario(
        "benign-day",
        "ordinary traffic: a slope of the day, a busy gateway, a labelled CDN, or a declared event, by seed",
        calm::benign_day,
    ),
    scenario(
        "nat-and-cdn",
        "a carrier's gateway and a labelled CDN hold half of the load and double together",
        calm::nat_and_cdn,
    ),
    scenario(
        "crawler",
        "a labelled search engine reads the site at half of the ordinary load",
        calm::crawler,
    ),
    scenario(
        "maintenance",
        "planned work in the calendar: 503 to everyone, only within its window",
        calm::maintenance,
    ),
    scenario(
        "healthy-crowd",
        "six to eight times as many domestic visitors as usual, and a server that bears them",
        crowds::healthy_crowd,
    ),
    scenario(
        "flash-crowd",
        "six times as many domestic visitors as usual; the server is overloaded and people reload",
        crowds::flash_crowd,
    ),
    scenario(
        "national-event",
        "four times the domestic visitors and ten times the foreign ones, from everywhere",
        crowds::national_event,
    ),
    scenario(
        "crowd-with-flood",
        "a domestic crowd hides a flood from one foreign network on one page",
        crowds::crowd_with_flood,
    ),
    scenario(
        "founding-case",
        "a deadline crowd and one heavy foreign address together exceed what the server bears",
        crowds::founding_case,
    ),
    scenario(
        "http-flood",
        "programs in two prefixes of one foreign network ask for one page",
        floods::http_flood,
    ),
    scenario(
        "quiet-flood",
        "the same at only one to two times the ordinary load on top of it",
        floods::quiet_flood,
    ),
    scenario(
        "keepalive-flood",
        "few sources with few connections and very many requests on each",
        floods::keepalive_flood,
    ),
    scenario(
        "distributed-flood",
        "very many sources in many countries, each asking rarely",
        floods::distributed_flood,
    ),
    scenario("ramp", "a flood from new networks that grows minute by minute", floods::ramp),
    scenario("pulse", "a flood of ten seconds in every minute", floods::pulse),
    scenario("syn-flood", "SYNs from forged addresses fill the handshake", floods::syn_flood),
    scenario("udp-flood", "UDP datagrams to the service's address congest the line", floods::udp_flood),
    scenario("reflection", "answers of open amplifiers that the service never asked", floods::reflection),
    scenario(
        "h2-rapid-reset",
        "HTTP/2 streams opened and cancelled at once, thousands a second",
        floods::h2_rapid_reset,
    ),
    scenario("slowloris", "request heads that never end hold the workers", quiet::slowloris),
    scenario("slow-post", "request bodies that never end hold the workers", quiet::slow_post),
    scenario("path-scan", "one source tries paths that are not there", quiet::path_scan),
    scenario(
        "distributed-scan",
        "thirty sources try paths that are not there, each once a minute",
        quiet::distributed_scan,
    ),
    scenario("port-scan", "one source tries the ports of the service's address", quiet::port_scan),
    scenario("login-brute-force", "one source guesses passwords", quiet::login_brute_force),
    scenario(
        "credential-stuffing",
        "very many sources try stolen passwords, each rarely",
        quiet::credential_stuffing,
    ),
    scenario(
        "fake-crawler",
        "somebody reads the whole site under a search engine's name from elsewhere",
        quiet::fake_crawler,
    ),
    scenario(
        "server-down",
        "the server stops answering: silence or a closed port, by seed",
        faults::server_down,
    ),
    scenario("server-down-silent", "the server does not send a packet any more", faults::server_down_silent),
    scenario("server-down-rst", "the server refuses every connection", faults::server_down_rst),
    scenario("server-stuck", "the server's system accepts, its program reads nothing", faults::server_stuck),
    scenario(
        "slow-backend",
        "pages wait for a backend for seconds, a part of them fails, people reload",
        faults::slow_backend,
    ),
    scenario(
        "maintenance-overrun",
        "planned work that does not end with its window",
        faults::maintenance_overrun,
    ),
    scenario(
        "large-packet-loss",
        "segments of full size are lost on the way out, small ones are not",
        faults::large_packet_loss,
    ),
    scenario(
        "one-way-mirror",
        "the mirror shows one direction and loses packets; the service is well",
        faults::one_way_mirror,
    ),
    scenario(
        "november-2023",
        "four services in half an hour: four failures with four causes, and one foreign flood",
        november::november_2023,
    ),
];

impl Story {
    /// The scenario of that name, with usual settings and seed 1.
    ///
    /// # Errors
    /// [`UnknownScenario`] with the nearest name.
    pub fn named(name: &str) -> Result<Self, UnknownScenario> {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        let scenario =
            found.ok_or_else(|| UnknownScenario { name: name.to_owned(), nearest: nearest(name) })?;
        Ok(Self { scenario, setting: Setting::default() })
    }

    /// Its scenario.
    pub const fn scenario(&self) -> &'static Scenario {
        self.scenario
    }

    /// Another seed: other addresses, rates, sizes and moments.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.setting.seed = seed;
        self
    }

    /// Ordinary requests per second, cut to [`RATES`].
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.setting.rate = rate.clamp(RATES.0, RATES.1);
        self
    }

    /// How far every parameter is drawn from its usual value: 0.3 means up to 30 % either way; cut to 0..0.9.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.setting.jitter = jitter.clamp(0.0, 0.9);
        self
    }

    /// Over TLS.
    #[must_use]
    pub const fn sealed(mut self) -> Self {
        self.setting.sealed = true;
        self
    }

    /// With less than a minute of ordinary traffic before the event.
    #[must_use]
    pub const fn cold(mut self) -> Self {
        self.setting.cold = true;
        self
    }

    /// The frames in order of time; they know the truth when they are used up.
    pub fn frames(&self) -> Frames {
        let mut builder = Builder::new(self.scenario.name, self.setting);
        (self.scenario.write)(&mut builder);
        Frames::of(builder.finish())
    }

    /// The truth, found by playing the whole story.
    pub fn truth(&self) -> Truth {
        let mut frames = self.frames();
        frames.by_ref().for_each(drop);
        frames.truth()
    }
}

/// The name that shares the most letters in order at its begin and end.
fn nearest(name: &str) -> &'static str {
    let alike = |scenario: &Scenario| {
        let both = |ours: &mut dyn Iterator<Item = char>, theirs: &mut dyn Iterator<Item = char>| {
            ours.zip(theirs).take_while(|(one, other)| one == other).count()
        };
        both(&mut scenario.name.chars(), &mut name.chars())
            + both(&mut scenario.name.chars().rev(), &mut name.chars().rev())
    };
    SCENARIOS.iter().rev().max_by_key(|scenario| alike(scenario)).map_or("", |scenario| scenario.name)
}
