//! What each piece of evidence weighs for each cause: `rules/verdict.yaml`. Comes in: a mapping from a rules file or the
//! configuration. Goes out: [`Weights`]. How evidence is measured, and what a verdict makes of it, `incident` knows.

use std::collections::BTreeMap;

use super::Patience;
use crate::document::{Fields, Node, Number, Problems, Reader, Share, Source, Value, words};

/// A piece of evidence about a cohort or about the whole service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A few prefixes, addresses or one network that were hardly there before hold this part of the excess.
    Concentration,
    /// The part of the cohort's excess that networks had before, too: a crowd comes from where people always came from
    /// (Jung, Krishnamurthy, Rabinovich 2002).
    KnownNetworks,
    /// The part of the excess from networks that were not there before.
    NewNetworks,
    /// The foreign part of the excess.
    Foreign,
    /// Access from abroad rose and that from home did not.
    OnlyAbroad,
    /// How many times what nineteen in twenty clients used to ask for in a minute the middle client asks for; of pages alone
    /// where they can be told from what belongs to them.
    HighRate,
    /// How ordinary the middle client's rate is.
    OrdinaryRate,
    /// One make of client (User-Agent or JA4) that was rare before.
    OneMake,
    /// The clients' makes are mixed as they always were.
    SameMakes,
    /// The part of the cohort's makes of clients that was not there before.
    OtherMakes,
    /// One path asked for by most.
    OnePath,
    /// Pages are fetched without what belongs to them.
    FewAssets,
    /// How many packets few send on each connection, where what they ask for is sealed, against what is usual.
    BriefConnections,
    /// Pages are fetched with what belongs to them.
    Assets,
    /// The cohort's excess comes from this many sources or fewer.
    FewSources,
    /// Of what the few who stand out bring, the part that would be one address's were they all as large.
    OneSource,
    /// How many times as many different clients come from home, where that is no chance.
    MoreClients,
    /// How many times as many different clients come from home to a service that fails them, where these are no more than
    /// before and ask for much more.
    SameClients,
    /// How many times the load before.
    Surge,
    /// The part of known clients' exchanges that fail while the load is ordinary.
    FailsUnloaded,
    /// The part of responses that are server errors, which were not there before, while the load is ordinary.
    ErrorsUnloaded,
    /// The part of first bytes that came late, more than before, while the load is ordinary.
    LateUnloaded,
    /// The part of answers that have less than 1,000 bytes, more than before, while the load is ordinary.
    BriefUnloaded,
    /// Seconds by which the service broke before the load rose.
    BrokeFirst,
    /// Seconds by which the load rose before the service broke.
    LoadFirst,
    /// The part of handshakes that clients left open, against a flood's rate.
    HalfOpen,
    /// Requests held open by few sources.
    Held,
    /// Requests that their clients let drip: heads, or bodies where few have several.
    Drips,
    /// HTTP/2 streams that are reset by those who opened them.
    Resets,
    /// Small TLS records a second that did not wait for answers.
    HastyRecords,
    /// The part of what used to be asked whose clients leave behind the TLS handshake.
    TurnedAway,
    /// Segments a second of conversations that are not known.
    OutOfState,
    /// Datagrams that nobody asked for.
    Datagrams,
    /// Answers of amplifiers that nobody asked.
    Reflected,
    /// The part of attempts to connect that the service does not answer while there are no more than before.
    Unanswered,
    /// Large segments are lost and small ones are not.
    LargeLost,
    /// The part of segments of every size that are lost while the load is ordinary.
    PathLost,
    /// The part of the traffic that networks abroad have which had hardly any.
    Replaced,
    /// The traffic fell away.
    Dropped,
    /// The calendar has an event.
    Declared,
}
words! {
    Evidence, "a piece of evidence":
    Concentration = "concentration", KnownNetworks = "known-networks", NewNetworks = "new-networks",
    Foreign = "foreign", OnlyAbroad = "only-abroad", HighRate = "high-rate", OrdinaryRate = "ordinary-rate", OneMake = "one-make",
    SameMakes = "same-makes", OtherMakes = "other-makes", OnePath = "one-path", FewAssets = "few-assets", Assets = "assets", BriefConnections = "brief-connections",
    FewSources = "few-sources", OneSource = "one-source", MoreClients = "more-clients", SameClients = "same-clients", Surge = "surge",
    FailsUnloaded = "fails-unloaded", ErrorsUnloaded = "errors-unloaded", LateUnloaded = "late-unloaded", BriefUnloaded = "brief-unloaded",
    BrokeFirst = "broke-first", LoadFirst = "load-first", HalfOpen = "half-open", Held = "held", Drips = "drips",
    Resets = "resets", HastyRecords = "hasty-records", OutOfState = "out-of-state", TurnedAway = "turned-away", Datagrams = "datagrams", Reflected = "reflected", Unanswered = "unanswered",
    LargeLost = "large-lost", PathLost = "path-lost", Replaced = "replaced", Dropped = "dropped", Declared = "declared",
}

