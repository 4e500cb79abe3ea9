//! The contract's incident, for tests: a procurement site, two foreign prefixes, half a minute.

use std::net::IpAddr;

use super::{Alert, Geo, Pseudonyms, Quality, Surroundings};
use crate::attribute::{Asn, Country};
use crate::detect::Subject;
use crate::detect::rule::{Evidence, Level, Observed, RuleSet};
use crate::flow::ServerEnd;
use crate::incident::{
    Aim, Attack, Attribute, Cause, Condition, Contrast, Exceeded, Flip, Foreign, Health, Incident, Load,
    Opening, Origin, Part, Place, Reason, RuleHit, Sought, State, Unit, Unknown, Unseen, Verdict, Witnesses,
};
use crate::service::{Service, ServiceId, Services};
use crate::time::{TickId, Timestamp, Zone};

/// What surrounds the example, owned.
pub struct Scene {
    pub zone: Zone,
    pub services: Services,
    pub rules: RuleSet,
    pub labels: Vec<String>,
    pub geo: Geo,
    pub organization: fn(IpAddr) -> Option<String>,
    pub pseudonyms: Pseudonyms,
}

impl Scene {
    pub fn new() -> Self {
        let pps = Service {
            name: "pps".to_owned(),
            addresses: vec!["211.34.105.10/32".parse().unwrap(), "2001:220::10/128".parse().unwrap()],
            ports: vec![80, 443],
        };
        Self {
            zone: Zone::named("Asia/Seoul").unwrap(),
            services: Services::new(vec![pps]).unwrap(),
            rules: RuleSet::builtin(),
            labels: vec!["searchbot".to_owned()],
            geo: Geo {
                country_db: "countries".to_owned(),
                build_epoch: 1_780_272_000,
                asn_db: "networks".to_owned(),
                asn_build_epoch: 1_780_272_001,
            },
            organization: |_| Some("Example Net".to_owned()),
            pseudonyms: Pseudonyms::default(),
        }
    }

    pub fn tell<T>(&self, incident: &Incident, then: impl FnOnce(Alert<'_>) -> T) -> T {
        let around = self.around();
        then(Alert::new(incident, &around))
    }

    pub fn around(&self) -> Surroundings<'_> {
        Surroundings {
            sensor: "mirror-1",
            zone: &self.zone,
            services: &self.services,
            rules: &self.rules,
            organization: &self.organization,
            labels: &self.labels,
            geo: &self.geo,
            capture: Quality::default(),
            pseudonyms: &self.pseudonyms,
        }
    }
}

/// 2023-11-23T09:19:20+09:00.
pub const ONSET: i64 = 1_700_698_760;

pub const XX: Country = Country::Code(*b"XX");

pub fn prefix(text: &str, share: f64, rate: f64, sources: u64) -> Origin {
    Origin {
        place: Place::Prefix(text.parse().unwrap()),
        country: XX,
        asn: Some(Asn(64_500)),
        example: text.parse::<ipnet::IpNet>().unwrap().addr(),
        foreign: Some(true),
        share,
        traffic_share: share * 0.87,
        baseline_share: 0.0005,
        rate,
        sources,
        proven: true,
        label: None,
    }
}

pub fn hit(id: &str, metric: &str, limit: f64, observed: Observed) -> RuleHit {
    let seen = match metric {
        "share" => observed.share,
        _ => observed.rate,
    };
    RuleHit {
        id: id.to_owned(),
        rev: 1,
        limit: Some(Exceeded { metric: metric.to_owned(), observed: seen, limit }),
        observed,
    }
}

/// A piece of evidence for the verdict.
pub fn reason(evidence: Evidence, value: f64, expected: Option<f64>) -> Reason {
    Reason { evidence, value, expected, weight: 2.0 }
}

