//! JA4 fingerprints as their authors' two programs give them: a list of streams in YAML from one, in JSON from the other.

use serde_json::Value;

use crate::conversation::End;
use crate::corpus::{Capture, Corpus};
use crate::records::Records;
use crate::report::{Difference, Reason, Tally};

/// How many fingerprints of clients are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let captures = corpus.of("ja4");
    vec![
        tally(&captures, "fingerprints (the authors' Rust)", (".snap", from_yaml)),
        tally(&captures, "fingerprints (the authors' Python)", (".json", from_json)),
    ]
}

/// The fingerprint of a client.
struct Row {
    client: End,
    server: End,
    ja4: String,
}

fn tally(
    captures: &[&Capture],
    rows_are: &'static str,
    (ending, read): (&str, fn(&str) -> Vec<Row>),
) -> Tally {
    let mut tally = Tally::new("ja4", rows_are, Some(100.0));
    for capture in captures {
        for (_, text) in capture.expected_texts(ending) {
            tally.captures += 1;
            for row in read(&text) {
                compare(&capture.name, &row, capture.records(), &mut tally);
            }
        }
    }
    tally
}

fn compare(capture: &str, row: &Row, records: &Records, tally: &mut Tally) {
    tally.rows += 1;
    let ours: Vec<&str> = records
        .hellos
        .iter()
        .filter(|hello| (hello.client, hello.server) == (row.client, row.server))
        .map(|hello| hello.ja4.as_str())
        .collect();
    if ours.contains(&row.ja4.as_str()) {
        tally.matched += 1;
        return;
    }
    let why = if ours.is_empty() { "no ClientHello" } else { "another fingerprint" };
    tally.differences.push(Difference {
        capture: capture.to_owned(),
        theirs: format!("{}:{} → {}:{}: {}", row.client.0, row.client.1, row.server.0, row.server.1, row.ja4),
        ours: if ours.is_empty() { "none".to_owned() } else { ours.join(", ") },
        reason: Reason::Ours(why),
    });
}

/// Streams begin with `- `; their own keys stand two columns in.
fn from_yaml(text: &str) -> Vec<Row> {
    let streams = text.split("\n- ").skip(1);
    streams
        .filter_map(|stream| {
            let value = |key: &str| {
                stream.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(key)?.strip_prefix(": "))
            };
            let end = |address, port| Some((value(address)?.parse().ok()?, value(port)?.parse().ok()?));
            let (client, server) = (end("src", "src_port")?, end("dst", "dst_port")?);
            Some(Row { client, server, ja4: value("ja4")?.to_owned() })
        })
        .collect()
}

/// A stream has a fingerprint for each of its ClientHellos: `JA4.1`, `JA4.2`.
fn from_json(text: &str) -> Vec<Row> {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut rows = Vec::new();
    for stream in document.as_array().into_iter().flatten() {
        let text = |key: &str| stream[key].as_str();
        let end = |address, port| Some((text(address)?.parse().ok()?, text(port)?.parse().ok()?));
        let Some((client, server)) = end("src", "srcport").zip(end("dst", "dstport")) else { continue };
        let fields = stream.as_object().into_iter().flatten();
        let ja4 = fields.filter(|(key, _)| key.starts_with("JA4.")).filter_map(|(_, value)| value.as_str());
        rows.extend(ja4.map(|ja4| Row { client, server, ja4: ja4.to_owned() }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_a_fingerprint_is_no_row() {
        let text = "---\nsource: x\n---\n- stream: 0\n  src: 10.0.0.1\n  dst: 10.0.0.2\n  src_port: 4000\n  dst_port: 443\n  ja4: t13\n  tls_certs:\n  - x509:\n    - ja4x: z\n- stream: 1\n  src: 10.0.0.1\n  dst: 10.0.0.2\n  src_port: 4001\n  dst_port: 22\n  ja4t: q\n";
        let rows = from_yaml(text);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].client.1, rows[0].ja4.as_str()), (4000, "t13"));
    }
}
