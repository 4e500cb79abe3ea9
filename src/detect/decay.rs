//! Sums that halve with time, by forward decay (Cormode, Shkapenyuk, Srivastava and Xu, 2009): what is added weighs more
//! the later it comes, so that no sum is touched for time that goes by, and two of them are divided as they stand. Comes
//! in: seconds and amounts. Goes out: weighed sums, of one thing or by key.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Key;
use super::rule::Measure;
use crate::aggregate::Cell;
use crate::attribute::Country;

/// What is added counts half after this many seconds: a crowd that has been there for half an hour is the level, one
/// that came a minute ago is not.
const HALF_LIFE: f64 = 600.0;

/// Half-lives after which all sums are brought down again: far below where a number ends.
const MOST_HALF_LIVES: f64 = 256.0;

/// How much what is added weighs.
#[derive(Debug, Clone)]
pub(super) struct Decay {
    /// The second in which what is added weighs 1.
    landmark: i64,
    /// The last second that anything was added in, and what it weighs.
    last: i64,
    weight: f64,
}

impl Default for Decay {
    fn default() -> Self {
        Self { landmark: 0, last: 0, weight: 1.0 }
    }
}

impl Decay {
    /// Goes on to a second, if it is later; what all sums are to be multiplied by where their weights grew too large.
    pub fn advance(&mut self, second: i64) -> Option<f64> {
        self.last = second.max(self.last);
        let half_lives = self.last.saturating_sub(self.landmark) as f64 / HALF_LIFE;
        if half_lives <= MOST_HALF_LIVES {
            self.weight = half_lives.exp2();
            return None;
        }
        (self.landmark, self.weight) = (self.last, 1.0);
        Some((-half_lives).exp2())
    }

    /// What an amount of now is to be multiplied by before it is added.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// What each of `seconds` seconds that end now still weighs, together.
    pub fn weight_of(&self, seconds: i64) -> f64 {
        let step = (-1.0 / HALF_LIFE).exp2();
        self.weight * (1.0 - step.powf(seconds.max(0) as f64)) / (1.0 - step)
    }

    /// A weighed sum as it stands now.
    pub fn now(&self, sum: f64) -> f64 {
        sum / self.weight
    }
}

/// What rows are summed up by: how much they bring, and what goes wrong with it. The rest has no rows, or none that a share
/// before would say something of.
const LOADS: [Measure; 5] =
    [Measure::Packets, Measure::Bytes, Measure::Connections, Measure::Requests, Measure::Accesses];
const TROUBLES: [Measure; 6] = [
    Measure::ClientErrors,
    Measure::ServerErrors,
    Measure::Unanswered,
    Measure::Held,
    Measure::Denied,
    Measure::Missing,
];

/// Rows that are remembered; the faintest give way.
pub(super) const MAX_ROWS: usize = 32_768;

/// Weighed sums by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Few, in their order, and asked for together every second.
    countries: Vec<(Country, Sums)>,
    others: HashMap<Key, Sums, RandomState>,
}

/// A row's sums of [`LOADS`], and of [`TROUBLES`] where it has any: most never do, and there are tens of thousands of rows.
#[derive(Debug, Clone, Default)]
struct Sums {
    loads: [f64; LOADS.len()],
    troubles: Option<Box<[f64; TROUBLES.len()]>>,
}

impl Sums {
    fn add(&mut self, weight: f64, cell: &Cell) {
        add(&mut self.loads, weight, loads(cell));
        let troubles = troubles(cell);
        if troubles.iter().any(|amount| *amount > 0) {
            add(self.troubles.get_or_insert_default().as_mut(), weight, troubles);
        }
    }

    /// The sum of a measure; nothing for what rows are not summed up by.
    fn get(&self, measure: Measure) -> f64 {
        let of_load = place(&LOADS, measure).and_then(|at| self.loads.get(at));
        let of_trouble = || self.troubles.as_ref()?.get(place(&TROUBLES, measure)?);
        of_load.or_else(of_trouble).copied().unwrap_or(0.0)
    }

    fn scale(&mut self, factor: f64) {
        let troubles = self.troubles.iter_mut().flat_map(|troubles| troubles.iter_mut());
        self.loads.iter_mut().chain(troubles).for_each(|sum| *sum *= factor);
    }
}

fn add<const N: usize>(sums: &mut [f64; N], weight: f64, amounts: [u64; N]) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum += weight * amount as f64;
    }
}

fn place(measures: &[Measure], measure: Measure) -> Option<usize> {
    measures.iter().position(|have| *have == measure)
}

/// What a row has of [`LOADS`], in their order.
fn loads(cell: &Cell) -> [u64; LOADS.len()] {
    let Cell { packets, bytes, connections, requests, accesses, .. } = *cell;
    [packets, bytes, connections, requests, accesses]
}

/// What a row has of [`TROUBLES`], in their order.
fn troubles(cell: &Cell) -> [u64; TROUBLES.len()] {
    let Cell { client_errors, server_errors, .. } = *cell;
    let [unanswered, held, denied, missing] =
        [cell.unanswered, cell.held, cell.denied, cell.missing].map(u64::from);
    [client_errors, server_errors, unanswered, held, denied, missing]
}

