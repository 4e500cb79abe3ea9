//! Who holds connections and does little else with the service: a slow attack, and no crowd whose browsers opened a
//! connection ahead. Comes in: the rows of an episode. Goes out: how many connections are held so. Knows no cause.

use crate::aggregate::Cell;
use crate::detect::Window;

/// A prefix of which fewer connections are held is a few people: a browser opens one or two ahead and may never use them.
const SEVERAL: u32 = 4;

/// Connections held that are worth telling whose they are: a twelfth of a common server's 250 workers, as in `slow-hold`.
const MANY: u64 = 20;

/// Whether most of what somebody opens stays held. People whose browsers open connections ahead use most of theirs; who
/// is after the workers uses none, whatever else comes from beside him.
pub(super) fn holds(cell: &Cell) -> bool {
    cell.held >= SEVERAL && 2 * u64::from(cell.held) >= cell.connections
}

/// Connections that came to be held by prefixes that hold most of theirs; none where more than twice as many accesses
/// came beside them: then it is these that somebody is after.
pub(super) fn held_by_holders(window: &Window, more_accesses: f64) -> u64 {
    let cells = window.prefixes.values().filter(|cell| holds(cell));
    let held = cells.map(|cell| u64::from(cell.held)).sum();
    if 2.0 * held as f64 >= more_accesses { held } else { 0 }
}

/// Whether so many connections are what an episode is about.
pub(super) fn is_about_holding(held: u64) -> bool {
    held >= MANY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Lineage, PrefixKey};
    use crate::attribute::{Asn, Country};
    use crate::flow::Proof;

    fn cell(held: u32, connections: u64) -> Cell {
        Cell { held, connections, ..Cell::default() }
    }

    #[test]
    fn who_leaves_most_of_many_connections_open_holds_them() {
        assert!(holds(&cell(60, 64)));
    }

    #[test]
    fn browsers_that_open_ahead_use_most_of_what_they_open() {
        assert!(!holds(&cell(6, 40)));
        assert!(!holds(&cell(2, 2)), "two are opened ahead by any browser");
    }

    #[test]
    fn a_flood_of_requests_is_not_about_what_is_held_beside_it() {
        let mut window = Window::default();
        for (third, held) in [(1, 150), (2, 3)] {
            let lineage = Lineage {
                country: Country::Code(*b"US"),
                asn: Some(Asn(7018)),
                label: None,
                proof: Proof::Proven,
            };
            let prefix = format!("99.0.{third}.0/24").parse().unwrap();
            window.prefixes.insert(PrefixKey { lineage, prefix, reach: 11 }, cell(held, 160));
        }
        assert_eq!(held_by_holders(&window, 40.0), 150);
        assert_eq!(held_by_holders(&window, 3_000.0), 0);
        assert!(is_about_holding(150) && !is_about_holding(12));
    }
}
