//! Any bytes as the attributes of a reply of the `IPVS` family.
//!
//! Try: `cargo +nightly fuzz run ipvs_dump`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/dump.rs"]
mod dump;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dump::check(data));
