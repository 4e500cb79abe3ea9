//! Evidence and cohorts in, a verdict out: with the weights that are shipped.

use crate::aggregate::Cell;
use crate::detect::rule::{Evidence, Weights};
use crate::incident::clients::Gathering;
use crate::incident::cohort::{Cohort, Who};
use crate::incident::facts::Fact;
use crate::incident::verdict::Case;
use crate::incident::{Attack, BruteForce, Cause, Glitch, Scan, Unit, Unknown, Unseen, Verdict};

/// What is told to the judge, an ordinary web server if nothing else is said.
struct Told {
    facts: Vec<Fact>,
    cohorts: Vec<Cohort>,
    said: Option<Cause>,
    is_said_of_all: bool,
    unit: Unit,
    stage: usize,
    is_hurt: bool,
    is_brief: bool,
    is_silent: bool,
    is_blind: bool,
    is_lossy: bool,
    times: Option<f64>,
    few_pushed: bool,
    fails_at_ease: Option<Fact>,
    was_well: bool,
    told: Option<Cause>,
}

impl Told {
    fn new(facts: &[(Evidence, f64)], cohorts: Vec<Cohort>) -> Self {
        let facts = facts.iter().map(|(evidence, value)| Fact {
            evidence: *evidence,
            value: *value,
            expected: Some(0.0),
        });
        Self {
            facts: facts.collect(),
            cohorts,
            said: None,
            is_said_of_all: false,
            unit: Unit::Requests,
            stage: 1,
            is_hurt: false,
            is_brief: false,
            is_silent: false,
            is_blind: false,
            is_lossy: false,
            times: None,
            few_pushed: false,
            fails_at_ease: None,
            was_well: true,
            told: None,
        }
    }

    fn hurt(self) -> Self {
        Self { is_hurt: true, ..self }
    }

    fn verdict(&self) -> Verdict {
        let weights = Weights::builtin();
        let surge = self.facts.iter().find(|fact| fact.evidence == Evidence::Surge);
        Case {
            weights: &weights,
            facts: self.facts.clone(),
            cohorts: &self.cohorts,
            busy_client: Some(30.0),
            asset_share: Some(0.8),
            stage: self.stage,
            said: self.said,
            is_said_of_all: self.is_said_of_all,
            told: self.told,
            unit: self.unit,
            has_accesses: self.unit == Unit::Requests,
            unseen: vec![Unseen::Before],
            times: self.times.or(surge.map(|fact| fact.value)),
            times_asked: None,
            by_connections: false,
            by_packets: false,
            is_connecting: false,
            few_pushed: self.few_pushed,
            fails_at_ease: self.fails_at_ease,
            was_well: self.was_well,
            is_hurt: self.is_hurt,
            is_failing: self.is_hurt,
            is_brief: self.is_brief,
            is_silent: self.is_silent,
            is_blind: self.is_blind,
            is_lossy: self.is_lossy,
        }
        .verdict()
    }
}

/// Two hundred machines of two prefixes that nobody knew: one make, one page, ten times as often as people.
fn machines(share: f64) -> Cohort {
    Cohort {
        who: Who::FewAbroad,
        share,
        origins: vec![0, 1],
        known: Some(0.01),
        sources: 200.0,
        effective_sources: 180.0,
        client_rate: 300.0,
        make: Some((0.98, Some(0.0))),
        same_makes: Some(0.02),
        path: Some(0.95),
        assets: Some(0.0),
        ..Cohort::default()
    }
}

/// A few thousand people from where people always came from.
fn people(share: f64) -> Cohort {
    Cohort {
        who: Who::Many,
        share,
        known: Some(0.9),
        sources: 4_000.0,
        effective_sources: 3_000.0,
        client_rate: 20.0,
        make: Some((0.3, Some(0.3))),
        same_makes: Some(0.95),
        path: Some(0.4),
        assets: Some(1.0),
        ..Cohort::default()
    }
}

/// Strangers of whom only the place and the number are known.
fn strangers(share: f64) -> Cohort {
    Cohort {
        who: Who::FewAbroad,
        share,
        origins: vec![0],
        known: Some(0.0),
        sources: 500.0,
        effective_sources: 400.0,
        ..Cohort::default()
    }
}

