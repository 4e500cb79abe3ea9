//! What is demanded of captures: a table of data. Rows without a demand are in the page alone.

/// What is demanded of one capture, before one service.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Its path below the captures.
    pub capture: &'static str,
    /// The service that is named, as `--service` takes it; empty where services are to be found.
    pub service: &'static str,
    pub what: What,
}

/// What the verdict must be.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// An incident with one of these verdicts (`label` or `label/kind`), and these origins.
    Says(&'static [&'static str], Origins),
    /// Nothing above low.
    Quiet,
    /// Nothing: what is said is shown.
    Nothing,
}

/// What the origins must be.
#[derive(Debug, Clone, Copy)]
pub enum Origins {
    /// These values and no others.
    Exactly(&'static [&'static str]),
    /// None at all: the addresses are forged.
    None,
    /// Whatever they are.
    Any,
}

use Origins::{Any, Exactly};
use What::{Nothing, Quiet, Says};

/// The captures that have a service or a demand of their own. `benign-web` rows must be quiet besides.
pub const DEMANDS: &[Demand] = &[
    // Floods and slow attacks.
    demand(
        "doup123/test.pcap",
        "web=172.16.1.2:5000",
        Says(
            &["attack/slow", "attack/connection_flood"],
            Exactly(&["99.0.1.0/24", "99.0.2.0/24", "99.0.3.0/24", "99.0.4.0/24", "99.0.5.0/24"]),
        ),
    ),
    demand(
        "doup123/slowloris.pcap",
        "web=172.16.1.2:5000",
        Says(&["attack", "heavy_client"], Exactly(&["172.16.2.1"])),
    ),
    demand(
        "goldeneye/goldeneye.pcap",
        "web=192.168.1.1:80",
        Says(&["attack", "heavy_client"], Exactly(&["192.168.1.100"])),
    ),
    demand("doup123/udp__flood.pcap", "web=172.16.1.2:5000", Says(&["attack/udp_flood"], Any)),
    demand(
        "stopddos/pkt.TCP.synflood.spoofed.pcap",
        "game=10.10.10.10:25565",
        Says(&["attack/syn_flood"], Origins::None),
    ),
    demand("stopddos/amp.UDP.snmp.src161.pcapng", "web=10.10.10.10:80", Says(&["attack/reflection"], Any)),
    demand("stopddos/amp.dns.RRSIG.fragmented.pcap", "web=10.10.10.10:80", Says(&["attack/reflection"], Any)),
    demand(
        "suricata-verify/ipv6-evasion__ipv6-dos-with-ext-headers-5__denial6-5.pcap",
        "web=[2001:db8:1::1]:80",
        Says(&["attack"], Any),
    ),
    demand("lucid-cicddos2019/CIC-DDoS-2019-WebDDoS.pcap", "web=192.168.50.1:80", Nothing),
    // Scans and guesses.
    demand("ndpi/synscan.pcap", "web=64.13.134.52:80", Says(&["scan/port"], Any)),
    demand("esnet/tcp_0_1000_20190821.pcap", "web=198.124.152.15:80", Says(&["scan/port"], Any)),
    demand("simple-scan/port_scan.pcap", "web=192.168.2.22:80", Says(&["scan/port"], Any)),
    demand("maltrail/port_scan.pcap", "web=198.51.100.7:80", Says(&["scan/port"], Any)),
    demand("maltrail/web_scan.pcap", "web=198.51.100.7:80", Says(&["scan/path"], Any)),
    demand("zeek/ssh__sshguess.pcap", "ssh=192.168.56.103:22", Says(&["brute_force/single"], Any)),
    demand("maltrail/stealth_scan_fin.pcap", "web=198.51.100.7:80", Says(&["scan/port"], Any)),
    demand("maltrail/stealth_scan_null.pcap", "web=198.51.100.7:80", Says(&["scan/port"], Any)),
    demand("maltrail/udp_scan.pcap", "web=198.51.100.7:80", Says(&["scan/port"], Exactly(&["203.0.113.9"]))),
    demand(
        "maltrail/infection_scan.pcap",
        "net=10.9.9.0/24:443",
        Says(&["scan/host"], Exactly(&["10.0.0.5"])),
    ),
    demand(
        "sgr/hs-tcp_synPingSweepRand.pcapng",
        "net=10.0.0.0/24:443",
        Says(&["scan/host"], Exactly(&["10.0.0.128"])),
    ),
    demand("sgr/hs-udpScan.pcap", "net=246.237.103.0/24:80", Says(&["scan/host"], Any)),
    demand("ndpi/WebattackRCE.pcap", "web=127.0.0.1:8080", Says(&["scan/path"], Exactly(&["127.0.0.1"]))),
    demand("esnet/nmap_80_vanilla.pcap", "web=130.211.223.103:80", Nothing),
    demand("ndpi/dotenv.pcap", "web=89.31.76.10:80", Nothing),
    demand("slips/test-cc-capture-1.pcap", "web=141.193.213.21:443", Nothing),
    demand("zeek/http__1000-requests-one-dropped-response.pcap.gz", "web=[::1]:80", Nothing),
    // What looks like an attack and is none.
    demand("stopddos/amp.TCP.syn.optionallyACK.optionallysamePort.pcapng", "web=10.10.10.10:80", Quiet),
    demand("ndpi/memcached.cap", "cache=127.0.0.1:11211", Quiet),
    demand("maltrail/ack_sweep_no_fp.pcap", "web=198.51.100.7:80", Quiet),
    demand("maltrail/dns_exhaustion.pcap", "dns=8.8.8.8:53", Quiet),
    demand("maltrail/mixed_soup.pcap", "web=198.51.100.7:80", Quiet),
];

const fn demand(capture: &'static str, service: &'static str, what: What) -> Demand {
    Demand { capture, service, what }
}

/// What is demanded of a capture of this name and category.
pub fn demanded(name: &str, category: &str) -> Demand {
    let own = DEMANDS.iter().find(|demand| demand.capture == name);
    let rest = if category == "benign-web" { Quiet } else { Nothing };
    own.copied().unwrap_or(demand("", "", rest))
}
