//! Where the excess comes from: country, then network, prefix, source, as far down as few rows still hold nearly all.
//! Comes in: the rows of an episode and the level before. Goes out: rows that do not overlap.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::cohort::LEAST_TOLD;
use super::suspects::Suspects;
use super::{Origin, Place};
use crate::aggregate::{Cell, Lineage, PrefixKey, SourceKey};
use crate::attribute::{Asn, Country, Home};
use crate::detect::rule::Measure;
use crate::detect::{Before, Key, Window, of_cell};
use crate::flow::Proof;

/// A row is told by its children while at most this many hold [`ENOUGH`] of its excess.
const FEW: usize = 8;

/// The part of a row's excess that its children must hold to stand for it.
pub(super) const ENOUGH: f64 = 0.9;

/// A country with less of the excess than this is no origin.
pub(super) const LEAST: f64 = 0.05;

/// What an episode's rows are measured by.
pub(super) struct Scale<'a> {
    /// What is counted.
    pub measure: Measure,
    /// What the load is told in: rates are of it, whatever rows are found by.
    pub told: Measure,
    /// Seconds of the episode.
    pub seconds: f64,
    /// The level before.
    pub before: &'a Before,
    /// What all rows and all that has no row have more than before, in the measure.
    pub excess: f64,
    /// All that was counted.
    pub total: f64,
    /// The home countries.
    pub home: &'a Home,
    /// The part of the sources that a cap left.
    pub coverage: f64,
}

/// A node of the tree that rows make.
#[derive(Debug, Default)]
struct Node<C> {
    cell: Cell,
    unproven: bool,
    children: C,
}

type Sources = BTreeMap<IpAddr, Cell>;
type Prefixes = BTreeMap<(IpNet, u8), Node<Sources>>;
type Networks = BTreeMap<Option<Asn>, Node<Prefixes>>;

/// The rows of an episode as a tree: country, network, prefix, source. Labelled neighbours are not in it.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<Country, Node<Networks>>);

impl Tree {
    /// Grows the tree from the rows of a window, as far as they belong to suspects.
    pub fn of(window: &Window, suspects: &Suspects) -> Self {
        let countries = suspects.countries();
        let counts = |lineage: &Lineage| lineage.label.is_none() && countries.contains(&lineage.country);
        let mut tree = Self::default();
        for (lineage, cell) in window.networks.iter().filter(|(lineage, _)| counts(lineage)) {
            let country = tree.0.entry(lineage.country).or_default();
            country.take(cell, lineage.proof);
            country.children.entry(lineage.asn).or_default().take(cell, lineage.proof);
        }
        for (prefix, cell) in window.prefixes.iter().filter(|(prefix, _)| counts(&prefix.lineage)) {
            tree.prefix(prefix).take(cell, prefix.lineage.proof);
        }
        for (source, cell) in window.sources.iter().filter(|(source, _)| counts(&source.prefix.lineage)) {
            tree.prefix(&source.prefix).children.entry(source.address).or_default().merge(cell);
        }
        tree
    }

    fn prefix(&mut self, key: &PrefixKey) -> &mut Node<Sources> {
        let country = self.0.entry(key.lineage.country).or_default();
        let network = country.children.entry(key.lineage.asn).or_default();
        network.children.entry((key.prefix, key.reach)).or_default()
    }

    /// The rows that hold the excess of the tree's countries, the largest first.
    pub fn origins(&self, scale: &Scale<'_>) -> Vec<Origin> {
        let mut roots: Vec<(&Country, &Node<Networks>, f64)> = self
            .0
            .iter()
            .map(|(country, node)| (country, node, scale.excess_of(&Key::Country(*country), &node.cell)))
            .filter(|(_, _, excess)| *excess > 0.0 && *excess >= LEAST * scale.excess)
            .collect();
        roots.sort_by(|one, other| other.2.total_cmp(&one.2).then(one.0.cmp(other.0)));
        let mut rows = Vec::new();
        for (country, node, excess) in roots.into_iter().take(FEW) {
            rows.extend(scale.descend_country(*country, node, excess));
        }
        rows.sort_by(|one, other| other.share.total_cmp(&one.share).then(one.place.cmp(&other.place)));
        rows
    }
}

impl<C> Node<C> {
    fn take(&mut self, cell: &Cell, proof: Proof) {
        self.cell.merge(cell);
        self.unproven |= proof == Proof::Unproven;
    }
}

