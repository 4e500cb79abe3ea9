//! A list of fields, and what a document that follows it is: no field that the list does not have, each of its type, and
//! all that are demanded. Lists are facts of a schema in a line each: path, type, whether it must be there.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a value must be.
pub enum Is {
    /// Text.
    Text,
    /// Text, one of these.
    OneOf(&'static [&'static str]),
    /// A list of texts, each one of these.
    SomeOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A time in RFC 3339.
    Date,
    /// A whole number.
    Whole,
    /// A whole number, one of these.
    NumberOf(&'static [i64]),
    /// A whole number from and to.
    Within(i64, i64),
    /// True or false.
    Truth,
    /// An address.
    Ip,
    /// A list of addresses.
    Ips,
    /// Anything: the place for what the schema does not know.
    Own,
}

/// Whether a field must be there.
#[derive(PartialEq)]
pub enum Must {
    /// Always.
    Yes,
    /// Where there is something to say.
    No,
}

/// A field of a schema; `[]` behind a name says that it is a list of objects.
pub type Field = (&'static str, Is, Must);

/// What is wrong with a document.
pub fn wrong(document: &Value, list: &[Field]) -> Vec<String> {
    let mut leaves = Vec::new();
    flatten("", document, list, &mut leaves);
    let mut wrong: Vec<String> = leaves.iter().filter_map(|(path, value)| fault(path, value, list)).collect();
    let have: BTreeSet<&str> = leaves.iter().map(|(path, _)| path.as_str()).collect();
    let missing = list.iter().filter(|(path, _, must)| *must == Must::Yes && !have.contains(path));
    wrong.extend(missing.map(|(path, _, _)| format!("{path} is missing")));
    wrong
}

/// Paths and values down to where the list has a field.
fn flatten<'v>(path: &str, value: &'v Value, list: &[Field], out: &mut Vec<(String, &'v Value)>) {
    let listed = list.iter().any(|(known, _, _)| *known == path);
    match value {
        _ if listed => out.push((path.to_owned(), value)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, list, out);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| flatten(&format!("{path}[]"), item, list, out));
        }
        _ => out.push((path.to_owned(), value)),
    }
}

fn fault(path: &str, value: &Value, list: &[Field]) -> Option<String> {
    let Some((_, is, _)) = list.iter().find(|(known, _, _)| *known == path) else {
        return Some(format!("{path} is no field of the schema"));
    };
    (!fits(value, is)).then(|| format!("{path} is {value}"))
}

fn fits(value: &Value, is: &Is) -> bool {
    let text = value.as_str();
    let texts = || value.as_array().filter(|items| !items.is_empty() && items.iter().all(Value::is_string));
    match is {
        Is::Text => text.is_some_and(|text| !text.is_empty()),
        Is::OneOf(words) => text.is_some_and(|text| words.contains(&text)),
        Is::SomeOf(words) => {
            texts().is_some_and(|items| items.iter().all(|item| words.contains(&item.as_str().unwrap())))
        }
        Is::Texts => texts().is_some(),
        Is::Date => text.and_then(crate::time::Timestamp::parse_rfc3339).is_some(),
        Is::Whole => value.is_i64() || value.is_u64(),
        Is::NumberOf(numbers) => value.as_i64().is_some_and(|number| numbers.contains(&number)),
        Is::Within(from, to) => value.as_i64().is_some_and(|number| (*from..=*to).contains(&number)),
        Is::Truth => value.is_boolean(),
        Is::Ip => text.is_some_and(is_address),
        Is::Ips => texts().is_some_and(|items| items.iter().all(|item| is_address(item.as_str().unwrap()))),
        Is::Own => value.is_object(),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

#[test]
fn what_does_not_follow_the_list_is_found() {
    let list = [("a.b", Is::Whole, Must::Yes), ("c[].d", Is::OneOf(&["x"]), Must::No)];
    let wrong = |document: Value| wrong(&document, &list);
    assert!(wrong(serde_json::json!({"a": {"b": 1}, "c": [{"d": "x"}]})).is_empty());
    assert_eq!(wrong(serde_json::json!({"a": {"b": "1"}})), [r#"a.b is "1""#]);
    assert_eq!(wrong(serde_json::json!({"c": [{"d": "y"}]})), [r#"c[].d is "y""#, "a.b is missing"]);
    assert_eq!(wrong(serde_json::json!({"a": {"b": 1}, "e": null})), ["e is no field of the schema"]);
}
