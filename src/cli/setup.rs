//! From flags and configuration to a pipeline and its sinks. Comes in: arguments. Goes out: everything a run needs, or
//! all that is wrong with them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;

use super::args::{Common, Format as FormatFlag, Severity};
use super::{Failure, key_file};
use crate::aggregate::Sides;
use crate::alert::{
    self, Changed, Configuration, EventType, Format, Geo, Mutes, OneWay, Pseudonyms, Stats, Watching,
};
use crate::attribute::{Attributor, Country, Database, Home, Label, Labels, Wanted};
use crate::capture::Filter;
use crate::config::{Beside, Config, SinkConfig, SinkTo, SyslogTarget};
use crate::detect::baseline::{Baselines, Learning};
use crate::detect::calendar::{Calendar, Event};
use crate::detect::rule::{Level, RuleSet};
use crate::detect::{Subject, switched_off};
use crate::document::Scalar;
use crate::flow::{RecordKinds, TrustedProxies};
use crate::host::clock;
use crate::pipeline::{Outcome, Scene, Setup, Teller};
use crate::service::{Service, Services};
use crate::sink::{Begin, SecretSource, Setting, SinkSpec, Sinks, Target as SinkTarget, WhenFull};
use crate::store;
use crate::time::{Span, Timestamp, Zone};

/// Everything a run needs.
#[derive(Clone)]
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
    /// The files that it was read from, and may be read anew from.
    pub sources: Vec<PathBuf>,
    /// The operator's labels, in the order of their numbers.
    pub labels: Vec<Label>,
    /// Proxies that are believed.
    pub trusted: Vec<IpNet>,
    /// Whether the databases are those of the binary.
    owns_databases: bool,
    state: Option<PathBuf>,
    /// After how long a severe alert that nobody has acknowledged is told again; `None` for the usual.
    pub remind_after: Option<Span>,
}

/// What a run is made of, as far as the first time and a reload differ.
struct Gathered {
    config: Config,
    rules: RuleSet,
    services: Services,
    attributor: Attributor,
    begin: Begin,
    brought: Baselines,
}

/// Record kinds of this version.
const EVENTS: [EventType; 8] = [
    EventType::Alert,
    EventType::Flow,
    EventType::Http,
    EventType::Tls,
    EventType::Notice,
    EventType::Stats,
    EventType::Heartbeat,
    EventType::Config,
];

/// Reads the configuration and the rules, with services `beside` those of the configuration: every problem of both at
/// once.
pub fn configuration(
    config: Option<&Path>,
    rules: &[PathBuf],
    beside: Beside<'_>,
) -> Result<(Config, RuleSet), Failure> {
    Ok(Config::load_with_rules(config, rules, beside)?)
}

