//! The verdict in the contract's words, and each piece of evidence in a sentence. Comes in: a [`Verdict`]. Goes out:
//! labels, kinds, reasons. Says "access from" and "source", never who means harm.

use serde::{Deserialize, Serialize};

use super::Alert;
use super::eve::Word;
use super::evidence::Fact;
use super::number::{percent, quantity, rate, share};
use crate::detect::rule::Evidence;
use crate::incident::{Attack, BruteForce, Cause, Glitch, Reason, Scan, Unknown, Unseen, Verdict};

/// A cause as the record lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CauseField {
    pub label: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word>,
    pub share: f64,
    pub origins: Vec<usize>,
}

/// What would make it another verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FlipField {
    pub id: Word,
    pub text: String,
    pub label: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word>,
}

/// The contract's label.
pub(super) const fn label(cause: Cause) -> &'static str {
    match cause {
        Cause::Attack(_) => "attack",
        Cause::FlashCrowd => "flash_crowd",
        Cause::Glitch(_) => "glitch",
        Cause::Scan(_) => "scan",
        Cause::BruteForce(_) => "brute_force",
        Cause::HeavyClient => "heavy_client",
        Cause::Mixed => "mixed",
        Cause::Unknown(_) | Cause::Unjudged => "unknown",
    }
}

/// The contract's kind, where there are kinds.
pub(super) const fn kind(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Attack(kind) => match kind {
            Attack::HttpFlood => "http_flood",
            Attack::ConnectionFlood => "connection_flood",
            Attack::SynFlood => "syn_flood",
            Attack::UdpFlood => "udp_flood",
            Attack::Reflection => "reflection",
            Attack::Slow => "slow",
            Attack::H2Reset => "h2_reset",
            Attack::OutOfState => return None,
        },
        Cause::Glitch(kind) => match kind {
            Glitch::Server => "server",
            Glitch::Backend => "backend",
            Glitch::Network => "network",
        },
        Cause::Scan(kind) => match kind {
            Scan::Path => "path",
            Scan::Port => "port",
            Scan::Host => "host",
            Scan::Distributed => "distributed",
        },
        Cause::BruteForce(BruteForce::Single) => "single",
        Cause::BruteForce(BruteForce::Coordinated) => "coordinated",
        Cause::Unknown(why) => match why {
            Unknown::Sensor => "sensor",
            Unknown::InsufficientData => "insufficient_data",
            Unknown::LeaningAttack => "leaning_attack",
            Unknown::LeaningFlashCrowd => "leaning_flash_crowd",
            Unknown::LeaningGlitch => "leaning_glitch",
        },
        Cause::Unjudged => "insufficient_data",
        Cause::FlashCrowd | Cause::HeavyClient | Cause::Mixed => return None,
    })
}

/// The causes that it consists of.
pub(super) fn causes(verdict: &Verdict) -> Vec<CauseField> {
    let told = |part: &crate::incident::Part| CauseField {
        label: label(part.cause).into(),
        kind: kind(part.cause).map(Word::from),
        share: share(part.share),
        origins: part.origins.clone(),
    };
    verdict.parts.iter().map(told).collect()
}

/// What would change it.
pub(super) fn flips(verdict: &Verdict) -> Vec<FlipField> {
    let reason = |evidence| verdict.reasons.iter().find(|reason| reason.evidence == evidence);
    let told = |flip: &crate::incident::Flip| FlipField {
        id: flip.evidence.word().into(),
        text: format!(
            "without this it would be {}: {}",
            named(flip.without),
            reason(flip.evidence).map(text).unwrap_or_default()
        ),
        label: label(flip.without).into(),
        kind: kind(flip.without).map(Word::from),
    };
    verdict.flips.iter().map(told).collect()
}

/// Reasons as facts.
pub(super) fn facts(reasons: &[Reason]) -> Vec<Fact> {
    let told = |reason: &Reason| Fact {
        id: reason.evidence.word().to_owned(),
        text: text(reason),
        value: rounded(reason.evidence, reason.value),
        expected: reason.expected.map(|expected| rounded(reason.evidence, expected)),
    };
    reasons.iter().map(told).collect()
}

/// A cause in words: `an attack (http_flood)`.
pub(super) fn named(cause: Cause) -> String {
    let what = match cause {
        Cause::Attack(_) => "an attack",
        Cause::FlashCrowd => "a flash crowd",
        Cause::Glitch(_) => "a glitch",
        Cause::Scan(_) => "a scan",
        Cause::BruteForce(_) => "password guessing",
        Cause::HeavyClient => "a heavy client, its intent unproven",
        Cause::Mixed => "a mixture",
        Cause::Unknown(_) | Cause::Unjudged => "not known",
    };
    kind(cause).map_or_else(|| what.to_owned(), |kind| format!("{what} ({kind})"))
}

