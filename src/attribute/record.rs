//! One record of an address database, read by the fields it has, whatever the database calls itself.
//! Comes in: the decoder of `maxminddb` at a record. Goes out: country, AS number and organisation as far as they are
//! there. It refuses to know which vendor wrote the file.
//!
//! | vendor | country | AS |
//! | --- | --- | --- |
//! | MaxMind, DB-IP | `country.iso_code`, else `registered_country.iso_code` | `autonomous_system_number`, `…_organization`, also under `traits` |
//! | flat files | `country_code` | `autonomous_system_number`, `…_organization` |
//! | IPinfo | `country_code`, or `country` where it is two letters | `asn: "AS15169"`, `as_name` or `name` |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Asn, Country};

/// What a record says, borrowed from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Record<'d> {
    pub(super) country: Option<Country>,
    pub(super) asn: Option<Asn>,
    /// As the file has it; pass it through [`printable`] before anybody reads it.
    pub(super) organization: Option<&'d str>,
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(RecordVisitor)
    }
}

/// An operator's name longer than this tells nobody more, and alerts carry it.
pub(super) const MAX_NAME_CHARS: usize = 128;

/// Text from a file made fit to print: no control or text-direction characters, at most [`MAX_NAME_CHARS`];
/// `None` where nothing is left.
pub(super) fn printable(text: &str) -> Option<String> {
    let shown = text.chars().map(|char| if is_hidden(char) { ' ' } else { char });
    let cut: String = shown.take(MAX_NAME_CHARS).collect();
    let trimmed = cut.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Control characters, line separators, and the marks that reorder text on a terminal (Unicode TR 36).
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let mut found = Candidates::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "country" => found.country = map.next_value()?,
                "registered_country" => found.registered_country = map.next_value()?,
                "country_code" => found.country_code = map.next_value()?,
                "autonomous_system_number" => found.as_number = map.next_value()?,
                "autonomous_system_organization" => found.as_organization = map.next_value()?,
                "asn" => found.asn = map.next_value()?,
                "as_name" => found.as_name = map.next_value()?,
                "name" => found.name = map.next_value()?,
                "traits" => found.traits = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found.settle())
    }
}

/// The values of all fields that may matter, before it is decided which of them do.
#[derive(Default)]
struct Candidates<'d> {
    country: Field<'d>,
    registered_country: Field<'d>,
    country_code: Field<'d>,
    as_number: Field<'d>,
    as_organization: Field<'d>,
    asn: Field<'d>,
    as_name: Field<'d>,
    name: Field<'d>,
    traits: Field<'d>,
}

impl<'d> Candidates<'d> {
    fn settle(&self) -> Record<'d> {
        let country = [self.country.iso_code(), self.country_code.text(), self.country.text()];
        let country = country.into_iter().flatten().find_map(held_country);
        let registered = self.registered_country.iso_code().and_then(held_country);
        let asn = self.as_number.asn().or(self.asn.asn()).or(self.traits.nested().number.asn());
        let names = [&self.as_organization, &self.as_name, &self.name].map(Field::text);
        let nested_name = self.traits.nested().organization.text();
        let organization =
            names.into_iter().chain([nested_name]).flatten().find(|name| !name.trim().is_empty());
        Record { country: country.or(registered), asn, organization: asn.and(organization) }
    }
}

/// A country that a database may name; `ZZ` is CLDR's code for an unknown region.
fn held_country(text: &str) -> Option<Country> {
    Country::parse(text).filter(|country| *country != Country::Code(*b"ZZ"))
}

/// A field of a record: text, a number, or a map of which only a few fields matter.
#[derive(Default)]
enum Field<'d> {
    #[default]
    Absent,
    Plain(Scalar<'d>),
    Map(Nested<'d>),
}

/// The fields that matter inside `country`, `registered_country` and `traits`.
#[derive(Debug, Clone, Copy, Default)]
struct Nested<'d> {
    iso_code: Scalar<'d>,
    number: Scalar<'d>,
    organization: Scalar<'d>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Scalar<'d> {
    Text(&'d str),
    Number(u64),
    #[default]
    Other,
}

impl<'d> Field<'d> {
    fn text(&self) -> Option<&'d str> {
        match self {
            Field::Plain(scalar) => scalar.text(),
            Field::Map(_) | Field::Absent => None,
        }
    }

    fn asn(&self) -> Option<Asn> {
        match self {
            Field::Plain(scalar) => scalar.asn(),
            Field::Map(_) | Field::Absent => None,
        }
    }

    fn nested(&self) -> Nested<'d> {
        match self {
            Field::Map(nested) => *nested,
            Field::Plain(_) | Field::Absent => Nested::default(),
        }
    }

    fn iso_code(&self) -> Option<&'d str> {
        self.nested().iso_code.text()
    }
}

