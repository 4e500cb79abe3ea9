//! The command line, as it is written. What the values mean is checked where they are used.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Watches the traffic in front of a web service: who comes, from where, how much more than before.
#[derive(Debug, Parser)]
#[command(name = "bongsu", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reads captures (forensics)
    Replay(ReplayArgs),
    /// Reads a mirror port, until stopped
    Watch(WatchArgs),
    /// Checks and tests rules
    Rules(RulesArgs),
    /// Writes labelled captures of invented traffic, for demos and tuning
    Synth(SynthArgs),
    /// Tells what the databases say of an address
    Geo(GeoArgs),
    /// Shows a small generated story end to end
    Demo(DemoArgs),
    /// Learns from captures what ordinary traffic looks like
    Learn(LearnArgs),
    /// Shows, compares and forgets what was learned
    Baseline(BaselineArgs),
    /// Acknowledges incidents, so that a watch tells no more that nobody has
    Ack(AckArgs),
    /// Writes the manual pages
    #[command(hide = true)]
    Man {
        /// Folder for them
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Writes completions for shells
    #[command(hide = true)]
    Completions {
        /// Folder for them
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// What replay and watch share.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Configuration (YAML)
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Protects this service: NAME=ADDR[,ADDR]:PORT[,PORT], IPv6 in brackets; repeatable
    #[arg(short, long = "service", value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Home countries, as CC[,CC]; the rest of the world is foreign
    #[arg(long, value_name = "CC", value_delimiter = ',')]
    pub home: Vec<String>,
    /// Rules file or folder, instead of the built-in set; repeatable
    #[arg(short = 'S', long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// tcpdump filter: other packets are left out
    #[arg(short, long, value_name = "BPF")]
    pub filter: Option<String>,
    /// Records as JSON Lines; - is standard output. Without it: a readable summary
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Shape of the records
    #[arg(long, value_enum, default_value_t = Format::Eve)]
    pub format: Format,
    /// Which records, as LIST of alert, flow, http, tls, notice, stats, heartbeat, config
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "alert,notice,stats")]
    pub events: Vec<String>,
    /// Keep the query of a request's target in http records
    #[arg(long)]
    pub keep_query: bool,
    /// Pseudonyms in place of addresses that no named service owns, by the key in this file
    #[arg(long, value_name = "KEYFILE")]
    pub pseudonymize: Option<PathBuf>,
    /// Packet workers; all the machine has unless told
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Another country database than the embedded one (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub country_db: Option<PathBuf>,
    /// Another network (AS) database than the embedded one (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub asn_db: Option<PathBuf>,
    /// What ordinary traffic looks like, learned before; watch goes on learning and saves it there
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Time zone of outputs, as in Asia/Seoul; UTC unless told
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Decides what stays where a cap is reached; the same for all that is compared
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sketch_seed: u64,
    /// Exits with 10 if an incident reached that severity
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Severity>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// The program's own log.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Shape of the program's own log, on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Says less: errors only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Says more; twice: even more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// `bongsu replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Captures: files, folders, or - for standard input
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,
    #[command(flatten)]
    pub common: Common,
    /// Leaves out packets before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Leaves out packets at and after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Replays at X times the recorded speed; as fast as possible unless told
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub pace: Option<f64>,
}

/// Where metrics and health are served unless told.
pub const DEFAULT_HTTP: &str = "127.0.0.1:9478";

/// `bongsu watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Interface to read; repeatable
    #[arg(short, long = "interface", value_name = "IFACE", required = true)]
    pub interfaces: Vec<String>,
    #[command(flatten)]
    pub common: Common,
    /// Keeps the packets read (pcapng with drop counts)
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Folder for what outlives the run: alerts wait there until their sinks take them
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Bytes of each packet that are read; all of it unless told
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub snaplen: Option<u32>,
    /// MiB of the kernel's ring for each interface; 32 unless told
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=2_047))]
    pub buffer_size: Option<u32>,
    /// Begins without interfaces that are not there, and reads them once they are
    #[arg(long)]
    pub wait_for_interface: bool,
    /// Serves metrics and health there; 127.0.0.1:9478 unless told
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub http: Option<String>,
    /// What requests must bring as a bearer token; needed where others than this machine can reach ADDR
    #[arg(long, value_name = "FILE")]
    pub http_token: Option<PathBuf>,
    /// Goes on as this user once interfaces and outputs are open
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Confines files (Landlock) and system calls (seccomp) to what a watch needs
    #[arg(long, value_enum, default_value_t = Sandbox::On, value_name = "on|off")]
    pub sandbox: Sandbox,
    /// Says what is missing to run, without running
    #[arg(long)]
    pub check: bool,
}