/// Four hundred people of three prefixes at home that hardly anybody came from before: a campus whose registration opens.
fn campus() -> Cohort {
    Cohort {
        who: Who::FewAtHome,
        share: 1.0,
        origins: vec![0, 1, 2],
        known: Some(0.02),
        sources: 400.0,
        effective_sources: 300.0,
        client_rate: 15.0,
        make: Some((0.2, Some(0.2))),
        same_makes: Some(0.7),
        own_part: 0.8,
        path: Some(0.3),
        assets: Some(1.0),
        ..Cohort::default()
    }
}

const RISEN: (Evidence, f64) = (Evidence::Surge, 5.0);

#[test]
fn machines_from_few_prefixes_are_a_flood() {
    let verdict = Told::new(&[RISEN], vec![machines(1.0)]).verdict();
    assert_eq!(verdict.cause, Cause::Attack(Attack::HttpFlood));
    assert!(verdict.confidence >= 0.8, "{verdict:?}");
    assert!(verdict.reasons.iter().any(|reason| reason.evidence == Evidence::OneMake), "{verdict:?}");
    assert!(verdict.reasons.iter().all(|reason| reason.weight > 0.0));
    assert!(verdict.doubts.iter().all(|reason| reason.weight < 0.0));
}

#[test]
fn people_from_everywhere_they_came_from_are_a_crowd() {
    let told = Told::new(&[RISEN, (Evidence::LoadFirst, 30.0)], vec![people(1.0)]).hurt();
    assert_eq!(told.verdict().cause, Cause::FlashCrowd);
}

#[test]
fn who_asks_for_pages_alone_asks_for_more_of_them_than_people_do() {
    let told = |assets| {
        let cohort = Cohort { assets: Some(assets), same_makes: None, path: None, ..people(1.0) };
        Told::new(&[RISEN, (Evidence::LoadFirst, 30.0)], vec![cohort]).hurt().verdict()
    };
    let rate = |verdict: Verdict, of| {
        verdict.reasons.iter().find(|reason| reason.evidence == of).map(|found| found.value)
    };
    assert!(rate(told(0.9), Evidence::OrdinaryRate).is_some_and(|times| times < 1.0));
    assert_eq!(told(0.9).cause, Cause::FlashCrowd);
    assert!(rate(told(0.05), Evidence::HighRate).is_some_and(|times| times > 3.0));
    assert_ne!(told(0.05).cause, Cause::FlashCrowd);
}

#[test]
fn as_many_as_ever_who_ask_for_much_more_of_what_fails_try_again() {
    let told = |now, (is_hurt, is_brief)| {
        let gathering = Some(Gathering { before: 200.0, now });
        let program = Cohort { assets: Some(0.2), known: Some(0.6), path: Some(0.9), ..people(1.0) };
        let again = Cohort { gathering, excess: 9_000.0, usual: 2_000.0, ..program };
        Told { is_hurt, is_brief, ..Told::new(&[RISEN], vec![again]) }.verdict().cause
    };
    assert_eq!(told(220.0, (true, false)), Cause::Glitch(Glitch::Backend));
    assert_eq!(told(220.0, (false, true)), Cause::Glitch(Glitch::Backend), "behind TLS");
    assert!(!matches!(told(40.0, (true, false)), Cause::Glitch(_)), "others than they");
    assert_eq!(told(600.0, (true, false)), Cause::FlashCrowd, "many more of them");
    assert!(!matches!(told(220.0, (false, false)), Cause::Glitch(_)), "and it serves them");
}

#[test]
fn people_behind_few_prefixes_that_were_not_there_before_are_a_crowd() {
    let told = |cohort| Told::new(&[RISEN, (Evidence::LoadFirst, 30.0)], vec![cohort]).hurt().verdict();
    assert_eq!(told(campus()).cause, Cause::FlashCrowd);
    let sealed = Cohort { assets: None, same_makes: Some(0.85), ..campus() };
    assert_eq!(told(sealed).cause, Cause::FlashCrowd, "encrypted, with the makes of before");
    let gateway = Cohort { sources: 1.0, effective_sources: 1.0, client_rate: 3_000.0, ..campus() };
    assert_eq!(told(gateway).cause, Cause::FlashCrowd, "behind one address");
    let bots = Cohort { make: Some((0.7, Some(0.0))), same_makes: Some(0.3), assets: Some(0.1), ..campus() };
    assert_eq!(told(bots).cause, Cause::Attack(Attack::HttpFlood));
    let abroad = Cohort { who: Who::ManyAbroad, ..campus() };
    assert_ne!(told(abroad).cause, Cause::Unknown(Unknown::LeaningAttack), "news that is read abroad");
}

