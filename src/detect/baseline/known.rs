//! Who has been here: the prefixes and networks of clients that were answered, since when, on how many days and in which
//! hours of the day. Comes in: answered clients of a second. Goes out: whether one is known. The keys with the lowest hashes
//! stay (see `aggregate`), so that two of these add up to what one of both would be.

use std::collections::BTreeMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Clients that were answered.
#[derive(Debug, Clone)]
pub(super) struct Known<K> {
    rows: HashMap<K, Acquaintance, RandomState>,
    /// Keys with a higher hash are not kept any more.
    limit: u64,
    cap: usize,
}

/// Since when and how often a client was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquaintance {
    /// The first second.
    pub first: i64,
    /// The last second.
    pub last: i64,
    /// The days on which it was answered: bit n is the n-th day before that of `last`, of the last 64.
    pub days: u64,
    /// The hours of the day, in UTC, in which it was answered.
    pub hours: u32,
    /// Its country when it came first: two letters, or 0 where it has none.
    pub country: [u8; 2],
    /// How often it asked, of all the time.
    #[serde(default)]
    pub accesses: u64,
}

/// What is known of an answered client.
pub(super) trait Client: Copy + Eq + Ord + Hash + std::fmt::Display + std::str::FromStr {
    /// A hash that is the same in every process.
    fn place(&self) -> u64;

    /// Whether it is in the one form that is kept.
    fn is_plain(&self) -> bool;
}

const DAY: i64 = 86_400;

/// Who was not answered for four weeks is a stranger again.
const FORGOTTEN_AFTER: i64 = 28 * DAY;

impl<K: Client> Known<K> {
    /// Nobody yet, and room for so many.
    pub fn new(cap: usize) -> Self {
        Self { rows: HashMap::default(), limit: u64::MAX, cap }
    }

    /// What is known of a client.
    pub fn get(&self, client: &K) -> Option<&Acquaintance> {
        self.rows.get(client)
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Notes a client that asks so often again; answers whether it was known.
    pub fn meet_again(&mut self, client: &K, second: i64, accesses: u64) -> bool {
        self.rows.get_mut(client).map(|row| row.meet(second, accesses)).is_some()
    }

    /// The clients in no order.
    pub fn rows(&self) -> impl Iterator<Item = (&K, &Acquaintance)> {
        self.rows.iter()
    }

    /// Notes a client.
    pub fn meet(&mut self, client: K, met: Acquaintance) {
        if client.place() > self.limit {
            return;
        }
        self.rows.entry(client).and_modify(|row| row.merge(&met)).or_insert(met);
        // An eighth more than there is room for, so that not each newcomer costs a look at all.
        if self.rows.len() > self.cap + self.cap / 8 {
            self.shrink();
        }
    }

    /// Forgets who came first at `second` or later: an incident's clients are no acquaintances.
    pub fn forget_since(&mut self, second: i64) {
        self.rows.retain(|_, row| row.first < second);
    }

    /// Forgets who came first from `from` to before `to`.
    pub fn forget_between(&mut self, from: i64, to: i64) {
        self.rows.retain(|_, row| row.first < from || row.first >= to);
    }

    /// Forgets who was not there for weeks; there is room for others again.
    pub fn forget_old(&mut self, second: i64) {
        self.rows.retain(|_, row| second - row.last < FORGOTTEN_AFTER);
        self.limit = u64::MAX;
    }

    /// Takes out who came first before `second`.
    pub fn take_before(&mut self, second: i64) -> Vec<(K, Acquaintance)> {
        self.rows.extract_if(|_, row| row.first < second).collect()
    }

    /// Adds who is known elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (client, row) in &other.rows {
            self.meet(*client, *row);
        }
        self.shrink();
    }

    /// The clients, sorted.
    pub fn sorted(&self) -> BTreeMap<K, Acquaintance> {
        let mut own = self.clone();
        own.shrink();
        own.rows.into_iter().collect()
    }

    /// Whether there is as much as there may be, and nothing impossible in it.
    pub fn is_sound(&self) -> bool {
        self.rows.len() <= self.cap
            && self.rows.iter().all(|(client, row)| client.is_plain() && row.is_sound())
    }

    fn shrink(&mut self) {
        if self.rows.len() <= self.cap {
            return;
        }
        let mut places: Vec<(u64, K)> = self.rows.keys().map(|client| (client.place(), *client)).collect();
        places.sort_unstable();
        if let Some((place, _)) = places.get(self.cap) {
            self.limit = place.saturating_sub(1);
        }
        for (_, client) in places.iter().skip(self.cap) {
            self.rows.remove(client);
        }
    }

    /// With room for so many: what is read from a file does not say it.
    pub fn with_cap(mut self, cap: usize) -> Self {
        self.cap = cap;
        self
    }
}

impl<K: Client> PartialEq for Known<K> {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

/// No client asks more often.
const MOST_ACCESSES: u64 = 1 << 53;

impl Acquaintance {
    /// Met for the first time, when it asked so often.
    pub fn first_met(second: i64, country: [u8; 2], accesses: u64) -> Self {
        let mut met = Self { first: second, last: second, days: 1, hours: 0, country, accesses: 0 };
        met.meet(second, accesses);
        met
    }