impl<'d> Scalar<'d> {
    fn text(self) -> Option<&'d str> {
        match self {
            Scalar::Text(text) => Some(text.trim()),
            Scalar::Number(_) | Scalar::Other => None,
        }
    }

    /// An AS number as a number, as `"15169"` or as `"AS15169"`; AS 0 is nobody (RFC 7607).
    fn asn(self) -> Option<Asn> {
        let number = match self {
            Scalar::Number(number) => u32::try_from(number).ok()?,
            Scalar::Text(text) => {
                let text = text.trim();
                let digits = text.strip_prefix("AS").or(text.strip_prefix("as")).unwrap_or(text);
                digits.parse().ok()?
            }
            Scalar::Other => return None,
        };
        (number != 0).then_some(Asn(number))
    }
}

impl<'d> From<Field<'d>> for Scalar<'d> {
    fn from(field: Field<'d>) -> Self {
        match field {
            Field::Plain(scalar) => scalar,
            Field::Map(_) | Field::Absent => Scalar::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Depth::Top.deserialize(input)
    }
}

/// How deep a value lies: maps inside maps are stepped over, so that nesting cannot grow the stack.
#[derive(Debug, Clone, Copy)]
enum Depth {
    Top,
    Inside,
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Field<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Field<'de>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Field<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Plain(Scalar::Text(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field::Plain(Scalar::Number(number)))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Field<'de>, E> {
        Ok(Field::Plain(u64::try_from(number).map_or(Scalar::Other, Scalar::Number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field<'de>, E> {
        Ok(Field::Plain(u64::try_from(number).map_or(Scalar::Other, Scalar::Number)))
    }

    fn visit_str<E>(self, _: &str) -> Result<Field<'de>, E> {
        Ok(Field::Plain(Scalar::Other))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Plain(Scalar::Other))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<'de>, E> {
        Ok(Field::Plain(Scalar::Other))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Field<'de>, E> {
        Ok(Field::Plain(Scalar::Other))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Plain(Scalar::Other))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        let mut nested = Nested::default();
        while let Some(key) = map.next_key::<&str>()? {
            match (self, key) {
                (Depth::Top, "iso_code") => nested.iso_code = map.next_value_seed(Depth::Inside)?.into(),
                (Depth::Top, "autonomous_system_number") => {
                    nested.number = map.next_value_seed(Depth::Inside)?.into();
                }
                (Depth::Top, "autonomous_system_organization") => {
                    nested.organization = map.next_value_seed(Depth::Inside)?.into();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Field::Map(nested))
    }
}

/// The names of a record's fields: what an error tells of a file that has none of ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FieldNames(pub(super) BTreeSet<String>);

impl<'de> Deserialize<'de> for FieldNames {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<&str, IgnoredAny>::deserialize(input)?;
        Ok(Self(fields.into_keys().filter_map(printable).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::database::{Database, Wanted};
    use super::super::fixture::{Mmdb, Value};
    use super::super::survey::SurveyLimits;
    use super::*;

    fn open(file: &Mmdb, wanted: Wanted) -> Database {
        Database::parse(file.bytes(), wanted, SurveyLimits::BRIEF).unwrap()
    }

    #[test]
    fn an_organisation_cannot_write_on_the_terminal() {
        let hostile = "Evil\u{1b}[2J\r\n\u{202e}Corp\u{0}";
        assert_eq!(printable(hostile).unwrap(), "Evil [2J   Corp");
        assert_eq!(printable(" \t\n"), None);
        assert_eq!(printable(&"가".repeat(500)).unwrap().chars().count(), MAX_NAME_CHARS);
    }

    #[test]
    fn an_as_number_is_read_from_text_or_number() {
        let asn = |text| Scalar::Text(text).asn();
        assert_eq!(asn("AS15169"), Some(Asn(15169)));
        assert_eq!(asn("as15169"), Some(Asn(15169)));
        assert_eq!(asn("15169"), Some(Asn(15169)));
        assert_eq!(Scalar::Number(4_200_000_000).asn(), Some(Asn(4_200_000_000)));
        for nothing in ["", "AS", "AS0", "ASN15169", "SS1", "AS4294967296", "-1", "AS-1", "google"] {
            assert_eq!(asn(nothing), None, "{nothing:?}");
        }
        assert_eq!(Scalar::Number(1 << 40).asn(), None);
    }

    fn country_of(record: Value) -> Option<Country> {
        let file = Mmdb::new().with("1.2.3.0/24", record).with("9.9.9.0/24", Value::flat_country("FR"));
        open(&file, Wanted::Country).find("1.2.3.4".parse().unwrap()).record().country
    }

    fn network_of(record: Value) -> (Option<Asn>, Option<String>) {
        let file = Mmdb::new().with("1.2.3.0/24", record).with("9.9.9.0/24", Value::asn(1, "one"));
        let database = open(&file, Wanted::Asn);
        let record = database.find("1.2.3.4".parse().unwrap()).record();
        (record.asn, record.organization.map(str::to_owned))
    }

    const KR: Option<Country> = Some(Country::Code(*b"KR"));

    #[test]
    fn a_country_is_read_from_every_vendors_field() {
        let code = |name, value: &str| Value::map([(name, Value::text(value))]);
        let nested = |outer, value| Value::map([(outer, code("iso_code", value))]);
        assert_eq!(country_of(nested("country", "KR")), KR, "MaxMind, DB-IP");
        assert_eq!(country_of(nested("registered_country", "KR")), KR, "only the registered country");
        assert_eq!(country_of(code("country_code", "KR")), KR, "flat, IPinfo Lite");
        assert_eq!(country_of(code("country", "KR")), KR, "IPinfo standard");
        let lite = [("country", Value::text("South Korea")), ("country_code", Value::text("KR"))];
        assert_eq!(country_of(Value::map(lite)), KR, "a country's name is no code");
        let both = [("registered_country", code("iso_code", "US")), ("country", code("iso_code", "KR"))];
        assert_eq!(country_of(Value::map(both)), KR, "where it is used goes before where it is registered");
        assert_eq!(country_of(Value::city("KR", "Seoul")), KR, "a full city record");
    }

    #[test]
    fn an_odd_country_is_read_or_unknown_but_never_wrong() {
        let code = |value: Value| Value::map([("country_code", value)]);
        assert_eq!(country_of(code(Value::text("kr"))), KR);
        assert_eq!(country_of(code(Value::text(" KR "))), KR);
        for text in ["", "K", "KOR", "K1", "--", "ZZ", "가", "Korea"] {
            assert_eq!(country_of(code(Value::text(text))), None, "{text:?}");
        }
        let odd = [
            Value::Number(410),
            Value::Bool(true),
            Value::Double(4.1),
            Value::list([Value::text("KR")]),
            Value::map([("name", Value::text("KR"))]),
            Value::map([("iso_code", Value::map([("iso_code", Value::text("KR"))]))]),
        ];
        for value in odd {
            assert_eq!(country_of(code(value.clone())), None, "{value:?}");
            assert_eq!(country_of(Value::map([("country", value.clone())])), None, "{value:?}");
        }
        assert_eq!(country_of(Value::text("KR")), None, "a record that is no map");
    }

    #[test]
    fn a_network_is_read_from_every_vendors_field() {
        let google = (Some(Asn(15169)), Some("Google LLC".to_owned()));
        assert_eq!(network_of(Value::asn(15169, "Google LLC")), google, "MaxMind, DB-IP");
        for (asn, name) in [("AS15169", "as_name"), ("AS15169", "name"), ("15169", "as_name")] {
            let record = Value::map([("asn", Value::text(asn)), (name, Value::text("Google LLC"))]);
            assert_eq!(network_of(record), google, "{asn} {name}");
        }
        let number = Value::map([("asn", Value::Number(15169)), ("as_name", Value::text("Google LLC"))]);
        assert_eq!(network_of(number), google);
        let enterprise = Value::map([("traits", Value::asn(15169, "Google LLC"))]);
        assert_eq!(network_of(enterprise), google);
    }

    #[test]
    fn an_odd_network_is_nobody() {
        for asn in ["", "AS", "AS0", "Google"] {
            let record = Value::map([("asn", Value::text(asn)), ("as_name", Value::text("x"))]);
            assert_eq!(network_of(record), (None, None), "{asn:?}");
        }
        assert_eq!(network_of(Value::asn(7018, "")), (Some(Asn(7018)), None));
    }

    #[test]
    fn one_file_may_carry_both() {
        let lite = Value::map([
            ("as_name", Value::text("Korea Telecom")),
            ("asn", Value::text("AS4766")),
            ("country", Value::text("South Korea")),
            ("country_code", Value::text("KR")),
        ]);
        let file = Mmdb::new().with("168.126.0.0/16", lite);
        for wanted in [Wanted::Country, Wanted::Asn] {
            let database = open(&file, wanted);
            let record = database.find("168.126.63.1".parse().unwrap()).record();
            assert_eq!((record.country, record.asn), (KR, Some(Asn(4766))));
        }
    }
}
