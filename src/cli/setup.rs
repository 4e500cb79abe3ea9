//! From flags and configuration to a pipeline and its sinks. Comes in: arguments. Goes out: everything a run needs, or
//! all that is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Common, Format as FormatFlag, Severity};
use super::{Failure, key_file};
use crate::aggregate::Sides;
use crate::alert::{self, Configuration, EventType, Format, Geo, OneWay, Pseudonyms, Watching};
use crate::attribute::{Attributor, Country, Database, Home, Labels, Wanted};
use crate::capture::Filter;
use crate::config::{Config, SinkConfig, SyslogTarget};
use crate::detect::baseline::{Baselines, Learning};
use crate::detect::calendar::Calendar;
use crate::detect::rule::{Level, RuleSet};
use crate::detect::switched_off;
use crate::document::Scalar;
use crate::flow::{RecordKinds, TrustedProxies};
use crate::pipeline::{Outcome, Scene, Setup, Teller};
use crate::service::{Service, Services};
use crate::sink::{Begin, SinkSpec, Sinks, Target as SinkTarget, WhenFull};
use crate::store;
use crate::time::{Timestamp, Zone};

/// Everything a run needs.
pub struct Run {
    /// What is known around incidents.
    pub scene: Arc<Scene>,
    /// The home countries.
    pub home: Vec<Country>,
    /// The kinds of records that are wanted.
    pub events: Vec<EventType>,
    /// Whether nobody asked for records on standard output or in a file, so that people are told.
    pub readable: bool,
    sinks: Vec<SinkSpec>,
    filter: Option<Filter>,
    workers: usize,
    seed: u64,
    keep_query: bool,
    proxies: TrustedProxies,
    learning: Learning,
    sensor: String,
}

/// Record kinds of this version.
const EVENTS: [EventType; 7] = [
    EventType::Alert,
    EventType::Flow,
    EventType::Http,
    EventType::Tls,
    EventType::Stats,
    EventType::Heartbeat,
    EventType::Config,
];

/// Reads the configuration and the rules: every problem of both at once.
pub fn configuration(config: Option<&Path>, rules: &[PathBuf]) -> Result<(Config, RuleSet), Failure> {
    Ok(Config::load_with_rules(config, rules)?)
}

/// What was learned before, as replays read it: a file that is not there or damaged is an error.
pub fn baselines(path: Option<&Path>) -> Result<Baselines, Failure> {
    let read = |path| store::read(path).map_err(|error| Failure::usage(format!("--baseline {error}")));
    path.map_or_else(|| Ok(Baselines::default()), read)
}

/// What was learned before, as a watch reads it: it begins anew where there is no file, and where it is damaged, which
/// is then set aside.
pub fn baselines_or_anew(path: Option<&Path>) -> Result<Baselines, Failure> {
    let Some(path) = path else { return Ok(Baselines::default()) };
    match store::read(path) {
        Ok(baselines) => Ok(baselines),
        Err(error) if error.is_absent() => Ok(Baselines::default()),
        Err(error) if error.is_damage() => {
            let aside =
                store::set_aside(path).map_err(|error| Failure::usage(format!("--baseline {error}")))?;
            tracing::error!("{error}; it is now {}, and learning begins anew", aside.display());
            Ok(Baselines::default())
        }
        Err(error) => Err(Failure::usage(format!("--baseline {error}"))),
    }
}

/// Opens the databases: those of the flags, else of the configuration, else the embedded ones.
pub fn attributor(
    config: &Config,
    country: Option<&Path>,
    asn: Option<&Path>,
) -> Result<Attributor, Failure> {
    let labels = labels(config)?;
    let country = country.or(config.country_db.as_deref());
    let asn = asn.or(config.asn_db.as_deref());
    if let (None, None) = (country, asn) {
        return Attributor::embedded(labels).map_err(Failure::running);
    }
    let open = |path: Option<&Path>, wanted| match path {
        Some(path) => Database::open(path, wanted).map_err(Failure::usage),
        None => Database::embedded(wanted).map_err(Failure::running),
    };
    Ok(Attributor::new(open(country, Wanted::Country)?, open(asn, Wanted::Asn)?, labels))
}

fn labels(config: &Config) -> Result<Labels, Failure> {
    Labels::new(config.labels.clone()).map_err(Failure::usage)
}