/// A row before it is written down.
pub(super) struct Row<'a> {
    pub place: Place,
    pub key: Key,
    pub country: Country,
    pub asn: Option<Asn>,
    pub cell: &'a Cell,
    pub sources: u64,
    /// The lowest address.
    pub example: Option<IpAddr>,
    pub proven: bool,
}

impl Scale<'_> {
    /// What a row of unlabelled clients has more than they had before, in the measure.
    pub fn excess_of(&self, key: &Key, cell: &Cell) -> f64 {
        let before = self.before.unlabelled_rate(key, self.measure).unwrap_or(0.0);
        (of_cell(self.measure, cell) as f64 - before * self.seconds).max(0.0)
    }

    /// The part of all that there was before that a row's unlabelled clients had. Of what was hardly there, as held connections, parts are chance: there
    /// it is the part that it would have of what there is now.
    pub fn share_before(&self, key: &Key) -> f64 {
        let share = if self.measure == Measure::Held {
            let usual = self.before.unlabelled_rate(key, self.measure);
            usual.map(|rate| (rate * self.seconds / self.total.max(1.0)).min(1.0))
        } else {
            self.before.unlabelled_share(key, self.measure)
        };
        share.unwrap_or(0.0)
    }

    /// A row's part of all that was counted.
    pub fn part_of_all(&self, cell: &Cell) -> f64 {
        part(of_cell(self.measure, cell) as f64, self.total)
    }

    /// A row's rate per second, in what the load is told in.
    pub fn rate_of(&self, cell: &Cell) -> f64 {
        of_cell(self.told, cell) as f64 / self.seconds.max(1.0)
    }

    fn descend_country(&self, country: Country, node: &Node<Networks>, excess: f64) -> Vec<Origin> {
        let children = node.children.iter().map(|(asn, child)| {
            let key = asn.map_or(Key::Country(country), Key::Network);
            ((asn, child), self.excess_of(&key, &child.cell))
        });
        // What no network is known for has no row of its own beside those that are known, only its prefixes have, where they
        // are few. Private and reserved addresses are all of that kind.
        let alone = node.children.len() == 1;
        let has_row = |asn: &Option<Asn>, child, excess| {
            alone || asn.is_some() || few(measured(&self.blocks(child)), excess).is_some()
        };
        let known =
            children.filter(|((asn, child), excess)| has_row(asn, &child.children, *excess)).collect();
        match few(known, excess) {
            Some(networks) => networks
                .into_iter()
                .flat_map(|((asn, child), excess)| self.descend_network(country, *asn, child, excess))
                .collect(),
            None => vec![self.row(&Row {
                place: Place::Country(country),
                key: Key::Country(country),
                country,
                asn: None,
                cell: &node.cell,
                sources: node.children.values().map(count_sources).sum(),
                example: node.children.values().filter_map(lowest).min(),
                proven: !node.unproven,
            })],
        }
    }

    fn descend_network(
        &self,
        country: Country,
        asn: Option<Asn>,
        node: &Node<Prefixes>,
        excess: f64,
    ) -> Vec<Origin> {
        let blocks = self.blocks(&node.children);
        match few(measured(&blocks), excess) {
            Some(few) => few
                .into_iter()
                .flat_map(|(block, excess)| self.descend_block(country, asn, block, excess))
                .collect(),
            None => vec![self.row(&Row {
                place: asn.map_or(Place::Country(country), Place::Network),
                key: asn.map_or(Key::Country(country), Key::Network),
                country,
                asn,
                cell: &node.cell,
                sources: count_sources(node),
                example: lowest(node),
                proven: !node.unproven,
            })],
        }
    }

    fn descend_block(
        &self,
        country: Country,
        asn: Option<Asn>,
        block: &Block<'_>,
        excess: f64,
    ) -> Vec<Origin> {
        let sources = block.members.iter().flat_map(|node| &node.children);
        let measured =
            sources.map(|(address, cell)| ((address, cell), self.excess_of(&Key::Source(*address), cell)));
        // Addresses too small to be told one by one are told with their prefix.
        let is_told = |(_, cell): &(&IpAddr, &Cell)| self.part_of_all(cell) >= LEAST_TOLD;
        let sources = few(measured.collect(), excess);
        match sources.filter(|few| few.iter().all(|(source, _)| is_told(source))) {
            Some(few) => few
                .into_iter()
                .map(|((address, cell), _)| {
                    let (place, key) = (Place::Source(*address), Key::Source(*address));
                    let (example, proven) = (Some(*address), !block.unproven());
                    self.row(&Row { place, key, country, asn, cell, sources: 1, example, proven })
                })
                .collect(),
            None => vec![self.row(&Row {
                place: Place::Prefix(block.prefix),
                key: Key::Prefix(block.prefix),
                country,
                asn,
                cell: &block.cell,
                sources: block.members.iter().map(|node| node.children.len() as u64).sum(),
                example: block.members.iter().filter_map(|node| node.children.keys().next()).min().copied(),
                proven: !block.unproven(),
            })],
        }
    }

    pub fn row(&self, row: &Row<'_>) -> Origin {
        Origin {
            place: row.place,
            country: row.country,
            asn: row.asn,
            example: row.example.unwrap_or_else(|| row.place.address()),
            foreign: (!self.home.is_unknown()).then(|| self.home.is_foreign(row.country)),
            share: part(self.excess_of(&row.key, row.cell), self.excess),
            traffic_share: self.part_of_all(row.cell),
            baseline_share: self.share_before(&row.key),
            rate: self.rate_of(row.cell),
            sources: (row.sources as f64 / self.coverage).round() as u64,
            proven: row.proven,
            label: None,
        }
    }

    /// The prefixes of a network; where they are many, neighbours are joined into wider ones, as far as one AS and one
    /// country reach and as long as at least half of the wider prefix was seen.
    fn blocks<'a>(&self, prefixes: &'a Prefixes) -> Vec<Block<'a>> {
        let mut blocks: Vec<Block<'a>> = prefixes
            .iter()
            .map(|((prefix, reach), node)| Block {
                prefix: *prefix,
                reach: *reach,
                cell: node.cell,
                excess: self.excess_of(&Key::Prefix(*prefix), &node.cell),
                members: vec![node],
            })
            .filter(|block| block.excess > 0.0)
            .collect();
        while blocks.len() > FEW {
            let before = blocks.len();
            blocks = joined(blocks);
            if blocks.len() == before {
                break;
            }
        }
        blocks
    }
}

