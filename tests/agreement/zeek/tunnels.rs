//! Tunnels: the rows of a `tunnel.log`, whose addresses are those of the carrier.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Log, Row};
use crate::corpus::Capture;
use crate::records::Records;
use crate::report::{Difference, Reason, Tally};

/// Compares the tunnels of the logs that are named with a capture.
pub fn add(capture: &Capture, logs: &[Log], tally: &mut Tally) {
    let logs: Vec<&Log> = logs.iter().filter(|log| log.has("tunnel_type")).collect();
    let rows: BTreeSet<(&str, [IpAddr; 2])> =
        logs.iter().flat_map(|log| &log.rows).filter_map(tunnel).collect();
    if rows.is_empty() {
        return;
    }
    tally.captures += 1;
    tally.rows += rows.len();
    for (kind, outer) in rows {
        if has_tunnel(capture.records(), kind, outer) {
            tally.matched += 1;
            continue;
        }
        let ours = capture.records().tunnels.iter().filter(|tunnel| tunnel.ends == outer);
        let ours: Vec<&str> = ours.map(|tunnel| tunnel.kind.as_str()).collect();
        tally.differences.push(Difference {
            capture: capture.name.clone(),
            theirs: format!("{kind} {} – {}", outer[0], outer[1]),
            ours: if ours.is_empty() { "none".to_owned() } else { ours.join(", ") },
            reason: Reason::Ours(if ours.is_empty() { "no such tunnel" } else { "another type of tunnel" }),
        });
    }
}

/// A tunnel that Zeek discovered. Proxies, which are no layer of a packet, are left out.
fn tunnel(row: &Row) -> Option<(&str, [IpAddr; 2])> {
    let kind = row["tunnel_type"].strip_prefix("Tunnel::")?;
    let outer: [IpAddr; 2] = [row["id.orig_h"].parse().ok()?, row["id.resp_h"].parse().ok()?];
    let [one, other] = outer;
    (!matches!(kind, "HTTP" | "SOCKS")).then_some((kind, [one.min(other), one.max(other)]))
}

/// Zeek has one name for whatever GRE carries, and one for IP in IP of any versions.
fn has_tunnel(records: &Records, kind: &str, outer: [IpAddr; 2]) -> bool {
    let is_kind = |ours: &str| match kind {
        "GRE" => ours.contains("gre") || ours.contains("erspan"),
        "IP" => ours.contains("ip") || ours.contains("6in4") || ours.contains("4in6"),
        "GTPv1" => ours.starts_with("gtp"),
        kind => ours == kind.to_ascii_lowercase(),
    };
    records.tunnels.iter().any(|tunnel| tunnel.ends == outer && is_kind(&tunnel.kind.to_ascii_lowercase()))
}
