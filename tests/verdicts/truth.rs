//! What is true of a scenario: the file that `bongsu synth --truth` writes. Comes in: its JSON. Goes out: episodes with
//! the verdicts that are right of them. Judges nothing.

use std::net::IpAddr;

use bongsu::time::Timestamp;
use ipnet::IpNet;
use serde::Deserialize;

/// What is true of one scenario.
#[derive(Debug, Clone, Deserialize)]
pub struct Truth {
    pub scenario: String,
    pub home: Vec<String>,
    pub services: Vec<Service>,
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Planned work and expected crowds, as a configuration says them.
    #[serde(default)]
    pub calendar: Vec<serde_json::Value>,
    #[serde(deserialize_with = "time")]
    pub warmup_until: Timestamp,
    /// None: nothing above low may be said.
    #[serde(default)]
    pub episodes: Vec<Episode>,
}

/// A protected service.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    pub name: String,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<u16>,
}

/// A known neighbour.
#[derive(Debug, Clone, Deserialize)]
pub struct Label {
    pub name: String,
    pub role: String,
    #[serde(deserialize_with = "prefixes")]
    pub prefixes: Vec<IpNet>,
}

/// Something that happens to one service.
#[derive(Debug, Clone, Deserialize)]
pub struct Episode {
    pub service: String,
    #[serde(flatten)]
    pub verdict: Verdict,
    #[serde(deserialize_with = "time")]
    pub begin: Timestamp,
    #[serde(deserialize_with = "time")]
    pub end: Timestamp,
    /// The verdicts that are right; its own is one of them.
    #[serde(default)]
    pub acceptable: Vec<Verdict>,
    #[serde(default)]
    pub origins: Vec<Origin>,
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// Whether it is right not to know.
    #[serde(default)]
    pub unknown_is_right: bool,
    /// Whether saying nothing is right too.
    #[serde(default)]
    pub silence_is_right: bool,
    /// Seconds from its begin to the first alert.
    #[serde(default)]
    pub detect_within_s: Option<f64>,
    /// Seconds from there to the right verdict.
    #[serde(default)]
    pub decide_within_s: Option<f64>,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    pub label: String,
    #[serde(default)]
    pub kind: Option<String>,
}

/// Where a part of the excess comes from.
#[derive(Debug, Clone, Deserialize)]
pub struct Origin {
    #[serde(deserialize_with = "prefix")]
    pub prefix: IpNet,
}

/// A cause and its part of the excess.
#[derive(Debug, Clone, Deserialize)]
pub struct Cause {
    #[serde(flatten)]
    pub verdict: Verdict,
    pub share: f64,
}

impl Truth {
    /// Reads the file's text.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Episode {
    /// Whether this label is right.
    pub fn takes_label(&self, label: &str) -> bool {
        self.verdicts().any(|right| right.label == label) || (self.unknown_is_right && label == "unknown")
    }

    /// Whether this label and kind are right. Where no kind is asked for, any is.
    pub fn takes(&self, label: &str, kind: &str) -> bool {
        let is = |right: &Verdict| {
            right.label == label
                && right.kind.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == kind)
        };
        self.verdicts().any(is) || (self.unknown_is_right && label == "unknown")
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        std::iter::once(&self.verdict).chain(&self.acceptable)
    }
}

fn prefix<'de, D: serde::Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(serde::de::Error::custom)
}

fn prefixes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

fn time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    Timestamp::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom(format!("'{text}' is no time")))
}
