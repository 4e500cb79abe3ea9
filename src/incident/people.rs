//! Whether the clients of a cohort ask as people do. Comes in: what the cohort shows of them. Goes out: yes, or that it is not
//! known. Where people come from says little of what they want: a campus that opens its registration is three prefixes
//! that hardly anybody came from before.

use super::cohort::{Cohort, Who};
use crate::detect::rule::{Evidence, Weights};

/// Fewer clients, or as few that ask for most of it, may be a program on several machines.
const MANY: f64 = 50.0;
const EFFECTIVE: f64 = 25.0;

/// A cohort with less of what its countries ask for cannot be told from those beside it: makes and paths are known by
/// country.
const LEAST_PART: f64 = 0.5;

/// How much of three signs must speak for people: one of them alone is easily made up.
const LEAST_SIGNS: f64 = 1.2;

/// Whether its clients are many that ask for pages with all that belongs to them, with the makes that clients used before,
/// no more often than these did: two of the three, and nothing that speaks against it; or whether they stand behind one
/// gateway, which shows everybody's makes and asks as often as all of them do. `often` is how many times as often as a
/// busy client its middle one asks.
pub(super) fn are_people(cohort: &Cohort, often: Option<f64>, weights: &Weights) -> bool {
    let strength = |evidence, value: Option<f64>| {
        let weight = weights.of(evidence).zip(value);
        weight.map_or(0.0, |(weight, value)| weight.strength(value))
    };
    let assets = strength(Evidence::Assets, cohort.assets);
    let makes = strength(Evidence::SameMakes, cohort.same_makes);
    let ordinary = strength(Evidence::OrdinaryRate, often);
    let few_assets = strength(Evidence::FewAssets, cohort.assets) > 0.0;
    // Of a cohort abroad the pages must be seen: any program is slow enough, and has one of the makes that there are.
    let is_seen = !matches!(cohort.who, Who::FewAbroad | Who::ManyAbroad) || assets >= 1.0;
    // All that is made otherwise may be the cohort's own.
    let others = cohort.same_makes.map_or(1.0, |same| 1.0 - same);
    if cohort.own_part < LEAST_PART || others > cohort.own_part / 2.0 || few_assets || !is_seen {
        return false;
    }
    let are_many = cohort.sources >= MANY && cohort.effective_sources >= EFFECTIVE;
    let is_gateway = cohort.who == Who::FewAtHome && makes >= 0.5 && (assets >= 1.0 || makes >= 1.0);
    let is_slow = strength(Evidence::HighRate, often) <= 0.0;
    are_many && is_slow && assets + makes + ordinary >= LEAST_SIGNS || is_gateway
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred and thirty people of one prefix at home, who bring four fifths of what is asked there.
    fn campus() -> Cohort {
        Cohort {
            who: Who::FewAtHome,
            share: 1.0,
            sources: 130.0,
            effective_sources: 110.0,
            own_part: 0.8,
            same_makes: Some(0.7),
            assets: Some(1.0),
            ..Cohort::default()
        }
    }

    fn is(cohort: Cohort) -> bool {
        are_people(&cohort, Some(0.5), &Weights::builtin())
    }

    #[test]
    fn many_who_ask_for_whole_pages_with_known_makes_are_people() {
        assert!(is(campus()));
        assert!(are_people(&campus(), None, &Weights::builtin()), "how often clients ask may not be known");
        assert!(is(Cohort { assets: None, ..campus() }), "nor what belongs to pages");
        assert!(is(Cohort { who: Who::ManyAbroad, ..campus() }));
    }

    #[test]
    fn so_are_those_behind_one_gateway_at_home() {
        let often = |cohort| are_people(&cohort, Some(40.0), &Weights::builtin());
        let gateway = || Cohort { sources: 1.0, effective_sources: 1.0, same_makes: Some(0.75), ..campus() };
        assert!(often(gateway()));
        assert!(!often(Cohort { same_makes: Some(0.6), ..gateway() }), "a program with a browser's make");
        assert!(!often(Cohort { assets: None, ..gateway() }), "no pages are seen");
        assert!(often(Cohort { assets: None, same_makes: Some(0.9), ..gateway() }));
        assert!(!often(Cohort { who: Who::FewAbroad, ..gateway() }));
    }

    #[test]
    fn programs_are_not() {
        let of_few = || Cohort { who: Who::Many, ..campus() };
        assert!(!is(Cohort { sources: 20.0, ..of_few() }));
        assert!(!is(Cohort { effective_sources: 5.0, ..of_few() }));
        assert!(!is(Cohort { same_makes: Some(0.3), ..campus() }));
        assert!(!is(Cohort { assets: Some(0.2), ..campus() }));
        assert!(!is(Cohort { who: Who::ManyAbroad, assets: None, ..campus() }));
        assert!(!are_people(&Cohort { same_makes: Some(0.62), ..campus() }, Some(4.0), &Weights::builtin()));
    }

    #[test]
    fn what_those_beside_it_show_is_not_its_own() {
        assert!(!is(Cohort { own_part: 0.3, ..campus() }));
        assert!(!is(Cohort { own_part: 0.55, ..campus() }), "what is not known may be all theirs");
    }
}