    /// On how many of the last 64 days it was answered.
    pub fn distinct_days(&self) -> u32 {
        self.days.count_ones()
    }

    /// In how many hours of the day it was answered.
    pub fn distinct_hours(&self) -> u32 {
        self.hours.count_ones()
    }

    fn meet(&mut self, second: i64, accesses: u64) {
        self.accesses = self.accesses.saturating_add(accesses);
        self.age_to(second.max(self.last));
        let back = self.last.div_euclid(DAY) - second.div_euclid(DAY);
        self.days |= u32::try_from(back).ok().and_then(|back| 1_u64.checked_shl(back)).unwrap_or(0);
        self.first = self.first.min(second);
        self.hours |= 1 << (second.rem_euclid(DAY) / 3_600);
    }

    fn merge(&mut self, other: &Self) {
        let mut other = *other;
        let last = self.last.max(other.last);
        self.age_to(last);
        other.age_to(last);
        self.country = if other.first < self.first { other.country } else { self.country };
        self.first = self.first.min(other.first);
        self.days |= other.days;
        self.hours |= other.hours;
        self.accesses = self.accesses.saturating_add(other.accesses);
    }

    fn age_to(&mut self, second: i64) {
        let passed = second.div_euclid(DAY) - self.last.div_euclid(DAY);
        self.days = u32::try_from(passed).ok().and_then(|passed| self.days.checked_shl(passed)).unwrap_or(0);
        self.last = second;
    }

    fn is_sound(&self) -> bool {
        let country = self.country == [0; 2] || self.country.iter().all(u8::is_ascii_uppercase);
        country
            && super::is_time(self.first)
            && super::is_time(self.last)
            && self.first <= self.last
            && self.hours < 1 << 24
            && self.accesses < MOST_ACCESSES
    }
}

/// The finishing steps of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
/// 2014): what stays where there is no room must be the same in every process.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The length of the prefixes that are kept.
const V4_BITS: u8 = 24;
const V6_BITS: u8 = 48;

/// The /24 or /48 that holds a client; of a wider prefix, its first.
pub(super) fn prefix_of(client: IpNet) -> IpNet {
    let bits = if client.addr().is_ipv4() { V4_BITS } else { V6_BITS };
    IpNet::new(client.addr(), bits).map_or(client, |prefix| prefix.trunc())
}

impl Client for IpNet {
    fn place(&self) -> u64 {
        match self {
            IpNet::V4(net) => mix(u64::from(net.addr().to_bits())),
            IpNet::V6(net) => {
                let bits = net.addr().to_bits();
                mix(mix((bits >> 64) as u64) ^ bits as u64)
            }
        }
    }

    fn is_plain(&self) -> bool {
        prefix_of(*self) == *self
    }
}

impl Client for u32 {
    fn place(&self) -> u64 {
        mix(u64::from(*self) | 1 << 32)
    }

    fn is_plain(&self) -> bool {
        true
    }
}

impl<K: Client> Serialize for Known<K> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let rows = self.sorted();
        out.collect_map(rows.iter().map(|(client, row)| (client.to_string(), row)))
    }
}

impl<'de, K: Client> Deserialize<'de> for Known<K> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let rows: BTreeMap<String, Acquaintance> = BTreeMap::deserialize(input)?;
        let read = |(client, row): (String, Acquaintance)| {
            let known = client.parse().map_err(|_| D::Error::custom(format!("'{client}' is no client")))?;
            Ok((known, row))
        };
        let rows: HashMap<K, Acquaintance, RandomState> =
            rows.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { cap: rows.len(), rows, limit: u64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(number: u32) -> IpNet {
        prefix_of(std::net::IpAddr::from(std::net::Ipv4Addr::from(number << 8)).into())
    }

    fn met(second: i64) -> Acquaintance {
        Acquaintance::first_met(second, *b"KR", 1)
    }

    #[test]
    fn days_and_hours_are_counted_once() {
        let mut row = met(0);
        for second in [10, 3_600, DAY, DAY + 5, 3 * DAY + 7_200] {
            row.meet(second, 1);
        }
        assert_eq!((row.distinct_days(), row.distinct_hours(), row.accesses), (3, 3, 6));
        let (mut one, mut other) = (met(0), met(3 * DAY + 7_200));
        other.merge(&met(DAY));
        one.meet(3_600, 3);
        one.merge(&other);
        assert_eq!(one, row);
    }

    #[test]
    fn which_rows_stay_does_not_depend_on_who_came_first() {
        let fill = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut known = Known::new(100);
            numbers.for_each(|number| known.meet(net(number), met(i64::from(number))));
            known
        };
        let forwards = fill(&mut (0..5_000));
        let mut even = fill(&mut (0..5_000).rev().step_by(2));
        even.merge(&fill(&mut (0..5_000).step_by(2)));
        assert_eq!(even, forwards);
        assert_eq!(forwards.sorted().len(), 100);
    }

    #[test]
    fn an_absence_of_weeks_makes_a_stranger() {
        let mut known = Known::new(10);
        known.meet(net(1), met(0));
        known.meet(net(2), met(20 * DAY));
        known.forget_old(30 * DAY);
        assert!(known.get(&net(1)).is_none() && known.get(&net(2)).is_some());
    }
}
