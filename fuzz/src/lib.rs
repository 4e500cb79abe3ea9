//! Hostile bytes for every reader. [`entries`] has one function for each, which the property tests of the program call
//! too; [`harness`] has what only the fuzzer needs.

pub mod entries;
pub mod harness;
