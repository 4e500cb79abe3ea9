//! Writes small `.mmdb` files for tests: any record on any prefix, in the layouts of every vendor, whole or hostile.
//! Format: <https://maxmind.github.io/MaxMind-DB/>.

use std::net::IpAddr;

use ipnet::IpNet;

/// A database under construction.
#[derive(Debug, Clone)]
pub struct Mmdb {
    database_type: String,
    ip_version: u16,
    record_bits: u16,
    /// Two children a node.
    nodes: Vec<[Child; 2]>,
    /// The data section.
    data: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Child {
    Empty,
    Node(usize),
    /// A record by its offset in the data section.
    Record(usize),
}

/// A value of a record.
#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Short(u16),
    Number(u32),
    Long(u64),
    Double(f64),
    Bool(bool),
    Map(Vec<(String, Value)>),
    List(Vec<Value>),
    /// A pointer into the data section, sensible or not; under 2048.
    Pointer(u16),
}

impl Value {
    pub fn text(text: &str) -> Self {
        Value::Text(text.to_owned())
    }

    pub fn map<'n>(fields: impl IntoIterator<Item = (&'n str, Value)>) -> Self {
        Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub fn list(values: impl IntoIterator<Item = Value>) -> Self {
        Value::List(values.into_iter().collect())
    }

    /// `{country_code}`.
    pub fn flat_country(code: &str) -> Self {
        Value::map([("country_code", Value::text(code))])
    }

    /// `{autonomous_system_number, autonomous_system_organization}`.
    pub fn asn(number: u32, organization: &str) -> Self {
        Value::map([
            ("autonomous_system_number", Value::Number(number)),
            ("autonomous_system_organization", Value::text(organization)),
        ])
    }

    /// A record of a city database, with all that stands around the country.
    pub fn city(code: &str, city: &str) -> Self {
        let names = |name| Value::map([("en", Value::text(name)), ("ko", Value::text("서울"))]);
        Value::map([
            ("city", Value::map([("geoname_id", Value::Number(1_835_848)), ("names", names(city))])),
            ("continent", Value::map([("code", Value::text("AS")), ("names", names("Asia"))])),
            ("country", Value::map([("iso_code", Value::text(code)), ("names", names("South Korea"))])),
            (
                "location",
                Value::map([("latitude", Value::Double(37.56)), ("longitude", Value::Double(126.97))]),
            ),
            ("registered_country", Value::map([("iso_code", Value::text("US"))])),
            ("subdivisions", Value::list([Value::map([("iso_code", Value::text("11"))])])),
            ("traits", Value::map([("is_anycast", Value::Bool(true))])),
        ])
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Pointer(offset) => out.extend([0x20 | (offset >> 8) as u8, *offset as u8]),
            Value::Text(text) => {
                control(out, 2, text.len());
                out.extend(text.as_bytes());
            }
            Value::Double(number) => {
                control(out, 3, 8);
                out.extend(number.to_be_bytes());
            }
            Value::Short(number) => {
                control(out, 5, 2);
                out.extend(number.to_be_bytes());
            }
            Value::Number(number) => {
                control(out, 6, 4);
                out.extend(number.to_be_bytes());
            }
            Value::Long(number) => {
                control(out, 9, 8);
                out.extend(number.to_be_bytes());
            }
            Value::Bool(truth) => control(out, 14, usize::from(*truth)),
            Value::List(values) => {
                control(out, 11, values.len());
                values.iter().for_each(|value| value.encode(out));
            }
            Value::Map(fields) => {
                control(out, 7, fields.len());
                for (name, value) in fields {
                    Value::text(name).encode(out);
                    value.encode(out);
                }
            }
        }
    }
}

/// The control byte(s) before a value: its type and its size.
fn control(out: &mut Vec<u8>, kind: u8, size: usize) {
    let first = if kind > 7 { 0 } else { kind << 5 };
    let (short, rest): (u8, &[u8]) = match size {
        0..29 => (size as u8, &[]),
        29..285 => (29, &[(size - 29) as u8]),
        _ => (30, &((size - 285) as u16).to_be_bytes()),
    };
    out.push(first | short);
    if kind > 7 {
        out.push(kind - 7);
    }
    out.extend(rest);
}

