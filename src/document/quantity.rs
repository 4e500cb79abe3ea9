//! Quantities with their units: `10s`, `20/s`, `30%`, `10k`, `64KiB`. Comes in: a text. Goes out: a number in one unit,
//! finite and never negative. A number without its unit is refused with the unit it probably lacks.

use super::Scalar;
use crate::time::Span;

/// So many a second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

/// A part of a whole, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// A whole number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// How many times as much.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Factor(pub f64);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// No quantity of ours comes near; up to here every whole number is exact in an `f64`.
const MAX_NUMBER: f64 = 9e15;

/// The longest duration: a hundred years in seconds, far from the end of [`Span`].
const MAX_SECONDS: f64 = 100.0 * 366.0 * 86_400.0;

/// A number without sign or exponent, and the unit behind it.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    if !digits.starts_with(|letter: char| letter.is_ascii_digit()) || digits.ends_with('.') {
        return None;
    }
    let number: f64 = digits.parse().ok()?;
    (number <= MAX_NUMBER).then_some((number, unit.trim_start()))
}

/// A number behind which nothing stands.
fn bare_number(text: &str) -> Option<f64> {
    number_and_unit(text).filter(|(_, unit)| unit.is_empty()).map(|(number, _)| number)
}

/// A number with a decimal multiplier: `200`, `10k`, `1.5M`; and what follows it.
fn multiplied(text: &str) -> Option<(f64, &str)> {
    let (number, unit) = number_and_unit(text)?;
    let (factor, rest) = match unit.chars().next() {
        Some('k' | 'K') => (1e3, unit.get(1..)?),
        Some('M') => (1e6, unit.get(1..)?),
        Some('G') => (1e9, unit.get(1..)?),
        _ => (1.0, unit),
    };
    Some((number * factor, rest)).filter(|(number, _)| *number <= MAX_NUMBER)
}

/// A whole number as `u64`; `None` for a fraction.
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=MAX_NUMBER).contains(&number)).then_some(number as u64)
}

impl Scalar for Span {
    fn expected() -> String {
        "a duration such as 500ms, 10s or 5m".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let seconds = match unit {
            "ms" => number / 1e3,
            "s" => number,
            "m" | "min" => number * 60.0,
            "h" => number * 3_600.0,
            "d" => number * 86_400.0,
            "" if number == 0.0 => 0.0,
            _ => return None,
        };
        (seconds <= MAX_SECONDS).then(|| Span::from_nanos((seconds * 1e9).round() as u64))
    }

    fn meant(text: &str) -> Option<String> {
        bare_number(text).map(|number| format!("{number}s"))
    }
}

impl Scalar for Rate {
    fn expected() -> String {
        "a rate such as 20/s".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = multiplied(text)?;
        match unit {
            "/s" => Some(Self(number)),
            "/m" | "/min" => Some(Self(number / 60.0)),
            "/h" => Some(Self(number / 3_600.0)),
            _ => None,
        }
    }

    fn meant(text: &str) -> Option<String> {
        let (_, unit) = multiplied(text)?;
        match unit {
            "" => Some(format!("{}/s", text.trim())),
            "/sec" | "/second" | "ps" | "rps" | "pps" | "s" => {
                Some(format!("{}/s", text.trim().strip_suffix(unit)?.trim_end()))
            }
            _ => None,
        }
    }
}

impl Scalar for Share {
    fn expected() -> String {
        "a share such as 30% or 0.3".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let share = match number_and_unit(text)? {
            (number, "%") => number / 100.0,
            (number, "") => number,
            _ => return None,
        };
        (share <= 1.0).then_some(Self(share))
    }

    fn meant(text: &str) -> Option<String> {
        bare_number(text).filter(|number| *number <= 100.0).map(|number| format!("{number}%"))
    }
}

impl Scalar for Count {
    fn expected() -> String {
        "a count such as 200 or 10k".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = multiplied(text)?;
        if unit.is_empty() { whole(number).map(Self) } else { None }
    }

    fn meant(text: &str) -> Option<String> {
        let (number, unit) = multiplied(text)?;
        let plain = text.trim().strip_suffix(unit)?.trim_end();
        (!unit.is_empty() && whole(number).is_some()).then(|| plain.to_owned())
    }
}

