//! What is judged by: who is home, what the rules say, what is planned. Comes in: services, databases, rules. Goes out:
//! the watch with its detectors and the policy of incidents, at the start of a run and when it is renewed.

use std::sync::Arc;

use crate::attribute::{Attributor, Country, Home};
use crate::detect::baseline::Learning;
use crate::detect::calendar::Calendar;
use crate::detect::rule::{Condition, GroupBy, Metric, Rule, RuleSet};
use crate::detect::{Grounds, Homes, RuleDetector, Subject, Watch};
use crate::incident::Policy;
use crate::service::Services;

/// What is judged by.
pub(super) struct Bench {
    pub homes: Homes,
    pub grounds: Grounds,
    pub policy: Policy,
    services: Services,
}

impl Bench {
    /// What these say.
    pub fn of(
        services: &Services,
        attributor: &Arc<Attributor>,
        rules: &RuleSet,
        home: Home,
        calendar: &Calendar,
    ) -> Self {
        let homes = homes(services, attributor, home);
        let named =
            services.iter().map(|(_, service)| (service.name.clone(), service.ports.clone())).collect();
        let (called, whose) = (services.clone(), Arc::clone(attributor));
        let policy = Policy {
            concentrated_from: concentrated_from(rules),
            attribute: Arc::new(move |address| whose.attribute(address)),
            calendar: calendar.clone(),
            names: Arc::new(move |subject: Subject| subject.name(&called)),
            ..Policy::new(Arc::new(rules.weights.clone()))
        };
        let grounds = Grounds { homes: Arc::clone(&homes), services: named };
        Self { homes, grounds, policy, services: services.clone() }
    }

    /// A watch that judges by it and goes on from what was learned before.
    pub fn watch(&self, rules: &RuleSet, learning: Learning) -> Watch {
        let detector = RuleDetector::new(rules, self.grounds.clone());
        let homes = Some(Arc::clone(&self.homes));
        Watch::new(vec![Box::new(detector)], Learning { services: self.services.clone(), homes, ..learning })
    }
}

/// Who is home for a service: the configured countries, else the country of its own address.
fn homes(services: &Services, attributor: &Arc<Attributor>, home: Home) -> Homes {
    let own = |address| {
        let country = attributor.attribute(address).country;
        Home::new(matches!(country, Country::Code(_)).then_some(country).into_iter().collect())
    };
    let named: Vec<Home> = services
        .iter()
        .map(|(_, service)| service.addresses.first().map_or_else(Home::default, |net| own(net.addr())))
        .collect();
    let attributor = Arc::clone(attributor);
    Arc::new(move |subject| {
        if !home.is_unknown() {
            return home.clone();
        }
        match subject {
            Subject::Named(id) => named.get(usize::from(id.0)).cloned().unwrap_or_default(),
            Subject::Found(address) => {
                let country = attributor.attribute(address.ip()).country;
                let known = matches!(country, Country::Code(_));
                Home::new(known.then_some(country).into_iter().collect())
            }
        }
    })
}

/// The share of the excess from which on foreign origins count as concentrated: the lowest that a rule on foreign
/// access sets.
fn concentrated_from(rules: &RuleSet) -> f64 {
    let share =
        |condition: &Condition| condition.limits().into_iter().find(|limit| limit.metric == Metric::Share);
    let country = |rule: &&Rule| rule.filter.foreign == Some(true) && rule.group_by == GroupBy::Country;
    let limits =
        rules.rules.iter().filter(country).filter_map(|rule| share(&rule.when)).map(|limit| limit.limit);
    limits
        .fold(None, |least: Option<f64>, limit| Some(least.map_or(limit, |least| least.min(limit))))
        .unwrap_or(0.3)
}
