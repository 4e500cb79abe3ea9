//! Labelled traffic of our own making: a story of who asks for what and when comes in, frames in order of time and
//! the truth about them go out. Tests and the rules' own tests use it; `world` plays whole stories.
//! The same story and seed give the same bytes on every machine; nothing is held but the conversations under way.
//!
//! ```
//! use bongsu::service::Service;
//! use bongsu::synth::{Scenario, Traffic, per_sec, secs};
//!
//! let web = Service::parse("web=192.0.2.1:80")?;
//! let burst = Traffic::to(&web).from("198.51.100.0/24").sources(40).requests(per_sec(30)).path("/bid/list");
//! let scenario = Scenario::new(7).with(burst.start(secs(20)).over(secs(60)));
//! assert_eq!(scenario.truth()?.parts[0].requests, 1_800);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod conversation;
pub mod dialogue;
pub mod frame;
pub mod frames;
pub mod http;
pub mod origin;
mod part;
pub mod plan;
pub mod rate;
pub mod rng;
pub mod tls;
pub mod traffic;
pub mod trouble;
pub mod world;

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::Serialize;

pub use conversation::{Conversation, View, Wire};
pub use dialogue::Dialogue;
pub use frames::Frames;
pub use plan::{Close, HalfOpen, Kind, Sealed, Streams, Target};
pub use rate::{Rate, per_sec, ramp};
pub use traffic::{Traffic, millis, secs};
pub use trouble::Trouble;

use crate::capture::{Frame, LinkType};
use crate::time::Timestamp;

/// One made-up packet with its own bytes, Ethernet first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthFrame {
    /// When the mirror port shows it.
    pub time: Timestamp,
    /// All its bytes.
    pub bytes: Vec<u8>,
}

impl SynthFrame {
    /// The packet as a capture would hand it over, uncut.
    pub fn as_frame(&self) -> Frame<'_> {
        Frame {
            time: self.time,
            link: LinkType::ETHERNET,
            wire_len: self.bytes.len() as u32,
            data: &self.bytes,
        }
    }
}

/// Parts of traffic that happen together, and the service's trouble with them.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(super) seed: u64,
    pub(super) start: Timestamp,
    pub(super) parts: Vec<Traffic>,
    pub(super) troubles: Vec<Trouble>,
}

/// Scenarios begin at 2023-11-23T00:12:00Z unless told.
const DEFAULT_START: Timestamp = Timestamp::from_secs(1_700_698_320);

/// The most parts of a scenario; each next packet is chosen among them.
pub const MAX_PARTS: usize = 256;

impl Scenario {
    /// An empty scenario; another seed gives other addresses, sizes and moments with the same rates and counts.
    pub const fn new(seed: u64) -> Self {
        Self { seed, start: DEFAULT_START, parts: Vec::new(), troubles: Vec::new() }
    }

    /// Begins at `start`.
    #[must_use]
    pub const fn at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// Adds a part.
    #[must_use]
    pub fn with(mut self, part: Traffic) -> Self {
        self.parts.push(part);
        self
    }

    /// Adds a time in which the service answers HTTP requests badly.
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.troubles.push(trouble);
        self
    }

    /// When it begins.
    pub const fn starts(&self) -> Timestamp {
        self.start
    }

    /// Everything that keeps the scenario from being told.
    pub fn problems(&self) -> Vec<SynthError> {
        let mut problems: Vec<SynthError> = self.parts.iter().flat_map(Traffic::problems).collect();
        if self.parts.len() > MAX_PARTS {
            problems.push(SynthError::TooManyParts { parts: self.parts.len() });
        }
        problems
    }

    /// The frames in order of time; fails with the first of [`Self::problems`].
    pub fn frames(&self) -> Result<Frames, SynthError> {
        match self.problems().into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(Frames::of(self)),
        }
    }

    /// What the scenario consists of, found by holding all its conversations without making their frames.
    pub fn truth(&self) -> Result<Truth, SynthError> {
        let mut frames = self.frames()?;
        frames.skip_to_end();
        Ok(frames.truth())
    }
}

/// What is true of the frames of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The seed.
    pub seed: u64,
    /// Begin, RFC 3339.
    pub start: String,
    /// Packets of all parts.
    pub packets: u64,
    /// Each part, in the order they were added.
    pub parts: Vec<PartTruth>,
}

/// What is true of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartTruth {
    /// Its name.
    pub name: String,
    /// What kind of traffic it is.
    pub kind: Kind,
    /// Name of the service it goes to.
    pub service: String,
    /// Address and port it goes to.
    pub target: SocketAddr,
    /// How its senders were chosen.
    pub origin: OriginKind,
    /// Its senders' prefixes; empty where they are scattered or forged.
    pub prefixes: Vec<String>,
    /// Different senders.
    pub sources: u64,
    /// Packets, both directions as far as the mirror shows them.
    pub packets: u64,
    /// Conversations: connections, attempts at one, datagrams.
    pub conversations: u64,
    /// HTTP requests.
    pub requests: u64,
    /// When the first conversation may begin, RFC 3339.
    pub start: String,
    /// When the last conversation has begun at the latest, RFC 3339; its packets may come later.
    pub end: String,
}

/// The three ways to choose senders, without their prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// Within prefixes.
    Prefixes,
    /// Scattered, each conversation from another address.
    Anywhere,
    /// Forged.
    Forged,
}

/// Why a scenario cannot be told.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SynthError {
    /// A prefix could not be read.
    #[error("part '{part}': '{text}' is neither an IP address nor a prefix such as 198.51.100.0/24")]
    Prefix {
        /// The part.
        part: String,
        /// What stands there.
        text: String,
    },
    /// Clients and service are of different address families.
    #[error("part '{part}': {prefix} cannot reach {target}: IPv4 and IPv6 do not mix")]
    Family {
        /// The part.
        part: String,
        /// The clients' prefix.
        prefix: IpNet,
        /// The service.
        target: SocketAddr,
    },
    /// Nothing says where the clients sit.
    #[error("part '{part}': no origin: use from, from_anywhere or forged")]
    NoOrigin {
        /// The part.
        part: String,
    },
    /// More clients than addresses.
    #[error("part '{part}': {sources} sources, but its prefixes have room for {room} spread evenly")]
    Crowded {
        /// The part.
        part: String,
        /// Sources asked for.
        sources: u64,
        /// Sources that fit.
        room: u64,
    },
    /// A rate is negative, no number or beyond [`traffic::MAX_RATE`].
    #[error("part '{part}': {rate} per second: expected a rate from 0 to {max}", max = traffic::MAX_RATE)]
    Rate {
        /// The part.
        part: String,
        /// The rate.
        rate: f64,
    },
    /// Forged senders never see the answer, so they complete no handshake.
    #[error("part '{part}': forged senders cannot make {kind:?}; expected syns, datagrams or pings")]
    Forged {
        /// The part.
        part: String,
        /// What they were to make.
        kind: Kind,
    },
    /// More than [`MAX_PARTS`] parts.
    #[error("{parts} parts: expected {MAX_PARTS} at most")]
    TooManyParts {
        /// How many.
        parts: usize,
    },
}

#[cfg(test)]
mod tests;
