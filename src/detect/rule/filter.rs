//! Which traffic a rule counts (`where`). Comes in: a mapping whose keys are all optional. Goes out: a [`Filter`].
//! Countries and networks are read here; whose an address is, `attribute` knows.

use ipnet::IpNet;

use crate::attribute::{Asn, Country};
use crate::document::{Fields, Mention, Node, Port, Read, Reader, Scalar, words};

/// Which traffic counts; what is `None` or empty does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// From abroad, or from home.
    pub foreign: Option<bool>,
    /// From addresses the operator labelled, or from others.
    pub labelled: Option<bool>,
    /// To the service's ports, or to anything else at its addresses.
    pub traffic: Traffic,
    /// To these services alone.
    pub services: Vec<Mention>,
    /// To services at one of these ports alone.
    pub ports: Vec<u16>,
    /// From these countries alone.
    pub countries: Vec<Country>,
    /// From these networks alone.
    pub asns: Vec<Asn>,
    /// From these prefixes alone.
    pub prefixes: Vec<IpNet>,
    /// From clients that completed handshakes the mirror shows, or from others.
    pub proven: Option<bool>,
    /// From prefixes that were not there before, or from others.
    pub new: Option<bool>,
}

/// Which of a service's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Traffic {
    /// To its ports.
    #[default]
    Own,
    /// To its addresses at any other port or protocol.
    Beside,
}
words! { Traffic, "a kind of traffic": Own = "own", Beside = "beside" }

/// Changes to a filter: what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FilterChange {
    foreign: Option<bool>,
    labelled: Option<bool>,
    traffic: Option<Traffic>,
    services: Option<Vec<Mention>>,
    ports: Option<Vec<Port>>,
    countries: Option<Vec<Country>>,
    asns: Option<Vec<Asn>>,
    prefixes: Option<Vec<IpNet>>,
    proven: Option<bool>,
    new: Option<bool>,
}

impl Filter {
    /// Takes over what `change` names.
    pub(super) fn merge(&mut self, change: &FilterChange) {
        let change = change.clone();
        self.foreign = change.foreign.or(self.foreign);
        self.labelled = change.labelled.or(self.labelled);
        self.proven = change.proven.or(self.proven);
        self.new = change.new.or(self.new);
        replace(&mut self.traffic, change.traffic);
        replace(&mut self.services, change.services);
        replace(
            &mut self.ports,
            change.ports.map(|ports| ports.into_iter().map(|Port(port)| port).collect()),
        );
        replace(&mut self.countries, change.countries);
        replace(&mut self.asns, change.asns);
        replace(&mut self.prefixes, change.prefixes);
    }
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

impl Read for FilterChange {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, reader, "where")?;
        let change = Self {
            foreign: fields.optional("foreign"),
            labelled: fields.optional("labelled"),
            traffic: fields.optional("traffic"),
            services: fields.optional("services"),
            ports: fields.optional("ports"),
            countries: fields.optional("countries"),
            asns: fields.optional("asns"),
            prefixes: fields.optional("prefixes"),
            proven: fields.optional("proven"),
            new: fields.optional("new"),
        };
        fields.finish();
        Some(change)
    }
}

impl Scalar for Country {
    fn expected() -> String {
        "a country code of two letters such as KR".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        // ISO 3166-1 keeps UK for the United Kingdom and never assigns it: no database has it, a rule with it is dead.
        if text.eq_ignore_ascii_case("uk") { None } else { Country::parse(text) }
    }

    fn meant(text: &str) -> Option<String> {
        text.eq_ignore_ascii_case("uk").then(|| "GB".to_owned())
    }
}

impl Scalar for Asn {
    fn expected() -> String {
        "a network number such as AS64500 or 64500".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
        u32::parse(digits).filter(|number| *number != 0).map(Asn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Source;

    fn change(text: &str) -> Result<FilterChange, String> {
        let source = Source::new("f.yaml", text);
        let (tree, mut reader) = Reader::parse(&source);
        let change = tree.and_then(|tree| FilterChange::read(&tree, &mut reader));
        let problems = reader.into_problems();
        change.filter(|_| problems.is_empty()).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn a_filter_is_read_and_changed() {
        let mut filter = Filter::default();
        filter.merge(
            &change("{foreign: true, labelled: false, countries: [us, NO], asns: [AS64500, 7018]}").unwrap(),
        );
        assert_eq!(filter.countries, [Country::Code(*b"US"), Country::Code(*b"NO")]);
        assert_eq!(filter.asns, [Asn(64_500), Asn(7_018)]);
        filter.merge(&change("{traffic: beside, countries: []}").unwrap());
        assert_eq!(filter.traffic, Traffic::Beside);
        assert_eq!((filter.foreign, filter.countries.len(), filter.asns.len()), (Some(true), 0, 2));
    }

    #[test]
    fn wrong_filters_are_placed() {
        let problems =
            change("{foreing: yes, countries: [UK, KOR], prefixes: [10.0.0.0/255.0.0.0]}").unwrap_err();
        assert!(problems.contains("f.yaml:1:2: unknown key 'foreing' of where"), "{problems}");
        assert!(problems.contains("f.yaml:1:28: expected a country code of two letters such as KR, found 'UK'; did you mean 'GB'?"), "{problems}");
        assert!(problems.contains("f.yaml:1:32: expected a country code"), "{problems}");
        assert!(problems.contains("did you mean '10.0.0.0/8'?"), "{problems}");
        assert!(change("{labelled: no}").unwrap_err().contains("did you mean 'false'?"));
    }
}
