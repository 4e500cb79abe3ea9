//! What an incident is: evidence is weighed for each cohort of the excess, each gets its cause, and the causes make up
//! the verdict. Comes in: facts, cohorts, weights. Goes out: a [`Verdict`] with its reasons. Knows no rows and no time.
//!
//! Each cause gets the sum of what its evidence weighs (log odds); a softmax over the three and "unknown" tells how
//! probable each is. Geography, novelty and volume alone make no attack: somebody must behave like one.

mod called;

use super::clients::Gathering;
use super::cohort::{Cohort, Who};
use super::facts::{Fact, ORDINARY_LOAD};
use super::holders::{holds, is_about_holding};
use super::people::are_people;
use super::program::RARE;
use super::signs::{BEHAVIOUR, OF_FAULTS, OF_PEOPLE};
use super::{Attack, Cause, Flip, Part, Reason, Unit, Unknown, Unseen, Verdict};
use crate::aggregate::Cell;
use crate::detect::rule::{Evidence, Weights};

/// All that a verdict is reached from.
pub(super) struct Case<'a> {
    pub weights: &'a Weights,
    /// Of the service as a whole.
    pub facts: Vec<Fact>,
    pub cohorts: &'a [Cohort],
    /// What nineteen in twenty clients used to ask for in a minute.
    pub busy_client: Option<f64>,
    /// The part of requests that used to be for what belongs to pages.
    pub asset_share: Option<f64>,
    /// 0 to 2: how much is known of before.
    pub stage: usize,
    /// What the rules say it is, whatever else.
    pub said: Option<Cause>,
    /// Whether they say so of whatever is asked for, and not only of what is denied or tried in vain.
    pub is_said_of_all: bool,
    /// What was told of it last.
    pub told: Option<Cause>,
    pub unit: Unit,
    /// Whether requests, or hellos and first words, were seen.
    pub has_accesses: bool,
    pub unseen: Vec<Unseen>,
    /// How many times the load before, on the whole.
    pub times: Option<f64>,
    /// How many times the accesses before.
    pub times_asked: Option<f64>,
    /// Whether the load is told in packets, since few send more of them and neither ask nor connect more.
    pub by_packets: bool,
    /// Whether the load is told in connections, since these are what there is more of.
    pub by_connections: bool,
    /// Whether connections come and go far beyond what is held at a time.
    pub is_connecting: bool,
    /// Whether the service broke as those began who stand out.
    pub few_pushed: bool,
    /// That it fails, where it broke under a load that it had borne.
    pub fails_at_ease: Option<Fact>,
    /// Whether the service was seen to be well: where it never was, nobody knows whether more come than did then.
    pub was_well: bool,
    /// Whether clients that are no suspects are harmed.
    pub is_hurt: bool,
    /// Whether they fail, or wait longer than people do: being slowed comes and goes with the load.
    pub is_failing: bool,
    /// Whether most of its answers came to be short.
    pub is_brief: bool,
    /// Whether the service answers next to nothing.
    pub is_silent: bool,
    /// Whether what the mirror shows cannot be trusted with a fault.
    pub is_blind: bool,
    /// Whether that is for packets that it misses.
    pub is_lossy: bool,
}

/// A cohort's judgement.
#[derive(Debug, Clone)]
struct Judged {
    cause: Cause,
    probability: f64,
    reasons: Vec<Reason>,
    share: f64,
    origins: Vec<usize>,
    /// Whether it is many more clients than before, however little they are served.
    is_gathered: bool,
    /// Whether it asks for much, and mostly gets it, as nobody does who searches.
    finds: bool,
}

/// The causes that evidence is weighed for.
const ATTACK: usize = 0;
const FLASH_CROWD: usize = 1;
const GLITCH: usize = 2;
const UNKNOWN: usize = 3;

/// What "unknown" starts with, in nats: without evidence it is the answer.
const UNKNOWN_WEIGHT: f64 = 1.0;

/// Below this it is what programs bring that nobody means harm with: monitors, readers, partners.
const SLIGHT: f64 = 1.5;

