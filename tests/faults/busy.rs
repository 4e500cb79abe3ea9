//! Work for a watch: many services of which each becomes an incident, one soon after the other, so that alerts are under
//! way at any moment.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::memory::{Stream, ipv4_to};

/// Services, nearly as many as there may be; each opens an incident when its packets begin to come.
pub const SERVICES: u32 = 250;

/// Seconds in which all of them have their turn.
const TURNS: u64 = 12;

/// Any packet a second is too much for it.
const RULE: &str = "- {id: busy, sid: 1, rev: 1, title: busy, level: high, description: any packet at all, \
     falsepositives: [none], group_by: service, where: {traffic: own}, measure: packets, timespan: 1s, \
     when: {rate: {gte: 1/s}}}\n";

/// The address of a service.
fn address(service: u32) -> u32 {
    u32::from_be_bytes([211, 34, 100, 0]) + service
}

/// Writes a configuration with these sinks, and its rules; answers where it is.
pub fn configured(folder: &Path, sinks: &[String]) -> PathBuf {
    let config = folder.join("bongsu.yaml");
    let mut text = "home: [KR]\nrule_files: [busy.yaml]\nservices:\n".to_owned();
    for service in 0..SERVICES {
        let address = std::net::Ipv4Addr::from(address(service));
        text.push_str(&format!("  - {{name: s{service}, addresses: [{address}], ports: [80]}}\n"));
    }
    text.push_str("sinks:\n");
    sinks.iter().for_each(|sink| text.push_str(&format!("  - {sink}\n")));
    fs::write(folder.join("busy.yaml"), RULE).unwrap();
    fs::write(&config, text).unwrap();
    config
}

/// Writes a capture in which one service after the other is sent to, for as long as all have had their turn.
pub fn traffic(path: &Path) {
    let mut out = Stream::begin(BufWriter::new(fs::File::create(path).unwrap()));
    let datagram = [0x13, 0x88, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4];
    let (turn, client) = (TURNS * 1_000_000 / u64::from(SERVICES), u32::from_be_bytes([198, 51, 100, 7]));
    // Enough of a conversation for the watch to know at once that the mirror is not doubled.
    for number in 0..600_u32 {
        let mut segment = vec![0x13, 0x89, 0, 80];
        segment.extend((number * 100).to_be_bytes());
        segment.extend([0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend([b'x'; 100]);
        out.packet(u64::from(number) * 80, &ipv4_to(client, address(0), 6, 0x4000, &segment));
    }
    for step in 1..u64::from(SERVICES) {
        // Those whose turn it is, and those before: each for half a second.
        for before in 0..(500_000 / turn).min(step) {
            let service = (step - before) as u32;
            out.packet(step * turn + before, &ipv4_to(client, address(service), 17, 0x4000, &datagram));
        }
    }
    out.finish();
}
