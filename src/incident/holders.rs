//! Who holds connections: a slow attack, and no crowd whose browsers opened a connection ahead. Such clients do little
//! else with the service, or draw out requests, which no browser does. Comes in: the rows of an episode. Goes out: how
//! many connections are held so. Knows no cause.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::aggregate::{Cell, PrefixKey};
use crate::detect::Window;

/// So many held connections of one prefix, and so many opened for each at most, are more than people have: a browser opens
/// one or two ahead and may never use them, and most people use most of theirs.
const SEVERAL: (u32, u64) = (4, 4);

/// The same of a prefix that holds more than a few people could: whoever is after the workers opens many anew that the
/// server gives up, or never lets in, before they are seen to be held.
const PLENTY: (u32, u64) = (8, 10);

/// Connections held that are worth telling whose they are: a twelfth of a common server's 250 workers, as in `slow-hold`.
const MANY: u64 = 20;

/// Whether a notable part of what somebody opens stays held.
pub(super) fn holds(cell: &Cell) -> bool {
    [SEVERAL, PLENTY]
        .into_iter()
        .any(|(held, opened)| cell.held >= held && opened * u64::from(cell.held) >= cell.connections)
}

/// Connections that came to be held by prefixes that hold much of what they open; none where more than twice as many
/// accesses came from others beside them: then it is these that somebody is after. Many requests that are drawn out are
/// it whatever comes beside them: each holds a worker for as long as its client wants, and tools that do it ask
/// ordinarily, too, to see whether the service still answers.
pub(super) fn held_by_holders(window: &Window, more_accesses: f64) -> u64 {
    let drawn = window.prefixes.values().map(|cell| cell.drawn_out).filter(|held| *held >= SEVERAL.0);
    let drawn_out: u64 = drawn.map(u64::from).sum();
    if drawn_out >= MANY {
        return drawn_out;
    }
    let (mut held, mut own) = (0, 0);
    let holders: Vec<(&PrefixKey, &Cell)> = window.prefixes.iter().filter(|(_, cell)| holds(cell)).collect();
    let clients = if holders.is_empty() { Clients::default() } else { clients_that_hold(window) };
    for (_, cell) in holders.into_iter().filter(|(key, cell)| !are_opened_ahead(cell, clients.get(*key))) {
        held += u64::from(cell.held);
        // Where it is encrypted, each connection begins with a hello, which is an access.
        own += cell.accesses;
    }
    if 2.0 * held as f64 >= more_accesses - own as f64 { held } else { 0 }
}

/// How many clients of each prefix hold connections.
type Clients<'w> = HashMap<&'w PrefixKey, u32, RandomState>;

fn clients_that_hold(window: &Window) -> Clients<'_> {
    let mut clients = Clients::default();
    for (source, _) in window.sources.iter().filter(|(_, cell)| cell.held > 0) {
        *clients.entry(&source.prefix).or_default() += 1;
    }
    clients
}

/// Whether what a prefix holds may be what browsers opened ahead: less than half of what it opened, by clients that hold
/// less than two each. In small prefixes that may be many by chance.
fn are_opened_ahead(cell: &Cell, clients: Option<&u32>) -> bool {
    2 * u64::from(cell.held) < cell.connections && cell.held < 2 * clients.copied().unwrap_or(0)
}

/// Requests that prefixes with several of them draw out, where these are most of what is held: nobody's line is bad in that
/// way on four connections at once, and it takes no more of them to keep a small server from its work.
pub(super) fn drawn_out_by_few(window: &Window) -> u64 {
    let several = window.prefixes.values().map(|cell| cell.drawn_out).filter(|drawn| *drawn >= SEVERAL.0);
    let drawn_out: u64 = several.map(u64::from).sum();
    let held: u64 = window.prefixes.values().map(|cell| u64::from(cell.held)).sum();
    if 2 * drawn_out >= held { drawn_out } else { 0 }
}

/// Whether so many connections are what an episode is about.
pub(super) fn is_about_holding(held: u64) -> bool {
    held >= MANY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Lineage, SourceKey};
    use crate::attribute::{Asn, Country};
    use crate::flow::Proof;

    fn cell(held: u32, connections: u64) -> Cell {
        Cell { held, connections, ..Cell::default() }
    }

    #[test]
    fn who_leaves_much_of_many_connections_open_holds_them() {
        assert!(holds(&cell(60, 64)));
    }

    #[test]
    fn browsers_that_open_ahead_use_most_of_what_they_open() {
        assert!(holds(&cell(60, 400)), "a server gives up what was opened before");
        assert!(!holds(&cell(6, 40)));
        assert!(!holds(&cell(12, 400)), "a gateway has many people");
        assert!(!holds(&cell(2, 2)), "two are opened ahead by any browser");
    }

    #[test]
    fn what_browsers_leave_unused_by_chance_is_held_by_nobody() {
        // Six of sixteen connections, one of each of six clients; then three of two.
        for (clients, each, held) in [(6, 1, 0), (2, 3, 6)] {
            let mut window = of([(1, cell(6, 16)), (2, cell(0, 40))]);
            let prefix = *window.prefixes.keys().find(|key| window.prefixes[*key].held > 0).unwrap();
            for client in 1..=clients {
                let address = format!("99.0.1.{client}").parse().unwrap();
                window.sources.insert(SourceKey { address, prefix }, cell(each, 3));
            }
            assert_eq!(held_by_holders(&window, 0.0), held, "{clients} of {each}");
        }
    }

    #[test]
    fn who_draws_out_many_requests_is_a_slow_attack_whatever_else_is_asked() {
        let window = |drawn_out| of([(1, Cell { drawn_out, ..cell(100, 700) }), (2, cell(0, 40))]);
        assert_eq!(held_by_holders(&window(100), 3_000.0), 100);
        assert_eq!(held_by_holders(&window(12), 3_000.0), 0, "a few stalled phones");
    }

    #[test]
    fn few_who_draw_out_most_of_what_is_held_are_seen_though_it_is_little() {
        let drawing = |drawn_out| Cell { drawn_out, ..cell(drawn_out, 30) };
        assert_eq!(drawn_out_by_few(&of([(1, drawing(8)), (2, cell(5, 40))])), 8);
        assert_eq!(drawn_out_by_few(&of([(1, drawing(8)), (2, cell(12, 40))])), 0, "others hold more");
        assert_eq!(drawn_out_by_few(&of([(1, drawing(3)), (2, drawing(3))])), 0, "bad lines");
    }

    #[test]
    fn a_flood_of_requests_is_not_about_what_is_held_beside_it() {
        let window = of([(1, cell(150, 160)), (2, cell(3, 160))]);
        assert_eq!(held_by_holders(&window, 40.0), 150);
        assert_eq!(held_by_holders(&window, 3_000.0), 0);
        assert!(is_about_holding(150) && !is_about_holding(12));
    }

    /// A window of /24s.
    fn of(prefixes: [(u8, Cell); 2]) -> Window {
        let mut window = Window::default();
        for (third, cell) in prefixes {
            let lineage = Lineage {
                country: Country::Code(*b"US"),
                asn: Some(Asn(7018)),
                label: None,
                proof: Proof::Proven,
            };
            let prefix = format!("99.0.{third}.0/24").parse().unwrap();
            window.prefixes.insert(PrefixKey { lineage, prefix, reach: 11 }, cell);
        }
        window
    }
}
