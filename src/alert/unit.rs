//! What a load is counted in, in words and in the scale it is told in: bytes are told as bits.

use super::number::quantity;
use crate::detect::rule::{GroupBy, Measure};
use crate::incident::Unit;

/// The contract's name of the unit.
pub(super) fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "requests/s",
        Unit::Connections => "connections/s",
        Unit::Packets => "packets/s",
        Unit::Bytes => "bits/s",
    }
}

/// What a share is a share of.
pub(super) fn noun(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "requests",
        Unit::Connections => "connections",
        Unit::Packets => "packets",
        Unit::Bytes => "traffic",
    }
}

/// A number of the unit in the scale it is told in.
pub(super) fn scaled(unit: Unit, number: f64) -> f64 {
    match unit {
        Unit::Bytes => number * 8.0,
        Unit::Requests | Unit::Connections | Unit::Packets => number,
    }
}

/// A rate without its unit, as people write it: `1,650`, `12.4 M` for bits.
pub(super) fn figure(unit: Unit, rate: f64) -> String {
    let told = scaled(unit, rate);
    match unit {
        Unit::Bytes if told >= 1e9 => format!("{} G", quantity(told / 1e9)),
        Unit::Bytes if told >= 1e6 => format!("{} M", quantity(told / 1e6)),
        Unit::Bytes if told >= 1e3 => format!("{} k", quantity(told / 1e3)),
        _ => quantity(told),
    }
}

/// A rate with its unit: `1,650 requests/s`, `12 Mbit/s`.
pub(super) fn rate(unit: Unit, rate: f64) -> String {
    match unit {
        Unit::Bytes => {
            let figure = figure(unit, rate);
            if figure.ends_with(|letter: char| letter.is_ascii_alphabetic()) {
                format!("{figure}bit/s")
            } else {
                format!("{figure} bit/s")
            }
        }
        _ => format!("{} {}", figure(unit, rate), name(unit)),
    }
}

/// What a rule counts.
pub(super) fn counted(measure: Measure) -> &'static str {
    match measure {
        Measure::Packets => "packets",
        Measure::Bytes => "bytes",
        Measure::Attempts => "attempts to connect",
        Measure::Connections => "connections",
        Measure::Requests => "requests",
        Measure::Accesses => "accesses",
        Measure::ClientErrors => "responses that blame the client (4xx)",
        Measure::ServerErrors => "responses with server errors (5xx)",
        Measure::HalfOpen => "attempts to connect that were never completed",
        Measure::Unearned => "packets from addresses that never proved theirs",
        Measure::Ignored => "attempts to connect that nobody answered",
        Measure::Refused => "attempts to connect that were refused",
        Measure::Probes => "attempts to connect that came to nothing",
        Measure::UdpProbes => "datagrams that were not answered",
        Measure::Strays => "requests outside of any conversation",
        Measure::Unanswered => "requests without an answer",
        Measure::Waiting => "milliseconds of waiting",
        Measure::BriefAnswers => "answers of less than 1,000 bytes",
        Measure::Lagging => "answers that took half a second or more",
        Measure::Late => "answers that took two seconds or more",
        Measure::Held => "connections that came to be held",
        Measure::Drips => "requests whose heads drip",
        Measure::BareHandshakes => "TLS handshakes behind which nothing was asked",
        Measure::HastyRecords => "small TLS records beyond what a connection may have unanswered",
        Measure::Renegotiations => "TLS handshakes begun anew",
        Measure::Holding => "connections that are held",
        Measure::Denied => "responses that deny access (401, 403)",
        Measure::Missing => "responses to what is not there (4xx)",
        Measure::Resets => "streams that were broken off",
        Measure::LargeResent => "large segments sent again",
        Measure::OutOfState => "segments of no known conversation",
        Measure::Udp => "UDP packets",
        Measure::Initials => "QUIC conversations begun",
        Measure::InitialsIgnored => "QUIC conversations that nobody answered",
        Measure::Icmp => "ICMP packets",
        Measure::Fragments => "fragments",
        Measure::Reflected => "reflected datagrams",
        Measure::UnaskedSynAcks => "SYN-ACKs that nobody asked for",
        Measure::OneSided => "conversations seen from one side alone",
    }
}

