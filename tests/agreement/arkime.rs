//! Arkime's sessions: a JSON file for each capture. Packets are those of each side; an ICMP session is all that two
//! hosts sent each other, whatever its types.

use serde_json::Value;

use crate::compare::compare;
use crate::conversation::{Conversation, End, Proto};
use crate::corpus::Corpus;
use crate::ja4::Fingerprint;
use crate::reasons::{Grounds, Rows};
use crate::records::Records;
use crate::report::{Difference, Reason, Tally};

/// How many of its sessions, and of its community IDs, are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let mut sessions = Tally::new("arkime", "sessions by ends and packets", Some(98.0));
    let mut ids = Tally::new("arkime", "community IDs", Some(99.0));
    for capture in corpus.of("arkime") {
        for (_, text) in capture.expected_texts(".test") {
            let rows = rows(&text);
            ids.captures += 1;
            compare_ids(&capture.name, &rows, capture.records(), &mut ids);
            let (rows, empty): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.all_packets() > 0);
            sessions.left_out.extend(empty.iter().map(|row| Difference {
                capture: capture.name.clone(),
                theirs: format!("{row}: 0 + 0"),
                ours: "none".to_owned(),
                reason: Reason::Definition("a session that no packet belongs to"),
            }));
            sessions.add(compare(&capture.name, rows, capture.records()));
        }
    }
    vec![sessions, ids, fingerprints(corpus)]
}

/// A session tells the fingerprint of each of its ClientHellos.
fn fingerprints(corpus: &Corpus) -> Tally {
    let mut tally = Tally::new("arkime", "JA4 fingerprints", None);
    for capture in corpus.of("arkime") {
        let texts = capture.expected_texts(".test");
        let rows: Vec<Fingerprint> =
            texts.iter().flat_map(|(_, text)| sessions(text)).flat_map(hellos).collect();
        tally.captures += usize::from(!rows.is_empty());
        rows.iter().for_each(|row| row.compare(&capture.name, capture.records(), &mut tally));
    }
    tally
}

fn hellos(body: Value) -> Vec<Fingerprint> {
    let Some(ends) = row(&body).map(|row| row.ends) else { return Vec::new() };
    let ja4 = body["tls"]["ja4"].as_array().into_iter().flatten().filter_map(Value::as_str);
    ja4.map(|ja4| Fingerprint { ends, ja4: ja4.to_owned() }).collect()
}

fn sessions(text: &str) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(text).unwrap();
    let sessions = document["sessions3"].as_array_mut().map(std::mem::take).unwrap_or_default();
    sessions.into_iter().map(|mut session| session["body"].take()).collect()
}

/// The sessions of the protocols that have flows. DHCP is left out: Arkime joins it across addresses.
fn rows(text: &str) -> Vec<Conversation> {
    const DHCP: [u16; 2] = [67, 68];
    let rows = sessions(text).into_iter().filter_map(|body| row(&body));
    rows.filter(|row| row.proto != Proto::Udp || !row.ends.iter().all(|(_, port)| DHCP.contains(port)))
        .collect()
}

fn row(body: &Value) -> Option<Conversation> {
    let proto = Proto::numbered(body["ipProtocol"].as_u64()?)?;
    let packets = |side: &str| body[side]["packets"].as_u64().unwrap_or_default();
    let ends = [end(&body["source"])?, end(&body["destination"])?];
    Some(Conversation {
        community_id: body["network"]["community_id"].as_str().map(str::to_owned),
        ..Conversation::new(proto, ends, [packets("source"), packets("destination")])
    })
}

fn end(side: &Value) -> Option<End> {
    let port = side["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    Some((side["ip"].as_str()?.parse().ok()?, port))
}

/// One of our flows between the same ends must have the ID that the session has.
fn compare_ids(capture: &str, rows: &[Conversation], records: &Records, ids: &mut Tally) {
    let all = Rows::of(rows);
    for row in rows.iter().filter(|row| row.community_id.is_some()) {
        let flows = records.between(&row.key());
        ids.rows += 1;
        if flows.iter().any(|flow| flow.community_id == row.community_id) {
            ids.matched += 1;
            continue;
        }
        let grounds = Grounds { row, rows: std::slice::from_ref(row), flows, capture: &all, records };
        let reason = match flows {
            [] => grounds.reason(),
            _ if row.proto.is_icmp() && row.ends != row.key().ends => Reason::TheirBug(
                "they order the ends of messages that have no answer, which the specification does not",
            ),
            _ => Reason::Ours("another ID"),
        };
        ids.differences.push(Difference {
            capture: capture.to_owned(),
            theirs: format!("{row}: {}", row.community_id.as_deref().unwrap_or_default()),
            ours: flows
                .first()
                .and_then(|flow| flow.community_id.clone())
                .unwrap_or_else(|| "none".to_owned()),
            reason,
        });
    }
}
