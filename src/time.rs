//! Capture time: points ([`Timestamp`]), lengths ([`Span`]), whole seconds ([`TickId`]) and how they are printed.
//! Nothing here reads a clock; time comes in with the packets.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::tz::TimeZone;

/// A point in capture time: nanoseconds since 1970-01-01T00:00:00Z, saturating at the ends of `i64` (1677 to 2262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A length of time in nanoseconds, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

const NANOS_PER_SEC: i64 = 1_000_000_000;

impl Timestamp {
    /// Makes a point from whole seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Makes a point from nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Makes a point from whole seconds and a fraction in nanoseconds; a fraction over a second carries.
    pub const fn from_parts(secs: i64, nanos: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SEC)
    }

    /// The time that passed since `earlier`; zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        let nanos = self.0.saturating_sub(earlier.0);
        Span(if nanos < 0 { 0 } else { nanos as u64 })
    }

    /// RFC 3339 with microseconds and an explicit offset, in `zone`.
    pub fn rfc3339(self, zone: &Zone) -> String {
        let micros = self.0.div_euclid(1_000);
        if zone.0 == TimeZone::UTC {
            return utc(micros);
        }
        let stamp = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        stamp.to_zoned(zone.0.clone()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
    }

    /// Reads RFC 3339; `None` where the text is not that.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(stamp.as_nanosecond()).ok().map(Self)
    }
}

/// Microseconds since the epoch in UTC, without the way through a zone: a record of a flow has three of them. The date
/// is that of the proleptic Gregorian calendar, counted in eras of 400 years from 1 March of year 0
/// (<https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`).
fn utc(micros: i64) -> String {
    let (days, of_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let from_march = days + 719_468;
    let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000000+00:00";
    let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fields =
        [(0, 4, year), (5, 2, month), (8, 2, day), (11, 2, hours), (14, 2, minutes), (17, 2, seconds)];
    for (at, width, number) in fields.into_iter().chain([(20, 6, micros)]) {
        let mut rest = number;
        for digit in text.iter_mut().skip(at).take(width).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(span.0))
    }
}

impl Span {
    /// Makes a span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Makes a span of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Makes a span of microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// Makes a span of nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Seconds with their fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.secs();
        match (secs, secs % 3600, secs % 60) {
            (0, _, _) if self.0 > 0 => write!(out, "{}ms", self.0 / 1_000_000),
            (s, 0, _) if s > 0 => write!(out, "{}h", s / 3600),
            (s, _, 0) if s > 0 => write!(out, "{}m", s / 60),
            (s, _, _) => write!(out, "{s}s"),
        }
    }
}

/// One second of capture time, the unit in which tallies close. Ordered by epoch first: the clock stepping back
/// begins a new epoch, so ticks never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TickId {
    /// How many times the capture's clock was believed to step back.
    pub epoch: u32,
    /// Seconds since 1970-01-01T00:00:00Z at which the tick begins.
    pub second: i64,
}

impl TickId {
    /// The tick of `epoch` that holds `time`.
    pub const fn holding(epoch: u32, time: Timestamp) -> Self {
        Self { epoch, second: time.secs() }
    }

    /// The point at which the tick begins.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_secs(self.second)
    }

    /// The point at which the tick ends and the next begins.
    pub const fn end(self) -> Timestamp {
        Timestamp::from_secs(self.second.saturating_add(1))
    }

    /// The tick `ticks` later in the same epoch; a negative count goes back.
    pub const fn plus(self, ticks: i64) -> Self {
        Self { epoch: self.epoch, second: self.second.saturating_add(ticks) }
    }
}

/// The time zone that outputs are written in.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time, written `+00:00`.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Finds a zone by its name in the time zone database (`Asia/Seoul`); `None` where there is none of that name.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Self::utc());
        }
        TimeZone::get(name).ok().map(Self)
    }

    /// Its name in the time zone database.
    pub fn name(&self) -> String {
        self.0.iana_name().unwrap_or("UTC").to_owned()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_microseconds_and_an_offset() {
        let time = Timestamp::from_parts(1_700_698_780, 123_456_789);
        assert_eq!(time.rfc3339(&Zone::utc()), "2023-11-23T00:19:40.123456+00:00");
        let seoul = Zone::named("Asia/Seoul").unwrap();
        assert_eq!(time.rfc3339(&seoul), "2023-11-23T09:19:40.123456+09:00");
        assert_eq!(Timestamp::parse_rfc3339("2023-11-23T09:19:40.123456789+09:00"), Some(time));
    }

    #[test]
    fn utc_is_written_as_any_zone_is() {
        let london = Zone::named("Africa/Abidjan").unwrap();
        for secs in (-9_000_000_000..9_000_000_000).step_by(86_399 * 13) {
            let time = Timestamp::from_parts(secs, 7_654_321);
            assert_eq!(time.rfc3339(&Zone::utc()), {
                let stamp = jiff::Timestamp::from_microsecond(time.nanos().div_euclid(1_000)).unwrap();
                stamp.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
            });
        }
        let summer = Timestamp::from_secs(1_700_000_000);
        assert_eq!(summer.rfc3339(&london), summer.rfc3339(&Zone::utc()));
    }

    #[test]
    fn before_the_epoch_a_tick_still_holds_its_time() {
        let time = Timestamp::from_parts(-2, 500_000_000);
        let tick = TickId::holding(0, time);
        assert_eq!(tick.second, -2);
        assert!(tick.start() <= time && time < tick.end());
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_nanos(i64::MAX);
        assert_eq!(end + Span::from_secs(u64::MAX), end);
        assert_eq!(Timestamp::from_secs(5).since(Timestamp::from_secs(9)), Span::default());
    }
}
