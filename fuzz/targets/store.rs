//! Files of baselines.

#![no_main]

use bongsu_fuzz::entries::store::{run, seeds};
use bongsu_fuzz::harness::{sow, timed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow(seeds()), |bytes: &[u8]| timed(run, bytes));
