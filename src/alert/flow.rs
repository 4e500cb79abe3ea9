//! Flows, requests and ClientHellos as EVE JSON. Comes in: a [`flow::record::Record`](crate::flow::record::Record).
//! Goes out: one line. The names are Suricata's where the meaning is theirs; `conn_state` and `history` are Zeek's.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::to_writer;

use super::text::told;
use super::{EventType, Record};
use crate::decode::{Layers, Tunnel};
use crate::flow::record::{
    Ends, FlowRecord, HelloRecord, Record as Recorded, RequestRecord, Summary, TcpRecord, Tls,
};
use crate::flow::{LARGE, Noticed, Volume};
use crate::time::{Timestamp, Zone};

/// What every record says first: when, what, and between whom.
#[derive(Serialize)]
struct Head<'a> {
    timestamp: String,
    event_type: EventType,
    sensor: &'a str,
    src_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    dest_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    proto: &'static str,
}

#[derive(Serialize)]
struct FlowLine<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_proto: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vlan: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tunnel: Vec<TunnelField>,
    community_id: String,
    conn_state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    history: String,
    flow: FlowField,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<RequestsField>,
}

#[derive(Serialize)]
struct TunnelField {
    r#type: &'static str,
    src_ip: IpAddr,
    dest_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
}

#[derive(Serialize)]
struct FlowField {
    start: String,
    end: String,
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    duplicates: u64,
}

#[derive(Serialize)]
struct TcpField {
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_server_us: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_client_us: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toserver: Option<NoticedField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toclient: Option<NoticedField>,
}

/// What was noticed of one side; what was not is left out.
#[derive(Serialize)]
struct NoticedField {
    #[serde(skip_serializing_if = "is_zero")]
    retransmitted: u32,
    #[serde(skip_serializing_if = "is_zero")]
    retransmitted_large: u32,
    #[serde(skip_serializing_if = "is_zero")]
    out_of_order: u32,
    #[serde(skip_serializing_if = "is_zero")]
    keep_alives: u32,
    #[serde(skip_serializing_if = "is_zero")]
    zero_windows: u32,
    #[serde(skip_serializing_if = "is_zero")]
    resets: u32,
    #[serde(skip_serializing_if = "is_zero")]
    gaps: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

// The field's name says what large is.
const _: () = assert!(LARGE == 1_400);

#[derive(Serialize)]
struct RequestsField {
    requests: u64,
    /// Streams that were reset, with HTTP/2.
    #[serde(skip_serializing_if = "Option::is_none")]
    resets: Option<u64>,
    hosts: Vec<String>,
}

#[derive(Serialize)]
struct HelloLine<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    community_id: String,
    tls: TlsField,
    #[serde(skip_serializing_if = "Option::is_none")]
    xff: Option<IpAddr>,
}

#[derive(Serialize)]
struct TlsField {
    sni: Option<String>,
    ja4: String,
    version: String,
    alpn: Vec<String>,
}

#[derive(Serialize)]
struct RequestLine<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    community_id: String,
    http: HttpField,
    ttfb_us: Option<u64>,
}

#[derive(Serialize)]
struct HttpField {
    hostname: Option<String>,
    url: String,
    http_method: String,
    http_user_agent: Option<String>,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    xff: Option<IpAddr>,
    status: Option<u16>,
    length: Option<u64>,
}

/// Writes records of flows: who tells, and in which zone.
pub struct FlowWriter<'a> {
    sensor: String,
    zone: &'a Zone,
    /// The line that is being written; its room serves the next one.
    line: Vec<u8>,
}

impl<'a> FlowWriter<'a> {
    /// A writer for a sensor.
    pub fn new(sensor: &str, zone: &'a Zone) -> Self {
        Self { sensor: told(sensor), zone, line: Vec::new() }
    }

    /// The record of what was recorded of a flow.
    pub fn record(&mut self, recorded: &Recorded) -> Record {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let (kind, written) = match recorded {
            Recorded::Flow(flow) => (EventType::Flow, to_writer(&mut line, &self.flow(flow))),
            Recorded::Request(request) => (EventType::Http, to_writer(&mut line, &self.request(request))),
            Recorded::Hello(hello) => (EventType::Tls, to_writer(&mut line, &self.hello(hello))),
        };
        // Records are structs of text, numbers and lists: of these none can fail.
        debug_assert!(written.is_ok());
        let text = Arc::from(std::str::from_utf8(&line).unwrap_or_default());
        self.line = line;
        Record { kind, severity: None, time: Some(recorded.time()), incident: None, line: text }
    }