/// What the alert cannot tell of, in words: what the mirror does not show, and what is left out while packets are dropped.
pub(super) fn not_visible(alert: &Alert<'_>) -> Vec<&'static str> {
    let unseen = alert.incident.verdict.unseen.iter().map(|what| unseen(*what));
    let shed = SHED.iter().take(usize::from(alert.around.capture.shed));
    unseen.chain(shed.copied()).collect()
}

/// What each step leaves out, beside the steps before (see [`Shed`](crate::flow::Shed)).
const SHED: [&str; 2] = [
    "paths, statuses and makes of clients (not read while packets are dropped)",
    "who waits for an answer (not followed while packets are dropped)",
];

/// What cannot be seen, in words.
const fn unseen(what: Unseen) -> &'static str {
    match what {
        Unseen::Encrypted => "paths and statuses (the conversations are encrypted)",
        Unseen::OneWay => "one direction of the conversations",
        Unseen::Before => "what was ordinary before",
    }
}

/// A piece of evidence in a sentence.
fn text(reason: &Reason) -> String {
    let (value, part) = (reason.value, percent(reason.value.min(1.0)));
    match reason.evidence {
        Evidence::Concentration => {
            format!("few sources or prefixes that were hardly there before hold {part} of the excess")
        }
        Evidence::KnownNetworks => {
            format!("{part} of it comes from the networks that traffic always came from")
        }
        Evidence::NewNetworks => format!("{part} of it comes from networks that had no such part before"),
        Evidence::Foreign => format!("access from abroad holds {part} of the excess"),
        Evidence::OnlyAbroad => {
            format!("{part} of the excess is from abroad: at home hardly anybody asks for more")
        }
        Evidence::HighRate | Evidence::OrdinaryRate => {
            format!("the middle client asks {} times as often as busy clients used to", quantity(value))
        }
        Evidence::OneMake => format!("{part} of it uses one make of client that was rare before"),
        Evidence::SameMakes => format!("its makes of clients are {part} the same mixture as before"),
        Evidence::OtherMakes => format!("{part} of its makes of clients are others than before"),
        Evidence::OnePath => format!("{part} of its requests are for one path"),
        Evidence::FewAssets | Evidence::Assets => {
            format!("it fetches {part} as much of what belongs to pages as was usual")
        }
        Evidence::BriefConnections => {
            format!("its connections carry {part} as many packets as those of others, and those before")
        }
        Evidence::FewSources => format!("it comes from as few as {} equal sources", quantity(value)),
        Evidence::OneSource => "one address brings nearly all of it".to_owned(),
        Evidence::MoreClients => {
            format!("{} times as many different clients come from home", quantity(value))
        }
        Evidence::SameClients => format!(
            "{} times as many different clients come from home, and ask again and again for what fails",
            quantity(value)
        ),
        Evidence::Surge => format!("the load rose to {} times that before", quantity(value)),
        Evidence::FailsUnloaded => {
            format!("{part} of exchanges failed, from a time when the load was ordinary")
        }
        Evidence::ErrorsUnloaded => {
            format!(
                "{part} of the responses are server errors that were not there before, at an ordinary load"
            )
        }
        Evidence::LateUnloaded => {
            format!("{part} of the answers took two seconds or more, at an ordinary load")
        }
        Evidence::BrokeFirst => {
            format!("the service broke {} s or more before the load rose, if it rose", quantity(value))
        }
        Evidence::LoadFirst => format!("the load rose {} s before the service broke", quantity(value)),
        Evidence::HalfOpen => {
            format!("{part} of the attempts to connect were never completed by their senders")
        }
        Evidence::Held => format!("{} requests or connections are held open unfinished", quantity(value)),
        Evidence::Drips => {
            format!("{} requests are let drip by their clients and do not end", quantity(value))
        }
        Evidence::HastyRecords => {
            let records = quantity(value);
            format!(
                "{records} small TLS records a second did not wait for answers, as reset HTTP/2 streams do not"
            )
        }
        Evidence::TurnedAway => {
            format!("{part} of what used to be asked is not: its clients leave behind the TLS handshake")
        }
        Evidence::OutOfState => {
            format!("{} segments a second belong to no known conversation and begin none", quantity(value))
        }
        Evidence::Resets => format!("{part} of HTTP/2 streams were reset by those who opened them"),
        Evidence::Datagrams => format!("{} packets a second that no conversation asked for", quantity(value)),
        Evidence::Reflected => {
            format!("{part} of the datagrams are answers of amplifiers that nobody here asked")
        }
        Evidence::Unanswered => {
            format!("{part} of the attempts to connect found no answer, or were refused")
        }
        Evidence::LargeLost => {
            format!("{part} of the large segments had to be sent again, and hardly any small one")
        }
        Evidence::BriefUnloaded => format!(
            "{part} of the answers have less than 1,000 bytes, which they had not before, at an ordinary load"
        ),
        Evidence::PathLost => format!("{part} of the segments of every size had to be sent again"),
        Evidence::Replaced => {
            format!("networks abroad that had hardly any of the traffic have {part} of it")
        }
        Evidence::Dropped => format!("the load fell by {part}"),
        Evidence::Declared => "the calendar has an event at this time".to_owned(),
    }
}

