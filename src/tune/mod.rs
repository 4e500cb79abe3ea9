//! The rules workbench: plays a rule's own traffic against it. Comes in: rules with their tests. Goes out: which fired
//! when they should, and which did not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::attribute::{Attributor, Country, Home};
use crate::detect::rule::{
    Expect, Mode, Origin, Rule, RuleSet, RuleTest, Seen, SynAnswer, TestTraffic, TrafficKind,
};
use crate::incident::{Incident, State};
use crate::pipeline::{Listener, Pipeline, Quality, Setup};
use crate::service::{Service, ServiceError, Services};
use crate::synth::{Close, HalfOpen, Scenario, Sealed, Streams, SynthError, Traffic, View, per_sec};

/// The address of the service that rules are tested before: one set aside for documentation (RFC 5737).
const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

/// Its port, where the rule is not for services at others.
const PORT: u16 = 80;

/// Streams of an HTTP/2 connection.
const STREAMS: f64 = 100.0;

/// Handshakes that are begun anew on a TLS connection.
const RENEGOTIATIONS: u32 = 50;

/// Small records on a TLS connection of which none is answered.
const HASTY_RECORDS: u32 = 1_000;

/// Where its people are: the rules' tests speak of Korean and other addresses.
const HOME: &str = "KR";

/// The seed of the traffic: any will do, but always the same one.
const SEED: u64 = 1;

/// What one test of a rule came to.
#[derive(Debug, Clone)]
pub struct TestResult {
    /// The rule.
    pub rule: String,
    /// The test.
    pub test: String,
    /// What the rule should do.
    pub expect: Expect,
    /// What it did: the first incident it opened.
    pub fired: Option<Incident>,
}

impl TestResult {
    /// Whether the rule did as it should.
    pub fn passed(&self) -> bool {
        self.fired.is_some() == (self.expect == Expect::Fire)
    }
}

/// Why a test could not be played.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// Its traffic cannot be made.
    #[error("rule '{rule}', test '{test}': {error}")]
    Traffic {
        /// The rule.
        rule: String,
        /// The test.
        test: String,
        /// What is wrong.
        error: Box<SynthError>,
    },
    /// The service it is played before cannot be set up.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Plays one test of a rule: the rule alone, before a service of its own, on nothing but the test's traffic.
pub fn play(rule: &Rule, test: &RuleTest, attributor: &Arc<Attributor>) -> Result<TestResult, TestError> {
    let port = rule.filter.ports.first().copied().unwrap_or(PORT);
    let service = Service::parse(&format!("test={}:{port}", addresses(test)))?;
    // A rule that is only to be observed is tried as if it alerted.
    let alone = Rule { mode: Mode::Alert, ..rule.clone() };
    let rules = RuleSet { rules: vec![alone], ..RuleSet::default() };
    let setup = Setup {
        home: Home::new(Country::parse(HOME).into_iter().collect()),
        ..Setup::of(Services::new(vec![service])?, Arc::clone(attributor), rules)
    };
    let wrong = |error: SynthError| TestError::Traffic {
        rule: rule.id.clone(),
        test: test.name.clone(),
        error: Box::new(error),
    };
    let mut pipeline = Pipeline::new(setup, First::default());
    for frame in scenario(test).frames().map_err(wrong)? {
        pipeline.push(&frame.as_frame());
    }
    let fired = pipeline.finish().listener.0;
    Ok(TestResult { rule: rule.id.clone(), test: test.name.clone(), expect: test.expect, fired })
}

/// Keeps the first incident that opens.
#[derive(Default)]
struct First(Option<Incident>);

impl Listener for First {
    fn told(&mut self, incident: Incident, _: &Quality) {
        if incident.state == State::Open && self.0.is_none() {
            self.0 = Some(incident);
        }
    }
}

/// The addresses of the service: one, unless the test's traffic goes to more.
fn addresses(test: &RuleTest) -> String {
    match test.traffic.iter().any(|traffic| traffic.hosts > 1) {
        true => format!("{ADDRESS}/24"),
        false => ADDRESS.to_string(),
    }
}