/// What a piece of evidence weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// From this value on it speaks.
    pub from: f64,
    /// At this value it speaks with its whole weight; it may lie below `from`.
    pub full: f64,
    /// For an attack, in nats.
    pub attack: f64,
    /// For a flash crowd, in nats.
    pub flash_crowd: f64,
    /// For a glitch, in nats.
    pub glitch: f64,
}

/// How verdicts are reached.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    /// What is looked at; what is not listed weighs nothing.
    pub evidence: BTreeMap<Evidence, Weight>,
    /// What is required of a verdict.
    pub demands: Demands,
}

/// What is required of a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demands {
    /// A cause less probable than this is not called.
    pub probability: f64,
    /// The nats by which it must lead the next.
    pub margin: f64,
    /// How probable an attack may be called without behaviour that tells one: geography, novelty and volume are not it.
    pub without_behaviour: f64,
    /// Below this part of the excess a cause does not stand for all of it: the verdict is mixed.
    pub alone: f64,
    /// Weights are divided by this where less than ten minutes are known of before, less than a day, or more.
    pub temperature: [f64; 3],
    /// Whether few and many, at home and abroad, are judged apart.
    pub split: bool,
    /// How long a verdict must stand.
    pub patience: Patience,
}

impl Default for Demands {
    /// The starting points of the shipped file.
    fn default() -> Self {
        Self {
            probability: 0.6,
            margin: 1.1,
            without_behaviour: 0.55,
            alone: 0.8,
            temperature: [1.0, 1.0, 1.0],
            split: true,
            patience: Patience::default(),
        }
    }
}

/// No piece of evidence weighs more, either way: one alone does not decide against all others.
const MAX_WEIGHT: f64 = 8.0;

impl Weight {
    /// How loudly a value speaks, from 0 to 1.
    pub fn strength(&self, value: f64) -> f64 {
        if self.full == self.from {
            return f64::from(u8::from(value >= self.from));
        }
        let strength = (value - self.from) / (self.full - self.from);
        if strength.is_nan() { 0.0 } else { strength.clamp(0.0, 1.0) }
    }
}

impl Weights {
    /// Whether a rules file is one of weights: a mapping with evidence or demands.
    pub(super) fn is_in(node: &Node) -> bool {
        let is_ours = |key: &str| matches!(key, "evidence" | "verdict");
        matches!(&node.value, Value::Map(entries) if entries.iter().any(|(key, _)| is_ours(&key.text)))
    }

    /// Whether a text is one of weights, as far as it can be read.
    pub fn is_source(source: &Source) -> bool {
        Reader::parse(source).0.is_some_and(|node| Self::is_in(&node))
    }

    /// The shipped weights; a test holds that they read without a problem.
    pub fn builtin() -> Self {
        Self::read(&Source::new("rules/verdict.yaml", include_str!("../../../rules/verdict.yaml"))).0
    }

    /// Reads a file of weights.
    pub fn read(source: &Source) -> (Self, Problems) {
        let (tree, mut reader) = Reader::parse(source);
        let mut weights = Self::default();
        if let Some(tree) = tree {
            weights.lay(&tree, &mut reader);
        }
        (weights, reader.into_problems())
    }

    /// Lays what a mapping says over these weights.
    pub fn lay(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(mut fields) = Fields::of(node, reader, "a file of weights") else { return };
        if let Some(demands) = fields.node("verdict") {
            self.demands.lay(demands, fields.reader());
        }
        if let Some(list) = fields.node("evidence") {
            let reader = fields.reader();
            for item in reader.items(list, "a list of evidence").unwrap_or_default() {
                self.lay_one(item, reader);
            }
        }
        fields.finish();
    }

