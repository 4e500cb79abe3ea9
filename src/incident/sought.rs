//! What clients asked for: paths with their methods where requests can be read, server names where TLS hides them,
//! ports where it went beside the service. Comes in: rows since the onset and before it. Goes out: [`Sought`], what sets
//! it apart first.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Origin;
use super::cohort::LEAST_BEFORE;
use super::contrast::{Beside, LEAST_COUNT, lift, told_by};
use crate::attribute::Country;
use crate::detect::Window;
use crate::detect::rule::Traffic;
use crate::flow::template_of;

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Sought {
    /// What it is.
    pub what: Aim,
    /// Its part of what the origins' countries asked for in that way: of requests, of hellos; of packets to ports.
    pub share: f64,
    /// Its part of all that was asked for in that way in the minute before; `None` where too little was seen.
    pub baseline_share: Option<f64>,
}

/// A thing that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    /// A path, by HTTP requests.
    Path {
        /// The path without its query.
        path: String,
        /// The method.
        method: String,
    },
    /// The server name of TLS and QUIC hellos, in lower case; empty where they name none.
    ServerName(String),
    /// A port beside the service; 0 where the protocol has none.
    Port {
        /// The port.
        port: u16,
        /// The IP protocol number, as in [`ServerEnd`](crate::flow::ServerEnd).
        protocol: u8,
    },
}

impl Sought {
    /// How many times its part before.
    pub fn lift(&self) -> Option<f64> {
        self.baseline_share.map(|before| lift(self.share, before))
    }
}

/// Things that are told.
const MOST_SOUGHT: usize = 5;

/// What has less than this part of what is asked for in its way is not told.
const LEAST_SOUGHT: f64 = 0.05;

/// Two of the names that something has: what differs in identifiers only is one.
type Names<'a> = BTreeSet<Cow<'a, str>>;

/// How often something was asked for, and by which names, by what it is.
type Asked<'a, K> = HashMap<K, (u64, Names<'a>), RandomState>;

/// A method and the template of a path.
type PathKind<'a> = (&'a str, Cow<'a, str>);

impl<'a> Beside<'a> {
    /// What the origins' countries asked for, everybody where there are no origins: what sets it apart first.
    pub fn sought(&self, origins: &[Origin]) -> Vec<Sought> {
        let countries: BTreeSet<Country> = origins.iter().map(|row| row.country).collect();
        let (now, before, all) = (self.window, &self.ordinary.window, BTreeSet::new());
        let path = |(method, kind): PathKind<'a>, names: Names<'a>| Aim::Path {
            path: told_as(&kind, &names),
            method: method.to_owned(),
        };
        let name = |kind: Cow<'a, str>, names: Names<'a>| Aim::ServerName(told_as(&kind, &names));
        let mut sought = ranked(paths(now, &countries), &paths(before, &all), path);
        sought.extend(ranked(names(now, &countries), &names(before, &all), name));
        if self.traffic == Traffic::Beside {
            sought.extend(ranked(ports(now), &ports(before), |(protocol, port), _| Aim::Port {
                port,
                protocol,
            }));
        }
        let told = |one: &Sought| told_by(one.share, one.baseline_share.unwrap_or(LEAST_BEFORE));
        sought
            .sort_by(|one, other| told(other).total_cmp(&told(one)).then_with(|| one.what.cmp(&other.what)));
        sought.truncate(MOST_SOUGHT);
        sought
    }
}

/// What has a notable part of all that was asked for in one way.
fn ranked<'a, K: Eq + Hash>(
    now: Asked<'a, K>,
    before: &Asked<'a, K>,
    aim: impl Fn(K, Names<'a>) -> Aim,
) -> Vec<Sought> {
    let whole_of = |asked: &Asked<'a, K>| asked.values().map(|(sum, _)| sum).sum::<u64>();
    let (whole, whole_before) = (whole_of(&now), whole_of(before));
    let row = |(kind, (count, names)): (K, (u64, Names<'a>))| {
        let earlier = before.get(&kind).map_or(0, |(sum, _)| *sum);
        let baseline_share = (whole_before >= LEAST_COUNT).then(|| earlier as f64 / whole_before as f64);
        Sought { what: aim(kind, names), share: count as f64 / whole.max(1) as f64, baseline_share }
    };
    now.into_iter().map(row).filter(|sought| sought.share >= LEAST_SOUGHT).collect()
}

/// Where something has but one name, it is told by that.
fn told_as(kind: &str, names: &Names<'_>) -> String {
    match names.first() {
        Some(only) if names.len() == 1 => only.clone().into_owned(),
        _ => kind.to_owned(),
    }
}

/// Adds to what was asked for. Rows come in no order: the lowest two names stay.
fn add<'a, K: Eq + Hash>(asked: &mut Asked<'a, K>, kind: K, (name, count): (Cow<'a, str>, u64)) {
    let (sum, names) = asked.entry(kind).or_default();
    *sum += count;
    if names.len() < 2 || names.last().is_some_and(|last| name < *last) {
        names.insert(name);
    }
    if names.len() > 2 {
        names.pop_last();
    }
}

/// Whether clients of a country are asked about: of all where none is named.
fn is_of(countries: &BTreeSet<Country>, country: Country) -> bool {
    countries.is_empty() || countries.contains(&country)
}

fn paths<'a>(window: &'a Window, countries: &BTreeSet<Country>) -> Asked<'a, PathKind<'a>> {
    let mut asked = Asked::default();
    for (key, count) in window.paths.iter().filter(|(key, _)| is_of(countries, key.country)) {
        add(&mut asked, (&*key.method, template_of(&key.path)), (Cow::from(&*key.path), *count));
    }
    asked
}

fn names<'a>(window: &'a Window, countries: &BTreeSet<Country>) -> Asked<'a, Cow<'a, str>> {
    let mut asked = Asked::default();
    for (key, count) in window.names.iter().filter(|(key, _)| is_of(countries, key.country)) {
        let name = lower_case(&key.name);
        add(&mut asked, kind_of(&name), (name, *count));
    }
    asked
}

fn ports(window: &Window) -> Asked<'_, (u8, u16)> {
    let mut asked = Asked::default();
    for (end, count) in &window.ends {
        add(&mut asked, (end.protocol, end.address.port()), (Cow::from(""), *count));
    }
    asked
}

/// Names differ in no letter's case (RFC 4343).
pub(super) fn lower_case(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// A server name with its identifiers folded, as in paths: random names below one domain are one.
pub(super) fn kind_of<'a>(name: &Cow<'a, str>) -> Cow<'a, str> {
    match name {
        Cow::Borrowed(name) => template_of(name),
        Cow::Owned(name) => Cow::Owned(template_of(name).into_owned()),
    }
}