/// Of the connections of people, one in so many may be held at most: opened ahead, and never used.
const HOLDING: u64 = 4;

/// Where so much fewer clients come than before, those who try again are not they.
const AS_MANY: f64 = 0.5;

/// Reasons of less weight are not worth a line.
const LEAST_REASON: f64 = 0.15;

/// The part of the excess that stands for all of it where the retries of those who are hurt cannot be told from a crowd.
const ALONE_ENCRYPTED: f64 = 0.72;

/// How sure what a rule says by itself is: its numbers leave little else.
const SAID: f64 = 0.95;

/// A scan that multiplies the load by this is more than that.
const HEAVY: f64 = 3.0;

/// Sources with less than this are few on any day: a person at work.
const MACHINE: f64 = 120.0;

/// The part of requests for pages is taken for no less: what is counted so rarely is not known well.
const FEWEST_PAGES: f64 = 0.1;

impl Case<'_> {
    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.without(None);
        verdict.flips = self.flips(&verdict);
        verdict.unseen = self.unseen.clone();
        verdict
    }

    fn without(&self, left_out: Option<Evidence>) -> Verdict {
        let mut judged: Vec<Judged> = if self.cohorts.is_empty() {
            vec![self.judge(&Cohort { who: Who::Many, share: 1.0, ..Cohort::default() }, left_out)]
        } else {
            self.cohorts.iter().map(|cohort| self.judge(cohort, left_out)).collect()
        };
        judged.extend(self.failure_beside(&judged, left_out));
        self.combine(together(judged))
    }

    /// That the service fails beside somebody who asks too much, which it had borne: a matter of its own, though it brings
    /// none of the excess.
    fn failure_beside(&self, judged: &[Judged], left_out: Option<Evidence>) -> Option<Judged> {
        let fails = self.fails_at_ease.filter(|_| self.is_failing && !self.is_blind)?;
        let is_heavy = judged.first().is_some_and(|one| one.cause == Cause::HeavyClient);
        let is_told = judged.iter().any(|one| is_glitch(one.cause));
        if !is_heavy || is_told {
            return None;
        }
        let others = self.facts.iter().filter(|fact| OF_FAULTS.contains(&fact.evidence));
        let others = others.filter(|fact| fact.evidence != fails.evidence).copied();
        let facts = others.chain([fails]).collect();
        let alone = Case { facts, cohorts: &[], unseen: Vec::new(), ..*self };
        Some(alone.judge(&Cohort { who: Who::Many, ..Cohort::default() }, left_out))
    }

    /// Those pieces of evidence without which the verdict would be another.
    fn flips(&self, verdict: &Verdict) -> Vec<Flip> {
        let mut flips = Vec::new();
        for reason in &verdict.reasons {
            let without = self.without(Some(reason.evidence)).cause;
            if label(without) != label(verdict.cause) {
                flips.push(Flip { evidence: reason.evidence, without });
            }
        }
        flips
    }

    fn judge(&self, cohort: &Cohort, left_out: Option<Evidence>) -> Judged {
        let weighed = self.weighed(cohort, left_out);
        let probable = self.probable(&weighed);
        let best = (0..UNKNOWN).max_by(|one, other| probable[*one].total_cmp(&probable[*other])).unwrap_or(0);
        let cause = match (weighed.is_empty(), self.is_sure(&probable, best)) {
            (true, _) => Cause::Unknown(Unknown::InsufficientData),
            (false, true) => self.cause(cohort, &weighed, best),
            (false, false) => Cause::Unknown(leaning(best)),
        };
        let probability = probable[best];
        let reasons = weighed.into_iter().map(|(fact, parts)| reason(fact, &parts, best)).collect();
        let (share, origins) = (cohort.share, cohort.origins.clone());
        let (is_gathered, finds) = (cohort.is_gathered(), self.finds(cohort));
        Judged { cause, probability, reasons, share, origins, is_gathered, finds }
    }

    /// Whether a cohort raises the load by half or more, and is mostly given what it asks for: those who try paths or
    /// passwords are denied them, though they may be given the form each time.
    fn finds(&self, cohort: &Cohort) -> bool {
        let Cell { denied, missing, responses, accesses, .. } = cohort.cell;
        let failed = u64::from(denied) + u64::from(missing);
        let raises = self.times.is_none_or(|times| (times - 1.0) * cohort.share >= SLIGHT - 1.0);
        accesses > 0 && raises && 3 * failed < responses.max(1)
    }

    /// The evidence that speaks of a cohort, with what it weighs for each cause.
    fn weighed(&self, cohort: &Cohort, left_out: Option<Evidence>) -> Vec<Weighed> {
        let mut found = self.facts.clone();
        found.extend(self.of_cohort(cohort));
        let again = self.who_tries_again(cohort).map(Gathering::times);
        let is_same = |times| self.strength(Evidence::SameClients, times) >= 1.0;
        if self.broke_by_itself() || again.is_some_and(is_same) {
            found.retain(|fact| !OF_PEOPLE.contains(&fact.evidence));
        }
        if self.is_their_doing(cohort) || self.shows(Evidence::Drips) {
            found.retain(|fact| !OF_FAULTS.contains(&fact.evidence));
        }
        // Connections that others hold say nothing of these, nor does what is a part of their own.
        let own = self.held_by(cohort);
        found.retain(|fact| match fact.evidence {
            Evidence::Held => self.holds(cohort, fact.value) && own.is_none_or(|own| fact.value >= own),
            Evidence::Drips => self.cohorts.len() <= 1 || cohort.cell.drips > 0,
            _ => true,
        });
        found.retain(|fact| Some(fact.evidence) != left_out);
        let weigh = |fact: Fact| {
            let weight = self.weights.of(fact.evidence)?;
            let strength = weight.strength(fact.value);
            let parts = [weight.attack, weight.flash_crowd, weight.glitch].map(|weight| weight * strength);
            (strength > 0.0).then_some((fact, parts))
        };
        found.into_iter().filter_map(weigh).collect()
    }

    /// How probable each cause is, and that it is none of them.
    fn probable(&self, weighed: &[Weighed]) -> [f64; 4] {
        let demands = &self.weights.demands;
        let mut sums = [0.0, 0.0, 0.0, UNKNOWN_WEIGHT];
        for (_, parts) in weighed {
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        let temperature = demands.temperature.get(self.stage).copied().unwrap_or(1.0);
        let mut probable = softmax(sums.map(|sum| sum / temperature));
        if !shows(weighed, &BEHAVIOUR) && probable[ATTACK] > demands.without_behaviour {
            probable[UNKNOWN] += probable[ATTACK] - demands.without_behaviour;
            probable[ATTACK] = demands.without_behaviour;
        }
        probable
    }

    /// Whether one cause is probable enough, and enough more than the next.
    fn is_sure(&self, probable: &[f64; 4], best: usize) -> bool {
        let demands = &self.weights.demands;
        let next = (0..=UNKNOWN).filter(|other| *other != best).map(|at| probable[at]).fold(0.0, f64::max);
        probable[best] >= demands.probability && (probable[best] / next.max(1e-12)).ln() >= demands.margin
    }

    /// Whether the service broke before anything pushed it: who comes more often then are the people who try again.
    fn broke_by_itself(&self) -> bool {
        let signs = [Evidence::BrokeFirst, Evidence::LargeLost, Evidence::PathLost, Evidence::Unanswered];
        !self.shows(Evidence::Drips) && signs.into_iter().any(|evidence| self.shows(evidence))
    }

    /// Whether datagrams are so many that they are a flood, over however many ports they are spread.
    fn is_flooded(&self, cause: Cause) -> bool {
        let is_flood = matches!(cause, Cause::Attack(Attack::UdpFlood | Attack::Reflection));
        is_flood || self.shows(Evidence::Datagrams)
    }

    /// Whether a fact about the service as a whole speaks with half its weight or more.
    fn shows(&self, evidence: Evidence) -> bool {
        self.value(evidence).is_some_and(|value| self.strength(evidence, value) >= 0.5)
    }

    /// Whether the service fails by the doing of a cohort, without much of a load: few who bring most of the excess, and it
    /// broke as they began, or they hold its connections.
    fn is_their_doing(&self, cohort: &Cohort) -> bool {
        let fully = |evidence, value| self.strength(evidence, value) >= 1.0;
        let holds = || {
            let held = self.value(Evidence::Held).filter(|held| fully(Evidence::Held, *held));
            held.is_some_and(|held| self.holds(cohort, held))
        };
        let replaces = || self.value(Evidence::Replaced).is_some_and(|part| fully(Evidence::Replaced, part));
        let is_theirs = || self.few_pushed || holds() || replaces();
        cohort.who.is_few() && fully(Evidence::Concentration, cohort.share) && is_theirs()
    }

    /// Whether a cohort is among those who hold connections: there is no other, it holds most of what it opens, or most
    /// of what is held.
    fn holds(&self, cohort: &Cohort, held: f64) -> bool {
        self.cohorts.len() <= 1 || holds(&cohort.cell) || 2.0 * f64::from(cohort.cell.held) >= held
    }

    /// What a cohort beside the many at home holds, where that is a quarter of what it opens or more, however many addresses
    /// it has: those that are seen to hold for themselves are told by the service's own evidence, if they hold as much.
    fn held_by(&self, cohort: &Cohort) -> Option<f64> {
        let held = u64::from(cohort.cell.held);
        let holds = is_about_holding(held) && HOLDING * held >= cohort.cell.connections;
        let is_told = self.value(Evidence::Held).is_some_and(|told| told >= held as f64);
        (cohort.who != Who::Many && holds && !is_told && !self.is_lossy).then_some(held as f64)
    }

    fn strength(&self, evidence: Evidence, value: f64) -> f64 {
        self.weights.of(evidence).map_or(0.0, |weight| weight.strength(value))
    }

    /// What a cohort's clients show.
    fn of_cohort(&self, cohort: &Cohort) -> Vec<Fact> {
        let is_few = cohort.who.is_few();
        let mut facts = Vec::new();
        let mut add = |evidence, value: Option<f64>, expected| {
            facts.extend(value.map(|value| Fact { evidence, value, expected }));
        };
        let often = self.busy_client.map(|busy| self.page_times(cohort) * cohort.client_rate / busy);
        let rate = often.or(Some(cohort.client_rate / MACHINE)).filter(|_| cohort.client_rate > 0.0);
        let often = often.and(rate);
        // Beside few who stand out, new networks are what tells their like from the many.
        let is_apart = cohort.who != Who::Many || self.cohorts.len() <= 1;
        let are_people = is_apart && are_people(cohort, often, self.weights);
        add(Evidence::Concentration, (is_few && !are_people).then_some(cohort.share), Some(0.0));
        add(Evidence::KnownNetworks, cohort.known, Some(1.0));
        let new = cohort.known.filter(|_| !are_people).map(|known| 1.0 - known);
        add(Evidence::NewNetworks, new, Some(0.0));
        let abroad = matches!(cohort.who, Who::FewAbroad | Who::ManyAbroad);
        add(Evidence::Foreign, abroad.then_some(cohort.share), Some(0.0));
        add(Evidence::OnlyAbroad, (cohort.who == Who::ManyAbroad).then_some(cohort.share), Some(0.0));
        let more = cohort.gathering.filter(|_| cohort.is_gathered()).map(Gathering::times);
        add(Evidence::MoreClients, more, Some(1.0));
        add(Evidence::SameClients, self.who_tries_again(cohort).map(Gathering::times), Some(1.0));
        // One address may be a gateway with all of them behind it.
        let few = (cohort.effective_sources > 0.0 && !are_people).then_some(cohort.effective_sources);
        add(Evidence::FewSources, few, None);
        add(Evidence::OneSource, few.filter(|_| is_few).map(|sources| 1.0 / sources), None);
        add(Evidence::HighRate, rate.filter(|_| !are_people), Some(1.0));
        add(Evidence::OrdinaryRate, often, Some(1.0));
        add(Evidence::Held, self.held_by(cohort), Some(0.0));
        // A make that everybody uses tells nothing.
        // Where nothing is known of before, many sources of one make in few prefixes are no people either.
        let is_uniform = |share| is_few && cohort.sources >= MANY && share >= UNIFORM;
        let is_rare = |(share, before): &(f64, Option<f64>)| match before {
            Some(before) => *before <= RARE,
            None => is_uniform(*share),
        };
        let rare = cohort.make.filter(is_rare);
        let of_excess = |(share, before): (f64, Option<f64>)| match before {
            Some(before) => cohort.of_excess(share, before),
            None => share,
        };
        add(Evidence::OneMake, rare.map(of_excess), rare.and_then(|(_, before)| before));
        add(Evidence::SameMakes, cohort.same_makes, Some(1.0));
        add(Evidence::OtherMakes, cohort.same_makes.map(|same| 1.0 - same), Some(0.0));
        add(Evidence::OnePath, cohort.path, None);
        add(Evidence::FewAssets, cohort.assets, Some(1.0));
        add(Evidence::Assets, cohort.assets, Some(1.0));
        add(Evidence::BriefConnections, cohort.packets.filter(|_| is_few && !are_people), Some(1.0));
        facts
    }

    /// How many times as many pages the requests of a cohort's clients are as those of others were: who fetches nothing that
    /// belongs to them asks for more of them as often.
    fn page_times(&self, cohort: &Cohort) -> f64 {
        let (Some(assets), Some(usual)) = (cohort.assets, self.asset_share) else { return 1.0 };
        ((1.0 - assets * usual) / (1.0 - usual).max(FEWEST_PAGES)).max(1.0)
    }

    /// How many different clients a cohort has where they try again what fails: nobody else brings the excess, and they ask
    /// for twice as much as ever.
    fn who_tries_again(&self, cohort: &Cohort) -> Option<Gathering> {
        let is_alone = self.cohorts.iter().all(|other| !other.who.is_few());
        let is_much = cohort.excess >= cohort.usual.max(1.0);
        let is_failed = self.is_failing || self.is_brief;
        cohort.gathering.filter(|all| all.times() >= AS_MANY && is_failed && is_alone && is_much)
    }

    /// The value of a fact about the service as a whole.
    fn value(&self, evidence: Evidence) -> Option<f64> {
        self.facts.iter().find(|fact| fact.evidence == evidence).map(|fact| fact.value)
    }

    fn combine(&self, mut judged: Vec<Judged>) -> Verdict {
        judged.sort_by(|one, other| other.share.total_cmp(&one.share));
        let whole: f64 = judged.iter().map(|one| one.share).sum();
        let mut parts: Vec<Part> = Vec::new();
        for one in &judged {
            let share = if whole > 0.0 { one.share / whole } else { 1.0 };
            match parts.iter_mut().find(|part| part.cause == one.cause) {
                Some(part) => {
                    part.share += share;
                    part.origins.extend(&one.origins);
                }
                None => parts.push(Part { cause: one.cause, share, origins: one.origins.clone() }),
            }
        }
        parts.sort_by(|one, other| other.share.total_cmp(&one.share));
        let (cause, of) = self.overall(&parts, &judged);
        let probability = |cause: Cause| {
            let own = judged.iter().filter(|one| one.cause == cause);
            own.map(|one| one.probability).fold(1.0, f64::min)
        };
        let confidence = match cause {
            cause if self.said == Some(cause) => SAID,
            Cause::Mixed => parts.iter().map(|part| probability(part.cause)).fold(1.0, f64::min),
            // What is not called is less sure than what is.
            Cause::Unknown(_) => probability(of.unwrap_or(cause)).min(self.weights.demands.probability),
            cause => probability(of.unwrap_or(cause)),
        };
        let leading = judged.iter().find(|one| Some(one.cause) == of).or(judged.first());
        let mut reasons: Vec<Reason> = leading.map(|one| one.reasons.clone()).unwrap_or_default();
        // What is hardly served shows in its number alone.
        let beside =
            judged.iter().filter(|one| cause == Cause::Mixed && one.is_gathered && Some(one.cause) != of);
        let number = |reason: &&Reason| reason.evidence == Evidence::MoreClients;
        reasons.extend(beside.flat_map(|one| one.reasons.iter().filter(number)));
        // A failure that brings no excess shows in itself.
        let failure = judged.iter().filter(|one| cause == Cause::Mixed && one.share <= 0.0);
        reasons.extend(failure.flat_map(|one| one.reasons.iter().cloned()));
        reasons.sort_by(|one, other| {
            other.weight.abs().total_cmp(&one.weight.abs()).then(one.evidence.cmp(&other.evidence))
        });
        let (reasons, doubts) = reasons
            .into_iter()
            .filter(|reason| reason.weight.abs() >= LEAST_REASON)
            .partition(|reason| reason.weight > 0.0);
        Verdict { cause, confidence, parts, reasons, doubts, flips: Vec::new(), unseen: Vec::new() }
    }

    /// Whether a rule says that passwords are guessed: as long as it hurts nobody, that is no flood, however often it is tried.
    fn is_guessing(&self) -> bool {
        matches!(self.said, Some(Cause::BruteForce(_)))
    }

    /// The cause of all, and that of the cohort that stands for it.
    fn overall(&self, parts: &[Part], judged: &[Judged]) -> (Cause, Option<Cause>) {
        let Some(first) = parts.first() else { return (Cause::Unknown(Unknown::InsufficientData), None) };
        let is_open = |cause: Cause| matches!(cause, Cause::Unknown(_) | Cause::HeavyClient);
        // By the load of the whole episode: where little comes, a few seconds may bring three times as much by chance.
        let is_heavy = self.times.is_some_and(|times| times >= HEAVY);
        let is_small = !self.is_hurt && (self.is_guessing() || !is_heavy);
        let is_told = |said: &Cause| !(matches!(said, Cause::Scan(_)) && self.is_flooded(first.cause));
        let said = self.said.filter(is_told);
        // Others than those who search may be beside them; but a few people more come on any day.
        let is_other = |cause| !is_open(cause) && (is_heavy || cause != Cause::FlashCrowd);
        let are_others = judged.iter().any(|one| one.finds && is_other(one.cause));
        let is_theirs = is_small && (self.is_said_of_all || !are_others);
        if let Some(said) = said.filter(|_| is_theirs || parts.iter().all(|part| is_open(part.cause))) {
            return (said, Some(first.cause));
        }
        // One direction, or packets with holes between them, prove who comes and how much; of how they are served they
        // prove nothing.
        let needs_answers = |cause| {
            matches!(
                cause,
                Cause::Glitch(_) | Cause::Unknown(Unknown::LeaningGlitch | Unknown::InsufficientData)
            )
        };
        let says_nothing = self.is_lossy && matches!(first.cause, Cause::Unknown(_));
        // As many as always, of whom half is seen, are no crowd.
        let is_crowd =
            |cause| matches!(cause, Cause::FlashCrowd | Cause::Unknown(Unknown::LeaningFlashCrowd));
        let is_no_crowd = is_crowd(first.cause) && self.times.is_some_and(|times| times < ORDINARY_LOAD);
        if self.is_blind && (needs_answers(first.cause) || is_no_crowd) || says_nothing {
            return (Cause::Unknown(Unknown::Sensor), Some(first.cause));
        }
        // Over TLS the people who try again look like a crowd: only connections are seen.
        let is_encrypted = self.unseen.contains(&Unseen::Encrypted);
        let is_attack = matches!(first.cause, Cause::Attack(_));
        let alone = if is_encrypted && self.is_hurt && is_attack {
            ALONE_ENCRYPTED
        } else {
            self.weights.demands.alone
        };
        let fails_beside = judged.iter().any(|one| one.share <= 0.0 && is_glitch(one.cause));
        if first.share >= alone && !is_in_a_crowd(first.cause, judged) && !fails_beside {
            return (first.cause, Some(first.cause));
        }
        let known: Vec<&Part> =
            parts.iter().filter(|part| !matches!(part.cause, Cause::Unknown(_))).collect();
        let first_known =
            judged.iter().find(|one| !matches!(one.cause, Cause::Unknown(_))).map(|one| one.cause);
        match known.as_slice() {
            [] => (first.cause, Some(first.cause)),
            // What fails beside somebody who may be an attacker may be his doing, and who comes in smaller number beside him
            // may be his.
            [only]
                if matches!(only.cause, Cause::Glitch(_) | Cause::FlashCrowd)
                    && first.cause == Cause::Unknown(Unknown::LeaningAttack) =>
            {
                (first.cause, Some(first.cause))
            }
            [only] => (only.cause, Some(only.cause)),
            _ => (Cause::Mixed, first_known),
        }
    }
}

