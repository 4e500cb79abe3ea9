//! Names that a configuration and its rules mention, held against what there is: a maintenance of a service that nobody
//! has would silently apply to none. Comes in: a configuration, its rules, the services that were named beside it. Goes
//! out: a problem for each name that nothing has.

use std::net::SocketAddr;

use super::Config;
use crate::detect::rule::{Rule, RuleSet};
use crate::document::{Mention, Problem, Problems};
use crate::service::Service;

/// The services that are named beside a configuration.
#[derive(Debug, Clone, Copy)]
pub enum Beside<'a> {
    /// Those of a run: with those of the configuration they are all, and where there are none they will be found.
    Run(&'a [Service]),
    /// Those that somebody says a run will have: where none is named at all, it may bring any.
    Files(&'a [Service]),
}

/// What is named at all.
struct Known<'a> {
    services: Vec<&'a str>,
    /// Whether services are called by their addresses where none is named.
    are_found: bool,
}

impl Config {
    /// The problems with the services that the configuration mentions.
    pub(super) fn unknown_services(&self, beside: Beside<'_>) -> Problems {
        let calendar = self.calendar.iter().flat_map(|event| &event.services);
        let mutes = self.mute.iter().map(|mute| &mute.service);
        self.known(beside).problems(calendar.chain(mutes))
    }

    /// The problems with the services that rules mention.
    pub(super) fn unknown_services_of(&self, rules: &RuleSet, beside: Beside<'_>) -> Problems {
        self.known(beside).problems(rules.rules.iter().flat_map(|rule| &rule.filter.services))
    }

    /// The problems with the rules that the configuration mentions; `rules` has those too that it switches off.
    pub(super) fn unknown_rules(&self, rules: &RuleSet) -> Problems {
        let ids = rules.rules.iter().map(|rule: &Rule| rule.id.as_str());
        all(self.mute.iter().filter_map(|mute| mute.rule.unless_among(ids.clone(), "the id of a rule")))
    }

    fn known<'a>(&'a self, beside: Beside<'a>) -> Known<'a> {
        let (others, is_run) = match beside {
            Beside::Run(services) => (services, true),
            Beside::Files(services) => (services, false),
        };
        let named = self.service_names.iter().map(String::as_str);
        let services = named.chain(others.iter().map(|service| service.name.as_str())).collect();
        Known { services, are_found: is_run }
    }
}

impl Known<'_> {
    fn problems<'m>(&self, mentions: impl Iterator<Item = &'m Mention>) -> Problems {
        all(mentions.filter_map(|mention| self.problem(mention)))
    }

    fn problem(&self, mention: &Mention) -> Option<Problem> {
        if !self.services.is_empty() {
            return mention.unless_among(self.services.iter().copied(), "the name of a service");
        }
        let address = mention.name().parse::<SocketAddr>().map(|address| address.to_string()).ok();
        let may_be_found = address.as_deref() == Some(mention.name());
        (self.are_found && !may_be_found).then(|| mention.unknown(FOUND, address.as_deref()))
    }
}

/// What services are called where none is named.
const FOUND: &str = "the address and port of a service, as 192.0.2.10:443, since none is named";

fn all(list: impl Iterator<Item = Problem>) -> Problems {
    let mut problems = Problems::default();
    list.for_each(|problem| problems.push(problem));
    problems
}
