//! How a service's clients use to behave: how much one asks for in a minute, with which makes of client, and how many
//! of the requests are for what belongs to pages. Comes in: ticks that no incident holds. Goes out: what to hold others
//! against. Knows nobody by name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::growth::{Growth, TAUGHT};
use crate::aggregate::{Cell, Count, Fingerprint, Make, ScopeTick, SourceKey};

/// The habits of a service's clients, the last ten minutes weighing most.
#[derive(Debug)]
pub struct Habits {
    makes: HashMap<Fingerprint, f64, RandomState>,
    made: f64,
    /// Seconds that makes were learned in.
    seconds: f64,
    /// How much of what comes the makes may learn.
    growth: Growth<Fingerprint>,
    assets: f64,
    requests: f64,
    /// Microseconds to first bytes, and how many.
    waits: f64,
    first_bytes: f64,
    minute: Minute,
    /// How many clients asked how often in a minute, by powers of the square root of two.
    clients: [f64; BUCKETS],
}

/// Who asked how often in the minute under way.
#[derive(Debug, Default)]
struct Minute {
    began: i64,
    clients: HashMap<IpAddr, u32, RandomState>,
}

/// Up to 2^16 accesses a minute.
const BUCKETS: usize = 33;

/// What was learned counts half after so many seconds, as the level before does.
const HALF_LIFE: f64 = 600.0;

/// Makes that are remembered; the faintest give way.
const MAX_MAKES: usize = 2_048;

/// Clients of a minute that are counted; those beyond come to nearly the same distribution.
const MAX_CLIENTS: usize = 16_384;

/// Fewer clients say nothing about what is ordinary.
const LEAST_CLIENTS: f64 = 10.0;

/// Fewer requests say nothing about makes and pages.
const LEAST_REQUESTS: f64 = 100.0;

impl Default for Habits {
    fn default() -> Self {
        Self {
            makes: HashMap::default(),
            made: 0.0,
            seconds: 0.0,
            growth: Growth::default(),
            assets: 0.0,
            requests: 0.0,
            waits: 0.0,
            first_bytes: 0.0,
            minute: Minute::default(),
            clients: [0.0; BUCKETS],
        }
    }
}

impl Habits {
    /// Learns ticks, the last of which begins at `second`, and what their `sources` come to together; ticks come in order
    /// of time.
    pub fn learn<'a>(
        &mut self,
        second: i64,
        sources: &[(SourceKey, Cell)],
        ticks: impl IntoIterator<Item = &'a ScopeTick>,
    ) {
        if second - self.minute.began >= 60 {
            self.turn(second);
        }
        for (source, cell) in sources {
            let more = u32::try_from(cell.accesses).unwrap_or(u32::MAX);
            if let Some(sum) = self.minute.clients.get_mut(&source.address) {
                *sum = sum.saturating_add(more);
            } else if more > 0 && self.minute.clients.len() < MAX_CLIENTS {
                self.minute.clients.insert(source.address, more);
            }
        }
        ticks.into_iter().for_each(|tick| self.learn_requests(tick));
        if self.makes.len() > MAX_MAKES {
            self.forget_faintest();
        }
    }

    fn learn_requests(&mut self, tick: &ScopeTick) {
        self.learn_makes(tick);
        for (path, count) in &tick.paths {
            self.requests += *count as f64;
            self.assets += if is_asset(&path.path) { *count as f64 } else { 0.0 };
        }
        self.waits += tick.counts[Count::FirstByteWait] as f64;
        self.first_bytes += tick.counts[Count::FirstBytes] as f64;
    }

    /// Learns makes as far as they may teach.
    fn learn_makes(&mut self, tick: &ScopeTick) {
        let more: f64 = tick.makes.iter().map(|(_, count)| *count as f64).sum();
        self.growth.go_on(more);
        let known = (self.seconds >= TAUGHT && self.made > 0.0).then_some(self.made);
        for (make, count) in &tick.makes {
            let (print, count) = (&make.fingerprint, *count as f64);
            let have = self.makes.get_mut(print);
            let taught = known.map_or(1.0, |all| {
                self.growth.taught(print, (count, more), || have.as_deref().map_or(0.0, |sum| sum / all))
            });
            match have {
                Some(sum) => *sum += taught * count,
                None => {
                    self.makes.insert(print.clone(), taught * count);
                }
            }
        }
        self.made += more;
        self.seconds += 1.0;
    }

    /// Ends the minute: everything ages, and what its clients did is counted.
    fn turn(&mut self, second: i64) {
        let minutes = ((second - self.minute.began) / 60).max(1) as f64;
        let aged = (-60.0 * minutes / HALF_LIFE).exp2();
        self.makes.values_mut().for_each(|sum| *sum *= aged);
        self.clients.iter_mut().for_each(|sum| *sum *= aged);
        self.made *= aged;
        self.seconds *= aged;
        self.requests *= aged;
        self.assets *= aged;
        self.waits *= aged;
        self.first_bytes *= aged;
        for count in std::mem::take(&mut self.minute.clients).into_values() {
            if let Some(sum) = self.clients.get_mut(bucket(f64::from(count))) {
                *sum += 1.0;
            }
        }
        self.minute.began = second;
    }

    fn forget_faintest(&mut self) {
        let mut weights: Vec<(u64, Fingerprint)> =
            self.makes.iter().map(|(make, sum)| (sum.to_bits(), make.clone())).collect();
        weights.sort_unstable();
        for (_, make) in weights.iter().take(weights.len().saturating_sub(MAX_MAKES / 4 * 3)) {
            self.makes.remove(make);
        }
    }

    /// Takes up how long clients wait for a first byte, where this run saw too few of them to say.
    pub fn bring_wait(&mut self, microseconds: f64) {
        if self.first_bytes < LEAST_REQUESTS {
            self.waits += microseconds * LEAST_REQUESTS;
            self.first_bytes += LEAST_REQUESTS;
        }
    }

    /// What nineteen in twenty clients ask for in a minute at most; `None` where too few were seen.
    pub fn busy_client(&self) -> Option<f64> {
        self.quantile(0.95)
    }

    fn quantile(&self, part: f64) -> Option<f64> {
        let all: f64 = self.clients.iter().sum();
        if all < LEAST_CLIENTS {
            return None;
        }
        let mut seen = 0.0;
        let at = self.clients.iter().position(|count| {
            seen += count;
            seen >= part * all
        });
        at.map(|at| 2.0_f64.powf(at as f64 / 2.0))
    }

    /// The part of accesses made with each make of client; `None` where too few were seen.
    pub fn make_shares(&self) -> Option<BTreeMap<Make<'_>, f64>> {
        if self.made < LEAST_REQUESTS {
            return None;
        }
        let mut prints: Vec<(&Fingerprint, f64)> =
            self.makes.iter().map(|(print, sum)| (print, *sum)).collect();
        // Floating-point sums depend on order.
        prints.sort_by_key(|(print, _)| *print);
        let mut shares = BTreeMap::new();
        for (print, sum) in prints {
            *shares.entry(print.make()).or_default() += sum / self.made;
        }
        Some(shares)
    }

    /// Microseconds that a client waits for the first byte of an answer on average; `None` where too few were seen.
    pub fn first_byte_wait(&self) -> Option<f64> {
        (self.first_bytes >= LEAST_REQUESTS).then(|| self.waits / self.first_bytes)
    }

    /// The part of requests that are for what belongs to pages; `None` where too few were seen.
    pub fn asset_share(&self) -> Option<f64> {
        (self.requests >= LEAST_REQUESTS).then(|| self.assets / self.requests)
    }
}

