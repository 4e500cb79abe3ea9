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

/// The fingerprint of one of two ends.
pub struct Fingerprint {
    pub ends: [End; 2],
    pub ja4: String,
}

impl Fingerprint {
    /// A ClientHello between the same ends must have it.
    pub fn compare(&self, capture: &str, records: &Records, tally: &mut Tally) {
        tally.rows += 1;
        let [one, other] = self.ends;
        let hellos =
            records.hellos.iter().filter(|hello| hello.ends == [one, other] || hello.ends == [other, one]);
        let ours: Vec<&str> = hellos.map(|hello| hello.ja4.as_str()).collect();
        if ours.contains(&self.ja4.as_str()) {
            tally.matched += 1;
            return;
        }
        tally.differences.push(Difference {
            capture: capture.to_owned(),
            theirs: format!("{}:{} → {}:{}: {}", one.0, one.1, other.0, other.1, self.ja4),
            ours: if ours.is_empty() { "none".to_owned() } else { ours.join(", ") },
            reason: self.reason(&ours),
        });
    }

    /// Why none of our fingerprints of these ends is this one.
    fn reason(&self, ours: &[&str]) -> Reason {
        if ours.is_empty() {
            return Reason::Ours("no ClientHello");
        }
        let theirs = Parts::of(&self.ja4);
        match ours.iter().map(|ours| Parts::of(ours)).find(|ours| ours.rest == theirs.rest) {
            Some(ours) if ours.name != theirs.name => {
                Reason::TheirBug("`d` where no server is named, or the hash of nothing")
            }
            Some(_) => Reason::TheirBug(
                "the first two letters of the protocol, where JA4 takes the first and the last",
            ),
            None => Reason::Ours("another fingerprint"),
        }
    }
}

/// A fingerprint apart: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
struct Parts {
    /// Whether a server is named.
    name: Option<char>,
    /// Version, numbers, and both hashes; the hash of nothing is written as zeros.
    rest: String,
}

impl Parts {
    fn of(ja4: &str) -> Self {
        const OF_NOTHING: &str = "e3b0c44298fc";
        let without = |range: std::ops::Range<usize>| ja4.get(range).unwrap_or_default();
        let rest = format!("{}{}{}", without(0..3), without(4..8), without(10..ja4.len()));
        Self { name: ja4.chars().nth(3), rest: rest.replace(OF_NOTHING, "000000000000") }
    }
}

fn tally(captures: &[&Capture], rows_are: &'static str, (ending, read): (&str, Reader)) -> Tally {
    let mut tally = Tally::new("ja4", rows_are, Some(100.0));
    for capture in captures {
        for (_, text) in capture.expected_texts(ending) {
            tally.captures += 1;
            read(&text).iter().for_each(|row| row.compare(&capture.name, capture.records(), &mut tally));
        }
    }
    tally
}

type Reader = fn(&str) -> Vec<Fingerprint>;

/// Streams begin with `- `; their own keys stand two columns in.
fn from_yaml(text: &str) -> Vec<Fingerprint> {
    let streams = text.split("\n- ").skip(1);
    streams
        .filter_map(|stream| {
            let value = |key: &str| {
                stream.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(key)?.strip_prefix(": "))
            };
            let end = |address, port| Some((value(address)?.parse().ok()?, value(port)?.parse().ok()?));
            let ends = [end("src", "src_port")?, end("dst", "dst_port")?];
            Some(Fingerprint { ends, ja4: value("ja4")?.to_owned() })
        })
        .collect()
}

/// A stream has a fingerprint for each of its ClientHellos: `JA4.1`, `JA4.2`.
fn from_json(text: &str) -> Vec<Fingerprint> {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut rows = Vec::new();
    for stream in document.as_array().into_iter().flatten() {
        let text = |key: &str| stream[key].as_str();
        let end = |address, port| Some((text(address)?.parse().ok()?, text(port)?.parse().ok()?));
        let Some((client, server)) = end("src", "srcport").zip(end("dst", "dstport")) else { continue };
        let ends = [client, server];
        let fields = stream.as_object().into_iter().flatten();
        let ja4 = fields.filter(|(key, _)| key.starts_with("JA4.")).filter_map(|(_, value)| value.as_str());
        rows.extend(ja4.map(|ja4| Fingerprint { ends, ja4: ja4.to_owned() }));
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
        assert_eq!((rows[0].ends[0].1, rows[0].ja4.as_str()), (4000, "t13"));
    }
}
