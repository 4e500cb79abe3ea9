//! What the program says of a capture: the records of `bongsu replay CAPTURE --events flow,http,tls,stats -o -`, as the
//! contract describes them. Knows nothing of the program's inside.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::conversation::{Conversation, End, Key, Proto};
use crate::support::replay;

/// The records of one capture.
#[derive(Default)]
pub struct Records {
    /// Flow records, by their two ends.
    pub flows: BTreeMap<Key, Vec<Conversation>>,
    /// Outer layers of any flow.
    pub tunnels: Vec<Tunnel>,
    pub hellos: Vec<Hello>,
    pub requests: Vec<Request>,
    /// All records as they are, for checks on single fields.
    pub all: Vec<Value>,
    /// Packets left out, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Fragments that were seen.
    pub fragments: u64,
    capture: PathBuf,
    within_frames: OnceLock<Box<Records>>,
}

/// An outer layer of a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tunnel {
    pub kind: String,
    pub ends: [IpAddr; 2],
}

/// A ClientHello.
#[derive(Debug, Clone)]
pub struct Hello {
    /// The client first.
    pub ends: [End; 2],
    pub ja4: String,
}

/// A request; a part that is not known is none.
#[derive(Debug, Clone)]
pub struct Request {
    pub ends: [End; 2],
    pub method: Option<String>,
    pub host: Option<String>,
    pub path: Option<String>,
    pub status: Option<u64>,
}

impl Records {
    /// Replays a capture. One that is damaged is read up to there.
    pub fn of(capture: &Path) -> Self {
        Self::with(capture, &[])
    }

    /// The records of a capture that is read with these options.
    fn with(capture: &Path, options: &[&str]) -> Self {
        let options = [&["--events", "flow,http,tls,stats", "--workers", "1"], options].concat();
        let answer = replay(capture, &options);
        assert!(matches!(answer.code, Some(0 | 1)), "{}: {}", capture.display(), answer.stderr);
        Self { capture: capture.to_owned(), ..Self::read(answer.records()) }
    }

    /// What is said of the capture without the IPv4 packets that say they are longer than what their Ethernet frame has
    /// room for. Of other links nothing is left, which explains nothing.
    pub fn within_frames(&self) -> &Self {
        self.within_frames
            .get_or_init(|| Box::new(Self::with(&self.capture, &["--filter", "not (ip[2:2] + 14 > len)"])))
    }

    /// Sorts records by what they tell.
    pub fn read(all: Vec<Value>) -> Self {
        let mut records = Self::default();
        for record in &all {
            match record["event_type"].as_str() {
                Some("flow") => records.add_flow(record),
                Some("tls") => records.hellos.extend(hello(record)),
                Some("http") => records.requests.extend(request(record)),
                Some("stats") => {
                    let skipped = record["packets"]["skipped"].as_object().into_iter().flatten();
                    records.fragments = record["packets"]["fragments"]["seen"].as_u64().unwrap_or_default();
                    records.skipped =
                        skipped.map(|(reason, n)| (reason.clone(), n.as_u64().unwrap_or_default())).collect();
                }
                _ => {}
            }
        }
        records.tunnels.sort();
        records.tunnels.dedup();
        records.all = all;
        records
    }

    /// The flows between two ends.
    pub fn between(&self, key: &Key) -> &[Conversation] {
        self.flows.get(key).map_or(&[], Vec::as_slice)
    }

    fn add_flow(&mut self, record: &Value) {
        for layer in record["tunnel"].as_array().into_iter().flatten() {
            let Some(ends) = address(&layer["src_ip"]).zip(address(&layer["dest_ip"])) else { continue };
            let kind = layer["type"].as_str().unwrap_or_default().to_owned();
            let ends = if ends.0 <= ends.1 { [ends.0, ends.1] } else { [ends.1, ends.0] };
            self.tunnels.push(Tunnel { kind, ends });
        }
        if let Some(flow) = flow(record) {
            self.flows.entry(flow.key()).or_default().push(flow);
        }
    }
}

fn flow(record: &Value) -> Option<Conversation> {
    let ends = ends(record)?;
    let proto = Proto::named(record["proto"].as_str()?, ends[0].0)?;
    let count = |name: &str| record["flow"][name].as_u64().unwrap_or_default();
    let packets = [count("pkts_toserver"), count("pkts_toclient")];
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    Some(Conversation {
        bytes: Some([count("bytes_toserver"), count("bytes_toclient")]),
        duplicates: count("duplicates"),
        tunnelled: record["tunnel"].as_array().is_some_and(|layers| !layers.is_empty()),
        icmp_type: record["icmp_type"].as_u64().and_then(|n| u16::try_from(n).ok()),
        state: text("conn_state"),
        community_id: text("community_id"),
        ..Conversation::new(proto, ends, packets)
    })
}

fn hello(record: &Value) -> Option<Hello> {
    Some(Hello { ends: ends(record)?, ja4: record["tls"]["ja4"].as_str()?.to_owned() })
}

fn request(record: &Value) -> Option<Request> {
    let text = |name: &str| record["http"][name].as_str().map(str::to_owned);
    Some(Request {
        ends: ends(record)?,
        method: text("http_method"),
        host: text("hostname"),
        path: text("url"),
        status: record["http"]["status"].as_u64(),
    })
}

fn ends(record: &Value) -> Option<[End; 2]> {
    let port = |name: &str| record[name].as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or_default();
    Some([(address(&record["src_ip"])?, port("src_port")), (address(&record["dest_ip"])?, port("dest_port"))])
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}
