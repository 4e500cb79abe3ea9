//! Zeek's baselines: `conn.log` for connections and their states, `tunnel.log` for tunnels, `http.log` for requests. A
//! baseline belongs to a test, whose name may say that the run had settings of its own.

mod connections;
mod requests;
mod tunnels;

use std::collections::BTreeMap;

use crate::conversation::End;
use crate::corpus::{Capture, Corpus};
use crate::report::Tally;

use connections::Connections;

/// How many connections, tunnels and requests are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let mut connections = Connections::default();
    let mut tunnels = Tally::new("zeek", "tunnels by type and outer addresses", Some(90.0));
    let mut requests = Tally::new("zeek", "requests by ends, method, host, path, status", None);
    let captures = corpus.of("zeek");
    for capture in &captures {
        let logs = logs(capture);
        connections.add(capture, &captures, &logs);
        tunnels::add(capture, &logs, &mut tunnels);
        requests::add(capture, &logs, &mut requests);
    }
    let [connections, bytes] = connections.into_tallies();
    vec![connections, bytes, tunnels, requests]
}

fn logs(capture: &Capture) -> Vec<Log> {
    capture.expected_texts("").iter().map(|(name, text)| Log::read(name, text)).collect()
}

/// The words in a test's name that say that its run sees or joins packets in its own way.
const OWN_RUNS: [&str; 6] = ["filter", "conn_key", "tuple", "timeout", "checksum", "threshold"];

/// The cells of a line by the names of their columns.
type Row = BTreeMap<String, String>;

/// A log of a baseline: named columns.
struct Log {
    /// The test, then the name of the log.
    name: String,
    rows: Vec<Row>,
}

impl Log {
    /// The columns are named in the line `#fields`, or in the first line of a log that was cut.
    fn read(name: &str, text: &str) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        for line in text.lines() {
            if let Some(fields) = line.strip_prefix("#fields\t") {
                names = fields.split('\t').collect();
            } else if !line.starts_with('#') && !names.is_empty() {
                let cells = line.split('\t').map(str::to_owned);
                rows.push(names.iter().map(|name| (*name).to_owned()).zip(cells).collect());
            }
        }
        Self { name: name.to_owned(), rows }
    }

    /// The test that the log belongs to.
    fn test(&self) -> &str {
        self.name.split("__").next().unwrap_or_default()
    }

    fn has(&self, column: &str) -> bool {
        self.rows.first().is_some_and(|row| row.contains_key(column))
    }

    fn is_of_a_run_of_its_own(&self) -> bool {
        OWN_RUNS.iter().any(|word| self.test().contains(word))
    }
}

/// The originator and the responder of a row.
fn ends(row: &Row) -> Option<[End; 2]> {
    let end =
        |address: &str, port: &str| Some((row.get(address)?.parse().ok()?, row.get(port)?.parse().ok()?));
    Some([end("id.orig_h", "id.orig_p")?, end("id.resp_h", "id.resp_p")?])
}
