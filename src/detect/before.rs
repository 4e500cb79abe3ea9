//! The level before: what a service's traffic was made of until now, each row aged so that the last ten minutes weigh
//! most. Comes in: ticks that have left every window. Goes out: rates and shares per row.

use super::baseline::{Rates, Usual};
use super::decay::{Decay, Rows};
use super::growth::{Growth, TAUGHT};
use super::rule::Measure;
use super::{Key, measure};
use crate::aggregate::{Cell, Count, Lineage, ScopeTick};
use crate::attribute::Country;

/// What was, each second weighed by how long ago it is.
#[derive(Debug, Clone)]
pub struct Before {
    least_seconds: f64,
    decay: Decay,
    seconds: f64,
    counts: [f64; COUNTS],
    rows: Rows,
    /// How much of what comes the rows may learn.
    growth: Growth<Key>,
    /// What labelled clients have of these rows, and all of them together as the service.
    labelled: Rows,
    /// What was learned before this run: it stands in while too little was seen, and says who is no stranger.
    usual: Option<Usual>,
    /// What this hour usually has, where that was learned.
    season: Option<Rates>,
}

/// What is learned at a time.
struct Lesson {
    weight: f64,
    /// The accesses of all.
    accesses: f64,
    /// Those that were learned before, where enough is known to hold rows against.
    known: Option<f64>,
    /// The networks that may not teach all, in their order, and which part they do: no part of theirs teaches more.
    short: Vec<(Lineage, f64)>,
}

impl Lesson {
    /// The part at most that rows of a network teach.
    fn most(&self, lineage: &Lineage) -> f64 {
        // Asked of each of tens of thousands of sources, while there may be thousands of such networks.
        let at = self.short.binary_search_by_key(lineage, |(short, _)| *short);
        at.ok().and_then(|at| self.short.get(at)).map_or(1.0, |(_, taught)| *taught)
    }
}

/// Below this many (aged) seconds nothing is known of the level before.
const LEAST_SECONDS: f64 = 30.0;

/// What begins within a minute of the event has seconds to go by.
const LEAST_PROVISIONAL: f64 = 5.0;

const MEASURES: [Measure; 38] = [
    Measure::Packets,
    Measure::Bytes,
    Measure::Attempts,
    Measure::Connections,
    Measure::Requests,
    Measure::Accesses,
    Measure::ClientErrors,
    Measure::ServerErrors,
    Measure::HalfOpen,
    Measure::Unearned,
    Measure::Ignored,
    Measure::Refused,
    Measure::Probes,
    Measure::UdpProbes,
    Measure::Strays,
    Measure::Unanswered,
    Measure::Waiting,
    Measure::BriefAnswers,
    Measure::Lagging,
    Measure::Late,
    Measure::Held,
    Measure::Drips,
    Measure::BareHandshakes,
    Measure::Renegotiations,
    Measure::HastyRecords,
    Measure::Denied,
    Measure::Missing,
    Measure::Resets,
    Measure::LargeResent,
    Measure::OutOfState,
    Measure::Udp,
    Measure::Initials,
    Measure::InitialsIgnored,
    Measure::Icmp,
    Measure::Fragments,
    Measure::Reflected,
    Measure::UnaskedSynAcks,
    Measure::OneSided,
];
const COUNTS: usize = MEASURES.len();

impl Default for Before {
    fn default() -> Self {
        Self {
            least_seconds: LEAST_SECONDS,
            decay: Decay::default(),
            seconds: 0.0,
            counts: [0.0; COUNTS],
            rows: Rows::default(),
            growth: Growth::default(),
            labelled: Rows::default(),
            usual: None,
            season: None,
        }
    }
}