/// The services that flags name.
pub fn flagged(flags: &[String]) -> Result<Vec<Service>, Failure> {
    let read =
        |flag: &String| Service::parse(flag).map_err(|error| Failure::usage(format!("--service {error}")));
    flags.iter().map(read).collect()
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
    let labels = Labels::new(config.labels.clone()).map_err(Failure::usage)?;
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

impl Run {
    /// Gathers what flags and configuration say; `begin` is what becomes of a file named by `-o`,
    /// `brought` what was learned before.
    pub fn gather(common: &Common, begin: Begin, brought: Baselines) -> Result<Self, Failure> {
        let flagged = flagged(&common.services)?;
        let (config, rules) = configuration(common.config.as_deref(), &common.rules, Beside::Run(&flagged))?;
        let services = services(&config, flagged)?;
        let attributor = attributor(&config, common.country_db.as_deref(), common.asn_db.as_deref())?;
        Self::of(common, Gathered { config, rules, services, attributor, begin, brought })
    }

    /// The same from the same files as they are now; services and labels keep the numbers that `last` gave them, and
    /// databases that travel in the binary are not read again. So does the sensor's name: open incidents are called by it.
    pub fn gather_again(common: &Common, last: &Run) -> Result<Self, Failure> {
        let flagged = flagged(&common.services)?;
        let (mut config, rules) =
            configuration(common.config.as_deref(), &common.rules, Beside::Run(&flagged))?;
        config.labels = Labels::in_order(&last.labels, &config.labels);
        config.sensor.clone_from(&last.sensor);
        let (before, named) = (&last.scene.services, services(&config, flagged)?);
        // From services that are named to some that are found, or back, the pipeline does not go.
        let is_same_kind = before.is_empty() == named.is_empty();
        let services = if is_same_kind { before.renewed(&named).map_err(Failure::usage)? } else { named };
        let (country, asn) = (common.country_db.as_deref(), common.asn_db.as_deref());
        let own =
            country.is_none() && asn.is_none() && config.country_db.is_none() && config.asn_db.is_none();
        let attributor = if own && last.owns_databases {
            let labels = Labels::new(config.labels.clone()).map_err(Failure::usage)?;
            last.scene.attributor.relabelled(labels)
        } else {
            attributor(&config, country, asn)?
        };
        let (begin, brought) = (Begin::Append, Baselines::default());
        Self::of(common, Gathered { config, rules, services, attributor, begin, brought })
    }

    fn of(common: &Common, gathered: Gathered) -> Result<Self, Failure> {
        let Gathered { config, rules, services, attributor, begin, brought } = gathered;
        let home = home(&config, &common.home)?;
        let zone = zone(&config, common.timezone.as_deref())?;
        let filter = common.filter.as_deref().map(Filter::new).transpose().map_err(Failure::usage)?;
        let events = events(&common.events)?;
        let sources = sources(common, &config);
        let databases = [&common.country_db, &common.asn_db, &config.country_db, &config.asn_db];
        let sinks = sinks(&config, common, begin);
        refuse_untold(&events, &sinks)?;
        let pseudonyms = pseudonyms(&config, common.pseudonymize.as_deref(), &services)?;
        let scene = Scene {
            sensor: config.sensor.clone(),
            zone,
            services,
            rules,
            mutes: Mutes(config.mute),
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
            learning: Learning { brought, calendar: Calendar(config.calendar), ..Learning::default() },
            owns_databases: databases.iter().all(|database| database.is_none()),
            trusted: config.trusted_proxies,
            labels: config.labels,
            sources,
            sensor: config.sensor,
            state: config.state,
            remind_after: config.remind_after,
        })
    }

    /// The planned events.
    pub fn calendar(&self) -> &[Event] {
        &self.learning.calendar.0
    }

    /// The services that are named.
    pub fn named(&self) -> Vec<Watching> {
        let services = &self.scene.services;
        // One that a reload took away owns nothing any more.
        let named = services.iter().filter(|(_, service)| !service.addresses.is_empty());
        named.map(|(id, _)| Watching::Named(self.scene.target(Subject::Named(id)))).collect()
    }

    /// The least severity that each output is told of, in their order.
    pub fn output_levels(&self) -> Vec<Level> {
        self.sinks.iter().map(|sink| sink.min_severity).collect()
    }

    /// Secrets and authorities of sinks, which are read anew with SIGHUP.
    pub fn secrets(&self) -> Vec<PathBuf> {
        let files = |spec: &SinkSpec| match &spec.target {
            SinkTarget::Webhook(hook) => {
                let secret = match &hook.secret {
                    Some(SecretSource::File(path)) => Some(path.clone()),
                    Some(SecretSource::Env(_)) | None => None,
                };
                [secret, hook.ca_file.clone()]
            }
            SinkTarget::Tls { ca_file, .. } => [ca_file.clone(), None],
            _ => [None, None],
        };
        self.sinks.iter().flat_map(files).flatten().collect()
    }

    /// The folder for what outlives a run: that of the flag, else of the configuration.
    pub fn state_folder(&self, flag: Option<&Path>) -> Option<PathBuf> {
        flag.or(self.state.as_deref()).map(Path::to_owned)
    }

    /// The files that records are written to.
    pub fn output_files(&self) -> Vec<PathBuf> {
        let file = |spec: &SinkSpec| match &spec.target {
            SinkTarget::File { path, .. } => Some(path.clone()),
            _ => None,
        };
        self.sinks.iter().filter_map(file).collect()
    }

    /// Opens the sinks; `state` is the folder in which alerts wait for them, before that of the configuration.
    pub fn open_sinks(&self, when_full: WhenFull, state: Option<&Path>) -> Result<Arc<Sinks>, Failure> {
        let state = self.state_folder(state);
        let lasting = self.sinks.iter().any(|sink| sink.target != SinkTarget::Stdout);
        if when_full == WhenFull::Discard && state.is_none() && lasting {
            tracing::warn!("no state folder (--state): alerts wait for their sinks in memory only");
        }
        // Drawn by the standard library from the system's entropy.
        let seed = RandomState::new().build_hasher().finish();
        let setting = Setting { state, seed, ..Setting::new(&self.sensor, when_full, clock::now_secs) };
        Sinks::start(self.sinks.clone(), &setting).map(Arc::new).map_err(Failure::usage)
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
        if !services.is_empty() {
            return self.named();
        }
        let found = outcome.found.iter().map(|address| Subject::Found(*address));
        found.map(|subject| Watching::Found(self.scene.target(subject))).collect()
    }

    /// The services of which one direction only was seen, and the rules that were off for them.
    pub fn one_way(&self, sides: &[(Subject, Sides)]) -> Vec<OneWay> {
        let told = |(subject, sides): &(Subject, Sides)| OneWay {
            service: self.scene.target(*subject).name,
            seen: alert::seen(*sides).unwrap_or_default(),
            rules_off: switched_off(&self.scene.rules, *sides).into_iter().map(str::to_owned).collect(),
        };
        sides.iter().map(told).collect()
    }

    /// Sends a stats record, where somebody wants such.
    pub fn tell_stats(&self, stats: &Stats, sinks: &Sinks) {
        if self.events.contains(&EventType::Stats) {
            sinks.send(&stats.record(&self.scene.sensor, &self.scene.zone));
        }
    }

    /// The `config` record.
    pub fn config_record(
        &self,
        time: Option<Timestamp>,
        services: &[Watching],
        changes: &[Changed],
    ) -> crate::alert::Record {
        let record = Configuration {
            time,
            home: &self.home,
            services,
            rules: self.scene.rules.rules.len(),
            geo: &self.scene.geo,
            sketch_seed: self.seed,
            changes,
        };
        record.record(&self.scene.sensor, &self.scene.zone)
    }
}