/// The bucket of a number of accesses: the next power of the square root of two.
fn bucket(count: f64) -> usize {
    let at = (2.0 * count.max(1.0).log2()).ceil();
    (at as usize).min(BUCKETS - 1)
}

/// Endings of what belongs to a page and is not one.
const ASSETS: [&str; 18] = [
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "woff", "woff2",
    "ttf", "otf", "mp4", "webm",
];

/// Whether a path is of something that belongs to a page: style, script, picture, letters.
pub fn is_asset(path: &str) -> bool {
    let Some(dot) = path.bytes().rposition(|byte| byte == b'.') else { return false };
    let ending = path.as_bytes().get(dot + 1..).unwrap_or_default();
    ASSETS.iter().any(|asset| ending.eq_ignore_ascii_case(asset.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Cell, Lineage, MakeKey, PathKey, PrefixKey, SourceKey};
    use crate::attribute::Country;
    use crate::flow::Proof;

    fn tick(clients: u8, each: u64) -> ScopeTick {
        let lineage = Lineage { country: Country::Unknown, asn: None, label: None, proof: Proof::Proven };
        let source = |host: u8| {
            let address = IpAddr::from([192, 0, 2, host]);
            let prefix = PrefixKey { lineage, prefix: address.into(), reach: 24 };
            (SourceKey { prefix, address }, Cell { accesses: each, ..Cell::default() })
        };
        let all = u64::from(clients) * each;
        let country = Country::Unknown;
        let path = |path: &str| PathKey { country, method: "GET".into(), path: path.into() };
        let make = MakeKey { country, fingerprint: Fingerprint::UserAgent("browser".into()) };
        ScopeTick {
            sources: (0..clients).map(source).collect(),
            makes: vec![(make, all)],
            paths: vec![(path("/"), all / 4), (path("/a.css"), all - all / 4)],
            ..ScopeTick::default()
        }
    }

    #[test]
    fn a_minute_of_clients_tells_what_is_busy() {
        let mut habits = Habits::default();
        assert_eq!(habits.busy_client(), None);
        for second in 0..=60 {
            let tick = tick(20, 1);
            habits.learn(second, &tick.sources, [&tick]);
        }
        let busy = habits.busy_client().unwrap();
        assert!((60.0..=90.0).contains(&busy), "{busy}");
        assert!((habits.asset_share().unwrap() - 0.75).abs() < 0.01);
        let shares = habits.make_shares().unwrap();
        assert_eq!(shares, BTreeMap::from([(Make::Product("browser"), 1.0)]));
    }

    #[test]
    fn letters_and_pictures_belong_to_pages() {
        assert!(is_asset("/static/site.CSS") && is_asset("/a.woff2"));
        assert!(!is_asset("/bid/list") && !is_asset("/v1.2/list") && !is_asset("/index.html"));
    }
}