/// Sources that would differ in their makes if they were people, and the part that one make has of what no people ask with:
/// seven in ten browsers are built upon one (<https://gs.statcounter.com/browser-market-share>).
const MANY: f64 = 20.0;
const UNIFORM: f64 = 0.9;

const fn is_glitch(cause: Cause) -> bool {
    matches!(cause, Cause::Glitch(_))
}

/// Whether people gather beside few who leave them little: their part of what is asked for tells of the service then, and
/// not of them.
fn is_in_a_crowd(first: Cause, judged: &[Judged]) -> bool {
    matches!(first, Cause::Attack(_) | Cause::HeavyClient)
        && judged.iter().any(|one| one.is_gathered && one.cause == Cause::FlashCrowd)
}

/// Few who behave as others do that are a flood are a part of it: heavy clients are few altogether.
fn together(mut judged: Vec<Judged>) -> Vec<Judged> {
    let flood = judged.iter().find(|one| matches!(one.cause, Cause::Attack(_))).map(|one| one.cause);
    if let Some(flood) = flood {
        let heavy = judged.iter_mut().filter(|one| one.cause == Cause::HeavyClient);
        heavy.for_each(|one| one.cause = flood);
    }
    judged
}

/// What a piece of evidence weighs for the cause that was found, against the next.
fn reason(fact: Fact, parts: &[f64; 3], best: usize) -> Reason {
    let others = (0..UNKNOWN).filter(|at| *at != best).map(|at| parts[at]).fold(f64::MIN, f64::max);
    let weight = parts[best] - others.max(0.0_f64.min(parts[best]));
    Reason { evidence: fact.evidence, value: fact.value, expected: fact.expected, weight }
}

