//! How right a verdict is, episode by episode. Comes in: a scenario that was played. Goes out: one outcome for each of
//! its episodes, and the incidents that no episode explains.

use std::net::IpAddr;

use bongsu::attribute::Attribution;
use bongsu::time::Timestamp;
use ipnet::IpNet;

use crate::play::Played;
use crate::said::{Incident, Severity, Told};
use crate::truth::Episode;

/// What was said of one episode.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub scenario: String,
    /// What it is, as `label/kind`.
    pub truth: String,
    pub true_label: String,
    /// The last word: empty where nothing was said.
    pub said: String,
    pub said_label: String,
    pub confidence: f64,
    pub label_right: bool,
    pub kind_right: bool,
    pub unknown_is_right: bool,
    /// Seconds from its begin to the first alert, and from there to the verdict that was right and stayed.
    pub detected: Option<f64>,
    pub decided: Option<f64>,
    pub detect_within: Option<f64>,
    pub decide_within: Option<f64>,
    /// Precision and recall of the origins by packets, where there are origins.
    pub origins: Option<(f64, f64)>,
    /// Whether somebody is blamed where nobody can be.
    pub blames: bool,
    /// The largest difference between a cause's share and the true one.
    pub share_error: Option<f64>,
    /// How often one decided label gave way to another.
    pub flaps: usize,
    /// The words in their order, each with the seconds from the begin at which it was first told.
    pub trail: Vec<(f64, String)>,
    /// Further incidents of the same episode.
    pub more: usize,
    /// The rules that held.
    pub rules: Vec<String>,
    /// The evidence of the last word, for fitting.
    pub evidence: Vec<(String, bool, f64)>,
}

/// Seconds after an episode in which an incident may still be its: windows look back a minute at most.
const AFTERMATH: f64 = 60.0;

/// Seconds before it: an onset is dated back to the tick before the first weight.
const LEAD: f64 = 15.0;

/// An incident above low that belongs to no episode.
#[derive(Debug, Clone)]
pub struct Stray {
    pub said: String,
    pub rules: Vec<String>,
}

/// The outcomes of all episodes, and the incidents above low that belong to none.
pub fn outcomes(played: &Played) -> (Vec<Outcome>, Vec<Stray>) {
    let episodes = &played.truth.episodes;
    let outcomes = episodes.iter().enumerate().map(|(place, episode)| {
        let incidents: Vec<&Incident> =
            played.incidents.iter().filter(|incident| is_of(incident, episode)).collect();
        Outcome::of(played, place, &incidents)
    });
    let belongs = |incident: &Incident| episodes.iter().any(|episode| is_of(incident, episode));
    let stray = played.incidents.iter().filter(|incident| !belongs(incident));
    let stray = stray
        .filter(|incident| incident.worst() > Severity::Low)
        .map(|incident| Stray { said: incident.last().verdict(), rules: incident.last().rules.clone() });
    (outcomes.collect(), stray.collect())
}

/// Whether an incident is about an episode: the same service, and time in common.
fn is_of(incident: &Incident, episode: &Episode) -> bool {
    let last = incident.last().at;
    incident.service == episode.service
        && seconds(episode.begin, incident.started) < seconds(episode.begin, episode.end) + AFTERMATH
        && seconds(last, episode.begin) < LEAD
}

impl Outcome {
    fn of(played: &Played, place: usize, incidents: &[&Incident]) -> Self {
        let episode = &played.truth.episodes[place];
        let main = main(incidents, episode);
        let last = main.map(Incident::last);
        let takes = |told: &Told| episode.takes(&told.label, &told.kind);
        let (verdict, silent) = (&episode.verdict, episode.silence_is_right);
        let detected = first_told(incidents);
        // What need not be said cannot be said too late.
        let in_time = |within: Option<f64>| within.filter(|_| !(silent && detected.is_none()));
        Self {
            scenario: played.truth.scenario.clone(),
            truth: crate::said::joined(&verdict.label, verdict.kind.as_deref().unwrap_or_default()),
            true_label: verdict.label.clone(),
            said: last.map(Told::verdict).unwrap_or_default(),
            said_label: last.map_or_else(|| "nothing".to_owned(), |last| last.label.clone()),
            confidence: last.map_or(0.0, |last| last.confidence),
            label_right: last.map_or(silent, |last| episode.takes_label(&last.label)),
            kind_right: last.map_or(silent, takes),
            unknown_is_right: episode.unknown_is_right,
            detected: detected.map(|at| seconds(episode.begin, at).max(0.0)),
            decided: main.zip(detected).and_then(|(main, from)| decided(main, episode, from)),
            detect_within: in_time(episode.detect_within_s),
            decide_within: in_time(episode.decide_within_s),
            origins: last.and_then(|last| origins(played, place, last)),
            blames: episode.origins.is_empty()
                && verdict.label != "unknown"
                && last.is_some_and(|last| last.label == "attack" && !last.origins.is_empty()),
            share_error: last.and_then(|last| share_error(episode, last)),
            flaps: main.map_or(0, flaps),
            trail: main.map_or_else(Vec::new, |main| trail(main, episode)),
            more: incidents.len().saturating_sub(1),
            rules: last.map(|last| last.rules.clone()).unwrap_or_default(),
            evidence: last.map(|last| last.evidence.clone()).unwrap_or_default(),
        }
    }
}

