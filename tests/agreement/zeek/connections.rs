//! Connections: the rows of a `conn.log` that carry `conn_state`.

use std::collections::BTreeSet;

use super::{Log, Row, ends};
use crate::compare::compare;
use crate::conversation::{Conversation, Proto};
use crate::corpus::{Capture, holder_of};
use crate::report::{Difference, Reason, Tally};

/// How many connections are ours too.
pub struct Connections {
    by_state: Tally,
    by_bytes: Tally,
}

impl Connections {
    /// Compares the connections of the logs that are named with a capture.
    pub fn add(&mut self, named: &Capture, captures: &[&Capture], logs: &[Log]) {
        for log in logs.iter().filter(|log| log.has("conn_state")) {
            let carriers = carriers(log, logs);
            let rows: Vec<Conversation> = log
                .rows
                .iter()
                .filter(|row| !carriers.contains(&row["uid"]))
                .filter_map(connection)
                .collect();
            let Some(capture) = capture_of(&rows, named, captures) else { continue };
            let name = format!("{} ({})", capture.name, log.name);
            let without_bytes = rows.iter().map(Conversation::without_bytes).collect();
            let tallies = [(&mut self.by_state, without_bytes), (&mut self.by_bytes, rows)];
            for (tally, rows) in tallies {
                let mut comparison = compare(&name, rows, capture.records());
                if log.is_of_a_run_of_its_own() {
                    comparison.rows = comparison.matched;
                    let differ = std::mem::take(&mut comparison.differences);
                    tally
                        .left_out
                        .extend(differ.into_iter().map(|row| Difference { reason: OWN_RUN, ..row }));
                }
                tally.add(comparison);
            }
        }
    }

    pub fn into_tallies(self) -> [Tally; 2] {
        [self.by_state, self.by_bytes].map(capped)
    }
}

/// So many in a hundred rows may be left out, whatever settings their runs had.
const LEFT_OUT: usize = 5;

const OWN_RUN: Reason =
    Reason::Definition("a run that leaves packets out or joins them by a key or time of its own");

/// Counts what is left out where that is too much.
fn capped(mut tally: Tally) -> Tally {
    if tally.left_out.len() * 100 > LEFT_OUT * (tally.rows + tally.left_out.len()) {
        tally.rows += tally.left_out.len();
        tally.differences.append(&mut tally.left_out);
    }
    tally
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            by_state: Tally::new("zeek", "connections by ends, packets, conn_state", Some(95.0)),
            by_bytes: Tally::new("zeek", "the same with IP bytes", None),
        }
    }
}

/// A test may read several captures: a log of whose addresses none occur in the capture it is named with belongs to
/// another, which may not be among these.
fn capture_of<'a>(
    rows: &[Conversation],
    named: &'a Capture,
    captures: &[&'a Capture],
) -> Option<&'a Capture> {
    if rows.iter().any(|row| named.mentions(row)) {
        return Some(named);
    }
    holder_of(rows, captures)
}

fn connection(row: &Row) -> Option<Conversation> {
    let cell = |name: &str| row.get(name).map(String::as_str);
    let ends = ends(row)?;
    let proto = Proto::named(cell("proto")?, ends[0].0)?;
    let counts = |from, to| Some([cell(from)?.parse().ok()?, cell(to)?.parse().ok()?]);
    Some(Conversation {
        // In the place of the ports stand the type of the first packet and of its answer.
        icmp_type: proto.is_icmp().then_some(ends[0].1),
        state: cell("conn_state").map(str::to_owned),
        bytes: counts("orig_ip_bytes", "resp_ip_bytes"),
        ..Conversation::new(proto, ends, counts("orig_pkts", "resp_pkts")?)
    })
}

/// The connections that carry tunnels: others name them as parents, or Zeek says that they speak a tunnel's protocol.
fn carriers(log: &Log, logs: &[Log]) -> BTreeSet<String> {
    let mut carriers = BTreeSet::new();
    for row in &log.rows {
        let parents = row.get("tunnel_parents").map_or("-", String::as_str);
        carriers.extend(parents.split(',').map(str::to_owned));
        if row.get("service").is_some_and(|service| service.split(',').any(is_tunnel_protocol)) {
            carriers.insert(row["uid"].clone());
        }
    }
    for other in logs.iter().filter(|other| other.test() == log.test() && other.has("tunnel_type")) {
        carriers.extend(other.rows.iter().map(|row| row["uid"].clone()));
    }
    carriers
}

fn is_tunnel_protocol(service: &str) -> bool {
    matches!(service, "ayiya" | "geneve" | "gtpv1" | "teredo" | "vxlan")
}