/// `bongsu rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// What to do with rules.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// The commands on rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Reads rules (or a configuration) and tells every problem
    Check(RulesPaths),
    /// Plays each rule's own traffic: it must fire on it, and stay silent on its near miss
    Test(RulesPaths),
}

/// Which rules.
#[derive(Debug, Args)]
pub struct RulesPaths {
    /// Rules files or folders, or a configuration; the built-in set unless told
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Configuration whose changes to rules apply
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Service that rules and configuration may name besides those of the configuration; repeatable
    #[arg(short, long = "service", value_name = "NAME=ADDR[,ADDR]:PORT[,PORT]")]
    pub services: Vec<String>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// `bongsu learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Captures: files, folders, or - for standard input
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,
    #[command(flatten)]
    pub common: Common,
    /// Begins anew, whatever FILE has learned already
    #[arg(long)]
    pub anew: bool,
}

/// `bongsu ack`.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// Incidents, as alerts name them (incident.id)
    #[arg(value_name = "ID", required = true)]
    pub incidents: Vec<String>,
    /// The state folder of the watch
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The configuration of the watch, which names its state folder
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `bongsu baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// What to do with what was learned.
    #[command(subcommand)]
    pub command: BaselineCommand,
}

/// The commands on what was learned.
#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Shows what was learned of each service
    Show {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only this service
        #[arg(short, long, value_name = "NAME")]
        service: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tells what moved from one file to the other
    Diff {
        /// The earlier file
        #[arg(value_name = "FILE")]
        before: PathBuf,
        /// The later file
        #[arg(value_name = "FILE")]
        after: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Forgets what was learned of a service
    Forget {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The service
        #[arg(short, long, value_name = "NAME")]
        service: String,
        /// Only what was learned from this time on (RFC 3339), in whole hours
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Only what was learned before this time (RFC 3339), in whole hours
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
    },
}

/// `bongsu synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// What happens; --list explains all
    #[arg(value_name = "SCENARIO", required_unless_present = "list")]
    pub scenario: Option<String>,
    /// Explains the scenarios
    #[arg(long)]
    pub list: bool,
    /// Decides addresses, rates, sizes and moments
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Capture to write (pcap); - is standard output
    #[arg(short, long, value_name = "OUT.pcap", required_unless_present = "list")]
    pub write: Option<PathBuf>,
    /// What is true of it (JSON)
    #[arg(long, value_name = "OUT.json")]
    pub truth: Option<PathBuf>,
    /// Over TLS
    #[arg(long)]
    pub tls: bool,
    /// With less than a minute of ordinary traffic before the event
    #[arg(long)]
    pub cold: bool,
    /// Ordinary requests per second
    #[arg(long, value_name = "R", default_value_t = crate::synth::world::USUAL_RATE)]
    pub rate: f64,
    /// How far every parameter is drawn from its usual value; 0.3 is up to 30 % either way
    #[arg(long, value_name = "X", default_value_t = crate::synth::world::USUAL_JITTER)]
    pub jitter: f64,
    #[command(flatten)]
    pub log: LogArgs,
}

/// `bongsu geo`.
#[derive(Debug, Args)]
pub struct GeoArgs {
    /// Addresses
    #[arg(value_name = "IP", required = true)]
    pub addresses: Vec<String>,
    /// Configuration whose labels and databases apply
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Another country database than the embedded one (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub country_db: Option<PathBuf>,
    /// Another network (AS) database than the embedded one (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub asn_db: Option<PathBuf>,
}

/// `bongsu demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for the files of the story; a new one in the temporary folder unless told
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Shapes of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Suricata's EVE
    Eve,
    /// Elastic Common Schema
    Ecs,
    /// Open Cybersecurity Schema Framework: Detection Finding
    Ocsf,
    /// ArcSight's Common Event Format
    Cef,
}

/// Whether a watch confines itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    /// As far as the kernel can
    On,
    /// Not at all
    Off,
}

/// Shapes of the program's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Severity {
    /// Worth a line in a report
    Low,
    /// Worth a look in working hours
    Medium,
    /// Worth a look now
    High,
    /// Worth waking somebody
    Critical,
}
