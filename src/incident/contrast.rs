//! What sets an incident's traffic apart from the minute before it: attribute by attribute, its part now and then. Comes in:
//! rows since the onset and before it. Goes out: [`Contrast`], what tells most first.

use std::borrow::Cow;
use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::cohort::LEAST_BEFORE;
use super::origins::Scale;
use super::sought::{kind_of, lower_case};
use super::{Attribute, Contrast};
use crate::aggregate::{Fingerprint, ScopeTick};
use crate::attribute::{Asn, Country};
use crate::detect::rule::Traffic;
use crate::detect::{Key, Needs, Window, of_cell};
use crate::flow::template_of;

/// The traffic of the seconds before an onset.
#[derive(Debug)]
pub(super) struct Ordinary {
    pub window: Window,
    seconds: f64,
}

/// Rows of a contrast table, and of one attribute: it is to be read at a glance.
const MOST_ROWS: usize = 8;
const MOST_OF_ONE: usize = 2;

/// What has less of the traffic than this, or is not so many times what it was, sets nothing apart.
const LEAST_SHARE: f64 = 0.1;
const LEAST_LIFT: f64 = 2.0;

/// Fewer before tell nothing.
pub(super) const LEAST_COUNT: u64 = 20;

impl Ordinary {
    /// What moved in these ticks, which span so many seconds.
    pub fn of<'a>(ticks: impl Iterator<Item = &'a ScopeTick>, seconds: f64) -> Self {
        let needs = Needs { paths: true, makes: true, names: true, ends: true, ..Needs::default() };
        let mut window = Window::new(needs);
        ticks.for_each(|tick| window.enter(tick));
        Self { window, seconds }
    }
}

/// How much of something there is, by what it is: many things, where who floods asks for another one each time.
type Counts<'a> = HashMap<Cow<'a, str>, u64, RandomState>;

/// What an incident's rows show beside those before it.
pub(super) struct Beside<'a> {
    pub window: &'a Window,
    pub ordinary: &'a Ordinary,
    pub scale: &'a Scale<'a>,
    /// Which of the service's traffic it is.
    pub traffic: Traffic,
}

impl<'a> Beside<'a> {
    /// What is much more of the traffic than it was, what tells most first.
    pub fn contrast(&self) -> Vec<Contrast> {
        let mut rows = self.places();
        let (now, before) = (self.window, &self.ordinary.window);
        let attributes = [
            (Attribute::UserAgent, agents(now), agents(before)),
            (Attribute::Ja4, hellos(now), hellos(before)),
            (Attribute::ServerName, names(now), names(before)),
            (Attribute::Method, methods(now), methods(before)),
            (Attribute::Path, paths(now), paths(before)),
            (Attribute::Port, ports(now), ports(before)),
        ];
        for (attribute, now, before) in attributes {
            rows.extend(self.of(attribute, now, before));
        }
        rows.sort_by(|one, other| {
            told(other).total_cmp(&told(one)).then_with(|| one.value.cmp(&other.value))
        });
        let mut kept: BTreeMap<Attribute, usize> = BTreeMap::new();
        rows.retain(|row| {
            let of_one = kept.entry(row.attribute).or_default();
            *of_one += 1;
            *of_one <= MOST_OF_ONE
        });
        rows.truncate(MOST_ROWS);
        rows
    }

    /// Countries and networks, against the level before.
    fn places(&self) -> Vec<Contrast> {
        let mut countries: BTreeMap<Country, u64> = BTreeMap::new();
        let mut networks: BTreeMap<Asn, u64> = BTreeMap::new();
        for (lineage, cell) in &self.window.networks {
            let count = of_cell(self.scale.measure, cell);
            *countries.entry(lineage.country).or_default() += count;
            if let Some(asn) = lineage.asn {
                *networks.entry(asn).or_default() += count;
            }
        }
        let countries = countries
            .into_iter()
            .map(|(country, count)| (Attribute::Country, country.to_string(), Key::Country(country), count));
        let networks = networks
            .into_iter()
            .map(|(asn, count)| (Attribute::Network, asn.to_string(), Key::Network(asn), count));
        let row = |(attribute, value, key, count): (Attribute, String, Key, u64)| {
            let Scale { before, measure, seconds, total, .. } = *self.scale;
            let share = (count as f64 / total.max(1.0)).min(1.0);
            let expected = before.row_rate(&key, measure)? * seconds;
            let before = before.row_share(&key, measure)?;
            apart(attribute, value, (count as f64, expected), (share, before))
        };
        countries.chain(networks).filter_map(row).collect()
    }

