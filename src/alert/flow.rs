//! Flows, requests and ClientHellos as EVE JSON. Comes in: a [`flow::record::Record`](crate::flow::record::Record).
//! Goes out: one line, written where the caller keeps lines. The names are Suricata's where the meaning is theirs;
//! `conn_state` and `history` are Zeek's.

use std::borrow::Cow;

use super::json::{Object, push_number, push_told};
use super::stamp::Stamps;
use super::{EventType, Pseudonyms};
use crate::decode::Layers;
use crate::flow::record::{Ends, FlowRecord, HelloRecord, Record, RequestRecord, Summary, TcpRecord, Tls};
use crate::flow::{LARGE, Noticed};
use crate::time::{Timestamp, Zone};

/// Writes records of flows: who tells, in which zone, and with which pseudonyms. Community IDs are of what is told, since
/// whoever knows one end of a flow can guess the other from the true one.
#[derive(Debug, Clone)]
pub struct FlowWriter {
    /// The sensor's name, in quotes.
    sensor: Vec<u8>,
    stamps: Stamps,
    pseudonyms: Pseudonyms,
}

// The field's name says what large is.
const _: () = assert!(LARGE == 1_400);

impl FlowWriter {
    /// A writer for a sensor, with what is told of addresses.
    pub fn new(sensor: &str, zone: &Zone, pseudonyms: &Pseudonyms) -> Self {
        let mut name = Vec::new();
        push_told(&mut name, sensor);
        Self { sensor: name, stamps: Stamps::new(zone.clone()), pseudonyms: pseudonyms.clone() }
    }

    /// Writes a record behind what `out` holds, without a line end, in UTF-8; answers of which kind it is.
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> EventType {
        let pseudonyms = self.pseudonyms.clone();
        pseudonyms.record(record, |record| {
            Object::write(out, |line| match record {
                Record::Flow(flow) => self.flow(flow, line),
                Record::Request(request) => self.request(request, line),
                Record::Hello(hello) => self.hello(hello, line),
            });
        });
        kind(record)
    }

    /// What every record says first: when, what, and between whom.
    fn head(&mut self, kind: EventType, time: Timestamp, ends: &Ends, line: &mut Object<'_>) {
        self.stamp("timestamp", time, line);
        line.word("event_type", kind.word());
        line.as_it_stands("sensor", &self.sensor);
        let port = |port: u16| (!ends.is_icmp()).then_some(port);
        line.address("src_ip", ends.originator.ip());
        line.number_if("src_port", port(ends.originator.port()));
        line.address("dest_ip", ends.responder.ip());
        line.number_if("dest_port", port(ends.responder.port()));
        line.word("proto", protocol(ends.protocol));
    }

    fn flow(&mut self, flow: &FlowRecord<'_>, line: &mut Object<'_>) {
        self.head(EventType::Flow, flow.end, &flow.ends, line);
        if let Some(protocol) = flow.said.and_then(|said| said.protocol) {
            line.word("app_proto", protocol);
        }
        line.number_if("icmp_type", flow.ends.is_icmp().then_some(flow.ends.originator.port()));
        line.number_if("icmp_code", flow.icmp_code);
        if let Some(carried) = flow.carried {
            carriers(carried, line);
        }
        identity(&flow.ends, line);
        line.word("conn_state", flow.state.code());
        let history = flow.history.as_str();
        if !history.is_empty() {
            line.word("history", history);
        }
        line.object("flow", |sums| self.sums(flow, sums));
        if let Some(record) = flow.tcp {
            tcp(&record, line);
        }
        if let Some(said) = flow.said {
            summary(&said, line);
        }
    }

    fn sums(&mut self, flow: &FlowRecord<'_>, sums: &mut Object<'_>) {
        self.stamp("start", flow.start, sums);
        self.stamp("end", flow.end, sums);
        sums.number("pkts_toserver", flow.to_responder.packets);
        sums.number("pkts_toclient", flow.to_originator.packets);
        sums.number("bytes_toserver", flow.to_responder.bytes);
        sums.number("bytes_toclient", flow.to_originator.bytes);
        sums.number("duplicates", flow.duplicates);
    }

