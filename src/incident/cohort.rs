//! The excess in parts that belong together: the few rows that were hardly there before, at home and abroad, the many
//! beside them, and among these the one program that asks for a large part. Comes in: the rows of an episode and the level
//! before. Goes out: at most five cohorts, each with how its clients behave. Each is judged for itself, which is what finds
//! a flood inside a crowd.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::clients::Gathering;
use super::origins::Scale;
use super::program::{Asked, Program};
use super::{Origin, Place};
use crate::aggregate::{Cell, Fingerprint, Lineage, Make, SourceKey};
use crate::attribute::{Asn, Country};
use crate::detect::rule::Measure;
use crate::detect::{Habits, Key, Window, is_asset, of_cell};
use crate::flow::template_of;

type Countries = HashSet<Country, RandomState>;

/// Clients that are judged together.
#[derive(Debug, Clone, Default)]
pub(super) struct Cohort {
    pub who: Who,
    /// Its part of the excess, 0 to 1.
    pub share: f64,
    /// The rows that it consists of, or that tell where most of it comes from, as places in the list of origins.
    pub origins: Vec<usize>,
    /// All that its clients did.
    pub cell: Cell,
    /// What it has more than before, in the scale's measure.
    pub excess: f64,
    /// What it would have had in the same time.
    pub usual: f64,
    /// The part of its excess that networks hold which had as large a part before.
    pub known: Option<f64>,
    /// How many different clients it has, against before.
    pub gathering: Option<Gathering>,
    /// Different sources.
    pub sources: f64,
    /// How many equal sources its excess would come from (1 / Herfindahl-Hirschman index).
    pub effective_sources: f64,
    /// What its middle client asks for in a minute.
    pub client_rate: f64,
    /// The make of most of its accesses: its part now and before.
    pub make: Option<(f64, Option<f64>)>,
    /// How much of its makes is as it was before, 0 to 1.
    pub same_makes: Option<f64>,
    /// How much what its countries ask for is what it asks for, 0 to 1: makes and paths are known by country, and of countries
    /// that it shares with the few, of those of the few.
    pub own_part: f64,
    /// The part of the path that most of it asks for.
    pub path: Option<f64>,
    /// The part of its requests for what belongs to pages, against that before.
    pub assets: Option<f64>,
    /// Packets for each of its connections, where its requests cannot be read, against others and against before.
    pub packets: Option<f64>,
}

/// Who a cohort is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Who {
    /// Few rows abroad.
    FewAbroad,
    /// Few rows at home.
    FewAtHome,
    /// The many abroad.
    ManyAbroad,
    /// Whoever among the many asks with the make of one program.
    OneMake,
    /// The many at home, or all where no home is known.
    #[default]
    Many,
}

impl Who {
    /// Whether it is a few rows that stand out.
    pub const fn is_few(self) -> bool {
        matches!(self, Who::FewAbroad | Who::FewAtHome)
    }
}

const ALL: [Who; 4] = [Who::FewAbroad, Who::FewAtHome, Who::ManyAbroad, Who::Many];

/// A cohort with less of the excess is left to the others.
const LEAST_SHARE: f64 = 0.1;

/// A row stands out where its share is so many times its share before.
const LEAST_LIFT: f64 = 3.0;

/// A row with a larger share before is a neighbour that everybody knows.
const MOST_BEFORE: f64 = 0.1;

/// Shares before of less than this are taken for this: a network that nobody has seen is no infinite surprise.
pub(super) const LEAST_BEFORE: f64 = 0.002;

/// A row with a smaller part of all never stands out.
pub(super) const LEAST_TOLD: f64 = LEAST_LIFT * LEAST_BEFORE;

/// A minute is long enough for most visits; shorter episodes are scaled up from this many seconds at least.
const LEAST_SECONDS: f64 = 20.0;

/// The many beside few are more than they were by more than so many standard deviations. Page views come in bursts
/// (variance over mean, as in `timeline`).
const CHANCE: f64 = 2.0;
const BURSTS: f64 = 8.0;

/// Who waits for slow answers stays for longer: as many people as ever who ask for no more are seen up to so many times
/// as often in a minute.
const LINGERING: f64 = 2.0;

/// An excess of a smaller part of all is not told apart from what is usual.
const LEAST_APART: f64 = 0.3;

/// Clients beside few that ask for so much more, at least, do so for a reason of their own: what few slow down is asked for
/// again, and people come and go by a third within minutes.
const MUCH_MORE: f64 = 0.5;