/// A value as records hold it.
fn rounded(evidence: Evidence, value: f64) -> f64 {
    match evidence {
        Evidence::HighRate
        | Evidence::OrdinaryRate
        | Evidence::FewSources
        | Evidence::MoreClients
        | Evidence::SameClients
        | Evidence::Surge
        | Evidence::BrokeFirst
        | Evidence::LoadFirst
        | Evidence::Held
        | Evidence::Drips
        | Evidence::HastyRecords
        | Evidence::OutOfState
        | Evidence::Datagrams => rate(value),
        _ => share(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::reason;
    use super::*;
    use crate::document::Word as _;
    use crate::incident::{Flip, Part};

    fn told(evidence: Evidence, value: f64) -> String {
        text(&reason(evidence, value, None))
    }

    #[test]
    fn evidence_is_told_with_its_value_in_its_unit() {
        assert_eq!(told(Evidence::OneMake, 0.984), "98 % of it uses one make of client that was rare before");
        assert_eq!(
            told(Evidence::HighRate, 12.0),
            "the middle client asks 12 times as often as busy clients used to"
        );
        assert_eq!(told(Evidence::LoadFirst, 30.0), "the load rose 30 s before the service broke");
        assert_eq!(
            told(Evidence::Datagrams, 20_000.0),
            "20,000 packets a second that no conversation asked for"
        );
        assert_eq!(told(Evidence::Dropped, 0.8), "the load fell by 80 %");
    }

    #[test]
    fn every_piece_of_evidence_has_its_own_words_and_blames_nobody() {
        let words: Vec<String> = Evidence::WORDS.iter().map(|(_, one)| told(*one, 0.5)).collect();
        for text in &words {
            assert!(!text.is_empty() && text.is_ascii(), "{text}");
            let blames = ["attacker", "hostile", "malicious", "enemy", "criminal"];
            assert!(!blames.iter().any(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_value_is_a_share_or_a_number_as_its_kind_is() {
        let facts = facts(&[
            reason(Evidence::NewNetworks, 0.123_456, Some(0.0)),
            reason(Evidence::Surge, 7.6, Some(1.0)),
        ]);
        let told: Vec<_> = facts.iter().map(|fact| (fact.id.as_str(), fact.value, fact.expected)).collect();
        assert_eq!(told, [("new-networks", 0.1235, Some(0.0)), ("surge", 7.6, Some(1.0))]);
    }

    #[test]
    fn a_cause_is_named_with_its_kind_where_it_has_one() {
        assert_eq!(named(Cause::Attack(Attack::SynFlood)), "an attack (syn_flood)");
        assert_eq!(named(Cause::Glitch(Glitch::Backend)), "a glitch (backend)");
        assert_eq!(named(Cause::FlashCrowd), "a flash crowd");
        assert_eq!(named(Cause::HeavyClient), "a heavy client, its intent unproven");
        assert_eq!((label(Cause::Unjudged), kind(Cause::Unjudged)), ("unknown", Some("insufficient_data")));
        assert_eq!((label(Cause::Mixed), kind(Cause::Mixed)), ("mixed", None));
    }

    #[test]
    fn what_would_change_it_is_told_with_the_reason_and_the_other_verdict() {
        let verdict = Verdict {
            cause: Cause::Attack(Attack::HttpFlood),
            parts: vec![Part { cause: Cause::Attack(Attack::HttpFlood), share: 1.0, origins: vec![0] }],
            reasons: vec![reason(Evidence::OneMake, 0.98, None)],
            flips: vec![Flip {
                evidence: Evidence::OneMake,
                without: Cause::Unknown(Unknown::LeaningAttack),
            }],
            ..Verdict::default()
        };
        let record = serde_json::to_value(flips(&verdict)).unwrap();
        assert_eq!(
            record,
            serde_json::json!([{
                "id": "one-make",
                "text": "without this it would be not known (leaning_attack): \
                    98 % of it uses one make of client that was rare before",
                "label": "unknown",
                "kind": "leaning_attack",
            }])
        );
    }
}