#[test]
fn machines_among_people_are_a_mixture_whose_parts_add_up() {
    let verdict = Told::new(&[RISEN], vec![people(0.6), machines(0.4)]).verdict();
    assert_eq!(verdict.cause, Cause::Mixed);
    let parts: Vec<_> = verdict.parts.iter().map(|part| (part.cause, part.origins.clone())).collect();
    assert_eq!(parts, [(Cause::FlashCrowd, vec![]), (Cause::Attack(Attack::HttpFlood), vec![0, 1])]);
    let whole: f64 = verdict.parts.iter().map(|part| part.share).sum();
    assert!((whole - 1.0).abs() < 1e-9, "{whole}");
}

#[test]
fn a_twentieth_of_the_excess_makes_no_mixture() {
    let verdict = Told::new(&[RISEN], vec![machines(0.95), people(0.05)]).verdict();
    assert_eq!(verdict.cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn few_who_ask_once_on_each_connection_behave_as_no_people_do() {
    let sealed = |packets| Cohort {
        packets: Some(packets),
        client_rate: 20.0,
        make: None,
        same_makes: None,
        path: None,
        assets: None,
        ..machines(1.0)
    };
    let told = |packets| Told::new(&[RISEN], vec![sealed(packets)]).verdict().cause;
    assert_eq!(told(0.9), Cause::Unknown(Unknown::LeaningAttack));
    assert_eq!(told(0.25), Cause::Attack(Attack::HttpFlood));
}

#[test]
fn place_novelty_and_volume_alone_are_no_attack() {
    let verdict = Told::new(&[RISEN], vec![strangers(1.0)]).verdict();
    assert_eq!(verdict.cause, Cause::Unknown(Unknown::LeaningAttack));
    assert!(verdict.confidence <= 0.55 + 1e-9, "{}", verdict.confidence);
}

#[test]
fn one_source_is_a_heavy_client_until_it_shows_intent() {
    let alone = Cohort { sources: 1.0, effective_sources: 1.0, ..machines(1.0) };
    assert_eq!(Told::new(&[RISEN], vec![alone.clone()]).verdict().cause, Cause::HeavyClient);
    let holding = Told::new(&[RISEN, (Evidence::Held, 200.0)], vec![alone]);
    assert_eq!(holding.verdict().cause, Cause::Attack(Attack::Slow));
}

#[test]
fn a_failure_beside_a_heavy_client_that_the_service_had_borne_is_a_cause_of_its_own() {
    let fails = Fact { evidence: Evidence::FailsUnloaded, value: 0.5, expected: Some(0.0) };
    let alone = || Cohort { sources: 1.0, effective_sources: 1.0, ..machines(1.0) };
    let told = |fails_at_ease| {
        let surge = [(Evidence::Surge, 1.5)];
        Told { fails_at_ease, ..Told::new(&surge, vec![alone()]) }.hurt().verdict()
    };
    let verdict = told(Some(fails));
    assert_eq!(verdict.cause, Cause::Mixed);
    let parts: Vec<_> = verdict.parts.iter().map(|part| (part.cause, part.share)).collect();
    assert_eq!(parts, [(Cause::HeavyClient, 1.0), (Cause::Glitch(Glitch::Backend), 0.0)]);
    assert!(verdict.flips.iter().any(|flip| flip.without == Cause::HeavyClient));
    assert_eq!(told(None).cause, Cause::HeavyClient);
}

#[test]
fn a_dozen_that_hurt_somebody_are_no_heavy_client() {
    let dozen = Cohort { sources: 12.0, effective_sources: 12.0, ..machines(1.0) };
    let mild = Told::new(&[(Evidence::Surge, 1.5)], vec![dozen]);
    assert_eq!(mild.verdict().cause, Cause::HeavyClient);
    assert_eq!(mild.hurt().verdict().cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn what_breaks_by_itself_is_a_glitch_of_what_broke() {
    let broke = [(Evidence::FailsUnloaded, 0.6), (Evidence::BrokeFirst, 60.0)];
    let backend = Told::new(&broke, vec![]);
    assert_eq!(backend.verdict().cause, Cause::Glitch(Glitch::Backend));
    let silent = Told { is_silent: true, ..Told::new(&broke, vec![]) };
    assert_eq!(silent.verdict().cause, Cause::Glitch(Glitch::Server));
    let closed = Told::new(&[broke[0], broke[1], (Evidence::Unanswered, 0.9)], vec![]);
    assert_eq!(closed.verdict().cause, Cause::Glitch(Glitch::Server));
    let cut = Told::new(&[broke[0], (Evidence::LargeLost, 0.9)], vec![]);
    assert_eq!(cut.verdict().cause, Cause::Glitch(Glitch::Network));
}

#[test]
fn people_who_try_again_after_it_broke_are_no_flood() {
    let facts = [RISEN, (Evidence::FailsUnloaded, 0.8), (Evidence::BrokeFirst, 20.0)];
    let verdict = Told::new(&facts, vec![people(1.0)]).hurt().verdict();
    assert!(matches!(verdict.cause, Cause::Glitch(_)), "{verdict:?}");
}

#[test]
fn a_flood_without_rows_is_called_by_what_it_does() {
    for (evidence, value, unit, kind) in [
        (Evidence::HalfOpen, 0.99, Unit::Packets, Attack::SynFlood),
        (Evidence::Datagrams, 20_000.0, Unit::Packets, Attack::UdpFlood),
        (Evidence::Resets, 0.9, Unit::Requests, Attack::H2Reset),
        (Evidence::OutOfState, 1_500.0, Unit::Packets, Attack::OutOfState),
        (Evidence::HastyRecords, 900.0, Unit::Requests, Attack::H2Reset),
        (Evidence::Held, 300.0, Unit::Connections, Attack::Slow),
    ] {
        let verdict = Told { unit, ..Told::new(&[(evidence, value)], vec![]) }.verdict();
        assert_eq!(verdict.cause, Cause::Attack(kind), "{evidence}");
    }
    let amplified = [(Evidence::Datagrams, 20_000.0), (Evidence::Reflected, 0.95)];
    let verdict = Told { unit: Unit::Packets, ..Told::new(&amplified, vec![]) }.verdict();
    assert_eq!(verdict.cause, Cause::Attack(Attack::Reflection));
}

#[test]
fn conversations_that_say_nothing_readable_are_a_connection_flood() {
    let verdict = Told { unit: Unit::Connections, ..Told::new(&[RISEN], vec![machines(1.0)]) }.verdict();
    assert_eq!(verdict.cause, Cause::Attack(Attack::ConnectionFlood));
}

#[test]
fn one_direction_proves_no_fault_but_shows_a_flood() {
    let broke = [(Evidence::FailsUnloaded, 0.6), (Evidence::BrokeFirst, 60.0)];
    let fault = Told { is_blind: true, ..Told::new(&broke, vec![]) };
    assert_eq!(fault.verdict().cause, Cause::Unknown(Unknown::Sensor));
    let flood = Told { is_blind: true, ..Told::new(&[RISEN], vec![machines(1.0)]) };
    assert_eq!(flood.verdict().cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn as_many_as_always_of_whom_half_is_seen_are_no_crowd() {
    let half =
        |times| Told { is_blind: true, times: Some(times), ..Told::new(&[], vec![people(1.0)]) }.verdict();
    assert_eq!(half(1.1).cause, Cause::Unknown(Unknown::Sensor));
    assert_eq!(half(3.0).cause, Cause::FlashCrowd);
}

#[test]
fn a_rule_that_says_what_it_is_stands_unless_it_is_more_than_that() {
    let scan = Some(Cause::Scan(Scan::Path));
    let quiet = Told { said: scan, ..Told::new(&[(Evidence::Surge, 1.1)], vec![machines(1.0)]) };
    assert_eq!(quiet.verdict().cause, Cause::Scan(Scan::Path));
    let loud = Told { said: scan, ..Told::new(&[RISEN], vec![machines(1.0)]) };
    assert_eq!(loud.hurt().verdict().cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn a_burst_of_a_few_seconds_makes_no_more_of_a_scan() {
    let burst = Told {
        said: Some(Cause::Scan(Scan::Path)),
        times: Some(1.8),
        ..Told::new(&[RISEN], vec![machines(1.0)])
    };
    assert_eq!(burst.verdict().cause, Cause::Scan(Scan::Path));
}

#[test]
fn who_is_given_what_he_asks_for_beside_a_scan_is_not_the_scanner() {
    let told = |missing| {
        let cell = Cell { accesses: 900, responses: 900, missing, ..Cell::default() };
        Told {
            said: Some(Cause::Scan(Scan::Path)),
            times: Some(1.8),
            ..Told::new(&[RISEN], vec![Cohort { cell, ..machines(1.0) }])
        }
    };
    assert_eq!(told(0).verdict().cause, Cause::Attack(Attack::HttpFlood));
    assert_eq!(told(900).verdict().cause, Cause::Scan(Scan::Path));
    assert_eq!(told(440).verdict().cause, Cause::Scan(Scan::Path), "denied half, and given the form before");
    let of_all = Told { is_said_of_all: true, ..told(0) };
    assert_eq!(of_all.verdict().cause, Cause::Scan(Scan::Path), "whoever wrote the rule knows");
    let little = Told { times: Some(1.3), ..told(0) };
    assert_eq!(little.verdict().cause, Cause::Scan(Scan::Path), "a little more comes on any day");
}

#[test]
fn as_many_more_people_as_come_on_any_day_are_no_other_matter_than_a_scan() {
    let cell = Cell { accesses: 900, responses: 900, ..Cell::default() };
    let told = |times| {
        let cohorts = vec![Cohort { cell, ..people(1.0) }];
        Told { said: Some(Cause::Scan(Scan::Distributed)), times: Some(times), ..Told::new(&[], cohorts) }
    };
    assert_eq!(told(1.7).verdict().cause, Cause::Scan(Scan::Distributed));
    assert_eq!(told(6.0).verdict().cause, Cause::FlashCrowd);
}

#[test]
fn guessing_that_hurts_nobody_is_no_flood_however_often_it_is_tried() {
    let cell = Cell { accesses: 900, responses: 900, denied: 880, ..Cell::default() };
    let said = Cause::BruteForce(BruteForce::Coordinated);
    let cohorts = || vec![Cohort { cell, ..machines(1.0) }];
    let told = || Told { said: Some(said), times: Some(6.0), ..Told::new(&[RISEN], cohorts()) };
    assert_eq!(told().verdict().cause, said);
    assert_eq!(told().hurt().verdict().cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn one_make_blames_few_of_whom_nothing_was_known_where_hardly_anybody_has_another() {
    let cause = |share| {
        let make = Some((share, None));
        let few =
            Cohort { make, same_makes: None, path: None, assets: None, client_rate: 20.0, ..machines(1.0) };
        Told::new(&[RISEN], vec![few]).verdict().cause
    };
    assert_eq!(cause(0.95), Cause::Attack(Attack::HttpFlood));
    assert_eq!(cause(0.75), Cause::Unknown(Unknown::LeaningAttack), "most browsers are built upon one");
}

#[test]
fn what_fails_beside_somebody_who_may_be_an_attacker_is_not_called_a_fault() {
    let late = [(Evidence::LateUnloaded, 0.5)];
    let told = |cohorts| Told { times: Some(1.2), ..Told::new(&late, cohorts) }.verdict().cause;
    assert_eq!(told(vec![machines(1.0)]), Cause::Unknown(Unknown::LeaningAttack));
    let people = |share| Cohort { known: None, same_makes: None, assets: None, ..people(share) };
    assert_eq!(told(vec![people(1.0)]), Cause::Glitch(Glitch::Backend));
    assert_eq!(told(vec![machines(0.7), people(0.3)]), Cause::Unknown(Unknown::LeaningAttack));
}

#[test]
fn many_datagrams_over_many_ports_are_a_flood_and_few_are_a_scan() {
    let scan = Cause::Scan(Scan::Port);
    let verdict =
        |rate| Told { said: Some(scan), ..Told::new(&[(Evidence::Datagrams, rate)], Vec::new()) }.verdict();
    assert_eq!(verdict(950.0).cause, Cause::Attack(Attack::UdpFlood));
    assert_ne!(verdict(300.0).cause, scan, "too many, though it is not sure yet of what");
    assert_eq!(verdict(30.0).cause, scan);
}

#[test]
fn connections_that_others_hold_do_not_make_a_flood_slow() {
    let [mut asking, mut waiting] = [machines(0.7), people(0.3)];
    (asking.cell.connections, asking.cell.held) = (5_000, 2);
    (waiting.cell.connections, waiting.cell.held) = (400, 30);
    let verdict = Told::new(&[RISEN, (Evidence::Held, 40.0)], vec![asking, waiting]).verdict();
    assert!(verdict.parts.iter().any(|part| part.cause == Cause::Attack(Attack::HttpFlood)), "{verdict:?}");
}

#[test]
fn a_service_whose_workers_somebody_lets_wait_did_not_break_by_itself() {
    let broken = [(Evidence::FailsUnloaded, 1.0), (Evidence::BrokeFirst, 60.0), (Evidence::Unanswered, 0.8)];
    let fault = Told::new(&broken, Vec::new()).hurt().verdict();
    assert_eq!(fault.cause, Cause::Glitch(Glitch::Server));
    let drips = |count| [&broken[..], &[(Evidence::Drips, count)]].concat();
    assert_eq!(Told::new(&drips(8.0), Vec::new()).hurt().verdict().cause, Cause::Attack(Attack::Slow));
    assert_eq!(Told::new(&drips(1.0), Vec::new()).hurt().verdict().cause, fault.cause, "one tries by hand");
    let crowd = Told::new(&[RISEN, (Evidence::Drips, 2.0)], vec![people(1.0)]);
    assert_eq!(crowd.verdict().cause, Cause::FlashCrowd);
}

#[test]
fn few_who_begin_as_a_service_breaks_may_have_pushed_it() {
    let broken = [(Evidence::FailsUnloaded, 0.8), (Evidence::BrokeFirst, 8.0)];
    let told = |few_pushed, cohort| Told { few_pushed, ..Told::new(&broken, vec![cohort]).hurt() };
    let quiet = || Cohort { client_rate: 0.0, path: None, assets: None, ..machines(1.0) };
    assert_eq!(told(true, quiet()).verdict().cause, Cause::Attack(Attack::HttpFlood));
    assert_ne!(told(false, quiet()).verdict().cause, Cause::Attack(Attack::HttpFlood));
    assert_eq!(told(true, people(1.0)).verdict().cause, Cause::Glitch(Glitch::Backend), "they try again");
}

#[test]
fn few_who_take_what_a_busy_service_can_carry_are_no_fault_of_it() {
    let broken = [(Evidence::FailsUnloaded, 0.8), (Evidence::LateUnloaded, 0.8), (Evidence::BrokeFirst, 8.0)];
    let told = |part, cohort| {
        let facts = [&broken[..], &[(Evidence::Replaced, part)]].concat();
        Told::new(&facts, vec![cohort]).hurt().verdict().cause
    };
    assert_eq!(told(0.46, machines(1.0)), Cause::Attack(Attack::HttpFlood));
    assert_eq!(told(0.1, people(1.0)), Cause::Glitch(Glitch::Backend));
    assert!(!matches!(told(0.46, people(1.0)), Cause::Attack(_)));
}

#[test]
fn of_a_service_that_was_never_well_nobody_knows_that_a_crowd_came() {
    let told = |was_well| Told { was_well, ..Told::new(&[RISEN], vec![people(1.0)]) }.verdict().cause;
    assert_eq!(told(true), Cause::FlashCrowd);
    assert_eq!(told(false), Cause::Unknown(Unknown::LeaningFlashCrowd));
}

#[test]
fn a_heavy_client_stays_one_at_the_edge_and_an_attacker_what_he_was() {
    let dozen = || Cohort { sources: 12.0, effective_sources: 12.0, ..machines(1.0) };
    let (heavy, flood) = (Cause::HeavyClient, Cause::Attack(Attack::HttpFlood));
    let told = |times, told| {
        let now = Told { told, ..Told::new(&[(Evidence::Surge, 2.0)], vec![dozen()]) };
        Told { times: Some(times), ..now }.verdict().cause
    };
    assert_eq!([told(1.9, None), told(2.1, None)], [heavy, flood]);
    assert_eq!([told(2.1, Some(heavy)), told(2.6, Some(heavy))], [heavy, flood]);
    assert_eq!(told(1.5, Some(flood)), flood);
}

#[test]
fn what_hardly_raises_the_load_and_hurts_nobody_is_no_attack_yet() {
    let told = |times, cohort: Cohort| Told { times: Some(times), ..Told::new(&[], vec![cohort]) };
    let leaning = Cause::Unknown(Unknown::LeaningAttack);
    assert_eq!(told(1.4, machines(1.0)).verdict().cause, leaning);
    assert_eq!(told(2.5, machines(1.0)).verdict().cause, Cause::Attack(Attack::HttpFlood));
    assert_eq!(told(1.4, machines(1.0)).hurt().verdict().cause, Cause::Attack(Attack::HttpFlood));
    let forged = Told { unit: Unit::Packets, ..told(1.1, Cohort::default()) };
    let forged = Told { facts: Told::new(&[(Evidence::HalfOpen, 0.9)], vec![]).facts, ..forged };
    assert_eq!(forged.verdict().cause, Cause::Attack(Attack::SynFlood));
}

#[test]
fn who_holds_most_of_what_he_opens_is_slow_from_however_many_addresses() {
    let beside = |facts: &[_], who, held| {
        let cell = Cell { connections: 600, held, accesses: 600, ..Cell::default() };
        let botnet = Cohort { who, cell, sources: 500.0, effective_sources: 450.0, ..machines(1.0) };
        Told::new(facts, vec![botnet]).verdict().cause
    };
    let holding = |who, held| beside(&[RISEN], who, held);
    assert_eq!(holding(Who::ManyAbroad, 300), Cause::Attack(Attack::Slow));
    assert_eq!(holding(Who::ManyAbroad, 30), Cause::Attack(Attack::HttpFlood));
    // A few of its prefixes are seen to hold for themselves.
    let few_seen = [RISEN, (Evidence::Held, 5.0)];
    assert_eq!(beside(&few_seen, Who::ManyAbroad, 300), Cause::Attack(Attack::Slow));
    // Of the many at home, who holds is told by prefixes: their browsers open connections ahead.
    assert_eq!(holding(Who::Many, 300), Cause::Attack(Attack::HttpFlood));
}

#[test]
fn few_who_flood_beside_others_are_a_part_of_the_flood() {
    let few = Cohort { who: Who::FewAtHome, sources: 2.0, effective_sources: 2.0, ..machines(0.3) };
    let verdict = Told::new(&[RISEN], vec![machines(0.7), few]).hurt().verdict();
    assert_eq!(verdict.cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn strangers_from_everywhere_but_home_are_no_crowd() {
    let abroad = Cohort { who: Who::ManyAbroad, known: Some(0.5), ..people(1.0) };
    let only = Told::new(&[RISEN], vec![abroad.clone()]).verdict();
    let beside = Told::new(&[RISEN], vec![people(0.6), Cohort { share: 0.4, ..abroad }]).verdict();
    assert!(only.confidence < beside.confidence, "{only:?} {beside:?}");
    assert_eq!(beside.cause, Cause::FlashCrowd);
}

#[test]
fn a_mirror_that_misses_packets_has_no_verdict_but_a_floods() {
    let lossy = |cohorts| Told { is_blind: true, is_lossy: true, ..Told::new(&[], cohorts) };
    assert_eq!(lossy(vec![]).verdict().cause, Cause::Unknown(Unknown::Sensor));
    assert_eq!(lossy(vec![machines(1.0)]).verdict().cause, Cause::Attack(Attack::HttpFlood));
}

#[test]
fn without_evidence_nothing_is_said() {
    let verdict = Told::new(&[], vec![]).verdict();
    assert_eq!(verdict.cause, Cause::Unknown(Unknown::InsufficientData));
    assert!(verdict.reasons.is_empty() && verdict.flips.is_empty());
    assert_eq!(verdict.unseen, [Unseen::Before]);
}

#[test]
fn what_would_change_the_verdict_is_told() {
    let verdict = Told::new(&[(Evidence::HalfOpen, 0.99)], vec![]).verdict();
    let [flip] = verdict.flips.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(flip.evidence, Evidence::HalfOpen);
    assert_eq!(flip.without, Cause::Unknown(Unknown::InsufficientData));
}

#[test]
fn the_younger_the_past_the_less_sure() {
    let sure = |stage| Told { stage, ..Told::new(&[RISEN], vec![people(1.0)]) }.verdict().confidence;
    assert!(sure(0) < sure(1) && sure(1) <= sure(2), "{} {} {}", sure(0), sure(1), sure(2));
}
