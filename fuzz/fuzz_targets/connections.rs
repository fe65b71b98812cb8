//! Any bytes as a file of `/proc/net`, read by every reader.
//!
//! Try: `cargo +nightly fuzz run connections`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/connections.rs"]
mod connections;

libfuzzer_sys::fuzz_target!(|data: &[u8]| connections::check(data));
