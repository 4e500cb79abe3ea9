//! What a rule's measure is in the sums of a service and of an origin.

use super::rule::{Measure, RuleSet};
use crate::aggregate::{Cell, Count, Counts, ScopeTick, Sides};

/// The measure of a whole scope.
pub fn of_counts(measure: Measure, counts: &Counts) -> u64 {
    match measure {
        Measure::Packets => counts[Count::PacketsIn],
        Measure::Bytes => counts[Count::BytesIn],
        Measure::Attempts => counts[Count::Attempts],
        Measure::Connections => counts[Count::Opened],
        Measure::Requests => counts[Count::Requests],
        Measure::Accesses => counts[Count::Accesses],
        Measure::ClientErrors => counts[Count::ClientErrors],
        Measure::ServerErrors => counts[Count::ServerErrors],
        Measure::HalfOpen => counts.half_open(),
        Measure::Unearned => counts.unearned(),
        Measure::Ignored => counts.probes().saturating_sub(counts[Count::Refused]),
        Measure::Refused => counts[Count::Refused],
        Measure::Probes => counts.probes(),
        Measure::UdpProbes => counts.udp_probes(),
        Measure::Strays => counts.strays(),
        Measure::Unanswered => counts[Count::Unanswered],
        Measure::Waiting => counts[Count::FirstByteWait] / 1_000,
        Measure::BriefAnswers => counts[Count::BriefAnswers],
        Measure::Lagging => counts[Count::Lagging],
        Measure::Late => counts[Count::Late],
        Measure::Held => counts[Count::Held],
        Measure::Drips => counts[Count::Drips],
        Measure::BareHandshakes => counts[Count::BareHandshakes],
        Measure::Renegotiations => counts[Count::Renegotiations],
        Measure::HastyRecords => counts[Count::HastyRecords],
        // A level is no sum of seconds: see `Levels`.
        Measure::Holding => 0,
        Measure::Denied => counts[Count::Denied],
        Measure::Missing => counts[Count::Missing],
        Measure::Resets => counts[Count::Http2Resets],
        Measure::LargeResent => counts[Count::LargeResent],
        Measure::OutOfState => counts[Count::OutOfState],
        Measure::Udp => counts[Count::UdpIn],
        Measure::Initials => counts[Count::Initials],
        Measure::InitialsIgnored => counts.initials_ignored(),
        Measure::Icmp => counts[Count::IcmpIn],
        Measure::Fragments => counts[Count::FragmentsIn],
        Measure::Reflected => counts[Count::Reflected],
        Measure::UnaskedSynAcks => counts[Count::UnaskedSynAcks],
        Measure::OneSided => counts.one_sided(),
    }
}

/// The measure that another one's part of a whole scope is a part of, as far as a level is kept of it: of answers and
/// handshakes, as many as there were accesses.
pub fn whole_measure(measure: Measure) -> Option<Measure> {
    match measure {
        Measure::ClientErrors
        | Measure::ServerErrors
        | Measure::Denied
        | Measure::Missing
        | Measure::Unanswered
        | Measure::BriefAnswers
        | Measure::Lagging
        | Measure::Late
        | Measure::BareHandshakes
        | Measure::Resets => Some(Measure::Accesses),
        Measure::HalfOpen
        | Measure::Connections
        | Measure::Ignored
        | Measure::Refused
        | Measure::Probes
        | Measure::OneSided => Some(Measure::Attempts),
        Measure::Held | Measure::Drips => Some(Measure::Connections),
        Measure::InitialsIgnored => Some(Measure::Initials),
        Measure::Unearned
        | Measure::OutOfState
        | Measure::Udp
        | Measure::Icmp
        | Measure::Fragments
        | Measure::Reflected
        | Measure::UnaskedSynAcks => Some(Measure::Packets),
        Measure::UdpProbes | Measure::Strays | Measure::LargeResent => None,
        Measure::Packets
        | Measure::Bytes
        | Measure::Attempts
        | Measure::Requests
        | Measure::Accesses
        | Measure::Waiting
        | Measure::Renegotiations
        | Measure::HastyRecords
        | Measure::Initials
        | Measure::Holding => Some(measure),
    }
}

/// What the `share` of a whole scope is a part of: errors of responses, half-open connections of attempts; where that
/// would always be all of it, the measure itself.
pub fn whole_of(measure: Measure, counts: &Counts) -> u64 {
    match measure {
        Measure::ClientErrors | Measure::ServerErrors | Measure::Denied | Measure::Missing => {
            counts[Count::Responses]
        }
        Measure::UdpProbes => counts[Count::UdpProbes],
        Measure::Strays => counts[Count::Strays],
        Measure::Lagging | Measure::Late => counts[Count::FirstBytes],
        // Behind TLS an access is a connection, of whatever is asked on it.
        Measure::Unanswered => {
            counts[Count::Accesses].max(counts[Count::Unanswered] + counts[Count::FirstBytes])
        }
        // The first answer behind TLS is the handshake's.
        Measure::BriefAnswers => {
            counts[Count::FirstBytes].saturating_sub(counts[Count::Hellos]).max(counts[Count::BriefAnswers])
        }
        Measure::BareHandshakes => counts[Count::Hellos],
        Measure::Resets => counts[Count::Http2Requests],
        Measure::LargeResent => counts[Count::LargeSent],
        // Where the service's packets alone are seen, no attempt is.
        Measure::OneSided => counts[Count::Attempts].max(counts.one_sided()),
        measure => of_counts(whole_measure(measure).unwrap_or(measure), counts),
    }
}

