//! Values that are one word and no quantity: text, truth, whole numbers, times, ports, addresses and prefixes.
//! Comes in: a text. Goes out: the value, or what was expected.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::Scalar;
use crate::time::Timestamp;

/// A port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u16);

/// A number with or without a sign, finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Number(pub f64);

/// The longest text of a value, in bytes: a description of a page or so.
pub const MAX_TEXT: usize = 8 << 10;

impl Scalar for String {
    fn expected() -> String {
        format!("text of at most {} KiB", MAX_TEXT >> 10)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end();
        (!text.is_empty() && text.len() <= MAX_TEXT).then(|| text.to_owned())
    }
}

impl Scalar for Number {
    fn expected() -> String {
        "a number such as 1.5 or -2".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+');
        text.chars()
            .all(plain)
            .then(|| text.parse().ok())
            .flatten()
            .filter(|number: &f64| number.is_finite())
            .map(Self)
    }
}

impl Scalar for PathBuf {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX_TEXT && !text.contains('\0')).then(|| text.into())
    }
}

impl Scalar for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    fn meant(text: &str) -> Option<String> {
        match text.to_lowercase().as_str() {
            "yes" | "on" | "y" | "1" | "true" => Some("true".to_owned()),
            "no" | "off" | "n" | "0" | "false" => Some("false".to_owned()),
            other => super::nearest(other, ["true", "false"]).map(str::to_owned),
        }
    }
}

impl Scalar for u32 {
    fn expected() -> String {
        "a whole number".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text)?.parse().ok()
    }
}

impl Scalar for u16 {
    fn expected() -> String {
        "a whole number from 0 to 65535".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text)?.parse().ok()
    }
}

/// The text where it is digits alone: Rust would take a sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

impl Scalar for Port {
    fn expected() -> String {
        "a port from 1 to 65535".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text)?.parse().ok().filter(|port| *port != 0).map(Self)
    }
}

impl Scalar for Timestamp {
    fn expected() -> String {
        "a time such as 2023-11-22T02:00:00+09:00".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Timestamp::parse_rfc3339(text)
    }
}

impl Scalar for IpNet {
    fn expected() -> String {
        "an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32".to_owned()
    }

    /// Reads an address or a prefix, IPv6 with or without brackets; bits behind the prefix are cleared.
    fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare.contains('/') {
            true => bare.parse::<IpNet>().ok().map(|net| net.trunc()),
            false => bare.parse::<IpAddr>().ok().map(IpNet::from),
        }
    }

    /// A dotted mask is understood, so that the prefix can be offered.
    fn meant(text: &str) -> Option<String> {
        let (address, mask) = text.split_once('/')?;
        let length = ipnet::ip_mask_to_prefix(mask.parse().ok()?).ok()?;
        let net = IpNet::new(address.parse().ok()?, length).ok()?;
        Some(net.trunc().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes() {
        assert_eq!(IpNet::parse("192.0.2.77/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(IpNet::parse("[2001:db8::1]").unwrap().to_string(), "2001:db8::1/128");
        assert_eq!(IpNet::parse("192.0.2.0/33"), None);
        assert_eq!(IpNet::meant("192.0.2.0/255.255.255.0").as_deref(), Some("192.0.2.0/24"));
    }

    #[test]
    fn whole_numbers_and_ports_take_no_sign_and_no_fraction() {
        assert_eq!((u32::parse("+5"), u32::parse("1.0"), u32::parse("")), (None, None, None));
        assert_eq!(
            (Port::parse("443"), Port::parse("0"), Port::parse("65536")),
            (Some(Port(443)), None, None)
        );
    }

    #[test]
    fn truth_has_two_words() {
        assert_eq!(bool::parse("yes"), None);
        assert_eq!(bool::meant("yes").as_deref(), Some("true"));
        assert_eq!(bool::meant("flase").as_deref(), Some("false"));
    }

    #[test]
    fn a_time_needs_its_offset() {
        assert!(Timestamp::parse("2023-11-22T02:00:00+09:00").is_some());
        assert_eq!(Timestamp::parse("2023-11-22T02:00:00"), None);
    }
}
