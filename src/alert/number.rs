//! Numbers as they are told: rounded so that bytes are stable, and as people write them.

use crate::time::Span;

/// A rate with one decimal.
pub(super) fn rate(rate: f64) -> f64 {
    fixed(rate, 10.0)
}

/// A share with four decimals: a hundredth of a percent.
pub(super) fn share(share: f64) -> f64 {
    fixed(share, 10_000.0)
}

/// What is no number is told as zero; so is zero below zero.
fn fixed(number: f64, scale: f64) -> f64 {
    let rounded = (number * scale).round() / scale;
    if rounded.is_finite() { rounded + 0.0 } else { 0.0 }
}

/// A share as a percentage: `75 %`, `0.1 %`, `99.9 %`, `under 0.1 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p.is_nan() || p <= 0.0 => "0 %".to_owned(),
        p if p < 0.05 => "under 0.1 %".to_owned(),
        p if p < 9.95 || (p > 99.0 && p < 99.95) => format!("{} %", trimmed(p)),
        p => format!("{} %", p.round()),
    }
}

/// A quantity: whole and in groups of three from ten on (`2,362`), with one decimal below (`4.5`).
pub(super) fn quantity(number: f64) -> String {
    if !number.is_finite() || number < 0.0 {
        return "0".to_owned();
    }
    if number < 9.95 {
        return trimmed(number);
    }
    let digits = format!("{}", number.round());
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// One decimal, none where it is zero.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A length of time in its two or three largest units: `1 h 1 min 20 s`, `40 s`.
pub(super) fn duration(span: Span) -> String {
    let secs = span.secs();
    let parts = [(secs / 86_400, "d"), (secs / 3_600 % 24, "h"), (secs / 60 % 60, "min"), (secs % 60, "s")];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    match told.as_slice() {
        [] if span.nanos() > 0 => "under 1 s".to_owned(),
        [] => "0 s".to_owned(),
        told => told.get(..3).unwrap_or(told).join(" "),
    }
}

/// `one` for 1, `many` else.
pub(super) fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

/// Whether a count is 0: such are left out.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_nought(count: &u64) -> bool {
    *count == 0
}

/// Whether a step is none: such are left out.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_none(step: &u8) -> bool {
    *step == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_for_records() {
        assert_eq!((rate(1650.04), share(0.123_45), rate(-0.01)), (1650.0, 0.1235, 0.0));
        assert!(rate(-0.01).is_sign_positive());
        assert_eq!((rate(f64::NAN), share(f64::INFINITY)), (0.0, 0.0));
    }

    #[test]
    fn written_for_people() {
        let percents: Vec<String> =
            [0.0, 0.0001, 0.001, 0.02, 0.0996, 0.75, 0.999, 1.0].into_iter().map(percent).collect();
        assert_eq!(percents, ["0 %", "under 0.1 %", "0.1 %", "2 %", "10 %", "75 %", "99.9 %", "100 %"]);
        let quantities: Vec<String> =
            [0.0, 4.5, 9.96, 999.6, 2362.2, 1e6].into_iter().map(quantity).collect();
        assert_eq!(quantities, ["0", "4.5", "10", "1,000", "2,362", "1,000,000"]);
        assert_eq!(duration(Span::from_secs(3_680)), "1 h 1 min 20 s");
        assert_eq!(duration(Span::from_secs(90_061)), "1 d 1 h 1 min");
        assert_eq!(duration(Span::from_millis(3)), "under 1 s");
    }
}
