//! A rule: what to look at, when it fires, and the little traffic that proves it.
//! Comes in: YAML (a rules file, or changes to a rule in the configuration). Goes out: typed [`Rule`]s in a
//! [`RuleSet`]. How traffic is measured and who is told stands elsewhere.
//!
//! Words follow [Sigma](https://sigmahq.io/docs/basics/rules.html) and
//! [Suricata](https://docs.suricata.io/en/latest/rules/) where the meaning is theirs.

mod bound;
mod condition;
mod filter;
mod patch;
mod patience;
mod read;
mod set;
mod test;
mod weights;
mod when;

pub use bound::{Bound, Op};
pub use condition::{Condition, Kind, Limit, MAX_CONDITION_DEPTH, MAX_CONDITIONS, Metric, Observed};
pub use filter::{Filter, Traffic};
pub use patch::{Change, RulePatch};
pub use patience::{Called, Patience};
pub use set::{MAX_RULES, MAX_TIMESPANS, RuleSet};
pub use test::{Expect, Origin, RuleTest, Seen, SynAnswer, TestTraffic, TrafficKind};
pub use weights::{Demands, Evidence, Weight, Weights};

use std::sync::Arc;

use crate::document::{Place, words};
use crate::time::Span;

/// One rule, with everything it needs to be judged and explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Lower-case words with dashes, unique within the set.
    pub id: String,
    /// The number of alerts' `signature_id`, unique within the set.
    pub sid: u32,
    /// The revision, from 1.
    pub rev: u32,
    /// What an alert is called.
    pub title: String,
    /// The kind of trouble, in Suricata's words (`Denial of Service`).
    pub category: String,
    /// The severity while no harm can be measured.
    pub level: Level,
    /// What the rule sees and why it matters.
    pub description: String,
    /// Harmless traffic that may look the same.
    pub falsepositives: Vec<String>,
    /// What the measure is counted by.
    pub group_by: GroupBy,
    /// Which traffic counts (`where`).
    pub filter: Filter,
    /// What is counted.
    pub measure: Measure,
    /// The length of the window, 1 s to 10 min in whole seconds.
    pub timespan: Span,
    /// When the rule fires: always a [`Condition::All`] at the top.
    pub when: Condition,
    /// How long the condition must hold without a break (`for`).
    pub hold: Span,
    /// How long the same key stays silent after it fired.
    pub suppress_for: Span,
    /// What becomes of it when it fires.
    pub mode: Mode,
    /// What it is by itself, where no cause of harm is found (`verdict`).
    pub says: Option<Says>,
    /// Its own traffic: what fires it and what comes close.
    pub tests: Vec<RuleTest>,
    /// The file it was read from.
    pub file: Arc<str>,
    /// Where in the file it begins.
    pub at: Place,
}

/// How bad it is while no harm can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth a line in a report.
    Low,
    /// Worth a look in working hours.
    Medium,
    /// Worth a look now.
    High,
    /// Worth waking somebody.
    Critical,
}
words! { Level, "a level": Low = "low", Medium = "medium", High = "high", Critical = "critical" }

/// What becomes of a rule that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It opens or joins an incident.
    Alert,
    /// It is counted and opens nothing.
    Observe,
}
words! { Mode, "a mode": Alert = "alert", Observe = "observe" }

/// What a rule says it is, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Says {
    /// A scan of paths.
    PathScan,
    /// A scan of ports.
    PortScan,
    /// A scan of addresses.
    HostScan,
    /// A scan by many, each a little.
    DistributedScan,
    /// Passwords tried from one source.
    BruteForce,
    /// Passwords tried from many, each a few.
    CoordinatedBruteForce,
    /// Connections kept busy with as little as it takes.
    SlowAttack,
}
words! {
    Says, "a verdict that a rule can give":
    PathScan = "scan/path", PortScan = "scan/port", HostScan = "scan/host",
    DistributedScan = "scan/distributed", BruteForce = "brute_force/single",
    CoordinatedBruteForce = "brute_force/coordinated", SlowAttack = "attack/slow",
}