impl Cohort {
    /// Whether its clients are so many more than before that they are a crowd, however little they are served.
    pub fn is_gathered(&self) -> bool {
        let lingers = |gathering: Gathering| self.excess <= 0.0 && gathering.times() < LINGERING;
        self.gathering.is_some_and(|gathering| gathering.is_crowd() && !lingers(gathering))
    }

    /// The part of its excess that a make has which has so large a part of all that its countries ask, and had one before:
    /// whoever comes is told by what comes with him. Few have hardly anything else than excess, but may have others beside
    /// them. A small part tells no more than all.
    pub fn of_excess(&self, part: f64, before: f64) -> f64 {
        let excess = self.excess / (self.excess + self.usual).max(1e-9);
        let more = if self.who.is_few() { self.own_part } else { excess };
        if more < LEAST_APART {
            return part;
        }
        ((part - before * (1.0 - more)) / more).clamp(part.min(1.0), 1.0)
    }

    /// Whether it has more than people who come and go would bring. What is usual is known the less the shorter the past
    /// was: `stretch` is how many times as long as it both are together.
    fn is_more_than_chance(&self, stretch: f64) -> bool {
        let chance = CHANCE * (BURSTS * self.usual.max(1.0) * stretch).sqrt();
        self.is_gathered() || self.excess >= chance.max(MUCH_MORE * self.usual)
    }

    /// Whether it is worth judging beside others.
    fn is_notable(&self, stands_alone: bool, stretch: f64) -> bool {
        let has_part = self.share >= LEAST_SHARE || self.is_gathered() && stands_alone;
        has_part && (self.who.is_few() || !stands_alone || self.is_more_than_chance(stretch))
    }
}

/// A network in its cohort.
struct Part {
    who: Who,
    /// What it has more than before.
    more: f64,
    /// What it had before, per second.
    before: f64,
    /// The part of all accesses that it had before this run.
    learned: f64,
}

/// The rows of an episode as they are split.
pub(super) struct Split<'a> {
    pub window: &'a Window,
    pub scale: &'a Scale<'a>,
    pub habits: &'a Habits,
    /// The rows that findings and the descent point at.
    pub origins: &'a [Origin],
    /// How many different clients come from home beside the few.
    pub gathering: Option<Gathering>,
    /// Whether few and many, at home and abroad, are judged apart.
    pub is_split: bool,
}

