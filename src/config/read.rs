//! Nodes → configuration. Comes in: the tree of a configuration file. Goes out: a [`Config`] of what could be read; the
//! reader keeps what was wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::{Config, DEFAULT_SENSOR, Event, SinkConfig};
use crate::alert::Mute;
use crate::attribute::Label;
use crate::detect::rule::RulePatch;
use crate::document::{Fields, Node, Place, Port, Read, Reader, Scalar, Value, nearest, shown};
use crate::service::{MAX_SERVICES, Service};
use crate::time::{Span, Timestamp, Zone};

/// Labels are numbered with 16 bits where traffic is counted.
const MAX_LABELS: usize = 65_535;

/// Looked through at every tick.
const MAX_EVENTS: usize = 10_000;

/// Each is looked at for every alert.
const MAX_MUTES: usize = 1_000;

/// A name stands in every alert.
const MAX_NAME: usize = 64;

/// Reads the whole file.
pub(super) fn config(tree: &Node, folder: &Path, reader: &mut Reader<'_>) -> Option<Config> {
    if tree.is_null() {
        return Some(Config::default());
    }
    let mut fields = Fields::of(tree, reader, "a configuration")?;
    let config = Config {
        sensor: fields.optional("sensor").map_or_else(|| DEFAULT_SENSOR.to_owned(), |Name(name)| name),
        home: fields.or("home", Vec::new()),
        services: named(&mut fields, "services", MAX_SERVICES),
        labels: named(&mut fields, "labels", MAX_LABELS),
        trusted_proxies: fields.or("trusted_proxies", Vec::new()),
        calendar: named(&mut fields, "calendar", MAX_EVENTS),
        rules: patches(&mut fields),
        rule_files: fields
            .or("rule_files", Vec::new())
            .into_iter()
            .map(|path| beside(folder, path))
            .collect(),
        sinks: fields
            .or("sinks", Vec::<SinkConfig>::new())
            .into_iter()
            .map(|sink| SinkConfig { to: sink.to.beside(folder), ..sink })
            .collect(),
        state: fields.optional("state"),
        mute: named(&mut fields, "mute", MAX_MUTES),
        remind_after: fields.checked("remind_after", "a time from 1m to 1d", |time: &Span| {
            (60..=86_400).contains(&time.secs())
        }),
        country_db: fields.optional("country_db").map(|path| beside(folder, path)),
        asn_db: fields.optional("asn_db").map(|path| beside(folder, path)),
        pseudonymize: fields.optional("pseudonymize").map(|path| beside(folder, path)),
        timezone: fields.optional("timezone"),
        service_names: fields.node("services").map(names_in).unwrap_or_default(),
    };
    fields.finish();
    Some(config)
}

fn beside(folder: &Path, path: PathBuf) -> PathBuf {
    folder.join(path)
}

/// The changes to rules: a mapping by id.
fn patches(fields: &mut Fields<'_, '_, '_>) -> Vec<RulePatch> {
    let Some(node) = fields.node("rules") else {
        return Vec::new();
    };
    let reader = fields.reader();
    let entries = reader.entries(node, "changes to rules by id (a mapping)").unwrap_or_default();
    entries.iter().filter_map(|(id, node)| RulePatch::read(id, node, reader)).collect()
}

/// Something of which there are several, each with its own name.
trait Named: Read {
    /// What it is, with an article.
    const WHAT: &'static str;
    /// Its name.
    fn name(&self) -> &str;
}

/// Reads a list whose names must differ.
fn named<T: Named>(fields: &mut Fields<'_, '_, '_>, key: &'static str, cap: usize) -> Vec<T> {
    let Some(node) = fields.node(key) else {
        return Vec::new();
    };
    let reader = fields.reader();
    let items = reader.items(node, &format!("a list of {key}")).unwrap_or_default();
    if items.len() > cap {
        reader.problem(node.at, format!("expected at most {cap} entries of {key}, found {}", items.len()));
        return Vec::new();
    }
    let mut seen: HashMap<String, Place> = HashMap::new();
    let mut list = Vec::new();
    for item in items {
        let Some(value) = T::read(item, reader) else { continue };
        let at = name_place(item);
        match seen.get(value.name()) {
            Some(first) => {
                let name = shown(value.name());
                reader.problem(
                    at,
                    format!("{} '{name}' is named twice, first in line {}", T::WHAT, first.line),
                );
            }
            None => {
                seen.insert(value.name().to_owned(), at);
                list.push(value);
            }
        }
    }
    list
}