/// Evidence, and what it weighs for each cause.
type Weighed = (Fact, [f64; 3]);

/// Whether any of this evidence speaks.
fn shows(weighed: &[Weighed], among: &[Evidence]) -> bool {
    weighed.iter().any(|(fact, _)| among.contains(&fact.evidence))
}

/// What a cause that is not sure leans to.
fn leaning(best: usize) -> Unknown {
    match best {
        ATTACK => Unknown::LeaningAttack,
        FLASH_CROWD => Unknown::LeaningFlashCrowd,
        _ => Unknown::LeaningGlitch,
    }
}

fn softmax<const N: usize>(sums: [f64; N]) -> [f64; N] {
    let most = sums.iter().copied().fold(f64::MIN, f64::max);
    let parts = sums.map(|sum| (sum - most).exp());
    let whole: f64 = parts.iter().sum();
    parts.map(|part| part / whole)
}

/// The cause without its kind.
pub(super) fn label(cause: Cause) -> u8 {
    match cause {
        Cause::Attack(_) => 0,
        Cause::FlashCrowd => 1,
        Cause::Glitch(_) => 2,
        Cause::Scan(_) => 3,
        Cause::BruteForce(_) => 4,
        Cause::HeavyClient => 5,
        Cause::Mixed => 6,
        Cause::Unknown(_) => 7,
        Cause::Unjudged => 8,
    }
}