/// One of what a rule's share is a part of, where there may be less of that than of what is counted.
pub(super) fn each(measure: Measure) -> Option<&'static str> {
    match measure {
        Measure::Unanswered => Some("access"),
        Measure::Held | Measure::Drips => Some("connection opened"),
        Measure::BareHandshakes => Some("hello"),
        Measure::Resets => Some("request"),
        _ => None,
    }
}

/// Whose traffic a rule counts together; nothing for the service as a whole.
pub(super) fn group(group: GroupBy) -> &'static str {
    match group {
        GroupBy::Service => "",
        GroupBy::Source => " from one address",
        GroupBy::Prefix => " from one prefix",
        GroupBy::Asn => " from one network",
        GroupBy::Country => " from one country",
    }
}

/// What a rule counts as a part of its whole: `accesses come from one country`.
pub(super) fn part(measure: Measure, by: GroupBy) -> String {
    let from = group(by);
    match measure {
        Measure::HalfOpen => format!("attempts to connect{from} were never completed"),
        Measure::Unearned => format!("packets{from} come from addresses that never proved theirs"),
        Measure::ServerErrors => {
            format!("responses are server errors (5xx){}", from.replace(" from ", " to "))
        }
        Measure::ClientErrors => {
            format!("responses blame the client (4xx){}", from.replace(" from ", " to "))
        }
        Measure::Ignored => "attempts to connect were not answered".to_owned(),
        Measure::Refused => "attempts to connect were refused".to_owned(),
        Measure::Probes => "attempts to connect came to nothing".to_owned(),
        Measure::UdpProbes => "datagrams beside the service were not answered".to_owned(),
        Measure::Strays => format!("requests{from} belong to no conversation"),
        Measure::Unanswered => format!("accesses{from} had no answer"),
        Measure::BriefAnswers => "answers have less than 1,000 bytes".to_owned(),
        Measure::Lagging => "first bytes of answers took half a second or more".to_owned(),
        Measure::Late => "first bytes of answers took two seconds or more".to_owned(),
        Measure::Held => format!("connections{from} came to be held"),
        Measure::Drips => format!("connections{from} let the head of a request drip"),
        Measure::BareHandshakes => format!("TLS handshakes{from} asked for nothing"),
        Measure::HastyRecords => format!("small TLS records{from} did not wait for answers"),
        Measure::Holding => format!("connections{from} are held"),
        Measure::Denied => format!("responses deny access (401, 403){}", from.replace(" from ", " to ")),
        Measure::Missing => {
            format!("responses are to what is not there (4xx){}", from.replace(" from ", ", asked by "))
        }
        Measure::Resets => format!("streams{from} were broken off"),
        Measure::LargeResent => "large segments were sent again".to_owned(),
        Measure::OutOfState => format!("packets{from} are segments of no known conversation"),
        Measure::Udp => format!("packets{from} are UDP"),
        Measure::InitialsIgnored => "QUIC conversations were not answered".to_owned(),
        Measure::Icmp => format!("packets{from} are ICMP"),
        Measure::Fragments => format!("packets{from} are fragments"),
        Measure::Reflected => "packets are reflected datagrams".to_owned(),
        Measure::UnaskedSynAcks => "packets are SYN-ACKs that nobody asked for".to_owned(),
        Measure::OneSided => "conversations are seen from one side alone".to_owned(),
        _ if by == GroupBy::Service => format!("{} go to the service", counted(measure)),
        _ => format!("{} come{from}", counted(measure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_as_bits() {
        assert_eq!(rate(Unit::Bytes, 1.55e6), "12 Mbit/s");
        assert_eq!(rate(Unit::Bytes, 10.0), "80 bit/s");
        assert_eq!(rate(Unit::Requests, 1650.0), "1,650 requests/s");
        assert_eq!((name(Unit::Bytes), scaled(Unit::Bytes, 2.0)), ("bits/s", 16.0));
    }
}