    fn hello(&mut self, hello: &HelloRecord<'_>, line: &mut Object<'_>) {
        self.head(EventType::Tls, hello.time, &hello.ends, line);
        identity(&hello.ends, line);
        tls(&hello.tls, line);
        if let Some(client) = hello.forwarded {
            line.address("xff", client);
        }
    }

    fn request(&mut self, request: &RequestRecord<'_>, line: &mut Object<'_>) {
        self.head(EventType::Http, request.time, &request.ends, line);
        identity(&request.ends, line);
        line.object("http", |http| {
            http.told_or_null("hostname", request.host);
            match request.query {
                Some(query) => http.told("url", &format!("{}?{query}", request.path)),
                None => http.told("url", request.path),
            }
            http.told("http_method", request.method);
            http.told_or_null("http_user_agent", request.user_agent);
            http.told("protocol", request.protocol);
            if let Some(client) = request.forwarded {
                http.address("xff", client);
            }
            http.number_or_null("status", request.status);
            http.number_or_null("length", request.length);
        });
        line.number_or_null("ttfb_us", request.ttfb_us);
    }

    fn stamp(&mut self, name: &'static str, time: Timestamp, object: &mut Object<'_>) {
        object.written(name, |out| self.stamps.push(out, time));
    }
}

fn kind(record: &Record<'_>) -> EventType {
    match record {
        Record::Flow(_) => EventType::Flow,
        Record::Request(_) => EventType::Http,
        Record::Hello(_) => EventType::Tls,
    }
}

fn identity(ends: &Ends, line: &mut Object<'_>) {
    line.written("community_id", |out| out.extend_from_slice(ends.community_id().as_bytes()));
}

/// Suricata's names of the protocols that flows are told of.
fn protocol(number: u8) -> &'static str {
    match number {
        1 => "ICMP",
        6 => "TCP",
        17 => "UDP",
        58 => "IPv6-ICMP",
        132 => "SCTP",
        _ => "IP",
    }
}

/// The tags and tunnels around a flow.
fn carriers(carried: &Layers, line: &mut Object<'_>) {
    if !carried.vlans().is_empty() {
        line.list("vlan", carried.vlans().iter(), |vlan, out| push_number(out, u64::from(*vlan)));
    }
    if !carried.tunnels().is_empty() {
        line.list("tunnel", carried.tunnels().iter(), |tunnel, out| {
            Object::write(out, |field| {
                field.word("type", tunnel.kind.name());
                field.address("src_ip", tunnel.source);
                field.address("dest_ip", tunnel.destination);
                field.number_if("id", tunnel.id);
            });
        });
    }
}

/// What was noticed of TCP; nothing where there is nothing.
fn tcp(record: &TcpRecord, line: &mut Object<'_>) {
    let TcpRecord { originator, responder, handshake } = record;
    if handshake.server_us.is_none() && !originator.is_anything() && !responder.is_anything() {
        return;
    }
    line.object("tcp", |tcp| {
        tcp.number_if("handshake_server_us", handshake.server_us);
        tcp.number_if("handshake_client_us", handshake.client_us);
        noticed("toserver", originator, tcp);
        noticed("toclient", responder, tcp);
    });
}

/// What was noticed of one side; what was not is left out.
fn noticed(side: &'static str, noticed: &Noticed, tcp: &mut Object<'_>) {
    if !noticed.is_anything() {
        return;
    }
    tcp.object(side, |field| {
        let numbers = [
            ("retransmitted", noticed.retransmitted),
            ("retransmitted_large", noticed.retransmitted_large),
            ("out_of_order", noticed.out_of_order),
            ("keep_alives", noticed.keep_alives),
            ("zero_windows", noticed.zero_windows),
            ("resets", noticed.resets),
            ("gaps", noticed.gaps),
        ];
        for (name, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
            field.number(name, number);
        }
    });
}