impl Before {
    /// Learns what moved in `seconds` ticks together, the last of which begins at `second`.
    pub fn learn(&mut self, second: i64, seconds: u64, tick: &ScopeTick) {
        let weight = self.advance(second);
        let mut lesson = Lesson {
            weight,
            accesses: tick.counts[Count::Accesses] as f64,
            known: (self.seconds() >= TAUGHT).then(|| self.count(Measure::Accesses)),
            short: Vec::new(),
        };
        self.growth.go_on(lesson.accesses);
        self.seconds += weight * seconds as f64;
        for (sum, measure) in self.counts.iter_mut().zip(MEASURES) {
            *sum += weight * measure::of_counts(measure, &tick.counts) as f64;
        }
        for rows in tick.networks.chunk_by(|(one, _), (next, _)| one.country == next.country) {
            let Some((first, _)) = rows.first() else { continue };
            let mut country = Cell::default();
            rows.iter().for_each(|(_, cell)| country.merge(cell));
            let whole = self.learn_row(Key::Country(first.country), &lesson, (&country, 1.0));
            for (lineage, cell) in rows {
                let network = lineage.asn.map(Key::Network);
                let taught = network.map_or(whole, |key| self.learn_row(key, &lesson, (cell, whole)));
                if taught < 1.0 {
                    lesson.short.push((*lineage, taught));
                }
            }
        }
        lesson.short.sort_unstable_by_key(|(short, _)| *short);
        for (prefix, cell) in &tick.prefixes {
            let most = lesson.most(&prefix.lineage);
            self.learn_row(Key::Prefix(prefix.prefix), &lesson, (cell, most));
        }
        for (source, cell) in &tick.sources {
            let most = lesson.most(&source.prefix.lineage);
            self.learn_row(Key::Source(source.address), &lesson, (cell, most));
        }
        self.learn_labelled(weight, tick);
        self.rows.bound();
        self.labelled.bound();
    }

    /// Learns a row as far as it may teach, the part `most` of it at most; answers which part that was.
    fn learn_row(&mut self, key: Key, lesson: &Lesson, (cell, most): (&Cell, f64)) -> f64 {
        let taught = lesson.known.filter(|all| *all > 0.0).map_or(1.0, |all| {
            let known = || self.rows.get(&key, Measure::Accesses) / all;
            self.growth.taught(&key, (cell.accesses as f64, lesson.accesses), known)
        });
        let taught = taught.min(most);
        self.rows.add(key, lesson.weight * taught, cell);
        taught
    }

    /// Goes on to a second; what is added then weighs.
    fn advance(&mut self, second: i64) -> f64 {
        if let Some(factor) = self.decay.advance(second) {
            self.seconds *= factor;
            self.counts.iter_mut().for_each(|sum| *sum *= factor);
            self.rows.scale(factor);
            self.labelled.scale(factor);
        }
        self.decay.weight()
    }

    /// Learns what labelled clients have of the rows. A source is theirs as a whole or not at all.
    fn learn_labelled(&mut self, weight: f64, tick: &ScopeTick) {
        for (lineage, cell) in tick.networks.iter().filter(|(lineage, _)| lineage.label.is_some()) {
            let network = lineage.asn.map(Key::Network);
            for key in
                [Some(Key::Service), Some(Key::Country(lineage.country)), network].into_iter().flatten()
            {
                self.labelled.add(key, weight, cell);
            }
        }
        for (prefix, cell) in tick.prefixes.iter().filter(|(prefix, _)| prefix.lineage.label.is_some()) {
            self.labelled.add(Key::Prefix(prefix.prefix), weight, cell);
        }
    }

    /// Learns that nothing moved for `seconds` seconds up to `second`.
    pub fn learn_silence(&mut self, second: i64, seconds: i64) {
        self.advance(second);
        self.seconds += self.decay.weight_of(seconds);
    }

