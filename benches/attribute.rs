//! What attributing a client costs: the claim of `attribute` is that it takes no lock and allocates nothing.

use std::net::{IpAddr, Ipv4Addr};

use bongsu::attribute::{Attributor, Labels};
use divan::{AllocProfiler, Bencher, black_box};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Opening both databases.
#[divan::bench(sample_count = 20)]
fn open_the_embedded_databases() -> bool {
    Attributor::embedded(Labels::default()).is_ok()
}

/// Addresses spread over all of IPv4, as a flood or a crowd shows them; `threads` share one attributor.
#[divan::bench(args = [500, 100_000], threads = [1, 2])]
fn attribute(bencher: Bencher, clients: u32) {
    let Ok(attributor) = Attributor::embedded(Labels::default()) else { return };
    // An odd multiplier visits every value once, far apart.
    let addresses: Vec<IpAddr> =
        (1..=clients).map(|n| IpAddr::from(Ipv4Addr::from_bits(n.wrapping_mul(0x9E37_79B1)))).collect();
    bencher.counter(divan::counter::ItemsCount::new(clients)).bench(|| {
        for address in &addresses {
            black_box(attributor.attribute(*address));
        }
    });
}
