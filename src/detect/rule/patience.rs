//! How long a verdict must have stood before it is said, and before it takes the place of another: `stands` and `replaces`
//! of `rules/verdict.yaml`. Comes in: two mappings. Goes out: seconds. What a verdict is, `incident` knows.

use crate::document::{Fields, Node, Reader, Share, words};
use crate::time::Span;

/// Verdicts that take equally long to be sure of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Called {
    /// What single packets prove: forged handshakes, datagrams, held requests, resets, large segments that get lost.
    Protocol,
    /// What a rule says by itself: scans, guessed passwords, a mirror that does not show enough.
    Rule,
    /// A fault that failing exchanges tell.
    Glitch,
    /// A crowd.
    FlashCrowd,
    /// An attack that its clients' behaviour tells.
    Attack,
    /// Few who ask for very much.
    HeavyClient,
    /// Several causes at once.
    Mixed,
}
words! {
    Called, "a kind of verdict":
    Protocol = "protocol", Rule = "rule", Glitch = "glitch", FlashCrowd = "flash_crowd", Attack = "attack",
    HeavyClient = "heavy_client", Mixed = "mixed",
}

const KINDS: [Called; 7] = [
    Called::Protocol,
    Called::Rule,
    Called::Glitch,
    Called::FlashCrowd,
    Called::Attack,
    Called::HeavyClient,
    Called::Mixed,
];

/// What is required of a verdict in time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Patience {
    /// Seconds that a verdict of each kind must have stood, in the order of [`KINDS`].
    stands: [i64; KINDS.len()],
    /// Seconds more, at most, that a verdict about few waits while everybody else is on the rise.
    settles: [i64; KINDS.len()],
    /// Seconds that another verdict must have stood to take the place of one that was said,
    pub replaces: i64,
    /// and how probable it must be.
    pub replaces_from: f64,
}

impl Patience {
    /// Seconds that a verdict must have stood before it is said.
    pub fn stands(&self, called: Called) -> i64 {
        self.stands[called as usize]
    }

    /// Seconds more that it waits for everybody else to settle, at most.
    pub fn settles(&self, called: Called) -> i64 {
        self.settles[called as usize]
    }

    pub(super) fn lay_stands(&mut self, node: &Node, reader: &mut Reader<'_>) {
        lay(&mut self.stands, node, reader, "how long verdicts must stand");
    }

    pub(super) fn lay_settles(&mut self, node: &Node, reader: &mut Reader<'_>) {
        lay(&mut self.settles, node, reader, "how much longer verdicts wait");
    }

    pub(super) fn lay_replaces(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(mut fields) = Fields::of(node, reader, "when a verdict takes another's place") else {
            return;
        };
        if let Some(span) = fields.checked("after", LENGTH, is_short) {
            self.replaces = seconds(span);
        }
        if let Some(Share(share)) = fields.optional::<Share>("probability") {
            self.replaces_from = share;
        }
        fields.finish();
    }
}

fn lay(spans: &mut [i64; KINDS.len()], node: &Node, reader: &mut Reader<'_>, what: &'static str) {
    let Some(mut fields) = Fields::of(node, reader, what) else { return };
    for (called, own) in KINDS.into_iter().zip(spans) {
        if let Some(span) = fields.checked(called.word(), LENGTH, is_short) {
            *own = seconds(span);
        }
    }
    fields.finish();
}

/// An hour is longer than anybody waits.
const LONGEST: u64 = 3_600;

const LENGTH: &str = "a duration of at most 1h";

fn is_short(span: &Span) -> bool {
    span.secs() <= LONGEST
}

fn seconds(span: Span) -> i64 {
    i64::try_from(span.secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::Weights;
    use crate::document::{Source, Word as _};

    #[test]
    fn seconds_are_read_by_kind_and_what_is_left_out_stays() {
        let mut weights = Weights::builtin();
        let usual = weights.demands.patience;
        let text = "verdict: {stands: {attack: 7s}, replaces: {after: 90s, probability: 75%}}";
        let source = Source::new("weights", text);
        let (tree, mut reader) = Reader::parse(&source);
        weights.lay(&tree.unwrap(), &mut reader);
        assert_eq!(reader.into_problems().to_string(), "");
        let now = weights.demands.patience;
        assert_eq!(now.stands(Called::Attack), 7);
        assert_eq!(now.stands(Called::Mixed), usual.stands(Called::Mixed));
        assert_eq!((now.replaces, now.replaces_from), (90, 0.75));
    }

    #[test]
    fn a_wrong_kind_and_a_wrong_length_are_told() {
        let text = "verdict: {stands: {atack: 7s, mixed: 2h}}";
        let (_, problems) = Weights::read(&Source::new("weights", text));
        let told = problems.to_string();
        assert!(told.contains("attack") && told.contains("at most 1h"), "{told}");
    }

    #[test]
    fn every_kind_has_its_place() {
        assert_eq!(KINDS.len(), Called::WORDS.len());
        assert!(KINDS.iter().enumerate().all(|(at, kind)| *kind as usize == at));
    }
}
