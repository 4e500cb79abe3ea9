//! The facts that speak for an incident: one for every rule that held, in words and numbers.

use serde::{Deserialize, Serialize};

use super::Alert;
use super::number::{percent, quantity, rate, share};
use super::text::told;
use super::unit;
use crate::detect::rule::{GroupBy, Observed, Rule};
use crate::incident::{Exceeded, RuleHit};

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Fact {
    /// The rule that saw it.
    pub id: String,
    /// In words.
    pub text: String,
    /// What was observed, in the metric of the rule's limit.
    pub value: f64,
    /// What was to be expected from before; `None` where nothing is known of before.
    pub expected: Option<f64>,
}

/// The facts of all rules that held and have a limit.
pub(super) fn facts(alert: &Alert<'_>) -> Vec<Fact> {
    alert.incident.rules.iter().filter_map(|hit| Some(fact(alert, hit, hit.limit.as_ref()?))).collect()
}

fn fact(alert: &Alert<'_>, hit: &RuleHit, limit: &Exceeded) -> Fact {
    let rule = alert.around.rules.get(&hit.id);
    let known = alert.incident.load.baseline.is_some();
    let expected =
        rule.filter(|_| known).and_then(|rule| before(&limit.metric, rule.group_by, &hit.observed));
    let mut text = format!("{} (limit {})", seen(rule, limit), written(&limit.metric, limit.limit));
    if let Some(before) = expected {
        // What was never seen counts as a little: no more can be said of it than that it was no more.
        let most = if limit.metric == "share" && before <= LEAST_TOLD { "at most " } else { "" };
        text.push_str(&format!(", {most}{} before", written(&limit.metric, before)));
    }
    Fact {
        id: told(&hit.id),
        text,
        value: rounded(&limit.metric, limit.observed),
        expected: expected.map(|before| rounded(&limit.metric, before)),
    }
}

/// A share before of this or less may be none: rules count a key that was never seen with 0.2 %.
const LEAST_TOLD: f64 = 0.002_000_1;

/// `63 % of all accesses come from one country`, `2,362 attempts to connect that were never completed a second`; the
/// bare number where the rule is no longer there to say what it counts.
fn seen(rule: Option<&Rule>, limit: &Exceeded) -> String {
    let number = written(&limit.metric, limit.observed);
    let Some(rule) = rule else {
        return format!("{} {number}", told(&limit.metric));
    };
    let (counted, from) = (unit::counted(rule.measure), unit::group(rule.group_by));
    match limit.metric.as_str() {
        "share" => match unit::each(rule.measure).filter(|_| limit.observed > 1.0) {
            // What is counted now was begun before, so there may be more of it than of what it is a part of.
            Some(whole) => format!("{} {counted}{from} for each {whole}", quantity(limit.observed)),
            None => format!("{number} of all {}", unit::part(rule.measure, rule.group_by)),
        },
        "share_before" => format!("before, {number} were {counted}{from}"),
        "excess_share" => format!("{number} of what is more than before are {counted}{from}"),
        "rate" => format!("{} {counted} a second{from}", quantity(limit.observed)),
        "before" => format!("{} {counted} a second{from} before", quantity(limit.observed)),
        "count" => format!("{number} {counted}{from}"),
        "lift" => format!("{number} as many {counted}{from} as before"),
        metric => format!("{counted}{from}: {number} different {}", told(metric)),
    }
}

/// What the metric would have been: a lift is how many times the share before, for a service how many times the rate.
fn before(metric: &str, group: GroupBy, observed: &Observed) -> Option<f64> {
    let now = match (metric, group) {
        ("rate", GroupBy::Service) => observed.rate,
        ("share", group) if group != GroupBy::Service => observed.share,
        _ => return None,
    };
    (observed.lift > 0.0).then(|| now / observed.lift)
}

/// A number of the metric as records hold it.
pub(super) fn rounded(metric: &str, number: f64) -> f64 {
    if metric.ends_with("share") || metric == "share_before" { share(number) } else { rate(number) }
}

fn written(metric: &str, number: f64) -> String {
    match metric {
        "share" | "share_before" | "excess_share" => percent(number),
        "rate" => format!("{}/s", quantity(number)),
        "lift" => format!("{} times", quantity(number)),
        _ => quantity(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::RuleSet;

    #[test]
    fn what_was_observed_reads_as_a_sentence() {
        let rules = RuleSet::builtin();
        let seen = |id: &str, metric: &str, observed| {
            seen(rules.get(id), &Exceeded { metric: metric.to_owned(), observed, limit: 0.0 })
        };
        assert_eq!(seen("requests-unanswered", "share", 0.24), "24 % of all accesses had no answer");
        assert_eq!(
            seen("requests-unanswered", "share", 14.0),
            "14 requests without an answer for each access"
        );
        assert_eq!(seen("load-drop", "before", 13.2), "13 accesses a second before");
        assert_eq!(seen("load-surge", "rate", 40.0), "40 accesses a second");
    }
}
