//! Suricata's tests: how many records of a kind have certain values. Of the values those are checked that the contract
//! has under the same name; the bytes of flows are whole frames to Suricata, and a test may seed its community IDs.

use std::fmt;
use std::net::IpAddr;

use serde_json::Value;

use crate::conversation::Proto;
use crate::corpus::Corpus;
use crate::report::{Difference, Reason, Tally};

const SOURCE: &str = "suricata-verify";

/// The fields that the contract shares with Suricata's records.
const FIELDS: [&str; 20] = [
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "proto",
    "app_proto",
    "icmp_type",
    "icmp_code",
    "vlan",
    "flow.pkts_toserver",
    "flow.pkts_toclient",
    "tls.sni",
    "tls.ja4",
    "tls.version",
    "http.hostname",
    "http.url",
    "http.http_method",
    "http.http_user_agent",
    "http.protocol",
    "http.status",
];

/// How many of its checks on flows, requests and ClientHellos hold for our records.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let mut tally = Tally::new(SOURCE, "checks on flow, http and tls records", None);
    for capture in corpus.of(SOURCE) {
        for (_, text) in capture.expected_texts(".yaml") {
            let checks = checks(&text);
            tally.captures += usize::from(!checks.is_empty());
            for check in checks {
                check.compare(&capture.name, &capture.records().all, &mut tally);
            }
        }
    }
    vec![tally]
}

/// So many records of a kind have these values.
#[derive(Debug, PartialEq)]
struct Check<'a> {
    count: usize,
    event_type: &'a str,
    values: Vec<(&'a str, &'a str)>,
}

impl Check<'_> {
    fn compare(&self, capture: &str, records: &[Value], tally: &mut Tally) {
        let of_type: Vec<&Value> =
            records.iter().filter(|record| record["event_type"] == self.event_type).collect();
        let count = of_type.iter().filter(|record| self.lacks(record).is_empty()).count();
        tally.rows += 1;
        if count == self.count {
            tally.matched += 1;
            return;
        }
        tally.differences.push(Difference {
            capture: capture.to_owned(),
            theirs: self.to_string(),
            ours: count.to_string(),
            reason: self.reason(&of_type),
        });
    }

    /// Why another number of our records has these values: what is different without some of them.
    fn reason(&self, records: &[&Value]) -> Reason {
        let turned = self.turned();
        let has_without = |names: &[&str]| {
            let is_left = |name: &&str| !names.iter().any(|left| name.starts_with(left));
            [self, &turned]
                .iter()
                .any(|check| records.iter().any(|record| !check.lacks(record).iter().any(is_left)))
        };
        if self.is_carrier(records) {
            Reason::Definition("the carrier of a tunnel, which stands in `tunnel[]`")
        } else if self.value("http.url").is_some_and(|url| url.contains('?')) && has_without(&["http.url"]) {
            Reason::Definition("a URL with its query")
        } else if has_without(&["vlan", "flow.pkts"]) && self.value("vlan").is_some()
            || self.values.is_empty()
        {
            Reason::Definition("flows of different VLANs are different")
        } else if has_without(&["flow.pkts"]) {
            Reason::TimeOut("other packets between the same ends")
        } else {
            Reason::Ours("another number of such records")
        }
    }

    /// Whether it is about packets around others.
    fn is_carrier(&self, records: &[&Value]) -> bool {
        const PORTS: [&str; 4] = ["2152", "3544", "4789", "6081"];
        let Some(ends) = self.value("src_ip").zip(self.value("dest_ip")) else {
            return self.value("dest_port").is_some_and(|port| PORTS.contains(&port));
        };
        let tunnels = records.iter().flat_map(|record| record["tunnel"].as_array().into_iter().flatten());
        tunnels.into_iter().any(|layer| {
            let is = |name: &str, address| is_value(&layer[name], address);
            is("src_ip", ends.0) && is("dest_ip", ends.1) || is("src_ip", ends.1) && is("dest_ip", ends.0)
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The same with the responder as originator.
    fn turned(&self) -> Self {
        let turned = |name| match name {
            "src_ip" => "dest_ip",
            "dest_ip" => "src_ip",
            "src_port" => "dest_port",
            "dest_port" => "src_port",
            name => name,
        };
        let values = self.values.iter().map(|(name, value)| (turned(*name), *value)).collect();
        Self { values, ..*self }
    }

    /// Which of the values a record does not have.
    fn lacks(&self, record: &Value) -> Vec<&str> {
        let lacking = self.values.iter().filter(|(name, value)| !is_value(field(record, name), value));
        lacking.map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Check<'_> {
    /// Of what others wrote only the name of the field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.event_type)?;
        let mut between = " with ";
        for (name, value) in &self.values {
            let is_text = name.starts_with("http.") || name.starts_with("tls.");
            write!(f, "{between}{name}{}", if is_text { String::new() } else { format!(" {value}") })?;
            between = ", ";
        }
        Ok(())
    }
}

/// The checks of a test that are about records of ours and not of an older version.
fn checks(text: &str) -> Vec<Check<'_>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("- ") && line.ends_with(':') {
            blocks.push(Vec::new());
        } else if let Some(block) = blocks.last_mut() {
            block.push(line);
        }
    }
    blocks.iter().filter_map(|block| check(block)).collect()
}