impl Split<'_> {
    /// The cohorts with a part of the excess worth judging, the largest first.
    pub fn cohorts(&self) -> Vec<Cohort> {
        let mut cohorts: BTreeMap<Who, Cohort> =
            ALL.into_iter().map(|who| (who, Cohort { who, ..Cohort::default() })).collect();
        for (at, row) in self.origins.iter().enumerate() {
            let who = self.who(row.country, self.stands_apart(row).then_some(at));
            if let Some(cohort) = cohorts.get_mut(&who) {
                cohort.origins.push(at);
            }
        }
        self.add_networks(&mut cohorts);
        let counts = self.counts();
        self.add_sources(&mut cohorts, &counts);
        if let Some(many) = cohorts.get_mut(&Who::Many) {
            many.gathering = self.gathering.filter(|_| self.is_split);
        }
        let program = self.program(&cohorts, &counts);
        if let Some(program) = &program {
            set_apart(&mut cohorts, program);
        }
        let whole: f64 = cohorts.values().map(|cohort| cohort.excess).sum();
        let mut cohorts: Vec<Cohort> =
            cohorts.into_values().filter(|cohort| cohort.excess > 0.0 || cohort.is_gathered()).collect();
        for cohort in &mut cohorts {
            cohort.share = if whole > 0.0 { cohort.excess / whole } else { 0.0 };
        }
        let before = self.scale.before;
        let stretch =
            if before.is_brought() { 1.0 } else { 1.0 + self.scale.seconds / before.seconds().max(1.0) };
        let stands_alone = cohorts.iter().any(|cohort| cohort.who.is_few() || cohort.who == Who::OneMake);
        cohorts.retain(|cohort| cohort.is_notable(stands_alone, stretch));
        for cohort in cohorts.iter_mut().filter(|cohort| cohort.who != Who::OneMake) {
            self.behaviour(cohort, program.as_ref());
        }
        cohorts.sort_by(|one, other| other.share.total_cmp(&one.share).then(one.who.cmp(&other.who)));
        cohorts
    }

    /// Whether a source, or a network as a whole, belongs to the few.
    fn few(&self, lineage: &Lineage, source: Option<&SourceKey>) -> Option<usize> {
        self.origins.iter().position(|row| self.stands_apart(row) && row.holds(lineage, source))
    }

    /// Whether a row is one of the few that are judged for themselves.
    fn stands_apart(&self, row: &Origin) -> bool {
        self.is_split && stands_out(row)
    }

    fn who(&self, country: Country, few: Option<usize>) -> Who {
        if !self.is_split {
            return Who::Many;
        }
        let abroad = self.scale.home.is_foreign(country);
        match few.map(|at| self.origins[at].foreign) {
            Some(Some(false)) => Who::FewAtHome,
            Some(_) => Who::FewAbroad,
            None if abroad => Who::ManyAbroad,
            None => Who::Many,
        }
    }

    /// Sums up networks; what the few hold of them is theirs.
    fn add_networks(&self, cohorts: &mut BTreeMap<Who, Cohort>) {
        let held = self.held();
        let mut networks: BTreeMap<(Country, Option<Asn>), Cell> = BTreeMap::new();
        for (lineage, cell) in self.window.networks.iter().filter(|(lineage, _)| lineage.label.is_none()) {
            networks.entry((lineage.country, lineage.asn)).or_default().merge(cell);
        }
        let levels = self.levels(networks.keys());
        let mut parts: Vec<Part> = Vec::new();
        for ((country, asn), mut cell) in networks {
            let whole = self.whole_row(country, asn);
            if let Some(held) = held.get(&(country, asn)) {
                cell.remove(held);
                self.give(cohorts, self.who(country, self.row_in(country, asn)), held, 0.0);
            }
            let before = levels.get(&(country, asn)).copied().unwrap_or(0.0);
            let more = of_cell(self.scale.measure, &cell) as f64 - before * self.scale.seconds;
            let who = self.who(country, whole);
            // A row's excess is told with the row.
            self.give(cohorts, who, &cell, if whole.is_none() { more } else { 0.0 });
            let learned = asn.map_or(0.0, |asn| self.scale.before.usual_share(&Key::Network(asn)));
            parts.push(Part { who, more: more.max(0.0), before, learned });
            if let Some(cohort) = cohorts.get_mut(&who) {
                cohort.usual += before * self.scale.seconds;
            }
        }
        for cohort in cohorts.values_mut() {
            cohort.excess = cohort.excess.max(0.0);
            if cohort.who.is_few() {
                cohort.excess += self.told(cohort) * self.scale.excess;
            }
        }
        self.compare_networks(cohorts, &parts);
    }

    /// What unlabelled clients of networks had before, per second. What no network is known for has what is left of its country.
    fn levels<'n>(
        &self,
        networks: impl Iterator<Item = &'n (Country, Option<Asn>)>,
    ) -> BTreeMap<(Country, Option<Asn>), f64> {
        let Scale { before, measure, .. } = *self.scale;
        let level = |key| before.unlabelled_rate(&key, measure).unwrap_or(0.0);
        let (named, unnamed): (Vec<_>, Vec<_>) = networks.copied().partition(|(_, asn)| asn.is_some());
        let mut levels: BTreeMap<(Country, Option<Asn>), f64> = BTreeMap::new();
        let mut told: BTreeMap<Country, f64> = BTreeMap::new();
        for (country, asn) in named {
            let own = asn.map_or(0.0, |asn| level(Key::Network(asn)));
            *told.entry(country).or_default() += own;
            levels.insert((country, asn), own);
        }
        for (country, asn) in unnamed {
            let rest = level(Key::Country(country)) - told.get(&country).copied().unwrap_or(0.0);
            levels.insert((country, asn), rest.max(0.0));
        }
        levels
    }

    /// The part of the excess that a cohort's rows are told with.
    fn told(&self, cohort: &Cohort) -> f64 {
        cohort.origins.iter().map(|at| self.origins[*at].share).sum()
    }

    /// What prefixes and addresses among the few did, by the network they are part of.
    fn held(&self) -> BTreeMap<(Country, Option<Asn>), Cell> {
        let mut held: BTreeMap<(Country, Option<Asn>), Cell> = BTreeMap::new();
        for row in self.origins.iter().filter(|row| self.stands_apart(row)) {
            let mut add = |lineage: &Lineage, cell: &Cell| {
                held.entry((lineage.country, lineage.asn)).or_default().merge(cell);
            };
            match row.place {
                Place::Prefix(wide) => {
                    let within = self.window.prefixes.iter().filter(|(key, _)| wide.contains(&key.prefix));
                    within.for_each(|(key, cell)| add(&key.lineage, cell));
                }
                Place::Source(address) => {
                    let within = self.window.sources.iter().filter(|(key, _)| key.address == address);
                    within.for_each(|(key, cell)| add(&key.prefix.lineage, cell));
                }
                Place::Country(_) | Place::Network(_) => {}
            }
        }
        held
    }

    /// The few's row that is all of a network.
    fn whole_row(&self, country: Country, asn: Option<Asn>) -> Option<usize> {
        self.origins.iter().position(|row| {
            self.stands_apart(row)
                && row.country == country
                && match row.place {
                    Place::Country(_) => true,
                    Place::Network(have) => Some(have) == asn,
                    Place::Prefix(_) | Place::Source(_) => false,
                }
        })
    }

    /// A row of the few within a network.
    fn row_in(&self, country: Country, asn: Option<Asn>) -> Option<usize> {
        self.origins.iter().position(|row| self.stands_apart(row) && row.country == country && row.asn == asn)
    }

    fn give(&self, cohorts: &mut BTreeMap<Who, Cohort>, who: Who, cell: &Cell, more: f64) {
        if let Some(cohort) = cohorts.get_mut(&who) {
            cohort.cell.merge(cell);
            cohort.excess += more;
        }
    }

    /// How much of each cohort's excess comes from where traffic came from before.
    fn compare_networks(&self, cohorts: &mut BTreeMap<Who, Cohort>, parts: &[Part]) {
        let level = self.scale.before.rate(self.scale.measure).unwrap_or(0.0);
        if level <= 0.0 {
            return;
        }
        let whole: f64 = parts.iter().map(|part| part.more).sum();
        for cohort in cohorts.values_mut() {
            let own = || parts.iter().filter(|part| part.who == cohort.who);
            let all: f64 = own().map(|part| part.more).sum();
            let usual = |part: &Part| (part.before / level).max(part.learned);
            let same: f64 = own().map(|part| (part.more / whole.max(1e-9)).min(usual(part))).sum();
            cohort.known = if cohort.who.is_few() {
                let before: f64 = cohort.origins.iter().map(|at| self.origins[*at].baseline_share).sum();
                let share = self.told(cohort);
                (share > 0.0).then(|| (before / share).min(1.0))
            } else {
                (all > 0.0).then(|| (same * whole / all).min(1.0))
            };
        }
    }

    /// How much each source of a cohort has, the least first.
    fn counts(&self) -> BTreeMap<Who, Vec<f64>> {
        let mut counts: BTreeMap<Who, Vec<f64>> = BTreeMap::new();
        for (source, cell) in
            self.window.sources.iter().filter(|(source, _)| source.prefix.lineage.label.is_none())
        {
            let lineage = &source.prefix.lineage;
            let who = self.who(lineage.country, self.few(lineage, Some(source)));
            let count = of_cell(self.scale.measure, cell) as f64;
            if count > 0.0 {
                counts.entry(who).or_default().push(count);
            }
        }
        counts.values_mut().for_each(|counts| counts.sort_by(f64::total_cmp));
        counts
    }

    /// What single clients did.
    fn add_sources(&self, cohorts: &mut BTreeMap<Who, Cohort>, counts: &BTreeMap<Who, Vec<f64>>) {
        let minutes = self.scale.seconds.max(LEAST_SECONDS) / 60.0;
        for (who, counts) in counts {
            let Some(cohort) = cohorts.get_mut(who) else { continue };
            let sum: f64 = counts.iter().sum();
            let squares: f64 = counts.iter().map(|count| count * count).sum();
            cohort.sources = counts.len() as f64 / self.scale.coverage.max(1e-9);
            cohort.effective_sources = if squares > 0.0 { sum * sum / squares } else { 0.0 };
            // What is held is asked for by nobody.
            if self.scale.measure != Measure::Held {
                cohort.client_rate = counts.get(counts.len() / 2).map_or(0.0, |count| count / minutes);
            }
        }
    }

    /// The program among the many, where enough is known of before to tell one.
    fn program(
        &self,
        cohorts: &BTreeMap<Who, Cohort>,
        counts: &BTreeMap<Who, Vec<f64>>,
    ) -> Option<Program<'_>> {
        if !self.is_split || self.scale.measure != Measure::Accesses {
            return None;
        }
        let many = cohorts.get(&Who::Many)?;
        let countries = self.countries(many);
        let labelled = self.window.networks.iter().filter(|(lineage, _)| lineage.label.is_some());
        let labelled = labelled.filter(|(lineage, _)| countries.contains(&lineage.country));
        let few = cohorts.get(&Who::FewAtHome).map_or(0, |few| few.cell.accesses);
        let (read, assets) = self.read(&countries);
        let is_of_hello = |make: &Make<'_>| matches!(make, Make::Print(Fingerprint::Ja4(_)));
        let (hellos, named) = self.makes(&countries).into_iter().partition(|(make, _)| is_of_hello(make));
        let asked = Asked {
            named,
            hellos,
            before: self.habits.make_shares()?,
            of_others: few + labelled.map(|(_, cell)| cell.accesses).sum::<u64>(),
            counts: counts.get(&Who::Many)?.iter().rev().copied().collect(),
            coverage: self.scale.coverage,
            minutes: self.scale.seconds.max(60.0) / 60.0,
            busy_client: self.habits.busy_client()?,
            read,
            assets: self.against_before(assets as f64 / read.max(1) as f64),
            excess: many.excess,
            usual: many.usual,
        };
        asked.program()
    }

    /// Accesses by make of the clients of countries.
    fn makes(&self, countries: &Countries) -> BTreeMap<Make<'_>, u64> {
        let mut makes: BTreeMap<Make<'_>, u64> = BTreeMap::new();
        for (make, count) in self.window.makes.iter().filter(|(make, _)| countries.contains(&make.country)) {
            *makes.entry(make.fingerprint.make()).or_default() += count;
        }
        makes
    }

    /// The part of accesses that other countries make with each make: what is usual, where too little is known of before.
    fn make_shares_beside(&self, countries: &Countries) -> Option<BTreeMap<Make<'_>, f64>> {
        let all = self.window.networks.keys().map(|lineage| lineage.country);
        let others: Countries = all.filter(|country| !countries.contains(country)).collect();
        let makes = self.makes(&others);
        let made: u64 = makes.values().sum();
        let share = |(make, count)| (make, count as f64 / made as f64);
        (made >= LEAST_COUNT).then(|| makes.into_iter().map(share).collect())
    }

    /// The requests of countries that could be read, and how many of them are for what belongs to pages.
    fn read(&self, countries: &Countries) -> (u64, u64) {
        let of_them = self.window.paths.iter().filter(|(path, _)| countries.contains(&path.country));
        of_them.fold((0, 0), |(read, assets), (path, count)| {
            (read + count, assets + if is_asset(&path.path) { *count } else { 0 })
        })
    }

    /// A part of requests that are for what belongs to pages, against that before; `None` where there were too few to tell.
    fn against_before(&self, assets: f64) -> Option<f64> {
        let before = self.habits.asset_share().filter(|before| *before >= LEAST_ASSETS);
        before.map(|before| assets / before)
    }

    /// With what its clients ask, and for what: as far as their countries are theirs alone.
    fn behaviour(&self, cohort: &mut Cohort, program: Option<&Program<'_>>) {
        let countries = self.countries(cohort);
        let networks = self.window.networks.iter();
        let in_them = networks.filter(|(lineage, _)| countries.contains(&lineage.country));
        let asked: u64 = in_them.map(|(_, cell)| cell.accesses).sum();
        let own = cohort.cell.accesses;
        cohort.own_part = own.min(asked) as f64 / own.max(asked).max(1) as f64;
        let program = program.filter(|_| cohort.who == Who::Many);
        let mut makes = self.makes(&countries);
        program.and_then(|program| makes.remove(&program.make));
        let made: u64 = makes.values().sum();
        let part = |count: u64| count as f64 / made.max(1) as f64;
        if made >= LEAST_COUNT {
            let top = makes.iter().max_by_key(|(make, count)| (**count, std::cmp::Reverse(**make)));
            let is_apart = matches!(cohort.who, Who::FewAbroad | Who::ManyAbroad);
            let of_others = || is_apart.then(|| self.make_shares_beside(&countries)).flatten();
            let shares = self.habits.make_shares().or_else(of_others);
            let before = |make| Some(shares.as_ref()?.get(make).copied().unwrap_or(0.0));
            cohort.make = top.map(|(make, count)| (part(*count), before(make)));
            let same: Option<Vec<f64>> =
                makes.iter().map(|(make, count)| Some(part(*count).min(before(make)?))).collect();
            cohort.same_makes = same.map(|same| same.into_iter().sum());
        }
        // Who floods may ask for something else each time.
        let mut paths: HashMap<_, u64, RandomState> = HashMap::default();
        for (path, count) in self.window.paths.iter().filter(|(path, _)| countries.contains(&path.country)) {
            *paths.entry(template_of(&path.path)).or_default() += count;
        }
        let (read, assets) = self.read(&countries);
        if read >= LEAST_COUNT {
            let most = paths.values().max();
            // What a program beside them asks for is not known by path.
            cohort.path = most.filter(|_| program.is_none()).map(|most| *most as f64 / read as f64);
            let read = read.saturating_sub(program.map_or(0, |program| program.accesses)).max(assets).max(1);
            cohort.assets = self.against_before(assets as f64 / read as f64);
        } else {
            cohort.packets = self.packets_of(cohort);
        }
    }

    /// Packets for each connection of a cohort, against the fewer of everybody else's now and of everybody's before: people
    /// fetch a page with all that belongs to it over the connections that they have, and where the service fails them,
    /// it fails others as well.
    fn packets_of(&self, cohort: &Cohort) -> Option<f64> {
        let each = |packets: f64, connections: f64| packets / connections.max(1e-9);
        let own = &cohort.cell;
        let unlabelled = self.window.networks.iter().filter(|(lineage, _)| lineage.label.is_none());
        let (packets, connections) =
            unlabelled.fold((0, 0), |sum, (_, cell)| (sum.0 + cell.packets, sum.1 + cell.connections));
        let (others, theirs) =
            (packets.saturating_sub(own.packets), connections.saturating_sub(own.connections));
        let now = (theirs >= LEAST_COUNT).then(|| each(others as f64, theirs as f64));
        let level = |of| self.scale.before.rate(of).filter(|rate| *rate > 0.0);
        let before = level(Measure::Packets).zip(level(Measure::Connections));
        let usual = before.map(|(packets, connections)| each(packets, connections));
        let usual = usual.into_iter().chain(now).reduce(f64::min)?;
        (own.connections >= LEAST_CONNECTIONS)
            .then(|| each(own.packets as f64, own.connections as f64) / usual.max(1.0))
    }

    fn countries(&self, cohort: &Cohort) -> Countries {
        let of_row = |row: &Origin| row.country;
        let few: Countries = self.origins.iter().filter(|row| self.stands_apart(row)).map(of_row).collect();
        if cohort.who.is_few() {
            cohort.origins.iter().map(|at| self.origins[*at].country).collect()
        } else {
            let all = self.window.networks.keys().map(|lineage| lineage.country);
            let own: Countries = all.filter(|country| self.who(*country, None) == cohort.who).collect();
            let alone: Countries = own.difference(&few).copied().collect();
            if alone.is_empty() { own } else { alone }
        }
    }
}