    /// The level of what is learned, too little to be told yet, and of a few ticks after it, for want of a longer past.
    pub fn provisional<'a>(&self, ticks: impl Iterator<Item = (i64, &'a ScopeTick)>) -> Self {
        let mut before = Self { least_seconds: LEAST_PROVISIONAL, season: None, ..self.clone() };
        for (second, tick) in ticks {
            before.learn(second, 1, tick);
        }
        before
    }

    /// Takes up what was learned before this run.
    pub fn bring(&mut self, usual: Option<Usual>) {
        self.usual = usual;
    }

    /// Takes up what this hour usually has.
    pub fn expect(&mut self, season: Option<Rates>) {
        self.season = season;
    }

    /// Whether enough was seen or learned to speak of a level before.
    pub fn is_known(&self) -> bool {
        self.is_seen() || self.usual.as_ref().is_some_and(|usual| usual.is_timely)
    }

    /// Whether something was learned before this run.
    pub fn is_brought(&self) -> bool {
        self.usual.is_some()
    }

    /// Whether this run saw enough to speak of a level before.
    pub fn is_seen(&self) -> bool {
        self.seconds() >= self.least_seconds
    }

    /// How much is known of the level of a measure, in seconds, where this run saw too little and it was learned.
    pub fn learned_seconds(&self, measure: Measure) -> Option<f64> {
        let usual = self.usual.as_ref().filter(|usual| usual.is_timely && !self.is_seen())?;
        usual.rate(measure).map(|_| usual.seconds)
    }

    /// The seconds that were learned, aged up to the last of them: what is known does not fade while an incident keeps
    /// anything from being learned.
    pub fn seconds(&self) -> f64 {
        self.decay.now(self.seconds)
    }

    /// The service's aged sum of a measure.
    pub fn sum(&self, measure: Measure) -> f64 {
        self.decay.now(self.count(measure))
    }

    /// A row's aged sum of a measure.
    pub fn row_sum(&self, key: &Key, measure: Measure) -> f64 {
        self.decay.now(self.rows.get(key, measure))
    }

    /// A row's aged sum of a measure over labelled clients.
    pub fn labelled_sum(&self, key: &Key, measure: Measure) -> f64 {
        self.decay.now(self.labelled.get(key, measure))
    }

    /// The countries that anything came from, in their order.
    pub fn countries(&self) -> impl Iterator<Item = Country> {
        self.rows.countries(Measure::Packets).map(|(country, _)| country)
    }

    /// Each country's level per second in what this run has seen, and what of it labelled clients have.
    pub fn country_rates(&self, measure: Measure) -> impl Iterator<Item = (Country, f64, f64)> {
        let any_labelled = self.labelled.countries(measure).next().is_some();
        self.rows.countries(measure).map(move |(country, sum)| {
            let key = Key::Country(country);
            let labelled = if any_labelled { self.labelled.get(&key, measure) } else { 0.0 };
            (country, sum / self.seconds, labelled / self.seconds)
        })
    }

    /// The level per second of labelled clients; 0 where nothing is known of them.
    pub fn labelled_rate(&self, measure: Measure) -> f64 {
        if !self.is_seen()
            && let Some(usual) = &self.usual
        {
            return usual.labelled_rate(measure).unwrap_or(0.0);
        }
        if self.seconds > 0.0 { self.labelled.get(&Key::Service, measure) / self.seconds } else { 0.0 }
    }

    /// The service's weighed sum of a measure.
    fn count(&self, measure: Measure) -> f64 {
        let index = MEASURES.iter().position(|have| *have == measure);
        index.and_then(|index| self.counts.get(index)).copied().unwrap_or(0.0)
    }

    /// The service's level per second; `None` where it is not known.
    pub fn rate(&self, measure: Measure) -> Option<f64> {
        if !self.is_seen() {
            return self.usual.as_ref().and_then(|usual| usual.rate(measure));
        }
        Some(self.count(measure) / self.seconds)
    }

    /// What a rise of the service is measured from: its level, or what this hour usually has, if that is more.
    pub fn rate_to_rise_from(&self, measure: Measure) -> Option<f64> {
        let level = self.rate(measure)?;
        let usual = self.season.and_then(|season| season.of(measure));
        Some(usual.map_or(level, |usual| usual.max(level)))
    }

    /// A row's level per second; `None` where the level is not known.
    pub fn row_rate(&self, key: &Key, measure: Measure) -> Option<f64> {
        if *key == Key::Service {
            return self.rate(measure);
        }
        if !self.is_seen() {
            return self.rate(measure).map(|whole| whole * self.usual_share(key));
        }
        Some(self.rows.get(key, measure) / self.seconds)
    }

    /// A row's level per second without labelled clients; `None` where the level is not known. What was learned before
    /// this run knows of no labels.
    pub fn unlabelled_rate(&self, key: &Key, measure: Measure) -> Option<f64> {
        let whole = self.row_rate(key, measure)?;
        if !self.is_seen() {
            return Some(whole);
        }
        Some((whole - self.labelled.get(key, measure) / self.seconds).max(0.0))
    }

    /// A row's part of the whole before, lately or as it was learned, whichever is more; `None` where the level is not
    /// known or was nothing.
    pub fn row_share(&self, key: &Key, measure: Measure) -> Option<f64> {
        self.share_of(self.row_rate(key, measure)?, key, measure)
    }

    /// The same without what labelled clients have of the row.
    pub fn unlabelled_share(&self, key: &Key, measure: Measure) -> Option<f64> {
        self.share_of(self.unlabelled_rate(key, measure)?, key, measure)
    }

    /// The part of the whole before that a row has with this rate, or that was learned of it, whichever is more.
    pub fn share_of(&self, rate: f64, key: &Key, measure: Measure) -> Option<f64> {
        let whole = self.rate(measure).filter(|whole| *whole > 0.0)?;
        Some((rate / whole).max(self.usual_share(key)).min(1.0))
    }

    /// The part of all accesses that a row had before this run; nothing where that is not known.
    pub fn usual_share(&self, key: &Key) -> f64 {
        self.usual.as_ref().and_then(|usual| usual.part(key)).unwrap_or(0.0)
    }

    /// Whether a row was there before, lately or in what was learned.
    pub fn was_there(&self, key: &Key) -> bool {
        let lately = || self.rows.get(key, Measure::Packets) > 0.0;
        self.usual.as_ref().is_some_and(|usual| usual.part(key).is_some()) || self.is_seen() && lately()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decay::MAX_ROWS;
    use super::*;
    use crate::aggregate::Count;

    fn second_of(requests: u64) -> ScopeTick {
        let mut tick = ScopeTick::default();
        tick.counts[Count::Requests] = requests;
        tick
    }

    #[test]
    fn nothing_is_known_at_first() {
        let mut before = Before::default();
        for second in 0..29 {
            before.learn(second, 1, &second_of(10));
        }
        assert_eq!(before.rate(Measure::Requests), None);
    }

    #[test]
    fn what_is_too_little_to_tell_counts_for_want_of_more() {
        let mut before = Before::default();
        (0..20).for_each(|second| before.learn(second, 1, &second_of(10)));
        let later: Vec<_> = (20..40).map(|second| (second, second_of(40))).collect();
        let provisional = before.provisional(later.iter().map(|(second, tick)| (*second, tick)));
        assert_eq!(before.rate(Measure::Requests), None);
        assert!((provisional.seconds() - 40.0).abs() < 1.0, "{}", provisional.seconds());
        let rate = provisional.rate(Measure::Requests).unwrap();
        assert!((rate - 25.0).abs() < 0.5, "{rate}");
    }

    #[test]
    fn a_steady_level_is_its_own_mean() {
        let mut before = Before::default();
        for second in 0..2_000 {
            before.learn(second, 1, &second_of(10));
        }
        let rate = before.rate(Measure::Requests).unwrap();
        assert!((rate - 10.0).abs() < 1e-6, "{rate}");
    }

    /// A tick with so many accesses from home, and from one network abroad.
    fn shared(home: u64, abroad: u64) -> ScopeTick {
        use crate::aggregate::{PrefixKey, SourceKey};
        let row = |code: [u8; 2], asn, number: u32, accesses| {
            let (country, proof) = (Country::Code(code), crate::flow::Proof::Proven);
            let lineage = Lineage { country, asn: Some(crate::attribute::Asn(asn)), label: None, proof };
            let address = std::net::IpAddr::from(std::net::Ipv4Addr::from(number));
            let prefix = PrefixKey { lineage, prefix: address.into(), reach: 24 };
            (
                lineage,
                prefix,
                SourceKey { prefix, address },
                Cell { accesses, packets: 6 * accesses, ..Cell::default() },
            )
        };
        let rows = [row(*b"KR", 1, 1, home), row(*b"UA", 2, 2, abroad)];
        let mut tick = ScopeTick {
            networks: rows.iter().map(|(lineage, _, _, cell)| (*lineage, *cell)).collect(),
            prefixes: rows.iter().map(|(_, prefix, _, cell)| (*prefix, *cell)).collect(),
            sources: rows.iter().map(|(_, _, source, cell)| (*source, *cell)).collect(),
            ..ScopeTick::default()
        };
        tick.counts[Count::Accesses] = home + abroad;
        tick
    }

    #[test]
    fn a_network_that_grows_minute_by_minute_teaches_little_and_nothing_of_it_more() {
        let mut before = Before::default();
        (0..20).for_each(|ten| before.learn(10 * ten, 10, &shared(100, 0)));
        (20..80).for_each(|ten| before.learn(10 * ten, 10, &shared(100, 2 * (ten as u64 - 20))));
        let ua = Country::Code(*b"UA");
        let address = std::net::IpAddr::from(std::net::Ipv4Addr::from(2));
        let keys = [
            Key::Country(ua),
            Key::Network(crate::attribute::Asn(2)),
            Key::Prefix(address.into()),
            Key::Source(address),
        ];
        for key in keys {
            let share = before.row_share(&key, Measure::Accesses).unwrap();
            assert!(share < 0.1, "{share} of {key:?}, of which half of all comes by now");
        }
        let home = before.row_share(&Key::Network(crate::attribute::Asn(1)), Measure::Accesses).unwrap();
        assert!(home > 0.6, "{home}");
    }

    #[test]
    fn rows_stay_bounded_however_many_a_tick_brings() {
        use crate::aggregate::{Lineage, PrefixKey, SourceKey};
        let source = |number: u32| {
            let address = std::net::IpAddr::from(std::net::Ipv4Addr::from(number));
            let (country, proof) = (Country::Unknown, crate::flow::Proof::Unproven);
            let lineage = Lineage { country, asn: None, label: None, proof };
            let prefix = PrefixKey { lineage, prefix: address.into(), reach: 24 };
            (SourceKey { prefix, address }, Cell { packets: 1, ..Cell::default() })
        };
        let mut before = Before::default();
        for second in 0..8_u32 {
            let sources = (0..20_000).map(|number| source(second * 20_000 + number)).collect();
            before.learn(i64::from(second), 1, &ScopeTick { sources, ..ScopeTick::default() });
            assert!(before.rows.len() <= MAX_ROWS, "{} rows", before.rows.len());
        }
    }

    #[test]
    fn labelled_clients_are_no_part_of_an_unlabelled_level() {
        use crate::aggregate::{Lineage, PrefixKey};
        use crate::attribute::{Asn, Country, LabelId};
        let us = Country::Code(*b"US");
        let lineage = |asn, label| {
            let proof = crate::flow::Proof::Proven;
            Lineage { country: us, asn: Some(Asn(asn)), label, proof }
        };
        let cell = |accesses| Cell { accesses, ..Cell::default() };
        let crawler = lineage(15_169, Some(LabelId(0)));
        let mut tick = ScopeTick {
            networks: vec![(lineage(7018, None), cell(4)), (crawler, cell(6))],
            ..ScopeTick::default()
        };
        let prefix: ipnet::IpNet = "66.249.64.0/24".parse().unwrap();
        tick.prefixes = vec![(PrefixKey { lineage: crawler, prefix, reach: 24 }, cell(6))];
        tick.counts[Count::Accesses] = 10;
        let mut before = Before::default();
        (0..100).for_each(|second| before.learn(second, 1, &tick));
        let rates = |key| {
            let rate = |rate: Option<f64>| rate.map(f64::round);
            let whole = before.row_rate(&key, Measure::Accesses);
            (rate(whole), rate(before.unlabelled_rate(&key, Measure::Accesses)))
        };
        assert_eq!(rates(Key::Country(us)), (Some(10.0), Some(4.0)));
        assert_eq!(rates(Key::Network(Asn(7018))), (Some(4.0), Some(4.0)));
        assert_eq!(rates(Key::Network(Asn(15_169))), (Some(6.0), Some(0.0)));
        assert_eq!(rates(Key::Prefix(prefix)), (Some(6.0), Some(0.0)));
        let share = before.unlabelled_share(&Key::Country(us), Measure::Accesses);
        assert!(share.is_some_and(|share| (share - 0.4).abs() < 1e-9), "{share:?}");
    }

    #[test]
    fn silence_brings_it_down_by_arithmetic() {
        let mut stepped = Before::default();
        let mut jumped = Before::default();
        for second in 0..600 {
            stepped.learn(second, 1, &second_of(10));
            jumped.learn(second, 1, &second_of(10));
        }
        for second in 600..1_200 {
            stepped.learn(second, 1, &second_of(0));
        }
        jumped.learn_silence(1_199, 600);
        let (one, other) =
            (stepped.rate(Measure::Requests).unwrap(), jumped.rate(Measure::Requests).unwrap());
        assert!((one - other).abs() < 1e-9 && one < 5.0, "{one} {other}");
    }
}
