//! nDPI's flows: a line of text for each, with its ends and the packets of both. Flows end with the capture only, and
//! those of different VLANs are different.

use std::net::IpAddr;

use crate::compare::compare;
use crate::conversation::{Conversation, End, Proto};
use crate::corpus::Corpus;
use crate::ja4::Fingerprint;
use crate::report::Tally;

/// How many of its flows are ours too.
pub fn tallies(corpus: &Corpus) -> Vec<Tally> {
    let mut tally = Tally::new("ndpi", "flows by ends and packets", Some(97.0));
    for capture in corpus.of("ndpi") {
        for (_, text) in capture.expected_texts(".out") {
            let rows: Vec<Conversation> = text.lines().filter_map(row).collect();
            tally.add(compare(&capture.name, rows, capture.records()));
        }
    }
    vec![tally, fingerprints(corpus)]
}

/// A flow that begins with a ClientHello tells its fingerprint: `[JA4: ..]`.
fn fingerprints(corpus: &Corpus) -> Tally {
    let mut tally = Tally::new("ndpi", "JA4 fingerprints", None);
    for capture in corpus.of("ndpi") {
        let texts = capture.expected_texts(".out");
        let rows: Vec<Fingerprint> =
            texts.iter().flat_map(|(_, text)| text.lines().filter_map(fingerprint)).collect();
        tally.captures += usize::from(!rows.is_empty());
        rows.iter().for_each(|row| row.compare(&capture.name, capture.records(), &mut tally));
    }
    tally
}

fn fingerprint(line: &str) -> Option<Fingerprint> {
    let ja4 = line.split('[').find_map(|field| field.strip_prefix("JA4: ")?.split(']').next())?;
    Some(Fingerprint { ends: row(line)?.ends, ja4: ja4.to_owned() })
}

/// `<tab>7<tab>TCP 10.0.0.1:80 <-> [2001:db8::1]:8080 [..][3 pkts/180 bytes <-> 2 pkts/120 bytes][..]`
fn row(line: &str) -> Option<Conversation> {
    let (number, flow) = line.strip_prefix('\t')?.split_once('\t')?;
    number.parse::<u32>().ok()?;
    let mut words = flow.split(' ');
    let name = words.next()?;
    let from = end(words.next()?)?;
    words.next().filter(|arrow| matches!(*arrow, "<->" | "->"))?;
    let to = end(words.next()?)?;
    let proto = Proto::named(name, from.0)?;
    let figures = flow.split('[').find(|field| field.contains(" pkts/"))?;
    let mut counts = figures.split(" pkts/").filter_map(|part| part.rsplit(' ').next()?.parse().ok());
    // A protocol inside a tunnel is told behind the tunnel's name: `[proto: GTP:5/DNS]`.
    let tunnelled =
        flow.split('[').any(|field| field.strip_prefix("proto: ").is_some_and(|proto| proto.contains(':')));
    Some(Conversation { tunnelled, ..Conversation::new(proto, [from, to], [counts.next()?, counts.next()?]) })
}

/// `10.0.0.1:80` or `[2001:db8::1]:80`.
fn end(text: &str) -> Option<End> {
    let (address, port) = text.rsplit_once(':')?;
    let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some((address, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_ends_and_packets() {
        let line = "\t3\tTCP 10.0.0.1:4000 <-> 10.0.0.2:80 [proto: 7/HTTP][12 pkts/900 bytes <-> 9 pkts/800 bytes][1 sec]";
        let row = row(line).unwrap();
        assert_eq!(row.to_string(), "Tcp 10.0.0.1:4000 → 10.0.0.2:80");
        assert_eq!(row.packets, [12, 9]);
    }

    #[test]
    fn icmp_has_no_ports_and_other_lines_are_no_flows() {
        let line =
            "\t1\tICMPV6 [fe80::1]:0 -> [ff02::2]:0 [proto: 102/ICMPV6][2 pkts/140 bytes -> 0 pkts/0 bytes]";
        assert_eq!(row(line).unwrap().packets, [2, 0]);
        assert!(row("\t1\t192.168.1.13\t1").is_none());
        assert!(row("Safe\t109 73982\t1").is_none());
    }
}