/// Takes a program out of the many: who it runs for is not known, only how much it asks.
fn set_apart(cohorts: &mut BTreeMap<Who, Cohort>, program: &Program<'_>) {
    let Some(many) = cohorts.get_mut(&Who::Many) else { return };
    many.gathering = many.gathering.map(|all| all.without(program.excess / many.excess.max(1e-9)));
    many.excess -= program.excess;
    many.usual = (many.usual - program.usual).max(0.0);
    many.cell.accesses = many.cell.accesses.saturating_sub(program.accesses);
    let cohort = Cohort {
        who: Who::OneMake,
        cell: Cell { accesses: program.accesses, ..Cell::default() },
        excess: program.excess,
        usual: program.usual,
        make: Some((1.0, Some(program.before))),
        ..Cohort::default()
    };
    cohorts.insert(Who::OneMake, cohort);
}

/// Fewer accesses say nothing about makes and paths.
const LEAST_COUNT: u64 = 20;

/// Fewer connections say nothing about how many packets each carries.
const LEAST_CONNECTIONS: u64 = 100;

/// Where fewer of the requests were for what belongs to pages, the lack of it says nothing.
const LEAST_ASSETS: f64 = 0.1;

/// Whether a row is one of the few: narrow, and much more of the traffic than it was before.
pub(super) fn stands_out(row: &Origin) -> bool {
    !matches!(row.place, Place::Country(Country::Code(_)))
        && row.baseline_share <= MOST_BEFORE
        && row.traffic_share >= LEAST_LIFT * row.baseline_share.max(LEAST_BEFORE)
}