    fn head(&self, event_type: EventType, time: Timestamp, ends: &Ends) -> Head<'_> {
        let port = |port| (!ends.is_icmp()).then_some(port);
        Head {
            timestamp: time.rfc3339(self.zone),
            event_type,
            sensor: &self.sensor,
            src_ip: ends.originator.ip(),
            src_port: port(ends.originator.port()),
            dest_ip: ends.responder.ip(),
            dest_port: port(ends.responder.port()),
            proto: protocol(ends.protocol),
        }
    }

    fn flow(&self, flow: &FlowRecord) -> FlowLine<'_> {
        let carried = flow.carried.as_deref();
        let said = flow.said.as_deref();
        FlowLine {
            head: self.head(EventType::Flow, flow.end, &flow.ends),
            app_proto: said.and_then(|said| said.protocol),
            icmp_type: flow.ends.is_icmp().then_some(flow.ends.originator.port()),
            icmp_code: flow.icmp_code,
            vlan: carried.map(|carried| carried.vlans().to_vec()).unwrap_or_default(),
            tunnel: carried.map(tunnels).unwrap_or_default(),
            community_id: flow.ends.community_id(),
            conn_state: flow.state.code(),
            history: flow.history.as_str().to_owned(),
            flow: self.sums(flow),
            tcp: flow.tcp.as_deref().and_then(tcp),
            tls: said.and_then(|said| said.tls.as_ref()).map(tls),
            http: said.and_then(requests),
        }
    }

    fn sums(&self, flow: &FlowRecord) -> FlowField {
        let Volume { packets: pkts_toserver, bytes: bytes_toserver } = flow.to_responder;
        let Volume { packets: pkts_toclient, bytes: bytes_toclient } = flow.to_originator;
        FlowField {
            start: flow.start.rfc3339(self.zone),
            end: flow.end.rfc3339(self.zone),
            pkts_toserver,
            pkts_toclient,
            bytes_toserver,
            bytes_toclient,
            duplicates: flow.duplicates,
        }
    }

    fn hello(&self, hello: &HelloRecord) -> HelloLine<'_> {
        HelloLine {
            head: self.head(EventType::Tls, hello.time, &hello.ends),
            community_id: hello.ends.community_id(),
            tls: tls(&hello.tls),
            xff: hello.forwarded,
        }
    }

    fn request(&self, request: &RequestRecord) -> RequestLine<'_> {
        RequestLine {
            head: self.head(EventType::Http, request.time, &request.ends),
            community_id: request.ends.community_id(),
            http: HttpField {
                hostname: request.host.as_deref().map(told),
                url: told(&request.url()),
                http_method: told(&request.method),
                http_user_agent: request.user_agent.as_deref().map(told),
                protocol: told(&request.protocol),
                xff: request.forwarded,
                status: request.status,
                length: request.length,
            },
            ttfb_us: request.ttfb_us,
        }
    }
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

fn tunnels(carried: &Layers) -> Vec<TunnelField> {
    let told = |tunnel: &Tunnel| TunnelField {
        r#type: tunnel.kind.name(),
        src_ip: tunnel.source,
        dest_ip: tunnel.destination,
        id: tunnel.id,
    };
    carried.tunnels().iter().map(told).collect()
}

fn tcp(record: &TcpRecord) -> Option<TcpField> {
    let field = TcpField {
        handshake_server_us: record.handshake.server_us,
        handshake_client_us: record.handshake.client_us,
        toserver: noticed(&record.originator),
        toclient: noticed(&record.responder),
    };
    let says = field.handshake_server_us.is_some() || field.toserver.is_some() || field.toclient.is_some();
    says.then_some(field)
}

fn noticed(noticed: &Noticed) -> Option<NoticedField> {
    noticed.is_anything().then_some(NoticedField {
        retransmitted: noticed.retransmitted,
        retransmitted_large: noticed.retransmitted_large,
        out_of_order: noticed.out_of_order,
        keep_alives: noticed.keep_alives,
        zero_windows: noticed.zero_windows,
        resets: noticed.resets,
        gaps: noticed.gaps,
    })
}

fn tls(tls: &Tls) -> TlsField {
    TlsField {
        sni: tls.sni.as_deref().map(told),
        ja4: tls.ja4.as_str().to_owned(),
        version: version(tls.version),
        alpn: tls.alpn.iter().map(|name| told(name)).collect(),
    }
}

/// Suricata's names of versions.
fn version(number: u16) -> String {
    match number {
        0x0002 => "SSLv2".to_owned(),
        0x0300 => "SSLv3".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        other => format!("0x{other:04x}"),
    }
}

fn requests(said: &Summary) -> Option<RequestsField> {
    let hosts = said.hosts.iter().map(|host| told(host)).collect();
    let resets = Some(said.resets).filter(|resets| *resets > 0);
    let says = said.requests > 0 || resets.is_some();
    says.then_some(RequestsField { requests: said.requests, resets, hosts })
}
