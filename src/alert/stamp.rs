//! Capture times as text, for records that have three of them each. Comes in: times. Goes out: RFC 3339 with
//! microseconds. The seconds that were written last are remembered: in most records only the microseconds differ.

use crate::time::{Timestamp, Zone};

/// Writes times in one zone.
#[derive(Debug, Clone)]
pub(super) struct Stamps {
    zone: Zone,
    /// By the last digits of the second.
    known: [Option<(i64, [u8; LEN])>; REMEMBERED],
}

/// Seconds that are remembered: most flows begin and end within this time.
const REMEMBERED: usize = 16;

/// The length of `2026-01-02T03:04:05.000000+09:00`: capture time knows years of four digits only.
const LEN: usize = 32;

/// Where the microseconds stand.
const FRACTION: std::ops::Range<usize> = 20..26;

impl Stamps {
    /// Times in `zone`.
    pub fn new(zone: Zone) -> Self {
        Self { zone, known: Default::default() }
    }

    /// Writes a time behind what `out` holds; the same as [`Timestamp::rfc3339`].
    pub fn push(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let second = time.secs();
        let place = second.rem_euclid(REMEMBERED as i64) as usize;
        let Some(known) = self.known.get_mut(place) else { return };
        let mut text = match known {
            Some((have, text)) if *have == second => *text,
            _ => {
                let whole = time.rfc3339(&self.zone);
                let Ok(text) = whole.as_bytes().try_into() else {
                    return out.extend_from_slice(whole.as_bytes());
                };
                known.insert((second, text)).1
            }
        };
        let micros = (time.nanos().rem_euclid(1_000_000_000) / 1_000) as u32;
        if let Some(fraction) = text.get_mut(FRACTION) {
            fraction.copy_from_slice(&six_digits(micros));
        }
        out.extend_from_slice(&text);
    }
}

fn six_digits(number: u32) -> [u8; 6] {
    let (high, low) = (number / 1_000, number % 1_000);
    [high / 100, high / 10 % 10, high % 10, low / 100, low / 10 % 10, low % 10]
        .map(|digit| b'0' + digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_do_elsewhere() {
        for zone in ["UTC", "Asia/Seoul", "America/St_Johns"] {
            let zone = Zone::named(zone).unwrap();
            let mut stamps = Stamps::new(zone.clone());
            for nanos in
                [0, 999, 1_700_698_780_123_456_789, 1_700_698_780_000_001_000, -1, i64::MIN, i64::MAX]
            {
                let time = Timestamp::from_nanos(nanos);
                let mut text = Vec::new();
                stamps.push(&mut text, time);
                assert_eq!(String::from_utf8(text).unwrap(), time.rfc3339(&zone));
            }
        }
    }
}
