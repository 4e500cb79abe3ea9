//! The yardstick for `bongsu replay`: reads a capture in blocks of 1 MiB, walks its records and slices every packet
//! with etherparse, as a whole process whose CPU time can be compared.
//!
//! `BONGSU_BENCH_CAPTURE=FILE cargo bench --bench bare_loop`, where FILE is an Ethernet capture in the classic pcap
//! format. Prints the number of packets; without the variable it says so and does nothing.

use std::fs::File;
use std::hint::black_box;

use etherparse::SlicedPacket;

mod blocks;

fn main() -> std::io::Result<()> {
    let Some(path) = std::env::var_os("BONGSU_BENCH_CAPTURE") else {
        println!("not run: BONGSU_BENCH_CAPTURE names no capture");
        return Ok(());
    };
    let packets = blocks::walk(File::open(path)?, |record| {
        // A packet that cannot be sliced costs what it costs.
        let _ = black_box(SlicedPacket::from_ethernet(record.data));
    })?;
    println!("{packets} packets");
    Ok(())
}
