//! Rows that somebody else counted against the flows that we tell of the same capture: which agree, and which
//! do not. Why is for `reasons` to say.

use std::collections::BTreeMap;

use crate::conversation::{Conversation, Key};
use crate::reasons::{Grounds, Rows, sum};
use crate::records::Records;
use crate::report::Difference;

/// Which rows of a capture agree with our flows.
#[derive(Default)]
pub struct Comparison {
    pub rows: usize,
    pub matched: usize,
    /// All packets are there, in flows that are divided otherwise; listed as differences too.
    pub divided: usize,
    pub differences: Vec<Difference>,
}

/// Compares the rows of one capture.
///
/// A row agrees with one flow between the same ends that has as many packets from each of them, and where the row tells
/// bytes, Zeek's state or the type of an ICMP conversation, the same bytes, originator, state and type. Each flow agrees
/// with one row.
pub fn compare(capture: &str, rows: Vec<Conversation>, records: &Records) -> Comparison {
    let all = Rows::of(&rows);
    let mut between: BTreeMap<Key, Vec<Conversation>> = BTreeMap::new();
    for row in rows {
        between.entry(row.key()).or_default().push(row);
    }
    let mut comparison = Comparison::default();
    for (key, rows) in between {
        let flows = records.between(&key);
        let mut group =
            Group { rows: &rows, rows_left: Vec::new(), flows, flows_left: flows.iter().collect() };
        group.pair();
        comparison.rows += rows.len();
        comparison.matched += rows.len() - group.rows_left.len();
        if group.is_divided() {
            comparison.divided += group.rows_left.len();
        }
        comparison.differences.extend(group.rows_left.iter().map(|row| Difference {
            capture: capture.to_owned(),
            theirs: counted(row),
            ours: group.told(),
            reason: Grounds { row, rows: &rows, flows, capture: &all, records }.reason(),
        }));
    }
    comparison
}

/// What both sides have between the same ends.
struct Group<'a> {
    rows: &'a [Conversation],
    flows: &'a [Conversation],
    /// Rows that agree with no flow, and flows that agree with no row.
    rows_left: Vec<&'a Conversation>,
    flows_left: Vec<&'a Conversation>,
}

impl Group<'_> {
    /// Pairs each row with a flow that agrees with it.
    fn pair(&mut self) {
        for row in self.rows {
            match self.flows_left.iter().position(|flow| agrees(row, flow)) {
                Some(place) => drop(self.flows_left.remove(place)),
                None => self.rows_left.push(row),
            }
        }
        if self.is_joined() {
            self.rows_left.clear();
        }
    }

    /// Whoever keeps no types of ICMP keeps all that two hosts sent each other as one row; we tell one flow for each.
    fn is_joined(&self) -> bool {
        self.rows.iter().all(|row| row.proto.is_icmp() && row.icmp_type.is_none())
            && sum(self.rows) == sum(self.flows)
    }

    /// Whether the rows tell no states and all of their packets are in flows between the same ends.
    fn is_divided(&self) -> bool {
        self.rows.iter().all(|row| row.state.is_none()) && sum(self.rows) == sum(self.flows)
    }

    /// The flows that are left, or all where none is.
    fn told(&self) -> String {
        const SHOWN: usize = 4;
        let flows: Vec<&Conversation> =
            if self.flows_left.is_empty() { self.flows.iter().collect() } else { self.flows_left.clone() };
        if flows.is_empty() {
            return "none".to_owned();
        }
        let shown: Vec<String> = flows.iter().take(SHOWN).map(|flow| figures(flow, self.rows)).collect();
        let more = flows.len().saturating_sub(SHOWN);
        if more == 0 { shown.join(", ") } else { format!("{}, and {more} more", shown.join(", ")) }
    }
}

fn agrees(row: &Conversation, flow: &Conversation) -> bool {
    let same_packets = if flow.duplicates > 0 {
        row.all_packets() == flow.all_packets() + flow.duplicates
    } else {
        row.keyed_packets() == flow.keyed_packets()
    };
    let same_type = row.icmp_type.is_none() || row.icmp_type == flow.icmp_type;
    let same_state = row.state.is_none() || (row.state == flow.state && row.ends == flow.ends);
    let same_bytes = row.bytes.is_none()
        || flow.duplicates > 0
        || row.bytes.map(|bytes| row.keyed(bytes)) == flow.bytes.map(|bytes| flow.keyed(bytes));
    same_packets && same_type && same_state && same_bytes
}

/// A row as it stands in the list of differences.
fn counted(row: &Conversation) -> String {
    format!("{row}: {}", figures(row, &[]))
}

/// Packets from each end, the originator of the rows first, and what else the rows tell.
fn figures(conversation: &Conversation, rows: &[Conversation]) -> String {
    let turned = rows.first().is_some_and(|row| row.ends != conversation.ends);
    let [from, to] = conversation.packets;
    let (from, to) = if turned { (to, from) } else { (from, to) };
    let tells_state = rows.first().is_none_or(|row| row.state.is_some());
    let state = conversation.state.as_deref().filter(|_| tells_state).map(|state| format!(" {state}"));
    let tells_bytes = rows.first().is_none_or(|row| row.bytes.is_some());
    let bytes = conversation.bytes.filter(|_| tells_bytes).map(|bytes| {
        let [from, to] = if turned { [bytes[1], bytes[0]] } else { bytes };
        format!(" ({from} + {to} bytes)")
    });
    let kind = conversation.icmp_type.map(|kind| format!(" type {kind}"));
    let turned = if turned && tells_state { " turned" } else { "" };
    let copies = if conversation.duplicates > 0 {
        format!(" ({} copies)", conversation.duplicates)
    } else {
        String::new()
    };
    format!(
        "{from} + {to}{}{}{}{turned}{copies}",
        bytes.unwrap_or_default(),
        state.unwrap_or_default(),
        kind.unwrap_or_default()
    )
}
