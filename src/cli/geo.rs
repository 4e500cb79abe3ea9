//! `bongsu geo IP...`: what the databases and the operator say of addresses.
//! Comes in: addresses as text, the databases, the time. Goes out: a table, and how old its sources are.

use std::io::Write;
use std::net::IpAddr;

use anyhow::{Context, Result};
use jiff::tz::TimeZone;

use crate::attribute::{Attributor, DatabaseFact, Description, describe};

const HEADINGS: [&str; 6] = ["address", "country", "AS", "prefix", "label", "organisation"];
const SECONDS_PER_DAY: i64 = 86_400;

/// Prints a row for each of `addresses` and the age of the databases at `now_secs` (Unix seconds).
///
/// Fails on text that is no address, before anything is printed, and where `out` cannot be written.
pub fn run(addresses: &[String], attributor: &Attributor, now_secs: i64, out: &mut dyn Write) -> Result<()> {
    let parsed = addresses.iter().map(|text| parse(text)).collect::<Result<Vec<_>>>()?;
    let rows = parsed.into_iter().map(|address| row(&describe(attributor, address)));
    let table: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    write_table(&table, out)?;
    writeln!(out)?;
    let about = attributor.about();
    writeln!(out, "country: {}", source(&about.country, now_secs))?;
    writeln!(out, "AS:      {}", source(&about.asn, now_secs))?;
    Ok(())
}

fn parse(text: &str) -> Result<IpAddr> {
    text.trim_matches(['[', ']'])
        .parse()
        .with_context(|| format!("{text:?} is no address (expected one like 168.126.63.1 or 2001:e60::1)"))
}

fn row(found: &Description<'_>) -> [String; 6] {
    let nothing = || "-".to_owned();
    [
        found.address.to_string(),
        found.attribution.country.to_string(),
        found.attribution.asn.map_or_else(nothing, |asn| asn.to_string()),
        found.attribution.prefix.to_string(),
        found.label.map_or_else(nothing, |label| format!("{} ({})", label.name, label.role)),
        found.organization.clone().unwrap_or_else(nothing),
    ]
}

/// Columns as wide as their widest cell, two spaces apart, nothing after the last.
fn write_table(table: &[[String; 6]], out: &mut dyn Write) -> Result<()> {
    let mut widths = [0; HEADINGS.len()];
    for cells in table {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    for cells in table {
        let padded = widths.iter().zip(cells).map(|(width, cell)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// `name, built 2026-06-01, 173 days old`.
fn source(fact: &DatabaseFact, now_secs: i64) -> String {
    let built = jiff::Timestamp::from_second(fact.build_epoch).map_or_else(
        |_| "at an impossible date".to_owned(),
        |built| built.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string(),
    );
    let age = match now_secs.saturating_sub(fact.build_epoch).div_euclid(SECONDS_PER_DAY) {
        1 => "1 day old".to_owned(),
        days @ 0.. => format!("{days} days old"),
        _ => "later than this machine's clock".to_owned(),
    };
    format!("{}, built {built}, {age}", fact.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{Label, Labels, Role};

    fn printed(addresses: &[&str], now_secs: i64) -> Result<String> {
        let prefixes = vec!["8.8.8.0/24".parse().unwrap()];
        let labels =
            Labels::new(vec![Label { name: "resolver".into(), role: Role::Partner, prefixes }]).unwrap();
        let attributor = Attributor::embedded(labels).unwrap();
        let mut out = Vec::new();
        let addresses: Vec<_> = addresses.iter().map(|text| (*text).to_owned()).collect();
        run(&addresses, &attributor, now_secs, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    const NOVEMBER_2026: i64 = 1_795_305_600;

    #[test]
    fn what_is_known_is_printed_as_a_table() {
        let text = printed(&["168.126.63.1", "2001:e60::1", "192.168.1.1", "::ffff:8.8.8.8"], NOVEMBER_2026)
            .unwrap();
        println!("{text}");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["address", "country", "AS", "prefix", "label", "organisation"]);
        assert_eq!(rows[1][..4], ["168.126.63.1", "KR", "AS4766", "168.126.63.0/24"]);
        assert_eq!(rows[2][..2], ["2001:e60::1", "KR"]);
        assert_eq!(rows[3], ["192.168.1.1", "private", "-", "192.168.1.0/24", "-", "-"]);
        assert_eq!(rows[4][..6], ["8.8.8.8", "US", "AS15169", "8.8.8.0/24", "resolver", "(partner)"]);
        assert!(text.contains("country: DB-IP Country Lite, built 2026-06-01, 173 days old\n"), "{text}");
    }

    #[test]
    fn a_clock_that_is_behind_is_said() {
        assert!(printed(&["8.8.8.8"], 0).unwrap().contains("later than this machine's clock"));
    }

    #[test]
    fn text_that_is_no_address_is_named_and_nothing_is_printed() {
        let error = printed(&["8.8.8.8", "8.8.8.256"], 0).unwrap_err();
        assert!(error.to_string().starts_with("\"8.8.8.256\" is no address"), "{error}");
    }
}