/// The incident that an episode is judged by: the worst one, of those the one told first.
fn main<'a>(incidents: &[&'a Incident], _episode: &Episode) -> Option<&'a Incident> {
    let worst = incidents.iter().map(|incident| incident.worst()).max()?;
    incidents.iter().find(|incident| incident.worst() == worst).copied()
}

fn first_told(incidents: &[&Incident]) -> Option<Timestamp> {
    incidents.iter().filter_map(|incident| incident.told.first()).map(|told| told.at).min()
}

/// Seconds until a verdict was told that is right and was not taken back.
fn decided(incident: &Incident, episode: &Episode, from: Timestamp) -> Option<f64> {
    let right = |told: &&Told| episode.takes(&told.label, &told.kind);
    let since = incident.told.iter().rev().take_while(right).last()?;
    Some(seconds(from, since.at).max(0.0))
}

/// How often one decided label gave way to another.
fn flaps(incident: &Incident) -> usize {
    let decided: Vec<&str> =
        incident.told.iter().map(|told| told.label.as_str()).filter(|label| *label != "unknown").collect();
    decided.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// The words in their order, each when it was first told.
fn trail(incident: &Incident, episode: &Episode) -> Vec<(f64, String)> {
    let mut trail: Vec<(f64, String)> = Vec::new();
    for told in &incident.told {
        let word = told.verdict();
        if trail.last().is_none_or(|(_, last)| *last != word) {
            trail.push((seconds(episode.begin, told.at), word));
        }
    }
    trail
}

/// The largest difference between what is said of a cause's share and what is true, where causes are known.
fn share_error(episode: &Episode, last: &Told) -> Option<f64> {
    if episode.causes.len() < 2 {
        return None;
    }
    let said = |label: &str| -> f64 {
        if last.causes.is_empty() {
            return if last.label == label { 1.0 } else { 0.0 };
        }
        last.causes.iter().filter(|cause| cause.label == label).map(|cause| cause.share).sum()
    };
    let truth = |label: &str| -> f64 {
        episode.causes.iter().filter(|cause| cause.verdict.label == label).map(|cause| cause.share).sum()
    };
    let labels = episode.causes.iter().map(|cause| cause.verdict.label.as_str());
    labels.map(|label| (said(label) - truth(label)).abs()).max_by(f64::total_cmp)
}

/// Precision and recall of the origins, by the packets that each source sent to the service in the episode.
fn origins(played: &Played, place: usize, last: &Told) -> Option<(f64, f64)> {
    let episode = &played.truth.episodes[place];
    if episode.origins.is_empty() {
        return None;
    }
    let (mut both, mut named, mut meant) = (0, 0, 0);
    for (source, packets) in &played.counted.sources[place] {
        let is_true = episode.origins.iter().any(|origin| origin.prefix.contains(source));
        let is_said =
            last.origins.iter().any(|row| row.kind_covers(*source, || played.attributor.attribute(*source)));
        both += if is_true && is_said { *packets } else { 0 };
        named += if is_said { *packets } else { 0 };
        meant += if is_true { *packets } else { 0 };
    }
    let part = |whole: u64| if whole == 0 { 0.0 } else { both as f64 / whole as f64 };
    Some((part(named), part(meant)))
}

impl crate::said::Origin {
    /// Whether an address is of this row.
    fn kind_covers(&self, source: IpAddr, attribution: impl FnOnce() -> Attribution) -> bool {
        match self.kind.as_str() {
            "source" => self.value.parse::<IpAddr>().is_ok_and(|address| address == source),
            "prefix" => self.value.parse::<IpNet>().is_ok_and(|prefix| prefix.contains(&source)),
            "asn" => attribution()
                .asn
                .is_some_and(|asn| self.value == asn.to_string() || self.value == asn.0.to_string()),
            "country" => attribution().country.to_string() == self.value,
            _ => false,
        }
    }
}

/// Seconds from one time to another; negative where it is earlier.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.nanos() - from.nanos()) as f64 / 1e9
}