impl Scalar for Factor {
    fn expected() -> String {
        "a factor such as 5 or 2.5".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        bare_number(text).map(Self)
    }

    fn meant(text: &str) -> Option<String> {
        let (number, unit) = number_and_unit(text)?;
        matches!(unit, "x" | "X" | "×").then(|| number.to_string())
    }
}

impl Scalar for Bytes {
    fn expected() -> String {
        "a size such as 64KiB or 1MB".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let factor = match unit {
            "B" => 1.0,
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "KiB" => 1_024.0,
            "MiB" => 1_048_576.0,
            "GiB" => 1_073_741_824.0,
            _ => return None,
        };
        whole(number * factor).map(Self)
    }

    fn meant(text: &str) -> Option<String> {
        let (number, unit) = number_and_unit(text)?;
        match unit {
            "" => Some(format!("{number}B")),
            "k" | "K" | "M" | "G" => Some(format!("{number}{unit}B")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        assert_eq!(Span::parse("500ms"), Some(Span::from_millis(500)));
        assert_eq!(Span::parse("1.5s"), Some(Span::from_millis(1_500)));
        assert_eq!(Span::parse("5m"), Some(Span::from_secs(300)));
        assert_eq!(Span::parse("7d"), Some(Span::from_secs(604_800)));
        assert_eq!(Span::parse("0"), Some(Span::default()));
        assert_eq!(Span::meant("10").as_deref(), Some("10s"));
        assert_eq!(Span::parse("10/s"), None);
    }

    #[test]
    fn rates() {
        assert_eq!(Rate::parse("20/s"), Some(Rate(20.0)));
        assert_eq!(Rate::parse("1.5k/s"), Some(Rate(1_500.0)));
        assert_eq!(Rate::parse("600/min"), Some(Rate(10.0)));
        assert_eq!(Rate::parse("20s"), None);
        assert_eq!(Rate::meant("20s").as_deref(), Some("20/s"));
        assert_eq!(Rate::meant("1.5k").as_deref(), Some("1.5k/s"));
    }

    #[test]
    fn shares() {
        assert_eq!(Share::parse("30%"), Some(Share(0.3)));
        assert_eq!(Share::parse("0.3"), Some(Share(0.3)));
        assert_eq!(Share::parse("100 %"), Some(Share(1.0)));
        assert_eq!(Share::parse("130%"), None);
        assert_eq!(Share::parse("30"), None);
        assert_eq!(Share::meant("30").as_deref(), Some("30%"));
    }

    #[test]
    fn counts_factors_and_bytes() {
        assert_eq!(Count::parse("10k"), Some(Count(10_000)));
        assert_eq!(Count::parse("1.5"), None);
        assert_eq!(Count::meant("20/s").as_deref(), Some("20"));
        assert_eq!(Factor::parse("2.5"), Some(Factor(2.5)));
        assert_eq!(Factor::meant("5x").as_deref(), Some("5"));
        assert_eq!(Bytes::parse("64KiB"), Some(Bytes(65_536)));
        assert_eq!(Bytes::parse("1MB"), Some(Bytes(1_000_000)));
        assert_eq!(Bytes::meant("64").as_deref(), Some("64B"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "nan", "inf", "-5", "+5", "1e3", ".5", "5.", "1.2.3", "٣", "9".repeat(400).as_str()]
        {
            assert_eq!(Factor::parse(text), None, "{text}");
            assert_eq!(Share::parse(&format!("{text}%")), None, "{text}");
            assert_eq!(Span::parse(&format!("{text}s")), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_finite_quantity_or_none(text in "[0-9.]{0,20}[ a-zA-Z/%é]{0,4}") {
            let numbers = [
                Rate::parse(&text).map(|rate| rate.0),
                Share::parse(&text).map(|share| share.0),
                Factor::parse(&text).map(|factor| factor.0),
                Span::parse(&text).map(Span::as_secs_f64),
            ];
            prop_assert!(numbers.iter().flatten().all(|number| number.is_finite() && *number >= 0.0));
            let _ = (Count::parse(&text), Bytes::parse(&text), Rate::meant(&text), Count::meant(&text));
        }
    }
}
