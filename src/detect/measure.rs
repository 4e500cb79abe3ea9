//! What a rule's measure is in the sums of a service and of an origin.

use super::rule::Measure;
use crate::aggregate::{Cell, Count, Counts};

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
    }
}

/// What the `share` of a whole scope is a part of: errors of responses, half-open connections of attempts; where that
/// would always be all of it, the measure itself.
pub fn whole_of(measure: Measure, counts: &Counts) -> u64 {
    match measure {
        Measure::ClientErrors | Measure::ServerErrors => counts[Count::Responses],
        Measure::HalfOpen | Measure::Connections => counts[Count::Attempts],
        Measure::Unearned => counts[Count::PacketsIn],
        Measure::Packets | Measure::Bytes | Measure::Attempts | Measure::Requests | Measure::Accesses => {
            of_counts(measure, counts)
        }
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
        Measure::Attempts | Measure::HalfOpen | Measure::Unearned => 0,
    }
}