impl Rows {
    pub fn add(&mut self, key: Key, weight: f64, cell: &Cell) {
        let sums = match key {
            Key::Country(country) => self.country(country),
            _ => self.others.entry(key).or_default(),
        };
        sums.add(weight, cell);
    }

    fn country(&mut self, country: Country) -> &mut Sums {
        let at = self.place_of(country).unwrap_or_else(|at| {
            self.countries.insert(at, (country, Sums::default()));
            at
        });
        &mut self.countries[at].1
    }

    fn place_of(&self, country: Country) -> Result<usize, usize> {
        self.countries.binary_search_by_key(&country, |(have, _)| *have)
    }

    /// A row's sum; 0 for what there is no row of.
    pub fn get(&self, key: &Key, measure: Measure) -> f64 {
        let row = match key {
            Key::Country(country) => self.place_of(*country).ok().map(|at| &self.countries[at].1),
            _ => self.others.get(key),
        };
        row.map_or(0.0, |row| row.get(measure))
    }

    /// The sums of all countries, in their order.
    pub fn countries(&self, measure: Measure) -> impl Iterator<Item = (Country, f64)> {
        self.countries.iter().map(move |(country, row)| (*country, row.get(measure)))
    }

    /// How many rows there are beside the countries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.others.len()
    }

    pub fn scale(&mut self, factor: f64) {
        let countries = self.countries.iter_mut().map(|(_, sums)| sums);
        countries.chain(self.others.values_mut()).for_each(|sums| sums.scale(factor));
    }

    /// Keeps at most [`MAX_ROWS`] beside the countries, of which there are no more than codes.
    pub fn bound(&mut self) {
        if self.others.len() <= MAX_ROWS {
            return;
        }
        // Positive floats keep their order as bits.
        let weight = |row: &Sums| row.get(Measure::Packets).max(0.0).to_bits();
        let mut weights: Vec<(u64, Key)> = self.others.iter().map(|(key, row)| (weight(row), *key)).collect();
        weights.sort_unstable();
        // A tick may bring many times more rows than a quarter: what is left is always three quarters.
        let surplus = weights.len().saturating_sub(MAX_ROWS / 4 * 3);
        for (_, key) in weights.iter().take(surplus) {
            self.others.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::detect::measure::of_cell;

    fn packets(packets: u64) -> Cell {
        Cell { packets, ..Cell::default() }
    }

    #[test]
    fn amounts_stand_in_the_order_of_their_measures() {
        let (packets, bytes, connections, requests, accesses) = (1, 2, 3, 4, 5);
        let (client_errors, server_errors, unanswered, held, denied, missing) = (6, 7, 8, 9, 10, 11);
        let cell = Cell { packets, bytes, connections, requests, accesses, ..Cell::default() };
        let cell = Cell { client_errors, server_errors, unanswered, held, denied, missing, ..cell };
        assert_eq!(loads(&cell), LOADS.map(|measure| of_cell(measure, &cell)));
        assert_eq!(troubles(&cell), TROUBLES.map(|measure| of_cell(measure, &cell)));
        let mut sums = Sums::default();
        sums.add(2.0, &cell);
        for measure in LOADS.into_iter().chain(TROUBLES) {
            assert_eq!(sums.get(measure), 2.0 * of_cell(measure, &cell) as f64);
        }
    }

    #[test]
    fn rows_stay_bounded_and_the_faintest_give_way() {
        let key = |number: u32| Key::Source(IpAddr::from(Ipv4Addr::from(number)));
        let mut rows = Rows::default();
        rows.add(key(u32::MAX), 1.0, &packets(7));
        for number in 0..100_000 {
            rows.add(key(number), 1.0, &packets(1));
            rows.bound();
            assert!(rows.len() <= MAX_ROWS, "{} rows", rows.len());
        }
        assert_eq!(rows.get(&key(u32::MAX), Measure::Packets), 7.0);
    }

    #[test]
    fn sums_stay_the_same_when_their_weights_are_brought_down() {
        let (mut decay, mut rows) = (Decay::default(), Rows::default());
        let (mut brought_down, mut level) = (0, 0.0);
        for second in (0..2_000_000).step_by(60) {
            if let Some(factor) = decay.advance(second) {
                rows.scale(factor);
                brought_down += 1;
            }
            rows.add(Key::Service, decay.weight(), &packets(10));
            level = level * (-60.0 / HALF_LIFE).exp2() + 10.0;
            let sum = decay.now(rows.get(&Key::Service, Measure::Packets));
            assert!((sum / level - 1.0).abs() < 1e-9, "{sum} {level} after {second} s");
        }
        assert!(brought_down > 5, "{brought_down}");
    }

    #[test]
    fn no_second_is_too_far() {
        let (mut decay, mut rows) = (Decay::default(), Rows::default());
        for second in [i64::MIN, 0, i64::MAX, 5] {
            decay.advance(second).into_iter().for_each(|factor| rows.scale(factor));
            rows.add(Key::Service, decay.weight(), &packets(10));
            assert!(decay.now(rows.get(&Key::Service, Measure::Packets)) >= 10.0);
        }
    }
}