fn check<'a>(block: &[&'a str]) -> Option<Check<'a>> {
    let pairs: Vec<(&str, &str)> = block.iter().filter_map(|line| line.split_once(": ")).collect();
    let value = |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| unquoted(value));
    if value("lt-version").is_some() {
        return None;
    }
    let event_type = value("event_type").filter(|kind| matches!(*kind, "flow" | "http" | "tls"))?;
    let values = pairs.iter().filter(|(name, value)| {
        // We tell those protocols alone that the contract has records of.
        let is_told = *name != "app_proto" || matches!(unquoted(value), "http" | "tls");
        FIELDS.contains(&name.trim_end_matches("[0]")) && is_told
    });
    let values = values.map(|(name, value)| (*name, unquoted(value))).collect();
    Some(Check { count: value("count")?.parse().ok()?, event_type, values })
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// A field by its dotted name.
fn field<'a>(record: &'a Value, name: &str) -> &'a Value {
    let (name, first) = name.strip_suffix("[0]").map_or((name, false), |name| (name, true));
    let value = name.split('.').fold(record, |value, part| &value[part]);
    if first { &value[0] } else { value }
}

/// From this length on a value may go on in the next line, which is not read.
const LONG: usize = 40;

fn is_value(ours: &Value, theirs: &str) -> bool {
    let Some(text) = ours.as_str() else {
        let number = ours.to_string();
        return number == theirs.replace(' ', "");
    };
    let addresses = text.parse::<IpAddr>().ok().zip(theirs.parse::<IpAddr>().ok());
    if let Some((ours, theirs)) = addresses {
        return ours == theirs;
    }
    let proto = |name: &str| Proto::named(name, IpAddr::from([0; 4]));
    let is_begun = theirs.len() > LONG && text.starts_with(theirs);
    text == theirs || is_begun || proto(text).is_some_and(|ours| proto(theirs) == Some(ours))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEST: &str = "checks:\n- filter:\n    count: 2\n    match:\n      event_type: flow\n      proto: TCP\n      src_ip: 2001:0db8::0001\n      vlan: [10, 20]\n      flow.age: 3\n- stats:\n    decoder.tcp: 5\n- filter:\n    lt-version: 7\n    count: 1\n    match:\n      event_type: flow\n";

    #[test]
    fn a_check_holds_the_values_that_the_contract_has_too() {
        let checks = checks(TEST);
        let values = vec![("proto", "TCP"), ("src_ip", "2001:0db8::0001"), ("vlan", "[10, 20]")];
        assert_eq!(checks, [Check { count: 2, event_type: "flow", values }]);
    }

    #[test]
    fn addresses_and_lists_are_compared_by_what_they_mean() {
        let record = json!({"proto": "TCP", "src_ip": "2001:db8::1", "vlan": [10, 20]});
        let checks = checks(TEST);
        assert_eq!(checks[0].lacks(&record), [""; 0]);
        let other = json!({"proto": "UDP", "src_ip": "2001:db8::1", "vlan": [10, 20]});
        assert_eq!(checks[0].lacks(&other), ["proto"]);
    }
}