impl Run {
    /// Gathers what flags and configuration say; `begin` is what becomes of a file named by `-o`,
    /// `brought` what was learned before.
    pub fn gather(common: &Common, begin: Begin, brought: Baselines) -> Result<Self, Failure> {
        let (config, rules) = configuration(common.config.as_deref(), &common.rules)?;
        let services = services(&config, &common.services)?;
        let home = home(&config, &common.home)?;
        let zone = match &common.timezone {
            Some(name) => Zone::named(name).ok_or_else(|| {
                Failure::usage(format!("--timezone '{name}': no such zone, expected one as Asia/Seoul"))
            })?,
            None => config.timezone.clone().unwrap_or_default(),
        };
        let filter = common.filter.as_deref().map(Filter::new).transpose().map_err(Failure::usage)?;
        let events = events(&common.events)?;
        let sinks = sinks(&config, common, begin);
        refuse_untold(&events, &sinks)?;
        let attributor = attributor(&config, common.country_db.as_deref(), common.asn_db.as_deref())?;
        let key = common.pseudonymize.as_deref().or(config.pseudonymize.as_deref());
        let pseudonyms = match key.map(key_file::read).transpose()? {
            Some(key) => Pseudonyms::new(&key, &services),
            None => Pseudonyms::default(),
        };
        let scene = Scene {
            sensor: config.sensor.clone(),
            zone,
            services,
            rules,
            geo: geo(&attributor),
            attributor: Arc::new(attributor),
            labels: config.labels.iter().map(|label| label.name.clone()).collect(),
            pseudonyms,
        };
        Ok(Self {
            scene: Arc::new(scene),
            home,
            events,
            readable: common.output.is_none(),
            sinks,
            filter,
            workers: workers(common.workers)?,
            seed: common.sketch_seed,
            keep_query: common.keep_query,
            proxies: TrustedProxies::new(&config.trusted_proxies),
            learning: Learning {
                brought,
                calendar: Calendar(config.calendar.clone()),
                ..Learning::default()
            },
            sensor: config.sensor,
        })
    }

    /// Opens the sinks.
    pub fn open_sinks(&self, when_full: WhenFull) -> Result<Arc<Sinks>, Failure> {
        Sinks::start(self.sinks.clone(), &self.sensor, when_full).map(Arc::new).map_err(Failure::usage)
    }