/// Two foreign prefixes ask one page, told as an update twenty seconds in.
pub fn incident() -> Incident {
    let observed = Observed { rate: 2_300.0, share: 0.75, lift: 375.0, ..Observed::default() };
    Incident {
        subject: Subject::Named(ServiceId(0)),
        opened: TickId { epoch: 0, second: ONSET + 9 },
        state: State::Update,
        seq: 1,
        severity: Level::High,
        started: Timestamp::from_secs(ONSET),
        detected: Timestamp::from_secs(ONSET + 10),
        decided: Timestamp::from_secs(ONSET + 20),
        ended: None,
        interrupted: false,
        opening: Opening {
            id: "foreign-concentration".to_owned(),
            sid: 1001,
            rev: 1,
            title: "BONGSU concentrated foreign access".to_owned(),
            category: "Denial of Service".to_owned(),
        },
        verdict: Verdict {
            cause: Cause::Attack(Attack::HttpFlood),
            confidence: 0.93,
            parts: vec![
                Part { cause: Cause::Attack(Attack::HttpFlood), share: 0.87, origins: vec![0, 1] },
                Part { cause: Cause::FlashCrowd, share: 0.13, origins: Vec::new() },
            ],
            reasons: vec![reason(Evidence::Concentration, 0.75, Some(0.001))],
            ..Verdict::default()
        },
        neighbours: Vec::new(),
        foreign: Some(Foreign { concentrated: true, share: 0.76, baseline_share: 0.02 }),
        origins: vec![
            prefix("198.51.100.0/22", 0.62, 1_650.04, 142),
            prefix("203.0.113.0/24", 0.25, 650.0, 70),
        ],
        sought: vec![Sought {
            what: Aim::Path { path: "/bid/list".to_owned(), method: "GET".to_owned() },
            share: 0.91,
            baseline_share: None,
        }],
        contrast: vec![Contrast {
            attribute: Attribute::Country,
            value: "XX".to_owned(),
            share: 0.76,
            baseline_share: 0.02,
            lift: 38.0,
            likelihood: 0.98,
        }],
        load: Load {
            unit: Unit::Requests,
            rate: 3_050.0,
            baseline: Some(400.0),
            without_origins: 749.96,
            knee: None,
            total: 61_000,
        },
        health: Health {
            state: Condition::Degraded,
            failure_ratio: Some(0.38),
            witnesses: Witnesses::Known,
            since: None,
        },
        rules: vec![hit("foreign-concentration", "share", 0.3, observed)],
        end: Some(ServerEnd { address: "211.34.105.10:443".parse().unwrap(), protocol: 6 }),
        sides: crate::aggregate::Sides::Both,
    }
}

/// A forged flood of half-open connections, closed.
pub fn forged() -> Incident {
    let observed = Observed { rate: 2_362.2, share: 0.997, ..Observed::default() };
    Incident {
        state: State::Close,
        seq: 2,
        decided: Timestamp::from_secs(ONSET + 400),
        ended: Some(Timestamp::from_secs(ONSET + 100)),
        opening: Opening {
            id: "forged-syn-flood".to_owned(),
            sid: 1010,
            rev: 1,
            title: "BONGSU SYN flood from forged addresses".to_owned(),
            category: "Denial of Service".to_owned(),
        },
        verdict: Verdict {
            cause: Cause::Attack(Attack::SynFlood),
            confidence: 0.98,
            parts: vec![Part { cause: Cause::Attack(Attack::SynFlood), share: 1.0, origins: Vec::new() }],
            reasons: vec![reason(Evidence::HalfOpen, 0.997, Some(0.0))],
            flips: vec![Flip {
                evidence: Evidence::HalfOpen,
                without: Cause::Unknown(Unknown::InsufficientData),
            }],
            unseen: vec![Unseen::Before],
            ..Verdict::default()
        },
        foreign: Some(Foreign { concentrated: false, share: 0.0, baseline_share: 0.0 }),
        origins: Vec::new(),
        sought: Vec::new(),
        contrast: Vec::new(),
        load: Load {
            unit: Unit::Packets,
            rate: 2_400.0,
            baseline: None,
            without_origins: 2_400.0,
            knee: None,
            total: 240_000,
        },
        health: Health {
            state: Condition::Unknown,
            failure_ratio: None,
            witnesses: Witnesses::Everybody,
            since: None,
        },
        rules: vec![hit("forged-syn-flood", "share", 0.5, observed)],
        ..incident()
    }
}