/// Where the name of an entry stands.
fn name_place(item: &Node) -> Place {
    name_of(item).map_or(item.at, |node| node.at)
}

/// The name of an entry, whether or not the rest of it is right.
fn name_of(item: &Node) -> Option<&Node> {
    let Value::Map(entries) = &item.value else { return None };
    entries.iter().find(|(key, _)| key.text == "name").map(|(_, node)| node)
}

/// The names of the entries of a list.
fn names_in(list: &Node) -> Vec<String> {
    let Value::Seq(items) = &list.value else { return Vec::new() };
    items.iter().filter_map(name_of).filter_map(Node::text).map(str::to_owned).collect()
}

impl Named for Service {
    const WHAT: &'static str = "service";
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Label {
    const WHAT: &'static str = "label";
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Event {
    const WHAT: &'static str = "event";
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Mute {
    const WHAT: &'static str = "mute";
    fn name(&self) -> &str {
        &self.name
    }
}

impl Read for Mute {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "a mute")?;
        let name = fields.required("name").map(|Name(name)| name);
        let rule = fields.required("rule");
        let service = fields.required("service");
        let up_to = fields.required("up_to");
        let until = fields.required("until");
        fields.finish();
        Some(Self { name: name?, rule: rule?, service: service?, up_to: up_to?, until: until? })
    }
}

impl Read for Service {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "a service")?;
        let name = fields.required("name");
        let addresses = some(&mut fields, "addresses", "at least one address or prefix");
        let ports = some::<Port>(&mut fields, "ports", "at least one port");
        fields.finish();
        let ports = ports?.into_iter().map(|Port(port)| port).collect();
        name.map(|Name(name)| name).zip(addresses).map(|(name, addresses)| Self { name, addresses, ports })
    }
}

impl Read for Label {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "a label")?;
        let name = fields.required("name").map(|Name(name)| name);
        let role = fields.required("role");
        let prefixes = some::<IpNet>(&mut fields, "prefixes", "at least one prefix");
        fields.finish();
        Some(Self { name: name?, role: role?, prefixes: prefixes? })
    }
}

impl Read for Event {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "an event")?;
        let name = fields.required("name").map(|Name(name)| name);
        let kind = fields.required("kind");
        let services = fields.or("services", Vec::new());
        let from: Option<Timestamp> = fields.required("from");
        fields.need("to");
        let to = fields.checked("to", "a time after 'from'", |to| from.is_none_or(|from| *to > from));
        fields.finish();
        Some(Self { name: name?, kind: kind?, services, from: from?, to: to? })
    }
}

/// A list that must be there and not be empty.
fn some<T: Read>(fields: &mut Fields<'_, '_, '_>, key: &'static str, expected: &str) -> Option<Vec<T>> {
    fields.need(key);
    let empty = fields.node(key).filter(|node| node.value == Value::Seq(Vec::new()));
    if let Some(node) = empty {
        fields.reader().problem(node.at, format!("expected {expected}, found an empty list"));
    }
    fields.optional(key)
}

/// The name of something: one line that can stand in an alert.
struct Name(String);

impl Scalar for Name {
    fn expected() -> String {
        format!("a name of at most {MAX_NAME} characters in one line")
    }

    fn parse(text: &str) -> Option<Self> {
        let fits = !text.trim().is_empty()
            && text.chars().count() <= MAX_NAME
            && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }
}

impl Scalar for Zone {
    fn expected() -> String {
        "a time zone such as Asia/Seoul or UTC".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Zone::named(text)
    }

    fn meant(text: &str) -> Option<String> {
        let zones: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        nearest(text, zones.iter().map(String::as_str)).map(str::to_owned)
    }
}