fn scenario(test: &RuleTest) -> Scenario {
    let parts = test.traffic.iter().flat_map(|traffic| ends(traffic).map(move |end| (end, traffic)));
    parts.enumerate().fold(Scenario::new(SEED), |scenario, (index, (end, traffic))| {
        scenario.with(part(index, end, traffic))
    })
}

/// Where traffic goes: each port of each address.
fn ends(traffic: &TestTraffic) -> impl Iterator<Item = SocketAddr> {
    let (first, ports) = (traffic.port.unwrap_or(PORT), traffic.ports.max(1));
    (0..traffic.hosts.max(1)).flat_map(move |host| {
        let address = Ipv4Addr::from_bits(ADDRESS.to_bits() + u32::from(host));
        let port = move |port| SocketAddr::new(IpAddr::V4(address), first.saturating_add(port));
        (0..ports).map(port)
    })
}

fn part(index: usize, end: SocketAddr, traffic: &TestTraffic) -> Traffic {
    let part = Traffic::to(end)
        .named(&format!("part {}", index + 1))
        .sources(traffic.sources)
        .start(traffic.start)
        .over(traffic.duration);
    let part = match &traffic.from {
        Origin::Forged => part.forged(),
        Origin::Prefixes(prefixes) => prefixes.iter().fold(part, |part, net| part.within(*net)),
    };
    let part = traffic.wait.into_iter().fold(part, Traffic::wait);
    let part = traffic.body.into_iter().fold(part, |part, bytes| part.body(bytes, bytes));
    let part = traffic.source_port.into_iter().fold(part, Traffic::source_port);
    let every = if traffic.resent > 0.0 { (1.0 / traffic.resent).round() as u32 } else { 0 };
    let part = part.resend_every(every).seen(match traffic.seen {
        Seen::Both => View::BothSides,
        Seen::ToServer => View::ClientSide,
        Seen::ToClient => View::ServerSide,
    });
    let rate = per_sec(traffic.rate / f64::from(traffic.ports.max(1)) / f64::from(traffic.hosts.max(1)));
    match traffic.kind {
        TrafficKind::Requests => asking(part.requests(rate).status(traffic.status), traffic),
        TrafficKind::Drips => part.drips(rate),
        TrafficKind::Strays => asking(part.strays(rate), traffic),
        TrafficKind::Connections => part.connections(rate),
        TrafficKind::Held => part.connections(rate).close(Close::LeftOpen),
        TrafficKind::Syns => part.syns(rate).half_open(answered(traffic.answer)),
        TrafficKind::Initials => part.initials(rate).half_open(answered(traffic.answer)),
        TrafficKind::OutOfState => part.out_of_state(rate),
        TrafficKind::SynAcks => part.syn_acks(rate),
        TrafficKind::Datagrams => part.datagrams(rate),
        TrafficKind::Pings => part.pings(rate),
        TrafficKind::Fragments => part.fragments(rate),
        TrafficKind::Sealed => part.tls(rate),
        TrafficKind::Handshakes => part.sealed(rate, Sealed::Leaves),
        TrafficKind::Renegotiations => {
            let connections = traffic.rate / f64::from(RENEGOTIATIONS);
            part.sealed(per_sec(connections), Sealed::BeginsAnew(RENEGOTIATIONS))
        }
        TrafficKind::HastyRecords => {
            let connections = traffic.rate / f64::from(HASTY_RECORDS);
            part.sealed(per_sec(connections), Sealed::Hurries(HASTY_RECORDS))
        }
        TrafficKind::Streams => part.http2(per_sec(traffic.rate / STREAMS), Streams::Served),
        TrafficKind::Resets => part.http2(per_sec(traffic.rate / STREAMS), Streams::BrokenOff),
    }
}

fn answered(answer: SynAnswer) -> HalfOpen {
    match answer {
        SynAnswer::SynAck => HalfOpen::Unacknowledged,
        SynAnswer::None => HalfOpen::Unanswered,
        SynAnswer::Reset => HalfOpen::Refused,
    }
}

/// With the paths that are asked for.
fn asking(part: Traffic, traffic: &TestTraffic) -> Traffic {
    traffic.paths.iter().fold(part, |part, path| part.path(path))
}