impl Mmdb {
    /// 2026-06-01.
    pub const BUILD_EPOCH: u64 = 1_780_272_000;

    pub fn new() -> Self {
        Self {
            database_type: "Fixture".into(),
            ip_version: 6,
            record_bits: 24,
            nodes: vec![[Child::Empty; 2]],
            data: Vec::new(),
        }
    }

    pub fn database_type(mut self, name: &str) -> Self {
        self.database_type = name.to_owned();
        self
    }

    pub fn ipv4_only(mut self) -> Self {
        self.ip_version = 4;
        self
    }

    pub fn record_bits(mut self, bits: u16) -> Self {
        self.record_bits = bits;
        self
    }

    /// Hangs a record on a prefix; a longer prefix goes after the shorter one that holds it.
    pub fn with(mut self, prefix: &str, record: Value) -> Self {
        let offset = self.data.len();
        record.encode(&mut self.data);
        let prefix: IpNet = prefix.parse().unwrap();
        let shift = 128 - if self.ip_version == 6 { 128 } else { 32 };
        let (bits, length) = match prefix.addr() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << shift, prefix.prefix_len() + 96 - shift),
            IpAddr::V6(v6) => (v6.to_bits(), prefix.prefix_len()),
        };
        let mut node = 0;
        for depth in 0..length - 1 {
            node = self.step(node, side(bits, depth));
        }
        self.nodes[node][side(bits, length - 1)] = Child::Record(offset);
        self
    }

    fn step(&mut self, node: usize, side: usize) -> usize {
        match self.nodes[node][side] {
            Child::Node(next) => next,
            ended => {
                self.nodes.push([ended; 2]);
                self.nodes[node][side] = Child::Node(self.nodes.len() - 1);
                self.nodes.len() - 1
            }
        }
    }

    /// A tree of 128 nodes in which both children are the next node: 2^128 ways to nowhere.
    pub fn ladder() -> Vec<u8> {
        let mut file = Self::new();
        file.nodes = (1..128).map(|next| [Child::Node(next); 2]).chain([[Child::Empty; 2]]).collect();
        file.bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for [left, right] in &self.nodes {
            self.encode_node(self.number(*left), self.number(*right), &mut file);
        }
        file.extend([0; 16]);
        file.extend(&self.data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        self.metadata().encode(&mut file);
        file
    }

    fn number(&self, child: Child) -> u32 {
        let number = match child {
            Child::Empty => self.nodes.len(),
            Child::Node(node) => node,
            Child::Record(offset) => self.nodes.len() + 16 + offset,
        };
        u32::try_from(number).unwrap()
    }

    fn encode_node(&self, left: u32, right: u32, out: &mut Vec<u8>) {
        let ([a, b, c, d], [e, f, g, h]) = (left.to_be_bytes(), right.to_be_bytes());
        match self.record_bits {
            24 => out.extend([b, c, d, f, g, h]),
            28 => out.extend([b, c, d, a << 4 | e, f, g, h]),
            _ => out.extend([a, b, c, d, e, f, g, h]),
        }
    }

    fn metadata(&self) -> Value {
        Value::map([
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(Self::BUILD_EPOCH)),
            ("database_type", Value::text(&self.database_type)),
            ("description", Value::map([("en", Value::text("made for a test"))])),
            ("ip_version", Value::Short(self.ip_version)),
            ("languages", Value::list([])),
            ("node_count", Value::Number(self.nodes.len() as u32)),
            ("record_size", Value::Short(self.record_bits)),
        ])
    }
}

/// Left (0) or right (1) at `depth`.
fn side(bits: u128, depth: u8) -> usize {
    usize::from(bits >> (127 - depth) & 1 == 1)
}
