//! Any bytes as the attributes of a reply of `nlctrl`.
//!
//! Try: `cargo +nightly fuzz run ctrl_family`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/family.rs"]
mod family;

libfuzzer_sys::fuzz_target!(|data: &[u8]| family::check(data));