/// A prefix, as seen or joined from neighbours.
#[derive(Debug)]
struct Block<'a> {
    prefix: IpNet,
    reach: u8,
    cell: Cell,
    excess: f64,
    members: Vec<&'a Node<Sources>>,
}

impl Block<'_> {
    fn unproven(&self) -> bool {
        self.members.iter().any(|node| node.unproven)
    }
}

/// Joins each two halves of one prefix, or widens a lone one whose other half was not seen while half is enough.
fn joined(blocks: Vec<Block<'_>>) -> Vec<Block<'_>> {
    let mut wider: Vec<Block<'_>> = Vec::with_capacity(blocks.len());
    for block in blocks {
        let parent = block.prefix.supernet().filter(|parent| parent.prefix_len() >= block.reach);
        match (wider.last_mut(), parent) {
            (Some(last), Some(parent))
                if last.prefix.prefix_len() == block.prefix.prefix_len()
                    && last.prefix.supernet() == Some(parent)
                    && last.reach <= parent.prefix_len() =>
            {
                last.prefix = parent;
                last.reach = last.reach.max(block.reach);
                last.cell.merge(&block.cell);
                last.excess += block.excess;
                last.members.extend(block.members);
            }
            _ => wider.push(block),
        }
    }
    wider
}

/// Blocks with what they have more than before.
fn measured<'a, 'b>(blocks: &'a [Block<'b>]) -> Vec<(&'a Block<'b>, f64)> {
    blocks.iter().map(|block| (block, block.excess)).collect()
}

/// The fewest children, at most [`FEW`], that hold [`ENOUGH`] of `excess`; the largest first.
fn few<T>(mut children: Vec<(T, f64)>, excess: f64) -> Option<Vec<(T, f64)>> {
    children.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut held = 0.0;
    let enough = children.iter().position(|(_, part)| {
        held += part;
        held >= ENOUGH * excess
    })?;
    if enough >= FEW {
        return None;
    }
    // Rows as large as the last one that was needed stand beside it: they are told or left out together.
    let least = children.get(enough).map_or(0.0, |(_, part)| *part) * 0.5;
    let mut end = enough + 1;
    while end < children.len() && end < FEW && children[end].1 >= least {
        end += 1;
    }
    children.truncate(end);
    Some(children)
}

/// The lowest address of a network.
fn lowest(node: &Node<Prefixes>) -> Option<IpAddr> {
    node.children.values().filter_map(|prefix| prefix.children.keys().next()).min().copied()
}