    /// The values of one attribute, against the seconds before the onset.
    fn of(&self, attribute: Attribute, now: Counts<'a>, before: Counts<'a>) -> Vec<Contrast> {
        let (whole, whole_before) = (now.values().sum::<u64>(), before.values().sum::<u64>());
        if whole < LEAST_COUNT || whole_before < LEAST_COUNT {
            return Vec::new();
        }
        let row = |(value, count): (Cow<'_, str>, u64)| {
            let earlier = before.get(&value).copied().unwrap_or(0) as f64;
            let expected = earlier / self.ordinary.seconds.max(1.0) * self.scale.seconds;
            let shares = (count as f64 / whole as f64, earlier / whole_before as f64);
            apart(attribute, value.into_owned(), (count as f64, expected), shares)
        };
        now.into_iter().filter_map(row).collect()
    }
}

/// A value with its counts (now and expected) and shares (now and before), if it sets the traffic apart.
fn apart(
    attribute: Attribute,
    value: String,
    (count, expected): (f64, f64),
    (share, before): (f64, f64),
) -> Option<Contrast> {
    let lift = lift(share, before);
    let likelihood = if count > 0.0 { ((count - expected) / count).max(0.0) } else { 0.0 };
    let row = Contrast { attribute, value, share, baseline_share: before, lift, likelihood };
    (share >= LEAST_SHARE && lift >= LEAST_LIFT).then_some(row)
}

/// How many times its share before.
pub(super) fn lift(share: f64, before: f64) -> f64 {
    share / before.max(LEAST_BEFORE)
}

/// How much a row tells: its term of the relative entropy (Kullback and Leibler 1951). A large share that was always large
/// tells little, and so does a small one that is new.
pub(super) fn told_by(share: f64, before: f64) -> f64 {
    share * lift(share, before).max(1e-9).ln()
}

fn told(row: &Contrast) -> f64 {
    told_by(row.share, row.baseline_share)
}

fn paths(window: &Window) -> Counts<'_> {
    sums(window.paths.iter().map(|(key, count)| (template_of(&key.path), *count)))
}

fn methods(window: &Window) -> Counts<'_> {
    sums(window.paths.iter().map(|(key, count)| (Cow::from(&*key.method), *count)))
}

fn agents(window: &Window) -> Counts<'_> {
    sums(window.makes.iter().filter_map(|(key, count)| match &key.fingerprint {
        Fingerprint::UserAgent(agent) => Some((Cow::from(&**agent), *count)),
        Fingerprint::Ja4(_) => None,
    }))
}

fn hellos(window: &Window) -> Counts<'_> {
    sums(window.makes.iter().filter_map(|(key, count)| match &key.fingerprint {
        Fingerprint::Ja4(ja4) => Some((Cow::from(ja4.as_str()), *count)),
        Fingerprint::UserAgent(_) => None,
    }))
}

fn names(window: &Window) -> Counts<'_> {
    sums(window.names.iter().map(|(key, count)| (kind_of(&lower_case(&key.name)), *count)))
}

fn ports(window: &Window) -> Counts<'_> {
    sums(window.ends.iter().map(|(end, count)| (Cow::from(end.address.port().to_string()), *count)))
}

fn sums<'w>(counts: impl Iterator<Item = (Cow<'w, str>, u64)>) -> Counts<'w> {
    let mut sums = Counts::default();
    counts.for_each(|(value, count)| *sums.entry(value).or_default() += count);
    sums
}