fn tls(tls: &Tls<'_>, line: &mut Object<'_>) {
    line.object("tls", |field| {
        field.told_or_null("sni", tls.sni);
        field.word("ja4", tls.ja4.as_str());
        field.word("version", &version(tls.version));
        field.told_list("alpn", tls.alpn.iter());
    });
}

/// Suricata's names of versions.
fn version(number: u16) -> Cow<'static, str> {
    match number {
        0x0002 => "SSLv2".into(),
        0x0300 => "SSLv3".into(),
        0x0301 => "TLS 1.0".into(),
        0x0302 => "TLS 1.1".into(),
        0x0303 => "TLS 1.2".into(),
        0x0304 => "TLS 1.3".into(),
        other => format!("0x{other:04x}").into(),
    }
}

/// What was said on a flow.
fn summary(said: &Summary<'_>, line: &mut Object<'_>) {
    if let Some(hello) = &said.tls {
        tls(hello, line);
    }
    let resets = Some(said.resets).filter(|resets| *resets > 0);
    if said.requests > 0 || resets.is_some() {
        line.object("http", |http| {
            http.number("requests", said.requests);
            http.number_if("resets", resets);
            http.told_list("hosts", said.hosts.iter());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::PseudonymKey;
    use crate::decode::{Layers, Tunnel, TunnelKind};
    use crate::flow::record::{Ends, RequestRecord};
    use crate::service::{Service, Services};

    fn pseudonyms() -> Pseudonyms {
        let key = PseudonymKey::parse(
            "00112233445566778899aabbccddeeff".repeat(2).replacen('0', "1", 1).as_bytes(),
        );
        let services = Services::new(vec![Service::parse("web=192.0.2.1:80").unwrap()]).unwrap();
        Pseudonyms::new(&key.unwrap(), &services)
    }

    #[test]
    fn both_ends_proxied_clients_and_tunnels_have_pseudonyms_and_services_have_none() {
        let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
        let time = Timestamp::from_secs(1_700_698_760);
        let request = RequestRecord {
            ends: Ends {
                originator: "198.51.100.7:4000".parse().unwrap(),
                responder: "192.0.2.1:80".parse().unwrap(),
                protocol: 6,
            },
            time,
            told: time,
            host: None,
            path: "/",
            query: None,
            method: "GET",
            user_agent: None,
            protocol: "HTTP/1.1",
            forwarded: Some(address("203.0.113.9")),
            status: None,
            length: None,
            ttfb_us: None,
        };
        let line = |pseudonyms: &Pseudonyms| {
            let mut line = Vec::new();
            FlowWriter::new("s", &Zone::utc(), pseudonyms).write(&Record::Request(&request), &mut line);
            serde_json::from_slice::<serde_json::Value>(&line).unwrap()
        };
        let (plain, veiled, pseudonyms) = (line(&Pseudonyms::default()), line(&pseudonyms()), pseudonyms());
        assert_eq!((&veiled["dest_ip"], &veiled["dest_port"]), (&plain["dest_ip"], &plain["dest_port"]));
        assert_eq!(veiled["src_ip"], pseudonyms.address(address("198.51.100.7")).to_string());
        assert_eq!(veiled["http"]["xff"], pseudonyms.address(address("203.0.113.9")).to_string());
        let told = Ends { originator: pseudonyms.end(request.ends.originator), ..request.ends };
        assert_eq!(veiled["community_id"], told.community_id().as_str());
        let mut layers = Layers::NONE;
        let tunnel = Tunnel {
            kind: TunnelKind::Gre,
            source: address("198.51.100.8"),
            destination: address("192.0.2.1"),
            id: Some(7),
        };
        layers.enter(tunnel).unwrap();
        let mut line = Vec::new();
        Object::write(&mut line, |object| {
            carriers(&layers.with_addresses(|one| pseudonyms.address(one)), object)
        });
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["tunnel"][0]["src_ip"], pseudonyms.address(tunnel.source).to_string());
        assert_eq!(read["tunnel"][0]["dest_ip"], "192.0.2.1");
    }
}