/// The measure of an origin. Attempts and unearned packets have no origin, since nothing shows that their source
/// addresses are true: they are 0 here.
pub fn of_cell(measure: Measure, cell: &Cell) -> u64 {
    match measure {
        Measure::Packets => cell.packets,
        Measure::Bytes => cell.bytes,
        Measure::Connections => cell.connections,
        Measure::Requests => cell.requests,
        Measure::Accesses => cell.accesses,
        Measure::ClientErrors => cell.client_errors,
        Measure::ServerErrors => cell.server_errors,
        Measure::Unanswered => u64::from(cell.unanswered),
        Measure::Waiting => cell.wait_us / 1_000,
        Measure::Held | Measure::Holding => u64::from(cell.held),
        Measure::Drips => u64::from(cell.drips),
        Measure::BareHandshakes => u64::from(cell.bare),
        Measure::Renegotiations => u64::from(cell.renegotiations),
        Measure::HastyRecords => u64::from(cell.hasty),
        Measure::Denied => u64::from(cell.denied),
        Measure::Missing => u64::from(cell.missing),
        Measure::Resets => u64::from(cell.resets),
        Measure::Attempts
        | Measure::HalfOpen
        | Measure::Unearned
        | Measure::Ignored
        | Measure::Refused
        | Measure::Probes
        | Measure::UdpProbes
        | Measure::Strays
        | Measure::BriefAnswers
        | Measure::Lagging
        | Measure::Late
        | Measure::LargeResent
        | Measure::OutOfState
        | Measure::Udp
        | Measure::Initials
        | Measure::InitialsIgnored
        | Measure::Icmp
        | Measure::Fragments
        | Measure::Reflected
        | Measure::UnaskedSynAcks
        | Measure::OneSided => 0,
    }
}

/// Whether a measure is of how much comes, and origins are known of it.
pub fn is_load(measure: Measure) -> bool {
    matches!(
        measure,
        Measure::Packets | Measure::Bytes | Measure::Connections | Measure::Requests | Measure::Accesses
    )
}

/// What labelled clients did in a tick.
pub fn labelled(tick: &ScopeTick) -> Cell {
    let mut sum = Cell::default();
    let rows = tick.networks.iter().filter(|(lineage, _)| lineage.label.is_some());
    rows.for_each(|(_, cell)| sum.merge(cell));
    sum
}

/// The directions that a measure is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Requires {
    /// What the clients send.
    ToServer,
    /// One of the two, whichever it is.
    EitherSide,
    /// What is sent and what is answered.
    BothSides,
}

fn requires(measure: Measure) -> Requires {
    match measure {
        // Attempts that were never completed are known by the clients' third packets alone.
        // Ports that are tried are tried whether or not the answers are seen.
        Measure::Packets
        | Measure::Bytes
        | Measure::Attempts
        | Measure::HalfOpen
        | Measure::Requests
        | Measure::Probes
        | Measure::Held
        | Measure::Drips
        | Measure::Renegotiations
        | Measure::HastyRecords
        | Measure::Holding
        | Measure::Resets
        | Measure::Udp
        | Measure::Initials
        | Measure::Icmp
        | Measure::Fragments
        | Measure::Reflected => Requires::ToServer,
        // A client that shows no data shows by the service's data that it came through.
        Measure::Connections | Measure::Accesses | Measure::OneSided => Requires::EitherSide,
        // Responses belong to requests, and without the answers nobody proves an address, no conversation is seen to go on,
        // and an answer to the service's own datagram looks like a question.
        Measure::ClientErrors
        | Measure::ServerErrors
        | Measure::Unearned
        | Measure::OutOfState
        | Measure::UnaskedSynAcks
        | Measure::Ignored
        | Measure::InitialsIgnored
        | Measure::Refused
        | Measure::UdpProbes
        | Measure::Strays
        | Measure::Unanswered
        | Measure::Waiting
        | Measure::BriefAnswers
        | Measure::Lagging
        | Measure::Late
        | Measure::BareHandshakes
        | Measure::Denied
        | Measure::Missing
        | Measure::LargeResent => Requires::BothSides,
    }
}

/// Whether a measure can be taken where the mirror shows these directions.
pub fn is_measurable(measure: Measure, sides: Sides) -> bool {
    match (requires(measure), sides) {
        (_, Sides::Both) | (Requires::EitherSide, _) | (Requires::ToServer, Sides::ToServer) => true,
        (Requires::ToServer | Requires::BothSides, Sides::ToClient | Sides::ToServer) => false,
    }
}

/// The ids of the rules that are switched off for a service of which the mirror shows these directions.
pub fn switched_off(rules: &RuleSet, sides: Sides) -> Vec<&str> {
    let off = rules.rules.iter().filter(|rule| !is_measurable(rule.measure, sides));
    off.map(|rule| rule.id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_an_answer_is_off_where_answers_are_not_mirrored() {
        let rules = RuleSet::builtin();
        assert_eq!(switched_off(&rules, Sides::Both), [""; 0]);
        let off = switched_off(&rules, Sides::ToServer);
        assert!(off.contains(&"server-errors") && off.contains(&"requests-unanswered"), "{off:?}");
        assert!(!off.contains(&"slow-hold") && !off.contains(&"port-scan"), "{off:?}");
        let off = switched_off(&rules, Sides::ToClient);
        assert!(off.contains(&"forged-syn-flood") && !off.contains(&"foreign-concentration"), "{off:?}");
    }
}