    /// The pipeline's parts, for packets from `from` to `to`.
    pub fn setup(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> Setup {
        Setup {
            services: self.scene.services.clone(),
            attributor: Arc::clone(&self.scene.attributor),
            rules: self.scene.rules.clone(),
            home: Home::new(self.home.clone()),
            workers: self.workers,
            seed: self.seed,
            filter: self.filter.clone(),
            from,
            to,
            wanted: RecordKinds {
                flows: self.events.contains(&EventType::Flow),
                requests: self.events.contains(&EventType::Http),
                hellos: self.events.contains(&EventType::Tls),
                query: self.keep_query,
            },
            proxies: self.proxies.clone(),
            learning: self.learning.clone(),
        }
    }

    /// The services that were watched: those that were named, or those that were found.
    pub fn watched(&self, outcome: &Outcome<Teller>) -> Vec<Watching> {
        let services = &self.scene.services;
        let target = |subject| self.scene.target(subject);
        let named = services.iter().map(|(id, _)| Watching::Named(target(crate::detect::Subject::Named(id))));
        let found = outcome
            .found
            .iter()
            .map(|address| Watching::Found(target(crate::detect::Subject::Found(*address))));
        named.chain(found.filter(|_| services.is_empty())).collect()
    }

    /// The services of which one direction only was seen, and the rules that were off for them.
    pub fn one_way(&self, sides: &[(crate::detect::Subject, Sides)]) -> Vec<OneWay> {
        let told = |(subject, sides): &(crate::detect::Subject, Sides)| OneWay {
            service: self.scene.target(*subject).name,
            seen: alert::seen(*sides).unwrap_or_default(),
            rules_off: switched_off(&self.scene.rules, *sides).into_iter().map(str::to_owned).collect(),
        };
        sides.iter().map(told).collect()
    }

    /// The `config` record.
    pub fn config_record(&self, time: Option<Timestamp>, services: &[Watching]) -> crate::alert::Record {
        let record = Configuration {
            time,
            home: &self.home,
            services,
            rules: self.scene.rules.rules.len(),
            geo: &self.scene.geo,
            sketch_seed: self.seed,
        };
        record.record(&self.scene.sensor, &self.scene.zone)
    }
}

fn services(config: &Config, flags: &[String]) -> Result<Services, Failure> {
    let mut list: Vec<Service> = config.services.clone();
    for flag in flags {
        list.push(Service::parse(flag).map_err(|error| Failure::usage(format!("--service {error}")))?);
    }
    Services::new(list).map_err(Failure::usage)
}

fn home(config: &Config, flags: &[String]) -> Result<Vec<Country>, Failure> {
    let wrong =
        |flag: &String| Failure::usage(format!("--home '{flag}': expected a two-letter country code as KR"));
    let named: Result<Vec<Country>, Failure> =
        flags.iter().map(|flag| Country::parse(flag).ok_or_else(|| wrong(flag))).collect();
    Ok(if flags.is_empty() { config.home.clone() } else { named? })
}

fn events(flags: &[String]) -> Result<Vec<EventType>, Failure> {
    let known = || EVENTS.map(|event| event.to_string()).join(", ");
    let read = |flag: &String| {
        let event = EventType::parse(flag).filter(|event| EVENTS.contains(event));
        event.ok_or_else(|| {
            Failure::usage(format!(
                "--events '{flag}': no kind of record of this version, expected {}",
                known()
            ))
        })
    };
    flags.iter().map(read).collect()
}

fn workers(flag: Option<usize>) -> Result<usize, Failure> {
    match flag {
        Some(0) => Err(Failure::usage("--workers 0: at least one is needed")),
        Some(workers) => Ok(workers),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

fn geo(attributor: &Attributor) -> Geo {
    let about = attributor.about();
    Geo {
        country_db: about.country.name,
        build_epoch: u64::try_from(about.country.build_epoch).unwrap_or(0),
        asn_db: about.asn.name,
        asn_build_epoch: u64::try_from(about.asn.build_epoch).unwrap_or(0),
    }
}

fn sinks(config: &Config, common: &Common, begin: Begin) -> Vec<SinkSpec> {
    let named = common.output.as_ref().map(|path| {
        let target = match path.to_str() {
            Some("-") => SinkTarget::Stdout,
            _ => SinkTarget::File { path: path.clone(), begin },
        };
        SinkSpec { format: common.format.into(), ..SinkSpec::all(target) }
    });
    let configured = config.sinks.iter().map(|sink| match sink {
        SinkConfig::File { path, format } => {
            let target = SinkTarget::File { path: path.clone(), begin: Begin::Append };
            SinkSpec { format: *format, ..SinkSpec::all(target) }
        }
        SinkConfig::Stdout { format } => SinkSpec { format: *format, ..SinkSpec::all(SinkTarget::Stdout) },
        SinkConfig::Syslog { to, min_severity, format } => SinkSpec {
            target: match to {
                SyslogTarget::Udp { host, port } => SinkTarget::Udp { host: host.clone(), port: *port },
                SyslogTarget::Unix(path) => SinkTarget::Unix(path.clone()),
            },
            format: *format,
            min_severity: *min_severity,
        },
    });
    named.into_iter().chain(configured).collect()
}

/// Kinds of records that are asked for and that no output would write.
fn refuse_untold(events: &[EventType], sinks: &[SinkSpec]) -> Result<(), Failure> {
    let untold = |event: &&EventType| !sinks.iter().any(|sink| sink.format.tells(**event));
    match events.iter().find(untold).filter(|_| !sinks.is_empty()) {
        None => Ok(()),
        Some(event) => Err(Failure::usage(format!(
            "--events {event}: such records are written in eve alone, and no output has --format eve"
        ))),
    }
}

impl From<FormatFlag> for Format {
    fn from(format: FormatFlag) -> Self {
        match format {
            FormatFlag::Eve => Format::Eve,
            FormatFlag::Ecs => Format::Ecs,
            FormatFlag::Ocsf => Format::Ocsf,
            FormatFlag::Cef => Format::Cef,
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Low => Level::Low,
            Severity::Medium => Level::Medium,
            Severity::High => Level::High,
            Severity::Critical => Level::Critical,
        }
    }
}