    fn lay_one(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(mut fields) = Fields::of(node, reader, "a piece of evidence") else { return };
        let Some(id) = fields.required::<Evidence>("id") else { return };
        let have = self.evidence.get(&id).copied();
        let mut number = |key: &'static str, least: f64, most: f64, or: Option<f64>| {
            if or.is_none() {
                fields.need(key);
            }
            let expected = format!("a number from {least} to {most}");
            let fits = |Number(number): &Number| (least..=most).contains(number);
            fields.checked(key, &expected, fits).map(|Number(number)| number).or(or)
        };
        let from = number("from", 0.0, MAX_VALUE, have.map(|have| have.from));
        let full = number("full", 0.0, MAX_VALUE, have.map(|have| have.full));
        let mut weight = |key, or| number(key, -MAX_WEIGHT, MAX_WEIGHT, Some(or)).unwrap_or(or);
        let attack = weight("attack", have.map_or(0.0, |have| have.attack));
        let flash_crowd = weight("flash_crowd", have.map_or(0.0, |have| have.flash_crowd));
        let glitch = weight("glitch", have.map_or(0.0, |have| have.glitch));
        fields.finish();
        if let (Some(from), Some(full)) = (from, full) {
            self.evidence.insert(id, Weight { from, full, attack, flash_crowd, glitch });
        }
    }

    /// What a piece of evidence weighs.
    pub fn of(&self, evidence: Evidence) -> Option<&Weight> {
        self.evidence.get(&evidence)
    }
}

/// No value of evidence is larger: rates, shares, seconds, times.
const MAX_VALUE: f64 = 1e9;

impl Demands {
    fn lay(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(mut fields) = Fields::of(node, reader, "the demands on a verdict") else { return };
        let mut share = |key, or: &mut f64| {
            if let Some(Share(share)) = fields.optional::<Share>(key) {
                *or = share;
            }
        };
        share("probability", &mut self.probability);
        share("without_behaviour", &mut self.without_behaviour);
        share("alone", &mut self.alone);
        if let Some(split) = fields.optional::<bool>("split") {
            self.split = split;
        }
        if let Some(stands) = fields.node("stands") {
            self.patience.lay_stands(stands, fields.reader());
        }
        if let Some(settles) = fields.node("settles") {
            self.patience.lay_settles(settles, fields.reader());
        }
        if let Some(replaces) = fields.node("replaces") {
            self.patience.lay_replaces(replaces, fields.reader());
        }
        let positive = |Number(number): &Number| (0.0..=100.0).contains(number);
        if let Some(Number(margin)) = fields.checked("margin", "a number from 0 to 100", positive) {
            self.margin = margin;
        }
        if let Some(list) = fields.optional::<Vec<Number>>("temperature") {
            let fits = list.len() == self.temperature.len() && list.iter().all(|Number(t)| *t > 0.0);
            if fits {
                self.temperature.iter_mut().zip(list).for_each(|(old, Number(new))| *old = new);
            } else {
                let at = fields.at();
                fields
                    .reader()
                    .problem(at, "expected three temperatures above 0: under ten minutes, a day, later");
            }
        }
        fields.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Word as _;

    #[test]
    fn a_value_speaks_between_from_and_full_either_way() {
        let rising = Weight { from: 0.3, full: 0.6, attack: 2.0, flash_crowd: 0.0, glitch: 0.0 };
        assert_eq!(rising.strength(0.2), 0.0);
        assert!((rising.strength(0.45) - 0.5).abs() < 1e-9);
        assert_eq!(rising.strength(7.0), 1.0);
        let falling = Weight { from: 0.3, full: 0.1, ..rising };
        assert_eq!(falling.strength(0.05), 1.0);
        assert_eq!(falling.strength(0.4), 0.0);
        assert_eq!(rising.strength(f64::NAN), 0.0);
    }

    #[test]
    fn the_shipped_weights_weigh_everything() {
        let text = include_str!("../../../rules/verdict.yaml");
        let (weights, problems) = Weights::read(&Source::new("rules/verdict.yaml", text));
        assert_eq!(problems.to_string(), "");
        let missing: Vec<_> =
            Evidence::WORDS.iter().filter(|(_, item)| weights.of(*item).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn wrong_weights_are_all_told() {
        let source = Source::new(
            "weights",
            "evidence:\n  - {id: concentratoin, from: 1, full: 2}\n  - {id: surge, from: 1}\n  - {id: held, from: 0, full: 1, attack: 99}\n",
        );
        let (_, problems) = Weights::read(&source);
        let told = problems.to_string();
        assert!(told.contains("concentration"), "{told}");
        assert!(told.contains("full"), "{told}");
        assert!(told.contains("-8 to 8"), "{told}");
    }
}