impl Origin {
    /// Whether it is told of a source, or of a network as a whole.
    pub(super) fn holds(&self, lineage: &Lineage, source: Option<&SourceKey>) -> bool {
        match (self.place, source) {
            (Place::Country(country), _) => country == lineage.country,
            (Place::Network(asn), _) => Some(asn) == lineage.asn && self.country == lineage.country,
            (Place::Prefix(prefix), Some(source)) => prefix.contains(&source.address),
            (Place::Source(address), Some(source)) => address == source.address,
            (Place::Prefix(_) | Place::Source(_), None) => false,
        }
    }
}

impl Place {
    /// An address within it, as far as its name tells.
    fn address(&self) -> IpAddr {
        match self {
            Place::Prefix(prefix) => prefix.addr(),
            Place::Source(address) => *address,
            Place::Country(_) | Place::Network(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

fn part(of: f64, whole: f64) -> f64 {
    if whole > 0.0 { (of / whole).min(1.0) } else { 0.0 }
}

fn count_sources(node: &Node<Prefixes>) -> u64 {
    node.children.values().map(|prefix| prefix.children.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const US: Country = Country::Code(*b"US");
    const KR: Country = Country::Code(*b"KR");

    fn add(window: &mut Window, (country, asn): (Country, u32), address: &str, reach: u8, accesses: u64) {
        let asn = (asn > 0).then_some(Asn(asn));
        let lineage = Lineage { country, asn, label: None, proof: Proof::Proven };
        let address: IpAddr = address.parse().unwrap();
        let prefix = PrefixKey { lineage, prefix: IpNet::new(address, 24).unwrap().trunc(), reach };
        let cell = Cell { accesses, ..Cell::default() };
        window.networks.entry(lineage).or_default().merge(&cell);
        window.prefixes.entry(prefix).or_default().merge(&cell);
        window.sources.entry(SourceKey { prefix, address }).or_default().merge(&cell);
    }

    fn origins(window: &Window, key: Key) -> Vec<(Place, f64)> {
        let before = Before::default();
        let home = Home::new(vec![KR]);
        let total: u64 = window.networks.values().map(|cell| cell.accesses).sum();
        let scale = Scale {
            measure: Measure::Accesses,
            told: Measure::Accesses,
            seconds: 10.0,
            before: &before,
            excess: total as f64,
            total: total as f64,
            home: &home,
            coverage: 1.0,
        };
        let rows = Tree::of(window, &Suspects::of(window, &BTreeSet::from([key]), &scale)).origins(&scale);
        rows.into_iter().map(|row| (row.place, row.share)).collect()
    }

    fn prefixes(rows: &[(Place, f64)]) -> Vec<String> {
        rows.iter().map(|(place, _)| format!("{place:?}")).collect()
    }

    #[test]
    fn many_sources_of_five_prefixes_are_told_by_prefix() {
        let mut window = Window::default();
        for third in 1..=5 {
            for host in 1..=100 {
                add(&mut window, (US, 7018), &format!("99.0.{third}.{host}"), 11, 10);
            }
        }
        let rows = origins(&window, Key::Country(US));
        assert_eq!(rows.len(), 5);
        assert!(
            rows.iter().all(|(place, share)| matches!(place, Place::Prefix(_)) && (share - 0.2).abs() < 1e-9)
        );
    }

    #[test]
    fn addresses_that_are_each_hardly_anything_are_told_by_prefix() {
        let mut window = Window::default();
        add(&mut window, (KR, 4766), "168.126.63.1", 16, 10_000);
        for third in 1..=7 {
            (1..=100).for_each(|host| add(&mut window, (US, 7018), &format!("99.0.{third}.{host}"), 11, 10));
        }
        (1..=8).for_each(|host| add(&mut window, (US, 7018), &format!("99.0.8.{host}"), 11, 70));
        let rows = origins(&window, Key::Country(US));
        assert!(
            rows.len() == 8 && rows.iter().all(|(place, _)| matches!(place, Place::Prefix(_))),
            "{rows:?}"
        );
    }

    #[test]
    fn one_source_is_told_by_its_address_and_home_is_left_out() {
        let mut window = Window::default();
        for host in 1..=100 {
            add(&mut window, (KR, 4766), &format!("168.126.63.{host}"), 16, 10);
        }
        add(&mut window, (US, 7018), "99.0.1.1", 11, 1_000);
        let rows = origins(&window, Key::Source("99.0.1.1".parse().unwrap()));
        assert_eq!(rows, [(Place::Source("99.0.1.1".parse().unwrap()), 0.5)]);
    }

    #[test]
    fn prefixes_that_no_network_is_known_for_are_told_beside_those_of_networks() {
        let mut window = Window::default();
        for third in 1..=4 {
            for host in 1..=50 {
                // Number 0 is no network's.
                let asn = if third == 1 { 0 } else { 7018 };
                add(&mut window, (US, asn), &format!("99.0.{third}.{host}"), 11, 10);
            }
        }
        let rows = origins(&window, Key::Country(US));
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|(place, _)| matches!(place, Place::Prefix(_))), "{rows:?}");
    }

    #[test]
    fn private_addresses_have_no_network_and_are_told_all_the_same() {
        let mut window = Window::default();
        let lineage = Lineage { country: Country::Private, asn: None, label: None, proof: Proof::Proven };
        let address: IpAddr = "192.168.1.5".parse().unwrap();
        let prefix = PrefixKey { lineage, prefix: "192.168.1.0/24".parse().unwrap(), reach: 24 };
        let cell = Cell { accesses: 1_000, ..Cell::default() };
        window.networks.insert(lineage, cell);
        window.prefixes.insert(prefix, cell);
        window.sources.insert(SourceKey { prefix, address }, cell);
        let rows = origins(&window, Key::Source(address));
        assert_eq!(rows, [(Place::Source(address), 1.0)]);
    }

    #[test]
    fn a_whole_block_is_joined_as_far_as_its_network_reaches() {
        let mut window = Window::default();
        for third in 0..32 {
            for host in 1..=20 {
                add(&mut window, (US, 7018), &format!("99.0.{third}.{host}"), 20, 1);
            }
        }
        let rows = origins(&window, Key::Country(US));
        assert_eq!(
            prefixes(&rows),
            [
                "Prefix(99.0.0.0/22)",
                "Prefix(99.0.4.0/22)",
                "Prefix(99.0.8.0/22)",
                "Prefix(99.0.12.0/22)",
                "Prefix(99.0.16.0/22)",
                "Prefix(99.0.20.0/22)",
                "Prefix(99.0.24.0/22)",
                "Prefix(99.0.28.0/22)"
            ]
        );
    }

    #[test]
    fn a_country_full_of_small_networks_stays_a_country() {
        let mut window = Window::default();
        for asn in 0..50 {
            add(&mut window, (US, 1_000 + asn), &format!("99.0.{asn}.1"), 24, 10);
        }
        assert_eq!(origins(&window, Key::Country(US)), [(Place::Country(US), 1.0)]);
    }

    #[test]
    fn rates_are_told_in_what_the_load_is_told_in() {
        let (before, home) = (Before::default(), Home::new(vec![KR]));
        let scale = Scale {
            measure: Measure::Held,
            told: Measure::Accesses,
            seconds: 10.0,
            before: &before,
            excess: 80.0,
            total: 100.0,
            home: &home,
            coverage: 1.0,
        };
        let address: IpAddr = "99.0.1.1".parse().unwrap();
        let cell = Cell { held: 40, accesses: 60, ..Cell::default() };
        let row = scale.row(&Row {
            place: Place::Source(address),
            key: Key::Source(address),
            country: US,
            asn: None,
            cell: &cell,
            sources: 1,
            example: Some(address),
            proven: true,
        });
        assert_eq!((row.share, row.traffic_share, row.rate), (0.5, 0.4, 6.0));
    }

    #[test]
    fn a_labelled_crawler_hides_nobody_in_its_country() {
        let crawler = Lineage {
            country: US,
            asn: Some(Asn(15_169)),
            label: Some(crate::attribute::LabelId(0)),
            proof: Proof::Proven,
        };
        let usual = crate::aggregate::ScopeTick {
            networks: vec![(crawler, Cell { accesses: 50, ..Cell::default() })],
            ..crate::aggregate::ScopeTick::default()
        };
        let mut before = Before::default();
        (-300..0).for_each(|second| before.learn(second, 1, &usual));
        let home = Home::new(vec![KR]);
        let mut window = Window::default();
        add(&mut window, (US, 7018), "99.0.1.1", 11, 400);
        window.networks.insert(crawler, Cell { accesses: 500, ..Cell::default() });
        let scale = Scale {
            measure: Measure::Accesses,
            told: Measure::Accesses,
            seconds: 10.0,
            before: &before,
            excess: 400.0,
            total: 900.0,
            home: &home,
            coverage: 1.0,
        };
        let suspects = Suspects::of(&window, &BTreeSet::new(), &scale);
        let rows = Tree::of(&window, &suspects).origins(&scale);
        let told: Vec<_> = rows.iter().map(|row| (row.place, row.share)).collect();
        assert_eq!(told, [(Place::Source("99.0.1.1".parse().unwrap()), 1.0)]);
    }
}