fn zone(config: &Config, flag: Option<&str>) -> Result<Zone, Failure> {
    match flag {
        Some(name) => Zone::named(name).ok_or_else(|| {
            Failure::usage(format!("--timezone '{name}': no such zone, expected one as Asia/Seoul"))
        }),
        None => Ok(config.timezone.clone().unwrap_or_default()),
    }
}

fn pseudonyms(config: &Config, flag: Option<&Path>, services: &Services) -> Result<Pseudonyms, Failure> {
    let key = flag.or(config.pseudonymize.as_deref()).map(key_file::read).transpose()?;
    Ok(key.map_or_else(Pseudonyms::default, |key| Pseudonyms::new(&key, services)))
}

/// The files that a run is read from.
fn sources(common: &Common, config: &Config) -> Vec<PathBuf> {
    let rules = if common.rules.is_empty() { &config.rule_files } else { &common.rules };
    let databases = [
        common.country_db.as_ref().or(config.country_db.as_ref()),
        common.asn_db.as_ref().or(config.asn_db.as_ref()),
    ];
    let key = common.pseudonymize.as_ref().or(config.pseudonymize.as_ref());
    let files = common.config.iter().chain(rules).chain(databases.into_iter().flatten());
    files.chain(key).cloned().collect()
}

fn services(config: &Config, flagged: Vec<Service>) -> Result<Services, Failure> {
    let list = config.services.iter().cloned().chain(flagged).collect();
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
            _ => SinkTarget::File { path: path.clone(), begin, rotation: None },
        };
        SinkSpec { format: common.format.into(), ..SinkSpec::all(target) }
    });
    named.into_iter().chain(config.sinks.iter().map(configured)).collect()
}

fn configured(sink: &SinkConfig) -> SinkSpec {
    let target = match &sink.to {
        SinkTo::File { path, rotation } => {
            SinkTarget::File { path: path.clone(), begin: Begin::Append, rotation: *rotation }
        }
        SinkTo::Stdout => SinkTarget::Stdout,
        SinkTo::Syslog { to, ca_file } => collector(to, ca_file.as_deref()),
        SinkTo::Webhook(hook) => SinkTarget::Webhook(hook.clone()),
    };
    SinkSpec { target, format: sink.format, min_severity: sink.min_severity }
}

fn collector(to: &SyslogTarget, ca_file: Option<&Path>) -> SinkTarget {
    match to {
        SyslogTarget::Udp { host, port } => SinkTarget::Udp { host: host.clone(), port: *port },
        SyslogTarget::Unix(path) => SinkTarget::Unix(path.clone()),
        SyslogTarget::Tcp { host, port } => SinkTarget::Tcp { host: host.clone(), port: *port },
        SyslogTarget::Tls { host, port } => {
            SinkTarget::Tls { host: host.clone(), port: *port, ca_file: ca_file.map(Path::to_owned) }
        }
    }
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
