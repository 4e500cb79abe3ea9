//! The configuration: what the operator says of the network, the services, the rules and the outputs.
//! Comes in: a YAML file. Goes out: a [`Config`], or all problems of the file at once. What the values do is the
//! business of the stages they are for.

mod names;
mod read;
mod sink;

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::alert::Mute;
use crate::attribute::{Country, Label};
use crate::detect::calendar::Event;
use crate::detect::rule::{RulePatch, RuleSet};
use crate::document::{Problems, Reader, Source};
use crate::service::Service;
use crate::time::{Span, Zone};

pub use names::Beside;
pub use sink::{SinkConfig, SinkTo, SyslogTarget};

/// Everything a configuration file can say.
#[derive(Debug, Clone)]
pub struct Config {
    /// The sensor's name in every record.
    pub sensor: String,
    /// The home countries; empty where none is named.
    pub home: Vec<Country>,
    /// The protected services.
    pub services: Vec<Service>,
    /// Known neighbours.
    pub labels: Vec<Label>,
    /// Proxies that are believed when they say for whom they speak.
    pub trusted_proxies: Vec<IpNet>,
    /// Planned work and expected crowds.
    pub calendar: Vec<Event>,
    /// Changes to rules, by id.
    pub rules: Vec<RulePatch>,
    /// Rules files and folders that replace the shipped set; relative ones are resolved beside the configuration.
    pub rule_files: Vec<PathBuf>,
    /// Where records go.
    pub sinks: Vec<SinkConfig>,
    /// The folder in which a watch keeps what outlives it.
    pub state: Option<PathBuf>,
    /// Alerts that are withheld for a while.
    pub mute: Vec<Mute>,
    /// Seconds after which a severe alert that nobody has acknowledged is told again; `None` for the usual.
    pub remind_after: Option<Span>,
    /// Another country database than the embedded one.
    pub country_db: Option<PathBuf>,
    /// Another network database than the embedded one.
    pub asn_db: Option<PathBuf>,
    /// The file with the key of pseudonyms.
    pub pseudonymize: Option<PathBuf>,
    /// The time zone of outputs.
    pub timezone: Option<Zone>,
    /// What the services are called, those too that could not be read.
    service_names: Vec<String>,
}

/// The sensor's name where none is given.
const DEFAULT_SENSOR: &str = "bongsu";

impl Default for Config {
    fn default() -> Self {
        Self {
            sensor: DEFAULT_SENSOR.to_owned(),
            home: Vec::new(),
            services: Vec::new(),
            labels: Vec::new(),
            trusted_proxies: Vec::new(),
            calendar: Vec::new(),
            rules: Vec::new(),
            rule_files: Vec::new(),
            sinks: Vec::new(),
            state: None,
            mute: Vec::new(),
            remind_after: None,
            country_db: None,
            asn_db: None,
            pseudonymize: None,
            timezone: None,
            service_names: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a configuration file: all its problems at once, those of its changes to rules aside (see
    /// [`Config::load_with_rules`]).
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let source = Source::load(path)?;
        let (config, problems) = Self::read(&source, folder_of(path));
        problems.or(config)
    }

    /// Reads a configuration (the defaults where no file is named) and the rules that run under it: `rules`, or else
    /// the configuration's `rule_files`, or else the shipped set, with the configuration's changes laid over them. All
    /// problems of all files come at once, names that nothing has among them: services have those of the configuration
    /// and `beside` it.
    pub fn load_with_rules(
        config: Option<&Path>,
        rules: &[PathBuf],
        beside: Beside<'_>,
    ) -> Result<(Self, RuleSet), Problems> {
        let mut problems = Problems::default();
        let (config, beside) = match config.map(|path| (Source::load(path), folder_of(path))) {
            None => (Self::default(), beside),
            Some((Ok(source), folder)) => {
                let (config, found) = Self::read(&source, folder);
                problems.extend(found);
                (config, beside)
            }
            Some((Err(problem), _)) => {
                problems.push(problem);
                // What services it has is not known.
                (Self::default(), Beside::Files(&[]))
            }
        };
        problems.extend(config.unknown_services(beside));
        let set = config.rule_set(rules, beside).unwrap_or_else(|found| {
            problems.extend(found);
            RuleSet::default()
        });
        problems.or((config, set))
    }

    /// The rules that run under this configuration; `rules` go before its own `rule_files`.
    fn rule_set(&self, rules: &[PathBuf], beside: Beside<'_>) -> Result<RuleSet, Problems> {
        let paths = if rules.is_empty() { self.rule_files.as_slice() } else { rules };
        let mut set = if paths.is_empty() { RuleSet::builtin() } else { RuleSet::load(paths)? };
        let mut problems = self.unknown_rules(&set);
        match set.apply(&self.rules) {
            Ok(()) => problems.extend(self.unknown_services_of(&set, beside)),
            Err(found) => problems.extend(found),
        }
        problems.or(set)
    }

    /// Reads a configuration from a text: what could be read of it and all its problems. Relative paths of what is read
    /// (rules, databases) are taken from `folder`; those of what is written stay as they are.
    pub fn read(source: &Source, folder: &Path) -> (Self, Problems) {
        let (tree, mut reader) = Reader::parse(source);
        let config = tree.and_then(|tree| read::config(&tree, folder, &mut reader));
        (config.unwrap_or_default(), reader.into_problems())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests;