/// What a measure is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupBy {
    /// The service as a whole: nobody is blamed.
    Service,
    /// One client address.
    Source,
    /// The client's /24 (IPv4) or /48 (IPv6).
    Prefix,
    /// The client's network.
    Asn,
    /// The client's country.
    Country,
}
words! {
    GroupBy, "a grouping":
    Service = "service", Source = "source", Prefix = "prefix", Asn = "asn", Country = "country",
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Packets from clients.
    Packets,
    /// Bytes of clients' IP packets.
    Bytes,
    /// Attempts to connect: first SYNs.
    Attempts,
    /// Connections established.
    Connections,
    /// HTTP requests that could be read.
    Requests,
    /// Requests where they can be read; elsewhere TLS hellos, or the first data of other connections.
    Accesses,
    /// Responses 400 to 499.
    ClientErrors,
    /// Responses 500 to 599.
    ServerErrors,
    /// Attempts to connect that were never completed by the client.
    HalfOpen,
    /// Packets of clients that never proved their address by completing a handshake.
    Unearned,
    /// Attempts to connect that nobody answered, in whatever way.
    Ignored,
    /// Attempts to connect that the service refused.
    Refused,
    /// Attempts that were not answered by a SYN-ACK, whether ignored or refused; by source, those beside the service, and
    /// at the ports of a service of many addresses.
    Probes,
    /// First datagrams to ports beside the service that no datagram answered, whether ignored or refused by ICMP.
    UdpProbes,
    /// Requests that belong to no conversation: none was seen to begin before them, and none went on after them.
    Strays,
    /// What was asked and had no answer within 10 s, or was cut off by the service before.
    Unanswered,
    /// Milliseconds that clients waited for first bytes of answers, summed: 1k/s is one client waiting at any time.
    Waiting,
    /// Answers of less than 1,000 bytes: what errors look like behind TLS.
    BriefAnswers,
    /// First bytes of answers that took half a second or more: who waits that long is not satisfied (Apdex, T = 0.5 s).
    Lagging,
    /// First bytes of answers that took two seconds or more: four times that, from which on people are frustrated.
    Late,
    /// Connections that came to be held: silent, or with an unfinished request, for 10 s.
    Held,
    /// Connections on which the head of a request came to drip: added to after five seconds or more, and still not whole
    /// after ten.
    Drips,
    /// Connections that ended behind a TLS hello that the service answered, or a whole handshake, and nothing was asked.
    BareHandshakes,
    /// Turns of clients that began the TLS handshake of a connection anew (up to TLS 1.2), the first time apart.
    Renegotiations,
    /// Small TLS records that a client sent while as many before were not answered as a connection may have open at once.
    HastyRecords,
    /// Segments to the service that no conversation has, SYNs apart: floods of ACK, RST or FIN are made of them.
    OutOfState,
    /// Connections that are held now. They have a `count`, a `share` and `distinct` clients; `rate`, `lift` and what else
    /// speaks of time are 0.
    Holding,
    /// Responses 401 and 403.
    Denied,
    /// Responses 400 to 499 but 401, 403 and 429.
    Missing,
    /// Streams of HTTP/2 that were broken off.
    Resets,
    /// Segments of the service with more than 1,208 bytes that it had to send again.
    LargeResent,
    /// UDP packets.
    Udp,
    /// Conversations begun with an Initial of QUIC at the service's ports.
    Initials,
    /// Of these, those that the service did not answer.
    InitialsIgnored,
    /// ICMP packets.
    Icmp,
    /// Fragments of IP packets.
    Fragments,
    /// Datagrams that nobody asked for, from the ports of services that amplify.
    Reflected,
    /// SYN-ACKs that nobody asked for, from ports of servers to ports beside the service.
    UnaskedSynAcks,
    /// Conversations of which one side alone is seen while not one packet goes the other way. `past` is how long conversations
    /// were seen from both sides.
    OneSided,
}
words! {
    Measure, "a measure":
    Packets = "packets", Bytes = "bytes", Attempts = "attempts", Connections = "connections",
    Requests = "requests", Accesses = "accesses", ClientErrors = "client_errors",
    ServerErrors = "server_errors", HalfOpen = "half_open", Unearned = "unearned", Ignored = "ignored",
    Refused = "refused", Probes = "probes", UdpProbes = "udp_probes", Strays = "strays",
    Unanswered = "unanswered", Waiting = "waiting", BriefAnswers = "brief_answers", Lagging = "lagging", Late = "late", Held = "held", Drips = "drips",
    BareHandshakes = "bare_handshakes", Renegotiations = "renegotiations", HastyRecords = "hasty_records", OutOfState = "out_of_state", Holding = "holding",
    Denied = "denied", Missing = "missing", Resets = "resets", LargeResent = "large_resent", Udp = "udp",
    Initials = "initials", InitialsIgnored = "initials_ignored",
    Icmp = "icmp", Fragments = "fragments", Reflected = "reflected", UnaskedSynAcks = "unasked_syn_acks",
    OneSided = "one_sided",
}

#[cfg(test)]
mod tests;
